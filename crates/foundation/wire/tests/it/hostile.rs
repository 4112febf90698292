//! Hostile bytes are refused, never a panic; what we print reads back as it was.

use base::Timestamp;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use wire::{Operation, Protocol, Request, sigv4};

use crate::sample::{self, CreateFunctionRequest, full};

const JSONS: [(Protocol, &Operation); 2] =
    [(Protocol::Json11, &sample::json::PUT_THING), (Protocol::RestJson, &sample::rest::CREATE_FUNCTION)];

fn post(body: impl Into<Bytes>) -> Request {
    let headers = HeaderMap::new();
    Request { method: http::Method::POST, path: "/".into(), query: String::new(), headers, body: body.into() }
}

fn read(
    protocol: Protocol,
    operation: &'static Operation,
    body: impl Into<Bytes>,
) -> Result<CreateFunctionRequest, base::Fault> {
    let input = wire::decode(protocol, operation, post(body))?;
    let any: Box<dyn std::any::Any> = input;
    Ok(*any.downcast().unwrap())
}

fn refusal(body: &str) -> String {
    let fault = read(Protocol::Json11, &sample::json::PUT_THING, body.to_owned()).unwrap_err();
    assert_eq!((&*fault.code, fault.status), ("SerializationException", 400), "{body}");
    fault.message
}

#[test]
fn wrong_kinds_are_refused_in_aws_words() {
    assert_eq!(refusal(r#"{"FunctionName":5}"#), "NUMBER_VALUE can not be converted to a String");
    assert_eq!(refusal(r#"{"Timeout":"5"}"#), "STRING_VALUE can not be converted to an Integer");
    assert_eq!(refusal(r#"{"FunctionName":{}}"#), "Start of structure or map found where not expected.");
    assert_eq!(refusal(r#"{"Layers":"a"}"#), "Expected list or null");
    assert_eq!(refusal(r#"{"Weights":3}"#), "Expected map or null");
    assert_eq!(refusal(r#"{"Code":3}"#), "Expected null");
    assert_eq!(refusal(r#"{"Code":[]}"#), "Start of list found where not expected");
    assert_eq!(refusal("[]"), "Start of list found where not expected");
    assert_eq!(refusal(r#"{"Publish":1}"#), "NUMBER_VALUE can not be converted to a Boolean");
    assert_eq!(refusal(r#"{"At":"x"}"#), "STRING_VALUE can not be converted to milliseconds since epoch");
    assert_eq!(
        refusal(r#"{"Code":{"ZipFile":"abc"}}"#),
        "'abc' can not be converted to a Blob: Base64 encoded length is expected a multiple of 4 bytes but found: 3"
    );
    assert_eq!(
        refusal(r##"{"Code":{"ZipFile":"#aaa"}}"##),
        "'#aaa' can not be converted to a Blob: Invalid Base64 character: '#'"
    );
    assert_eq!(refusal("{\"FunctionName\":\"a\u{1}\"}"), "Illegal unquoted control character in a JSON string");
}

#[test]
fn broken_texts_are_refused() {
    for body in [
        "",
        "[]",
        "x",
        "{",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":-}",
        "{\"a\":1e}",
        "{} x",
        "{\"a\":tru}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\ud800\\u0020\"}",
        "{\"a\":\"",
        "{\"a\":\"\\u12",
        "{\"MemorySize\":1e30}",
        "{\"Code\":{\"ZipFile\":\"###\"}}",
        "{\"At\":1e300}",
    ] {
        if body.is_empty() {
            continue;
        }
        refusal(body);
    }
    let mut bytes = br#"{"Handler":"x"}"#.to_vec();
    bytes[12] = 0xff;
    assert_eq!(read(Protocol::Json11, &sample::json::PUT_THING, bytes).unwrap_err().code, "SerializationException");
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        refusal(&format!("{{\"unknown\":{}1{}}}", open.repeat(100_000), close.repeat(100_000)));
    }
}

#[test]
fn null_is_absent_unknown_is_skipped_and_the_last_wins() {
    let body = r#" {"FunctionName":null,"Unknown":{"a":[1,{"b":null}]},"Timeout":3e0,"Timeout":4,"Layers":[null,"a"],"Handler":"\u00e9\ud83d\ude00\/"} "#;
    for (protocol, operation) in JSONS {
        let input = read(protocol, operation, body).unwrap();
        assert_eq!((input.function_name, input.timeout, input.layers), (None, Some(4), Some(vec!["a".to_owned()])));
        assert_eq!(input.handler.as_deref(), Some("é\u{1F600}/"));
    }
}

#[test]
fn labels_query_and_headers_are_read() {
    let mut request = post(Bytes::from_static(b"{}"));
    request.path = "/2015-03-31/functions/arn%3Aaws%3Alambda%3A%C3%A9/invocations".into();
    request.headers.insert("x-amz-invocation-type", HeaderValue::from_static("Event"));
    let payload = request.body.clone();
    let input = wire::decode(Protocol::RestJson, &sample::rest::INVOKE, request).unwrap();
    assert_eq!(wire::text_member(&*input, "FunctionName").as_deref(), Some("arn:aws:lambda:é"));
    assert_eq!(wire::text_member(&*input, "InvocationType").as_deref(), Some("Event"));
    let any: Box<dyn std::any::Any> = input;
    let input = any.downcast::<sample::InvocationRequest>().unwrap();
    assert_eq!(input.payload.unwrap().as_ptr(), payload.as_ptr(), "the payload is shared, not copied");
}

#[test]
fn what_is_printed_reads_back() {
    for (protocol, operation) in JSONS {
        let printed = wire::encode(protocol, operation, &full(), "id");
        assert_eq!(read(protocol, operation, printed.body).unwrap(), full());
    }
    let body = form();
    let input = read(Protocol::Query, &sample::query::CREATE_ROLE, body).unwrap();
    assert_eq!(input.tags, full().tags);
    assert_eq!(input.environment, full().environment);
    assert_eq!((input.on, input.code, input.weights), (full().on, full().code, full().weights));
}

fn form() -> &'static str {
    "Action=CreateRole&Version=2010-05-08&FunctionName=thumbnail&Timeout=30&Publish=true&Code.ZipFile=UEsDBAD%2F\
     &Tags.member.1.Key=a&Tags.member.1.Value=1&Tags.member.2.Key=b&Environment.Variables.entry.1.key=TABLE\
     &Environment.Variables.entry.1.value=t+1&Environment.Variables.entry.2.key=AA&Environment.Variables.entry.2.value=\
     &Weights.entry.1.key=1&Weights.entry.1.value=0.25&On=2026-11-21T10:40:00Z&Layers.member.1=arn%3Aaws%3Aa"
}

/// Every operation of the samples, in every protocol its service speaks.
fn all() -> impl Iterator<Item = (Protocol, &'static Operation)> {
    sample::SERVICES.iter().flat_map(|service| {
        let each = |operation: &'static Operation| service.protocols.iter().map(move |protocol| (*protocol, operation));
        service.operations.iter().copied().flat_map(each)
    })
}

/// Every entrance, with one request: nothing may panic, and what was read must print and be checked.
fn every_entrance(request: &Request) {
    entrances(request, |_| true);
    let guess = wire::route::detect(sample::SERVICES, request);
    if let Err(fault) = guess.operation {
        wire::encode_fault(guess.protocol, guess.service, &fault, "id");
    }
    if let Ok(Some(claim)) = sigv4::parse(request) {
        assert!(claim.verify(request, "secret", Timestamp(1_440_938_160_000)).is_err(), "nobody signed it");
    }
}

/// The entrances of some protocols.
fn entrances(request: &Request, which: impl Fn(Protocol) -> bool) {
    for (protocol, operation) in all().filter(|(protocol, _)| which(*protocol)) {
        match wire::decode(protocol, operation, request.clone()) {
            Ok(input) => {
                let _ = wire::validate(operation, &*input);
                wire::encode(protocol, operation, &*input, "id");
            }
            Err(fault) => {
                assert!((400..500).contains(&fault.status), "{fault}");
                wire::encode_fault(protocol, Some(operation.service), &fault, "id");
            }
        }
    }
}

fn mutated(base: &[u8], edits: &[(usize, u8, u8)]) -> Vec<u8> {
    let mut bytes = base.to_vec();
    for (at, kind, byte) in edits {
        let at = at % bytes.len().max(1);
        match kind % 3 {
            _ if bytes.is_empty() => {}
            0 => bytes[at] = *byte,
            1 => bytes.insert(at, *byte),
            _ => drop(bytes.remove(at)),
        }
    }
    bytes
}

const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=AKID/20150830/us-east-1/lambda/aws4_request, \
                             SignedHeaders=host;x-amz-date, Signature=00";
/// What XML is made of, and what it must not be made of.
const XML: [&str; 26] = [
    "<Rule>",
    "</Rule>",
    "<Rule/>",
    "<ID>",
    "</ID>",
    "<ID>a</ID>",
    "<Days>5</Days>",
    "<Days>",
    "</Days>",
    "<Date>2026-11-21T00:00:00Z</Date>",
    "x",
    " ",
    "&amp;",
    "&#x41;",
    "&#0;",
    "&x;",
    "&",
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "<!DOCTYPE a [",
    "<?",
    "?>",
    "<a b='1'",
    "\u{fffe}",
];
/// What CBOR is made of: heads, breaks, keys of the sample, and values that end early.
const CBOR: [&[u8]; 24] = [
    b"\xa1",
    b"\xa2",
    b"\xbf",
    b"\x9f",
    b"\x81",
    b"\xff",
    b"\x67Timeout",
    b"\x66Layers",
    b"\x64Tags",
    b"\x64Free",
    b"\x62At",
    b"\x64Code",
    b"\x67ZipFile",
    b"\x18\x1e",
    b"\xf9\x7e\x00",
    b"\xfb\x40",
    b"\xc1",
    b"\xf6",
    b"\xf7",
    b"\x5f",
    b"\x7f",
    b"\x61a",
    b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
];
/// What forms are made of.
const FORM: [&str; 20] = [
    "Action=CreateRole",
    "&",
    "=",
    "&Tags.member.1.Key=a",
    "&Tags.member.",
    "&Tags.1.Key=b",
    "&Timeout=",
    "30",
    "&Publish=true",
    "&On=",
    "2026-11-21T00:00:00Z",
    "&Environment.Variables.entry.1.key=A",
    "&Environment.Variables.entry.1.value=B",
    "&Weights.entry.1.value=0.5",
    "%",
    "%ff",
    "%41",
    "+",
    ".",
    "99999999999999999999",
];
/// A rule set of the S3-like sample.
const RULES: &str = "<?xml version=\"1.0\"?><RuleConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Rule>\
                     <ID>a&amp;b</ID><Days>5</Days><Status>Enabled</Status><Date>2026-11-21T00:00:00Z</Date><Blob>YQ==</Blob>\
                     <On>true</On></Rule><!-- c --><Rule><ID><![CDATA[<x>]]></ID></Rule></RuleConfiguration>";
const TARGETS: [&str; 6] = [
    "/bucket?rules&partNumber=7",
    "/service/GraniteServiceVersion20100801/operation/PutMetricData",
    "/2015-03-31/functions/a%3Ab/invocations?Qualifier=1",
    "/?Action=CreateRole&Version=2010-05-08&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2F20150830%2Fr%2Fs%2Faws4_request\
     &X-Amz-Date=20150830T123600Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=00",
    "/2018-10-31/layers?find=LayerVersion",
    "//../%zz/%",
];

proptest! {
    #![proptest_config(crate::cases(10_000))]

    #[test]
    fn mutated_requests_never_panic(
        which in 0usize..5,
        target in 0usize..6,
        edits in prop::collection::vec((any::<usize>(), any::<u8>(), any::<u8>()), 0..6),
        head_edits in prop::collection::vec((any::<usize>(), any::<u8>(), 0x20u8..0x7f), 0..4),
    ) {
        let printed = wire::encode(Protocol::Json11, &sample::json::PUT_THING, &full(), "id").body;
        let cbor = wire::encode(Protocol::Cbor, &sample::metrics::PUT, &full(), "id").body;
        let bases: [&[u8]; 5] = [&printed, form().as_bytes(), b"{}", RULES.as_bytes(), &cbor];
        let mut request = post(mutated(bases[which], &edits));
        let target = String::from_utf8(mutated(TARGETS[target].as_bytes(), &head_edits)).unwrap();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        (request.path, request.query) = (path.to_owned(), query.to_owned());
        let authorization = mutated(AUTHORIZATION.as_bytes(), &head_edits);
        request.headers.insert("authorization", HeaderValue::from_bytes(&authorization).unwrap());
        request.headers.insert("x-amz-date", HeaderValue::from_static("20150830T123600Z"));
        if which == 4 {
            request.headers.insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
        }
        if which == 1 {
            request.headers.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
        }
        every_entrance(&request);
    }

    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..64), query in "\\PC{0,40}") {
        let mut request = post(body);
        request.query = query;
        every_entrance(&request);
    }

    #[test]
    fn xml_in_pieces_never_panics(pieces in prop::collection::vec(prop::sample::select(XML.to_vec()), 0..24)) {
        let body = format!("<RuleConfiguration>{}</RuleConfiguration>", pieces.concat());
        for body in [body, pieces.concat()] {
            let mut request = post(body);
            request.path = "/bucket".into();
            entrances(&request, |protocol| protocol == Protocol::RestXml);
        }
    }

    #[test]
    fn cbor_in_pieces_never_panics(pieces in prop::collection::vec(prop::sample::select(CBOR.to_vec()), 0..24)) {
        entrances(&post(pieces.concat()), |protocol| protocol == Protocol::Cbor);
    }

    #[test]
    fn forms_in_pieces_never_panic(pieces in prop::collection::vec(prop::sample::select(FORM.to_vec()), 0..24)) {
        let mut request = post(pieces.concat());
        request.headers.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
        entrances(&request, |protocol| matches!(protocol, Protocol::Query | Protocol::Ec2Query));
    }

    #[test]
    fn json_texts_agree_with_serde(text in r#"[\[\]{}:,"\\a1.e\-tn u]{0,12}"#) {
        // Whatever serde_json accepts as the value of an unknown member we skip, and nothing else.
        let body = format!("{{\"unknown\":{text}}}");
        let ours = read(Protocol::Json11, &sample::json::PUT_THING, body.clone()).is_ok();
        let theirs = serde_json::from_str::<serde_json::Value>(&body).is_ok();
        prop_assert_eq!(ours, theirs, "{}", body);
    }

}

proptest! {
    #![proptest_config(crate::cases(500))]

    #[test]
    fn any_value_round_trips(
        name in any::<Option<String>>(), size in any::<Option<i64>>(), flag in any::<Option<bool>>(),
        blob in any::<Option<Vec<u8>>>(), weights in prop::collection::btree_map(".*", any::<f64>(), 0..3),
        layers in any::<Option<Vec<String>>>(), at in any::<Option<u32>>(),
    ) {
        prop_assume!(weights.values().all(|weight| !weight.is_nan()));
        let value = CreateFunctionRequest {
            handler: name,
            memory_size: size,
            publish: flag,
            code: Some(sample::FunctionCode { zip_file: blob.map(Bytes::from), ..Default::default() }),
            weights: Some(weights),
            layers,
            at: at.map(|at| Timestamp(i64::from(at))),
            on: at.map(|at| Timestamp(-i64::from(at))),
            ..Default::default()
        };
        for (protocol, operation) in JSONS {
            let printed = wire::encode(protocol, operation, &value, "id");
            prop_assert_eq!(&read(protocol, operation, printed.body).unwrap(), &value);
        }
        // Every value survives CBOR, and XML where XML has its characters.
        let printed = wire::encode(Protocol::Cbor, &sample::metrics::PUT, &value, "id");
        prop_assert_eq!(&read(Protocol::Cbor, &sample::metrics::PUT, printed.body).unwrap(), &value);
    }

    #[test]
    fn any_text_and_moment_survive_xml(
        texts in prop::collection::vec("[^\\x00-\\x08\\x0B\\x0C\\x0E-\\x1F\\u{FFFE}\\u{FFFF}]{0,12}", 1..4), days in any::<i32>(),
        blob in any::<Vec<u8>>(), at in any::<u32>(), on in any::<bool>(),
    ) {
        let rule = |text: &String| sample::Rule {
            id: Some(text.clone()),
            days: Some(i64::from(days)),
            blob: Some(Bytes::from(blob.clone())),
            date: Some(Timestamp(i64::from(at))),
            on: Some(on),
            ..sample::Rule::default()
        };
        let value = sample::RuleSet { rules: Some(texts.iter().map(rule).collect()) };
        let printed = wire::encode(Protocol::RestXml, &sample::zones::CHANGE, &value, "id");
        let mut again = post(printed.body);
        again.path = "/2013-04-01/change".into();
        let read = wire::decode(Protocol::RestXml, &sample::zones::CHANGE, again).unwrap();
        let any: Box<dyn std::any::Any> = read;
        prop_assert_eq!(*any.downcast::<sample::RuleSet>().unwrap(), value);
    }
}

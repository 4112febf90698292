//! Requests that do not fit, protocol by protocol: AWS's shape, code and status.

use base::Fault;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use wire::{Operation, Protocol, Request, Structure, route};

use crate::sample;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const CBOR: (&str, &str) = ("smithy-protocol", "rpc-v2-cbor");

fn request(method: &str, target: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Request {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    let body = Bytes::copy_from_slice(body.as_ref());
    Request { method: method.parse().unwrap(), path: path.into(), query: query.into(), headers: map, body }
}

fn take(protocol: Protocol, operation: &'static Operation, request: Request) -> Result<Box<dyn Structure>, Fault> {
    let input = wire::decode(protocol, operation, request)?;
    wire::validate(operation, &*input)?;
    Ok(input)
}

/// The fault and what a client sees of it.
fn refused(protocol: Protocol, operation: &'static Operation, request: Request) -> (Fault, u16, String) {
    let fault = take(protocol, operation, request).unwrap_err();
    let printed = wire::encode_fault(protocol, Some(operation.service), &fault, "id");
    let text = String::from_utf8_lossy(&printed.body).into_owned();
    (fault, printed.status, text)
}

fn json(protocol: Protocol, operation: &'static Operation, body: impl AsRef<[u8]>) -> (String, u16, String) {
    let (fault, status, text) = refused(protocol, operation, request("POST", "/", &[], body));
    (fault.code.into_owned(), status, text)
}

#[test]
fn aws_json_says_what_could_not_be_converted() {
    let put = &sample::json::PUT_THING;
    let says = |body: &str, words: &str| {
        let wanted =
            format!("{{\"__type\":\"SerializationException\",\"Message\":{}}}", serde_json::to_string(words).unwrap());
        assert_eq!(json(Protocol::Json11, put, body), ("SerializationException".into(), 400, wanted), "{body}");
    };
    says(r#"{"Timeout":"5"}"#, "STRING_VALUE can not be converted to an Integer");
    says(r#"{"Timeout":true}"#, "TRUE_VALUE can not be converted to an Integer");
    says(r#"{"MemorySize":false}"#, "FALSE_VALUE can not be converted to a Long");
    says(r#"{"Timeout":[1]}"#, "Start of list found where not expected");
    says(r#"{"Timeout":{"a":1}}"#, "Start of structure or map found where not expected.");
    says(r#"{"FunctionName":1}"#, "NUMBER_VALUE can not be converted to a String");
    says(r#"{"Layers":"x"}"#, "Expected list or null");
    says(r#"{"Layers":[1]}"#, "NUMBER_VALUE can not be converted to a String");
    says(r#"{"Environment":"x"}"#, "Expected null");
    says(r#"{"Weights":"x"}"#, "Expected map or null");
    says(r#"{"At":"yesterday"}"#, "STRING_VALUE can not be converted to milliseconds since epoch");
    says(r#"{"On":5}"#, "NUMBER_VALUE can not be converted to milliseconds since epoch");
    says(r#"{"MemorySize":1e30}"#, "NUMBER_VALUE can not be converted to a Long");
    says("[]", "Start of list found where not expected");
    says("{\"a\":\"\u{7f}", "Unexpected end of the JSON text");
    assert_eq!(json(Protocol::Json11, put, b"{\"Handler\":\"\xff\"}").0, "SerializationException");
}

#[test]
fn the_newer_framework_has_words_of_its_own() {
    let put = &sample::tables::PUT;
    let says = |body: &str, words: &str| {
        let (code, status, text) = json(Protocol::Json10, put, body);
        assert_eq!((&*code, status), ("SerializationException", 400));
        let seen: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(seen["__type"], "com.amazon.coral.service#SerializationException");
        assert_eq!(seen["Message"], words, "{body}");
    };
    says(r#"{"Timeout":"5"}"#, "STRING_VALUE cannot be converted to Integer");
    says(r#"{"FunctionName":34.56}"#, "DECIMAL_VALUE cannot be converted to String");
    says(r#"{"FunctionName":[]}"#, "Unrecognized collection type class java.lang.String");
    says(r#"{"FunctionName":{}}"#, "Start of structure or map found where not expected");
    says(r#"{"Layers":"x"}"#, "Unexpected field type");
    says(r#"{"Code":{"ZipFile":1}}"#, "only base-64-encoded strings are convertible to bytes");
    says(r#"{"Code":{"ZipFile":"23456"}}"#, "Base64 encoded length is expected a multiple of 4 bytes but found: 5");
    says(r#"{"Code":{"ZipFile":"=+/="}}"#, "Invalid last non-pad Base64 character dectected");
    let (_, _, text) = json(Protocol::Json10, put, "{}");
    assert!(text.contains("com.amazon.coral.validate#ValidationException"), "{text}");
    let missing = sample::not_found("no table");
    let printed = wire::encode_fault(Protocol::Json10, Some(&sample::TABLES), &missing, "id");
    let seen: serde_json::Value = serde_json::from_slice(&printed.body).unwrap();
    assert_eq!(seen["__type"], "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException");
}

#[test]
fn a_number_out_of_range_is_refused_by_the_range() {
    let put = &sample::json::PUT_THING;
    let (fault, status, _) =
        refused(Protocol::Json11, put, request("POST", "/", &[], r#"{"FunctionName":"f","Timeout":99999999999}"#));
    assert_eq!((&*fault.code, status), ("InvalidParameterException", 400));
    assert!(
        fault.message.contains("'99999999999' at 'timeout' failed to satisfy constraint: Member must have value less")
    );
    // A fraction is cut, as AWS cuts it, and the last of two members counts.
    let body = r#"{"Timeout":1,"Timeout":5.9}"#;
    let input = wire::decode(Protocol::Json11, put, request("POST", "/", &[], body)).unwrap();
    assert_eq!(wire::text_member(&*input, "Timeout").as_deref(), Some("5"));
}

#[test]
fn bodies_of_another_protocol_are_refused() {
    for (protocol, operation, media) in [
        (Protocol::Json11, &sample::json::PUT_THING, "application/xml"),
        (Protocol::RestJson, &sample::rest::CREATE_FUNCTION, "application/cbor"),
        (Protocol::Cbor, &sample::metrics::PUT, "application/json"),
    ] {
        let (fault, status, _) = refused(protocol, operation, request("POST", "/", &[("content-type", media)], "{}"));
        assert_eq!((&*fault.code, status), ("UnsupportedMediaTypeException", 415), "{media}");
    }
}

#[test]
fn forms_are_malformed_input() {
    for (protocol, operation) in
        [(Protocol::Query, &sample::query::CREATE_ROLE), (Protocol::Ec2Query, &sample::machines::RUN)]
    {
        let says = |body: &[u8], words: &str| {
            let (fault, status, text) = refused(protocol, operation, request("POST", "/", &[FORM], body));
            assert_eq!((&*fault.code, status, &*fault.message), ("MalformedInput", 400, words));
            assert!(text.contains("<Code>MalformedInput</Code><Message>"), "{text}");
        };
        says(b"Publish=TRUE", "boolean must follow xsd1.1 definition");
        says(b"Publish=", "missing value for boolean type");
        says(b"Timeout=", "missing value for decimal type");
        says(b"Timeout=abc", "'abc' can not be converted to an Integer");
        says(b"Timeout=3000000000", "'3000000000' can not be converted to an Integer");
        says(b"Code.ZipFile=###", "'###' can not be converted to a Blob");
        says(b"On=yesterday", "'yesterday' can not be converted to milliseconds since epoch");
        says(b"FunctionName.a=1", "Unexpected complex element termination");
        says(b"Handler=%ff", "The request's parameters are not valid UTF-8");
        says(format!("{}=1", ["a"; 200].join(".")).as_bytes(), "A parameter's name has more than 128 parts");
        let (fault, _, _) = refused(protocol, operation, request("POST", "/", &[FORM], "Timeout=901"));
        let (code, words) = match protocol {
            Protocol::Query => ("ValidationError", "4 validation errors detected: Value null at 'functionName'"),
            _ => ("MissingParameter", "The request must contain the parameter FunctionName"),
        };
        assert_eq!(&*fault.code, code);
        assert!(fault.message.starts_with(words), "{fault}");
    }
    let (_, _, text) = refused(Protocol::Ec2Query, &sample::machines::RUN, request("POST", "/", &[FORM], "Publish=x"));
    assert!(text.contains("<Response><Errors><Error><Code>MalformedInput</Code>"), "{text}");
    assert!(text.ends_with("<RequestID>id</RequestID></Response>"), "{text}");
}

fn rules(body: impl AsRef<[u8]>) -> (Fault, u16, String) {
    refused(Protocol::RestXml, &sample::store::PUT_RULES, request("PUT", "/b?rules", &[], body))
}

#[test]
fn a_body_s3_cannot_use_is_malformed_xml() {
    let with = |inner: &str| format!("<RuleConfiguration><Rule><ID>a</ID>{inner}</Rule></RuleConfiguration>");
    let good = with("<Days> 5 </Days><Status>Enabled</Status><Date>2026-11-21T00:00:00.000Z</Date><Blob>YQ==</Blob>");
    take(Protocol::RestXml, &sample::store::PUT_RULES, request("PUT", "/b?rules", &[], &good)).unwrap();
    for body in [
        with("<Days>many</Days>").into_bytes(),
        with("<Days>3000000000</Days>").into_bytes(),
        with("<Days>901</Days>").into_bytes(),
        with("<Days><a/></Days>").into_bytes(),
        with("<Days>1</Days><Days>2</Days>").into_bytes(),
        with("<Status>On</Status>").into_bytes(),
        with("<Date>yesterday</Date>").into_bytes(),
        with("<Blob>#</Blob>").into_bytes(),
        with("<On>maybe</On>").into_bytes(),
        b"<RuleConfiguration><Rule/></RuleConfiguration>".to_vec(),
        b"<Other/>".to_vec(),
        b"<RuleConfiguration>".to_vec(),
        b"not xml".to_vec(),
        b"<RuleConfiguration>\xff</RuleConfiguration>".to_vec(),
        b"<!DOCTYPE x [<!ENTITY a \"b\">]><RuleConfiguration/>".to_vec(),
        with(&"<a>".repeat(200)).into_bytes(),
    ] {
        let (fault, status, text) = rules(&body);
        let shown = String::from_utf8_lossy(&body).into_owned();
        assert_eq!((&*fault.code, status), ("MalformedXML", 400), "{shown}");
        let wanted = "<Error><Code>MalformedXML</Code><Message>The XML you provided was not well-formed or did not \
                      validate against our published schema</Message><RequestId>id</RequestId><HostId>";
        assert!(text.contains(wanted), "{text}");
    }
    assert_eq!(rules("").0.code, "MissingRequestBodyError");
}

#[test]
fn an_argument_s3_cannot_use_is_named() {
    let put = &sample::store::PUT_RULES;
    let body = "<RuleConfiguration/>";
    let named = |target: &str, headers: &[(&str, &str)], name: &str, value: &str| {
        let (fault, status, text) = refused(Protocol::RestXml, put, request("PUT", target, headers, body));
        assert_eq!((&*fault.code, status), ("InvalidArgument", 400));
        let wanted = format!("<ArgumentName>{name}</ArgumentName><ArgumentValue>{value}</ArgumentValue>");
        assert!(text.contains(&wanted), "{text}");
        fault.message
    };
    let words = named("/b?rules&partNumber=x", &[], "partNumber", "x");
    assert_eq!(words, "Part number must be an integer between 1 and 10000, inclusive");
    named("/b?rules", &[("x-amz-acl", "everyone")], "x-amz-acl", "everyone");
    named("/b?rules", &[("x-amz-until", "tomorrow")], "x-amz-until", "tomorrow");
    let list = request("GET", "/b?max-keys=abc", &[], "");
    let (fault, _, _) = refused(Protocol::RestXml, &sample::store::LIST_THINGS, list);
    assert_eq!(fault.message, "Provided max-keys not an integer or within integer range");
    let since = request("PUT", "/b?rules", &[("if-modified-since", "tomorrow")], body);
    take(Protocol::RestXml, put, since).expect("a condition whose date is none is as if it were not there");
}

#[test]
fn other_xml_services_wrap_their_errors() {
    let post = |body: &str| {
        refused(Protocol::RestXml, &sample::zones::CHANGE, request("POST", "/2013-04-01/change", &[], body))
    };
    let (fault, status, text) = post("<x");
    assert_eq!((&*fault.code, status), ("MalformedInput", 400));
    assert!(text.contains("<ErrorResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">"), "{text}");
    let (fault, _, _) = post("<RuleSet><Rule><Days>5</Days></Rule></RuleSet>");
    assert_eq!(&*fault.code, "InvalidInput");
    assert!(fault.message.starts_with("1 validation error detected: Value null at 'rules.1.member.iD'"), "{fault}");
}

#[test]
fn cbor_is_refused_as_json_is() {
    let put = &sample::metrics::PUT;
    let says = |body: &[u8], words: &str| {
        let (fault, status, _) = refused(Protocol::Cbor, put, request("POST", "/", &[CBOR], body));
        assert_eq!((&*fault.code, status), ("SerializationException", 400), "{body:02x?}");
        assert!(fault.message.contains(words), "{} for {body:02x?}", fault.message);
    };
    // {"Timeout": …}
    let timeout = |value: &[u8]| [b"\xa1\x67Timeout", value].concat();
    says(&timeout(b"\x61a"), "STRING_VALUE can not be converted to an Integer");
    says(&timeout(b"\xf5"), "BOOLEAN_VALUE can not be converted to an Integer");
    says(&timeout(b"\xfb\x3f\xf0\0\0\0\0\0\0"), "NUMBER_VALUE can not be converted to an Integer");
    says(&timeout(b"\x80"), "Start of list found where not expected");
    says(&timeout(b"\xa0"), "Start of structure or map found where not expected.");
    says(&[b"\xa1\x62At", &b"\x01"[..]].concat(), "can not be converted to milliseconds since epoch");
    says(&[b"\xa1\x67Handler", &b"\x61\xff"[..]].concat(), "not well-formed");
    says(b"\xa1\x01\x01", "A CBOR map's key is not text");
    says(b"\xbf", "not well-formed");
    says(b"\xa0\x00", "goes on after its value");
    says(b"\x01", "Expected null");
    says(&[b"\xa1\x64Free", &b"\x41a"[..]].concat(), "BYTES_VALUE can not be converted");
    says(&[b"\xa1\x64Free", &b"\x81".repeat(200)[..]].concat(), "deeper than 128 levels");
    says(&[b"\xa1\x66Layers\x9b\xff\xff\xff\xff\xff\xff\xff\xff", &b"\x61a"[..]].concat(), "not well-formed");
    let (fault, _, _) = refused(Protocol::Cbor, put, request("POST", "/", &[CBOR], timeout(b"\x19\x03\x85")));
    // The sample speaks the query protocol too, as CloudWatch does, and keeps its word in every protocol.
    assert_eq!(&*fault.code, "ValidationError");
}

#[test]
fn a_once_query_service_also_names_the_query_code() {
    let fault = sample::limit_exceeded("too many");
    for protocol in [Protocol::Json10, Protocol::Cbor] {
        let printed = wire::encode_fault(protocol, Some(&sample::METRICS), &fault, "id");
        assert_eq!(printed.headers["x-amzn-query-error"], "LimitExceeded;Sender");
    }
    let printed = wire::encode_fault(Protocol::Json10, Some(&sample::METRICS), &fault, "id");
    let seen: serde_json::Value = serde_json::from_slice(&printed.body).unwrap();
    assert_eq!(seen["__type"], "com.amazonaws.cloudwatch#LimitExceededFault");
}

/// What a client sees of an operation that is not served.
fn seen(request: &Request) -> (String, u16, Protocol) {
    let guess = route::detect(sample::SERVICES, request);
    let fault = guess.operation.expect_err("no operation");
    let printed = wire::encode_fault(guess.protocol, guess.service, &fault, "id");
    (fault.code.into_owned(), printed.status, guess.protocol)
}

#[test]
fn what_aws_has_is_told_from_what_nobody_has() {
    let signed = |service: &str| {
        format!(
            "AWS4-HMAC-SHA256 Credential=AKID/20261121/eu-west-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
        )
    };
    let target = |name: &str| request("POST", "/", &[("x-amz-target", &format!("Logs_20140328.{name}"))], "{}");
    assert_eq!(seen(&target("StartQuery")), ("NotImplemented".into(), 501, Protocol::Json11));
    assert_eq!(seen(&target("Nonsense")), ("UnknownOperationException".into(), 400, Protocol::Json11));
    let action = |name: &str, service: &str| {
        let body = format!("Action={name}&Version=2010-05-08");
        request("POST", "/", &[FORM, ("authorization", &signed(service))], body)
    };
    assert_eq!(seen(&action("CreateGroup", "iam")), ("NotImplemented".into(), 501, Protocol::Query));
    assert_eq!(seen(&action("Nonsense", "iam")), ("InvalidAction".into(), 400, Protocol::Query));
    assert_eq!(seen(&action("StopInstances", "ec2")), ("NotImplemented".into(), 501, Protocol::Ec2Query));
    assert_eq!(seen(&action("Nonsense", "ec2")), ("InvalidAction".into(), 400, Protocol::Ec2Query));
    let cbor = |name: &str| {
        let path = format!("/service/GraniteServiceVersion20100801/operation/{name}");
        request("POST", &path, &[CBOR], b"\xa0")
    };
    assert_eq!(seen(&cbor("GetMetricData")), ("NotImplemented".into(), 501, Protocol::Cbor));
    assert_eq!(seen(&cbor("Nonsense")), ("UnknownOperationException".into(), 404, Protocol::Cbor));
    let found = route::detect(sample::SERVICES, &cbor("PutMetricData"));
    assert_eq!(found.operation.unwrap().name, "PutMetricData");
    let s3 = |method: &str, target: &str| request(method, target, &[("authorization", &signed("s3"))], "");
    assert_eq!(seen(&s3("GET", "/b?tagging")), ("NotImplemented".into(), 501, Protocol::RestXml));
    assert_eq!(seen(&s3("PATCH", "/b")), ("MethodNotAllowed".into(), 405, Protocol::RestXml));
    let found = route::detect(sample::SERVICES, &s3("GET", "/b?location"));
    assert_eq!(found.operation.unwrap().name, "GetPlace");
    let unknown = request("GET", "/2015-03-31/nothing", &[("authorization", &signed("lambda"))], "");
    assert_eq!(seen(&unknown), ("UnknownOperationException".into(), 404, Protocol::RestJson));
    let form = request("POST", "/", &[FORM, ("authorization", &signed("iam"))], "Name=x");
    assert_eq!(seen(&form), ("MissingAction".into(), 400, Protocol::Query));
}

#[test]
fn s3_prints_its_own_roots_and_names_of_requests() {
    let text = |operation: &'static Operation, output: &dyn Structure| {
        let printed = wire::encode(Protocol::RestXml, operation, output, "id");
        assert_eq!(printed.headers["x-amz-request-id"], "id");
        assert!(printed.headers.contains_key("x-amz-id-2") && !printed.headers.contains_key("x-amzn-requestid"));
        String::from_utf8(printed.body.to_vec()).unwrap()
    };
    let output = sample::ListThingsOutput {
        name: Some("b".into()),
        rules: Some(vec![sample::Rule { id: Some("1".into()), ..sample::Rule::default() }; 2]),
    };
    assert_eq!(
        text(&sample::store::LIST_THINGS, &output),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <Name>b</Name><Contents><ID>1</ID></Contents><Contents><ID>1</ID></Contents></ListBucketResult>"
    );
    let place = |place: Option<&str>| sample::GetPlaceOutput { location_constraint: place.map(str::to_owned) };
    let root = "<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";
    assert!(
        text(&sample::store::GET_PLACE, &place(Some("eu-west-1")))
            .ends_with(&format!("{root}>eu-west-1</LocationConstraint>"))
    );
    assert!(text(&sample::store::GET_PLACE, &place(None)).ends_with(&format!("{root}/>")));
    let empty = wire::encode(Protocol::RestXml, &sample::store::PUT_RULES, &wire::Unit, "id");
    assert!(empty.body.is_empty() && !empty.headers.contains_key("content-type"));
}

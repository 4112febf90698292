//! What must hold over every modelled service.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use wire::{Kind, Location, Op, Operation, Protocol, Request, Shape, route};

fn operations() -> impl Iterator<Item = &'static Operation> {
    model::SERVICES.iter().flat_map(|service| service.operations).copied()
}

fn each_shape(shape: &'static Shape, seen: &mut BTreeSet<usize>, visit: &mut impl FnMut(&'static Shape)) {
    if !seen.insert(std::ptr::from_ref(shape).addr()) {
        return;
    }
    visit(shape);
    match shape.kind {
        Kind::Structure(members) | Kind::Union(members) => {
            members.iter().for_each(|it| each_shape(it.shape, seen, visit))
        }
        Kind::List(item) => each_shape(item.shape, seen, visit),
        Kind::Map(key, value) => {
            each_shape(key.shape, seen, visit);
            each_shape(value.shape, seen, visit);
        }
        _ => {}
    }
}

#[test]
fn every_pattern_of_the_model_compiles() {
    let mut broken = Vec::new();
    let mut seen = BTreeSet::new();
    for operation in operations() {
        each_shape(operation.input_shape, &mut seen, &mut |shape| {
            if let Some(pattern) = shape.pattern.filter(|pattern| !wire::pattern_compiles(pattern)) {
                broken.push(format!("{}: {pattern}", shape.name));
            }
        });
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(seen.len() > 200);
}

/// A request as a client of the service makes it: signed for the service, with what the operation cannot do without.
fn asked(operation: &Operation, protocol: Protocol) -> Request {
    let service = operation.service;
    let mut headers = HeaderMap::new();
    let scope = format!(
        "AWS4-HMAC-SHA256 Credential=AKID/20261121/eu-west-1/{}/aws4_request, SignedHeaders=host, Signature=0",
        service.signing_name
    );
    headers.insert("authorization", HeaderValue::from_str(&scope).unwrap());
    let mut request =
        Request { method: Method::POST, path: "/".into(), query: String::new(), headers, body: Bytes::new() };
    let mut set = |name: &'static str, value: &str| {
        request.headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    };
    match protocol {
        Protocol::Json10 | Protocol::Json11 => {
            set("x-amz-target", &format!("{}.{}", service.target_prefix, operation.name));
        }
        Protocol::Cbor => {
            set("smithy-protocol", "rpc-v2-cbor");
            request.path = format!("/service/{}/operation/{}", service.target_prefix, operation.name);
        }
        Protocol::Query | Protocol::Ec2Query => {
            set("content-type", "application/x-www-form-urlencoded; charset=utf-8");
            request.body = format!("Action={}&Version={}", operation.name, service.version).into();
        }
        Protocol::RestJson | Protocol::RestXml => {
            let (path, query) = operation.uri.split_once('?').unwrap_or((operation.uri, ""));
            let parts: Vec<_> = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect();
            request.method = operation.method.parse().unwrap();
            request.path = parts.join("/");
            request.query = query.to_owned();
            for member in operation.input_shape.members().iter().filter(|member| member.required) {
                match member.location {
                    Location::Query => request.query += &format!("&{}=1", member.wire),
                    Location::Header => {
                        let name = HeaderName::from_bytes(member.wire.as_bytes()).unwrap();
                        request.headers.insert(name, HeaderValue::from_static("1"));
                    }
                    _ => {}
                }
            }
        }
    }
    request
}

/// All services share one port, and some their signing name, their paths or their targets' words.
#[test]
fn every_operation_is_found_by_a_clients_request_in_each_of_its_protocols() {
    let mut wrong = Vec::new();
    for operation in operations() {
        assert!(!operation.service.protocols.is_empty(), "{operation:?} speaks no protocol");
        for protocol in operation.service.protocols {
            let guess = route::detect(model::SERVICES, &asked(operation, *protocol));
            let found = guess.operation.as_ref().is_ok_and(|found| std::ptr::eq(*found, operation));
            // Which version of JSON is told by a header that was left out here.
            if !found || guess.protocol != *protocol {
                wrong.push(format!("{operation:?} in {protocol:?}: {guess:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Without a scope the version tells query services apart: STS's calls for a web identity are not signed.
#[test]
fn unsigned_queries_are_told_apart_by_their_version() {
    let speaks = |operation: &&Operation| operation.service.protocols.contains(&Protocol::Query);
    for operation in operations().filter(speaks) {
        let mut request = asked(operation, Protocol::Query);
        request.headers.remove("authorization");
        let found = route::detect(model::SERVICES, &request).operation.unwrap();
        assert!(std::ptr::eq(found, operation), "{operation:?} is taken for {found:?}");
    }
}

/// A store of objects takes every path, so it gets only what is signed for it or sent to a host of its own.
#[test]
fn the_store_gets_nothing_that_is_not_addressed_to_it() {
    let store = route::store(model::SERVICES).unwrap();
    assert_eq!(store.name, "s3");
    let get = operations().find(|operation| operation.name == "GetObject").unwrap();
    let mut request = asked(get, Protocol::RestXml);
    request.headers.remove("authorization");
    assert!(!route::detect(model::SERVICES, &request).aws);
    let stored = route::detect_stored(store, &request);
    assert_eq!((stored.operation.unwrap().name, stored.protocol), ("GetObject", Protocol::RestXml));
    request.query = "X-Amz-Credential=AKID%2F20261121%2Feu-west-1%2Fs3%2Faws4_request".into();
    assert_eq!(route::detect(model::SERVICES, &request).operation.unwrap().name, "GetObject");
    let put = operations().find(|operation| operation.name == "PutObject").unwrap();
    let mut form = asked(put, Protocol::RestXml);
    form.headers.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
    form.headers.insert("x-amz-target", HeaderValue::from_static("Logs_20140328.CreateLogGroup"));
    form.body = Bytes::from_static(b"Action=CreateRole&Version=2010-05-08");
    assert_eq!(route::detect(model::SERVICES, &form).operation.unwrap().name, "PutObject", "an object may be a form");
}

#[test]
fn queues_are_spoken_of_in_the_words_of_the_query_protocol_too() {
    use model::sqs;
    let send = sqs::ops::SendMessage::ROW;
    let mut request = asked(send, Protocol::Query);
    let form = "Action=SendMessage&Version=2012-11-05&QueueUrl=q&MessageBody=b&MessageAttribute.1.Name=n\
                &MessageAttribute.1.Value.DataType=String&MessageAttribute.1.Value.StringValue=v";
    request.body = Bytes::from_static(form.as_bytes());
    let any: Box<dyn std::any::Any> = wire::decode(Protocol::Query, send, request).unwrap();
    let input = any.downcast::<sqs::SendMessageRequest>().unwrap();
    let value = &input.message_attributes.as_ref().unwrap()["n"];
    assert_eq!((input.message_body.as_deref(), value.string_value.as_deref()), (Some("b"), Some("v")));

    let attributes = BTreeMap::from([("SentTimestamp".to_owned(), "1".to_owned())]);
    let message = sqs::Message { body: Some("b".into()), attributes: Some(attributes), ..Default::default() };
    let output = sqs::ReceiveMessageResult { messages: Some(vec![message]) };
    let receive = sqs::ops::ReceiveMessage::ROW;
    let printed = wire::encode(Protocol::Query, receive, &output, "id").body;
    let printed = String::from_utf8(printed.to_vec()).unwrap();
    let wanted = "<ReceiveMessageResult><Message><Body>b</Body>\
                  <Attribute><Name>SentTimestamp</Name><Value>1</Value></Attribute></Message></ReceiveMessageResult>";
    assert!(printed.contains(wanted), "{printed}");
    let json = wire::encode(Protocol::Json10, receive, &output, "id").body;
    assert_eq!(json, r#"{"Messages":[{"Body":"b","Attributes":{"SentTimestamp":"1"}}]}"#);
}

#[test]
fn every_empty_input_and_output_passes_through_its_codecs() {
    for operation in operations() {
        let input = (operation.input)();
        // Inputs with required members are refused, the others pass; neither panics.
        let required = operation.input_shape.members().iter().any(|member| member.required);
        assert_eq!(wire::validate(operation, &*input).is_err(), required, "{}", operation.name);
        for protocol in operation.service.protocols {
            let printed = wire::encode(*protocol, operation, &*input, "id");
            assert_eq!(printed.status, operation.status, "{}", operation.name);
        }
    }
}

#[test]
fn an_input_can_be_copied_without_one_of_its_members() {
    use model::lambda::{CreateFunctionRequest, Environment, FunctionCode, ops};
    use wire::Op;
    let row = ops::CreateFunction::ROW;
    let input = CreateFunctionRequest {
        function_name: Some("hello".into()),
        timeout: Some(7),
        code: Some(FunctionCode { zip_file: Some(Bytes::from_static(b"zip")), ..Default::default() }),
        environment: Some(Environment { variables: Some([("A".to_owned(), "1".to_owned())].into()) }),
        ..Default::default()
    };
    let copy = |path: &str| -> CreateFunctionRequest {
        let any: Box<dyn std::any::Any> = wire::without(row, &input, path).unwrap();
        *any.downcast().unwrap()
    };
    assert_eq!(copy("Handler"), input, "what is not there cannot be missed");
    assert_eq!(copy("Timeout"), CreateFunctionRequest { timeout: None, ..input.clone() });
    assert_eq!(copy("Code.ZipFile"), CreateFunctionRequest { code: Some(FunctionCode::default()), ..input.clone() });
    assert_eq!(copy("Code"), CreateFunctionRequest { code: None, ..input.clone() });
}

#[test]
fn each_item_of_a_list_loses_the_member() {
    use model::logs::{InputLogEvent, PutLogEventsRequest, ops};
    use wire::Op;
    let event = |timestamp| InputLogEvent { timestamp, message: Some("m".into()) };
    let input = PutLogEventsRequest { log_events: Some(vec![event(Some(1)), event(Some(2))]), ..Default::default() };
    let any: Box<dyn std::any::Any> = wire::without(ops::PutLogEvents::ROW, &input, "logEvents.timestamp").unwrap();
    let copy: PutLogEventsRequest = *any.downcast().unwrap();
    assert_eq!(copy.log_events, Some(vec![event(None), event(None)]));
}

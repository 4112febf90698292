//! AWS's protocol tests, seen from the server: what a client serialises we must read, what it parses we must print.

use base::Fault;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value as Json, json};
use wire::{ErrorShape, Operation, Protocol, Request, Response, Service, Shape, Structure, Unit};

use crate::dynamic::{self, Record, Value};
use crate::{documents, vectors};

/// Cases a server has nothing to say to, by file and a part of their name, each with the reason.
const SKIPPED: &[(&str, &str, &str)] = &[
    ("input", "SDKApp", "the vector names a compressed body without holding it; expanding one is the gateway's"),
    ("input/rest", "QueryParamsStringListMap", QUERY_MAP),
    ("input/rest", "QueryPrecedence", QUERY_MAP),
    ("input/rest-xml.json", "AllQueryStringTypes", QUERY_MAP),
    ("input/rest-xml.json", "RestXmlQueryStringEscaping", QUERY_MAP),
    ("input/rest-xml.json", "FloatQueryValues", QUERY_MAP),
    ("input/rest-xml.json", "RestXmlZeroAndFalseQueryValues", QUERY_MAP),
    ("input/rest-json.json", "RestJsonHttpPayloadWithUnsetUnion", "nobody can tell an unset payload from an empty one"),
    ("output/json.json", "AwsJson11IntEnums", "the vector's answer has a request's header"),
    ("output/json.json", "parses_double_shapes", "serde_json reads the vector's own number inexactly"),
    ("output/json.json", "parses_the_request_id", "the request id is ours"),
    (
        "output/rest-xml.json",
        "SimpleScalarPropertiesWithXMLPreamble",
        "text beside elements, which a server never prints",
    ),
    ("legacy/output/json.json", "3:1", "the vector's list holds what none of its shapes is"),
    ("legacy/output/json.json", "6:0", "an event stream: see events.rs"),
    ("legacy/output/json.json", "7:2", UNDEFINED),
    ("legacy/output/rest-json.json", "2:0", "a moment is printed in UTC"),
    ("legacy/output/rest-json.json", "13:3", UNDEFINED),
    ("legacy/output/rest-json.json", "13:4", UNDEFINED),
    ("legacy/output/rest-json.json", "13:5", UNDEFINED),
    ("legacy/output/rest-json.json", "13:6", UNDEFINED),
    ("legacy/output/rest-json.json", "18:0", "white space in a header's list says nothing"),
    ("legacy/output/rest-xml.json", "15:1", UNDEFINED),
    ("legacy/output/rest-xml.json", "15:2", UNDEFINED),
    ("legacy/output/rest-xml.json", "17:0", "white space in a header's list says nothing"),
    ("legacy/input/rest-json.json", "25:7", "the client fills in a content type of its own"),
];

const UNDEFINED: &str = "the error has members that its operation does not declare";
const QUERY_MAP: &str = "a client leaves bound parameters out of the map, a server puts all into it";

/// Cases whose body may be written in more ways than one, with what ours does: it reads as theirs does.
const OTHERWISE: &[(&str, &str, &str)] = &[
    ("output", "DateTimeWith", "a moment is printed in UTC"),
    ("output", "FooErrorUsing", "the type stands in one of the places where clients look"),
    ("output", "FooErrorWithDunderType", "the type stands in one of the places where clients look"),
    ("output/rest-xml.json", "InvalidGreetingError", "the vector has a member no shape has"),
    ("output/rest-xml.json", "ComplexEscapes", "a line feed stands for itself"),
    ("output/query.json", "QueryXmlNamespaces", "a structure declares what its shape says"),
    ("output/ec2.json", "Ec2XmlNamespaces", "a structure declares what its shape says"),
];

/// botocore's files, each with the protocol it is about.
const FILES: &[(&str, Protocol)] = &[
    ("json_1_0.json", Protocol::Json10),
    ("json_1_0-query-compatible.json", Protocol::Json10),
    ("json.json", Protocol::Json11),
    ("rest-json.json", Protocol::RestJson),
    ("rest-xml.json", Protocol::RestXml),
    ("query.json", Protocol::Query),
    ("ec2.json", Protocol::Ec2Query),
    ("smithy-rpc-v2-cbor.json", Protocol::Cbor),
    ("smithy-rpc-v2-cbor-query-compatible.json", Protocol::Cbor),
    ("smithy-rpc-v2-cbor-non-query-compatible.json", Protocol::Cbor),
];

struct Case<'a> {
    protocol: Protocol,
    operation: &'static Operation,
    row: &'a Json,
    otherwise: bool,
}

fn listed(list: &[(&str, &str, &str)], file: &str, id: &str) -> bool {
    list.iter().any(|(in_file, part, _)| file.contains(in_file) && id.contains(part))
}

/// Runs every case of a folder; answers how many passed and how many were skipped.
fn each(folder: &str, check: impl Fn(&Case<'_>) -> Result<(), String>) -> Option<(usize, usize)> {
    let root = vectors::folder()?.join("protocols").join(folder);
    let (mut passed, mut skipped, mut failed) = (0, 0, Vec::new());
    for (file, protocol) in FILES {
        let Ok(text) = std::fs::read_to_string(root.join(file)) else { continue };
        let suites: Vec<Json> = serde_json::from_str(&text).unwrap();
        let path = format!("{folder}/{file}");
        for (number, suite) in suites.iter().enumerate() {
            for (at, row) in suite["cases"].as_array().unwrap().iter().enumerate() {
                let id = row["id"].as_str().map_or_else(|| format!("{number}:{at}"), str::to_owned);
                if listed(SKIPPED, &path, &id) {
                    skipped += 1;
                    continue;
                }
                let operation = operation(&modern(suite, row), row, *protocol);
                // Older vectors come in namespaces and spellings of many kinds: what they mean is compared.
                let otherwise = folder == "legacy/output" || listed(OTHERWISE, &path, &id);
                let case = Case { protocol: *protocol, operation, row, otherwise };
                match check(&case) {
                    Ok(()) => passed += 1,
                    Err(why) => failed.push(format!("{path} {id}: {}", why.chars().take(1200).collect::<String>())),
                }
            }
        }
    }
    assert!(failed.is_empty(), "{passed} passed, {skipped} skipped, {} failed:\n{}", failed.len(), failed.join("\n"));
    Some((passed, skipped))
}

/// The suite as models are written now: older ones name a payload beside the shape, and places on the shape.
fn modern(suite: &Json, row: &Json) -> Json {
    let mut suite = suite.clone();
    for side in ["input", "output"] {
        let side = &row["given"][side];
        if let (Some(called), Some(payload)) = (side["shape"].as_str(), side["payload"].as_str()) {
            suite["shapes"][called]["payload"] = json!(payload);
        }
    }
    let shapes = suite["shapes"].clone();
    for shape in suite["shapes"].as_object_mut().into_iter().flatten().map(|(_, shape)| shape) {
        for member in shape["members"].as_object_mut().into_iter().flatten().map(|(_, member)| member) {
            let target = &shapes[member["shape"].as_str().unwrap_or_default()];
            if let Some(location) = target["location"].as_str() {
                member["location"] = json!(location);
                if let Some(name) = target["locationName"].as_str() {
                    member["locationName"] = json!(name);
                }
            }
        }
    }
    suite
}

fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

fn operation(suite: &Json, row: &Json, protocol: Protocol) -> &'static Operation {
    let given = &row["given"];
    let uri = given["http"]["requestUri"].as_str().unwrap_or("/");
    let side = |key: &str| -> &'static Shape {
        given[key]["shape"].as_str().map_or(Unit::SHAPE, |called| dynamic::shape(&suite["shapes"], called, uri, 0))
    };
    let name = leak(given["name"].as_str().unwrap_or("OperationName"));
    let meta = &suite["metadata"];
    let service: &'static Service = Box::leak(Box::new(Service {
        target_prefix: leak(meta["targetPrefix"].as_str().unwrap_or_default()),
        version: leak(meta["apiVersion"].as_str().unwrap_or_default()),
        xml_namespace: if protocol == Protocol::RestXml { "" } else { "https://example.com/" },
        protocols: vec![protocol].leak(),
        query_compatible: !meta["awsQueryCompatible"].is_null(),
        ..Service::new("vectors")
    }));
    let wrapper = given["output"]["resultWrapper"]
        .as_str()
        .map_or_else(|| if given["output"].is_null() { String::new() } else { format!("{name}Result") }, str::to_owned);
    let input_shape = side("input");
    dynamic::input_is(input_shape);
    let errors: Vec<&'static ErrorShape> = given["errors"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|error| {
            let called = error["shape"].as_str().unwrap();
            let detail = &suite["shapes"][called]["error"];
            let row = ErrorShape {
                name: leak(called),
                code: leak(detail["code"].as_str().unwrap_or(called)),
                status: detail["httpStatusCode"].as_u64().unwrap_or(400) as u16,
                shape: dynamic::shape(&suite["shapes"], called, uri, 0),
            };
            &*Box::leak(Box::new(row))
        })
        .collect();
    Box::leak(Box::new(Operation {
        name,
        service,
        method: leak(given["http"]["method"].as_str().unwrap_or("POST")),
        uri: leak(uri),
        status: given["http"]["responseCode"].as_u64().unwrap_or(200) as u16,
        input: dynamic::new_input,
        input_shape,
        output_shape: side("output"),
        result_wrapper: leak(&wrapper),
        output_root: "",
        unwrapped: false,
        errors: errors.leak(),
        action: "",
        resource: "*",
    }))
}

fn bytes(protocol: Protocol, body: &Json) -> Bytes {
    let body = body.as_str().unwrap_or_default();
    match protocol {
        Protocol::Cbor => STANDARD.decode(body).unwrap().into(),
        _ => Bytes::copy_from_slice(body.as_bytes()),
    }
}

fn request(protocol: Protocol, serialized: &Json) -> Request {
    let uri = serialized["uri"].as_str().unwrap_or("/");
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let mut headers = HeaderMap::new();
    for (name, value) in serialized["headers"].as_object().into_iter().flatten() {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_str(value.as_str().unwrap()).unwrap());
    }
    Request {
        method: serialized["method"].as_str().unwrap_or("POST").parse().unwrap(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        body: bytes(protocol, &serialized["body"]),
    }
}

fn reads(case: &Case<'_>) -> Result<(), String> {
    let input = wire::decode(case.protocol, case.operation, request(case.protocol, &case.row["serialized"]))
        .map_err(|fault| fault.to_string())?;
    let found = Value::Structure(dynamic::record(input));
    let mut wanted = Value::of(case.operation.input_shape, &case.row["params"]);
    // Clients fill tokens in; the vectors use a fixed one.
    fill_tokens(&mut wanted, &found);
    let (found, wanted) = (without_empty(found.json()), without_empty(wanted.json()));
    if found == wanted { Ok(()) } else { Err(format!("read {found}\n   wanted {wanted}")) }
}

/// Outside a JSON body nobody can tell an empty list or map from none.
fn without_empty(json: Json) -> Json {
    match json {
        Json::Object(members) => {
            let members = members.into_iter().map(|(name, member)| (name, without_empty(member)));
            members.filter(|(_, member)| *member != json!([]) && *member != json!({})).collect()
        }
        Json::Array(items) => items.into_iter().map(without_empty).collect(),
        other => other,
    }
}

fn fill_tokens(wanted: &mut Value, found: &Value) {
    let (Value::Structure(wanted), Value::Structure(found)) = (wanted, found) else { return };
    for (index, member) in wanted.shape.members().iter().enumerate() {
        let token = Some(Value::Text("00000000-0000-4000-8000-000000000000".into()));
        if wanted.fields[index].is_none()
            && found.fields[index] == token
            && member.name.to_lowercase().contains("token")
        {
            wanted.fields[index] = token;
        }
    }
}

fn prints(case: &Case<'_>) -> Result<(), String> {
    let wanted = &case.row["response"];
    let (printed, shape) = if case.row["error"].is_null() {
        let output: Box<dyn Structure> = match Value::of(case.operation.output_shape, &case.row["result"]) {
            Value::Structure(record) if !std::ptr::eq(record.shape, Unit::SHAPE) => Box::new(record),
            _ => Box::new(Unit),
        };
        (wire::encode(case.protocol, case.operation, &*output, "id"), Some(case.operation.output_shape))
    } else {
        (fault(case), None)
    };
    let theirs = bytes(case.protocol, &wanted["body"]);
    same_body(case, shape, &printed.body, &theirs)?;
    if printed.status != wanted["status_code"].as_u64().unwrap_or(200) as u16 {
        return Err(format!("status {}, wanted {}", printed.status, wanted["status_code"]));
    }
    same_headers(case, &printed)
}

/// The fault of a case, as a service would answer it.
fn fault(case: &Case<'_>) -> Response {
    let code = case.row["errorCode"].as_str().unwrap();
    let known = case.operation.errors.iter().find(|error| error.code == code || error.name == code);
    let shape = known.map_or(Unit::SHAPE, |error| error.shape);
    let members = case.row["error"].as_object().unwrap();
    let message = ["message", "Message"].iter().find_map(|name| members.get(*name)?.as_str());
    let body = case.row["response"]["body"].as_str().unwrap_or_default();
    let said = || body.split_once("<Message>").and_then(|(_, rest)| rest.split('<').next());
    let message = message.or(case.row["errorMessage"].as_str()).or_else(said).unwrap_or_default();
    let status = case.row["response"]["status_code"].as_u64().unwrap() as u16;
    let mut fault = Fault::new(leak(code), status, message);
    for (name, value) in members.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("message")) {
        fault = fault.with(leak(name), value.as_str().map_or_else(|| renamed(shape, name, value), str::to_owned));
    }
    let service = Service { operations: vec![case.operation].leak(), ..Service::new("vectors") };
    let service = Service { xml_namespace: "", query_compatible: case.operation.service.query_compatible, ..service };
    wire::encode_fault(case.protocol, Some(Box::leak(Box::new(service))), &fault, "foo-id")
}

/// A field that is a structure, by the names it has on the wire.
fn renamed(shape: &'static Shape, name: &str, value: &Json) -> String {
    let inner = shape.members().iter().find(|member| member.name == name).map(|member| member.shape);
    let Some((inner, members)) = inner.zip(value.as_object()) else { return value.to_string() };
    let wire = |name: &str| {
        inner.members().iter().find(|member| member.name == name).map_or(name.to_owned(), |it| it.wire.to_owned())
    };
    Json::Object(members.iter().map(|(name, value)| (wire(name), value.clone())).collect()).to_string()
}

fn same_headers(case: &Case<'_>, printed: &Response) -> Result<(), String> {
    for (name, value) in case.row["response"]["headers"].as_object().into_iter().flatten() {
        let found = printed.headers.get(name).and_then(|value| value.to_str().ok());
        let space = |text: &str| text.replace(", ", ",");
        // The length is the gateway's to say.
        let ours = ["content-type", "content-length"].iter().any(|ours| name.eq_ignore_ascii_case(ours));
        let type_header = case.otherwise && name.eq_ignore_ascii_case("x-amzn-errortype");
        if found.map(space) != value.as_str().map(space) && !ours && !type_header {
            return Err(format!("header {name}: {found:?}, wanted {value}"));
        }
    }
    Ok(())
}

fn same_body(case: &Case<'_>, shape: Option<&'static Shape>, ours: &Bytes, theirs: &Bytes) -> Result<(), String> {
    let compare = |ours: Json, theirs: Json| {
        if ours == theirs { Ok(()) } else { Err(format!("printed {ours}\n   wanted {theirs}")) }
    };
    let members = shape.map_or(&[][..], |shape| shape.members());
    let payload = members.iter().find(|member| member.location == wire::Location::Payload);
    if payload.is_some_and(|member| matches!(member.shape.kind, wire::Kind::Blob | wire::Kind::Text)) {
        return compare(json!(ours.as_ref()), json!(theirs.as_ref()));
    }
    let empty = |bytes: &Bytes| bytes.iter().all(u8::is_ascii_whitespace);
    match case.protocol {
        Protocol::Query | Protocol::Ec2Query | Protocol::RestXml => {
            if let (Some(shape), false) = (shape, empty(theirs)) {
                compare(values(case, shape, ours)?, values(case, shape, theirs)?)?;
            }
            // A client bears an empty body; a server sends the empty elements.
            if case.otherwise || (empty(theirs) && case.protocol != Protocol::RestXml) {
                return Ok(());
            }
            compare(documents::tree(ours), documents::tree(theirs))
        }
        Protocol::Cbor if shape.is_none() => compare(documents::cbor(ours), documents::cbor(theirs)),
        _ if shape.is_none() && case.otherwise => Ok(()),
        _ if shape.is_none() => compare(documents::json_error(ours), documents::json_error(theirs)),
        _ => match (shape, empty(ours), empty(theirs)) {
            (Some(shape), false, false) => compare(values(case, shape, ours)?, values(case, shape, theirs)?),
            // An object without members and no body say the same to a client.
            (_, false, true) if ours.as_ref() == b"{}" || ours.as_ref() == [0xa0] => Ok(()),
            // An operation without output has nothing to say, and a client bears whatever comes.
            (Some(shape), true, _) if std::ptr::eq(shape, Unit::SHAPE) => Ok(()),
            (_, ours, theirs) if ours == theirs => Ok(()),
            _ => Err(format!("printed {ours:?}\n   wanted {theirs:?}")),
        },
    }
}

/// A body read through its shape, so that 1 and 1.0 or two ways to write a moment are the same.
fn values(case: &Case<'_>, shape: &'static Shape, body: &Bytes) -> Result<Json, String> {
    let mut body = body.clone();
    let mut protocol = case.protocol;
    if matches!(protocol, Protocol::Query | Protocol::Ec2Query) {
        body = documents::result(&body, case.operation);
        protocol = Protocol::RestXml;
    }
    dynamic::input_is(shape);
    let reader = Operation { input: dynamic::new_input, input_shape: shape, ..copy(case.operation) };
    let reader: &'static Operation = Box::leak(Box::new(reader));
    let headers = HeaderMap::new();
    let request =
        Request { method: http::Method::POST, path: "/".into(), query: String::new(), headers, body: body.clone() };
    let read = wire::decode(protocol, reader, request)
        .map_err(|fault| format!("{fault} in {}", String::from_utf8_lossy(&body)))?;
    let record: Record = dynamic::record(read);
    Ok(without_empty(Value::Structure(record).json()))
}

fn copy(operation: &Operation) -> Operation {
    Operation {
        name: operation.name,
        service: operation.service,
        method: operation.method,
        uri: operation.uri,
        status: operation.status,
        input: operation.input,
        input_shape: operation.input_shape,
        output_shape: operation.output_shape,
        result_wrapper: operation.result_wrapper,
        output_root: operation.output_root,
        unwrapped: operation.unwrapped,
        errors: operation.errors,
        action: operation.action,
        resource: operation.resource,
    }
}

#[test]
fn what_clients_send_is_read() {
    let Some((passed, skipped)) = each("input", reads) else { return };
    println!("{passed} requests are read as AWS's clients mean them, {skipped} are listed with a reason");
    assert_eq!(passed + skipped, 367);
}

#[test]
fn what_clients_parse_is_printed() {
    let Some((passed, skipped)) = each("output", prints) else { return };
    println!("{passed} answers are printed as AWS's clients read them, {skipped} are listed with a reason");
    assert_eq!(passed + skipped, 365);
}

#[test]
fn what_older_clients_send_is_read() {
    let Some((passed, skipped)) = each("legacy/input", reads) else { return };
    println!("{passed} older requests are read, {skipped} are listed with a reason");
    assert_eq!(passed + skipped, 162);
}

#[test]
fn what_older_clients_parse_is_printed() {
    let Some((passed, skipped)) = each("legacy/output", prints) else { return };
    println!("{passed} older answers are printed, {skipped} are listed with a reason");
    assert_eq!(passed + skipped, 110);
}

/// A line that excuses no case any more must go.
#[test]
fn every_exception_still_has_a_case() {
    let Some(root) = vectors::folder() else { return };
    let mut cases = Vec::new();
    for folder in ["input", "output", "legacy/input", "legacy/output"] {
        for (file, _) in FILES {
            let path = root.join("protocols").join(folder).join(file);
            let Ok(text) = std::fs::read_to_string(path) else { continue };
            let suites: Vec<Json> = serde_json::from_str(&text).unwrap();
            for (number, suite) in suites.iter().enumerate() {
                for (at, row) in suite["cases"].as_array().unwrap().iter().enumerate() {
                    let id = row["id"].as_str().map_or_else(|| format!("{number}:{at}"), str::to_owned);
                    cases.push((format!("{folder}/{file}"), id));
                }
            }
        }
    }
    for (file, part, _) in SKIPPED.iter().chain(OTHERWISE) {
        let alive = cases.iter().any(|(path, id)| path.contains(file) && id.contains(part));
        assert!(alive, "{file} {part} excuses nothing");
    }
}

//! AWS's protocol tests, seen from the server: what a client serialises we must read, what it parses we must print.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value as Json;
use wire::{Operation, Protocol, Request, Response, Service, Shape, Structure, Unit};

use crate::dynamic::{self, Record, Value};
use crate::vectors;

/// Cases a server has nothing to say to, by a part of their name, each with the reason.
const SKIPPED: &[(&str, &str)] = &[
    ("Gzip", "compressed bodies are the gateway's to expand"),
    ("ContentEncoding", "compressed bodies are the gateway's to expand"),
    ("Base64", "the schema has no JSON in headers: no modelled service uses it"),
    ("QueryParamsStringListMap", "a client leaves bound parameters out of the map, a server puts all into it"),
    ("QueryPrecedence", "a client leaves bound parameters out of the map, a server puts all into it"),
    ("parses_the_request_id", "the request id is ours"),
    ("parses_double_shapes", "serde_json reads the vector's own number inexactly"),
    ("AwsJson11IntEnums", "the vector answers with a request's header"),
    ("UnsetUnion", "content-length is the gateway's"),
    ("DateTimeWith", "a server prints UTC"),
    ("Namespace", "the schema has no namespaces on members: no modelled service uses them"),
];

struct Case<'a> {
    protocol: Protocol,
    operation: &'static Operation,
    row: &'a Json,
}

fn suites(file: &str) -> Option<Vec<Json>> {
    let path = vectors::folder()?.join("protocols").join(file);
    Some(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
}

fn each(file: &str, protocol: Protocol, mut check: impl FnMut(&Case<'_>) -> Result<(), String>) {
    let Some(suites) = suites(file) else { return };
    let (mut passed, mut failed) = (0, Vec::new());
    for suite in &suites {
        for row in suite["cases"].as_array().unwrap() {
            let id = row["id"].as_str().unwrap();
            if SKIPPED.iter().any(|(part, _)| id.contains(part)) {
                continue;
            }
            let case = Case { protocol, operation: operation(suite, row, protocol), row };
            match check(&case) {
                Ok(()) => passed += 1,
                Err(why) => failed.push(format!("{id}: {}", why.chars().take(1200).collect::<String>())),
            }
        }
    }
    assert!(failed.is_empty(), "{passed} passed, {} failed:\n{}", failed.len(), failed.join("\n"));
    assert!(passed > 5, "{file} holds cases");
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
    let name = leak(given["name"].as_str().unwrap());
    let meta = &suite["metadata"];
    let service: &'static Service = Box::leak(Box::new(Service {
        name: "vectors",
        signing_name: "vectors",
        target_prefix: leak(meta["targetPrefix"].as_str().unwrap_or_default()),
        version: leak(meta["apiVersion"].as_str().unwrap_or_default()),
        xml_namespace: "https://example.com/",
        protocols: vec![protocol].leak(),
        operations: &[],
    }));
    let wrapper = given["output"]["resultWrapper"]
        .as_str()
        .map_or_else(|| if given["output"].is_null() { String::new() } else { format!("{name}Result") }, str::to_owned);
    let input_shape = side("input");
    dynamic::input_is(input_shape);
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
        errors: &[],
        action: "",
        resource: "*",
    }))
}

fn request(serialized: &Json) -> Request {
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
        body: Bytes::copy_from_slice(serialized["body"].as_str().unwrap_or_default().as_bytes()),
    }
}

fn reads(case: &Case<'_>) -> Result<(), String> {
    let input = wire::decode(case.protocol, case.operation, request(&case.row["serialized"]))
        .map_err(|fault| fault.to_string())?;
    let found = Value::Structure(dynamic::record(input));
    let mut wanted = Value::of(case.operation.input_shape, &case.row["params"]);
    // Clients fill tokens in; the vectors use a fixed one.
    fill_tokens(&mut wanted, &found);
    let (found, wanted) = (without_empty(found.json()), without_empty(wanted.json()));
    if found == wanted {
        Ok(())
    } else {
        Err(format!(
            "read {found}
   wanted {wanted}"
        ))
    }
}

/// Outside a JSON body nobody can tell an empty list or map from none.
fn without_empty(json: Json) -> Json {
    match json {
        Json::Object(members) => {
            let members = members.into_iter().map(|(name, member)| (name, without_empty(member)));
            members.filter(|(_, member)| *member != serde_json::json!([]) && *member != serde_json::json!({})).collect()
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
    // A case with an error is a fault's; those are tested by themselves.
    if !case.row["error"].is_null() || case.row["result"].is_null() {
        return Ok(());
    }
    let output: Box<dyn Structure> = match Value::of(case.operation.output_shape, &case.row["result"]) {
        Value::Structure(record) if !std::ptr::eq(record.shape, Unit::SHAPE) => Box::new(record),
        _ => Box::new(Unit),
    };
    let printed = wire::encode(case.protocol, case.operation, &*output, "id");
    let given = case.row["response"]["body"].as_str().unwrap_or_default();
    if given.is_empty() && case.protocol == Protocol::Query {
        // A client bears an empty body; a server sends the empty elements.
        return Ok(());
    }
    let back = read_back(case, &printed)?;
    let wanted = &case.row["response"];
    let body = wanted["body"].as_str().unwrap_or_default();
    let mut theirs = printed.clone();
    theirs.body = Bytes::copy_from_slice(body.as_bytes());
    let wanted_back = read_back(case, &theirs)?;
    if back != wanted_back {
        return Err(format!("printed {back}\n   wanted {wanted_back}"));
    }
    if printed.status != wanted["status_code"].as_u64().unwrap_or(200) as u16 {
        return Err(format!("status {}, wanted {}", printed.status, wanted["status_code"]));
    }
    for (name, value) in wanted["headers"].as_object().into_iter().flatten() {
        let found = printed.headers.get(name).and_then(|value| value.to_str().ok());
        let space = |text: &str| text.replace(", ", ",");
        if found.map(space) != value.as_str().map(space) && name.to_lowercase() != "content-type" {
            return Err(format!("header {name}: {found:?}, wanted {value}"));
        }
    }
    Ok(())
}

/// A body in a form that can be compared: JSON as a value without nulls, XML without the space between elements.
fn read_back(case: &Case<'_>, response: &Response) -> Result<Json, String> {
    let text = String::from_utf8_lossy(&response.body).into_owned();
    if case.protocol == Protocol::Query {
        return Ok(tree(&text));
    }
    let payload =
        case.operation.output_shape.members().iter().find(|member| member.location == wire::Location::Payload);
    if payload.is_some_and(|member| matches!(member.shape.kind, wire::Kind::Blob | wire::Kind::Text)) {
        return Ok(Json::String(text));
    }
    if text.trim().is_empty() {
        return Ok(serde_json::json!({}));
    }
    let mut json: Json = serde_json::from_str(&text).map_err(|error| format!("{error} in {text}"))?;
    // Read both through the shape, so that 1 and 1.0 or two ways to write a moment are the same.
    if payload.is_none() {
        let shape = case.operation.output_shape;
        dynamic::input_is(shape);
        let reader = Operation { input: dynamic::new_input, input_shape: shape, ..copy(case.operation) };
        let reader: &'static Operation = Box::leak(Box::new(reader));
        let request = Request {
            method: http::Method::POST,
            path: "/".into(),
            query: String::new(),
            headers: HeaderMap::new(),
            body: response.body.clone(),
        };
        let read = wire::decode(case.protocol, reader, request).map_err(|fault| fault.to_string())?;
        let record: Record = dynamic::record(read);
        json = Value::Structure(record).json();
    }
    Ok(json)
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
        errors: operation.errors,
        action: operation.action,
        resource: operation.resource,
    }
}

/// An XML document as nested pairs of name and content, children sorted: maps have no order, and the few lists of the
/// vectors are sorted already. Metadata is ours and left out.
fn tree(text: &str) -> Json {
    let mut open: Vec<(String, Vec<Json>)> = vec![(String::new(), Vec::new())];
    for part in text.split('<').skip(1) {
        let (tag, content) = part.split_once('>').unwrap();
        if let Some(name) = tag.strip_prefix('/') {
            close(&mut open, name);
        } else if !tag.starts_with('?') {
            let (tag, whole) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
            let name = tag.split(' ').next().unwrap().to_owned();
            open.push((name.clone(), Vec::new()));
            if !content.trim().is_empty() {
                open.last_mut().unwrap().1.push(Json::String(content.to_owned()));
            }
            if whole {
                close(&mut open, &name);
            }
        }
    }
    Json::Array(open.remove(0).1)
}

fn close(open: &mut Vec<(String, Vec<Json>)>, name: &str) {
    let (opened, mut children) = open.pop().unwrap();
    assert_eq!(opened, name, "elements nest");
    children.sort_by_key(Json::to_string);
    if name != "ResponseMetadata" {
        open.last_mut().unwrap().1.push(serde_json::json!([name, children]));
    }
}

#[test]
fn json_1_0_requests_are_read() {
    each("input/json_1_0.json", Protocol::Json10, reads);
}

#[test]
fn json_1_1_requests_are_read() {
    each("input/json.json", Protocol::Json11, reads);
}

#[test]
fn rest_json_requests_are_read() {
    each("input/rest-json.json", Protocol::RestJson, reads);
}

#[test]
fn query_requests_are_read() {
    each("input/query.json", Protocol::Query, reads);
}

#[test]
fn json_1_0_responses_are_printed() {
    each("output/json_1_0.json", Protocol::Json10, prints);
}

#[test]
fn json_1_1_responses_are_printed() {
    each("output/json.json", Protocol::Json11, prints);
}

#[test]
fn rest_json_responses_are_printed() {
    each("output/rest-json.json", Protocol::RestJson, prints);
}

#[test]
fn query_responses_are_printed() {
    each("output/query.json", Protocol::Query, prints);
}

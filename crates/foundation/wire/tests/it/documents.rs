//! Bodies in forms that can be compared: what their order and white space say nothing about is the same.

use bytes::Bytes;
use serde_json::{Value as Json, json};
use wire::Operation;

/// An XML document as nested triples of name, attributes and content, children sorted: maps have no order, and the few
/// lists of the vectors are sorted already. What names the request is ours and left out.
pub(crate) fn tree(body: &Bytes) -> Json {
    let text = String::from_utf8_lossy(body).into_owned();
    let mut open: Vec<(Json, Vec<Json>)> = vec![(json!(null), Vec::new())];
    for part in text.split('<').skip(1) {
        let (tag, content) = part.split_once('>').unwrap();
        if let Some(name) = tag.strip_prefix('/') {
            close(&mut open, name);
        } else if !tag.starts_with(['?', '!']) {
            let (tag, whole) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
            let mut parts = tag.split_whitespace();
            let name = parts.next().unwrap().to_owned();
            let mut attributes: Vec<&str> = parts.collect();
            attributes.sort_unstable();
            open.push((json!([name, attributes]), Vec::new()));
            if !content.trim().is_empty() {
                open.last_mut().unwrap().1.push(Json::String(content.trim().to_owned()));
            }
            if whole {
                close(&mut open, &name);
            }
        }
    }
    Json::Array(open.remove(0).1)
}

fn close(open: &mut Vec<(Json, Vec<Json>)>, name: &str) {
    let (opened, mut children) = open.pop().unwrap();
    assert_eq!(opened[0], name, "elements nest");
    children.sort_by_key(Json::to_string);
    if !["ResponseMetadata", "RequestId", "RequestID", "requestId", "HostId"].contains(&name) {
        open.last_mut().unwrap().1.push(json!([opened, children]));
    }
}

/// The result of a query protocol's answer, as a document of its own.
pub(crate) fn result(body: &Bytes, operation: &Operation) -> Bytes {
    let text = String::from_utf8_lossy(body).into_owned();
    let wrapper = operation.result_wrapper;
    let from = text.find(&format!("<{wrapper}")).filter(|_| !wrapper.is_empty());
    let close = format!("</{wrapper}>");
    match (from, text.rfind(&close)) {
        (Some(from), Some(to)) => Bytes::copy_from_slice(&text.as_bytes()[from..to + close.len()]),
        (Some(_), None) => Bytes::from_static(b"<empty/>"),
        _ => body.clone(),
    }
}

/// A JSON error: the name space before the type says nothing.
pub(crate) fn json_error(body: &Bytes) -> Json {
    let mut json: Json = if body.is_empty() { json!({}) } else { serde_json::from_slice(body).unwrap() };
    bare_type(&mut json);
    json
}

fn bare_type(json: &mut Json) {
    if let Some(text) = json["__type"].as_str() {
        json["__type"] = json!(text.rsplit('#').next());
    }
}

/// CBOR as JSON.
pub(crate) fn cbor(body: &Bytes) -> Json {
    let mut decoder = minicbor::Decoder::new(body);
    let mut json = item(&mut decoder);
    bare_type(&mut json);
    json
}

fn item(decoder: &mut minicbor::Decoder<'_>) -> Json {
    use minicbor::data::Type;
    match decoder.datatype().unwrap() {
        Type::Map | Type::MapIndef => {
            let length = decoder.map().unwrap();
            let mut members = serde_json::Map::new();
            for _ in 0..length.unwrap_or(u64::MAX) {
                if decoder.datatype().unwrap() == Type::Break {
                    decoder.skip().unwrap();
                    break;
                }
                let key = decoder.str().unwrap().to_owned();
                members.insert(key, item(decoder));
            }
            Json::Object(members)
        }
        Type::String => json!(decoder.str().unwrap()),
        Type::Bool => json!(decoder.bool().unwrap()),
        other => json!(format!("{other:?} {}", decoder.i64().unwrap())),
    }
}

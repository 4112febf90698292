//! What a function's answer means as HTTP.
//! Source: API Gateway Developer Guide, "Lambda proxy integrations in API Gateway", "Output format of a Lambda function for
//! proxy integration".

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use door::proxy::plain;
use door::{Body, SiteResponse};
use http::header::{self, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::Visit;
use crate::rest::rules::media;

/// The members an answer may have; one with others is none, and none must be there.
const MEMBERS: [&str; 5] = ["statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"];

/// Headers that are ours to say: an answer's own get this name before theirs.
const REMAPPED: [HeaderName; 6] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::DATE,
    header::SERVER,
    header::WWW_AUTHENTICATE,
    HeaderName::from_static("x-amzn-requestid"),
];
/// What is about a connection only: RFC 9110, 7.6.1.
const DROPPED: [HeaderName; 5] =
    [header::TRANSFER_ENCODING, header::TE, header::TRAILER, header::UPGRADE, HeaderName::from_static("keep-alive")];

/// None if it is no answer.
pub(super) fn of(visit: &Visit<'_>, payload: &Bytes) -> Option<SiteResponse> {
    let mut answer: Map<String, Value> = serde_json::from_slice(payload).ok()?;
    if answer.keys().any(|name| !MEMBERS.contains(&&**name)) {
        return None;
    }
    let status = match answer.get("statusCode") {
        None | Some(Value::Null) => 200,
        Some(Value::Number(number)) => u16::try_from(number.as_u64()?).ok()?,
        Some(Value::String(text)) => text.parse().ok()?,
        Some(_) => return None,
    };
    // Interim answers (1xx) are not a function's to give.
    if !(200..=599).contains(&status) {
        return None;
    }
    let headers = headers(&answer)?;
    let encoded = match answer.get("isBase64Encoded") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(encoded)) => *encoded,
        Some(_) => return None,
    };
    let body: Bytes = match answer.remove("body") {
        None | Some(Value::Null) => Bytes::new(),
        Some(Value::String(text)) if encoded && is_binary(visit) => STANDARD.decode(text).ok()?.into(),
        Some(Value::String(text)) => text.into(),
        Some(_) => return None,
    };
    Some(SiteResponse { status, headers: remapped(headers), body: Body::Bytes(body) })
}

/// Whether the client wants a type that is binary here. AWS goes by the first type that it accepts.
fn is_binary(visit: &Visit<'_>) -> bool {
    let first = visit.accept().and_then(|accept| accept.split(',').next()).unwrap_or("*/*");
    media::is_any_of(&visit.stage.content.binary, first)
}

fn headers(answer: &Map<String, Value>) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    let object = |name: &str| match answer.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(object) => object.as_object().map(Some),
    };
    for (name, value) in object("headers")?.into_iter().flatten() {
        headers.insert(name.parse::<HeaderName>().ok()?, HeaderValue::from_bytes(plain(value)?.as_bytes()).ok()?);
    }
    // What stands here goes before what stands there.
    for (name, values) in object("multiValueHeaders")?.into_iter().flatten() {
        let name: HeaderName = name.parse().ok()?;
        headers.remove(&name);
        for value in values.as_array()? {
            headers.append(name.clone(), HeaderValue::from_bytes(plain(value)?.as_bytes()).ok()?);
        }
    }
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    Some(headers)
}

/// An integration's headers as they go out.
pub(super) fn remapped(mut headers: HeaderMap) -> HeaderMap {
    DROPPED.iter().for_each(|name| drop(headers.remove(name)));
    for name in &REMAPPED {
        let Some(value) = headers.remove(name) else { continue };
        if let Ok(name) = format!("x-amzn-remapped-{name}").parse::<HeaderName>() {
            headers.insert(name, value);
        }
    }
    headers
}

//! Events of a function behind a REST API.
//! Source: API Gateway Developer Guide, "Lambda proxy integrations in API Gateway", "Input format of a Lambda function for
//! proxy integration".

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH};
use serde_json::{Value, json};

use super::live::{Judge, Ready};
use super::{Visit, values};
use crate::rest::rules::media;

type Many = BTreeMap<String, Vec<String>>;

/// What an authorizer is asked.
pub(super) fn asked(visit: &Visit<'_>, judge: &Judge, identity: &[String]) -> Bytes {
    if judge.of_request {
        return question(visit);
    }
    let token = identity.first().map(String::as_str).unwrap_or_default();
    json!({"type": "TOKEN", "methodArn": visit.arn(), "authorizationToken": token}).to_string().into()
}

/// What an authorizer is asked about a whole request: the same without the body, and nothing is null.
fn question(visit: &Visit<'_>) -> Bytes {
    let (headers, parameters) = (headers(visit), parameters(visit));
    let variables: BTreeMap<&str, String> = visit.variables().into_iter().collect();
    let event = json!({
        "type": "REQUEST",
        "methodArn": visit.arn(),
        "resource": visit.route.map_or(visit.behind, |route| &*route.path),
        "path": visit.behind,
        "httpMethod": visit.request.method.as_str(),
        "headers": last(&headers),
        "multiValueHeaders": headers,
        "queryStringParameters": last(&parameters),
        "multiValueQueryStringParameters": parameters,
        "pathParameters": variables,
        "stageVariables": visit.stage.variables,
        "requestContext": values::context(visit),
    });
    event.to_string().into()
}

/// The event's bytes.
pub(super) fn payload(visit: &Visit<'_>, route: &Ready) -> Bytes {
    let request = visit.request;
    let (headers, parameters) = (headers(visit), parameters(visit));
    let (body, encoded) = body(visit);
    let variables: BTreeMap<&str, String> = visit.variables().into_iter().collect();
    let some = |many: Value, empty: bool| if empty { Value::Null } else { many };
    let event = json!({
        "resource": route.path,
        "path": visit.behind,
        "httpMethod": request.method.as_str(),
        "headers": last(&headers),
        "multiValueHeaders": headers,
        "queryStringParameters": some(json!(last(&parameters)), parameters.is_empty()),
        "multiValueQueryStringParameters": some(json!(parameters), parameters.is_empty()),
        "pathParameters": some(json!(variables), variables.is_empty()),
        "stageVariables": some(json!(visit.stage.variables), visit.stage.variables.is_empty()),
        "requestContext": values::context(visit),
        "body": body,
        "isBase64Encoded": encoded,
    });
    event.to_string().into()
}

/// The last value of each name.
fn last(many: &Many) -> BTreeMap<&str, &str> {
    many.iter().filter_map(|(name, values)| Some((&**name, &**values.last()?))).collect()
}

/// Names that clients write with capitals. The door has all names in lower case, so those that are no standard stay so.
const WRITTEN: [&str; 27] = [
    "Accept",
    "Accept-Charset",
    "Accept-Encoding",
    "Accept-Language",
    "Authorization",
    "Cache-Control",
    "Content-Encoding",
    "Content-Language",
    "Content-Type",
    "Cookie",
    "Expect",
    "Forwarded",
    "From",
    "Host",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "If-Unmodified-Since",
    "Origin",
    "Pragma",
    "Range",
    "Referer",
    "User-Agent",
    "Via",
    "X-Amz-Date",
    "X-Amz-Security-Token",
    "X-Requested-With",
];

pub(super) fn written(name: &str) -> String {
    WRITTEN.iter().find(|written| written.eq_ignore_ascii_case(name)).map_or(name, |written| *written).to_owned()
}

/// With what a proxy adds, and what the integration's parameters do.
fn headers(visit: &Visit<'_>) -> Many {
    let request = visit.request;
    let mut many = Many::new();
    let sent = request.headers.iter().filter(|(name, _)| **name != CONTENT_LENGTH && **name != CONNECTION);
    for (name, value) in sent {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        many.entry(written(name.as_str())).or_default().push(value);
    }
    let port = request.authority.rsplit_once(':').map_or("80", |(_, port)| port);
    let forwarded = many.remove("x-forwarded-for").map_or_else(String::new, |values| values.join(", ") + ", ");
    let mut once = |name: &str, value: String| {
        many.remove(&name.to_ascii_lowercase());
        many.insert(name.to_owned(), vec![value]);
    };
    once("X-Forwarded-For", format!("{forwarded}{}", request.peer));
    once("X-Forwarded-Port", port.to_owned());
    once("X-Forwarded-Proto", "http".into());
    once("X-Amzn-Trace-Id", visit.trace.to_owned());
    for (name, value) in values::added(visit, "header") {
        many.retain(|other, _| !other.eq_ignore_ascii_case(name));
        many.insert(name.to_owned(), vec![value]);
    }
    many
}

/// Decoded, in the order of each name's values.
fn parameters(visit: &Visit<'_>) -> Many {
    let mut many = Many::new();
    for (name, value) in form_urlencoded::parse(visit.request.query.as_bytes()) {
        many.entry(name.into_owned()).or_default().push(value.into_owned());
    }
    many.extend(values::added(visit, "querystring").map(|(name, value)| (name.to_owned(), vec![value])));
    many
}

/// In base64 where the API says that the type is binary.
fn body(visit: &Visit<'_>) -> (Option<String>, bool) {
    let sent = &visit.request.body;
    if sent.is_empty() {
        return (None, false);
    }
    if media::is_any_of(&visit.stage.content.binary, visit.content_type().unwrap_or("application/json")) {
        return (Some(STANDARD.encode(sent)), true);
    }
    (Some(String::from_utf8_lossy(sent).into_owned()), false)
}

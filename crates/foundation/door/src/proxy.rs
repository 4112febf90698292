//! What HTTP requests and functions' events and answers share, whichever service stands between: function URLs, HTTP and REST APIs.
//! Source: API Gateway Developer Guide, "Create AWS Lambda proxy integrations for HTTP APIs"; AWS Lambda developer guide, "Invoking
//! Lambda function URLs".

use std::collections::BTreeMap;

use base::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, ORIGIN,
};
use serde_json::Value;

use crate::SiteRequest;

/// Names, each with its values in order.
pub type Many = BTreeMap<String, Vec<String>>;

/// What a CORS configuration decides: what the function says of it gives way.
pub const SHARING: [HeaderName; 6] = [
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_HEADERS,
    ACCESS_CONTROL_MAX_AGE,
];

/// Whether a browser asks before it sends the request itself.
pub fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS && headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Sets a header to the items of a list, unless there are none.
pub fn put_list(headers: &mut HeaderMap, name: HeaderName, items: Option<&Vec<String>>) {
    let Some(items) = items.filter(|items| !items.is_empty()) else { return };
    if let Ok(value) = HeaderValue::from_str(&items.join(",")) {
        headers.insert(name, value);
    }
}

/// A header's text; empty without it.
pub fn text(headers: &HeaderMap, name: &HeaderName) -> String {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default()
}

/// The headers of an event: names in lower case, with what a proxy adds.
pub fn headers(request: &SiteRequest, trace: &str) -> Many {
    let mut many = Many::new();
    for (name, value) in &request.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        match many.get_mut(name.as_str()) {
            Some(values) => values.push(value),
            None => drop(many.insert(name.as_str().to_owned(), vec![value])),
        }
    }
    let peer = request.peer.to_string();
    let port = request.authority.rsplit_once(':').map_or("80", |(_, port)| port);
    let forwarded = match many.get("x-forwarded-for") {
        Some(values) => format!("{}, {peer}", values.join(", ")),
        None => peer,
    };
    many.insert("x-forwarded-for".into(), vec![forwarded]);
    many.insert("x-amzn-trace-id".into(), vec![trace.to_owned()]);
    many.entry("x-forwarded-proto".into()).or_insert_with(|| vec!["http".into()]);
    many.entry("x-forwarded-port".into()).or_insert_with(|| vec![port.to_owned()]);
    many
}

/// The values of each name joined by commas, as format 2.0 has them.
pub fn joined(many: Many) -> BTreeMap<String, String> {
    many.into_iter().map(|(name, values)| (name, values.join(","))).collect()
}

/// The cookies of a request, each for itself.
pub fn cookies(headers: &HeaderMap) -> Vec<String> {
    let all = headers.get_all(COOKIE).iter();
    let texts = all.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    texts
        .flat_map(|text| text.split(';').map(|cookie| cookie.trim().to_owned()).collect::<Vec<_>>())
        .filter(|cookie| !cookie.is_empty())
        .collect()
}

/// The parameters of a query, decoded.
pub fn parameters(query: &str) -> Many {
    let mut many = Many::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        many.entry(name.into_owned()).or_default().push(value.into_owned());
    }
    many
}

/// The body of an event: text as it is, everything else in base64, and which of them it is.
pub fn body(request: &SiteRequest) -> (Option<String>, bool) {
    if request.body.is_empty() {
        return (None, false);
    }
    match std::str::from_utf8(&request.body) {
        Ok(body) if is_text(&text(&request.headers, &CONTENT_TYPE)) => (Some(body.to_owned()), false),
        _ => (Some(STANDARD.encode(&request.body)), true),
    }
}

/// Whether bodies of a content type are text.
pub fn is_text(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.starts_with("text/")
        || matches!(kind.as_str(), "application/json" | "application/xml" | "application/javascript")
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
}

/// `21/Nov/2026:05:20:00 +0000`.
pub fn time(at: Timestamp) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (year, month, day, hour, minute, second, _) = at.civil();
    let month = MONTHS[(month as usize - 1) % 12];
    format!("{day:02}/{month}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000")
}

/// The status that an answer names; none if it is no final one.
pub fn status(named: &Value) -> Option<u16> {
    let status = match named {
        Value::Number(number) => u16::try_from(number.as_u64()?).ok()?,
        Value::String(text) => text.parse().ok()?,
        _ => return None,
    };
    // Interim answers (1xx) are not a function's to give.
    (200..=599).contains(&status).then_some(status)
}

/// The items of a list in an answer; none if it is something else.
pub fn items(list: Option<&Value>) -> Option<&[Value]> {
    match list {
        None | Some(Value::Null) => Some(&[]),
        Some(list) => list.as_array().map(Vec::as_slice),
    }
}

/// Text, or what a number or truth value looks like.
pub fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_text_is_said_by_its_type() {
        for kind in
            ["text/html", "application/json; charset=utf-8", "Application/XML", "image/svg+xml", "application/hal+json"]
        {
            assert!(is_text(kind), "{kind}");
        }
        for kind in ["", "image/png", "application/x-www-form-urlencoded", "application/octet-stream"] {
            assert!(!is_text(kind), "{kind}");
        }
    }

    #[test]
    fn cookies_and_parameters_are_taken_apart() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=1; b=2"));
        headers.append(COOKIE, HeaderValue::from_static(" ;c=3"));
        assert_eq!(cookies(&headers), ["a=1", "b=2", "c=3"]);
        let many = parameters("x=1&y=a%20b&x=2");
        assert_eq!((&many["x"], &many["y"]), (&vec!["1".to_owned(), "2".to_owned()], &vec!["a b".to_owned()]));
        assert_eq!(joined(many)["x"], "1,2");
    }

    #[test]
    fn only_final_statuses_are_a_functions_to_give() {
        assert_eq!(
            [json!(200), json!("404"), json!(599)].map(|named| status(&named)),
            [Some(200), Some(404), Some(599)]
        );
        assert_eq!(
            [json!(101), json!(600), json!("x"), json!(1.5), json!(null)].map(|named| status(&named)),
            [None; 5]
        );
    }
}

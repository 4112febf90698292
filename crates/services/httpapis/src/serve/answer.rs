//! What a function's answer means as HTTP, in both payload formats.
//! Source: API Gateway Developer Guide, "Create AWS Lambda proxy integrations for HTTP APIs", "Lambda function response format".

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use door::proxy::{items, plain, status};
use door::{Body, SiteResponse};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE, TRANSFER_ENCODING};
use serde_json::{Map, Value};

/// What an answer without a content type has on AWS.
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Format 2.0: an object with `statusCode` says what to answer; any other JSON is itself the body of a 200. None if it is neither.
pub(super) fn second(payload: &Bytes) -> Option<SiteResponse> {
    // A large text that is no answer object must not be built in memory as values.
    let object = payload.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    if object {
        let answer: Map<String, Value> = serde_json::from_slice(payload).ok()?;
        if answer.contains_key("statusCode") {
            let mut headers = headers(answer.get("headers"))?;
            for cookie in items(answer.get("cookies"))? {
                headers.append(SET_COOKIE, HeaderValue::from_str(&plain(cookie)?).ok()?);
            }
            return finish(answer, headers);
        }
    } else {
        serde_json::from_slice::<serde::de::IgnoredAny>(payload).ok()?;
    }
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Some(SiteResponse { status: 200, headers, body: Body::Bytes(payload.clone()) })
}

/// Format 1.0: an object with `statusCode`, and nothing else.
pub(super) fn first(payload: &Bytes) -> Option<SiteResponse> {
    let answer: Map<String, Value> = serde_json::from_slice(payload).ok()?;
    let mut headers = headers(answer.get("headers"))?;
    // Both may name a header; a value that stands in both is told once.
    for (name, values) in entries(answer.get("multiValueHeaders"))? {
        let Some(name) = name_of(name)? else { continue };
        let values = values.as_array()?.iter().map(|value| HeaderValue::from_str(&plain(value)?).ok());
        let values: Vec<HeaderValue> = values.collect::<Option<_>>()?;
        let single = headers.remove(&name).filter(|single| !values.contains(single));
        for value in single.into_iter().chain(values) {
            headers.append(name.clone(), value);
        }
    }
    finish(answer, headers)
}

fn finish(mut answer: Map<String, Value>, mut headers: HeaderMap) -> Option<SiteResponse> {
    let status = status(answer.get("statusCode")?)?;
    let encoded = match answer.get("isBase64Encoded") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(encoded)) => *encoded,
        Some(_) => return None,
    };
    let body = match answer.remove("body") {
        None | Some(Value::Null) => Bytes::new(),
        Some(Value::String(text)) if encoded => STANDARD.decode(text).ok()?.into(),
        Some(Value::String(text)) => text.into(),
        Some(_) => return None,
    };
    headers.entry(CONTENT_TYPE).or_insert(PLAIN);
    Some(SiteResponse { status, headers, body: Body::Bytes(body) })
}

/// The headers an answer names, one value each; none when they cannot be headers.
fn headers(named: Option<&Value>) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in entries(named)? {
        let Some(name) = name_of(name)?.filter(|_| !value.is_null()) else { continue };
        headers.insert(name, HeaderValue::from_bytes(plain(value)?.as_bytes()).ok()?);
    }
    Some(headers)
}

/// The name of a header; framing is ours.
fn name_of(name: &str) -> Option<Option<HeaderName>> {
    let name: HeaderName = name.parse().ok()?;
    Some(Some(name).filter(|name| name != CONTENT_LENGTH && name != TRANSFER_ENCODING))
}

fn entries(object: Option<&Value>) -> Option<impl Iterator<Item = (&String, &Value)>> {
    let object = match object {
        None | Some(Value::Null) => None,
        Some(object) => Some(object.as_object()?),
    };
    Some(object.into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(response: Option<SiteResponse>) -> (u16, HeaderMap, Vec<u8>) {
        let Some(SiteResponse { status, headers, body: Body::Bytes(body) }) = response else {
            return (500, HeaderMap::new(), Vec::new());
        };
        (status, headers, body.to_vec())
    }

    fn in_second(payload: &str) -> (u16, HeaderMap, Vec<u8>) {
        parts(second(&Bytes::copy_from_slice(payload.as_bytes())))
    }

    fn in_first(payload: &str) -> (u16, HeaderMap, Vec<u8>) {
        parts(first(&Bytes::copy_from_slice(payload.as_bytes())))
    }

    #[test]
    fn an_answer_object_says_everything() {
        let (status, headers, body) = in_second(
            r#"{"statusCode": 201, "headers": {"Content-Type": "image/jpeg", "X-Count": 3, "Content-Length": "9"},
                "cookies": ["a=1; Secure", "b=2"], "body": "/9j/", "isBase64Encoded": true}"#,
        );
        assert_eq!((status, body), (201, vec![0xff, 0xd8, 0xff]));
        assert_eq!(headers[CONTENT_TYPE], "image/jpeg");
        assert_eq!(headers["x-count"], "3");
        assert!(!headers.contains_key(CONTENT_LENGTH));
        let cookies: Vec<_> = headers.get_all(SET_COOKIE).iter().collect();
        assert_eq!(cookies, ["a=1; Secure", "b=2"]);
        assert_eq!(in_second(r#"{"statusCode": 200, "body": "x"}"#).1[CONTENT_TYPE], "text/plain; charset=utf-8");
    }

    #[test]
    fn any_other_json_is_the_body_in_format_2() {
        for payload in [r#""Hello""#, r#"{"message": "hi"}"#, "[1]", "null", "3"] {
            let (status, headers, body) = in_second(payload);
            assert_eq!((status, body), (200, payload.as_bytes().to_vec()));
            assert_eq!(headers[CONTENT_TYPE], "application/json");
            assert_eq!(in_first(payload).0, 500, "format 1.0 infers nothing: {payload}");
        }
    }

    #[test]
    fn format_1_has_many_values_of_one_header() {
        let (status, headers, _) = in_first(
            r#"{"statusCode": 200, "headers": {"a": "1", "b": "2"}, "multiValueHeaders": {"A": ["1", "3"], "B": ["4"]}}"#,
        );
        assert_eq!(status, 200);
        assert_eq!(headers.get_all("a").iter().collect::<Vec<_>>(), ["1", "3"]);
        assert_eq!(headers.get_all("b").iter().collect::<Vec<_>>(), ["2", "4"]);
    }

    #[test]
    fn what_cannot_be_understood_is_an_error() {
        for payload in [
            "not json",
            "{",
            "",
            r#"{"statusCode": 42}"#,
            r#"{"statusCode": 101}"#,
            r#"{"statusCode": "x"}"#,
            r#"{"statusCode": 200, "headers": {"bad name": "x"}}"#,
            r#"{"statusCode": 200, "headers": {"x": "a\nb"}}"#,
            r#"{"statusCode": 200, "headers": {"x": {}}}"#,
            r#"{"statusCode": 200, "body": {"not": "text"}}"#,
            r#"{"statusCode": 200, "body": "%%", "isBase64Encoded": true}"#,
        ] {
            assert_eq!(in_second(payload).0, 500, "{payload}");
            assert_eq!(in_first(payload).0, 500, "{payload}");
        }
    }

    proptest! {
        #[test]
        fn nothing_a_function_says_makes_it_panic(payload in "\\{\"statusCode\": ?-?[0-9]{1,6}, ?\"(body|headers|cookies|multiValueHeaders)\": ?[\\[\\]{}\"a-z:1,]{0,12}\\}") {
            prop_assert!((200..=599).contains(&in_second(&payload).0));
            prop_assert!((200..=599).contains(&in_first(&payload).0));
        }
    }
}

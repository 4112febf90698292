//! What a function's answer means as HTTP.
//! Source: AWS Lambda developer guide, "Invoking Lambda function URLs: response payload format".

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use door::proxy::{items, plain, status};
use door::{Body, SiteResponse};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE, TRANSFER_ENCODING};
use serde_json::{Map, Value};

/// The answer to a function that failed, or answered with what cannot be understood.
pub(crate) fn bad_gateway() -> SiteResponse {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    SiteResponse { status: 502, headers, body: Body::Bytes(Bytes::from_static(b"Internal Server Error")) }
}

/// An object with `statusCode` says what to answer; any other JSON is itself the body of a 200.
pub(super) fn interpret(payload: &Bytes) -> SiteResponse {
    // A large text that is no answer object must not be built in memory as values.
    let object = payload.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    if object {
        let Ok(answer) = serde_json::from_slice::<Map<String, Value>>(payload) else { return bad_gateway() };
        if answer.contains_key("statusCode") {
            return structured(answer).unwrap_or_else(bad_gateway);
        }
    } else if crate::rules::event_json(payload).is_err() {
        return bad_gateway();
    }
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    SiteResponse { status: 200, headers, body: Body::Bytes(payload.clone()) }
}

/// The content type of a prelude, and of a streamed response that has none.
pub(super) const PRELUDE_TYPE: &str = "application/vnd.awslambda.http-integration-response";
/// See [`PRELUDE_TYPE`].
pub(super) const BYTES_TYPE: &str = "application/octet-stream";

/// What a prelude says of the body that follows it: a status, 200 unless it names one, and headers.
pub(super) fn prelude(prelude: &[u8]) -> Option<(u16, HeaderMap)> {
    let answer: Map<String, Value> = serde_json::from_slice(prelude).ok()?;
    let status = answer.get("statusCode").map_or(Some(200), status)?;
    let mut headers = named(&answer)?;
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(BYTES_TYPE));
    Some((status, headers))
}

fn structured(mut answer: Map<String, Value>) -> Option<SiteResponse> {
    let status = status(answer.get("statusCode")?)?;
    let mut headers = named(&answer)?;
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    let encoded = answer.get("isBase64Encoded").is_some_and(|encoded| *encoded == Value::Bool(true));
    let body = match answer.remove("body") {
        None | Some(Value::Null) => Bytes::new(),
        Some(Value::String(text)) if encoded => STANDARD.decode(text).ok()?.into(),
        Some(Value::String(text)) => text.into(),
        Some(other) => other.to_string().into(),
    };
    Some(SiteResponse { status, headers, body: Body::Bytes(body) })
}

/// The headers and cookies an answer names; none when they cannot be headers.
fn named(answer: &Map<String, Value>) -> Option<HeaderMap> {
    let mut headers = headers(answer.get("headers"))?;
    for cookie in items(answer.get("cookies"))? {
        headers.append(SET_COOKIE, HeaderValue::from_str(&plain(cookie)?).ok()?);
    }
    Some(headers)
}

/// The headers an answer names; none when they cannot be headers. Framing is ours.
fn headers(named: Option<&Value>) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    let named = match named {
        None | Some(Value::Null) => return Some(headers),
        Some(named) => named.as_object()?,
    };
    for (name, value) in named {
        let name: HeaderName = name.parse().ok()?;
        if name == CONTENT_LENGTH || name == TRANSFER_ENCODING || value.is_null() {
            continue;
        }
        headers.append(name, HeaderValue::from_bytes(plain(value)?.as_bytes()).ok()?);
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(payload: &str) -> (u16, HeaderMap, Vec<u8>) {
        let response = interpret(&Bytes::copy_from_slice(payload.as_bytes()));
        let Body::Bytes(body) = response.body else { panic!("the body is bytes") };
        (response.status, response.headers, body.to_vec())
    }

    #[test]
    fn an_answer_object_says_everything() {
        let (status, headers, body) = answer(
            r#"{"statusCode": 201, "headers": {"Content-Type": "image/jpeg", "X-Count": 3, "Content-Length": "9"},
                "cookies": ["a=1; Secure", "b=2"], "body": "/9j/", "isBase64Encoded": true}"#,
        );
        assert_eq!((status, body), (201, vec![0xff, 0xd8, 0xff]));
        assert_eq!(headers[CONTENT_TYPE], "image/jpeg");
        assert_eq!(headers["x-count"], "3");
        assert!(!headers.contains_key(CONTENT_LENGTH));
        let cookies: Vec<_> = headers.get_all(SET_COOKIE).iter().collect();
        assert_eq!(cookies, ["a=1; Secure", "b=2"]);
    }

    #[test]
    fn any_other_json_is_the_body() {
        for payload in [r#""Hello""#, r#"{"message": "hi"}"#, "[1]", "null", "3"] {
            let (status, headers, body) = answer(payload);
            assert_eq!((status, body), (200, payload.as_bytes().to_vec()));
            assert_eq!(headers[CONTENT_TYPE], "application/json");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_a_bad_gateway() {
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
            r#"{"statusCode": 200, "body": "%%", "isBase64Encoded": true}"#,
        ] {
            assert_eq!(answer(payload).0, 502, "{payload}");
        }
    }

    proptest! {
        #[test]
        fn nothing_a_function_says_makes_it_panic(payload in "\\{\"statusCode\": ?-?[0-9]{1,6}, ?\"(body|headers|cookies)\": ?[\\[\\]{}\"a-z:1,]{0,12}\\}") {
            let (status, _, _) = answer(&payload);
            prop_assert!((200..=599).contains(&status));
        }
    }
}

//! Events for web functions: those that tell of a request become it again, and the answer becomes what such an event is
//! answered with. Everything else is posted as it is.
//! Source: API Gateway developer guide, "Input format of a Lambda function for proxy integration" and "Working with AWS Lambda
//! proxy integrations for HTTP APIs"; Elastic Load Balancing, "Lambda functions as targets".

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use door::proxy::is_text;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use http::uri::PathAndQuery;
use http::{Method, Request, Uri};
use invoker::{FailureKind, Finished};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The least status that says that an event which is no request has failed.
pub(crate) const FAILS_FROM: u16 = 400;

/// What an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// An HTTP request in payload format 2.0: of HTTP APIs and function URLs.
    Two,
    /// One in payload format 1.0: of REST APIs, and of HTTP APIs that ask for it.
    One,
    /// One of a load balancer, with headers of many values or not.
    Balancer { many: bool },
    /// No request.
    Other,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    version: Option<String>,
    request_context: Option<Map<String, Value>>,
    http_method: Option<String>,
    path: Option<String>,
    raw_path: Option<String>,
    raw_query_string: Option<String>,
    cookies: Option<Vec<String>>,
    headers: Option<Map<String, Value>>,
    multi_value_headers: Option<Map<String, Value>>,
    query_string_parameters: Option<Map<String, Value>>,
    multi_value_query_string_parameters: Option<Map<String, Value>>,
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: Option<bool>,
}

/// The request that an event tells of, or one that posts the event to `events`.
pub(crate) fn request(event: &Bytes, events: &PathAndQuery) -> (Request<Bytes>, Form) {
    let told = serde_json::from_slice::<Told>(event).ok();
    told.and_then(requested).unwrap_or_else(|| {
        let mut request = Request::new(event.clone());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from(events.clone());
        request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        (request, Form::Other)
    })
}

fn requested(told: Told) -> Option<(Request<Bytes>, Form)> {
    let context = told.request_context.as_ref()?;
    let stage =
        context.get("stage").and_then(Value::as_str).filter(|stage| !stage.starts_with('$')).unwrap_or_default();
    let prefix = format!("/{stage}");
    let (form, method, path, query) = if told.version.as_deref() == Some("2.0") {
        let method = context.get("http")?.get("method")?.as_str()?.to_owned();
        let raw = told.raw_path.clone()?;
        // The stage is where the function is found, not what it is asked.
        let within =
            raw.strip_prefix(&prefix).filter(|rest| !stage.is_empty() && (rest.is_empty() || rest.starts_with('/')));
        let path = within.map_or(raw.clone(), |rest| if rest.is_empty() { "/".to_owned() } else { rest.to_owned() });
        (Form::Two, method, path, told.raw_query_string.clone().unwrap_or_default())
    } else {
        let balancer = context.contains_key("elb");
        let form = if balancer { Form::Balancer { many: told.multi_value_headers.is_some() } } else { Form::One };
        (form, told.http_method.clone()?, encoded(told.path.as_deref()?), parameters(&told, !balancer))
    };
    let target = if query.is_empty() { path } else { format!("{path}?{query}") };
    let target: PathAndQuery = target.parse().ok()?;
    let mut headers = headers(&told)?;
    invoker::program::strip(&mut headers);
    headers.remove("x-forwarded-prefix");
    if !stage.is_empty() && form != (Form::Balancer { many: false }) {
        headers.insert(HeaderName::from_static("x-forwarded-prefix"), HeaderValue::from_str(&prefix).ok()?);
    }
    headers.entry(HOST).or_insert(HeaderValue::from_static("localhost"));
    let body = match told.body {
        None => Bytes::new(),
        Some(text) if told.is_base64_encoded == Some(true) => STANDARD.decode(text).ok()?.into(),
        Some(text) => text.into(),
    };
    let mut request = Request::new(body);
    *request.method_mut() = method.parse().ok()?;
    *request.uri_mut() = Uri::from(target);
    *request.headers_mut() = headers;
    Some((request, form))
}

/// A path that an event holds decoded, as it may stand in a request. What is encoded already stays.
fn encoded(path: &str) -> String {
    let mut all = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_graphic()
            && !matches!(byte, b'?' | b'#' | b'"' | b'<' | b'>' | b'`' | b'{' | b'}' | b'\\' | b'^' | b'|')
        {
            all.push(char::from(byte));
        } else {
            all.push_str(&format!("%{byte:02X}"));
        }
    }
    all
}

/// The query of an event that holds parameters; load balancers leave them encoded.
fn parameters(told: &Told, decoded: bool) -> String {
    let many = told.multi_value_query_string_parameters.iter().flatten();
    let many = many.flat_map(|(name, values)| {
        values.as_array().into_iter().flatten().filter_map(Value::as_str).map(move |value| (name, value))
    });
    let single =
        told.query_string_parameters.iter().flatten().filter_map(|(name, value)| Some((name, value.as_str()?)));
    let pairs: Vec<(&String, &str)> =
        if told.multi_value_query_string_parameters.is_some() { many.collect() } else { single.collect() };
    if decoded {
        return form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    }
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

fn headers(told: &Told) -> Option<HeaderMap> {
    let mut all = HeaderMap::new();
    let mut add = |name: &str, value: &str| -> Option<()> {
        all.append(name.parse::<HeaderName>().ok()?, HeaderValue::from_bytes(value.as_bytes()).ok()?);
        Some(())
    };
    match &told.multi_value_headers {
        Some(many) => {
            for (name, values) in many {
                for value in values.as_array().into_iter().flatten().filter_map(Value::as_str) {
                    add(name, value)?;
                }
            }
        }
        None => {
            for (name, value) in told.headers.iter().flatten() {
                add(name, value.as_str().unwrap_or_default())?;
            }
        }
    }
    if let Some(cookies) = told.cookies.as_ref().filter(|cookies| !cookies.is_empty()) {
        all.insert(COOKIE, HeaderValue::from_str(&cookies.join("; ")).ok()?);
    }
    Some(all)
}

/// What an event of this form is answered with.
pub(crate) fn answer(form: Form, head: &http::response::Parts, body: Bytes) -> Finished {
    let status = head.status.as_u16();
    if form == Form::Other {
        return other(status, body);
    }
    let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let plain = !head.headers.contains_key(CONTENT_ENCODING) && (is_text(kind) || body.is_empty());
    let (body, is_base64) = match std::str::from_utf8(&body) {
        Ok(text) if plain => (text.to_owned(), false),
        _ => (STANDARD.encode(&body), true),
    };
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let mut answer = json!({ "statusCode": status, "body": body, "isBase64Encoded": is_base64 });
    let mut single = Map::new();
    let mut many = Map::new();
    for name in head.headers.keys() {
        let values: Vec<String> = head.headers.get_all(name).iter().map(text).collect();
        if form == Form::Two && name == SET_COOKIE {
            answer["cookies"] = json!(values);
            continue;
        }
        single.insert(name.as_str().to_owned(), json!(values.join(",")));
        many.insert(name.as_str().to_owned(), json!(values));
    }
    match form {
        Form::Two | Form::Balancer { many: false } => answer["headers"] = Value::Object(single),
        _ => answer["multiValueHeaders"] = Value::Object(many),
    }
    if matches!(form, Form::Balancer { .. }) {
        answer["statusDescription"] = json!(format!("{status} {}", head.status.canonical_reason().unwrap_or_default()));
    }
    Finished::Response(answer.to_string().into())
}

/// The answer to an event that is no request: its body, or that it failed.
fn other(status: u16, body: Bytes) -> Finished {
    if status >= FAILS_FROM {
        let error_type = "Runtime.WebStatus".to_owned();
        let message =
            format!("The program answered the event with status {status}: {}", String::from_utf8_lossy(&body));
        let payload = json!({ "errorType": error_type, "errorMessage": message }).to_string().into();
        return Finished::FunctionError { kind: FailureKind::Raised, error_type, payload };
    }
    if body.is_empty() {
        return Finished::Response(Bytes::from_static(b"null"));
    }
    match crate::rules::event_json(&body) {
        Ok(()) => Finished::Response(body),
        Err(_) => Finished::Response(Value::String(String::from_utf8_lossy(&body).into_owned()).to_string().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(event: &Value) -> (Request<Bytes>, Form) {
        request(&event.to_string().into(), &PathAndQuery::from_static("/events"))
    }

    fn finished(form: Form, status: u16, headers: &[(&str, &str)], body: &'static [u8]) -> Value {
        let mut response = http::Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let (head, ()) = response.body(()).unwrap().into_parts();
        match answer(form, &head, Bytes::from_static(body)) {
            Finished::Response(payload) => serde_json::from_slice(&payload).unwrap(),
            Finished::FunctionError { payload, .. } => {
                json!({ "error": serde_json::from_slice::<Value>(&payload).unwrap() })
            }
        }
    }

    #[test]
    fn format_2_0_becomes_its_request() {
        let (request, form) = of(&json!({
            "version": "2.0", "rawPath": "/prod/a%20b", "rawQueryString": "x=1&x=2",
            "cookies": ["a=1", "b=2"], "headers": {"host": "h", "accept": "a,b"},
            "requestContext": {"stage": "prod", "http": {"method": "PUT"}},
            "body": "YQ==", "isBase64Encoded": true,
        }));
        assert_eq!(
            (form, request.method().as_str(), request.uri().to_string().as_str()),
            (Form::Two, "PUT", "/a%20b?x=1&x=2")
        );
        assert_eq!(
            (&request.headers()["cookie"], &request.headers()["x-forwarded-prefix"]),
            (&"a=1; b=2".parse().unwrap(), &"/prod".parse().unwrap())
        );
        assert_eq!(request.body().as_ref(), b"a");
        // A path that only begins like the stage.
        let (request, _) = of(
            &json!({"version": "2.0", "rawPath": "/production", "requestContext": {"stage": "prod", "http": {"method": "GET"}}}),
        );
        assert_eq!(request.uri().path(), "/production");
    }

    #[test]
    fn format_1_0_and_balancers_become_their_requests() {
        let (request, form) = of(&json!({
            "httpMethod": "GET", "path": "/a b/ü", "requestContext": {"stage": "dev"},
            "multiValueHeaders": {"Accept": ["x", "y"]}, "headers": {"Accept": "y"},
            "multiValueQueryStringParameters": {"q": ["a b", "c"]}, "queryStringParameters": {"q": "c"}, "body": null,
        }));
        assert_eq!((form, request.uri().to_string().as_str()), (Form::One, "/a%20b/%C3%BC?q=a+b&q=c"));
        assert_eq!(request.headers().get_all("accept").iter().count(), 2);
        let (request, form) = of(&json!({
            "httpMethod": "POST", "path": "/", "requestContext": {"elb": {"targetGroupArn": "arn"}},
            "headers": {"host": "lb"}, "queryStringParameters": {"q": "a%20b"}, "body": "text", "isBase64Encoded": false,
        }));
        assert_eq!((form, request.uri().to_string().as_str()), (Form::Balancer { many: false }, "/?q=a%20b"));
        assert_eq!(
            (request.body().as_ref(), request.headers().contains_key("x-forwarded-prefix")),
            (&b"text"[..], false)
        );
    }

    #[test]
    fn everything_else_is_posted() {
        for event in [
            json!({"Records": []}),
            json!([1]),
            json!("x"),
            json!({"requestContext": {}}),
            json!({"version": "2.0"}),
            json!({"httpMethod": "GET", "path": "/", "requestContext": {}, "headers": {"bad name": "x"}}),
        ] {
            let (request, form) = of(&event);
            assert_eq!(
                (form, request.method(), request.uri().path()),
                (Form::Other, &Method::POST, "/events"),
                "{event}"
            );
            assert_eq!(request.body().as_ref(), event.to_string().as_bytes());
        }
    }

    #[test]
    fn answers_have_the_form_of_their_events() {
        let headers = &[("content-type", "text/html"), ("set-cookie", "a=1"), ("set-cookie", "b=2")];
        assert_eq!(
            finished(Form::Two, 201, headers, b"hi"),
            json!({"statusCode": 201, "headers": {"content-type": "text/html"}, "cookies": ["a=1", "b=2"], "body": "hi", "isBase64Encoded": false})
        );
        let one = finished(Form::One, 200, headers, b"hi");
        assert_eq!(one["multiValueHeaders"]["set-cookie"], json!(["a=1", "b=2"]));
        assert_eq!((&one["body"], one.get("headers")), (&json!("hi"), None));
        let balancer = finished(Form::Balancer { many: false }, 404, &[("content-type", "image/png")], b"\xff");
        assert_eq!(
            (&balancer["statusDescription"], &balancer["body"], &balancer["isBase64Encoded"]),
            (&json!("404 Not Found"), &json!("/w=="), &json!(true))
        );
        assert_eq!(
            finished(Form::Two, 200, &[("content-type", "text/plain"), ("content-encoding", "gzip")], b"x")["isBase64Encoded"],
            json!(true)
        );
    }

    #[test]
    fn what_is_no_request_is_answered_by_its_body() {
        assert_eq!(finished(Form::Other, 200, &[], b"{\"batchItemFailures\": []}"), json!({"batchItemFailures": []}));
        assert_eq!(finished(Form::Other, 200, &[], b"plain"), json!("plain"));
        assert_eq!(finished(Form::Other, 204, &[], b""), Value::Null);
        assert_eq!(
            finished(Form::Other, 500, &[], b"broken")["error"]["errorMessage"],
            "The program answered the event with status 500: broken"
        );
    }
}

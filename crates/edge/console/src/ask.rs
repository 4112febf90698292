//! What the page asks the platform: the same calls any client makes, in process, as the person who looks.

use std::borrow::Cow;

use base::{Fault, Region, RequestId};
use bytes::Bytes;
use door::{Body, Call, Input, SiteRequest, Via};
use http::{HeaderMap, HeaderValue, Method, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use wire::route;

use crate::Options;

/// Functions the page lists at most.
const FUNCTIONS: usize = 50;
/// Log lines the page shows at most, and how old the oldest may be, ms.
const LINES: usize = 200;
const RECENT_MS: i64 = 15 * 60 * 1000;
/// Pages of the log that are read to reach the latest lines.
const PAGES: usize = 10;

/// Makes one call and answers its output as JSON.
async fn call(options: &Options, request: &SiteRequest, asked: wire::Request) -> Result<Value, Fault> {
    let guess = route::detect(options.services, &asked);
    let operation = guess.operation?;
    let id = RequestId::new(&*options.rng);
    let reply = options
        .dispatch
        .call(Call {
            principal: request.principal.clone(),
            origin: request.origin.clone(),
            via: Via::Room("console"),
            operation,
            input: Input::Encoded(guess.protocol, asked),
            body: Body::Empty,
            region: Region::default_region(),
            request_id: id,
            deadline: None,
            depth: 0,
            trace: None,
        })
        .await?;
    let printed = wire::encode(guess.protocol, operation, &*reply.output, id.as_str());
    serde_json::from_slice(&printed.body).map_err(|_| Fault::internal("an answer of our own is not JSON"))
}

fn get(path: String, query: &str) -> wire::Request {
    wire::Request { method: Method::GET, path, query: query.to_owned(), headers: HeaderMap::new(), body: Bytes::new() }
}

fn post(target: &'static str, body: &Value) -> wire::Request {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
    headers.insert("x-amz-target", HeaderValue::from_static(target));
    wire::Request {
        method: Method::POST,
        path: "/".into(),
        query: String::new(),
        headers,
        body: body.to_string().into(),
    }
}

/// The functions, each with the path of its URL on this host if it has one.
pub(crate) async fn functions(options: &Options, request: &SiteRequest) -> Result<Value, Fault> {
    let listed = call(options, request, get("/2015-03-31/functions".into(), &format!("MaxItems={FUNCTIONS}"))).await?;
    let more = listed["NextMarker"].as_str().is_some_and(|marker| !marker.is_empty());
    let mut rows = Vec::new();
    for function in listed["Functions"].as_array().into_iter().flatten() {
        let name = function["FunctionName"].as_str().unwrap_or_default();
        let path = format!("/2021-10-31/functions/{}/urls", utf8_percent_encode(name, NON_ALPHANUMERIC));
        // A function deleted meanwhile, or a principal that may not see URLs: the row stands without one.
        let urls = call(options, request, get(path, "")).await.unwrap_or_default();
        let url = urls["FunctionUrlConfigs"][0]["FunctionUrl"].as_str().and_then(url_path);
        rows.push(json!({
            "name": name,
            "runtime": function["Runtime"],
            "handler": function["Handler"],
            "memoryMb": function["MemorySize"],
            "timeoutS": function["Timeout"],
            "codeBytes": function["CodeSize"],
            "changed": function["LastModified"],
            "state": function["State"],
            "url": url,
        }));
    }
    Ok(json!({"functions": rows, "more": more, "keepAliveMs": options.keep_alive_ms}))
}

/// `http://ID.lambda-url.REGION.localhost:4566/` → `/_lambent/url/ID/`: the same function at our own origin.
fn url_path(url: &str) -> Option<String> {
    if let Some((_, rest)) = url.split_once("/_lambent/url/") {
        return Some(format!("/_lambent/url/{}/", rest.trim_end_matches('/')));
    }
    let (_, host) = url.split_once("://")?;
    let (id, _) = host.split_once(".lambda-url.")?;
    id.bytes().all(|byte| byte.is_ascii_alphanumeric()).then(|| format!("/_lambent/url/{id}/"))
}

/// The latest log lines of `?function=NAME`, oldest first.
pub(crate) async fn logs(options: &Options, request: &SiteRequest) -> Result<Value, Fault> {
    let mut pairs = form_urlencoded::parse(request.query.as_bytes());
    let name: Cow<'_, str> = pairs.find(|(name, _)| name == "function").map(|(_, value)| value).unwrap_or_default();
    if name.is_empty() {
        return Err(Fault::validation("name the function: ?function=NAME"));
    }
    let since = options.clocks.product().plus_ms(-RECENT_MS).0;
    let mut asked = json!({"logGroupName": format!("/aws/lambda/{name}"), "startTime": since.max(0)});
    let mut events = Vec::new();
    for _ in 0..PAGES {
        let mut found = match call(options, request, post("Logs_20140328.FilterLogEvents", &asked)).await {
            Ok(found) => found,
            // A function that never ran has no log group yet.
            Err(fault) if fault.code == "ResourceNotFoundException" => break,
            Err(fault) => return Err(fault),
        };
        if let Value::Array(page) = found["events"].take() {
            events.extend(page);
        }
        events.drain(..events.len().saturating_sub(LINES));
        match found["nextToken"].take() {
            Value::Null => break,
            next => asked["nextToken"] = next,
        }
    }
    let lines: Vec<Value> =
        events.iter().map(|event| json!({"atMs": event["timestamp"], "text": event["message"]})).collect();
    Ok(json!({"function": name, "lines": lines}))
}

#[cfg(test)]
mod tests {
    use super::url_path;

    #[test]
    fn a_function_url_of_either_form_has_a_path_here() {
        let path = Some("/_lambent/url/abc123/".to_owned());
        assert_eq!(url_path("http://abc123.lambda-url.us-east-1.localhost:4566/"), path);
        assert_eq!(url_path("http://127.0.0.1:4566/_lambent/url/abc123/"), path);
        assert_eq!(url_path("http://a/../b.lambda-url.x/"), None);
        assert_eq!(url_path("https://example.com/"), None);
    }
}

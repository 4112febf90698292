//! Function URLs and code downloads: plain HTTP beside the AWS APIs.
//!
//! A function URL answers on `ID.lambda-url.REGION.ANYTHING` and, for hosts where such names do not resolve, under
//! `/_lambent/url/ID/`; there it shares its origin with the platform's own pages, so the gateway sets it apart. Its
//! answers carry, besides the function's own headers: `x-amzn-requestid`, `x-amzn-trace-id`, and of the invocation
//! `lambent-start` (`cold` or `warm`), `lambent-phases` (`queue=…;sandbox=…;init=…;restore=…;handler=…`, microseconds),
//! `lambent-cpu-us` (`user=…;system=…`), `lambent-peak-memory` (bytes), `lambent-memory-mb`, `lambent-billed-ms`, and
//! `lambent-note` when another interpreter stands in. An answer that goes out as the function writes it (InvokeMode
//! RESPONSE_STREAM) begins before these are known, and has none of them.

mod cors;
mod event;
mod flow;
mod response;

pub(crate) use response::bad_gateway;

use base::{BoxFuture, Fault, Region, RequestId, StartKind, TraceHeader};
use bytes::Bytes;
use door::{Body, Site, SiteRequest, SiteResponse, Takeover, proxy};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use invoker::{Done, Finished};

use crate::target::Behind;
use crate::types::Cors;
use crate::{Functions, Request};

/// The second label of a function URL's host.
const LABEL: &str = "lambda-url";
/// The form without a host of its own.
const URL_PATH: &str = "/_lambent/url/";
/// Downloads of code.
const CODE_PATH: &str = "/_lambent/code/";

/// What is asked of this site.
enum Asked<'a> {
    Url { id: &'a str, path: &'a str },
    Code { ticket: &'a str },
}

fn asked<'a>(host: &'a str, path: &'a str) -> Option<Asked<'a>> {
    let mut labels = host.splitn(3, '.');
    if let (Some(id), Some(LABEL)) = (labels.next(), labels.next()) {
        return Some(Asked::Url { id, path });
    }
    if let Some(rest) = path.strip_prefix(URL_PATH) {
        let end = rest.find('/').unwrap_or(rest.len());
        let (id, path) = rest.split_at(end);
        return Some(Asked::Url { id, path: if path.is_empty() { "/" } else { path } });
    }
    path.strip_prefix(CODE_PATH).map(|ticket| Asked::Code { ticket })
}

impl Site for Functions {
    fn claims(&self, host: &str, path: &str) -> bool {
        asked(host, path).is_some()
    }

    fn serve(&self, request: SiteRequest) -> BoxFuture<'_, SiteResponse> {
        Box::pin(async move {
            let (host, path) = (request.host.clone(), request.path.clone());
            match asked(&host, &path) {
                Some(Asked::Url { id, path }) => self.serve_url(id, path, request).await,
                Some(Asked::Code { ticket }) => self.serve_code(ticket).await,
                None => message(404, "Not Found"),
            }
        })
    }
}

impl Functions {
    /// The URL of an id, for clients that reached us under `host`.
    pub(crate) fn function_url(&self, host: Option<&str>, region: &Region, id: &str) -> String {
        let authority = host.unwrap_or(&self.options.authority);
        format!("{}://{id}.{LABEL}.{region}.{}/", self.options.scheme, named_authority(authority))
    }

    async fn serve_url(&self, id: &str, path: &str, mut request: SiteRequest) -> SiteResponse {
        let takeover = request.takeover.take();
        let request_id = request.request_id;
        let origin = request.headers.get(http::header::ORIGIN).cloned();
        let mut response = match self.behind(id) {
            Err(fault) => failed(&fault),
            Ok(None) => message(404, "Not Found"),
            Ok(Some(behind)) => match &behind.url.cors {
                Some(cors) if proxy::is_preflight(&request.method, &request.headers) => cors::preflight(cors, &request),
                _ => {
                    let mut response = self.call(&behind, path, (&request, takeover)).await;
                    share(&mut response.headers, behind.url.cors.as_ref(), origin.as_ref());
                    response
                }
            },
        };
        put(&mut response.headers, "x-amzn-requestid", request_id.as_str());
        response
    }

    async fn call(
        &self,
        behind: &Behind,
        path: &str,
        (request, takeover): (&SiteRequest, Option<Takeover>),
    ) -> SiteResponse {
        let (named, url) = (&behind.named, &behind.url);
        if !self.lets_in(behind, request) {
            return message(403, "Forbidden");
        }
        let now = self.options.clocks.product();
        let trace = match request.headers.get("x-amzn-trace-id").and_then(|value| value.to_str().ok()) {
            Some(trace) => trace.to_owned(),
            None => TraceHeader::root(&*self.options.rng, now.0.unsigned_abs() / 1000).0,
        };
        let plan = match self.ready(named).await {
            Ok(plan) => plan,
            Err(fault) => return failed(&fault),
        };
        if let Some(served) = plan.served() {
            // The root of a form by path may lack its slash.
            let root = if path == "/" { &request.path } else { "" };
            let prefix = request.path.strip_suffix(path).unwrap_or(root);
            let answered = self.serve_web(named, served.target, (path, prefix), (request, takeover), &trace).await;
            let mut response = match answered {
                Ok((response, Some(done))) => interpreted(response, &done),
                Ok((response, None)) => response,
                Err(fault) => failed(&fault),
            };
            put(&mut response.headers, "x-amzn-trace-id", &trace);
            return response;
        }
        let payload = event::payload(&event::Call { address: &named.address, url, path, request, now, trace: &trace });
        if payload.len() > base::limits::SYNC_PAYLOAD_BYTES {
            return message(413, "Request Entity Too Large");
        }
        let event = Request {
            // A retry of the same HTTP request is another invocation.
            id: RequestId::new(&*self.options.rng),
            payload,
            trace: Some(trace.clone()),
            client_context: None,
            want_tail: false,
            depth: 0,
            by_receipt: false,
        };
        let mut response = if url.streams {
            match self.stream_plan(named.clone(), &plan, event).await {
                Ok(flow) => flow::answer(flow).await,
                Err(fault) => failed(&fault),
            }
        } else {
            match self.run_plan(named, &plan, event).await {
                Ok(done) => interpreted(buffered(&done.result), &done),
                Err(fault) => failed(&fault),
            }
        };
        put(&mut response.headers, "x-amzn-trace-id", &trace);
        response
    }

    async fn serve_code(&self, ticket: &str) -> SiteResponse {
        let Some(digest) = self.tickets.redeem(ticket, self.options.clocks.signing()) else {
            return message(403, "Request has expired");
        };
        match self.code.zip(&digest).await {
            Ok(Some(zip)) => {
                let mut headers = HeaderMap::new();
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/zip"));
                SiteResponse { status: 200, headers, body: Body::Bytes(zip) }
            }
            Ok(None) => message(404, "Not Found"),
            Err(fault) => failed(&fault),
        }
    }
}

/// Names under an address do not resolve, names under `localhost` do in most clients.
fn named_authority(authority: &str) -> String {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, Some(port)),
        _ => (authority, None),
    };
    let is_address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    // A host that is itself a function's URL: what follows the region.
    let parts: Vec<&str> = host.splitn(4, '.').collect();
    let host = match parts.as_slice() {
        [_, LABEL, _, base] => base,
        _ if is_address => "localhost",
        _ => host,
    };
    match port {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// The answer to an invocation that ended.
fn buffered(result: &Finished) -> SiteResponse {
    match result {
        Finished::Response(payload) => response::interpret(payload),
        Finished::FunctionError { .. } => response::bad_gateway(),
    }
}

/// The answer with the figures of the invocation, which has ended.
fn interpreted(mut response: SiteResponse, done: &Done) -> SiteResponse {
    let (row, headers) = (&done.row, &mut response.headers);
    let phases = row.phases;
    let start = if row.start == StartKind::Cold { "cold" } else { "warm" };
    put(headers, "lambent-start", start);
    put(
        headers,
        "lambent-phases",
        &format!(
            "queue={};sandbox={};init={};restore={};handler={}",
            phases.queue_us, phases.sandbox_us, phases.init_us, phases.restore_us, phases.handler_us
        ),
    );
    put(headers, "lambent-cpu-us", &format!("user={};system={}", row.cpu_user_us, row.cpu_system_us));
    put(headers, "lambent-peak-memory", &row.peak_memory_bytes.to_string());
    put(headers, "lambent-memory-mb", &row.memory_mb.to_string());
    put(headers, "lambent-billed-ms", &row.billed_ms.to_string());
    for note in &done.notes {
        put(headers, "lambent-note", note);
    }
    response
}

/// An invocation that never began.
fn failed(fault: &Fault) -> SiteResponse {
    match fault.status {
        429 => {
            let mut response = message(429, &fault.message);
            put(&mut response.headers, "retry-after", "1");
            response
        }
        404 => message(404, "Not Found"),
        // What would mend it is for the platform's owner, who reads it here.
        _ => message(if fault.status >= 500 { 502 } else { fault.status }, &fault.message),
    }
}

fn share(headers: &mut HeaderMap, cors: Option<&Cors>, origin: Option<&HeaderValue>) {
    if let (Some(cors), Some(origin)) = (cors, origin) {
        cors::answer(cors, origin, headers);
    }
}

fn message(status: u16, text: &str) -> SiteResponse {
    json(status, &serde_json::json!({ "Message": text }))
}

fn json(status: u16, value: &serde_json::Value) -> SiteResponse {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    SiteResponse { status, headers, body: Body::Bytes(Bytes::from(value.to_string())) }
}

/// Sets a header of ours; what cannot stand in a header is left out.
fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_known_by_host_or_path() {
        let url = |host, path| match asked(host, path) {
            Some(Asked::Url { id, path, .. }) => Some((id.to_owned(), path.to_owned())),
            _ => None,
        };
        let found = |id: &str, path: &str| Some((id.to_owned(), path.to_owned()));
        assert_eq!(url("abc.lambda-url.us-east-1.localhost", "/a/b"), found("abc", "/a/b"));
        assert_eq!(url("abc.lambda-url.us-east-1.localhost", "/_lambent/live"), found("abc", "/_lambent/live"));
        assert_eq!(url("localhost", "/_lambent/url/abc/a/b"), found("abc", "/a/b"));
        assert_eq!(url("localhost", "/_lambent/url/abc"), found("abc", "/"));
        assert_eq!(url("localhost", "/2015-03-31/functions"), None);
        assert!(matches!(asked("localhost", "/_lambent/code/t"), Some(Asked::Code { ticket: "t" })));
        assert!(asked("localhost", "/_lambent/live").is_none());
        assert!(asked("lambda-url.localhost", "/").is_none());
    }

    #[test]
    fn urls_stand_under_a_name_not_under_an_address() {
        assert_eq!(named_authority("127.0.0.1:4566"), "localhost:4566");
        assert_eq!(named_authority("[::1]:4566"), "localhost:4566");
        assert_eq!(named_authority("localhost"), "localhost");
        assert_eq!(named_authority("lambda.example.org"), "lambda.example.org");
        assert_eq!(named_authority("abc.lambda-url.us-east-1.localhost:4566"), "localhost:4566");
    }
}

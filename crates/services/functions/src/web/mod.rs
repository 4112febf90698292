//! Web functions: a program that listens on `$PORT` is a function. Requests to its URL go to it as they are; events that tell of
//! a request become it again; every other event is posted.

mod event;
mod setup;

use std::sync::Arc;

use base::Fault;
use bytes::Bytes;
use door::{Body, Pieces, SiteRequest, SiteResponse, Takeover};
use futures_util::stream;
use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, UPGRADE};
use http::uri::PathAndQuery;
use invoker::{Answered, Done, FailureKind, Finished, Target, WebBody, WebCall, program};

pub(crate) use setup::Setup;

use crate::name::Named;
use crate::target::Plan;
use crate::{Functions, Request, faults};

/// The other protocol that is spoken to programs.
const WEBSOCKET: &str = "websocket";
/// Answers up to this size are held whole: their figures go with them.
const HELD_BYTES: u64 = 64 * 1024;
/// The answer to an event, bytes. Source: AWS Lambda quotas, as its words name it.
const EVENT_ANSWER_BYTES: usize = 6_291_556;

/// A plan that is a web function's.
pub(crate) struct Served<'a> {
    pub(crate) target: &'a Arc<Target>,
    pub(crate) events: &'a PathAndQuery,
    pub(crate) sampled: bool,
}

impl Plan {
    /// What it serves, if it is a web function's.
    pub(crate) fn served(&self) -> Option<Served<'_>> {
        match self {
            Self::Run { target, events: Some(events), sampled, .. } => {
                Some(Served { target, events, sampled: *sampled })
            }
            _ => None,
        }
    }
}

impl Functions {
    /// Hands one event to a web function, and answers what it makes of it. The program goes on when the caller goes away.
    ///
    /// # Errors
    /// Why it never began, in AWS's words.
    pub(crate) async fn run_web(&self, named: &Named, served: Served<'_>, request: Request) -> Result<Done, Fault> {
        let (asked, form) = event::request(&request.payload, served.events);
        let trace = request.trace.unwrap_or_else(|| self.new_trace(&served.target.key.function, served.sampled));
        let mut call = WebCall {
            request_id: request.id,
            invoked_arn: self.invoked_arn(named, served.target),
            want_tail: request.want_tail,
            by_receipt: request.by_receipt,
            switch: None,
            fails_from: (form == event::Form::Other).then_some(event::FAILS_FROM),
            request: asked,
            trace: Some(trace.clone()),
        };
        mark(call.request.headers_mut(), &call.request_id.to_string(), &trace);
        let asking = self.invoker.web(Arc::clone(served.target), call);
        let answered = tokio::spawn(async move {
            Ok(match asking.await? {
                Answered::Failed(done) => *done,
                Answered::Switched { .. } => unreachable!("an event asks for no other protocol"),
                Answered::Answer { head, mut body } => {
                    let whole = body.whole(EVENT_ANSWER_BYTES).await;
                    let result = match whole {
                        Ok(Some(bytes)) => Some(event::answer(form, &head, bytes)),
                        Ok(None) => Some(too_large()),
                        Err(_) => None,
                    };
                    body.end(result)
                }
            })
        });
        let answered = answered.await.map_err(|error| Fault::internal(format!("an invocation broke off: {error}")))?;
        answered.map_err(|refusal| faults::refused(&refusal))
    }

    /// Hands a request to a web function, and its answer on as it comes.
    pub(crate) async fn serve_web(
        &self,
        named: &Named,
        target: &Arc<Target>,
        (path, prefix): (&str, &str),
        (request, takeover): (&SiteRequest, Option<Takeover>),
        trace: &str,
    ) -> Result<(SiteResponse, Option<Done>), Fault> {
        if takeover.is_none() && is_websocket(&request.headers) {
            return Ok((no_websocket(), None));
        }
        let target_path = if request.query.is_empty() { path.to_owned() } else { format!("{path}?{}", request.query) };
        let Ok(uri) = target_path.parse::<http::Uri>() else {
            return Err(Fault::new("BadRequest", 400, "The path cannot be understood"));
        };
        let id = base::RequestId::new(&*self.options.rng);
        let mut asked = http::Request::new(request.body.clone());
        *asked.method_mut() = request.method.clone();
        *asked.uri_mut() = uri;
        *asked.headers_mut() = request.headers.clone();
        program::strip(asked.headers_mut());
        forward(asked.headers_mut(), request, prefix);
        mark(asked.headers_mut(), &id.to_string(), trace);
        let call = WebCall {
            request_id: id,
            trace: Some(trace.to_owned()),
            invoked_arn: self.invoked_arn(named, target),
            want_tail: false,
            by_receipt: false,
            fails_from: None,
            switch: takeover.is_some().then_some(WEBSOCKET),
            request: asked,
        };
        let answered = self.invoker.web(Arc::clone(target), call).await.map_err(|refusal| faults::refused(&refusal))?;
        let (head, mut body) = match answered {
            Answered::Failed(done) => return Ok((failed(&done.result), Some(*done))),
            Answered::Switched { mut head, wire } => {
                tokio::spawn(async move {
                    // A caller who has left before leaves the request to its end.
                    if let Some(caller) = async { takeover?.take().await }.await {
                        wire.carry(caller).await;
                    }
                });
                head.headers.insert(UPGRADE, HeaderValue::from_static(WEBSOCKET));
                return Ok((SiteResponse { status: 101, headers: head.headers, body: Body::Empty }, None));
            }
            Answered::Answer { head, body } => (head, body),
        };
        let (status, headers) = (head.status.as_u16(), head.headers);
        if body.to_come().is_some_and(|length| length <= HELD_BYTES) {
            let whole = body.whole(usize::MAX).await;
            let done = body.done().cloned();
            return Ok(match whole {
                Ok(bytes) => {
                    let body = Body::Bytes(bytes.unwrap_or_default());
                    (SiteResponse { status, headers, body }, done)
                }
                Err(_) => (failed(&Finished::Response(Bytes::new())), done),
            });
        }
        Ok((SiteResponse { status, headers, body: Body::Stream(pieces(body)) }, None))
    }
}

fn is_websocket(headers: &HeaderMap) -> bool {
    headers.get(UPGRADE).is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(WEBSOCKET.as_bytes()))
}

/// The answer to who wants WebSocket on a connection that cannot be had.
fn no_websocket() -> SiteResponse {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let body = serde_json::json!({ "Message": "WebSocket is spoken over HTTP/1.1, by GET with Connection: Upgrade" });
    SiteResponse { status: 501, headers, body: Body::Bytes(body.to_string().into()) }
}

/// What the program is told of the way the request came.
fn forward(headers: &mut HeaderMap, request: &SiteRequest, prefix: &str) {
    let peer = request.peer.to_string();
    let so_far = headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
    let through = so_far.map_or_else(|| peer.clone(), |so_far| format!("{so_far}, {peer}"));
    put(headers, "x-forwarded-for", &through);
    let (scheme, port) = if request.origin.tls { ("https", "443") } else { ("http", "80") };
    for (name, value) in [
        ("x-forwarded-proto", scheme),
        ("x-forwarded-host", &request.authority),
        ("x-forwarded-port", request.authority.rsplit_once(':').map_or(port, |(_, port)| port)),
    ] {
        if !headers.contains_key(name) {
            put(headers, name, value);
        }
    }
    // What the caller says of it would stand in the program's own links.
    headers.remove("x-forwarded-prefix");
    if !prefix.is_empty() {
        put(headers, "x-forwarded-prefix", prefix);
    }
    if let Ok(host) = HeaderValue::from_str(&request.authority) {
        headers.entry(HOST).or_insert(host);
    }
}

fn mark(headers: &mut HeaderMap, request_id: &str, trace: &str) {
    put(headers, "x-amzn-requestid", request_id);
    put(headers, "x-amzn-trace-id", trace);
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// The answer where the program gave none.
fn failed(result: &Finished) -> SiteResponse {
    let timeout = matches!(result, Finished::FunctionError { kind: FailureKind::Timeout, .. });
    let mut response = crate::url::bad_gateway();
    if timeout {
        (response.status, response.body) = (504, Body::Bytes(Bytes::from_static(b"Gateway Timeout")));
    }
    response
}

fn too_large() -> Finished {
    let error_type = "Function.ResponseSizeTooLarge".to_owned();
    let payload = serde_json::json!({
        "errorMessage": format!("Response payload size exceeded maximum allowed payload size ({EVENT_ANSWER_BYTES} bytes)."),
        "errorType": error_type,
    });
    Finished::FunctionError { kind: FailureKind::Raised, error_type, payload: payload.to_string().into() }
}

fn pieces(body: Box<WebBody>) -> Pieces {
    Box::pin(stream::unfold(Some(body), |body| async {
        let mut body = body?;
        match body.next().await? {
            Ok(bytes) => Some((Ok(bytes), Some(body))),
            Err(broken) => {
                // An error takes along what has not gone out: a turn lets it.
                tokio::task::yield_now().await;
                Some((Err(Fault::internal(broken.to_string())), None))
            }
        }
    }))
}

//! What answers the hosts of APIs: plain HTTP beside the AWS APIs.
//!
//! An API answers on `ID.execute-api.REGION.ANYTHING/[STAGE/]PATH` and, for hosts where such names do not resolve, under
//! `/_lambent/api/ID/[STAGE/]PATH`; there it shares its origin with the platform's own pages, so the gateway sets it apart.
//! Every answer carries `apigw-requestid`, the id that the event has too.

mod answer;
mod authorize;
mod event;
mod invoke;
mod issuers;
mod judge;
mod live;
mod log;
mod map;
mod proxy;
mod select;
mod throttle;
mod verdicts;

use base::{BoxFuture, Fault, TraceHeader};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use door::{Body, Site, SiteRequest, SiteResponse};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, ORIGIN};

use crate::rules::{cors, path, table};
use crate::{HttpApis, limits};

pub(crate) use authorize::INVOKE;
use authorize::Refused;
pub(crate) use invoke::PRINCIPAL;
pub(crate) use issuers::Issuers;
pub(crate) use judge::{for_anybody, permits};
pub(crate) use live::Live;
use live::{Ready, Serving, To};
use log::Course;
pub(crate) use log::{Log, Place};
pub(crate) use throttle::{Bucket, Buckets};
pub(crate) use verdicts::{Asked, Grant, Verdict, Verdicts};

/// The second label of an API's host.
pub(crate) const LABEL: &str = "execute-api";
/// The form without a host of its own.
const PATH: &str = "/_lambent/api/";

/// A request for an API: its id, and the path behind it.
pub(crate) fn asked<'a>(host: &'a str, path: &'a str) -> Option<(&'a str, &'a str)> {
    let mut labels = host.splitn(3, '.');
    if let (Some(id), Some(LABEL)) = (labels.next(), labels.next()) {
        return Some((id, path));
    }
    let rest = path.strip_prefix(PATH)?;
    let (id, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    Some((id, if path.is_empty() { "/" } else { path }))
}

/// The address of an API, for clients that reached the platform under `authority`.
pub(crate) fn endpoint(scheme: &str, id: &str, region: &str, authority: &str) -> String {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, Some(port)),
        _ => (authority, None),
    };
    // Names under an address do not resolve, names under `localhost` do in most clients.
    let host = match host.trim_matches(['[', ']']).parse::<std::net::IpAddr>() {
        Ok(_) => "localhost",
        Err(_) => base_of(host).unwrap_or(host),
    };
    match port {
        Some(port) => format!("{scheme}://{id}.{LABEL}.{region}.{host}:{port}"),
        None => format!("{scheme}://{id}.{LABEL}.{region}.{host}"),
    }
}

/// What follows the region in an API's host; none if it is no API's.
pub(crate) fn base_of(host: &str) -> Option<&str> {
    let mut labels = host.splitn(4, '.').skip(1);
    (labels.next() == Some(LABEL)).then(|| labels.nth(1)).flatten()
}

/// A request on its way to an integration.
#[derive(Clone, Copy)]
struct Visit<'a> {
    live: &'a Live,
    stage: &'a Serving,
    route: &'a Ready,
    request: &'a SiteRequest,
    // With the stage, decoded.
    path: &'a str,
    // Behind the stage.
    parts: &'a [std::borrow::Cow<'a, str>],
    id: &'a str,
    now: base::Timestamp,
    trace: &'a str,
}

impl Site for HttpApis {
    fn claims(&self, host: &str, path: &str) -> bool {
        asked(host, path).is_some()
    }

    fn body_bytes(&self) -> usize {
        crate::limits::BODY_BYTES
    }

    fn serve(&self, request: SiteRequest) -> BoxFuture<'_, SiteResponse> {
        Box::pin(async move {
            let mut raw = [0; 11];
            self.options.rng.fill(&mut raw);
            let id = STANDARD.encode(raw);
            let mut response = self.answer(&request, &id).await;
            put(&mut response.headers, "apigw-requestid", &id);
            response
        })
    }
}

impl HttpApis {
    async fn answer(&self, request: &SiteRequest, id: &str) -> SiteResponse {
        let Some((api, path)) = asked(&request.host, &request.path) else { return not_found() };
        let live = match self.live(api) {
            Ok(Some(live)) if !live.api.endpoint_disabled => live,
            Ok(_) => return not_found(),
            Err(fault) => return broken(&fault),
        };
        if head_bytes(request) > limits::HEAD_BYTES {
            return message(431, "Request Header Fields Too Large");
        }
        let Some((stage, rest)) = live.stage(path) else { return not_found() };
        let origin = request.headers.get(ORIGIN);
        if let (Some(cors), Some(origin)) = (&stage.content.cors, origin)
            && door::proxy::is_preflight(&request.method, &request.headers)
        {
            return SiteResponse { status: 204, headers: cors::preflight(cors, origin), body: Body::Empty };
        }
        let parts = path::parts(rest);
        let began = self.options.clocks.monotonic();
        let (route, may_pass) = stage.route(request.method.as_str(), &parts, began);
        let now = self.options.clocks.product();
        let trace = match request.headers.get("x-amzn-trace-id").and_then(|value| value.to_str().ok()) {
            Some(trace) => trace.to_owned(),
            None => TraceHeader::root(&*self.options.rng, now.0.unsigned_abs() / 1000).0,
        };
        let path = &*path::decoded(path);
        let visit = Visit { live: &live, stage, route, request, path, parts: &parts, id, now, trace: &trace };
        let mut course = Course::default();
        let mut response =
            if may_pass { self.visit(&visit, &mut course).await } else { course.own(message(429, TOO_MANY), TOO_MANY) };
        if let Some(cors) = &stage.content.cors {
            cors::answer(cors, origin, &mut response.headers);
        }
        let took = self.options.clocks.monotonic().duration_since(began);
        self.log(&visit, &course, &response, took);
        response
    }

    async fn visit(&self, visit: &Visit<'_>, course: &mut Course) -> SiteResponse {
        let Some(target) = &visit.route.target else { return course.own(not_found(), "Not Found") };
        match self.authorize(visit).await {
            Ok(authorizer) => course.authorizer = authorizer,
            Err(refused) => {
                course.authorizer_error = Some(refused.to_string());
                return match refused {
                    Refused::Unauthorized(challenge) => {
                        course.own(challenged(message(401, "Unauthorized"), challenge), "Unauthorized")
                    }
                    Refused::Forbidden(challenge) => {
                        course.own(challenged(message(403, "Forbidden"), challenge), "Forbidden")
                    }
                    Refused::Broken => course.own(internal(), "Internal Server Error"),
                };
            }
        }
        let mapped = visit.mapped(&target.of_request, &course.authorizer);
        let overwritten = mapped.as_ref().and_then(|mapped| mapped.path.as_deref());
        let changed = Visit {
            request: mapped.as_ref().map_or(visit.request, |mapped| &mapped.request),
            path: overwritten.unwrap_or(visit.path),
            ..*visit
        };
        let began = self.options.clocks.monotonic();
        let answered = match &target.to {
            To::Function(function, payload) => {
                self.invoke(&changed, function, *payload, target.timeout, &course.authorizer).await
            }
            To::Url { uri, method } => self.pass_on(&changed, uri, method.as_ref(), overwritten, target.timeout).await,
        };
        course.integration = Some(self.options.clocks.monotonic().duration_since(began));
        match answered {
            Ok(mut response) => {
                course.integration_status = Some(response.status);
                if let Some(changes) = target.of_answer.get(&response.status) {
                    visit.change_answer(changes, &course.authorizer, &mut response);
                }
                response
            }
            Err(failed) => {
                course.integration_error = Some(failed.why);
                course.own(message(failed.status, failed.message), failed.message)
            }
        }
    }
}

/// What a request hears that comes too often.
const TOO_MANY: &str = "Too Many Requests";

/// An integration that did not answer, or not well: what is answered instead, and why.
#[derive(Debug)]
struct Failed {
    status: u16,
    message: &'static str,
    why: String,
}

impl Failed {
    fn internal(why: impl Into<String>) -> Self {
        Self { status: 500, message: "Internal Server Error", why: why.into() }
    }

    fn unavailable(why: impl Into<String>) -> Self {
        Self { status: 503, message: "Service Unavailable", why: why.into() }
    }

    fn too_large(why: impl Into<String>) -> Self {
        Self { status: 413, message: "Request Entity Too Large", why: why.into() }
    }
}

impl Visit<'_> {
    /// The values of the route's path variables.
    fn variables(&self) -> Vec<(&str, String)> {
        table::values(&self.route.key, self.parts)
    }

    /// The path behind the stage, decoded.
    fn behind(&self) -> String {
        format!("/{}", self.parts.join("/"))
    }

    /// What is called, as policies name it: `…:api/stage/METHOD/path`, the path as it was sent.
    fn arn(&self) -> String {
        let api = &self.live.api;
        let (method, stage) = (&self.request.method, &self.stage.name);
        format!("arn:aws:execute-api:{}:{}:{}/{stage}/{method}{}", api.region, api.account, api.id, self.behind())
    }

    /// On whose behalf the integration is called, as its policy sees it: `…:api/stage/METHOD/path`, the path as the route has it.
    fn source_arn(&self) -> String {
        let api = &self.live.api;
        let (method, stage) = (self.request.method.as_str(), &self.stage.name);
        let (region, account, id) = (&api.region, &api.account, &api.id);
        match self.route.key.split_once(' ') {
            Some((_, path)) => format!("arn:aws:execute-api:{region}:{account}:{id}/{stage}/{method}{path}"),
            None => format!("arn:aws:execute-api:{region}:{account}:{id}/{stage}/{}", self.route.key),
        }
    }
}

/// Request line and headers, as they were sent.
pub(crate) fn head_bytes(request: &SiteRequest) -> usize {
    let line = request.method.as_str().len() + request.path.len() + request.query.len() + 12;
    line + request.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>()
}

fn not_found() -> SiteResponse {
    message(404, "Not Found")
}

fn internal() -> SiteResponse {
    message(500, "Internal Server Error")
}

/// What the store says is for the platform's owner; a visitor hears what AWS says.
fn broken(fault: &Fault) -> SiteResponse {
    tracing::error!(%fault, "an API was not read");
    internal()
}

/// An answer of the API's own, in AWS's form.
fn message(status: u16, text: &str) -> SiteResponse {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let body = Bytes::from(format!("{{\"message\":\"{text}\"}}"));
    SiteResponse { status, headers, body: Body::Bytes(body) }
}

/// An answer that says how one could say who one is.
fn challenged(mut response: SiteResponse, challenge: Option<String>) -> SiteResponse {
    if let Some(challenge) = challenge {
        put(&mut response.headers, "www-authenticate", &challenge);
    }
    response
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
    fn apis_are_known_by_host_or_path() {
        assert_eq!(asked("abc.execute-api.us-east-1.localhost", "/a/b"), Some(("abc", "/a/b")));
        assert_eq!(asked("localhost", "/_lambent/api/abc/dev/x"), Some(("abc", "/dev/x")));
        assert_eq!(asked("localhost", "/_lambent/api/abc"), Some(("abc", "/")));
        assert_eq!(asked("localhost", "/v2/apis"), None);
        assert_eq!(asked("execute-api.localhost", "/"), None);
    }

    #[test]
    fn apis_stand_under_a_name_not_under_an_address() {
        let of = |authority| endpoint("http", "abc", "eu-west-1", authority);
        assert_eq!(of("127.0.0.1:4566"), "http://abc.execute-api.eu-west-1.localhost:4566");
        assert_eq!(of("[::1]:1"), "http://abc.execute-api.eu-west-1.localhost:1");
        assert_eq!(of("api.example.org"), "http://abc.execute-api.eu-west-1.api.example.org");
        assert_eq!(of("x.execute-api.us-east-1.localhost:1"), "http://abc.execute-api.eu-west-1.localhost:1");
    }
}

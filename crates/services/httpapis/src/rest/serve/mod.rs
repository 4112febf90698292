//! What answers the hosts of REST APIs: plain HTTP beside the AWS APIs.
//!
//! An API answers where HTTP APIs do, always under a stage: `ID.execute-api.REGION.ANYTHING/STAGE/PATH` and
//! `/_lambent/api/ID/STAGE/PATH`. Every answer carries `x-amzn-requestid` and `x-amz-apigw-id`, which the event has too.

mod answer;
mod authorize;
mod coding;
mod event;
mod failure;
mod function;
mod judge;
mod live;
mod log;
mod mock;
mod notes;
mod trial;
mod values;
mod web;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use base::{BoxFuture, RequestId, Timestamp, TraceHeader};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use door::{Site, SiteRequest, SiteResponse};
use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::RestApis;
use super::rules::models;
use crate::rules::{path, table};
use crate::serve::{asked, head_bytes};

use authorize::Caller;
use failure::Failure;
pub(crate) use live::Live;
use live::{Ready, Serving, Target};
use notes::{Notes, Weight};
pub(crate) use trial::Given;

/// A request on its way.
struct Visit<'a> {
    live: &'a Live,
    stage: &'a Serving,
    // None while no method is found, and if none is.
    route: Option<&'a Ready>,
    request: &'a SiteRequest,
    // With the stage, as it was sent.
    sent: &'a str,
    // Behind the stage, as it was sent.
    behind: &'a str,
    // Of what is behind, without what an ending slash leaves.
    parts: Vec<Cow<'a, str>>,
    id: &'a str,
    extended: &'a str,
    now: Timestamp,
    trace: &'a str,
    caller: Option<Caller>,
    // How long the integration took, and what it answered.
    integration: Option<(Duration, Option<u16>)>,
    // What is told of it.
    notes: Option<&'a Notes>,
    // How much the method's settings want to be told.
    told: Option<Weight>,
}

impl Site for RestApis {
    fn claims(&self, host: &str, path: &str) -> bool {
        asked(host, path).is_some()
    }

    fn body_bytes(&self) -> usize {
        crate::limits::BODY_BYTES
    }

    fn serve(&self, request: SiteRequest) -> BoxFuture<'_, SiteResponse> {
        Box::pin(async move {
            let Some((id, _)) = asked(&request.host, &request.path) else { return self.others.serve(request).await };
            match self.live(id) {
                Ok(None) => self.others.serve(request).await,
                Ok(Some(live)) => self.answer(&live, request).await,
                Err(fault) => {
                    tracing::error!(%fault, "an API was not read");
                    Failure::internal().plain()
                }
            }
        })
    }
}

impl RestApis {
    async fn answer(&self, live: &Live, mut request: SiteRequest) -> SiteResponse {
        let began = self.options().clocks.monotonic();
        let rng = &*self.options().rng;
        let mut raw = [0; 11];
        rng.fill(&mut raw);
        let (id, extended) = (RequestId::new(rng).to_string(), STANDARD.encode(raw));
        let now = self.options().clocks.product();
        let trace = match request.headers.get("x-amzn-trace-id").and_then(|value| value.to_str().ok()) {
            Some(trace) => trace.to_owned(),
            None => TraceHeader::root(rng, now.0.unsigned_abs() / 1000).0,
        };
        let sent = |request: &SiteRequest| Some(asked(&request.host, &request.path)?.1.to_owned());
        let sent = sent(&request).unwrap_or_default();
        let mut response = match live.stage(&sent) {
            Some((stage, behind)) if !stage.content.endpoint_disabled => {
                let least = stage.content.compression;
                let unpacked = coding::unpack(&mut request, least).await;
                let request = &request;
                let notes = stage.executions.as_ref();
                let notes = notes.map(|_| Notes::new(&self.options().clocks, false, Weight::Data));
                let parts = behind.trim_matches('/').split('/').map(Cow::Borrowed);
                let mut visit = Visit {
                    live,
                    stage,
                    route: None,
                    request,
                    sent: &sent,
                    behind,
                    parts: parts.filter(|part| !(part.is_empty() && behind.trim_matches('/').is_empty())).collect(),
                    id: &id,
                    extended: &extended,
                    now,
                    trace: &trace,
                    caller: None,
                    integration: None,
                    notes: notes.as_ref(),
                    told: None,
                };
                let done = match unpacked {
                    Ok(()) => self.visit(&mut visit).await,
                    Err(failure) => Err(failure),
                };
                let (mut response, failure) = match done {
                    Ok(response) => (response, None),
                    Err(failure) => (failure.answer(&visit), Some(failure)),
                };
                if let (Some(log), Some(notes), Some(most)) = (&stage.executions, &notes, visit.told) {
                    visit.tell_end(&response, failure.as_ref());
                    log.write(&*self.options().logs, &id, notes, most);
                }
                coding::pack(request, &mut response, least).await;
                if let Some(log) = &stage.log {
                    let took = self.options().clocks.monotonic().duration_since(began);
                    let course = log::Course { failure: failure.as_ref(), response: &response, took };
                    let context = values::context(&visit);
                    let value = |name: &str| log::value(&visit, &context, &course, name);
                    log.write(&*self.options().logs, now, value);
                }
                response
            }
            _ => Failure::forbidden().plain(),
        };
        put(&mut response.headers, "x-amzn-requestid", &id);
        put(&mut response.headers, "x-amz-apigw-id", &extended);
        response
    }

    async fn visit(&self, visit: &mut Visit<'_>) -> Result<SiteResponse, Failure> {
        if head_bytes(visit.request) > crate::limits::HEAD_BYTES {
            return Err(Failure::head_too_large());
        }
        let content = &visit.stage.content;
        let found = content.table.find(visit.request.method.as_str(), &visit.parts);
        let found = found.and_then(|at| Some((at, content.routes.get(at)?)));
        let (at, route) = found.ok_or_else(Failure::missing_token)?;
        visit.route = Some(route);
        visit.told = visit.stage.told.get(at).copied().flatten();
        visit.tell_begin();
        let bucket = visit.stage.buckets.get(at).and_then(Option::as_ref);
        if bucket.is_some_and(|bucket| !bucket.take(self.options().clocks.monotonic())) {
            return Err(Failure::too_many());
        }
        visit.caller = self.authorize(visit, route).await?;
        self.proceed(visit, route).await
    }

    /// What becomes of a request that was let in.
    async fn proceed(&self, visit: &mut Visit<'_>, route: &Ready) -> Result<SiteResponse, Failure> {
        let missing: Vec<&str> = route.required.iter().filter_map(|key| missing(visit, key)).collect();
        if !missing.is_empty() {
            return Err(Failure::missing_parameters(&missing));
        }
        check_body(visit, route).await?;
        let began = self.options().clocks.monotonic();
        let answered = match &route.target {
            Target::Function(function) => self.invoke(visit, route, function).await,
            Target::Url(url) => self.pass_on(visit, route, url).await,
            Target::Mock(mock) => mock::answer(visit, mock),
        };
        let status = match (&answered, &route.target) {
            // Of a function it is Lambda's own.
            (Ok(_), Target::Function(_)) => Some(200),
            (Ok(response), _) => Some(response.status),
            (Err(_), _) => None,
        };
        let took = self.options().clocks.monotonic().duration_since(began);
        visit.integration = Some((took, status));
        if let Some(status) = status.filter(|_| !matches!(route.target, Target::Mock(_))) {
            visit.note(Weight::Info, || {
                format!("Received response. Status: {status}, Integration latency: {} ms", took.as_millis())
            });
        }
        let mut response = answered?;
        put(&mut response.headers, "x-amzn-trace-id", visit.trace);
        Ok(response)
    }
}

impl Visit<'_> {
    /// Tells what happens, if anybody wants to know.
    fn note(&self, weight: Weight, text: impl FnOnce() -> String) {
        if let Some(notes) = self.notes {
            notes.add(weight, text);
        }
    }

    /// The values of the path's variables, as they were sent.
    fn variables(&self) -> Vec<(&str, String)> {
        self.route.map_or_else(Vec::new, |route| table::values(&route.key, &self.parts))
    }

    /// What is called, as policies name it: `…:api/stage/METHOD/path`, the path as it was sent.
    fn arn(&self) -> String {
        let api = &self.live.api;
        let (method, stage, path) = (&self.request.method, &self.stage.name, path::decoded(self.behind));
        format!("arn:aws:execute-api:{}:{}:{}/{stage}/{method}{path}", api.region, api.account, api.id)
    }

    fn accept(&self) -> Option<&str> {
        self.request.headers.get(http::header::ACCEPT).and_then(|value| value.to_str().ok())
    }

    fn content_type(&self) -> Option<&str> {
        self.request.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok())
    }
}

/// Whether the body is as the model of its type says; there may be none.
async fn check_body(visit: &Visit<'_>, route: &Ready) -> Result<(), Failure> {
    let Some(shape) = models::of_content_type(&route.bodies, visit.content_type()) else { return Ok(()) };
    let schema = Arc::clone(shape.as_ref().ok_or_else(Failure::internal)?);
    let look = move |body: &[u8]| match serde_json::from_slice(body) {
        Ok(value) => schema.wrong(&value, body.len()),
        Err(error) => vec![format!("Invalid JSON: {error}")],
    };
    let wrong = coding::apart(visit.request.body.clone(), look).await.map_err(|_| Failure::internal())?;
    if wrong.is_empty() {
        return Ok(());
    }
    let of = visit.content_type().unwrap_or("application/json");
    visit.note(Weight::Error, || {
        format!("Request body does not match model schema for content type {of}: [{}]", wrong.join(", "))
    });
    Err(Failure::wrong_body(&wrong))
}

/// The name of a parameter, if it is not sent or is empty.
fn missing<'k>(visit: &Visit<'_>, key: &'k str) -> Option<&'k str> {
    let sent = values::of(visit, key).is_some_and(|value| !value.is_empty());
    let name = key.strip_prefix("method.request.")?.split_once('.')?.1;
    (!sent).then_some(name)
}

/// Sets a header of ours; what cannot stand in a header is left out.
fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

//! Tests of methods and authorizers as the API is now, deployed or not.
//! Source: API Gateway API Reference, "TestInvokeMethod" and "TestInvokeAuthorizer".

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base::{Principal, RequestId, TraceHeader};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use door::{Origin, SiteRequest, SiteResponse};
use http::header::HeaderMap;
use serde_json::Value;

use super::live::{Content, Judge, Live, Serving};
use super::notes::{Notes, Weight, masked, text};
use super::{Failure, Visit, event, judge};
use crate::rest::RestApis;
use crate::rest::types::Authorizer;

/// What is asked.
pub(crate) struct Given {
    pub(crate) method: http::Method,
    // With its query; none is the resource's own.
    pub(crate) path: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) variables: BTreeMap<String, String>,
    // Who asks.
    pub(crate) peer: std::net::IpAddr,
}

/// What came of it.
pub(crate) struct Asked<T> {
    pub(crate) outcome: T,
    pub(crate) log: String,
    pub(crate) took: Duration,
}

/// The stages that tests of methods and of authorizers have.
const OF_METHODS: &str = "test-invoke-stage";
const OF_AUTHORIZERS: &str = "ESTestInvoke-stage";

impl RestApis {
    /// Sends a request to a method, past what would authorize it. None if the method has no integration.
    pub(crate) async fn try_method(
        &self,
        live: &Live,
        resource: &str,
        verb: &str,
        given: Given,
    ) -> Option<Asked<SiteResponse>> {
        let stage = Serving::trial(OF_METHODS, Content::of(&live.api.id, live.api.freeze()), given.variables.clone());
        let content = Arc::clone(&stage.content);
        let of = |route: &&super::Ready| route.resource == resource && route.key.split(' ').next() == Some(verb);
        let route = content.routes.iter().find(of)?;
        let (id, ids) = self.ids();
        let (request, sent) = request(live, given, &route.path, id);
        let notes = Notes::new(&self.options().clocks, true, Weight::Data);
        let mut visit = self.trial(live, &stage, &request, &sent, &ids, &notes);
        visit.route = Some(route);
        visit.tell_begin();
        let began = self.options().clocks.monotonic();
        let done = self.proceed(&mut visit, route).await;
        let took = self.options().clocks.monotonic().duration_since(began);
        let (outcome, failure) = match done {
            Ok(response) => (response, None),
            Err(failure) => (failure.answer(&visit), Some(failure)),
        };
        visit.tell_end(&outcome, failure.as_ref());
        Some(Asked { outcome, log: notes.text(&ids.0), took })
    }

    /// Asks an authorizer about a request. The outcome is what it answered, or the status that a client would have had.
    pub(crate) async fn try_authorizer(
        &self,
        live: &Live,
        (id, authorizer): (&str, &Authorizer),
        given: Given,
    ) -> Asked<Result<Value, u16>> {
        let stage = Serving::trial(OF_AUTHORIZERS, Content::default(), given.variables.clone());
        let (request_id, ids) = self.ids();
        let (request, sent) = request(live, given, "/", request_id);
        let notes = Notes::new(&self.options().clocks, true, Weight::Data);
        let visit = self.trial(live, &stage, &request, &sent, &ids, &notes);
        notes.add(Weight::Info, || format!("Starting authorizer: {id} for request: {}", ids.0));
        let began = self.options().clocks.monotonic();
        let outcome = match Judge::of(id, authorizer) {
            None => Err(Failure::no_verdict()),
            Some(judge) => self.ask_for_trial(&visit, &judge).await,
        };
        let took = self.options().clocks.monotonic().duration_since(began);
        let outcome = outcome.map_err(|failure| {
            let why = match failure.status() {
                401 => "Unauthorized request",
                _ => "Execution failed due to configuration error: Authorizer error",
            };
            notes.add(Weight::Error, || why.to_owned());
            failure.status()
        });
        notes.add(Weight::Info, || format!("Completed authorizer: {id} for request: {}", ids.0));
        Asked { outcome, log: notes.text(&ids.0), took }
    }

    async fn ask_for_trial(&self, visit: &Visit<'_>, judge: &Judge) -> Result<Value, Failure> {
        let identity = judge::identity(visit, judge)?;
        visit.note(Weight::Info, || {
            let all: Vec<String> = identity.iter().map(|one| masked(one)).collect();
            format!("Incoming identity: {}", all.join(", "))
        });
        let question = event::asked(visit, judge, &identity);
        visit.note(Weight::Data, || format!("Endpoint request body after transformations: {}", text(&question)));
        let answer = self.asked_of_function(visit, judge, question).await?;
        visit.note(Weight::Data, || format!("Authorizer result body before parsing: {}", text(&answer)));
        judge::verdict(&answer).ok_or_else(Failure::no_verdict)?;
        serde_json::from_slice(&answer).map_err(|_| Failure::no_verdict())
    }

    /// The ids of a request, and its trace.
    fn ids(&self) -> (RequestId, (String, String, String)) {
        let rng = &*self.options().rng;
        let mut raw = [0; 11];
        rng.fill(&mut raw);
        let trace = TraceHeader::root(rng, self.options().clocks.product().0.unsigned_abs() / 1000).0;
        let id = RequestId::new(rng);
        (id, (id.to_string(), STANDARD.encode(raw), trace))
    }

    fn trial<'a>(
        &self,
        live: &'a Live,
        stage: &'a Serving,
        request: &'a SiteRequest,
        sent: &'a str,
        (id, extended, trace): &'a (String, String, String),
        notes: &'a Notes,
    ) -> Visit<'a> {
        let parts = sent.trim_matches('/').split('/').map(Cow::Borrowed);
        Visit {
            live,
            stage,
            route: None,
            request,
            sent,
            behind: sent,
            parts: parts.filter(|part| !(part.is_empty() && sent.trim_matches('/').is_empty())).collect(),
            id,
            extended,
            now: self.options().clocks.product(),
            trace,
            caller: None,
            integration: None,
            notes: Some(notes),
            told: None,
        }
    }
}

/// The request that is meant, and its path.
fn request(live: &Live, given: Given, path: &str, request_id: RequestId) -> (SiteRequest, String) {
    let whole = given.path.unwrap_or_else(|| path.to_owned());
    let (sent, query) = whole.split_once('?').unwrap_or((&whole, ""));
    let sent = if sent.starts_with('/') { sent.to_owned() } else { format!("/{sent}") };
    let host = format!("{}.{}.{}.localhost", live.api.id, crate::serve::LABEL, live.api.region);
    let request = SiteRequest {
        method: given.method,
        path: sent.clone(),
        query: query.to_owned(),
        authority: host.clone(),
        host,
        headers: given.headers,
        body: given.body,
        peer: given.peer,
        principal: Principal::Anonymous,
        origin: Origin::default(),
        request_id,
        takeover: None,
    };
    (request, sent)
}

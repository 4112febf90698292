//! Who may use a method.

use base::{Account, Principal, Region};
use door::{Ask, Mode};
use http::header::AUTHORIZATION;
use serde_json::{Map, Value};

use super::live::{Guard, Ready};
use super::{Failure, Visit};
use crate::rest::RestApis;
use crate::serve::INVOKE;

/// Who sent a request.
#[derive(Debug)]
pub(super) enum Caller {
    /// Who signed it.
    Signed { key_id: Option<String>, account: Account, arn: String },
    /// Whom a function named, and what it said of them.
    Named(Map<String, Value>),
}

impl RestApis {
    /// Lets a request in, or says why not.
    pub(super) async fn authorize(&self, visit: &Visit<'_>, route: &Ready) -> Result<Option<Caller>, Failure> {
        match &route.guard {
            Guard::Open => Ok(None),
            Guard::Iam => self.signed(visit).map(Some),
            Guard::Function(judge) => self.by_function(visit, judge).await.map(Some),
            Guard::Shut => Err(Failure::no_verdict()),
        }
    }

    /// Whom a signature names, if policies let them call the API.
    fn signed(&self, visit: &Visit<'_>) -> Result<Caller, Failure> {
        let (request, api, gate) = (visit.request, &visit.live.api, &self.options().gate);
        let principal = &request.principal;
        let from_inside = request.origin.key_id.is_none() && request.origin.source_ip.is_none();
        match signed_for(visit) {
            Some("execute-api") => {}
            Some(_) => return Err(Failure::signed_for_another()),
            None if from_inside => {}
            None => return Err(Failure::missing_token()),
        }
        if *principal == Principal::Anonymous {
            return Err(Failure::missing_token());
        }
        let owner: Account = api.account.parse().map_err(|_| Failure::internal())?;
        let region: Region = api.region.parse().map_err(|_| Failure::internal())?;
        let (resource, key_id) = (visit.arn(), request.origin.key_id.as_deref());
        let arn = principal.arn();
        // Where policies do not decide, the API's own account does.
        if principal.account() != owner && gate.mode() != Mode::Enforce {
            return Err(Failure::denied(format!(
                "User: {arn} is not authorized to perform: {INVOKE} on resource: {resource}"
            )));
        }
        let ask = Ask {
            principal,
            key_id,
            action: INVOKE,
            resource: &resource,
            owner: Some(owner),
            policy: None,
            trust: false,
            keys: &|| gate.keys(&request.origin, principal, &region),
        };
        gate.authorise(&ask, request.request_id).map_err(|denial| Failure::denied(denial.message))?;
        Ok(Caller::Signed { key_id: key_id.map(str::to_owned), account: principal.account(), arn })
    }
}

/// For which service a request is signed; none if it is not.
fn signed_for<'a>(visit: &'a Visit<'_>) -> Option<&'a str> {
    let request = visit.request;
    let header = request.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let header = header.filter(|header| header.starts_with("AWS4-"));
    let before = |text: &'a str, end: &str, slash: &str| Some(text.split_once(end)?.0.rsplit_once(slash)?.1);
    header
        .and_then(|header| before(header, "/aws4_request", "/"))
        .or_else(|| before(&request.query, "%2Faws4_request", "%2F"))
        .or_else(|| before(&request.query, "/aws4_request", "/"))
}

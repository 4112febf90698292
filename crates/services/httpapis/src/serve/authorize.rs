//! Who may use a route.

use base::{Account, Principal, Region};
use door::{Ask, Mode};
use http::header::AUTHORIZATION;

use super::Visit;
use crate::HttpApis;
use crate::types::Authorization;

/// What an event says of who was let in.
#[derive(Debug)]
pub(super) enum Authorizer {
    /// Nobody was asked.
    None,
    /// Who signed.
    Iam { key_id: Option<String>, account: Account, arn: String },
}

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is known, or nobody, and has no right.
    Forbidden,
}

impl HttpApis {
    /// Lets a request in, or says why not.
    pub(super) fn authorize(&self, visit: &Visit<'_>) -> Result<Authorizer, Refused> {
        match visit.route.authorization {
            Authorization::None => Ok(Authorizer::None),
            Authorization::Iam => self.signed(visit).ok_or(Refused::Forbidden),
        }
    }

    /// Whom a signature names, if policies let them call the API.
    fn signed(&self, visit: &Visit<'_>) -> Option<Authorizer> {
        let (request, api, gate) = (visit.request, &visit.live.api, &self.options.gate);
        let principal = &request.principal;
        if *principal == Principal::Anonymous || !is_for_apis(visit) {
            return None;
        }
        let owner: Account = api.account.parse().ok()?;
        // Where policies do not decide, the API's own account does.
        if principal.account() != owner && gate.mode() != Mode::Enforce {
            return None;
        }
        let region: Region = api.region.parse().ok()?;
        let path = visit.request_path();
        let resource = format!(
            "arn:aws:execute-api:{}:{}:{}/{}/{}{path}",
            api.region, api.account, api.id, visit.stage.name, request.method
        );
        let key_id = request.origin.key_id.as_deref();
        let ask = Ask {
            principal,
            key_id,
            action: "execute-api:Invoke",
            resource: &resource,
            owner: Some(owner),
            policy: None,
            trust: false,
            keys: &gate.keys(&request.origin, principal, &region),
        };
        gate.authorise(&ask, request.request_id).ok()?;
        Some(Authorizer::Iam { key_id: key_id.map(str::to_owned), account: principal.account(), arn: principal.arn() })
    }
}

impl Visit<'_> {
    /// The path behind the stage, decoded.
    fn request_path(&self) -> String {
        format!("/{}", self.parts.join("/"))
    }
}

/// A signature counts that was made for APIs; from inside a sandbox the way itself says who calls.
fn is_for_apis(visit: &Visit<'_>) -> bool {
    let request = visit.request;
    let header = request.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    header.contains("/execute-api/aws4_request")
        || request.query.contains("%2Fexecute-api%2Faws4_request")
        || request.query.contains("/execute-api/aws4_request")
        || (request.origin.key_id.is_none() && request.origin.source_ip.is_none())
}

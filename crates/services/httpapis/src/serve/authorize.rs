//! Who may use a route.

use base::{Account, Principal, Region};
use door::{Ask, Mode};
use http::header::AUTHORIZATION;
use serde_json::{Map, Value, json};

use super::Visit;
use super::live::{Guard, Judge, Judging};
use crate::HttpApis;
use crate::rules::jwt::{Invalid, Token};

/// What an event says of who was let in.
#[derive(Debug)]
pub(super) enum Authorizer {
    /// Nobody was asked.
    None,
    /// Who signed.
    Iam { key_id: Option<String>, account: Account, arn: String },
    /// What a token says, and which of the route's scopes it has.
    Token { claims: Map<String, Value>, scopes: Option<Vec<String>> },
    /// What a function said.
    Function { principal: Option<String>, context: Option<Map<String, Value>> },
}

/// Why a request is not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// It does not say who sends it, or not well: what `WWW-Authenticate` is to say.
    #[error("unauthorized: {}", .0.as_deref().unwrap_or("an identity source is missing"))]
    Unauthorized(Option<String>),
    /// It is known, or nobody, and has no right.
    #[error("forbidden: {}", .0.as_deref().unwrap_or("explicitly, or by no permission"))]
    Forbidden(Option<String>),
    /// What decides about it does not work.
    #[error("the authorizer does not answer, or not in the form that is asked for")]
    Broken,
}

impl Authorizer {
    /// `requestContext.authorizer` in format 2.0.
    pub(super) fn second(&self) -> Option<Value> {
        match self {
            Self::None => None,
            Self::Iam { key_id, account, arn } => Some(json!({"iam": {
                "accessKey": key_id,
                "accountId": account.as_str(),
                "callerId": null,
                "cognitoIdentity": null,
                "principalOrgId": null,
                "userArn": arn,
                "userId": null,
            }})),
            Self::Token { claims, scopes } => Some(json!({"jwt": {"claims": claims, "scopes": scopes}})),
            Self::Function { context, .. } => Some(json!({"lambda": context})),
        }
    }

    /// The same in format 1.0.
    pub(super) fn first(&self) -> Value {
        match self {
            Self::None | Self::Iam { .. } => json!({"claims": null, "scopes": null}),
            Self::Token { claims, scopes } => json!({"claims": claims, "scopes": scopes}),
            Self::Function { principal, context } => {
                let mut all = context.clone().unwrap_or_default();
                if let Some(principal) = principal {
                    all.insert("principalId".into(), Value::String(principal.clone()));
                }
                Value::Object(all)
            }
        }
    }
}

impl HttpApis {
    /// Lets a request in, or says why not.
    pub(super) async fn authorize(&self, visit: &Visit<'_>) -> Result<Authorizer, Refused> {
        match &visit.route.guard {
            Guard::Open => Ok(Authorizer::None),
            Guard::Iam => self.signed(visit).ok_or(Refused::Forbidden(None)),
            Guard::Token(judge, scopes) => self.by_token(visit, judge, scopes).await,
            Guard::Function(judge) => self.by_function(visit, judge).await,
            Guard::Shut => Err(Refused::Broken),
        }
    }

    /// Whom a token of an issuer names.
    async fn by_token(&self, visit: &Visit<'_>, judge: &Judge, wanted: &[String]) -> Result<Authorizer, Refused> {
        let Judging::Token { issuer, audience } = &judge.by else { return Err(Refused::Broken) };
        let sent = judge.identity.first().and_then(|selection| visit.select(selection));
        let Some(sent) = sent.filter(|sent| !sent.is_empty()) else {
            return Err(Refused::Unauthorized(Some("Bearer".into())));
        };
        let text = match sent.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ => sent.trim(),
        };
        let unfit = |Invalid(why): Invalid| {
            Refused::Unauthorized(Some(format!(r#"Bearer scope="" error="invalid_token" error_description="{why}""#)))
        };
        let token = Token::parse(text).map_err(unfit)?;
        let options = &self.options;
        let key = self.issuers.key(&*options.outbound, &*options.clocks, issuer, &token.key_id).await;
        let now_s = options.clocks.signing().0.div_euclid(1000);
        key.and_then(|key| token.verify(&key, issuer, audience, now_s)).map_err(unfit)?;
        let scopes = token.granted(wanted);
        if !wanted.is_empty() && scopes.is_none() {
            let scope = wanted.join(" ");
            return Err(Refused::Forbidden(Some(format!(r#"Bearer scope="{scope}" error="insufficient_scope""#))));
        }
        Ok(Authorizer::Token { claims: token.claims(), scopes })
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
        let key_id = request.origin.key_id.as_deref();
        let ask = Ask {
            principal,
            key_id,
            action: INVOKE,
            resource: &visit.arn(),
            owner: Some(owner),
            policy: None,
            trust: false,
            keys: &|| gate.keys(&request.origin, principal, &region),
        };
        gate.authorise(&ask, request.request_id).ok()?;
        Some(Authorizer::Iam { key_id: key_id.map(str::to_owned), account: principal.account(), arn: principal.arn() })
    }
}

/// The action of whoever calls an API.
pub(crate) const INVOKE: &str = "execute-api:Invoke";

/// A signature counts that was made for APIs; from inside a sandbox the way itself says who calls.
fn is_for_apis(visit: &Visit<'_>) -> bool {
    let request = visit.request;
    let header = request.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    header.contains("/execute-api/aws4_request")
        || request.query.contains("%2Fexecute-api%2Faws4_request")
        || request.query.contains("/execute-api/aws4_request")
        || (request.origin.key_id.is_none() && request.origin.source_ip.is_none())
}

//! Functions that decide about requests.
//! Source: API Gateway Developer Guide, "Control access to HTTP APIs with AWS Lambda authorizers".

use std::sync::Arc;
use std::time::Duration;

use base::{Account, Principal, Region};
use bytes::Bytes;
use door::{Ask, Denial, Gate, SiteRequest};
use serde_json::{Map, Value};

use super::authorize::{Authorizer, INVOKE, Refused};
use super::live::{Judge, Judging, Payload};
use super::verdicts::{Asked, Grant, Verdict};
use super::{Visit, event};
use crate::{HttpApis, limits};

impl HttpApis {
    /// Whom a function lets in.
    pub(super) async fn by_function(&self, visit: &Visit<'_>, judge: &Judge) -> Result<Authorizer, Refused> {
        let Judging::Function { ttl_s, .. } = &judge.by else { return Err(Refused::Broken) };
        // What is missing is missed without asking.
        let identity: Option<Vec<String>> =
            judge.identity.iter().map(|one| visit.select(one).filter(|value| !value.is_empty())).collect();
        let identity = identity.ok_or(Refused::Unauthorized(None))?;
        let asked = Asked { stage: visit.stage.name.clone(), authorizer: judge.id.clone(), identity };
        let kept = if *ttl_s > 0 { visit.live.verdicts.find(&asked, visit.now.0) } else { None };
        let verdict = match kept {
            Some(verdict) => verdict,
            None => {
                let (verdict, bytes) = self.ask_function(visit, judge, &asked.identity).await.ok_or(Refused::Broken)?;
                let verdict = Arc::new(verdict);
                if *ttl_s > 0 && bytes <= limits::VERDICT_BYTES {
                    visit.live.verdicts.keep(asked, visit.now.0.saturating_add(ttl_s * 1000), &verdict);
                }
                verdict
            }
        };
        let granted = match &verdict.grant {
            Grant::Said(granted) => *granted,
            Grant::Policy(policy) => {
                let api = &visit.live.api;
                let of = (&*api.account, &*api.region);
                permits(&self.options.gate, visit.request, of, &visit.arn(), policy).is_some_and(|said| said.is_ok())
            }
        };
        if !granted {
            return Err(Refused::Forbidden(None));
        }
        Ok(Authorizer::Function { principal: verdict.principal.clone(), context: verdict.context.clone() })
    }

    /// Asks the function; none if it does not answer, or not well. Also how long its answer is, bytes.
    async fn ask_function(&self, visit: &Visit<'_>, judge: &Judge, identity: &[String]) -> Option<(Verdict, usize)> {
        let Judging::Function { function, payload, simple, .. } = &judge.by else { return None };
        let api = &visit.live.api;
        let source_arn =
            format!("arn:aws:execute-api:{}:{}:{}/authorizers/{}", api.region, api.account, api.id, judge.id);
        let event = event::question(*payload, visit, identity);
        let timeout = Duration::from_millis(limits::AUTHORIZER_MS);
        let done = self.call_function(visit, function, source_arn, event, timeout).await.ok()?;
        if done.function_error.is_some() {
            return None;
        }
        let answer = done.payload.unwrap_or_default();
        Some((verdict(&answer, *payload, *simple)?, answer.len()))
    }
}

/// Whether an authorizer's policy lets a request in: it is one about the API, for whoever sends this request. None if the API
/// is nobody's.
pub(crate) fn permits(
    gate: &Gate,
    request: &SiteRequest,
    (account, region): (&str, &str),
    arn: &str,
    policy: &str,
) -> Option<Result<(), Denial>> {
    let (owner, region) = (account.parse::<Account>().ok()?, region.parse::<Region>().ok()?);
    let principal = Principal::Anonymous;
    let ask = Ask {
        principal: &principal,
        key_id: None,
        action: INVOKE,
        resource: arn,
        owner: Some(owner),
        policy: Some(policy),
        trust: false,
        keys: &|| gate.keys(&request.origin, &principal, &region),
    };
    // Its word counts in every mode: it is not the platform's policy, but the API's.
    Some(gate.decide(&ask, request.request_id, true))
}

/// What a function's answer says; none if it is not of the form that is asked for.
fn verdict(answer: &Bytes, payload: Payload, simple: bool) -> Option<Verdict> {
    let mut answer: Map<String, Value> = serde_json::from_slice(answer).ok()?;
    let context = match answer.remove("context") {
        None | Some(Value::Null) => None,
        Some(Value::Object(context)) => Some(context),
        Some(_) => return None,
    };
    if payload == Payload::V2 && simple {
        let granted = answer.get("isAuthorized")?.as_bool()?;
        return Some(Verdict { grant: Grant::Said(granted), principal: None, context });
    }
    let principal = answer.get("principalId")?.as_str()?.to_owned();
    let policy = for_anybody(answer.remove("policyDocument")?)?;
    Some(Verdict { grant: Grant::Policy(policy), principal: Some(principal), context })
}

/// The policy as one that a resource has: its statements are about whoever sends the request.
pub(crate) fn for_anybody(mut policy: Value) -> Option<String> {
    let statements = policy.get_mut("Statement")?;
    let many = match statements {
        Value::Array(many) => many.as_mut_slice(),
        one => std::slice::from_mut(one),
    };
    for statement in many {
        statement.as_object_mut()?.insert("Principal".into(), Value::String("*".into()));
    }
    Some(policy.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_are_of_the_form_that_was_asked_for() {
        let read = |answer: Value, payload, simple| verdict(&Bytes::from(answer.to_string()), payload, simple);
        let yes = read(json!({"isAuthorized": true, "context": {"a": 1}}), Payload::V2, true).unwrap();
        assert!(matches!(yes.grant, Grant::Said(true)) && yes.context.unwrap()["a"] == 1);
        let policy = json!({"principalId": "p", "policyDocument": {"Statement": {"Effect": "Allow"}}});
        let by_policy = read(policy.clone(), Payload::V1, false).unwrap();
        assert_eq!(by_policy.principal.as_deref(), Some("p"));
        let Grant::Policy(text) = by_policy.grant else { panic!("a policy") };
        assert!(text.contains(r#""Principal":"*""#), "{text}");
        for (answer, payload, simple) in [
            (json!({"isAuthorized": "yes"}), Payload::V2, true),
            (json!({}), Payload::V2, true),
            (policy, Payload::V2, true),
            (json!({"isAuthorized": true}), Payload::V2, false),
            (json!({"principalId": "p"}), Payload::V1, false),
            (json!({"principalId": "p", "policyDocument": {"Statement": [1]}}), Payload::V1, false),
            (json!({"isAuthorized": true, "context": 3}), Payload::V2, true),
            (json!("x"), Payload::V1, false),
        ] {
            assert!(read(answer.clone(), payload, simple).is_none(), "{answer}");
        }
    }
}

//! Functions that decide about requests.
//! Source: API Gateway Developer Guide, "Use API Gateway Lambda authorizers".

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::authorize::Caller;
use super::live::Judge;
use super::{Failure, Visit, event, values};
use crate::limits;
use crate::rest::RestApis;
use crate::serve::{Asked, Grant, Verdict, for_anybody, permits};

impl RestApis {
    /// Whom a function lets in.
    pub(super) async fn by_function(&self, visit: &Visit<'_>, judge: &Judge) -> Result<Caller, Failure> {
        let identity = identity(visit, judge)?;
        let question = event::asked(visit, judge, &identity);
        let asked = Asked { stage: visit.stage.name.clone(), authorizer: judge.id.clone(), identity };
        let kept = if judge.ttl_s > 0 { visit.live.verdicts.find(&asked, visit.now.0) } else { None };
        let verdict = match kept {
            Some(verdict) => verdict,
            None => {
                let answer = self.asked_of_function(visit, judge, question).await?;
                let verdict = Arc::new(verdict(&answer).ok_or_else(Failure::no_verdict)?);
                if judge.ttl_s > 0 && answer.len() <= limits::VERDICT_BYTES {
                    visit.live.verdicts.keep(asked, visit.now.0.saturating_add(judge.ttl_s * 1000), &verdict);
                }
                verdict
            }
        };
        self.permits(visit, &verdict.grant)?;
        Ok(Caller::Named(verdict.context.clone().unwrap_or_default()))
    }

    /// Asks the function.
    pub(super) async fn asked_of_function(
        &self,
        visit: &Visit<'_>,
        judge: &Judge,
        question: Bytes,
    ) -> Result<Bytes, Failure> {
        let api = &visit.live.api;
        let function = judge.function.function(&visit.stage.variables).ok_or_else(Failure::no_verdict)?;
        let source_arn =
            format!("arn:aws:execute-api:{}:{}:{}/authorizers/{}", api.region, api.account, api.id, judge.id);
        let timeout = Duration::from_millis(limits::AUTHORIZER_MS);
        let done =
            self.call_function(visit, (&function, judge.function.role.as_deref()), source_arn, question, timeout).await;
        let done = done.map_err(|_| Failure::no_verdict())?;
        let answer = done.payload.unwrap_or_default();
        if done.function_error.is_some() {
            // A function says so by failing with this word.
            let error: Value = serde_json::from_slice(&answer).unwrap_or_default();
            let unauthorized = error.get("errorMessage").and_then(Value::as_str) == Some("Unauthorized");
            return Err(if unauthorized { Failure::unauthorized() } else { Failure::no_verdict() });
        }
        Ok(answer)
    }

    /// Whether a policy lets the request in.
    fn permits(&self, visit: &Visit<'_>, grant: &Grant) -> Result<(), Failure> {
        let Grant::Policy(policy) = grant else { return Err(Failure::no_verdict()) };
        let api = &visit.live.api;
        let of = (&*api.account, &*api.region);
        let said = permits(&self.options().gate, visit.request, of, &visit.arn(), policy);
        said.ok_or_else(Failure::no_verdict)?.map_err(|denial| {
            let explicit = denial.message.contains("explicit deny");
            let how = if explicit { " with an explicit deny" } else { "" };
            Failure::denied(format!("User is not authorized to access this resource{how}"))
        })
    }
}

/// Where a request says who sends it. What is missing is missed without asking.
pub(super) fn identity(visit: &Visit<'_>, judge: &Judge) -> Result<Vec<String>, Failure> {
    let identity: Option<Vec<String>> =
        judge.identity.iter().map(|one| values::of(visit, one).filter(|value| !value.is_empty())).collect();
    let identity = identity.ok_or_else(Failure::unauthorized)?;
    let token = identity.first().map(String::as_str).unwrap_or_default();
    if judge.validation.as_ref().is_some_and(|pattern| !pattern.is_match(token)) {
        return Err(Failure::unauthorized());
    }
    Ok(identity)
}

/// What a function's answer says; none if it is no answer. The context is as events have it: every value a text, and whom
/// it names among them.
pub(super) fn verdict(answer: &Bytes) -> Option<Verdict> {
    let mut answer: Map<String, Value> = serde_json::from_slice(answer).ok()?;
    let principal = answer.get("principalId")?.as_str()?.to_owned();
    let policy = for_anybody(answer.remove("policyDocument")?)?;
    let mut context = Map::from_iter([("principalId".to_owned(), Value::String(principal.clone()))]);
    let given = match answer.remove("context") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(given)) => given,
        Some(_) => return None,
    };
    for (name, value) in given {
        let text = match value {
            Value::String(text) => text,
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            Value::Null => continue,
            Value::Array(_) | Value::Object(_) => return None,
        };
        context.insert(name, Value::String(text));
    }
    Some(Verdict { grant: Grant::Policy(policy), principal: Some(principal), context: Some(context) })
}

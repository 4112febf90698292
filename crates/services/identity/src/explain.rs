//! Why a principal may or may not do something: for people, in sentences. Answers `POST /_lambent/iam/explain`.

use base::{Account, Arn, BoxFuture, Fault, Principal};
use door::{Ask, Body, ConditionKeys, Decision, Policies, Site, SiteRequest, SiteResponse};
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};

use crate::engine::Identity;
use crate::faults;
use crate::rules::context::Context;
use crate::rules::document::Purpose;
use crate::rules::evaluate::{Applicable, Named, Question, Side, evaluate, nearly};
use crate::rules::principal::{Caller, Kind};
use crate::rules::words;
use crate::types::Group;

const PATH: &str = "/_lambent/iam/explain";
/// Who explains may simulate.
const ACTION: &str = "iam:SimulatePrincipalPolicy";

/// A principal as the rules see it, with all that is known of it.
pub(crate) struct Subjects {
    pub(crate) caller: Caller,
    pub(crate) policies: Vec<Named>,
    pub(crate) boundary: Option<Vec<Named>>,
    pub(crate) context: Context,
}

/// The principal an ARN names; a role stands for a session of it.
pub(crate) fn principal_of(text: &str) -> Option<Principal> {
    let arn: Arn = text.parse().ok()?;
    let account: Account = arn.account.parse().ok()?;
    let last = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    match (arn.service.as_str(), arn.resource.split_once('/')) {
        ("iam", None) if arn.resource == "root" => Some(Principal::Root { account, verified: true }),
        ("iam", Some(("user", path))) => Some(Principal::User { account, name: last(path) }),
        ("iam", Some(("role", path))) => {
            Some(Principal::Session { account, role: last(path), session: "explained".into() })
        }
        ("sts", Some(("assumed-role", rest))) => {
            let (role, session) = rest.split_once('/')?;
            Some(Principal::Session { account, role: role.to_owned(), session: session.to_owned() })
        }
        _ => None,
    }
}

impl Identity {
    /// The user, group or role of an ARN with its policies.
    pub(crate) fn subjects(&self, account: Account, arn: &str) -> Result<Subjects, Fault> {
        if let Some((_, path)) = arn.split_once(":group/") {
            let name = path.rsplit('/').next().unwrap_or(path);
            let group: Group = self.kept(account, name)?;
            let caller = Caller { kind: Kind::User, account, arn: group.arn(account), role_arn: None };
            let policies = self.held(account, &group.inline, &group.attached);
            return Ok(Subjects { caller, policies, boundary: None, context: Context::default() });
        }
        let invalid = || faults::invalid(format!("{arn} is invalid"));
        let principal = principal_of(arn).filter(|one| one.account() == account).ok_or_else(invalid)?;
        match &principal {
            Principal::User { name, .. } => drop(self.user(account, name)?),
            Principal::Session { role, .. } => drop(self.role(account, role)?),
            _ => {}
        }
        let known = self.known(&principal, None);
        let mut context = Context::default();
        self.describe(&principal, &known, None, &mut context);
        let (policies, boundary) = (known.entity.policies.clone(), known.entity.boundary.clone());
        Ok(Subjects { caller: known.caller, policies, boundary, context })
    }

    /// `{"principal", "action", "resource", "policy"?, "context"?: {key: value or values}}` → the decision and its grounds.
    fn explain(&self, request: &SiteRequest) -> Result<Value, Fault> {
        let asked: Value =
            serde_json::from_slice(&request.body).map_err(|_| faults::invalid("the body is not JSON"))?;
        let text = |name: &str| {
            let missing = || faults::invalid(format!("\"{name}\" is missing"));
            asked[name].as_str().map(str::to_owned).ok_or_else(missing)
        };
        let (who, action, resource) = (text("principal")?, text("action")?, text("resource")?);
        let ask = Ask {
            principal: &request.principal,
            key_id: request.origin.key_id.as_deref(),
            action: ACTION,
            resource: &who,
            owner: None,
            policy: None,
            trust: false,
            keys: &ConditionKeys::new,
        };
        if let Decision::Denied(denial) = self.decide(&ask) {
            return Err(faults::denied(denial.message));
        }
        let account = principal_of(&who).map_or(request.principal.account(), |one| one.account());
        let mut subjects = self.subjects(account, &who)?;
        for (key, value) in asked["context"].as_object().into_iter().flatten() {
            let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let values = value.as_array().map_or_else(|| vec![plain(value)], |all| all.iter().map(plain).collect());
            subjects.context.set_all(key, values);
        }
        let policy =
            asked["policy"].as_str().map(|text| self.compiled.document(text, Purpose::Resource)).transpose()?;
        let policy = policy.map(|document| Named { name: "the resource's policy".into(), document });
        Ok(grounds(&subjects, policy.as_ref(), &action, &resource))
    }
}

fn grounds(subjects: &Subjects, policy: Option<&Named>, action: &str, resource: &str) -> Value {
    let Subjects { caller, policies, boundary, context } = subjects;
    let owner = crate::decide::owner(resource);
    let question = Question { caller, action, resource, owner, context };
    let applicable =
        Applicable { identity: policies, boundary: boundary.as_deref(), session: None, resource: policy, trust: false };
    let verdict = evaluate(&question, &applicable);
    let layers = verdict.layers.iter().map(|(layer, side)| {
        let says = match side {
            Side::Denies => "denies",
            Side::Allows => "allows",
            Side::Silent => "says nothing",
        };
        json!({"set": layer.word(), "says": says})
    });
    let matched = verdict.matched.iter().map(|one| {
        let effect = if one.allow { "Allow" } else { "Deny" };
        json!({"set": one.layer.word(), "policy": one.policy, "statement": one.statement, "effect": effect})
    });
    let everything = policies.iter().chain(boundary.iter().flatten()).cloned().collect::<Vec<_>>();
    let near = nearly(&question, &everything)
        .into_iter()
        .map(|one| json!({"policy": one.policy, "statement": one.statement, "but": one.but}));
    json!({
        "allowed": verdict.is_allowed(),
        "message": words::refusal(&caller.arn, action, resource, verdict.outcome),
        "because": crate::decide::grounds(&verdict, &question, &applicable),
        "sets": layers.collect::<Vec<_>>(),
        "matched": matched.collect::<Vec<_>>(),
        "near": near.collect::<Vec<_>>(),
    })
}

impl Site for Identity {
    fn claims(&self, _: &str, path: &str) -> bool {
        path == PATH
    }

    fn serve(&self, request: SiteRequest) -> BoxFuture<'_, SiteResponse> {
        let (status, value) = match self.explain(&request) {
            Ok(value) => (200, value),
            Err(fault) => (fault.status, json!({"code": fault.code, "message": fault.message})),
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = Body::Bytes(value.to_string().into());
        Box::pin(std::future::ready(SiteResponse { status, headers, body }))
    }
}

//! AddPermission, RemovePermission, GetPolicy: a function's resource policy, stored as its statements.

use std::sync::Arc;

use base::{Fault, RequestId};
use door::{Answer, Body, Context, Handle};
use model::lambda::{self as aws, ops};
use serde_json::{Map, Value, json};
use wire::Unit;

use super::{alter, existing, named, required};
use crate::types::{Function, Statement};
use crate::{Functions, faults, name};

/// Largest policy, bytes. Source: AWS Lambda quotas.
pub(super) const POLICY_BYTES: usize = 20_480;

/// The statement a request asks for, as AWS writes it.
fn statement(input: &aws::AddPermissionRequest, sid: &str, resource: &str) -> Value {
    let mut statement = Map::new();
    statement.insert("Sid".into(), json!(sid));
    statement.insert("Effect".into(), json!("Allow"));
    statement.insert("Principal".into(), principal(input.principal.as_deref().unwrap_or_default()));
    statement.insert("Action".into(), json!(input.action));
    statement.insert("Resource".into(), json!(resource));
    let condition = condition(input);
    if !condition.is_empty() {
        statement.insert("Condition".into(), condition.into());
    }
    statement.into()
}

pub(super) fn principal(text: &str) -> Value {
    let account = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    match text {
        "*" => json!("*"),
        _ if account => json!({ "AWS": format!("arn:aws:iam::{text}:root") }),
        _ if text.starts_with("arn:") => json!({ "AWS": text }),
        _ => json!({ "Service": text }),
    }
}

fn condition(input: &aws::AddPermissionRequest) -> Map<String, Value> {
    let mut equals = Map::new();
    let texts = [
        ("lambda:FunctionUrlAuthType", &input.function_url_auth_type),
        ("AWS:SourceAccount", &input.source_account),
        ("lambda:EventSourceToken", &input.event_source_token),
        ("aws:PrincipalOrgID", &input.principal_org_id),
    ];
    for (key, value) in texts {
        if let Some(value) = value {
            equals.insert(key.into(), json!(value));
        }
    }
    let mut condition = Map::new();
    if !equals.is_empty() {
        condition.insert("StringEquals".into(), equals.into());
    }
    if let Some(via) = input.invoked_via_function_url {
        condition.insert("Bool".into(), json!({ "lambda:InvokedViaFunctionUrl": via.to_string() }));
    }
    if let Some(arn) = &input.source_arn {
        condition.insert("ArnLike".into(), json!({ "AWS:SourceArn": arn }));
    }
    condition
}

/// The policy document of a function or one of its qualifiers; none without statements.
pub(crate) fn document(function: &Function, qualifier: Option<&str>) -> Option<String> {
    let of = function.policy.iter().filter(|statement| statement.qualifier.as_deref() == qualifier);
    let statements: Vec<&str> = of.map(|statement| statement.json.as_str()).collect();
    if statements.is_empty() {
        return None;
    }
    let statements = statements.join(",");
    Some(format!(r#"{{"Version":"2012-10-17","Id":"default","Statement":[{statements}]}}"#))
}

fn insist(function: &Function, revision: Option<&str>) -> Result<(), Fault> {
    match revision.filter(|revision| !revision.is_empty()) {
        Some(revision) if revision != function.policy_revision => Err(faults::stale("GetPolicy")),
        _ => Ok(()),
    }
}

fn none_there() -> Fault {
    faults::not_found("The resource you requested does not exist.")
}

impl Handle<ops::AddPermission> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::AddPermissionRequest,
        _: Body,
    ) -> Result<Answer<aws::AddPermissionResponse>, Fault> {
        let text = required(input.function_name.clone(), "FunctionName")?;
        let sid = required(input.statement_id.clone(), "StatementId")?;
        let named = name::resolve(context.account, &context.region, &text, input.qualifier.as_deref())?;
        existing(&self, &named)?;
        let resource = named.address.qualified(named.qualifier.as_deref());
        let json = statement(&input, &sid, &resource).to_string();
        let added = Statement { id: sid.clone(), qualifier: named.qualifier, json: json.clone() };
        let (insisted, revision) = (input.revision_id, RequestId::new(&*self.options.rng).to_string());
        alter(&self, &named.address, move |function| {
            insist(function, insisted.as_deref())?;
            let same = |other: &Statement| other.id == added.id && other.qualifier == added.qualifier;
            if function.policy.iter().any(same) {
                return Err(faults::conflict(format!(
                    "The statement id ({}) provided already exists. Please provide a new statement id, or remove the \
                     existing statement.",
                    added.id
                )));
            }
            function.policy.push(added.clone());
            function.policy_revision.clone_from(&revision);
            let size = document(function, added.qualifier.as_deref()).map_or(0, |document| document.len());
            if size > POLICY_BYTES {
                return Err(faults::user(aws::policy_length_exceeded_exception(format!(
                    "The final policy size ({size}) is bigger than the limit ({POLICY_BYTES})."
                ))));
            }
            Ok(())
        })
        .await?;
        Ok(aws::AddPermissionResponse { statement: Some(json) }.into())
    }
}

impl Handle<ops::RemovePermission> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::RemovePermissionRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let text = required(input.function_name, "FunctionName")?;
        let sid = required(input.statement_id, "StatementId")?;
        let named = name::resolve(context.account, &context.region, &text, input.qualifier.as_deref())?;
        existing(&self, &named)?;
        let (insisted, revision) = (input.revision_id, RequestId::new(&*self.options.rng).to_string());
        alter(&self, &named.address, move |function| {
            insist(function, insisted.as_deref())?;
            let before = function.policy.len();
            function.policy.retain(|other| other.id != sid || other.qualifier != named.qualifier);
            if function.policy.len() == before {
                return Err(faults::not_found(format!("Statement {sid} is not found in resource policy.")));
            }
            function.policy_revision.clone_from(&revision);
            Ok(())
        })
        .await?;
        Ok(Unit.into())
    }
}

impl Handle<ops::GetPolicy> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetPolicyRequest,
        _: Body,
    ) -> Result<Answer<aws::GetPolicyResponse>, Fault> {
        let text = required(input.function_name, "FunctionName")?;
        let (named, function) = named(&self, &context, &text, input.qualifier.as_deref())?;
        let policy = document(&function, named.qualifier.as_deref()).ok_or_else(none_there)?;
        Ok(aws::GetPolicyResponse { policy: Some(policy), revision_id: Some(function.policy_revision) }.into())
    }
}

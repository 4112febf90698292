//! AddPermission, RemovePermission, GetPolicy: a function's resource policy, stored as its statements.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::lambda::{self as aws, ops};
use serde_json::{Map, Value, json};
use wire::Unit;

use super::{found, new_revision, required};
use crate::family::{Family, Step, Wanted};
use crate::name::{self, LATEST, Named, Qualifier, qualifier};
use crate::types::{Function, Statement};
use crate::{Functions, faults};

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

fn insist(latest: &str, revision: Option<&str>) -> Result<(), Fault> {
    match revision.filter(|revision| !revision.is_empty()) {
        Some(revision) if revision != latest => Err(faults::stale("GetPolicy")),
        _ => Ok(()),
    }
}

/// The revision that changes with a policy: the one of the function, version or alias that has it.
fn revision<'a>(family: &'a mut Family, named: &Named) -> Result<&'a mut String, Fault> {
    let found = match qualifier(named.qualifier.as_deref()) {
        Qualifier::Latest => family.function.as_mut().map(|function| &mut function.revision),
        Qualifier::Version(number) => family.versions.get_mut(&number).map(|version| &mut version.revision),
        Qualifier::Alias(name) => family.aliases.get_mut(name).map(|alias| &mut alias.revision),
    };
    found.ok_or_else(|| faults::no_function(&named.address.qualified(named.qualifier.as_deref())))
}

impl Functions {
    /// Changes a policy, if the revision a caller insists on is still the latest.
    async fn alter_policy<T: Send + 'static>(
        &self,
        named: &Named,
        insisted: Option<String>,
        mut change: impl FnMut(&mut Function) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (new, wanted) = (new_revision(self), Wanted::of(named.qualifier.as_deref()));
        let meant = named.clone();
        let alter = move |family: &mut Family| {
            family.existing(&meant.address)?;
            let revision = revision(family, &meant)?;
            insist(revision, insisted.as_deref())?;
            revision.clone_from(&new);
            change(family.existing(&meant.address)?).map(Step::Done)
        };
        self.state.alter_family(&named.address, wanted, alter).await
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
        if named.qualifier.as_deref() == Some(LATEST) {
            return Err(faults::invalid("We currently do not support adding policies for $LATEST."));
        }
        let resource = named.address.qualified(named.qualifier.as_deref());
        let json = statement(&input, &sid, &resource).to_string();
        let added = Statement { id: sid.clone(), qualifier: named.qualifier.clone(), json: json.clone() };
        self.alter_policy(&named, input.revision_id, move |function| {
            let same = |other: &Statement| other.id == added.id && other.qualifier == added.qualifier;
            if function.policy.iter().any(same) {
                return Err(faults::conflict(format!(
                    "The statement id ({}) provided already exists. Please provide a new statement id, or remove the \
                     existing statement.",
                    added.id
                )));
            }
            function.policy.push(added.clone());
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
        let of = named.qualifier.clone();
        self.alter_policy(&named, input.revision_id, move |function| {
            let before = function.policy.len();
            function.policy.retain(|other| other.id != sid || other.qualifier != of);
            if function.policy.len() == before {
                return Err(faults::not_found(format!("Statement {sid} is not found in resource policy.")));
            }
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
        let found = found(&self, &context, &text, input.qualifier.as_deref())?;
        let policy = document(&found.function, found.named.qualifier.as_deref()).ok_or_else(none_there)?;
        Ok(aws::GetPolicyResponse { policy: Some(policy), revision_id: Some(found.revision().to_owned()) }.into())
    }
}

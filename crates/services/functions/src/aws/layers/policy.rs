//! AddLayerVersionPermission, RemoveLayerVersionPermission, GetLayerVersionPolicy: who else may use a layer version.

use std::sync::Arc;

use base::{Fault, RequestId};
use door::{Answer, Body, Context, Handle};
use model::lambda::{self as aws, ops};
use serde_json::{Map, Value, json};
use wire::Unit;

use super::{named, none_there};
use crate::aws::policy::{POLICY_BYTES, principal};
use crate::aws::required;
use crate::layer::{Layer, LayerVersion};
use crate::types::Statement;
use crate::{Functions, faults};

/// The statement a request asks for, as AWS writes it.
fn statement(input: &aws::AddLayerVersionPermissionRequest, sid: &str, resource: &str) -> Value {
    let mut statement = Map::new();
    statement.insert("Sid".into(), json!(sid));
    statement.insert("Effect".into(), json!("Allow"));
    statement.insert("Principal".into(), principal(input.principal.as_deref().unwrap_or_default()));
    statement.insert("Action".into(), json!(input.action));
    statement.insert("Resource".into(), json!(resource));
    if let Some(organization) = &input.organization_id {
        statement.insert("Condition".into(), json!({ "StringEquals": { "aws:PrincipalOrgID": organization } }));
    }
    statement.into()
}

fn insist(version: &LayerVersion, revision: Option<&str>) -> Result<(), Fault> {
    match revision.filter(|revision| !revision.is_empty()) {
        Some(revision) if revision != version.policy_revision => Err(faults::stale("GetLayerPolicy")),
        _ => Ok(()),
    }
}

/// The caller's own layer version that a request names, and what is said when it is not there.
fn own(context: &Context, name: Option<String>, version: Option<i64>) -> Result<(Layer, u64, Fault), Fault> {
    let (layer, number) = named(context, name, version)?;
    if layer.account != context.account {
        return Err(faults::other_account(&layer.version_arn(number)));
    }
    let missing = faults::not_found(format!("Layer version {} does not exist.", layer.version_arn(number)));
    Ok((layer, number, missing))
}

impl Handle<ops::AddLayerVersionPermission> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::AddLayerVersionPermissionRequest,
        _: Body,
    ) -> Result<Answer<aws::AddLayerVersionPermissionResponse>, Fault> {
        let (layer, number, missing) = own(&context, input.layer_name.clone(), input.version_number)?;
        let sid = required(input.statement_id.clone(), "StatementId")?;
        if input.organization_id.is_some() && input.principal.as_deref() != Some("*") {
            return Err(faults::invalid("OrganizationId can only be set when Principal is set to \"*\"."));
        }
        let json = statement(&input, &sid, &layer.version_arn(number)).to_string();
        let added = Statement { id: sid, qualifier: None, json: json.clone() };
        let revision = RequestId::new(&*self.options.rng).to_string();
        let (insisted, next) = (input.revision_id, revision.clone());
        let change = move |found: Option<LayerVersion>| {
            let mut version = found.ok_or_else(|| missing.clone())?;
            insist(&version, insisted.as_deref())?;
            if version.policy.iter().any(|other| other.id == added.id) {
                return Err(faults::conflict(format!(
                    "The statement id ({}) provided already exists. Please provide a new statement id, or remove the \
                     existing statement.",
                    added.id
                )));
            }
            version.policy.push(added.clone());
            version.policy_revision.clone_from(&next);
            let size = version.document().map_or(0, |document| document.len());
            if size > POLICY_BYTES {
                return Err(faults::user(aws::policy_length_exceeded_exception(format!(
                    "The final policy size ({size}) is bigger than the limit ({POLICY_BYTES})."
                ))));
            }
            Ok((Some(version), ()))
        };
        self.state.alter_layer(&layer, number, change).await?;
        Ok(aws::AddLayerVersionPermissionResponse { statement: Some(json), revision_id: Some(revision) }.into())
    }
}

impl Handle<ops::RemoveLayerVersionPermission> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::RemoveLayerVersionPermissionRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let (layer, number, missing) = own(&context, input.layer_name, input.version_number)?;
        let sid = required(input.statement_id, "StatementId")?;
        let (insisted, next) = (input.revision_id, RequestId::new(&*self.options.rng).to_string());
        let change = move |found: Option<LayerVersion>| {
            let mut version = found.ok_or_else(|| missing.clone())?;
            insist(&version, insisted.as_deref())?;
            let before = version.policy.len();
            version.policy.retain(|other| other.id != sid);
            if version.policy.len() == before {
                return Err(faults::not_found(format!("Statement {sid} is not found in resource policy.")));
            }
            version.policy_revision.clone_from(&next);
            Ok((Some(version), ()))
        };
        self.state.alter_layer(&layer, number, change).await?;
        Ok(Unit.into())
    }
}

impl Handle<ops::GetLayerVersionPolicy> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetLayerVersionPolicyRequest,
        _: Body,
    ) -> Result<Answer<aws::GetLayerVersionPolicyResponse>, Fault> {
        let (layer, number, _) = own(&context, input.layer_name, input.version_number)?;
        let version = self.state.layer_version(&layer, number)?.ok_or_else(none_there)?;
        let none = || faults::not_found("No policy is associated with the given resource.");
        let policy = version.document().ok_or_else(none)?;
        Ok(aws::GetLayerVersionPolicyResponse { policy: Some(policy), revision_id: Some(version.policy_revision) }
            .into())
    }
}

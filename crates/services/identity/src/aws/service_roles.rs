//! Service-linked roles: made by the account, but their service's own.

use std::sync::Arc;

use base::{Fault, RequestId};
use door::{Answer, Body, Context, Handle};
use model::iam::{self, ops};
use store::Batch;

use super::roles::{ROLES_PER_ACCOUNT, SESSION_S};
use super::show;
use crate::Identity;
use crate::faults;
use crate::rules::credential;
use crate::state::{self, Kind, SPACE};
use crate::types::{Role, SERVICE_PATH};

/// Services with roles of their own, and what the role is called. Those with `_` at the end take a suffix.
/// Source: each service's guide, "Using service-linked roles".
const SERVICES: &[(&str, &str)] = &[
    ("apidestinations.events.amazonaws.com", "AWSServiceRoleForAmazonEventBridgeApiDestinations"),
    ("appsync.amazonaws.com", "AWSServiceRoleForAppSync"),
    ("autoscaling.amazonaws.com", "AWSServiceRoleForAutoScaling_"),
    ("batch.amazonaws.com", "AWSServiceRoleForBatch"),
    ("dynamodb.application-autoscaling.amazonaws.com", "AWSServiceRoleForApplicationAutoScaling_DynamoDBTable"),
    ("ecs.amazonaws.com", "AWSServiceRoleForECS"),
    ("ecs.application-autoscaling.amazonaws.com", "AWSServiceRoleForApplicationAutoScaling_ECSService"),
    ("eks.amazonaws.com", "AWSServiceRoleForAmazonEKS"),
    ("elasticache.amazonaws.com", "AWSServiceRoleForElastiCache"),
    ("elasticfilesystem.amazonaws.com", "AWSServiceRoleForAmazonElasticFileSystem"),
    ("elasticloadbalancing.amazonaws.com", "AWSServiceRoleForElasticLoadBalancing"),
    ("email.cognito-idp.amazonaws.com", "AWSServiceRoleForAmazonCognitoIdpEmailService"),
    ("lambda.application-autoscaling.amazonaws.com", "AWSServiceRoleForApplicationAutoScaling_LambdaConcurrency"),
    ("logger.cloudfront.amazonaws.com", "AWSServiceRoleForCloudFrontLogger"),
    ("opensearchservice.amazonaws.com", "AWSServiceRoleForAmazonOpenSearchService"),
    ("ops.apigateway.amazonaws.com", "AWSServiceRoleForAPIGateway"),
    ("rds.amazonaws.com", "AWSServiceRoleForRDS"),
    ("rds.application-autoscaling.amazonaws.com", "AWSServiceRoleForApplicationAutoScaling_RDSCluster"),
    ("replicator.lambda.amazonaws.com", "AWSServiceRoleForLambdaReplicator"),
    ("spot.amazonaws.com", "AWSServiceRoleForEC2Spot"),
];

impl Handle<ops::CreateServiceLinkedRole> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::CreateServiceLinkedRoleRequest,
        _: Body,
    ) -> Result<Answer<iam::CreateServiceLinkedRoleResponse>, Fault> {
        let account = context.account;
        let service = input.aws_service_name.unwrap_or_default();
        let known = SERVICES.iter().find(|(name, _)| *name == service);
        let (_, prefix) = known.ok_or_else(|| {
            iam::invalid_input_exception(format!("{service} is not known here as a service with service-linked roles."))
        })?;
        let name = match (prefix.strip_suffix('_'), input.custom_suffix) {
            (_, None) => prefix.trim_end_matches('_').to_owned(),
            (Some(stem), Some(suffix)) => format!("{stem}_{suffix}"),
            (None, Some(_)) => {
                let message = format!("Custom suffix is not allowed for {service}");
                return Err(iam::invalid_input_exception(message));
            }
        };
        let trust = serde_json::json!({
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}],
        });
        let role = Role {
            path: format!("{SERVICE_PATH}{service}/"),
            id: credential::unique_id("AROA", &*self.rng),
            created_ms: self.clocks.product().0 / 1000 * 1000,
            trust: trust.to_string(),
            description: input.description,
            max_session_s: SESSION_S,
            boundary: None,
            tags: Default::default(),
            inline: Default::default(),
            attached: Vec::new(),
            profiles: Vec::new(),
            name,
        };
        let message =
            format!("Service role name {} has been taken in this account, please try a different suffix.", role.name);
        let made = self.make(account, &role.name, &role, ("RolesPerAccount", ROLES_PER_ACCOUNT), message).await;
        made.map_err(|fault| match fault.code.as_ref() {
            "EntityAlreadyExists" => iam::invalid_input_exception(fault.message),
            _ => fault,
        })?;
        Ok(iam::CreateServiceLinkedRoleResponse { role: Some(show::role(&role, account)) }.into())
    }
}

impl Handle<ops::DeleteServiceLinkedRole> for Identity {
    /// Nothing here works with such a role, so that it goes at once; how it went is told until another of its name goes.
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::DeleteServiceLinkedRoleRequest,
        _: Body,
    ) -> Result<Answer<iam::DeleteServiceLinkedRoleResponse>, Fault> {
        let name = input.role_name.unwrap_or_default();
        let role_row = state::row(context.account, Kind::Role, &name);
        let task_row = state::row(context.account, Kind::Deletion, &name);
        let unique = RequestId::new(&*self.rng).to_string();
        let declared = vec![role_row.clone(), task_row.clone()];
        let task = self
            .transact(declared, move |rows| {
                let role: Role = rows.json(SPACE, &role_row)?.ok_or_else(|| faults::no_role(&name))?;
                if !role.is_service_linked() {
                    let message = format!("The role {} is not a service-linked role.", role.name);
                    return Err(iam::invalid_input_exception(message));
                }
                if !role.profiles.is_empty() {
                    return Err(faults::in_instance_profile());
                }
                let task = format!("task{}{}/{unique}", role.path, role.name);
                let mut batch = Batch::new();
                batch.delete(SPACE, role_row.clone());
                batch.put_json(SPACE, task_row.clone(), &task)?;
                Ok((batch, task))
            })
            .await?;
        Ok(iam::DeleteServiceLinkedRoleResponse { deletion_task_id: Some(task) }.into())
    }
}

impl Handle<ops::GetServiceLinkedRoleDeletionStatus> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::GetServiceLinkedRoleDeletionStatusRequest,
        _: Body,
    ) -> Result<Answer<iam::GetServiceLinkedRoleDeletionStatusResponse>, Fault> {
        let asked = input.deletion_task_id.unwrap_or_default();
        let name = asked.rsplit('/').nth(1).unwrap_or_default();
        let row = state::row(context.account, Kind::Deletion, name);
        let known: Option<String> = store::get_json(&*self.kv, SPACE, &row)?;
        if known.as_ref() != Some(&asked) {
            let message = format!("The deletion task with id {asked} cannot be found.");
            return Err(iam::no_such_entity_exception(message));
        }
        Ok(iam::GetServiceLinkedRoleDeletionStatusResponse { status: Some("SUCCEEDED".into()), reason: None }.into())
    }
}

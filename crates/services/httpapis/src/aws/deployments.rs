//! Deployments: states of an API that stages answer with.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::apigatewayv2::{self as aws, ops};
use wire::Unit;

use super::apis::set;
use crate::engine::Draft;
use crate::rules::{check, pages::Page};
use crate::shown::Shown;
use crate::{HttpApis, faults};

impl Handle<ops::CreateDeployment> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::CreateDeploymentRequest,
        _: Body,
    ) -> Result<Answer<aws::CreateDeploymentResponse>, Fault> {
        check::length("description", input.description.as_deref(), 0, 1024)?;
        let api = input.api_id.clone();
        let create = move |draft: &mut Draft<'_>| {
            let named = input.stage_name.as_ref();
            if let Some(name) = named {
                let stage = draft.api.stages.get(name).ok_or_else(|| faults::no_part("stage"))?;
                if stage.auto_deploy {
                    return Err(faults::bad("Deployment cannot be created on a stage with auto-deploy enabled"));
                }
            }
            let id = draft.freeze(input.description.clone())?;
            let now_ms = draft.now_ms;
            if let Some(stage) = named.and_then(|name| draft.api.stages.get_mut(name)) {
                stage.deployment = Some(id.clone());
                stage.updated_ms = now_ms;
            }
            Ok(aws::CreateDeploymentResponse::shown((&id, &draft.api.deployments[&id])))
        };
        Ok(self.change(context.account, &context.region, api.as_deref(), create).await?.into())
    }
}

impl Handle<ops::GetDeployment> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetDeploymentRequest,
        _: Body,
    ) -> Result<Answer<aws::GetDeploymentResponse>, Fault> {
        let live = self.api(context.account, &context.region, input.api_id.as_deref())?;
        let id = input.deployment_id.unwrap_or_default();
        let one = live.api.deployments.get(&id).ok_or_else(|| faults::no_part("deployment"))?;
        Ok(aws::GetDeploymentResponse::shown((&id, one)).into())
    }
}

impl Handle<ops::GetDeployments> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetDeploymentsRequest,
        _: Body,
    ) -> Result<Answer<aws::GetDeploymentsResponse>, Fault> {
        let live = self.api(context.account, &context.region, input.api_id.as_deref())?;
        let page = Page::of(input.max_results.as_deref(), input.next_token.as_deref())?;
        let all = live.api.deployments.iter();
        let (items, next_token) = page.cut(all.map(|(id, one)| (id.clone(), aws::Deployment::shown((id, one)))));
        Ok(aws::GetDeploymentsResponse { items: Some(items), next_token }.into())
    }
}

impl Handle<ops::UpdateDeployment> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::UpdateDeploymentRequest,
        _: Body,
    ) -> Result<Answer<aws::UpdateDeploymentResponse>, Fault> {
        check::length("description", input.description.as_deref(), 0, 1024)?;
        let api = input.api_id.clone();
        let update = move |draft: &mut Draft<'_>| {
            let id = input.deployment_id.clone().unwrap_or_default();
            let one = draft.api.deployments.get_mut(&id).ok_or_else(|| faults::no_part("deployment"))?;
            set(&mut one.description, input.description.as_ref());
            Ok(aws::UpdateDeploymentResponse::shown((&id, one)))
        };
        Ok(self.change(context.account, &context.region, api.as_deref(), update).await?.into())
    }
}

impl Handle<ops::DeleteDeployment> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteDeploymentRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let api = input.api_id.clone();
        let delete = move |draft: &mut Draft<'_>| {
            let id = input.deployment_id.clone().unwrap_or_default();
            if !draft.api.deployments.contains_key(&id) {
                return Err(faults::no_part("deployment"));
            }
            if draft.api.stages.values().any(|stage| stage.deployment.as_ref() == Some(&id)) {
                return Err(faults::bad("Active stages pointing to this deployment must be moved or deleted"));
            }
            draft.drop_deployment(&id);
            Ok(())
        };
        self.change(context.account, &context.region, api.as_deref(), delete).await?;
        Ok(Unit.into())
    }
}

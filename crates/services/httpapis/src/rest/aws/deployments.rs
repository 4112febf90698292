//! Deployments: CreateDeployment, GetDeployment, GetDeployments, UpdateDeployment, DeleteDeployment.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::apigateway::{self as aws, ops};
use wire::Unit;

use super::{page, stages};
use crate::rest::engine::{Draft, Missing};
use crate::rest::rules::{patch::Patch, resources};
use crate::rest::types::{Frozen, Stage};
use crate::rest::{RestApis, faults, state};
use crate::rules::check;

impl Handle<ops::CreateDeployment> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::CreateDeploymentRequest,
        _: Body,
    ) -> Result<Answer<aws::Deployment>, Fault> {
        let refused = [
            ("cacheClusterEnabled", input.cache_cluster_enabled == Some(true)),
            ("cacheClusterSize", input.cache_cluster_size.is_some()),
            ("canarySettings", input.canary_settings.is_some()),
            ("tracingEnabled", input.tracing_enabled == Some(true)),
        ];
        faults::refuse("CreateDeployment", &refused)?;
        let stage = input.stage_name.filter(|name| !name.is_empty());
        if let Some(name) = &stage {
            stages::check_name(name)?;
        }
        check::length("description", input.description.as_deref(), 0, 1024)?;
        check::length("stageDescription", input.stage_description.as_deref(), 0, 1024)?;
        input.variables.as_ref().map_or(Ok(()), check::variables)?;
        let (description, stage_description, variables) = (input.description, input.stage_description, input.variables);
        let create = move |draft: &mut Draft<'_>| {
            let id = draft.freeze(description.clone())?;
            if let Some(name) = &stage {
                let now_ms = draft.now_ms;
                let of_new = || Stage { created_ms: now_ms, ..Stage::default() };
                stages::room(&draft.api, name)?;
                let stage = draft.api.stages.entry(name.clone()).or_insert_with(of_new);
                stage.deployment.clone_from(&id);
                stage.updated_ms = now_ms;
                stage.description = stage_description.clone().or_else(|| stage.description.take());
                if let Some(variables) = &variables {
                    stage.variables.clone_from(variables);
                }
            }
            Ok(draft.api.deployments.get(&id).ok_or_else(faults::no_deployment)?.show(&id))
        };
        let at = (context.account, &context.region);
        Ok(self.change(at, input.rest_api_id.as_deref(), Missing::Api, create).await?.into())
    }
}

/// What a deployment has, in short: by path and method.
fn summary(frozen: &Frozen) -> BTreeMap<String, BTreeMap<String, aws::MethodSnapshot>> {
    let methods = |resource: &crate::rest::types::Resource| {
        let one = |(name, method): (&String, &crate::rest::types::Method)| {
            let shown = aws::MethodSnapshot {
                authorization_type: Some(method.authorization.as_str().into()),
                api_key_required: Some(false),
            };
            (name.clone(), shown)
        };
        resource.methods.iter().map(one).collect()
    };
    let with_methods = frozen.resources.iter().filter(|(_, resource)| !resource.methods.is_empty());
    with_methods.map(|(id, resource)| (resources::path(&frozen.resources, id), methods(resource))).collect()
}

impl Handle<ops::GetDeployment> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetDeploymentRequest,
        _: Body,
    ) -> Result<Answer<aws::Deployment>, Fault> {
        let live = self.api(context.account, &context.region, input.rest_api_id.as_deref())?;
        let id = input.deployment_id.unwrap_or_default();
        let mut shown = live.api.deployments.get(&id).ok_or_else(faults::no_deployment)?.show(&id);
        match input.embed.as_deref().unwrap_or_default() {
            [] => {}
            all if all.iter().all(|one| one == "apisummary") => {
                let frozen = state::find_frozen(self.kv(), &live.api.id, &id)?.unwrap_or_default();
                shown.api_summary = Some(summary(&frozen));
            }
            _ => return Err(faults::bad("Invalid embed parameter specified. Must be one of: [apisummary]")),
        }
        Ok(shown.into())
    }
}

impl Handle<ops::GetDeployments> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetDeploymentsRequest,
        _: Body,
    ) -> Result<Answer<aws::Deployments>, Fault> {
        let live = self.api(context.account, &context.region, input.rest_api_id.as_deref())?;
        let page = page(input.limit, input.position.as_deref())?;
        let all = live.api.deployments.iter().map(|(id, one)| (id.clone(), one.show(id)));
        let (items, position) = page.cut(all);
        Ok(aws::Deployments { items: Some(items), position }.into())
    }
}

impl Handle<ops::UpdateDeployment> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::UpdateDeploymentRequest,
        _: Body,
    ) -> Result<Answer<aws::Deployment>, Fault> {
        let id = input.deployment_id.unwrap_or_default();
        let patches = Patch::all(input.patch_operations)?;
        let update = move |draft: &mut Draft<'_>| {
            let one = draft.api.deployments.get_mut(&id).ok_or_else(faults::no_deployment)?;
            for patch in &patches {
                match *patch.parts() {
                    ["description"] => {
                        patch.replaces()?;
                        one.description = patch.text()?;
                        check::length("description", one.description.as_deref(), 0, 1024)?;
                    }
                    _ => return Err(patch.wrong_path()),
                }
            }
            Ok(one.show(&id))
        };
        let at = (context.account, &context.region);
        Ok(self.change(at, input.rest_api_id.as_deref(), Missing::Api, update).await?.into())
    }
}

impl Handle<ops::DeleteDeployment> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteDeploymentRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let id = input.deployment_id.unwrap_or_default();
        let delete = move |draft: &mut Draft<'_>| {
            if !draft.api.deployments.contains_key(&id) {
                return Err(faults::no_deployment());
            }
            if draft.api.stages.values().any(|stage| stage.deployment == id) {
                return Err(faults::bad("Active stages pointing to this deployment must be moved or deleted"));
            }
            draft.drop_deployment(&id);
            Ok(())
        };
        let at = (context.account, &context.region);
        self.change(at, input.rest_api_id.as_deref(), Missing::Api, delete).await?;
        Ok(Unit.into())
    }
}

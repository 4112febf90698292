//! Stages: the addresses of an API, each with a deployment of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::apigatewayv2::{self as aws, ops};
use wire::Unit;

use super::apis::set;
use crate::engine::Draft;
use crate::rules::format;
use crate::rules::{check, pages::Page, route_key};
use crate::shown::Shown;
use crate::types::{AccessLog, Settings, Stage};
use crate::{HttpApis, faults, limits};

/// The settings of a route, or of all, as an input gives them.
fn settings(operation: &str, given: aws::RouteSettings) -> Result<Settings, Fault> {
    let refused = [
        ("RouteSettings.DataTraceEnabled", given.data_trace_enabled == Some(true)),
        ("RouteSettings.LoggingLevel", given.logging_level.as_deref().is_some_and(|level| level != "OFF")),
    ];
    faults::refuse(operation, &refused)?;
    if given.throttling_burst_limit.is_some_and(|burst| burst < 0)
        || given.throttling_rate_limit.is_some_and(|rate| !(rate.is_finite() && rate >= 0.0))
    {
        return Err(faults::bad("Throttling limits must not be negative"));
    }
    Ok(Settings {
        detailed_metrics: given.detailed_metrics_enabled,
        burst_limit: given.throttling_burst_limit,
        rate_limit: given.throttling_rate_limit,
    })
}

/// The access log of an input, added to what is there: an update may change one of its members.
fn access_log(given: aws::AccessLogSettings, before: Option<&AccessLog>) -> Result<AccessLog, Fault> {
    let destination = given.destination_arn.or_else(|| before.map(|log| log.destination.clone()));
    let format = given.format.or_else(|| before.map(|log| log.format.clone()));
    let (Some(destination), Some(format)) = (destination, format) else {
        return Err(faults::bad("Access log settings must have a destinationArn and a format"));
    };
    let log = AccessLog { destination, format };
    format::whole("apigatewayv2", &log)?;
    Ok(log)
}

/// Those of many routes, by their keys.
fn of_routes(
    operation: &str,
    given: Option<BTreeMap<String, aws::RouteSettings>>,
) -> Result<Option<BTreeMap<String, Settings>>, Fault> {
    let Some(given) = given else { return Ok(None) };
    let one = |(key, given): (String, aws::RouteSettings)| {
        route_key::RouteKey::parse(&key)?;
        Ok((key, settings(operation, given)?))
    };
    given.into_iter().map(one).collect::<Result<_, Fault>>().map(Some)
}

/// Whether every key is a route's.
fn known(draft: &Draft<'_>, settings: &BTreeMap<String, Settings>) -> Result<(), Fault> {
    let is_known = |key: &String| draft.api.routes.values().any(|route| route.key == *key);
    match settings.keys().find(|key| !is_known(key)) {
        Some(key) => {
            Err(faults::not_found(format!("Unable to find Route by key {key} within the provided RouteSettings")))
        }
        None => Ok(()),
    }
}

/// Puts a stage at a deployment that somebody named.
fn point(draft: &mut Draft<'_>, deployment: &str) -> Result<(), Fault> {
    if !draft.api.deployments.contains_key(deployment) {
        return Err(faults::bad("Invalid deployment identifier specified"));
    }
    draft.keep(deployment)
}

impl Handle<ops::CreateStage> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::CreateStageRequest,
        _: Body,
    ) -> Result<Answer<aws::CreateStageResponse>, Fault> {
        self.api(context.account, &context.region, input.api_id.as_deref())?;
        let refused = [("ClientCertificateId", input.client_certificate_id.is_some())];
        faults::refuse("CreateStage", &refused)?;
        let name = input.stage_name.unwrap_or_default();
        check::stage_name(&name)?;
        check::length("description", input.description.as_deref(), 0, 1024)?;
        let auto_deploy = input.auto_deploy.unwrap_or_default();
        if auto_deploy && input.deployment_id.is_some() {
            return Err(faults::bad("Deployment ID cannot be set on a stage with auto-deploy enabled"));
        }
        let made = Stage {
            description: input.description,
            auto_deploy,
            deployment: input.deployment_id,
            deployment_message: None,
            variables: input.stage_variables.unwrap_or_default(),
            tags: input.tags.unwrap_or_default(),
            created_ms: self.options.clocks.product().0,
            updated_ms: self.options.clocks.product().0,
            managed: false,
            access_log: input.access_log_settings.map(|given| access_log(given, None)).transpose()?,
            default_settings: input
                .default_route_settings
                .map_or_else(|| Ok(Settings::default()), |given| settings("CreateStage", given))?,
            settings: of_routes("CreateStage", input.route_settings)?.unwrap_or_default(),
        };
        check::variables(&made.variables)?;
        check::tags(&made.tags)?;
        let create = move |draft: &mut Draft<'_>| {
            if draft.api.stages.contains_key(&name) {
                return Err(faults::conflict("Stage already exists"));
            }
            if draft.api.stages.len() >= limits::STAGES {
                return Err(faults::too_many("stages", limits::STAGES));
            }
            known(draft, &made.settings)?;
            if let Some(deployment) = &made.deployment {
                point(draft, deployment)?;
            }
            draft.api.stages.insert(name.clone(), made.clone());
            if auto_deploy {
                draft.follow(&name);
            }
            Ok((name.clone(), draft.api.stages[&name].clone()))
        };
        let (name, stage) = self.change(context.account, &context.region, input.api_id.as_deref(), create).await?;
        Ok(aws::CreateStageResponse::shown((&name, &stage)).into())
    }
}

impl Handle<ops::GetStage> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetStageRequest,
        _: Body,
    ) -> Result<Answer<aws::GetStageResponse>, Fault> {
        let live = self.api(context.account, &context.region, input.api_id.as_deref())?;
        let name = input.stage_name.unwrap_or_default();
        let stage = live.api.stages.get(&name).ok_or_else(|| faults::no_part("stage"))?;
        Ok(aws::GetStageResponse::shown((&name, stage)).into())
    }
}

impl Handle<ops::GetStages> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetStagesRequest,
        _: Body,
    ) -> Result<Answer<aws::GetStagesResponse>, Fault> {
        let live = self.api(context.account, &context.region, input.api_id.as_deref())?;
        let page = Page::of(input.max_results.as_deref(), input.next_token.as_deref())?;
        let all = live.api.stages.iter();
        let (items, next_token) = page.cut(all.map(|(name, stage)| (name.clone(), aws::Stage::shown((name, stage)))));
        Ok(aws::GetStagesResponse { items: Some(items), next_token }.into())
    }
}

impl Handle<ops::UpdateStage> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::UpdateStageRequest,
        _: Body,
    ) -> Result<Answer<aws::UpdateStageResponse>, Fault> {
        self.api(context.account, &context.region, input.api_id.as_deref())?;
        let refused = [("ClientCertificateId", input.client_certificate_id.is_some())];
        faults::refuse("UpdateStage", &refused)?;
        check::length("description", input.description.as_deref(), 0, 1024)?;
        input.stage_variables.as_ref().map_or(Ok(()), check::variables)?;
        let of_all = input.default_route_settings.map(|given| settings("UpdateStage", given)).transpose()?;
        let of_some = of_routes("UpdateStage", input.route_settings)?;
        let (name, auto_deploy, deployment) =
            (input.stage_name.unwrap_or_default(), input.auto_deploy, input.deployment_id);
        let (description, variables, logged) = (input.description, input.stage_variables, input.access_log_settings);
        let update = move |draft: &mut Draft<'_>| {
            let stage = draft.api.stages.get(&name).ok_or_else(|| faults::no_part("stage"))?;
            let (followed, before) = (stage.auto_deploy, stage.deployment.clone());
            let follows = auto_deploy.unwrap_or(followed);
            if let Some(deployment) = &deployment {
                if follows {
                    return Err(faults::bad("Deployment ID cannot be set on a stage with auto-deploy enabled"));
                }
                point(draft, deployment)?;
            }
            of_some.as_ref().map_or(Ok(()), |settings| known(draft, settings))?;
            // What it answers with stays when it follows no longer.
            if let Some(before) = before.filter(|_| followed && !follows && deployment.is_none()) {
                draft.keep(&before)?;
            }
            let now_ms = draft.now_ms;
            let stage = draft.api.stages.get_mut(&name).ok_or_else(|| faults::no_part("stage"))?;
            stage.auto_deploy = follows;
            stage.updated_ms = now_ms;
            set(&mut stage.description, description.as_ref());
            set(&mut stage.deployment, deployment.as_ref());
            if let Some(variables) = &variables {
                stage.variables.clone_from(variables);
            }
            if let Some(logged) = &logged {
                stage.access_log = Some(access_log(logged.clone(), stage.access_log.as_ref())?);
            }
            if let Some(settings) = &of_all {
                stage.default_settings.change(settings);
            }
            if let Some(settings) = &of_some {
                for (key, given) in settings {
                    stage.settings.entry(key.clone()).or_default().change(given);
                }
            }
            if follows && !followed {
                draft.follow(&name);
            }
            Ok((name.clone(), draft.api.stages[&name].clone()))
        };
        let (name, stage) = self.change(context.account, &context.region, input.api_id.as_deref(), update).await?;
        Ok(aws::UpdateStageResponse::shown((&name, &stage)).into())
    }
}

impl Handle<ops::DeleteStage> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteStageRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let name = input.stage_name.unwrap_or_default();
        let delete = move |draft: &mut Draft<'_>| {
            let stage = draft.api.stages.remove(&name).ok_or_else(|| faults::no_part("stage"))?;
            let following = stage.deployment.filter(|_| stage.auto_deploy);
            let others = |id: &String| draft.api.stages.values().any(|other| other.deployment.as_ref() == Some(id));
            if let Some(id) = following.filter(|id| !others(id)) {
                draft.drop_deployment(&id);
            }
            Ok(())
        };
        self.change(context.account, &context.region, input.api_id.as_deref(), delete).await?;
        Ok(Unit.into())
    }
}

impl Handle<ops::DeleteRouteSettings> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteRouteSettingsRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let (name, key) = (input.stage_name.unwrap_or_default(), input.route_key.unwrap_or_default());
        let delete = move |draft: &mut Draft<'_>| {
            let now_ms = draft.now_ms;
            let stage = draft.api.stages.get_mut(&name).ok_or_else(|| faults::no_part("stage"))?;
            stage.settings.remove(&key).ok_or_else(|| faults::no_part("route settings"))?;
            stage.updated_ms = now_ms;
            Ok(())
        };
        self.change(context.account, &context.region, input.api_id.as_deref(), delete).await?;
        Ok(Unit.into())
    }
}

impl Handle<ops::DeleteAccessLogSettings> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteAccessLogSettingsRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let name = input.stage_name.unwrap_or_default();
        let delete = move |draft: &mut Draft<'_>| {
            let now_ms = draft.now_ms;
            let stage = draft.api.stages.get_mut(&name).ok_or_else(|| faults::no_part("stage"))?;
            stage.access_log = None;
            stage.updated_ms = now_ms;
            Ok(())
        };
        self.change(context.account, &context.region, input.api_id.as_deref(), delete).await?;
        Ok(Unit.into())
    }
}

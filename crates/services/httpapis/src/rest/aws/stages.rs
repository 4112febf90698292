//! Stages: CreateStage, GetStage, GetStages, UpdateStage, DeleteStage.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::apigateway::{self as aws, ops};
use wire::Unit;

use crate::rest::engine::{Draft, Missing};
use crate::rest::rules::patch::{NO_PARAMETER, Patch};
use crate::rest::types::{Api, Settings, Stage};
use crate::rest::{RestApis, faults};
use crate::rules::{check, format};

/// Whether a stage may have this name.
pub(super) fn check_name(name: &str) -> Result<(), Fault> {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if plain && (1..=128).contains(&name.len()) {
        return Ok(());
    }
    Err(faults::bad(
        "Stage names can only contain alphanumeric characters, hyphens, and underscores. Maximum length is 128 characters.",
    ))
}

/// Whether one more stage fits, if this is one more.
pub(super) fn room(api: &Api, name: &str) -> Result<(), Fault> {
    if !api.stages.contains_key(name) && api.stages.len() >= crate::limits::STAGES {
        return Err(faults::too_many("stages", crate::limits::STAGES));
    }
    Ok(())
}

impl Handle<ops::CreateStage> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::CreateStageRequest,
        _: Body,
    ) -> Result<Answer<aws::Stage>, Fault> {
        self.api(context.account, &context.region, input.rest_api_id.as_deref())?;
        let refused = [
            ("cacheClusterEnabled", input.cache_cluster_enabled == Some(true)),
            ("cacheClusterSize", input.cache_cluster_size.is_some()),
            ("canarySettings", input.canary_settings.is_some()),
            ("documentationVersion", input.documentation_version.is_some()),
            ("tracingEnabled", input.tracing_enabled == Some(true)),
        ];
        faults::refuse("CreateStage", &refused)?;
        let name = input.stage_name.unwrap_or_default();
        check_name(&name)?;
        check::length("description", input.description.as_deref(), 0, 1024)?;
        let now_ms = self.options().clocks.product().0;
        let made = Stage {
            description: input.description,
            deployment: input.deployment_id.unwrap_or_default(),
            variables: input.variables.unwrap_or_default(),
            tags: input.tags.unwrap_or_default(),
            created_ms: now_ms,
            updated_ms: now_ms,
            ..Stage::default()
        };
        check::variables(&made.variables)?;
        check::tags(&made.tags)?;
        let create = move |draft: &mut Draft<'_>| {
            if draft.api.stages.contains_key(&name) {
                return Err(faults::conflict("Stage already exists"));
            }
            room(&draft.api, &name)?;
            if !draft.api.deployments.contains_key(&made.deployment) {
                return Err(faults::no_deployment());
            }
            draft.api.stages.insert(name.clone(), made.clone());
            Ok(made.show(&name))
        };
        let at = (context.account, &context.region);
        Ok(self.change(at, input.rest_api_id.as_deref(), Missing::Api, create).await?.into())
    }
}

impl Handle<ops::GetStage> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetStageRequest,
        _: Body,
    ) -> Result<Answer<aws::Stage>, Fault> {
        let live = self.api(context.account, &context.region, input.rest_api_id.as_deref())?;
        let name = input.stage_name.unwrap_or_default();
        Ok(live.api.stages.get(&name).ok_or_else(faults::no_stage)?.show(&name).into())
    }
}

impl Handle<ops::GetStages> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetStagesRequest,
        _: Body,
    ) -> Result<Answer<aws::Stages>, Fault> {
        let live = self.api(context.account, &context.region, input.rest_api_id.as_deref())?;
        let wanted = |stage: &Stage| input.deployment_id.as_ref().is_none_or(|id| *id == stage.deployment);
        let stages = live.api.stages.iter().filter(|(_, stage)| wanted(stage));
        Ok(aws::Stages { item: Some(stages.map(|(name, stage)| stage.show(name)).collect()) }.into())
    }
}

impl Handle<ops::UpdateStage> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::UpdateStageRequest,
        _: Body,
    ) -> Result<Answer<aws::Stage>, Fault> {
        let name = input.stage_name.unwrap_or_default();
        let patches = Patch::all(input.patch_operations)?;
        let update = move |draft: &mut Draft<'_>| {
            let mut stage = draft.api.stages.get(&name).ok_or_else(faults::no_stage)?.clone();
            for patch in &patches {
                apply(&draft.api, &mut stage, patch)?;
            }
            stage.access_log.take_if(|log| log.destination.is_empty() && log.format.is_empty());
            stage.access_log.as_ref().map_or(Ok(()), |log| format::whole("apigateway", log))?;
            check::variables(&stage.variables)?;
            stage.updated_ms = draft.now_ms;
            let shown = stage.show(&name);
            draft.api.stages.insert(name.clone(), stage);
            Ok(shown)
        };
        let at = (context.account, &context.region);
        Ok(self.change(at, input.rest_api_id.as_deref(), Missing::Api, update).await?.into())
    }
}

fn apply(api: &Api, stage: &mut Stage, patch: &Patch) -> Result<(), Fault> {
    let refused = || Err(faults::absent("UpdateStage", format_args!("patch path {}", patch.path)));
    match *patch.parts() {
        ["deploymentId"] => {
            patch.replaces()?;
            let id = patch.or_empty();
            if !api.deployments.contains_key(&id) {
                return Err(faults::bad("Deployment id does not exist"));
            }
            stage.deployment = id;
        }
        ["description"] => {
            stage.description = patch.text()?;
            check::length("description", stage.description.as_deref(), 0, 1024)?;
        }
        // A variable that is not there yet is made.
        ["variables", name] if patch.op == "replace" => {
            stage.variables.insert(name.to_owned(), patch.or_empty());
        }
        ["variables", name] => patch.entry(&mut stage.variables, name, patch.or_empty(), NO_PARAMETER)?,
        ["cacheClusterEnabled" | "tracingEnabled"] if !patch.truth() => patch.replaces()?,
        [
            "cacheClusterEnabled"
            | "cacheClusterSize"
            | "clientCertificateId"
            | "tracingEnabled"
            | "canarySettings"
            | "documentationVersion",
            ..,
        ] => return refused(),
        [path, method, "metrics", "enabled"] => {
            patch.replaces()?;
            setting(stage, path, method).metrics = patch.truth();
        }
        [path, method, "logging", "dataTrace"] => {
            patch.replaces()?;
            setting(stage, path, method).trace = patch.truth();
        }
        [path, method, "logging", "loglevel"] => {
            patch.replaces()?;
            let level = patch.or_empty();
            if !["OFF", "ERROR", "INFO"].contains(&&*level) {
                return Err(faults::bad("Invalid logging level specified. Must be one of [OFF, ERROR, INFO]"));
            }
            setting(stage, path, method).level = Some(level);
        }
        [path, method, "throttling", "burstLimit"] => {
            patch.replaces()?;
            setting(stage, path, method).burst = limit(patch)?;
        }
        [path, method, "throttling", "rateLimit"] => {
            patch.replaces()?;
            setting(stage, path, method).rate = limit(patch)?;
        }
        [path, method, "caching", "enabled"] if !patch.truth() => {
            patch.replaces()?;
            setting(stage, path, method);
        }
        [_, _, "caching", _] => return refused(),
        ["accessLogSettings"] if patch.op == "remove" => stage.access_log = None,
        ["accessLogSettings", "destinationArn"] => {
            stage.access_log.get_or_insert_default().destination = patch.text()?.unwrap_or_default();
        }
        ["accessLogSettings", "format"] => {
            stage.access_log.get_or_insert_default().format = patch.text()?.unwrap_or_default();
        }
        [path, method] if patch.op == "remove" => {
            let key = format!("{}/{method}", path.trim_start_matches('/'));
            stage.settings.remove(&key).ok_or_else(|| faults::not_found("Invalid method setting path specified"))?;
        }
        _ => return Err(faults::bad(format!("Invalid method setting path: {}. Must be one of: {PATHS}", patch.path))),
    }
    Ok(())
}

/// The settings of a method, or of all (`*/*`).
fn setting<'s>(stage: &'s mut Stage, path: &str, method: &str) -> &'s mut Settings {
    stage.settings.entry(format!("{}/{method}", path.trim_start_matches('/'))).or_default()
}

/// A limit of requests; none where a negative one takes it away.
fn limit<T: std::str::FromStr + PartialOrd + Default>(patch: &Patch) -> Result<Option<T>, Fault> {
    let text = patch.or_empty();
    let limit: T = text.parse().map_err(|_| faults::bad(format!("Invalid throttling limit specified: {text}")))?;
    Ok((limit >= T::default()).then_some(limit))
}

/// The paths of a stage that there are, as AWS lists them.
const PATHS: &str = "[/deploymentId, /description, /cacheClusterEnabled, /cacheClusterSize, /clientCertificateId, \
    /accessLogSettings, /accessLogSettings/destinationArn, /accessLogSettings/format, \
    /{resourcePath}/{httpMethod}/metrics/enabled, /{resourcePath}/{httpMethod}/logging/dataTrace, \
    /{resourcePath}/{httpMethod}/logging/loglevel, \
    /{resourcePath}/{httpMethod}/throttling/burstLimit/{resourcePath}/{httpMethod}/throttling/rateLimit/{resourcePath}/{httpMethod}/caching/ttlInSeconds, \
    /{resourcePath}/{httpMethod}/caching/enabled, /{resourcePath}/{httpMethod}/caching/dataEncrypted, \
    /{resourcePath}/{httpMethod}/caching/requireAuthorizationForCacheControl, \
    /{resourcePath}/{httpMethod}/caching/unauthorizedCacheControlHeaderStrategy, /*/*/metrics/enabled, \
    /*/*/logging/dataTrace, /*/*/logging/loglevel, /*/*/throttling/burstLimit /*/*/throttling/rateLimit \
    /*/*/caching/ttlInSeconds, /*/*/caching/enabled, /*/*/caching/dataEncrypted, \
    /*/*/caching/requireAuthorizationForCacheControl, /*/*/caching/unauthorizedCacheControlHeaderStrategy, \
    /variables/{variable_name}, /tracingEnabled]";

impl Handle<ops::DeleteStage> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteStageRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let name = input.stage_name.unwrap_or_default();
        let delete = move |draft: &mut Draft<'_>| {
            draft.api.stages.remove(&name).ok_or_else(faults::no_stage)?;
            Ok(())
        };
        let at = (context.account, &context.region);
        self.change(at, input.rest_api_id.as_deref(), Missing::Api, delete).await?;
        Ok(Unit.into())
    }
}

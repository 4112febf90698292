//! Integrations: PutIntegration, GetIntegration, UpdateIntegration, DeleteIntegration.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::apigateway::{self as aws, ops};
use wire::Unit;

use super::At;
use crate::rest::engine::{Draft, Missing};
use crate::rest::rules::integration;
use crate::rest::rules::patch::{NO_CONTENT_TYPE, NO_PARAMETER, Patch};
use crate::rest::types::{Integration, Kind};
use crate::rest::{RestApis, faults, limits};

impl Handle<ops::PutIntegration> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::PutIntegrationRequest,
        _: Body,
    ) -> Result<Answer<aws::Integration>, Fault> {
        let at = At::method(input.resource_id, input.http_method);
        let live = self.of_resource(context.account, &context.region, input.rest_api_id.as_deref())?;
        live.api.method(&at)?;
        let refused = [
            ("connectionId", input.connection_id.is_some()),
            ("connectionType VPC_LINK", input.connection_type.as_deref() == Some("VPC_LINK")),
            ("cacheKeyParameters", input.cache_key_parameters.is_some_and(|names| !names.is_empty())),
            ("tlsConfig", input.tls_config.is_some_and(|tls| tls.insecure_skip_verification == Some(true))),
            ("responseTransferMode STREAM", input.response_transfer_mode.as_deref() == Some("STREAM")),
            ("integrationTarget", input.integration_target.is_some()),
        ];
        faults::refuse("PutIntegration", &refused)?;
        let kind = integration::kind("PutIntegration", input.type_.as_deref().unwrap_or_default())?;
        let made = Integration {
            kind,
            method: input.integration_http_method.filter(|method| !method.is_empty()),
            uri: input.uri.filter(|_| kind != Kind::Mock),
            connection_type: input.connection_type,
            handling: input.content_handling,
            credentials: input.credentials.filter(|arn| !arn.is_empty()),
            parameters: input.request_parameters.unwrap_or_default(),
            templates: input.request_templates.unwrap_or_default(),
            passthrough: input.passthrough_behavior.map_or_else(|| "WHEN_NO_MATCH".into(), |text| text.to_uppercase()),
            timeout_ms: input.timeout_in_millis.unwrap_or(*limits::TIMEOUT_MS.end()),
            cache_namespace: input.cache_namespace.unwrap_or_else(|| at.resource.clone()),
            responses: BTreeMap::new(),
        };
        let put = move |draft: &mut Draft<'_>| {
            let method = draft.api.method_mut(&at)?;
            integration::check("PutIntegration", &made, &method.parameters)?;
            method.integration = Some(made.clone());
            Ok(made.show())
        };
        let at = (context.account, &context.region);
        Ok(self.change(at, input.rest_api_id.as_deref(), Missing::Resource, put).await?.into())
    }
}

impl Handle<ops::GetIntegration> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetIntegrationRequest,
        _: Body,
    ) -> Result<Answer<aws::Integration>, Fault> {
        let at = At::method(input.resource_id, input.http_method);
        let live = self.of_resource(context.account, &context.region, input.rest_api_id.as_deref())?;
        Ok(live.api.integration(&at)?.show().into())
    }
}

impl Handle<ops::UpdateIntegration> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::UpdateIntegrationRequest,
        _: Body,
    ) -> Result<Answer<aws::Integration>, Fault> {
        let at = At::method(input.resource_id, input.http_method);
        let patches = Patch::all(input.patch_operations)?;
        let update = move |draft: &mut Draft<'_>| {
            let parameters = draft.api.method(&at)?.parameters.clone();
            let one = draft.api.integration_mut(&at)?;
            for patch in &patches {
                apply(one, patch)?;
            }
            integration::check("UpdateIntegration", one, &parameters)?;
            Ok(one.show())
        };
        let at = (context.account, &context.region);
        Ok(self.change(at, input.rest_api_id.as_deref(), Missing::Resource, update).await?.into())
    }
}

fn apply(one: &mut Integration, patch: &Patch) -> Result<(), Fault> {
    match *patch.parts() {
        ["requestParameters", name] => patch.entry(&mut one.parameters, name, patch.or_empty(), NO_PARAMETER)?,
        ["requestTemplates", content_type] => {
            patch.entry(&mut one.templates, content_type, patch.or_empty(), NO_CONTENT_TYPE)?;
        }
        ["connectionId" | "cacheKeyParameters" | "tlsConfig" | "responseTransferMode", ..] => {
            return Err(faults::absent("UpdateIntegration", format_args!("patch path {}", patch.path)));
        }
        [name] => {
            let known = [
                "uri",
                "httpMethod",
                "passthroughBehavior",
                "timeoutInMillis",
                "cacheNamespace",
                "connectionType",
                "contentHandling",
                "credentials",
            ];
            if !known.contains(&name) {
                return Err(patch.wrong_path());
            }
            patch.replaces()?;
            replace(one, name, patch)?;
        }
        _ => return Err(patch.wrong_path()),
    }
    Ok(())
}

fn replace(one: &mut Integration, name: &str, patch: &Patch) -> Result<(), Fault> {
    match name {
        "uri" => one.uri = patch.text()?,
        "httpMethod" => one.method = patch.text()?,
        "passthroughBehavior" => one.passthrough = patch.or_empty().to_uppercase(),
        "timeoutInMillis" => {
            one.timeout_ms =
                patch.or_empty().parse().map_err(|_| faults::bad("Timeout should be between 50 ms and 29000 ms"))?;
        }
        "credentials" => one.credentials = patch.text()?,
        "contentHandling" => one.handling = patch.text()?,
        "cacheNamespace" => one.cache_namespace = patch.or_empty(),
        _ => {
            if patch.value.as_deref() != Some("INTERNET") {
                return Err(faults::absent("UpdateIntegration", "connectionType VPC_LINK"));
            }
            one.connection_type = patch.text()?;
        }
    }
    Ok(())
}

impl Handle<ops::DeleteIntegration> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteIntegrationRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let at = At::method(input.resource_id, input.http_method);
        let delete = move |draft: &mut Draft<'_>| {
            draft.api.method_mut(&at)?.integration.take().ok_or_else(faults::no_integration)?;
            Ok(())
        };
        let at = (context.account, &context.region);
        self.change(at, input.rest_api_id.as_deref(), Missing::Resource, delete).await?;
        Ok(Unit.into())
    }
}

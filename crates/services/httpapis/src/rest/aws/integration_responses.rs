//! What becomes of an integration's answer: PutIntegrationResponse, GetIntegrationResponse, UpdateIntegrationResponse,
//! DeleteIntegrationResponse.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::apigateway::{self as aws, ops};
use wire::Unit;

use super::At;
use crate::rest::engine::{Draft, Missing};
use crate::rest::rules::patch::{NO_CONTENT_TYPE, NO_PARAMETER, Patch};
use crate::rest::rules::{integration, mapping};
use crate::rest::types::{IntegrationResponse, Kind, Method};
use crate::rest::{RestApis, faults};

/// Whether a response makes sense in its method.
pub(super) fn check(operation: &str, method: &Method, status: &str, one: &IntegrationResponse) -> Result<(), Fault> {
    if let Some(pattern) = one.pattern.as_deref() {
        regex::Regex::new(pattern)
            .map_err(|_| faults::bad(format!("Invalid selection pattern specified for response: {pattern}")))?;
    }
    let none = std::collections::BTreeMap::new();
    let declared = method.responses.get(status).and_then(|one| one.parameters.as_ref()).unwrap_or(&none);
    mapping::response_parameters(operation, "method.response.header.", &one.parameters, Some(declared))?;
    // A proxy's answers go out as they are: what it has of these is kept and never read, as on AWS.
    match &method.integration {
        Some(integration) if integration.kind == Kind::Mock => {
            integration::templates(operation, "responseTemplates", &one.templates)
        }
        _ => Ok(()),
    }
}

impl Handle<ops::PutIntegrationResponse> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::PutIntegrationResponseRequest,
        _: Body,
    ) -> Result<Answer<aws::IntegrationResponse>, Fault> {
        let at = At::method(input.resource_id, input.http_method).status(input.status_code);
        faults::refuse("PutIntegrationResponse", &[("contentHandling", input.content_handling.is_some())])?;
        let made = IntegrationResponse {
            pattern: input.selection_pattern,
            parameters: input.response_parameters.unwrap_or_default(),
            templates: input.response_templates.unwrap_or_default(),
        };
        let put = move |draft: &mut Draft<'_>| {
            draft.api.integration(&at)?;
            check("PutIntegrationResponse", draft.api.method(&at)?, &at.status, &made)?;
            draft.api.integration_mut(&at)?.responses.insert(at.status.clone(), made.clone());
            Ok(made.show(&at.status))
        };
        let at = (context.account, &context.region);
        Ok(self.change(at, input.rest_api_id.as_deref(), Missing::Resource, put).await?.into())
    }
}

impl Handle<ops::GetIntegrationResponse> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetIntegrationResponseRequest,
        _: Body,
    ) -> Result<Answer<aws::IntegrationResponse>, Fault> {
        let at = At::method(input.resource_id, input.http_method).status(input.status_code);
        let live = self.of_resource(context.account, &context.region, input.rest_api_id.as_deref())?;
        let one = live.api.integration(&at)?.responses.get(&at.status).ok_or_else(faults::no_status)?;
        Ok(one.show(&at.status).into())
    }
}

impl Handle<ops::UpdateIntegrationResponse> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::UpdateIntegrationResponseRequest,
        _: Body,
    ) -> Result<Answer<aws::IntegrationResponse>, Fault> {
        let at = At::method(input.resource_id, input.http_method).status(input.status_code);
        let patches = Patch::all(input.patch_operations)?;
        let update = move |draft: &mut Draft<'_>| {
            let responses = &mut draft.api.integration_mut(&at)?.responses;
            let one = responses.get_mut(&at.status).ok_or_else(faults::no_status)?;
            for patch in &patches {
                apply(one, patch)?;
            }
            let one = one.clone();
            check("UpdateIntegrationResponse", draft.api.method(&at)?, &at.status, &one)?;
            Ok(one.show(&at.status))
        };
        let at = (context.account, &context.region);
        Ok(self.change(at, input.rest_api_id.as_deref(), Missing::Resource, update).await?.into())
    }
}

fn apply(one: &mut IntegrationResponse, patch: &Patch) -> Result<(), Fault> {
    match *patch.parts() {
        ["selectionPattern"] => {
            patch.replaces()?;
            one.pattern.clone_from(&patch.value);
        }
        ["responseParameters", name] => patch.entry(&mut one.parameters, name, patch.or_empty(), NO_PARAMETER)?,
        ["responseTemplates", content_type] => {
            patch.entry(&mut one.templates, content_type, patch.or_empty(), NO_CONTENT_TYPE)?;
        }
        ["contentHandling"] => {
            return Err(faults::absent("UpdateIntegrationResponse", "patch path /contentHandling"));
        }
        _ => return Err(patch.wrong_path()),
    }
    Ok(())
}

impl Handle<ops::DeleteIntegrationResponse> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteIntegrationResponseRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let at = At::method(input.resource_id, input.http_method).status(input.status_code);
        let delete = move |draft: &mut Draft<'_>| {
            draft.api.resource(&at.resource)?;
            // AWS does not tell a method that is not there from one without an integration.
            let integration = draft.api.integration_mut(&at).map_err(|_| faults::no_integration())?;
            integration.responses.remove(&at.status).ok_or_else(faults::no_status)?;
            Ok(())
        };
        let at = (context.account, &context.region);
        self.change(at, input.rest_api_id.as_deref(), Missing::Resource, delete).await?;
        Ok(Unit.into())
    }
}

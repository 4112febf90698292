//! Integrations: what answers a route.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::apigatewayv2::{self as aws, ops};
use wire::Unit;

use super::apis::set;
use crate::engine::Draft;
use crate::rules::mapping::{self, Of};
use crate::rules::{check, function, ids, pages::Page, role, target, variables};
use crate::shown::Shown;
use crate::types::{Integration, Kind};
use crate::{HttpApis, faults, limits};

/// A function's ARN in either form, or one with stage variables, which is known only at a request.
///
/// # Errors
/// BadRequestException.
pub(super) fn check_uri(uri: &str) -> Result<(), Fault> {
    check::length("integrationUri", Some(uri), 1, 2048)?;
    if variables::has_any(uri) || function::arn_of(uri).is_some() {
        return Ok(());
    }
    Err(faults::bad(format!("Invalid integration URI specified: {uri} is not the ARN of a function")))
}

/// Whether the parts of an integration fit each other.
///
/// # Errors
/// BadRequestException.
pub(super) fn check_whole(one: &Integration) -> Result<(), Fault> {
    mapping::changes(Of::Request, &one.request_parameters)?;
    for (status, map) in &one.response_parameters {
        if !status.parse::<u16>().is_ok_and(|status| (200..=599).contains(&status)) {
            return Err(faults::bad(format!("Invalid status code specified in responseParameters: {status}")));
        }
        mapping::changes(Of::Answer, map)?;
    }
    if one.kind == Kind::Function {
        one.role.as_deref().map_or(Ok(()), role::check)?;
        return check_uri(&one.uri);
    }
    if one.role.is_some() {
        return Err(faults::bad("credentialsArn is not supported for HTTP_PROXY integrations"));
    }
    check::length("integrationUri", Some(&one.uri), 1, 2048)?;
    if !target::is_url(&one.uri) {
        return Err(faults::bad(format!("Invalid HTTP endpoint specified for URI: {}", one.uri)));
    }
    if one.payload != "1.0" {
        return Err(faults::bad("The payloadFormatVersion of HTTP_PROXY integrations must be 1.0"));
    }
    Ok(())
}

/// What an integration is asked to be, where it is said in words.
struct Said<'a> {
    operation: &'static str,
    kind: Option<&'a str>,
    connection_type: Option<&'a str>,
    payload: Option<&'a str>,
    method: Option<&'a str>,
    description: Option<&'a str>,
    timeout_ms: Option<i64>,
    refused: &'a [(&'a str, bool)],
}

impl Said<'_> {
    fn check(&self) -> Result<(), Fault> {
        match self.kind {
            None | Some("AWS_PROXY" | "HTTP_PROXY") => {}
            Some(_) => {
                return Err(faults::bad(
                    "Currently, an API with a protocol type of HTTP may only be associated with proxy integrations (AWS_PROXY, HTTP_PROXY)",
                ));
            }
        }
        faults::refuse(self.operation, self.refused)?;
        if self.connection_type == Some("VPC_LINK") {
            let words = format_args!("apigatewayv2:{}: ConnectionType VPC_LINK", self.operation);
            return Err(Fault::not_implemented(words));
        }
        if self.connection_type.is_some_and(|kind| kind != "INTERNET") {
            return Err(faults::bad("Invalid connectionType specified. Must be one of [INTERNET, VPC_LINK]"));
        }
        if self.payload.is_some_and(|version| !matches!(version, "1.0" | "2.0")) {
            return Err(faults::bad("Invalid payloadFormatVersion specified. Must be one of [1.0, 2.0]"));
        }
        let methods = ["ANY", "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
        if self.method.is_some_and(|method| !methods.contains(&method)) {
            return Err(faults::bad("Invalid HTTP method specified"));
        }
        check::length("description", self.description, 0, 1024)?;
        if self.timeout_ms.is_some_and(|ms| !limits::TIMEOUT_MS.contains(&ms)) {
            return Err(faults::bad(format!(
                "Timeout should be between {} ms and {} ms",
                limits::TIMEOUT_MS.start(),
                limits::TIMEOUT_MS.end()
            )));
        }
        Ok(())
    }
}

/// Changes a mapping as an update says it: an empty value takes a key away.
fn remap(kept: &mut BTreeMap<String, String>, given: Option<&BTreeMap<String, String>>) {
    for (key, value) in given.into_iter().flatten() {
        if value.is_empty() {
            kept.remove(key);
        } else {
            kept.insert(key.clone(), value.clone());
        }
    }
}

fn kind_of(kind: Option<&str>) -> Kind {
    if kind == Some("HTTP_PROXY") { Kind::Url } else { Kind::Function }
}

/// What no integration of a function does here, or on AWS, by member.
macro_rules! refused {
    ($input:ident) => {
        [
            ("ConnectionId", $input.connection_id.is_some()),
            ("ContentHandlingStrategy", $input.content_handling_strategy.is_some()),
            ("IntegrationSubtype", $input.integration_subtype.is_some()),
            ("PassthroughBehavior", $input.passthrough_behavior.is_some()),
            ("RequestTemplates", $input.request_templates.as_ref().is_some_and(|map| !map.is_empty())),
            ("TemplateSelectionExpression", $input.template_selection_expression.is_some()),
            ("TlsConfig", $input.tls_config.is_some()),
        ]
    };
}

impl Handle<ops::CreateIntegration> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::CreateIntegrationRequest,
        _: Body,
    ) -> Result<Answer<aws::CreateIntegrationResult>, Fault> {
        // Whose API it is not is said before what is wrong with the rest.
        self.api(context.account, &context.region, input.api_id.as_deref())?;
        if input.integration_type.as_deref().is_none_or(str::is_empty) {
            return Err(faults::bad("Invalid integration type specified. Must be one of [AWS_PROXY, HTTP_PROXY]"));
        }
        Said {
            operation: "CreateIntegration",
            kind: input.integration_type.as_deref(),
            connection_type: input.connection_type.as_deref(),
            payload: input.payload_format_version.as_deref(),
            method: input.integration_method.as_deref(),
            description: input.description.as_deref(),
            timeout_ms: input.timeout_in_millis,
            refused: &refused!(input),
        }
        .check()?;
        let uri = input
            .integration_uri
            .ok_or_else(|| faults::bad("integrationUri must be specified for proxy integrations"))?;
        let payload = input.payload_format_version.ok_or_else(|| {
            faults::bad("PayloadFormatVersion is a required parameter for integration. Valid values are [1.0, 2.0]")
        })?;
        let kind = kind_of(input.integration_type.as_deref());
        let method = match (kind, input.integration_method) {
            (_, Some(method)) => method,
            (Kind::Function, None) => "POST".into(),
            (Kind::Url, None) => return Err(faults::bad("HttpMethod must be specified for HTTP_PROXY integrations")),
        };
        let made = Integration {
            kind,
            description: input.description,
            uri,
            method,
            payload,
            timeout_ms: input.timeout_in_millis.unwrap_or(*limits::TIMEOUT_MS.end()),
            role: input.credentials_arn,
            request_parameters: input.request_parameters.unwrap_or_default(),
            response_parameters: input.response_parameters.unwrap_or_default(),
            managed: false,
        };
        check_whole(&made)?;
        let create = move |draft: &mut Draft<'_>| {
            if draft.api.integrations.len() >= limits::INTEGRATIONS {
                return Err(faults::too_many("integrations", limits::INTEGRATIONS));
            }
            let id = draft.id(ids::PART);
            draft.api.integrations.insert(id.clone(), made.clone());
            draft.deploys();
            Ok((id, made.clone()))
        };
        let (id, made) = self.change(context.account, &context.region, input.api_id.as_deref(), create).await?;
        Ok(aws::CreateIntegrationResult::shown((&id, &made)).into())
    }
}

impl Handle<ops::GetIntegration> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetIntegrationRequest,
        _: Body,
    ) -> Result<Answer<aws::GetIntegrationResult>, Fault> {
        let live = self.api(context.account, &context.region, input.api_id.as_deref())?;
        let id = input.integration_id.unwrap_or_default();
        let one = live.api.integrations.get(&id).ok_or_else(|| faults::no_part("Integration"))?;
        Ok(aws::GetIntegrationResult::shown((&id, one)).into())
    }
}

impl Handle<ops::GetIntegrations> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetIntegrationsRequest,
        _: Body,
    ) -> Result<Answer<aws::GetIntegrationsResponse>, Fault> {
        let live = self.api(context.account, &context.region, input.api_id.as_deref())?;
        let page = Page::of(input.max_results.as_deref(), input.next_token.as_deref())?;
        let all = live.api.integrations.iter();
        let (items, next_token) = page.cut(all.map(|(id, one)| (id.clone(), aws::Integration::shown((id, one)))));
        Ok(aws::GetIntegrationsResponse { items: Some(items), next_token }.into())
    }
}

impl Handle<ops::UpdateIntegration> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::UpdateIntegrationRequest,
        _: Body,
    ) -> Result<Answer<aws::UpdateIntegrationResult>, Fault> {
        self.api(context.account, &context.region, input.api_id.as_deref())?;
        Said {
            operation: "UpdateIntegration",
            kind: input.integration_type.as_deref(),
            connection_type: input.connection_type.as_deref(),
            payload: input.payload_format_version.as_deref(),
            method: input.integration_method.as_deref(),
            description: input.description.as_deref(),
            timeout_ms: input.timeout_in_millis,
            refused: &refused!(input),
        }
        .check()?;
        let api = input.api_id.clone();
        let update = move |draft: &mut Draft<'_>| {
            let id = input.integration_id.clone().unwrap_or_default();
            let one = draft.api.integrations.get_mut(&id).ok_or_else(|| faults::no_part("Integration"))?;
            set(&mut one.description, input.description.as_ref());
            set(&mut one.role, input.credentials_arn.as_ref());
            for (place, given) in [
                (&mut one.uri, &input.integration_uri),
                (&mut one.method, &input.integration_method),
                (&mut one.payload, &input.payload_format_version),
            ] {
                if let Some(given) = given {
                    place.clone_from(given);
                }
            }
            one.timeout_ms = input.timeout_in_millis.unwrap_or(one.timeout_ms);
            if input.integration_type.is_some() {
                one.kind = kind_of(input.integration_type.as_deref());
            }
            remap(&mut one.request_parameters, input.request_parameters.as_ref());
            for (status, map) in input.response_parameters.iter().flatten() {
                let kept = one.response_parameters.entry(status.clone()).or_default();
                if map.is_empty() {
                    kept.clear();
                }
                remap(kept, Some(map));
            }
            one.response_parameters.retain(|_, map| !map.is_empty());
            check_whole(one)?;
            let shown = aws::UpdateIntegrationResult::shown((&id, one));
            draft.deploys();
            Ok(shown)
        };
        Ok(self.change(context.account, &context.region, api.as_deref(), update).await?.into())
    }
}

impl Handle<ops::DeleteIntegration> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteIntegrationRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let api = input.api_id.clone();
        let delete = move |draft: &mut Draft<'_>| {
            let id = input.integration_id.as_deref().unwrap_or_default();
            if !draft.api.integrations.contains_key(id) {
                return Err(faults::no_part("Integration"));
            }
            let routes = draft.api.routes.iter().filter(|(_, route)| route.integration.as_deref() == Some(id));
            let named: Vec<&str> = routes.map(|(id, _)| id.as_str()).collect();
            if !named.is_empty() {
                return Err(faults::conflict(format!(
                    "Cannot delete Integration because it is referenced by the following Routes with Ids: [{}]",
                    named.join(", ")
                )));
            }
            draft.api.integrations.remove(id);
            draft.deploys();
            Ok(())
        };
        self.change(context.account, &context.region, api.as_deref(), delete).await?;
        Ok(Unit.into())
    }
}

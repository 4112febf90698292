//! How each kept thing is shown: AWS has one structure for each operation that shows it.

use base::Timestamp;
use model::apigatewayv2 as aws;

use crate::types::{Api, Authorizer, Cors, Deployment, Integration, Route, Settings, Stage};

impl From<aws::Cors> for Cors {
    fn from(cors: aws::Cors) -> Self {
        Self {
            credentials: cors.allow_credentials,
            headers: cors.allow_headers,
            methods: cors.allow_methods,
            origins: cors.allow_origins,
            expose: cors.expose_headers,
            max_age_s: cors.max_age,
        }
    }
}

impl From<Cors> for aws::Cors {
    fn from(cors: Cors) -> Self {
        Self {
            allow_credentials: cors.credentials,
            allow_headers: cors.headers,
            allow_methods: cors.methods,
            allow_origins: cors.origins,
            expose_headers: cors.expose,
            max_age: cors.max_age_s,
        }
    }
}

impl From<&Settings> for aws::RouteSettings {
    fn from(settings: &Settings) -> Self {
        Self {
            detailed_metrics_enabled: settings.detailed_metrics,
            throttling_burst_limit: settings.burst_limit,
            throttling_rate_limit: settings.rate_limit,
            ..Self::default()
        }
    }
}

/// A moment, to the second, as this service shows it.
fn moment(ms: i64) -> Option<Timestamp> {
    Some(Timestamp(ms.div_euclid(1000) * 1000))
}

/// AWS has one structure for each operation that shows the same thing.
macro_rules! shown {
    ($one:ident: $of:ty, $other:ident: $and:ty => [$($target:ident),*] $fields:tt) => {
        $(impl Shown<(&$of, &$and)> for aws::$target {
            fn shown(($one, $other): (&$of, &$and)) -> Self {
                shown!(@fields $fields)
            }
        })*
    };
    (@fields { $($field:ident: $value:expr,)* }) => {
        Self { $($field: $value,)* ..Default::default() }
    };
}

/// One of AWS's structures that show a kept thing.
pub(crate) trait Shown<From> {
    fn shown(from: From) -> Self;
}

shown! {
    api: Api, endpoint: String => [Api, CreateApiResponse, GetApiResponse, UpdateApiResponse, ImportApiResponse, ReimportApiResponse] {
        api_endpoint: Some(endpoint.clone()),
        api_id: Some(api.id.clone()),
        api_key_selection_expression: Some(api.api_key_selection.clone()),
        cors_configuration: api.cors.clone().map(Into::into),
        created_date: moment(api.created_ms),
        description: api.description.clone(),
        disable_execute_api_endpoint: Some(api.endpoint_disabled),
        ip_address_type: Some(api.ip_address_type.clone()),
        name: Some(api.name.clone()),
        protocol_type: Some("HTTP".into()),
        route_selection_expression: Some(crate::rules::ROUTE_SELECTION.into()),
        tags: Some(api.tags.clone()),
        version: api.version.clone(),
    }
}

shown! {
    id: String, route: Route => [Route, CreateRouteResult, GetRouteResult, UpdateRouteResult] {
        api_gateway_managed: route.managed.then_some(true),
        api_key_required: Some(false),
        authorization_scopes: (!route.scopes.is_empty()).then(|| route.scopes.clone()),
        authorizer_id: route.authorizer.clone(),
        authorization_type: Some(route.authorization.as_str().into()),
        operation_name: route.operation_name.clone(),
        route_id: Some(id.clone()),
        route_key: Some(route.key.clone()),
        target: route.integration.as_ref().map(|id| format!("integrations/{id}")),
    }
}

shown! {
    id: String, one: Integration =>
        [Integration, CreateIntegrationResult, GetIntegrationResult, UpdateIntegrationResult] {
        api_gateway_managed: one.managed.then_some(true),
        connection_type: Some("INTERNET".into()),
        credentials_arn: one.role.clone(),
        description: one.description.clone(),
        integration_id: Some(id.clone()),
        integration_method: Some(one.method.clone()),
        integration_type: Some(one.kind.as_str().into()),
        integration_uri: Some(one.uri.clone()),
        payload_format_version: Some(one.payload.clone()),
        request_parameters: (!one.request_parameters.is_empty()).then(|| one.request_parameters.clone()),
        response_parameters: (!one.response_parameters.is_empty()).then(|| one.response_parameters.clone()),
        timeout_in_millis: Some(one.timeout_ms),
    }
}

shown! {
    name: String, stage: Stage => [Stage, CreateStageResponse, GetStageResponse, UpdateStageResponse] {
        access_log_settings: stage.access_log.as_ref().map(|log| aws::AccessLogSettings {
            destination_arn: Some(log.destination.clone()),
            format: Some(log.format.clone()),
        }),
        api_gateway_managed: stage.managed.then_some(true),
        auto_deploy: Some(stage.auto_deploy),
        created_date: moment(stage.created_ms),
        default_route_settings: Some((&stage.default_settings).into()),
        deployment_id: stage.deployment.clone(),
        description: stage.description.clone(),
        last_deployment_status_message: stage.deployment_message.clone(),
        last_updated_date: moment(stage.updated_ms),
        route_settings: Some(stage.settings.iter().map(|(key, of)| (key.clone(), of.into())).collect()),
        stage_name: Some(name.clone()),
        stage_variables: Some(stage.variables.clone()),
        tags: Some(stage.tags.clone()),
    }
}

shown! {
    id: String, one: Deployment =>
        [Deployment, CreateDeploymentResponse, GetDeploymentResponse, UpdateDeploymentResponse] {
        auto_deployed: Some(one.auto),
        created_date: moment(one.created_ms),
        deployment_id: Some(id.clone()),
        deployment_status: Some("DEPLOYED".into()),
        description: one.description.clone(),
    }
}

shown! {
    id: String, one: Authorizer =>
        [Authorizer, CreateAuthorizerResponse, GetAuthorizerResponse, UpdateAuthorizerResponse] {
        authorizer_credentials_arn: one.role.clone(),
        authorizer_id: Some(id.clone()),
        authorizer_payload_format_version: one.by.function().map(|(_, payload, ..)| payload.to_owned()),
        authorizer_result_ttl_in_seconds: one.by.function().map(|(.., ttl_s, _)| ttl_s),
        authorizer_type: Some(if one.by.function().is_some() { "REQUEST" } else { "JWT" }.into()),
        authorizer_uri: one.by.function().map(|(uri, ..)| uri.to_owned()),
        enable_simple_responses: one.by.function().map(|(.., simple)| simple),
        identity_source: Some(one.identity.clone()),
        jwt_configuration: one.by.token().map(|(issuer, audience)| aws::JWTConfiguration {
            audience: Some(audience.to_vec()),
            issuer: Some(issuer.to_owned()),
        }),
        name: Some(one.name.clone()),
    }
}

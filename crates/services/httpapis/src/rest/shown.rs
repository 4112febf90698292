//! How each part of a REST API is shown.

use std::collections::BTreeMap;

use base::Timestamp;
use model::apigateway as aws;

use super::rules::resources;
use super::types::{
    Api, Authorizer, Deployment, Integration, IntegrationResponse, Method, MethodResponse, Model, Settings, Stage,
    Validator,
};

/// A moment, to the second, as this service shows it.
fn moment(ms: i64) -> Option<Timestamp> {
    Some(Timestamp(ms.div_euclid(1000) * 1000))
}

/// What is empty is not shown.
fn some<K: Clone + Ord, V: Clone>(map: &BTreeMap<K, V>) -> Option<BTreeMap<K, V>> {
    (!map.is_empty()).then(|| map.clone())
}

impl Api {
    pub(crate) fn show(&self) -> aws::RestApi {
        aws::RestApi {
            id: Some(self.id.clone()),
            name: Some(self.name.clone()),
            description: self.description.clone(),
            created_date: moment(self.created_ms),
            version: self.version.clone(),
            binary_media_types: (!self.binary.is_empty()).then(|| self.binary.clone()),
            minimum_compression_size: self.compression.and_then(|bytes| i64::try_from(bytes).ok()),
            api_key_source: Some(self.key_source.clone()),
            endpoint_configuration: Some(aws::EndpointConfiguration {
                types: Some(vec![self.endpoint_type.clone()]),
                ip_address_type: Some(self.ip_address_type.clone()),
                ..Default::default()
            }),
            tags: some(&self.tags),
            disable_execute_api_endpoint: Some(self.endpoint_disabled),
            root_resource_id: Some(self.root.clone()),
            ..Default::default()
        }
    }

    /// A resource by its id; its methods only if `embed`.
    pub(crate) fn show_resource(&self, id: &str, embed: bool) -> Option<aws::Resource> {
        let resource = self.resources.get(id)?;
        let method = |(name, one): (&String, &Method)| {
            (name.clone(), if embed { one.show(name) } else { aws::Method::default() })
        };
        Some(aws::Resource {
            id: Some(id.to_owned()),
            parent_id: resource.parent.clone(),
            path_part: resource.parent.is_some().then(|| resource.part.clone()),
            path: Some(resources::path(&self.resources, id)),
            resource_methods: (!resource.methods.is_empty()).then(|| resource.methods.iter().map(method).collect()),
        })
    }
}

impl Method {
    pub(crate) fn show(&self, name: &str) -> aws::Method {
        let responses = self.responses.iter().map(|(status, one)| (status.clone(), one.show(status)));
        aws::Method {
            http_method: Some(name.to_owned()),
            authorization_type: Some(self.authorization.as_str().into()),
            authorizer_id: self.authorizer.clone(),
            request_validator_id: self.validator.clone(),
            api_key_required: Some(false),
            operation_name: self.operation_name.clone(),
            request_parameters: some(&self.parameters),
            request_models: some(&self.models),
            method_responses: (!self.responses.is_empty()).then(|| responses.collect()),
            method_integration: self.integration.as_ref().map(Integration::show),
            ..Default::default()
        }
    }
}

impl Authorizer {
    pub(crate) fn show(&self, id: &str) -> aws::Authorizer {
        aws::Authorizer {
            id: Some(id.to_owned()),
            name: Some(self.name.clone()),
            type_: Some(if self.of_request { "REQUEST" } else { "TOKEN" }.into()),
            auth_type: Some(self.auth_type.clone()),
            authorizer_uri: Some(self.uri.clone()),
            authorizer_credentials: self.role.clone(),
            identity_source: Some(self.identity.clone()).filter(|identity| !identity.is_empty()),
            identity_validation_expression: self.validation.clone(),
            authorizer_result_ttl_in_seconds: Some(self.ttl_s),
            ..Default::default()
        }
    }
}

impl Validator {
    pub(crate) fn show(&self, id: &str) -> aws::RequestValidator {
        aws::RequestValidator {
            id: Some(id.to_owned()),
            name: self.name.clone(),
            validate_request_body: Some(self.body),
            validate_request_parameters: Some(self.parameters),
        }
    }
}

impl Model {
    pub(crate) fn show(&self, name: &str) -> aws::Model {
        aws::Model {
            id: Some(self.id.clone()),
            name: Some(name.to_owned()),
            description: self.description.clone(),
            schema: Some(self.schema.clone()),
            content_type: Some(self.content_type.clone()),
        }
    }
}

impl MethodResponse {
    pub(crate) fn show(&self, status: &str) -> aws::MethodResponse {
        aws::MethodResponse {
            status_code: Some(status.to_owned()),
            response_parameters: self.parameters.clone(),
            response_models: self.models.clone(),
        }
    }
}

impl Integration {
    pub(crate) fn show(&self) -> aws::Integration {
        let responses = self.responses.iter().map(|(status, one)| (status.clone(), one.show(status)));
        aws::Integration {
            type_: Some(self.kind.as_str().into()),
            http_method: self.method.clone(),
            uri: self.uri.clone(),
            connection_type: self.connection_type.clone(),
            credentials: self.credentials.clone(),
            content_handling: self.handling.clone(),
            request_parameters: some(&self.parameters),
            request_templates: some(&self.templates),
            passthrough_behavior: Some(self.passthrough.clone()),
            timeout_in_millis: Some(self.timeout_ms),
            cache_namespace: Some(self.cache_namespace.clone()),
            cache_key_parameters: Some(Vec::new()),
            integration_responses: (!self.responses.is_empty()).then(|| responses.collect()),
            ..Default::default()
        }
    }
}

impl IntegrationResponse {
    pub(crate) fn show(&self, status: &str) -> aws::IntegrationResponse {
        aws::IntegrationResponse {
            status_code: Some(status.to_owned()),
            selection_pattern: self.pattern.clone(),
            response_parameters: some(&self.parameters),
            response_templates: some(&self.templates),
            ..Default::default()
        }
    }
}

impl Stage {
    pub(crate) fn show(&self, name: &str) -> aws::Stage {
        // The rest is as it always is on AWS until it is set.
        let setting = |one: &Settings| aws::MethodSetting {
            metrics_enabled: Some(one.metrics),
            logging_level: one.level.clone(),
            data_trace_enabled: Some(one.trace),
            throttling_burst_limit: Some(one.burst.unwrap_or(5000)),
            throttling_rate_limit: Some(one.rate.unwrap_or(10_000.0)),
            caching_enabled: Some(false),
            cache_ttl_in_seconds: Some(300),
            cache_data_encrypted: Some(false),
            require_authorization_for_cache_control: Some(true),
            unauthorized_cache_control_header_strategy: Some("SUCCEED_WITH_RESPONSE_HEADER".into()),
        };
        aws::Stage {
            deployment_id: Some(self.deployment.clone()),
            stage_name: Some(name.to_owned()),
            description: self.description.clone(),
            cache_cluster_enabled: Some(false),
            cache_cluster_status: Some("NOT_AVAILABLE".into()),
            method_settings: Some(self.settings.iter().map(|(key, one)| (key.clone(), setting(one))).collect()),
            variables: some(&self.variables),
            tracing_enabled: Some(false),
            access_log_settings: self.access_log.as_ref().map(|log| aws::AccessLogSettings {
                format: Some(log.format.clone()),
                destination_arn: Some(log.destination.clone()),
            }),
            tags: some(&self.tags),
            created_date: moment(self.created_ms),
            last_updated_date: moment(self.updated_ms),
            ..Default::default()
        }
    }
}

impl Deployment {
    pub(crate) fn show(&self, id: &str) -> aws::Deployment {
        aws::Deployment {
            id: Some(id.to_owned()),
            description: self.description.clone(),
            created_date: moment(self.created_ms),
            api_summary: None,
        }
    }
}

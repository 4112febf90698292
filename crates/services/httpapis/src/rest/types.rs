//! What is kept of a REST API, as rows have it, and how each part is shown.
//!
//! An API is one row with all that belongs to it, so that every change is one transaction that sees the whole; what a
//! deployment froze is a row of its own ([`Frozen`]).

use std::collections::BTreeMap;

use base::Timestamp;
use model::apigateway as aws;
use serde::{Deserialize, Serialize};

use super::rules::models::{self, Models};
use crate::types::Authorization;

type Texts = BTreeMap<String, String>;

/// A REST API.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Api {
    pub(crate) id: String,
    // Whose it is, twelve digits.
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    // Media types whose bodies are base64 in events and answers.
    pub(crate) binary: Vec<String>,
    // `EDGE` or `REGIONAL`: one place is both.
    pub(crate) endpoint_type: String,
    pub(crate) ip_address_type: String,
    pub(crate) key_source: String,
    // Its host is not answered: it is meant to be reached by a name of its own.
    pub(crate) endpoint_disabled: bool,
    pub(crate) tags: Texts,
    pub(crate) created_ms: i64,
    // The id of the resource `/`.
    pub(crate) root: String,
    // By id.
    pub(crate) resources: BTreeMap<String, Resource>,
    // By id.
    #[serde(default)]
    pub(crate) authorizers: BTreeMap<String, Authorizer>,
    // By id.
    #[serde(default)]
    pub(crate) validators: BTreeMap<String, Validator>,
    // By name.
    #[serde(default = "models::before")]
    pub(crate) models: Models,
    // By type: what it answers by itself.
    pub(crate) responses: BTreeMap<String, GatewayResponse>,
    // By name.
    pub(crate) stages: BTreeMap<String, Stage>,
    // By id.
    pub(crate) deployments: BTreeMap<String, Deployment>,
}

/// What a deployment froze: what its stages answer with.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Frozen {
    pub(crate) binary: Vec<String>,
    pub(crate) endpoint_disabled: bool,
    pub(crate) resources: BTreeMap<String, Resource>,
    #[serde(default)]
    pub(crate) authorizers: BTreeMap<String, Authorizer>,
    #[serde(default)]
    pub(crate) validators: BTreeMap<String, Validator>,
    #[serde(default)]
    pub(crate) models: Models,
    pub(crate) responses: BTreeMap<String, GatewayResponse>,
}

/// A path of an API.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Resource {
    // None of the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<String>,
    // `pets`, `{id}` or `{proxy+}`; empty of the root.
    pub(crate) part: String,
    // By HTTP method, or `ANY`.
    pub(crate) methods: BTreeMap<String, Method>,
}

/// What clients may do with a resource.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Method {
    pub(crate) authorization: Authorization,
    // Who decides, where the authorization is by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) authorizer: Option<String>,
    // Who looks at requests before they go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) validator: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) operation_name: Option<String>,
    // Which parameters there are, and whether each must be sent: `method.request.querystring.page`.
    pub(crate) parameters: BTreeMap<String, bool>,
    // By content type, the name of a model.
    pub(crate) models: Texts,
    // By status code.
    pub(crate) responses: BTreeMap<String, MethodResponse>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) integration: Option<Integration>,
}

/// A function that decides who may use methods.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Authorizer {
    pub(crate) name: String,
    // It is asked about whole requests (`REQUEST`) instead of one token (`TOKEN`).
    pub(crate) of_request: bool,
    pub(crate) auth_type: String,
    pub(crate) uri: String,
    // Where a request says who sends it: `method.request.header.Authorization`, with commas between.
    pub(crate) identity: String,
    // What a token must look like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) validation: Option<String>,
    // How long an answer counts.
    pub(crate) ttl_s: i64,
}

/// What is looked at before a request goes on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Validator {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    // Whether the parameters that must be sent are.
    pub(crate) parameters: bool,
    // Whether the body is as a model of the method says.
    #[serde(default)]
    pub(crate) body: bool,
}

/// What bodies look like.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Model {
    pub(crate) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    // Of `application/json` a JSON schema.
    pub(crate) schema: String,
    pub(crate) content_type: String,
}

/// An answer that a method may give.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct MethodResponse {
    // Which headers it has: `method.response.header.x`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parameters: Option<BTreeMap<String, bool>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) models: Option<Texts>,
}

/// Of which kind an integration is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// A function.
    Function,
    /// A URL.
    Url,
    /// None: the API itself answers.
    #[default]
    Mock,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Function => "AWS_PROXY",
            Self::Url => "HTTP_PROXY",
            Self::Mock => "MOCK",
        }
    }
}

/// What answers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Integration {
    pub(crate) kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) connection_type: Option<String>,
    // `CONVERT_TO_TEXT`: of functions and mocks bodies always are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) handling: Option<String>,
    // `integration.request.header.x`, and where its value is from.
    pub(crate) parameters: Texts,
    // By content type.
    pub(crate) templates: Texts,
    pub(crate) passthrough: String,
    pub(crate) timeout_ms: i64,
    pub(crate) cache_namespace: String,
    // By status code.
    pub(crate) responses: BTreeMap<String, IntegrationResponse>,
}

/// What becomes of an integration's answer.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct IntegrationResponse {
    // Which statuses of the integration it is for; the rest where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pattern: Option<String>,
    // `method.response.header.x`, and where its value is from.
    pub(crate) parameters: Texts,
    // By content type.
    pub(crate) templates: Texts,
}

/// What an API answers by itself, of one type.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct GatewayResponse {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<String>,
    // `gatewayresponse.header.x`, and where its value is from.
    pub(crate) parameters: Texts,
    // By content type.
    pub(crate) templates: Texts,
}

/// An address of the API, at which one of its deployments answers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Stage {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    pub(crate) deployment: String,
    pub(crate) variables: Texts,
    pub(crate) tags: Texts,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
    // By `path/METHOD`, or `*/*`: whether metrics are detailed.
    pub(crate) settings: BTreeMap<String, bool>,
}

/// A state of the API that stages answer with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Deployment {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    pub(crate) created_ms: i64,
}

/// A moment, to the second, as this service shows it.
fn moment(ms: i64) -> Option<Timestamp> {
    Some(Timestamp(ms.div_euclid(1000) * 1000))
}

/// What is empty is not shown.
fn some<K: Clone + Ord, V: Clone>(map: &BTreeMap<K, V>) -> Option<BTreeMap<K, V>> {
    (!map.is_empty()).then(|| map.clone())
}

impl Api {
    /// What a deployment made now would freeze.
    pub(crate) fn freeze(&self) -> Frozen {
        Frozen {
            binary: self.binary.clone(),
            endpoint_disabled: self.endpoint_disabled,
            resources: self.resources.clone(),
            authorizers: self.authorizers.clone(),
            validators: self.validators.clone(),
            models: self.models.clone(),
            responses: self.responses.clone(),
        }
    }

    pub(crate) fn show(&self) -> aws::RestApi {
        aws::RestApi {
            id: Some(self.id.clone()),
            name: Some(self.name.clone()),
            description: self.description.clone(),
            created_date: moment(self.created_ms),
            version: self.version.clone(),
            binary_media_types: (!self.binary.is_empty()).then(|| self.binary.clone()),
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
            path: Some(super::rules::resources::path(&self.resources, id)),
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
    /// The expressions that say who sends a request.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &str> {
        self.identity.split(',').map(str::trim).filter(|source| !source.is_empty())
    }

    pub(crate) fn show(&self, id: &str) -> aws::Authorizer {
        aws::Authorizer {
            id: Some(id.to_owned()),
            name: Some(self.name.clone()),
            type_: Some(if self.of_request { "REQUEST" } else { "TOKEN" }.into()),
            auth_type: Some(self.auth_type.clone()),
            authorizer_uri: Some(self.uri.clone()),
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
        let setting = |metrics: &bool| aws::MethodSetting {
            metrics_enabled: Some(*metrics),
            logging_level: None,
            data_trace_enabled: Some(false),
            throttling_burst_limit: Some(5000),
            throttling_rate_limit: Some(10_000.0),
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

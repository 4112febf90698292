//! What is kept of a REST API, as rows have it.
//!
//! An API is one row with all that belongs to it, so that every change is one transaction that sees the whole; what a
//! deployment froze is a row of its own ([`Frozen`]).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::rules::models::{self, Models};
use crate::types::{AccessLog, Authorization};

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
    // From how many bytes on bodies are compressed, if at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) compression: Option<usize>,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) compression: Option<usize>,
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
    // The role that calls the function; else its own policy lets the API in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<String>,
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
    // The role that calls the function, or `arn:aws:iam::*:user/*`: who sent the request; else the function's own policy
    // lets the API in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) credentials: Option<String>,
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
    // By `path/METHOD`, or `*/*`.
    pub(crate) settings: BTreeMap<String, Settings>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) access_log: Option<AccessLog>,
}

/// What holds for the requests of a method, or of all methods of a stage.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Kept")]
pub(crate) struct Settings {
    pub(crate) metrics: bool,
    // Requests at once, and in a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) burst: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rate: Option<f64>,
    // `OFF`, `ERROR` or `INFO`: what the execution log has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) level: Option<String>,
    // Whether the log has bodies, too.
    pub(crate) trace: bool,
}

/// Settings as rows have them: once only whether metrics are detailed.
#[derive(Deserialize)]
#[serde(untagged)]
enum Kept {
    Metrics(bool),
    All {
        metrics: bool,
        #[serde(default)]
        burst: Option<i64>,
        #[serde(default)]
        rate: Option<f64>,
        #[serde(default)]
        level: Option<String>,
        #[serde(default)]
        trace: bool,
    },
}

impl From<Kept> for Settings {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::Metrics(metrics) => Self { metrics, ..Self::default() },
            Kept::All { metrics, burst, rate, level, trace } => Self { metrics, burst, rate, level, trace },
        }
    }
}

/// A state of the API that stages answer with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Deployment {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    pub(crate) created_ms: i64,
}

impl Api {
    /// What a deployment made now would freeze.
    pub(crate) fn freeze(&self) -> Frozen {
        Frozen {
            binary: self.binary.clone(),
            compression: self.compression,
            endpoint_disabled: self.endpoint_disabled,
            resources: self.resources.clone(),
            authorizers: self.authorizers.clone(),
            validators: self.validators.clone(),
            models: self.models.clone(),
            responses: self.responses.clone(),
        }
    }
}

impl Authorizer {
    /// The expressions that say who sends a request.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &str> {
        self.identity.split(',').map(str::trim).filter(|source| !source.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_rows_before_throttling_are_read() {
        let read = |text: &str| serde_json::from_str::<Settings>(text).unwrap();
        assert_eq!(read("true"), Settings { metrics: true, ..Settings::default() });
        let all = Settings { burst: Some(1), level: Some("INFO".into()), ..Settings::default() };
        assert_eq!(read(r#"{"metrics": false, "burst": 1}"#), Settings { level: None, ..all.clone() });
        assert_eq!(read(&serde_json::to_string(&all).unwrap()), all);
    }
}

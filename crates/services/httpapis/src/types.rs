//! What is kept of an API, as rows have it.
//!
//! An API is one row with all that belongs to it, so that every change is one transaction that sees the whole; what a
//! deployment froze is a row of its own ([`Frozen`]).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An API of the protocol HTTP.
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cors: Option<Cors>,
    // Its host is not answered: it is meant to be reached by a name of its own.
    pub(crate) endpoint_disabled: bool,
    pub(crate) ip_address_type: String,
    pub(crate) api_key_selection: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) created_ms: i64,
    // By id.
    pub(crate) routes: BTreeMap<String, Route>,
    pub(crate) integrations: BTreeMap<String, Integration>,
    #[serde(default)]
    pub(crate) authorizers: BTreeMap<String, Authorizer>,
    // By name.
    pub(crate) stages: BTreeMap<String, Stage>,
    // By id.
    pub(crate) deployments: BTreeMap<String, Deployment>,
}

/// What a deployment froze: what its stages answer with.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Frozen {
    pub(crate) cors: Option<Cors>,
    pub(crate) routes: BTreeMap<String, Route>,
    pub(crate) integrations: BTreeMap<String, Integration>,
    #[serde(default)]
    pub(crate) authorizers: BTreeMap<String, Authorizer>,
}

/// Which pages of other origins may use an API.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cors {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) credentials: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) headers: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) methods: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) origins: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expose: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_age_s: Option<i64>,
}

/// Who may use a route.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Authorization {
    /// Anybody.
    #[default]
    None,
    /// Whom policies let in.
    Iam,
    /// Who has a token of an issuer.
    Jwt,
    /// Whom a function lets in.
    Custom,
}

impl Authorization {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Iam => "AWS_IAM",
            Self::Jwt => "JWT",
            Self::Custom => "CUSTOM",
        }
    }
}

/// Which requests go to which integration.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Route {
    // `GET /pets/{id}` or `$default`.
    pub(crate) key: String,
    pub(crate) authorization: Authorization,
    // Who decides, where the authorization is by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) authorizer: Option<String>,
    // Of which a token must have one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) scopes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) operation_name: Option<String>,
    // The id of the integration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) integration: Option<String>,
    // Made with its API, by quick create.
    pub(crate) managed: bool,
}

/// Who decides about the requests of a route.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Authorizer {
    pub(crate) name: String,
    // Where a request says who sends it: `$request.header.Authorization`.
    pub(crate) identity: Vec<String>,
    // The role that calls its function; else the function's own policy lets the API in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<String>,
    pub(crate) by: By,
}

/// By what an authorizer decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum By {
    /// A token of an issuer.
    Token { issuer: String, audience: Vec<String> },
    /// A function.
    Function { uri: String, payload: String, ttl_s: i64, simple: bool },
}

/// Of which kind an integration is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// A function.
    #[default]
    Function,
    /// A URL.
    Url,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Function => "AWS_PROXY",
            Self::Url => "HTTP_PROXY",
        }
    }
}

/// What answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Integration {
    #[serde(default)]
    pub(crate) kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    pub(crate) uri: String,
    // Of a function always POST, whatever is given; of a URL the request's own where it is `ANY`.
    pub(crate) method: String,
    // `1.0` or `2.0`.
    pub(crate) payload: String,
    // The role that calls the function; else the function's own policy lets the API in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<String>,
    pub(crate) timeout_ms: i64,
    // What of the request is changed on its way.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) request_parameters: BTreeMap<String, String>,
    // What of the answer, by its status.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) response_parameters: BTreeMap<String, BTreeMap<String, String>>,
    pub(crate) managed: bool,
}

/// An address of the API, at which one of its deployments answers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Stage {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    // Follows every change of the API by itself: it answers with what the API's row has.
    pub(crate) auto_deploy: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deployment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deployment_message: Option<String>,
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
    pub(crate) managed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) access_log: Option<AccessLog>,
    #[serde(default)]
    pub(crate) default_settings: Settings,
    // By route key.
    #[serde(default)]
    pub(crate) settings: BTreeMap<String, Settings>,
}

/// What holds for the requests of a route, or of all routes of a stage.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) detailed_metrics: Option<bool>,
    // Requests at once, and in a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) burst_limit: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rate_limit: Option<f64>,
}

impl Settings {
    /// What is given goes before what was there.
    pub(crate) fn change(&mut self, given: &Self) {
        self.detailed_metrics = given.detailed_metrics.or(self.detailed_metrics);
        self.burst_limit = given.burst_limit.or(self.burst_limit);
        self.rate_limit = given.rate_limit.or(self.rate_limit);
    }
}

/// Where a line goes for each request, and what it says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct AccessLog {
    // The ARN of a log group.
    pub(crate) destination: String,
    pub(crate) format: String,
}

/// A state of the API that stages answer with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Deployment {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    pub(crate) created_ms: i64,
    // By a stage that follows every change: it is as the API is now.
    pub(crate) auto: bool,
    // A row holds what it froze.
    pub(crate) frozen: bool,
}

impl Api {
    /// What a deployment made now would freeze.
    pub(crate) fn freeze(&self) -> Frozen {
        Frozen {
            cors: self.cors.clone(),
            routes: self.routes.clone(),
            integrations: self.integrations.clone(),
            authorizers: self.authorizers.clone(),
        }
    }
}

impl By {
    /// The URI, payload format, time to live and form of answers of a function.
    pub(crate) fn function(&self) -> Option<(&str, &str, i64, bool)> {
        match self {
            Self::Function { uri, payload, ttl_s, simple } => Some((uri, payload, *ttl_s, *simple)),
            Self::Token { .. } => None,
        }
    }

    /// The issuer and the audiences of tokens.
    pub(crate) fn token(&self) -> Option<(&str, &[String])> {
        match self {
            Self::Token { issuer, audience } => Some((issuer, audience)),
            Self::Function { .. } => None,
        }
    }
}

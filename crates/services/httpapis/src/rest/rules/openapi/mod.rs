//! REST APIs as definitions: Swagger 2.0 and OpenAPI 3.0 with API Gateway's extensions.
//! Source: API Gateway Developer Guide, "Develop REST APIs using OpenAPI in API Gateway" and "OpenAPI extensions for API Gateway".

mod method;
mod read;
mod write;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::rest::types::{Authorizer, GatewayResponse, Method, Validator};

pub(crate) use read::{Asked, read};
pub(crate) use write::{Form, version, write};

/// An API as a definition says it. What is none is not said.
#[derive(Debug, Default)]
pub(crate) struct Definition {
    pub(crate) title: String,
    pub(crate) description: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) binary: Option<Vec<String>>,
    pub(crate) compression: Option<i64>,
    pub(crate) key_source: Option<String>,
    pub(crate) endpoint_disabled: Option<bool>,
    pub(crate) endpoint_type: Option<String>,
    /// By name, each with its description; they refer to each other as the definition does.
    pub(crate) models: BTreeMap<String, (Option<String>, Value)>,
    /// By name.
    pub(crate) validators: BTreeMap<String, Validator>,
    /// By name.
    pub(crate) authorizers: BTreeMap<String, Authorizer>,
    /// By type.
    pub(crate) responses: BTreeMap<String, GatewayResponse>,
    /// By path, by verb. Methods have the names of authorizers and validators where they will have ids.
    pub(crate) paths: Vec<(String, BTreeMap<String, Method>)>,
    /// What is not valid and was left out.
    pub(crate) warnings: Vec<String>,
}

/// The extensions, by name.
const ANY: &str = "x-amazon-apigateway-any-method";
const AUTH: &str = "x-amazon-apigateway-auth";
const AUTHORIZER: &str = "x-amazon-apigateway-authorizer";
const AUTHTYPE: &str = "x-amazon-apigateway-authtype";
const BINARY: &str = "x-amazon-apigateway-binary-media-types";
const COMPRESSION: &str = "x-amazon-apigateway-minimum-compression-size";
const DOCUMENTATION: &str = "x-amazon-apigateway-documentation";
const ENDPOINT: &str = "x-amazon-apigateway-endpoint-configuration";
const INTEGRATION: &str = "x-amazon-apigateway-integration";
const KEY_SOURCE: &str = "x-amazon-apigateway-api-key-source";
const POLICY: &str = "x-amazon-apigateway-policy";
const RESPONSES: &str = "x-amazon-apigateway-gateway-responses";
const VALIDATOR: &str = "x-amazon-apigateway-request-validator";
const VALIDATORS: &str = "x-amazon-apigateway-request-validators";
/// The methods of a path that are named by themselves.
const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];

fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str)
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The texts of an object; numbers and truth values as they look.
fn map(value: &Value) -> BTreeMap<String, String> {
    let plain = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        // Templates may stand as what they make.
        Value::Object(_) | Value::Array(_) => Some(value.to_string()),
        Value::Null => None,
    };
    members(value).filter_map(|(key, value)| Some((key.clone(), plain(value)?))).collect()
}

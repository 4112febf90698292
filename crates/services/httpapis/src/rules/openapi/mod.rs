//! OpenAPI 3.0 definitions with API Gateway's extensions.
//! Source: API Gateway Developer Guide, "Work with OpenAPI definitions for HTTP APIs" and "API Gateway extensions to OpenAPI".

mod read;
mod write;

use std::collections::BTreeMap;

use crate::types::{Authorization, Authorizer, Cors, Integration};

pub(crate) use read::read;
pub(crate) use write::write;

/// An API as a definition says it.
#[derive(Debug, Default)]
pub(crate) struct Definition {
    pub(crate) title: String,
    pub(crate) description: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) cors: Option<Cors>,
    pub(crate) endpoint_disabled: bool,
    pub(crate) tags: BTreeMap<String, String>,
    /// By the names of their security schemes.
    pub(crate) authorizers: BTreeMap<String, Authorizer>,
    pub(crate) routes: Vec<Operation>,
    /// What is valid and means nothing here, or on AWS of HTTP APIs.
    pub(crate) info: Vec<String>,
    /// What is not valid and was left out.
    pub(crate) warnings: Vec<String>,
}

/// A route as a definition says it.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) key: String,
    pub(crate) name: Option<String>,
    pub(crate) integration: Option<Integration>,
    pub(crate) authorization: Authorization,
    /// The name of the security scheme.
    pub(crate) authorizer: Option<String>,
    pub(crate) scopes: Vec<String>,
}

/// The extensions, by name.
const ANY: &str = "x-amazon-apigateway-any-method";
const AUTH: &str = "x-amazon-apigateway-auth";
const AUTHORIZER: &str = "x-amazon-apigateway-authorizer";
const AUTHTYPE: &str = "x-amazon-apigateway-authtype";
const CORS: &str = "x-amazon-apigateway-cors";
const ENDPOINT: &str = "x-amazon-apigateway-endpoint-configuration";
const INTEGRATION: &str = "x-amazon-apigateway-integration";
const INTEGRATIONS: &str = "x-amazon-apigateway-integrations";
const TAG: &str = "x-amazon-apigateway-tag-value";
/// The path of the route `$default`.
const DEFAULT_PATH: &str = "/$default";
/// The methods of a path item that routes may have.
const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::types::By;

    fn example() -> Value {
        json!({
            "openapi": "3.0.1",
            "info": {"title": "pets", "description": "all", "version": "2"},
            "tags": [{"name": "team", "x-amazon-apigateway-tag-value": "blue"}],
            "paths": {
                "/pets/{id}": {
                    "get": {
                        "operationId": "getPet",
                        "parameters": [{"name": "id", "in": "path"}],
                        "security": [{"tokens": ["read"]}],
                        "requestBody": {},
                        INTEGRATION: {"$ref": "#/components/x-amazon-apigateway-integrations/f"},
                    },
                    ANY: {AUTH: {"type": "AWS_IAM"}, INTEGRATION: {
                        "type": "http_proxy", "httpMethod": "ANY", "uri": "https://example.com", "payloadFormatVersion": 1.0,
                        "requestParameters": {"append:header.a": "1"},
                    }},
                },
                "/$default": {ANY: {"isDefaultRoute": true}},
                "/bad": {"get": {INTEGRATION: {"type": "AWS", "uri": "x"}}},
            },
            CORS: {"allowOrigins": ["*"], "maxAge": 5},
            "components": {
                "securitySchemes": {"tokens": {"type": "oauth2", AUTHORIZER: {
                    "type": "jwt", "identitySource": "$request.header.Authorization",
                    "jwtConfiguration": {"issuer": "https://i.example", "audience": ["a"]},
                }}},
                INTEGRATIONS: {"f": {
                    "type": "AWS_PROXY", "uri": "arn:aws:lambda:${AWS::Region}:000000000000:function:f", "payloadFormatVersion": "2.0",
                }},
            },
        })
    }

    #[test]
    fn a_definition_is_an_api() {
        let read = read(&example().to_string(), None, "us-east-1", "000000000000").unwrap();
        assert_eq!((read.title.as_str(), read.version.as_deref()), ("pets", Some("2")));
        assert_eq!((read.tags["team"].as_str(), read.cors.unwrap().max_age_s), ("blue", Some(5)));
        assert!(matches!(&read.authorizers["tokens"].by, By::Token { audience, .. } if audience == &["a"]));
        let route = |key: &str| read.routes.iter().find(|route| route.key == key).unwrap();
        let get = route("GET /pets/{id}");
        assert_eq!((get.name.as_deref(), get.authorization), (Some("getPet"), Authorization::Jwt));
        assert_eq!((get.authorizer.as_deref(), get.scopes.as_slice()), (Some("tokens"), &["read".to_owned()][..]));
        assert_eq!(get.integration.as_ref().unwrap().uri, "arn:aws:lambda:us-east-1:000000000000:function:f");
        let any = route("ANY /pets/{id}");
        assert_eq!(any.authorization, Authorization::Iam);
        assert_eq!(any.integration.as_ref().unwrap().request_parameters["append:header.a"], "1");
        assert!(route("$default").integration.is_none() && route("GET /bad").integration.is_none());
        assert_eq!((read.warnings.len(), read.info.len()), (1, 1));
    }

    #[test]
    fn what_is_no_definition_is_refused() {
        for (change, told) in [
            (json!({"swagger": "2.0", "openapi": null}), "3.0"),
            (json!({"info": {}}), "title"),
            (json!({"paths": {"/a": {"get": {"security": [{"a": []}, {"b": []}]}}}}), "one of"),
            (json!({"paths": {"/a": {"get": {"security": [{"none": []}]}}}}), "none"),
            (json!({"paths": {"a": {"get": {}}}}), "route key"),
        ] {
            let mut definition = example();
            for (name, value) in change.as_object().unwrap() {
                definition[name] = value.clone();
            }
            let fault = read(&definition.to_string(), None, "r", "a").unwrap_err();
            assert!(fault.code == "BadRequestException" && fault.message.contains(told), "{fault}");
        }
        let yaml = "openapi: 3.0.1\ninfo: {title: pets}\npaths:\n  /pets:\n    get: {operationId: all}\n";
        assert_eq!(read(yaml, None, "r", "a").unwrap().routes[0].key, "GET /pets");
        assert_eq!(read("{", None, "r", "a").unwrap_err().code, "BadRequestException");
    }

    #[test]
    fn a_base_path_may_stand_before_all() {
        let mut definition = example();
        definition["servers"] =
            json!([{"url": "https://example.com/{base}/x", "variables": {"base": {"default": "v1"}}}]);
        let keys = |basepath| read(&definition.to_string(), basepath, "r", "a").unwrap().routes;
        assert!(keys(Some("prepend")).iter().any(|route| route.key == "GET /v1/x/pets/{id}"));
        assert!(keys(Some("ignore")).iter().any(|route| route.key == "GET /pets/{id}"));
        assert_eq!(read(&definition.to_string(), Some("split"), "r", "a").unwrap_err().code, "NotImplemented");
    }
}

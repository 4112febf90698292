//! Reads definitions.

use std::collections::BTreeMap;

use base::Fault;
use serde_json::Value;

use super::method::Reader;
use super::{
    ANY, AUTHORIZER, AUTHTYPE, BINARY, COMPRESSION, DOCUMENTATION, Definition, ENDPOINT, KEY_SOURCE, METHODS, POLICY,
    RESPONSES, VALIDATOR, VALIDATORS, map, members, text, texts,
};
use crate::rest::faults;
use crate::rest::types::{Authorizer, GatewayResponse, Validator};
use crate::rules::document;

/// What is to become of a definition.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) operation: &'a str,
    pub(crate) basepath: Option<&'a str>,
}

/// # Errors
/// BadRequestException, as AWS wraps it.
pub(super) fn wrong(why: impl std::fmt::Display) -> Fault {
    faults::bad(format!("Errors found during import:\n\t{why}"))
}

/// The API that a definition says.
///
/// # Errors
/// BadRequestException; NotImplemented for what is not here.
pub(crate) fn read(body: &[u8], asked: Asked<'_>) -> Result<Definition, Fault> {
    let body = std::str::from_utf8(body).map_err(|_| faults::bad("Invalid OpenAPI input: it is not UTF-8"))?;
    if body.trim().is_empty() {
        return Err(faults::bad("Invalid OpenAPI input. Body cannot be empty"));
    }
    let whole = document::read(body).map_err(|error| {
        faults::bad(format!("Unable to parse API definition because of a malformed document: {error}"))
    })?;
    // What is written without quotes in YAML is a number.
    let version = |name: &str| match whole.get(name) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(format!("{:.1}", number.as_f64()?)),
        _ => None,
    };
    let old = match (version("swagger"), version("openapi")) {
        (Some(version), _) if version == "2.0" => true,
        (None, Some(version)) if version.starts_with("3.0") => false,
        _ => {
            return Err(faults::bad(
                "Invalid OpenAPI input. Only Swagger 2.0 and OpenAPI 3.0 definitions are supported for REST APIs",
            ));
        }
    };
    let refused = [POLICY, DOCUMENTATION];
    if let Some(name) = refused.into_iter().find(|name| whole.get(*name).is_some()) {
        return Err(faults::absent(asked.operation, name));
    }
    let info = &whole["info"];
    let title = text(info, "title").filter(|title| !title.trim().is_empty());
    let mut read = Definition {
        title: title.ok_or_else(|| faults::bad("Invalid OpenAPI input. info.title is missing"))?.to_owned(),
        description: text(info, "description").filter(|text| !text.is_empty()).map(str::to_owned),
        version: info.get("version").and_then(|value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }),
        binary: whole.get(BINARY).map(texts),
        compression: whole.get(COMPRESSION).map(|bytes| bytes.as_i64().unwrap_or(-1)),
        key_source: text(&whole, KEY_SOURCE).map(str::to_ascii_uppercase),
        ..Definition::default()
    };
    endpoint(&mut read, &whole, asked)?;
    for (name, said) in members(&whole[VALIDATORS]) {
        let truth = |name: &str| said.get(name).and_then(Value::as_bool).unwrap_or_default();
        let (parameters, body) = (truth("validateRequestParameters"), truth("validateRequestBody"));
        read.validators.insert(name.clone(), Validator { name: Some(name.clone()), parameters, body });
    }
    for (of, said) in members(&whole[RESPONSES]) {
        let status = match &said["statusCode"] {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let (parameters, templates) = (map(&said["responseParameters"]), map(&said["responseTemplates"]));
        read.responses.insert(of.clone(), GatewayResponse { status, parameters, templates });
    }
    let schemes = if old { &whole["securityDefinitions"] } else { &whole["components"]["securitySchemes"] };
    for (name, scheme) in members(schemes) {
        if let Some(said) = scheme.get(AUTHORIZER) {
            read.authorizers.insert(name.clone(), authorizer(asked.operation, name, scheme, said)?);
        }
    }
    let schemas = if old { &whole["definitions"] } else { &whole["components"]["schemas"] };
    for (name, schema) in members(schemas) {
        let description = text(schema, "description").map(str::to_owned);
        read.models.insert(name.clone(), (description, schema.clone()));
    }
    let prefix = prefix(&whole, old, asked.basepath)?;
    if let Some(validator) = text(&whole, VALIDATOR)
        && !read.validators.contains_key(validator)
    {
        return Err(wrong(format_args!("The request validator {validator} is not one of {VALIDATORS}")));
    }
    let mut reader = Reader { operation: asked.operation, whole: &whole, old, schemes, read: &mut read };
    let mut paths = Vec::new();
    for (path, item) in members(&whole["paths"]).filter(|(path, _)| !path.starts_with("x-")) {
        if !path.starts_with('/') {
            return Err(wrong(format_args!("Resource's path must begin with a slash: {path}")));
        }
        let mut methods = BTreeMap::new();
        for (verb, said) in members(item) {
            let verb = match verb.as_str() {
                ANY => "ANY".to_owned(),
                known if METHODS.contains(&known) => known.to_ascii_uppercase(),
                "trace" => {
                    reader.read.warnings.push(format!("Method TRACE on resource at path '{path}' is not supported"));
                    continue;
                }
                _ => continue,
            };
            methods.insert(verb.clone(), reader.method(path, &verb, item, said)?);
        }
        paths.push((format!("{prefix}{path}"), methods));
    }
    // A base path is there also where nothing stands below it.
    if paths.is_empty() && !prefix.is_empty() {
        paths.push((prefix, BTreeMap::new()));
    }
    read.paths = paths;
    Ok(read)
}

/// Where an API is to be reached: the definition itself says it, or its first server.
fn endpoint(read: &mut Definition, whole: &Value, asked: Asked<'_>) -> Result<(), Fault> {
    let said = whole.get(ENDPOINT).or_else(|| whole["servers"][0].get(ENDPOINT)).unwrap_or(&Value::Null);
    let ids = said.get("vpcEndpointIds").is_some_and(|ids| !texts(ids).is_empty());
    let kind = texts(&said["types"]).into_iter().next();
    let named = [
        (&*format!("{ENDPOINT}.vpcEndpointIds"), ids),
        (&*format!("{ENDPOINT}.types PRIVATE"), kind.as_deref() == Some("PRIVATE")),
    ];
    faults::refuse(asked.operation, &named)?;
    read.endpoint_disabled = said.get("disableExecuteApiEndpoint").and_then(Value::as_bool);
    read.endpoint_type = kind;
    Ok(())
}

/// What stands before every path.
fn prefix(whole: &Value, old: bool, basepath: Option<&str>) -> Result<String, Fault> {
    let mut skipped = 0;
    match basepath {
        None | Some("ignore") => return Ok(String::new()),
        Some("prepend") => {}
        // The first part is for the base path of a name of one's own.
        Some("split") => skipped = 1,
        Some(_) => return Err(faults::bad("Invalid basepath specified. Must be one of [ignore, prepend, split]")),
    }
    let base = if old {
        text(whole, "basePath").unwrap_or_default().to_owned()
    } else {
        let server = &whole["servers"][0];
        let mut url = text(server, "url").unwrap_or_default().to_owned();
        for (name, variable) in members(&server["variables"]) {
            url = url.replace(&format!("{{{name}}}"), text(variable, "default").unwrap_or_default());
        }
        url.split_once("://").map_or(&*url, |(_, rest)| rest.find('/').map_or("", |at| &rest[at..])).to_owned()
    };
    let parts = base.split('/').filter(|part| !part.is_empty()).skip(skipped);
    Ok(parts.map(|part| format!("/{part}")).collect())
}

fn authorizer(operation: &str, name: &str, scheme: &Value, said: &Value) -> Result<Authorizer, Fault> {
    let kind = text(said, "type").unwrap_or_default().to_ascii_lowercase();
    let of_request = kind == "request";
    let refused = [
        (&*format!("{AUTHORIZER}.type {kind}"), !of_request && kind != "token"),
        (&*format!("{AUTHORIZER}.jwtConfiguration"), said.get("jwtConfiguration").is_some()),
    ];
    faults::refuse(operation, &refused)?;
    // A token is where the scheme says that a key is.
    let header = || Some(format!("method.request.header.{}", text(scheme, "name")?));
    let identity = match &said["identitySource"] {
        Value::String(text) => Some(text.clone()),
        Value::Array(_) => Some(texts(&said["identitySource"]).join(",")),
        _ => None,
    };
    Ok(Authorizer {
        name: name.to_owned(),
        of_request,
        auth_type: text(scheme, AUTHTYPE).unwrap_or("custom").to_owned(),
        role: text(said, "authorizerCredentials").map(str::to_owned),
        uri: text(said, "authorizerUri").unwrap_or_default().to_owned(),
        identity: identity.or_else(|| if of_request { None } else { header() }).unwrap_or_default(),
        validation: text(said, "identityValidationExpression").map(str::to_owned),
        ttl_s: said["authorizerResultTtlInSeconds"].as_i64().unwrap_or(300),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rest::types::Kind;
    use crate::types::Authorization;

    fn of(value: &Value) -> Result<Definition, Fault> {
        read(value.to_string().as_bytes(), Asked { operation: "ImportRestApi", basepath: None })
    }

    fn with(change: Value) -> Value {
        let mut whole = json!({"swagger": "2.0", "info": {"title": "t", "version": "1"}, "paths": {}});
        for (name, value) in change.as_object().unwrap() {
            whole[name] = value.clone();
        }
        whole
    }

    #[test]
    fn what_is_no_definition_is_refused() {
        for (whole, code, told) in [
            (json!({}), "BadRequestException", "Swagger 2.0"),
            (with(json!({"swagger": "1.2"})), "BadRequestException", "Swagger 2.0"),
            (with(json!({"info": {}})), "BadRequestException", "title"),
            (with(json!({"paths": {"pets": {}}})), "BadRequestException", "slash"),
            (with(json!({POLICY: {}})), "NotImplemented", POLICY),
            (with(json!({ENDPOINT: {"types": ["PRIVATE"]}})), "NotImplemented", "PRIVATE"),
            (with(json!({VALIDATOR: "none"})), "BadRequestException", "none"),
        ] {
            let fault = of(&whole).unwrap_err();
            assert!(fault.code == code && fault.message.contains(told), "{fault}");
        }
        for wrong in [&b""[..], b"{", b"text", b"\xff"] {
            assert!(read(wrong, Asked { operation: "O", basepath: None }).is_err());
        }
        assert_eq!(of(&with(json!({"swagger": 2.0}))).unwrap().title, "t");
    }

    #[test]
    fn base_paths_stand_before_all_or_in_part() {
        let old = with(json!({"basePath": "/a/b/c", "paths": {"/e": {}}}));
        let new = json!({
            "openapi": "3.0.1", "info": {"title": "t"}, "paths": {"/e": {}},
            "servers": [{"url": "https://x.example/{base}/b/c", "variables": {"base": {"default": "a"}}}],
        });
        for whole in [old, new] {
            let path = |basepath| {
                let asked = Asked { operation: "O", basepath };
                read(whole.to_string().as_bytes(), asked).map(|read| read.paths[0].0.clone())
            };
            assert_eq!(path(None).unwrap(), "/e");
            assert_eq!(path(Some("prepend")).unwrap(), "/a/b/c/e");
            assert_eq!(path(Some("split")).unwrap(), "/b/c/e");
            assert!(path(Some("x")).is_err());
        }
    }

    #[test]
    fn both_versions_say_the_same_method() {
        let integration = json!({"type": "mock", "requestTemplates": {"application/json": "{\"statusCode\": 200}"},
            "responses": {"default": {"statusCode": 200, "responseParameters": {"method.response.header.x": "'1'"}}}});
        let old = with(json!({
            "definitions": {"Pet": {"type": "object", "properties": {"kind": {"$ref": "#/definitions/Kind"}}}, "Kind": {}},
            "securityDefinitions": {"iam": {AUTHTYPE: "awsSigv4"}},
            "parameters": {"page": {"in": "query", "name": "page", "required": true, "type": "string"}},
            VALIDATORS: {"all": {"validateRequestBody": true, "validateRequestParameters": true}}, VALIDATOR: "all",
            "paths": {"/pets/{id}": {
                "parameters": [{"$ref": "#/parameters/page"}],
                "post": {
                    "operationId": "put", "consumes": ["application/json"], "produces": ["application/json"],
                    "parameters": [
                        {"in": "path", "name": "id", "required": true, "type": "string"},
                        {"in": "header", "name": "X-H", "type": "string"},
                        {"in": "body", "name": "Pet", "required": true, "schema": {"$ref": "#/definitions/Pet"}},
                    ],
                    "responses": {"200": {"schema": {"$ref": "#/definitions/Pet"}, "headers": {"x": {"type": "string"}}}},
                    "security": [{"iam": []}],
                    "x-amazon-apigateway-integration": integration,
                },
            }},
        }));
        let schema = json!({"$ref": "#/components/schemas/Pet"});
        let new = json!({
            "openapi": "3.0.1", "info": {"title": "t"},
            "components": {
                "schemas": {"Pet": {"type": "object", "properties": {"kind": {"$ref": "#/components/schemas/Kind"}}}, "Kind": {}},
                "securitySchemes": {"iam": {AUTHTYPE: "awsSigv4"}},
                "parameters": {"page": {"in": "query", "name": "page", "required": true, "schema": {"type": "string"}}},
            },
            VALIDATORS: {"all": {"validateRequestBody": true, "validateRequestParameters": true}}, VALIDATOR: "all",
            "paths": {"/pets/{id}": {
                "parameters": [{"$ref": "#/components/parameters/page"}],
                "post": {
                    "operationId": "put",
                    "parameters": [
                        {"in": "path", "name": "id", "required": true, "schema": {"type": "string"}},
                        {"in": "header", "name": "X-H", "schema": {"type": "string"}},
                    ],
                    "requestBody": {"content": {"application/json": {"schema": schema}}},
                    "responses": {"200": {"content": {"application/json": {"schema": schema}},
                        "headers": {"x": {"schema": {"type": "string"}}}}},
                    "security": [{"iam": []}],
                    "x-amazon-apigateway-integration": integration,
                },
            }},
        });
        for whole in [old, new] {
            let read = of(&whole).unwrap();
            assert_eq!((read.models.len(), &*read.paths[0].0), (2, "/pets/{id}"));
            let method = &read.paths[0].1["POST"];
            assert_eq!((method.authorization, method.validator.as_deref()), (Authorization::Iam, Some("all")));
            let parameters: Vec<_> = method.parameters.iter().map(|(key, must)| (key.as_str(), *must)).collect();
            assert_eq!(
                parameters,
                [
                    ("method.request.header.X-H", false),
                    ("method.request.path.id", true),
                    ("method.request.querystring.page", true)
                ]
            );
            assert_eq!(method.models["application/json"], "Pet");
            let response = &method.responses["200"];
            assert_eq!(response.models.as_ref().unwrap()["application/json"], "Pet");
            assert!(!response.parameters.as_ref().unwrap()["method.response.header.x"]);
            let integration = method.integration.as_ref().unwrap();
            assert_eq!((integration.kind, &*integration.passthrough), (Kind::Mock, "WHEN_NO_MATCH"));
            assert_eq!(integration.responses["200"].parameters["method.response.header.x"], "'1'");
            assert_eq!(integration.responses["200"].pattern, None);
        }
    }

    #[test]
    fn who_may_use_a_method() {
        let judge = json!({"type": "apiKey", "name": "Auth", "in": "header", AUTHTYPE: "custom",
            AUTHORIZER: {"type": "token", "authorizerUri": "arn:x", "authorizerResultTtlInSeconds": 5}});
        let whole = |security: Value| {
            with(json!({
                "securityDefinitions": {"judge": judge, "api_key": {"type": "apiKey", "name": "x-api-key", "in": "header"},
                    "plain": {"type": "basic"}},
                "security": [{"judge": []}],
                "paths": {"/": {"get": {"security": security}, "put": {}}},
            }))
        };
        let read = of(&whole(json!([]))).unwrap();
        let judge = &read.authorizers["judge"];
        assert_eq!((judge.identity.as_str(), judge.ttl_s), ("method.request.header.Auth", 5));
        assert_eq!(read.paths[0].1["GET"].authorization, Authorization::None);
        assert_eq!(read.paths[0].1["PUT"].authorizer.as_deref(), Some("judge"));
        assert_eq!(of(&whole(json!([{"plain": []}]))).unwrap().paths[0].1["GET"].authorization, Authorization::None);
        assert_eq!(of(&whole(json!([{"api_key": []}]))).unwrap_err().code, "NotImplemented");
        assert_eq!(of(&whole(json!([{"judge": ["scope"]}]))).unwrap_err().code, "NotImplemented");
        assert!(of(&whole(json!([{"none": []}]))).unwrap_err().message.contains("none"));
    }
}

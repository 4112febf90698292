//! Writes definitions.

use serde_json::{Map, Value, json};

use super::{ANY, AUTH, AUTHORIZER, CORS, DEFAULT_PATH, ENDPOINT, INTEGRATION, TAG};
use crate::rules::route_key::{self, Part, RouteKey};
use crate::types::{Api, Authorization, Authorizer, Frozen, Integration, Route};

/// The definition of an API in a state of it, with the extensions or without. `server` is its address, `stage` what follows that.
pub(crate) fn write(api: &Api, state: &Frozen, server: &str, stage: &str, extensions: bool) -> Value {
    let mut paths = Map::new();
    for route in state.routes.values() {
        let Ok(key) = RouteKey::parse(&route.key) else { continue };
        let (method, path) = match key {
            RouteKey::Default => (ANY.to_owned(), DEFAULT_PATH),
            RouteKey::Path { method: "ANY", path } => (ANY.to_owned(), path),
            RouteKey::Path { method, path } => (method.to_ascii_lowercase(), path),
        };
        if !extensions && path == DEFAULT_PATH {
            continue;
        }
        let item = paths.entry(path).or_insert_with(|| json!({}));
        item[method] = operation(route, path, state, extensions);
    }
    let mut whole = json!({
        "openapi": "3.0.1",
        "info": {"title": api.name, "version": api.version.clone().unwrap_or_else(|| date(api.created_ms))},
        "servers": [{"url": format!("{server}/{{basePath}}"), "variables": {"basePath": {"default": stage}}}],
        "paths": paths,
    });
    if let Some(description) = &api.description {
        whole["info"]["description"] = json!(description);
    }
    let schemes: Map<String, Value> =
        state.authorizers.iter().map(|(id, one)| (scheme_name(id, one), scheme(one, extensions))).collect();
    if !schemes.is_empty() {
        whole["components"] = json!({"securitySchemes": schemes});
    }
    if extensions {
        if !api.tags.is_empty() {
            whole["tags"] = api.tags.iter().map(|(name, value)| json!({"name": name, TAG: value})).collect();
        }
        if let Some(cors) = &state.cors {
            whole[CORS] = set(&[
                ("allowCredentials", json!(cors.credentials)),
                ("allowHeaders", json!(cors.headers)),
                ("allowMethods", json!(cors.methods)),
                ("allowOrigins", json!(cors.origins)),
                ("exposeHeaders", json!(cors.expose)),
                ("maxAge", json!(cors.max_age_s)),
            ]);
        }
        if api.endpoint_disabled {
            whole[ENDPOINT] = json!({"disableExecuteApiEndpoint": true});
        }
        whole["x-amazon-apigateway-importexport-version"] = json!("1.0");
    }
    whole
}

/// An object of the members that are set.
fn set(members: &[(&str, Value)]) -> Value {
    let given = members.iter().filter(|(_, value)| !value.is_null());
    Value::Object(given.map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
}

fn operation(route: &Route, path: &str, state: &Frozen, extensions: bool) -> Value {
    let mut one = json!({"responses": {"default": {"description": format!("Default response for {}", route.key)}}});
    let variables = route_key::parts(path).flatten().filter_map(|part| match part {
        Part::Variable(name) => Some(name.to_owned()),
        Part::Greedy(name) => Some(format!("{name}+")),
        Part::Fixed(_) => None,
    });
    let parameters: Vec<Value> = variables
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    if !parameters.is_empty() {
        one["parameters"] = json!(parameters);
    }
    if let Some(name) = &route.operation_name {
        one["operationId"] = json!(name);
    }
    if let Some((id, judge)) = route.authorizer.as_ref().and_then(|id| Some((id, state.authorizers.get(id)?))) {
        one["security"] = json!([{scheme_name(id, judge): route.scopes}]);
    }
    if extensions {
        if route.authorization == Authorization::Iam {
            one[AUTH] = json!({"type": "AWS_IAM"});
        }
        if path == DEFAULT_PATH {
            one["isDefaultRoute"] = json!(true);
        }
        if let Some(found) = route.integration.as_ref().and_then(|id| state.integrations.get(id)) {
            one[INTEGRATION] = integration(found);
        }
    }
    one
}

fn integration(one: &Integration) -> Value {
    let full = |empty: bool, value: Value| if empty { Value::Null } else { value };
    set(&[
        ("type", json!(one.kind.as_str())),
        ("httpMethod", json!(one.method)),
        ("uri", json!(one.uri)),
        ("credentials", json!(one.role)),
        ("description", json!(one.description)),
        ("payloadFormatVersion", json!(one.payload)),
        ("connectionType", json!("INTERNET")),
        ("timeoutInMillis", json!(one.timeout_ms)),
        ("requestParameters", full(one.request_parameters.is_empty(), json!(one.request_parameters))),
        ("responseParameters", full(one.response_parameters.is_empty(), json!(one.response_parameters))),
    ])
}

/// Names of authorizers need not differ, those of schemes must.
fn scheme_name(id: &str, one: &Authorizer) -> String {
    let plain: String =
        one.name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
    format!("{plain}-{id}")
}

fn scheme(one: &Authorizer, extensions: bool) -> Value {
    let (mut scheme, said) = match (one.by.token(), one.by.function()) {
        (Some((issuer, audience)), _) => (
            json!({"type": "oauth2", "flows": {}}),
            json!({
                "type": "jwt",
                "identitySource": one.identity.join(","),
                "jwtConfiguration": {"issuer": issuer, "audience": audience},
            }),
        ),
        (None, Some((uri, payload, ttl_s, simple))) => (
            json!({"type": "apiKey", "name": "Unused", "in": "header"}),
            json!({
                "type": "request",
                "identitySource": one.identity.join(","),
                "authorizerUri": uri,
                "authorizerPayloadFormatVersion": payload,
                "authorizerResultTtlInSeconds": ttl_s,
                "enableSimpleResponses": simple,
            }),
        ),
        (None, None) => (json!({}), Value::Null),
    };
    if extensions {
        scheme[AUTHORIZER] = said;
        if let Some(role) = &one.role {
            scheme[AUTHORIZER]["authorizerCredentials"] = json!(role);
        }
    }
    scheme
}

/// `2026-11-27 19:40:00UTC`.
fn date(ms: i64) -> String {
    let (year, month, day, hour, minute, second, _) = base::Timestamp(ms).civil();
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}UTC")
}

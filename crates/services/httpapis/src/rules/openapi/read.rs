//! Reads definitions.

use std::collections::BTreeMap;

use base::Fault;
use serde_json::{Map, Value};

use super::{
    ANY, AUTH, AUTHORIZER, AUTHTYPE, CORS, DEFAULT_PATH, Definition, ENDPOINT, INTEGRATION, INTEGRATIONS, METHODS,
    Operation, TAG,
};
use crate::rules::{check, cors, document, route_key};
use crate::types::{Authorization, Authorizer, By, Cors, Integration, Kind};
use crate::{faults, limits};

/// The API that a definition says. `basepath` says what becomes of the path of its first server.
///
/// # Errors
/// BadRequestException; NotImplemented for `split`.
pub(crate) fn read(body: &str, basepath: Option<&str>, region: &str, account: &str) -> Result<Definition, Fault> {
    let variables = [
        ("${AWS::Region}", region),
        ("${AWS::AccountId}", account),
        ("${AWS::Partition}", "aws"),
        ("${AWS::URLSuffix}", "amazonaws.com"),
    ];
    let body = variables.iter().fold(body.to_owned(), |body, (name, value)| body.replace(name, value));
    let whole = document::read(&body).map_err(|error| {
        faults::bad(format!("Unable to parse API definition because of a malformed document: {error}"))
    })?;
    if !text(&whole, "openapi").is_some_and(|version| version.starts_with("3.0")) {
        return Err(faults::bad("Invalid OpenAPI input. Only OpenAPI 3.0 definitions are supported for HTTP APIs"));
    }
    let info = &whole["info"];
    let title = text(info, "title").ok_or_else(|| faults::bad("Invalid OpenAPI input: info.title is missing"))?;
    let mut read = Definition {
        title: title.to_owned(),
        description: text(info, "description").map(str::to_owned),
        version: text(info, "version").map(str::to_owned),
        cors: whole.get(CORS).map(cors_of).transpose()?,
        endpoint_disabled: whole[ENDPOINT]["disableExecuteApiEndpoint"].as_bool().unwrap_or_default(),
        ..Definition::default()
    };
    for tag in whole["tags"].as_array().into_iter().flatten() {
        if let (Some(name), Some(value)) = (text(tag, "name"), text(tag, TAG)) {
            read.tags.insert(name.to_owned(), value.to_owned());
        }
    }
    check::tags(&read.tags)?;
    for (name, scheme) in members(&whole["components"]["securitySchemes"]) {
        if let Some(said) = scheme.get(AUTHORIZER) {
            read.authorizers.insert(name.clone(), authorizer(name, scheme, said)?);
        }
    }
    let prefix = prefix(&whole, basepath)?;
    for (path, item) in members(&whole["paths"]) {
        for (method, operation) in members(item) {
            let method = match method.as_str() {
                ANY => "ANY".to_owned(),
                known if METHODS.contains(&known) => known.to_ascii_uppercase(),
                "trace" => {
                    read.warnings.push(format!("The method TRACE of {path} is not supported for HTTP APIs"));
                    continue;
                }
                _ => continue,
            };
            let key = match path.as_str() {
                DEFAULT_PATH => "$default".to_owned(),
                path => format!("{method} {prefix}{path}"),
            };
            route_key::RouteKey::parse(&key)?;
            let one = one(&mut read, &whole, key, operation)?;
            read.routes.push(one);
        }
    }
    Ok(read)
}

fn one(read: &mut Definition, whole: &Value, key: String, operation: &Value) -> Result<Operation, Fault> {
    if operation.get("requestBody").is_some() {
        read.info.push(format!("The requestBody of {key} is ignored: HTTP APIs do not validate requests"));
    }
    let said = match operation.get(INTEGRATION) {
        Some(said) => match text(said, "$ref")
            .and_then(|to| to.strip_prefix("#/components/")?.strip_prefix(INTEGRATIONS)?.strip_prefix('/'))
        {
            Some(name) => Some(whole["components"][INTEGRATIONS].get(name).ok_or_else(|| {
                faults::bad(format!("The integration {name} of {key} is not in the definition's components"))
            })?),
            None => Some(said),
        },
        None => None,
    };
    let integration = said.map(integration).transpose()?;
    let integration = match integration {
        Some(Err(kind)) => {
            read.warnings.push(format!(
                "The integration type {kind} of {key} is not supported for HTTP APIs: only AWS_PROXY and HTTP_PROXY are"
            ));
            None
        }
        Some(Ok(integration)) => Some(integration),
        None => None,
    };
    let security = operation.get("security").or_else(|| whole.get("security")).and_then(Value::as_array);
    let (authorization, authorizer, scopes) =
        secured(read, whole, &key, operation, security.map_or(&[][..], Vec::as_slice))?;
    let name = text(operation, "operationId").filter(|name| name.chars().count() <= 64).map(str::to_owned);
    Ok(Operation { key, name, integration, authorization, authorizer, scopes })
}

type Secured = (Authorization, Option<String>, Vec<String>);

fn secured(
    read: &Definition,
    whole: &Value,
    key: &str,
    operation: &Value,
    security: &[Value],
) -> Result<Secured, Fault> {
    if text(&operation[AUTH], "type").is_some_and(|kind| kind.eq_ignore_ascii_case("AWS_IAM")) {
        return Ok((Authorization::Iam, None, Vec::new()));
    }
    let named: Vec<(&String, &Value)> = security.iter().flat_map(members).collect();
    let (name, scopes) = match named.as_slice() {
        [] => return Ok((Authorization::None, None, Vec::new())),
        [(name, scopes)] => (*name, *scopes),
        _ => {
            return Err(faults::bad(format!(
                "{key} can have only one of IAM authorization, a Lambda authorizer, or a JWT authorizer"
            )));
        }
    };
    let scopes = scopes.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    let scheme = &whole["components"]["securitySchemes"][name.as_str()];
    match read.authorizers.get(name) {
        Some(one) if one.by.token().is_some() => Ok((Authorization::Jwt, Some(name.clone()), scopes)),
        Some(_) => Ok((Authorization::Custom, Some(name.clone()), Vec::new())),
        None if text(scheme, AUTHTYPE).is_some_and(|kind| kind.eq_ignore_ascii_case("awsSigv4")) => {
            Ok((Authorization::Iam, None, Vec::new()))
        }
        None => Err(faults::bad(format!("The security scheme {name} of {key} has no {AUTHORIZER}"))),
    }
}

/// What stands before every path.
fn prefix(whole: &Value, basepath: Option<&str>) -> Result<String, Fault> {
    match basepath {
        None | Some("ignore") => return Ok(String::new()),
        Some("prepend") => {}
        Some("split") => return Err(Fault::not_implemented("apigatewayv2:ImportApi: Basepath split")),
        Some(_) => return Err(faults::bad("Invalid basepath specified. Must be one of [ignore, prepend, split]")),
    }
    let server = &whole["servers"][0];
    let mut url = text(server, "url").unwrap_or_default().to_owned();
    for (name, variable) in members(&server["variables"]) {
        url = url.replace(&format!("{{{name}}}"), text(variable, "default").unwrap_or_default());
    }
    let path = url.split_once("://").map_or(&*url, |(_, rest)| rest.find('/').map_or("", |at| &rest[at..]));
    Ok(path.trim_end_matches('/').to_owned())
}

fn cors_of(said: &Value) -> Result<Cors, Fault> {
    let list =
        |name: &str| said[name].as_array().map(|all| all.iter().filter_map(Value::as_str).map(str::to_owned).collect());
    let read = Cors {
        credentials: said["allowCredentials"].as_bool(),
        headers: list("allowHeaders"),
        methods: list("allowMethods"),
        origins: list("allowOrigins"),
        expose: list("exposeHeaders"),
        max_age_s: said["maxAge"].as_i64(),
    };
    cors::check(&read)?;
    Ok(read)
}

/// An integration, or the type that is none of HTTP APIs'.
fn integration(said: &Value) -> Result<Result<Integration, String>, Fault> {
    let kind = match text(said, "type").unwrap_or_default().to_ascii_uppercase().as_str() {
        "AWS_PROXY" => Kind::Function,
        "HTTP_PROXY" => Kind::Url,
        other => return Ok(Err(other.to_owned())),
    };
    for name in ["connectionId", "integrationSubtype", "tlsConfig"] {
        if said.get(name).is_some() {
            return Err(Fault::not_implemented(format_args!("apigatewayv2:ImportApi: {INTEGRATION}.{name}")));
        }
    }
    let map = |value: &Value| -> BTreeMap<String, String> {
        members(value).filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
    };
    let method = text(said, "httpMethod").unwrap_or(if kind == Kind::Function { "POST" } else { "ANY" });
    Ok(Ok(Integration {
        kind,
        description: text(said, "description").map(str::to_owned),
        uri: text(said, "uri").unwrap_or_default().to_owned(),
        method: method.to_ascii_uppercase().replace(&ANY.to_ascii_uppercase(), "ANY"),
        payload: version(&said["payloadFormatVersion"]).unwrap_or_else(|| "1.0".into()),
        role: text(said, "credentials").map(str::to_owned),
        timeout_ms: said["timeoutInMillis"].as_i64().unwrap_or(*limits::TIMEOUT_MS.end()),
        request_parameters: map(&said["requestParameters"]),
        response_parameters: members(&said["responseParameters"])
            .map(|(status, of)| (status.clone(), map(of)))
            .collect(),
        managed: false,
    }))
}

/// `1.0`, also where it is a number.
fn version(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => number.as_f64().map(|number| format!("{number:.1}")),
        _ => None,
    }
}

fn authorizer(name: &str, scheme: &Value, said: &Value) -> Result<Authorizer, Fault> {
    let identity = match &said["identitySource"] {
        Value::String(text) => text.split(',').map(|one| one.trim().to_owned()).collect(),
        Value::Array(all) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let by = match text(said, "type").unwrap_or_default() {
        "jwt" => {
            let jwt = &said["jwtConfiguration"];
            let found =
                text(scheme, "openIdConnectUrl").and_then(|url| url.strip_suffix("/.well-known/openid-configuration"));
            let audience = jwt["audience"].as_array().into_iter().flatten().filter_map(Value::as_str);
            By::Token {
                issuer: text(jwt, "issuer").or(found).unwrap_or_default().to_owned(),
                audience: audience.map(str::to_owned).collect(),
            }
        }
        "request" => By::Function {
            uri: text(said, "authorizerUri").unwrap_or_default().to_owned(),
            payload: version(&said["authorizerPayloadFormatVersion"]).unwrap_or_else(|| "1.0".into()),
            ttl_s: said["authorizerResultTtlInSeconds"].as_i64().unwrap_or_default(),
            simple: said["enableSimpleResponses"].as_bool().unwrap_or_default(),
        },
        _ => return Err(faults::bad(format!("The type of the authorizer {name} must be jwt or request"))),
    };
    let role = text(said, "authorizerCredentials").map(str::to_owned);
    Ok(Authorizer { name: name.to_owned(), identity, role, by })
}

fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str)
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

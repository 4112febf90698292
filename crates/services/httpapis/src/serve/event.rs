//! Events of a function behind an API: payload formats 1.0 and 2.0.
//! Source: API Gateway Developer Guide, "Create AWS Lambda proxy integrations for HTTP APIs", "Payload format structure".

use std::collections::BTreeMap;

use bytes::Bytes;
use door::proxy::{self, Many};
use http::header::{COOKIE, USER_AGENT};
use serde::Serialize;
use serde_json::{Value, json};

use super::authorize::Authorizer;
use super::live::Payload;
use super::{LABEL, Visit, base_of};

/// The event's bytes.
pub(super) fn payload(form: Payload, visit: &Visit<'_>, authorizer: &Authorizer) -> Bytes {
    let bytes = match form {
        Payload::V1 => serde_json::to_vec(&first(visit, authorizer)),
        Payload::V2 => serde_json::to_vec(&second(visit, authorizer)),
    };
    bytes.expect("texts and numbers have a JSON form").into()
}

/// What a function is asked that decides about a request: the event without its body.
pub(super) fn question(form: Payload, visit: &Visit<'_>, identity: &[String]) -> Bytes {
    let whole = match form {
        Payload::V1 => serde_json::to_value(first(visit, &Authorizer::None)),
        Payload::V2 => serde_json::to_value(second(visit, &Authorizer::None)),
    };
    let Ok(Value::Object(mut event)) = whole else { unreachable!("texts and numbers have a JSON form") };
    event.remove("body");
    event.remove("isBase64Encoded");
    event.insert("type".into(), json!("REQUEST"));
    match form {
        Payload::V1 => {
            let joined = identity.join(",");
            event.insert("methodArn".into(), json!(visit.arn()));
            event.insert("identitySource".into(), json!(joined));
            event.insert("authorizationToken".into(), json!(joined));
            if let Some(context) = event.get_mut("requestContext").and_then(Value::as_object_mut) {
                context.remove("authorizer");
            }
        }
        Payload::V2 => {
            event.insert("routeArn".into(), json!(visit.arn()));
            event.insert("identitySource".into(), if identity.is_empty() { Value::Null } else { json!(identity) });
        }
    }
    Value::Object(event).to_string().into()
}

type One = BTreeMap<String, String>;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Second<'a> {
    version: &'static str,
    route_key: &'a str,
    raw_path: &'a str,
    raw_query_string: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cookies: Vec<String>,
    headers: One,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    query_string_parameters: One,
    request_context: SecondContext<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    path_parameters: BTreeMap<&'a str, String>,
    is_base64_encoded: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage_variables: Option<&'a One>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SecondContext<'a> {
    account_id: &'a str,
    api_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorizer: Option<Value>,
    domain_name: String,
    domain_prefix: &'a str,
    http: SecondHttp<'a>,
    request_id: &'a str,
    route_key: &'a str,
    stage: &'a str,
    time: String,
    time_epoch: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SecondHttp<'a> {
    method: &'a str,
    path: &'a str,
    protocol: &'static str,
    source_ip: String,
    user_agent: String,
}

fn second<'a>(visit: &'a Visit<'_>, authorizer: &Authorizer) -> Second<'a> {
    let (request, api) = (visit.request, &visit.live.api);
    let (body, is_base64_encoded) = proxy::body(visit.request);
    let mut headers = proxy::headers(request, visit.trace);
    headers.remove(COOKIE.as_str());
    Second {
        version: "2.0",
        route_key: &visit.route.key,
        raw_path: visit.path,
        raw_query_string: &request.query,
        cookies: proxy::cookies(&request.headers),
        headers: proxy::joined(headers),
        query_string_parameters: proxy::joined(proxy::parameters(&request.query)),
        request_context: SecondContext {
            account_id: &api.account,
            api_id: &api.id,
            authorizer: authorizer.second(),
            domain_name: domain(visit),
            domain_prefix: &api.id,
            http: SecondHttp {
                method: request.method.as_str(),
                path: visit.path,
                protocol: "HTTP/1.1",
                source_ip: request.peer.to_string(),
                user_agent: proxy::text(&request.headers, &USER_AGENT),
            },
            request_id: visit.id,
            route_key: &visit.route.key,
            stage: &visit.stage.name,
            time: proxy::time(visit.now),
            time_epoch: visit.now.0,
        },
        body,
        path_parameters: visit.variables().into_iter().collect(),
        is_base64_encoded,
        stage_variables: Some(&visit.stage.variables).filter(|variables| !variables.is_empty()),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct First<'a> {
    version: &'static str,
    resource: &'a str,
    path: &'a str,
    http_method: &'a str,
    headers: One,
    multi_value_headers: Many,
    query_string_parameters: Option<One>,
    multi_value_query_string_parameters: Option<Many>,
    request_context: FirstContext<'a>,
    path_parameters: Option<BTreeMap<&'a str, String>>,
    stage_variables: Option<&'a One>,
    body: Option<String>,
    is_base64_encoded: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FirstContext<'a> {
    account_id: &'a str,
    api_id: &'a str,
    authorizer: Value,
    domain_name: String,
    domain_prefix: &'a str,
    extended_request_id: &'a str,
    http_method: &'a str,
    identity: Value,
    path: &'a str,
    protocol: &'static str,
    request_id: &'a str,
    request_time: String,
    request_time_epoch: i64,
    resource_id: &'a str,
    resource_path: &'a str,
    stage: &'a str,
}

fn first<'a>(visit: &'a Visit<'_>, authorizer: &Authorizer) -> First<'a> {
    let (request, api) = (visit.request, &visit.live.api);
    let (body, is_base64_encoded) = proxy::body(visit.request);
    let (headers, parameters) = (proxy::headers(request, visit.trace), proxy::parameters(&request.query));
    let resource = visit.route.key.split_once(' ').map_or(&*visit.route.key, |(_, path)| path);
    let variables: BTreeMap<_, _> = visit.variables().into_iter().collect();
    let (key_id, account, arn) = match authorizer {
        Authorizer::Iam { key_id, account, arn } => (key_id.as_deref(), Some(account.as_str()), Some(arn.as_str())),
        _ => (None, None, None),
    };
    First {
        version: "1.0",
        resource,
        path: visit.path,
        http_method: request.method.as_str(),
        headers: last(&headers),
        multi_value_headers: headers,
        query_string_parameters: (!parameters.is_empty()).then(|| last(&parameters)),
        multi_value_query_string_parameters: (!parameters.is_empty()).then_some(parameters),
        request_context: FirstContext {
            account_id: &api.account,
            api_id: &api.id,
            authorizer: authorizer.first(),
            domain_name: domain(visit),
            domain_prefix: &api.id,
            extended_request_id: visit.id,
            http_method: request.method.as_str(),
            identity: json!({
                "accessKey": key_id,
                "accountId": account,
                "caller": null,
                "cognitoAmr": null,
                "cognitoAuthenticationProvider": null,
                "cognitoAuthenticationType": null,
                "cognitoIdentityId": null,
                "cognitoIdentityPoolId": null,
                "principalOrgId": null,
                "sourceIp": request.peer.to_string(),
                "user": null,
                "userAgent": proxy::text(&request.headers, &USER_AGENT),
                "userArn": arn,
            }),
            path: visit.path,
            protocol: "HTTP/1.1",
            request_id: visit.id,
            request_time: proxy::time(visit.now),
            request_time_epoch: visit.now.0,
            resource_id: &visit.route.key,
            resource_path: resource,
            stage: &visit.stage.name,
        },
        path_parameters: (!variables.is_empty()).then_some(variables),
        stage_variables: Some(&visit.stage.variables).filter(|variables| !variables.is_empty()),
        body,
        is_base64_encoded,
    }
}

/// The last value of each name.
fn last(many: &Many) -> One {
    many.iter().filter_map(|(name, values)| Some((name.clone(), values.last()?.clone()))).collect()
}

/// The API's own host; under `localhost` for the form by path.
pub(super) fn domain(visit: &Visit<'_>) -> String {
    let api = &visit.live.api;
    format!("{}.{LABEL}.{}.{}", api.id, api.region, base_of(&visit.request.host).unwrap_or("localhost"))
}

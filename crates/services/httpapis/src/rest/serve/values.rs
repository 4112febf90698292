//! The values that parameters, templates and events are made of.

use http::header::USER_AGENT;
use serde_json::{Value, json};

use super::Visit;
use super::authorize::Caller;
use crate::rest::rules::mapping::Source;
use crate::rest::rules::template::{Known, Place};
use crate::serve::{LABEL, base_of};

/// `requestContext` of an event, which is what `$context` of a template and `context.` of a parameter are, too.
pub(super) fn context(visit: &Visit<'_>) -> Value {
    let (request, api) = (visit.request, &visit.live.api);
    let (key_id, account, arn) = match &visit.caller {
        Some(Caller::Signed { key_id, account, arn }) => {
            (key_id.as_deref(), Some(account.as_str()), Some(arn.as_str()))
        }
        _ => (None, None, None),
    };
    let user_agent =
        request.headers.get(USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let mut context = json!({
        "accountId": api.account,
        "apiId": api.id,
        "deploymentId": visit.stage.deployment,
        "domainName": domain(visit),
        "domainPrefix": api.id,
        "extendedRequestId": visit.extended,
        "httpMethod": request.method.as_str(),
        "identity": {
            "accessKey": key_id,
            "accountId": account,
            "caller": arn,
            "cognitoAuthenticationProvider": null,
            "cognitoAuthenticationType": null,
            "cognitoIdentityId": null,
            "cognitoIdentityPoolId": null,
            "principalOrgId": null,
            "sourceIp": request.peer.to_string(),
            "user": arn,
            "userAgent": user_agent,
            "userArn": arn,
        },
        "path": visit.sent,
        "protocol": "HTTP/1.1",
        "requestId": visit.id,
        "requestTime": door::proxy::time(visit.now),
        "requestTimeEpoch": visit.now.0,
        "resourceId": visit.route.map(|route| &*route.resource),
        "resourcePath": visit.route.map(|route| &*route.path),
        "stage": visit.stage.name,
    });
    if visit.notes.is_some_and(|notes| notes.trial) {
        context["domainName"] = "testPrefix.testDomainName".into();
        context["domainPrefix"] = "testPrefix".into();
        context["identity"]["sourceIp"] = "test-invoke-source-ip".into();
        context["identity"]["apiKey"] = "test-invoke-api-key".into();
        context["identity"]["apiKeyId"] = "test-invoke-api-key-id".into();
    }
    if let Some(Caller::Named(said)) = &visit.caller {
        context["authorizer"] = Value::Object(said.clone());
    }
    context
}

/// The API's own host; under `localhost` for the form by path.
fn domain(visit: &Visit<'_>) -> String {
    let api = &visit.live.api;
    format!("{}.{LABEL}.{}.{}", api.id, api.region, base_of(&visit.request.host).unwrap_or("localhost"))
}

/// A part of the context as text.
fn of_context(visit: &Visit<'_>, name: &str) -> Option<String> {
    within(&context(visit), name)
}

/// A part of a context as text.
pub(super) fn within(context: &Value, name: &str) -> Option<String> {
    let found = name.split('.').try_fold(context, |value, part| value.get(part))?;
    match found {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(found.to_string()),
        _ => None,
    }
}

/// The value an expression means: `'text'`, `method.request.header.x`, `context.stage`; none if there is none.
pub(super) fn of(visit: &Visit<'_>, expression: &str) -> Option<String> {
    let all = |values: Vec<String>| (!values.is_empty()).then(|| values.join(","));
    match Source::parse(expression)? {
        Source::Text(text) => Some(text.to_owned()),
        Source::Header(name) => visit.parameter(Place::Header, name),
        Source::Headers(name) => all(headers(visit, name)),
        Source::Query(name) => visit.parameter(Place::Query, name),
        Source::Queries(name) => all(queries(visit, name)),
        Source::Path(name) => visit.parameter(Place::Path, name),
        Source::Context(name) => of_context(visit, name),
        Source::Variable(name) => visit.stage.variables.get(name).cloned(),
        Source::Body => None,
    }
}

fn headers(visit: &Visit<'_>, name: &str) -> Vec<String> {
    let all = visit.request.headers.get_all(name.to_ascii_lowercase()).iter();
    all.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
}

fn queries(visit: &Visit<'_>, name: &str) -> Vec<String> {
    let all = form_urlencoded::parse(visit.request.query.as_bytes());
    all.filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).collect()
}

impl Known for Visit<'_> {
    fn parameter(&self, place: Place, name: &str) -> Option<String> {
        match place {
            Place::Path => self.variables().into_iter().find(|(of, _)| *of == name).map(|(_, value)| value),
            Place::Query => queries(self, name).pop(),
            Place::Header => headers(self, name).pop(),
        }
    }

    fn context(&self, name: &str) -> Option<String> {
        of_context(self, name)
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.stage.variables.get(name).cloned()
    }
}

/// What an integration's parameters add to a place of its request: `header`, `querystring` or `path`.
pub(super) fn added<'a>(visit: &'a Visit<'_>, place: &'a str) -> impl Iterator<Item = (&'a str, String)> {
    let parameters = visit.route.map(|route| &route.parameters).into_iter().flatten();
    parameters.filter_map(move |(key, source)| {
        let name = key.strip_prefix("integration.request.")?.strip_prefix(place)?.strip_prefix('.')?;
        Some((name, of(visit, source)?))
    })
}

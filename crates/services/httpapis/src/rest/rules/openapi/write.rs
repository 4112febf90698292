//! Writes definitions.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{
    ANY, AUTHORIZER, AUTHTYPE, BINARY, COMPRESSION, INTEGRATION, KEY_SOURCE, RESPONSES, VALIDATOR, VALIDATORS,
};
use crate::rest::limits;
use crate::rest::rules::{models, resources};
use crate::rest::types::{Api, Authorizer, Frozen, Integration, Method, MethodResponse};
use crate::types::Authorization;

/// What a definition is to have.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Form {
    /// It is Swagger 2.0, else OpenAPI 3.0.
    pub(crate) old: bool,
    /// With integrations, validators, and what the API answers by itself.
    pub(crate) integrations: bool,
    pub(crate) authorizers: bool,
}

/// The scheme of requests that are signed.
const SIGNED: &str = "sigv4";

/// The definition of an API in a state of it. `address` is where it answers (`http://HOST`), and `stage` at what.
pub(crate) fn write(api: &Api, state: &Frozen, address: &str, stage: &str, form: Form) -> Value {
    let (scheme, host) = address.split_once("://").unwrap_or(("http", address));
    let writer = Writer { api: &api.id, state, form };
    let mut whole = json!({});
    let info =
        set(&[("title", json!(api.name)), ("description", json!(api.description)), ("version", json!(version(api)))]);
    if form.old {
        whole["swagger"] = json!("2.0");
        whole["info"] = info;
        whole["host"] = json!(host);
        whole["basePath"] = json!(format!("/{stage}"));
        whole["schemes"] = json!([scheme]);
    } else {
        whole["openapi"] = json!("3.0.1");
        whole["info"] = info;
        whole["servers"] =
            json!([{"url": format!("{address}/{{basePath}}"), "variables": {"basePath": {"default": stage}}}]);
    }
    let mut paths = Map::new();
    for (id, resource) in &state.resources {
        let methods = resource.methods.iter().map(|(verb, method)| {
            let name = if verb == "ANY" { ANY.to_owned() } else { verb.to_ascii_lowercase() };
            (name, writer.method(id, method))
        });
        let path = resources::path(&state.resources, id);
        // A path that has no methods is there because of those below it.
        if !resource.methods.is_empty() || !has_below(state, id) && resource.parent.is_some() {
            paths.insert(path, Value::Object(methods.collect()));
        }
    }
    paths.sort_keys();
    whole["paths"] = Value::Object(paths);
    let (schemes, schemas) = (writer.schemes(), writer.schemas());
    if form.old {
        if !schemes.is_empty() {
            whole["securityDefinitions"] = Value::Object(schemes);
        }
        if !schemas.is_empty() {
            whole["definitions"] = Value::Object(schemas);
        }
    } else {
        whole["components"] = set(&[
            ("schemas", full(schemas.is_empty(), Value::Object(schemas))),
            ("securitySchemes", full(schemes.is_empty(), Value::Object(schemes))),
        ]);
    }
    if form.integrations {
        writer.settings(api, &mut whole);
    }
    whole
}

/// The version of an API; where none is said, when it was made.
pub(crate) fn version(api: &Api) -> String {
    let date = || {
        let (year, month, day, hour, minute, second, _) = base::Timestamp(api.created_ms).civil();
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    };
    api.version.clone().unwrap_or_else(date)
}

fn has_below(state: &Frozen, id: &str) -> bool {
    state.resources.values().any(|other| other.parent.as_deref() == Some(id))
}

/// An object of the members that are set.
fn set(members: &[(&str, Value)]) -> Value {
    let given = members.iter().filter(|(_, value)| !value.is_null());
    Value::Object(given.map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
}

fn full(empty: bool, value: Value) -> Value {
    if empty { Value::Null } else { value }
}

struct Writer<'a> {
    api: &'a str,
    state: &'a Frozen,
    form: Form,
}

impl Writer<'_> {
    fn reference(&self, model: &str) -> Value {
        json!({"$ref": format!("{}{model}", self.prefix())})
    }

    fn prefix(&self) -> &'static str {
        if self.form.old { "#/definitions/" } else { "#/components/schemas/" }
    }

    fn schemas(&self) -> Map<String, Value> {
        let local = |reference: &str| Some(format!("{}{}", self.prefix(), models::referred(self.api, reference)?));
        let one = |(name, model): (&String, &crate::rest::types::Model)| {
            // Of other types there is no schema to be shown.
            let mut schema: Value = serde_json::from_str(&model.schema).ok()?;
            models::rewrite(&mut schema, &local);
            Some((name.clone(), schema))
        };
        self.state.models.iter().filter_map(one).collect()
    }

    fn schemes(&self) -> Map<String, Value> {
        let mut all: Map<String, Value> =
            self.state.authorizers.values().map(|one| (one.name.clone(), self.scheme(one))).collect();
        let mut methods = self.state.resources.values().flat_map(|resource| resource.methods.values());
        if methods.any(|method| method.authorization == Authorization::Iam) {
            let signed = json!({"type": "apiKey", "name": "Authorization", "in": "header", AUTHTYPE: "awsSigv4"});
            all.insert(SIGNED.to_owned(), signed);
        }
        all
    }

    fn scheme(&self, one: &Authorizer) -> Value {
        let header = one.sources().find_map(|source| source.strip_prefix("method.request.header."));
        let mut scheme =
            json!({"type": "apiKey", "name": header.unwrap_or("Unused"), "in": "header", AUTHTYPE: one.auth_type});
        if self.form.authorizers {
            scheme[AUTHORIZER] = set(&[
                ("type", json!(if one.of_request { "request" } else { "token" })),
                ("authorizerUri", json!(one.uri)),
                ("authorizerCredentials", json!(one.role)),
                ("identitySource", full(one.identity.is_empty(), json!(one.identity))),
                ("identityValidationExpression", json!(one.validation)),
                ("authorizerResultTtlInSeconds", json!(one.ttl_s)),
            ]);
        }
        scheme
    }

    fn method(&self, resource: &str, method: &Method) -> Value {
        let types: BTreeSet<&String> =
            method.responses.values().flat_map(|one| &one.models).flat_map(BTreeMap::keys).collect();
        let mut one = set(&[("operationId", json!(method.operation_name))]);
        if self.form.old {
            let templates = method.integration.as_ref();
            let asked: Vec<&String> = match method.models.is_empty() {
                false => method.models.keys().collect(),
                true => templates.iter().flat_map(|one| one.templates.keys()).collect(),
            };
            let answered: BTreeSet<&String> = match types.is_empty() {
                false => types,
                true => templates
                    .iter()
                    .flat_map(|one| one.responses.values())
                    .flat_map(|one| one.templates.keys())
                    .collect(),
            };
            for (name, all) in [("consumes", asked), ("produces", answered.into_iter().collect())] {
                if !all.is_empty() {
                    one[name] = json!(all);
                }
            }
        } else if !method.models.is_empty() {
            let content =
                method.models.iter().map(|(of, model)| (of.clone(), json!({"schema": self.reference(model)})));
            one["requestBody"] = json!({"content": content.collect::<Map<_, _>>(), "required": true});
        }
        let parameters = self.parameters(method);
        if !parameters.is_empty() {
            one["parameters"] = json!(parameters);
        }
        let responses = method.responses.iter().map(|(status, said)| (status.clone(), self.response(status, said)));
        one["responses"] = Value::Object(responses.collect());
        let judge = method.authorizer.as_ref().and_then(|id| self.state.authorizers.get(id));
        match (method.authorization, judge) {
            (Authorization::Iam, _) => one["security"] = json!([{SIGNED: []}]),
            (Authorization::Custom, Some(judge)) => one["security"] = json!([{judge.name.clone(): []}]),
            _ => {}
        }
        if self.form.integrations {
            let validator = method.validator.as_ref().and_then(|id| Some((id, self.state.validators.get(id)?)));
            if let Some((id, validator)) = validator {
                one[VALIDATOR] = json!(validator.name.as_ref().unwrap_or(id));
            }
            if let Some(said) = &method.integration {
                one[INTEGRATION] = integration(resource, said);
            }
        }
        one
    }

    fn parameters(&self, method: &Method) -> Vec<Value> {
        let mut all = Vec::new();
        for (key, must) in &method.parameters {
            let Some((place, name)) = key.strip_prefix("method.request.").and_then(|rest| rest.split_once('.')) else {
                continue;
            };
            let place = if place == "querystring" { "query" } else { place };
            let mut one = json!({"name": name, "in": place, "required": must});
            match self.form.old {
                true => one["type"] = json!("string"),
                false => one["schema"] = json!({"type": "string"}),
            }
            all.push(one);
        }
        // Swagger 2.0 has one body for all types.
        if let Some(model) = method.models.values().next().filter(|_| self.form.old) {
            all.push(json!({"in": "body", "name": model, "required": true, "schema": self.reference(model)}));
        }
        all
    }

    fn response(&self, status: &str, said: &MethodResponse) -> Value {
        let mut one = json!({"description": format!("{status} response")});
        let kind = if self.form.old { json!({"type": "string"}) } else { json!({"schema": {"type": "string"}}) };
        let names = said.parameters.iter().flat_map(BTreeMap::keys);
        let names = names.filter_map(|key| key.strip_prefix("method.response.header."));
        let headers: Map<String, Value> = names.map(|name| (name.to_owned(), kind.clone())).collect();
        if !headers.is_empty() {
            one["headers"] = Value::Object(headers);
        }
        if self.form.old {
            if let Some(model) = said.models.iter().flat_map(BTreeMap::values).next() {
                one["schema"] = self.reference(model);
            }
        } else {
            let content = said.models.iter().flatten();
            let content = content.map(|(of, model)| (of.clone(), json!({"schema": self.reference(model)})));
            one["content"] = Value::Object(content.collect());
        }
        one
    }

    /// What is said of the API as a whole.
    fn settings(&self, api: &Api, whole: &mut Value) {
        if !self.state.responses.is_empty() {
            let one = self.state.responses.iter().map(|(of, said)| {
                let said = set(&[
                    ("statusCode", json!(said.status)),
                    ("responseParameters", full(said.parameters.is_empty(), json!(said.parameters))),
                    ("responseTemplates", full(said.templates.is_empty(), json!(said.templates))),
                ]);
                (of.clone(), said)
            });
            whole[RESPONSES] = Value::Object(one.collect());
        }
        if !self.state.validators.is_empty() {
            let one = self.state.validators.iter().map(|(id, said)| {
                let truths = json!({"validateRequestParameters": said.parameters, "validateRequestBody": said.body});
                (said.name.clone().unwrap_or_else(|| id.clone()), truths)
            });
            whole[VALIDATORS] = Value::Object(one.collect());
        }
        if !self.state.binary.is_empty() {
            whole[BINARY] = json!(self.state.binary);
        }
        if let Some(bytes) = self.state.compression {
            whole[COMPRESSION] = json!(bytes);
        }
        if api.key_source != "HEADER" {
            whole[KEY_SOURCE] = json!(api.key_source);
        }
        if self.state.endpoint_disabled {
            whole[super::ENDPOINT] = json!({"disableExecuteApiEndpoint": true});
        }
    }
}

fn integration(resource: &str, one: &Integration) -> Value {
    let responses = one.responses.iter().map(|(status, said)| {
        let pattern = said.pattern.as_deref().filter(|pattern| !pattern.is_empty()).unwrap_or("default");
        let said = set(&[
            ("statusCode", json!(status)),
            ("responseParameters", full(said.parameters.is_empty(), json!(said.parameters))),
            ("responseTemplates", full(said.templates.is_empty(), json!(said.templates))),
        ]);
        (pattern.to_owned(), said)
    });
    let namespace = full(one.cache_namespace == resource, json!(one.cache_namespace));
    let timeout = full(one.timeout_ms == *limits::TIMEOUT_MS.end(), json!(one.timeout_ms));
    set(&[
        ("type", json!(one.kind.as_str().to_ascii_lowercase())),
        ("httpMethod", json!(one.method)),
        ("uri", json!(one.uri)),
        ("credentials", json!(one.credentials)),
        ("connectionType", json!(one.connection_type)),
        ("responses", full(one.responses.is_empty(), Value::Object(responses.collect()))),
        ("requestParameters", full(one.parameters.is_empty(), json!(one.parameters))),
        ("requestTemplates", full(one.templates.is_empty(), json!(one.templates))),
        ("passthroughBehavior", json!(one.passthrough.to_ascii_lowercase())),
        ("timeoutInMillis", timeout),
        ("contentHandling", json!(one.handling)),
        ("cacheNamespace", namespace),
    ])
}

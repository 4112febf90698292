//! Reads the methods of definitions.

use std::collections::BTreeMap;

use base::Fault;
use serde_json::Value;

use super::read::wrong;
use super::{AUTH, AUTHTYPE, Definition, INTEGRATION, VALIDATOR, map, members, text, texts};
use crate::rest::rules::integration;
use crate::rest::types::{Integration, IntegrationResponse, Kind, Method, MethodResponse};
use crate::rest::{faults, limits};
use crate::types::Authorization;

/// A definition that is being read.
pub(super) struct Reader<'a> {
    pub(super) operation: &'a str,
    pub(super) whole: &'a Value,
    // It is Swagger 2.0.
    pub(super) old: bool,
    pub(super) schemes: &'a Value,
    pub(super) read: &'a mut Definition,
}

/// How often a reference may lead to another.
const STEPS: usize = 8;

impl<'a> Reader<'a> {
    /// What a value refers to, in the definition itself.
    fn followed(&self, mut value: &'a Value) -> &'a Value {
        for _ in 0..STEPS {
            let to = text(value, "$ref").and_then(|to| to.strip_prefix('#'));
            match to.and_then(|to| self.whole.pointer(to)) {
                Some(found) => value = found,
                None => break,
            }
        }
        value
    }

    /// The method `verb` of a path's item.
    pub(super) fn method(&mut self, path: &str, verb: &str, item: &'a Value, said: &'a Value) -> Result<Method, Fault> {
        let at = format!("method '{verb}' on resource at path '{path}'");
        let (authorization, authorizer) = self.secured(&at, said)?;
        let validator = text(said, VALIDATOR).or_else(|| text(self.whole, VALIDATOR));
        if let Some(validator) = validator.filter(|name| !self.read.validators.contains_key(*name)) {
            return Err(wrong(format_args!(
                "Unable to put {at}: Invalid Request Validator identifier specified: {validator}"
            )));
        }
        let mut method = Method {
            authorization,
            authorizer,
            validator: validator.map(str::to_owned),
            operation_name: text(said, "operationId").map(str::to_owned),
            ..Method::default()
        };
        let lists = [item.get("parameters"), said.get("parameters")];
        for one in lists.into_iter().flatten().filter_map(Value::as_array).flatten() {
            self.parameter(&at, &mut method, said, self.followed(one))?;
        }
        for (of, content) in members(&self.followed(&said["requestBody"])["content"]) {
            if let Some(schema) = content.get("schema") {
                method.models.insert(of.clone(), self.model(schema));
            }
        }
        for (status, response) in members(&said["responses"]) {
            let fits = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
            if fits {
                method.responses.insert(status.clone(), self.response(said, self.followed(response)));
            }
        }
        if let Some(integration) = said.get(INTEGRATION) {
            method.integration = Some(self.integration(&at, integration)?);
        }
        Ok(method)
    }

    fn parameter(&mut self, at: &str, method: &mut Method, said: &'a Value, one: &'a Value) -> Result<(), Fault> {
        let name = text(one, "name").unwrap_or_default();
        let place = match text(one, "in") {
            Some("query") => "querystring",
            Some(place @ ("header" | "path")) => place,
            Some("body") => {
                let types = self.types(said, "consumes");
                if let Some(schema) = one.get("schema") {
                    let model = self.model(schema);
                    method.models.extend(types.into_iter().map(|of| (of, model.clone())));
                }
                return Ok(());
            }
            Some(place @ ("formData" | "cookie")) => {
                self.read.warnings.push(format!("Parameter '{name}' in {place} of {at} is not supported"));
                return Ok(());
            }
            _ => {
                return Err(wrong(format_args!("Unable to put {at}: parameter '{name}' is in no place that there is")));
            }
        };
        let must = one["required"].as_bool().unwrap_or_default();
        method.parameters.insert(format!("method.request.{place}.{name}"), must);
        Ok(())
    }

    /// The content types of an operation's requests or answers, in Swagger 2.0.
    fn types(&self, said: &Value, name: &str) -> Vec<String> {
        let own = said.get(name).or_else(|| self.whole.get(name)).map(texts).unwrap_or_default();
        if own.is_empty() { vec!["application/json".to_owned()] } else { own }
    }

    fn response(&mut self, said: &'a Value, one: &'a Value) -> MethodResponse {
        let headers = members(&one["headers"]);
        let parameters: BTreeMap<String, bool> =
            headers.map(|(name, _)| (format!("method.response.header.{name}"), false)).collect();
        let mut models = BTreeMap::new();
        if self.old {
            if let Some(schema) = one.get("schema") {
                let model = self.model(schema);
                models.extend(self.types(said, "produces").into_iter().map(|of| (of, model.clone())));
            }
        } else {
            for (of, content) in members(&one["content"]) {
                if let Some(schema) = content.get("schema") {
                    models.insert(of.clone(), self.model(schema));
                }
            }
        }
        let some = |empty: bool| (!empty).then_some(());
        MethodResponse {
            parameters: some(parameters.is_empty()).map(|()| parameters),
            models: some(models.is_empty()).map(|()| models),
        }
    }

    /// The name of the model that a schema refers to; one that stands there becomes a model of its own.
    fn model(&mut self, schema: &Value) -> String {
        let prefix = if self.old { "#/definitions/" } else { "#/components/schemas/" };
        if let Some(name) = text(schema, "$ref").and_then(|to| to.strip_prefix(prefix)) {
            return name.to_owned();
        }
        let name = format!("MODEL{:08x}", fingerprint(&schema.to_string()));
        self.read.models.insert(name.clone(), (None, schema.clone()));
        name
    }

    /// Who may use a method: whoever the operation names, else the definition.
    fn secured(&self, at: &str, said: &Value) -> Result<(Authorization, Option<String>), Fault> {
        if let Some(kind) = text(&said[AUTH], "type") {
            let iam = kind.eq_ignore_ascii_case("AWS_IAM");
            return Ok((if iam { Authorization::Iam } else { Authorization::None }, None));
        }
        let all = said.get("security").or_else(|| self.whole.get("security")).and_then(Value::as_array);
        let mut found = (Authorization::None, None);
        for (name, scopes) in all.into_iter().flatten().flat_map(members) {
            let scheme = self
                .schemes
                .get(name)
                .ok_or_else(|| wrong(format_args!("Unable to put {at}: the security scheme {name} is not defined")))?;
            if self.read.authorizers.contains_key(name) {
                if !texts(scopes).is_empty() {
                    return Err(faults::absent(self.operation, "authorizationScopes"));
                }
                found = (Authorization::Custom, Some(name.clone()));
            } else if text(scheme, AUTHTYPE).is_some_and(|kind| kind.eq_ignore_ascii_case("awsSigv4")) {
                found = (Authorization::Iam, None);
            } else if text(scheme, "name").is_some_and(|name| name.eq_ignore_ascii_case("x-api-key")) {
                return Err(faults::absent(self.operation, "apiKeyRequired"));
            }
            // Others are for people to read, as on AWS.
        }
        Ok(found)
    }

    fn integration(&self, at: &str, said: &'a Value) -> Result<Integration, Fault> {
        let said = self.followed(said);
        let kind = text(said, "type").unwrap_or_default().to_ascii_uppercase();
        let kind = integration::kind(self.operation, &kind)?;
        let upper = |name: &str| text(said, name).map(str::to_uppercase);
        let handling = upper("contentHandling");
        let connection = upper("connectionType");
        let tls = said["tlsConfig"]["insecureSkipVerification"].as_bool() == Some(true);
        let refused = [
            ("connectionId", said.get("connectionId").is_some()),
            ("connectionType VPC_LINK", connection.as_deref() == Some("VPC_LINK")),
            ("cacheKeyParameters", !texts(&said["cacheKeyParameters"]).is_empty()),
            ("tlsConfig", tls),
            ("responseTransferMode STREAM", upper("responseTransferMode").as_deref() == Some("STREAM")),
        ];
        for (name, given) in refused {
            if given {
                return Err(faults::absent(self.operation, format_args!("{INTEGRATION}.{name}")));
            }
        }
        let mut responses = BTreeMap::new();
        for (pattern, one) in members(&said["responses"]) {
            let status = match &one["statusCode"] {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => {
                    return Err(wrong(format_args!(
                        "Unable to put integration response on {at}: statusCode is missing"
                    )));
                }
            };
            if one.get("contentHandling").is_some() {
                return Err(faults::absent(self.operation, format_args!("{INTEGRATION}.responses.contentHandling")));
            }
            let made = IntegrationResponse {
                pattern: Some(pattern.clone()).filter(|pattern| pattern != "default"),
                parameters: map(&one["responseParameters"]),
                templates: map(&one["responseTemplates"]),
            };
            responses.insert(status, made);
        }
        Ok(Integration {
            kind,
            method: upper("httpMethod").map(|verb| if verb.ends_with("ANY-METHOD") { "ANY".into() } else { verb }),
            uri: text(said, "uri").filter(|_| kind != Kind::Mock).map(str::to_owned),
            connection_type: connection,
            handling,
            credentials: text(said, "credentials").map(str::to_owned),
            parameters: map(&said["requestParameters"]),
            templates: map(&said["requestTemplates"]),
            passthrough: upper("passthroughBehavior").unwrap_or_else(|| "WHEN_NO_MATCH".into()),
            timeout_ms: said["timeoutInMillis"].as_i64().unwrap_or(*limits::TIMEOUT_MS.end()),
            // Else it is the resource's.
            cache_namespace: text(said, "cacheNamespace").unwrap_or_default().to_owned(),
            responses,
        })
    }
}

/// FNV-1a: the same schema always has the same name.
fn fingerprint(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

//! ImportRestApi, PutRestApi, GetExport: APIs as OpenAPI definitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::Fault;
use bytes::Bytes;
use door::{Answer, Body, Context, Handle};
use model::apigateway::{self as aws, ops};

use super::{apis, authorizers, gateway_responses, integration_responses, methods, models};
use crate::rest::engine::{Draft, Missing, RESOURCE};
use crate::rest::rules::models as schemas;
use crate::rest::rules::openapi::{self, Asked, Definition, Form};
use crate::rest::rules::{integration, mapping, resources, responses};
use crate::rest::types::{Api, Method, Model, Resource};
use crate::rest::{RestApis, faults, limits, state};
use crate::rules::{check, document};
use crate::serve::endpoint;

/// What else a definition is to be read by, from the query.
#[derive(Debug, Default)]
struct Parameters {
    basepath: Option<String>,
    endpoint_type: Option<String>,
}

fn parameters(operation: &str, given: Option<BTreeMap<String, String>>) -> Result<Parameters, Fault> {
    let mut read = Parameters::default();
    for (name, value) in given.unwrap_or_default() {
        match (name.as_str(), value.as_str()) {
            // These are members of their own, and parts of documentation are never imported.
            ("mode" | "failonwarnings", _) | ("ignore", "documentation") => {}
            ("basepath", _) => read.basepath = Some(value),
            ("endpointConfigurationTypes", "EDGE" | "REGIONAL") => read.endpoint_type = Some(value),
            ("endpointConfigurationTypes", "PRIVATE") => {
                return Err(faults::absent(operation, "parameters endpointConfigurationTypes PRIVATE"));
            }
            ("endpointConfigurationTypes", _) => {
                return Err(faults::bad("Invalid EndpointTypes specified. Valid options are REGIONAL,EDGE,PRIVATE"));
            }
            _ => return Err(faults::absent(operation, format_args!("parameters {name}={value}"))),
        }
    }
    Ok(read)
}

/// Reads a definition; with warnings only if they do not matter.
fn definition(
    operation: &'static str,
    body: Option<Bytes>,
    parameters: &Parameters,
    fail_on_warnings: Option<bool>,
) -> Result<Definition, Fault> {
    let asked = Asked { operation, basepath: parameters.basepath.as_deref() };
    let mut read = openapi::read(&body.unwrap_or_default(), asked)?;
    if fail_on_warnings == Some(true) && !read.warnings.is_empty() {
        return Err(faults::bad(format!("Warnings found during import:\n\t{}", read.warnings.join("\n\t"))));
    }
    apis::name(&read.title)?;
    check::length("description", read.description.as_deref(), 0, 1024)?;
    check::length("version", read.version.as_deref(), 0, 64)?;
    if read.key_source.as_deref().is_some_and(|source| !["HEADER", "AUTHORIZER"].contains(&source)) {
        return Err(faults::bad("Invalid ApiKeySource specified. Valid options are HEADER,AUTHORIZER"));
    }
    if let Some(kind) = &parameters.endpoint_type {
        read.endpoint_type = Some(kind.clone());
    }
    Ok(read)
}

/// As AWS says what of a definition cannot be; what is not here is said as everywhere.
fn within(at: impl std::fmt::Display) -> impl Fn(Fault) -> Fault {
    move |fault| match fault.status {
        501 => fault,
        _ => faults::bad(format!("Errors found during import:\n\tUnable to {at}: {}", fault.message)),
    }
}

/// Makes an API what a definition says: nothing else, or together with what it was.
fn become_what(operation: &str, draft: &mut Draft<'_>, read: &Definition, overwrite: bool) -> Result<(), Fault> {
    // A path that was there keeps its id.
    let before: BTreeMap<String, String> = match overwrite {
        true => {
            let all = &draft.api.resources;
            let ids = all.keys().map(|id| (resources::path(all, id), id.clone())).collect();
            let root = draft.api.root.clone();
            draft.api.resources = BTreeMap::from([(root, Resource::default())]);
            draft.api.authorizers.clear();
            draft.api.validators.clear();
            draft.api.models.clear();
            draft.api.responses.clear();
            draft.api.binary.clear();
            ids
        }
        false => BTreeMap::new(),
    };
    let api = &mut draft.api;
    api.name.clone_from(&read.title);
    if overwrite || read.description.is_some() {
        api.description.clone_from(&read.description);
    }
    if overwrite || read.version.is_some() {
        api.version.clone_from(&read.version);
    }
    if overwrite || read.compression.is_some() {
        api.compression = read.compression.map(apis::compression).transpose()?;
    }
    for one in read.binary.iter().flatten() {
        apis::binary(&mut api.binary, one);
    }
    if let Some(source) = &read.key_source {
        api.key_source.clone_from(source);
    }
    if let Some(kind) = &read.endpoint_type {
        api.endpoint_type.clone_from(kind);
    }
    api.endpoint_disabled = read.endpoint_disabled.unwrap_or(api.endpoint_disabled);
    for (of, one) in &read.responses {
        if !responses::TYPES.iter().any(|(name, _)| name == of) {
            return Err(within("put gateway response")(faults::bad(format!("Invalid gateway response type: {of}"))));
        }
        gateway_responses::check(operation, one).map_err(within(format_args!("put gateway response '{of}'")))?;
        draft.api.responses.insert(of.clone(), responses::filled(of, one.clone()));
    }
    put_models(draft, read)?;
    let known = put_judges(operation, draft, read)?;
    for (path, methods) in &read.paths {
        let id = resource(draft, &before, path)?;
        for (verb, method) in methods {
            put_method(operation, draft, (path, &id, verb), method, &known)?;
        }
    }
    Ok(())
}

/// Models refer to each other, so all are there before any is looked at.
fn put_models(draft: &mut Draft<'_>, read: &Definition) -> Result<(), Fault> {
    let api = draft.api.id.clone();
    let other = |reference: &str| {
        let local = ["#/definitions/", "#/components/schemas/"];
        let name = local.iter().find_map(|prefix| reference.strip_prefix(prefix))?;
        Some(schemas::reference(&api, name))
    };
    for (name, (description, schema)) in &read.models {
        schemas::check_name(name).map_err(within(format_args!("create model for '{name}'")))?;
        let mut schema = schema.clone();
        schemas::rewrite(&mut schema, &other);
        let schema = serde_json::to_string_pretty(&schema).map_err(|error| Fault::internal(error.to_string()))?;
        let id = match draft.api.models.get(name) {
            Some(known) => known.id.clone(),
            None => {
                models::room(&draft.api)?;
                draft.id(RESOURCE)
            }
        };
        let one = Model { id, description: description.clone(), schema, content_type: "application/json".into() };
        draft.api.models.insert(name.clone(), one);
    }
    let told = |name: &str, fault| within(format_args!("create model for '{name}'"))(fault);
    schemas::check(&api, &draft.api.models, read.models.keys().cloned(), told)
}

/// The ids of authorizers and validators, by their names.
struct Ids {
    authorizers: BTreeMap<String, String>,
    validators: BTreeMap<String, String>,
}

fn put_judges(operation: &str, draft: &mut Draft<'_>, read: &Definition) -> Result<Ids, Fault> {
    let mut ids = Ids { authorizers: BTreeMap::new(), validators: BTreeMap::new() };
    for (name, one) in &read.authorizers {
        authorizers::whole(operation, one).map_err(within(format_args!("create authorizer '{name}'")))?;
        let known = draft.api.authorizers.iter().find(|(_, other)| other.name == *name).map(|(id, _)| id.clone());
        if known.is_none() && draft.api.authorizers.len() >= crate::limits::AUTHORIZERS {
            return Err(faults::too_many("authorizers", crate::limits::AUTHORIZERS));
        }
        let id = known.unwrap_or_else(|| draft.id(RESOURCE));
        draft.api.authorizers.insert(id.clone(), one.clone());
        ids.authorizers.insert(name.clone(), id);
    }
    for (name, one) in &read.validators {
        let known = draft.api.validators.iter().find(|(_, other)| other.name.as_ref() == Some(name));
        let known = known.map(|(id, _)| id.clone());
        if known.is_none() && draft.api.validators.len() >= crate::limits::AUTHORIZERS {
            return Err(faults::too_many("request validators", crate::limits::AUTHORIZERS));
        }
        let id = known.unwrap_or_else(|| draft.id(RESOURCE));
        draft.api.validators.insert(id.clone(), one.clone());
        ids.validators.insert(name.clone(), id);
    }
    Ok(ids)
}

/// The resource of a path, made with those above it where they are not there yet.
fn resource(draft: &mut Draft<'_>, before: &BTreeMap<String, String>, path: &str) -> Result<String, Fault> {
    let (mut at, mut way) = (draft.api.root.clone(), String::new());
    for part in path.split('/').filter(|part| !part.is_empty()) {
        way = format!("{way}/{part}");
        let all = &draft.api.resources;
        let found = all.iter().find(|(_, one)| one.parent.as_ref() == Some(&at) && one.part == part);
        if let Some((id, _)) = found {
            at.clone_from(id);
            continue;
        }
        if all.len() >= limits::RESOURCES {
            return Err(faults::too_many("resources", limits::RESOURCES));
        }
        resources::check(all, &at, part, None).map_err(within(format_args!("create resource at path '{way}'")))?;
        let id = before.get(&way).cloned().unwrap_or_else(|| draft.id(RESOURCE));
        let one = Resource { parent: Some(at), part: part.to_owned(), ..Resource::default() };
        draft.api.resources.insert(id.clone(), one);
        at = id;
    }
    Ok(at)
}

/// Puts a method; one that was there before goes with all it had.
fn put_method(
    operation: &str,
    draft: &mut Draft<'_>,
    (path, id, verb): (&str, &str, &str),
    method: &Method,
    ids: &Ids,
) -> Result<(), Fault> {
    let wrap = within(format!("put method '{verb}' on resource at path '{path}'"));
    let mut made = method.clone();
    made.authorizer = method.authorizer.as_ref().and_then(|name| ids.authorizers.get(name)).cloned();
    made.validator = method.validator.as_ref().and_then(|name| ids.validators.get(name)).cloned();
    mapping::method_parameters(&made.parameters).map_err(&wrap)?;
    methods::models(&draft.api.models, made.models.values()).map_err(&wrap)?;
    for response in made.responses.values() {
        super::method_responses::check(&draft.api.models, response).map_err(&wrap)?;
    }
    if let Some(one) = &mut made.integration {
        if one.cache_namespace.is_empty() {
            id.clone_into(&mut one.cache_namespace);
        }
        integration::check(operation, one, &made.parameters)
            .map_err(within(format!("put integration on '{verb}' for resource at path '{path}'")))?;
    }
    let integration = made.integration.clone().unwrap_or_default();
    for (status, response) in &integration.responses {
        integration_responses::check(operation, &made, status, response)
            .map_err(within(format!("put integration response on '{verb}' for resource at path '{path}'")))?;
    }
    let resource = draft.api.resources.get_mut(id).ok_or_else(faults::no_resource)?;
    resource.methods.insert(verb.to_owned(), made);
    Ok(())
}

fn shown(api: &Api, warnings: Vec<String>) -> aws::RestApi {
    aws::RestApi { warnings: (!warnings.is_empty()).then_some(warnings), ..api.show() }
}

impl Handle<ops::ImportRestApi> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::ImportRestApiRequest,
        _: Body,
    ) -> Result<Answer<aws::RestApi>, Fault> {
        let parameters = parameters("ImportRestApi", input.parameters)?;
        let read = definition("ImportRestApi", input.body, &parameters, input.fail_on_warnings)?;
        let api = self.fresh(context.account, &context.region)?;
        let warnings = read.warnings.clone();
        // What an API has from its beginning, one that is imported has not.
        let made = self.make(api, move |draft| become_what("ImportRestApi", draft, &read, true)).await?;
        Ok(shown(&made.api, warnings).into())
    }
}

impl Handle<ops::PutRestApi> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::PutRestApiRequest,
        _: Body,
    ) -> Result<Answer<aws::RestApi>, Fault> {
        self.api(context.account, &context.region, input.rest_api_id.as_deref())?;
        let overwrite = input.mode.as_deref() == Some("overwrite");
        let parameters = parameters("PutRestApi", input.parameters)?;
        let read = definition("PutRestApi", input.body, &parameters, input.fail_on_warnings)?;
        let warnings = read.warnings.clone();
        let put = move |draft: &mut Draft<'_>| {
            become_what("PutRestApi", draft, &read, overwrite)?;
            Ok(draft.api.clone())
        };
        let at = (context.account, &context.region);
        let api = self.change(at, input.rest_api_id.as_deref(), Missing::Api, put).await?;
        Ok(shown(&api, warnings).into())
    }
}

/// What an export is to have, by `parameters`.
fn form(kind: &str, given: Option<BTreeMap<String, String>>) -> Result<Form, Fault> {
    let old = match kind {
        "swagger" => true,
        "oas30" => false,
        _ => return Err(faults::bad("Invalid export type specified. Must be one of [oas30, swagger]")),
    };
    let mut form = Form { old, ..Form::default() };
    for (name, value) in given.unwrap_or_default() {
        if name != "extensions" {
            return Err(faults::absent("GetExport", format_args!("parameters {name}")));
        }
        for extension in value.split(',').map(str::trim).filter(|one| !one.is_empty()) {
            match extension {
                "integrations" => form.integrations = true,
                "authorizers" => form.authorizers = true,
                "apigateway" => (form.integrations, form.authorizers) = (true, true),
                "none" => {}
                other => return Err(faults::absent("GetExport", format_args!("parameters extensions={other}"))),
            }
        }
    }
    Ok(form)
}

impl Handle<ops::GetExport> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetExportRequest,
        _: Body,
    ) -> Result<Answer<aws::ExportResponse>, Fault> {
        let live = self.api(context.account, &context.region, input.rest_api_id.as_deref())?;
        let name = input.stage_name.unwrap_or_default();
        let stage = live.api.stages.get(&name).ok_or_else(faults::no_stage)?;
        let kind = input.export_type.unwrap_or_default();
        let form = form(&kind, input.parameters)?;
        let yaml = match input.accepts.as_deref() {
            None | Some("application/json" | "*/*" | "") => false,
            Some("application/yaml") => true,
            Some(_) => {
                return Err(faults::bad("Invalid Accept header. Must be one of [application/json, application/yaml]"));
            }
        };
        let frozen = state::find_frozen(self.kv(), &live.api.id, &stage.deployment)?.unwrap_or_default();
        let authority = context.host.as_deref().unwrap_or(&self.options().authority);
        let address = endpoint(self.options().scheme, &live.api.id, &live.api.region, authority);
        let whole = openapi::write(&live.api, &frozen, &address, &name, form);
        let text = match yaml {
            true => document::yaml(&whole),
            false => serde_json::to_string_pretty(&whole).map_err(|error| Fault::internal(error.to_string()))?,
        };
        let version: String = openapi::version(&live.api)
            .chars()
            .map(|letter| if letter.is_ascii_graphic() && letter != '"' { letter } else { '_' })
            .collect();
        let ending = if yaml { "yaml" } else { "json" };
        Ok(aws::ExportResponse {
            content_type: Some("application/octet-stream".into()),
            content_disposition: Some(format!("attachment; filename=\"{kind}_{version}.{ending}\"")),
            body: Some(Bytes::from(text)),
        }
        .into())
    }
}

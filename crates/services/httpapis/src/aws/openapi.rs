//! ImportApi, ReimportApi, ExportApi: APIs as OpenAPI definitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::Fault;
use bytes::Bytes;
use door::{Answer, Body, Context, Handle};
use model::apigatewayv2::{self as aws, ops};

use super::{authorizers, integrations};
use crate::engine::Draft;
use crate::rules::openapi::{self, Definition};
use crate::rules::{self, check, document, ids};
use crate::serve::endpoint;
use crate::types::{Api, Route};
use crate::{HttpApis, faults, limits, state};

/// Reads a definition; with warnings only if they do not matter.
fn definition(
    context: &Context,
    body: Option<String>,
    basepath: Option<&str>,
    fail_on_warnings: Option<bool>,
) -> Result<Definition, Fault> {
    let body = body.unwrap_or_default();
    let read = openapi::read(&body, basepath, context.region.as_str(), context.account.as_str())?;
    if fail_on_warnings == Some(true) && !read.warnings.is_empty() {
        return Err(faults::bad(format!("Warnings found during import:\n\t{}", read.warnings.join("\n\t"))));
    }
    check::length("name", Some(&read.title), 1, 128)?;
    check::length("description", read.description.as_deref(), 0, 1024)?;
    check::length("version", read.version.as_deref(), 1, 64)?;
    for one in read.authorizers.values() {
        authorizers::check_whole(one)?;
    }
    for integration in read.routes.iter().filter_map(|route| route.integration.as_ref()) {
        integrations::check_whole(integration)?;
    }
    rules::route_key::check_all(read.routes.iter().map(|route| route.key.as_str()))?;
    Ok(read)
}

/// Makes an API what a definition says: its routes, integrations and authorizers are those of the definition and no others.
fn become_what(draft: &mut Draft<'_>, read: &Definition) -> Result<(), Fault> {
    if read.routes.len() > limits::ROUTES {
        return Err(faults::too_many("routes", limits::ROUTES));
    }
    if read.authorizers.len() > limits::AUTHORIZERS {
        return Err(faults::too_many("authorizers", limits::AUTHORIZERS));
    }
    draft.api.routes.clear();
    draft.api.integrations.clear();
    draft.api.authorizers.clear();
    draft.api.name.clone_from(&read.title);
    draft.api.description.clone_from(&read.description);
    draft.api.version.clone_from(&read.version);
    draft.api.cors.clone_from(&read.cors);
    draft.api.endpoint_disabled = read.endpoint_disabled;
    let mut judges = BTreeMap::new();
    for (name, one) in &read.authorizers {
        let id = draft.id(ids::AUTHORIZER);
        draft.api.authorizers.insert(id.clone(), one.clone());
        judges.insert(name.clone(), id);
    }
    for operation in &read.routes {
        let integration = operation.integration.clone().map(|made| {
            let id = draft.id(ids::PART);
            draft.api.integrations.insert(id.clone(), made);
            id
        });
        let made = Route {
            key: operation.key.clone(),
            authorization: operation.authorization,
            authorizer: operation.authorizer.as_ref().and_then(|name| judges.get(name)).cloned(),
            scopes: operation.scopes.clone(),
            operation_name: operation.name.clone(),
            integration,
            managed: false,
        };
        let id = draft.id(ids::PART);
        draft.api.routes.insert(id, made);
    }
    draft.deploys();
    Ok(())
}

impl Handle<ops::ImportApi> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::ImportApiRequest,
        _: Body,
    ) -> Result<Answer<aws::ImportApiResponse>, Fault> {
        let read = definition(&context, input.body, input.basepath.as_deref(), input.fail_on_warnings)?;
        self.check_count(context.account, &context.region)?;
        let api = Api {
            id: ids::fresh(&*self.options.rng, ids::API),
            account: context.account.to_string(),
            region: context.region.to_string(),
            name: read.title.clone(),
            description: None,
            version: None,
            cors: None,
            endpoint_disabled: false,
            ip_address_type: "ipv4".into(),
            api_key_selection: rules::API_KEY_SELECTION.into(),
            tags: read.tags.clone(),
            created_ms: self.options.clocks.product().0,
            routes: BTreeMap::new(),
            integrations: BTreeMap::new(),
            authorizers: BTreeMap::new(),
            stages: BTreeMap::new(),
            deployments: BTreeMap::new(),
        };
        let (info, warnings) = (read.info.clone(), read.warnings.clone());
        let made = self.make(api, move |draft| become_what(draft, &read)).await?;
        let mut shown: aws::ImportApiResponse = self.show(&made.api, context.host.as_deref());
        shown.import_info = Some(info);
        shown.warnings = Some(warnings);
        Ok(shown.into())
    }
}

impl Handle<ops::ReimportApi> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::ReimportApiRequest,
        _: Body,
    ) -> Result<Answer<aws::ReimportApiResponse>, Fault> {
        self.api(context.account, &context.region, input.api_id.as_deref())?;
        let read = definition(&context, input.body, input.basepath.as_deref(), input.fail_on_warnings)?;
        let (info, warnings) = (read.info.clone(), read.warnings.clone());
        let replace = move |draft: &mut Draft<'_>| {
            become_what(draft, &read)?;
            Ok(draft.api.clone())
        };
        let api = self.change(context.account, &context.region, input.api_id.as_deref(), replace).await?;
        let mut shown: aws::ReimportApiResponse = self.show(&api, context.host.as_deref());
        shown.import_info = Some(info);
        shown.warnings = Some(warnings);
        Ok(shown.into())
    }
}

impl Handle<ops::ExportApi> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::ExportApiRequest,
        _: Body,
    ) -> Result<Answer<aws::ExportApiResponse>, Fault> {
        let live = self.api(context.account, &context.region, input.api_id.as_deref())?;
        if input.specification.as_deref() != Some("OAS30") {
            return Err(faults::bad("Invalid specification specified. Must be OAS30"));
        }
        if !matches!(input.output_type.as_deref(), Some("JSON" | "YAML")) {
            return Err(faults::bad("Invalid outputType specified. Must be one of [JSON, YAML]"));
        }
        if input.export_version.as_deref().is_some_and(|version| version != "1.0") {
            return Err(faults::bad("Invalid exportVersion specified. Must be 1.0"));
        }
        let api = &live.api;
        let state = match &input.stage_name {
            None => api.freeze(),
            Some(name) => {
                let stage = api.stages.get(name).ok_or_else(|| faults::no_part("stage"))?;
                match &stage.deployment {
                    Some(_) if stage.auto_deploy => api.freeze(),
                    Some(id) => state::find_frozen(&*self.options.kv, &api.id, id)?.unwrap_or_default(),
                    None => return Err(faults::bad("The stage has no deployment that could be exported")),
                }
            }
        };
        let authority = context.host.as_deref().unwrap_or(&self.options.authority);
        let server = endpoint(self.options.scheme, &api.id, &api.region, authority);
        let stage = input.stage_name.as_deref().filter(|name| *name != "$default").unwrap_or_default();
        let whole = openapi::write(api, &state, &server, stage, input.include_extensions.unwrap_or(true));
        let text = match input.output_type.as_deref() {
            Some("YAML") => document::yaml(&whole),
            _ => serde_json::to_string_pretty(&whole).map_err(|error| Fault::internal(error.to_string()))?,
        };
        Ok(aws::ExportApiResponse { body: Some(Bytes::from(text)) }.into())
    }
}

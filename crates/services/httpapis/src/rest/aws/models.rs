//! Models: CreateModel, GetModel, GetModels, GetModelTemplate, UpdateModel, DeleteModel.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{Account, Fault, Region};
use door::{Answer, Body, Context, Handle};
use model::apigateway::{self as aws, ops};
use wire::Unit;

use super::page;
use crate::rest::engine::{Draft, Missing, RESOURCE};
use crate::rest::rules::patch::Patch;
use crate::rest::rules::{models, resources};
use crate::rest::serve::Live;
use crate::rest::types::{Api, Model};
use crate::rest::{RestApis, faults, limits};
use crate::rules::check;

/// Whether one model more fits.
pub(super) fn room(api: &Api) -> Result<(), Fault> {
    if api.models.len() >= limits::MODELS {
        return Err(faults::too_many("models", limits::MODELS));
    }
    Ok(())
}

fn check(api: &Api, name: &str) -> Result<(), Fault> {
    models::check(&api.id, &api.models, [name.to_owned()].into_iter(), |_, fault| fault)
}

impl Handle<ops::CreateModel> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::CreateModelRequest,
        _: Body,
    ) -> Result<Answer<aws::Model>, Fault> {
        self.api(context.account, &context.region, input.rest_api_id.as_deref())?;
        let name = input.name.unwrap_or_default();
        models::check_name(&name)?;
        check::length("description", input.description.as_deref(), 0, 1024)?;
        let (description, schema) = (input.description, input.schema.unwrap_or_default());
        let content_type = input.content_type.unwrap_or_default();
        let create = move |draft: &mut Draft<'_>| {
            if draft.api.models.contains_key(&name) {
                return Err(faults::conflict("Model name already exists for this REST API"));
            }
            room(&draft.api)?;
            let made = Model {
                id: draft.id(RESOURCE),
                description: description.clone(),
                schema: schema.clone(),
                content_type: content_type.clone(),
            };
            draft.api.models.insert(name.clone(), made.clone());
            check(&draft.api, &name)?;
            Ok(made.show(&name))
        };
        let at = (context.account, &context.region);
        Ok(self.change(at, input.rest_api_id.as_deref(), Missing::Api, create).await?.into())
    }
}

impl RestApis {
    /// The API of which a model is wanted; what AWS says if it is missing speaks of the model.
    fn of_model(
        &self,
        account: Account,
        region: &Region,
        id: Option<&str>,
        name: &str,
    ) -> Result<(Arc<Live>, Model), Fault> {
        let live = self.api(account, region, id);
        let live = live.map_err(|fault| if fault.status == 404 { faults::no_model(name) } else { fault })?;
        let one = live.api.models.get(name).ok_or_else(|| faults::no_model(name))?.clone();
        Ok((live, one))
    }
}

impl Handle<ops::GetModel> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetModelRequest,
        _: Body,
    ) -> Result<Answer<aws::Model>, Fault> {
        let name = input.model_name.unwrap_or_default();
        let (live, one) = self.of_model(context.account, &context.region, input.rest_api_id.as_deref(), &name)?;
        let mut shown = one.show(&name);
        if input.flatten == Some(true) {
            shown.schema = Some(models::flattened(&live.api.id, &live.api.models, &one.schema));
        }
        Ok(shown.into())
    }
}

impl Handle<ops::GetModels> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetModelsRequest,
        _: Body,
    ) -> Result<Answer<aws::Models>, Fault> {
        let live = self.api(context.account, &context.region, input.rest_api_id.as_deref())?;
        let page = page(input.limit, input.position.as_deref())?;
        let all = live.api.models.iter().map(|(name, one)| (name.clone(), one.show(name)));
        let (items, position) = page.cut(all);
        Ok(aws::Models { items: Some(items), position }.into())
    }
}

impl Handle<ops::GetModelTemplate> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetModelTemplateRequest,
        _: Body,
    ) -> Result<Answer<aws::Template>, Fault> {
        let name = input.model_name.unwrap_or_default();
        let (live, one) = self.of_model(context.account, &context.region, input.rest_api_id.as_deref(), &name)?;
        Ok(aws::Template { value: Some(models::template(&live.api.id, &live.api.models, &one)) }.into())
    }
}

impl Handle<ops::UpdateModel> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::UpdateModelRequest,
        _: Body,
    ) -> Result<Answer<aws::Model>, Fault> {
        let name = input.model_name.unwrap_or_default();
        let patches = Patch::all(input.patch_operations)?;
        self.of_model(context.account, &context.region, input.rest_api_id.as_deref(), &name)?;
        let update = move |draft: &mut Draft<'_>| {
            let mut one = draft.api.models.get(&name).ok_or_else(|| faults::no_model(&name))?.clone();
            for patch in &patches {
                let (path, op) = (&patch.path, &patch.op);
                if op != "replace" {
                    return Err(faults::bad(format!(
                        "Invalid patch path  '{path}' specified for op '{op}'. Please choose supported operations"
                    )));
                }
                match *patch.parts() {
                    ["description"] => one.description = patch.text()?,
                    ["schema"] => one.schema = patch.or_empty(),
                    _ => {
                        return Err(faults::bad(format!(
                            "Invalid patch path  '{path}' specified for op '{op}'. Must be one of: [/description, /schema]"
                        )));
                    }
                }
            }
            check::length("description", one.description.as_deref(), 0, 1024)?;
            draft.api.models.insert(name.clone(), one.clone());
            check(&draft.api, &name)?;
            Ok(one.show(&name))
        };
        let at = (context.account, &context.region);
        Ok(self.change(at, input.rest_api_id.as_deref(), Missing::Api, update).await?.into())
    }
}

/// What else of an API names a model.
fn user(api: &Api, name: &str) -> Option<String> {
    let schema = |one: &Model| serde_json::from_str(&one.schema).unwrap_or_default();
    let refers = |one: &Model| models::names(&api.id, &schema(one)).iter().any(|other| other == name);
    if let Some((other, _)) = api.models.iter().find(|(other, one)| *other != name && refers(one)) {
        return Some(format!("model: {other}"));
    }
    for (id, resource) in &api.resources {
        let path = resources::path(&api.resources, id);
        for (verb, method) in &resource.methods {
            if method.models.values().any(|other| other == name) {
                return Some(format!("method request: {path}/{verb}"));
            }
            let of = method
                .responses
                .iter()
                .find(|(_, one)| one.models.iter().flat_map(BTreeMap::values).any(|other| other == name));
            if let Some((status, _)) = of {
                return Some(format!("method response: {path}/{verb}/{status}"));
            }
        }
    }
    None
}

impl Handle<ops::DeleteModel> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteModelRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let name = input.model_name.unwrap_or_default();
        self.of_model(context.account, &context.region, input.rest_api_id.as_deref(), &name)?;
        let delete = move |draft: &mut Draft<'_>| {
            if let Some(user) = user(&draft.api, &name) {
                return Err(faults::conflict(format!("Cannot delete model '{name}', is referenced in {user}")));
            }
            draft.api.models.remove(&name).ok_or_else(|| faults::no_model(&name))?;
            Ok(())
        };
        let at = (context.account, &context.region);
        self.change(at, input.rest_api_id.as_deref(), Missing::Api, delete).await?;
        Ok(Unit.into())
    }
}

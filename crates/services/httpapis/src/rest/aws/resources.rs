//! Resources: CreateResource, GetResource, GetResources, UpdateResource, DeleteResource.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::apigateway::{self as aws, ops};
use wire::Unit;

use super::page;
use crate::rest::engine::{Draft, Missing, RESOURCE};
use crate::rest::rules::patch::Patch;
use crate::rest::rules::resources;
use crate::rest::types::Resource;
use crate::rest::{RestApis, faults, limits};

/// Whether methods are shown whole; nothing else is embedded.
fn embeds(embed: Option<&[String]>) -> Result<bool, Fault> {
    match embed.unwrap_or_default() {
        [] => Ok(false),
        all if all.iter().all(|one| one == "methods") => Ok(true),
        _ => Err(faults::bad("Invalid embed parameter specified. Must be one of: [methods]")),
    }
}

/// A resource of a draft as it is shown.
fn shown(draft: &Draft<'_>, id: &str) -> Result<aws::Resource, Fault> {
    draft.api.show_resource(id, false).ok_or_else(faults::no_resource)
}

impl Handle<ops::CreateResource> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::CreateResourceRequest,
        _: Body,
    ) -> Result<Answer<aws::Resource>, Fault> {
        let (parent, part) = (input.parent_id.unwrap_or_default(), input.path_part.unwrap_or_default());
        let create = move |draft: &mut Draft<'_>| {
            resources::check(&draft.api.resources, &parent, &part, None)?;
            if draft.api.resources.len() >= limits::RESOURCES {
                return Err(faults::too_many("resources", limits::RESOURCES));
            }
            let id = draft.id(RESOURCE);
            let one = Resource { parent: Some(parent.clone()), part: part.clone(), ..Resource::default() };
            draft.api.resources.insert(id.clone(), one);
            shown(draft, &id)
        };
        let at = (context.account, &context.region);
        Ok(self.change(at, input.rest_api_id.as_deref(), Missing::Api, create).await?.into())
    }
}

impl Handle<ops::GetResource> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetResourceRequest,
        _: Body,
    ) -> Result<Answer<aws::Resource>, Fault> {
        let embed = embeds(input.embed.as_deref())?;
        let live = self.of_resource(context.account, &context.region, input.rest_api_id.as_deref())?;
        let shown = live.api.show_resource(&input.resource_id.unwrap_or_default(), embed);
        Ok(shown.ok_or_else(faults::no_resource)?.into())
    }
}

impl Handle<ops::GetResources> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetResourcesRequest,
        _: Body,
    ) -> Result<Answer<aws::Resources>, Fault> {
        let embed = embeds(input.embed.as_deref())?;
        let live = self.api(context.account, &context.region, input.rest_api_id.as_deref())?;
        let page = page(input.limit, input.position.as_deref())?;
        let (ids, position) = page.cut(live.api.resources.keys().map(|id| (id.clone(), id.clone())));
        let items = ids.iter().filter_map(|id| live.api.show_resource(id, embed)).collect();
        Ok(aws::Resources { items: Some(items), position }.into())
    }
}

impl Handle<ops::UpdateResource> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::UpdateResourceRequest,
        _: Body,
    ) -> Result<Answer<aws::Resource>, Fault> {
        let patches = Patch::all(input.patch_operations)?;
        let id = input.resource_id.unwrap_or_default();
        let update = move |draft: &mut Draft<'_>| {
            draft.api.resource(&id)?;
            for patch in &patches {
                apply(draft, &id, patch)?;
            }
            shown(draft, &id)
        };
        let at = (context.account, &context.region);
        Ok(self.change(at, input.rest_api_id.as_deref(), Missing::Resource, update).await?.into())
    }
}

fn apply(draft: &mut Draft<'_>, id: &str, patch: &Patch) -> Result<(), Fault> {
    let (op, path) = (&patch.op, &patch.path);
    let wrong = |choice: &str| faults::bad(format!("Invalid patch path  '{path}' specified for op '{op}'. {choice}"));
    if op != "replace" {
        return Err(wrong("Please choose supported operations"));
    }
    if !["/parentId", "/pathPart"].contains(&&**path) {
        return Err(wrong("Must be one of: [/parentId, /pathPart]"));
    }
    let all = &draft.api.resources;
    let now = draft.api.resource(id)?;
    let Some(parent) = &now.parent else {
        return Err(faults::bad(format!("Root resource cannot update its {}.", &path[1..])));
    };
    let (parent, part) = match &**path {
        "/parentId" => (patch.or_empty(), now.part.clone()),
        _ => (parent.clone(), patch.or_empty()),
    };
    if resources::below(all, id).contains(&parent) {
        return Err(faults::bad("Resources cannot be cyclical."));
    }
    resources::check(all, &parent, &part, Some(id))?;
    if part.ends_with("+}") && resources::below(all, id).len() > 1 {
        return Err(faults::bad(format!("Cannot create a child of a resource with a greedy path variable: {part}")));
    }
    let one = draft.api.resource_mut(id)?;
    (one.parent, one.part) = (Some(parent), part);
    Ok(())
}

impl Handle<ops::DeleteResource> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteResourceRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let id = input.resource_id.unwrap_or_default();
        let delete = move |draft: &mut Draft<'_>| {
            if draft.api.resource(&id)?.parent.is_none() {
                return Err(faults::bad("Root resource cannot be deleted."));
            }
            for gone in resources::below(&draft.api.resources, &id) {
                draft.api.resources.remove(&gone);
            }
            Ok(())
        };
        let at = (context.account, &context.region);
        self.change(at, input.rest_api_id.as_deref(), Missing::Resource, delete).await?;
        Ok(Unit.into())
    }
}

//! What a method may answer: PutMethodResponse, GetMethodResponse, UpdateMethodResponse, DeleteMethodResponse.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::apigateway::{self as aws, ops};
use wire::Unit;

use super::{At, methods};
use crate::rest::engine::{Draft, Missing};
use crate::rest::rules::models::Models;
use crate::rest::rules::patch::{NO_CONTENT_TYPE, NO_PARAMETER, Patch};
use crate::rest::types::MethodResponse;
use crate::rest::{RestApis, faults};

pub(super) fn check(known: &Models, one: &MethodResponse) -> Result<(), Fault> {
    for key in one.parameters.iter().flat_map(BTreeMap::keys) {
        let name = key.strip_prefix("method.response.header.");
        if name.is_none_or(|name| name.parse::<http::HeaderName>().is_err()) {
            return Err(faults::unmapped(&format!("Invalid mapping expression specified: {key}")));
        }
    }
    methods::models(known, one.models.iter().flat_map(BTreeMap::values))
}

impl Handle<ops::PutMethodResponse> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::PutMethodResponseRequest,
        _: Body,
    ) -> Result<Answer<aws::MethodResponse>, Fault> {
        let at = At::method(input.resource_id, input.http_method).status(input.status_code);
        let made = MethodResponse { parameters: input.response_parameters, models: input.response_models };
        let put = move |draft: &mut Draft<'_>| {
            check(&draft.api.models, &made)?;
            let method = draft.api.method_mut(&at)?;
            if method.responses.contains_key(&at.status) {
                return Err(faults::conflict("Response already exists for this resource"));
            }
            method.responses.insert(at.status.clone(), made.clone());
            Ok(made.show(&at.status))
        };
        let at = (context.account, &context.region);
        Ok(self.change(at, input.rest_api_id.as_deref(), Missing::Resource, put).await?.into())
    }
}

impl Handle<ops::GetMethodResponse> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetMethodResponseRequest,
        _: Body,
    ) -> Result<Answer<aws::MethodResponse>, Fault> {
        let at = At::method(input.resource_id, input.http_method).status(input.status_code);
        let live = self.of_resource(context.account, &context.region, input.rest_api_id.as_deref())?;
        let one = live.api.method(&at)?.responses.get(&at.status).ok_or_else(faults::no_status)?;
        Ok(one.show(&at.status).into())
    }
}

impl Handle<ops::UpdateMethodResponse> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::UpdateMethodResponseRequest,
        _: Body,
    ) -> Result<Answer<aws::MethodResponse>, Fault> {
        let at = At::method(input.resource_id, input.http_method).status(input.status_code);
        let patches = Patch::all(input.patch_operations)?;
        let update = move |draft: &mut Draft<'_>| {
            let known = draft.api.models.clone();
            let responses = &mut draft.api.method_mut(&at)?.responses;
            let one = responses.get_mut(&at.status).ok_or_else(faults::no_status)?;
            for patch in &patches {
                match *patch.parts() {
                    ["responseParameters", name] => {
                        let map = one.parameters.get_or_insert_default();
                        patch.entry(map, name, patch.truth(), NO_PARAMETER)?;
                    }
                    ["responseModels", content_type] => {
                        let map = one.models.get_or_insert_default();
                        patch.entry(map, content_type, patch.or_empty(), NO_CONTENT_TYPE)?;
                    }
                    _ => return Err(patch.wrong_path()),
                }
            }
            one.parameters.take_if(|map| map.is_empty());
            one.models.take_if(|map| map.is_empty());
            check(&known, one)?;
            Ok(one.show(&at.status))
        };
        let at = (context.account, &context.region);
        Ok(self.change(at, input.rest_api_id.as_deref(), Missing::Resource, update).await?.into())
    }
}

impl Handle<ops::DeleteMethodResponse> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteMethodResponseRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let at = At::method(input.resource_id, input.http_method).status(input.status_code);
        let delete = move |draft: &mut Draft<'_>| {
            draft.api.method_mut(&at)?.responses.remove(&at.status).ok_or_else(faults::no_status)?;
            Ok(())
        };
        let at = (context.account, &context.region);
        self.change(at, input.rest_api_id.as_deref(), Missing::Resource, delete).await?;
        Ok(Unit.into())
    }
}

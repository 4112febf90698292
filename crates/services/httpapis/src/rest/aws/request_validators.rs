//! Request validators: CreateRequestValidator, GetRequestValidator, GetRequestValidators, UpdateRequestValidator,
//! DeleteRequestValidator.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::apigateway::{self as aws, ops};
use wire::Unit;

use super::page;
use crate::rest::engine::{Draft, Missing, RESOURCE};
use crate::rest::rules::patch::Patch;
use crate::rest::rules::resources;
use crate::rest::types::Validator;
use crate::rest::{RestApis, faults};
use crate::rules::check;

impl Handle<ops::CreateRequestValidator> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::CreateRequestValidatorRequest,
        _: Body,
    ) -> Result<Answer<aws::RequestValidator>, Fault> {
        check::length("name", input.name.as_deref(), 0, 128)?;
        let made = Validator {
            name: input.name,
            parameters: input.validate_request_parameters.unwrap_or_default(),
            body: input.validate_request_body.unwrap_or_default(),
        };
        let id = input.rest_api_id.as_deref();
        if let Err(fault) = self.api(context.account, &context.region, id) {
            // Here alone AWS says it so.
            let missing = fault.status == 404;
            return Err(if missing { faults::bad("Invalid REST API identifier specified") } else { fault });
        }
        let create = move |draft: &mut Draft<'_>| {
            if draft.api.validators.len() >= crate::limits::AUTHORIZERS {
                return Err(faults::too_many("request validators", crate::limits::AUTHORIZERS));
            }
            let id = draft.id(RESOURCE);
            draft.api.validators.insert(id.clone(), made.clone());
            Ok(made.show(&id))
        };
        Ok(self.change((context.account, &context.region), id, Missing::Api, create).await?.into())
    }
}

impl Handle<ops::GetRequestValidator> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetRequestValidatorRequest,
        _: Body,
    ) -> Result<Answer<aws::RequestValidator>, Fault> {
        let live = self.api(context.account, &context.region, input.rest_api_id.as_deref());
        let live = live.map_err(|fault| if fault.status == 404 { faults::no_validator() } else { fault })?;
        let id = input.request_validator_id.unwrap_or_default();
        Ok(live.api.validators.get(&id).ok_or_else(faults::no_validator)?.show(&id).into())
    }
}

impl Handle<ops::GetRequestValidators> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetRequestValidatorsRequest,
        _: Body,
    ) -> Result<Answer<aws::RequestValidators>, Fault> {
        let live = self.api(context.account, &context.region, input.rest_api_id.as_deref())?;
        let page = page(input.limit, input.position.as_deref())?;
        let all = live.api.validators.iter().map(|(id, one)| (id.clone(), one.show(id)));
        let (items, position) = page.cut(all);
        Ok(aws::RequestValidators { items: Some(items), position }.into())
    }
}

impl Handle<ops::UpdateRequestValidator> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::UpdateRequestValidatorRequest,
        _: Body,
    ) -> Result<Answer<aws::RequestValidator>, Fault> {
        let id = input.request_validator_id.unwrap_or_default();
        let patches = Patch::all(input.patch_operations)?;
        let update = move |draft: &mut Draft<'_>| {
            let one = draft.api.validators.get_mut(&id).ok_or_else(faults::no_validator)?;
            for patch in &patches {
                match *patch.parts() {
                    ["name"] => one.name.clone_from(&patch.value),
                    ["validateRequestParameters"] => one.parameters = patch.truth(),
                    ["validateRequestBody"] => one.body = patch.truth(),
                    _ => return Err(patch.wrong_path()),
                }
                patch.replaces()?;
            }
            Ok(one.show(&id))
        };
        let at = (context.account, &context.region);
        Ok(self.change(at, input.rest_api_id.as_deref(), Missing::Api, update).await?.into())
    }
}

impl Handle<ops::DeleteRequestValidator> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteRequestValidatorRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let id = input.request_validator_id.unwrap_or_default();
        let delete = move |draft: &mut Draft<'_>| {
            if !draft.api.validators.contains_key(&id) {
                return Err(faults::no_validator());
            }
            for (resource, of) in &draft.api.resources {
                let mut methods = of.methods.iter().filter(|(_, method)| method.validator.as_ref() == Some(&id));
                if let Some((method, _)) = methods.next() {
                    let path = resources::path(&draft.api.resources, resource);
                    return Err(faults::conflict(format!(
                        "Cannot delete request validator '{id}', is referenced in method: {path}/{method}"
                    )));
                }
            }
            draft.api.validators.remove(&id);
            Ok(())
        };
        let at = (context.account, &context.region);
        self.change(at, input.rest_api_id.as_deref(), Missing::Api, delete).await?;
        Ok(Unit.into())
    }
}

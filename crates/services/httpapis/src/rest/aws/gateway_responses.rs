//! What an API answers by itself: PutGatewayResponse, GetGatewayResponse, GetGatewayResponses, UpdateGatewayResponse,
//! DeleteGatewayResponse.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::apigateway::{self as aws, ops};
use wire::Unit;

use super::page;
use crate::rest::engine::{Draft, Missing};
use crate::rest::rules::patch::{NO_CONTENT_TYPE, NO_PARAMETER, Patch};
use crate::rest::rules::{mapping, responses};
use crate::rest::types::{Api, GatewayResponse};
use crate::rest::{RestApis, faults, limits};

/// A type's answer as it is shown.
fn shown(api: &Api, of: &str) -> aws::GatewayResponse {
    let (one, default) = responses::find(&api.responses, of);
    aws::GatewayResponse {
        response_type: Some(of.to_owned()),
        status_code: one.status,
        response_parameters: Some(one.parameters),
        response_templates: Some(one.templates),
        default_response: Some(default),
    }
}

pub(super) fn check(operation: &str, one: &GatewayResponse) -> Result<(), Fault> {
    if let Some((content_type, text)) = one.templates.iter().find(|(_, text)| text.len() > limits::TEMPLATE_BYTES) {
        return Err(faults::bad(format!(
            "responseTemplates of {content_type} has {} bytes; {} are the limit",
            text.len(),
            limits::TEMPLATE_BYTES
        )));
    }
    mapping::response_parameters(operation, "gatewayresponse.header.", &one.parameters, None)
}

impl Handle<ops::PutGatewayResponse> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::PutGatewayResponseRequest,
        _: Body,
    ) -> Result<Answer<aws::GatewayResponse>, Fault> {
        let of = input.response_type.unwrap_or_default();
        let given = GatewayResponse {
            status: input.status_code,
            parameters: input.response_parameters.unwrap_or_default(),
            templates: input.response_templates.unwrap_or_default(),
        };
        check("PutGatewayResponse", &given)?;
        let put = move |draft: &mut Draft<'_>| {
            draft.api.responses.insert(of.clone(), responses::filled(&of, given.clone()));
            Ok(shown(&draft.api, &of))
        };
        let at = (context.account, &context.region);
        Ok(self.change(at, input.rest_api_id.as_deref(), Missing::Api, put).await?.into())
    }
}

impl Handle<ops::GetGatewayResponse> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetGatewayResponseRequest,
        _: Body,
    ) -> Result<Answer<aws::GatewayResponse>, Fault> {
        let live = self.api(context.account, &context.region, input.rest_api_id.as_deref())?;
        Ok(shown(&live.api, &input.response_type.unwrap_or_default()).into())
    }
}

impl Handle<ops::GetGatewayResponses> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetGatewayResponsesRequest,
        _: Body,
    ) -> Result<Answer<aws::GatewayResponses>, Fault> {
        let live = self.api(context.account, &context.region, input.rest_api_id.as_deref())?;
        let page = page(input.limit, input.position.as_deref())?;
        let all = responses::TYPES.iter().map(|(of, _)| ((*of).to_owned(), shown(&live.api, of)));
        let (items, position) = page.cut(all);
        Ok(aws::GatewayResponses { items: Some(items), position }.into())
    }
}

impl Handle<ops::UpdateGatewayResponse> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::UpdateGatewayResponseRequest,
        _: Body,
    ) -> Result<Answer<aws::GatewayResponse>, Fault> {
        let of = input.response_type.unwrap_or_default();
        let patches = Patch::all(input.patch_operations)?;
        let update = move |draft: &mut Draft<'_>| {
            let own = draft.api.responses.get(&of).cloned();
            let mut one = own.unwrap_or_else(|| responses::filled(&of, GatewayResponse::default()));
            for patch in &patches {
                apply(&mut one, patch)?;
            }
            check("UpdateGatewayResponse", &one)?;
            draft.api.responses.insert(of.clone(), responses::filled(&of, one));
            Ok(shown(&draft.api, &of))
        };
        let at = (context.account, &context.region);
        Ok(self.change(at, input.rest_api_id.as_deref(), Missing::Api, update).await?.into())
    }
}

fn apply(one: &mut GatewayResponse, patch: &Patch) -> Result<(), Fault> {
    let (map, name, missing) = match *patch.parts() {
        ["statusCode"] if patch.op == "replace" => {
            let given = patch.or_empty();
            if !given.parse::<u16>().is_ok_and(|status| (100..=599).contains(&status)) {
                return Err(faults::bad(format!("Invalid status code specified: {given}")));
            }
            one.status = Some(given);
            return Ok(());
        }
        ["responseParameters", name] => (&mut one.parameters, name, NO_PARAMETER),
        ["responseTemplates", name] => (&mut one.templates, name, NO_CONTENT_TYPE),
        _ => return Err(patch.wrong_path()),
    };
    if patch.op != "remove" && patch.or_empty().is_empty() {
        let member = patch.parts().first().copied().unwrap_or_default().to_owned();
        return Err(faults::bad(format!("Invalid null or empty value in {member}")));
    }
    patch.entry(map, name, patch.or_empty(), missing)
}

impl Handle<ops::DeleteGatewayResponse> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteGatewayResponseRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let of = input.response_type.unwrap_or_default();
        let delete = move |draft: &mut Draft<'_>| {
            let gone = draft.api.responses.remove(&of);
            gone.ok_or_else(|| faults::not_found("Gateway response type not defined on api"))?;
            Ok(())
        };
        let at = (context.account, &context.region);
        self.change(at, input.rest_api_id.as_deref(), Missing::Api, delete).await?;
        Ok(Unit.into())
    }
}

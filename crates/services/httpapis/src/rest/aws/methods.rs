//! Methods: PutMethod, GetMethod, UpdateMethod, DeleteMethod.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::apigateway::{self as aws, ops};
use wire::Unit;

use super::At;
use crate::rest::engine::{Draft, Missing};
use crate::rest::rules::integration::{BAD_METHOD, METHODS};
use crate::rest::rules::mapping;
use crate::rest::rules::models::Models;
use crate::rest::rules::patch::{NO_CONTENT_TYPE, NO_PARAMETER, Patch};
use crate::rest::types::{Authorizer, Method, Validator};
use crate::rest::{RestApis, faults};
use crate::types::Authorization;

/// Whether the API has models of these names.
pub(super) fn models<'a>(known: &Models, mut names: impl Iterator<Item = &'a String>) -> Result<(), Fault> {
    match names.find(|name| !known.contains_key(*name)) {
        Some(name) => Err(faults::bad(format!("Invalid model identifier specified: {name}"))),
        None => Ok(()),
    }
}

fn authorization(named: &str) -> Result<Authorization, Fault> {
    match named {
        "NONE" => Ok(Authorization::None),
        "AWS_IAM" => Ok(Authorization::Iam),
        "CUSTOM" => Ok(Authorization::Custom),
        // There is no user pool that could be named.
        "COGNITO_USER_POOLS" => Err(no_authorizer()),
        _ => Err(faults::bad(
            "Invalid AuthorizationType specified. Valid options are NONE,AWS_IAM,CUSTOM,COGNITO_USER_POOLS",
        )),
    }
}

fn no_authorizer() -> Fault {
    faults::bad(
        "Invalid authorizer ID specified. Setting the authorization type to CUSTOM or COGNITO_USER_POOLS requires a valid authorizer.",
    )
}

/// Whether a method that is authorized by one names an authorizer of the API; what others name is not kept, as on AWS.
fn authorized(method: &mut Method, known: &BTreeMap<String, Authorizer>) -> Result<(), Fault> {
    if method.authorization != Authorization::Custom {
        method.authorizer = None;
    } else if !method.authorizer.as_ref().is_some_and(|id| known.contains_key(id)) {
        return Err(no_authorizer());
    }
    Ok(())
}

/// Whether the request validator that a method names is one of the API's.
fn validated(method: &Method, known: &BTreeMap<String, Validator>) -> Result<(), Fault> {
    match &method.validator {
        Some(id) if !known.contains_key(id) => Err(faults::bad("Invalid Request Validator identifier specified")),
        _ => Ok(()),
    }
}

impl Handle<ops::PutMethod> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::PutMethodRequest,
        _: Body,
    ) -> Result<Answer<aws::Method>, Fault> {
        let at = At::method(input.resource_id, input.http_method);
        let live = self.of_resource(context.account, &context.region, input.rest_api_id.as_deref())?;
        live.api.resource(&at.resource)?;
        if !METHODS.contains(&&*at.method) {
            return Err(faults::bad(BAD_METHOD));
        }
        let refused = [
            ("apiKeyRequired", input.api_key_required == Some(true)),
            ("authorizationScopes", input.authorization_scopes.is_some_and(|scopes| !scopes.is_empty())),
        ];
        faults::refuse("PutMethod", &refused)?;
        let mut made = Method {
            authorization: authorization(input.authorization_type.as_deref().unwrap_or_default())?,
            authorizer: input.authorizer_id,
            validator: input.request_validator_id.filter(|id| !id.is_empty()),
            operation_name: input.operation_name,
            parameters: input.request_parameters.unwrap_or_default(),
            models: input.request_models.unwrap_or_default(),
            responses: BTreeMap::new(),
            integration: None,
        };
        authorized(&mut made, &live.api.authorizers)?;
        mapping::method_parameters(&made.parameters)?;
        validated(&made, &live.api.validators)?;
        let put = move |draft: &mut Draft<'_>| {
            models(&draft.api.models, made.models.values())?;
            authorized(&mut made, &draft.api.authorizers)?;
            validated(&made, &draft.api.validators)?;
            let resource = draft.api.resource_mut(&at.resource)?;
            if resource.methods.contains_key(&at.method) {
                return Err(faults::conflict("Method already exists for this resource"));
            }
            resource.methods.insert(at.method.clone(), made.clone());
            Ok(made.show(&at.method))
        };
        let at = (context.account, &context.region);
        Ok(self.change(at, input.rest_api_id.as_deref(), Missing::Resource, put).await?.into())
    }
}

impl Handle<ops::GetMethod> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetMethodRequest,
        _: Body,
    ) -> Result<Answer<aws::Method>, Fault> {
        let at = At::method(input.resource_id, input.http_method);
        let live = self.of_resource(context.account, &context.region, input.rest_api_id.as_deref())?;
        Ok(live.api.method(&at)?.show(&at.method).into())
    }
}

impl Handle<ops::UpdateMethod> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::UpdateMethodRequest,
        _: Body,
    ) -> Result<Answer<aws::Method>, Fault> {
        let at = At::method(input.resource_id, input.http_method);
        let patches = Patch::all(input.patch_operations)?;
        let update = move |draft: &mut Draft<'_>| {
            let known = (draft.api.authorizers.clone(), draft.api.validators.clone(), draft.api.models.clone());
            let method = draft.api.method_mut(&at)?;
            for patch in &patches {
                apply(method, patch)?;
            }
            authorized(method, &known.0)?;
            validated(method, &known.1)?;
            mapping::method_parameters(&method.parameters)?;
            models(&known.2, method.models.values())?;
            Ok(method.show(&at.method))
        };
        let at = (context.account, &context.region);
        Ok(self.change(at, input.rest_api_id.as_deref(), Missing::Resource, update).await?.into())
    }
}

fn apply(method: &mut Method, patch: &Patch) -> Result<(), Fault> {
    match *patch.parts() {
        ["authorizationType"] => {
            patch.replaces()?;
            method.authorization = authorization(&patch.or_empty())?;
        }
        ["authorizerId"] => {
            patch.replaces()?;
            method.authorizer = patch.text()?;
        }
        ["apiKeyRequired"] => {
            patch.replaces()?;
            faults::refuse("UpdateMethod", &[("apiKeyRequired", patch.truth())])?;
        }
        ["operationName"] => {
            patch.replaces()?;
            method.operation_name = patch.text()?;
        }
        ["requestValidatorId"] => {
            patch.replaces()?;
            method.validator = patch.text()?;
        }
        ["requestParameters", name] => {
            patch.entry(&mut method.parameters, name, patch.truth(), NO_PARAMETER)?;
        }
        ["requestModels", content_type] => {
            patch.entry(&mut method.models, content_type, patch.or_empty(), NO_CONTENT_TYPE)?;
        }
        ["authorizationScopes", ..] => return Err(faults::absent("UpdateMethod", "patch path /authorizationScopes")),
        _ => return Err(patch.wrong_path()),
    }
    Ok(())
}

impl Handle<ops::DeleteMethod> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteMethodRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let at = At::method(input.resource_id, input.http_method);
        let delete = move |draft: &mut Draft<'_>| {
            draft.api.resource_mut(&at.resource)?.methods.remove(&at.method).ok_or_else(faults::no_method)?;
            Ok(())
        };
        let at = (context.account, &context.region);
        self.change(at, input.rest_api_id.as_deref(), Missing::Resource, delete).await?;
        Ok(Unit.into())
    }
}

//! The operations, by topic. What is not registered in [`register`] answers NotImplemented at the door.

mod apis;
mod authorizers;
mod deployments;
mod integrations;
mod openapi;
mod routes;
mod stages;
mod tags;

pub(crate) use tags::KIND;

use std::sync::Arc;

use door::RouterBuilder;
use model::apigatewayv2::ops;

use crate::HttpApis;

/// Registers every operation of API Gateway v2 that this room carries out: the coverage table.
#[must_use]
pub fn register(builder: RouterBuilder, apis: &Arc<HttpApis>) -> RouterBuilder {
    builder
        .knows("apigatewayv2", Arc::<HttpApis>::clone(apis))
        .on::<ops::CreateApi, _>(apis)
        .on::<ops::GetApi, _>(apis)
        .on::<ops::GetApis, _>(apis)
        .on::<ops::UpdateApi, _>(apis)
        .on::<ops::DeleteApi, _>(apis)
        .on::<ops::DeleteCorsConfiguration, _>(apis)
        .on::<ops::CreateIntegration, _>(apis)
        .on::<ops::GetIntegration, _>(apis)
        .on::<ops::GetIntegrations, _>(apis)
        .on::<ops::UpdateIntegration, _>(apis)
        .on::<ops::DeleteIntegration, _>(apis)
        .on::<ops::CreateRoute, _>(apis)
        .on::<ops::GetRoute, _>(apis)
        .on::<ops::GetRoutes, _>(apis)
        .on::<ops::UpdateRoute, _>(apis)
        .on::<ops::DeleteRoute, _>(apis)
        .on::<ops::DeleteRouteRequestParameter, _>(apis)
        .on::<ops::CreateAuthorizer, _>(apis)
        .on::<ops::GetAuthorizer, _>(apis)
        .on::<ops::GetAuthorizers, _>(apis)
        .on::<ops::UpdateAuthorizer, _>(apis)
        .on::<ops::DeleteAuthorizer, _>(apis)
        .on::<ops::ResetAuthorizersCache, _>(apis)
        .on::<ops::CreateStage, _>(apis)
        .on::<ops::GetStage, _>(apis)
        .on::<ops::GetStages, _>(apis)
        .on::<ops::UpdateStage, _>(apis)
        .on::<ops::DeleteStage, _>(apis)
        .on::<ops::DeleteRouteSettings, _>(apis)
        .on::<ops::DeleteAccessLogSettings, _>(apis)
        .on::<ops::CreateDeployment, _>(apis)
        .on::<ops::GetDeployment, _>(apis)
        .on::<ops::GetDeployments, _>(apis)
        .on::<ops::UpdateDeployment, _>(apis)
        .on::<ops::DeleteDeployment, _>(apis)
        .on::<ops::ImportApi, _>(apis)
        .on::<ops::ReimportApi, _>(apis)
        .on::<ops::ExportApi, _>(apis)
        .on::<ops::TagResource, _>(apis)
        .on::<ops::UntagResource, _>(apis)
        .on::<ops::GetTags, _>(apis)
}

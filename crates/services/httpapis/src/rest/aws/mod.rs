//! The operations, by topic. What is not registered in [`register`] answers NotImplemented at the door.

mod apis;
mod authorizers;
mod definitions;
mod deployments;
mod gateway_responses;
mod integration_responses;
mod integrations;
mod method_responses;
mod methods;
mod models;
mod request_validators;
mod resources;
mod stages;
mod tags;
mod trials;

pub(crate) use tags::KIND;

use std::sync::Arc;

use base::Fault;
use door::RouterBuilder;
use model::apigateway::ops;

use super::RestApis;
use super::faults;
use super::types::{Api, Integration, Method, Resource};

/// Registers every operation of API Gateway v1 that this room carries out: the coverage table.
#[must_use]
pub fn register(builder: RouterBuilder, apis: &Arc<RestApis>) -> RouterBuilder {
    let builder = builder
        .knows("apigateway", Arc::<RestApis>::clone(apis))
        .on::<ops::CreateRestApi, _>(apis)
        .on::<ops::GetRestApi, _>(apis)
        .on::<ops::GetRestApis, _>(apis)
        .on::<ops::UpdateRestApi, _>(apis)
        .on::<ops::DeleteRestApi, _>(apis)
        .on::<ops::ImportRestApi, _>(apis)
        .on::<ops::PutRestApi, _>(apis)
        .on::<ops::GetExport, _>(apis)
        .on::<ops::CreateResource, _>(apis)
        .on::<ops::GetResource, _>(apis)
        .on::<ops::GetResources, _>(apis)
        .on::<ops::UpdateResource, _>(apis)
        .on::<ops::DeleteResource, _>(apis)
        .on::<ops::PutMethod, _>(apis)
        .on::<ops::GetMethod, _>(apis)
        .on::<ops::UpdateMethod, _>(apis)
        .on::<ops::DeleteMethod, _>(apis)
        .on::<ops::TestInvokeMethod, _>(apis)
        .on::<ops::TestInvokeAuthorizer, _>(apis)
        .on::<ops::PutMethodResponse, _>(apis)
        .on::<ops::GetMethodResponse, _>(apis)
        .on::<ops::UpdateMethodResponse, _>(apis)
        .on::<ops::DeleteMethodResponse, _>(apis)
        .on::<ops::PutIntegration, _>(apis)
        .on::<ops::GetIntegration, _>(apis)
        .on::<ops::UpdateIntegration, _>(apis)
        .on::<ops::DeleteIntegration, _>(apis)
        .on::<ops::PutIntegrationResponse, _>(apis)
        .on::<ops::GetIntegrationResponse, _>(apis)
        .on::<ops::UpdateIntegrationResponse, _>(apis)
        .on::<ops::DeleteIntegrationResponse, _>(apis);
    builder
        .on::<ops::CreateAuthorizer, _>(apis)
        .on::<ops::GetAuthorizer, _>(apis)
        .on::<ops::GetAuthorizers, _>(apis)
        .on::<ops::UpdateAuthorizer, _>(apis)
        .on::<ops::DeleteAuthorizer, _>(apis)
        .on::<ops::FlushStageAuthorizersCache, _>(apis)
        .on::<ops::CreateRequestValidator, _>(apis)
        .on::<ops::GetRequestValidator, _>(apis)
        .on::<ops::GetRequestValidators, _>(apis)
        .on::<ops::UpdateRequestValidator, _>(apis)
        .on::<ops::DeleteRequestValidator, _>(apis)
        .on::<ops::CreateModel, _>(apis)
        .on::<ops::GetModel, _>(apis)
        .on::<ops::GetModels, _>(apis)
        .on::<ops::GetModelTemplate, _>(apis)
        .on::<ops::UpdateModel, _>(apis)
        .on::<ops::DeleteModel, _>(apis)
        .on::<ops::CreateDeployment, _>(apis)
        .on::<ops::GetDeployment, _>(apis)
        .on::<ops::GetDeployments, _>(apis)
        .on::<ops::UpdateDeployment, _>(apis)
        .on::<ops::DeleteDeployment, _>(apis)
        .on::<ops::CreateStage, _>(apis)
        .on::<ops::GetStage, _>(apis)
        .on::<ops::GetStages, _>(apis)
        .on::<ops::UpdateStage, _>(apis)
        .on::<ops::DeleteStage, _>(apis)
        .on::<ops::PutGatewayResponse, _>(apis)
        .on::<ops::GetGatewayResponse, _>(apis)
        .on::<ops::GetGatewayResponses, _>(apis)
        .on::<ops::UpdateGatewayResponse, _>(apis)
        .on::<ops::DeleteGatewayResponse, _>(apis)
        .on::<ops::TagResource, _>(apis)
        .on::<ops::UntagResource, _>(apis)
        .on::<ops::GetTags, _>(apis)
}

/// A part of an API by the ids of an input.
#[derive(Debug, Clone, Default)]
struct At {
    resource: String,
    method: String,
    status: String,
}

impl At {
    fn method(resource: Option<String>, method: Option<String>) -> Self {
        Self { resource: resource.unwrap_or_default(), method: method.unwrap_or_default(), status: String::new() }
    }

    fn status(self, status: Option<String>) -> Self {
        Self { status: status.unwrap_or_default(), ..self }
    }
}

impl Api {
    fn resource(&self, id: &str) -> Result<&Resource, Fault> {
        self.resources.get(id).ok_or_else(faults::no_resource)
    }

    fn resource_mut(&mut self, id: &str) -> Result<&mut Resource, Fault> {
        self.resources.get_mut(id).ok_or_else(faults::no_resource)
    }

    fn method(&self, at: &At) -> Result<&Method, Fault> {
        self.resource(&at.resource)?.methods.get(&at.method).ok_or_else(faults::no_method)
    }

    fn method_mut(&mut self, at: &At) -> Result<&mut Method, Fault> {
        self.resource_mut(&at.resource)?.methods.get_mut(&at.method).ok_or_else(faults::no_method)
    }

    fn integration(&self, at: &At) -> Result<&Integration, Fault> {
        self.method(at)?.integration.as_ref().ok_or_else(faults::no_integration)
    }

    fn integration_mut(&mut self, at: &At) -> Result<&mut Integration, Fault> {
        self.method_mut(at)?.integration.as_mut().ok_or_else(faults::no_integration)
    }
}

/// A page of a list: 25 items unless told, 500 at most.
fn page(limit: Option<i64>, position: Option<&str>) -> Result<crate::rules::pages::Page, Fault> {
    let size = limit.unwrap_or(25).to_string();
    crate::rules::pages::Page::of(Some(&size), position)
        .map_err(|fault| faults::bad(fault.message.replace("maxResults", "limit")))
}

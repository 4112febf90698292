//! Routes: which requests go to which integration.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::apigatewayv2::{self as aws, ops};
use wire::Unit;

use super::apis::set;
use crate::engine::Draft;
use crate::rules::{check, ids, pages::Page, route_key};
use crate::shown::Shown;
use crate::types::{Api, Authorization, Route};
use crate::{HttpApis, faults, limits};

/// Whether an API may get a route of this key, apart from the route `own`.
///
/// # Errors
/// BadRequestException, ConflictException.
pub(super) fn check_new(api: &Api, key: &str, own: Option<&str>) -> Result<(), Fault> {
    route_key::RouteKey::parse(key)?;
    let others = api.routes.iter().filter(|(id, _)| Some(id.as_str()) != own);
    for (_, other) in others {
        if other.key == key {
            return Err(faults::conflict(format!("Route with key {key} already exists for this API")));
        }
        if route_key::conflict(&other.key, key) {
            return Err(faults::conflict(format!(
                "The provided route key \"{key}\" has a conflicting variable on the same hierarchical level as \"{}\"",
                other.key
            )));
        }
    }
    Ok(())
}

/// The integration that a target means.
fn target(api: &Api, target: &str) -> Result<String, Fault> {
    let id = target
        .strip_prefix("integrations/")
        .ok_or_else(|| faults::bad("Invalid target specified. Format should be \"integrations/<INTEGRATION ID>\""))?;
    if !api.integrations.contains_key(id) {
        return Err(faults::bad(format!("Invalid target specified. The API has no integration {id}")));
    }
    Ok(id.to_owned())
}

/// Who may use a route, as an input says it: what it does not say stays.
#[derive(Clone)]
struct Guarded {
    kind: Option<String>,
    authorizer: Option<String>,
    scopes: Option<Vec<String>>,
}

impl Guarded {
    /// Puts it onto a route, if it makes sense.
    fn onto(&self, api: &Api, route: &mut Route) -> Result<(), Fault> {
        route.authorization = match self.kind.as_deref() {
            None => route.authorization,
            Some("NONE") => Authorization::None,
            Some("AWS_IAM") => Authorization::Iam,
            Some("JWT") => Authorization::Jwt,
            Some(_) => Authorization::Custom,
        };
        set(&mut route.authorizer, self.authorizer.as_ref());
        if let Some(scopes) = &self.scopes {
            route.scopes.clone_from(scopes);
        }
        let decides = matches!(route.authorization, Authorization::Jwt | Authorization::Custom);
        if !decides && self.authorizer.is_none() {
            route.authorizer = None;
        }
        if route.authorization != Authorization::Jwt && self.scopes.is_none() {
            route.scopes.clear();
        }
        if route.scopes.len() > limits::SCOPES {
            return Err(faults::too_many("scopes", limits::SCOPES));
        }
        if !route.scopes.is_empty() && route.authorization != Authorization::Jwt {
            return Err(faults::bad("authorizationScopes are supported only with the authorizationType JWT"));
        }
        for scope in &route.scopes {
            check::length("authorization scope", Some(scope), 1, 64)?;
        }
        let named = route.authorizer.as_ref().map(|id| api.authorizers.get(id));
        match (route.authorization, named.map(|one| one.map(|one| one.by.token().is_some()))) {
            (Authorization::None | Authorization::Iam, None)
            | (Authorization::Jwt, Some(Some(true)))
            | (Authorization::Custom, Some(Some(false))) => Ok(()),
            (Authorization::Jwt | Authorization::Custom, None) => {
                Err(faults::bad("An authorizerId must be specified with the authorizationType JWT or CUSTOM"))
            }
            (_, Some(None)) => Err(faults::bad("Invalid authorizerId specified: the API has no such authorizer")),
            (kind, _) => {
                Err(faults::bad(format!("The authorizer does not fit the authorizationType {}", kind.as_str())))
            }
        }
    }
}

/// What no route does here, or on AWS of an HTTP API, by member.
macro_rules! refused {
    ($input:ident) => {
        [
            ("ApiKeyRequired", $input.api_key_required == Some(true)),
            ("ModelSelectionExpression", $input.model_selection_expression.is_some()),
            ("RequestModels", $input.request_models.as_ref().is_some_and(|map| !map.is_empty())),
            ("RequestParameters", $input.request_parameters.as_ref().is_some_and(|map| !map.is_empty())),
            ("RouteResponseSelectionExpression", $input.route_response_selection_expression.is_some()),
        ]
    };
}

impl Handle<ops::CreateRoute> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::CreateRouteRequest,
        _: Body,
    ) -> Result<Answer<aws::CreateRouteResult>, Fault> {
        self.api(context.account, &context.region, input.api_id.as_deref())?;
        faults::refuse("CreateRoute", &refused!(input))?;
        let guarded = Guarded {
            kind: input.authorization_type.clone(),
            authorizer: input.authorizer_id.clone(),
            scopes: input.authorization_scopes.clone(),
        };
        check::length("operationName", input.operation_name.as_deref(), 1, 64)?;
        let api = input.api_id.clone();
        let create = move |draft: &mut Draft<'_>| {
            let key = input.route_key.clone().unwrap_or_default();
            check_new(&draft.api, &key, None)?;
            if draft.api.routes.len() >= limits::ROUTES {
                return Err(faults::too_many("routes", limits::ROUTES));
            }
            let integration = input.target.as_deref().map(|text| target(&draft.api, text)).transpose()?;
            let mut made = Route {
                key,
                authorization: Authorization::None,
                authorizer: None,
                scopes: Vec::new(),
                operation_name: input.operation_name.clone(),
                integration,
                managed: false,
            };
            guarded.onto(&draft.api, &mut made)?;
            let id = draft.id(ids::PART);
            let shown = aws::CreateRouteResult::shown((&id, &made));
            draft.api.routes.insert(id, made);
            draft.deploys();
            Ok(shown)
        };
        Ok(self.change(context.account, &context.region, api.as_deref(), create).await?.into())
    }
}

impl Handle<ops::GetRoute> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetRouteRequest,
        _: Body,
    ) -> Result<Answer<aws::GetRouteResult>, Fault> {
        let live = self.api(context.account, &context.region, input.api_id.as_deref())?;
        let id = input.route_id.unwrap_or_default();
        let route = live.api.routes.get(&id).ok_or_else(|| faults::no_part("Route"))?;
        Ok(aws::GetRouteResult::shown((&id, route)).into())
    }
}

impl Handle<ops::GetRoutes> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetRoutesRequest,
        _: Body,
    ) -> Result<Answer<aws::GetRoutesResponse>, Fault> {
        let live = self.api(context.account, &context.region, input.api_id.as_deref())?;
        let page = Page::of(input.max_results.as_deref(), input.next_token.as_deref())?;
        let all = live.api.routes.iter();
        let (items, next_token) = page.cut(all.map(|(id, route)| (id.clone(), aws::Route::shown((id, route)))));
        Ok(aws::GetRoutesResponse { items: Some(items), next_token }.into())
    }
}

impl Handle<ops::UpdateRoute> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::UpdateRouteRequest,
        _: Body,
    ) -> Result<Answer<aws::UpdateRouteResult>, Fault> {
        self.api(context.account, &context.region, input.api_id.as_deref())?;
        faults::refuse("UpdateRoute", &refused!(input))?;
        let guarded = Guarded {
            kind: input.authorization_type.clone(),
            authorizer: input.authorizer_id.clone(),
            scopes: input.authorization_scopes.clone(),
        };
        check::length("operationName", input.operation_name.as_deref(), 1, 64)?;
        let api = input.api_id.clone();
        let update = move |draft: &mut Draft<'_>| {
            let id = input.route_id.clone().unwrap_or_default();
            let mut route = draft.api.routes.get(&id).cloned().ok_or_else(|| faults::no_part("Route"))?;
            if let Some(key) = &input.route_key {
                check_new(&draft.api, key, Some(&id))?;
            }
            let integration = input.target.as_deref().map(|text| target(&draft.api, text)).transpose()?;
            if let Some(key) = &input.route_key {
                route.key.clone_from(key);
            }
            guarded.onto(&draft.api, &mut route)?;
            set(&mut route.operation_name, input.operation_name.as_ref());
            set(&mut route.integration, integration.as_ref());
            let shown = aws::UpdateRouteResult::shown((&id, &route));
            draft.api.routes.insert(id, route);
            draft.deploys();
            Ok(shown)
        };
        Ok(self.change(context.account, &context.region, api.as_deref(), update).await?.into())
    }
}

impl Handle<ops::DeleteRoute> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteRouteRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let api = input.api_id.clone();
        let delete = move |draft: &mut Draft<'_>| {
            let route = draft.api.routes.remove(input.route_id.as_deref().unwrap_or_default());
            route.map(|_| draft.deploys()).ok_or_else(|| faults::no_part("Route"))
        };
        self.change(context.account, &context.region, api.as_deref(), delete).await?;
        Ok(Unit.into())
    }
}

/// Request parameters are of WebSocket APIs: no route here has one.
impl Handle<ops::DeleteRouteRequestParameter> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteRouteRequestParameterRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let live = self.api(context.account, &context.region, input.api_id.as_deref())?;
        let has_route = input.route_id.is_some_and(|id| live.api.routes.contains_key(&id));
        let named = input.request_parameter_key.unwrap_or_default();
        Err(if has_route {
            faults::not_found(format!("Invalid request parameter identifier specified: the route has no {named}"))
        } else {
            faults::no_part("Route")
        })
    }
}

//! APIs: CreateApi with quick create, GetApi, GetApis, UpdateApi, DeleteApi, DeleteCorsConfiguration.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{Fault, Region};
use door::{Answer, Body, Context, Handle};
use model::apigatewayv2::{self as aws, ops};
use store::{Range, Space};
use wire::Unit;

use super::{integrations, routes};
use crate::Options;
use crate::engine::Draft;
use crate::rules::{self, check, cors, ids, pages::Page};
use crate::serve::endpoint;
use crate::shown::Shown;
use crate::types::{Api, Authorization, Cors, Integration, Kind, Route, Stage};
use crate::{HttpApis, faults, limits, state};

/// What CreateApi and UpdateApi say of an API alike.
struct Said<'a> {
    name: Option<&'a str>,
    description: Option<&'a str>,
    version: Option<&'a str>,
    route_selection: Option<&'a str>,
    key_selection: Option<&'a str>,
    ip_address_type: Option<&'a str>,
}

impl Said<'_> {
    fn check(&self) -> Result<(), Fault> {
        check::length("name", self.name, 1, 128)?;
        check::length("description", self.description, 0, 1024)?;
        check::length("version", self.version, 1, 64)?;
        let selections = [rules::ROUTE_SELECTION, "${request.method} ${request.path}"];
        if self.route_selection.is_some_and(|selection| !selections.contains(&selection)) {
            return Err(faults::bad(
                "Invalid routeSelectionExpression specified. For HTTP APIs it must be ${request.method} ${request.path}",
            ));
        }
        if self.key_selection.is_some_and(|selection| selection != rules::API_KEY_SELECTION) {
            return Err(faults::bad("apiKeySelectionExpression is supported only for WebSocket APIs"));
        }
        if self.ip_address_type.is_some_and(|kind| !matches!(kind, "ipv4" | "dualstack")) {
            return Err(faults::bad("Invalid ipAddressType specified. Must be one of [ipv4, dualstack]"));
        }
        Ok(())
    }
}

/// The CORS configuration of an input, if it makes sense.
fn shared(cors: Option<aws::Cors>) -> Result<Option<Cors>, Fault> {
    let cors = cors.map(Cors::from);
    cors.as_ref().map_or(Ok(()), cors::check)?;
    Ok(cors)
}

/// What quick create is asked for: the target of a route, by default of `$default`.
struct Quick {
    target: String,
    role: Option<String>,
    key: String,
}

impl Quick {
    fn of(target: Option<String>, key: Option<String>, role: Option<String>) -> Result<Option<Self>, Fault> {
        let Some(target) = target else {
            return match (key, role) {
                (None, None) => Ok(None),
                _ => Err(faults::bad("A target must be specified with the routeKey or credentialsArn")),
            };
        };
        integrations::check_whole(&Integration { role: role.clone(), ..quick(&target) })?;
        let key = key.unwrap_or_else(|| "$default".into());
        rules::route_key::RouteKey::parse(&key)?;
        Ok(Some(Self { target, role, key }))
    }

    /// Makes the integration, the route and the stage `$default`, which follows every change.
    fn make(&self, draft: &mut Draft<'_>) {
        let integration = draft.id(ids::PART);
        let made = Integration { role: self.role.clone(), ..quick(&self.target) };
        draft.api.integrations.insert(integration.clone(), made);
        let route = Route {
            key: self.key.clone(),
            authorization: Authorization::None,
            authorizer: None,
            scopes: Vec::new(),
            operation_name: None,
            integration: Some(integration),
            managed: true,
        };
        let id = draft.id(ids::PART);
        draft.api.routes.insert(id, route);
        let now_ms = draft.now_ms;
        let stage =
            Stage { auto_deploy: true, created_ms: now_ms, updated_ms: now_ms, managed: true, ..Stage::default() };
        draft.api.stages.insert("$default".into(), stage);
    }
}

/// The integration that quick create makes of a target: a function's ARN, or a URL.
fn quick(target: &str) -> Integration {
    let is_url = target.starts_with("http://") || target.starts_with("https://");
    let (kind, method, payload) = if is_url { (Kind::Url, "ANY", "1.0") } else { (Kind::Function, "POST", "2.0") };
    Integration {
        kind,
        description: None,
        uri: target.to_owned(),
        method: method.into(),
        payload: payload.into(),
        role: None,
        timeout_ms: *limits::TIMEOUT_MS.end(),
        request_parameters: BTreeMap::new(),
        response_parameters: BTreeMap::new(),
        managed: true,
    }
}

impl HttpApis {
    /// How an API is shown to a client that reached us under `host`.
    pub(super) fn show<T: for<'a> Shown<(&'a Api, &'a String)>>(&self, api: &Api, host: Option<&str>) -> T {
        let Options { scheme, authority, .. } = &self.options;
        T::shown((api, &endpoint(scheme, &api.id, &api.region, host.unwrap_or(authority))))
    }
}

impl Handle<ops::CreateApi> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::CreateApiRequest,
        _: Body,
    ) -> Result<Answer<aws::CreateApiResponse>, Fault> {
        match input.protocol_type.as_deref() {
            Some("HTTP") => {}
            Some("WEBSOCKET") => return Err(Fault::not_implemented("apigatewayv2:CreateApi: ProtocolType WEBSOCKET")),
            _ => return Err(faults::bad("Invalid protocol specified. Must be one of [HTTP, WEBSOCKET]")),
        }
        let refused = [("DisableSchemaValidation", input.disable_schema_validation == Some(true))];
        faults::refuse("CreateApi", &refused)?;
        Said {
            name: Some(input.name.as_deref().unwrap_or_default()),
            description: input.description.as_deref(),
            version: input.version.as_deref(),
            route_selection: input.route_selection_expression.as_deref(),
            key_selection: input.api_key_selection_expression.as_deref(),
            ip_address_type: input.ip_address_type.as_deref(),
        }
        .check()?;
        let tags = input.tags.unwrap_or_default();
        check::tags(&tags)?;
        let quick = Quick::of(input.target, input.route_key, input.credentials_arn)?;
        self.check_count(context.account, &context.region)?;
        let api = Api {
            id: ids::fresh(&*self.options.rng, ids::API),
            account: context.account.to_string(),
            region: context.region.to_string(),
            name: input.name.unwrap_or_default(),
            description: input.description,
            version: input.version,
            cors: shared(input.cors_configuration)?,
            endpoint_disabled: input.disable_execute_api_endpoint.unwrap_or_default(),
            ip_address_type: input.ip_address_type.unwrap_or_else(|| "ipv4".into()),
            api_key_selection: rules::API_KEY_SELECTION.into(),
            tags,
            created_ms: self.options.clocks.product().0,
            routes: BTreeMap::new(),
            integrations: BTreeMap::new(),
            authorizers: BTreeMap::new(),
            stages: BTreeMap::new(),
            deployments: BTreeMap::new(),
        };
        let made = self
            .make(api, move |draft| {
                if let Some(quick) = &quick {
                    quick.make(draft);
                }
                Ok(())
            })
            .await?;
        Ok(self.show::<aws::CreateApiResponse>(&made.api, context.host.as_deref()).into())
    }
}

impl Handle<ops::GetApi> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetApiRequest,
        _: Body,
    ) -> Result<Answer<aws::GetApiResponse>, Fault> {
        let live = self.api(context.account, &context.region, input.api_id.as_deref())?;
        Ok(self.show::<aws::GetApiResponse>(&live.api, context.host.as_deref()).into())
    }
}

impl Handle<ops::GetApis> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetApisRequest,
        _: Body,
    ) -> Result<Answer<aws::GetApisResponse>, Fault> {
        let page = Page::of(input.max_results.as_deref(), input.next_token.as_deref())?;
        let ids = self.owned(context.account, &context.region)?;
        let (ids, next_token) = page.cut(ids.into_iter().map(|id| (id.clone(), id)));
        let mut items = Vec::with_capacity(ids.len());
        for id in ids {
            // One may go while they are listed.
            if let Some(live) = self.live(&id)? {
                items.push(self.show(&live.api, context.host.as_deref()));
            }
        }
        Ok(aws::GetApisResponse { items: Some(items), next_token }.into())
    }
}

impl HttpApis {
    /// Whether an account may have another API in a region.
    ///
    /// # Errors
    /// BadRequestException.
    pub(super) fn check_count(&self, account: base::Account, region: &Region) -> Result<(), Fault> {
        if self.owned(account, region)?.len() >= limits::APIS {
            return Err(faults::too_many("APIs", limits::APIS));
        }
        Ok(())
    }

    /// The ids of an account's APIs in a region, in their order.
    fn owned(&self, account: base::Account, region: &Region) -> Result<Vec<String>, Fault> {
        let prefix = state::owned(account, region);
        let rows = self.options.kv.range(Space::Control, Range::prefix(prefix.clone()), limits::APIS, false)?;
        let id = |row: &[u8]| row.get(prefix.len()..).map(|id| String::from_utf8_lossy(id).into_owned());
        Ok(rows.iter().filter_map(|(row, _)| id(row)).collect())
    }
}

impl Handle<ops::UpdateApi> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::UpdateApiRequest,
        _: Body,
    ) -> Result<Answer<aws::UpdateApiResponse>, Fault> {
        let refused = [("DisableSchemaValidation", input.disable_schema_validation == Some(true))];
        faults::refuse("UpdateApi", &refused)?;
        Said {
            name: input.name.as_deref(),
            description: input.description.as_deref(),
            version: input.version.as_deref(),
            route_selection: input.route_selection_expression.as_deref(),
            key_selection: input.api_key_selection_expression.as_deref(),
            ip_address_type: input.ip_address_type.as_deref(),
        }
        .check()?;
        let cors = shared(input.cors_configuration.clone())?;
        if let Some(target) = &input.target {
            integrations::check_whole(&quick(target))?;
        }
        if let Some(key) = &input.route_key {
            rules::route_key::RouteKey::parse(key)?;
        }
        let id = input.api_id.clone();
        let update = move |draft: &mut Draft<'_>| {
            if input.target.is_some() || input.route_key.is_some() || input.credentials_arn.is_some() {
                requick(
                    &mut draft.api,
                    input.target.as_deref(),
                    input.route_key.as_deref(),
                    input.credentials_arn.as_ref(),
                )?;
            }
            let api = &mut draft.api;
            if let Some(name) = &input.name {
                api.name.clone_from(name);
            }
            set(&mut api.description, input.description.as_ref());
            set(&mut api.version, input.version.as_ref());
            set(&mut api.cors, cors.as_ref());
            if let Some(disabled) = input.disable_execute_api_endpoint {
                api.endpoint_disabled = disabled;
            }
            if let Some(kind) = &input.ip_address_type {
                api.ip_address_type.clone_from(kind);
            }
            draft.deploys();
            Ok(draft.api.clone())
        };
        let api = self.change(context.account, &context.region, id.as_deref(), update).await?;
        Ok(self.show::<aws::UpdateApiResponse>(&api, context.host.as_deref()).into())
    }
}

/// Changes what quick create made.
fn requick(api: &mut Api, target: Option<&str>, key: Option<&str>, role: Option<&String>) -> Result<(), Fault> {
    let managed = api.routes.iter().find(|(_, route)| route.managed).map(|(id, _)| id.clone());
    let Some(id) = managed else {
        return Err(faults::bad(
            "target, routeKey and credentialsArn can be updated only for an API that quick create made",
        ));
    };
    if let Some(key) = key {
        routes::check_new(api, key, Some(&id))?;
    }
    let Some(route) = api.routes.get_mut(&id) else { return Ok(()) };
    if let Some(key) = key {
        key.clone_into(&mut route.key);
    }
    let integration = route.integration.clone().and_then(|id| api.integrations.get_mut(&id));
    let Some(integration) = integration else { return Ok(()) };
    if let Some(target) = target {
        *integration = Integration { role: integration.role.take(), ..quick(target) };
    }
    set(&mut integration.role, role);
    integrations::check_whole(integration)
}

/// A member that is given replaces what was there.
pub(super) fn set<T: Clone>(place: &mut Option<T>, given: Option<&T>) {
    if let Some(given) = given {
        *place = Some(given.clone());
    }
}

impl Handle<ops::DeleteApi> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteApiRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        self.remove(context.account, &context.region, input.api_id.as_deref()).await?;
        Ok(Unit.into())
    }
}

impl Handle<ops::DeleteCorsConfiguration> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteCorsConfigurationRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let remove = |draft: &mut Draft<'_>| {
            draft.api.cors = None;
            draft.deploys();
            Ok(())
        };
        self.change(context.account, &context.region, input.api_id.as_deref(), remove).await?;
        Ok(Unit.into())
    }
}

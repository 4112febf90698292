//! Authorizers: who decides about the requests of a route.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::apigatewayv2::{self as aws, ops};
use wire::Unit;

use super::integrations;
use crate::engine::Draft;
use crate::rules::selection::Selection;
use crate::rules::{check, ids, pages::Page, role};
use crate::shown::Shown;
use crate::types::{Authorizer, By};
use crate::{HttpApis, faults, limits};

/// What an authorizer is to be, as an input says it.
#[derive(Clone)]
struct Said {
    kind: String,
    name: String,
    identity: Vec<String>,
    role: Option<String>,
    uri: Option<String>,
    payload: Option<String>,
    ttl_s: Option<i64>,
    simple: Option<bool>,
    jwt: Option<aws::JWTConfiguration>,
}

impl Said {
    /// What is there, said as an input says it: an update changes some of it.
    fn of(one: &Authorizer) -> Self {
        let function = one.by.function();
        Self {
            kind: if function.is_some() { "REQUEST" } else { "JWT" }.into(),
            name: one.name.clone(),
            identity: one.identity.clone(),
            role: one.role.clone(),
            uri: function.map(|(uri, ..)| uri.to_owned()),
            payload: function.map(|(_, payload, ..)| payload.to_owned()),
            ttl_s: function.map(|(.., ttl_s, _)| ttl_s),
            simple: function.map(|(.., simple)| simple),
            jwt: one.by.token().map(|(issuer, audience)| aws::JWTConfiguration {
                audience: Some(audience.to_vec()),
                issuer: Some(issuer.to_owned()),
            }),
        }
    }

    /// The authorizer, if it makes sense.
    fn whole(self) -> Result<Authorizer, Fault> {
        check::length("name", Some(&self.name), 1, 128)?;
        let selections: Option<Vec<Selection>> = self.identity.iter().map(|text| Selection::parse(text)).collect();
        let selections = selections
            .filter(|all| all.iter().all(Selection::identifies))
            .ok_or_else(|| faults::bad("Invalid mapping expression specified for identitySource"))?;
        let by = match self.kind.as_str() {
            "JWT" => self.by_token(&selections)?,
            _ => self.by_function(&selections)?,
        };
        Ok(Authorizer { name: self.name, identity: self.identity, role: self.role, by })
    }

    fn by_token(&self, selections: &[Selection]) -> Result<By, Fault> {
        let of_functions = [
            ("authorizerCredentialsArn", self.role.is_some()),
            ("authorizerUri", self.uri.is_some()),
            ("authorizerPayloadFormatVersion", self.payload.is_some()),
            ("authorizerResultTtlInSeconds", self.ttl_s.is_some_and(|seconds| seconds != 0)),
            ("enableSimpleResponses", self.simple == Some(true)),
        ];
        if let Some((name, _)) = of_functions.iter().find(|(_, given)| *given) {
            return Err(faults::bad(format!("{name} is not supported for JWT authorizers")));
        }
        if !matches!(selections, [Selection::Header(_) | Selection::Query(_)]) {
            return Err(faults::bad("A JWT authorizer must have exactly one header or query string as identitySource"));
        }
        let jwt =
            self.jwt.clone().ok_or_else(|| faults::bad("JWT configuration must be specified for JWT authorizers"))?;
        let issuer = jwt.issuer.unwrap_or_default();
        let url = issuer.parse::<http::Uri>().ok().filter(|url| url.host().is_some());
        if !url.is_some_and(|url| matches!(url.scheme_str(), Some("http" | "https"))) {
            return Err(faults::bad("Invalid issuer specified: it must be a URL"));
        }
        let audience = jwt.audience.unwrap_or_default();
        if audience.is_empty() || audience.len() > limits::AUDIENCES {
            return Err(faults::bad(format!(
                "JWT configuration must have between 1 and {} audiences",
                limits::AUDIENCES
            )));
        }
        Ok(By::Token { issuer, audience })
    }

    fn by_function(&self, selections: &[Selection]) -> Result<By, Fault> {
        if self.jwt.is_some() {
            return Err(faults::bad("JWT configuration is not supported for REQUEST authorizers"));
        }
        self.role.as_deref().map_or(Ok(()), role::check)?;
        let uri =
            self.uri.clone().ok_or_else(|| faults::bad("authorizerUri must be specified for REQUEST authorizers"))?;
        integrations::check_uri(&uri)?;
        let payload = match self.payload.as_deref() {
            Some(version @ ("1.0" | "2.0")) => version.to_owned(),
            _ => {
                return Err(faults::bad(
                    "authorizerPayloadFormatVersion is a required parameter for REQUEST authorizers. Valid values are [1.0, 2.0]",
                ));
            }
        };
        let simple = self.simple.unwrap_or_default();
        if simple && payload == "1.0" {
            return Err(faults::bad("enableSimpleResponses requires authorizerPayloadFormatVersion 2.0"));
        }
        let ttl_s = self.ttl_s.unwrap_or_default();
        if !limits::TTL_S.contains(&ttl_s) {
            return Err(faults::bad("authorizerResultTtlInSeconds must be between 0 and 3600"));
        }
        if ttl_s > 0 && selections.is_empty() {
            return Err(faults::bad("authorizerResultTtlInSeconds requires at least one identitySource"));
        }
        Ok(By::Function { uri, payload, ttl_s, simple })
    }
}

/// Whether the parts of an authorizer fit each other.
///
/// # Errors
/// BadRequestException.
pub(super) fn check_whole(one: &Authorizer) -> Result<(), Fault> {
    Said::of(one).whole().map(drop)
}

/// What no authorizer does here, or on AWS of an HTTP API, by member.
macro_rules! refused {
    ($input:ident) => {
        [("IdentityValidationExpression", $input.identity_validation_expression.is_some())]
    };
}

impl Handle<ops::CreateAuthorizer> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::CreateAuthorizerRequest,
        _: Body,
    ) -> Result<Answer<aws::CreateAuthorizerResponse>, Fault> {
        self.api(context.account, &context.region, input.api_id.as_deref())?;
        faults::refuse("CreateAuthorizer", &refused!(input))?;
        let made = Said {
            kind: input.authorizer_type.unwrap_or_default(),
            name: input.name.unwrap_or_default(),
            identity: input.identity_source.unwrap_or_default(),
            role: input.authorizer_credentials_arn,
            uri: input.authorizer_uri,
            payload: input.authorizer_payload_format_version,
            ttl_s: input.authorizer_result_ttl_in_seconds,
            simple: input.enable_simple_responses,
            jwt: input.jwt_configuration,
        }
        .whole()?;
        let create = move |draft: &mut Draft<'_>| {
            if draft.api.authorizers.len() >= limits::AUTHORIZERS {
                return Err(faults::too_many("authorizers", limits::AUTHORIZERS));
            }
            let id = draft.id(ids::AUTHORIZER);
            let shown = aws::CreateAuthorizerResponse::shown((&id, &made));
            draft.api.authorizers.insert(id, made.clone());
            Ok(shown)
        };
        Ok(self.change(context.account, &context.region, input.api_id.as_deref(), create).await?.into())
    }
}

impl Handle<ops::GetAuthorizer> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetAuthorizerRequest,
        _: Body,
    ) -> Result<Answer<aws::GetAuthorizerResponse>, Fault> {
        let live = self.api(context.account, &context.region, input.api_id.as_deref())?;
        let id = input.authorizer_id.unwrap_or_default();
        let one = live.api.authorizers.get(&id).ok_or_else(|| faults::no_part("Authorizer"))?;
        Ok(aws::GetAuthorizerResponse::shown((&id, one)).into())
    }
}

impl Handle<ops::GetAuthorizers> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetAuthorizersRequest,
        _: Body,
    ) -> Result<Answer<aws::GetAuthorizersResponse>, Fault> {
        let live = self.api(context.account, &context.region, input.api_id.as_deref())?;
        let page = Page::of(input.max_results.as_deref(), input.next_token.as_deref())?;
        let all = live.api.authorizers.iter();
        let (items, next_token) = page.cut(all.map(|(id, one)| (id.clone(), aws::Authorizer::shown((id, one)))));
        Ok(aws::GetAuthorizersResponse { items: Some(items), next_token }.into())
    }
}

impl Handle<ops::UpdateAuthorizer> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::UpdateAuthorizerRequest,
        _: Body,
    ) -> Result<Answer<aws::UpdateAuthorizerResponse>, Fault> {
        self.api(context.account, &context.region, input.api_id.as_deref())?;
        faults::refuse("UpdateAuthorizer", &refused!(input))?;
        let api = input.api_id.clone();
        let update = move |draft: &mut Draft<'_>| {
            let id = input.authorizer_id.clone().unwrap_or_default();
            let one = draft.api.authorizers.get_mut(&id).ok_or_else(|| faults::no_part("Authorizer"))?;
            let before = Said::of(one);
            if input.authorizer_type.as_ref().is_some_and(|kind| *kind != before.kind) {
                return Err(faults::bad("The type of an authorizer cannot be changed"));
            }
            *one = Said {
                kind: before.kind,
                name: input.name.clone().unwrap_or(before.name),
                identity: input.identity_source.clone().unwrap_or(before.identity),
                role: input.authorizer_credentials_arn.clone().or(before.role),
                uri: input.authorizer_uri.clone().or(before.uri),
                payload: input.authorizer_payload_format_version.clone().or(before.payload),
                ttl_s: input.authorizer_result_ttl_in_seconds.or(before.ttl_s),
                simple: input.enable_simple_responses.or(before.simple),
                jwt: input.jwt_configuration.clone().or(before.jwt),
            }
            .whole()?;
            let shown = aws::UpdateAuthorizerResponse::shown((&id, one));
            draft.deploys();
            Ok(shown)
        };
        Ok(self.change(context.account, &context.region, api.as_deref(), update).await?.into())
    }
}

impl Handle<ops::DeleteAuthorizer> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteAuthorizerRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let id = input.authorizer_id.unwrap_or_default();
        let delete = move |draft: &mut Draft<'_>| {
            if !draft.api.authorizers.contains_key(&id) {
                return Err(faults::no_part("Authorizer"));
            }
            let routes = draft.api.routes.iter().filter(|(_, route)| route.authorizer.as_ref() == Some(&id));
            let named: Vec<&str> = routes.map(|(id, _)| id.as_str()).collect();
            if !named.is_empty() {
                return Err(faults::conflict(format!(
                    "Cannot delete Authorizer because it is referenced by the following Routes with Ids: [{}]",
                    named.join(", ")
                )));
            }
            draft.api.authorizers.remove(&id);
            Ok(())
        };
        self.change(context.account, &context.region, input.api_id.as_deref(), delete).await?;
        Ok(Unit.into())
    }
}

impl Handle<ops::ResetAuthorizersCache> for HttpApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::ResetAuthorizersCacheRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let live = self.api(context.account, &context.region, input.api_id.as_deref())?;
        let stage = input.stage_name.filter(|name| live.api.stages.contains_key(name));
        live.verdicts.forget(&stage.ok_or_else(|| faults::no_part("stage"))?);
        Ok(Unit.into())
    }
}

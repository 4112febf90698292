//! Authorizers: CreateAuthorizer, GetAuthorizer, GetAuthorizers, UpdateAuthorizer, DeleteAuthorizer,
//! FlushStageAuthorizersCache.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::apigateway::{self as aws, ops};
use wire::Unit;

use super::page;
use crate::rest::engine::{Draft, Missing, RESOURCE};
use crate::rest::rules::mapping::Source;
use crate::rest::rules::patch::Patch;
use crate::rest::rules::{integration, resources};
use crate::rest::types::Authorizer;
use crate::rest::{RestApis, faults};
use crate::rules::check;

/// How long an answer counts where nothing is said, seconds.
const TTL_S: i64 = 300;

/// Whether it makes sense.
pub(super) fn whole(operation: &str, one: &Authorizer) -> Result<(), Fault> {
    check::length("name", Some(&one.name), 1, 128)?;
    integration::function_uri(operation, &one.uri)?;
    one.role.as_deref().map_or(Ok(()), integration::credentials)?;
    if !(0..=3600).contains(&one.ttl_s) {
        return Err(faults::bad("Authorizer result TTL must be between 0 and 3600 seconds"));
    }
    let mut sources = one.sources().map(Source::parse).peekable();
    // A token is in one header; what answers are kept by must be somewhere.
    if sources.peek().is_none() && (!one.of_request || one.ttl_s > 0) {
        return Err(faults::bad("Identity source is required for the authorizer"));
    }
    let fits = |source: &Option<Source<'_>>| match source {
        Some(Source::Header(_)) => true,
        Some(Source::Query(_) | Source::Context(_) | Source::Variable(_)) => one.of_request,
        _ => false,
    };
    if !sources.all(|source| fits(&source)) || (!one.of_request && one.sources().count() > 1) {
        return Err(faults::unmapped(&format!("Invalid mapping expression specified: {}", one.identity)));
    }
    if let Some(pattern) = &one.validation {
        regex::Regex::new(pattern)
            .map_err(|_| faults::bad(format!("Invalid identity validation expression specified: {pattern}")))?;
    }
    Ok(())
}

impl Handle<ops::CreateAuthorizer> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::CreateAuthorizerRequest,
        _: Body,
    ) -> Result<Answer<aws::Authorizer>, Fault> {
        let kind = input.type_.unwrap_or_default();
        let of_request = kind == "REQUEST";
        let refused = [
            (&*format!("type {kind}"), !of_request && kind != "TOKEN"),
            ("providerARNs", input.provider_ar_ns.is_some_and(|arns| !arns.is_empty())),
            ("jwtConfiguration", input.jwt_configuration.is_some()),
            ("identityValidationExpression of REQUEST", of_request && input.identity_validation_expression.is_some()),
        ];
        faults::refuse("CreateAuthorizer", &refused)?;
        let made = Authorizer {
            name: input.name.unwrap_or_default(),
            of_request,
            auth_type: input.auth_type.unwrap_or_else(|| "custom".into()),
            uri: input.authorizer_uri.unwrap_or_default(),
            role: input.authorizer_credentials.filter(|arn| !arn.is_empty()),
            identity: input.identity_source.unwrap_or_default(),
            validation: input.identity_validation_expression.filter(|pattern| !pattern.is_empty()),
            ttl_s: input.authorizer_result_ttl_in_seconds.unwrap_or(TTL_S),
        };
        whole("CreateAuthorizer", &made)?;
        let create = move |draft: &mut Draft<'_>| {
            if draft.api.authorizers.len() >= crate::limits::AUTHORIZERS {
                return Err(faults::too_many("authorizers", crate::limits::AUTHORIZERS));
            }
            if draft.api.authorizers.values().any(|other| other.name == made.name) {
                return Err(faults::bad("Authorizer name must be unique"));
            }
            let id = draft.id(RESOURCE);
            draft.api.authorizers.insert(id.clone(), made.clone());
            Ok(made.show(&id))
        };
        let at = (context.account, &context.region);
        Ok(self.change(at, input.rest_api_id.as_deref(), Missing::Api, create).await?.into())
    }
}

impl Handle<ops::GetAuthorizer> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetAuthorizerRequest,
        _: Body,
    ) -> Result<Answer<aws::Authorizer>, Fault> {
        let live = self.api(context.account, &context.region, input.rest_api_id.as_deref())?;
        let id = input.authorizer_id.unwrap_or_default();
        Ok(live.api.authorizers.get(&id).ok_or_else(faults::no_authorizer)?.show(&id).into())
    }
}

impl Handle<ops::GetAuthorizers> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetAuthorizersRequest,
        _: Body,
    ) -> Result<Answer<aws::Authorizers>, Fault> {
        let live = self.api(context.account, &context.region, input.rest_api_id.as_deref())?;
        let page = page(input.limit, input.position.as_deref())?;
        let all = live.api.authorizers.iter().map(|(id, one)| (id.clone(), one.show(id)));
        let (items, position) = page.cut(all);
        Ok(aws::Authorizers { items: Some(items), position }.into())
    }
}

impl Handle<ops::UpdateAuthorizer> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::UpdateAuthorizerRequest,
        _: Body,
    ) -> Result<Answer<aws::Authorizer>, Fault> {
        let id = input.authorizer_id.unwrap_or_default();
        let patches = Patch::all(input.patch_operations)?;
        let update = move |draft: &mut Draft<'_>| {
            let one = draft.api.authorizers.get_mut(&id).ok_or_else(faults::no_authorizer)?;
            for patch in &patches {
                apply(one, patch)?;
            }
            whole("UpdateAuthorizer", one)?;
            Ok(one.show(&id))
        };
        let at = (context.account, &context.region);
        Ok(self.change(at, input.rest_api_id.as_deref(), Missing::Api, update).await?.into())
    }
}

fn apply(one: &mut Authorizer, patch: &Patch) -> Result<(), Fault> {
    let refused = || Err(faults::absent("UpdateAuthorizer", format_args!("patch path {}", patch.path)));
    match *patch.parts() {
        ["providerARNs" | "jwtConfiguration" | "type", ..] => return refused(),
        ["identityValidationExpression"] if one.of_request => return refused(),
        ["name"] => one.name = patch.or_empty(),
        ["authType"] => one.auth_type = patch.or_empty(),
        ["authorizerCredentials"] => one.role = patch.text()?,
        ["authorizerUri"] => one.uri = patch.or_empty(),
        ["identitySource"] => one.identity = patch.or_empty(),
        ["identityValidationExpression"] => one.validation = patch.text()?,
        ["authorizerResultTtlInSeconds"] => one.ttl_s = patch.or_empty().parse().unwrap_or(-1),
        _ => return Err(patch.wrong_path()),
    }
    patch.replaces()
}

impl Handle<ops::DeleteAuthorizer> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteAuthorizerRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let id = input.authorizer_id.unwrap_or_default();
        let delete = move |draft: &mut Draft<'_>| {
            let one = draft.api.authorizers.get(&id).ok_or_else(faults::no_authorizer)?;
            for (resource, of) in &draft.api.resources {
                let mut methods = of.methods.iter().filter(|(_, method)| method.authorizer.as_ref() == Some(&id));
                if let Some((method, _)) = methods.next() {
                    let path = resources::path(&draft.api.resources, resource);
                    return Err(faults::conflict(format!(
                        "Cannot delete authorizer '{}', is referenced in method: {path}/{method}",
                        one.name
                    )));
                }
            }
            draft.api.authorizers.remove(&id);
            Ok(())
        };
        let at = (context.account, &context.region);
        self.change(at, input.rest_api_id.as_deref(), Missing::Api, delete).await?;
        Ok(Unit.into())
    }
}

impl Handle<ops::FlushStageAuthorizersCache> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::FlushStageAuthorizersCacheRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let live = self.api(context.account, &context.region, input.rest_api_id.as_deref())?;
        let name = input.stage_name.unwrap_or_default();
        live.api.stages.get(&name).ok_or_else(faults::no_stage)?;
        live.verdicts.forget(&name);
        Ok(Unit.into())
    }
}

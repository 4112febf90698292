//! APIs: CreateRestApi, GetRestApi, GetRestApis, UpdateRestApi, DeleteRestApi.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{Account, Fault, Region};
use door::{Answer, Body, Context, Handle};
use model::apigateway::{self as aws, ops};
use wire::Unit;

use super::page;
use crate::rest::engine::{Draft, Missing, RESOURCE};
use crate::rest::rules::models;
use crate::rest::rules::patch::Patch;
use crate::rest::types::{Api, Resource};
use crate::rest::{RestApis, faults};
use crate::rules::{check, ids};

/// Letters of the id of the resource `/`.
const ROOT: usize = 10;

fn description(given: Option<&str>) -> Result<(), Fault> {
    match given {
        Some("") => Err(faults::bad("Description cannot be an empty string")),
        given => check::length("description", given, 0, 1024),
    }
}

pub(super) fn name(given: &str) -> Result<(), Fault> {
    if given.trim().is_empty() {
        return Err(faults::bad("Name cannot be empty"));
    }
    check::length("name", Some(given), 1, 1024)
}

/// From how many bytes on bodies are compressed.
///
/// # Errors
/// BadRequestException.
pub(super) fn compression(bytes: i64) -> Result<usize, Fault> {
    let fits = usize::try_from(bytes).ok().filter(|bytes| *bytes <= crate::limits::BODY_BYTES);
    fits.ok_or_else(|| faults::bad("Invalid minimum compression size, must be between 0 and 10485760"))
}

/// Of what type an endpoint is, and of which addresses.
fn endpoint(given: Option<aws::EndpointConfiguration>) -> Result<(String, String), Fault> {
    let given = given.unwrap_or_default();
    let kind = match given.types.as_deref() {
        None => "EDGE".to_owned(),
        Some([]) => {
            return Err(faults::bad("REGIONAL Configuration and EDGE Configuration cannot be both DISABLED."));
        }
        Some([one]) => one.clone(),
        Some(_) => return Err(faults::bad("Cannot create an api with multiple Endpoint Types.")),
    };
    let refused = [
        ("endpointConfiguration.types PRIVATE", kind == "PRIVATE"),
        ("endpointConfiguration.vpcEndpointIds", given.vpc_endpoint_ids.is_some_and(|ids| !ids.is_empty())),
    ];
    faults::refuse("CreateRestApi", &refused)?;
    Ok((kind, given.ip_address_type.unwrap_or_else(|| "ipv4".into())))
}

impl Handle<ops::CreateRestApi> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::CreateRestApiRequest,
        _: Body,
    ) -> Result<Answer<aws::RestApi>, Fault> {
        description(input.description.as_deref())?;
        let refused = [
            ("cloneFrom", input.clone_from.is_some()),
            ("policy", input.policy.is_some()),
            ("securityPolicy", input.security_policy.is_some()),
            ("endpointAccessMode", input.endpoint_access_mode.is_some()),
        ];
        faults::refuse("CreateRestApi", &refused)?;
        name(input.name.as_deref().unwrap_or_default())?;
        check::length("version", input.version.as_deref(), 0, 64)?;
        let (endpoint_type, ip_address_type) = endpoint(input.endpoint_configuration)?;
        let compression = input.minimum_compression_size.map(compression).transpose()?;
        let tags = input.tags.unwrap_or_default();
        check::tags(&tags)?;
        let api = Api {
            name: input.name.unwrap_or_default(),
            description: input.description,
            version: input.version,
            binary: input.binary_media_types.unwrap_or_default(),
            compression,
            endpoint_type,
            ip_address_type,
            key_source: input.api_key_source.unwrap_or_else(|| "HEADER".into()),
            endpoint_disabled: input.disable_execute_api_endpoint.unwrap_or_default(),
            tags,
            ..self.fresh(context.account, &context.region)?
        };
        Ok(self.make(api, |_| Ok(())).await?.api.show().into())
    }
}

impl RestApis {
    /// An API of a new id, with what every API has from its beginning.
    ///
    /// # Errors
    /// BadRequestException if there are too many; the store's.
    pub(super) fn fresh(&self, account: Account, region: &Region) -> Result<Api, Fault> {
        if self.owned(account, region)?.len() >= crate::limits::APIS {
            return Err(faults::too_many("APIs", crate::limits::APIS));
        }
        let rng = &*self.options().rng;
        let root = ids::fresh(rng, ROOT);
        Ok(Api {
            id: ids::fresh(rng, ids::API),
            account: account.as_str().to_owned(),
            region: region.as_str().to_owned(),
            name: String::new(),
            description: None,
            version: None,
            binary: Vec::new(),
            compression: None,
            endpoint_type: "EDGE".into(),
            ip_address_type: "ipv4".into(),
            key_source: "HEADER".into(),
            endpoint_disabled: false,
            tags: BTreeMap::new(),
            created_ms: self.options().clocks.product().0,
            root: root.clone(),
            resources: BTreeMap::from([(root, Resource::default())]),
            authorizers: BTreeMap::new(),
            validators: BTreeMap::new(),
            models: models::given(|| ids::fresh(rng, RESOURCE)),
            responses: BTreeMap::new(),
            stages: BTreeMap::new(),
            deployments: BTreeMap::new(),
        })
    }
}

impl Handle<ops::GetRestApi> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetRestApiRequest,
        _: Body,
    ) -> Result<Answer<aws::RestApi>, Fault> {
        Ok(self.api(context.account, &context.region, input.rest_api_id.as_deref())?.api.show().into())
    }
}

impl Handle<ops::GetRestApis> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetRestApisRequest,
        _: Body,
    ) -> Result<Answer<aws::RestApis>, Fault> {
        let page = page(input.limit, input.position.as_deref())?;
        let ids = self.owned(context.account, &context.region)?;
        let (ids, position) = page.cut(ids.into_iter().map(|id| (id.clone(), id)));
        let mut items = Vec::with_capacity(ids.len());
        for id in ids {
            // One may go while they are listed.
            if let Some(live) = self.live(&id)? {
                items.push(live.api.show());
            }
        }
        Ok(aws::RestApis { items: Some(items), position }.into())
    }
}

impl Handle<ops::UpdateRestApi> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::UpdateRestApiRequest,
        _: Body,
    ) -> Result<Answer<aws::RestApi>, Fault> {
        let patches = Patch::all(input.patch_operations)?;
        let update = move |draft: &mut Draft<'_>| {
            for patch in &patches {
                apply(&mut draft.api, patch)?;
            }
            // Where others show no tags, this shows that there are none.
            Ok(aws::RestApi { tags: Some(draft.api.tags.clone()), ..draft.api.show() })
        };
        let at = (context.account, &context.region);
        Ok(self.change(at, input.rest_api_id.as_deref(), Missing::Api, update).await?.into())
    }
}

fn apply(api: &mut Api, patch: &Patch) -> Result<(), Fault> {
    match *patch.parts() {
        ["name"] => {
            patch.replaces()?;
            let given = patch.or_empty();
            name(&given)?;
            api.name = given;
        }
        ["description"] => {
            api.description = patch.text()?;
            check::length("description", api.description.as_deref(), 0, 1024)?;
        }
        ["version"] => {
            api.version = patch.text()?;
            check::length("version", api.version.as_deref(), 0, 64)?;
        }
        ["binaryMediaTypes", named] => match &*patch.op {
            "add" => binary(&mut api.binary, named),
            "replace" => {
                api.binary.retain(|one| one != named);
                binary(&mut api.binary, &patch.or_empty());
            }
            "remove" => api.binary.retain(|one| one != named),
            _ => return Err(faults::bad("Invalid patch operation specified. Must be 'add'|'remove'|'replace'")),
        },
        ["minimumCompressionSize"] => {
            patch.replaces()?;
            let bytes = patch.value.as_deref().filter(|value| !value.is_empty());
            api.compression = bytes.map(|value| compression(value.parse().unwrap_or(-1))).transpose()?;
        }
        ["disableExecuteApiEndpoint"] => {
            patch.replaces()?;
            api.endpoint_disabled = patch.truth();
        }
        ["apiKeySource"] => {
            patch.replaces()?;
            let given = patch.or_empty();
            if !["HEADER", "AUTHORIZER"].contains(&&*given) {
                return Err(faults::bad("Invalid ApiKeySource specified. Valid options are HEADER,AUTHORIZER"));
            }
            api.key_source = given;
        }
        ["endpointConfiguration", "ipAddressType"] => {
            patch.replaces()?;
            let given = patch.or_empty();
            if !["ipv4", "dualstack"].contains(&&*given) {
                return Err(faults::bad("ipAddressType must be either ipv4 or dualstack."));
            }
            api.ip_address_type = given;
        }
        ["endpointConfiguration", "types", _] => {
            patch.replaces()?;
            match &*patch.or_empty() {
                "PRIVATE" => return Err(faults::absent("UpdateRestApi", "endpointConfiguration.types PRIVATE")),
                given @ ("REGIONAL" | "EDGE") => api.endpoint_type = given.to_owned(),
                _ => {
                    return Err(faults::bad(
                        "Invalid EndpointTypes specified. Valid options are REGIONAL,EDGE,PRIVATE",
                    ));
                }
            }
        }
        ["policy" | "securityPolicy" | "endpointAccessMode", ..] | ["endpointConfiguration", "vpcEndpointIds", ..] => {
            return Err(faults::absent("UpdateRestApi", format_args!("patch path {}", patch.path)));
        }
        _ => return Err(patch.wrong_path()),
    }
    Ok(())
}

pub(super) fn binary(types: &mut Vec<String>, one: &str) {
    if !one.is_empty() && !types.iter().any(|known| known == one) {
        types.push(one.to_owned());
    }
}

impl Handle<ops::DeleteRestApi> for RestApis {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteRestApiRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        self.remove(context.account, &context.region, input.rest_api_id.as_deref()).await?;
        Ok(Unit.into())
    }
}

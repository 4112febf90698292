//! CreateAlias, GetAlias, UpdateAlias, DeleteAlias, ListAliases.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::lambda::{self as aws, ops};
use wire::Unit;

use super::change::insist_on;
use super::list::{after, marker, page_size};
use super::version::bereave;
use super::{new_revision, provisioned, required, whole};
use crate::family::{Family, Step, Wanted};
use crate::name::{self, Address, LATEST, Qualifier, qualifier};
use crate::types::{Alias, Share};
use crate::{Functions, faults};

fn told(address: &Address, name: &str, alias: &Alias) -> aws::AliasConfiguration {
    let weights = alias.additional.as_ref().map(|share| BTreeMap::from([(share.version.clone(), share.weight)]));
    aws::AliasConfiguration {
        alias_arn: Some(address.qualified(Some(name))),
        name: Some(name.to_owned()),
        function_version: Some(alias.version.clone()),
        description: Some(alias.description.clone()),
        routing_config: weights
            .map(|weights| aws::AliasRoutingConfiguration { additional_version_weights: Some(weights) }),
        revision_id: Some(alias.revision.clone()),
    }
}

/// The share that a routing configuration gives another version; none when it is empty, which takes one away.
///
/// # Errors
/// AWS's words for more than one version, a weight out of bounds, and a version that has the rest already.
fn share(routing: aws::AliasRoutingConfiguration, main: &str) -> Result<Option<Share>, Fault> {
    let weights = routing.additional_version_weights.unwrap_or_default();
    if weights.len() > 1 {
        return Err(faults::invalid("Number of items in AdditionalVersionWeights cannot be greater than 1"));
    }
    let Some((version, weight)) = weights.into_iter().next() else { return Ok(None) };
    if !(0.0..=1.0).contains(&weight) {
        return Err(Fault::validation(format!(
            "1 validation error detected: Value '{{{version}={weight:?}}}' at 'routingConfig.additionalVersionWeights' \
             failed to satisfy constraint: Map value must satisfy constraint: [Member must have value less than or equal to \
             1.0, Member must have value greater than or equal to 0.0, Member must not be null]"
        )));
    }
    if version == main {
        return Err(faults::invalid(format!(
            "Invalid function version {version}. Function version {version} is already included in routing configuration."
        )));
    }
    if main == LATEST {
        return Err(faults::invalid("$LATEST is not supported for an alias pointing to more than 1 version"));
    }
    Ok(Some(Share { version, weight }))
}

/// The published versions behind an alias.
fn behind(alias: &Alias) -> Vec<u64> {
    let additional = alias.additional.as_ref().map(|share| share.version.as_str());
    let numbers = [Some(alias.version.as_str()), additional].into_iter().map(|version| match qualifier(version) {
        Qualifier::Version(number) => Some(number),
        _ => None,
    });
    numbers.flatten().collect()
}

/// Whether every version that an alias points to is there. Some may have to be read first.
fn points_to_something(family: &Family, address: &Address, alias: &Alias) -> Result<Step<()>, Fault> {
    let lacking: Vec<u64> = behind(alias).into_iter().filter(|number| !family.versions.contains_key(number)).collect();
    match lacking.iter().find(|number| family.read.versions.contains(number)) {
        Some(number) => Err(faults::no_function(&address.qualified(Some(&number.to_string())))),
        None if lacking.is_empty() => Ok(Step::Done(())),
        None => Ok(Step::Read(Wanted { versions: lacking, ..Wanted::default() })),
    }
}

/// The whole function whose aliases are meant.
fn address(context: &Context, text: Option<String>) -> Result<Address, Fault> {
    name::resolve_whole(context.account, &context.region, &required(text, "FunctionName")?)
}

fn no_alias(address: &Address, name: &str) -> Fault {
    faults::not_found(format!("Cannot find alias arn: {}", address.qualified(Some(name))))
}

impl Handle<ops::CreateAlias> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::CreateAliasRequest,
        _: Body,
    ) -> Result<Answer<aws::AliasConfiguration>, Fault> {
        let address = address(&context, input.function_name)?;
        let name = required(input.name, "Name")?;
        let version = required(input.function_version, "FunctionVersion")?;
        let alias = Alias {
            additional: share(input.routing_config.unwrap_or_default(), &version)?,
            version,
            description: input.description.unwrap_or_default(),
            revision: new_revision(&self),
            url: None,
        };
        let wanted = Wanted { versions: behind(&alias), aliases: vec![name.clone()], ..Wanted::default() };
        let (made, named, at) = (alias.clone(), name.clone(), address.clone());
        let create = move |family: &mut Family| {
            family.existing(&at)?;
            if family.aliases.contains_key(&named) {
                return Err(faults::conflict(format!("Alias already exists: {}", at.qualified(Some(&named)))));
            }
            let checked = points_to_something(family, &at, &made)?;
            family.aliases.insert(named.clone(), made.clone());
            Ok(checked)
        };
        self.state.alter_family(&address, wanted, create).await?;
        self.targets.forget(&address);
        Ok(told(&address, &name, &alias).into())
    }
}

impl Handle<ops::GetAlias> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetAliasRequest,
        _: Body,
    ) -> Result<Answer<aws::AliasConfiguration>, Fault> {
        let address = address(&context, input.function_name)?;
        let name = required(input.name, "Name")?;
        let alias = self.state.alias(&address, &name)?.ok_or_else(|| no_alias(&address, &name))?;
        Ok(told(&address, &name, &alias).into())
    }
}

impl Handle<ops::UpdateAlias> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::UpdateAliasRequest,
        _: Body,
    ) -> Result<Answer<aws::AliasConfiguration>, Fault> {
        let address = address(&context, input.function_name)?;
        let name = required(input.name, "Name")?;
        let (named, at, revision) = (name.clone(), address.clone(), new_revision(&self));
        let (version, description, routing) = (input.function_version, input.description, input.routing_config);
        let insisted = input.revision_id;
        let update = move |family: &mut Family| {
            family.existing(&at)?;
            let found = family.aliases.get(&named);
            let mut alias = found
                .cloned()
                .ok_or_else(|| faults::not_found(format!("Alias not found: {}", at.qualified(Some(&named)))))?;
            insist_on(&alias.revision, insisted.as_deref())?;
            if let Some(version) = &version {
                alias.version.clone_from(version);
            }
            let kept = alias.additional.clone().filter(|_| routing.is_none());
            let routing = routing.clone().unwrap_or_else(|| aws::AliasRoutingConfiguration {
                additional_version_weights: kept.map(|share| BTreeMap::from([(share.version, share.weight)])),
            });
            alias.additional = share(routing, &alias.version)?;
            if let Some(description) = &description {
                alias.description.clone_from(description);
            }
            alias.revision.clone_from(&revision);
            let checked = points_to_something(family, &at, &alias)?;
            family.aliases.insert(named.clone(), alias.clone());
            if family.existing(&at)?.provisioned.contains_key(&named) {
                provisioned::apart(family, &named)?;
                provisioned::without_snap_start(family, &named)?;
            }
            Ok(checked.map(|()| alias))
        };
        let wanted = Wanted { aliases: vec![name.clone()], ..Wanted::default() };
        let alias = self.state.alter_family(&address, wanted, update).await?;
        self.targets.forget(&address);
        self.provision(&address);
        Ok(told(&address, &name, &alias).into())
    }
}

/// An alias that is not there is no mistake, as on AWS.
impl Handle<ops::DeleteAlias> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteAliasRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let address = address(&context, input.function_name)?;
        let name = required(input.name, "Name")?;
        let wanted = Wanted { aliases: vec![name.clone()], ..Wanted::default() };
        let at = address.clone();
        let delete = move |family: &mut Family| {
            family.aliases.remove(&name);
            bereave(family.existing(&at)?, &name);
            Ok(Step::Done(()))
        };
        self.state.alter_family(&address, wanted, delete).await?;
        self.targets.forget(&address);
        self.provision(&address);
        Ok(Unit.into())
    }
}

impl Handle<ops::ListAliases> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::ListAliasesRequest,
        _: Body,
    ) -> Result<Answer<aws::ListAliasesResponse>, Fault> {
        let text = required(input.function_name, "FunctionName")?;
        let (address, _) = whole(&self, &context, &text)?;
        let wanted = page_size(input.max_items);
        let mut from = after(input.marker.as_deref())?;
        let mut found = Vec::new();
        // Pages of the store, until there is one more than wanted: that shows whether another page follows.
        while found.len() <= wanted {
            let page = self.state.aliases(&address, from.as_deref(), wanted + 1)?;
            let last = page.len() <= wanted;
            from = page.last().map(|(name, _)| name.clone());
            let fits = |alias: &Alias| input.function_version.as_ref().is_none_or(|version| alias.reaches(version));
            found.extend(page.into_iter().filter(|(_, alias)| fits(alias)));
            if last {
                break;
            }
        }
        let more = found.len() > wanted;
        found.truncate(wanted);
        let next_marker = found.last().filter(|_| more).map(|(name, _)| marker(name));
        let aliases = found.iter().map(|(name, alias)| told(&address, name, alias)).collect();
        Ok(aws::ListAliasesResponse { next_marker, aliases: Some(aliases) }.into())
    }
}

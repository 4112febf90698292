//! PutProvisionedConcurrencyConfig, GetProvisionedConcurrencyConfig, DeleteProvisionedConcurrencyConfig,
//! ListProvisionedConcurrencyConfigs.

use std::sync::Arc;

use base::{Fault, Timestamp};
use door::{Answer, Body, Context, Handle};
use model::lambda::{self as aws, ops};
use wire::Unit;

use super::list::{after, marker, page_size};
use super::{required, whole};
use crate::family::{Family, Step, Wanted};
use crate::name::{self, LATEST, Named, Qualifier, qualifier};
use crate::provisioning::Progress;
use crate::types::{Alias, Provisioned};
use crate::{Functions, faults, rules};

/// The version or alias that is meant, which has to be published.
fn meant(context: &Context, text: Option<String>, given: Option<String>, latest: &str) -> Result<Named, Fault> {
    let given = required(given, "Qualifier")?;
    let named = name::resolve(context.account, &context.region, &required(text, "FunctionName")?, Some(&given))?;
    match qualifier(named.qualifier.as_deref()) {
        Qualifier::Latest => Err(faults::invalid(latest)),
        _ => Ok(named),
    }
}

/// AWS's words for a version or alias that is not there.
fn missing(named: &Named) -> Fault {
    let arn = named.address.qualified(named.qualifier.as_deref());
    match qualifier(named.qualifier.as_deref()) {
        Qualifier::Alias(_) => faults::not_found(format!("Cannot find alias arn: {arn}")),
        _ => faults::no_function(&arn),
    }
}

fn none_there() -> Fault {
    aws::provisioned_concurrency_config_not_found_exception("No Provisioned Concurrency Config found for this function")
        .with("Type", "User")
}

/// Whether a version and an alias to it would both be provisioned.
///
/// # Errors
/// AWS's words, which differ by which of them comes second.
pub(super) fn apart(family: &Family, named: &str) -> Result<(), Fault> {
    let Some(function) = &family.function else { return Ok(()) };
    let provisioned = |qualifier: &str| function.provisioned.contains_key(qualifier);
    if let Some(alias) = family.aliases.get(named) {
        if alias.reaches(LATEST) {
            return Err(faults::invalid(
                "Provisioned Concurrency Configs cannot be applied to unpublished function versions.",
            ));
        }
        let share = alias.additional.as_ref().map(|share| share.version.as_str());
        if provisioned(&alias.version) || share.is_some_and(provisioned) {
            return Err(faults::conflict(
                "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version",
            ));
        }
        return Ok(());
    }
    let by_alias = |(name, alias): (&String, &Alias)| provisioned(name) && alias.reaches(named);
    if family.aliases.iter().any(by_alias) {
        return Err(faults::conflict("Version is pointed by a Provisioned Concurrency alias"));
    }
    Ok(())
}

/// Whether nothing that is named, a version or what an alias reaches, is under SnapStart.
///
/// # Errors
/// AWS's words when something is.
pub(super) fn without_snap_start(family: &Family, named: &str) -> Result<(), Fault> {
    let meant = |number: &u64| {
        let number = number.to_string();
        number == named || family.aliases.get(named).is_some_and(|alias| alias.reaches(&number))
    };
    if family.versions.iter().any(|(number, version)| version.settings.snap_start && meant(number)) {
        return Err(faults::invalid("Provisioned Concurrency is not supported for SnapStart enabled functions."));
    }
    Ok(())
}

impl Handle<ops::PutProvisionedConcurrencyConfig> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::PutProvisionedConcurrencyConfigRequest,
        _: Body,
    ) -> Result<Answer<aws::PutProvisionedConcurrencyConfigResponse>, Fault> {
        let latest = "Provisioned Concurrency Configs cannot be applied to unpublished function versions.";
        let named = meant(&context, input.function_name, input.qualifier, latest)?;
        let asked = input.provisioned_concurrent_executions.unwrap_or_default();
        if asked < 1 {
            let must = "have value greater than or equal to 1";
            return Err(faults::constraint(asked, "provisionedConcurrentExecutions", must));
        }
        let wanted = u32::try_from(asked).unwrap_or(u32::MAX);
        let modified_ms = self.options.clocks.product().0;
        let config = Provisioned { wanted, modified_ms };
        let of = named.clone();
        let put = move |family: &mut Family| {
            let text = of.qualifier.as_deref().unwrap_or_default();
            if family.function.is_none() {
                return Err(missing(&of));
            }
            if !family.complete {
                return Ok(Step::ReadAll);
            }
            let there = match qualifier(Some(text)) {
                Qualifier::Version(number) => family.versions.contains_key(&number),
                _ => family.aliases.contains_key(text),
            };
            if !there {
                return Err(missing(&of));
            }
            apart(family, text)?;
            without_snap_start(family, text)?;
            let function = family.existing(&of.address)?;
            function.provisioned.insert(text.to_owned(), config.clone());
            if function.reserved.is_some_and(|reserved| function.provisioned_sum() > reserved) {
                return Err(faults::invalid(
                    "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function",
                ));
            }
            Ok(Step::Done(()))
        };
        self.state.alter_family(&named.address, Wanted::default(), put).await?;
        self.provision(&named.address);
        let answer = aws::PutProvisionedConcurrencyConfigResponse {
            requested_provisioned_concurrent_executions: Some(asked),
            allocated_provisioned_concurrent_executions: Some(0),
            available_provisioned_concurrent_executions: Some(0),
            status: Some("IN_PROGRESS".into()),
            status_reason: None,
            last_modified: Some(rules::date(Timestamp(modified_ms))),
        };
        Ok(answer.into())
    }
}

impl Handle<ops::GetProvisionedConcurrencyConfig> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetProvisionedConcurrencyConfigRequest,
        _: Body,
    ) -> Result<Answer<aws::GetProvisionedConcurrencyConfigResponse>, Fault> {
        let latest = "The function resource provided must be an alias or a published version.";
        let named = meant(&context, input.function_name, input.qualifier, latest)?;
        let found =
            self.find(named.clone()).map_err(|fault| if fault.status == 404 { missing(&named) } else { fault })?;
        let text = named.qualifier.as_deref().unwrap_or_default();
        let config = found.function.provisioned.get(text).ok_or_else(none_there)?;
        let progress = self.progress(&named.address, &found.function)?.remove(text).ok_or_else(none_there)?;
        let answer = aws::GetProvisionedConcurrencyConfigResponse {
            requested_provisioned_concurrent_executions: Some(config.wanted.into()),
            available_provisioned_concurrent_executions: Some(progress.allocated.into()),
            allocated_provisioned_concurrent_executions: Some(progress.allocated.into()),
            status: Some(progress.status.into()),
            status_reason: progress.reason,
            last_modified: Some(rules::date(Timestamp(config.modified_ms))),
        };
        Ok(answer.into())
    }
}

impl Handle<ops::DeleteProvisionedConcurrencyConfig> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteProvisionedConcurrencyConfigRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let latest = "The function resource provided must be an alias or a published version.";
        let named = meant(&context, input.function_name, input.qualifier, latest)?;
        self.find(named.clone()).map_err(|fault| if fault.status == 404 { missing(&named) } else { fault })?;
        let text = named.qualifier.clone().unwrap_or_default();
        super::alter(&self, &named.address, move |function| {
            function.provisioned.remove(&text);
            Ok(())
        })
        .await?;
        self.provision(&named.address);
        Ok(Unit.into())
    }
}

impl Handle<ops::ListProvisionedConcurrencyConfigs> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::ListProvisionedConcurrencyConfigsRequest,
        _: Body,
    ) -> Result<Answer<aws::ListProvisionedConcurrencyConfigsResponse>, Fault> {
        let text = required(input.function_name, "FunctionName")?;
        let (address, function) = whole(&self, &context, &text)?;
        let wanted = page_size(input.max_items);
        let from = after(input.marker.as_deref())?;
        let later = |name: &str| from.as_deref().is_none_or(|from| name > from);
        let mut found: Vec<_> = function.provisioned.iter().filter(|(name, _)| later(name)).take(wanted + 1).collect();
        let more = found.len() > wanted;
        found.truncate(wanted);
        let next_marker = found.last().filter(|_| more).map(|(name, _)| marker(name));
        let mut configs = Vec::new();
        let mut progress = self.progress(&address, &function)?;
        for (name, config) in found {
            let Some(Progress { allocated, status, reason }) = progress.remove(name) else { continue };
            configs.push(aws::ProvisionedConcurrencyConfigListItem {
                function_arn: Some(address.qualified(Some(name))),
                requested_provisioned_concurrent_executions: Some(config.wanted.into()),
                available_provisioned_concurrent_executions: Some(allocated.into()),
                allocated_provisioned_concurrent_executions: Some(allocated.into()),
                status: Some(status.into()),
                status_reason: reason,
                last_modified: Some(rules::date(Timestamp(config.modified_ms))),
            });
        }
        let provisioned_concurrency_configs = Some(configs);
        Ok(aws::ListProvisionedConcurrencyConfigsResponse { provisioned_concurrency_configs, next_marker }.into())
    }
}

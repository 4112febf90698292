//! The operations of CloudWatch Logs and CloudWatch's metrics, by topic. What is not registered here is NotImplemented.

pub(crate) mod events;
mod groups;
mod live;
mod metrics;
mod put;
mod streams;
mod subscriptions;
mod tags;

use std::sync::Arc;

use base::{Arn, Fault};
use door::{Context, RouterBuilder};
use model::cloudwatch;
use model::logs::ops;

use crate::Observe;
use crate::faults;
use crate::state::GroupName;

/// Registers every operation the room carries out: this list is the coverage.
pub fn register(builder: RouterBuilder, observe: &Arc<Observe>) -> RouterBuilder {
    builder
        .knows("cloudwatch", Arc::<Observe>::clone(observe))
        .on::<cloudwatch::ops::PutMetricData, _>(observe)
        .on::<cloudwatch::ops::GetMetricData, _>(observe)
        .on::<cloudwatch::ops::GetMetricStatistics, _>(observe)
        .on::<cloudwatch::ops::ListMetrics, _>(observe)
        .knows("logs", Arc::<Observe>::clone(observe))
        .on::<ops::CreateLogGroup, _>(observe)
        .on::<ops::DeleteLogGroup, _>(observe)
        .on::<ops::DescribeLogGroups, _>(observe)
        .on::<ops::PutRetentionPolicy, _>(observe)
        .on::<ops::DeleteRetentionPolicy, _>(observe)
        .on::<ops::CreateLogStream, _>(observe)
        .on::<ops::DeleteLogStream, _>(observe)
        .on::<ops::DescribeLogStreams, _>(observe)
        .on::<ops::PutLogEvents, _>(observe)
        .on::<ops::GetLogEvents, _>(observe)
        .on::<ops::FilterLogEvents, _>(observe)
        .on::<ops::StartLiveTail, _>(observe)
        .on::<ops::PutSubscriptionFilter, _>(observe)
        .on::<ops::DescribeSubscriptionFilters, _>(observe)
        .on::<ops::DeleteSubscriptionFilter, _>(observe)
        .on::<ops::TagResource, _>(observe)
        .on::<ops::UntagResource, _>(observe)
        .on::<ops::ListTagsForResource, _>(observe)
        .on::<ops::ListTagsLogGroup, _>(observe)
        .on::<ops::TagLogGroup, _>(observe)
        .on::<ops::UntagLogGroup, _>(observe)
}

/// A group of the caller's account and region.
fn own(context: &Context, name: String) -> GroupName {
    GroupName { account: context.account, region: context.region.clone(), name }
}

/// The group of `logGroupName` or `logGroupIdentifier`, of which exactly one must be given.
fn either(context: &Context, name: Option<String>, identifier: Option<String>) -> Result<GroupName, Fault> {
    match (name, identifier) {
        (Some(name), None) => Ok(own(context, name)),
        (None, Some(identifier)) => identified(context, identifier),
        (Some(_), Some(_)) => Err(faults::invalid("Only one of logGroupName and logGroupIdentifier may be given.")),
        (None, None) => Err(faults::invalid("One of logGroupName and logGroupIdentifier must be given.")),
    }
}

/// The group an identifier names: a name or an ARN.
fn identified(context: &Context, identifier: String) -> Result<GroupName, Fault> {
    if identifier.starts_with("arn:") { by_arn(context, &identifier) } else { Ok(own(context, identifier)) }
}

/// The group an ARN names, with or without `:*` at its end. Another account's or region's is not found.
fn by_arn(context: &Context, arn: &str) -> Result<GroupName, Fault> {
    let parsed: Arn = arn.parse().map_err(|_| faults::invalid(format!("The ARN {arn} is not valid.")))?;
    let name = parsed.resource.strip_prefix("log-group:").filter(|_| parsed.service == "logs");
    let name = name.ok_or_else(|| faults::invalid(format!("The ARN {arn} does not name a log group.")))?;
    let name = name.strip_suffix(":*").unwrap_or(name);
    let elsewhere = parsed.account != context.account.as_str() || parsed.region != context.region.as_str();
    // Policies see the ARN as it was given: no second spelling of a group may pass them.
    if elsewhere || parsed.partition != "aws" {
        return Err(faults::no_group());
    }
    Ok(own(context, name.to_owned()))
}

/// Refuses to change what the audit log says: only the platform writes there.
///
/// # Errors
/// `AccessDeniedException`.
fn not_the_audit_log(group: &str) -> Result<(), Fault> {
    if group == door::AUDIT_GROUP {
        return Err(Fault::new("AccessDeniedException", 400, format!("{group} is written by the platform alone.")));
    }
    Ok(())
}

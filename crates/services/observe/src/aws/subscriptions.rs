//! Subscription filters.

use std::sync::Arc;

use base::{Arn, Fault, Principal, RequestId};
use door::{Answer, Body, Call, Context, Handle, Input, Origin, Via};
use model::lambda::{self, ops as lambda_ops};
use model::logs::{self, ops};
use wire::{Op, Unit};

use super::groups::PAGE;
use super::own;
use crate::Observe;
use crate::faults;
use crate::rules::pattern::Pattern;
use crate::rules::token;
use crate::state::GroupName;
use crate::subscribe::{PRINCIPAL, source_arn};
use crate::types::Subscription;

/// Subscription filters of one group.
/// Source: CloudWatch Logs User Guide, "CloudWatch Logs quotas".
const SUBSCRIPTIONS: usize = 2;

impl Handle<ops::PutSubscriptionFilter> for Observe {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: logs::PutSubscriptionFilterRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let refused = [
            ("applyOnTransformedLogs", input.apply_on_transformed_logs == Some(true)),
            ("fieldSelectionCriteria", input.field_selection_criteria.is_some()),
            ("emitSystemFields", input.emit_system_fields.is_some()),
        ];
        if let Some((member, _)) = refused.iter().find(|(_, given)| *given) {
            return Err(Fault::not_implemented(format_args!("{member} of logs:PutSubscriptionFilter")));
        }
        let group = own(&context, input.log_group_name.unwrap_or_default());
        let pattern = input.filter_pattern.unwrap_or_default();
        Pattern::parse(&pattern).map_err(|wrong| faults::invalid(wrong.message("subscription filter")))?;
        let destination = input.destination_arn.unwrap_or_default();
        function(&destination, input.role_arn.is_some())?;
        self.queue.flush().await;
        self.group(&group)?;
        self.try_out(&context, &group, &destination).await?;
        let name = input.filter_name.unwrap_or_default();
        let fresh = Subscription {
            pattern,
            destination,
            distribution: input.distribution.unwrap_or_else(|| "ByLogStream".into()),
            created_ms: self.clocks.product().0,
        };
        self.change_group(&group, move |group| {
            if !group.subscriptions.contains_key(&name) && group.subscriptions.len() >= SUBSCRIPTIONS {
                return Err(logs::limit_exceeded_exception("Resource limit exceeded."));
            }
            group.subscriptions.insert(name.clone(), fresh.clone());
            Ok(())
        })
        .await?;
        Ok(Unit.into())
    }
}

/// Whether a destination is a function's.
fn function(destination: &str, has_role: bool) -> Result<(), Fault> {
    let parsed: Arn =
        destination.parse().map_err(|_| faults::invalid(format!("The destination ARN {destination} is not valid.")))?;
    match parsed.service.as_str() {
        "lambda" if has_role => Err(faults::invalid("destinationArn for vendor lambda cannot be used with roleArn")),
        "lambda" => Ok(()),
        vendor @ ("kinesis" | "firehose" | "logs") => {
            Err(Fault::not_implemented(format_args!("a destinationArn of {vendor} of logs:PutSubscriptionFilter")))
        }
        vendor => Err(faults::invalid(format!(
            "PutSubscriptionFilter operation cannot work with destinationArn for vendor {vendor}"
        ))),
    }
}

impl Observe {
    /// Asks whether the function is there and lets the group in, without running it.
    async fn try_out(&self, context: &Context, group: &GroupName, function: &str) -> Result<(), Fault> {
        let input = lambda::InvocationRequest {
            function_name: Some(function.to_owned()),
            invocation_type: Some("DryRun".into()),
            ..Default::default()
        };
        let call = Call {
            principal: Principal::Service {
                name: PRINCIPAL,
                source_arn: source_arn(group),
                source_account: group.account,
            },
            via: Via::Room("logs"),
            origin: Origin { secure: true, ..Origin::default() },
            operation: lambda_ops::Invoke::ROW,
            input: Input::Typed(Box::new(input)),
            body: Body::Empty,
            region: group.region.clone(),
            request_id: RequestId::new(&*self.rng),
            deadline: context.deadline,
            depth: context.depth.saturating_add(1),
            trace: None,
        };
        self.dispatch.call(call).await.map(drop).map_err(|fault| {
            tracing::debug!(%fault, %function, "a subscription's function cannot be invoked");
            faults::invalid(
                "Could not execute the lambda function. Make sure you have given CloudWatch Logs permission to execute \
                 your function.",
            )
        })
    }
}

impl Handle<ops::DescribeSubscriptionFilters> for Observe {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: logs::DescribeSubscriptionFiltersRequest,
        _: Body,
    ) -> Result<Answer<logs::DescribeSubscriptionFiltersResponse>, Fault> {
        let name = own(&context, input.log_group_name.unwrap_or_default());
        self.queue.flush().await;
        let group = self.group(&name)?;
        let after = input.next_token.as_deref().map(|text| token::read_name(text).ok_or_else(faults::bad_token));
        let after = after.transpose()?;
        let prefix = input.filter_name_prefix.unwrap_or_default();
        let wanted = group
            .subscriptions
            .iter()
            .filter(|(filter, _)| filter.starts_with(&prefix) && after.as_ref().is_none_or(|after| *filter > after));
        let limit = usize::try_from(input.limit.unwrap_or(PAGE)).unwrap_or(1);
        let mut shown: Vec<_> = wanted.take(limit + 1).map(|(filter, one)| show(&name.name, filter, one)).collect();
        let more = shown.len() > limit;
        shown.truncate(limit);
        let last = shown.last().filter(|_| more).and_then(|one| one.filter_name.as_deref());
        let next_token = last.map(token::print_name);
        Ok(logs::DescribeSubscriptionFiltersResponse { subscription_filters: Some(shown), next_token }.into())
    }
}

fn show(group: &str, name: &str, subscription: &Subscription) -> logs::SubscriptionFilter {
    logs::SubscriptionFilter {
        filter_name: Some(name.to_owned()),
        log_group_name: Some(group.to_owned()),
        filter_pattern: Some(subscription.pattern.clone()),
        destination_arn: Some(subscription.destination.clone()),
        distribution: Some(subscription.distribution.clone()),
        creation_time: Some(subscription.created_ms),
        ..Default::default()
    }
}

impl Handle<ops::DeleteSubscriptionFilter> for Observe {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: logs::DeleteSubscriptionFilterRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let group = own(&context, input.log_group_name.unwrap_or_default());
        let name = input.filter_name.unwrap_or_default();
        self.change_group(&group, move |group| {
            group.subscriptions.remove(&name).map(drop).ok_or_else(faults::no_subscription)
        })
        .await?;
        Ok(Unit.into())
    }
}

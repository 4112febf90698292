//! Put, Update, Get, Delete and ListFunctionEventInvokeConfig(s): how asynchronous invocations end.

use std::sync::Arc;

use base::{Fault, Timestamp};
use door::{Answer, Ask, Body, ConditionKeys, Context, Handle, Mode};
use model::lambda::{self as aws, ops};
use wire::Unit;

use super::list::{after, marker};
use super::{alter, required, whole};
use crate::find::Found;
use crate::name::{self, LATEST, Named};
use crate::queue::{Queue, no_queue, role_of};
use crate::types::{EventInvoke, Function};
use crate::{Functions, destination, faults};

/// Most of one page. Source: AWS Lambda API reference, `ListFunctionEventInvokeConfigs`.
const PAGE: i64 = 50;

/// What a request asks for.
struct Asked {
    operation: &'static str,
    retries: Option<i64>,
    max_age_s: Option<i64>,
    destinations: Option<aws::DestinationConfig>,
}

/// Under which key a configuration stands in its function's row.
fn key(named: &Named) -> String {
    named.qualifier.as_deref().unwrap_or(LATEST).to_owned()
}

fn shown(named: &Named, key: &str, config: EventInvoke) -> aws::FunctionEventInvokeConfig {
    aws::FunctionEventInvokeConfig {
        last_modified: Some(Timestamp(config.modified_ms)),
        function_arn: Some(named.address.qualified(Some(key))),
        maximum_retry_attempts: config.retries.map(i64::from),
        maximum_event_age_in_seconds: config.max_age_s.map(i64::from),
        destination_config: Some(aws::DestinationConfig {
            on_success: Some(aws::OnSuccess { destination: config.on_success }),
            on_failure: Some(aws::OnFailure { destination: config.on_failure }),
        }),
    }
}

fn none_there(named: &Named) -> Fault {
    let arn = named.address.qualified(Some(&key(named)));
    faults::not_found(format!("The function {arn} doesn't have an EventInvokeConfig"))
}

impl Functions {
    /// The function and qualifier of a request.
    fn configured(&self, context: &Context, name: Option<String>, qualifier: Option<&str>) -> Result<Found, Fault> {
        let named = name::resolve(context.account, &context.region, &required(name, "FunctionName")?, qualifier)?;
        match self.find(named) {
            Ok(found) => Ok(found),
            Err(fault) if fault.status == 404 => Err(faults::not_found("The function doesn't exist.")),
            Err(fault) => Err(fault),
        }
    }

    /// One destination of a request, checked; an empty one takes it away.
    async fn destination(
        &self,
        context: &Context,
        found: &Found,
        member: String,
        arn: Option<String>,
    ) -> Result<Option<String>, Fault> {
        let Some(arn) = arn.filter(|arn| !arn.is_empty()) else { return Ok(None) };
        let missing = match arn.split(':').nth(2).unwrap_or_default() {
            _ if arn.starts_with("kafka://") => Some("Kafka"),
            "sqs" => {
                self.accepts_queue(context, found, &arn).await?;
                return Ok(Some(arn));
            }
            "sns" => Some("SNS"),
            "events" => Some("EventBridge"),
            "s3" => Some("S3"),
            _ => None,
        };
        if let Some(service) = missing {
            return Err(Fault::not_implemented(format_args!(
                "{member} to {service}: destinations are functions and queues"
            )));
        }
        let invalid = || faults::invalid(format!("The destination ARN {arn} is invalid."));
        let target = destination::function(&context.region, &arn).ok_or_else(invalid)?;
        if target.address.account != context.account {
            return Err(Fault::not_implemented(format_args!("{member} in another account")));
        }
        self.find(target.clone()).map_err(|fault| if fault.status == 404 { invalid() } else { fault })?;
        if target.address == found.named.address {
            return Err(faults::invalid("You can't specify the function as a destination for itself."));
        }
        self.role_may_invoke(context, found, &arn)?;
        Ok(Some(arn))
    }

    /// Checks that a function's role may send to a queue that is there.
    async fn accepts_queue(&self, context: &Context, found: &Found, arn: &str) -> Result<(), Fault> {
        let invalid = || faults::invalid(format!("The destination ARN {arn} is invalid."));
        // Source: AWS Lambda Developer Guide, "Capturing records of Lambda asynchronous invocations": FIFO queues are none.
        let queue = Queue::of(arn).filter(|queue| queue.region == context.region && !queue.is_fifo());
        let queue = queue.ok_or_else(invalid)?;
        let about = self.look_at_queue(&queue).await;
        let looked = (&queue, about.as_ref().ok());
        if self.role_may_not((context, &role_of(found)), looked, &["sqs:SendMessage"]).is_some() {
            return Err(faults::invalid(format!(
                "The function's execution role does not have permissions to call SendMessage on {arn}"
            )));
        }
        about.map(drop).map_err(|fault| if no_queue(&fault) { invalid() } else { fault })
    }

    /// As on AWS, what the function's role may not call is refused when it is configured, not when it is called.
    fn role_may_invoke(&self, context: &Context, found: &Found, arn: &str) -> Result<(), Fault> {
        if self.options.gate.mode() != Mode::Enforce {
            return Ok(());
        }
        let principal = role_of(found);
        let ask = Ask {
            principal: &principal,
            key_id: None,
            action: "lambda:InvokeFunction",
            resource: arn,
            owner: None,
            policy: None,
            trust: false,
            keys: &ConditionKeys::new,
        };
        self.options.gate.authorise(&ask, context.request_id).map_err(|_| {
            faults::invalid(format!(
                "The function execution role does not have permissions to call InvokeFunction on {arn}"
            ))
        })
    }

    /// Writes what a request asks for over `before`.
    async fn configure(
        &self,
        context: &Context,
        found: Found,
        asked: Asked,
        before: EventInvoke,
        must_exist: bool,
    ) -> Result<aws::FunctionEventInvokeConfig, Fault> {
        if asked.retries.is_none() && asked.max_age_s.is_none() && asked.destinations.is_none() {
            return Err(faults::invalid("You must specify at least one of error handling or destination setting."));
        }
        let number = |value: Option<i64>| value.and_then(|value| u32::try_from(value).ok());
        let mut next = EventInvoke {
            retries: number(asked.retries).or(before.retries),
            max_age_s: number(asked.max_age_s).or(before.max_age_s),
            modified_ms: self.options.clocks.product().0,
            ..before
        };
        let member = |name: &str| format!("{}.DestinationConfig.{name}", asked.operation);
        let destinations = asked.destinations.unwrap_or_default();
        if let Some(on_success) = destinations.on_success {
            next.on_success = self.destination(context, &found, member("OnSuccess"), on_success.destination).await?;
        }
        if let Some(on_failure) = destinations.on_failure {
            next.on_failure = self.destination(context, &found, member("OnFailure"), on_failure.destination).await?;
        }
        let named = found.named;
        let (at, written, missing) = (key(&named), next.clone(), none_there(&named));
        alter(self, &named.address, move |function| {
            if must_exist && !function.event_invoke.contains_key(&at) {
                return Err(missing.clone());
            }
            function.event_invoke.insert(at.clone(), written.clone());
            Ok(())
        })
        .await?;
        Ok(shown(&named, &key(&named), next))
    }
}

impl Handle<ops::PutFunctionEventInvokeConfig> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::PutFunctionEventInvokeConfigRequest,
        _: Body,
    ) -> Result<Answer<aws::FunctionEventInvokeConfig>, Fault> {
        let found = self.configured(&context, input.function_name, input.qualifier.as_deref())?;
        let asked = Asked {
            operation: "PutFunctionEventInvokeConfig",
            retries: input.maximum_retry_attempts,
            max_age_s: input.maximum_event_age_in_seconds,
            destinations: input.destination_config,
        };
        self.configure(&context, found, asked, EventInvoke::default(), false).await.map(Answer::from)
    }
}

impl Handle<ops::UpdateFunctionEventInvokeConfig> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::UpdateFunctionEventInvokeConfigRequest,
        _: Body,
    ) -> Result<Answer<aws::FunctionEventInvokeConfig>, Fault> {
        let found = self.configured(&context, input.function_name, input.qualifier.as_deref())?;
        let asked = Asked {
            operation: "UpdateFunctionEventInvokeConfig",
            retries: input.maximum_retry_attempts,
            max_age_s: input.maximum_event_age_in_seconds,
            destinations: input.destination_config,
        };
        let before = found.function.event_invoke.get(&key(&found.named)).cloned();
        let before = before.ok_or_else(|| none_there(&found.named))?;
        self.configure(&context, found, asked, before, true).await.map(Answer::from)
    }
}

impl Handle<ops::GetFunctionEventInvokeConfig> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::GetFunctionEventInvokeConfigRequest,
        _: Body,
    ) -> Result<Answer<aws::FunctionEventInvokeConfig>, Fault> {
        let Found { named, mut function, .. } =
            self.configured(&context, input.function_name, input.qualifier.as_deref())?;
        let config = function.event_invoke.remove(&key(&named)).ok_or_else(|| none_there(&named))?;
        Ok(shown(&named, &key(&named), config).into())
    }
}

impl Handle<ops::DeleteFunctionEventInvokeConfig> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::DeleteFunctionEventInvokeConfigRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let Found { named, .. } = self.configured(&context, input.function_name, input.qualifier.as_deref())?;
        let (at, missing) = (key(&named), none_there(&named));
        let remove = move |function: &mut Function| match function.event_invoke.remove(&at) {
            Some(_) => Ok(()),
            None => Err(missing.clone()),
        };
        alter(&self, &named.address, remove).await?;
        Ok(Unit.into())
    }
}

impl Handle<ops::ListFunctionEventInvokeConfigs> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::ListFunctionEventInvokeConfigsRequest,
        _: Body,
    ) -> Result<Answer<aws::ListFunctionEventInvokeConfigsResponse>, Fault> {
        let text = required(input.function_name, "FunctionName")?;
        let (address, function) = whole(&self, &context, &text).map_err(|fault| {
            if fault.status == 404 { faults::not_found("The function doesn't exist.") } else { fault }
        })?;
        let named = Named { address, qualifier: None };
        let after = after(input.marker.as_deref())?;
        let wanted = usize::try_from(input.max_items.unwrap_or(PAGE).clamp(1, PAGE)).expect("it is 1..=50");
        let rest = function.event_invoke.into_iter().filter(|(key, _)| after.as_ref().is_none_or(|after| key > after));
        // One more than wanted shows whether there is another page.
        let mut page: Vec<_> = rest.take(wanted + 1).collect();
        let more = page.len() > wanted;
        page.truncate(wanted);
        let next_marker = page.last().filter(|_| more).map(|(key, _)| marker(key));
        let configs = page.into_iter().map(|(key, config)| shown(&named, &key, config)).collect();
        Ok(aws::ListFunctionEventInvokeConfigsResponse { function_event_invoke_configs: Some(configs), next_marker }
            .into())
    }
}

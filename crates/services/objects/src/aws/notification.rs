//! Notification configurations.

use std::sync::Arc;

use base::{Fault, Principal, RequestId};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use door::{Answer, Body, Call, Context, Handle, Input, Origin, Via};
use model::lambda::{self, ops as lambda_ops};
use model::s3::{self, ops};
use model::sqs::{self, ops as sqs_ops};
use wire::{Op, Unit};

use super::refuse;
use crate::Objects;
use crate::cause::Cause;
use crate::notify::{PRINCIPAL, Queue, SETTING, source_arn};
use crate::rules::destinations::{self, Kind};
use crate::rules::record;
use crate::types::Bucket;

/// What is said of a FIFO queue before it is asked.
const FIFO: &str = "FifoQueue";

/// The fields in which a fault names the destinations that are wrong, as many as it names.
const NUMBERED: [(&str, &str); 8] = [
    ("ArgumentName1", "ArgumentValue1"),
    ("ArgumentName2", "ArgumentValue2"),
    ("ArgumentName3", "ArgumentValue3"),
    ("ArgumentName4", "ArgumentValue4"),
    ("ArgumentName5", "ArgumentValue5"),
    ("ArgumentName6", "ArgumentValue6"),
    ("ArgumentName7", "ArgumentValue7"),
    ("ArgumentName8", "ArgumentValue8"),
];

impl Handle<ops::PutBucketNotificationConfiguration> for Objects {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: s3::PutBucketNotificationConfigurationRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let owner = input.expected_bucket_owner.as_deref();
        let name = input.bucket.unwrap_or_default();
        let bucket = self.bucket(Some(&name), owner)?;
        let mut configuration = input.notification_configuration.unwrap_or_default();
        let unproved = input.skip_destination_validation == Some(true);
        let topics = configuration.topic_configurations.as_ref().is_some_and(|topics| !topics.is_empty());
        refuse(&[
            ("NotificationConfiguration.EventBridgeConfiguration", configuration.event_bridge_configuration.is_some()),
            ("SkipDestinationValidation for topics", unproved && topics),
        ])?;
        let mut all = destinations::of(&mut configuration);
        // As AWS's look: base64 of a UUID.
        destinations::check(&mut all, &bucket.region(), || STANDARD.encode(RequestId::new(&*self.rng).to_string()))?;
        if !unproved {
            let mut wrong = Vec::new();
            for one in &all {
                wrong.extend(self.wrong(&context, (&name, &bucket), one.kind, one.arn).await);
            }
            unreachable_destinations(wrong)?;
        }
        let kept = (!all.is_empty()).then(|| wire::keep(&configuration));
        self.edit(Some(name), owner, move |bucket| {
            match &kept {
                Some(kept) => bucket.settings.insert(SETTING.to_owned(), kept.clone()),
                None => bucket.settings.remove(SETTING),
            };
            Ok(())
        })
        .await?;
        Ok(Unit.into())
    }
}

/// The answer when events would not arrive. Each has a name and a value of its own.
fn unreachable_destinations(wrong: Vec<(String, String)>) -> Result<(), Fault> {
    if wrong.is_empty() {
        return Ok(());
    }
    let fault = Fault::new("InvalidArgument", 400, "Unable to validate the following destination configurations");
    Err(wrong
        .into_iter()
        .zip(NUMBERED)
        .fold(fault, |fault, ((name, value), (names, values))| fault.with(names, name).with(values, value)))
}

impl Objects {
    /// Why events would not arrive, in AWS's words: the destination and the reason.
    async fn wrong(
        &self,
        context: &Context,
        bucket: (&str, &Bucket),
        kind: Kind,
        arn: &str,
    ) -> Option<(String, String)> {
        let why = match kind {
            Kind::Function => {
                let fault = self.try_out(context, bucket, arn).await.err()?;
                tracing::debug!(%fault, %arn, "a bucket's function cannot be invoked");
                return Some((format!("{arn}, null"), format!("Not authorized to invoke function [{arn}]")));
            }
            Kind::Queue => {
                let fault = self.send_test(context, bucket, arn).await.err()?;
                tracing::debug!(%fault, %arn, "a bucket cannot send to its queue");
                match fault.code.as_ref() {
                    FIFO => "FIFO queues are not supported as a destination",
                    code if code.starts_with("AccessDenied") => {
                        "Permissions on the destination queue do not allow S3 to publish notifications from this bucket"
                    }
                    _ => "The destination queue does not exist",
                }
            }
            // No room of the platform has any yet.
            Kind::Topic => "The destination topic does not exist",
        };
        Some((arn.to_owned(), why.to_owned()))
    }

    /// Asks whether a function is there and lets the bucket in, without running it.
    async fn try_out(&self, context: &Context, (name, bucket): (&str, &Bucket), function: &str) -> Result<(), Fault> {
        let input = lambda::InvocationRequest {
            function_name: Some(function.to_owned()),
            invocation_type: Some("DryRun".into()),
            ..Default::default()
        };
        self.ask::<lambda_ops::Invoke>(context, (name, bucket), input).await
    }

    /// Sends a queue the message by which it knows that a bucket will send. Source: Amazon S3 User Guide, "Event message
    /// structure", test message.
    async fn send_test(&self, context: &Context, (name, bucket): (&str, &Bucket), arn: &str) -> Result<(), Fault> {
        let gone = || Fault::new("QueueDoesNotExist", 400, "it is none");
        let queue = Queue::of(arn).ok_or_else(gone)?;
        if queue.is_fifo() {
            return Err(Fault::new(FIFO, 400, "a FIFO queue takes no messages without a group"));
        }
        let cause = Cause::of(context);
        let body = serde_json::json!({
            "Service": "Amazon S3",
            "Event": "s3:TestEvent",
            "Time": record::date(self.clocks.product()),
            "Bucket": name,
            "RequestId": cause.request,
            "HostId": cause.host,
        });
        let input = sqs::SendMessageRequest {
            queue_url: Some(queue.url()),
            message_body: Some(body.to_string()),
            ..Default::default()
        };
        self.ask::<sqs_ops::SendMessage>(context, (name, bucket), input).await
    }

    /// Asks another service as the bucket.
    async fn ask<O: Op>(
        &self,
        context: &Context,
        (name, bucket): (&str, &Bucket),
        input: O::Input,
    ) -> Result<(), Fault> {
        let call = Call {
            principal: Principal::Service {
                name: PRINCIPAL,
                source_arn: source_arn(name),
                source_account: bucket.account(),
            },
            via: Via::Room("s3"),
            origin: Origin { secure: true, ..Origin::default() },
            operation: O::ROW,
            input: Input::Typed(Box::new(input)),
            body: Body::Empty,
            region: bucket.region(),
            request_id: RequestId::new(&*self.rng),
            deadline: context.deadline,
            depth: context.depth.saturating_add(1),
            trace: None,
        };
        self.dispatch.call(call).await.map(drop)
    }
}

impl Handle<ops::GetBucketNotificationConfiguration> for Objects {
    async fn handle(
        self: Arc<Self>,
        _: Context,
        input: s3::GetBucketNotificationConfigurationRequest,
        _: Body,
    ) -> Result<Answer<s3::NotificationConfiguration>, Fault> {
        let bucket = self.bucket(input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
        let Some(kept) = bucket.settings.get(SETTING) else {
            return Ok(s3::NotificationConfiguration::default().into());
        };
        let damaged = |_| Fault::internal("a bucket's notification configuration does not read");
        Ok(wire::recall::<s3::NotificationConfiguration>(kept).map_err(damaged)?.into())
    }
}

//! Notification configurations.

use std::sync::Arc;

use base::{Fault, Principal, RequestId};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use door::{Answer, Body, Call, Context, Handle, Input, Origin, Via};
use model::lambda::{self, ops as lambda_ops};
use model::s3::{self, ops};
use wire::{Op, Unit};

use super::refuse;
use crate::Objects;
use crate::notify::{PRINCIPAL, SETTING, source_arn};
use crate::rules::destinations::{self, Kind};
use crate::types::Bucket;

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
        let others = configuration.queue_configurations.is_some() || configuration.topic_configurations.is_some();
        refuse(&[
            ("NotificationConfiguration.EventBridgeConfiguration", configuration.event_bridge_configuration.is_some()),
            ("SkipDestinationValidation for queues and topics", unproved && others),
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
            // No room of the platform has any yet.
            Kind::Queue => "The destination queue does not exist",
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
        let call = Call {
            principal: Principal::Service {
                name: PRINCIPAL,
                source_arn: source_arn(name),
                source_account: bucket.account(),
            },
            via: Via::Room("s3"),
            origin: Origin { secure: true, ..Origin::default() },
            operation: lambda_ops::Invoke::ROW,
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

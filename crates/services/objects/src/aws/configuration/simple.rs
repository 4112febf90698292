//! Configurations of one word. Requests are neither billed nor carried over other ways here, so the words are kept and shown.
//! Source: Amazon S3 API Reference, `PutBucketAccelerateConfiguration`, `PutBucketRequestPayment`, `PutBucketLogging`.

use model::s3::{
    AccelerateConfiguration, GetBucketAccelerateConfigurationOutput, GetBucketLoggingOutput,
    GetBucketRequestPaymentOutput, RequestPaymentConfiguration,
};
use wire::Unit;

use super::{kept, operation};
use crate::aws::refuse;
use crate::faults;

const ACCELERATE: &str = "accelerate";
const PAYMENT: &str = "payment";

operation!(GetBucketAccelerateConfiguration: GetBucketAccelerateConfigurationRequest => GetBucketAccelerateConfigurationOutput, |room, _, input| {
    let bucket = room.bucket(input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
    let configuration: AccelerateConfiguration = kept(&bucket, ACCELERATE)?.unwrap_or_default();
    Ok(GetBucketAccelerateConfigurationOutput { status: configuration.status, request_charged: None })
});

operation!(PutBucketAccelerateConfiguration: PutBucketAccelerateConfigurationRequest => Unit, |room, _, input| {
    let configuration = input.accelerate_configuration.unwrap_or_default();
    if !matches!(configuration.status.as_deref(), Some("Enabled" | "Suspended")) {
        return Err(faults::malformed());
    }
    if input.bucket.as_deref().is_some_and(|name| name.contains('.')) {
        return Err(faults::request("S3 Transfer Acceleration is not supported for buckets with periods (.) in their names"));
    }
    room.configure(input.bucket, input.expected_bucket_owner, ACCELERATE, &configuration).await?;
    Ok(Unit)
});

operation!(GetBucketRequestPayment: GetBucketRequestPaymentRequest => GetBucketRequestPaymentOutput, |room, _, input| {
    let bucket = room.bucket(input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
    let configuration: RequestPaymentConfiguration = kept(&bucket, PAYMENT)?.unwrap_or_default();
    Ok(GetBucketRequestPaymentOutput { payer: configuration.payer.or_else(|| Some("BucketOwner".into())) })
});

operation!(PutBucketRequestPayment: PutBucketRequestPaymentRequest => Unit, |room, _, input| {
    let configuration = input.request_payment_configuration.unwrap_or_default();
    if !matches!(configuration.payer.as_deref(), Some("BucketOwner" | "Requester")) {
        return Err(faults::malformed());
    }
    room.configure(input.bucket, input.expected_bucket_owner, PAYMENT, &configuration).await?;
    Ok(Unit)
});

operation!(GetBucketLogging: GetBucketLoggingRequest => GetBucketLoggingOutput, |room, _, input| {
    room.bucket(input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
    Ok(GetBucketLoggingOutput::default())
});

operation!(PutBucketLogging: PutBucketLoggingRequest => Unit, |room, _, input| {
    room.bucket(input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
    let status = input.bucket_logging_status.unwrap_or_default();
    // Nothing would be delivered there.
    refuse(&[("LoggingEnabled", status.logging_enabled.is_some())])?;
    Ok(Unit)
});

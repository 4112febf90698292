//! An object in one request.

use std::sync::Arc;

use super::{quoted, refuse};
use crate::cause::Cause;
use crate::content::{CustomerSecret, Received, Wanted};
use crate::rules::checksums::{self, Given};
use crate::rules::conditions::Writing;
use crate::rules::events::Event;
use crate::rules::{described, tags};
use crate::types::{Bucket, CustomerKey, Object, Retention};
use crate::write::Fresh;
use crate::{Objects, faults, lifecycle, limits};
use base::{Fault, Timestamp};
use door::{Answer, Body, Context, Handle};
use model::s3::{self, ops};

impl Handle<ops::PutObject> for Objects {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        mut input: s3::PutObjectRequest,
        body: Body,
    ) -> Result<Answer<s3::PutObjectOutput>, Fault> {
        let place = self.place(input.bucket.take(), input.key.take(), input.expected_bucket_owner.as_deref())?;
        refuse(&[
            ("WriteOffsetBytes", input.write_offset_bytes.is_some()),
            ("ObjectLockEventHold", input.object_lock_event_hold.is_some()),
            ("ObjectLockEventHoldDurationDays", input.object_lock_event_hold_duration_days.is_some()),
            ("ObjectLockEventHoldDurationYears", input.object_lock_event_hold_duration_years.is_some()),
        ])?;
        if let Some(announced) = input.content_length.and_then(|bytes| u64::try_from(bytes).ok())
            && announced > limits::PUT_BYTES
        {
            return Err(faults::too_large(announced, limits::PUT_BYTES));
        }
        let given = checksums::given!(input);
        let given = Given::of(input.checksum_algorithm.as_deref(), given, input.content_md5.as_deref())?;
        let conditions = Writing::of(input.if_match.take(), input.if_none_match.take())?;
        let customer = CustomerSecret::of(
            input.sse_customer_algorithm.as_deref(),
            input.sse_customer_key.as_deref(),
            input.sse_customer_key_md5.as_deref(),
        )?;
        platform_key(
            input.server_side_encryption.as_deref(),
            [
                ("SSEKMSKeyId", input.ssekms_key_id.is_some()),
                ("SSEKMSEncryptionContext", input.ssekms_encryption_context.is_some()),
                ("BucketKeyEnabled", input.bucket_key_enabled == Some(true)),
            ],
            customer.is_some(),
        )?;
        let lock = Lock {
            mode: input.object_lock_mode.take(),
            until: input.object_lock_retain_until_date.take(),
            legal_hold: input.object_lock_legal_hold_status.take(),
        };
        let (retention, legal_hold) = lock.of(&place.bucket, self.clocks.product())?;
        if (retention.is_some() || legal_hold.is_some()) && given.md5.is_none() && given.algorithm.is_none() {
            let words = "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters";
            return Err(faults::request(words));
        }
        let tags = tags::of_header(input.tagging.as_deref().unwrap_or_default(), limits::OBJECT_TAGS)?;
        let metadata = described::metadata(input.metadata.take())?;
        let storage_class = described::storage_class(input.storage_class.take())?;
        let acl = self.given_acl(
            &place.bucket,
            &context,
            input.acl.as_deref(),
            [&input.grant_full_control, &input.grant_read, &input.grant_read_acp, &input.grant_write_acp],
        )?;
        let algorithm = given.algorithm.unwrap_or(checksums::DEFAULT);
        let wanted = Wanted {
            algorithms: vec![algorithm],
            limit_bytes: limits::PUT_BYTES,
            customer: customer.as_ref().map(|secret| secret.seal().clone()),
        };
        let body = match input.body.take() {
            // A caller in process may give them with the rest.
            Some(bytes) if matches!(body, Body::Empty) => Body::Bytes(bytes),
            _ => body,
        };
        let received = self.receive(body, wanted).await?;
        given.check(&received.md5, |algorithm| received.sum(algorithm).map(str::to_owned))?;
        let object = Object {
            etag: crate::state::hex(&received.md5),
            content: received.content.clone(),
            parts: None,
            checksum: received.sum(algorithm).map(|value| checksums::whole(algorithm, value)),
            described: described::described!(input),
            metadata,
            tags,
            storage_class,
            customer_key: kept_key(customer.as_ref(), &received),
            retention,
            legal_hold,
            acl,
        };
        let fresh = Fresh {
            owner: context.account.to_string(),
            object,
            received: Some(received),
            event: Event::Put,
            cause: Cause::of(&context),
        };
        let version = self.put(&place, fresh, conditions).await?;
        let mut output = s3::PutObjectOutput {
            version_id: version.id.clone(),
            expiration: lifecycle::expiration(&place.bucket, &place.key, &version),
            ..s3::PutObjectOutput::default()
        };
        if let Some(object) = &version.object {
            output.e_tag = Some(quoted(&object.etag));
            output.checksum_type = object.checksum.as_ref().map(|sum| sum.kind().to_owned());
            if let Some(sum) = &object.checksum {
                checksums::show!(output, sum);
            }
            match &object.customer_key {
                Some(key) => {
                    output.sse_customer_algorithm = Some("AES256".into());
                    output.sse_customer_key_md5 = Some(key.md5.clone());
                }
                None => output.server_side_encryption = Some("AES256".into()),
            }
        }
        Ok(output.into())
    }
}

/// What is kept of a customer's key with the bytes it encrypted.
pub(super) fn kept_key(customer: Option<&CustomerSecret>, received: &Received) -> Option<CustomerKey> {
    customer.map(|secret| secret.keep(&received.id))
}

/// Checks what a request wants of encryption by the platform's own key, which is all there is besides customers' keys.
///
/// # Errors
/// NotImplemented for keys of KMS; InvalidArgument.
pub(super) fn platform_key(algorithm: Option<&str>, kms: [(&str, bool); 3], by_customer: bool) -> Result<(), Fault> {
    match algorithm {
        None | Some("AES256") => {}
        Some(kms @ ("aws:kms" | "aws:kms:dsse")) => {
            return Err(Fault::not_implemented(format_args!("s3: ServerSideEncryption {kms}")));
        }
        Some(other) => {
            let words = "The encryption method specified is not supported";
            return Err(Fault::new("InvalidEncryptionAlgorithmError", 400, words)
                .with("ArgumentName", "x-amz-server-side-encryption")
                .with("ArgumentValue", other));
        }
    }
    if by_customer && algorithm.is_some() {
        let words =
            "Server Side Encryption with Customer provided key is incompatible with the encryption method specified";
        return Err(faults::argument(words, "x-amz-server-side-encryption", algorithm.unwrap_or_default()));
    }
    refuse(&kms)
}

/// What a request says of an object's lock.
pub(super) struct Lock {
    pub(super) mode: Option<String>,
    pub(super) until: Option<Timestamp>,
    pub(super) legal_hold: Option<String>,
}

impl Lock {
    /// The retention and the legal hold that a new version gets.
    ///
    /// # Errors
    /// InvalidRequest in a bucket without locks; InvalidArgument.
    pub(super) fn of(self, bucket: &Bucket, now: Timestamp) -> Result<(Option<Retention>, Option<bool>), Fault> {
        let Self { mode, until, legal_hold } = self;
        let asked = mode.is_some() || until.is_some() || legal_hold.is_some();
        let hold = match legal_hold.as_deref() {
            None => None,
            Some("OFF") => Some(false),
            Some("ON") => Some(true),
            Some(other) => {
                let words = "Legal Hold must be either of 'ON' or 'OFF'";
                return Err(faults::argument(words, "x-amz-object-lock-legal-hold", other));
            }
        };
        let retention = match (mode, until) {
            (None, None) => default_retention(bucket, now),
            (Some(mode), Some(until)) => {
                if !matches!(mode.as_str(), "GOVERNANCE" | "COMPLIANCE") {
                    return Err(faults::argument("Unknown wormMode directive.", "x-amz-object-lock-mode", &mode));
                }
                if until <= now {
                    let words = "The retain until date must be in the future!";
                    return Err(faults::argument(words, "x-amz-object-lock-retain-until-date", ""));
                }
                Some(Retention { mode, until_ms: until.0 })
            }
            (mode, _) => {
                let words = "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied";
                let missing =
                    if mode.is_none() { "x-amz-object-lock-mode" } else { "x-amz-object-lock-retain-until-date" };
                return Err(faults::argument(words, missing, ""));
            }
        };
        // What is wrong with the words themselves comes first.
        if asked && !bucket.object_lock {
            return Err(faults::no_lock());
        }
        Ok((retention, hold))
    }
}

/// The retention that a bucket gives every new version.
fn default_retention(bucket: &Bucket, now: Timestamp) -> Option<Retention> {
    const DAY_MS: i64 = 86_400_000;
    let kept = bucket.settings.get("object-lock")?;
    let configuration: s3::ObjectLockConfiguration = wire::recall(kept).ok()?;
    let rule = configuration.rule?.default_retention?;
    let days = rule.days.or_else(|| rule.years.map(|years| years.saturating_mul(365)))?;
    Some(Retention { mode: rule.mode?, until_ms: now.0.saturating_add(days.saturating_mul(DAY_MS)) })
}

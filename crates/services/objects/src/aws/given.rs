//! What PutObject, CopyObject and CreateMultipartUpload say alike: of the object that is to come, and of its encryption.

use std::collections::BTreeMap;

use base::Fault;

use super::refuse;
use crate::content::CustomerSecret;
use crate::faults;
use crate::types::Retention;

/// What a request says of an object.
pub(super) struct Given {
    pub(super) customer: Option<CustomerSecret>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) storage_class: Option<String>,
    pub(super) retention: Option<Retention>,
    pub(super) legal_hold: Option<bool>,
    pub(super) acl: Option<String>,
}

/// Reads [`Given`] from an input, for an object at `place`; faults with what is wrong.
macro_rules! given {
    ($room:expr, $place:expr, $context:expr, $input:expr) => {{
        let (room, place, input) = (&$room, &$place, &mut $input);
        $crate::aws::refuse(&[
            ("ObjectLockEventHold", input.object_lock_event_hold.is_some()),
            ("ObjectLockEventHoldDurationDays", input.object_lock_event_hold_duration_days.is_some()),
            ("ObjectLockEventHoldDurationYears", input.object_lock_event_hold_duration_years.is_some()),
        ])?;
        let customer = $crate::aws::given::customer!(input)?;
        let kms = [
            ("SSEKMSKeyId", input.ssekms_key_id.is_some()),
            ("SSEKMSEncryptionContext", input.ssekms_encryption_context.is_some()),
            ("BucketKeyEnabled", input.bucket_key_enabled == Some(true)),
        ];
        $crate::aws::given::platform_key(input.server_side_encryption.as_deref(), kms, customer.is_some())?;
        let lock = $crate::aws::locks::Lock {
            mode: input.object_lock_mode.take(),
            until: input.object_lock_retain_until_date.take(),
            legal_hold: input.object_lock_legal_hold_status.take(),
        };
        let (retention, legal_hold) = lock.of(&place.bucket, room.clocks.product())?;
        let tags = input.tagging.as_deref().unwrap_or_default();
        $crate::aws::given::Given {
            customer,
            metadata: $crate::rules::described::metadata(input.metadata.take())?,
            tags: $crate::rules::tags::of_header(tags, $crate::limits::OBJECT_TAGS)?,
            storage_class: $crate::rules::described::storage_class(input.storage_class.take())?,
            retention,
            legal_hold,
            acl: room.given_acl(
                &place.bucket,
                &$context,
                input.acl.as_deref(),
                [&input.grant_full_control, &input.grant_read, &input.grant_read_acp, &input.grant_write_acp],
            )?,
        }
    }};
}

/// The customer's key that an input carries.
macro_rules! customer {
    ($input:expr) => {
        $crate::content::CustomerSecret::of(
            $input.sse_customer_algorithm.as_deref(),
            $input.sse_customer_key.as_deref(),
            $input.sse_customer_key_md5.as_deref(),
        )
    };
}

/// Says in an output by whose key an object is encrypted.
macro_rules! show_key {
    ($output:expr, $key:expr) => {
        match &$key {
            Some(key) => {
                $output.sse_customer_algorithm = Some("AES256".into());
                $output.sse_customer_key_md5 = Some(key.md5.clone());
            }
            None => $output.server_side_encryption = Some("AES256".into()),
        }
    };
}

pub(super) use {customer, given, show_key};

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

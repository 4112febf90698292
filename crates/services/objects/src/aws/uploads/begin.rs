//! An upload begins.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::s3::{self, ops};
use store::{Batch, Key, Space, transact_with};

use crate::aws::put::{Lock, platform_key};
use crate::aws::refuse;
use crate::content::CustomerSecret;
use crate::rules::{checksums, described, tags};
use crate::types::{Bucket, Content, Object, Place as Where, Upload};
use crate::{Objects, faults, limits, state};
use wire::checksum::Algorithm;

impl Handle<ops::CreateMultipartUpload> for Objects {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        mut input: s3::CreateMultipartUploadRequest,
        _: Body,
    ) -> Result<Answer<s3::CreateMultipartUploadOutput>, Fault> {
        let place = self.place(input.bucket.take(), input.key.take(), input.expected_bucket_owner.as_deref())?;
        refuse(&[
            ("ObjectLockEventHold", input.object_lock_event_hold.is_some()),
            ("ObjectLockEventHoldDurationDays", input.object_lock_event_hold_duration_days.is_some()),
            ("ObjectLockEventHoldDurationYears", input.object_lock_event_hold_duration_years.is_some()),
        ])?;
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
        let algorithm = input.checksum_algorithm.as_deref().map(checksums::named).transpose()?;
        let composite = composite(algorithm, input.checksum_type.as_deref())?;
        let lock = Lock {
            mode: input.object_lock_mode.take(),
            until: input.object_lock_retain_until_date.take(),
            legal_hold: input.object_lock_legal_hold_status.take(),
        };
        let (retention, legal_hold) = lock.of(&place.bucket, self.clocks.product())?;
        let acl = self.given_acl(
            &place.bucket,
            &context,
            input.acl.as_deref(),
            [&input.grant_full_control, &input.grant_read, &input.grant_read_acp, &input.grant_write_acp],
        )?;
        let id = self.id();
        let shown = state::hex(&id);
        let upload = Upload {
            initiated_ms: self.clocks.product().0,
            owner: context.account.to_string(),
            initiator: context.principal.arn(),
            object: Object {
                etag: String::new(),
                content: Content { id: shown.clone(), size_bytes: 0, place: Where::Nowhere },
                parts: None,
                checksum: None,
                metadata: described::metadata(input.metadata.take())?,
                tags: tags::of_header(input.tagging.as_deref().unwrap_or_default(), limits::OBJECT_TAGS)?,
                storage_class: described::storage_class(input.storage_class.take())?,
                customer_key: customer.as_ref().map(|secret| secret.keep(&id)),
                retention,
                legal_hold,
                acl,
                described: described::described!(input),
            },
            algorithm: algorithm.map(|algorithm| algorithm.name().to_owned()),
            composite,
            writes: 0,
        };
        let generation = place.bucket.generation;
        let (bucket_row, row) = (state::bucket_row(&place.name), state::upload(generation, &place.key, &id));
        let (name, written) = (place.name.clone(), upload.clone());
        transact_with(&*self.kv, vec![Key::new(Space::Control, bucket_row.clone())], move |rows| {
            let bucket: Option<Bucket> = rows.json(Space::Control, bucket_row.as_bytes())?;
            if bucket.is_none_or(|bucket| bucket.generation != generation) {
                return Err(faults::no_bucket(&name));
            }
            let mut batch = Batch::new();
            batch.put_json(Space::Object, row.clone(), &written)?;
            Ok((batch, ()))
        })
        .await?;
        let by_customer = upload.object.customer_key;
        let (abort_date, abort_rule_id) =
            crate::lifecycle::abort(&place.bucket, &place.key, upload.initiated_ms).unzip();
        let output = s3::CreateMultipartUploadOutput {
            abort_date,
            abort_rule_id,
            bucket: Some(place.name),
            key: Some(place.key),
            upload_id: Some(shown),
            server_side_encryption: by_customer.is_none().then(|| "AES256".into()),
            sse_customer_algorithm: by_customer.is_some().then(|| "AES256".into()),
            sse_customer_key_md5: by_customer.map(|key| key.md5),
            checksum_type: upload.algorithm.is_some().then(|| kind(composite).to_owned()),
            checksum_algorithm: upload.algorithm,
            ..s3::CreateMultipartUploadOutput::default()
        };
        Ok(output.into())
    }
}

/// AWS's word for what a checksum is of.
pub(super) fn kind(composite: bool) -> &'static str {
    if composite { "COMPOSITE" } else { "FULL_OBJECT" }
}

/// Whether the checksum will be of the parts' checksums.
///
/// # Errors
/// InvalidRequest for what an algorithm cannot do.
fn composite(algorithm: Option<Algorithm>, asked: Option<&str>) -> Result<bool, Fault> {
    let hash = matches!(algorithm, Some(Algorithm::Sha1 | Algorithm::Sha256 | Algorithm::Sha512));
    let crc64 = matches!(algorithm, None | Some(Algorithm::Crc64Nvme));
    let name = algorithm.map_or("crc64nvme", Algorithm::name).to_ascii_lowercase();
    match asked {
        None => Ok(!crc64),
        Some("COMPOSITE" | "FULL_OBJECT") if algorithm.is_none() => Err(faults::request(
            "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
        )),
        Some("COMPOSITE") if !crc64 => Ok(true),
        Some("FULL_OBJECT") if !hash => Ok(false),
        Some(kind @ ("COMPOSITE" | "FULL_OBJECT")) => {
            Err(faults::request(format!("The {kind} checksum type cannot be used with the {name} checksum algorithm.")))
        }
        Some(_) => Err(faults::request("Value for x-amz-checksum-type header is invalid.")),
    }
}

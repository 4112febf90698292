//! An upload begins.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::s3::{self, ops};
use store::{Batch, Key, Space, transact_with};

use crate::aws::given::{given, show_key};
use crate::rules::{checksums, described};
use crate::types::{Bucket, Content, Object, Upload, Where};
use crate::{Objects, faults, state};
use wire::checksum::Algorithm;

impl Handle<ops::CreateMultipartUpload> for Objects {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        mut input: s3::CreateMultipartUploadRequest,
        _: Body,
    ) -> Result<Answer<s3::CreateMultipartUploadOutput>, Fault> {
        let place = self.place(input.bucket.take(), input.key.take(), input.expected_bucket_owner.as_deref())?;
        let given = given!(self, place, context, input);
        let algorithm = input.checksum_algorithm.as_deref().map(checksums::named).transpose()?;
        let composite = composite(algorithm, input.checksum_type.as_deref())?;
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
                metadata: given.metadata,
                tags: given.tags,
                storage_class: given.storage_class,
                customer_key: given.customer.as_ref().map(|secret| secret.keep(&id)),
                retention: given.retention,
                legal_hold: given.legal_hold,
                acl: given.acl,
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
        let mut output = s3::CreateMultipartUploadOutput {
            abort_date,
            abort_rule_id,
            bucket: Some(place.name),
            key: Some(place.key),
            upload_id: Some(shown),
            checksum_type: upload.algorithm.is_some().then(|| kind(composite).to_owned()),
            checksum_algorithm: upload.algorithm,
            ..s3::CreateMultipartUploadOutput::default()
        };
        show_key!(output, by_customer);
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

//! Parts come in: from a body, or from an object that is there.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::s3::{self, ops};
use store::{Batch, Key, Space, transact_with};
use wire::checksum::Algorithm;

use super::{algorithm, find, id};
use crate::aws::copy::Source;
use crate::aws::given::{customer, show_key};
use crate::aws::{date, quoted};
use crate::content::{CustomerSecret, Received, Wanted, give_back};
use crate::rules::checksums::{self, Given};
use crate::state::{self, Id};
use crate::types::{Part, Upload};
use crate::write::Place;
use crate::{Objects, faults, limits};

/// The number of a part.
///
/// # Errors
/// InvalidArgument.
fn number(asked: Option<i64>) -> Result<u32, Fault> {
    let asked = asked.unwrap_or_default();
    let words = "Part number must be an integer between 1 and 10000, inclusive";
    let fits = u32::try_from(asked).ok().filter(|_| (1..=limits::PARTS).contains(&asked));
    fits.ok_or_else(|| faults::argument(words, "partNumber", &asked.to_string()))
}

/// Whether the key that came along, or none, is the upload's.
fn same_key(upload: &Upload, customer: Option<&CustomerSecret>) -> Result<(), Fault> {
    match (&upload.object.customer_key, customer) {
        (None, None) => Ok(()),
        (Some(kept), Some(secret)) if secret.is(kept) => Ok(()),
        (Some(_), None) => Err(faults::request(
            "The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate encryption parameters.",
        )),
        (None, Some(_)) => Err(faults::request(
            "The multipart upload initiate did not request encryption. Please resend the request without sending the encryption parameters.",
        )),
        (Some(_), Some(_)) => {
            Err(faults::request("The provided encryption parameters did not match the ones used originally."))
        }
    }
}

impl Handle<ops::UploadPart> for Objects {
    async fn handle(
        self: Arc<Self>,
        _: Context,
        mut input: s3::UploadPartRequest,
        body: Body,
    ) -> Result<Answer<s3::UploadPartOutput>, Fault> {
        let place = self.place(input.bucket.take(), input.key.take(), input.expected_bucket_owner.as_deref())?;
        let number = number(input.part_number)?;
        let id = id(input.upload_id.as_deref())?;
        if let Some(announced) = input.content_length.and_then(|bytes| u64::try_from(bytes).ok())
            && announced > limits::PUT_BYTES
        {
            return Err(faults::too_large(announced, limits::PUT_BYTES));
        }
        let given = checksums::given!(input);
        let given = Given::of(input.checksum_algorithm.as_deref(), given, input.content_md5.as_deref())?;
        let customer = customer!(input)?;
        let upload = find(&*self.kv.snapshot()?, &place, &id)?;
        same_key(&upload, customer.as_ref())?;
        let wanted = algorithm(&upload);
        // A checksum by another algorithm proves the bytes on their way, but cannot be the object's.
        let mut algorithms = vec![wanted];
        match given.algorithm {
            Some(other) if upload.algorithm.is_some() && other != wanted => {
                return Err(faults::request(format!(
                    "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
                    wanted.name().to_ascii_lowercase(),
                    other.name().to_ascii_lowercase(),
                )));
            }
            Some(other) if other != wanted => algorithms.push(other),
            _ => {}
        }
        let take = Wanted { algorithms, limit_bytes: limits::PUT_BYTES, customer: seal(customer.as_ref()) };
        let body = match input.body.take() {
            Some(bytes) if matches!(body, Body::Empty) => Body::Bytes(bytes),
            _ => body,
        };
        let received = self.receive(body, take).await?;
        given.check(&received.md5, |algorithm| received.sum(algorithm).map(str::to_owned))?;
        let part = self.keep(&place, &id, number, wanted, received).await?;
        let mut output = s3::UploadPartOutput { e_tag: Some(quoted(&part.etag)), ..s3::UploadPartOutput::default() };
        show_key!(output, upload.object.customer_key);
        if let Some(sum) = &part.checksum {
            checksums::show!(output, sum);
        }
        Ok(output.into())
    }
}

impl Handle<ops::UploadPartCopy> for Objects {
    async fn handle(
        self: Arc<Self>,
        _: Context,
        mut input: s3::UploadPartCopyRequest,
        _: Body,
    ) -> Result<Answer<s3::UploadPartCopyOutput>, Fault> {
        let place = self.place(input.bucket.take(), input.key.take(), input.expected_bucket_owner.as_deref())?;
        let number = number(input.part_number)?;
        let id = id(input.upload_id.as_deref())?;
        let customer = customer!(input)?;
        let upload = find(&*self.kv.snapshot()?, &place, &id)?;
        same_key(&upload, customer.as_ref())?;
        let source = Source::of(crate::aws::copy::source_members!(input))?;
        let from = self.source(&source, input.copy_source_range.as_deref()).await?;
        let wanted = algorithm(&upload);
        let take =
            Wanted { algorithms: vec![wanted], limit_bytes: limits::PUT_BYTES, customer: seal(customer.as_ref()) };
        let received = self.receive(from.body, take).await?;
        let part = self.keep(&place, &id, number, wanted, received).await?;
        let mut result = s3::CopyPartResult {
            e_tag: Some(quoted(&part.etag)),
            last_modified: Some(date(part.modified_ms)),
            ..s3::CopyPartResult::default()
        };
        if let Some(sum) = part.checksum.as_ref().filter(|_| upload.algorithm.is_some()) {
            checksums::show!(result, sum);
        }
        let mut output = s3::UploadPartCopyOutput {
            copy_source_version_id: from.version.id,
            copy_part_result: Some(result),
            ..s3::UploadPartCopyOutput::default()
        };
        show_key!(output, upload.object.customer_key);
        Ok(output.into())
    }
}

fn seal(customer: Option<&CustomerSecret>) -> Option<crate::content::Seal> {
    customer.map(|secret| secret.seal().clone())
}

impl Objects {
    /// Keeps a part that came in, in place of one with the same number.
    async fn keep(
        &self,
        place: &Place,
        id: &Id,
        number: u32,
        algorithm: Algorithm,
        received: Received,
    ) -> Result<Part, Fault> {
        let generation = place.bucket.generation;
        let part = Part {
            number,
            etag: state::hex(&received.md5),
            modified_ms: self.clocks.product().0,
            content: received.content.clone(),
            checksum: received.sum(algorithm).map(|value| checksums::whole(algorithm, value)),
        };
        let upload_row = state::upload(generation, &place.key, id);
        let part_row = state::part_of_upload(generation, id, number);
        let keys = vec![Key::new(Space::Object, upload_row.clone()), Key::new(Space::Object, part_row.clone())];
        let (written, shown) = (part.clone(), state::hex(id));
        let received = Arc::new(received);
        let taken = Arc::clone(&received);
        let left = transact_with(&*self.kv, keys, move |rows| {
            let upload: Option<Upload> = rows.json(Space::Object, &upload_row)?;
            let mut upload = upload.ok_or_else(|| faults::no_upload(&shown))?;
            upload.writes += 1;
            let mut batch = Batch::new();
            let before: Option<Part> = rows.json(Space::Object, &part_row)?;
            let left = match &before {
                Some(before) => give_back(&mut batch, generation, &before.content)?,
                None => false,
            };
            taken.write(&mut batch, generation);
            batch.put_json(Space::Object, part_row.clone(), &written)?;
            batch.put_json(Space::Object, upload_row.clone(), &upload)?;
            Ok((batch, left))
        });
        let left = left.await?;
        received.settle();
        if left {
            self.left();
        }
        Ok(part)
    }
}

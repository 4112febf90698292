//! Multipart uploads. Source: Amazon S3 User Guide, "Uploading and copying objects using multipart upload".

mod begin;
mod complete;
mod list;
mod part;

use std::sync::Arc;

use base::Fault;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use door::{Answer, Body, Context, Handle, RouterBuilder};
use model::s3::{self, ops};
use store::{Batch, Key, Range, Snapshot, Space, transact_with};
use wire::checksum::{Algorithm, Checksum};

use crate::content::give_back;
use crate::rules::checksums;
use crate::state::{self, Id};
use crate::types::{Bucket, Part, Upload};
use crate::write::Place;
use crate::{Objects, faults};

/// Registers the operations on uploads.
pub(super) fn register(builder: RouterBuilder, objects: &Arc<Objects>) -> RouterBuilder {
    builder
        .on::<ops::CreateMultipartUpload, _>(objects)
        .on::<ops::UploadPart, _>(objects)
        .on::<ops::UploadPartCopy, _>(objects)
        .on::<ops::CompleteMultipartUpload, _>(objects)
        .on::<ops::AbortMultipartUpload, _>(objects)
        .on::<ops::ListParts, _>(objects)
        .on::<ops::ListMultipartUploads, _>(objects)
}

/// The id of an upload, from what the client calls it.
///
/// # Errors
/// NoSuchUpload.
fn id(text: Option<&str>) -> Result<Id, Fault> {
    let text = text.unwrap_or_default();
    state::id_of(text).ok_or_else(|| faults::no_upload(text))
}

/// An upload of a key.
///
/// # Errors
/// NoSuchUpload.
fn find(view: &dyn Snapshot, place: &Place, id: &Id) -> Result<Upload, Fault> {
    let row = state::upload(place.bucket.generation, &place.key, id);
    let value = view.get(Space::Object, &row)?.ok_or_else(|| faults::no_upload(&state::hex(id)))?;
    state::parse(&row, &value)
}

/// Which checksum an upload's parts have, and its object.
fn algorithm(upload: &Upload) -> Algorithm {
    upload.algorithm.as_deref().and_then(|name| checksums::named(name).ok()).unwrap_or(checksums::DEFAULT)
}

/// The checksum of the parts' checksums, without their number; none if one does not read.
fn composite(algorithm: Algorithm, parts: &[Part]) -> Option<String> {
    let mut whole = Checksum::new(algorithm);
    for part in parts {
        whole.update(&STANDARD.decode(&part.checksum.as_ref()?.value).ok()?);
    }
    Some(whole.finish())
}

/// The checksum of all bytes, put together from those of the parts; none if the algorithm cannot tell.
fn full(algorithm: Algorithm, parts: &[Part]) -> Option<String> {
    let mut whole = Checksum::new(algorithm).finish();
    for part in parts {
        let sum = part.checksum.as_ref()?;
        whole = wire::checksum::combine(algorithm, &whole, &sum.value, part.content.size_bytes)?;
    }
    Some(whole)
}

impl Handle<ops::AbortMultipartUpload> for Objects {
    async fn handle(
        self: Arc<Self>,
        _: Context,
        input: s3::AbortMultipartUploadRequest,
        _: Body,
    ) -> Result<Answer<s3::AbortMultipartUploadOutput>, Fault> {
        let place = self.place(input.bucket, input.key, input.expected_bucket_owner.as_deref())?;
        let id = id(input.upload_id.as_deref())?;
        if let Some(initiated) = input.if_match_initiated_time {
            let upload = find(&*self.kv.snapshot()?, &place, &id)?;
            if upload.initiated_ms.div_euclid(1000) != initiated.0.div_euclid(1000) {
                return Err(faults::precondition("x-amz-if-match-initiated-time"));
            }
        }
        self.abort(&place, &id).await?;
        Ok(s3::AbortMultipartUploadOutput::default().into())
    }
}

impl Objects {
    /// Ends an upload; its parts are given back.
    ///
    /// # Errors
    /// NoSuchUpload.
    pub(crate) async fn abort(&self, place: &Place, id: &Id) -> Result<(), Fault> {
        let generation = place.bucket.generation;
        loop {
            let view = self.kv.snapshot()?;
            let writes = find(&*view, place, id)?.writes;
            let parts = parts(&*view, generation, id, None, usize::MAX)?;
            drop(view);
            let row = state::upload(generation, &place.key, id);
            let (id, shown) = (*id, state::hex(id));
            let keys = vec![Key::new(Space::Object, row.clone())];
            let aborted = transact_with(&*self.kv, keys, move |rows| {
                let upload: Option<Upload> = rows.json(Space::Object, &row)?;
                let upload = upload.ok_or_else(|| faults::no_upload(&shown))?;
                let mut batch = Batch::new();
                // A part came meanwhile: its bytes must be given back too.
                if upload.writes != writes {
                    return Ok((batch, false));
                }
                batch.delete(Space::Object, row.clone());
                for part in &parts {
                    give_back(&mut batch, generation, &part.content)?;
                }
                batch.drop_generation(Space::Object, state::parts_of_upload(generation, &id));
                Ok((batch, true))
            });
            if aborted.await? {
                self.left();
                return Ok(());
            }
        }
    }

    /// Aborts every upload of a bucket.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn abort_all(&self, name: &str, bucket: &Arc<Bucket>) -> Result<(), Fault> {
        let prefix = state::uploads(bucket.generation, "");
        loop {
            let rows = self.kv.range(Space::Object, Range::prefix(prefix.clone()), 100, false)?;
            if rows.is_empty() {
                return Ok(());
            }
            for (row, _) in rows {
                let (key, id) =
                    state::key_of_upload(&row).ok_or_else(|| Fault::internal("an upload's row does not read"))?;
                let place = Place { bucket: Arc::clone(bucket), name: name.to_owned(), key };
                match self.abort(&place, &id).await {
                    Err(fault) if fault.code != "NoSuchUpload" => return Err(fault),
                    _ => {}
                }
            }
        }
    }
}

/// The parts of an upload in order, after one of them, at most so many.
fn parts(view: &dyn Snapshot, generation: u64, id: &Id, after: Option<u32>, most: usize) -> Result<Vec<Part>, Fault> {
    let mut range = Range::prefix(state::parts_of_upload(generation, id));
    if let Some(after) = after {
        range = range.after(state::part_of_upload(generation, id, after));
    }
    let rows = view.range(Space::Object, range, most.min(crate::limits::PARTS as usize), false)?;
    rows.iter().map(|(row, value)| state::parse(row, value)).collect()
}

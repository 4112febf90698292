//! An upload becomes an object.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use md5::{Digest as _, Md5};
use model::s3::{self, ops};
use store::{Key, Snapshot, Space};
use wire::checksum::Algorithm;

use super::begin::kind;
use super::{algorithm, composite, find, full, id, parts};
use crate::aws::given::customer;
use crate::aws::quoted;
use crate::aws::read::readable;
use crate::cause::Cause;
use crate::content::CustomerSecret;
use crate::notify::About;
use crate::rules::checksums;
use crate::rules::conditions::Writing;
use crate::rules::events::Event;
use crate::state::{self, Id};
use crate::types::{Content, Object, Part, Sum, Upload, Version, Where};
use crate::write::{Place, Step};
use crate::{Objects, faults, limits};

/// A part, as the client names it.
struct Named {
    number: u32,
    etag: String,
    sum: Option<(Algorithm, String)>,
}

/// What the client says of the whole.
struct Said {
    parts: Vec<Named>,
    sum: Option<(Algorithm, String)>,
    kind: Option<String>,
    size_bytes: Option<i64>,
}

impl Handle<ops::CompleteMultipartUpload> for Objects {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        mut input: s3::CompleteMultipartUploadRequest,
        _: Body,
    ) -> Result<Answer<s3::CompleteMultipartUploadOutput>, Fault> {
        let place = self.place(input.bucket.take(), input.key.take(), input.expected_bucket_owner.as_deref())?;
        let id = id(input.upload_id.as_deref())?;
        let conditions = Writing::of(input.if_match.take(), input.if_none_match.take())?;
        let customer = customer!(input)?;
        let sums = checksums::given!(input);
        let said = Said {
            parts: named(input.multipart_upload.take().unwrap_or_default())?,
            sum: sums.into_iter().next(),
            kind: input.checksum_type.take(),
            size_bytes: input.mpu_object_size,
        };
        let version = self.complete(&place, &id, &said, customer.as_ref(), &conditions, &Cause::of(&context)).await?;
        let host = context.host.as_deref().unwrap_or("localhost");
        let mut output = s3::CompleteMultipartUploadOutput {
            expiration: crate::lifecycle::expiration(&place.bucket, &place.key, &version),
            location: Some(format!("http://{host}/{}/{}", place.name, crate::rules::pages::url(&place.key))),
            bucket: Some(place.name),
            key: Some(place.key),
            version_id: version.id.clone(),
            ..s3::CompleteMultipartUploadOutput::default()
        };
        if let Some(object) = &version.object {
            output.e_tag = Some(quoted(&object.etag));
            output.server_side_encryption = object.customer_key.is_none().then(|| "AES256".into());
            if let Some(sum) = &object.checksum {
                output.checksum_type = Some(sum.kind().to_owned());
                checksums::show!(output, sum);
            }
        }
        Ok(output.into())
    }
}

/// The parts that a client names.
///
/// # Errors
/// MalformedXML for none; InvalidPartOrder.
fn named(given: s3::CompletedMultipartUpload) -> Result<Vec<Named>, Fault> {
    let given = given.parts.unwrap_or_default();
    if given.is_empty() || given.len() as i64 > limits::PARTS {
        return Err(faults::malformed());
    }
    let mut named: Vec<Named> = Vec::with_capacity(given.len());
    for mut part in given {
        let sum = checksums::given!(part).into_iter().next();
        let number = part.part_number.and_then(|number| u32::try_from(number).ok()).ok_or_else(faults::malformed)?;
        if named.last().is_some_and(|last| last.number >= number) {
            let words = "The list of parts was not in ascending order. The parts list must be specified in order by part number.";
            return Err(Fault::new("InvalidPartOrder", 400, words));
        }
        let etag = part.e_tag.unwrap_or_default().trim().trim_matches('"').to_owned();
        named.push(Named { number, etag, sum });
    }
    Ok(named)
}

impl Objects {
    async fn complete(
        &self,
        place: &Place,
        id: &Id,
        said: &Said,
        customer: Option<&CustomerSecret>,
        conditions: &Writing,
        cause: &Cause,
    ) -> Result<Version, Fault> {
        let generation = place.bucket.generation;
        // The content is called as the upload was: who lost the answer and asks again finds what it made.
        let content_id = *id;
        loop {
            let view = self.kv.snapshot()?;
            let upload = match find(&*view, place, id) {
                Err(fault) => return made_before(&*view, place, id).ok_or(fault),
                Ok(upload) => upload,
            };
            if let (Some(kept), Some(secret)) = (&upload.object.customer_key, customer)
                && !secret.is(kept)
            {
                return Err(faults::request(
                    "The provided encryption parameters did not match the ones used originally.",
                ));
            }
            let there = parts(&*view, generation, id, None, usize::MAX)?;
            drop(view);
            let (chosen, left) = choose(id, said, &upload, there)?;
            let content = Content {
                id: state::hex(&content_id),
                size_bytes: chosen.iter().map(|part| part.content.size_bytes).sum(),
                place: Where::Parts,
            };
            let object = object(&upload, said, &chosen, content)?;
            let upload_row = state::upload(generation, &place.key, id);
            let also = vec![Key::new(Space::Object, upload_row.clone())];
            let (conditions, key, upload_id, cause) = (conditions.clone(), place.key.clone(), *id, cause.clone());
            let done = self.change_with(place, None, also, move |family| {
                let now: Option<Upload> = family.rows.json(Space::Object, &upload_row)?;
                let now = now.ok_or_else(|| faults::no_upload(&state::hex(&upload_id)))?;
                // A part came meanwhile: look again.
                if now.writes != upload.writes {
                    return Ok(Step::Done(None));
                }
                conditions.check(&key, family.current())?;
                let version = family.new_object(&upload.owner, &object);
                if let Step::Again(seq) = family.push(version.clone())? {
                    return Ok(Step::Again(seq));
                }
                family.batch.put_json(Space::Object, state::parts(&content_id), &chosen)?;
                family.batch.delete(Space::Object, upload_row.clone());
                for part in &left {
                    family.give_back_content(&part.content)?;
                }
                family.batch.drop_generation(Space::Object, state::parts_of_upload(generation, &upload_id));
                family.tell(Event::CompleteMultipartUpload, About::made(&version), &cause)?;
                Ok(Step::Done(Some(version)))
            });
            if let Some(version) = done.await? {
                return Ok(version);
            }
        }
    }
}

/// What an upload that is complete has made, while it is the newest version of its key.
fn made_before(view: &dyn Snapshot, place: &Place, id: &Id) -> Option<Version> {
    let newest = readable(view, place, None).ok()?;
    let made = newest.object.as_ref().is_some_and(|object| object.content.id == state::hex(id));
    made.then_some(newest)
}

/// The parts that the object is made of, and those that are left.
///
/// # Errors
/// InvalidPart, EntityTooSmall, InvalidRequest.
fn choose(id: &Id, said: &Said, upload: &Upload, there: Vec<Part>) -> Result<(Vec<Part>, Vec<Part>), Fault> {
    let wanted = algorithm(upload);
    let (mut chosen, mut left) = (Vec::with_capacity(said.parts.len()), Vec::new());
    let mut there = there.into_iter().peekable();
    let last = said.parts.last().map_or(0, |part| part.number);
    for named in &said.parts {
        while let Some(skipped) = there.next_if(|part| part.number < named.number) {
            left.push(skipped);
        }
        let found = there.next_if(|part| part.number == named.number && part.etag == named.etag);
        let wrong = || {
            let words = "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.";
            Fault::new("InvalidPart", 400, words)
                .with("UploadId", state::hex(id))
                .with("PartNumber", named.number.to_string())
                .with("ETag", named.etag.clone())
        };
        let part = found.ok_or_else(wrong)?;
        match &named.sum {
            Some((algorithm, value)) => {
                let kept = part.checksum.as_ref();
                if kept.is_none_or(|kept| kept.algorithm != algorithm.name() || kept.value != *value) {
                    return Err(wrong());
                }
            }
            None if upload.composite && upload.algorithm.is_some() => {
                return Err(faults::request(format!(
                    "The upload was created using a {} checksum. The complete request must include the checksum for each part. It was missing for part {} in the request.",
                    wanted.name().to_ascii_lowercase(),
                    named.number,
                )));
            }
            None => {}
        }
        if named.number != last && part.content.size_bytes < limits::PART_BYTES {
            let words = "Your proposed upload is smaller than the minimum allowed size";
            return Err(Fault::new("EntityTooSmall", 400, words)
                .with("ProposedSize", part.content.size_bytes.to_string())
                .with("MinSizeAllowed", limits::PART_BYTES.to_string())
                .with("PartNumber", part.number.to_string())
                .with("ETag", part.etag.clone()));
        }
        chosen.push(part);
    }
    left.extend(there);
    Ok((chosen, left))
}

/// The object that parts make.
///
/// # Errors
/// InvalidRequest, BadDigest where the client says otherwise.
fn object(upload: &Upload, said: &Said, parts: &[Part], content: Content) -> Result<Object, Fault> {
    let size_bytes = content.size_bytes;
    if size_bytes > limits::OBJECT_BYTES {
        return Err(faults::too_large(size_bytes, limits::OBJECT_BYTES));
    }
    if said.size_bytes.is_some_and(|said| u64::try_from(said) != Ok(size_bytes)) {
        let words = "The provided 'x-amz-mp-object-size' header value does not match what was computed.";
        return Err(faults::request(words));
    }
    if let Some(asked) = said.kind.as_deref().filter(|asked| *asked != kind(upload.composite)) {
        return Err(faults::request(format!(
            "The upload was created using the {} checksum mode. The complete request must use the same checksum mode, not {asked}.",
            kind(upload.composite)
        )));
    }
    let wanted = algorithm(upload);
    let value = if upload.composite { composite(wanted, parts) } else { full(wanted, parts) };
    if let (Some((given, said)), Some(value)) = (&said.sum, &value) {
        let said = said.rsplit_once('-').filter(|_| upload.composite).map_or(said.as_str(), |(sum, _)| sum);
        if *given != wanted || said != value {
            return Err(faults::bad_digest(given.name()));
        }
    }
    let checksum = value.map(|value| Sum {
        algorithm: wanted.name().to_owned(),
        value: if upload.composite { format!("{value}-{}", parts.len()) } else { value },
        composite: upload.composite,
    });
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(bytes_of(&part.etag));
    }
    Ok(Object {
        etag: format!("{}-{}", state::hex(&md5.finalize()), parts.len()),
        content,
        parts: Some(parts.len() as u32),
        checksum,
        ..upload.object.clone()
    })
}

/// The bytes that hexadecimal digits stand for.
fn bytes_of(hex: &str) -> Vec<u8> {
    state::id_of(hex).map_or_else(Vec::new, |bytes| bytes.to_vec())
}

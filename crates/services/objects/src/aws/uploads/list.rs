//! Uploads under way, and their parts.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::s3::{self, ops};

use super::begin::kind;
use super::{find, id, parts};
use crate::aws::list::{prefixes, printed};
use crate::aws::{canonical_id, date, owner, quoted};
use crate::rules::checksums;
use crate::rules::pages::{self, Walk};
use crate::types::Upload;
use crate::{Objects, state};

fn initiator(upload: &Upload) -> s3::Initiator {
    // The root of an account is called by its canonical id, everybody else by the ARN.
    let id = if upload.initiator.ends_with(":root") { canonical_id(&upload.owner) } else { upload.initiator.clone() };
    s3::Initiator { id: Some(id), display_name: None }
}

fn storage_class(upload: &Upload) -> Option<String> {
    Some(upload.object.storage_class.clone().unwrap_or("STANDARD".into()))
}

impl Handle<ops::ListParts> for Objects {
    async fn handle(
        self: Arc<Self>,
        _: Context,
        input: s3::ListPartsRequest,
        _: Body,
    ) -> Result<Answer<s3::ListPartsOutput>, Fault> {
        let place = self.place(input.bucket, input.key, input.expected_bucket_owner.as_deref())?;
        let id = id(input.upload_id.as_deref())?;
        let most = pages::most(input.max_parts, "max-parts")?;
        let after = u32::try_from(input.part_number_marker.unwrap_or(0).max(0)).unwrap_or(u32::MAX);
        let view = self.kv.snapshot()?;
        let upload = find(&*view, &place, &id)?;
        let mut found = parts(&*view, place.bucket.generation, &id, Some(after), most + 1)?;
        let is_truncated = found.len() > most && most > 0;
        found.truncate(most);
        let next = found.last().map_or(after, |part| part.number);
        let shown = found.into_iter().map(|part| {
            let mut shown = s3::Part {
                part_number: Some(i64::from(part.number)),
                last_modified: Some(date(part.modified_ms)),
                e_tag: Some(quoted(&part.etag)),
                size: Some(part.content.size_bytes as i64),
                ..s3::Part::default()
            };
            if let Some(sum) = part.checksum.as_ref().filter(|_| upload.algorithm.is_some()) {
                checksums::show!(shown, sum);
            }
            shown
        });
        let (abort_date, abort_rule_id) =
            crate::lifecycle::abort(&place.bucket, &place.key, upload.initiated_ms).unzip();
        let output = s3::ListPartsOutput {
            abort_date,
            abort_rule_id,
            parts: Some(shown.collect()).filter(|parts: &Vec<_>| !parts.is_empty()),
            bucket: Some(place.name.clone()),
            key: Some(place.key.clone()),
            upload_id: input.upload_id,
            part_number_marker: Some(i64::from(after)),
            next_part_number_marker: Some(i64::from(next)),
            max_parts: Some(most as i64),
            is_truncated: Some(is_truncated),
            initiator: Some(initiator(&upload)),
            owner: Some(owner(&upload.owner)),
            storage_class: storage_class(&upload),
            checksum_type: upload.algorithm.is_some().then(|| kind(upload.composite).to_owned()),
            checksum_algorithm: upload.algorithm,
            ..s3::ListPartsOutput::default()
        };
        Ok(output.into())
    }
}

impl Handle<ops::ListMultipartUploads> for Objects {
    async fn handle(
        self: Arc<Self>,
        _: Context,
        input: s3::ListMultipartUploadsRequest,
        _: Body,
    ) -> Result<Answer<s3::ListMultipartUploadsOutput>, Fault> {
        let bucket = self.bucket(input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
        let url = pages::encoded(input.encoding_type.as_deref())?;
        let most = pages::most(input.max_uploads, "max-uploads")?;
        let prefix = input.prefix.unwrap_or_default();
        let delimiter = input.delimiter;
        let key_marker = input.key_marker.unwrap_or_default();
        let id_marker = input.upload_id_marker.clone().filter(|_| !key_marker.is_empty());
        let view = self.kv.snapshot()?;
        let mut walk = Walk::new(&*view, bucket.generation, state::uploads, &prefix);
        if !key_marker.is_empty() {
            walk = match id_marker.as_deref().and_then(state::id_of) {
                Some(id) => walk.behind(state::upload(bucket.generation, &key_marker, &id)),
                // Behind all uploads of the key.
                None => walk.starting(state::upload(bucket.generation, &key_marker, &[0xff; 16])),
            };
            let folded = pages::common(&key_marker, &prefix, delimiter.as_deref()).map(str::to_owned);
            if let Some(folded) = folded.filter(|folded| *folded == key_marker) {
                walk.pass(&folded);
            }
        }
        let (mut uploads, mut folded): (Vec<s3::MultipartUpload>, Vec<String>) = (Vec::new(), Vec::new());
        let (mut next, mut last) = (None, (String::new(), String::new()));
        while let Some((row, value)) = walk.next()? {
            if uploads.len() + folded.len() >= most {
                next = (most > 0).then_some(last);
                break;
            }
            let (key, id) =
                state::key_of_upload(&row).ok_or_else(|| Fault::internal("an upload's row does not read"))?;
            if let Some(common) = pages::common(&key, &prefix, delimiter.as_deref()) {
                let common = common.to_owned();
                walk.pass(&common);
                last = (common.clone(), String::new());
                folded.push(common);
                continue;
            }
            let upload: Upload = state::parse(&row, &value)?;
            last = (key.clone(), state::hex(&id));
            uploads.push(s3::MultipartUpload {
                upload_id: Some(state::hex(&id)),
                key: Some(printed(key, url)),
                initiated: Some(date(upload.initiated_ms)),
                storage_class: storage_class(&upload),
                owner: Some(owner(&upload.owner)),
                initiator: Some(initiator(&upload)),
                checksum_type: upload.algorithm.is_some().then(|| kind(upload.composite).to_owned()),
                checksum_algorithm: upload.algorithm,
                version_id: None,
            });
        }
        let output = s3::ListMultipartUploadsOutput {
            bucket: input.bucket,
            key_marker: Some(printed(key_marker, url)),
            upload_id_marker: Some(input.upload_id_marker.unwrap_or_default()),
            is_truncated: Some(next.is_some()),
            next_key_marker: next.as_ref().map(|(key, _)| printed(key.clone(), url)),
            next_upload_id_marker: next.map(|(_, id)| id),
            prefix: Some(printed(prefix, url)),
            delimiter: delimiter.map(|delimiter| printed(delimiter, url)),
            max_uploads: Some(most as i64),
            uploads: Some(uploads).filter(|uploads| !uploads.is_empty()),
            common_prefixes: prefixes(folded, url),
            encoding_type: input.encoding_type,
            request_charged: None,
        };
        Ok(output.into())
    }
}

//! The objects of a bucket in order: ListObjects and ListObjectsV2.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::s3::{self, ops};
use store::Snapshot;

use super::{date, owner, quoted};
use crate::rules::pages::{self, Position};
use crate::types::{Head, Version};
use crate::{Objects, faults, state};

/// What both listings are asked alike.
struct Asked {
    prefix: String,
    delimiter: Option<String>,
    most: usize,
    from: Option<Position>,
}

/// One page.
#[derive(Default)]
struct Page {
    keys: Vec<(String, Version)>,
    prefixes: Vec<String>,
    /// Where the next page goes on.
    next: Option<Position>,
}

/// Reads one page. Deleted keys are not in it.
fn page(view: &dyn Snapshot, generation: u64, asked: &Asked) -> Result<Page, Fault> {
    let mut page = Page::default();
    if asked.most == 0 {
        return Ok(page);
    }
    let mut walk = pages::of_heads(view, generation, &asked.prefix);
    if let Some(from) = &asked.from {
        walk = from.walk(walk);
    }
    let mut last = None;
    while let Some((row, value)) = walk.next()? {
        let key = state::key_of_head(&row).ok_or_else(|| Fault::internal("an object's row does not read"))?;
        let Head { current, .. } = state::parse(&row, &value)?;
        if current.is_marker() {
            continue;
        }
        if page.keys.len() + page.prefixes.len() == asked.most {
            page.next = last;
            break;
        }
        match pages::common(&key, &asked.prefix, asked.delimiter.as_deref()) {
            Some(prefix) => {
                let prefix = prefix.to_owned();
                walk.pass(&prefix);
                last = Some(Position::Prefix(prefix.clone()));
                page.prefixes.push(prefix);
            }
            None => {
                last = Some(Position::Key(key.clone()));
                page.keys.push((key, current));
            }
        }
    }
    Ok(page)
}

/// A name as the answer prints it.
pub(super) fn printed(name: String, url: bool) -> String {
    if url { pages::url(&name) } else { name }
}

fn shown(key: String, version: &Version, url: bool, with_owner: bool) -> s3::Object {
    let object = version.object.as_ref();
    s3::Object {
        key: Some(printed(key, url)),
        last_modified: Some(date(version.modified_ms)),
        e_tag: object.map(|object| quoted(&object.etag)),
        checksum_algorithm: object.and_then(|object| Some(vec![object.checksum.as_ref()?.algorithm.clone()])),
        checksum_type: object.and_then(|object| Some(object.checksum.as_ref()?.kind().to_owned())),
        size: object.map(|object| object.content.size_bytes as i64),
        storage_class: Some(object.and_then(|object| object.storage_class.clone()).unwrap_or("STANDARD".into())),
        owner: with_owner.then(|| owner(&version.owner)),
        restore_status: None,
    }
}

pub(super) fn prefixes(prefixes: Vec<String>, url: bool) -> Option<Vec<s3::CommonPrefix>> {
    let shown = prefixes.into_iter().map(|prefix| s3::CommonPrefix { prefix: Some(printed(prefix, url)) });
    Some(shown.collect()).filter(|shown: &Vec<_>| !shown.is_empty())
}

/// Nothing here is ever archived, so nobody is told of a restore.
pub(super) fn optional(attributes: Option<&[String]>) -> Result<(), Fault> {
    match attributes.into_iter().flatten().find(|name| *name != "RestoreStatus") {
        Some(other) => {
            Err(faults::argument("Invalid attribute name specified", "x-amz-optional-object-attributes", other))
        }
        None => Ok(()),
    }
}

impl Handle<ops::ListObjectsV2> for Objects {
    async fn handle(
        self: Arc<Self>,
        _: Context,
        input: s3::ListObjectsV2Request,
        _: Body,
    ) -> Result<Answer<s3::ListObjectsV2Output>, Fault> {
        let bucket = self.bucket(input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
        let url = pages::encoded(input.encoding_type.as_deref())?;
        optional(input.optional_object_attributes.as_deref())?;
        let most = pages::most(input.max_keys, "maxKeys")?;
        let from = match (&input.continuation_token, &input.start_after) {
            (Some(token), _) => Some(Position::of_token(token).ok_or_else(|| {
                faults::argument("The continuation token provided is incorrect", "continuation-token", token)
            })?),
            (None, Some(after)) => Some(Position::Key(after.clone())),
            (None, None) => None,
        };
        let asked = Asked { prefix: input.prefix.unwrap_or_default(), delimiter: input.delimiter, most, from };
        let found = page(&*self.kv.snapshot()?, bucket.generation, &asked)?;
        let with_owner = input.fetch_owner == Some(true);
        let key_count = (found.keys.len() + found.prefixes.len()) as i64;
        let contents = found.keys.into_iter().map(|(key, version)| shown(key, &version, url, with_owner)).collect();
        let output = s3::ListObjectsV2Output {
            is_truncated: Some(found.next.is_some()),
            contents: Some(contents).filter(|contents: &Vec<_>| !contents.is_empty()),
            name: input.bucket,
            prefix: Some(printed(asked.prefix, url)),
            delimiter: asked.delimiter.map(|delimiter| printed(delimiter, url)),
            max_keys: Some(most as i64),
            common_prefixes: prefixes(found.prefixes, url),
            encoding_type: input.encoding_type,
            key_count: Some(key_count),
            continuation_token: input.continuation_token,
            next_continuation_token: found.next.as_ref().map(Position::token),
            start_after: input.start_after.map(|after| printed(after, url)),
            request_charged: None,
        };
        Ok(output.into())
    }
}

impl Handle<ops::ListObjects> for Objects {
    async fn handle(
        self: Arc<Self>,
        _: Context,
        input: s3::ListObjectsRequest,
        _: Body,
    ) -> Result<Answer<s3::ListObjectsOutput>, Fault> {
        let bucket = self.bucket(input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
        let url = pages::encoded(input.encoding_type.as_deref())?;
        optional(input.optional_object_attributes.as_deref())?;
        let most = pages::most(input.max_keys, "max-keys")?;
        let prefix = input.prefix.unwrap_or_default();
        let marker = input.marker.unwrap_or_default();
        // A marker that is a whole prefix stands behind all keys that it begins.
        let folded = pages::common(&marker, &prefix, input.delimiter.as_deref());
        let from = match (marker.as_str(), folded) {
            ("", _) => None,
            (marker, Some(folded)) if folded == marker => Some(Position::Prefix(marker.to_owned())),
            (marker, _) => Some(Position::Key(marker.to_owned())),
        };
        let asked = Asked { prefix, delimiter: input.delimiter, most, from };
        let found = page(&*self.kv.snapshot()?, bucket.generation, &asked)?;
        let next = found.next.as_ref().map(|(Position::Key(name) | Position::Prefix(name))| name.clone());
        let contents = found.keys.into_iter().map(|(key, version)| shown(key, &version, url, true)).collect();
        let output = s3::ListObjectsOutput {
            is_truncated: Some(found.next.is_some()),
            marker: Some(printed(marker, url)),
            // Only with a delimiter: without one the last key is the next marker.
            next_marker: next.filter(|_| asked.delimiter.is_some()).map(|next| printed(next, url)),
            contents: Some(contents).filter(|contents: &Vec<_>| !contents.is_empty()),
            name: input.bucket,
            prefix: Some(printed(asked.prefix, url)),
            delimiter: asked.delimiter.map(|delimiter| printed(delimiter, url)),
            max_keys: Some(most as i64),
            common_prefixes: prefixes(found.prefixes, url),
            encoding_type: input.encoding_type,
            request_charged: None,
        };
        Ok(output.into())
    }
}

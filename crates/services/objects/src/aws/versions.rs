//! All versions of a bucket's objects in order: ListObjectVersions.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::s3::{self, ops};
use store::{Snapshot, Space};

use super::list::{optional, prefixes, printed};
use super::{date, owner, quoted};
use crate::rules::pages::{self, Position, Walk};
use crate::rules::version_id::named;
use crate::types::{Head, Version};
use crate::{Objects, faults, state};

/// What is asked.
struct Asked {
    prefix: String,
    delimiter: Option<String>,
    most: usize,
    from: From,
}

/// Where a page begins.
enum From {
    Start,
    Behind(Position),
    /// Behind the version of a key with this id; the key's other versions first.
    Version(String, String),
}

/// One version on a page.
struct Entry {
    key: String,
    version: Version,
    latest: bool,
}

/// Where a page ended.
#[derive(Clone)]
enum Last {
    Version(String, String),
    Prefix(String),
}

/// One page.
#[derive(Default)]
struct Page {
    entries: Vec<Entry>,
    prefixes: Vec<String>,
    last: Option<Last>,
    truncated: bool,
}

impl Page {
    /// Whether there is room for one more; if there is none, the page is said to go on.
    fn has_room(&mut self, most: usize) -> bool {
        self.truncated = self.entries.len() + self.prefixes.len() == most;
        !self.truncated
    }

    fn add(&mut self, key: &str, version: Version, latest: bool) {
        self.last = Some(Last::Version(key.to_owned(), version.shown_id().to_owned()));
        self.entries.push(Entry { key: key.to_owned(), version, latest });
    }
}

/// Reads one page.
fn page(view: &dyn Snapshot, generation: u64, asked: &Asked) -> Result<Page, Fault> {
    let mut page = Page::default();
    if asked.most == 0 {
        return Ok(page);
    }
    let mut walk = pages::of_heads(view, generation, &asked.prefix);
    match &asked.from {
        From::Start => {}
        From::Behind(place) => walk = place.walk(walk),
        From::Version(key, id) => {
            if key.starts_with(&asked.prefix) && pages::common(key, &asked.prefix, asked.delimiter.as_deref()).is_none()
            {
                rest_of(view, generation, (key, id), asked.most, &mut page)?;
            }
            walk = Position::Key(key.clone()).walk(walk);
        }
    }
    while !page.truncated
        && let Some((row, value)) = walk.next()?
    {
        let key = state::key_of_head(&row).ok_or_else(|| Fault::internal("an object's row does not read"))?;
        if !page.has_room(asked.most) {
            break;
        }
        if let Some(prefix) = pages::common(&key, &asked.prefix, asked.delimiter.as_deref()) {
            walk.pass(prefix);
            page.last = Some(Last::Prefix(prefix.to_owned()));
            page.prefixes.push(prefix.to_owned());
            continue;
        }
        let Head { current, older, .. } = state::parse(&row, &value)?;
        page.add(&key, current, true);
        if older {
            behind(Walk::new(view, generation, state::older_of, &key), &key, asked.most, &mut page)?;
        }
    }
    Ok(page)
}

/// Adds the older versions of a key, as far as there is room.
fn behind(mut walk: Walk<'_>, key: &str, most: usize, page: &mut Page) -> Result<(), Fault> {
    while let Some((row, value)) = walk.next()? {
        if !page.has_room(most) {
            break;
        }
        page.add(key, state::parse(&row, &value)?, false);
    }
    Ok(())
}

/// Adds the versions of a key that stand behind the one with this id, which may be gone.
fn rest_of(
    view: &dyn Snapshot,
    generation: u64,
    (key, id): (&str, &str),
    most: usize,
    page: &mut Page,
) -> Result<(), Fault> {
    let seq = named(id)?;
    let row = state::head(generation, key);
    let Some(value) = view.get(Space::Object, &row)? else { return Ok(()) };
    let head: Head = state::parse(&row, &value)?;
    let seq = seq.or_else(|| if head.current.id.is_none() { Some(head.current.seq) } else { head.null });
    let walk = Walk::new(view, generation, state::older_of, key);
    match seq {
        Some(seq) if seq > head.current.seq => page.add(key, head.current, true),
        Some(seq) => return behind(walk.behind(state::older(generation, key, seq)), key, most, page),
        // The `null` version is gone, and with it its place: better one twice than one never.
        None => page.add(key, head.current, true),
    }
    behind(walk, key, most, page)
}

/// Where the markers say that a page begins.
///
/// # Errors
/// InvalidArgument.
fn from(key: Option<&str>, version: Option<&str>, prefix: &str, delimiter: Option<&str>) -> Result<From, Fault> {
    let key = key.filter(|key| !key.is_empty());
    match (key, version) {
        (_, Some("")) => Err(faults::argument("A version-id marker cannot be empty.", "version-id-marker", "")),
        (None, Some(version)) => {
            let words = "A version-id marker cannot be specified without a key marker.";
            Err(faults::argument(words, "version-id-marker", version))
        }
        (None, None) => Ok(From::Start),
        (Some(key), Some(version)) => {
            if named(version).is_err() {
                return Err(faults::argument("Invalid version id specified", "version-id-marker", version));
            }
            Ok(From::Version(key.to_owned(), version.to_owned()))
        }
        // A marker that is a whole prefix stands behind all keys that it begins.
        (Some(key), None) if pages::common(key, prefix, delimiter) == Some(key) => {
            Ok(From::Behind(Position::Prefix(key.to_owned())))
        }
        (Some(key), None) => Ok(From::Behind(Position::Key(key.to_owned()))),
    }
}

fn shown(entry: &Entry, url: bool) -> Result<s3::ObjectVersion, s3::DeleteMarkerEntry> {
    let Entry { key, version, latest } = entry;
    let Some(object) = &version.object else {
        return Err(s3::DeleteMarkerEntry {
            owner: Some(owner(&version.owner)),
            key: Some(printed(key.clone(), url)),
            version_id: Some(version.shown_id().to_owned()),
            is_latest: Some(*latest),
            last_modified: Some(date(version.modified_ms)),
        });
    };
    Ok(s3::ObjectVersion {
        e_tag: Some(quoted(&object.etag)),
        checksum_algorithm: object.checksum.as_ref().map(|sum| vec![sum.algorithm.clone()]),
        checksum_type: object.checksum.as_ref().map(|sum| sum.kind().to_owned()),
        size: Some(object.content.size_bytes as i64),
        storage_class: Some(object.storage_class.clone().unwrap_or_else(|| "STANDARD".into())),
        key: Some(printed(key.clone(), url)),
        version_id: Some(version.shown_id().to_owned()),
        is_latest: Some(*latest),
        last_modified: Some(date(version.modified_ms)),
        owner: Some(owner(&version.owner)),
        restore_status: None,
    })
}

impl Handle<ops::ListObjectVersions> for Objects {
    async fn handle(
        self: Arc<Self>,
        _: Context,
        input: s3::ListObjectVersionsRequest,
        _: Body,
    ) -> Result<Answer<s3::ListObjectVersionsOutput>, Fault> {
        let bucket = self.bucket(input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
        let url = pages::encoded(input.encoding_type.as_deref())?;
        optional(input.optional_object_attributes.as_deref())?;
        let most = pages::most(input.max_keys, "max-keys")?;
        let prefix = input.prefix.unwrap_or_default();
        let delimiter = input.delimiter.filter(|delimiter| !delimiter.is_empty());
        let (key, version) = (input.key_marker.as_deref(), input.version_id_marker.as_deref());
        let from = from(key, version, &prefix, delimiter.as_deref())?;
        let asked = Asked { prefix, delimiter, most, from };
        let found = page(&*self.kv.snapshot()?, bucket.generation, &asked)?;
        let next = found.last.filter(|_| found.truncated);
        let (next_key, next_version) = match next {
            None => (None, None),
            Some(Last::Version(key, id)) => (Some(key), Some(id)),
            Some(Last::Prefix(prefix)) => (Some(prefix), None),
        };
        let (mut versions, mut markers) = (Vec::new(), Vec::new());
        for entry in &found.entries {
            match shown(entry, url) {
                Ok(version) => versions.push(version),
                Err(marker) => markers.push(marker),
            }
        }
        let output = s3::ListObjectVersionsOutput {
            is_truncated: Some(found.truncated),
            key_marker: Some(printed(input.key_marker.unwrap_or_default(), url)),
            version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
            next_key_marker: next_key.map(|key| printed(key, url)),
            next_version_id_marker: next_version,
            versions: (!versions.is_empty()).then_some(versions),
            delete_markers: (!markers.is_empty()).then_some(markers),
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

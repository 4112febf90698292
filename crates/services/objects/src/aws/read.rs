//! Objects as they are read: GetObject and HeadObject.

use std::sync::Arc;

use base::{Fault, Timestamp};
use door::{Answer, Body, Context, Handle, Via};
use model::s3::{self, ops};
use store::{Snapshot, Space};

use super::locks::hold_word;
use super::{date, quoted};
use crate::aws::given::{customer, show_key};
use crate::content::{CustomerSecret, Outgoing, Span, parts_of};
use crate::rules::conditions::{Failed, Reading};
use crate::rules::version_id::named;
use crate::rules::{checksums, range};
use crate::types::{Bucket, Head, Object, Version};
use crate::write::Place;
use crate::{Objects, faults, lifecycle, state};

/// How often an object is looked up again whose bytes went away while it was read.
const LOOKS: usize = 5;

/// What GetObject and HeadObject are asked alike.
struct Asked {
    version_id: Option<String>,
    conditions: Reading,
    range: Option<String>,
    part_number: Option<i64>,
    customer: Option<CustomerSecret>,
    checksum: bool,
}

/// What is to be answered.
struct Found {
    version: Version,
    object: Object,
    /// When it goes by the bucket's lifecycle, for the newest version.
    expiration: Option<String>,
    span: Option<Span>,
    parts: Option<u32>,
    /// What part number was asked for, its own checksum in place of the whole object's.
    checksum: Option<crate::types::Sum>,
}

macro_rules! asked {
    ($input:expr) => {
        Asked {
            version_id: $input.version_id.take(),
            conditions: Reading {
                matches: $input.if_match.take(),
                none_matches: $input.if_none_match.take(),
                modified_since: $input.if_modified_since.take(),
                unmodified_since: $input.if_unmodified_since.take(),
            },
            range: $input.range.take(),
            part_number: $input.part_number,
            customer: customer!($input)?,
            checksum: $input.checksum_mode.as_deref() == Some("ENABLED"),
        }
    };
}

/// The members that both outputs have, from what was found and what the request overrides.
macro_rules! shown {
    ($output:ident, $found:expr, $input:expr) => {{
        let Found { version, object, expiration, span, parts, checksum } = $found;
        let described = &object.described;
        let bytes = span.map_or(object.content.size_bytes, |span| span.bytes);
        let mut output = s3::$output {
            accept_ranges: Some("bytes".into()),
            expiration: expiration.clone(),
            last_modified: Some(date(version.modified_ms)),
            content_length: Some(bytes as i64),
            e_tag: Some(quoted(&object.etag)),
            version_id: version.id.clone(),
            cache_control: $input.response_cache_control.take().or_else(|| described.cache_control.clone()),
            content_disposition: $input
                .response_content_disposition
                .take()
                .or_else(|| described.content_disposition.clone()),
            content_encoding: $input.response_content_encoding.take().or_else(|| described.content_encoding.clone()),
            content_language: $input.response_content_language.take().or_else(|| described.content_language.clone()),
            content_type: $input
                .response_content_type
                .take()
                .or_else(|| described.content_type.clone())
                .or_else(|| Some("binary/octet-stream".into())),
            content_range: span.map(|span| range::shown(span, object.content.size_bytes)),
            expires: $input.response_expires.map(http_date).or_else(|| described.expires.clone()),
            website_redirect_location: described.redirect.clone(),
            metadata: (!object.metadata.is_empty()).then(|| object.metadata.clone()),
            storage_class: object.storage_class.clone(),
            parts_count: parts.map(i64::from),
            tag_count: (!object.tags.is_empty()).then_some(object.tags.len() as i64),
            object_lock_mode: object.retention.as_ref().map(|retention| retention.mode.clone()),
            object_lock_retain_until_date: object.retention.as_ref().map(|retention| Timestamp(retention.until_ms)),
            object_lock_legal_hold_status: object.legal_hold.map(|on| hold_word(on).into()),
            ..s3::$output::default()
        };
        show_key!(output, object.customer_key);
        if let Some(sum) = checksum {
            output.checksum_type = Some(sum.kind().to_owned());
            checksums::show!(output, sum);
        }
        output
    }};
}

impl Handle<ops::GetObject> for Objects {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        mut input: s3::GetObjectRequest,
        _: Body,
    ) -> Result<Answer<s3::GetObjectOutput>, Fault> {
        let place = self.place(input.bucket.take(), input.key.take(), input.expected_bucket_owner.as_deref())?;
        elsewhere(&context, &place.bucket)?;
        let asked = asked!(input);
        for _ in 0..LOOKS {
            let (found, outgoing) = self.found(&place, &asked).map_err(|fault| self.hidden(&context, &place, fault))?;
            // What was replaced since may be gone by now.
            if outgoing.is_on_disk() {
                let now = self.look(&*self.kv.snapshot()?, &place, &asked)?;
                if now.object.content.id != found.object.content.id {
                    continue;
                }
            }
            let output = shown!(GetObjectOutput, &found, input);
            return Ok(Answer { output, body: outgoing.body().await? });
        }
        Err(Fault::new("SlowDown", 503, "Please reduce your request rate."))
    }
}

/// Sends another room to the bucket's own region. Clients may ask anywhere.
///
/// # Errors
/// PermanentRedirect.
fn elsewhere(context: &Context, bucket: &Bucket) -> Result<(), Fault> {
    if !matches!(context.via, Via::Room(_)) || bucket.region == context.region.as_str() {
        return Ok(());
    }
    let words = format!("The bucket is in this region: {}. Please use this region to retry the request", bucket.region);
    Err(Fault::new("PermanentRedirect", 301, words))
}

impl Handle<ops::HeadObject> for Objects {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        mut input: s3::HeadObjectRequest,
        _: Body,
    ) -> Result<Answer<s3::HeadObjectOutput>, Fault> {
        let place = self.place(input.bucket.take(), input.key.take(), input.expected_bucket_owner.as_deref())?;
        let asked = asked!(input);
        let view = self.kv.snapshot()?;
        let found = self.look(&*view, &place, &asked).map_err(|fault| self.hidden(&context, &place, fault))?;
        let output = shown!(HeadObjectOutput, &found, input);
        Ok(output.into())
    }
}

impl Objects {
    /// What a reader hears of what is not there: that it is not, if they may list the bucket; else no more than that they may not read it.
    /// Source: Amazon S3 API Reference, `GetObject`, "Permissions".
    fn hidden(&self, context: &Context, place: &Place, fault: Fault) -> Fault {
        let is_absent = matches!(fault.code.as_ref(), "NoSuchKey" | "NoSuchVersion");
        if is_absent && self.may(context, "s3:ListBucket", &place.name, &place.bucket, None).is_err() {
            return faults::denied();
        }
        fault
    }

    /// What a reader asks for, with its bytes.
    fn found(self: &Arc<Self>, place: &Place, asked: &Asked) -> Result<(Found, Outgoing), Fault> {
        let view = self.kv.snapshot()?;
        let found = self.look(&*view, place, asked)?;
        let span = found.span.unwrap_or(Span { from: 0, bytes: found.object.content.size_bytes });
        let seal = asked.customer.as_ref().map_or(&self.seal, CustomerSecret::seal);
        let outgoing = self.outgoing(&*view, place.bucket.generation, &found.object.content, span, seal)?;
        Ok((found, outgoing))
    }

    /// What a reader asks for.
    fn look(&self, view: &dyn Snapshot, place: &Place, asked: &Asked) -> Result<Found, Fault> {
        let version = readable(view, place, asked.version_id.as_deref())?;
        let object = of_version(place, &version, asked.version_id.is_some(), "GET")?;
        may_open(&object, asked.customer.as_ref())?;
        let tagged = |fault: Fault| {
            fault.header("etag", quoted(&object.etag)).header("last-modified", http_date(date(version.modified_ms)))
        };
        asked.conditions.check(&object.etag, version.modified_ms).map_err(|failed| match failed {
            Failed::Precondition(condition) => faults::precondition(condition),
            Failed::NotModified => tagged(Fault::new("NotModified", 304, "Not Modified")),
        })?;
        let size_bytes = object.content.size_bytes;
        let mut checksum = object.checksum.clone();
        let mut parts = None;
        let span = match (asked.part_number, &asked.range) {
            (Some(_), Some(_)) => {
                return Err(faults::request("Cannot specify both Range header and partNumber query parameter"));
            }
            (Some(number), None) => {
                let (span, sum) = part(view, &object, number)?;
                parts = object.parts;
                if object.parts.is_some() {
                    checksum = sum;
                }
                Some(span).filter(|_| size_bytes > 0)
            }
            (None, Some(range)) => range::of(range, size_bytes)?,
            (None, None) => None,
        };
        // A part of the bytes does not have the checksum of the whole.
        let whole = span.is_none() || asked.part_number.is_some();
        let checksum = checksum.filter(|_| asked.checksum && whole);
        let newest = asked.version_id.is_none();
        let expiration = newest.then(|| lifecycle::expiration(&place.bucket, &place.key, &version)).flatten();
        Ok(Found { version, object, expiration, span, parts, checksum })
    }
}

/// The version that a reader means.
///
/// # Errors
/// NoSuchKey, NoSuchVersion, InvalidArgument for an id that is none.
pub(crate) fn readable(view: &dyn Snapshot, place: &Place, id: Option<&str>) -> Result<Version, Fault> {
    let generation = place.bucket.generation;
    let row = state::head(generation, &place.key);
    let head: Option<Head> = view.get(Space::Object, &row)?.map(|value| state::parse(&row, &value)).transpose()?;
    let Some(id) = id else {
        return head.map(|head| head.current).ok_or_else(|| faults::no_key(&place.key));
    };
    let seq = named(id)?;
    let Some(head) = head else { return Err(faults::no_version(&place.key, id)) };
    if head.current.shown_id() == id {
        return Ok(head.current);
    }
    let seq = seq.or(head.null).ok_or_else(|| faults::no_version(&place.key, id))?;
    let row = state::older(generation, &place.key, seq);
    let version: Option<Version> =
        view.get(Space::Object, &row)?.map(|value| state::parse(&row, &value)).transpose()?;
    version.filter(|version| version.shown_id() == id).ok_or_else(|| faults::no_version(&place.key, id))
}

/// The object of a version; whether it was named by its id.
///
/// # Errors
/// For a delete marker NoSuchKey, or MethodNotAllowed by its id.
pub(super) fn of_version(place: &Place, version: &Version, by_id: bool, method: &str) -> Result<Object, Fault> {
    version.object.clone().ok_or_else(|| marker(place, version, by_id, method))
}

/// What a reader of a delete marker hears.
fn marker(place: &Place, version: &Version, by_id: bool, method: &str) -> Fault {
    let fault = if by_id {
        faults::on_marker(method).header("last-modified", http_date(date(version.modified_ms)))
    } else {
        faults::no_key(&place.key)
    };
    fault.header("x-amz-delete-marker", "true").header("x-amz-version-id", version.shown_id())
}

/// Whether the key that came along, or none, opens an object.
///
/// # Errors
/// InvalidRequest, AccessDenied.
pub(super) fn may_open(object: &Object, customer: Option<&CustomerSecret>) -> Result<(), Fault> {
    match (&object.customer_key, customer) {
        (None, None) => Ok(()),
        (Some(_), None) => Err(faults::request(
            "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.",
        )),
        (None, Some(_)) => Err(faults::request("The encryption parameters are not applicable to this object.")),
        (Some(kept), Some(secret)) if secret.is(kept) => Ok(()),
        (Some(_), Some(_)) => Err(faults::denied()),
    }
}

/// The stretch of an object that was its part with this number, and that part's checksum.
fn part(view: &dyn Snapshot, object: &Object, number: i64) -> Result<(Span, Option<crate::types::Sum>), Fault> {
    let none = || {
        Fault::new("InvalidPartNumber", 416, "The requested partnumber is not satisfiable")
            .with("PartNumberRequested", number.to_string())
            .with("ActualPartCount", object.parts.unwrap_or(1).to_string())
    };
    if !(1..=crate::limits::PARTS).contains(&number) {
        let words = "Part number must be an integer between 1 and 10000, inclusive";
        return Err(faults::argument(words, "partNumber", &number.to_string()));
    }
    if object.parts.is_none() {
        return if number == 1 { Ok((Span { from: 0, bytes: object.content.size_bytes }, None)) } else { Err(none()) };
    }
    let mut from = 0;
    for part in parts_of(view, &object.content)? {
        let bytes = part.content.size_bytes;
        if i64::from(part.number) == number {
            return Ok((Span { from, bytes }, part.checksum));
        }
        from += bytes;
    }
    Err(none())
}

/// `Wed, 21 Oct 2015 07:28:00 GMT`
pub(super) fn http_date(moment: Timestamp) -> String {
    wire::http_date(moment)
}

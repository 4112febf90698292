//! Objects that come from other objects.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::s3::{self, ops};
use percent_encoding::percent_decode_str;

use super::given::{given, show_key};
use super::put::kept_key;
use super::read::{may_open, readable};
use super::{date, quoted, refuse};
use crate::cause::Cause;
use crate::content::{CustomerSecret, Span, Wanted};
use crate::rules::conditions::{Failed, Reading, Writing};
use crate::rules::events::Event;
use crate::rules::{checksums, described, naming};
use crate::types::{Described, Object, Version};
use crate::write::{Fresh, Place};
use crate::{Objects, faults, limits, state};

/// From where something is copied.
pub(super) struct Source {
    bucket: String,
    key: String,
    version_id: Option<String>,
    owner: Option<String>,
    conditions: Reading,
    customer: Option<CustomerSecret>,
}

/// What a source was found to be.
pub(super) struct From {
    pub(super) place: Place,
    pub(super) version: Version,
    pub(super) object: Object,
    pub(super) body: Body,
}

/// The members of an input that say from where.
pub(super) struct Members {
    pub(super) source: Option<String>,
    pub(super) owner: Option<String>,
    pub(super) conditions: Reading,
    pub(super) customer: Option<CustomerSecret>,
}

macro_rules! source_members {
    ($input:expr) => {
        $crate::aws::copy::Members {
            source: $input.copy_source.take(),
            owner: $input.expected_source_bucket_owner.take(),
            conditions: $crate::rules::conditions::Reading {
                matches: $input.copy_source_if_match.take(),
                none_matches: $input.copy_source_if_none_match.take(),
                modified_since: $input.copy_source_if_modified_since.take(),
                unmodified_since: $input.copy_source_if_unmodified_since.take(),
            },
            customer: $crate::content::CustomerSecret::of(
                $input.copy_source_sse_customer_algorithm.as_deref(),
                $input.copy_source_sse_customer_key.as_deref(),
                $input.copy_source_sse_customer_key_md5.as_deref(),
            )?,
        }
    };
}

pub(super) use source_members;

/// The bucket, key and version that `x-amz-copy-source` names: `/bucket/key?versionId=…`, percent-encoded.
pub(crate) fn named(text: &str) -> Option<(String, String, Option<String>)> {
    let (path, version_id) = match text.split_once("?versionId=") {
        Some((path, version_id)) => (path, Some(version_id.to_owned())),
        None => (text, None),
    };
    let path = percent_decode_str(path).decode_utf8().ok()?;
    let (bucket, key) = path.strip_prefix('/').unwrap_or(&path).split_once('/')?;
    let whole = !bucket.is_empty() && !key.is_empty();
    whole.then(|| (bucket.to_owned(), key.to_owned(), version_id))
}

impl Source {
    /// # Errors
    /// InvalidArgument.
    pub(super) fn of(members: Members) -> Result<Self, Fault> {
        let Members { source, owner, conditions, customer } = members;
        let text = source.unwrap_or_default();
        if text.starts_with("arn:") {
            return Err(Fault::not_implemented(format_args!("s3: access points ({text})")));
        }
        let (bucket, key, version_id) = named(&text).ok_or_else(|| {
            let words = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey";
            faults::argument(words, "x-amz-copy-source", &text)
        })?;
        Ok(Self { bucket, key, version_id, owner, conditions, customer })
    }
}

impl Objects {
    /// A source's object, and its bytes or the range of them that is asked for (`bytes=first-last`).
    ///
    /// # Errors
    /// As reading it; PreconditionFailed for every condition that does not hold; InvalidRequest for a delete marker and for
    /// what is larger than a request may be.
    pub(super) async fn source(self: &Arc<Self>, source: &Source, range: Option<&str>) -> Result<From, Fault> {
        naming::check_key(&source.key)?;
        let bucket = self.bucket(Some(&source.bucket), source.owner.as_deref())?;
        let place = Place { bucket, name: source.bucket.clone(), key: source.key.clone() };
        loop {
            let view = self.kv.snapshot()?;
            let version = readable(&*view, &place, source.version_id.as_deref())?;
            let Some(object) = version.object.clone() else {
                return Err(match source.version_id {
                    Some(_) => faults::request(
                        "The source of a copy request may not specifically refer to a delete marker by version id.",
                    ),
                    None => faults::no_key(&place.key),
                });
            };
            may_open(&object, source.customer.as_ref())?;
            source.conditions.check(&object.etag, version.modified_ms).map_err(|failed| match failed {
                Failed::Precondition(condition) => faults::precondition(&format!("x-amz-copy-source-{condition}")),
                Failed::NotModified => faults::precondition("x-amz-copy-source-If-None-Match"),
            })?;
            let span = stretch(range, object.content.size_bytes)?;
            if span.bytes > limits::PUT_BYTES {
                let words =
                    "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120";
                return Err(faults::request(words));
            }
            let seal = source.customer.as_ref().map_or(&self.seal, CustomerSecret::seal);
            let outgoing = self.outgoing(&*view, place.bucket.generation, &object.content, span, seal)?;
            drop(view);
            if outgoing.is_on_disk() {
                let now = readable(&*self.kv.snapshot()?, &place, source.version_id.as_deref())?;
                if now.object.is_none_or(|now| now.content.id != object.content.id) {
                    continue;
                }
            }
            return Ok(From { body: outgoing.body().await?, place, version, object });
        }
    }
}

/// The stretch that `bytes=first-last` names, or the whole.
///
/// # Errors
/// InvalidArgument: here nothing is forgiven.
fn stretch(range: Option<&str>, size_bytes: u64) -> Result<Span, Fault> {
    let Some(range) = range else { return Ok(Span { from: 0, bytes: size_bytes }) };
    let wrong = || {
        let words = "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy";
        faults::argument(words, "x-amz-copy-source-range", range)
    };
    let (first, last) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')).ok_or_else(wrong)?;
    let (first, last): (u64, u64) = first.parse().ok().zip(last.parse().ok()).ok_or_else(wrong)?;
    if last < first {
        return Err(wrong());
    }
    if last >= size_bytes {
        let words = format!("Range specified is not valid for source object of size: {size_bytes}");
        return Err(faults::argument(words, "x-amz-copy-source-range", range));
    }
    Ok(Span { from: first, bytes: last - first + 1 })
}

/// Whether what a directive is about is copied, or replaced by what the request says.
///
/// # Errors
/// InvalidArgument.
fn replaced(directive: Option<&str>, header: &str) -> Result<bool, Fault> {
    match directive {
        None | Some("COPY") => Ok(false),
        Some("REPLACE") => Ok(true),
        Some(other) => Err(faults::argument(
            format!("Unknown {} directive.", header.trim_start_matches("x-amz-").trim_end_matches("-directive")),
            header,
            other,
        )),
    }
}

impl Handle<ops::CopyObject> for Objects {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        mut input: s3::CopyObjectRequest,
        _: Body,
    ) -> Result<Answer<s3::CopyObjectOutput>, Fault> {
        let place = self.place(input.bucket.take(), input.key.take(), input.expected_bucket_owner.as_deref())?;
        let annotations = input.annotation_directive.as_deref();
        refuse(&[("AnnotationDirective", annotations.is_some_and(|it| it != "COPY"))])?;
        let source = Source::of(source_members!(input))?;
        let conditions = Writing::of(input.if_match.take(), input.if_none_match.take())?;
        let given = given!(self, place, context, input);
        let algorithm = input.checksum_algorithm.as_deref().map(checksums::named).transpose()?;
        let replace = replaced(input.metadata_directive.as_deref(), "x-amz-metadata-directive")?;
        let retag = replaced(input.tagging_directive.as_deref(), "x-amz-tagging-directive")?;
        let redirect = input.website_redirect_location.take();
        let encrypts = input.server_side_encryption.is_some() || given.customer.is_some();
        let from = self.source(&source, None).await?;
        let same = from.place.name == place.name && from.place.key == place.key && source.version_id.is_none();
        let changes = replace || encrypts || redirect.is_some() || given.storage_class != from.object.storage_class;
        if same && !changes {
            let words = "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.";
            return Err(faults::request(words));
        }
        let kept = from.object.checksum.as_ref().and_then(|sum| checksums::named(&sum.algorithm).ok());
        let wanted = algorithm.or(kept).unwrap_or(checksums::DEFAULT);
        let take = Wanted {
            algorithms: vec![wanted],
            limit_bytes: limits::PUT_BYTES,
            customer: given.customer.as_ref().map(|secret| secret.seal().clone()),
        };
        let received = self.receive(from.body, take).await?;
        let object = Object {
            etag: state::hex(&received.md5),
            content: received.content.clone(),
            parts: None,
            checksum: received.sum(wanted).map(|value| checksums::whole(wanted, value)),
            described: if replace {
                Described { redirect, ..input_described(&mut input) }
            } else {
                // Where a page redirects to is never copied.
                Described { redirect, ..from.object.described.clone() }
            },
            metadata: if replace { given.metadata } else { from.object.metadata.clone() },
            tags: if retag { given.tags } else { from.object.tags.clone() },
            storage_class: given.storage_class,
            customer_key: kept_key(given.customer.as_ref(), &received),
            retention: given.retention,
            legal_hold: given.legal_hold,
            acl: given.acl,
        };
        let fresh = Fresh {
            owner: context.account.to_string(),
            object,
            received,
            event: Event::Copy,
            cause: Cause::of(&context),
        };
        let version = self.put(&place, fresh, conditions).await?;
        let mut result =
            s3::CopyObjectResult { last_modified: Some(date(version.modified_ms)), ..s3::CopyObjectResult::default() };
        let mut output = s3::CopyObjectOutput {
            copy_source_version_id: from.version.id,
            version_id: version.id.clone(),
            expiration: crate::lifecycle::expiration(&place.bucket, &place.key, &version),
            ..s3::CopyObjectOutput::default()
        };
        if let Some(object) = &version.object {
            result.e_tag = Some(quoted(&object.etag));
            if let Some(sum) = &object.checksum {
                result.checksum_type = Some(sum.kind().to_owned());
                checksums::show!(result, sum);
            }
            show_key!(output, object.customer_key);
        }
        output.copy_object_result = Some(result);
        Ok(output.into())
    }
}

fn input_described(input: &mut s3::CopyObjectRequest) -> Described {
    described::described!(input)
}

//! Objects and their versions go.

use std::sync::Arc;

use base::{Fault, Timestamp};
use door::{Answer, Body, Context, Handle};
use futures_util::StreamExt;
use futures_util::stream;
use model::s3::{self, ops};

use super::refuse;
use crate::cause::Cause;
use crate::notify::About;
use crate::rules::events::Event;
use crate::rules::locks;
use crate::types::{Bucket, Version};
use crate::write::{Place, Step};
use crate::{Objects, faults, limits};

/// Keys of one DeleteObjects that are deleted at once.
const AT_ONCE: usize = 32;

/// What shall go, and what must hold for it.
#[derive(Debug, Clone, Default)]
struct Goes {
    version_id: Option<String>,
    /// Governance does not hold.
    bypass: bool,
    /// The newest version must have this tag, date and size.
    matches: Option<String>,
    modified: Option<Timestamp>,
    size: Option<i64>,
    /// One of several that a request names: then of a key that was not there is told, too.
    one_of_several: bool,
}

/// What has gone.
#[derive(Debug, Clone, Default)]
struct Gone {
    /// A delete marker was made or taken away.
    marker: bool,
    /// The version that was made or taken away.
    version_id: Option<String>,
}

impl Handle<ops::DeleteObject> for Objects {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: s3::DeleteObjectRequest,
        _: Body,
    ) -> Result<Answer<s3::DeleteObjectOutput>, Fault> {
        let place = self.place(input.bucket, input.key, input.expected_bucket_owner.as_deref())?;
        refuse(&[("MFA", input.mfa.is_some())])?;
        bypassable(&place.bucket, input.bypass_governance_retention)?;
        let goes = Goes {
            version_id: input.version_id,
            bypass: input.bypass_governance_retention == Some(true),
            matches: input.if_match,
            modified: input.if_match_last_modified_time,
            size: input.if_match_size,
            one_of_several: false,
        };
        let gone = self.delete(&place, goes, &context).await?;
        let output = s3::DeleteObjectOutput {
            delete_marker: gone.marker.then_some(true),
            version_id: gone.version_id,
            ..s3::DeleteObjectOutput::default()
        };
        Ok(output.into())
    }
}

impl Handle<ops::DeleteObjects> for Objects {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: s3::DeleteObjectsRequest,
        _: Body,
    ) -> Result<Answer<s3::DeleteObjectsOutput>, Fault> {
        refuse(&[("MFA", input.mfa.is_some())])?;
        let name = input.bucket.unwrap_or_default();
        let bucket = self.bucket(Some(&name), input.expected_bucket_owner.as_deref())?;
        let delete = input.delete.unwrap_or_default();
        let objects = delete.objects.unwrap_or_default();
        if objects.is_empty() || objects.len() as i64 > limits::PAGE {
            return Err(faults::malformed());
        }
        bypassable(&bucket, input.bypass_governance_retention)?;
        let bypass = input.bypass_governance_retention == Some(true);
        let quiet = delete.quiet == Some(true);
        let each = objects.into_iter().map(|object| {
            let (room, name, bucket, context) = (&self, name.clone(), Arc::clone(&bucket), &context);
            async move {
                let key = object.key.unwrap_or_default();
                let goes = Goes {
                    version_id: object.version_id.clone(),
                    bypass,
                    matches: object.e_tag,
                    modified: object.last_modified_time,
                    size: object.size,
                    one_of_several: true,
                };
                let action = if goes.version_id.is_some() { "s3:DeleteObjectVersion" } else { "s3:DeleteObject" };
                let which = (key.as_str(), goes.version_id.as_deref());
                // Without the permission governance holds for the key, as if nobody had asked to bypass it.
                let bypass = "s3:BypassGovernanceRetention";
                let bypass = goes.bypass && room.may(context, bypass, &name, &bucket, Some(which)).is_ok();
                let gone = match room.may(context, action, &name, &bucket, Some(which)) {
                    Ok(()) => {
                        let place = Place { bucket, name, key: key.clone() };
                        room.delete(&place, Goes { bypass, ..goes }, context).await
                    }
                    Err(_) => Err(faults::denied()),
                };
                (key, object.version_id, gone)
            }
        });
        let mut output = s3::DeleteObjectsOutput::default();
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        let mut done = stream::iter(each).buffered(AT_ONCE);
        while let Some((key, version_id, gone)) = done.next().await {
            match gone {
                Ok(_) if quiet => {}
                Ok(gone) => deleted.push(s3::DeletedObject {
                    key: Some(key),
                    delete_marker: gone.marker.then_some(true),
                    delete_marker_version_id: gone.version_id.filter(|_| gone.marker),
                    version_id,
                }),
                Err(fault) => errors.push(s3::Error {
                    key: Some(key),
                    version_id,
                    code: Some(fault.code.into_owned()),
                    message: Some(fault.message),
                }),
            }
        }
        output.deleted = (!deleted.is_empty()).then_some(deleted);
        output.errors = (!errors.is_empty()).then_some(errors);
        Ok(output.into())
    }
}

/// Whether a request may speak of governance at all.
///
/// # Errors
/// InvalidArgument in a bucket without locks.
fn bypassable(bucket: &Bucket, bypass: Option<bool>) -> Result<(), Fault> {
    match bypass {
        Some(asked) if !bucket.object_lock => {
            let name = "x-amz-bypass-governance-retention";
            let words = format!("{name} is only applicable to Object Lock enabled buckets.");
            Err(faults::argument(words, name, &asked.to_string()))
        }
        _ => Ok(()),
    }
}

impl Objects {
    /// Deletes a key, or one of its versions.
    async fn delete(&self, place: &Place, goes: Goes, context: &Context) -> Result<Gone, Fault> {
        crate::rules::naming::check_key(&place.key)?;
        let now = self.clocks.product();
        let (owner, key, cause) = (context.account.to_string(), place.key.clone(), Cause::of(context));
        let older = self.behind(place, goes.version_id.as_deref())?;
        self.change(place, older, move |family| {
            goes.check(&key, family.current())?;
            if let Some(id) = &goes.version_id {
                let Some(version) = family.version(id, older)? else {
                    family.moved(id, older)?;
                    return Ok(Step::Done(Gone { marker: false, version_id: Some(id.clone()) }));
                };
                if let Some(object) = &version.object {
                    locks::unlocked(object, now, goes.bypass)?;
                }
                if family.current().is_some_and(|current| current.seq == version.seq) {
                    family.pop()?;
                } else {
                    family.remove(&version)?;
                }
                family.tell(Event::Delete, About::gone(&version), &cause)?;
                return Ok(Step::Done(Gone { marker: version.is_marker(), version_id: Some(id.clone()) }));
            }
            if family.bucket.versioning.is_none() {
                // As on AWS: DeleteObject is silent about what was not there, DeleteObjects is not.
                let there = family.current().is_some();
                if there || goes.one_of_several {
                    family.tell(Event::Delete, About::default(), &cause)?;
                }
                family.pop()?;
                return Ok(Step::Done(Gone::default()));
            }
            let marker = family.new_version(owner.clone(), None);
            match family.push(marker.clone())? {
                Step::Done(()) => {
                    family.tell(Event::DeleteMarkerCreated, About::made(&marker), &cause)?;
                    Ok(Step::Done(Gone { marker: true, version_id: Some(marker.shown_id().to_owned()) }))
                }
                Step::Again(seq) => Ok(Step::Again(seq)),
            }
        })
        .await
    }
}

impl Goes {
    /// Whether what must hold does. Source: Amazon S3 User Guide, "Conditional deletes".
    fn check(&self, key: &str, current: Option<&Version>) -> Result<(), Fault> {
        let Some(list) = &self.matches else {
            return match (self.modified, self.size, current) {
                (None, None, _) | (_, _, None) => Ok(()),
                (modified, size, Some(current)) => {
                    let bytes = current.object.as_ref().map(|object| object.content.size_bytes as i64);
                    let dated =
                        modified.is_none_or(|date| date.0.div_euclid(1000) == current.modified_ms.div_euclid(1000));
                    if dated && size.is_none_or(|size| bytes == Some(size)) {
                        return Ok(());
                    }
                    Err(faults::precondition(if dated { "If-Match-Size" } else { "If-Match-Last-Modified-Time" }))
                }
            };
        };
        let object = current.and_then(|current| current.object.as_ref());
        match object {
            None => Err(faults::no_key(key)),
            Some(object) if list.trim() == "*" || list.trim().trim_matches('"') == object.etag => Ok(()),
            Some(_) => Err(faults::precondition("If-Match")),
        }
    }
}

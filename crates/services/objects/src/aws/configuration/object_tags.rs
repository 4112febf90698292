//! The tags of an object's versions. Source: Amazon S3 API Reference, `PutObjectTagging`.

use std::collections::BTreeMap;

use base::Fault;
use model::s3::{DeleteObjectTaggingOutput, GetObjectTaggingOutput, PutObjectTaggingOutput};

use super::operation;
use crate::aws::read::{of_version, readable};
use crate::cause::Cause;
use crate::notify::About;
use crate::rules::events::Event;
use crate::rules::tags;
use crate::types::{Object, Version};
use crate::write::{Place, Step};
use crate::{Objects, faults, limits};

operation!(GetObjectTagging: GetObjectTaggingRequest => GetObjectTaggingOutput, |room, _, input| {
    let place = room.place(input.bucket, input.key, input.expected_bucket_owner.as_deref())?;
    let version = readable(&*room.kv.snapshot()?, &place, input.version_id.as_deref())?;
    let object = of_version(&place, &version, input.version_id.is_some(), "GET")?;
    Ok(GetObjectTaggingOutput { tag_set: Some(tags::shown(&object.tags)), version_id: version.id })
});

operation!(PutObjectTagging: PutObjectTaggingRequest => PutObjectTaggingOutput, |room, context, input| {
    let place = room.place(input.bucket, input.key, input.expected_bucket_owner.as_deref())?;
    let given = input.tagging.and_then(|tagging| tagging.tag_set).unwrap_or_default();
    let tags = tags::checked(tags::pairs(given), limits::OBJECT_TAGS)?;
    let version = room.retag(&place, input.version_id, (Event::TaggingPut, Cause::of(&context)), tags).await?;
    Ok(PutObjectTaggingOutput { version_id: version.id })
});

operation!(DeleteObjectTagging: DeleteObjectTaggingRequest => DeleteObjectTaggingOutput, |room, context, input| {
    let place = room.place(input.bucket, input.key, input.expected_bucket_owner.as_deref())?;
    let told = (Event::TaggingDelete, Cause::of(&context));
    let version = room.retag(&place, input.version_id, told, BTreeMap::new()).await?;
    Ok(DeleteObjectTaggingOutput { version_id: version.id })
});

impl Objects {
    async fn retag(
        &self,
        place: &Place,
        id: Option<String>,
        told: (Event, Cause),
        tags: BTreeMap<String, String>,
    ) -> Result<Version, Fault> {
        let method = if told.0 == Event::TaggingPut { "PUT" } else { "DELETE" };
        self.amend_version(place, id, method, Some(told), move |object| {
            object.tags.clone_from(&tags);
            Ok(())
        })
        .await
    }

    /// Changes what is said of one version of an object, the newest if none is named, and tells of it if there is an event
    /// for that.
    ///
    /// # Errors
    /// NoSuchKey, NoSuchVersion, MethodNotAllowed for a delete marker, what `change` decides.
    pub(in crate::aws) async fn amend_version(
        &self,
        place: &Place,
        id: Option<String>,
        method: &'static str,
        told: Option<(Event, Cause)>,
        change: impl Fn(&mut Object) -> Result<(), Fault> + Send + Sync + 'static,
    ) -> Result<Version, Fault> {
        let older = self.behind(place, id.as_deref())?;
        let here = place.clone();
        self.change(place, older, move |family| {
            let version = match &id {
                None => family.current().cloned().ok_or_else(|| faults::no_key(&here.key))?,
                Some(id) => match family.version(id, older)? {
                    Some(version) => version,
                    None => {
                        family.moved(id, older)?;
                        return Err(faults::no_version(&here.key, id));
                    }
                },
            };
            let mut object = of_version(&here, &version, id.is_some(), method)?;
            change(&mut object)?;
            let version = Version { object: Some(object), ..version };
            family.amend(&version)?;
            if let Some((event, cause)) = &told {
                family.tell(*event, About::made(&version), cause)?;
            }
            Ok(Step::Done(version))
        })
        .await
    }
}

//! The tags of a bucket. Source: Amazon S3 API Reference, `PutBucketTagging`.

use model::s3::{GetBucketTaggingOutput, Tagging};
use wire::Unit;

use super::{kept, none, operation};
use crate::limits;
use crate::rules::tags;

const NAME: &str = "tagging";

operation!(GetBucketTagging: GetBucketTaggingRequest => GetBucketTaggingOutput, |room, _, input| {
    let bucket = room.bucket(input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
    let tagging: Option<Tagging> = kept(&bucket, NAME)?;
    let tagging = tagging.ok_or_else(|| none("NoSuchTagSet", "The TagSet does not exist", input.bucket.as_deref()))?;
    Ok(GetBucketTaggingOutput { tag_set: tagging.tag_set })
});

operation!(PutBucketTagging: PutBucketTaggingRequest => Unit, |room, _, input| {
    let given = input.tagging.and_then(|tagging| tagging.tag_set).unwrap_or_default();
    let tags = tags::checked(tags::pairs(given), limits::BUCKET_TAGS)?;
    if tags.is_empty() {
        room.unconfigure(input.bucket, input.expected_bucket_owner, NAME).await?;
    } else {
        let tagging = Tagging { tag_set: Some(tags::shown(&tags)) };
        room.configure(input.bucket, input.expected_bucket_owner, NAME, &tagging).await?;
    }
    Ok(Unit)
});

operation!(DeleteBucketTagging: DeleteBucketTaggingRequest => Unit, |room, _, input| {
    room.unconfigure(input.bucket, input.expected_bucket_owner, NAME).await?;
    Ok(Unit)
});

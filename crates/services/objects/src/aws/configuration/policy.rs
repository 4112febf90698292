//! A bucket's policy. Source: Amazon S3 API Reference, `PutBucketPolicy`, `GetBucketPolicyStatus`.

use model::s3::{GetBucketPolicyOutput, GetBucketPolicyStatusOutput, PolicyStatus};
use wire::Unit;

use super::{none, operation};
use crate::faults;
use crate::rules::bucket_policy;
use crate::settled::POLICY;

operation!(GetBucketPolicy: GetBucketPolicyRequest => GetBucketPolicyOutput, |room, _, input| {
    let bucket = room.bucket(input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
    let policy = bucket.settings.get(POLICY).cloned();
    Ok(GetBucketPolicyOutput { policy: Some(policy.ok_or_else(|| no_policy(input.bucket.as_deref()))?) })
});

operation!(GetBucketPolicyStatus: GetBucketPolicyStatusRequest => GetBucketPolicyStatusOutput, |room, _, input| {
    let bucket = room.bucket(input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
    let settled = bucket.settled();
    if settled.policy.is_none() {
        return Err(no_policy(input.bucket.as_deref()));
    }
    Ok(GetBucketPolicyStatusOutput { policy_status: Some(PolicyStatus { is_public: Some(settled.is_public) }) })
});

// ConfirmRemoveSelfBucketAccess is not asked for here: whoever owns the bucket can always put another policy.
operation!(PutBucketPolicy: PutBucketPolicyRequest => Unit, |room, context, input| {
    let name = input.bucket.unwrap_or_default();
    let text = input.policy.unwrap_or_default();
    bucket_policy::check(&text, &name)?;
    let (caller, arn) = (context.principal.arn(), format!("arn:aws:s3:::{name}"));
    let is_public = bucket_policy::is_public(&text);
    room.edit(Some(name), input.expected_bucket_owner.as_deref(), move |bucket| {
        if is_public && bucket.settled().block.block_public_policy == Some(true) {
            return Err(faults::blocked(&caller, "s3:PutBucketPolicy", &arn, "policies", "BlockPublicPolicy"));
        }
        bucket.settings.insert(POLICY.to_owned(), text.clone());
        Ok(())
    })
    .await?;
    Ok(Unit)
});

operation!(DeleteBucketPolicy: DeleteBucketPolicyRequest => Unit, |room, _, input| {
    room.unconfigure(input.bucket, input.expected_bucket_owner, POLICY).await?;
    Ok(Unit)
});

fn no_policy(bucket: Option<&str>) -> base::Fault {
    none("NoSuchBucketPolicy", "The bucket policy does not exist", bucket)
}

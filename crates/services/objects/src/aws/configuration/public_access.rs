//! What is kept from being public, and who owns what others put here.
//! Source: Amazon S3 User Guide, "Blocking public access to your Amazon S3 storage" and "Controlling ownership of objects and disabling ACLs".

use base::Fault;
use model::s3::{GetBucketOwnershipControlsOutput, GetPublicAccessBlockOutput, PublicAccessBlockConfiguration};
use wire::Unit;

use super::{kept, none, operation};
use crate::aws::canonical_id;
use crate::faults;
use crate::rules::acl;
use crate::settled::{OWNERSHIP, Ownership, PUBLIC_ACCESS};

operation!(GetPublicAccessBlock: GetPublicAccessBlockRequest => GetPublicAccessBlockOutput, |room, _, input| {
    let bucket = room.bucket(input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
    let configuration: Option<PublicAccessBlockConfiguration> = kept(&bucket, PUBLIC_ACCESS)?;
    let absent = || {
        let words = "The public access block configuration was not found";
        none("NoSuchPublicAccessBlockConfiguration", words, input.bucket.as_deref())
    };
    let configuration = configuration.ok_or_else(absent)?;
    Ok(GetPublicAccessBlockOutput { public_access_block_configuration: Some(configuration) })
});

operation!(PutPublicAccessBlock: PutPublicAccessBlockRequest => Unit, |room, _, input| {
    let given = input.public_access_block_configuration.unwrap_or_default();
    let all = [given.block_public_acls, given.ignore_public_acls, given.block_public_policy, given.restrict_public_buckets];
    if all.iter().all(Option::is_none) {
        return Err(faults::malformed());
    }
    let configuration = every([
        given.block_public_acls,
        given.ignore_public_acls,
        given.block_public_policy,
        given.restrict_public_buckets,
    ]
    .map(|flag| flag.unwrap_or(false)));
    room.configure(input.bucket, input.expected_bucket_owner, PUBLIC_ACCESS, &configuration).await?;
    Ok(Unit)
});

operation!(DeletePublicAccessBlock: DeletePublicAccessBlockRequest => Unit, |room, _, input| {
    room.unconfigure(input.bucket, input.expected_bucket_owner, PUBLIC_ACCESS).await?;
    Ok(Unit)
});

/// The configuration of these four flags.
pub(in crate::aws) fn every(flags: [bool; 4]) -> PublicAccessBlockConfiguration {
    let [acls, ignore, policy, restrict] = flags.map(Some);
    PublicAccessBlockConfiguration {
        block_public_acls: acls,
        ignore_public_acls: ignore,
        block_public_policy: policy,
        restrict_public_buckets: restrict,
    }
}

operation!(GetBucketOwnershipControls: GetBucketOwnershipControlsRequest => GetBucketOwnershipControlsOutput, |room, _, input| {
    let bucket = room.bucket(input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
    let absent = || {
        let words = "The bucket ownership controls were not found";
        none("OwnershipControlsNotFoundError", words, input.bucket.as_deref())
    };
    let controls = kept(&bucket, OWNERSHIP)?.ok_or_else(absent)?;
    Ok(GetBucketOwnershipControlsOutput { ownership_controls: Some(controls) })
});

operation!(PutBucketOwnershipControls: PutBucketOwnershipControlsRequest => Unit, |room, _, input| {
    let controls = input.ownership_controls.unwrap_or_default();
    let [rule] = controls.rules.as_deref().unwrap_or_default() else { return Err(faults::malformed()) };
    let word = rule.object_ownership.as_deref().unwrap_or_default();
    let ownership = Ownership::of(word).ok_or_else(faults::malformed)?;
    let text = wire::keep(&controls);
    room.edit(input.bucket, input.expected_bucket_owner.as_deref(), move |bucket| {
        let owner = canonical_id(&bucket.owner);
        let granted = bucket.settled().acl.as_ref().is_some_and(|list| acl::reaches_others(list, &owner));
        if ownership == Ownership::Enforced && granted {
            return Err(not_enforceable());
        }
        bucket.settings.insert(OWNERSHIP.to_owned(), text.clone());
        Ok(())
    })
    .await?;
    Ok(Unit)
});

operation!(DeleteBucketOwnershipControls: DeleteBucketOwnershipControlsRequest => Unit, |room, _, input| {
    room.unconfigure(input.bucket, input.expected_bucket_owner, OWNERSHIP).await?;
    Ok(Unit)
});

/// InvalidBucketAclWithObjectOwnership.
pub(in crate::aws) fn not_enforceable() -> Fault {
    let words = "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting";
    Fault::new("InvalidBucketAclWithObjectOwnership", 400, words)
}

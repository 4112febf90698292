//! The access control lists of buckets and objects. Source: Amazon S3 API Reference, `PutBucketAcl`, `PutObjectAcl`.

use base::Fault;
use model::s3::{AccessControlPolicy, GetBucketAclOutput, GetObjectAclOutput, PutObjectAclOutput};
use wire::Unit;

use super::operation;
use crate::aws::acl::no_lists;
use crate::aws::canonical_id;
use crate::aws::read::{of_version, readable};
use crate::cause::Cause;
use crate::faults;
use crate::rules::acl::{self, Given, Of};
use crate::rules::events::Event;
use crate::settled::{ACL, Ownership};

operation!(GetBucketAcl: GetBucketAclRequest => GetBucketAclOutput, |room, _, input| {
    let bucket = room.bucket(input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
    let list = bucket.settled().acl.clone().unwrap_or_else(|| acl::private(&canonical_id(&bucket.owner)));
    Ok(GetBucketAclOutput { owner: list.owner, grants: list.grants })
});

operation!(PutBucketAcl: PutBucketAclRequest => Unit, |room, context, input| {
    let name = input.bucket.clone().unwrap_or_default();
    let bucket = room.bucket(Some(&name), input.expected_bucket_owner.as_deref())?;
    let given = Given {
        canned: input.acl.as_deref(),
        full_control: input.grant_full_control.as_deref(),
        read: input.grant_read.as_deref(),
        write: input.grant_write.as_deref(),
        read_acp: input.grant_read_acp.as_deref(),
        write_acp: input.grant_write_acp.as_deref(),
    };
    let owner = canonical_id(&bucket.owner);
    let list = wanted(given, input.access_control_policy.take(), Of::Bucket, &owner, &owner)?;
    let (public, text) = (acl::is_public(&list), wire::keep(&list));
    let (caller, arn) = (context.principal.arn(), format!("arn:aws:s3:::{name}"));
    room.edit(Some(name), input.expected_bucket_owner.as_deref(), move |bucket| {
        let settled = bucket.settled();
        if settled.ownership == Ownership::Enforced {
            return Err(no_lists());
        }
        if public && settled.block.block_public_acls == Some(true) {
            return Err(faults::blocked(&caller, "s3:PutBucketAcl", &arn, ACLS, "BlockPublicAcls"));
        }
        bucket.settings.insert(ACL.to_owned(), text.clone());
        Ok(())
    })
    .await?;
    Ok(Unit)
});

operation!(GetObjectAcl: GetObjectAclRequest => GetObjectAclOutput, |room, _, input| {
    let place = room.place(input.bucket, input.key, input.expected_bucket_owner.as_deref())?;
    let version = readable(&*room.kv.snapshot()?, &place, input.version_id.as_deref())?;
    let object = of_version(&place, &version, input.version_id.is_some(), "GET")?;
    let enforced = place.bucket.settled().ownership == Ownership::Enforced;
    let list: Option<AccessControlPolicy> = match object.acl {
        Some(text) if !enforced => wire::recall(&text).ok(),
        _ => None,
    };
    let owner = if enforced { &place.bucket.owner } else { &version.owner };
    let list = list.unwrap_or_else(|| acl::private(&canonical_id(owner)));
    Ok(GetObjectAclOutput { owner: list.owner, grants: list.grants, request_charged: None })
});

operation!(PutObjectAcl: PutObjectAclRequest => PutObjectAclOutput, |room, context, input| {
    let place = room.place(input.bucket.take(), input.key.take(), input.expected_bucket_owner.as_deref())?;
    let settled = place.bucket.settled();
    let given = Given {
        canned: input.acl.as_deref(),
        full_control: input.grant_full_control.as_deref(),
        read: input.grant_read.as_deref(),
        write: input.grant_write.as_deref(),
        read_acp: input.grant_read_acp.as_deref(),
        write_acp: input.grant_write_acp.as_deref(),
    };
    if settled.ownership == Ownership::Enforced {
        return Err(no_lists());
    }
    let version = readable(&*room.kv.snapshot()?, &place, input.version_id.as_deref())?;
    let (owner, bucket_owner) = (canonical_id(&version.owner), canonical_id(&place.bucket.owner));
    let list = wanted(given, input.access_control_policy.take(), Of::Object, &owner, &bucket_owner)?;
    if acl::is_public(&list) && settled.block.block_public_acls == Some(true) {
        let arn = format!("arn:aws:s3:::{}/{}", place.name, place.key);
        return Err(faults::blocked(&context.principal.arn(), "s3:PutObjectAcl", &arn, ACLS, "BlockPublicAcls"));
    }
    let text = wire::keep(&list);
    let told = Some((Event::AclPut, Cause::of(&context)));
    room.amend_version(&place, input.version_id, "PUT", told, move |object| {
        object.acl = Some(text.clone());
        Ok(())
    })
    .await?;
    Ok(PutObjectAclOutput::default())
});

/// What BlockPublicAcls prevents, in AWS's words.
pub(in crate::aws) const ACLS: &str = "access control lists (ACLs)";

/// The list that a request wants, by headers or by its body.
///
/// # Errors
/// UnexpectedContent for both, MissingSecurityHeader for neither; what is wrong with either.
fn wanted(
    given: Given<'_>,
    body: Option<AccessControlPolicy>,
    of: Of,
    owner: &str,
    bucket_owner: &str,
) -> Result<AccessControlPolicy, Fault> {
    match (given.list(of, owner, bucket_owner)?, body) {
        (Some(_), Some(_)) => Err(Fault::new("UnexpectedContent", 400, "This request does not support content")),
        (Some(list), None) => Ok(list),
        (None, Some(body)) => acl::of_body(body, owner),
        (None, None) => Err(Fault::new("MissingSecurityHeader", 400, "Your request was missing a required header")
            .with("MissingHeaderName", "x-amz-acl")),
    }
}

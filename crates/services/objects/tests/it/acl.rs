//! Access control lists: where they are allowed, what they say.

use model::s3::{self, ops};

use crate::configuration::{on_bucket, refusal};
use crate::policy::{controls, open_to_the_public};
use crate::world::{BUCKET, World};

fn code(name: &str, status: u16) -> (String, u16) {
    (name.to_owned(), status)
}

/// A bucket whose objects have lists of their own.
pub(crate) async fn with_lists(world: &World) {
    let input = on_bucket!(PutBucketOwnershipControlsRequest { ownership_controls: controls("ObjectWriter") });
    world.call::<ops::PutBucketOwnershipControls>(input).await.unwrap();
}

fn shown(grants: Option<Vec<s3::Grant>>) -> Vec<String> {
    let grants = grants.unwrap().into_iter();
    grants
        .map(|grant| {
            let grantee = grant.grantee.unwrap();
            let who = grantee.uri.unwrap_or_else(|| "owner".into());
            format!("{} {}", who.rsplit('/').next().unwrap(), grant.permission.unwrap())
        })
        .collect()
}

#[tokio::test]
async fn a_new_bucket_knows_no_lists_but_its_owners() {
    let world = World::new().await;
    let got = world.call::<ops::GetBucketAcl>(on_bucket!(GetBucketAclRequest {})).await.unwrap();
    let owner = got.owner.unwrap().id.unwrap();
    assert_eq!((owner.len(), shown(got.grants)), (64, vec!["owner FULL_CONTROL".to_owned()]));
    let refused = code("AccessControlListNotSupported", 400);
    assert_eq!(refusal!(world, PutBucketAcl, PutBucketAclRequest { acl: "private".into() }), refused);
    world.put("k", "v").await;
    assert_eq!(
        refusal!(world, PutObjectAcl, PutObjectAclRequest { key: "k".into(), acl: "public-read".into() }),
        refused
    );
    assert_eq!(refusal!(world, PutObject, PutObjectRequest { key: "k".into(), acl: "public-read".into() }), refused);
    let anyhow = on_bucket!(PutObjectRequest { key: "k".into(), acl: "bucket-owner-full-control".into() });
    world.call::<ops::PutObject>(anyhow).await.unwrap();
    let got = world.call::<ops::GetObjectAcl>(on_bucket!(GetObjectAclRequest { key: "k".into() })).await.unwrap();
    assert_eq!((got.owner.unwrap().id.unwrap(), shown(got.grants)), (owner, vec!["owner FULL_CONTROL".to_owned()]));
}

#[tokio::test]
async fn public_lists_are_kept_out_until_they_are_not() {
    let world = World::new().await;
    with_lists(&world).await;
    world.put("k", "v").await;
    let denied = code("AccessDenied", 403);
    assert_eq!(refusal!(world, PutBucketAcl, PutBucketAclRequest { acl: "public-read".into() }), denied);
    assert_eq!(
        refusal!(world, PutObjectAcl, PutObjectAclRequest { key: "k".into(), acl: "public-read".into() }),
        denied
    );
    assert_eq!(
        refusal!(world, PutObject, PutObjectRequest { key: "k".into(), acl: "authenticated-read".into() }),
        denied
    );
    open_to_the_public(&world).await;
    world.call::<ops::PutBucketAcl>(on_bucket!(PutBucketAclRequest { acl: "public-read".into() })).await.unwrap();
    let got = world.call::<ops::GetBucketAcl>(on_bucket!(GetBucketAclRequest {})).await.unwrap();
    assert_eq!(shown(got.grants), ["owner FULL_CONTROL", "AllUsers READ"]);
    let input = on_bucket!(PutObjectRequest { key: "k".into(), acl: "public-read".into() });
    world.call::<ops::PutObject>(input).await.unwrap();
    let got = world.call::<ops::GetObjectAcl>(on_bucket!(GetObjectAclRequest { key: "k".into() })).await.unwrap();
    assert_eq!(shown(got.grants), ["owner FULL_CONTROL", "AllUsers READ"]);
    let input = on_bucket!(PutBucketOwnershipControlsRequest { ownership_controls: controls("BucketOwnerEnforced") });
    let fault = world.call::<ops::PutBucketOwnershipControls>(input).await.unwrap_err();
    assert_eq!((fault.code.as_ref(), fault.status), ("InvalidBucketAclWithObjectOwnership", 400));
}

#[tokio::test]
async fn lists_come_as_names_as_headers_or_as_a_body() {
    let world = World::new().await;
    with_lists(&world).await;
    open_to_the_public(&world).await;
    world.put("k", "v").await;
    let all = "uri=http://acs.amazonaws.com/groups/global/AllUsers".to_owned();
    let own = world.call::<ops::GetBucketAcl>(on_bucket!(GetBucketAclRequest {})).await.unwrap();
    let get = async || {
        let got = world.call::<ops::GetObjectAcl>(on_bucket!(GetObjectAclRequest { key: "k".into() })).await.unwrap();
        shown(got.grants)
    };
    macro_rules! by {
        ($member:ident, $permission:literal) => {
            let input = on_bucket!(PutObjectAclRequest { key: "k".into(), $member: all.clone() });
            world.call::<ops::PutObjectAcl>(input).await.unwrap();
            assert_eq!(get().await, [concat!("AllUsers ", $permission)]);
            let input = on_bucket!(PutBucketAclRequest { $member: all.clone() });
            world.call::<ops::PutBucketAcl>(input).await.unwrap();
            let got = world.call::<ops::GetBucketAcl>(on_bucket!(GetBucketAclRequest {})).await.unwrap();
            assert_eq!(shown(got.grants), [concat!("AllUsers ", $permission)]);
        };
    }
    by!(grant_full_control, "FULL_CONTROL");
    by!(grant_read, "READ");
    by!(grant_read_acp, "READ_ACP");
    by!(grant_write, "WRITE");
    by!(grant_write_acp, "WRITE_ACP");
    let body = s3::AccessControlPolicy { owner: own.owner.clone(), grants: own.grants.clone() };
    let input = on_bucket!(PutObjectAclRequest { key: "k".into(), access_control_policy: body.clone() });
    world.call::<ops::PutObjectAcl>(input).await.unwrap();
    assert_eq!(get().await, ["owner FULL_CONTROL"]);
    let input = on_bucket!(PutBucketAclRequest { access_control_policy: body.clone() });
    world.call::<ops::PutBucketAcl>(input).await.unwrap();
    assert_eq!(
        refusal!(world, PutBucketAcl, PutBucketAclRequest { access_control_policy: body, acl: "private".into() }),
        code("UnexpectedContent", 400)
    );
    assert_eq!(refusal!(world, PutBucketAcl, PutBucketAclRequest {}), code("MissingSecurityHeader", 400));
    let stranger = s3::AccessControlPolicy {
        owner: Some(s3::Owner { id: Some("a".repeat(64)), display_name: None }),
        grants: own.grants,
    };
    assert_eq!(
        refusal!(world, PutBucketAcl, PutBucketAclRequest { access_control_policy: stranger }),
        code("AccessDenied", 403)
    );
}

#[tokio::test]
async fn a_bucket_is_made_with_a_list_only_where_lists_count() {
    let world = World::new().await;
    let make = async |ownership: Option<&str>, acl: &str| {
        let input = s3::CreateBucketRequest {
            bucket: Some("other".into()),
            acl: Some(acl.into()),
            object_ownership: ownership.map(str::to_owned),
            ..Default::default()
        };
        world.call::<ops::CreateBucket>(input).await.map(drop).map_err(|fault| fault.code.to_string())
    };
    assert_eq!(make(None, "public-read").await.unwrap_err(), "InvalidBucketAclWithObjectOwnership");
    let blocked = "InvalidBucketAclWithBlockPublicAccessError";
    assert_eq!(make(Some("ObjectWriter"), "public-read").await.unwrap_err(), blocked);
    assert_eq!(make(Some("Nobody"), "private").await.unwrap_err(), "InvalidArgument");
    make(None, "private").await.unwrap();
    let input = s3::CreateBucketRequest {
        bucket: Some("granted".into()),
        grant_read: Some(format!("id={}", "b".repeat(64))),
        object_ownership: Some("ObjectWriter".into()),
        ..Default::default()
    };
    world.call::<ops::CreateBucket>(input).await.unwrap();
    let input = s3::GetBucketAclRequest { bucket: Some("granted".into()), ..Default::default() };
    assert_eq!(shown(world.call::<ops::GetBucketAcl>(input).await.unwrap().grants), ["owner READ"]);
    assert_ne!(BUCKET, "granted");
}

//! What the policies are asked, and what their answers do.

use std::sync::{Arc, Mutex};

use base::{Account, Principal};
use door::{Ask, Body, Decision, Denial, Dispatch, Gate, Mode, Policies};
use model::s3::{self, ops};
use wire::Op;

use crate::acl::with_lists;
use crate::configuration::{on_bucket, tag};
use crate::policy::{open_to_the_public, public_read, put_policy};
use crate::world::{BUCKET, World, call};

/// What was asked: the action, the resource, the resource's policy, the condition keys.
#[derive(Debug, Clone)]
struct Asked {
    action: String,
    resource: String,
    policy: Option<String>,
    keys: Vec<(String, Vec<String>)>,
}

impl Asked {
    fn key(&self, name: &str) -> Option<&str> {
        self.keys.iter().find(|(key, _)| key == name).map(|(_, values)| values[0].as_str())
    }
}

/// Remembers, and denies what it was told to.
#[derive(Default)]
struct Memory {
    asked: Mutex<Vec<Asked>>,
    denied: Mutex<Vec<(&'static str, String)>>,
}

impl Memory {
    fn deny(&self, action: &'static str, resource: &str) {
        self.denied.lock().unwrap().push((action, resource.to_owned()));
    }

    fn last(&self) -> Asked {
        self.asked.lock().unwrap().last().unwrap().clone()
    }

    fn of(&self, action: &str) -> Asked {
        self.asked.lock().unwrap().iter().rev().find(|asked| asked.action == action).unwrap().clone()
    }
}

impl Policies for Memory {
    fn decide(&self, ask: &Ask<'_>) -> Decision {
        self.asked.lock().unwrap().push(Asked {
            action: ask.action.into(),
            resource: ask.resource.into(),
            policy: ask.policy.map(str::to_owned),
            keys: (ask.keys)(),
        });
        if self
            .denied
            .lock()
            .unwrap()
            .iter()
            .any(|(action, resource)| *action == ask.action && resource == ask.resource)
        {
            return Decision::Denied(Denial { message: "no".into(), because: "test".into(), always: false });
        }
        Decision::Allowed("test".into())
    }
}

async fn judged() -> (World, Arc<Memory>) {
    let memory = Arc::new(Memory::default());
    let gate = Arc::new(Gate::new(memory.clone(), Mode::Enforce, Arc::new(base::SystemClocks)));
    (World::judged(gate).await, memory)
}

fn user() -> Principal {
    Principal::User { account: Account::DEFAULT, name: "ann".into() }
}

async fn by<O: Op>(world: &World, principal: Principal, input: O::Input) -> Result<(), base::Fault> {
    let call = door::Call { principal, ..call::<O>(input, Body::Empty) };
    world.router.call(call).await.map(drop)
}

#[tokio::test]
async fn a_version_has_actions_of_its_own() {
    let (world, memory) = judged().await;
    let on = s3::VersioningConfiguration { status: Some("Enabled".into()), ..Default::default() };
    world
        .call::<ops::PutBucketVersioning>(on_bucket!(PutBucketVersioningRequest { versioning_configuration: on }))
        .await
        .unwrap();
    let id = world.put("k", "v").await.version_id.unwrap();
    macro_rules! asks {
        ($operation:ident, $input:ident, $newest:literal, $version:literal) => {
            let _ = by::<ops::$operation>(&world, user(), on_bucket!($input { key: "k".into() })).await;
            assert!(memory.asked.lock().unwrap().iter().any(|asked| asked.action == $newest), $newest);
            let input = on_bucket!($input { key: "k".into(), version_id: id.clone() });
            let _ = by::<ops::$operation>(&world, user(), input).await;
            let asked = memory.of($version);
            assert_eq!(asked.resource, format!("arn:aws:s3:::{BUCKET}/k"));
            assert_eq!(asked.key("s3:VersionId"), Some(id.as_str()));
        };
    }
    asks!(GetObject, GetObjectRequest, "s3:GetObject", "s3:GetObjectVersion");
    asks!(GetObjectTagging, GetObjectTaggingRequest, "s3:GetObjectTagging", "s3:GetObjectVersionTagging");
    asks!(DeleteObjectTagging, DeleteObjectTaggingRequest, "s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging");
    asks!(GetObjectAcl, GetObjectAclRequest, "s3:GetObjectAcl", "s3:GetObjectVersionAcl");
    asks!(DeleteObject, DeleteObjectRequest, "s3:DeleteObject", "s3:DeleteObjectVersion");
}

#[tokio::test]
async fn a_request_tells_the_policies_what_it_says() {
    let (world, memory) = judged().await;
    let list = on_bucket!(ListObjectsV2Request { prefix: "a/".into(), delimiter: "/".into(), max_keys: 7 });
    by::<ops::ListObjectsV2>(&world, user(), list).await.unwrap();
    let asked = memory.last();
    assert_eq!(
        [asked.key("s3:prefix"), asked.key("s3:delimiter"), asked.key("s3:max-keys"), asked.key("s3:ResourceAccount")],
        [Some("a/"), Some("/"), Some("7"), Some("000000000000")]
    );
    let put = on_bucket!(PutObjectRequest {
        key: "k".into(),
        tagging: "team=blue".into(),
        acl: "bucket-owner-full-control".into(),
        server_side_encryption: "AES256".into()
    });
    by::<ops::PutObject>(&world, user(), put).await.unwrap();
    let asked = memory.of("s3:PutObject");
    assert_eq!(asked.key("s3:x-amz-acl"), Some("bucket-owner-full-control"));
    assert_eq!(asked.key("s3:x-amz-server-side-encryption"), Some("AES256"));
    assert_eq!(
        (asked.key("s3:RequestObjectTag/team"), asked.key("s3:RequestObjectTagKeys")),
        (Some("blue"), Some("team"))
    );
    for besides in ["s3:PutObjectTagging", "s3:PutObjectAcl"] {
        assert_eq!(memory.of(besides).resource, format!("arn:aws:s3:::{BUCKET}/k"));
    }
    let tagging = s3::Tagging { tag_set: Some(vec![tag("team", "red")]) };
    let retag = on_bucket!(PutObjectTaggingRequest { key: "k".into(), tagging: tagging });
    by::<ops::PutObjectTagging>(&world, user(), retag).await.unwrap();
    let asked = memory.of("s3:PutObjectTagging");
    assert_eq!(asked.key("s3:RequestObjectTag/team"), Some("red"));
    assert_eq!(asked.key("s3:ExistingObjectTag/team"), Some("blue"));
    by::<ops::GetObject>(&world, user(), on_bucket!(GetObjectRequest { key: "k".into() })).await.unwrap();
    assert_eq!(memory.of("s3:GetObject").key("s3:ExistingObjectTag/team"), Some("red"));
}

#[tokio::test]
async fn each_key_of_a_bulk_deletion_must_be_allowed_by_itself() {
    let (world, memory) = judged().await;
    world.put("mine", "v").await;
    world.put("theirs", "v").await;
    memory.deny("s3:DeleteObject", &format!("arn:aws:s3:::{BUCKET}/theirs"));
    let each = ["mine", "theirs"].map(|key| s3::ObjectIdentifier { key: Some(key.into()), ..Default::default() });
    let delete = s3::Delete { objects: Some(each.to_vec()), quiet: None };
    let output = world.call::<ops::DeleteObjects>(on_bucket!(DeleteObjectsRequest { delete: delete })).await.unwrap();
    assert_eq!(output.deleted.unwrap()[0].key.as_deref(), Some("mine"));
    let error = output.errors.unwrap().remove(0);
    assert_eq!((error.key.as_deref(), error.code.as_deref()), (Some("theirs"), Some("AccessDenied")));
    assert_eq!(world.get("theirs").await.unwrap(), b"v");
}

#[tokio::test]
async fn who_may_not_list_does_not_learn_what_is_absent() {
    let (world, memory) = judged().await;
    assert_eq!(world.get("none").await.unwrap_err().code, "NoSuchKey");
    memory.deny("s3:ListBucket", &format!("arn:aws:s3:::{BUCKET}"));
    assert_eq!(world.get("none").await.unwrap_err().code, "AccessDenied");
    let head = on_bucket!(HeadObjectRequest { key: "none".into() });
    assert_eq!(world.call::<ops::HeadObject>(head).await.unwrap_err().status, 403);
}

#[tokio::test]
async fn nobody_is_denied_even_where_policies_are_not_asked() {
    let world = World::new().await;
    world.put("k", "v").await;
    let input = || on_bucket!(GetObjectRequest { key: "k".into() });
    let fault = by::<ops::GetObject>(&world, Principal::Anonymous, input()).await.unwrap_err();
    assert_eq!((fault.code.as_ref(), fault.status, fault.message.as_str()), ("AccessDenied", 403, "Access Denied"));
    by::<ops::GetObject>(&world, user(), input()).await.unwrap();
    let each = s3::ObjectIdentifier { key: Some("k".into()), ..Default::default() };
    let delete = s3::Delete { objects: Some(vec![each]), quiet: None };
    by::<ops::DeleteObjects>(&world, Principal::Anonymous, on_bucket!(DeleteObjectsRequest { delete: delete }))
        .await
        .unwrap();
    assert_eq!(world.get("k").await.unwrap(), b"v", "each key is denied inside the answer");
}

#[tokio::test]
async fn a_public_policy_counts_unless_it_is_restricted() {
    let (world, memory) = judged().await;
    world.put("k", "v").await;
    open_to_the_public(&world).await;
    put_policy(&world, &public_read()).await.unwrap();
    let seen = async |principal| {
        by::<ops::GetObject>(&world, principal, on_bucket!(GetObjectRequest { key: "k".into() })).await.unwrap();
        memory.of("s3:GetObject").policy
    };
    assert_eq!(seen(Principal::Anonymous).await, Some(public_read()));
    let restrict = s3::PublicAccessBlockConfiguration { restrict_public_buckets: Some(true), ..Default::default() };
    let input = on_bucket!(PutPublicAccessBlockRequest { public_access_block_configuration: restrict });
    world.call::<ops::PutPublicAccessBlock>(input).await.unwrap();
    assert_eq!(seen(Principal::Anonymous).await, None);
    assert_eq!(seen(user()).await, Some(public_read()), "for the account's own people it does");
    // The root of the account can always see and change the policy.
    let root = Principal::Root { account: Account::DEFAULT, verified: true };
    by::<ops::GetBucketPolicy>(&world, root, on_bucket!(GetBucketPolicyRequest {})).await.unwrap();
    assert_eq!(memory.of("s3:GetBucketPolicy").policy, None);
    by::<ops::GetBucketPolicy>(&world, user(), on_bucket!(GetBucketPolicyRequest {})).await.unwrap();
    assert!(memory.of("s3:GetBucketPolicy").policy.is_some());
}

#[tokio::test]
async fn a_list_grants_what_it_says_unless_it_is_ignored() {
    let (world, memory) = judged().await;
    with_lists(&world).await;
    open_to_the_public(&world).await;
    let put = on_bucket!(PutObjectRequest { key: "k".into(), acl: "public-read".into() });
    world.call::<ops::PutObject>(put).await.unwrap();
    let seen = async || {
        let input = on_bucket!(GetObjectRequest { key: "k".into() });
        by::<ops::GetObject>(&world, Principal::Anonymous, input).await.unwrap();
        memory.of("s3:GetObject").policy
    };
    let policy: serde_json::Value = serde_json::from_str(&seen().await.unwrap()).unwrap();
    assert_eq!(policy["Statement"][0]["Principal"], "*");
    assert_eq!(policy["Statement"][0]["Resource"], format!("arn:aws:s3:::{BUCKET}/k"));
    world.call::<ops::PutBucketAcl>(on_bucket!(PutBucketAclRequest { acl: "public-read".into() })).await.unwrap();
    by::<ops::ListObjectsV2>(&world, Principal::Anonymous, on_bucket!(ListObjectsV2Request {})).await.unwrap();
    assert!(memory.of("s3:ListBucket").policy.unwrap().contains("s3:ListBucketVersions"));
    let ignore = s3::PublicAccessBlockConfiguration { ignore_public_acls: Some(true), ..Default::default() };
    let input = on_bucket!(PutPublicAccessBlockRequest { public_access_block_configuration: ignore });
    world.call::<ops::PutPublicAccessBlock>(input).await.unwrap();
    assert_eq!(seen().await, None);
}

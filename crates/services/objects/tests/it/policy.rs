//! A bucket's policy, what is kept from being public, and who owns what is put into it.

use model::s3::{self, ops};
use serde_json::json;

use crate::configuration::{on_bucket, refusal};
use crate::world::{BUCKET, World};

pub(crate) fn public_read() -> String {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "PublicRead", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
            "Resource": format!("arn:aws:s3:::{BUCKET}/*")
        }]
    })
    .to_string()
}

pub(crate) async fn open_to_the_public(world: &World) {
    world.call::<ops::DeletePublicAccessBlock>(on_bucket!(DeletePublicAccessBlockRequest {})).await.unwrap();
}

pub(crate) async fn put_policy(world: &World, text: &str) -> Result<wire::Unit, base::Fault> {
    world.call::<ops::PutBucketPolicy>(on_bucket!(PutBucketPolicyRequest { policy: text.to_owned() })).await
}

fn code(name: &str, status: u16) -> (String, u16) {
    (name.to_owned(), status)
}

#[tokio::test]
async fn a_policy_comes_back_as_it_was_put_and_goes() {
    let world = World::new().await;
    assert_eq!(refusal!(world, GetBucketPolicy, GetBucketPolicyRequest {}), code("NoSuchBucketPolicy", 404));
    assert_eq!(
        refusal!(world, GetBucketPolicyStatus, GetBucketPolicyStatusRequest {}),
        code("NoSuchBucketPolicy", 404)
    );
    assert_eq!(put_policy(&world, "{").await.unwrap_err().code, "MalformedPolicy");
    let narrow = public_read().replace("\"*\"", "{\"AWS\": \"111122223333\"}");
    let status = async || {
        let input = on_bucket!(GetBucketPolicyStatusRequest {});
        world.call::<ops::GetBucketPolicyStatus>(input).await.unwrap().policy_status.unwrap().is_public
    };
    put_policy(&world, &narrow).await.unwrap();
    assert_eq!(status().await, Some(false));
    let got = world.call::<ops::GetBucketPolicy>(on_bucket!(GetBucketPolicyRequest {})).await.unwrap();
    assert_eq!(got.policy, Some(narrow), "with every blank");
    open_to_the_public(&world).await;
    put_policy(&world, &public_read()).await.unwrap();
    assert_eq!(status().await, Some(true));
    world.call::<ops::DeleteBucketPolicy>(on_bucket!(DeleteBucketPolicyRequest {})).await.unwrap();
    assert_eq!(refusal!(world, GetBucketPolicy, GetBucketPolicyRequest {}), code("NoSuchBucketPolicy", 404));
}

#[tokio::test]
async fn a_new_bucket_keeps_public_policies_out() {
    let world = World::new().await;
    let block = async || world.call::<ops::GetPublicAccessBlock>(on_bucket!(GetPublicAccessBlockRequest {})).await;
    let all = block().await.unwrap().public_access_block_configuration.unwrap();
    assert_eq!(
        [all.block_public_acls, all.ignore_public_acls, all.block_public_policy, all.restrict_public_buckets],
        [Some(true); 4]
    );
    let fault = put_policy(&world, &public_read()).await.unwrap_err();
    assert_eq!((fault.code.as_ref(), fault.status), ("AccessDenied", 403));
    assert!(fault.message.contains("BlockPublicPolicy"), "{fault}");
    let given = s3::PublicAccessBlockConfiguration { block_public_policy: Some(false), ..Default::default() };
    let input = on_bucket!(PutPublicAccessBlockRequest { public_access_block_configuration: given });
    world.call::<ops::PutPublicAccessBlock>(input).await.unwrap();
    put_policy(&world, &public_read()).await.unwrap();
    open_to_the_public(&world).await;
    assert_eq!(block().await.unwrap_err().code, "NoSuchPublicAccessBlockConfiguration");
    let nothing = s3::PublicAccessBlockConfiguration::default();
    assert_eq!(
        refusal!(
            world,
            PutPublicAccessBlock,
            PutPublicAccessBlockRequest { public_access_block_configuration: nothing }
        ),
        code("MalformedXML", 400)
    );
}

pub(crate) fn controls(word: &str) -> s3::OwnershipControls {
    s3::OwnershipControls { rules: Some(vec![s3::OwnershipControlsRule { object_ownership: Some(word.into()) }]) }
}

#[tokio::test]
async fn who_owns_objects_is_kept() {
    let world = World::new().await;
    let get =
        async || world.call::<ops::GetBucketOwnershipControls>(on_bucket!(GetBucketOwnershipControlsRequest {})).await;
    assert_eq!(get().await.unwrap().ownership_controls, Some(controls("BucketOwnerEnforced")), "of every new bucket");
    let put = |word| on_bucket!(PutBucketOwnershipControlsRequest { ownership_controls: controls(word) });
    world.call::<ops::PutBucketOwnershipControls>(put("ObjectWriter")).await.unwrap();
    assert_eq!(get().await.unwrap().ownership_controls, Some(controls("ObjectWriter")));
    assert_eq!(world.call::<ops::PutBucketOwnershipControls>(put("Nobody")).await.unwrap_err().code, "MalformedXML");
    world
        .call::<ops::DeleteBucketOwnershipControls>(on_bucket!(DeleteBucketOwnershipControlsRequest {}))
        .await
        .unwrap();
    let fault = get().await.unwrap_err();
    assert_eq!((fault.code.as_ref(), fault.status), ("OwnershipControlsNotFoundError", 404));
    let made = s3::CreateBucketRequest {
        bucket: Some("theirs".into()),
        object_ownership: Some("BucketOwnerPreferred".into()),
        ..Default::default()
    };
    world.call::<ops::CreateBucket>(made).await.unwrap();
    let input = s3::GetBucketOwnershipControlsRequest { bucket: Some("theirs".into()), ..Default::default() };
    let got = world.call::<ops::GetBucketOwnershipControls>(input).await.unwrap();
    assert_eq!(got.ownership_controls, Some(controls("BucketOwnerPreferred")));
}

#[tokio::test]
async fn another_accounts_bucket_is_not_the_one_that_was_expected() {
    let world = World::new().await;
    let other = || "111111111111".to_owned();
    let denied = code("AccessDenied", 403);
    macro_rules! each {
        ($($operation:ident: $input:ident { $($member:ident: $value:expr),* }),* $(,)?) => {
            $(
                assert_eq!(
                    refusal!(world, $operation, $input { expected_bucket_owner: other(), $($member: $value),* }),
                    denied,
                    stringify!($operation)
                );
            )*
        };
    }
    let narrow = public_read().replace("\"*\"", "{\"AWS\": \"111122223333\"}");
    let flags = s3::PublicAccessBlockConfiguration { block_public_policy: Some(false), ..Default::default() };
    let cors = s3::CORSConfiguration {
        cors_rules: Some(vec![s3::CORSRule {
            allowed_methods: Some(vec!["GET".into()]),
            allowed_origins: Some(vec!["*".into()]),
            ..Default::default()
        }]),
    };
    let website = s3::WebsiteConfiguration {
        index_document: Some(s3::IndexDocument { suffix: Some("i".into()) }),
        ..Default::default()
    };
    each! {
        GetBucketPolicy: GetBucketPolicyRequest {},
        GetBucketPolicyStatus: GetBucketPolicyStatusRequest {},
        PutBucketPolicy: PutBucketPolicyRequest { policy: narrow },
        DeleteBucketPolicy: DeleteBucketPolicyRequest {},
        GetPublicAccessBlock: GetPublicAccessBlockRequest {},
        PutPublicAccessBlock: PutPublicAccessBlockRequest { public_access_block_configuration: flags },
        DeletePublicAccessBlock: DeletePublicAccessBlockRequest {},
        GetBucketOwnershipControls: GetBucketOwnershipControlsRequest {},
        PutBucketOwnershipControls: PutBucketOwnershipControlsRequest { ownership_controls: controls("ObjectWriter") },
        DeleteBucketOwnershipControls: DeleteBucketOwnershipControlsRequest {},
        GetBucketAcl: GetBucketAclRequest {},
        PutBucketAcl: PutBucketAclRequest { acl: "private".into() },
        GetObjectAcl: GetObjectAclRequest { key: "k".into() },
        PutObjectAcl: PutObjectAclRequest { key: "k".into(), acl: "private".into() },
        GetBucketCors: GetBucketCorsRequest {},
        PutBucketCors: PutBucketCorsRequest { cors_configuration: cors },
        DeleteBucketCors: DeleteBucketCorsRequest {},
        GetBucketWebsite: GetBucketWebsiteRequest {},
        PutBucketWebsite: PutBucketWebsiteRequest { website_configuration: website },
        DeleteBucketWebsite: DeleteBucketWebsiteRequest {},
    }
}

//! Managed policies and their versions.

use model::iam::{self, ops};

use crate::world::{ALLOW_ALL, World, assert_fault};

fn get(arn: &str) -> iam::GetPolicyRequest {
    iam::GetPolicyRequest { policy_arn: Some(arn.into()) }
}

fn delete(arn: &str) -> iam::DeletePolicyRequest {
    iam::DeletePolicyRequest { policy_arn: Some(arn.into()) }
}

fn version(arn: &str, id: &str) -> iam::GetPolicyVersionRequest {
    iam::GetPolicyVersionRequest { policy_arn: Some(arn.into()), version_id: Some(id.into()) }
}

#[tokio::test]
async fn a_policy_is_made_attached_counted_and_deleted() {
    let world = World::new().await;
    world.create_role("r").await;
    let arn = world.create_policy("p").await;
    assert_eq!(arn, "arn:aws:iam::000000000000:policy/p");
    let again = iam::CreatePolicyRequest {
        policy_name: Some("P".into()),
        policy_document: Some(ALLOW_ALL.into()),
        ..Default::default()
    };
    let message = "A policy called P already exists. Duplicate names are not allowed.";
    assert_fault(world.call::<ops::CreatePolicy>(again).await, "EntityAlreadyExists", 409, message);
    world.attach("r", &arn).await.unwrap();
    world.attach("r", &arn).await.unwrap();
    let shown = world.call::<ops::GetPolicy>(get(&arn)).await.unwrap().policy.unwrap();
    assert_eq!((shown.attachment_count, shown.default_version_id.as_deref()), (Some(1), Some("v1")));
    assert!(shown.policy_id.unwrap().starts_with("ANPA"));
    let message = "Cannot delete a policy attached to entities.";
    assert_fault(world.call::<ops::DeletePolicy>(delete(&arn)).await, "DeleteConflict", 409, message);
    let list = iam::ListAttachedRolePoliciesRequest { role_name: Some("r".into()), ..Default::default() };
    let attached = world.call::<ops::ListAttachedRolePolicies>(list).await.unwrap().attached_policies.unwrap();
    assert_eq!(attached, [iam::AttachedPolicy { policy_name: Some("p".into()), policy_arn: Some(arn.clone()) }]);
    world.detach("r", &arn).await.unwrap();
    let gone = format!("Policy {arn} was not found.");
    assert_fault(world.detach("r", &arn).await, "NoSuchEntity", 404, &gone);
    world.call::<ops::DeletePolicy>(delete(&arn)).await.unwrap();
    assert_fault(world.call::<ops::GetPolicy>(get(&arn)).await, "NoSuchEntity", 404, &gone);
    let message = format!("Policy {arn} does not exist or is not attachable.");
    assert_fault(world.attach("r", &arn).await, "NoSuchEntity", 404, &message);
}

#[tokio::test]
async fn versions_are_counted_up_limited_and_chosen() {
    let world = World::new().await;
    let arn = world.create_policy("p").await;
    let create = |default| iam::CreatePolicyVersionRequest {
        policy_arn: Some(arn.clone()),
        policy_document: Some(ALLOW_ALL.replace("\"all\"", "\"new\"")),
        set_as_default: Some(default),
    };
    for number in 2..=5 {
        let made = world.call::<ops::CreatePolicyVersion>(create(number == 2)).await.unwrap().policy_version.unwrap();
        assert_eq!(made.version_id, Some(format!("v{number}")));
        assert_eq!((made.is_default_version, made.document), (Some(number == 2), None));
    }
    let message = "A managed policy can have up to 5 versions. Before you create a new version, you must delete an \
                   existing version.";
    assert_fault(world.call::<ops::CreatePolicyVersion>(create(false)).await, "LimitExceeded", 409, message);
    let remove =
        |id: &str| iam::DeletePolicyVersionRequest { policy_arn: Some(arn.clone()), version_id: Some(id.into()) };
    let message = "Cannot delete the default version of a policy.";
    assert_fault(world.call::<ops::DeletePolicyVersion>(remove("v2")).await, "DeleteConflict", 409, message);
    world.call::<ops::DeletePolicyVersion>(remove("v5")).await.unwrap();
    let message = format!("Policy {arn} version v5 does not exist or is not attachable.");
    assert_fault(world.call::<ops::DeletePolicyVersion>(remove("v5")).await, "NoSuchEntity", 404, &message);
    assert_fault(world.call::<ops::GetPolicyVersion>(version(&arn, "v5")).await, "NoSuchEntity", 404, &message);
    let made = world.call::<ops::CreatePolicyVersion>(create(false)).await.unwrap().policy_version.unwrap();
    assert_eq!(made.version_id.as_deref(), Some("v6"), "a number is never used again");
    let choose = iam::SetDefaultPolicyVersionRequest { policy_arn: Some(arn.clone()), version_id: Some("v6".into()) };
    world.call::<ops::SetDefaultPolicyVersion>(choose).await.unwrap();
    let shown = world.call::<ops::GetPolicyVersion>(version(&arn, "v6")).await.unwrap().policy_version.unwrap();
    assert_eq!(shown.is_default_version, Some(true));
    assert!(shown.document.unwrap().contains("%22new%22"));
    let list = iam::ListPolicyVersionsRequest { policy_arn: Some(arn.clone()), ..Default::default() };
    let listed = world.call::<ops::ListPolicyVersions>(list).await.unwrap().versions.unwrap();
    let ids: Vec<_> = listed.iter().map(|version| version.version_id.clone().unwrap()).collect();
    assert_eq!(ids, ["v6", "v4", "v3", "v2", "v1"]);
    let conflict = world.call::<ops::DeletePolicy>(delete(&arn)).await.unwrap_err();
    assert!(conflict.message.starts_with("This policy has more than one version."), "{}", conflict.message);
}

#[tokio::test]
async fn bad_and_large_documents_are_refused() {
    let world = World::new().await;
    let create = |document: &str| iam::CreatePolicyRequest {
        policy_name: Some("p".into()),
        policy_document: Some(document.into()),
        ..Default::default()
    };
    assert_fault(
        world.call::<ops::CreatePolicy>(create("nonsense")).await,
        "MalformedPolicyDocument",
        400,
        "Syntax errors in policy.",
    );
    let large = ALLOW_ALL.replace("\"all\"", &format!("\"{}\"", "x".repeat(6144)));
    let message = "Cannot exceed quota for PolicySize: 6144";
    assert_fault(world.call::<ops::CreatePolicy>(create(&large)).await, "LimitExceeded", 409, message);
}

#[tokio::test]
async fn ten_policies_fit_on_a_role() {
    let world = World::new().await;
    world.create_role("r").await;
    for at in 0..10 {
        let arn = world.create_policy(&format!("p{at}")).await;
        world.attach("r", &arn).await.unwrap();
    }
    let one_more = world.create_policy("more").await;
    let message = "Cannot exceed quota for PoliciesPerRole: 10";
    assert_fault(world.attach("r", &one_more).await, "LimitExceeded", 409, message);
    let shown = world.call::<ops::GetPolicy>(get(&one_more)).await.unwrap().policy.unwrap();
    assert_eq!(shown.attachment_count, Some(0), "what was refused is not counted");
}

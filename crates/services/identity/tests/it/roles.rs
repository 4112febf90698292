//! Roles.

use model::iam::{self, ops};

use crate::world::{ALLOW_ALL, TRUST_ALL, World, assert_fault};

fn get(name: &str) -> iam::GetRoleRequest {
    iam::GetRoleRequest { role_name: Some(name.into()) }
}

fn delete(name: &str) -> iam::DeleteRoleRequest {
    iam::DeleteRoleRequest { role_name: Some(name.into()) }
}

#[tokio::test]
async fn a_role_is_shown_as_it_was_made() {
    let world = World::new().await;
    let input = iam::CreateRoleRequest {
        role_name: Some("App".into()),
        path: Some("/team/".into()),
        description: Some("of the team".into()),
        max_session_duration: Some(7200),
        permissions_boundary: Some("arn:aws:iam::aws:policy/AdministratorAccess".into()),
        assume_role_policy_document: Some(TRUST_ALL.into()),
        tags: Some(vec![iam::Tag { key: Some("k".into()), value: Some("v".into()) }]),
    };
    let made = world.call::<ops::CreateRole>(input.clone()).await.unwrap().role.unwrap();
    assert_eq!(made.arn.as_deref(), Some("arn:aws:iam::000000000000:role/team/App"));
    let shown = world.call::<ops::GetRole>(get("app")).await.unwrap().role.unwrap();
    assert_eq!(shown.role_last_used, Some(Default::default()));
    assert_eq!(iam::Role { role_last_used: None, ..shown.clone() }, made);
    let document = shown.assume_role_policy_document.unwrap();
    assert!(document.starts_with("%7B%22Version%22%3A%222012-10-17%22"), "{document}");
    assert_eq!(shown.max_session_duration, Some(7200));
    let message = "Role with name App already exists.";
    assert_fault(world.call::<ops::CreateRole>(input).await, "EntityAlreadyExists", 409, message);
    let again = World::over(world.kv.clone()).await;
    assert!(again.call::<ops::GetRole>(get("App")).await.is_ok());
}

#[tokio::test]
async fn what_is_wrong_is_said_in_iams_words() {
    let world = World::new().await;
    let create = |trust: &str| iam::CreateRoleRequest {
        role_name: Some("r".into()),
        assume_role_policy_document: Some(trust.into()),
        ..Default::default()
    };
    assert_fault(
        world.call::<ops::CreateRole>(create("nonsense")).await,
        "MalformedPolicyDocument",
        400,
        "This policy contains invalid Json",
    );
    let long = TRUST_ALL.replace("\"Effect\"", &format!("\"Sid\":\"{}\",\"Effect\"", "x".repeat(2048)));
    assert_fault(
        world.call::<ops::CreateRole>(create(&long)).await,
        "LimitExceeded",
        409,
        "Cannot exceed quota for ACLSizePerRole: 2048",
    );
    let boundary = iam::CreateRoleRequest {
        permissions_boundary: Some("arn:aws:iam::aws:policy/Nothing".into()),
        ..create(TRUST_ALL)
    };
    assert_eq!(world.call::<ops::CreateRole>(boundary).await.unwrap_err().code, "NoSuchEntity");
    let message = "The role with name r cannot be found.";
    assert_fault(world.call::<ops::GetRole>(get("r")).await, "NoSuchEntity", 404, message);
    assert_fault(world.call::<ops::DeleteRole>(delete("r")).await, "NoSuchEntity", 404, message);
    let profiles = iam::ListInstanceProfilesForRoleRequest { role_name: Some("r".into()), ..Default::default() };
    assert_fault(world.call::<ops::ListInstanceProfilesForRole>(profiles).await, "NoSuchEntity", 404, message);
}

#[tokio::test]
async fn a_role_is_deleted_only_without_policies() {
    let world = World::new().await;
    world.create_role("r").await;
    let basic = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole";
    world.attach("r", basic).await.unwrap();
    let put = iam::PutRolePolicyRequest {
        role_name: Some("r".into()),
        policy_name: Some("inline".into()),
        policy_document: Some(ALLOW_ALL.into()),
    };
    world.call::<ops::PutRolePolicy>(put).await.unwrap();
    let attached = "Cannot delete entity, must detach all policies first.";
    assert_fault(world.call::<ops::DeleteRole>(delete("r")).await, "DeleteConflict", 409, attached);
    world.detach("r", basic).await.unwrap();
    let inline = "Cannot delete entity, must delete policies first.";
    assert_fault(world.call::<ops::DeleteRole>(delete("r")).await, "DeleteConflict", 409, inline);
    let policy = iam::DeleteRolePolicyRequest { role_name: Some("r".into()), policy_name: Some("inline".into()) };
    world.call::<ops::DeleteRolePolicy>(policy).await.unwrap();
    world.call::<ops::DeleteRole>(delete("r")).await.unwrap();
    assert_eq!(world.call::<ops::GetRole>(get("r")).await.unwrap_err().code, "NoSuchEntity");
}

#[tokio::test]
async fn inline_policies_are_kept_shown_and_limited() {
    let world = World::new().await;
    world.create_role("r").await;
    let put = |name: &str, document: &str| iam::PutRolePolicyRequest {
        role_name: Some("r".into()),
        policy_name: Some(name.into()),
        policy_document: Some(document.into()),
    };
    world.call::<ops::PutRolePolicy>(put("b", ALLOW_ALL)).await.unwrap();
    world.call::<ops::PutRolePolicy>(put("a", ALLOW_ALL)).await.unwrap();
    let list = iam::ListRolePoliciesRequest { role_name: Some("r".into()), ..Default::default() };
    let names = world.call::<ops::ListRolePolicies>(list).await.unwrap().policy_names.unwrap();
    assert_eq!(names, ["a", "b"]);
    let get = |name: &str| iam::GetRolePolicyRequest { role_name: Some("r".into()), policy_name: Some(name.into()) };
    let shown = world.call::<ops::GetRolePolicy>(get("a")).await.unwrap();
    assert!(shown.policy_document.unwrap().starts_with("%7B%22"));
    let message = "The role policy with name c cannot be found.";
    assert_fault(world.call::<ops::GetRolePolicy>(get("c")).await, "NoSuchEntity", 404, message);
    assert_eq!(world.call::<ops::PutRolePolicy>(put("c", "{}")).await.unwrap_err().code, "MalformedPolicyDocument");
    let large = ALLOW_ALL.replace("\"all\"", &format!("\"{}\"", "x".repeat(10_240)));
    let message = "Maximum policy size of 10240 bytes exceeded for role r";
    assert_fault(world.call::<ops::PutRolePolicy>(put("c", &large)).await, "LimitExceeded", 409, message);
}

#[tokio::test]
async fn description_duration_and_trust_can_be_changed() {
    let world = World::new().await;
    world.create_role("r").await;
    let update = iam::UpdateRoleRequest {
        role_name: Some("r".into()),
        description: Some("new".into()),
        max_session_duration: Some(4000),
    };
    world.call::<ops::UpdateRole>(update).await.unwrap();
    let trust = TRUST_ALL.replace("\"AWS\":\"*\"", "\"Service\":\"lambda.amazonaws.com\"");
    let input = iam::UpdateAssumeRolePolicyRequest { role_name: Some("r".into()), policy_document: Some(trust) };
    world.call::<ops::UpdateAssumeRolePolicy>(input).await.unwrap();
    let role = world.call::<ops::GetRole>(get("r")).await.unwrap().role.unwrap();
    assert_eq!((role.description.as_deref(), role.max_session_duration), (Some("new"), Some(4000)));
    assert!(role.assume_role_policy_document.unwrap().contains("lambda.amazonaws.com"));
    let bad = iam::UpdateAssumeRolePolicyRequest { role_name: Some("r".into()), policy_document: Some("{".into()) };
    assert_eq!(world.call::<ops::UpdateAssumeRolePolicy>(bad).await.unwrap_err().code, "MalformedPolicyDocument");
}

#[tokio::test]
async fn tags_are_set_changed_and_taken_away() {
    let world = World::new().await;
    world.create_role("r").await;
    let tag = |key: &str, value: &str| iam::Tag { key: Some(key.into()), value: Some(value.into()) };
    let set = |tags| iam::TagRoleRequest { role_name: Some("r".into()), tags: Some(tags) };
    world.call::<ops::TagRole>(set(vec![tag("a", "1"), tag("b", "2")])).await.unwrap();
    world.call::<ops::TagRole>(set(vec![tag("b", "3")])).await.unwrap();
    let untag = iam::UntagRoleRequest { role_name: Some("r".into()), tag_keys: Some(vec!["a".into()]) };
    world.call::<ops::UntagRole>(untag).await.unwrap();
    let list = iam::ListRoleTagsRequest { role_name: Some("r".into()), ..Default::default() };
    assert_eq!(world.call::<ops::ListRoleTags>(list).await.unwrap().tags, Some(vec![tag("b", "3")]));
    let many = (0..50).map(|at| tag(&format!("k{at}"), "")).collect();
    let message = "Cannot exceed quota for TagsPerRole: 50";
    assert_fault(world.call::<ops::TagRole>(set(many)).await, "LimitExceeded", 409, message);
}

#[tokio::test]
async fn of_two_who_make_the_same_role_one_wins() {
    let world = World::new().await;
    let input = || iam::CreateRoleRequest {
        role_name: Some("r".into()),
        assume_role_policy_document: Some(TRUST_ALL.into()),
        ..Default::default()
    };
    let (one, two) = tokio::join!(world.call::<ops::CreateRole>(input()), world.call::<ops::CreateRole>(input()));
    assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1);
}

#[tokio::test]
async fn a_role_in_no_instance_profile_lists_none() {
    let world = World::new().await;
    world.create_role("r").await;
    let input = iam::ListInstanceProfilesForRoleRequest { role_name: Some("r".into()), ..Default::default() };
    let answer = world.call::<ops::ListInstanceProfilesForRole>(input).await.unwrap();
    assert_eq!((answer.instance_profiles, answer.is_truncated), (Some(Vec::new()), Some(false)));
}

#[tokio::test]
async fn a_boundary_is_set_and_taken_away() {
    let world = World::new().await;
    world.create_role("r").await;
    world.allow_role("r", r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#).await;
    let may = || matches!(world.ask(&crate::world::session("r"), "iam:GetUser", "*"), door::Decision::Allowed(_));
    assert!(may());
    let limit = iam::PutRolePermissionsBoundaryRequest {
        role_name: Some("r".into()),
        permissions_boundary: Some("arn:aws:iam::aws:policy/AmazonSQSFullAccess".into()),
    };
    world.call::<ops::PutRolePermissionsBoundary>(limit).await.unwrap();
    assert!(!may());
    let free = iam::DeleteRolePermissionsBoundaryRequest { role_name: Some("r".into()) };
    world.call::<ops::DeleteRolePermissionsBoundary>(free).await.unwrap();
    assert!(may());
}

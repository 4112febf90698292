//! What a caller may do through a door that enforces.

use base::{Account, Principal};
use model::iam::{self, ops};
use model::sts;

use crate::world::{World, assert_fault, document, root, user};

const ROLE: &str = "arn:aws:iam::000000000000:role/app";

fn me() -> Principal {
    Principal::Session { account: Account::DEFAULT, role: "app".into(), session: "me".into() }
}

fn get_user(name: &str) -> iam::GetUserRequest {
    iam::GetUserRequest { user_name: Some(name.into()) }
}

fn assume() -> sts::AssumeRoleRequest {
    sts::AssumeRoleRequest { role_arn: Some(ROLE.into()), role_session_name: Some("me".into()), ..Default::default() }
}

#[tokio::test]
async fn a_user_may_what_its_own_and_its_groups_policies_allow() {
    let world = World::new().await;
    world.create_user("ann").await;
    let look = || world.strictly::<ops::GetUser>(user("ann"), None, get_user("ann"));
    assert_fault(
        look().await,
        "AccessDenied",
        403,
        "User: arn:aws:iam::000000000000:user/ann is not authorized to perform: iam:GetUser on resource: \
         arn:aws:iam::000000000000:user/ann because no identity-based policy allows the iam:GetUser action",
    );
    let own = r#"{"Effect":"Allow","Action":"iam:*","Resource":"arn:aws:iam::*:user/${aws:username}"}"#;
    world.allow_user("ann", own).await;
    look().await.unwrap();
    world.create_user("bob").await;
    assert!(world.strictly::<ops::GetUser>(user("ann"), None, get_user("bob")).await.is_err());

    world
        .call::<ops::CreateGroup>(iam::CreateGroupRequest { group_name: Some("staff".into()), path: None })
        .await
        .unwrap();
    let policy = iam::PutGroupPolicyRequest {
        group_name: Some("staff".into()),
        policy_name: Some("read".into()),
        policy_document: Some(document(r#"{"Effect":"Allow","Action":"iam:Get*","Resource":"*"}"#)),
    };
    world.call::<ops::PutGroupPolicy>(policy).await.unwrap();
    let join = iam::AddUserToGroupRequest { group_name: Some("staff".into()), user_name: Some("ann".into()) };
    world.call::<ops::AddUserToGroup>(join).await.unwrap();
    world.strictly::<ops::GetUser>(user("ann"), None, get_user("bob")).await.unwrap();
    let members = iam::GetGroupRequest { group_name: Some("STAFF".into()), ..Default::default() };
    let members = world.call::<ops::GetGroup>(members).await.unwrap().users.unwrap();
    assert_eq!(members.len(), 1);
    let leave = iam::RemoveUserFromGroupRequest { group_name: Some("staff".into()), user_name: Some("ann".into()) };
    world.call::<ops::RemoveUserFromGroup>(leave).await.unwrap();
    assert!(world.strictly::<ops::GetUser>(user("ann"), None, get_user("bob")).await.is_err());
}

#[tokio::test]
async fn a_boundary_limits_from_the_moment_it_is_set() {
    let world = World::new().await;
    world.create_user("ann").await;
    world.allow_user("ann", r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#).await;
    let look = || world.strictly::<ops::GetUser>(user("ann"), None, get_user("ann"));
    look().await.unwrap();
    let limit = |arn: &str| iam::PutUserPermissionsBoundaryRequest {
        user_name: Some("ann".into()),
        permissions_boundary: Some(arn.into()),
    };
    world.call::<ops::PutUserPermissionsBoundary>(limit("arn:aws:iam::aws:policy/AmazonSQSFullAccess")).await.unwrap();
    let fault = look().await.unwrap_err();
    assert!(fault.message.ends_with(" because no permissions boundary allows the iam:GetUser action"), "{fault}");
    let free = iam::DeleteUserPermissionsBoundaryRequest { user_name: Some("ann".into()) };
    world.call::<ops::DeleteUserPermissionsBoundary>(free).await.unwrap();
    look().await.unwrap();
}

#[tokio::test]
async fn nobody_but_the_unknown_learns_who_they_are_in_vain() {
    let world = World::new().await;
    world.create_user("ann").await;
    world.allow_user("ann", r#"{"Effect":"Deny","Action":"*","Resource":"*"}"#).await;
    let who = world.strictly::<sts::ops::GetCallerIdentity>(user("ann"), None, Default::default()).await.unwrap();
    assert_eq!(who.arn.as_deref(), Some("arn:aws:iam::000000000000:user/ann"), "no permission is needed");
    world.strictly::<sts::ops::GetSessionToken>(user("ann"), None, Default::default()).await.unwrap();
    assert!(world.strictly::<ops::GetUser>(Principal::Anonymous, None, get_user("ann")).await.is_err());
}

#[tokio::test]
async fn a_session_is_limited_by_its_policy_and_known_by_its_tags() {
    let world = World::new().await;
    world.create_role("app").await;
    world.create_user("ann").await;
    let tagged = r#"{"Effect":"Allow","Action":"iam:Get*","Resource":"*"},{"Effect":"Allow","Action":"iam:List*",
        "Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/team":"blue"}}}"#;
    world.allow_role("app", tagged).await;
    let key = |answer: sts::AssumeRoleResponse| answer.credentials.unwrap().access_key_id.unwrap();
    let strict = &world;
    let look = |key: String| async move {
        let world = strict;
        let users = world.strictly::<ops::ListUsers>(me(), Some(&key), Default::default()).await;
        let user = world.strictly::<ops::GetUser>(me(), Some(&key), get_user("ann")).await;
        (user.map(drop).map_err(|fault| fault.message), users.is_ok())
    };
    let plain = key(world.call::<sts::ops::AssumeRole>(assume()).await.unwrap());
    assert_eq!(look(plain).await, (Ok(()), false));
    let limited = sts::AssumeRoleRequest {
        policy: Some(document(r#"{"Effect":"Allow","Action":"iam:List*","Resource":"*"}"#)),
        tags: Some(vec![sts::Tag { key: Some("team".into()), value: Some("blue".into()) }]),
        ..assume()
    };
    // The trust policy of this role allows sts:AssumeRole alone: to tag the session is a permission of its own.
    assert!(world.call::<sts::ops::AssumeRole>(limited.clone()).await.is_err());
    let trust = r#"{"Effect":"Allow","Principal":{"AWS":"*"},"Action":["sts:AssumeRole","sts:TagSession"]}"#;
    let trust =
        iam::UpdateAssumeRolePolicyRequest { role_name: Some("app".into()), policy_document: Some(document(trust)) };
    world.call::<ops::UpdateAssumeRolePolicy>(trust).await.unwrap();
    let answer = world.call::<sts::ops::AssumeRole>(limited).await.unwrap();
    assert!(answer.packed_policy_size.is_some());
    let (user, lists) = look(key(answer)).await;
    let why = user.unwrap_err();
    assert!(why.ends_with("because no session policy allows the iam:GetUser action"), "{why}");
    assert!(lists, "role, session policy and tag all speak for it");
}

#[tokio::test]
async fn a_managed_session_policy_limits_too_and_must_exist() {
    let world = World::new().await;
    world.create_role("app").await;
    world.create_user("ann").await;
    world.allow_role("app", r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#).await;
    let with = |arn: &str| sts::AssumeRoleRequest {
        policy_arns: Some(vec![sts::PolicyDescriptorType { arn: Some(arn.into()) }]),
        ..assume()
    };
    let answer = world.call::<sts::ops::AssumeRole>(with("arn:aws:iam::aws:policy/AmazonSQSFullAccess")).await.unwrap();
    let key = answer.credentials.unwrap().access_key_id.unwrap();
    assert!(world.strictly::<ops::GetUser>(me(), Some(&key), get_user("ann")).await.is_err());
    world.strictly::<ops::GetUser>(me(), None, get_user("ann")).await.unwrap();
    let missing = world.call::<sts::ops::AssumeRole>(with("arn:aws:iam::aws:policy/None")).await;
    assert_eq!(missing.unwrap_err().code, "ValidationError");
}

#[tokio::test]
async fn across_accounts_the_caller_needs_its_own_permission_too() {
    let world = World::new().await;
    world.create_role("app").await;
    let theirs: Account = "111122223333".parse().unwrap();
    let bob = Principal::User { account: theirs, name: "bob".into() };
    let their_root = Principal::Root { account: theirs, verified: true };
    let input = iam::CreateUserRequest { user_name: Some("bob".into()), ..Default::default() };
    world.call_as::<ops::CreateUser>(their_root.clone(), input).await.unwrap();
    let ask = || world.strictly::<sts::ops::AssumeRole>(bob.clone(), None, assume());
    assert_eq!(
        ask().await.unwrap_err().code,
        "AccessDenied",
        "the role trusts everyone, bob's account has not allowed it"
    );
    let input = iam::PutUserPolicyRequest {
        user_name: Some("bob".into()),
        policy_name: Some("p".into()),
        policy_document: Some(document(&format!(
            r#"{{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"{ROLE}"}}"#
        ))),
    };
    world.call_as::<ops::PutUserPolicy>(their_root, input).await.unwrap();
    let who = ask().await.unwrap().assumed_role_user.unwrap();
    assert_eq!(who.arn.as_deref(), Some("arn:aws:sts::000000000000:assumed-role/app/me"));
}

#[tokio::test]
async fn tags_of_roles_decide_about_them() {
    let world = World::new().await;
    for (role, team) in [("one", "blue"), ("two", "red")] {
        world.create_role(role).await;
        let tags = vec![iam::Tag { key: Some("team".into()), value: Some(team.into()) }];
        let tag = iam::TagRoleRequest { role_name: Some(role.into()), tags: Some(tags) };
        world.call::<ops::TagRole>(tag).await.unwrap();
    }
    world.create_user("ann").await;
    let same = r#"{"Effect":"Allow","Action":"iam:GetRole","Resource":"*",
        "Condition":{"StringEquals":{"aws:ResourceTag/team":"blue"}}}"#;
    world.allow_user("ann", same).await;
    let look = |role: &str| iam::GetRoleRequest { role_name: Some(role.into()) };
    world.strictly::<ops::GetRole>(user("ann"), None, look("one")).await.unwrap();
    assert!(world.strictly::<ops::GetRole>(user("ann"), None, look("two")).await.is_err());
    // Requests are judged by the tags they bring.
    let tagging = r#"{"Effect":"Allow","Action":"iam:TagRole","Resource":"*","Condition":{
        "StringEquals":{"aws:RequestTag/team":"blue"},"ForAllValues:StringEquals":{"aws:TagKeys":["team"]}}}"#;
    world.allow_user("ann", tagging).await;
    let tag = |key: &str, value: &str| iam::TagRoleRequest {
        role_name: Some("one".into()),
        tags: Some(vec![iam::Tag { key: Some(key.into()), value: Some(value.into()) }]),
    };
    world.strictly::<ops::TagRole>(user("ann"), None, tag("team", "blue")).await.unwrap();
    assert!(world.strictly::<ops::TagRole>(user("ann"), None, tag("team", "red")).await.is_err());
    assert!(world.strictly::<ops::TagRole>(user("ann"), None, tag("other", "blue")).await.is_err());
}

#[tokio::test]
async fn a_role_is_meant_with_its_path() {
    let world = World::new().await;
    let input = iam::CreateRoleRequest {
        role_name: Some("deep".into()),
        path: Some("/team/".into()),
        assume_role_policy_document: Some(crate::world::TRUST_ALL.into()),
        ..Default::default()
    };
    world.create_user("ann").await;
    world.allow_user("ann", r#"{"Effect":"Allow","Action":"iam:*","Resource":"arn:aws:iam::*:role/team/*"}"#).await;
    world.strictly::<ops::CreateRole>(user("ann"), None, input).await.unwrap();
    let look = iam::GetRoleRequest { role_name: Some("deep".into()) };
    world.strictly::<ops::GetRole>(user("ann"), None, look).await.unwrap();
    world.create_role("flat").await;
    let look = iam::GetRoleRequest { role_name: Some("flat".into()) };
    assert!(world.strictly::<ops::GetRole>(user("ann"), None, look).await.is_err());
    world.strictly::<ops::GetUser>(root(), None, get_user("ann")).await.unwrap();
}

#[tokio::test]
async fn a_role_is_passed_by_its_own_arn_and_no_other_spelling() {
    let world = World::new().await;
    world.create_user("ann").await;
    world.allow_user("ann", r#"{"Effect":"Allow","Action":"iam:PassRole","Resource":"*"}"#).await;
    let own = world.create_role("Admin").await.arn.unwrap();
    let pass = |arn: &str| world.ask(&user("ann"), "iam:PassRole", arn);
    assert!(matches!(pass(&own), door::Decision::Allowed(_)), "{own}");
    for (from, to) in [("role/Admin", "role/dev-x/Admin"), ("role/Admin", "role/ADMIN"), ("arn:aws:", "arn:aws-cn:")] {
        let decision = pass(&own.replace(from, to));
        assert!(matches!(&decision, door::Decision::Denied(denial) if denial.always), "{to}: {decision:?}");
    }
}

#[tokio::test]
async fn who_renames_needs_the_new_name_too() {
    let world = World::new().await;
    world.create_user("ann").await;
    world.create_user("dev-bob").await;
    let own = r#"{"Effect":"Allow","Action":"iam:UpdateUser","Resource":"arn:aws:iam::*:user/dev-*"}"#;
    world.allow_user("ann", own).await;
    let rename = |to: &str, path: Option<&str>| iam::UpdateUserRequest {
        user_name: Some("dev-bob".into()),
        new_user_name: Some(to.into()),
        new_path: path.map(str::to_owned),
    };
    for bad in [rename("admin", None), rename("dev-bob", Some("/admins/"))] {
        let refused = world.strictly::<ops::UpdateUser>(user("ann"), None, bad).await;
        assert_eq!(refused.unwrap_err().code, "AccessDenied");
    }
    world.strictly::<ops::UpdateUser>(user("ann"), None, rename("dev-rob", None)).await.unwrap();
}

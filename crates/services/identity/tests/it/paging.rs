//! Markers, and how many a page holds.

use model::iam::{self, ops};

use crate::world::{ALLOW_ALL, TRUST_ALL, World, assert_fault};

/// The names of a listing in pages of one: each page is told whether there is more, and the marker leads on.
macro_rules! pages {
    ($world:ident, $operation:ident, $input:expr, $items:ident, |$item:ident| $name:expr) => {{
        let mut input = $input;
        input.max_items = Some(1);
        let mut pages: Vec<String> = Vec::new();
        loop {
            let page = $world.call::<ops::$operation>(input.clone()).await.unwrap();
            assert_eq!(page.is_truncated, Some(page.marker.is_some()));
            pages.push(page.$items.unwrap().into_iter().map(|$item| $name).collect::<Vec<String>>().join(" "));
            input.marker = page.marker;
            if input.marker.is_none() {
                break pages;
            }
            assert!(pages.len() < 10, "the marker leads nowhere: {pages:?}");
        }
    }};
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn tags() -> Option<Vec<iam::Tag>> {
    Some(["a", "b"].map(|key| iam::Tag { key: some(key), value: some("v") }).to_vec())
}

/// A policy under a path; its ARN.
async fn policy(world: &World, path: &str, name: &str) -> String {
    let input = iam::CreatePolicyRequest {
        policy_name: some(name),
        path: some(path),
        policy_document: some(ALLOW_ALL),
        ..Default::default()
    };
    world.call::<ops::CreatePolicy>(input).await.unwrap().policy.unwrap().arn.unwrap()
}

#[tokio::test]
async fn roles_come_in_pages_by_name() {
    let world = World::new().await;
    for name in ["c", "A", "e", "B", "d"] {
        world.create_role(name).await;
    }
    let mut input = iam::ListRolesRequest { max_items: Some(2), ..Default::default() };
    let mut pages = Vec::new();
    loop {
        let page = world.call::<ops::ListRoles>(input.clone()).await.unwrap();
        let names: Vec<_> = page.roles.unwrap().into_iter().map(|role| role.role_name.unwrap()).collect();
        pages.push(names.join(""));
        assert_eq!(page.is_truncated, Some(page.marker.is_some()));
        input.marker = page.marker;
        if input.marker.is_none() {
            break;
        }
        assert!(pages.len() < 10, "the marker leads nowhere: {pages:?}");
    }
    assert_eq!(pages, ["AB", "cd", "e"]);
    let bad = iam::ListRolesRequest { marker: Some("not ours".into()), ..Default::default() };
    assert_fault(world.call::<ops::ListRoles>(bad).await, "ValidationError", 400, "Invalid Marker: not ours");
    let elsewhere = iam::ListRolesRequest { path_prefix: Some("/team/".into()), ..Default::default() };
    assert_eq!(world.call::<ops::ListRoles>(elsewhere).await.unwrap().roles, Some(Vec::new()));
}

#[tokio::test]
async fn what_a_role_has_comes_in_pages() {
    let world = World::new().await;
    let input = iam::CreateRoleRequest {
        role_name: some("r"),
        assume_role_policy_document: some(TRUST_ALL),
        tags: tags(),
        ..Default::default()
    };
    world.call::<ops::CreateRole>(input).await.unwrap();
    for (path, name) in [("/", "one"), ("/team/", "two")] {
        let arn = policy(&world, path, name).await;
        world.attach("r", &arn).await.unwrap();
        let put = iam::PutRolePolicyRequest {
            role_name: some("r"),
            policy_name: some(name),
            policy_document: some(ALLOW_ALL),
        };
        world.call::<ops::PutRolePolicy>(put).await.unwrap();
    }
    let list = iam::ListRoleTagsRequest { role_name: some("r"), ..Default::default() };
    assert_eq!(pages!(world, ListRoleTags, list, tags, |tag| tag.key.unwrap()), ["a", "b"]);
    let list = iam::ListRolePoliciesRequest { role_name: some("r"), ..Default::default() };
    assert_eq!(pages!(world, ListRolePolicies, list, policy_names, |name| name), ["one", "two"]);
    let list = iam::ListAttachedRolePoliciesRequest { role_name: some("r"), ..Default::default() };
    let attached =
        pages!(world, ListAttachedRolePolicies, list.clone(), attached_policies, |one| one.policy_name.unwrap());
    assert_eq!(attached, ["one", "two"]);
    let team = iam::ListAttachedRolePoliciesRequest { path_prefix: some("/team/"), ..list };
    let team = pages!(world, ListAttachedRolePolicies, team, attached_policies, |one| one.policy_name.unwrap());
    assert_eq!(team, ["two"]);
    // There are no instance profiles; what pages are asked for is checked all the same.
    let profiles = iam::ListInstanceProfilesForRoleRequest { role_name: some("r"), ..Default::default() };
    let bad = iam::ListInstanceProfilesForRoleRequest { marker: some("not ours"), ..profiles.clone() };
    let refused = world.call::<ops::ListInstanceProfilesForRole>(bad).await;
    assert_fault(refused, "ValidationError", 400, "Invalid Marker: not ours");
    let none = iam::ListInstanceProfilesForRoleRequest { max_items: Some(0), ..profiles };
    let refused = world.call::<ops::ListInstanceProfilesForRole>(none).await;
    assert_eq!(refused.unwrap_err().code, "ValidationError");
}

#[tokio::test]
async fn users_and_what_they_have_come_in_pages() {
    let world = World::new().await;
    world.create_user("ann").await;
    let input =
        iam::CreateUserRequest { user_name: some("bob"), path: some("/team/"), tags: tags(), ..Default::default() };
    world.call::<ops::CreateUser>(input).await.unwrap();
    let mut keys = Vec::new();
    for (path, name) in [("/", "one"), ("/team/", "two")] {
        let arn = policy(&world, path, name).await;
        let attach = iam::AttachUserPolicyRequest { user_name: some("bob"), policy_arn: Some(arn) };
        world.call::<ops::AttachUserPolicy>(attach).await.unwrap();
        let put = iam::PutUserPolicyRequest {
            user_name: some("bob"),
            policy_name: some(name),
            policy_document: some(ALLOW_ALL),
        };
        world.call::<ops::PutUserPolicy>(put).await.unwrap();
        keys.push(world.create_key("bob").await.access_key_id.unwrap());
    }
    keys.sort();
    let all = iam::ListUsersRequest::default();
    assert_eq!(pages!(world, ListUsers, all, users, |user| user.user_name.unwrap()), ["ann", "bob"]);
    let team = iam::ListUsersRequest { path_prefix: some("/team/"), ..Default::default() };
    assert_eq!(pages!(world, ListUsers, team, users, |user| user.user_name.unwrap()), ["bob"]);
    let list = iam::ListUserTagsRequest { user_name: some("bob"), ..Default::default() };
    assert_eq!(pages!(world, ListUserTags, list, tags, |tag| tag.key.unwrap()), ["a", "b"]);
    let list = iam::ListUserPoliciesRequest { user_name: some("bob"), ..Default::default() };
    assert_eq!(pages!(world, ListUserPolicies, list, policy_names, |name| name), ["one", "two"]);
    let list = iam::ListAttachedUserPoliciesRequest { user_name: some("bob"), ..Default::default() };
    let attached =
        pages!(world, ListAttachedUserPolicies, list.clone(), attached_policies, |one| one.policy_name.unwrap());
    assert_eq!(attached, ["one", "two"]);
    let team = iam::ListAttachedUserPoliciesRequest { path_prefix: some("/team/"), ..list };
    let team = pages!(world, ListAttachedUserPolicies, team, attached_policies, |one| one.policy_name.unwrap());
    assert_eq!(team, ["two"]);
    let list = iam::ListAccessKeysRequest { user_name: some("bob"), ..Default::default() };
    assert_eq!(pages!(world, ListAccessKeys, list, access_key_metadata, |key| key.access_key_id.unwrap()), keys);
}

#[tokio::test]
async fn groups_and_what_they_have_come_in_pages() {
    let world = World::new().await;
    for (path, name) in [("/", "one"), ("/team/", "two")] {
        let input = iam::CreateGroupRequest { group_name: some(name), path: some(path) };
        world.call::<ops::CreateGroup>(input).await.unwrap();
    }
    for (path, name) in [("/", "one"), ("/team/", "two")] {
        world.create_user(name).await;
        let join = iam::AddUserToGroupRequest { group_name: some("one"), user_name: some(name) };
        world.call::<ops::AddUserToGroup>(join).await.unwrap();
        let join = iam::AddUserToGroupRequest { group_name: some(name), user_name: some("one") };
        world.call::<ops::AddUserToGroup>(join).await.unwrap();
        let arn = policy(&world, path, name).await;
        let attach = iam::AttachGroupPolicyRequest { group_name: some("one"), policy_arn: Some(arn) };
        world.call::<ops::AttachGroupPolicy>(attach).await.unwrap();
        let put = iam::PutGroupPolicyRequest {
            group_name: some("one"),
            policy_name: some(name),
            policy_document: some(ALLOW_ALL),
        };
        world.call::<ops::PutGroupPolicy>(put).await.unwrap();
    }
    let all = iam::ListGroupsRequest::default();
    assert_eq!(pages!(world, ListGroups, all, groups, |group| group.group_name.unwrap()), ["one", "two"]);
    let team = iam::ListGroupsRequest { path_prefix: some("/team/"), ..Default::default() };
    assert_eq!(pages!(world, ListGroups, team, groups, |group| group.group_name.unwrap()), ["two"]);
    let list = iam::GetGroupRequest { group_name: some("one"), ..Default::default() };
    assert_eq!(pages!(world, GetGroup, list, users, |user| user.user_name.unwrap()), ["one", "two"]);
    let list = iam::ListGroupsForUserRequest { user_name: some("one"), ..Default::default() };
    assert_eq!(pages!(world, ListGroupsForUser, list, groups, |group| group.group_name.unwrap()), ["one", "two"]);
    let list = iam::ListGroupPoliciesRequest { group_name: some("one"), ..Default::default() };
    assert_eq!(pages!(world, ListGroupPolicies, list, policy_names, |name| name), ["one", "two"]);
    let list = iam::ListAttachedGroupPoliciesRequest { group_name: some("one"), ..Default::default() };
    let attached =
        pages!(world, ListAttachedGroupPolicies, list.clone(), attached_policies, |one| one.policy_name.unwrap());
    assert_eq!(attached, ["one", "two"]);
    let team = iam::ListAttachedGroupPoliciesRequest { path_prefix: some("/team/"), ..list };
    let team = pages!(world, ListAttachedGroupPolicies, team, attached_policies, |one| one.policy_name.unwrap());
    assert_eq!(team, ["two"]);
}

#[tokio::test]
async fn policies_and_their_versions_come_in_pages() {
    let world = World::new().await;
    let one = policy(&world, "/", "one").await;
    policy(&world, "/team/", "two").await;
    let own = iam::ListPoliciesRequest { scope: some("Local"), ..Default::default() };
    let all = pages!(world, ListPolicies, own.clone(), policies, |policy| policy.policy_name.unwrap());
    assert_eq!(all, ["one", "two"]);
    let team = iam::ListPoliciesRequest { path_prefix: some("/team/"), ..own.clone() };
    assert_eq!(pages!(world, ListPolicies, team, policies, |policy| policy.policy_name.unwrap()), ["two"]);
    // A policy that bounds a user permits nobody anything.
    let input = iam::CreateUserRequest {
        user_name: some("ann"),
        permissions_boundary: Some(one.clone()),
        ..Default::default()
    };
    world.call::<ops::CreateUser>(input).await.unwrap();
    for (usage, named) in [("PermissionsBoundary", "one"), ("PermissionsPolicy", "")] {
        let used = iam::ListPoliciesRequest { policy_usage_filter: some(usage), ..own.clone() };
        assert_eq!(pages!(world, ListPolicies, used, policies, |policy| policy.policy_name.unwrap()), [named]);
    }
    let more = iam::CreatePolicyVersionRequest {
        policy_arn: Some(one.clone()),
        policy_document: some(ALLOW_ALL),
        set_as_default: None,
    };
    world.call::<ops::CreatePolicyVersion>(more).await.unwrap();
    let list = iam::ListPolicyVersionsRequest { policy_arn: Some(one), ..Default::default() };
    assert_eq!(pages!(world, ListPolicyVersions, list, versions, |one| one.version_id.unwrap()), ["v2", "v1"]);
}

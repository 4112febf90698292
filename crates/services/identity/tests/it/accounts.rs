//! The account's alias and summary; whom a policy is attached to; tags of policies.

use base::{Account, Principal};
use model::iam::{self, ops};

use crate::world::{World, assert_fault, root};

#[tokio::test]
async fn an_account_has_one_alias_that_nobody_else_has() {
    let world = World::new().await;
    let other = Principal::Root { account: "111122223333".parse::<Account>().unwrap(), verified: true };
    let alias = |name: &str| iam::CreateAccountAliasRequest { account_alias: Some(name.into()) };
    let list = async |who: Principal| {
        world.call_as::<ops::ListAccountAliases>(who, Default::default()).await.unwrap().account_aliases.unwrap()
    };
    assert_eq!(list(root()).await, Vec::<String>::new());
    for name in ["first", "second", "second"] {
        world.call::<ops::CreateAccountAlias>(alias(name)).await.unwrap();
    }
    assert_eq!(list(root()).await, ["second"]);
    let taken = world.call_as::<ops::CreateAccountAlias>(other.clone(), alias("second")).await;
    assert_fault(taken, "EntityAlreadyExists", 409, "The account alias second already exists.");
    // The one it had is free again.
    world.call_as::<ops::CreateAccountAlias>(other.clone(), alias("first")).await.unwrap();
    let delete = |name: &str| iam::DeleteAccountAliasRequest { account_alias: Some(name.into()) };
    assert_eq!(world.call::<ops::DeleteAccountAlias>(delete("first")).await.unwrap_err().code, "NoSuchEntity");
    world.call::<ops::DeleteAccountAlias>(delete("second")).await.unwrap();
    assert_eq!((list(root()).await.len(), list(other).await), (0, vec!["first".to_owned()]));
}

#[tokio::test]
async fn the_summary_counts_what_there_is() {
    let world = World::new().await;
    world.create_role("app").await;
    world.create_user("ann").await;
    world.create_policy("p").await;
    let summary = world.call::<ops::GetAccountSummary>(wire::Unit).await.unwrap().summary_map.unwrap();
    let expected = [
        ("Users", 1),
        ("Roles", 1),
        ("Groups", 0),
        ("Policies", 1),
        ("PolicyVersionsInUse", 1),
        ("AccountAccessKeysPresent", 1),
        ("AccountMFAEnabled", 0),
        ("RolesQuota", 1000),
        ("VersionsPerPolicyQuota", 5),
        ("PolicySizeQuota", 6144),
    ];
    for (name, number) in expected {
        assert_eq!(summary.get(name), Some(&number), "{name}");
    }
}

#[tokio::test]
async fn a_policy_tells_whom_it_is_attached_to_and_bounds() {
    let world = World::new().await;
    let arn = world.create_policy("p").await;
    for role in ["one", "two", "three"] {
        world.create_role(role).await;
    }
    world.attach("one", &arn).await.unwrap();
    world.attach("two", &arn).await.unwrap();
    let bound = iam::PutRolePermissionsBoundaryRequest {
        role_name: Some("three".into()),
        permissions_boundary: Some(arn.clone()),
    };
    world.call::<ops::PutRolePermissionsBoundary>(bound).await.unwrap();
    world.create_user("ann").await;
    let attach = iam::AttachUserPolicyRequest { user_name: Some("ann".into()), policy_arn: Some(arn.clone()) };
    world.call::<ops::AttachUserPolicy>(attach).await.unwrap();
    let ask = |change: fn(&mut iam::ListEntitiesForPolicyRequest)| {
        let mut input = iam::ListEntitiesForPolicyRequest { policy_arn: Some(arn.clone()), ..Default::default() };
        change(&mut input);
        world.call::<ops::ListEntitiesForPolicy>(input)
    };
    let names = |answer: iam::ListEntitiesForPolicyResponse| -> (Vec<String>, Vec<String>) {
        let users = answer.policy_users.unwrap().into_iter().filter_map(|one| one.user_name).collect();
        (users, answer.policy_roles.unwrap().into_iter().filter_map(|one| one.role_name).collect())
    };
    let of = |users: &[&str], roles: &[&str]| {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        (owned(users), owned(roles))
    };
    assert_eq!(names(ask(|_| {}).await.unwrap()), of(&["ann"], &["one", "three", "two"]));
    let attached = ask(|input| input.policy_usage_filter = Some("PermissionsPolicy".into())).await.unwrap();
    assert_eq!(names(attached), of(&["ann"], &["one", "two"]));
    let bounds = ask(|input| input.policy_usage_filter = Some("PermissionsBoundary".into())).await.unwrap();
    assert_eq!(names(bounds), of(&[], &["three"]));
    let roles = ask(|input| input.entity_filter = Some("Role".into())).await.unwrap();
    assert_eq!(names(roles), of(&[], &["one", "three", "two"]));
    assert_eq!(names(ask(|input| input.path_prefix = Some("/x/".into())).await.unwrap()), of(&[], &[]));
    let page = ask(|input| input.max_items = Some(2)).await.unwrap();
    let marker = page.marker.clone();
    assert_eq!(names(page), of(&["ann"], &["one"]));
    let input = iam::ListEntitiesForPolicyRequest { policy_arn: Some(arn.clone()), marker, ..Default::default() };
    assert_eq!(names(world.call::<ops::ListEntitiesForPolicy>(input).await.unwrap()), of(&[], &["three", "two"]));
    let none = iam::ListEntitiesForPolicyRequest { policy_arn: Some(format!("{arn}x")), ..Default::default() };
    let message = format!("Policy {arn}x was not found.");
    assert_fault(world.call::<ops::ListEntitiesForPolicy>(none).await, "NoSuchEntity", 404, &message);
}

#[tokio::test]
async fn a_tag_replaces_one_whose_key_differs_in_case_alone() {
    let world = World::new().await;
    let arn = world.create_policy("p").await;
    let tag = |key: &str, value: &str| iam::Tag { key: Some(key.into()), value: Some(value.into()) };
    let put = |tags: Vec<iam::Tag>| iam::TagPolicyRequest { policy_arn: Some(arn.clone()), tags: Some(tags) };
    world.call::<ops::TagPolicy>(put(vec![tag("team", "blue"), tag("size", "s")])).await.unwrap();
    world.call::<ops::TagPolicy>(put(vec![tag("Team", "red")])).await.unwrap();
    let twice = world.call::<ops::TagPolicy>(put(vec![tag("a", "1"), tag("A", "2")])).await;
    let message = "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
    assert_fault(twice, "InvalidInput", 400, message);
    let untag = iam::UntagPolicyRequest { policy_arn: Some(arn.clone()), tag_keys: Some(vec!["SIZE".into()]) };
    world.call::<ops::UntagPolicy>(untag).await.unwrap();
    let list = iam::ListPolicyTagsRequest { policy_arn: Some(arn.clone()), ..Default::default() };
    assert_eq!(world.call::<ops::ListPolicyTags>(list).await.unwrap().tags, Some(vec![tag("Team", "red")]));
    let many = (0..50).map(|at| tag(&format!("k{at}"), "")).collect();
    let result = world.call::<ops::TagPolicy>(put(many)).await;
    assert_fault(result, "LimitExceeded", 409, "Cannot exceed quota for TagsPerPolicy: 50");
}

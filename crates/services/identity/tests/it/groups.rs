//! Groups: their members and their policies.

use base::Fault;
use model::iam::{self, ops};

use crate::world::{ALLOW_ALL, World, assert_fault};

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

async fn create(world: &World, name: &str) -> Result<iam::CreateGroupResponse, Fault> {
    world.call::<ops::CreateGroup>(iam::CreateGroupRequest { group_name: some(name), path: None }).await
}

#[tokio::test]
async fn a_group_is_made_once_and_deleted_when_nothing_is_left_in_it() {
    let world = World::new().await;
    let input = iam::CreateGroupRequest { group_name: some("Staff"), path: some("/team/") };
    let made = world.call::<ops::CreateGroup>(input).await.unwrap().group.unwrap();
    assert_eq!(made.arn.as_deref(), Some("arn:aws:iam::000000000000:group/team/Staff"));
    let message = "Group with name staff already exists.";
    assert_fault(create(&world, "staff").await, "EntityAlreadyExists", 409, message);

    for user in ["ann", "bob"] {
        world.create_user(user).await;
    }
    let join = |user: &str| iam::AddUserToGroupRequest { group_name: some("staff"), user_name: some(user) };
    let leave = |user: &str| iam::RemoveUserFromGroupRequest { group_name: some("staff"), user_name: some(user) };
    world.call::<ops::AddUserToGroup>(join("ann")).await.unwrap();
    world.call::<ops::AddUserToGroup>(join("ann")).await.expect("to join again changes nothing");
    let get = iam::GetGroupRequest { group_name: some("staff"), ..Default::default() };
    let shown = world.call::<ops::GetGroup>(get).await.unwrap();
    assert_eq!(shown.group, Some(made));
    let members: Vec<_> = shown.users.unwrap().into_iter().map(|user| user.user_name.unwrap()).collect();
    assert_eq!(members, ["ann"]);
    let of = |user: &str| iam::ListGroupsForUserRequest { user_name: some(user), ..Default::default() };
    assert_eq!(world.call::<ops::ListGroupsForUser>(of("ann")).await.unwrap().groups.unwrap().len(), 1);
    assert_eq!(world.call::<ops::ListGroupsForUser>(of("bob")).await.unwrap().groups, Some(Vec::new()));

    let delete = || iam::DeleteGroupRequest { group_name: some("staff") };
    let message = "Cannot delete entity, must remove users from group first.";
    assert_fault(world.call::<ops::DeleteGroup>(delete()).await, "DeleteConflict", 409, message);
    let stranger = world.call::<ops::RemoveUserFromGroup>(leave("bob")).await;
    assert_fault(stranger, "NoSuchEntity", 404, "User bob is not in group Staff.");
    world.call::<ops::RemoveUserFromGroup>(leave("ann")).await.unwrap();
    world.call::<ops::DeleteGroup>(delete()).await.unwrap();
    let message = "The group with name staff cannot be found.";
    assert_fault(world.call::<ops::DeleteGroup>(delete()).await, "NoSuchEntity", 404, message);
}

#[tokio::test]
async fn a_groups_policies_are_kept_shown_and_taken_away() {
    let world = World::new().await;
    for name in ["one", "two"] {
        create(&world, name).await.unwrap();
    }
    let put = iam::PutGroupPolicyRequest {
        group_name: some("one"),
        policy_name: some("inline"),
        policy_document: some(ALLOW_ALL),
    };
    world.call::<ops::PutGroupPolicy>(put).await.unwrap();
    let get = |group: &str| iam::GetGroupPolicyRequest { group_name: some(group), policy_name: some("inline") };
    let shown = world.call::<ops::GetGroupPolicy>(get("one")).await.unwrap();
    assert_eq!((shown.group_name.as_deref(), shown.policy_name.as_deref()), (Some("one"), Some("inline")));
    assert!(shown.policy_document.unwrap().starts_with("%7B%22"));
    let message = "The group policy with name inline cannot be found.";
    assert_fault(world.call::<ops::GetGroupPolicy>(get("two")).await, "NoSuchEntity", 404, message);

    let arn = world.create_policy("p").await;
    let attach = iam::AttachGroupPolicyRequest { group_name: some("one"), policy_arn: Some(arn.clone()) };
    world.call::<ops::AttachGroupPolicy>(attach).await.unwrap();
    let attached =
        |group: &str| iam::ListAttachedGroupPoliciesRequest { group_name: some(group), ..Default::default() };
    let held = world.call::<ops::ListAttachedGroupPolicies>(attached("one")).await.unwrap().attached_policies;
    assert_eq!(held.unwrap()[0].policy_arn, Some(arn.clone()));
    let held = world.call::<ops::ListAttachedGroupPolicies>(attached("two")).await.unwrap().attached_policies;
    assert_eq!(held, Some(Vec::new()));

    let delete = || iam::DeleteGroupRequest { group_name: some("one") };
    let message = "Cannot delete entity, must detach all policies first.";
    assert_fault(world.call::<ops::DeleteGroup>(delete()).await, "DeleteConflict", 409, message);
    let detach = || iam::DetachGroupPolicyRequest { group_name: some("one"), policy_arn: Some(arn.clone()) };
    world.call::<ops::DetachGroupPolicy>(detach()).await.unwrap();
    let again = world.call::<ops::DetachGroupPolicy>(detach()).await;
    assert_fault(again, "NoSuchEntity", 404, &format!("Policy {arn} was not found."));
    let message = "Cannot delete entity, must delete policies first.";
    assert_fault(world.call::<ops::DeleteGroup>(delete()).await, "DeleteConflict", 409, message);
    let take = || iam::DeleteGroupPolicyRequest { group_name: some("one"), policy_name: some("inline") };
    world.call::<ops::DeleteGroupPolicy>(take()).await.unwrap();
    let message = "The group policy with name inline cannot be found.";
    assert_fault(world.call::<ops::DeleteGroupPolicy>(take()).await, "NoSuchEntity", 404, message);
    world.call::<ops::DeleteGroup>(delete()).await.unwrap();
}

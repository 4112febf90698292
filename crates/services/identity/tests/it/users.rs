//! Users.

use model::iam::{self, ops};

use crate::world::{World, assert_fault, root, user};

#[tokio::test]
async fn users_are_made_shown_listed_and_deleted() {
    let world = World::new().await;
    let made = world.create_user("ann").await;
    assert_eq!(made.arn.as_deref(), Some("arn:aws:iam::000000000000:user/ann"));
    let again = iam::CreateUserRequest { user_name: Some("Ann".into()), ..Default::default() };
    let message = "User with name Ann already exists.";
    assert_fault(world.call::<ops::CreateUser>(again).await, "EntityAlreadyExists", 409, message);
    let named = iam::GetUserRequest { user_name: Some("ann".into()) };
    assert_eq!(world.call::<ops::GetUser>(named).await.unwrap().user, Some(made.clone()));
    let myself = world.call_as::<ops::GetUser>(user("ann"), Default::default()).await.unwrap();
    assert_eq!(myself.user, Some(made));
    let roots = world.call_as::<ops::GetUser>(root(), Default::default()).await.unwrap().user.unwrap();
    assert_eq!(roots.arn.as_deref(), Some("arn:aws:iam::000000000000:root"));
    world.create_user("bob").await;
    let listed = world.call::<ops::ListUsers>(Default::default()).await.unwrap().users.unwrap();
    assert_eq!(listed.iter().map(|user| user.user_name.as_deref().unwrap()).collect::<Vec<_>>(), ["ann", "bob"]);

    let delete = || iam::DeleteUserRequest { user_name: Some("ann".into()) };
    let key = world.create_key("ann").await;
    let message = "Cannot delete entity, must delete access keys first.";
    assert_fault(world.call::<ops::DeleteUser>(delete()).await, "DeleteConflict", 409, message);
    let input = iam::DeleteAccessKeyRequest { user_name: Some("ann".into()), access_key_id: key.access_key_id };
    world.call::<ops::DeleteAccessKey>(input).await.unwrap();
    world.call::<ops::DeleteUser>(delete()).await.unwrap();
    let message = "The user with name ann cannot be found.";
    assert_fault(world.call::<ops::DeleteUser>(delete()).await, "NoSuchEntity", 404, message);
}

#[tokio::test]
async fn a_users_policies_are_kept_shown_and_taken_away() {
    let world = World::new().await;
    for name in ["ann", "bob"] {
        world.create_user(name).await;
    }
    world.allow_user("ann", r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#).await;
    let get =
        |name: &str| iam::GetUserPolicyRequest { user_name: Some(name.into()), policy_name: Some("inline".into()) };
    let shown = world.call::<ops::GetUserPolicy>(get("ann")).await.unwrap();
    assert!(shown.policy_document.unwrap().starts_with("%7B%22"));
    let message = "The user policy with name inline cannot be found.";
    assert_fault(world.call::<ops::GetUserPolicy>(get("bob")).await, "NoSuchEntity", 404, message);

    let arn = world.create_policy("p").await;
    let attach = iam::AttachUserPolicyRequest { user_name: Some("ann".into()), policy_arn: Some(arn.clone()) };
    world.call::<ops::AttachUserPolicy>(attach).await.unwrap();
    let delete = || iam::DeleteUserRequest { user_name: Some("ann".into()) };
    let message = "Cannot delete entity, must detach all policies first.";
    assert_fault(world.call::<ops::DeleteUser>(delete()).await, "DeleteConflict", 409, message);
    let detach = || iam::DetachUserPolicyRequest { user_name: Some("ann".into()), policy_arn: Some(arn.clone()) };
    world.call::<ops::DetachUserPolicy>(detach()).await.unwrap();
    let again = world.call::<ops::DetachUserPolicy>(detach()).await;
    assert_fault(again, "NoSuchEntity", 404, &format!("Policy {arn} was not found."));
    let message = "Cannot delete entity, must delete policies first.";
    assert_fault(world.call::<ops::DeleteUser>(delete()).await, "DeleteConflict", 409, message);
    let take = || iam::DeleteUserPolicyRequest { user_name: Some("ann".into()), policy_name: Some("inline".into()) };
    world.call::<ops::DeleteUserPolicy>(take()).await.unwrap();
    let message = "The user policy with name inline cannot be found.";
    assert_fault(world.call::<ops::DeleteUserPolicy>(take()).await, "NoSuchEntity", 404, message);
    world.call::<ops::DeleteUser>(delete()).await.unwrap();
}

#[tokio::test]
async fn a_users_tags_and_boundary_are_set_changed_and_taken_away() {
    let world = World::new().await;
    let boundary = world.create_policy("limit").await;
    let tag = |key: &str, value: &str| iam::Tag { key: Some(key.into()), value: Some(value.into()) };
    let input = iam::CreateUserRequest {
        user_name: Some("ann".into()),
        path: Some("/team/".into()),
        permissions_boundary: Some(boundary.clone()),
        tags: Some(vec![tag("a", "1"), tag("b", "2")]),
    };
    world.call::<ops::CreateUser>(input).await.unwrap();
    let bound = async || {
        let get = iam::GetUserRequest { user_name: Some("ann".into()) };
        let shown = world.call::<ops::GetUser>(get).await.unwrap().user.unwrap();
        shown.permissions_boundary.and_then(|boundary| boundary.permissions_boundary_arn)
    };
    assert_eq!(bound().await, Some(boundary));
    let free = iam::DeleteUserPermissionsBoundaryRequest { user_name: Some("ann".into()) };
    world.call::<ops::DeleteUserPermissionsBoundary>(free).await.unwrap();
    assert_eq!(bound().await, None);
    let aws = "arn:aws:iam::aws:policy/AmazonSQSFullAccess";
    let limit = iam::PutUserPermissionsBoundaryRequest {
        user_name: Some("ann".into()),
        permissions_boundary: Some(aws.into()),
    };
    world.call::<ops::PutUserPermissionsBoundary>(limit).await.unwrap();
    assert_eq!(bound().await.as_deref(), Some(aws));

    let more = iam::TagUserRequest { user_name: Some("ann".into()), tags: Some(vec![tag("b", "3"), tag("c", "4")]) };
    world.call::<ops::TagUser>(more).await.unwrap();
    let less = iam::UntagUserRequest { user_name: Some("ann".into()), tag_keys: Some(vec!["a".into()]) };
    world.call::<ops::UntagUser>(less).await.unwrap();
    let list = iam::ListUserTagsRequest { user_name: Some("ann".into()), ..Default::default() };
    assert_eq!(world.call::<ops::ListUserTags>(list).await.unwrap().tags, Some(vec![tag("b", "3"), tag("c", "4")]));
}

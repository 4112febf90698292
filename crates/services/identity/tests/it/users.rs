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

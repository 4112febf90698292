//! UpdateUser and UpdateGroup.

use door::{Decision, Keys};
use model::iam::{self, ops};

use crate::world::{World, assert_fault, user};

async fn group(world: &World, name: &str, member: Option<&str>) {
    let input = iam::CreateGroupRequest { group_name: Some(name.into()), ..Default::default() };
    world.call::<ops::CreateGroup>(input).await.unwrap();
    if let Some(member) = member {
        let join = iam::AddUserToGroupRequest { group_name: Some(name.into()), user_name: Some(member.into()) };
        world.call::<ops::AddUserToGroup>(join).await.unwrap();
    }
}

#[tokio::test]
async fn a_user_goes_on_under_its_new_name_with_all_it_has() {
    let world = World::new().await;
    let id = world.create_user("ann").await.user_id;
    world.create_user("bob").await;
    let key = world.create_key("ann").await.access_key_id.unwrap();
    group(&world, "staff", Some("ann")).await;
    world.allow_user("ann", r#"{"Effect":"Allow","Action":"iam:ListRoles","Resource":"*"}"#).await;
    let rename = |from: &str, to: &str| iam::UpdateUserRequest {
        user_name: Some(from.into()),
        new_user_name: Some(to.into()),
        new_path: Some("/team/".into()),
    };
    let taken = world.call::<ops::UpdateUser>(rename("ann", "Bob")).await;
    assert_fault(taken, "EntityAlreadyExists", 409, "User with name Bob already exists.");
    world.call::<ops::UpdateUser>(rename("ann", "Anne")).await.unwrap();
    let get = |name: &str| iam::GetUserRequest { user_name: Some(name.into()) };
    assert_eq!(world.call::<ops::GetUser>(get("ann")).await.unwrap_err().code, "NoSuchEntity");
    let shown = world.call::<ops::GetUser>(get("anne")).await.unwrap().user.unwrap();
    assert_eq!((shown.user_id, shown.arn.as_deref()), (id, Some("arn:aws:iam::000000000000:user/team/Anne")));
    for world in [&world, &World::over(world.kv.clone()).await] {
        assert_eq!(world.identity.find(&key).unwrap().principal, user("Anne"));
        assert!(matches!(world.ask(&user("Anne"), "iam:ListRoles", "*"), Decision::Allowed(_)));
        let members = iam::GetGroupRequest { group_name: Some("staff".into()), ..Default::default() };
        let members = world.call::<ops::GetGroup>(members).await.unwrap().users.unwrap();
        assert_eq!(members[0].user_name.as_deref(), Some("Anne"));
    }
    // To change the case alone takes no other's name.
    world.call::<ops::UpdateUser>(rename("anne", "anne")).await.unwrap();
    assert_eq!(world.identity.find(&key).unwrap().principal, user("anne"));
}

#[tokio::test]
async fn a_group_goes_on_under_its_new_name_with_its_members() {
    let world = World::new().await;
    world.create_user("ann").await;
    group(&world, "staff", Some("ann")).await;
    group(&world, "crew", None).await;
    let rename = |to: &str| iam::UpdateGroupRequest {
        group_name: Some("staff".into()),
        new_group_name: Some(to.into()),
        new_path: Some("/line/".into()),
    };
    let taken = world.call::<ops::UpdateGroup>(rename("crew")).await;
    assert_fault(taken, "EntityAlreadyExists", 409, "Group with name crew already exists.");
    world.call::<ops::UpdateGroup>(rename("team")).await.unwrap();
    let of = iam::ListGroupsForUserRequest { user_name: Some("ann".into()), ..Default::default() };
    let groups = world.call::<ops::ListGroupsForUser>(of).await.unwrap().groups.unwrap();
    assert_eq!(groups[0].arn.as_deref(), Some("arn:aws:iam::000000000000:group/line/team"));
    let leave = iam::RemoveUserFromGroupRequest { group_name: Some("team".into()), user_name: Some("ann".into()) };
    world.call::<ops::RemoveUserFromGroup>(leave).await.unwrap();
}

//! Markers.

use model::iam::{self, ops};

use crate::world::{World, assert_fault};

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
    }
    assert_eq!(pages, ["AB", "cd", "e"]);
    let bad = iam::ListRolesRequest { marker: Some("not ours".into()), ..Default::default() };
    assert_fault(world.call::<ops::ListRoles>(bad).await, "ValidationError", 400, "Invalid Marker: not ours");
    let elsewhere = iam::ListRolesRequest { path_prefix: Some("/team/".into()), ..Default::default() };
    assert_eq!(world.call::<ops::ListRoles>(elsewhere).await.unwrap().roles, Some(Vec::new()));
}

//! Instance profiles.

use model::iam::{self, ops};

use crate::world::{World, assert_fault, user};

fn named(name: &str) -> iam::GetInstanceProfileRequest {
    iam::GetInstanceProfileRequest { instance_profile_name: Some(name.into()) }
}

fn add(profile: &str, role: &str) -> iam::AddRoleToInstanceProfileRequest {
    iam::AddRoleToInstanceProfileRequest { instance_profile_name: Some(profile.into()), role_name: Some(role.into()) }
}

fn remove(profile: &str, role: &str) -> iam::RemoveRoleFromInstanceProfileRequest {
    iam::RemoveRoleFromInstanceProfileRequest {
        instance_profile_name: Some(profile.into()),
        role_name: Some(role.into()),
    }
}

async fn create(world: &World, name: &str) -> iam::InstanceProfile {
    let input = iam::CreateInstanceProfileRequest {
        instance_profile_name: Some(name.into()),
        path: Some("/web/".into()),
        tags: Some(vec![iam::Tag { key: Some("team".into()), value: Some("blue".into()) }]),
    };
    world.call::<ops::CreateInstanceProfile>(input).await.unwrap().instance_profile.unwrap()
}

#[tokio::test]
async fn a_profile_holds_one_role_and_both_stay_until_they_part() {
    let world = World::new().await;
    let made = create(&world, "Web").await;
    assert_eq!(made.arn.as_deref(), Some("arn:aws:iam::000000000000:instance-profile/web/Web"));
    assert!(made.instance_profile_id.unwrap().starts_with("AIPA") && made.roles == Some(Vec::new()));
    let again = iam::CreateInstanceProfileRequest { instance_profile_name: Some("web".into()), ..Default::default() };
    let message = "Instance Profile web already exists.";
    assert_fault(world.call::<ops::CreateInstanceProfile>(again).await, "EntityAlreadyExists", 409, message);
    for role in ["one", "two"] {
        world.create_role(role).await;
    }
    world.call::<ops::AddRoleToInstanceProfile>(add("web", "one")).await.unwrap();
    let full = "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1";
    for role in ["one", "two"] {
        let result = world.call::<ops::AddRoleToInstanceProfile>(add("web", role)).await;
        assert_fault(result, "LimitExceeded", 409, full);
    }
    let later = World::over(world.kv.clone()).await;
    let shown = later.call::<ops::GetInstanceProfile>(named("WEB")).await.unwrap().instance_profile.unwrap();
    let roles: Vec<_> = shown.roles.unwrap().into_iter().filter_map(|role| role.role_name).collect();
    assert_eq!((roles, shown.tags.unwrap()[0].key.as_deref()), (vec!["one".to_owned()], Some("team")));

    let held = "Cannot delete entity, must remove roles from instance profile first.";
    let role = || iam::DeleteRoleRequest { role_name: Some("one".into()) };
    assert_fault(world.call::<ops::DeleteRole>(role()).await, "DeleteConflict", 409, held);
    let profile = || iam::DeleteInstanceProfileRequest { instance_profile_name: Some("Web".into()) };
    assert_fault(world.call::<ops::DeleteInstanceProfile>(profile()).await, "DeleteConflict", 409, held);
    world.call::<ops::RemoveRoleFromInstanceProfile>(remove("Web", "one")).await.unwrap();
    let twice = world.call::<ops::RemoveRoleFromInstanceProfile>(remove("Web", "one")).await;
    assert_fault(twice, "NoSuchEntity", 404, "The role with name one cannot be found.");
    world.call::<ops::DeleteRole>(role()).await.unwrap();
    world.call::<ops::DeleteInstanceProfile>(profile()).await.unwrap();
    let gone = world.call::<ops::GetInstanceProfile>(named("Web")).await;
    assert_fault(gone, "NoSuchEntity", 404, "Instance Profile Web cannot be found.");
}

#[tokio::test]
async fn profiles_are_listed_in_pages_by_path_and_by_role() {
    let world = World::new().await;
    world.create_role("app").await;
    for name in ["c", "a", "b"] {
        create(&world, name).await;
        world.call::<ops::AddRoleToInstanceProfile>(add(name, "app")).await.unwrap();
    }
    let names = |profiles: Vec<iam::InstanceProfile>| -> Vec<String> {
        profiles.into_iter().filter_map(|one| one.instance_profile_name).collect()
    };
    let (mut seen, mut by_role, mut marker, mut role_marker) = (Vec::new(), Vec::new(), None, None);
    for _ in 0..2 {
        let input = iam::ListInstanceProfilesRequest { marker, max_items: Some(2), path_prefix: Some("/web/".into()) };
        let page = world.call::<ops::ListInstanceProfiles>(input).await.unwrap();
        seen.extend(names(page.instance_profiles.unwrap()));
        marker = page.marker;
        let input = iam::ListInstanceProfilesForRoleRequest {
            role_name: Some("app".into()),
            marker: role_marker,
            max_items: Some(2),
        };
        let page = world.call::<ops::ListInstanceProfilesForRole>(input).await.unwrap();
        by_role.extend(names(page.instance_profiles.unwrap()));
        role_marker = page.marker;
    }
    assert_eq!(
        (seen, by_role),
        (vec!["a".to_owned(), "b".into(), "c".into()], vec!["a".to_owned(), "b".into(), "c".into()])
    );
    let other = iam::ListInstanceProfilesRequest { path_prefix: Some("/db/".into()), ..Default::default() };
    assert_eq!(world.call::<ops::ListInstanceProfiles>(other).await.unwrap().instance_profiles, Some(Vec::new()));
}

#[tokio::test]
async fn who_puts_a_role_into_a_profile_passes_it() {
    let world = World::new().await;
    world.create_role("app").await;
    create(&world, "web").await;
    world.create_user("ann").await;
    let profiles = r#"{"Effect":"Allow","Action":"iam:*InstanceProfile","Resource":"*",
        "Condition":{"StringEquals":{"aws:ResourceTag/team":"blue"}}}"#;
    world.allow_user("ann", profiles).await;
    let denied =
        world.strictly::<ops::AddRoleToInstanceProfile>(user("ann"), None, add("web", "app")).await.unwrap_err();
    assert!(
        denied.message.contains("iam:PassRole on resource: arn:aws:iam::000000000000:role/app"),
        "{}",
        denied.message
    );
    let passing = r#"{"Effect":"Allow","Action":"iam:PassRole","Resource":"arn:aws:iam::000000000000:role/app"}"#;
    world.allow_user("ann", &format!("{profiles},{passing}")).await;
    world.strictly::<ops::AddRoleToInstanceProfile>(user("ann"), None, add("web", "app")).await.unwrap();
}

//! Service-linked roles.

use model::iam::{self, ops};

use crate::world::{ALLOW_ALL, TRUST_ALL, World, assert_fault};

fn create(service: &str, suffix: Option<&str>) -> iam::CreateServiceLinkedRoleRequest {
    iam::CreateServiceLinkedRoleRequest {
        aws_service_name: Some(service.into()),
        description: Some("made by a test".into()),
        custom_suffix: suffix.map(str::to_owned),
    }
}

#[tokio::test]
async fn a_service_linked_role_is_its_services_own() {
    let world = World::new().await;
    let made =
        world.call::<ops::CreateServiceLinkedRole>(create("spot.amazonaws.com", None)).await.unwrap().role.unwrap();
    let arn = "arn:aws:iam::000000000000:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot";
    assert_eq!(made.arn.as_deref(), Some(arn));
    assert!(made.assume_role_policy_document.unwrap().contains("spot.amazonaws.com"));
    let taken = world.call::<ops::CreateServiceLinkedRole>(create("spot.amazonaws.com", None)).await;
    let message =
        "Service role name AWSServiceRoleForEC2Spot has been taken in this account, please try a different suffix.";
    assert_fault(taken, "InvalidInput", 400, message);
    let name = || Some("AWSServiceRoleForEC2Spot".to_owned());
    let message = "Cannot perform the operation on the protected role 'AWSServiceRoleForEC2Spot' - this role is only \
                   modifiable by AWS";
    let put = iam::PutRolePolicyRequest {
        role_name: name(),
        policy_name: Some("p".into()),
        policy_document: Some(ALLOW_ALL.into()),
    };
    assert_fault(world.call::<ops::PutRolePolicy>(put).await, "UnmodifiableEntity", 400, message);
    let attached = world
        .attach("AWSServiceRoleForEC2Spot", "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole")
        .await;
    assert_eq!(attached.unwrap_err().code, "UnmodifiableEntity");
    let trust = iam::UpdateAssumeRolePolicyRequest { role_name: name(), policy_document: Some(TRUST_ALL.into()) };
    assert_fault(world.call::<ops::UpdateAssumeRolePolicy>(trust).await, "UnmodifiableEntity", 400, message);
    let delete = iam::DeleteRoleRequest { role_name: name() };
    assert_fault(world.call::<ops::DeleteRole>(delete).await, "UnmodifiableEntity", 400, message);
    let profile = iam::CreateInstanceProfileRequest { instance_profile_name: Some("p".into()), ..Default::default() };
    world.call::<ops::CreateInstanceProfile>(profile).await.unwrap();
    let pair = iam::AddRoleToInstanceProfileRequest { instance_profile_name: Some("p".into()), role_name: name() };
    assert_fault(world.call::<ops::AddRoleToInstanceProfile>(pair).await, "UnmodifiableEntity", 400, message);
    let described = iam::UpdateRoleDescriptionRequest { role_name: name(), description: Some("other".into()) };
    let shown = world.call::<ops::UpdateRoleDescription>(described).await.unwrap().role.unwrap();
    assert_eq!(shown.description.as_deref(), Some("other"));
}

#[tokio::test]
async fn it_goes_by_a_task_that_tells_how_it_went() {
    let world = World::new().await;
    let made =
        world.call::<ops::CreateServiceLinkedRole>(create("autoscaling.amazonaws.com", Some("x"))).await.unwrap();
    let name = made.role.unwrap().role_name;
    assert_eq!(name.as_deref(), Some("AWSServiceRoleForAutoScaling_x"));
    let delete = || iam::DeleteServiceLinkedRoleRequest { role_name: name.clone() };
    let task = world.call::<ops::DeleteServiceLinkedRole>(delete()).await.unwrap().deletion_task_id.unwrap();
    let begins = "task/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling_x/";
    assert!(task.starts_with(begins), "{task}");
    let ask = |id: String| iam::GetServiceLinkedRoleDeletionStatusRequest { deletion_task_id: Some(id) };
    let later = World::over(world.kv.clone()).await;
    let status = later.call::<ops::GetServiceLinkedRoleDeletionStatus>(ask(task.clone())).await.unwrap();
    assert_eq!(status.status.as_deref(), Some("SUCCEEDED"));
    let other = world.call::<ops::GetServiceLinkedRoleDeletionStatus>(ask(format!("{task}0"))).await;
    assert_eq!(other.unwrap_err().code, "NoSuchEntity");
    let message = "The role with name AWSServiceRoleForAutoScaling_x cannot be found.";
    assert_fault(world.call::<ops::DeleteServiceLinkedRole>(delete()).await, "NoSuchEntity", 404, message);
    world.create_role("app").await;
    let own = iam::DeleteServiceLinkedRoleRequest { role_name: Some("app".into()) };
    assert_eq!(world.call::<ops::DeleteServiceLinkedRole>(own).await.unwrap_err().code, "InvalidInput");
}

#[tokio::test]
async fn unknown_services_and_suffixes_that_are_not_taken_are_refused() {
    let world = World::new().await;
    let unknown = world.call::<ops::CreateServiceLinkedRole>(create("tea.amazonaws.com", None)).await;
    let message = "tea.amazonaws.com is not known here as a service with service-linked roles.";
    assert_fault(unknown, "InvalidInput", 400, message);
    let suffixed = world.call::<ops::CreateServiceLinkedRole>(create("ecs.amazonaws.com", Some("x"))).await;
    assert_fault(suffixed, "InvalidInput", 400, "Custom suffix is not allowed for ecs.amazonaws.com");
}

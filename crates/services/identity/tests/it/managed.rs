//! AWS's own policies.

use model::iam::{self, ops};

use crate::world::{World, assert_fault};

const BASIC: &str = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole";

#[tokio::test]
async fn they_are_got_attached_and_counted() {
    let world = World::new().await;
    world.create_role("r").await;
    world.attach("r", BASIC).await.unwrap();
    let input = iam::GetPolicyRequest { policy_arn: Some(BASIC.into()) };
    let shown = world.call::<ops::GetPolicy>(input).await.unwrap().policy.unwrap();
    assert_eq!(shown.policy_name.as_deref(), Some("AWSLambdaBasicExecutionRole"));
    assert_eq!((shown.path.as_deref(), shown.attachment_count), (Some("/service-role/"), Some(1)));
    let input = iam::GetPolicyVersionRequest { policy_arn: Some(BASIC.into()), version_id: Some("v1".into()) };
    let version = world.call::<ops::GetPolicyVersion>(input).await.unwrap().policy_version.unwrap();
    assert!(version.document.unwrap().contains("logs%3APutLogEvents"));
    let unknown = "arn:aws:iam::aws:policy/NoSuchThing";
    let message = format!("Policy {unknown} does not exist or is not attachable.");
    assert_fault(world.attach("r", unknown).await, "NoSuchEntity", 404, &message);
}

#[tokio::test]
async fn nobody_changes_them() {
    let world = World::new().await;
    let input = iam::DeletePolicyRequest { policy_arn: Some(BASIC.into()) };
    assert_eq!(world.call::<ops::DeletePolicy>(input).await.unwrap_err().code, "AccessDenied");
}

#[tokio::test]
async fn listings_tell_them_from_the_accounts_own() {
    let world = World::new().await;
    world.create_role("r").await;
    let own = world.create_policy("own").await;
    world.attach("r", BASIC).await.unwrap();
    let list = async |scope: &str, only_attached| -> Vec<String> {
        let input = iam::ListPoliciesRequest {
            scope: Some(scope.into()),
            only_attached: Some(only_attached),
            max_items: Some(1000),
            ..Default::default()
        };
        let policies = world.call::<ops::ListPolicies>(input).await.unwrap().policies.unwrap();
        policies.into_iter().map(|policy| policy.arn.unwrap()).collect()
    };
    assert_eq!(list("Local", false).await, std::slice::from_ref(&own));
    assert!(!list("AWS", false).await.contains(&own));
    assert_eq!(list("All", true).await, [BASIC]);
    assert!(list("All", false).await.len() > 20);
}

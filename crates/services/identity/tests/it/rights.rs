//! The port `Policies`.

use base::{Account, Principal};
use door::{Decision, Policies};
use model::iam::{self, ops};

use crate::world::{World, root, user};

fn session(role: &str) -> Principal {
    Principal::Session { account: Account::DEFAULT, role: role.into(), session: "s".into() }
}

fn allowed(decision: &Decision) -> bool {
    matches!(decision, Decision::Allowed(_))
}

#[tokio::test]
async fn a_role_may_what_its_policies_allow_from_the_moment_they_do() {
    let world = World::new().await;
    world.create_role("r").await;
    let ask = |action: &str| world.identity.decide(&session("r"), action, "arn:aws:logs:us-east-1:1:log-group:x");
    let Decision::Denied(why) = ask("logs:PutLogEvents") else { panic!("a role without policies may nothing") };
    assert_eq!(
        why,
        "User: arn:aws:sts::000000000000:assumed-role/r/s is not authorized to perform: logs:PutLogEvents on resource: \
         arn:aws:logs:us-east-1:1:log-group:x because no identity-based policy allows the logs:PutLogEvents action"
    );
    let basic = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole";
    world.attach("r", basic).await.unwrap();
    assert_eq!(ask("logs:PutLogEvents"), Decision::Allowed(format!("{basic}/#1")));
    assert!(!allowed(&ask("logs:DeleteLogGroup")));
    let own = world.create_policy("own").await;
    world.attach("r", &own).await.unwrap();
    assert!(allowed(&ask("logs:DeleteLogGroup")));
    let deny = r#"{"Version":"2012-10-17","Statement":{"Sid":"no","Effect":"Deny","Action":"logs:*","Resource":"*"}}"#;
    let put = iam::PutRolePolicyRequest {
        role_name: Some("r".into()),
        policy_name: Some("inline".into()),
        policy_document: Some(deny.into()),
    };
    world.call::<ops::PutRolePolicy>(put).await.unwrap();
    let Decision::Denied(why) = ask("logs:PutLogEvents") else { panic!("an explicit deny wins") };
    assert!(why.ends_with("with an explicit deny in an identity-based policy: inline/no"), "{why}");
    assert!(allowed(&ask("s3:GetObject")));
}

#[tokio::test]
async fn root_may_everything_and_strangers_only_where_nobody_has_a_key() {
    let world = World::new().await;
    let ask = |principal: &Principal| allowed(&world.identity.decide(principal, "s3:GetObject", "*"));
    let stranger = Principal::Root { account: Account::DEFAULT, verified: false };
    assert!(ask(&root()) && ask(&stranger));
    assert!(!ask(&Principal::Anonymous) && !ask(&user("ann")) && !ask(&session("nobody")));
    world.create_user("ann").await;
    world.create_key("ann").await;
    assert!(ask(&root()) && !ask(&stranger));
}

//! The port `Policies`.

use base::{Account, Principal};
use door::Decision;
use model::iam::{self, ops};

use crate::world::{World, root, session, user};

fn allowed(decision: &Decision) -> bool {
    matches!(decision, Decision::Allowed(_))
}

#[tokio::test]
async fn a_role_may_what_its_policies_allow_from_the_moment_they_do() {
    let world = World::new().await;
    world.create_role("r").await;
    let ask = |action: &str| world.ask(&session("r"), action, "arn:aws:logs:us-east-1:1:log-group:x");
    let Decision::Denied(why) = ask("logs:PutLogEvents") else { panic!("a role without policies may nothing") };
    assert_eq!(
        why.message,
        "User: arn:aws:sts::000000000000:assumed-role/r/s is not authorized to perform: logs:PutLogEvents on resource: \
         arn:aws:logs:us-east-1:1:log-group:x because no identity-based policy allows the logs:PutLogEvents action"
    );
    let basic = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole";
    world.attach("r", basic).await.unwrap();
    assert_eq!(ask("logs:PutLogEvents"), Decision::Allowed(format!("statement #1 of {basic} (identity-based policy)")));
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
    assert!(why.message.ends_with(" with an explicit deny in an identity-based policy"), "{why:?}");
    assert_eq!(why.because, "statement no of inline (identity-based policy) denies it");
    assert!(allowed(&ask("s3:GetObject")));
}

#[tokio::test]
async fn root_may_everything_and_strangers_only_where_nobody_has_a_key() {
    let world = World::new().await;
    let ask = |principal: &Principal| allowed(&world.ask(principal, "s3:GetObject", "*"));
    let stranger = Principal::Root { account: Account::DEFAULT, verified: false };
    assert!(ask(&root()) && ask(&stranger));
    assert!(!ask(&Principal::Anonymous) && !ask(&user("ann")) && !ask(&session("nobody")));
    let elsewhere = Principal::Root { account: "111122223333".parse().unwrap(), verified: false };
    let ours = "arn:aws:iam::000000000000:role/r";
    assert!(allowed(&world.ask(&elsewhere, "iam:GetRole", ours)));
    world.create_user("ann").await;
    world.create_key("ann").await;
    assert!(ask(&root()) && !ask(&stranger));
    assert!(ask(&elsewhere), "nobody has a key of its account");
    assert!(!allowed(&world.ask(&elsewhere, "iam:GetRole", ours)), "it holds no rights over an account with keys");
}

#[tokio::test]
async fn an_unproven_caller_is_let_in_by_trust_policies_alone() {
    let world = World::new().await;
    let trust = r#"{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}"#;
    let input = iam::CreateRoleRequest {
        role_name: Some("app".into()),
        assume_role_policy_document: Some(crate::world::document(trust)),
        ..Default::default()
    };
    world.call::<ops::CreateRole>(input).await.unwrap();
    let stranger = Principal::Root { account: Account::DEFAULT, verified: false };
    let input = model::sts::AssumeRoleRequest {
        role_arn: Some("arn:aws:iam::000000000000:role/app".into()),
        role_session_name: Some("me".into()),
        ..Default::default()
    };
    let refused = world.call_as::<model::sts::ops::AssumeRole>(stranger, input).await;
    assert_eq!(refused.unwrap_err().code, "AccessDenied");
}

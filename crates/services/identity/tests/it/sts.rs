//! STS.

use base::{Account, Clocks, Principal};
use door::Keys;
use model::iam;
use model::iam::ops::CreateRole;
use model::sts::{self, ops};

use crate::world::{TRUST_ALL, World, assert_fault, root, user};

const ROLE: &str = "arn:aws:iam::000000000000:role/app";

fn assume(arn: &str) -> sts::AssumeRoleRequest {
    sts::AssumeRoleRequest { role_arn: Some(arn.into()), role_session_name: Some("me".into()), ..Default::default() }
}

async fn whoami(world: &World, principal: Principal) -> (String, String, String) {
    let who = world.call_as::<ops::GetCallerIdentity>(principal, Default::default()).await.unwrap();
    (who.user_id.unwrap(), who.account.unwrap(), who.arn.unwrap())
}

#[tokio::test]
async fn everybody_learns_who_they_are() {
    let world = World::new().await;
    let text = |user_id: &str, arn: &str| (user_id.to_owned(), "000000000000".to_owned(), arn.to_owned());
    assert_eq!(whoami(&world, root()).await, text("000000000000", "arn:aws:iam::000000000000:root"));
    let input =
        iam::CreateUserRequest { user_name: Some("ann".into()), path: Some("/team/".into()), ..Default::default() };
    let id = world.call::<iam::ops::CreateUser>(input).await.unwrap().user.unwrap().user_id.unwrap();
    assert!(id.starts_with("AIDA") && id.len() == 21);
    assert_eq!(whoami(&world, user("ann")).await, text(&id, "arn:aws:iam::000000000000:user/team/ann"));
    let session =
        |role: &str| Principal::Session { account: Account::DEFAULT, role: role.into(), session: "fn".into() };
    let role_id = world.create_role("app").await.role_id.unwrap();
    assert!(role_id.starts_with("AROA") && role_id.len() == 21);
    assert_eq!(
        whoami(&world, session("app")).await,
        text(&format!("{role_id}:fn"), "arn:aws:sts::000000000000:assumed-role/app/fn"),
    );
    // A function may name a role that nobody made: its id is made up, and stays.
    let (one, ..) = whoami(&world, session("nobody")).await;
    assert!(one.starts_with("AROA") && one.ends_with(":fn"));
    assert_eq!(whoami(&world, session("nobody")).await.0, one);
    let unsigned = world.call_as::<ops::GetCallerIdentity>(Principal::Anonymous, Default::default()).await;
    assert_fault(unsigned, "MissingAuthenticationToken", 403, "Request is missing Authentication Token");
}

#[tokio::test]
async fn an_assumed_role_speaks_with_credentials_that_verify_also_after_a_restart() {
    let world = World::new().await;
    let role_id = world.create_role("app").await.role_id.unwrap();
    let before = world.clocks.signing();
    let answer = world.call::<ops::AssumeRole>(assume(ROLE)).await.unwrap();
    let assumed = answer.assumed_role_user.unwrap();
    assert_eq!(assumed.assumed_role_id, Some(format!("{role_id}:me")));
    assert_eq!(assumed.arn.as_deref(), Some("arn:aws:sts::000000000000:assumed-role/app/me"));
    let credentials = answer.credentials.unwrap();
    let id = credentials.access_key_id.unwrap();
    assert!(id.starts_with("ASIA") && id.len() == 20);
    let expires = credentials.expiration.unwrap();
    assert!(expires.0 % 1000 == 0 && (3_598_000..=3_600_000 + 1000).contains(&(expires.0 - before.0)));
    let later = World::over(world.kv.clone()).await;
    for world in [&world, &later] {
        let found = world.identity.find(&id).expect("issued credentials are known");
        let who = Principal::Session { account: Account::DEFAULT, role: "app".into(), session: "me".into() };
        assert_eq!(found.principal, who);
        assert_eq!(Some(found.secret), credentials.secret_access_key);
        assert_eq!(found.session_token, credentials.session_token);
        assert_eq!(found.expires, Some(expires));
    }
}

#[tokio::test]
async fn who_is_not_trusted_is_refused_as_if_the_role_were_not_there() {
    let world = World::new().await;
    world.create_user("ann").await;
    let refusal = "User: arn:aws:iam::000000000000:user/ann is not authorized to perform: sts:AssumeRole on resource: \
                   arn:aws:iam::000000000000:role/app";
    assert_fault(world.call_as::<ops::AssumeRole>(user("ann"), assume(ROLE)).await, "AccessDenied", 403, refusal);
    let lambda_only = TRUST_ALL.replace("\"AWS\":\"*\"", "\"Service\":\"lambda.amazonaws.com\"");
    let input = iam::CreateRoleRequest {
        role_name: Some("app".into()),
        assume_role_policy_document: Some(lambda_only),
        ..Default::default()
    };
    world.call::<CreateRole>(input).await.unwrap();
    assert_fault(world.call_as::<ops::AssumeRole>(user("ann"), assume(ROLE)).await, "AccessDenied", 403, refusal);
    for bad in ["role/app/or/so/and/so", "arn:aws:iam::000000000000:user/app", "arn:aws:s3:::role/apparently"] {
        let result = world.call::<ops::AssumeRole>(assume(bad)).await;
        assert_fault(result, "ValidationError", 400, &format!("{bad} is invalid"));
    }
    // The path belongs to the ARN.
    world.create_role("open").await;
    let elsewhere = world.call::<ops::AssumeRole>(assume("arn:aws:iam::000000000000:role/team/open")).await;
    assert_eq!(elsewhere.unwrap_err().code, "AccessDenied");
}

#[tokio::test]
async fn an_external_id_is_asked_for_where_the_trust_policy_wants_one() {
    let world = World::new().await;
    let trust = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole",
        "Condition":{"StringEquals":{"sts:ExternalId":"s3cret"}}}}"#;
    let input = iam::CreateRoleRequest {
        role_name: Some("app".into()),
        assume_role_policy_document: Some(trust.into()),
        ..Default::default()
    };
    world.call::<CreateRole>(input).await.unwrap();
    assert_eq!(world.call::<ops::AssumeRole>(assume(ROLE)).await.unwrap_err().code, "AccessDenied");
    let with = sts::AssumeRoleRequest { external_id: Some("s3cret".into()), ..assume(ROLE) };
    world.call::<ops::AssumeRole>(with).await.unwrap();
}

#[tokio::test]
async fn sessions_last_as_long_as_the_role_allows() {
    let world = World::new().await;
    world.create_role("app").await;
    let long = |seconds| sts::AssumeRoleRequest { duration_seconds: Some(seconds), ..assume(ROLE) };
    assert_fault(
        world.call::<ops::AssumeRole>(long(3601)).await,
        "ValidationError",
        400,
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
    );
    let input = iam::UpdateRoleRequest {
        role_name: Some("app".into()),
        max_session_duration: Some(7200),
        ..Default::default()
    };
    world.call::<iam::ops::UpdateRole>(input).await.unwrap();
    world.call::<ops::AssumeRole>(long(7200)).await.unwrap();
    let chained = Principal::Session { account: Account::DEFAULT, role: "x".into(), session: "y".into() };
    assert_fault(
        world.call_as::<ops::AssumeRole>(chained, long(3601)).await,
        "ValidationError",
        400,
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
    );
}

#[tokio::test]
async fn members_nothing_acts_on_are_refused_by_name() {
    let world = World::new().await;
    world.create_role("app").await;
    let fault = |input| async { world.call::<ops::AssumeRole>(input).await.unwrap_err() };
    let transitive = Some(vec!["k".to_owned()]);
    let keys = fault(sts::AssumeRoleRequest { transitive_tag_keys: transitive, ..assume(ROLE) }).await;
    assert_eq!(keys.code, "NotImplemented");
    assert!(keys.message.contains("TransitiveTagKeys of sts:AssumeRole"), "{}", keys.message);
    let mfa = fault(sts::AssumeRoleRequest { token_code: Some("123456".into()), ..assume(ROLE) }).await;
    assert!(mfa.message.contains("TokenCode"), "{}", mfa.message);
}

#[tokio::test]
async fn session_tokens_speak_for_their_owner() {
    let world = World::new().await;
    world.create_user("ann").await;
    let day = sts::GetSessionTokenRequest { duration_seconds: Some(86_400), ..Default::default() };
    let answer = world.call_as::<ops::GetSessionToken>(user("ann"), day.clone()).await.unwrap().credentials.unwrap();
    let found = world.identity.find(&answer.access_key_id.unwrap()).unwrap();
    assert_eq!(found.principal, user("ann"));
    let left = |expires: Option<base::Timestamp>| (expires.unwrap().0 - world.clocks.signing().0) / 1000;
    assert!((86_000..=86_400).contains(&left(found.expires)));
    // Root's last an hour at most.
    let answer = world.call::<ops::GetSessionToken>(day.clone()).await.unwrap().credentials.unwrap();
    assert!(left(answer.expiration) <= 3600);
    let session = Principal::Session { account: Account::DEFAULT, role: "r".into(), session: "s".into() };
    assert_fault(
        world.call_as::<ops::GetSessionToken>(session, Default::default()).await,
        "AccessDenied",
        403,
        "Cannot call GetSessionToken with session credentials",
    );
}

#[tokio::test]
async fn a_key_id_names_its_account() {
    let world = World::new().await;
    let (id, _) = world.identity.first_key().unwrap();
    for (id, account) in [(id.as_str(), "000000000000"), ("ASIAY34FZKBOKMUTVV7A", "609629065308")] {
        let input = sts::GetAccessKeyInfoRequest { access_key_id: Some(id.into()) };
        let answer = world.call::<ops::GetAccessKeyInfo>(input).await.unwrap();
        assert_eq!(answer.account.as_deref(), Some(account));
    }
    let input = sts::GetAccessKeyInfoRequest { access_key_id: Some("nothing-of-the-kind".into()) };
    assert_eq!(world.call::<ops::GetAccessKeyInfo>(input).await.unwrap_err().code, "ValidationError");
}

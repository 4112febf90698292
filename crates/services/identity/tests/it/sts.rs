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
    let size = fault(sts::AssumeRoleRequest { minimum_session_token_size: Some(1), ..assume(ROLE) }).await;
    assert_eq!(size.code, "NotImplemented");
    assert!(size.message.contains("MinimumSessionTokenSize of sts:AssumeRole"), "{}", size.message);
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

fn tagged(arn: &str, tags: &[(&str, &str)], transitive: &[&str]) -> sts::AssumeRoleRequest {
    let tag = |(key, value): &(&str, &str)| sts::Tag { key: Some((*key).into()), value: Some((*value).into()) };
    sts::AssumeRoleRequest {
        tags: Some(tags.iter().map(tag).collect()),
        transitive_tag_keys: Some(transitive.iter().map(|key| (*key).into()).collect()),
        ..assume(arn)
    }
}

/// A role that everybody may assume, tag and name a source for, and that may do the same, where `when` holds of its session.
async fn open_role(world: &World, name: &str, when: &str) -> String {
    let trust = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"*"},
        "Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]}}"#;
    let input = iam::CreateRoleRequest {
        role_name: Some(name.into()),
        assume_role_policy_document: Some(trust.into()),
        ..Default::default()
    };
    let role = world.call::<CreateRole>(input).await.unwrap().role.unwrap();
    let condition = if when.is_empty() { String::new() } else { format!(r#","Condition":{{"StringEquals":{when}}}"#) };
    world
        .allow_role(name, &format!(r#"{{"Effect":"Allow","Action":["sts:*","iam:Get*"],"Resource":"*"{condition}}}"#))
        .await;
    role.arn.unwrap()
}

#[tokio::test]
async fn transitive_tags_go_on_through_a_chain_of_sessions() {
    let world = World::new().await;
    let one = open_role(&world, "one", "").await;
    let two = open_role(&world, "two", r#"{"aws:PrincipalTag/team":"blue"}"#).await;
    let given =
        world.call::<ops::AssumeRole>(tagged(&one, &[("team", "blue"), ("shoe", "42")], &["TEAM"])).await.unwrap();
    let first = given.credentials.unwrap().access_key_id.unwrap();
    let as_one = Principal::Session { account: Account::DEFAULT, role: "one".into(), session: "me".into() };
    let as_two = Principal::Session { account: Account::DEFAULT, role: "two".into(), session: "me".into() };
    let next = world.strictly::<ops::AssumeRole>(as_one.clone(), Some(&first), assume(&two)).await.unwrap();
    let second = next.credentials.unwrap().access_key_id.unwrap();
    // The tag has come along: the second role's policy asks for it.
    let get = || iam::GetRoleRequest { role_name: Some("two".into()) };
    world.strictly::<iam::ops::GetRole>(as_two.clone(), Some(&second), get()).await.unwrap();
    // Others have not, and without the first session's key there is none.
    let bare = world.call::<ops::AssumeRole>(assume(&two)).await.unwrap().credentials.unwrap().access_key_id.unwrap();
    let denied = world.strictly::<iam::ops::GetRole>(as_two, Some(&bare), get()).await.unwrap_err();
    assert_eq!(denied.code, "AccessDenied");

    let again = |tags: &[(&str, &str)]| tagged(&two, tags, &[]);
    let conflict = world.strictly::<ops::AssumeRole>(as_one.clone(), Some(&first), again(&[("Team", "red")])).await;
    let message = "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key \
                   from the calling session.";
    assert_fault(conflict, "InvalidParameterValue", 400, message);
    world.strictly::<ops::AssumeRole>(as_one.clone(), Some(&first), again(&[("shoe", "43")])).await.unwrap();
    let twice = world.call::<ops::AssumeRole>(tagged(&one, &[("a", "1"), ("A", "2")], &[])).await;
    let message = "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
    assert_fault(twice, "InvalidParameterValue", 400, message);
    let message = "The specified transitive tag key must be included in the requested tags.";
    let absent = world.call::<ops::AssumeRole>(tagged(&one, &[("a", "1")], &["b"])).await;
    assert_fault(absent, "InvalidParameterValue", 400, message);
    // Tags that go on are tags: the next role's trust policy must allow them.
    world.create_role("plain").await;
    let plain = assume("arn:aws:iam::000000000000:role/plain");
    let refused = world.strictly::<ops::AssumeRole>(as_one, Some(&first), plain).await.unwrap_err();
    assert!(refused.message.contains("sts:TagSession"), "{}", refused.message);
}

#[tokio::test]
async fn a_source_identity_stays_through_a_chain_and_is_seen_by_policies() {
    let world = World::new().await;
    let one = open_role(&world, "one", "").await;
    let two = open_role(&world, "two", r#"{"aws:SourceIdentity":"ann"}"#).await;
    let named = |arn: &str, who: &str| sts::AssumeRoleRequest { source_identity: Some(who.into()), ..assume(arn) };
    let given = world.call::<ops::AssumeRole>(named(&one, "ann")).await.unwrap();
    assert_eq!(given.source_identity.as_deref(), Some("ann"));
    let first = given.credentials.unwrap().access_key_id.unwrap();
    let as_one = Principal::Session { account: Account::DEFAULT, role: "one".into(), session: "me".into() };
    let as_two = Principal::Session { account: Account::DEFAULT, role: "two".into(), session: "me".into() };
    let next = world.strictly::<ops::AssumeRole>(as_one.clone(), Some(&first), assume(&two)).await.unwrap();
    assert_eq!(next.source_identity.as_deref(), Some("ann"));
    let second = next.credentials.unwrap().access_key_id.unwrap();
    let get = || iam::GetRoleRequest { role_name: Some("two".into()) };
    world.strictly::<iam::ops::GetRole>(as_two, Some(&second), get()).await.unwrap();
    assert_fault(
        world.strictly::<ops::AssumeRole>(as_one.clone(), Some(&first), named(&two, "eve")).await,
        "ValidationError",
        400,
        "The source identity is already set for this assume role session",
    );
    world.strictly::<ops::AssumeRole>(as_one.clone(), Some(&first), named(&two, "ann")).await.unwrap();
    world.create_role("plain").await;
    let plain = || assume("arn:aws:iam::000000000000:role/plain");
    let refused = world.strictly::<ops::AssumeRole>(as_one, Some(&first), plain()).await.unwrap_err();
    assert!(refused.message.contains("sts:SetSourceIdentity"), "{}", refused.message);
    let refused =
        world.call::<ops::AssumeRole>(named("arn:aws:iam::000000000000:role/plain", "ann")).await.unwrap_err();
    assert!(refused.message.contains("sts:SetSourceIdentity"), "{}", refused.message);
}

#[tokio::test]
async fn nobody_gets_over_an_account_with_keys_from_one_where_nobody_proves_anything() {
    let world = World::new().await;
    world.create_role("app").await;
    let theirs: Account = "111122223333".parse().unwrap();
    let their_root = Principal::Root { account: theirs, verified: true };
    let input = iam::CreateUserRequest { user_name: Some("eve".into()), ..Default::default() };
    world.call_as::<iam::ops::CreateUser>(their_root.clone(), input).await.unwrap();
    let key = iam::CreateAccessKeyRequest { user_name: Some("eve".into()) };
    world.call_as::<iam::ops::CreateAccessKey>(their_root.clone(), key).await.unwrap();
    let input = iam::CreateRoleRequest {
        role_name: Some("theirs".into()),
        assume_role_policy_document: Some(TRUST_ALL.into()),
        ..Default::default()
    };
    let role = world.call_as::<CreateRole>(their_root, input).await.unwrap().role.unwrap().arn.unwrap();
    // A function, or a session that such a caller began.
    let session = Principal::Session { account: Account::DEFAULT, role: "app".into(), session: "f".into() };
    for caller in [Principal::Root { account: Account::DEFAULT, verified: false }, session.clone()] {
        let refused = world.call_as::<ops::AssumeRole>(caller, assume(&role)).await;
        assert_eq!(refused.unwrap_err().code, "AccessDenied");
    }
    // Once somebody has a key of the account its sessions are somebody's.
    world.create_user("ann").await;
    world.create_key("ann").await;
    world.call_as::<ops::AssumeRole>(session, assume(&role)).await.unwrap();
}

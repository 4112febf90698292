//! The port `Keys`, and access keys.

use base::{Account, Principal};
use door::{Keys, Temporary};
use model::iam::{self, ops};
use model::sts;

use crate::world::{World, assert_fault, root, session, user};

#[tokio::test]
async fn the_first_start_makes_the_root_key_and_shows_it_once() {
    let world = World::new().await;
    let (id, secret) = world.identity.first_key().expect("the first start makes a key");
    assert!(id.starts_with("AKIA") && id.len() == 20 && secret.len() == 40);
    assert_eq!(world.identity.first_key(), None);
    let again = World::over(world.kv.clone()).await;
    assert_eq!(again.identity.first_key(), None);
    for world in [&world, &again] {
        let found = world.identity.find(&id).unwrap();
        assert_eq!((found.principal, found.secret.as_str()), (root(), secret.as_str()));
        assert!(!world.identity.account_has_keys(Account::DEFAULT), "the platform's own key shuts nobody out");
    }
    assert_eq!(world.identity.find("test"), None);
    assert_eq!(world.identity.find("AKIAIOSFODNN7EXAMPLE"), None);
    assert_eq!(world.identity.find("ASIAIOSFODNN7EXAMPLE"), None);
}

#[tokio::test]
async fn a_users_key_is_known_until_it_is_deleted() {
    let world = World::new().await;
    world.create_user("ann").await;
    let key = world.create_key("ann").await;
    let id = key.access_key_id.clone().unwrap();
    assert_eq!((key.user_name.as_deref(), key.status.as_deref()), (Some("ann"), Some("Active")));
    let found = world.identity.find(&id).unwrap();
    assert_eq!((found.principal.clone(), Some(found.secret.clone())), (user("ann"), key.secret_access_key));
    assert!(world.identity.account_has_keys(Account::DEFAULT));
    assert!(!world.identity.account_has_keys("111122223333".parse().unwrap()));

    let status = |status: &str| iam::UpdateAccessKeyRequest {
        user_name: Some("ann".into()),
        access_key_id: Some(id.clone()),
        status: Some(status.into()),
    };
    world.call::<ops::UpdateAccessKey>(status("Inactive")).await.unwrap();
    let again = World::over(world.kv.clone()).await;
    for world in [&world, &again] {
        assert!(world.identity.find(&id).expect("an inactive key stays known, so that it is refused").void);
        assert!(world.identity.account_has_keys(Account::DEFAULT), "unknown keys are not let in instead");
    }
    world.call::<ops::UpdateAccessKey>(status("Active")).await.unwrap();
    assert_eq!(world.identity.find(&id), Some(found));

    let delete = || iam::DeleteAccessKeyRequest { user_name: Some("ann".into()), access_key_id: Some(id.clone()) };
    world.call::<ops::DeleteAccessKey>(delete()).await.unwrap();
    assert_eq!(world.identity.find(&id), None);
    assert!(!world.identity.account_has_keys(Account::DEFAULT));
    let message = format!("The Access Key with id {id} cannot be found.");
    assert_fault(world.call::<ops::DeleteAccessKey>(delete()).await, "NoSuchEntity", 404, &message);
}

#[tokio::test]
async fn a_user_has_two_keys_at_most_and_lists_its_own() {
    let world = World::new().await;
    world.create_user("ann").await;
    world.create_user("bob").await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(world.create_key("ann").await.access_key_id.unwrap());
    }
    ids.sort();
    let third = iam::CreateAccessKeyRequest { user_name: Some("ann".into()) };
    assert_fault(
        world.call::<ops::CreateAccessKey>(third).await,
        "LimitExceeded",
        409,
        "Cannot exceed quota for AccessKeysPerUser: 2",
    );
    let listed = |answer: iam::ListAccessKeysResponse| -> Vec<String> {
        answer.access_key_metadata.unwrap().into_iter().map(|key| key.access_key_id.unwrap()).collect()
    };
    let own = world.call_as::<ops::ListAccessKeys>(user("ann"), Default::default()).await.unwrap();
    assert_eq!(listed(own), ids);
    let bobs = iam::ListAccessKeysRequest { user_name: Some("bob".into()), ..Default::default() };
    assert_eq!(listed(world.call::<ops::ListAccessKeys>(bobs).await.unwrap()), Vec::<String>::new());
    let roots = world.call::<ops::ListAccessKeys>(Default::default()).await.unwrap();
    assert_eq!(listed(roots), [world.identity.first_key().unwrap().0]);
    // Nobody changes another's key by naming it.
    let foreign = iam::DeleteAccessKeyRequest { user_name: Some("bob".into()), access_key_id: Some(ids[0].clone()) };
    assert_eq!(world.call::<ops::DeleteAccessKey>(foreign).await.unwrap_err().code, "NoSuchEntity");
    let nobody = iam::CreateAccessKeyRequest { user_name: Some("eve".into()) };
    let message = "The user with name eve cannot be found.";
    assert_fault(world.call::<ops::CreateAccessKey>(nobody).await, "NoSuchEntity", 404, message);
}

#[tokio::test]
async fn a_functions_credentials_are_the_same_at_every_asking_and_after_a_restart() {
    let world = World::new().await;
    let ask = |world: &World, role: &str, session: &str| world.identity.for_function(Account::DEFAULT, role, session);
    let before = world.kv.range(store::Space::Control, store::Range::all(), 100, false).unwrap();
    let given = ask(&world, "app", "hello");
    let Temporary { key_id: id, secret, token, expires } = given.clone();
    assert!(id.starts_with("ASIA") && id.len() == 20 && secret.len() == 40 && !token.is_empty());
    assert_eq!(ask(&world, "app", "hello"), given);
    let by_arn = ask(&world, "arn:aws:iam::000000000000:role/path/app", "hello");
    assert_eq!(by_arn.key_id, id, "an ARN names the same role");
    assert_ne!(ask(&world, "app", "other").key_id, id);
    assert_ne!(ask(&world, "other", "hello").key_id, id);
    let found = world.identity.find(&id).unwrap();
    let who = Principal::Session { account: Account::DEFAULT, role: "app".into(), session: "hello".into() };
    assert_eq!(found.principal, who);
    assert_eq!((found.secret.as_str(), found.session_token.as_deref()), (secret.as_str(), Some(token.as_str())));
    assert_eq!(found.expires, Some(expires));
    assert!(expires.0 - base::Clocks::signing(&*world.clocks).0 >= 12 * 3_600_000);
    let after = world.kv.range(store::Space::Control, store::Range::all(), 100, false).unwrap();
    assert_eq!(before, after, "nothing is written on the way of an invocation");
    let again = World::over(world.kv.clone()).await;
    assert_eq!(ask(&again, "app", "hello"), given);
    let stranger = World::new().await;
    assert_ne!(ask(&stranger, "app", "hello").secret, found.secret, "another platform derives other secrets");
}

#[tokio::test]
async fn what_speaks_for_a_role_or_user_ends_with_it_and_not_for_its_namesake() {
    let world = World::new().await;
    let void = |id: &str| world.identity.find(id).expect("it is known until its time is over").void;
    let make = async || {
        world.create_role("app").await;
        let input = sts::AssumeRoleRequest {
            role_arn: Some("arn:aws:iam::000000000000:role/app".into()),
            role_session_name: Some("me".into()),
            ..Default::default()
        };
        let assumed = world.call::<sts::ops::AssumeRole>(input).await.unwrap().credentials.unwrap();
        (assumed.access_key_id.unwrap(), world.identity.for_function(Account::DEFAULT, "app", "f").key_id)
    };
    let early = world.identity.for_function(Account::DEFAULT, "app", "f").key_id;
    let (assumed, own) = make().await;
    assert!(!void(&assumed) && !void(&own) && !void(&early));
    let delete = || iam::DeleteRoleRequest { role_name: Some("app".into()) };
    world.call::<ops::DeleteRole>(delete()).await.unwrap();
    assert!(void(&assumed) && void(&own));
    let (assumed_anew, own_anew) = make().await;
    assert_ne!(own, own_anew);
    assert!(!void(&assumed_anew) && !void(&own_anew));
    assert!(void(&assumed) && void(&own), "a new role of the name is another");

    world.create_user("ann").await;
    let token = world.call_as::<sts::ops::GetSessionToken>(user("ann"), Default::default()).await.unwrap();
    let token = token.credentials.unwrap().access_key_id.unwrap();
    assert!(!void(&token));
    world.call::<ops::DeleteUser>(iam::DeleteUserRequest { user_name: Some("ann".into()) }).await.unwrap();
    world.create_user("ann").await;
    assert!(void(&token));
}

#[tokio::test]
async fn what_an_unproven_caller_began_ends_when_somebody_makes_a_key() {
    let world = World::new().await;
    let unproven = Principal::Root { account: Account::DEFAULT, verified: false };
    world.create_role("app").await;
    let token = world.call_as::<sts::ops::GetSessionToken>(unproven.clone(), Default::default()).await.unwrap();
    let token = token.credentials.unwrap().access_key_id.unwrap();
    assert_eq!(world.identity.find(&token).unwrap().principal, unproven, "it proves nothing");
    let assume = || sts::AssumeRoleRequest {
        role_arn: Some("arn:aws:iam::000000000000:role/app".into()),
        role_session_name: Some("me".into()),
        ..Default::default()
    };
    let assumed = world.call_as::<sts::ops::AssumeRole>(unproven, assume()).await.unwrap();
    let assumed = assumed.credentials.unwrap().access_key_id.unwrap();
    let chained = world.call_with_key::<sts::ops::AssumeRole>(session("app"), &assumed, assume()).await.unwrap();
    let chained = chained.credentials.unwrap().access_key_id.unwrap();
    let proven =
        world.call::<sts::ops::AssumeRole>(assume()).await.unwrap().credentials.unwrap().access_key_id.unwrap();
    let void = |id: &str| world.identity.find(id).unwrap().void;
    assert!([&token, &assumed, &chained, &proven].iter().all(|id| !void(id)));
    world.create_user("ann").await;
    world.create_key("ann").await;
    assert!([&token, &assumed, &chained].iter().all(|id| void(id)));
    assert!(!void(&proven));
}

//! Aliases: names that point to versions, share out invocations, and have policies and URLs of their own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::Rng;
use model::lambda::{self as aws, ops};
use serde_json::Value;

use crate::urls::http;
use crate::versions::{ARN, delete, get, publish, set, told, value};
use crate::world::{Disk, World};

/// Two versions, which answer `one` and `two` to `env`, and `$LATEST`, which answers `new`.
async fn with_versions(world: &World) {
    world.create("hello").await;
    for word in ["one", "two"] {
        set(world, word).await;
        publish(world).await;
    }
    set(world, "new").await;
}

fn routing(version: &str, weight: f64) -> Option<aws::AliasRoutingConfiguration> {
    let weights = BTreeMap::from([(version.to_owned(), weight)]);
    Some(aws::AliasRoutingConfiguration { additional_version_weights: Some(weights) })
}

fn create(name: &str, version: &str) -> aws::CreateAliasRequest {
    aws::CreateAliasRequest {
        function_name: Some("hello".into()),
        name: Some(name.into()),
        function_version: Some(version.into()),
        ..Default::default()
    }
}

fn update(name: &str) -> aws::UpdateAliasRequest {
    aws::UpdateAliasRequest { function_name: Some("hello".into()), name: Some(name.into()), ..Default::default() }
}

async fn alias(world: &World, name: &str) -> Result<aws::AliasConfiguration, base::Fault> {
    let input = aws::GetAliasRequest { function_name: Some("hello".into()), name: Some(name.into()) };
    world.call::<ops::GetAlias>(input).await
}

async fn remove(world: &World, name: &str) {
    let input = aws::DeleteAliasRequest { function_name: Some("hello".into()), name: Some(name.into()) };
    world.call::<ops::DeleteAlias>(input).await.unwrap();
}

#[tokio::test]
async fn an_alias_is_described_moved_and_deleted() {
    let world = World::new();
    with_versions(&world).await;
    let made = world.call::<ops::CreateAlias>(create("live", "1")).await.unwrap();
    let expected = aws::AliasConfiguration {
        alias_arn: Some(format!("{ARN}:live")),
        name: Some("live".into()),
        function_version: Some("1".into()),
        description: Some(String::new()),
        routing_config: None,
        revision_id: made.revision_id.clone(),
    };
    assert_eq!((&made, made.revision_id.as_ref().unwrap().len()), (&expected, 36));
    assert_eq!(alias(&world, "live").await.unwrap(), made);
    assert_eq!(value(&world, "hello:live").await, ("one".into(), "1".into()));
    let shown = get(&world, Some("live")).await.unwrap();
    assert_eq!((shown.function_arn, shown.version), (Some(format!("{ARN}:live")), Some("1".into())));

    let again = world.call::<ops::CreateAlias>(create("live", "2")).await.unwrap_err();
    let words = format!("Alias already exists: {ARN}:live");
    assert_eq!(told(&again), ("ResourceConflictException", 409, words.as_str()));

    let stale = aws::UpdateAliasRequest { revision_id: Some("old".into()), ..update("live") };
    assert_eq!(world.call::<ops::UpdateAlias>(stale).await.unwrap_err().status, 412);
    let moved = aws::UpdateAliasRequest {
        function_version: Some("2".into()),
        description: Some("moved".into()),
        revision_id: made.revision_id.clone(),
        ..update("live")
    };
    let moved = world.call::<ops::UpdateAlias>(moved).await.unwrap();
    assert_eq!((moved.function_version.as_deref(), moved.description.as_deref()), (Some("2"), Some("moved")));
    assert_ne!(moved.revision_id, made.revision_id);
    assert_eq!(value(&world, "hello:live").await, ("two".into(), "2".into()));

    remove(&world, "live").await;
    remove(&world, "live").await;
    let gone = alias(&world, "live").await.unwrap_err();
    let words = format!("Cannot find alias arn: {ARN}:live");
    assert_eq!(told(&gone), ("ResourceNotFoundException", 404, words.as_str()));
    let gone = world.invoke("hello:live", "{}").await.unwrap_err();
    assert_eq!(gone.message, format!("Function not found: {ARN}:live"));
    let gone = world.call::<ops::UpdateAlias>(update("live")).await.unwrap_err();
    assert_eq!(gone.message, format!("Alias not found: {ARN}:live"));
}

#[tokio::test]
async fn what_an_alias_cannot_point_to_is_refused() {
    let world = World::new();
    with_versions(&world).await;
    let missing = world.call::<ops::CreateAlias>(create("live", "7")).await.unwrap_err();
    assert_eq!(told(&missing), ("ResourceNotFoundException", 404, format!("Function not found: {ARN}:7").as_str()));
    let refused = |version: &'static str, routing: Option<aws::AliasRoutingConfiguration>| {
        let input = aws::CreateAliasRequest { routing_config: routing, ..create("live", version) };
        let called = world.call::<ops::CreateAlias>(input);
        async { called.await.unwrap_err() }
    };
    let missing = refused("1", routing("7", 0.5)).await;
    assert_eq!(missing.message, format!("Function not found: {ARN}:7"));
    let two = BTreeMap::from([("1".to_owned(), 0.1), ("2".to_owned(), 0.1)]);
    let two = Some(aws::AliasRoutingConfiguration { additional_version_weights: Some(two) });
    for (version, routing, words) in [
        ("1", two, "Number of items in AdditionalVersionWeights cannot be greater than 1"),
        (
            "1",
            routing("1", 0.5),
            "Invalid function version 1. Function version 1 is already included in routing configuration.",
        ),
        ("$LATEST", routing("1", 0.5), "$LATEST is not supported for an alias pointing to more than 1 version"),
    ] {
        assert_eq!(told(&refused(version, routing).await), ("InvalidParameterValueException", 400, words));
    }
    let heavy = refused("1", routing("2", 1.5)).await;
    assert_eq!((heavy.code.as_ref(), heavy.status), ("ValidationException", 400));
    assert!(heavy.message.contains("Value '{2=1.5}' at 'routingConfig.additionalVersionWeights'"), "{}", heavy.message);
    let nobody = aws::CreateAliasRequest { function_name: Some("nobody".into()), ..create("live", "1") };
    let nobody = world.call::<ops::CreateAlias>(nobody).await.unwrap_err();
    assert!(nobody.message.starts_with("Function not found: "), "{}", nobody.message);
    assert!(alias(&world, "live").await.is_err());
    world.call::<ops::CreateAlias>(create("latest", "$LATEST")).await.unwrap();
    assert_eq!(value(&world, "hello:latest").await, ("new".into(), "$LATEST".into()));
}

#[tokio::test]
async fn a_version_behind_an_alias_stays() {
    let world = World::new();
    with_versions(&world).await;
    world.call::<ops::CreateAlias>(create("blue", "1")).await.unwrap();
    let weighted = aws::CreateAliasRequest { routing_config: routing("1", 0.1), ..create("canary", "2") };
    world.call::<ops::CreateAlias>(weighted).await.unwrap();
    let refused = delete(&world, Some("1")).await.unwrap_err();
    let words = "Unable to delete version because the following aliases reference it: [blue, canary]";
    assert_eq!(told(&refused), ("ResourceConflictException", 409, words));
    remove(&world, "blue").await;
    let refused = delete(&world, Some("1")).await.unwrap_err();
    assert!(refused.message.ends_with("[canary]"), "{}", refused.message);
    // An empty routing configuration takes the share away.
    let empty = aws::AliasRoutingConfiguration { additional_version_weights: Some(BTreeMap::new()) };
    let alone = aws::UpdateAliasRequest { routing_config: Some(empty), ..update("canary") };
    assert_eq!(world.call::<ops::UpdateAlias>(alone).await.unwrap().routing_config, None);
    delete(&world, Some("1")).await.unwrap();
    // A function takes its aliases along.
    delete(&world, None).await.unwrap();
    world.create("hello").await;
    assert!(alias(&world, "canary").await.is_err());
}

/// Counts: every draw is the next of eight equal steps.
struct Steps(AtomicU64);

impl Rng for Steps {
    fn fill(&self, out: &mut [u8]) {
        let step = self.0.fetch_add(1, Ordering::SeqCst) % 8;
        let word = step << 29;
        out.fill(0);
        let length = out.len().min(8);
        out[..length].copy_from_slice(&word.to_le_bytes()[..length]);
    }
}

#[tokio::test]
async fn weights_share_out_invocations() {
    let rng = Arc::new(Steps(AtomicU64::new(0)));
    let world = World::with(Disk::new(), |options| options.rng = rng);
    with_versions(&world).await;
    let weighted = aws::CreateAliasRequest { routing_config: routing("2", 0.25), ..create("live", "1") };
    let made = world.call::<ops::CreateAlias>(weighted).await.unwrap();
    assert_eq!(made.routing_config.unwrap().additional_version_weights.unwrap()["2"], 0.25);
    let mut counts = BTreeMap::new();
    for _ in 0..80 {
        *counts.entry(value(&world, "hello:live").await).or_insert(0) += 1;
    }
    assert_eq!(
        counts.keys().map(|(text, version)| (text.as_str(), version.as_str())).collect::<Vec<_>>(),
        [("one", "1"), ("two", "2")]
    );
    // Something else may draw too, so the share is only near.
    let second = counts[&("two".to_owned(), "2".to_owned())];
    assert!((10..=30).contains(&second), "{second} of 80");
    // A new share is seen by the next invocation.
    let all = aws::UpdateAliasRequest { routing_config: routing("2", 1.0), ..update("live") };
    world.call::<ops::UpdateAlias>(all).await.unwrap();
    assert_eq!(value(&world, "hello:live").await.1, "2");
    // The rest of an update leaves the share as it is.
    let other = aws::UpdateAliasRequest { description: Some("x".into()), ..update("live") };
    let other = world.call::<ops::UpdateAlias>(other).await.unwrap();
    assert_eq!(other.routing_config.unwrap().additional_version_weights.unwrap()["2"], 1.0);
}

#[tokio::test]
async fn aliases_outlive_a_restart_and_come_in_pages() {
    let world = World::new();
    with_versions(&world).await;
    for (name, version) in [("a", "1"), ("b", "2"), ("c", "1"), ("d", "2"), ("e", "1")] {
        world.call::<ops::CreateAlias>(create(name, version)).await.unwrap();
    }
    let world = World::on(world.die().await);
    let list = |version: Option<&str>, marker| aws::ListAliasesRequest {
        function_name: Some("hello".into()),
        function_version: version.map(str::to_owned),
        marker,
        max_items: Some(2),
    };
    let names = |page: &aws::ListAliasesResponse| -> Vec<String> {
        page.aliases.iter().flatten().map(|alias| alias.name.clone().unwrap()).collect()
    };
    let first = world.call::<ops::ListAliases>(list(None, None)).await.unwrap();
    assert_eq!(names(&first), ["a", "b"]);
    let second = world.call::<ops::ListAliases>(list(None, first.next_marker)).await.unwrap();
    assert_eq!(names(&second), ["c", "d"]);
    let third = world.call::<ops::ListAliases>(list(None, second.next_marker)).await.unwrap();
    assert_eq!((names(&third), third.next_marker), (vec!["e".to_owned()], None));
    let of_one = world.call::<ops::ListAliases>(list(Some("1"), None)).await.unwrap();
    assert_eq!(names(&of_one), ["a", "c"]);
    let rest = world.call::<ops::ListAliases>(list(Some("1"), of_one.next_marker)).await.unwrap();
    assert_eq!((names(&rest), rest.next_marker), (vec!["e".to_owned()], None));
    assert_eq!(value(&world, "hello:d").await, ("two".into(), "2".into()));
}

#[tokio::test]
async fn each_qualifier_has_a_policy_of_its_own() {
    let world = World::new();
    with_versions(&world).await;
    world.call::<ops::CreateAlias>(create("live", "1")).await.unwrap();
    let add = |qualifier: Option<&str>, revision_id: Option<String>| aws::AddPermissionRequest {
        function_name: Some("hello".into()),
        statement_id: Some("s".into()),
        action: Some("lambda:InvokeFunction".into()),
        principal: Some("s3.amazonaws.com".into()),
        qualifier: qualifier.map(str::to_owned),
        revision_id,
        ..Default::default()
    };
    let policy = async |qualifier: Option<&str>| {
        let input =
            aws::GetPolicyRequest { function_name: Some("hello".into()), qualifier: qualifier.map(str::to_owned) };
        world.call::<ops::GetPolicy>(input).await
    };
    for qualifier in [None, Some("1"), Some("live")] {
        assert_eq!(policy(qualifier).await.unwrap_err().message, "The resource you requested does not exist.");
        world.call::<ops::AddPermission>(add(qualifier, None)).await.unwrap();
        let shown = policy(qualifier).await.unwrap();
        let document: Value = serde_json::from_str(&shown.policy.unwrap()).unwrap();
        let arn = qualifier.map_or(ARN.to_owned(), |qualifier| format!("{ARN}:{qualifier}"));
        assert_eq!(document["Statement"][0]["Resource"], arn);
    }
    // A policy's revision is that of what has it.
    let revision = policy(Some("live")).await.unwrap().revision_id;
    assert_eq!(alias(&world, "live").await.unwrap().revision_id, revision);
    assert_eq!(get(&world, Some("1")).await.unwrap().revision_id, policy(Some("1")).await.unwrap().revision_id);
    let remove = |qualifier: Option<&str>, revision_id: Option<String>| aws::RemovePermissionRequest {
        function_name: Some("hello".into()),
        statement_id: Some("s".into()),
        qualifier: qualifier.map(str::to_owned),
        revision_id,
    };
    let stale = world.call::<ops::RemovePermission>(remove(Some("live"), Some("old".into()))).await.unwrap_err();
    assert!(stale.message.contains("Call the GetPolicy API"), "{}", stale.message);
    world.call::<ops::RemovePermission>(remove(Some("live"), revision)).await.unwrap();
    assert_eq!(policy(Some("live")).await.unwrap_err().status, 404);
    assert!(policy(Some("1")).await.is_ok() && policy(None).await.is_ok());
    let latest = world.call::<ops::AddPermission>(add(Some("$LATEST"), None)).await.unwrap_err();
    assert_eq!(latest.message, "We currently do not support adding policies for $LATEST.");
    let missing = world.call::<ops::AddPermission>(add(Some("nobody"), None)).await.unwrap_err();
    assert_eq!(missing.message, format!("Function not found: {ARN}:nobody"));
    // With a version goes its policy.
    remove_alias_and_version(&world).await;
    let document = policy(None).await.unwrap().policy.unwrap();
    assert_eq!(document.matches("Sid").count(), 1);
}

async fn remove_alias_and_version(world: &World) {
    remove(world, "live").await;
    delete(world, Some("1")).await.unwrap();
    set(world, "one").await;
    assert_eq!(publish(world).await.version.as_deref(), Some("3"));
}

#[tokio::test]
async fn an_alias_has_a_url_of_its_own() {
    let world = World::new();
    with_versions(&world).await;
    world.call::<ops::CreateAlias>(create("live", "1")).await.unwrap();
    let url = |qualifier: Option<&str>| aws::CreateFunctionUrlConfigRequest {
        function_name: Some("hello".into()),
        qualifier: qualifier.map(str::to_owned),
        auth_type: Some("NONE".into()),
        ..Default::default()
    };
    let own = world.call::<ops::CreateFunctionUrlConfig>(url(None)).await.unwrap();
    let of_alias = world.call::<ops::CreateFunctionUrlConfig>(url(Some("live"))).await.unwrap();
    assert_eq!(of_alias.function_arn, Some(format!("{ARN}:live")));
    assert_ne!(own.function_url, of_alias.function_url);
    let twice = world.call::<ops::CreateFunctionUrlConfig>(url(Some("live"))).await.unwrap_err();
    assert!(twice.message.contains(&format!("[functionArn = {ARN}:live]")), "{}", twice.message);
    let nobody = world.call::<ops::CreateFunctionUrlConfig>(url(Some("nobody"))).await.unwrap_err();
    assert_eq!((nobody.status, nobody.message.as_str()), (404, "Function does not exist"));
    let version = world.call::<ops::CreateFunctionUrlConfig>(url(Some("1"))).await.unwrap_err();
    assert_eq!(version.code, "ValidationException");

    let world = World::on(world.die().await);
    let list = aws::ListFunctionUrlConfigsRequest { function_name: Some("hello".into()), ..Default::default() };
    let paged = aws::ListFunctionUrlConfigsRequest { max_items: Some(1), ..list.clone() };
    let both = world.call::<ops::ListFunctionUrlConfigs>(list.clone()).await.unwrap().function_url_configs.unwrap();
    assert_eq!(
        both.iter().map(|url| url.function_url.clone()).collect::<Vec<_>>(),
        [own.function_url.clone(), of_alias.function_url.clone()]
    );
    let first = world.call::<ops::ListFunctionUrlConfigs>(paged.clone()).await.unwrap();
    assert_eq!(first.function_url_configs.unwrap()[0].function_url, own.function_url);
    let rest = aws::ListFunctionUrlConfigsRequest { marker: first.next_marker, ..paged };
    let rest = world.call::<ops::ListFunctionUrlConfigs>(rest).await.unwrap();
    assert_eq!(
        (rest.function_url_configs.unwrap()[0].function_url.clone(), rest.next_marker),
        (of_alias.function_url.clone(), None)
    );

    let host = |url: &Option<String>| url.as_ref().unwrap()[7..].split(':').next().unwrap().to_owned();
    // The word `env` in the path has the paper function answer with its variable.
    let (status, _, body) = http(&world, "GET", &host(&of_alias.function_url), "/env", &[], b"").await;
    assert_eq!((status, body.as_slice()), (200, b"\"one\"".as_slice()));
    let (status, _, body) = http(&world, "GET", &host(&own.function_url), "/env", &[], b"").await;
    assert_eq!((status, body.as_slice()), (200, b"\"new\"".as_slice()));
    let moved = aws::UpdateAliasRequest { function_version: Some("2".into()), ..update("live") };
    world.call::<ops::UpdateAlias>(moved).await.unwrap();
    let (_, _, body) = http(&world, "GET", &host(&of_alias.function_url), "/env", &[], b"").await;
    assert_eq!(body, b"\"two\"");
    // The URL goes with its alias.
    remove(&world, "live").await;
    assert_eq!(http(&world, "GET", &host(&of_alias.function_url), "/env", &[], b"").await.0, 404);
    let left = world.call::<ops::ListFunctionUrlConfigs>(list).await.unwrap().function_url_configs.unwrap();
    assert_eq!(left.len(), 1);
}

#[tokio::test]
async fn the_handler_sees_the_alias_by_which_it_was_called() {
    let world = World::new().serve();
    with_versions(&world).await;
    world.call::<ops::CreateAlias>(create("live", "2")).await.unwrap();
    let event = aws::InvocationRequest {
        invocation_type: Some("Event".into()),
        qualifier: Some("live".into()),
        ..crate::world::invoke("hello", "\"later\"")
    };
    assert_eq!(world.call::<ops::Invoke>(event).await.unwrap().status_code, Some(202));
    let mut world = world;
    assert_eq!(world.begins().await, "\"later\"");
    let live = world.functions.live();
    assert_eq!(live.iter().map(|live| live.version.as_str()).collect::<Vec<_>>(), ["2"]);
}

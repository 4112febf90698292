//! Code signing configurations: made, given to functions, and what they say to code that nobody has signed.

use std::sync::{Arc, Mutex};

use base::{Account, EventNews, Fault, Invoked, Meter, Receipt};
use model::lambda::{self as aws, ops};

use crate::images::{URI, image};
use crate::layers::{publish, update};
use crate::versions::{ARN, delete, told};
use crate::world::{Disk, World, call, create, package};

const PUBLISHER: &str = "arn:aws:signer:us-east-1:000000000000:/signing-profiles/ours/0123456789";
const NOT_THERE: &str = "arn:aws:lambda:us-east-1:000000000000:code-signing-config:csc-00000000000000000";

fn allowed(publisher: &str) -> Option<aws::AllowedPublishers> {
    Some(aws::AllowedPublishers { signing_profile_version_arns: Some(vec![publisher.into()]) })
}

fn policy(word: &str) -> Option<aws::CodeSigningPolicies> {
    Some(aws::CodeSigningPolicies { untrusted_artifact_on_deployment: Some(word.into()) })
}

async fn made(world: &World, word: Option<&str>) -> aws::CodeSigningConfig {
    let input = aws::CreateCodeSigningConfigRequest {
        description: Some("ours".into()),
        allowed_publishers: allowed(PUBLISHER),
        code_signing_policies: word.and_then(policy),
        tags: Some([("team".to_owned(), "blue".to_owned())].into()),
    };
    world.call::<ops::CreateCodeSigningConfig>(input).await.unwrap().code_signing_config.unwrap()
}

/// The ARN of a new configuration.
async fn new(world: &World, word: &str) -> String {
    made(world, Some(word)).await.code_signing_config_arn.unwrap()
}

async fn get(world: &World, arn: &str) -> Result<aws::CodeSigningConfig, Fault> {
    let input = aws::GetCodeSigningConfigRequest { code_signing_config_arn: Some(arn.into()) };
    Ok(world.call::<ops::GetCodeSigningConfig>(input).await?.code_signing_config.unwrap())
}

fn updated(arn: &str) -> aws::UpdateCodeSigningConfigRequest {
    aws::UpdateCodeSigningConfigRequest { code_signing_config_arn: Some(arn.into()), ..Default::default() }
}

async fn set_policy(world: &World, arn: &str, word: &str) {
    let input = aws::UpdateCodeSigningConfigRequest { code_signing_policies: policy(word), ..updated(arn) };
    world.call::<ops::UpdateCodeSigningConfig>(input).await.unwrap();
}

fn removal(arn: &str) -> aws::DeleteCodeSigningConfigRequest {
    aws::DeleteCodeSigningConfigRequest { code_signing_config_arn: Some(arn.into()) }
}

fn put(name: &str, arn: &str) -> aws::PutFunctionCodeSigningConfigRequest {
    aws::PutFunctionCodeSigningConfigRequest {
        code_signing_config_arn: Some(arn.into()),
        function_name: Some(name.into()),
    }
}

async fn has(world: &World, name: &str) -> Result<Option<String>, Fault> {
    let input = aws::GetFunctionCodeSigningConfigRequest { function_name: Some(name.into()) };
    Ok(world.call::<ops::GetFunctionCodeSigningConfig>(input).await?.code_signing_config_arn)
}

async fn take(world: &World, name: &str) -> Result<(), Fault> {
    let input = aws::DeleteFunctionCodeSigningConfigRequest { function_name: Some(name.into()) };
    world.call::<ops::DeleteFunctionCodeSigningConfig>(input).await.map(drop)
}

async fn users(world: &World, arn: &str) -> Vec<String> {
    let input = aws::ListFunctionsByCodeSigningConfigRequest {
        code_signing_config_arn: Some(arn.into()),
        ..Default::default()
    };
    world.call::<ops::ListFunctionsByCodeSigningConfig>(input).await.unwrap().function_arns.unwrap()
}

fn with(name: &str, arn: &str) -> aws::CreateFunctionRequest {
    aws::CreateFunctionRequest { code_signing_config_arn: Some(arn.into()), ..create(name) }
}

fn code(word: &str) -> aws::UpdateFunctionCodeRequest {
    aws::UpdateFunctionCodeRequest {
        function_name: Some("hello".into()),
        zip_file: Some(package(word)),
        ..Default::default()
    }
}

fn unsigned(artifact: &str) -> String {
    format!(
        "Lambda cannot deploy the function. The function or layer might be signed using a signature that the client is \
         not configured to accept. Check the provided signature for {artifact}."
    )
}

#[tokio::test]
async fn a_configuration_is_shown_as_aws_shows_it_and_outlives_a_restart() {
    let world = World::new();
    let first = made(&world, None).await;
    let (id, arn) = (first.code_signing_config_id.clone().unwrap(), first.code_signing_config_arn.clone().unwrap());
    assert_eq!(arn, format!("arn:aws:lambda:us-east-1:000000000000:code-signing-config:{id}"));
    assert_eq!(first.description.as_deref(), Some("ours"));
    assert_eq!(first.allowed_publishers, allowed(PUBLISHER));
    assert_eq!(first.code_signing_policies, policy("Warn"), "which is the default");
    assert!(first.last_modified.as_ref().unwrap().ends_with("+0000"), "{first:?}");
    assert_eq!(made(&world, Some("Enforce")).await.code_signing_policies, policy("Enforce"));

    world.clocks.advance(60_000).await.unwrap();
    let other = format!("{PUBLISHER}9");
    let input = aws::UpdateCodeSigningConfigRequest {
        description: Some("theirs".into()),
        allowed_publishers: allowed(&other),
        ..updated(&arn)
    };
    let changed = world.call::<ops::UpdateCodeSigningConfig>(input).await.unwrap().code_signing_config.unwrap();
    assert_eq!(changed.description.as_deref(), Some("theirs"));
    assert_eq!((&changed.allowed_publishers, &changed.code_signing_policies), (&allowed(&other), &policy("Warn")));
    assert!(changed.last_modified > first.last_modified, "{changed:?}");
    set_policy(&world, &arn, "Enforce").await;
    let world = World::on(world.die().await);
    let shown = get(&world, &arn).await.unwrap();
    assert_eq!((shown.description.as_deref(), shown.code_signing_policies), (Some("theirs"), policy("Enforce")));
    assert_eq!(shown.allowed_publishers, allowed(&other));

    world.call::<ops::DeleteCodeSigningConfig>(removal(&arn)).await.unwrap();
    let words = format!("The Lambda code signing configuration {arn} can not be found.");
    let missing = ("ResourceNotFoundException", 404, &*words);
    assert_eq!(told(&get(&world, &arn).await.unwrap_err()), missing);
    let again = world.call::<ops::DeleteCodeSigningConfig>(removal(&arn)).await.unwrap_err();
    assert_eq!(told(&again), missing);
    let again = world.call::<ops::UpdateCodeSigningConfig>(updated(&arn)).await.unwrap_err();
    assert_eq!(told(&again), missing);
    let listed = aws::ListFunctionsByCodeSigningConfigRequest {
        code_signing_config_arn: Some(arn.clone()),
        ..Default::default()
    };
    let listed = world.call::<ops::ListFunctionsByCodeSigningConfig>(listed).await.unwrap_err();
    assert_eq!(told(&listed), missing);
}

#[tokio::test]
async fn lists_of_configurations_and_their_functions_turn_pages() {
    let world = World::new();
    let mut arns = Vec::new();
    for _ in 0..3 {
        arns.push(new(&world, "Warn").await);
    }
    arns.sort();
    let page = async |marker: Option<String>| {
        let input = aws::ListCodeSigningConfigsRequest { marker, max_items: Some(2) };
        let page = world.call::<ops::ListCodeSigningConfigs>(input).await.unwrap();
        let arns = page.code_signing_configs.unwrap().into_iter().map(|config| config.code_signing_config_arn.unwrap());
        (arns.collect::<Vec<_>>(), page.next_marker)
    };
    let (first, marker) = page(None).await;
    let (second, end) = page(marker).await;
    assert_eq!(([first, second].concat(), end), (arns.clone(), None));

    for name in ["one", "two", "three"] {
        world.call::<ops::CreateFunction>(with(name, &arns[0])).await.unwrap();
    }
    let page = async |marker: Option<String>| {
        let input = aws::ListFunctionsByCodeSigningConfigRequest {
            code_signing_config_arn: Some(arns[0].clone()),
            marker,
            max_items: Some(2),
        };
        let page = world.call::<ops::ListFunctionsByCodeSigningConfig>(input).await.unwrap();
        (page.function_arns.unwrap(), page.next_marker)
    };
    let arn = |name: &str| format!("arn:aws:lambda:us-east-1:000000000000:function:{name}");
    let (first, marker) = page(None).await;
    assert_eq!(first, [arn("one"), arn("three")]);
    assert_eq!(page(marker).await, (vec![arn("two")], None));
    assert!(users(&world, &arns[1]).await.is_empty());
}

#[tokio::test]
async fn a_configuration_that_functions_have_stays() {
    let world = World::new();
    world.create("hello").await;
    let (one, two) = (new(&world, "Warn").await, new(&world, "Warn").await);
    assert_eq!(has(&world, "hello").await.unwrap(), None);
    take(&world, "hello").await.unwrap();
    let answer = world.call::<ops::PutFunctionCodeSigningConfig>(put(ARN, &one)).await.unwrap();
    assert_eq!(answer.function_name.as_deref(), Some("hello"));
    assert_eq!(answer.code_signing_config_arn.as_ref(), Some(&one));
    // The same once more does not count twice.
    world.call::<ops::PutFunctionCodeSigningConfig>(put("hello", &one)).await.unwrap();
    world.call::<ops::CreateFunction>(with("other", &one)).await.unwrap();
    let world = World::on(world.die().await);
    assert_eq!(has(&world, "hello").await.unwrap().as_ref(), Some(&one));
    assert_eq!(users(&world, &one).await.len(), 2);
    let conflict = async |arn: &str| {
        let refused = world.call::<ops::DeleteCodeSigningConfig>(removal(arn)).await.unwrap_err();
        assert_eq!((refused.code.as_ref(), refused.status), ("ResourceConflictException", 409));
        assert!(refused.message.contains(arn), "{}", refused.message);
    };
    conflict(&one).await;
    // A change of something else keeps it.
    world.call::<ops::UpdateFunctionCode>(code("more")).await.unwrap();
    crate::versions::publish(&world).await;
    conflict(&one).await;
    world.call::<ops::PutFunctionCodeSigningConfig>(put("hello", &two)).await.unwrap();
    assert_eq!(users(&world, &one).await, ["arn:aws:lambda:us-east-1:000000000000:function:other"]);
    conflict(&one).await;
    take(&world, "other").await.unwrap();
    world.call::<ops::DeleteCodeSigningConfig>(removal(&one)).await.unwrap();
    conflict(&two).await;
    delete(&world, None).await.unwrap();
    assert!(users(&world, &two).await.is_empty());
    world.call::<ops::DeleteCodeSigningConfig>(removal(&two)).await.unwrap();
}

#[tokio::test]
async fn only_what_is_there_is_given_to_a_function() {
    let world = World::new();
    world.create("hello").await;
    let arn = new(&world, "Warn").await;
    let words = |arn: &str| {
        format!(
            "The code signing configuration cannot be found. Check that the provided configuration is not deleted: {arn}."
        )
    };
    let elsewhere = arn.replace("us-east-1", "eu-west-1");
    for arn in [NOT_THERE, &elsewhere] {
        let missing = words(arn);
        let missing = ("CodeSigningConfigNotFoundException", 404, &*missing);
        for name in ["hello", "nobody"] {
            let refused = world.call::<ops::PutFunctionCodeSigningConfig>(put(name, arn)).await.unwrap_err();
            assert_eq!(told(&refused), missing, "{name}");
        }
        let refused = world.call::<ops::CreateFunction>(with("new", arn)).await.unwrap_err();
        assert_eq!(told(&refused), missing);
    }
    let nobody = "Function not found: arn:aws:lambda:us-east-1:000000000000:function:nobody";
    let nobody = ("ResourceNotFoundException", 404, nobody);
    let refused = world.call::<ops::PutFunctionCodeSigningConfig>(put("nobody", &arn)).await.unwrap_err();
    assert_eq!(told(&refused), nobody);
    assert_eq!(told(&has(&world, "nobody").await.unwrap_err()), nobody);
    assert_eq!(told(&take(&world, "nobody").await.unwrap_err()), nobody);
    let refused = world.call::<ops::PutFunctionCodeSigningConfig>(put("hello:1", &arn)).await.unwrap_err();
    assert_eq!(refused.code, "InvalidParameterValueException");
    let none = aws::CreateCodeSigningConfigRequest::default();
    assert_eq!(world.call::<ops::CreateCodeSigningConfig>(none).await.unwrap_err().status, 400);
}

#[tokio::test]
async fn images_have_none() {
    let world = World::new();
    let arn = new(&world, "Warn").await;
    let words = "Code signing is not supported for functions created with container images.";
    let refused = ("InvalidParameterValueException", 400, words);
    let both = aws::CreateFunctionRequest { code_signing_config_arn: Some(arn.clone()), ..image(Some(URI)) };
    assert_eq!(told(&world.call::<ops::CreateFunction>(both).await.unwrap_err()), refused);
    world.call::<ops::CreateFunction>(image(Some(URI))).await.unwrap();
    let put = world.call::<ops::PutFunctionCodeSigningConfig>(put("hello", &arn)).await.unwrap_err();
    assert_eq!(told(&put), refused);
    assert_eq!(told(&has(&world, "hello").await.unwrap_err()), refused);
    assert_eq!(told(&take(&world, "hello").await.unwrap_err()), refused);
}

/// Remembers the functions that were given what nobody has signed.
#[derive(Default)]
struct Counts(Mutex<Vec<String>>);

impl Meter for Counts {
    fn invoked(&self, _: &Invoked) {}
    fn throttled(&self, _: Account, _: &str, _: &str) {}
    fn event(&self, _: Account, _: &str, _: EventNews) {}
    fn unsigned(&self, _: Account, function_arn: &str) {
        self.0.lock().unwrap().push(function_arn.to_owned());
    }
    fn kept_ready(&self, _: Option<&str>, _: Vec<base::KeptReady>, _: base::Timestamp) {}
    fn receipt(&self, _: &Invoked) -> Option<Receipt> {
        None
    }
    fn receipted(&self) {}
}

impl Counts {
    fn take(&self) -> usize {
        std::mem::take(&mut *self.0.lock().unwrap()).iter().filter(|arn| *arn == ARN).count()
    }
}

#[tokio::test]
async fn what_nobody_has_signed_is_refused_or_counted() {
    let counts = Arc::new(Counts::default());
    let meter = Arc::clone(&counts);
    let world = World::with(Disk::new(), |options| options.meter = meter);
    let arn = new(&world, "Enforce").await;
    let refused = |fault: Fault, artifact: &str| {
        assert_eq!(told(&fault), ("CodeVerificationFailedException", 400, &*unsigned(artifact)));
    };
    refused(world.call::<ops::CreateFunction>(with("hello", &arn)).await.unwrap_err(), "hello");
    assert_eq!(crate::versions::get(&world, None).await.unwrap_err().status, 404, "it was not made");
    assert!(users(&world, &arn).await.is_empty());
    assert_eq!(counts.take(), 1, "what is refused is counted, too");

    // A function that is there keeps its code and its layers; new ones are refused.
    let layer = async |name: &str| {
        let published = world.call::<ops::PublishLayerVersion>(publish(name, "x")).await.unwrap();
        published.layer_version_arn.unwrap()
    };
    let (one, two) = (layer("one").await, layer("two").await);
    world.create("hello").await;
    world.call::<ops::UpdateFunctionConfiguration>(update("hello", &[&one])).await.unwrap();
    world.call::<ops::PutFunctionCodeSigningConfig>(put("hello", &arn)).await.unwrap();
    let before = crate::versions::get(&world, None).await.unwrap();
    world.invoke("hello", "{}").await.unwrap();
    refused(world.call::<ops::UpdateFunctionCode>(code("more")).await.unwrap_err(), ARN);
    assert_eq!(counts.take(), 1);
    let dry = aws::UpdateFunctionCodeRequest { dry_run: Some(true), ..code("more") };
    refused(world.call::<ops::UpdateFunctionCode>(dry).await.unwrap_err(), ARN);
    assert_eq!(counts.take(), 0, "a dry run deploys nothing");
    let both = update("hello", &[&one, &two]);
    refused(world.call::<ops::UpdateFunctionConfiguration>(both.clone()).await.unwrap_err(), &two);
    assert_eq!(counts.take(), 1);
    assert_eq!(crate::versions::get(&world, None).await.unwrap(), before);
    world.call::<ops::UpdateFunctionConfiguration>(update("hello", &[&one])).await.unwrap();
    crate::versions::set(&world, "x").await;
    assert_eq!(counts.take(), 0);

    set_policy(&world, &arn, "Warn").await;
    world.call::<ops::UpdateFunctionCode>(code("more")).await.unwrap();
    assert_eq!(counts.take(), 1);
    let dry = aws::UpdateFunctionCodeRequest { dry_run: Some(true), ..code("again") };
    world.call::<ops::UpdateFunctionCode>(dry).await.unwrap();
    crate::versions::set(&world, "y").await;
    assert_eq!(counts.take(), 0);
    world.call::<ops::UpdateFunctionConfiguration>(both).await.unwrap();
    assert_eq!(counts.take(), 1);
    delete(&world, None).await.unwrap();
    let published = aws::CreateFunctionRequest { publish: Some(true), ..with("hello", &arn) };
    world.call::<ops::CreateFunction>(published).await.unwrap();
    assert_eq!((counts.take(), has(&world, "hello").await.unwrap()), (1, Some(arn.clone())));

    set_policy(&world, &arn, "Enforce").await;
    refused(world.call::<ops::UpdateFunctionCode>(code("last")).await.unwrap_err(), ARN);
    assert_eq!(counts.take(), 1);
    take(&world, "hello").await.unwrap();
    world.call::<ops::UpdateFunctionCode>(code("last")).await.unwrap();
    assert_eq!(counts.take(), 0);
}

#[tokio::test]
async fn configurations_have_tags() {
    let world = World::new();
    let arn = new(&world, "Warn").await;
    let resource = || Some(arn.clone());
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let tags = async || {
        world.call::<ops::ListTags>(aws::ListTagsRequest { resource: resource() }).await.unwrap().tags.unwrap()
    };
    assert_eq!(tags().await, [pair("team", "blue")].into());
    let more = aws::TagResourceRequest { resource: resource(), tags: Some([pair("a", "b")].into()) };
    world.call::<ops::TagResource>(more).await.unwrap();
    let less = aws::UntagResourceRequest { resource: resource(), tag_keys: Some(vec!["team".into()]) };
    world.call::<ops::UntagResource>(less).await.unwrap();
    assert_eq!(tags().await, [pair("a", "b")].into());
    let many = (0..50).map(|n| pair(&format!("k{n}"), "v")).collect();
    let many = aws::TagResourceRequest { resource: resource(), tags: Some(many) };
    assert_eq!(world.call::<ops::TagResource>(many).await.unwrap_err().code, "InvalidParameterValueException");
    let reserved = aws::CreateCodeSigningConfigRequest {
        allowed_publishers: allowed(PUBLISHER),
        tags: Some([pair("aws:x", "y")].into()),
        ..Default::default()
    };
    assert_eq!(world.call::<ops::CreateCodeSigningConfig>(reserved).await.unwrap_err().status, 400);
    let nowhere = aws::ListTagsRequest { resource: Some(NOT_THERE.into()) };
    assert_eq!(world.call::<ops::ListTags>(nowhere).await.unwrap_err().code, "ResourceNotFoundException");
}

/// Whatever order calls come in, no function has a configuration that is not there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn giving_and_deleting_at_once_leaves_nothing_dangling() {
    let world = World::new();
    let names = ["one", "two", "three"];
    for name in names {
        world.create(name).await;
    }
    for _ in 0..20 {
        let arn = new(&world, "Warn").await;
        let router = || Arc::clone(&world.router);
        let gives = names.map(|name| {
            let (router, input) = (router(), put(name, &arn));
            tokio::spawn(async move { call::<ops::PutFunctionCodeSigningConfig>(router, input).await.is_ok() })
        });
        let deletes = tokio::spawn({
            let (router, input) = (router(), removal(&arn));
            async move { call::<ops::DeleteCodeSigningConfig>(router, input).await.is_ok() }
        });
        let mut given = 0;
        for give in gives {
            given += usize::from(give.await.unwrap());
        }
        let deleted = deletes.await.unwrap();
        assert_ne!(deleted, given > 0, "deleted: {deleted}, given: {given}");
        assert_eq!(get(&world, &arn).await.is_err(), deleted);
        for name in names {
            if let Some(has) = has(&world, name).await.unwrap() {
                get(&world, &has).await.unwrap();
            }
        }
    }
}

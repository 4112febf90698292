//! SnapStart: a version is initialized when it is published, and its environments begin with what that made.

use std::ffi::OsString;
use std::time::Duration;

use base::Fault;
use invoker::testing::{INIT_ERROR, RESTORE_ERROR, UNFIT};
use model::lambda::{self as aws, ops};

use crate::provisioned::alias;
use crate::versions::{delete, get, publish, told};
use crate::world::{PATIENCE, World, create};

fn on() -> Option<aws::SnapStart> {
    Some(aws::SnapStart { apply_on: Some("PublishedVersions".into()) })
}

fn snap(made: &aws::FunctionConfiguration) -> (&str, &str) {
    let told = made.snap_start.as_ref().unwrap();
    (told.apply_on.as_deref().unwrap(), told.optimization_status.as_deref().unwrap())
}

/// Makes `hello` under SnapStart, with one variable.
async fn create_under(world: &World, variable: &str, value: &str) -> aws::FunctionConfiguration {
    let mut input = create("hello");
    input.snap_start = on();
    let variables = Some([(variable.to_owned(), value.to_owned())].into());
    input.environment = Some(aws::Environment { variables });
    world.call::<ops::CreateFunction>(input).await.unwrap()
}

/// A version once it is no longer being made.
async fn settled(world: &World, version: &str) -> aws::FunctionConfiguration {
    let settled = async {
        loop {
            let found = get(world, Some(version)).await.unwrap();
            if found.state.as_deref() != Some("Pending") {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, settled).await.expect("a snapshot is made")
}

fn variable(env: &[(OsString, OsString)], name: &str) -> Option<String> {
    env.iter().find(|(key, _)| key == name).map(|(_, value)| value.to_string_lossy().into_owned())
}

#[tokio::test]
async fn a_version_is_initialized_once_and_restored_after_that() {
    let world = World::new();
    let latest = create_under(&world, "VALUE", "env").await;
    assert_eq!((snap(&latest), latest.state.as_deref()), (("PublishedVersions", "Off"), Some("Active")));
    let made = publish(&world).await;
    assert_eq!(snap(&made), ("PublishedVersions", "On"));
    let state = (made.state.as_deref(), made.state_reason_code.as_deref(), made.state_reason.as_deref());
    assert_eq!(state, (Some("Pending"), Some("Creating"), Some("The function is being created.")));
    let refused = world.invoke("hello:1", "{}").await.unwrap_err();
    let words =
        "Lambda is initializing your function. It will be ready to invoke once your function state becomes ACTIVE.";
    assert_eq!(told(&refused), ("SnapStartNotReadyException", 409, words));
    let world = world.serve();
    let made = settled(&world, "1").await;
    assert_eq!(
        (snap(&made), made.state.as_deref(), made.state_reason.as_deref()),
        (("PublishedVersions", "On"), Some("Active"), None)
    );
    // Once to take it, once to try it.
    let launched = world.walls.launched();
    let what: Vec<_> = launched.iter().map(|spec| variable(&spec.env, "_LAMBENT_SNAPSHOT").unwrap()).collect();
    assert_eq!(what, ["take", "restore"]);
    assert!(launched[0].image.snapshot.is_none() && launched[0].ahead.is_none());
    let done = world.invoke("hello:1", "\"env\"").await.unwrap();
    assert_eq!(done.payload.unwrap(), "\"env\"");
    let launched = world.walls.launched();
    let restored = &launched[2];
    assert_eq!(std::fs::read(restored.image.snapshot.as_ref().unwrap()).unwrap(), b"a snapshot");
    let own = |name: &str| variable(&restored.env, name);
    assert_eq!(own("AWS_LAMBDA_INITIALIZATION_TYPE").as_deref(), Some("snap-start"));
    for missing in ["AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY_ID"] {
        assert_eq!(own(missing), None, "{missing}");
    }
    assert!(own("AWS_CONTAINER_CREDENTIALS_FULL_URI").unwrap().starts_with("http://127.0.0.1:9001/"));
    // What is not published is as ever.
    world.invoke("hello", "\"env\"").await.unwrap();
    let last = world.walls.launched().pop().unwrap();
    assert_eq!(variable(&last.env, "AWS_LAMBDA_INITIALIZATION_TYPE").as_deref(), Some("on-demand"));
    assert!(last.image.snapshot.is_none());
}

#[tokio::test]
async fn a_snapshot_outlives_the_platform_and_is_made_anew_where_it_is_missing() {
    let world = World::new();
    create_under(&world, "VALUE", "env").await;
    publish(&world).await;
    // The platform ends before it was made.
    let world = World::on(world.die().await).serve();
    settled(&world, "1").await;
    assert_eq!(world.walls.launched().len(), 2);
    let world = World::on(world.die().await).serve();
    world.invoke("hello:1", "\"env\"").await.unwrap();
    assert!(world.walls.launched()[0].image.snapshot.is_some());
    let disk = world.die().await;
    for entry in std::fs::read_dir(disk.folder.snapshots()).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let world = World::on(disk).serve();
    world.invoke("hello:1", "\"env\"").await.unwrap();
    let again = async {
        while std::fs::read_dir(world.disk.folder.snapshots()).unwrap().count() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("it is made anew");
    // It goes with its version.
    delete(&world, Some("1")).await.unwrap();
    let gone = async {
        while std::fs::read_dir(world.disk.folder.snapshots()).unwrap().count() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("it goes");
}

#[tokio::test]
async fn an_init_that_fails_makes_a_version_that_cannot_be_invoked() {
    let world = World::new().serve();
    create_under(&world, INIT_ERROR, "Runtime.ImportModuleError").await;
    publish(&world).await;
    let made = settled(&world, "1").await;
    assert_eq!((made.state.as_deref(), snap(&made).1), (Some("Failed"), "Off"));
    assert_eq!(made.state_reason_code.as_deref(), Some("FunctionError.RuntimeInitError"));
    assert!(made.state_reason.unwrap().contains("Runtime.ImportModuleError"));
    let refused = world.invoke("hello:1", "{}").await.unwrap_err();
    assert_eq!((refused.code.as_ref(), refused.status), ("ResourceConflictException", 409));
}

/// The names of the snapshots once they are as wanted.
async fn snapshots(world: &World, wanted: impl Fn(&[String]) -> bool) -> Vec<String> {
    let found = async {
        loop {
            let entries = std::fs::read_dir(world.disk.folder.snapshots()).unwrap();
            let names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            if wanted(&names) {
                return names;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("snapshots come and go")
}

/// Makes `hello` under SnapStart, `$LATEST` too.
async fn create_latest(world: &World, variable: &str, value: &str) {
    let mut input = create("hello");
    input.snap_start = on();
    let variables = Some([(variable.to_owned(), value.to_owned())].into());
    input.environment = Some(aws::Environment { variables });
    input.tags = Some([("LAMBENT_SNAPSTART".to_owned(), "latest".to_owned())].into());
    world.call::<ops::CreateFunction>(input).await.unwrap();
}

#[tokio::test]
async fn latest_is_restored_where_a_tag_asks_for_it() {
    let world = World::new();
    create_latest(&world, "VALUE", "env").await;
    // It never waits for its snapshot.
    world.invoke("hello", "\"env\"").await.unwrap();
    assert!(world.walls.launched()[0].image.snapshot.is_none());
    let world = world.serve();
    let first = snapshots(&world, |names| names.len() == 1).await;
    // A change has one made of itself.
    let change_of = |value: &str| {
        let variables = Some([("VALUE".to_owned(), value.to_owned())].into());
        aws::UpdateFunctionConfigurationRequest {
            function_name: Some("hello".into()),
            environment: Some(aws::Environment { variables }),
            ..Default::default()
        }
    };
    world.call::<ops::UpdateFunctionConfiguration>(change_of("new")).await.unwrap();
    snapshots(&world, |names| names.len() == 2).await;
    // Of a third the first goes: nothing can be about to begin with it any more.
    world.call::<ops::UpdateFunctionConfiguration>(change_of("newest")).await.unwrap();
    snapshots(&world, |names| names.len() == 2 && !names.contains(&first[0])).await;
    let restored = |world: &World| {
        let last = world.walls.launched().pop().unwrap();
        assert_eq!(variable(&last.env, "AWS_LAMBDA_INITIALIZATION_TYPE").as_deref(), Some("snap-start"));
        last.image.snapshot.is_some()
    };
    world.invoke("hello", "\"env\"").await.unwrap();
    assert!(restored(&world));
    // It outlives the platform, and goes with what asked for it.
    let world = World::on(world.die().await).serve();
    world.invoke("hello", "\"env\"").await.unwrap();
    assert!(restored(&world));
    let untag = aws::UntagResourceRequest {
        resource: Some("arn:aws:lambda:us-east-1:000000000000:function:hello".into()),
        tag_keys: Some(vec!["LAMBENT_SNAPSTART".into()]),
    };
    world.call::<ops::UntagResource>(untag).await.unwrap();
    snapshots(&world, <[String]>::is_empty).await;
    world.call::<ops::UpdateFunctionConfiguration>(change_of("last")).await.unwrap();
    world.invoke("hello", "\"env\"").await.unwrap();
    assert!(world.walls.launched().pop().unwrap().image.snapshot.is_none());
}

#[tokio::test]
async fn the_snapshot_of_latest_goes_with_its_function() {
    let world = World::new().serve();
    create_latest(&world, "VALUE", "env").await;
    snapshots(&world, |names| names.len() == 1).await;
    delete(&world, None).await.unwrap();
    snapshots(&world, <[String]>::is_empty).await;
}

#[tokio::test]
async fn a_latest_without_a_snapshot_runs_init_and_is_not_tried_again() {
    let world = World::new();
    create_latest(&world, UNFIT, "it has 3 threads after INIT").await;
    let world = world.serve();
    for _ in 0..3 {
        world.invoke("hello", "{}").await.unwrap();
    }
    // A published version is made after it, so that it has been tried by then.
    publish(&world).await;
    settled(&world, "1").await;
    world.clocks.advance(3_600_000).await.unwrap();
    world.invoke("hello", "{}").await.unwrap();
    let launched = world.walls.launched();
    let taken = launched.iter().filter(|spec| variable(&spec.env, "_LAMBENT_SNAPSHOT").as_deref() == Some("take"));
    assert_eq!(taken.count(), 2, "one of each");
}

#[tokio::test]
async fn what_cannot_be_snapshotted_says_so_and_runs_init() {
    let world = World::new().serve();
    create_under(&world, UNFIT, "it has 3 threads after INIT").await;
    publish(&world).await;
    let made = settled(&world, "1").await;
    assert_eq!((made.state.as_deref(), snap(&made)), (Some("Active"), ("PublishedVersions", "Off")));
    let why = "SnapStart is off for this version: it has 3 threads after INIT";
    assert_eq!((made.state_reason.as_deref(), made.state_reason_code), (Some(why), None));
    world.invoke("hello:1", "{}").await.unwrap();
    let last = world.walls.launched().pop().unwrap();
    assert_eq!(variable(&last.env, "AWS_LAMBDA_INITIALIZATION_TYPE").as_deref(), Some("on-demand"));
}

#[tokio::test]
async fn what_fails_after_a_restore_is_told_as_aws_tells_it() {
    let world = World::new().serve();
    create_under(&world, RESTORE_ERROR, "Runtime.AfterRestoreError").await;
    publish(&world).await;
    assert_eq!(snap(&settled(&world, "1").await).1, "On", "the function's own code is not tried");
    let refused = world.invoke("hello:1", "{}").await.unwrap_err();
    let words =
        "The afterRestore() runtime hook encountered an error. For more information, check the Amazon CloudWatch logs.";
    assert_eq!(told(&refused), ("SnapStartException", 400, words));
}

#[tokio::test]
async fn what_does_not_go_with_snap_start_is_refused_in_awss_words() {
    type Case = (&'static str, fn(&mut aws::CreateFunctionRequest));
    let world = World::new().serve();
    let cases: [Case; 4] = [
        ("nodejs22.x", |input| input.runtime = Some("nodejs22.x".into())),
        ("python3.11", |input| input.runtime = Some("python3.11".into())),
        ("provided.al2023", |input| input.runtime = Some("provided.al2023".into())),
        ("Ephemeral storage greater than 512 MB", |input| {
            input.ephemeral_storage = Some(aws::EphemeralStorage { size: Some(513) });
        }),
    ];
    for (what, change) in cases {
        let mut input = create("other");
        input.snap_start = on();
        change(&mut input);
        let refused = world.call::<ops::CreateFunction>(input).await.unwrap_err();
        let words = format!("{what} is not supported for SnapStart enabled functions.");
        assert_eq!(told(&refused), ("InvalidParameterValueException", 400, words.as_str()));
    }
    create_under(&world, "VALUE", "env").await;
    let change = |input: aws::UpdateFunctionConfigurationRequest| {
        let input = aws::UpdateFunctionConfigurationRequest { function_name: Some("hello".into()), ..input };
        world.call::<ops::UpdateFunctionConfiguration>(input)
    };
    let larger = Some(aws::EphemeralStorage { size: Some(1024) });
    let refused =
        change(aws::UpdateFunctionConfigurationRequest { ephemeral_storage: larger.clone(), ..Default::default() });
    assert_eq!(refused.await.unwrap_err().code, "InvalidParameterValueException");
    publish(&world).await;
    let refused: Fault = world
        .call::<ops::PutProvisionedConcurrencyConfig>(aws::PutProvisionedConcurrencyConfigRequest {
            function_name: Some("hello".into()),
            qualifier: Some("1".into()),
            provisioned_concurrent_executions: Some(1),
        })
        .await
        .unwrap_err();
    let words = "Provisioned Concurrency is not supported for SnapStart enabled functions.";
    assert_eq!(told(&refused), ("InvalidParameterValueException", 400, words));
    // Switched off, both go.
    let off = Some(aws::SnapStart { apply_on: Some("None".into()) });
    let changed =
        aws::UpdateFunctionConfigurationRequest { snap_start: off, ephemeral_storage: larger, ..Default::default() };
    assert_eq!(snap(&change(changed).await.unwrap()), ("None", "Off"));
    // Nor is an alias that has provisioned concurrency moved to it, or partly.
    publish(&world).await;
    alias(&world, "live", "2").await;
    let input = aws::PutProvisionedConcurrencyConfigRequest {
        function_name: Some("hello".into()),
        qualifier: Some("live".into()),
        provisioned_concurrent_executions: Some(1),
    };
    world.call::<ops::PutProvisionedConcurrencyConfig>(input).await.unwrap();
    let moved = |version: &str, additional: Option<&str>| {
        let weights = additional.map(|version| [(version.to_owned(), 0.5)].into());
        world.call::<ops::UpdateAlias>(aws::UpdateAliasRequest {
            function_name: Some("hello".into()),
            name: Some("live".into()),
            function_version: Some(version.into()),
            routing_config: weights
                .map(|weights| aws::AliasRoutingConfiguration { additional_version_weights: Some(weights) }),
            ..Default::default()
        })
    };
    for (version, additional) in [("1", None), ("2", Some("1"))] {
        let refused = moved(version, additional).await.unwrap_err();
        assert_eq!(told(&refused), ("InvalidParameterValueException", 400, words));
    }
    moved("2", None).await.unwrap();
}

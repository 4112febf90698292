//! What is created can be seen, changed, listed, and is gone when deleted; all of it outlives a restart.

use std::collections::BTreeMap;

use base64::Engine as _;
use model::lambda::{self as aws, ops};
use store::Digest;

use crate::world::{Disk, World, create, package};

fn get(name: &str) -> aws::GetFunctionRequest {
    aws::GetFunctionRequest { function_name: Some(name.into()), qualifier: None }
}

#[tokio::test]
async fn a_created_function_is_described_as_aws_describes_it() {
    let world = World::new();
    let made = world.create("hello").await;
    let zip = package("hello");
    let sha = base64::engine::general_purpose::STANDARD.encode(Digest::of(&zip).as_bytes());
    let expected = aws::FunctionConfiguration {
        function_name: Some("hello".into()),
        function_arn: Some("arn:aws:lambda:us-east-1:000000000000:function:hello".into()),
        runtime: Some("python3.12".into()),
        role: Some("arn:aws:iam::000000000000:role/test".into()),
        handler: Some("app.handler".into()),
        code_size: Some(zip.len() as i64),
        description: Some(String::new()),
        timeout: Some(3),
        memory_size: Some(128),
        last_modified: made.last_modified.clone(),
        code_sha256: Some(sha),
        version: Some("$LATEST".into()),
        environment: None,
        tracing_config: Some(aws::TracingConfigResponse { mode: Some("PassThrough".into()) }),
        revision_id: made.revision_id.clone(),
        state: Some("Active".into()),
        last_update_status: Some("Successful".into()),
        package_type: Some("Zip".into()),
        architectures: Some(vec!["x86_64".into()]),
        ephemeral_storage: Some(aws::EphemeralStorage { size: Some(512) }),
        snap_start: Some(aws::SnapStartResponse {
            apply_on: Some("None".into()),
            optimization_status: Some("Off".into()),
        }),
        runtime_version_config: made.runtime_version_config.clone(),
        logging_config: Some(aws::LoggingConfig {
            log_format: Some("Text".into()),
            log_group: Some("/aws/lambda/hello".into()),
            ..aws::LoggingConfig::default()
        }),
        ..aws::FunctionConfiguration::default()
    };
    assert_eq!(made, expected);
    assert_eq!(made.revision_id.unwrap().len(), 36);
    let written = made.last_modified.unwrap();
    assert!(written.ends_with("+0000") && written.len() == "2026-11-21T05:20:00.000+0000".len(), "{written}");
}

#[tokio::test]
async fn what_was_made_is_there_after_a_restart() {
    let world = World::new();
    let mut input = create("hello");
    input.tags = Some(BTreeMap::from([("team".to_owned(), "blue".to_owned())]));
    input.environment =
        Some(aws::Environment { variables: Some(BTreeMap::from([("VALUE".to_owned(), "7".to_owned())])) });
    let made = world.call::<ops::CreateFunction>(input).await.unwrap();
    let reserve = aws::PutFunctionConcurrencyRequest {
        function_name: Some("hello".into()),
        reserved_concurrent_executions: Some(0),
    };
    world.call::<ops::PutFunctionConcurrency>(reserve).await.unwrap();
    let disk = world.die().await;

    let world = World::on(disk);
    let found = world.call::<ops::GetFunction>(get("hello")).await.unwrap();
    assert_eq!(found.configuration.unwrap(), made);
    assert_eq!(found.tags.unwrap()["team"], "blue");
    assert_eq!(found.concurrency.unwrap().reserved_concurrent_executions, Some(0));
    // The invoker was told: a function with nothing reserved is throttled.
    let throttled = world.invoke("hello", "{}").await.unwrap_err();
    assert_eq!((throttled.code.as_ref(), throttled.status), ("TooManyRequestsException", 429));
    let name = || Some("hello".to_owned());
    world
        .call::<ops::DeleteFunctionConcurrency>(aws::DeleteFunctionConcurrencyRequest { function_name: name() })
        .await
        .unwrap();
    assert_eq!(world.invoke("hello", "\"env\"").await.unwrap().payload.unwrap(), "\"7\"");
}

#[tokio::test]
async fn an_update_is_seen_by_the_next_invocation() {
    let world = World::new();
    let first = world.create("hello").await;
    assert_eq!(world.invoke("hello", "\"env\"").await.unwrap().payload.unwrap(), "\"\"");
    let variables = BTreeMap::from([("VALUE".to_owned(), "new".to_owned())]);
    let update = aws::UpdateFunctionConfigurationRequest {
        function_name: Some("hello".into()),
        environment: Some(aws::Environment { variables: Some(variables) }),
        memory_size: Some(256),
        description: Some("changed".into()),
        ..aws::UpdateFunctionConfigurationRequest::default()
    };
    let second = world.call::<ops::UpdateFunctionConfiguration>(update).await.unwrap();
    assert_eq!((second.memory_size, second.timeout), (Some(256), Some(3)));
    assert_ne!(second.revision_id, first.revision_id);
    assert_eq!(second.code_sha256, first.code_sha256);
    assert_eq!(world.invoke("hello", "\"env\"").await.unwrap().payload.unwrap(), "\"new\"");
    assert_eq!(world.walls.launched().last().unwrap().limits.memory_mb, 256);
}

#[tokio::test]
async fn new_code_runs_and_a_dry_run_changes_nothing() {
    let world = World::new();
    let first = world.create("hello").await;
    world.invoke("hello", "{}").await.unwrap();
    let update = |dry_run, revision_id| aws::UpdateFunctionCodeRequest {
        function_name: Some("hello".into()),
        zip_file: Some(package("other")),
        dry_run: Some(dry_run),
        revision_id,
        ..aws::UpdateFunctionCodeRequest::default()
    };
    let dry = world.call::<ops::UpdateFunctionCode>(update(true, None)).await.unwrap();
    assert_ne!(dry.code_sha256, first.code_sha256);
    assert_eq!(dry.revision_id, first.revision_id);
    let found = world.call::<ops::GetFunction>(get("hello")).await.unwrap().configuration.unwrap();
    assert_eq!(found, first);
    let stale = world.call::<ops::UpdateFunctionCode>(update(false, Some("old".into()))).await.unwrap_err();
    assert_eq!((stale.code.as_ref(), stale.status), ("PreconditionFailedException", 412));
    let second = world.call::<ops::UpdateFunctionCode>(update(false, first.revision_id.clone())).await.unwrap();
    assert_eq!(second.code_sha256, dry.code_sha256);
    world.invoke("hello", "{}").await.unwrap();
    let tasks: Vec<_> = world.walls.launched().into_iter().map(|spec| spec.image.task).collect();
    assert_eq!(tasks.len(), 2);
    assert_ne!(tasks[0], tasks[1]);
}

#[tokio::test]
async fn a_deleted_function_is_gone_with_everything_it_had() {
    let world = World::new();
    world.create("hello").await;
    let url = aws::CreateFunctionUrlConfigRequest {
        function_name: Some("hello".into()),
        auth_type: Some("NONE".into()),
        ..aws::CreateFunctionUrlConfigRequest::default()
    };
    world.call::<ops::CreateFunctionUrlConfig>(url).await.unwrap();
    let reserve = aws::PutFunctionConcurrencyRequest {
        function_name: Some("hello".into()),
        reserved_concurrent_executions: Some(900),
    };
    world.call::<ops::PutFunctionConcurrency>(reserve).await.unwrap();
    let delete = aws::DeleteFunctionRequest { function_name: Some("hello".into()), qualifier: None };
    let gone = world.call::<ops::DeleteFunction>(delete.clone()).await.unwrap();
    assert_eq!(gone.status_code, Some(204));
    let missing = world.call::<ops::DeleteFunction>(delete).await.unwrap_err();
    assert_eq!(
        (missing.status, missing.message.as_str()),
        (404, "Function not found: arn:aws:lambda:us-east-1:000000000000:function:hello")
    );
    let rows = world.disk.kv.range(store::Space::Control, store::Range::all(), 100, false).unwrap();
    let keys: Vec<String> = rows.iter().map(|(key, _)| String::from_utf8_lossy(key).into_owned()).collect();
    // Only the account's empty table of reservations is left.
    assert_eq!(keys, ["function-reserved/000000000000/us-east-1"]);
    assert_eq!(rows[0].1, "{}");
    world.create("hello").await;
    assert_eq!(world.invoke("hello", "1").await.unwrap().payload.unwrap(), "1");
}

#[tokio::test]
async fn lists_come_in_pages() {
    let world = World::new();
    for name in ["c", "a", "b"] {
        world.create(name).await;
    }
    let page =
        |marker| aws::ListFunctionsRequest { max_items: Some(2), marker, ..aws::ListFunctionsRequest::default() };
    let names = |functions: Option<Vec<aws::FunctionConfiguration>>| -> Vec<String> {
        functions.unwrap().into_iter().filter_map(|function| function.function_name).collect()
    };
    let first = world.call::<ops::ListFunctions>(page(None)).await.unwrap();
    assert!(first.next_marker.is_some());
    let second = world.call::<ops::ListFunctions>(page(first.next_marker)).await.unwrap();
    assert_eq!(names(first.functions), ["a", "b"]);
    assert_eq!(second.next_marker, None);
    let listed = second.functions.clone().unwrap().remove(0);
    assert_eq!((listed.state, listed.last_update_status, listed.runtime_version_config), (None, None, None));
    assert_eq!(names(second.functions), ["c"]);
    let versions = aws::ListVersionsByFunctionRequest {
        function_name: Some("a".into()),
        ..aws::ListVersionsByFunctionRequest::default()
    };
    let versions = world.call::<ops::ListVersionsByFunction>(versions).await.unwrap().versions.unwrap();
    assert_eq!(versions.len(), 1);
    assert_eq!(versions[0].function_arn.as_deref(), Some("arn:aws:lambda:us-east-1:000000000000:function:a:$LATEST"));
    let settings = world.call::<ops::GetAccountSettings>(aws::GetAccountSettingsRequest::default()).await.unwrap();
    assert_eq!(settings.account_usage.unwrap().function_count, Some(3));
}

#[tokio::test]
async fn tags_come_and_go() {
    let world = World::new();
    let arn = world.create("hello").await.function_arn;
    let tag = |key: &str| aws::TagResourceRequest {
        resource: arn.clone(),
        tags: Some(BTreeMap::from([(key.to_owned(), "v".to_owned())])),
    };
    world.call::<ops::TagResource>(tag("one")).await.unwrap();
    world.call::<ops::TagResource>(tag("two")).await.unwrap();
    let reserved = world.call::<ops::TagResource>(tag("aws:x")).await.unwrap_err();
    assert_eq!(reserved.code, "InvalidParameterValueException");
    let untag = aws::UntagResourceRequest { resource: arn.clone(), tag_keys: Some(vec!["one".into()]) };
    world.call::<ops::UntagResource>(untag).await.unwrap();
    let left = world.call::<ops::ListTags>(aws::ListTagsRequest { resource: arn.clone() }).await.unwrap();
    assert_eq!(left.tags.unwrap().into_keys().collect::<Vec<_>>(), ["two"]);
}

#[tokio::test]
async fn tags_that_say_how_a_function_is_walled_in_make_new_environments() {
    let world = World::new();
    let tags = |key: &str, value: &str| Some(BTreeMap::from([(key.to_owned(), value.to_owned())]));
    let input = aws::CreateFunctionRequest { tags: tags("LAMBENT_ISOLATION", "process"), ..create("hello") };
    let created = world.call::<ops::CreateFunction>(input).await.unwrap();
    let arn = created.function_arn.clone();
    let launched = async |count: usize, isolation: invoker::Isolation| {
        world.invoke("hello", "{}").await.unwrap();
        let specs = world.walls.launched();
        assert_eq!((specs.len(), specs.last().unwrap().isolation), (count, isolation));
    };
    launched(1, invoker::Isolation::Process).await;
    let tag = |key: &str, value: &str| aws::TagResourceRequest { resource: arn.clone(), tags: tags(key, value) };
    world.call::<ops::TagResource>(tag("team", "red")).await.unwrap();
    launched(1, invoker::Isolation::Process).await;
    world.call::<ops::TagResource>(tag("LAMBENT_ISOLATION", "microvm")).await.unwrap();
    launched(2, invoker::Isolation::MicroVm).await;
    world.call::<ops::TagResource>(tag("LAMBENT_EGRESS", "none")).await.unwrap();
    launched(3, invoker::Isolation::MicroVm).await;
    // What holds anyway changes nothing.
    let untag = |key: &str| aws::UntagResourceRequest { resource: arn.clone(), tag_keys: Some(vec![key.into()]) };
    world.call::<ops::UntagResource>(untag("team")).await.unwrap();
    launched(3, invoker::Isolation::MicroVm).await;
    world.call::<ops::UntagResource>(untag("LAMBENT_ISOLATION")).await.unwrap();
    launched(4, invoker::Isolation::Process).await;
    let now = world.call::<ops::GetFunction>(get("hello")).await.unwrap().configuration.unwrap();
    assert_eq!(now.revision_id, created.revision_id);
}

#[tokio::test]
async fn a_function_may_not_widen_what_the_platform_lets_it_reach() {
    let world = World::with(Disk::new(), |options| options.egress = Some(base::Egress::Public));
    let asks = |value: &str| Some(BTreeMap::from([("LAMBENT_EGRESS".to_owned(), value.to_owned())]));
    for value in ["all", "some"] {
        let input = aws::CreateFunctionRequest { tags: asks(value), ..create("hello") };
        let refused = world.call::<ops::CreateFunction>(input).await.unwrap_err();
        assert_eq!(refused.code, "InvalidParameterValueException");
    }
    let arn = world.create("hello").await.function_arn;
    let tag = aws::TagResourceRequest { resource: arn.clone(), tags: asks("all") };
    assert!(world.call::<ops::TagResource>(tag).await.unwrap_err().message.contains("--egress=public"));
    let tag = aws::TagResourceRequest { resource: arn, tags: asks("none") };
    world.call::<ops::TagResource>(tag).await.unwrap();
}

#[tokio::test]
async fn code_can_be_downloaded_from_where_get_function_says() {
    let world = World::new();
    world.create("hello").await;
    let found = world.call::<ops::GetFunction>(get("hello")).await.unwrap();
    let location = found.code.unwrap().location.unwrap();
    let path = location.strip_prefix("http://localhost:4566").unwrap();
    let (status, _, body) = crate::urls::http(&world, "GET", "127.0.0.1", path, &[], b"").await;
    assert_eq!((status, body), (200, package("hello").to_vec()));
    let (status, ..) = crate::urls::http(&world, "GET", "127.0.0.1", &format!("{path}0"), &[], b"").await;
    assert_eq!(status, 403);
}

//! What each setting and each name does, as a function's owner and its invocations see it.

use std::collections::BTreeMap;

use model::lambda::{self as aws, ops};

use crate::world::{Disk, World, create, invoke, package};

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// What an environment that was started last was given: a variable of it.
fn variable(world: &World, name: &str) -> String {
    let spec = world.walls.launched().pop().unwrap();
    let found = spec.env.iter().find(|(key, _)| key == name);
    found.map(|(_, value)| value.to_string_lossy().into_owned()).unwrap_or_default()
}

async fn update(
    world: &World,
    change: impl FnOnce(&mut aws::UpdateFunctionConfigurationRequest),
) -> Result<aws::FunctionConfiguration, base::Fault> {
    let mut input = aws::UpdateFunctionConfigurationRequest { function_name: some("hello"), ..Default::default() };
    change(&mut input);
    world.call::<ops::UpdateFunctionConfiguration>(input).await
}

#[tokio::test]
async fn settings_reach_the_environment_from_the_start() {
    let world = World::new();
    let input = aws::CreateFunctionRequest {
        memory_size: Some(512),
        ephemeral_storage: Some(aws::EphemeralStorage { size: Some(1024) }),
        handler: some("other.main"),
        role: some("arn:aws:iam::000000000000:role/other"),
        logging_config: Some(aws::LoggingConfig { log_group: some("/my/group"), ..Default::default() }),
        environment: Some(aws::Environment { variables: Some(BTreeMap::from([("VALUE".into(), "7".into())])) }),
        ..create("hello")
    };
    let made = world.call::<ops::CreateFunction>(input).await.unwrap();
    assert_eq!(world.invoke("hello", "\"env\"").await.unwrap().payload.unwrap(), "\"7\"");
    let limits = world.walls.launched().pop().unwrap().limits;
    assert_eq!((limits.memory_mb, limits.tmp_mb), (512, 1024));
    assert_eq!(variable(&world, "_HANDLER"), "other.main");
    assert_eq!(variable(&world, "AWS_SECRET_ACCESS_KEY"), "secret of other");
    assert_eq!(variable(&world, "AWS_LAMBDA_LOG_GROUP_NAME"), "/my/group");
    assert_eq!(made.logging_config.unwrap().log_group.as_deref(), Some("/my/group"));
}

#[tokio::test]
async fn a_changed_setting_reaches_the_next_environment() {
    let world = World::new();
    world.create("hello").await;
    let made = update(&world, |input| {
        input.ephemeral_storage = Some(aws::EphemeralStorage { size: Some(1024) });
        input.memory_size = Some(512);
        input.handler = some("other.main");
        input.role = some("arn:aws:iam::000000000000:role/other");
        input.logging_config = Some(aws::LoggingConfig { log_group: some("/my/group"), ..Default::default() });
    });
    made.await.unwrap();
    world.invoke("hello", "{}").await.unwrap();
    let limits = world.walls.launched().pop().unwrap().limits;
    assert_eq!((limits.memory_mb, limits.tmp_mb), (512, 1024));
    assert_eq!(variable(&world, "_HANDLER"), "other.main");
    assert_eq!(variable(&world, "AWS_SECRET_ACCESS_KEY"), "secret of other");
    assert_eq!(variable(&world, "AWS_LAMBDA_LOG_GROUP_NAME"), "/my/group");
    let runtime = update(&world, |input| input.runtime = some("python3.13")).await.unwrap();
    assert_eq!(runtime.runtime.as_deref(), Some("python3.13"));
}

#[tokio::test]
async fn a_function_that_takes_too_long_is_stopped_at_its_timeout() {
    let world = World::new();
    let input = aws::CreateFunctionRequest { timeout: Some(1), ..create("hello") };
    world.call::<ops::CreateFunction>(input).await.unwrap();
    let answer = world.invoke("hello", "\"hold\"").await.unwrap();
    assert_eq!(answer.function_error.as_deref(), Some("Unhandled"));
    let error = String::from_utf8(answer.payload.unwrap().to_vec()).unwrap();
    assert!(error.contains("Task timed out after 1.00 seconds"), "{error}");
    let changed = update(&world, |input| input.timeout = Some(2)).await.unwrap();
    assert_eq!(changed.timeout, Some(2));
    let answer = world.invoke("hello", "\"hold\"").await.unwrap();
    let error = String::from_utf8(answer.payload.unwrap().to_vec()).unwrap();
    assert!(error.contains("Task timed out after 2.00 seconds"), "{error}");
}

#[tokio::test]
async fn a_change_that_is_not_done_is_refused_by_name_and_a_stale_one_too() {
    let world = World::new();
    world.create("hello").await;
    type Case = (&'static str, fn(&mut aws::UpdateFunctionConfigurationRequest));
    let cases: [Case; 1] = [("LoggingConfig.LogFormat=JSON", |input| {
        input.logging_config = Some(aws::LoggingConfig { log_format: some("JSON"), ..Default::default() });
    })];
    for (named, change) in cases {
        let refused = update(&world, change).await.unwrap_err();
        assert_eq!((refused.code.as_ref(), refused.status), ("NotImplemented", 501));
        assert!(refused.message.contains(&format!(" UpdateFunctionConfiguration.{named};")), "{}", refused.message);
    }
    let stale = update(&world, |input| input.revision_id = some("old")).await.unwrap_err();
    assert_eq!((stale.code.as_ref(), stale.status), ("PreconditionFailedException", 412));
}

#[tokio::test]
async fn new_code_may_be_for_another_architecture() {
    let world = World::new();
    world.create("hello").await;
    let (own, other) = if cfg!(target_arch = "aarch64") { ("arm64", "x86_64") } else { ("x86_64", "arm64") };
    let code = |architecture: &str| aws::UpdateFunctionCodeRequest {
        function_name: some("hello"),
        zip_file: Some(package("other")),
        architectures: Some(vec![architecture.into()]),
        ..Default::default()
    };
    let changed = world.call::<ops::UpdateFunctionCode>(code(other)).await.unwrap();
    assert_eq!(changed.architectures, Some(vec![other.to_owned()]));
    assert_eq!(world.invoke("hello", "{}").await.unwrap_err().code, "InvalidRuntimeException");
    world.call::<ops::UpdateFunctionCode>(code(own)).await.unwrap();
    world.invoke("hello", "{}").await.unwrap();
}

#[tokio::test]
async fn only_the_function_and_the_version_that_are_named_are_meant() {
    let world = World::new();
    world.create("hello").await;
    let (name, seven) = (|| some("hello"), || some("7"));
    let config = |qualifier| aws::GetFunctionConfigurationRequest { function_name: name(), qualifier };
    let shown = world.call::<ops::GetFunctionConfiguration>(config(None)).await.unwrap();
    assert_eq!(shown.function_name, name());
    assert_eq!(world.call::<ops::GetFunctionConfiguration>(config(seven())).await.unwrap_err().status, 404);
    let get = aws::GetFunctionRequest { function_name: name(), qualifier: seven() };
    assert_eq!(world.call::<ops::GetFunction>(get).await.unwrap_err().status, 404);
    let runtime = |qualifier| aws::GetRuntimeManagementConfigRequest { function_name: name(), qualifier };
    let shown = world.call::<ops::GetRuntimeManagementConfig>(runtime(None)).await.unwrap();
    assert_eq!(shown.function_arn.as_deref(), Some("arn:aws:lambda:us-east-1:000000000000:function:hello:$LATEST"));
    assert_eq!(world.call::<ops::GetRuntimeManagementConfig>(runtime(seven())).await.unwrap_err().status, 404);
    let signing = aws::GetFunctionCodeSigningConfigRequest { function_name: name() };
    let shown = world.call::<ops::GetFunctionCodeSigningConfig>(signing).await.unwrap();
    assert_eq!(shown.function_name, name());
    let run = aws::InvocationRequest { qualifier: seven(), ..invoke("hello", "{}") };
    assert_eq!(world.call::<ops::Invoke>(run).await.unwrap_err().status, 404);
    let reserved = aws::GetFunctionConcurrencyRequest { function_name: name() };
    let shown = world.call::<ops::GetFunctionConcurrency>(reserved).await.unwrap();
    assert_eq!(shown.reserved_concurrent_executions, None);
}

#[tokio::test]
async fn lists_say_which_version_when_asked_and_turn_pages() {
    let world = World::new();
    world.create("hello").await;
    let list = aws::ListFunctionsRequest { function_version: some("ALL"), ..Default::default() };
    let shown = world.call::<ops::ListFunctions>(list).await.unwrap().functions.unwrap();
    assert!(shown[0].function_arn.as_deref().unwrap().ends_with(":hello:$LATEST"));
    let versions =
        |marker| aws::ListVersionsByFunctionRequest { function_name: some("hello"), marker, max_items: None };
    let first = world.call::<ops::ListVersionsByFunction>(versions(None)).await.unwrap();
    assert_eq!((first.versions.unwrap().len(), first.next_marker), (1, None));
    let bad = world.call::<ops::ListVersionsByFunction>(versions(some("not ours"))).await.unwrap_err();
    assert_eq!(bad.code, "InvalidParameterValueException");
    let none = aws::ListVersionsByFunctionRequest { max_items: Some(0), ..versions(None) };
    assert_eq!(world.call::<ops::ListVersionsByFunction>(none).await.unwrap_err().code, "ValidationException");
}

#[tokio::test]
async fn the_oldest_way_to_send_an_event_still_does() {
    let mut world = World::new().serve();
    world.create("hello").await;
    let input = aws::InvokeAsyncRequest { function_name: some("hello"), invoke_args: Some("{\"n\":1}".into()) };
    assert_eq!(world.call::<ops::InvokeAsync>(input).await.unwrap().status, Some(202));
    assert_eq!(world.begins().await, "{\"n\":1}");
}

#[tokio::test]
async fn debuggers_are_for_platforms_on_loopback() {
    let debugged = |port: &str| {
        let variables = Some(BTreeMap::from([("LAMBENT_DEBUG_PORT".to_owned(), port.to_owned())]));
        aws::CreateFunctionRequest { environment: Some(aws::Environment { variables }), ..create("hello") }
    };
    let world = World::with(Disk::new(), |options| options.loopback = false);
    let refused = world.call::<ops::CreateFunction>(debugged("80")).await.unwrap_err();
    assert!(refused.message.contains("LAMBENT_DEBUG_PORT must be a port"), "{}", refused.message);
    world.call::<ops::CreateFunction>(debugged("5678")).await.unwrap();
    let refused = world.invoke("hello", "{}").await.unwrap_err();
    assert!(refused.message.contains("platforms that listen on loopback only"), "{}", refused.message);
}

//! Synchronous invocations.

use bytes::Bytes;
use model::lambda::{self as aws, ops};

use crate::world::{World, create, invoke, zip_of};

#[tokio::test]
async fn an_answer_comes_back_as_it_was_given() {
    let world = World::new();
    world.create("hello").await;
    let answer = world.invoke("hello", " {\"a\":1} ").await.unwrap();
    assert_eq!(
        answer,
        aws::InvocationResponse {
            status_code: Some(200),
            payload: Some(Bytes::from_static(b" {\"a\":1} ")),
            executed_version: Some("$LATEST".into()),
            ..aws::InvocationResponse::default()
        }
    );
    let nothing = aws::InvocationRequest { payload: None, ..invoke("hello", "") };
    assert_eq!(world.call::<ops::Invoke>(nothing).await.unwrap().payload.unwrap(), "{}");
    assert_eq!(world.walls.launched().len(), 1);
}

#[tokio::test]
async fn a_function_gets_its_environment() {
    let world = World::new();
    world.create("hello").await;
    world.invoke("arn:aws:lambda:us-east-1:000000000000:function:hello:$LATEST", "{}").await.unwrap();
    let spec = world.walls.launched().remove(0);
    let env = |name: &str| {
        let found = spec.env.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.to_string_lossy().into_owned()).unwrap_or_default()
    };
    assert_eq!(env("_HANDLER"), "app.handler");
    assert_eq!(env("AWS_LAMBDA_FUNCTION_NAME"), "hello");
    assert_eq!(env("AWS_ACCESS_KEY_ID"), "ASIA-000000000000");
    assert_eq!(env("AWS_SECRET_ACCESS_KEY"), "secret of test");
    assert_eq!(env("AWS_SESSION_TOKEN"), "token of hello");
    assert_eq!(spec.argv.first().unwrap(), "/usr/bin/python3.12");
    assert!(spec.image.runtime.iter().any(|mount| mount.source.ends_with("bootstraps")));
    assert!(spec.image.task.join("app.py").exists());
}

#[tokio::test]
async fn a_failure_of_the_function_is_marked_and_the_tail_is_given() {
    let world = World::new();
    world.create("hello").await;
    let input = aws::InvocationRequest { log_type: Some("Tail".into()), ..invoke("hello", "\"fail\"") };
    let answer = world.call::<ops::Invoke>(input).await.unwrap();
    assert_eq!(answer.status_code, Some(200));
    assert_eq!(answer.function_error.as_deref(), Some("Unhandled"));
    assert!(answer.payload.unwrap().starts_with(b"{\"errorType\":\"ValueError\""));
    let tail = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, answer.log_result.unwrap()).unwrap();
    let tail = String::from_utf8(tail).unwrap();
    assert!(tail.contains("START RequestId: ") && tail.contains("REPORT RequestId: "), "{tail}");
}

#[tokio::test]
async fn a_dry_run_runs_nothing() {
    let world = World::new();
    world.create("hello").await;
    let dry = |name: &str| aws::InvocationRequest { invocation_type: Some("DryRun".into()), ..invoke(name, "{}") };
    assert_eq!(world.call::<ops::Invoke>(dry("hello")).await.unwrap().status_code, Some(204));
    assert_eq!(world.call::<ops::Invoke>(dry("nobody")).await.unwrap_err().status, 404);
    assert!(world.walls.launched().is_empty());
}

#[tokio::test]
async fn a_throttle_says_why() {
    let world = World::new();
    world.create("hello").await;
    let reserve = aws::PutFunctionConcurrencyRequest {
        function_name: Some("hello".into()),
        reserved_concurrent_executions: Some(0),
    };
    world.call::<ops::PutFunctionConcurrency>(reserve).await.unwrap();
    let fault = world.invoke("hello", "{}").await.unwrap_err();
    assert_eq!(
        (fault.code.as_ref(), fault.status, fault.message.as_str()),
        ("TooManyRequestsException", 429, "Rate Exceeded.")
    );
    let reason = ("Reason", "ReservedFunctionConcurrentInvocationLimitExceeded".to_owned());
    assert!(fault.fields.contains(&reason) && fault.fields.contains(&("Type", "User".to_owned())));
}

#[tokio::test]
async fn an_update_lets_old_invocations_finish_on_old_code() {
    let mut world = World::new();
    world.create("hello").await;
    let router = std::sync::Arc::clone(&world.router);
    let old = tokio::spawn(crate::world::call::<ops::Invoke>(router, invoke("hello", "\"hold\"")));
    assert_eq!(world.begins().await, "\"hold\"");
    let update = aws::UpdateFunctionCodeRequest {
        function_name: Some("hello".into()),
        zip_file: Some(crate::world::package("new")),
        ..aws::UpdateFunctionCodeRequest::default()
    };
    world.call::<ops::UpdateFunctionCode>(update).await.unwrap();
    assert_eq!(world.invoke("hello", "2").await.unwrap().payload.unwrap(), "2");
    world.gate.add_permits(1);
    assert_eq!(old.await.unwrap().unwrap().payload.unwrap(), "\"hold\"");
}

#[tokio::test]
async fn a_custom_runtime_needs_a_bootstrap() {
    let world = World::new();
    let custom = |name: &str, file: &str| {
        let mut input = create(name);
        input.runtime = Some("provided.al2023".into());
        let zip_file = Some(zip_of(&[(file, b"#!/bin/sh", 0o755)]));
        input.code = Some(aws::FunctionCode { zip_file, ..aws::FunctionCode::default() });
        input
    };
    world.call::<ops::CreateFunction>(custom("good", "bootstrap")).await.unwrap();
    assert_eq!(world.invoke("good", "1").await.unwrap().payload.unwrap(), "1");
    assert_eq!(world.walls.launched().remove(0).argv, ["/var/task/bootstrap"]);
    world.call::<ops::CreateFunction>(custom("bad", "main")).await.unwrap();
    let answer = world.invoke("bad", "1").await.unwrap();
    assert_eq!(answer.function_error.as_deref(), Some("Unhandled"));
    let error: serde_json::Value = serde_json::from_slice(&answer.payload.unwrap()).unwrap();
    assert_eq!(error["errorType"], "Runtime.InvalidEntrypoint");
    let message = error["errorMessage"].as_str().unwrap();
    assert!(message.ends_with("Error: Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"));
}

//! The life of a function as aws-sdk-rust sees it, with its paginators and modelled errors.
//!
//! Called with a zip, a second zip, a runtime, a role's name and the function's name; endpoint, region and keys come from the
//! environment. Prints `lived`.

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{Environment, FunctionCode, InvocationType, LogType, Runtime, State};

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow",
    "Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

struct Asked {
    zip: Vec<u8>,
    second: Vec<u8>,
    runtime: String,
    role: String,
    name: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [zip, second, runtime, role, name] = arguments.try_into().expect("ZIP ZIP RUNTIME ROLE NAME");
    let read = |path: String| std::fs::read(path).expect("the archive is there");
    let asked = Asked { zip: read(zip), second: read(second), runtime, role, name };
    let http = aws_smithy_http_client::Builder::new().build_http();
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await;
    let role = identity(&config, &asked).await;
    function(&aws_sdk_lambda::Client::new(&config), &asked, &role).await;
    aws_sdk_iam::Client::new(&config).delete_role().role_name(&asked.role).send().await.expect("DeleteRole");
    println!("lived");
}

/// Who it is, and the function's role.
async fn identity(config: &aws_config::SdkConfig, asked: &Asked) -> String {
    let who = aws_sdk_sts::Client::new(config).get_caller_identity().send().await.expect("GetCallerIdentity");
    assert_eq!(who.account(), Some("000000000000"));
    let iam = aws_sdk_iam::Client::new(config);
    let missing = iam.get_role().role_name("nobody").send().await.expect_err("nobody made it").into_service_error();
    assert!(missing.is_no_such_entity_exception(), "{missing:?}");
    let make = || iam.create_role().role_name(&asked.role).assume_role_policy_document(TRUST).send();
    let role = make().await.expect("CreateRole").role.expect("a role").arn;
    let taken = make().await.expect_err("it is there").into_service_error();
    assert!(taken.is_entity_already_exists_exception(), "{taken:?}");
    let mut pages = iam.list_roles().into_paginator().page_size(1).items().send();
    let mut seen = Vec::new();
    while let Some(role) = pages.next().await {
        seen.push(role.expect("a role").role_name);
    }
    assert!(seen.contains(&asked.role));
    role
}

async fn function(lambda: &aws_sdk_lambda::Client, asked: &Asked, role: &str) {
    let name = &asked.name;
    let missing = lambda.get_function().function_name(name).send().await.expect_err("not yet").into_service_error();
    assert!(missing.is_resource_not_found_exception(), "{missing:?}");
    let create = || {
        lambda
            .create_function()
            .function_name(name)
            .runtime(Runtime::from(asked.runtime.as_str()))
            .role(role)
            .handler("app.handler")
            .code(FunctionCode::builder().zip_file(Blob::new(asked.zip.clone())).build())
            .environment(Environment::builder().variables("STAGE", "one").build())
            .tags("team", "blue")
            .send()
    };
    create().await.expect("CreateFunction");
    settled(lambda, name).await;
    let taken = create().await.expect_err("it is there").into_service_error();
    assert!(taken.is_resource_conflict_exception(), "{taken:?}");
    let got = lambda.get_function().function_name(name).send().await.expect("GetFunction");
    assert_eq!(got.tags().and_then(|tags| tags.get("team")).map(String::as_str), Some("blue"));
    invokes(lambda, name).await;
    let code = lambda.update_function_code().function_name(name).zip_file(Blob::new(asked.second.clone()));
    code.send().await.expect("UpdateFunctionCode");
    settled(lambda, name).await;
    let again = lambda.invoke().function_name(name).payload(Blob::new(r#"{"say":"hi"}"#)).send().await.expect("Invoke");
    assert_eq!(text(again.payload()), r#"{"second": "hi", "stage": "one"}"#);
    let published = lambda.publish_version().function_name(name).send().await.expect("PublishVersion");
    assert_eq!(published.version(), Some("1"));
    let alias = lambda.create_alias().function_name(name).name("live").function_version("1");
    alias.send().await.expect("CreateAlias");
    let by =
        lambda.invoke().function_name(name).qualifier("live").payload(Blob::new("{}")).send().await.expect("Invoke");
    assert_eq!(by.executed_version(), Some("1"));
    let mut pages = lambda.list_functions().into_paginator().page_size(1).items().send();
    let mut seen = Vec::new();
    while let Some(function) = pages.next().await {
        seen.extend(function.expect("a function").function_name);
    }
    assert!(seen.contains(name));
    lambda.delete_function().function_name(name).send().await.expect("DeleteFunction");
    let gone = lambda.invoke().function_name(name).send().await.expect_err("it is gone").into_service_error();
    assert!(gone.is_resource_not_found_exception(), "{gone:?}");
}

async fn invokes(lambda: &aws_sdk_lambda::Client, name: &str) {
    let call = |payload: &str| lambda.invoke().function_name(name).payload(Blob::new(payload));
    let sync = call(r#"{"say":"hello"}"#).log_type(LogType::Tail).send().await.expect("Invoke");
    assert_eq!((sync.status_code(), sync.function_error(), sync.log_result().is_some()), (200, None, true));
    assert_eq!(text(sync.payload()), r#"{"said": "hello", "stage": "one"}"#);
    let queued = call("{}").invocation_type(InvocationType::Event).send().await.expect("Invoke");
    let dry = call("{}").invocation_type(InvocationType::DryRun).send().await.expect("Invoke");
    assert_eq!((queued.status_code(), dry.status_code()), (202, 204));
    let failed = call(r#"{"fail":true}"#).send().await.expect("Invoke");
    assert_eq!(failed.function_error(), Some("Unhandled"));
    assert!(text(failed.payload()).contains("ValueError"));
    let bad = call("{").send().await.expect_err("that is no JSON").into_service_error();
    assert!(bad.is_invalid_request_content_exception(), "{bad:?}");
}

/// Waits until the function is active and no change is under way: this SDK has no waiters for it.
async fn settled(lambda: &aws_sdk_lambda::Client, name: &str) {
    for _ in 0..200 {
        let is =
            lambda.get_function_configuration().function_name(name).send().await.expect("GetFunctionConfiguration");
        let changing = is.last_update_status().is_some_and(|status| status.as_str() == "InProgress");
        if is.state() == Some(&State::Active) && !changing {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{name} never became active");
}

fn text(payload: Option<&Blob>) -> &str {
    payload.map_or("", |blob| std::str::from_utf8(blob.as_ref()).expect("text"))
}

//! What is wrong is refused with AWS's code, status and words, and leaves nothing behind.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};

use base::Fault;
use bytes::Bytes;
use model::lambda::{self as aws, ops};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::world::{World, create, invoke, package, zip_of};

async fn refused(world: &World, change: impl FnOnce(&mut aws::CreateFunctionRequest)) -> (String, u16, String) {
    let mut input = create("hello");
    change(&mut input);
    told(world.call::<ops::CreateFunction>(input).await.unwrap_err())
}

fn told(fault: Fault) -> (String, u16, String) {
    (fault.code.into_owned(), fault.status, fault.message)
}

fn invalid(message: &str) -> (String, u16, String) {
    ("InvalidParameterValueException".into(), 400, message.into())
}

fn with_zip(zip: Bytes) -> impl FnOnce(&mut aws::CreateFunctionRequest) {
    move |input| input.code = Some(aws::FunctionCode { zip_file: Some(zip), ..aws::FunctionCode::default() })
}

#[tokio::test]
async fn names_are_checked() {
    let world = World::new();
    world.create("hello").await;
    assert_eq!(
        refused(&world, |_| {}).await,
        ("ResourceConflictException".into(), 409, "Function already exist: hello".into())
    );
    let (code, status, message) = refused(&world, |input| input.function_name = Some("n".repeat(65))).await;
    assert_eq!((code.as_str(), status), ("ValidationException", 400));
    assert!(message.ends_with("Member must have length less than or equal to 64"), "{message}");
    let elsewhere = "arn:aws:lambda:eu-west-1:000000000000:function:hello";
    assert_eq!(
        told(world.invoke(elsewhere, "{}").await.unwrap_err()),
        (
            "ResourceNotFoundException".into(),
            404,
            "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')".into()
        )
    );
    let missing = world.invoke("nobody", "{}").await.unwrap_err();
    assert_eq!(missing.fields, [("Type", "User".to_owned())]);
    assert_eq!(missing.message, "Function not found: arn:aws:lambda:us-east-1:000000000000:function:nobody");
    let version = world.invoke("hello:7", "{}").await.unwrap_err();
    assert_eq!(version.message, "Function not found: arn:aws:lambda:us-east-1:000000000000:function:hello:7");
    let delete = aws::DeleteFunctionRequest { function_name: Some("hello".into()), qualifier: Some("$LATEST".into()) };
    assert_eq!(
        told(world.call::<ops::DeleteFunction>(delete).await.unwrap_err()),
        invalid("$LATEST version cannot be deleted without deleting the function.")
    );
}

#[tokio::test]
async fn settings_are_checked() {
    let world = World::new();
    assert_eq!(
        refused(&world, |input| input.handler = None).await,
        invalid("Runtime and Handler are mandatory parameters for functions created with deployment packages.")
    );
    let (code, _, message) = refused(&world, |input| input.runtime = Some("cobol85".into())).await;
    assert_eq!(code, "InvalidParameterValueException");
    assert!(message.starts_with("Value cobol85 at 'runtime' failed to satisfy constraint: Member must satisfy enum"));
    let reserved = BTreeMap::from([("AWS_REGION".to_owned(), "x".to_owned())]);
    let environment = aws::Environment { variables: Some(reserved) };
    let (_, _, message) = refused(&world, |input| input.environment = Some(environment)).await;
    assert!(message.ends_with("Reserved keys used in this request: AWS_REGION"), "{message}");
    let many = (0..51).map(|n| (n.to_string(), String::new())).collect();
    assert_eq!(
        refused(&world, |input| input.tags = Some(many)).await,
        invalid("Number of tags exceeds resource tag limit.")
    );
}

#[tokio::test]
async fn what_is_not_done_is_refused_by_name() {
    type Case = (&'static str, fn(&mut aws::CreateFunctionRequest));
    let world = World::new();
    let cases: [Case; 7] = [
        ("CreateFunction.VpcConfig", |input| {
            let subnet_ids = Some(vec!["subnet-1".to_owned()]);
            input.vpc_config = Some(aws::VpcConfig { subnet_ids, ..aws::VpcConfig::default() });
        }),
        ("CreateFunction.DeadLetterConfig to SNS", |input| {
            let target_arn = Some("arn:aws:sns:us-east-1:000000000000:t".to_owned());
            input.dead_letter_config = Some(aws::DeadLetterConfig { target_arn });
        }),
        ("CreateFunction.KMSKeyArn", |input| input.kms_key_arn = Some("arn:aws:kms:x".into())),
        ("SnapStart.ApplyOn=PublishedVersions of java21", |input| {
            input.runtime = Some("java21".into());
            input.snap_start = Some(aws::SnapStart { apply_on: Some("PublishedVersions".into()) });
        }),
        ("CreateFunction.LoggingConfig.LogFormat=JSON", |input| {
            let log_format = Some("JSON".to_owned());
            input.logging_config = Some(aws::LoggingConfig { log_format, ..aws::LoggingConfig::default() });
        }),
        ("CreateFunction.DurableConfig", |input| input.durable_config = Some(aws::DurableConfig::default())),
        ("CreateFunction.Code.S3ObjectStorageMode", |input| {
            let s3_object_storage_mode = Some("REFERENCE".to_owned());
            input.code = Some(aws::FunctionCode { s3_object_storage_mode, ..aws::FunctionCode::default() });
        }),
    ];
    for (named, change) in cases {
        let (code, status, message) = refused(&world, change).await;
        assert_eq!((code.as_str(), status), ("NotImplemented", 501), "{message}");
        assert!(message.contains(&format!(" {named};")), "{message}");
    }
    // What asks for nothing is no request.
    let mut input = create("hello");
    input.vpc_config = Some(aws::VpcConfig { subnet_ids: Some(Vec::new()), ..aws::VpcConfig::default() });
    input.layers = Some(Vec::new());
    input.publish = Some(false);
    input.kms_key_arn = Some(String::new());
    input.snap_start = Some(aws::SnapStart { apply_on: Some("None".into()) });
    world.call::<ops::CreateFunction>(input).await.unwrap();
}

#[tokio::test]
async fn hostile_packages_leave_nothing_behind() {
    let world = World::new().serve();
    let broken = "Could not unzip uploaded file. Please check your file, then try to upload again.";
    let unzip = |name: &str| zip_of(&[(name, b"x", 0o644)]);
    for zip in [Bytes::from_static(b"not a zip"), unzip("../evil"), unzip("/etc/passwd"), unzip("a/../../b")] {
        assert_eq!(refused(&world, with_zip(zip)).await, invalid(broken));
    }
    let mut link = ZipWriter::new(Cursor::new(Vec::new()));
    link.add_symlink("out", "/etc", SimpleFileOptions::default()).unwrap();
    assert_eq!(refused(&world, with_zip(link.finish().unwrap().into_inner().into())).await, invalid(broken));
    assert_eq!(refused(&world, with_zip(Bytes::new())).await, invalid("Uploaded file must be a non-empty zip"));
    assert_eq!(
        refused(&world, |input| input.code = Some(aws::FunctionCode::default())).await,
        invalid("Please provide a source for function code.")
    );
    let mut bomb = ZipWriter::new(Cursor::new(Vec::new()));
    bomb.start_file("bomb", SimpleFileOptions::default()).unwrap();
    let block = vec![0; 1 << 20];
    for _ in 0..251 {
        bomb.write_all(&block).unwrap();
    }
    assert_eq!(
        refused(&world, with_zip(bomb.finish().unwrap().into_inner().into())).await,
        invalid("Unzipped size must be smaller than 262144000 bytes")
    );
    let large = Bytes::from(vec![0; 52_428_801]);
    assert_eq!(
        refused(&world, with_zip(large)).await,
        (
            "RequestEntityTooLargeException".into(),
            413,
            "Request must be smaller than 69905067 bytes for the CreateFunction operation".into()
        )
    );
    let rows = world.disk.kv.range(store::Space::Control, store::Range::all(), 10, false).unwrap();
    assert!(rows.is_empty());
    assert!(store::Trees::at(&world.disk.folder).list().await.unwrap().is_empty());
    assert!(store::Blobs::at(&world.disk.folder).list().await.unwrap().is_empty());
}

#[tokio::test]
async fn events_are_checked() {
    let world = World::new();
    world.create("hello").await;
    let (code, status, message) = told(world.invoke("hello", "{'a': 1}").await.unwrap_err());
    assert_eq!((code.as_str(), status), ("InvalidRequestContentException", 400));
    assert!(message.starts_with("Could not parse request body into json: Could not parse payload into json: "));
    let large = format!("\"{}\"", "x".repeat(6_291_455));
    assert_eq!(
        told(world.invoke("hello", &large).await.unwrap_err()),
        (
            "RequestEntityTooLargeException".into(),
            413,
            "Request must be smaller than 6291456 bytes for the InvokeFunction operation".into()
        )
    );
    let large = format!("\"{}\"", "x".repeat(1_048_576));
    let event = aws::InvocationRequest { invocation_type: Some("Event".into()), ..invoke("hello", &large) };
    let (code, status, message) = told(world.call::<ops::Invoke>(event).await.unwrap_err());
    assert_eq!((code.as_str(), status), ("RequestEntityTooLargeException", 413));
    assert!(message.contains("1048576"), "{message}");
    let context = aws::InvocationRequest { client_context: Some("e30".into()), ..invoke("hello", "{}") };
    let (code, _, message) = told(world.call::<ops::Invoke>(context).await.unwrap_err());
    assert_eq!(code, "InvalidRequestContentException");
    assert_eq!(message, "Client context must be a valid Base64-encoded JSON object.");
}

#[tokio::test]
async fn what_cannot_run_here_says_what_would_mend_it() {
    let world = World::new();
    let other = if cfg!(target_arch = "aarch64") { "x86_64" } else { "arm64" };
    let mut input = create("other");
    input.architectures = Some(vec![other.into()]);
    world.call::<ops::CreateFunction>(input).await.unwrap();
    let (code, status, message) = told(world.invoke("other", "{}").await.unwrap_err());
    assert_eq!((code.as_str(), status), ("InvalidRuntimeException", 502));
    assert!(message.contains("this host is"), "{message}");

    let mut input = create("node");
    input.runtime = Some("nodejs22.x".into());
    world.call::<ops::CreateFunction>(input).await.unwrap();
    let (code, _, message) = told(world.invoke("node", "{}").await.unwrap_err());
    assert_eq!(code, "InvalidRuntimeException");
    assert!(message.contains("nvm install 22"), "{message}");

    let mut input = create("foreign");
    let module = "PIL/_imaging.cpython-39-x86_64-linux-gnu.so";
    let zip_file = Some(zip_of(&[("app.py", b"import PIL", 0o644), (module, b"ELF", 0o755)]));
    input.code = Some(aws::FunctionCode { zip_file, ..aws::FunctionCode::default() });
    world.call::<ops::CreateFunction>(input).await.unwrap();
    let (code, _, message) = told(world.invoke("foreign", "{}").await.unwrap_err());
    assert_eq!(code, "InvalidRuntimeException");
    assert!(message.starts_with(module), "{message}");
}

#[tokio::test]
async fn reservations_leave_a_hundred_unreserved() {
    let world = World::new();
    world.create("one").await;
    world.create("two").await;
    let put = |name: &str, n| aws::PutFunctionConcurrencyRequest {
        function_name: Some(name.into()),
        reserved_concurrent_executions: Some(n),
    };
    world.call::<ops::PutFunctionConcurrency>(put("one", 500)).await.unwrap();
    assert_eq!(
        told(world.call::<ops::PutFunctionConcurrency>(put("two", 401)).await.unwrap_err()),
        invalid(
            "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below \
             its minimum value of [100]."
        )
    );
    world.call::<ops::PutFunctionConcurrency>(put("one", 600)).await.unwrap();
    world.call::<ops::PutFunctionConcurrency>(put("two", 300)).await.unwrap();
    let settings = world.call::<ops::GetAccountSettings>(aws::GetAccountSettingsRequest::default()).await.unwrap();
    assert_eq!(settings.account_limit.unwrap().unreserved_concurrent_executions, Some(100));
    assert_eq!(package("x"), package("x"));
}

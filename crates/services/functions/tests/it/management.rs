//! Runtime management, recursion, tracing.

use base::{Account, Principal, Region, RequestId, SystemRng};
use door::{Body, Call, Dispatch, Input, Origin, Via};
use model::lambda::{self as aws, ops};
use wire::Op;

use crate::versions::{ARN, delete, publish, told};
use crate::world::{World, create, invoke};

#[tokio::test]
async fn a_runtime_version_is_pinned_for_each_version() {
    let world = World::new();
    let made = world.create("hello").await;
    let get = |qualifier: Option<&str>| aws::GetRuntimeManagementConfigRequest {
        function_name: Some("hello".into()),
        qualifier: qualifier.map(str::to_owned),
    };
    let put = |on: &str, arn: Option<String>| aws::PutRuntimeManagementConfigRequest {
        function_name: Some("hello".into()),
        update_runtime_on: Some(on.into()),
        runtime_version_arn: arn,
        ..Default::default()
    };
    let auto = world.call::<ops::GetRuntimeManagementConfig>(get(None)).await.unwrap();
    assert_eq!((auto.update_runtime_on.as_deref(), auto.runtime_version_arn), (Some("Auto"), None));
    assert_eq!(auto.function_arn, Some(format!("{ARN}:$LATEST")));
    let arn = made.runtime_version_config.unwrap().runtime_version_arn;
    for (on, arn) in
        [("Manual", None), ("Manual", Some("arn:aws:lambda:us-east-1::runtime:x".to_owned())), ("Auto", arn.clone())]
    {
        let refused = world.call::<ops::PutRuntimeManagementConfig>(put(on, arn)).await.unwrap_err();
        assert_eq!(refused.status, 400, "{on}");
    }
    let pinned = world.call::<ops::PutRuntimeManagementConfig>(put("Manual", arn.clone())).await.unwrap();
    assert_eq!((pinned.update_runtime_on.as_deref(), &pinned.runtime_version_arn), (Some("Manual"), &arn));
    publish(&world).await;
    world.call::<ops::PutRuntimeManagementConfig>(put("FunctionUpdate", None)).await.unwrap();
    let world = World::on(world.die().await);
    let of_version = world.call::<ops::GetRuntimeManagementConfig>(get(Some("1"))).await.unwrap();
    assert_eq!((of_version.update_runtime_on.as_deref(), of_version.runtime_version_arn), (Some("Manual"), arn));
    assert_eq!(of_version.function_arn, Some(format!("{ARN}:1")));
    let latest = world.call::<ops::GetRuntimeManagementConfig>(get(None)).await.unwrap();
    assert_eq!(latest.update_runtime_on.as_deref(), Some("FunctionUpdate"));
    let of_version = aws::PutRuntimeManagementConfigRequest { qualifier: Some("1".into()), ..put("Auto", None) };
    let of_version = world.call::<ops::PutRuntimeManagementConfig>(of_version).await.unwrap();
    assert_eq!(of_version.function_arn, Some(format!("{ARN}:1")));
    let of_version = world.call::<ops::GetRuntimeManagementConfig>(get(Some("1"))).await.unwrap();
    assert_eq!((of_version.update_runtime_on.as_deref(), of_version.runtime_version_arn), (Some("Auto"), None));
    delete(&world, Some("1")).await.unwrap();
    assert_eq!(world.call::<ops::GetRuntimeManagementConfig>(get(Some("1"))).await.unwrap_err().status, 404);
    world.call::<ops::PutRuntimeManagementConfig>(put("Auto", None)).await.unwrap();
}

/// Invokes with a trace header.
async fn traced(world: &World, trace: Option<&str>, kind: &str) -> Result<aws::InvocationResponse, base::Fault> {
    let input = aws::InvocationRequest { invocation_type: Some(kind.into()), ..invoke("hello", "{}") };
    let call = Call {
        principal: Principal::Root { account: Account::DEFAULT, verified: true },
        origin: Origin::default(),
        via: Via::Sandbox,
        operation: ops::Invoke::ROW,
        input: Input::Typed(Box::new(input)),
        body: Body::Empty,
        region: Region::default_region(),
        request_id: RequestId::new(&SystemRng),
        deadline: None,
        depth: 0,
        trace: trace.map(str::to_owned),
    };
    Ok(world.router.call(call).await?.typed().unwrap())
}

#[tokio::test]
async fn an_endless_loop_ends_unless_it_is_allowed() {
    let world = World::new();
    world.create("hello").await;
    let get = || aws::GetFunctionRecursionConfigRequest { function_name: Some("hello".into()) };
    let put = |loops: &str| aws::PutFunctionRecursionConfigRequest {
        function_name: Some("hello".into()),
        recursive_loop: Some(loops.into()),
    };
    let shown = world.call::<ops::GetFunctionRecursionConfig>(get()).await.unwrap();
    assert_eq!(shown.recursive_loop.as_deref(), Some("Terminate"));
    let hash = &store::Digest::of(ARN.as_bytes()).to_string()[..8];
    let after = |count: u32| format!("Root=1-x;Lineage=00000000:99|{hash}:{count}");
    traced(&world, Some(&after(15)), "RequestResponse").await.unwrap();
    for kind in ["RequestResponse", "Event"] {
        let ended = traced(&world, Some(&after(16)), kind).await.unwrap_err();
        assert_eq!((ended.code.as_ref(), ended.status), ("RecursiveInvocationException", 400));
        assert!(ended.message.contains("recursive loop"), "{}", ended.message);
    }
    let allowed = world.call::<ops::PutFunctionRecursionConfig>(put("Allow")).await.unwrap();
    assert_eq!(allowed.recursive_loop.as_deref(), Some("Allow"));
    traced(&world, Some(&after(16)), "RequestResponse").await.unwrap();
    let world = World::on(world.die().await);
    assert_eq!(
        world.call::<ops::GetFunctionRecursionConfig>(get()).await.unwrap().recursive_loop.as_deref(),
        Some("Allow")
    );
    world.call::<ops::PutFunctionRecursionConfig>(put("Terminate")).await.unwrap();
    assert!(traced(&world, Some(&after(16)), "RequestResponse").await.is_err());
    let nobody = aws::GetFunctionRecursionConfigRequest { function_name: Some("nobody".into()) };
    let nobody = world.call::<ops::GetFunctionRecursionConfig>(nobody).await.unwrap_err();
    assert_eq!(told(&nobody).0, "ResourceNotFoundException");
}

#[tokio::test]
async fn active_tracing_samples_what_begins_here() {
    let world = World::new();
    let active = || Some(aws::TracingConfig { mode: Some("Active".into()) });
    let made =
        world.call::<ops::CreateFunction>(aws::CreateFunctionRequest { tracing_config: active(), ..create("hello") });
    assert_eq!(made.await.unwrap().tracing_config.unwrap().mode.as_deref(), Some("Active"));
    // The paper function answers `trace` with the header it was given.
    let trace = async || {
        let answer = world.invoke("hello", "\"trace\"").await.unwrap();
        String::from_utf8(answer.payload.unwrap().to_vec()).unwrap()
    };
    assert!(trace().await.contains("Sampled=1"), "{}", trace().await);
    let input = aws::UpdateFunctionConfigurationRequest {
        function_name: Some("hello".into()),
        tracing_config: Some(aws::TracingConfig { mode: Some("PassThrough".into()) }),
        ..Default::default()
    };
    world.call::<ops::UpdateFunctionConfiguration>(input).await.unwrap();
    let passed = trace().await;
    assert!(passed.contains("Sampled=0") && passed.contains("Lineage="), "{passed}");
}

/// What delivers events hears nothing of a loop: the event ends, and is counted.
#[tokio::test]
async fn an_event_at_the_end_of_a_loop_is_let_go() {
    let heard = std::sync::Arc::new(Heard::default());
    let meter = std::sync::Arc::clone(&heard);
    let world = World::with(crate::world::Disk::new(), |options| {
        options.meter = meter.clone();
        options.logs = meter;
    });
    world.create("hello").await;
    let hash = &store::Digest::of(ARN.as_bytes()).to_string()[..8];
    let delivered = async |count: u32| {
        let input = aws::InvocationRequest { invocation_type: Some("Event".into()), ..invoke("hello", "{}") };
        let call = Call {
            principal: Principal::Service {
                name: "s3.amazonaws.com",
                source_arn: "arn:aws:s3:::b".into(),
                source_account: Account::DEFAULT,
            },
            origin: Origin::default(),
            via: Via::Room("outbox"),
            operation: ops::Invoke::ROW,
            input: Input::Typed(Box::new(input)),
            body: Body::Empty,
            region: Region::default_region(),
            request_id: RequestId::new(&SystemRng),
            deadline: None,
            depth: 1,
            trace: Some(format!("Root=1-x;Lineage=00000000:99%7C{hash}:{count}")),
        };
        let answer: aws::InvocationResponse = world.router.call(call).await.unwrap().typed().unwrap();
        assert_eq!(answer.status_code, Some(202));
    };
    delivered(15).await;
    assert_eq!((world.waiting(), heard.recursive()), (1, 0));
    delivered(16).await;
    assert_eq!((world.waiting(), heard.recursive()), (1, 1), "it does not wait");
    let lines = heard.lines.lock().unwrap();
    assert!(lines[0].contains("led back to this function more than 16 times"), "{lines:?}");
}

#[derive(Default)]
struct Heard {
    news: std::sync::Mutex<Vec<base::EventNews>>,
    lines: std::sync::Mutex<Vec<String>>,
}

impl Heard {
    fn recursive(&self) -> usize {
        self.news.lock().unwrap().iter().filter(|news| **news == base::EventNews::Recursive).count()
    }
}

impl base::LogSink for Heard {
    fn write(&self, lines: Vec<base::LogLine>) {
        self.lines.lock().unwrap().extend(lines.into_iter().map(|line| line.text));
    }
}

impl base::Meter for Heard {
    fn invoked(&self, _: &base::Invoked) {}
    fn throttled(&self, _: Account, _: &str, _: &str) {}
    fn event(&self, _: Account, _: &str, news: base::EventNews) {
        self.news.lock().unwrap().push(news);
    }
    fn unsigned(&self, _: Account, _: &str) {}
    fn kept_ready(&self, _: Option<&str>, _: Vec<base::KeptReady>, _: base::Timestamp) {}
    fn receipt(&self, _: &base::Invoked) -> Option<base::Receipt> {
        None
    }
    fn receipted(&self) {}
}

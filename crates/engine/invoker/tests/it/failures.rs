//! How invocations fail, and what the caller and the log are told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base::StartKind;
use bytes::Bytes;
use invoker::testing::{FakeWalls, Inside};
use invoker::{Done, FailureKind, Finished, Refusal};
use sandbox::ExitCause;

use crate::world::{World, body, tail, target, target_with};

fn error(done: &Done) -> (FailureKind, &str) {
    match &done.result {
        Finished::FunctionError { kind, error_type, .. } => (*kind, error_type),
        Finished::Response(_) => panic!("it should have failed"),
    }
}

#[tokio::test]
async fn an_exception_is_handed_on_and_the_environment_lives() {
    let world = World::new();
    let f = target("f");
    let done = world.call(&f, "raise").await.unwrap();
    assert_eq!(error(&done), (FailureKind::Raised, "ValueError"));
    assert_eq!(body(&done), r#"{"errorType":"ValueError"}"#);
    assert!(done.row.failed && !tail(&done).contains("Status:"));
    assert_eq!(world.call(&f, "x").await.unwrap().row.start, StartKind::Warm);
}

#[tokio::test]
async fn a_timeout_kills_and_the_next_call_starts_fresh() {
    let world = World::new();
    let f = target_with("f", "1", |target| target.timeout_ms = 50);
    let done = world.call(&f, "hang").await.unwrap();
    let id = done.row.request;
    assert_eq!(error(&done), (FailureKind::Timeout, "Sandbox.Timedout"));
    assert_eq!(
        body(&done),
        format!(
            r#"{{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: {id} Error: Task timed out after 0.05 seconds"}}"#
        )
    );
    let tail = tail(&done);
    assert!(tail.contains(&format!("Z {id} Task timed out after 0.05 seconds\nEND RequestId: {id}\n")));
    assert!(tail.contains("\tDuration: 50.00 ms\t") && tail.contains("\tStatus: timeout\t"));
    assert_eq!(world.call(&f, "x").await.unwrap().row.start, StartKind::Cold);
}

#[tokio::test]
async fn a_crash_says_how_and_the_next_call_starts_fresh() {
    let world = World::new();
    let f = target("f");
    for (payload, kind, error_type, words) in [
        ("exit:1", FailureKind::Exit, "Runtime.ExitError", "Runtime exited with error: exit status 1"),
        ("exit:0", FailureKind::Exit, "Runtime.ExitError", "Runtime exited without providing a reason"),
        ("oom", FailureKind::OutOfMemory, "Runtime.OutOfMemory", "Runtime exited with error: signal: killed"),
    ] {
        let done = world.call(&f, payload).await.unwrap();
        let id = done.row.request;
        assert_eq!(error(&done), (kind, error_type));
        assert_eq!(
            body(&done),
            format!(r#"{{"errorType":"{error_type}","errorMessage":"RequestId: {id} Error: {words}"}}"#)
        );
        let tail = tail(&done);
        assert!(tail.contains(&format!("RequestId: {id} Error: {words}\n{error_type}\nEND RequestId: {id}\n")));
        assert!(tail.contains(&format!("\tStatus: error\tError Type: {error_type}\t")));
        assert_eq!(done.row.start, StartKind::Cold);
    }
}

/// Environments whose life is `first` at the first launch and `later` afterwards.
fn lives<A, B>(
    first: impl Fn(Inside) -> A + Send + Sync + 'static,
    later: impl Fn(Inside) -> B + Send + Sync + 'static,
) -> Arc<FakeWalls>
where
    A: Future<Output = ExitCause> + Send + 'static,
    B: Future<Output = ExitCause> + Send + 'static,
{
    let launches = AtomicUsize::new(0);
    FakeWalls::new(Arc::new(move |inside| {
        if launches.fetch_add(1, Ordering::SeqCst) == 0 { Box::pin(first(inside)) } else { Box::pin(later(inside)) }
    }))
}

async fn answering(inside: Inside) -> ExitCause {
    let mut client = inside.connect().await.unwrap();
    while let Ok(request) = client.next().await {
        client.respond(&request.id, &request.payload).await.unwrap();
    }
    ExitCause::Exited(0)
}

async fn hanging(_: Inside) -> ExitCause {
    std::future::pending().await
}

#[tokio::test]
async fn an_init_error_is_the_answer() {
    let failing = |inside: Inside| async move {
        inside.print("[ERROR] no module named x\n");
        let mut client = inside.connect().await.unwrap();
        client.init_error("Runtime.ImportModuleError", b"{\"errorMessage\":\"no\"}").await.unwrap();
        ExitCause::Exited(1)
    };
    let world = World::on_walls(lives(failing, answering), |_| {});
    let f = target("f");
    let done = world.call(&f, "x").await.unwrap();
    assert_eq!(error(&done), (FailureKind::Init, "Runtime.ImportModuleError"));
    assert_eq!(body(&done), r#"{"errorMessage":"no"}"#);
    let tail = tail(&done);
    let order =
        ["[ERROR] no module", "INIT_REPORT Init Duration: ", "START RequestId", "END RequestId", "REPORT RequestId"];
    let places: Vec<_> = order.iter().map(|text| tail.find(text).expect(text)).collect();
    assert!(places.is_sorted(), "{tail}");
    assert!(tail.contains("\tPhase: init\tStatus: error\tError Type: Runtime.ImportModuleError\n"));
    assert!(!tail.contains("\tInit Duration:"), "{tail}");
    assert_eq!(world.call(&f, "x").await.unwrap().row.start, StartKind::Cold);
}

#[tokio::test]
async fn a_process_that_ends_during_init_is_an_exit_error() {
    let world = World::on_walls(lives(|_| async { ExitCause::Exited(127) }, answering), |_| {});
    let done = world.call(&target("f"), "x").await.unwrap();
    assert_eq!(error(&done), (FailureKind::Init, "Runtime.ExitError"));
    assert!(body(&done).contains("exit status 127"));
    assert!(tail(&done).contains("\tPhase: init\tStatus: error\tError Type: Runtime.ExitError\n"));
}

#[tokio::test]
async fn an_init_that_takes_too_long_begins_anew_within_the_timeout() {
    let world = World::on_walls(lives(hanging, answering), |options| options.init_timeout_ms = 40);
    let done = world.call(&target("f"), "x").await.unwrap();
    assert_eq!(done.result, Finished::Response(Bytes::from_static(b"x")));
    let tail = tail(&done);
    assert!(tail.starts_with("INIT_REPORT Init Duration: "), "{tail}");
    assert!(tail.contains("\tPhase: init\tStatus: timeout\n"));
    assert!(!tail.contains("\tInit Duration:"), "the second INIT is part of Duration: {tail}");
    assert_eq!(world.launches(), 2);
    let streams: std::collections::HashSet<_> =
        world.ears.lines.lock().unwrap().iter().map(|line| line.stream.clone()).collect();
    assert_eq!(streams.len(), 1, "both are one environment to the log");
    assert_eq!(world.call(&target("f"), "x").await.unwrap().row.start, StartKind::Warm);
}

#[tokio::test]
async fn an_init_that_never_ends_times_out() {
    let world = World::on_walls(lives(hanging, hanging), |options| options.init_timeout_ms = 40);
    let f = target_with("f", "1", |target| target.timeout_ms = 60);
    let done = world.call(&f, "x").await.unwrap();
    assert_eq!(error(&done), (FailureKind::Timeout, "Sandbox.Timedout"));
    let tail = tail(&done);
    assert!(tail.contains("\tPhase: init\tStatus: timeout\n") && tail.contains("\tPhase: invoke\tStatus: timeout\n"));
    assert!(tail.contains("Task timed out after 0.06 seconds"));
    world.live(0).await;
}

#[tokio::test]
async fn walls_that_cannot_be_built_say_what_mends_them() {
    let world = World::new();
    let f = target("f");
    world
        .walls
        .fail_next(sandbox::Error::Unavailable { why: "user namespaces are off".into(), fix: "sysctl x=1".into() });
    let refusal = world.call(&f, "x").await.unwrap_err();
    let Refusal::Walls { message, fix } = refusal else { panic!("{refusal:?}") };
    assert!(message.contains("user namespaces are off") && message.contains("sysctl x=1"));
    assert_eq!(fix.as_deref(), Some("sysctl x=1"));
    world.live(0).await;
    assert!(world.ears.rows.lock().unwrap().is_empty());
    world.call(&f, "x").await.unwrap();
}

#[tokio::test]
async fn a_program_that_cannot_be_executed_is_the_functions_failure() {
    let world = World::new();
    let why = "/var/task/bootstrap: Permission denied (os error 13)";
    world.walls.fail_next(sandbox::Error::Program(why.into()));
    let done = world.call(&target("f"), "x").await.unwrap();
    let id = done.row.request;
    assert_eq!(error(&done), (FailureKind::Init, "Runtime.InvalidEntrypoint"));
    let words = "fork/exec /var/task/bootstrap: Permission denied (os error 13)";
    assert_eq!(
        body(&done),
        format!(r#"{{"errorType":"Runtime.InvalidEntrypoint","errorMessage":"RequestId: {id} Error: {words}"}}"#)
    );
    let tail = tail(&done);
    assert!(
        tail.starts_with("INIT_REPORT ")
            && tail.contains(&format!("RequestId: {id} Error: {words}\nRuntime.InvalidEntrypoint\nEND "))
    );
    assert_eq!((done.row.environment, done.row.failed), (None, true));
    world.live(0).await;
    world.call(&target("f"), "x").await.unwrap();
}

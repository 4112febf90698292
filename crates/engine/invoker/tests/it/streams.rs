//! Responses that go out as they are written.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base::StartKind;
use bytes::Bytes;
use invoker::testing::{FakeWalls, Part, Reply};
use invoker::{Done, FailureKind, Finished, Flowing, Piece, Target};
use sandbox::ExitCause;
use tokio::sync::mpsc;

use crate::world::{World, body, invocation, tail, target, target_with};

/// A world whose functions stream what the test says, and where it says so for the next invocation.
fn world() -> (World, Arc<Mutex<Vec<mpsc::Receiver<Part>>>>) {
    let scripts: Arc<Mutex<Vec<mpsc::Receiver<Part>>>> = Arc::default();
    let inner = Arc::clone(&scripts);
    let walls = FakeWalls::serving(move |_, request| {
        let script = inner.lock().unwrap().pop();
        Box::pin(async move {
            match script {
                Some(script) => Reply::Stream(Some("text/plain".into()), script),
                None => Reply::Response(request.payload),
            }
        })
    });
    (World::on_walls(walls, |_| {}), scripts)
}

/// An invocation whose function says what is sent here.
fn begin(
    world: &World,
    scripts: &Mutex<Vec<mpsc::Receiver<Part>>>,
    target: &Arc<Target>,
) -> (mpsc::Sender<Part>, Flowing) {
    let (says, script) = mpsc::channel(1);
    scripts.lock().unwrap().push(script);
    (says, world.handle.stream(Arc::clone(target), invocation("x")))
}

async fn say(says: &mpsc::Sender<Part>, text: &'static str) {
    says.send(Part::Bytes(Bytes::from_static(text.as_bytes()))).await.unwrap();
}

async fn begun(flow: &mut Flowing) {
    let begun = Piece::Begun { content_type: Some("text/plain".into()), streams: true };
    assert_eq!(flow.next().await, Some(begun));
}

async fn piece(flow: &mut Flowing) -> Option<String> {
    match flow.next().await? {
        Piece::Bytes(bytes) => Some(String::from_utf8(bytes.to_vec()).unwrap()),
        begun @ Piece::Begun { .. } => panic!("{begun:?}"),
    }
}

fn failure(done: &Done) -> (FailureKind, &str) {
    match &done.result {
        Finished::FunctionError { kind, error_type, .. } => (*kind, error_type),
        Finished::Response(_) => panic!("it should have failed"),
    }
}

#[tokio::test]
async fn pieces_come_as_they_are_written_and_the_time_of_the_first_is_told() {
    let (world, scripts) = world();
    let f = target("f");
    let (says, mut flow) = begin(&world, &scripts, &f);
    say(&says, "one").await;
    begun(&mut flow).await;
    assert_eq!(piece(&mut flow).await.as_deref(), Some("one"));
    assert_eq!(world.handle.running(), 1);
    say(&says, "two").await;
    assert_eq!(piece(&mut flow).await.as_deref(), Some("two"));
    drop(says);
    assert_eq!(piece(&mut flow).await, None);
    let done = flow.done().await.unwrap();
    assert_eq!((done.result.clone(), done.row.failed), (Finished::Response(Bytes::new()), false));
    assert!(tail(&done).contains("\tFirst byte: "), "{}", tail(&done));
    assert_eq!(world.ears.rows.lock().unwrap().len(), 1);
    // A function that does not stream has its answer pass in the same way, in the same environment.
    let mut flow = world.handle.stream(Arc::clone(&f), invocation("buffered"));
    assert_eq!(flow.next().await, Some(Piece::Begun { content_type: None, streams: false }));
    assert_eq!(piece(&mut flow).await.as_deref(), Some("buffered"));
    assert_eq!(piece(&mut flow).await, None);
    assert_eq!(flow.done().await.unwrap().row.start, StartKind::Warm);
}

#[tokio::test]
async fn whoever_wants_a_whole_answer_of_a_streaming_function_gets_it_whole() {
    let (world, scripts) = world();
    let (says, script) = mpsc::channel(8);
    scripts.lock().unwrap().push(script);
    say(&says, "one").await;
    say(&says, "two").await;
    drop(says);
    let done = world.call(&target("f"), "x").await.unwrap();
    assert_eq!(body(&done), "onetwo");
    assert!(!tail(&done).contains("First byte"));
}

#[tokio::test]
async fn a_failure_after_the_first_piece_is_the_functions_and_its_environment_lives() {
    let (world, scripts) = world();
    let f = target("f");
    let (says, mut flow) = begin(&world, &scripts, &f);
    say(&says, "one").await;
    begun(&mut flow).await;
    assert_eq!(piece(&mut flow).await.as_deref(), Some("one"));
    says.send(Part::Error("Late".into(), Bytes::from_static(b"{\"errorType\":\"Late\"}"))).await.unwrap();
    assert_eq!(piece(&mut flow).await, None);
    let done = flow.done().await.unwrap();
    assert_eq!((failure(&done), body(&done)), ((FailureKind::Raised, "Late"), "{\"errorType\":\"Late\"}".into()));
    assert_eq!(world.call(&f, "x").await.unwrap().row.start, StartKind::Warm);
}

#[tokio::test]
async fn a_timeout_ends_the_stream_even_while_nobody_reads() {
    let (world, scripts) = world();
    let f = target_with("f", "1", |target| target.timeout_ms = 300);
    let (says, mut flow) = begin(&world, &scripts, &f);
    let large = Bytes::from(vec![b'x'; 1 << 20]);
    // Until the function ends it is held up: nobody reads.
    while says.send(Part::Bytes(large.clone())).await.is_ok() {}
    world.live(0).await;
    begun(&mut flow).await;
    while piece(&mut flow).await.is_some() {}
    let done = flow.done().await.unwrap();
    assert_eq!(failure(&done), (FailureKind::Timeout, "Sandbox.Timedout"));
    assert_eq!(world.handle.running(), 0);
    assert_eq!(world.call(&f, "x").await.unwrap().row.start, StartKind::Cold);
}

#[tokio::test]
async fn an_end_of_the_process_or_the_connection_ends_the_stream_and_the_environment() {
    let (world, scripts) = world();
    let f = target("f");
    for (last, wanted) in [
        (Part::Exit(ExitCause::Exited(1)), (FailureKind::Exit, "Runtime.ExitError")),
        (Part::Exit(ExitCause::OutOfMemory), (FailureKind::OutOfMemory, "Runtime.OutOfMemory")),
        (Part::Cut, (FailureKind::BrokenOff, "Runtime.TruncatedResponse")),
    ] {
        let (says, mut flow) = begin(&world, &scripts, &f);
        say(&says, "one").await;
        begun(&mut flow).await;
        assert_eq!(piece(&mut flow).await.as_deref(), Some("one"));
        says.send(last).await.unwrap();
        assert_eq!(piece(&mut flow).await, None);
        let done = flow.done().await.unwrap();
        assert_eq!((failure(&done), done.row.start), (wanted, StartKind::Cold));
        assert!(tail(&done).contains(&format!("Status: error\tError Type: {}\t", wanted.1)), "{}", tail(&done));
        world.live(0).await;
    }
}

#[tokio::test]
async fn a_process_that_ends_a_little_after_its_connection_says_why() {
    let walls = FakeWalls::new(Arc::new(|inside| {
        Box::pin(async move {
            let mut client = inside.connect().await.unwrap();
            let request = client.next().await.unwrap();
            let (says, parts) = mpsc::channel(2);
            says.send(Part::Bytes(Bytes::from_static(b"one"))).await.unwrap();
            says.send(Part::Cut).await.unwrap();
            assert!(matches!(client.stream(&request.id, None, parts).await, Ok(Some(Part::Cut))));
            drop(client);
            // As the kernel does it: sockets first, then the memory, then the parent is told.
            tokio::time::sleep(Duration::from_millis(20)).await;
            ExitCause::OutOfMemory
        })
    }));
    let world = World::on_walls(walls, |_| {});
    let mut flow = world.handle.stream(target("f"), invocation("x"));
    while flow.next().await.is_some() {}
    let done = flow.done().await.unwrap();
    assert_eq!(failure(&done), (FailureKind::OutOfMemory, "Runtime.OutOfMemory"));
}

#[tokio::test]
async fn a_caller_that_leaves_loses_the_rest_and_the_function_goes_on() {
    let (mut world, scripts) = world();
    let f = target("f");
    let (says, mut flow) = begin(&world, &scripts, &f);
    say(&says, "one").await;
    begun(&mut flow).await;
    drop(flow);
    let large = Bytes::from(vec![b'x'; 1 << 20]);
    for _ in 0..16 {
        says.send(Part::Bytes(large.clone())).await.unwrap();
    }
    drop(says);
    let service = world.service();
    tokio::time::timeout(Duration::from_secs(20), service.drain()).await.expect("it ends");
    let row = world.ears.rows.lock().unwrap().pop().unwrap();
    assert!(!row.failed);
    assert!(world.texts().iter().any(|text| text.starts_with("REPORT") && !text.contains("Status:")));
}

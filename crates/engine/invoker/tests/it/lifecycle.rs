//! How environments begin, are used again, and end.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Instant;

use base::{BoxFuture, Clocks, StartKind, Timestamp, Turn, VirtualClocks};
use bytes::Bytes;
use invoker::testing::{FakeWalls, Reply};
use invoker::{Granted, Refusal, TargetKey};

use crate::world::{World, arn, body, target, target_with};

const KEEP_ALIVE_MS: u64 = 600_000;

#[tokio::test]
async fn the_environment_used_last_is_used_next() {
    let mut world = World::new();
    let f = target("f");
    let (mut one, mut two) = (world.spawn(&f, "hold"), world.spawn(&f, "hold"));
    world.held(2).await;
    world.release(1);
    // Whichever goes first, the other comes back later and must be next.
    let later = tokio::select! {
        done = &mut one => { done.unwrap().unwrap(); two }
        done = &mut two => { done.unwrap().unwrap(); one }
    };
    world.release(1);
    let last = later.await.unwrap().unwrap();
    let next = world.call(&f, "x").await.unwrap();
    assert_eq!(next.row.environment, last.row.environment);
    assert_eq!(next.row.start, StartKind::Warm);
    assert_eq!((next.row.phases.sandbox_us, next.row.phases.init_us), (0, 0));
}

#[tokio::test]
async fn unused_environments_end_after_their_keep_alive() {
    let world = World::new().serve();
    let f = target("f");
    world.call(&f, "x").await.unwrap();
    world.clocks.advance(KEEP_ALIVE_MS - 1).await.unwrap();
    assert_eq!(world.call(&f, "x").await.unwrap().row.start, StartKind::Warm);
    world.clocks.advance(KEEP_ALIVE_MS - 1).await.unwrap();
    // The first due time has passed, but it was used since.
    assert_eq!(world.call(&f, "x").await.unwrap().row.start, StartKind::Warm);
    world.clocks.advance(KEEP_ALIVE_MS).await.unwrap();
    world.live(0).await;
    assert!(world.handle.live().is_empty());
    assert_eq!(world.call(&f, "x").await.unwrap().row.start, StartKind::Cold);
}

#[tokio::test]
async fn a_host_short_of_memory_takes_the_idle_that_were_used_least_recently() {
    let mut world = World::new().serve();
    let (f, g) = (target("f"), target("g"));
    let calls: Vec<_> = (0..5).map(|_| world.spawn(&f, "hold")).collect();
    world.held(5).await;
    world.release(5);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    world.clocks.advance(1_000).await.unwrap();
    let last = world.call(&g, "x").await.unwrap();
    let busy = world.spawn(&f, "hold");
    world.held(1).await;
    // Of five that are idle, one of them another function's and used last, two go.
    world.walls.run_short_of_memory();
    world.live(4).await;
    for left in [3, 2, 1] {
        world.walls.run_short_of_memory();
        world.live(left).await;
    }
    world.release(1);
    busy.await.unwrap().unwrap();
    assert_eq!(world.call(&g, "x").await.unwrap().row.start, StartKind::Cold, "{:?}", last.row.environment);
}

/// Counts how often somebody wants to be woken.
struct Counting {
    clocks: Arc<VirtualClocks>,
    alarms: AtomicUsize,
}

impl Clocks for Counting {
    fn monotonic(&self) -> std::time::Instant {
        self.clocks.monotonic()
    }
    fn signing(&self) -> Timestamp {
        self.clocks.signing()
    }
    fn product(&self) -> Timestamp {
        self.clocks.product()
    }
    fn product_reaches(&self, due: Timestamp) -> BoxFuture<'static, Turn> {
        self.alarms.fetch_add(1, Ordering::SeqCst);
        self.clocks.product_reaches(due)
    }
}

#[tokio::test]
async fn a_busy_function_sets_one_alarm_not_one_a_call() {
    let clocks = Arc::new(VirtualClocks::default());
    clocks.pause();
    let counting = Arc::new(Counting { clocks: Arc::clone(&clocks), alarms: AtomicUsize::new(0) });
    let inner = Arc::clone(&counting);
    let world = World::with(|options| options.clocks = inner).serve();
    let f = target("f");
    for _ in 0..100 {
        world.call(&f, "x").await.unwrap();
        clocks.advance(10).await.unwrap();
    }
    clocks.advance(KEEP_ALIVE_MS - 1_000).await.unwrap();
    for _ in 0..50 {
        clocks.advance(10).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert!(counting.alarms.load(Ordering::SeqCst) <= 3, "{:?}", counting.alarms);
    clocks.advance(1_000).await.unwrap();
    world.live(0).await;
}

#[tokio::test]
async fn a_pool_shrinks_one_by_one() {
    let mut world = World::new().serve();
    let f = target("f");
    let calls: Vec<_> = (0..3).map(|_| world.spawn(&f, "hold")).collect();
    world.held(3).await;
    world.release(3);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    world.clocks.advance(1_000).await.unwrap();
    world.call(&f, "x").await.unwrap();
    world.clocks.advance(KEEP_ALIVE_MS - 1_000).await.unwrap();
    world.live(1).await;
    world.clocks.advance(1_000).await.unwrap();
    world.live(0).await;
}

#[tokio::test]
async fn an_old_environment_ends_after_its_invocation() {
    let world = World::with(|options| options.max_age_ms = 1_000).serve();
    let f = target("f");
    world.call(&f, "x").await.unwrap();
    world.clocks.advance(1_000).await.unwrap();
    assert_eq!(world.call(&f, "x").await.unwrap().row.start, StartKind::Warm);
    assert_eq!(world.call(&f, "x").await.unwrap().row.start, StartKind::Cold);
}

#[tokio::test]
async fn a_change_serves_new_code_and_lets_the_old_finish() {
    let mut world = World::new();
    let (old, new) = (target("f"), target_with("f", "2", |_| {}));
    let running: Vec<_> = (0..2).map(|_| world.spawn(&old, "hold")).collect();
    world.held(2).await;
    let done = world.call(&new, "x").await.unwrap();
    assert_eq!(done.row.start, StartKind::Cold);
    for (left, call) in [2, 1].into_iter().zip(running) {
        world.release(1);
        assert_eq!(body(&call.await.unwrap().unwrap()), "hold");
        // The old environment ended with its answer; the new one stays.
        assert_eq!(*world.handle.changes().borrow(), left);
    }
    assert_eq!(world.call(&new, "x").await.unwrap().row.start, StartKind::Warm);
}

#[tokio::test]
async fn retire_and_evict_end_idle_ones_now() {
    let world = World::new();
    let (one, two) = (target("f"), target_with("f", "1", |target| target.key.version = "2".into()));
    world.call(&one, "x").await.unwrap();
    world.call(&two, "x").await.unwrap();
    world.call(&target("g"), "x").await.unwrap();
    world.handle.retire(&TargetKey { revision: "other".into(), ..one.key.clone() });
    assert_eq!(world.handle.live().len(), 3);
    world.handle.retire(&one.key);
    assert_eq!(world.handle.live().len(), 2);
    world.handle.evict(&arn("f"));
    assert_eq!(world.handle.live().len(), 1);
    world.live(1).await;
}

#[tokio::test]
async fn a_process_that_ends_while_idle_is_noticed() {
    let world = World::on_walls(
        FakeWalls::new(Arc::new(|inside| {
            Box::pin(async move {
                let mut client = inside.connect().await.unwrap();
                let request = client.next().await.unwrap();
                client.respond(&request.id, b"once").await.unwrap();
                sandbox::ExitCause::Exited(1)
            })
        })),
        |_| {},
    );
    let f = target("f");
    for _ in 0..3 {
        assert_eq!(body(&world.call(&f, "x").await.unwrap()), "once");
        world.live(0).await;
    }
}

#[tokio::test]
async fn a_drain_waits_for_what_runs_and_refuses_the_rest() {
    let mut world = World::new();
    let f = target("f");
    world.call(&target("g"), "x").await.unwrap();
    let running = world.spawn(&f, "hold");
    world.held(1).await;
    let draining = tokio::spawn(world.service().drain());
    let refusal = loop {
        match world.call(&target("g"), "x").await {
            Ok(_) => tokio::task::yield_now().await,
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(refusal, Refusal::Draining);
    assert!(!draining.is_finished());
    world.release(1);
    running.await.unwrap().unwrap();
    draining.await.unwrap();
    world.live(0).await;
}

#[tokio::test]
async fn each_environment_gets_its_own_variables() {
    let world = World::new();
    let f = target_with("f", "1", |target| {
        let count = Arc::new(AtomicUsize::new(0));
        target.credentials = Some(Arc::new(move || {
            let n = count.fetch_add(1, Ordering::Relaxed);
            let variables = vec![("AWS_SESSION_TOKEN".into(), format!("token {n}"))];
            Granted { variables, document: Bytes::new(), ends: base::Timestamp(i64::MAX) }
        }));
    });
    let stream = body(&world.call(&f, "stream").await.unwrap());
    world.handle.evict(&arn("f"));
    let other = body(&world.call(&f, "stream").await.unwrap());
    assert_ne!(stream, other);
    assert!(world.ears.lines.lock().unwrap().iter().any(|line| *line.stream == *stream));
    for (n, spec) in world.walls.launched().iter().enumerate() {
        let get = |name: &str| spec.env.iter().find(|(key, _)| key == name).map(|(_, value)| value.to_str().unwrap());
        assert_eq!(get("STAGE"), Some("test"));
        assert_eq!(get("AWS_LAMBDA_RUNTIME_API"), Some("127.0.0.1:9001"));
        assert_eq!(get("AWS_SESSION_TOKEN"), Some(&*format!("token {n}")));
        assert_eq!(get("AWS_ENDPOINT_URL"), None);
        assert_eq!((spec.ports.as_slice(), spec.limits.cpu_millis), (&[9001u16][..], Some(2000)));
    }
}

/// Clocks whose signing clock is in hand too.
#[derive(Default)]
struct Hands {
    others: base::VirtualClocks,
    signing_ms: AtomicI64,
}

impl Clocks for Hands {
    fn monotonic(&self) -> Instant {
        self.others.monotonic()
    }
    fn signing(&self) -> Timestamp {
        Timestamp(self.signing_ms.load(Ordering::Relaxed))
    }
    fn product(&self) -> Timestamp {
        self.others.product()
    }
    fn product_reaches(&self, due: Timestamp) -> BoxFuture<'static, Turn> {
        self.others.product_reaches(due)
    }
}

#[tokio::test]
async fn no_invocation_begins_that_might_outlast_the_environments_credentials() {
    let clocks = Arc::new(Hands::default());
    let mut world = World::with(|options| options.clocks = clocks.clone());
    let now = Arc::clone(&clocks);
    let f = target_with("f", "1", |target| {
        let grant =
            move || Granted { variables: Vec::new(), document: Bytes::new(), ends: now.signing().plus_ms(60_000) };
        target.credentials = Some(Arc::new(grant));
    });
    assert_eq!(f.timeout_ms, 20_000);
    // When the invocation begins, when it ends, and what serves it.
    let calls = [
        (0, 0, StartKind::Cold),
        (39_999, 39_999, StartKind::Warm),
        // Idle until its time was over.
        (40_000, 40_000, StartKind::Cold),
        // Its time was over while it worked: it is not kept.
        (40_001, 80_000, StartKind::Warm),
    ];
    for (begins_ms, ends_ms, start) in calls {
        clocks.signing_ms.store(begins_ms, Ordering::Relaxed);
        let call = world.spawn(&f, "hold");
        world.held(1).await;
        clocks.signing_ms.store(ends_ms, Ordering::Relaxed);
        world.release(1);
        assert_eq!(call.await.unwrap().unwrap().row.start, start, "at {begins_ms}");
    }
    world.live(0).await;
}

struct Net {
    serving: Arc<std::sync::Mutex<usize>>,
}

struct Guard(Arc<std::sync::Mutex<usize>>);

impl Drop for Guard {
    fn drop(&mut self) {
        *self.0.lock().unwrap() -= 1;
    }
}

impl base::SandboxNet for Net {
    fn serve(&self, _: std::net::TcpListener, _: base::Principal) -> Box<dyn Send + Sync> {
        *self.serving.lock().unwrap() += 1;
        Box::new(Guard(Arc::clone(&self.serving)))
    }
}

#[tokio::test]
async fn the_platforms_endpoint_is_served_as_long_as_the_environment_lives() {
    let serving = Arc::new(std::sync::Mutex::new(0));
    let net = Net { serving: Arc::clone(&serving) };
    let walls = FakeWalls::serving(|inside, _| {
        Box::pin(async move { Reply::Response(inside.env("AWS_ENDPOINT_URL").unwrap().into()) })
    });
    let world = World::on_walls(walls, |options| options.net = Some(Arc::new(net)));
    let done = world.call(&target("f"), "x").await.unwrap();
    assert_eq!(body(&done), "http://127.0.0.1:4566");
    assert_eq!(*serving.lock().unwrap(), 1);
    world.handle.evict(&arn("f"));
    assert_eq!(*serving.lock().unwrap(), 0);
}

//! Environments that stand still while nobody uses them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base::StartKind;
use invoker::testing::FakeWalls;
use invoker::{Handle, Options, Web};
use sandbox::ExitCause;
use tokio::time::timeout;

use crate::world::{World, body, target, target_with};

/// Long for what must come, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(20);

fn after(ms: u64) -> impl FnOnce(&mut Options) {
    move |options| options.freeze_after_ms = Some(ms)
}

/// Environments that are idle, and those of them that are frozen.
fn idle(handle: &Handle) -> (usize, usize) {
    handle.live().iter().fold((0, 0), |sum, live| (sum.0 + live.idle, sum.1 + live.frozen))
}

async fn until_frozen(handle: &Handle, count: usize) {
    let wait = async {
        while idle(handle).1 != count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("idle and frozen: {:?}", idle(handle)));
}

#[tokio::test]
async fn what_is_idle_is_frozen_and_goes_on_with_its_next_event() {
    let world = World::with(after(20)).serve();
    let f = target("f");
    for turn in 1..4 {
        let done = timeout(PATIENCE, world.call(&f, "hello")).await.expect("it hangs").unwrap();
        assert_eq!((body(&done), idle(&world.handle)), ("hello".into(), (1, 0)));
        until_frozen(&world.handle, 1).await;
        assert_eq!((world.walls.freezes(), world.launches()), (turn, 1));
    }
    let overview = world.handle.overview();
    assert_eq!((overview.versions[0].idle, overview.versions[0].frozen), (1, 1));
}

#[tokio::test]
async fn who_is_called_steadily_is_never_frozen() {
    // More than a call takes on a machine that is busy with other tests.
    let world = World::with(after(5_000)).serve();
    let f = target("f");
    for _ in 0..1_000 {
        world.call(&f, "hello").await.unwrap();
    }
    assert_eq!((world.walls.freezes(), world.launches()), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_event_at_the_moment_of_the_freeze_is_neither_lost_nor_late() {
    let world = World::with(after(1)).serve();
    let f = target("f");
    for turn in 0..600_u64 {
        // About the moment at which the timer, which counts in milliseconds, ends.
        let pause = Duration::from_micros(900 + turn % 40 * 50);
        let called = tokio::time::Instant::now();
        while called.elapsed() < pause {
            tokio::task::yield_now().await;
        }
        let done = timeout(PATIENCE, world.call(&f, "hello")).await;
        let done = done.unwrap_or_else(|_| panic!("turn {turn}: it hangs")).unwrap();
        assert_eq!((body(&done), done.row.start == StartKind::Warm), ("hello".into(), turn > 0));
    }
    assert_eq!(world.launches(), 1);
    assert!(world.walls.freezes() > 50, "{}", world.walls.freezes());
}

#[tokio::test]
async fn who_is_provisioned_is_frozen_after_its_init() {
    let world = World::with(after(20)).serve();
    let f = target("f");
    world.handle.provision(&f, 2);
    until_frozen(&world.handle, 2).await;
    let done = timeout(PATIENCE, world.call(&f, "hello")).await.expect("it hangs").unwrap();
    assert_eq!((done.row.start, done.row.provisioned), (StartKind::Warm, true));
    until_frozen(&world.handle, 2).await;
}

#[tokio::test]
async fn only_those_beyond_what_is_called_are_frozen() {
    let mut world = World::with(after(100)).serve();
    let f = target("f");
    let calls = [world.spawn(&f, "hold"), world.spawn(&f, "hold"), world.spawn(&f, "hold")];
    world.held(3).await;
    world.release(3);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    // The one used last is used next.
    let wait = async {
        while idle(&world.handle).1 < 2 {
            world.call(&f, "hello").await.unwrap();
        }
    };
    timeout(PATIENCE, wait).await.expect("two grow cold");
    assert_eq!((world.walls.freezes(), world.launches()), (2, 3));
}

#[tokio::test]
async fn who_has_not_asked_for_its_next_event_is_not_frozen() {
    // Asks for it late, as one does that has something to do behind its answer.
    let late = Arc::new(tokio::sync::Semaphore::new(0));
    let inner = Arc::clone(&late);
    let walls = FakeWalls::new(Arc::new(move |inside| {
        let late = Arc::clone(&inner);
        Box::pin(async move {
            let mut client = inside.connect().await.unwrap();
            while let Ok(request) = client.next().await {
                inside.running().await;
                if client.respond(&request.id, &request.payload).await.is_err() {
                    break;
                }
                late.acquire().await.unwrap().forget();
            }
            ExitCause::Exited(1)
        })
    }));
    let world = World::on_walls(walls, after(10)).serve();
    let f = target("f");
    world.call(&f, "hello").await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!((idle(&world.handle), world.walls.freezes()), ((1, 0), 0));
    late.add_permits(2);
    until_frozen(&world.handle, 1).await;
    assert_eq!(body(&timeout(PATIENCE, world.call(&f, "again")).await.expect("it hangs").unwrap()), "again");
}

#[tokio::test]
async fn a_web_function_is_frozen_once_nobody_is_in_it() {
    let (held, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(tokio::sync::Semaphore::new(0)));
    let (counted, opened) = (Arc::clone(&held), Arc::clone(&gate));
    let walls = FakeWalls::listening(move |_, _| {
        let (held, gate) = (Arc::clone(&counted), Arc::clone(&opened));
        Box::pin(async move {
            held.fetch_add(1, Ordering::SeqCst);
            gate.acquire().await.unwrap().forget();
            Some("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok".into())
        })
    });
    let world = World::on_walls(walls, after(10)).serve();
    let f = target_with("web", "1", |target| target.web = Some(Web { concurrency: 10, ready: None }));
    let ask = || {
        let asked = world.handle.web(Arc::clone(&f), crate::web::call("/"));
        tokio::spawn(async move { crate::web::whole(asked.await.unwrap()).await })
    };
    for turn in 1..3 {
        let (one, two) = (ask(), ask());
        while held.load(Ordering::SeqCst) < 2 * turn {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        gate.add_permits(1);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(world.walls.freezes(), turn as u64 - 1, "one is still in it");
        gate.add_permits(1);
        one.await.unwrap();
        two.await.unwrap();
        until_frozen(&world.handle, 1).await;
    }
}

#[tokio::test]
async fn who_may_be_debugged_is_not_frozen() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let world = World::with(after(10)).serve();
    let f = target_with("f", "1", |target| target.debug = Some(port));
    world.call(&f, "hello").await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!((idle(&world.handle), world.walls.freezes()), ((1, 0), 0));
}

#[tokio::test]
async fn switched_off_nothing_is_frozen() {
    let world = World::with(|options| options.freeze_after_ms = None).serve();
    world.call(&target("f"), "hello").await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!((idle(&world.handle), world.walls.freezes()), ((1, 0), 0));
}

#[tokio::test]
async fn what_is_frozen_ends_as_anything_else() {
    let world = World::with(after(10)).serve();
    let f = target("f");
    world.call(&f, "hello").await.unwrap();
    until_frozen(&world.handle, 1).await;
    world.handle.evict(&f.function_arn);
    timeout(PATIENCE, world.live(0)).await.expect("it ends");
    // A drain with frozen environments waits for nothing.
    let mut world = World::with(after(10));
    let service = world.service();
    let running = async {
        world.call(&f, "hello").await.unwrap();
        until_frozen(&world.handle, 1).await;
    };
    tokio::select! {
        () = service.run() => {}
        () = running => {}
    }
    timeout(PATIENCE, service.drain()).await.expect("it drains");
    world.live(0).await;
}

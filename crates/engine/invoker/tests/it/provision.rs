//! Environments that are started ahead and kept.

use std::sync::Arc;
use std::time::Duration;

use base::StartKind;
use bytes::Bytes;
use invoker::testing::{FakeWalls, Reply};
use invoker::{Provisioned, Target};
use sandbox::ExitCause;

use crate::world::{World, arn, body, target, target_with};

const KEEP_ALIVE_MS: u64 = 600_000;
const MAX_AGE_MS: u64 = 2 * 3_600_000;

fn provisioned(world: &World, name: &str) -> Option<Provisioned> {
    world.handle.provisioned(&arn(name), "$LATEST")
}

/// Waits until what is provisioned fits.
async fn until(world: &World, name: &str, fits: impl Fn(&Provisioned) -> bool) -> Provisioned {
    let wait = async {
        loop {
            if let Some(now) = provisioned(world, name).filter(&fits) {
                return now;
            }
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), wait).await;
    waited.unwrap_or_else(|_| panic!("in vain: {:?}", provisioned(world, name)))
}

async fn ready(world: &World, f: &Target, wanted: usize) {
    world.handle.provision(f, wanted);
    until(world, &f.function_name, |now| now.allocated == wanted).await;
}

#[tokio::test]
async fn the_first_calls_find_environments_that_wait_for_them() {
    let mut world = World::new();
    let f = target("f");
    ready(&world, &f, 2).await;
    assert_eq!(world.launches(), 2);
    let kind = world.walls.launched()[0].env.iter().find(|(name, _)| name == "AWS_LAMBDA_INITIALIZATION_TYPE").cloned();
    assert_eq!(kind.unwrap().1, "provisioned-concurrency");
    let calls = [world.spawn(&f, "hold"), world.spawn(&f, "hold"), world.spawn(&f, "hold")];
    world.held(3).await;
    world.release(3);
    let mut kinds = Vec::new();
    for call in calls {
        kinds.push(call.await.unwrap().unwrap().row.start);
    }
    let cold = kinds.iter().filter(|kind| **kind == StartKind::Cold).count();
    assert_eq!((cold, world.launches()), (1, 3), "the third spills over");
    let covered = |world: &World| {
        let rows = std::mem::take(&mut *world.ears.rows.lock().unwrap());
        rows.iter().filter(|row| row.provisioned).count()
    };
    assert_eq!(covered(&world), 2);
    // Warm or not: what is more than is kept ready is on demand, as is what another function does.
    assert_eq!(world.handle.live().iter().map(|live| live.idle).sum::<usize>(), 3);
    let calls = [world.spawn(&f, "hold"), world.spawn(&f, "hold"), world.spawn(&f, "hold")];
    world.held(3).await;
    world.release(3);
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().row.start, StartKind::Warm);
    }
    let g = target("g");
    world.call(&g, "x").await.unwrap();
    world.call(&g, "x").await.unwrap();
    assert_eq!(covered(&world), 2);
    for _ in 0..6 {
        world.call(&f, "x").await.unwrap();
    }
    assert_eq!(covered(&world), 6, "what was started ahead is used before what was used last");
}

#[tokio::test]
async fn what_is_provisioned_is_held_back_from_other_functions() {
    let mut world = World::with(|options| options.account_concurrency = 4);
    let (f, g) = (target("f"), target("g"));
    ready(&world, &f, 2).await;
    let others = [world.spawn(&g, "hold"), world.spawn(&g, "hold")];
    world.held(2).await;
    assert!(world.call(&g, "x").await.is_err(), "two are claimed");
    let own = [world.spawn(&f, "hold"), world.spawn(&f, "hold")];
    world.held(2).await;
    assert!(world.call(&f, "x").await.is_err(), "there is nothing to spill over to");
    world.release(4);
    for call in own.into_iter().chain(others) {
        call.await.unwrap().unwrap();
    }
    let used = {
        let rows = world.ears.rows.lock().unwrap();
        let mut used: Vec<_> =
            rows.iter().filter_map(|row| row.ready).map(|ready| (ready.in_use, ready.wanted)).collect();
        used.sort_unstable();
        assert_eq!(rows.iter().map(|row| row.concurrency.claimed).max(), Some(4));
        used
    };
    assert_eq!(used, [(1, 2), (2, 2)]);
    // Once they are gone nothing is held back any more, also where the version's code is another.
    let next = target_with("f", "2", |_| {});
    ready(&world, &next, 1).await;
    let others: Vec<_> = (0..3).map(|_| world.spawn(&g, "hold")).collect();
    world.held(3).await;
    assert!(world.call(&g, "x").await.is_err());
    world.handle.evict(&arn("f"));
    world.call(&g, "x").await.unwrap();
    world.release(3);
    for call in others {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn those_on_demand_end_and_the_kept_ones_serve_on() {
    let mut world = World::new().serve();
    let f = target("f");
    ready(&world, &f, 2).await;
    world.clocks.advance(KEEP_ALIVE_MS + 60_000).await.unwrap();
    let calls: Vec<_> = (0..5).map(|_| world.spawn(&f, "hold")).collect();
    world.held(5).await;
    world.release(5);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    world.live(5).await;
    // Used all the time, the kept ones are.
    for _ in 0..3 {
        world.clocks.advance(KEEP_ALIVE_MS / 3).await.unwrap();
        assert!(world.call(&f, "x").await.unwrap().row.provisioned);
    }
    world.live(2).await;
    assert_eq!(world.launches(), 5);
    assert_eq!(provisioned(&world, "f").unwrap().allocated, 2);
}

#[tokio::test]
async fn fewer_leave_no_more_than_that_after_the_keep_alive() {
    let world = World::new().serve();
    let f = target("f");
    ready(&world, &f, 4).await;
    world.clocks.advance(KEEP_ALIVE_MS + 60_000).await.unwrap();
    world.live(4).await;
    world.handle.provision(&f, 1);
    world.clocks.advance(KEEP_ALIVE_MS).await.unwrap();
    world.live(1).await;
    assert_eq!(provisioned(&world, "f").unwrap().allocated, 1);
}

#[tokio::test]
async fn a_host_short_of_memory_takes_those_on_demand_alone() {
    let mut world = World::new().serve();
    let f = target("f");
    ready(&world, &f, 2).await;
    let calls: Vec<_> = (0..4).map(|_| world.spawn(&f, "hold")).collect();
    world.held(4).await;
    world.release(4);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    for left in [3, 2] {
        world.walls.run_short_of_memory();
        world.live(left).await;
    }
    world.walls.run_short_of_memory();
    assert_eq!(provisioned(&world, "f").unwrap().allocated, 2);
    assert!(world.call(&f, "x").await.unwrap().row.provisioned);
}

#[tokio::test]
async fn old_ones_are_replaced_before_they_end_and_not_all_at_once() {
    let world = World::new().serve();
    let f = target("f");
    ready(&world, &f, 4).await;
    let mut moments = Vec::new();
    let mut launched = 4;
    let minute = 60_000;
    for at in 0..MAX_AGE_MS / minute {
        world.clocks.advance(minute).await.unwrap();
        // At no moment fewer than are wanted.
        assert_eq!(provisioned(&world, "f").unwrap().allocated, 4);
        if world.launches() > launched {
            launched = world.launches();
            moments.push(at);
        }
    }
    assert!(launched >= 8, "{launched}");
    assert!(moments.len() > 1 && moments[0] >= 89, "{moments:?}");
    world.live(4).await;
}

#[tokio::test]
async fn on_a_full_host_an_old_one_makes_room_for_its_successor() {
    let world = World::with(|options| options.max_environments = 1).serve();
    let f = target("f");
    ready(&world, &f, 1).await;
    world.clocks.advance(MAX_AGE_MS).await.unwrap();
    let replaced = async {
        while world.launches() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), replaced).await.expect("another is started");
    assert_eq!(until(&world, "f", |now| now.allocated == 1).await.failure, None);
}

#[tokio::test]
async fn a_start_that_fails_is_not_hurried_by_what_ends() {
    let walls = FakeWalls::new(Arc::new(|_| Box::pin(async { ExitCause::Exited(1) })));
    let world = World::on_walls(walls, |_| {}).serve();
    let f = target("f");
    world.handle.provision(&f, 1);
    until(&world, "f", |now| now.failure.is_some()).await;
    let settle = async |n: usize| {
        // The watchers of what has ended have their say.
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(world.launches(), n);
    };
    settle(1).await;
    for (wait_ms, launches) in [(1_000, 2), (2_000, 3), (4_000, 4)] {
        world.clocks.advance(wait_ms - 1).await.unwrap();
        settle(launches - 1).await;
        world.clocks.advance(1).await.unwrap();
        settle(launches).await;
    }
    // Another order begins anew.
    world.handle.provision(&f, 1);
    settle(5).await;
    world.clocks.advance(1_000).await.unwrap();
    settle(6).await;
}

#[tokio::test]
async fn the_wait_after_a_failed_start_lasts_though_another_is_lost() {
    let begun = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let walls = FakeWalls::new(Arc::new(move |inside| {
        let first = begun.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        Box::pin(async move {
            if first {
                inside.connect().await.unwrap().next().await.unwrap();
            }
            ExitCause::Exited(1)
        })
    }));
    let world = World::on_walls(walls, |_| {}).serve();
    let f = target("f");
    world.handle.provision(&f, 2);
    until(&world, "f", |now| now.allocated == 1 && now.failure.is_some()).await;
    assert_eq!(world.launches(), 2);
    world.call(&f, "x").await.unwrap();
    until(&world, "f", |now| now.allocated == 0).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(world.launches(), 2);
    world.clocks.advance(1_000).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(world.launches(), 3);
}

#[tokio::test]
async fn a_lost_helper_is_waited_for() {
    let world = World::new();
    let f = target("f");
    for _ in 0..8 {
        world.walls.fail_next(sandbox::Error::HelperLost);
    }
    world.handle.provision(&f, 2);
    let told = until(&world, "f", |_| true).await;
    assert_eq!((told.allocated, told.failure), (0, None));
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert_eq!(provisioned(&world, "f").unwrap().failure, None);
        world.walls.start_helper();
    }
    // The product clock stands still all the time.
    until(&world, "f", |now| now.allocated == 2).await;
}

#[tokio::test]
async fn a_pool_that_is_retired_starts_nothing_any_more() {
    let slow = Arc::new(tokio::sync::Semaphore::new(0));
    let gate = Arc::clone(&slow);
    let walls = FakeWalls::new(Arc::new(move |inside| {
        let gate = Arc::clone(&gate);
        Box::pin(async move {
            gate.acquire().await.unwrap().forget();
            let mut client = inside.connect().await.unwrap();
            while let Ok(request) = client.next().await {
                client.respond(&request.id, b"1").await.unwrap();
            }
            ExitCause::Exited(0)
        })
    }));
    let world = World::on_walls(walls, |options| options.concurrent_starts = 1);
    for revision in 1..=20 {
        world.handle.provision(&target_with("f", &revision.to_string(), |_| {}), 2);
        tokio::task::yield_now().await;
    }
    let launched = async {
        while world.launches() < 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), launched).await.unwrap();
    world.handle.evict(&arn("f"));
    // An INIT that nobody waits for any more ends, and those that stood in line have left it.
    world.live(0).await;
    slow.add_permits(1);
    assert_eq!(body(&world.call(&target("g"), "x").await.unwrap()), "1");
    assert!(world.launches() <= 22, "{}", world.launches());
    world.live(1).await;
}

#[tokio::test]
async fn unused_they_stay_and_the_others_end() {
    let mut world = World::new().serve();
    let f = target("f");
    ready(&world, &f, 1).await;
    let calls = [world.spawn(&f, "hold"), world.spawn(&f, "hold")];
    world.held(2).await;
    world.release(2);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    world.live(2).await;
    world.clocks.advance(KEEP_ALIVE_MS).await.unwrap();
    world.live(1).await;
    world.clocks.advance(KEEP_ALIVE_MS).await.unwrap();
    assert_eq!(world.call(&f, "x").await.unwrap().row.start, StartKind::Warm);
    // Without the setting it grows old as all do.
    world.handle.provision(&f, 0);
    assert_eq!(provisioned(&world, "f"), None);
    world.clocks.advance(KEEP_ALIVE_MS).await.unwrap();
    world.live(0).await;
}

#[tokio::test]
async fn an_old_one_is_replaced_before_its_credentials_end() {
    let world = World::new().serve();
    let f = target("f");
    ready(&world, &f, 1).await;
    world.clocks.advance(MAX_AGE_MS).await.unwrap();
    let replaced = async {
        while world.launches() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), replaced).await.expect("another is started");
    until(&world, "f", |now| now.allocated == 1).await;
    world.live(1).await;
}

#[tokio::test]
async fn one_that_is_lost_is_started_again() {
    let world = World::new();
    let f = target("f");
    ready(&world, &f, 1).await;
    world.call(&f, "exit:1").await.unwrap();
    let again = async {
        while world.launches() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), again).await.expect("another is started");
    until(&world, "f", |now| now.allocated == 1).await;
    assert_eq!(world.call(&f, "x").await.unwrap().row.start, StartKind::Warm);
}

#[tokio::test]
async fn one_that_is_lost_again_and_again_is_started_later_each_time() {
    let world = World::new().serve();
    let f = target("f");
    ready(&world, &f, 1).await;
    world.call(&f, "exit:1").await.unwrap();
    until(&world, "f", |now| now.allocated == 1).await;
    // Left alone it would be started as fast as it ends.
    world.call(&f, "exit:1").await.unwrap();
    let told = until(&world, "f", |now| now.failure.is_some()).await;
    assert_eq!((told.allocated, world.launches()), (0, 2));
    assert!(told.failure.unwrap().contains("soon after"));
    world.clocks.advance(1_000).await.unwrap();
    until(&world, "f", |now| now.allocated == 1).await;
    assert_eq!(world.launches(), 3);
}

#[tokio::test]
async fn a_failed_start_is_told_and_tried_again_later() {
    let world = World::new().serve();
    let f = target("f");
    world.walls.fail_next(sandbox::Error::Exhausted { what: "processes", why: "too many".into() });
    world.handle.provision(&f, 1);
    let failed = until(&world, "f", |now| now.failure.is_some()).await;
    assert_eq!((failed.wanted, failed.allocated), (1, 0));
    assert!(failed.failure.unwrap().contains("out of processes"));
    world.clocks.advance(1_000).await.unwrap();
    assert_eq!(until(&world, "f", |now| now.allocated == 1).await.failure, None);
}

#[tokio::test]
async fn an_init_that_fails_is_told() {
    let walls = FakeWalls::new(Arc::new(|_| Box::pin(async { ExitCause::Exited(1) })));
    let world = World::on_walls(walls, |_| {});
    world.handle.provision(&target("f"), 1);
    let failed = until(&world, "f", |now| now.failure.is_some()).await;
    assert_eq!(failed.failure.as_deref(), Some("FUNCTION_ERROR_INIT_FAILURE"));
    assert!(world.texts().iter().any(|line| line.contains("Runtime.ExitError")), "{:?}", world.texts());
}

#[tokio::test]
async fn an_init_ahead_may_take_longer_than_one_that_an_invocation_waits_for() {
    let walls = FakeWalls::new(Arc::new(|inside| {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(400)).await;
            let mut client = inside.connect().await.unwrap();
            while let Ok(request) = client.next().await {
                client.respond(&request.id, b"1").await.unwrap();
            }
            ExitCause::Exited(0)
        })
    }));
    let world = World::on_walls(walls, |options| options.init_timeout_ms = 50);
    ready(&world, &target("f"), 1).await;
    assert_eq!(world.launches(), 1);
    for (timeout_s, limit_s) in [(1, 130), (130, 130), (300, 300), (900, 900), (5_400, 900)] {
        assert_eq!(invoker::init_limit(timeout_s * 1000), Duration::from_secs(limit_s));
    }
}

#[tokio::test]
async fn a_host_without_room_ends_idle_ones_but_not_those_that_are_kept() {
    let walls = FakeWalls::serving(|_, _| Box::pin(async { Reply::Response(Bytes::from_static(b"1")) }));
    let world = World::on_walls(walls, |options| options.max_environments = 2);
    let (f, g) = (target("f"), target("g"));
    assert_eq!(body(&world.call(&g, "x").await.unwrap()), "1");
    ready(&world, &f, 2).await;
    assert!(world.handle.live().iter().all(|live| live.key.function == arn("f")), "g's idle one made room");
    world.handle.provision(&target("h"), 1);
    let failed = until(&world, "h", |now| now.failure.is_some()).await;
    assert!(failed.failure.unwrap().contains("no room"));
    assert_eq!(provisioned(&world, "f").unwrap().allocated, 2);
}

#[tokio::test]
async fn a_new_revision_or_an_end_takes_them_away() {
    let world = World::new();
    let f = target("f");
    ready(&world, &f, 1).await;
    world.handle.evict_version(&arn("f"), "$LATEST");
    world.live(0).await;
    assert_eq!(provisioned(&world, "f"), None);
    let next = target_with("f", "2", |_| {});
    ready(&world, &next, 2).await;
    ready(&world, &next, 1).await;
    ready(&world, &next, 3).await;
    assert_eq!(world.launches(), 5, "one that was too many is on demand from then on");
}

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
    world.call(&f, "x").await.unwrap();
    assert_eq!(covered(&world), 1);
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
    world.walls.fail_next(sandbox::Error::HelperLost);
    world.handle.provision(&f, 1);
    let failed = until(&world, "f", |now| now.failure.is_some()).await;
    assert_eq!((failed.wanted, failed.allocated), (1, 0));
    assert!(failed.failure.unwrap().contains("helper"));
    world.clocks.advance(1_000).await.unwrap();
    assert_eq!(until(&world, "f", |now| now.allocated == 1).await.failure, None);
}

#[tokio::test]
async fn an_init_that_fails_is_told() {
    let walls = FakeWalls::new(Arc::new(|_| Box::pin(async { ExitCause::Exited(1) })));
    let world = World::on_walls(walls, |_| {});
    world.handle.provision(&target("f"), 1);
    let failed = until(&world, "f", |now| now.failure.is_some()).await;
    assert!(failed.failure.unwrap().contains("Runtime.ExitError"));
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
    assert_eq!(world.launches(), 4);
}

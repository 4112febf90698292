//! What somebody who looks sees.

use base::{Account, Region};
use invoker::{Overview, VersionInUse};

use crate::world::{World, arn, target, target_with};

fn of(overview: &Overview, name: &str) -> VersionInUse {
    let function = arn(name);
    let mut found = overview.versions.iter().filter(|version| version.function == function);
    let version = found.next().cloned().unwrap();
    assert!(found.next().is_none(), "{name} is there once");
    version
}

#[tokio::test]
async fn every_way_an_invocation_ends_is_counted_once() {
    let mut world = World::new();
    let (f, g) = (target("f"), target("g"));
    assert_eq!(world.handle.overview().versions, [], "nothing was invoked");
    world.call(&f, "takes").await.unwrap();
    world.call(&f, "used").await.unwrap();
    let seen = of(&world.handle.overview(), "f");
    assert_eq!((seen.private_memory_bytes, seen.peak_memory_bytes), (7 << 20, 7 << 20));
    world.call(&f, "raise").await.unwrap();
    world.call(&f, "exit:3").await.unwrap();
    world.handle.reserve(Account::DEFAULT, &Region::default_region(), &arn("g"), Some(1));
    let held = world.spawn(&g, "hold");
    world.held(1).await;
    assert!(world.call(&g, "x").await.is_err());
    world.walls.fail_next(sandbox::Error::Spec("never".into()));
    let refused = world.call(&target("h"), "x").await;
    assert!(refused.is_err());

    let seen = world.handle.overview();
    let (in_f, in_g, in_h) = (of(&seen, "f"), of(&seen, "g"), of(&seen, "h"));
    assert_eq!((in_f.counted.invocations, in_f.counted.errors, in_f.counted.cold_starts), (4, 2, 1));
    assert_eq!(in_f.counted.cpu_user_us, 1_500);
    assert_eq!((in_f.idle, in_f.busy, in_f.memory_mb), (0, 0, 128), "an exit ends the environment");
    assert_eq!(in_f.private_memory_bytes, 0);
    let count = |times: &[(u64, u32)]| times.iter().map(|(_, count)| *count).sum::<u32>();
    let spread = &in_f.spread;
    assert_eq!([&spread.queue, &spread.handler, &spread.sandbox, &spread.init].map(|times| count(times)), [4, 4, 1, 1]);
    assert_eq!((in_g.busy, in_g.counted.throttles, in_g.counted.invocations), (1, 1, 0));
    assert_eq!((in_h.counted.refusals, in_h.counted.invocations), (1, 0));
    assert_eq!((seen.running, seen.waiting, seen.environments), (1, 0, 1));
    assert_eq!((seen.total.invocations, seen.total.errors, seen.total.throttles, seen.total.refusals), (4, 2, 1, 1));

    world.release(1);
    held.await.unwrap().unwrap();
    let in_g = of(&world.handle.overview(), "g");
    assert_eq!((in_g.busy, in_g.idle, in_g.counted.invocations), (0, 1, 1));
}

#[tokio::test]
async fn a_deployment_does_not_begin_to_count_anew_and_what_is_deleted_stays_in_the_total() {
    let world = World::new();
    world.call(&target("f"), "x").await.unwrap();
    let after = target_with("f", "2", |target| target.memory_mb = 256);
    world.handle.evict_version(&arn("f"), "$LATEST");
    assert_eq!(of(&world.handle.overview(), "f").counted.invocations, 1);
    world.call(&after, "x").await.unwrap();
    let seen = of(&world.handle.overview(), "f");
    assert_eq!((seen.counted.invocations, seen.memory_mb, seen.idle), (2, 256, 1));
    world.handle.evict(&arn("f"));
    let seen = world.handle.overview();
    assert_eq!((seen.versions.len(), seen.total.invocations), (0, 2));
}

#[tokio::test]
async fn provisioned_environments_and_those_who_wait_are_seen() {
    let mut world = World::with(|options| options.max_environments = 1);
    let f = target("f");
    world.handle.provision(&f, 1);
    world.live(1).await;
    let busy = world.spawn(&f, "hold");
    world.held(1).await;
    let waits = world.spawn(&f, "x");
    while world.handle.overview().waiting == 0 {
        tokio::task::yield_now().await;
    }
    let seen = world.handle.overview();
    assert_eq!((seen.running, of(&seen, "f").provisioned, of(&seen, "f").busy), (2, 1, 1));
    world.release(1);
    busy.await.unwrap().unwrap();
    waits.await.unwrap().unwrap();
}

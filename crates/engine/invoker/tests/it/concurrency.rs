//! What may run at once, and that nothing is ever lost.

use std::sync::Arc;

use base::{Account, Region, StartKind};
use invoker::{Refusal, Target, ThrottleReason};

use crate::world::{World, arn, body, target, target_with};

fn reserve(world: &World, name: &str, reserved: Option<u32>) {
    world.handle.reserve(Account::DEFAULT, &Region::default_region(), &arn(name), reserved);
}

#[tokio::test]
async fn exactly_the_reserved_number_of_a_burst_runs() {
    let mut world = World::new();
    let f = target("f");
    reserve(&world, "f", Some(5));
    let calls: Vec<_> = (0..20).map(|_| world.spawn(&f, "hold")).collect();
    world.held(5).await;
    world.release(5);
    let (mut good, mut refused) = (0, 0);
    for call in calls {
        match call.await.unwrap() {
            Ok(_) => good += 1,
            Err(refusal) => {
                let reason = ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded;
                assert_eq!(refusal, Refusal::Throttled { reason });
                refused += 1;
            }
        }
    }
    assert_eq!((good, refused), (5, 15));
    assert_eq!(*world.ears.throttled.lock().unwrap(), 15);
}

#[tokio::test]
async fn an_invocation_tells_what_else_was_under_way() {
    let mut world = World::new();
    reserve(&world, "g", Some(5));
    let (f, g) = (target("f"), target("g"));
    let calls = [world.spawn(&f, "hold"), world.spawn(&f, "hold"), world.spawn(&g, "hold")];
    world.held(3).await;
    world.release(3);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    world.call(&f, "x").await.unwrap();
    let rows = world.ears.rows.lock().unwrap();
    let of = |name: &str| -> Vec<_> {
        let own = rows.iter().filter(|row| row.invoked_arn.contains(name) || row.function_arn.contains(name));
        own.map(|row| (row.concurrency.function, row.concurrency.unreserved)).collect()
    };
    assert_eq!(rows.iter().map(|row| row.concurrency.account).max(), Some(3));
    assert!(of(":g").contains(&(1, None)), "a function with a reservation is not among the unreserved");
    assert_eq!(rows.iter().filter(|row| row.concurrency.function == 2).count(), 1);
    assert_eq!(rows.last().map(|row| (row.concurrency.function, row.concurrency.account)), Some((1, 1)));
}

#[tokio::test]
async fn versions_of_one_function_share_its_reservation() {
    let mut world = World::new();
    let (one, two) = (target("f"), target_with("f", "1", |target| target.key.version = "2".into()));
    reserve(&world, "f", Some(1));
    let first = world.spawn(&one, "hold");
    world.held(1).await;
    assert!(matches!(world.call(&two, "x").await, Err(Refusal::Throttled { .. })));
    world.release(1);
    first.await.unwrap().unwrap();
    world.call(&two, "x").await.unwrap();
}

#[tokio::test]
async fn the_account_keeps_what_is_not_reserved() {
    let mut world = World::with(|options| options.account_concurrency = 10);
    reserve(&world, "quiet", Some(4));
    let f = target("f");
    let calls: Vec<_> = (0..10).map(|_| world.spawn(&f, "hold")).collect();
    world.held(6).await;
    let refusal = world.call(&f, "x").await.unwrap_err();
    assert_eq!(refusal, Refusal::Throttled { reason: ThrottleReason::ConcurrentInvocationLimitExceeded });
    world.call(&target("quiet"), "x").await.expect("its reservation is its own");
    world.release(6);
    let mut good = 0;
    for call in calls {
        good += usize::from(call.await.unwrap().is_ok());
    }
    assert_eq!(good, 6);
}

#[tokio::test]
async fn a_reservation_of_nothing_stops_the_function() {
    let world = World::new();
    reserve(&world, "f", Some(0));
    for _ in 0..3 {
        assert!(matches!(world.call(&target("f"), "x").await, Err(Refusal::Throttled { .. })));
    }
    assert_eq!(world.launches(), 0);
    reserve(&world, "f", None);
    world.call(&target("f"), "x").await.unwrap();
}

#[tokio::test]
async fn one_after_the_other_never_meets_a_reservation_of_one() {
    let world = World::new();
    reserve(&world, "f", Some(1));
    let f = target("f");
    for i in 0..300 {
        let done = world.call(&f, "x").await.expect("the permit is back before the answer");
        assert_eq!(done.row.start == StartKind::Cold, i == 0, "the environment is back before the answer");
    }
    assert_eq!(world.launches(), 1);
}

#[tokio::test]
async fn nothing_that_goes_wrong_keeps_a_permit() {
    let world = World::with(|options| options.init_timeout_ms = 2_000);
    reserve(&world, "f", Some(1));
    let f = target_with("f", "1", |target| target.timeout_ms = 60);
    for payload in ["raise", "exit:1", "exit:0", "oom", "hang"] {
        world.call(&f, payload).await.unwrap();
        assert_eq!(body(&world.call(&f, "fine").await.unwrap()), "fine");
    }
    world.handle.evict(&arn("f"));
    world.walls.fail_next(sandbox::Error::Spec("no such folder".into()));
    assert!(matches!(world.call(&f, "x").await, Err(Refusal::Walls { .. })));
    assert_eq!(body(&world.call(&f, "fine").await.unwrap()), "fine");
}

#[tokio::test]
async fn a_caller_who_leaves_does_not_stop_the_invocation() {
    let mut world = World::new();
    reserve(&world, "f", Some(1));
    let f = target("f");
    let call = world.spawn(&f, "hold");
    let ids = world.held(1).await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert!(matches!(world.call(&f, "x").await, Err(Refusal::Throttled { .. })), "it still runs");
    world.release(1);
    // The permit comes back when it has finished, as every other.
    let done = loop {
        match world.call(&f, "next").await {
            Ok(done) => break done,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert_eq!(done.row.start, StartKind::Warm, "the environment was not half-used");
    let rows = world.ears.rows.lock().unwrap();
    assert_eq!(rows[0].request.to_string(), ids[0]);
    assert!(world.texts().contains(&format!("END RequestId: {}", ids[0])));
}

#[tokio::test]
async fn a_call_never_polled_does_nothing() {
    let world = World::new();
    drop(world.handle.invoke(target("f"), crate::world::invocation("x")));
    world.call(&target("g"), "x").await.unwrap();
    assert_eq!(world.launches(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_storm_every_permit_and_every_place_is_back() {
    let mut world = World::with(|options| {
        options.account_concurrency = 12;
        options.concurrent_starts = 3;
        options.max_environments = 8;
    });
    reserve(&world, "b", Some(3));
    let targets: Vec<_> = ["a", "b", "c"].map(|name| target_with(name, "1", |t| t.timeout_ms = 100)).into();
    let words = ["x", "x", "raise", "exit:3", "oom", "print:hello\n", "hang", "x"];
    let mut seed = 0x2545_f491_4f6c_dd1du64;
    let mut calls = Vec::new();
    for i in 0..400usize {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let roll = (seed >> 33) as usize;
        let call = world.spawn(&targets[roll % 3], words[roll / 3 % words.len()]);
        match roll / 64 % 8 {
            0 => call.abort(),
            1 => world.handle.evict(&targets[roll % 3].key.function),
            _ => calls.push(call),
        }
        if i % 7 == 0 {
            tokio::task::yield_now().await;
        }
        if i % 40 == 0 {
            world.walls.fail_next(sandbox::Error::HelperLost);
        }
    }
    for call in calls {
        let _ = call.await.unwrap();
    }
    // Abandoned ones finish by themselves.
    while world.handle.running() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(world.handle.live().iter().all(|live| live.busy + live.starting == 0));
    // Now exactly the limits run: 3 of b, 9 of the rest, on 8 environments at most.
    world.handle.evict(&targets[0].key.function);
    assert_eq!(burst(&mut world, &targets[1], 5, 3, 2).await, 3);
    let a = target_with("a", "2", |_| {});
    assert_eq!(burst(&mut world, &a, 12, 8, 3).await, 9, "nine permits, eight environments: the ninth waited");
    assert!(*world.handle.changes().borrow() <= 8);
}

/// Calls `calls` times at once, waits until `held` hold and `refused` were refused, lets all go on, and counts the good.
async fn burst(world: &mut World, target: &Arc<Target>, calls: usize, held: usize, refused: u32) -> usize {
    let before = *world.ears.throttled.lock().unwrap();
    let calls: Vec<_> = (0..calls).map(|_| world.spawn(target, "hold")).collect();
    world.held(held).await;
    while *world.ears.throttled.lock().unwrap() < before + refused {
        tokio::task::yield_now().await;
    }
    world.release(calls.len());
    let mut good = 0;
    for call in calls {
        good += usize::from(call.await.unwrap().is_ok());
    }
    world.gate_shut();
    good
}

#[tokio::test]
async fn whoever_waits_gets_the_first_environment_that_is_free() {
    let mut world = World::with(|options| options.max_environments = 1);
    let f = target("f");
    let calls: Vec<_> = (0..5).map(|_| world.spawn(&f, "hold")).collect();
    for _ in 0..5 {
        world.held(1).await;
        world.release(1);
    }
    let mut warm = 0;
    for call in calls {
        warm += usize::from(call.await.unwrap().unwrap().row.start == StartKind::Warm);
    }
    assert_eq!((warm, world.launches()), (4, 1));
}

#[tokio::test]
async fn a_full_host_ends_what_was_used_longest_ago() {
    let world = World::with(|options| options.max_memory_mb = 256).serve();
    let [a, b, c] = ["a", "b", "c"].map(target);
    world.call(&a, "x").await.unwrap();
    world.clocks.advance(10).await.unwrap();
    world.call(&b, "x").await.unwrap();
    world.clocks.advance(10).await.unwrap();
    world.call(&a, "x").await.unwrap();
    world.clocks.advance(10).await.unwrap();
    world.call(&c, "x").await.unwrap();
    let live: Vec<Arc<str>> = world.handle.live().into_iter().map(|live| live.key.function).collect();
    assert!(live.contains(&arn("a")) && live.contains(&arn("c")) && live.len() == 2);
}

#[tokio::test]
async fn a_full_host_refuses_in_the_end() {
    let mut world = World::with(|options| {
        options.max_environments = 1;
        options.queue_ms = 30;
        options.max_waiting = 2;
    });
    let first = world.spawn(&target("f"), "hold");
    world.held(1).await;
    let g = target("g");
    let waiting: Vec<_> = (0..3).map(|_| world.spawn(&g, "x")).collect();
    for call in waiting {
        assert!(matches!(call.await.unwrap(), Err(Refusal::Full(_))));
    }
    world.release(1);
    first.await.unwrap().unwrap();
    world.call(&g, "x").await.unwrap();
}

#[tokio::test]
async fn a_function_that_grows_too_fast_is_throttled() {
    let mut world = World::with(|options| options.burst = 2).serve();
    let f = target("f");
    let held: Vec<_> = (0..2).map(|_| world.spawn(&f, "hold")).collect();
    world.held(2).await;
    let reason = ThrottleReason::ConcurrentInvocationLimitExceeded;
    assert_eq!(world.call(&f, "x").await.unwrap_err(), Refusal::Throttled { reason });
    world.call(&target("g"), "x").await.unwrap();
    // Half of the ten seconds give one of two back.
    world.clocks.advance(5_000).await.unwrap();
    world.call(&f, "x").await.unwrap();
    world.release(2);
    for call in held {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn who_waits_for_much_room_does_not_hold_up_who_needs_little() {
    let mut world = World::with(|options| {
        options.max_memory_mb = 512;
        options.concurrent_starts = 1;
        options.queue_ms = 200;
    });
    let first = world.spawn(&target("f"), "hold");
    world.held(1).await;
    let large = Arc::new(Target { memory_mb: 512, ..Target::clone(&target("large")) });
    let waiting = world.spawn(&large, "x");
    tokio::task::yield_now().await;
    world.call(&target("small"), "x").await.unwrap();
    world.release(1);
    first.await.unwrap().unwrap();
    // Both are idle now, and end for the large one.
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_full_host_makes_room_when_another_function_pauses_or_ends() {
    let mut world = World::with(|options| options.max_environments = 1);
    for payload in ["hold", "hold"] {
        let first = world.spawn(&target("f"), payload);
        world.held(1).await;
        let other = world.spawn(&target("g"), "x");
        tokio::task::yield_now().await;
        world.release(1);
        first.await.unwrap().unwrap();
        assert_eq!(other.await.unwrap().unwrap().row.start, StartKind::Cold);
    }
    // The environment ends instead of becoming idle.
    let f = target_with("f", "1", |target| target.timeout_ms = 50);
    let first = world.spawn(&f, "hang");
    let other = world.spawn(&target("g"), "x");
    first.await.unwrap().unwrap();
    other.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_burst_of_one_function_does_not_hold_up_another() {
    let mut world = World::with(|options| options.concurrent_starts = 2);
    let named = |name: &str| target_with(name, "1", |target| target.env = vec![("NAME".into(), name.into())]);
    let (burst, single) = (named("burst"), named("single"));
    let mut calls: Vec<_> = (0..20).map(|_| world.spawn(&burst, "hold")).collect();
    tokio::task::yield_now().await;
    calls.push(world.spawn(&single, "hold"));
    world.held(21).await;
    let launched = world.walls.launched();
    let at = launched.iter().position(|spec| spec.env.iter().any(|(_, value)| value == "single"));
    assert!(at.unwrap() <= 4, "{at:?}");
    world.release(21);
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

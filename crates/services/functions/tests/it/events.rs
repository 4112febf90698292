//! Asynchronous invocations.

use std::sync::atomic::Ordering;

use model::lambda::{self as aws, ops};

use crate::world::{PATIENCE, World};

/// Waits until nothing waits any more.
pub(crate) async fn settled(world: &World) {
    let empty = async {
        while world.waiting() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, empty).await.expect("the queue empties");
}

/// Waits until the event that is under way has been put back for later.
pub(crate) async fn put_back(world: &World, before: &[u8]) -> Vec<u8> {
    let moved = async {
        loop {
            let rows = world.disk.kv.range(store::Space::Queue, store::Range::prefix("event/"), 2, false).unwrap();
            match rows.as_slice() {
                [(key, _)] if key != before => return key.to_vec(),
                _ => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, moved).await.expect("the event is put back")
}

pub(crate) fn first_key(world: &World) -> Vec<u8> {
    world.disk.kv.range(store::Space::Queue, store::Range::prefix("event/"), 1, false).unwrap()[0].0.to_vec()
}

#[tokio::test]
async fn an_event_is_accepted_and_delivered_once() {
    let mut world = World::new().serve();
    world.create("hello").await;
    let accepted = world.event("hello", "{\"n\":1}").await;
    assert_eq!(accepted, aws::InvocationResponse { status_code: Some(202), ..aws::InvocationResponse::default() });
    assert_eq!(world.begins().await, "{\"n\":1}");
    settled(&world).await;
    assert!(world.begun.try_recv().is_err());
}

/// The receipts in the store, by value.
fn receipts(world: &World) -> Vec<String> {
    let rows = world.disk.kv.range(store::Space::Usage, store::Range::prefix("receipt/"), 10, false).unwrap();
    rows.into_iter().map(|(_, value)| String::from_utf8(value.to_vec()).unwrap()).collect()
}

#[tokio::test]
async fn an_event_leaves_its_receipt_in_the_transaction_that_ends_it() {
    let mut world = World::new().serve();
    world.create("hello").await;
    world.event("hello", "\"hold\"").await;
    world.begins().await;
    assert_eq!(receipts(&world), Vec::<String>::new());
    // What runs when the platform dies has not ended: it runs again, and counts once.
    let mut world = World::on(world.die().await).serve();
    world.begins().await;
    world.gate.add_permits(1);
    settled(&world).await;
    assert_eq!(receipts(&world), ["false"]);
}

#[tokio::test]
async fn an_event_that_was_accepted_survives_the_platform() {
    let world = World::new();
    world.create("hello").await;
    world.event("hello", "\"not begun\"").await;
    assert_eq!(world.waiting(), 1);
    let mut world = World::on(world.die().await).serve();
    assert_eq!(world.begins().await, "\"not begun\"");
    settled(&world).await;
}

#[tokio::test]
async fn an_event_under_way_is_delivered_again_after_a_crash() {
    let mut world = World::new().serve();
    world.create("hello").await;
    world.event("hello", "\"hold\"").await;
    assert_eq!(world.begins().await, "\"hold\"");
    assert_eq!(world.waiting(), 1);
    let mut world = World::on(world.die().await).serve();
    assert_eq!(world.begins().await, "\"hold\"");
    world.gate.add_permits(1);
    settled(&world).await;
}

#[tokio::test]
async fn a_failing_function_is_tried_three_times() {
    let mut world = World::new().serve();
    world.create("hello").await;
    world.event("hello", "\"fail\"").await;
    let mut key = first_key(&world);
    world.begins().await;
    for wait_ms in [60_000, 120_000] {
        key = put_back(&world, &key).await;
        world.clocks.advance(wait_ms - 1).await.unwrap();
        tokio::task::yield_now().await;
        assert!(world.begun.try_recv().is_err());
        world.clocks.advance(1).await.unwrap();
        assert_eq!(world.begins().await, "\"fail\"");
    }
    settled(&world).await;
    assert_eq!(receipts(&world), ["true", "true", "true"], "each attempt is counted");
}

#[tokio::test]
async fn a_retry_that_succeeds_ends_it() {
    let mut world = World::new().serve();
    world.create("hello").await;
    world.failures.store(1, Ordering::SeqCst);
    world.event("hello", "\"fail\"").await;
    let key = first_key(&world);
    world.begins().await;
    put_back(&world, &key).await;
    world.clocks.advance(60_000).await.unwrap();
    world.begins().await;
    settled(&world).await;
}

#[tokio::test]
async fn a_throttled_event_waits_and_is_let_go_after_six_hours() {
    let mut world = World::new().serve();
    world.create("hello").await;
    let reserve = |reserved| aws::PutFunctionConcurrencyRequest {
        function_name: Some("hello".into()),
        reserved_concurrent_executions: Some(reserved),
    };
    world.call::<ops::PutFunctionConcurrency>(reserve(0)).await.unwrap();
    world.event("hello", "1").await;
    let key = first_key(&world);
    put_back(&world, &key).await;
    world.call::<ops::PutFunctionConcurrency>(reserve(1)).await.unwrap();
    world.clocks.advance(1_000).await.unwrap();
    assert_eq!(world.begins().await, "1");
    settled(&world).await;

    world.call::<ops::PutFunctionConcurrency>(reserve(0)).await.unwrap();
    world.event("hello", "2").await;
    let key = first_key(&world);
    put_back(&world, &key).await;
    world.clocks.advance(6 * 3_600_000 + 1).await.unwrap();
    settled(&world).await;
    assert!(world.begun.try_recv().is_err());
}

#[tokio::test]
async fn events_of_a_deleted_function_are_let_go() {
    let world = World::new();
    world.create("hello").await;
    world.event("hello", "1").await;
    let delete = aws::DeleteFunctionRequest { function_name: Some("hello".into()), qualifier: None };
    world.call::<ops::DeleteFunction>(delete).await.unwrap();
    let mut world = world.serve();
    settled(&world).await;
    assert!(world.begun.try_recv().is_err());
}

#[tokio::test]
async fn a_thousand_events_all_arrive() {
    let mut world = World::new().serve();
    world.create("hello").await;
    for n in 0..1000 {
        world.event("hello", &n.to_string()).await;
    }
    settled(&world).await;
    let mut seen = std::collections::BTreeSet::new();
    while let Ok(payload) = world.begun.try_recv() {
        seen.insert(payload.parse::<u32>().unwrap());
    }
    assert_eq!(seen, (0..1000).collect());
}

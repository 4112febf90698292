//! Queues that are read: what reaches the function, when, and what becomes of the messages.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use base::Principal;
use functions::Options;
use model::lambda::{self as aws, ops};
use serde_json::Value;

use crate::queue::{Broken, QUEUE, Queues, world_on};
use crate::world::{Disk, PATIENCE, World};

async fn serving(change: impl FnOnce(&mut Options)) -> (World, Arc<Queues>) {
    let (world, queues) = world_on(Disk::new(), change);
    let world = world.serve();
    world.create("hello").await;
    (world, queues)
}

fn from_queue() -> aws::CreateEventSourceMappingRequest {
    aws::CreateEventSourceMappingRequest {
        event_source_arn: Some(QUEUE.into()),
        function_name: Some("hello".into()),
        ..aws::CreateEventSourceMappingRequest::default()
    }
}

async fn map(world: &World, input: aws::CreateEventSourceMappingRequest) -> String {
    world.call::<ops::CreateEventSourceMapping>(input).await.unwrap().uuid.unwrap()
}

async fn get(world: &World, uuid: &str) -> Result<aws::EventSourceMappingConfiguration, base::Fault> {
    let input = aws::GetEventSourceMappingRequest { uuid: Some(uuid.into()) };
    world.call::<ops::GetEventSourceMapping>(input).await
}

/// The bodies of the next batch.
async fn batch(world: &mut World) -> Vec<String> {
    let event: Value = serde_json::from_str(&world.begins().await).unwrap();
    event["Records"].as_array().unwrap().iter().map(|record| record["body"].as_str().unwrap().to_owned()).collect()
}

/// The first letters of the bodies of the next batch.
async fn numbers(world: &mut World) -> String {
    batch(world).await.iter().map(|body| &body[..1]).collect()
}

/// Waits until something holds.
async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("in vain: {what}"));
}

async fn empty(queues: &Queues) {
    until("the queue is empty", async || queues.left("q").is_empty()).await;
}

/// Lets what is due now be done.
async fn settle(world: &World) {
    world.clocks.advance(0).await.unwrap();
}

#[tokio::test]
async fn what_is_sent_reaches_the_function_and_is_deleted() {
    let (mut world, queues) = serving(|_| {}).await;
    queues.lay("q", "early", None, None);
    map(&world, from_queue()).await;
    assert_eq!(batch(&mut world).await, ["early"], "what lay there before");
    empty(&queues).await;
    queues.send("q", "late");
    let event: Value = serde_json::from_str(&world.begins().await).unwrap();
    let record = &event["Records"][0];
    assert_eq!((&record["body"], &record["messageId"]), (&"late".into(), &"q-2".into()));
    assert_eq!((&record["eventSourceARN"], &record["awsRegion"]), (&QUEUE.into(), &"us-east-1".into()));
    assert_eq!(record["attributes"]["ApproximateReceiveCount"], "1");
    empty(&queues).await;
    let reads_as = |principal: &Principal| matches!(principal, Principal::Session { role, .. } if role == "test");
    assert!(queues.receives().iter().all(|(principal, most)| reads_as(principal) && *most == 10));
    // Nobody looks again unless somebody rings.
    settle(&world).await;
    let looked = queues.receives().len();
    world.clocks.advance(3_600_000).await.unwrap();
    assert_eq!(queues.receives().len(), looked);
}

#[tokio::test]
async fn a_batch_waits_for_its_window_or_until_it_is_whole() {
    let (mut world, queues) = serving(|_| {}).await;
    let input = aws::CreateEventSourceMappingRequest {
        batch_size: Some(25),
        maximum_batching_window_in_seconds: Some(20),
        ..from_queue()
    };
    map(&world, input).await;
    settle(&world).await;
    for n in 0..12 {
        queues.lay("q", &n.to_string(), None, None);
    }
    queues.ring("q");
    world.clocks.advance(19_000).await.unwrap();
    queues.send("q", "12");
    settle(&world).await;
    assert!(world.begun.try_recv().is_err(), "its time has not come");
    world.clocks.advance(1_000).await.unwrap();
    assert_eq!(batch(&mut world).await.len(), 13);
    empty(&queues).await;
    for n in 0..30 {
        queues.lay("q", &n.to_string(), None, None);
    }
    queues.ring("q");
    assert_eq!(batch(&mut world).await.len(), 25, "it is whole");
    settle(&world).await;
    assert!(world.begun.try_recv().is_err());
    world.clocks.advance(20_000).await.unwrap();
    assert_eq!(batch(&mut world).await.len(), 5);
    empty(&queues).await;
}

#[tokio::test]
async fn a_window_ends_early_enough_for_the_queue() {
    let (mut world, queues) = serving(|_| {}).await;
    queues.set("q", "VisibilityTimeout", "10");
    let input = aws::CreateEventSourceMappingRequest {
        batch_size: Some(25),
        maximum_batching_window_in_seconds: Some(60),
        ..from_queue()
    };
    map(&world, input).await;
    settle(&world).await;
    queues.send("q", "one");
    world.clocks.advance(6_000).await.unwrap();
    queues.send("q", "two");
    settle(&world).await;
    assert!(world.begun.try_recv().is_err(), "the function's 3 s fit still");
    world.clocks.advance(1_000).await.unwrap();
    assert_eq!(batch(&mut world).await, ["one", "two"]);
    empty(&queues).await;
}

#[tokio::test]
async fn what_is_visible_again_is_left_to_the_queue() {
    let (mut world, queues) = serving(|_| {}).await;
    queues.set("q", "VisibilityTimeout", "10");
    let input = aws::CreateEventSourceMappingRequest {
        batch_size: Some(2),
        maximum_batching_window_in_seconds: Some(60),
        ..from_queue()
    };
    map(&world, input).await;
    settle(&world).await;
    queues.send("q", "left");
    settle(&world).await;
    // It is in hand, and there is no function until it is visible again.
    let delete = aws::DeleteFunctionRequest { function_name: Some("hello".into()), ..Default::default() };
    world.call::<ops::DeleteFunction>(delete).await.unwrap();
    world.clocks.advance(12_000).await.unwrap();
    world.create("hello").await;
    queues.ring("q");
    settle(&world).await;
    assert!(world.begun.try_recv().is_err(), "it is not the reader's any more");
    world.clocks.advance(7_000).await.unwrap();
    assert_eq!(batch(&mut world).await, ["left"], "received again, it has a window of its own");
    empty(&queues).await;
    settle(&world).await;
    assert!(world.begun.try_recv().is_err());
}

#[tokio::test]
async fn deletions_go_on_after_one_that_failed() {
    let (mut world, queues) = serving(|_| {}).await;
    let input = aws::CreateEventSourceMappingRequest {
        batch_size: Some(25),
        maximum_batching_window_in_seconds: Some(20),
        ..from_queue()
    };
    map(&world, input).await;
    settle(&world).await;
    let mut deliver = async |broken: &[Broken]| {
        queues.break_deletions(broken);
        for n in 0..25 {
            queues.lay("q", &n.to_string(), None, None);
        }
        queues.ring("q");
        assert_eq!(batch(&mut world).await.len(), 25);
    };
    // The first ten, and one of the others, are deleted at the second try.
    deliver(&[Broken::Whole, Broken::First]).await;
    empty(&queues).await;
    // What fails twice stays, and nothing else.
    deliver(&[Broken::Whole, Broken::First, Broken::First, Broken::Whole]).await;
    until("15 are deleted", async || queues.left("q").len() == 10).await;
}

#[tokio::test]
async fn messages_that_no_filter_wants_are_deleted() {
    let (mut world, queues) = serving(|_| {}).await;
    let filters = Some(vec![aws::Filter { pattern: Some(r#"{"body":{"n":[{"numeric":[">",1]}]}}"#.into()) }]);
    let input =
        aws::CreateEventSourceMappingRequest { filter_criteria: Some(aws::FilterCriteria { filters }), ..from_queue() };
    let uuid = map(&world, input).await;
    for body in [r#"{"n":1}"#, r#"{"n":2}"#, "no json"] {
        queues.lay("q", body, None, None);
    }
    queues.ring("q");
    assert_eq!(batch(&mut world).await, [r#"{"n":2}"#]);
    empty(&queues).await;
    assert!(world.begun.try_recv().is_err());
    let filters = Some(vec![aws::Filter { pattern: Some(r#"{"body":["text"]}"#.into()) }]);
    let change = aws::UpdateEventSourceMappingRequest {
        uuid: Some(uuid),
        filter_criteria: Some(aws::FilterCriteria { filters }),
        ..aws::UpdateEventSourceMappingRequest::default()
    };
    world.call::<ops::UpdateEventSourceMapping>(change).await.unwrap();
    for body in [r#"{"n":2}"#, "text"] {
        queues.lay("q", body, None, None);
    }
    queues.ring("q");
    assert_eq!(batch(&mut world).await, ["text"]);
    empty(&queues).await;
}

#[tokio::test]
async fn what_fails_comes_again_after_its_visibility_timeout() {
    let (mut world, queues) = serving(|_| {}).await;
    world.failures.store(1, Ordering::SeqCst);
    map(&world, from_queue()).await;
    queues.send("q", "fail");
    assert_eq!(batch(&mut world).await, ["fail"]);
    settle(&world).await;
    assert_eq!(queues.left("q"), ["fail"]);
    world.clocks.advance(29_999).await.unwrap();
    queues.ring("q");
    settle(&world).await;
    assert!(world.begun.try_recv().is_err(), "it is not visible yet");
    world.clocks.advance(1).await.unwrap();
    queues.ring("q");
    assert_eq!(batch(&mut world).await, ["fail"]);
    empty(&queues).await;
}

#[tokio::test]
async fn only_what_was_done_is_deleted_where_the_function_tells() {
    let (mut world, queues) = serving(|_| {}).await;
    let input = aws::CreateEventSourceMappingRequest {
        function_response_types: Some(vec!["ReportBatchItemFailures".into()]),
        ..from_queue()
    };
    map(&world, input).await;
    settle(&world).await;
    for body in ["part good", "part bad", "part fine"] {
        queues.lay("q", body, None, None);
    }
    queues.ring("q");
    assert_eq!(batch(&mut world).await.len(), 3);
    until("two are deleted", async || queues.left("q") == ["part bad"]).await;
    // An answer that says nothing of them says that all are done.
    queues.send("q", "hello");
    batch(&mut world).await;
    until("it is deleted", async || queues.left("q") == ["part bad"]).await;
}

#[tokio::test]
async fn five_batches_at_first_and_more_while_more_waits() {
    let (mut world, queues) = serving(|_| {}).await;
    let input = aws::CreateEventSourceMappingRequest { batch_size: Some(1), ..from_queue() };
    let uuid = map(&world, input).await;
    for n in 0..20 {
        queues.lay("q", &format!("hold {n}"), None, None);
    }
    queues.ring("q");
    for _ in 0..5 {
        batch(&mut world).await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    assert!(world.begun.try_recv().is_err(), "no more than five");
    let change = aws::UpdateEventSourceMappingRequest {
        uuid: Some(uuid.clone()),
        scaling_config: Some(aws::ScalingConfig { maximum_concurrency: Some(7) }),
        ..aws::UpdateEventSourceMappingRequest::default()
    };
    world.call::<ops::UpdateEventSourceMapping>(change).await.unwrap();
    world.gate.add_permits(20);
    for _ in 0..15 {
        batch(&mut world).await;
    }
    empty(&queues).await;
}

#[tokio::test]
async fn no_more_batches_than_the_mapping_may_have() {
    let (mut world, queues) = serving(|_| {}).await;
    let input = aws::CreateEventSourceMappingRequest {
        batch_size: Some(1),
        scaling_config: Some(aws::ScalingConfig { maximum_concurrency: Some(2) }),
        ..from_queue()
    };
    map(&world, input).await;
    for n in 0..4 {
        queues.lay("q", &format!("hold {n}"), None, None);
    }
    queues.ring("q");
    for _ in 0..2 {
        batch(&mut world).await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    assert!(world.begun.try_recv().is_err(), "no more than two");
    world.gate.add_permits(4);
    for _ in 0..2 {
        batch(&mut world).await;
    }
    empty(&queues).await;
}

#[tokio::test]
async fn a_function_without_room_is_tried_until_the_messages_are_visible_again() {
    let (mut world, queues) = serving(|_| {}).await;
    let reserve = async |n: i64| {
        let input = aws::PutFunctionConcurrencyRequest {
            function_name: Some("hello".into()),
            reserved_concurrent_executions: Some(n),
        };
        world.call::<ops::PutFunctionConcurrency>(input).await.unwrap();
    };
    reserve(0).await;
    map(&world, from_queue()).await;
    queues.send("q", "one");
    settle(&world).await;
    let received = queues.receives().len();
    queues.send("q", "two");
    settle(&world).await;
    assert_eq!(queues.receives().len(), received, "nothing more is received meanwhile");
    world.clocks.advance(2_000).await.unwrap();
    reserve(1).await;
    world.clocks.advance(10_000).await.unwrap();
    assert_eq!(batch(&mut world).await, ["one"]);
    assert_eq!(batch(&mut world).await, ["two"]);
    empty(&queues).await;
    // In vain: the messages are left, and come again.
    let reserve = aws::PutFunctionConcurrencyRequest {
        function_name: Some("hello".into()),
        reserved_concurrent_executions: Some(0),
    };
    world.call::<ops::PutFunctionConcurrency>(reserve).await.unwrap();
    queues.send("q", "three");
    world.clocks.advance(60_000).await.unwrap();
    assert_eq!(queues.left("q"), ["three"]);
    assert!(world.begun.try_recv().is_err());
}

#[tokio::test]
async fn a_mapping_that_ends_lets_its_batches_end() {
    let (mut world, queues) = serving(|_| {}).await;
    let uuid = map(&world, from_queue()).await;
    let enable = |enabled| aws::UpdateEventSourceMappingRequest {
        uuid: Some(uuid.clone()),
        enabled: Some(enabled),
        ..aws::UpdateEventSourceMappingRequest::default()
    };
    queues.send("q", "hold");
    batch(&mut world).await;
    world.call::<ops::UpdateEventSourceMapping>(enable(false)).await.unwrap();
    assert_eq!(get(&world, &uuid).await.unwrap().state.as_deref(), Some("Disabling"));
    queues.send("q", "waits");
    world.gate.add_permits(1);
    until("it is disabled", async || get(&world, &uuid).await.unwrap().state.as_deref() == Some("Disabled")).await;
    assert_eq!(queues.left("q"), ["waits"]);
    assert!(world.begun.try_recv().is_err());
    let enabling = world.call::<ops::UpdateEventSourceMapping>(enable(true)).await.unwrap();
    assert_eq!(enabling.state.as_deref(), Some("Enabling"));
    assert_eq!(batch(&mut world).await, ["waits"]);
    queues.send("q", "hold");
    batch(&mut world).await;
    let delete = || aws::DeleteEventSourceMappingRequest { uuid: Some(uuid.clone()) };
    world.call::<ops::DeleteEventSourceMapping>(delete()).await.unwrap();
    assert_eq!(get(&world, &uuid).await.unwrap().state.as_deref(), Some("Deleting"));
    let again = world.call::<ops::DeleteEventSourceMapping>(delete()).await.unwrap_err();
    assert_eq!(again.code, "ResourceInUseException");
    world.gate.add_permits(1);
    until("it is gone", async || get(&world, &uuid).await.is_err()).await;
    empty(&queues).await;
    queues.send("q", "nobody");
    settle(&world).await;
    assert!(world.begun.try_recv().is_err());
}

#[tokio::test]
async fn it_goes_on_after_a_crash_and_loses_nothing() {
    let (mut world, queues) = serving(|_| {}).await;
    map(&world, from_queue()).await;
    queues.send("q", "hold on");
    batch(&mut world).await;
    let disk = world.die().await;
    let (world, after) = world_on(disk, |_| {});
    let mut world = world.serve();
    // As the queue has kept it.
    after.lay("q", &queues.left("q")[0], None, None);
    after.ring("q");
    world.gate.add_permits(1);
    assert_eq!(batch(&mut world).await, ["hold on"]);
    empty(&after).await;
}

#[tokio::test]
async fn a_role_that_may_not_says_so_and_goes_on_when_it_may() {
    let (mut world, queues) = serving(|_| {}).await;
    let uuid = map(&world, from_queue()).await;
    queues.deny("ReceiveMessage", true);
    queues.send("q", "one");
    let result = async || get(&world, &uuid).await.unwrap().last_processing_result;
    until("it says so", async || result().await.is_some()).await;
    assert_eq!(
        result().await.unwrap(),
        "PROBLEM: The provided execution role does not have permissions to call ReceiveMessage on SQS"
    );
    queues.deny("ReceiveMessage", false);
    world.clocks.advance(1_000).await.unwrap();
    assert_eq!(batch(&mut world).await, ["one"]);
    empty(&queues).await;
    assert_eq!(get(&world, &uuid).await.unwrap().last_processing_result, None);
    queues.deny("DeleteMessageBatch", true);
    queues.send("q", "two");
    batch(&mut world).await;
    settle(&world).await;
    let result = get(&world, &uuid).await.unwrap().last_processing_result.unwrap();
    assert!(result.contains("DeleteMessage on SQS"), "{result}");
    assert_eq!(queues.left("q"), ["two"], "nothing is lost");
}

#[tokio::test]
async fn a_message_that_has_come_back_too_often_is_let_go() {
    let (mut world, queues) = serving(|_| {}).await;
    map(&world, from_queue()).await;
    let loops = |count: u32| {
        let mut trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0".to_owned();
        for _ in 0..count {
            trace = lineage(&trace);
        }
        trace
    };
    queues.send_as("q", "sixteenth", None, Some(&loops(15)));
    assert_eq!(batch(&mut world).await, ["sixteenth"]);
    queues.send_as("q", "seventeenth", None, Some(&loops(16)));
    empty(&queues).await;
    assert!(world.begun.try_recv().is_err());
    // Where the queue has a dead-letter queue, it is left for the redrive.
    queues.set("q", "RedrivePolicy", "{}");
    queues.send_as("q", "eighteenth", None, Some(&loops(16)));
    settle(&world).await;
    assert_eq!(queues.left("q"), ["eighteenth"]);
    assert!(world.begun.try_recv().is_err());
    let allow = aws::PutFunctionRecursionConfigRequest {
        function_name: Some("hello".into()),
        recursive_loop: Some("Allow".into()),
    };
    world.call::<ops::PutFunctionRecursionConfig>(allow).await.unwrap();
    queues.send_as("q", "allowed", None, Some(&loops(40)));
    assert_eq!(batch(&mut world).await, ["allowed"]);
}

/// What the function's invocation makes of a trace header: as its next message carries it.
fn lineage(trace: &str) -> String {
    let counted = trace.rsplit_once(";Lineage=").and_then(|(_, part)| part.rsplit_once(':')?.1.parse().ok());
    let count: u32 = counted.unwrap_or(0);
    let root = trace.split(";Lineage=").next().unwrap();
    let digest = store::Digest::of(b"arn:aws:lambda:us-east-1:000000000000:function:hello");
    format!("{root};Lineage={}:{}", &digest.to_string()[..8], count + 1)
}

#[tokio::test]
async fn the_groups_of_a_fifo_queue_go_side_by_side_each_in_order() {
    let (mut world, queues) = serving(|_| {}).await;
    let input = aws::CreateEventSourceMappingRequest {
        event_source_arn: Some(format!("{QUEUE}.fifo")),
        batch_size: Some(1),
        ..from_queue()
    };
    map(&world, input).await;
    for (body, group) in [("hold a1", "a"), ("a2", "a"), ("hold b1", "b")] {
        queues.lay("q.fifo", body, Some(group), None);
    }
    queues.ring("q.fifo");
    let mut begun = [batch(&mut world).await, batch(&mut world).await].concat();
    begun.sort();
    assert_eq!(begun, ["hold a1", "hold b1"]);
    assert!(world.begun.try_recv().is_err(), "its group is under way");
    world.gate.add_permits(2);
    until("the first of the group has gone", async || queues.left("q.fifo") == ["a2"]).await;
    queues.ring("q.fifo");
    assert_eq!(batch(&mut world).await, ["a2"]);
}

#[tokio::test]
async fn what_an_event_of_a_group_cannot_carry_follows_it() {
    let (mut world, queues) = serving(|_| {}).await;
    let source = Some(format!("{QUEUE}.fifo"));
    let uuid = map(&world, aws::CreateEventSourceMappingRequest { event_source_arn: source, ..from_queue() }).await;
    settle(&world).await;
    let lay = |word: &str| {
        for n in 0..9 {
            queues.lay("q.fifo", &format!("{n} {word}{}", " ".repeat(1_000_000)), Some("a"), None);
        }
        queues.ring("q.fifo");
    };
    lay("hello");
    assert_eq!(numbers(&mut world).await, "012345");
    assert_eq!(numbers(&mut world).await, "678", "at once after the others");
    until("the queue is empty", async || queues.left("q.fifo").is_empty()).await;
    // Not after a failure: it would overtake what comes again.
    world.failures.store(1, Ordering::SeqCst);
    lay("fail");
    assert_eq!(numbers(&mut world).await, "012345");
    settle(&world).await;
    assert!(world.begun.try_recv().is_err());
    world.clocks.advance(30_000).await.unwrap();
    queues.ring("q.fifo");
    assert_eq!([numbers(&mut world).await, numbers(&mut world).await], ["012345", "678"]);
    until("the queue is empty", async || queues.left("q.fifo").is_empty()).await;
    // Nor once the mapping has ended.
    lay("hold");
    assert_eq!(numbers(&mut world).await, "012345");
    let delete = aws::DeleteEventSourceMappingRequest { uuid: Some(uuid.clone()) };
    world.call::<ops::DeleteEventSourceMapping>(delete).await.unwrap();
    world.gate.add_permits(1);
    until("it is gone", async || get(&world, &uuid).await.is_err()).await;
    assert_eq!(queues.left("q.fifo").len(), 3);
    assert!(world.begun.try_recv().is_err());
}

#[tokio::test]
async fn a_stop_waits_until_what_is_done_is_deleted() {
    let (mut world, queues) = serving(|_| {}).await;
    map(&world, from_queue()).await;
    queues.send("q", "hold");
    batch(&mut world).await;
    world.stop().await;
    let functions = Arc::clone(&world.functions);
    let draining = tokio::spawn(async move { functions.drain().await });
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    assert!(!draining.is_finished(), "the function runs");
    queues.send("q", "after");
    world.gate.add_permits(1);
    tokio::time::timeout(PATIENCE, draining).await.unwrap().unwrap();
    assert_eq!(queues.left("q"), ["after"]);
    assert!(world.begun.try_recv().is_err(), "nothing begins any more");
}

#[tokio::test]
async fn a_stop_does_not_wait_for_room() {
    let (mut world, queues) = serving(|_| {}).await;
    let reserve = aws::PutFunctionConcurrencyRequest {
        function_name: Some("hello".into()),
        reserved_concurrent_executions: Some(0),
    };
    world.call::<ops::PutFunctionConcurrency>(reserve).await.unwrap();
    map(&world, from_queue()).await;
    queues.send("q", "one");
    settle(&world).await;
    world.stop().await;
    tokio::time::timeout(PATIENCE, world.functions.drain()).await.unwrap();
    assert_eq!(queues.left("q"), ["one"]);
}

#[tokio::test]
async fn a_batch_without_room_ends_with_its_mapping() {
    let (mut world, queues) = serving(|_| {}).await;
    let reserve = aws::PutFunctionConcurrencyRequest {
        function_name: Some("hello".into()),
        reserved_concurrent_executions: Some(0),
    };
    world.call::<ops::PutFunctionConcurrency>(reserve).await.unwrap();
    queues.set("q", "VisibilityTimeout", "3600");
    let uuid = map(&world, from_queue()).await;
    queues.send("q", "one");
    settle(&world).await;
    let delete = aws::DeleteEventSourceMappingRequest { uuid: Some(uuid.clone()) };
    world.call::<ops::DeleteEventSourceMapping>(delete).await.unwrap();
    world.clocks.advance(10_000).await.unwrap();
    until("it is gone", async || get(&world, &uuid).await.is_err()).await;
    assert_eq!(queues.left("q"), ["one"]);
    assert!(world.begun.try_recv().is_err());
}

#[tokio::test]
async fn a_mapping_of_an_alias_runs_what_that_points_to() {
    let (mut world, queues) = serving(|_| {}).await;
    let version = aws::PublishVersionRequest { function_name: Some("hello".into()), ..Default::default() };
    world.call::<ops::PublishVersion>(version).await.unwrap();
    let alias = aws::CreateAliasRequest {
        function_name: Some("hello".into()),
        name: Some("live".into()),
        function_version: Some("1".into()),
        ..aws::CreateAliasRequest::default()
    };
    world.call::<ops::CreateAlias>(alias).await.unwrap();
    map(&world, aws::CreateEventSourceMappingRequest { function_name: Some("hello:live".into()), ..from_queue() })
        .await;
    queues.send("q", "hold");
    batch(&mut world).await;
    let versions: Vec<String> = world.functions.live().into_iter().map(|live| live.version).collect();
    assert_eq!(versions, ["1"]);
    world.gate.add_permits(1);
    empty(&queues).await;
}

#[tokio::test]
async fn a_mapping_outlives_its_function() {
    let (mut world, queues) = serving(|_| {}).await;
    let uuid = map(&world, from_queue()).await;
    let delete = aws::DeleteFunctionRequest { function_name: Some("hello".into()), ..Default::default() };
    world.call::<ops::DeleteFunction>(delete).await.unwrap();
    queues.send("q", "waits");
    let result = async |world: &World| get(world, &uuid).await.unwrap().last_processing_result;
    until("it says so", async || result(&world).await.is_some()).await;
    assert!(result(&world).await.unwrap().starts_with("PROBLEM: Function not found: arn:aws:lambda:"));
    assert_eq!(queues.left("q"), ["waits"]);
    world.create("hello").await;
    world.clocks.advance(1_000).await.unwrap();
    assert_eq!(batch(&mut world).await, ["waits"]);
    empty(&queues).await;
    assert_eq!(result(&world).await, None);
}

#[tokio::test]
async fn the_queue_must_give_the_function_its_time() {
    let (world, queues) = serving(|_| {}).await;
    queues.set("q", "VisibilityTimeout", "2");
    let refused = world.call::<ops::CreateEventSourceMapping>(from_queue()).await.unwrap_err();
    assert_eq!(
        (refused.code.as_ref(), refused.message.as_str()),
        (
            "InvalidParameterValueException",
            "Queue visibility timeout: 2 seconds is less than Function timeout: 3 seconds"
        )
    );
    queues.set("q", "VisibilityTimeout", "3");
    let uuid = map(&world, from_queue()).await;
    queues.set("q", "VisibilityTimeout", "2");
    let change = |enabled| aws::UpdateEventSourceMappingRequest {
        uuid: Some(uuid.clone()),
        enabled,
        ..aws::UpdateEventSourceMappingRequest::default()
    };
    assert_eq!(world.call::<ops::UpdateEventSourceMapping>(change(None)).await.unwrap_err().message, refused.message);
    world.call::<ops::UpdateEventSourceMapping>(change(Some(false))).await.unwrap();
}

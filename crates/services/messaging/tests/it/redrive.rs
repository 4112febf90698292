//! Dead letters.

use model::sqs::{self as aws, ops};

use crate::world::{World, arn, ask, message, redrive, said};

#[tokio::test]
async fn a_message_that_was_received_too_often_moves_with_all_that_is_said_of_it() {
    let world = World::new();
    world.create("dead", &[]).await;
    world.create("jobs", &[("RedrivePolicy", &redrive("dead", 2)), ("VisibilityTimeout", "10")]).await;
    let sent = world.send("jobs", &"x".repeat(40_000)).await;
    let sent_ms = world.now().to_string();
    for _ in 0..2 {
        assert_eq!(world.receive("jobs").await.len(), 1);
        world.pass(10).await;
    }
    assert_eq!(world.counts("dead").await, (0, 0, 0), "it goes when it would be received once more");
    assert!(world.receive("jobs").await.is_empty());
    assert_eq!((world.counts("jobs").await, world.counts("dead").await), ((0, 0, 0), (1, 0, 0)));
    let got = world.receive("dead").await.remove(0);
    assert_eq!((got.message_id.clone(), got.body.as_ref().map(String::len)), (sent.message_id, Some(40_000)));
    for (name, value) in [
        ("DeadLetterQueueSourceArn", arn("jobs").as_str()),
        ("SentTimestamp", &sent_ms),
        ("ApproximateReceiveCount", "3"),
    ] {
        assert_eq!(said(&got, name), Some(value), "{name}");
    }
    world.delete("dead", &got).await.unwrap();
    let rows = world.kv.range(store::Space::Queue, store::Range::all(), 100, false).unwrap();
    assert_eq!(rows.len(), 2, "only the counts are left: {rows:?}");
}

#[tokio::test]
async fn a_dead_letter_is_as_old_as_it_was() {
    let world = World::new();
    world.create("dead", &[("MessageRetentionPeriod", "100")]).await;
    world.create("jobs", &[("RedrivePolicy", &redrive("dead", 1)), ("VisibilityTimeout", "10")]).await;
    world.send("jobs", "a").await;
    world.receive("jobs").await;
    world.pass(60).await;
    world.receive("jobs").await;
    assert_eq!(world.counts("dead").await, (1, 0, 0));
    world.pass(40).await;
    assert_eq!(world.counts("dead").await, (0, 0, 0));
}

#[tokio::test]
async fn the_rest_of_a_group_comes_after_its_dead_letter() {
    let world = World::new();
    let fifo = ("FifoQueue", "true");
    world.create("dead.fifo", &[fifo]).await;
    let jobs = [fifo, ("RedrivePolicy", &redrive("dead.fifo", 1)), ("ContentBasedDeduplication", "true")];
    world.create("jobs.fifo", &jobs).await;
    for body in ["1", "2"] {
        world.send_to("jobs.fifo", "g", None, body).await;
    }
    let one = aws::ReceiveMessageRequest { max_number_of_messages: Some(1), ..ask("jobs.fifo") };
    assert_eq!(world.receive_as(one).await[0].body.as_deref(), Some("1"));
    world.pass(30).await;
    assert_eq!(world.bodies("jobs.fifo").await, ["2"]);
    let dead = world.receive("dead.fifo").await.remove(0);
    assert_eq!((dead.body.as_deref(), said(&dead, "MessageGroupId")), (Some("1"), Some("g")));
}

#[tokio::test]
async fn without_its_dead_letter_queue_a_queue_keeps_its_messages() {
    let world = World::new();
    world.create("dead", &[]).await;
    world.create("jobs", &[("RedrivePolicy", &redrive("dead", 1)), ("VisibilityTimeout", "0")]).await;
    let gone = aws::DeleteQueueRequest { queue_url: crate::world::url("dead") };
    world.call::<ops::DeleteQueue>(gone).await.unwrap();
    world.send("jobs", "a").await;
    for _ in 0..3 {
        assert_eq!(world.bodies("jobs").await, ["a"]);
    }
    // It is taken away by an empty text.
    world.set("jobs", &[("RedrivePolicy", "")]).await.unwrap();
    assert!(!world.attributes("jobs").await.contains_key("RedrivePolicy"));
}

#[tokio::test]
async fn only_queues_that_may_use_it_name_a_dead_letter_queue() {
    let world = World::new();
    let only = format!(r#"{{"redrivePermission":"byQueue","sourceQueueArns":["{}"]}}"#, arn("jobs"));
    world.create("dead", &[("RedriveAllowPolicy", &only)]).await;
    world.create("dead.fifo", &[("FifoQueue", "true")]).await;
    world.create("jobs", &[("RedrivePolicy", &redrive("dead", 1))]).await;
    assert_eq!(world.attributes("jobs").await["RedrivePolicy"], redrive("dead", 1));
    assert_eq!(world.attributes("dead").await["RedriveAllowPolicy"], only);
    for (target, reason) in [
        ("dead", "does not permit this source queue"),
        ("none", "Dead letter target does not exist."),
        ("dead.fifo", "must be same type of queue"),
    ] {
        let fault = world.try_create("others", &[("RedrivePolicy", &redrive(target, 1))]).await.unwrap_err();
        assert_eq!(fault.code, "InvalidParameterValue");
        assert!(fault.message.contains(reason), "{}", fault.message);
    }
    world.create("others", &[]).await;
    assert!(world.set("others", &[("RedrivePolicy", &redrive("dead", 1))]).await.is_err());
    world.set("dead", &[("RedriveAllowPolicy", "")]).await.unwrap();
    world.set("others", &[("RedrivePolicy", &redrive("dead", 1))]).await.unwrap();
    world.call::<ops::SendMessage>(message("others", "x")).await.unwrap();
}

#[tokio::test]
async fn a_dead_letter_of_a_fifo_queue_has_its_message_id_as_its_deduplication_id() {
    let world = World::new();
    let fifo = ("FifoQueue", "true");
    world.create("dead.fifo", &[fifo]).await;
    let policy = redrive("dead.fifo", 1);
    world.create("jobs.fifo", &[fifo, ("RedrivePolicy", &policy), ("VisibilityTimeout", "1")]).await;
    world.send_to("jobs.fifo", "g", Some("own"), "a").await;
    world.receive("jobs.fifo").await;
    world.pass(1).await;
    assert!(world.receive("jobs.fifo").await.is_empty());
    let moved = world.receive("dead.fifo").await.remove(0);
    assert_eq!(crate::world::said(&moved, "MessageDeduplicationId"), moved.message_id.as_deref());
}

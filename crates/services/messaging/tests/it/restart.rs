//! What survives: another room over the same rows.

use model::sqs::{self as aws, ops};

use crate::world::{World, ask, message, redrive};

#[tokio::test]
async fn a_restart_changes_nothing() {
    let world = World::new();
    world.create("jobs", &[("VisibilityTimeout", "30")]).await;
    for body in ["held", "deleted", "fresh", "last"] {
        world.send("jobs", body).await;
    }
    let late = aws::SendMessageRequest { delay_seconds: Some(60), ..message("jobs", "delayed") };
    world.call::<ops::SendMessage>(late).await.unwrap();
    let two = aws::ReceiveMessageRequest { max_number_of_messages: Some(2), ..ask("jobs") };
    let got = world.receive_as(two).await;
    world.delete("jobs", &got[1]).await.unwrap();
    let after = world.again();
    assert_eq!(after.counts("jobs").await, (2, 1, 1));
    assert_eq!(after.bodies("jobs").await, ["fresh", "last"]);
    after.pass(10).await;
    // The handle of before is good still.
    after.show("jobs", &got[0], 5).await.unwrap();
    after.pass(5).await;
    let again = after.receive("jobs").await;
    assert_eq!(again[0].body.as_deref(), Some("held"));
    assert_eq!(crate::world::said(&again[0], "ApproximateReceiveCount"), Some("2"));
    after.pass(45).await;
    assert!(after.bodies("jobs").await.contains(&"delayed".to_owned()));
}

#[tokio::test]
async fn a_group_that_is_out_is_out_after_a_restart_and_numbers_go_on() {
    let world = World::new();
    world.create("q.fifo", &[("FifoQueue", "true")]).await;
    let first = world.send_to("q.fifo", "a", Some("1"), "a1").await;
    world.send_to("q.fifo", "a", Some("2"), "a2").await;
    let one = aws::ReceiveMessageRequest { max_number_of_messages: Some(1), ..ask("q.fifo") };
    let got = world.receive_as(one).await;
    let after = world.again();
    assert!(after.receive("q.fifo").await.is_empty());
    let same = after.send_to("q.fifo", "b", Some("1"), "again").await;
    assert_eq!(same.message_id, first.message_id);
    let next = after.send_to("q.fifo", "b", Some("3"), "b1").await;
    assert!(next.sequence_number > first.sequence_number);
    after.delete("q.fifo", &got[0]).await.unwrap();
    assert_eq!(after.bodies("q.fifo").await, ["a2", "b1"]);
}

#[tokio::test]
async fn a_long_backlog_is_received_once_each_whatever_restarts_between() {
    let mut world = World::new();
    world.create("jobs", &[("VisibilityTimeout", "43200")]).await;
    let total = 5000;
    for first in (0..total).step_by(10) {
        let entries = (first..first + 10).map(|n| aws::SendMessageBatchRequestEntry {
            id: Some(n.to_string()),
            message_body: Some(n.to_string()),
            ..Default::default()
        });
        let input =
            aws::SendMessageBatchRequest { queue_url: crate::world::url("jobs"), entries: Some(entries.collect()) };
        world.call::<ops::SendMessageBatch>(input).await.unwrap();
    }
    let mut seen = std::collections::BTreeSet::new();
    for round in 0.. {
        if round % 100 == 50 {
            world = world.again();
        }
        let got = world.receive("jobs").await;
        if got.is_empty() {
            break;
        }
        for one in got {
            assert!(seen.insert(one.body.clone().unwrap()), "{:?} came twice", one.body);
            if seen.len() % 3 > 0 {
                world.delete("jobs", &one).await.unwrap();
            }
        }
    }
    assert_eq!(seen.len(), total);
    assert_eq!(world.counts("jobs").await, (0, total as u64 / 3, 0));
}

#[tokio::test]
async fn dead_letters_are_dead_after_a_restart() {
    let world = World::new();
    world.create("dead", &[]).await;
    world.create("jobs", &[("RedrivePolicy", &redrive("dead", 1)), ("VisibilityTimeout", "1")]).await;
    world.send("jobs", "a").await;
    world.receive("jobs").await;
    world.pass(1).await;
    let after = world.again();
    assert!(after.receive("jobs").await.is_empty());
    let after = after.again();
    assert_eq!(after.bodies("dead").await, ["a"]);
    assert_eq!(after.counts("jobs").await, (0, 0, 0));
}

#[tokio::test]
async fn a_group_is_in_order_after_a_restart_whatever_has_a_state() {
    let world = World::new();
    world.create("q.fifo", &[("FifoQueue", "true")]).await;
    world.send_to("q.fifo", "g", Some("1"), "a1").await;
    // What is delayed has a state from the beginning, what came before it has none.
    world.set("q.fifo", &[("DelaySeconds", "1")]).await.unwrap();
    world.send_to("q.fifo", "g", Some("2"), "a2").await;
    let after = world.again();
    after.pass(1).await;
    let one = aws::ReceiveMessageRequest { max_number_of_messages: Some(1), ..ask("q.fifo") };
    let got = after.receive_as(one).await;
    assert_eq!(got[0].body.as_deref(), Some("a1"));
    after.delete("q.fifo", &got[0]).await.unwrap();
    assert_eq!(after.bodies("q.fifo").await, ["a2"]);
}

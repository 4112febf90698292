//! Handing messages out: for a while, to one receiver at a time, and to those who wait.

use std::time::Duration;

use base::Principal;
use door::Dispatch;
use model::sqs::{self as aws, ops};

use crate::world::{World, ask, call, redrive, said, url, waits};

#[tokio::test]
async fn a_message_is_one_receivers_until_its_time_is_over() {
    let world = World::new();
    world.create("jobs", &[]).await;
    world.send("jobs", "a").await;
    let first = world.receive("jobs").await.remove(0);
    assert!(world.receive("jobs").await.is_empty());
    assert_eq!(world.counts("jobs").await, (0, 1, 0));
    world.pass(29).await;
    assert!(world.receive("jobs").await.is_empty());
    world.pass(1).await;
    assert_eq!(world.counts("jobs").await, (1, 0, 0));
    let again =
        world.receive_as(aws::ReceiveMessageRequest { visibility_timeout: Some(100), ..ask("jobs") }).await.remove(0);
    assert_eq!(said(&again, "ApproximateReceiveCount"), Some("2"));
    assert_eq!(said(&again, "ApproximateFirstReceiveTimestamp"), said(&first, "ApproximateFirstReceiveTimestamp"));
    assert_ne!(again.receipt_handle, first.receipt_handle);
    // An older handle does nothing.
    world.delete("jobs", &first).await.unwrap();
    world.pass(99).await;
    assert_eq!(world.counts("jobs").await, (0, 1, 0));
    world.delete("jobs", &again).await.unwrap();
    world.delete("jobs", &again).await.unwrap();
    assert_eq!(world.counts("jobs").await, (0, 0, 0));
    world.pass(1000).await;
    assert!(world.receive("jobs").await.is_empty());
}

#[tokio::test]
async fn a_receiver_changes_until_when_a_message_is_its_own() {
    let world = World::new();
    world.create("jobs", &[]).await;
    world.send("jobs", "a").await;
    let got = world.receive("jobs").await.remove(0);
    world.show("jobs", &got, 100).await.unwrap();
    world.pass(99).await;
    assert!(world.receive("jobs").await.is_empty());
    world.show("jobs", &got, 0).await.unwrap();
    let second = world.receive("jobs").await.remove(0);
    let fault = world.show("jobs", &got, 10).await.unwrap_err();
    assert_eq!(fault.code, "AWS.SimpleQueueService.MessageNotInflight");
    // The first receipt is 99 seconds old, the second new.
    world.pass(20).await;
    let fault = world.show("jobs", &second, 43_190).await.unwrap_err();
    assert_eq!(
        fault.message,
        "Value 43190 for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message is beyond the \
         limit [43200 seconds]."
    );
    assert_eq!(world.show("jobs", &second, 43_201).await.unwrap_err().code, "InvalidParameterValue");
    // As AWS does: a message that nobody has received since is its last receiver's anew.
    world.pass(30).await;
    world.show("jobs", &second, 50).await.unwrap();
    assert!(world.receive("jobs").await.is_empty());
    world.delete("jobs", &second).await.unwrap();
    let fault = world.show("jobs", &second, 10).await.unwrap_err();
    assert!(fault.message.contains("Message does not exist or is not available for visibility timeout change"));
}

#[tokio::test]
async fn handles_are_those_of_their_queue() {
    let world = World::new();
    for name in ["jobs", "others"] {
        world.create(name, &[]).await;
    }
    world.send("jobs", "a").await;
    let got = world.receive("jobs").await.remove(0);
    assert_eq!(world.delete("others", &got).await.unwrap_err().code, "ReceiptHandleIsInvalid");
    let wrong = aws::Message { receipt_handle: Some("x".into()), ..Default::default() };
    for fault in [world.delete("jobs", &wrong).await.unwrap_err(), world.show("jobs", &wrong, 1).await.unwrap_err()] {
        assert_eq!(fault.code, "ReceiptHandleIsInvalid");
    }
}

#[tokio::test]
async fn limits_of_a_receive_are_those_of_aws() {
    let world = World::new();
    world.create("jobs", &[]).await;
    let wrong = async |input: aws::ReceiveMessageRequest| {
        world
            .call::<ops::ReceiveMessage>(aws::ReceiveMessageRequest { queue_url: url("jobs"), ..input })
            .await
            .unwrap_err()
    };
    let fault = wrong(aws::ReceiveMessageRequest { max_number_of_messages: Some(11), ..Default::default() }).await;
    assert_eq!(
        fault.message,
        "Value 11 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided."
    );
    for input in [
        aws::ReceiveMessageRequest { max_number_of_messages: Some(0), ..Default::default() },
        aws::ReceiveMessageRequest { wait_time_seconds: Some(21), ..Default::default() },
        aws::ReceiveMessageRequest { visibility_timeout: Some(43_201), ..Default::default() },
        aws::ReceiveMessageRequest { visibility_timeout: Some(-1), ..Default::default() },
        aws::ReceiveMessageRequest { receive_request_attempt_id: Some("a".into()), ..Default::default() },
    ] {
        assert_eq!(wrong(input).await.code, "InvalidParameterValue");
    }
    for _ in 0..3 {
        world.send("jobs", "x").await;
    }
    let one = aws::ReceiveMessageRequest { queue_url: url("jobs"), ..Default::default() };
    assert_eq!(world.receive_as(one).await.len(), 1, "one unless told otherwise");
}

fn patient(name: &str, seconds: i64) -> aws::ReceiveMessageRequest {
    aws::ReceiveMessageRequest { wait_time_seconds: Some(seconds), ..ask(name) }
}

#[tokio::test(start_paused = true)]
async fn who_waits_hears_of_a_message_at_once_and_of_none_in_time() {
    let world = World::new();
    world.create("jobs", &[("ReceiveMessageWaitTimeSeconds", "7")]).await;
    let began = tokio::time::Instant::now();
    assert!(world.receive("jobs").await.is_empty());
    assert_eq!(began.elapsed(), Duration::from_secs(7));
    assert!(world.receive_as(patient("jobs", 0)).await.is_empty());
    assert_eq!(began.elapsed(), Duration::from_secs(7));
    let began = tokio::time::Instant::now();
    let receive = world.receive_as(patient("jobs", 20));
    let send = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        world.send("jobs", "news").await;
    };
    let (got, ()) = tokio::join!(receive, send);
    assert_eq!((got.len(), began.elapsed()), (1, Duration::from_secs(3)));
}

#[tokio::test]
async fn who_waits_hears_of_what_becomes_visible() {
    let world = std::sync::Arc::new(World::new());
    world.create("jobs", &[]).await;
    let delayed = aws::SendMessageRequest { delay_seconds: Some(60), ..crate::world::message("jobs", "delayed") };
    world.call::<ops::SendMessage>(delayed).await.unwrap();
    for seconds in [60, 30] {
        let receiver = std::sync::Arc::clone(&world);
        let waiting = tokio::spawn(async move { receiver.receive_as(patient("jobs", 20)).await });
        assert!(waits(&waiting).await);
        let rung = tokio::spawn(world.bell.wait(&format!("sqs:{}", crate::world::arn("jobs"))));
        world.pass(seconds).await;
        assert_eq!(waiting.await.unwrap().len(), 1);
        rung.await.unwrap();
    }
}

#[tokio::test]
async fn each_message_wakes_one_who_waits() {
    let world = std::sync::Arc::new(World::new());
    world.create("jobs", &[]).await;
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..5 {
        let receiver = std::sync::Arc::clone(&world);
        let one = aws::ReceiveMessageRequest { max_number_of_messages: Some(1), ..patient("jobs", 20) };
        waiting.spawn(async move { receiver.receive_as(one).await });
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    let entries = (0..5).map(|n| aws::SendMessageBatchRequestEntry {
        id: Some(n.to_string()),
        message_body: Some(n.to_string()),
        ..Default::default()
    });
    let input = aws::SendMessageBatchRequest { queue_url: url("jobs"), entries: Some(entries.collect()) };
    world.call::<ops::SendMessageBatch>(input).await.unwrap();
    let mut seen: Vec<_> = waiting.join_all().await.into_iter().flatten().map(|one| one.body.unwrap()).collect();
    seen.sort();
    assert_eq!(seen, ["0", "1", "2", "3", "4"]);
}

#[tokio::test]
async fn who_went_away_receives_nothing() {
    let world = World::new();
    world.create("jobs", &[]).await;
    let waiting = world.router.call(call::<ops::ReceiveMessage>(
        Principal::Root { account: base::Account::DEFAULT, verified: true },
        patient("jobs", 20),
    ));
    assert!(tokio::time::timeout(Duration::from_millis(20), waiting).await.is_err());
    world.send("jobs", "a").await;
    assert_eq!(world.counts("jobs").await, (1, 0, 0));
    assert_eq!(world.bodies("jobs").await, ["a"]);
}

#[tokio::test]
async fn who_goes_away_while_messages_are_taken_loses_none() {
    let world = World::new();
    world.create("jobs", &[]).await;
    // Whenever the receiver goes, the message comes to the next one, and counts as not received.
    for polls in 0..12 {
        world.send("jobs", "a").await;
        let mut taking = Box::pin(world.receive("jobs"));
        let got = std::future::poll_fn(|context| {
            for _ in 0..polls {
                if let std::task::Poll::Ready(got) = taking.as_mut().poll(context) {
                    return std::task::Poll::Ready(Some(got));
                }
            }
            std::task::Poll::Ready(None)
        })
        .await;
        drop(taking);
        let got = match got {
            Some(got) => got,
            None => {
                tokio::time::sleep(Duration::from_millis(5)).await;
                let got = world.receive("jobs").await;
                assert_eq!(got.len(), 1, "after {polls} polls");
                assert_eq!(said(&got[0], "ApproximateReceiveCount"), Some("1"));
                got
            }
        };
        world.delete("jobs", &got[0]).await.unwrap();
    }
    assert_eq!(world.counts("jobs").await, (0, 0, 0));
}

/// Receives, and goes away after so many polls; what was received if that was enough.
async fn impatiently(world: &World, ask: aws::ReceiveMessageRequest, polls: usize) -> Option<Vec<aws::Message>> {
    let mut taking = Box::pin(world.receive_as(ask));
    std::future::poll_fn(|context| {
        for _ in 0..polls {
            if let std::task::Poll::Ready(got) = taking.as_mut().poll(context) {
                return std::task::Poll::Ready(Some(got));
            }
        }
        std::task::Poll::Ready(None)
    })
    .await
}

#[tokio::test]
async fn who_goes_away_before_dead_letters_have_moved_loses_none() {
    for polls in 0..16 {
        let world = World::new();
        world.create("dead", &[]).await;
        world.create("jobs", &[("RedrivePolicy", &redrive("dead", 1)), ("VisibilityTimeout", "1")]).await;
        world.send("jobs", "often").await;
        world.receive("jobs").await;
        world.pass(1).await;
        world.send("jobs", "fresh").await;
        let got = impatiently(&world, ask("jobs"), polls).await;
        // What was taken for who has gone comes to who waits.
        let got = match got.unwrap_or_default() {
            got if got.is_empty() => world.receive_as(patient("jobs", 10)).await,
            got => got,
        };
        assert_eq!(
            got.iter().map(|one| one.body.as_deref()).collect::<Vec<_>>(),
            [Some("fresh")],
            "after {polls} polls"
        );
        world.delete("jobs", &got[0]).await.unwrap();
        assert_eq!(world.counts("jobs").await, (0, 0, 0), "after {polls} polls");
        assert_eq!(world.bodies("dead").await, ["often"], "after {polls} polls");
    }
}

#[tokio::test]
async fn who_goes_away_while_old_messages_are_deleted_leaves_a_queue_that_counts_right() {
    for polls in 0..16 {
        let world = World::new();
        world.create("jobs", &[("MessageRetentionPeriod", "60")]).await;
        world.send("jobs", "old").await;
        // Nobody has used the queue in this process: its time does not run by itself.
        let world = world.again();
        world.pass(61).await;
        drop(impatiently(&world, ask("jobs"), polls).await);
        tokio::time::sleep(Duration::from_millis(10)).await;
        world.send("jobs", "new").await;
        assert_eq!(world.counts("jobs").await, (1, 0, 0), "after {polls} polls");
        assert_eq!(world.bodies("jobs").await, ["new"]);
    }
}

#[tokio::test]
async fn who_goes_away_while_a_receive_is_repeated_leaves_messages_that_come_again() {
    for polls in 0..16 {
        let world = World::new();
        world.create("q.fifo", &[("FifoQueue", "true"), ("VisibilityTimeout", "5")]).await;
        world.send_to("q.fifo", "g", Some("1"), "a").await;
        let named = aws::ReceiveMessageRequest { receive_request_attempt_id: Some("try".into()), ..ask("q.fifo") };
        assert_eq!(world.receive_as(named.clone()).await.len(), 1);
        drop(impatiently(&world, named, polls).await);
        tokio::time::sleep(Duration::from_millis(10)).await;
        world.pass(6).await;
        assert_eq!(world.bodies("q.fifo").await, ["a"], "after {polls} polls");
    }
}

#[tokio::test]
async fn who_waits_at_a_deleted_queue_hears_that_it_is_gone() {
    let world = std::sync::Arc::new(World::new());
    world.create("jobs", &[]).await;
    let receiver = std::sync::Arc::clone(&world);
    let waiting = tokio::spawn(async move { receiver.call::<ops::ReceiveMessage>(patient("jobs", 20)).await });
    assert!(waits(&waiting).await);
    world.call::<ops::DeleteQueue>(aws::DeleteQueueRequest { queue_url: url("jobs") }).await.unwrap();
    let fault = waiting.await.unwrap().unwrap_err();
    assert_eq!(fault.code, "AWS.SimpleQueueService.NonExistentQueue");
}

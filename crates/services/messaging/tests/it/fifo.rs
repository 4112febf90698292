//! FIFO queues: order, groups, and nothing twice.

use model::sqs::{self as aws, ops};

use crate::world::{World, ask, message, said};

const FIFO: (&str, &str) = ("FifoQueue", "true");

#[tokio::test]
async fn a_group_comes_in_order_and_one_holder_at_a_time() {
    let world = World::new();
    world.create("q.fifo", &[FIFO, ("ContentBasedDeduplication", "true")]).await;
    let mut numbers = Vec::new();
    for (group, body) in [("a", "a1"), ("b", "b1"), ("a", "a2"), ("a", "a3")] {
        numbers.push(world.send_to("q.fifo", group, None, body).await.sequence_number.unwrap());
    }
    assert!(numbers.is_sorted() && numbers.iter().all(|number| number.len() == 20), "{numbers:?}");
    let two = aws::ReceiveMessageRequest { max_number_of_messages: Some(2), ..ask("q.fifo") };
    let first = world.receive_as(two).await;
    // As many of one group as there are.
    assert_eq!(first.iter().map(|one| one.body.as_deref().unwrap()).collect::<Vec<_>>(), ["a1", "a2"]);
    assert_eq!(said(&first[0], "SequenceNumber"), Some(numbers[0].as_str()));
    assert_eq!(said(&first[0], "MessageGroupId"), Some("a"));
    assert_eq!(said(&first[0], "MessageDeduplicationId").map(str::len), Some(64));
    assert_eq!(world.bodies("q.fifo").await, ["b1"]);
    for one in &first {
        assert!(world.bodies("q.fifo").await.is_empty());
        world.delete("q.fifo", one).await.unwrap();
    }
    assert_eq!(world.bodies("q.fifo").await, ["a3"]);
    // What was not deleted comes again, before what came after it.
    world.send_to("q.fifo", "a", None, "a4").await;
    world.pass(30).await;
    assert_eq!(world.bodies("q.fifo").await, ["b1", "a3", "a4"]);
}

#[tokio::test]
async fn an_expired_handle_deletes_nothing() {
    let world = World::new();
    world.create("q.fifo", &[FIFO]).await;
    world.send_to("q.fifo", "g", Some("1"), "x").await;
    let got = world.receive("q.fifo").await.remove(0);
    world.pass(30).await;
    for fault in [world.delete("q.fifo", &got).await.unwrap_err(), world.show("q.fifo", &got, 10).await.unwrap_err()] {
        let handle = got.receipt_handle.as_deref().unwrap();
        let words =
            format!("Value {handle} for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.");
        assert_eq!((&*fault.code, fault.message), ("InvalidParameterValue", words));
    }
    assert_eq!(world.bodies("q.fifo").await, ["x"]);
}

#[tokio::test]
async fn an_id_counts_once_in_five_minutes() {
    let world = World::new();
    world.create("q.fifo", &[FIFO]).await;
    let first = world.send_to("q.fifo", "a", Some("id"), "first").await;
    let got = world.receive("q.fifo").await.remove(0);
    world.delete("q.fifo", &got).await.unwrap();
    world.pass(299).await;
    let same = world.send_to("q.fifo", "b", Some("id"), "second").await;
    assert_eq!((same.message_id, same.sequence_number), (first.message_id.clone(), first.sequence_number));
    assert!(world.bodies("q.fifo").await.is_empty());
    assert_eq!(world.counts("q.fifo").await, (0, 0, 0));
    world.pass(1).await;
    let next = world.send_to("q.fifo", "b", Some("id"), "third").await;
    assert_ne!(next.message_id, first.message_id);
    assert_eq!(world.bodies("q.fifo").await, ["third"]);
    // What is over is given up.
    for _ in 0..3 {
        world.pass(300).await;
        world.send_to("q.fifo", "b", Some("id"), "x").await;
    }
    let rows = world.kv.range(store::Space::Queue, store::Range::all(), 100, false).unwrap();
    let kept = rows.iter().filter(|(key, _)| key[12] == b'd').count();
    assert_eq!(kept, 2, "this span and the one before");
}

#[tokio::test]
async fn an_id_counts_once_in_a_batch_and_in_a_group_if_told_so() {
    let world = World::new();
    world.create("q.fifo", &[FIFO, ("DeduplicationScope", "messageGroup")]).await;
    let entry = |id: &str, group: &str| aws::SendMessageBatchRequestEntry {
        id: Some(id.into()),
        message_body: Some(id.into()),
        message_group_id: Some(group.into()),
        message_deduplication_id: Some("same".into()),
        ..Default::default()
    };
    let entries = Some(vec![entry("1", "a"), entry("2", "b"), entry("3", "a")]);
    let input = aws::SendMessageBatchRequest { queue_url: crate::world::url("q.fifo"), entries };
    let done = world.call::<ops::SendMessageBatch>(input).await.unwrap().successful.unwrap();
    assert_eq!(done[0].message_id, done[2].message_id);
    assert_ne!(done[0].message_id, done[1].message_id);
    assert_eq!(world.bodies("q.fifo").await, ["1", "2"]);
}

#[tokio::test]
async fn content_stands_for_an_id_where_it_is_told_so() {
    let world = World::new();
    world.create("q.fifo", &[FIFO]).await;
    let send = async |id: Option<&str>| {
        let input = aws::SendMessageRequest {
            message_group_id: Some("g".into()),
            message_deduplication_id: id.map(Into::into),
            ..message("q.fifo", "same")
        };
        world.call::<ops::SendMessage>(input).await
    };
    let fault = send(None).await.unwrap_err();
    assert_eq!(fault.code, "InvalidParameterValue");
    assert_eq!(
        fault.message,
        "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"
    );
    world.set("q.fifo", &[("ContentBasedDeduplication", "true")]).await.unwrap();
    let first = send(None).await.unwrap();
    assert_eq!(send(None).await.unwrap().message_id, first.message_id);
    assert_ne!(send(Some("own")).await.unwrap().message_id, first.message_id);
}

#[tokio::test]
async fn what_fifo_queues_need_and_do_not_take_is_said() {
    let world = World::new();
    world.create("q.fifo", &[FIFO, ("ContentBasedDeduplication", "true")]).await;
    let fault = world.call::<ops::SendMessage>(message("q.fifo", "x")).await.unwrap_err();
    assert_eq!(
        (&*fault.code, &*fault.message),
        ("MissingParameter", "The request must contain the parameter MessageGroupId.")
    );
    let entries = Some(vec![aws::SendMessageBatchRequestEntry {
        id: Some("1".into()),
        message_body: Some("x".into()),
        ..Default::default()
    }]);
    let batch = aws::SendMessageBatchRequest { queue_url: crate::world::url("q.fifo"), entries };
    assert_eq!(world.call::<ops::SendMessageBatch>(batch).await.unwrap_err().code, "InvalidParameterValue");
    let grouped = |input| aws::SendMessageRequest { message_group_id: Some("g".into()), ..input };
    let late = grouped(aws::SendMessageRequest { delay_seconds: Some(2), ..message("q.fifo", "x") });
    assert_eq!(
        world.call::<ops::SendMessage>(late).await.unwrap_err().message,
        "Value 2 for parameter DelaySeconds is invalid. Reason: The request include parameter that is not valid for this queue \
         type."
    );
    let odd = aws::SendMessageRequest { message_group_id: Some("a b".into()), ..message("q.fifo", "x") };
    assert!(world.call::<ops::SendMessage>(odd).await.unwrap_err().message.contains("alphanumeric and punctuation"));
    for (name, attributes) in [("q", &[FIFO][..]), ("p.fifo", &[]), ("p.fifo", &[("FifoQueue", "false")])] {
        assert!(world.try_create(name, attributes).await.is_err(), "{name}");
    }
    let fault = world.set("q.fifo", &[("FifoQueue", "false")]).await.unwrap_err();
    assert_eq!(
        fault.message,
        "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported."
    );
}

#[tokio::test]
async fn a_receive_may_be_repeated_by_its_name() {
    let world = World::new();
    world.create("q.fifo", &[FIFO, ("ContentBasedDeduplication", "true")]).await;
    for body in ["1", "2"] {
        world.send_to("q.fifo", body, None, body).await;
    }
    let named = aws::ReceiveMessageRequest { receive_request_attempt_id: Some("try".into()), ..ask("q.fifo") };
    let first = world.receive_as(named.clone()).await;
    assert_eq!(first.len(), 2);
    world.pass(20).await;
    let again = world.receive_as(named.clone()).await;
    assert_eq!(
        again.iter().map(|one| &one.receipt_handle).collect::<Vec<_>>(),
        first.iter().map(|one| &one.receipt_handle).collect::<Vec<_>>()
    );
    // Its time began anew.
    world.pass(20).await;
    assert_eq!(world.counts("q.fifo").await, (0, 2, 0));
    world.delete("q.fifo", &again[0]).await.unwrap();
    assert!(world.receive_as(named).await.is_empty(), "something has become of one of them");
}

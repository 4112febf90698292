//! Batches: each entry by itself, and what must hold of all.

use model::sqs::{self as aws, ops};

use crate::world::{World, ask, url};

fn entry(id: &str, body: &str) -> aws::SendMessageBatchRequestEntry {
    aws::SendMessageBatchRequestEntry { id: Some(id.into()), message_body: Some(body.into()), ..Default::default() }
}

async fn send(
    world: &World,
    entries: Vec<aws::SendMessageBatchRequestEntry>,
) -> Result<aws::SendMessageBatchResult, base::Fault> {
    world
        .call::<ops::SendMessageBatch>(aws::SendMessageBatchRequest { queue_url: url("jobs"), entries: Some(entries) })
        .await
}

#[tokio::test]
async fn entries_fail_by_themselves() {
    let world = World::new();
    world.create("jobs", &[]).await;
    let late = aws::SendMessageBatchRequestEntry { delay_seconds: Some(901), ..entry("late", "x") };
    let done = send(&world, vec![entry("a", "1"), late, entry("bad", "\u{2}"), entry("b", "2")]).await.unwrap();
    let ids: Vec<_> = done.successful.unwrap().into_iter().map(|one| one.id.unwrap()).collect();
    assert_eq!(ids, ["a", "b"]);
    let failed: Vec<_> = done.failed.unwrap().into_iter().map(|one| (one.id.unwrap(), one.code.unwrap())).collect();
    let wanted = [("late", "InvalidParameterValue"), ("bad", "InvalidMessageContents")];
    assert_eq!(failed, wanted.map(|(id, code)| (id.to_owned(), code.to_owned())));
    assert_eq!(world.bodies("jobs").await, ["1", "2"]);
}

#[tokio::test]
async fn a_batch_as_a_whole_has_limits() {
    let world = World::new();
    world.create("jobs", &[]).await;
    let code = async |entries| send(&world, entries).await.unwrap_err().code.into_owned();
    assert_eq!(code(vec![]).await, "AWS.SimpleQueueService.EmptyBatchRequest");
    assert_eq!(code(vec![entry("a", "x"); 2]).await, "AWS.SimpleQueueService.BatchEntryIdsNotDistinct");
    assert_eq!(code(vec![entry("a:", "x")]).await, "AWS.SimpleQueueService.InvalidBatchEntryId");
    assert_eq!(code(vec![entry("a", "x"); 11]).await, "AWS.SimpleQueueService.TooManyEntriesInBatchRequest");
    let half = "x".repeat(524_288);
    send(&world, vec![entry("a", &half), entry("b", &half)]).await.unwrap();
    let fault = send(&world, vec![entry("a", &half), entry("b", &half), entry("c", "x")]).await.unwrap_err();
    assert_eq!(fault.code, "AWS.SimpleQueueService.BatchRequestTooLong");
    assert_eq!(fault.message, "Batch requests cannot be longer than 1048576 bytes. You have sent 1048577 bytes.");
    let none = aws::DeleteMessageBatchRequest { queue_url: url("jobs"), entries: None };
    let fault = world.call::<ops::DeleteMessageBatch>(none).await.unwrap_err();
    assert_eq!(fault.code, "AWS.SimpleQueueService.EmptyBatchRequest");
}

#[tokio::test]
async fn messages_are_settled_in_batches() {
    let world = World::new();
    world.create("jobs", &[]).await;
    for body in ["1", "2", "3"] {
        world.send("jobs", body).await;
    }
    let got = world.receive_as(ask("jobs")).await;
    let change = |id: &str, at: usize, seconds| aws::ChangeMessageVisibilityBatchRequestEntry {
        id: Some(id.into()),
        receipt_handle: got.get(at).and_then(|one| one.receipt_handle.clone()).or(Some("x".into())),
        visibility_timeout: seconds,
    };
    let entries =
        vec![change("a", 0, Some(0)), change("b", 1, Some(50_000)), change("c", 9, Some(1)), change("d", 2, None)];
    let input = aws::ChangeMessageVisibilityBatchRequest { queue_url: url("jobs"), entries: Some(entries) };
    let done = world.call::<ops::ChangeMessageVisibilityBatch>(input).await.unwrap();
    assert_eq!(done.successful.unwrap().into_iter().filter_map(|one| one.id).collect::<Vec<_>>(), ["a"]);
    let codes: std::collections::BTreeMap<_, _> =
        done.failed.unwrap().into_iter().map(|one| (one.id.unwrap(), one.code.unwrap())).collect();
    assert_eq!(codes["b"], "InvalidParameterValue");
    assert_eq!(codes["c"], "ReceiptHandleIsInvalid");
    assert_eq!(codes["d"], "MissingParameter");
    assert_eq!(world.counts("jobs").await, (1, 2, 0));
    let delete = |id: &str, at: usize| aws::DeleteMessageBatchRequestEntry {
        id: Some(id.into()),
        receipt_handle: got.get(at).and_then(|one| one.receipt_handle.clone()).or(Some("x".into())),
    };
    let entries = Some(vec![delete("a", 0), delete("b", 1), delete("c", 9)]);
    let done = world
        .call::<ops::DeleteMessageBatch>(aws::DeleteMessageBatchRequest { queue_url: url("jobs"), entries })
        .await
        .unwrap();
    assert_eq!(done.successful.unwrap().len(), 2);
    assert_eq!(done.failed.unwrap()[0].code.as_deref(), Some("ReceiptHandleIsInvalid"));
    assert_eq!(world.counts("jobs").await, (0, 1, 0));
}

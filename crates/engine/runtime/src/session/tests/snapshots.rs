//! Snapshots and restores, as our bootstraps and AWS's clients speak of them.

use tokio::sync::mpsc;

use super::super::{Credentials, InitOutcome, Snapshot, SnapshotWanted};
use super::*;

const RESTORE_NEXT: &str = "GET /2018-06-01/runtime/restore/next HTTP/1.1\r\n\r\n";
const CREDENTIALS: &str = "GET /2018-06-01/runtime/credentials HTTP/1.1\r\n";

#[tokio::test]
async fn a_client_that_was_restored_goes_on_at_once() {
    let served = Served::new().await;
    let mut client = served.client().await;
    client.send(RESTORE_NEXT).await;
    assert_eq!(client.answer().await.0, 200);
    served.session.resumed().await;
    client.send(NEXT).await;
    assert_eq!(served.session.initialised().await, InitOutcome::Ready);
}

#[tokio::test]
async fn what_fails_after_a_restore_is_told() {
    let served = Served::new().await;
    let mut client = served.client().await;
    client.send(RESTORE_NEXT).await;
    client.answer().await;
    let head = "Lambda-Runtime-Function-Error-Type: Runtime.AfterRestoreError\r\ncontent-length: 2\r\n\r\n{}";
    client.send(format!("POST /2018-06-01/runtime/restore/error HTTP/1.1\r\n{head}")).await;
    assert_eq!(client.answer().await.0, 202);
    let failed = InitOutcome::Failed { error_type: "Runtime.AfterRestoreError".into(), payload: "{}".into() };
    assert_eq!(served.session.initialised().await, failed);
}

#[tokio::test]
async fn a_restore_that_is_held_hears_nothing() {
    let served = Served::new().await;
    served.session.hold_restored();
    let mut client = served.client().await;
    client.send(RESTORE_NEXT).await;
    served.session.resumed().await;
    assert!(client.hears_nothing().await);
}

#[tokio::test]
async fn a_snapshot_is_handed_on_whole_and_once() {
    let served = Served::new().await;
    let mut client = served.client().await;
    client.post("snapshot", "nobody asked").await;
    assert_eq!(client.answer().await.0, 404);
    let (pieces, mut received) = mpsc::channel(4);
    served.session.want_snapshot(SnapshotWanted { pieces, most_bytes: 1 << 20 });
    let body = "0123456789".repeat(100_000);
    let (mut other, sent) = (served.client().await, body.clone());
    let sending = tokio::spawn(async move {
        other.post("snapshot", &sent).await;
        other.answer().await.0
    });
    let mut got = Vec::new();
    while let Some(piece) = received.recv().await {
        got.extend_from_slice(&piece);
    }
    assert_eq!((sending.await.unwrap(), got == body.as_bytes()), (202, true));
    assert_eq!(served.session.snapshot().await, Snapshot::Taken);
    client.post("snapshot", "another").await;
    assert_eq!(client.answer().await.0, 404);
}

#[tokio::test]
async fn a_snapshot_that_is_too_large_or_breaks_off_is_none() {
    for (length, why) in [(11, "it would be larger than 0 MiB"), (10, "it could not be written")] {
        let served = Served::new().await;
        let (pieces, _received) = mpsc::channel(4);
        served.session.want_snapshot(SnapshotWanted { pieces, most_bytes: 10 });
        let mut client = served.client().await;
        client.send(format!("POST /2018-06-01/runtime/snapshot HTTP/1.1\r\ncontent-length: {length}\r\n\r\nabc")).await;
        drop(client);
        assert_eq!(served.session.snapshot().await, Snapshot::None { why: why.into() });
    }
}

#[tokio::test]
async fn the_reason_why_there_is_none_is_told() {
    let served = Served::new().await;
    let (pieces, _received) = mpsc::channel(4);
    served.session.want_snapshot(SnapshotWanted { pieces, most_bytes: 10 });
    let mut client = served.client().await;
    client.post("snapshot/none", "it has 3 threads").await;
    assert_eq!(client.answer().await.0, 202);
    assert_eq!(served.session.snapshot().await, Snapshot::None { why: "it has 3 threads".into() });
}

#[tokio::test]
async fn credentials_are_for_who_knows_the_token() {
    let served = Served::new().await;
    let mut client = served.client().await;
    client.send(format!("{CREDENTIALS}\r\n")).await;
    assert_eq!(client.answer().await.0, 404);
    served.session.give_credentials(Credentials { token: "right".into(), document: "{\"Token\":\"t\"}".into() });
    for (header, status) in [("", 403), ("Authorization: wrong\r\n", 403), ("authorization: right\r\n", 200)] {
        client.send(format!("{CREDENTIALS}{header}\r\n")).await;
        let (answered, _, body) = client.answer().await;
        assert_eq!((answered, body.contains("\"Token\":\"t\"")), (status, status == 200));
    }
}

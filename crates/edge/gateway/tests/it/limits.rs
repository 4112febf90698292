//! Everything has a limit, and reaching it is a clear answer.

use std::time::Duration;

use gateway::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{Got, Made, World};

#[tokio::test]
async fn a_body_too_long_for_the_apis_is_413_before_it_is_sent() {
    let world = World::new().await;
    let head = format!(
        "POST /2015-03-31/functions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n",
        base::limits::REQUEST_BODY_BYTES + 1
    );
    let got = world.raw(head.as_bytes()).await;
    assert_eq!((got.status, got.header("x-amzn-errortype")), (413, "RequestEntityTooLargeException"));
    assert_eq!(got.header("connection"), "close");
}

#[tokio::test]
async fn a_body_without_a_length_is_counted_as_it_comes() {
    let world = World::new().await;
    assert_eq!(world.raw(&pieces_of_a_mebibyte(7)).await.status, 413);
}

#[tokio::test]
async fn who_writes_first_and_reads_then_hears_why_it_was_refused() {
    let world = World::new().await;
    let mut stream = world.connect().await;
    stream.write_all(&pieces_of_a_mebibyte(64)).await.expect("nothing is reset under a client that writes");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(Got::of(&answer).status, 413);
}

#[tokio::test]
async fn an_answer_instead_of_a_continue_is_the_last_of_its_connection() {
    let world = World::new().await;
    let head = "PUT /bucket/empty HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: ";
    let empty = world.raw(format!("{head}0\r\n\r\n").as_bytes()).await;
    assert_eq!(empty.header("connection"), "close");
    let asked = format!("{head}2\r\nconnection: close\r\n\r\n12");
    assert_eq!(world.raw(asked.as_bytes()).await.status, 100);
}

fn pieces_of_a_mebibyte(pieces: usize) -> Vec<u8> {
    let mut sent = b"POST /_lambent/url/x/ HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..pieces {
        sent.extend_from_slice(b"100000\r\n");
        sent.extend_from_slice(&vec![b'x'; 1 << 20]);
        sent.extend_from_slice(b"\r\n");
    }
    sent.extend_from_slice(b"0\r\n\r\n");
    sent
}

#[tokio::test]
async fn a_body_in_pieces_arrives_whole() {
    let world = World::new().await;
    let body: Vec<u8> = (0..5_000_000u32).map(|i| i as u8).collect();
    let got = world.ask("POST", "/2015-03-31/functions/f/invocations", &[], &body).await;
    assert_eq!(got.status, 200);
    assert_eq!(world.seen()[0].body, body);
}

#[tokio::test]
async fn a_head_too_long_is_431() {
    let world = World::new().await;
    let long = "x".repeat(70_000);
    assert_eq!(world.ask("GET", "/", &[("x-long", &long)], b"").await.status, 431);
    let most = "x".repeat(60_000);
    assert_eq!(world.ask("GET", "/2015-03-31/functions", &[("x-long", &most)], b"").await.status, 200);
}

#[tokio::test]
async fn a_client_that_dawdles_is_let_go() {
    let limits = Limits {
        head: Duration::from_millis(100),
        body_pause: Duration::from_millis(100),
        linger: Duration::from_millis(100),
        ..Limits::default()
    };
    let world = World::made(Made { limits, ..Made::default() }).await;
    let (mut rest, mut stream) = (Vec::new(), world.connect().await);
    stream.write_all(b"GET / HTT").await.unwrap();
    stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!(Got::of(&rest).status, 0, "a head that never ends gets no answer");
    let (mut rest, mut stream) = (Vec::new(), world.connect().await);
    let head = b"POST /2015-03-31/functions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\nhalf";
    stream.write_all(head).await.unwrap();
    stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!(Got::of(&rest).status, 408);
}

#[tokio::test]
async fn connections_beyond_the_most_wait() {
    let world = World::made(Made { limits: Limits { connections: 1, ..Limits::default() }, ..Made::default() }).await;
    let mut first = world.connect().await;
    first.write_all(b"GET /_lambent/health HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut piece = [0u8; 64];
    assert_ne!(first.read(&mut piece).await.unwrap(), 0);
    let second = world.ask("GET", "/_lambent/health", &[], b"");
    tokio::pin!(second);
    // The listener's own queue holds it; nothing reads it while the first is open.
    assert!(tokio::time::timeout(Duration::from_millis(100), second.as_mut()).await.is_err());
    drop(first);
    assert_eq!(second.await.status, 200);
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_request() {
    let world = World::new().await;
    let mut stream = world.connect().await;
    for _ in 0..3 {
        stream.write_all(b"GET /_localstack/init/ready HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        let mut got = Vec::new();
        while !got.ends_with(b"}") {
            let mut piece = [0u8; 512];
            let read = stream.read(&mut piece).await.unwrap();
            assert_ne!(read, 0);
            got.extend_from_slice(&piece[..read]);
        }
        assert_eq!(Got::of(&got).status, 200);
    }
}

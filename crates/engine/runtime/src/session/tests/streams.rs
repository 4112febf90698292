//! Responses that go out as they are written.

use tokio::sync::mpsc;

use super::super::{BrokenOff, Piece, Sink};
use super::*;

/// A client that has been given an event with a sink, and what comes out there.
struct Flowing {
    client: Client,
    id: RequestId,
    invocation: JoinHandle<Result<Outcome, Gone>>,
    pieces: mpsc::Receiver<Piece>,
    sink: Sink,
}

async fn flowing(served: &Served) -> Flowing {
    let (sink, pieces) = Sink::new(Arc::new(base::SystemClocks));
    let given = Event { sink: Some(sink.clone()), ..event("{}") };
    let id = given.request_id;
    let invocation = served.invoke(given);
    let mut client = served.client().await;
    client.next().await;
    Flowing { client, id, invocation, pieces, sink }
}

impl Flowing {
    async fn begin(&mut self, more: &str) {
        let Self { client, id, .. } = self;
        client
            .send(format!(
                "POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\n\
                 Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n{more}\r\n"
            ))
            .await;
    }

    async fn chunk(&mut self, text: &str) {
        self.client.send(format!("{:x}\r\n{text}\r\n", text.len())).await;
    }

    async fn piece(&mut self) -> Piece {
        timeout(PATIENCE, self.pieces.recv()).await.expect("it comes").expect("there is more")
    }

    /// The next bytes, until there are `length`.
    async fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < length {
            match self.piece().await {
                Piece::Bytes(bytes) => all.extend_from_slice(&bytes),
                begun @ Piece::Begun { .. } => panic!("{begun:?}"),
            }
        }
        all
    }

    async fn ended(self) -> Result<Outcome, Gone> {
        self.invocation.await.unwrap()
    }
}

fn begun(content_type: Option<&str>, streams: bool) -> Piece {
    Piece::Begun { content_type: content_type.map(str::to_owned), streams }
}

#[tokio::test]
async fn pieces_come_out_before_the_client_has_ended() {
    let served = Served::new().await;
    let mut flowing = flowing(&served).await;
    flowing.begin("Content-Type: text/plain\r\n").await;
    assert_eq!(flowing.piece().await, begun(Some("text/plain"), true));
    assert_eq!(flowing.sink.first_byte(), None);
    for text in ["one", "two"] {
        flowing.chunk(text).await;
        assert_eq!(flowing.bytes(3).await, text.as_bytes());
        assert!(!flowing.invocation.is_finished() && flowing.sink.first_byte().is_some());
    }
    flowing.client.send("0\r\n\r\n").await;
    assert_eq!(flowing.client.answer().await.0, 202);
    // The client goes on with the next event on the same connection.
    let given = event("next");
    let id = given.request_id;
    let after = served.invoke(given);
    assert_eq!(flowing.client.next().await.1, "next");
    flowing.client.respond(id, "1").await;
    assert_eq!(after.await.unwrap(), response("1"));
    assert_eq!(flowing.ended().await, response(""));
}

#[tokio::test]
async fn a_response_that_does_not_stream_passes_in_the_same_way() {
    let served = Served::new().await;
    let mut flowing = flowing(&served).await;
    let id = flowing.id;
    flowing
        .client
        .send(format!("POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nContent-Length: 6\r\n\r\none"))
        .await;
    assert_eq!(flowing.piece().await, begun(None, false));
    assert_eq!(flowing.bytes(3).await, b"one");
    flowing.client.send("two").await;
    assert_eq!(flowing.bytes(3).await, b"two");
    assert_eq!(flowing.client.answer().await.0, 202);
    assert_eq!(flowing.ended().await, response(""));
}

#[tokio::test]
async fn who_reads_slowly_slows_the_client_down() {
    let served = Served::new().await;
    let mut flowing = flowing(&served).await;
    flowing.begin("").await;
    let Flowing { client, .. } = &mut flowing;
    let sent = async {
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(65_536));
        let mut sent = 0usize;
        // What the sockets and the platform take before the client has to wait.
        while timeout(Duration::from_millis(300), client.socket.write_all(chunk.as_bytes())).await.is_ok() {
            sent += 65_536;
            assert!(sent < 64 << 20, "nobody is held up");
        }
    };
    sent.await;
    assert_eq!(flowing.piece().await, begun(None, true));
    assert!(!flowing.bytes(1 << 20).await.is_empty());
}

#[tokio::test]
async fn trailers_fail_the_invocation_with_or_without_a_sink() {
    let served = Served::new().await;
    let wanted = Outcome::Error { error_type: "Late".into(), payload: "{\"a\":1}".into() };
    let end =
        "0\r\nlambda-runtime-function-error-type: Late\r\nLambda-Runtime-Function-Error-Body: eyJhIjoxfQ==\r\n\r\n";
    let mut flowing = flowing(&served).await;
    flowing.begin("Trailer: Lambda-Runtime-Function-Error-Type\r\n").await;
    flowing.chunk("some").await;
    flowing.client.send(end).await;
    assert_eq!(flowing.client.answer().await.0, 202);
    assert_eq!((flowing.piece().await, flowing.bytes(4).await), (begun(None, true), b"some".to_vec()));
    assert_eq!(flowing.ended().await, Ok(wanted.clone()));

    let given = event("{}");
    let id = given.request_id;
    let invocation = served.invoke(given);
    let mut client = served.client().await;
    client.next().await;
    let head = format!("POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nTransfer-Encoding: chunked\r\n");
    client.send(format!("{head}Lambda-Runtime-Function-Response-Mode: streaming\r\n\r\n4\r\nsome\r\n{end}")).await;
    assert_eq!(client.answer().await.0, 202);
    assert_eq!(invocation.await.unwrap(), Ok(wanted));
}

#[tokio::test]
async fn a_streamed_response_without_a_sink_is_held_until_it_is_whole() {
    let served = Served::new().await;
    let given = event("{}");
    let id = given.request_id;
    let invocation = served.invoke(given);
    let mut client = served.client().await;
    client.next().await;
    let head = format!("POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nTransfer-Encoding: chunked\r\n");
    client
        .send(format!(
            "{head}Lambda-Runtime-Function-Response-Mode: Streaming\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
        ))
        .await;
    assert_eq!(client.answer().await.0, 202);
    assert_eq!(invocation.await.unwrap(), response("onetwo"));
}

#[tokio::test]
async fn what_is_broken_off_is_told_and_cannot_be_sent_again() {
    let served = Served::new().await;
    let mut flowing = flowing(&served).await;
    flowing.begin("").await;
    flowing.chunk("some").await;
    assert_eq!((flowing.piece().await, flowing.bytes(4).await), (begun(None, true), b"some".to_vec()));
    let mut second = served.client().await;
    let path = format!("invocation/{}/error", flowing.id);
    second.post(&path, "").await;
    assert_eq!(second.refusal().await, (403, "InvalidStateTransition".into()));
    let Flowing { client, invocation, .. } = flowing;
    drop(client);
    assert_eq!(invocation.await.unwrap(), Ok(Outcome::BrokenOff(BrokenOff::Truncated)));
    second.post(&path, "").await;
    assert_eq!(second.answer().await.0, 403);
}

#[tokio::test]
async fn a_streamed_response_has_a_limit_of_its_own() {
    let limits = Limits { payload_bytes: 10, streamed_bytes: 20, ..Limits::default() };
    let served = Served::with(limits).await;
    let mut flowing = flowing(&served).await;
    flowing.begin("").await;
    flowing.chunk("0123456789abcdefghij").await;
    assert_eq!(flowing.piece().await, begun(None, true));
    assert_eq!(flowing.bytes(20).await.len(), 20);
    flowing.chunk("k").await;
    assert_eq!(flowing.client.refusal().await, (413, "RequestEntityTooLarge".into()));
    flowing.client.is_closed().await;
    let broken = flowing.ended().await.unwrap();
    assert_eq!(broken, Outcome::BrokenOff(BrokenOff::TooLarge { limit: 20 }));
    // One that does not stream keeps the other.
    let mut flowing = super::streams::flowing(&served).await;
    let path = format!("invocation/{}/response", flowing.id);
    flowing.client.post(&path, "12345678901").await;
    assert_eq!(flowing.client.refusal().await.0, 413);
    let Ok(Outcome::Error { error_type, .. }) = flowing.ended().await else { panic!("it was taken") };
    assert_eq!(error_type, "Function.ResponseSizeTooLarge");
}

#[tokio::test]
async fn when_nobody_reads_any_more_the_client_goes_on_to_its_end() {
    let served = Served::new().await;
    let mut flowing = flowing(&served).await;
    flowing.begin("").await;
    let (_, other) = Sink::new(Arc::new(base::SystemClocks));
    drop(std::mem::replace(&mut flowing.pieces, other));
    for _ in 0..100 {
        flowing.chunk(&"x".repeat(10_000)).await;
    }
    flowing.client.send("0\r\n\r\n").await;
    assert_eq!(flowing.client.answer().await.0, 202);
    assert_eq!(flowing.ended().await, response(""));
}

mod bounds;
mod fuzz;
mod line;
mod parser;
mod snapshots;
mod strays;
mod streams;
mod ways;

use std::sync::Arc;
use std::time::Duration;

use base::{RequestId, Rng, SystemRng, Timestamp};
use bytes::Bytes;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Event, Gone, Limits, Outcome, Session};

/// Nothing here takes this long: who waits longer waits for ever.
const PATIENCE: Duration = Duration::from_secs(20);

/// A session that serves, and where.
struct Served {
    session: Arc<Session>,
    address: std::net::SocketAddr,
    serving: JoinHandle<()>,
}

impl Served {
    async fn with(limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let session = Session::with(limits);
        let serving = tokio::spawn(Arc::clone(&session).serve(listener, None));
        Self { session, address, serving }
    }

    async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    async fn client(&self) -> Client {
        Client { socket: TcpStream::connect(self.address).await.unwrap(), arrived: Vec::new() }
    }

    fn invoke(&self, event: Event) -> JoinHandle<Result<Outcome, Gone>> {
        let session = Arc::clone(&self.session);
        tokio::spawn(async move { timeout(PATIENCE, session.invoke(event)).await.expect("it ends") })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A runtime client, request by request.
struct Client {
    socket: TcpStream,
    arrived: Vec<u8>,
}

const NEXT: &str = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n";

impl Client {
    async fn send(&mut self, text: impl AsRef<[u8]>) {
        self.socket.write_all(text.as_ref()).await.unwrap();
    }

    async fn read(&mut self) -> std::io::Result<usize> {
        timeout(PATIENCE, self.socket.read_buf(&mut self.arrived)).await.expect("the server does something")
    }

    /// Whether nothing has been sent that was not read.
    async fn hears_nothing(&mut self) -> bool {
        // The server runs on this thread: now and then it has nothing left to do.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        self.arrived.is_empty() && self.socket.try_read(&mut [0; 1]).is_err()
    }

    /// The next answer: status, head, body.
    async fn answer(&mut self) -> (u16, String, String) {
        loop {
            if let Some(end) = self.arrived.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = String::from_utf8(self.arrived[..end].to_vec()).unwrap();
                let length = field(&head, "Content-Length").map_or(0, |length| length.parse().unwrap());
                if self.arrived.len() >= end + 4 + length {
                    let body = self.arrived[end + 4..end + 4 + length].to_vec();
                    self.arrived.drain(..end + 4 + length);
                    return (head[9..12].parse().unwrap(), head, String::from_utf8(body).unwrap());
                }
            }
            assert_ne!(self.read().await.unwrap(), 0, "the connection was closed");
        }
    }

    /// An answer that says no: its status and `errorType`.
    async fn refusal(&mut self) -> (u16, String) {
        let (status, _, body) = self.answer().await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert!(!body["errorMessage"].as_str().unwrap().is_empty());
        (status, body["errorType"].as_str().unwrap().to_owned())
    }

    async fn next(&mut self) -> (String, String) {
        self.send(NEXT).await;
        self.event().await
    }

    /// The event that was asked for: its head and payload.
    async fn event(&mut self) -> (String, String) {
        let (status, head, body) = self.answer().await;
        assert_eq!(status, 200);
        (head, body)
    }

    async fn post(&mut self, path: &str, body: &str) {
        self.send(post(path, body)).await;
    }

    async fn respond(&mut self, id: RequestId, body: &str) {
        self.post(&format!("invocation/{id}/response"), body).await;
        assert_eq!(self.answer().await.0, 202);
    }

    /// The server closes the connection, whatever it writes before.
    async fn is_closed(&mut self) {
        while self.read().await.is_ok_and(|read| read > 0) {}
    }
}

fn post(path: &str, body: &str) -> String {
    format!("POST /2018-06-01/runtime/{path} HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn event(payload: &str) -> Event {
    Event {
        request_id: RequestId::new(&SystemRng as &dyn Rng),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        deadline: Timestamp(1_763_683_200_123),
        function_arn: "arn:aws:lambda:us-east-1:000000000000:function:f".into(),
        trace: None,
        client_context: None,
        sink: None,
    }
}

fn response(payload: &str) -> Result<Outcome, Gone> {
    Ok(Outcome::Response { payload: Bytes::copy_from_slice(payload.as_bytes()) })
}

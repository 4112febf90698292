//! HTTP/2 from the start, on the plain port.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use gateway::Limits;
use http::{Request, Response};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{Made, World};

/// A body that is there.
struct Whole(Option<Bytes>);

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        std::task::Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }
}

async fn connect(world: &World) -> SendRequest<Whole> {
    let io = TokioIo::new(world.connect().await);
    let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn request(method: &str, target: &str, body: &[u8]) -> Request<Whole> {
    let body = (!body.is_empty()).then(|| Bytes::copy_from_slice(body));
    Request::builder().method(method).uri(target).body(Whole(body)).unwrap()
}

async fn read(response: Response<Incoming>) -> Vec<u8> {
    let (mut body, mut all) = (response.into_body(), Vec::new());
    while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        all.extend_from_slice(&frame.unwrap().into_data().unwrap_or_default());
    }
    all
}

#[tokio::test]
async fn requests_share_a_connection_and_large_bodies_come_and_go() {
    let world = World::new().await;
    let mut sender = connect(&world).await;
    let body: Vec<u8> = (0..5_000_000u32).map(|i| i as u8).collect();
    let target = format!("http://127.0.0.1:{}/2015-03-31/functions/f/invocations", world.port);
    let [one, two] = [(); 2].map(|()| sender.send_request(request("POST", &target, &body)));
    for response in [one.await.unwrap(), two.await.unwrap()] {
        assert_eq!(response.status(), 200);
        assert!(response.headers().contains_key("x-amzn-requestid"));
        assert!(read(response).await == body, "the answer is what was sent");
    }
    assert_eq!(world.seen().len(), 2);
}

#[tokio::test]
async fn an_answer_that_ends_a_connection_ends_only_its_stream_here() {
    let world = World::new().await;
    let mut sender = connect(&world).await;
    let target = format!("http://localhost:{}/_lambent/url/x/", world.port);
    let refused = sender.send_request(request("POST", &target, &vec![0; 7 << 20])).await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers().get("connection")), (413, None));
    let target = format!("http://localhost:{}/_lambent/health", world.port);
    assert_eq!(sender.send_request(request("GET", &target, b"")).await.unwrap().status(), 200);
}

#[tokio::test]
async fn an_endless_answer_goes_with_its_reader() {
    let world = World::new().await;
    let mut sender = connect(&world).await;
    let target = format!("http://localhost:{}/_lambent/events", world.port);
    let mut body = sender.send_request(request("GET", &target, b"")).await.unwrap().into_body();
    let first = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "data: 1\n\n");
}

#[tokio::test]
async fn a_connection_without_requests_is_let_go() {
    let limits = Limits { head: Duration::from_millis(100), ..Limits::default() };
    let world = World::made(Made { limits, ..Made::default() }).await;
    let mut stream = world.connect().await;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    // A GOAWAY frame, type 7, among what the server sends by itself.
    assert!(rest.windows(2).any(|bytes| bytes == [8, 7]), "{rest:?}");
}

#[tokio::test]
async fn a_stop_ends_connections_when_their_requests_are_done() {
    let mut world = World::new().await;
    let mut sender = connect(&world).await;
    let health = format!("http://localhost:{}/_lambent/health", world.port);
    assert_eq!(sender.send_request(request("GET", &health, b"")).await.unwrap().status(), 200);
    let events = format!("http://localhost:{}/_lambent/events", world.port);
    let endless = sender.send_request(request("GET", &events, b"")).await.unwrap();
    world.stop.take().unwrap().send(()).unwrap();
    assert_eq!(read(endless).await, b"data: 1\n\n");
    tokio::time::timeout(Duration::from_secs(5), &mut world.serving).await.expect("the listener is let go").unwrap();
}

//! A client that is connected already, over a Unix socket.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};
use tokio::time::timeout;

use super::*;

async fn served() -> (Arc<Session>, UnixStream, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let session = Session::with(Limits::default());
    let serving = tokio::spawn(Arc::clone(&session).serve(listener, Some(ours)));
    (session, UnixStream::from_std(theirs).unwrap(), serving)
}

/// Reads until `end` has come.
async fn until(client: &mut UnixStream, end: &[u8]) -> Vec<u8> {
    let mut heard = Vec::new();
    while !heard.ends_with(end) {
        let read = timeout(PATIENCE, client.read_buf(&mut heard)).await.expect("the server says more").unwrap();
        assert_ne!(read, 0, "the line was closed");
    }
    heard
}

#[tokio::test]
async fn events_and_answers_larger_than_the_socket_go_over_it() {
    let (session, mut client, serving) = served().await;
    client.write_all(NEXT.as_bytes()).await.unwrap();
    let sent = event(&format!("{}y", "x".repeat(5 << 20)));
    let id = sent.request_id;
    let invoked = tokio::spawn(async move { session.invoke(sent).await });
    // Whoever reads late does not lose what found no room.
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert!(until(&mut client, b"xy").await.len() > 5 << 20);
    let answer = post(&format!("invocation/{id}/response"), &"z".repeat(5 << 20));
    client.write_all(answer.as_bytes()).await.unwrap();
    let Outcome::Response { payload } = invoked.await.unwrap().unwrap() else { panic!("no response") };
    assert_eq!(payload.len(), 5 << 20);
    until(&mut client, b"}\n").await;
    serving.abort();
}

#[tokio::test]
async fn the_line_ends_with_the_session() {
    let (session, mut client, serving) = served().await;
    client.write_all(NEXT.as_bytes()).await.unwrap();
    assert!(matches!(session.initialised().await, super::super::InitOutcome::Ready));
    session.close();
    timeout(PATIENCE, serving).await.unwrap().unwrap();
    assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
}

//! A listener's loop: accepts, bounds, hands each connection to a task of its own, drains.

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use door::Via;
use http::header::CONNECTION;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::Gateway;
use crate::arrival::{Connection, Entrance};
use crate::limits::{CONNECTION_WINDOW_BYTES, FAULTS, HEAD_BYTES, RESETS, STREAM_WINDOW_BYTES, STREAMS};
use crate::line::{Line, Speech, Wire};
use crate::streams::Streams;

/// How long accepting rests when the process is out of descriptors.
const REST: Duration = Duration::from_millis(100);
/// How long a connection that is let go has to hear of it.
const FAREWELL: Duration = Duration::from_secs(1);
/// After how long without a byte another machine is asked whether it is still there, and again.
const ALIVE: Duration = Duration::from_secs(60);
const ALIVE_AGAIN: Duration = Duration::from_secs(15);

impl Gateway {
    /// Serves a listener until `stop` completes; then lets running requests end within `Limits::drain` and returns.
    /// Dropping the future ends everything at once.
    pub async fn serve(self: &Arc<Self>, listener: TcpListener, via: Via, stop: impl Future<Output = ()>) {
        let entrance = Arc::new(Entrance { via, principal: None, bodies: None });
        self.accept(listener, entrance, self.options.limits.connections, stop).await;
    }

    pub(crate) async fn accept(
        self: &Arc<Self>,
        listener: TcpListener,
        entrance: Arc<Entrance>,
        most: usize,
        stop: impl Future<Output = ()>,
    ) {
        let mut stop = pin!(stop);
        let (stopping, watched) = watch::channel(false);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept(), if connections.len() < most => match accepted {
                    Ok((stream, peer)) => {
                        let Ok(local) = stream.local_addr() else { continue };
                        let entrance = Arc::clone(&entrance);
                        let (hold, held) = mpsc::channel(1);
                        let stopping = watched.clone();
                        let connection = Connection { entrance, peer: peer.ip(), local, tls: false, stopping, hold };
                        connections.spawn(connected(Arc::clone(self), connection, stream, held));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(REST).await;
                    }
                },
                Some(ended) = connections.join_next(), if !connections.is_empty() => report(ended),
                () = &mut stop => break,
            }
        }
        drop(listener);
        stopping.send_replace(true);
        let ends = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(self.options.limits.drain, ends).await.is_err() {
            tracing::warn!(connections = connections.len(), "ended connections whose requests did not finish in time");
        }
        connections.shutdown().await;
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a request broke an invariant; its connection was closed");
    }
}

/// The life of one connection.
async fn connected(gateway: Arc<Gateway>, mut connection: Connection, socket: TcpStream, mut held: mpsc::Receiver<()>) {
    // Answers are small and complete: waiting to fill a segment only delays them.
    if let Err(error) = socket.set_nodelay(true).and_then(|()| watch(&socket, connection.peer)) {
        tracing::debug!(%error, "cannot set the options of a connection");
    }
    let stopped = connection.stopped();
    let opened = tokio::select! {
        opened = open(&gateway, &mut connection, socket) => opened,
        // Nothing was asked yet.
        () = stopped => return,
    };
    let ended = match opened {
        Ok(Some((Http::One, wire))) => {
            let ended = one(&gateway, &connection, wire).await;
            drop(connection);
            // Whoever has taken it over lets it go.
            held.recv().await;
            ended
        }
        Ok(Some((Http::Two, wire))) => two(gateway, connection, wire).await,
        Ok(None) => Ok(()),
        Err(error) => return tracing::debug!(%error, "a connection did not come to a request"),
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Lets the kernel find out that a machine is gone which owes us nothing: one that waits for a function's answer.
fn watch(socket: &TcpStream, peer: IpAddr) -> std::io::Result<()> {
    // Of this machine's own programs it knows without asking.
    if peer.is_loopback() {
        return Ok(());
    }
    let keepalive = TcpKeepalive::new().with_time(ALIVE).with_interval(ALIVE_AGAIN);
    SockRef::from(socket).set_tcp_keepalive(&keepalive)
}

/// Which HTTP.
#[derive(Debug, Clone, Copy)]
enum Http {
    One,
    Two,
}

/// Finds out what a connection speaks, and does the handshake where that is TLS; none when it ends before.
async fn open(
    gateway: &Gateway,
    connection: &mut Connection,
    socket: TcpStream,
) -> std::io::Result<Option<(Http, Wire)>> {
    let limits = &gateway.options.limits;
    let mut line = Line::new(socket, limits.unread);
    let Some(speech) = tokio::time::timeout(limits.head, line.listen()).await?? else { return Ok(None) };
    let tls = gateway.options.tls.as_ref().filter(|_| connection.entrance.via != Via::Sandbox);
    Ok(Some(match (speech, tls) {
        (Speech::Tls, Some(tls)) => {
            let shaken = tls.accept(line, connection.local.ip());
            let stream = tokio::time::timeout(limits.handshake, shaken).await??;
            connection.tls = true;
            let http = if stream.get_ref().1.alpn_protocol() == Some(b"h2") { Http::Two } else { Http::One };
            (http, Wire::Tls(Box::new(stream)))
        }
        (Speech::Http2, _) => (Http::Two, Wire::Plain(line)),
        (Speech::Tls | Speech::Http1, _) => (Http::One, Wire::Plain(line)),
    }))
}

/// HTTP/1.
async fn one(gateway: &Gateway, connection: &Connection, wire: Wire) -> hyper::Result<()> {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(gateway.options.limits.head)
        .max_header_size(HEAD_BYTES)
        .max_buf_size(HEAD_BYTES * 8);
    let service = service_fn(|incoming| async move { Ok::<_, Infallible>(gateway.answer(connection, incoming).await) });
    let mut serving = pin!(http.serve_connection(TokioIo::new(wire), service).with_upgrades());
    tokio::select! {
        ended = serving.as_mut() => ended,
        () = connection.stopped() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    }
}

/// HTTP/2. Frames that cost us something and the client nothing (resets, empty frames, pings, settings) are counted by the library.
async fn two(gateway: Arc<Gateway>, connection: Connection, wire: Wire) -> hyper::Result<()> {
    let limits = &gateway.options.limits;
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD_BYTES as u32)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(STREAM_WINDOW_BYTES as usize)
        .max_pending_accept_reset_streams(RESETS)
        .max_local_error_reset_streams(FAULTS);
    let streams = Streams::new(limits.head, limits.unread);
    let stopped = connection.stopped();
    let (connection, counted) = (Arc::new(connection), Arc::clone(&streams));
    let service = service_fn(move |incoming| {
        let (gateway, connection, stream) = (Arc::clone(&gateway), Arc::clone(&connection), counted.begin());
        async move {
            let (mut head, body) = gateway.answer(&connection, incoming).await.into_parts();
            // It has one connection for all its streams.
            head.headers.remove(CONNECTION);
            Ok::<_, Infallible>(http::Response::from_parts(head, stream.answer(body)))
        }
    });
    let mut serving = pin!(http.serve_connection(TokioIo::new(wire), service));
    tokio::select! {
        ended = serving.as_mut() => return ended,
        () = stopped => {
            serving.as_mut().graceful_shutdown();
            return serving.await;
        }
        end = streams.until() => tracing::debug!(?end, "a connection is let go"),
    }
    serving.as_mut().graceful_shutdown();
    tokio::time::timeout(FAREWELL, serving).await.unwrap_or(Ok(()))
}

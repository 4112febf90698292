//! A listener's loop: accepts, bounds, hands each connection to a task of its own, drains.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use door::Via;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::Gateway;
use crate::arrival::{Connection, Entrance};
use crate::limits::HEAD_BYTES;

/// How long accepting rests when the process is out of descriptors.
const REST: Duration = Duration::from_millis(100);

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
                        let connection = Connection { entrance, peer: peer.ip(), local, stopping: watched.clone() };
                        connections.spawn(connected(Arc::clone(self), connection, stream));
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
async fn connected(gateway: Arc<Gateway>, connection: Connection, stream: TcpStream) {
    // Answers are small and complete: waiting to fill a segment only delays them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let stopped = connection.stopped();
    let limits = &gateway.options.limits;
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_header_size(HEAD_BYTES)
        .max_buf_size(HEAD_BYTES * 8);
    let (gateway, connection) = (&gateway, &connection);
    let service = service_fn(|incoming| async move { Ok::<_, Infallible>(gateway.answer(connection, incoming).await) });
    let mut serving = pin!(http.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = stopped => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

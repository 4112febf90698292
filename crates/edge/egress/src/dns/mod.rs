//! The resolver inside a sandbox: answers a few names itself and hands the rest to the host's resolvers.

mod message;
mod upstream;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::carrier::{Asking, Sandbox, report, rest_after};
use message::Verdict;
use upstream::Way;

/// Largest query taken over UDP.
const QUERY_BYTES: usize = 4096;
/// How long a connection waits for its next query. Source: RFC 7766 section 6.2.3 leaves it to the server.
const IDLE: Duration = Duration::from_secs(10);

/// Serves queries over UDP until it is dropped.
pub(crate) async fn serve_udp(sandbox: Arc<Sandbox>, socket: UdpSocket) {
    let socket = Arc::new(socket);
    let mut queries = JoinSet::new();
    let mut buffer = vec![0; QUERY_BYTES];
    loop {
        tokio::select! {
            received = socket.recv_from(&mut buffer), if queries.len() < sandbox.share_of_queries() => match received {
                Ok((length, from)) => {
                    let (query, sandbox, socket) = (buffer[..length].to_vec(), Arc::clone(&sandbox), Arc::clone(&socket));
                    let asking = Asking::begin(&sandbox);
                    queries.spawn(async move {
                        let _asking = asking;
                        if let Some(answer) = resolve(&sandbox, &query, Way::Udp).await
                            && let Err(error) = socket.send_to(&answer, from).await
                        {
                            tracing::debug!(%error, "an answer did not reach its sandbox");
                        }
                    });
                }
                Err(error) => rest_after(&error).await,
            },
            Some(ended) = queries.join_next(), if !queries.is_empty() => report(ended),
        }
    }
}

/// Serves queries over TCP until it is dropped.
pub(crate) async fn serve_tcp(sandbox: Arc<Sandbox>, listener: TcpListener) {
    let most = sandbox.shared.limits.query_connections;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < most => match accepted {
                Ok((stream, _)) => {
                    let sandbox = Arc::clone(&sandbox);
                    connections.spawn(async move {
                        if let Err(error) = converse(&sandbox, stream).await {
                            tracing::debug!(%error, "a sandbox's connection for name queries broke off");
                        }
                    });
                }
                Err(error) => rest_after(&error).await,
            },
            Some(ended) = connections.join_next(), if !connections.is_empty() => report(ended),
        }
    }
}

/// One query after another, until the client ends or is silent for too long.
async fn converse(sandbox: &Sandbox, mut stream: TcpStream) -> io::Result<()> {
    loop {
        let query = match timeout(IDLE, upstream::read_message(&mut stream)).await {
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Ok(query) => query?,
            Err(_) => return Ok(()),
        };
        let Some(answer) = resolve(sandbox, &query, Way::Tcp).await else { return Ok(()) };
        timeout(IDLE, upstream::write_message(&mut stream, &answer)).await??;
    }
}

async fn resolve(sandbox: &Sandbox, query: &[u8], way: Way) -> Option<Vec<u8>> {
    match message::decide(query, sandbox.rule, &sandbox.shared.names.now()) {
        Verdict::Drop => None,
        Verdict::Answer(answer) => Some(answer),
        Verdict::Forward => match upstream::ask(&sandbox.shared, query, way).await {
            Some(answer) => Some(answer),
            None => message::failure(query),
        },
    }
}

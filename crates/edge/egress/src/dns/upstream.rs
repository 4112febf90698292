//! Asks the host's resolvers, as the host would.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use base::Rng;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{sleep, timeout};

use super::message;
use crate::carrier::Shared;

/// Largest datagram taken; an answer that fills it is taken as cut off.
const DATAGRAM_BYTES: usize = 16 * 1024;
/// Times each resolver is asked over UDP, where questions get lost.
const UDP_ROUNDS: usize = 2;

/// By which way a question came, and goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Udp,
    Tcp,
}

/// The first definite answer of any resolver; the next is asked when one fails or is slow, and the earlier ones may still
/// answer. None when none did in time.
pub(super) async fn ask(shared: &Shared, query: &[u8], way: Way) -> Option<Vec<u8>> {
    let names = shared.names.now();
    let rounds = if way == Way::Udp { UDP_ROUNDS } else { 1 };
    let mut next = (0..rounds).flat_map(|_| names.servers.iter().copied());
    let mut asked = FuturesUnordered::new();
    let mut poor = None;
    let looking = async {
        let _turn = shared.turns.acquire().await.ok()?;
        loop {
            match next.next() {
                Some(server) => asked.push(ask_one(&*shared.rng, server, query, way)),
                None if asked.is_empty() => return None,
                None => {}
            }
            tokio::select! {
                Some(answer) = asked.next() => match answer {
                    Ok(answer) if message::is_definite(&answer) => return Some(answer),
                    Ok(answer) => poor = Some(answer),
                    Err(error) => tracing::debug!(%error, "a resolver of the host does not answer"),
                },
                () = sleep(shared.limits.next_resolver) => {}
            }
        }
    };
    timeout(shared.limits.answer, looking).await.ok().flatten().or(poor)
}

async fn ask_one(rng: &dyn Rng, server: SocketAddr, query: &[u8], way: Way) -> io::Result<Vec<u8>> {
    let unreadable = || io::Error::other("the question cannot be read");
    // An id of our own, from a port of its own: who does not see the question cannot answer it.
    let id = rng.below(1 << 16) as u16;
    let sent = message::under_id(query, id).ok_or_else(unreadable)?;
    match way {
        Way::Udp => {
            let any: SocketAddr =
                if server.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
            let socket = UdpSocket::bind(any).await?;
            // Connected: the kernel drops what comes from elsewhere.
            socket.connect(server).await?;
            socket.send(sent.as_slice()).await?;
            let mut buffer = vec![0; DATAGRAM_BYTES];
            loop {
                let length = socket.recv(&mut buffer).await?;
                let Some(answer) = message::accept(&buffer[..length], &sent, query) else { continue };
                return if length < buffer.len() { Ok(answer) } else { message::cut(query).ok_or_else(unreadable) };
            }
        }
        Way::Tcp => {
            let mut stream = TcpStream::connect(server).await?;
            write_message(&mut stream, sent.as_slice()).await?;
            let answer = read_message(&mut stream).await?;
            message::accept(&answer, &sent, query).ok_or_else(|| io::Error::other("the answer is to another question"))
        }
    }
}

/// A message behind its length. Source: RFC 1035 section 4.2.2.
pub(super) async fn read_message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut bytes = vec![0; usize::from(length)];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

pub(super) async fn write_message(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    let length = u16::try_from(bytes.len()).map_err(|_| io::Error::other("the message is too long"))?;
    // In one piece: some servers read only once.
    let mut framed = Vec::with_capacity(2 + bytes.len());
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(bytes);
    stream.write_all(&framed).await
}

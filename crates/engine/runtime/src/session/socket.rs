//! The two kinds of sockets that runtime clients speak over, as one.

use std::io::{self, IoSlice, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::net::{TcpStream, tcp};

/// The receiving side of a connection by the network inside, or over the socket that a client was told its function by.
#[derive(Debug)]
pub(super) enum Receiving {
    Tcp(tcp::OwnedReadHalf),
    /// To the runtime it is a pipe: one that is read, and nothing else.
    Unix(pipe::Receiver),
}

/// The sending side.
#[derive(Debug)]
pub(super) enum Sending {
    Tcp(tcp::OwnedWriteHalf),
    Unix(UnixStream),
}

/// The sides of a TCP connection.
pub(super) fn of_tcp(stream: TcpStream) -> (Receiving, Sending) {
    // A failure means the peer has gone; the first read will say so.
    let _ = stream.set_nodelay(true);
    let (receiving, sending) = stream.into_split();
    (Receiving::Tcp(receiving), Sending::Tcp(sending))
}

/// The sides of a Unix socket.
///
/// Only what arrives wakes us: a Unix socket tells its writer of each read at the other end, so that who also waited for room
/// would be woken once more for every event.
///
/// # Errors
/// That it cannot be waited for.
pub(super) fn of_unix(stream: UnixStream) -> io::Result<(Receiving, Sending)> {
    stream.set_nonblocking(true)?;
    let receiving = pipe::Receiver::from_owned_fd_unchecked(OwnedFd::from(stream.try_clone()?))?;
    Ok((Receiving::Unix(receiving), Sending::Unix(stream)))
}

impl Receiving {
    /// Appends what has arrived; 0 at the end.
    pub(super) async fn read_buf(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Tcp(half) => half.read_buf(buffer).await,
            Self::Unix(half) => half.read_buf(buffer).await,
        }
    }
}

impl Sending {
    pub(super) fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(half) => half.try_write_vectored(pieces),
            Self::Unix(stream) => (&*stream).write_vectored(pieces),
        }
    }

    pub(super) async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(half) => half.writable().await,
            Self::Unix(stream) => {
                pipe::Sender::from_owned_fd_unchecked(OwnedFd::from(stream.try_clone()?))?.writable().await
            }
        }
    }
}

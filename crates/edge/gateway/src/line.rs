//! A connection's bytes, below HTTP: what was read to find out what it speaks comes again, and who stops reading is let go.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;

/// What a client that speaks HTTP/2 from the start sends first. Source: RFC 9113, section 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The first byte of a TLS record that holds a handshake. Source: RFC 8446, section 5.1. No HTTP request begins so.
const HANDSHAKE: u8 = 0x16;
/// Bytes that are read at a time while it is not known what a connection speaks.
const FIRST_BYTES: usize = 4096;

/// What a connection speaks, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speech {
    /// TLS; what it speaks inside, it says in the handshake.
    Tls,
    /// HTTP/2 from the start.
    Http2,
    /// HTTP/1, or nothing that is known here, which HTTP/1 answers.
    Http1,
}

impl Speech {
    /// None while the bytes may still become either HTTP.
    fn of(first: &[u8]) -> Option<Self> {
        match first {
            [] => None,
            [HANDSHAKE, ..] => Some(Self::Tls),
            _ if first.starts_with(PREFACE) => Some(Self::Http2),
            _ if PREFACE.starts_with(first) => None,
            _ => Some(Self::Http1),
        }
    }
}

/// A socket.
#[derive(Debug)]
pub(crate) struct Line {
    socket: TcpStream,
    /// Read already, to be read again.
    early: Bytes,
    /// How long a write may wait for the other side to read.
    unread: Duration,
    /// Runs while a write waits.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Line {
    pub(crate) fn new(socket: TcpStream, unread: Duration) -> Self {
        Self { socket, early: Bytes::new(), unread, waiting: None }
    }

    /// Waits until it is known what the connection speaks; none when it ends before.
    pub(crate) async fn listen(&mut self) -> io::Result<Option<Speech>> {
        let mut first = BytesMut::with_capacity(FIRST_BYTES);
        loop {
            if self.socket.read_buf(&mut first).await? == 0 {
                // What is no whole preface is for HTTP/1 to refuse.
                self.early = first.freeze();
                return Ok((!self.early.is_empty()).then_some(Speech::Http1));
            }
            if let Some(speech) = Speech::of(&first) {
                self.early = first.freeze();
                return Ok(Some(speech));
            }
        }
    }

    /// What a write came to, which may wait for [`Self::unread`].
    fn written<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            if self.waiting.is_some() {
                self.waiting = None;
            }
            return written;
        }
        let unread = self.unread;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(unread)));
        ready!(waiting.as_mut().poll(context));
        // Else the kernel would keep what it could not send, and go on asking.
        let reset = self.socket.set_zero_linger();
        reset.unwrap_or_else(|error| tracing::debug!(%error, "a connection cannot be reset"));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the other side stopped reading")))
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.socket).poll_read(context, into);
        }
        let bytes = self.early.len().min(into.remaining());
        into.put_slice(&self.early[..bytes]);
        self.early.advance(bytes);
        if self.early.is_empty() {
            self.early = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.written(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, bytes);
        self.written(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

/// A connection as HTTP reads and writes it.
#[derive(Debug)]
pub(crate) enum Wire {
    /// As it is.
    Plain(Line),
    /// Encrypted.
    Tls(Box<TlsStream<Line>>),
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(line) => Pin::new(line).poll_read(context, into),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(line) => Pin::new(line).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(line) => Pin::new(line).poll_write_vectored(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, bytes),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(line) => Pin::new(line).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(line) => Pin::new(line).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Speech;

    #[test]
    fn the_first_bytes_say_what_a_connection_speaks() {
        for (first, speech) in [
            (&b""[..], None),
            (b"\x16", Some(Speech::Tls)),
            (b"\x16\x03\x01", Some(Speech::Tls)),
            (b"P", None),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n", None),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0", Some(Speech::Http2)),
            (b"PRI * HTTP/1.1\r\n", Some(Speech::Http1)),
            (b"PUT / HTTP/1.1\r\n", Some(Speech::Http1)),
            (b"\x15\x03\x01", Some(Speech::Http1)),
            (b"\0", Some(Speech::Http1)),
        ] {
            assert_eq!(Speech::of(first), speech, "{first:?}");
        }
    }
}

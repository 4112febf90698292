//! Connections that go on with something else than HTTP: WebSocket.
//! Source: RFC 9110, section 7.8; RFC 6455, section 4.

use std::pin::Pin;
use std::task::{Context, Poll};

use door::{Duplex, Takeover};
use http::header::{CONNECTION, HeaderMap, UPGRADE};
use http::{Extensions, Method, Version};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;

use crate::arrival::Connection;

/// The connection of a request that asks for WebSocket.
pub(crate) fn wanted(
    connection: &Connection,
    (method, version): (&Method, Version),
    headers: &HeaderMap,
    extensions: &mut Extensions,
) -> Option<Takeover> {
    // Looked for first: hardly any request has it.
    let protocol = headers.get(UPGRADE)?;
    let asked = method == Method::GET
        && version == Version::HTTP_11
        && protocol.as_bytes().eq_ignore_ascii_case(b"websocket")
        && headers.get_all(CONNECTION).iter().any(names_upgrade);
    let taken = extensions.remove::<OnUpgrade>().filter(|_| asked)?;
    let (stopped, hold) = (connection.stopped(), connection.hold.clone());
    Some(Takeover::new(Box::pin(async move {
        let upgraded = taken.await.ok()?;
        let stopped = Some(Box::pin(stopped) as Pin<Box<dyn Future<Output = ()> + Send>>);
        Some(Box::new(Taken { io: TokioIo::new(upgraded), stopped, _hold: hold }) as Box<dyn Duplex>)
    })))
}

fn names_upgrade(value: &http::HeaderValue) -> bool {
    value.to_str().is_ok_and(|text| text.split(',').any(|one| one.trim().eq_ignore_ascii_case("upgrade")))
}

/// A connection that was taken over. It has come to its end when the listener stops.
struct Taken {
    io: TokioIo<Upgraded>,
    // None once it has.
    stopped: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    // Counts among the listener's connections for as long as it is there.
    _hold: mpsc::Sender<()>,
}

impl AsyncRead for Taken {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        if self.stopped.as_mut().is_none_or(|stopped| stopped.as_mut().poll(cx).is_ready()) {
            self.stopped = None;
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Taken {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

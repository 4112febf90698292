//! A request's body on its way in, which is read to its end whatever becomes of the request.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use http::header::EXPECT;
use http::request::Parts;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

/// Longest wait for the next piece of a body that nobody wants.
const PAUSE: Duration = Duration::from_secs(2);

/// A body that comes.
///
/// Dropped before its end, the rest is read and thrown away for [`crate::Limits::linger`] at most. A connection that is closed with
/// bytes unread is reset, and a client that is still writing then learns of the reset instead of the answer that refused it.
#[derive(Debug)]
pub(crate) struct Arriving {
    incoming: Option<Incoming>,
    /// The client sends nothing before it is asked to, and asking is done by reading.
    waits: bool,
    linger: Duration,
}

impl Arriving {
    pub(crate) fn new(incoming: Incoming, head: &Parts, linger: Duration) -> Self {
        // HTTP/2 asks for nothing: the body is sent as its window lets it.
        let waits = head.version != Version::HTTP_2 && head.headers.contains_key(EXPECT);
        Self { incoming: Some(incoming), waits, linger }
    }
}

impl Arriving {
    /// Whether the client waits to be asked for a body that is empty, so that the answer comes instead of `100 Continue`.
    ///
    /// The AWS CLI and boto3 send empty objects so, and read the next answer on such a connection wrongly.
    pub(crate) fn is_unasked(&self) -> bool {
        self.waits && self.is_end_stream()
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.waits = false;
        match &mut self.incoming {
            Some(incoming) => Pin::new(incoming).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        let Some(incoming) = self.incoming.take() else { return };
        if self.waits || incoming.is_end_stream() {
            return;
        }
        // Outside a runtime nobody serves the connection either.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(exhaust(incoming, self.linger));
        }
    }
}

/// Reads what is left, until it ends, pauses, or has taken `most`.
async fn exhaust(mut incoming: Incoming, most: Duration) {
    let end = Instant::now() + most;
    loop {
        let pause = (Instant::now() + PAUSE).min(end);
        let next = std::future::poll_fn(|context| Pin::new(&mut incoming).poll_frame(context));
        match tokio::time::timeout_at(pause, next).await {
            Ok(Some(Ok(_))) if Instant::now() < end => {}
            _ => return,
        }
    }
}

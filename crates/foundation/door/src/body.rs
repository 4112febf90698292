use std::pin::Pin;

use base::Fault;
use bytes::Bytes;
use futures_util::Stream;

/// A request's or a reply's body that is not part of the typed value.
#[derive(Default)]
pub enum Body {
    /// Nothing.
    #[default]
    Empty,
    /// Bytes held whole.
    Bytes(Bytes),
    /// Bytes that arrive as they are read; the reader sets the pace.
    Stream(Pieces),
}

/// The pieces of a [`Body`], in order.
pub type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, Fault>> + Send>>;

impl Body {
    /// Its pieces, whichever way it is held.
    pub fn into_stream(self) -> Pieces {
        match self {
            Self::Empty => Box::pin(futures_util::stream::empty()),
            Self::Bytes(bytes) => Box::pin(futures_util::stream::once(std::future::ready(Ok(bytes)))),
            Self::Stream(pieces) => pieces,
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

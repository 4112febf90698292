//! Responses that go out as they are written, instead of being held until they are whole.
//! Source: AWS Lambda developer guide, "Building a custom runtime", response streaming.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use base::Clocks;
use bytes::{Buf, Bytes, BytesMut};
use tokio::sync::mpsc;

use super::answer::Fault;
use super::claim::{Claim, failure};
use super::connection::{Connection, Ended};
use super::http::{Chunks, Head, Length, Malformed, Piece as Frame};
use super::{BrokenOff, Outcome};

/// Pieces that are under way at most: who takes them slowly slows the function down.
const PIECES: usize = 4;
/// Room made before a read, and so the longest piece, bytes.
const READ_BYTES: usize = 64 * 1024;
/// With less room than this left, new room is made before a read, bytes.
const LEAST_READ_BYTES: usize = 4 * 1024;

/// What a response brings while it is written, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// The runtime client has begun. Comes first, and once.
    Begun {
        /// Its `Content-Type`, where it streams.
        content_type: Option<String>,
        /// Whether it said `Lambda-Runtime-Function-Response-Mode: streaming`. Any other response passes in the same way.
        streams: bool,
    },
    /// The next bytes; never none.
    Bytes(Bytes),
}

/// Takes a response as it is written, and holds up who writes it while nobody reads. Cheap to clone.
#[derive(Clone)]
pub struct Sink {
    inner: Arc<Inner>,
}

struct Inner {
    pieces: mpsc::Sender<Piece>,
    clocks: Arc<dyn Clocks>,
    // When the first byte came.
    first: OnceLock<Instant>,
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sink")
    }
}

impl Sink {
    /// A sink, and what it takes. When nobody reads any more, what else comes is thrown away.
    pub fn new(clocks: Arc<dyn Clocks>) -> (Self, mpsc::Receiver<Piece>) {
        let (pieces, receiver) = mpsc::channel(PIECES);
        (Self { inner: Arc::new(Inner { pieces, clocks, first: OnceLock::new() }) }, receiver)
    }

    /// When the first byte of the response came, transport clock.
    pub fn first_byte(&self) -> Option<Instant> {
        self.inner.first.get().copied()
    }

    async fn give(&self, piece: Piece) {
        if matches!(piece, Piece::Bytes(_)) {
            self.inner.first.get_or_init(|| self.inner.clocks.monotonic());
        }
        // Nobody reads any more. The function goes on all the same, as on Lambda.
        let _ = self.inner.pieces.send(piece).await;
    }
}

/// How a runtime client says it responds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Buffered,
    Streaming,
}

impl Mode {
    /// As `Lambda-Runtime-Function-Response-Mode` names it; none when it names none of them.
    pub(super) fn of(head: &Head) -> Option<Self> {
        match &head.response {
            None => Some(Self::Buffered),
            Some(response) if response.mode.eq_ignore_ascii_case("streaming") => Some(Self::Streaming),
            Some(response) if response.mode.eq_ignore_ascii_case("buffered") => Some(Self::Buffered),
            Some(_) => None,
        }
    }
}

/// A body by its framing.
enum Frames {
    Known(usize),
    Chunked(Chunks),
}

impl Frames {
    fn of(length: Length) -> Self {
        match length {
            Length::Known(length) => Self::Known(length),
            Length::Chunked => Self::Chunked(Chunks::default()),
        }
    }

    fn next(&mut self, bytes: &[u8]) -> Result<Frame, Malformed> {
        match self {
            Self::Chunked(chunks) => chunks.next(bytes),
            Self::Known(0) => Ok(Frame::End { skip: 0 }),
            Self::Known(_) if bytes.is_empty() => Ok(Frame::More { skip: 0 }),
            Self::Known(left) => {
                let data = bytes.len().min(*left);
                *left -= data;
                Ok(Frame::Data { skip: 0, data })
            }
        }
    }

    fn ended(self) -> Outcome {
        let failure = match self {
            Self::Known(_) => None,
            Self::Chunked(chunks) => chunks.failure(),
        };
        failure.unwrap_or(Outcome::Response { payload: Bytes::new() })
    }
}

/// The right to answer an event whose response has begun to go out: it cannot be given back.
struct Under<'a>(Option<Claim<'a>>);

impl Under<'_> {
    fn end(mut self, outcome: Outcome) {
        if let Some(claim) = self.0.take() {
            claim.answer(outcome);
        }
    }
}

impl Drop for Under<'_> {
    fn drop(&mut self) {
        if let Some(claim) = self.0.take() {
            claim.answer(Outcome::BrokenOff(BrokenOff::Truncated));
        }
    }
}

impl Connection {
    /// Hands a response on as it is written.
    pub(super) async fn streamed(
        &mut self,
        head: &Head,
        mode: Mode,
        claim: Claim<'_>,
        sink: &Sink,
    ) -> Result<(), Ended> {
        let limits = self.session.limits;
        let limit = if mode == Mode::Streaming { limits.streamed_bytes } else { limits.payload_bytes };
        if matches!(head.length, Length::Known(length) if length > limit) {
            claim.answer(too_large(limit));
            return self.refuse(head, Fault::too_large(limit)).await;
        }
        self.invite(head).await?;
        let under = Under(Some(claim));
        let said = head.response.as_ref().filter(|_| mode == Mode::Streaming);
        let content_type = said.and_then(|said| said.content_type.clone());
        sink.give(Piece::Begun { content_type, streams: mode == Mode::Streaming }).await;
        let (mut frames, mut taken) = (Frames::of(head.length), 0usize);
        loop {
            match frames.next(&self.buffer)? {
                Frame::Data { skip, data } => {
                    self.buffer.advance(skip);
                    taken = taken.saturating_add(data);
                    if taken > limit {
                        under.end(Outcome::BrokenOff(BrokenOff::TooLarge { limit }));
                        return Err(Ended::Fault(Fault::too_large(limit)));
                    }
                    let piece = self.buffer.split_to(data).freeze();
                    sink.give(Piece::Bytes(piece)).await;
                }
                Frame::More { skip } => {
                    self.buffer.advance(skip);
                    let spare = self.buffer.capacity() - self.buffer.len();
                    self.more_into(if spare < LEAST_READ_BYTES { READ_BYTES } else { 0 }).await?;
                }
                Frame::End { skip } => {
                    self.buffer.advance(skip);
                    break;
                }
            }
        }
        // What is left shares a large allocation with the pieces: an idle connection stays small.
        self.buffer = BytesMut::from(&self.buffer[..]);
        under.end(frames.ended());
        self.accept().await;
        Ok(())
    }
}

/// What an invocation comes to whose response is longer than it may be, before anything of it went out.
pub(super) fn too_large(limit: usize) -> Outcome {
    failure("Function.ResponseSizeTooLarge", &BrokenOff::TooLarge { limit }.to_string())
}

//! What goes on in one connection of many streams (HTTP/2): requests in work, answers that wait for their reader.
//!
//! HTTP/1 has one request at a time, and its socket says everything. Here a client can keep a socket lively and never read an
//! answer, or ask and take back without end; so the connection's streams are counted, and [`Streams::until`] says when it shall end.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use base::Fault;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::respond::Outgoing;

/// Answers are handed over in pieces of at most this, bytes: what is handed over lies in memory until its reader takes it, and who takes
/// less than that for long reads nothing. It is the largest frame of most clients, so that nothing more is cut.
const PIECE_BYTES: usize = 16 * 1024;
/// So many more requests than were answered may be taken back.
const TAKEN_BACK: i64 = 200;

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Nobody asked anything for long.
    Idle,
    /// An answer was not read for long.
    Unread,
    /// Requests are taken back as soon as they are made. See CVE-2023-44487.
    TakenBack,
}

/// The streams of one connection.
#[derive(Debug)]
pub(crate) struct Streams {
    inside: Mutex<Inside>,
    /// Rung when [`Self::until`] must look again.
    changed: Notify,
    idle: Duration,
    unread: Duration,
}

#[derive(Debug)]
struct Inside {
    next: u64,
    /// Since when the answer waits for its reader; none while the request is in work.
    open: HashMap<u64, Option<Instant>>,
    /// Since when nothing is open.
    idle_since: Instant,
    /// Requests taken back, less those answered; never below 0.
    taken_back: i64,
    /// Until when [`Streams::until`] sleeps.
    asleep_until: Option<Instant>,
}

impl Streams {
    /// `idle`: how long a connection without requests is kept; `unread`: how long an answer may wait for its reader.
    pub(crate) fn new(idle: Duration, unread: Duration) -> Arc<Self> {
        let inside =
            Inside { next: 0, open: HashMap::new(), idle_since: Instant::now(), taken_back: 0, asleep_until: None };
        Arc::new(Self { inside: Mutex::new(inside), changed: Notify::new(), idle, unread })
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        // Nothing panics while it is held.
        self.inside.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A request that came.
    pub(crate) fn begin(self: &Arc<Self>) -> Stream {
        let mut inside = self.inside();
        let id = inside.next;
        inside.next += 1;
        inside.open.insert(id, None);
        Stream { streams: Arc::clone(self), id, answered: false }
    }

    /// Changes what is there, and rings where that must be looked at before the sleeper wakes.
    fn change(&self, change: impl FnOnce(&mut Inside)) {
        let mut inside = self.inside();
        change(&mut inside);
        let ring = match (self.due(&inside), inside.asleep_until) {
            (Some((due, _)), Some(until)) => due < until,
            (Some(_), None) => true,
            (None, _) => false,
        };
        drop(inside);
        if ring {
            self.changed.notify_one();
        }
    }

    /// When the connection shall end if nothing changes.
    fn due(&self, inside: &Inside) -> Option<(Instant, End)> {
        if inside.taken_back > TAKEN_BACK {
            return Some((inside.idle_since, End::TakenBack));
        }
        if inside.open.is_empty() {
            return Some((inside.idle_since + self.idle, End::Idle));
        }
        let longest = inside.open.values().flatten().min()?;
        Some((*longest + self.unread, End::Unread))
    }

    /// Completes when the connection shall end. To be awaited by one.
    pub(crate) async fn until(&self) -> End {
        loop {
            let due = {
                let mut inside = self.inside();
                let due = self.due(&inside);
                inside.asleep_until = due.map(|(at, _)| at);
                due
            };
            match due {
                None => self.changed.notified().await,
                Some((at, end)) if at <= Instant::now() => return end,
                Some((at, _)) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(at) => {}
                        () = self.changed.notified() => {}
                    }
                }
            }
        }
    }
}

/// One request and its answer; over when dropped.
#[derive(Debug)]
pub(crate) struct Stream {
    streams: Arc<Streams>,
    id: u64,
    answered: bool,
}

impl Stream {
    fn set(&self, since: Option<Instant>) {
        self.streams.change(|inside| {
            inside.open.insert(self.id, since);
        });
    }

    /// The answer's body on its way.
    pub(crate) fn answer(mut self, body: Outgoing) -> Answer {
        // A body counts once it is asked for: that of a request taken back never is.
        self.answered = body.is_end_stream();
        Answer { body, rest: Bytes::new(), stream: self }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let answered = self.answered;
        self.streams.change(|inside| {
            inside.open.remove(&self.id);
            inside.taken_back = if answered { (inside.taken_back - 1).max(0) } else { inside.taken_back + 1 };
            if inside.open.is_empty() {
                inside.idle_since = Instant::now();
            }
        });
    }
}

/// An answer's body, in pieces of which each waits for its reader.
pub(crate) struct Answer {
    body: Outgoing,
    /// Of the piece that is being handed over.
    rest: Bytes,
    stream: Stream,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        if self.rest.is_empty() {
            match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                Poll::Pending => {
                    self.stream.set(None);
                    return Poll::Pending;
                }
                ended => return ended,
            }
        }
        self.stream.answered = true;
        // Until it is asked for more, its reader has not taken what it was given.
        self.stream.set(Some(Instant::now()));
        let bytes = self.rest.len().min(PIECE_BYTES);
        let piece = self.rest.split_to(bytes);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let rest = self.rest.len() as u64;
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_millis(300);
    const UNREAD: Duration = Duration::from_millis(60);

    async fn end_after(streams: &Streams, most: Duration) -> Option<End> {
        tokio::time::timeout(most, streams.until()).await.ok()
    }

    #[tokio::test]
    async fn a_connection_without_requests_ends() {
        let streams = Streams::new(IDLE, UNREAD);
        assert_eq!(end_after(&streams, IDLE - UNREAD).await, None);
        let request = streams.begin();
        assert_eq!(end_after(&streams, IDLE * 2).await, None, "a request in work may take its time");
        drop(request);
        assert_eq!(end_after(&streams, IDLE + UNREAD).await, Some(End::Idle));
    }

    #[tokio::test]
    async fn an_answer_that_nobody_reads_ends_it() {
        let streams = Streams::new(IDLE, UNREAD);
        let mut answer = Box::pin(streams.begin().answer(Outgoing::Whole(Some(vec![0; 3 * PIECE_BYTES].into()))));
        assert_eq!(answer.size_hint().exact(), Some(3 * PIECE_BYTES as u64));
        for _ in 0..2 {
            let piece = std::future::poll_fn(|context| answer.as_mut().poll_frame(context)).await;
            assert_eq!(piece.unwrap().unwrap().into_data().unwrap().len(), PIECE_BYTES);
            assert_eq!(end_after(&streams, UNREAD / 2).await, None);
        }
        assert_eq!(answer.size_hint().exact(), Some(PIECE_BYTES as u64));
        assert_eq!(end_after(&streams, UNREAD).await, Some(End::Unread));
    }

    #[tokio::test]
    async fn a_slow_writer_is_no_slow_reader() {
        let streams = Streams::new(IDLE, UNREAD);
        let never = futures_util::stream::pending();
        let mut answer = Box::pin(streams.begin().answer(Outgoing::Pieces(Box::pin(never))));
        let polled =
            std::future::poll_fn(|context| Poll::Ready(answer.as_mut().poll_frame(context).is_pending())).await;
        assert!(polled);
        assert_eq!(end_after(&streams, IDLE * 2).await, None);
    }

    #[tokio::test]
    async fn who_only_takes_back_is_let_go() {
        let streams = Streams::new(IDLE, UNREAD);
        for _ in 0..=TAKEN_BACK {
            drop(streams.begin());
            drop(streams.begin().answer(Outgoing::Whole(None)));
        }
        assert_eq!(end_after(&streams, UNREAD).await, None, "as many are answered");
        for _ in 0..=TAKEN_BACK {
            // The answer to a request that broke off, which nobody asks for.
            drop(streams.begin().answer(Outgoing::Whole(Some("no".into()))));
        }
        assert_eq!(end_after(&streams, UNREAD).await, Some(End::TakenBack));
    }
}

//! One client's connection: reads its requests, writes the answers.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::sync::{Mutex, Notify};
use tokio::time::timeout;

use super::answer::{self, Fault};
use super::claim::{Claim, InitClaim, error_type, failure};
use super::exchange::Next;
use super::http::{self, Chunks, Head, Length, Malformed, Piece, Route, TRAILER_LINE_BYTES};
use super::socket::{Receiving, Sending};
use super::stream::{self, Mode};
use super::{BrokenOff, Event, InitOutcome, Outcome, Session, Snapshot, SnapshotWanted};

/// Room made before a read. A request of our own clients fits whole.
const READ_BYTES: usize = 4096;
/// A body up to this size is copied out, so that the buffer stays; a larger one takes its buffer along.
const COPY_BYTES: usize = 16 * 1024;
/// Bytes of an unwanted body that are read and thrown away before the connection is given up.
const DISCARD_BYTES: usize = 64 * 1024 * 1024;
/// What is left of a chunked body that is longer than that.
const ENDLESS: Length = Length::Known(usize::MAX);
/// Answers kept back at most: a client that sends request after request without reading is waited for.
pub(super) const OUT_BYTES: usize = 64 * 1024;
/// Room made before a read of a snapshot.
const SNAPSHOT_READ_BYTES: usize = 256 * 1024;
/// The longest reason why there is no snapshot.
const REASON_BYTES: usize = 4096;
/// A head up to this size is read beside any other. Of larger ones a session reads one at a time, so that a client cannot
/// have the platform keep one for each of its connections.
pub(super) const SMALL_HEAD_BYTES: usize = 32 * 1024;
/// Requests in a row that are told no at once. Every further one is answered only after a pause: a no costs the platform
/// more than the function, whose share of the CPU may be small.
pub(super) const FREE_STRAYS: u32 = 8;
/// See [`FREE_STRAYS`].
pub(super) const STRAY_PAUSE: Duration = Duration::from_millis(20);

/// The sending side of a connection. The session holds it too while the client waits for an event, so that an
/// invocation writes to the socket itself.
#[derive(Debug)]
pub(super) struct Wire {
    socket: Sending,
    // Answers not yet written. Whoever writes to the socket holds the lock.
    out: Mutex<Vec<u8>>,
    // Told when a write was begun and not ended: the connection is of no use.
    broken: Notify,
}

impl Wire {
    /// Writes `event` behind what is still unwritten, in one go where the socket takes it.
    pub(super) async fn deliver(&self, event: &Event) -> io::Result<()> {
        let mut out = self.out.lock().await;
        answer::event_head(&mut out, event);
        self.send(&mut out, &event.payload).await
    }

    async fn flush(&self) -> io::Result<()> {
        let mut out = self.out.lock().await;
        if out.is_empty() { Ok(()) } else { self.send(&mut out, &[]).await }
    }

    /// Writes what is kept back when it is much.
    async fn relieve(&self) -> io::Result<()> {
        let mut out = self.out.lock().await;
        if out.len() > OUT_BYTES { self.send(&mut out, &[]).await } else { Ok(()) }
    }

    async fn push(&self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut *self.out.lock().await);
    }

    async fn send(&self, out: &mut Vec<u8>, mut body: &[u8]) -> io::Result<()> {
        let unfinished = Unfinished(&self.broken);
        let mut head = out.as_slice();
        while !(head.is_empty() && body.is_empty()) {
            match self.socket.try_write_vectored(&[IoSlice::new(head), IoSlice::new(body)]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    let of_head = written.min(head.len());
                    head = &head[of_head..];
                    body = &body[written - of_head..];
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.socket.writable().await?,
                Err(error) => return Err(error),
            }
        }
        std::mem::forget(unfinished);
        out.clear();
        Ok(())
    }
}

/// Dropped when a write ended early: by an error, or because who waited for it gave up.
struct Unfinished<'a>(&'a Notify);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// Why a connection ends before its client closes it.
pub(super) enum Ended {
    Socket(io::Error),
    /// The client is told first.
    Fault(Fault),
    /// The client took too long, broke off, or asked while it was waiting.
    Quietly,
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Socket(error)
    }
}

impl From<Malformed> for Ended {
    fn from(malformed: Malformed) -> Self {
        Self::Fault(Fault::malformed(malformed))
    }
}

/// A request's body.
enum Body {
    Whole(Bytes),
    /// Whole, and its trailers say what went wrong.
    Failed(Box<(Bytes, Outcome)>),
    TooLarge {
        /// What of it has not been read.
        left: Length,
    },
}

/// One client's connection.
pub(super) struct Connection {
    pub(super) session: Arc<Session>,
    socket: Receiving,
    wire: Arc<Wire>,
    // What has arrived and was not yet taken.
    pub(super) buffer: BytesMut,
    // Whether the client has asked for an event and the answer is left to whoever brings one.
    parked: bool,
    // Requests told no since the last answer that was taken.
    strays: u32,
}

impl Connection {
    pub(super) fn new(session: Arc<Session>, (socket, writing): (Receiving, Sending)) -> Self {
        let wire = Wire { socket: writing, out: Mutex::default(), broken: Notify::new() };
        Self { session, socket, wire: Arc::new(wire), buffer: BytesMut::new(), parked: false, strays: 0 }
    }

    /// Serves the client until it goes, strays, or the session ends.
    pub(super) async fn run(mut self) {
        let wire = Arc::clone(&self.wire);
        let ended = tokio::select! {
            biased;
            () = wire.broken.notified() => Ok(()),
            ended = self.converse() => ended,
        };
        self.session.exchange.stop_waiting(&wire);
        match ended {
            Ok(()) | Err(Ended::Quietly) => {}
            Err(Ended::Socket(error)) => tracing::debug!(%error, "a runtime client's connection broke"),
            Err(Ended::Fault(fault)) => {
                tracing::debug!(message = fault.message, "a runtime client strayed");
                wire.push(|out| fault.write(out)).await;
                // The client may have gone; nothing more is owed to it.
                let _ = wire.flush().await;
            }
        }
    }

    async fn converse(&mut self) -> Result<(), Ended> {
        while let Some(head) = self.head().await? {
            if self.parked && self.session.exchange.stop_waiting(&self.wire) {
                return Err(Ended::Quietly);
            }
            self.parked = false;
            let keep_alive = head.keep_alive;
            self.request(head).await?;
            self.wire.relieve().await?;
            if !keep_alive && !self.parked {
                self.wire.flush().await?;
                return Ok(());
            }
        }
        Ok(())
    }

    async fn request(&mut self, head: Head) -> Result<(), Ended> {
        match head.route {
            Route::Next => {
                self.discard(head.length).await?;
                self.next().await
            }
            Route::Response(id) => self.answered(head, id, false).await,
            Route::Error(id) => self.answered(head, id, true).await,
            // That a restore failed is an INIT that failed: it takes its place.
            Route::InitError | Route::RestoreError => self.init_error(head).await,
            Route::RestoreNext => {
                self.discard(head.length).await?;
                self.session.resumed.send_replace(true);
                if !self.session.holds_restored.load(Ordering::Relaxed) {
                    self.wire.push(|out| out.extend_from_slice(answer::GO_ON)).await;
                }
                Ok(())
            }
            Route::Snapshot => self.snapshot(head).await,
            Route::NoSnapshot => self.no_snapshot(head).await,
            Route::Credentials => self.credentials(head).await,
            Route::WrongMethod(allowed) => self.refuse(&head, Fault::wrong_method(allowed)).await,
            Route::Unknown => self.refuse(&head, Fault::unknown_path()).await,
        }
    }

    async fn next(&mut self) -> Result<(), Ended> {
        let next = self.session.exchange.next(&self.wire);
        if let Next::Take { first: true, .. } | Next::Wait { first: true } = next {
            self.session.init_ended(InitOutcome::Ready);
        }
        match next {
            Next::Take { event, .. } => self.wire.deliver(&event).await?,
            Next::Wait { .. } => self.parked = true,
            Next::Refused(refused) => self.say_no(Fault::transition(refused)).await,
        }
        Ok(())
    }

    /// Answers with a fault, slowly where it is one of many.
    async fn say_no(&mut self, fault: Fault) {
        self.strays = self.strays.saturating_add(1);
        if self.strays > FREE_STRAYS {
            tokio::time::sleep(STRAY_PAUSE).await;
        }
        self.wire.push(|out| fault.write(out)).await;
    }

    pub(super) async fn accept(&mut self) {
        self.strays = 0;
        self.wire.push(|out| out.extend_from_slice(answer::ACCEPTED)).await;
    }

    async fn answered(&mut self, head: Head, id: Option<base::RequestId>, error: bool) -> Result<(), Ended> {
        let session = Arc::clone(&self.session);
        let limit = session.limits.payload_bytes;
        let (claim, sink) = match Claim::begin(&session.exchange, id, error) {
            Ok(begun) => begun,
            Err(fault) => return self.refuse(&head, fault).await,
        };
        let mode = if error { Some(Mode::Buffered) } else { Mode::of(&head) };
        let Some(mode) = mode else {
            let fault = Fault::response_mode(head.response.as_ref().map_or("", |response| &response.mode));
            claim.answer(failure("Runtime.InvalidResponseModeHeader", &fault.message));
            return self.refuse(&head, fault).await;
        };
        if let Some(sink) = sink.filter(|_| !error) {
            // Apart, so that connections on which nothing is streamed stay small.
            return Box::pin(self.streamed(&head, mode, claim, &sink)).await;
        }
        match self.body(&head, limit).await? {
            Body::Whole(payload) if error => {
                claim.answer(Outcome::Error { error_type: error_type(&head), payload });
                self.accept().await;
            }
            Body::Whole(payload) => {
                claim.answer(Outcome::Response { payload });
                self.accept().await;
            }
            Body::Failed(failed) => {
                let (payload, failure) = *failed;
                claim.answer(match mode {
                    Mode::Streaming => failure,
                    Mode::Buffered if error => Outcome::Error { error_type: error_type(&head), payload },
                    Mode::Buffered => Outcome::Response { payload },
                });
                self.accept().await;
            }
            Body::TooLarge { left } => {
                let unread = matches!(left, Length::Known(left) if left > DISCARD_BYTES);
                claim.answer(if unread {
                    // The connection ends, and with it the client.
                    Outcome::BrokenOff(BrokenOff::TooLarge { limit })
                } else {
                    stream::too_large(limit)
                });
                self.refuse(&Head { length: left, ..head }, Fault::too_large(limit)).await?;
            }
        }
        Ok(())
    }

    async fn init_error(&mut self, head: Head) -> Result<(), Ended> {
        let session = Arc::clone(&self.session);
        let limit = session.limits.payload_bytes;
        let claim = match InitClaim::begin(&session.exchange) {
            Ok(claim) => claim,
            Err(refused) => return self.refuse(&head, Fault::transition(refused)).await,
        };
        let payload = match self.body(&head, limit).await? {
            Body::Whole(payload) => payload,
            Body::Failed(failed) => failed.0,
            Body::TooLarge { left } => {
                return self.refuse(&Head { length: left, ..head }, Fault::too_large(limit)).await;
            }
        };
        match claim.failed() {
            Ok(()) => {
                session.init_ended(InitOutcome::Failed { error_type: error_type(&head), payload });
                self.accept().await;
            }
            Err(refused) => self.say_no(Fault::transition(refused)).await,
        }
        Ok(())
    }

    /// Hands a snapshot on, piece by piece. One client may send one.
    async fn snapshot(&mut self, head: Head) -> Result<(), Ended> {
        let (Some(wanted), Length::Known(length)) = (self.session.begin_snapshot(), head.length) else {
            return self.refuse(&head, Fault::unknown_path()).await;
        };
        let session = Arc::clone(&self.session);
        if u64::try_from(length).is_ok_and(|length| length > wanted.most_bytes) {
            session.snapshot_ended(Snapshot::none(format!("it would be larger than {} MiB", wanted.most_bytes >> 20)));
            return Err(Ended::Quietly);
        }
        self.invite(&head).await?;
        match self.pieces(length, wanted).await {
            Ok(()) => session.snapshot_ended(Snapshot::Taken),
            Err(ended) => {
                session.snapshot_ended(Snapshot::none("it could not be written"));
                return Err(ended);
            }
        }
        self.accept().await;
        Ok(())
    }

    async fn pieces(&mut self, mut left: usize, wanted: SnapshotWanted) -> Result<(), Ended> {
        while left > 0 {
            if self.buffer.is_empty() {
                self.buffer.reserve(SNAPSHOT_READ_BYTES);
                self.more().await?;
            }
            let piece = self.buffer.split_to(left.min(self.buffer.len())).freeze();
            left -= piece.len();
            wanted.pieces.send(piece).await.map_err(|_nobody_takes_it| Ended::Quietly)?;
        }
        Ok(())
    }

    async fn no_snapshot(&mut self, head: Head) -> Result<(), Ended> {
        if self.session.begin_snapshot().is_none() {
            return self.refuse(&head, Fault::unknown_path()).await;
        }
        let why = match self.body(&head, REASON_BYTES).await? {
            Body::Whole(why) => String::from_utf8_lossy(&why).into_owned(),
            Body::Failed(_) | Body::TooLarge { .. } => "its runtime gave no reason".to_owned(),
        };
        self.session.snapshot_ended(Snapshot::None { why });
        self.accept().await;
        Ok(())
    }

    async fn credentials(&mut self, head: Head) -> Result<(), Ended> {
        let session = Arc::clone(&self.session);
        let Some(credentials) = session.credentials.get() else {
            return self.refuse(&head, Fault::unknown_path()).await;
        };
        if head.authorization.as_deref() != Some(credentials.token.as_str()) {
            return self.refuse(&head, Fault::not_yours()).await;
        }
        self.discard(head.length).await?;
        self.wire.push(|out| answer::json(out, &credentials.document)).await;
        Ok(())
    }

    /// Tells the client no. A body it is sending is read first, or it would never see the answer; one it only announced is
    /// not asked for, and the connection ends.
    pub(super) async fn refuse(&mut self, head: &Head, fault: Fault) -> Result<(), Ended> {
        if head.expects_continue && self.buffer.is_empty() {
            return Err(Ended::Fault(fault));
        }
        self.discard(head.length).await?;
        self.say_no(fault).await;
        Ok(())
    }

    /// The next request's head; `None` when the client has closed the connection between two requests.
    async fn head(&mut self) -> Result<Option<Head>, Ended> {
        if self.buffer.is_empty() && self.fill().await? == 0 {
            return Ok(None);
        }
        if let Some(end) = http::head_end(&self.buffer, 0) {
            return self.take_head(end).map(Some);
        }
        // No clock runs for a head that came whole.
        let limit = self.session.limits.head_time;
        timeout(limit, self.rest_of_head()).await.unwrap_or(Err(Ended::Quietly)).map(Some)
    }

    async fn rest_of_head(&mut self) -> Result<Head, Ended> {
        let session = Arc::clone(&self.session);
        let (limit, mut alone) = (session.limits.head_bytes, None);
        loop {
            let scanned = self.buffer.len();
            if scanned > limit {
                return Err(Ended::Fault(Fault::head_too_large(limit)));
            }
            if scanned > SMALL_HEAD_BYTES && alone.is_none() {
                // An error would say that the semaphore was closed, which nobody does.
                alone = session.large_heads.acquire().await.ok();
            }
            if self.fill().await? == 0 {
                return Err(Ended::Quietly);
            }
            if let Some(end) = http::head_end(&self.buffer, scanned) {
                return self.take_head(end);
            }
        }
    }

    fn take_head(&mut self, end: usize) -> Result<Head, Ended> {
        let head = http::head(&self.buffer[..end])?;
        self.buffer.advance(end);
        Ok(head)
    }

    /// Reads what has arrived. Answers are written before the client is waited for; one that also asked for its next event
    /// gets them together with that.
    async fn fill(&mut self) -> Result<usize, Ended> {
        self.fill_into(READ_BYTES).await
    }

    async fn fill_into(&mut self, room: usize) -> Result<usize, Ended> {
        if !self.parked {
            self.wire.flush().await?;
        }
        self.buffer.reserve(room);
        debug_assert!(self.buffer.capacity() <= self.most_buffered(), "what a connection keeps is bounded");
        Ok(self.socket.read_buf(&mut self.buffer).await?)
    }

    /// A whole head or body, and what doubling the buffer and one read add to it.
    fn most_buffered(&self) -> usize {
        let limits = &self.session.limits;
        2 * (limits.head_bytes.max(limits.payload_bytes).max(TRAILER_LINE_BYTES) + 2 * READ_BYTES)
    }

    /// Reads more of a body; the client may not stop within.
    async fn more(&mut self) -> Result<(), Ended> {
        self.more_into(READ_BYTES).await
    }

    /// The same, once there is this much room.
    pub(super) async fn more_into(&mut self, room: usize) -> Result<(), Ended> {
        if self.fill_into(room).await? == 0 { Err(Ended::Quietly) } else { Ok(()) }
    }

    /// The whole body. Of one that announces its excess nothing is read; a chunked one is read to its end.
    async fn body(&mut self, head: &Head, limit: usize) -> Result<Body, Ended> {
        match head.length {
            Length::Known(length) if length > limit => return Ok(Body::TooLarge { left: head.length }),
            _ => self.invite(head).await?,
        }
        match head.length {
            Length::Known(length) => {
                self.buffer.reserve(length.saturating_sub(self.buffer.len()));
                while self.buffer.len() < length {
                    self.more().await?;
                }
                Ok(Body::Whole(self.take(length)))
            }
            Length::Chunked => self.chunked(limit).await,
        }
    }

    async fn chunked(&mut self, limit: usize) -> Result<Body, Ended> {
        let (mut chunks, mut whole, mut taken) = (Chunks::default(), BytesMut::new(), 0usize);
        loop {
            match chunks.next(&self.buffer)? {
                Piece::Data { skip, data } => {
                    self.buffer.advance(skip);
                    taken = taken.saturating_add(data);
                    if taken <= limit {
                        whole.extend_from_slice(&self.buffer[..data]);
                    } else if taken > DISCARD_BYTES {
                        return Ok(Body::TooLarge { left: ENDLESS });
                    }
                    self.buffer.advance(data);
                }
                Piece::End { skip } => {
                    self.buffer.advance(skip);
                    if taken > limit {
                        return Ok(Body::TooLarge { left: Length::Known(0) });
                    }
                    let payload = whole.freeze();
                    return Ok(match chunks.failure() {
                        None => Body::Whole(payload),
                        Some(failure) => Body::Failed(Box::new((payload, failure))),
                    });
                }
                Piece::More { skip } => {
                    self.buffer.advance(skip);
                    self.more().await?;
                }
            }
        }
    }

    /// Reads a body that nobody wants, up to a bound.
    async fn discard(&mut self, length: Length) -> Result<(), Ended> {
        let mut left = match length {
            Length::Known(length) if length > DISCARD_BYTES => return Err(Ended::Quietly),
            Length::Known(length) => length,
            Length::Chunked => {
                return match self.chunked(0).await? {
                    Body::TooLarge { left: ENDLESS } => Err(Ended::Quietly),
                    _ => Ok(()),
                };
            }
        };
        while left > 0 {
            if self.buffer.is_empty() {
                self.more().await?;
            }
            let here = left.min(self.buffer.len());
            self.buffer.advance(here);
            left -= here;
        }
        Ok(())
    }

    /// Lets a client that asked first send its body.
    pub(super) async fn invite(&mut self, head: &Head) -> Result<(), Ended> {
        if head.expects_continue && self.buffer.is_empty() {
            self.wire.push(|out| out.extend_from_slice(answer::CONTINUE)).await;
            self.wire.flush().await?;
        }
        Ok(())
    }

    fn take(&mut self, length: usize) -> Bytes {
        if length <= COPY_BYTES {
            let payload = Bytes::copy_from_slice(&self.buffer[..length]);
            self.buffer.advance(length);
            return payload;
        }
        let payload = self.buffer.split_to(length).freeze();
        // What is left shares the large allocation: move it to one of its own, so that an idle connection stays small.
        self.buffer = BytesMut::from(&self.buffer[..]);
        payload
    }
}

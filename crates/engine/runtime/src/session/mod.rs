//! The port of this room: one environment's conversation, as the invoker holds it.
//!
//! `exchange` says who may say what when, `connection` moves bytes, `stream` those that go on as
//! they come, `http` parses them, `answer` renders them.

mod answer;
mod claim;
mod connection;
mod exchange;
mod http;
mod socket;
mod stream;
#[cfg(test)]
mod tests;

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use self::connection::{Connection, Wire};
use self::exchange::{Exchange, Placed};
pub use self::stream::{Piece, Sink};

/// How long nobody is accepted after the host refused a descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Largest streamed response, bytes. Source: AWS Lambda quotas, "Invocation payload", streamed response: 200 MB.
const STREAMED_BYTES: usize = 200 * 1024 * 1024;

/// One event to be handled, with the headers the Runtime API gives it.
/// Source: AWS Lambda developer guide, "Using the Lambda runtime API".
#[derive(Debug, Clone)]
pub struct Event {
    /// `Lambda-Runtime-Aws-Request-Id`.
    pub request_id: base::RequestId,
    /// The event's bytes, never parsed.
    pub payload: Bytes,
    /// `Lambda-Runtime-Deadline-Ms`: wall clock, milliseconds since the epoch.
    pub deadline: base::Timestamp,
    /// `Lambda-Runtime-Invoked-Function-Arn`: as the caller named it, with qualifier.
    pub function_arn: std::sync::Arc<str>,
    /// `Lambda-Runtime-Trace-Id`.
    pub trace: Option<String>,
    /// `Lambda-Runtime-Client-Context`: JSON, decoded.
    pub client_context: Option<String>,
    /// Where the response goes as it is written. Without one it is held until it is whole.
    pub sink: Option<Sink>,
}

/// What the function made of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It answered.
    Response {
        /// The bytes it posted, at most [`base::limits::SYNC_PAYLOAD_BYTES`]; none where they went to [`Event::sink`].
        payload: Bytes,
    },
    /// It raised: the client posted `/error`, or said so behind a streamed response.
    Error {
        /// `Lambda-Runtime-Function-Error-Type`, for example `Runtime.HandlerNotFound` or `Unhandled`.
        error_type: String,
        /// The error object the client posted: `errorMessage`, `errorType`, `stackTrace`.
        payload: Bytes,
    },
    /// Some of its response went to [`Event::sink`] and the rest will not come, or it is longer than anybody reads. The client
    /// is of no further use.
    BrokenOff(BrokenOff),
}

/// Why a response ended before it was whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BrokenOff {
    /// The client went away.
    #[error("The response was cut off")]
    Truncated,
    /// It is longer than it may be.
    #[error("Response payload size exceeded maximum allowed payload size ({limit} bytes).")]
    TooLarge {
        /// What it may be, bytes.
        limit: usize,
    },
}

/// How INIT ended, as the runtime client says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InitOutcome {
    /// It asked for its first event.
    Ready,
    /// It posted `/runtime/init/error`.
    Failed {
        /// `Lambda-Runtime-Function-Error-Type`.
        error_type: String,
        /// The error object the client posted.
        payload: Bytes,
    },
}

/// What came of a snapshot that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Snapshot {
    /// All of it was handed on.
    Taken,
    /// There can be none.
    None {
        /// Why, in words for the function's owner.
        why: String,
    },
}

impl Snapshot {
    fn none(why: impl Into<String>) -> Self {
        Self::None { why: why.into() }
    }
}

/// Where a snapshot goes.
#[derive(Debug, Clone)]
pub struct SnapshotWanted {
    /// Takes its bytes in order. They are all of it only if [`Session::snapshot`] then says so.
    pub pieces: mpsc::Sender<Bytes>,
    /// The largest that is taken, bytes.
    pub most_bytes: u64,
}

/// The credentials that `GET /runtime/credentials` answers: what the SDKs call a container's, which they ask for anew
/// before they end.
#[derive(Debug)]
pub struct Credentials {
    /// `AWS_CONTAINER_AUTHORIZATION_TOKEN`, which the client must send as its `Authorization`.
    pub token: String,
    /// JSON: `AccessKeyId`, `SecretAccessKey`, `Token`, `Expiration`.
    pub document: Bytes,
}

/// No answer will come: the session was closed, or its INIT had failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the environment ended before it answered")]
pub struct Gone;

/// How much a runtime client may ask of its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections served at once; further ones wait in the listener's backlog.
    pub connections: usize,
    /// Largest response or error object, bytes.
    pub payload_bytes: usize,
    /// Largest response that the client streams to an [`Event::sink`], bytes.
    pub streamed_bytes: usize,
    /// Largest request head, bytes. The official clients put a stack trace of up to 1 MiB into one header.
    pub head_bytes: usize,
    /// How long a client may take over a request head once it has begun one.
    pub head_time: Duration,
    /// Events a client may hold at once. With 1, a client that asks for an event while it holds one gets the same event
    /// again, as on Lambda.
    pub concurrency: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            payload_bytes: base::limits::SYNC_PAYLOAD_BYTES,
            streamed_bytes: STREAMED_BYTES,
            head_bytes: 1_200_000,
            head_time: Duration::from_secs(30),
            concurrency: 1,
        }
    }
}

/// One environment's conversation: the server side of the Runtime API, version 2018-06-01.
///
/// It answers `GET /runtime/invocation/next` (which waits for an event), `POST /runtime/invocation/{id}/response`,
/// `POST /runtime/invocation/{id}/error` and `POST /runtime/init/error`; for SnapStart `GET /runtime/restore/next`, at once,
/// and `POST /runtime/restore/error`; every other path is a 404, those of the Extensions, Logs and Telemetry APIs too, so an
/// extension learns at `register` that it cannot run. Two are between our own bootstraps and us, and only where a snapshot
/// was asked for: `POST /runtime/snapshot` with the snapshot, `POST /runtime/snapshot/none` with the reason why there is none.
///
/// Where a runtime client strays, it is answered as Lambda answers:
/// - an unknown or finished request id: 400 `InvalidRequestID`; a second answer to the same event: 403
///   `InvalidStateTransition`;
/// - a payload over the limit: 413, and the invocation ends with `Function.ResponseSizeTooLarge`;
/// - asking for an event while it holds one: the same event again;
/// - a response mode that is neither `streaming` nor `buffered`: 400, and the invocation ends with
///   `Runtime.InvalidResponseModeHeader`.
///
/// A response of an event with a sink passes as it comes, however it is framed, and what the client says in the trailers
/// `Lambda-Runtime-Function-Error-Type` and `-Body` (base64) fails the invocation. Without a sink a streamed response is held
/// until it is whole, like any other.
///
/// [`Session::invoke`] writes the event to the waiting client's socket itself: no task stands between the two.
#[derive(Debug)]
pub struct Session {
    limits: Limits,
    exchange: Exchange,
    // What INIT came to, once it is known.
    init: watch::Sender<Option<InitOutcome>>,
    // Whether the client has gone on after a restore.
    resumed: watch::Sender<bool>,
    // Whether it is left waiting then.
    holds_restored: AtomicBool,
    // Where a snapshot goes, while one is waited for, and what came of it.
    snapshot_wanted: Mutex<Option<SnapshotWanted>>,
    snapshot: watch::Sender<Option<Snapshot>>,
    credentials: OnceLock<Credentials>,
    // Becomes true once, and ends `serve`.
    closed: watch::Sender<bool>,
    // One permit: who reads a large request head.
    large_heads: Semaphore,
}

impl Session {
    /// A session with the default limits, not yet serving.
    pub fn new() -> Arc<Self> {
        Self::with(Limits::default())
    }

    /// A session with these limits, not yet serving.
    pub fn with(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            exchange: Exchange::new(limits.concurrency),
            limits,
            init: watch::Sender::new(None),
            resumed: watch::Sender::new(false),
            holds_restored: AtomicBool::new(false),
            snapshot_wanted: Mutex::default(),
            snapshot: watch::Sender::new(None),
            credentials: OnceLock::new(),
            closed: watch::Sender::new(false),
            large_heads: Semaphore::new(1),
        })
    }

    /// Serves the Runtime API at `listener`, and over `line` to a client that is connected already, until the session is closed or
    /// the future is dropped; both end every connection.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, line: Option<UnixStream>) {
        let mut closed = self.closed.subscribe();
        let mut connections = JoinSet::new();
        if let Some(line) = line {
            match socket::of_unix(line) {
                Ok(socket) => drop(connections.spawn(Connection::new(Arc::clone(&self), socket).run())),
                // Its end tells the client.
                Err(error) => tracing::warn!(%error, "cannot speak with a runtime client"),
            }
        }
        loop {
            while connections.try_join_next().is_some() {}
            tokio::select! {
                biased;
                () = async { drop(closed.wait_for(|closed| *closed).await) } => return,
                _ = connections.join_next(), if connections.len() >= self.limits.connections => {}
                accepted = listener.accept(), if connections.len() < self.limits.connections => match accepted {
                    Ok((stream, _peer)) => {
                        let connection = Connection::new(Arc::clone(&self), socket::of_tcp(stream));
                        connections.spawn(connection.run());
                    }
                    // Out of descriptors, or the peer has gone already: let others end before trying again.
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a runtime client");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
    }

    /// Completes when INIT has ended, one way or the other; at once if it already has. After [`Session::close`] it never
    /// completes: wait for the end of the process beside it.
    pub async fn initialised(&self) -> InitOutcome {
        let mut init = self.init.subscribe();
        match init.wait_for(Option::is_some).await.map(|outcome| outcome.clone()) {
            Ok(Some(outcome)) => outcome,
            _ => std::future::pending().await,
        }
    }

    /// Completes when the client has asked `/restore/next`: what was restored goes on, and runs what the function has asked
    /// for; at once if it already has.
    pub async fn resumed(&self) {
        // The sender is ours: it cannot be gone.
        let _ = self.resumed.subscribe().wait_for(|resumed| *resumed).await;
    }

    /// Never answers `/restore/next`. To be called before the session is served.
    pub fn hold_restored(&self) {
        self.holds_restored.store(true, Ordering::Relaxed);
    }

    /// Asks for a snapshot after INIT. To be called before the session is served.
    pub fn want_snapshot(&self, wanted: SnapshotWanted) {
        *self.wanted() = Some(wanted);
    }

    /// Completes when it is known what came of the snapshot that was asked for.
    pub async fn snapshot(&self) -> Snapshot {
        let mut snapshot = self.snapshot.subscribe();
        match snapshot.wait_for(Option::is_some).await.map(|outcome| outcome.clone()) {
            Ok(Some(outcome)) => outcome,
            _ => std::future::pending().await,
        }
    }

    /// Has it answer with these credentials. To be called at most once, before the session is served.
    pub fn give_credentials(&self, credentials: Credentials) {
        // A second call would change what the first client has been told.
        let _ = self.credentials.set(credentials);
    }

    fn wanted(&self) -> MutexGuard<'_, Option<SnapshotWanted>> {
        self.snapshot_wanted.lock().expect("no code panics while holding it")
    }

    /// Takes the right to send the snapshot, which is had once.
    fn begin_snapshot(&self) -> Option<SnapshotWanted> {
        self.wanted().take()
    }

    fn snapshot_ended(&self, outcome: Snapshot) {
        self.snapshot.send_if_modified(|known| {
            let first = known.is_none();
            known.get_or_insert(outcome);
            first
        });
    }

    /// Hands `event` to the runtime client and waits for its answer. An event given before the client asked for one waits
    /// for it. Dropping the future takes the event back: a later answer is refused.
    ///
    /// # Errors
    /// [`Gone`] when the session is closed first, or INIT had failed.
    pub async fn invoke(&self, event: Event) -> Result<Outcome, Gone> {
        let (answer, answered) = oneshot::channel();
        let event = Arc::new(event);
        let _taken_back_on_drop = TakenBack { exchange: &self.exchange, id: event.request_id };
        let mut placed = self.exchange.offer(&event, answer)?;
        while let Placed::With(wire) = placed {
            match wire.deliver(&event).await {
                Ok(()) => break,
                // The client that waited has gone: the next one gets the event.
                Err(_) => placed = self.exchange.offer_again(event.request_id)?,
            }
        }
        answered.await.map_err(|_closed| Gone)
    }

    /// Whether a client waits for an event, and has none: it has done all that belongs to the last one.
    pub fn is_waiting(&self) -> bool {
        self.exchange.is_waiting()
    }

    /// Ends the conversation: connections close, every waiting [`Session::invoke`] answers [`Gone`].
    pub fn close(&self) {
        self.exchange.close();
        self.closed.send_replace(true);
    }

    fn init_ended(&self, outcome: InitOutcome) {
        self.init.send_if_modified(|known| {
            let first = known.is_none();
            if first {
                *known = Some(outcome);
            }
            first
        });
    }
}

/// Takes an event back when its invocation ends or is abandoned.
struct TakenBack<'a> {
    exchange: &'a Exchange,
    id: base::RequestId,
}

impl Drop for TakenBack<'_> {
    fn drop(&mut self) {
        self.exchange.forget(&self.id);
    }
}

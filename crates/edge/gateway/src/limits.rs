use std::time::Duration;

/// Largest request head (line and headers), bytes; beyond it 431.
pub(crate) const HEAD_BYTES: usize = 64 * 1024;
/// Most requests of one HTTP/2 connection at a time. Source: RFC 9113, section 6.5.2, which recommends no fewer.
pub(crate) const STREAMS: u32 = 100;
/// Of a body that nobody reads yet, one HTTP/2 stream may send as much, bytes.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// The same for all streams of one connection together, bytes.
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// Streams of one HTTP/2 connection that were reset before anybody looked at them; one more ends it.
pub(crate) const RESETS: usize = 20;
/// Streams of one HTTP/2 connection that we reset for their client's faults; one more ends it. Many begin more than [`STREAMS`] before
/// they know of that limit.
pub(crate) const FAULTS: usize = 1000;
/// Bodies above this wait until one of [`Limits::large_bodies`] places is free, bytes.
pub(crate) const LARGE_BODY_BYTES: usize = 8 * 1024 * 1024;
/// Bodies above this are streamed, where an operation takes them so, bytes.
pub(crate) const STREAMED_BYTES: u64 = 32 * 1024;
/// Most connections of one sandbox at a time.
pub(crate) const SANDBOX_CONNECTIONS: usize = 256;
/// Of bodies above this one sandbox may have [`SANDBOX_BODIES`] in memory at a time, bytes.
pub(crate) const SANDBOX_BODY_BYTES: usize = 64 * 1024;
/// See [`SANDBOX_BODY_BYTES`]; further ones wait.
pub(crate) const SANDBOX_BODIES: usize = 4;
/// Most bodies above [`LARGE_BODY_BYTES`] of all sandboxes in memory at a time. They have places of their own: functions
/// that upload slowly must not keep everybody else from deploying.
pub(crate) const SANDBOXES_LARGE_BODIES: usize = 8;

/// Sizes and times that a listener keeps.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Time a client has to send a request's head; idle connections end after it too.
    pub head: Duration,
    /// Time a client has for a TLS handshake.
    pub handshake: Duration,
    /// Time an answer waits for a reader who takes nothing of it; then the connection ends.
    pub unread: Duration,
    /// Time between two pieces of a body.
    pub body_pause: Duration,
    /// Time a client has to send a whole body.
    pub body: Duration,
    /// Most connections of one listener at a time; further ones wait to be accepted.
    pub connections: usize,
    /// Most bodies above 8 MB in memory at a time.
    pub large_bodies: usize,
    /// Time for which the rest of a refused body is read and thrown away, so that its sender hears the answer.
    pub linger: Duration,
    /// Time running requests have to end when the listener stops.
    pub drain: Duration,
}

impl Limits {
    /// With one time for everything that a client may take its time over: for tests.
    #[must_use]
    pub fn of(patience: Duration) -> Self {
        Self {
            head: patience,
            handshake: patience,
            unread: patience,
            body_pause: patience,
            linger: patience,
            ..Self::default()
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(60),
            handshake: Duration::from_secs(10),
            unread: Duration::from_secs(60),
            body_pause: Duration::from_secs(30),
            body: Duration::from_secs(600),
            connections: 4096,
            large_bodies: 16,
            linger: Duration::from_secs(30),
            drain: Duration::from_secs(10),
        }
    }
}

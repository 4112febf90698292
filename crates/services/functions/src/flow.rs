//! An invocation under way whose response is read as it is written, and how that is told of its end.

use base::Fault;
use bytes::Bytes;
use door::Pieces;
use futures_util::stream;
use invoker::{Done, FailureKind, Finished, Flowing, Piece};

use crate::faults;

/// Looks at an invocation that has ended.
type Look = Box<dyn FnOnce(&Done) + Send>;

/// An invocation under way. Dropped, the invocation goes on by itself, and what it writes is thrown away.
pub(crate) struct Flow {
    // Which version it runs: `$LATEST` or a number.
    pub(crate) version: String,
    // Whether the function has begun its response.
    pub(crate) begun: bool,
    state: State,
}

enum State {
    Running(Flowing, Look),
    Whole(Box<Done>),
    Ended(Box<Done>),
    Over,
}

/// What happens in a flow, in order.
pub(crate) enum News {
    /// The response begins.
    Begun { content_type: Option<String>, streams: bool },
    /// The next bytes of it.
    Bytes(Bytes),
    /// What came of the invocation. The last of the news, which comes again when it is asked for again.
    Ended(Result<Box<Done>, Fault>),
}

impl Flow {
    pub(crate) fn running(version: String, flowing: Flowing, look: Look) -> Self {
        Self { version, begun: false, state: State::Running(flowing, look) }
    }

    /// One that is over, or never ran: all it has written comes at once.
    pub(crate) fn ended(version: String, done: Done) -> Self {
        Self { version, begun: false, state: State::Whole(Box::new(done)) }
    }

    pub(crate) async fn next(&mut self) -> News {
        if let State::Running(flowing, _) = &mut self.state {
            match flowing.next().await {
                Some(Piece::Begun { content_type, streams }) => {
                    self.begun = true;
                    return News::Begun { content_type, streams };
                }
                Some(Piece::Bytes(bytes)) => return News::Bytes(bytes),
                None => {}
            }
        }
        match std::mem::replace(&mut self.state, State::Over) {
            State::Running(flowing, look) => {
                let done = flowing.done().await.map_err(|refusal| faults::refused(&refusal));
                News::Ended(done.map(|done| {
                    look(&done);
                    Box::new(done)
                }))
            }
            State::Whole(done) => match &done.result {
                Finished::Response(bytes) if !bytes.is_empty() => {
                    let bytes = bytes.clone();
                    self.begun = true;
                    self.state = State::Ended(done);
                    News::Bytes(bytes)
                }
                _ => News::Ended(Ok(done)),
            },
            State::Ended(done) => News::Ended(Ok(done)),
            State::Over => News::Ended(Err(Fault::internal("the invocation has ended before"))),
        }
    }

    /// The rest of the response, behind `first`; it breaks off where the function fails.
    pub(crate) fn into_body(self, first: Bytes) -> Pieces {
        let first = Some(first).filter(|first| !first.is_empty());
        let next = |(first, mut flow): (Option<Bytes>, Self)| async move {
            if let Some(first) = first {
                return Some((Ok(first), (None, flow)));
            }
            loop {
                let piece = match flow.next().await {
                    News::Begun { .. } => continue,
                    News::Bytes(bytes) => Ok(bytes),
                    News::Ended(Ok(done)) => match done.result {
                        Finished::Response(_) => return None,
                        Finished::FunctionError { error_type, .. } => Err(Fault::internal(error_type)),
                    },
                    News::Ended(Err(fault)) => Err(fault),
                };
                if piece.is_err() {
                    // An error takes along what has not gone out: a turn lets it.
                    tokio::task::yield_now().await;
                }
                return Some((piece, (None, flow)));
            }
        };
        Box::pin(stream::unfold((first, self), next))
    }
}

/// What a stream's end says of a failure: its code and its details. Before the response had begun the code is that of any
/// other invocation; afterwards it is the error's type, and a response that was cut off is called that.
pub(crate) fn told(begun: bool, kind: FailureKind, error_type: &str, payload: &Bytes) -> (String, String) {
    let code = match kind {
        _ if !begun => "Unhandled",
        FailureKind::Exit | FailureKind::OutOfMemory => "Runtime.TruncatedResponse",
        FailureKind::Raised | FailureKind::BrokenOff | FailureKind::Init | FailureKind::Timeout => error_type,
    };
    (code.to_owned(), String::from_utf8_lossy(payload).into_owned())
}

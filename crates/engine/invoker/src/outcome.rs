//! What this room answers: how an invocation ended, or why it never began.

use std::borrow::Cow;

use bytes::Bytes;

/// An invocation that ran to an end, good or bad.
#[derive(Debug, Clone)]
pub struct Done {
    /// What the caller gets.
    pub result: Finished,
    /// The last [`base::limits::LOG_TAIL_BYTES`] of this invocation's log, START, END and REPORT included, when asked for.
    pub tail: Option<Vec<u8>>,
    /// What it used; already given to the meter.
    pub row: base::Invoked,
    /// [`crate::Target::notes`].
    pub notes: Vec<String>,
}

/// How an invocation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finished {
    /// The function answered with these bytes: none where they went out as they were written.
    Response(Bytes),
    /// The function failed. AWS marks all of these `Unhandled` today.
    FunctionError {
        /// In which way.
        kind: FailureKind,
        /// For example `Runtime.ImportModuleError`, `Sandbox.Timedout`, or the exception's class.
        error_type: String,
        /// The error object, JSON: the function's own, or ours where it could not speak any more.
        payload: Bytes,
    },
}

/// In which way a function failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The handler raised and the runtime reported it. The environment lives on.
    Raised,
    /// It began a response that goes out as it is written, and broke it off or made it too long.
    BrokenOff,
    /// INIT reported an error, or the process ended before it was ready.
    Init,
    /// The function's timeout passed.
    Timeout,
    /// The process ended without an answer.
    Exit,
    /// The kernel killed a process for exceeding the memory limit.
    OutOfMemory,
}

/// Which limit of concurrency was met. The names are those the Invoke API gives as the reason of a throttle.
/// Source: AWS Lambda API reference, `TooManyRequestsException`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ThrottleReason {
    /// The function's reserved concurrency is in use, or is 0.
    ReservedFunctionConcurrentInvocationLimitExceeded,
    /// The account's unreserved concurrency in this region is in use.
    ConcurrentInvocationLimitExceeded,
}

impl ThrottleReason {
    /// The name as the field knows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReservedFunctionConcurrentInvocationLimitExceeded => {
                "ReservedFunctionConcurrentInvocationLimitExceeded"
            }
            Self::ConcurrentInvocationLimitExceeded => "ConcurrentInvocationLimitExceeded",
        }
    }
}

/// Why an invocation never began. Nothing ran and nothing was logged, except where a restore failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A concurrency limit is met; the caller may try again.
    #[error("too many invocations at once: {}", .reason.as_str())]
    Throttled {
        /// Which limit.
        reason: ThrottleReason,
    },
    /// The environment could not be built.
    #[error("{message}")]
    Walls {
        /// What happened, with the exact command that mends it where there is one.
        message: String,
        /// That command, where there is one.
        fix: Option<String>,
    },
    /// The host is full: no environment became free and there was no room for one in time, or too many wait already. The
    /// caller may try again.
    #[error("the host is full: {0}")]
    Full(&'static str),
    /// The host cannot start environments at the moment. The caller may try again.
    #[error("the host is busy: {0}")]
    Busy(Cow<'static, str>),
    /// What a restored environment was to run first failed, or took too long. It has ended.
    #[error("the function's snapshot was restored, and what it runs then {}", if *.timeout { "took too long" } else { "failed" })]
    Restore {
        /// Whether it took too long.
        timeout: bool,
    },
    /// The platform is stopping.
    #[error("the platform is stopping and takes no new invocations")]
    Draining,
}

//! The port of this room: one environment's conversation, as the invoker holds it.

use bytes::Bytes;

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
}

/// What the function made of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It answered.
    Response {
        /// The bytes it posted, at most [`base::limits::SYNC_PAYLOAD_BYTES`].
        payload: Bytes,
    },
    /// It raised: the client posted `/error`.
    Error {
        /// `Lambda-Runtime-Function-Error-Type`, for example `Runtime.HandlerNotFound` or `Unhandled`.
        error_type: String,
        /// The error object the client posted: `errorMessage`, `errorType`, `stackTrace`.
        payload: Bytes,
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

/// One environment's conversation.
#[derive(Debug)]
pub struct Session {}

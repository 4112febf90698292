use std::borrow::Cow;

/// Who is at fault, which query and XML protocols print as `Sender` or `Receiver`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The request was wrong (4xx).
    Client,
    /// The platform could not serve it (5xx).
    Server,
}

/// An error that a client sees: AWS's code, the HTTP status and the words.
///
/// Faults are values, not panics and not strings: the codecs in `wire` print them in each protocol's shape.
/// The modelled ones have constructors generated in `model`; the few that every service shares are below.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Fault {
    /// AWS's error code, for example `ResourceNotFoundException`.
    pub code: Cow<'static, str>,
    /// The HTTP status, 400..=599.
    pub status: u16,
    /// The sentence the client shows.
    pub message: String,
    /// Who is at fault.
    pub blame: Blame,
    /// Further members of the modelled error shape by wire name, for example `Reason` of a throttle.
    pub fields: Vec<(&'static str, String)>,
    /// Further response headers, for example `Retry-After`.
    pub headers: Vec<(&'static str, String)>,
}

impl Fault {
    /// A fault with `code` and `status`; blame follows from the status.
    pub fn new(code: impl Into<Cow<'static, str>>, status: u16, message: impl Into<String>) -> Self {
        let blame = if status >= 500 { Blame::Server } else { Blame::Client };
        Self { code: code.into(), status, message: message.into(), blame, fields: Vec::new(), headers: Vec::new() }
    }

    /// Adds a member of the error shape.
    #[must_use]
    pub fn with(mut self, field: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((field, value.into()));
        self
    }

    /// Adds a response header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// `ValidationException`, 400: a constraint of the model does not hold.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationException", 400, message)
    }

    /// `SerializationException`, 400: the request's bytes do not parse.
    pub fn serialization(message: impl Into<String>) -> Self {
        Self::new("SerializationException", 400, message)
    }

    /// `AccessDeniedException`, 403.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new("AccessDeniedException", 403, message)
    }

    /// `UnknownOperationException`, 404: no such operation in this service.
    pub fn unknown_operation() -> Self {
        Self::new("UnknownOperationException", 404, "")
    }

    /// `NotImplemented`, 501: the operation or a parameter exists on AWS, and Lambent refuses it by name.
    pub fn not_implemented(what: impl std::fmt::Display) -> Self {
        Self::new(
            "NotImplemented",
            501,
            format!("Lambent does not implement {what}; docs/fidelity.md lists what it does"),
        )
    }

    /// `InternalFailure`, 500: an invariant of ours broke, or the store failed. The message must hold no secret.
    pub fn internal(message: impl std::fmt::Display) -> Self {
        Self::new("InternalFailure", 500, message.to_string())
    }
}

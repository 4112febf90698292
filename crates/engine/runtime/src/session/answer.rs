//! Answers into bytes.

use std::fmt::Write as _;

use super::Event;
use super::exchange::{Refused, Unwanted};
use super::http::Malformed;

/// What a client gets that is told no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) status: &'static str,
    pub(super) error_type: &'static str,
    pub(super) message: String,
}

/// 202, as Lambda words it.
pub(super) const ACCEPTED: &[u8] =
    b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{\"status\":\"OK\"}\n";
/// 200 without a body.
pub(super) const GO_ON: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
/// The client may send its body.
pub(super) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

impl Fault {
    fn new(status: &'static str, error_type: &'static str, message: impl Into<String>) -> Self {
        Self { status, error_type, message: message.into() }
    }

    pub(super) fn invalid_request_id() -> Self {
        Self::new("400 Bad Request", "InvalidRequestID", "Invalid request ID")
    }

    pub(super) fn transition(Refused { from, to }: Refused) -> Self {
        let message =
            format!("State transition from {from} to {to} failed for runtime. Error: State transition is not allowed");
        Self::new("403 Forbidden", "InvalidStateTransition", message)
    }

    pub(super) fn unwanted(unwanted: Unwanted) -> Self {
        match unwanted {
            Unwanted::UnknownId => Self::invalid_request_id(),
            Unwanted::Transition(refused) => Self::transition(refused),
        }
    }

    pub(super) fn too_large(limit: usize) -> Self {
        let message = format!("Exceeded maximum allowed payload size ({limit} bytes).");
        Self::new("413 Request Entity Too Large", "RequestEntityTooLarge", message)
    }

    pub(super) fn response_mode(mode: &str) -> Self {
        let message = format!(
            "Lambda-Runtime-Function-Response-Mode is \"{mode}\": a response is \"streaming\" or, without the header, \"buffered\""
        );
        Self::new("400 Bad Request", "InvalidFunctionResponseMode", message)
    }

    pub(super) fn wrong_method(allowed: &str) -> Self {
        Self::new("405 Method Not Allowed", "MethodNotAllowed", format!("This path answers {allowed} only"))
    }

    pub(super) fn not_yours() -> Self {
        let message = "The credentials are for who knows AWS_CONTAINER_AUTHORIZATION_TOKEN";
        Self::new("403 Forbidden", "AccessDenied", message)
    }

    pub(super) fn unknown_path() -> Self {
        let message = "Lambent serves version 2018-06-01 of the Lambda Runtime API at this address; \
                       the Extensions, Logs and Telemetry APIs are not there yet";
        Self::new("404 Not Found", "NotFound", message)
    }

    pub(super) fn malformed(Malformed(why): Malformed) -> Self {
        Self::new("400 Bad Request", "MalformedRequest", format!("This is not an HTTP/1.1 request: {why}"))
    }

    pub(super) fn head_too_large(limit: usize) -> Self {
        let message = format!("The request's head is larger than {limit} bytes");
        Self::new("431 Request Header Fields Too Large", "RequestHeaderFieldsTooLarge", message)
    }

    /// Appends the whole answer.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let body = error_object(self.error_type, &self.message);
        let Self { status, .. } = self;
        let length = body.len();
        out.extend_from_slice(
            format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
                .as_bytes(),
        );
    }
}

/// Appends a whole answer that is JSON.
pub(super) fn json(out: &mut Vec<u8>, body: &[u8]) {
    let length = body.len();
    out.extend_from_slice(
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n").as_bytes(),
    );
    out.extend_from_slice(body);
}

/// The error object Lambda's answers and failed invocations carry.
pub(super) fn error_object(error_type: &str, message: &str) -> String {
    serde_json::json!({ "errorMessage": message, "errorType": error_type }).to_string()
}

/// Appends the head of the answer that delivers `event`; the payload follows it.
pub(super) fn event_head(out: &mut Vec<u8>, event: &Event) {
    out.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: ");
    out.extend_from_slice(event.request_id.as_str().as_bytes());
    let mut numbers = Decimal(out);
    // Writing into memory cannot fail.
    let _ = write!(numbers, "\r\nLambda-Runtime-Deadline-Ms: {}", event.deadline.0);
    let _ = write!(numbers, "\r\nContent-Length: {}", event.payload.len());
    field(out, b"\r\nLambda-Runtime-Invoked-Function-Arn: ", &event.function_arn);
    if let Some(trace) = &event.trace {
        field(out, b"\r\nLambda-Runtime-Trace-Id: ", trace);
    }
    if let Some(context) = &event.client_context {
        field(out, b"\r\nLambda-Runtime-Client-Context: ", context);
    }
    out.extend_from_slice(b"\r\n\r\n");
}

/// Formats numbers straight into bytes.
struct Decimal<'a>(&'a mut Vec<u8>);

impl std::fmt::Write for Decimal<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Appends a header. Line ends and other control characters become spaces, which a JSON text takes as well: a caller's
/// value must not become another header.
fn field(out: &mut Vec<u8>, name: &[u8], value: &str) {
    out.extend_from_slice(name);
    out.extend(value.bytes().map(|byte| if byte.is_ascii_control() { b' ' } else { byte }));
}

//! The entrance to the codecs: bytes to typed values and back, by protocol.

use base::Fault;

use crate::{Operation, Protocol, Request, Response, Service, Structure};

/// Reads a client's request into the operation's input.
pub fn decode(protocol: Protocol, operation: &'static Operation, request: Request) -> Result<Box<dyn Structure>, Fault> {
    let _ = (operation, request);
    Err(Fault::not_implemented(format_args!("{protocol:?}")))
}

/// Prints an operation's output.
pub fn encode(protocol: Protocol, operation: &'static Operation, output: &dyn Structure, request_id: &str) -> Response {
    let _ = (protocol, operation, output, request_id);
    Response { status: 200, headers: http::HeaderMap::new(), body: bytes::Bytes::new() }
}

/// Prints a fault. `service` is none when the request did not say which it was for.
pub fn encode_fault(protocol: Protocol, service: Option<&'static Service>, fault: &Fault, request_id: &str) -> Response {
    let _ = (protocol, service, request_id);
    Response { status: fault.status, headers: http::HeaderMap::new(), body: bytes::Bytes::new() }
}

/// Checks the model's constraints (required, length, range, pattern, enumeration) with AWS's messages.
pub fn validate(operation: &'static Operation, input: &dyn Structure) -> Result<(), Fault> {
    let _ = (operation, input);
    Ok(())
}

/// The text of a member by AWS's name, if it is set and text.
pub fn text_member(value: &dyn Structure, name: &str) -> Option<String> {
    let _ = (value, name);
    None
}

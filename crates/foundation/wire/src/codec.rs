//! The entrance to the codecs: bytes to typed values and back, by protocol.

use base::Fault;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{ErrorShape, Operation, Protocol, Request, Response, Service, Shape, Sink, Structure, json, query, rest};

/// Reads a client's request into the operation's input. Constraints are not checked: see [`crate::validate`].
///
/// Faults with SerializationException, 400, when the bytes do not fit.
pub fn decode(
    protocol: Protocol,
    operation: &'static Operation,
    request: Request,
) -> Result<Box<dyn Structure>, Fault> {
    match protocol {
        Protocol::Json10 | Protocol::Json11 => {
            json::decode(operation, &request).map_err(|malformed| Fault::serialization(malformed.0))
        }
        Protocol::RestJson => rest::decode(operation, &request),
        Protocol::Query => query::decode(operation, &request),
        Protocol::Ec2Query | Protocol::RestXml | Protocol::Cbor => {
            Err(Fault::not_implemented(format_args!("the protocol {protocol:?}")))
        }
    }
}

/// Prints an operation's output.
pub fn encode(protocol: Protocol, operation: &'static Operation, output: &dyn Structure, request_id: &str) -> Response {
    match protocol {
        Protocol::Json10 | Protocol::Json11 => json::encode(protocol, output, request_id),
        Protocol::RestJson => rest::encode(operation, output, request_id),
        Protocol::Query => query::encode(operation, output, request_id),
        Protocol::Ec2Query | Protocol::RestXml | Protocol::Cbor => {
            let fault = Fault::not_implemented(format_args!("the protocol {protocol:?}"));
            encode_fault(protocol, Some(operation.service), &fault, request_id)
        }
    }
}

/// Prints a fault. `service` is none when the request did not say which it was for.
pub fn encode_fault(
    protocol: Protocol,
    service: Option<&'static Service>,
    fault: &Fault,
    request_id: &str,
) -> Response {
    let shape = service.and_then(|service| modelled(service, &fault.code));
    match protocol {
        Protocol::Json10 | Protocol::Json11 | Protocol::RestJson => {
            json::encode_fault(protocol, shape, fault, request_id)
        }
        Protocol::Query | Protocol::Ec2Query | Protocol::RestXml | Protocol::Cbor => {
            query::encode_fault(service, shape, fault, request_id)
        }
    }
}

/// The service's error of that code.
fn modelled(service: &'static Service, code: &str) -> Option<&'static ErrorShape> {
    let errors = service.operations.iter().flat_map(|operation| operation.errors);
    errors.copied().find(|error| error.code == code || error.name == code)
}

/// The text of a member by AWS's name, if it is set and is text or a whole number: what resource ARNs are made of.
pub fn text_member(value: &dyn Structure, name: &str) -> Option<String> {
    let (index, member) = value.shape().members().iter().enumerate().find(|(_, member)| member.name == name)?;
    let mut found = Found(None);
    value.get(index)?.emit(member.shape, &mut found);
    found.0
}

/// Takes one text or number.
struct Found(Option<String>);

impl Sink for Found {
    fn text(&mut self, _: &'static Shape, value: &str) {
        self.0 = Some(value.to_owned());
    }
    fn integer(&mut self, _: &'static Shape, value: i64) {
        self.0 = Some(value.to_string());
    }
}

/// A response with what every one carries.
pub(crate) fn answer(status: u16, content_type: &'static str, body: Bytes, request_id: &str) -> Response {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    header(&mut headers, "x-amzn-requestid", request_id);
    Response { status, headers, body }
}

/// Sets a header. Characters that a header cannot carry are escaped as in a URL, so that no value is lost and none can
/// end the line.
pub(crate) fn header(headers: &mut HeaderMap, name: &str, value: &str) {
    let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { return };
    let value = HeaderValue::from_str(value).unwrap_or_else(|_| {
        let escaped = percent_encoding::utf8_percent_encode(value, percent_encoding::CONTROLS).to_string();
        HeaderValue::from_str(&escaped).unwrap_or_else(|_| HeaderValue::from_static(""))
    });
    headers.insert(name, value);
}

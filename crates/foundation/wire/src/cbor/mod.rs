//! Smithy RPC v2 CBOR: the whole input and output is one CBOR map. Source: Smithy, "Smithy RPC v2 CBOR protocol".

mod read;
mod write;

use base::Fault;
use bytes::Bytes;

use crate::codec::{answer, header, query_error, type_name};
use crate::value::Malformed;
use crate::{ErrorShape, Operation, Response, Service, Sink, Source, Structure};

pub(crate) use read::Reader;
pub(crate) use write::Writer;

/// The content type of its bodies.
pub(crate) const CONTENT_TYPE: &str = "application/cbor";
/// The header by which requests and answers say which protocol they are in, and its value.
pub(crate) const PROTOCOL: (&str, &str) = ("smithy-protocol", "rpc-v2-cbor");

/// Reads an input. An empty body is an empty map.
pub(crate) fn decode(operation: &'static Operation, body: &Bytes) -> Result<Box<dyn Structure>, Malformed> {
    let mut input = (operation.input)();
    if !body.is_empty() {
        let mut reader = Reader::new(body);
        reader.structure(&mut *input)?;
        reader.end()?;
    }
    Ok(input)
}

/// Prints an output. An operation without output answers without a body.
pub(crate) fn encode(output: &dyn Structure, request_id: &str) -> Response {
    let mut writer = Writer::default();
    if !std::ptr::eq(output.shape(), crate::Unit::SHAPE) {
        writer.structure(output);
    }
    let mut response = answer(200, CONTENT_TYPE, writer.into_bytes(), request_id);
    header(&mut response.headers, PROTOCOL.0, PROTOCOL.1);
    response
}

/// Prints a fault: a map with the error's type, its message and its members.
pub(crate) fn encode_fault(
    service: Option<&'static Service>,
    shape: Option<&'static ErrorShape>,
    fault: &Fault,
    request_id: &str,
) -> Response {
    let members = || shape.iter().flat_map(|error| error.shape.members());
    let message = members().find(|member| member.name.eq_ignore_ascii_case("message")).map_or("message", |it| it.wire);
    let mut writer = Writer::default();
    let says = !fault.message.is_empty();
    writer.open(1 + u64::from(says) + fault.fields.len() as u64);
    writer.string("__type");
    writer.string(&type_name(service, shape, fault));
    if says {
        writer.string(message);
        writer.string(&fault.message);
    }
    for (name, text) in &fault.fields {
        let member = members().find(|member| member.wire == *name || member.name == *name);
        writer.string(member.map_or(name, |member| member.wire));
        match member {
            Some(member) => writer.field(member.shape, text),
            None => writer.string(text),
        }
    }
    let mut response = answer(fault.status, CONTENT_TYPE, writer.into_bytes(), request_id);
    header(&mut response.headers, PROTOCOL.0, PROTOCOL.1);
    query_error(&mut response, service, shape, fault);
    for (name, text) in &fault.headers {
        header(&mut response.headers, name, text);
    }
    response
}

//! awsJson 1.0 and 1.1: the whole input and output is one JSON object. Source: Smithy, "AWS JSON 1.0/1.1 protocol".

mod lex;
mod read;
mod write;

use base::{Blame, Fault};
use bytes::Bytes;

pub(crate) use lex::Reader;
pub(crate) use write::Writer;

use crate::codec::{answer, header};
use crate::value::Malformed;
use crate::{ErrorShape, Location, Operation, Protocol, Request, Response, Structure};

/// The content type of a JSON protocol's bodies.
pub(crate) const fn content_type(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Json10 => "application/x-amz-json-1.0",
        Protocol::Json11 => "application/x-amz-json-1.1",
        _ => "application/json",
    }
}

/// Reads an input. An empty body is an empty object.
pub(crate) fn decode(operation: &'static Operation, request: &Request) -> Result<Box<dyn Structure>, Malformed> {
    let mut input = (operation.input)();
    let mut reader = Reader::new(&request.body)?;
    if !request.body.is_empty() {
        crate::Source::structure(&mut reader, &mut *input)?;
        reader.end()?;
    }
    Ok(input)
}

/// Prints an output. An operation without output answers without a body.
pub(crate) fn encode(protocol: Protocol, output: &dyn Structure, request_id: &str) -> Response {
    let mut writer = Writer::default();
    if !std::ptr::eq(output.shape(), crate::Unit::SHAPE) {
        crate::Sink::structure(&mut writer, output);
    }
    answer(200, content_type(protocol), writer.out.into(), request_id)
}

/// Prints a fault of a JSON protocol, REST or not: the members of the modelled error, if it is modelled.
pub(crate) fn encode_fault(
    protocol: Protocol,
    shape: Option<&'static ErrorShape>,
    fault: &Fault,
    request_id: &str,
) -> Response {
    let rest = protocol == Protocol::RestJson;
    let mut response = answer(fault.status, content_type(protocol), Bytes::new(), request_id);
    let mut writer = Writer::default();
    let mut first = true;
    writer.out.push(b'{');
    if rest {
        header(&mut response.headers, "x-amzn-errortype", &fault.code);
    } else {
        writer.key(&mut first, "__type");
        writer.string(&fault.code);
    }
    let mut named = false;
    for member in shape.iter().flat_map(|error| error.shape.members()) {
        let text = match member.wire {
            "message" | "Message" => {
                named = true;
                Some(fault.message.as_str())
            }
            wire => fault
                .fields
                .iter()
                .find(|(name, _)| *name == wire || *name == member.name)
                .map(|(_, text)| text.as_str()),
        };
        let text = match (text, member.wire) {
            (None, "Type") if rest => Some(if fault.blame == Blame::Server { "Service" } else { "User" }),
            (text, _) => text,
        };
        let Some(text) = text else { continue };
        if rest && member.location == Location::Header {
            header(&mut response.headers, member.wire, text);
            continue;
        }
        writer.key(&mut first, member.wire);
        member_text(&mut writer, member.shape, text);
    }
    if !named {
        writer.key(&mut first, "message");
        writer.string(&fault.message);
    }
    let modelled = |name: &str| {
        shape.is_some_and(|error| error.shape.members().iter().any(|member| member.wire == name || member.name == name))
    };
    for (name, text) in fault.fields.iter().filter(|(name, _)| !modelled(name)) {
        writer.key(&mut first, name);
        writer.string(text);
    }
    writer.out.push(b'}');
    for (name, text) in &fault.headers {
        header(&mut response.headers, name, text);
    }
    response.body = writer.out.into();
    response
}

/// A fault's field, whose value is kept as text, in the kind its shape has.
fn member_text(writer: &mut Writer, shape: &'static crate::Shape, text: &str) {
    use crate::Kind;
    let verbatim = match shape.kind {
        Kind::Integer | Kind::Long => text.parse::<i64>().is_ok(),
        Kind::Float | Kind::Double => text.parse::<f64>().is_ok_and(f64::is_finite),
        Kind::Boolean => matches!(text, "true" | "false"),
        Kind::List(_) | Kind::Map(..) | Kind::Structure(_) | Kind::Union(_) | Kind::Document => {
            serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
        }
        Kind::Text | Kind::Blob | Kind::Timestamp => false,
    };
    if verbatim {
        writer.out.extend_from_slice(text.as_bytes());
    } else {
        writer.string(text);
    }
}

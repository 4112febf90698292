//! awsJson 1.0 and 1.1: the whole input and output is one JSON object. Source: Smithy, "AWS JSON 1.0/1.1 protocol".

mod lex;
mod read;
pub(crate) mod words;
mod write;

use base::{Blame, Fault};
use bytes::Bytes;

pub(crate) use lex::Reader;
pub(crate) use write::Writer;

use crate::codec::{answer, header, query_error, type_name};
use crate::value::Malformed;
use crate::{ErrorShape, Location, Member, Operation, Protocol, Request, Response, Service, Structure};

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
    let mut reader = Reader::new(&request.body, operation)?;
    if !request.body.is_empty() {
        crate::Source::structure(&mut reader, &mut *input)?;
        reader.end()?;
    }
    Ok(input)
}

/// Prints an output. An operation without output answers without a body.
pub(crate) fn encode(protocol: Protocol, output: &dyn Structure, request_id: &str) -> Response {
    // The body is the stream, and what else the output has is its first message.
    if output.shape().members().iter().any(|member| member.shape.event_stream) {
        return answer(200, crate::eventstream::CONTENT_TYPE, Bytes::new(), request_id);
    }
    let mut writer = Writer::default();
    if !std::ptr::eq(output.shape(), crate::Unit::SHAPE) {
        crate::Sink::structure(&mut writer, output);
    }
    answer(200, content_type(protocol), writer.out.into(), request_id)
}

/// A structure as JSON by the model's names, for whoever keeps it; [`recall`] reads it.
pub fn keep(value: &dyn Structure) -> String {
    let mut writer = Writer::default();
    crate::Sink::structure(&mut writer, value);
    String::from_utf8(writer.out).unwrap_or_default()
}

/// What [`keep`] printed. Faults when it is none of this type.
pub fn recall<T: Structure + Default>(text: &str) -> Result<T, Malformed> {
    let mut value = T::default();
    let mut reader = Reader::kept(text);
    crate::Source::structure(&mut reader, &mut value)?;
    reader.end()?;
    Ok(value)
}

/// Prints a fault of a JSON protocol, REST or not: the members of the modelled error, if it is modelled.
pub(crate) fn encode_fault(
    protocol: Protocol,
    service: Option<&'static Service>,
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
        header(&mut response.headers, "x-amzn-errortype", shape.map_or(&*fault.code, |shape| shape.name));
    } else {
        writer.key(&mut first, "__type");
        let name = match protocol {
            Protocol::Json10 => type_name(service, shape, fault),
            _ => shape.map_or(&*fault.code, |shape| shape.name).to_owned(),
        };
        writer.string(&name);
    }
    let members = shape.map_or(&[][..], |error| error.shape.members());
    let mut named = false;
    for member in members {
        let text = match member.wire {
            "message" | "Message" => {
                named = true;
                Some(fault.message.as_str()).filter(|message| !message.is_empty())
            }
            "Type" if rest => Some(field(fault, member).unwrap_or(who(fault))),
            _ => field(fault, member),
        };
        let Some(text) = text else { continue };
        if rest && member.location == Location::Header {
            header(&mut response.headers, member.wire, text);
            continue;
        }
        writer.key(&mut first, member.wire);
        member_text(&mut writer, member.shape, text);
    }
    // What the framework itself refuses has its own spelling; there is no member when there is nothing to say.
    let framework = matches!(&*fault.code, "SerializationException" | "UnknownOperationException");
    if !named && !fault.message.is_empty() {
        writer.key(&mut first, if framework { "Message" } else { "message" });
        writer.string(&fault.message);
    }
    let modelled = |name: &str| members.iter().any(|member| member.wire == name || member.name == name);
    for (name, text) in fault.fields.iter().filter(|(name, _)| !modelled(name)) {
        writer.key(&mut first, name);
        writer.string(text);
    }
    writer.out.push(b'}');
    if !rest {
        query_error(&mut response, service, shape, fault);
    }
    for (name, text) in &fault.headers {
        header(&mut response.headers, name, text);
    }
    response.body = writer.out.into();
    response
}

/// What the fault says of a member of its shape.
fn field<'f>(fault: &'f Fault, member: &Member) -> Option<&'f str> {
    let known = fault.fields.iter().find(|(name, _)| *name == member.wire || *name == member.name);
    known.map(|(_, text)| text.as_str())
}

/// Lambda's word for who is at fault.
fn who(fault: &Fault) -> &'static str {
    if fault.blame == Blame::Server { "Service" } else { "User" }
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

//! Typed events to messages.

use base::{Fault, Timestamp};
use bytes::Bytes;

use super::{EVENT_TYPE, EXCEPTION_TYPE, HeaderValue, MEDIA_TYPE, MESSAGE_TYPE, Message};
use crate::codec::modelled;
use crate::value::{Sink, Structure};
use crate::{EventPart, Kind, Protocol, Service, Shape, cbor, json, xml};

/// The message of one event: `union` is the stream's union with one member set. None when none is.
pub fn event(protocol: Protocol, union: &dyn Structure) -> Option<Message> {
    let members = union.shape().members();
    let (member, value) = members.iter().enumerate().find_map(|(index, member)| Some((member, union.get(index)?)))?;
    let mut message = Message::default().with(MESSAGE_TYPE, "event").with(EVENT_TYPE, member.wire);
    let mut taken = Taken { protocol, name: member.wire, message: &mut message };
    value.emit(member.shape, &mut taken);
    Some(message)
}

/// The first message of an RPC protocol's stream: the output without its stream.
pub fn initial_response(protocol: Protocol, output: &dyn Structure) -> Message {
    let mut message = Message::default().with(MESSAGE_TYPE, "event").with(EVENT_TYPE, "initial-response");
    body(protocol, "initial-response", output, &mut message);
    message
}

/// The message that ends a stream with a fault: an exception where the service models it, else an error.
pub fn exception(protocol: Protocol, service: &'static Service, fault: &Fault) -> Message {
    let Some(shape) = modelled(service, &fault.code) else {
        return Message::default()
            .with(MESSAGE_TYPE, "error")
            .with(":error-code", &fault.code)
            .with(":error-message", &fault.message);
    };
    let mut message = Message::default().with(MESSAGE_TYPE, "exception").with(EXCEPTION_TYPE, shape.name);
    let printed = crate::encode_fault(protocol, Some(service), fault, "");
    message = message.with(MEDIA_TYPE, media(protocol));
    message.payload = printed.body;
    message
}

/// The media type of a structure in a payload.
const fn media(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Json10 | Protocol::Json11 | Protocol::RestJson => "application/json",
        Protocol::Cbor => cbor::CONTENT_TYPE,
        Protocol::RestXml | Protocol::Query | Protocol::Ec2Query => "text/xml",
    }
}

/// Writes what of a structure travels in a payload.
fn body(protocol: Protocol, name: &'static str, value: &dyn Structure, message: &mut Message) {
    message.headers.push((MEDIA_TYPE.to_owned(), HeaderValue::Text(media(protocol).to_owned())));
    message.payload = match protocol {
        Protocol::Json10 | Protocol::Json11 | Protocol::RestJson => {
            let mut writer = json::Writer::default();
            writer.body_members(value);
            writer.out.into()
        }
        Protocol::Cbor => {
            let mut writer = cbor::Writer::default();
            writer.structure(value);
            writer.into_bytes()
        }
        Protocol::RestXml | Protocol::Query | Protocol::Ec2Query => {
            let mut writer = xml::Writer::default();
            writer.root(name, "", value);
            writer.out.into()
        }
    };
}

/// Takes an event apart: headers, and one payload.
struct Taken<'m> {
    protocol: Protocol,
    name: &'static str,
    message: &'m mut Message,
}

impl Sink for Taken<'_> {
    fn structure(&mut self, value: &dyn Structure) {
        let members = value.shape().members();
        let mut payload = None;
        for (index, member) in members.iter().enumerate() {
            let Some(field) = value.get(index) else { continue };
            match member.event {
                Some(EventPart::Header) => {
                    field.emit(member.shape, &mut Header { name: member.wire, message: self.message });
                }
                Some(EventPart::Payload) => payload = Some((member.shape, field)),
                None => {}
            }
        }
        let explicit = members.iter().any(|member| member.event == Some(EventPart::Payload));
        match payload {
            Some((shape, field)) => {
                field.emit(shape, &mut Payload { protocol: self.protocol, name: self.name, message: self.message });
            }
            None if !explicit && members.iter().any(|member| member.event.is_none()) => {
                body(self.protocol, self.name, value, self.message);
            }
            None => {}
        }
    }
}

/// Takes one payload.
struct Payload<'m> {
    protocol: Protocol,
    name: &'static str,
    message: &'m mut Message,
}

impl Payload<'_> {
    fn raw(&mut self, media: &str, bytes: Bytes) {
        self.message.headers.push((MEDIA_TYPE.to_owned(), HeaderValue::Text(media.to_owned())));
        self.message.payload = bytes;
    }
}

impl Sink for Payload<'_> {
    fn blob(&mut self, _: &'static Shape, value: &Bytes) {
        self.raw("application/octet-stream", value.clone());
    }
    fn text(&mut self, _: &'static Shape, value: &str) {
        self.raw("text/plain", Bytes::copy_from_slice(value.as_bytes()));
    }
    fn structure(&mut self, value: &dyn Structure) {
        body(self.protocol, self.name, value, self.message);
    }
}

/// Takes one header.
struct Header<'m> {
    name: &'static str,
    message: &'m mut Message,
}

impl Header<'_> {
    fn put(&mut self, value: HeaderValue) {
        self.message.headers.push((self.name.to_owned(), value));
    }
}

impl Sink for Header<'_> {
    fn boolean(&mut self, _: &'static Shape, value: bool) {
        self.put(HeaderValue::Bool(value));
    }
    fn integer(&mut self, shape: &'static Shape, value: i64) {
        match (shape.kind, i32::try_from(value)) {
            (Kind::Integer, Ok(value)) => self.put(HeaderValue::Integer(value)),
            _ => self.put(HeaderValue::Long(value)),
        }
    }
    fn text(&mut self, _: &'static Shape, value: &str) {
        self.put(HeaderValue::Text(value.to_owned()));
    }
    fn blob(&mut self, _: &'static Shape, value: &Bytes) {
        self.put(HeaderValue::Bytes(value.clone()));
    }
    fn timestamp(&mut self, _: &'static Shape, value: Timestamp) {
        self.put(HeaderValue::Timestamp(value));
    }
}

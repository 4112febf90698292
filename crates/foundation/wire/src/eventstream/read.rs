//! Messages to typed events.

use base::Timestamp;
use bytes::Bytes;

use super::{EVENT_TYPE, EXCEPTION_TYPE, HeaderValue, Message};
use crate::json::words;
use crate::value::{Malformed, Source, Structure};
use crate::{EventPart, Kind, Operation, Protocol, Shape, TimestampFormat, cbor, json, scalar, xml};

/// Reads a message into the stream's union: the member of its event or exception type. A type nobody knows sets nothing,
/// as clients must bear.
pub fn read(
    protocol: Protocol,
    operation: &'static Operation,
    message: &Message,
    union: &mut dyn Structure,
) -> Result<(), Malformed> {
    let name = message.text(EVENT_TYPE).or_else(|| message.text(EXCEPTION_TYPE)).unwrap_or_default();
    let Some(index) = union.shape().members().iter().position(|member| member.wire == name) else { return Ok(()) };
    union.set(index, &mut Event { protocol, operation, message })
}

struct Event<'m> {
    protocol: Protocol,
    operation: &'static Operation,
    message: &'m Message,
}

impl Source for Event<'_> {
    fn structure(&mut self, into: &mut dyn Structure) -> Result<(), Malformed> {
        let members = into.shape().members();
        let explicit = members.iter().position(|member| member.event == Some(EventPart::Payload));
        for (index, member) in members.iter().enumerate() {
            match member.event {
                Some(EventPart::Header) => {
                    if let Some(value) = self.message.header(member.wire) {
                        into.set(index, &mut Header(value))?;
                    }
                }
                Some(EventPart::Payload) => self.payload(index, member.shape, into)?,
                None => {}
            }
        }
        if explicit.is_none() && !self.message.payload.is_empty() {
            self.structured(&mut |source| source.structure(into))?;
        }
        Ok(())
    }
}

impl Event<'_> {
    fn payload(&self, index: usize, shape: &'static Shape, into: &mut dyn Structure) -> Result<(), Malformed> {
        let payload = &self.message.payload;
        match shape.kind {
            Kind::Blob => into.set(index, &mut Raw(payload)),
            Kind::Text => {
                let text = std::str::from_utf8(payload).map_err(|_| Malformed("An event is not valid UTF-8".into()))?;
                into.set(index, &mut scalar::Texts::one(text, TimestampFormat::Unix))
            }
            _ if payload.is_empty() => Ok(()),
            _ => self.structured(&mut |source| into.set(index, source)),
        }
    }

    /// The payload as a structure in the stream's protocol.
    fn structured(&self, take: &mut dyn FnMut(&mut dyn Source) -> Result<(), Malformed>) -> Result<(), Malformed> {
        match self.protocol {
            Protocol::Json10 | Protocol::Json11 | Protocol::RestJson => {
                let mut reader = json::Reader::new(&self.message.payload, self.operation)?;
                take(&mut reader)?;
                reader.end()
            }
            Protocol::Cbor => {
                let mut reader = cbor::Reader::new(&self.message.payload);
                take(&mut reader)?;
                reader.end()
            }
            Protocol::RestXml | Protocol::Query | Protocol::Ec2Query => {
                let tree = xml::Tree::parse(&self.message.payload)?;
                take(&mut xml::At::root(&tree))
            }
        }
    }
}

/// Bytes as they are: shared, not copied.
struct Raw<'m>(&'m Bytes);

impl Source for Raw<'_> {
    fn blob(&mut self, _: &'static Shape) -> Result<Bytes, Malformed> {
        Ok(self.0.clone())
    }
}

/// At a header's value.
struct Header<'m>(&'m HeaderValue);

impl Header<'_> {
    fn mismatch<T>(&self, shape: &'static Shape) -> Result<T, Malformed> {
        Err(Malformed(words::converted(false, "HEADER_VALUE", words::java(shape))))
    }
}

impl Source for Header<'_> {
    fn boolean(&mut self, shape: &'static Shape) -> Result<bool, Malformed> {
        match self.0 {
            HeaderValue::Bool(value) => Ok(*value),
            _ => self.mismatch(shape),
        }
    }
    fn integer(&mut self, shape: &'static Shape) -> Result<i64, Malformed> {
        match self.0 {
            HeaderValue::Byte(value) => Ok(i64::from(*value)),
            HeaderValue::Short(value) => Ok(i64::from(*value)),
            HeaderValue::Integer(value) => Ok(i64::from(*value)),
            HeaderValue::Long(value) => Ok(*value),
            _ => self.mismatch(shape),
        }
    }
    fn text(&mut self, shape: &'static Shape) -> Result<String, Malformed> {
        match self.0 {
            HeaderValue::Text(text) => Ok(text.clone()),
            _ => self.mismatch(shape),
        }
    }
    fn blob(&mut self, shape: &'static Shape) -> Result<Bytes, Malformed> {
        match self.0 {
            HeaderValue::Bytes(bytes) => Ok(bytes.clone()),
            _ => self.mismatch(shape),
        }
    }
    fn timestamp(&mut self, shape: &'static Shape) -> Result<Timestamp, Malformed> {
        match self.0 {
            HeaderValue::Timestamp(moment) => Ok(*moment),
            _ => self.mismatch(shape),
        }
    }
}

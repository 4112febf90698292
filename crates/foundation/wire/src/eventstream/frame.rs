//! Messages as bytes: prelude, headers, payload, and a checksum over each part.

use base::Timestamp;
use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::checksum;
use crate::value::Malformed;

/// Total length, length of the headers, checksum of both.
const PRELUDE: usize = 12;
/// What a message has besides headers and payload, bytes.
const AROUND: usize = PRELUDE + 4;
/// The longest headers, bytes.
const HEADERS: usize = 128 * 1024;
/// The longest payload, bytes.
const PAYLOAD: usize = 24 * 1024 * 1024;
/// The longest value of a text or bytes header.
const VALUE: usize = 32_767;

/// A header's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderValue {
    /// A truth value
    Bool(bool),
    /// 8-bit signed integer
    Byte(i8),
    /// 16-bit signed integer
    Short(i16),
    /// 32-bit signed integer
    Integer(i32),
    /// 64-bit signed integer
    Long(i64),
    /// Bytes, at most 32,767
    Bytes(Bytes),
    /// UTF-8 text, at most 32,767 bytes
    Text(String),
    /// A moment, to the millisecond
    Timestamp(Timestamp),
    /// A UUID
    Uuid([u8; 16]),
}

/// One message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// The headers in order; names of 1 to 255 bytes, none twice.
    pub headers: Vec<(String, HeaderValue)>,
    /// The payload, at most 24 MiB.
    pub payload: Bytes,
}

fn refuse(words: &str) -> Malformed {
    Malformed(format!("The event stream is broken: {words}"))
}

impl Message {
    /// Adds a text header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), HeaderValue::Text(value.to_owned())));
        self
    }

    /// A header by its name.
    pub fn header(&self, name: &str) -> Option<&HeaderValue> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// A text header by its name.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.header(name) {
            Some(HeaderValue::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The message as bytes. Faults when a name, value or part is longer than the format allows.
    pub fn encode(&self) -> Result<Bytes, Malformed> {
        let mut headers = BytesMut::new();
        for (name, value) in &self.headers {
            let length = u8::try_from(name.len()).ok().filter(|length| *length > 0);
            headers.put_u8(length.ok_or_else(|| refuse("a header's name must have 1 to 255 bytes"))?);
            headers.put_slice(name.as_bytes());
            put(&mut headers, value)?;
        }
        if headers.len() > HEADERS || self.payload.len() > PAYLOAD {
            return Err(refuse("a message's headers or payload are too long"));
        }
        let total = AROUND + headers.len() + self.payload.len();
        let mut out = BytesMut::with_capacity(total);
        // Both lengths are far below 2^32: they were just checked.
        out.put_u32(total as u32);
        out.put_u32(headers.len() as u32);
        out.put_u32(checksum::crc32(&out));
        out.put_slice(&headers);
        out.put_slice(&self.payload);
        out.put_u32(checksum::crc32(&out));
        Ok(out.freeze())
    }
}

fn put(out: &mut BytesMut, value: &HeaderValue) -> Result<(), Malformed> {
    let mut long = |kind: u8, bytes: &[u8]| {
        let length = u16::try_from(bytes.len()).ok().filter(|length| usize::from(*length) <= VALUE);
        out.put_u8(kind);
        out.put_u16(length.ok_or_else(|| refuse("a header's value is too long"))?);
        out.put_slice(bytes);
        Ok(())
    };
    match value {
        HeaderValue::Bytes(bytes) => return long(6, bytes),
        HeaderValue::Text(text) => return long(7, text.as_bytes()),
        HeaderValue::Bool(value) => out.put_u8(u8::from(!*value)),
        HeaderValue::Byte(value) => {
            out.put_u8(2);
            out.put_i8(*value);
        }
        HeaderValue::Short(value) => {
            out.put_u8(3);
            out.put_i16(*value);
        }
        HeaderValue::Integer(value) => {
            out.put_u8(4);
            out.put_i32(*value);
        }
        HeaderValue::Long(value) => {
            out.put_u8(5);
            out.put_i64(*value);
        }
        HeaderValue::Timestamp(moment) => {
            out.put_u8(8);
            out.put_i64(moment.0);
        }
        HeaderValue::Uuid(bytes) => {
            out.put_u8(9);
            out.put_slice(bytes);
        }
    }
    Ok(())
}

/// Takes messages out of a stream that comes in pieces of any size. It holds one message at most.
#[derive(Debug, Default)]
pub struct Decoder {
    held: BytesMut,
    // Of the message being read, once its prelude has come and holds.
    lengths: Option<(usize, usize)>,
}

impl Decoder {
    /// A decoder at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next piece and hands on the messages it completes.
    pub fn push(&mut self, mut piece: Bytes, out: &mut impl FnMut(Message)) -> Result<(), Malformed> {
        while !piece.is_empty() {
            let wanted = self.lengths.map_or(PRELUDE, |(total, _)| total);
            let take = piece.len().min(wanted - self.held.len());
            self.held.extend_from_slice(&piece[..take]);
            piece.advance(take);
            if self.held.len() < wanted {
                continue;
            }
            match self.lengths.take() {
                None => self.lengths = Some(prelude(&self.held)?),
                Some((_, headers)) => out(message(self.held.split().freeze(), headers)?),
            }
        }
        Ok(())
    }

    /// Checks that the stream did not end within a message.
    pub fn finish(self) -> Result<(), Malformed> {
        if self.held.is_empty() { Ok(()) } else { Err(refuse("it ends within a message")) }
    }
}

/// The total and the headers' length.
fn prelude(bytes: &[u8]) -> Result<(usize, usize), Malformed> {
    let mut rest = bytes;
    let (total, headers, crc) = (rest.get_u32() as usize, rest.get_u32() as usize, rest.get_u32());
    if crc != checksum::crc32(&bytes[..8]) {
        return Err(refuse("a prelude's checksum does not match"));
    }
    if headers > HEADERS || total < AROUND + headers || total - AROUND - headers > PAYLOAD {
        return Err(refuse("a message's lengths are not possible"));
    }
    Ok((total, headers))
}

fn message(mut bytes: Bytes, headers: usize) -> Result<Message, Malformed> {
    let body = bytes.len() - 4;
    let crc = bytes.slice(body..).get_u32();
    if crc != checksum::crc32(&bytes[..body]) {
        return Err(refuse("a message's checksum does not match"));
    }
    bytes.truncate(body);
    bytes.advance(PRELUDE);
    let mut head = bytes.split_to(headers);
    let mut message = Message { headers: Vec::new(), payload: bytes };
    while !head.is_empty() {
        let length = usize::from(head.get_u8());
        if length == 0 {
            return Err(refuse("a header has no name"));
        }
        let name = String::from_utf8(take(&mut head, length)?.to_vec());
        let name = name.map_err(|_| refuse("a header's name is not UTF-8"))?;
        if message.header(&name).is_some() {
            return Err(refuse("a header is there twice"));
        }
        let value = value(&mut head)?;
        message.headers.push((name, value));
    }
    Ok(message)
}

fn take(head: &mut Bytes, length: usize) -> Result<Bytes, Malformed> {
    if head.len() < length {
        return Err(refuse("a header ends early"));
    }
    Ok(head.split_to(length))
}

fn value(head: &mut Bytes) -> Result<HeaderValue, Malformed> {
    let kind = take(head, 1)?[0];
    let long = |head: &mut Bytes| {
        let length = usize::from(take(head, 2)?.get_u16());
        if length > VALUE { Err(refuse("a header's value is too long")) } else { take(head, length) }
    };
    Ok(match kind {
        0 => HeaderValue::Bool(true),
        1 => HeaderValue::Bool(false),
        2 => HeaderValue::Byte(take(head, 1)?.get_i8()),
        3 => HeaderValue::Short(take(head, 2)?.get_i16()),
        4 => HeaderValue::Integer(take(head, 4)?.get_i32()),
        5 => HeaderValue::Long(take(head, 8)?.get_i64()),
        6 => HeaderValue::Bytes(long(head)?),
        7 => {
            let text = String::from_utf8(long(head)?.to_vec());
            HeaderValue::Text(text.map_err(|_| refuse("a header's text is not UTF-8"))?)
        }
        8 => HeaderValue::Timestamp(Timestamp(take(head, 8)?.get_i64())),
        9 => {
            let mut uuid = [0; 16];
            uuid.copy_from_slice(&take(head, 16)?);
            HeaderValue::Uuid(uuid)
        }
        _ => return Err(refuse("a header has a type that does not exist")),
    })
}

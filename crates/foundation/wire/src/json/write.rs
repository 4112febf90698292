//! Typed values to JSON text.

use std::io::Write;

use base::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::value::{Document, Emit, Sink, Structure};
use crate::{Shape, TimestampFormat, moment};

/// Room for a body at first: most fit.
const ROOM: usize = 512;

/// What each byte of a string becomes: itself (0), an escape of two characters (the second), or one of six (1).
static ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = 1;
        byte += 1;
    }
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table[b'\n' as usize] = b'n';
    table[b'\r' as usize] = b'r';
    table[b'\t' as usize] = b't';
    table
};

/// Appends JSON to bytes.
pub(crate) struct Writer {
    pub(crate) out: Vec<u8>,
    // The timestamp format of the member being written.
    format: Option<TimestampFormat>,
}

impl Default for Writer {
    fn default() -> Self {
        Self { out: Vec::with_capacity(ROOM), format: None }
    }
}

impl Writer {
    /// Writes the members that travel in the body.
    pub(crate) fn body_members(&mut self, value: &dyn Structure) {
        self.members(value, true);
    }

    fn members(&mut self, value: &dyn Structure, body_only: bool) {
        self.out.push(b'{');
        let mut first = true;
        for (index, member) in value.shape().members().iter().enumerate() {
            if body_only && !member.in_answer() {
                continue;
            }
            let Some(field) = value.get(index) else { continue };
            self.name(&mut first, member.wire);
            self.format = member.timestamp;
            field.emit(member.shape, self);
            self.format = None;
        }
        self.out.push(b'}');
    }

    /// A key with its colon, and the comma before it.
    pub(crate) fn key(&mut self, first: &mut bool, key: &str) {
        self.comma(first);
        self.string(key);
        self.out.push(b':');
    }

    /// A member's name, which no model writes with characters that need an escape.
    fn name(&mut self, first: &mut bool, name: &'static str) {
        self.comma(first);
        self.out.reserve(name.len() + 3);
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn comma(&mut self, first: &mut bool) {
        if !std::mem::take(first) {
            self.out.push(b',');
        }
    }

    /// A quoted string. Runs without special characters are copied whole.
    pub(crate) fn string(&mut self, text: &str) {
        let bytes = text.as_bytes();
        self.out.reserve(bytes.len() + 2);
        self.out.push(b'"');
        let mut copied = 0;
        for (index, &byte) in bytes.iter().enumerate() {
            let escape = ESCAPES[usize::from(byte)];
            if escape == 0 {
                continue;
            }
            self.out.extend_from_slice(&bytes[copied..index]);
            copied = index + 1;
            match escape {
                1 => self.print(format_args!("\\u{byte:04x}")),
                second => self.out.extend_from_slice(&[b'\\', second]),
            }
        }
        self.out.extend_from_slice(&bytes[copied..]);
        self.out.push(b'"');
    }

    /// A whole number's digits.
    fn digits(&mut self, value: i64) {
        let mut digits = [0; 20];
        let mut from = digits.len();
        let mut rest = value.unsigned_abs();
        loop {
            from -= 1;
            digits[from] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if value < 0 {
            self.out.push(b'-');
        }
        self.out.extend_from_slice(&digits[from..]);
    }

    fn print(&mut self, arguments: std::fmt::Arguments<'_>) {
        self.out.write_fmt(arguments).expect("writing to memory does not fail");
    }
}

impl Sink for Writer {
    fn boolean(&mut self, _: &'static Shape, value: bool) {
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    fn integer(&mut self, _: &'static Shape, value: i64) {
        self.digits(value);
    }

    fn double(&mut self, _: &'static Shape, value: f64) {
        // JSON has no such numbers; AWS writes them as strings.
        if value.is_finite() {
            self.print(format_args!("{value:?}"));
        } else {
            let special = crate::scalar::print_double(value);
            self.string(&special);
        }
    }

    fn text(&mut self, _: &'static Shape, value: &str) {
        self.string(value);
    }

    fn blob(&mut self, _: &'static Shape, value: &Bytes) {
        self.out.push(b'"');
        let start = self.out.len();
        let length = value.len().div_ceil(3) * 4;
        self.out.resize(start + length, 0);
        let written = STANDARD.encode_slice(value, &mut self.out[start..]).expect("base64 takes four bytes for three");
        self.out.truncate(start + written);
        self.out.push(b'"');
    }

    fn timestamp(&mut self, shape: &'static Shape, value: Timestamp) {
        let format = self.format.or(shape.timestamp).unwrap_or(TimestampFormat::Unix);
        let text = moment::print(value, format);
        match format {
            TimestampFormat::Unix => self.out.extend_from_slice(text.as_bytes()),
            _ => self.string(&text),
        }
    }

    fn document(&mut self, _: &'static Shape, value: &Document) {
        serde_json::to_writer(&mut self.out, value).expect("a JSON value prints");
    }

    fn structure(&mut self, value: &dyn Structure) {
        self.members(value, false);
    }

    fn list(&mut self, shape: &'static Shape, items: &mut dyn Iterator<Item = &dyn Emit>) {
        self.format = None;
        self.out.push(b'[');
        let mut first = true;
        for item in items {
            self.comma(&mut first);
            item.emit(shape.element(), self);
        }
        self.out.push(b']');
    }

    fn map(&mut self, shape: &'static Shape, entries: &mut dyn Iterator<Item = (&str, &dyn Emit)>) {
        self.format = None;
        self.out.push(b'{');
        let mut first = true;
        for (key, value) in entries {
            self.key(&mut first, key);
            value.emit(shape.element(), self);
        }
        self.out.push(b'}');
    }
}

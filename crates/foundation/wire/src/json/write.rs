//! Typed values to JSON text.

use std::io::Write;

use base::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::value::{Document, Emit, Sink, Structure};
use crate::{Location, Shape, TimestampFormat, moment};

/// Appends JSON to bytes.
#[derive(Default)]
pub(crate) struct Writer {
    pub(crate) out: Vec<u8>,
    // The timestamp format of the member being written.
    format: Option<TimestampFormat>,
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
            if body_only && member.location != Location::Body {
                continue;
            }
            let Some(field) = value.get(index) else { continue };
            self.key(&mut first, member.wire);
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

    fn comma(&mut self, first: &mut bool) {
        if !std::mem::take(first) {
            self.out.push(b',');
        }
    }

    /// A quoted string. Runs without special characters are copied whole.
    pub(crate) fn string(&mut self, text: &str) {
        self.out.push(b'"');
        let bytes = text.as_bytes();
        let mut copied = 0;
        for (index, &byte) in bytes.iter().enumerate() {
            if byte >= 0x20 && byte != b'"' && byte != b'\\' {
                continue;
            }
            self.out.extend_from_slice(&bytes[copied..index]);
            copied = index + 1;
            match byte {
                b'"' => self.out.extend_from_slice(b"\\\""),
                b'\\' => self.out.extend_from_slice(b"\\\\"),
                b'\n' => self.out.extend_from_slice(b"\\n"),
                b'\r' => self.out.extend_from_slice(b"\\r"),
                b'\t' => self.out.extend_from_slice(b"\\t"),
                _ => self.print(format_args!("\\u{byte:04x}")),
            }
        }
        self.out.extend_from_slice(&bytes[copied..]);
        self.out.push(b'"');
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
        self.print(format_args!("{value}"));
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

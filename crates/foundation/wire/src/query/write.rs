//! Typed values to XML elements.

use std::borrow::Cow;

use base::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::value::{Document, Emit, Sink, Structure};
use crate::{Kind, Shape, TimestampFormat, moment};

/// Text as XML content. What XML 1.0 cannot carry at all becomes U+FFFD.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    let plain = |c: char| {
        !matches!(c, '&' | '<' | '>' | '"' | '\'' | '\r' | '\u{FFFE}' | '\u{FFFF}')
            && (c >= ' ' || c == '\n' || c == '\t')
    };
    if text.chars().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\r' => out.push_str("&#xD;"),
            c if plain(c) => out.push(c),
            _ => out.push('\u{FFFD}'),
        }
    }
    Cow::Owned(out)
}

/// Appends elements to text.
#[derive(Default)]
pub(super) struct Writer {
    pub(super) out: String,
    // The element the next value goes into.
    name: &'static str,
    // Whether the next list or map has no wrapping element.
    flattened: bool,
    // The timestamp format of the member being written.
    format: Option<TimestampFormat>,
}

impl Writer {
    /// The members of a structure, without an element around them.
    pub(super) fn members(&mut self, value: &dyn Structure) {
        for (index, member) in value.shape().members().iter().enumerate() {
            let Some(field) = value.get(index) else { continue };
            self.name = member.wire;
            self.flattened = member.flattened;
            self.format = member.timestamp;
            field.emit(member.shape, self);
            self.format = None;
        }
    }

    fn open(&mut self, name: &str) {
        self.out.push('<');
        self.out.push_str(name);
        self.out.push('>');
    }

    fn close(&mut self, name: &str) {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }

    fn leaf(&mut self, text: &str) {
        let name = self.name;
        self.open(name);
        self.out.push_str(&escape(text));
        self.close(name);
    }

    fn element(&mut self, name: &'static str, shape: &'static Shape, value: &dyn Emit) {
        self.name = name;
        self.flattened = false;
        value.emit(shape, self);
    }
}

impl Sink for Writer {
    fn boolean(&mut self, _: &'static Shape, value: bool) {
        self.leaf(if value { "true" } else { "false" });
    }
    fn integer(&mut self, _: &'static Shape, value: i64) {
        self.leaf(&value.to_string());
    }
    fn double(&mut self, _: &'static Shape, value: f64) {
        self.leaf(&crate::scalar::print_double(value));
    }
    fn text(&mut self, _: &'static Shape, value: &str) {
        self.leaf(value);
    }
    fn blob(&mut self, _: &'static Shape, value: &Bytes) {
        self.leaf(&STANDARD.encode(value));
    }
    fn timestamp(&mut self, shape: &'static Shape, value: Timestamp) {
        let format = self.format.or(shape.timestamp).unwrap_or(TimestampFormat::Iso8601);
        self.leaf(&moment::print(value, format));
    }
    fn document(&mut self, _: &'static Shape, value: &Document) {
        self.leaf(&value.to_string());
    }

    fn structure(&mut self, value: &dyn Structure) {
        let name = self.name;
        self.open(name);
        self.members(value);
        self.close(name);
    }

    fn list(&mut self, shape: &'static Shape, items: &mut dyn Iterator<Item = &dyn Emit>) {
        let Kind::List(item) = shape.kind else { return };
        let (name, flattened) = (self.name, self.flattened);
        self.format = None;
        let inner = if flattened { name } else { item.wire };
        if !flattened {
            self.open(name);
        }
        for value in items {
            self.element(inner, item.shape, value);
        }
        if !flattened {
            self.close(name);
        }
    }

    fn map(&mut self, shape: &'static Shape, entries: &mut dyn Iterator<Item = (&str, &dyn Emit)>) {
        let Kind::Map(key, item) = shape.kind else { return };
        let (name, flattened) = (self.name, self.flattened);
        self.format = None;
        let inner = if flattened { name } else { "entry" };
        if !flattened {
            self.open(name);
        }
        for (text, value) in entries {
            self.open(inner);
            self.name = key.wire;
            self.leaf(text);
            self.element(item.wire, item.shape, value);
            self.close(inner);
        }
        if !flattened {
            self.close(name);
        }
    }
}

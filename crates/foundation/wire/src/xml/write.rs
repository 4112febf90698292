//! Typed values to XML elements.

use std::borrow::Cow;

use base::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::scalar::TextSink;
use crate::value::{Document, Emit, Sink, Structure};
use crate::{Kind, Member, Namespace, Shape, TimestampFormat, moment};

/// Text as XML content. What XML 1.0 cannot carry at all becomes U+FFFD.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
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
pub(crate) struct Writer {
    pub(crate) out: String,
    // The element the next value goes into.
    name: &'static str,
    // What that element declares, before what its shape does.
    namespace: Option<Namespace>,
    // Whether the next list or map has no wrapping element.
    flattened: bool,
    // The timestamp format of the member being written.
    format: Option<TimestampFormat>,
    // Whether members go by the names that they have in awsQuery alone.
    query: bool,
}

impl Writer {
    /// A writer of a whole document.
    pub(crate) fn document() -> Self {
        Self { out: super::DECLARATION.to_owned(), ..Self::default() }
    }

    /// A writer of elements as awsQuery names them.
    pub(crate) fn query() -> Self {
        Self { query: true, ..Self::default() }
    }

    /// The members of a structure, without an element around them.
    pub(crate) fn members(&mut self, value: &dyn Structure) {
        self.some(value, |_| true);
    }

    fn some(&mut self, value: &dyn Structure, which: impl Fn(&'static Member) -> bool) {
        for (index, member) in value.shape().members().iter().enumerate() {
            if member.attribute || !which(member) {
                continue;
            }
            let Some(field) = value.get(index) else { continue };
            self.member(member);
            field.emit(member.shape, self);
            self.format = None;
        }
    }

    /// A whole document: what of `value` travels in the body in the element `name`, which declares `namespace` unless the
    /// shape says another.
    pub(crate) fn root(&mut self, name: &'static str, namespace: &'static str, value: &dyn Structure) {
        self.out.push('<');
        self.out.push_str(name);
        self.declare(value.shape().namespace.or(declared(namespace)));
        self.attributes(value);
        self.out.push('>');
        self.some(value, |member| member.in_answer());
        self.close(name);
    }

    /// A whole document that is one value of any kind.
    pub(crate) fn root_value(
        &mut self,
        name: &'static str,
        namespace: &'static str,
        shape: &'static Shape,
        value: &dyn Emit,
    ) {
        self.name = name;
        self.namespace = shape.namespace.or(declared(namespace));
        self.flattened = false;
        value.emit(shape, self);
    }

    /// An element that holds nothing.
    pub(crate) fn empty_root(&mut self, name: &'static str, namespace: &'static str) {
        self.out.push('<');
        self.out.push_str(name);
        self.declare(declared(namespace));
        self.out.push_str("/>");
    }

    fn member(&mut self, member: &'static Member) {
        self.name = if self.query && !member.query.is_empty() { member.query } else { member.wire };
        self.namespace = member.namespace;
        self.flattened = member.flattened;
        self.format = member.timestamp;
    }

    fn declare(&mut self, namespace: Option<Namespace>) {
        let Some(Namespace { prefix, uri }) = namespace else { return };
        self.out.push_str(" xmlns");
        if !prefix.is_empty() {
            self.out.push(':');
            self.out.push_str(prefix);
        }
        self.out.push_str("=\"");
        self.out.push_str(&escape(uri));
        self.out.push('"');
    }

    fn attributes(&mut self, value: &dyn Structure) {
        for (index, member) in value.shape().members().iter().enumerate().filter(|(_, member)| member.attribute) {
            let Some(field) = value.get(index) else { continue };
            let mut text = TextSink::new(TimestampFormat::Iso8601);
            text.member = member.timestamp;
            field.emit(member.shape, &mut text);
            let text = text.values.first().map_or("", String::as_str);
            // A line break in an attribute would be read as a space.
            let text = escape(text).replace('\n', "&#xA;").replace('\t', "&#x9;");
            self.out.extend([" ", member.wire, "=\"", &text, "\""]);
        }
    }

    fn open(&mut self, name: &str, shape: &'static Shape) {
        self.out.push('<');
        self.out.push_str(name);
        let namespace = self.namespace.take().or(shape.namespace);
        self.declare(namespace);
        self.out.push('>');
    }

    fn close(&mut self, name: &str) {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }

    fn leaf(&mut self, shape: &'static Shape, text: &str) {
        let name = self.name;
        self.open(name, shape);
        self.out.push_str(&escape(text));
        self.close(name);
    }

    fn element(&mut self, name: &'static str, member: &'static Member, value: &dyn Emit) {
        self.name = name;
        self.namespace = member.namespace;
        self.flattened = false;
        value.emit(member.shape, self);
    }
}

fn declared(uri: &'static str) -> Option<Namespace> {
    (!uri.is_empty()).then_some(Namespace { prefix: "", uri })
}

impl Sink for Writer {
    fn boolean(&mut self, shape: &'static Shape, value: bool) {
        self.leaf(shape, if value { "true" } else { "false" });
    }
    fn integer(&mut self, shape: &'static Shape, value: i64) {
        self.leaf(shape, &value.to_string());
    }
    fn double(&mut self, shape: &'static Shape, value: f64) {
        self.leaf(shape, &crate::scalar::print_double(value));
    }
    fn text(&mut self, shape: &'static Shape, value: &str) {
        self.leaf(shape, value);
    }
    fn blob(&mut self, shape: &'static Shape, value: &Bytes) {
        self.leaf(shape, &STANDARD.encode(value));
    }
    fn timestamp(&mut self, shape: &'static Shape, value: Timestamp) {
        let format = self.format.or(shape.timestamp).unwrap_or(TimestampFormat::Iso8601);
        self.leaf(shape, &moment::print(value, format));
    }
    fn document(&mut self, shape: &'static Shape, value: &Document) {
        self.leaf(shape, &value.to_string());
    }

    fn structure(&mut self, value: &dyn Structure) {
        let name = self.name;
        self.out.push('<');
        self.out.push_str(name);
        let namespace = self.namespace.take().or(value.shape().namespace);
        self.declare(namespace);
        self.attributes(value);
        self.out.push('>');
        self.members(value);
        self.close(name);
    }

    fn list(&mut self, shape: &'static Shape, items: &mut dyn Iterator<Item = &dyn Emit>) {
        let Kind::List(item) = shape.kind else { return };
        let (name, flattened) = (self.name, self.flattened);
        self.format = None;
        let inner = if flattened { name } else { item.wire };
        if !flattened {
            self.open(name, shape);
        }
        for value in items {
            self.element(inner, item, value);
        }
        if !flattened {
            self.close(name);
        }
    }

    fn map(&mut self, shape: &'static Shape, entries: &mut dyn Iterator<Item = (&str, &dyn Emit)>) {
        let Kind::Map(key, item) = shape.kind else { return };
        let (name, flattened) = (self.name, self.flattened);
        // A flattened map's entries each are the member's element.
        let namespace = self.namespace.or(shape.namespace);
        self.format = None;
        let inner = if flattened { name } else { "entry" };
        if !flattened {
            self.open(name, shape);
        }
        for (text, value) in entries {
            self.namespace = namespace.filter(|_| flattened);
            self.open(inner, &PLAIN);
            (self.name, self.namespace) = (key.wire, key.namespace);
            self.leaf(key.shape, text);
            self.element(item.wire, item, value);
            self.close(inner);
        }
        if !flattened {
            self.close(name);
        }
    }
}

/// What declares nothing: a map's entries have no shape.
static PLAIN: Shape = Shape::new("entry", Kind::Text);

/// A fault's field, whose value is kept as text: JSON where its shape is a structure, whose members become elements.
pub(crate) fn field(out: &mut String, name: &str, text: &str) {
    out.extend(["<", name, ">"]);
    match serde_json::from_str::<Document>(text) {
        Ok(Document::Object(members)) => {
            for (name, value) in members {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                field(out, &name, &text);
            }
        }
        _ => out.push_str(&escape(text)),
    }
    out.extend(["</", name, ">"]);
}

/// The elements of every error: its code, its message if there is one, and its fields.
pub(crate) fn error<'f>(code: &str, message: &str, fields: impl Iterator<Item = (&'f str, &'f str)>) -> String {
    let mut out = format!("<Code>{}</Code>", escape(code));
    if !message.is_empty() {
        out.extend(["<Message>", &escape(message), "</Message>"]);
    }
    fields.for_each(|(name, text)| field(&mut out, name, text));
    out
}

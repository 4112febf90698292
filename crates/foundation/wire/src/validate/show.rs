//! Values as AWS prints them in its messages: the way its Java services do.

use std::fmt::Write;

use base::Timestamp;
use bytes::Bytes;

use crate::value::{Document, Emit, Sink, Structure};
use crate::{Shape, TimestampFormat, moment};

/// Characters of a value shown at most.
const SHOWN: usize = 4096;

/// A value as text, cut when long.
pub(super) fn show(shape: &'static Shape, value: &dyn Emit) -> String {
    let mut shown = Show { out: String::new() };
    value.emit(shape, &mut shown);
    if let Some((cut, _)) = shown.out.char_indices().nth(SHOWN) {
        shown.out.truncate(cut);
        shown.out.push_str("...");
    }
    shown.out
}

/// A list's items, already collected.
#[derive(Debug)]
pub(super) struct Items<'a>(pub(super) &'a [&'a dyn Emit]);

impl Emit for Items<'_> {
    fn emit(&self, shape: &'static Shape, sink: &mut dyn Sink) {
        sink.list(shape, &mut self.0.iter().copied());
    }
}

/// A map's entries, already collected.
#[derive(Debug)]
pub(super) struct Entries<'a>(pub(super) &'a [(&'a str, &'a dyn Emit)]);

impl Emit for Entries<'_> {
    fn emit(&self, shape: &'static Shape, sink: &mut dyn Sink) {
        sink.map(shape, &mut self.0.iter().copied());
    }
}

struct Show {
    out: String,
}

impl Show {
    fn add(&mut self, arguments: std::fmt::Arguments<'_>) {
        // What is past the cut is not worth printing.
        if self.out.len() <= SHOWN * 4 {
            self.out.write_fmt(arguments).expect("writing to memory does not fail");
        }
    }

    fn value(&mut self, shape: &'static Shape, value: &dyn Emit) {
        if shape.sensitive {
            self.out.push_str("***");
        } else if self.out.len() <= SHOWN * 4 {
            value.emit(shape, self);
        }
    }
}

impl Sink for Show {
    fn boolean(&mut self, _: &'static Shape, value: bool) {
        self.add(format_args!("{value}"));
    }
    fn integer(&mut self, _: &'static Shape, value: i64) {
        self.add(format_args!("{value}"));
    }
    fn double(&mut self, _: &'static Shape, value: f64) {
        self.add(format_args!("{value:?}"));
    }
    fn text(&mut self, _: &'static Shape, value: &str) {
        self.add(format_args!("{value}"));
    }
    fn blob(&mut self, _: &'static Shape, value: &Bytes) {
        let size = value.len();
        self.add(format_args!("java.nio.HeapByteBuffer[pos=0 lim={size} cap={size}]"));
    }
    fn timestamp(&mut self, _: &'static Shape, value: Timestamp) {
        self.add(format_args!("{}", moment::print(value, TimestampFormat::Iso8601)));
    }
    fn document(&mut self, _: &'static Shape, value: &Document) {
        self.add(format_args!("{value}"));
    }
    fn structure(&mut self, value: &dyn Structure) {
        let shape = value.shape();
        self.add(format_args!("{}(", shape.name));
        let mut between = "";
        for (index, member) in shape.members().iter().enumerate() {
            let Some(field) = value.get(index) else { continue };
            self.add(format_args!("{between}{}=", member.name));
            self.value(member.shape, field);
            between = ", ";
        }
        self.out.push(')');
    }
    fn list(&mut self, shape: &'static Shape, items: &mut dyn Iterator<Item = &dyn Emit>) {
        self.out.push('[');
        let mut between = "";
        for item in items {
            self.add(format_args!("{between}"));
            self.value(shape.element(), item);
            between = ", ";
        }
        self.out.push(']');
    }
    fn map(&mut self, shape: &'static Shape, entries: &mut dyn Iterator<Item = (&str, &dyn Emit)>) {
        self.out.push('{');
        let mut between = "";
        for (key, value) in entries {
            self.add(format_args!("{between}{key}="));
            self.value(shape.element(), value);
            between = ", ";
        }
        self.out.push('}');
    }
}

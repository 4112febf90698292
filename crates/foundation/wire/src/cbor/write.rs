//! Typed values to CBOR.

use std::convert::Infallible;

use base::Timestamp;
use bytes::Bytes;
use minicbor::Encoder;
use minicbor::data::Tag;
use minicbor::encode::Error;

use crate::value::{Document, Emit, Sink, Structure};
use crate::{Kind, Shape};

/// Appends CBOR to bytes.
pub(crate) struct Writer {
    encoder: Encoder<Vec<u8>>,
}

impl Default for Writer {
    fn default() -> Self {
        Self { encoder: Encoder::new(Vec::new()) }
    }
}

/// Writing to memory does not fail.
fn done<T>(result: Result<T, Error<Infallible>>) {
    result.map(drop).expect("writing to memory does not fail");
}

impl Writer {
    /// What was written.
    pub(crate) fn into_bytes(self) -> Bytes {
        self.encoder.into_writer().into()
    }

    /// Begins a map of so many entries.
    pub(crate) fn open(&mut self, entries: u64) {
        done(self.encoder.map(entries));
    }

    /// Text, or a key.
    pub(crate) fn string(&mut self, text: &str) {
        done(self.encoder.str(text));
    }

    /// A fault's field, whose value is kept as text, in the kind its shape has.
    pub(crate) fn field(&mut self, shape: &'static Shape, text: &str) {
        match (shape.kind, text.parse::<i64>(), text.parse::<f64>()) {
            (Kind::Integer | Kind::Long, Ok(value), _) => self.integer(shape, value),
            (Kind::Float | Kind::Double, _, Ok(value)) => self.double(shape, value),
            (Kind::Boolean, ..) if matches!(text, "true" | "false") => self.boolean(shape, text == "true"),
            (Kind::List(_) | Kind::Map(..) | Kind::Structure(_) | Kind::Union(_) | Kind::Document, ..) => {
                match serde_json::from_str(text) {
                    Ok(value) => self.json(&value),
                    Err(_) => self.string(text),
                }
            }
            _ => self.string(text),
        }
    }

    fn json(&mut self, value: &Document) {
        match value {
            Document::Null => done(self.encoder.null()),
            Document::Bool(value) => done(self.encoder.bool(*value)),
            Document::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(value), _) => done(self.encoder.i64(value)),
                (None, value) => done(self.encoder.f64(value.unwrap_or(f64::NAN))),
            },
            Document::String(text) => self.string(text),
            Document::Array(items) => {
                done(self.encoder.array(items.len() as u64));
                items.iter().for_each(|item| self.json(item));
            }
            Document::Object(members) => {
                self.open(members.len() as u64);
                for (key, member) in members {
                    self.string(key);
                    self.json(member);
                }
            }
        }
    }
}

/// The number of elements, if the iterator knows it.
fn known(hint: (usize, Option<usize>)) -> Option<u64> {
    (hint.1 == Some(hint.0)).then_some(hint.0 as u64)
}

impl Sink for Writer {
    fn boolean(&mut self, _: &'static Shape, value: bool) {
        done(self.encoder.bool(value));
    }
    fn integer(&mut self, _: &'static Shape, value: i64) {
        done(self.encoder.i64(value));
    }
    fn double(&mut self, shape: &'static Shape, value: f64) {
        match shape.kind {
            Kind::Float => done(self.encoder.f32(value as f32)),
            _ => done(self.encoder.f64(value)),
        }
    }
    fn text(&mut self, _: &'static Shape, value: &str) {
        self.string(value);
    }
    fn blob(&mut self, _: &'static Shape, value: &Bytes) {
        done(self.encoder.bytes(value));
    }
    fn timestamp(&mut self, _: &'static Shape, value: Timestamp) {
        done(self.encoder.tag(Tag::new(1)));
        match (value.0 % 1000, value.0 / 1000) {
            (0, seconds) => done(self.encoder.i64(seconds)),
            _ => done(self.encoder.f64(value.0 as f64 / 1000.0)),
        }
    }
    fn document(&mut self, _: &'static Shape, value: &Document) {
        self.json(value);
    }

    fn structure(&mut self, value: &dyn Structure) {
        let members = value.shape().members();
        let here = |index: &usize| members[*index].event.is_none() && value.get(*index).is_some();
        self.open((0..members.len()).filter(here).count() as u64);
        for (index, member) in members.iter().enumerate().filter(|(index, _)| here(index)) {
            let Some(field) = value.get(index) else { continue };
            self.string(member.wire);
            field.emit(member.shape, self);
        }
    }

    fn list(&mut self, shape: &'static Shape, items: &mut dyn Iterator<Item = &dyn Emit>) {
        let length = known(items.size_hint());
        match length {
            Some(length) => done(self.encoder.array(length)),
            None => done(self.encoder.begin_array()),
        }
        for item in items {
            item.emit(shape.element(), self);
        }
        if length.is_none() {
            done(self.encoder.end());
        }
    }

    fn map(&mut self, shape: &'static Shape, entries: &mut dyn Iterator<Item = (&str, &dyn Emit)>) {
        let length = known(entries.size_hint());
        match length {
            Some(length) => self.open(length),
            None => done(self.encoder.begin_map()),
        }
        for (key, value) in entries {
            self.string(key);
            value.emit(shape.element(), self);
        }
        if length.is_none() {
            done(self.encoder.end());
        }
    }
}

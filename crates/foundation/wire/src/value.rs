//! How typed values meet codecs.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Debug;

use base::Timestamp;
use bytes::Bytes;

use crate::{Kind, Shape};

/// Free JSON, for document-typed members.
pub type Document = serde_json::Value;

/// The request's bytes do not fit the shape. Becomes the protocol's serialization fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

/// A codec being written to. Each value arrives with its shape. What a sink leaves out it passes over: only codecs of
/// whole values need every kind.
#[allow(unused_variables)]
pub trait Sink {
    /// A truth value.
    fn boolean(&mut self, shape: &'static Shape, value: bool) {}
    /// An integer of either width.
    fn integer(&mut self, shape: &'static Shape, value: i64) {}
    /// A float of either width.
    fn double(&mut self, shape: &'static Shape, value: f64) {}
    /// Text.
    fn text(&mut self, shape: &'static Shape, value: &str) {}
    /// Bytes.
    fn blob(&mut self, shape: &'static Shape, value: &Bytes) {}
    /// A moment.
    fn timestamp(&mut self, shape: &'static Shape, value: Timestamp) {}
    /// Free JSON.
    fn document(&mut self, shape: &'static Shape, value: &Document) {}
    /// A structure: the codec asks it for its members.
    fn structure(&mut self, value: &dyn Structure) {}
    /// A list's items in order.
    fn list(&mut self, shape: &'static Shape, items: &mut dyn Iterator<Item = &dyn Emit>) {}
    /// A map's entries in order.
    fn map(&mut self, shape: &'static Shape, entries: &mut dyn Iterator<Item = (&str, &dyn Emit)>) {}
}

fn other<T>(wanted: &str) -> Result<T, Malformed> {
    Err(Malformed(format!("Expected {wanted} or null")))
}

/// A codec being read from: positioned at one value. Absent and null members never reach it. What a source leaves out
/// it refuses.
#[allow(unused_variables)]
pub trait Source {
    /// A truth value.
    fn boolean(&mut self, shape: &'static Shape) -> Result<bool, Malformed> {
        other("boolean")
    }
    /// An integer, checked to fit the shape's width.
    fn integer(&mut self, shape: &'static Shape) -> Result<i64, Malformed> {
        other("integer")
    }
    /// A float.
    fn double(&mut self, shape: &'static Shape) -> Result<f64, Malformed> {
        other("number")
    }
    /// Text.
    fn text(&mut self, shape: &'static Shape) -> Result<String, Malformed> {
        other("string")
    }
    /// Bytes.
    fn blob(&mut self, shape: &'static Shape) -> Result<Bytes, Malformed> {
        other("blob")
    }
    /// A moment.
    fn timestamp(&mut self, shape: &'static Shape) -> Result<Timestamp, Malformed> {
        other("timestamp")
    }
    /// Free JSON.
    fn document(&mut self, shape: &'static Shape) -> Result<Document, Malformed> {
        other("document")
    }
    /// A structure: the codec calls [`Structure::set`] for each member it finds; unknown members are skipped.
    fn structure(&mut self, into: &mut dyn Structure) -> Result<(), Malformed> {
        other("structure")
    }
    /// A list: `item` is called at each item.
    fn list(
        &mut self,
        shape: &'static Shape,
        item: &mut dyn FnMut(&mut dyn Source) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        other("list")
    }
    /// A map: `entry` is called at each value.
    fn map(
        &mut self,
        shape: &'static Shape,
        entry: &mut dyn FnMut(String, &mut dyn Source) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        other("map")
    }
}

/// A value that can be written to any codec.
pub trait Emit: Debug + Send + Sync {
    /// Writes itself.
    fn emit(&self, shape: &'static Shape, sink: &mut dyn Sink);
}

/// A value that can be read from any codec.
pub trait Accept: Sized {
    /// Reads itself.
    fn accept(shape: &'static Shape, source: &mut dyn Source) -> Result<Self, Malformed>;
}

/// A generated structure, seen by codecs, validation and the door by member index.
pub trait Structure: Any + Emit {
    /// Its schema; indices below are positions in [`Shape::members`].
    fn shape(&self) -> &'static Shape;
    /// The member's value, if it is set.
    fn get(&self, index: usize) -> Option<&dyn Emit>;
    /// Reads the member from a codec positioned at its value.
    fn set(&mut self, index: usize, source: &mut dyn Source) -> Result<(), Malformed>;
}

/// The structure without members: input or output of operations that have none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unit;

static UNIT: Shape = Shape::new("Unit", Kind::Structure(&[]));

impl Unit {
    /// The schema.
    pub const SHAPE: &'static Shape = &UNIT;
}

impl Emit for Unit {
    fn emit(&self, _: &'static Shape, sink: &mut dyn Sink) {
        sink.structure(self);
    }
}

impl Accept for Unit {
    fn accept(_: &'static Shape, source: &mut dyn Source) -> Result<Self, Malformed> {
        let mut unit = Self;
        source.structure(&mut unit)?;
        Ok(unit)
    }
}

impl Structure for Unit {
    fn shape(&self) -> &'static Shape {
        &UNIT
    }
    fn get(&self, _: usize) -> Option<&dyn Emit> {
        None
    }
    fn set(&mut self, _: usize, _: &mut dyn Source) -> Result<(), Malformed> {
        Ok(())
    }
}

macro_rules! scalar {
    ($type:ty, $method:ident, |$value:ident| $pass:expr) => {
        impl Emit for $type {
            fn emit(&self, shape: &'static Shape, sink: &mut dyn Sink) {
                let $value = self;
                sink.$method(shape, $pass);
            }
        }
        impl Accept for $type {
            fn accept(shape: &'static Shape, source: &mut dyn Source) -> Result<Self, Malformed> {
                source.$method(shape)
            }
        }
    };
}

scalar!(bool, boolean, |value| *value);
scalar!(i64, integer, |value| *value);
scalar!(f64, double, |value| *value);
scalar!(String, text, |value| value);
scalar!(Bytes, blob, |value| value);
scalar!(Timestamp, timestamp, |value| *value);
scalar!(Document, document, |value| value);

impl<T: Emit> Emit for Vec<T> {
    fn emit(&self, shape: &'static Shape, sink: &mut dyn Sink) {
        sink.list(shape, &mut self.iter().map(|item| item as &dyn Emit));
    }
}

impl<T: Accept> Accept for Vec<T> {
    fn accept(shape: &'static Shape, source: &mut dyn Source) -> Result<Self, Malformed> {
        let mut items = Self::new();
        source.list(shape, &mut |item| {
            items.push(T::accept(shape.element(), item)?);
            Ok(())
        })?;
        Ok(items)
    }
}

impl<T: Emit> Emit for BTreeMap<String, T> {
    fn emit(&self, shape: &'static Shape, sink: &mut dyn Sink) {
        sink.map(shape, &mut self.iter().map(|(key, value)| (key.as_str(), value as &dyn Emit)));
    }
}

impl<T: Accept> Accept for BTreeMap<String, T> {
    fn accept(shape: &'static Shape, source: &mut dyn Source) -> Result<Self, Malformed> {
        let mut entries = Self::new();
        source.map(shape, &mut |key, value| {
            entries.insert(key, T::accept(shape.element(), value)?);
            Ok(())
        })?;
        Ok(entries)
    }
}

impl<T: Emit> Emit for Box<T> {
    fn emit(&self, shape: &'static Shape, sink: &mut dyn Sink) {
        (**self).emit(shape, sink);
    }
}

impl<T: Accept> Accept for Box<T> {
    fn accept(shape: &'static Shape, source: &mut dyn Source) -> Result<Self, Malformed> {
        T::accept(shape, source).map(Self::new)
    }
}

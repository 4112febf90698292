//! Typed values as plain trees: how generated structures are shown and compared. One walk serves all of them, where derived
//! code would be thousands of functions.

use std::fmt;

use base::Timestamp;
use bytes::Bytes;

use crate::value::{Document, Emit, Sink, Structure};
use crate::{Kind, Shape};

/// A value without its type.
#[derive(Clone, PartialEq)]
enum Tree {
    Boolean(bool),
    Integer(i64),
    Double(f64),
    Text(String),
    Blob(Bytes),
    Timestamp(Timestamp),
    Document(Document),
    /// What must not be shown; it is compared as what it is.
    Secret(Box<Self>),
    Structure(&'static str, Vec<(&'static str, Self)>),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

/// Shows a structure as `Debug` does, its secrets left out.
pub(crate) fn show(value: &dyn Structure, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    fmt::Debug::fmt(&of_structure(value), f)
}

/// Whether two values of the same type are equal.
pub(crate) fn same(one: &dyn Structure, other: &dyn Structure) -> bool {
    of_structure(one) == of_structure(other)
}

fn of_structure(value: &dyn Structure) -> Tree {
    let members = value.shape().members().iter().enumerate();
    let set = members.filter_map(|(index, member)| Some((member.name, of(member.shape, value.get(index)?)?)));
    Tree::Structure(value.shape().name, set.collect())
}

fn of(shape: &'static Shape, value: &dyn Emit) -> Option<Tree> {
    let mut planted = Planted(None);
    value.emit(shape, &mut planted);
    if shape.sensitive { planted.0.map(|tree| Tree::Secret(Box::new(tree))) } else { planted.0 }
}

/// Takes one value.
struct Planted(Option<Tree>);

impl Sink for Planted {
    fn boolean(&mut self, _: &'static Shape, value: bool) {
        self.0 = Some(Tree::Boolean(value));
    }
    fn integer(&mut self, _: &'static Shape, value: i64) {
        self.0 = Some(Tree::Integer(value));
    }
    fn double(&mut self, _: &'static Shape, value: f64) {
        self.0 = Some(Tree::Double(value));
    }
    fn text(&mut self, _: &'static Shape, value: &str) {
        self.0 = Some(Tree::Text(value.to_owned()));
    }
    fn blob(&mut self, _: &'static Shape, value: &Bytes) {
        self.0 = Some(Tree::Blob(value.clone()));
    }
    fn timestamp(&mut self, _: &'static Shape, value: Timestamp) {
        self.0 = Some(Tree::Timestamp(value));
    }
    fn document(&mut self, _: &'static Shape, value: &Document) {
        self.0 = Some(Tree::Document(value.clone()));
    }
    fn structure(&mut self, value: &dyn Structure) {
        self.0 = Some(of_structure(value));
    }
    fn list(&mut self, shape: &'static Shape, items: &mut dyn Iterator<Item = &dyn Emit>) {
        self.0 = Some(Tree::List(items.filter_map(|item| of(shape.element(), item)).collect()));
    }
    fn map(&mut self, shape: &'static Shape, entries: &mut dyn Iterator<Item = (&str, &dyn Emit)>) {
        let Kind::Map(_, value) = shape.kind else { return };
        let entries = entries.filter_map(|(key, item)| Some((key.to_owned(), of(value.shape, item)?)));
        self.0 = Some(Tree::Map(entries.collect()));
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Double(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
            Self::Blob(value) => value.fmt(f),
            Self::Timestamp(value) => value.fmt(f),
            Self::Document(value) => value.fmt(f),
            Self::Secret(_) => f.write_str("***"),
            Self::Structure(name, members) => {
                let mut shown = f.debug_struct(name);
                for (name, value) in members {
                    shown.field(name, value);
                }
                shown.finish()
            }
            Self::List(items) => f.debug_list().entries(items).finish(),
            Self::Map(entries) => f.debug_map().entries(entries.iter().map(|(key, value)| (key, value))).finish(),
        }
    }
}

//! A copy of an input that lacks one member: for tests that ask whether anybody would notice.
//!
//! It goes through [`Emit`] and [`Source`] as every codec does, so that generated structures need nothing for it.

use base::Timestamp;
use bytes::Bytes;

use crate::value::{Document, Emit, Malformed, Sink, Source, Structure};
use crate::{Operation, Shape};

/// The input without the member of that path: AWS's names, nested ones with a dot (`Code.ZipFile`). A path goes through
/// lists and maps of structures: each item loses the member. A path that names nothing removes nothing.
pub fn without(
    operation: &'static Operation,
    input: &dyn Structure,
    path: &str,
) -> Result<Box<dyn Structure>, Malformed> {
    let mut copier = Copier { path: Some(path), copy: Tree::Document(Document::Null) };
    copier.structure(input);
    let mut out = (operation.input)();
    copier.copy.structure(&mut *out)?;
    Ok(out)
}

/// A value of any shape.
enum Tree {
    Boolean(bool),
    Integer(i64),
    Double(f64),
    Text(String),
    Blob(Bytes),
    Timestamp(Timestamp),
    Document(Document),
    // By member index.
    Structure(Vec<(usize, Tree)>),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

/// Copies what is emitted into it.
struct Copier<'a> {
    // What is left out, seen from here; none where the path has led elsewhere.
    path: Option<&'a str>,
    copy: Tree,
}

impl Copier<'_> {
    fn of(&self, path: Option<&str>, shape: &'static Shape, value: &dyn Emit) -> Tree {
        let mut copier = Copier { path, copy: Tree::Document(Document::Null) };
        value.emit(shape, &mut copier);
        copier.copy
    }
}

impl Sink for Copier<'_> {
    fn boolean(&mut self, _: &'static Shape, value: bool) {
        self.copy = Tree::Boolean(value);
    }
    fn integer(&mut self, _: &'static Shape, value: i64) {
        self.copy = Tree::Integer(value);
    }
    fn double(&mut self, _: &'static Shape, value: f64) {
        self.copy = Tree::Double(value);
    }
    fn text(&mut self, _: &'static Shape, value: &str) {
        self.copy = Tree::Text(value.to_owned());
    }
    fn blob(&mut self, _: &'static Shape, value: &Bytes) {
        self.copy = Tree::Blob(value.clone());
    }
    fn timestamp(&mut self, _: &'static Shape, value: Timestamp) {
        self.copy = Tree::Timestamp(value);
    }
    fn document(&mut self, _: &'static Shape, value: &Document) {
        self.copy = Tree::Document(value.clone());
    }

    fn structure(&mut self, value: &dyn Structure) {
        let (here, below) = match self.path.map(|path| path.split_once('.').unwrap_or((path, ""))) {
            Some((here, below)) => (Some(here), Some(below).filter(|below| !below.is_empty())),
            None => (None, None),
        };
        let mut members = Vec::new();
        for (index, member) in value.shape().members().iter().enumerate() {
            let meant = here == Some(member.name);
            if meant && below.is_none() {
                continue;
            }
            if let Some(field) = value.get(index) {
                members.push((index, self.of(below.filter(|_| meant), member.shape, field)));
            }
        }
        self.copy = Tree::Structure(members);
    }

    fn list(&mut self, shape: &'static Shape, items: &mut dyn Iterator<Item = &dyn Emit>) {
        self.copy = Tree::List(items.map(|item| self.of(self.path, shape.element(), item)).collect());
    }

    fn map(&mut self, shape: &'static Shape, entries: &mut dyn Iterator<Item = (&str, &dyn Emit)>) {
        let copied = entries.map(|(key, value)| (key.to_owned(), self.of(self.path, shape.element(), value)));
        self.copy = Tree::Map(copied.collect());
    }
}

fn other<T>(shape: &'static Shape) -> Result<T, Malformed> {
    Err(Malformed(format!("what was copied is no {}", shape.name)))
}

impl Source for Tree {
    fn boolean(&mut self, shape: &'static Shape) -> Result<bool, Malformed> {
        if let Self::Boolean(value) = self { Ok(*value) } else { other(shape) }
    }
    fn integer(&mut self, shape: &'static Shape) -> Result<i64, Malformed> {
        if let Self::Integer(value) = self { Ok(*value) } else { other(shape) }
    }
    fn double(&mut self, shape: &'static Shape) -> Result<f64, Malformed> {
        if let Self::Double(value) = self { Ok(*value) } else { other(shape) }
    }
    fn text(&mut self, shape: &'static Shape) -> Result<String, Malformed> {
        if let Self::Text(value) = self { Ok(std::mem::take(value)) } else { other(shape) }
    }
    fn blob(&mut self, shape: &'static Shape) -> Result<Bytes, Malformed> {
        if let Self::Blob(value) = self { Ok(std::mem::take(value)) } else { other(shape) }
    }
    fn timestamp(&mut self, shape: &'static Shape) -> Result<Timestamp, Malformed> {
        if let Self::Timestamp(value) = self { Ok(*value) } else { other(shape) }
    }
    fn document(&mut self, shape: &'static Shape) -> Result<Document, Malformed> {
        if let Self::Document(value) = self { Ok(value.take()) } else { other(shape) }
    }

    fn structure(&mut self, into: &mut dyn Structure) -> Result<(), Malformed> {
        let Self::Structure(members) = self else { return other(into.shape()) };
        members.iter_mut().try_for_each(|(index, value)| into.set(*index, value))
    }

    fn list(
        &mut self,
        shape: &'static Shape,
        item: &mut dyn FnMut(&mut dyn Source) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let Self::List(items) = self else { return other(shape) };
        items.iter_mut().try_for_each(|value| item(value))
    }

    fn map(
        &mut self,
        shape: &'static Shape,
        entry: &mut dyn FnMut(String, &mut dyn Source) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let Self::Map(entries) = self else { return other(shape) };
        entries.iter_mut().try_for_each(|(key, value)| entry(std::mem::take(key), value))
    }
}

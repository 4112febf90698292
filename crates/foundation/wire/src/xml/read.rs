//! XML elements to typed values.

use base::Timestamp;
use bytes::Bytes;

use super::tree::{Id, Tree};
use crate::scalar::Texts;
use crate::value::{Malformed, Source, Structure};
use crate::{Kind, Location, Member, Shape, TimestampFormat};

/// A position in a document: one element, or one of its attributes.
pub(crate) struct At<'t> {
    tree: &'t Tree,
    element: Id,
    // Set when the value is an attribute of the element.
    attribute: Option<&'t str>,
    // Whether the list or map here is the element and its siblings, without an element around them.
    flattened: bool,
    // The member's own timestamp format.
    format: Option<TimestampFormat>,
    // Set for the root of a body: members that travel elsewhere are not in it.
    body_only: bool,
}

impl<'t> At<'t> {
    /// At the root, whose value travels in the body alone.
    pub(crate) fn body(tree: &'t Tree) -> Self {
        Self { body_only: true, ..Self::plain(tree, tree.root()) }
    }

    /// At the root, which is the whole value.
    pub(crate) fn root(tree: &'t Tree) -> Self {
        Self::plain(tree, tree.root())
    }

    fn plain(tree: &'t Tree, element: Id) -> Self {
        Self { tree, element, attribute: None, flattened: false, format: None, body_only: false }
    }

    fn member(tree: &'t Tree, element: Id, member: &'static Member) -> Self {
        Self { flattened: member.flattened, format: member.timestamp, ..Self::plain(tree, element) }
    }

    /// The text here, as it stands.
    fn raw(&self) -> Result<&'t str, Malformed> {
        match self.attribute {
            Some(value) => Ok(value),
            None if self.tree.has_children(self.element) => Err(Malformed(format!(
                "The element {} holds others where text was expected",
                self.tree.name(self.element)
            ))),
            None => Ok(self.tree.content(self.element)),
        }
    }

    /// The text here, as a value that is not text: white space around it means nothing.
    fn texts(&self) -> Result<Texts<'t>, Malformed> {
        let mut texts = Texts::one(self.raw()?.trim(), TimestampFormat::Iso8601);
        texts.member = self.format;
        Ok(texts)
    }

    fn elements(&self, name: &'static str) -> Vec<Id> {
        if self.flattened {
            return self.tree.alike(self.element).collect();
        }
        self.tree.children(self.element).filter(|child| self.tree.name(*child) == name).collect()
    }
}

/// The member that an element of this name is.
fn find(members: &'static [Member], name: &str, from: &mut usize) -> Option<usize> {
    let is = |member: &Member| !member.attribute && member.wire == name;
    let length = members.len();
    let found = (0..length).map(|step| (*from + step) % length).find(|&index| is(&members[index]))?;
    *from = found;
    Some(found)
}

impl Source for At<'_> {
    fn boolean(&mut self, shape: &'static Shape) -> Result<bool, Malformed> {
        self.texts()?.boolean(shape)
    }
    fn integer(&mut self, shape: &'static Shape) -> Result<i64, Malformed> {
        self.texts()?.integer(shape)
    }
    fn double(&mut self, shape: &'static Shape) -> Result<f64, Malformed> {
        self.texts()?.double(shape)
    }
    fn text(&mut self, _: &'static Shape) -> Result<String, Malformed> {
        self.raw().map(str::to_owned)
    }
    fn blob(&mut self, shape: &'static Shape) -> Result<Bytes, Malformed> {
        self.texts()?.blob(shape)
    }
    fn timestamp(&mut self, shape: &'static Shape) -> Result<Timestamp, Malformed> {
        self.texts()?.timestamp(shape)
    }

    fn structure(&mut self, into: &mut dyn Structure) -> Result<(), Malformed> {
        let members = into.shape().members();
        let here = |member: &Member| !self.body_only || member.location == Location::Body;
        for (index, member) in members.iter().enumerate().filter(|(_, member)| member.attribute && here(member)) {
            if let Some(value) = self.tree.attribute(self.element, member.wire) {
                let mut at = Self { attribute: Some(value), ..At::member(self.tree, self.element, member) };
                into.set(index, &mut at)?;
            }
        }
        let (mut from, mut seen) = (0, vec![false; members.len()]);
        for child in self.tree.children(self.element) {
            let name = self.tree.name(child);
            let Some(index) = find(members, name, &mut from).filter(|index| here(&members[*index])) else { continue };
            let member = &members[index];
            if std::mem::replace(&mut seen[index], true) {
                if member.flattened {
                    continue;
                }
                return Err(Malformed(format!("The element {name} is there twice")));
            }
            into.set(index, &mut At::member(self.tree, child, member))?;
        }
        Ok(())
    }

    fn list(
        &mut self,
        shape: &'static Shape,
        item: &mut dyn FnMut(&mut dyn Source) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let Kind::List(element) = shape.kind else { return Ok(()) };
        self.elements(element.wire).into_iter().try_for_each(|id| item(&mut At::plain(self.tree, id)))
    }

    fn map(
        &mut self,
        shape: &'static Shape,
        entry: &mut dyn FnMut(String, &mut dyn Source) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let Kind::Map(key, value) = shape.kind else { return Ok(()) };
        for id in self.elements("entry") {
            let name = self.tree.child(id, key.wire).map(|key| self.tree.content(key).to_owned());
            let name = name.ok_or_else(|| Malformed(format!("A map's entry has no {}", key.wire)))?;
            if let Some(id) = self.tree.child(id, value.wire) {
                entry(name, &mut At::plain(self.tree, id))?;
            }
        }
        Ok(())
    }
}

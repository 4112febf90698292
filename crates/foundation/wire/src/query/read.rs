//! A form's dotted names as a tree: `Tags.member.1.Key=a`.

use std::collections::BTreeMap;

use base::Timestamp;
use bytes::Bytes;

use crate::scalar::Texts;
use crate::value::{Document, Malformed, Source, Structure};
use crate::{Kind, Shape, TimestampFormat};

/// Names may have this many parts: deeper ones fit no shape, and reading recurses.
const DEPTH: usize = 128;

/// The parameters whose names start alike.
#[derive(Debug, Default)]
pub(super) struct Node {
    value: Option<String>,
    children: BTreeMap<String, Node>,
}

impl Node {
    /// Adds the parameters of a form.
    pub(super) fn add(&mut self, form: &[u8]) -> Result<(), Malformed> {
        for (name, value) in form_urlencoded::parse(form) {
            let mut node = &mut *self;
            for (depth, part) in name.split('.').enumerate() {
                if depth == DEPTH {
                    return Err(Malformed(format!("A parameter's name has more than {DEPTH} parts")));
                }
                node = node.children.entry(part.to_owned()).or_default();
            }
            node.value = Some(value.into_owned());
        }
        Ok(())
    }

    /// Reads the whole form into an input.
    pub(super) fn read(&self, into: &mut dyn Structure) -> Result<(), Malformed> {
        At { node: self, flattened: false, format: None }.structure(into)
    }

    /// The children with numbers for names, in the numbers' order.
    fn numbered(&self) -> Vec<(u64, &Self)> {
        let mut items: Vec<_> =
            self.children.iter().filter_map(|(name, child)| Some((name.parse().ok()?, child))).collect();
        items.sort_by_key(|(number, _)| *number);
        items
    }
}

/// A position in the tree.
struct At<'a> {
    node: &'a Node,
    // Whether the member here has no wrapping element.
    flattened: bool,
    // The member's own timestamp format.
    format: Option<TimestampFormat>,
}

impl<'a> At<'a> {
    fn plain(node: &'a Node) -> Self {
        Self { node, flattened: false, format: None }
    }

    fn texts(&self) -> Result<Texts<'a>, Malformed> {
        let value =
            self.node.value.as_deref().ok_or_else(|| Malformed("Unexpected complex element termination".into()))?;
        let mut texts = Texts::one(value, TimestampFormat::Iso8601);
        texts.member = self.format;
        Ok(texts)
    }

    /// The numbered children under the wrapping element, if there is one.
    fn items(&self, wrapper: &str) -> Vec<(u64, &'a Node)> {
        let wrapped = if self.flattened { None } else { self.node.children.get(wrapper) };
        wrapped.unwrap_or(self.node).numbered()
    }
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
    fn text(&mut self, shape: &'static Shape) -> Result<String, Malformed> {
        self.texts()?.text(shape)
    }
    fn blob(&mut self, shape: &'static Shape) -> Result<Bytes, Malformed> {
        self.texts()?.blob(shape)
    }
    fn timestamp(&mut self, shape: &'static Shape) -> Result<Timestamp, Malformed> {
        self.texts()?.timestamp(shape)
    }
    fn document(&mut self, shape: &'static Shape) -> Result<Document, Malformed> {
        self.texts()?.document(shape)
    }

    fn structure(&mut self, into: &mut dyn Structure) -> Result<(), Malformed> {
        for (index, member) in into.shape().members().iter().enumerate() {
            // A flattened list goes by its own name or by its items'.
            let by_item = || match member.shape.kind {
                Kind::List(item) if member.flattened => self.node.children.get(item.wire),
                _ => None,
            };
            let Some(node) = self.node.children.get(member.wire).or_else(by_item) else { continue };
            into.set(index, &mut At { node, flattened: member.flattened, format: member.timestamp })?;
        }
        Ok(())
    }

    fn list(
        &mut self,
        shape: &'static Shape,
        item: &mut dyn FnMut(&mut dyn Source) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let Kind::List(element) = shape.kind else { return Ok(()) };
        self.items(element.wire).into_iter().try_for_each(|(_, node)| item(&mut At::plain(node)))
    }

    fn map(
        &mut self,
        shape: &'static Shape,
        entry: &mut dyn FnMut(String, &mut dyn Source) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let Kind::Map(key, value) = shape.kind else { return Ok(()) };
        for (number, node) in self.items("entry") {
            let name = node.children.get(key.wire).and_then(|key| key.value.clone());
            let name = name.ok_or_else(|| Malformed(format!("The map's entry {number} has no {}", key.wire)))?;
            if let Some(node) = node.children.get(value.wire) {
                entry(name, &mut At::plain(node))?;
            }
        }
        Ok(())
    }
}

//! A form's dotted names as a tree: `Tags.member.1.Key=a`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base::Timestamp;
use bytes::Bytes;

use crate::scalar::Texts;
use crate::value::{Document, Malformed, Source, Structure};
use crate::{Kind, Member, Protocol, Shape, TimestampFormat};

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
        for pair in form.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let mut sides = pair.splitn(2, |byte| *byte == b'=');
            let (name, value) = (plain(sides.next())?, plain(sides.next())?);
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
    pub(super) fn read(&self, protocol: Protocol, into: &mut dyn Structure) -> Result<(), Malformed> {
        At { node: self, ec2: protocol == Protocol::Ec2Query, flattened: false, format: None }.structure(into)
    }

    /// The children with numbers for names, in the numbers' order.
    fn numbered(&self) -> Vec<(u64, &Self)> {
        let mut items: Vec<_> =
            self.children.iter().filter_map(|(name, child)| Some((name.parse().ok()?, child))).collect();
        items.sort_by_key(|(number, _)| *number);
        items
    }
}

/// EC2's own name of a member, else its wire name with a capital first letter.
fn ec2_name(member: &'static Member) -> Cow<'static, str> {
    if !member.query.is_empty() {
        return Cow::Borrowed(member.query);
    }
    match member.wire.chars().next() {
        Some(first) if first.is_ascii_lowercase() => {
            Cow::Owned(format!("{}{}", first.to_ascii_uppercase(), &member.wire[1..]))
        }
        _ => Cow::Borrowed(member.wire),
    }
}

/// One side of a pair, decoded: `+` is a space.
fn plain(side: Option<&[u8]>) -> Result<Cow<'_, str>, Malformed> {
    let side = side.unwrap_or_default();
    if !side.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return std::str::from_utf8(side).map(Cow::Borrowed).map_err(|_| not_utf8());
    }
    let spaced: Vec<u8> = side.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    let decoded: Vec<u8> = percent_encoding::percent_decode(&spaced).collect();
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| not_utf8())
}

fn not_utf8() -> Malformed {
    Malformed("The request's parameters are not valid UTF-8".into())
}

/// A position in the tree.
struct At<'a> {
    node: &'a Node,
    // Whether names and lists are as EC2 writes them.
    ec2: bool,
    // Whether the member here has no wrapping element.
    flattened: bool,
    // The member's own timestamp format.
    format: Option<TimestampFormat>,
}

impl<'a> At<'a> {
    fn item(&self, node: &'a Node) -> Self {
        Self { node, ec2: self.ec2, flattened: false, format: None }
    }

    /// The parameters of a member.
    fn member(&self, member: &'static Member) -> Option<&'a Node> {
        if self.ec2 {
            return self.node.children.get(&*ec2_name(member));
        }
        let in_queries = || self.node.children.get(member.query).filter(|_| !member.query.is_empty());
        // A flattened list goes by its own name or by its items'.
        let by_item = || match member.shape.kind {
            Kind::List(item) if member.flattened => self.node.children.get(item.wire),
            _ => None,
        };
        in_queries().or_else(|| self.node.children.get(member.wire)).or_else(by_item)
    }

    fn texts(&self) -> Result<Texts<'a>, Malformed> {
        let value =
            self.node.value.as_deref().ok_or_else(|| Malformed("Unexpected complex element termination".into()))?;
        let mut texts = Texts::one(value, TimestampFormat::Iso8601);
        texts.member = self.format;
        Ok(texts)
    }

    /// The text of a value that may not be empty, as AWS refuses an empty one.
    fn given(&self, kind: &str) -> Result<&'a str, Malformed> {
        match self.node.value.as_deref() {
            Some("") => Err(Malformed(format!("missing value for {kind} type"))),
            Some(value) => Ok(value),
            None => Err(Malformed("Unexpected complex element termination".into())),
        }
    }

    /// Whether a flattened list or map has one item and no numbers, as old clients write it: `AttributeName=All`.
    fn is_only(&self, holds: impl FnOnce(&Node) -> bool) -> bool {
        self.flattened && holds(self.node)
    }

    /// The numbered children under the wrapping element, if there is one.
    fn items(&self, wrapper: &str) -> Vec<(u64, &'a Node)> {
        let wrapped = if self.flattened || self.ec2 { None } else { self.node.children.get(wrapper) };
        wrapped.unwrap_or(self.node).numbered()
    }
}

impl Source for At<'_> {
    fn boolean(&mut self, _: &'static Shape) -> Result<bool, Malformed> {
        match self.given("boolean")? {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(Malformed("boolean must follow xsd1.1 definition".into())),
        }
    }
    fn integer(&mut self, shape: &'static Shape) -> Result<i64, Malformed> {
        self.given("decimal")?;
        self.texts()?.integer(shape)
    }
    fn double(&mut self, shape: &'static Shape) -> Result<f64, Malformed> {
        self.given("decimal")?;
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
            let Some(node) = self.member(member) else { continue };
            into.set(index, &mut At { node, ec2: self.ec2, flattened: member.flattened, format: member.timestamp })?;
        }
        Ok(())
    }

    fn list(
        &mut self,
        shape: &'static Shape,
        item: &mut dyn FnMut(&mut dyn Source) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let Kind::List(element) = shape.kind else { return Ok(()) };
        let items = self.items(element.wire);
        if items.is_empty() && self.is_only(|node| node.value.as_deref().is_some_and(|value| !value.is_empty())) {
            return item(&mut self.item(self.node));
        }
        items.into_iter().try_for_each(|(_, node)| item(&mut self.item(node)))
    }

    fn map(
        &mut self,
        shape: &'static Shape,
        entry: &mut dyn FnMut(String, &mut dyn Source) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let Kind::Map(key, value) = shape.kind else { return Ok(()) };
        let mut items = self.items("entry");
        if items.is_empty() && self.is_only(|node| node.children.contains_key(key.wire)) {
            items.push((1, self.node));
        }
        for (number, node) in items {
            let without = |what: &str| Malformed(format!("The map's entry {number} has no {what}"));
            let name = node.children.get(key.wire).and_then(|key| key.value.clone());
            let name = name.ok_or_else(|| without(key.wire))?;
            let node = node.children.get(value.wire).ok_or_else(|| without(value.wire))?;
            entry(name, &mut self.item(node))?;
        }
        Ok(())
    }
}

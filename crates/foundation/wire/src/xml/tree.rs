//! An XML document as a tree of elements, read within limits.
//!
//! A tree, since a flattened list's items may stand apart. Document types and entities of one's own are refused, so
//! nothing expands; text beside elements is refused too, which no shape has.

use std::ops::Range;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use crate::value::Malformed;

/// Elements may nest this deep: reading recurses.
const DEPTH: usize = 128;
/// Elements of one document: 10,000 parts of an upload with their checksums are a fifth of it.
const ELEMENTS: usize = 250_000;

/// No element: the end of a list of siblings.
const NONE: u32 = u32::MAX;

/// One element; names and texts are ranges of the tree's letters.
#[derive(Debug)]
struct Element {
    // Without its prefix, which clients choose freely.
    name: Range<usize>,
    text: Range<usize>,
    attributes: Vec<(String, String)>,
    first: u32,
    last: u32,
    next: u32,
}

/// An element's place in its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Id(u32);

/// A document.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    elements: Vec<Element>,
    letters: String,
}

fn refuse(words: impl Into<String>) -> Malformed {
    Malformed(words.into())
}

fn broken(error: impl std::fmt::Display) -> Malformed {
    Malformed(error.to_string())
}

impl Tree {
    /// Reads a document.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let text = std::str::from_utf8(bytes).map_err(|_| refuse("The XML is not valid UTF-8"))?;
        let mut reader = Reader::from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
        let mut tree = Self::default();
        let mut open: Vec<Id> = Vec::new();
        loop {
            match reader.read_event().map_err(broken)? {
                Event::Start(start) => {
                    if open.len() == DEPTH {
                        return Err(refuse(format!("The XML nests deeper than {DEPTH} elements")));
                    }
                    let id = tree.add(&start, open.last().copied())?;
                    open.push(id);
                }
                Event::Empty(start) => drop(tree.add(&start, open.last().copied())?),
                Event::End(_) => drop(open.pop()),
                Event::Text(found) => tree.text(open.last().copied(), &found.xml10_content())?,
                Event::CData(found) => tree.text(open.last().copied(), &found.xml10_content())?,
                Event::GeneralRef(reference) => {
                    let letter = match reference.resolve_char_ref().map_err(broken)? {
                        Some(letter) => letter,
                        None => predefined(&reference.into_inner())?,
                    };
                    tree.text(open.last().copied(), letter.encode_utf8(&mut [0; 4]))?;
                }
                Event::DocType(_) => return Err(refuse("A document type is not allowed")),
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
                Event::Eof => break,
            }
        }
        if tree.elements.is_empty() || !open.is_empty() {
            return Err(refuse("The XML ends before its root element does"));
        }
        Ok(tree)
    }

    fn add(&mut self, start: &BytesStart<'_>, parent: Option<Id>) -> Result<Id, Malformed> {
        if parent.is_none() && !self.elements.is_empty() {
            return Err(refuse("The XML has more than one root element"));
        }
        let id = u32::try_from(self.elements.len()).unwrap_or(NONE);
        if id as usize >= ELEMENTS {
            return Err(refuse(format!("The XML has more than {ELEMENTS} elements")));
        }
        let begin = self.letters.len();
        self.letters.push_str(start.local_name().as_ref());
        let name = begin..self.letters.len();
        let attributes = attributes(start)?;
        self.elements.push(Element { name, text: 0..0, attributes, first: NONE, last: NONE, next: NONE });
        if let Some(parent) = parent {
            if !self.content(parent).trim().is_empty() {
                return Err(refuse("The XML has text beside elements"));
            }
            let parent = &mut self.elements[parent.0 as usize];
            parent.text = 0..0;
            match std::mem::replace(&mut parent.last, id) {
                NONE => parent.first = id,
                last => self.elements[last as usize].next = id,
            }
        }
        Ok(Id(id))
    }

    fn text(&mut self, open: Option<Id>, found: &str) -> Result<(), Malformed> {
        let Some(element) = open.map(|id| &mut self.elements[id.0 as usize]).filter(|element| element.first == NONE)
        else {
            return if found.trim().is_empty() { Ok(()) } else { Err(refuse("The XML has text beside elements")) };
        };
        // Nothing else was read since the element began but its own text, so the text goes on where it ended.
        if element.text.is_empty() {
            element.text = self.letters.len()..self.letters.len();
        }
        self.letters.push_str(found);
        element.text.end = self.letters.len();
        Ok(())
    }

    /// The root element.
    pub(crate) const fn root(&self) -> Id {
        Id(0)
    }

    /// An element's name, without its prefix.
    pub(crate) fn name(&self, id: Id) -> &str {
        &self.letters[self.elements[id.0 as usize].name.clone()]
    }

    /// An element's own text.
    pub(crate) fn content(&self, id: Id) -> &str {
        &self.letters[self.elements[id.0 as usize].text.clone()]
    }

    /// Whether an element holds others.
    pub(crate) fn has_children(&self, id: Id) -> bool {
        self.elements[id.0 as usize].first != NONE
    }

    /// An attribute by its name, prefix included.
    pub(crate) fn attribute(&self, id: Id, name: &str) -> Option<&str> {
        let attributes = &self.elements[id.0 as usize].attributes;
        attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// An element's children in order.
    pub(crate) fn children(&self, id: Id) -> impl Iterator<Item = Id> + '_ {
        self.line(self.elements[id.0 as usize].first)
    }

    /// The element and the siblings after it that have its name.
    pub(crate) fn alike(&self, id: Id) -> impl Iterator<Item = Id> + '_ {
        let name = self.name(id);
        self.line(id.0).filter(move |other| self.name(*other) == name)
    }

    /// The first child of that name.
    pub(crate) fn child(&self, id: Id, name: &str) -> Option<Id> {
        self.children(id).find(|child| self.name(*child) == name)
    }

    fn line(&self, first: u32) -> impl Iterator<Item = Id> + '_ {
        let some = |id: u32| (id != NONE).then_some(id);
        std::iter::successors(some(first), move |id| some(self.elements[*id as usize].next)).map(Id)
    }
}

fn attributes(start: &BytesStart<'_>) -> Result<Vec<(String, String)>, Malformed> {
    if start.attributes_raw().trim().is_empty() {
        return Ok(Vec::new());
    }
    let pair = |attribute: Result<quick_xml::events::attributes::Attribute<'_>, _>| {
        let attribute = attribute.map_err(broken)?;
        let value = attribute.normalized_value(XmlVersion::Explicit1_0).map_err(broken)?;
        Ok((attribute.key.as_ref().to_owned(), value.into_owned()))
    };
    start.attributes().map(pair).collect()
}

/// The five entities that XML itself has.
fn predefined(name: &str) -> Result<char, Malformed> {
    Ok(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        other => return Err(refuse(format!("The XML entity '{other}' is not defined"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        Tree::parse(text.as_bytes()).unwrap_err().0
    }

    #[test]
    fn names_texts_and_attributes_are_found() {
        let text = "\u{feff}<?xml version=\"1.0\"?><!-- c --><s:A x:t='1&amp;2'><b>x &lt;<![CDATA[<y>]]>&#65;</b> <c/><b>2</b></s:A>\n";
        let tree = Tree::parse(text.as_bytes()).unwrap();
        assert_eq!((tree.name(tree.root()), tree.attribute(tree.root(), "x:t")), ("A", Some("1&2")));
        let first = tree.child(tree.root(), "b").unwrap();
        assert_eq!(tree.content(first), "x <<y>A");
        let alike: Vec<_> = tree.alike(first).map(|id| tree.content(id)).collect();
        assert_eq!(alike, ["x <<y>A", "2"]);
        assert_eq!(tree.content(tree.child(tree.root(), "c").unwrap()), "");
    }

    #[test]
    fn what_expands_or_is_not_well_formed_is_refused() {
        let bomb = "<!DOCTYPE a [<!ENTITY x \"xx\">]><a>&x;</a>";
        assert_eq!(refusal(bomb), "A document type is not allowed");
        assert_eq!(refusal("<a>&x;</a>"), "The XML entity 'x' is not defined");
        for text in [
            "",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "x<a/>",
            "<a/>x",
            "<a>&</a>",
            "<a b></a>",
            "<a>x<b/></a>",
            "<a><b/>x</a>",
            "<a b='1' b='2'/>",
            "<a>&#0;</a>",
        ] {
            assert!(Tree::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Tree::parse(b"<a>\xff</a>").is_err());
        let deep = "<a>".repeat(DEPTH + 1);
        assert_eq!(refusal(&deep), "The XML nests deeper than 128 elements");
        let wide = format!("<a>{}</a>", "<b/>".repeat(ELEMENTS));
        assert_eq!(refusal(&wide), "The XML has more than 250000 elements");
    }
}

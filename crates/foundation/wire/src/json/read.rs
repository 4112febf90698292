//! JSON text to typed values: each goes straight into its place, no tree is built.

use std::borrow::Cow;

use crate::moment;
use crate::value::{Document, Malformed, Source, Structure};
use crate::{Kind, Location, Member, Shape, TimestampFormat};
use base::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::lex::Reader;
use super::words;

impl Reader<'_> {
    /// Reads the members that travel in the body into `into`, whose others come from elsewhere.
    pub(crate) fn body_members(&mut self, into: &mut dyn Structure) -> Result<(), Malformed> {
        self.body_only = true;
        self.structure(into)
    }

    /// What AWS says when the next value is not one of `shape`.
    fn mismatch(&mut self, shape: &'static Shape) -> Malformed {
        let found = match self.peek() {
            Some(b'{') => return Malformed(words::object(self.newer).into()),
            Some(b'[') => return Malformed(words::list(self.newer, shape)),
            Some(b'"') => "STRING_VALUE",
            Some(b'-' | b'0'..=b'9') if self.newer && self.has_fraction() => "DECIMAL_VALUE",
            Some(b'-' | b'0'..=b'9') => "NUMBER_VALUE",
            Some(b't') => "TRUE_VALUE",
            Some(b'f') => "FALSE_VALUE",
            Some(b'n') => "NULL_VALUE",
            _ => return self.unexpected(),
        };
        match shape.kind {
            Kind::List(_) | Kind::Map(..) | Kind::Structure(_) | Kind::Union(_) => {
                Malformed(words::scalar(self.newer, shape).into())
            }
            Kind::Blob if self.newer => Malformed("only base-64-encoded strings are convertible to bytes".into()),
            _ => Malformed(words::converted(self.newer, found, words::java(shape))),
        }
    }

    /// Whether the number that is next has a fraction.
    fn has_fraction(&self) -> bool {
        let number = self.text.as_bytes()[self.at..].iter();
        number.take_while(|byte| !matches!(byte, b',' | b'}' | b']')).any(|byte| *byte == b'.')
    }
}

/// The index of the member called `key`. Clients mostly send members in the model's order, so the search starts
/// where the last one ended.
fn find(members: &'static [Member], key: &str, from: &mut usize) -> Option<usize> {
    let length = members.len();
    let found = (0..length).map(|step| (*from + step) % length).find(|&index| members[index].wire == key)?;
    *from = found + 1;
    Some(found)
}

impl Source for Reader<'_> {
    fn boolean(&mut self, shape: &'static Shape) -> Result<bool, Malformed> {
        match self.peek() {
            Some(b't') => self.word("true").map(|()| true),
            Some(b'f') => self.word("false").map(|()| false),
            _ => Err(self.mismatch(shape)),
        }
    }

    fn integer(&mut self, shape: &'static Shape) -> Result<i64, Malformed> {
        if !matches!(self.peek(), Some(b'-' | b'0'..=b'9')) {
            return Err(self.mismatch(shape));
        }
        let text = self.number()?;
        let refuse = || Malformed(words::converted(self.newer, "NUMBER_VALUE", words::java(shape)));
        let value = crate::scalar::truncated(text).ok_or_else(refuse)?;
        let fits = !matches!(shape.kind, Kind::Integer) || i32::try_from(value).is_ok();
        // What the model's own range refuses is refused in its words.
        let ranged = shape.max.is_some_and(|max| value > max) || shape.min.is_some_and(|min| value < min);
        if fits || ranged { Ok(value) } else { Err(refuse()) }
    }

    fn double(&mut self, shape: &'static Shape) -> Result<f64, Malformed> {
        match self.peek() {
            Some(b'-' | b'0'..=b'9') => {
                let text = self.number()?;
                let refuse = |_| Malformed(words::converted(self.newer, "NUMBER_VALUE", words::java(shape)));
                text.parse().map_err(refuse)
            }
            Some(b'"') => {
                let start = self.at;
                let special = crate::scalar::special_double(&self.string()?);
                special.ok_or_else(|| {
                    self.at = start;
                    self.mismatch(shape)
                })
            }
            _ => Err(self.mismatch(shape)),
        }
    }

    fn text(&mut self, shape: &'static Shape) -> Result<String, Malformed> {
        match self.peek() {
            Some(b'"') => self.string().map(Cow::into_owned),
            _ => Err(self.mismatch(shape)),
        }
    }

    fn blob(&mut self, shape: &'static Shape) -> Result<Bytes, Malformed> {
        if self.peek() != Some(b'"') {
            return Err(self.mismatch(shape));
        }
        let text = self.string()?;
        let decoded = STANDARD.decode(text.as_bytes()).map(Bytes::from);
        decoded.map_err(|_| Malformed(words::base64(self.newer, &text)))
    }

    fn timestamp(&mut self, shape: &'static Shape) -> Result<Timestamp, Malformed> {
        let format = self.format.take().or(shape.timestamp).unwrap_or(TimestampFormat::Unix);
        let text = match self.peek() {
            Some(b'-' | b'0'..=b'9') if format == TimestampFormat::Unix => Cow::Borrowed(self.number()?),
            Some(b'"') if format != TimestampFormat::Unix => self.string()?,
            _ => return Err(self.mismatch(shape)),
        };
        let found = if format == TimestampFormat::Unix { "NUMBER_VALUE" } else { "STRING_VALUE" };
        moment::parse(&text, format)
            .ok_or_else(|| Malformed(words::converted(self.newer, found, "milliseconds since epoch")))
    }

    fn document(&mut self, _: &'static Shape) -> Result<Document, Malformed> {
        self.peek();
        let start = self.at;
        self.skip()?;
        serde_json::from_str(&self.text[start..self.at]).map_err(|error| Malformed(error.to_string()))
    }

    fn structure(&mut self, into: &mut dyn Structure) -> Result<(), Malformed> {
        let body_only = std::mem::take(&mut self.body_only);
        if self.peek().is_some_and(|byte| byte != b'{') {
            return Err(self.mismatch(into.shape()));
        }
        let members = into.shape().members();
        let mut from = 0;
        self.walk(b'{', b'}', |reader| {
            let key = reader.key()?;
            let found =
                find(members, &key, &mut from).filter(|index| !body_only || members[*index].location == Location::Body);
            match found {
                None => reader.skip(),
                Some(_) if reader.null()? => Ok(()),
                Some(index) => {
                    reader.format = members[index].timestamp;
                    into.set(index, reader)?;
                    reader.format = None;
                    Ok(())
                }
            }
        })
    }

    fn list(
        &mut self,
        shape: &'static Shape,
        item: &mut dyn FnMut(&mut dyn Source) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.format = None;
        if self.peek().is_some_and(|byte| byte != b'[') {
            return Err(self.mismatch(shape));
        }
        self.walk(b'[', b']', |reader| if reader.null()? { Ok(()) } else { item(reader) })
    }

    fn map(
        &mut self,
        shape: &'static Shape,
        entry: &mut dyn FnMut(String, &mut dyn Source) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.format = None;
        if self.peek().is_some_and(|byte| byte != b'{') {
            return Err(self.mismatch(shape));
        }
        self.walk(b'{', b'}', |reader| {
            let key = reader.key()?;
            if reader.null()? { Ok(()) } else { entry(key.into_owned(), reader) }
        })
    }
}

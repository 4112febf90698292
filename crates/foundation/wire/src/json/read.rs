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

impl Reader<'_> {
    /// Reads the members that travel in the body into `into`, whose others come from elsewhere.
    pub(crate) fn body_members(&mut self, into: &mut dyn Structure) -> Result<(), Malformed> {
        self.body_only = true;
        self.structure(into)
    }

    /// What AWS says when the next value is of another kind than `wanted`.
    fn mismatch(&mut self, wanted: &str) -> Malformed {
        let found = match self.peek() {
            Some(b'{') => return Malformed("Start of structure or map found where not expected.".into()),
            Some(b'[') => return Malformed("Start of list found where not expected".into()),
            Some(b'"') => "STRING_VALUE",
            Some(b'-' | b'0'..=b'9') => "NUMBER_VALUE",
            Some(b't') => "TRUE_VALUE",
            Some(b'f') => "FALSE_VALUE",
            Some(b'n') => "NULL_VALUE",
            _ => return self.unexpected(),
        };
        Malformed(format!("{found} cannot be converted to {wanted}"))
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
    fn boolean(&mut self, _: &'static Shape) -> Result<bool, Malformed> {
        match self.peek() {
            Some(b't') => self.word("true").map(|()| true),
            Some(b'f') => self.word("false").map(|()| false),
            _ => Err(self.mismatch("Boolean")),
        }
    }

    fn integer(&mut self, shape: &'static Shape) -> Result<i64, Malformed> {
        let narrow = matches!(shape.kind, Kind::Integer);
        let wanted = if narrow { "Integer" } else { "Long" };
        if !matches!(self.peek(), Some(b'-' | b'0'..=b'9')) {
            return Err(self.mismatch(wanted));
        }
        let text = self.number()?;
        crate::scalar::integer(text, narrow)
            .ok_or_else(|| Malformed(format!("NUMBER_VALUE {text} cannot be converted to {wanted}")))
    }

    fn double(&mut self, shape: &'static Shape) -> Result<f64, Malformed> {
        let wanted = if matches!(shape.kind, Kind::Float) { "Float" } else { "Double" };
        match self.peek() {
            Some(b'-' | b'0'..=b'9') => {
                let text = self.number()?;
                text.parse().map_err(|_| Malformed(format!("NUMBER_VALUE cannot be converted to {wanted}")))
            }
            Some(b'"') => {
                let start = self.at;
                let special = crate::scalar::special_double(&self.string()?);
                special.ok_or_else(|| {
                    self.at = start;
                    self.mismatch(wanted)
                })
            }
            _ => Err(self.mismatch(wanted)),
        }
    }

    fn text(&mut self, _: &'static Shape) -> Result<String, Malformed> {
        match self.peek() {
            Some(b'"') => self.string().map(Cow::into_owned),
            _ => Err(self.mismatch("String")),
        }
    }

    fn blob(&mut self, _: &'static Shape) -> Result<Bytes, Malformed> {
        if self.peek() != Some(b'"') {
            return Err(self.mismatch("Blob"));
        }
        let text = self.string()?;
        STANDARD.decode(text.as_bytes()).map(Bytes::from).map_err(|_| Malformed("The blob is not valid base64".into()))
    }

    fn timestamp(&mut self, shape: &'static Shape) -> Result<Timestamp, Malformed> {
        let format = self.format.take().or(shape.timestamp).unwrap_or(TimestampFormat::Unix);
        let text = match self.peek() {
            Some(b'-' | b'0'..=b'9') if format == TimestampFormat::Unix => Cow::Borrowed(self.number()?),
            Some(b'"') if format != TimestampFormat::Unix => self.string()?,
            _ => return Err(self.mismatch("milliseconds since epoch")),
        };
        moment::parse(&text, format)
            .ok_or_else(|| Malformed(format!("{text} cannot be converted to milliseconds since epoch")))
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
            return Err(match self.peek() {
                Some(b'[') => self.mismatch(""),
                _ => Malformed("Expected structure or null".into()),
            });
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
        _: &'static Shape,
        item: &mut dyn FnMut(&mut dyn Source) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.format = None;
        match self.peek() {
            Some(b'[') | None => {}
            Some(b'{') => return Err(self.mismatch("")),
            Some(_) => return Err(Malformed("Expected list or null".into())),
        }
        self.walk(b'[', b']', |reader| if reader.null()? { Ok(()) } else { item(reader) })
    }

    fn map(
        &mut self,
        _: &'static Shape,
        entry: &mut dyn FnMut(String, &mut dyn Source) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.format = None;
        match self.peek() {
            Some(b'{') | None => {}
            Some(b'[') => return Err(self.mismatch("")),
            Some(_) => return Err(Malformed("Expected map or null".into())),
        }
        self.walk(b'{', b'}', |reader| {
            let key = reader.key()?;
            if reader.null()? { Ok(()) } else { entry(key.into_owned(), reader) }
        })
    }
}

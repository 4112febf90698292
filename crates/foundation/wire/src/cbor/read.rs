//! CBOR to typed values: each goes straight into its place, no tree is built.

use std::borrow::Cow;

use base::Timestamp;
use bytes::Bytes;
use minicbor::data::Type;
use minicbor::decode::{Decoder, Error};

use crate::json::words;
use crate::value::{Document, Malformed, Source, Structure};
use crate::{Kind, Member, Shape};

/// Values may nest this deep: recursion must end before the stack does.
const DEPTH: u32 = 128;

/// The tag of a moment in seconds. Source: RFC 8949, 3.4.2.
const EPOCH: u64 = 1;

/// A position in CBOR data.
pub(crate) struct Reader<'b> {
    decoder: Decoder<'b>,
    depth: u32,
}

fn broken(error: Error) -> Malformed {
    Malformed(format!("The CBOR is not well-formed: {error}"))
}

impl<'b> Reader<'b> {
    /// At the start of `bytes`.
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self { decoder: Decoder::new(bytes), depth: 0 }
    }

    /// Checks that nothing follows the value.
    pub(crate) fn end(&self) -> Result<(), Malformed> {
        if self.decoder.position() == self.decoder.input().len() {
            return Ok(());
        }
        Err(Malformed("The CBOR goes on after its value".into()))
    }

    fn kind(&self) -> Result<Type, Malformed> {
        self.decoder.datatype().map_err(broken)
    }

    /// Consumes a null, if it is one.
    fn null(&mut self) -> Result<bool, Malformed> {
        if !matches!(self.kind()?, Type::Null | Type::Undefined) {
            return Ok(false);
        }
        self.decoder.skip().map_err(broken)?;
        Ok(true)
    }

    /// What is said when the next value is not one of `shape`: as of JSON.
    fn mismatch(&self, shape: &'static Shape) -> Malformed {
        let found = match self.kind() {
            Err(broken) => return broken,
            Ok(Type::Map | Type::MapIndef) => return Malformed(words::object(false).into()),
            Ok(Type::Array | Type::ArrayIndef) => return Malformed(words::list(false, shape)),
            Ok(Type::Bool) => "BOOLEAN_VALUE",
            Ok(Type::String | Type::StringIndef) => "STRING_VALUE",
            Ok(Type::Bytes | Type::BytesIndef) => "BYTES_VALUE",
            Ok(Type::Null | Type::Undefined) => "NULL_VALUE",
            Ok(Type::Tag) => "TAGGED_VALUE",
            Ok(_) => "NUMBER_VALUE",
        };
        match shape.kind {
            Kind::List(_) | Kind::Map(..) | Kind::Structure(_) | Kind::Union(_) => {
                Malformed(words::scalar(false, shape).into())
            }
            _ => Malformed(words::converted(false, found, words::java(shape))),
        }
    }

    fn string(&mut self) -> Result<Cow<'b, str>, Malformed> {
        if self.kind()? == Type::String {
            return self.decoder.str().map(Cow::Borrowed).map_err(broken);
        }
        let pieces = self.decoder.str_iter().map_err(broken)?;
        pieces.collect::<Result<String, _>>().map(Cow::Owned).map_err(broken)
    }

    fn key(&mut self) -> Result<Cow<'b, str>, Malformed> {
        if !matches!(self.kind()?, Type::String | Type::StringIndef) {
            return Err(Malformed("A CBOR map's key is not text".into()));
        }
        self.string()
    }

    fn whole(&mut self, shape: &'static Shape) -> Result<Option<i64>, Malformed> {
        use Type::{I8, I16, I32, I64, Int, U8, U16, U32, U64};
        if !matches!(self.kind()?, U8 | U16 | U32 | U64 | I8 | I16 | I32 | I64 | Int) {
            return Ok(None);
        }
        let value = i64::try_from(self.decoder.int().map_err(broken)?);
        value.map(Some).map_err(|_| Malformed(words::converted(false, "NUMBER_VALUE", words::java(shape))))
    }

    fn float(&mut self) -> Result<Option<f64>, Malformed> {
        Ok(match self.kind()? {
            Type::F16 => {
                let at = self.decoder.position();
                let half = self.decoder.input().get(at + 1..at + 3);
                let half = half.ok_or_else(|| Malformed("The CBOR ends within a number".into()))?;
                self.decoder.set_position(at + 3);
                Some(half_float(u16::from_be_bytes([half[0], half[1]])))
            }
            Type::F32 => Some(f64::from(self.decoder.f32().map_err(broken)?)),
            Type::F64 => Some(self.decoder.f64().map_err(broken)?),
            _ => None,
        })
    }

    /// Enters a map or list and walks its elements; `element` reads one.
    fn walk(
        &mut self,
        length: Option<u64>,
        mut element: impl FnMut(&mut Self) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        if self.depth == DEPTH {
            return Err(Malformed(format!("The CBOR nests deeper than {DEPTH} levels")));
        }
        self.depth += 1;
        match length {
            Some(length) => (0..length).try_for_each(|_| element(self))?,
            None => {
                while self.kind()? != Type::Break {
                    element(self)?;
                }
                self.decoder.skip().map_err(broken)?;
            }
        }
        self.depth -= 1;
        Ok(())
    }
}

/// IEEE 754 binary16. Source: RFC 8949, appendix D.
fn half_float(bits: u16) -> f64 {
    let (exponent, mantissa) = ((bits >> 10) & 0x1f, f64::from(bits & 0x3ff));
    let size = match exponent {
        0 => mantissa * 2f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (mantissa + 1024.0) * 2f64.powi(i32::from(exponent) - 25),
    };
    if bits & 0x8000 == 0 { size } else { -size }
}

/// The index of the member called `key`; clients mostly keep the model's order.
fn find(members: &'static [Member], key: &str, from: &mut usize) -> Option<usize> {
    let length = members.len();
    let found = (0..length).map(|step| (*from + step) % length).find(|&index| members[index].wire == key)?;
    *from = found + 1;
    Some(found)
}

impl Source for Reader<'_> {
    fn boolean(&mut self, shape: &'static Shape) -> Result<bool, Malformed> {
        match self.kind()? {
            Type::Bool => self.decoder.bool().map_err(broken),
            _ => Err(self.mismatch(shape)),
        }
    }

    fn integer(&mut self, shape: &'static Shape) -> Result<i64, Malformed> {
        let Some(value) = self.whole(shape)? else { return Err(self.mismatch(shape)) };
        let fits = !matches!(shape.kind, Kind::Integer) || i32::try_from(value).is_ok();
        let ranged = shape.max.is_some_and(|max| value > max) || shape.min.is_some_and(|min| value < min);
        if fits || ranged {
            return Ok(value);
        }
        Err(Malformed(words::converted(false, "NUMBER_VALUE", words::java(shape))))
    }

    fn double(&mut self, shape: &'static Shape) -> Result<f64, Malformed> {
        if let Some(value) = self.float()? {
            return Ok(value);
        }
        match self.whole(shape)? {
            Some(value) => Ok(value as f64),
            None => Err(self.mismatch(shape)),
        }
    }

    fn text(&mut self, shape: &'static Shape) -> Result<String, Malformed> {
        match self.kind()? {
            Type::String | Type::StringIndef => self.string().map(Cow::into_owned),
            _ => Err(self.mismatch(shape)),
        }
    }

    fn blob(&mut self, shape: &'static Shape) -> Result<Bytes, Malformed> {
        match self.kind()? {
            Type::Bytes => self.decoder.bytes().map(Bytes::copy_from_slice).map_err(broken),
            Type::BytesIndef => {
                let mut whole = Vec::new();
                for piece in self.decoder.bytes_iter().map_err(broken)? {
                    whole.extend_from_slice(piece.map_err(broken)?);
                }
                Ok(whole.into())
            }
            _ => Err(self.mismatch(shape)),
        }
    }

    fn timestamp(&mut self, shape: &'static Shape) -> Result<Timestamp, Malformed> {
        if self.kind()? != Type::Tag || self.decoder.tag().map_err(broken)?.as_u64() != EPOCH {
            return Err(self.mismatch(shape));
        }
        let seconds = match self.float()? {
            Some(seconds) => seconds,
            None => self.whole(shape)?.ok_or_else(|| self.mismatch(shape))? as f64,
        };
        crate::moment::of_seconds(seconds)
            .ok_or_else(|| Malformed(words::converted(false, "NUMBER_VALUE", words::java(shape))))
    }

    fn document(&mut self, shape: &'static Shape) -> Result<Document, Malformed> {
        if self.null()? {
            return Ok(Document::Null);
        }
        if let Some(value) = self.whole(shape)? {
            return Ok(value.into());
        }
        if let Some(value) = self.float()? {
            return Ok(serde_json::Number::from_f64(value).map_or(Document::Null, Document::Number));
        }
        Ok(match self.kind()? {
            Type::Bool => self.boolean(shape)?.into(),
            Type::String | Type::StringIndef => self.string()?.into_owned().into(),
            Type::Array | Type::ArrayIndef => {
                let length = self.decoder.array().map_err(broken)?;
                let mut items = Vec::new();
                self.walk(length, |reader| {
                    items.push(reader.document(shape)?);
                    Ok(())
                })?;
                Document::Array(items)
            }
            Type::Map | Type::MapIndef => {
                let length = self.decoder.map().map_err(broken)?;
                let mut members = serde_json::Map::new();
                self.walk(length, |reader| {
                    let key = reader.key()?.into_owned();
                    members.insert(key, reader.document(shape)?);
                    Ok(())
                })?;
                Document::Object(members)
            }
            _ => return Err(self.mismatch(shape)),
        })
    }

    fn structure(&mut self, into: &mut dyn Structure) -> Result<(), Malformed> {
        if !matches!(self.kind()?, Type::Map | Type::MapIndef) {
            return Err(self.mismatch(into.shape()));
        }
        let length = self.decoder.map().map_err(broken)?;
        let members = into.shape().members();
        let mut from = 0;
        self.walk(length, |reader| {
            let key = reader.key()?;
            match find(members, &key, &mut from) {
                None => reader.decoder.skip().map_err(broken),
                Some(_) if reader.null()? => Ok(()),
                Some(index) => into.set(index, reader),
            }
        })
    }

    fn list(
        &mut self,
        shape: &'static Shape,
        item: &mut dyn FnMut(&mut dyn Source) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        if !matches!(self.kind()?, Type::Array | Type::ArrayIndef) {
            return Err(self.mismatch(shape));
        }
        let length = self.decoder.array().map_err(broken)?;
        self.walk(length, |reader| if reader.null()? { Ok(()) } else { item(reader) })
    }

    fn map(
        &mut self,
        shape: &'static Shape,
        entry: &mut dyn FnMut(String, &mut dyn Source) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        if !matches!(self.kind()?, Type::Map | Type::MapIndef) {
            return Err(self.mismatch(shape));
        }
        let length = self.decoder.map().map_err(broken)?;
        self.walk(length, |reader| {
            let key = reader.key()?.into_owned();
            if reader.null()? { Ok(()) } else { entry(key, reader) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::half_float;

    /// RFC 8949, appendix A.
    #[test]
    fn half_floats_are_read() {
        for (bits, value) in [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0x3e00, 1.5),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_477_539_063e-8),
            (0xc400, -4.0),
            (0x7c00, f64::INFINITY),
        ] {
            assert_eq!(half_float(bits), value, "{bits:04x}");
        }
        assert!(half_float(0x7e00).is_nan());
    }
}

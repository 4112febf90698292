//! Values that travel as text outside a body: in headers, labels, query strings and forms.

use std::borrow::Cow;

use base::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::value::{Document, Malformed, Sink, Source};
use crate::{Emit, Kind, Shape, TimestampFormat, moment};

/// A whole number, also when written `3.0` or `3e2`; none when it has a fraction or does not fit.
pub(crate) fn integer(text: &str, narrow: bool) -> Option<i64> {
    let value = match text.parse::<i64>() {
        Ok(value) => value,
        Err(_) => {
            let float: f64 = text.parse().ok()?;
            // Above 2^53 a float no longer names one integer.
            (float.fract() == 0.0 && float.abs() <= 9_007_199_254_740_992.0).then_some(float as i64)?
        }
    };
    (!narrow || i32::try_from(value).is_ok()).then_some(value)
}

/// A number's whole part, as AWS takes a fraction where a whole number belongs; none when it does not fit.
pub(crate) fn truncated(text: &str) -> Option<i64> {
    text.parse::<i64>().ok().or_else(|| {
        let float: f64 = text.parse().ok()?;
        // Above 2^53 a float no longer names one integer.
        (float.abs() <= 9_007_199_254_740_992.0).then_some(float.trunc() as i64)
    })
}

/// The numbers JSON and XML write as words.
pub(crate) fn special_double(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// A float as text.
pub(crate) fn print_double(value: f64) -> String {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity".into() } else { "-Infinity".into() }
    } else {
        format!("{value:?}")
    }
}

/// One member's texts: one for a scalar, several for a list.
pub(crate) struct Texts<'a> {
    pub(crate) values: Vec<Cow<'a, str>>,
    /// The timestamp format of this place, which member and shape may override.
    pub(crate) format: TimestampFormat,
    /// The member's own timestamp format.
    pub(crate) member: Option<TimestampFormat>,
}

impl<'a> Texts<'a> {
    pub(crate) fn one(value: impl Into<Cow<'a, str>>, format: TimestampFormat) -> Self {
        Self { values: vec![value.into()], format, member: None }
    }

    fn first(&self) -> &str {
        self.values.first().map_or("", |value| value)
    }

    fn refuse(&self, wanted: &str) -> Malformed {
        let article = if wanted.starts_with(['I', 'E', 'A', 'O', 'U']) { "an" } else { "a" };
        Malformed(format!("'{}' can not be converted to {article} {wanted}", self.first()))
    }
}

impl Source for Texts<'_> {
    fn boolean(&mut self, _: &'static Shape) -> Result<bool, Malformed> {
        match self.first() {
            text if text.eq_ignore_ascii_case("true") => Ok(true),
            text if text.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err(self.refuse("Boolean")),
        }
    }

    fn integer(&mut self, shape: &'static Shape) -> Result<i64, Malformed> {
        let narrow = matches!(shape.kind, Kind::Integer);
        integer(self.first(), narrow).ok_or_else(|| self.refuse(if narrow { "Integer" } else { "Long" }))
    }

    fn double(&mut self, _: &'static Shape) -> Result<f64, Malformed> {
        let text = self.first();
        // Rust also reads `inf` and `nan`, which AWS does not.
        let plain =
            || text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)).then(|| text.parse().ok());
        special_double(text).or_else(|| plain().flatten()).ok_or_else(|| self.refuse("Double"))
    }

    fn text(&mut self, _: &'static Shape) -> Result<String, Malformed> {
        Ok(self.first().to_owned())
    }

    fn blob(&mut self, _: &'static Shape) -> Result<Bytes, Malformed> {
        STANDARD.decode(self.first()).map(Bytes::from).map_err(|_| self.refuse("Blob"))
    }

    fn timestamp(&mut self, shape: &'static Shape) -> Result<Timestamp, Malformed> {
        let format = self.member.or(shape.timestamp).unwrap_or(self.format);
        moment::parse(self.first(), format)
            .ok_or_else(|| Malformed(format!("'{}' can not be converted to milliseconds since epoch", self.first())))
    }

    fn document(&mut self, _: &'static Shape) -> Result<Document, Malformed> {
        serde_json::from_str(self.first()).map_err(|_| self.refuse("Document"))
    }

    fn list(
        &mut self,
        _: &'static Shape,
        item: &mut dyn FnMut(&mut dyn Source) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        for value in std::mem::take(&mut self.values) {
            item(&mut Texts { values: vec![value], format: self.format, member: self.member })?;
        }
        Ok(())
    }
}

/// A map whose entries are texts: prefix headers, and all the query parameters.
pub(crate) struct TextMap<'a> {
    pub(crate) entries: Vec<(String, Vec<Cow<'a, str>>)>,
    pub(crate) format: TimestampFormat,
}

impl Source for TextMap<'_> {
    fn map(
        &mut self,
        _: &'static Shape,
        entry: &mut dyn FnMut(String, &mut dyn Source) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        for (key, values) in std::mem::take(&mut self.entries) {
            entry(key, &mut Texts { values, format: self.format, member: None })?;
        }
        Ok(())
    }
}

/// Collects a value as texts: scalars one, lists several, maps as pairs.
pub(crate) struct TextSink {
    pub(crate) values: Vec<String>,
    pub(crate) pairs: Vec<(String, String)>,
    pub(crate) format: TimestampFormat,
    pub(crate) member: Option<TimestampFormat>,
}

impl TextSink {
    pub(crate) fn new(format: TimestampFormat) -> Self {
        Self { values: Vec::new(), pairs: Vec::new(), format, member: None }
    }
}

impl Sink for TextSink {
    fn boolean(&mut self, _: &'static Shape, value: bool) {
        self.values.push(value.to_string());
    }
    fn integer(&mut self, _: &'static Shape, value: i64) {
        self.values.push(value.to_string());
    }
    fn double(&mut self, _: &'static Shape, value: f64) {
        self.values.push(print_double(value));
    }
    fn text(&mut self, _: &'static Shape, value: &str) {
        self.values.push(value.to_owned());
    }
    fn blob(&mut self, _: &'static Shape, value: &Bytes) {
        self.values.push(STANDARD.encode(value));
    }
    fn timestamp(&mut self, shape: &'static Shape, value: Timestamp) {
        let format = self.member.or(shape.timestamp).unwrap_or(self.format);
        self.values.push(moment::print(value, format));
    }
    fn document(&mut self, _: &'static Shape, value: &Document) {
        self.values.push(value.to_string());
    }
    fn list(&mut self, shape: &'static Shape, items: &mut dyn Iterator<Item = &dyn Emit>) {
        for item in items {
            item.emit(shape.element(), self);
        }
    }
    fn map(&mut self, shape: &'static Shape, entries: &mut dyn Iterator<Item = (&str, &dyn Emit)>) {
        for (key, value) in entries {
            let mut text = Self::new(self.format);
            value.emit(shape.element(), &mut text);
            self.pairs.extend(text.values.into_iter().map(|value| (key.to_owned(), value)));
        }
    }
}

//! A pull parser over JSON text: positions, strings, numbers, and passing over what nobody wants.

use std::borrow::Cow;

use memchr::memchr2;

use super::words;
use crate::value::Malformed;
use crate::{Operation, TimestampFormat};

/// Values may nest this deep: recursion must end before the stack does.
const DEPTH: u32 = 128;

/// A position in JSON text. How values are read from it stands in `read.rs`.
pub(crate) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    depth: u32,
    // The timestamp format of the member being read, which only its structure knows.
    pub(super) format: Option<TimestampFormat>,
    // Whether the service speaks of what does not fit as the newer of AWS's two frameworks does.
    pub(super) newer: bool,
    // Set while the outermost structure of a REST body is read: members that travel elsewhere are not in the body.
    pub(super) body_only: bool,
}

impl<'a> Reader<'a> {
    /// At the start of `bytes`, which must be UTF-8.
    pub(crate) fn new(bytes: &'a [u8], operation: &Operation) -> Result<Self, Malformed> {
        let text = std::str::from_utf8(bytes).map_err(|_| Malformed("The request body is not valid UTF-8".into()))?;
        Ok(Self { text, at: 0, depth: 0, format: None, newer: words::newer(operation), body_only: false })
    }

    /// At the start of what [`super::keep`] printed.
    pub(super) fn kept(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0, format: None, newer: true, body_only: false }
    }

    /// Checks that nothing follows the value.
    pub(crate) fn end(&mut self) -> Result<(), Malformed> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.unexpected()),
        }
    }

    /// Skips white space and shows the next byte.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    pub(super) fn unexpected(&self) -> Malformed {
        match self.text[self.at..].chars().next() {
            Some(found) => Malformed(format!("Unexpected character ('{}') at byte {}", found.escape_debug(), self.at)),
            None => Malformed("Unexpected end of the JSON text".into()),
        }
    }

    fn take(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.peek() != Some(byte) {
            return Err(self.unexpected());
        }
        self.at += 1;
        Ok(())
    }

    pub(super) fn word(&mut self, word: &str) -> Result<(), Malformed> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.unexpected());
        }
        self.at += word.len();
        Ok(())
    }

    /// Consumes a null, if it is one.
    pub(crate) fn null(&mut self) -> Result<bool, Malformed> {
        if self.peek() != Some(b'n') {
            return Ok(false);
        }
        self.word("null")?;
        Ok(true)
    }

    /// Enters an object or array and walks its elements; `element` reads one.
    pub(super) fn walk(
        &mut self,
        open: u8,
        close: u8,
        mut element: impl FnMut(&mut Self) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.take(open)?;
        if self.depth == DEPTH {
            return Err(Malformed(format!("The JSON text nests deeper than {DEPTH} levels")));
        }
        self.depth += 1;
        if self.peek() != Some(close) {
            loop {
                element(self)?;
                if self.peek() != Some(b',') {
                    break;
                }
                self.at += 1;
            }
        }
        self.depth -= 1;
        self.take(close)
    }

    pub(super) fn key(&mut self) -> Result<Cow<'a, str>, Malformed> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected());
        }
        let key = self.string()?;
        self.take(b':')?;
        Ok(key)
    }

    /// A string; borrowed unless it holds escapes.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, Malformed> {
        self.at += 1;
        let start = self.at;
        let bytes = self.text.as_bytes();
        let Some(length) = memchr2(b'"', b'\\', &bytes[start..]) else {
            self.at = bytes.len();
            return Err(self.unexpected());
        };
        let plain = &self.text[start..start + length];
        self.at = start + length;
        self.no_controls(plain)?;
        if bytes[self.at] == b'"' {
            self.at += 1;
            return Ok(Cow::Borrowed(plain));
        }
        self.escaped(plain.to_owned()).map(Cow::Owned)
    }

    fn no_controls(&self, plain: &str) -> Result<(), Malformed> {
        if plain.bytes().any(|byte| byte < 0x20) {
            return Err(Malformed("Illegal unquoted control character in a JSON string".into()));
        }
        Ok(())
    }

    /// The rest of a string whose first escape is next.
    fn escaped(&mut self, mut out: String) -> Result<String, Malformed> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    self.at += 1;
                    let escape = self.escape()?;
                    out.push(escape);
                }
                Some(_) => {
                    let length = memchr2(b'"', b'\\', &bytes[self.at..]).unwrap_or(bytes.len() - self.at);
                    let plain = &self.text[self.at..self.at + length];
                    self.no_controls(plain)?;
                    out.push_str(plain);
                    self.at += length;
                }
                None => return Err(self.unexpected()),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Malformed> {
        let Some(&byte) = self.text.as_bytes().get(self.at) else { return Err(self.unexpected()) };
        let plain = match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        Ok(plain)
    }

    /// `uXXXX`, or two of them that form a surrogate pair. A lone surrogate is no character.
    fn unicode_escape(&mut self) -> Result<char, Malformed> {
        let high = self.hex4()?;
        let code = if (0xD800..0xDC00).contains(&high) {
            if self.text.as_bytes().get(self.at) != Some(&b'\\') {
                return Err(self.unexpected());
            }
            self.at += 1;
            let low = self.hex4()?;
            if !(0xDC00..0xE000).contains(&low) {
                return Err(Malformed("A JSON string holds half of a surrogate pair".into()));
            }
            0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)
        } else {
            high
        };
        char::from_u32(code).ok_or_else(|| Malformed("A JSON string holds half of a surrogate pair".into()))
    }

    /// `uXXXX`: the `u` is next.
    fn hex4(&mut self) -> Result<u32, Malformed> {
        let digits = self.text.as_bytes().get(self.at..self.at + 5);
        let value = digits.filter(|digits| digits[0] == b'u').and_then(|digits| {
            digits[1..].iter().try_fold(0, |sum, digit| Some(sum * 16 + char::from(*digit).to_digit(16)?))
        });
        let Some(value) = value else { return Err(self.unexpected()) };
        self.at += 5;
        Ok(value)
    }

    /// The text of a number, checked against JSON's grammar.
    pub(super) fn number(&mut self) -> Result<&'a str, Malformed> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        let mut at = start + usize::from(bytes[start] == b'-');
        let whole = at;
        at = digits(at);
        let mut valid = at > whole && (bytes[whole] != b'0' || at == whole + 1);
        if bytes.get(at) == Some(&b'.') {
            let fraction = digits(at + 1);
            valid &= fraction > at + 1;
            at = fraction;
        }
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            let sign = at + 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
            let exponent = digits(sign);
            valid &= exponent > sign;
            at = exponent;
        }
        if !valid {
            return Err(self.unexpected());
        }
        self.at = at;
        Ok(&self.text[start..at])
    }

    /// Passes over one value of any kind, checking its grammar.
    pub(super) fn skip(&mut self) -> Result<(), Malformed> {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number().map(drop),
            Some(b'{') => self.walk(b'{', b'}', |reader| {
                reader.key()?;
                reader.skip()
            }),
            Some(b'[') => self.walk(b'[', b']', Self::skip),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            _ => Err(self.unexpected()),
        }
    }
}

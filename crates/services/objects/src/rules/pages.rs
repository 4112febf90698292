//! Walking through keys in order, a page at a time, past whole prefixes at once.

use std::collections::VecDeque;

use base::Fault;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use store::{Range, Snapshot, Space};

use crate::state;

/// Rows read at first; each further read takes more, up to [`MOST`].
const FIRST: usize = 16;
const MOST: usize = 512;

/// Rows of one kind in a bucket, by key.
pub(crate) struct Walk<'a> {
    view: &'a dyn Snapshot,
    // The row of the first key that begins with something.
    rows: fn(u64, &str) -> Vec<u8>,
    generation: u64,
    range: Range,
    read: VecDeque<(Bytes, Bytes)>,
    batch: usize,
    ended: bool,
}

impl<'a> Walk<'a> {
    /// Through the keys that begin with `prefix`; `rows` gives the rows of keys with a prefix.
    pub(crate) fn new(view: &'a dyn Snapshot, generation: u64, rows: fn(u64, &str) -> Vec<u8>, prefix: &str) -> Self {
        let range = Range::prefix(rows(generation, prefix));
        Self { view, rows, generation, range, read: VecDeque::new(), batch: FIRST, ended: false }
    }

    /// The same, from rows behind this one on.
    pub(crate) fn behind(mut self, row: Vec<u8>) -> Self {
        if row.as_slice() >= start(&self.range) {
            self.range = self.range.after(row);
        }
        self
    }

    /// The same, from this row on.
    pub(crate) fn starting(mut self, row: Vec<u8>) -> Self {
        if row.as_slice() > start(&self.range) {
            self.range = self.range.starting_at(row);
        }
        self
    }

    /// The next row.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn next(&mut self) -> Result<Option<(Bytes, Bytes)>, Fault> {
        if self.read.is_empty() && !self.ended {
            let rows = self.view.range(Space::Object, self.range.clone(), self.batch, false)?;
            self.ended = rows.len() < self.batch;
            self.batch = (self.batch * 4).min(MOST);
            if let Some((last, _)) = rows.last() {
                self.range = self.range.clone().after(last.clone());
            }
            self.read = rows.into();
        }
        Ok(self.read.pop_front())
    }

    /// Goes past all keys that begin with `prefix`.
    pub(crate) fn pass(&mut self, prefix: &str) {
        let beginning = (self.rows)(self.generation, prefix);
        while self.read.front().is_some_and(|(row, _)| row.starts_with(&beginning)) {
            self.read.pop_front();
        }
        if self.read.is_empty()
            && !self.ended
            && let std::ops::Bound::Excluded(end) = Range::prefix(beginning).end
        {
            self.range = self.range.clone().starting_at(end);
            self.batch = FIRST;
        }
    }
}

fn start(range: &Range) -> &[u8] {
    match &range.start {
        std::ops::Bound::Included(start) | std::ops::Bound::Excluded(start) => start,
        std::ops::Bound::Unbounded => &[],
    }
}

/// The prefix under which a key is listed: up to the first delimiter behind `prefix`.
pub(crate) fn common<'k>(key: &'k str, prefix: &str, delimiter: Option<&str>) -> Option<&'k str> {
    let delimiter = delimiter.filter(|delimiter| !delimiter.is_empty())?;
    let rest = key.get(prefix.len()..)?;
    let at = rest.find(delimiter)?;
    Some(&key[..prefix.len() + at + delimiter.len()])
}

/// Where a page ended, and the next one goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Position {
    /// Behind this key.
    Key(String),
    /// Behind all keys that begin so.
    Prefix(String),
}

impl Position {
    /// A token for clients.
    pub(crate) fn token(&self) -> String {
        let (kind, text) = match self {
            Self::Key(text) => ('1', text),
            Self::Prefix(text) => ('2', text),
        };
        URL_SAFE_NO_PAD.encode(format!("{kind}{text}"))
    }

    /// What a token says; none if it is none of ours.
    pub(crate) fn of_token(token: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        let mut rest = text.chars();
        match rest.next()? {
            '1' => Some(Self::Key(rest.as_str().to_owned())),
            '2' => Some(Self::Prefix(rest.as_str().to_owned())),
            _ => None,
        }
    }

    /// The walk from here on.
    pub(crate) fn walk<'a>(&self, walk: Walk<'a>) -> Walk<'a> {
        match self {
            Self::Key(key) => {
                let row = (walk.rows)(walk.generation, key);
                walk.behind(row)
            }
            Self::Prefix(prefix) => match Range::prefix((walk.rows)(walk.generation, prefix)).end {
                std::ops::Bound::Excluded(end) => walk.starting(end.to_vec()),
                _ => walk,
            },
        }
    }
}

/// Text as `encoding-type=url` has it: as a form would send it, with `/` as it is.
pub(crate) fn url(text: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/');
    utf8_percent_encode(text, KEPT).to_string().replace("%20", "+")
}

/// How many entries a page may have.
///
/// # Errors
/// InvalidArgument for less than none.
pub(crate) fn most(asked: Option<i64>, name: &str) -> Result<usize, Fault> {
    let asked = asked.unwrap_or(crate::limits::PAGE);
    let words = format!("Argument {name} must be an integer between 0 and 2147483647");
    usize::try_from(asked.min(crate::limits::PAGE))
        .map_err(|_| crate::faults::argument(words, name, &asked.to_string()))
}

/// Whether names are to be printed as URLs have them.
///
/// # Errors
/// InvalidArgument for anything but `url`.
pub(crate) fn encoded(asked: Option<&str>) -> Result<bool, Fault> {
    match asked {
        None => Ok(false),
        Some("url") => Ok(true),
        Some(other) => {
            Err(crate::faults::argument("Invalid Encoding Method specified in Request", "encoding-type", other))
        }
    }
}

/// A heads' walk, for the listings of objects.
pub(crate) fn of_heads<'a>(view: &'a dyn Snapshot, generation: u64, prefix: &str) -> Walk<'a> {
    Walk::new(view, generation, state::heads, prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_folded_at_the_first_delimiter_behind_the_prefix() {
        for (key, prefix, delimiter, expected) in [
            ("a/b/c", "", "/", Some("a/")),
            ("a/b/c", "a/", "/", Some("a/b/")),
            ("a/b", "a/", "/", None),
            ("a//b", "a/", "/", Some("a//")),
            ("aXXb", "a", "XX", Some("aXX")),
            ("aéb", "", "é", Some("aé")),
            ("a/b", "", "", None),
        ] {
            assert_eq!(common(key, prefix, Some(delimiter)), expected, "{key} {prefix} {delimiter}");
        }
        assert_eq!(common("a/b", "", None), None);
    }

    #[test]
    fn tokens_are_read_as_they_are_written() {
        for place in [Position::Key("a".into()), Position::Prefix("é/".into()), Position::Key(String::new())] {
            assert_eq!(Position::of_token(&place.token()), Some(place));
        }
        for wrong in ["", "!", "YQ"] {
            assert_eq!(Position::of_token(wrong), None);
        }
        assert_eq!(url("a b/ü+*"), "a+b/%C3%BC%2B*");
    }
}

//! Reads a pattern's text from left to right.

use regex::bytes::{Regex, RegexBuilder};

use super::Wrong;

/// A text and how far it was read.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    rest: &'a str,
    /// Regular expressions read so far.
    pub(super) regexes: usize,
}

/// The most a compiled expression may take, bytes.
const REGEX_BYTES: usize = 1 << 14;

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text, regexes: 0 }
    }

    /// What is left, without the space before it.
    pub(super) fn rest(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        self.rest
    }

    /// What is left, as it stands.
    pub(super) fn raw(&self) -> &'a str {
        self.rest
    }

    pub(super) fn at_end(&mut self) -> bool {
        self.rest().is_empty()
    }

    /// Takes `token` if it is next.
    pub(super) fn take(&mut self, token: &str) -> bool {
        match self.rest().strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Takes `word` in any case, if it is next and ends there.
    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let rest = self.rest();
        let Some((head, tail)) = rest.split_at_checked(word.len()) else { return false };
        let ends = !tail.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_');
        if head.eq_ignore_ascii_case(word) && ends {
            self.rest = tail;
            return true;
        }
        false
    }

    /// Takes characters while they fit; may be none.
    pub(super) fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|letter| !fits(letter)).unwrap_or(self.rest.len());
        let (head, tail) = self.rest.split_at(end);
        self.rest = tail;
        head
    }

    /// A text in `quote`s, of which the first is next; a backslash takes the following character as it is.
    pub(super) fn quoted(&mut self, quote: char) -> Result<String, Wrong> {
        let mut letters = self.rest.char_indices().skip(1);
        let mut text = String::new();
        while let Some((at, letter)) = letters.next() {
            if letter == quote {
                self.rest = &self.rest[at + letter.len_utf8()..];
                return Ok(text);
            }
            match letter {
                '\\' => text.extend(letters.next().map(|(_, letter)| letter)),
                _ => text.push(letter),
            }
        }
        Err(format!("a text in {quote} does not end").into())
    }

    /// An expression between percent signs, of which the first is next.
    /// Source: CloudWatch Logs User Guide, "Supported regular expressions (regex) syntax".
    pub(super) fn regex(&mut self) -> Result<Regex, Wrong> {
        let body = &self.rest[1..];
        let end = body.find('%').ok_or("a regular expression does not end with '%'")?;
        let source = &body[..end];
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_#=@/;,-:^$?[]{}|\\*+. ".contains(letter);
        if let Some(letter) = source.chars().find(|letter| !allowed(*letter)) {
            return Err(format!("'{letter}' is not supported in a regular expression").into());
        }
        self.rest = &body[end + 1..];
        self.regexes += 1;
        let built = RegexBuilder::new(source).unicode(false).size_limit(REGEX_BYTES).build();
        built.map_err(|_| format!("the regular expression %{source}% does not read").into())
    }
}

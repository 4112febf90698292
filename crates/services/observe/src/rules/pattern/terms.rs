//! Terms: texts that must, may or must not stand in the message.

use regex::bytes::Regex;

use super::lexer::Lexer;
use super::{Needle, Wrong};

/// What a message must hold.
#[derive(Debug, Default)]
pub(super) struct Terms {
    all: Vec<Term>,
    any: Vec<Term>,
    none: Vec<Term>,
}

#[derive(Debug)]
enum Term {
    Text(Needle),
    Regex(Regex),
}

impl Term {
    fn text(text: &str) -> Self {
        Self::Text(Needle::new(text))
    }

    fn stands_in(&self, message: &[u8]) -> bool {
        match self {
            Self::Text(text) => text.stands_in(message),
            Self::Regex(regex) => regex.is_match(message),
        }
    }

    /// Whether it may stand in one of the messages that these bytes hold. What an expression finds hangs on where a
    /// message begins and ends.
    fn may_stand_in(&self, messages: &[u8]) -> bool {
        match self {
            Self::Text(text) => text.stands_in(messages),
            Self::Regex(_) => true,
        }
    }
}

/// Reads terms, of which there is at least one.
pub(super) fn parse(text: &str) -> Result<Terms, Wrong> {
    let mut lexer = Lexer::new(text);
    let mut terms = Terms::default();
    while !lexer.at_end() {
        let list = if lexer.take("-") {
            &mut terms.none
        } else if lexer.take("?") {
            &mut terms.any
        } else {
            &mut terms.all
        };
        list.push(term(&mut lexer)?);
    }
    Ok(terms)
}

fn term(lexer: &mut Lexer<'_>) -> Result<Term, Wrong> {
    let enclosed = if lexer.raw().starts_with('"') {
        Some(Term::text(&lexer.quoted('"')?))
    } else if lexer.raw().starts_with('%') {
        Some(Term::Regex(lexer.regex()?))
    } else {
        None
    };
    if let Some(term) = enclosed {
        return if lexer.raw().is_empty() || lexer.raw().starts_with(char::is_whitespace) {
            Ok(term)
        } else {
            Err(format!("a space is missing before '{}'", lexer.raw()).into())
        };
    }
    let word = lexer.take_while(|letter| !letter.is_whitespace());
    if word.is_empty() {
        return Err("a term is missing".into());
    }
    // Everything else must be quoted.
    match word.chars().find(|letter| !letter.is_alphanumeric() && *letter != '_') {
        Some(letter) => Err(Wrong::Characters(letter.into())),
        None => Ok(Term::text(word)),
    }
}

impl Terms {
    /// Optional terms count only where nothing else is said.
    pub(super) fn matches(&self, message: &[u8]) -> bool {
        let found = |term: &Term| term.stands_in(message);
        if self.none.iter().any(found) || !self.all.iter().all(found) {
            return false;
        }
        self.any.is_empty() || !self.all.is_empty() || !self.none.is_empty() || self.any.iter().any(found)
    }

    /// Whether one of the messages that these bytes hold may match.
    pub(super) fn may_match(&self, messages: &[u8]) -> bool {
        let found = |term: &Term| term.may_stand_in(messages);
        let any = self.any.is_empty() || !self.all.is_empty() || !self.none.is_empty() || self.any.iter().any(found);
        any && self.all.iter().all(found)
    }
}

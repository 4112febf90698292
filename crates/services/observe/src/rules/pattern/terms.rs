//! Terms: texts that must, may or must not stand in the message.

use regex::Regex;

use super::lexer::Lexer;

/// What a message must hold.
#[derive(Debug, Default)]
pub(super) struct Terms {
    all: Vec<Term>,
    any: Vec<Term>,
    none: Vec<Term>,
}

#[derive(Debug)]
enum Term {
    Text(String),
    Regex(Regex),
}

impl Term {
    fn stands_in(&self, message: &str) -> bool {
        match self {
            Self::Text(text) => message.contains(text.as_str()),
            Self::Regex(regex) => regex.is_match(message),
        }
    }
}

/// Reads terms, of which there is at least one.
pub(super) fn parse(text: &str) -> Result<Terms, String> {
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

fn term(lexer: &mut Lexer<'_>) -> Result<Term, String> {
    if lexer.raw().starts_with('"') {
        return Ok(Term::Text(lexer.quoted('"')?));
    }
    if lexer.raw().starts_with('%') {
        return Ok(Term::Regex(lexer.regex()?));
    }
    let word = lexer.take_while(|letter| !letter.is_whitespace());
    // Everything else must be quoted.
    if word.is_empty() || word.contains(|letter: char| !letter.is_alphanumeric() && letter != '_') {
        return Err(format!("Invalid character(s) in term '{word}'"));
    }
    Ok(Term::Text(word.to_owned()))
}

impl Terms {
    /// Optional terms count only where nothing else is said.
    pub(super) fn matches(&self, message: &str) -> bool {
        let found = |term: &Term| term.stands_in(message);
        if self.none.iter().any(found) || !self.all.iter().all(found) {
            return false;
        }
        self.any.is_empty() || !self.all.is_empty() || !self.none.is_empty() || self.any.iter().any(found)
    }
}

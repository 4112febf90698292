//! `{ $.field = "value" }`: events that are JSON.

use memchr::memmem;
use serde_json::Value;

use super::expression::{Comparison, Expression, Operand, REGEXES, Test, fits};
use super::lexer::Lexer;
use super::{Needle, Wrong};

/// Wildcards in one selector, and in the selectors of a pattern.
/// Source: CloudWatch Logs User Guide, "Filter pattern syntax", property selectors.
const WILDCARDS: usize = 1;
const ALL_WILDCARDS: usize = 3;

/// A pattern of this language.
#[derive(Debug)]
pub(super) struct Json {
    expression: Expression<Selector>,
    // A text that stands in every message that matches, unless it is written there with escapes.
    needle: Option<Needle>,
}

/// A way into a JSON value.
#[derive(Debug)]
struct Selector(Vec<Step>);

#[derive(Debug)]
enum Step {
    Name(String),
    Index(usize),
    /// Every item, or every member's value.
    Every,
}

/// Reads what stands between the braces.
pub(super) fn parse(text: &str) -> Result<Json, Wrong> {
    let mut lexer = Lexer::new(text);
    let expression = Expression::parse(&mut lexer, &selector, 0)?;
    if let Some(letter) = lexer.rest().chars().next() {
        return if letter.is_alphanumeric() || letter == '_' {
            Err(format!("'{}' is not understood", lexer.raw()).into())
        } else {
            Err(Wrong::Characters(letter.into()))
        };
    }
    if lexer.regexes > REGEXES {
        return Err(format!("a pattern may hold {REGEXES} regular expressions").into());
    }
    let mut wildcards = 0;
    expression.subjects(&mut |selector: &Selector| wildcards += selector.wildcards());
    if wildcards > ALL_WILDCARDS {
        return Err(format!("the selectors of a pattern may hold {ALL_WILDCARDS} wildcards").into());
    }
    // A program that writes JSON may escape any letter, but a letter or digit it escapes as \\uXXXX only.
    let needle = expression.needed(&|text| text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let needle = needle.map(Needle::new);
    Ok(Json { expression, needle })
}

fn selector(lexer: &mut Lexer<'_>) -> Result<Selector, Wrong> {
    if !lexer.take("$") {
        return Err("a field must begin with '$.'".into());
    }
    let mut steps = Vec::new();
    loop {
        // No space may stand within a selector.
        if let Some(rest) = lexer.raw().strip_prefix('.') {
            lexer.take(".");
            if rest.starts_with('[') {
                continue;
            }
            if rest.starts_with('"') {
                return Err(Wrong::Characters("$.\"".into()));
            }
            let name = lexer.take_while(|letter| !letter.is_whitespace() && !".[]()=!<>&|\"'%,".contains(letter));
            match name {
                "" => return Err("a field's name is missing after '.'".into()),
                "*" => steps.push(Step::Every),
                name => steps.push(Step::Name(name.to_owned())),
            }
        } else if lexer.raw().starts_with('[') {
            lexer.take("[");
            steps.push(bracket(lexer)?);
            if !lexer.take("]") {
                return Err("']' is missing".into());
            }
        } else {
            break;
        }
    }
    let selector = Selector(steps);
    if selector.0.is_empty() {
        return Err("a field must begin with '$.'".into());
    }
    if selector.wildcards() > WILDCARDS {
        return Err(format!("a selector may hold {WILDCARDS} wildcard").into());
    }
    Ok(selector)
}

fn bracket(lexer: &mut Lexer<'_>) -> Result<Step, Wrong> {
    for quote in ['"', '\''] {
        if lexer.rest().starts_with(quote) {
            return Ok(Step::Name(lexer.quoted(quote)?));
        }
    }
    if lexer.take("*") {
        return Ok(Step::Every);
    }
    let digits = lexer.take_while(|letter| letter.is_ascii_digit());
    digits.parse().map(Step::Index).map_err(|_| "an index must be a number, '*' or a quoted name".into())
}

impl Selector {
    fn wildcards(&self) -> usize {
        self.0.iter().filter(|step| matches!(step, Step::Every)).count()
    }

    fn select<'a>(&self, root: &'a Value) -> Vec<&'a Value> {
        let mut found = vec![root];
        for step in &self.0 {
            let next = found.into_iter().flat_map(|value| -> Vec<&Value> {
                match (step, value) {
                    (Step::Name(name), Value::Object(members)) => members.get(name).into_iter().collect(),
                    (Step::Index(at), Value::Array(items)) => items.get(*at).into_iter().collect(),
                    (Step::Every, Value::Array(items)) => items.iter().collect(),
                    (Step::Every, Value::Object(members)) => members.values().collect(),
                    _ => Vec::new(),
                }
            });
            found = next.collect();
        }
        found
    }
}

impl Json {
    /// Whether a message is JSON of which the expression holds.
    pub(super) fn matches(&self, message: &[u8]) -> bool {
        let message = message.trim_ascii();
        // Most messages are no JSON: that is seen from the first character.
        if !message.starts_with(b"{") && !message.starts_with(b"[") || !self.may_match(message) {
            return false;
        }
        let Ok(root) = serde_json::from_slice::<Value>(message) else { return false };
        self.expression.holds(&|selector, test| {
            let found = selector.select(&root);
            match test {
                Test::Exists(wanted) => found.is_empty() != *wanted,
                Test::IsNull => found.iter().any(|value| value.is_null()),
                Test::IsBoolean(wanted) => found.iter().any(|value| value.as_bool() == Some(*wanted)),
                Test::Compare(comparison, operand) => found.iter().any(|value| compare(value, *comparison, operand)),
            }
        })
    }

    /// Whether one of the messages that these bytes hold may match.
    pub(super) fn may_match(&self, messages: &[u8]) -> bool {
        self.needle.as_ref().is_none_or(|needle| needle.stands_in(messages) || memmem::find(messages, b"\\u").is_some())
    }
}

fn compare(value: &Value, comparison: Comparison, operand: &Operand) -> bool {
    match (operand, value) {
        // A list or structure is no value, so that it neither equals one nor differs from it.
        (_, Value::Array(_) | Value::Object(_)) => false,
        (Operand::Number(right, _), Value::Number(left)) => {
            left.as_f64().is_some_and(|left| comparison.numbers(left, *right))
        }
        (Operand::Number(_, written), Value::String(text)) => comparison.fits(text == written),
        (Operand::Text(pattern), Value::String(text)) => comparison.fits(fits(pattern, text)),
        (Operand::Text(pattern), Value::Number(_) | Value::Bool(_)) => {
            comparison.fits(fits(pattern, &value.to_string()))
        }
        (Operand::Regex(regex), Value::String(text)) => comparison.fits(regex.is_match(text.as_bytes())),
        (Operand::Regex(regex), Value::Number(_)) => comparison.fits(regex.is_match(value.to_string().as_bytes())),
        // Null equals no text and no number.
        _ => comparison == Comparison::NotEqual,
    }
}

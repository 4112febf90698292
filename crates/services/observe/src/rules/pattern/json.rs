//! `{ $.field = "value" }`: events that are JSON.

use serde_json::Value;

use super::expression::{Comparison, Expression, Operand, Test, fits};
use super::lexer::Lexer;

/// A way into a JSON value.
#[derive(Debug)]
pub(super) struct Selector(Vec<Step>);

#[derive(Debug)]
enum Step {
    Name(String),
    Index(usize),
    /// Every item, or every member's value.
    Every,
}

/// Reads what stands between the braces.
pub(super) fn parse(text: &str) -> Result<Expression<Selector>, String> {
    let mut lexer = Lexer::new(text);
    let expression = Expression::parse(&mut lexer, &selector, 0)?;
    if lexer.at_end() { Ok(expression) } else { Err(format!("'{}' is not understood", lexer.raw())) }
}

fn selector(lexer: &mut Lexer<'_>) -> Result<Selector, String> {
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
            return if steps.is_empty() { Err("a field must begin with '$.'".into()) } else { Ok(Selector(steps)) };
        }
    }
}

fn bracket(lexer: &mut Lexer<'_>) -> Result<Step, String> {
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

/// Whether a message is JSON of which the expression holds.
pub(super) fn matches(expression: &Expression<Selector>, message: &str) -> bool {
    let message = message.trim();
    // Most messages are no JSON: that is seen from the first character.
    if !message.starts_with(['{', '[']) {
        return false;
    }
    let Ok(root) = serde_json::from_str::<Value>(message) else { return false };
    expression.holds(&|selector, test| {
        let found = selector.select(&root);
        match test {
            Test::Exists(wanted) => found.is_empty() != *wanted,
            Test::IsNull => found.iter().any(|value| value.is_null()),
            Test::IsBoolean(wanted) => found.iter().any(|value| value.as_bool() == Some(*wanted)),
            Test::Compare(comparison, operand) => found.iter().any(|value| compare(value, *comparison, operand)),
        }
    })
}

fn compare(value: &Value, comparison: Comparison, operand: &Operand) -> bool {
    match (operand, value) {
        (Operand::Number(right, _), Value::Number(left)) => {
            left.as_f64().is_some_and(|left| comparison.numbers(left, *right))
        }
        (Operand::Number(_, written), Value::String(text)) => comparison.fits(text == written),
        (Operand::Text(pattern), Value::String(text)) => comparison.fits(fits(pattern, text)),
        (Operand::Text(pattern), Value::Number(_) | Value::Bool(_)) => {
            comparison.fits(fits(pattern, &value.to_string()))
        }
        (Operand::Regex(regex), Value::String(text)) => comparison.fits(regex.is_match(text)),
        (Operand::Regex(regex), Value::Number(_)) => comparison.fits(regex.is_match(&value.to_string())),
        // Null, lists and structures equal no text and no number.
        _ => comparison == Comparison::NotEqual,
    }
}

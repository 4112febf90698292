//! The `Condition` element: operators, their values, and whether they hold.
//!
//! Source: IAM User Guide, "IAM JSON policy elements: Condition operators" and "Multivalued context keys".

use base::Fault;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::iam::malformed_policy_document_exception as malformed;
use serde_json::Value;

use super::address::Network;
use super::context::Context;
use super::date;
use super::document::SYNTAX;
use super::pattern::{ArnPattern, Pattern};

/// One condition: an operator over one key.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// The operator and the key as they were written, for explanations.
    pub name: String,
    key: String,
    quantifier: Quantifier,
    kind: Kind,
    // `…Not…`: none of the values may fit.
    negated: bool,
    // `…IfExists`: it holds for a request without the key.
    if_exists: bool,
    values: Vec<Wanted>,
}

/// How a key with several values is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantifier {
    Plain,
    ForAllValues,
    ForAnyValue,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text { any_case: bool, wildcards: bool },
    Number(Order),
    Date(Order),
    Bool,
    Binary,
    Ip,
    Arn,
    Null,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    fn holds<T: PartialOrd>(self, value: &T, wanted: &T) -> bool {
        match self {
            Self::Equal => value == wanted,
            Self::Less => value < wanted,
            Self::LessOrEqual => value <= wanted,
            Self::Greater => value > wanted,
            Self::GreaterOrEqual => value >= wanted,
        }
    }
}

/// A value of a policy, read as its operator reads it.
#[derive(Debug, Clone, PartialEq)]
enum Wanted {
    Text(Pattern),
    Arn(ArnPattern),
    Number(f64),
    Date(i64),
    Bool(bool),
    Binary(Vec<u8>),
    Network(Network),
    /// What the operator cannot read: no request fits it.
    Nothing,
}

/// Reads the element.
///
/// # Errors
/// `MalformedPolicyDocument` for an unknown operator or a value that is no text, number or truth value.
pub(super) fn read(value: Option<&Value>, variables: bool) -> Result<Vec<Condition>, Fault> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for (operator, keys) in value.as_object().ok_or_else(|| malformed(SYNTAX))? {
        for (key, values) in keys.as_object().ok_or_else(|| malformed(SYNTAX))? {
            all.push(one(operator, key, values, variables)?);
        }
    }
    Ok(all)
}

fn one(operator: &str, key: &str, values: &Value, variables: bool) -> Result<Condition, Fault> {
    let mut rest = operator;
    let mut quantifier = Quantifier::Plain;
    for (prefix, meant) in [("ForAllValues:", Quantifier::ForAllValues), ("ForAnyValue:", Quantifier::ForAnyValue)] {
        if let Some(after) = rest.strip_prefix(prefix) {
            (rest, quantifier) = (after, meant);
        }
    }
    let if_exists = rest.strip_suffix("IfExists").filter(|plain| *plain != "Null");
    let (kind, negated) = known(if_exists.unwrap_or(rest)).ok_or_else(|| malformed(SYNTAX))?;
    let texts = match values {
        Value::Array(items) => items.iter().map(text).collect::<Result<Vec<_>, _>>()?,
        single => vec![text(single)?],
    };
    Ok(Condition {
        name: format!("{operator} {key}"),
        key: key.to_owned(),
        quantifier,
        kind,
        negated,
        if_exists: if_exists.is_some(),
        values: texts.iter().map(|text| wanted(kind, text, variables)).collect(),
    })
}

fn text(value: &Value) -> Result<String, Fault> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        _ => Err(malformed(SYNTAX)),
    }
}

/// The operators, without quantifier and suffix.
fn known(operator: &str) -> Option<(Kind, bool)> {
    let text = |any_case, wildcards| Kind::Text { any_case, wildcards };
    Some(match operator {
        "StringEquals" => (text(false, false), false),
        "StringNotEquals" => (text(false, false), true),
        "StringEqualsIgnoreCase" => (text(true, false), false),
        "StringNotEqualsIgnoreCase" => (text(true, false), true),
        "StringLike" => (text(false, true), false),
        "StringNotLike" => (text(false, true), true),
        "NumericEquals" => (Kind::Number(Order::Equal), false),
        "NumericNotEquals" => (Kind::Number(Order::Equal), true),
        "NumericLessThan" => (Kind::Number(Order::Less), false),
        "NumericLessThanEquals" => (Kind::Number(Order::LessOrEqual), false),
        "NumericGreaterThan" => (Kind::Number(Order::Greater), false),
        "NumericGreaterThanEquals" => (Kind::Number(Order::GreaterOrEqual), false),
        "DateEquals" => (Kind::Date(Order::Equal), false),
        "DateNotEquals" => (Kind::Date(Order::Equal), true),
        "DateLessThan" => (Kind::Date(Order::Less), false),
        "DateLessThanEquals" => (Kind::Date(Order::LessOrEqual), false),
        "DateGreaterThan" => (Kind::Date(Order::Greater), false),
        "DateGreaterThanEquals" => (Kind::Date(Order::GreaterOrEqual), false),
        "Bool" => (Kind::Bool, false),
        "BinaryEquals" => (Kind::Binary, false),
        "IpAddress" => (Kind::Ip, false),
        "NotIpAddress" => (Kind::Ip, true),
        "ArnEquals" | "ArnLike" => (Kind::Arn, false),
        "ArnNotEquals" | "ArnNotLike" => (Kind::Arn, true),
        "Null" => (Kind::Null, false),
        _ => return None,
    })
}

fn wanted(kind: Kind, text: &str, variables: bool) -> Wanted {
    let read = match kind {
        Kind::Text { wildcards: true, .. } => Some(Wanted::Text(Pattern::read(text, variables))),
        Kind::Text { wildcards: false, .. } => Some(Wanted::Text(Pattern::plain(text, variables))),
        Kind::Arn => Some(Wanted::Arn(ArnPattern::read(text, variables))),
        Kind::Number(_) => number(text).map(Wanted::Number),
        Kind::Date(_) => date::read_ms(text).map(Wanted::Date),
        Kind::Bool | Kind::Null => truth(text).map(Wanted::Bool),
        Kind::Binary => STANDARD.decode(text).ok().map(Wanted::Binary),
        Kind::Ip => text.parse().ok().map(Wanted::Network),
    };
    read.unwrap_or(Wanted::Nothing)
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

impl Condition {
    /// The key, as it was written.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether it holds for a request.
    pub fn holds(&self, context: &Context) -> bool {
        let values = context.get(&self.key).filter(|values| !values.is_empty());
        if self.kind == Kind::Null {
            return self.values.contains(&Wanted::Bool(values.is_none()));
        }
        let fits = |value: &String| self.values.iter().any(|wanted| self.fits(wanted, value, context)) != self.negated;
        match (self.quantifier, values) {
            (Quantifier::ForAllValues, None) => true,
            (Quantifier::ForAnyValue, None) => self.if_exists,
            // A negated operator holds where there is nothing to compare.
            (Quantifier::Plain, None) => self.if_exists || self.negated,
            (Quantifier::ForAllValues, Some(values)) => values.iter().all(fits),
            (Quantifier::ForAnyValue, Some(values)) => values.iter().any(fits),
            // AWS asks for a quantifier where a key may have several values; without one all must escape a negated
            // operator, and one suffices otherwise.
            (Quantifier::Plain, Some(values)) if self.negated => values.iter().all(fits),
            (Quantifier::Plain, Some(values)) => values.iter().any(fits),
        }
    }

    fn fits(&self, wanted: &Wanted, value: &str, context: &Context) -> bool {
        match (wanted, self.kind) {
            (Wanted::Text(pattern), Kind::Text { any_case: true, .. }) => pattern.matches_any_case(value, context),
            (Wanted::Text(pattern), _) => pattern.matches(value, context),
            (Wanted::Arn(pattern), _) => pattern.matches(value, context),
            (Wanted::Number(wanted), Kind::Number(order)) => {
                number(value).is_some_and(|value| order.holds(&value, wanted))
            }
            (Wanted::Date(wanted), Kind::Date(order)) => {
                date::read_ms(value).is_some_and(|value| order.holds(&value, wanted))
            }
            (Wanted::Bool(wanted), _) => truth(value) == Some(*wanted),
            (Wanted::Binary(wanted), _) => STANDARD.decode(value).is_ok_and(|value| value == *wanted),
            (Wanted::Network(network), _) => value.parse().is_ok_and(|address| network.holds(address)),
            _ => false,
        }
    }
}

#[cfg(test)]
#[path = "condition_tests.rs"]
mod tests;

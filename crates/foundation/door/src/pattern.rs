//! Event patterns: which events somebody wants, said by example. Lambda's event filters and EventBridge's rules are such.
//!
//! An object of a pattern holds the fields that an event must have; each leads to more fields or to a list of what the
//! value may be. Source: Amazon EventBridge User Guide, "Comparison operators for use in event patterns", and AWS Lambda
//! Developer Guide, "Control which events Lambda sends to your function".

mod matching;

use serde_json::{Map, Number, Value};

/// Most objects that may lie within each other.
const DEEPEST: usize = 64;

/// Which comparisons are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operators {
    /// Those of Lambda's event source mappings.
    Lambda,
    /// All that EventBridge's buses know: wildcards, networks, and beginnings and endings whatever their case, too.
    All,
}

/// A pattern, read and ready.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern(Fields);

/// What the fields of one object must be.
#[derive(Debug, Clone, PartialEq, Default)]
struct Fields {
    all: Vec<(String, Want)>,
    /// Of each list one must hold (`$or`).
    any: Vec<Vec<Fields>>,
}

/// What stands in one field.
#[derive(Debug, Clone, PartialEq)]
enum Want {
    Within(Fields),
    OneOf(Vec<Test>),
}

/// What a value may be.
#[derive(Debug, Clone, PartialEq)]
enum Test {
    Null,
    Bool(bool),
    Number(Number),
    Text(Text),
    Exists(bool),
    Numeric(Vec<(Order, f64)>),
    /// Four bytes or sixteen, and how many bits of them count.
    Network(std::net::IpAddr, u8),
    NotNumbers(Vec<Number>),
    NotTexts(Vec<Text>),
    /// None of these texts and numbers, mixed.
    NotValues(Vec<String>, Vec<Number>),
}

/// What a text may be.
#[derive(Debug, Clone, PartialEq)]
enum Text {
    Is(String),
    IsLower(String),
    Begins(String),
    BeginsLower(String),
    Ends(String),
    EndsLower(String),
    /// The parts between asterisks.
    Wild(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Equal,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
}

impl Pattern {
    /// Reads a pattern: JSON. None if it is none, or compares in a way that is not among `operators`.
    pub fn parse(text: &str, operators: Operators) -> Option<Self> {
        Self::of(&serde_json::from_str(text).ok()?, operators)
    }

    /// The same, of JSON that was read.
    pub fn of(pattern: &Value, operators: Operators) -> Option<Self> {
        Some(Self(fields(pattern.as_object()?, operators, 0)?))
    }

    /// Whether an event is one of those that are wanted.
    pub fn matches(&self, event: &Value) -> bool {
        matching::holds(&self.0, event)
    }
}

fn fields(object: &Map<String, Value>, operators: Operators, depth: usize) -> Option<Fields> {
    if depth > DEEPEST {
        return None;
    }
    let mut fields_read = Fields::default();
    for (name, value) in object {
        match value {
            Value::Array(ways) if name == "$or" => {
                let read = |way: &Value| fields(way.as_object()?, operators, depth + 1);
                let ways: Vec<Fields> = ways.iter().map(read).collect::<Option<_>>()?;
                if ways.len() < 2 {
                    return None;
                }
                fields_read.any.push(ways);
            }
            Value::Array(allowed) if !allowed.is_empty() => {
                let tests = allowed.iter().map(|one| test(one, operators)).collect::<Option<_>>()?;
                fields_read.all.push((name.clone(), Want::OneOf(tests)));
            }
            Value::Object(inner) => {
                fields_read.all.push((name.clone(), Want::Within(fields(inner, operators, depth + 1)?)));
            }
            _ => return None,
        }
    }
    Some(fields_read)
}

fn test(allowed: &Value, operators: Operators) -> Option<Test> {
    Some(match allowed {
        Value::Null => Test::Null,
        Value::Bool(flag) => Test::Bool(*flag),
        Value::Number(number) => Test::Number(number.clone()),
        Value::String(text) => Test::Text(Text::Is(text.clone())),
        Value::Array(_) => return None,
        Value::Object(comparison) => {
            let (operator, operand) = only(comparison)?;
            match operator {
                "exists" => Test::Exists(operand.as_bool()?),
                "numeric" => Test::Numeric(numeric(operand)?),
                "cidr" if operators == Operators::All => {
                    let (address, bits) = network(operand.as_str()?)?;
                    Test::Network(address, bits)
                }
                "anything-but" => anything_but(operand, operators)?,
                _ => Test::Text(text(operator, operand, operators)?),
            }
        }
    })
}

fn only(object: &Map<String, Value>) -> Option<(&str, &Value)> {
    let (name, value) = object.iter().next().filter(|_| object.len() == 1)?;
    Some((name.as_str(), value))
}

fn text(operator: &str, operand: &Value, operators: Operators) -> Option<Text> {
    let lower = |text: &str| text.to_lowercase();
    if let Value::Object(comparison) = operand {
        let (inner, text) = only(comparison)?;
        let known = operators == Operators::All && inner == "equals-ignore-case";
        return match (operator, text.as_str().filter(|_| known)?) {
            ("prefix", text) => Some(Text::BeginsLower(lower(text))),
            ("suffix", text) => Some(Text::EndsLower(lower(text))),
            _ => None,
        };
    }
    let text = operand.as_str()?;
    match operator {
        "prefix" => Some(Text::Begins(text.to_owned())),
        "suffix" => Some(Text::Ends(text.to_owned())),
        "equals-ignore-case" => Some(Text::IsLower(lower(text))),
        "wildcard" if operators == Operators::All => Some(Text::Wild(wild(text)?)),
        _ => None,
    }
}

/// The parts of a wildcard between its asterisks; `\*` is an asterisk, `\\` a backslash.
fn wild(text: &str) -> Option<Vec<String>> {
    let (mut parts, mut part, mut star) = (Vec::new(), String::new(), false);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            // Two in a row are refused, as there.
            '*' if star => return None,
            '*' => parts.push(std::mem::take(&mut part)),
            '\\' => part.push(letters.next().filter(|next| matches!(next, '*' | '\\'))?),
            other => part.push(other),
        }
        star = letter == '*';
    }
    parts.push(part);
    Some(parts)
}

fn numeric(operand: &Value) -> Option<Vec<(Order, f64)>> {
    let parts = operand.as_array().filter(|parts| matches!(parts.len(), 2 | 4))?;
    let bounds: Vec<(Order, f64)> = parts
        .chunks(2)
        .map(|pair| {
            let order = match pair[0].as_str()? {
                "=" => Order::Equal,
                "<" => Order::Less,
                "<=" => Order::LessOrEqual,
                ">" => Order::More,
                ">=" => Order::MoreOrEqual,
                _ => return None,
            };
            Some((order, pair[1].as_f64()?))
        })
        .collect::<Option<_>>()?;
    Some(bounds)
}

fn network(text: &str) -> Option<(std::net::IpAddr, u8)> {
    let (address, bits) = text.split_once('/')?;
    let address: std::net::IpAddr = address.parse().ok()?;
    let bits = bits.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    (bits <= most).then_some((address, bits))
}

fn anything_but(operand: &Value, operators: Operators) -> Option<Test> {
    if let Value::Object(comparison) = operand {
        let (operator, operand) = only(comparison)?;
        let texts: &[Value] = match operand {
            Value::Array(texts) if operators == Operators::All => texts,
            one => std::slice::from_ref(one),
        };
        let texts: Vec<Text> = texts.iter().map(|one| text(operator, one, operators)).collect::<Option<_>>()?;
        return (!texts.is_empty()).then_some(Test::NotTexts(texts));
    }
    let values: &[Value] = match operand {
        Value::Array(values) => values,
        one => std::slice::from_ref(one),
    };
    let (mut texts, mut numbers) = (Vec::new(), Vec::new());
    for value in values {
        match value {
            Value::String(text) => texts.push(text.clone()),
            Value::Number(number) => numbers.push(number.clone()),
            _ => return None,
        }
    }
    match (texts.is_empty(), numbers.is_empty()) {
        (true, true) => None,
        (true, false) => Some(Test::NotNumbers(numbers)),
        _ => Some(Test::NotValues(texts, numbers)),
    }
}

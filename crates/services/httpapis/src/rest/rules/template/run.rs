//! Rendering a template.

use std::collections::BTreeMap;

use super::{Comparison, Expression, Node, Target, Template};

/// Where a request has a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In its path.
    Path,
    /// In its query.
    Query,
    /// In its headers.
    Header,
}

/// What a template may ask of a request.
pub(crate) trait Known {
    /// A parameter.
    fn parameter(&self, place: Place, name: &str) -> Option<String>;
    /// A part of the context: `identity.sourceIp`.
    fn context(&self, name: &str) -> Option<String>;
    /// A variable of the stage.
    fn variable(&self, name: &str) -> Option<String>;
}

/// What a template made.
#[derive(Debug, Default)]
pub(crate) struct Rendered {
    pub(crate) body: String,
    // `$context.responseOverride.header.…`
    pub(crate) headers: Vec<(String, String)>,
    // `$context.responseOverride.status`
    pub(crate) status: Option<i64>,
}

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Nothing,
    Text(String),
    Number(i64),
    Truth(bool),
}

impl Value {
    fn of(text: Option<String>) -> Self {
        text.map_or(Self::Nothing, Self::Text)
    }

    fn holds(&self) -> bool {
        !matches!(self, Self::Nothing | Self::Truth(false))
    }

    fn text(&self) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::Text(text) => Some(text.clone()),
            Self::Number(number) => Some(number.to_string()),
            Self::Truth(truth) => Some(truth.to_string()),
        }
    }
}

struct Run<'a> {
    known: &'a dyn Known,
    variables: BTreeMap<String, Value>,
    rendered: Rendered,
}

impl Template {
    /// What it makes of a request.
    pub(crate) fn render(&self, known: &dyn Known) -> Rendered {
        let mut run = Run { known, variables: BTreeMap::new(), rendered: Rendered::default() };
        run.nodes(&self.nodes);
        run.rendered
    }
}

impl Run<'_> {
    fn nodes(&mut self, nodes: &[Node]) {
        for node in nodes {
            match node {
                Node::Text(text) => self.rendered.body.push_str(text),
                Node::Out(expression, written) => {
                    let text = self.value(expression).text();
                    self.rendered.body.push_str(text.as_deref().unwrap_or(written));
                }
                Node::Set(target, expression) => {
                    let value = self.value(expression);
                    self.set(target, value);
                }
                Node::If(branches, otherwise) => {
                    let taken = branches.iter().find(|(condition, _)| self.value(condition).holds());
                    self.nodes(taken.map_or(otherwise, |(_, nodes)| nodes));
                }
            }
        }
    }

    fn set(&mut self, target: &Target, value: Value) {
        match target {
            Target::Variable(name) => drop(self.variables.insert(name.clone(), value)),
            Target::Header(name) => {
                let headers = &mut self.rendered.headers;
                headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
                headers.extend(value.text().map(|text| (name.clone(), text)));
            }
            // A status that is no number changes nothing on AWS either.
            Target::Status => {
                self.rendered.status = match value {
                    Value::Number(number) => Some(number),
                    _ => None,
                };
            }
        }
    }

    fn value(&self, expression: &Expression) -> Value {
        match expression {
            Expression::Text(nodes) => Value::Text(self.written(nodes)),
            Expression::Number(number) => Value::Number(*number),
            Expression::Truth(truth) => Value::Truth(*truth),
            Expression::Parameter(name) => {
                let places = [Place::Path, Place::Query, Place::Header];
                // AWS has an empty text for what is nowhere.
                Value::Text(places.iter().find_map(|place| self.known.parameter(*place, name)).unwrap_or_default())
            }
            Expression::Of(place, name) => Value::of(self.known.parameter(*place, name)),
            Expression::Context(name) => Value::of(self.known.context(name)),
            Expression::StageVariable(name) => Value::of(self.known.variable(name)),
            Expression::Variable(name) => self.variables.get(name).cloned().unwrap_or(Value::Nothing),
            Expression::Matches(of, pattern) => {
                Value::Truth(self.value(of).text().is_some_and(|text| pattern.is_match(&text)))
            }
            Expression::Compare(how, one, other) => {
                let (Some(one), Some(other)) = (self.value(one).text(), self.value(other).text()) else {
                    return Value::Truth(false);
                };
                Value::Truth(match how {
                    Comparison::Contains => one.contains(&other),
                    Comparison::Begins => one.starts_with(&other),
                    Comparison::Ends => one.ends_with(&other),
                    Comparison::Equals => one == other,
                })
            }
            Expression::Equal(one, other) => Value::Truth(self.value(one).text() == self.value(other).text()),
            Expression::Not(of) => Value::Truth(!self.value(of).holds()),
            Expression::And(one, other) => Value::Truth(self.value(one).holds() && self.value(other).holds()),
            Expression::Or(one, other) => Value::Truth(self.value(one).holds() || self.value(other).holds()),
        }
    }

    fn written(&self, nodes: &[Node]) -> String {
        let one = |node: &Node| match node {
            Node::Text(text) => text.clone(),
            Node::Out(expression, written) => self.value(expression).text().unwrap_or_else(|| written.clone()),
            Node::Set(..) | Node::If(..) => String::new(),
        };
        nodes.iter().map(one).collect()
    }
}

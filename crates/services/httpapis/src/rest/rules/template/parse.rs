//! Reading a template.

use regex::Regex;

use super::{Comparison, Expression, Node, Place, Target, Unknown};

/// How deep conditions and parentheses may lie in each other.
const DEEPEST: usize = 32;

/// # Errors
/// What is not understood.
pub(super) fn template(text: &str) -> Result<Vec<Node>, Unknown> {
    let mut reader = Reader { rest: text, depth: 0 };
    let (nodes, ended) = reader.nodes()?;
    match ended {
        Ended::Text => Ok(nodes),
        _ => Err(Unknown("#else or #end without #if".into())),
    }
}

struct Reader<'t> {
    rest: &'t str,
    depth: usize,
}

/// What ends a row of nodes.
#[derive(PartialEq, Eq)]
enum Ended {
    Text,
    ElseIf,
    Else,
    End,
}

fn is_of_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-')
}

impl<'t> Reader<'t> {
    fn eat(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn want(&mut self, text: &str) -> Result<(), Unknown> {
        self.skip_spaces();
        if self.eat(text) { Ok(()) } else { Err(self.unknown()) }
    }

    /// What stands here is not understood.
    fn unknown(&self) -> Unknown {
        let here: String = self.rest.chars().take(40).collect();
        Unknown(if here.is_empty() { "an end where more is expected".into() } else { here })
    }

    fn deeper(&mut self) -> Result<(), Unknown> {
        self.depth += 1;
        if self.depth > DEEPEST { Err(Unknown("conditions that lie too deep in each other".into())) } else { Ok(()) }
    }

    fn name(&mut self) -> Option<&'t str> {
        let end = self.rest.find(|letter| !is_of_name(letter)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        let is_name = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
        if is_name {
            self.rest = rest;
        }
        is_name.then_some(name)
    }

    /// Nodes up to the directive that ends them, which is read too.
    fn nodes(&mut self) -> Result<(Vec<Node>, Ended), Unknown> {
        let mut nodes = Vec::new();
        while let Some(at) = self.rest.find(['#', '$']) {
            let (text, rest) = self.rest.split_at(at);
            push(&mut nodes, text);
            self.rest = rest;
            if let Some(after) = rest.strip_prefix('$') {
                match self.reference()? {
                    Some(node) => nodes.push(node),
                    None => {
                        push(&mut nodes, "$");
                        self.rest = after;
                    }
                }
                continue;
            }
            if self.eat("##") {
                self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
            } else if let Some(ended) = self.ending() {
                return Ok((nodes, ended));
            } else if self.directive("set") {
                nodes.push(self.set()?);
            } else if self.directive("if") {
                nodes.push(self.condition()?);
            } else if rest[1..]
                .starts_with(|letter: char| letter.is_ascii_alphabetic() || matches!(letter, '{' | '@' | '*'))
            {
                return Err(self.unknown());
            } else {
                push(&mut nodes, "#");
                self.rest = &rest[1..];
            }
        }
        push(&mut nodes, self.rest);
        self.rest = "";
        Ok((nodes, Ended::Text))
    }

    fn ending(&mut self) -> Option<Ended> {
        let ended = if self.directive("elseif") {
            return Some(Ended::ElseIf);
        } else if self.directive("else") {
            Ended::Else
        } else if self.directive("end") {
            Ended::End
        } else {
            return None;
        };
        self.line_end();
        Some(ended)
    }

    /// `#name` or `#{name}`.
    fn directive(&mut self, name: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix('#') else { return false };
        let braced = rest.strip_prefix('{').and_then(|rest| rest.strip_prefix(name)?.strip_prefix('}'));
        let plain =
            rest.strip_prefix(name).filter(|rest| !rest.starts_with(|letter: char| letter.is_ascii_alphabetic()));
        let found = braced.or(plain);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    /// The end of a line belongs to the directive before it.
    fn line_end(&mut self) {
        let after = self.rest.trim_start_matches([' ', '\t']);
        if let Some(rest) = after.strip_prefix("\r\n").or_else(|| after.strip_prefix('\n')) {
            self.rest = rest;
        }
    }

    fn set(&mut self) -> Result<Node, Unknown> {
        self.want("(")?;
        self.want("$")?;
        let unknown = self.unknown();
        let braced = self.eat("{");
        let first = self.name().ok_or_else(|| unknown.clone())?;
        let target = if first == "context" {
            if self.eat(".responseOverride.header.") {
                Target::Header(self.name().ok_or(unknown)?.to_owned())
            } else if self.eat(".responseOverride.status") {
                Target::Status
            } else {
                return Err(unknown);
            }
        } else {
            Target::Variable(first.to_owned())
        };
        if braced {
            self.want("}")?;
        }
        self.want("=")?;
        let value = self.either()?;
        self.want(")")?;
        self.line_end();
        Ok(Node::Set(target, value))
    }

    fn condition(&mut self) -> Result<Node, Unknown> {
        self.deeper()?;
        let mut branches = Vec::new();
        let mut otherwise = Vec::new();
        let mut next = Ended::ElseIf;
        while next == Ended::ElseIf {
            self.want("(")?;
            let condition = self.either()?;
            self.want(")")?;
            self.line_end();
            let (nodes, ended) = self.nodes()?;
            branches.push((condition, nodes));
            next = ended;
        }
        if next == Ended::Else {
            (otherwise, next) = self.nodes()?;
        }
        self.depth -= 1;
        if next == Ended::End { Ok(Node::If(branches, otherwise)) } else { Err(Unknown("#if without #end".into())) }
    }

    fn either(&mut self) -> Result<Expression, Unknown> {
        let mut one = self.both()?;
        loop {
            self.skip_spaces();
            if !self.eat("||") {
                return Ok(one);
            }
            one = Expression::Or(Box::new(one), Box::new(self.both()?));
        }
    }

    fn both(&mut self) -> Result<Expression, Unknown> {
        let mut one = self.comparison()?;
        loop {
            self.skip_spaces();
            if !self.eat("&&") {
                return Ok(one);
            }
            one = Expression::And(Box::new(one), Box::new(self.comparison()?));
        }
    }

    fn comparison(&mut self) -> Result<Expression, Unknown> {
        let one = self.one()?;
        self.skip_spaces();
        let equal = self.eat("==");
        if !equal && !self.eat("!=") {
            return Ok(one);
        }
        let found = Expression::Equal(Box::new(one), Box::new(self.one()?));
        Ok(if equal { found } else { Expression::Not(Box::new(found)) })
    }

    fn one(&mut self) -> Result<Expression, Unknown> {
        self.skip_spaces();
        self.deeper()?;
        let found = self.plain()?;
        self.depth -= 1;
        Ok(found)
    }

    fn plain(&mut self) -> Result<Expression, Unknown> {
        if self.eat("(") {
            let inner = self.either()?;
            self.want(")")?;
            return Ok(inner);
        }
        if self.rest.starts_with('!') && !self.rest.starts_with("!=") {
            self.eat("!");
            return Ok(Expression::Not(Box::new(self.one()?)));
        }
        if self.rest.starts_with(['"', '\'']) {
            return self.quoted();
        }
        if self.rest.starts_with('$') {
            let unknown = self.unknown();
            return match self.reference()? {
                Some(Node::Out(expression, _)) => Ok(expression),
                _ => Err(unknown),
            };
        }
        for (word, truth) in [("true", true), ("false", false)] {
            if self.eat(word) {
                return Ok(Expression::Truth(truth));
            }
        }
        let end = self.rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(self.rest.len());
        let number = self.rest[..end].parse().map_err(|_| self.unknown())?;
        self.rest = &self.rest[end..];
        Ok(Expression::Number(number))
    }

    /// A text in quotes as it stands between them.
    fn between_quotes(&mut self) -> Result<(char, &'t str), Unknown> {
        let unknown = self.unknown();
        let quote =
            self.rest.chars().next().filter(|quote| matches!(quote, '"' | '\'')).ok_or_else(|| unknown.clone())?;
        let end = self.rest[1..].find(quote).ok_or(unknown)?;
        let inner = &self.rest[1..=end];
        self.rest = &self.rest[end + 2..];
        Ok((quote, inner))
    }

    /// A text; in double quotes references mean what they refer to.
    fn quoted(&mut self) -> Result<Expression, Unknown> {
        let (quote, inner) = self.between_quotes()?;
        if quote == '\'' {
            return Ok(Expression::Text(vec![Node::Text(inner.to_owned())]));
        }
        if inner.contains('#') {
            return Err(Unknown(inner.to_owned()));
        }
        let mut reader = Reader { rest: inner, depth: self.depth };
        Ok(Expression::Text(reader.nodes()?.0))
    }

    /// A text that says itself: a name or a pattern.
    fn literal(&mut self) -> Result<&'t str, Unknown> {
        self.skip_spaces();
        let (quote, inner) = self.between_quotes()?;
        let refers = quote == '"' && (inner.contains('#') || refers(inner));
        if refers { Err(Unknown(inner.to_owned())) } else { Ok(inner) }
    }

    /// A reference; none if a dollar sign begins none.
    fn reference(&mut self) -> Result<Option<Node>, Unknown> {
        let (before, unknown) = (self.rest, self.unknown());
        self.eat("$");
        let silent = self.eat("!");
        let braced = self.eat("{");
        let Some(first) = self.name() else {
            self.rest = before;
            return Ok(None);
        };
        let begun = match first {
            "input" => self.input().ok_or_else(|| unknown.clone())?,
            "context" => Expression::Context(self.names().ok_or_else(|| unknown.clone())?),
            "stageVariables" => Expression::StageVariable(self.names().ok_or_else(|| unknown.clone())?),
            "util" => return Err(unknown),
            name => Expression::Variable(name.to_owned()),
        };
        let expression = self.methods(begun)?;
        if braced && !self.eat("}") {
            return Err(unknown);
        }
        let written = if silent { "" } else { &before[..before.len() - self.rest.len()] };
        Ok(Some(Node::Out(expression, written.to_owned())))
    }

    /// `.params("x")` or `.params().header.get("x")`
    fn input(&mut self) -> Option<Expression> {
        if !self.eat(".params(") {
            return None;
        }
        if !self.eat(")") {
            let name = self.literal().ok()?;
            self.want(")").ok()?;
            return Some(Expression::Parameter(name.to_owned()));
        }
        let places = [(".path", Place::Path), (".querystring", Place::Query), (".header", Place::Header)];
        let place = places.into_iter().find(|(name, _)| self.eat(name))?.1;
        let named = if self.eat(".get(") {
            let name = self.literal().ok()?;
            self.want(")").ok()?;
            name
        } else {
            self.eat(".");
            self.name()?
        };
        Some(Expression::Of(place, named.to_owned()))
    }

    /// `.a.b`: names with dots between them. A dot that no name follows ends a sentence.
    fn names(&mut self) -> Option<String> {
        let mut names = Vec::new();
        loop {
            let before = self.rest;
            let method = self.eat(".").then(|| self.name()).flatten();
            match method {
                Some(name) if !self.rest.starts_with('(') => names.push(name),
                _ => {
                    self.rest = before;
                    break;
                }
            }
        }
        (!names.is_empty()).then(|| names.join("."))
    }

    fn methods(&mut self, mut of: Expression) -> Result<Expression, Unknown> {
        loop {
            let (before, unknown) = (self.rest, self.unknown());
            let name = if self.eat(".") { self.name() } else { None };
            let Some(name) = name else {
                self.rest = before;
                return Ok(of);
            };
            if !self.eat("(") {
                return Err(unknown);
            }
            of = match name {
                "matches" => {
                    // Patterns are for the whole text, as Java's are.
                    let pattern = Regex::new(&format!("^(?:{})$", self.literal()?)).map_err(|_| unknown)?;
                    Expression::Matches(Box::new(of), pattern)
                }
                "contains" => self.compared(Comparison::Contains, of)?,
                "startsWith" => self.compared(Comparison::Begins, of)?,
                "endsWith" => self.compared(Comparison::Ends, of)?,
                "equals" => self.compared(Comparison::Equals, of)?,
                _ => return Err(unknown),
            };
            self.want(")")?;
        }
    }

    fn compared(&mut self, how: Comparison, of: Expression) -> Result<Expression, Unknown> {
        Ok(Expression::Compare(how, Box::new(of), Box::new(self.either()?)))
    }
}

/// Whether a text in double quotes refers to something.
fn refers(text: &str) -> bool {
    let begins =
        |after: &str| after.trim_start_matches(['!', '{']).starts_with(|letter: char| letter.is_ascii_alphabetic());
    text.match_indices('$').any(|(at, _)| begins(&text[at + 1..]))
}

fn push(nodes: &mut Vec<Node>, text: &str) {
    match nodes.last_mut() {
        _ if text.is_empty() => {}
        Some(Node::Text(before)) => before.push_str(text),
        _ => nodes.push(Node::Text(text.to_owned())),
    }
}

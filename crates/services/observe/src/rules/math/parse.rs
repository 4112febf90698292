//! Reads an expression.

use super::Error;

/// What was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expression {
    Number(f64),
    Text(String),
    /// The id of another query, or a word such as REPEAT.
    Name(String),
    List(Vec<Expression>),
    Call(String, Vec<Expression>),
    Negated(Box<Expression>),
    Binary(char, Box<Expression>, Box<Expression>),
}

impl Expression {
    /// The names in it.
    pub(crate) fn names(&self) -> Vec<&str> {
        let (mut names, mut open) = (Vec::new(), vec![self]);
        while let Some(expression) = open.pop() {
            match expression {
                Self::Number(_) | Self::Text(_) => {}
                Self::Name(name) => names.push(name.as_str()),
                Self::List(items) | Self::Call(_, items) => open.extend(items),
                Self::Negated(inner) => open.push(inner),
                Self::Binary(_, left, right) => open.extend([&**left, &**right]),
            }
        }
        names
    }
}

/// How deep expressions may be nested.
const DEPTH: usize = 50;
/// Operators of one expression at most: `1+1+1` leans to the left, and is as deep as it has operators.
const OPERATORS: usize = 200;

/// Reads `text` as a whole.
pub(crate) fn parse(text: &str) -> Result<Expression, Error> {
    let mut parser = Parser { text, at: 0, depth: 0, operators: 0 };
    let expression = parser.sum()?;
    match parser.peek() {
        None => Ok(expression),
        Some(other @ ('<' | '>' | '=' | '!' | '&' | '|')) => {
            Err(Error::NotHere(format!("the operator {other} in metric math")))
        }
        Some(_) => Err(parser.unexpected()),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    operators: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&mut self) -> Option<char> {
        let rest = self.rest();
        let spaces = rest.len() - rest.trim_start().len();
        self.at += spaces;
        self.rest().chars().next()
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn unexpected(&mut self) -> Error {
        match self.peek() {
            Some(_) => Error::Wrong(format!("Unexpected '{}' at position {}", self.rest(), self.at + 1)),
            None => Error::Wrong("Unexpected end".into()),
        }
    }

    fn operator(&mut self) -> Result<(), Error> {
        self.at += 1;
        self.operators += 1;
        if self.operators > OPERATORS {
            return Err(Error::Wrong(format!("It has more than {OPERATORS} operators")));
        }
        Ok(())
    }

    fn sum(&mut self) -> Result<Expression, Error> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(Error::Wrong(format!("It is nested deeper than {DEPTH}")));
        }
        let mut left = self.product()?;
        while let Some(sign @ ('+' | '-')) = self.peek() {
            self.operator()?;
            left = Expression::Binary(sign, Box::new(left), Box::new(self.product()?));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn product(&mut self) -> Result<Expression, Error> {
        let mut left = self.signed()?;
        while let Some(sign @ ('*' | '/')) = self.peek() {
            self.operator()?;
            left = Expression::Binary(sign, Box::new(left), Box::new(self.signed()?));
        }
        Ok(left)
    }

    fn signed(&mut self) -> Result<Expression, Error> {
        let mut negative = false;
        while self.take('-') {
            negative = !negative;
        }
        let value = self.power()?;
        Ok(if negative { Expression::Negated(Box::new(value)) } else { value })
    }

    fn power(&mut self) -> Result<Expression, Error> {
        let base = self.atom()?;
        if !self.take('^') {
            return Ok(base);
        }
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(Error::Wrong(format!("It is nested deeper than {DEPTH}")));
        }
        let exponent = self.signed()?;
        self.depth -= 1;
        Ok(Expression::Binary('^', Box::new(base), Box::new(exponent)))
    }

    fn atom(&mut self) -> Result<Expression, Error> {
        match self.peek() {
            Some('(') => {
                self.at += 1;
                let inner = self.sum()?;
                if self.take(')') { Ok(inner) } else { Err(self.unexpected()) }
            }
            Some('[') => {
                self.at += 1;
                Ok(Expression::List(self.items(']')?))
            }
            Some(quote @ ('"' | '\'')) => {
                let text = self.rest().get(1..).unwrap_or_default();
                let end = text.find(quote).ok_or_else(|| Error::Wrong("A text has no end".into()))?;
                let text = text.get(..end).unwrap_or_default().to_owned();
                self.at += end + 2;
                Ok(Expression::Text(text))
            }
            Some(first) if first.is_ascii_digit() || first == '.' => {
                let digits = self.run(|letter| letter.is_ascii_digit() || letter == '.');
                digits.parse().map(Expression::Number).map_err(|_| Error::Wrong(format!("'{digits}' is not a number")))
            }
            Some(first) if first.is_ascii_alphabetic() => {
                let name = self.run(|letter| letter.is_ascii_alphanumeric() || letter == '_');
                if self.take('(') { Ok(Expression::Call(name, self.items(')')?)) } else { Ok(Expression::Name(name)) }
            }
            _ => Err(self.unexpected()),
        }
    }

    fn run(&mut self, belongs: impl Fn(char) -> bool) -> String {
        let rest = self.rest();
        let end = rest.find(|letter| !belongs(letter)).unwrap_or(rest.len());
        let run = rest.get(..end).unwrap_or_default().to_owned();
        self.at += end;
        run
    }

    fn items(&mut self, end: char) -> Result<Vec<Expression>, Error> {
        let mut items = Vec::new();
        if self.take(end) {
            return Ok(items);
        }
        loop {
            items.push(self.sum()?);
            if self.take(end) {
                return Ok(items);
            }
            if !self.take(',') {
                return Err(self.unexpected());
            }
        }
    }
}

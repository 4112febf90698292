//! Comparisons joined by `&&`, `||` and parentheses: what JSON and space-delimited patterns share.

use regex::Regex;

use super::lexer::Lexer;

/// Parentheses may be nested this deep.
const DEPTH: usize = 32;

/// An expression over subjects of kind `S`.
#[derive(Debug)]
pub(super) enum Expression<S> {
    Any(Vec<Self>),
    All(Vec<Self>),
    Test(S, Test),
}

/// What is asked of a subject.
#[derive(Debug)]
pub(super) enum Test {
    Compare(Comparison, Operand),
    IsNull,
    IsBoolean(bool),
    Exists(bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What a subject is compared with.
#[derive(Debug)]
pub(super) enum Operand {
    /// A number, as it was written.
    Number(f64, String),
    /// A text in which `*` stands for any characters.
    Text(String),
    Regex(Regex),
}

impl<S> Expression<S> {
    /// Evaluates, given what a single test says.
    pub(super) fn holds(&self, test: &impl Fn(&S, &Test) -> bool) -> bool {
        match self {
            Self::Any(some) => some.iter().any(|one| one.holds(test)),
            Self::All(some) => some.iter().all(|one| one.holds(test)),
            Self::Test(subject, asked) => test(subject, asked),
        }
    }

    /// Reads an expression; `subject` reads what stands left of an operator, `stop` says which characters end a bare word.
    pub(super) fn parse(
        lexer: &mut Lexer<'_>,
        subject: &impl Fn(&mut Lexer<'_>) -> Result<S, String>,
        depth: usize,
    ) -> Result<Self, String> {
        if depth > DEPTH {
            return Err(format!("parentheses are nested deeper than {DEPTH}"));
        }
        let mut any = vec![Self::conjunction(lexer, subject, depth)?];
        while lexer.take("||") {
            any.push(Self::conjunction(lexer, subject, depth)?);
        }
        Ok(Self::Any(any))
    }

    fn conjunction(
        lexer: &mut Lexer<'_>,
        subject: &impl Fn(&mut Lexer<'_>) -> Result<S, String>,
        depth: usize,
    ) -> Result<Self, String> {
        let mut all = Vec::new();
        loop {
            if lexer.take("(") {
                all.push(Self::parse(lexer, subject, depth + 1)?);
                if !lexer.take(")") {
                    return Err("')' is missing".into());
                }
            } else {
                let left = subject(lexer)?;
                all.push(Self::Test(left, test(lexer)?));
            }
            if !lexer.take("&&") {
                return Ok(Self::All(all));
            }
        }
    }
}

fn test(lexer: &mut Lexer<'_>) -> Result<Test, String> {
    if lexer.take_word("IS") {
        return if lexer.take_word("NULL") {
            Ok(Test::IsNull)
        } else if lexer.take_word("TRUE") {
            Ok(Test::IsBoolean(true))
        } else if lexer.take_word("FALSE") {
            Ok(Test::IsBoolean(false))
        } else {
            Err("IS must be followed by NULL, TRUE or FALSE".into())
        };
    }
    if lexer.take_word("NOT") {
        return if lexer.take_word("EXISTS") {
            Ok(Test::Exists(false))
        } else {
            Err("NOT must be followed by EXISTS".into())
        };
    }
    if lexer.take_word("EXISTS") {
        return Ok(Test::Exists(true));
    }
    let comparison = comparison(lexer).ok_or_else(|| format!("an operator is missing before '{}'", lexer.raw()))?;
    let operand = operand(lexer)?;
    let ordered = !matches!(comparison, Comparison::Equal | Comparison::NotEqual);
    if ordered && !matches!(operand, Operand::Number(..)) {
        return Err("<, <=, > and >= need a number".into());
    }
    Ok(Test::Compare(comparison, operand))
}

fn comparison(lexer: &mut Lexer<'_>) -> Option<Comparison> {
    let all = [
        ("<=", Comparison::LessOrEqual),
        (">=", Comparison::GreaterOrEqual),
        ("!=", Comparison::NotEqual),
        ("=", Comparison::Equal),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
    ];
    all.into_iter().find(|(sign, _)| lexer.take(sign)).map(|(_, comparison)| comparison)
}

fn operand(lexer: &mut Lexer<'_>) -> Result<Operand, String> {
    let rest = lexer.rest();
    if rest.starts_with('"') {
        return Ok(Operand::Text(lexer.quoted('"')?));
    }
    if rest.starts_with('%') {
        return Ok(Operand::Regex(lexer.regex()?));
    }
    let word = lexer.take_while(|letter| !letter.is_whitespace() && !"()&|=<>!\"%,".contains(letter));
    if word.is_empty() {
        return Err("a value is missing".into());
    }
    match word.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Operand::Number(number, word.to_owned())),
        _ => Ok(Operand::Text(word.to_owned())),
    }
}

impl Comparison {
    /// Compares two numbers.
    pub(super) fn numbers(self, left: f64, right: f64) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }

    /// Whether a text that fits its pattern, or does not, is what was asked for.
    pub(super) fn fits(self, fits: bool) -> bool {
        match self {
            Self::Equal => fits,
            Self::NotEqual => !fits,
            _ => false,
        }
    }
}

/// Whether `text` fits `pattern`, in which `*` stands for any characters.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::fits;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn stars_stand_for_any_characters(pattern in "[ab*]{0,6}", text in "[ab]{0,8}") {
            let regex = regex::Regex::new(&format!("^{}$", pattern.replace('*', ".*"))).unwrap();
            prop_assert_eq!(fits(&pattern, &text), regex.is_match(&text));
        }
    }
}

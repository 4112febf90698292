//! Comparisons joined by `&&`, `||` and parentheses: what JSON and space-delimited patterns share.

use regex::bytes::Regex;

use super::Wrong;
use super::lexer::Lexer;

/// Parentheses may be nested this deep.
const DEPTH: usize = 32;
/// Regular expressions in one pattern.
/// Source: CloudWatch Logs User Guide, "Supported regular expressions (regex) syntax", quotas.
pub(super) const REGEXES: usize = 2;

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
    /// A text that may begin and end with `*` for any characters.
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

    /// Shows every subject.
    pub(super) fn subjects<'a>(&'a self, each: &mut impl FnMut(&'a S)) {
        match self {
            Self::Any(some) | Self::All(some) => some.iter().for_each(|one| one.subjects(each)),
            Self::Test(subject, _) => each(subject),
        }
    }

    /// The longest text that must stand in what matches as a whole, among those that are `written` as they are.
    pub(super) fn needed(&self, written: &impl Fn(&str) -> bool) -> Option<&str> {
        match self {
            Self::Any(some) => match some.as_slice() {
                [only] => only.needed(written),
                _ => None,
            },
            Self::All(some) => some.iter().filter_map(|one| one.needed(written)).max_by_key(|text| text.len()),
            Self::Test(_, Test::Compare(Comparison::Equal, Operand::Text(text))) => {
                Some(plain(text)).filter(|text| !text.is_empty() && written(text))
            }
            Self::Test(..) => None,
        }
    }

    /// Reads an expression; `subject` reads what stands left of an operator, `stop` says which characters end a bare word.
    pub(super) fn parse(
        lexer: &mut Lexer<'_>,
        subject: &impl Fn(&mut Lexer<'_>) -> Result<S, Wrong>,
        depth: usize,
    ) -> Result<Self, Wrong> {
        if depth > DEPTH {
            return Err(format!("parentheses are nested deeper than {DEPTH}").into());
        }
        let mut any = vec![Self::conjunction(lexer, subject, depth)?];
        while lexer.take("||") {
            any.push(Self::conjunction(lexer, subject, depth)?);
        }
        Ok(Self::Any(any))
    }

    fn conjunction(
        lexer: &mut Lexer<'_>,
        subject: &impl Fn(&mut Lexer<'_>) -> Result<S, Wrong>,
        depth: usize,
    ) -> Result<Self, Wrong> {
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

fn test(lexer: &mut Lexer<'_>) -> Result<Test, Wrong> {
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
        // An older spelling that the guide once had.
        ("=!", Comparison::NotEqual),
        ("=", Comparison::Equal),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
    ];
    all.into_iter().find(|(sign, _)| lexer.take(sign)).map(|(_, comparison)| comparison)
}

fn operand(lexer: &mut Lexer<'_>) -> Result<Operand, Wrong> {
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

/// Whether `text` fits `pattern`, which may begin and end with `*` for any characters; within it the star is a star.
/// Source: CloudWatch Logs User Guide, "Filter pattern syntax", string-based conditions.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (None, None) => text == pattern,
        (Some(end), None) => text.ends_with(end),
        (None, Some(begin)) => text.starts_with(begin),
        (Some(_), Some(_)) => text.contains(plain(pattern)),
    }
}

/// What stands between the stars at the ends.
pub(super) fn plain(pattern: &str) -> &str {
    let pattern = pattern.strip_prefix('*').unwrap_or(pattern);
    pattern.strip_suffix('*').unwrap_or(pattern)
}

#[cfg(test)]
mod tests {
    use super::fits;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn stars_at_the_ends_stand_for_any_characters(begins: bool, middle in "[ab*]{0,4}", ends: bool, text in "[ab*]{0,8}") {
            // A middle that has stars at its ends would itself be read as such a pattern.
            let middle = format!("a{middle}b");
            let star = |there: bool| if there { "*" } else { "" };
            let any = |there: bool| if there { ".*" } else { "" };
            let regex = format!("^{}{}{}$", any(begins), regex::escape(&middle), any(ends));
            let pattern = format!("{}{middle}{}", star(begins), star(ends));
            prop_assert_eq!(fits(&pattern, &text), regex::Regex::new(&regex).unwrap().is_match(&text));
            prop_assert!(fits("*", &text));
        }
    }
}

//! `[a, b = 4*, ...]`: lines of fields with spaces between.

use super::expression::{Expression, Operand, REGEXES, Test, fits};
use super::lexer::Lexer;
use super::{Needle, Wrong};

/// What each field must be, from the left and from the right of an ellipsis.
#[derive(Debug)]
pub(super) struct Fields {
    left: Vec<Field>,
    // None: there is no ellipsis, and the number of fields must be right.
    right: Option<Vec<Field>>,
    // A text that stands in every message that matches.
    needle: Option<Needle>,
}

/// A field's condition on its name; none takes any value.
type Field = Option<Expression<String>>;

/// Reads what stands between the brackets.
pub(super) fn parse(text: &str) -> Result<Fields, Wrong> {
    let mut lexer = Lexer::new(text);
    let mut fields = Fields { left: Vec::new(), right: None, needle: None };
    loop {
        if lexer.take("...") {
            if fields.right.is_some() {
                return Err("only one '...' may stand in a pattern".into());
            }
            fields.right = Some(Vec::new());
        } else {
            let field = field(&mut lexer)?;
            fields.right.as_mut().unwrap_or(&mut fields.left).push(field);
        }
        if lexer.at_end() {
            break;
        }
        if !lexer.take(",") {
            return Err(format!("',' is missing before '{}'", lexer.raw()).into());
        }
    }
    if lexer.regexes > REGEXES {
        return Err(format!("a pattern may hold {REGEXES} regular expressions").into());
    }
    let conditions = fields.left.iter().chain(fields.right.iter().flatten()).flatten();
    let needed = conditions.filter_map(|one| one.needed(&|_| true)).max_by_key(|text| text.len());
    fields.needle = needed.map(Needle::new);
    Ok(fields)
}

fn field(lexer: &mut Lexer<'_>) -> Result<Field, Wrong> {
    let rest = lexer.rest();
    if rest.is_empty() || rest.starts_with(',') {
        return Ok(None);
    }
    // A name without a condition.
    let end = rest.find(|letter: char| !is_name(letter)).unwrap_or(rest.len());
    let after = rest[end..].trim_start();
    if end > 0 && (after.is_empty() || after.starts_with(',')) {
        name(lexer)?;
        return Ok(None);
    }
    let condition = Expression::parse(lexer, &name, 0)?;
    let mut names = Vec::new();
    condition.subjects(&mut |name: &String| names.push(name));
    if names.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err(format!("one field has the names {names:?}").into());
    }
    Ok(Some(condition))
}

fn is_name(letter: char) -> bool {
    letter.is_alphanumeric() || "_-.$@#*".contains(letter)
}

fn name(lexer: &mut Lexer<'_>) -> Result<String, Wrong> {
    lexer.rest();
    Ok(lexer.take_while(is_name).to_owned())
}

impl Fields {
    pub(super) fn matches(&self, message: &[u8]) -> bool {
        if !self.may_match(message) {
            return false;
        }
        let message = String::from_utf8_lossy(message);
        let values = split(&message);
        let right = self.right.as_deref().unwrap_or_default();
        let wanted = self.left.len() + right.len();
        if values.len() < wanted || self.right.is_none() && values.len() > wanted {
            return false;
        }
        let tail = values.len() - right.len();
        let pairs = self.left.iter().zip(&values).chain(right.iter().zip(&values[tail..]));
        pairs
            .into_iter()
            .all(|(field, value)| field.as_ref().is_none_or(|one| one.holds(&|_, test| holds(test, value))))
    }

    /// Whether one of the messages that these bytes hold may match.
    pub(super) fn may_match(&self, messages: &[u8]) -> bool {
        self.needle.as_ref().is_none_or(|needle| needle.stands_in(messages))
    }
}

fn holds(test: &Test, value: &str) -> bool {
    match test {
        Test::Compare(comparison, Operand::Number(right, written)) => match value.parse::<f64>() {
            Ok(left) => comparison.numbers(left, *right),
            Err(_) => comparison.fits(value == written),
        },
        Test::Compare(comparison, Operand::Text(pattern)) => comparison.fits(fits(pattern, value)),
        Test::Compare(comparison, Operand::Regex(regex)) => comparison.fits(regex.is_match(value.as_bytes())),
        Test::Exists(wanted) => *wanted,
        Test::IsNull => value == "null",
        Test::IsBoolean(wanted) => value.parse() == Ok(*wanted),
    }
}

/// The fields of a line: words, or what stands in brackets or double quotes, without these.
fn split(message: &str) -> Vec<&str> {
    let mut values = Vec::new();
    let mut rest = message.trim();
    // What closes nothing from here on is not looked for again: a line of brackets must not be read once for each.
    let (mut brackets, mut quotes) = (true, true);
    while !rest.is_empty() {
        let enclosed = match rest.as_bytes()[0] {
            b'[' => enclosed(rest, ']', &mut brackets),
            b'"' => enclosed(rest, '"', &mut quotes),
            _ => None,
        };
        let plain = || {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            (0, end, end)
        };
        let (from, to, next) = enclosed.unwrap_or_else(plain);
        values.push(&rest[from..to]);
        rest = rest[next..].trim_start();
    }
    values
}

/// What stands between the first letter and the next `closing`: from, to, and where the rest begins. `more` says whether
/// there may be one.
fn enclosed(rest: &str, closing: char, more: &mut bool) -> Option<(usize, usize, usize)> {
    let end = if *more { rest[1..].find(closing) } else { None };
    *more = end.is_some();
    end.map(|end| (1, end + 1, end + 2))
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn what_is_enclosed_is_one_field_and_what_never_closes_is_plain() {
        assert_eq!(split("a [b c] \"d e\" f"), ["a", "b c", "d e", "f"]);
        assert_eq!(split("a [b c"), ["a", "[b", "c"]);
        assert_eq!(split("[a [b] [c"), ["a [b", "[c"]);
        // Quadratic, this would take minutes.
        let brackets = "[ ".repeat(500_000);
        assert_eq!(split(&brackets).len(), 500_000);
    }
}

//! Patterns of policies: `*`, `?` and policy variables.
//!
//! Source: IAM User Guide, "IAM policy elements: Variables and tags" and "AWS JSON policy elements: Resource".

use super::context::Context;

/// The parts of an ARN.
const SEGMENTS: usize = 6;

/// A text that may hold wildcards and variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Form);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    /// Neither wildcard nor variable.
    Exact(String),
    /// Wildcards only.
    Glob(Vec<Piece>),
    /// With variables, which the request fills in.
    Open(Vec<Part>),
}

/// What matching works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Char(char),
    /// `?`
    One,
    /// `*`
    Any,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Fixed(Vec<Piece>),
    Variable { key: String, default: Option<String> },
}

impl Pattern {
    /// Reads a pattern in which `*` and `?` are wildcards. `variables` says whether `${…}` stands for a request's value:
    /// only in policies of version 2012-10-17.
    pub fn read(text: &str, variables: bool) -> Self {
        Self::with(text, variables, true)
    }

    /// Reads a text in which `*` and `?` stand for themselves, for operators such as `StringEquals`.
    pub fn plain(text: &str, variables: bool) -> Self {
        Self::with(text, variables, false)
    }

    fn with(text: &str, variables: bool, wildcards: bool) -> Self {
        let parts = parts(text, variables, wildcards);
        let fixed = |part: &Part| matches!(part, Part::Fixed(_));
        if !parts.iter().all(fixed) {
            return Self(Form::Open(parts));
        }
        let pieces: Vec<Piece> = parts.into_iter().flat_map(|part| part.known().unwrap_or_default()).collect();
        let exact: Option<String> = pieces
            .iter()
            .map(|piece| match piece {
                Piece::Char(letter) => Some(*letter),
                Piece::One | Piece::Any => None,
            })
            .collect();
        Self(exact.map_or(Form::Glob(pieces), Form::Exact))
    }

    /// Whether `text` fits. A pattern with a variable that the request does not have fits nothing.
    pub fn matches(&self, text: &str, context: &Context) -> bool {
        match &self.0 {
            Form::Exact(exact) => exact == text,
            Form::Glob(pieces) => glob(pieces, text),
            Form::Open(parts) => filled(parts, context).is_some_and(|pieces| glob(&pieces, text)),
        }
    }

    /// As [`Pattern::matches`], without regard to case.
    pub fn matches_any_case(&self, text: &str, context: &Context) -> bool {
        let text = text.to_lowercase();
        let low = |pieces: &[Piece]| -> Vec<Piece> { pieces.iter().flat_map(lower).collect() };
        match &self.0 {
            Form::Exact(exact) => exact.to_lowercase() == text,
            Form::Glob(pieces) => glob(&low(pieces), &text),
            Form::Open(parts) => filled(parts, context).is_some_and(|pieces| glob(&low(&pieces), &text)),
        }
    }

    /// The text it stands for in this request, wildcards written out; none if a variable is missing.
    pub fn text(&self, context: &Context) -> Option<String> {
        let print = |pieces: &[Piece]| {
            let letters = pieces.iter().map(|piece| match piece {
                Piece::Char(letter) => *letter,
                Piece::One => '?',
                Piece::Any => '*',
            });
            letters.collect()
        };
        match &self.0 {
            Form::Exact(exact) => Some(exact.clone()),
            Form::Glob(pieces) => Some(print(pieces)),
            Form::Open(parts) => filled(parts, context).map(|pieces| print(&pieces)),
        }
    }
}

impl Part {
    fn known(self) -> Option<Vec<Piece>> {
        match self {
            Self::Fixed(pieces) => Some(pieces),
            Self::Variable { .. } => None,
        }
    }
}

fn lower(piece: &Piece) -> Vec<Piece> {
    match piece {
        Piece::Char(letter) => letter.to_lowercase().map(Piece::Char).collect(),
        other => vec![*other],
    }
}

fn parts(text: &str, variables: bool, wildcards: bool) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut fixed = Vec::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        if variables && let Some((inside, after)) = rest.strip_prefix("${").and_then(|inside| inside.split_once('}')) {
            match inside {
                // The three characters that a pattern cannot name otherwise.
                "*" | "?" | "$" => fixed.extend(inside.chars().map(Piece::Char)),
                _ => {
                    if !fixed.is_empty() {
                        parts.push(Part::Fixed(std::mem::take(&mut fixed)));
                    }
                    parts.push(variable(inside));
                }
            }
            rest = after;
            continue;
        }
        fixed.push(match letter {
            '*' if wildcards => Piece::Any,
            '?' if wildcards => Piece::One,
            other => Piece::Char(other),
        });
        rest = &rest[letter.len_utf8()..];
    }
    if !fixed.is_empty() || parts.is_empty() {
        parts.push(Part::Fixed(fixed));
    }
    parts
}

/// `aws:PrincipalTag/team, 'none'`
fn variable(inside: &str) -> Part {
    let (key, default) = match inside.split_once(',') {
        Some((key, default)) => (key, Some(default.trim())),
        None => (inside, None),
    };
    let quoted = |text: &str| text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')).map(str::to_owned);
    Part::Variable { key: key.trim().to_owned(), default: default.and_then(quoted) }
}

/// The pieces with every variable filled in; what a request says is never a wildcard.
fn filled(parts: &[Part], context: &Context) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    for part in parts {
        match part {
            Part::Fixed(fixed) => pieces.extend(fixed),
            Part::Variable { key, default } => {
                let value = context.single(key).or(default.as_deref())?;
                pieces.extend(value.chars().map(Piece::Char));
            }
        }
    }
    Some(pieces)
}

/// Whether the text fits the pieces. Takes time in proportion to the product of both lengths at most.
fn glob(pieces: &[Piece], text: &str) -> bool {
    let mut at = 0;
    let mut rest = text;
    // The last star, and the text from which it was last tried.
    let mut star: Option<(usize, &str)> = None;
    while let Some(letter) = rest.chars().next() {
        let after = &rest[letter.len_utf8()..];
        match pieces.get(at) {
            Some(Piece::Any) => {
                star = Some((at, rest));
                at += 1;
            }
            Some(Piece::One) => {
                at += 1;
                rest = after;
            }
            Some(Piece::Char(wanted)) if *wanted == letter => {
                at += 1;
                rest = after;
            }
            _ => {
                let Some((star_at, tried)) = star else { return false };
                let Some(skipped) = tried.chars().next() else { return false };
                let tried = &tried[skipped.len_utf8()..];
                star = Some((star_at, tried));
                at = star_at + 1;
                rest = tried;
            }
        }
    }
    pieces[at..].iter().all(|piece| *piece == Piece::Any)
}

/// A pattern of ARNs. The six parts between colons match each for itself, so that no wildcard reaches over a colon but
/// in the last part. A pattern of fewer parts, such as `*`, matches what is left with its last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArnPattern(Vec<Pattern>);

impl ArnPattern {
    /// Reads a pattern; `variables` as for [`Pattern::read`].
    pub fn read(text: &str, variables: bool) -> Self {
        Self(split(text, SEGMENTS).into_iter().map(|part| Pattern::read(part, variables)).collect())
    }

    /// Whether it holds variables.
    pub fn has_variables(&self) -> bool {
        self.0.iter().any(|part| matches!(part.0, Form::Open(_)))
    }

    /// Whether the ARN fits.
    pub fn matches(&self, arn: &str, context: &Context) -> bool {
        let parts = split(arn, self.0.len());
        parts.len() == self.0.len() && self.0.iter().zip(parts).all(|(pattern, part)| pattern.matches(part, context))
    }
}

/// At most `most` parts, cut at the colons that stand outside `${…}`.
fn split(text: &str, most: usize) -> Vec<&str> {
    let mut parts = Vec::with_capacity(most);
    let (mut start, mut inside) = (0, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' if at > 0 && text.as_bytes()[at - 1] == b'$' => inside = true,
            b'}' => inside = false,
            b':' if !inside && parts.len() + 1 < most => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fits(pattern: &str, text: &str) -> bool {
        Pattern::read(pattern, true).matches(text, &Context::default())
    }

    #[test]
    fn variables_are_filled_in_and_never_become_wildcards() {
        let mut context = Context::default();
        context.set("aws:username", "ann");
        context.set("aws:PrincipalTag/team", "*");
        let fits = |pattern: &str, text: &str| Pattern::read(pattern, true).matches(text, &context);
        assert!(fits("home/${aws:username}/*", "home/ann/x"));
        assert!(fits("home/${AWS:UserName}", "home/ann"));
        assert!(!fits("home/${aws:username}", "home/bob"));
        assert!(fits("t/${aws:PrincipalTag/team}", "t/*") && !fits("t/${aws:PrincipalTag/team}", "t/any"));
        assert!(!fits("t/${aws:PrincipalTag/none}", "t/"), "a missing variable fits nothing");
        assert!(fits("t/${aws:PrincipalTag/none, 'all'}", "t/all"));
        assert!(fits("${*}${?}${$}", "*?$") && !fits("${*}", "x"));
        assert!(
            Pattern::read("${aws:username}", false).matches("${aws:username}", &context),
            "2008's policies have none"
        );
    }

    #[test]
    fn a_wildcard_of_an_arn_stays_within_its_part() {
        let context = Context::default();
        let fits = |pattern: &str, arn: &str| ArnPattern::read(pattern, true).matches(arn, &context);
        let arn = "arn:aws:lambda:us-east-1:111122223333:function:evil:function:good";
        assert!(!fits("arn:aws:lambda:*:function:good", arn));
        assert!(fits("arn:aws:lambda:*:*:function:*", arn));
        assert!(fits("arn:aws:s3:::b/*", "arn:aws:s3:::b/a:b:c"));
        assert!(fits("arn:aws:lambda:*", arn) && !fits("arn:aws:lambda:*:good", arn));
        assert!(fits("*", "*") && fits("*", arn) && !fits("arn:aws:s3:::b", "*"));
        let mut context = Context::default();
        context.set("aws:userid", "AROA:me");
        assert!(ArnPattern::read("arn:aws:s3:::b/${aws:userid}/*", true).matches("arn:aws:s3:::b/AROA:me/x", &context));
    }

    /// The definition, slow and plain.
    fn plain(pattern: &[char], text: &[char]) -> bool {
        match (pattern.first(), text.first()) {
            (None, None) => true,
            (Some('*'), _) => plain(&pattern[1..], text) || !text.is_empty() && plain(pattern, &text[1..]),
            (Some('?'), Some(_)) => plain(&pattern[1..], &text[1..]),
            (Some(a), Some(b)) if a == b => plain(&pattern[1..], &text[1..]),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn wildcards_match_as_defined(pattern in "[aé*?]{0,8}", text in "[aé]{0,8}") {
            let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(fits(&pattern, &text), plain(&p, &t));
        }

        #[test]
        fn no_text_makes_it_panic(pattern in "\\PC{0,40}", text in "\\PC{0,40}") {
            let _ = fits(&pattern, &text);
            let _ = ArnPattern::read(&pattern, true).matches(&text, &Context::default());
            let _ = Pattern::read(&pattern, true).matches_any_case(&text, &Context::default());
        }
    }
}

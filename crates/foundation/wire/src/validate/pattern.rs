//! AWS's patterns: Java's regular expressions, which must match the whole text.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use fancy_regex::{Regex, RegexBuilder};

/// Steps of the backtracking that look-around needs before a match is given up.
const STEPS: usize = 200_000;

/// Whether the whole text matches. A pattern is compiled when it is first needed, and kept.
///
/// A pattern that does not compile constrains nothing: a test over the model keeps that from happening. A match that
/// takes too many steps counts as none.
pub(super) fn matches(pattern: &'static str, text: &str) -> bool {
    compiled(pattern).is_none_or(|regex| regex.is_match(text).unwrap_or(false))
}

/// Whether a pattern can be checked at all. One that cannot constrains nothing, so a test asks for every one of the model.
pub fn pattern_compiles(pattern: &'static str) -> bool {
    compiled(pattern).is_some()
}

/// Patterns already compiled; none is one that does not compile.
type Known = RwLock<HashMap<&'static str, Option<Arc<Regex>>>>;

fn compiled(pattern: &'static str) -> Option<Arc<Regex>> {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    let known = KNOWN.get_or_init(RwLock::default);
    if let Some(found) = known.read().unwrap_or_else(PoisonError::into_inner).get(pattern) {
        return found.clone();
    }
    let regex = compile(pattern).map(Arc::new);
    known.write().unwrap_or_else(PoisonError::into_inner).insert(pattern, regex.clone());
    regex
}

fn compile(pattern: &str) -> Option<Regex> {
    let whole = format!(r"\A(?:{})\z", ascii_classes(pattern));
    RegexBuilder::new(&whole).backtrack_limit(STEPS).build().ok()
}

/// Java's `\d`, `\w` and `\s` are ASCII, which also compiles to far smaller programs.
fn ascii_classes(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 32);
    let mut chars = pattern.chars();
    while let Some(found) = chars.next() {
        if found != '\\' {
            out.push(found);
            continue;
        }
        // A set inside a set is their union, so the same words serve inside brackets.
        match chars.next() {
            Some('d') => out.push_str("[0-9]"),
            Some('D') => out.push_str("[^0-9]"),
            Some('w') => out.push_str("[0-9A-Za-z_]"),
            Some('W') => out.push_str("[^0-9A-Za-z_]"),
            Some('s') => out.push_str(r"[ \t\n\x0B\f\r]"),
            Some('S') => out.push_str(r"[^ \t\n\x0B\f\r]"),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_texts_as_java_does() {
        assert!(matches(
            r"arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+",
            "arn:aws:iam::123456789012:role/x"
        ));
        assert!(!matches(
            r"arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+",
            "xarn:aws:iam::123456789012:role/x"
        ));
        assert!(!matches(r"\d+", "٣"), "digits are ASCII");
        assert!(matches(r"[\w+=,.@\:-]*", "a-b:c@d"));
        assert!(matches(r"[\s\S]*", "any\nthing \u{1F600}"));
        assert!(!matches("^[a-z]+$", "abc\n"));
        assert!(matches(r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", "Größe: 3 m"));
    }

    #[test]
    fn look_around_holds() {
        let alias = "(?!^[0-9]+$)([a-zA-Z0-9-_]+)";
        assert!(matches(alias, "live2"));
        assert!(!matches(alias, "42"));
        let bucket = r"[0-9A-Za-z\.\-_]*(?<!\.)";
        assert!(matches(bucket, "my.bucket"));
        assert!(!matches(bucket, "my.bucket."));
        let account = "^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$";
        assert!(matches(account, "a-b-c"));
        assert!(!matches(account, "a--c"));
    }

    #[test]
    fn a_pattern_that_would_run_for_ever_ends() {
        assert!(!matches("((?!x)(a+)+)+b", &"a".repeat(64)));
    }
}

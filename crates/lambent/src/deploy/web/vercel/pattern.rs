//! Paths with parameters, as `vercel.json` has them: `/blog/:year(\\d+)/:rest*`. They become regular expressions that Python
//! and JavaScript read alike, with groups by number.

use anyhow::{bail, ensure};

/// A compiled path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// Anchored at both ends.
    pub(super) regex: String,
    /// The name of each group; none for those without.
    pub(super) names: Vec<Option<String>>,
}

/// Compiles a `source`.
pub(super) fn compile(source: &str) -> anyhow::Result<Pattern> {
    ensure!(source.starts_with('/') || source.starts_with('('), "the source {source:?} must begin with /");
    let text: Vec<char> = source.chars().collect();
    let (mut regex, mut names) = (String::from("^"), Vec::new());
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            ':' if text.get(at + 1).is_some_and(|c| is_word(*c)) => {
                let name: String = text[at + 1..].iter().take_while(|c| is_word(**c)).collect();
                at += 1 + name.chars().count();
                let inner = if text.get(at) == Some(&'(') { Some(group(&text, &mut at)?) } else { None };
                parameter(&mut regex, inner.as_deref().unwrap_or("[^/#?]+?"), modifier(&text, &mut at));
                names.push(Some(name));
            }
            '(' => {
                let inner = group(&text, &mut at)?;
                parameter(&mut regex, &inner, modifier(&text, &mut at));
                names.push(None);
            }
            '{' | '}' => bail!("the source {source:?} has braces, which are not read here"),
            '*' | '+' | '?' => bail!("the source {source:?} has a {} that belongs to no parameter", text[at]),
            '\\' if at + 1 < text.len() => {
                literal(&mut regex, text[at + 1]);
                at += 2;
            }
            c => {
                literal(&mut regex, c);
                at += 1;
            }
        }
    }
    regex.push('$');
    Ok(Pattern { regex, names })
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn literal(regex: &mut String, c: char) {
    if !c.is_alphanumeric() && !"/_-~ %@,;=&!'\"<>#".contains(c) {
        regex.push('\\');
    }
    regex.push(c);
}

/// Adds a parameter. One that may be absent takes the slash before it along.
fn parameter(regex: &mut String, inner: &str, modifier: Option<char>) {
    let Some(modifier) = modifier else {
        regex.push('(');
        regex.push_str(inner);
        return regex.push(')');
    };
    let slash = if regex.ends_with('/') { "/" } else { "" };
    regex.truncate(regex.len() - slash.len());
    let whole = match modifier {
        '?' => format!("(?:{slash}({inner}))?"),
        many if slash.is_empty() => format!("((?:{inner}){many})"),
        many => {
            let end = if many == '*' { "?" } else { "" };
            format!("(?:/((?:{inner})(?:/(?:{inner}))*)){end}")
        }
    };
    regex.push_str(&whole);
}

fn modifier(text: &[char], at: &mut usize) -> Option<char> {
    let found = text.get(*at).copied().filter(|c| matches!(c, '*' | '+' | '?'));
    *at += usize::from(found.is_some());
    found
}

/// What stands between parentheses; `at` is moved behind them.
fn group(text: &[char], at: &mut usize) -> anyhow::Result<String> {
    let (mut depth, mut inner) = (0, String::new());
    while let Some(&c) = text.get(*at) {
        *at += 1;
        match c {
            '\\' => {
                inner.push(c);
                inner.extend(text.get(*at));
                *at += 1;
                continue;
            }
            '(' => {
                // A group of its own would shift the numbers.
                let is_plain = text.get(*at) != Some(&'?');
                ensure!(depth == 0 || !is_plain, "groups within a pattern must begin with ?:");
                depth += 1;
                if depth == 1 {
                    ensure!(is_plain, "a pattern may not begin with ?");
                    continue;
                }
            }
            ')' => {
                depth -= 1;
                if depth == 0 {
                    ensure!(!inner.is_empty(), "a pattern may not be empty");
                    return Ok(inner);
                }
            }
            _ => {}
        }
        inner.push(c);
    }
    bail!("a parenthesis is not closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_become_expressions() {
        let one = |source: &str| compile(source).unwrap();
        assert_eq!(one("/a.b/c").regex, r"^/a\.b/c$");
        let blog = one(r"/blog/:year(\d{4})/:rest*");
        assert_eq!(blog.regex, r"^/blog/(\d{4})(?:/((?:[^/#?]+?)(?:/(?:[^/#?]+?))*))?$");
        assert_eq!(blog.names, [Some("year".to_owned()), Some("rest".to_owned())]);
        assert_eq!(one("/x/:y?").regex, "^/x(?:/([^/#?]+?))?$");
        assert_eq!(one("/(.*)").regex, "^/(.*)$");
        assert_eq!(one("/(.*)").names, [None]);
        assert_eq!(one("/((?!api/).*)").regex, "^/((?!api/).*)$");
        assert_eq!(one("/:a-:b+").regex, "^/([^/#?]+?)-((?:[^/#?]+?)+)$");
        for wrong in ["x", "/{a}", "/a*", "/(", "/(a(b))", "/()", "/(?:a)"] {
            assert!(compile(wrong).is_err(), "{wrong}");
        }
    }
}

//! What identity policies say of one action on one resource.
//!
//! Source: IAM User Guide, "Policy evaluation logic": an explicit deny wins, else an allow, else it is denied.
//! Conditions are not evaluated here, since the door gives no request context: an allow with conditions counts, a deny
//! with conditions does not, and the answer says so.

use super::document::{Document, Statement};

/// The verdict, with the name of the statement that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A statement allows it.
    Allowed(String),
    /// A statement denies it.
    Denied(String),
    /// No statement speaks of it.
    Silent,
}

/// Evaluates policies, each with the name under which people know it.
pub fn evaluate<'a>(
    policies: impl IntoIterator<Item = (&'a str, &'a Document)>,
    action: &str,
    resource: &str,
) -> Verdict {
    let mut verdict = Verdict::Silent;
    for (policy, document) in policies {
        for statement in &document.statements {
            if !applies(statement, action, resource) {
                continue;
            }
            let conditional = !statement.conditions.is_empty();
            if !statement.allow && !conditional {
                return Verdict::Denied(format!("{policy}/{}", statement.name));
            }
            if statement.allow && verdict == Verdict::Silent {
                let note = if conditional { " (conditions not evaluated)" } else { "" };
                verdict = Verdict::Allowed(format!("{policy}/{}{note}", statement.name));
            }
        }
    }
    verdict
}

fn applies(statement: &Statement, action: &str, resource: &str) -> bool {
    let action = action.to_ascii_lowercase();
    statement.actions.matches(|pattern| wildcard(pattern, &action))
        && statement.resources.matches(|pattern| wildcard(pattern, resource))
}

/// Whether `text` fits `pattern`, in which `*` stands for any characters and `?` for one.
pub fn wildcard(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut place) = (0, 0);
    // The last star and the place in the text from which it was last tried.
    let mut star: Option<(usize, usize)> = None;
    while place < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[place] => {
                at += 1;
                place += 1;
            }
            _ => match star {
                None => return false,
                Some((star_at, tried)) => {
                    star = Some((star_at, tried + 1));
                    at = star_at + 1;
                    place = tried + 1;
                }
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::super::document::{Purpose, read};
    use super::*;
    use proptest::prelude::*;

    fn document(statements: &str) -> Document {
        read(&format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#), Purpose::Identity).unwrap()
    }

    #[test]
    fn an_explicit_deny_wins_over_any_allow() {
        let all = document(r#"{"Sid":"all","Effect":"Allow","Action":"*","Resource":"*"}"#);
        let deny = document(r#"{"Sid":"no","Effect":"Deny","Action":"S3:Delete*","Resource":"arn:aws:s3:::keep/*"}"#);
        let policies = [("a", &all), ("b", &deny)];
        let of = |action, resource| evaluate(policies, action, resource);
        assert_eq!(of("s3:DeleteObject", "arn:aws:s3:::keep/x"), Verdict::Denied("b/no".into()));
        assert_eq!(of("s3:DeleteObject", "arn:aws:s3:::other/x"), Verdict::Allowed("a/all".into()));
        assert_eq!(evaluate([("b", &deny)], "s3:GetObject", "arn:aws:s3:::keep/x"), Verdict::Silent);
    }

    #[test]
    fn not_action_and_not_resource_turn_the_list_around() {
        let but = document(r#"{"Effect":"Allow","NotAction":"iam:*","NotResource":"arn:aws:s3:::secret"}"#);
        assert!(matches!(evaluate([("p", &but)], "s3:Get", "arn:aws:s3:::x"), Verdict::Allowed(_)));
        assert_eq!(evaluate([("p", &but)], "iam:GetRole", "arn:aws:s3:::x"), Verdict::Silent);
        assert_eq!(evaluate([("p", &but)], "s3:Get", "arn:aws:s3:::secret"), Verdict::Silent);
    }

    /// The definition, slow and plain.
    fn plain(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.first(), text.first()) {
            (None, None) => true,
            (Some(b'*'), _) => plain(&pattern[1..], text) || !text.is_empty() && plain(pattern, &text[1..]),
            (Some(b'?'), Some(_)) => plain(&pattern[1..], &text[1..]),
            (Some(a), Some(b)) if a == b => plain(&pattern[1..], &text[1..]),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn wildcards_match_as_defined(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
            prop_assert_eq!(wildcard(&pattern, &text), plain(pattern.as_bytes(), text.as_bytes()));
        }
    }
}

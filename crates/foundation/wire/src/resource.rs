//! Which resource a call is about: the ARN template of its operation, filled in.
//!
//! A template is text with labels in braces: `{region}`, `{account}`, and members of the input by AWS's name. A member that
//! is not set is `*`. A member that is itself an ARN stands for the whole.
//!
//! - `{QueueName}`: the member's text, or number
//! - `{StreamARN|StreamName}`: the first of them that is set
//! - `{QueueUrl/}`: the last segment of a path or URL
//! - `{/Name}`: with one slash in front, whether or not it came with one
//! - `{ResourceArn%}`: percent-encoded, an ARN too

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{Operation, Structure, text_member};

/// What stays as it is in a percent-encoded label.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The resource ARN of a call of `operation`.
pub fn fill(operation: &Operation, input: &dyn Structure, region: &str, account: &str) -> String {
    // Room for names of the usual length.
    let mut out = String::with_capacity(operation.resource.len() + 32);
    for piece in pieces(operation.resource) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Label("region") => out.push_str(region),
            Piece::Label("account") => out.push_str(account),
            Piece::Label(label) => {
                let value = members(label).find_map(|member| text_member(input, member));
                let Some(value) = value.filter(|value| !value.is_empty()) else {
                    out.push_str(if label.starts_with('/') { "/*" } else { "*" });
                    continue;
                };
                if label.ends_with('%') {
                    out.extend(utf8_percent_encode(&value, ENCODED));
                } else if value.starts_with("arn:") {
                    return value;
                } else if label.ends_with('/') {
                    out.push_str(value.trim_end_matches('/').rsplit('/').next().unwrap_or_default());
                } else if label.starts_with('/') {
                    out.push('/');
                    out.push_str(value.strip_prefix('/').unwrap_or(&value));
                } else {
                    out.push_str(&value);
                }
            }
        }
    }
    out
}

/// A part of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// As it is
    Text(&'static str),
    /// What stands between braces
    Label(&'static str),
}

/// The parts of a template, in order. A brace without its other is text.
pub fn pieces(template: &'static str) -> impl Iterator<Item = Piece> {
    let mut rest = template;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let label = rest.strip_prefix('{').and_then(|after| after.split_once('}'));
        if let Some((label, after)) = label {
            rest = after;
            return Some(Piece::Label(label));
        }
        let end = rest.char_indices().skip(1).find(|(_, letter)| *letter == '{').map_or(rest.len(), |(at, _)| at);
        let text;
        (text, rest) = rest.split_at(end);
        Some(Piece::Text(text))
    })
}

/// The input members that a label names.
pub fn members(label: &'static str) -> impl Iterator<Item = &'static str> {
    label.trim_start_matches('/').trim_end_matches(['/', '%']).split('|')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_taken_apart_and_a_lone_brace_is_text() {
        let parts: Vec<_> = pieces("arn:{region}:{A|B}/{C").collect();
        let wanted = [
            Piece::Text("arn:"),
            Piece::Label("region"),
            Piece::Text(":"),
            Piece::Label("A|B"),
            Piece::Text("/"),
            Piece::Text("{C"),
        ];
        assert_eq!(parts, wanted);
        assert_eq!(members("A|B").collect::<Vec<_>>(), ["A", "B"]);
        assert_eq!(
            members("/Name").chain(members("Url/")).chain(members("Arn%")).collect::<Vec<_>>(),
            ["Name", "Url", "Arn"]
        );
    }
}

//! Lists in headers: commas part their items, quotes protect commas.

use std::borrow::Cow;

/// The items of a header list: commas part them, quotes protect commas. A date holds one comma of its own.
pub(super) fn split(text: &str, dates: bool) -> Vec<Cow<'_, str>> {
    let mut items = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (item, after) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => {
                let commas = usize::from(dates && rest.starts_with(|first: char| first.is_ascii_alphabetic()));
                let end = rest.match_indices(',').nth(commas).map_or(rest.len(), |(at, _)| at);
                (Cow::Borrowed(rest[..end].trim_end()), &rest[end..])
            }
        };
        items.push(item);
        rest = after.trim_start().strip_prefix(',').unwrap_or("").trim_start();
    }
    items
}

/// The text up to the closing quote, backslashes resolved, and what follows.
fn unquote(quoted: &str) -> (Cow<'_, str>, &str) {
    let mut out = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, found)) = chars.next() {
        match found {
            '"' => return (Cow::Owned(out), &quoted[at + 1..]),
            '\\' => out.extend(chars.next().map(|(_, escaped)| escaped)),
            other => out.push(other),
        }
    }
    (Cow::Owned(out), "")
}

/// A list's item, quoted when it holds what parts items.
pub(super) fn quote(item: String) -> String {
    if item.contains([',', '"']) {
        return format!("\"{}\"", item.replace('\\', "\\\\").replace('"', "\\\""));
    }
    item
}

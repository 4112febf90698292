//! `${stageVariables.name}` in an integration's URI.

use std::borrow::Cow;
use std::collections::BTreeMap;

const BEGIN: &str = "${stageVariables.";

/// Whether a text has such a place.
pub(crate) fn has_any(text: &str) -> bool {
    text.contains(BEGIN)
}

/// The text with every variable in its place; one that the stage does not have is empty.
pub(crate) fn filled<'t>(text: &'t str, variables: &BTreeMap<String, String>) -> Cow<'t, str> {
    if !has_any(text) {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        out.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            out.push_str(BEGIN);
            rest = after;
            break;
        };
        out.push_str(variables.get(name).map_or("", String::as_str));
        rest = after;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_stand_in_their_places() {
        let variables = BTreeMap::from([("name".to_owned(), "f".to_owned())]);
        assert_eq!(filled("a:${stageVariables.name}:${stageVariables.none}b", &variables), "a:f:b");
        assert_eq!(filled("a:${stageVariables.name", &variables), "a:${stageVariables.name");
        assert_eq!(filled("plain", &variables), "plain");
    }
}

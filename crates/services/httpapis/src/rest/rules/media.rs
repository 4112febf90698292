//! Media types: which are binary, and which template a request takes.
//! Source: API Gateway Developer Guide, "Content type conversion in API Gateway" and "Method request behavior for payloads
//! without mapping templates for REST APIs".

use std::collections::BTreeMap;

/// What a request without `Content-Type` is taken for.
const JSON: &str = "application/json";

/// The type of a header's value, without parameters, in lower case.
fn plain(value: &str) -> String {
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether a header's value names one of the types: `image/png`, `image/*` or `*/*`.
pub(crate) fn is_any_of(types: &[String], value: &str) -> bool {
    let value = plain(value);
    types.iter().any(|one| match one.to_ascii_lowercase().as_str() {
        "*/*" => true,
        one => match one.strip_suffix('*') {
            Some(kind) if kind.ends_with('/') => value.starts_with(kind),
            _ => one == value,
        },
    })
}

/// What becomes of a request's body before an integration that is no proxy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Choice<'a, V> {
    /// It is made by this template.
    Template(&'a V),
    /// It is passed on as it is.
    AsItIs,
    /// It is refused.
    Refused,
}

/// Which template a request's content type takes, by the integration's `passthroughBehavior`.
pub(crate) fn choose<'a, V>(
    templates: &'a BTreeMap<String, V>,
    passthrough: &str,
    content_type: Option<&str>,
) -> Choice<'a, V> {
    let wanted = content_type.map_or_else(|| JSON.to_owned(), plain);
    let found = templates.iter().find(|(of, _)| plain(of) == wanted);
    match (found, passthrough) {
        (Some((_, template)), _) => Choice::Template(template),
        (None, "WHEN_NO_MATCH") => Choice::AsItIs,
        (None, "WHEN_NO_TEMPLATES") if templates.is_empty() => Choice::AsItIs,
        (None, _) => Choice::Refused,
    }
}

/// The template of an answer and its type, by what the client accepts: the one it names, else JSON's, else the first.
pub(crate) fn accepted<'a, V>(templates: &'a BTreeMap<String, V>, accept: Option<&str>) -> Option<(&'a str, &'a V)> {
    let named = accept.and_then(|accept| {
        let wanted: Vec<String> = accept.split(',').map(plain).collect();
        templates.iter().find(|(of, _)| wanted.contains(&plain(of)))
    });
    let found = named.or_else(|| templates.get_key_value(JSON)).or_else(|| templates.iter().next())?;
    Some((found.0, found.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_match_with_stars() {
        let types = |text: &str| vec![text.to_owned()];
        assert!(is_any_of(&types("image/png"), "Image/PNG; q=1"));
        assert!(is_any_of(&types("image/*"), "image/gif") && is_any_of(&types("*/*"), "a/b"));
        assert!(!is_any_of(&types("image/png"), "image/gif") && !is_any_of(&[], "image/gif"));
        assert!(!is_any_of(&types("imag*"), "image/gif"));
    }

    #[test]
    fn a_request_takes_its_types_template() {
        let none = BTreeMap::<String, &str>::new();
        let templates = BTreeMap::from([("application/json".to_owned(), "j")]);
        assert_eq!(choose(&templates, "NEVER", None), Choice::Template(&"j"));
        assert_eq!(choose(&templates, "NEVER", Some("application/json; charset=utf-8")), Choice::Template(&"j"));
        assert_eq!(choose(&templates, "WHEN_NO_MATCH", Some("text/plain")), Choice::AsItIs);
        assert_eq!(choose(&templates, "WHEN_NO_TEMPLATES", Some("text/plain")), Choice::Refused);
        assert_eq!(choose(&none, "WHEN_NO_TEMPLATES", Some("text/plain")), Choice::AsItIs);
        assert_eq!(choose(&none, "NEVER", Some("text/plain")), Choice::Refused);
    }

    #[test]
    fn an_answer_takes_what_is_accepted() {
        let templates = BTreeMap::from([("application/json".to_owned(), "j"), ("application/xml".to_owned(), "x")]);
        assert_eq!(accepted(&templates, Some("text/html, application/xml;q=0.9")), Some(("application/xml", &"x")));
        assert_eq!(accepted(&templates, Some("*/*")), Some(("application/json", &"j")));
        assert_eq!(accepted(&templates, None), Some(("application/json", &"j")));
        assert_eq!(accepted(&BTreeMap::<String, ()>::new(), None), None);
    }
}

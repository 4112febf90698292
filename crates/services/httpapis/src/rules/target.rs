//! URLs as integrations.
//! Source: API Gateway Developer Guide, "Create HTTP proxy integrations for HTTP APIs" and "Create routes for HTTP APIs".

use std::fmt::Write;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// What may not stand in a path as it is. A slash is kept: a greedy variable holds many parts.
const OF_PATH: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'?').add(b'`').add(b'{').add(b'}').add(b'%');

/// Whether a text is a URL that an integration may have.
pub(crate) fn is_url(uri: &str) -> bool {
    let plain = uri.replace(['{', '}', '$', '+'], "");
    let Ok(parsed) = plain.parse::<http::Uri>() else { return false };
    matches!(parsed.scheme_str(), Some("http" | "https")) && parsed.host().is_some_and(|host| !host.is_empty())
}

/// A URL without its path.
pub(crate) fn origin(uri: &str) -> &str {
    let begin = uri.find("://").map_or(0, |at| at + 3);
    let end = uri[begin..].find(['/', '?']).map_or(uri.len(), |at| begin + at);
    &uri[..end]
}

/// The URL a request goes to: the integration's with the path's variables in their places, the whole path behind it
/// for `$default`, and the query.
pub(crate) fn url(uri: &str, route_key: &str, variables: &[(&str, String)], path: &str, query: &str) -> String {
    let mut url = uri.to_owned();
    for (name, value) in variables {
        let value = utf8_percent_encode(value, OF_PATH).to_string();
        for place in [format!("{{{name}}}"), format!("{{{name}+}}")] {
            url = url.replace(&place, &value);
        }
    }
    if route_key == "$default" {
        let (before, own) = url.split_once('?').map_or((&*url, None), |(before, own)| (before, Some(own)));
        let joined = format!("{}{path}", before.trim_end_matches('/'));
        url = own.map_or(joined.clone(), |own| format!("{joined}?{own}"));
    }
    if !query.is_empty() {
        let mark = if url.contains('?') { '&' } else { '?' };
        let _ = write!(url, "{mark}{query}");
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_the_paths_variables() {
        let variables = [("id", "a b/?".to_owned()), ("proxy", "x/y".to_owned())];
        let of = |uri: &str, key: &str, query: &str| url(uri, key, &variables, "/p/q", query);
        assert_eq!(of("http://h/{id}", "GET /{id}", ""), "http://h/a%20b/%3F");
        assert_eq!(of("http://h/{proxy}", "ANY /{proxy+}", "a=1"), "http://h/x/y?a=1");
        assert_eq!(of("http://h/{proxy+}?z=1", "ANY /{proxy+}", "a=1"), "http://h/x/y?z=1&a=1");
        assert_eq!(of("http://h/base/", "$default", "a=1"), "http://h/base/p/q?a=1");
        assert_eq!(of("http://h/fixed", "GET /p/q", ""), "http://h/fixed");
        assert_eq!(origin("https://h:1/a/b?c"), "https://h:1");
        assert_eq!(origin("https://h"), "https://h");
        assert!(is_url("https://example.com/{proxy}") && is_url("http://${stageVariables.host}/x"));
        assert!(!is_url("ftp://h/") && !is_url("example.com") && !is_url("https://"));
    }
}

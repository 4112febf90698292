//! Paths as clients send them.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The path, decoded, as events have it.
pub(crate) fn decoded(path: &str) -> Cow<'_, str> {
    percent_decode_str(path).decode_utf8_lossy()
}

/// The parts of a path, each decoded: an encoded slash parts nothing. `/` has none.
pub(crate) fn parts(path: &str) -> Vec<Cow<'_, str>> {
    let rest = path.strip_prefix('/').unwrap_or(path);
    if rest.is_empty() {
        return Vec::new();
    }
    rest.split('/').map(decoded).collect()
}

/// The first part, and the path that follows it; `/` if none does.
pub(crate) fn first(path: &str) -> (Cow<'_, str>, &str) {
    let rest = path.strip_prefix('/').unwrap_or(path);
    let end = rest.find('/').unwrap_or(rest.len());
    let (first, rest) = rest.split_at(end);
    (decoded(first), if rest.is_empty() { "/" } else { rest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_come_apart_at_slashes_that_were_sent_as_such() {
        assert_eq!(parts("/a%2Fb/c%20d/"), ["a/b", "c d", ""]);
        assert!(parts("/").is_empty());
        assert_eq!(first("/dev/x/y"), ("dev".into(), "/x/y"));
        assert_eq!(first("/dev"), ("dev".into(), "/"));
        assert_eq!(first("/"), ("".into(), "/"));
    }
}

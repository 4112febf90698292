//! URI templates: `/functions/{FunctionName}/aliases/{Name}`, `/{Bucket}/{Key+}?acl`.

/// The path part of a template; the rest are query constants.
pub(crate) fn path(uri: &str) -> &str {
    uri.split_once('?').map_or(uri, |(path, _)| path)
}

/// The query constants of a template: `?List` or `?x-id=PutObject`.
pub(crate) fn constants(uri: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let query = uri.split_once('?').map_or("", |(_, query)| query);
    query.split('&').filter(|part| !part.is_empty()).map(|part| match part.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (part, None),
    })
}

/// One segment of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Segment<'t> {
    /// Fixed text.
    Literal(&'t str),
    /// One path segment.
    Label(&'t str),
    /// One or more path segments.
    Greedy(&'t str),
}

/// The segments of a template's path. One slash at the end means nothing, as on AWS.
pub(crate) fn segments(uri: &str) -> impl Iterator<Item = Segment<'_>> + Clone {
    let path = path(uri).trim_start_matches('/');
    path.strip_suffix('/').unwrap_or(path).split('/').map(|part| {
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            None => Segment::Literal(part),
            Some(label) => label.strip_suffix('+').map_or(Segment::Label(label), Segment::Greedy),
        }
    })
}

/// The text that every path begins with that matches: up to the first label, without the slash before it. A path may have
/// one slash at its end more or less than the template.
pub(crate) fn start(uri: &str) -> &str {
    let path = path(uri);
    path.split_once('{').map_or(path, |(start, _)| start).trim_end_matches('/')
}

/// How many segments a path has that matches; none when a greedy label takes any number.
pub(crate) fn count(uri: &str) -> Option<usize> {
    let is_greedy = segments(uri).any(|segment| matches!(segment, Segment::Greedy(_)));
    (!is_greedy).then(|| segments(uri).count())
}

/// How many segments a path has. One slash at its end means nothing.
pub(crate) fn count_in(path: &str) -> usize {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.strip_suffix('/').unwrap_or(path).bytes().filter(|byte| *byte == b'/').count() + 1
}

/// Whether a path, still percent-encoded, matches.
pub(crate) fn matches(uri: &str, path: &str) -> bool {
    walk(uri, path, |_, _| {}).is_some()
}

/// Matches a path, still percent-encoded, and names the raw text of each label; none when it does not match.
pub(crate) fn labels<'t, 'p>(uri: &'t str, path: &'p str) -> Option<Vec<(&'t str, &'p str)>> {
    let mut found = Vec::new();
    walk(uri, path, |name, part| found.push((name, part)))?;
    Some(found)
}

fn walk<'t, 'p>(uri: &'t str, path: &'p str, mut label: impl FnMut(&'t str, &'p str)) -> Option<()> {
    let mut rest = Some(path.strip_prefix('/')?);
    let mut template = segments(uri);
    let mut last_greedy = false;
    while let Some(segment) = template.next() {
        let (part, after) = match segment {
            Segment::Greedy(_) => {
                last_greedy = true;
                greedy(rest?, template.clone().count())?
            }
            _ => rest?.split_once('/').map_or((rest?, None), |(part, after)| (part, Some(after))),
        };
        match segment {
            Segment::Literal(text) if text != part => return None,
            Segment::Literal(_) => {}
            Segment::Label(_) | Segment::Greedy(_) if part.is_empty() => return None,
            Segment::Label(name) | Segment::Greedy(name) => label(name, part),
        }
        rest = after;
    }
    let ended = rest.is_none() || (rest == Some("") && !last_greedy);
    ended.then_some(())
}

/// What a greedy label takes when `after` segments must follow it, and what they get.
fn greedy(rest: &str, after: usize) -> Option<(&str, Option<&str>)> {
    if after == 0 {
        return Some((rest, None));
    }
    let (cut, _) = rest.rmatch_indices('/').nth(after - 1)?;
    Some((&rest[..cut], Some(&rest[cut + 1..])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_take_what_the_template_gives_them() {
        let get = "/2015-03-31/functions/{FunctionName}/aliases/{Name}";
        let found = labels(get, "/2015-03-31/functions/a%3Ab/aliases/live");
        assert_eq!(found, Some(vec![("FunctionName", "a%3Ab"), ("Name", "live")]));
        assert_eq!(labels(get, "/2015-03-31/functions//aliases/live"), None);
        assert_eq!(labels(get, "/2015-03-31/functions/f/aliases"), None);
        assert_eq!(labels(get, "/2015-03-31/functions/f/aliases/live/x"), None);
    }

    #[test]
    fn what_matches_begins_and_counts_as_the_template_says() {
        for (uri, path) in [
            ("/2015-03-31/functions/{FunctionName}/aliases", "/2015-03-31/functions/f/aliases/"),
            ("/2015-03-31/functions/", "/2015-03-31/functions"),
            ("/2015-03-31/functions", "/2015-03-31/functions/"),
            ("/{Bucket}/{Key+}?acl", "/b/k"),
            ("/", "/"),
        ] {
            assert!(matches(uri, path) && path.starts_with(start(uri)), "{uri} {path}");
            assert!(count(uri).is_none_or(|count| count == count_in(path)), "{uri} {path}");
        }
        assert_eq!(start("/2015-03-31/functions/{FunctionName}/aliases"), "/2015-03-31/functions");
    }

    #[test]
    fn a_slash_at_the_end_means_nothing_unless_a_key_ends_there() {
        assert_eq!(labels("/2015-03-31/functions/", "/2015-03-31/functions"), Some(vec![]));
        assert_eq!(labels("/2015-03-31/functions", "/2015-03-31/functions/"), Some(vec![]));
        let key = labels("/{Bucket}/{Key+}", "/b/folder/");
        assert_eq!(key, Some(vec![("Bucket", "b"), ("Key", "folder/")]));
        let middle = labels("/a/{Key+}/tail/{Id}", "/a/x/y/tail/7");
        assert_eq!(middle, Some(vec![("Key", "x/y"), ("Id", "7")]));
    }
}

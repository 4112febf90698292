//! Which route a request takes.
//!
//! Source: API Gateway Developer Guide, "Create routes for HTTP APIs": first a full match of the path, then the longest with a
//! greedy variable, then `$default`; at one path the request's own method goes before `ANY`. The table is a tree by parts of
//! paths, made once, so that the number of routes costs a request nothing.

use std::borrow::Cow;
use std::collections::HashMap;

use super::route_key::{self, Part, RouteKey};

/// The routes of one path.
#[derive(Debug, Default)]
struct Methods {
    any: Option<usize>,
    named: Vec<(Box<str>, usize)>,
}

impl Methods {
    fn find(&self, method: &str) -> Option<usize> {
        self.named.iter().find(|(named, _)| &**named == method).map(|(_, route)| *route).or(self.any)
    }

    fn put(&mut self, method: &str, route: usize) {
        match method {
            "ANY" => self.any = Some(route),
            _ => self.named.push((method.into(), route)),
        }
    }
}

#[derive(Debug, Default)]
struct Node {
    // The next part is exactly this.
    fixed: HashMap<Box<str>, Node>,
    // The next part is any.
    variable: Option<Box<Node>>,
    // The path ends here.
    here: Methods,
    // Whatever follows.
    greedy: Methods,
}

/// The routes of a deployment, by the places of their keys in the list it was made from.
#[derive(Debug, Default)]
pub(crate) struct Table {
    root: Node,
    default: Option<usize>,
}

impl Table {
    /// A table of keys. Keys that are not well formed are in no row, since none is ever kept.
    pub(crate) fn new<'a>(keys: impl Iterator<Item = &'a str>) -> Self {
        let mut table = Self::default();
        for (route, key) in keys.enumerate() {
            match RouteKey::parse(key) {
                Ok(RouteKey::Default) => table.default = Some(route),
                Ok(RouteKey::Path { method, path }) => table.put(method, path, route),
                Err(_) => {}
            }
        }
        table
    }

    fn put(&mut self, method: &str, path: &str, route: usize) {
        let mut node = &mut self.root;
        for part in route_key::parts(path).flatten() {
            node = match part {
                Part::Fixed(text) => node.fixed.entry(text.into()).or_default(),
                Part::Variable(_) => node.variable.get_or_insert_default(),
                Part::Greedy(_) => return node.greedy.put(method, route),
            };
        }
        node.here.put(method, route);
    }

    /// The route of a request, by its method and the parts of its path.
    pub(crate) fn find(&self, method: &str, parts: &[Cow<'_, str>]) -> Option<usize> {
        full(&self.root, method, parts).or_else(|| greedy(&self.root, method, parts)).or(self.default)
    }
}

/// A node is visited at most once, since each is reached by one sequence of parts only.
fn full(node: &Node, method: &str, parts: &[Cow<'_, str>]) -> Option<usize> {
    let Some((part, rest)) = parts.split_first() else { return node.here.find(method) };
    let fixed = node.fixed.get(&**part).and_then(|next| full(next, method, rest));
    fixed.or_else(|| {
        let next = node.variable.as_ref().filter(|_| !part.is_empty())?;
        full(next, method, rest)
    })
}

/// The deepest node that takes whatever follows.
fn greedy(node: &Node, method: &str, parts: &[Cow<'_, str>]) -> Option<usize> {
    let (part, rest) = parts.split_first()?;
    let fixed = node.fixed.get(&**part).and_then(|next| greedy(next, method, rest));
    let deeper = fixed.or_else(|| {
        let next = node.variable.as_ref().filter(|_| !part.is_empty())?;
        greedy(next, method, rest)
    });
    deeper.or_else(|| node.greedy.find(method).filter(|_| !(rest.is_empty() && part.is_empty())))
}

/// The values of a route's path variables in a request that takes it.
pub(crate) fn values<'k>(key: &'k str, parts: &[Cow<'_, str>]) -> Vec<(&'k str, String)> {
    let Ok(RouteKey::Path { path, .. }) = RouteKey::parse(key) else { return Vec::new() };
    let mut values = Vec::new();
    for (at, part) in route_key::parts(path).flatten().enumerate() {
        match part {
            Part::Fixed(_) => {}
            Part::Variable(name) => values.extend(parts.get(at).map(|value| (name, value.clone().into_owned()))),
            Part::Greedy(name) => values.extend(parts.get(at..).map(|rest| (name, rest.join("/")))),
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::path;
    use super::*;

    fn taken<'k>(keys: &[&'k str], method: &str, sent: &str) -> Option<&'k str> {
        let table = Table::new(keys.iter().copied());
        table.find(method, &path::parts(sent)).map(|route| keys[route])
    }

    /// The examples of the guide.
    #[test]
    fn the_best_match_wins() {
        let keys = ["GET /pets/dog/1", "GET /pets/dog/{id}", "GET /pets/{proxy+}", "ANY /{proxy+}", "$default"];
        assert_eq!(taken(&keys, "GET", "/pets/dog/1"), Some("GET /pets/dog/1"));
        assert_eq!(taken(&keys, "GET", "/pets/dog/2"), Some("GET /pets/dog/{id}"));
        assert_eq!(taken(&keys, "GET", "/pets/cat/1"), Some("GET /pets/{proxy+}"));
        assert_eq!(taken(&keys, "POST", "/test/5"), Some("ANY /{proxy+}"));
        assert_eq!(taken(&keys, "GET", "/"), Some("$default"));
        assert_eq!(taken(&keys[..4], "GET", "/"), None);
    }

    #[test]
    fn the_method_itself_goes_before_any() {
        let keys = ["ANY /a", "GET /a", "GET /b", "ANY /{proxy+}"];
        assert_eq!(taken(&keys, "GET", "/a"), Some("GET /a"));
        assert_eq!(taken(&keys, "PUT", "/a"), Some("ANY /a"));
        // The path alone does not do: the method is part of the match.
        assert_eq!(taken(&keys, "PUT", "/b"), Some("ANY /{proxy+}"));
        assert_eq!(taken(&["GET /b"], "PUT", "/b"), None);
    }

    #[test]
    fn a_way_that_ends_nowhere_is_left_for_another() {
        let keys = ["GET /a/b/c", "GET /{x}/b/d", "GET /a/{y}/e", "GET /a/{rest+}"];
        assert_eq!(taken(&keys, "GET", "/a/b/d"), Some("GET /{x}/b/d"));
        assert_eq!(taken(&keys, "GET", "/a/b/e"), Some("GET /a/{y}/e"));
        assert_eq!(taken(&keys, "GET", "/a/b/f"), Some("GET /a/{rest+}"));
        assert_eq!(taken(&keys, "GET", "/b"), None);
    }

    #[test]
    fn variables_have_what_stood_in_their_places() {
        let parts = path::parts("/a%2Fb/c/d");
        assert_eq!(values("GET /{one}/{more+}", &parts), [("one", "a/b".to_owned()), ("more", "c/d".to_owned())]);
        assert!(values("$default", &parts).is_empty());
        assert_eq!(taken(&["GET /x/{id}"], "GET", "/x/"), None, "a variable is never empty");
        assert_eq!(taken(&["GET /x/{id+}"], "GET", "/x/"), None);
    }

    proptest! {
        #[test]
        fn every_path_finds_its_own_route(paths in proptest::collection::btree_set("/[ab]/[ab]/[abc]", 1..12), at in 0usize..12) {
            let keys: Vec<String> = paths.iter().map(|path| format!("GET {path}")).collect();
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let key = keys[at % keys.len()];
            prop_assert_eq!(taken(&keys, "GET", &key[4..]), Some(key));
        }
    }
}

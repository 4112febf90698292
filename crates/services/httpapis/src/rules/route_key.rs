//! Route keys: `GET /pets/{id}`, `ANY /{proxy+}`, `$default`.
//! Source: API Gateway Developer Guide, "Create routes for HTTP APIs".

use base::Fault;

use crate::faults;

/// The methods a route may name.
const METHODS: [&str; 8] = ["ANY", "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
/// Longest route key, characters. This platform's own.
const LONGEST: usize = 1024;

/// A route key, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RouteKey<'a> {
    /// Whatever no other route takes.
    Default,
    /// One method, or `ANY`, and one path.
    Path { method: &'a str, path: &'a str },
}

/// A part of a route's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// Itself.
    Fixed(&'a str),
    /// Any one part, by the name of the variable.
    Variable(&'a str),
    /// All that is left, at least one part.
    Greedy(&'a str),
}

impl<'a> RouteKey<'a> {
    /// # Errors
    /// BadRequestException.
    pub(crate) fn parse(key: &'a str) -> Result<Self, Fault> {
        if key == "$default" {
            return Ok(Self::Default);
        }
        let wrong = || {
            faults::bad(
                "The provided route key is not formatted properly for HTTP protocol. \
                 Format should be \"<HTTP METHOD> /<RESOURCE PATH>\" or \"$default\"",
            )
        };
        let (method, path) = key.split_once(' ').ok_or_else(wrong)?;
        if !METHODS.contains(&method) || !path.starts_with('/') || key.len() > LONGEST {
            return Err(wrong());
        }
        let mut names = Vec::new();
        let mut parts = parts(path).peekable();
        while let Some(part) = parts.next() {
            let name = match part.ok_or_else(wrong)? {
                Part::Fixed(_) => continue,
                Part::Variable(name) => name,
                Part::Greedy(name) if parts.peek().is_none() => name,
                Part::Greedy(_) => {
                    return Err(faults::bad("A greedy path variable must be at the end of the route's path"));
                }
            };
            if names.contains(&name) {
                return Err(faults::bad(format!("The route's path names the variable {name} more than once")));
            }
            names.push(name);
        }
        Ok(Self::Path { method, path })
    }
}

/// The parts of a route's path; none for a part that is not well formed. `/` has no parts.
pub(crate) fn parts(path: &str) -> impl Iterator<Item = Option<Part<'_>>> {
    let rest = path.strip_prefix('/').unwrap_or(path);
    let one = |part| match part {
        part if is_name_of(part, "{", "+}") => Some(Part::Greedy(&part[1..part.len() - 2])),
        part if is_name_of(part, "{", "}") => Some(Part::Variable(&part[1..part.len() - 1])),
        part if part.bytes().all(is_of_path) => Some(Part::Fixed(part)),
        _ => None,
    };
    (!rest.is_empty()).then(|| rest.split('/').map(one)).into_iter().flatten()
}

fn is_name_of(part: &str, begin: &str, end: &str) -> bool {
    let name = part.strip_prefix(begin).and_then(|rest| rest.strip_suffix(end));
    name.is_some_and(|name| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    })
}

fn is_of_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%".contains(&byte)
}

/// Whether two keys of one method differ only in the names of variables; then AWS could not tell which is meant.
pub(crate) fn conflict(one: &str, other: &str) -> bool {
    let (Ok(RouteKey::Path { method, path }), Ok(RouteKey::Path { method: others, path: others_path })) =
        (RouteKey::parse(one), RouteKey::parse(other))
    else {
        return false;
    };
    if method != others {
        return false;
    }
    let mut pairs = parts(path).zip(parts(others_path));
    // The first place where they part decides: another variable at the same place, under the same parents.
    let parted = pairs.find(|(one, other)| one != other);
    matches!(parted, Some((Some(Part::Variable(_)), Some(Part::Variable(_)))))
}

/// Whether all keys of an API differ, and are told apart.
///
/// # Errors
/// ConflictException.
pub(crate) fn check_all<'k>(keys: impl Iterator<Item = &'k str>) -> Result<(), Fault> {
    let mut known = std::collections::HashSet::new();
    // By method and what stands before a variable: its name, and whose key has it.
    let mut variables: std::collections::HashMap<(&str, &str), (&str, &str)> = std::collections::HashMap::new();
    for key in keys {
        if !known.insert(key) {
            return Err(faults::conflict(format!("Route with key {key} already exists for this API")));
        }
        let Ok(RouteKey::Path { method, path }) = RouteKey::parse(key) else { continue };
        let mut end = 0;
        for part in path.split('/').skip(1) {
            let (before, own) = (&path[..end], (part, key));
            end += part.len() + 1;
            if is_name_of(part, "{", "}") && !is_name_of(part, "{", "+}") {
                let (name, other) = *variables.entry((method, before)).or_insert(own);
                if name != part {
                    return Err(faults::conflict(format!(
                        "The provided route key \"{key}\" has a conflicting variable on the same hierarchical level as \"{other}\""
                    )));
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_from_what_is_none() {
        for right in ["$default", "GET /", "ANY /{proxy+}", "GET /pets/{id}", "POST /a-b/~c/{x.y}", "GET /pets/"] {
            assert!(RouteKey::parse(right).is_ok(), "{right}");
        }
        for wrong in [
            "",
            "GET",
            "GET pets",
            "get /pets",
            "TRACE /",
            "/pets",
            "GET /{a}b",
            "GET /{a+}/b",
            "GET /{a}/{a}",
            "GET /{}",
            "GET /a b",
        ] {
            assert!(RouteKey::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn variables_of_one_place_have_one_name() {
        assert!(conflict("GET /a/{x}", "GET /a/{y}"));
        assert!(conflict("GET /a/{x}/b", "GET /a/{y}/c"));
        assert!(!conflict("GET /a/{x}", "POST /a/{y}"));
        assert!(!conflict("GET /a/{x}/b", "GET /a/{x}/{y}"));
        assert!(!conflict("GET /a/b", "GET /a/{y}"));
        assert!(!conflict("$default", "GET /a/{y}"));
        let all = |keys: &[&'static str]| check_all(keys.iter().copied());
        assert!(all(&["GET /a/{x}", "POST /a/{y}", "GET /a/{x}/{y}", "GET /a/{rest+}", "$default"]).is_ok());
        assert!(all(&["GET /a/{x}/b", "GET /a/{y}/c"]).is_err() && all(&["GET /a", "GET /a"]).is_err());
    }
}

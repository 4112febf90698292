//! Paths of resources.

use std::collections::BTreeMap;

use base::Fault;

use crate::rest::faults;
use crate::rest::types::Resource;

/// A resource's path: `/pets/{id}`.
pub(crate) fn path(resources: &BTreeMap<String, Resource>, id: &str) -> String {
    let mut parts = Vec::new();
    let mut at = resources.get(id);
    while let Some(resource) = at {
        let Some(parent) = &resource.parent else { break };
        parts.push(&*resource.part);
        // A resource is under no other twice, so the way up ends.
        at = resources.get(parent);
    }
    parts.reverse();
    format!("/{}", parts.join("/"))
}

/// A resource with all below it.
pub(crate) fn below(resources: &BTreeMap<String, Resource>, id: &str) -> Vec<String> {
    let mut found = vec![id.to_owned()];
    let mut at = 0;
    while let Some(parent) = found.get(at).cloned() {
        found.extend(
            resources.iter().filter(|(_, one)| one.parent.as_deref() == Some(&*parent)).map(|(id, _)| id.clone()),
        );
        at += 1;
    }
    found
}

fn is_variable(part: &str) -> bool {
    part.starts_with('{')
}

fn is_greedy(part: &str) -> bool {
    part.ends_with("+}")
}

/// Whether a text may be a part of a path.
fn is_part(part: &str) -> bool {
    let inner = match part.strip_prefix('{') {
        None => part,
        Some(rest) => match rest.strip_suffix("+}").or_else(|| rest.strip_suffix('}')) {
            None => return false,
            Some(name) => name,
        },
    };
    !inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-:".contains(&byte))
}

/// Whether a resource may have this part under this parent; `itself` is where it was before.
///
/// # Errors
/// BadRequestException, ConflictException, and NotFoundException where there is no such parent.
pub(crate) fn check(
    resources: &BTreeMap<String, Resource>,
    parent: &str,
    part: &str,
    itself: Option<&str>,
) -> Result<(), Fault> {
    let above = resources.get(parent).ok_or_else(faults::no_resource)?;
    if !is_part(part) {
        return Err(faults::bad(
            "Resource's path part only allow a-zA-Z0-9._-: or a valid greedy path variable and curly braces at the beginning and the end.",
        ));
    }
    if is_greedy(&above.part) {
        return Err(faults::bad(format!(
            "Cannot create a child of a resource with a greedy path variable: {}",
            above.part
        )));
    }
    let others = resources
        .iter()
        .filter(|(id, one)| one.parent.as_deref() == Some(parent) && itself != Some(id))
        .map(|(_, one)| &*one.part);
    for other in others {
        if other == part {
            return Err(faults::conflict(format!(
                "Another resource with the same parent already has this name: {part}"
            )));
        }
        if is_variable(part) && is_variable(other) {
            return Err(faults::bad(format!(
                "A sibling ({other}) of this resource already has a variable path part -- only one is allowed"
            )));
        }
    }
    let name = |part: &str| part.trim_matches(['{', '}', '+']).to_owned();
    let up = path(resources, parent);
    if is_variable(part) && up.split('/').any(|above| is_variable(above) && name(above) == name(part)) {
        return Err(faults::bad(format!("The path {up}/{part} has the variable {} more than once", name(part))));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_words_or_variables() {
        for right in ["pets", "a.b_c-d:e", "{id}", "{proxy+}"] {
            assert!(is_part(right), "{right}");
        }
        for wrong in ["", "a b", "a/b", "{", "{}", "{+}", "{a}b", "a{b}", "{a+", "$x"] {
            assert!(!is_part(wrong), "{wrong}");
        }
    }
}

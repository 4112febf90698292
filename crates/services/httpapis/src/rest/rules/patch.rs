//! Patch operations, by which this service updates what it has.
//! Source: API Gateway API Reference, "PatchOperation"; paths are JSON pointers (RFC 6901).

use std::collections::BTreeMap;

use base::Fault;
use model::apigateway as aws;

use crate::rest::faults;

/// One operation.
#[derive(Debug, Clone)]
pub(crate) struct Patch {
    pub(crate) op: String,
    pub(crate) path: String,
    // The path's parts, unescaped.
    parts: Vec<String>,
    pub(crate) value: Option<String>,
}

impl Patch {
    /// The operations of an input, in their order.
    ///
    /// # Errors
    /// BadRequestException for one without a path.
    pub(crate) fn all(given: Option<Vec<aws::PatchOperation>>) -> Result<Vec<Self>, Fault> {
        given.unwrap_or_default().into_iter().map(Self::of).collect()
    }

    fn of(given: aws::PatchOperation) -> Result<Self, Fault> {
        let path = given.path.ok_or_else(|| faults::bad("Invalid patch path null"))?;
        let parts = path.strip_prefix('/').map_or_else(Vec::new, |rest| {
            rest.split('/').map(|part| part.replace("~1", "/").replace("~0", "~")).collect()
        });
        Ok(Self { op: given.op.unwrap_or_default(), path, parts, value: given.value })
    }

    /// The path's parts.
    pub(crate) fn parts(&self) -> Vec<&str> {
        self.parts.iter().map(String::as_str).collect()
    }

    /// BadRequestException: nothing at this path may be changed.
    pub(crate) fn wrong_path(&self) -> Fault {
        faults::bad(format!("Invalid patch path {}", self.path))
    }

    /// Whether the operation replaces, which alone this path takes.
    ///
    /// # Errors
    /// BadRequestException.
    pub(crate) fn replaces(&self) -> Result<(), Fault> {
        match &*self.op {
            "replace" => Ok(()),
            _ => Err(faults::bad("Invalid patch operation specified. Must be one of: [replace]")),
        }
    }

    /// The value; none where it is empty or the operation removes.
    ///
    /// # Errors
    /// BadRequestException for an operation that neither replaces, adds nor removes.
    pub(crate) fn text(&self) -> Result<Option<String>, Fault> {
        match &*self.op {
            "replace" | "add" => Ok(self.value.clone().filter(|value| !value.is_empty())),
            "remove" => Ok(None),
            _ => Err(faults::bad("Invalid patch operation specified. Must be one of: [add, remove, replace]")),
        }
    }

    /// Changes an entry of a map. What is not there is neither replaced nor removed: `missing` says so.
    ///
    /// # Errors
    /// `missing`; BadRequestException for other operations.
    pub(crate) fn entry<V>(
        &self,
        map: &mut BTreeMap<String, V>,
        name: &str,
        value: V,
        missing: &str,
    ) -> Result<(), Fault> {
        let known = map.contains_key(name);
        match &*self.op {
            "remove" | "replace" if !known => return Err(faults::not_found(missing)),
            "remove" => drop(map.remove(name)),
            "add" | "replace" => drop(map.insert(name.to_owned(), value)),
            _ => {
                return Err(faults::bad("Invalid patch operation specified. Must be one of: [add, remove, replace]"));
            }
        }
        Ok(())
    }

    /// The value as text, empty where there is none.
    pub(crate) fn or_empty(&self) -> String {
        self.value.clone().unwrap_or_default()
    }

    /// Whether the value is `true`, whatever else it is.
    pub(crate) fn truth(&self) -> bool {
        self.value.as_deref().is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

/// What AWS says of a parameter that is not there.
pub(crate) const NO_PARAMETER: &str = "Invalid parameter name specified";
/// What AWS says of a content type that is not there.
pub(crate) const NO_CONTENT_TYPE: &str = "Content-Type specified was not found";

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(op: &str, path: &str, value: Option<&str>) -> Patch {
        let given = aws::PatchOperation {
            op: Some(op.into()),
            path: Some(path.into()),
            value: value.map(Into::into),
            from: None,
        };
        Patch::all(Some(vec![given])).unwrap().remove(0)
    }

    #[test]
    fn paths_are_json_pointers() {
        assert_eq!(patch("add", "/a~1b/c~0d", None).parts(), ["a/b", "c~d"]);
        assert!(patch("add", "a", None).parts().is_empty());
        assert!(Patch::all(Some(vec![aws::PatchOperation::default()])).is_err());
    }

    #[test]
    fn entries_are_added_replaced_and_removed() {
        let mut map = BTreeMap::new();
        let mut run = |op: &str, value: &str| patch(op, "/x/k", None).entry(&mut map, "k", value.to_owned(), "none");
        assert_eq!(run("replace", "1").unwrap_err().message, "none");
        run("add", "1").unwrap();
        run("replace", "2").unwrap();
        assert!(run("copy", "3").is_err());
        run("remove", "").unwrap();
        assert!(run("remove", "").is_err());
    }
}

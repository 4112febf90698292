//! Which messages of a batch a function could not do, as its answer tells.
//!
//! Source: AWS Lambda Developer Guide, "Implementing partial batch responses", success and failure conditions.

use std::collections::HashSet;

use serde_json::Value;

/// The ids of the messages that failed; none when the answer does not tell, so that all of them have.
pub(super) fn failed(answer: &[u8], batch: &[&str]) -> Option<HashSet<String>> {
    if answer.is_empty() {
        return Some(HashSet::new());
    }
    let items = match serde_json::from_slice(answer).ok()? {
        Value::Null => return Some(HashSet::new()),
        Value::Object(mut answer) => answer.remove("batchItemFailures").unwrap_or(Value::Null),
        _ => return None,
    };
    let items = match items {
        Value::Null => return Some(HashSet::new()),
        Value::Array(items) => items,
        _ => return None,
    };
    let id = |item: &Value| {
        let id = item.get("itemIdentifier")?.as_str()?;
        batch.contains(&id).then(|| id.to_owned())
    };
    items.iter().map(id).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn success_and_failure_are_told_apart_as_aws_does() {
        let told = |answer: &str| {
            failed(answer.as_bytes(), &["a", "b"]).map(|ids| {
                let mut ids: Vec<_> = ids.into_iter().collect();
                ids.sort();
                ids.concat()
            })
        };
        for all_done in ["null", "{}", "", r#"{"batchItemFailures":[]}"#, r#"{"batchItemFailures":null}"#] {
            assert_eq!(told(all_done).as_deref(), Some(""), "{all_done}");
        }
        assert_eq!(told(r#"{"batchItemFailures":[{"itemIdentifier":"b"}]}"#).as_deref(), Some("b"));
        let both = r#"{"batchItemFailures":[{"itemIdentifier":"b"},{"itemIdentifier":"a"}]}"#;
        assert_eq!(told(both).as_deref(), Some("ab"));
        for none_done in [
            "no json",
            "\"text\"",
            r#"{"batchItemFailures":{}}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
            r#"{"batchItemFailures":[{"id":"a"}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"x"}]}"#,
        ] {
            assert_eq!(told(none_done), None, "{none_done}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_told_of_that_was_not_in_the_batch(answer in ".{0,80}", ids in proptest::collection::vec("[a-c]", 0..4)) {
            let batch: Vec<&str> = ids.iter().map(String::as_str).collect();
            if let Some(failed) = failed(answer.as_bytes(), &batch) {
                prop_assert!(failed.iter().all(|id| batch.contains(&id.as_str())));
            }
        }
    }
}

//! What must hold of a batch as a whole.

use std::collections::HashSet;

use base::Fault;
use model::sqs::{self, BatchResultErrorEntry};

/// Entries of a batch.
const ENTRIES: usize = 10;

/// Checks a batch by the ids of its entries; `entry` is what one is called.
///
/// # Errors
/// EmptyBatchRequest, TooManyEntriesInBatchRequest, InvalidBatchEntryId, BatchEntryIdsNotDistinct.
pub(crate) fn check(entry: &str, ids: &[&str]) -> Result<(), Fault> {
    if ids.is_empty() {
        return Err(sqs::empty_batch_request(format!("There should be at least one {entry} in the request.")));
    }
    if ids.len() > ENTRIES {
        return Err(sqs::too_many_entries_in_batch_request(format!(
            "Maximum number of entries per request are {ENTRIES}. You have sent {}.",
            ids.len()
        )));
    }
    let is_id = |id: &&str| {
        (1..=80).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    if !ids.iter().all(is_id) {
        return Err(sqs::invalid_batch_entry_id(
            "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters \
             long.",
        ));
    }
    let mut seen = HashSet::new();
    match ids.iter().find(|id| !seen.insert(**id)) {
        Some(id) => Err(sqs::batch_entry_ids_not_distinct(format!("Id {id} repeated."))),
        None => Ok(()),
    }
}

/// One entry's fault, as the answer of a batch lists it.
pub(crate) fn failed(id: String, fault: Fault) -> BatchResultErrorEntry {
    BatchResultErrorEntry {
        id: Some(id),
        sender_fault: Some(fault.blame == base::Blame::Client),
        code: Some(fault.code.into_owned()),
        message: Some(fault.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_one_to_ten_distinct_ids() {
        let code =
            |ids: &[&str]| check("X", ids).err().map(|fault| fault.code.rsplit('.').next().unwrap_or("").to_owned());
        assert_eq!(code(&["a", "b"]), None);
        assert_eq!(code(&[]).as_deref(), Some("EmptyBatchRequest"));
        assert_eq!(code(&["a"; 11]).as_deref(), Some("TooManyEntriesInBatchRequest"));
        assert_eq!(code(&["a", "a"]).as_deref(), Some("BatchEntryIdsNotDistinct"));
        for bad in ["", "a:b", "é", &"x".repeat(81)] {
            assert_eq!(code(&[bad]).as_deref(), Some("InvalidBatchEntryId"), "{bad}");
        }
    }
}

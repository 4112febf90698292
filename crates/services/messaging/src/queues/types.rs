//! What is kept of a queue.

use std::collections::BTreeMap;

use base::{Account, Region};
use serde::{Deserialize, Serialize};

/// A queue's full name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct QueueName {
    pub(crate) account: Account,
    pub(crate) region: Region,
    pub(crate) name: String,
}

impl QueueName {
    /// `arn:aws:sqs:region:account:name`
    pub(crate) fn arn(&self) -> String {
        format!("arn:aws:sqs:{}:{}:{}", self.region, self.account, self.name)
    }
}

/// A queue, as its row has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Definition {
    /// Names the queue in receipt handles: another queue of the same name has another.
    pub(crate) id: u64,
    /// The prefix of its messages; changes when they are purged.
    pub(crate) generation: u64,
    pub(crate) created_ms: i64,
    pub(crate) modified_ms: i64,
    /// When it was last purged.
    pub(crate) purged_ms: Option<i64>,
    pub(crate) attributes: Attributes,
    pub(crate) tags: BTreeMap<String, String>,
}

/// What a queue was told. Times in seconds, sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attributes {
    pub(crate) delay_s: u32,
    pub(crate) maximum_bytes: u32,
    pub(crate) retention_s: u32,
    pub(crate) wait_s: u32,
    pub(crate) visibility_s: u32,
    /// JSON, as given.
    pub(crate) policy: Option<String>,
    /// JSON, as given.
    pub(crate) redrive: Option<String>,
    /// JSON, as given.
    pub(crate) redrive_allow: Option<String>,
    /// Shown, since there are no keys whose use it could limit.
    pub(crate) key_reuse_s: Option<u32>,
    /// Shown: all that is kept lies in the same data folder either way.
    pub(crate) managed_sse: bool,
    /// None for a standard queue.
    pub(crate) fifo: Option<Fifo>,
}

/// What only a FIFO queue was told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fifo {
    pub(crate) content_based: bool,
    /// Whether the same id may come once in each group, instead of once in the queue.
    pub(crate) scope_is_group: bool,
    /// Shown: no queue is slowed down here.
    pub(crate) limit_is_per_group: bool,
}

impl Default for Attributes {
    fn default() -> Self {
        Self {
            delay_s: 0,
            maximum_bytes: 1_048_576,
            retention_s: 345_600,
            wait_s: 0,
            visibility_s: 30,
            policy: None,
            redrive: None,
            redrive_allow: None,
            key_reuse_s: None,
            managed_sse: true,
            fifo: None,
        }
    }
}

impl Attributes {
    /// How long a message is kept, ms.
    pub(crate) fn retention_ms(&self) -> i64 {
        i64::from(self.retention_s) * 1000
    }
}

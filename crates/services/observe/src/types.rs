//! The nouns: log groups, streams, events, and used amounts.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A log group, one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The prefix of everything in it. Random and never used again, so that a group deleted and made anew is another one.
    pub generation: u64,
    /// Product time.
    pub created_ms: i64,
    /// Days after which events are gone; none keeps them.
    pub retention_days: Option<i64>,
    /// Key to value.
    pub tags: BTreeMap<String, String>,
    /// Whether it refuses to be deleted.
    #[serde(default)]
    pub protected: bool,
    /// Who hears of its events, by the filter's name.
    #[serde(default)]
    pub subscriptions: BTreeMap<String, Subscription>,
}

/// A subscription filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Which events.
    pub pattern: String,
    /// The ARN of the function that gets them.
    pub destination: String,
    /// How they would be spread over a Kinesis stream; a function gets them by log stream.
    pub distribution: String,
    /// Product time.
    pub created_ms: i64,
}

impl Group {
    /// The moment before which events are gone, given product time.
    pub fn expired_before(&self, now_ms: i64) -> i64 {
        self.retention_days.map_or(i64::MIN, |days| now_ms.saturating_sub(days * DAY_MS))
    }
}

/// A day in milliseconds.
pub const DAY_MS: i64 = 86_400_000;

/// A log stream, one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// The prefix of its chunks. Random and never used again.
    pub id: u64,
    /// Product time.
    pub created_ms: i64,
    /// The earliest event, or an earlier moment once retention has taken some.
    pub first_ms: Option<i64>,
    /// The latest event.
    pub last_ms: Option<i64>,
    /// When the last batch came in, product time.
    pub ingested_ms: Option<i64>,
    /// The number the next event gets.
    pub next_seq: u64,
}

/// One event as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When it happened, milliseconds since the epoch.
    pub at_ms: i64,
    /// Its number in the stream: breaks ties of time.
    pub seq: u64,
    /// When it came in.
    pub ingested_ms: i64,
    /// UTF-8.
    pub message: Bytes,
}

impl Event {
    /// The message as text.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.message)
    }
}

/// What a function version used on one day, in the unit of every tariff. Rows of an earlier time have 0 in what was not
/// counted then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Used {
    /// Finished invocations.
    pub invocations: u64,
    /// Of these, how many failed.
    pub failures: u64,
    /// Of these, how many started cold.
    pub cold_starts: u64,
    /// Invocations refused for want of concurrency.
    pub throttles: u64,
    /// What AWS bills, milliseconds, each invocation rounded up to one.
    pub billed_ms: u64,
    /// Billed milliseconds times configured MiB: 1024 × 1000 of them are a GB-second.
    pub billed_mb_ms: u64,
    /// Of these, what ran on arm64.
    pub arm_billed_mb_ms: u64,
    /// Of the billed milliseconds, INIT's.
    pub init_billed_ms: u64,
    /// Milliseconds in the handler, each invocation rounded up to a hundred: as billed until December 2020.
    pub hundreds_ms: u64,
    /// The same times configured MiB.
    pub hundreds_mb_ms: u64,
    /// CPU time in user mode and the kernel, milliseconds, each invocation rounded up to one.
    pub cpu_billed_ms: u64,
    /// Billed milliseconds times MiB of `/tmp` above the 512 that are free.
    pub tmp_mb_ms: u64,
    /// Of the billed milliseconds times MiB, what provisioned concurrency covered.
    pub covered_mb_ms: u64,
    /// Of these, what ran on arm64.
    pub arm_covered_mb_ms: u64,
    /// MiB of provisioned concurrency times milliseconds.
    pub provisioned_mb_ms: u64,
    /// Of these, on arm64.
    pub arm_provisioned_mb_ms: u64,
    /// Bytes of streamed responses.
    pub streamed_bytes: u64,
    /// CPU time in user mode, microseconds.
    pub cpu_user_us: u64,
    /// CPU time in the kernel, microseconds.
    pub cpu_system_us: u64,
    /// Time in the handler, microseconds.
    pub handler_us: u64,
    /// Time in INIT, microseconds.
    pub init_us: u64,
    /// The highest memory any environment reached, bytes.
    pub peak_memory_bytes: u64,
}

impl Used {
    /// Adds what was used elsewhere or since.
    pub fn add(&mut self, other: &Self) {
        self.invocations += other.invocations;
        self.failures += other.failures;
        self.cold_starts += other.cold_starts;
        self.throttles += other.throttles;
        self.billed_ms += other.billed_ms;
        self.billed_mb_ms += other.billed_mb_ms;
        self.arm_billed_mb_ms += other.arm_billed_mb_ms;
        self.init_billed_ms += other.init_billed_ms;
        self.hundreds_ms += other.hundreds_ms;
        self.hundreds_mb_ms += other.hundreds_mb_ms;
        self.cpu_billed_ms += other.cpu_billed_ms;
        self.tmp_mb_ms += other.tmp_mb_ms;
        self.covered_mb_ms += other.covered_mb_ms;
        self.arm_covered_mb_ms += other.arm_covered_mb_ms;
        self.provisioned_mb_ms += other.provisioned_mb_ms;
        self.arm_provisioned_mb_ms += other.arm_provisioned_mb_ms;
        self.streamed_bytes += other.streamed_bytes;
        self.cpu_user_us += other.cpu_user_us;
        self.cpu_system_us += other.cpu_system_us;
        self.handler_us += other.handler_us;
        self.init_us += other.init_us;
        self.peak_memory_bytes = self.peak_memory_bytes.max(other.peak_memory_bytes);
    }
}

/// A row of [`crate::Observe::usage`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// Where it ran.
    pub region: String,
    /// UTC day, `2026-11-21`.
    pub day: String,
    /// The qualified function ARN.
    pub function_arn: String,
    /// The amounts.
    pub used: Used,
}

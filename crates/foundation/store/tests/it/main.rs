//! The store as other rooms see it: one suite over every engine, the data folder, blobs, trees, and what is left of them
//! after crashes and on failing disks.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "these are tests, their helpers included")]

mod backup;
mod blobs;
mod crash;
mod disk;
mod fjall_bugs;
mod folder;
mod golden;
mod histories;
mod redb_kv;
mod suite;
mod timers;
mod torn;
mod trees;
mod workload;

//! The store as other rooms see it: one suite over every engine, the data folder, blobs, trees, and the crash test.

#![allow(clippy::unwrap_used, reason = "these are tests, their helpers included")]

mod blobs;
mod crash;
mod folder;
mod histories;
mod redb_kv;
mod suite;
mod torn;
mod trees;

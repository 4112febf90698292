//! The store as other rooms see it: one suite over every engine, the data folder, blobs, trees, and the crash test.

mod blobs;
mod crash;
mod folder;
mod histories;
mod redb_kv;
mod suite;
mod torn;
mod trees;

//! The bytes that survive: ordered rows with transactions, content-addressed blobs, unpacked trees, and the data folder.
//!
//! What: [`Kv`] (rows over an embedded engine, [`open`], or in memory, [`memory`]), [`Blobs`], [`Trees`], [`Derived`], [`Folder`] and [`timers`];
//! [`backup`], [`restore`] and [`check`] of all of them together.
//! Why: an acknowledged write must survive `kill -9` and power loss, and only one room should have to think about how.
//! Never: no service rule, no AWS word, no clock but the one that timers are given. A reader never sees a row that is not yet on the disk; a sync that failed
//! is never retried (the kernel may have dropped the pages): the store is poisoned and the process must end.

#![deny(missing_docs)]

mod backup;
mod batch;
mod blobs;
mod blocking;
mod crowd;
mod derived;
mod digest;
mod disk;
mod engine;
mod error;
mod folder;
mod follow;
mod journal;
mod key;
mod kv;
mod lsm;
mod memory;
mod migrate;
pub mod outbox;
mod rows;
mod sequencer;
mod staged;
mod sweep;
pub mod timers;
mod trees;

pub use backup::{Checked, Contents, backup, check, restore, verify};
pub use batch::{Batch, Write};
pub use blobs::{Blobs, Unnamed, Writing};
pub use derived::{Derived, Written};
pub use digest::{Digest, NotADigest};
pub use error::Error;
pub use folder::{Folder, Use};
pub use follow::Told;
pub use key::{Key, Range, Row, Space};
pub use kv::{Kv, Snapshot, Transaction, get_json, transact_with};
pub use lsm::{open, open_in};
pub use memory::memory;
pub use rows::Rows;
pub use trees::{Limits, Tree, Trees, ZipError};

#[cfg(test)]
mod faults;

//! One file that holds a data folder: written while the platform runs, read into an empty folder.
//!
//! It is a gzipped tar, so that any machine can look inside: `lambent-backup` (the form, first), `rows/N` (rows one after
//! the other), `blobs/DIGEST`, and `manifest.json` last, with the digest of each. A file without its end is no backup.
//! Unpacked trees are not in it: they are made again from their blobs.

mod check;
mod read;
mod rows;
mod write;

use serde::{Deserialize, Serialize};

use crate::Digest;

pub use check::{Checked, check};
pub use read::{restore, verify};
pub use write::backup;

/// The form of the file, in its first entry.
const FORM: &str = "1\n";
const FORM_ENTRY: &str = "lambent-backup";
const MANIFEST_ENTRY: &str = "manifest.json";

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The number of rows.
    pub rows: u64,
    /// The number of blobs.
    pub blobs: u64,
    /// Bytes of all blobs.
    pub blob_bytes: u64,
}

/// The end of the file: what was in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Manifest {
    /// The format of the data folder whose rows these are.
    format: u32,
    /// Whether the folder was made for tests.
    test: bool,
    rows: u64,
    /// The digest of each part of the rows, in order.
    parts: Vec<String>,
    /// The digest and size in bytes of each blob, sorted.
    blobs: Vec<(String, u64)>,
    /// The blobs that were unpacked, for whoever wants to know.
    trees: Vec<String>,
}

impl Manifest {
    fn contents(&self) -> Contents {
        let blob_bytes = self.blobs.iter().map(|(_, size_bytes)| size_bytes).sum();
        Contents { rows: self.rows, blobs: self.blobs.len() as u64, blob_bytes }
    }
}

fn names(digests: &[Digest]) -> Vec<String> {
    digests.iter().map(Digest::to_string).collect()
}

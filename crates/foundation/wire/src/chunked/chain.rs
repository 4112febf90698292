//! The signatures of a body's chunks: each covers its chunk and the signature before, the first the request's own.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Context, SHA256, digest};
use aws_lc_rs::hmac::{self, Key};
use base::{Fault, Timestamp};

use crate::sigv4::{Scope, basic, hex, mismatch_s3};

/// SHA-256 of nothing: a chunk has no headers.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The chain after some of its links.
pub(crate) struct Chain {
    key: Key,
    // The lines between algorithm and signature: date and scope.
    head: String,
    last: String,
    // Of the chunk being read.
    hash: Context,
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Chain(after {})", self.last)
    }
}

impl Chain {
    /// The chain that begins with a request's signature.
    pub(crate) fn new(key: Key, date: Timestamp, scope: &Scope, seed: &str) -> Self {
        let head = format!("{}\n{}", basic(date), scope.text());
        Self { key, head, last: seed.to_owned(), hash: Context::new(&SHA256) }
    }

    /// Takes further bytes of the chunk.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
    }

    /// The signature of the chunk, which the next will cover.
    pub(crate) fn chunk(&mut self) -> &str {
        let hash = std::mem::replace(&mut self.hash, Context::new(&SHA256)).finish();
        let text = format!("AWS4-HMAC-SHA256-PAYLOAD\n{}\n{}\n{EMPTY}\n{}", self.head, self.last, hex(hash.as_ref()));
        self.sign(&text)
    }

    /// The signature of the trailing headers, each `name:value` and a line feed.
    pub(crate) fn trailer(&mut self, headers: &str) -> &str {
        let hash = hex(digest(&SHA256, headers.as_bytes()).as_ref());
        let text = format!("AWS4-HMAC-SHA256-TRAILER\n{}\n{}\n{hash}", self.head, self.last);
        self.sign(&text)
    }

    fn sign(&mut self, text: &str) -> &str {
        self.last = hex(hmac::sign(&self.key, text.as_bytes()).as_ref());
        &self.last
    }
}

/// Whether a signature is the one claimed.
pub(super) fn same(computed: &str, claimed: &str) -> Result<(), Fault> {
    verify_slices_are_equal(computed.as_bytes(), claimed.as_bytes()).map_err(|_| mismatch_s3())
}

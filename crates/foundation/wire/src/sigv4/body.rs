//! The hash that a request's head promises of a body that is still to come.

use aws_lc_rs::digest::{Context, SHA256};
use base::Fault;

use super::canonical::{announced, hex};
use super::fault::Dialect;
use crate::Request;

/// A body's hash under way, beside the one that was promised.
pub struct BodyHash {
    context: Context,
    promised: String,
    dialect: Dialect,
}

impl BodyHash {
    /// What the head of a request promises; none when it names no hash.
    pub fn of(request: &Request) -> Option<Self> {
        let promised = announced(request);
        let is_hash = promised.len() == 64 && promised.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hash.then(|| Self {
            context: Context::new(&SHA256),
            promised: promised.to_ascii_lowercase(),
            dialect: Dialect::of(request),
        })
    }

    /// Takes further bytes of the body.
    pub fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
    }

    /// Whether the body was the promised one. Faults with XAmzContentSHA256Mismatch.
    pub fn finish(self) -> Result<(), Fault> {
        let computed = hex(self.context.finish().as_ref());
        if computed == self.promised { Ok(()) } else { Err(self.dialect.wrong_hash(&self.promised, &computed)) }
    }
}

//! Signing keys: derived from a secret for one day, region and service, and kept, since deriving costs four HMACs.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use aws_lc_rs::hmac::{self, HMAC_SHA256, Key, Tag};

use super::{Scope, TERMINATOR};

/// Keys kept at most. When full, all go: the busy ones come back at once.
const KEPT: usize = 512;

/// Signs `text` with the key derived from `secret` for `scope`.
pub(super) fn sign(secret: &str, scope: &Scope, text: &[u8]) -> Tag {
    hmac::sign(&derived(secret, scope), text)
}

/// The key derived from `secret` for `scope`.
pub(crate) fn derived(secret: &str, scope: &Scope) -> Key {
    static KNOWN: OnceLock<Mutex<HashMap<String, Key>>> = OnceLock::new();
    // The parts hold no line break: secrets and scopes come from one line of a header.
    let name = [secret, &scope.date, &scope.region, &scope.service].join("\n");
    let mut known = KNOWN.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(key) = known.get(&name) {
        return key.clone();
    }
    let key = derive(secret, scope);
    if known.len() >= KEPT {
        known.clear();
    }
    known.insert(name, key.clone());
    key
}

fn derive(secret: &str, scope: &Scope) -> Key {
    let start = Key::new(HMAC_SHA256, format!("AWS4{secret}").as_bytes());
    [&scope.date, &scope.region, &scope.service, TERMINATOR]
        .iter()
        .fold(start, |key, part| Key::new(HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref()))
}

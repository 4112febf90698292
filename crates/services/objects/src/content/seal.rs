//! Encryption at rest: AES-256-GCM in segments, so that any range can be read alone.
//!
//! Every content has a key of its own, drawn from the platform's key or the customer's by HMAC-SHA-256 over a salt; the nonce is the
//! segment's number, so no pair of key and nonce is ever used twice. A segment is 64 KiB and a tag of 16 bytes.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{constant_time, hmac};
use base::Fault;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};

use crate::faults;
use crate::state::{self, Id};
use crate::types::CustomerKey;

/// Bytes of a segment before it is encrypted.
pub(crate) const SEGMENT_BYTES: usize = 64 * 1024;
/// Bytes by which encryption lengthens a segment.
pub(crate) const TAG_BYTES: usize = 16;

/// What makes keys: the platform's own, or a customer's.
#[derive(Clone)]
pub(crate) struct Seal(hmac::Key);

/// A customer's key, as it came with a request.
pub(crate) struct CustomerSecret {
    seal: Seal,
    /// Base64 of its MD5.
    pub(crate) md5: String,
}

/// The key of one content.
pub(crate) struct ContentKey(LessSafeKey);

impl Seal {
    /// Of 32 secret bytes.
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    fn derive(&self, what: &[u8], salt: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(what);
        context.update(salt);
        context.sign()
    }

    /// The key of the content with this salt.
    pub(crate) fn key(&self, salt: &Id) -> Result<ContentKey, Fault> {
        let tag = self.derive(b"content", salt);
        let key = UnboundKey::new(&AES_256_GCM, tag.as_ref()).map_err(|_| Fault::internal("a key cannot be made"))?;
        Ok(ContentKey(LessSafeKey::new(key)))
    }

    /// Begins a fingerprint of bytes that nobody without the key can make.
    pub(crate) fn fingerprint(&self) -> hmac::Context {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(b"fingerprint");
        context
    }
}

impl CustomerSecret {
    /// Reads the three members that carry it: the algorithm, the key and its MD5, both base64.
    ///
    /// # Errors
    /// InvalidArgument, as S3 words it. Source: Amazon S3 User Guide, "Using server-side encryption with customer-provided keys".
    pub(crate) fn of(algorithm: Option<&str>, key: Option<&str>, key_md5: Option<&str>) -> Result<Option<Self>, Fault> {
        let header = |name: &'static str| format!("x-amz-server-side-encryption-customer-{name}");
        let (algorithm, key, key_md5) = match (algorithm, key, key_md5) {
            (None, None, None) => return Ok(None),
            (Some(algorithm), Some(key), Some(key_md5)) => (algorithm, key, key_md5),
            (None, ..) => {
                return Err(faults::argument(
                    "Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption algorithm.",
                    &header("algorithm"),
                    "null",
                ));
            }
            (_, None, _) => {
                return Err(faults::argument(
                    "Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate secret key.",
                    &header("key"),
                    "null",
                ));
            }
            (_, _, None) => {
                return Err(faults::argument(
                    "Requests specifying Server Side Encryption with Customer provided keys must provide the client calculated MD5 of the secret key.",
                    &header("key-MD5"),
                    "null",
                ));
            }
        };
        if algorithm != "AES256" {
            let words = "The encryption request you specified is not valid. Supported value: AES256.";
            return Err(Fault::new("InvalidEncryptionAlgorithmError", 400, words)
                .with("ArgumentName", header("algorithm"))
                .with("ArgumentValue", algorithm));
        }
        let secret: Option<[u8; 32]> = STANDARD.decode(key).ok().and_then(|bytes| bytes.try_into().ok());
        // The value is a secret and is not said again.
        let secret = secret.ok_or_else(|| {
            faults::argument("The secret key was invalid for the specified algorithm.", &header("key"), "")
        })?;
        let md5 = STANDARD.encode(Md5::digest(secret));
        if md5 != key_md5 {
            let words = "The calculated MD5 hash of the key did not match the hash that was provided.";
            return Err(faults::argument(words, &header("key-MD5"), key_md5));
        }
        Ok(Some(Self { seal: Seal::new(&secret), md5 }))
    }

    /// What makes keys of it.
    pub(crate) fn seal(&self) -> &Seal {
        &self.seal
    }

    /// What is kept of it, under a salt.
    pub(crate) fn keep(&self, salt: &Id) -> CustomerKey {
        let proof = STANDARD.encode(self.seal.derive(b"proof", salt).as_ref());
        CustomerKey { md5: self.md5.clone(), salt: state::hex(salt), proof }
    }

    /// Whether it is the one that was kept.
    pub(crate) fn is(&self, kept: &CustomerKey) -> bool {
        let Some(salt) = state::id_of(&kept.salt) else { return false };
        let mine = STANDARD.encode(self.seal.derive(b"proof", &salt).as_ref());
        constant_time::verify_slices_are_equal(mine.as_bytes(), kept.proof.as_bytes()).is_ok()
    }
}

/// A number that a segment has alone.
fn nonce(segment: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&segment.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

impl ContentKey {
    /// Encrypts a segment in place; its tag is appended.
    pub(crate) fn seal(&self, segment: u64, bytes: &mut Vec<u8>) -> Result<(), Fault> {
        let sealed = self.0.seal_in_place_append_tag(nonce(segment), Aad::empty(), bytes);
        sealed.map_err(|_| Fault::internal("bytes cannot be encrypted"))
    }

    /// Decrypts a segment in place; answers how many bytes it holds.
    ///
    /// # Errors
    /// They are not what was encrypted.
    pub(crate) fn open(&self, segment: u64, bytes: &mut [u8]) -> Result<usize, Fault> {
        let opened = self.0.open_in_place(nonce(segment), Aad::empty(), bytes);
        opened.map(|plain| plain.len()).map_err(|_| Fault::internal("the bytes of an object are damaged"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_opens_only_with_its_key_in_its_place_unchanged() {
        let seal = Seal::new(&[7; 32]);
        let key = seal.key(&[1; 16]).unwrap();
        let mut sealed = b"some bytes".to_vec();
        key.seal(3, &mut sealed).unwrap();
        assert_eq!(sealed.len(), 10 + TAG_BYTES);
        assert!(!sealed.starts_with(b"some"));
        let mut whole = sealed.clone();
        assert_eq!(key.open(3, &mut whole).unwrap(), 10);
        assert_eq!(&whole[..10], b"some bytes");
        assert!(key.open(2, &mut sealed.clone()).is_err(), "moved");
        assert!(seal.key(&[2; 16]).unwrap().open(3, &mut sealed.clone()).is_err(), "another content's");
        assert!(Seal::new(&[8; 32]).key(&[1; 16]).unwrap().open(3, &mut sealed.clone()).is_err(), "another's key");
        sealed[0] ^= 1;
        assert!(key.open(3, &mut sealed).is_err(), "changed");
    }

    #[test]
    fn a_customers_key_is_checked_and_known_again() {
        let (key, other) = (STANDARD.encode([1; 32]), STANDARD.encode([2; 32]));
        let md5 = STANDARD.encode(Md5::digest([1; 32]));
        let secret = CustomerSecret::of(Some("AES256"), Some(&key), Some(&md5)).unwrap().unwrap();
        let kept = secret.keep(&[9; 16]);
        assert!(secret.is(&kept));
        let other_md5 = STANDARD.encode(Md5::digest([2; 32]));
        let wrong = CustomerSecret::of(Some("AES256"), Some(&other), Some(&other_md5)).unwrap().unwrap();
        assert!(!wrong.is(&kept));
        for (algorithm, key, md5) in [
            (None, Some(&*key), Some(&*md5)),
            (Some("AES128"), Some(&*key), Some(&*md5)),
            (Some("AES256"), None, Some(&*md5)),
            (Some("AES256"), Some("c2hvcnQ="), Some(&*md5)),
            (Some("AES256"), Some(&*key), Some("c2hvcnQ=")),
            (Some("AES256"), Some(&*key), None),
        ] {
            assert!(CustomerSecret::of(algorithm, key, md5).is_err(), "{algorithm:?} {key:?} {md5:?}");
        }
        assert!(CustomerSecret::of(None, None, None).unwrap().is_none());
    }
}

//! Access key ids and the secrets derived from them.
//!
//! A key id names its account, as AWS's do: after the four letters stand ten bytes in base 32, and the account is in bits
//! 40..1 of the first six, counted from the highest. So GetAccessKeyInfo needs no look-up.

use aws_lc_rs::hmac;
use base::{Account, Rng};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Characters of a secret access key.
const SECRET_CHARS: usize = 40;
/// Characters of the unique ids of roles, users and policies after their four letters.
const UNIQUE_CHARS: usize = 17;

/// What an access key id stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// `AKIA`: kept until deleted.
    LongLived,
    /// `ASIA`: ends by itself and comes with a token.
    Temporary,
}

impl KeyKind {
    fn letters(self) -> &'static str {
        match self {
            Self::LongLived => "AKIA",
            Self::Temporary => "ASIA",
        }
    }
}

/// The key id of `account` with eight bytes of `noise`: twenty characters.
pub fn key_id(kind: KeyKind, account: Account, noise: [u8; 8]) -> String {
    let number: u64 = account.as_str().parse().expect("an account is twelve digits");
    // Highest bit and the lowest seven are noise, the forty between them the account.
    let head = number << 7 | u64::from(noise[0] >> 7) << 47 | u64::from(noise[0] & 0x7f);
    let mut raw = [0u8; 10];
    raw[..6].copy_from_slice(&head.to_be_bytes()[2..]);
    raw[6..].copy_from_slice(&noise[1..5]);
    format!("{}{}", kind.letters(), base32(&raw))
}

/// The account a key id names; none if it is no key id.
pub fn account_of(key_id: &str) -> Option<Account> {
    let body = key_id.strip_prefix("AKIA").or_else(|| key_id.strip_prefix("ASIA"))?;
    if body.len() != 16 {
        return None;
    }
    let mut head = 0u64;
    // Ten characters carry the first fifty bits; the account needs forty-one of them.
    for byte in body.bytes().take(10) {
        let value = BASE32.iter().position(|letter| *letter == byte)?;
        head = head << 5 | value as u64;
    }
    let number = head >> 9 & 0xff_ffff_ffff;
    format!("{number:012}").parse().ok()
}

fn base32(raw: &[u8; 10]) -> String {
    let bits = raw.iter().fold(0u128, |bits, byte| bits << 8 | u128::from(*byte));
    (0..16).rev().map(|at| char::from(BASE32[(bits >> (at * 5) & 31) as usize])).collect()
}

/// A fresh random secret access key: forty characters.
pub fn fresh_secret(rng: &dyn Rng) -> String {
    let mut raw = [0u8; 30];
    rng.fill(&mut raw);
    STANDARD.encode(raw)
}

/// A fresh unique id, such as `AROA` and seventeen characters.
pub fn unique_id(letters: &str, rng: &dyn Rng) -> String {
    let tail = (0..UNIQUE_CHARS).map(|_| char::from(BASE32[rng.below(32) as usize]));
    letters.chars().chain(tail).collect()
}

/// The platform's secret, from which temporary credentials are derived: what was issued need not be stored to be verified.
pub struct Deriver(hmac::Key);

impl Deriver {
    /// Derives from the platform's secret.
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// Eight bytes of noise for the key id of a function's role session in one period; `attempt` counts collisions.
    pub fn session_noise(&self, account: Account, role: &str, session: &str, period: i64, attempt: u32) -> [u8; 8] {
        let text = format!("session\0{account}\0{role}\0{session}\0{period}\0{attempt}");
        let tag = hmac::sign(&self.0, text.as_bytes());
        tag.as_ref()[..8].try_into().expect("the tag has 32 bytes")
    }

    /// The secret of a temporary key: forty characters.
    pub fn secret(&self, key_id: &str) -> String {
        let tag = hmac::sign(&self.0, format!("secret\0{key_id}").as_bytes());
        let mut text = STANDARD.encode(tag.as_ref());
        text.truncate(SECRET_CHARS);
        text
    }

    /// The session token of a temporary key.
    pub fn token(&self, key_id: &str, expires_ms: i64) -> String {
        let tag = hmac::sign(&self.0, format!("token\0{key_id}\0{expires_ms}").as_bytes());
        let mut raw = expires_ms.to_be_bytes().to_vec();
        raw.extend_from_slice(key_id.as_bytes());
        raw.extend_from_slice(tag.as_ref());
        URL_SAFE_NO_PAD.encode(raw)
    }

    /// The unique id of a role that nobody made but a function names: the same at every asking.
    pub fn role_id(&self, account: Account, role: &str) -> String {
        let tag = hmac::sign(&self.0, format!("role\0{account}\0{role}").as_bytes());
        let tail = tag.as_ref().iter().take(UNIQUE_CHARS).map(|byte| char::from(BASE32[usize::from(byte & 31)]));
        "AROA".chars().chain(tail).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_published_key_id_names_its_account() {
        // Published pairs of real, long dead keys and their accounts.
        for (key, account) in [("ASIAY34FZKBOKMUTVV7A", "609629065308"), ("ASIAQNZGKIQY56JQ7WML", "029608264753")] {
            assert_eq!(account_of(key).map(|found| found.to_string()).as_deref(), Some(account));
        }
        assert_eq!(account_of("test"), None);
        assert_eq!(account_of("AKIA000000000000000!"), None);
    }

    proptest! {
        #[test]
        fn key_ids_carry_their_account(number in 0u64..1_000_000_000_000, noise: [u8; 8]) {
            let account: Account = format!("{number:012}").parse().unwrap();
            for kind in [KeyKind::LongLived, KeyKind::Temporary] {
                let id = key_id(kind, account, noise);
                prop_assert_eq!(id.len(), 20);
                prop_assert_eq!(account_of(&id), Some(account));
            }
        }
    }

    #[test]
    fn what_is_derived_depends_on_the_platform_and_the_key() {
        let (one, two) = (Deriver::new(b"one"), Deriver::new(b"two"));
        assert_eq!(one.secret("ASIAX"), Deriver::new(b"one").secret("ASIAX"));
        assert_ne!(one.secret("ASIAX"), two.secret("ASIAX"));
        assert_ne!(one.secret("ASIAX"), one.secret("ASIAY"));
        assert_ne!(one.token("ASIAX", 1), one.token("ASIAX", 2));
        assert_eq!(one.secret("ASIAX").len(), SECRET_CHARS);
    }
}

//! Layout over the store: which row holds what.
//!
//! Everything is in [`Space::Control`], one JSON row a thing; names are lower-cased in keys, because IAM's names are
//! unique without regard to case. The platform's secret is in [`Space::Meta`].

use base::Account;
use serde::de::DeserializeOwned;
use store::{Error, Kv, Range, Space};

use crate::types::AccessKey;

/// The space of every row but the platform's secret.
pub(crate) const SPACE: Space = Space::Control;
/// The row (in [`Space::Meta`]) of the platform's secret: 32 random bytes, made once.
pub(crate) const PLATFORM_SECRET: &[u8] = b"identity/secret";
/// Every access key, of all accounts: a key id alone must lead to its owner.
pub(crate) const KEYS: &str = "iam/key/";
/// Every issued session but functions' own.
pub(crate) const SESSIONS: &str = "iam/session/";

/// The kinds of named things an account has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// [`crate::types::Role`]
    Role,
    /// [`crate::types::User`]
    User,
    /// [`crate::types::Group`]
    Group,
    /// [`crate::types::Policy`]
    Policy,
    /// [`crate::types::InstanceProfile`]
    InstanceProfile,
    /// [`crate::types::OidcProvider`]
    OidcProvider,
    /// The task that deleted the last service-linked role of a name.
    Deletion,
    /// The account's alias, under an empty name.
    Alias,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Role => "role",
            Self::User => "user",
            Self::Group => "group",
            Self::Policy => "policy",
            Self::InstanceProfile => "instance-profile",
            Self::OidcProvider => "oidc-provider",
            Self::Deletion => "deletion",
            Self::Alias => "alias",
        }
    }
}

/// The prefix of all rows of a kind in an account.
pub(crate) fn prefix(account: Account, kind: Kind) -> Vec<u8> {
    format!("iam/{account}/{}/", kind.word()).into_bytes()
}

/// The row of a named thing.
pub(crate) fn row(account: Account, kind: Kind, name: &str) -> Vec<u8> {
    let mut key = prefix(account, kind);
    key.extend_from_slice(name.to_lowercase().as_bytes());
    key
}

/// The row of an access key.
pub(crate) fn key_row(id: &str) -> Vec<u8> {
    format!("{KEYS}{id}").into_bytes()
}

/// Whose alias it is: no two accounts have the same.
pub(crate) fn alias_row(alias: &str) -> Vec<u8> {
    format!("iam/alias/{alias}").into_bytes()
}

/// The row of a session.
pub(crate) fn session_row(id: &str) -> Vec<u8> {
    format!("{SESSIONS}{id}").into_bytes()
}

/// Rows read at a time when all are wanted.
const PAGE: usize = 500;

/// Every row under a prefix, read in pages; `each` gets the rest of the key and the value.
pub(crate) fn each<T: DeserializeOwned>(
    kv: &dyn Kv,
    prefix: &[u8],
    mut each: impl FnMut(String, T),
) -> Result<(), Error> {
    let mut range = Range::prefix(prefix.to_vec());
    loop {
        let rows = kv.range(SPACE, range.clone(), PAGE, false)?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        range = range.after(last.clone());
        let full = rows.len() == PAGE;
        for (key, value) in rows {
            let rest = String::from_utf8_lossy(&key[prefix.len()..]).into_owned();
            let value = serde_json::from_slice(&value)
                .map_err(|_| Error::Corrupt(format!("the row {}", key.escape_ascii())))?;
            each(rest, value);
        }
        if !full {
            return Ok(());
        }
    }
}

/// How many rows stand under a prefix, counted up to `limit`.
pub(crate) fn count(kv: &dyn Kv, prefix: &[u8], limit: usize) -> Result<usize, Error> {
    Ok(kv.range(SPACE, Range::prefix(prefix.to_vec()), limit, false)?.len())
}

/// Every access key by its id.
pub(crate) fn keys(kv: &dyn Kv) -> Result<Vec<(String, AccessKey)>, Error> {
    let mut all = Vec::new();
    each(kv, KEYS.as_bytes(), |id, key| all.push((id, key)))?;
    Ok(all)
}

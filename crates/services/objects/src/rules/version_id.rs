//! The ids of versions: opaque to clients, and the place of a version to us.

use base::Fault;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::state::Id;

/// The id of the version with this number: 32 characters.
pub(crate) fn print(seq: u64, random: &Id) -> String {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&seq.to_be_bytes());
    bytes[8..].copy_from_slice(random);
    // The random half hides the number's slow growth from people who compare ids by their beginning.
    for (at, byte) in random[..8].iter().enumerate() {
        bytes[at] ^= byte;
    }
    URL_SAFE_NO_PAD.encode(bytes).replace('-', ".")
}

/// The number in an id; none if it is none of ours.
pub(crate) fn seq(id: &str) -> Option<u64> {
    let bytes: [u8; 24] = URL_SAFE_NO_PAD.decode(id.replace('.', "-")).ok()?.try_into().ok()?;
    let mut seq = [0; 8];
    for (at, byte) in seq.iter_mut().enumerate() {
        *byte = bytes[at] ^ bytes[at + 8];
    }
    Some(u64::from_be_bytes(seq))
}

/// The number in a version's id; none for `null`.
///
/// # Errors
/// InvalidArgument.
pub(crate) fn named(id: &str) -> Result<Option<u64>, Fault> {
    if id == "null" {
        return Ok(None);
    }
    match seq(id) {
        Some(seq) => Ok(Some(seq)),
        None => Err(crate::faults::argument("Invalid version id specified", "versionId", id)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_give_their_number_back(number: u64, random: [u8; 16]) {
            let id = print(number, &random);
            prop_assert_eq!(id.len(), 32);
            prop_assert_eq!(seq(&id), Some(number));
        }
        #[test]
        fn anything_else_is_none(text in ".{0,40}") {
            if let Some(number) = seq(&text) {
                prop_assert_eq!(text.len(), 32, "{}", number);
            }
        }
    }
}

//! Ids as AWS writes them: lower-case letters and digits.

use base::Rng;

const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// Letters of an API's id: it is a label of its host, so it begins with a letter or digit.
pub(crate) const API: usize = 10;
/// Letters of the id of a route or an integration.
pub(crate) const PART: usize = 7;
/// Letters of an authorizer's id.
pub(crate) const AUTHORIZER: usize = 6;
/// Letters of a deployment's id.
pub(crate) const DEPLOYMENT: usize = 6;

/// A random one.
pub(crate) fn fresh(rng: &dyn Rng, letters: usize) -> String {
    (0..letters).map(|_| char::from(LETTERS[rng.below(36) as usize])).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_are_letters_and_digits() {
        let id = super::fresh(&base::SystemRng, super::API);
        assert!(id.len() == 10 && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()), "{id}");
    }
}

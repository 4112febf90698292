//! Code signing configurations: what the code that is deployed to a function is held to.
//!
//! There is no signer here, so that no artifact is ever signed: every one fails the check for an allowed publisher. Source:
//! AWS Lambda Developer Guide, "Using code signing to verify code integrity".

use std::collections::BTreeMap;

use base::{Account, Fault, Region, Rng};
use serde::{Deserialize, Serialize};

use crate::faults;
use crate::types::LayerUse;

/// How an id begins.
const PREFIX: &str = "csc-";
/// Hexadecimal digits of an id.
const DIGITS: usize = 17;

/// A code signing configuration: its row in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Signing {
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// The ARNs of the signing profiles whose signatures count.
    pub(crate) publishers: Vec<String>,
    /// Whether what they have not signed is not just counted, but refused, too.
    #[serde(default)]
    pub(crate) enforced: bool,
    /// When it changed last: product time, ms since the epoch.
    pub(crate) modified_ms: i64,
    /// Tags, by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: BTreeMap<String, String>,
    /// How many functions have it. It changes in their transactions, so that none has one that is deleted.
    #[serde(default)]
    pub(crate) functions: u64,
}

impl Signing {
    /// Whether an artifact may be deployed that no allowed publisher has signed, which is every one.
    ///
    /// # Errors
    /// AWS's words where the policy is `Enforce`; `artifact` is what they name: a function or a layer version.
    pub(crate) fn admits(&self, artifact: &str) -> Result<(), Fault> {
        if self.enforced { Err(faults::unsigned(artifact)) } else { Ok(()) }
    }
}

/// The layer that a function does not have yet and whose signature a change must be checked for.
pub(crate) fn added<'a>(has: &[LayerUse], shall: &'a [LayerUse]) -> Option<&'a str> {
    let added = shall.iter().find(|layer| has.iter().all(|other| other.arn != layer.arn));
    added.map(|layer| layer.arn.as_str())
}

/// The ARN of a configuration.
pub(crate) fn arn(account: Account, region: &Region, id: &str) -> String {
    format!("arn:aws:lambda:{region}:{account}:code-signing-config:{id}")
}

/// The id in an ARN that names a configuration of this account and region; none in any other.
pub(crate) fn named_by(account: Account, region: &Region, arn: &str) -> Option<String> {
    let (_, id) = arn.rsplit_once(':')?;
    let own = id.starts_with(PREFIX) && self::arn(account, region, id) == arn;
    own.then(|| id.to_owned())
}

/// A fresh id.
pub(crate) fn new_id(rng: &dyn Rng) -> String {
    let mut raw = [0; DIGITS];
    rng.fill(&mut raw);
    let digit = |byte: &u8| char::from_digit(u32::from(byte % 16), 16).expect("it is below 16");
    PREFIX.chars().chain(raw.iter().map(digit)).collect()
}

#[cfg(test)]
mod tests {
    use base::SystemRng;

    use super::*;

    #[test]
    fn an_arn_names_a_configuration_of_one_account_and_region() {
        let (account, region) = (Account::DEFAULT, Region::default_region());
        let id = new_id(&SystemRng);
        assert_eq!((id.len(), &id[..4]), (21, "csc-"));
        assert!(id[4..].bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{id}");
        let whole = arn(account, &region, &id);
        assert_eq!(named_by(account, &region, &whole), Some(id.clone()));
        for other in [
            id.clone(),
            whole.replace("us-east-1", "eu-west-1"),
            whole.replace("000000000000", "111111111111"),
            whole.replace("code-signing-config", "function"),
            whole.replace("csc-", ""),
        ] {
            assert_eq!(named_by(account, &region, &other), None, "{other}");
        }
    }

    #[test]
    fn only_a_layer_that_is_new_is_deployed() {
        let layer =
            |arn: &str| LayerUse { arn: arn.into(), code: crate::types::Code { sha256: String::new(), size_bytes: 0 } };
        let (one, two) = (layer("one"), layer("two"));
        assert_eq!(added(&[], &[]), None);
        assert_eq!(added(std::slice::from_ref(&one), std::slice::from_ref(&one)), None);
        assert_eq!(added(std::slice::from_ref(&one), &[two, one.clone()]), Some("two"));
        assert_eq!(added(&[one], &[]), None);
    }
}

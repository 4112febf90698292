//! What has policies of its own: roles, users and groups.

use std::collections::BTreeMap;

use base::Account;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::state::Kind;
use crate::types::{Group, Role, User};

/// A row that holds inline policies and names attached ones.
pub(crate) trait Holder: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// Where its rows are.
    const KIND: Kind;
    /// IAM's word for it in messages.
    const WORD: &'static str;
    /// The quota of attached policies: its name and the number.
    /// Source: IAM User Guide, "IAM and AWS STS quotas".
    const ATTACHED: (&'static str, usize);
    /// Most characters of all inline policies together, without white space.
    const INLINE_CHARS: usize;

    /// Name to JSON text.
    fn inline(&mut self) -> &mut BTreeMap<String, String>;
    /// ARNs in order of attachment.
    fn attached(&mut self) -> &mut Vec<String>;
    /// The name as it is written.
    fn name(&self) -> &str;
    /// The ARN.
    fn arn_in(&self, account: Account) -> String;
}

macro_rules! holder {
    ($type:ty, $kind:expr, $word:literal, $quota:literal, $chars:literal) => {
        impl Holder for $type {
            const KIND: Kind = $kind;
            const WORD: &'static str = $word;
            const ATTACHED: (&'static str, usize) = ($quota, 10);
            const INLINE_CHARS: usize = $chars;

            fn inline(&mut self) -> &mut BTreeMap<String, String> {
                &mut self.inline
            }
            fn attached(&mut self) -> &mut Vec<String> {
                &mut self.attached
            }
            fn name(&self) -> &str {
                &self.name
            }
            fn arn_in(&self, account: Account) -> String {
                self.arn(account)
            }
        }
    };
}

holder!(Role, Kind::Role, "role", "PoliciesPerRole", 10_240);
holder!(User, Kind::User, "user", "PoliciesPerUser", 2_048);
holder!(Group, Kind::Group, "group", "PoliciesPerGroup", 5_120);

//! What an account has by name, and which of it has policies or tags of its own.

use std::collections::BTreeMap;

use base::{Account, Fault};
use model::iam;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::engine::policy_name;
use crate::faults;
use crate::state::Kind;
use crate::types::{Group, InstanceProfile, OidcProvider, Policy, Role, User};

/// A row of an account that callers name.
pub(crate) trait Kept: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// Where its rows are.
    const KIND: Kind;

    /// The row's name in what callers call it; none if that cannot be one.
    fn name_in(_: Account, given: &str) -> Option<&str> {
        Some(given)
    }
    /// Whether it is what callers call so.
    fn is_called(&self, _: Account, _: &str) -> bool {
        true
    }
    /// The fault when there is none.
    fn missing(given: &str) -> Fault;
}

/// A row with tags.
pub(crate) trait Tagged: Kept {
    /// The quota's name.
    const QUOTA: &'static str;
    /// Key to value.
    fn tags(&mut self) -> &mut BTreeMap<String, String>;
}

/// A row that holds inline policies and names attached ones.
pub(crate) trait Holder: Kept {
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
    /// `AROA…`, `AIDA…` or `AGPA…`
    fn id(&self) -> &str;
    /// `/` or `/a/b/`.
    fn path(&self) -> &str;
    /// The ARN of the permissions boundary.
    fn boundary(&self) -> Option<&str>;
    /// Whether policies of it may be changed.
    ///
    /// # Errors
    /// `UnmodifiableEntity`: it belongs to a service.
    fn may_change(&self) -> Result<(), Fault> {
        Ok(())
    }
}

macro_rules! kept {
    ($type:ty, $kind:expr, $missing:expr) => {
        impl Kept for $type {
            const KIND: Kind = $kind;
            fn missing(given: &str) -> Fault {
                $missing(given)
            }
        }
    };
}

macro_rules! tagged {
    ($type:ty, $quota:literal) => {
        impl Tagged for $type {
            const QUOTA: &'static str = $quota;
            fn tags(&mut self) -> &mut BTreeMap<String, String> {
                &mut self.tags
            }
        }
    };
}

macro_rules! holder {
    ($type:ty, $word:literal, $quota:literal, $chars:literal, $boundary:expr, $may_change:expr) => {
        impl Holder for $type {
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
            fn id(&self) -> &str {
                &self.id
            }
            fn path(&self) -> &str {
                &self.path
            }
            fn boundary(&self) -> Option<&str> {
                $boundary(self)
            }
            fn may_change(&self) -> Result<(), Fault> {
                $may_change(self)
            }
        }
    };
}

kept!(Role, Kind::Role, faults::no_role);
kept!(User, Kind::User, faults::no_user);
kept!(Group, Kind::Group, |name| faults::none_such("group", name));
kept!(InstanceProfile, Kind::InstanceProfile, faults::no_instance_profile);

impl Kept for Policy {
    const KIND: Kind = Kind::Policy;
    fn name_in(account: Account, arn: &str) -> Option<&str> {
        policy_name(account, arn)
    }
    fn is_called(&self, account: Account, arn: &str) -> bool {
        self.arn(account) == arn
    }
    fn missing(arn: &str) -> Fault {
        faults::no_policy(arn)
    }
}

impl Kept for OidcProvider {
    const KIND: Kind = Kind::OidcProvider;
    fn name_in(account: Account, arn: &str) -> Option<&str> {
        arn.strip_prefix("arn:aws:iam::")?.strip_prefix(account.as_str())?.strip_prefix(":oidc-provider/")
    }
    fn is_called(&self, account: Account, arn: &str) -> bool {
        self.arn(account) == arn
    }
    fn missing(arn: &str) -> Fault {
        iam::no_such_entity_exception(format!("OpenIDConnect Provider not found for arn {arn}"))
    }
}

tagged!(Role, "TagsPerRole");
tagged!(User, "TagsPerUser");
tagged!(Policy, "TagsPerPolicy");
tagged!(InstanceProfile, "TagsPerInstanceProfile");
tagged!(OidcProvider, "TagsPerOpenIdConnectProvider");

holder!(Role, "role", "PoliciesPerRole", 10_240, Role::bounded_by, Role::is_ours);
holder!(User, "user", "PoliciesPerUser", 2_048, User::bounded_by, |_| Ok(()));
holder!(Group, "group", "PoliciesPerGroup", 5_120, |_| None, |_| Ok(()));

impl User {
    fn bounded_by(&self) -> Option<&str> {
        self.boundary.as_deref()
    }
}

impl Role {
    fn bounded_by(&self) -> Option<&str> {
        self.boundary.as_deref()
    }

    /// Whether the account may change it: service-linked roles are their service's.
    fn is_ours(&self) -> Result<(), Fault> {
        if self.is_service_linked() { Err(faults::unmodifiable(&self.name)) } else { Ok(()) }
    }
}

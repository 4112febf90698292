//! What only the service that owns an operation knows, and the policies must.

use std::sync::Arc;

use base::{Account, Principal, Region};
use wire::{Operation, Structure};

use crate::facts;

/// Condition keys with their values; names have no case.
pub type ConditionKeys = Vec<(String, Vec<String>)>;

/// A call, as the service is asked about it.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// Which operation.
    pub operation: &'static Operation,
    /// Its input: decoded and valid.
    pub input: &'a dyn Structure,
    /// Who calls.
    pub principal: &'a Principal,
    /// The access key that signed, if a known one did.
    pub key_id: Option<&'a str>,
    /// The region it acts in.
    pub region: &'a Region,
    /// The resource's ARN by the operation's template.
    pub resource: &'a str,
}

impl Subject<'_> {
    /// The account it acts in.
    pub fn account(&self) -> Account {
        self.principal.account()
    }

    /// `aws:RequestTag/…` and `aws:TagKeys`, if the input gives tags.
    pub fn tags(&self) -> ConditionKeys {
        facts::of_tags(self.input)
    }

    /// The text of an input member by AWS's name, if it is set.
    pub fn text(&self, member: &str) -> Option<String> {
        wire::text_member(self.input, member)
    }
}

/// What a service knows about a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// The operation needs no permission: whoever is known may call it, whatever policies say.
    pub free: bool,
    /// The action, where it is not the row's: that on one version of an object is another than that on the newest.
    pub action: Option<&'static str>,
    /// The resource's ARN, where the template does not say it.
    pub resource: Option<String>,
    /// Whose the resource is, where its ARN does not say it.
    pub owner: Option<Account>,
    /// The resource's policy: JSON.
    pub policy: Option<Arc<str>>,
    /// The policy is a role's trust policy.
    pub trust: bool,
    /// Condition keys of the service and of the resource, `aws:ResourceTag/…` included.
    pub keys: ConditionKeys,
    /// What the caller must be allowed besides.
    pub also: Vec<Need>,
}

/// A permission that an operation needs besides its own, for example `iam:PassRole`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Need {
    /// The action.
    pub action: &'static str,
    /// The resource's ARN.
    pub resource: String,
    /// Whose the resource is, where its ARN does not say it.
    pub owner: Option<Account>,
    /// Condition keys of this action alone.
    pub keys: ConditionKeys,
    /// The resource's policy: JSON.
    pub policy: Option<Arc<str>>,
    /// The policy is a role's trust policy.
    pub trust: bool,
}

/// Answered by each service for its own operations. It reads; it never changes anything.
pub trait AuthContext: Send + Sync {
    /// What it knows of a call that is about to be authorised.
    fn about(&self, subject: &Subject<'_>) -> About;
}

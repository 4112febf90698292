//! The ports of the door: who answers what it must know.

use std::sync::Arc;

use base::{Account, BoxFuture, Fault, Principal, Timestamp};
use http::HeaderMap;

use crate::{Call, ConditionKeys, Reply};

/// Takes calls. The router implements it; rooms hold it to call each other. Dropping the future cancels the call.
pub trait Dispatch: Send + Sync {
    /// Carries out one call.
    fn call(&self, call: Call) -> BoxFuture<'_, Result<Reply, Fault>>;
}

/// What the platform knows of an access key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Whom it names.
    pub principal: Principal,
    /// The secret that signs.
    pub secret: String,
    /// For temporary credentials: the token that must come along.
    pub session_token: Option<String>,
    /// For temporary credentials: when they end; signing clock.
    pub expires: Option<Timestamp>,
    /// Refused as if nobody had made it, also where unknown keys are let in: it is inactive, or whom it named is gone.
    pub void: bool,
}

/// Temporary credentials as a program gets them.
#[derive(Clone, PartialEq, Eq)]
pub struct Temporary {
    /// `ASIA…`
    pub key_id: String,
    /// The secret that signs.
    pub secret: String,
    /// What must come along.
    pub token: String,
    /// When they end; signing clock.
    pub expires: Timestamp,
}

// By hand, so that no log ever shows the secret.
impl std::fmt::Debug for Temporary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { key_id, expires, .. } = self;
        f.debug_struct("Temporary").field("key_id", key_id).field("expires", expires).finish_non_exhaustive()
    }
}

/// Access key → credential. Answered by `identity`.
pub trait Keys: Send + Sync {
    /// The credential of a key id; none when nobody made it.
    fn find(&self, key_id: &str) -> Option<Credential>;
    /// Whether the account has a key somebody made: then unknown keys hold no rights there.
    fn account_has_keys(&self, account: Account) -> bool;
    /// Fresh temporary credentials of a function's role session.
    fn for_function(&self, account: Account, role: &str, session: &str) -> Temporary;
}

/// One permission, as the policies are asked for it.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// Who wants it.
    pub principal: &'a Principal,
    /// The access key that signed: session policies and session tags hang on it.
    pub key_id: Option<&'a str>,
    /// The action, for example `lambda:InvokeFunction`.
    pub action: &'a str,
    /// The resource's ARN, or `*`.
    pub resource: &'a str,
    /// Whose the resource is, where its ARN does not say it.
    pub owner: Option<Account>,
    /// The resource's policy: JSON.
    pub policy: Option<&'a str>,
    /// The resource's policy is a role's trust policy.
    pub trust: bool,
    /// Gathers the condition keys, those that follow from the principal excepted. Most policies look at action and resource
    /// alone: then nobody asks for them.
    pub keys: &'a dyn Fn() -> ConditionKeys,
}

/// What the policies say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Allowed, and by which statement or rule.
    Allowed(String),
    /// Denied.
    Denied(Denial),
}

/// Why something is denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The sentence of AccessDenied, for the caller.
    pub message: String,
    /// Which statement denies, or what is missing: for the account's own people, not for the caller.
    pub because: String,
    /// It holds whatever becomes of other denials: who a role does not trust never gets its credentials.
    pub always: bool,
}

/// Policies of every kind, evaluated together. Answered by `identity`.
pub trait Policies: Send + Sync {
    /// Whether it is permitted.
    fn decide(&self, ask: &Ask<'_>) -> Decision;
    /// The trust policy of the role with exactly this ARN: JSON; none when nobody made it.
    fn trust_of(&self, _role: &str) -> Option<Arc<str>> {
        None
    }
}

/// What a browser says of a page of another origin that wants to use a resource.
#[derive(Debug, Clone, Copy)]
pub struct CrossOrigin<'a> {
    /// Where the page comes from: `Origin`.
    pub origin: &'a str,
    /// What it sends, or will send.
    pub method: &'a str,
    /// The headers it will send, with commas between; none once it sends.
    pub headers: Option<&'a str>,
}

/// What must be known of the store's buckets before a request becomes a call. Answered by `objects`.
pub trait Buckets: Send + Sync {
    /// Whether there is a bucket of this name.
    fn exists(&self, name: &str) -> bool;
    /// What a bucket's rules let a browser know.
    ///
    /// # Errors
    /// Why the page is not welcome.
    fn share(&self, bucket: &str, page: &CrossOrigin<'_>) -> Result<HeaderMap, Fault>;
}

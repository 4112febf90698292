//! The ports of the door: who answers what it must know.

use base::{Account, BoxFuture, Fault, Principal};
use wire::Operation;

use crate::{Call, Reply};

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
    pub expires: Option<base::Timestamp>,
}

/// Access key → credential. Answered by `identity`.
pub trait Keys: Send + Sync {
    /// The credential of a key id; none when nobody made it.
    fn find(&self, key_id: &str) -> Option<Credential>;
    /// Whether the account has a key somebody made: then unknown keys hold no rights there.
    fn account_has_keys(&self, account: Account) -> bool;
    /// Fresh temporary credentials of a function's role session: key id, secret, token.
    fn for_function(&self, account: Account, role: &str, session: &str) -> (String, String, String);
}

/// What a policy says of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Allowed, and by which statement or rule.
    Allowed(String),
    /// Denied, and why: the sentence of AccessDenied.
    Denied(String),
}

/// Identity policies: what a principal may do. Answered by `identity`.
pub trait Policies: Send + Sync {
    /// Whether the principal may perform `action` on `resource`.
    fn decide(&self, principal: &Principal, action: &str, resource: &str) -> Decision;
}

/// Resource policies: whom a resource lets in. Answered by the service that owns it.
pub trait ResourcePolicies: Send + Sync {
    /// The JSON policy of the resource, if it has one.
    fn policy(&self, operation: &'static Operation, resource: &str) -> Option<String>;
}

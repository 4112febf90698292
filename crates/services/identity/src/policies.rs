//! The port [`Policies`]: what a principal's policies say.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use base::{Account, Principal};
use door::{Decision, Keys, Policies};

use crate::engine::Identity;
use crate::managed;
use crate::rules::document::{Document, Purpose, read};
use crate::rules::evaluate::{Verdict, evaluate};

/// A role's policies, read: name to document.
type Documents = Arc<Vec<(String, Document)>>;

/// The policies of roles, read once; forgotten at any change.
#[derive(Default)]
pub(crate) struct Compiled(RwLock<Memory>);

#[derive(Default)]
struct Memory {
    // Counts changes: what was loaded before one must not be kept after it.
    version: u64,
    roles: HashMap<(Account, String), Documents>,
}

/// Roles whose policies are kept in memory at most.
const MOST: usize = 10_000;

impl Compiled {
    /// Forgets everything.
    pub(crate) fn forget(&self) {
        let mut memory = self.0.write().unwrap_or_else(PoisonError::into_inner);
        memory.version += 1;
        memory.roles.clear();
    }

    fn get(&self, key: &(Account, String)) -> (u64, Option<Documents>) {
        let memory = self.0.read().unwrap_or_else(PoisonError::into_inner);
        (memory.version, memory.roles.get(key).cloned())
    }

    fn keep(&self, version: u64, key: (Account, String), documents: &Documents) {
        let mut memory = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if memory.version == version && memory.roles.len() < MOST {
            memory.roles.insert(key, Arc::clone(documents));
        }
    }
}

impl Identity {
    /// The role's inline and attached policies; none if there is no such role or it cannot be read.
    fn documents(&self, account: Account, name: &str) -> Option<Documents> {
        let key = (account, name.to_owned());
        let (version, known) = self.compiled.get(&key);
        if known.is_some() {
            return known;
        }
        let role = self.role(account, name).ok()?;
        let mut documents = Vec::new();
        let mut add = |name: &str, text: &str| match read(text, Purpose::Identity) {
            Ok(document) => documents.push((name.to_owned(), document)),
            Err(fault) => tracing::warn!(policy = name, %fault, "a stored policy does not read"),
        };
        for (name, text) in &role.inline {
            add(name, text);
        }
        for arn in &role.attached {
            if let Some(aws) = managed::find(arn) {
                add(arn, &aws.document());
            } else if let Ok(Some(policy)) = self.policy(account, arn) {
                add(arn, policy.document().unwrap_or_default());
            }
        }
        let documents = Arc::new(documents);
        self.compiled.keep(version, key, &documents);
        Some(documents)
    }
}

impl Policies for Identity {
    fn decide(&self, principal: &Principal, action: &str, resource: &str) -> Decision {
        let denied = |why: &str| {
            let arn = principal.arn();
            Decision::Denied(format!(
                "User: {arn} is not authorized to perform: {action} on resource: {resource} {why}"
            ))
        };
        match principal {
            Principal::Anonymous => denied("because no identity is known"),
            Principal::Service { .. } => Decision::Allowed("a service principal; the resource's policy decides".into()),
            Principal::Root { verified: true, .. } => Decision::Allowed("the account's root".into()),
            Principal::Root { account, verified: false } => {
                if self.loopback && !self.account_has_keys(*account) {
                    Decision::Allowed("an unverified key on a loopback listener".into())
                } else {
                    denied("because the key is not known")
                }
            }
            Principal::User { .. } => denied(&format!("because no identity-based policy allows the {action} action")),
            Principal::Session { account, role, .. } => {
                let Some(documents) = self.documents(*account, role) else {
                    return denied("because the role does not exist");
                };
                let policies = documents.iter().map(|(name, document)| (name.as_str(), document));
                match evaluate(policies, action, resource) {
                    Verdict::Allowed(by) => Decision::Allowed(by),
                    Verdict::Denied(by) => denied(&format!("with an explicit deny in an identity-based policy: {by}")),
                    Verdict::Silent => denied(&format!("because no identity-based policy allows the {action} action")),
                }
            }
        }
    }
}

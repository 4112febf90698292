//! The policies of a principal, read once and kept until something changes.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use base::{Account, Fault};

use crate::engine::Identity;
use crate::managed;
use crate::rules::document::{Document, Purpose, read};
use crate::rules::evaluate::Named;
use crate::state::Kind;
use crate::types::{Group, Role, User};

/// What the policies must know of a role or a user.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entity {
    /// With its path.
    pub(crate) arn: String,
    /// `AROA…` or `AIDA…`
    pub(crate) id: String,
    /// Key to value.
    pub(crate) tags: BTreeMap<String, String>,
    /// Inline, attached, and of a user's groups.
    pub(crate) policies: Vec<Named>,
    /// The boundary, if one is set: empty if its policy is gone, so that it allows nothing.
    pub(crate) boundary: Option<Vec<Named>>,
}

/// Entities and documents in memory. Any change of IAM's rows forgets the entities; documents are kept by their text.
#[derive(Default)]
pub(crate) struct Compiled {
    entities: RwLock<Entities>,
    texts: RwLock<Texts>,
}

#[derive(Default)]
struct Texts {
    documents: HashMap<(String, Purpose), Arc<Document>>,
    size_bytes: usize,
}

#[derive(Default)]
struct Entities {
    // Counts changes: what was loaded before one must not be kept after it.
    version: u64,
    by_name: HashMap<(Account, Kind, String), Arc<Entity>>,
}

/// Entities kept in memory at most; beyond it all are forgotten.
const MOST: usize = 10_000;
/// Text of documents kept in memory at most, bytes; beyond it all are forgotten.
const TEXT_BYTES: usize = 8 * 1024 * 1024;

impl Compiled {
    /// Forgets every entity.
    pub(crate) fn forget(&self) {
        let mut entities = self.entities.write().unwrap_or_else(PoisonError::into_inner);
        entities.version += 1;
        entities.by_name.clear();
    }

    /// The document of a text, which is parsed once.
    ///
    /// # Errors
    /// `MalformedPolicyDocument`.
    pub(crate) fn document(&self, text: &str, purpose: Purpose) -> Result<Arc<Document>, Fault> {
        let key = (text.to_owned(), purpose);
        if let Some(known) = self.texts.read().unwrap_or_else(PoisonError::into_inner).documents.get(&key) {
            return Ok(Arc::clone(known));
        }
        let document = Arc::new(read(text, purpose)?);
        let mut texts = self.texts.write().unwrap_or_else(PoisonError::into_inner);
        if texts.size_bytes + text.len() > TEXT_BYTES {
            *texts = Texts::default();
        }
        texts.size_bytes += text.len();
        texts.documents.insert(key, Arc::clone(&document));
        Ok(document)
    }

    fn get(&self, key: &(Account, Kind, String)) -> (u64, Option<Arc<Entity>>) {
        let entities = self.entities.read().unwrap_or_else(PoisonError::into_inner);
        (entities.version, entities.by_name.get(key).cloned())
    }

    fn keep(&self, version: u64, key: (Account, Kind, String), entity: &Arc<Entity>) {
        let mut entities = self.entities.write().unwrap_or_else(PoisonError::into_inner);
        if entities.by_name.len() >= MOST {
            entities.by_name.clear();
        }
        if entities.version == version {
            entities.by_name.insert(key, Arc::clone(entity));
        }
    }
}

impl Identity {
    /// A role or a user with all its policies; none if there is no such one or it cannot be read.
    pub(crate) fn entity(&self, account: Account, kind: Kind, name: &str) -> Option<Arc<Entity>> {
        let key = (account, kind, name.to_owned());
        let (version, known) = self.compiled.get(&key);
        if known.is_some() {
            return known;
        }
        let entity = match kind {
            Kind::Role => self.load_role(account, name),
            Kind::User => self.load_user(account, name),
            _ => None,
        };
        let entity = Arc::new(entity?);
        self.compiled.keep(version, key, &entity);
        Some(entity)
    }

    fn load_role(&self, account: Account, name: &str) -> Option<Entity> {
        let role: Role = self.role(account, name).ok()?;
        Some(Entity {
            arn: role.arn(account),
            policies: self.held(account, &role.inline, &role.attached),
            boundary: role.boundary.as_ref().map(|arn| self.managed(account, arn).into_iter().collect()),
            id: role.id,
            tags: role.tags,
        })
    }

    fn load_user(&self, account: Account, name: &str) -> Option<Entity> {
        let user: User = self.user(account, name).ok()?;
        let mut policies = self.held(account, &user.inline, &user.attached);
        for name in &user.groups {
            match self.kept::<Group>(account, name) {
                Ok(group) => policies.extend(self.held(account, &group.inline, &group.attached)),
                Err(fault) => tracing::error!(group = name, %fault, "a user's group cannot be read"),
            }
        }
        Some(Entity {
            arn: user.arn(account),
            policies,
            boundary: user.boundary.as_ref().map(|arn| self.managed(account, arn).into_iter().collect()),
            id: user.id,
            tags: user.tags,
        })
    }

    /// The policies that one row holds.
    pub(crate) fn held(&self, account: Account, inline: &BTreeMap<String, String>, attached: &[String]) -> Vec<Named> {
        let inline = inline.iter().filter_map(|(name, text)| self.named(name, text));
        inline.chain(attached.iter().filter_map(|arn| self.managed(account, arn))).collect()
    }

    /// A managed policy in force, of AWS or of the account.
    pub(crate) fn managed(&self, account: Account, arn: &str) -> Option<Named> {
        if let Some(aws) = managed::find(arn) {
            return self.named(arn, &aws.document());
        }
        let policy = self.policy(account, arn).ok().flatten()?;
        self.named(arn, policy.document()?)
    }

    /// A stored text as a policy.
    pub(crate) fn named(&self, name: &str, text: &str) -> Option<Named> {
        match self.compiled.document(text, Purpose::Identity) {
            Ok(document) => Some(Named { name: name.to_owned(), document }),
            Err(fault) => {
                tracing::warn!(policy = name, %fault, "a stored policy does not read");
                None
            }
        }
    }
}

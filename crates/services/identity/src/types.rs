//! The nouns of IAM as they are kept: one row each, as JSON.

use std::collections::{BTreeMap, BTreeSet};

use base::{Account, Principal, Timestamp};
use serde::{Deserialize, Serialize};

/// An IAM role with everything that belongs to it: it is read and changed as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// The name as it was first written; unique without regard to case.
    pub name: String,
    /// `/` or `/a/b/`.
    pub path: String,
    /// `AROA…`
    pub id: String,
    /// Product time.
    pub created_ms: i64,
    /// Who may assume it: the JSON text as it was given.
    pub trust: String,
    /// Free text.
    pub description: Option<String>,
    /// Longest session, seconds, 3600..=43200.
    pub max_session_s: i64,
    /// The ARN of the permissions boundary.
    pub boundary: Option<String>,
    /// Key to value.
    pub tags: BTreeMap<String, String>,
    /// Inline policies: name to JSON text.
    pub inline: BTreeMap<String, String>,
    /// ARNs of the managed policies attached, in order of attachment.
    pub attached: Vec<String>,
    /// Names of the instance profiles it is in, as they are written.
    #[serde(default)]
    pub profiles: Vec<String>,
}

/// Where the paths of service-linked roles begin.
pub const SERVICE_PATH: &str = "/aws-service-role/";

impl Role {
    /// `arn:aws:iam::account:role/path/name`
    pub fn arn(&self, account: Account) -> String {
        format!("arn:aws:iam::{account}:role{}{}", self.path, self.name)
    }

    /// Whether it is a service's own.
    pub fn is_service_linked(&self) -> bool {
        self.path.starts_with(SERVICE_PATH)
    }
}

/// An instance profile: what a machine gets a role by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceProfile {
    /// The name; unique without regard to case.
    pub name: String,
    /// `/` or `/a/b/`.
    pub path: String,
    /// `AIPA…`
    pub id: String,
    /// Product time.
    pub created_ms: i64,
    /// Key to value.
    pub tags: BTreeMap<String, String>,
    /// The name of its role, as the role is written; kept with the role's own list in one transaction.
    pub role: Option<String>,
}

impl InstanceProfile {
    /// `arn:aws:iam::account:instance-profile/path/name`
    pub fn arn(&self, account: Account) -> String {
        format!("arn:aws:iam::{account}:instance-profile{}{}", self.path, self.name)
    }
}

/// An OpenID Connect provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OidcProvider {
    /// Without `https://`.
    pub url: String,
    /// The audiences it is trusted with, at most 100.
    pub clients: Vec<String>,
    /// Of its certificates, at most five.
    pub thumbprints: Vec<String>,
    /// Product time.
    pub created_ms: i64,
    /// Key to value.
    pub tags: BTreeMap<String, String>,
}

impl OidcProvider {
    /// `arn:aws:iam::account:oidc-provider/url`
    pub fn arn(&self, account: Account) -> String {
        format!("arn:aws:iam::{account}:oidc-provider/{}", self.url)
    }
}

/// A customer managed policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The name; unique without regard to case.
    pub name: String,
    /// `/` or `/a/b/`.
    pub path: String,
    /// `ANPA…`
    pub id: String,
    /// Product time.
    pub created_ms: i64,
    /// Product time of the last change.
    pub updated_ms: i64,
    /// Free text; never changes after creation.
    pub description: Option<String>,
    /// Key to value.
    pub tags: BTreeMap<String, String>,
    /// The number of the version in force.
    pub default_version: u32,
    /// The number the next version gets: numbers are never used again.
    pub next_version: u32,
    /// At most five.
    pub versions: Vec<PolicyVersion>,
    /// How many roles, users and groups it is attached to; kept with the attachments in one transaction.
    pub attachments: u32,
}

/// One version of a managed policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyVersion {
    /// 1 for `v1`.
    pub number: u32,
    /// The JSON text as it was given.
    pub document: String,
    /// Product time.
    pub created_ms: i64,
}

impl Policy {
    /// `arn:aws:iam::account:policy/path/name`
    pub fn arn(&self, account: Account) -> String {
        format!("arn:aws:iam::{account}:policy{}{}", self.path, self.name)
    }

    /// The JSON text in force.
    pub fn document(&self) -> Option<&str> {
        self.versions.iter().find(|version| version.number == self.default_version).map(|version| &*version.document)
    }
}

/// An IAM user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The name; unique without regard to case.
    pub name: String,
    /// `/` or `/a/b/`.
    pub path: String,
    /// `AIDA…`
    pub id: String,
    /// Product time.
    pub created_ms: i64,
    /// The ARN of the permissions boundary.
    pub boundary: Option<String>,
    /// Key to value.
    pub tags: BTreeMap<String, String>,
    /// Ids of the access keys, at most two.
    pub keys: Vec<String>,
    /// Inline policies: name to JSON text.
    #[serde(default)]
    pub inline: BTreeMap<String, String>,
    /// ARNs of the managed policies attached, in order of attachment.
    #[serde(default)]
    pub attached: Vec<String>,
    /// Names of the groups it belongs to, as the groups are written.
    #[serde(default)]
    pub groups: Vec<String>,
}

impl User {
    /// `arn:aws:iam::account:user/path/name`
    pub fn arn(&self, account: Account) -> String {
        format!("arn:aws:iam::{account}:user{}{}", self.path, self.name)
    }
}

/// An IAM group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The name; unique without regard to case.
    pub name: String,
    /// `/` or `/a/b/`.
    pub path: String,
    /// `AGPA…`
    pub id: String,
    /// Product time.
    pub created_ms: i64,
    /// Inline policies: name to JSON text.
    pub inline: BTreeMap<String, String>,
    /// ARNs of the managed policies attached, in order of attachment.
    pub attached: Vec<String>,
    /// Names of its users, as the users are written; kept with the users' own lists in one transaction.
    pub members: Vec<String>,
}

impl Group {
    /// `arn:aws:iam::account:group/path/name`
    pub fn arn(&self, account: Account) -> String {
        format!("arn:aws:iam::{account}:group{}{}", self.path, self.name)
    }
}

/// A long-lived access key (`AKIA…`).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKey {
    /// Twelve digits.
    pub account: String,
    /// Whose it is; none is the account's root.
    pub user: Option<String>,
    /// The secret that signs.
    pub secret: String,
    /// An inactive key is known, and refused.
    pub active: bool,
    /// Product time.
    pub created_ms: i64,
    /// Made by the platform at its first start: such a key does not shut unknown keys out of its account.
    #[serde(default)]
    pub first: bool,
}

// By hand, so that no log ever shows the secret.
impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { account, user, active, created_ms, first, .. } = self;
        f.debug_struct("AccessKey")
            .field("account", account)
            .field("user", user)
            .field("active", active)
            .field("created_ms", created_ms)
            .field("first", first)
            .finish_non_exhaustive()
    }
}

impl AccessKey {
    /// The account, which was checked before it was stored.
    pub fn account(&self) -> Account {
        self.account.parse().unwrap_or(Account::DEFAULT)
    }

    /// Whom the key names.
    pub fn principal(&self) -> Principal {
        match &self.user {
            None => Principal::Root { account: self.account(), verified: true },
            Some(name) => Principal::User { account: self.account(), name: name.clone() },
        }
    }
}

/// Whom temporary credentials (`ASIA…`) name. Their secret and token are derived from the key id, so no row holds them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Twelve digits.
    pub account: String,
    /// Who speaks.
    pub speaker: Speaker,
    /// Signing clock.
    pub expires_ms: i64,
    /// When they were issued: `aws:TokenIssueTime`. Signing clock.
    #[serde(default)]
    pub issued_ms: i64,
    /// Session policies: JSON texts. They limit what the role allows.
    #[serde(default)]
    pub policies: Vec<String>,
    /// ARNs of managed session policies.
    #[serde(default)]
    pub policy_arns: Vec<String>,
    /// Session tags, which go before the role's own: `aws:PrincipalTag/…`.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Keys of the session tags that sessions begun with this one have too.
    #[serde(default)]
    pub transitive: BTreeSet<String>,
    /// Who is behind it, `aws:SourceIdentity`: never changed in a chain of sessions.
    #[serde(default)]
    pub source_identity: Option<String>,
    /// The unique id of the role or user when it began: one made later under the same name is another. None of root, and
    /// of a role that nobody made.
    #[serde(default)]
    pub holder: Option<String>,
    /// Whoever began it proved nothing, or began it with such a session: it ends when somebody makes keys for the account.
    #[serde(default)]
    pub unproven: bool,
}

/// The three kinds of principals that temporary credentials can name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Speaker {
    /// The account's root (GetSessionToken by the root key).
    Root,
    /// A user (GetSessionToken).
    User(String),
    /// A role session (AssumeRole, and every function).
    Role {
        /// The role's name.
        role: String,
        /// The session's name.
        session: String,
    },
}

impl Session {
    /// A session that nothing limits and that has no tags.
    pub fn new(account: Account, speaker: Speaker, issued_ms: i64, expires_ms: i64) -> Self {
        Self {
            account: account.to_string(),
            speaker,
            expires_ms,
            issued_ms,
            policies: Vec::new(),
            policy_arns: Vec::new(),
            tags: BTreeMap::new(),
            transitive: BTreeSet::new(),
            source_identity: None,
            holder: None,
            unproven: false,
        }
    }

    /// Whom the credentials name.
    pub fn principal(&self) -> Principal {
        let account = self.account();
        match &self.speaker {
            Speaker::Root => Principal::Root { account, verified: !self.unproven },
            Speaker::User(name) => Principal::User { account, name: name.clone() },
            Speaker::Role { role, session } => {
                Principal::Session { account, role: role.clone(), session: session.clone() }
            }
        }
    }

    /// The account, which was checked before it was stored.
    pub fn account(&self) -> Account {
        self.account.parse().unwrap_or(Account::DEFAULT)
    }

    /// The tags that sessions begun with this one have too.
    pub(crate) fn handed_on(&self) -> impl Iterator<Item = (&String, &String)> {
        self.tags.iter().filter(|(key, _)| self.transitive.contains(*key))
    }

    /// When they end.
    pub fn expires(&self) -> Timestamp {
        Timestamp(self.expires_ms)
    }
}

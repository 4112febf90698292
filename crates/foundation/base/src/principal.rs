use crate::Account;

/// Who makes a call: what IAM calls the principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// Nobody: no signature. Only resource policies can allow it anything.
    Anonymous,
    /// The account's root, or an unknown key accepted on a loopback listener (`verified` is then false).
    Root {
        /// The account.
        account: Account,
        /// Whether a signature by a known key proved it.
        verified: bool,
    },
    /// An IAM user.
    User {
        /// The account.
        account: Account,
        /// The user's name.
        name: String,
    },
    /// A role session: what a function's own credentials name.
    Session {
        /// The account.
        account: Account,
        /// The role's name.
        role: String,
        /// The session's name; for a function the function's name.
        session: String,
    },
    /// A service of the platform that acts for an account, checked against the target's resource policy.
    Service {
        /// For example `s3.amazonaws.com`.
        name: &'static str,
        /// On whose resource's behalf: `aws:SourceArn`.
        source_arn: String,
        /// `aws:SourceAccount`.
        source_account: Account,
    },
}

impl Principal {
    /// The account in which the call is made; anonymous callers have the default one.
    pub fn account(&self) -> Account {
        match self {
            Self::Anonymous => Account::DEFAULT,
            Self::Root { account, .. } | Self::User { account, .. } | Self::Session { account, .. } => *account,
            Self::Service { source_account, .. } => *source_account,
        }
    }

    /// The ARN that GetCallerIdentity and policies name; a service's is its host name.
    pub fn arn(&self) -> String {
        match self {
            Self::Anonymous => "*".into(),
            Self::Root { account, .. } => format!("arn:aws:iam::{account}:root"),
            Self::User { account, name } => format!("arn:aws:iam::{account}:user/{name}"),
            Self::Session { account, role, session } => format!("arn:aws:sts::{account}:assumed-role/{role}/{session}"),
            Self::Service { name, .. } => (*name).into(),
        }
    }
}

//! The `Principal` and `NotPrincipal` elements.
//!
//! Source: IAM User Guide, "AWS JSON policy elements: Principal" and "… NotPrincipal".

use base::Account;

use super::document::Patterns;

/// One principal that a policy names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// `*`
    Everyone,
    /// An account, by number or by the ARN of its root: it stands for all who act in it.
    Account(String),
    /// A user, a role, or a role session.
    Arn(String),
    /// A service, for example `lambda.amazonaws.com`.
    Service(String),
    /// A federated or canonical user: none of them calls here.
    Other(String),
}

/// Who asks, as policies see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Which kind.
    pub kind: Kind,
    /// Whose; for a service the account it acts for.
    pub account: Account,
    /// The ARN of the user or of the role session, paths included; a service's host name.
    pub arn: String,
    /// A role session: the role's ARN.
    pub role_arn: Option<String>,
}

/// The kinds of callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nobody signed.
    Anonymous,
    /// An account's root.
    Root,
    /// An IAM user.
    User,
    /// A role session.
    Role,
    /// A service.
    Service,
}

/// How closely a policy names the caller: what else still limits what it grants follows from this.
/// Source: IAM User Guide, "How AWS enforcement code logic evaluates requests to allow or deny access".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// By its account: the account's own policies decide.
    Account,
    /// By its role: permissions boundary and session policies still limit it.
    Role,
    /// Itself, or everyone.
    Direct,
}

impl Who {
    fn reach(&self, caller: &Caller) -> Option<Reach> {
        let has_account = matches!(caller.kind, Kind::Root | Kind::User | Kind::Role);
        match self {
            Self::Everyone => Some(Reach::Direct),
            Self::Account(number) if has_account && number == caller.account.as_str() => {
                Some(if caller.kind == Kind::Root { Reach::Direct } else { Reach::Account })
            }
            Self::Arn(arn) if has_account && *arn == caller.arn => Some(Reach::Direct),
            Self::Arn(arn) if caller.role_arn.as_ref() == Some(arn) => Some(Reach::Role),
            Self::Service(name) if caller.kind == Kind::Service && is_service(name, &caller.arn) => Some(Reach::Direct),
            _ => None,
        }
    }

    /// Whether it is this one of the names the caller goes by.
    fn names(&self, name: &str) -> bool {
        match self {
            Self::Everyone => true,
            Self::Account(one) | Self::Arn(one) | Self::Service(one) => one == name,
            Self::Other(_) => false,
        }
    }
}

/// Whether a policy's name of a service is this one. Some services also go by a name with their region, and documents of
/// CloudWatch Logs use either: `logs.amazonaws.com`, `logs.us-east-1.amazonaws.com`.
fn is_service(name: &str, service: &str) -> bool {
    let without_region = || {
        let (first, rest) = name.split_once('.')?;
        let (_, domain) = rest.split_once('.')?;
        let (own, own_domain) = service.split_once('.')?;
        Some(first == own && domain == own_domain)
    };
    name == service || service == "logs.amazonaws.com" && without_region() == Some(true)
}

/// How closely a list of principals includes the caller, for a statement that allows.
pub(super) fn allows(list: &Patterns<Who>, caller: &Caller) -> Option<Reach> {
    if list.negated {
        let listed = list.any.iter().any(|who| who.reach(caller).is_some());
        return (!listed).then_some(Reach::Direct);
    }
    list.any.iter().filter_map(|who| who.reach(caller)).max()
}

/// Whether a list of principals includes the caller, for a statement that denies. `NotPrincipal` spares a caller only
/// if every name it goes by is listed: account, role, and session or user; and nobody with a permissions boundary.
pub(super) fn denies(list: &Patterns<Who>, caller: &Caller, bounded: bool) -> bool {
    if !list.negated {
        return list.any.iter().any(|who| who.reach(caller).is_some());
    }
    let has_account = matches!(caller.kind, Kind::Root | Kind::User | Kind::Role);
    let account = has_account.then(|| caller.account.as_str());
    let itself = (caller.kind != Kind::Root).then_some(caller.arn.as_str());
    let mut names = [account, caller.role_arn.as_deref(), itself].into_iter().flatten();
    bounded || !names.all(|name| list.any.iter().any(|who| who.names(name)))
}

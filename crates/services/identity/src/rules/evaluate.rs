//! Whether a request is allowed, by all the policies that speak of it.
//!
//! Source: IAM User Guide, "Policy evaluation logic" with its pages on single accounts and across accounts. An explicit
//! deny anywhere wins. A resource's policy alone suffices within its account if it names the caller itself; one that
//! names the role is still limited by the permissions boundary and session policies; one that names the account hands
//! the decision to the account's own policies. Across accounts both sides must allow.

use std::sync::Arc;

use base::Account;

use super::context::Context;
use super::document::{Document, Statement};
use super::principal::{self, Caller, Kind, Reach};

/// Which set of policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// What the user, its groups or the role may do.
    Identity,
    /// The permissions boundary.
    Boundary,
    /// The policies given when the session began.
    Session,
    /// The resource's policy.
    Resource,
    /// A role's trust policy.
    Trust,
}

impl Layer {
    /// AWS's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Identity => "identity-based policy",
            Self::Boundary => "permissions boundary",
            Self::Session => "session policy",
            Self::Resource => "resource-based policy",
            Self::Trust => "role trust policy",
        }
    }
}

/// A policy and the name under which people know it.
#[derive(Debug, Clone)]
pub struct Named {
    /// A managed policy's ARN, or an inline policy's name.
    pub name: String,
    /// What it says.
    pub document: Arc<Document>,
}

impl Named {
    /// Whether any statement looks at the request's condition keys.
    pub fn looks_at_request(&self) -> bool {
        self.document.looks_at_request()
    }
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// The action, for example `lambda:InvokeFunction`.
    pub action: &'a str,
    /// The resource's ARN, or `*`.
    pub resource: &'a str,
    /// Whose the resource is; none when it belongs to no account other than the caller's.
    pub owner: Option<Account>,
    /// The condition keys.
    pub context: &'a Context,
}

/// The policies that apply.
#[derive(Debug, Clone, Copy, Default)]
pub struct Applicable<'a> {
    /// Of the user, its groups, or the role.
    pub identity: &'a [Named],
    /// The boundary, if one is set: what it does not allow is denied.
    pub boundary: Option<&'a [Named]>,
    /// Session policies, if any were given.
    pub session: Option<&'a [Named]>,
    /// The resource's policy, if it has one.
    pub resource: Option<&'a Named>,
    /// The resource's policy is a trust policy: it must allow, in the account of the role too.
    pub trust: bool,
}

/// A statement that matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// Where it stands.
    pub layer: Layer,
    /// Its policy's name.
    pub policy: String,
    /// Its `Sid`, or its place as `#1`.
    pub statement: String,
    /// Whether it allows.
    pub allow: bool,
}

/// What the policies say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Allowed, by this set.
    Allowed(Layer),
    /// Allowed without a policy: the account's root.
    Root,
    /// Explicitly denied, in this set.
    Denied(Layer),
    /// Nothing allows it in this set.
    Missing(Layer),
}

/// The outcome with its grounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What holds.
    pub outcome: Outcome,
    /// The statements that matched, in order of their policies.
    pub matched: Vec<Matched>,
    /// What each set of policies says for itself.
    pub layers: Vec<(Layer, Side)>,
}

/// What one set of policies says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// A statement denies.
    Denies,
    /// A statement allows and none denies.
    Allows,
    /// No statement speaks of it.
    Silent,
}

impl Verdict {
    /// Whether the request passes.
    pub fn is_allowed(&self) -> bool {
        matches!(self.outcome, Outcome::Allowed(_) | Outcome::Root)
    }

    /// Whether the trust policy, if there was one, lets the caller in.
    pub fn trusts(&self) -> bool {
        self.side(Layer::Trust) == Some(Side::Allows)
    }

    fn side(&self, layer: Layer) -> Option<Side> {
        self.layers.iter().find(|(one, _)| *one == layer).map(|(_, side)| *side)
    }
}

/// Asks the policies.
pub fn evaluate(question: &Question<'_>, policies: &Applicable<'_>) -> Verdict {
    let mut verdict = Verdict { outcome: Outcome::Root, matched: Vec::new(), layers: Vec::new() };
    let bounded = policies.boundary.is_some();
    gather(&mut verdict, Layer::Identity, policies.identity, |statement| {
        statement.principals.is_none() && applies(statement, question)
    });
    for (layer, set) in [(Layer::Boundary, policies.boundary), (Layer::Session, policies.session)] {
        if let Some(set) = set {
            gather(&mut verdict, layer, set, |statement| {
                statement.principals.is_none() && applies(statement, question)
            });
        }
    }
    let gate = if policies.trust { Layer::Trust } else { Layer::Resource };
    let mut reach = None;
    if let Some(resource) = policies.resource {
        gather(&mut verdict, gate, std::slice::from_ref(resource), |statement| {
            let Some(list) = &statement.principals else { return false };
            if !applies(statement, question) {
                return false;
            }
            if !statement.allow {
                return principal::denies(list, question.caller, bounded);
            }
            let found = principal::allows(list, question.caller);
            reach = reach.max(found);
            found.is_some()
        });
    }
    let denied = verdict.layers.iter().find(|(_, side)| *side == Side::Denies);
    verdict.outcome = match denied {
        Some((layer, _)) => Outcome::Denied(*layer),
        None => decide(question, policies, &verdict, reach, gate),
    };
    verdict
}

/// The outcome when no statement denies.
fn decide(
    question: &Question<'_>,
    policies: &Applicable<'_>,
    verdict: &Verdict,
    reach: Option<Reach>,
    gate: Layer,
) -> Outcome {
    let caller = question.caller;
    let by_resource = match reach {
        Some(_) => Outcome::Allowed(gate),
        None => Outcome::Missing(gate),
    };
    if matches!(caller.kind, Kind::Anonymous | Kind::Service) {
        return by_resource;
    }
    let limits = || {
        [Layer::Boundary, Layer::Session]
            .into_iter()
            .find(|layer| verdict.side(*layer).is_some_and(|side| side != Side::Allows))
    };
    // What the caller's own account grants; root needs no policy for it.
    let own = || match verdict.side(Layer::Identity) {
        _ if caller.kind == Kind::Root => limits().map_or(Outcome::Root, Outcome::Missing),
        Some(Side::Allows) => limits().map_or(Outcome::Allowed(Layer::Identity), Outcome::Missing),
        _ => Outcome::Missing(Layer::Identity),
    };
    let is_foreign = question.owner.is_some_and(|owner| owner != caller.account);
    if is_foreign {
        return match own() {
            Outcome::Allowed(_) | Outcome::Root => by_resource,
            missing => missing,
        };
    }
    match reach {
        Some(Reach::Direct) => by_resource,
        Some(Reach::Role) => limits().map_or(by_resource, Outcome::Missing),
        None if policies.trust => by_resource,
        Some(Reach::Account) | None => own(),
    }
}

fn gather(verdict: &mut Verdict, layer: Layer, policies: &[Named], mut speaks: impl FnMut(&Statement) -> bool) {
    let mut side = Side::Silent;
    for policy in policies {
        for statement in &policy.document.statements {
            if !speaks(statement) {
                continue;
            }
            if !statement.allow {
                side = Side::Denies;
            } else if side == Side::Silent {
                side = Side::Allows;
            }
            verdict.matched.push(Matched {
                layer,
                policy: policy.name.clone(),
                statement: statement.name.clone(),
                allow: statement.allow,
            });
        }
    }
    verdict.layers.push((layer, side));
}

fn applies(statement: &Statement, question: &Question<'_>) -> bool {
    names_action(statement, question)
        && statement.resources.matches(|pattern| pattern.matches(question.resource, question.context))
        && statement.conditions.iter().all(|condition| condition.holds(question.context))
}

fn names_action(statement: &Statement, question: &Question<'_>) -> bool {
    let action = question.action.to_ascii_lowercase();
    statement.actions.matches(|pattern| pattern.matches(&action, question.context))
}

/// The condition keys that statements about this action and resource ask for.
pub fn wanted_keys(question: &Question<'_>, policies: &[Named]) -> Vec<String> {
    let statements = policies.iter().flat_map(|policy| &policy.document.statements);
    let speaking = statements.filter(|one| {
        names_action(one, question)
            && one.resources.matches(|pattern| pattern.matches(question.resource, question.context))
    });
    speaking.flat_map(|one| &one.conditions).map(|condition| condition.key().to_owned()).collect()
}

/// A statement that would have allowed the request but for one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Near {
    /// Its policy's name.
    pub policy: String,
    /// Its `Sid`, or its place as `#1`.
    pub statement: String,
    /// What stands in the way: `its Resource`, or a condition by its name.
    pub but: String,
}

/// The statements that allow the action, but not for this resource or not under these conditions: what a person who was
/// denied wants to see.
pub fn nearly(question: &Question<'_>, policies: &[Named]) -> Vec<Near> {
    let mut near = Vec::new();
    for policy in policies {
        for statement in policy.document.statements.iter().filter(|one| one.allow && names_action(one, question)) {
            let fits = statement.resources.matches(|pattern| pattern.matches(question.resource, question.context));
            let failed = statement.conditions.iter().find(|condition| !condition.holds(question.context));
            let but = match (fits, failed) {
                (false, _) => "its Resource".to_owned(),
                (true, Some(condition)) => format!("its condition {}", condition.name),
                (true, None) => continue,
            };
            near.push(Near { policy: policy.name.clone(), statement: statement.name.clone(), but });
        }
    }
    near
}

#[cfg(test)]
#[path = "evaluate_tests.rs"]
mod tests;

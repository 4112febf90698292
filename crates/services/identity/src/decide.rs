//! The port [`Policies`]: gathers what applies to a request, and asks the rules.

use std::sync::Arc;

use base::{Account, Principal};
use door::{Ask, Decision, Denial, Policies};

use crate::engine::Identity;
use crate::policies::Entity;
use crate::rules::context::Context;
use crate::rules::document::Purpose;
use crate::rules::evaluate::{Applicable, Layer, Named, Outcome, Question, Side, Verdict, evaluate, nearly};
use crate::rules::principal::{Caller, Kind};
use crate::rules::words;
use crate::state;
use crate::types::Session;

/// Everything the policies must know of a principal.
pub(crate) struct Known {
    pub(crate) caller: Caller,
    pub(crate) entity: Arc<Entity>,
    /// Session policies, if any were given.
    pub(crate) session: Option<Vec<Named>>,
    /// The name the principal has in refusals.
    pub(crate) shown: String,
}

impl Policies for Identity {
    fn trust_of(&self, role: &str) -> Option<Arc<str>> {
        let account = owner(role)?;
        let name = role.rsplit('/').next()?;
        let found = self.role(account, name).ok()?;
        (found.arn(account) == role).then(|| found.trust.into())
    }

    fn decide(&self, ask: &Ask<'_>) -> Decision {
        let of = ask.owner.or_else(|| owner(ask.resource));
        let others = of.is_some_and(|of| self.is_claimed(of));
        let unproven = match ask.principal {
            Principal::Root { account, verified: false } => !self.loopback || self.is_claimed(*account) || others,
            // Where nobody has a key, whoever began a session or gave a function its role proved nothing either.
            Principal::Session { account, .. } => others && !self.is_claimed(*account),
            _ => false,
        };
        if unproven {
            let message =
                words::refusal(&ask.principal.arn(), ask.action, ask.resource, Outcome::Missing(Layer::Identity));
            return Decision::Denied(Denial {
                message: message.unwrap_or_default(),
                because: "nobody proved who the caller is, and the account has keys".into(),
                // Trust is kept in every mode, and here nobody has proved who asks for it.
                always: ask.trust,
            });
        }
        if let Some(denial) = self.passes_another_role(ask) {
            return Decision::Denied(denial);
        }
        if self.is_believed(ask) {
            return Decision::Allowed("an unverified key on a loopback listener".into());
        }
        let session = ask.key_id.and_then(|id| self.session_of(id));
        let known = self.known(ask.principal, session.as_deref());
        let purpose = if ask.trust { Purpose::Trust } else { Purpose::Resource };
        let resource = ask.policy.map(|text| self.compiled.document(text, purpose));
        let resource = match resource.transpose() {
            Ok(document) => document.map(|document| Named { name: "the resource's policy".into(), document }),
            Err(fault) => {
                tracing::warn!(resource = ask.resource, %fault, "a resource's policy does not read");
                None
            }
        };
        let sets = [&known.entity.policies[..], known.entity.boundary.as_deref().unwrap_or_default()];
        let given = [known.session.as_deref().unwrap_or_default(), resource.as_slice()];
        let mut context = Context::default();
        // Most policies look at action and resource alone, and every call comes by here.
        if sets.iter().chain(&given).any(|set| set.iter().any(Named::looks_at_request)) {
            for (key, values) in (ask.keys)() {
                context.set_all(&key, values);
            }
            self.describe(ask.principal, &known, session.as_deref(), &mut context);
        }
        let question = Question {
            caller: &known.caller,
            action: ask.action,
            resource: ask.resource,
            owner: ask.owner.or_else(|| owner(ask.resource)),
            context: &context,
        };
        let policies = Applicable {
            identity: &known.entity.policies,
            boundary: known.entity.boundary.as_deref(),
            session: known.session.as_deref(),
            resource: resource.as_ref(),
            trust: ask.trust,
        };
        let verdict = evaluate(&question, &policies);
        match words::refusal(&known.shown, ask.action, ask.resource, verdict.outcome) {
            None => Decision::Allowed(grounds(&verdict, &question, &policies)),
            Some(message) => Decision::Denied(Denial {
                message,
                because: grounds(&verdict, &question, &policies),
                always: ask.trust && !verdict.trusts(),
            }),
        }
    }
}

/// Whose a resource is, by its ARN.
pub(crate) fn owner(resource: &str) -> Option<Account> {
    // Taken apart in place: every call comes by here.
    let mut parts = resource.splitn(6, ':');
    let (arn, partition, service, _, account) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_arn = arn == "arn" && !partition.is_empty() && !service.is_empty() && !parts.next()?.is_empty();
    account.parse().ok().filter(|_| is_arn)
}

impl Identity {
    /// A function runs as the role its ARN's last part names: the ARN that policies judge must be that role's own, or a
    /// spelling with another path or case would pass them.
    fn passes_another_role(&self, ask: &Ask<'_>) -> Option<Denial> {
        if ask.action != "iam:PassRole" {
            return None;
        }
        let name = ask.resource.rsplit('/').next().unwrap_or_default();
        let own = self.entity(owner(ask.resource)?, state::Kind::Role, name)?.arn.clone();
        let because = format!("the role {name} is {own}, not {}", ask.resource);
        (own != ask.resource).then(|| Denial {
            message: format!("{} is not the ARN of a role; the role {name} has another path or spelling", ask.resource),
            because,
            always: true,
        })
    }

    /// Whether the caller proved nothing and may do anything nevertheless: nobody has a key of its account, nor of the
    /// account that owns the resource. Trust policies hold for it too.
    fn is_believed(&self, ask: &Ask<'_>) -> bool {
        let is_unproven = matches!(ask.principal, Principal::Root { verified: false, .. });
        let owner = ask.owner.or_else(|| owner(ask.resource));
        is_unproven && !ask.trust && !owner.is_some_and(|owner| self.is_claimed(owner))
    }

    /// Who a principal is to policies, and which it has. A role or user that nobody made has none.
    pub(crate) fn known(&self, principal: &Principal, session: Option<&Session>) -> Known {
        let account = principal.account();
        let (kind, entity) = match principal {
            Principal::Anonymous => (Kind::Anonymous, None),
            Principal::Root { .. } => (Kind::Root, None),
            Principal::User { name, .. } => (Kind::User, self.entity(account, state::Kind::User, name)),
            Principal::Session { role, .. } => (Kind::Role, self.entity(account, state::Kind::Role, role)),
            Principal::Service { .. } => (Kind::Service, None),
        };
        let arn = match (&entity, kind) {
            (Some(user), Kind::User) => user.arn.clone(),
            _ => principal.arn(),
        };
        let role_arn = match principal {
            Principal::Session { role, .. } => Some(
                entity.as_ref().map_or_else(|| format!("arn:aws:iam::{account}:role/{role}"), |role| role.arn.clone()),
            ),
            _ => None,
        };
        let shown = if kind == Kind::Anonymous { "anonymous".to_owned() } else { arn.clone() };
        let session = session.filter(|one| !one.policies.is_empty() || !one.policy_arns.is_empty()).map(|one| {
            let inline = one.policies.iter().filter_map(|text| self.named("the session's policy", text));
            inline.chain(one.policy_arns.iter().filter_map(|arn| self.managed(account, arn))).collect()
        });
        Known { caller: Caller { kind, account, arn, role_arn }, entity: entity.unwrap_or_default(), session, shown }
    }

    /// The condition keys that follow from who calls.
    /// Source: IAM User Guide, "AWS global condition context keys", properties of the principal.
    pub(crate) fn describe(
        &self,
        principal: &Principal,
        known: &Known,
        session: Option<&Session>,
        context: &mut Context,
    ) {
        let Known { caller, entity, .. } = known;
        let kind = match caller.kind {
            Kind::Anonymous => "Anonymous",
            Kind::Root => "Account",
            Kind::User => "User",
            Kind::Role => "AssumedRole",
            // A service is no principal of an account.
            Kind::Service => return,
        };
        context.set("aws:PrincipalType", kind);
        if caller.kind == Kind::Anonymous {
            context.set("aws:userid", "anonymous");
            return;
        }
        // Of a role session it is the role's ARN.
        context.set("aws:PrincipalArn", caller.role_arn.as_ref().unwrap_or(&caller.arn));
        context.set("aws:PrincipalAccount", caller.account.as_str());
        match principal {
            Principal::User { name, .. } => {
                context.set("aws:username", name);
                context.set("aws:userid", &entity.id);
            }
            Principal::Session { account, role, session } => {
                let id = if entity.id.is_empty() { self.deriver.role_id(*account, role) } else { entity.id.clone() };
                context.set("aws:userid", format!("{id}:{session}"));
            }
            _ => context.set("aws:userid", caller.account.as_str()),
        }
        let session_tags = session.into_iter().flat_map(|session| &session.tags);
        for (key, value) in entity.tags.iter().chain(session_tags) {
            context.set(&format!("aws:PrincipalTag/{key}"), value);
        }
        if let Some(session) = session {
            if let Some(source) = &session.source_identity {
                context.set("aws:SourceIdentity", source);
            }
            // Temporary credentials say whether a second factor was given; none ever is.
            context.set("aws:MultiFactorAuthPresent", "false");
            let (year, month, day, hour, minute, second, _) = base::Timestamp(session.issued_ms).civil();
            context
                .set("aws:TokenIssueTime", format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"));
        }
    }
}

/// Which statements made the outcome, or what is missing, in a sentence for the account's own people.
pub(crate) fn grounds(verdict: &Verdict, question: &Question<'_>, policies: &Applicable<'_>) -> String {
    let by = |layer: Layer, allow: bool| {
        let one = verdict.matched.iter().find(|matched| matched.layer == layer && matched.allow == allow);
        one.map_or_else(String::new, |one| format!("statement {} of {}", one.statement, one.policy))
    };
    let layer = match verdict.outcome {
        Outcome::Root => return "the account's root".into(),
        Outcome::Allowed(layer) => return format!("{} ({})", by(layer, true), layer.word()),
        Outcome::Denied(layer) => return format!("{} ({}) denies it", by(layer, false), layer.word()),
        Outcome::Missing(layer) => layer,
    };
    let set = match layer {
        Layer::Identity => policies.identity,
        Layer::Boundary => policies.boundary.unwrap_or_default(),
        Layer::Session => policies.session.unwrap_or_default(),
        Layer::Resource | Layer::Trust => policies.resource.map_or(&[][..], std::slice::from_ref),
    };
    let asked = match set {
        [] if layer == Layer::Identity => "no policy is attached".to_owned(),
        [] => format!("there is no {}", layer.word()),
        set => {
            let names: Vec<&str> = set.iter().map(|policy| policy.name.as_str()).collect();
            format!("no statement of {} allows it", names.join(", "))
        }
    };
    let near = nearly(question, set);
    let near: Vec<String> = near
        .iter()
        .map(|one| format!("statement {} of {} would but for {}", one.statement, one.policy, one.but))
        .collect();
    let granted = verdict
        .layers
        .iter()
        .filter(|(_, side)| *side == Side::Allows)
        .map(|(layer, _)| format!("the {} allows it", layer.word()));
    std::iter::once(asked).chain(near).chain(granted).collect::<Vec<_>>().join("; ")
}

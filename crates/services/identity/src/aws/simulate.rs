//! SimulatePrincipalPolicy and SimulateCustomPolicy: what policies would say, without anything happening.

use std::collections::BTreeSet;
use std::sync::Arc;

use base::{Account, Fault};
use door::{Answer, Body, Context as Call, Handle};
use model::iam::{self, ops};

use super::page::page;
use crate::Identity;
use crate::explain::{Subjects, principal_of};
use crate::faults;
use crate::rules::context::Context;
use crate::rules::document::Purpose;
use crate::rules::evaluate::{Applicable, Layer, Named, Outcome, Question, Side, Verdict, evaluate, wanted_keys};
use crate::rules::principal::{Caller, Kind};

/// Everything a simulation asks the rules.
struct Simulation {
    caller: Caller,
    identity: Vec<Named>,
    boundary: Option<Vec<Named>>,
    resource: Option<Named>,
    owner: Option<Account>,
    context: Context,
    actions: Vec<String>,
    resources: Vec<String>,
}

/// The members that both operations share.
struct Asked {
    policies: Vec<String>,
    boundaries: Vec<String>,
    actions: Vec<String>,
    resources: Vec<String>,
    resource_policy: Option<String>,
    owner: Option<String>,
    caller: Option<String>,
    entries: Vec<iam::ContextEntry>,
}

macro_rules! asked {
    ($input:ident) => {
        Asked {
            policies: $input.policy_input_list.unwrap_or_default(),
            boundaries: $input.permissions_boundary_policy_input_list.unwrap_or_default(),
            actions: $input.action_names.unwrap_or_default(),
            resources: $input.resource_arns.unwrap_or_default(),
            resource_policy: $input.resource_policy,
            owner: $input.resource_owner,
            caller: $input.caller_arn,
            entries: $input.context_entries.unwrap_or_default(),
        }
    };
}

impl Handle<ops::SimulatePrincipalPolicy> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Call,
        input: iam::SimulatePrincipalPolicyRequest,
        _: Body,
    ) -> Result<Answer<iam::SimulatePolicyResponse>, Fault> {
        refuse("SimulatePrincipalPolicy", "PolicyExclusionList", input.policy_exclusion_list.is_some())?;
        refuse("SimulatePrincipalPolicy", "ResourceHandlingOption", input.resource_handling_option.is_some())?;
        let source = input.policy_source_arn.unwrap_or_default();
        let subjects = self.subjects(context.account, &source)?;
        let simulation = self.simulation(context.account, subjects, asked!(input))?;
        Ok(answer(&simulation, input.marker.as_deref(), input.max_items)?.into())
    }
}

impl Handle<ops::SimulateCustomPolicy> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Call,
        input: iam::SimulateCustomPolicyRequest,
        _: Body,
    ) -> Result<Answer<iam::SimulatePolicyResponse>, Fault> {
        let organization = input.ordered_organization_policy_input_list.is_some();
        refuse("SimulateCustomPolicy", "OrderedOrganizationPolicyInputList", organization)?;
        refuse("SimulateCustomPolicy", "ResourceHandlingOption", input.resource_handling_option.is_some())?;
        // Nobody in particular, in the caller's account.
        let caller = Caller { kind: Kind::User, account: context.account, arn: String::new(), role_arn: None };
        let subjects = Subjects { caller, policies: Vec::new(), boundary: None, context: Context::default() };
        let simulation = self.simulation(context.account, subjects, asked!(input))?;
        Ok(answer(&simulation, input.marker.as_deref(), input.max_items)?.into())
    }
}

fn refuse(operation: &str, member: &str, given: bool) -> Result<(), Fault> {
    if given { Err(Fault::not_implemented(format_args!("{member} of iam:{operation}"))) } else { Ok(()) }
}

impl Identity {
    fn simulation(&self, account: Account, subjects: Subjects, asked: Asked) -> Result<Simulation, Fault> {
        let Subjects { mut caller, mut policies, mut boundary, mut context } = subjects;
        let read = |name: &str, text: &str, purpose| {
            let document = self.compiled.document(text, purpose);
            let invalid = |fault: Fault| iam::invalid_input_exception(fault.message);
            Ok::<_, Fault>(Named { name: name.to_owned(), document: document.map_err(invalid)? })
        };
        for (at, text) in asked.policies.iter().enumerate() {
            policies.push(read(&format!("PolicyInputList.{}", at + 1), text, Purpose::Identity)?);
        }
        if !asked.boundaries.is_empty() {
            let named = asked.boundaries.iter().enumerate().map(|(at, text)| {
                read(&format!("PermissionsBoundaryPolicyInputList.{}", at + 1), text, Purpose::Identity)
            });
            boundary = Some(named.collect::<Result<_, _>>()?);
        }
        let resource =
            asked.resource_policy.map(|text| read("ResourcePolicy", &text, Purpose::Resource)).transpose()?;
        if let Some(arn) = asked.caller {
            // Nothing is said of another account's users and roles.
            let own = principal_of(&arn).filter(|principal| principal.account() == account);
            let principal = own.ok_or_else(|| faults::invalid(format!("{arn} is invalid")))?;
            let known = self.known(&principal, None);
            self.describe(&principal, &known, None, &mut context);
            caller = known.caller;
        }
        for entry in asked.entries {
            let (name, values) = (entry.context_key_name, entry.context_key_values);
            context.set_all(&name.unwrap_or_default(), values.unwrap_or_default());
        }
        let owner = asked.owner.and_then(|arn| crate::decide::owner(&arn));
        let resources = if asked.resources.is_empty() { vec!["*".to_owned()] } else { asked.resources };
        Ok(Simulation {
            caller,
            identity: policies,
            boundary,
            resource,
            owner,
            context,
            actions: asked.actions,
            resources,
        })
    }
}

/// One result for each action and resource, a page of them.
fn answer(
    simulation: &Simulation,
    marker: Option<&str>,
    max_items: Option<i64>,
) -> Result<iam::SimulatePolicyResponse, Fault> {
    let pairs = simulation.actions.iter().flat_map(|action| simulation.resources.iter().map(move |one| (action, one)));
    let pairs: Vec<_> = pairs.enumerate().collect();
    let page = page(pairs, marker, max_items, |(at, _)| format!("{at:010}"))?;
    let results = page.items.iter().map(|(_, (action, resource))| result(simulation, action, resource));
    Ok(iam::SimulatePolicyResponse {
        evaluation_results: Some(results.collect()),
        is_truncated: Some(page.marker.is_some()),
        marker: page.marker,
    })
}

fn result(simulation: &Simulation, action: &str, resource: &str) -> iam::EvaluationResult {
    let question = Question {
        caller: &simulation.caller,
        action,
        resource,
        owner: simulation.owner.or_else(|| crate::decide::owner(resource)),
        context: &simulation.context,
    };
    let policies = Applicable {
        identity: &simulation.identity,
        boundary: simulation.boundary.as_deref(),
        session: None,
        resource: simulation.resource.as_ref(),
        trust: false,
    };
    let verdict = evaluate(&question, &policies);
    let bounded = simulation.boundary.is_some().then(|| iam::PermissionsBoundaryDecisionDetail {
        allowed_by_permissions_boundary: Some(verdict.layers.contains(&(Layer::Boundary, Side::Allows))),
    });
    let sets = [&simulation.identity[..], simulation.boundary.as_deref().unwrap_or_default()];
    let mut missing = BTreeSet::new();
    for set in sets {
        missing.extend(wanted_keys(&question, set).into_iter().filter(|key| simulation.context.get(key).is_none()));
    }
    iam::EvaluationResult {
        eval_action_name: Some(action.to_owned()),
        eval_resource_name: Some(resource.to_owned()),
        eval_decision: Some(decision(&verdict).to_owned()),
        matched_statements: Some(verdict.matched.iter().map(shown).collect()),
        missing_context_values: Some(missing.into_iter().collect()),
        permissions_boundary_decision_detail: bounded,
        ..Default::default()
    }
}

fn decision(verdict: &Verdict) -> &'static str {
    match verdict.outcome {
        Outcome::Allowed(_) | Outcome::Root => "allowed",
        Outcome::Denied(_) => "explicitDeny",
        Outcome::Missing(_) => "implicitDeny",
    }
}

fn shown(matched: &crate::rules::evaluate::Matched) -> iam::Statement {
    let managed = matched.policy.starts_with("arn:");
    let kind = match matched.layer {
        Layer::Resource | Layer::Trust => "resource",
        _ if matched.policy.starts_with("arn:aws:iam::aws:") => "aws-managed",
        _ if managed => "user-managed",
        _ => "none",
    };
    iam::Statement {
        source_policy_id: matched.policy.rsplit('/').next().map(str::to_owned),
        // AWS's list also tells inline policies of users, groups and roles apart, which one name does not.
        source_policy_type: Some(kind.to_owned()),
        start_position: None,
        end_position: None,
    }
}

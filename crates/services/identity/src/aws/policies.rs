//! Managed policies and their versions.

use std::sync::Arc;

use base::{Account, Fault};
use door::{Answer, Body, Context, Handle};
use model::iam::{self, ops};
use store::Batch;
use wire::Unit;

use super::page::page;
use super::{show, tags};
use crate::Identity;
use crate::engine::policy_name;
use crate::faults::{self, quota};
use crate::managed;
use crate::rules::credential;
use crate::rules::document::{Purpose, read};
use crate::state::{self, Kind, SPACE};
use crate::types::{Group, Policy, PolicyVersion, Role, User};

/// Source: IAM User Guide, "IAM and AWS STS quotas".
pub(super) const POLICIES_PER_ACCOUNT: usize = 1500;
pub(super) const POLICY_CHARS: usize = 6144;
pub(super) const VERSIONS: usize = 5;

/// Checks a document: its form, and its size without white space.
fn check(text: &str) -> Result<(), Fault> {
    read(text, Purpose::Identity)?;
    if text.chars().filter(|letter| !letter.is_whitespace()).count() > POLICY_CHARS {
        return Err(quota("PolicySize", POLICY_CHARS));
    }
    Ok(())
}

/// `v12` is 12; whatever is none of ours is no version.
fn number(version: &str) -> u32 {
    version.strip_prefix('v').and_then(|number| number.parse().ok()).unwrap_or(0)
}

impl Handle<ops::CreatePolicy> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::CreatePolicyRequest,
        _: Body,
    ) -> Result<Answer<iam::CreatePolicyResponse>, Fault> {
        let account = context.account;
        let document = input.policy_document.unwrap_or_default();
        check(&document)?;
        let now_ms = self.clocks.product().0 / 1000 * 1000;
        let policy = Policy {
            name: input.policy_name.unwrap_or_default(),
            path: input.path.unwrap_or_else(|| "/".into()),
            id: credential::unique_id("ANPA", &*self.rng),
            created_ms: now_ms,
            updated_ms: now_ms,
            description: input.description,
            tags: tags::given(input.tags)?,
            default_version: 1,
            next_version: 2,
            versions: vec![PolicyVersion { number: 1, document, created_ms: now_ms }],
            attachments: 0,
        };
        let taken = format!("A policy called {} already exists. Duplicate names are not allowed.", policy.name);
        self.make(account, &policy.name, &policy, ("PoliciesPerAccount", POLICIES_PER_ACCOUNT), taken).await?;
        Ok(iam::CreatePolicyResponse { policy: Some(show::policy(&policy, account, 0)) }.into())
    }
}

impl Handle<ops::GetPolicy> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::GetPolicyRequest,
        _: Body,
    ) -> Result<Answer<iam::GetPolicyResponse>, Fault> {
        let arn = input.policy_arn.unwrap_or_default();
        let used = self.uses(context.account)?;
        let policy = match managed::find(&arn) {
            Some(aws) => show::managed(aws, used.attached(&arn)),
            None => {
                let policy = self.policy(context.account, &arn)?.ok_or_else(|| faults::no_policy(&arn))?;
                show::policy(&policy, context.account, used.boundary(&arn))
            }
        };
        Ok(iam::GetPolicyResponse { policy: Some(policy) }.into())
    }
}

impl Handle<ops::DeletePolicy> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::DeletePolicyRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let arn = input.policy_arn.unwrap_or_default();
        self.change_policy(context.account, arn, |policy| {
            if policy.attachments > 0 {
                return Err(iam::delete_conflict_exception("Cannot delete a policy attached to entities."));
            }
            if policy.versions.len() > 1 {
                return Err(iam::delete_conflict_exception(
                    "This policy has more than one version. Before you delete a policy, you must delete the policy's \
                     versions. The default version is deleted with the policy.",
                ));
            }
            Ok((false, ()))
        })
        .await?;
        Ok(Unit.into())
    }
}

impl Handle<ops::ListPolicies> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::ListPoliciesRequest,
        _: Body,
    ) -> Result<Answer<iam::ListPoliciesResponse>, Fault> {
        let account = context.account;
        let scope = input.scope.as_deref().unwrap_or("All");
        let used = self.uses(account)?;
        let mut policies = Vec::new();
        if scope != "AWS" {
            state::each(&*self.kv, &state::prefix(account, Kind::Policy), |_, policy: Policy| {
                let boundaries = used.boundary(&policy.arn(account));
                policies.push(iam::Policy {
                    description: None,
                    tags: None,
                    ..show::policy(&policy, account, boundaries)
                });
            })?;
        }
        if scope != "Local" {
            policies.extend(managed::ALL.iter().map(|aws| show::managed(aws, used.attached(&aws.arn()))));
        }
        let prefix = input.path_prefix.unwrap_or_else(|| "/".into());
        let only_attached = input.only_attached.unwrap_or(false);
        let usage = input.policy_usage_filter;
        policies.retain(|policy| {
            let attached = policy.attachment_count.unwrap_or(0) > 0;
            let boundary = policy.permissions_boundary_usage_count.unwrap_or(0) > 0;
            policy.path.as_ref().is_some_and(|path| path.starts_with(&prefix))
                && (!only_attached || attached)
                && match usage.as_deref() {
                    Some("PermissionsPolicy") => attached,
                    Some("PermissionsBoundary") => boundary,
                    _ => true,
                }
        });
        let key = |policy: &iam::Policy| policy.arn.clone().unwrap_or_default();
        policies.sort_by_key(key);
        let page = page(policies, input.marker.as_deref(), input.max_items, key)?;
        let output = iam::ListPoliciesResponse {
            policies: Some(page.items),
            is_truncated: Some(page.marker.is_some()),
            marker: page.marker,
        };
        Ok(output.into())
    }
}

impl Handle<ops::CreatePolicyVersion> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::CreatePolicyVersionRequest,
        _: Body,
    ) -> Result<Answer<iam::CreatePolicyVersionResponse>, Fault> {
        let document = input.policy_document.unwrap_or_default();
        check(&document)?;
        let now_ms = self.clocks.product().0 / 1000 * 1000;
        let default = input.set_as_default.unwrap_or(false);
        let shown = self
            .change_policy(context.account, input.policy_arn.unwrap_or_default(), move |policy| {
                if policy.versions.len() >= VERSIONS {
                    return Err(iam::limit_exceeded_exception(
                        "A managed policy can have up to 5 versions. Before you create a new version, you must delete \
                         an existing version.",
                    ));
                }
                let number = policy.next_version;
                policy.next_version += 1;
                policy.versions.push(PolicyVersion { number, document: document.clone(), created_ms: now_ms });
                policy.updated_ms = now_ms;
                if default {
                    policy.default_version = number;
                }
                let shown = policy.versions.last().map(|version| show::version(version, policy));
                Ok((true, shown))
            })
            .await?;
        let policy_version = shown.map(|shown| iam::PolicyVersion { document: None, ..shown });
        Ok(iam::CreatePolicyVersionResponse { policy_version }.into())
    }
}

impl Handle<ops::GetPolicyVersion> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::GetPolicyVersionRequest,
        _: Body,
    ) -> Result<Answer<iam::GetPolicyVersionResponse>, Fault> {
        let (arn, id) = (input.policy_arn.unwrap_or_default(), input.version_id.unwrap_or_default());
        let missing = || faults::no_version(&arn, &id);
        let shown = match managed::find(&arn) {
            Some(aws) if id == "v1" => show::managed_version(aws),
            Some(_) => return Err(missing()),
            None => {
                let policy = self.policy(context.account, &arn)?.ok_or_else(missing)?;
                let version = policy.versions.iter().find(|version| version.number == number(&id));
                show::version(version.ok_or_else(missing)?, &policy)
            }
        };
        Ok(iam::GetPolicyVersionResponse { policy_version: Some(shown) }.into())
    }
}

impl Handle<ops::DeletePolicyVersion> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::DeletePolicyVersionRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let (arn, id) = (input.policy_arn.unwrap_or_default(), input.version_id.unwrap_or_default());
        self.change_policy(context.account, arn.clone(), move |policy| {
            if policy.default_version == number(&id) {
                return Err(iam::delete_conflict_exception("Cannot delete the default version of a policy."));
            }
            let before = policy.versions.len();
            policy.versions.retain(|version| version.number != number(&id));
            if policy.versions.len() == before { Err(faults::no_version(&arn, &id)) } else { Ok((true, ())) }
        })
        .await?;
        Ok(Unit.into())
    }
}

impl Handle<ops::ListPolicyVersions> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::ListPolicyVersionsRequest,
        _: Body,
    ) -> Result<Answer<iam::ListPolicyVersionsResponse>, Fault> {
        let arn = input.policy_arn.unwrap_or_default();
        let mut versions = match managed::find(&arn) {
            Some(aws) => vec![show::managed_version(aws)],
            None => {
                let policy = self.policy(context.account, &arn)?.ok_or_else(|| faults::no_policy(&arn))?;
                policy.versions.iter().rev().map(|version| show::version(version, &policy)).collect()
            }
        };
        for version in &mut versions {
            version.document = None;
        }
        // The newest first: the marker therefore counts down.
        let key = |version: &iam::PolicyVersion| {
            format!("{:010}", u32::MAX - number(version.version_id.as_deref().unwrap_or_default()))
        };
        let page = page(versions, input.marker.as_deref(), input.max_items, key)?;
        let output = iam::ListPolicyVersionsResponse {
            versions: Some(page.items),
            is_truncated: Some(page.marker.is_some()),
            marker: page.marker,
        };
        Ok(output.into())
    }
}

impl Handle<ops::SetDefaultPolicyVersion> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::SetDefaultPolicyVersionRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let (arn, id) = (input.policy_arn.unwrap_or_default(), input.version_id.unwrap_or_default());
        let now_ms = self.clocks.product().0 / 1000 * 1000;
        self.change_policy(context.account, arn.clone(), move |policy| {
            if !policy.versions.iter().any(|version| version.number == number(&id)) {
                return Err(faults::no_version(&arn, &id));
            }
            policy.default_version = number(&id);
            policy.updated_ms = now_ms;
            Ok((true, ()))
        })
        .await?;
        Ok(Unit.into())
    }
}

/// Where an account's roles, users and groups name policies.
struct Uses {
    attached: Vec<String>,
    boundaries: Vec<String>,
}

impl Uses {
    fn attached(&self, arn: &str) -> i64 {
        self.attached.iter().filter(|held| *held == arn).count() as i64
    }

    fn boundary(&self, arn: &str) -> i64 {
        self.boundaries.iter().filter(|held| *held == arn).count() as i64
    }
}

impl Identity {
    fn uses(&self, account: Account) -> Result<Uses, Fault> {
        let mut uses = Uses { attached: Vec::new(), boundaries: Vec::new() };
        state::each(&*self.kv, &state::prefix(account, Kind::Role), |_, role: Role| {
            uses.attached.extend(role.attached);
            uses.boundaries.extend(role.boundary);
        })?;
        state::each(&*self.kv, &state::prefix(account, Kind::User), |_, user: User| {
            uses.attached.extend(user.attached);
            uses.boundaries.extend(user.boundary);
        })?;
        state::each(&*self.kv, &state::prefix(account, Kind::Group), |_, group: Group| {
            uses.attached.extend(group.attached);
        })?;
        Ok(uses)
    }

    /// Changes a customer managed policy as a whole; `change` says whether it stays.
    async fn change_policy<T, F>(&self, account: Account, arn: String, mut change: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnMut(&mut Policy) -> Result<(bool, T), Fault> + Send + 'static,
    {
        if managed::find(&arn).is_some() {
            return Err(faults::denied(format!("The policy {arn} is AWS's own and cannot be changed.")));
        }
        let name = policy_name(account, &arn).ok_or_else(|| faults::no_policy(&arn))?;
        let row = state::row(account, Kind::Policy, name);
        self.transact(vec![row.clone()], move |rows| {
            let policy: Option<Policy> = rows.json(SPACE, &row)?;
            let mut policy =
                policy.filter(|policy| policy.arn(account) == arn).ok_or_else(|| faults::no_policy(&arn))?;
            let (stays, value) = change(&mut policy)?;
            let mut batch = Batch::new();
            if stays {
                batch.put_json(SPACE, row.clone(), &policy)?;
            } else {
                batch.delete(SPACE, row.clone());
            }
            Ok((batch, value))
        })
        .await
    }
}

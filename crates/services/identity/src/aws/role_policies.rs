//! A role's inline policies, and the managed ones attached to it.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::iam::{self, ops};
use store::Batch;
use wire::Unit;

use super::page::page;
use super::show::encoded;
use crate::Identity;
use crate::engine::policy_name;
use crate::faults::{self, quota};
use crate::managed;
use crate::rules::document::{Purpose, read};
use crate::state::{self, Kind, SPACE};
use crate::types::{Policy, Role};

/// Source: IAM User Guide, "IAM and AWS STS quotas".
const ATTACHED_PER_ROLE: usize = 10;
const INLINE_CHARS: usize = 10_240;

impl Handle<ops::PutRolePolicy> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::PutRolePolicyRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let (name, text) = (input.policy_name.unwrap_or_default(), input.policy_document.unwrap_or_default());
        read(&text, Purpose::Identity)?;
        self.change_role(context.account, &input.role_name.unwrap_or_default(), move |role| {
            role.inline.insert(name.clone(), text.clone());
            let all = role.inline.values().flat_map(|text| text.chars());
            if all.filter(|letter| !letter.is_whitespace()).count() > INLINE_CHARS {
                let message = format!("Maximum policy size of {INLINE_CHARS} bytes exceeded for role {}", role.name);
                return Err(iam::limit_exceeded_exception(message));
            }
            Ok(())
        })
        .await?;
        Ok(Unit.into())
    }
}

impl Handle<ops::GetRolePolicy> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::GetRolePolicyRequest,
        _: Body,
    ) -> Result<Answer<iam::GetRolePolicyResponse>, Fault> {
        let role = self.role(context.account, &input.role_name.unwrap_or_default())?;
        let name = input.policy_name.unwrap_or_default();
        let text = role.inline.get(&name).ok_or_else(|| faults::no_role_policy(&name))?;
        let output = iam::GetRolePolicyResponse {
            policy_document: Some(encoded(text)),
            role_name: Some(role.name),
            policy_name: Some(name),
        };
        Ok(output.into())
    }
}

impl Handle<ops::DeleteRolePolicy> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::DeleteRolePolicyRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let name = input.policy_name.unwrap_or_default();
        self.change_role(context.account, &input.role_name.unwrap_or_default(), move |role| {
            role.inline.remove(&name).map(drop).ok_or_else(|| faults::no_role_policy(&name))
        })
        .await?;
        Ok(Unit.into())
    }
}

impl Handle<ops::ListRolePolicies> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::ListRolePoliciesRequest,
        _: Body,
    ) -> Result<Answer<iam::ListRolePoliciesResponse>, Fault> {
        let role = self.role(context.account, &input.role_name.unwrap_or_default())?;
        let names: Vec<String> = role.inline.into_keys().collect();
        let page = page(names, input.marker.as_deref(), input.max_items, Clone::clone)?;
        let output = iam::ListRolePoliciesResponse {
            policy_names: Some(page.items),
            is_truncated: Some(page.marker.is_some()),
            marker: page.marker,
        };
        Ok(output.into())
    }
}

impl Handle<ops::AttachRolePolicy> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::AttachRolePolicyRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let (role, arn) = (input.role_name.unwrap_or_default(), input.policy_arn.unwrap_or_default());
        self.attachment(&context, role, arn, true).await?;
        Ok(Unit.into())
    }
}

impl Handle<ops::DetachRolePolicy> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::DetachRolePolicyRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let (role, arn) = (input.role_name.unwrap_or_default(), input.policy_arn.unwrap_or_default());
        self.attachment(&context, role, arn, false).await?;
        Ok(Unit.into())
    }
}

impl Handle<ops::ListAttachedRolePolicies> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::ListAttachedRolePoliciesRequest,
        _: Body,
    ) -> Result<Answer<iam::ListAttachedRolePoliciesResponse>, Fault> {
        let role = self.role(context.account, &input.role_name.unwrap_or_default())?;
        let prefix = input.path_prefix.unwrap_or_else(|| "/".into());
        let path = |arn: &str| arn.split_once(":policy").is_some_and(|(_, path)| path.starts_with(&prefix));
        let mut attached: Vec<_> = role.attached.into_iter().filter(|arn| path(arn)).collect();
        attached.sort();
        let page = page(attached, input.marker.as_deref(), input.max_items, Clone::clone)?;
        let shown = page.items.into_iter().map(|arn| iam::AttachedPolicy {
            policy_name: arn.rsplit('/').next().map(str::to_owned),
            policy_arn: Some(arn),
        });
        let output = iam::ListAttachedRolePoliciesResponse {
            attached_policies: Some(shown.collect()),
            is_truncated: Some(page.marker.is_some()),
            marker: page.marker,
        };
        Ok(output.into())
    }
}

impl Identity {
    /// Attaches or detaches, and counts it in the policy's row, in one transaction.
    async fn attachment(&self, context: &Context, role: String, arn: String, attach: bool) -> Result<(), Fault> {
        let account = context.account;
        let role_row = state::row(account, Kind::Role, &role);
        // AWS's own policies have no row; any other ARN must lead to one.
        let policy_row = match managed::find(&arn) {
            Some(_) => None,
            None => {
                let missing = if attach { faults::not_attachable(&arn) } else { faults::no_policy(&arn) };
                Some(policy_name(account, &arn).map(|name| state::row(account, Kind::Policy, name)).ok_or(missing)?)
            }
        };
        let declared = [Some(role_row.clone()), policy_row.clone()].into_iter().flatten().collect();
        self.transact(declared, move |rows| {
            let mut batch = Batch::new();
            let mut changed: Role = rows.json(SPACE, &role_row)?.ok_or_else(|| faults::no_role(&role))?;
            let held = changed.attached.contains(&arn);
            if attach && !held && changed.attached.len() >= ATTACHED_PER_ROLE {
                return Err(quota("PoliciesPerRole", ATTACHED_PER_ROLE));
            }
            if let Some(row) = &policy_row {
                let policy: Option<Policy> = rows.json(SPACE, row)?;
                let missing = || if attach { faults::not_attachable(&arn) } else { faults::no_policy(&arn) };
                let mut policy = policy.filter(|policy| policy.arn(account) == arn).ok_or_else(missing)?;
                if attach != held {
                    policy.attachments =
                        if attach { policy.attachments + 1 } else { policy.attachments.saturating_sub(1) };
                    batch.put_json(SPACE, row.clone(), &policy)?;
                }
            }
            match (attach, held) {
                (true, false) => changed.attached.push(arn.clone()),
                // To attach again changes nothing and is no error.
                (true, true) => {}
                (false, true) => changed.attached.retain(|held| *held != arn),
                (false, false) => return Err(faults::no_policy(&arn)),
            }
            batch.put_json(SPACE, role_row.clone(), &changed)?;
            Ok((batch, ()))
        })
        .await
    }
}

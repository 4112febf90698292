//! Roles themselves: made, read, changed, listed, tagged.

use std::sync::Arc;

use base::{Account, Fault};
use door::{Answer, Body, Context, Handle};
use model::iam::{self, ops};
use store::Batch;
use wire::Unit;

use super::page::page;
use super::{show, tags};
use crate::Identity;
use crate::faults::{self, quota};
use crate::holder::Holder;
use crate::rules::credential;
use crate::rules::document::{Purpose, read};
use crate::state::{self, Kind, SPACE};
use crate::types::Role;

/// Source: IAM User Guide, "IAM and AWS STS quotas".
pub(super) const ROLES_PER_ACCOUNT: usize = 1000;
pub(super) const TRUST_CHARS: usize = 2048;
/// Session length without MaxSessionDuration, seconds.
pub(super) const SESSION_S: i64 = 3600;

/// Checks a trust policy: its form, and its size without white space.
fn check_trust(text: &str) -> Result<(), Fault> {
    read(text, Purpose::Trust)?;
    if text.chars().filter(|letter| !letter.is_whitespace()).count() > TRUST_CHARS {
        return Err(quota("ACLSizePerRole", TRUST_CHARS));
    }
    Ok(())
}

/// Checks that what is set as a permissions boundary is a policy.
pub(super) fn check_boundary(identity: &Identity, account: Account, arn: Option<&str>) -> Result<(), Fault> {
    let Some(arn) = arn else { return Ok(()) };
    if crate::managed::find(arn).is_some() || identity.policy(account, arn)?.is_some() {
        return Ok(());
    }
    Err(faults::not_attachable(arn))
}

impl Handle<ops::CreateRole> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::CreateRoleRequest,
        _: Body,
    ) -> Result<Answer<iam::CreateRoleResponse>, Fault> {
        let account = context.account;
        let trust = input.assume_role_policy_document.unwrap_or_default();
        check_trust(&trust)?;
        check_boundary(&self, account, input.permissions_boundary.as_deref())?;
        let role = Role {
            name: input.role_name.unwrap_or_default(),
            path: input.path.unwrap_or_else(|| "/".into()),
            id: credential::unique_id("AROA", &*self.rng),
            created_ms: self.clocks.product().0 / 1000 * 1000,
            trust,
            description: input.description,
            max_session_s: input.max_session_duration.unwrap_or(SESSION_S),
            boundary: input.permissions_boundary,
            tags: tags::given(input.tags)?,
            inline: Default::default(),
            attached: Vec::new(),
            profiles: Vec::new(),
        };
        let taken = format!("Role with name {} already exists.", role.name);
        self.make(account, &role.name, &role, ("RolesPerAccount", ROLES_PER_ACCOUNT), taken).await?;
        Ok(iam::CreateRoleResponse { role: Some(show::role(&role, account)) }.into())
    }
}

impl Handle<ops::GetRole> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::GetRoleRequest,
        _: Body,
    ) -> Result<Answer<iam::GetRoleResponse>, Fault> {
        let role = self.role(context.account, &input.role_name.unwrap_or_default())?;
        let mut shown = show::role(&role, context.account);
        shown.role_last_used = Some(iam::RoleLastUsed::default());
        Ok(iam::GetRoleResponse { role: Some(shown) }.into())
    }
}

impl Handle<ops::UpdateRole> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::UpdateRoleRequest,
        _: Body,
    ) -> Result<Answer<iam::UpdateRoleResponse>, Fault> {
        let name = input.role_name.unwrap_or_default();
        let (description, max_session) = (input.description, input.max_session_duration);
        self.change(context.account, &name, move |role: &mut Role| {
            if description.is_some() {
                role.description.clone_from(&description);
            }
            // As on AWS a duration left out goes back to the default.
            role.max_session_s = max_session.unwrap_or(SESSION_S);
            Ok(())
        })
        .await?;
        Ok(iam::UpdateRoleResponse {}.into())
    }
}

impl Handle<ops::UpdateRoleDescription> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::UpdateRoleDescriptionRequest,
        _: Body,
    ) -> Result<Answer<iam::UpdateRoleDescriptionResponse>, Fault> {
        let (name, description) = (input.role_name.unwrap_or_default(), input.description);
        self.change(context.account, &name, move |role: &mut Role| {
            role.description.clone_from(&description);
            Ok(())
        })
        .await?;
        let role = show::role(&self.role(context.account, &name)?, context.account);
        Ok(iam::UpdateRoleDescriptionResponse { role: Some(role) }.into())
    }
}

impl Handle<ops::UpdateAssumeRolePolicy> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::UpdateAssumeRolePolicyRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let trust = input.policy_document.unwrap_or_default();
        check_trust(&trust)?;
        self.change(context.account, &input.role_name.unwrap_or_default(), move |role: &mut Role| {
            role.may_change()?;
            role.trust.clone_from(&trust);
            Ok(())
        })
        .await?;
        Ok(Unit.into())
    }
}

impl Handle<ops::DeleteRole> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::DeleteRoleRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let name = input.role_name.unwrap_or_default();
        let row = state::row(context.account, Kind::Role, &name);
        self.transact(vec![row.clone()], move |rows| {
            let role: Role = rows.json(SPACE, &row)?.ok_or_else(|| faults::no_role(&name))?;
            role.may_change()?;
            if !role.profiles.is_empty() {
                return Err(faults::in_instance_profile());
            }
            if !role.attached.is_empty() {
                return Err(iam::delete_conflict_exception("Cannot delete entity, must detach all policies first."));
            }
            if !role.inline.is_empty() {
                return Err(iam::delete_conflict_exception("Cannot delete entity, must delete policies first."));
            }
            let mut batch = Batch::new();
            batch.delete(SPACE, row.clone());
            Ok((batch, ()))
        })
        .await?;
        Ok(Unit.into())
    }
}

impl Handle<ops::ListRoles> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::ListRolesRequest,
        _: Body,
    ) -> Result<Answer<iam::ListRolesResponse>, Fault> {
        let prefix = input.path_prefix.unwrap_or_else(|| "/".into());
        let mut roles: Vec<Role> = Vec::new();
        state::each(&*self.kv, &state::prefix(context.account, Kind::Role), |_, role: Role| {
            if role.path.starts_with(&prefix) {
                roles.push(role);
            }
        })?;
        let page = page(roles, input.marker.as_deref(), input.max_items, |role| role.name.to_lowercase())?;
        let output = iam::ListRolesResponse {
            roles: Some(page.items.iter().map(|role| show::listed_role(role, context.account)).collect()),
            is_truncated: Some(page.marker.is_some()),
            marker: page.marker,
        };
        Ok(output.into())
    }
}

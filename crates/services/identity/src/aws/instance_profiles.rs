//! Instance profiles: what machines get a role by. There are no machines here, but tools make profiles beside roles and take
//! roles out of them before they delete them.

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
use crate::state::{self, Kind, SPACE};
use crate::types::{InstanceProfile, Role};

/// Source: IAM User Guide, "IAM and AWS STS quotas".
pub(super) const PROFILES_PER_ACCOUNT: usize = 1000;

impl Handle<ops::CreateInstanceProfile> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::CreateInstanceProfileRequest,
        _: Body,
    ) -> Result<Answer<iam::CreateInstanceProfileResponse>, Fault> {
        let account = context.account;
        let profile = InstanceProfile {
            name: input.instance_profile_name.unwrap_or_default(),
            path: input.path.unwrap_or_else(|| "/".into()),
            id: credential::unique_id("AIPA", &*self.rng),
            created_ms: self.clocks.product().0 / 1000 * 1000,
            tags: tags::given(input.tags)?,
            role: None,
        };
        let taken = format!("Instance Profile {} already exists.", profile.name);
        let quota = ("InstanceProfilesPerAccount", PROFILES_PER_ACCOUNT);
        self.make(account, &profile.name, &profile, quota, taken).await?;
        let shown = self.shown(account, &profile)?;
        Ok(iam::CreateInstanceProfileResponse { instance_profile: Some(shown) }.into())
    }
}

impl Handle<ops::GetInstanceProfile> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::GetInstanceProfileRequest,
        _: Body,
    ) -> Result<Answer<iam::GetInstanceProfileResponse>, Fault> {
        let profile = self.kept(context.account, &input.instance_profile_name.unwrap_or_default())?;
        let shown = self.shown(context.account, &profile)?;
        Ok(iam::GetInstanceProfileResponse { instance_profile: Some(shown) }.into())
    }
}

impl Handle<ops::DeleteInstanceProfile> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::DeleteInstanceProfileRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let name = input.instance_profile_name.unwrap_or_default();
        let row = state::row(context.account, Kind::InstanceProfile, &name);
        self.transact(vec![row.clone()], move |rows| {
            let profile: Option<InstanceProfile> = rows.json(SPACE, &row)?;
            if profile.ok_or_else(|| faults::no_instance_profile(&name))?.role.is_some() {
                return Err(faults::in_instance_profile());
            }
            let mut batch = Batch::new();
            batch.delete(SPACE, row.clone());
            Ok((batch, ()))
        })
        .await?;
        Ok(Unit.into())
    }
}

impl Handle<ops::ListInstanceProfiles> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::ListInstanceProfilesRequest,
        _: Body,
    ) -> Result<Answer<iam::ListInstanceProfilesResponse>, Fault> {
        let account = context.account;
        let prefix = input.path_prefix.unwrap_or_else(|| "/".into());
        let mut profiles: Vec<InstanceProfile> = Vec::new();
        state::each(&*self.kv, &state::prefix(account, Kind::InstanceProfile), |_, profile: InstanceProfile| {
            if profile.path.starts_with(&prefix) {
                profiles.push(profile);
            }
        })?;
        let page = page(profiles, input.marker.as_deref(), input.max_items, |one| one.name.to_lowercase())?;
        let shown = page.items.iter().map(|profile| self.shown(account, profile));
        let output = iam::ListInstanceProfilesResponse {
            instance_profiles: Some(shown.collect::<Result<_, _>>()?),
            is_truncated: Some(page.marker.is_some()),
            marker: page.marker,
        };
        Ok(output.into())
    }
}

impl Handle<ops::ListInstanceProfilesForRole> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::ListInstanceProfilesForRoleRequest,
        _: Body,
    ) -> Result<Answer<iam::ListInstanceProfilesForRoleResponse>, Fault> {
        let account = context.account;
        let mut names = self.role(account, &input.role_name.unwrap_or_default())?.profiles;
        names.sort_by_key(|name| name.to_lowercase());
        let page = page(names, input.marker.as_deref(), input.max_items, |name| name.to_lowercase())?;
        let shown = page.items.iter().map(|name| self.shown(account, &self.kept(account, name)?));
        let output = iam::ListInstanceProfilesForRoleResponse {
            instance_profiles: Some(shown.collect::<Result<_, _>>()?),
            is_truncated: Some(page.marker.is_some()),
            marker: page.marker,
        };
        Ok(output.into())
    }
}

impl Handle<ops::AddRoleToInstanceProfile> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::AddRoleToInstanceProfileRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let (profile, role) = (input.instance_profile_name.unwrap_or_default(), input.role_name.unwrap_or_default());
        self.paired(context.account, profile, role, true).await
    }
}

impl Handle<ops::RemoveRoleFromInstanceProfile> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::RemoveRoleFromInstanceProfileRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let (profile, role) = (input.instance_profile_name.unwrap_or_default(), input.role_name.unwrap_or_default());
        self.paired(context.account, profile, role, false).await
    }
}

impl Identity {
    /// A profile with its role.
    fn shown(&self, account: Account, profile: &InstanceProfile) -> Result<iam::InstanceProfile, Fault> {
        let role = profile.role.as_ref().map(|name| self.role(account, name)).transpose()?;
        Ok(show::instance_profile(profile, role.as_ref(), account))
    }

    /// Puts a role into a profile, which holds one, or takes it out. Both rows know of it.
    async fn paired(
        &self,
        account: Account,
        profile_name: String,
        role_name: String,
        joins: bool,
    ) -> Result<Answer<Unit>, Fault> {
        let profile_row = state::row(account, Kind::InstanceProfile, &profile_name);
        let role_row = state::row(account, Kind::Role, &role_name);
        self.transact(vec![profile_row.clone(), role_row.clone()], move |rows| {
            let profile: Option<InstanceProfile> = rows.json(SPACE, &profile_row)?;
            let mut profile = profile.ok_or_else(|| faults::no_instance_profile(&profile_name))?;
            let role: Option<Role> = rows.json(SPACE, &role_row)?;
            let mut role = role.ok_or_else(|| faults::no_role(&role_name))?;
            if joins {
                role.may_change()?;
                if profile.role.is_some() {
                    return Err(quota("InstanceSessionsPerInstanceProfile", 1));
                }
                profile.role = Some(role.name.clone());
                role.profiles.push(profile.name.clone());
            } else {
                if profile.role.as_ref() != Some(&role.name) {
                    return Err(faults::no_role(&role_name));
                }
                profile.role = None;
                role.profiles.retain(|name| *name != profile.name);
            }
            let mut batch = Batch::new();
            batch.put_json(SPACE, profile_row.clone(), &profile)?;
            batch.put_json(SPACE, role_row.clone(), &role)?;
            Ok((batch, ()))
        })
        .await?;
        Ok(Unit.into())
    }
}

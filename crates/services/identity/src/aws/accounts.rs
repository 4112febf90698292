//! The account's alias, and how much of everything it has.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::iam::{self, ops};
use store::Batch;
use wire::Unit;

use super::page::page;
use super::{access_keys, groups, instance_profiles, oidc_providers, policies, roles, users};
use crate::Identity;
use crate::holder::Holder;
use crate::state::{self, Kind, SPACE};
use crate::types::{Group, Policy, Role, User};

impl Handle<ops::CreateAccountAlias> for Identity {
    /// An account has one alias, and no two have the same.
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::CreateAccountAliasRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let alias = input.account_alias.unwrap_or_default();
        let (own, taken) = (state::row(context.account, Kind::Alias, ""), state::alias_row(&alias));
        let account = context.account.to_string();
        self.transact(vec![own.clone(), taken.clone()], move |rows| {
            let owner: Option<String> = rows.json(SPACE, &taken)?;
            if owner.is_some_and(|owner| owner != account) {
                let message = format!("The account alias {alias} already exists.");
                return Err(iam::entity_already_exists_exception(message));
            }
            let mut batch = Batch::new();
            if let Some(earlier) = rows.json::<String>(SPACE, &own)? {
                batch.delete(SPACE, state::alias_row(&earlier));
            }
            batch.put_json(SPACE, own.clone(), &alias)?;
            batch.put_json(SPACE, taken.clone(), &account)?;
            Ok((batch, ()))
        })
        .await?;
        Ok(Unit.into())
    }
}

impl Handle<ops::DeleteAccountAlias> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::DeleteAccountAliasRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let alias = input.account_alias.unwrap_or_default();
        let own = state::row(context.account, Kind::Alias, "");
        self.transact(vec![own.clone()], move |rows| {
            if rows.json::<String>(SPACE, &own)?.as_ref() != Some(&alias) {
                let message = format!("The Account Alias {alias} cannot be found.");
                return Err(iam::no_such_entity_exception(message));
            }
            let mut batch = Batch::new();
            batch.delete(SPACE, own.clone());
            batch.delete(SPACE, state::alias_row(&alias));
            Ok((batch, ()))
        })
        .await?;
        Ok(Unit.into())
    }
}

impl Handle<ops::ListAccountAliases> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::ListAccountAliasesRequest,
        _: Body,
    ) -> Result<Answer<iam::ListAccountAliasesResponse>, Fault> {
        let own: Option<String> = store::get_json(&*self.kv, SPACE, &state::row(context.account, Kind::Alias, ""))?;
        let page = page(own.into_iter().collect(), input.marker.as_deref(), input.max_items, Clone::clone)?;
        let output = iam::ListAccountAliasesResponse {
            account_aliases: Some(page.items),
            is_truncated: Some(page.marker.is_some()),
            marker: page.marker,
        };
        Ok(output.into())
    }
}

/// Quotas of AWS's that nothing here comes near: what is counted against them does not exist.
const UNUSED: [(&str, i64); 10] = [
    ("AccountMFAEnabled", 0),
    ("AccountPasswordPresent", 0),
    ("AccountSigningCertificatesPresent", 0),
    ("GlobalEndpointTokenVersion", 1),
    ("MFADevices", 0),
    ("MFADevicesInUse", 0),
    ("PolicyVersionsInUseQuota", 10_000),
    ("ServerCertificates", 0),
    ("ServerCertificatesQuota", 20),
    ("SigningCertificatesPerUserQuota", 2),
];

impl Handle<ops::GetAccountSummary> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        _: Unit,
        _: Body,
    ) -> Result<Answer<iam::GetAccountSummaryResponse>, Fault> {
        let account = context.account;
        let count = |kind| -> Result<i64, Fault> {
            Ok(state::count(&*self.kv, &state::prefix(account, kind), usize::MAX)? as i64)
        };
        let mut versions = 0;
        state::each(&*self.kv, &state::prefix(account, Kind::Policy), |_, policy: Policy| {
            versions += policy.versions.len() as i64;
        })?;
        let counted = [
            ("Users", count(Kind::User)?),
            ("Groups", count(Kind::Group)?),
            ("Roles", count(Kind::Role)?),
            ("Policies", count(Kind::Policy)?),
            ("InstanceProfiles", count(Kind::InstanceProfile)?),
            ("Providers", count(Kind::OidcProvider)?),
            ("PolicyVersionsInUse", versions),
            ("AccountAccessKeysPresent", i64::from(!self.keys_of(account, None).is_empty())),
        ];
        let quotas = [
            ("UsersQuota", users::USERS_PER_ACCOUNT),
            ("GroupsQuota", groups::GROUPS_PER_ACCOUNT),
            ("RolesQuota", roles::ROLES_PER_ACCOUNT),
            ("PoliciesQuota", policies::POLICIES_PER_ACCOUNT),
            ("InstanceProfilesQuota", instance_profiles::PROFILES_PER_ACCOUNT),
            ("ProvidersQuota", oidc_providers::PROVIDERS_PER_ACCOUNT),
            ("AccessKeysPerUserQuota", access_keys::KEYS_PER_USER),
            ("GroupsPerUserQuota", groups::GROUPS_PER_USER),
            ("AttachedPoliciesPerUserQuota", User::ATTACHED.1),
            ("AttachedPoliciesPerGroupQuota", Group::ATTACHED.1),
            ("AttachedPoliciesPerRoleQuota", Role::ATTACHED.1),
            ("UserPolicySizeQuota", User::INLINE_CHARS),
            ("GroupPolicySizeQuota", Group::INLINE_CHARS),
            ("RolePolicySizeQuota", Role::INLINE_CHARS),
            ("AssumeRolePolicySizeQuota", roles::TRUST_CHARS),
            ("PolicySizeQuota", policies::POLICY_CHARS),
            ("VersionsPerPolicyQuota", policies::VERSIONS),
        ];
        let quotas = quotas.into_iter().map(|(name, most)| (name, most as i64));
        let all: BTreeMap<String, i64> =
            counted.into_iter().chain(quotas).chain(UNUSED).map(|(name, number)| (name.to_owned(), number)).collect();
        Ok(iam::GetAccountSummaryResponse { summary_map: Some(all) }.into())
    }
}

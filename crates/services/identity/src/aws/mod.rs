//! The operations of STS and IAM, by topic. What is not registered here is NotImplemented.

mod access_keys;
mod accounts;
mod boundaries;
mod entities;
mod groups;
mod held_policies;
mod instance_profiles;
mod oidc_providers;
mod page;
mod policies;
mod renames;
mod roles;
mod service_roles;
mod session_tokens;
mod show;
mod simulate;
mod tags;
mod users;

use std::sync::Arc;

use door::RouterBuilder;
use model::iam::ops as iam;
use model::sts::ops as sts;

use crate::Identity;

/// Registers every operation the room carries out: this list is the coverage.
pub fn register(builder: RouterBuilder, identity: &Arc<Identity>) -> RouterBuilder {
    let builder = accounts(policies(people(builder, identity), identity), identity);
    builder
        .knows("iam", Arc::<Identity>::clone(identity))
        .knows("sts", Arc::<Identity>::clone(identity))
        .on::<sts::GetCallerIdentity, _>(identity)
        .on::<sts::GetSessionToken, _>(identity)
        .on::<sts::AssumeRole, _>(identity)
        .on::<sts::GetAccessKeyInfo, _>(identity)
        .on::<iam::CreateRole, _>(identity)
        .on::<iam::GetRole, _>(identity)
        .on::<iam::UpdateRole, _>(identity)
        .on::<iam::UpdateRoleDescription, _>(identity)
        .on::<iam::UpdateAssumeRolePolicy, _>(identity)
        .on::<iam::DeleteRole, _>(identity)
        .on::<iam::ListRoles, _>(identity)
        .on::<iam::TagRole, _>(identity)
        .on::<iam::UntagRole, _>(identity)
        .on::<iam::ListRoleTags, _>(identity)
        .on::<iam::CreateServiceLinkedRole, _>(identity)
        .on::<iam::DeleteServiceLinkedRole, _>(identity)
        .on::<iam::GetServiceLinkedRoleDeletionStatus, _>(identity)
        .on::<iam::SimulatePrincipalPolicy, _>(identity)
        .on::<iam::SimulateCustomPolicy, _>(identity)
        .on::<iam::PutRolePermissionsBoundary, _>(identity)
        .on::<iam::DeleteRolePermissionsBoundary, _>(identity)
}

/// The operations about policies and what holds them.
fn policies(builder: RouterBuilder, identity: &Arc<Identity>) -> RouterBuilder {
    builder
        .on::<iam::PutRolePolicy, _>(identity)
        .on::<iam::GetRolePolicy, _>(identity)
        .on::<iam::DeleteRolePolicy, _>(identity)
        .on::<iam::ListRolePolicies, _>(identity)
        .on::<iam::AttachRolePolicy, _>(identity)
        .on::<iam::DetachRolePolicy, _>(identity)
        .on::<iam::ListAttachedRolePolicies, _>(identity)
        .on::<iam::CreatePolicy, _>(identity)
        .on::<iam::GetPolicy, _>(identity)
        .on::<iam::DeletePolicy, _>(identity)
        .on::<iam::ListPolicies, _>(identity)
        .on::<iam::ListEntitiesForPolicy, _>(identity)
        .on::<iam::TagPolicy, _>(identity)
        .on::<iam::UntagPolicy, _>(identity)
        .on::<iam::ListPolicyTags, _>(identity)
        .on::<iam::CreatePolicyVersion, _>(identity)
        .on::<iam::GetPolicyVersion, _>(identity)
        .on::<iam::DeletePolicyVersion, _>(identity)
        .on::<iam::ListPolicyVersions, _>(identity)
        .on::<iam::SetDefaultPolicyVersion, _>(identity)
        .on::<iam::PutUserPolicy, _>(identity)
        .on::<iam::GetUserPolicy, _>(identity)
        .on::<iam::DeleteUserPolicy, _>(identity)
        .on::<iam::ListUserPolicies, _>(identity)
        .on::<iam::AttachUserPolicy, _>(identity)
        .on::<iam::DetachUserPolicy, _>(identity)
        .on::<iam::ListAttachedUserPolicies, _>(identity)
        .on::<iam::PutGroupPolicy, _>(identity)
        .on::<iam::GetGroupPolicy, _>(identity)
        .on::<iam::DeleteGroupPolicy, _>(identity)
        .on::<iam::ListGroupPolicies, _>(identity)
        .on::<iam::AttachGroupPolicy, _>(identity)
        .on::<iam::DetachGroupPolicy, _>(identity)
        .on::<iam::ListAttachedGroupPolicies, _>(identity)
}

/// The operations about users, groups and their keys.
fn people(builder: RouterBuilder, identity: &Arc<Identity>) -> RouterBuilder {
    builder
        .on::<iam::CreateUser, _>(identity)
        .on::<iam::GetUser, _>(identity)
        .on::<iam::UpdateUser, _>(identity)
        .on::<iam::DeleteUser, _>(identity)
        .on::<iam::ListUsers, _>(identity)
        .on::<iam::CreateAccessKey, _>(identity)
        .on::<iam::UpdateAccessKey, _>(identity)
        .on::<iam::DeleteAccessKey, _>(identity)
        .on::<iam::ListAccessKeys, _>(identity)
        .on::<iam::TagUser, _>(identity)
        .on::<iam::UntagUser, _>(identity)
        .on::<iam::ListUserTags, _>(identity)
        .on::<iam::PutUserPermissionsBoundary, _>(identity)
        .on::<iam::DeleteUserPermissionsBoundary, _>(identity)
        .on::<iam::CreateGroup, _>(identity)
        .on::<iam::GetGroup, _>(identity)
        .on::<iam::UpdateGroup, _>(identity)
        .on::<iam::DeleteGroup, _>(identity)
        .on::<iam::ListGroups, _>(identity)
        .on::<iam::ListGroupsForUser, _>(identity)
        .on::<iam::AddUserToGroup, _>(identity)
        .on::<iam::RemoveUserFromGroup, _>(identity)
}

/// The operations about the account itself, and what tools make in it that nothing else here is about.
fn accounts(builder: RouterBuilder, identity: &Arc<Identity>) -> RouterBuilder {
    builder
        .on::<iam::CreateInstanceProfile, _>(identity)
        .on::<iam::GetInstanceProfile, _>(identity)
        .on::<iam::DeleteInstanceProfile, _>(identity)
        .on::<iam::ListInstanceProfiles, _>(identity)
        .on::<iam::ListInstanceProfilesForRole, _>(identity)
        .on::<iam::AddRoleToInstanceProfile, _>(identity)
        .on::<iam::RemoveRoleFromInstanceProfile, _>(identity)
        .on::<iam::TagInstanceProfile, _>(identity)
        .on::<iam::UntagInstanceProfile, _>(identity)
        .on::<iam::ListInstanceProfileTags, _>(identity)
        .on::<iam::CreateOpenIDConnectProvider, _>(identity)
        .on::<iam::GetOpenIDConnectProvider, _>(identity)
        .on::<iam::DeleteOpenIDConnectProvider, _>(identity)
        .on::<iam::ListOpenIDConnectProviders, _>(identity)
        .on::<iam::AddClientIDToOpenIDConnectProvider, _>(identity)
        .on::<iam::RemoveClientIDFromOpenIDConnectProvider, _>(identity)
        .on::<iam::UpdateOpenIDConnectProviderThumbprint, _>(identity)
        .on::<iam::TagOpenIDConnectProvider, _>(identity)
        .on::<iam::UntagOpenIDConnectProvider, _>(identity)
        .on::<iam::ListOpenIDConnectProviderTags, _>(identity)
        .on::<iam::CreateAccountAlias, _>(identity)
        .on::<iam::DeleteAccountAlias, _>(identity)
        .on::<iam::ListAccountAliases, _>(identity)
        .on::<iam::GetAccountSummary, _>(identity)
}

//! The operations of STS and IAM, by topic. What is not registered here is NotImplemented.

mod access_keys;
mod page;
mod policies;
mod role_policies;
mod roles;
mod session_tokens;
mod show;
mod users;

use std::sync::Arc;

use door::RouterBuilder;
use model::iam::ops as iam;
use model::sts::ops as sts;

use crate::Identity;

/// Registers every operation the room carries out: this list is the coverage.
pub fn register(builder: RouterBuilder, identity: &Arc<Identity>) -> RouterBuilder {
    builder
        .on::<sts::GetCallerIdentity, _>(identity)
        .on::<sts::GetSessionToken, _>(identity)
        .on::<sts::AssumeRole, _>(identity)
        .on::<sts::GetAccessKeyInfo, _>(identity)
        .on::<iam::CreateRole, _>(identity)
        .on::<iam::GetRole, _>(identity)
        .on::<iam::UpdateRole, _>(identity)
        .on::<iam::UpdateAssumeRolePolicy, _>(identity)
        .on::<iam::DeleteRole, _>(identity)
        .on::<iam::ListRoles, _>(identity)
        .on::<iam::TagRole, _>(identity)
        .on::<iam::UntagRole, _>(identity)
        .on::<iam::ListRoleTags, _>(identity)
        .on::<iam::ListInstanceProfilesForRole, _>(identity)
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
        .on::<iam::CreatePolicyVersion, _>(identity)
        .on::<iam::GetPolicyVersion, _>(identity)
        .on::<iam::DeletePolicyVersion, _>(identity)
        .on::<iam::ListPolicyVersions, _>(identity)
        .on::<iam::SetDefaultPolicyVersion, _>(identity)
        .on::<iam::CreateUser, _>(identity)
        .on::<iam::GetUser, _>(identity)
        .on::<iam::DeleteUser, _>(identity)
        .on::<iam::ListUsers, _>(identity)
        .on::<iam::CreateAccessKey, _>(identity)
        .on::<iam::UpdateAccessKey, _>(identity)
        .on::<iam::DeleteAccessKey, _>(identity)
        .on::<iam::ListAccessKeys, _>(identity)
}

//! Our rows as IAM's shapes.

use std::collections::BTreeMap;

use base::{Account, Timestamp};
use model::iam;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::managed::Managed;
use crate::types::{Group, InstanceProfile, Policy, PolicyVersion, Role, User};

/// Everything but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A policy document as IAM answers it: percent-encoded.
pub(super) fn encoded(document: &str) -> String {
    utf8_percent_encode(document, RESERVED).to_string()
}

/// Tags as a list.
pub(super) fn tags(tags: &BTreeMap<String, String>) -> Vec<iam::Tag> {
    tags.iter().map(|(key, value)| iam::Tag { key: Some(key.clone()), value: Some(value.clone()) }).collect()
}

fn boundary(arn: Option<&String>) -> Option<iam::AttachedPermissionsBoundary> {
    arn.map(|arn| iam::AttachedPermissionsBoundary {
        permissions_boundary_type: Some("PermissionsBoundaryPolicy".into()),
        permissions_boundary_arn: Some(arn.clone()),
    })
}

/// A role, whole. Listings leave out what IAM leaves out there: see [`listed_role`].
pub(super) fn role(role: &Role, account: Account) -> iam::Role {
    iam::Role {
        path: Some(role.path.clone()),
        role_name: Some(role.name.clone()),
        role_id: Some(role.id.clone()),
        arn: Some(role.arn(account)),
        create_date: Some(Timestamp(role.created_ms)),
        assume_role_policy_document: Some(encoded(&role.trust)),
        description: role.description.clone(),
        max_session_duration: Some(role.max_session_s),
        permissions_boundary: boundary(role.boundary.as_ref()),
        tags: Some(tags(&role.tags)).filter(|tags| !tags.is_empty()),
        role_last_used: None,
        source_role_template: None,
    }
}

/// A role in a listing: without boundary and tags.
pub(super) fn listed_role(listed: &Role, account: Account) -> iam::Role {
    iam::Role { permissions_boundary: None, tags: None, ..role(listed, account) }
}

/// A user, whole.
pub(super) fn user(user: &User, account: Account) -> iam::User {
    iam::User {
        path: Some(user.path.clone()),
        user_name: Some(user.name.clone()),
        user_id: Some(user.id.clone()),
        arn: Some(user.arn(account)),
        create_date: Some(Timestamp(user.created_ms)),
        password_last_used: None,
        permissions_boundary: boundary(user.boundary.as_ref()),
        tags: Some(tags(&user.tags)).filter(|tags| !tags.is_empty()),
    }
}

/// A user in a listing: without boundary and tags.
pub(super) fn listed_user(listed: &User, account: Account) -> iam::User {
    iam::User { permissions_boundary: None, tags: None, ..user(listed, account) }
}

/// A group.
pub(super) fn group(group: &Group, account: Account) -> iam::Group {
    iam::Group {
        path: Some(group.path.clone()),
        group_name: Some(group.name.clone()),
        group_id: Some(group.id.clone()),
        arn: Some(group.arn(account)),
        create_date: Some(Timestamp(group.created_ms)),
    }
}

/// An instance profile with its role.
pub(super) fn instance_profile(
    profile: &InstanceProfile,
    held: Option<&Role>,
    account: Account,
) -> iam::InstanceProfile {
    iam::InstanceProfile {
        path: Some(profile.path.clone()),
        instance_profile_name: Some(profile.name.clone()),
        instance_profile_id: Some(profile.id.clone()),
        arn: Some(profile.arn(account)),
        create_date: Some(Timestamp(profile.created_ms)),
        roles: Some(held.iter().map(|held| listed_role(held, account)).collect()),
        tags: Some(tags(&profile.tags)).filter(|tags| !tags.is_empty()),
    }
}

/// A customer managed policy; `boundaries` counts where it is a permissions boundary.
pub(super) fn policy(policy: &Policy, account: Account, boundaries: i64) -> iam::Policy {
    iam::Policy {
        policy_name: Some(policy.name.clone()),
        policy_id: Some(policy.id.clone()),
        arn: Some(policy.arn(account)),
        path: Some(policy.path.clone()),
        default_version_id: Some(format!("v{}", policy.default_version)),
        attachment_count: Some(i64::from(policy.attachments)),
        permissions_boundary_usage_count: Some(boundaries),
        is_attachable: Some(true),
        description: policy.description.clone(),
        create_date: Some(Timestamp(policy.created_ms)),
        update_date: Some(Timestamp(policy.updated_ms)),
        tags: Some(tags(&policy.tags)).filter(|tags| !tags.is_empty()),
    }
}

/// When AWS made its first managed policies: the date ours show.
const MANAGED_SINCE: Timestamp = Timestamp(1_423_241_137_000);

/// An AWS managed policy with the number of roles in the account it is attached to.
pub(super) fn managed(policy: &Managed, attachments: i64) -> iam::Policy {
    iam::Policy {
        policy_name: Some(policy.name.into()),
        policy_id: Some(policy.id()),
        arn: Some(policy.arn()),
        path: Some(policy.path.into()),
        default_version_id: Some("v1".into()),
        attachment_count: Some(attachments),
        permissions_boundary_usage_count: Some(0),
        is_attachable: Some(true),
        description: None,
        create_date: Some(MANAGED_SINCE),
        update_date: Some(MANAGED_SINCE),
        tags: None,
    }
}

/// The only version of an AWS managed policy.
pub(super) fn managed_version(policy: &Managed) -> iam::PolicyVersion {
    iam::PolicyVersion {
        document: Some(encoded(&policy.document())),
        version_id: Some("v1".into()),
        is_default_version: Some(true),
        create_date: Some(MANAGED_SINCE),
    }
}

/// A version, with its document.
pub(super) fn version(version: &PolicyVersion, policy: &Policy) -> iam::PolicyVersion {
    iam::PolicyVersion {
        document: Some(encoded(&version.document)),
        version_id: Some(format!("v{}", version.number)),
        is_default_version: Some(version.number == policy.default_version),
        create_date: Some(Timestamp(version.created_ms)),
    }
}

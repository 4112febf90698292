//! What every input member does, as data: `docs/fidelity.md` is made from it.

/// What an input member does here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grade {
    /// It changes what happens.
    Acts,
    /// It is kept and shown again.
    Stored,
    /// It is refused by name.
    Refused,
}

/// The grade of one member of one operation's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Graded {
    /// AWS's name of the operation.
    pub operation: &'static str,
    /// AWS's name of the member.
    pub member: &'static str,
    /// What it does.
    pub grade: Grade,
    /// What a reader should know; may be empty.
    pub note: &'static str,
}

const fn row(operation: &'static str, member: &'static str, grade: Grade, note: &'static str) -> Graded {
    Graded { operation, member, grade, note }
}

use Grade::{Acts, Refused, Stored};

/// Every input member of every operation that this room carries out.
pub const GRADES: &[Graded] = &[
    row("GetSessionToken", "DurationSeconds", Acts, ""),
    row("GetSessionToken", "SerialNumber", Refused, ""),
    row("GetSessionToken", "TokenCode", Refused, ""),
    row("GetSessionToken", "MinimumSessionTokenSize", Refused, ""),
    row("AssumeRole", "RoleArn", Acts, "unlike on AWS root may assume roles too"),
    row("AssumeRole", "RoleSessionName", Acts, ""),
    row("AssumeRole", "PolicyArns", Refused, "session policies"),
    row("AssumeRole", "Policy", Refused, "session policies"),
    row("AssumeRole", "DurationSeconds", Acts, ""),
    row("AssumeRole", "Tags", Refused, "session tags"),
    row("AssumeRole", "TransitiveTagKeys", Refused, "session tags"),
    row("AssumeRole", "ExternalId", Acts, "as the condition sts:ExternalId"),
    row("AssumeRole", "SerialNumber", Refused, ""),
    row("AssumeRole", "TokenCode", Refused, ""),
    row("AssumeRole", "SourceIdentity", Refused, ""),
    row("AssumeRole", "ProvidedContexts", Refused, ""),
    row("AssumeRole", "MinimumSessionTokenSize", Refused, ""),
    row("GetAccessKeyInfo", "AccessKeyId", Acts, ""),
    row("CreateRole", "Path", Acts, ""),
    row("CreateRole", "RoleName", Acts, ""),
    row("CreateRole", "AssumeRolePolicyDocument", Acts, ""),
    row("CreateRole", "Description", Stored, ""),
    row("CreateRole", "MaxSessionDuration", Acts, ""),
    row("CreateRole", "PermissionsBoundary", Stored, "must be a policy; not evaluated yet"),
    row("CreateRole", "Tags", Stored, ""),
    row("GetRole", "RoleName", Acts, ""),
    row("UpdateRole", "RoleName", Acts, ""),
    row("UpdateRole", "Description", Stored, ""),
    row("UpdateRole", "MaxSessionDuration", Acts, ""),
    row("UpdateAssumeRolePolicy", "RoleName", Acts, ""),
    row("UpdateAssumeRolePolicy", "PolicyDocument", Acts, ""),
    row("DeleteRole", "RoleName", Acts, ""),
    row("ListRoles", "PathPrefix", Acts, ""),
    row("ListRoles", "Marker", Acts, ""),
    row("ListRoles", "MaxItems", Acts, ""),
    row("TagRole", "RoleName", Acts, ""),
    row("TagRole", "Tags", Stored, ""),
    row("UntagRole", "RoleName", Acts, ""),
    row("UntagRole", "TagKeys", Acts, ""),
    row("ListRoleTags", "RoleName", Acts, ""),
    row("ListRoleTags", "Marker", Acts, ""),
    row("ListRoleTags", "MaxItems", Acts, ""),
    row("ListInstanceProfilesForRole", "RoleName", Acts, ""),
    row("ListInstanceProfilesForRole", "Marker", Acts, "there are none"),
    row("ListInstanceProfilesForRole", "MaxItems", Acts, "there are none"),
    row("PutRolePolicy", "RoleName", Acts, ""),
    row("PutRolePolicy", "PolicyName", Acts, ""),
    row("PutRolePolicy", "PolicyDocument", Acts, ""),
    row("GetRolePolicy", "RoleName", Acts, ""),
    row("GetRolePolicy", "PolicyName", Acts, ""),
    row("DeleteRolePolicy", "RoleName", Acts, ""),
    row("DeleteRolePolicy", "PolicyName", Acts, ""),
    row("ListRolePolicies", "RoleName", Acts, ""),
    row("ListRolePolicies", "Marker", Acts, ""),
    row("ListRolePolicies", "MaxItems", Acts, ""),
    row("AttachRolePolicy", "RoleName", Acts, ""),
    row("AttachRolePolicy", "PolicyArn", Acts, "of AWS's own policies those that functions commonly have"),
    row("DetachRolePolicy", "RoleName", Acts, ""),
    row("DetachRolePolicy", "PolicyArn", Acts, ""),
    row("ListAttachedRolePolicies", "RoleName", Acts, ""),
    row("ListAttachedRolePolicies", "PathPrefix", Acts, ""),
    row("ListAttachedRolePolicies", "Marker", Acts, ""),
    row("ListAttachedRolePolicies", "MaxItems", Acts, ""),
    row("CreatePolicy", "PolicyName", Acts, ""),
    row("CreatePolicy", "Path", Acts, ""),
    row("CreatePolicy", "PolicyDocument", Acts, ""),
    row("CreatePolicy", "Description", Stored, ""),
    row("CreatePolicy", "Tags", Stored, ""),
    row("GetPolicy", "PolicyArn", Acts, ""),
    row("DeletePolicy", "PolicyArn", Acts, ""),
    row("ListPolicies", "Scope", Acts, ""),
    row("ListPolicies", "OnlyAttached", Acts, ""),
    row("ListPolicies", "PathPrefix", Acts, ""),
    row("ListPolicies", "PolicyUsageFilter", Acts, ""),
    row("ListPolicies", "Marker", Acts, ""),
    row("ListPolicies", "MaxItems", Acts, ""),
    row("CreatePolicyVersion", "PolicyArn", Acts, ""),
    row("CreatePolicyVersion", "PolicyDocument", Acts, ""),
    row("CreatePolicyVersion", "SetAsDefault", Acts, ""),
    row("GetPolicyVersion", "PolicyArn", Acts, ""),
    row("GetPolicyVersion", "VersionId", Acts, ""),
    row("DeletePolicyVersion", "PolicyArn", Acts, ""),
    row("DeletePolicyVersion", "VersionId", Acts, ""),
    row("ListPolicyVersions", "PolicyArn", Acts, ""),
    row("ListPolicyVersions", "Marker", Acts, ""),
    row("ListPolicyVersions", "MaxItems", Acts, ""),
    row("SetDefaultPolicyVersion", "PolicyArn", Acts, ""),
    row("SetDefaultPolicyVersion", "VersionId", Acts, ""),
    row("CreateUser", "Path", Acts, ""),
    row("CreateUser", "UserName", Acts, ""),
    row("CreateUser", "PermissionsBoundary", Stored, "must be a policy; not evaluated yet"),
    row("CreateUser", "Tags", Stored, ""),
    row("GetUser", "UserName", Acts, ""),
    row("DeleteUser", "UserName", Acts, ""),
    row("ListUsers", "PathPrefix", Acts, ""),
    row("ListUsers", "Marker", Acts, ""),
    row("ListUsers", "MaxItems", Acts, ""),
    row("CreateAccessKey", "UserName", Acts, ""),
    row("UpdateAccessKey", "UserName", Acts, ""),
    row("UpdateAccessKey", "AccessKeyId", Acts, ""),
    row("UpdateAccessKey", "Status", Acts, ""),
    row("DeleteAccessKey", "UserName", Acts, ""),
    row("DeleteAccessKey", "AccessKeyId", Acts, ""),
    row("ListAccessKeys", "UserName", Acts, ""),
    row("ListAccessKeys", "Marker", Acts, ""),
    row("ListAccessKeys", "MaxItems", Acts, ""),
];

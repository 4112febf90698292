//! IAM's and STS's faults, in their words.

use base::Fault;
use model::iam;

/// `NoSuchEntity`, 404: no such role.
pub(crate) fn no_role(name: &str) -> Fault {
    iam::no_such_entity_exception(format!("The role with name {name} cannot be found."))
}

/// `NoSuchEntity`, 404: no such user.
pub(crate) fn no_user(name: &str) -> Fault {
    iam::no_such_entity_exception(format!("The user with name {name} cannot be found."))
}

/// `NoSuchEntity`, 404: no such role, user or group.
pub(crate) fn none_such(word: &str, name: &str) -> Fault {
    iam::no_such_entity_exception(format!("The {word} with name {name} cannot be found."))
}

/// `NoSuchEntity`, 404: the role, user or group has no such inline policy.
pub(crate) fn no_inline(word: &str, name: &str) -> Fault {
    iam::no_such_entity_exception(format!("The {word} policy with name {name} cannot be found."))
}

/// `NoSuchEntity`, 404: no such instance profile.
pub(crate) fn no_instance_profile(name: &str) -> Fault {
    iam::no_such_entity_exception(format!("Instance Profile {name} cannot be found."))
}

/// `DeleteConflict`, 409: a role in an instance profile keeps both.
pub(crate) fn in_instance_profile() -> Fault {
    iam::delete_conflict_exception("Cannot delete entity, must remove roles from instance profile first.")
}

/// `UnmodifiableEntity`, 400: the role is its service's.
pub(crate) fn unmodifiable(name: &str) -> Fault {
    iam::unmodifiable_entity_exception(format!(
        "Cannot perform the operation on the protected role '{name}' - this role is only modifiable by AWS"
    ))
}

/// `NoSuchEntity`, 404: no such access key.
pub(crate) fn no_key(id: &str) -> Fault {
    iam::no_such_entity_exception(format!("The Access Key with id {id} cannot be found."))
}

/// `NoSuchEntity`, 404: no such managed policy.
pub(crate) fn no_policy(arn: &str) -> Fault {
    iam::no_such_entity_exception(format!("Policy {arn} was not found."))
}

/// `NoSuchEntity`, 404: a managed policy that cannot be attached, since it does not exist.
pub(crate) fn not_attachable(arn: &str) -> Fault {
    iam::no_such_entity_exception(format!("Policy {arn} does not exist or is not attachable."))
}

/// `NoSuchEntity`, 404: the policy has no such version.
pub(crate) fn no_version(arn: &str, version: &str) -> Fault {
    iam::no_such_entity_exception(format!("Policy {arn} version {version} does not exist or is not attachable."))
}

/// `LimitExceeded`, 409: a quota by its name.
pub(crate) fn quota(name: &str, limit: usize) -> Fault {
    iam::limit_exceeded_exception(format!("Cannot exceed quota for {name}: {limit}"))
}

/// `ValidationError`, 400.
pub(crate) fn invalid(message: impl Into<String>) -> Fault {
    Fault::new("ValidationError", 400, message)
}

/// `AccessDenied`, 403: query services name it without "Exception".
pub(crate) fn denied(message: impl Into<String>) -> Fault {
    Fault::new("AccessDenied", 403, message)
}

/// `MissingAuthenticationToken`, 403: the request is not signed.
pub(crate) fn unsigned() -> Fault {
    Fault::new("MissingAuthenticationToken", 403, "Request is missing Authentication Token")
}

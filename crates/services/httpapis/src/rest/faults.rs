//! The faults of API Gateway v1, in its words.

use base::{Account, Fault};
use model::apigateway as aws;

/// NotFoundException: there is no such API of this account in this region.
pub(crate) fn no_api(account: Account, id: &str) -> Fault {
    not_found(format!("Invalid API identifier specified {account}:{id}"))
}

/// NotFoundException: there is no such resource, or no such API to have it.
pub(crate) fn no_resource() -> Fault {
    not_found("Invalid Resource identifier specified")
}

/// NotFoundException: the resource has no such method.
pub(crate) fn no_method() -> Fault {
    not_found("Invalid Method identifier specified")
}

/// NotFoundException: the method has no integration.
pub(crate) fn no_integration() -> Fault {
    not_found("Invalid Integration identifier specified")
}

/// NotFoundException: there is no response for that status.
pub(crate) fn no_status() -> Fault {
    not_found("Invalid Response status code specified")
}

/// NotFoundException: there is no such deployment.
pub(crate) fn no_deployment() -> Fault {
    not_found("Invalid Deployment identifier specified")
}

/// NotFoundException: there is no such authorizer.
pub(crate) fn no_authorizer() -> Fault {
    not_found("Invalid Authorizer identifier specified")
}

/// NotFoundException: there is no such request validator.
pub(crate) fn no_validator() -> Fault {
    not_found("Invalid Request Validator identifier specified")
}

/// NotFoundException: there is no such model, or no such API to have it.
pub(crate) fn no_model(name: &str) -> Fault {
    not_found(format!("Invalid model name specified: {name}"))
}

/// NotFoundException: there is no such stage.
pub(crate) fn no_stage() -> Fault {
    not_found("Invalid stage identifier specified")
}

/// NotFoundException.
pub(crate) fn not_found(message: impl Into<String>) -> Fault {
    aws::not_found_exception(message)
}

/// BadRequestException.
pub(crate) fn bad(message: impl Into<String>) -> Fault {
    aws::bad_request_exception(message)
}

/// BadRequestException for an expression that maps values, as AWS wraps it.
pub(crate) fn unmapped(error: &str) -> Fault {
    bad(format!("Invalid mapping expression specified: Validation Result: warnings : [], errors : [{error}]"))
}

/// ConflictException.
pub(crate) fn conflict(message: impl Into<String>) -> Fault {
    aws::conflict_exception(message)
}

/// BadRequestException: a quota is used up.
pub(crate) fn too_many(what: &str, limit: usize) -> Fault {
    bad(format!("Maximum number of {what} for this API has been reached. The limit here is {limit}."))
}

/// NotImplemented: something of an operation that is not here.
pub(crate) fn absent(operation: &str, what: impl std::fmt::Display) -> Fault {
    Fault::not_implemented(format_args!("apigateway:{operation}: {what}"))
}

/// Refuses by name what an input asks for and is not here.
///
/// # Errors
/// NotImplemented.
pub(crate) fn refuse(operation: &str, named: &[(&str, bool)]) -> Result<(), Fault> {
    match named.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(absent(operation, name)),
        None => Ok(()),
    }
}

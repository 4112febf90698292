//! The faults of API Gateway v2, in its words.

use base::{Account, Fault};
use model::apigatewayv2 as aws;

/// NotFoundException: there is no such API of this account in this region.
pub(crate) fn no_api(account: Account, id: &str) -> Fault {
    not_found(format!("Invalid API identifier specified {account}:{id}"))
}

/// NotFoundException: the API has no such part.
pub(crate) fn no_part(what: &str) -> Fault {
    not_found(format!("Invalid {what} identifier specified"))
}

/// NotFoundException.
pub(crate) fn not_found(message: impl Into<String>) -> Fault {
    aws::not_found_exception(message)
}

/// BadRequestException.
pub(crate) fn bad(message: impl Into<String>) -> Fault {
    aws::bad_request_exception(message)
}

/// ConflictException.
pub(crate) fn conflict(message: impl Into<String>) -> Fault {
    aws::conflict_exception(message)
}

/// BadRequestException: a quota is used up.
pub(crate) fn too_many(what: &str, limit: usize) -> Fault {
    bad(format!("Maximum number of {what} has been reached. The limit here is {limit}."))
}

/// Refuses by name what an input asks for and is not here.
///
/// # Errors
/// NotImplemented.
pub(crate) fn refuse(operation: &str, named: &[(&str, bool)]) -> Result<(), Fault> {
    match named.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(Fault::not_implemented(format_args!("apigatewayv2:{operation}: {name}"))),
        None => Ok(()),
    }
}

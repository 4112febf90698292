//! The faults of this room in AWS's words.

use base::Fault;
use invoker::{Refusal, ThrottleReason};
use model::lambda as aws;

/// Lambda says of every fault of the client's making that the user made it.
pub(crate) fn user(fault: Fault) -> Fault {
    fault.with("Type", "User")
}

/// `InvalidParameterValueException`, 400.
pub(crate) fn invalid(message: impl Into<String>) -> Fault {
    user(aws::invalid_parameter_value_exception(message))
}

/// `ResourceNotFoundException`, 404.
pub(crate) fn not_found(message: impl Into<String>) -> Fault {
    user(aws::resource_not_found_exception(message))
}

/// A function, version or alias that is not there.
pub(crate) fn no_function(arn: &str) -> Fault {
    not_found(format!("Function not found: {arn}"))
}

/// `ResourceConflictException`, 409.
pub(crate) fn conflict(message: impl Into<String>) -> Fault {
    user(aws::resource_conflict_exception(message))
}

/// `PreconditionFailedException`, 412; `call` is what tells the latest revision.
pub(crate) fn stale(call: &str) -> Fault {
    user(aws::precondition_failed_exception(format!(
        "The Revision Id provided does not match the latest Revision Id. Call the {call} API to retrieve the latest \
         Revision Id"
    )))
}

/// A name that has none of the forms.
pub(crate) fn name_pattern(text: &str) -> Fault {
    Fault::validation(format!(
        "1 validation error detected: Value '{text}' at 'functionName' failed to satisfy constraint: Member must satisfy \
         regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{{2}}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{{1}}:)?\
         (\\d{{12}}:)?(function:)?([a-zA-Z0-9-_\\.]+)(:(\\$LATEST(\\.PUBLISHED)?|[a-zA-Z0-9-_]+))?"
    ))
}

/// A number or text outside what the model allows, in the model's words.
pub(crate) fn constraint(value: impl std::fmt::Display, member: &str, must: &str) -> Fault {
    Fault::validation(format!(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: Member must {must}"
    ))
}

/// A function of another account, which no policy opens.
pub(crate) fn other_account(name: &str) -> Fault {
    user(Fault::denied(format!(
        "You are not authorized to perform this operation on {name}: no resource-based policy allows it across accounts"
    )))
}

/// A request body that is too large for an operation. AWS's wire code differs from the model's name.
pub(crate) fn too_large(limit_bytes: usize, operation: &str) -> Fault {
    user(Fault::new(
        "RequestEntityTooLargeException",
        413,
        format!("Request must be smaller than {limit_bytes} bytes for the {operation} operation"),
    ))
}

/// What an invocation that never began looks like to its caller.
pub(crate) fn refused(refusal: &Refusal) -> Fault {
    match refusal {
        Refusal::Throttled { reason } => throttled(*reason),
        Refusal::Walls { message, fix } => {
            let fix = fix.as_ref().filter(|fix| !message.contains(fix.as_str()));
            let message = match fix {
                Some(fix) => format!("{message} To mend it: {fix}"),
                None => message.clone(),
            };
            aws::service_exception(message).with("Type", "Service")
        }
        Refusal::Restore { timeout: true } => {
            user(aws::snap_start_timeout_exception("Lambda couldn't restore the snapshot within the timeout limit."))
        }
        Refusal::Restore { timeout: false } => user(aws::snap_start_exception(
            "The afterRestore() runtime hook encountered an error. For more information, check the Amazon CloudWatch logs.",
        )),
        // The host's own limit stands for the account's: as many run as can.
        Refusal::Full(_) => {
            let mut fault = throttled(ThrottleReason::ConcurrentInvocationLimitExceeded);
            fault.message = format!("Rate Exceeded: {refusal}.");
            fault
        }
        Refusal::Busy(_) | Refusal::Draining => {
            Fault::new("ServiceException", 503, refusal.to_string()).with("Type", "Service").header("Retry-After", "1")
        }
    }
}

/// `TooManyRequestsException`, 429.
pub(crate) fn throttled(reason: ThrottleReason) -> Fault {
    user(aws::too_many_requests_exception("Rate Exceeded.")).with("Reason", reason.as_str()).header("Retry-After", "1")
}

/// A version whose snapshot is being made. `SnapStartNotReadyException`, 409.
pub(crate) fn not_ready() -> Fault {
    user(aws::snap_start_not_ready_exception(
        "Lambda is initializing your function. It will be ready to invoke once your function state becomes ACTIVE.",
    ))
}

/// A code signing configuration that is not there. `ResourceNotFoundException`, 404.
pub(crate) fn no_signing(arn: &str) -> Fault {
    not_found(format!("The Lambda code signing configuration {arn} can not be found."))
}

/// A code signing configuration that a function shall have and that is not there: another fault, 404.
pub(crate) fn no_signing_to_have(arn: &str) -> Fault {
    user(aws::code_signing_config_not_found_exception(format!(
        "The code signing configuration cannot be found. Check that the provided configuration is not deleted: {arn}."
    )))
}

/// What no allowed publisher has signed, where the policy is `Enforce`. `CodeVerificationFailedException`, 400.
pub(crate) fn unsigned(artifact: &str) -> Fault {
    user(aws::code_verification_failed_exception(format!(
        "Lambda cannot deploy the function. The function or layer might be signed using a signature that the client is \
         not configured to accept. Check the provided signature for {artifact}."
    )))
}

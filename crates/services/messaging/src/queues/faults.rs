//! The faults of SQS, in its words.

use base::Fault;
use model::sqs;

/// `AWS.SimpleQueueService.NonExistentQueue`
pub(crate) fn no_queue() -> Fault {
    sqs::queue_does_not_exist("The specified queue does not exist.")
}

/// `InvalidParameterValue`: SQS's own code for what its model does not say.
pub(crate) fn invalid(message: impl Into<String>) -> Fault {
    Fault::new("InvalidParameterValue", 400, message)
}

/// `InvalidParameterValue` of one parameter.
pub(crate) fn parameter(name: &str, value: impl std::fmt::Display, reason: impl std::fmt::Display) -> Fault {
    invalid(format!("Value {value} for parameter {name} is invalid. Reason: {reason}"))
}

/// `MissingParameter`
pub(crate) fn missing(name: &str) -> Fault {
    Fault::new("MissingParameter", 400, format!("The request must contain the parameter {name}."))
}

/// `InvalidAttributeName`
pub(crate) fn unknown_attribute(name: &str) -> Fault {
    sqs::invalid_attribute_name(format!("Unknown Attribute {name}."))
}

/// `InvalidAttributeValue`
pub(crate) fn attribute_value(name: &str) -> Fault {
    sqs::invalid_attribute_value(format!("Invalid value for the parameter {name}."))
}

/// `ReceiptHandleIsInvalid`
pub(crate) fn bad_handle(handle: &str) -> Fault {
    sqs::receipt_handle_is_invalid(format!("The input receipt handle \"{handle}\" is not a valid receipt handle."))
}

/// A parameter that queues of this kind do not take.
pub(crate) fn not_for_this_kind(name: &str, value: impl std::fmt::Display) -> Fault {
    parameter(name, value, "The request include parameter that is not valid for this queue type.")
}

/// `AccessDenied`: what only the queue's own account may do.
pub(crate) fn not_yours(url: &str) -> Fault {
    Fault::new("AccessDenied", 403, format!("Access to the resource {url} is denied."))
}

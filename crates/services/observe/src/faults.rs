//! The faults of CloudWatch Logs, in its words.

use base::Fault;
use model::logs;

/// `ResourceNotFoundException`: no such group.
pub(crate) fn no_group() -> Fault {
    logs::resource_not_found_exception("The specified log group does not exist.")
}

/// `ResourceNotFoundException`: no such stream.
pub(crate) fn no_stream() -> Fault {
    logs::resource_not_found_exception("The specified log stream does not exist.")
}

/// `ResourceAlreadyExistsException`: the group exists.
pub(crate) fn group_exists() -> Fault {
    logs::resource_already_exists_exception("The specified log group already exists")
}

/// `ResourceAlreadyExistsException`: the stream exists.
pub(crate) fn stream_exists() -> Fault {
    logs::resource_already_exists_exception("The specified log stream already exists")
}

/// `InvalidParameterException`.
pub(crate) fn invalid(message: impl Into<String>) -> Fault {
    logs::invalid_parameter_exception(message)
}

/// `InvalidParameterException`: the token is none of ours.
pub(crate) fn bad_token() -> Fault {
    invalid("The specified nextToken is invalid.")
}

/// `ResourceNotFoundException`: no such subscription filter.
pub(crate) fn no_subscription() -> Fault {
    logs::resource_not_found_exception("The specified subscription filter does not exist.")
}

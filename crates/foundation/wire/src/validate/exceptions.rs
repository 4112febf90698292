//! Where a service answers a broken constraint in its own way. A row for each; a service without rows has none.

use base::Fault;

use crate::{Member, Operation, Shape};

/// One such shape.
struct Exception {
    service: &'static str,
    shape: &'static str,
    code: &'static str,
    /// What follows the list of allowed values.
    after: &'static str,
}

/// Seen in the wild: `Value python3 at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: […] or
/// be a valid ARN` with InvalidParameterValueException, where every other enumeration answers ValidationException.
const ALL: &[Exception] = &[Exception {
    service: "lambda",
    shape: "Runtime",
    code: "InvalidParameterValueException",
    after: " or be a valid ARN",
}];

/// Enumerations that the service takes less literally than its model, or answers in words of its own: its room checks them.
const LEFT: &[(&str, &str)] = &[
    ("s3", "Event"),
    ("s3", "FilterRuleName"),
    ("sqs", "QueueAttributeName"),
    ("sqs", "MessageSystemAttributeName"),
    ("sqs", "MessageSystemAttributeNameForSends"),
];

/// Members that must be there and whose absence the service answers in words of its own: its room checks them.
const LEFT_IF_MISSING: &[(&str, &str)] = &[("sqs", "Entries"), ("sqs", "DataType")];

/// Whether a member that is not there is the room's to miss.
pub(super) fn may_be_missing(operation: &'static Operation, member: &'static Member) -> bool {
    LEFT_IF_MISSING.contains(&(operation.service.name, member.name))
}

/// Whether the values of a shape are the room's to check.
pub(super) fn is_left_to_the_room(operation: &'static Operation, shape: &'static Shape) -> bool {
    LEFT.contains(&(operation.service.name, shape.name))
}

/// Services that name the first parameter that is missing, before all else that is wrong, and what ends their sentence.
const NAMES_THE_MISSING: &[(&str, &str)] = &[("ec2", ""), ("sqs", ".")];

/// What ends the sentence of a service that names the first parameter that is missing, if it is one.
pub(super) fn names_the_missing(operation: &'static Operation) -> Option<&'static str> {
    NAMES_THE_MISSING.iter().find(|(service, _)| *service == operation.service.name).map(|(_, end)| *end)
}

/// S3's own faults for what its models forbid, by the shape that is broken: code and words.
const OF_S3: &[(&str, &str, &str)] = &[
    ("StorageClass", "InvalidStorageClass", "The storage class you specified is not valid"),
    ("CreateBucketConfiguration", "InvalidLocationConstraint", "The specified location-constraint is not valid"),
    ("ServerSideEncryption", "InvalidEncryptionAlgorithmError", "The encryption method specified is not supported"),
];

/// S3's own fault for a broken shape, if it has one.
pub(super) fn of_s3(shape: &'static Shape) -> Option<Fault> {
    let (_, code, words) = OF_S3.iter().find(|(name, ..)| *name == shape.name)?;
    Some(Fault::new(*code, 400, *words))
}

/// The service's own fault for a value outside the shape's enumeration.
pub(super) fn find(operation: &'static Operation, shape: &'static Shape, value: &str, path: &str) -> Option<Fault> {
    let row = ALL.iter().find(|row| row.service == operation.service.name && row.shape == shape.name)?;
    let words = super::enum_words(shape)?;
    let message = format!("Value {value} at '{path}' failed to satisfy constraint: {words}{}", row.after);
    Some(Fault::new(row.code, 400, message))
}

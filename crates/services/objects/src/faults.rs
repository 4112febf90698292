//! The faults of S3, in its words. Source: Amazon S3 API Reference, "Error responses".

use base::Fault;
use model::s3;

/// NoSuchBucket.
pub(crate) fn no_bucket(name: &str) -> Fault {
    s3::no_such_bucket("The specified bucket does not exist").with("BucketName", name)
}

/// NoSuchKey.
pub(crate) fn no_key(key: &str) -> Fault {
    s3::no_such_key("The specified key does not exist.").with("Key", key)
}

/// NoSuchVersion.
pub(crate) fn no_version(key: &str, id: &str) -> Fault {
    Fault::new("NoSuchVersion", 404, "The specified version does not exist.").with("Key", key).with("VersionId", id)
}

/// NoSuchUpload.
pub(crate) fn no_upload(id: &str) -> Fault {
    let words = "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.";
    s3::no_such_upload(words).with("UploadId", id)
}

/// AccessDenied.
pub(crate) fn denied() -> Fault {
    Fault::new("AccessDenied", 403, "Access Denied")
}

/// InvalidArgument.
pub(crate) fn argument(message: impl Into<String>, name: &str, value: &str) -> Fault {
    Fault::new("InvalidArgument", 400, message).with("ArgumentName", name).with("ArgumentValue", value)
}

/// InvalidRequest.
pub(crate) fn request(message: impl Into<String>) -> Fault {
    s3::invalid_request(message)
}

/// InvalidRequest: objects of this bucket cannot be locked.
pub(crate) fn no_lock() -> Fault {
    request("Bucket is missing Object Lock Configuration")
}

/// MethodNotAllowed: what was asked cannot be asked of a delete marker.
pub(crate) fn on_marker(method: &str) -> Fault {
    Fault::new("MethodNotAllowed", 405, "The specified method is not allowed against this resource.")
        .with("Method", method)
        .with("ResourceType", "DeleteMarker")
}

/// MalformedXML.
pub(crate) fn malformed() -> Fault {
    let words = "The XML you provided was not well-formed or did not validate against our published schema";
    Fault::new("MalformedXML", 400, words)
}

/// EntityTooLarge.
pub(crate) fn too_large(size_bytes: u64, limit_bytes: u64) -> Fault {
    Fault::new("EntityTooLarge", 400, "Your proposed upload exceeds the maximum allowed size")
        .with("ProposedSize", size_bytes.to_string())
        .with("MaxSizeAllowed", limit_bytes.to_string())
}

/// PreconditionFailed, naming the condition.
pub(crate) fn precondition(condition: &str) -> Fault {
    Fault::new("PreconditionFailed", 412, "At least one of the pre-conditions you specified did not hold")
        .with("Condition", condition)
}

/// BadDigest.
pub(crate) fn bad_digest(what: &str) -> Fault {
    Fault::new("BadDigest", 400, format!("The {what} you specified did not match the calculated checksum."))
}

/// AccessDenied for what the bucket keeps from being public.
pub(crate) fn blocked(caller: &str, action: &str, resource: &str, what: &str, setting: &str) -> Fault {
    let words = format!(
        "User: {caller} is not authorized to perform: {action} on resource: \"{resource}\" because public {what} are prevented by the {setting} setting in S3 Block Public Access."
    );
    Fault::new("AccessDenied", 403, words)
}

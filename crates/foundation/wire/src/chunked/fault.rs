//! What S3 says of a framed body that does not hold.

use base::Fault;

use crate::checksum::Algorithm;

pub(super) fn unsupported(value: &str) -> Fault {
    let words = "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, \
                 STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, \
                 STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER or a valid \
                 sha256 value.";
    Fault::new("InvalidArgument", 400, words).with("ArgumentName", "x-amz-content-sha256").with("ArgumentValue", value)
}

pub(super) fn incomplete() -> Fault {
    Fault::new("IncompleteBody", 400, "The request body terminated unexpectedly")
}

pub(super) fn no_length() -> Fault {
    Fault::new("MissingContentLength", 411, "You must provide the Content-Length HTTP header.")
}

/// A chunk before the last was too small: found at chunk `number`, counted from one.
pub(super) fn small(number: u64, size: u64) -> Fault {
    let words = "Only the last chunk is allowed to have a size less than 8192 bytes";
    Fault::new("InvalidChunkSizeError", 400, words)
        .with("Chunk", number.to_string())
        .with("BadChunkSize", size.to_string())
}

pub(super) fn trailer() -> Fault {
    let words =
        "The request contained trailing data that was not well-formed or did not conform to our published schema.";
    Fault::new("MalformedTrailerError", 400, words)
}

pub(super) fn invalid_checksum(algorithm: Algorithm) -> Fault {
    Fault::new("InvalidRequest", 400, format!("Value for {} trailing header is invalid.", algorithm.header()))
}

pub(super) fn digest(algorithm: Algorithm) -> Fault {
    let words = format!("The {} you specified did not match the calculated checksum.", algorithm.name());
    Fault::new("BadDigest", 400, words)
}

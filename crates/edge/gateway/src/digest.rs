//! What a head says of a body that was read whole. Source: Amazon S3 User Guide, "Checking object integrity in Amazon S3".
//!
//! A body that an operation reads as it comes is checked by the operation.

use base::Fault;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use md5::{Digest, Md5};
use wire::checksum::{Algorithm, Checksum};

/// Whether the head says anything by which the body can be checked. Faults with InvalidRequest.
pub(crate) fn require(headers: &HeaderMap) -> Result<(), Fault> {
    let given = |algorithm: &Algorithm| headers.contains_key(algorithm.header());
    if headers.contains_key("content-md5") || Algorithm::ALL.iter().any(given) {
        return Ok(());
    }
    Err(Fault::new("InvalidRequest", 400, "Missing required header for this request: Content-MD5"))
}

/// Whether the body is what `Content-MD5` and the `x-amz-checksum-` headers say.
///
/// # Errors
/// InvalidDigest, BadDigest, InvalidRequest: S3's.
pub(crate) fn check(headers: &HeaderMap, body: &[u8]) -> Result<(), Fault> {
    if let Some(given) = headers.get("content-md5") {
        let given = given.to_str().unwrap_or_default();
        let wanted = STANDARD.decode(given).ok().filter(|digest| digest.len() == 16).ok_or_else(|| {
            Fault::new("InvalidDigest", 400, "The Content-MD5 you specified was invalid.").with("Content-MD5", given)
        })?;
        let actual = Md5::digest(body);
        if wanted != actual[..] {
            let words = "The Content-MD5 you specified did not match what we received.";
            return Err(Fault::new("BadDigest", 400, words)
                .with("ExpectedDigest", given)
                .with("CalculatedDigest", STANDARD.encode(actual)));
        }
    }
    for algorithm in Algorithm::ALL {
        let Some(given) = headers.get(algorithm.header()) else { continue };
        let given = given.to_str().unwrap_or_default();
        if STANDARD.decode(given).ok().is_none_or(|bytes| bytes.len() != algorithm.length()) {
            let words = format!("Value for {} header is invalid.", algorithm.header());
            return Err(Fault::new("InvalidRequest", 400, words));
        }
        let mut checksum = Checksum::new(algorithm);
        checksum.update(body);
        if checksum.finish() != given {
            let words = format!("The {} you specified did not match the calculated checksum.", algorithm.name());
            return Err(Fault::new("BadDigest", 400, words));
        }
    }
    Ok(())
}

//! Signature Version 2 in the query string of S3's presigned URLs, which SDKs still make by default for the oldest regions.
//!
//! Source: Amazon S3 User Guide, "Signing and authenticating REST requests (Signature Version 2)".

use std::collections::BTreeMap;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base::{Fault, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::Request;
use crate::sigv4::mismatch_s3;

/// Parameters that are part of the resource that is signed.
const SIGNED: [&str; 28] = [
    "accelerate",
    "acl",
    "cors",
    "delete",
    "encryption",
    "lifecycle",
    "location",
    "logging",
    "notification",
    "partNumber",
    "policy",
    "publicAccessBlock",
    "replication",
    "requestPayment",
    "restore",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
    "object-lock",
    "legal-hold",
    "retention",
    "select",
    "select-type",
];

/// What a presigned URL says of who signed it. Nothing in it is proven before [`Claim::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The access key's id.
    pub key_id: String,
    /// The session token that came along.
    pub token: Option<String>,
    signature: String,
    /// Seconds since the epoch.
    expires_s: i64,
}

/// The claim of a presigned URL; none when it is not signed so.
pub fn parse(request: &Request) -> Option<Claim> {
    if !request.query.contains("AWSAccessKeyId=") {
        return None;
    }
    let pairs: BTreeMap<_, _> = form_urlencoded::parse(request.query.as_bytes()).collect();
    let text = |name: &str| pairs.get(name).map(|value| value.to_string());
    Some(Claim {
        key_id: text("AWSAccessKeyId")?,
        token: text("x-amz-security-token"),
        signature: text("Signature")?,
        expires_s: text("Expires")?.parse().ok()?,
    })
}

/// The signature of a text: base64.
pub fn sign(secret: &str, text: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    STANDARD.encode(hmac::sign(&key, text.as_bytes()).as_ref())
}

/// Whether a text is signed so with the secret. Faults with SignatureDoesNotMatch.
pub fn verify(secret: &str, text: &str, signature: &str) -> Result<(), Fault> {
    verify_slices_are_equal(sign(secret, text).as_bytes(), signature.as_bytes()).map_err(|_| mismatch_s3())
}

impl Claim {
    /// Checks expiry and signature. `path` is the path with the bucket in front, percent-encoded as sent; `now` is the signing
    /// clock's. Faults with AccessDenied, SignatureDoesNotMatch.
    pub fn verify(&self, request: &Request, path: &str, secret: &str, now: Timestamp) -> Result<(), Fault> {
        if now.0 > self.expires_s.saturating_mul(1000) {
            return Err(Fault::new("AccessDenied", 403, "Request has expired"));
        }
        verify(secret, &self.text(request, path), &self.signature)
    }

    fn text(&self, request: &Request, path: &str) -> String {
        // What a client cannot send as a header in a URL stands in its query.
        let query: Vec<_> = form_urlencoded::parse(request.query.as_bytes()).collect();
        let of_query = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.to_string());
        let of_head = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let either = |name: &str| of_query(name).or_else(|| of_head(name)).unwrap_or_default();
        let mut amz: BTreeMap<String, String> = BTreeMap::new();
        for name in request.headers.keys().filter(|name| name.as_str().starts_with("x-amz-")) {
            let values: Vec<_> = request.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
            amz.insert(name.as_str().to_owned(), values.join(","));
        }
        let in_query = query.iter().filter(|(name, _)| name.starts_with("x-amz-"));
        amz.extend(in_query.map(|(name, value)| (name.to_string(), value.to_string())));
        let mut parts: Vec<_> = query
            .iter()
            .filter(|(name, _)| SIGNED.contains(&&**name) || name.starts_with("response-"))
            .map(|(name, value)| if value.is_empty() { name.to_string() } else { format!("{name}={value}") })
            .collect();
        parts.sort();
        let mut out =
            format!("{}\n{}\n{}\n{}\n", request.method, either("content-md5"), either("content-type"), self.expires_s);
        for (name, value) in &amz {
            out.push_str(&format!("{name}:{}\n", value.trim()));
        }
        out.push_str(path);
        if !parts.is_empty() {
            out.push('?');
            out.push_str(&parts.join("&"));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: http::Method, path: &str, query: &str) -> Request {
        let headers = http::HeaderMap::new();
        Request { method, path: path.into(), query: query.into(), headers, body: bytes::Bytes::new() }
    }

    /// The example of the guide: "Query string request authentication alternative".
    #[test]
    fn the_guides_example_holds() {
        let query = "AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D&Expires=1175139620";
        let request = request(http::Method::GET, "/photos/puppy.jpg", query);
        let claim = parse(&request).unwrap();
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let path = "/johnsmith/photos/puppy.jpg";
        let now = Timestamp(1_175_139_619_000);
        assert_eq!(claim.verify(&request, path, secret, now), Ok(()));
        assert_eq!(claim.verify(&request, path, "other", now).unwrap_err().code, "SignatureDoesNotMatch");
        assert_eq!(claim.verify(&request, "/other", secret, now).unwrap_err().code, "SignatureDoesNotMatch");
        assert_eq!(claim.verify(&request, path, secret, now.plus_ms(2000)).unwrap_err().code, "AccessDenied");
        assert_eq!(parse(&self::request(http::Method::GET, "/", "a=b")), None);
    }
}

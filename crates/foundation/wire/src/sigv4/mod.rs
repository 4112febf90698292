//! AWS Signature Version 4: what a signed request claims, whether the claim holds, and how our own client signs.
//!
//! Source: AWS, "Signature Version 4 signing process" (IAM User Guide). Times are given by the caller: nothing here reads
//! a clock.

mod body;
mod canonical;
mod claim;
mod fault;
mod form;
pub(crate) mod key;
mod sign;

pub use body::BodyHash;
pub use claim::{Claim, Kind, parse};
pub use fault::{missing, unknown_key, wrong_token};
pub use form::FormClaim;
pub use sign::{Signer, sign};

pub(crate) use canonical::{basic, hex};
pub(crate) use fault::mismatch_s3;

use std::borrow::Cow;

use crate::Request;

/// The algorithm's name; the others (asymmetric SigV4a) are not offered.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The end of every credential scope.
const TERMINATOR: &str = "aws4_request";

/// How far a request's date may be from ours, either way.
const SKEW_MS: i64 = 15 * 60 * 1000;

/// The longest life of a presigned URL, in seconds: seven days.
const LONGEST_EXPIRY_S: i64 = 604_800;

/// What a signature is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The day, `YYYYMMDD`.
    pub date: String,
    /// The region, for example `us-east-1`.
    pub region: String,
    /// The signing name of the service, for example `lambda`.
    pub service: String,
}

/// The signing name of the service for which a request says it is signed, valid or not: for routing, never for trust.
pub fn service_of(request: &Request) -> Option<Cow<'_, str>> {
    let header = request.headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if let Some(header) = header {
        let [_, _, service] = scope_of(credential_in(header)?)?;
        return Some(Cow::Borrowed(service));
    }
    if request.query.is_empty() {
        return None;
    }
    let credential = form_urlencoded::parse(request.query.as_bytes())
        .find(|(name, _)| name == "X-Amz-Credential")
        .and_then(|(_, credential)| scope_of(&credential).map(|[_, _, service]| Cow::Owned(service.to_owned())));
    // Version 2 names neither a region nor a service, but only S3's presigned URLs have it still.
    credential.or_else(|| crate::sigv2::parse(request).map(|_| Cow::Borrowed("s3")))
}

/// What follows `Credential=` in an `Authorization` header.
fn credential_in(header: &str) -> Option<&str> {
    let start = header.match_indices('=').find_map(|(at, _)| header[..at].ends_with("Credential").then_some(at + 1))?;
    header[start..].split([',', ' ']).next()
}

/// Date, region and service of a credential. Key ids hold no slash, so the scope is the last four parts.
fn scope_of(credential: &str) -> Option<[&str; 3]> {
    let mut parts = credential.rsplit('/');
    (parts.next()? == TERMINATOR).then_some(())?;
    let (service, region, date) = (parts.next()?, parts.next()?, parts.next()?);
    parts.next()?;
    Some([date, region, service])
}

impl Scope {
    /// As it stands in the string to sign.
    pub(crate) fn text(&self) -> String {
        format!("{}/{}/{}/{TERMINATOR}", self.date, self.region, self.service)
    }
}

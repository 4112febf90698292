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

impl Scope {
    /// The scope a request names, valid or not: for routing, never for trust.
    pub fn of(request: &Request) -> Option<Self> {
        let header = request.headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        if let Some(header) = header {
            let (_, credential) = header.split_once("Credential=")?;
            return Self::of_credential(credential.split([',', ' ']).next()?);
        }
        let credential = form_urlencoded::parse(request.query.as_bytes())
            .find(|(name, _)| name == "X-Amz-Credential")
            .and_then(|(_, credential)| Self::of_credential(&credential));
        // Version 2 names neither a region nor a service, but only S3's presigned URLs have it still.
        let older = || crate::sigv2::parse(request).map(|_| Self::of_store());
        credential.or_else(older)
    }

    /// What a signature is good for that says nothing of it: S3, in its first region.
    fn of_store() -> Self {
        Self { date: String::new(), region: "us-east-1".into(), service: "s3".into() }
    }

    /// Key ids hold no slash, so the scope is the last four parts.
    fn of_credential(credential: &str) -> Option<Self> {
        let mut parts = credential.rsplit('/');
        (parts.next()? == TERMINATOR).then_some(())?;
        let (service, region, date) = (parts.next()?, parts.next()?, parts.next()?);
        parts.next()?;
        Some(Self { date: date.into(), region: region.into(), service: service.into() })
    }

    /// As it stands in the string to sign.
    pub(crate) fn text(&self) -> String {
        format!("{}/{}/{}/{TERMINATOR}", self.date, self.region, self.service)
    }
}

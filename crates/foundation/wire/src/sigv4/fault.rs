//! What AWS says of a bad signature, which differs by the kind of service.

use base::{Fault, Timestamp};

use super::canonical::basic;
use super::{SKEW_MS, service_of};
use crate::{Request, TimestampFormat, moment};

const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
                        Access Key and signing method. Consult the service documentation for details.";
const UNKNOWN_KEY: &str = "The security token included in the request is invalid.";

/// Whose codes and statuses apply: JSON services answer every client error with 400, REST ones with 403.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Json,
    Rest,
    Query,
    S3,
}

/// The request carries no signature and the operation needs one.
pub fn missing(request: &Request) -> Fault {
    match Dialect::of(request) {
        Dialect::Query => Fault::new("MissingAuthenticationToken", 403, "Request is missing Authentication Token"),
        Dialect::S3 => Fault::new("AccessDenied", 403, "Access Denied"),
        dialect => Fault::new("MissingAuthenticationTokenException", dialect.status(), "Missing Authentication Token"),
    }
}

/// Nobody made the access key.
pub fn unknown_key(request: &Request) -> Fault {
    match Dialect::of(request) {
        Dialect::Query => Fault::new("InvalidClientTokenId", 403, UNKNOWN_KEY),
        Dialect::S3 => {
            Fault::new("InvalidAccessKeyId", 403, "The AWS Access Key Id you provided does not exist in our records.")
        }
        dialect => Fault::new("UnrecognizedClientException", dialect.status(), UNKNOWN_KEY),
    }
}

/// The session token is missing or not the key's; `expired` when its time is over.
pub fn wrong_token(request: &Request, expired: bool) -> Fault {
    let dialect = Dialect::of(request);
    match (dialect, expired) {
        (Dialect::S3, true) => Fault::new("ExpiredToken", 400, "The provided token has expired."),
        (Dialect::S3, false) => {
            Fault::new("InvalidToken", 400, "The provided token is malformed or otherwise invalid.")
        }
        (Dialect::Query, true) => {
            Fault::new("ExpiredToken", 403, "The security token included in the request is expired")
        }
        (_, true) => Fault::new(
            "ExpiredTokenException",
            dialect.status(),
            "The security token included in the request is expired",
        ),
        (_, false) => unknown_key(request),
    }
}

/// A chunk's signature does not hold; only S3 has such.
pub(crate) fn mismatch_s3() -> Fault {
    Dialect::S3.mismatch()
}

impl Dialect {
    pub(super) fn of(request: &Request) -> Self {
        let text = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        // An object may be anything, a form too, so what is signed for S3 is S3's.
        if service_of(request).is_some_and(|service| service == "s3") {
            Self::S3
        } else if request.query.contains("X-Amz-Algorithm=") && !request.query.contains("X-Amz-Credential=") {
            // A presigned URL that lost the part that names its service: hardly any but S3's are handed around.
            Self::S3
        } else if request.headers.contains_key("x-amz-target") {
            Self::Json
        } else if text("content-type").starts_with("application/x-www-form-urlencoded")
            || request.query.contains("Action=")
        {
            Self::Query
        } else {
            Self::Rest
        }
    }

    fn status(self) -> u16 {
        if self == Self::Json { 400 } else { 403 }
    }

    pub(super) fn incomplete(self, words: String) -> Fault {
        match self {
            Self::Json | Self::Rest => Fault::new("IncompleteSignatureException", self.status(), words),
            Self::Query => Fault::new("IncompleteSignature", 400, words),
            Self::S3 => Fault::new("AuthorizationHeaderMalformed", 400, words),
        }
    }

    pub(super) fn mismatch(self) -> Fault {
        let words = match self {
            Self::S3 => {
                "The request signature we calculated does not match the signature you provided. Check your key and signing method."
            }
            _ => MISMATCH,
        };
        self.mismatch_with(words)
    }

    pub(super) fn mismatch_with(self, words: impl Into<String>) -> Fault {
        match self {
            Self::Json | Self::Rest => Fault::new("InvalidSignatureException", self.status(), words),
            Self::Query | Self::S3 => Fault::new("SignatureDoesNotMatch", 403, words),
        }
    }

    pub(super) fn too_late(self, date: Timestamp, now: Timestamp) -> Fault {
        let edge = now.plus_ms(-SKEW_MS);
        let words = format!(
            "Signature expired: {} is now earlier than {} ({} - 15 min.)",
            basic(date),
            basic(edge),
            basic(now)
        );
        self.skewed(words, date, now)
    }

    pub(super) fn too_early(self, date: Timestamp, now: Timestamp) -> Fault {
        let edge = now.plus_ms(SKEW_MS);
        let words = format!(
            "Signature not yet current: {} is still later than {} ({} + 15 min.)",
            basic(date),
            basic(edge),
            basic(now)
        );
        self.skewed(words, date, now)
    }

    fn skewed(self, words: String, date: Timestamp, now: Timestamp) -> Fault {
        if self == Self::S3 {
            let words = "The difference between the request time and the current time is too large.";
            return Fault::new("RequestTimeTooSkewed", 403, words)
                .with("RequestTime", basic(date))
                .with("ServerTime", moment::print(now, TimestampFormat::Iso8601))
                .with("MaxAllowedSkewMilliseconds", SKEW_MS.to_string());
        }
        self.mismatch_with(words)
    }

    pub(super) fn expired_url(self, date: Timestamp, expires_s: i64, now: Timestamp) -> Fault {
        let shown = |moment| moment::print(moment, TimestampFormat::Iso8601);
        match self {
            Self::S3 => Fault::new("AccessDenied", 403, "Request has expired")
                .with("X-Amz-Expires", expires_s.to_string())
                .with("Expires", shown(date.plus_ms(expires_s.saturating_mul(1000))))
                .with("ServerTime", shown(now)),
            _ => Fault::new("RequestExpired", 400, "Request has expired."),
        }
    }

    /// S3: whoever holds a signed request must not add to what it says.
    pub(super) fn not_signed(names: &str) -> Fault {
        let words = "There were headers present in the request which were not signed";
        Fault::new("AccessDenied", 403, words).with("HeadersNotSigned", names)
    }

    /// What is wrong with a presigned URL's parameters, as S3 says it and as the others do.
    fn parameters(self, of_s3: &str, otherwise: String) -> Fault {
        match self {
            Self::S3 => Fault::new("AuthorizationQueryParametersError", 400, of_s3),
            _ => self.incomplete(otherwise),
        }
    }

    pub(super) fn unsupported(self, algorithm: &str) -> Fault {
        let words = "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256\"";
        self.parameters(words, format!("Unsupported AWS 'algorithm': '{algorithm}'."))
    }

    pub(super) fn lacks(self, name: &str) -> Fault {
        let words = "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, \
                     X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.";
        let otherwise =
            format!("AWS query-string parameters must include '{name}'. Re-examine the query-string parameters.");
        self.parameters(words, otherwise)
    }

    pub(super) fn bad_date(self) -> Fault {
        let words = "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"";
        let otherwise = "Date must be in ISO-8601 'basic format'. See http://en.wikipedia.org/wiki/ISO_8601.";
        self.parameters(words, otherwise.to_owned())
    }

    /// `expiry` is what was asked for, seconds; none when it is no number.
    pub(super) fn bad_expiry(self, expiry: Option<i64>) -> Fault {
        let words = match expiry {
            None => "X-Amz-Expires should be a number",
            Some(..0) => "X-Amz-Expires must be non-negative",
            Some(_) => {
                "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than \
                 604800 seconds"
            }
        };
        self.parameters(words, words.to_owned())
    }

    pub(super) fn wrong_hash(self, named: &str, computed: &str) -> Fault {
        match self {
            Self::S3 => Fault::new(
                "XAmzContentSHA256Mismatch",
                400,
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
            )
            .with("ClientComputedContentSHA256", named)
            .with("S3ComputedContentSHA256", computed),
            _ => self.mismatch(),
        }
    }
}

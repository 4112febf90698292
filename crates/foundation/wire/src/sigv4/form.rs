//! A form that a page posts to a bucket: its policy is what is signed.
//!
//! Source: Amazon S3 API Reference, "Authenticating requests: browser-based uploads using POST (AWS Signature Version 4)".

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base::Fault;

use super::canonical::hex;
use super::fault::Dialect;
use super::{ALGORITHM, Scope, key, scope_of};

/// What the fields of a form say of who signed its policy. Nothing in it is proven before [`FormClaim::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormClaim {
    /// The access key's id.
    pub key_id: String,
    /// What the signature is good for.
    pub scope: Scope,
    /// The signature, lower-case hexadecimal.
    pub signature: String,
    /// The session token that came along.
    pub token: Option<String>,
}

impl FormClaim {
    /// Reads the fields `x-amz-algorithm`, `x-amz-credential`, `x-amz-signature` and `x-amz-security-token`. Faults with
    /// InvalidRequest for another algorithm, InvalidArgument for a credential that is none.
    pub fn of(algorithm: &str, credential: &str, signature: &str, token: Option<&str>) -> Result<Self, Fault> {
        if algorithm != ALGORITHM {
            let words = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.";
            return Err(Fault::new("InvalidRequest", 400, words));
        }
        let malformed = || {
            let words = "Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".";
            Fault::new("InvalidArgument", 400, words)
                .with("ArgumentName", "X-Amz-Credential")
                .with("ArgumentValue", credential)
        };
        let key_id = credential.split('/').next().filter(|id| !id.is_empty()).ok_or_else(malformed)?;
        let [date, region, service] = scope_of(credential).ok_or_else(malformed)?;
        let scope = Scope { date: date.to_owned(), region: region.to_owned(), service: service.to_owned() };
        Ok(Self { key_id: key_id.to_owned(), scope, signature: signature.to_owned(), token: token.map(str::to_owned) })
    }

    /// Whether the policy, as it stands in the form, is signed with the key's secret. Faults with SignatureDoesNotMatch.
    pub fn verify(&self, secret: &str, policy: &str) -> Result<(), Fault> {
        let expected = hex(key::sign(secret, &self.scope, policy.as_bytes()).as_ref());
        verify_slices_are_equal(expected.as_bytes(), self.signature.as_bytes()).map_err(|_| {
            Dialect::S3
                .mismatch()
                .with("AWSAccessKeyId", self.key_id.clone())
                .with("StringToSign", policy)
                .with("SignatureProvided", self.signature.clone())
        })
    }
}

use std::fmt;
use std::str::FromStr;

/// An Amazon Resource Name: `arn:partition:service:region:account:resource`.
/// Source: AWS General Reference, "Amazon Resource Names".
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Arn {
    /// `aws` unless told otherwise.
    pub partition: String,
    /// For example `lambda`.
    pub service: String,
    /// May be empty (IAM, S3).
    pub region: String,
    /// Twelve digits, or empty (S3).
    pub account: String,
    /// The rest, colons and slashes included.
    pub resource: String,
}

/// The text is not an ARN.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an ARN: expected arn:partition:service:region:account:resource")]
pub struct ArnError(String);

impl Arn {
    /// An ARN in partition `aws`.
    pub fn new(service: &str, region: &str, account: &str, resource: impl Into<String>) -> Self {
        Self {
            partition: "aws".into(),
            service: service.into(),
            region: region.into(),
            account: account.into(),
            resource: resource.into(),
        }
    }
}

impl FromStr for Arn {
    type Err = ArnError;
    fn from_str(text: &str) -> Result<Self, ArnError> {
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next().ok_or_else(|| ArnError(text.into()));
        let (arn, partition, service, region, account, resource) =
            (next()?, next()?, next()?, next()?, next()?, next()?);
        if arn != "arn" || partition.is_empty() || service.is_empty() || resource.is_empty() {
            return Err(ArnError(text.into()));
        }
        Ok(Self {
            partition: partition.into(),
            service: service.into(),
            region: region.into(),
            account: account.into(),
            resource: resource.into(),
        })
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, service, region, account, resource } = self;
        write!(f, "arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}

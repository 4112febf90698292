//! How a bucket encrypts what comes without a word on it. Everything is encrypted, so the only choice here is the platform's own key.
//! Source: Amazon S3 User Guide, "Setting default server-side encryption behavior" (SSE-S3 for every bucket since January 2023).

use model::s3::{
    GetBucketEncryptionOutput, ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration,
    ServerSideEncryptionRule,
};
use wire::Unit;

use super::{kept, operation};
use crate::aws::refuse;
use crate::faults;

const NAME: &str = "encryption";

operation!(GetBucketEncryption: GetBucketEncryptionRequest => GetBucketEncryptionOutput, |room, _, input| {
    let bucket = room.bucket(input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
    let configuration = kept(&bucket, NAME)?.unwrap_or_else(by_default);
    Ok(GetBucketEncryptionOutput { server_side_encryption_configuration: Some(configuration) })
});

operation!(PutBucketEncryption: PutBucketEncryptionRequest => Unit, |room, _, input| {
    let configuration = input.server_side_encryption_configuration.unwrap_or_default();
    let [rule] = configuration.rules.as_deref().unwrap_or_default() else { return Err(faults::malformed()) };
    let blocked = rule.blocked_encryption_types.as_ref().and_then(|types| types.encryption_type.as_deref());
    refuse(&[("BlockedEncryptionTypes", blocked.unwrap_or_default().iter().any(|kind| kind != "NONE"))])?;
    let Some(wanted) = &rule.apply_server_side_encryption_by_default else { return Err(faults::malformed()) };
    match wanted.sse_algorithm.as_deref() {
        Some("AES256") => {}
        Some("aws:kms" | "aws:kms:dsse") => refuse(&[("SSEAlgorithm aws:kms", true)])?,
        _ => return Err(faults::malformed()),
    }
    if wanted.kms_master_key_id.is_some() {
        let words = "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse";
        return Err(faults::argument(words, "ApplyServerSideEncryptionByDefault", ""));
    }
    room.configure(input.bucket, input.expected_bucket_owner, NAME, &configuration).await?;
    Ok(Unit)
});

operation!(DeleteBucketEncryption: DeleteBucketEncryptionRequest => Unit, |room, _, input| {
    room.unconfigure(input.bucket, input.expected_bucket_owner, NAME).await?;
    Ok(Unit)
});

/// What every bucket has.
fn by_default() -> ServerSideEncryptionConfiguration {
    let rule = ServerSideEncryptionRule {
        apply_server_side_encryption_by_default: Some(ServerSideEncryptionByDefault {
            sse_algorithm: Some("AES256".into()),
            kms_master_key_id: None,
        }),
        bucket_key_enabled: Some(false),
        ..ServerSideEncryptionRule::default()
    };
    ServerSideEncryptionConfiguration { rules: Some(vec![rule]) }
}

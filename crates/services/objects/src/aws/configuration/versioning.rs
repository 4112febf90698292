//! Whether a bucket keeps what is overwritten. Source: Amazon S3 API Reference, `PutBucketVersioning`.

use base::Fault;
use model::s3::GetBucketVersioningOutput;
use wire::Unit;

use super::operation;
use crate::aws::refuse;
use crate::faults;
use crate::types::Versioning;

operation!(GetBucketVersioning: GetBucketVersioningRequest => GetBucketVersioningOutput, |room, _, input| {
    let bucket = room.bucket(input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
    let status = bucket.versioning.map(|versioning| versioning.word().to_owned());
    Ok(GetBucketVersioningOutput { status, ..GetBucketVersioningOutput::default() })
});

operation!(PutBucketVersioning: PutBucketVersioningRequest => Unit, |room, _, input| {
    let wanted = input.versioning_configuration.unwrap_or_default();
    refuse(&[("MFA", input.mfa.is_some()), ("MfaDelete", wanted.mfa_delete.is_some_and(|it| it != "Disabled"))])?;
    let versioning = match wanted.status.as_deref() {
        Some("Enabled") => Versioning::Enabled,
        Some("Suspended") => Versioning::Suspended,
        Some(_) => return Err(faults::malformed()),
        None => {
            let words = "The Versioning element must be specified";
            return Err(Fault::new("IllegalVersioningConfigurationException", 400, words));
        }
    };
    room.edit(input.bucket, input.expected_bucket_owner.as_deref(), move |bucket| {
        if bucket.object_lock && versioning == Versioning::Suspended {
            let words = "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.";
            return Err(Fault::new("InvalidBucketState", 409, words));
        }
        bucket.versioning = Some(versioning);
        Ok(())
    })
    .await?;
    Ok(Unit)
});

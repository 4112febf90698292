//! Which pages may use a bucket. Source: Amazon S3 API Reference, `PutBucketCors`.

use model::s3::{CORSConfiguration, GetBucketCorsOutput};
use wire::Unit;

use super::{kept, none, operation};
use crate::rules::cors;
use crate::settled::CORS;

operation!(GetBucketCors: GetBucketCorsRequest => GetBucketCorsOutput, |room, _, input| {
    let bucket = room.bucket(input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
    let absent = || none("NoSuchCORSConfiguration", "The CORS configuration does not exist", input.bucket.as_deref());
    let configuration: CORSConfiguration = kept(&bucket, CORS)?.ok_or_else(absent)?;
    Ok(GetBucketCorsOutput { cors_rules: configuration.cors_rules })
});

operation!(PutBucketCors: PutBucketCorsRequest => Unit, |room, _, input| {
    let configuration = input.cors_configuration.unwrap_or_default();
    cors::check(configuration.cors_rules.as_deref().unwrap_or_default())?;
    room.configure(input.bucket, input.expected_bucket_owner, CORS, &configuration).await?;
    Ok(Unit)
});

operation!(DeleteBucketCors: DeleteBucketCorsRequest => Unit, |room, _, input| {
    room.unconfigure(input.bucket, input.expected_bucket_owner, CORS).await?;
    Ok(Unit)
});

//! The website of a bucket, as it is configured. Source: Amazon S3 API Reference, `PutBucketWebsite`.

use model::s3::{GetBucketWebsiteOutput, WebsiteConfiguration};
use wire::Unit;

use super::{kept, none, operation};
use crate::rules::website;
use crate::settled::WEBSITE;

operation!(GetBucketWebsite: GetBucketWebsiteRequest => GetBucketWebsiteOutput, |room, _, input| {
    let bucket = room.bucket(input.bucket.as_deref(), input.expected_bucket_owner.as_deref())?;
    let absent = || {
        let words = "The specified bucket does not have a website configuration";
        none("NoSuchWebsiteConfiguration", words, input.bucket.as_deref())
    };
    let configuration: WebsiteConfiguration = kept(&bucket, WEBSITE)?.ok_or_else(absent)?;
    Ok(GetBucketWebsiteOutput {
        redirect_all_requests_to: configuration.redirect_all_requests_to,
        index_document: configuration.index_document,
        error_document: configuration.error_document,
        routing_rules: configuration.routing_rules,
    })
});

operation!(PutBucketWebsite: PutBucketWebsiteRequest => Unit, |room, _, input| {
    let configuration = input.website_configuration.unwrap_or_default();
    website::check(&configuration)?;
    room.configure(input.bucket, input.expected_bucket_owner, WEBSITE, &configuration).await?;
    Ok(Unit)
});

operation!(DeleteBucketWebsite: DeleteBucketWebsiteRequest => Unit, |room, _, input| {
    room.unconfigure(input.bucket, input.expected_bucket_owner, WEBSITE).await?;
    Ok(Unit)
});

//! The condition keys of S3.

use door::{ConditionKeys, Subject};
use wire::Operation;

use super::tags;
use crate::rules::tags::of_header;
use crate::types::{Bucket, Version};

/// Keys that are a member of the input, and the member. `s3:x-amz-content-sha256` and those on the signature's form are not known here.
const OF_MEMBERS: [(&str, &str); 24] = [
    ("s3:VersionId", "VersionId"),
    ("s3:delimiter", "Delimiter"),
    ("s3:max-keys", "MaxKeys"),
    ("s3:prefix", "Prefix"),
    ("s3:if-match", "IfMatch"),
    ("s3:if-none-match", "IfNoneMatch"),
    ("s3:object-lock-legal-hold", "ObjectLockLegalHoldStatus"),
    ("s3:object-lock-mode", "ObjectLockMode"),
    ("s3:x-amz-acl", "ACL"),
    ("s3:x-amz-copy-source", "CopySource"),
    ("s3:x-amz-grant-full-control", "GrantFullControl"),
    ("s3:x-amz-grant-read", "GrantRead"),
    ("s3:x-amz-grant-read-acp", "GrantReadACP"),
    ("s3:x-amz-grant-write", "GrantWrite"),
    ("s3:x-amz-grant-write-acp", "GrantWriteACP"),
    ("s3:x-amz-metadata-directive", "MetadataDirective"),
    ("s3:x-amz-object-ownership", "ObjectOwnership"),
    ("s3:x-amz-server-side-encryption", "ServerSideEncryption"),
    ("s3:x-amz-server-side-encryption-aws-kms-key-id", "SSEKMSKeyId"),
    ("s3:x-amz-server-side-encryption-customer-algorithm", "SSECustomerAlgorithm"),
    ("s3:x-amz-storage-class", "StorageClass"),
    ("s3:x-amz-website-redirect-location", "WebsiteRedirectLocation"),
    ("s3:x-amz-tagging-directive", "TaggingDirective"),
    ("s3:x-amz-request-payer", "RequestPayer"),
];
/// Operations on which a policy may look at the tags that an object has.
const LOOK_AT_TAGS: [&str; 12] = [
    "DeleteObjectTagging",
    "GetObject",
    "GetObjectAcl",
    "GetObjectAttributes",
    "GetObjectLegalHold",
    "GetObjectRetention",
    "GetObjectTagging",
    "HeadObject",
    "PutObjectAcl",
    "PutObjectLegalHold",
    "PutObjectRetention",
    "PutObjectTagging",
];

/// The keys that a request's own members give.
pub(super) fn of_input(subject: &Subject<'_>) -> ConditionKeys {
    let mut keys: ConditionKeys =
        OF_MEMBERS.iter().filter_map(|(key, member)| Some(((*key).to_owned(), vec![subject.text(member)?]))).collect();
    let any: &dyn std::any::Any = subject.input;
    let given: Vec<(String, String)> = match any.downcast_ref::<model::s3::PutObjectTaggingRequest>() {
        Some(input) => {
            let set = input.tagging.as_ref().and_then(|tagging| tagging.tag_set.clone()).unwrap_or_default();
            crate::rules::tags::pairs(set).collect()
        }
        // What is no list of tags is refused later.
        None => subject
            .text("Tagging")
            .and_then(|text| of_header(&text, usize::MAX).ok())
            .unwrap_or_default()
            .into_iter()
            .collect(),
    };
    if !given.is_empty() {
        keys.push(("s3:RequestObjectTagKeys".into(), given.iter().map(|(key, _)| key.clone()).collect()));
        keys.extend(given.into_iter().map(|(key, value)| (format!("s3:RequestObjectTag/{key}"), vec![value])));
    }
    keys
}

/// Whether policies on this operation may ask for the tags that the object has.
pub(super) fn looks_at_tags(operation: &Operation) -> bool {
    LOOK_AT_TAGS.contains(&operation.name)
}

/// The keys that follow from the bucket and from the object.
pub(super) fn of_resource(bucket: &Bucket, object: Option<&Version>) -> ConditionKeys {
    let owner = || vec![bucket.owner.clone()];
    let mut keys = vec![("s3:ResourceAccount".to_owned(), owner()), ("aws:ResourceAccount".to_owned(), owner())];
    keys.extend(
        object
            .into_iter()
            .flat_map(tags)
            .map(|(key, value)| (format!("s3:ExistingObjectTag/{key}"), vec![value.clone()])),
    );
    keys
}

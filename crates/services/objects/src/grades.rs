//! What every input member does, as data: `docs/fidelity.md` is made from it.

use door::Grade::{self, Acts, Obsolete, Refused, Stored};
use door::Graded;

const fn row(operation: &'static str, member: &'static str, grade: Grade, note: &'static str) -> Graded {
    Graded::new(operation, member, grade, note)
}

/// Every input member of every operation that this room carries out.
pub const GRADES: &[Graded] = &[
    // Buckets.

    // Configurations of buckets.

    // Locks and lifecycles.
    row("PutObjectLockConfiguration", "Bucket", Acts, ""),
    row("PutObjectLockConfiguration", "ObjectLockConfiguration", Acts, ""),
    row("PutObjectLockConfiguration", "ObjectLockConfiguration.Rule.DefaultRetention.DefaultEventHold", Refused, ""),
    row("PutObjectLockConfiguration", "ExpectedBucketOwner", Acts, ""),
    row("PutObjectLockConfiguration", "RequestPayer", Obsolete, "nobody is charged here"),
    row("PutObjectLockConfiguration", "Token", Obsolete, "any bucket with versions may have locks since November 2023"),
    row("PutObjectLockConfiguration", "ContentMD5", Acts, "the gateway checks it"),
    row("PutObjectLockConfiguration", "ChecksumAlgorithm", Acts, "the gateway checks the checksum"),
    row("GetObjectLockConfiguration", "Bucket", Acts, ""),
    row("GetObjectLockConfiguration", "ExpectedBucketOwner", Acts, ""),
    row("PutObjectRetention", "Bucket", Acts, ""),
    row("PutObjectRetention", "Key", Acts, ""),
    row("PutObjectRetention", "VersionId", Acts, ""),
    row("PutObjectRetention", "ExpectedBucketOwner", Acts, ""),
    row("PutObjectRetention", "RequestPayer", Obsolete, "nobody is charged here"),
    row("PutObjectRetention", "Retention", Acts, ""),
    row("PutObjectRetention", "Retention.EventHold", Refused, ""),
    row("PutObjectRetention", "Retention.EventHoldDuration", Refused, ""),
    row("PutObjectRetention", "BypassGovernanceRetention", Acts, ""),
    row("PutObjectRetention", "ContentMD5", Acts, "the gateway checks it"),
    row("PutObjectRetention", "ChecksumAlgorithm", Acts, "the gateway checks the checksum"),
    row("GetObjectRetention", "Bucket", Acts, ""),
    row("GetObjectRetention", "Key", Acts, ""),
    row("GetObjectRetention", "VersionId", Acts, ""),
    row("GetObjectRetention", "ExpectedBucketOwner", Acts, ""),
    row("GetObjectRetention", "RequestPayer", Obsolete, "nobody is charged here"),
    row("PutObjectLegalHold", "Bucket", Acts, ""),
    row("PutObjectLegalHold", "Key", Acts, ""),
    row("PutObjectLegalHold", "VersionId", Acts, ""),
    row("PutObjectLegalHold", "ExpectedBucketOwner", Acts, ""),
    row("PutObjectLegalHold", "RequestPayer", Obsolete, "nobody is charged here"),
    row("PutObjectLegalHold", "LegalHold", Acts, ""),
    row("PutObjectLegalHold", "ContentMD5", Acts, "the gateway checks it"),
    row("PutObjectLegalHold", "ChecksumAlgorithm", Acts, "the gateway checks the checksum"),
    row("GetObjectLegalHold", "Bucket", Acts, ""),
    row("GetObjectLegalHold", "Key", Acts, ""),
    row("GetObjectLegalHold", "VersionId", Acts, ""),
    row("GetObjectLegalHold", "ExpectedBucketOwner", Acts, ""),
    row("GetObjectLegalHold", "RequestPayer", Obsolete, "nobody is charged here"),
    row("PutBucketLifecycleConfiguration", "Bucket", Acts, ""),
    row(
        "PutBucketLifecycleConfiguration",
        "LifecycleConfiguration",
        Acts,
        "transitions to GLACIER and DEEP_ARCHIVE are refused",
    ),
    row(
        "PutBucketLifecycleConfiguration",
        "TransitionDefaultMinimumObjectSize",
        Stored,
        "the classes that are served have the same minimum either way",
    ),
    row("PutBucketLifecycleConfiguration", "ExpectedBucketOwner", Acts, ""),
    row("PutBucketLifecycleConfiguration", "ChecksumAlgorithm", Acts, "the gateway checks the checksum"),
    row("GetBucketLifecycleConfiguration", "Bucket", Acts, ""),
    row("GetBucketLifecycleConfiguration", "ExpectedBucketOwner", Acts, ""),
    row("DeleteBucketLifecycle", "Bucket", Acts, ""),
    row("DeleteBucketLifecycle", "ExpectedBucketOwner", Acts, ""),
    // Notifications.
    row("PutBucketNotificationConfiguration", "Bucket", Acts, ""),
    row("PutBucketNotificationConfiguration", "ExpectedBucketOwner", Acts, ""),
    row("PutBucketNotificationConfiguration", "SkipDestinationValidation", Acts, ""),
    row(
        "PutBucketNotificationConfiguration",
        "NotificationConfiguration.LambdaFunctionConfigurations",
        Acts,
        "events that never happen here (restoration, tiering, replication) may be named",
    ),
    row(
        "PutBucketNotificationConfiguration",
        "NotificationConfiguration.QueueConfigurations",
        Refused,
        "as AWS refuses a queue that does not exist",
    ),
    row(
        "PutBucketNotificationConfiguration",
        "NotificationConfiguration.TopicConfigurations",
        Refused,
        "as AWS refuses a topic that does not exist",
    ),
    row("PutBucketNotificationConfiguration", "NotificationConfiguration.EventBridgeConfiguration", Refused, ""),
    row("GetBucketNotificationConfiguration", "Bucket", Acts, ""),
    row("GetBucketNotificationConfiguration", "ExpectedBucketOwner", Acts, ""),
    // Objects.
    row("GetObject", "Bucket", Acts, ""),
    row("ListObjectVersions", "Bucket", Acts, ""),
    row("ListObjectVersions", "Prefix", Acts, ""),
    row("ListObjectVersions", "Delimiter", Acts, ""),
    row("ListObjectVersions", "KeyMarker", Acts, ""),
    row("ListObjectVersions", "VersionIdMarker", Acts, ""),
    row("ListObjectVersions", "MaxKeys", Acts, ""),
    row("ListObjectVersions", "EncodingType", Acts, ""),
    row("ListObjectVersions", "ExpectedBucketOwner", Acts, ""),
    row("ListObjectVersions", "RequestPayer", Obsolete, "nobody is charged here"),
    row(
        "ListObjectVersions",
        "OptionalObjectAttributes",
        Stored,
        "nothing is ever archived, so there is no restore to tell of",
    ),
    row("GetObjectAttributes", "Bucket", Acts, ""),
    row("GetObjectAttributes", "Key", Acts, ""),
    row("GetObjectAttributes", "VersionId", Acts, ""),
    row("GetObjectAttributes", "ObjectAttributes", Acts, ""),
    row("GetObjectAttributes", "MaxParts", Acts, ""),
    row("GetObjectAttributes", "PartNumberMarker", Acts, ""),
    row("GetObjectAttributes", "SSECustomerAlgorithm", Acts, ""),
    row("GetObjectAttributes", "SSECustomerKey", Acts, ""),
    row("GetObjectAttributes", "SSECustomerKeyMD5", Acts, ""),
    row("GetObjectAttributes", "ExpectedBucketOwner", Acts, ""),
    row("GetObjectAttributes", "RequestPayer", Obsolete, "nobody is charged here"),
    // Uploads.
];

//! The root elements of restXml answers where AWS's names differ from the output shape's. botocore's models leave them out,
//! since its parser reads any root; clients in other languages insist. Source: the response syntax of each operation's page
//! in the Amazon S3 API reference.

/// `serviceId`, operation, root element.
const ROOTS: &[(&str, &str, &str)] = &[
    ("S3", "CompleteMultipartUpload", "CompleteMultipartUploadResult"),
    ("S3", "CreateMultipartUpload", "InitiateMultipartUploadResult"),
    ("S3", "CreateSession", "CreateSessionResult"),
    ("S3", "DeleteObjects", "DeleteResult"),
    ("S3", "GetBucketAccelerateConfiguration", "AccelerateConfiguration"),
    ("S3", "GetBucketAcl", "AccessControlPolicy"),
    ("S3", "GetBucketCors", "CORSConfiguration"),
    ("S3", "GetBucketLifecycleConfiguration", "LifecycleConfiguration"),
    ("S3", "GetBucketLogging", "BucketLoggingStatus"),
    ("S3", "GetBucketNotificationConfiguration", "NotificationConfiguration"),
    ("S3", "GetBucketRequestPayment", "RequestPaymentConfiguration"),
    ("S3", "GetBucketTagging", "Tagging"),
    ("S3", "GetBucketVersioning", "VersioningConfiguration"),
    ("S3", "GetBucketWebsite", "WebsiteConfiguration"),
    ("S3", "GetObjectAcl", "AccessControlPolicy"),
    ("S3", "GetObjectAttributes", "GetObjectAttributesResponse"),
    ("S3", "GetObjectTagging", "Tagging"),
    ("S3", "ListBucketAnalyticsConfigurations", "ListBucketAnalyticsConfigurationResult"),
    ("S3", "ListBucketInventoryConfigurations", "ListInventoryConfigurationsResult"),
    ("S3", "ListBucketMetricsConfigurations", "ListMetricsConfigurationsResult"),
    ("S3", "ListBuckets", "ListAllMyBucketsResult"),
    ("S3", "ListDirectoryBuckets", "ListAllMyDirectoryBucketsResult"),
    ("S3", "ListMultipartUploads", "ListMultipartUploadsResult"),
    ("S3", "ListObjectVersions", "ListVersionsResult"),
    ("S3", "ListObjects", "ListBucketResult"),
    ("S3", "ListObjectsV2", "ListBucketResult"),
    ("S3", "ListParts", "ListPartsResult"),
];

/// Answers whose root element is their only member.
const UNWRAPPED: &[(&str, &str, &str)] = &[("S3", "GetBucketLocation", "LocationConstraint")];

fn find(
    table: &[(&'static str, &'static str, &'static str)],
    service_id: &str,
    operation: &str,
) -> Option<&'static str> {
    table.iter().find(|row| row.0 == service_id && row.1 == operation).map(|row| row.2)
}

/// What follows an operation's row: `, root "ListBucketResult"`; nothing where the shape's own name is the root.
/// `modelled` is the name that botocore's model has, if it has one.
pub(crate) fn suffix(service_id: &str, operation: &str, modelled: Option<&str>) -> String {
    if let Some(root) = find(UNWRAPPED, service_id, operation) {
        return format!(", unwrapped {root:?}");
    }
    let root = find(ROOTS, service_id, operation).or(modelled);
    root.map_or_else(String::new, |root| format!(", root {root:?}"))
}

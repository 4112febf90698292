//! Sizes. AWS's numbers are from "Amazon S3 multipart upload limits", "Naming objects", "Bucket naming rules" and "Working with object metadata"
//! in the Amazon S3 User Guide.

/// Objects up to this size lie in a row beside what is said of them, bytes; larger ones in a blob.
pub const INLINE_BYTES: usize = 32 * 1024;
/// Largest object of a single request, and largest part, bytes.
pub const PUT_BYTES: u64 = 5 << 30;
/// Largest object, bytes (50 TB since December 2025; 5 TB before).
pub const OBJECT_BYTES: u64 = 50_000_000_000_000;
/// Smallest part but the last, bytes.
pub const PART_BYTES: u64 = 5 << 20;
/// Most parts of an upload.
pub const PARTS: i64 = 10_000;
/// Longest key, bytes of UTF-8.
pub const KEY_BYTES: usize = 1024;
/// Largest user metadata of an object, bytes of names and values.
pub const METADATA_BYTES: usize = 2 * 1024;
/// Most entries of a page of any listing, and most keys of one DeleteObjects.
pub const PAGE: i64 = 1000;
/// Most tags of an object.
pub const OBJECT_TAGS: usize = 10;
/// Most tags of a bucket.
pub const BUCKET_TAGS: usize = 50;
/// Most buckets of an account (the quota's default since November 2024).
pub const BUCKETS: usize = 10_000;

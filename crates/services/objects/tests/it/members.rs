//! Every member that acts is missed where it is not there: what is said of objects, conditions, checksums, keys, locks.

use std::collections::BTreeMap;

use base::{Clocks, Fault, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use door::Body;
use md5::{Digest, Md5};
use model::s3::{self, ops};

use crate::world::{BUCKET, World};

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn code<T>(result: Result<T, Fault>) -> String {
    match result {
        Ok(_) => "none".to_owned(),
        Err(fault) => fault.code.into_owned(),
    }
}

/// A request on a key of [`BUCKET`].
macro_rules! on {
    ($input:ident, $key:expr $(, $field:ident: $value:expr)* $(,)?) => {
        s3::$input {
            bucket: some(BUCKET),
            key: some($key),
            $($field: $value,)*
            ..Default::default()
        }
    };
}

/// A request on [`BUCKET`].
macro_rules! of {
    ($input:ident $(, $field:ident: $value:expr)* $(,)?) => {
        s3::$input { bucket: some(BUCKET), $($field: $value,)* ..Default::default() }
    };
}

async fn head(world: &World, key: &str) -> s3::HeadObjectOutput {
    world.call::<ops::HeadObject>(on!(HeadObjectRequest, key)).await.unwrap()
}

/// Sends an upload of one part through: what `begin` says becomes the object.
async fn upload(
    world: &World,
    begin: s3::CreateMultipartUploadRequest,
    bytes: &str,
) -> s3::CompleteMultipartUploadOutput {
    let key = begin.key.clone().unwrap();
    let id = world.call::<ops::CreateMultipartUpload>(begin).await.unwrap().upload_id;
    let part = on!(UploadPartRequest, &key, upload_id: id.clone(), part_number: Some(1));
    let (part, _) = world.send::<ops::UploadPart>(part, Body::Bytes(bytes.to_owned().into())).await.unwrap();
    let part = s3::CompletedPart { e_tag: part.e_tag, part_number: Some(1), ..Default::default() };
    let parts = Some(s3::CompletedMultipartUpload { parts: Some(vec![part]) });
    let done = on!(CompleteMultipartUploadRequest, &key, upload_id: id, multipart_upload: parts);
    world.call::<ops::CompleteMultipartUpload>(done).await.unwrap()
}

/// An input that says everything that can be said of an object.
macro_rules! said {
    ($input:ident, $key:expr) => {
        on!($input, $key,
            cache_control: some("no-store"),
            content_disposition: some("inline"),
            content_encoding: some("br"),
            content_language: some("de"),
            content_type: some("text/x"),
            expires: some("Wed, 21 Oct 2026 07:28:00 GMT"),
            website_redirect_location: some("/other"),
            storage_class: some("STANDARD_IA"),
            tagging: some("a=b&c=d"),
            metadata: Some(BTreeMap::from([("M".to_owned(), "v".to_owned())])),
        )
    };
}

#[tokio::test]
async fn what_is_said_of_an_object_comes_back() {
    let world = World::new().await;
    world.send::<ops::PutObject>(said!(PutObjectRequest, "put"), Body::Empty).await.unwrap();
    upload(&world, said!(CreateMultipartUploadRequest, "upload"), "x").await;
    world.put("plain", "x").await;
    let mut copy = said!(CopyObjectRequest, "copy");
    copy.copy_source = some("bucket/plain");
    copy.metadata_directive = some("REPLACE");
    copy.tagging_directive = some("REPLACE");
    world.call::<ops::CopyObject>(copy).await.unwrap();
    for key in ["put", "upload", "copy"] {
        let head = head(&world, key).await;
        assert_eq!(head.cache_control.as_deref(), Some("no-store"), "{key}");
        assert_eq!(head.content_disposition.as_deref(), Some("inline"));
        assert_eq!(head.content_encoding.as_deref(), Some("br"));
        assert_eq!(head.content_language.as_deref(), Some("de"));
        assert_eq!(head.content_type.as_deref(), Some("text/x"));
        assert_eq!(head.expires.as_deref(), Some("Wed, 21 Oct 2026 07:28:00 GMT"));
        assert_eq!(head.website_redirect_location.as_deref(), Some("/other"));
        assert_eq!(head.storage_class.as_deref(), Some("STANDARD_IA"));
        assert_eq!(head.metadata, Some(BTreeMap::from([("m".to_owned(), "v".to_owned())])));
        assert_eq!(head.tag_count, Some(2));
    }
    let plain = head(&world, "plain").await;
    assert_eq!((plain.content_type.as_deref(), plain.storage_class), (Some("binary/octet-stream"), None));
}

#[tokio::test]
async fn an_answer_says_what_its_reader_wants_it_to_say() {
    let world = World::new().await;
    world.put("k", "x").await;
    macro_rules! overridden {
        ($input:ident, $op:ident) => {{
            let input = on!($input, "k",
                response_cache_control: some("private"),
                response_content_disposition: some("attachment"),
                response_content_encoding: some("gzip"),
                response_content_language: some("fr"),
                response_content_type: some("a/b"),
                response_expires: Some(Timestamp(0)),
            );
            let (read, _) = world.send::<ops::$op>(input, Body::Empty).await.unwrap();
            assert_eq!(read.cache_control.as_deref(), Some("private"));
            assert_eq!(read.content_disposition.as_deref(), Some("attachment"));
            assert_eq!(read.content_encoding.as_deref(), Some("gzip"));
            assert_eq!(read.content_language.as_deref(), Some("fr"));
            assert_eq!(read.content_type.as_deref(), Some("a/b"));
            assert_eq!(read.expires.as_deref(), Some("Thu, 01 Jan 1970 00:00:00 GMT"));
        }};
    }
    overridden!(GetObjectRequest, GetObject);
    overridden!(HeadObjectRequest, HeadObject);
}

#[tokio::test]
async fn conditions_of_readers_are_kept() {
    let world = World::new().await;
    world.put("k", "x").await;
    let etag = head(&world, "k").await.e_tag.unwrap();
    let now = world.clocks.product();
    let (before, after) = (Some(now.plus_ms(-10_000)), Some(now.plus_ms(10_000)));
    macro_rules! kept {
        ($input:ident, $op:ident) => {{
            for (input, expected) in [
                (on!($input, "k", if_match: some("\"no\"")), "PreconditionFailed"),
                (on!($input, "k", if_match: Some(etag.clone())), "none"),
                (on!($input, "k", if_none_match: Some(etag.clone())), "NotModified"),
                (on!($input, "k", if_modified_since: after), "NotModified"),
                (on!($input, "k", if_modified_since: before), "none"),
                (on!($input, "k", if_unmodified_since: before), "PreconditionFailed"),
                (on!($input, "k", if_unmodified_since: after), "none"),
            ] {
                assert_eq!(code(world.send::<ops::$op>(input.clone(), Body::Empty).await), expected, "{input:?}");
            }
        }};
    }
    kept!(GetObjectRequest, GetObject);
    kept!(HeadObjectRequest, HeadObject);
    let begin = on!(CreateMultipartUploadRequest, "m");
    let id = world.call::<ops::CreateMultipartUpload>(begin).await.unwrap().upload_id;
    macro_rules! of_source {
        ($op:ident, $input:expr) => {{
            for (change, expected) in [
                (Source { matches: some("no"), ..Source::default() }, "PreconditionFailed"),
                (Source { matches: Some(etag.clone()), ..Source::default() }, "none"),
                (Source { none_matches: Some(etag.clone()), ..Source::default() }, "PreconditionFailed"),
                (Source { modified: after, ..Source::default() }, "PreconditionFailed"),
                (Source { unmodified: before, ..Source::default() }, "PreconditionFailed"),
            ] {
                let mut input = $input;
                input.copy_source = some("/bucket/k");
                input.copy_source_if_match = change.matches;
                input.copy_source_if_none_match = change.none_matches;
                input.copy_source_if_modified_since = change.modified;
                input.copy_source_if_unmodified_since = change.unmodified;
                assert_eq!(code(world.call::<ops::$op>(input.clone()).await), expected, "{input:?}");
            }
        }};
    }
    #[derive(Default)]
    struct Source {
        matches: Option<String>,
        none_matches: Option<String>,
        modified: Option<Timestamp>,
        unmodified: Option<Timestamp>,
    }
    of_source!(CopyObject, on!(CopyObjectRequest, "copy"));
    of_source!(UploadPartCopy, on!(UploadPartCopyRequest, "m", upload_id: id.clone(), part_number: Some(1)));
}

#[tokio::test]
async fn conditions_of_writers_are_kept() {
    let world = World::new().await;
    let etag = world.put("k", "x").await.e_tag;
    let put = |matches, none| on!(PutObjectRequest, "k", if_match: matches, if_none_match: none);
    let copy = |matches, none| on!(CopyObjectRequest, "k", copy_source: some("bucket/s"), if_match: matches, if_none_match: none);
    world.put("s", "y").await;
    assert_eq!(code(world.call::<ops::PutObject>(put(None, some("*"))).await), "PreconditionFailed");
    assert_eq!(code(world.call::<ops::PutObject>(put(some("no"), None)).await), "PreconditionFailed");
    assert_eq!(code(world.call::<ops::PutObject>(put(None, some("no"))).await), "NotImplemented");
    let new = on!(PutObjectRequest, "new", if_match: etag.clone());
    assert_eq!(code(world.call::<ops::PutObject>(new).await), "NoSuchKey");
    assert_eq!(code(world.call::<ops::CopyObject>(copy(None, some("*"))).await), "PreconditionFailed");
    assert_eq!(code(world.call::<ops::CopyObject>(copy(some("no"), None)).await), "PreconditionFailed");
    let id = world.call::<ops::CreateMultipartUpload>(on!(CreateMultipartUploadRequest, "k")).await.unwrap().upload_id;
    let part = on!(UploadPartRequest, "k", upload_id: id.clone(), part_number: Some(1));
    let part = world.call::<ops::UploadPart>(part).await.unwrap().e_tag;
    let parts = vec![s3::CompletedPart { e_tag: part, part_number: Some(1), ..Default::default() }];
    let parts = Some(s3::CompletedMultipartUpload { parts: Some(parts) });
    let done = |matches, none| {
        on!(CompleteMultipartUploadRequest, "k", upload_id: id.clone(), multipart_upload: parts.clone(),
            if_match: matches, if_none_match: none)
    };
    assert_eq!(code(world.call::<ops::CompleteMultipartUpload>(done(None, some("*"))).await), "PreconditionFailed");
    assert_eq!(code(world.call::<ops::CompleteMultipartUpload>(done(some("no"), None)).await), "PreconditionFailed");
    assert_eq!(world.get("k").await.unwrap(), b"x", "nothing of it happened");
    assert_eq!(code(world.call::<ops::CompleteMultipartUpload>(done(etag, None)).await), "none");
}

/// A checksum of each algorithm that is right for no bytes that are sent here.
const WRONG: [(&str, usize); 6] =
    [("CRC32", 4), ("CRC32C", 4), ("CRC64NVME", 8), ("SHA1", 20), ("SHA256", 32), ("SHA512", 64)];

macro_rules! wrong_sums {
    ($input:expr) => {{
        let all: Vec<_> = WRONG
            .iter()
            .map(|(name, length)| {
                let mut input = $input;
                let value = Some(STANDARD.encode(vec![1; *length]));
                match *name {
                    "CRC32" => input.checksum_crc32 = value,
                    "CRC32C" => input.checksum_crc32_c = value,
                    "CRC64NVME" => input.checksum_crc64_nvme = value,
                    "SHA1" => input.checksum_sha1 = value,
                    "SHA256" => input.checksum_sha256 = value,
                    _ => input.checksum_sha512 = value,
                }
                (*name, input)
            })
            .collect();
        all
    }};
}

#[tokio::test]
async fn checksums_are_checked_and_shown() {
    let world = World::new().await;
    let body = || Body::Bytes("hello".into());
    for (name, input) in wrong_sums!(on!(PutObjectRequest, "k")) {
        assert_eq!(code(world.send::<ops::PutObject>(input, body()).await), "BadDigest", "{name}");
    }
    let huge = on!(PutObjectRequest, "k", content_length: Some(5 << 30 | 1));
    assert_eq!(code(world.send::<ops::PutObject>(huge, body()).await), "EntityTooLarge");
    let md5 = on!(PutObjectRequest, "k", content_md5: Some(STANDARD.encode([1; 16])));
    assert_eq!(code(world.send::<ops::PutObject>(md5, body()).await), "BadDigest");
    assert_eq!(code(world.get("k").await), "NoSuchKey", "nothing of it happened");
    let input = on!(PutObjectRequest, "k", checksum_algorithm: some("SHA1"));
    let (put, _) = world.send::<ops::PutObject>(input, body()).await.unwrap();
    assert!(put.checksum_sha1.is_some());
    for mode in [None, some("ENABLED")] {
        let shown = mode.is_some();
        let input = on!(GetObjectRequest, "k", checksum_mode: mode.clone());
        let (get, _) = world.send::<ops::GetObject>(input, Body::Empty).await.unwrap();
        let head = world.call::<ops::HeadObject>(on!(HeadObjectRequest, "k", checksum_mode: mode)).await.unwrap();
        assert_eq!((get.checksum_sha1.is_some(), head.checksum_sha1.is_some()), (shown, shown));
    }
    let copy = on!(CopyObjectRequest, "c", copy_source: some("bucket/k"), checksum_algorithm: some("CRC32"));
    let copied = world.call::<ops::CopyObject>(copy).await.unwrap().copy_object_result.unwrap();
    assert!(copied.checksum_crc32.is_some());

    let id = world.call::<ops::CreateMultipartUpload>(on!(CreateMultipartUploadRequest, "m")).await.unwrap().upload_id;
    let part = || on!(UploadPartRequest, "m", upload_id: id.clone(), part_number: Some(1));
    for (name, input) in wrong_sums!(part()) {
        assert_eq!(code(world.send::<ops::UploadPart>(input, body()).await), "BadDigest", "{name}");
    }
    let mut huge = part();
    huge.content_length = Some(5 << 30 | 1);
    assert_eq!(code(world.send::<ops::UploadPart>(huge, body()).await), "EntityTooLarge");
    let mut md5 = part();
    md5.content_md5 = Some(STANDARD.encode([1; 16]));
    assert_eq!(code(world.send::<ops::UploadPart>(md5, body()).await), "BadDigest");
    let (sent, _) = world.send::<ops::UploadPart>(part(), body()).await.unwrap();
    let parts = vec![s3::CompletedPart { e_tag: sent.e_tag, part_number: Some(1), ..Default::default() }];
    let parts = Some(s3::CompletedMultipartUpload { parts: Some(parts) });
    let done = || on!(CompleteMultipartUploadRequest, "m", upload_id: id.clone(), multipart_upload: parts.clone());
    for (name, input) in wrong_sums!(done()) {
        assert_eq!(code(world.call::<ops::CompleteMultipartUpload>(input).await), "BadDigest", "{name}");
    }
    let mut kind = done();
    kind.checksum_type = some("COMPOSITE");
    assert_eq!(code(world.call::<ops::CompleteMultipartUpload>(kind).await), "InvalidRequest");

    let begin = on!(CreateMultipartUploadRequest, "s", checksum_algorithm: some("SHA256"));
    let id = world.call::<ops::CreateMultipartUpload>(begin).await.unwrap().upload_id;
    let other = on!(UploadPartRequest, "s", upload_id: id, part_number: Some(1), checksum_algorithm: some("CRC32"));
    assert_eq!(code(world.call::<ops::UploadPart>(other).await), "InvalidRequest");
}

/// A customer's key: its three members.
fn key(byte: u8) -> [Option<String>; 3] {
    let key = [byte; 32];
    [some("AES256"), Some(STANDARD.encode(key)), Some(STANDARD.encode(Md5::digest(key)))]
}

#[tokio::test]
async fn an_object_with_a_customers_key_opens_with_that_key_alone() {
    let world = World::new().await;
    macro_rules! with {
        ($input:expr, $key:expr) => {{
            let mut input = $input;
            let [algorithm, key, md5] = $key;
            input.sse_customer_algorithm = algorithm;
            input.sse_customer_key = key;
            input.sse_customer_key_md5 = md5;
            input
        }};
    }
    for size in [10, 200_000] {
        let bytes = vec![5; size];
        let put = with!(on!(PutObjectRequest, "k"), key(1));
        let (put, _) = world.send::<ops::PutObject>(put, Body::Bytes(bytes.clone().into())).await.unwrap();
        assert_eq!((put.sse_customer_key_md5, put.server_side_encryption), (key(1)[2].clone(), None));
        assert_eq!(code(world.get("k").await), "InvalidRequest");
        assert_eq!(code(world.call::<ops::HeadObject>(on!(HeadObjectRequest, "k")).await), "InvalidRequest");
        let wrong = with!(on!(GetObjectRequest, "k"), key(2));
        assert_eq!(code(world.send::<ops::GetObject>(wrong, Body::Empty).await), "AccessDenied");
        let right = with!(on!(GetObjectRequest, "k"), key(1));
        assert!(world.send::<ops::GetObject>(right, Body::Empty).await.unwrap().1 == bytes);
        world.call::<ops::HeadObject>(with!(on!(HeadObjectRequest, "k"), key(1))).await.unwrap();

        let mut copy = with!(on!(CopyObjectRequest, "c", copy_source: some("bucket/k")), key(3));
        assert_eq!(code(world.call::<ops::CopyObject>(copy.clone()).await), "InvalidRequest");
        let [algorithm, source_key, md5] = key(1);
        copy.copy_source_sse_customer_algorithm = algorithm.clone();
        copy.copy_source_sse_customer_key = source_key.clone();
        copy.copy_source_sse_customer_key_md5 = md5.clone();
        world.call::<ops::CopyObject>(copy).await.unwrap();
        let read = with!(on!(GetObjectRequest, "c"), key(3));
        assert!(world.send::<ops::GetObject>(read, Body::Empty).await.unwrap().1 == bytes);

        let begin = with!(on!(CreateMultipartUploadRequest, "m"), key(4));
        let id = world.call::<ops::CreateMultipartUpload>(begin).await.unwrap().upload_id;
        let part = || on!(UploadPartRequest, "m", upload_id: id.clone(), part_number: Some(1));
        assert_eq!(code(world.call::<ops::UploadPart>(part()).await), "InvalidRequest");
        assert_eq!(code(world.call::<ops::UploadPart>(with!(part(), key(5))).await), "InvalidRequest");
        world.send::<ops::UploadPart>(with!(part(), key(4)), Body::Bytes(bytes.clone().into())).await.unwrap();
        let mut from = with!(
            on!(UploadPartCopyRequest, "m", upload_id: id.clone(), part_number: Some(1), copy_source: some("bucket/k")),
            key(4)
        );
        from.copy_source_sse_customer_algorithm = algorithm;
        from.copy_source_sse_customer_key = source_key;
        from.copy_source_sse_customer_key_md5 = md5;
        let part = world.call::<ops::UploadPartCopy>(from).await.unwrap().copy_part_result.unwrap();
        let parts = vec![s3::CompletedPart { e_tag: part.e_tag, part_number: Some(1), ..Default::default() }];
        let parts = Some(s3::CompletedMultipartUpload { parts: Some(parts) });
        let done = || on!(CompleteMultipartUploadRequest, "m", upload_id: id.clone(), multipart_upload: parts.clone());
        assert_eq!(code(world.call::<ops::CompleteMultipartUpload>(with!(done(), key(5))).await), "InvalidRequest");
        world.call::<ops::CompleteMultipartUpload>(with!(done(), key(4))).await.unwrap();
        let read = with!(on!(GetObjectRequest, "m"), key(4));
        assert!(world.send::<ops::GetObject>(read, Body::Empty).await.unwrap().1 == bytes);
    }
    for name in ["aws:kms", "AES128"] {
        let sse = || some(name);
        let expected = if name == "aws:kms" { "NotImplemented" } else { "InvalidEncryptionAlgorithmError" };
        let put = on!(PutObjectRequest, "k", server_side_encryption: sse());
        let copy = on!(CopyObjectRequest, "k", copy_source: some("bucket/c"), server_side_encryption: sse());
        let begin = on!(CreateMultipartUploadRequest, "k", server_side_encryption: sse());
        assert_eq!(code(world.call::<ops::PutObject>(put).await), expected);
        assert_eq!(code(world.call::<ops::CopyObject>(copy).await), expected);
        assert_eq!(code(world.call::<ops::CreateMultipartUpload>(begin).await), expected);
    }
}

#[tokio::test]
async fn nobody_reaches_a_bucket_of_another_than_they_expect() {
    let world = World::new().await;
    world.put("k", "x").await;
    let id = world.call::<ops::CreateMultipartUpload>(on!(CreateMultipartUploadRequest, "m")).await.unwrap().upload_id;
    let owner = || some("111111111111");
    macro_rules! denied {
        ($($op:ident $input:expr;)*) => {
            $({
                let mut input = $input;
                input.expected_bucket_owner = owner();
                assert_eq!(code(world.call::<ops::$op>(input).await), "AccessDenied", stringify!($op));
            })*
        };
    }
    denied! {
        HeadBucket of!(HeadBucketRequest);
        GetBucketLocation of!(GetBucketLocationRequest);
        DeleteBucket of!(DeleteBucketRequest);
        PutObject on!(PutObjectRequest, "k");
        GetObject on!(GetObjectRequest, "k");
        HeadObject on!(HeadObjectRequest, "k");
        DeleteObject on!(DeleteObjectRequest, "k");
        DeleteObjects of!(DeleteObjectsRequest, delete: Some(s3::Delete {
            objects: Some(vec![s3::ObjectIdentifier { key: some("k"), ..Default::default() }]),
            quiet: None,
        }));
        ListObjects of!(ListObjectsRequest);
        ListObjectsV2 of!(ListObjectsV2Request);
        CopyObject on!(CopyObjectRequest, "c", copy_source: some("bucket/k"));
        CreateMultipartUpload on!(CreateMultipartUploadRequest, "k");
        UploadPart on!(UploadPartRequest, "m", upload_id: id.clone(), part_number: Some(1));
        UploadPartCopy on!(UploadPartCopyRequest, "m", upload_id: id.clone(), part_number: Some(1), copy_source: some("bucket/k"));
        CompleteMultipartUpload on!(CompleteMultipartUploadRequest, "m", upload_id: id.clone());
        ListParts on!(ListPartsRequest, "m", upload_id: id.clone());
        ListMultipartUploads of!(ListMultipartUploadsRequest);
        AbortMultipartUpload on!(AbortMultipartUploadRequest, "m", upload_id: id.clone());
    }
    let copy = on!(CopyObjectRequest, "c", copy_source: some("bucket/k"), expected_source_bucket_owner: owner());
    assert_eq!(code(world.call::<ops::CopyObject>(copy).await), "AccessDenied");
    let part = on!(UploadPartCopyRequest, "m", upload_id: id, part_number: Some(1), copy_source: some("bucket/k"),
        expected_source_bucket_owner: owner());
    assert_eq!(code(world.call::<ops::UploadPartCopy>(part).await), "AccessDenied");
}

#[tokio::test]
async fn a_lock_is_given_with_the_object() {
    let world = World::new().await;
    let input = s3::CreateBucketRequest {
        bucket: some("locked"),
        object_lock_enabled_for_bucket: Some(true),
        ..Default::default()
    };
    world.call::<ops::CreateBucket>(input).await.unwrap();
    let until = Some(world.clocks.product().plus_ms(1_000_000));
    macro_rules! locked {
        ($input:ident, $key:expr) => {
            s3::$input {
                bucket: some("locked"),
                key: some($key),
                object_lock_mode: some("GOVERNANCE"),
                object_lock_retain_until_date: until,
                object_lock_legal_hold_status: some("ON"),
                ..Default::default()
            }
        };
    }
    let mut put = locked!(PutObjectRequest, "put");
    assert_eq!(code(world.call::<ops::PutObject>(put.clone()).await), "InvalidRequest", "without a checksum");
    put.checksum_algorithm = some("CRC32");
    world.call::<ops::PutObject>(put).await.unwrap();
    let mut copy = locked!(CopyObjectRequest, "copy");
    copy.copy_source = some("locked/put");
    world.call::<ops::CopyObject>(copy).await.unwrap();
    let begin = locked!(CreateMultipartUploadRequest, "upload");
    let id = world.call::<ops::CreateMultipartUpload>(begin).await.unwrap().upload_id;
    let of_upload = |number| s3::UploadPartRequest {
        bucket: some("locked"),
        key: some("upload"),
        upload_id: id.clone(),
        part_number: Some(number),
        ..Default::default()
    };
    let part = world.call::<ops::UploadPart>(of_upload(1)).await.unwrap();
    let parts = vec![s3::CompletedPart { e_tag: part.e_tag, part_number: Some(1), ..Default::default() }];
    let done = s3::CompleteMultipartUploadRequest {
        bucket: some("locked"),
        key: some("upload"),
        upload_id: id.clone(),
        multipart_upload: Some(s3::CompletedMultipartUpload { parts: Some(parts) }),
        ..Default::default()
    };
    world.call::<ops::CompleteMultipartUpload>(done).await.unwrap();
    for key in ["put", "copy", "upload"] {
        let input = s3::HeadObjectRequest { bucket: some("locked"), key: some(key), ..Default::default() };
        let head = world.call::<ops::HeadObject>(input).await.unwrap();
        assert_eq!(head.object_lock_mode.as_deref(), Some("GOVERNANCE"), "{key}");
        assert_eq!(head.object_lock_retain_until_date, until);
        assert_eq!(head.object_lock_legal_hold_status.as_deref(), Some("ON"));
    }
}

#[tokio::test]
async fn an_object_goes_only_as_its_condition_says() {
    let world = World::new().await;
    world.put("k", "hello").await;
    let modified = head(&world, "k").await.last_modified.unwrap();
    for (input, expected) in [
        (on!(DeleteObjectRequest, "k", if_match: some("no")), "PreconditionFailed"),
        (on!(DeleteObjectRequest, "k", if_match_size: Some(4)), "PreconditionFailed"),
        (
            on!(DeleteObjectRequest, "k", if_match_last_modified_time: Some(modified.plus_ms(5000))),
            "PreconditionFailed",
        ),
        (on!(DeleteObjectRequest, "k", if_match_size: Some(5), if_match_last_modified_time: Some(modified)), "none"),
        (on!(DeleteObjectRequest, "k"), "none"),
        (on!(DeleteObjectRequest, "k", if_match: some("*")), "NoSuchKey"),
    ] {
        assert_eq!(code(world.call::<ops::DeleteObject>(input.clone()).await), expected, "{input:?}");
    }
    let id = world.call::<ops::CreateMultipartUpload>(on!(CreateMultipartUploadRequest, "m")).await.unwrap().upload_id;
    let early = Some(world.clocks.product().plus_ms(-5000));
    let abort = on!(AbortMultipartUploadRequest, "m", upload_id: id, if_match_initiated_time: early);
    assert_eq!(code(world.call::<ops::AbortMultipartUpload>(abort).await), "PreconditionFailed");
}

#[tokio::test]
async fn many_keys_go_at_once() {
    let world = World::new().await;
    for key in ["a", "b", "c"] {
        world.put(key, "x").await;
    }
    let named = |keys: &[&str], quiet| {
        let one = |key: &&str| s3::ObjectIdentifier { key: some(key), ..Default::default() };
        Some(s3::Delete { objects: Some(keys.iter().map(one).collect()), quiet })
    };
    assert_eq!(code(world.call::<ops::DeleteObjects>(of!(DeleteObjectsRequest)).await), "MissingRequestBodyError");
    assert_eq!(
        code(world.call::<ops::DeleteObjects>(of!(DeleteObjectsRequest, delete: named(&[], None))).await),
        "MalformedXML"
    );
    let loud = world.call::<ops::DeleteObjects>(of!(DeleteObjectsRequest, delete: named(&["a", "none"], None))).await;
    let deleted = loud.unwrap().deleted.unwrap();
    assert_eq!(deleted.iter().map(|it| it.key.clone().unwrap()).collect::<Vec<_>>(), ["a", "none"]);
    let quiet = world.call::<ops::DeleteObjects>(of!(DeleteObjectsRequest, delete: named(&["b"], Some(true)))).await;
    assert_eq!(quiet.unwrap().deleted, None);
    assert_eq!(code(world.get("b").await), "NoSuchKey");
    assert_eq!(world.get("c").await.unwrap(), b"x");
}

#[tokio::test]
async fn listings_are_cut_and_folded_as_asked() {
    let world = World::new().await;
    for key in ["a", "b/1", "b/2", "c é", "d/1"] {
        world.put(key, "x").await;
    }
    let names = |contents: Option<Vec<s3::Object>>, folded: Option<Vec<s3::CommonPrefix>>| {
        let keys = contents.into_iter().flatten().map(|it| it.key.unwrap());
        keys.chain(folded.into_iter().flatten().map(|it| it.prefix.unwrap())).collect::<Vec<_>>().join(",")
    };
    for (input, expected) in [
        (of!(ListObjectsV2Request), "a,b/1,b/2,c é,d/1"),
        (of!(ListObjectsV2Request, prefix: some("b/")), "b/1,b/2"),
        (of!(ListObjectsV2Request, delimiter: some("/")), "a,c é,b/,d/"),
        (of!(ListObjectsV2Request, max_keys: Some(2)), "a,b/1"),
        (of!(ListObjectsV2Request, start_after: some("b/1")), "b/2,c é,d/1"),
        (of!(ListObjectsV2Request, encoding_type: some("url"), prefix: some("c")), "c+%C3%A9"),
    ] {
        let page = world.call::<ops::ListObjectsV2>(input.clone()).await.unwrap();
        assert_eq!(names(page.contents, page.common_prefixes), expected, "{input:?}");
    }
    for (input, expected) in [
        (of!(ListObjectsRequest), "a,b/1,b/2,c é,d/1"),
        (of!(ListObjectsRequest, prefix: some("b/")), "b/1,b/2"),
        (of!(ListObjectsRequest, delimiter: some("/"), marker: some("b/")), "c é,d/"),
        (of!(ListObjectsRequest, max_keys: Some(2)), "a,b/1"),
        (of!(ListObjectsRequest, marker: some("b/1")), "b/2,c é,d/1"),
        (of!(ListObjectsRequest, encoding_type: some("url"), prefix: some("c")), "c+%C3%A9"),
    ] {
        let page = world.call::<ops::ListObjects>(input.clone()).await.unwrap();
        assert_eq!(names(page.contents, page.common_prefixes), expected, "{input:?}");
    }
    let first =
        world.call::<ops::ListObjectsV2>(of!(ListObjectsV2Request, delimiter: some("/"), max_keys: Some(2))).await;
    let token = first.unwrap().next_continuation_token;
    let input = of!(ListObjectsV2Request, delimiter: some("/"), continuation_token: token, fetch_owner: Some(true));
    let page = world.call::<ops::ListObjectsV2>(input).await.unwrap();
    assert!(page.contents.as_ref().unwrap()[0].owner.is_some());
    assert_eq!(names(page.contents, page.common_prefixes), "c é,d/");
    for attributes in [vec!["RestoreStatus".to_owned()], vec!["Other".to_owned()]] {
        let refused = attributes[0] == "Other";
        let input = of!(ListObjectsV2Request, optional_object_attributes: Some(attributes.clone()));
        assert_eq!(code(world.call::<ops::ListObjectsV2>(input).await) != "none", refused);
        let input = of!(ListObjectsRequest, optional_object_attributes: Some(attributes));
        assert_eq!(code(world.call::<ops::ListObjects>(input).await) != "none", refused);
    }
    let id = world.call::<ops::CreateMultipartUpload>(on!(CreateMultipartUploadRequest, "é u")).await.unwrap();
    assert!(id.upload_id.is_some());
    let input = of!(ListMultipartUploadsRequest, encoding_type: some("url"), prefix: some("é"));
    let page = world.call::<ops::ListMultipartUploads>(input).await.unwrap();
    assert_eq!(page.uploads.unwrap()[0].key.as_deref(), Some("%C3%A9+u"));
    let input = of!(ListMultipartUploadsRequest, prefix: some("z"));
    assert_eq!(world.call::<ops::ListMultipartUploads>(input).await.unwrap().uploads, None);
}

#[tokio::test]
async fn parts_and_ranges_are_read_alone() {
    let world = World::new().await;
    world.put("k", "hello").await;
    let input = on!(HeadObjectRequest, "k", range: some("bytes=1-3"));
    let ranged = world.call::<ops::HeadObject>(input).await.unwrap();
    assert_eq!((ranged.content_length, ranged.content_range.as_deref()), (Some(3), Some("bytes 1-3/5")));
    let input = on!(HeadObjectRequest, "k", part_number: Some(2));
    assert_eq!(code(world.call::<ops::HeadObject>(input).await), "InvalidPartNumber");
    let input = on!(GetObjectRequest, "k", part_number: Some(2));
    assert_eq!(code(world.send::<ops::GetObject>(input, Body::Empty).await), "InvalidPartNumber");
}

#[tokio::test]
async fn buckets_are_made_where_they_are_asked_for_and_listed_by_pages() {
    let world = World::new().await;
    let placed = |name: &str, place: &str| s3::CreateBucketRequest {
        bucket: some(name),
        create_bucket_configuration: Some(s3::CreateBucketConfiguration {
            location_constraint: some(place),
            ..Default::default()
        }),
        ..Default::default()
    };
    world.call::<ops::CreateBucket>(placed("abroad", "eu-west-1")).await.unwrap();
    assert_eq!(code(world.call::<ops::CreateBucket>(placed("x-y", "us-east-1")).await), "InvalidLocationConstraint");
    assert_eq!(code(world.call::<ops::CreateBucket>(placed("No", "eu-west-1")).await), "InvalidBucketName");
    assert_eq!(code(world.call::<ops::CreateBucket>(placed("abroad", "eu-west-1")).await), "BucketAlreadyOwnedByYou");
    let input = s3::GetBucketLocationRequest { bucket: some("abroad"), ..Default::default() };
    let location = world.call::<ops::GetBucketLocation>(input).await.unwrap();
    assert_eq!(location.location_constraint.as_deref(), Some("eu-west-1"));
    let names = |output: s3::ListBucketsOutput| {
        output.buckets.unwrap().into_iter().map(|it| it.name.unwrap()).collect::<Vec<_>>().join(",")
    };
    let listed = world.call::<ops::ListBuckets>(s3::ListBucketsRequest::default()).await.unwrap();
    assert_eq!(names(listed), "abroad,bucket");
    let input = s3::ListBucketsRequest { prefix: some("b"), ..Default::default() };
    assert_eq!(names(world.call::<ops::ListBuckets>(input).await.unwrap()), "bucket");
    let input = s3::ListBucketsRequest { bucket_region: some("eu-west-1"), ..Default::default() };
    assert_eq!(names(world.call::<ops::ListBuckets>(input).await.unwrap()), "abroad");
    let input = s3::ListBucketsRequest { max_buckets: Some(1), ..Default::default() };
    let first = world.call::<ops::ListBuckets>(input).await.unwrap();
    let input = s3::ListBucketsRequest { continuation_token: first.continuation_token.clone(), ..Default::default() };
    assert_eq!(names(first), "abroad");
    assert_eq!(names(world.call::<ops::ListBuckets>(input).await.unwrap()), "bucket");
}

#[tokio::test]
async fn lists_are_refused_where_the_owner_of_the_bucket_owns_everything() {
    let world = World::new().await;
    world.put("k", "x").await;
    let grant = || some("id=\"0123\"");
    macro_rules! refused {
        ($op:ident, $input:expr, [$($member:ident: $value:expr),*]) => {
            $({
                let mut input = $input;
                input.$member = $value;
                assert_ne!(code(world.call::<ops::$op>(input).await), "none", stringify!($op.$member));
            })*
        };
    }
    let copy = || on!(CopyObjectRequest, "c", copy_source: some("bucket/k"));
    let begin = || on!(CreateMultipartUploadRequest, "k");
    let make = || s3::CreateBucketRequest { bucket: some("listed"), ..Default::default() };
    refused!(PutObject, on!(PutObjectRequest, "k"), [acl: some("public-read"), grant_full_control: grant(),
        grant_read: grant(), grant_read_acp: grant(), grant_write_acp: grant()]);
    refused!(CopyObject, copy(), [acl: some("public-read"), grant_full_control: grant(), grant_read: grant(),
        grant_read_acp: grant(), grant_write_acp: grant()]);
    refused!(CreateMultipartUpload, begin(), [acl: some("public-read"), grant_full_control: grant(),
        grant_read: grant(), grant_read_acp: grant(), grant_write_acp: grant()]);
    refused!(CreateBucket, make(), [acl: some("public-read"), grant_full_control: grant(), grant_read: grant(),
        grant_read_acp: grant(), grant_write: grant(), grant_write_acp: grant()]);
    // Without a list they are carried out.
    assert_eq!(code(world.call::<ops::CopyObject>(copy()).await), "none");
    assert_eq!(code(world.call::<ops::CreateMultipartUpload>(begin()).await), "none");
    let rule = s3::OwnershipControlsRule { object_ownership: some("ObjectWriter") };
    let owned = s3::OwnershipControls { rules: Some(vec![rule]) };
    let input = of!(PutBucketOwnershipControlsRequest, ownership_controls: Some(owned));
    world.call::<ops::PutBucketOwnershipControls>(input).await.unwrap();
    for (version_id, expected) in [(None, "none"), (some("no version"), "InvalidArgument")] {
        let acl = on!(PutObjectAclRequest, "k", acl: some("private"), version_id: version_id);
        assert_eq!(code(world.call::<ops::PutObjectAcl>(acl).await), expected);
    }
}

#[tokio::test]
async fn governance_holds_many_keys_too_unless_it_is_passed_by() {
    let world = World::new().await;
    let input = s3::CreateBucketRequest {
        bucket: some("locked"),
        object_lock_enabled_for_bucket: Some(true),
        ..Default::default()
    };
    world.call::<ops::CreateBucket>(input).await.unwrap();
    let input = s3::PutObjectRequest {
        bucket: some("locked"),
        key: some("k"),
        checksum_algorithm: some("CRC32"),
        object_lock_mode: some("GOVERNANCE"),
        object_lock_retain_until_date: Some(world.clocks.product().plus_ms(1_000_000)),
        ..Default::default()
    };
    let version_id = world.call::<ops::PutObject>(input).await.unwrap().version_id;
    let delete = |bypass| s3::DeleteObjectsRequest {
        bucket: some("locked"),
        bypass_governance_retention: bypass,
        delete: Some(s3::Delete {
            objects: Some(vec![s3::ObjectIdentifier {
                key: some("k"),
                version_id: version_id.clone(),
                ..Default::default()
            }]),
            quiet: None,
        }),
        ..Default::default()
    };
    let kept = world.call::<ops::DeleteObjects>(delete(None)).await.unwrap();
    assert_eq!(kept.errors.unwrap()[0].code.as_deref(), Some("AccessDenied"));
    let gone = world.call::<ops::DeleteObjects>(delete(Some(true))).await.unwrap();
    assert!(gone.errors.is_none() && gone.deleted.is_some());
}

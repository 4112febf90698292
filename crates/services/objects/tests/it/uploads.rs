//! Multipart uploads, and copies.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use door::Body;
use model::s3::{self, ops};
use wire::checksum::{Algorithm, Checksum};

use crate::world::{BUCKET, World};

const MIB: usize = 1024 * 1024;

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// Bytes that differ from place to place.
fn bytes(size: usize, seed: u8) -> Vec<u8> {
    (0..size).map(|at| (at % 251) as u8 ^ seed).collect()
}

fn sum(algorithm: Algorithm, bytes: &[u8]) -> String {
    let mut sum = Checksum::new(algorithm);
    sum.update(bytes);
    sum.finish()
}

pub(crate) async fn begin(world: &World, key: &str, algorithm: Option<&str>, kind: Option<&str>) -> String {
    let input = s3::CreateMultipartUploadRequest {
        bucket: some(BUCKET),
        key: some(key),
        content_type: some("text/plain"),
        checksum_algorithm: algorithm.map(str::to_owned),
        checksum_type: kind.map(str::to_owned),
        ..Default::default()
    };
    world.call::<ops::CreateMultipartUpload>(input).await.unwrap().upload_id.unwrap()
}

pub(crate) async fn part(world: &World, key: &str, id: &str, number: i64, bytes: Vec<u8>) -> s3::CompletedPart {
    let input = s3::UploadPartRequest {
        bucket: some(BUCKET),
        key: some(key),
        upload_id: some(id),
        part_number: Some(number),
        ..Default::default()
    };
    let (output, _) = world.send::<ops::UploadPart>(input, Body::Bytes(Bytes::from(bytes))).await.unwrap();
    s3::CompletedPart {
        e_tag: output.e_tag,
        part_number: Some(number),
        checksum_crc32: output.checksum_crc32,
        checksum_sha256: output.checksum_sha256,
        ..Default::default()
    }
}

pub(crate) fn complete(key: &str, id: &str, parts: Vec<s3::CompletedPart>) -> s3::CompleteMultipartUploadRequest {
    s3::CompleteMultipartUploadRequest {
        bucket: some(BUCKET),
        key: some(key),
        upload_id: some(id),
        multipart_upload: Some(s3::CompletedMultipartUpload { parts: Some(parts) }),
        ..Default::default()
    }
}

async fn read_part(world: &World, key: &str, number: i64) -> Result<(s3::GetObjectOutput, Vec<u8>), base::Fault> {
    let input =
        s3::GetObjectRequest { bucket: some(BUCKET), key: some(key), part_number: Some(number), ..Default::default() };
    world.send::<ops::GetObject>(input, Body::Empty).await
}

#[tokio::test]
async fn parts_make_an_object() {
    let world = World::new().await;
    let (one, two, three) = (bytes(5 * MIB, 1), bytes(5 * MIB, 2), bytes(10, 3));
    let id = begin(&world, "k", None, None).await;
    // In any order; the second comes twice and the last one counts; the ninth is not asked for.
    let third = part(&world, "k", &id, 7, three.clone()).await;
    part(&world, "k", &id, 2, bytes(100_000, 9)).await;
    let first = part(&world, "k", &id, 1, one.clone()).await;
    let second = part(&world, "k", &id, 2, two.clone()).await;
    part(&world, "k", &id, 9, bytes(200_000, 8)).await;
    let listed = world
        .call::<ops::ListParts>(s3::ListPartsRequest {
            bucket: some(BUCKET),
            key: some("k"),
            upload_id: some(&id),
            max_parts: Some(2),
            part_number_marker: Some(1),
            ..Default::default()
        })
        .await
        .unwrap();
    let numbers: Vec<_> = listed.parts.unwrap().iter().map(|part| part.part_number.unwrap()).collect();
    assert_eq!((numbers, listed.is_truncated, listed.next_part_number_marker), (vec![2, 7], Some(true), Some(7)));
    assert_eq!(world.get("k").await.unwrap_err().code, "NoSuchKey", "before it is complete");
    let named = first.clone();
    let done =
        world.call::<ops::CompleteMultipartUpload>(complete("k", &id, vec![first, second, third])).await.unwrap();
    assert!(done.e_tag.as_deref().unwrap().ends_with("-3\""));
    let whole = [one.clone(), two.clone(), three.clone()].concat();
    assert_eq!(done.checksum_crc64_nvme.unwrap(), sum(Algorithm::Crc64Nvme, &whole), "of all bytes");
    assert_eq!(done.checksum_type.unwrap(), "FULL_OBJECT");
    assert!(world.get("k").await.unwrap() == whole);
    let (output, read) = read_part(&world, "k", 2).await.unwrap();
    assert!(read == two);
    assert_eq!((output.parts_count, output.content_type.as_deref()), (Some(3), Some("text/plain")));
    assert_eq!(read_part(&world, "k", 3).await.unwrap_err().code, "InvalidPartNumber");
    let input = s3::GetObjectRequest {
        bucket: some(BUCKET),
        key: some("k"),
        range: Some(format!("bytes={}-{}", 5 * MIB - 10, 10 * MIB + 4)),
        ..Default::default()
    };
    let (_, read) = world.send::<ops::GetObject>(input, Body::Empty).await.unwrap();
    assert!(read == whole[5 * MIB - 10..10 * MIB + 5], "over three parts");
    let empty = world.call::<ops::CompleteMultipartUpload>(complete("k", &id, vec![])).await;
    assert_eq!(empty.unwrap_err().code, "MalformedXML");
    // A client that lost the answer asks again.
    let again = world.call::<ops::CompleteMultipartUpload>(complete("k", &id, vec![named])).await.unwrap();
    assert_eq!(again.e_tag, done.e_tag);
    let input = s3::DeleteObjectRequest { bucket: some(BUCKET), key: some("k"), ..Default::default() };
    world.call::<ops::DeleteObject>(input).await.unwrap();
    world.until_no_blobs().await;
}

#[tokio::test]
async fn what_does_not_fit_together_is_refused_and_changes_nothing() {
    let world = World::new().await;
    let id = begin(&world, "k", None, None).await;
    let first = part(&world, "k", &id, 1, bytes(10, 1)).await;
    let second = part(&world, "k", &id, 2, bytes(10, 2)).await;
    let named = |number: i64, etag: &str| s3::CompletedPart {
        part_number: Some(number),
        e_tag: some(etag),
        ..Default::default()
    };
    for (parts, code) in [
        (vec![first.clone(), second.clone()], "EntityTooSmall"),
        (vec![second.clone(), first.clone()], "InvalidPartOrder"),
        (vec![first.clone(), first.clone()], "InvalidPartOrder"),
        (vec![named(1, "0123")], "InvalidPart"),
        (vec![named(3, first.e_tag.as_deref().unwrap())], "InvalidPart"),
    ] {
        let done = world.call::<ops::CompleteMultipartUpload>(complete("k", &id, parts)).await;
        assert_eq!(done.unwrap_err().code, code);
    }
    let mut sized = complete("k", &id, vec![first.clone()]);
    sized.mpu_object_size = Some(11);
    assert_eq!(world.call::<ops::CompleteMultipartUpload>(sized).await.unwrap_err().code, "InvalidRequest");
    let other = world.call::<ops::CompleteMultipartUpload>(complete("other", &id, vec![first.clone()])).await;
    assert_eq!(other.unwrap_err().code, "NoSuchUpload");
    world.call::<ops::CompleteMultipartUpload>(complete("k", &id, vec![first])).await.unwrap();
    assert!(world.get("k").await.unwrap() == bytes(10, 1));
}

#[tokio::test]
async fn checksums_of_parts_become_the_objects() {
    let world = World::new().await;
    let (one, two) = (bytes(5 * MIB, 1), bytes(1000, 2));
    let id = begin(&world, "k", Some("SHA256"), None).await;
    let parts = vec![part(&world, "k", &id, 1, one.clone()).await, part(&world, "k", &id, 2, two.clone()).await];
    assert_eq!(parts[1].checksum_sha256.as_deref(), Some(&*sum(Algorithm::Sha256, &two)));
    let bare = parts.iter().map(|part| s3::CompletedPart { checksum_sha256: None, ..part.clone() }).collect();
    let missing = world.call::<ops::CompleteMultipartUpload>(complete("k", &id, bare)).await.unwrap_err();
    assert_eq!(missing.code, "InvalidRequest");
    let done = world.call::<ops::CompleteMultipartUpload>(complete("k", &id, parts)).await.unwrap();
    let raw = [sum(Algorithm::Sha256, &one), sum(Algorithm::Sha256, &two)].map(|sum| STANDARD.decode(sum).unwrap());
    assert_eq!(done.checksum_sha256.unwrap(), format!("{}-2", sum(Algorithm::Sha256, &raw.concat())));
    assert_eq!(done.checksum_type.unwrap(), "COMPOSITE");

    let id = begin(&world, "f", Some("CRC32"), Some("FULL_OBJECT")).await;
    let parts = vec![part(&world, "f", &id, 1, one.clone()).await, part(&world, "f", &id, 2, two.clone()).await];
    let whole = sum(Algorithm::Crc32, &[one, two].concat());
    let mut wrong = complete("f", &id, parts.clone());
    wrong.checksum_crc32 = some("AAAAAA==");
    assert_eq!(world.call::<ops::CompleteMultipartUpload>(wrong).await.unwrap_err().code, "BadDigest");
    let mut right = complete("f", &id, parts);
    right.checksum_crc32 = Some(whole.clone());
    let done = world.call::<ops::CompleteMultipartUpload>(right).await.unwrap();
    assert_eq!((done.checksum_crc32, done.checksum_type), (Some(whole), some("FULL_OBJECT")));
}

#[tokio::test]
async fn an_aborted_upload_and_a_deleted_bucket_leave_nothing() {
    let world = World::new().await;
    let id = begin(&world, "k", None, None).await;
    part(&world, "k", &id, 1, bytes(100_000, 1)).await;
    let input = s3::AbortMultipartUploadRequest {
        bucket: some(BUCKET),
        key: some("k"),
        upload_id: some(&id),
        ..Default::default()
    };
    world.call::<ops::AbortMultipartUpload>(input.clone()).await.unwrap();
    assert_eq!(world.call::<ops::AbortMultipartUpload>(input).await.unwrap_err().code, "NoSuchUpload");
    world.until_no_blobs().await;
    let id = begin(&world, "k", None, None).await;
    part(&world, "k", &id, 1, bytes(100_000, 1)).await;
    world
        .call::<ops::DeleteBucket>(s3::DeleteBucketRequest { bucket: some(BUCKET), ..Default::default() })
        .await
        .unwrap();
    world.until_no_blobs().await;
}

#[tokio::test]
async fn bytes_that_are_refused_once_they_came_leave_nothing() {
    let world = World::new().await;
    world.put("k", "x").await;
    let large = || Body::Bytes(Bytes::from(bytes(200_000, 1)));
    let wrong = s3::PutObjectRequest {
        bucket: some(BUCKET),
        key: some("k"),
        content_md5: Some(STANDARD.encode([1; 16])),
        ..Default::default()
    };
    assert_eq!(world.send::<ops::PutObject>(wrong, large()).await.unwrap_err().code, "BadDigest");
    world.until_no_blobs().await;
    let there =
        s3::PutObjectRequest { bucket: some(BUCKET), key: some("k"), if_none_match: some("*"), ..Default::default() };
    assert_eq!(world.send::<ops::PutObject>(there, large()).await.unwrap_err().code, "PreconditionFailed");
    world.until_no_blobs().await;
    let id = begin(&world, "m", None, None).await;
    let wrong = s3::UploadPartRequest {
        bucket: some(BUCKET),
        key: some("m"),
        upload_id: some(&id),
        part_number: Some(1),
        content_md5: Some(STANDARD.encode([1; 16])),
        ..Default::default()
    };
    assert_eq!(world.send::<ops::UploadPart>(wrong, large()).await.unwrap_err().code, "BadDigest");
    world.until_no_blobs().await;
}

#[tokio::test]
async fn uploads_are_listed_by_pages() {
    let world = World::new().await;
    for key in ["a/1", "a/2", "b", "c", "c"] {
        begin(&world, key, None, None).await;
    }
    let (mut seen, mut marker, mut pages) = (Vec::new(), (None, None), 0);
    loop {
        pages += 1;
        let page = world
            .call::<ops::ListMultipartUploads>(s3::ListMultipartUploadsRequest {
                bucket: some(BUCKET),
                max_uploads: Some(2),
                delimiter: some("/"),
                key_marker: marker.0.take(),
                upload_id_marker: marker.1.take(),
                ..Default::default()
            })
            .await
            .unwrap();
        seen.extend(page.common_prefixes.into_iter().flatten().map(|it| it.prefix.unwrap()));
        seen.extend(page.uploads.into_iter().flatten().map(|it| it.key.unwrap()));
        if page.is_truncated != Some(true) {
            break;
        }
        marker = (page.next_key_marker, page.next_upload_id_marker);
    }
    assert_eq!((seen.join(","), pages), ("a/,b,c,c".to_owned(), 2));
    let of_c = |marker| s3::ListMultipartUploadsRequest {
        bucket: some(BUCKET),
        key_marker: some("c"),
        upload_id_marker: marker,
        ..Default::default()
    };
    let first = world
        .call::<ops::ListMultipartUploads>(s3::ListMultipartUploadsRequest {
            bucket: some(BUCKET),
            prefix: some("c"),
            ..Default::default()
        })
        .await
        .unwrap();
    let first = first.uploads.unwrap()[0].upload_id.clone();
    let behind_first = world.call::<ops::ListMultipartUploads>(of_c(first)).await.unwrap();
    assert_eq!(behind_first.uploads.unwrap().len(), 1);
    assert!(world.call::<ops::ListMultipartUploads>(of_c(None)).await.unwrap().uploads.is_none());
}

#[tokio::test]
async fn copies_are_objects_of_their_own() {
    let world = World::new().await;
    let large = bytes(300_000, 5);
    let input = s3::PutObjectRequest {
        bucket: some(BUCKET),
        key: some("a b"),
        content_type: some("image/png"),
        metadata: Some([("x".to_owned(), "y".to_owned())].into()),
        tagging: some("t=1"),
        ..Default::default()
    };
    world.send::<ops::PutObject>(input, Body::Bytes(large.clone().into())).await.unwrap();
    let copy = |key: &str, source: &str| s3::CopyObjectRequest {
        bucket: some(BUCKET),
        key: some(key),
        copy_source: some(source),
        ..Default::default()
    };
    let copied = world.call::<ops::CopyObject>(copy("copy", "/bucket/a%20b")).await.unwrap();
    assert!(copied.copy_object_result.unwrap().e_tag.is_some());
    let input = s3::GetObjectRequest { bucket: some(BUCKET), key: some("copy"), ..Default::default() };
    let (output, read) = world.send::<ops::GetObject>(input.clone(), Body::Empty).await.unwrap();
    assert!(read == large);
    assert_eq!((output.content_type.as_deref(), output.tag_count), (Some("image/png"), Some(1)));
    assert_eq!(output.metadata.unwrap()["x"], "y");
    let mut replaced = copy("copy", "bucket/a%20b");
    replaced.metadata_directive = some("REPLACE");
    replaced.tagging_directive = some("REPLACE");
    replaced.content_type = some("text/css");
    world.call::<ops::CopyObject>(replaced).await.unwrap();
    let (output, _) = world.send::<ops::GetObject>(input, Body::Empty).await.unwrap();
    assert_eq!((output.content_type.as_deref(), output.tag_count, output.metadata), (Some("text/css"), None, None));
    assert_eq!(world.blobs.list().await.unwrap().len(), 1, "the bytes lie there once");
    for (source, code) in [
        ("bucket/a%20b", "InvalidRequest"),
        ("bucket", "InvalidArgument"),
        ("bucket/none", "NoSuchKey"),
        ("nowhere/a", "NoSuchBucket"),
        ("bucket/a%20b?versionId=zz", "InvalidArgument"),
    ] {
        assert_eq!(world.call::<ops::CopyObject>(copy("a b", source)).await.unwrap_err().code, code, "{source}");
    }
    let id = begin(&world, "m", None, None).await;
    let input = s3::UploadPartCopyRequest {
        bucket: some(BUCKET),
        key: some("m"),
        upload_id: some(&id),
        part_number: Some(1),
        copy_source: some("bucket/a%20b"),
        copy_source_range: some("bytes=100-299999"),
        ..Default::default()
    };
    let mut wrong = input.clone();
    wrong.copy_source_range = some("bytes=100-300000");
    assert_eq!(world.call::<ops::UploadPartCopy>(wrong).await.unwrap_err().code, "InvalidArgument");
    let etag = world.call::<ops::UploadPartCopy>(input).await.unwrap().copy_part_result.unwrap().e_tag;
    let part = s3::CompletedPart { e_tag: etag, part_number: Some(1), ..Default::default() };
    world.call::<ops::CompleteMultipartUpload>(complete("m", &id, vec![part])).await.unwrap();
    assert!(world.get("m").await.unwrap() == large[100..]);
}

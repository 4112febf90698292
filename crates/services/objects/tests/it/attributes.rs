//! What is known of objects besides their bytes.

use door::Body;
use model::s3::{self, ops};

use crate::uploads::{begin, complete, part};
use crate::versions::{LOCKED, delete, locked, put};
use crate::world::{BUCKET, World};

#[tokio::test]
async fn attributes_are_those_that_were_asked_for() {
    let world = locked().await;
    let id = put(&world, "k", "hello").await;
    let input = |names: &[&str]| s3::GetObjectAttributesRequest {
        bucket: Some(LOCKED.into()),
        key: Some("k".into()),
        object_attributes: Some(names.iter().map(|name| (*name).to_owned()).collect()),
        ..Default::default()
    };
    let all = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"];
    let output = world.call::<ops::GetObjectAttributes>(input(&all)).await.unwrap();
    assert_eq!(output.e_tag.as_deref(), Some("5d41402abc4b2a76b9719d911017c592"));
    assert_eq!((output.object_size, output.storage_class.as_deref()), (Some(5), Some("STANDARD")));
    assert_eq!((output.version_id.as_deref(), output.object_parts), (Some(id.as_str()), None));
    let checksum = output.checksum.unwrap();
    assert!(checksum.checksum_crc64_nvme.is_some());
    assert_eq!(checksum.checksum_type.as_deref(), Some("FULL_OBJECT"));
    let size = world.call::<ops::GetObjectAttributes>(input(&["ObjectSize"])).await.unwrap();
    assert_eq!((size.object_size, size.e_tag, size.checksum, size.storage_class), (Some(5), None, None, None));
    assert_eq!(world.call::<ops::GetObjectAttributes>(input(&["Nothing"])).await.unwrap_err().code, "InvalidArgument");
    let marker = delete(&world, "k", None).await.unwrap().version_id.unwrap();
    assert_eq!(world.call::<ops::GetObjectAttributes>(input(&all)).await.unwrap_err().code, "NoSuchKey");
    let by_id = |id: &str| s3::GetObjectAttributesRequest { version_id: Some(id.into()), ..input(&all) };
    assert_eq!(world.call::<ops::GetObjectAttributes>(by_id(&marker)).await.unwrap_err().code, "MethodNotAllowed");
    assert_eq!(world.call::<ops::GetObjectAttributes>(by_id(&id)).await.unwrap().object_size, Some(5));
    let other = s3::GetObjectAttributesRequest { expected_bucket_owner: Some("123456789012".into()), ..by_id(&id) };
    assert_eq!(world.call::<ops::GetObjectAttributes>(other).await.unwrap_err().code, "AccessDenied");
    for (most, marker) in [(Some(-1), None), (None, Some(-1))] {
        let wrong = s3::GetObjectAttributesRequest { max_parts: most, part_number_marker: marker, ..by_id(&id) };
        assert_eq!(world.call::<ops::GetObjectAttributes>(wrong).await.unwrap_err().code, "InvalidArgument");
    }
}

#[tokio::test]
async fn whoever_has_not_the_customers_key_learns_nothing() {
    let world = World::new().await;
    let (algorithm, key) = ("AES256".to_owned(), "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=".to_owned());
    let md5 = "KYvwGXoFFJ42a2u2GDWhwQ==".to_owned();
    let input = s3::PutObjectRequest {
        bucket: Some(BUCKET.into()),
        key: Some("k".into()),
        sse_customer_algorithm: Some(algorithm.clone()),
        sse_customer_key: Some(key.clone()),
        sse_customer_key_md5: Some(md5.clone()),
        ..Default::default()
    };
    world.send::<ops::PutObject>(input, Body::Bytes("hello".into())).await.unwrap();
    let without = s3::GetObjectAttributesRequest {
        bucket: Some(BUCKET.into()),
        key: Some("k".into()),
        object_attributes: Some(vec!["ObjectSize".into()]),
        ..Default::default()
    };
    assert_eq!(world.call::<ops::GetObjectAttributes>(without.clone()).await.unwrap_err().code, "InvalidRequest");
    let with = s3::GetObjectAttributesRequest {
        sse_customer_algorithm: Some(algorithm),
        sse_customer_key: Some(key),
        sse_customer_key_md5: Some(md5),
        ..without
    };
    assert_eq!(world.call::<ops::GetObjectAttributes>(with).await.unwrap().object_size, Some(5));
}

#[tokio::test]
async fn parts_are_listed_where_each_has_a_checksum() {
    let world = World::new().await;
    for (key, kind, listed) in [("full", "FULL_OBJECT", false), ("composite", "COMPOSITE", true)] {
        let id = begin(&world, key, Some("CRC32"), Some(kind)).await;
        let mut parts = Vec::new();
        for (number, size) in [(1, 5 << 20), (2, 5 << 20), (4, 10)] {
            parts.push(part(&world, key, &id, number, vec![7; size]).await);
        }
        world.call::<ops::CompleteMultipartUpload>(complete(key, &id, parts)).await.unwrap();
        let page = async |most: Option<i64>, marker: Option<i64>| {
            let input = s3::GetObjectAttributesRequest {
                bucket: Some(BUCKET.into()),
                key: Some(key.into()),
                object_attributes: Some(vec!["ObjectParts".into(), "Checksum".into()]),
                max_parts: most,
                part_number_marker: marker,
                ..Default::default()
            };
            world.call::<ops::GetObjectAttributes>(input).await.unwrap()
        };
        let whole = page(None, None).await;
        assert_eq!(whole.checksum.unwrap().checksum_type.as_deref(), Some(kind));
        let whole = whole.object_parts.unwrap();
        assert_eq!(whole.total_parts_count, Some(3));
        assert_eq!(whole.parts.is_some(), listed);
        if !listed {
            continue;
        }
        let sizes: Vec<_> = whole.parts.unwrap().iter().map(|part| part.size.unwrap()).collect();
        assert_eq!((sizes, whole.is_truncated), (vec![5 << 20, 5 << 20, 10], Some(false)));
        let first = page(Some(2), None).await.object_parts.unwrap();
        assert_eq!((first.is_truncated, first.next_part_number_marker), (Some(true), Some(2)));
        let rest = page(Some(2), Some(2)).await.object_parts.unwrap();
        let one = &rest.parts.as_ref().unwrap()[0];
        assert_eq!((one.part_number, rest.is_truncated, rest.part_number_marker), (Some(4), Some(false), Some(2)));
        assert!(one.checksum_crc32.is_some());
    }
}

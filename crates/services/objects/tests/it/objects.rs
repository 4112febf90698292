//! Objects come, are read, and go.

use bytes::Bytes;
use door::Body;
use futures_util::stream;
use model::s3::{self, ops};

use crate::world::{BUCKET, World};

#[tokio::test]
async fn a_small_and_a_large_object_come_back_as_they_were() {
    let world = World::new().await;
    let large: Vec<u8> = (0..3_000_000u32).map(|at| (at % 251) as u8).collect();
    world.put("small", "hello").await;
    world.put("large", large.clone()).await;
    world.put("none", "").await;
    assert_eq!(world.get("small").await.unwrap(), b"hello");
    assert!(world.get("large").await.unwrap() == large);
    assert_eq!(world.get("none").await.unwrap(), b"");
    assert_eq!(world.get("other").await.unwrap_err().code, "NoSuchKey");
    let world = world.restarted().await;
    assert!(world.get("large").await.unwrap() == large, "after a restart");
}

#[tokio::test]
async fn any_range_is_read_alone() {
    let world = World::new().await;
    let large: Vec<u8> = (0..1_000_000u32).map(|at| (at % 251) as u8).collect();
    world.put("large", large.clone()).await;
    for (from, to) in
        [(0, 0), (65_535, 65_536), (65_536, 131_071), (1, 999_998), (999_999, 999_999), (600_000, 2_000_000)]
    {
        let input = s3::GetObjectRequest {
            bucket: Some(BUCKET.into()),
            key: Some("large".into()),
            range: Some(format!("bytes={from}-{to}")),
            ..Default::default()
        };
        let (output, bytes) = world.send::<ops::GetObject>(input, Body::Empty).await.unwrap();
        let to = to.min(999_999);
        assert!(bytes == large[from..=to], "{from}-{to}");
        assert_eq!(output.content_range.unwrap(), format!("bytes {from}-{to}/1000000"));
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_nothing() {
    let world = World::new().await;
    let broken = || Err(base::Fault::new("IncompleteBody", 400, "broken"));
    for sizes in [vec![10], vec![1_000_000, 1_500_000]] {
        let pieces: Vec<_> = sizes.into_iter().map(|size| Ok(Bytes::from(vec![7; size]))).chain([broken()]).collect();
        let input = s3::PutObjectRequest { bucket: Some(BUCKET.into()), key: Some("k".into()), ..Default::default() };
        let sent = world.send::<ops::PutObject>(input, Body::Stream(Box::pin(stream::iter(pieces)))).await;
        assert_eq!(sent.unwrap_err().code, "IncompleteBody");
    }
    assert_eq!(world.get("k").await.unwrap_err().code, "NoSuchKey");
    assert!(world.blobs.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_same_bytes_lie_in_one_blob_until_the_last_object_goes() {
    let world = World::new().await;
    let large = vec![9; 200_000];
    world.put("a", large.clone()).await;
    world.put("b", large.clone()).await;
    assert_eq!(world.blobs.list().await.unwrap().len(), 1);
    for key in ["a", "b"] {
        assert!(world.get(key).await.unwrap() == large);
        let input =
            s3::DeleteObjectRequest { bucket: Some(BUCKET.into()), key: Some(key.into()), ..Default::default() };
        world.call::<ops::DeleteObject>(input).await.unwrap();
    }
    world.until_no_blobs().await;
}

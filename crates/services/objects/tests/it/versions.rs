//! Versions of objects, in order.

use door::Body;
use model::s3::{self, ops};

use crate::world::World;

/// A bucket that keeps versions, and may lock them.
pub(crate) const LOCKED: &str = "locked";

/// A room with the bucket [`LOCKED`].
pub(crate) async fn locked() -> World {
    let world = World::new().await;
    let input = s3::CreateBucketRequest {
        bucket: Some(LOCKED.into()),
        object_lock_enabled_for_bucket: Some(true),
        ..Default::default()
    };
    world.call::<ops::CreateBucket>(input).await.unwrap();
    world
}

/// Puts an object into [`LOCKED`]; gives its version.
pub(crate) async fn put(world: &World, key: &str, bytes: &'static str) -> String {
    let input = s3::PutObjectRequest { bucket: Some(LOCKED.into()), key: Some(key.into()), ..Default::default() };
    let (output, _) = world.send::<ops::PutObject>(input, Body::Bytes(bytes.into())).await.unwrap();
    output.version_id.unwrap()
}

/// Deletes an object of [`LOCKED`], or one of its versions.
pub(crate) async fn delete(
    world: &World,
    key: &str,
    version_id: Option<&str>,
) -> Result<s3::DeleteObjectOutput, base::Fault> {
    let input = s3::DeleteObjectRequest {
        bucket: Some(LOCKED.into()),
        key: Some(key.into()),
        version_id: version_id.map(Into::into),
        ..Default::default()
    };
    world.call::<ops::DeleteObject>(input).await
}

fn asked(change: impl FnOnce(&mut s3::ListObjectVersionsRequest)) -> s3::ListObjectVersionsRequest {
    let mut input = s3::ListObjectVersionsRequest { bucket: Some(LOCKED.into()), ..Default::default() };
    change(&mut input);
    input
}

async fn list(world: &World, input: s3::ListObjectVersionsRequest) -> s3::ListObjectVersionsOutput {
    world.call::<ops::ListObjectVersions>(input).await.unwrap()
}

/// `key version latest`, for the versions and the delete markers of a page.
fn shown(page: &s3::ListObjectVersionsOutput) -> (Vec<(String, String, bool)>, Vec<(String, String, bool)>) {
    let versions = page.versions.iter().flatten();
    let markers = page.delete_markers.iter().flatten();
    (
        versions.map(|it| (it.key.clone().unwrap(), it.version_id.clone().unwrap(), it.is_latest.unwrap())).collect(),
        markers.map(|it| (it.key.clone().unwrap(), it.version_id.clone().unwrap(), it.is_latest.unwrap())).collect(),
    )
}

fn own(list: &[(&str, &str, bool)]) -> Vec<(String, String, bool)> {
    list.iter().map(|(key, id, latest)| ((*key).into(), (*id).into(), *latest)).collect()
}

#[tokio::test]
async fn versions_come_newest_first_with_their_delete_markers() {
    let world = locked().await;
    let (a1, b1, a2) = (put(&world, "a", "1").await, put(&world, "b", "1").await, put(&world, "a", "22").await);
    let gone = delete(&world, "a", None).await.unwrap().version_id.unwrap();
    let page = list(&world, asked(|_| {})).await;
    let (versions, markers) = shown(&page);
    assert_eq!(versions, own(&[("a", &a2, false), ("a", &a1, false), ("b", &b1, true)]));
    assert_eq!(markers, own(&[("a", &gone, true)]));
    let first = &page.versions.as_ref().unwrap()[0];
    assert_eq!((first.size, first.storage_class.as_deref()), (Some(2), Some("STANDARD")));
    assert_eq!(first.e_tag.as_deref(), Some("\"b6d767d2f8ed5d21a44b0e5886680cb9\""));
    assert_eq!(first.checksum_algorithm.as_deref(), Some(&["CRC64NVME".to_owned()][..]));
    assert!(first.owner.is_some() && page.delete_markers.as_ref().unwrap()[0].owner.is_some());
    assert_eq!(page.is_truncated, Some(false));
    assert_eq!((page.key_marker.as_deref(), page.version_id_marker.as_deref()), (Some(""), Some("")));
    // A bucket without versions shows its objects as `null`.
    world.put("k", "x").await;
    let plain = world.call::<ops::ListObjectVersions>(asked(|it| it.bucket = Some("bucket".into()))).await.unwrap();
    assert_eq!(shown(&plain).0, own(&[("k", "null", true)]));
    let other = asked(|it| it.expected_bucket_owner = Some("123456789012".into()));
    assert_eq!(world.call::<ops::ListObjectVersions>(other).await.unwrap_err().code, "AccessDenied");
}

#[tokio::test]
async fn pages_of_every_size_hold_everything_once() {
    let world = locked().await;
    for key in ["a", "a", "b/1", "b/2", "c", "c", "c", "d"] {
        put(&world, key, "x").await;
    }
    delete(&world, "c", None).await.unwrap();
    delete(&world, "b/1", None).await.unwrap();
    for (delimiter, entries) in [(None, 10), (Some("/"), 8)] {
        for most in 1..=11 {
            let (mut count, mut pages) = (0, 0);
            let (mut key, mut version) = (None, None);
            loop {
                let page = list(
                    &world,
                    asked(|it| {
                        it.max_keys = Some(most);
                        it.delimiter = delimiter.map(Into::into);
                        (it.key_marker, it.version_id_marker) = (key.take(), version.take());
                    }),
                )
                .await;
                let (versions, markers) = shown(&page);
                let on_page = versions.len() + markers.len() + page.common_prefixes.as_ref().map_or(0, Vec::len);
                assert!(on_page as i64 <= most, "{on_page} of {most}");
                count += on_page;
                pages += 1;
                if page.is_truncated == Some(false) {
                    assert_eq!((page.next_key_marker, page.next_version_id_marker), (None, None));
                    break;
                }
                (key, version) = (page.next_key_marker, page.next_version_id_marker);
                assert!(key.is_some());
            }
            assert_eq!(count as i64, entries, "pages of {most} with {delimiter:?}");
            assert_eq!(pages, (entries + most - 1) / most);
        }
    }
}

#[tokio::test]
async fn a_page_goes_on_where_its_last_version_was_even_if_that_is_gone() {
    let world = locked().await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(put(&world, "k", "x").await);
    }
    let page =
        |version: &str| asked(|it| (it.key_marker, it.version_id_marker) = (Some("k".into()), Some(version.into())));
    for newest in [3, 2] {
        delete(&world, "k", Some(&ids[newest])).await.unwrap();
        let (versions, _) = shown(&list(&world, page(&ids[newest])).await);
        let left: Vec<_> = versions.into_iter().map(|(_, id, _)| id).collect();
        assert_eq!(left, ids[..newest].iter().rev().cloned().collect::<Vec<_>>());
    }
    let wrong = |key: Option<&str>, version: &str| {
        asked(|it| (it.key_marker, it.version_id_marker) = (key.map(Into::into), Some(version.into())))
    };
    for input in [wrong(None, &ids[0]), wrong(Some("k"), ""), wrong(Some("k"), "nonsense")] {
        let fault = world.call::<ops::ListObjectVersions>(input).await.unwrap_err();
        assert_eq!(fault.code, "InvalidArgument");
    }
}

#[tokio::test]
async fn names_are_folded_filtered_and_encoded() {
    let world = locked().await;
    for key in ["a b/1", "a b/2", "a c", "x"] {
        put(&world, key, "1").await;
    }
    let page = list(
        &world,
        asked(|it| {
            it.prefix = Some("a ".into());
            it.delimiter = Some("/".into());
            it.encoding_type = Some("url".into());
            it.key_marker = Some("a ".into());
        }),
    )
    .await;
    assert_eq!(page.common_prefixes.as_ref().unwrap()[0].prefix.as_deref(), Some("a+b/"));
    assert_eq!(shown(&page).0.len(), 1);
    assert_eq!(page.versions.as_ref().unwrap()[0].key.as_deref(), Some("a+c"));
    assert_eq!((page.prefix.as_deref(), page.key_marker.as_deref()), (Some("a+"), Some("a+")));
    // Behind a prefix nothing of it comes again.
    let page = list(&world, asked(|it| (it.delimiter, it.key_marker) = (Some("/".into()), Some("a b/".into())))).await;
    assert_eq!(page.common_prefixes, None);
    assert_eq!(shown(&page).0.len(), 2);
    let none = list(&world, asked(|it| it.max_keys = Some(0))).await;
    assert_eq!((none.versions, none.is_truncated), (None, Some(false)));
    let wrong = asked(|it| it.optional_object_attributes = Some(vec!["Nothing".into()]));
    assert_eq!(world.call::<ops::ListObjectVersions>(wrong).await.unwrap_err().code, "InvalidArgument");
}

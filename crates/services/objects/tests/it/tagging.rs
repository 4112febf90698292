//! Tags of buckets and of objects in all their versions.

use model::s3::{self, ops};

use crate::configuration::{on_bucket, tag};
use crate::world::{BUCKET, World};

fn tagging(tags: &[(&str, &str)]) -> s3::Tagging {
    s3::Tagging { tag_set: Some(tags.iter().map(|(key, value)| tag(key, value)).collect()) }
}

#[tokio::test]
async fn a_buckets_tags_come_back_and_go() {
    let world = World::new().await;
    let put = async |tags: s3::Tagging| {
        world.call::<ops::PutBucketTagging>(on_bucket!(PutBucketTaggingRequest { tagging: tags })).await
    };
    let get = async || world.call::<ops::GetBucketTagging>(on_bucket!(GetBucketTaggingRequest {})).await;
    put(tagging(&[("b", "2"), ("a", "1")])).await.unwrap();
    put(tagging(&[("c", "3")])).await.unwrap();
    assert_eq!(get().await.unwrap().tag_set, tagging(&[("c", "3")]).tag_set, "the last ones hold");
    assert_eq!(put(tagging(&[("a", "1"), ("a", "2")])).await.unwrap_err().code, "InvalidTag");
    let many: Vec<_> = (0..51).map(|n| tag(&format!("k{n}"), "v")).collect();
    assert_eq!(put(s3::Tagging { tag_set: Some(many) }).await.unwrap_err().code, "BadRequest");
    world.call::<ops::DeleteBucketTagging>(on_bucket!(DeleteBucketTaggingRequest {})).await.unwrap();
    assert_eq!(get().await.unwrap_err().code, "NoSuchTagSet");
}

async fn tags(world: &World, key: &str, version: Option<&str>) -> Result<Vec<(String, String)>, base::Fault> {
    let input = s3::GetObjectTaggingRequest {
        bucket: Some(BUCKET.into()),
        key: Some(key.into()),
        version_id: version.map(str::to_owned),
        ..Default::default()
    };
    let got = world.call::<ops::GetObjectTagging>(input).await?;
    Ok(got.tag_set.unwrap().into_iter().map(|tag| (tag.key.unwrap(), tag.value.unwrap())).collect())
}

async fn retag(
    world: &World,
    key: &str,
    version: Option<&str>,
    tags: s3::Tagging,
) -> Result<Option<String>, base::Fault> {
    let input = s3::PutObjectTaggingRequest {
        bucket: Some(BUCKET.into()),
        key: Some(key.into()),
        version_id: version.map(str::to_owned),
        tagging: Some(tags),
        ..Default::default()
    };
    Ok(world.call::<ops::PutObjectTagging>(input).await?.version_id)
}

fn pair(key: &str, value: &str) -> Vec<(String, String)> {
    vec![(key.into(), value.into())]
}

#[tokio::test]
async fn each_version_of_an_object_has_tags_of_its_own() {
    let world = World::new().await;
    let on = s3::VersioningConfiguration { status: Some("Enabled".into()), ..Default::default() };
    world.put("k", "null").await;
    world
        .call::<ops::PutBucketVersioning>(on_bucket!(PutBucketVersioningRequest { versioning_configuration: on }))
        .await
        .unwrap();
    let first = world.put("k", "one").await.version_id.unwrap();
    let second = world.put("k", "two").await.version_id.unwrap();
    assert_eq!(retag(&world, "k", None, tagging(&[("n", "2")])).await.unwrap(), Some(second.clone()));
    assert_eq!(retag(&world, "k", Some(&first), tagging(&[("n", "1")])).await.unwrap(), Some(first.clone()));
    retag(&world, "k", Some("null"), tagging(&[("n", "0")])).await.unwrap();
    for (version, value) in [(None, "2"), (Some(&*second), "2"), (Some(&*first), "1"), (Some("null"), "0")] {
        assert_eq!(tags(&world, "k", version).await.unwrap(), pair("n", value), "{version:?}");
    }
    assert_eq!(world.get("k").await.unwrap(), b"two", "the bytes stay");
    let gone = s3::DeleteObjectTaggingRequest {
        bucket: Some(BUCKET.into()),
        key: Some("k".into()),
        version_id: Some(first.clone()),
        ..Default::default()
    };
    assert_eq!(world.call::<ops::DeleteObjectTagging>(gone).await.unwrap().version_id, Some(first.clone()));
    assert!(tags(&world, "k", Some(&first)).await.unwrap().is_empty());
    assert_eq!(tags(&world, "k", None).await.unwrap(), pair("n", "2"), "the others keep theirs");
}

#[tokio::test]
async fn what_is_not_there_has_no_tags() {
    let world = World::new().await;
    assert_eq!(tags(&world, "k", None).await.unwrap_err().code, "NoSuchKey");
    assert_eq!(retag(&world, "k", None, tagging(&[])).await.unwrap_err().code, "NoSuchKey");
    world.put("k", "v").await;
    let eleven: Vec<_> = (0..11).map(|n| tag(&format!("k{n}"), "v")).collect();
    let fault = retag(&world, "k", None, s3::Tagging { tag_set: Some(eleven) }).await.unwrap_err();
    assert_eq!((fault.code.as_ref(), fault.status), ("BadRequest", 400));
    let on = s3::VersioningConfiguration { status: Some("Enabled".into()), ..Default::default() };
    world
        .call::<ops::PutBucketVersioning>(on_bucket!(PutBucketVersioningRequest { versioning_configuration: on }))
        .await
        .unwrap();
    let input = s3::DeleteObjectRequest { bucket: Some(BUCKET.into()), key: Some("k".into()), ..Default::default() };
    let marker = world.call::<ops::DeleteObject>(input).await.unwrap().version_id.unwrap();
    assert_eq!(tags(&world, "k", None).await.unwrap_err().code, "NoSuchKey");
    assert_eq!(tags(&world, "k", Some(&marker)).await.unwrap_err().code, "MethodNotAllowed");
    let other = objects_other_id(&marker);
    assert_eq!(tags(&world, "k", Some(&other)).await.unwrap_err().code, "NoSuchVersion");
    assert_eq!(retag(&world, "k", Some(&other), tagging(&[])).await.unwrap_err().code, "NoSuchVersion");
}

/// Another well-formed id.
fn objects_other_id(id: &str) -> String {
    let first = if id.starts_with('A') { 'B' } else { 'A' };
    format!("{first}{}", &id[1..])
}

//! Locks: what keeps a version from going, and from what on it does not.

use base::{Clocks, Fault, Timestamp};
use door::Body;
use model::s3::{self, ops};

use crate::versions::{LOCKED, delete, locked, put};
use crate::world::{BUCKET, World};

const DAY_MS: i64 = 86_400_000;

async fn by_force(world: &World, key: &str, version: &str) -> Result<s3::DeleteObjectOutput, Fault> {
    let input = s3::DeleteObjectRequest {
        bucket: Some(LOCKED.into()),
        key: Some(key.into()),
        version_id: Some(version.into()),
        bypass_governance_retention: Some(true),
        ..Default::default()
    };
    world.call::<ops::DeleteObject>(input).await
}

/// A retention until so many days from now.
fn retention(world: &World, mode: &str, days: i64) -> s3::ObjectLockRetention {
    s3::ObjectLockRetention {
        mode: Some(mode.into()),
        retain_until_date: Some(world.clocks.product().plus_ms(days * DAY_MS)),
        ..Default::default()
    }
}

fn retaining(version: &str, retention: s3::ObjectLockRetention) -> s3::PutObjectRetentionRequest {
    s3::PutObjectRetentionRequest {
        bucket: Some(LOCKED.into()),
        key: Some("k".into()),
        version_id: Some(version.into()),
        retention: Some(retention),
        ..Default::default()
    }
}

fn forced(input: s3::PutObjectRetentionRequest) -> s3::PutObjectRetentionRequest {
    s3::PutObjectRetentionRequest { bypass_governance_retention: Some(true), ..input }
}

async fn kept(world: &World, version: &str) -> Result<s3::ObjectLockRetention, Fault> {
    let input = s3::GetObjectRetentionRequest {
        bucket: Some(LOCKED.into()),
        key: Some("k".into()),
        version_id: Some(version.into()),
        ..Default::default()
    };
    Ok(world.call::<ops::GetObjectRetention>(input).await?.retention.unwrap())
}

async fn hold(world: &World, version: &str, status: &str) -> Result<(), Fault> {
    let input = s3::PutObjectLegalHoldRequest {
        bucket: Some(LOCKED.into()),
        key: Some("k".into()),
        version_id: Some(version.into()),
        legal_hold: Some(s3::ObjectLockLegalHold { status: Some(status.into()) }),
        ..Default::default()
    };
    world.call::<ops::PutObjectLegalHold>(input).await.map(|_| ())
}

async fn held(world: &World, version: &str) -> Result<String, Fault> {
    let input = s3::GetObjectLegalHoldRequest {
        bucket: Some(LOCKED.into()),
        key: Some("k".into()),
        version_id: Some(version.into()),
        ..Default::default()
    };
    Ok(world.call::<ops::GetObjectLegalHold>(input).await?.legal_hold.unwrap().status.unwrap())
}

fn code<T: std::fmt::Debug>(result: Result<T, Fault>) -> String {
    result.unwrap_err().code.into_owned()
}

#[tokio::test]
async fn a_version_under_governance_goes_by_force_or_when_its_time_is_over() {
    let world = locked().await;
    let (one, two) = (put(&world, "k", "1").await, put(&world, "k", "2").await);
    for version in [&one, &two] {
        let input = retaining(version, retention(&world, "GOVERNANCE", 2));
        world.call::<ops::PutObjectRetention>(input).await.unwrap();
    }
    let fault = delete(&world, "k", Some(&one)).await.unwrap_err();
    assert_eq!((&*fault.code, fault.status), ("AccessDenied", 403));
    assert_eq!(fault.message, "Access Denied because object protected by object lock.");
    by_force(&world, "k", &one).await.unwrap();
    // A delete marker on top is no harm to what lies below.
    delete(&world, "k", None).await.unwrap();
    world.clocks.advance(2 * DAY_MS as u64 - 1).await.unwrap();
    assert_eq!(code(delete(&world, "k", Some(&two)).await), "AccessDenied");
    world.clocks.advance(1).await.unwrap();
    delete(&world, "k", Some(&two)).await.unwrap();
}

#[tokio::test]
async fn compliance_only_grows() {
    let world = locked().await;
    let id = put(&world, "k", "1").await;
    let set = |mode: &str, days| retaining(&id, retention(&world, mode, days));
    world.call::<ops::PutObjectRetention>(set("COMPLIANCE", 2)).await.unwrap();
    assert_eq!(code(by_force(&world, "k", &id).await), "AccessDenied");
    for input in [set("COMPLIANCE", 1), set("GOVERNANCE", 3), retaining(&id, s3::ObjectLockRetention::default())] {
        assert_eq!(code(world.call::<ops::PutObjectRetention>(forced(input)).await), "AccessDenied");
    }
    world.call::<ops::PutObjectRetention>(set("COMPLIANCE", 3)).await.unwrap();
    let until = kept(&world, &id).await.unwrap();
    assert_eq!(until, retention(&world, "COMPLIANCE", 3));
    let world = world.restarted().await;
    assert_eq!(kept(&world, &id).await.unwrap(), until, "after a restart");
}

#[tokio::test]
async fn governance_shrinks_only_by_force() {
    let world = locked().await;
    let id = put(&world, "k", "1").await;
    assert_eq!(code(kept(&world, &id).await), "NoSuchObjectLockConfiguration");
    let set = |mode: &str, days| retaining(&id, retention(&world, mode, days));
    world.call::<ops::PutObjectRetention>(set("GOVERNANCE", 2)).await.unwrap();
    assert_eq!(code(world.call::<ops::PutObjectRetention>(set("GOVERNANCE", 1)).await), "AccessDenied");
    world.call::<ops::PutObjectRetention>(forced(set("GOVERNANCE", 1))).await.unwrap();
    world.call::<ops::PutObjectRetention>(set("GOVERNANCE", 5)).await.unwrap();
    let none = retaining(&id, s3::ObjectLockRetention::default());
    assert_eq!(code(world.call::<ops::PutObjectRetention>(none.clone()).await), "AccessDenied");
    world.call::<ops::PutObjectRetention>(forced(none)).await.unwrap();
    delete(&world, "k", Some(&id)).await.unwrap();
}

#[tokio::test]
async fn a_legal_hold_holds_until_it_is_lifted() {
    let world = locked().await;
    let id = put(&world, "k", "1").await;
    assert_eq!(code(held(&world, &id).await), "NoSuchObjectLockConfiguration");
    hold(&world, &id, "ON").await.unwrap();
    assert_eq!(held(&world, &id).await.unwrap(), "ON");
    assert_eq!(code(by_force(&world, "k", &id).await), "AccessDenied");
    hold(&world, &id, "OFF").await.unwrap();
    assert_eq!(held(&world, &id).await.unwrap(), "OFF");
    let input = s3::HeadObjectRequest { bucket: Some(LOCKED.into()), key: Some("k".into()), ..Default::default() };
    let head = world.call::<ops::HeadObject>(input).await.unwrap();
    assert_eq!(head.object_lock_legal_hold_status.as_deref(), Some("OFF"));
    by_force(&world, "k", &id).await.unwrap();
}

#[tokio::test]
async fn a_bucket_locks_what_comes_by_default() {
    let world = locked().await;
    let get = || s3::GetObjectLockConfigurationRequest { bucket: Some(LOCKED.into()), ..Default::default() };
    let bare = world.call::<ops::GetObjectLockConfiguration>(get()).await.unwrap().object_lock_configuration.unwrap();
    assert_eq!((bare.object_lock_enabled.as_deref(), bare.rule), (Some("Enabled"), None));
    let configuration = s3::ObjectLockConfiguration {
        object_lock_enabled: Some("Enabled".into()),
        rule: Some(s3::ObjectLockRule {
            default_retention: Some(s3::DefaultRetention {
                mode: Some("COMPLIANCE".into()),
                years: Some(1),
                ..Default::default()
            }),
        }),
    };
    let set = |configuration: Option<s3::ObjectLockConfiguration>| s3::PutObjectLockConfigurationRequest {
        bucket: Some(LOCKED.into()),
        object_lock_configuration: configuration,
        ..Default::default()
    };
    world.call::<ops::PutObjectLockConfiguration>(set(Some(configuration.clone()))).await.unwrap();
    let shown = world.call::<ops::GetObjectLockConfiguration>(get()).await.unwrap().object_lock_configuration.unwrap();
    assert_eq!(shown, configuration);
    let input = s3::PutObjectRequest {
        bucket: Some(LOCKED.into()),
        key: Some("k".into()),
        content_md5: Some("XUFAKrxLKna5cZ2REBfFkg==".into()),
        ..Default::default()
    };
    world.send::<ops::PutObject>(input, Body::Bytes("hello".into())).await.unwrap();
    let input = s3::HeadObjectRequest { bucket: Some(LOCKED.into()), key: Some("k".into()), ..Default::default() };
    let head = world.call::<ops::HeadObject>(input).await.unwrap();
    assert_eq!(head.object_lock_mode.as_deref(), Some("COMPLIANCE"));
    assert_eq!(head.object_lock_retain_until_date, Some(world.clocks.product().plus_ms(365 * DAY_MS)));
    for wrong in [None, Some(s3::ObjectLockConfiguration::default())] {
        assert_eq!(code(world.call::<ops::PutObjectLockConfiguration>(set(wrong)).await), "MalformedXML");
    }
    let mut event = configuration.clone();
    event.rule.as_mut().unwrap().default_retention.as_mut().unwrap().default_event_hold = Some(Default::default());
    assert_eq!(code(world.call::<ops::PutObjectLockConfiguration>(set(Some(event))).await), "NotImplemented");
}

#[tokio::test]
async fn without_locks_nothing_is_locked() {
    let world = locked().await;
    world.put("k", "x").await;
    let place = || (Some(BUCKET.to_owned()), Some("k".to_owned()));
    let (bucket, key) = place();
    let input = s3::PutObjectRetentionRequest { bucket, key, ..retaining("null", retention(&world, "GOVERNANCE", 1)) };
    assert_eq!(code(world.call::<ops::PutObjectRetention>(input).await), "InvalidRequest");
    let (bucket, key) = place();
    let input = s3::GetObjectLegalHoldRequest { bucket, key, ..Default::default() };
    assert_eq!(code(world.call::<ops::GetObjectLegalHold>(input).await), "InvalidRequest");
    let input = s3::GetObjectLockConfigurationRequest { bucket: Some(BUCKET.into()), ..Default::default() };
    assert_eq!(
        code(world.call::<ops::GetObjectLockConfiguration>(input).await),
        "ObjectLockConfigurationNotFoundError"
    );
    let input = s3::PutObjectLockConfigurationRequest { bucket: Some(BUCKET.into()), ..Default::default() };
    assert_eq!(code(world.call::<ops::PutObjectLockConfiguration>(input).await), "InvalidBucketState");
    let (bucket, key) = place();
    let input = s3::DeleteObjectRequest { bucket, key, bypass_governance_retention: Some(false), ..Default::default() };
    assert_eq!(code(world.call::<ops::DeleteObject>(input).await), "InvalidArgument");
    // What is no object cannot be locked.
    let marker = delete(&world, "k", None).await.unwrap().version_id.unwrap();
    let input = retaining(&marker, retention(&world, "GOVERNANCE", 1));
    assert_eq!(code(world.call::<ops::PutObjectRetention>(input).await), "MethodNotAllowed");
    assert_eq!(code(kept(&world, &marker).await), "MethodNotAllowed");
}

#[tokio::test]
async fn a_retention_is_whole_and_in_the_future() {
    let world = locked().await;
    let id = put(&world, "k", "1").await;
    let half = s3::ObjectLockRetention { mode: Some("GOVERNANCE".into()), ..Default::default() };
    assert_eq!(code(world.call::<ops::PutObjectRetention>(retaining(&id, half)).await), "MalformedXML");
    let past = s3::ObjectLockRetention {
        mode: Some("GOVERNANCE".into()),
        retain_until_date: Some(Timestamp(0)),
        ..Default::default()
    };
    assert_eq!(code(world.call::<ops::PutObjectRetention>(retaining(&id, past)).await), "InvalidArgument");
    let event = s3::ObjectLockRetention { event_hold: Some("ON".into()), ..retention(&world, "GOVERNANCE", 1) };
    assert_eq!(code(world.call::<ops::PutObjectRetention>(retaining(&id, event)).await), "NotImplemented");
    let other = s3::PutObjectRetentionRequest {
        expected_bucket_owner: Some("123456789012".into()),
        ..retaining(&id, retention(&world, "GOVERNANCE", 1))
    };
    assert_eq!(code(world.call::<ops::PutObjectRetention>(other).await), "AccessDenied");
    let nowhere = s3::PutObjectRetentionRequest {
        key: Some("other".into()),
        version_id: None,
        ..retaining(&id, retention(&world, "GOVERNANCE", 1))
    };
    assert_eq!(code(world.call::<ops::PutObjectRetention>(nowhere).await), "NoSuchKey");
}

#[tokio::test]
async fn a_lock_is_on_the_version_that_was_named() {
    let world = locked().await;
    let (old, new) = (put(&world, "k", "1").await, put(&world, "k", "2").await);
    hold(&world, &old, "ON").await.unwrap();
    world.call::<ops::PutObjectRetention>(retaining(&old, retention(&world, "GOVERNANCE", 1))).await.unwrap();
    assert_eq!(held(&world, &old).await.unwrap(), "ON");
    assert!(kept(&world, &old).await.is_ok());
    assert_eq!(code(held(&world, &new).await), "NoSuchObjectLockConfiguration");
    assert_eq!(code(kept(&world, &new).await), "NoSuchObjectLockConfiguration");
    delete(&world, "k", Some(&new)).await.unwrap();
}

#[tokio::test]
async fn only_the_expected_owners_bucket_is_meant() {
    let world = locked().await;
    let id = put(&world, "k", "1").await;
    hold(&world, &id, "ON").await.unwrap();
    let other = || Some("123456789012".to_owned());
    let (bucket, key) = (|| Some(LOCKED.to_owned()), || Some("k".to_owned()));
    let input = s3::PutObjectLockConfigurationRequest {
        bucket: bucket(),
        object_lock_configuration: Some(s3::ObjectLockConfiguration {
            object_lock_enabled: Some("Enabled".into()),
            rule: None,
        }),
        expected_bucket_owner: other(),
        ..Default::default()
    };
    assert_eq!(code(world.call::<ops::PutObjectLockConfiguration>(input).await), "AccessDenied");
    let input = s3::GetObjectLockConfigurationRequest { bucket: bucket(), expected_bucket_owner: other() };
    assert_eq!(code(world.call::<ops::GetObjectLockConfiguration>(input).await), "AccessDenied");
    let input = s3::GetObjectRetentionRequest {
        bucket: bucket(),
        key: key(),
        expected_bucket_owner: other(),
        ..Default::default()
    };
    assert_eq!(code(world.call::<ops::GetObjectRetention>(input).await), "AccessDenied");
    let input = s3::GetObjectLegalHoldRequest {
        bucket: bucket(),
        key: key(),
        expected_bucket_owner: other(),
        ..Default::default()
    };
    assert_eq!(code(world.call::<ops::GetObjectLegalHold>(input).await), "AccessDenied");
    let input = s3::PutObjectLegalHoldRequest {
        bucket: bucket(),
        key: key(),
        legal_hold: Some(s3::ObjectLockLegalHold { status: Some("OFF".into()) }),
        expected_bucket_owner: other(),
        ..Default::default()
    };
    assert_eq!(code(world.call::<ops::PutObjectLegalHold>(input).await), "AccessDenied");
    let input = s3::GetBucketLifecycleConfigurationRequest { bucket: bucket(), expected_bucket_owner: other() };
    assert_eq!(code(world.call::<ops::GetBucketLifecycleConfiguration>(input).await), "AccessDenied");
    let input = s3::DeleteBucketLifecycleRequest { bucket: bucket(), expected_bucket_owner: other() };
    assert_eq!(code(world.call::<ops::DeleteBucketLifecycle>(input).await), "AccessDenied");
}

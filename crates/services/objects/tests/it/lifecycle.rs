//! Lifecycles: what goes at which midnight.

use base::{Clocks, Fault, Timestamp};
use door::Body;
use model::s3::{self, ops};

use crate::versions::{LOCKED, delete, locked, put};
use crate::world::{BUCKET, World};

const DAY_MS: i64 = 86_400_000;

/// A rule for everything that begins with a prefix.
fn rule(prefix: &str, change: impl FnOnce(&mut s3::LifecycleRule)) -> s3::LifecycleRule {
    let mut rule = s3::LifecycleRule {
        id: Some(format!("of {prefix}")),
        filter: Some(s3::LifecycleRuleFilter { prefix: Some(prefix.into()), ..Default::default() }),
        status: Some("Enabled".into()),
        ..Default::default()
    };
    change(&mut rule);
    rule
}

fn after_days(days: i64) -> Option<s3::LifecycleExpiration> {
    Some(s3::LifecycleExpiration { days: Some(days), ..Default::default() })
}

fn ruled(bucket: &str, rules: Vec<s3::LifecycleRule>) -> s3::PutBucketLifecycleConfigurationRequest {
    s3::PutBucketLifecycleConfigurationRequest {
        bucket: Some(bucket.into()),
        lifecycle_configuration: Some(s3::BucketLifecycleConfiguration { rules: Some(rules) }),
        ..Default::default()
    }
}

async fn set(world: &World, bucket: &str, rules: Vec<s3::LifecycleRule>) {
    world.call::<ops::PutBucketLifecycleConfiguration>(ruled(bucket, rules)).await.unwrap();
}

/// Goes to so many midnights from now: what is done then is done.
async fn midnights(world: &World, count: i64) {
    let now = world.clocks.product().0;
    let ms = (now.div_euclid(DAY_MS) + count) * DAY_MS - now;
    world.clocks.advance(ms as u64).await.unwrap();
}

/// One millisecond before that.
async fn almost(world: &World, count: i64) {
    let now = world.clocks.product().0;
    let ms = (now.div_euclid(DAY_MS) + count) * DAY_MS - now - 1;
    world.clocks.advance(ms as u64).await.unwrap();
}

/// The versions of [`LOCKED`]: key and id, newest first, and how many of them are delete markers.
async fn versions(world: &World) -> (Vec<String>, usize) {
    let input = s3::ListObjectVersionsRequest { bucket: Some(LOCKED.into()), ..Default::default() };
    let page = world.call::<ops::ListObjectVersions>(input).await.unwrap();
    let ids = page.versions.unwrap_or_default().into_iter().map(|it| it.version_id.unwrap()).collect();
    (ids, page.delete_markers.unwrap_or_default().len())
}

async fn head(world: &World, bucket: &str, key: &str) -> Result<s3::HeadObjectOutput, Fault> {
    let input = s3::HeadObjectRequest { bucket: Some(bucket.into()), key: Some(key.into()), ..Default::default() };
    world.call::<ops::HeadObject>(input).await
}

#[tokio::test]
async fn days_are_counted_to_the_next_midnight() {
    let world = World::new().await;
    set(&world, BUCKET, vec![rule("logs/", |it| it.expiration = after_days(1))]).await;
    let output = world.put("logs/a", "x").await;
    world.put("other", "x").await;
    let now = world.clocks.product().0;
    let due = Timestamp((now.div_euclid(DAY_MS) + 2) * DAY_MS);
    let shown = format!("expiry-date=\"{}\", rule-id=\"of logs/\"", wire::http_date(due));
    assert_eq!(output.expiration.as_deref(), Some(shown.as_str()));
    assert_eq!(head(&world, BUCKET, "logs/a").await.unwrap().expiration.as_deref(), Some(shown.as_str()));
    assert_eq!(head(&world, BUCKET, "other").await.unwrap().expiration, None);
    almost(&world, 2).await;
    assert_eq!(world.get("logs/a").await.unwrap(), b"x");
    world.clocks.advance(1).await.unwrap();
    assert_eq!(world.get("logs/a").await.unwrap_err().code, "NoSuchKey");
    assert_eq!(world.get("other").await.unwrap(), b"x");
    // It goes on with what comes later, until the configuration goes.
    world.put("logs/b", "x").await;
    midnights(&world, 2).await;
    assert_eq!(world.get("logs/b").await.unwrap_err().code, "NoSuchKey");
    world.put("logs/c", "x").await;
    let gone = s3::DeleteBucketLifecycleRequest { bucket: Some(BUCKET.into()), ..Default::default() };
    world.call::<ops::DeleteBucketLifecycle>(gone).await.unwrap();
    midnights(&world, 9).await;
    assert_eq!(world.get("logs/c").await.unwrap(), b"x");
    assert_eq!(world.clocks.next_due(), None, "nobody waits for a midnight any more");
}

#[tokio::test]
async fn versions_go_in_their_order_and_the_last_marker_with_them() {
    let world = locked().await;
    let older = s3::NoncurrentVersionExpiration { noncurrent_days: Some(3), newer_noncurrent_versions: Some(1) };
    set(
        &world,
        LOCKED,
        vec![rule("", |it| (it.expiration, it.noncurrent_version_expiration) = (after_days(1), Some(older)))],
    )
    .await;
    let (one, two) = (put(&world, "k", "1").await, put(&world, "k", "2").await);
    let three = put(&world, "k", "3").await;
    midnights(&world, 1).await;
    assert_eq!(versions(&world).await, (vec![three.clone(), two.clone(), one.clone()], 0));
    midnights(&world, 1).await;
    assert_eq!(versions(&world).await, (vec![three.clone(), two.clone(), one.clone()], 1), "a marker came in front");
    assert_eq!(head(&world, LOCKED, "k").await.unwrap_err().code, "NoSuchKey");
    // `one` and `two` were replaced three days ago; `three` is the one newer that stays.
    midnights(&world, 2).await;
    assert_eq!(versions(&world).await, (vec![three.clone()], 1));
    midnights(&world, 9).await;
    assert_eq!(versions(&world).await, (vec![three.clone()], 1));
    // Once nothing is behind it the marker goes.
    delete(&world, "k", Some(&three)).await.unwrap();
    midnights(&world, 1).await;
    assert_eq!(versions(&world).await, (vec![], 0));
}

#[tokio::test]
async fn a_marker_alone_goes_where_the_rule_says_so() {
    let world = locked().await;
    let markers = s3::LifecycleExpiration { expired_object_delete_marker: Some(true), ..Default::default() };
    set(&world, LOCKED, vec![rule("a", |it| it.expiration = Some(markers))]).await;
    for key in ["a1", "a2", "b"] {
        delete(&world, key, None).await.unwrap();
    }
    let kept = put(&world, "a2", "x").await;
    delete(&world, "a2", None).await.unwrap();
    midnights(&world, 1).await;
    assert_eq!(versions(&world).await, (vec![kept], 3), "that of a1 is gone");
}

#[tokio::test]
async fn locked_versions_stay() {
    let world = locked().await;
    let older = s3::NoncurrentVersionExpiration { noncurrent_days: Some(1), ..Default::default() };
    set(&world, LOCKED, vec![rule("", |it| it.noncurrent_version_expiration = Some(older))]).await;
    let (kept, goes) = (put(&world, "k", "1").await, put(&world, "k", "2").await);
    let newest = put(&world, "k", "3").await;
    let until = world.clocks.product().plus_ms(5 * DAY_MS);
    let input = s3::PutObjectRetentionRequest {
        bucket: Some(LOCKED.into()),
        key: Some("k".into()),
        version_id: Some(kept.clone()),
        retention: Some(s3::ObjectLockRetention {
            mode: Some("GOVERNANCE".into()),
            retain_until_date: Some(until),
            ..Default::default()
        }),
        ..Default::default()
    };
    world.call::<ops::PutObjectRetention>(input).await.unwrap();
    midnights(&world, 4).await;
    assert_eq!(versions(&world).await.0, [newest.clone(), kept], "{goes} is gone");
    midnights(&world, 2).await;
    assert_eq!(versions(&world).await.0, [newest], "its time was over");
}

#[tokio::test]
async fn rules_are_for_the_objects_that_they_filter() {
    let world = World::new().await;
    let tagged = |key: &str, tags: &str| s3::PutObjectRequest {
        bucket: Some(BUCKET.into()),
        key: Some(key.into()),
        tagging: Some(tags.into()),
        ..Default::default()
    };
    for (key, tags, bytes) in [("a", "t=1&u=2", "xx"), ("b", "t=1", "xx"), ("c", "", "xxxx"), ("d", "t=2", "x")] {
        world.send::<ops::PutObject>(tagged(key, tags), Body::Bytes(bytes.into())).await.unwrap();
    }
    let tag = |key: &str, value: &str| s3::Tag { key: Some(key.into()), value: Some(value.into()) };
    let both = s3::LifecycleRuleAndOperator { tags: Some(vec![tag("t", "1"), tag("u", "2")]), ..Default::default() };
    let filter = |change: &dyn Fn(&mut s3::LifecycleRuleFilter)| {
        let mut filter = s3::LifecycleRuleFilter::default();
        change(&mut filter);
        rule("", |it| (it.id, it.filter, it.expiration) = (None, Some(filter), after_days(1)))
    };
    let off = rule("", |it| (it.status, it.expiration) = (Some("Disabled".into()), after_days(1)));
    let rules = vec![
        off,
        filter(&|it| it.and = Some(both.clone())),
        filter(&|it| it.object_size_greater_than = Some(3)),
        filter(&|it| it.tag = Some(tag("t", "2"))),
    ];
    set(&world, BUCKET, rules).await;
    midnights(&world, 2).await;
    for (key, stays) in [("a", false), ("b", true), ("c", false), ("d", false)] {
        assert_eq!(world.get(key).await.is_ok(), stays, "{key}");
    }
}

#[tokio::test]
async fn a_date_is_for_everything_from_then_on() {
    let world = World::new().await;
    let today = world.clocks.product().0.div_euclid(DAY_MS);
    let on = |day: i64| Some(s3::LifecycleExpiration { date: Some(Timestamp(day * DAY_MS)), ..Default::default() });
    set(&world, BUCKET, vec![rule("", |it| it.expiration = on(today + 3))]).await;
    world.put("k", "x").await;
    midnights(&world, 2).await;
    assert!(world.get("k").await.is_ok());
    midnights(&world, 1).await;
    assert!(world.get("k").await.is_err());
    world.put("k", "x").await;
    midnights(&world, 1).await;
    assert!(world.get("k").await.is_err());
    // A midnight that nobody saw is made up for.
    world.put("k", "x").await;
    set(&world, BUCKET, vec![rule("", |it| it.expiration = on(today - 1))]).await;
    let world = world.restarted().await;
    for _ in 0..1000 {
        if world.get("k").await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it is still there");
}

#[tokio::test]
async fn objects_get_the_class_that_is_their_turn() {
    let world = locked().await;
    let to = |class: &str, days: i64| s3::Transition {
        days: Some(days),
        storage_class: Some(class.into()),
        ..Default::default()
    };
    let older = s3::NoncurrentVersionTransition {
        noncurrent_days: Some(0),
        storage_class: Some("INTELLIGENT_TIERING".into()),
        ..Default::default()
    };
    let sizes = s3::LifecycleRuleFilter { object_size_greater_than: Some(0), ..Default::default() };
    set(
        &world,
        LOCKED,
        vec![rule("", |it| {
            it.filter = Some(sizes);
            it.transitions = Some(vec![to("GLACIER_IR", 40), to("STANDARD_IA", 30)]);
            it.noncurrent_version_transitions = Some(vec![older]);
        })],
    )
    .await;
    let first = put(&world, "k", "1").await;
    put(&world, "k", "2").await;
    let class = async || head(&world, LOCKED, "k").await.unwrap().storage_class;
    midnights(&world, 30).await;
    assert_eq!(class().await, None);
    midnights(&world, 1).await;
    assert_eq!(class().await.as_deref(), Some("STANDARD_IA"));
    midnights(&world, 10).await;
    assert_eq!(class().await.as_deref(), Some("GLACIER_IR"));
    let input = s3::HeadObjectRequest {
        bucket: Some(LOCKED.into()),
        key: Some("k".into()),
        version_id: Some(first),
        ..Default::default()
    };
    let head = world.call::<ops::HeadObject>(input).await.unwrap();
    assert_eq!(head.storage_class.as_deref(), Some("INTELLIGENT_TIERING"));
}

#[tokio::test]
async fn uploads_that_take_too_long_are_aborted() {
    let world = World::new().await;
    let abort = s3::AbortIncompleteMultipartUpload { days_after_initiation: Some(2) };
    set(&world, BUCKET, vec![rule("a", |it| it.abort_incomplete_multipart_upload = Some(abort))]).await;
    let begin = |key: &str| s3::CreateMultipartUploadRequest {
        bucket: Some(BUCKET.into()),
        key: Some(key.into()),
        ..Default::default()
    };
    let begun = world.call::<ops::CreateMultipartUpload>(begin("a")).await.unwrap();
    let due = Timestamp((world.clocks.product().0.div_euclid(DAY_MS) + 3) * DAY_MS);
    assert_eq!((begun.abort_date, begun.abort_rule_id.as_deref()), (Some(due), Some("of a")));
    world.call::<ops::CreateMultipartUpload>(begin("b")).await.unwrap();
    let uploads = async || {
        let input = s3::ListMultipartUploadsRequest { bucket: Some(BUCKET.into()), ..Default::default() };
        let uploads = world.call::<ops::ListMultipartUploads>(input).await.unwrap().uploads.unwrap_or_default();
        uploads.into_iter().map(|it| it.key.unwrap()).collect::<Vec<_>>()
    };
    almost(&world, 3).await;
    assert_eq!(uploads().await, ["a", "b"]);
    world.clocks.advance(1).await.unwrap();
    assert_eq!(uploads().await, ["b"]);
}

#[tokio::test]
async fn a_configuration_is_kept_as_it_was_given() {
    let world = World::new().await;
    let get = || s3::GetBucketLifecycleConfigurationRequest { bucket: Some(BUCKET.into()), ..Default::default() };
    let none = world.call::<ops::GetBucketLifecycleConfiguration>(get()).await.unwrap_err();
    assert_eq!((&*none.code, none.status), ("NoSuchLifecycleConfiguration", 404));
    let rules = vec![
        rule("a", |it| it.expiration = after_days(1)),
        rule("b", |it| (it.id, it.expiration) = (None, after_days(2))),
    ];
    let input = ruled(BUCKET, rules.clone());
    let other = s3::PutBucketLifecycleConfigurationRequest {
        expected_bucket_owner: Some("123456789012".into()),
        ..input.clone()
    };
    assert_eq!(world.call::<ops::PutBucketLifecycleConfiguration>(other).await.unwrap_err().code, "AccessDenied");
    let output = world.call::<ops::PutBucketLifecycleConfiguration>(input).await.unwrap();
    assert_eq!(output.transition_default_minimum_object_size.as_deref(), Some("all_storage_classes_128K"));
    let kept = world.call::<ops::GetBucketLifecycleConfiguration>(get()).await.unwrap();
    assert_eq!(kept.transition_default_minimum_object_size.as_deref(), Some("all_storage_classes_128K"));
    let kept = kept.rules.unwrap();
    assert_eq!(kept[0], rules[0]);
    assert_eq!(kept[1].id.as_ref().unwrap().len(), 48);
    let sized = s3::PutBucketLifecycleConfigurationRequest {
        transition_default_minimum_object_size: Some("varies_by_storage_class".into()),
        ..ruled(BUCKET, rules)
    };
    world.call::<ops::PutBucketLifecycleConfiguration>(sized).await.unwrap();
    let kept = world.call::<ops::GetBucketLifecycleConfiguration>(get()).await.unwrap();
    assert_eq!(kept.transition_default_minimum_object_size.as_deref(), Some("varies_by_storage_class"));
}

#[tokio::test]
async fn wrong_rules_are_refused_in_s3s_words() {
    let world = World::new().await;
    let days = |it: &mut s3::LifecycleRule| it.expiration = after_days(1);
    let to = |class: &str, days: i64| s3::Transition {
        days: Some(days),
        storage_class: Some(class.into()),
        ..Default::default()
    };
    let tag = |key: &str| s3::Tag { key: Some(key.into()), value: Some(String::new()) };
    let plain = |prefix: &str| {
        rule(prefix, |it| (it.filter, it.prefix, it.expiration) = (None, Some(prefix.into()), after_days(1)))
    };
    let filtered =
        |filter: s3::LifecycleRuleFilter| rule("", |it| (it.filter, it.expiration) = (Some(filter), after_days(1)));
    let moving = |list: Vec<s3::Transition>| rule("p", |it| it.transitions = Some(list));
    let cases: Vec<(&str, &str, Vec<s3::LifecycleRule>)> = vec![
        ("InvalidRequest", "At least one lifecycle rule", vec![]),
        ("InvalidRequest", "allowed limit of 1000 rules", vec![rule("", days); 1001]),
        ("InvalidRequest", "At least one action", vec![rule("", |_| {})]),
        ("InvalidArgument", "must be unique", vec![rule("", days), rule("", days)]),
        ("InvalidArgument", "limit of 255", vec![rule(&"x".repeat(300), days)]),
        ("InvalidArgument", "'Days' for Expiration", vec![rule("", |it| it.expiration = after_days(0))]),
        ("MalformedXML", "", vec![rule("", |it| it.expiration = Some(Default::default()))]),
        ("MalformedXML", "", vec![rule("", |it| (it.filter, it.expiration) = (None, after_days(1)))]),
        ("InvalidRequest", "Base level prefix", vec![rule("a", days), plain("b")]),
        ("InvalidRequest", "Filter element", vec![plain("a"), rule("b", days)]),
        ("InvalidRequest", "prefixes '' and 'a' for same action type 'Expiration'", vec![plain(""), plain("a")]),
        (
            "InvalidArgument",
            "'Date' must be at midnight GMT",
            vec![rule("", |it| {
                it.expiration = Some(s3::LifecycleExpiration { date: Some(Timestamp(1)), ..Default::default() });
            })],
        ),
        (
            "MalformedXML",
            "",
            vec![filtered(s3::LifecycleRuleFilter {
                prefix: Some("a".into()),
                tag: Some(tag("t")),
                ..Default::default()
            })],
        ),
        (
            "InvalidRequest",
            "Duplicate Tag Keys",
            vec![filtered(s3::LifecycleRuleFilter {
                and: Some(s3::LifecycleRuleAndOperator { tags: Some(vec![tag("t"), tag("t")]), ..Default::default() }),
                ..Default::default()
            })],
        ),
        (
            "InvalidRequest",
            "'ObjectSizeLessThan' should be between 1",
            vec![filtered(s3::LifecycleRuleFilter { object_size_less_than: Some(0), ..Default::default() })],
        ),
        (
            "InvalidRequest",
            "cannot be specified with Tags",
            vec![rule("", |it| {
                it.filter = Some(s3::LifecycleRuleFilter { tag: Some(tag("t")), ..Default::default() });
                let abort = s3::AbortIncompleteMultipartUpload { days_after_initiation: Some(1) };
                it.abort_incomplete_multipart_upload = Some(abort);
            })],
        ),
        ("MalformedXML", "", vec![rule("", |it| it.noncurrent_version_expiration = Some(Default::default()))]),
        ("InvalidArgument", "equal to 30 for storageClass 'STANDARD_IA'", vec![moving(vec![to("STANDARD_IA", 29)])]),
        (
            "InvalidRequest",
            "'StorageClass' must be different for 'Transition' actions in same 'Rule' with filter '(prefix=p)'",
            vec![moving(vec![to("GLACIER_IR", 1), to("GLACIER_IR", 2)])],
        ),
        (
            "InvalidArgument",
            "'Days' in the Transition action for StorageClass 'GLACIER_IR'",
            vec![moving(vec![to("STANDARD_IA", 40), to("GLACIER_IR", 40)])],
        ),
        (
            "InvalidArgument",
            "must be greater than 'Days' in the Transition action",
            vec![rule("p", |it| {
                (it.transitions, it.expiration) = (Some(vec![to("GLACIER_IR", 5)]), after_days(5));
            })],
        ),
        ("NotImplemented", "DEEP_ARCHIVE", vec![moving(vec![to("DEEP_ARCHIVE", 1)])]),
    ];
    for (code, words, rules) in cases {
        let fault = world.call::<ops::PutBucketLifecycleConfiguration>(ruled(BUCKET, rules)).await.unwrap_err();
        assert_eq!(fault.code, code, "{}", fault.message);
        assert!(fault.message.contains(words), "{}: {words}", fault.message);
    }
}

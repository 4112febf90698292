//! Log groups and tags.

use std::collections::BTreeMap;

use model::logs::{self, ops};

use crate::world::{GROUP, World, assert_fault};

fn create(name: &str) -> logs::CreateLogGroupRequest {
    logs::CreateLogGroupRequest { log_group_name: Some(name.into()), ..Default::default() }
}

fn delete(name: &str) -> logs::DeleteLogGroupRequest {
    logs::DeleteLogGroupRequest { log_group_name: Some(name.into()) }
}

async fn names(world: &World, input: logs::DescribeLogGroupsRequest) -> Vec<String> {
    let groups = world.call::<ops::DescribeLogGroups>(input).await.unwrap().log_groups.unwrap();
    groups.into_iter().map(|group| group.log_group_name.unwrap()).collect()
}

#[tokio::test]
async fn a_group_is_made_once_and_deleted_once() {
    let world = World::new();
    world.call::<ops::CreateLogGroup>(create("a")).await.unwrap();
    assert_fault(
        world.call::<ops::CreateLogGroup>(create("a")).await,
        "ResourceAlreadyExistsException",
        "The specified log group already exists",
    );
    world.call::<ops::DeleteLogGroup>(delete("a")).await.unwrap();
    assert_fault(
        world.call::<ops::DeleteLogGroup>(delete("a")).await,
        "ResourceNotFoundException",
        "The specified log group does not exist.",
    );
}

#[tokio::test]
async fn a_protected_group_stays() {
    let world = World::new();
    let input = logs::CreateLogGroupRequest { deletion_protection_enabled: Some(true), ..create("a") };
    world.call::<ops::CreateLogGroup>(input).await.unwrap();
    assert_eq!(world.call::<ops::DeleteLogGroup>(delete("a")).await.unwrap_err().code, "ValidationException");
    assert_eq!(names(&world, Default::default()).await, ["a"]);
}

#[tokio::test]
async fn what_is_not_kept_is_refused() {
    let world = World::new();
    for input in [
        logs::CreateLogGroupRequest { kms_key_id: Some("k".into()), ..create("a") },
        logs::CreateLogGroupRequest { log_group_class: Some("DELIVERY".into()), ..create("a") },
    ] {
        assert_eq!(world.call::<ops::CreateLogGroup>(input).await.unwrap_err().code, "NotImplemented");
    }
    assert_eq!(world.call::<ops::CreateLogGroup>(create("aws/x")).await.unwrap_err().code, "InvalidParameterException");
}

#[tokio::test]
async fn groups_are_listed_in_order_by_page_prefix_and_pattern() {
    let world = World::new();
    for name in ["b", "/x/2", "a", "/x/1", "/x/10"] {
        world.create_group(name).await;
    }
    assert_eq!(names(&world, Default::default()).await, ["/x/1", "/x/10", "/x/2", "a", "b"]);
    let prefix = logs::DescribeLogGroupsRequest { log_group_name_prefix: Some("/x/1".into()), ..Default::default() };
    assert_eq!(names(&world, prefix).await, ["/x/1", "/x/10"]);
    let pattern = logs::DescribeLogGroupsRequest { log_group_name_pattern: Some("x/".into()), ..Default::default() };
    assert_eq!(names(&world, pattern).await, ["/x/1", "/x/10", "/x/2"]);
    let arn = "arn:aws:logs:us-east-1:000000000000:log-group:a".to_owned();
    let named = logs::DescribeLogGroupsRequest {
        log_group_identifiers: Some(vec![arn, "nobody".into()]),
        ..Default::default()
    };
    assert_eq!(names(&world, named).await, ["a"]);
    let mut input = logs::DescribeLogGroupsRequest { limit: Some(2), ..Default::default() };
    let mut pages = Vec::new();
    loop {
        let page = world.call::<ops::DescribeLogGroups>(input.clone()).await.unwrap();
        pages.push(page.log_groups.unwrap().len());
        input.next_token = page.next_token;
        if input.next_token.is_none() {
            break;
        }
        assert!(pages.len() < 10, "the token leads nowhere");
    }
    assert_eq!(pages, [2, 2, 1]);
    let bad = logs::DescribeLogGroupsRequest { next_token: Some("!".into()), ..Default::default() };
    assert_fault(
        world.call::<ops::DescribeLogGroups>(bad).await,
        "InvalidParameterException",
        "The specified nextToken is invalid.",
    );
}

#[tokio::test]
async fn groups_of_other_accounts_and_classes_are_not_there() {
    let world = World::new();
    world.create_group("a").await;
    let of = |account: &str, linked| logs::DescribeLogGroupsRequest {
        account_identifiers: Some(vec![account.to_owned()]),
        include_linked_accounts: linked,
        ..Default::default()
    };
    assert_eq!(names(&world, of("000000000000", Some(true))).await, ["a"]);
    assert_eq!(names(&world, of("111122223333", Some(true))).await, [""; 0]);
    assert_eq!(
        names(&world, of("111122223333", None)).await,
        ["a"],
        "other accounts are looked at only when asked for"
    );
    let class =
        |class: &str| logs::DescribeLogGroupsRequest { log_group_class: Some(class.into()), ..Default::default() };
    assert_eq!(names(&world, class("STANDARD")).await, ["a"]);
    assert_eq!(names(&world, class("INFREQUENT_ACCESS")).await, [""; 0]);
}

#[tokio::test]
async fn a_group_is_shown_with_its_arns() {
    let world = World::new();
    world.create_group(GROUP).await;
    let group = world.call::<ops::DescribeLogGroups>(Default::default()).await.unwrap().log_groups.unwrap().remove(0);
    let arn = format!("arn:aws:logs:us-east-1:000000000000:log-group:{GROUP}");
    assert_eq!(group.arn, Some(format!("{arn}:*")));
    assert_eq!(group.log_group_arn, Some(arn));
    assert_eq!(group.creation_time, Some(world.now()));
    assert_eq!((group.stored_bytes, group.metric_filter_count, group.retention_in_days), (Some(0), Some(0), None));
    assert_eq!(group.log_group_class.as_deref(), Some("STANDARD"));
}

#[tokio::test]
async fn tags_are_set_changed_and_taken_away() {
    let world = World::new();
    let tags = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    };
    let input = logs::CreateLogGroupRequest { tags: Some(tags(&[("a", "1"), ("b", "2")])), ..create("g") };
    world.call::<ops::CreateLogGroup>(input).await.unwrap();
    let arn = Some("arn:aws:logs:us-east-1:000000000000:log-group:g".to_owned());
    let more = logs::TagResourceRequest { resource_arn: arn.clone(), tags: Some(tags(&[("b", "3"), ("c", "4")])) };
    world.call::<ops::TagResource>(more).await.unwrap();
    let less = logs::UntagResourceRequest { resource_arn: arn.clone(), tag_keys: Some(vec!["a".into()]) };
    world.call::<ops::UntagResource>(less).await.unwrap();
    let expected = Some(tags(&[("b", "3"), ("c", "4")]));
    let by_arn = logs::ListTagsForResourceRequest { resource_arn: arn.clone() };
    assert_eq!(world.call::<ops::ListTagsForResource>(by_arn).await.unwrap().tags, expected);
    let by_name = logs::ListTagsLogGroupRequest { log_group_name: Some("g".into()) };
    assert_eq!(world.call::<ops::ListTagsLogGroup>(by_name).await.unwrap().tags, expected);
    let many: BTreeMap<_, _> = (0..50).map(|at| (format!("k{at}"), String::new())).collect();
    let too_many = logs::TagResourceRequest { resource_arn: arn, tags: Some(many) };
    assert_eq!(world.call::<ops::TagResource>(too_many).await.unwrap_err().code, "TooManyTagsException");
    let nobody = logs::ListTagsForResourceRequest {
        resource_arn: Some("arn:aws:logs:us-east-1:000000000000:log-group:none".into()),
    };
    assert_fault(
        world.call::<ops::ListTagsForResource>(nobody).await,
        "ResourceNotFoundException",
        "The specified log group does not exist.",
    );
}

#[tokio::test]
async fn tags_are_changed_the_older_way_too() {
    let world = World::new();
    world.create_group(GROUP).await;
    let tags = |keys: &[&str]| keys.iter().map(|key| ((*key).to_owned(), "v".to_owned())).collect();
    let tag = |name: &str, keys: &[&str]| logs::TagLogGroupRequest {
        log_group_name: Some(name.into()),
        tags: Some(tags(keys)),
    };
    world.call::<ops::TagLogGroup>(tag(GROUP, &["a", "b"])).await.unwrap();
    let untag =
        |name: &str| logs::UntagLogGroupRequest { log_group_name: Some(name.into()), tags: Some(vec!["a".into()]) };
    world.call::<ops::UntagLogGroup>(untag(GROUP)).await.unwrap();
    let list = logs::ListTagsLogGroupRequest { log_group_name: Some(GROUP.into()) };
    let left = world.call::<ops::ListTagsLogGroup>(list).await.unwrap().tags.unwrap();
    assert_eq!(left.into_keys().collect::<Vec<_>>(), ["b"]);
    for fault in [
        world.call::<ops::TagLogGroup>(tag("missing", &["a"])).await.unwrap_err(),
        world.call::<ops::UntagLogGroup>(untag("missing")).await.unwrap_err(),
    ] {
        assert_eq!(fault.code, "ResourceNotFoundException");
    }
    let many: Vec<String> = (0..50).map(|at| format!("k{at}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let fault = world.call::<ops::TagLogGroup>(tag(GROUP, &many)).await.unwrap_err();
    assert_eq!(fault.code, "InvalidParameterException");
}

//! Subscription filters.

use std::io::Read;

use base::{LogLine, LogSink, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use door::outbox::{Delivery, Sender};
use model::logs::{self, ops};
use serde_json::Value;

use crate::world::{FUNCTION, GROUP, World, arn, assert_fault};

fn filter(name: &str, pattern: &str) -> logs::PutSubscriptionFilterRequest {
    logs::PutSubscriptionFilterRequest {
        log_group_name: Some(GROUP.into()),
        filter_name: Some(name.into()),
        filter_pattern: Some(pattern.into()),
        destination_arn: Some(FUNCTION.into()),
        ..Default::default()
    }
}

async fn put(world: &World, input: logs::PutSubscriptionFilterRequest) {
    world.call::<ops::PutSubscriptionFilter>(input).await.unwrap();
}

async fn shown(world: &World, input: logs::DescribeSubscriptionFiltersRequest) -> (Vec<String>, Option<String>) {
    let input = logs::DescribeSubscriptionFiltersRequest { log_group_name: Some(GROUP.into()), ..input };
    let page = world.call::<ops::DescribeSubscriptionFilters>(input).await.unwrap();
    (page.subscription_filters.unwrap().into_iter().map(|one| one.filter_name.unwrap()).collect(), page.next_token)
}

fn describe() -> logs::DescribeSubscriptionFiltersRequest {
    logs::DescribeSubscriptionFiltersRequest::default()
}

/// What waits in the outbox, and what each delivery carries.
fn handed(world: &World) -> Vec<(Delivery, Value)> {
    let rows = store::outbox::first(&*world.kv, 0, 100).unwrap();
    let read = |(_, _, value)| {
        let delivery = Delivery::read(&value).unwrap();
        let body: Value = serde_json::from_slice(&delivery.body).unwrap();
        let packed = STANDARD.decode(body["awslogs"]["data"].as_str().unwrap()).unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
        (delivery, serde_json::from_str(&text).unwrap())
    };
    rows.into_iter().map(read).collect()
}

fn messages(data: &Value) -> Vec<&str> {
    data["logEvents"].as_array().unwrap().iter().map(|event| event["message"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_matches_goes_to_the_outbox_with_its_stream_and_ids() {
    let world = World::new();
    world.create_group(GROUP).await;
    put(&world, filter("errors", "ERROR")).await;
    let now = world.now();
    world.write("new", &[(now + 1, "ERROR two"), (now, "ERROR one"), (now + 2, "fine")]);
    let all = logs::FilterLogEventsRequest {
        log_group_name: Some(GROUP.into()),
        filter_pattern: Some("ERROR".into()),
        ..Default::default()
    };
    let found = world.call::<ops::FilterLogEvents>(all.clone()).await.unwrap().events.unwrap();
    let [(delivery, data)] = &handed(&world)[..] else { panic!("one delivery") };
    assert_eq!(messages(data), ["ERROR one", "ERROR two"]);
    let ids: Vec<_> = data["logEvents"].as_array().unwrap().iter().map(|event| event["id"].as_str()).collect();
    assert_eq!(ids, found.iter().map(|event| event.event_id.as_deref()).collect::<Vec<_>>(), "the ids of a search");
    assert_eq!(data["logEvents"][0]["timestamp"], now);
    assert_eq!((&data["messageType"], &data["owner"]), (&"DATA_MESSAGE".into(), &"000000000000".into()));
    assert_eq!((&data["logGroup"], &data["logStream"]), (&GROUP.into(), &"new".into()));
    assert_eq!(data["subscriptionFilters"], serde_json::json!(["errors"]));
    let sender = Sender::Service {
        name: "logs.amazonaws.com".into(),
        source_arn: format!("{}:*", arn(GROUP)),
        account: "000000000000".into(),
    };
    assert_eq!((&delivery.sender, delivery.depth), (&sender, 1));
    assert!(delivery.path.contains("function%3Alistener") && delivery.path.ends_with("/invocations"));
    assert!(delivery.headers.contains(&("x-amz-invocation-type".into(), "Event".into())));
    // A stream that is there already goes on with its numbers.
    world.write("new", &[(now + 3, "ERROR three")]);
    let found = world.call::<ops::FilterLogEvents>(all).await.unwrap().events.unwrap();
    let rows = handed(&world);
    let later = rows.iter().find(|(_, data)| messages(data) == ["ERROR three"]).unwrap();
    assert_eq!(later.1["logEvents"][0]["id"].as_str(), found[2].event_id.as_deref());
}

#[tokio::test]
async fn what_a_client_puts_is_heard_too_and_a_failed_put_is_not() {
    let world = World::new();
    world.create_group(GROUP).await;
    world.create_stream(GROUP, "s").await;
    put(&world, filter("all", "")).await;
    let now = world.now();
    world.put("s", &[(now, "a")]).await.unwrap();
    world.put("missing", &[(now, "b")]).await.unwrap_err();
    let rows = handed(&world);
    assert_eq!(rows.len(), 1);
    assert_eq!(messages(&rows[0].1), ["a"]);
}

#[tokio::test]
async fn a_chain_of_deliveries_counts_its_length_and_takes_no_others_along() {
    let world = World::new();
    world.create_group(GROUP).await;
    put(&world, filter("all", "")).await;
    let line = |text: &str, hops: u16| LogLine {
        account: base::Account::DEFAULT,
        region: base::Region::default_region(),
        group: GROUP.into(),
        stream: "s".into(),
        at: Timestamp(world.now()),
        text: text.into(),
        hops,
    };
    world.observe.write(vec![line("of a client", 0), line("of a long chain", 16), line("of a client too", 0)]);
    shown(&world, describe()).await;
    let mut rows = handed(&world);
    rows.sort_by_key(|(delivery, _)| delivery.depth);
    let seen: Vec<_> = rows.iter().map(|(delivery, data)| (delivery.depth, messages(data))).collect();
    assert_eq!(seen, [(1, vec!["of a client", "of a client too"]), (17, vec!["of a long chain"])]);
    const { assert!(17 > base::limits::CALL_DEPTH, "the door ends the chain") };
    assert_eq!(base::TraceHeader::hops(rows[1].0.trace.as_deref().unwrap()), 17);
}

#[tokio::test]
async fn filters_are_listed_changed_and_deleted() {
    let world = World::new();
    world.create_group(GROUP).await;
    put(&world, filter("b", "")).await;
    put(&world, logs::PutSubscriptionFilterRequest { distribution: Some("Random".into()), ..filter("a", "x") }).await;
    assert_eq!(shown(&world, describe()).await, (vec!["a".into(), "b".into()], None));
    let one = logs::DescribeSubscriptionFiltersRequest { limit: Some(1), ..describe() };
    let (first, token) = shown(&world, one.clone()).await;
    assert_eq!(first, ["a"]);
    let (second, end) = shown(&world, logs::DescribeSubscriptionFiltersRequest { next_token: token, ..one }).await;
    assert_eq!((second, end), (vec!["b".into()], None));
    let prefix = logs::DescribeSubscriptionFiltersRequest { filter_name_prefix: Some("b".into()), ..describe() };
    assert_eq!(shown(&world, prefix).await.0, ["b"]);
    let wrong = logs::DescribeSubscriptionFiltersRequest {
        log_group_name: Some(GROUP.into()),
        next_token: Some("?".into()),
        ..describe()
    };
    let fault = world.call::<ops::DescribeSubscriptionFilters>(wrong).await.unwrap_err();
    assert_eq!(fault.message, "The specified nextToken is invalid.");
    assert_fault(
        world.call::<ops::PutSubscriptionFilter>(filter("c", "")).await,
        "LimitExceededException",
        "Resource limit exceeded.",
    );
    put(&world, filter("a", "y")).await;
    let input = logs::DescribeSubscriptionFiltersRequest { log_group_name: Some(GROUP.into()), ..describe() };
    let all = world.call::<ops::DescribeSubscriptionFilters>(input).await.unwrap().subscription_filters.unwrap();
    let expected = logs::SubscriptionFilter {
        filter_name: Some("a".into()),
        log_group_name: Some(GROUP.into()),
        filter_pattern: Some("y".into()),
        destination_arn: Some(FUNCTION.into()),
        distribution: Some("ByLogStream".into()),
        creation_time: Some(world.now()),
        ..Default::default()
    };
    assert_eq!(all[0], expected);
    let delete = |name: &str| logs::DeleteSubscriptionFilterRequest {
        log_group_name: Some(GROUP.into()),
        filter_name: Some(name.into()),
    };
    world.call::<ops::DeleteSubscriptionFilter>(delete("a")).await.unwrap();
    assert_eq!(shown(&world, describe()).await.0, ["b"]);
    assert_fault(
        world.call::<ops::DeleteSubscriptionFilter>(delete("a")).await,
        "ResourceNotFoundException",
        "The specified subscription filter does not exist.",
    );
    world.call::<ops::DeleteSubscriptionFilter>(delete("b")).await.unwrap();
    world.write("s", &[(world.now(), "nobody hears it")]);
    shown(&world, describe()).await;
    assert!(handed(&world).is_empty());
}

#[tokio::test]
async fn what_cannot_be_subscribed_is_refused_in_the_services_words() {
    let world = World::new();
    let said = |input| async {
        let fault = world.call::<ops::PutSubscriptionFilter>(input).await.unwrap_err();
        format!("{}: {}", fault.code, fault.message)
    };
    assert_eq!(said(filter("f", "")).await, "ResourceNotFoundException: The specified log group does not exist.");
    world.create_group(GROUP).await;
    assert_eq!(
        said(filter("f", "{ $.a")).await,
        "InvalidParameterException: If a filter pattern starts with '{' it must end with '}'"
    );
    assert_eq!(said(filter("f", "[a = ]")).await, "InvalidParameterException: Invalid subscription filter pattern");
    let to = |destination: &str| logs::PutSubscriptionFilterRequest {
        destination_arn: Some(destination.into()),
        ..filter("f", "")
    };
    assert_eq!(
        said(to("arn:aws:lambda:us-east-1:000000000000:function:nobody")).await,
        "InvalidParameterException: Could not execute the lambda function. Make sure you have given CloudWatch Logs \
         permission to execute your function."
    );
    assert_eq!(
        said(to("arn:aws:sns:us-east-1:000000000000:topic")).await,
        "InvalidParameterException: PutSubscriptionFilter operation cannot work with destinationArn for vendor sns"
    );
    assert!(said(to("arn:aws:kinesis:us-east-1:000000000000:stream/s")).await.contains("destinationArn of kinesis"));
    assert!(said(to("nonsense")).await.starts_with("InvalidParameterException"));
    let role = Some("arn:aws:iam::000000000000:role/r".to_owned());
    assert_eq!(
        said(logs::PutSubscriptionFilterRequest { role_arn: role, ..filter("f", "") }).await,
        "InvalidParameterException: destinationArn for vendor lambda cannot be used with roleArn"
    );
    for (member, input) in [
        (
            "applyOnTransformedLogs",
            logs::PutSubscriptionFilterRequest { apply_on_transformed_logs: Some(true), ..filter("f", "") },
        ),
        (
            "fieldSelectionCriteria",
            logs::PutSubscriptionFilterRequest { field_selection_criteria: Some("x".into()), ..filter("f", "") },
        ),
        (
            "emitSystemFields",
            logs::PutSubscriptionFilterRequest {
                emit_system_fields: Some(vec!["@aws.region".into()]),
                ..filter("f", "")
            },
        ),
    ] {
        assert!(said(input).await.contains(member));
    }
    assert!(shown(&world, describe()).await.0.is_empty());
}

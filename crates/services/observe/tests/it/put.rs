//! PutLogEvents.

use model::logs::{self, ops};

use crate::world::{GROUP, World, assert_fault};

const HOUR: i64 = 3_600_000;

#[tokio::test]
async fn group_and_stream_must_exist() {
    let world = World::new();
    let now = world.now();
    assert_fault(
        world.put("s", &[(now, "x")]).await,
        "ResourceNotFoundException",
        "The specified log group does not exist.",
    );
    world.create_group(GROUP).await;
    assert_fault(
        world.put("s", &[(now, "x")]).await,
        "ResourceNotFoundException",
        "The specified log stream does not exist.",
    );
}

#[tokio::test]
async fn good_events_are_kept_and_the_others_named() {
    let world = World::new();
    world.create_group(GROUP).await;
    world.create_stream(GROUP, "s").await;
    let now = world.now();
    let answer =
        world.put("s", &[(now - 15 * 24 * HOUR, "old"), (now, "good"), (now + 3 * HOUR, "new")]).await.unwrap();
    let rejected = answer.rejected_log_events_info.unwrap();
    assert_eq!(rejected.too_old_log_event_end_index, Some(1));
    assert_eq!(rejected.too_new_log_event_start_index, Some(2));
    assert_eq!(world.filter(Default::default()).await, ["good"]);
    let answer = world.put("s", &[(now, "again")]).await.unwrap();
    assert_eq!(answer.rejected_log_events_info, None);
    assert!(answer.next_sequence_token.is_some());
    assert_fault(
        world.put("s", &[(now, "x"), (now - 1, "y")]).await,
        "InvalidParameterException",
        "Log events in a single PutLogEvents request must be in chronological order.",
    );
    assert_eq!(world.filter(Default::default()).await, ["good", "again"]);
}

#[tokio::test]
async fn the_next_token_is_the_one_the_stream_shows() {
    let world = World::new();
    world.create_group(GROUP).await;
    world.create_stream(GROUP, "s").await;
    let token = world.put("s", &[(world.now(), "x")]).await.unwrap().next_sequence_token;
    let input = logs::DescribeLogStreamsRequest { log_group_name: Some(GROUP.into()), ..Default::default() };
    let shown = world.call::<ops::DescribeLogStreams>(input).await.unwrap().log_streams.unwrap().remove(0);
    assert_eq!(shown.upload_sequence_token, token);
}

#[tokio::test]
async fn an_entity_is_refused_by_itself() {
    let world = World::new();
    world.create_group(GROUP).await;
    world.create_stream(GROUP, "s").await;
    let event = logs::InputLogEvent { timestamp: Some(world.now()), message: Some("x".into()) };
    let input = logs::PutLogEventsRequest {
        log_group_name: Some(GROUP.into()),
        log_stream_name: Some("s".into()),
        log_events: Some(vec![event]),
        entity: Some(Default::default()),
        ..Default::default()
    };
    let answer = world.call::<ops::PutLogEvents>(input).await.unwrap();
    assert!(answer.rejected_entity_info.is_some());
    assert_eq!(world.filter(Default::default()).await, ["x"]);
}

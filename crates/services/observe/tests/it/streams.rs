//! Log streams.

use model::logs::{self, ops};

use crate::world::{GROUP, World, assert_fault};

fn describe() -> logs::DescribeLogStreamsRequest {
    logs::DescribeLogStreamsRequest { log_group_name: Some(GROUP.into()), ..Default::default() }
}

async fn pages(world: &World, mut input: logs::DescribeLogStreamsRequest) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    loop {
        let page = world.call::<ops::DescribeLogStreams>(input.clone()).await.unwrap();
        pages.push(page.log_streams.unwrap().into_iter().map(|stream| stream.log_stream_name.unwrap()).collect());
        input.next_token = page.next_token;
        if input.next_token.is_none() {
            return pages;
        }
        assert!(pages.len() < 10, "the token leads nowhere: {pages:?}");
    }
}

#[tokio::test]
async fn streams_are_made_and_deleted_with_the_services_words() {
    let world = World::new();
    let create =
        || logs::CreateLogStreamRequest { log_group_name: Some(GROUP.into()), log_stream_name: Some("s".into()) };
    let delete =
        || logs::DeleteLogStreamRequest { log_group_name: Some(GROUP.into()), log_stream_name: Some("s".into()) };
    let no_group = "The specified log group does not exist.";
    assert_fault(world.call::<ops::CreateLogStream>(create()).await, "ResourceNotFoundException", no_group);
    assert_fault(world.call::<ops::DescribeLogStreams>(describe()).await, "ResourceNotFoundException", no_group);
    world.create_group(GROUP).await;
    world.call::<ops::CreateLogStream>(create()).await.unwrap();
    assert_fault(
        world.call::<ops::CreateLogStream>(create()).await,
        "ResourceAlreadyExistsException",
        "The specified log stream already exists",
    );
    world.put("s", &[(world.now(), "gone with it")]).await.unwrap();
    world.call::<ops::DeleteLogStream>(delete()).await.unwrap();
    assert_fault(
        world.call::<ops::DeleteLogStream>(delete()).await,
        "ResourceNotFoundException",
        "The specified log stream does not exist.",
    );
    world.call::<ops::CreateLogStream>(create()).await.unwrap();
    assert!(world.filter(Default::default()).await.is_empty(), "a new stream of the same name has no old events");
}

#[tokio::test]
async fn streams_are_listed_by_name_or_by_their_last_event() {
    let world = World::new();
    let now = world.now();
    world.write("b", &[(now, "x")]);
    world.write("a", &[(now + 2, "x")]);
    world.write("c", &[(now + 1, "x"), (now - 5, "x")]);
    assert_eq!(pages(&world, describe()).await, [["a", "b", "c"]]);
    let two = |input| logs::DescribeLogStreamsRequest { limit: Some(2), ..input };
    let down = |input| logs::DescribeLogStreamsRequest { descending: Some(true), ..input };
    let by_time = |input| logs::DescribeLogStreamsRequest { order_by: Some("LastEventTime".into()), ..input };
    let words = |pages: Vec<Vec<String>>| pages.iter().map(|page| page.join("")).collect::<Vec<_>>();
    assert_eq!(words(pages(&world, two(describe())).await), ["ab", "c"]);
    assert_eq!(words(pages(&world, two(down(describe()))).await), ["cb", "a"]);
    assert_eq!(words(pages(&world, two(by_time(describe()))).await), ["bc", "a"]);
    assert_eq!(words(pages(&world, two(down(by_time(describe())))).await), ["ac", "b"]);
    let prefixed = logs::DescribeLogStreamsRequest { log_stream_name_prefix: Some("b".into()), ..describe() };
    assert_eq!(words(pages(&world, prefixed.clone()).await), ["b"]);
    assert_fault(
        world.call::<ops::DescribeLogStreams>(by_time(prefixed)).await,
        "InvalidParameterException",
        "Cannot order by LastEventTime with a logStreamNamePrefix.",
    );
}

#[tokio::test]
async fn streams_are_listed_by_the_groups_arn_too() {
    let world = World::new();
    world.write("s", &[(world.now(), "x")]);
    let arn = format!("arn:aws:logs:us-east-1:000000000000:log-group:{GROUP}");
    let input = logs::DescribeLogStreamsRequest { log_group_identifier: Some(arn), ..Default::default() };
    assert_eq!(pages(&world, input).await, [["s"]]);
}

#[tokio::test]
async fn a_stream_is_shown_with_its_times() {
    let world = World::new();
    let now = world.now();
    world.write("s", &[(now - 3, "x"), (now + 4, "y")]);
    let shown = world.call::<ops::DescribeLogStreams>(describe()).await.unwrap().log_streams.unwrap().remove(0);
    assert_eq!(shown.arn, Some(format!("arn:aws:logs:us-east-1:000000000000:log-group:{GROUP}:log-stream:s")));
    assert_eq!((shown.first_event_timestamp, shown.last_event_timestamp), (Some(now - 3), Some(now + 4)));
    assert_eq!((shown.creation_time, shown.last_ingestion_time), (Some(now), Some(now)));
    assert_eq!(shown.stored_bytes, Some(0));
    assert_eq!(shown.upload_sequence_token.map(|token| token.len()), Some(56));
}

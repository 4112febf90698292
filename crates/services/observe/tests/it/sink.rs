//! Lines that functions write.

use model::logs::{self, ops};

use crate::world::{GROUP, World};

#[tokio::test]
async fn a_read_finds_what_was_written_before_it_began() {
    let world = World::new();
    for round in 0..50 {
        let text = format!("line {round}");
        world.write("s", &[(world.now(), &text)]);
        assert_eq!(world.filter(Default::default()).await.len(), round + 1);
    }
}

#[tokio::test]
async fn group_and_stream_come_with_the_first_line() {
    let world = World::new();
    let stream = "2026/11/21/[$LATEST]0123456789abcdef0123456789abcdef";
    world.write(stream, &[(world.now(), "START"), (world.now(), "END")]);
    let input = logs::DescribeLogStreamsRequest { log_group_name: Some(GROUP.into()), ..Default::default() };
    let streams = world.call::<ops::DescribeLogStreams>(input).await.unwrap().log_streams.unwrap();
    assert_eq!(streams.len(), 1);
    assert_eq!(streams[0].log_stream_name.as_deref(), Some(stream));
    assert_eq!(streams[0].first_event_timestamp, Some(world.now()));
    let groups = world.call::<ops::DescribeLogGroups>(Default::default()).await.unwrap().log_groups.unwrap();
    assert_eq!(groups[0].stored_bytes, Some(5 + 3 + 2 * 26));
}

#[tokio::test]
async fn a_full_queue_drops_whole_batches_and_the_stream_says_so() {
    let (world, service) = World::idle(store::memory());
    let large = "x".repeat(1024 * 1024);
    for _ in 0..40 {
        world.write("s", &[(world.now(), &large)]);
    }
    tokio::spawn(service.run());
    let texts = world.filter(Default::default()).await;
    let words =
        texts.iter().find(|text| text.starts_with("[lambent]")).expect("the stream says that lines are missing");
    let kept = texts.len() - 1;
    assert!(kept < 40 && kept > 20, "{kept}");
    assert_eq!(*words, format!("[lambent] {} log lines were dropped here: more came than could be stored", 40 - kept));
}

#[tokio::test]
async fn what_waits_is_stored_when_the_service_ends_and_survives() {
    let kv = store::memory();
    let world = World::over(kv.clone());
    world.write("s", &[(world.now(), "last words")]);
    world.observe.drain().await;
    let later = World::over(kv);
    assert_eq!(later.filter(Default::default()).await, ["last words"]);
}

#[tokio::test]
async fn after_the_service_ended_reads_still_answer() {
    let world = World::new();
    world.write("s", &[(world.now(), "kept")]);
    world.observe.drain().await;
    world.observe.drain().await;
    world.write("s", &[(world.now(), "too late")]);
    assert_eq!(world.filter(Default::default()).await, ["kept"]);
}

#[tokio::test]
async fn lines_for_a_deleted_group_make_a_new_one_without_the_old_lines() {
    let world = World::new();
    world.write("s", &[(world.now(), "old")]);
    let input = logs::DeleteLogGroupRequest { log_group_name: Some(GROUP.into()) };
    world.call::<ops::DeleteLogGroup>(input).await.unwrap();
    world.write("s", &[(world.now(), "new")]);
    assert_eq!(world.filter(Default::default()).await, ["new"]);
}

#[tokio::test]
async fn nobody_waits_for_a_service_that_is_gone() {
    let (world, service) = World::idle(store::memory());
    world.create_group(GROUP).await;
    world.write("s", &[(world.now(), "lost")]);
    drop(service);
    assert!(world.filter(Default::default()).await.is_empty());
    world.observe.drain().await;
}

#[tokio::test]
async fn what_is_deleted_leaves_nothing_in_the_store() {
    let world = World::new();
    let rows = || world.kv.range(store::Space::Log, store::Range::all(), 100, false).unwrap().len();
    world.write("s", &[(world.now(), "x")]);
    world.write("t", &[(world.now(), "y")]);
    assert_eq!(world.filter(Default::default()).await.len(), 2);
    assert_eq!(rows(), 2 * 2 + 1, "a row for each stream and its events, and one for the bytes");
    let stream = logs::DeleteLogStreamRequest { log_group_name: Some(GROUP.into()), log_stream_name: Some("t".into()) };
    world.call::<ops::DeleteLogStream>(stream).await.unwrap();
    assert_eq!(rows(), 3);
    let group = logs::DeleteLogGroupRequest { log_group_name: Some(GROUP.into()) };
    world.call::<ops::DeleteLogGroup>(group).await.unwrap();
    assert_eq!(rows(), 0);
}

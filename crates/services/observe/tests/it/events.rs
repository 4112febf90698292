//! GetLogEvents.

use model::logs::{self, ops};
use proptest::prelude::*;

use crate::world::{GROUP, World, assert_fault};

fn get() -> logs::GetLogEventsRequest {
    logs::GetLogEventsRequest {
        log_group_name: Some(GROUP.into()),
        log_stream_name: Some("s".into()),
        ..Default::default()
    }
}

async fn read(world: &World, input: logs::GetLogEventsRequest) -> (Vec<String>, String, String) {
    let page = world.call::<ops::GetLogEvents>(input).await.unwrap();
    let texts = page.events.unwrap().into_iter().map(|event| event.message.unwrap()).collect();
    (texts, page.next_backward_token.unwrap(), page.next_forward_token.unwrap())
}

fn at(token: &str) -> logs::GetLogEventsRequest {
    logs::GetLogEventsRequest { next_token: Some(token.into()), ..get() }
}

#[tokio::test]
async fn the_latest_events_come_first_unless_asked_otherwise() {
    let world = World::new();
    let now = world.now();
    world.write("s", &[(now, "a"), (now + 1, "b"), (now + 2, "c")]);
    let two = || logs::GetLogEventsRequest { limit: Some(2), ..get() };
    let (texts, backward, _) = read(&world, two()).await;
    assert_eq!(texts, ["b", "c"]);
    let (texts, start, _) = read(&world, at(&backward)).await;
    assert_eq!(texts, ["a"]);
    let (texts, again, _) = read(&world, at(&start)).await;
    assert!(texts.is_empty());
    assert_eq!(again, start, "at the beginning the token stays");
    let (texts, ..) = read(&world, logs::GetLogEventsRequest { start_from_head: Some(true), ..two() }).await;
    assert_eq!(texts, ["a", "b"]);
}

#[tokio::test]
async fn the_forward_token_at_the_end_stays_and_finds_what_comes_later() {
    let world = World::new();
    let now = world.now();
    world.write("s", &[(now, "a")]);
    let (_, _, forward) = read(&world, get()).await;
    let (texts, _, again) = read(&world, at(&forward)).await;
    assert!(texts.is_empty());
    assert_eq!(again, forward);
    world.write("s", &[(now, "b"), (now + 1, "c")]);
    let (texts, backward, later) = read(&world, at(&forward)).await;
    assert_eq!(texts, ["b", "c"]);
    assert_ne!(later, forward);
    let (texts, ..) = read(&world, at(&backward)).await;
    assert_eq!(texts, ["a"]);
}

#[tokio::test]
async fn an_empty_stream_gives_tokens_that_find_its_first_event() {
    let world = World::new();
    world.create_group(GROUP).await;
    world.create_stream(GROUP, "s").await;
    let (texts, _, tail) = read(&world, get()).await;
    assert!(texts.is_empty());
    let (_, _, head) = read(&world, logs::GetLogEventsRequest { start_from_head: Some(true), ..get() }).await;
    world.write("s", &[(world.now(), "first")]);
    assert_eq!(read(&world, at(&tail)).await.0, ["first"]);
    assert_eq!(read(&world, at(&head)).await.0, ["first"]);
}

#[tokio::test]
async fn the_start_is_included_and_the_end_is_not() {
    let world = World::new();
    let now = world.now();
    world.write("s", &[(now, "a"), (now + 1, "b"), (now + 2, "c")]);
    let input = logs::GetLogEventsRequest { start_time: Some(now), end_time: Some(now + 2), ..get() };
    assert_eq!(read(&world, input).await.0, ["a", "b"]);
    let later = logs::GetLogEventsRequest { start_time: Some(now + 1), ..get() };
    assert_eq!(read(&world, later).await.0, ["b", "c"]);
    let arn = format!("arn:aws:logs:us-east-1:000000000000:log-group:{GROUP}");
    let input = logs::GetLogEventsRequest { log_group_name: None, log_group_identifier: Some(arn), ..get() };
    assert_eq!(read(&world, input).await.0.len(), 3);
}

#[tokio::test]
async fn what_does_not_exist_is_said_in_the_services_words() {
    let world = World::new();
    assert_fault(
        world.call::<ops::GetLogEvents>(get()).await,
        "ResourceNotFoundException",
        "The specified log group does not exist.",
    );
    world.create_group(GROUP).await;
    assert_fault(
        world.call::<ops::GetLogEvents>(get()).await,
        "ResourceNotFoundException",
        "The specified log stream does not exist.",
    );
    world.create_stream(GROUP, "s").await;
    assert_fault(
        world.call::<ops::GetLogEvents>(at("f/1/s")).await,
        "InvalidParameterException",
        "The specified nextToken is invalid.",
    );
    let both = logs::GetLogEventsRequest { log_group_identifier: Some("x".into()), ..get() };
    assert_eq!(world.call::<ops::GetLogEvents>(both).await.unwrap_err().code, "InvalidParameterException");
}

#[tokio::test]
async fn a_page_holds_a_megabyte() {
    let world = World::new();
    let now = world.now();
    let text = "x".repeat(300_000);
    for at in 0..5 {
        world.write("s", &[(now + at, &text)]);
    }
    let (texts, _, forward) = read(&world, logs::GetLogEventsRequest { start_from_head: Some(true), ..get() }).await;
    assert_eq!(texts.len(), 3);
    assert_eq!(read(&world, at(&forward)).await.0.len(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// Whatever order events came in and however they lie in chunks: pages in either direction are the whole, in order.
    #[test]
    fn pages_in_both_directions_are_the_whole_in_order(
        batches in proptest::collection::vec(proptest::collection::vec(0i64..30_000, 1..12), 1..8),
        limit in 1i64..7,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new();
            let start = world.now() - 60_000;
            let mut expected = Vec::new();
            for (number, batch) in batches.iter().enumerate() {
                let texts: Vec<String> = (0..batch.len()).map(|at| format!("{number}.{at}")).collect();
                let lines: Vec<_> = batch.iter().zip(&texts).map(|(ms, text)| (start + ms, text.as_str())).collect();
                world.write("s", &lines);
                // Each batch is stored by itself, so that chunks overlap.
                world.filter(Default::default()).await;
                let mut sorted: Vec<_> = lines.iter().map(|(ms, text)| (*ms, (*text).to_owned())).collect();
                sorted.sort_by_key(|(ms, _)| *ms);
                expected.extend(sorted);
            }
            expected.sort_by_key(|(ms, _)| *ms);
            let expected: Vec<String> = expected.into_iter().map(|(_, text)| text).collect();
            for from_head in [true, false] {
                let mut input = logs::GetLogEventsRequest {
                    limit: Some(limit),
                    start_from_head: Some(from_head),
                    ..get()
                };
                let mut seen = Vec::new();
                loop {
                    let (texts, backward, forward) = read(&world, input.clone()).await;
                    let token = if from_head { forward } else { backward };
                    if texts.is_empty() {
                        assert_eq!(Some(token), input.next_token);
                        break;
                    }
                    assert!(texts.len() <= limit as usize);
                    if from_head {
                        seen.extend(texts);
                    } else {
                        seen.splice(0..0, texts);
                    }
                    input.next_token = Some(token);
                    assert!(seen.len() <= expected.len(), "no event comes twice");
                }
                assert_eq!(seen, expected);
            }
            assert_eq!(world.filter(logs::FilterLogEventsRequest { limit: Some(limit), ..Default::default() }).await, expected);
        });
    }
}

//! FilterLogEvents.

use model::logs::{self, ops};
use proptest::prelude::*;

use crate::world::{GROUP, World, assert_fault};

fn filter() -> logs::FilterLogEventsRequest {
    logs::FilterLogEventsRequest::default()
}

#[tokio::test]
async fn streams_are_interleaved_by_time() {
    let world = World::new();
    let now = world.now();
    world.write("b", &[(now, "1"), (now + 2, "3")]);
    world.write("a", &[(now + 1, "2"), (now + 3, "4")]);
    assert_eq!(world.filter(filter()).await, ["1", "2", "3", "4"]);
    let one = || logs::FilterLogEventsRequest { limit: Some(1), ..filter() };
    assert_eq!(world.filter(one()).await, ["1", "2", "3", "4"]);
    let arn = format!("arn:aws:logs:us-east-1:000000000000:log-group:{GROUP}");
    let first = logs::FilterLogEventsRequest { log_group_identifier: Some(arn), ..one() };
    let first = world.call::<ops::FilterLogEvents>(first).await.unwrap();
    assert_eq!((first.events.unwrap().len(), first.next_token.is_some()), (1, true));
    let back = logs::FilterLogEventsRequest { start_from_head: Some(false), start_time: Some(now), ..one() };
    assert_eq!(world.filter(back).await, ["4", "3", "2", "1"]);
    let old = logs::FilterLogEventsRequest {
        log_group_name: Some(GROUP.into()),
        start_from_head: Some(false),
        start_time: Some(0),
        ..filter()
    };
    assert_eq!(world.call::<ops::FilterLogEvents>(old).await.unwrap_err().code, "InvalidParameterException");
}

#[tokio::test]
async fn streams_times_and_patterns_narrow_the_search() {
    let world = World::new();
    let now = world.now();
    world.write("web-1", &[(now, "ERROR one"), (now + 1, "fine")]);
    world.write("web-2", &[(now + 2, "ERROR two")]);
    world.write("job-1", &[(now + 3, r#"{"level":"ERROR","n":3}"#)]);
    let named =
        logs::FilterLogEventsRequest { log_stream_names: Some(vec!["web-2".into(), "web-2".into()]), ..filter() };
    assert_eq!(world.filter(named).await, ["ERROR two"]);
    let prefix = logs::FilterLogEventsRequest { log_stream_name_prefix: Some("web".into()), ..filter() };
    assert_eq!(world.filter(prefix).await.len(), 3);
    let times = logs::FilterLogEventsRequest { start_time: Some(now + 1), end_time: Some(now + 2), ..filter() };
    assert_eq!(world.filter(times).await, ["fine", "ERROR two"], "both ends are included");
    let term = |text: &str| logs::FilterLogEventsRequest { filter_pattern: Some(text.into()), ..filter() };
    assert_eq!(world.filter(term("ERROR -two")).await.len(), 2);
    assert_eq!(world.filter(term("{ $.level = \"ERROR\" && $.n > 2 }")).await.len(), 1);
    let bad = logs::FilterLogEventsRequest { log_group_name: Some(GROUP.into()), ..term("{ $.x") };
    assert_eq!(world.call::<ops::FilterLogEvents>(bad).await.unwrap_err().code, "InvalidParameterException");
    let missing = logs::FilterLogEventsRequest {
        log_group_name: Some(GROUP.into()),
        log_stream_names: Some(vec!["nobody".into()]),
        ..filter()
    };
    assert_fault(
        world.call::<ops::FilterLogEvents>(missing).await,
        "ResourceNotFoundException",
        "The specified log stream does not exist.",
    );
}

#[tokio::test]
async fn an_event_is_shown_with_its_stream_and_an_id_of_its_own() {
    let world = World::new();
    let now = world.now();
    world.write("s", &[(now, "a"), (now, "b")]);
    let input = logs::FilterLogEventsRequest { log_group_name: Some(GROUP.into()), ..filter() };
    let page = world.call::<ops::FilterLogEvents>(input).await.unwrap();
    let events = page.events.unwrap();
    assert_eq!(events[0].log_stream_name.as_deref(), Some("s"));
    assert_eq!((events[0].timestamp, events[0].ingestion_time), (Some(now), Some(now)));
    assert!(events[0].event_id < events[1].event_id);
    assert_eq!(events[0].event_id.as_ref().map(String::len), Some(56));
    assert_eq!(page.searched_log_streams, Some(Vec::new()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]
    #[test]
    fn pages_over_many_streams_are_the_whole_in_order(
        // Few moments, far apart: many events of one moment in different streams, and chunks that end between.
        lines in proptest::collection::vec((0usize..5, (0i64..12).prop_map(|at| at * 1700)), 1..60),
        limit in 1i64..9,
        cut in 0usize..60,
        range in (0i64..20_000, 0i64..20_000),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new();
            let start = world.now() - 60_000;
            for (at, (stream, ms)) in lines.iter().enumerate() {
                world.write(&format!("s{stream}"), &[(start + ms, &format!("{at}"))]);
                if at == cut {
                    world.filter(filter()).await;
                }
            }
            let (low, high) = (range.0.min(range.1), range.0.max(range.1));
            let times = |at: &str| lines[at.parse::<usize>().unwrap()].1;
            let mut expected: Vec<i64> = lines.iter().map(|(_, ms)| *ms).filter(|ms| (low..=high).contains(ms)).collect();
            expected.sort_unstable();
            for from_head in [true, false] {
                let input = logs::FilterLogEventsRequest {
                    limit: Some(limit),
                    start_time: Some(start + low),
                    end_time: Some(start + high),
                    start_from_head: Some(from_head),
                    ..filter()
                };
                let texts = world.filter(input).await;
                let mut seen: Vec<i64> = texts.iter().map(|text| times(text)).collect();
                let mut unique = texts.clone();
                unique.sort();
                unique.dedup();
                assert_eq!(unique.len(), texts.len(), "no event comes twice");
                if !from_head {
                    seen.reverse();
                }
                assert_eq!(seen, expected);
            }
        });
    }
}

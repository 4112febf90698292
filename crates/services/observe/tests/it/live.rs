//! StartLiveTail.

use door::Body;
use futures_util::StreamExt;
use model::logs::{self, ops};
use serde_json::Value;
use wire::eventstream::Decoder;

use crate::world::{GROUP, World, arn, assert_fault};

fn tail() -> logs::StartLiveTailRequest {
    logs::StartLiveTailRequest { log_group_identifiers: Some(vec![arn(GROUP)]), ..Default::default() }
}

/// The next event of a session: its type and what it carries.
async fn next(body: &mut Body) -> (String, Value) {
    let Body::Stream(stream) = body else { panic!("a live tail is a stream") };
    let piece = stream.next().await.unwrap().unwrap();
    let mut found = Vec::new();
    Decoder::new().push(piece, &mut |message| found.push(message)).unwrap();
    let [message] = &found[..] else { panic!("one message at a time") };
    let kind = message.text(":event-type").unwrap().to_owned();
    (kind, serde_json::from_slice(&message.payload).unwrap_or(Value::Null))
}

/// A session that said hello.
async fn begun(world: &World, input: logs::StartLiveTailRequest) -> Body {
    let mut body = world.reply::<ops::StartLiveTail>(input).await.unwrap().body;
    assert_eq!(next(&mut body).await.0, "initial-response");
    let (kind, start) = next(&mut body).await;
    assert_eq!((kind.as_str(), &start["logGroupIdentifiers"][0]), ("sessionStart", &arn(GROUP).into()));
    body
}

fn messages(update: &Value) -> Vec<&str> {
    update["sessionResults"].as_array().unwrap().iter().map(|event| event["message"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_is_stored_is_shown_as_it_comes() {
    let world = World::new();
    world.create_group(GROUP).await;
    world.write("s", &[(world.now(), "before")]);
    let mut body = begun(&world, tail()).await;
    world.write("s", &[(world.now(), "one"), (world.now(), "two")]);
    let (kind, update) = next(&mut body).await;
    assert_eq!((kind.as_str(), messages(&update)), ("sessionUpdate", vec!["one", "two"]));
    let first = &update["sessionResults"][0];
    assert_eq!((&first["logStreamName"], &first["timestamp"]), (&"s".into(), &world.now().into()));
    assert_eq!(first["logGroupIdentifier"], format!("000000000000:{GROUP}"));
    assert_eq!(update["sessionMetadata"]["sampled"], false);
    let many: Vec<String> = (0..600).map(|at| format!("line {at}")).collect();
    let many: Vec<(i64, &str)> = many.iter().map(|text| (world.now(), text.as_str())).collect();
    world.write("s", &many);
    let (_, update) = next(&mut body).await;
    assert_eq!((messages(&update).len(), &update["sessionMetadata"]["sampled"]), (500, &true.into()));
}

#[tokio::test]
async fn streams_and_patterns_narrow_it() {
    let world = World::new();
    world.create_group(GROUP).await;
    let only = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    let mut named = begun(&world, logs::StartLiveTailRequest { log_stream_names: only(&["web-1"]), ..tail() }).await;
    let prefixed = logs::StartLiveTailRequest { log_stream_name_prefixes: only(&["web"]), ..tail() };
    let mut prefixed = begun(&world, prefixed).await;
    let pattern = logs::StartLiveTailRequest { log_event_filter_pattern: Some("job".into()), ..tail() };
    let mut wanted = begun(&world, pattern).await;
    for (stream, text) in [("web-1", "a"), ("web-2", "b"), ("job", "of a job")] {
        world.write(stream, &[(world.now(), text)]);
    }
    assert_eq!(messages(&next(&mut named).await.1), ["a"]);
    let mut both = messages(&next(&mut prefixed).await.1).iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    both.sort();
    assert_eq!(both, ["a", "b"]);
    assert_eq!(messages(&next(&mut wanted).await.1), ["of a job"]);
}

#[tokio::test]
async fn what_cannot_be_tailed_is_refused() {
    let world = World::new();
    assert_fault(
        world.call::<ops::StartLiveTail>(tail()).await,
        "ResourceNotFoundException",
        "The specified log group does not exist.",
    );
    world.create_group(GROUP).await;
    let some = Some(vec!["s".to_owned()]);
    let both =
        logs::StartLiveTailRequest { log_stream_names: some.clone(), log_stream_name_prefixes: some.clone(), ..tail() };
    let many = logs::StartLiveTailRequest {
        log_group_identifiers: Some(vec![arn(GROUP), arn("other")]),
        log_stream_names: some,
        ..Default::default()
    };
    let wrong = logs::StartLiveTailRequest { log_event_filter_pattern: Some("a:b".into()), ..tail() };
    for input in [both, many, wrong] {
        assert_eq!(world.call::<ops::StartLiveTail>(input).await.unwrap_err().code, "InvalidParameterException");
    }
}

//! What a subscription hands to a function: events of one stream, packed as CloudWatch Logs packs them.
//!
//! Source: CloudWatch Logs User Guide, "Subscription filters with AWS Lambda": `{"awslogs": {"data": …}}`, the data being
//! JSON, compressed with gzip and printed in base64.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

/// Bytes of events in one batch at most, before they are compressed; one event may be larger.
pub const BATCH_BYTES: usize = 1_048_576;

/// Whose events, and by which filter.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The account, twelve digits.
    pub owner: &'a str,
    /// The log group.
    pub group: &'a str,
    /// The log stream.
    pub stream: &'a str,
    /// The subscription filter.
    pub filter: &'a str,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// The id FilterLogEvents gives it.
    pub id: String,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// Its text.
    pub message: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    message_type: &'a str,
    owner: &'a str,
    log_group: &'a str,
    log_stream: &'a str,
    subscription_filters: [&'a str; 1],
    log_events: &'a [Event],
}

/// The bodies of the invocations that carry the events, in order: each within [`BATCH_BYTES`] of events, and within
/// `most` bytes as a body. One event that is more even when it is packed as small as can be is left out.
pub fn bodies(origin: Origin<'_>, events: &[Event], most: usize) -> Vec<Bytes> {
    let mut out = Vec::new();
    let mut rest = events;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |event: &&Event| {
            let first = bytes == 0;
            bytes += event.message.len() + event.id.len();
            first || bytes <= BATCH_BYTES
        };
        let (now, later) = rest.split_at(rest.iter().take_while(fits).count());
        within(origin, now, most, &mut out);
        rest = later;
    }
    out
}

fn within(origin: Origin<'_>, events: &[Event], most: usize, out: &mut Vec<Bytes>) {
    let quick = body(origin, events, Compression::fast());
    if quick.len() <= most {
        out.push(quick);
        return;
    }
    if events.len() == 1 {
        let best = body(origin, events, Compression::best());
        if best.len() <= most {
            out.push(best);
        } else {
            let (group, filter) = (origin.group, origin.filter);
            tracing::warn!(group, filter, "a log event is too large for an invocation and is not handed on");
        }
        return;
    }
    // What cannot be compressed grows in base64.
    let (first, second) = events.split_at(events.len() / 2);
    within(origin, first, most, out);
    within(origin, second, most, out);
}

fn body(origin: Origin<'_>, events: &[Event], compression: Compression) -> Bytes {
    let message = Message {
        message_type: "DATA_MESSAGE",
        owner: origin.owner,
        log_group: origin.group,
        log_stream: origin.stream,
        subscription_filters: [origin.filter],
        log_events: events,
    };
    let json = serde_json::to_vec(&message).expect("text and numbers are JSON");
    let mut gzip = GzEncoder::new(Vec::new(), compression);
    let packed = gzip.write_all(&json).and_then(|()| gzip.finish()).expect("memory takes what is written");
    Bytes::from(format!("{{\"awslogs\":{{\"data\":\"{}\"}}}}", STANDARD.encode(packed)))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const ORIGIN: Origin<'_> = Origin { owner: "000000000000", group: "g", stream: "s", filter: "f" };

    fn read(body: &[u8]) -> Value {
        let outer: Value = serde_json::from_slice(body).unwrap();
        let packed = STANDARD.decode(outer["awslogs"]["data"].as_str().unwrap()).unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_body_reads_as_the_guide_shows_it() {
        let events = [Event { id: "1".into(), timestamp: 7, message: "a \"b\"".into() }];
        let expected = json!({
            "messageType": "DATA_MESSAGE", "owner": "000000000000", "logGroup": "g", "logStream": "s",
            "subscriptionFilters": ["f"], "logEvents": [{"id": "1", "timestamp": 7, "message": "a \"b\""}],
        });
        assert_eq!(read(&bodies(ORIGIN, &events, usize::MAX)[0]), expected);
    }

    fn each_that_fits_comes_once(sizes: &[usize], most: usize) {
        let event =
            |(at, size): (usize, &usize)| Event { id: at.to_string(), timestamp: 0, message: "x".repeat(*size) };
        let events: Vec<_> = sizes.iter().enumerate().map(event).collect();
        let mut seen = Vec::new();
        for body in bodies(ORIGIN, &events, most) {
            let read = read(&body);
            let some = read["logEvents"].as_array().unwrap();
            assert!(body.len() <= most);
            let bytes: usize = some.iter().map(|event| event["message"].as_str().unwrap().len()).sum();
            assert!(bytes <= BATCH_BYTES || some.len() == 1);
            seen.extend(some.iter().map(|event| event["id"].as_str().unwrap().to_owned()));
        }
        let alone = |event: &Event, how| body(ORIGIN, std::slice::from_ref(event), how).len();
        let fits = |event: &&Event| alone(event, Compression::fast()).min(alone(event, Compression::best())) <= most;
        assert_eq!(seen, events.iter().filter(fits).map(|event| event.id.clone()).collect::<Vec<_>>());
    }

    #[test]
    fn an_event_that_fits_in_no_body_is_left_out_alone() {
        each_that_fits_comes_once(&[10, 226_076, 20], 500);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn every_event_that_fits_comes_once_and_bodies_keep_their_size(sizes in proptest::collection::vec(0usize..300_000, 1..6), most in 300usize..5_000) {
            each_that_fits_comes_once(&sizes, most);
        }
    }
}

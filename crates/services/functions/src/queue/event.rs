//! Messages as the event of a function tells them.
//!
//! Source: AWS Lambda Developer Guide, "Using Lambda with Amazon SQS", example events.

use base::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use model::sqs;
use serde_json::{Map, Value, json};

/// Largest event, bytes. Source: AWS Lambda quotas, invocation payload.
const EVENT_BYTES: usize = 6_291_456;
const HEAD: &[u8] = b"{\"Records\":[";
const TAIL: &[u8] = b"]}";

/// A message that waits to be delivered.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) id: String,
    pub(super) receipt: String,
    /// When it was received.
    pub(super) received: Timestamp,
    /// When it becomes visible to others, and is this reader's no more.
    pub(super) until: Timestamp,
    /// It as the event tells it, JSON.
    pub(super) record: Vec<u8>,
    /// The trace header it carries, in which the function is counted, and how often it now is.
    pub(super) trace: Option<(String, u32)>,
}

/// A message as the event tells it.
pub(super) fn record(message: &sqs::Message, queue: &str, region: &str) -> Value {
    let text = |text: &Option<String>| json!(text.as_deref().unwrap_or_default());
    let mut record = Map::new();
    record.insert("messageId".into(), text(&message.message_id));
    record.insert("receiptHandle".into(), text(&message.receipt_handle));
    record.insert("body".into(), text(&message.body));
    record.insert("attributes".into(), json!(message.attributes.clone().unwrap_or_default()));
    let attributes = message.message_attributes.iter().flatten();
    let attributes: Map<String, Value> = attributes.map(|(name, value)| (name.clone(), attribute(value))).collect();
    record.insert("messageAttributes".into(), attributes.into());
    if let Some(md5) = &message.md5_of_message_attributes {
        record.insert("md5OfMessageAttributes".into(), json!(md5));
    }
    record.insert("md5OfBody".into(), text(&message.md5_of_body));
    record.insert("eventSource".into(), "aws:sqs".into());
    record.insert("eventSourceARN".into(), queue.into());
    record.insert("awsRegion".into(), region.into());
    record.into()
}

fn attribute(value: &sqs::MessageAttributeValue) -> Value {
    let mut told = Map::new();
    if let Some(text) = &value.string_value {
        told.insert("stringValue".into(), json!(text));
    }
    if let Some(bytes) = &value.binary_value {
        told.insert("binaryValue".into(), json!(STANDARD.encode(bytes)));
    }
    let lists = value.binary_list_values.iter().flatten();
    let lists: Vec<String> = lists.map(|bytes| STANDARD.encode(bytes)).collect();
    told.insert("stringListValues".into(), json!(value.string_list_values.clone().unwrap_or_default()));
    told.insert("binaryListValues".into(), json!(lists));
    told.insert("dataType".into(), json!(value.data_type.as_deref().unwrap_or_default()));
    told.into()
}

/// How many of the first records fit into one event; at least one.
pub(super) fn fitting(pieces: &[Piece]) -> usize {
    let mut bytes = HEAD.len() + TAIL.len();
    let over = pieces.iter().position(|piece| {
        bytes += piece.record.len() + 1;
        // The last record has no comma behind it.
        bytes > EVENT_BYTES + 1
    });
    over.unwrap_or(pieces.len()).max(1)
}

/// The event of a batch.
pub(super) fn of(pieces: &[Piece]) -> Bytes {
    let length: usize = pieces.iter().map(|piece| piece.record.len() + 1).sum();
    let mut event = Vec::with_capacity(HEAD.len() + TAIL.len() + length);
    event.extend_from_slice(HEAD);
    for (at, piece) in pieces.iter().enumerate() {
        if at > 0 {
            event.push(b',');
        }
        event.extend_from_slice(&piece.record);
    }
    event.extend_from_slice(TAIL);
    event.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn piece(bytes: usize) -> Piece {
        let record = serde_json::to_vec(&"x".repeat(bytes)).unwrap();
        let at = Timestamp(0);
        Piece { id: "m".into(), receipt: "r".into(), received: at, until: at, record, trace: None }
    }

    #[test]
    fn a_message_is_told_as_aws_tells_it() {
        let value = |text: Option<&str>, bytes: Option<&'static [u8]>, kind: &str| sqs::MessageAttributeValue {
            string_value: text.map(str::to_owned),
            binary_value: bytes.map(Bytes::from_static),
            data_type: Some(kind.into()),
            ..Default::default()
        };
        let message = sqs::Message {
            message_id: Some("m".into()),
            receipt_handle: Some("r".into()),
            md5_of_body: Some("md5".into()),
            body: Some("hi \"you\"".into()),
            attributes: Some([("SentTimestamp".to_owned(), "1".to_owned())].into()),
            md5_of_message_attributes: Some("md5a".into()),
            message_attributes: Some(
                [
                    ("kind".to_owned(), value(Some("red"), None, "String")),
                    ("raw".to_owned(), value(None, Some(b"\x01\x02"), "Binary")),
                ]
                .into(),
            ),
        };
        let arn = "arn:aws:sqs:us-east-1:000000000000:q";
        assert_eq!(
            record(&message, arn, "us-east-1"),
            json!({
                "messageId": "m", "receiptHandle": "r", "body": "hi \"you\"", "attributes": {"SentTimestamp": "1"},
                "messageAttributes": {
                    "kind": {"stringValue": "red", "stringListValues": [], "binaryListValues": [], "dataType": "String"},
                    "raw": {"binaryValue": "AQI=", "stringListValues": [], "binaryListValues": [], "dataType": "Binary"}
                },
                "md5OfMessageAttributes": "md5a", "md5OfBody": "md5",
                "eventSource": "aws:sqs", "eventSourceARN": arn, "awsRegion": "us-east-1"
            })
        );
        let bare = sqs::Message { md5_of_message_attributes: None, message_attributes: None, ..message };
        let bare = record(&bare, arn, "us-east-1");
        assert_eq!((bare.get("md5OfMessageAttributes"), &bare["messageAttributes"]), (None, &json!({})));
    }

    #[test]
    fn an_event_stays_within_its_limit() {
        assert_eq!(fitting(&[piece(7_000_000), piece(1)]), 1, "what no event could carry goes alone");
        let megabytes: Vec<Piece> = (0..10).map(|_| piece(1_048_576)).collect();
        assert_eq!(fitting(&megabytes), 5);
        assert!(of(&megabytes[..5]).len() <= EVENT_BYTES);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn whatever_fits_makes_one_event_of_json(sizes in proptest::collection::vec(0..2_000_000usize, 1..8)) {
            let pieces: Vec<Piece> = sizes.iter().map(|bytes| piece(*bytes)).collect();
            let count = fitting(&pieces);
            let event = of(&pieces[..count]);
            prop_assert!(event.len() <= EVENT_BYTES);
            prop_assert!(count == pieces.len() || of(&pieces[..=count]).len() > EVENT_BYTES);
            let read: Value = serde_json::from_slice(&event).unwrap();
            prop_assert_eq!(read["Records"].as_array().unwrap().len(), count);
        }
    }
}

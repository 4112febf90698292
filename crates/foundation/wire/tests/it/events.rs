//! Event streams: the bytes of the format, and AWS's own streams read and printed.

use base::{Fault, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use wire::eventstream::{self, Decoder, HeaderValue, Message};
use wire::{Operation, Protocol, Service, Shape};

use crate::dynamic::{self, Record, Value};
use crate::{sample, vectors};

fn decode(bytes: &[u8], cuts: &[usize]) -> Result<Vec<Message>, wire::Malformed> {
    let (mut decoder, mut out) = (Decoder::new(), Vec::new());
    let mut rest = Bytes::copy_from_slice(bytes);
    for cut in cuts {
        let piece = rest.split_to((*cut).min(rest.len()));
        decoder.push(piece, &mut |message| out.push(message))?;
    }
    decoder.push(rest, &mut |message| out.push(message))?;
    decoder.finish()?;
    Ok(out)
}

/// From the test suite that AWS's implementations share.
#[test]
fn known_messages_are_read_and_printed() {
    let header = |name: &str, value| Message { headers: vec![(name.to_owned(), value)], payload: Bytes::new() };
    let known: [(&[u8], Message); 6] = [
        (b"\x00\x00\x00\x10\x00\x00\x00\x00\x05\xc2H\xeb}\x98\xc8\xff", Message::default()),
        (
            b"\x00\x00\x00\x17\x00\x00\x00\x07)\x86\x01X\x04byte\x02\xff\xc2\xf8i\xdc",
            header("byte", HeaderValue::Byte(-1)),
        ),
        (
            b"\x00\x00\x00\x19\x00\x00\x00\tq\x0e\x92>\x05short\x03\xff\xff\xb2|\xb6\xcc",
            header("short", HeaderValue::Short(-1)),
        ),
        (
            b"\x00\x00\x00\x1d\x00\x00\x00\r\x83\xe3\xf0\xe7\x07integer\x04\xff\xff\xff\xff\x8b\x8e\x12\xeb",
            header("integer", HeaderValue::Integer(-1)),
        ),
        (
            b"\x00\x00\x00\x1e\x00\x00\x00\x0e]J\xdb\x8d\x04long\x05\xff\xff\xff\xff\xff\xff\xff\xffK\xc22\xda",
            header("long", HeaderValue::Long(-1)),
        ),
        (
            b"\x00\x00\x00\x1d\x00\x00\x00\x00\xfdR\x8cZ{'foo':'bar'}\xc3e96",
            Message { headers: Vec::new(), payload: Bytes::from_static(b"{'foo':'bar'}") },
        ),
    ];
    let all = Message {
        headers: vec![
            ("0".to_owned(), HeaderValue::Bool(true)),
            ("1".to_owned(), HeaderValue::Bool(false)),
            ("2".to_owned(), HeaderValue::Byte(2)),
            ("3".to_owned(), HeaderValue::Short(3)),
            ("4".to_owned(), HeaderValue::Integer(4)),
            ("5".to_owned(), HeaderValue::Long(5)),
            ("6".to_owned(), HeaderValue::Bytes(Bytes::from_static(b"bytes"))),
            ("7".to_owned(), HeaderValue::Text("utf8".into())),
            ("8".to_owned(), HeaderValue::Timestamp(Timestamp(8))),
            ("9".to_owned(), HeaderValue::Uuid(*b"0123456789abcdef")),
        ],
        payload: Bytes::new(),
    };
    let bytes = all.encode().unwrap();
    assert_eq!((&bytes[8..12], &bytes[bytes.len() - 4..]), (&b"\x03\xb5\xcb\x9c"[..], &b"\x63\x35\x36\x71"[..]));
    assert_eq!(decode(&bytes, &[]).unwrap(), [all]);
    for (bytes, message) in known {
        assert_eq!(decode(bytes, &[]).unwrap(), std::slice::from_ref(&message));
        assert_eq!(&message.encode().unwrap()[..], bytes);
    }
}

#[test]
fn broken_messages_are_refused() {
    let good = Message::default().with("a", "b").encode().unwrap();
    for at in 0..good.len() {
        let mut broken = good.to_vec();
        broken[at] ^= 1;
        assert!(decode(&broken, &[]).is_err(), "byte {at}");
        assert!(decode(&good[..at], &[]).is_err() || at == 0, "ends at {at}");
    }
    let twice = Message::default().with("a", "b").with("a", "c").encode().unwrap();
    assert_eq!(decode(&twice, &[]).unwrap_err().0, "The event stream is broken: a header is there twice");
    assert!(Message::default().with("", "b").encode().is_err());
    assert!(Message::default().with("a", &"b".repeat(40_000)).encode().is_err());
    let mut many = Message::default();
    for n in 0..5 {
        many = many.with(&n.to_string(), &"b".repeat(32_000));
    }
    assert!(many.encode().is_err(), "the headers are over 128 KiB");
}

fn operation(protocol: Protocol, shape: &'static Shape) -> &'static Operation {
    dynamic::input_is(shape);
    let service = Box::leak(Box::new(Service { protocols: vec![protocol].leak(), ..Service::new("vectors") }));
    Box::leak(Box::new(Operation {
        name: "OperationName",
        service,
        method: "POST",
        uri: "/",
        status: 200,
        input: dynamic::new_input,
        input_shape: shape,
        output_shape: shape,
        result_wrapper: "",
        output_root: "",
        unwrapped: false,
        errors: &[],
        action: "",
        resource: "*",
    }))
}

/// botocore's streams: what it parses we read as it does, and what we print reads the same.
#[test]
fn streams_of_aws_are_read_and_printed() {
    let Some(root) = vectors::folder() else { return };
    let mut seen = 0;
    for (file, number, protocol) in [("json.json", 6, Protocol::Json11), ("rest-xml.json", 14, Protocol::RestXml)] {
        let text = std::fs::read_to_string(root.join("protocols/legacy/output").join(file)).unwrap();
        let suites: Vec<Json> = serde_json::from_str(&text).unwrap();
        let suite = &suites[number];
        let output = dynamic::shape(&suite["shapes"], "OutputShape", "/", 0);
        let union = dynamic::shape(&suite["shapes"], "EventStream", "/", 0);
        let operation = operation(protocol, union);
        for row in suite["cases"].as_array().unwrap() {
            let body = STANDARD.decode(row["response"]["body"].as_str().unwrap()).unwrap();
            let messages = decode(&body, &[1, 2, 3]).unwrap();
            let mut found = Vec::new();
            for message in &messages {
                if message.text(":event-type") == Some("initial-response") {
                    let mut given = row["result"].clone();
                    given["Payload"] = Json::Null;
                    let Value::Structure(given) = Value::of(output, &given) else { panic!("it is a structure") };
                    let ours = eventstream::initial_response(protocol, &given);
                    let (ours, theirs) = (ours.payload, message.payload.clone());
                    let parse = |bytes: &Bytes| serde_json::from_slice::<Json>(bytes).unwrap();
                    assert_eq!(parse(&ours), parse(&theirs));
                    continue;
                }
                let mut event = Record::empty(union);
                eventstream::read(protocol, operation, message, &mut event).unwrap();
                found.push(Value::Structure(event.clone()).json());
                let printed = eventstream::event(protocol, &event).unwrap();
                let mut again = Record::empty(union);
                eventstream::read(protocol, operation, &printed, &mut again).unwrap();
                assert_eq!(again, event);
                let names = |message: &Message| {
                    let mut names: Vec<_> = message.headers.iter().map(|(name, _)| name.clone()).collect();
                    names.sort();
                    names
                };
                assert_eq!(names(&printed), names(message));
                seen += 1;
            }
            let wanted: Vec<_> = row["result"]["Payload"]
                .as_array()
                .unwrap()
                .iter()
                .map(|event| Value::of(union, event).json())
                .collect();
            assert_eq!(json!(found), json!(wanted), "{file}");
        }
    }
    assert_eq!(seen, 5);
}

#[test]
fn a_fault_ends_a_stream_as_an_exception_or_an_error() {
    let modelled = eventstream::exception(Protocol::RestJson, &sample::REST, &sample::not_found("no f"));
    assert_eq!(modelled.text(":message-type"), Some("exception"));
    assert_eq!(modelled.text(":exception-type"), Some("ResourceNotFoundException"));
    let body: Json = serde_json::from_slice(&modelled.payload).unwrap();
    assert_eq!(body["Message"], "no f");
    let other = eventstream::exception(Protocol::RestJson, &sample::REST, &Fault::internal("broke"));
    assert_eq!((other.text(":message-type"), other.text(":error-code")), (Some("error"), Some("InternalFailure")));
    assert_eq!(other.text(":error-message"), Some("broke"));
}

fn value() -> impl Strategy<Value = HeaderValue> {
    prop_oneof![
        any::<bool>().prop_map(HeaderValue::Bool),
        any::<i8>().prop_map(HeaderValue::Byte),
        any::<i16>().prop_map(HeaderValue::Short),
        any::<i32>().prop_map(HeaderValue::Integer),
        any::<i64>().prop_map(HeaderValue::Long),
        any::<i64>().prop_map(|ms| HeaderValue::Timestamp(Timestamp(ms))),
        any::<[u8; 16]>().prop_map(HeaderValue::Uuid),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| HeaderValue::Bytes(bytes.into())),
        "\\PC{0,20}".prop_map(HeaderValue::Text),
    ]
}

proptest! {
    #![proptest_config(crate::cases(1_000))]

    #[test]
    fn messages_survive_any_cut(
        messages in prop::collection::vec(
            (prop::collection::btree_map("[a-z:]{1,10}", value(), 0..5), prop::collection::vec(any::<u8>(), 0..100)), 0..5),
        cuts in prop::collection::vec(0usize..40, 0..30),
    ) {
        let messages: Vec<_> = messages
            .into_iter()
            .map(|(headers, payload)| Message { headers: headers.into_iter().collect(), payload: payload.into() })
            .collect();
        let bytes: Vec<u8> = messages.iter().flat_map(|message| message.encode().unwrap().to_vec()).collect();
        prop_assert_eq!(decode(&bytes, &cuts).unwrap(), messages);
    }
}

proptest! {
    #![proptest_config(crate::cases(10_000))]

    /// With checksums made right, so that what lies behind them is reached.
    #[test]
    fn any_headers_end(headers in prop::collection::vec(any::<u8>(), 0..60), length in 0u32..80, payload in 0usize..9) {
        let mut bytes = ((16 + headers.len() + payload) as u32).to_be_bytes().to_vec();
        bytes.extend(length.to_be_bytes());
        bytes.extend(crc(&bytes));
        bytes.extend(&headers);
        bytes.extend(vec![0; payload]);
        bytes.extend(crc(&bytes));
        let _ = decode(&bytes, &[5]);
    }
}

fn crc(bytes: &[u8]) -> Vec<u8> {
    let mut sum = wire::checksum::Checksum::new(wire::checksum::Algorithm::Crc32);
    sum.update(bytes);
    STANDARD.decode(sum.finish()).unwrap()
}

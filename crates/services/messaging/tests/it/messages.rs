//! Messages: what they may hold, and what is said of them.

use std::collections::BTreeMap;

use bytes::Bytes;
use model::sqs::{self as aws, ops};

use crate::world::{World, ask, message, said, url};

fn text(value: &str) -> aws::MessageAttributeValue {
    aws::MessageAttributeValue {
        string_value: Some(value.into()),
        data_type: Some("String".into()),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_message_arrives_with_its_digests() {
    let world = World::new();
    world.create("jobs", &[]).await;
    let binary = aws::MessageAttributeValue {
        binary_value: Some(Bytes::from_static(b"\0\xff")),
        data_type: Some("Binary.raw".into()),
        ..Default::default()
    };
    let trace = aws::MessageSystemAttributeValue {
        string_value: Some("Root=1-5759e988-bd862e3fe1be46a994272793".into()),
        data_type: Some("String".into()),
        ..Default::default()
    };
    let input = aws::SendMessageRequest {
        message_attributes: Some(BTreeMap::from([("Foo".into(), text("Bar")), ("raw".into(), binary.clone())])),
        message_system_attributes: Some(BTreeMap::from([("AWSTraceHeader".into(), trace.clone())])),
        message_group_id: Some("tenant".into()),
        ..message("jobs", "msg")
    };
    let sent = world.call::<ops::SendMessage>(input).await.unwrap();
    assert_eq!(sent.md5_of_message_body.as_deref(), Some("6e2baaf3b97dbeef01c0043275f9a0e7"));
    assert!(sent.md5_of_message_attributes.is_some() && sent.md5_of_message_system_attributes.is_some());
    assert_eq!(sent.sequence_number, None);
    let now = world.now().to_string();
    let got = world.receive("jobs").await.remove(0);
    assert_eq!((got.message_id.clone(), got.body.as_deref()), (sent.message_id, Some("msg")));
    assert_eq!(got.md5_of_body, sent.md5_of_message_body);
    assert_eq!(got.md5_of_message_attributes, sent.md5_of_message_attributes);
    assert_eq!(got.message_attributes.as_ref().unwrap()["raw"], binary);
    for (name, value) in [
        ("SenderId", "000000000000"),
        ("SentTimestamp", &now),
        ("ApproximateReceiveCount", "1"),
        ("ApproximateFirstReceiveTimestamp", &now),
        ("AWSTraceHeader", trace.string_value.as_deref().unwrap()),
        ("MessageGroupId", "tenant"),
    ] {
        assert_eq!(said(&got, name), Some(value), "{name}");
    }
    assert_eq!(got.attributes.unwrap().len(), 6);
}

#[tokio::test]
async fn receivers_hear_what_they_ask_for() {
    let world = World::new();
    world.create("jobs", &[("VisibilityTimeout", "0")]).await;
    let given = [("General", "Kenobi"), ("Hello", "There"), ("Help.Me", "Me")];
    let input = aws::SendMessageRequest {
        message_attributes: Some(given.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect()),
        ..message("jobs", "msg")
    };
    world.call::<ops::SendMessage>(input).await.unwrap();
    // As AWS answers.
    for (names, found, digest) in [
        (&[][..], 0, None),
        (&["All"], 3, Some("4c360f3fdafd970e05fae2f149d997f5")),
        (&["General", "Hello"], 2, Some("fca026605781cb4126a1e9044df24232")),
        (&["Hello", "Foo"], 1, Some("a311262e065454b75da111d535b8dacd")),
        (&["Hel.*"], 2, Some("83fee93c1bcd8b9a5a923ffacdc636c7")),
        (&["AWS."], 0, None),
    ] {
        let input = aws::ReceiveMessageRequest {
            message_system_attribute_names: None,
            message_attribute_names: Some(names.iter().map(|name| (*name).to_owned()).collect()),
            ..ask("jobs")
        };
        let got = world.receive_as(input).await.remove(0);
        assert_eq!(got.message_attributes.map_or(0, |all| all.len()), found, "{names:?}");
        assert_eq!(got.md5_of_message_attributes.as_deref(), digest, "{names:?}");
        assert_eq!(got.attributes, None);
    }
    let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    let old = aws::ReceiveMessageRequest {
        queue_url: url("jobs"),
        attribute_names: names(&["SenderId", "SequenceNumber"]),
        ..Default::default()
    };
    let got = world.receive_as(old).await.remove(0);
    assert_eq!(got.attributes.unwrap().into_keys().collect::<Vec<_>>(), ["SenderId"]);
    let wrong = aws::ReceiveMessageRequest { attribute_names: names(&["Colour"]), ..ask("jobs") };
    assert_eq!(world.call::<ops::ReceiveMessage>(wrong).await.unwrap_err().code, "InvalidAttributeName");
}

#[tokio::test]
async fn a_message_is_as_large_as_its_queue_allows() {
    let world = World::new();
    world.create("jobs", &[]).await;
    let send = async |body: String| world.call::<ops::SendMessage>(message("jobs", &body)).await;
    send("x".repeat(1_048_576)).await.unwrap();
    let fault = send("x".repeat(1_048_577)).await.unwrap_err();
    assert_eq!(fault.code, "InvalidParameterValue");
    assert_eq!(
        fault.message,
        "One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes."
    );
    assert_eq!(world.bodies("jobs").await[0].len(), 1_048_576);
    world.set("jobs", &[("MaximumMessageSize", "1024")]).await.unwrap();
    assert!(send("x".repeat(1024)).await.is_ok());
    let with_attribute = aws::SendMessageRequest {
        message_attributes: Some(BTreeMap::from([("a".into(), text("b"))])),
        ..message("jobs", &"x".repeat(1020))
    };
    assert!(world.call::<ops::SendMessage>(with_attribute).await.unwrap_err().message.contains("shorter than 1024"));
    assert_eq!(send("\u{1}".into()).await.unwrap_err().code, "InvalidMessageContents");
}

#[tokio::test]
async fn messages_are_delayed_by_their_queue_and_by_themselves() {
    let world = World::new();
    world.create("jobs", &[("DelaySeconds", "10")]).await;
    world.send("jobs", "queue").await;
    for (seconds, body) in [(0, "now"), (20, "later")] {
        let input = aws::SendMessageRequest { delay_seconds: Some(seconds), ..message("jobs", body) };
        world.call::<ops::SendMessage>(input).await.unwrap();
    }
    assert_eq!(world.counts("jobs").await, (1, 0, 2));
    assert_eq!(world.bodies("jobs").await, ["now"]);
    world.pass(10).await;
    assert_eq!(world.bodies("jobs").await, ["queue"]);
    world.pass(10).await;
    assert_eq!(world.bodies("jobs").await, ["later"]);
    let input = aws::SendMessageRequest { delay_seconds: Some(901), ..message("jobs", "x") };
    let fault = world.call::<ops::SendMessage>(input).await.unwrap_err();
    assert_eq!(
        fault.message,
        "Value 901 for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900."
    );
    let input = aws::SendMessageRequest { message_deduplication_id: Some("d".into()), ..message("jobs", "x") };
    assert_eq!(world.call::<ops::SendMessage>(input).await.unwrap_err().code, "InvalidParameterValue");
}

#[tokio::test]
async fn messages_go_when_they_are_too_old_wherever_they_stand() {
    let world = World::new();
    world.create("jobs", &[("MessageRetentionPeriod", "60"), ("VisibilityTimeout", "600")]).await;
    for body in ["held", "delayed", "fresh"] {
        let delay_seconds = (body == "delayed").then_some(500);
        let input = aws::SendMessageRequest { delay_seconds, ..message("jobs", body) };
        world.call::<ops::SendMessage>(input).await.unwrap();
    }
    let one = aws::ReceiveMessageRequest { max_number_of_messages: Some(1), ..ask("jobs") };
    world.receive_as(one).await;
    world.pass(59).await;
    world.send("jobs", "young").await;
    assert_eq!(world.counts("jobs").await, (2, 1, 1));
    world.pass(1).await;
    assert_eq!(world.counts("jobs").await, (1, 0, 0));
    assert_eq!(world.bodies("jobs").await, ["young"]);
    world.pass(60).await;
    let rows = world.kv.range(store::Space::Queue, store::Range::all(), 100, false).unwrap();
    assert_eq!(rows.len(), 1, "only the count is left: {rows:?}");
}

#[tokio::test]
async fn a_shorter_retention_counts_for_what_is_there() {
    let world = World::new();
    world.create("jobs", &[]).await;
    world.send("jobs", "old").await;
    world.pass(100).await;
    world.send("jobs", "young").await;
    world.set("jobs", &[("MessageRetentionPeriod", "60")]).await.unwrap();
    assert_eq!(world.bodies("jobs").await, ["young"]);
}

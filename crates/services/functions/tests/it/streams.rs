//! InvokeWithResponseStream: what a client reads from the stream.

use std::collections::VecDeque;

use base::Fault;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use door::{Body, Pieces};
use futures_util::StreamExt as _;
use invoker::testing::{ExitCause, Part};
use model::lambda::{self as aws, ops};

use serde_json::Value;
use tokio::sync::mpsc::Sender;
use wire::eventstream::{Decoder, Message};

use crate::world::{PATIENCE, World, reply};

async fn streamed(
    world: &World,
    payload: &str,
    change: impl FnOnce(&mut aws::InvokeWithResponseStreamRequest),
) -> Result<(aws::InvokeWithResponseStreamResponse, Vec<Message>), Fault> {
    let mut input = aws::InvokeWithResponseStreamRequest {
        function_name: Some("hello".into()),
        payload: Some(Bytes::copy_from_slice(payload.as_bytes())),
        ..aws::InvokeWithResponseStreamRequest::default()
    };
    change(&mut input);
    let answer = reply::<ops::InvokeWithResponseStream>(&world.router, input).await?;
    let mut messages = Messages::of(answer.body);
    let output: Box<dyn std::any::Any> = answer.output;
    let output = *output.downcast().unwrap();
    let mut all = Vec::new();
    while let Some(message) = messages.next().await {
        all.push(message);
    }
    Ok((output, all))
}

/// The messages of a stream, as they come.
struct Messages {
    pieces: Pieces,
    decoder: Decoder,
    waiting: VecDeque<Message>,
}

impl Messages {
    fn of(body: Body) -> Self {
        Self { pieces: body.into_stream(), decoder: Decoder::new(), waiting: VecDeque::new() }
    }

    async fn next(&mut self) -> Option<Message> {
        while self.waiting.is_empty() {
            let piece = tokio::time::timeout(PATIENCE, self.pieces.next()).await.expect("it comes")?.unwrap();
            self.decoder.push(piece, &mut |message| self.waiting.push_back(message)).unwrap();
        }
        self.waiting.pop_front()
    }

    /// The bytes of the next chunk.
    async fn chunk(&mut self) -> String {
        let message = self.next().await.expect("there is more");
        assert_eq!(message.text(":event-type"), Some("PayloadChunk"));
        String::from_utf8(message.payload.to_vec()).unwrap()
    }

    /// What the end says, which must be next.
    async fn end(&mut self) -> Value {
        let message = self.next().await.expect("there is an end");
        assert_eq!(message.text(":event-type"), Some("InvokeComplete"));
        assert!(self.next().await.is_none());
        serde_json::from_slice(&message.payload).unwrap()
    }
}

/// An invocation under way.
async fn begin(world: &World) -> Messages {
    let input = aws::InvokeWithResponseStreamRequest {
        function_name: Some("hello".into()),
        log_type: Some("Tail".into()),
        ..aws::InvokeWithResponseStreamRequest::default()
    };
    Messages::of(reply::<ops::InvokeWithResponseStream>(&world.router, input).await.unwrap().body)
}

async fn say(says: &Sender<Part>, text: &'static str) {
    says.send(Part::Bytes(text.into())).await.unwrap();
}

fn kinds(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.text(":event-type").unwrap()).collect()
}

#[tokio::test]
async fn an_answer_comes_in_chunks_and_then_its_end() {
    let world = World::new();
    world.create("hello").await;
    let (output, messages) = streamed(&world, "{\"n\":1}", |_| {}).await.unwrap();
    assert_eq!((output.status_code, output.executed_version.as_deref()), (Some(200), Some("$LATEST")));
    assert_eq!(output.response_stream_content_type.as_deref(), Some("application/vnd.amazon.eventstream"));
    assert_eq!(kinds(&messages), ["PayloadChunk", "InvokeComplete"]);
    assert_eq!((&messages[0].payload[..], &messages[1].payload[..]), (&b"{\"n\":1}"[..], &b"{}"[..]));
    let large = format!("\"{}\"", "x".repeat(200_000));
    let (_, messages) = streamed(&world, &large, |_| {}).await.unwrap();
    let whole: Vec<u8> = messages[..messages.len() - 1].iter().flat_map(|message| message.payload.to_vec()).collect();
    assert!(messages.len() > 3, "{}", messages.len());
    assert_eq!(String::from_utf8(whole).unwrap(), large);
}

#[tokio::test]
async fn chunks_come_as_the_function_writes_them() {
    let world = World::new();
    world.create("hello").await;
    let says = world.script(None);
    say(&says, "one").await;
    let mut messages = begin(&world).await;
    assert_eq!(messages.chunk().await, "one");
    say(&says, "two").await;
    assert_eq!(messages.chunk().await, "two");
    drop(says);
    let end = messages.end().await;
    let log = STANDARD.decode(end["LogResult"].as_str().unwrap()).unwrap();
    assert!(String::from_utf8(log).unwrap().contains("First byte: ") && end.get("ErrorCode").is_none());
}

#[tokio::test]
async fn a_failure_behind_the_first_chunk_is_told_by_its_type() {
    let world = World::new();
    world.create("hello").await;
    let cut = "Runtime.TruncatedResponse";
    for (last, code, details) in [
        (Part::Error("Late".into(), "{\"errorType\":\"Late\"}".into()), "Late", "{\"errorType\":\"Late\"}"),
        (Part::Exit(ExitCause::Exited(3)), cut, "exit status 3"),
        (Part::Exit(ExitCause::OutOfMemory), cut, "Runtime.OutOfMemory"),
        (Part::Cut, cut, "The response was cut off"),
    ] {
        let says = world.script(None);
        say(&says, "one").await;
        let mut messages = begin(&world).await;
        assert_eq!(messages.chunk().await, "one");
        says.send(last).await.unwrap();
        let end = messages.end().await;
        assert_eq!(end["ErrorCode"], code);
        assert!(end["ErrorDetails"].as_str().unwrap().contains(details), "{end}");
    }
}

#[tokio::test]
async fn a_plain_invocation_gets_a_streamed_response_whole() {
    let world = World::new();
    world.create("hello").await;
    let says = world.script(None);
    let invoking = world.invoke("hello", "{}");
    let speaking = async {
        say(&says, "one").await;
        say(&says, "two").await;
        says.send(Part::Error("Late".into(), "{}".into())).await.unwrap();
        drop(says);
    };
    let (answer, ()) = tokio::join!(invoking, speaking);
    let answer = answer.unwrap();
    assert_eq!((answer.function_error.as_deref(), &answer.payload.unwrap()[..]), (Some("Unhandled"), &b"{}"[..]));
    let says = world.script(None);
    say(&says, "one").await;
    drop(says);
    let answer = world.invoke("hello", "{}").await.unwrap();
    assert_eq!((answer.function_error, &answer.payload.unwrap()[..]), (None, &b"one"[..]));
}

#[tokio::test]
async fn a_failure_ends_the_stream_with_its_details() {
    let world = World::new();
    world.create("hello").await;
    let (_, messages) = streamed(&world, "\"fail\"", |_| {}).await.unwrap();
    assert_eq!(kinds(&messages), ["InvokeComplete"]);
    let end: serde_json::Value = serde_json::from_slice(&messages[0].payload).unwrap();
    assert_eq!(end, serde_json::json!({"ErrorCode": "Unhandled", "ErrorDetails": "{\"errorType\":\"ValueError\"}"}));
    let (output, messages) =
        streamed(&world, "1", |input| input.invocation_type = Some("DryRun".into())).await.unwrap();
    assert_eq!((output.status_code, messages.len()), (Some(204), 0));
    let nobody = streamed(&world, "1", |input| input.function_name = Some("nobody".into())).await.unwrap_err();
    assert_eq!((nobody.code.as_ref(), nobody.status), ("ResourceNotFoundException", 404));
    let wrong = streamed(&world, "{", |_| {}).await.unwrap_err();
    assert_eq!(wrong.code, "InvalidRequestContentException");
}

#[tokio::test]
async fn what_goes_with_an_event_goes_with_a_streamed_one() {
    let world = World::new();
    world.create("hello").await;
    let (_, messages) = streamed(&world, "1", |input| input.log_type = Some("Tail".into())).await.unwrap();
    let end: serde_json::Value = serde_json::from_slice(&messages.last().unwrap().payload).unwrap();
    assert!(end["LogResult"].is_string(), "{end}");
    let none = streamed(&world, "1", |input| input.qualifier = Some("7".into())).await.unwrap_err();
    assert_eq!(none.message, "Function not found: arn:aws:lambda:us-east-1:000000000000:function:hello:7");
    let wrong = streamed(&world, "1", |input| input.client_context = Some("no base64".into())).await.unwrap_err();
    assert_eq!(wrong.message, "Client context must be a valid Base64-encoded JSON object.");
    let refused = streamed(&world, "1", |input| input.tenant_id = Some("t".into())).await.unwrap_err();
    assert_eq!(refused.code, "NotImplemented");
}

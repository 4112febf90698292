//! InvokeWithResponseStream: what a client reads from the stream.

use base::Fault;
use bytes::Bytes;
use door::Body;
use model::lambda::{self as aws, ops};
use wire::eventstream::{Decoder, Message};

use crate::world::{World, reply};

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
    let mut messages = Vec::new();
    if let Body::Bytes(bytes) = &answer.body {
        let mut decoder = Decoder::new();
        decoder.push(bytes.clone(), &mut |message| messages.push(message)).unwrap();
        decoder.finish().unwrap();
    }
    Ok((answer.typed().unwrap(), messages))
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
    assert_eq!((messages.len(), String::from_utf8(whole).unwrap()), (5, large));
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

//! InvokeWithResponseStream: an answer as events of a stream.
//!
//! What functions answer arrives here whole, also what a handler writes piece by piece, so that the limit of buffered
//! answers holds; the client gets it in chunks and then its end.

use std::sync::Arc;

use base::Fault;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use door::{Answer, Body, Context, Handle};
use invoker::{Done, Finished};
use model::lambda::{self as aws, ops};
use wire::Protocol;
use wire::eventstream;

use super::invoke::{client_context, event};
use super::{refuse, required};
use crate::{Functions, Request, name};

/// Largest payload of one event, bytes: ours.
const CHUNK_BYTES: usize = 65_536;

impl Handle<ops::InvokeWithResponseStream> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::InvokeWithResponseStreamRequest,
        _: Body,
    ) -> Result<Answer<aws::InvokeWithResponseStreamResponse>, Fault> {
        refuse("InvokeWithResponseStream", &[("TenantId", input.tenant_id.is_some())])?;
        let text = required(input.function_name, "FunctionName")?;
        let named = name::resolve(context.account, &context.region, &text, input.qualifier.as_deref())?;
        let payload = event(input.payload, "RequestResponse")?;
        let client_context = client_context(input.client_context)?;
        if input.invocation_type.as_deref() == Some("DryRun") {
            self.find(named)?;
            return Ok(aws::InvokeWithResponseStreamResponse { status_code: Some(204), ..Default::default() }.into());
        }
        let request = Request {
            id: context.request_id,
            payload,
            trace: self.traced(&named, context.trace.as_deref())?,
            client_context,
            want_tail: input.log_type.as_deref() == Some("Tail"),
            depth: context.depth,
            by_receipt: false,
        };
        let done = self.run(&named, request).await?;
        let output = aws::InvokeWithResponseStreamResponse {
            status_code: Some(200),
            executed_version: done.row.function_arn.rsplit(':').next().map(str::to_owned),
            event_stream: None,
            response_stream_content_type: Some(eventstream::CONTENT_TYPE.to_owned()),
        };
        Ok(Answer { output, body: Body::Bytes(events(done)?) })
    }
}

/// The events of an answer: its chunks, then its end.
fn events(done: Done) -> Result<Bytes, Fault> {
    let log_result = done.tail.map(|tail| STANDARD.encode(tail));
    let (payload, complete) = match done.result {
        Finished::Response(payload) => {
            (payload, aws::InvokeWithResponseStreamCompleteEvent { log_result, ..Default::default() })
        }
        Finished::FunctionError { payload, .. } => {
            let complete = aws::InvokeWithResponseStreamCompleteEvent {
                error_code: Some("Unhandled".to_owned()),
                error_details: Some(String::from_utf8_lossy(&payload).into_owned()),
                log_result,
            };
            (Bytes::new(), complete)
        }
    };
    let mut out = BytesMut::with_capacity(payload.len() + payload.len() / 64 + 1024);
    let mut put = |event: aws::InvokeWithResponseStreamResponseEvent| -> Result<(), Fault> {
        let broken = || Fault::internal("an event of a response stream has no form");
        let message = eventstream::event(Protocol::RestJson, &event).ok_or_else(broken)?;
        out.extend_from_slice(&message.encode().map_err(|_| broken())?);
        Ok(())
    };
    for start in (0..payload.len()).step_by(CHUNK_BYTES) {
        let chunk = payload.slice(start..payload.len().min(start + CHUNK_BYTES));
        put(aws::InvokeWithResponseStreamResponseEvent {
            payload_chunk: Some(aws::InvokeResponseStreamUpdate { payload: Some(chunk) }),
            invoke_complete: None,
        })?;
    }
    put(aws::InvokeWithResponseStreamResponseEvent { payload_chunk: None, invoke_complete: Some(complete) })?;
    Ok(out.freeze())
}

//! InvokeWithResponseStream: a response as events of a stream, as the function writes it.

use std::sync::Arc;

use base::Fault;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use door::{Answer, Body, Context, Handle};
use futures_util::{Stream, stream};
use invoker::{Done, Finished};
use model::lambda::{self as aws, ops};
use wire::Protocol;
use wire::eventstream;

use super::invoke::{client_context, event};
use super::{refuse, required};
use crate::flow::{self, Flow, News};
use crate::{Functions, Request, name};

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
        let mut flow = self.stream(named, request).await?;
        let version = flow.version.clone();
        // Whatever comes first says whether it began.
        let first = match flow.next().await {
            News::Ended(Err(fault)) => return Err(fault),
            first => first,
        };
        let output = aws::InvokeWithResponseStreamResponse {
            status_code: Some(200),
            executed_version: Some(version),
            event_stream: None,
            response_stream_content_type: Some(eventstream::CONTENT_TYPE.to_owned()),
        };
        Ok(Answer { output, body: Body::Stream(Box::pin(events(flow, first))) })
    }
}

/// The events of a response: its pieces, then its end.
fn events(flow: Flow, first: News) -> impl Stream<Item = Result<Bytes, Fault>> + Send {
    stream::unfold(Some((flow, Some(first))), |state| async move {
        let (mut flow, mut first) = state?;
        loop {
            let news = match first.take() {
                Some(first) => first,
                None => flow.next().await,
            };
            let (event, goes_on) = match news {
                News::Begun { .. } => continue,
                News::Bytes(bytes) => (chunk(bytes), true),
                News::Ended(Ok(done)) => (complete(*done, flow.begun), false),
                News::Ended(Err(fault)) => return Some((Err(fault), None)),
            };
            return Some((encoded(&event), goes_on.then_some((flow, None))));
        }
    })
}

fn chunk(bytes: Bytes) -> aws::InvokeWithResponseStreamResponseEvent {
    aws::InvokeWithResponseStreamResponseEvent {
        payload_chunk: Some(aws::InvokeResponseStreamUpdate { payload: Some(bytes) }),
        invoke_complete: None,
    }
}

fn complete(done: Done, begun: bool) -> aws::InvokeWithResponseStreamResponseEvent {
    let failure = match &done.result {
        Finished::Response(_) => None,
        Finished::FunctionError { kind, error_type, payload } => Some(flow::told(begun, *kind, error_type, payload)),
    };
    let (error_code, error_details) = failure.unzip();
    let log_result = done.tail.map(|tail| STANDARD.encode(tail));
    let complete = aws::InvokeWithResponseStreamCompleteEvent { error_code, error_details, log_result };
    aws::InvokeWithResponseStreamResponseEvent { payload_chunk: None, invoke_complete: Some(complete) }
}

fn encoded(event: &aws::InvokeWithResponseStreamResponseEvent) -> Result<Bytes, Fault> {
    let broken = || Fault::internal("an event of a response stream has no form");
    let message = eventstream::event(Protocol::RestJson, event).ok_or_else(broken)?;
    message.encode().map_err(|_| broken())
}

//! Invoke and InvokeAsync.

use std::sync::Arc;

use base::{Fault, limits};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use door::{Answer, Body, Context, Handle, Via};
use invoker::Finished;
use model::lambda::{self as aws, ops};

use super::{refuse, required};
use crate::name::{self, Named};
use crate::{Functions, Request, faults, lineage, rules};

/// Largest request of a synchronous invocation, as AWS's words name it, bytes. A response may have 100 more.
const SYNC_REQUEST_BYTES: usize = 6_291_456;
/// Largest client context in base64, bytes. Source: AWS Lambda API reference, `Invoke`.
const CLIENT_CONTEXT_BYTES: usize = 3583;

impl Handle<ops::Invoke> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::InvocationRequest,
        _: Body,
    ) -> Result<Answer<aws::InvocationResponse>, Fault> {
        refuse(
            "Invoke",
            &[
                ("DurableExecutionName", input.durable_execution_name.is_some()),
                ("TenantId", input.tenant_id.is_some()),
            ],
        )?;
        let text = required(input.function_name, "FunctionName")?;
        let named = name::resolve(context.account, &context.region, &text, input.qualifier.as_deref())?;
        let kind = input.invocation_type.as_deref().unwrap_or("RequestResponse");
        let payload = event(input.payload, kind)?;
        let trace = match self.traced(&named, context.trace.as_deref()) {
            // Nobody would hear of it, and it would be delivered again: the event ends here.
            Err(fault) if kind == "Event" && context.via == Via::Room("outbox") => {
                tracing::debug!(%fault, function = %named.address.name, "an event ends");
                self.let_go_looped(&named, &context, (payload, &fault)).await?;
                return Ok(aws::InvocationResponse { status_code: Some(202), ..Default::default() }.into());
            }
            traced => traced?,
        };
        let request = Request {
            id: context.request_id,
            payload,
            trace,
            client_context: client_context(input.client_context)?,
            want_tail: input.log_type.as_deref() == Some("Tail"),
            depth: context.depth,
            by_receipt: false,
        };
        match kind {
            "DryRun" => {
                self.find(named)?;
                Ok(aws::InvocationResponse { status_code: Some(204), ..aws::InvocationResponse::default() }.into())
            }
            "Event" => {
                self.find(named.clone())?;
                self.accept_event(&named, request).await?;
                Ok(aws::InvocationResponse { status_code: Some(202), ..aws::InvocationResponse::default() }.into())
            }
            _ => self.answer(&named, request).await.map(Answer::from),
        }
    }
}

/// The event, within its limit and JSON; no event at all is an empty object.
pub(super) fn event(payload: Option<Bytes>, kind: &str) -> Result<Bytes, Fault> {
    let payload = payload.unwrap_or_default();
    let limit = if kind == "Event" { limits::ASYNC_PAYLOAD_BYTES } else { SYNC_REQUEST_BYTES };
    if payload.len() > limit {
        return Err(faults::too_large(limit, "InvokeFunction"));
    }
    if payload.is_empty() {
        return Ok(Bytes::from_static(b"{}"));
    }
    rules::event_json(&payload)?;
    Ok(payload)
}

/// The client context, decoded.
pub(super) fn client_context(header: Option<String>) -> Result<Option<String>, Fault> {
    let Some(header) = header else { return Ok(None) };
    let wrong = || {
        faults::user(aws::invalid_request_content_exception(
            "Client context must be a valid Base64-encoded JSON object.",
        ))
    };
    if header.len() > CLIENT_CONTEXT_BYTES {
        return Err(wrong());
    }
    let decoded = STANDARD.decode(header).map_err(|_| wrong())?;
    let text = String::from_utf8(decoded).map_err(|_| wrong())?;
    let object: Result<serde_json::Map<String, serde_json::Value>, _> = serde_json::from_str(&text);
    object.map(|_| Some(text)).map_err(|_| wrong())
}

impl Functions {
    /// The trace header of an invocation, in which the function is counted.
    ///
    /// # Errors
    /// That the chain of calls which the header tells of has come back to the function too often.
    pub(super) fn traced(&self, named: &Named, trace: Option<&str>) -> Result<Option<String>, Fault> {
        let Some(trace) = trace else { return Ok(None) };
        let (next, count) = lineage::step(trace, &named.address.arn());
        // Read only then: the warm path reads nothing from the store.
        if count > lineage::MOST
            && let Some(function) = self.state.get(&named.address)?.filter(|function| !function.allow_loops)
        {
            self.tell_of_loop(named, &function);
            return Err(faults::user(aws::recursive_invocation_exception(
                "Lambda has detected your function being invoked in a recursive loop with other Amazon Web Services \
                 resources and stopped your function's invocation.",
            )));
        }
        Ok(Some(next))
    }

    /// Runs an event and waits for what comes of it.
    async fn answer(&self, named: &Named, request: Request) -> Result<aws::InvocationResponse, Fault> {
        let done = self.run(named, request).await?;
        let (function_error, payload) = match done.result {
            Finished::Response(payload) => (None, payload),
            Finished::FunctionError { payload, .. } => (Some("Unhandled".to_owned()), payload),
        };
        Ok(aws::InvocationResponse {
            status_code: Some(200),
            function_error,
            log_result: done.tail.map(|tail| STANDARD.encode(tail)),
            payload: Some(payload),
            executed_version: done.row.function_arn.rsplit(':').next().map(str::to_owned),
            durable_execution_arn: None,
        })
    }
}

/// The older way to invoke asynchronously.
impl Handle<ops::InvokeAsync> for Functions {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: aws::InvokeAsyncRequest,
        _: Body,
    ) -> Result<Answer<aws::InvokeAsyncResponse>, Fault> {
        let text = required(input.function_name, "FunctionName")?;
        let named = name::resolve(context.account, &context.region, &text, None)?;
        let payload = event(input.invoke_args, "Event")?;
        self.find(named.clone())?;
        let request = Request {
            id: context.request_id,
            payload,
            trace: self.traced(&named, context.trace.as_deref())?,
            client_context: None,
            want_tail: false,
            depth: context.depth,
            by_receipt: false,
        };
        self.accept_event(&named, request).await?;
        Ok(aws::InvokeAsyncResponse { status: Some(202) }.into())
    }
}

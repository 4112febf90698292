//! Functions as integrations.

use std::time::Duration;

use base::{Fault, Principal, RequestId};
use bytes::Bytes;
use door::{Body, Call, Input, Origin, SiteResponse, Via};
use model::lambda::{self, ops};
use wire::Op;

use super::authorize::Authorizer;
use super::live::{Called, Function, Payload};
use super::{Visit, answer, event, internal, message};
use crate::HttpApis;

/// As whom functions are called.
pub(super) const PRINCIPAL: &str = "apigateway.amazonaws.com";

impl HttpApis {
    /// Calls a route's function, and reads its answer.
    pub(super) async fn invoke(
        &self,
        visit: &Visit<'_>,
        function: &Called,
        form: Payload,
        timeout: Duration,
        authorizer: &Authorizer,
    ) -> SiteResponse {
        let Some(function) = function.function(&visit.stage.variables) else {
            tracing::debug!(api = visit.live.api.id, "the integration's URI names no function");
            return internal();
        };
        let payload = event::payload(form, visit, authorizer);
        if payload.len() > base::limits::SYNC_PAYLOAD_BYTES {
            return message(413, "Request Entity Too Large");
        }
        let done = match self.call_function(visit, &function, visit.source_arn(), payload, timeout).await {
            Ok(done) => done,
            Err(response) => return *response,
        };
        if done.function_error.is_some() {
            return internal();
        }
        let payload = done.payload.unwrap_or_default();
        let answered = match form {
            Payload::V1 => answer::first(&payload),
            Payload::V2 => answer::second(&payload),
        };
        answered.unwrap_or_else(internal)
    }

    /// Calls a function on behalf of a part of the API, and waits so long; what is answered if it was not called.
    pub(super) async fn call_function(
        &self,
        visit: &Visit<'_>,
        function: &Function,
        source_arn: String,
        payload: Bytes,
        timeout: Duration,
    ) -> Result<lambda::InvocationResponse, Box<SiteResponse>> {
        let Ok(source_account) = visit.live.api.account.parse() else { return Err(Box::new(internal())) };
        let input = lambda::InvocationRequest {
            function_name: Some(function.arn.clone()),
            payload: Some(payload),
            ..lambda::InvocationRequest::default()
        };
        let call = Call {
            principal: Principal::Service { name: PRINCIPAL, source_arn, source_account },
            via: Via::Room("httpapis"),
            origin: Origin::default(),
            operation: ops::Invoke::ROW,
            input: Input::Typed(Box::new(input)),
            body: Body::Empty,
            region: function.region.clone(),
            // A retry of the same HTTP request is another invocation.
            request_id: RequestId::new(&*self.options.rng),
            deadline: Some(self.options.clocks.monotonic() + timeout),
            depth: 0,
            trace: Some(visit.trace.to_owned()),
        };
        // Who no longer waits cancels the call.
        let called = tokio::time::timeout(timeout, self.options.dispatch.call(call)).await;
        let Ok(called) = called else { return Err(Box::new(unavailable())) };
        match called.map(door::Reply::typed::<lambda::InvocationResponse>) {
            Ok(Some(done)) => Ok(done),
            Ok(None) => Err(Box::new(internal())),
            Err(fault) => Err(Box::new(refused(&fault))),
        }
    }
}

fn unavailable() -> SiteResponse {
    message(503, "Service Unavailable")
}

/// A function that was not called. What would mend it is for the API's owner, who reads it in the log.
fn refused(fault: &Fault) -> SiteResponse {
    tracing::debug!(%fault, "an API's function was not called");
    match fault.status {
        // Too many calls at once, here or of the function.
        429 | 503 => unavailable(),
        413 => message(413, "Request Entity Too Large"),
        _ => internal(),
    }
}

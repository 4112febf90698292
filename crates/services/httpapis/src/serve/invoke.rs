//! Functions as integrations.

use std::time::Duration;

use base::{Fault, Principal, RequestId};
use bytes::Bytes;
use door::{Body, Call, Input, Origin, SiteResponse, Via};
use model::lambda::{self, ops};
use wire::Op;

use super::authorize::Authorizer;
use super::live::{Called, Payload};
use super::{Failed, Visit, answer, event};
use crate::HttpApis;
use crate::rules::role;

/// As whom functions are called.
pub(crate) const PRINCIPAL: &str = "apigateway.amazonaws.com";

impl HttpApis {
    /// Calls a route's function, and reads its answer.
    pub(super) async fn invoke(
        &self,
        visit: &Visit<'_>,
        function: &Called,
        form: Payload,
        timeout: Duration,
        authorizer: &Authorizer,
    ) -> Result<SiteResponse, Failed> {
        let payload = event::payload(form, visit, authorizer);
        if payload.len() > base::limits::SYNC_PAYLOAD_BYTES {
            return Err(Failed::too_large("the event is too large for a function"));
        }
        let done = self.call_function(visit, function, visit.source_arn(), payload, timeout).await?;
        if done.function_error.is_some() {
            return Err(Failed::internal("the function failed; its own log says why"));
        }
        let payload = done.payload.unwrap_or_default();
        let answered = match form {
            Payload::V1 => answer::first(&payload),
            Payload::V2 => answer::second(&payload),
        };
        answered.ok_or_else(|| Failed::internal("the function's answer is not of the form that is asked for"))
    }

    /// Calls a function on behalf of a part of the API, and waits so long.
    pub(super) async fn call_function(
        &self,
        visit: &Visit<'_>,
        called: &Called,
        source_arn: String,
        payload: Bytes,
        timeout: Duration,
    ) -> Result<lambda::InvocationResponse, Failed> {
        let Some(function) = called.function(&visit.stage.variables) else {
            return Err(Failed::internal("the URI names no function"));
        };
        let principal = self.caller(visit, called.role.as_deref(), source_arn)?;
        let input = lambda::InvocationRequest {
            function_name: Some(function.arn.clone()),
            payload: Some(payload),
            ..lambda::InvocationRequest::default()
        };
        let call = Call {
            principal,
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
        let Ok(called) = called else { return Err(Failed::unavailable("the function did not answer in time")) };
        match called.map(door::Reply::typed::<lambda::InvocationResponse>) {
            Ok(Some(done)) => Ok(done),
            Ok(None) => Err(Failed::internal("another operation answered")),
            Err(fault) => Err(refused(&fault)),
        }
    }
}

impl HttpApis {
    /// As whom a function is called: as the service, or as a role that lets the service act as it.
    fn caller(&self, visit: &Visit<'_>, role: Option<&str>, source_arn: String) -> Result<Principal, Failed> {
        let api = &visit.live.api;
        let (Ok(source_account), Ok(region)) = (api.account.parse(), api.region.parse()) else {
            return Err(Failed::internal("the API's row names no account"));
        };
        let service = Principal::Service { name: PRINCIPAL, source_arn, source_account };
        let Some(arn) = role else { return Ok(service) };
        self.options
            .gate
            .assume(arn, &service, &region, visit.request.request_id)
            .map_err(|denial| Failed::internal(format!("the role cannot be assumed: {}", denial.message)))?;
        role::session(arn).ok_or_else(|| Failed::internal("the credentials name no role"))
    }
}

/// A function that was not called.
fn refused(fault: &Fault) -> Failed {
    let why = fault.to_string();
    tracing::debug!(why, "an API's function was not called");
    match fault.status {
        // Too many calls at once, here or of the function.
        429 | 503 => Failed::unavailable(why),
        413 => Failed::too_large(why),
        _ => Failed::internal(why),
    }
}

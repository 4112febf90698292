//! Functions as integrations.

use std::time::Duration;

use base::{Fault, Principal, RequestId};
use bytes::Bytes;
use door::{Body, Call, Input, Origin, SiteResponse, Via};
use model::lambda::{self, ops};
use wire::Op;

use super::authorize::Caller;
use super::live::{Called, Function, Ready};
use super::notes::Weight;
use super::{Failure, Visit, answer, event};
use crate::rest::RestApis;
use crate::rules::role;
use crate::serve::PRINCIPAL;

impl RestApis {
    /// Calls a method's function, and reads its answer.
    pub(super) async fn invoke(
        &self,
        visit: &Visit<'_>,
        route: &Ready,
        called: &Called,
    ) -> Result<SiteResponse, Failure> {
        let function = called.function(&visit.stage.variables).filter(|_| called.by_post);
        let Some(function) = function else {
            tracing::debug!(api = visit.live.api.id, "the integration names no function, or is not by POST");
            return Err(Failure::internal());
        };
        let payload = event::payload(visit, route);
        visit.note(Weight::Data, || format!("Endpoint request URI: {}", called.uri));
        visit.note(Weight::Data, || {
            format!("Endpoint request body after transformations: {}", String::from_utf8_lossy(&payload))
        });
        visit.note(Weight::Info, || format!("Sending request to {}", called.uri));
        if payload.len() > base::limits::SYNC_PAYLOAD_BYTES {
            return Err(Failure::too_large());
        }
        let api = &visit.live.api;
        let (method, stage) = (&visit.request.method, &visit.stage.name);
        let (region, account) = (&api.region, &api.account);
        let source_arn = format!("arn:aws:execute-api:{region}:{account}:{}/{stage}/{method}{}", api.id, route.path);
        let done =
            self.call_function(visit, (&function, called.role.as_deref()), source_arn, payload, route.timeout).await?;
        let payload = done.payload.unwrap_or_default();
        let told = || String::from_utf8_lossy(&payload);
        visit.note(Weight::Data, || format!("Endpoint response body before transformations: {}", told()));
        if done.function_error.is_some() {
            visit.note(Weight::Error, || {
                format!("Lambda execution failed with status 200 due to customer function error: {}", told())
            });
            return Err(Failure::malformed());
        }
        answer::of(visit, &payload).ok_or_else(|| {
            visit.note(Weight::Error, || {
                "Execution failed due to configuration error: Malformed Lambda proxy response".to_owned()
            });
            Failure::malformed()
        })
    }

    /// Calls a function on behalf of a part of the API, and waits so long.
    pub(super) async fn call_function(
        &self,
        visit: &Visit<'_>,
        (function, role): (&Function, Option<&str>),
        source_arn: String,
        payload: Bytes,
        timeout: Duration,
    ) -> Result<lambda::InvocationResponse, Failure> {
        let principal = self.acting(visit, role, source_arn)?;
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
            request_id: RequestId::new(&*self.options().rng),
            deadline: Some(self.options().clocks.monotonic() + timeout),
            depth: 0,
            trace: Some(visit.trace.to_owned()),
        };
        // Who no longer waits cancels the call.
        let done = tokio::time::timeout(timeout, self.options().dispatch.call(call)).await;
        let done = done.map_err(|_| Failure::timed_out())?.map_err(|fault| refused(&fault))?;
        done.typed::<lambda::InvocationResponse>().ok_or_else(Failure::internal)
    }
}

impl RestApis {
    /// As whom a function is called: as the service, as a role that lets the service act as it, or as who sent the request.
    fn acting(&self, visit: &Visit<'_>, role: Option<&str>, source_arn: String) -> Result<Principal, Failure> {
        let api = &visit.live.api;
        let source_account = api.account.parse().map_err(|_| Failure::internal())?;
        let service = Principal::Service { name: PRINCIPAL, source_arn, source_account };
        let Some(arn) = role else { return Ok(service) };
        if arn == role::CALLER {
            // Only whom a signature names can be acted as.
            let signed = matches!(visit.caller, Some(Caller::Signed { .. }));
            return if signed { Ok(visit.request.principal.clone()) } else { Err(Failure::internal()) };
        }
        let region = api.region.parse().map_err(|_| Failure::internal())?;
        self.options().gate.assume(arn, &service, &region, visit.request.request_id).map_err(|denial| {
            tracing::debug!(api = api.id, why = denial.message, "a role cannot be assumed");
            Failure::internal()
        })?;
        role::session(arn).ok_or_else(Failure::internal)
    }
}

/// A function that was not called. What would mend it is for the API's owner, who reads it in the log.
fn refused(fault: &Fault) -> Failure {
    tracing::debug!(%fault, "an API's function was not called");
    match fault.status {
        413 => Failure::too_large(),
        _ => Failure::internal(),
    }
}

//! Access logs: what a line says of a request that was answered.
//! Source: API Gateway Developer Guide, "Variables for access logging for API Gateway".

use std::time::Duration;

use door::{Body, SiteResponse};
use serde_json::Value;

use super::{Failure, Visit, values};

/// What became of a request.
pub(super) struct Course<'a> {
    pub(super) failure: Option<&'a Failure>,
    pub(super) response: &'a SiteResponse,
    pub(super) took: Duration,
}

/// A variable of `$context` when all is over.
pub(super) fn value(visit: &Visit<'_>, context: &Value, course: &Course<'_>, name: &str) -> Option<String> {
    if let Some(part) = name.strip_prefix("error.") {
        return course.failure?.part(part);
    }
    let ms = |took: Duration| took.as_millis().to_string();
    match name {
        "status" => Some(course.response.status.to_string()),
        "responseLength" => Some(match &course.response.body {
            Body::Bytes(bytes) => bytes.len().to_string(),
            Body::Empty | Body::Stream(_) => "0".into(),
        }),
        "responseLatency" => Some(ms(course.took)),
        "integrationLatency" | "integration.latency" => visit.integration.map(|(took, _)| ms(took)),
        "integrationStatus" | "integration.integrationStatus" | "integration.status" => {
            visit.integration?.1.map(|status| status.to_string())
        }
        "integration.requestId" | "awsEndpointRequestId" => None,
        "xrayTraceId" => Some(visit.trace.to_owned()),
        name => values::within(context, name),
    }
}

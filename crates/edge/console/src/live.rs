//! The live environments: once as JSON, or as events whenever their number changes. Nothing polls.

use std::sync::Arc;
use std::time::Duration;

use base::Fault;
use bytes::Bytes;
use door::{Body, SiteRequest, SiteResponse};
use futures_util::stream;
use http::header;
use serde_json::{Value, json};

use crate::Options;

/// Changes within this time are told together: a burst starts hundreds of environments at once.
const TOGETHER: Duration = Duration::from_millis(100);

/// One function's live environments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// The function's name.
    pub function: String,
    /// In launch or INIT.
    pub starting: usize,
    /// With an event.
    pub busy: usize,
    /// Waiting for one.
    pub idle: usize,
}

fn now(live: &dyn Fn() -> Vec<Live>, keep_alive_ms: u64) -> Value {
    let rows = live();
    let count: usize = rows.iter().map(|row| row.starting + row.busy + row.idle).sum();
    let functions: Vec<Value> = rows
        .into_iter()
        .map(|row| json!({"function": row.function, "starting": row.starting, "busy": row.busy, "idle": row.idle}))
        .collect();
    json!({"environments": count, "keepAliveMs": keep_alive_ms, "functions": functions})
}

/// `text/event-stream` for who accepts it, else one JSON object.
pub(crate) fn answer(options: &Options, request: &SiteRequest) -> SiteResponse {
    let accept = request.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if !accept.contains("text/event-stream") {
        return crate::json_answer(200, &now(&*options.live, options.keep_alive_ms));
    }
    let (live, keep_alive_ms) = (Arc::clone(&options.live), options.keep_alive_ms);
    let start = (options.changes.clone(), true);
    let events = stream::unfold(start, move |(mut changes, first)| {
        let live = Arc::clone(&live);
        async move {
            if !first {
                changes.changed().await.ok()?;
                tokio::time::sleep(TOGETHER).await;
            }
            changes.mark_unchanged();
            let event = format!("data: {}\n\n", now(&*live, keep_alive_ms));
            Some((Ok::<_, Fault>(Bytes::from(event)), (changes, false)))
        }
    });
    crate::answer(200, "text/event-stream", Body::Stream(Box::pin(events)))
}

//! PutLogEvents.

use std::sync::Arc;

use base::{Fault, TraceHeader};
use bytes::Bytes;
use door::{Answer, Body, Context, Handle};
use model::logs::{self, ops};

use super::own;
use super::streams::sequence_token;
use crate::Observe;
use crate::faults;
use crate::ingest::Incoming;
use crate::metrics::emf;
use crate::metrics::pending::Pending;
use crate::rules::put::{Verdict, judge};
use crate::state;

impl Handle<ops::PutLogEvents> for Observe {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: logs::PutLogEventsRequest,
        _: Body,
    ) -> Result<Answer<logs::PutLogEventsResponse>, Fault> {
        let group = input.log_group_name.unwrap_or_default();
        super::not_the_audit_log(&group)?;
        let name = own(&context, group);
        let stream_name = input.log_stream_name.unwrap_or_default();
        // A stream that a function has just begun may still be on its way in.
        self.queue.flush().await;
        let group = self.group(&name)?;
        let events: Vec<(i64, Bytes)> = input
            .log_events
            .unwrap_or_default()
            .into_iter()
            .map(|event| (event.timestamp.unwrap_or_default(), Bytes::from(event.message.unwrap_or_default())))
            .collect();
        let sizes: Vec<(i64, usize)> = events.iter().map(|(at_ms, message)| (*at_ms, message.len())).collect();
        let now_ms = self.clocks.product().0;
        let verdict = judge(&sizes, now_ms, group.expired_before(now_ms)).map_err(faults::invalid)?;
        let kept = events.get(verdict.begin..verdict.end).unwrap_or_default().to_vec();
        let view = self.kv.snapshot()?;
        let found = state::find_stream(&*view, group.generation, &stream_name)?;
        let mut stream = found.ok_or_else(faults::no_stream)?;
        drop(view);
        stream.next_seq += kept.len() as u64;
        if !kept.is_empty() {
            let mut points = Pending::default();
            let mut is_whole = true;
            for (at_ms, message) in &kept {
                let take = |point| points.add(point);
                is_whole &= emf::points(context.account, &context.region, message, *at_ms, now_ms, take);
            }
            if !is_whole {
                emf::say_left_out();
            }
            // What a function writes itself belongs to the chain of deliveries that invoked it.
            let hops = vec![context.trace.as_deref().map_or(0, TraceHeader::hops); kept.len()];
            self.put(vec![Incoming {
                group: name,
                stream: stream_name,
                events: kept,
                hops,
                ingested_ms: now_ms,
                create: false,
            }])
            .await?;
            // Metrics in log lines are taken if there is room; the lines are kept whatever becomes of them.
            if !points.is_empty() && self.queue.put_metrics(points).is_err() {
                tracing::warn!("metrics in log lines were dropped: more came than could be stored");
            }
        }
        let output = logs::PutLogEventsResponse {
            next_sequence_token: Some(sequence_token(&stream)),
            rejected_log_events_info: rejected(&verdict),
            // Entities are not kept; the service's own way to say so.
            rejected_entity_info: input
                .entity
                .map(|_| logs::RejectedEntityInfo { error_type: Some("UnsupportedLogGroupType".into()) }),
        };
        Ok(output.into())
    }
}

fn rejected(verdict: &Verdict) -> Option<logs::RejectedLogEventsInfo> {
    let index = |at: Option<usize>| at.and_then(|at| i64::try_from(at).ok());
    let info = logs::RejectedLogEventsInfo {
        too_new_log_event_start_index: index(verdict.too_new_start),
        too_old_log_event_end_index: index(verdict.too_old_end),
        expired_log_event_end_index: index(verdict.expired_end),
    };
    (info != logs::RejectedLogEventsInfo::default()).then_some(info)
}

//! Subscriptions: events that match go to the outbox in the transaction that stores them.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{Fault, Rng, TraceHeader, limits};
use bytes::Bytes;
use door::outbox::{Delivery, Sender};

use crate::Observe;
use crate::aws::events::event_id;
use crate::ingest::Incoming;
use crate::rules::handed::{self, Event, Origin};
use crate::rules::pattern::Pattern;
use crate::state::{self, GroupName};
use crate::types::{Group, Subscription};

/// As whom functions are invoked.
pub(crate) const PRINCIPAL: &str = "logs.amazonaws.com";

/// What a batch of events gives to hear.
#[derive(Default)]
pub(crate) struct Handed {
    /// Of the streams that are heard, by their place in the batch: the id and the number their next event gets. The
    /// deliveries hold for these alone.
    pub(crate) stands: BTreeMap<usize, (u64, u64)>,
    /// Rows for the outbox: id and value.
    pub(crate) deliveries: Vec<(String, Bytes)>,
}

/// One stream's events and who hears of them.
struct Heard {
    index: usize,
    subscriptions: BTreeMap<String, Subscription>,
    stream: u64,
    next_seq: u64,
}

impl Observe {
    /// Packs what subscribers hear of a batch. `ids` are those of streams that are not there yet.
    pub(crate) async fn prepare(
        self: &Observe,
        incoming: &Arc<Vec<Incoming>>,
        groups: &BTreeMap<GroupName, Group>,
        ids: &[u64],
    ) -> Result<Handed, Fault> {
        let view = self.kv.snapshot()?;
        let mut heard = Vec::new();
        for (index, (one, id)) in incoming.iter().zip(ids).enumerate() {
            let group = &groups[&one.group];
            if group.subscriptions.is_empty() {
                continue;
            }
            let stream = state::find_stream(&*view, group.generation, &one.stream)?;
            let (stream, next_seq) = stream.map_or((*id, 0), |stream| (stream.id, stream.next_seq));
            heard.push(Heard { index, subscriptions: group.subscriptions.clone(), stream, next_seq });
        }
        drop(view);
        let stands = heard.iter().map(|one| (one.index, (one.stream, one.next_seq))).collect();
        let (incoming, rng, now_ms) = (Arc::clone(incoming), Arc::clone(&self.rng), self.clocks.product().0);
        // Matching and packing may take a while: not on the threads that serve requests.
        let packed = tokio::task::spawn_blocking(move || {
            let one = |heard: Heard| deliveries(&incoming[heard.index], &heard, &*rng, now_ms);
            heard.into_iter().flat_map(one).collect()
        });
        Ok(Handed { stands, deliveries: packed.await.map_err(Fault::internal)? })
    }
}

/// What the subscribers of one stream hear.
fn deliveries(incoming: &Incoming, heard: &Heard, rng: &dyn Rng, now_ms: i64) -> Vec<(String, Bytes)> {
    // In the order of their numbers: as they will be packed into chunks.
    let mut order: Vec<usize> = (0..incoming.events.len()).collect();
    order.sort_by_key(|at| incoming.events[*at].0);
    let mut out = Vec::new();
    for (filter, subscription) in &heard.subscriptions {
        let Ok(pattern) = Pattern::parse(&subscription.pattern) else {
            tracing::error!(%filter, "a stored subscription filter's pattern does not read");
            continue;
        };
        // Events that other numbers of deliveries led to travel apart, so that the end of a chain takes nothing else along.
        let mut wanted: BTreeMap<u16, Vec<Event>> = BTreeMap::new();
        for (seq, at) in (heard.next_seq..).zip(&order) {
            let (at_ms, message) = &incoming.events[*at];
            if pattern.matches(message) {
                let id = event_id(*at_ms, heard.stream, seq);
                let message = String::from_utf8_lossy(message).into_owned();
                let hops = incoming.hops.get(*at).copied().unwrap_or(0);
                wanted.entry(hops).or_default().push(Event { id, timestamp: *at_ms, message });
            }
        }
        let GroupName { account, name, .. } = &incoming.group;
        let origin = Origin { owner: account.as_str(), group: name, stream: &incoming.stream, filter };
        for (hops, events) in wanted {
            for body in handed::bodies(origin, &events, limits::ASYNC_PAYLOAD_BYTES) {
                let delivery = delivery(&incoming.group, subscription, hops.saturating_add(1), body, rng, now_ms);
                out.push((row_id(rng), delivery.to_bytes()));
            }
        }
    }
    out
}

/// One asynchronous invocation.
fn delivery(
    group: &GroupName,
    subscription: &Subscription,
    hops: u16,
    body: Bytes,
    rng: &dyn Rng,
    now_ms: i64,
) -> Delivery {
    let function = percent_encoding::utf8_percent_encode(&subscription.destination, percent_encoding::NON_ALPHANUMERIC);
    let now_s = u64::try_from(now_ms / 1000).unwrap_or(0);
    Delivery {
        service: "lambda".into(),
        operation: "Invoke".into(),
        sender: Sender::Service {
            name: PRINCIPAL.into(),
            source_arn: source_arn(group),
            account: group.account.as_str().into(),
        },
        region: group.region.to_string(),
        path: format!("/2015-03-31/functions/{function}/invocations"),
        query: String::new(),
        headers: vec![
            ("content-type".into(), "application/json".into()),
            ("x-amz-invocation-type".into(), "Event".into()),
        ],
        first_ms: now_ms,
        // The door ends a chain that is too long: a function that subscribes to its own log hears itself only so often.
        depth: hops,
        trace: Some(TraceHeader::root(rng, now_s).after(hops).0),
        attempts: 0,
        last_error: None,
        failing: None,
        body,
    }
}

/// `aws:SourceArn` of what a group sends. Source: CloudWatch Logs User Guide, "Subscription filters with AWS Lambda".
pub(crate) fn source_arn(group: &GroupName) -> String {
    format!("{}:*", group.arn())
}

fn row_id(rng: &dyn Rng) -> String {
    let mut raw = [0; 16];
    rng.fill(&mut raw);
    format!("logs-{:032x}", u128::from_be_bytes(raw))
}

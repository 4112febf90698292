//! StartLiveTail: events as they are stored.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use base::{Fault, Rng};
use bytes::Bytes;
use door::{Answer, Body, Context, Handle};
use futures_util::stream;
use model::logs::{self, ops};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::Sleep;
use wire::{Protocol, eventstream};

use super::by_arn;
use crate::Observe;
use crate::faults;
use crate::ingest::Incoming;
use crate::rules::pattern::Pattern;
use crate::state::GroupName;

/// Events of one update; what is more is left out, and the update says that it is a sample.
/// Source: CloudWatch Logs API reference, StartLiveTail.
const UPDATE_EVENTS: usize = 500;
/// How long a session lasts.
const SESSION: Duration = Duration::from_secs(3 * 3600);
/// What speaks of event streams here: the service's one protocol.
const PROTOCOL: Protocol = Protocol::Json11;

impl Handle<ops::StartLiveTail> for Observe {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: logs::StartLiveTailRequest,
        _: Body,
    ) -> Result<Answer<logs::StartLiveTailResponse>, Fault> {
        let identifiers = input.log_group_identifiers.clone().unwrap_or_default();
        let (names, prefixes) = (input.log_stream_names.clone(), input.log_stream_name_prefixes.clone());
        if names.is_some() && prefixes.is_some() {
            return Err(faults::invalid("logStreamNamePrefixes and logStreamNames are mutually exclusive parameters."));
        }
        if (names.is_some() || prefixes.is_some()) && identifiers.len() != 1 {
            return Err(faults::invalid("Log streams can be chosen only when one log group is."));
        }
        let pattern = Pattern::parse(input.log_event_filter_pattern.as_deref().unwrap_or_default());
        let pattern = pattern.map_err(|wrong| faults::invalid(wrong.message("filter")))?;
        // What came in before is not shown: a search finds it.
        self.queue.flush().await;
        let stored = self.stored.subscribe();
        let groups: Vec<GroupName> = identifiers.iter().map(|arn| by_arn(&context, arn)).collect::<Result<_, _>>()?;
        for group in &groups {
            self.group(group)?;
        }
        let start = logs::LiveTailSessionStart {
            request_id: Some(context.request_id.to_string()),
            session_id: Some(session_id(&*self.rng)),
            log_group_identifiers: Some(identifiers),
            log_stream_names: input.log_stream_names,
            log_stream_name_prefixes: input.log_stream_name_prefixes,
            log_event_filter_pattern: input.log_event_filter_pattern,
        };
        let start = logs::StartLiveTailResponseStream { session_start: Some(start), ..Default::default() };
        let hello = eventstream::initial_response(PROTOCOL, &logs::StartLiveTailResponse::default());
        let first = VecDeque::from([encoded(&hello)?, update(&start)?]);
        let end = Box::pin(tokio::time::sleep(SESSION));
        let wanted = Arc::new(Wanted { groups, names, prefixes, pattern });
        let tail = Tail { first, stored: Some(stored), end, wanted };
        let events = stream::unfold(tail, |mut tail| async { tail.next().await.map(|next| (next, tail)) });
        Ok(Answer { output: logs::StartLiveTailResponse::default(), body: Body::Stream(Box::pin(events)) })
    }
}

/// One session.
struct Tail {
    // What is said before any event.
    first: VecDeque<Bytes>,
    // None once the session is over.
    stored: Option<Receiver<Arc<Vec<Incoming>>>>,
    end: Pin<Box<Sleep>>,
    wanted: Arc<Wanted>,
}

/// What a session shows.
struct Wanted {
    groups: Vec<GroupName>,
    names: Option<Vec<String>>,
    prefixes: Option<Vec<String>>,
    pattern: Pattern,
}

impl Tail {
    /// The next message; none at the end.
    async fn next(&mut self) -> Option<Result<Bytes, Fault>> {
        if let Some(first) = self.first.pop_front() {
            return Some(Ok(first));
        }
        loop {
            let stored = self.stored.as_mut()?;
            let (mut gathered, mut is_sample) = (Vec::new(), false);
            let batch = tokio::select! {
                batch = stored.recv() => batch,
                () = &mut self.end => {
                    self.stored = None;
                    let over = Fault::new("SessionTimeoutException", 400, "The session lasted three hours.");
                    let over = eventstream::exception(PROTOCOL, <ops::StartLiveTail as wire::Op>::ROW.service, &over);
                    return Some(encoded(&over));
                }
            };
            match batch {
                Ok(batch) => gathered.push(batch),
                // More came than could be shown.
                Err(RecvError::Lagged(_)) => is_sample = true,
                Err(RecvError::Closed) => return None,
            }
            // What has gathered goes along.
            loop {
                match self.stored.as_mut()?.try_recv() {
                    Ok(batch) => gathered.push(batch),
                    Err(TryRecvError::Lagged(_)) => is_sample = true,
                    Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                }
            }
            // A pattern may take its time; others wait for this thread.
            let wanted = Arc::clone(&self.wanted);
            let taken = tokio::task::spawn_blocking(move || wanted.of(&gathered)).await;
            let (events, more) = match taken {
                Ok(taken) => taken,
                Err(error) => return Some(Err(Fault::internal(error))),
            };
            is_sample |= more;
            if events.is_empty() && !is_sample {
                continue;
            }
            let results = logs::LiveTailSessionUpdate {
                session_metadata: Some(logs::LiveTailSessionMetadata { sampled: Some(is_sample) }),
                session_results: Some(events),
            };
            let results = logs::StartLiveTailResponseStream { session_update: Some(results), ..Default::default() };
            return Some(update(&results));
        }
    }
}

impl Wanted {
    /// What the session wants of these batches, and whether it wants more than is shown.
    fn of(&self, batches: &[Arc<Vec<Incoming>>]) -> (Vec<logs::LiveTailSessionLogEvent>, bool) {
        let mut events = Vec::new();
        let all = batches.iter().flat_map(|batch| batch.iter());
        for one in all.filter(|one| self.groups.contains(&one.group) && self.wants(&one.stream)) {
            for (at_ms, message) in one.events.iter().filter(|(_, message)| self.pattern.matches(message)) {
                if events.len() >= UPDATE_EVENTS {
                    return (events, true);
                }
                events.push(logs::LiveTailSessionLogEvent {
                    log_stream_name: Some(one.stream.clone()),
                    log_group_identifier: Some(format!("{}:{}", one.group.account, one.group.name)),
                    message: Some(String::from_utf8_lossy(message).into_owned()),
                    timestamp: Some(*at_ms),
                    ingestion_time: Some(one.ingested_ms),
                });
            }
        }
        (events, false)
    }

    fn wants(&self, stream: &str) -> bool {
        let named = self.names.as_ref().is_none_or(|names| names.iter().any(|name| name == stream));
        named && self.prefixes.as_ref().is_none_or(|some| some.iter().any(|prefix| stream.starts_with(prefix)))
    }
}

fn update(event: &logs::StartLiveTailResponseStream) -> Result<Bytes, Fault> {
    let message = eventstream::event(PROTOCOL, event).ok_or_else(|| Fault::internal("an event without a member"))?;
    encoded(&message)
}

fn encoded(message: &eventstream::Message) -> Result<Bytes, Fault> {
    message.encode().map_err(|malformed| Fault::internal(malformed.0))
}

/// A session's id, in the form of a UUID.
fn session_id(rng: &dyn Rng) -> String {
    let mut raw = [0; 16];
    rng.fill(&mut raw);
    let hex = format!("{:032x}", u128::from_be_bytes(raw));
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

//! GetLogEvents and FilterLogEvents.

use std::sync::Arc;

use base::{Fault, Timestamp};
use door::{Answer, Body, Context, Handle};
use model::logs::{self, ops};

use super::either;
use crate::Observe;
use crate::faults;
use crate::reader::{Merge, Scan, Source, Window};
use crate::rules::chunk::EVENT_OVERHEAD;
use crate::rules::pattern::Pattern;
use crate::rules::token::{self, GroupPlace, Place, Way};
use crate::state::{self, GroupName};
use crate::types::Event;

/// Events of a page at most, and unless told otherwise.
const LIMIT: i64 = 10_000;
/// Bytes of a page at most.
const PAGE_BYTES: usize = 1_048_576;
/// Bytes that one FilterLogEvents looks at: then it answers with a token, also when it found nothing.
const SCAN_BYTES: usize = 64 * 1024 * 1024;
/// FilterLogEvents reads backward only from here on: 2024-01-01.
const BACKWARD_SINCE: Timestamp = Timestamp(1_704_067_200_000);

impl Handle<ops::GetLogEvents> for Observe {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: logs::GetLogEventsRequest,
        _: Body,
    ) -> Result<Answer<logs::GetLogEventsResponse>, Fault> {
        let name = either(&context, input.log_group_name.clone(), input.log_group_identifier.clone())?;
        self.read(move |room| room.get_events(&name, &input)).await.map(Answer::from)
    }
}

impl Handle<ops::FilterLogEvents> for Observe {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: logs::FilterLogEventsRequest,
        _: Body,
    ) -> Result<Answer<logs::FilterLogEventsResponse>, Fault> {
        let name = either(&context, input.log_group_name.clone(), input.log_group_identifier.clone())?;
        if input.log_stream_names.is_some() && input.log_stream_name_prefix.is_some() {
            return Err(faults::invalid("logStreamNamePrefix and logStreamNames are mutually exclusive parameters."));
        }
        let backward = input.start_from_head == Some(false);
        if backward && input.start_time.is_some_and(|start| start < BACKWARD_SINCE.0) {
            return Err(faults::invalid("startFromHead false needs a startTime on or after Jan 1, 2024 00:00:00 UTC."));
        }
        let pattern = Pattern::parse(input.filter_pattern.as_deref().unwrap_or_default());
        let pattern = pattern.map_err(|wrong| faults::invalid(wrong.message("filter")))?;
        self.read(move |room| room.filter_events(&name, &input, &pattern)).await.map(Answer::from)
    }
}

fn limit(asked: Option<i64>) -> usize {
    usize::try_from(asked.unwrap_or(LIMIT).clamp(1, LIMIT)).unwrap_or(1)
}

impl Observe {
    fn get_events(
        &self,
        name: &GroupName,
        input: &logs::GetLogEventsRequest,
    ) -> Result<logs::GetLogEventsResponse, Fault> {
        let group = self.group(name)?;
        let view = self.kv.snapshot()?;
        let stream =
            state::find_stream(&*view, group.generation, input.log_stream_name.as_deref().unwrap_or_default())?;
        let stream = stream.ok_or_else(faults::no_stream)?;
        let start_ms = input.start_time.unwrap_or(0).max(group.expired_before(self.clocks.product().0));
        let mut window =
            Window { from: Place::before(start_ms), to: Place::before(input.end_time.unwrap_or(i64::MAX)) };
        let given =
            input.next_token.as_deref().map(|text| token::read(text).ok_or_else(faults::bad_token)).transpose()?;
        let way = match given {
            Some((Way::Forward, place)) => {
                window.from = window.from.max(place);
                Way::Forward
            }
            Some((Way::Backward, place)) => {
                window.to = window.to.min(place);
                Way::Backward
            }
            None if input.start_from_head == Some(true) => Way::Forward,
            None => Way::Backward,
        };
        let mut scan = Scan::new(&*view, group.generation, stream.id, window, way, None);
        let mut events: Vec<Event> = Vec::new();
        let mut bytes = 0;
        let limit = limit(input.limit);
        while events.len() < limit {
            let Some(event) = scan.next()? else { break };
            bytes += event.message.len() + EVENT_OVERHEAD;
            if bytes > PAGE_BYTES && !events.is_empty() {
                break;
            }
            events.push(event);
        }
        if way == Way::Backward {
            events.reverse();
        }
        // Nothing there: both tokens stay where the reader stands, so that what comes later is found.
        let stands = given.map_or(window.from, |(_, place)| place);
        let (before, after) = match (events.first(), events.last()) {
            (Some(first), Some(last)) => {
                (Place { at_ms: first.at_ms, seq: first.seq }, Place { at_ms: last.at_ms, seq: last.seq + 1 })
            }
            _ => (stands, stands),
        };
        let shown = events.iter().map(|event| logs::OutputLogEvent {
            timestamp: Some(event.at_ms),
            message: Some(event.text().into_owned()),
            ingestion_time: Some(event.ingested_ms),
        });
        Ok(logs::GetLogEventsResponse {
            events: Some(shown.collect()),
            next_forward_token: Some(token::print(Way::Forward, after)),
            next_backward_token: Some(token::print(Way::Backward, before)),
        })
    }

    fn filter_events(
        &self,
        name: &GroupName,
        input: &logs::FilterLogEventsRequest,
        pattern: &Pattern,
    ) -> Result<logs::FilterLogEventsResponse, Fault> {
        let group = self.group(name)?;
        let given = input.next_token.as_deref();
        let given = given.map(|text| token::read_group(text).ok_or_else(faults::bad_token)).transpose()?;
        let asked = if input.start_from_head == Some(false) { Way::Backward } else { Way::Forward };
        let way = given.map_or(asked, |(way, _)| way);
        let start_ms = input.start_time.unwrap_or(0).max(group.expired_before(self.clocks.product().0));
        // Unlike GetLogEvents' the end is included.
        let end_ms = input.end_time.map_or(i64::MAX, |end| end.saturating_add(1));
        let window = move |stream: u64| {
            let (mut from, mut to) = (Place::before(start_ms), Place::before(end_ms));
            match given {
                Some((Way::Forward, place)) => from = from.max(place.within(stream)),
                Some((Way::Backward, place)) => to = to.min(place.within(stream)),
                None => {}
            }
            Window { from, to }
        };
        let sources = self.sources(group.generation, input)?;
        let view = self.kv.snapshot()?;
        let mut merge = Merge::new(&*view, group.generation, sources, window, way, Some(pattern));
        let mut events = Vec::new();
        let mut bytes = 0;
        let limit = limit(input.limit);
        let begun = merge.stands();
        let mut next = begun;
        // However little a page may hold, it comes further.
        while next.is_some()
            && (next == begun || events.len() < limit && bytes < PAGE_BYTES && merge.read_bytes <= SCAN_BYTES)
        {
            if let Some((stream, place, event)) = merge.step()? {
                bytes += event.message.len() + EVENT_OVERHEAD;
                events.push(show(stream, place.stream, &event));
            }
            next = merge.stands();
        }
        // A place is a bound before its event: backward the next event must still be inside.
        let next = next.map(|place| match way {
            Way::Forward => place,
            Way::Backward => GroupPlace { seq: place.seq.saturating_add(1), ..place },
        });
        Ok(logs::FilterLogEventsResponse {
            events: Some(events),
            // As on AWS since 2020: always empty.
            searched_log_streams: Some(Vec::new()),
            next_token: next.map(|place| token::print_group(way, place)),
        })
    }

    /// The streams a search is about.
    fn sources(&self, generation: u64, input: &logs::FilterLogEventsRequest) -> Result<Vec<Source>, Fault> {
        let mut sources = Vec::new();
        match &input.log_stream_names {
            Some(names) => {
                let view = self.kv.snapshot()?;
                for name in names {
                    let stream = state::find_stream(&*view, generation, name)?.ok_or_else(faults::no_stream)?;
                    sources.push(Source { name: name.clone(), stream });
                }
                // A name given twice is one stream.
                sources.sort_by(|a, b| a.name.cmp(&b.name));
                sources.dedup_by(|a, b| a.name == b.name);
            }
            None => {
                let prefix = input.log_stream_name_prefix.as_deref().unwrap_or_default();
                self.each_stream(generation, prefix, |name, stream| sources.push(Source { name, stream }))?;
            }
        }
        Ok(sources)
    }
}

/// An event's id.
pub(crate) fn event_id(at_ms: i64, stream: u64, seq: u64) -> String {
    format!("{at_ms:020}{stream:020}{seq:016}")
}

fn show(stream: &str, stream_id: u64, event: &Event) -> logs::FilteredLogEvent {
    logs::FilteredLogEvent {
        log_stream_name: Some(stream.to_owned()),
        timestamp: Some(event.at_ms),
        message: Some(event.text().into_owned()),
        ingestion_time: Some(event.ingested_ms),
        // Unique within the group and in the order of time, 56 digits as AWS's.
        event_id: Some(event_id(event.at_ms, stream_id, event.seq)),
    }
}

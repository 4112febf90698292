//! Log streams.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::logs::{self, ops};
use store::{Batch, Key, Range, Space, transact_with};
use wire::Unit;

use super::groups::PAGE;
use super::{either, own};
use crate::Observe;
use crate::faults;
use crate::rules::token;
use crate::state::{self, GroupName};
use crate::types::{Group, Stream};

/// Rows read at a time.
const FETCH: usize = 500;

impl Handle<ops::CreateLogStream> for Observe {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: logs::CreateLogStreamRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let group = input.log_group_name.unwrap_or_default();
        super::not_the_audit_log(&group)?;
        self.queue.flush().await;
        let name = own(&context, group);
        let group = self.group(&name)?;
        let fresh = Stream::new(self.random(), self.clocks.product().0);
        let group_row = name.row();
        let row = state::stream(group.generation, &input.log_stream_name.unwrap_or_default());
        let keys = vec![Key::new(Space::Control, group_row.clone()), Key::new(Space::Log, row.clone())];
        transact_with(&*self.kv, keys, move |rows| {
            still(rows.json(Space::Control, &group_row)?, group.generation)?;
            if rows.get(Space::Log, &row).is_some() {
                return Err(faults::stream_exists());
            }
            let mut batch = Batch::new();
            batch.put_json(Space::Log, row.clone(), &fresh)?;
            Ok((batch, ()))
        })
        .await?;
        Ok(Unit.into())
    }
}

/// The group as it was looked up; one deleted meanwhile is not found.
fn still(group: Option<Group>, generation: u64) -> Result<Group, Fault> {
    group.filter(|group| group.generation == generation).ok_or_else(faults::no_group)
}

impl Handle<ops::DeleteLogStream> for Observe {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: logs::DeleteLogStreamRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        self.queue.flush().await;
        let name = own(&context, input.log_group_name.unwrap_or_default());
        let generation = self.group(&name)?.generation;
        let group_row = name.row();
        let row = state::stream(generation, &input.log_stream_name.unwrap_or_default());
        let keys = vec![Key::new(Space::Control, group_row.clone()), Key::new(Space::Log, row.clone())];
        transact_with(&*self.kv, keys, move |rows| {
            if still(rows.json(Space::Control, &group_row)?, generation)?.protected {
                return Err(logs::validation_exception("The log group has deletion protection enabled."));
            }
            let stream: Stream = rows.json(Space::Log, &row)?.ok_or_else(faults::no_stream)?;
            let mut batch = Batch::new();
            batch.delete(Space::Log, row.clone());
            batch.drop_generation(Space::Log, state::chunks(generation, stream.id));
            Ok((batch, ()))
        })
        .await?;
        Ok(Unit.into())
    }
}

impl Handle<ops::DescribeLogStreams> for Observe {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: logs::DescribeLogStreamsRequest,
        _: Body,
    ) -> Result<Answer<logs::DescribeLogStreamsResponse>, Fault> {
        let name = either(&context, input.log_group_name.clone(), input.log_group_identifier.clone())?;
        let by_time = input.order_by.as_deref() == Some("LastEventTime");
        if by_time && input.log_stream_name_prefix.is_some() {
            return Err(faults::invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
        }
        let answer = self
            .read(
                move |room| {
                    if by_time { room.streams_by_time(&name, &input) } else { room.streams_by_name(&name, &input) }
                },
            )
            .await?;
        Ok(answer.into())
    }
}

impl Observe {
    fn streams_by_name(
        &self,
        name: &GroupName,
        input: &logs::DescribeLogStreamsRequest,
    ) -> Result<logs::DescribeLogStreamsResponse, Fault> {
        let generation = self.group(name)?.generation;
        let limit = usize::try_from(input.limit.unwrap_or(PAGE)).unwrap_or(1);
        let descending = input.descending.unwrap_or(false);
        let mut range =
            Range::prefix(state::stream(generation, input.log_stream_name_prefix.as_deref().unwrap_or_default()));
        if let Some(text) = &input.next_token {
            let place = state::stream(generation, &token::read_name(text).ok_or_else(faults::bad_token)?);
            range = if descending { range.before(place) } else { range.after(place) };
        }
        let mut rows = self.kv.range(Space::Log, range, limit + 1, descending)?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let shown = rows.iter().map(|(row, value)| Ok(show(name, &stream_name(row), &state::parse(row, value)?)));
        let shown: Vec<_> = shown.collect::<Result<_, Fault>>()?;
        let next_token = rows.last().filter(|_| more).map(|(row, _)| token::print_name(&stream_name(row)));
        Ok(logs::DescribeLogStreamsResponse { log_streams: Some(shown), next_token })
    }

    fn streams_by_time(
        &self,
        name: &GroupName,
        input: &logs::DescribeLogStreamsRequest,
    ) -> Result<logs::DescribeLogStreamsResponse, Fault> {
        let generation = self.group(name)?.generation;
        let limit = usize::try_from(input.limit.unwrap_or(PAGE)).unwrap_or(1);
        let mut all = Vec::new();
        self.each_stream(generation, "", |stream_name, stream| {
            // A stream without events comes before all others.
            all.push((stream.last_ms.unwrap_or(i64::MIN), stream_name, stream));
        })?;
        all.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        if input.descending.unwrap_or(false) {
            all.reverse();
        }
        if let Some(text) = &input.next_token {
            let place = token::read_name(text).ok_or_else(faults::bad_token)?;
            let (last_ms, last_name) = place.split_once(' ').ok_or_else(faults::bad_token)?;
            let last = (last_ms.parse::<i64>().map_err(|_| faults::bad_token())?, last_name);
            let descending = input.descending.unwrap_or(false);
            all.retain(|(ms, stream_name, _)| {
                let here = (*ms, stream_name.as_str());
                if descending { here < last } else { here > last }
            });
        }
        let more = all.len() > limit;
        all.truncate(limit);
        let last = all.last().filter(|_| more);
        let next_token = last.map(|(ms, stream_name, _)| token::print_name(&format!("{ms} {stream_name}")));
        let shown = all.iter().map(|(_, stream_name, stream)| show(name, stream_name, stream)).collect();
        Ok(logs::DescribeLogStreamsResponse { log_streams: Some(shown), next_token })
    }

    /// Every stream of a group whose name begins with `prefix`, by name.
    pub(super) fn each_stream(
        &self,
        generation: u64,
        prefix: &str,
        mut each: impl FnMut(String, Stream),
    ) -> Result<(), Fault> {
        let mut range = Range::prefix(state::stream(generation, prefix));
        loop {
            let rows = self.kv.range(Space::Log, range.clone(), FETCH, false)?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            range = range.after(last.clone());
            for (row, value) in &rows {
                each(stream_name(row), state::parse(row, value)?);
            }
        }
    }
}

/// The name in a stream's row: what follows the generation and the letter.
fn stream_name(row: &[u8]) -> String {
    String::from_utf8_lossy(row.get(9..).unwrap_or_default()).into_owned()
}

fn show(group: &GroupName, name: &str, stream: &Stream) -> logs::LogStream {
    logs::LogStream {
        log_stream_name: Some(name.to_owned()),
        creation_time: Some(stream.created_ms),
        first_event_timestamp: stream.first_ms,
        last_event_timestamp: stream.last_ms,
        last_ingestion_time: stream.ingested_ms,
        upload_sequence_token: Some(sequence_token(stream)),
        arn: Some(format!("{}:log-stream:{name}", group.arn())),
        // As on AWS since 2019: counted for groups only.
        stored_bytes: Some(0),
    }
}

/// The token PutLogEvents once asked for; nobody needs it any more.
pub(super) fn sequence_token(stream: &Stream) -> String {
    format!("{:020}{:036}", stream.id, stream.next_seq)
}

//! Takes away events whose time is over. Reads leave them out before that already.

use base::{Fault, Timestamp, Turn};
use bytes::Bytes;
use store::{Batch, Key, Kv, Range, Space, transact_with};
use tokio::sync::{Notify, watch};

use crate::engine::Observe;
use crate::rules::chunk;
use crate::state;
use crate::types::{DAY_MS, Group, Stream};

/// At most one sweep in this time, product clock.
const SWEEP_MS: i64 = 3_600_000;
/// Chunks taken away in one transaction.
const CHUNKS: usize = 256;
/// Rows read at a time.
const PAGE: usize = 500;

/// The groups whose logs functions write, and whose oldest events go first when room is short.
const OF_FUNCTIONS: &str = "/aws/lambda/";

/// Sweeps when something is due, and makes room when `lows` changes, until `stop` is rung.
pub(crate) async fn run(observe: &Observe, stop: &Notify, mut lows: Option<watch::Receiver<u64>>) {
    let mut turn = observe.clocks.turn();
    loop {
        turn = turn.called("the retention of log groups");
        // Lines of this moment are on their way still: what they change of what is due must count.
        tokio::select! {
            () = observe.queue.flush() => {}
            () = stop.notified() => return,
        }
        let due = sweep(observe).await.unwrap_or_else(|fault| {
            tracing::error!(%fault, "expired log events could not be removed");
            Some(observe.clocks.product().plus_ms(SWEEP_MS))
        });
        let reached = due.map(|due| observe.clocks.product_reaches(due));
        drop(turn);
        let wake = async {
            match reached {
                Some(reached) => reached.await,
                // No group has a retention policy: nothing will ever be due.
                None => std::future::pending().await,
            }
        };
        let low = async {
            let changed = match &mut lows {
                Some(lows) => lows.changed().await.is_ok(),
                None => false,
            };
            if !changed {
                // Nobody watches the disk, or no longer.
                std::future::pending().await
            }
        };
        turn = tokio::select! {
            turn = wake => turn,
            () = low => {
                make_room(observe).await.unwrap_or_else(|fault| {
                    tracing::error!(%fault, "old log events could not be removed to make room");
                });
                Turn::default()
            }
            turn = observe.retention.heard() => turn,
            () = stop.notified() => return,
        };
    }
}

/// Takes away the older half of the time that the logs of functions span.
async fn make_room(observe: &Observe) -> Result<(), Fault> {
    let now_ms = observe.clocks.product().0;
    let groups = of_functions(&*observe.kv)?;
    let mut first_ms: Option<i64> = None;
    for (_, group) in &groups {
        let first = earliest(&*observe.kv, group)?;
        first_ms = [first_ms, first].into_iter().flatten().min();
    }
    let Some(first_ms) = first_ms else { return Ok(()) };
    let before_ms = first_ms + (now_ms - first_ms).max(0) / 2 + 1;
    tracing::warn!(before_ms, "the disk is nearly full: older logs of functions are removed");
    for (row, group) in &groups {
        sweep_group(&*observe.kv, row, group, before_ms).await?;
    }
    Ok(())
}

/// The groups of functions, with their rows.
fn of_functions(kv: &dyn Kv) -> Result<Vec<(Bytes, Group)>, Fault> {
    let mut groups = Vec::new();
    let mut range = Range::prefix(state::GROUPS);
    loop {
        let rows = kv.range(Space::Control, range.clone(), PAGE, false)?;
        let Some((last, _)) = rows.last() else { return Ok(groups) };
        range = range.after(last.clone());
        for (row, value) in rows {
            // `logs/group/<account>/<region>/<name>`
            let name = row.splitn(5, |byte| *byte == b'/').nth(4).unwrap_or_default();
            if name.starts_with(OF_FUNCTIONS.as_bytes()) {
                let group = state::parse(&row, &value)?;
                groups.push((row, group));
            }
        }
    }
}

/// The first moment of a group's events.
fn earliest(kv: &dyn Kv, group: &Group) -> Result<Option<i64>, Fault> {
    let mut first_ms: Option<i64> = None;
    let mut range = Range::prefix(state::streams(group.generation));
    loop {
        let rows = kv.range(Space::Log, range.clone(), PAGE, false)?;
        let Some((last, _)) = rows.last() else { return Ok(first_ms) };
        range = range.after(last.clone());
        for (row, value) in rows {
            let stream: Stream = state::parse(&row, &value)?;
            first_ms = [first_ms, stream.first_ms].into_iter().flatten().min();
        }
    }
}

/// Takes away what is expired; gives when to look again.
async fn sweep(observe: &Observe) -> Result<Option<Timestamp>, Fault> {
    let now_ms = observe.clocks.product().0;
    let mut due: Option<i64> = None;
    let mut range = Range::prefix(state::GROUPS);
    loop {
        let rows = observe.kv.range(Space::Control, range.clone(), PAGE, false)?;
        let Some((last, _)) = rows.last() else { break };
        range = range.after(last.clone());
        for (row, value) in rows {
            let group: Group = state::parse(&row, &value)?;
            let Some(days) = group.retention_days else { continue };
            let first_ms = sweep_group(&*observe.kv, &row, &group, group.expired_before(now_ms)).await?;
            // Without events look once a day: one may come in that is old already.
            let next = first_ms.map_or(now_ms + DAY_MS, |first_ms| first_ms + days * DAY_MS + 1).min(now_ms + DAY_MS);
            due = Some(due.map_or(next, |due| due.min(next)));
        }
    }
    Ok(due.map(|due| Timestamp(due.max(now_ms + SWEEP_MS))))
}

/// Sweeps one group; gives its earliest event left.
async fn sweep_group(kv: &dyn Kv, row: &[u8], group: &Group, before_ms: i64) -> Result<Option<i64>, Fault> {
    let mut earliest: Option<i64> = None;
    let prefix = state::streams(group.generation);
    let mut range = Range::prefix(prefix);
    loop {
        let rows = kv.range(Space::Log, range.clone(), PAGE, false)?;
        let Some((last, _)) = rows.last() else { return Ok(earliest) };
        range = range.after(last.clone());
        for (stream_row, value) in rows {
            let stream: Stream = state::parse(&stream_row, &value)?;
            let mut first = stream.first_ms;
            while first.is_some_and(|first| first < before_ms) {
                let step = Step { row, stream_row: &stream_row, group, stream: &stream, before_ms };
                let (now_first, more) = sweep_stream(kv, step).await?;
                first = now_first;
                if !more {
                    break;
                }
            }
            earliest = [earliest, first].into_iter().flatten().min();
        }
    }
}

/// What one transaction of the sweep is about.
struct Step<'a> {
    row: &'a [u8],
    stream_row: &'a [u8],
    group: &'a Group,
    stream: &'a Stream,
    before_ms: i64,
}

/// Takes some chunks of a stream away; gives its first moment then, and whether there is more to take.
async fn sweep_stream(kv: &dyn Kv, step: Step<'_>) -> Result<(Option<i64>, bool), Fault> {
    let Step { row, stream_row, group, stream, before_ms } = step;
    let generation = group.generation;
    let chunks = kv.range(Space::Log, Range::prefix(state::chunks(generation, stream.id)), CHUNKS, false)?;
    let over = |value: &[u8]| chunk::head(value).filter(|head| head.last_ms < before_ms);
    let gone: Vec<_> = chunks.iter().filter_map(|(row, value)| Some((row.clone(), over(value)?))).collect();
    let left = chunks.iter().find(|(_, value)| over(value).is_none());
    let more = left.is_none() && chunks.len() == CHUNKS;
    // While there is more to look at, the stream begins no earlier than what was looked at.
    let shown = if more { chunks.last() } else { left };
    let first_ms = shown.and_then(|(row, _)| state::chunk_place(row)).map(|place| place.at_ms.max(before_ms));
    let bytes: u64 = gone.iter().map(|(_, head)| u64::from(head.stored_bytes)).sum();
    let (row, stream_row, stored) = (row.to_vec(), stream_row.to_vec(), state::stored(generation));
    let keys = vec![
        Key::new(Space::Control, row.clone()),
        Key::new(Space::Log, stream_row.clone()),
        Key::new(Space::Log, stored.clone()),
    ];
    transact_with(kv, keys, move |rows| {
        let mut batch = Batch::new();
        let group: Option<Group> = rows.json(Space::Control, &row)?;
        let stream: Option<Stream> = rows.json(Space::Log, &stream_row)?;
        // Deleted meanwhile: its rows go with it.
        let (Some(_), Some(mut stream)) = (group.filter(|group| group.generation == generation), stream) else {
            return Ok((batch, ()));
        };
        for (row, _) in &gone {
            batch.delete(Space::Log, row.clone());
        }
        let before = state::number(rows.get(Space::Log, &stored).as_deref());
        batch.put(Space::Log, stored.clone(), before.saturating_sub(bytes).to_be_bytes().to_vec());
        // What came in since the look began is no earlier than `before_ms`: nothing expired is taken in.
        stream.first_ms = first_ms.or_else(|| stream.last_ms.filter(|last| *last >= before_ms).map(|_| before_ms));
        if stream.first_ms.is_none() {
            stream.last_ms = None;
        }
        batch.put_json(Space::Log, stream_row.clone(), &stream)?;
        Ok((batch, ()))
    })
    .await?;
    Ok((first_ms, more))
}

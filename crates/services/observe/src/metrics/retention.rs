//! Rolls old periods up into longer ones, and takes away what is older than anything is kept.

use base::{Fault, Timestamp};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use store::{Batch, Key, Kv, Range, Space, transact_with};
use tokio::sync::Notify;

use super::cell::Cell;
use super::rows::{self, Entry, Id, Tier};
use crate::engine::Observe;
use crate::state;

/// At most one sweep in this time, product clock.
const SWEEP_S: i64 = 3600;
/// At least one in this time, once there are metrics: late values may be old already.
const DAY_S: i64 = 86_400;
/// Periods rolled up in one transaction.
const AT_ONCE: usize = 256;
/// Rows of the directory read at a time.
const PAGE: usize = 500;

/// Sweeps when something is due, until `stop` is rung.
pub(crate) async fn run(observe: &Observe, stop: &Notify) {
    let mut turn = observe.clocks.turn();
    loop {
        turn = turn.called("the rolling up of metrics");
        // Metrics of this moment are on their way still: what they change of what is due must count.
        tokio::select! {
            () = observe.queue.flush() => {}
            () = stop.notified() => return,
        }
        // Before the look: a first metric that comes in meanwhile is told of.
        observe.no_metrics.store(true, Ordering::SeqCst);
        let now = observe.clocks.product();
        let due = sweep(&*observe.kv, now.0.div_euclid(1000)).await.unwrap_or_else(|fault| {
            tracing::error!(%fault, "old metrics could not be rolled up");
            Some(now.0.div_euclid(1000) + SWEEP_S)
        });
        if due.is_some() {
            observe.no_metrics.store(false, Ordering::SeqCst);
        }
        let reached = due.map(|due_s| observe.clocks.product_reaches(Timestamp(due_s * 1000)));
        drop(turn);
        let wake = async {
            match reached {
                Some(reached) => reached.await,
                // There are no metrics: whoever stores the first rings.
                None => std::future::pending().await,
            }
        };
        turn = tokio::select! {
            turn = wake => turn,
            turn = observe.first_metric.heard() => turn,
            () = stop.notified() => return,
        };
    }
}

/// Goes over every series; gives the second at which to look again.
async fn sweep(kv: &dyn Kv, now_s: i64) -> Result<Option<i64>, Fault> {
    let mut due: Option<i64> = None;
    let mut range = Range::prefix(rows::DIRECTORY);
    loop {
        let found = kv.range(Space::Usage, range.clone(), PAGE, false)?;
        let Some((last, _)) = found.last() else { break };
        range = range.after(last.clone());
        for (row, value) in &found {
            // There may be very many: whoever else wants this thread gets it in between.
            tokio::task::yield_now().await;
            let entry: Entry = state::parse(row, value)?;
            let Some(series) = rows::series(row, &entry) else { continue };
            let id = series.id();
            let mut first: Option<i64> = None;
            for tier in Tier::ALL {
                let next = sweep_tier(kv, id, tier, now_s).await?;
                first = [first, next].into_iter().flatten().min();
            }
            if first.is_none() && entry.seen_ms.div_euclid(1000) < now_s - Tier::Hour.kept_s() {
                forget(kv, row.clone(), entry).await?;
                continue;
            }
            let next = first.unwrap_or(now_s + DAY_S).clamp(now_s + SWEEP_S, now_s + DAY_S);
            due = Some(due.map_or(next, |due| due.min(next)));
        }
    }
    Ok(due)
}

/// Takes a series out of the directory, if nothing came in since.
async fn forget(kv: &dyn Kv, row: Bytes, entry: Entry) -> Result<(), Fault> {
    transact_with(kv, vec![Key::new(Space::Usage, row.clone())], move |rows| {
        let mut batch = Batch::new();
        let now: Option<Entry> = rows.json(Space::Usage, &row)?;
        if now.is_some_and(|now| now.seen_ms == entry.seen_ms) {
            batch.delete(Space::Usage, row.clone());
        }
        Ok((batch, ()))
    })
    .await?;
    Ok(())
}

/// Rolls up what is over in one tier; gives the second at which its first period will be over.
async fn sweep_tier(kv: &dyn Kv, id: Id, tier: Tier, now_s: i64) -> Result<Option<i64>, Fault> {
    loop {
        let found = kv.range(Space::Usage, Range::prefix(id.tier(tier)), AT_ONCE, false)?;
        let mut over: Vec<(Bytes, Option<Bytes>)> = Vec::new();
        for (row, _) in &found {
            let Some((second, unit)) = rows::place(row) else { continue };
            if now_s - second <= tier.kept_s() {
                break;
            }
            let into = tier.next().map(|next| id.cell(next, second - second.rem_euclid(next.period_s()), unit));
            over.push((row.clone(), into));
        }
        if over.is_empty() {
            let first = found.first().and_then(|(row, _)| rows::place(row));
            return Ok(first.map(|(second, _)| second + tier.kept_s() + 1));
        }
        roll_up(kv, over).await?;
    }
}

/// One transaction: each period goes, and what it saw is in the longer one.
async fn roll_up(kv: &dyn Kv, over: Vec<(Bytes, Option<Bytes>)>) -> Result<(), Fault> {
    let both = over.iter().flat_map(|(row, into)| std::iter::once(row).chain(into));
    let keys = both.map(|row| Key::new(Space::Usage, row.clone())).collect();
    transact_with(kv, keys, move |rows| {
        let mut batch = Batch::new();
        let mut longer: BTreeMap<Bytes, Cell> = BTreeMap::new();
        for (row, into) in &over {
            batch.delete(Space::Usage, row.clone());
            let (Some(value), Some(into)) = (rows.get(Space::Usage, row), into) else { continue };
            let cell = Cell::decode(&value)?;
            match longer.get_mut(into) {
                Some(there) => there.merge(&cell),
                None => {
                    let mut there = cell;
                    if let Some(stored) = rows.get(Space::Usage, into) {
                        there.merge(&Cell::decode(&stored)?);
                    }
                    longer.insert(into.clone(), there);
                }
            }
        }
        for (row, cell) in longer {
            batch.put(Space::Usage, row, cell.encode());
        }
        Ok((batch, ()))
    })
    .await?;
    Ok(())
}

//! What is kept ready: a row for each function version with provisioned concurrency, from which what it costs follows.
//!
//! `ready/ARN` says since when, how much memory, and up to when it is counted into the rows of use. It is counted when the
//! memory changes or nothing is kept ready any more; whoever reads the use before that adds what is still to be counted. So
//! nothing ticks. Only the writer changes these rows.
//!
//! Source: AWS Lambda Pricing, "Provisioned Concurrency": "from the time you enable it on your function until it is disabled,
//! rounded up to the nearest five minutes".

use std::collections::{BTreeMap, HashMap};

use base::{Account, Fault, KeptReady, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Kv, Range, Snapshot, Space, transact_with};

use super::{PAGE, Whose, added, keys_of};
use crate::types::{DAY_MS, Used};

const PREFIX: &str = "ready/";
/// To how much the time is rounded up.
const STEP_MS: i64 = 300_000;

/// News of what is kept ready: see [`base::Meter::kept_ready`].
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) function_arn: Option<String>,
    pub(crate) all: Vec<KeptReady>,
    pub(crate) at: Timestamp,
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Ready {
    since_ms: i64,
    counted_ms: i64,
    memory_mb: u64,
    arm: bool,
}

impl Ready {
    /// What is kept ready from a moment on.
    fn new(kept: &KeptReady, at: Timestamp) -> Self {
        Self { since_ms: at.0, counted_ms: at.0, memory_mb: kept.memory_mb, arm: kept.arm }
    }

    /// Up to when it costs if it ends at a moment.
    fn end_ms(&self, at: Timestamp) -> i64 {
        let took = (at.0 - self.since_ms).max(0);
        let steps = took / STEP_MS + i64::from(took % STEP_MS > 0);
        self.since_ms.saturating_add(steps.saturating_mul(STEP_MS))
    }

    /// What it costs from where it is counted up to `end_ms`, by day.
    fn count(&self, arn: &str, end_ms: i64, mut add: impl FnMut(Whose, Used)) {
        let mut parts = arn.split(':').skip(3);
        let (region, account) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let Ok(account) = account.parse::<Account>() else { return };
        let mut from = self.counted_ms;
        while from < end_ms {
            let until = (from - from.rem_euclid(DAY_MS) + DAY_MS).min(end_ms);
            let provisioned_mb_ms = (until - from).unsigned_abs().saturating_mul(self.memory_mb);
            let arm_provisioned_mb_ms = if self.arm { provisioned_mb_ms } else { 0 };
            let used = Used { provisioned_mb_ms, arm_provisioned_mb_ms, ..Used::default() };
            add(Whose::of(account, region, arn, Timestamp(from)), used);
            from = until;
        }
    }
}

fn each(view: &dyn Snapshot, prefix: &str, mut each: impl FnMut(&str, Ready)) -> Result<(), Fault> {
    let mut range = Range::prefix(prefix.to_owned());
    loop {
        let rows = view.range(Space::Usage, range.clone(), PAGE, false)?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        range = range.after(last.clone());
        for (key, value) in rows {
            let text = String::from_utf8_lossy(&key);
            each(text.strip_prefix(PREFIX).unwrap_or_default(), crate::state::parse(&key, &value)?);
        }
    }
}

/// What is kept ready costs and is not counted yet, as if it ended now.
pub(super) fn each_open(view: &dyn Snapshot, now: Timestamp, mut add: impl FnMut(&Whose, Used)) -> Result<(), Fault> {
    each(view, PREFIX, |arn, ready| ready.count(arn, ready.end_ms(now), |whose, used| add(&whose, used)))
}

/// Counts what ends or changes, and writes what is kept ready from now on, in one transaction.
pub(crate) async fn change(kv: &dyn Kv, change: &Change) -> Result<(), Fault> {
    let at = change.at;
    let prefix = change.function_arn.as_ref().map_or(PREFIX.to_owned(), |arn| format!("{PREFIX}{arn}:"));
    let mut begins: BTreeMap<&str, &KeptReady> = change.all.iter().map(|kept| (&*kept.function_arn, kept)).collect();
    let mut after: BTreeMap<String, Option<Ready>> = BTreeMap::new();
    let mut used: HashMap<Whose, Used> = HashMap::new();
    each(&*kv.snapshot()?, &prefix, |arn, ready| {
        let mut add = |whose, more: Used| used.entry(whose).or_default().add(&more);
        match begins.remove(arn) {
            // The clock went back, which would cost nothing until it is where it was.
            Some(kept) if ready.since_ms > at.0 => drop(after.insert(arn.to_owned(), Some(Ready::new(kept, at)))),
            Some(kept) if kept.memory_mb == ready.memory_mb && kept.arm == ready.arm => {}
            Some(kept) => {
                ready.count(arn, at.0, &mut add);
                let counted_ms = ready.counted_ms.max(at.0);
                let next = Ready { counted_ms, memory_mb: kept.memory_mb, arm: kept.arm, ..ready };
                after.insert(arn.to_owned(), Some(next));
            }
            None => {
                ready.count(arn, ready.end_ms(at), &mut add);
                after.insert(arn.to_owned(), None);
            }
        }
    })?;
    after.extend(begins.into_iter().map(|(arn, kept)| (arn.to_owned(), Some(Ready::new(kept, at)))));
    if after.is_empty() {
        return Ok(());
    }
    transact_with(kv, keys_of(&used), move |rows| {
        let mut batch = added(rows, &used)?;
        for (arn, ready) in &after {
            let key = format!("{PREFIX}{arn}");
            match ready {
                Some(ready) => drop(batch.put_json(Space::Usage, key, ready)?),
                None => drop(batch.delete(Space::Usage, key)),
            }
        }
        Ok((batch, ()))
    })
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_began_before_the_clock_went_back_costs_from_where_it_is_now() {
        let kv = store::memory();
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:f:1";
        let tell = async |at_ms: i64| {
            let kept = KeptReady { function_arn: arn.to_owned(), memory_mb: 128, arm: false };
            let news = Change { function_arn: None, all: vec![kept], at: Timestamp(at_ms) };
            change(&*kv, &news).await.unwrap();
        };
        let costs = |at_ms: i64| {
            let mut sum = 0;
            each_open(&*kv.snapshot().unwrap(), Timestamp(at_ms), |_, used| sum += used.provisioned_mb_ms).unwrap();
            sum / 128
        };
        tell(10 * DAY_MS).await;
        tell(DAY_MS).await;
        assert_eq!(costs(DAY_MS + 1), 300_000);
        // Where the clock did not go back, what goes on is as it was.
        tell(DAY_MS + 400_000).await;
        assert_eq!(costs(DAY_MS + 400_000), 600_000);
    }
}

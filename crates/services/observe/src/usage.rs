//! What was used: a row a function version and day, and receipts that are still to be counted into it.
//!
//! What synchronous invocations use gathers in memory and is stored with the log lines. What asynchronous ones use comes as
//! receipts, rows that were written in the transaction that ended their event; they are counted and taken away in one
//! transaction, so that each counts once, whatever dies in between.

pub(crate) mod ready;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use base::{Account, Fault, Invoked, Receipt, StartKind, Timestamp};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use store::{Batch, Key, Kv, Range, Rows, Snapshot, Space, transact_with};

use crate::engine::Observe;
use crate::types::{UsageRow, Used};

/// The prefix of receipts. Rows of use begin with the digits of an account.
const RECEIPTS: &str = "receipt/";
/// Receipts counted in one transaction.
const AT_ONCE: usize = 256;
/// MiB of `/tmp` that cost nothing.
const FREE_TMP_MB: u32 = 512;

/// Whose use, and on which day. The text is the row's key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Whose(String);

impl Whose {
    pub(crate) fn of(account: Account, region: &str, function_arn: &str, at: Timestamp) -> Self {
        let (year, month, day, ..) = at.civil();
        Self(format!("{account}/{year:04}-{month:02}-{day:02}/{region}/{function_arn}"))
    }

    /// What was used, as a row, if it is this account's in this month.
    fn row_of(&self, account: Account, month: &str, used: Used) -> Option<UsageRow> {
        let mut parts = self.0.splitn(4, '/');
        let (of, day, region, function_arn) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let row =
            || UsageRow { region: region.to_owned(), day: day.to_owned(), function_arn: function_arn.to_owned(), used };
        (of == account.as_str() && day.starts_with(month)).then(row)
    }

    fn of_invocation(row: &Invoked) -> Self {
        Self::of(row.account, row.region.as_str(), &row.function_arn, row.at)
    }
}

/// What one invocation used.
fn of_invocation(row: &Invoked) -> Used {
    let memory_mb = u64::from(row.memory_mb);
    let hundreds_ms = row.phases.handler_us.div_ceil(100_000) * 100;
    let billed_mb_ms = row.billed_ms * memory_mb;
    let covered = |is: bool| if is { billed_mb_ms } else { 0 };
    Used {
        invocations: 1,
        failures: u64::from(row.failed),
        cold_starts: u64::from(row.start == StartKind::Cold),
        throttles: 0,
        billed_ms: row.billed_ms,
        billed_mb_ms,
        arm_billed_mb_ms: if row.arm { billed_mb_ms } else { 0 },
        init_billed_ms: row.billed_ms.saturating_sub(row.phases.handler_us.div_ceil(1000)),
        hundreds_ms,
        hundreds_mb_ms: hundreds_ms * memory_mb,
        cpu_billed_ms: (row.cpu_user_us + row.cpu_system_us).div_ceil(1000),
        tmp_mb_ms: row.billed_ms * u64::from(row.tmp_mb.saturating_sub(FREE_TMP_MB)),
        covered_mb_ms: covered(row.provisioned),
        arm_covered_mb_ms: covered(row.provisioned && row.arm),
        provisioned_mb_ms: 0,
        arm_provisioned_mb_ms: 0,
        streamed_bytes: 0,
        cpu_user_us: row.cpu_user_us,
        cpu_system_us: row.cpu_system_us,
        handler_us: row.phases.handler_us,
        init_us: row.phases.init_us,
        peak_memory_bytes: row.peak_memory_bytes,
    }
}

/// Counts an invocation, unless a receipt does.
pub(crate) fn count(used: &mut HashMap<Whose, Used>, row: &Invoked) {
    if !row.by_receipt {
        used.entry(Whose::of_invocation(row)).or_default().add(&of_invocation(row));
    }
}

/// The rows that [`added`] reads.
fn keys_of(used: &HashMap<Whose, Used>) -> Vec<Key> {
    used.keys().map(|whose| Key::new(Space::Usage, whose.0.clone())).collect()
}

/// The rows with these amounts on top.
fn added(rows: &Rows, used: &HashMap<Whose, Used>) -> Result<Batch, Fault> {
    let mut batch = Batch::new();
    for (whose, more) in used {
        let mut total: Used = rows.json(Space::Usage, whose.0.as_bytes())?.unwrap_or_default();
        total.add(more);
        batch.put_json(Space::Usage, whose.0.clone(), &total)?;
    }
    Ok(batch)
}

/// Adds amounts to what is stored.
pub(crate) async fn add(kv: &dyn Kv, used: HashMap<Whose, Used>) -> Result<(), Fault> {
    if used.is_empty() {
        return Ok(());
    }
    transact_with(kv, keys_of(&used), move |rows| Ok((added(rows, &used)?, ()))).await?;
    Ok(())
}

/// The receipt for one invocation.
pub(crate) fn receipt(row: &Invoked) -> Result<Receipt, Fault> {
    let whose = Whose::of_invocation(row);
    let value = serde_json::to_vec(&(whose, of_invocation(row))).map_err(Fault::internal)?;
    // An event that fails is tried again under the same request, at another time.
    Ok(Receipt { key: format!("{RECEIPTS}{}/{}", row.request, row.at.0).into_bytes(), value })
}

/// Counts every receipt there is, and takes it away in the same transaction.
pub(crate) async fn count_receipts(kv: &dyn Kv) -> Result<(), Fault> {
    loop {
        let found = kv.range(Space::Usage, Range::prefix(RECEIPTS), AT_ONCE, false)?;
        if found.is_empty() {
            return Ok(());
        }
        let mut keys = Vec::new();
        let mut counted: Vec<(Bytes, Option<(Whose, Used)>)> = Vec::new();
        for (key, value) in found {
            keys.push(Key::new(Space::Usage, key.clone()));
            let read = crate::state::parse::<(Whose, Used)>(&key, &value);
            if let Err(error) = &read {
                tracing::error!(%error, "a receipt does not read: what it says was used is not counted");
            }
            let read = read.ok();
            keys.extend(read.iter().map(|(whose, _)| Key::new(Space::Usage, whose.0.clone())));
            counted.push((key, read));
        }
        transact_with(kv, keys, move |rows| {
            let mut batch = Batch::new();
            let mut totals: BTreeMap<&Whose, Used> = BTreeMap::new();
            for (key, read) in &counted {
                // Counted meanwhile: it must not count again.
                if rows.get(Space::Usage, key).is_none() {
                    continue;
                }
                batch.delete(Space::Usage, key.clone());
                let Some((whose, used)) = read else { continue };
                let total = match totals.get_mut(whose) {
                    Some(total) => total,
                    None => {
                        let stored = rows.json(Space::Usage, whose.0.as_bytes())?.unwrap_or_default();
                        totals.entry(whose).or_insert(stored)
                    }
                };
                total.add(used);
            }
            for (whose, total) in totals {
                batch.put_json(Space::Usage, whose.0.clone(), &total)?;
            }
            Ok((batch, ()))
        })
        .await?;
    }
}

/// Rows read at a time.
const PAGE: usize = 500;

impl Observe {
    /// What an account used, by day and function version, days in order; from day `from` (`2026-11-21`) on. Sees every
    /// invocation that was metered before the call, and what provisioned concurrency costs if it ends now.
    ///
    /// # Errors
    /// The store's.
    pub async fn usage(&self, account: Account, from: &str) -> Result<Vec<UsageRow>, Fault> {
        self.queue.flush().await;
        let mut all: BTreeMap<(String, String, String), Used> = BTreeMap::new();
        let mut add = |row: UsageRow| all.entry((row.day, row.region, row.function_arn)).or_default().add(&row.used);
        let range = Range::prefix(format!("{account}/")).starting_at(format!("{account}/{from}"));
        // What ends meanwhile moves from one to the other: it must be seen once.
        let view = self.kv.snapshot()?;
        each(&*view, range, &mut add)?;
        ready::each_open(&*view, self.clocks.product(), |whose, used| {
            let row = whose.row_of(account, "", used).filter(|row| row.day.as_str() >= from);
            row.into_iter().for_each(&mut add);
        })?;
        let row = |((day, region, function_arn), used)| UsageRow { region, day, function_arn, used };
        Ok(all.into_iter().map(row).collect())
    }

    /// What an account used in a month (`2026-11`), a row a function version; the day of each is the month.
    pub(crate) async fn usage_of_month(
        self: &Arc<Self>,
        account: Account,
        month: &str,
    ) -> Result<Vec<UsageRow>, Fault> {
        let (prefix, asked) = (format!("{account}/{month}-"), month.to_owned());
        let sums = self.read(move |observe| {
            let mut sums: BTreeMap<(String, String), Used> = BTreeMap::new();
            let view = observe.kv.snapshot()?;
            each(&*view, Range::prefix(prefix), |row| {
                sums.entry((row.region, row.function_arn)).or_default().add(&row.used);
            })?;
            let now = observe.clocks.product();
            ready::each_open(&*view, now, |whose, used| {
                if let Some(row) = whose.row_of(account, &asked, used) {
                    sums.entry((row.region, row.function_arn)).or_default().add(&row.used);
                }
            })?;
            Ok(sums)
        });
        let sums = sums.await?;
        let rows = sums.into_iter().map(|((region, function_arn), used)| UsageRow {
            region,
            day: month.to_owned(),
            function_arn,
            used,
        });
        Ok(rows.collect())
    }
}

fn each(view: &dyn Snapshot, mut range: Range, mut each: impl FnMut(UsageRow)) -> Result<(), Fault> {
    loop {
        let rows = view.range(Space::Usage, range.clone(), PAGE, false)?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        range = range.after(last.clone());
        for (key, value) in rows {
            let text = String::from_utf8_lossy(&key).into_owned();
            let mut parts = text.splitn(4, '/').skip(1).map(str::to_owned);
            let (day, region, function_arn) = (parts.next(), parts.next(), parts.next());
            each(UsageRow {
                region: region.unwrap_or_default(),
                day: day.unwrap_or_default(),
                function_arn: function_arn.unwrap_or_default(),
                used: crate::state::parse(&key, &value)?,
            });
        }
    }
}

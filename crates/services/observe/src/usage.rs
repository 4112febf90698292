//! What was used: a row a function version and day.

use std::collections::HashMap;

use base::{Account, Fault, Invoked, StartKind, Timestamp};
use store::{Batch, Key, Kv, Range, Space, transact_with};

use crate::engine::Observe;
use crate::types::{UsageRow, Used};

/// Whose use, and on which day. The text is the row's key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Whose(String);

impl Whose {
    pub(crate) fn of(account: Account, region: &str, function_arn: &str, at: Timestamp) -> Self {
        let (year, month, day, ..) = at.civil();
        Self(format!("{account}/{year:04}-{month:02}-{day:02}/{region}/{function_arn}"))
    }
}

/// What one invocation used.
pub(crate) fn of_invocation(row: &Invoked) -> Used {
    Used {
        invocations: 1,
        failures: u64::from(row.failed),
        cold_starts: u64::from(row.start == StartKind::Cold),
        throttles: 0,
        billed_ms: row.billed_ms,
        billed_mb_ms: row.billed_ms * u64::from(row.memory_mb),
        cpu_user_us: row.cpu_user_us,
        cpu_system_us: row.cpu_system_us,
        handler_us: row.phases.handler_us,
        init_us: row.phases.init_us,
        peak_memory_bytes: row.peak_memory_bytes,
    }
}

/// Adds amounts to what is stored.
pub(crate) async fn add(kv: &dyn Kv, used: HashMap<Whose, Used>) -> Result<(), Fault> {
    if used.is_empty() {
        return Ok(());
    }
    let keys = used.keys().map(|whose| Key::new(Space::Usage, whose.0.clone())).collect();
    transact_with(kv, keys, move |rows| {
        let mut batch = Batch::new();
        for (whose, more) in &used {
            let mut total: Used = rows.json(Space::Usage, whose.0.as_bytes())?.unwrap_or_default();
            total.add(more);
            batch.put_json(Space::Usage, whose.0.clone(), &total)?;
        }
        Ok((batch, ()))
    })
    .await?;
    Ok(())
}

/// Rows read at a time.
const PAGE: usize = 500;

impl Observe {
    /// What an account used, by day and function version, days in order; from day `from` (`2026-11-21`) on. Sees every
    /// invocation that was metered before the call.
    ///
    /// # Errors
    /// The store's.
    pub async fn usage(&self, account: Account, from: &str) -> Result<Vec<UsageRow>, Fault> {
        self.queue.flush().await;
        let mut range = Range::prefix(format!("{account}/")).starting_at(format!("{account}/{from}"));
        let mut all = Vec::new();
        loop {
            let rows = self.kv.range(Space::Usage, range.clone(), PAGE, false)?;
            let Some((last, _)) = rows.last() else { return Ok(all) };
            range = range.after(last.clone());
            for (key, value) in rows {
                let text = String::from_utf8_lossy(&key).into_owned();
                let mut parts = text.splitn(4, '/').skip(1).map(str::to_owned);
                let (day, region, function_arn) = (parts.next(), parts.next(), parts.next());
                let used = serde_json::from_slice(&value).map_err(Fault::internal)?;
                all.push(UsageRow {
                    region: region.unwrap_or_default(),
                    day: day.unwrap_or_default(),
                    function_arn: function_arn.unwrap_or_default(),
                    used,
                });
            }
        }
    }
}

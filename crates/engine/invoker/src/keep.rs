//! Keep-alive: ends environments that nobody has used for a while. One entry for each pool with idle environments;
//! nothing ticks when nothing is due.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};

use base::{Clocks, News, Timestamp, Turn};

use crate::pool::Pool;

/// When which pool is to be looked at.
#[derive(Default)]
pub(crate) struct Wheel {
    // Ordered by due time; the number tells entries of one moment apart.
    due: Mutex<Entries>,
    // Told when an earlier entry than all others came.
    sooner: News,
}

#[derive(Default)]
struct Entries {
    by_time: BTreeMap<(Timestamp, u64), Weak<Pool>>,
    next: u64,
}

impl Wheel {
    /// Has `pool` looked at when the product clock reaches `due`.
    pub(crate) fn add(&self, pool: &Arc<Pool>, due: Timestamp, clocks: &dyn Clocks) {
        let mut entries = self.due.lock().expect("no code panics while holding it");
        let key = (due, entries.next);
        entries.next += 1;
        entries.by_time.insert(key, Arc::downgrade(pool));
        let first = entries.by_time.first_key_value().is_some_and(|(first, _)| *first == key);
        drop(entries);
        if first {
            self.sooner.tell(clocks);
        }
    }

    /// Ends environments as they become due. Never returns.
    pub(crate) async fn turn(&self, clocks: &dyn Clocks, keep_alive_ms: u64, max_age_ms: u64) {
        let keep_ms = i64::try_from(keep_alive_ms).unwrap_or(i64::MAX);
        let age_ms = i64::try_from(max_age_ms).unwrap_or(i64::MAX);
        let mut turn = Turn::default();
        loop {
            let reached = self.first().map(|due| clocks.product_reaches(due));
            drop(turn);
            turn = match reached {
                None => self.sooner.heard().await,
                Some(reached) => tokio::select! {
                    turn = reached => {
                        let turn = turn.called("the keep-alive of environments");
                        self.expire(clocks, keep_ms, age_ms);
                        turn
                    }
                    turn = self.sooner.heard() => turn,
                },
            };
        }
    }

    fn first(&self) -> Option<Timestamp> {
        let entries = self.due.lock().expect("no code panics while holding it");
        entries.by_time.first_key_value().map(|((due, _), _)| *due)
    }

    fn expire(&self, clocks: &dyn Clocks, keep_ms: i64, age_ms: i64) {
        let now = clocks.product();
        while let Some(pool) = self.pop(now) {
            let Some(pool) = pool.upgrade() else { continue };
            if let Some(due) = pool.expire(now, keep_ms, age_ms) {
                self.add(&pool, due, clocks);
            }
        }
    }

    fn pop(&self, now: Timestamp) -> Option<Weak<Pool>> {
        let mut entries = self.due.lock().expect("no code panics while holding it");
        let first = entries.by_time.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

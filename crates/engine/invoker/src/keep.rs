//! Keep-alive: ends environments that nobody has used for a while. One entry for each pool with idle environments;
//! nothing ticks when nothing is due.

use std::sync::Arc;

use base::{Clocks, News, Timestamp, Turn};

use crate::due::Due;
use crate::pool::Pool;

/// When which pool is to be looked at.
#[derive(Default)]
pub(crate) struct Wheel {
    due: Due<Timestamp>,
    // Told when an earlier entry than all others came.
    sooner: News,
}

impl Wheel {
    /// Has `pool` looked at when the product clock reaches `due`.
    pub(crate) fn add(&self, pool: &Arc<Pool>, due: Timestamp, clocks: &dyn Clocks) {
        if self.due.add(pool, due) {
            self.sooner.tell(clocks);
        }
    }

    /// Ends environments as they become due. Never returns.
    pub(crate) async fn turn(&self, clocks: &dyn Clocks, keep_alive_ms: u64, max_age_ms: u64) {
        let keep_ms = i64::try_from(keep_alive_ms).unwrap_or(i64::MAX);
        let age_ms = i64::try_from(max_age_ms).unwrap_or(i64::MAX);
        let mut turn = Turn::default();
        loop {
            let reached = self.due.first().map(|due| clocks.product_reaches(due));
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

    fn expire(&self, clocks: &dyn Clocks, keep_ms: i64, age_ms: i64) {
        let now = clocks.product();
        while let Some(pool) = self.due.pop(now) {
            if let Some(due) = pool.expire(now, keep_ms, age_ms) {
                self.add(&pool, due, clocks);
            }
        }
    }
}

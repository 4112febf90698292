//! The book of a pool's environments that are started ahead: how many there shall be, which there are, and which were lost.

use std::collections::HashMap;
use std::sync::Arc;

use base::{EnvironmentId, ProvisionedUse, Timestamp};

use crate::{Provisioned, Target};

/// See the module.
#[derive(Default)]
pub(crate) struct Ahead {
    // None when none are wanted.
    order: Option<Order>,
    // Counts the orders.
    orders: u64,
    // All that are there, idle or in use, and when each is to be replaced.
    kept: HashMap<EnvironmentId, Timestamp>,
    // When one began that has ended of itself since the keeper last looked.
    lost: Option<Timestamp>,
    // Whether somebody starts what is missing.
    keeping: bool,
}

struct Order {
    // What they run.
    target: Arc<Target>,
    wanted: usize,
    failure: Option<String>,
}

/// What is to be done for the environments of a pool that are started ahead.
pub(crate) struct Plan {
    /// What they run.
    pub(crate) target: Arc<Target>,
    /// Which order this is: another has another number.
    pub(crate) order: u64,
    /// How many are to be started, for want of one or in place of one that is old.
    pub(crate) missing: usize,
    /// When one began that was lost since the last look.
    pub(crate) lost: Option<Timestamp>,
    /// When the next is to be replaced.
    pub(crate) renew_at: Option<Timestamp>,
}

impl Ahead {
    /// Takes an order, 0 for none; says whether a keeper must begin.
    pub(crate) fn order(&mut self, target: &Arc<Target>, wanted: usize) -> bool {
        self.orders += 1;
        self.order = (wanted > 0).then(|| Order { target: Arc::clone(target), wanted, failure: None });
        // A keeper that is on its way to its end looks once more.
        let begins = wanted > 0 && !self.keeping;
        self.keeping |= begins;
        begins
    }

    /// None are wanted, and none are there, any more.
    pub(crate) fn end(&mut self) {
        self.order = None;
        self.kept.clear();
    }

    /// What is to be done; none when none are wanted: then the keeper ends.
    pub(crate) fn plan(&mut self, now: Timestamp) -> Option<Plan> {
        let missing = self.missing(now);
        let Some(order) = &self.order else {
            self.keeping = false;
            return None;
        };
        let renew_at = self.kept.values().filter(|renew| **renew > now).min().copied();
        let (target, lost) = (Arc::clone(&order.target), self.lost.take());
        Some(Plan { target, order: self.orders, missing, lost, renew_at })
    }

    /// How many are to be started.
    pub(crate) fn missing(&self, now: Timestamp) -> usize {
        self.wanted().saturating_sub(self.fresh(now))
    }

    /// The number of the order; none when none are wanted.
    pub(crate) fn number(&self) -> Option<u64> {
        self.order.as_ref().map(|_| self.orders)
    }

    /// One is there, to be replaced at `renew`.
    pub(crate) fn keep(&mut self, id: EnvironmentId, renew: Timestamp) {
        self.kept.insert(id, renew);
    }

    /// Whether one may end since its successor is there, or fewer are wanted.
    pub(crate) fn spares(&self, id: EnvironmentId, now: Timestamp) -> bool {
        let wanted = self.wanted();
        self.kept.len() > wanted && (self.is_old(id, now) || self.fresh(now) > wanted)
    }

    /// Whether it is to be replaced.
    pub(crate) fn is_old(&self, id: EnvironmentId, now: Timestamp) -> bool {
        self.kept.get(&id).is_none_or(|renew| *renew <= now)
    }

    /// How many more there are than wanted.
    pub(crate) fn surplus(&self) -> usize {
        self.kept.len().saturating_sub(self.wanted())
    }

    /// One is no longer among them, as it was meant.
    pub(crate) fn release(&mut self, id: EnvironmentId) -> bool {
        self.kept.remove(&id).is_some()
    }

    /// One has ended, which began at `born`; says whether it was among them.
    pub(crate) fn lose(&mut self, id: EnvironmentId, born: Timestamp) -> bool {
        let was = self.release(id);
        if was {
            self.lost = self.lost.max(Some(born));
        }
        was
    }

    /// Why the last start failed, or that it did not.
    pub(crate) fn failed(&mut self, why: Option<String>) {
        if let Some(order) = &mut self.order {
            order.failure = why;
        }
    }

    /// How far they are; none when none are wanted.
    pub(crate) fn progress(&self) -> Option<Provisioned> {
        let order = self.order.as_ref()?;
        let allocated = self.kept.len().min(order.wanted);
        let failure = order.failure.clone().filter(|_| allocated < order.wanted);
        Some(Provisioned { wanted: order.wanted, allocated, failure })
    }

    /// How many of them have an invocation, `idle` being those that have none; none when none are wanted.
    pub(crate) fn in_use(&self, idle: usize) -> Option<ProvisionedUse> {
        let small = |count| u32::try_from(count).unwrap_or(u32::MAX);
        let order = self.order.as_ref()?;
        Some(ProvisionedUse { in_use: small(self.kept.len().saturating_sub(idle)), wanted: small(order.wanted) })
    }

    /// How many are wanted.
    pub(crate) fn wanted(&self) -> usize {
        self.order.as_ref().map_or(0, |order| order.wanted)
    }

    fn fresh(&self, now: Timestamp) -> usize {
        self.kept.values().filter(|renew| **renew > now).count()
    }
}

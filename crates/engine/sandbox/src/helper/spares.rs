//! Spares: sandboxes made ahead of need whose runtime waits for a function. Which kinds there are, and how many of each
//! are kept, follows what launches have asked for lately; nothing is kept for those that nobody asks for.

use std::collections::VecDeque;

use rustix::time::{ClockId, clock_gettime};

use crate::message::{Ahead, Launch};

/// Most spares of one kind, and of all. A waiting Python holds some 8 MiB, a Node.js 40.
const MOST_OF_A_KIND: usize = 4;
const MOST: usize = 12;
/// Kinds that are remembered; the one not used for longest gives way.
const MOST_KINDS: usize = 16;
/// Launches within this time are what the next ones are expected to be like, ms.
const RECENT_MS: u64 = 30_000;
/// After this time without a launch a kind's spares are given back, ms.
const IDLE_MS: u64 = 300_000;
/// Spares in a row that ended before they were used, after which there are no more of their kind.
const MOST_FAILURES: u32 = 3;

/// Milliseconds of a clock that stands still while the machine sleeps.
pub(super) fn now_ms() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
}

/// What must be the same for a spare to serve a launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind {
    /// Whose, where a zygote is forked.
    tenant: Vec<u8>,
    pub(super) ahead: Ahead,
    pub(super) files: u32,
    pub(super) runtime_sources: Vec<Vec<u8>>,
    pub(super) runtime_targets: Vec<Vec<u8>>,
}

impl Kind {
    /// The kind that can serve a launch. `None` when it must not be started ahead.
    pub(super) fn of(launch: &Launch) -> Option<Self> {
        let ahead = launch.ahead.clone()?;
        Some(Self {
            tenant: if ahead.zygote.is_empty() { Vec::new() } else { launch.tenant.clone() },
            ahead,
            files: launch.program.limits.files,
            runtime_sources: launch.runtime_sources.clone(),
            runtime_targets: launch.runtime_targets.clone(),
        })
    }
}

/// One kind and what launches asked of it.
struct Stock {
    number: u64,
    kind: Kind,
    /// When it was asked for lately.
    asked: VecDeque<u64>,
    last: u64,
    failures: u32,
    /// Zygotes in a row that ended, or whose fork failed.
    barren: u32,
}

impl Stock {
    /// How many to keep ready.
    fn wanted(&self, now: u64) -> usize {
        if self.failures >= MOST_FAILURES || self.last + IDLE_MS <= now {
            return 0;
        }
        self.asked.iter().filter(|at| **at + RECENT_MS > now).count().clamp(1, MOST_OF_A_KIND)
    }
}

/// All kinds.
#[derive(Default)]
pub(super) struct Stocks {
    stocks: Vec<Stock>,
    next: u64,
}

impl Stocks {
    /// Notes a launch. Answers the number of its kind, and that of another which is forgotten for it.
    pub(super) fn asked(&mut self, kind: Kind, now: u64) -> (u64, Option<u64>) {
        let mut forgotten = None;
        let at = match self.stocks.iter().position(|stock| stock.kind == kind) {
            Some(at) => at,
            None => {
                if self.stocks.len() >= MOST_KINDS {
                    let oldest = (0..self.stocks.len()).min_by_key(|at| self.stocks[*at].last).unwrap_or(0);
                    forgotten = Some(self.stocks.remove(oldest).number);
                }
                self.next += 1;
                self.stocks.push(Stock {
                    number: self.next,
                    kind,
                    asked: VecDeque::new(),
                    last: now,
                    failures: 0,
                    barren: 0,
                });
                self.stocks.len() - 1
            }
        };
        let stock = &mut self.stocks[at];
        stock.last = now;
        stock.asked.push_back(now);
        if stock.asked.len() > MOST_OF_A_KIND {
            stock.asked.pop_front();
        }
        (stock.number, forgotten)
    }

    /// A kind of which one more is wanted, where `there` of each number are kept or being made.
    pub(super) fn lacking(&self, now: u64, there: impl Fn(u64) -> usize) -> Option<(u64, &Kind)> {
        let all: usize = self.stocks.iter().map(|stock| there(stock.number)).sum();
        if all >= MOST {
            return None;
        }
        let stock = self.stocks.iter().find(|stock| there(stock.number) < stock.wanted(now))?;
        Some((stock.number, &stock.kind))
    }

    /// A kind that wants a zygote, where `has` says whether it has one.
    pub(super) fn without_zygote(&self, now: u64, has: impl Fn(u64) -> bool) -> Option<(u64, &Kind)> {
        let wants = |stock: &&Stock| {
            !stock.kind.ahead.zygote.is_empty() && stock.barren < MOST_FAILURES && stock.wanted(now) > 0
        };
        self.stocks.iter().filter(wants).find(|stock| !has(stock.number)).map(|stock| (stock.number, &stock.kind))
    }

    /// The kind of this number, unless it is forgotten.
    pub(super) fn kind(&self, number: u64) -> Option<&Kind> {
        self.stocks.iter().find(|stock| stock.number == number).map(|stock| &stock.kind)
    }

    /// A zygote of this kind has ended, or could not fork.
    pub(super) fn barren(&mut self, number: u64) {
        if let Some(stock) = self.stocks.iter_mut().find(|stock| stock.number == number) {
            stock.barren += 1;
        }
    }

    /// Whether nobody has asked for this kind for so long that its spares are given back.
    pub(super) fn is_idle(&self, number: u64, now: u64) -> bool {
        !self.stocks.iter().any(|stock| stock.number == number && stock.wanted(now) > 0)
    }

    /// When the first of these kinds becomes idle.
    pub(super) fn idle_at(&self, has_some: impl Fn(u64) -> bool) -> Option<u64> {
        self.stocks.iter().filter(|stock| has_some(stock.number)).map(|stock| stock.last + IDLE_MS).min()
    }

    /// A spare ended before it was used.
    pub(super) fn failed(&mut self, number: u64) {
        if let Some(stock) = self.stocks.iter_mut().find(|stock| stock.number == number) {
            stock.failures += 1;
        }
    }

    /// A spare has served.
    pub(super) fn served(&mut self, number: u64, forked: bool) {
        if let Some(stock) = self.stocks.iter_mut().find(|stock| stock.number == number) {
            if forked {
                stock.barren = 0;
            }
            stock.failures = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str) -> Kind {
        let ahead = Ahead { argv: vec![name.into()], env: Vec::new(), zygote: Vec::new() };
        Kind { tenant: Vec::new(), ahead, files: 1, runtime_sources: Vec::new(), runtime_targets: Vec::new() }
    }

    #[test]
    fn as_many_are_kept_as_were_asked_for_lately() {
        let mut stocks = Stocks::default();
        assert!(stocks.lacking(0, |_| 0).is_none());
        let (number, _) = stocks.asked(kind("a"), 0);
        assert!(stocks.lacking(0, |_| 0).is_some() && stocks.lacking(0, |_| 1).is_none());
        for at in 1..20 {
            stocks.asked(kind("a"), at);
        }
        assert!(stocks.lacking(20, |_| MOST_OF_A_KIND - 1).is_some());
        assert!(stocks.lacking(20, |_| MOST_OF_A_KIND).is_none());
        // One, a while after the last.
        assert!(stocks.lacking(20 + RECENT_MS, |_| 0).is_some() && stocks.lacking(20 + RECENT_MS, |_| 1).is_none());
        // None, long after.
        assert_eq!(stocks.idle_at(|_| true), Some(19 + IDLE_MS));
        assert!(!stocks.is_idle(number, 18 + IDLE_MS) && stocks.is_idle(number, 19 + IDLE_MS));
        assert!(stocks.lacking(19 + IDLE_MS, |_| 0).is_none());
    }

    #[test]
    fn all_together_have_a_limit_and_the_oldest_kind_gives_way() {
        let mut stocks = Stocks::default();
        let first = stocks.asked(kind("0"), 0).0;
        for at in 1..MOST_KINDS {
            assert_eq!(stocks.asked(kind(&at.to_string()), at as u64).1, None);
        }
        assert!(stocks.lacking(99, |number| usize::from(number % 16 < 11)).is_some());
        assert!(stocks.lacking(99, |number| usize::from(number % 16 < 12)).is_none());
        assert_eq!(stocks.asked(kind("more"), 99).1, Some(first));
        assert!(stocks.is_idle(first, 99));
    }

    #[test]
    fn a_kind_that_cannot_be_started_is_given_up() {
        let mut stocks = Stocks::default();
        let (number, _) = stocks.asked(kind("a"), 0);
        stocks.failed(number);
        stocks.failed(number);
        stocks.served(number, false);
        stocks.failed(number);
        stocks.failed(number);
        assert!(stocks.lacking(0, |_| 0).is_some());
        stocks.failed(number);
        assert!(stocks.lacking(0, |_| 0).is_none());
    }
}

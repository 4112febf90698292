//! Spares: sandboxes made ahead of need whose runtime waits for a function. Which kinds there are, and how many of each
//! are kept, follows what launches have asked for lately; nothing is kept for those that nobody asks for.

use std::collections::VecDeque;

use rustix::time::{ClockId, clock_gettime};

use crate::message::{Kind, Launch};

/// Most spares of one kind, and of all. A waiting Python holds some 8 MiB, a Node.js 40.
const MOST_OF_A_KIND: usize = 4;
const MOST: usize = 12;
/// Kinds that are remembered; the one not used for longest gives way.
const MOST_KINDS: usize = 16;
/// Launches within this time are what the next ones are expected to be like, ms.
const RECENT_MS: u64 = 30_000;
/// After this time without a launch a kind's spares are given back, ms.
const IDLE_MS: u64 = 300_000;
/// Spares, or zygotes, of a kind that ended before they were of use, after which there are no more of it for a while, ms.
const MOST_FAILURES: u32 = 3;
const FORGIVEN_MS: u64 = 60_000;
/// After this time a runtime that is not ready never will be, ms; and where a launch waits for it.
pub(super) const PATIENCE_MS: u64 = 30_000;
pub(super) const PATIENCE_OF_LAUNCH_MS: u64 = 3_000;
/// Memory that must be left on the host for another to be made, KiB, and below which a lack of memory is the host's and
/// not that of one function at its limit.
pub(super) const LEFT_KIB: u64 = 512 * 1024;
pub(super) const AMPLE_KIB: u64 = 2 * 1024 * 1024;

/// How long the host is left alone after it was short of memory, ms.
const REST_MS: u64 = 60_000;

/// Milliseconds of a clock that stands still while the machine sleeps.
pub(super) fn now_ms() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
}

/// The kind that can serve a launch. `None` when its program must not be started ahead.
pub(super) fn kind_of(launch: &Launch) -> Option<Kind> {
    startable(Kind {
        tenant: launch.tenant.clone(),
        ahead: launch.ahead.clone()?,
        files: launch.program.limits.files,
        runtime_sources: launch.runtime_sources.clone(),
        runtime_targets: launch.runtime_targets.clone(),
    })
}

/// The kind as it is compared: whose it is counts where a zygote is forked. `None` for one that must not be started ahead.
fn startable(kind: Kind) -> Option<Kind> {
    if hides(&kind.runtime_targets) {
        return None;
    }
    let tenant = if kind.ahead.zygote.is_empty() { Vec::new() } else { kind.tenant };
    Some(Kind { tenant, ..kind })
}

/// Whether something stands in for code and layers (`inside::root::stand_in`) that would hide a part of the runtime.
fn hides(targets: &[Vec<u8>]) -> bool {
    targets.iter().any(|target| target.starts_with(b"/opt") || target.starts_with(b"/var/task"))
}

/// One kind and what launches asked of it.
struct Stock {
    number: u64,
    kind: Kind,
    /// When it was asked for lately.
    asked: VecDeque<u64>,
    last: u64,
    spares: Blame,
    zygotes: Blame,
}

/// What ended before it was of use.
#[derive(Default)]
struct Blame {
    count: u32,
    last: u64,
}

impl Blame {
    fn one_more(&mut self, now: u64) {
        self.count = if self.last + FORGIVEN_MS <= now { 1 } else { self.count + 1 };
        self.last = now;
    }

    fn is_too_much(&self, now: u64) -> bool {
        self.count >= MOST_FAILURES && now < self.last + FORGIVEN_MS
    }
}

impl Stock {
    /// How many to keep ready.
    fn wanted(&self, now: u64, rests_until: u64) -> usize {
        if now < rests_until || self.spares.is_too_much(now) || self.last + IDLE_MS <= now {
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
    /// Until when nothing is kept, since the host was short of memory.
    rests_until: u64,
}

impl Stocks {
    /// Notes a launch. Answers the number of its kind, and whether another is forgotten for it. None when there are too many
    /// kinds that are in use.
    pub(super) fn asked(&mut self, kind: Kind, now: u64) -> Option<(u64, bool)> {
        let mut forgotten = false;
        let at = match self.stocks.iter().position(|stock| stock.kind == kind) {
            Some(at) => at,
            None => {
                if self.stocks.len() >= MOST_KINDS {
                    let oldest = (0..self.stocks.len()).min_by_key(|at| self.stocks[*at].last)?;
                    if self.stocks[oldest].last + RECENT_MS > now {
                        return None;
                    }
                    self.stocks.remove(oldest);
                    forgotten = true;
                }
                self.begin(kind, now);
                self.stocks.len() - 1
            }
        };
        let stock = &mut self.stocks[at];
        stock.last = now;
        stock.asked.push_back(now);
        if stock.asked.len() > MOST_OF_A_KIND {
            stock.asked.pop_front();
        }
        Some((stock.number, forgotten))
    }

    /// Launches of a kind may come: one is kept ready for the first of them, unless too many kinds are in use.
    pub(super) fn expect(&mut self, kind: Kind, now: u64) {
        let Some(kind) = startable(kind) else { return };
        if let Some(stock) = self.stocks.iter_mut().find(|stock| stock.kind == kind) {
            stock.last = now;
        } else if self.stocks.len() < MOST_KINDS {
            self.begin(kind, now);
        }
    }

    fn begin(&mut self, kind: Kind, now: u64) {
        self.next += 1;
        let (asked, number) = (VecDeque::new(), self.next);
        let (spares, zygotes) = (Blame::default(), Blame::default());
        self.stocks.push(Stock { number, kind, asked, last: now, spares, zygotes });
    }

    /// A kind of which one more is wanted, where `there` of each number are kept or being made. For some it is not yet time.
    pub(super) fn lacking(
        &self,
        now: u64,
        there: impl Fn(u64) -> usize,
        not_yet: impl Fn(u64) -> bool,
    ) -> Option<(u64, &Kind)> {
        let all: usize = self.stocks.iter().map(|stock| there(stock.number)).sum();
        if all >= MOST {
            return None;
        }
        let lacks =
            |stock: &&Stock| there(stock.number) < stock.wanted(now, self.rests_until) && !not_yet(stock.number);
        let stock = self.stocks.iter().find(lacks)?;
        Some((stock.number, &stock.kind))
    }

    /// A kind that wants a zygote, where `has` says whether it has one.
    pub(super) fn without_zygote(&self, now: u64, has: impl Fn(u64) -> bool) -> Option<(u64, &Kind)> {
        let wants = |stock: &&Stock| {
            !stock.kind.ahead.zygote.is_empty()
                && !stock.zygotes.is_too_much(now)
                && stock.wanted(now, self.rests_until) > 0
        };
        self.stocks.iter().filter(wants).find(|stock| !has(stock.number)).map(|stock| (stock.number, &stock.kind))
    }

    /// The kind of this number, unless it is forgotten.
    pub(super) fn kind(&self, number: u64) -> Option<&Kind> {
        self.stocks.iter().find(|stock| stock.number == number).map(|stock| &stock.kind)
    }

    /// Whether a zygote of this kind has not failed too often lately.
    pub(super) fn trusts_zygote(&self, number: u64, now: u64) -> bool {
        self.stocks.iter().any(|stock| stock.number == number && !stock.zygotes.is_too_much(now))
    }

    /// A zygote of this kind has ended by itself, or its child was not what it must be.
    pub(super) fn zygote_failed(&mut self, number: u64, now: u64) {
        if let Some(stock) = self.stocks.iter_mut().find(|stock| stock.number == number) {
            stock.zygotes.one_more(now);
        }
    }

    /// Whether nobody has asked for this kind for so long that its spares are given back.
    pub(super) fn is_idle(&self, number: u64, now: u64) -> bool {
        let in_use = |stock: &Stock| stock.number == number && now < stock.last + IDLE_MS;
        now < self.rests_until || !self.stocks.iter().any(in_use)
    }

    /// The host is short of memory: nothing is kept for a while.
    pub(super) fn rest(&mut self, now: u64) {
        self.rests_until = now + REST_MS;
    }

    /// When the first of these kinds becomes idle.
    pub(super) fn idle_at(&self, has_some: impl Fn(u64) -> bool) -> Option<u64> {
        self.stocks.iter().filter(|stock| has_some(stock.number)).map(|stock| stock.last + IDLE_MS).min()
    }

    /// A spare ended before it was used.
    pub(super) fn failed(&mut self, number: u64, now: u64) {
        if let Some(stock) = self.stocks.iter_mut().find(|stock| stock.number == number) {
            stock.spares.one_more(now);
        }
    }
}

/// Whether the host has less memory left.
pub(super) fn has_less_than(least_kib: u64) -> bool {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let left = info.lines().find_map(|line| line.strip_prefix("MemAvailable:")?.trim().strip_suffix(" kB"));
    left.and_then(|kib| kib.trim().parse().ok()).is_some_and(|kib: u64| kib < least_kib)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Ahead;

    fn lacking(stocks: &Stocks, now: u64, there: impl Fn(u64) -> usize) -> Option<u64> {
        assert_eq!(stocks.lacking(now, &there, |_| true).map(|(number, _)| number), None);
        stocks.lacking(now, there, |_| false).map(|(number, _)| number)
    }

    fn kind(name: &str) -> Kind {
        let ahead = Ahead { argv: vec![name.into()], env: Vec::new(), zygote: Vec::new() };
        Kind { tenant: Vec::new(), ahead, files: 1, runtime_sources: Vec::new(), runtime_targets: Vec::new() }
    }

    #[test]
    fn as_many_are_kept_as_were_asked_for_lately() {
        let mut stocks = Stocks::default();
        assert!(lacking(&stocks, 0, |_| 0).is_none());
        let (number, _) = stocks.asked(kind("a"), 0).unwrap();
        assert!(lacking(&stocks, 0, |_| 0).is_some() && lacking(&stocks, 0, |_| 1).is_none());
        for at in 1..20 {
            stocks.asked(kind("a"), at);
        }
        assert!(lacking(&stocks, 20, |_| MOST_OF_A_KIND - 1).is_some());
        assert!(lacking(&stocks, 20, |_| MOST_OF_A_KIND).is_none());
        // One, a while after the last.
        assert!(lacking(&stocks, 20 + RECENT_MS, |_| 0).is_some() && lacking(&stocks, 20 + RECENT_MS, |_| 1).is_none());
        // None, long after.
        assert_eq!(stocks.idle_at(|_| true), Some(19 + IDLE_MS));
        assert!(!stocks.is_idle(number, 18 + IDLE_MS) && stocks.is_idle(number, 19 + IDLE_MS));
        assert!(lacking(&stocks, 19 + IDLE_MS, |_| 0).is_none());
    }

    #[test]
    fn nothing_is_kept_while_the_host_is_short_of_memory() {
        let mut stocks = Stocks::default();
        let (number, _) = stocks.asked(kind("a"), 0).unwrap();
        assert!(!stocks.is_idle(number, 1));
        stocks.rest(1);
        assert!(stocks.is_idle(number, REST_MS) && lacking(&stocks, REST_MS, |_| 0).is_none());
        assert!(!stocks.is_idle(number, 1 + REST_MS) && lacking(&stocks, 1 + REST_MS, |_| 0).is_some());
    }

    #[test]
    fn one_is_kept_for_what_is_expected() {
        let mut stocks = Stocks::default();
        stocks.expect(Kind { runtime_targets: vec![b"/opt/python".to_vec()], ..kind("a") }, 0);
        assert!(lacking(&stocks, 0, |_| 0).is_none());
        stocks.expect(kind("a"), 0);
        assert!(lacking(&stocks, RECENT_MS, |_| 0).is_some() && lacking(&stocks, 0, |_| 1).is_none());
        stocks.expect(kind("a"), 5);
        assert_eq!(stocks.idle_at(|_| true), Some(5 + IDLE_MS));
        for more in 0..2 * MOST_KINDS {
            stocks.expect(kind(&more.to_string()), 5);
        }
        assert_eq!(stocks.stocks.len(), MOST_KINDS);
    }

    #[test]
    fn all_together_have_a_limit_and_the_oldest_kind_gives_way() {
        let mut stocks = Stocks::default();
        let (first, _) = stocks.asked(kind("0"), 0).unwrap();
        for at in 1..MOST_KINDS {
            assert!(!stocks.asked(kind(&at.to_string()), at as u64).unwrap().1);
        }
        assert!(lacking(&stocks, 99, |number| usize::from(number % 16 < 11)).is_some());
        assert!(lacking(&stocks, 99, |number| usize::from(number % 16 < 12)).is_none());
        // None that is in use.
        assert!(stocks.asked(kind("more"), RECENT_MS - 1).is_none());
        assert!(stocks.asked(kind("more"), RECENT_MS).unwrap().1);
        assert!(stocks.is_idle(first, RECENT_MS));
    }

    #[test]
    fn a_kind_that_cannot_be_started_is_left_alone_for_a_while() {
        let mut stocks = Stocks::default();
        let (number, _) = stocks.asked(kind("a"), 0).unwrap();
        stocks.failed(number, 0);
        stocks.failed(number, 1);
        assert!(lacking(&stocks, 1, |_| 0).is_some());
        stocks.failed(number, 2);
        assert!(lacking(&stocks, 1 + FORGIVEN_MS, |_| 0).is_none());
        assert!(lacking(&stocks, 2 + FORGIVEN_MS, |_| 0).is_some());
        // Those of long ago count no more.
        stocks.failed(number, 2 + FORGIVEN_MS);
        assert!(lacking(&stocks, 2 + FORGIVEN_MS, |_| 0).is_some());
    }
}

//! What the platform answers, and what lies between two answers.

use std::collections::{HashMap, VecDeque};

use serde::Deserialize;

/// How old the reading may get that percentiles are taken against, microseconds. It is replaced by one half as old, so that
/// percentiles speak of the last half minute at least and of the last minute at most.
const WINDOW_US: u64 = 60_000_000;

/// One answer.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reading {
    pub(super) uptime_us: u64,
    pub(super) environments: u64,
    pub(super) running: u64,
    pub(super) waiting: u64,
    pub(super) total: Counted,
    pub(super) versions: Vec<Version>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Counted {
    pub(super) invocations: u64,
    pub(super) errors: u64,
    pub(super) cold_starts: u64,
    pub(super) throttles: u64,
    pub(super) refusals: u64,
    pub(super) cpu_user_us: u64,
    pub(super) cpu_system_us: u64,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Version {
    pub(super) function: String,
    pub(super) version: String,
    pub(super) region: String,
    pub(super) memory_mb: u64,
    pub(super) starting: u64,
    pub(super) idle: u64,
    /// Of those that are idle.
    pub(super) frozen: u64,
    pub(super) busy: u64,
    pub(super) provisioned: u64,
    pub(super) peak_memory_bytes: u64,
    pub(super) private_memory_bytes: u64,
    pub(super) counted: Counted,
    pub(super) spread: Spread,
}

/// Of each phase, microseconds and how many took about so long, in order.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Spread {
    pub(super) queue: Times,
    pub(super) sandbox: Times,
    pub(super) init: Times,
    pub(super) restore: Times,
    pub(super) handler: Times,
}

type Times = Vec<(u64, u32)>;

/// What happened a second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Rates {
    pub(super) invocations: f64,
    pub(super) errors: f64,
    pub(super) throttles: f64,
    pub(super) refusals: f64,
    /// CPUs in use, in user mode.
    pub(super) cpu_user: f64,
    /// CPUs in use, in the kernel.
    pub(super) cpu_system: f64,
}

/// Percentiles of one phase, microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quantiles {
    pub(super) count: u64,
    pub(super) p50_us: u64,
    pub(super) p99_us: u64,
    /// Whether they are of what ended in the window; else nothing did, and they are of everything.
    pub(super) recent: bool,
}

/// Queue, sandbox, INIT and handler; none where nothing was measured.
pub(super) type Phases = [Option<Quantiles>; 5];

/// One function version in a snapshot.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) of: Version,
    pub(super) rates: Rates,
    pub(super) phases: Phases,
}

/// What is shown of one moment.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) uptime_us: u64,
    /// Time over which the rates are taken; none when there was no reading before.
    pub(super) interval_us: Option<u64>,
    pub(super) environments: u64,
    pub(super) running: u64,
    pub(super) waiting: u64,
    pub(super) total: Counted,
    pub(super) rates: Rates,
    pub(super) rows: Vec<Row>,
    /// Whether percentiles are of everything since the platform started, all of them.
    pub(super) of_everything: bool,
}

/// Earlier readings: the last one, and one or two against which percentiles are taken.
#[derive(Debug, Default)]
pub(super) struct History {
    last: Option<Reading>,
    bases: VecDeque<Reading>,
    // Percentiles of everything since the platform started, always.
    all: bool,
}

impl History {
    /// Percentiles are of everything since the platform started.
    pub(super) fn of_everything() -> Self {
        Self { all: true, ..Self::default() }
    }

    /// What is shown of the moment of `now`.
    pub(super) fn take(&mut self, now: Reading) -> Snapshot {
        if self.last.as_ref().is_some_and(|last| now.uptime_us < last.uptime_us) {
            // Another run of the platform: it has counted nothing yet that was read before.
            *self = Self { all: self.all, ..Self::default() };
        }
        let snapshot = self.compare(&now);
        self.keep(&now);
        self.last = Some(now);
        snapshot
    }

    fn compare(&self, now: &Reading) -> Snapshot {
        let (last, base) = (self.last.as_ref(), self.bases.front());
        let interval_us = last.map(|last| now.uptime_us - last.uptime_us).filter(|us| *us > 0);
        let rates = |now: &Counted, last: Option<&Counted>| match interval_us {
            Some(us) => Rates::between(now, last, us as f64 / 1e6),
            None => Rates::default(),
        };
        let (before, windows) = (by_name(last), by_name(base));
        let rows = now.versions.iter().map(|version| {
            let (earlier, window) = (before.get(&name(version)), windows.get(&name(version)));
            // Not there in the reading before: everything came since.
            let rates = rates(&version.counted, earlier.map(|earlier| &earlier.counted));
            let window = window.filter(|window| window.spread.within(&version.spread));
            let since = base.map(|_| window.map(|window| &window.spread));
            Row { of: version.clone(), rates, phases: version.spread.quantiles(since) }
        });
        Snapshot {
            uptime_us: now.uptime_us,
            interval_us,
            environments: now.environments,
            running: now.running,
            waiting: now.waiting,
            total: now.total,
            rates: rates(&now.total, last.map(|last| &last.total)),
            rows: rows.collect(),
            of_everything: self.all,
        }
    }

    fn keep(&mut self, now: &Reading) {
        if self.all {
            return;
        }
        let age = |base: &Reading| now.uptime_us - base.uptime_us;
        if self.bases.len() > 1 && self.bases.front().is_some_and(|base| age(base) >= WINDOW_US) {
            self.bases.pop_front();
        }
        if self.bases.back().is_none_or(|base| age(base) >= WINDOW_US / 2) {
            self.bases.push_back(now.clone());
        }
    }
}

fn name(version: &Version) -> (&str, &str, &str) {
    (&version.region, &version.function, &version.version)
}

fn by_name(reading: Option<&Reading>) -> HashMap<(&str, &str, &str), &Version> {
    reading.iter().flat_map(|reading| &reading.versions).map(|version| (name(version), version)).collect()
}

impl Rates {
    fn between(now: &Counted, before: Option<&Counted>, seconds: f64) -> Self {
        let before = before.copied().unwrap_or_default();
        // Less than before: the function was made anew, and counts from nothing.
        let rate = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now) as f64 / seconds;
        Self {
            invocations: rate(now.invocations, before.invocations),
            errors: rate(now.errors, before.errors),
            throttles: rate(now.throttles, before.throttles),
            refusals: rate(now.refusals, before.refusals),
            cpu_user: rate(now.cpu_user_us, before.cpu_user_us) / 1e6,
            cpu_system: rate(now.cpu_system_us, before.cpu_system_us) / 1e6,
        }
    }
}

impl Spread {
    const PHASES: [fn(&Self) -> &Times; 5] =
        [|s| &s.queue, |s| &s.sandbox, |s| &s.init, |s| &s.restore, |s| &s.handler];

    /// Whether a later reading counts at least as much everywhere. Else the version was made anew and counts from nothing, or
    /// a counter has wrapped: no difference is known.
    fn within(&self, later: &Self) -> bool {
        Self::PHASES.iter().all(|phase| within(phase(self), phase(later)))
    }

    /// Percentiles of what came since an earlier reading, which may not have known the version; without one, and for phases
    /// in which nothing came, of everything.
    fn quantiles(&self, since: Option<Option<&Self>>) -> Phases {
        Self::PHASES.map(|phase| {
            let recent =
                since.and_then(|earlier| quantiles(&minus(phase(self), earlier.map_or(&[], |s| phase(s))), true));
            recent.or_else(|| quantiles(phase(self), false))
        })
    }
}

/// Whether `now` counts at least what `before` does.
fn within(before: &[(u64, u32)], now: &[(u64, u32)]) -> bool {
    let mut now = now.iter().peekable();
    before.iter().all(|(us, count)| {
        while now.next_if(|(later, _)| later < us).is_some() {}
        now.peek().filter(|(later, _)| later == us).map_or(0, |(_, counted)| *counted) >= *count
    })
}

/// What `now` counts beyond `before`, which is [`within`] it.
fn minus(now: &[(u64, u32)], before: &[(u64, u32)]) -> Times {
    let mut before = before.iter().peekable();
    let rest = now.iter().map(|(us, count)| {
        while before.next_if(|(earlier, _)| earlier < us).is_some() {}
        let counted = before.next_if(|(earlier, _)| earlier == us).map_or(0, |(_, counted)| *counted);
        (*us, count.saturating_sub(counted))
    });
    rest.filter(|(_, count)| *count > 0).collect()
}

fn quantiles(times: &[(u64, u32)], recent: bool) -> Option<Quantiles> {
    let count: u64 = times.iter().map(|(_, count)| u64::from(*count)).sum();
    let at = |per_cent: u64| {
        let rank = (count * per_cent).div_ceil(100).max(1);
        let mut seen = 0;
        let found = times.iter().find(|(_, count)| {
            seen += u64::from(*count);
            seen >= rank
        });
        found.map(|(us, _)| *us)
    };
    Some(Quantiles { count, p50_us: at(50)?, p99_us: at(99)?, recent })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::cli::top) fn reading(
        seconds: u64,
        function: &str,
        invocations: u64,
        handler: &[(u64, u32)],
    ) -> Reading {
        let counted = Counted { invocations, cpu_user_us: invocations * 1000, ..Counted::default() };
        let spread = Spread { handler: handler.to_vec(), ..Spread::default() };
        let named = (function.to_owned(), "$LATEST".to_owned(), "us-east-1".to_owned());
        let (function, version, region) = named;
        let version = Version { function, version, region, counted, spread, ..Version::default() };
        Reading { uptime_us: seconds * 1_000_000, total: counted, versions: vec![version], ..Reading::default() }
    }

    #[test]
    fn rates_are_what_came_between_two_readings() {
        let mut history = History::default();
        let first = history.take(reading(10, "f", 100, &[]));
        assert_eq!((first.interval_us, first.rates), (None, Rates::default()), "one reading alone has no rates");
        let next = history.take(reading(12, "f", 150, &[]));
        assert_eq!((next.rows[0].rates.invocations, next.rates.invocations), (25.0, 25.0));
        assert!((next.rows[0].rates.cpu_user - 0.025).abs() < 1e-9);
        let anew = history.take(reading(13, "f", 3, &[]));
        assert_eq!(anew.rows[0].rates.invocations, 3.0, "a function made anew counts from nothing");
        let other = history.take(reading(14, "g", 5, &[]));
        assert_eq!(other.rows[0].rates.invocations, 5.0, "a new one was invoked since");
        let restarted = history.take(reading(1, "f", 9, &[]));
        assert_eq!((restarted.interval_us, restarted.rates), (None, Rates::default()), "a restart is another platform");
    }

    #[test]
    fn percentiles_are_of_the_last_minute_or_of_everything() {
        let p99 =
            |snapshot: &Snapshot| snapshot.rows[0].phases[4].map(|found| (found.p50_us, found.p99_us, found.recent));
        let mut history = History::default();
        let slow = [(9_000, 100)];
        assert_eq!(p99(&history.take(reading(100, "f", 100, &slow))), Some((9_000, 9_000, false)));
        let both = [(10, 50), (2_000, 1), (9_000, 100)];
        assert_eq!(p99(&history.take(reading(101, "f", 151, &both))), Some((10, 2_000, true)));
        for seconds in 102..200 {
            history.take(reading(seconds, "f", 151, &both));
            assert!(history.bases.len() <= 2, "{} readings are kept", history.bases.len());
        }
        assert_eq!(
            p99(&history.take(reading(200, "f", 151, &both))),
            Some((9_000, 9_000, false)),
            "nothing came lately"
        );
        let mut once = History::of_everything();
        once.take(reading(100, "f", 100, &slow));
        assert_eq!(p99(&once.take(reading(101, "f", 151, &both))), Some((9_000, 9_000, false)));
        assert_eq!(quantiles(&[], true), None);
    }

    #[test]
    fn a_version_made_anew_that_has_overtaken_itself_counts_from_nothing() {
        let mut history = History::default();
        history.take(reading(100, "f", 3, &[(10, 3)]));
        let anew = history.take(reading(101, "f", 5, &[(10, 1), (20, 4)]));
        let found = anew.rows[0].phases[4].unwrap();
        assert_eq!((found.count, found.p50_us, found.recent), (5, 20, true));
        let without = history.take(reading(102, "f", 6, &[(20, 6)]));
        assert_eq!(without.rows[0].phases[4].map(|found| found.count), Some(6), "a time that is not there any more");
    }

    #[test]
    fn of_a_hundred_the_ninety_ninth_is_p99() {
        let found = quantiles(&[(1, 50), (2, 48), (3, 1), (4, 1)], true).unwrap();
        assert_eq!((found.count, found.p50_us, found.p99_us), (100, 1, 3));
        assert_eq!(minus(&[(1, 5), (2, 7), (4, 1)], &[(2, 3), (3, 9), (4, 1)]), [(1, 5), (2, 4)]);
    }
}

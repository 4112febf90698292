//! What was counted of each function version since this room started, for those who look.
//!
//! An invocation adds to a handful of counters that were made with its version's first: no lock, no allocation, and nothing
//! runs while nobody looks. Times go into buckets of fixed borders, eight to each doubling, as in the HDR histogram: what is
//! read from them is within 6 % of what was measured.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};

use base::{Invoked, StartKind};

/// Bits of a time that its bucket keeps, after the leading one.
const BITS: u32 = 3;
/// Borders in each doubling, and the times below which every microsecond has its own bucket.
const STEPS: u64 = 1 << BITS;
/// Times from here on share the last bucket, microseconds: 17.9 minutes, beyond AWS's longest timeout.
const LONGEST_US: u64 = (1 << 30) - 1;
const BUCKETS: usize = bucket(LONGEST_US) + 1;
/// Versions without environments that are remembered, besides as many as have some.
const REMEMBERED: usize = 64;

const fn bucket(us: u64) -> usize {
    if us < STEPS {
        return us as usize;
    }
    let shift = us.ilog2() - BITS;
    // The leading one is the step's own: it adds the first STEPS buckets.
    (shift as u64 * STEPS + (us >> shift)) as usize
}

/// The middle of a bucket, microseconds.
fn middle_us(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * STEPS {
        return bucket;
    }
    let shift = bucket / STEPS - 1;
    ((bucket - shift * STEPS) << shift) + (1 << shift) / 2
}

/// How often each time was measured.
struct Times([AtomicU32; BUCKETS]);

impl Times {
    fn new() -> Self {
        Self([const { AtomicU32::new(0) }; BUCKETS])
    }

    fn add(&self, us: u64) {
        self.0[bucket(us.min(LONGEST_US))].fetch_add(1, Relaxed);
    }

    fn read(&self) -> Vec<(u64, u32)> {
        let counts = self.0.iter().enumerate().map(|(bucket, count)| (middle_us(bucket), count.load(Relaxed)));
        counts.filter(|(_, count)| *count > 0).collect()
    }
}

/// What was counted. All since the platform started, or since the function last changed as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Invocations that ran to an end, good or bad.
    pub invocations: u64,
    /// Those of them that failed: errors of the function, timeouts, exits.
    pub errors: u64,
    /// Those of them that started an environment.
    pub cold_starts: u64,
    /// Invocations refused for want of concurrency.
    pub throttles: u64,
    /// Invocations refused because the host had no room, or could not build the walls.
    pub refusals: u64,
    /// CPU time in user mode, microseconds.
    pub cpu_user_us: u64,
    /// CPU time in the kernel, microseconds.
    pub cpu_system_us: u64,
}

impl Counted {
    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.invocations += other.invocations;
        self.errors += other.errors;
        self.cold_starts += other.cold_starts;
        self.throttles += other.throttles;
        self.refusals += other.refusals;
        self.cpu_user_us += other.cpu_user_us;
        self.cpu_system_us += other.cpu_system_us;
    }
}

/// Where the time of a version's invocations went: pairs of microseconds and how many took about so long, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spread {
    /// Waiting for an environment.
    pub queue: Vec<(u64, u32)>,
    /// Building walls, of cold starts.
    pub sandbox: Vec<(u64, u32)>,
    /// INIT, of cold starts.
    pub init: Vec<(u64, u32)>,
    /// Restoring a snapshot, of cold starts that did that instead of INIT.
    pub restore: Vec<(u64, u32)>,
    /// The handler.
    pub handler: Vec<(u64, u32)>,
}

/// The counters of one function version.
pub(crate) struct Tally {
    invocations: AtomicU64,
    errors: AtomicU64,
    cold_starts: AtomicU64,
    throttles: AtomicU64,
    refusals: AtomicU64,
    cpu_user_us: AtomicU64,
    cpu_system_us: AtomicU64,
    peak_memory_bytes: AtomicU64,
    // As configured last.
    memory_mb: AtomicU32,
    queue: Times,
    sandbox: Times,
    init: Times,
    // Made for versions that are restored.
    restore: OnceLock<Box<Times>>,
    handler: Times,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            invocations: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            cold_starts: AtomicU64::new(0),
            throttles: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
            cpu_user_us: AtomicU64::new(0),
            cpu_system_us: AtomicU64::new(0),
            peak_memory_bytes: AtomicU64::new(0),
            memory_mb: AtomicU32::new(0),
            queue: Times::new(),
            sandbox: Times::new(),
            init: Times::new(),
            restore: OnceLock::new(),
            handler: Times::new(),
        }
    }

    /// Counts an invocation that has ended.
    pub(crate) fn invoked(&self, row: &Invoked) {
        self.invocations.fetch_add(1, Relaxed);
        if row.failed {
            self.errors.fetch_add(1, Relaxed);
        }
        self.cpu_user_us.fetch_add(row.cpu_user_us, Relaxed);
        self.cpu_system_us.fetch_add(row.cpu_system_us, Relaxed);
        self.peak_memory_bytes.fetch_max(row.peak_memory_bytes, Relaxed);
        self.queue.add(row.phases.queue_us);
        self.handler.add(row.phases.handler_us);
        if row.start != StartKind::Warm {
            self.cold_starts.fetch_add(1, Relaxed);
            self.sandbox.add(row.phases.sandbox_us);
            if row.phases.restore_us > 0 {
                self.restore.get_or_init(|| Box::new(Times::new())).add(row.phases.restore_us);
            } else {
                self.init.add(row.phases.init_us);
            }
        }
    }

    /// Counts one refused for want of concurrency.
    pub(crate) fn throttled(&self) {
        self.throttles.fetch_add(1, Relaxed);
    }

    /// Counts one refused for another reason.
    pub(crate) fn refused(&self) {
        self.refusals.fetch_add(1, Relaxed);
    }

    pub(crate) fn counted(&self) -> Counted {
        Counted {
            invocations: self.invocations.load(Relaxed),
            errors: self.errors.load(Relaxed),
            cold_starts: self.cold_starts.load(Relaxed),
            throttles: self.throttles.load(Relaxed),
            refusals: self.refusals.load(Relaxed),
            cpu_user_us: self.cpu_user_us.load(Relaxed),
            cpu_system_us: self.cpu_system_us.load(Relaxed),
        }
    }

    pub(crate) fn spread(&self) -> Spread {
        Spread {
            queue: self.queue.read(),
            sandbox: self.sandbox.read(),
            init: self.init.read(),
            restore: self.restore.get().map(|times| times.read()).unwrap_or_default(),
            handler: self.handler.read(),
        }
    }

    pub(crate) fn memory_mb(&self) -> u32 {
        self.memory_mb.load(Relaxed)
    }

    pub(crate) fn peak_memory_bytes(&self) -> u64 {
        self.peak_memory_bytes.load(Relaxed)
    }
}

/// Function and version.
pub(crate) type Name = (Arc<str>, Arc<str>);

/// The tallies of all function versions. They outlast a version's pool: a deployment does not begin to count anew.
#[derive(Default)]
pub(crate) struct Tallies {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    of: HashMap<Name, Arc<Tally>>,
    // What those counted that are no longer told apart.
    gone: Counted,
}

impl State {
    fn forget(&mut self, gone: impl Fn(&Name) -> bool) {
        for (_, tally) in self.of.extract_if(|name, _| gone(name)) {
            self.gone.add(&tally.counted());
        }
    }
}

impl Tallies {
    /// The tally of a version that is about to have environments. Those of versions that are not among `living` are
    /// forgotten when they become more.
    pub(crate) fn of<V>(&self, name: &Name, memory_mb: u32, living: &HashMap<Name, V>) -> Arc<Tally> {
        let mut state = self.lock();
        if state.of.len() > 2 * living.len() + REMEMBERED {
            state.forget(|name| !living.contains_key(name));
        }
        let tally = state.of.entry(name.clone()).or_insert_with(|| Arc::new(Tally::new()));
        tally.memory_mb.store(memory_mb, Relaxed);
        Arc::clone(tally)
    }

    /// Tells a function's versions no longer apart.
    pub(crate) fn forget(&self, function: &str) {
        self.lock().forget(|(name, _)| **name == *function);
    }

    /// All, and the sum of what was forgotten.
    pub(crate) fn all(&self) -> (Vec<(Name, Arc<Tally>)>, Counted) {
        let state = self.lock();
        (state.of.iter().map(|(name, tally)| (name.clone(), Arc::clone(tally))).collect(), state.gone)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while holding it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_bucket_s_middle_is_near_every_time_in_it(us in 0..=LONGEST_US) {
            let middle = middle_us(bucket(us));
            prop_assert!(middle.abs_diff(us) as f64 <= us as f64 / 16.0, "{us} {middle}");
            prop_assert!(bucket(us) <= bucket(us + 1) && bucket(us) < BUCKETS);
        }
    }

    #[test]
    fn what_takes_longer_than_anything_may_is_counted_too() {
        let times = Times::new();
        times.add(u64::MAX);
        times.add(0);
        assert_eq!(times.read().iter().map(|(_, count)| count).sum::<u32>(), 2);
        assert!(size_of::<Tally>() < 4096, "a version's counters are {} bytes", size_of::<Tally>());
    }

    #[test]
    fn what_is_forgotten_stays_in_the_sum_and_no_more_are_kept_than_twice_what_lives() {
        let tallies = Tallies::default();
        let mut living = HashMap::new();
        living.insert((Arc::from("kept"), Arc::from("1")), ());
        for n in 0..1000 {
            tallies.of(&(format!("f{n}").into(), "1".into()), 128, &living).throttled();
        }
        tallies.of(&("kept".into(), "1".into()), 128, &living).throttled();
        tallies.of(&("kept".into(), "1".into()), 256, &living).throttled();
        let (all, gone) = tallies.all();
        assert!(all.len() <= 2 + REMEMBERED + 1, "{} are kept", all.len());
        let sum: u64 = all.iter().map(|(_, tally)| tally.counted().throttles).sum();
        assert_eq!(sum + gone.throttles, 1002);
        let kept = all.iter().find(|(name, _)| &*name.0 == "kept").unwrap();
        assert_eq!((kept.1.counted().throttles, kept.1.memory_mb()), (2, 256));
        tallies.forget("kept");
        assert!(tallies.all().0.iter().all(|(name, _)| &*name.0 != "kept"));
    }
}

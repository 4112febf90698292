//! The environments of one function version: who is idle, who works, who waits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use base::{EnvironmentId, Timestamp};
use sandbox::Control;
use tokio::sync::{Notify, Semaphore, oneshot};

use crate::crowd::Crowds;
use crate::environment::Environment;
use crate::permits::Seat;
use crate::tally::Tally;
use crate::web::Opened;
use crate::{Provisioned, Target, TargetKey};

/// The environments of one function version at one revision.
pub(crate) struct Pool {
    pub(crate) key: TargetKey,
    /// Where its invocations count.
    pub(crate) seat: Seat,
    /// Its share of the line for starts, see [`crate::host::Host::place`].
    pub(crate) starts: Arc<Semaphore>,
    /// Rung when an environment is lost or the number of provisioned ones changes, for their keeper.
    pub(crate) changed: Notify,
    /// What its version's invocations are counted by.
    pub(crate) tally: Arc<Tally>,
    /// Who is in which environment, where one serves many at a time.
    pub(crate) crowds: Crowds<Opened>,
    state: Mutex<State>,
    // What measures its environments. Apart from the state, so that who looks holds up nobody.
    meters: Mutex<Vec<Weak<dyn Control>>>,
}

#[derive(Default)]
struct State {
    // The last one used is on top and is used next: its caches are warm, and those below grow old and end.
    idle: Vec<Idle>,
    // Invocations in the line for an environment, first come first served. A closed sender has gone elsewhere.
    waiters: VecDeque<oneshot::Sender<Lease>>,
    starting: usize,
    busy: usize,
    // Nothing returns to a retired pool.
    retired: bool,
    // Whether the keep-alive wheel will look here: it holds one entry for each pool, however often it is used.
    watched: bool,
    // Environments that are kept however long they are idle.
    provisioned: Option<Ahead>,
    // Whether somebody starts what is missing.
    keeping: bool,
}

/// Environments that are started ahead.
struct Ahead {
    // What they run.
    target: Arc<Target>,
    wanted: usize,
    failure: Option<String>,
}

impl State {
    fn alive(&self) -> usize {
        self.idle.len() + self.busy
    }

    /// How many idle environments may end without leaving fewer than are provisioned.
    fn spare(&self) -> usize {
        let kept = self.provisioned.as_ref().map_or(0, |ahead| ahead.wanted);
        self.alive().saturating_sub(kept).min(self.idle.len())
    }

    /// Whether no more environments are in use than are provisioned: what runs beyond that is on demand.
    fn covers(&self) -> bool {
        self.provisioned.as_ref().is_some_and(|ahead| self.busy <= ahead.wanted)
    }
}

struct Idle {
    environment: Box<Environment>,
    since: Timestamp,
}

/// Environments of one pool by what they do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) starting: usize,
    pub(crate) busy: usize,
    pub(crate) idle: usize,
}

impl Pool {
    pub(crate) fn new(key: TargetKey, seat: Seat, starts: usize, tally: Arc<Tally>) -> Arc<Self> {
        let starts = Arc::new(Semaphore::new(starts.max(1)));
        Arc::new(Self {
            key,
            seat,
            starts,
            changed: Notify::new(),
            tally,
            crowds: Crowds::default(),
            state: Mutex::default(),
            meters: Mutex::default(),
        })
    }

    /// The environment used last, if one is idle.
    pub(crate) fn take_idle(self: &Arc<Self>) -> Option<Lease> {
        let mut state = self.lock();
        let idle = state.idle.pop()?;
        state.busy += 1;
        let covered = state.covers();
        Some(Lease { environment: Some(idle.environment), covered, pool: Arc::clone(self) })
    }

    /// Joins the line for the next environment that becomes free.
    pub(crate) fn wait(&self) -> oneshot::Receiver<Lease> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        while state.waiters.front().is_some_and(oneshot::Sender::is_closed) {
            state.waiters.pop_front();
        }
        state.waiters.push_back(sender);
        receiver
    }

    /// Counts an environment that is being made.
    pub(crate) fn start(self: &Arc<Self>) -> Starting {
        self.lock().starting += 1;
        Starting { pool: Arc::clone(self) }
    }

    /// Ends what is idle now, and what works as soon as it has answered.
    pub(crate) fn retire(&self) {
        let mut state = self.lock();
        state.retired = true;
        let (idle, waiters) = (std::mem::take(&mut state.idle), std::mem::take(&mut state.waiters));
        state.provisioned = None;
        // Environments end outside the lock: their kill is a system call.
        drop(state);
        drop((idle, waiters));
        self.changed.notify_one();
    }

    /// Ends what is idle for `keep_ms` or longer, as far as it is not provisioned, and what is idle and older than
    /// `age_ms`: its credentials end. Gives the moment at which the wheel must look again.
    pub(crate) fn expire(&self, now: Timestamp, keep_ms: i64, age_ms: i64) -> Option<Timestamp> {
        let mut state = self.lock();
        let mut ended: Vec<Idle> =
            state.idle.extract_if(.., |idle| idle.environment.born.plus_ms(age_ms) <= now).collect();
        let unused = state.idle.partition_point(|idle| idle.since.plus_ms(keep_ms) <= now).min(state.spare());
        ended.extend(state.idle.drain(..unused));
        let spare = state.spare();
        let by_use = state.idle.first().filter(|_| spare > 0).map(|idle| idle.since.plus_ms(keep_ms));
        // Those that are provisioned end by their age alone.
        let kept = if spare < state.idle.len() { state.idle.as_slice() } else { &[] };
        let by_age = kept.iter().map(|idle| idle.environment.born.plus_ms(age_ms)).min();
        let due = by_use.into_iter().chain(by_age).min();
        state.watched = due.is_some();
        drop(state);
        if !ended.is_empty() {
            drop(ended);
            self.changed.notify_one();
        }
        due
    }

    /// Since when the least recently used idle environment is idle, if it may end.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        let state = self.lock();
        state.idle.first().filter(|_| state.spare() > 0).map(|idle| idle.since)
    }

    /// Ends the least recently used idle environment, unless as many are provisioned as there are.
    pub(crate) fn evict_oldest(&self) -> bool {
        let mut state = self.lock();
        let evicted = (state.spare() > 0).then(|| state.idle.remove(0));
        drop(state);
        evicted.is_some()
    }

    /// Sets how many environments are kept ready, and what they run; says whether a keeper must begin. With 0 those that are
    /// there grow old as all do.
    pub(crate) fn provision(&self, target: &Arc<Target>, wanted: usize) -> bool {
        let mut state = self.lock();
        if state.retired {
            return false;
        }
        state.provisioned = (wanted > 0).then(|| Ahead { target: Arc::clone(target), wanted, failure: None });
        // A keeper that is on its way to its end looks once more.
        let begins = wanted > 0 && !state.keeping;
        state.keeping |= begins;
        drop(state);
        self.changed.notify_one();
        begins
    }

    /// What provisioned environments run, how many are missing and how many there are; none when the pool wants none: then
    /// its keeper ends.
    pub(crate) fn missing(&self) -> Option<(Arc<Target>, usize, usize)> {
        let mut state = self.lock();
        match &state.provisioned {
            Some(ahead) => {
                let alive = state.alive();
                Some((Arc::clone(&ahead.target), ahead.wanted.saturating_sub(alive), alive))
            }
            None => {
                state.keeping = false;
                None
            }
        }
    }

    /// Why the last start ahead failed, or that it did not.
    pub(crate) fn failed(&self, why: Option<String>) {
        if let Some(ahead) = &mut self.lock().provisioned {
            ahead.failure = why;
        }
    }

    /// How far the provisioned environments are; none when the pool wants none.
    pub(crate) fn provisioned(&self) -> Option<Provisioned> {
        let state = self.lock();
        let ahead = state.provisioned.as_ref()?;
        let allocated = state.alive().min(ahead.wanted);
        let failure = ahead.failure.clone().filter(|_| allocated < ahead.wanted);
        Some(Provisioned { wanted: ahead.wanted, allocated, failure })
    }

    /// Forgets an environment whose process has ended by itself.
    pub(crate) fn forget(&self, id: EnvironmentId) {
        let mut state = self.lock();
        let at = state.idle.iter().position(|idle| idle.environment.id == id);
        let gone = at.map(|at| state.idle.remove(at));
        drop(state);
        drop(gone);
        self.changed.notify_one();
    }

    /// Memory that its environments have to themselves now, bytes.
    pub(crate) fn private_memory(&self) -> u64 {
        let meters = self.meters.lock().expect("no code panics while holding it").clone();
        meters.iter().filter_map(Weak::upgrade).map(|meter| meter.private_memory()).sum()
    }

    fn measure_by(&self, meter: Weak<dyn Control>) {
        let mut meters = self.meters.lock().expect("no code panics while holding it");
        meters.retain(|meter| meter.strong_count() > 0);
        meters.push(meter);
    }

    pub(crate) fn counts(&self) -> Counts {
        let state = self.lock();
        Counts { starting: state.starting, busy: state.busy, idle: state.idle.len() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while holding it")
    }
}

/// Counts an environment in the making until it is leased or given up.
pub(crate) struct Starting {
    pool: Arc<Pool>,
}

impl Starting {
    /// The environment is there and works at once.
    pub(crate) fn lease(self, environment: Box<Environment>) -> Lease {
        self.pool.measure_by(environment.control());
        self.pool.lock().busy += 1;
        Lease { environment: Some(environment), covered: false, pool: Arc::clone(&self.pool) }
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        self.pool.lock().starting -= 1;
    }
}

/// An environment in somebody's hands. Dropped instead of returned, the environment ends: it may be half-used.
pub(crate) struct Lease {
    // Present until returned or dropped.
    environment: Option<Box<Environment>>,
    // Whether provisioned concurrency covers what it is used for: it was there, and no more are in use than are kept ready.
    covered: bool,
    pool: Arc<Pool>,
}

impl Lease {
    /// Whether provisioned concurrency covers what it is used for.
    pub(crate) fn covered(&self) -> bool {
        self.covered
    }

    /// The environment.
    pub(crate) fn environment(&mut self) -> &mut Environment {
        self.environment.as_mut().expect("a lease holds its environment until it is returned")
    }

    /// Gives the environment back for the next invocation. Says whether the caller must have the keep-alive wheel look at
    /// this pool.
    pub(crate) fn give_back(mut self, now: Timestamp) -> bool {
        let pool = Arc::clone(&self.pool);
        let mut state = pool.lock();
        if state.retired || self.environment().has_ended() {
            drop(state);
            return false;
        }
        self.covered = state.covers();
        while let Some(waiter) = state.waiters.pop_front() {
            match waiter.send(self) {
                Ok(()) => return false,
                Err(back) => self = back,
            }
        }
        let Some(environment) = self.environment.take() else { return false };
        state.busy -= 1;
        state.idle.push(Idle { environment, since: now });
        !std::mem::replace(&mut state.watched, true)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(environment) = self.environment.take() {
            self.pool.lock().busy -= 1;
            drop(environment);
            self.pool.changed.notify_one();
        }
    }
}

//! The environments of one function version: who is idle, who works, who waits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use base::{EnvironmentId, ProvisionedUse, Timestamp};
use sandbox::Control;
use tokio::sync::{Notify, Semaphore, oneshot};

use crate::ahead::{Ahead, Plan};
use crate::crowd::Crowds;
use crate::environment::Environment;
use crate::freeze::{Frost, Keeper, May};
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
    /// Rung when a provisioned environment is lost or their number changes, for their keeper.
    pub(crate) changed: Notify,
    /// What its version's invocations are counted by.
    pub(crate) tally: Arc<Tally>,
    /// Who is in which environment, where one serves many at a time.
    pub(crate) crowds: Crowds<Opened>,
    // Who freezes what is idle.
    freezer: Arc<Keeper>,
    state: Mutex<State>,
    // What measures its environments. Apart from the state, so that who looks holds up nobody.
    meters: Mutex<Vec<Weak<dyn Control>>>,
}

#[derive(Default)]
struct State {
    // Started on demand. The last one used is on top and is used next: its caches are warm, and those below grow old and end.
    idle: Vec<Idle>,
    // Started ahead. They are used before the others, and end when they are replaced or no longer wanted.
    kept: Vec<Idle>,
    // Invocations in the line for an environment, first come first served. A closed sender has gone elsewhere.
    waiters: VecDeque<oneshot::Sender<Lease>>,
    starting: usize,
    busy: usize,
    // Nothing returns to a retired pool.
    retired: bool,
    // Whether the keep-alive wheel will look here: it holds one entry for each pool, however often it is used.
    watched: bool,
    // What there is to know of those that are started ahead, idle or not.
    ahead: Ahead,
    // Whether the one who freezes will, likewise.
    cooling: Option<Instant>,
}

impl State {
    /// Changes how many are started ahead, and what the books hold back for them.
    fn order<R>(&mut self, seat: &Seat, change: impl FnOnce(&mut Ahead) -> R) -> R {
        let count = |ahead: &Ahead| u32::try_from(ahead.wanted()).unwrap_or(u32::MAX);
        let was = count(&self.ahead);
        let done = change(&mut self.ahead);
        seat.provision(was, count(&self.ahead));
        done
    }
}

struct Idle {
    environment: Box<Environment>,
    since: Timestamp,
    // When it is to be frozen; none once that is done, or never to be.
    freeze_at: Option<Instant>,
    // How long it is waited for, should it not be ready for that.
    patience: Duration,
}

/// Environments of one pool by what they do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) starting: usize,
    pub(crate) busy: usize,
    pub(crate) idle: usize,
    /// Of those that are idle.
    pub(crate) frozen: usize,
}

impl Pool {
    pub(crate) fn new(key: TargetKey, seat: Seat, starts: usize, tally: Arc<Tally>, freezer: Arc<Keeper>) -> Arc<Self> {
        let starts = Arc::new(Semaphore::new(starts.max(1)));
        Arc::new(Self {
            key,
            seat,
            starts,
            changed: Notify::new(),
            tally,
            crowds: Crowds::default(),
            freezer,
            state: Mutex::default(),
            meters: Mutex::default(),
        })
    }

    /// An environment that was started ahead, or else the one used last, if one is idle.
    pub(crate) fn take_idle(self: &Arc<Self>) -> Option<Lease> {
        let mut state = self.lock();
        let ahead = state.kept.pop();
        let kept = ahead.is_some();
        let idle = ahead.or_else(|| state.idle.pop())?;
        state.busy += 1;
        let ready = state.ahead.in_use(state.kept.len());
        drop(state);
        if idle.environment.frost.wake()
            && let Some(client) = idle.environment.web()
        {
            // A program that stood still may be about to close what it would have closed long ago.
            client.forget();
        }
        Some(Lease { environment: Some(idle.environment), kept, ready, pool: Arc::clone(self) })
    }

    /// Adds to `due` what is to be frozen now. Gives the moment at which to look again. `after` is how long it waits for one
    /// whose runtime does not ask for its next event, and twice as long each time.
    pub(crate) fn freezable(&self, now: Instant, after: Duration, due: &mut Vec<Arc<Frost>>) -> Option<Instant> {
        let mut state = self.lock();
        let State { idle, kept, cooling, .. } = &mut *state;
        for idle in idle.iter_mut().chain(&mut *kept).filter(|idle| idle.freeze_at.is_some_and(|at| at <= now)) {
            idle.freeze_at = match idle.environment.may_freeze() {
                May::Now => {
                    due.push(Arc::clone(&idle.environment.frost));
                    None
                }
                May::NotYet => {
                    idle.patience = idle.patience.max(after).saturating_mul(2);
                    now.checked_add(idle.patience)
                }
                May::Never => None,
            };
        }
        let next = idle.iter().chain(&*kept).filter_map(|idle| idle.freeze_at).min();
        *cooling = next;
        next
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
        let kept = std::mem::take(&mut state.kept);
        state.order(&self.seat, Ahead::end);
        // Environments end outside the lock: their kill is a system call.
        drop(state);
        drop((idle, kept, waiters));
        self.changed.notify_one();
    }

    /// Ends what is idle for `keep_ms` or longer, and what is idle and older than `age_ms`: its credentials end. Those
    /// that were started ahead stay: their keeper replaces them. Gives the moment at which the wheel must look again.
    pub(crate) fn expire(&self, now: Timestamp, keep_ms: i64, age_ms: i64) -> Option<Timestamp> {
        let mut state = self.lock();
        let mut ended: Vec<Idle> =
            state.idle.extract_if(.., |idle| idle.environment.born.plus_ms(age_ms) <= now).collect();
        let unused = state.idle.partition_point(|idle| idle.since.plus_ms(keep_ms) <= now);
        ended.extend(state.idle.drain(..unused));
        let due = state.idle.first().map(|idle| idle.since.plus_ms(keep_ms));
        state.watched = due.is_some();
        // Environments end outside the lock, as below.
        drop(state);
        drop(ended);
        due
    }

    /// Since when the least recently used idle environment is idle that was started on demand.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        self.lock().idle.first().map(|idle| idle.since)
    }

    /// Ends the least recently used idle environment that was started on demand.
    pub(crate) fn evict_oldest(&self) -> bool {
        let mut state = self.lock();
        let evicted = (!state.idle.is_empty()).then(|| state.idle.remove(0));
        drop(state);
        evicted.is_some()
    }

    /// How many idle environments were started on demand.
    pub(crate) fn on_demand(&self) -> usize {
        self.lock().idle.len()
    }

    /// Sets how many environments are kept ready, and what they run; says whether a keeper must begin, and whether the wheel must
    /// look at this pool: those that are too many are on demand from now on.
    pub(crate) fn provision(&self, target: &Arc<Target>, wanted: usize, now: Timestamp) -> (bool, bool) {
        let mut state = self.lock();
        if state.retired {
            return (false, false);
        }
        let begins = state.order(&self.seat, |ahead| ahead.order(target, wanted));
        let surplus = state.ahead.surplus().min(state.kept.len());
        let freed: Vec<Idle> = state.kept.drain(..surplus).collect();
        for idle in freed {
            state.ahead.release(idle.environment.id);
            state.idle.push(Idle { since: now, ..idle });
        }
        let watch = surplus > 0 && !std::mem::replace(&mut state.watched, true);
        drop(state);
        self.changed.notify_one();
        (begins, watch)
    }

    /// What is to be done for those that are started ahead; none when the pool wants none: then its keeper ends.
    pub(crate) fn plan(&self, now: Timestamp) -> Option<Plan> {
        self.lock().ahead.plan(now)
    }

    /// Completes when no more of them are to be started.
    pub(crate) async fn sated(&self, now: Timestamp) {
        while self.lock().ahead.missing(now) > 0 {
            self.changed.notified().await;
        }
    }

    /// Completes when another order has come than that of this number.
    pub(crate) async fn reordered(&self, number: u64) {
        while self.lock().ahead.number() == Some(number) {
            self.changed.notified().await;
        }
    }

    /// Ends one that was started ahead, is to be replaced, and is idle; says whether there was one.
    pub(crate) fn end_old(&self, now: Timestamp) -> bool {
        let mut state = self.lock();
        let at = state.kept.iter().position(|idle| state.ahead.is_old(idle.environment.id, now));
        let ended = at.map(|at| state.kept.remove(at));
        if let Some(idle) = &ended {
            state.ahead.release(idle.environment.id);
        }
        drop(state);
        ended.is_some()
    }

    /// Why the last start ahead failed, or that it did not.
    pub(crate) fn failed(&self, why: Option<String>) {
        self.lock().ahead.failed(why);
    }

    /// How far the provisioned environments are; none when the pool wants none.
    pub(crate) fn provisioned(&self) -> Option<Provisioned> {
        self.lock().ahead.progress()
    }

    /// Forgets an environment whose process has ended by itself, or with the helper.
    pub(crate) fn forget(&self, id: EnvironmentId, with_helper: bool) {
        let mut state = self.lock();
        let at = |all: &[Idle]| all.iter().position(|idle| idle.environment.id == id);
        let gone = match (at(&state.idle), at(&state.kept)) {
            (Some(at), _) => Some(state.idle.remove(at)),
            (None, Some(at)) => Some(state.kept.remove(at)),
            (None, None) => None,
        };
        let lost = gone.as_ref().is_some_and(|idle| match with_helper {
            true => state.ahead.release(id),
            false => state.ahead.lose(id, idle.environment.born),
        });
        drop(state);
        if lost {
            self.changed.notify_one();
        }
        drop(gone);
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
        let both = || state.idle.iter().chain(&state.kept);
        let frozen = both().filter(|idle| idle.environment.frost.is_frozen()).count();
        Counts { starting: state.starting, busy: state.busy, idle: both().count(), frozen }
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
        let mut state = self.pool.lock();
        state.busy += 1;
        let ready = state.ahead.in_use(state.kept.len());
        drop(state);
        Lease { environment: Some(environment), kept: false, ready, pool: Arc::clone(&self.pool) }
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
    // Whether it was started ahead.
    kept: bool,
    // How many of those were in use when it was lent.
    ready: Option<ProvisionedUse>,
    pool: Arc<Pool>,
}

impl Lease {
    /// Whether provisioned concurrency covers what it is used for: it was started ahead.
    pub(crate) fn covered(&self) -> bool {
        self.kept
    }

    /// How much of the version's provisioned concurrency was in use when it was lent, itself included.
    pub(crate) fn ready(&self) -> Option<ProvisionedUse> {
        self.ready
    }

    /// It was started ahead, and is to be replaced at `renew`. One that it replaces ends, if that is idle.
    pub(crate) fn keep(&mut self, renew: Timestamp, now: Timestamp) {
        let id = self.environment().id;
        let mut state = self.pool.lock();
        if state.retired {
            return;
        }
        state.ahead.keep(id, renew);
        let surplus = state.ahead.surplus() > 0;
        drop(state);
        self.kept = true;
        if surplus {
            self.pool.end_old(now);
        }
    }

    /// The environment.
    pub(crate) fn environment(&mut self) -> &mut Environment {
        self.environment.as_mut().expect("a lease holds its environment until it is returned")
    }

    /// Gives the environment back for the next invocation, at this moment of the product and the transport clock. Says
    /// whether the caller must have the keep-alive wheel look at this pool.
    pub(crate) fn give_back(mut self, (now, at): (Timestamp, Instant)) -> bool {
        let pool = Arc::clone(&self.pool);
        let mut state = pool.lock();
        if state.retired || self.environment().has_ended() {
            drop(state);
            return false;
        }
        if self.kept && state.ahead.spares(self.environment().id, now) {
            self.kept = false;
            state.ahead.release(self.environment().id);
        }
        self.ready = state.ahead.in_use(state.kept.len());
        while let Some(waiter) = state.waiters.pop_front() {
            match waiter.send(self) {
                Ok(()) => return false,
                Err(back) => self = back,
            }
        }
        let Some(environment) = self.environment.take() else { return false };
        state.busy -= 1;
        // Before anybody can take it.
        environment.frost.rest();
        let freeze_at = pool.freezer.due(at);
        let idle = Idle { environment, since: now, freeze_at, patience: Duration::ZERO };
        let unwatched = if self.kept {
            state.kept.push(idle);
            false
        } else {
            state.idle.push(idle);
            !std::mem::replace(&mut state.watched, true)
        };
        // An entry that is due later may be that of another one.
        let cools = freeze_at.filter(|at| state.cooling.is_none_or(|due| *at < due));
        state.cooling = cools.or(state.cooling);
        drop(state);
        if let Some(due) = cools {
            pool.freezer.add(&pool, due);
        }
        unwatched
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(environment) = self.environment.take() {
            let mut state = self.pool.lock();
            state.busy -= 1;
            let lost = self.kept && state.ahead.lose(environment.id, environment.born);
            drop(state);
            drop(environment);
            if lost {
                self.pool.changed.notify_one();
            }
        }
    }
}

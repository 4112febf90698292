//! The environments of one function version: who is idle, who works, who waits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use base::{EnvironmentId, Timestamp};
use tokio::sync::{Semaphore, oneshot};

use crate::TargetKey;
use crate::environment::Environment;
use crate::permits::Seat;

/// The environments of one function version at one revision.
pub(crate) struct Pool {
    pub(crate) key: TargetKey,
    /// Where its invocations count.
    pub(crate) seat: Seat,
    /// Its share of the line for starts, see [`crate::host::Host::place`].
    pub(crate) starts: Arc<Semaphore>,
    state: Mutex<State>,
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
    pub(crate) fn new(key: TargetKey, seat: Seat, starts: usize) -> Arc<Self> {
        Arc::new(Self { key, seat, starts: Arc::new(Semaphore::new(starts.max(1))), state: Mutex::default() })
    }

    /// The environment used last, if one is idle.
    pub(crate) fn take_idle(self: &Arc<Self>) -> Option<Lease> {
        let mut state = self.lock();
        let idle = state.idle.pop()?;
        state.busy += 1;
        Some(Lease { environment: Some(idle.environment), pool: Arc::clone(self) })
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
        // Environments end outside the lock: their kill is a system call.
        drop(state);
        drop((idle, waiters));
    }

    /// Ends what has been idle since `limit` or longer; gives the moment since which the oldest that remains is idle, at
    /// whose end the wheel must look again.
    pub(crate) fn expire(&self, limit: Timestamp) -> Option<Timestamp> {
        let mut state = self.lock();
        let ended = state.idle.partition_point(|idle| idle.since <= limit);
        let ended: Vec<Idle> = state.idle.drain(..ended).collect();
        let oldest = state.idle.first().map(|idle| idle.since);
        state.watched = oldest.is_some();
        drop(state);
        drop(ended);
        oldest
    }

    /// Since when the least recently used idle environment is idle.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        self.lock().idle.first().map(|idle| idle.since)
    }

    /// Ends the least recently used idle environment.
    pub(crate) fn evict_oldest(&self) -> bool {
        let mut state = self.lock();
        let evicted = (!state.idle.is_empty()).then(|| state.idle.remove(0));
        drop(state);
        evicted.is_some()
    }

    /// Forgets an environment whose process has ended by itself.
    pub(crate) fn forget(&self, id: EnvironmentId) {
        let mut state = self.lock();
        let at = state.idle.iter().position(|idle| idle.environment.id == id);
        let gone = at.map(|at| state.idle.remove(at));
        drop(state);
        drop(gone);
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
        self.pool.lock().busy += 1;
        Lease { environment: Some(environment), pool: Arc::clone(&self.pool) }
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
    pool: Arc<Pool>,
}

impl Lease {
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
        }
    }
}

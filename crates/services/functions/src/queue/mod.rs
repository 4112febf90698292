//! Event source mappings that read queues: one reader each, woken by the queue's bell, which never polls.
//!
//! A mapping's row is the truth; a reader lives as long as the row says that the mapping delivers, and until its batches
//! have ended. A message is deleted when the function has done it and not before, so that it is delivered at least once
//! whatever happens. Source: AWS Lambda Developer Guide, "Using Lambda with Amazon SQS".

mod answer;
mod batch;
mod client;
mod event;
mod filter;
mod pace;
mod reader;

pub(crate) use client::{Queue, denied, no_queue, role_of};

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::{Clocks, Fault, News};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::Functions;
use crate::source::Mapping;
use crate::state::Home;

/// Where a mapping's row is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Spot {
    pub(crate) home: Home,
    pub(crate) uuid: String,
}

/// All readers.
#[derive(Default)]
pub(crate) struct Readers {
    known: Mutex<HashMap<Spot, Arc<Reader>>>,
    // Mappings that may need a reader: each stands here once.
    changed: Mutex<HashSet<Spot>>,
    news: News,
    // Batches of all mappings, each until what it has done is deleted.
    under_way: watch::Sender<usize>,
}

/// One batch under way.
struct UnderWay(Arc<Functions>);

impl UnderWay {
    fn new(functions: &Arc<Functions>) -> Self {
        functions.readers.under_way.send_modify(|count| *count += 1);
        Self(Arc::clone(functions))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.readers.under_way.send_modify(|count| *count -= 1);
    }
}

/// One mapping that delivers, or whose last batches are under way.
#[derive(Default)]
pub(crate) struct Reader {
    inner: Mutex<Inner>,
    // Told when the mapping changed and when a batch has ended.
    news: News,
    // A batch has succeeded: one that found no room may try again. Told to all when there shall be no more.
    freed: Notify,
}

#[derive(Default)]
struct Inner {
    // None once it shall deliver no more.
    mapping: Option<Arc<Mapping>>,
    running: usize,
    // Batches under way that wait for room in the function.
    throttled: usize,
    // Why messages are not read or deleted: which action, and what it was answered.
    problem: Option<(&'static str, String)>,
    // What the batches that ended since say of the function.
    failures: usize,
    troubled: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is seen of a mapping besides its row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Seen {
    /// Batches under way.
    pub(crate) running: usize,
    /// Why it does not get on.
    pub(crate) problem: Option<String>,
}

impl Readers {
    /// What is seen of a mapping.
    pub(crate) fn seen(&self, spot: &Spot) -> Seen {
        let Some(reader) = lock(&self.known).get(spot).cloned() else { return Seen::default() };
        let inner = lock(&reader.inner);
        Seen { running: inner.running, problem: inner.problem.as_ref().map(|(_, text)| text.clone()) }
    }

    /// A mapping's row has changed: from now on no batch begins that it does not want.
    pub(crate) fn changed(&self, spot: &Spot, mapping: Option<&Mapping>, clocks: &dyn Clocks) {
        let wanted = mapping.filter(|mapping| mapping.reads_queue());
        let known = lock(&self.known);
        if let Some(reader) = known.get(spot) {
            reader.becomes(wanted, clocks);
        } else if wanted.is_some() {
            lock(&self.changed).insert(spot.clone());
            self.news.tell(clocks);
        }
    }

    /// Forgets a reader that has nothing left to do; false if it has again.
    fn gone(&self, spot: &Spot, reader: &Arc<Reader>) -> bool {
        let mut known = lock(&self.known);
        let inner = lock(&reader.inner);
        if inner.mapping.is_some() || inner.running > 0 {
            return false;
        }
        drop(inner);
        known.remove(spot);
        true
    }
}

impl Reader {
    fn becomes(&self, mapping: Option<&Mapping>, clocks: &dyn Clocks) {
        lock(&self.inner).mapping = mapping.cloned().map(Arc::new);
        self.news.tell(clocks);
    }

    fn mapping(&self) -> Option<Arc<Mapping>> {
        lock(&self.inner).mapping.clone()
    }

    /// Whether the mapping is still this one.
    fn still(&self, mapping: &Arc<Mapping>) -> bool {
        lock(&self.inner).mapping.as_ref().is_some_and(|now| Arc::ptr_eq(now, mapping))
    }

    /// Begins a batch, if the mapping still wants any.
    fn begin(&self) -> bool {
        let mut inner = lock(&self.inner);
        if inner.mapping.is_none() {
            return false;
        }
        inner.running += 1;
        true
    }

    fn end(&self, clocks: &dyn Clocks) {
        lock(&self.inner).running -= 1;
        self.news.tell(clocks);
    }

    /// Batches under way, and those of them that wait for room.
    fn running(&self) -> (usize, usize) {
        let inner = lock(&self.inner);
        (inner.running, inner.throttled)
    }

    fn cannot(&self, action: &'static str, fault: &Fault) {
        let why = if denied(fault) {
            format!("PROBLEM: The provided execution role does not have permissions to call {action} on SQS")
        } else {
            format!(
                "PROBLEM: Error occurred while {action}. SQS Error Code: {}. SQS Error Message: {}",
                fault.code, fault.message
            )
        };
        lock(&self.inner).problem = Some((action, why));
    }

    /// There is no function.
    fn lacks(&self, fault: &Fault) {
        lock(&self.inner).problem = Some(("Invoke", format!("PROBLEM: {}", fault.message)));
    }

    fn can(&self, action: &'static str) {
        let mut inner = lock(&self.inner);
        if inner.problem.as_ref().is_some_and(|(of, _)| *of == action) {
            inner.problem = None;
        }
    }
}

/// Keeps a reader for each mapping that shall have one, until it is dropped. Batches under way then go on by themselves:
/// [`Functions::drain`] waits for them.
pub(crate) async fn read_all(functions: &Arc<Functions>) {
    let (clocks, readers) = (&functions.options.clocks, &functions.readers);
    let mut tasks = JoinSet::new();
    match functions.state.every_mapping() {
        Ok(all) => {
            for (home, uuid, mapping) in all {
                let spot = Spot { home, uuid };
                if mapping.deleting {
                    functions.remove_mapping(&spot, mapping).await;
                } else if mapping.reads_queue() {
                    lock(&readers.changed).insert(spot);
                }
            }
        }
        Err(fault) => tracing::error!(%fault, "the event source mappings cannot be read"),
    }
    let mut turn = clocks.turn().called("the readers of queues begin");
    loop {
        let changed = std::mem::take(&mut *lock(&readers.changed));
        for spot in changed {
            match functions.state.mapping(&spot.home, &spot.uuid) {
                Ok(mapping) => start(functions, &mut tasks, spot, mapping.filter(Mapping::reads_queue)),
                Err(fault) => tracing::error!(%fault, uuid = spot.uuid, "an event source mapping cannot be read"),
            }
        }
        drop(turn);
        while tasks.try_join_next().is_some() {}
        turn = readers.news.heard().await;
    }
}

fn start(functions: &Arc<Functions>, tasks: &mut JoinSet<()>, spot: Spot, mapping: Option<Mapping>) {
    let clocks = &functions.options.clocks;
    let mut known = lock(&functions.readers.known);
    if let Some(reader) = known.get(&spot) {
        reader.becomes(mapping.as_ref(), &**clocks);
    } else if mapping.is_some() {
        let reader = Arc::new(Reader::default());
        reader.becomes(mapping.as_ref(), &**clocks);
        known.insert(spot.clone(), Arc::clone(&reader));
        tasks.spawn(reader::read(Arc::clone(functions), spot, reader));
    }
}

impl Functions {
    /// Begins no more batches of queues' messages and waits for those under way, until what they have done is deleted. What
    /// found no room in its function is left to its queue. To be called once [`crate::Service::run`] was dropped.
    pub async fn drain(&self) {
        for reader in lock(&self.readers.known).values() {
            // Who would read on is not there any more, and is not told.
            lock(&reader.inner).mapping = None;
            reader.freed.notify_waiters();
        }
        // An error would mean that the sender is gone, which this room holds.
        drop(self.readers.under_way.subscribe().wait_for(|count| *count == 0).await);
    }

    /// Removes the row of a mapping that was being deleted.
    pub(crate) async fn remove_mapping(&self, spot: &Spot, mapping: Mapping) {
        let (taken, moved) = (|_: &str| Fault::internal("taken"), Fault::internal("moved"));
        // Whoever else removes it does the same.
        if let Err(fault) = self.state.put_mapping(&spot.home, &spot.uuid, (Some(mapping), None), taken, moved).await {
            tracing::debug!(%fault, uuid = spot.uuid, "an event source mapping was removed already");
        }
    }
}

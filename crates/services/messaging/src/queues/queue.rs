//! A queue in memory: its settings, its index, and who waits at it.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use base::Fault;
use bytes::Bytes;
use door::ConditionKeys;
use store::{Error, Kv, Range, Space};
use tokio::sync::{Notify, OwnedRwLockReadGuard};

use super::engine::Queues;
use super::faults;
use super::index::Index;
use super::rules::redrive::Redrive;
use super::rules::stored::{State, Stored};
use super::state::{self, Count};
use super::types::{Definition, QueueName};

/// Messages read at a time.
const PAGE: usize = 128;
/// States read at a time.
const STATES: usize = 1024;

/// A queue's row, and what follows from it.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) definition: Definition,
    pub(crate) redrive: Option<Redrive>,
    pub(crate) policy: Option<Arc<str>>,
    /// The condition keys of its tags.
    pub(crate) keys: ConditionKeys,
}

impl Settings {
    pub(crate) fn of(definition: Definition) -> Arc<Self> {
        // It was checked when it was set.
        let redrive = definition.attributes.redrive.as_deref().and_then(|policy| Redrive::read(policy).ok());
        let policy = definition.attributes.policy.as_deref().map(Into::into);
        let tags = definition.tags.iter();
        let keys = tags.map(|(key, value)| (format!("aws:ResourceTag/{key}"), vec![value.clone()])).collect();
        Arc::new(Self { definition, redrive, policy, keys })
    }

    pub(crate) fn is_fifo(&self) -> bool {
        self.definition.attributes.fifo.is_some()
    }
}

/// The messages of one call of a receiver that may ask again: when it was, and each number with its receipt.
pub(crate) type Attempt = (i64, Vec<(u64, u64)>);

/// A queue.
pub(crate) struct Queue {
    pub(crate) name: QueueName,
    pub(crate) arn: String,
    /// What is rung on the bell when a message may have become receivable.
    pub(crate) bell: String,
    settings: RwLock<Arc<Settings>>,
    /// Held for reading by everything that changes messages, and for writing by what changes the queue as a whole; true once
    /// it is deleted.
    pub(crate) gate: Arc<tokio::sync::RwLock<bool>>,
    // None until the first call that needs it.
    index: Mutex<Option<Index>>,
    // Held by whoever loads it.
    loading: tokio::sync::Mutex<()>,
    /// Told when a message may have become receivable: whoever hears of it looks, and tells the next if there is more.
    pub(crate) arrivals: Notify,
    /// What receivers may ask for again.
    pub(crate) attempts: Mutex<HashMap<String, Attempt>>,
    /// For when a timer stands; the largest number if none does.
    pub(crate) enrolled: AtomicI64,
    /// For which span of deduplication ids older ones were last given up.
    pub(crate) last_span: Mutex<Option<u64>>,
}

impl Queue {
    pub(crate) fn new(name: QueueName, definition: Definition) -> Arc<Self> {
        let arn = name.arn();
        Arc::new(Self {
            bell: format!("sqs:{arn}"),
            arn,
            name,
            settings: RwLock::new(Settings::of(definition)),
            gate: Arc::default(),
            index: Mutex::default(),
            loading: tokio::sync::Mutex::default(),
            arrivals: Notify::new(),
            attempts: Mutex::default(),
            enrolled: AtomicI64::new(i64::MAX),
            last_span: Mutex::default(),
        })
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes new settings; with another generation the messages are others too.
    pub(crate) fn change(&self, definition: Definition) {
        let mut settings = self.settings.write().unwrap_or_else(PoisonError::into_inner);
        if settings.definition.generation != definition.generation {
            *self.lock() = None;
            self.attempts.lock().unwrap_or_else(PoisonError::into_inner).clear();
            *self.last_span.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        *settings = Settings::of(definition);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Index>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters the queue to change messages, until the guard is dropped. The index is loaded then.
    ///
    /// # Errors
    /// NonExistentQueue if it was deleted; the store's.
    pub(crate) async fn enter(
        self: &Arc<Self>,
        room: &Arc<Queues>,
    ) -> Result<(OwnedRwLockReadGuard<bool>, Arc<Settings>), Fault> {
        let inside = Arc::clone(&self.gate).read_owned().await;
        if *inside {
            return Err(faults::no_queue());
        }
        if self.lock().is_none() {
            let _loading = self.loading.lock().await;
            if self.lock().is_none() {
                let (queue, room) = (Arc::clone(self), Arc::clone(room));
                tokio::task::spawn_blocking(move || queue.load(&room)).await.map_err(Fault::internal)??;
            }
        }
        Ok((inside, self.settings()))
    }

    /// Does something with the index of a queue that was entered.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Index) -> T) -> Option<T> {
        self.lock().as_mut().map(work)
    }

    fn load(&self, room: &Queues) -> Result<(), Error> {
        let (settings, now) = (self.settings(), room.clocks.product().0);
        let generation = settings.definition.generation;
        let view = room.kv.snapshot()?;
        let Count { total, head } = Count::read(view.get(Space::Queue, &state::count(generation))?.as_deref());
        let mut range = Range::prefix(state::all(generation, b's')).starting_at(state::state(generation, head));
        let mut states = Vec::new();
        loop {
            let rows = view.range(Space::Queue, range.clone(), STATES, false)?;
            let full = rows.len() == STATES;
            if let Some((last, _)) = rows.last() {
                range = range.after(last.clone());
            }
            for (key, value) in rows {
                let read = state::number(&key).zip(State::read(&value));
                let (number, (state, group)) = read.ok_or_else(|| state::damaged(&key))?;
                states.push((number, state, group));
            }
            if !full {
                break;
            }
        }
        let mut index = Index::new(settings.is_fifo(), total, head, states, now);
        // The number after the last message's, should the clock have been set back.
        let last = Range::prefix(state::all(generation, b'm')).starting_at(state::message(generation, head));
        let last = view.range(Space::Queue, last, 1, true)?;
        if let Some(last) = last.first().and_then(|(key, _)| state::number(key)) {
            index.reached(last);
        }
        *self.lock() = Some(index);
        Ok(())
    }

    /// Reads pages until `most` messages could be taken.
    pub(crate) fn read_ahead(kv: &dyn Kv, generation: u64, index: &mut Index, most: usize) -> Result<(), Error> {
        while let Some(from) = index.wants_page(most) {
            let mut range = Range::prefix(state::all(generation, b'm'));
            range.start = Bound::Included(state::message(generation, from));
            let rows = kv.range(Space::Queue, range, PAGE, false)?;
            let more = rows.len() == PAGE;
            let read = |(key, value): (Bytes, Bytes)| {
                let wrong = || state::damaged(&key);
                let number = state::number(&key).ok_or_else(wrong)?;
                let (group, large) = Stored::peek(&mut value.clone()).ok_or_else(wrong)?;
                Ok::<_, Error>((number, value, group.map(Into::into), large))
            };
            index.page(rows.into_iter().map(read).collect::<Result<_, _>>()?, more);
        }
        Ok(())
    }
}

//! Receiving: messages are handed out for a while, durably, before anybody sees them.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use base::Fault;
use bytes::Bytes;
use store::{Batch, Error, Space};

use super::engine::Queues;
use super::index::{Taken, Want};
use super::queue::{Queue, Settings};
use super::rules::handle::Handle;
use super::rules::stored::{State, Stored};
use super::seen::{Waiting, see_through};
use super::state;

/// Messages of a queue that may be in flight.
pub(super) const IN_FLIGHT: u64 = 120_000;
/// How long a receiver may ask again for the same messages, ms.
const ATTEMPT_MS: i64 = 300_000;
/// How often one call looks again after it found dead letters alone: the rest is the next one's.
const ROUNDS: usize = 8;
/// Calls of receivers that are remembered for it.
const ATTEMPTS: usize = 4096;

/// What a receiver wants.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    /// 1 to 10.
    pub(crate) most: usize,
    /// None: the queue's own.
    pub(crate) visibility_s: Option<u32>,
    /// None: the queue's own.
    pub(crate) wait_s: Option<u32>,
    /// Names this call, so that it may be repeated.
    pub(crate) attempt: Option<String>,
}

/// A message that was handed out.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) number: u64,
    pub(crate) handle: String,
    pub(crate) state: State,
    pub(crate) stored: Stored,
    pub(crate) body: Bytes,
}

impl Queues {
    /// Receives messages, and waits for some if there are none.
    ///
    /// # Errors
    /// NonExistentQueue, OverLimit; the store's.
    pub(crate) async fn receive(self: &Arc<Self>, queue: &Arc<Queue>, ask: Ask) -> Result<Vec<Received>, Fault> {
        let wait_s = ask.wait_s.unwrap_or(queue.settings().definition.attributes.wait_s);
        let over = (wait_s > 0).then(|| tokio::time::sleep(Duration::from_secs(wait_s.into())));
        let mut over = std::pin::pin!(over);
        loop {
            // Whoever hears of a message before looking for it misses none.
            let mut arrival = std::pin::pin!(queue.arrivals.notified());
            arrival.as_mut().enable();
            let received = self.look(queue, &ask, wait_s == 0).await?;
            if !received.is_empty() {
                return Ok(received);
            }
            let Some(over) = over.as_mut().as_pin_mut() else { return Ok(received) };
            tokio::select! {
                () = arrival => {}
                () = over => return Ok(received),
            }
        }
    }

    /// Takes what is there now. What the index says is brought to its end whether or not the receiver still waits.
    async fn look(self: &Arc<Self>, queue: &Arc<Queue>, ask: &Ask, short: bool) -> Result<Vec<Received>, Fault> {
        let (inside, settings) = queue.enter(self).await?;
        let (room, of, ask) = (Arc::clone(self), Arc::clone(queue), ask.clone());
        see_through(|waiting| async move {
            let received = room.look_inside(&of, &settings, &ask, short, &waiting).await;
            drop(inside);
            received
        })
        .await
    }

    async fn look_inside(
        self: &Arc<Self>,
        queue: &Arc<Queue>,
        settings: &Arc<Settings>,
        ask: &Ask,
        short: bool,
        waiting: &Waiting,
    ) -> Result<Vec<Received>, Fault> {
        let now = self.now();
        if queue.with(|index| is_old(index.oldest_ms(), settings, now)) == Some(true) {
            self.expire(queue, settings).await?;
        }
        if let Some(again) = self.repeat(queue, settings, ask).await? {
            return Ok(again);
        }
        for _ in 0..ROUNDS {
            if waiting.has_gone() {
                return Ok(Vec::new());
            }
            let dead_letters = self.dead_letters(settings)?;
            let maximum = dead_letters.as_ref().map(|(_, maximum)| *maximum);
            let want = Want { most: ask.most, visible_ms: self.visible_ms(ask, settings), maximum };
            let (taken, dead) = self.take(queue, settings, want, short)?;
            let moved = match dead_letters {
                Some((target, _)) if !dead.is_empty() => self.bury(queue, settings, &target, dead).await,
                _ => false,
            };
            if !taken.is_empty() {
                // Last, so that nothing is awaited once it is known that the receiver is still there.
                return self.hand_over(queue, settings, taken, ask.attempt.clone(), waiting).await;
            }
            // More may be there behind dead letters.
            if !moved {
                return Ok(Vec::new());
            }
        }
        // Whoever comes next goes on.
        self.wake(queue);
        Ok(Vec::new())
    }

    /// Until when what is handed out now is the receiver's.
    fn visible_ms(&self, ask: &Ask, settings: &Settings) -> i64 {
        let visibility_s = ask.visibility_s.unwrap_or(settings.definition.attributes.visibility_s);
        self.now() + i64::from(visibility_s) * 1000
    }

    fn take(
        &self,
        queue: &Arc<Queue>,
        settings: &Settings,
        want: Want,
        short: bool,
    ) -> Result<(Vec<Taken>, Vec<Taken>), Fault> {
        let (generation, now) = (settings.definition.generation, self.now());
        let taken = queue.with(|index| {
            index.advance(now);
            let (_, in_flight, _) = index.counts();
            if in_flight >= IN_FLIGHT {
                return match short && !settings.is_fifo() {
                    true => Err(model::sqs::over_limit(format!(
                        "Too many messages are in flight: at most {IN_FLIGHT} may be."
                    ))),
                    false => Ok(Default::default()),
                };
            }
            Queue::read_ahead(&*self.kv, generation, index, want.most)?;
            Ok(index.take(now, want, &mut || self.random()))
        });
        let taken = taken.unwrap_or_else(|| Ok(Default::default()));
        self.enrol(queue, settings);
        taken
    }

    /// Writes down that messages are handed out, and hands them out.
    async fn hand_over(
        &self,
        queue: &Arc<Queue>,
        settings: &Settings,
        taken: Vec<Taken>,
        attempt: Option<String>,
        waiting: &Waiting,
    ) -> Result<Vec<Received>, Fault> {
        let (generation, now) = (settings.definition.generation, self.now());
        let states = taken.iter().map(|one| (one.number, one.state, one.group.clone())).collect::<Vec<_>>();
        if let Err(error) = self.write_states(generation, states).await {
            queue.with(|index| taken.into_iter().for_each(|one| index.give_back(one, now)));
            self.wake(queue);
            return Err(error.into());
        }
        // While nobody else can have them: their receipts are known to none.
        if waiting.has_gone() {
            self.take_back(queue, generation, taken).await;
            return Ok(Vec::new());
        }
        let read: Result<Vec<_>, Error> = taken.iter().map(|one| self.read(settings, one)).collect();
        let available = queue.with(|index| {
            taken.iter().for_each(|one| index.settle(one.number));
            index.advance(now);
            index.is_available()
        });
        let mut received = Vec::with_capacity(taken.len());
        let mut missing = Vec::new();
        for (one, read) in taken.iter().zip(read?) {
            match read {
                Some(message) => received.push(message),
                None => missing.push(one.number),
            }
        }
        if !missing.is_empty() {
            tracing::error!(queue = queue.arn, ?missing, "messages have a state and no row; they are forgotten");
            queue.with(|index| missing.iter().for_each(|number| index.gone(*number)));
        }
        if let Some(attempt) = attempt {
            let of = received.iter().map(|one| (one.number, one.state.receipt)).collect();
            queue.remember_attempt(attempt, now, of);
        }
        if available == Some(true) {
            queue.arrivals.notify_one();
        }
        Ok(received)
    }

    /// Nobody is there to receive what was taken.
    async fn take_back(&self, queue: &Arc<Queue>, generation: u64, taken: Vec<Taken>) {
        let before: Vec<_> =
            taken.iter().map(|one| (one.number, one.before.map(|state| state.write(one.group.as_deref())))).collect();
        let write = move |_: &store::Rows| {
            let mut batch = Batch::new();
            for (number, before) in &before {
                let row = state::state(generation, *number);
                match before {
                    Some(before) => batch.put(Space::Queue, row, before.clone()),
                    None => batch.delete(Space::Queue, row),
                };
            }
            Ok(batch)
        };
        match self.kv.transact(Vec::new(), Box::new(write)).await {
            Ok(()) => {
                let now = self.now();
                queue.with(|index| taken.into_iter().for_each(|one| index.give_back(one, now)));
                self.wake(queue);
            }
            // They come back when their time is over.
            Err(error) => {
                tracing::warn!(%error, "messages of a receiver that has gone cannot be given back");
                queue.with(|index| taken.iter().for_each(|one| index.settle(one.number)));
            }
        }
    }

    /// Writes states. A full disk is no reason not to: who receives deletes.
    pub(crate) async fn write_states(
        &self,
        generation: u64,
        states: Vec<(u64, State, Option<Arc<str>>)>,
    ) -> Result<(), Error> {
        let rows: Vec<_> = states
            .into_iter()
            .map(|(number, state, group)| (state::state(generation, number), state.write(group.as_deref())))
            .collect();
        let write = |rows: Vec<(Bytes, Bytes)>, makes_room: bool| {
            move |_: &store::Rows| {
                let mut batch = Batch::new();
                for (key, value) in &rows {
                    batch.put(Space::Queue, key.clone(), value.clone());
                }
                if makes_room {
                    // A row that is never there: what deletes is let through.
                    batch.delete(Space::Queue, state::all(generation, b'-'));
                }
                Ok(batch)
            }
        };
        match self.kv.transact(Vec::new(), Box::new(write(rows.clone(), false))).await {
            Err(Error::Full) => self.kv.transact(Vec::new(), Box::new(write(rows, true))).await,
            other => other,
        }
    }

    fn read(&self, settings: &Settings, taken: &Taken) -> Result<Option<Received>, Error> {
        let (generation, number) = (settings.definition.generation, taken.number);
        let row = state::message(generation, number);
        let value = match &taken.row {
            Some(value) => value.clone(),
            None => match self.kv.get(Space::Queue, &row)? {
                Some(value) => value,
                None => return Ok(None),
            },
        };
        let mut stored = Stored::read(value).ok_or_else(|| state::damaged(&row))?;
        let body = match stored.body.take() {
            Some(body) => body,
            None => {
                let row = state::body(generation, number);
                self.kv.get(Space::Queue, &row)?.ok_or_else(|| state::damaged(&row))?
            }
        };
        let state = taken.state;
        let handle = Handle { queue: settings.definition.id, number, receipt: state.receipt }.text();
        Ok(Some(Received { number, handle, state, stored, body }))
    }

    /// The messages of an earlier call of the same name, which are the receiver's anew; none if there was no such call, or
    /// something has become of one of them.
    async fn repeat(&self, queue: &Arc<Queue>, settings: &Settings, ask: &Ask) -> Result<Option<Vec<Received>>, Fault> {
        let (now, visible_ms) = (self.now(), self.visible_ms(ask, settings));
        let Some(of) = ask.attempt.as_deref().and_then(|attempt| queue.attempt(attempt, now)) else { return Ok(None) };
        let changed = queue.with(|index| {
            let held = of.iter().all(|(number, receipt)| index.held(*number, *receipt, now).is_some());
            let change = |(number, receipt): &(u64, u64)| match index.change(*number, *receipt, visible_ms, now) {
                super::index::Change::Made(before, after) => Some((*number, before, after)),
                _ => None,
            };
            held.then(|| of.iter().filter_map(change).collect::<Vec<_>>())
        });
        let Some(changed) = changed.flatten() else { return Ok(None) };
        let read = |(number, _, state): &(u64, State, State)| {
            let taken = Taken { number: *number, state: *state, before: None, row: None, group: None };
            self.read(settings, &taken)
        };
        let again: Result<Vec<_>, Error> = changed.iter().map(read).collect();
        if again.is_err() {
            queue.with(|index| changed.iter().for_each(|(number, before, _)| index.unchange(*number, *before, now)));
        }
        let again = again?.into_iter().flatten().collect();
        // What its receiver deletes meanwhile stays deleted.
        self.restate(queue, settings, changed).await?;
        Ok(Some(again))
    }
}

impl Queue {
    fn attempt(&self, name: &str, now: i64) -> Option<Vec<(u64, u64)>> {
        let attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.get(name).filter(|(at, _)| at + ATTEMPT_MS > now).map(|(_, of)| of.clone())
    }

    fn remember_attempt(&self, name: String, now: i64, of: Vec<(u64, u64)>) {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        if attempts.len() >= ATTEMPTS {
            attempts.retain(|_, (at, _)| *at + ATTEMPT_MS > now);
        }
        if attempts.len() < ATTEMPTS {
            attempts.insert(name, (now, of));
        }
    }
}

/// Whether the oldest message of a queue is too old.
pub(crate) fn is_old(oldest_ms: Option<i64>, settings: &Settings, now: i64) -> bool {
    oldest_ms.is_some_and(|oldest| oldest.saturating_add(settings.definition.attributes.retention_ms()) <= now)
}

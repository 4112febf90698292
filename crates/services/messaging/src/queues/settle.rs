//! What receivers say of messages: that they are done, or until when they need them.

use std::sync::Arc;

use base::Fault;
use store::{Batch, Error, Key, Rows, Space, transact_with};

use super::engine::Queues;
use super::faults;
use super::index::{Change, Removal};
use super::queue::{Queue, Settings};
use super::receive::{IN_FLIGHT, is_old};
use super::rules::handle::Handle;
use super::rules::stored::State;
use super::seen::see_through;
use super::state::{self, Count};

/// How long a message may be a receiver's, ms, all extensions together.
const LONGEST_MS: i64 = 43_200_000;
/// Messages that are too old, deleted at once.
const EXPIRED: usize = 256;

impl Queues {
    /// Deletes by receipt handles, each by itself: durable when it answers.
    ///
    /// # Errors
    /// NonExistentQueue; the store's.
    pub(crate) async fn delete(
        self: &Arc<Self>,
        queue: &Arc<Queue>,
        handles: Vec<String>,
    ) -> Result<Vec<Result<(), Fault>>, Fault> {
        let (inside, settings) = queue.enter(self).await?;
        let now = self.now();
        let id = settings.definition.id;
        let read: Vec<_> = handles.iter().map(|handle| Handle::read(handle, id)).collect();
        let mut leaving = Vec::new();
        let outcomes = queue.with(|index| {
            let each = read.into_iter().zip(&handles).map(|(read, text)| {
                let handle = read?;
                match index.remove(handle.number, handle.receipt, now) {
                    Removal::Nothing => Ok(()),
                    Removal::Expired => {
                        Err(faults::parameter("ReceiptHandle", text, "The receipt handle has expired."))
                    }
                    Removal::Leaves { large } => {
                        leaving.push((handle.number, large));
                        Ok(())
                    }
                }
            });
            each.collect::<Vec<_>>()
        });
        if !leaving.is_empty() {
            let (room, queue) = (Arc::clone(self), Arc::clone(queue));
            let done = see_through(|_| async move {
                let done = room.remove(&queue, &settings, leaving).await;
                drop(inside);
                done
            });
            done.await?;
        }
        Ok(outcomes.unwrap_or_default())
    }

    /// Deletes messages that are leaving already.
    async fn remove(&self, queue: &Arc<Queue>, settings: &Settings, leaving: Vec<(u64, bool)>) -> Result<(), Fault> {
        let generation = settings.definition.generation;
        // What is leaving counts as being there still: no message that is not deleted for certain is passed over.
        let head = queue.with(|index| index.head()).unwrap_or_default();
        let count = state::count(generation);
        let keys = vec![Key::new(Space::Queue, count.clone())];
        let rows = leaving.clone();
        let run = move |read: &Rows| {
            let mut batch = Batch::new();
            for (number, large) in &rows {
                erase(&mut batch, generation, *number, *large);
            }
            let had = Count::read(read.get(Space::Queue, &count).as_deref());
            let total = had.total.saturating_sub(rows.len() as u64);
            batch.put(Space::Queue, count.clone(), Count { total, head: had.head.max(head) }.write());
            Ok((batch, ()))
        };
        let done = transact_with(&*self.kv, keys, run).await;
        let now = self.now();
        let available = queue.with(|index| {
            let was_full = index.counts().1 >= IN_FLIGHT;
            for (number, _) in leaving {
                if done.is_ok() { index.gone(number) } else { index.stay(number, now) }
            }
            (settings.is_fifo() || was_full) && index.is_available()
        });
        if available == Some(true) {
            self.wake(queue);
        }
        Ok(done?)
    }

    /// Changes until when messages are their receivers', each by itself: durable when it answers.
    ///
    /// # Errors
    /// NonExistentQueue; the store's.
    pub(crate) async fn change(
        self: &Arc<Self>,
        queue: &Arc<Queue>,
        wanted: Vec<(String, u32)>,
    ) -> Result<Vec<Result<(), Fault>>, Fault> {
        let (inside, settings) = queue.enter(self).await?;
        let now = self.now();
        let id = settings.definition.id;
        let mut made = Vec::new();
        let outcomes = queue.with(|index| {
            let each = wanted.iter().map(|(text, seconds)| {
                let handle = Handle::read(text, id)?;
                let visible_ms = now + i64::from(*seconds) * 1000;
                let held = index.held(handle.number, handle.receipt, now);
                if held.is_some_and(|state| visible_ms - state.taken_ms > LONGEST_MS) {
                    let reason = "Total VisibilityTimeout for the message is beyond the limit [43200 seconds].";
                    return Err(faults::parameter("VisibilityTimeout", seconds, reason));
                }
                match index.change(handle.number, handle.receipt, visible_ms, now) {
                    Change::Missing => {
                        let reason = "Message does not exist or is not available for visibility timeout change.";
                        Err(faults::parameter("ReceiptHandle", text, reason))
                    }
                    Change::Superseded => Err(model::sqs::message_not_inflight(
                        "The message that the receipt handle names is not in flight.",
                    )),
                    Change::Expired => Err(faults::parameter("ReceiptHandle", text, "The receipt handle has expired.")),
                    Change::Made(before, after) => {
                        made.push((handle.number, before, after));
                        Ok(())
                    }
                }
            });
            each.collect::<Vec<_>>()
        });
        if !made.is_empty() {
            let (room, queue) = (Arc::clone(self), Arc::clone(queue));
            let done = see_through(|_| async move {
                let done = room.restate(&queue, &settings, made).await;
                drop(inside);
                done
            });
            done.await?;
        }
        Ok(outcomes.unwrap_or_default())
    }

    pub(super) async fn restate(
        &self,
        queue: &Arc<Queue>,
        settings: &Settings,
        made: Vec<(u64, State, State)>,
    ) -> Result<(), Fault> {
        let generation = settings.definition.generation;
        let rows: Vec<_> = made.iter().map(|(number, _, after)| (state::state(generation, *number), *after)).collect();
        let keys = rows.iter().map(|(row, _)| Key::new(Space::Queue, row.clone())).collect();
        let run = move |read: &Rows| {
            let mut batch = Batch::new();
            for (row, after) in &rows {
                // Whoever deletes a message at the same time may have been first.
                let Some((_, group)) = read.get(Space::Queue, row).and_then(|value| State::read(&value)) else {
                    continue;
                };
                batch.put(Space::Queue, row.clone(), after.write(group.as_deref()));
            }
            Ok((batch, ()))
        };
        let done: Result<(), Error> = transact_with(&*self.kv, keys, run).await;
        let now = self.now();
        let available = queue.with(|index| {
            for (number, before, _) in made {
                if done.is_ok() { index.settle(number) } else { index.unchange(number, before, now) }
            }
            index.advance(now);
            index.has_ripened()
        });
        self.enrol(queue, settings);
        if available == Some(true) {
            self.wake(queue);
        }
        Ok(done?)
    }

    /// Deletes what has become too old.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn expire(&self, queue: &Arc<Queue>, settings: &Settings) -> Result<(), Fault> {
        let before_ms = self.now() - settings.definition.attributes.retention_ms();
        loop {
            let old = queue.with(|index| {
                if !is_old(index.oldest_ms(), settings, self.now()) {
                    return Ok(Vec::new());
                }
                Queue::read_ahead(&*self.kv, settings.definition.generation, index, 1)?;
                Ok::<_, Error>(index.expire(before_ms, EXPIRED))
            });
            let old = old.unwrap_or_else(|| Ok(Vec::new()))?;
            if old.is_empty() {
                return Ok(());
            }
            self.remove(queue, settings, old).await?;
        }
    }
}

/// Deletes the rows of a message.
pub(crate) fn erase(batch: &mut Batch, generation: u64, number: u64, large: bool) {
    batch.delete(Space::Queue, state::message(generation, number));
    batch.delete(Space::Queue, state::state(generation, number));
    if large {
        batch.delete(Space::Queue, state::body(generation, number));
    }
}

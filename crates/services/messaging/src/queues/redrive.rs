//! Dead letters: messages that were received too often move to another queue, once and durably.

use std::sync::Arc;

use base::Fault;
use store::{Batch, Error, Key, Rows, Space, transact_with};

use super::engine::Queues;
use super::index::{Arrival, Taken};
use super::queue::{Queue, Settings};
use super::rules::stored::{State, Stored};
use super::seen::see_through;
use super::send::{message_id, uuid};
use super::settle::erase;
use super::state::{self, Count};

impl Queues {
    /// The queue to which dead letters go, if it exists, and after how many receives they do.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn dead_letters(&self, settings: &Settings) -> Result<Option<(Arc<Queue>, u32)>, Fault> {
        let Some(redrive) = &settings.redrive else { return Ok(None) };
        Ok(self.by_arn(&redrive.target)?.map(|target| (target, redrive.maximum)))
    }

    /// Moves dead letters, which are leaving already; whether all went. What cannot be moved stays, and is tried again by the next
    /// receiver.
    pub(crate) async fn bury(
        self: &Arc<Self>,
        queue: &Arc<Queue>,
        settings: &Arc<Settings>,
        target: &Arc<Queue>,
        dead: Vec<Taken>,
    ) -> bool {
        let (room, queue, settings, target) =
            (Arc::clone(self), Arc::clone(queue), Arc::clone(settings), Arc::clone(target));
        let moving = see_through(|_| async move {
            let mut all = true;
            for one in dead {
                let number = one.number;
                if let Err(fault) = room.relocate(&queue, &settings, &target, one, true).await {
                    tracing::warn!(%fault, queue = queue.arn, target = target.arn, "a dead letter cannot be moved");
                    queue.with(|index| index.stay(number, room.now()));
                    all = false;
                }
            }
            all
        });
        moving.await
    }

    /// Moves one message, which is leaving already, to the end of another queue.
    ///
    /// # Errors
    /// NonExistentQueue if the other was deleted; the store's.
    pub(crate) async fn relocate(
        self: &Arc<Self>,
        queue: &Arc<Queue>,
        settings: &Settings,
        target: &Arc<Queue>,
        one: Taken,
        dead: bool,
    ) -> Result<(), Fault> {
        let (inside, into) = target.enter(self).await?;
        let now = self.now();
        let (from, to) = (settings.definition.generation, into.definition.generation);
        let row = state::message(from, one.number);
        let value = match one.row {
            Some(value) => value,
            None => self.kv.get(Space::Queue, &row)?.ok_or_else(|| state::damaged(&row))?,
        };
        let mut stored = Stored::read(value).ok_or_else(|| state::damaged(&row))?;
        let large = stored.body.is_none();
        let body = if large { self.kv.get(Space::Queue, &state::body(from, one.number))? } else { None };
        stored.source = dead.then(|| queue.arn.clone());
        let mut before = one.before.unwrap_or_default();
        if !dead {
            // As on AWS it is a new message.
            stored.id = message_id(self);
            stored.sent_ms = now;
            before = State::default();
        }
        if dead && into.is_fifo() {
            // As on AWS: what comes from several queues by the same id is not the same.
            stored.deduplication = Some(uuid(&stored.id));
        }
        // In a FIFO queue a message begins anew; in others it is as old as it was.
        let sent_ms = if into.is_fifo() { now } else { stored.sent_ms };
        let earlier = before.earlier.saturating_add(before.receives);
        let state = State { earlier, first_ms: before.first_ms, sent_ms, large, visible_ms: now, ..State::default() };
        let Some(number) = target.with(|index| index.next_number(now)) else { return Ok(()) };
        let moved = stored.write();
        let group: Option<Arc<str>> = stored.group.as_deref().filter(|_| into.is_fifo()).map(Into::into);
        let head = queue.with(|index| index.head()).unwrap_or_default();
        let counts = [state::count(from), state::count(to)];
        let keys = counts.iter().map(|row| Key::new(Space::Queue, row.clone())).collect();
        let (written, of, old) = (moved.clone(), group.clone(), one.number);
        let run = move |rows: &Rows| {
            let mut batch = Batch::new();
            erase(&mut batch, from, old, large);
            batch.put(Space::Queue, state::message(to, number), written.clone());
            batch.put(Space::Queue, state::state(to, number), state.write(of.as_deref()));
            if let Some(body) = &body {
                batch.put(Space::Queue, state::body(to, number), body.clone());
            }
            let [was, will] = [0, 1].map(|at: usize| Count::read(rows.get(Space::Queue, &counts[at]).as_deref()));
            let left = Count { total: was.total.saturating_sub(1), head: was.head.max(head) };
            batch.put(Space::Queue, counts[0].clone(), left.write());
            batch.put(Space::Queue, counts[1].clone(), Count { total: will.total + 1, ..will }.write());
            Ok((batch, ()))
        };
        let done: Result<(), Error> = transact_with(&*self.kv, keys, run).await;
        match done {
            Ok(()) => {
                queue.with(|index| index.gone(one.number));
                let arrival = Arrival { row: Some(moved), group, large, state: Some(state) };
                target.with(|index| index.arrive(number, arrival, now));
                self.enrol(target, &into);
                self.wake(target);
                if settings.is_fifo() {
                    self.wake(queue);
                }
            }
            Err(_) => drop(target.with(|index| index.abandon(number))),
        }
        drop(inside);
        Ok(done?)
    }
}

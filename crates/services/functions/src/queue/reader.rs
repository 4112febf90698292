//! The loop of one mapping: it waits for the queue's bell, takes what lies there and makes batches of it.

use std::collections::VecDeque;
use std::sync::Arc;

use base::{BoxFuture, Fault, Timestamp, Turn};
use futures_util::FutureExt;
use futures_util::future;
use model::sqs::{self, ops};

use super::batch::{self, Batch};
use super::event::{self, Piece};
use super::filter::Filters;
use super::pace::Pace;
use super::{Queue, Reader, Spot, role_of};
use crate::find::Found;
use crate::source::{Kind, Mapping, QUEUE_BATCH};
use crate::{Functions, destination};

/// The first and the longest rest of a reader that cannot read, ms.
const REST_MS: (i64, i64) = (1_000, 60_000);

/// What a reader has in hand.
#[derive(Default)]
struct Work {
    pace: Pace,
    /// What was received and makes no batch yet.
    gathered: Vec<Piece>,
    /// Whole batches that wait for room, each with what must follow it.
    ready: VecDeque<(Vec<Piece>, Vec<Piece>)>,
    /// How long the function may take, ms.
    timeout_ms: i64,
    /// It cannot read: how often it has found so, and when it looks again.
    rests: u32,
    until: Option<Timestamp>,
    /// The filters of the mapping they were read for.
    filters: (Option<Arc<Mapping>>, Filters),
}

/// Reads a queue until its mapping shall not deliver any more and all batches have ended.
pub(super) async fn read(functions: Arc<Functions>, spot: Spot, reader: Arc<Reader>) {
    let clocks = Arc::clone(&functions.options.clocks);
    let mut work = Work::default();
    let mut rung: Option<BoxFuture<'static, Turn>> = None;
    let mut turn = clocks.turn().called("the reader of a queue begins");
    loop {
        let Some(mapping) = reader.mapping() else {
            // What was gathered becomes visible again by itself.
            work = Work::default();
            if functions.readers.gone(&spot, &reader) {
                functions.end_deletion(&spot).await;
                return;
            }
            drop(turn);
            turn = reader.news.heard().await;
            continue;
        };
        let bell = &functions.options.bell;
        // Heard from before the queue is looked at, so that no ring is missed.
        let ring = rung.get_or_insert_with(|| bell.news(&format!("sqs:{}", mapping.source)));
        let again = work.look(&functions, &reader, &mapping).await;
        let due = match again {
            Some(due) => clocks.product_reaches(due),
            None => future::pending().boxed(),
        };
        drop(turn);
        turn = tokio::select! {
            turn = ring => {
                rung = None;
                // Whoever sends wants it read, whatever stood in the way.
                work.until = None;
                turn
            }
            turn = reader.news.heard() => turn,
            turn = due => turn,
        };
    }
}

impl Functions {
    /// Removes the row of a mapping whose last batch has ended, if it was deleted.
    pub(super) async fn end_deletion(&self, spot: &Spot) {
        match self.state.mapping(&spot.home, &spot.uuid) {
            Ok(Some(mapping)) if mapping.deleting => self.remove_mapping(spot, mapping).await,
            Ok(_) => {}
            Err(fault) => tracing::error!(%fault, uuid = spot.uuid, "an event source mapping cannot be read"),
        }
    }
}

impl Work {
    /// Takes what lies in the queue as long as there is room. When to look again, if it is not only when something happens.
    async fn look(
        &mut self,
        functions: &Arc<Functions>,
        reader: &Arc<Reader>,
        mapping: &Arc<Mapping>,
    ) -> Option<Timestamp> {
        let clocks = &functions.options.clocks;
        if !self.filters.0.as_ref().is_some_and(|of| Arc::ptr_eq(of, mapping)) {
            self.filters = (Some(Arc::clone(mapping)), Filters::new(&mapping.filters));
        }
        let queue = Queue::of(&mapping.source)?;
        let most = mapping.max_concurrency;
        // Asked once for all that is received in one go.
        let mut visibility_ms = None;
        self.hear(functions, reader, mapping);
        loop {
            if !reader.still(mapping) {
                // It was told, and looks again by what the mapping is now.
                return None;
            }
            let now = clocks.product();
            if let Some(until) = self.until.filter(|until| *until > now) {
                return Some(until);
            }
            let (running, throttled) = reader.running();
            if throttled > 0 {
                return None;
            }
            let room = self.pace.room(now, most).saturating_sub(running);
            if room == 0 {
                return self.pace.crowded(now, most);
            }
            let found = match functions.receiver_of(mapping, &queue) {
                Ok(found) => {
                    reader.can("Invoke");
                    found
                }
                Err(fault) => {
                    reader.lacks(&fault);
                    return Some(self.rest(now));
                }
            };
            self.timeout_ms = i64::from(found.edition().settings.timeout_s) * 1_000;
            self.make_batches(mapping, now);
            if let Some(parts) = self.ready.pop_front() {
                batch::begin(Batch::new((functions, reader), (found, queue.clone()), mapping, parts));
                continue;
            }
            let wanted = wanted(mapping, room, self.gathered.len());
            match functions.receive(&found, &queue, wanted).await {
                Ok(messages) if messages.is_empty() => {
                    self.reads(reader);
                    if running == 0 {
                        self.pace.idle();
                    } else {
                        self.pace.enough();
                    }
                    return self.window_ends(mapping);
                }
                // What an older mapping wants is not deleted any more: the messages come again.
                Ok(_) if !reader.still(mapping) => return None,
                Ok(messages) => {
                    self.reads(reader);
                    let visible_ms = match visibility_ms {
                        Some(known) => known,
                        None => *visibility_ms.insert(functions.visibility_ms(&queue).await),
                    };
                    let until = now.plus_ms(visible_ms);
                    self.take(functions, reader, (&found, &queue), messages, (now, until)).await;
                }
                Err(fault) => {
                    tracing::warn!(%fault, queue = queue.arn, function = mapping.function, "a queue cannot be read");
                    reader.cannot("ReceiveMessage", &fault);
                    return Some(self.rest(now));
                }
            }
        }
    }

    /// What the batches that have ended say.
    fn hear(&mut self, functions: &Functions, reader: &Reader, mapping: &Mapping) {
        let (failures, troubled) = {
            let mut inner = super::lock(&reader.inner);
            (std::mem::take(&mut inner.failures), std::mem::take(&mut inner.troubled))
        };
        // Who tells which messages failed is not slowed down by them.
        if failures > 0 && !mapping.hears_items() {
            self.pace.slower();
        }
        if troubled {
            self.rest(functions.options.clocks.product());
        }
    }

    fn reads(&mut self, reader: &Reader) {
        reader.can("ReceiveMessage");
        self.rests = 0;
    }

    fn rest(&mut self, now: Timestamp) -> Timestamp {
        let (first, longest) = REST_MS;
        let until = now.plus_ms(first.saturating_mul(1 << self.rests.min(10)).min(longest));
        self.rests = self.rests.saturating_add(1);
        self.until = Some(until);
        until
    }

    /// When what was gathered goes at the latest: once its window has passed, and early enough for the function to be
    /// done before the first of it becomes visible to others.
    fn window_ends(&self, mapping: &Mapping) -> Option<Timestamp> {
        let first = self.gathered.first()?;
        let window = first.received.plus_ms(mapping.window_s.saturating_mul(1_000));
        Some(window.min(first.until.plus_ms(-self.timeout_ms)))
    }

    /// Leaves to the queue what has become visible to others: it is received again.
    fn let_go(&mut self, now: Timestamp) {
        self.gathered.retain(|piece| piece.until > now);
    }

    /// Makes batches of what was gathered: those that are whole, and the rest once its time has come.
    fn make_batches(&mut self, mapping: &Mapping, now: Timestamp) {
        let whole = usize::try_from(mapping.batch_size).unwrap_or(1).max(1);
        self.let_go(now);
        while let Some(ends) = self.window_ends(mapping) {
            let most = self.gathered.len().min(whole);
            let fitting = event::fitting(&self.gathered[..most]);
            if fitting < whole && fitting == self.gathered.len() && ends > now {
                return;
            }
            let pieces = self.gathered.drain(..fitting).collect();
            let fifo = Kind::of(&mapping.source) == Ok(Kind::FifoQueue);
            // What one event cannot carry must not overtake the others of its group.
            let rest = if fifo { std::mem::take(&mut self.gathered) } else { Vec::new() };
            self.ready.push_back((pieces, rest));
        }
    }

    /// Takes messages in: those that are not wanted are deleted, and those of an endless loop let go.
    async fn take(
        &mut self,
        functions: &Arc<Functions>,
        reader: &Arc<Reader>,
        (found, queue): (&Found, &Queue),
        messages: Vec<sqs::Message>,
        (now, until): (Timestamp, Timestamp),
    ) {
        let filtered = self.filters.0.as_ref().is_some_and(|mapping| !mapping.filters.is_empty());
        let (mut unwanted, mut looped) = (Vec::new(), Vec::new());
        // One of those may be among the messages: it must not be in a batch twice.
        self.let_go(functions.options.clocks.product());
        for message in messages {
            let record = event::record(&message, &queue.arn, queue.region.as_str());
            let receipt = message.receipt_handle.unwrap_or_default();
            if filtered && !self.filters.1.want(&record) {
                unwanted.push(receipt);
                continue;
            }
            let trace = message.attributes.and_then(|mut attributes| attributes.remove("AWSTraceHeader"));
            let trace = trace.map(|trace| crate::lineage::step(&trace, &found.named.address.arn()));
            let piece = Piece {
                id: message.message_id.unwrap_or_default(),
                receipt,
                received: now,
                until,
                record: serde_json::to_vec(&record).unwrap_or_default(),
                trace,
            };
            let count = piece.trace.as_ref().map_or(0, |(_, count)| *count);
            if count > crate::lineage::MOST && !found.function.allow_loops {
                looped.push(piece.receipt);
            } else {
                self.gathered.push(piece);
            }
        }
        if !looped.is_empty() {
            functions.tell_of_loop(&found.named, &found.function);
            // Where the queue has a dead-letter queue its redrive policy leads there; elsewhere nobody wants them.
            if functions.look_at_queue(queue).await.is_ok_and(|about| !about.redrives) {
                unwanted.append(&mut looped);
            }
        }
        if !unwanted.is_empty() {
            batch::delete(functions, reader, (&role_of(found), queue), unwanted).await;
        }
    }
}

/// How many messages to ask for.
fn wanted(mapping: &Mapping, room: usize, gathered: usize) -> i64 {
    let whole = usize::try_from(mapping.batch_size).unwrap_or(1).max(1);
    // The messages of one group must not be in two batches at once, which the queue does not know of what comes together.
    let fifo = Kind::of(&mapping.source) == Ok(Kind::FifoQueue);
    let batches = if fifo { 1 } else { room };
    let missing = whole.saturating_mul(batches).saturating_sub(gathered).max(1);
    i64::try_from(missing).unwrap_or(QUEUE_BATCH).min(QUEUE_BATCH)
}

impl Functions {
    /// The function that a reader delivers to.
    fn receiver_of(&self, mapping: &Mapping, queue: &Queue) -> Result<Found, Fault> {
        let damaged = || Fault::internal("an event source mapping's row names no function; the data folder is damaged");
        self.find(destination::function(&queue.region, &mapping.function).ok_or_else(damaged)?)
    }

    async fn receive(&self, found: &Found, queue: &Queue, most: i64) -> Result<Vec<sqs::Message>, Fault> {
        let input = sqs::ReceiveMessageRequest {
            queue_url: Some(self.queue_url(queue)),
            message_system_attribute_names: Some(vec!["All".into()]),
            message_attribute_names: Some(vec!["All".into()]),
            max_number_of_messages: Some(most),
            wait_time_seconds: Some(0),
            ..sqs::ReceiveMessageRequest::default()
        };
        let answer = self.ask_source::<ops::ReceiveMessage>(&role_of(found), &queue.region, input).await?;
        Ok(answer.messages.unwrap_or_default())
    }
}

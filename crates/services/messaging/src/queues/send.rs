//! Sending: messages become durable, then receivable.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use base::{Fault, RequestId};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use store::{Batch, Error, Key, Kv, Range, Rows, Space, transact_with};

use super::engine::Queues;
use super::index::Arrival;
use super::queue::{Queue, Settings};
use super::rules::stored::{INLINE_BYTES, State, Stored};
use super::seen::see_through;
use super::state::{self, Count, DEDUPLICATION_MS};

/// A message to be sent: checked, and without what the queue gives it.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) stored: Stored,
    pub(crate) body: Bytes,
    pub(crate) delay_s: u32,
}

/// What became of a message that was sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) id: String,
    pub(crate) number: u64,
    /// Nothing was added: a message with its deduplication id is remembered.
    duplicate: bool,
}

/// A message with everything that is written of it.
struct Ready {
    number: u64,
    id: [u8; 16],
    row: Bytes,
    body: Option<Bytes>,
    state: Option<State>,
    group: Option<Arc<str>>,
    hash: Option<Vec<u8>>,
}

impl Queues {
    /// Sends messages in order, all or none: durable when it answers.
    ///
    /// # Errors
    /// NonExistentQueue; the store's.
    pub(crate) async fn send(self: &Arc<Self>, queue: &Arc<Queue>, drafts: Vec<Draft>) -> Result<Vec<Sent>, Fault> {
        let (inside, settings) = queue.enter(self).await?;
        let now = self.now();
        let ready: Vec<Ready> = queue
            .with(|index| {
                drafts.into_iter().map(|draft| self.ready(index.next_number(now), draft, &settings, now)).collect()
            })
            .unwrap_or_default();
        let (room, queue) = (Arc::clone(self), Arc::clone(queue));
        // Once it has begun it goes on, whoever waits for it: the index must hear of what is durable.
        see_through(|_| async move {
            let sent = room.write(&queue, &settings, &ready, now).await;
            room.arrive(&queue, &settings, ready, &sent, now);
            drop(inside);
            sent
        })
        .await
    }

    fn ready(&self, number: u64, draft: Draft, settings: &Settings, now: i64) -> Ready {
        let Draft { mut stored, body, delay_s } = draft;
        stored.id = message_id(self);
        stored.sent_ms = now;
        let large = body.len() > INLINE_BYTES;
        let body = if large {
            Some(body)
        } else {
            stored.body = Some(body);
            None
        };
        let visible_ms = now + i64::from(delay_s) * 1000;
        let state = (delay_s > 0).then(|| State { visible_ms, sent_ms: now, large, ..State::default() });
        let hash = settings.definition.attributes.fifo.as_ref().and_then(|fifo| {
            let id = stored.deduplication.as_deref()?;
            Some(hash(id, stored.group.as_deref().filter(|_| fifo.scope_is_group)))
        });
        let group = stored.group.as_deref().filter(|_| settings.is_fifo()).map(Into::into);
        Ready { number, id: stored.id, row: stored.write(), body, state, group, hash }
    }

    async fn write(&self, queue: &Queue, settings: &Settings, ready: &[Ready], now: i64) -> Result<Vec<Sent>, Fault> {
        let generation = settings.definition.generation;
        let count = state::count(generation);
        let mut keys = vec![Key::new(Space::Queue, count.clone())];
        let span = now.max(0) as u64 / DEDUPLICATION_MS as u64;
        // The next one too: another send of this id may have begun later and be durable sooner.
        let spans = [span, span.saturating_sub(1), span + 1];
        // What is written, apart from what waits in memory for it: a transaction may run again.
        let plan: Vec<_> = ready.iter().map(|one| Plan::of(one, generation, spans)).collect();
        keys.extend(
            plan.iter().flat_map(|one| one.seen.iter().flatten().map(|row| Key::new(Space::Queue, row.clone()))),
        );
        let remembers = plan.iter().any(|one| one.seen.is_some());
        let old = if remembers { queue.spans_before(&*self.kv, generation, spans[1])? } else { Vec::new() };
        let run = move |rows: &Rows| {
            let mut batch = Batch::new();
            let mut sent = Vec::with_capacity(plan.len());
            let mut here: HashMap<Bytes, Sent> = HashMap::new();
            let mut added = 0;
            for one in &plan {
                let known = one.seen.as_ref().and_then(|seen| {
                    let remembered = || seen.iter().find_map(|row| remembered(&rows.get(Space::Queue, row)?, now));
                    here.get(&seen[0]).cloned().or_else(remembered)
                });
                if let Some(known) = known {
                    sent.push(Sent { duplicate: true, ..known });
                    continue;
                }
                one.write(&mut batch, now);
                added += 1;
                if let Some(seen) = &one.seen {
                    here.insert(seen[0].clone(), one.sent.clone());
                }
                sent.push(one.sent.clone());
            }
            let had = Count::read(rows.get(Space::Queue, &count).as_deref());
            if added > 0 {
                batch.put(Space::Queue, count.clone(), Count { total: had.total + added, ..had }.write());
            }
            for span in &old {
                batch.drop_generation(Space::Queue, state::span(generation, *span));
            }
            Ok((batch, sent))
        };
        Ok(transact_with(&*self.kv, keys, run).await?)
    }

    fn arrive(
        &self,
        queue: &Arc<Queue>,
        settings: &Settings,
        ready: Vec<Ready>,
        sent: &Result<Vec<Sent>, Fault>,
        now: i64,
    ) {
        let written = |at: usize| sent.as_ref().ok().and_then(|sent| sent.get(at)).is_some_and(|sent| !sent.duplicate);
        let available = queue.with(|index| {
            for (at, one) in ready.into_iter().enumerate() {
                let Ready { number, row, body, state, group, .. } = one;
                match written(at) {
                    true => index.arrive(number, Arrival { row: Some(row), group, large: body.is_some(), state }, now),
                    false => index.abandon(number),
                }
            }
            index.is_available()
        });
        self.enrol(queue, settings);
        if available == Some(true) {
            self.wake(queue);
        }
    }
}

/// Spans given up at once.
const OLD_SPANS: usize = 64;

impl Queue {
    /// The spans before this one of which deduplication ids are still kept. Looks once in each span.
    fn spans_before(&self, kv: &dyn Kv, generation: u64, span: u64) -> Result<Vec<u64>, Error> {
        let mut looked = self.last_span.lock().unwrap_or_else(PoisonError::into_inner);
        let mut old = Vec::new();
        if *looked == Some(span) {
            return Ok(old);
        }
        let mut from = 0;
        while old.len() < OLD_SPANS && from < span {
            let range = Range::between(state::span(generation, from), state::span(generation, span));
            let Some((key, _)) = kv.range(Space::Queue, range, 1, false)?.pop() else { break };
            let found = state::number(&key[..state::span(generation, 0).len()]).unwrap_or(span);
            old.push(found);
            from = found + 1;
        }
        *looked = Some(span);
        Ok(old)
    }
}

/// The rows of one message.
struct Plan {
    sent: Sent,
    id: [u8; 16],
    message: (Bytes, Bytes),
    body: Option<(Bytes, Bytes)>,
    state: Option<(Bytes, Bytes)>,
    // Where its deduplication id is remembered, this span's row first.
    seen: Option<[Bytes; 3]>,
}

impl Plan {
    fn of(ready: &Ready, generation: u64, spans: [u64; 3]) -> Self {
        let Ready { number, id, row, body, state, group, hash } = ready;
        Self {
            sent: Sent { id: uuid(id), number: *number, duplicate: false },
            id: *id,
            message: (state::message(generation, *number), row.clone()),
            body: body.as_ref().map(|body| (state::body(generation, *number), body.clone())),
            state: state.map(|state| (state::state(generation, *number), state.write(group.as_deref()))),
            seen: hash.as_ref().map(|hash| spans.map(|span| state::duplicate(generation, span, hash))),
        }
    }

    fn write(&self, batch: &mut Batch, now: i64) {
        for (key, value) in [Some(&self.message), self.body.as_ref(), self.state.as_ref()].into_iter().flatten() {
            batch.put(Space::Queue, key.clone(), value.clone());
        }
        if let Some([row, ..]) = &self.seen {
            let mut value = BytesMut::with_capacity(32);
            value.put_i64(now);
            value.put_u64(self.sent.number);
            value.put_slice(&self.id);
            batch.put(Space::Queue, row.clone(), value.freeze());
        }
    }
}

/// The message that a deduplication id stands for still.
fn remembered(row: &[u8], now: i64) -> Option<Sent> {
    let mut row = row;
    if row.len() != 32 {
        return None;
    }
    let (at, number) = (row.get_i64(), row.get_u64());
    let mut id = [0; 16];
    row.copy_to_slice(&mut id);
    (at + DEDUPLICATION_MS > now).then(|| Sent { id: uuid(&id), number, duplicate: true })
}

/// What stands for a deduplication id, in its group where ids are told apart by group.
fn hash(id: &str, group: Option<&str>) -> Vec<u8> {
    let mut text = Vec::with_capacity(id.len() + 1 + group.map_or(0, str::len));
    text.extend_from_slice(id.as_bytes());
    if let Some(group) = group {
        // Neither holds such a byte.
        text.push(0);
        text.extend_from_slice(group.as_bytes());
    }
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &text).as_ref().to_vec()
}

/// A message's id, never used before.
pub(crate) fn message_id(room: &Queues) -> [u8; 16] {
    let mut raw = [0; 16];
    room.rng.fill(&mut raw);
    raw[6] = raw[6] & 0x0f | 0x40;
    raw[8] = raw[8] & 0x3f | 0x80;
    raw
}

/// A message's id as text.
pub(crate) fn uuid(raw: &[u8; 16]) -> String {
    struct Fixed([u8; 16]);
    impl base::Rng for Fixed {
        fn fill(&self, out: &mut [u8]) {
            out.copy_from_slice(&self.0);
        }
    }
    RequestId::new(&Fixed(*raw)).as_str().to_owned()
}

/// A message's number, as receivers and senders see it.
pub(crate) fn sequence(number: u64) -> String {
    format!("1{number:019}")
}

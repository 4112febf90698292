//! How lines and usage get in: a bounded queue in memory, and one writer that stores what has gathered.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use base::{Account, EventNews, Fault, Invoked, KeptReady, LogLine, LogSink, Meter, Receipt, Region, Timestamp};
use bytes::Bytes;
use door::outbox::OUTBOX_BELL;
use store::{Batch, Key, Kv, Space, outbox, transact_with};
use tokio::sync::{Notify, watch};

use crate::engine::Observe;
use crate::faults;
use crate::metrics::pending::{Pending, Remembered, Stored};
use crate::metrics::{emf, lambda};
use crate::rules::chunk::{self, Chunk};
use crate::rules::token::Place;
use crate::state::{self, GroupName};
use crate::subscribe::Handed;
use crate::types::{Group, Stream, Used};
use crate::usage;

/// Bytes of lines that may wait for the writer; more are dropped, and the stream says so.
const QUEUE_BYTES: usize = 32 * 1024 * 1024;
/// Bytes of lines that make the writer begin at once.
const URGENT_BYTES: usize = 1024 * 1024;
/// Bytes of lines stored in one transaction: well below what the store takes.
const WRITE_BYTES: usize = 4 * 1024 * 1024;
/// Finished invocations that may wait for the writer; of more, only the usage is counted.
const INVOKED: usize = 50_000;
/// Of these, how many make the writer begin at once.
const URGENT_INVOKED: usize = 10_000;
/// Changes of what is kept ready that may wait for the writer.
const READY: usize = 10_000;
/// How long the writer lets lines gather. Well below the second within which they must be durable.
const GATHER: std::time::Duration = std::time::Duration::from_millis(200);
/// What a line costs in the queue besides its text.
const LINE_BYTES: usize = 128;
/// Streams whose dropped lines are counted one by one.
const DROPPED_STREAMS: usize = 1000;
/// How often a write is tried again when its group is deleted meanwhile.
const ATTEMPTS: usize = 5;

/// A stream's full name.
type StreamName = (GroupName, Arc<str>);

/// What waits for the writer.
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    // Which series the directory has. Only the writer uses it.
    known: tokio::sync::Mutex<Remembered>,
    // Something waits.
    some: Notify,
    // It must be stored now: much waits, or somebody wants to read.
    urgent: Notify,
    // The number of the last batch that was stored or given up.
    stored: watch::Sender<u64>,
}

#[derive(Default)]
struct Waiting {
    lines: VecDeque<LogLine>,
    bytes: usize,
    dropped: HashMap<StreamName, u64>,
    used: HashMap<usage::Whose, Used>,
    // What is kept ready, as it changed.
    ready: Vec<usage::ready::Change>,
    // There may be receipts to count.
    receipts: bool,
    // Finished invocations of which usage and metrics are still to be made.
    invoked: Vec<Invoked>,
    metrics: Pending,
    // Counts what was handed in: the mark that a reader waits for.
    accepted: u64,
    // The writer is gone: nothing would ever be stored.
    closed: bool,
}

impl Default for Queue {
    fn default() -> Self {
        // The first thing to do: count the receipts that an earlier process left.
        let waiting = Waiting { receipts: true, accepted: 1, ..Waiting::default() };
        let some = Notify::new();
        some.notify_one();
        let known = tokio::sync::Mutex::default();
        Self { waiting: Mutex::new(waiting), known, some, urgent: Notify::new(), stored: watch::Sender::new(0) }
    }
}

/// What the writer takes at once.
struct Taken {
    lines: Vec<LogLine>,
    dropped: HashMap<StreamName, u64>,
    used: HashMap<usage::Whose, Used>,
    ready: Vec<usage::ready::Change>,
    receipts: bool,
    invoked: Vec<Invoked>,
    metrics: Pending,
    // The mark up to which this is everything.
    mark: u64,
}

impl Queue {
    fn change(&self, change: impl FnOnce(&mut Waiting)) {
        let urgent = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.accepted += 1;
            change(&mut waiting);
            waiting.bytes >= URGENT_BYTES || waiting.invoked.len() >= URGENT_INVOKED
        };
        self.some.notify_one();
        if urgent {
            self.urgent.notify_one();
        }
    }

    fn push(&self, lines: Vec<LogLine>) {
        let size: usize = lines.iter().map(|line| line.text.len() + LINE_BYTES).sum();
        self.change(|waiting| {
            if waiting.bytes + size > QUEUE_BYTES || waiting.closed {
                for line in &lines {
                    let whose = (group_name(line), Arc::clone(&line.stream));
                    if waiting.dropped.len() < DROPPED_STREAMS || waiting.dropped.contains_key(&whose) {
                        *waiting.dropped.entry(whose).or_default() += 1;
                    }
                }
                return;
            }
            waiting.bytes += size;
            waiting.lines.extend(lines);
        });
    }

    /// The mark of what was handed in so far.
    fn accepted(&self) -> u64 {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).accepted
    }

    /// Takes what waits, up to what one transaction holds; none if nothing does.
    fn take(&self) -> Option<Taken> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.accepted == *self.stored.borrow() {
            return None;
        }
        let mut size = 0;
        let fits = waiting.lines.iter().take_while(|line| {
            let first = size == 0;
            size += line.text.len() + LINE_BYTES;
            first || size <= WRITE_BYTES
        });
        let count = fits.count();
        let lines: Vec<LogLine> = waiting.lines.drain(..count).collect();
        waiting.bytes -= lines.iter().map(|line| line.text.len() + LINE_BYTES).sum::<usize>();
        let mark = if waiting.lines.is_empty() { waiting.accepted } else { *self.stored.borrow() };
        Some(Taken {
            lines,
            dropped: std::mem::take(&mut waiting.dropped),
            used: std::mem::take(&mut waiting.used),
            ready: std::mem::take(&mut waiting.ready),
            receipts: std::mem::take(&mut waiting.receipts),
            invoked: std::mem::take(&mut waiting.invoked),
            metrics: std::mem::take(&mut waiting.metrics),
            mark,
        })
    }

    /// Takes metrics in: they are durable within a second.
    ///
    /// # Errors
    /// `Throttling`: too many wait already; none is taken then.
    pub(crate) fn put_metrics(&self, metrics: Pending) -> Result<(), Fault> {
        let mut taken = false;
        self.change(|waiting| {
            taken = waiting.metrics.has_room_for(&metrics);
            if taken {
                waiting.metrics.absorb(metrics);
            }
        });
        if taken { Ok(()) } else { Err(Fault::new("Throttling", 400, "Rate exceeded")) }
    }

    /// Takes back metrics that could not be stored, as far as there is room: they are tried again with what comes next.
    fn put_back_metrics(&self, metrics: Pending) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).metrics.absorb(metrics);
    }

    /// Takes back what could not be stored: it is tried again with what comes next.
    fn put_back(&self, used: HashMap<usage::Whose, Used>, receipts: bool) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.receipts |= receipts;
        for (whose, more) in used {
            waiting.used.entry(whose).or_default().add(&more);
        }
    }

    /// Waits until everything that was handed in before is stored, or given up with a word in the log.
    pub(crate) async fn flush(&self) {
        let mark = {
            let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if waiting.closed {
                return;
            }
            waiting.accepted
        };
        let mut stored = self.stored.subscribe();
        if *stored.borrow_and_update() >= mark {
            return;
        }
        self.urgent.notify_one();
        // The sender lives as long as the queue, and the writer leaves the last mark when it ends.
        let _ = stored.wait_for(|stored| *stored >= mark).await;
    }

    /// Takes back changes of what is kept ready, in their order.
    fn put_back_ready(&self, mut ready: Vec<usage::ready::Change>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        ready.append(&mut waiting.ready);
        waiting.ready = ready;
    }

    /// Says that nothing will be stored any more, and lets readers go.
    pub(crate) fn close(&self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.closed = true;
        self.stored.send_replace(u64::MAX);
    }
}

impl LogSink for Observe {
    fn write(&self, lines: Vec<LogLine>) {
        if !lines.is_empty() {
            self.queue.push(lines);
        }
    }
}

impl Meter for Observe {
    fn invoked(&self, row: &Invoked) {
        // The answer waits for this: the row is only put by, and the writer makes usage and metrics of it.
        self.queue.change(|waiting| {
            if waiting.invoked.len() < INVOKED {
                waiting.invoked.push(row.clone());
            } else {
                waiting.metrics.dropped += 1;
                usage::count(&mut waiting.used, row);
            }
        });
    }

    fn throttled(&self, account: Account, function_arn: &str, invoked_arn: &str) {
        let region = function_arn.split(':').nth(3).unwrap_or_default();
        let now = self.clocks.product();
        let whose = usage::Whose::of(account, region, function_arn, now);
        self.queue.change(|waiting| {
            waiting.used.entry(whose).or_default().throttles += 1;
            lambda::of_throttle(account, invoked_arn, now, |point| waiting.metrics.add(point));
        });
    }

    fn event(&self, account: Account, invoked_arn: &str, news: EventNews) {
        let now = self.clocks.product();
        self.queue.change(|waiting| {
            lambda::of_event(account, invoked_arn, news, now, |point| waiting.metrics.add(point));
        });
    }

    fn unsigned(&self, account: Account, function_arn: &str) {
        let now = self.clocks.product();
        self.queue.change(|waiting| {
            lambda::of_unsigned(account, function_arn, now, |point| waiting.metrics.add(point));
        });
    }

    fn receipt(&self, row: &Invoked) -> Option<Receipt> {
        match usage::receipt(row) {
            Ok(receipt) => Some(receipt),
            Err(fault) => {
                tracing::error!(%fault, "an invocation has no receipt, and is not counted");
                None
            }
        }
    }

    fn kept_ready(&self, function_arn: Option<&str>, all: Vec<KeptReady>, at: Timestamp) {
        let change = usage::ready::Change { function_arn: function_arn.map(str::to_owned), all, at };
        self.queue.change(|waiting| {
            if waiting.ready.len() < READY {
                waiting.ready.push(change);
            } else {
                tracing::error!("a change of provisioned concurrency is not billed: the store takes nothing for long");
            }
        });
    }

    fn receipted(&self) {
        self.queue.change(|waiting| waiting.receipts = true);
    }
}

/// Stores what gathers until `stop` is rung, and then what is left.
pub(crate) async fn run(observe: &Observe, stop: &Notify) {
    let queue = &observe.queue;
    let mut stopping = false;
    while !stopping {
        tokio::select! {
            () = queue.some.notified() => {}
            () = stop.notified() => stopping = true,
        }
        if !stopping {
            tokio::select! {
                () = tokio::time::sleep(GATHER) => {}
                () = queue.urgent.notified() => {}
                () = stop.notified() => stopping = true,
            }
        }
        // Only what waits now: under a steady stream the rest gathers again, else each write would find a few new lines
        // and the disk would sync without a pause. At the end everything goes.
        let goal = if stopping { u64::MAX } else { queue.accepted() };
        while *queue.stored.borrow() < goal
            && let Some(taken) = queue.take()
        {
            let mark = taken.mark;
            observe.store(taken).await;
            queue.stored.send_replace(mark);
        }
    }
}

impl Observe {
    async fn store(&self, taken: Taken) {
        let Taken { lines, dropped, mut used, ready, receipts, invoked, metrics, mark: _ } = taken;
        invoked.iter().for_each(|row| usage::count(&mut used, row));
        let now_ms = self.clocks.product().0;
        self.store_metrics(&lines, &invoked, metrics, now_ms).await;
        let mut streams: BTreeMap<StreamName, Incoming> = BTreeMap::new();
        let mut add = |group: GroupName, stream: Arc<str>, at_ms: i64, text: String, hops: u16| {
            let fresh = || Incoming {
                group: group.clone(),
                stream: stream.as_ref().to_owned(),
                events: Vec::new(),
                hops: Vec::new(),
                ingested_ms: now_ms,
                create: true,
            };
            let one = streams.entry((group.clone(), Arc::clone(&stream))).or_insert_with(fresh);
            one.events.push((at_ms, Bytes::from(text)));
            one.hops.push(hops);
        };
        for line in lines {
            add(group_name(&line), Arc::clone(&line.stream), line.at.0, line.text, line.hops);
        }
        for ((group, stream), count) in dropped {
            let words = format!("[lambent] {count} log lines were dropped here: more came than could be stored");
            add(group, stream, now_ms, words, 0);
        }
        let incoming = streams.into_values();
        if let Err(fault) = self.put(incoming.collect()).await {
            tracing::error!(%fault, "log lines were lost: the store did not take them");
        }
        if let Err(fault) = usage::add(&*self.kv, used.clone()).await {
            tracing::error!(%fault, "usage waits in memory: the store did not take it");
            self.queue.put_back(used, false);
        }
        let mut ready = ready.into_iter();
        while let Some(change) = ready.next() {
            if let Err(fault) = usage::ready::change(&*self.kv, &change).await {
                tracing::error!(%fault, "what is kept ready waits in memory: the store did not take it");
                self.queue.put_back_ready(std::iter::once(change).chain(ready).collect());
                break;
            }
        }
        if receipts && let Err(fault) = usage::count_receipts(&*self.kv).await {
            tracing::error!(%fault, "receipts wait to be counted: the store did not take it");
            self.queue.put_back(HashMap::new(), true);
        }
    }

    /// Makes what lines and invocations say into metrics, and stores them with those that came as such.
    async fn store_metrics(&self, lines: &[LogLine], invoked: &[Invoked], mut metrics: Pending, now_ms: i64) {
        let mut is_whole = true;
        for line in lines.iter().filter(|line| emf::looks_like(line.text.as_bytes())) {
            let take = |point| metrics.add(point);
            is_whole &= emf::points(line.account, &line.region, line.text.as_bytes(), line.at.0, now_ms, take);
        }
        if !is_whole {
            emf::say_left_out();
        }
        lambda::of_invocations(invoked, |point| metrics.add(point));
        if metrics.is_empty() {
            return;
        }
        if metrics.dropped > 0 {
            tracing::warn!(dropped = metrics.dropped, "metrics were dropped: more came than could be stored");
        }
        let mut known = self.queue.known.lock().await;
        let Stored { news, back } = metrics.store(&*self.kv, &mut known, now_ms).await;
        if news && self.no_metrics.swap(false, Ordering::SeqCst) {
            self.first_metric.tell(&*self.clocks);
        }
        self.queue.put_back_metrics(back);
    }

    /// Stores events. Groups and streams that are missing are made where the batch says so, else they are a fault.
    pub(crate) async fn put(&self, incoming: Vec<Incoming>) -> Result<(), Fault> {
        if incoming.is_empty() {
            return Ok(());
        }
        let incoming = Arc::new(incoming);
        for _ in 0..ATTEMPTS {
            let mut groups = BTreeMap::new();
            for one in incoming.iter() {
                if !groups.contains_key(&one.group) {
                    groups.insert(one.group.clone(), self.group_for(&one.group, one.create).await?);
                }
            }
            let is_heard = groups.values().any(|group| !group.subscriptions.is_empty());
            let _turn = if is_heard { Some(self.subscribed.lock().await) } else { None };
            let ids: Vec<u64> = incoming.iter().map(|_| self.random()).collect();
            let handed = if is_heard { self.prepare(&incoming, &groups, &ids).await? } else { Handed::default() };
            let rings = !handed.deliveries.is_empty();
            if self.put_into(Arc::clone(&incoming), groups, ids, handed).await? {
                // Nobody tails: that is no fault.
                drop(self.stored.send(Arc::clone(&incoming)));
                if rings {
                    self.bell.ring(OUTBOX_BELL);
                }
                return Ok(());
            }
        }
        Err(Fault::internal("a log group or its subscriptions changed again and again while lines came in"))
    }

    /// The group, made now if it may be.
    async fn group_for(&self, name: &GroupName, create: bool) -> Result<Group, Fault> {
        if let Some(group) = state::group(&*self.kv, name)? {
            return Ok(group);
        }
        if !create {
            return Err(faults::no_group());
        }
        let fresh = self.fresh_group();
        let row = name.row();
        let group = transact_with(&*self.kv, vec![Key::new(Space::Control, row.clone())], move |rows| {
            let mut batch = Batch::new();
            let group = match rows.json::<Group>(Space::Control, &row)? {
                Some(group) => group,
                None => {
                    batch.put_json(Space::Control, row.clone(), &fresh)?;
                    fresh.clone()
                }
            };
            Ok((batch, group))
        })
        .await?;
        Ok(group)
    }

    /// One transaction; false if a group or a stream is no longer as it was looked up.
    async fn put_into(
        &self,
        incoming: Arc<Vec<Incoming>>,
        groups: BTreeMap<GroupName, Group>,
        ids: Vec<u64>,
        handed: Handed,
    ) -> Result<bool, Fault> {
        let now_ms = self.clocks.product().0;
        let mut keys = Vec::new();
        for (name, group) in &groups {
            keys.push(Key::new(Space::Control, name.row()));
            keys.push(Key::new(Space::Log, state::stored(group.generation)));
        }
        for one in incoming.iter() {
            keys.push(Key::new(Space::Log, state::stream(groups[&one.group].generation, &one.stream)));
        }
        let kv: &dyn Kv = &*self.kv;
        let kept = transact_with(kv, keys, move |rows| {
            let mut batch = Batch::new();
            for (name, known) in &groups {
                let group: Option<Group> = rows.json(Space::Control, &name.row())?;
                let is_same =
                    |group: Group| group.generation == known.generation && group.subscriptions == known.subscriptions;
                if !group.is_some_and(is_same) {
                    return Ok((Batch::new(), false));
                }
            }
            let mut grown: BTreeMap<u64, u64> = BTreeMap::new();
            for (index, (one, id)) in incoming.iter().zip(&ids).enumerate() {
                let generation = groups[&one.group].generation;
                let row = state::stream(generation, &one.stream);
                let stream = rows.json::<Stream>(Space::Log, &row)?;
                if stream.is_none() && !one.create {
                    return Err(faults::no_stream());
                }
                let mut stream = stream.unwrap_or_else(|| Stream::new(*id, now_ms));
                if handed.stands.get(&index).is_some_and(|stands| *stands != (stream.id, stream.next_seq)) {
                    return Ok((Batch::new(), false));
                }
                for chunk in stream.take_in(&one.events, now_ms) {
                    let place = Place { at_ms: chunk.first_ms, seq: chunk.first_seq };
                    batch.put(Space::Log, state::chunk(generation, stream.id, place), chunk.value);
                }
                *grown.entry(generation).or_default() += one.stored_bytes();
                batch.put_json(Space::Log, row, &stream)?;
            }
            for (generation, bytes) in grown {
                let row = state::stored(generation);
                let before = state::number(rows.get(Space::Log, &row).as_deref());
                batch.put(Space::Log, row, (before + bytes).to_be_bytes().to_vec());
            }
            for (id, delivery) in &handed.deliveries {
                outbox::put(&mut batch, now_ms, id, delivery.clone());
            }
            Ok((batch, true))
        })
        .await?;
        Ok(kept)
    }
}

/// Events on their way into one stream.
pub(crate) struct Incoming {
    pub(crate) group: GroupName,
    pub(crate) stream: String,
    /// Time and message.
    pub(crate) events: Vec<(i64, Bytes)>,
    /// How many deliveries led to each.
    pub(crate) hops: Vec<u16>,
    /// When it came in.
    pub(crate) ingested_ms: i64,
    /// Whether a missing group or stream is made.
    pub(crate) create: bool,
}

impl Incoming {
    fn stored_bytes(&self) -> u64 {
        self.events.iter().map(|(_, message)| (message.len() + chunk::EVENT_OVERHEAD) as u64).sum()
    }
}

impl Stream {
    /// An empty stream.
    pub(crate) fn new(id: u64, created_ms: i64) -> Self {
        Self { id, created_ms, first_ms: None, last_ms: None, ingested_ms: None, next_seq: 0 }
    }

    /// Numbers and packs events.
    fn take_in(&mut self, events: &[(i64, Bytes)], now_ms: i64) -> Vec<Chunk> {
        for (at_ms, _) in events {
            self.first_ms = Some(self.first_ms.map_or(*at_ms, |first| first.min(*at_ms)));
            self.last_ms = Some(self.last_ms.map_or(*at_ms, |last| last.max(*at_ms)));
        }
        self.ingested_ms = Some(now_ms);
        let chunks = chunk::pack(events.to_vec(), self.next_seq, now_ms);
        self.next_seq += events.len() as u64;
        chunks
    }
}

fn group_name(line: &LogLine) -> GroupName {
    GroupName { account: line.account, region: Region::clone(&line.region), name: line.group.as_ref().to_owned() }
}

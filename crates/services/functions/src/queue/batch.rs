//! One batch: handed to the function, and deleted when that has done it.

use std::sync::Arc;

use base::{Fault, Principal, RequestId, Timestamp, TraceHeader, Turn};
use futures_util::future::{self, Either};
use invoker::Finished;
use model::sqs::{self, ops};

use super::event::{self, Piece};
use super::{Queue, Reader, UnderWay, answer, denied, no_queue, role_of};
use crate::find::Found;
use crate::source::Mapping;
use crate::{Functions, Request, rules};

/// Most messages of one call of DeleteMessageBatch.
const DELETED_AT_ONCE: usize = 10;

/// The longest a batch waits before it tries a function without room again, ms.
const LONGEST_WAIT_MS: i64 = 10_000;

/// Messages that are delivered together.
pub(super) struct Batch {
    functions: Arc<Functions>,
    reader: Arc<Reader>,
    found: Found,
    queue: Queue,
    hears_items: bool,
    pieces: Vec<Piece>,
    /// What follows once those have been done: the rest of a FIFO queue's messages that one event cannot carry.
    rest: Vec<Piece>,
}

/// What became of a batch.
enum End {
    /// These have been done.
    Done(Vec<String>),
    /// The function failed.
    Failed,
    /// It could not begin in time.
    Left,
}

impl Batch {
    pub(super) fn new(
        (functions, reader): (&Arc<Functions>, &Arc<Reader>),
        (found, queue): (Found, Queue),
        mapping: &Mapping,
        (pieces, rest): (Vec<Piece>, Vec<Piece>),
    ) -> Self {
        Self {
            functions: Arc::clone(functions),
            reader: Arc::clone(reader),
            found,
            queue,
            hears_items: mapping.hears_items(),
            pieces,
            rest,
        }
    }
}

/// Begins a batch by itself, unless its mapping has gone meanwhile: a clean stop lets it end.
pub(super) fn begin(mut batch: Batch) {
    // Counted first: a stop that does not see it keeps it from beginning.
    let under_way = UnderWay::new(&batch.functions);
    if !batch.reader.begin() {
        return;
    }
    let turn = batch.functions.options.clocks.turn().called("a batch of a queue's messages");
    tokio::spawn(async move {
        let (mut done, mut turn) = batch.run(turn).await;
        while done && batch.follows() {
            (done, turn) = batch.run(turn).await;
        }
        batch.reader.end(&*batch.functions.options.clocks);
        drop((turn, under_way));
    });
}

impl Batch {
    /// Takes up the next of what follows. What the function may not be done with before others see it is left to the queue,
    /// and so is everything once the mapping has ended.
    fn follows(&mut self) -> bool {
        let longest_ms = i64::from(self.found.edition().settings.timeout_s) * 1_000;
        let ends = self.functions.options.clocks.product().plus_ms(longest_ms);
        if self.rest.is_empty() || self.rest.iter().any(|piece| piece.until < ends) || self.reader.mapping().is_none() {
            return false;
        }
        self.pieces = self.rest.drain(..event::fitting(&self.rest)).collect();
        true
    }

    /// Delivers and deletes it; whether all of it has been done.
    async fn run(&mut self, turn: Turn) -> (bool, Turn) {
        // What has become visible to others while the batch waited is theirs.
        let now = self.functions.options.clocks.product();
        self.pieces.retain(|piece| piece.until > now);
        let Some(ends) = self.pieces.iter().map(|piece| piece.until).min() else {
            return (false, turn);
        };
        let (end, turn) = self.deliver(turn, ends).await;
        let done = match end {
            End::Done(receipts) => {
                let all = receipts.len() == self.pieces.len();
                // As many as there are wait for room: one has it now.
                self.reader.freed.notify_one();
                if !receipts.is_empty() {
                    let asked = (&role_of(&self.found), &self.queue);
                    delete(&self.functions, &self.reader, asked, receipts).await;
                }
                all
            }
            End::Failed => {
                self.reader.freed.notify_one();
                super::lock(&self.reader.inner).failures += 1;
                false
            }
            End::Left => false,
        };
        (done, turn)
    }

    /// Invokes the function, again and again while it has no room, until the messages become visible to others.
    async fn deliver(&self, mut turn: Turn, ends: Timestamp) -> (End, Turn) {
        let (functions, clocks) = (&self.functions, &self.functions.options.clocks);
        let id = RequestId::new(&*functions.options.rng);
        let payload = event::of(&self.pieces);
        // The longest chain is the one to end.
        let trace = self.pieces.iter().filter_map(|piece| piece.trace.as_ref()).max_by_key(|(_, count)| *count);
        let trace = trace.map(|(trace, _)| trace.clone());
        let depth = trace.as_deref().map_or(0, TraceHeader::hops);
        let mut refusals = 0;
        loop {
            let request = Request {
                id,
                payload: payload.clone(),
                trace: trace.clone(),
                client_context: None,
                want_tail: false,
                depth,
                by_receipt: false,
            };
            let fault = match functions.run(&self.found.named, request).await {
                Ok(done) => return (self.judge(&done.result), turn),
                Err(fault) => fault,
            };
            if fault.status == 404 {
                self.reader.lacks(&fault);
                super::lock(&self.reader.inner).troubled = true;
                return (End::Left, turn);
            }
            tracing::debug!(%fault, queue = self.queue.arn, "a batch of messages could not begin");
            let now = clocks.product();
            let due = rules::backoff(now, refusals).min(now.plus_ms(LONGEST_WAIT_MS));
            refusals += 1;
            if due >= ends {
                super::lock(&self.reader.inner).failures += 1;
                return (End::Left, turn);
            }
            super::lock(&self.reader.inner).throttled += 1;
            turn = self.wait(turn, due).await;
            super::lock(&self.reader.inner).throttled -= 1;
            self.reader.news.tell(&**clocks);
            if self.reader.mapping().is_none() {
                // The mapping has ended: what never began is left to others.
                return (End::Left, turn);
            }
        }
    }

    /// Waits for a moment, or until another batch has left room; not at all once the mapping has ended.
    async fn wait(&self, turn: Turn, due: Timestamp) -> Turn {
        let clocks = &self.functions.options.clocks;
        let freed = std::pin::pin!(self.reader.freed.notified());
        if self.reader.mapping().is_none() {
            return turn;
        }
        let reached = clocks.product_reaches(due);
        drop(turn);
        match future::select(reached, freed).await {
            Either::Left((turn, _)) => turn,
            Either::Right(_) => clocks.turn().called("a batch of a queue's messages"),
        }
    }

    fn judge(&self, result: &Finished) -> End {
        let receipts = |done: &dyn Fn(&Piece) -> bool| {
            End::Done(self.pieces.iter().filter(|piece| done(piece)).map(|piece| piece.receipt.clone()).collect())
        };
        match result {
            Finished::FunctionError { .. } => End::Failed,
            Finished::Response(_) if !self.hears_items => receipts(&|_| true),
            Finished::Response(response) => {
                let ids: Vec<&str> = self.pieces.iter().map(|piece| piece.id.as_str()).collect();
                match answer::failed(response, &ids) {
                    Some(failed) => receipts(&|piece| !failed.contains(&piece.id)),
                    None => End::Failed,
                }
            }
        }
    }
}

/// Deletes messages; those whose deletion failed once more. What cannot be deleted is delivered again.
pub(super) async fn delete(functions: &Functions, reader: &Reader, asked: (&Principal, &Queue), receipts: Vec<String>) {
    let (mut left, mut failed) = (receipts, Vec::new());
    for _ in 0..2 {
        for receipts in left.chunks(DELETED_AT_ONCE) {
            match delete_some(functions, asked, receipts).await {
                Ok(mut some) => {
                    reader.can("DeleteMessage");
                    failed.append(&mut some);
                }
                Err(fault) => {
                    tracing::warn!(%fault, queue = asked.1.arn, "messages cannot be deleted");
                    reader.cannot("DeleteMessage", &fault);
                    if denied(&fault) || no_queue(&fault) {
                        // What is delivered now would only be delivered again.
                        super::lock(&reader.inner).troubled |= denied(&fault);
                        return;
                    }
                    failed.extend_from_slice(receipts);
                }
            }
        }
        left = std::mem::take(&mut failed);
    }
    if !left.is_empty() {
        tracing::warn!(queue = asked.1.arn, messages = left.len(), "messages were not deleted; they will come again");
    }
}

/// Deletes at most [`DELETED_AT_ONCE`] messages. Those that could not be deleted, though nothing is wrong with the call.
async fn delete_some(
    functions: &Functions,
    (principal, queue): (&Principal, &Queue),
    receipts: &[String],
) -> Result<Vec<String>, Fault> {
    let entries = receipts.iter().enumerate().map(|(at, receipt)| sqs::DeleteMessageBatchRequestEntry {
        id: Some(at.to_string()),
        receipt_handle: Some(receipt.clone()),
    });
    let input = sqs::DeleteMessageBatchRequest {
        queue_url: Some(functions.queue_url(queue)),
        entries: Some(entries.collect()),
    };
    let answer = functions.ask_source::<ops::DeleteMessageBatch>(principal, &queue.region, input).await?;
    let mut again = Vec::new();
    for failed in answer.failed.unwrap_or_default() {
        if failed.sender_fault == Some(true) {
            tracing::warn!(queue = queue.arn, code = failed.code, "a message cannot be deleted; it will come again");
            continue;
        }
        let at = failed.id.and_then(|id| id.parse::<usize>().ok());
        again.extend(at.and_then(|at| receipts.get(at)).cloned());
    }
    Ok(again)
}

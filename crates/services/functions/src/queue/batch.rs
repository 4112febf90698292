//! One batch: handed to the function, and deleted when that has done it.

use std::sync::Arc;

use base::{Principal, RequestId, Timestamp, TraceHeader, Turn};
use futures_util::future::{self, Either};
use invoker::Finished;
use model::sqs::{self, ops};

use super::event::{self, Piece};
use super::{Queue, Reader, answer, denied, role_of};
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
    /// When they were received, so that it is known when they become visible again.
    since: Timestamp,
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
        pieces: Vec<Piece>,
        since: Timestamp,
    ) -> Self {
        Self {
            functions: Arc::clone(functions),
            reader: Arc::clone(reader),
            found,
            queue,
            hears_items: mapping.hears_items(),
            pieces,
            since,
        }
    }
}

/// Begins a batch by itself, unless its mapping has gone meanwhile: a clean stop lets it end.
pub(super) fn begin(batch: Batch) {
    if !batch.reader.begin() {
        return;
    }
    let turn = batch.functions.options.clocks.turn().called("a batch of a queue's messages");
    tokio::spawn(async move {
        let turn = batch.run(turn).await;
        batch.reader.end(&*batch.functions.options.clocks);
        drop(turn);
    });
}

impl Batch {
    async fn run(&self, turn: Turn) -> Turn {
        let (end, turn) = self.deliver(turn).await;
        match end {
            End::Done(receipts) => {
                // As many as there are wait for room: one has it now.
                self.reader.freed.notify_one();
                if !receipts.is_empty() {
                    let asked = (&role_of(&self.found), &self.queue);
                    delete(&self.functions, &self.reader, asked, receipts).await;
                }
            }
            End::Failed => {
                self.reader.freed.notify_one();
                super::lock(&self.reader.inner).failures += 1;
            }
            End::Left => {}
        }
        turn
    }

    /// Invokes the function, again and again while it has no room, until the messages become visible to others.
    async fn deliver(&self, mut turn: Turn) -> (End, Turn) {
        let (functions, clocks) = (&self.functions, &self.functions.options.clocks);
        let id = RequestId::new(&*functions.options.rng);
        let payload = event::of(&self.pieces);
        // The longest chain is the one to end.
        let trace = self.pieces.iter().filter_map(|piece| piece.trace.as_ref()).max_by_key(|(_, count)| *count);
        let trace = trace.map(|(trace, _)| trace.clone());
        let depth = trace.as_deref().map_or(0, TraceHeader::hops);
        let (mut refusals, mut ends) = (0, None);
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
            let ends = match ends {
                Some(ends) => ends,
                None => *ends.insert(self.visible_again().await),
            };
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

    /// Waits for a moment, or until another batch has left room.
    async fn wait(&self, turn: Turn, due: Timestamp) -> Turn {
        let clocks = &self.functions.options.clocks;
        let reached = clocks.product_reaches(due);
        drop(turn);
        let freed = std::pin::pin!(self.reader.freed.notified());
        match future::select(reached, freed).await {
            Either::Left((turn, _)) => turn,
            Either::Right(_) => clocks.turn().called("a batch of a queue's messages"),
        }
    }

    /// When the messages become visible to others.
    async fn visible_again(&self) -> Timestamp {
        let about = self.functions.look_at_queue(&self.queue).await;
        // A queue that cannot be asked has the time that queues have at first.
        let visibility_s = about.map_or(30, |about| about.visibility_s);
        self.since.plus_ms(i64::from(visibility_s) * 1_000)
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

/// Deletes messages. What cannot be deleted is delivered again.
pub(super) async fn delete(
    functions: &Functions,
    reader: &Reader,
    (principal, queue): (&Principal, &Queue),
    receipts: Vec<String>,
) {
    let mut receipts = receipts.into_iter().peekable();
    while receipts.peek().is_some() {
        let entries = receipts.by_ref().take(DELETED_AT_ONCE).enumerate();
        let entries = entries.map(|(at, receipt)| sqs::DeleteMessageBatchRequestEntry {
            id: Some(at.to_string()),
            receipt_handle: Some(receipt),
        });
        let input = sqs::DeleteMessageBatchRequest {
            queue_url: Some(functions.queue_url(queue)),
            entries: Some(entries.collect()),
        };
        match functions.ask_source::<ops::DeleteMessageBatch>(principal, &queue.region, input).await {
            Ok(answer) => {
                reader.can("DeleteMessage");
                for failed in answer.failed.unwrap_or_default() {
                    tracing::warn!(
                        queue = queue.arn,
                        code = failed.code,
                        "a message cannot be deleted; it will come again"
                    );
                }
            }
            Err(fault) => {
                tracing::warn!(%fault, queue = queue.arn, "messages cannot be deleted; they will come again");
                reader.cannot("DeleteMessage", &fault);
                let mut inner = super::lock(&reader.inner);
                // What is delivered now would only be delivered again.
                inner.troubled |= denied(&fault);
                return;
            }
        }
    }
}

//! Asynchronous invocations: accepted once durable, delivered at least once, tried again, and in the end let go.
//!
//! A row in the queue is the truth; what is in memory only says which row is due next. A row goes when its invocation has
//! ended, so that an event under way when the platform is killed is delivered again.
//! Source: AWS Lambda developer guide, "How Lambda handles errors and retries with asynchronous invocation".

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::{Fault, RequestId, Timestamp};
use bytes::Bytes;
use invoker::Finished;
use tokio::sync::Semaphore;

use crate::name::{Address, Named};
use crate::rules::{self, MAX_EVENT_AGE_MS, RETRY_DELAYS_MS};
use crate::state::EventKey;
use crate::types::Waiting;
use crate::{Functions, Request, faults};

/// Rung when an event was accepted.
const BELL: &str = "functions/events";
/// Events delivered at once. Each holds its payload in memory; the invoker's own limits come on top.
const AT_ONCE: usize = 256;
/// Events that may wait. The next one is throttled.
const MOST_WAITING: usize = 200_000;

/// Which events wait, earliest due first. An event under way is not among them.
pub(crate) struct Events {
    waiting: Mutex<BinaryHeap<Reverse<EventKey>>>,
}

impl Events {
    pub(crate) fn new(keys: Vec<EventKey>) -> Self {
        Self { waiting: Mutex::new(keys.into_iter().map(Reverse).collect()) }
    }

    fn lock(&self) -> MutexGuard<'_, BinaryHeap<Reverse<EventKey>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, key: EventKey) {
        self.lock().push(Reverse(key));
    }

    /// The earliest event if it is due, or else when it will be.
    fn next(&self, now: Timestamp) -> Next {
        let mut waiting = self.lock();
        match waiting.peek() {
            None => Next::Nothing,
            Some(Reverse(key)) if key.due > now => Next::Later(key.due),
            Some(_) => waiting.pop().map_or(Next::Nothing, |Reverse(key)| Next::Due(key)),
        }
    }
}

enum Next {
    Due(EventKey),
    Later(Timestamp),
    Nothing,
}

impl Functions {
    /// Takes an event for later: durable when this answers.
    ///
    /// # Errors
    /// Too many wait already; the store's faults.
    pub(crate) async fn accept_event(&self, named: &Named, request: Request) -> Result<(), Fault> {
        if self.events.lock().len() >= MOST_WAITING {
            return Err(faults::throttled(invoker::ThrottleReason::ConcurrentInvocationLimitExceeded));
        }
        let now = self.options.clocks.product();
        let key = EventKey { due: now, request: request.id.to_string() };
        let waiting = Waiting {
            account: named.address.account.to_string(),
            region: named.address.region.to_string(),
            name: named.address.name.clone(),
            qualifier: named.qualifier.clone(),
            request: key.request.clone(),
            since_ms: now.0,
            failures: 0,
            refusals: 0,
            trace: request.trace,
            client_context: request.client_context,
        };
        self.state.enqueue(&key, &waiting, &request.payload).await?;
        self.events.push(key);
        self.options.bell.ring(BELL);
        Ok(())
    }
}

/// Delivers events as they fall due, until it is dropped. What is then under way goes on by itself.
pub(crate) async fn deliver_all(functions: &Arc<Functions>) {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let clocks = &functions.options.clocks;
    loop {
        // First enrol, then look, then wait: a ring in between is not lost.
        let rung = functions.options.bell.wait(BELL);
        let permit = Arc::clone(&room).acquire_owned().await.expect("the semaphore is never closed");
        match functions.events.next(clocks.product()) {
            Next::Due(key) => {
                let functions = Arc::clone(functions);
                // By itself: a clean stop lets it end and be settled, and does not deliver it again.
                tokio::spawn(async move {
                    deliver(&functions, key).await;
                    drop(permit);
                });
            }
            Next::Later(due) => {
                tokio::select! {
                    () = rung => {}
                    () = clocks.product_reaches(due) => {}
                }
            }
            Next::Nothing => rung.await,
        }
    }
}

/// One attempt at one event, and what follows from its end.
async fn deliver(functions: &Functions, key: EventKey) {
    let outcome = match functions.state.event(&key) {
        Ok(Some((waiting, payload))) => attempt(functions, &key, waiting, payload).await,
        Ok(None) => {
            tracing::warn!(request = key.request, "an asynchronous event does not read; it is left where it is");
            return;
        }
        Err(fault) => Err(fault),
    };
    if let Err(fault) = outcome {
        // The row stands as it was: the next start delivers it again.
        tracing::error!(%fault, request = key.request, "an asynchronous event could not be settled");
    }
}

async fn attempt(functions: &Functions, key: &EventKey, mut waiting: Waiting, payload: Bytes) -> Result<(), Fault> {
    let now = functions.options.clocks.product();
    let Some((named, id)) = read(&waiting) else {
        return let_go(functions, key, &waiting, "it does not read").await;
    };
    if now.0 - waiting.since_ms > MAX_EVENT_AGE_MS {
        return let_go(functions, key, &waiting, "it is older than six hours").await;
    }
    let request = Request {
        id,
        payload: payload.clone(),
        trace: waiting.trace.clone(),
        client_context: waiting.client_context.clone(),
        want_tail: false,
    };
    let due = match functions.run(&named, request).await {
        Ok(done) => match done.result {
            Finished::Response(_) => return functions.state.settle(key, None).await,
            Finished::FunctionError { error_type, .. } => {
                let failures = usize::try_from(waiting.failures).unwrap_or(usize::MAX);
                let Some(delay_ms) = RETRY_DELAYS_MS.get(failures) else {
                    return let_go(functions, key, &waiting, &format!("the function failed: {error_type}")).await;
                };
                waiting.failures += 1;
                waiting.refusals = 0;
                functions.options.clocks.product().plus_ms(*delay_ms)
            }
        },
        Err(fault) if fault.status == 404 => {
            return let_go(functions, key, &waiting, "its function is gone").await;
        }
        Err(fault) => {
            tracing::debug!(%fault, request = waiting.request, "an asynchronous event could not begin");
            let due = rules::backoff(functions.options.clocks.product(), waiting.refusals);
            waiting.refusals = waiting.refusals.saturating_add(1);
            due
        }
    };
    let again = EventKey { due, request: waiting.request.clone() };
    functions.state.settle(key, Some((&again, &waiting, &payload))).await?;
    functions.events.push(again);
    functions.options.bell.ring(BELL);
    Ok(())
}

fn read(waiting: &Waiting) -> Option<(Named, RequestId)> {
    let address = Address {
        account: waiting.account.parse().ok()?,
        region: waiting.region.parse().ok()?,
        name: waiting.name.clone(),
    };
    Some((Named { address, qualifier: waiting.qualifier.clone() }, waiting.request.parse().ok()?))
}

/// Ends an event that will not be delivered any more, and says so.
async fn let_go(functions: &Functions, key: &EventKey, waiting: &Waiting, why: &str) -> Result<(), Fault> {
    tracing::warn!(
        function = waiting.name,
        request = waiting.request,
        failures = waiting.failures,
        why,
        "an asynchronous event is dropped"
    );
    functions.state.settle(key, None).await
}

//! Asynchronous invocations: accepted once durable, delivered at least once, tried again, and in the end let go.
//!
//! A row in the queue is the truth; what is in memory only says which row is due next. A row goes when its invocation has
//! ended, so that an event under way when the platform is killed is delivered again.
//! Source: AWS Lambda developer guide, "How Lambda handles errors and retries with asynchronous invocation".

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::{Clocks, EventNews, Fault, LogLine, News, Receipt, RequestId, Timestamp, Turn};
use bytes::Bytes;
use door::Context;
use door::outbox::OUTBOX_BELL;
use invoker::Finished;
use tokio::sync::Semaphore;

use crate::aws::log_group;
use crate::destination::{Condition, End, Outgoing, error_message};
use crate::name::{Address, Named};
use crate::rules;
use crate::state::{EventKey, place};
use crate::types::{Function, Waiting};
use crate::{Functions, Request, faults, lineage};

/// Events delivered at once. Each holds its payload in memory; the invoker's own limits come on top.
const AT_ONCE: usize = 256;
/// Events that may wait. The next one is throttled.
const MOST_WAITING: usize = 200_000;

/// Of those, events of one function: a slow one must not hold up the others.
const OF_ONE_FUNCTION: usize = 64;

/// Which events wait, earliest due first. An event under way is not among them.
pub(crate) struct Events {
    inner: Mutex<Inner>,
    // Told when one came, or when one has ended: then there may be room for another.
    news: News,
}

#[derive(Default)]
struct Inner {
    waiting: BinaryHeap<Reverse<EventKey>>,
    busy: HashMap<Arc<str>, Busy>,
}

/// A function with events under way.
#[derive(Default)]
struct Busy {
    under_way: usize,
    // Due events for which it has no room now, in the order they fell due.
    parked: VecDeque<EventKey>,
}

enum Next {
    Due(EventKey),
    Later(Timestamp),
    Nothing,
}

impl Events {
    pub(crate) fn new(keys: Vec<EventKey>) -> Self {
        let waiting = keys.into_iter().map(Reverse).collect();
        Self { inner: Mutex::new(Inner { waiting, busy: HashMap::new() }), news: News::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self) -> usize {
        let inner = self.lock();
        inner.waiting.len() + inner.busy.values().map(|busy| busy.parked.len()).sum::<usize>()
    }

    fn push(&self, key: EventKey, clocks: &dyn Clocks) {
        self.lock().waiting.push(Reverse(key));
        self.news.tell(clocks);
    }

    /// The earliest due event whose function has room, or else when the next one is due. Whoever takes one must call
    /// [`Events::ended`].
    fn next(&self, now: Timestamp) -> Next {
        let mut inner = self.lock();
        loop {
            match inner.waiting.peek() {
                None => return Next::Nothing,
                Some(Reverse(key)) if key.due > now => return Next::Later(key.due),
                Some(_) => {}
            }
            let Some(Reverse(key)) = inner.waiting.pop() else { return Next::Nothing };
            let busy = inner.busy.entry(Arc::clone(&key.function)).or_default();
            if busy.under_way < OF_ONE_FUNCTION {
                busy.under_way += 1;
                return Next::Due(key);
            }
            busy.parked.push_back(key);
        }
    }

    /// An event of this function has ended: the next of its own may go.
    fn ended(&self, function: &Arc<str>, clocks: &dyn Clocks) {
        self.make_room(function);
        self.news.tell(clocks);
    }

    fn make_room(&self, function: &Arc<str>) {
        let mut inner = self.lock();
        let Some(busy) = inner.busy.get_mut(function) else { return };
        busy.under_way -= 1;
        let next = busy.parked.pop_front();
        if busy.under_way == 0 && busy.parked.is_empty() {
            inner.busy.remove(function);
        }
        inner.waiting.extend(next.map(Reverse));
    }
}

impl Functions {
    /// Takes an event for later: durable when this answers.
    ///
    /// # Errors
    /// Too many wait already; the store's faults.
    pub(crate) async fn accept_event(&self, named: &Named, request: Request) -> Result<(), Fault> {
        if self.events.count() >= MOST_WAITING {
            return Err(faults::throttled(invoker::ThrottleReason::ConcurrentInvocationLimitExceeded));
        }
        let now = self.options.clocks.product();
        let function = place(&named.address).into();
        let key = EventKey { due: now, request: request.id.to_string(), function };
        let waiting = Waiting {
            account: named.address.account.to_string(),
            region: named.address.region.to_string(),
            name: named.address.name.clone(),
            qualifier: named.qualifier.clone(),
            request: key.request.clone(),
            since_ms: now.0,
            failures: 0,
            refusals: 0,
            last: None,
            trace: request.trace,
            client_context: request.client_context,
            depth: request.depth,
        };
        self.state.enqueue(&key, &waiting, &request.payload).await?;
        self.tell(named, EventNews::Received);
        self.events.push(key, &*self.options.clocks);
        Ok(())
    }

    /// Ends an event to which a chain of calls led that came back to the function too often: it is reported as one that
    /// failed, if somebody wants to hear.
    pub(crate) async fn let_go_looped(
        &self,
        named: &Named,
        context: &Context,
        (payload, why): (Bytes, &Fault),
    ) -> Result<(), Fault> {
        let now = self.options.clocks.product();
        let waiting = Waiting {
            account: named.address.account.to_string(),
            region: named.address.region.to_string(),
            name: named.address.name.clone(),
            qualifier: named.qualifier.clone(),
            request: context.request_id.to_string(),
            since_ms: now.0,
            failures: 0,
            refusals: 0,
            last: Some((why.status, why.message.clone())),
            trace: context.trace.clone(),
            client_context: None,
            depth: context.depth,
        };
        let Some(access) = self.state.access(&named.address)? else { return Ok(()) };
        let config = access.event_invoke(named.qualifier.as_deref());
        let end = End { condition: Condition::RetriesExhausted, payload: &payload, done: None, runs: 0 };
        let reports = self.reports(named, &config, &waiting, &end)?;
        let function = place(&named.address).into();
        finish(self, &EventKey { due: now, request: waiting.request, function }, reports, None).await
    }

    /// Says, in the function's log and its metrics, that a chain of calls came back to it too often.
    pub(crate) fn tell_of_loop(&self, named: &Named, function: &Function) {
        self.tell(named, EventNews::Recursive);
        let Address { account, region, name } = &named.address;
        let text = format!(
            "LAMBENT: an invocation of {name} was stopped: a chain of calls and events has led back to this function more \
             than {} times. It looks endless: perhaps the function writes where its own trigger looks. A prefix filter or \
             a second bucket ends it; `aws lambda put-function-recursion-config --function-name {name} --recursive-loop \
             Allow` lets it go on.",
            lineage::MOST
        );
        tracing::warn!(function = %name, "{text}");
        let at = self.options.clocks.product();
        let (year, month, day, ..) = at.civil();
        self.options.logs.write(vec![LogLine {
            account: *account,
            region: region.clone(),
            group: log_group(&named.address, &function.settings).into(),
            stream: format!("{year:04}/{month:02}/{day:02}/recursive-loop-detection").into(),
            at,
            text,
            // What hears of the log hears of this as the last of its chain.
            hops: 0,
        }]);
    }

    /// Tells the meter what became of an event.
    fn tell(&self, named: &Named, news: EventNews) {
        let arn = named.address.qualified(named.qualifier.as_deref());
        self.options.meter.event(named.address.account, &arn, news);
    }
}

/// Delivers events as they fall due, until it is dropped. What is then under way goes on by itself.
pub(crate) async fn deliver_all(functions: &Arc<Functions>) {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let clocks = &functions.options.clocks;
    let news = &functions.events.news;
    let mut turn = Turn::default();
    loop {
        let permit = Arc::clone(&room).acquire_owned().await.expect("the semaphore is never closed");
        match functions.events.next(clocks.product()) {
            Next::Due(key) => {
                let functions = Arc::clone(functions);
                let turn = clocks.turn().called("an asynchronous event");
                // By itself: a clean stop lets it end and be settled, and does not deliver it again.
                tokio::spawn(async move {
                    let function = Arc::clone(&key.function);
                    deliver(&functions, key).await;
                    drop(permit);
                    functions.events.ended(&function, &*functions.options.clocks);
                    drop(turn);
                });
            }
            Next::Later(due) => {
                let reached = clocks.product_reaches(due);
                drop(turn);
                turn = tokio::select! {
                    turn = news.heard() => turn,
                    turn = reached => turn,
                };
            }
            Next::Nothing => {
                drop(turn);
                turn = news.heard().await;
            }
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
    let Some((named, id)) = read(&waiting) else {
        return let_go(functions, key, &waiting, "it does not read", (Vec::new(), None)).await;
    };
    let Some(access) = functions.state.access(&named.address)? else {
        functions.tell(&named, EventNews::Dropped);
        return let_go(functions, key, &waiting, "its function is gone", (Vec::new(), None)).await;
    };
    let config = access.event_invoke(named.qualifier.as_deref());
    let ends = Timestamp(waiting.since_ms).plus_ms(rules::max_event_age_ms(&config));
    let now = functions.options.clocks.product();
    if now > ends {
        let end = End { condition: Condition::EventAgeExceeded, payload: &payload, done: None, runs: waiting.failures };
        let reports = functions.reports(&named, &config, &waiting, &end)?;
        functions.tell(&named, EventNews::Dropped);
        return let_go(functions, key, &waiting, "it is too old", (reports, None)).await;
    }
    functions.tell(&named, EventNews::Begins((now.0 - waiting.since_ms).max(0).unsigned_abs()));
    let request = Request {
        id,
        payload: payload.clone(),
        trace: waiting.trace.clone(),
        client_context: waiting.client_context.clone(),
        want_tail: false,
        depth: waiting.depth,
        by_receipt: true,
    };
    let ran = functions.run(&named, request).await;
    // What it used is kept with what becomes of the event, so that it counts exactly once.
    let receipt = ran.as_ref().ok().and_then(|done| functions.options.meter.receipt(&done.row));
    let due = match ran {
        Ok(done) => {
            let (payload, runs) = (&payload, waiting.failures + 1);
            let Finished::FunctionError { error_type, payload: error, .. } = &done.result else {
                let end = End { condition: Condition::Success, payload, done: Some(&done), runs };
                return finish(functions, key, functions.reports(&named, &config, &waiting, &end)?, receipt).await;
            };
            let Some(delay_ms) = rules::retry_delay_ms(&config, waiting.failures) else {
                let end = End { condition: Condition::RetriesExhausted, payload, done: Some(&done), runs };
                let reports = functions.reports(&named, &config, &waiting, &end)?;
                let why = format!("the function failed: {error_type}");
                functions.tell(&named, EventNews::Dropped);
                return let_go(functions, key, &waiting, &why, (reports, receipt)).await;
            };
            waiting.last = Some((200, error_message(error)));
            waiting.failures += 1;
            waiting.refusals = 0;
            functions.options.clocks.product().plus_ms(delay_ms)
        }
        Err(fault) if fault.status == 404 => {
            functions.tell(&named, EventNews::Dropped);
            return let_go(functions, key, &waiting, "its function is gone", (Vec::new(), None)).await;
        }
        Err(fault) => {
            tracing::debug!(%fault, request = waiting.request, "an asynchronous event could not begin");
            let due = rules::backoff(functions.options.clocks.product(), waiting.refusals);
            waiting.last = Some((fault.status, fault.message));
            waiting.refusals = waiting.refusals.saturating_add(1);
            due
        }
    };
    // One that would be too old by then is let go as soon as it is.
    let again = EventKey { due: due.min(ends.plus_ms(1)), ..key.clone() };
    let counted = receipt.is_some();
    functions.state.put_off(key, (&again, &waiting, &payload), receipt).await?;
    if counted {
        functions.options.meter.receipted();
    }
    functions.events.push(again, &*functions.options.clocks);
    Ok(())
}

/// Ends an event and has its end reported.
async fn finish(
    functions: &Functions,
    key: &EventKey,
    reports: Vec<Outgoing>,
    receipt: Option<Receipt>,
) -> Result<(), Fault> {
    let (reported, counted) = (!reports.is_empty(), receipt.is_some());
    functions.state.end(key, reports, receipt).await?;
    if counted {
        functions.options.meter.receipted();
    }
    if reported {
        functions.options.bell.ring(OUTBOX_BELL);
    }
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
async fn let_go(
    functions: &Functions,
    key: &EventKey,
    waiting: &Waiting,
    why: &str,
    (reports, receipt): (Vec<Outgoing>, Option<Receipt>),
) -> Result<(), Fault> {
    tracing::warn!(
        function = waiting.name,
        request = waiting.request,
        failures = waiting.failures,
        why,
        reported = !reports.is_empty(),
        "an asynchronous event is dropped"
    );
    finish(functions, key, reports, receipt).await
}

#[cfg(test)]
mod tests {
    use base::SystemClocks;

    use super::*;

    fn key(due: i64, request: usize, function: &str) -> EventKey {
        EventKey { due: Timestamp(due), request: request.to_string(), function: function.into() }
    }

    #[test]
    fn a_busy_function_leaves_room_for_others() {
        let events = Events::new((0..1000).map(|n| key(0, n, "slow")).collect());
        events.push(key(5, 0, "quick"), &SystemClocks);
        let mut taken = Vec::new();
        while let Next::Due(key) = events.next(Timestamp(10)) {
            taken.push(key.function);
        }
        let of = |name: &str| taken.iter().filter(|function| &***function == name).count();
        assert_eq!((of("slow"), of("quick")), (OF_ONE_FUNCTION, 1));
        assert_eq!(events.count(), 1000 - OF_ONE_FUNCTION);
        // One that ends lets one go, and in the end all have gone.
        let mut gone = taken.len();
        while let Some(function) = taken.pop() {
            events.make_room(&function);
            while let Next::Due(key) = events.next(Timestamp(10)) {
                taken.push(key.function);
                gone += 1;
            }
        }
        assert_eq!((gone, events.count()), (1001, 0));
        assert!(events.lock().busy.is_empty());
    }

    #[test]
    fn nothing_goes_before_it_is_due() {
        let events = Events::new(vec![key(20, 0, "f"), key(10, 1, "f")]);
        assert!(matches!(events.next(Timestamp(9)), Next::Later(Timestamp(10))));
        assert!(matches!(events.next(Timestamp(10)), Next::Due(key) if key.request == "1"));
        assert!(matches!(events.next(Timestamp(10)), Next::Later(Timestamp(20))));
        assert!(matches!(events.next(Timestamp(20)), Next::Due(_)));
        assert!(matches!(events.next(Timestamp(20)), Next::Nothing));
    }
}

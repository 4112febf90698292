//! Who may say what when: clients that wait for an event, events that wait for a client, and events being handled.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use base::RequestId;
use tokio::sync::oneshot;

use super::{Event, Gone, Outcome, Sink, Wire};

/// The state of a conversation. Its lock is never held across an await.
#[derive(Debug)]
pub(super) struct Exchange {
    state: Mutex<State>,
    concurrency: usize,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    // Connections that wait in `/next`, first come first served.
    waiting: VecDeque<Arc<Wire>>,
    // Every event that was offered and not yet forgotten. A handful, so a list.
    events: Vec<Held>,
    // The event answered last: a second answer to it is another mistake than an unknown id.
    answered: Option<RequestId>,
    // Whether a client is sending the report that INIT failed: a second one's would be kept in memory for nothing.
    failing: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Started,
    InitError,
    Ready,
    Closed,
}

#[derive(Debug)]
struct Held {
    event: Arc<Event>,
    // Taken when it is answered.
    answer: Option<oneshot::Sender<Outcome>>,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    // No client has asked for it.
    Offered,
    // A client has it.
    Running,
    // A client is sending its answer.
    Answering,
}

/// Where an offered event went.
pub(super) enum Placed {
    /// To a waiting client: the caller writes it there.
    With(Arc<Wire>),
    /// Nowhere yet: the next client that asks gets it.
    Nowhere,
}

/// What a client that asks for an event gets.
pub(super) enum Next {
    /// This event; the asking connection writes it. `first` says that INIT has ended with this request.
    Take { event: Arc<Event>, first: bool },
    /// Nothing yet: it was put among the waiting.
    Wait { first: bool },
    /// INIT had failed, or the conversation is over.
    Refused(Refused),
}

/// A request that does not fit the state, as `InvalidStateTransition` describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) from: &'static str,
    pub(super) to: &'static str,
}

/// Why an answer is not wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unwanted {
    /// No event of this id is being handled.
    UnknownId,
    /// It is being answered, or has been.
    Transition(Refused),
}

impl Exchange {
    pub(super) fn new(concurrency: usize) -> Self {
        let (waiting, events) = (VecDeque::new(), Vec::new());
        let state = State { phase: Phase::Started, waiting, events, answered: None, failing: false };
        Self { state: Mutex::new(state), concurrency }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while holding it")
    }

    /// Takes a new event.
    pub(super) fn offer(&self, event: &Arc<Event>, answer: oneshot::Sender<Outcome>) -> Result<Placed, Gone> {
        let mut state = self.state();
        if matches!(state.phase, Phase::InitError | Phase::Closed) {
            return Err(Gone);
        }
        // An asynchronous event that is tried again keeps its id: then an answer to it is the first of this attempt.
        if state.answered == Some(event.request_id) {
            state.answered = None;
        }
        let wire = state.waiting.pop_front();
        let stage = if wire.is_some() { Stage::Running } else { Stage::Offered };
        state.events.push(Held { event: Arc::clone(event), answer: Some(answer), stage });
        Ok(wire.map_or(Placed::Nowhere, Placed::With))
    }

    /// Whether a client waits for an event, and none is being handled.
    pub(super) fn is_waiting(&self) -> bool {
        let state = self.state();
        !state.waiting.is_empty() && state.events.is_empty()
    }

    /// Finds another client for an event whose delivery failed.
    pub(super) fn offer_again(&self, id: RequestId) -> Result<Placed, Gone> {
        let mut state = self.state();
        let wire = state.waiting.pop_front();
        let held = state.held(&id).ok_or(Gone)?;
        held.stage = if wire.is_some() { Stage::Running } else { Stage::Offered };
        Ok(wire.map_or(Placed::Nowhere, Placed::With))
    }

    /// A client asks for an event on the connection `wire`.
    pub(super) fn next(&self, wire: &Arc<Wire>) -> Next {
        let mut state = self.state();
        let first = match state.phase {
            Phase::InitError => return Next::Refused(Refused { from: "InitError", to: "Ready" }),
            Phase::Closed => return Next::Refused(Refused { from: "Closed", to: "Ready" }),
            Phase::Started => true,
            Phase::Ready => false,
        };
        state.phase = Phase::Ready;
        if let Some(held) = state.events.iter_mut().find(|held| held.stage == Stage::Offered) {
            held.stage = Stage::Running;
            return Next::Take { event: Arc::clone(&held.event), first };
        }
        // A client that holds as many events as it may has lost one, or forgot to answer: it gets the oldest again.
        if state.events.len() >= self.concurrency
            && let Some(held) = state.events.iter().find(|held| held.stage == Stage::Running)
        {
            return Next::Take { event: Arc::clone(&held.event), first };
        }
        state.waiting.push_back(Arc::clone(wire));
        Next::Wait { first }
    }

    /// Whether the connection still waits for an event; afterwards it does not.
    pub(super) fn stop_waiting(&self, wire: &Arc<Wire>) -> bool {
        let mut state = self.state();
        let before = state.waiting.len();
        state.waiting.retain(|other| !Arc::ptr_eq(other, wire));
        state.waiting.len() < before
    }

    /// How many clients wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    /// A client begins an answer to the event `id`; until [`Exchange::answer`] or [`Exchange::abandon`] nobody else may.
    /// Gives the event's sink, if it has one.
    pub(super) fn begin_answer(&self, id: RequestId, error: bool) -> Result<Option<Sink>, Unwanted> {
        let to = if error { "InvocationErrorResponse" } else { "InvocationResponse" };
        let unwanted = |from| Unwanted::Transition(Refused { from, to });
        let mut state = self.state();
        if state.answered == Some(id) {
            return Err(unwanted("RuntimeResponseSentState"));
        }
        let held = state.held(&id).ok_or(Unwanted::UnknownId)?;
        match held.stage {
            Stage::Offered => Err(Unwanted::UnknownId),
            Stage::Answering => Err(unwanted("InvocationResponse")),
            Stage::Running => {
                held.stage = Stage::Answering;
                Ok(held.event.sink.clone())
            }
        }
    }

    /// The connection broke before the answer was complete: another may be sent.
    pub(super) fn abandon(&self, id: &RequestId) {
        if let Some(held) = self.state().held(id)
            && held.stage == Stage::Answering
        {
            held.stage = Stage::Running;
        }
    }

    /// The answer is complete. Whoever waits for it wakes.
    pub(super) fn answer(&self, id: RequestId, outcome: Outcome) {
        let mut state = self.state();
        state.answered = Some(id);
        let Some(at) = state.events.iter().position(|held| held.event.request_id == id) else { return };
        let held = state.events.swap_remove(at);
        drop(state);
        if let Some(answer) = held.answer {
            // An error says that the invocation was abandoned meanwhile: nobody wants to know.
            let _ = answer.send(outcome);
        }
    }

    /// A client begins to report that INIT failed; until [`Exchange::end_init_error`] nobody else may.
    pub(super) fn begin_init_error(&self) -> Result<(), Refused> {
        let mut state = self.state();
        state.may_fail_init()?;
        if std::mem::replace(&mut state.failing, true) {
            return Err(Refused { from: "InitError", to: "InitError" });
        }
        Ok(())
    }

    /// The report is over, whether it was whole or not.
    pub(super) fn end_init_error(&self) {
        self.state().failing = false;
    }

    /// A client has reported that INIT failed.
    pub(super) fn init_failed(&self) -> Result<(), Refused> {
        let mut state = self.state();
        state.may_fail_init()?;
        state.phase = Phase::InitError;
        // Events that were offered meanwhile will find no client.
        state.events.clear();
        Ok(())
    }

    /// The event's invocation has ended or was abandoned.
    pub(super) fn forget(&self, id: &RequestId) {
        let mut state = self.state();
        if let Some(at) = state.events.iter().position(|held| held.event.request_id == *id) {
            state.events.swap_remove(at);
        }
    }

    /// The conversation is over: all senders drop, so that who waits learns it.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.phase = Phase::Closed;
        let (events, waiting) = (std::mem::take(&mut state.events), std::mem::take(&mut state.waiting));
        drop(state);
        drop((events, waiting));
    }
}

impl State {
    fn may_fail_init(&self) -> Result<(), Refused> {
        let from = match self.phase {
            Phase::Started => return Ok(()),
            Phase::InitError => "InitError",
            Phase::Closed => "Closed",
            Phase::Ready if self.events.iter().any(|held| held.stage != Stage::Offered) => "Running",
            Phase::Ready => "Ready",
        };
        Err(Refused { from, to: "InitError" })
    }

    fn held(&mut self, id: &RequestId) -> Option<&mut Held> {
        self.events.iter_mut().find(|held| held.event.request_id == *id)
    }
}

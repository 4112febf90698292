//! One request on its way through an environment.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{Invoked, Phases, RequestId, StartKind, Timestamp};
use bytes::Bytes;
use runtime::web::{self, Switched};
use sandbox::{ExitCause, Usage};
use tokio::time::{timeout, timeout_at};

use super::body::WebBody;
use super::hall::{Birth, Hall, Opener};
use super::wire::WebWire;
use super::{Answered, Opened, Shut};
use crate::crowd::Crowd;
use crate::debug;
use crate::engine::{Engine, Running};
use crate::environment::{BREAK_WAIT, InitEnd, micros, told_apart};
use crate::place::Unplaced;
use crate::pool::Pool;
use crate::report::{self, Report, Status};
use crate::run::{self, Run};
use crate::{Done, FailureKind, Finished, Invocation, Refusal, Target};

/// What a status is called that is a failure.
const STATUS: &str = "Runtime.WebStatus";
/// One request on its way, a member of its crowd. Dropped, it leaves as one whose caller has gone.
pub(super) struct Member {
    pub(super) engine: Arc<Engine>,
    pub(super) target: Arc<Target>,
    pub(super) pool: Arc<Pool>,
    pub(super) crowd: Arc<Crowd<Opened>>,
    // Where it is, once it is in.
    pub(super) hall: Option<Arc<Hall>>,
    pub(super) birth: Option<Birth>,
    pub(super) call: Called,
    pub(super) admitted: Instant,
    pub(super) at: Timestamp,
    // Since it has been handed to the program.
    pub(super) begun: Instant,
    pub(super) first_byte_us: Option<u64>,
    pub(super) status: Option<http::StatusCode>,
    // Whether it has still to leave.
    pub(super) inside: bool,
    pub(super) _running: Running<Arc<Engine>>,
}

/// What of a call is left once its request is on its way.
pub(super) struct Called {
    pub(super) request_id: RequestId,
    pub(super) invoked_arn: Arc<str>,
    pub(super) want_tail: bool,
    pub(super) by_receipt: bool,
    pub(super) fails_from: Option<u16>,
    // Method and path, without the query, which may hold secrets.
    pub(super) line: String,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member").field("request", &self.call.request_id).finish_non_exhaustive()
    }
}

impl Member {
    /// Finds an environment for a crowd that has just begun: an idle one at once, a new one beside the requests that wait
    /// for it, whose callers may go away.
    pub(super) fn open(&self, trace: Option<String>) {
        let invocation = Invocation {
            request_id: self.call.request_id,
            payload: Bytes::new(),
            trace,
            client_context: None,
            invoked_arn: Arc::clone(&self.call.invoked_arn),
            want_tail: self.call.want_tail,
            by_receipt: self.call.by_receipt,
            sink: None,
        };
        let permit = match run::admit(&self.engine, &self.target, &self.pool, &invocation) {
            Ok(permit) => permit,
            Err(refusal) => return self.refuse(refusal),
        };
        let opener = Opener {
            request_id: self.call.request_id,
            invoked_arn: Arc::clone(&self.call.invoked_arn),
            by_receipt: self.call.by_receipt,
            at: self.at,
            line: self.call.line.clone(),
        };
        let began = (self.admitted, self.at);
        let run = Run::new(&self.engine, &self.target, invocation.clone(), Arc::clone(&self.pool), began, &permit);
        if let Some(placed) = run.idle() {
            let opened = Hall::new(&self.engine, placed, permit, opener).map_err(Shut::Refused);
            return self.crowd.open(opened);
        }
        let running = match Running::begin(Arc::clone(&self.engine)) {
            Ok(running) => running,
            Err(refusal) => return self.refuse(refusal),
        };
        // In it as well, so that what it makes is anybody's when it is there.
        self.pool.crowds.make(&self.crowd);
        let (engine, target) = (Arc::clone(&self.engine), Arc::clone(&self.target));
        let mut making = Making { pool: Arc::clone(&self.pool), crowd: Some(Arc::clone(&self.crowd)) };
        self.engine.tasks.spawn(async move {
            let _running = running;
            let pool = Arc::clone(&making.pool);
            let run = Run::new(&engine, &target, invocation, Arc::clone(&pool), began, &permit);
            let of = run.invocation.request_id;
            let failed = |done: Done| Err(Shut::Failed { of, done: Arc::new(done) });
            let opened: Opened = match run.place().await {
                Err(Unplaced::Refused(refusal)) => {
                    run.count_refusal(&refusal);
                    Err(Shut::Refused(refusal))
                }
                Err(Unplaced::Unstartable(program)) => failed(run.unstartable(program, permit)),
                Ok(mut placed) => match std::mem::replace(&mut placed.end, InitEnd::Ready) {
                    InitEnd::Ready => Hall::new(&engine, placed, permit, opener).map_err(Shut::Refused),
                    end => {
                        let ending = run.init_failed(&mut placed, end).await;
                        failed(run.settle(placed, ending, permit))
                    }
                },
            };
            making.made(&engine, &target, opened);
        });
    }

    /// Nobody of the crowd is served.
    fn refuse(&self, refusal: Refusal) {
        self.pool.crowds.close(&self.crowd);
        self.crowd.open(Err(Shut::Refused(refusal)));
    }

    /// Hands the request over, and waits until the answer begins.
    pub(super) async fn ask(mut self, request: web::Request, switch: Option<&'static str>) -> Answered {
        let Some(hall) = self.hall.clone() else { return Answered::Failed(Box::new(self.no_answer("it never began"))) };
        self.birth = hall.books().birth.take();
        self.begun = self.engine.options.clocks.monotonic();
        let spent = Duration::from_micros(self.birth.map_or(0, |birth| birth.spent_us));
        let limit = Duration::from_millis(self.target.timeout_ms).saturating_sub(spent);
        // A debugger may hold it.
        let limit = self.target.debug.map_or(limit, |_| debug::PATIENCE);
        let deadline = tokio::time::Instant::now() + limit;
        let asking = async {
            match switch {
                None => hall.client.send(request).await.map(|(head, answer)| Switched::Not(head, answer)),
                // Apart, so that other requests stay small.
                Some(protocol) => Box::pin(hall.client.switch(request, protocol)).await,
            }
        };
        match timeout_at(deadline, asking).await {
            Ok(Ok(Switched::Not(head, answer))) => {
                self.begins(&head);
                let deadline = Box::pin(tokio::time::sleep_until(deadline));
                Answered::Answer { head, body: Box::new(WebBody { member: Some(self), answer, deadline, done: None }) }
            }
            Ok(Ok(Switched::Over { head, stream, early })) => {
                self.begins(&head);
                Answered::Switched { head, wire: Box::new(WebWire { member: self, stream, early, deadline }) }
            }
            Ok(Err(error)) => {
                if matches!(error, web::Error::Refused(_)) {
                    // Nothing listens any more: what lives of it may never serve again.
                    self.pool.crowds.close(&self.crowd);
                }
                // Most often the program has ended, and why says more.
                let exit = timeout(BREAK_WAIT, hall.control.exited()).await;
                Answered::Failed(Box::new(match exit {
                    Ok(exit) => self.exited(told_apart(exit)),
                    Err(_) => self.no_answer(&error.to_string()),
                }))
            }
            Err(_) => Answered::Failed(Box::new(self.timed_out())),
        }
    }

    /// The program's answer has begun.
    fn begins(&mut self, head: &http::response::Parts) {
        self.status = Some(head.status);
        self.first_byte_us = Some(micros(self.begun, self.engine.options.clocks.monotonic()));
    }

    /// Adds to what REPORT says of the request.
    pub(super) fn note(&mut self, words: &str) {
        self.call.line.push_str(words);
    }

    /// There is no environment for this request, nor for the others of its crowd.
    pub(super) fn shut_out(mut self, of: RequestId, done: &Done) -> Done {
        self.leave();
        if of == self.call.request_id {
            // It has been told and metered.
            return done.clone();
        }
        let row = self.row(Usage::default(), 0, 0, true);
        self.count(&row);
        Done { result: done.result.clone(), tail: None, row, notes: self.target.notes.clone() }
    }

    fn exited(self, cause: ExitCause) -> Done {
        self.pool.crowds.close(&self.crowd);
        let id = self.call.request_id;
        self.say(report::exited(&id, cause));
        let kind = if cause == ExitCause::OutOfMemory { FailureKind::OutOfMemory } else { FailureKind::Exit };
        let error_type = report::exit_type(cause).to_owned();
        self.failed(kind, error_type, report::exit_error(&id, cause))
    }

    /// The answer is whole.
    pub(super) fn answered(self) -> Done {
        let fails = self.call.fails_from.zip(self.status).filter(|(from, status)| status.as_u16() >= *from);
        match fails {
            None => self.finish(Finished::Response(Bytes::new()), None),
            Some((_, status)) => {
                let id = self.call.request_id;
                let payload =
                    report::stream_error(&id, STATUS, &format!("the program answered with status {}", status.as_u16()));
                self.failed(FailureKind::Raised, STATUS.to_owned(), payload)
            }
        }
    }

    pub(super) fn no_answer(self, why: &str) -> Done {
        let id = self.call.request_id;
        self.say([format!("RequestId: {id} Error: {why}")]);
        let error_type = "Runtime.InvalidWebResponse".to_owned();
        let payload = report::stream_error(&id, &error_type, why);
        self.failed(FailureKind::BrokenOff, error_type, payload)
    }

    /// What hangs once may hang again: the environment takes no more requests, and ends with those it has.
    pub(super) fn timed_out(self) -> Done {
        self.pool.crowds.close(&self.crowd);
        self.unread()
    }

    /// Too slow, through no fault of the program's.
    pub(super) fn unread(self) -> Done {
        let (id, timeout_ms) = (self.call.request_id, self.target.timeout_ms);
        self.say([report::timed_out(self.engine.options.clocks.product(), &id, timeout_ms)]);
        let result = Finished::FunctionError {
            kind: FailureKind::Timeout,
            error_type: "Sandbox.Timedout".to_owned(),
            payload: report::timeout_error(&id, timeout_ms),
        };
        self.finish(result, Some(&Status::Timeout))
    }

    pub(super) fn failed(self, kind: FailureKind, error_type: String, payload: Bytes) -> Done {
        let status = Status::Error(error_type.clone());
        self.finish(Finished::FunctionError { kind, error_type, payload }, Some(&status))
    }

    fn say(&self, lines: impl IntoIterator<Item = String>) {
        if let Some(hall) = &self.hall {
            lines.into_iter().for_each(|line| hall.log.say(line));
        }
    }

    /// The request is over: leaves, and writes down what it used.
    pub(super) fn finish(mut self, result: Finished, status: Option<&Status>) -> Done {
        let failed = matches!(result, Finished::FunctionError { .. });
        let (row, tail) = self.end(failed, status);
        Done { result, tail, row, notes: self.target.notes.clone() }
    }

    fn end(&mut self, failed: bool, status: Option<&Status>) -> (Invoked, Option<Vec<u8>>) {
        let now = self.engine.options.clocks.monotonic();
        let handler_us = micros(self.begun, now);
        let (usage, billed_ms) = self.leave();
        let row = self.row(usage, handler_us, billed_ms, failed);
        let http = self
            .status
            .map_or_else(|| self.call.line.clone(), |status| format!("{} {}", self.call.line, status.as_u16()));
        let line = report::report(&Report {
            row: &row,
            duration_us: handler_us,
            init_shown: self.birth.is_some_and(|birth| birth.spent_us == 0),
            status,
            first_byte_us: self.first_byte_us,
            restore_billed_us: 0,
            http: Some(&http),
            weak: self.engine.weak,
        });
        let tail = self.call.want_tail.then(|| format!("{line}\n").into_bytes());
        if let Some(hall) = &self.hall {
            hall.log.finish(line);
        }
        self.count(&row);
        (row, tail)
    }

    fn count(&self, row: &Invoked) {
        self.pool.tally.invoked(row);
        self.engine.options.meter.invoked(row);
    }

    /// Leaves the crowd. Answers what of the environment's use and time is this request's to tell.
    pub(super) fn leave(&mut self) -> (Usage, u64) {
        if !std::mem::replace(&mut self.inside, false) {
            return (Usage::default(), 0);
        }
        let cold = self.birth.filter(|birth| birth.start == StartKind::Cold);
        let began_us = cold.map_or(0, |birth| birth.init_us + birth.spent_us);
        if let Some(hall) = &self.hall {
            let leave = || self.pool.crowds.leave(&self.crowd);
            return hall.left(&self.engine, &self.target, &self.pool, &self.crowd, (began_us, leave));
        }
        // One who never came to an environment that is there by now may be the last of its crowd.
        match (self.pool.crowds.leave(&self.crowd), self.crowd.now()) {
            ((true, closed), Some(Ok(hall))) => {
                hall.left(&self.engine, &self.target, &self.pool, &self.crowd, (0, || (true, closed)))
            }
            _ => (Usage::default(), 0),
        }
    }

    fn row(&self, usage: Usage, handler_us: u64, billed_ms: u64, failed: bool) -> Invoked {
        let hall = self.hall.as_ref();
        let birth = self.birth.filter(|birth| birth.start == StartKind::Cold);
        let began = birth.map_or(0, |birth| birth.sandbox_us + birth.init_us + birth.spent_us);
        let queue_us = micros(self.admitted, self.begun).saturating_sub(began);
        let phases = Phases {
            queue_us,
            sandbox_us: birth.map_or(0, |birth| birth.sandbox_us),
            init_us: birth.map_or(0, |birth| birth.init_us),
            restore_us: 0,
            handler_us,
        };
        let mut row =
            run::row(&self.target, (self.call.request_id, &self.call.invoked_arn, self.call.by_receipt), self.at);
        row.environment = hall.map(|hall| hall.environment);
        row.start = if birth.is_some() { StartKind::Cold } else { StartKind::Warm };
        row.provisioned = hall.is_some_and(|hall| hall.provisioned);
        row.ready = hall.and_then(|hall| hall.ready);
        row.phases = phases;
        (row.cpu_user_us, row.cpu_system_us) = (usage.cpu_user_us, usage.cpu_system_us);
        row.peak_memory_bytes = usage.peak_memory_bytes;
        row.concurrency = hall.map(|hall| hall.concurrency).unwrap_or_default();
        row.billed_ms = billed_ms;
        row.failed = failed;
        row
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if !self.inside {
            return;
        }
        if self.hall.is_some() {
            // The caller went away: what was used is counted all the same.
            self.note(" (the caller left)");
            self.end(false, None);
        } else {
            self.leave();
        }
    }
}

/// Somebody who makes the environment of a crowd. Dropped before it is made, the crowd hears that there will be none.
struct Making {
    pool: Arc<Pool>,
    // None once it is made.
    crowd: Option<Arc<Crowd<Opened>>>,
}

impl Making {
    fn made(&mut self, engine: &Engine, target: &Target, opened: Opened) {
        let Some(crowd) = self.crowd.take() else { return };
        let pool = &self.pool;
        if opened.is_err() {
            pool.crowds.close(&crowd);
        }
        crowd.open(opened.clone());
        match opened {
            Ok(hall) => drop(hall.left(engine, target, pool, &crowd, (0, || pool.crowds.made(&crowd)))),
            Err(_) => drop(pool.crowds.made(&crowd)),
        }
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        if let Some(crowd) = self.crowd.take() {
            self.pool.crowds.close(&crowd);
            let message = "the environment could not be made".to_owned();
            crowd.open(Err(Shut::Refused(Refusal::Walls { message, fix: None })));
            self.pool.crowds.made(&crowd);
        }
    }
}

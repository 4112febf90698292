//! Web functions: programs that listen on a port and serve many requests at a time.
//!
//! The requests of one environment are a crowd ([`crate::crowd`]). An environment with requests is one concurrent execution,
//! however many they are: it takes one permit, and its time is billed once. Each request that ends is given the time since the
//! one that ended before it, so that the rows of all sum up to the time the environment was in use.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use base::{Concurrency, EnvironmentId, Invoked, Phases, RequestId, StartKind, Timestamp};
use bytes::{Bytes, BytesMut};
use runtime::web;
use sandbox::{Control, ExitCause, Usage};
use tokio::time::{Sleep, timeout, timeout_at};

use crate::crowd::Crowd;
use crate::engine::{Engine, Running};
use crate::environment::{BREAK_WAIT, InitEnd, micros, told_apart};
use crate::log::Log;
use crate::permits::Permit;
use crate::place::{Placed, Unplaced};
use crate::pool::{Lease, Pool};
use crate::report::{self, Report, Status};
use crate::run::{self, Run};
use crate::{Done, FailureKind, Finished, Invocation, Refusal, Target};

/// What a status is called that is a failure.
const STATUS: &str = "Runtime.WebStatus";
/// How old a reading of what an environment used may be before the next request that ends takes one.
const READING: Duration = Duration::from_millis(100);

/// One request to a web function.
#[derive(Debug)]
pub struct WebCall {
    /// Its id, in REPORT.
    pub request_id: RequestId,
    /// The `X-Amzn-Trace-Id` it belongs to: how many calls led to it is said in it.
    pub trace: Option<String>,
    /// The ARN as the caller named it, with qualifier.
    pub invoked_arn: Arc<str>,
    /// Whether [`Done::tail`] is wanted: it then holds the platform's lines alone, since requests share their output.
    pub want_tail: bool,
    /// Whether whoever asks counts its use by a [`base::Receipt`].
    pub by_receipt: bool,
    /// The least status that is a failure of the function; none where every answer is as good as another.
    pub fails_from: Option<u16>,
    /// What the program is asked.
    pub request: web::Request,
}

/// What came of a request.
#[derive(Debug)]
pub enum Answered {
    /// The program answers.
    Answer {
        /// Status and headers, without those about the connection.
        head: http::response::Parts,
        /// The rest.
        body: WebBody,
    },
    /// It does not: [`Done::result`] says why.
    Failed(Box<Done>),
}

/// An answer's body under way. Dropped before its end, the program is told that nobody reads any more.
#[derive(Debug)]
pub struct WebBody {
    // None once the request has ended.
    member: Option<Member>,
    answer: web::Answer,
    deadline: std::pin::Pin<Box<Sleep>>,
    done: Option<Box<Done>>,
}

/// Why a body has no more bytes though it is not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebBroken {
    /// The program ended its connection.
    #[error("the program ended the connection within its answer")]
    Truncated,
    /// The function's timeout passed.
    #[error("the function's timeout passed within its answer")]
    Timeout,
}

/// What a crowd has, or why it has nothing.
pub(crate) type Opened = Result<Arc<Hall>, Shut>;

/// Why there is no environment.
#[derive(Debug, Clone)]
pub(crate) enum Shut {
    Refused(Refusal),
    /// The function failed before it could serve; `of` is the request that has been told and metered already.
    Failed {
        of: RequestId,
        result: Finished,
    },
}

/// An environment that serves a crowd.
pub(crate) struct Hall {
    client: Arc<web::Client>,
    log: Arc<Log>,
    control: Arc<dyn Control>,
    environment: EnvironmentId,
    born: Timestamp,
    concurrency: Concurrency,
    provisioned: bool,
    books: Mutex<Books>,
}

/// What changes with each request.
struct Books {
    // Both there until the last request has left.
    lease: Option<Lease>,
    permit: Option<Permit>,
    // How it came to be, until a request's row says so.
    birth: Option<Birth>,
    // Until when its time is billed, and what of it is less than a millisecond.
    billed_until: Instant,
    carry_us: u64,
    // When its use was last read, and what is still to be put down.
    read_at: Instant,
    peak_memory_bytes: u64,
}

#[derive(Debug, Clone, Copy)]
struct Birth {
    start: StartKind,
    sandbox_us: u64,
    init_us: u64,
    spent_us: u64,
}

impl std::fmt::Debug for Hall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hall").field("environment", &self.environment).finish_non_exhaustive()
    }
}

impl Hall {
    fn new(engine: &Engine, mut placed: Placed, permit: Permit) -> Result<Arc<Self>, Refusal> {
        let clocks = &*engine.options.clocks;
        let provisioned = placed.lease.covered();
        let environment = placed.lease.environment();
        environment.begin_reading(clocks);
        let Some(client) = environment.web() else {
            let message = "the environment serves no port".to_owned();
            return Err(Refusal::Walls { message, fix: None });
        };
        let (log, control) = (Arc::clone(&environment.log), environment.reins());
        let (id, born) = (environment.id, environment.born);
        let Placed { start, sandbox_us, init_us, spent_us, .. } = placed;
        let now = clocks.monotonic();
        Ok(Arc::new(Self {
            client,
            log,
            control,
            environment: id,
            born,
            concurrency: permit.concurrency,
            provisioned,
            books: Mutex::new(Books {
                lease: Some(placed.lease),
                permit: Some(permit),
                birth: Some(Birth { start, sandbox_us, init_us, spent_us }),
                billed_until: now,
                carry_us: 0,
                read_at: now,
                peak_memory_bytes: 0,
            }),
        }))
    }

    /// One leaves its crowd, by `leave`, and tells of `began_us` that came before. Answers what the environment used since it was
    /// last read, and the milliseconds to be billed. The last one gives the environment back, unless the crowd was closed.
    fn left(
        &self,
        engine: &Engine,
        target: &Target,
        pool: &Arc<Pool>,
        crowd: &Arc<Crowd<Opened>>,
        (began_us, leave): (u64, impl FnOnce() -> (bool, bool)),
    ) -> (Usage, u64) {
        let clocks = &*engine.options.clocks;
        let (now, today) = (clocks.monotonic(), clocks.product());
        let mut books = self.books();
        let Books { lease, permit, billed_until, carry_us, read_at, peak_memory_bytes, .. } = &mut *books;
        let Some(held) = lease else { return (Usage::default(), 0) };
        let environment = held.environment();
        let age_ms = today.0.saturating_sub(self.born.0).unsigned_abs();
        if age_ms >= engine.options.max_age_ms || environment.outlasts_credentials(clocks, target.timeout_ms) {
            pool.crowds.close(crowd);
        }
        let (last, closed) = leave();
        let mut usage = Usage::default();
        if last || now.saturating_duration_since(*read_at) >= READING {
            if last {
                environment.drain_output();
            }
            usage = environment.end_reading(clocks);
            (*read_at, *peak_memory_bytes) = (now, usage.peak_memory_bytes);
        }
        usage.peak_memory_bytes = *peak_memory_bytes;
        let in_use_us = *carry_us + micros(*billed_until, now) + began_us;
        *billed_until = now.max(*billed_until);
        if !last {
            *carry_us = in_use_us % 1000;
            return (usage, in_use_us / 1000);
        }
        let (lease, permit) = (lease.take(), permit.take());
        drop(books);
        match lease {
            Some(lease) if !closed => {
                if lease.give_back(today) {
                    engine.keep(pool, today);
                }
                engine.host.idled();
            }
            // It ends by being dropped.
            _ => {}
        }
        drop(permit);
        (usage, in_use_us.div_ceil(1000))
    }

    /// Whether its program has ended.
    fn has_ended(&self) -> bool {
        self.books().lease.as_mut().is_none_or(|lease| lease.environment().has_ended())
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request on its way, a member of its crowd. Dropped, it leaves as one whose caller has gone.
struct Member {
    engine: Arc<Engine>,
    target: Arc<Target>,
    pool: Arc<Pool>,
    crowd: Arc<Crowd<Opened>>,
    // Where it is, once it is in.
    hall: Option<Arc<Hall>>,
    birth: Option<Birth>,
    call: Called,
    admitted: Instant,
    at: Timestamp,
    // Since it has been handed to the program.
    begun: Instant,
    first_byte_us: Option<u64>,
    status: Option<http::StatusCode>,
    // Whether it has still to leave.
    inside: bool,
    _running: Running<Arc<Engine>>,
}

/// What of a call is left once its request is on its way.
struct Called {
    request_id: RequestId,
    invoked_arn: Arc<str>,
    want_tail: bool,
    by_receipt: bool,
    fails_from: Option<u16>,
    // Method and path, without the query, which may hold secrets.
    line: String,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member").field("request", &self.call.request_id).finish_non_exhaustive()
    }
}

/// Hands one request to the program of its function.
pub(crate) async fn run(engine: Arc<Engine>, target: Arc<Target>, call: WebCall) -> Result<Answered, Refusal> {
    let running = Running::begin(Arc::clone(&engine))?;
    let Some(places) = target.web.as_ref().map(|web| web.concurrency) else {
        return Err(Refusal::Walls { message: "the function serves no port".to_owned(), fix: None });
    };
    let clocks = &*engine.options.clocks;
    let (admitted, at) = (clocks.monotonic(), clocks.product());
    let pool = engine.pool(&target);
    let WebCall { request_id, trace, invoked_arn, want_tail, by_receipt, fails_from, request } = call;
    let line = format!("{} {}", request.method(), request.uri().path());
    let (mut crowd, mut opens) = pool.crowds.join(places);
    let mut member = Member {
        target: Arc::clone(&target),
        pool: Arc::clone(&pool),
        crowd: Arc::clone(&crowd),
        hall: None,
        birth: None,
        call: Called { request_id, invoked_arn, want_tail, by_receipt, fails_from, line },
        admitted,
        at,
        begun: admitted,
        first_byte_us: None,
        status: None,
        inside: true,
        _running: running,
        engine: Arc::clone(&engine),
    };
    loop {
        if opens {
            member.open(trace.clone());
        }
        let opened = match crowd.now() {
            Some(opened) => opened,
            None => crowd.opened().await,
        };
        let hall = match opened {
            Ok(hall) => hall,
            Err(Shut::Refused(refusal)) => return Err(refusal),
            Err(Shut::Failed { of, result }) => return Ok(Answered::Failed(Box::new(member.shut_out(of, result)))),
        };
        let ended = hall.has_ended();
        member.hall = Some(hall);
        if !ended {
            break;
        }
        // Its program has gone meanwhile: another takes its place.
        pool.crowds.close(&crowd);
        member.leave();
        (crowd, opens) = pool.crowds.join(places);
        (member.crowd, member.hall, member.inside) = (Arc::clone(&crowd), None, true);
    }
    Ok(member.ask(request).await)
}

impl Member {
    /// Finds an environment for a crowd that has just begun: an idle one at once, a new one beside the requests that wait
    /// for it, whose callers may go away.
    fn open(&self, trace: Option<String>) {
        let invocation = Invocation {
            request_id: self.call.request_id,
            payload: Bytes::new(),
            trace,
            client_context: None,
            invoked_arn: Arc::clone(&self.call.invoked_arn),
            want_tail: false,
            by_receipt: self.call.by_receipt,
            sink: None,
        };
        let permit = match run::admit(&self.engine, &self.target, &self.pool, &invocation) {
            Ok(permit) => permit,
            Err(refusal) => {
                self.pool.crowds.close(&self.crowd);
                return self.crowd.open(Err(Shut::Refused(refusal)));
            }
        };
        let (admitted, at) = (self.admitted, self.at);
        let run =
            Run::new(&self.engine, &self.target, invocation.clone(), Arc::clone(&self.pool), (admitted, at), &permit);
        if let Some(placed) = run.idle() {
            let opened = Hall::new(&self.engine, placed, permit).map_err(Shut::Refused);
            return self.crowd.open(opened);
        }
        // In it as well, so that what it makes is anybody's when it is there.
        self.pool.crowds.make(&self.crowd);
        let (engine, target) = (Arc::clone(&self.engine), Arc::clone(&self.target));
        let (pool, crowd) = (Arc::clone(&self.pool), Arc::clone(&self.crowd));
        self.engine.tasks.spawn(async move {
            let run = Run::new(&engine, &target, invocation, Arc::clone(&pool), (admitted, at), &permit);
            let of = run.invocation.request_id;
            let failed = |done: Done| Err(Shut::Failed { of, result: done.result });
            let opened: Opened = match run.place().await {
                Err(Unplaced::Refused(refusal)) => {
                    pool.tally.refused();
                    Err(Shut::Refused(refusal))
                }
                Err(Unplaced::Unstartable(program)) => failed(run.unstartable(program, permit)),
                Ok(mut placed) => match std::mem::replace(&mut placed.end, InitEnd::Ready) {
                    InitEnd::Ready => Hall::new(&engine, placed, permit).map_err(Shut::Refused),
                    end => {
                        let ending = run.init_failed(&mut placed, end).await;
                        failed(run.settle(placed, ending, permit))
                    }
                },
            };
            if opened.is_err() {
                pool.crowds.close(&crowd);
            }
            crowd.open(opened.clone());
            match opened {
                Ok(hall) => drop(hall.left(&engine, &target, &pool, &crowd, (0, || pool.crowds.made(&crowd)))),
                Err(_) => drop(pool.crowds.made(&crowd)),
            }
        });
    }

    /// Hands the request over, and waits until the answer begins.
    async fn ask(mut self, request: web::Request) -> Answered {
        let Some(hall) = self.hall.clone() else { return Answered::Failed(Box::new(self.no_answer("it never began"))) };
        self.birth = hall.books().birth.take();
        self.begun = self.engine.options.clocks.monotonic();
        let spent = Duration::from_micros(self.birth.map_or(0, |birth| birth.spent_us));
        let limit = Duration::from_millis(self.target.timeout_ms).saturating_sub(spent);
        let deadline = tokio::time::Instant::now() + limit;
        match timeout_at(deadline, hall.client.send(request)).await {
            Ok(Ok((head, answer))) => {
                self.status = Some(head.status);
                self.first_byte_us = Some(micros(self.begun, self.engine.options.clocks.monotonic()));
                let deadline = Box::pin(tokio::time::sleep_until(deadline));
                Answered::Answer { head, body: WebBody { member: Some(self), answer, deadline, done: None } }
            }
            Ok(Err(error)) => {
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

    /// There is no environment for this request, nor for the others of its crowd.
    fn shut_out(mut self, of: RequestId, result: Finished) -> Done {
        let row = self.row(Usage::default(), 0, 0, true);
        let told = of == self.call.request_id;
        self.leave();
        if !told {
            self.count(&row);
        }
        Done { result, tail: None, row, notes: self.target.notes.clone() }
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
    fn answered(self) -> Done {
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

    fn no_answer(self, why: &str) -> Done {
        let id = self.call.request_id;
        self.say([format!("RequestId: {id} Error: {why}")]);
        let error_type = "Runtime.InvalidWebResponse".to_owned();
        let payload = report::stream_error(&id, &error_type, why);
        self.failed(FailureKind::BrokenOff, error_type, payload)
    }

    /// What hangs once may hang again: the environment takes no more requests, and ends with those it has.
    fn timed_out(self) -> Done {
        self.pool.crowds.close(&self.crowd);
        let (id, timeout_ms) = (self.call.request_id, self.target.timeout_ms);
        self.say([report::timed_out(self.engine.options.clocks.product(), &id, timeout_ms)]);
        let result = Finished::FunctionError {
            kind: FailureKind::Timeout,
            error_type: "Sandbox.Timedout".to_owned(),
            payload: report::timeout_error(&id, timeout_ms),
        };
        self.finish(result, Some(&Status::Timeout))
    }

    fn failed(self, kind: FailureKind, error_type: String, payload: Bytes) -> Done {
        let status = Status::Error(error_type.clone());
        self.finish(Finished::FunctionError { kind, error_type, payload }, Some(&status))
    }

    fn say(&self, lines: impl IntoIterator<Item = String>) {
        if let Some(hall) = &self.hall {
            lines.into_iter().for_each(|line| hall.log.say(line));
        }
    }

    /// The request is over: leaves, and writes down what it used.
    fn finish(mut self, result: Finished, status: Option<&Status>) -> Done {
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
    fn leave(&mut self) -> (Usage, u64) {
        if !std::mem::replace(&mut self.inside, false) {
            return (Usage::default(), 0);
        }
        let Some(hall) = &self.hall else {
            // With nobody left an environment that is being made is its maker's.
            self.pool.crowds.leave(&self.crowd);
            return (Usage::default(), 0);
        };
        let cold = self.birth.filter(|birth| birth.start == StartKind::Cold);
        let began_us = cold.map_or(0, |birth| birth.init_us + birth.spent_us);
        let leave = || self.pool.crowds.leave(&self.crowd);
        hall.left(&self.engine, &self.target, &self.pool, &self.crowd, (began_us, leave))
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
            self.call.line.push_str(" (the caller left)");
            self.end(false, None);
        } else {
            self.leave();
        }
    }
}

impl WebBody {
    /// The next bytes; none at the end, when [`WebBody::done`] is there.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, WebBroken>>> {
        if self.member.is_none() {
            return Poll::Ready(None);
        }
        let next = match self.answer.poll_next(cx) {
            Poll::Ready(next) => next,
            Poll::Pending => {
                std::task::ready!(std::future::Future::poll(self.deadline.as_mut(), cx));
                self.done = self.member.take().map(|member| Box::new(member.timed_out()));
                return Poll::Ready(Some(Err(WebBroken::Timeout)));
            }
        };
        Poll::Ready(match next {
            Some(Ok(bytes)) => Some(Ok(bytes)),
            Some(Err(error)) => {
                self.done = self.member.take().map(|member| Box::new(member.no_answer(&error.to_string())));
                Some(Err(WebBroken::Truncated))
            }
            None => {
                self.done = self.member.take().map(|member| Box::new(member.answered()));
                None
            }
        })
    }

    /// The next bytes; none at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, WebBroken>> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// How many bytes are to come, if the program has said.
    pub fn len(&self) -> Option<u64> {
        self.answer.len()
    }

    /// What the request used, once its end has come. [`Done::result`] holds no bytes of the body.
    pub fn done(&self) -> Option<&Done> {
        self.done.as_deref()
    }

    /// The request is over, with this result where the answer as it came is not it. What has not been read is not wanted.
    #[must_use]
    pub fn end(mut self, result: Option<Finished>) -> Done {
        match (self.member.take(), self.done.take()) {
            (None, Some(mut done)) => {
                done.result = result.unwrap_or(done.result);
                *done
            }
            (Some(member), _) => match result {
                Some(Finished::FunctionError { kind, error_type, payload }) => member.failed(kind, error_type, payload),
                _ => member.answered(),
            },
            (None, None) => unreachable!("a request that is over has an end"),
        }
    }

    /// All that is to come, at most so many bytes; none when there are more. What it used is there then.
    ///
    /// # Errors
    /// [`WebBroken`].
    pub async fn whole(&mut self, most: usize) -> Result<Option<Bytes>, WebBroken> {
        let Some(first) = self.next().await.transpose()? else { return Ok(Some(Bytes::new())) };
        let mut all: Option<BytesMut> = None;
        let mut length = first.len();
        while let Some(more) = self.next().await.transpose()? {
            length += more.len();
            if length > most {
                break;
            }
            all.get_or_insert_with(|| BytesMut::from(&first[..])).extend_from_slice(&more);
        }
        if length > most {
            return Ok(None);
        }
        Ok(Some(all.map_or(first, BytesMut::freeze)))
    }
}

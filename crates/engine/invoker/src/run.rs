//! The way of one invocation: `admit` → `place` → `deliver` → `settle`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{Concurrency, EnvironmentId, Invoked, Phases, RequestId, StartKind, Timestamp};
use runtime::{BrokenOff, Event, Outcome};
use sandbox::{ExitCause, Usage};

use crate::engine::Engine;
use crate::environment::{Delivered, InitEnd, micros};
use crate::log::Log;
use crate::permits::Permit;
use crate::place::{Placed, Unplaced, Unstartable};
use crate::pool::Pool;
use crate::report::{self, Report, Status};
use crate::{Done, FailureKind, Finished, Invocation, Refusal, Target};

/// One invocation on its way.
pub(crate) struct Run<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) target: &'a Target,
    pub(crate) invocation: Invocation,
    pub(crate) pool: Arc<Pool>,
    /// When it was admitted, transport clock.
    pub(crate) admitted: Instant,
    // The same, product clock.
    at: Timestamp,
    // What else was under way then.
    concurrency: Concurrency,
}

/// How the invocation ended, before it is written down.
pub(crate) struct Ending {
    result: Finished,
    status: Option<Status>,
    handler_us: u64,
    // What REPORT calls Duration: the handler's time, or INIT's when it came no further.
    duration_us: u64,
    // When the first byte of a streamed response came, since the handler began.
    first_byte_us: Option<u64>,
    // Whether the environment may serve again.
    reusable: bool,
}

/// Runs one invocation to its end.
pub(crate) async fn run(engine: &Engine, target: &Target, invocation: Invocation) -> Result<Done, Refusal> {
    let clocks = &*engine.options.clocks;
    let (admitted, at) = (clocks.monotonic(), clocks.product());
    let pool = engine.pool(target);
    let permit = admit(engine, target, &pool, &invocation)?;
    let run = Run::new(engine, target, invocation, pool, (admitted, at), &permit);
    let mut placed = match run.place().await {
        Ok(placed) => placed,
        Err(Unplaced::Refused(refusal)) => {
            run.count_refusal(&refusal);
            return Err(refusal);
        }
        Err(Unplaced::Unstartable(program)) => return Ok(run.unstartable(program, permit)),
    };
    let ending = match std::mem::replace(&mut placed.end, InitEnd::Ready) {
        InitEnd::Ready => run.deliver(&mut placed).await,
        end => run.init_failed(&mut placed, end).await,
    };
    Ok(run.settle(placed, ending, permit))
}

pub(crate) fn admit(engine: &Engine, target: &Target, pool: &Pool, invocation: &Invocation) -> Result<Permit, Refusal> {
    pool.seat.acquire().map_err(|reason| {
        count_throttle(engine, target, pool, invocation);
        Refusal::Throttled { reason }
    })
}

fn count_throttle(engine: &Engine, target: &Target, pool: &Pool, invocation: &Invocation) {
    pool.tally.throttled();
    engine.options.meter.throttled(target.account, &target.function_arn, &invocation.invoked_arn);
}

impl<'a> Run<'a> {
    /// Counts an invocation that found no environment: as a throttle where the host is full, or the function grows too fast.
    pub(crate) fn count_refusal(&self, refusal: &Refusal) {
        match refusal {
            Refusal::Full(_) | Refusal::Throttled { .. } => {
                count_throttle(self.engine, self.target, &self.pool, &self.invocation)
            }
            _ => self.pool.tally.refused(),
        }
    }

    /// `began`: when it was admitted, transport and product clock.
    pub(crate) fn new(
        engine: &'a Engine,
        target: &'a Target,
        invocation: Invocation,
        pool: Arc<Pool>,
        began: (Instant, Timestamp),
        permit: &Permit,
    ) -> Self {
        let (admitted, at) = began;
        Self { engine, target, invocation, pool, admitted, at, concurrency: permit.concurrency }
    }

    /// Hands over the event and waits for the answer, at most as long as the function's timeout.
    async fn deliver(&self, placed: &mut Placed) -> Ending {
        let clocks = &*self.engine.options.clocks;
        let limit =
            Duration::from_millis(self.target.timeout_ms).saturating_sub(Duration::from_micros(placed.spent_us));
        let environment = placed.lease.environment();
        environment.begin_reading(clocks);
        environment.log.say(report::start(&self.invocation.request_id, &self.target.key.version));
        let event = Event {
            request_id: self.invocation.request_id,
            payload: self.invocation.payload.clone(),
            deadline: clocks.signing().plus_ms(i64::try_from(limit.as_millis()).unwrap_or(i64::MAX)),
            function_arn: Arc::clone(&self.invocation.invoked_arn),
            trace: self.invocation.trace.clone(),
            client_context: self.invocation.client_context.clone(),
            sink: self.invocation.sink.clone(),
        };
        let begun = clocks.monotonic();
        let delivered = environment.deliver(event, limit).await;
        let handler_us = placed.spent_us + micros(begun, clocks.monotonic());
        let mut ending = match delivered {
            Delivered::Answered(Outcome::Response { payload }) => {
                Ending::answered(Finished::Response(payload), handler_us)
            }
            Delivered::Answered(Outcome::Error { error_type, payload }) => {
                let kind = FailureKind::Raised;
                Ending::answered(Finished::FunctionError { kind, error_type, payload }, handler_us)
            }
            Delivered::Answered(Outcome::BrokenOff(why)) => {
                environment.kill().await;
                environment.drain_output();
                self.broken_off(why, handler_us)
            }
            Delivered::Timeout => {
                environment.kill().await;
                environment.drain_output();
                self.timed_out(&environment.log)
            }
            Delivered::Exited(cause) => {
                environment.drain_output();
                let ending = self.exited(&environment.log, cause, FailureKind::Exit);
                Ending { handler_us, duration_us: handler_us, ..ending }
            }
        };
        if let Some(first) = self.invocation.sink.as_ref().and_then(runtime::Sink::first_byte) {
            ending.first_byte_us = Some(placed.spent_us + micros(begun, first));
        }
        ending
    }

    /// The client did not bring a response to its end, part of which has gone out.
    fn broken_off(&self, why: BrokenOff, handler_us: u64) -> Ending {
        let error_type = match why {
            BrokenOff::Truncated => "Runtime.TruncatedResponse",
            BrokenOff::TooLarge { .. } => "Function.ResponseSizeTooLarge",
        };
        let payload = report::stream_error(&self.invocation.request_id, error_type, &why.to_string());
        let (kind, error_type) = (FailureKind::BrokenOff, error_type.to_owned());
        let status = Some(Status::Error(error_type.clone()));
        let result = Finished::FunctionError { kind, error_type, payload };
        Ending { status, reusable: false, ..Ending::answered(result, handler_us) }
    }

    /// INIT ended badly: the invocation answers with what INIT said. The environment never serves.
    pub(crate) async fn init_failed(&self, placed: &mut Placed, end: InitEnd) -> Ending {
        let (init_us, spent_us) = (placed.init_us, placed.spent_us);
        let environment = placed.lease.environment();
        environment.kill().await;
        environment.drain_output();
        let log = Arc::clone(&environment.log);
        let begin = |status: &Status| {
            let (phase, took_us) = if spent_us > 0 { ("invoke", spent_us) } else { ("init", init_us) };
            log.say(report::init_report(took_us, phase, status));
            log.say(report::start(&self.invocation.request_id, &self.target.key.version));
        };
        let ending = match end {
            InitEnd::Failed { error_type, payload } => {
                let status = Status::Error(error_type.clone());
                begin(&status);
                let result = Finished::FunctionError { kind: FailureKind::Init, error_type, payload };
                Ending { status: Some(status), reusable: false, ..Ending::answered(result, 0) }
            }
            InitEnd::Exited(cause) => {
                begin(&Status::Error(report::exit_type(cause).into()));
                self.exited(&log, cause, FailureKind::Init)
            }
            InitEnd::Timeout | InitEnd::Ready | InitEnd::Snapshot(_) => {
                begin(&Status::Timeout);
                return self.timed_out(&log);
            }
        };
        let duration_us = if spent_us > 0 { spent_us } else { init_us };
        Ending { handler_us: spent_us, duration_us, ..ending }
    }

    fn timed_out(&self, log: &Log) -> Ending {
        let (id, timeout_ms) = (&self.invocation.request_id, self.target.timeout_ms);
        log.say(report::timed_out(self.engine.options.clocks.product(), id, timeout_ms));
        let payload = report::timeout_error(id, timeout_ms);
        let error_type = "Sandbox.Timedout".into();
        let result = Finished::FunctionError { kind: FailureKind::Timeout, error_type, payload };
        let handler_us = timeout_ms * 1000;
        Ending { status: Some(Status::Timeout), reusable: false, ..Ending::answered(result, handler_us) }
    }

    fn exited(&self, log: &Log, cause: ExitCause, kind: FailureKind) -> Ending {
        let id = &self.invocation.request_id;
        for line in report::exited(id, cause) {
            log.say(line);
        }
        let kind = if cause == ExitCause::OutOfMemory { FailureKind::OutOfMemory } else { kind };
        let error_type = report::exit_type(cause).to_owned();
        let status = Some(Status::Error(error_type.clone()));
        let result = Finished::FunctionError { kind, error_type, payload: report::exit_error(id, cause) };
        Ending { status, reusable: false, ..Ending::answered(result, 0) }
    }

    /// Measures, writes END and REPORT, returns the environment and then the permit, and answers.
    pub(crate) fn settle(&self, mut placed: Placed, ending: Ending, permit: Permit) -> Done {
        let options = &self.engine.options;
        let (provisioned, ready) = (placed.lease.covered(), placed.lease.ready());
        let environment = placed.lease.environment();
        let usage = environment.end_reading(&*options.clocks);
        environment.drain_output();
        let Placed { start, sandbox_us, init_us, restored, queue_us, .. } = placed;
        let restore_us = restored.took_us;
        let phases = Phases { queue_us, sandbox_us, init_us, restore_us, handler_us: ending.handler_us };
        let failed = matches!(ending.result, Finished::FunctionError { .. });
        let mut row = Invoked { provisioned, ready, ..self.row(Some(environment.id), start, phases, usage, failed) };
        row.billed_ms = (phases.init_us + phases.handler_us + restored.billed_us).div_ceil(1000);
        environment.log.say(report::end(&self.invocation.request_id));
        let line = report::report(&Report {
            row: &row,
            duration_us: ending.duration_us,
            init_shown: placed.spent_us == 0 && ending.handler_us > 0,
            status: ending.status.as_ref(),
            first_byte_us: ending.first_byte_us,
            restore_billed_us: restored.billed_us,
            http: None,
            weak: self.engine.weak,
        });
        let tail = environment.log.finish(line);
        let now = options.clocks.product();
        let age_ms = now.0.saturating_sub(environment.born.0).unsigned_abs();
        let spent = environment.outlasts_credentials(&*options.clocks, self.target.timeout_ms);
        if ending.reusable && !spent && age_ms < options.max_age_ms {
            if placed.lease.give_back((now, options.clocks.monotonic())) {
                self.engine.keep(&self.pool, now);
            }
            self.engine.host.idled();
        } else {
            drop(placed.lease);
        }
        drop(permit);
        self.pool.tally.invoked(&row);
        options.meter.invoked(&row);
        Done { result: ending.result, tail, row, notes: self.target.notes.clone() }
    }

    /// The function's program cannot be started: its invocations fail as on Lambda, and there is no environment.
    pub(crate) fn unstartable(&self, program: Unstartable, permit: Permit) -> Done {
        let Unstartable { log, why, queue_us, sandbox_us } = program;
        let id = &self.invocation.request_id;
        let status = Status::Error(report::INVALID_ENTRYPOINT.into());
        log.say(report::init_report(sandbox_us, "init", &status));
        log.say(report::start(id, &self.target.key.version));
        log.say(format!("RequestId: {id} Error: {why}"));
        log.say(report::INVALID_ENTRYPOINT.into());
        log.say(report::end(id));
        let phases = Phases { queue_us, sandbox_us, ..Phases::default() };
        let row = self.row(None, StartKind::Cold, phases, Usage::default(), true);
        let (status, weak) = (Some(&status), self.engine.weak);
        let line = Report {
            row: &row,
            duration_us: sandbox_us,
            init_shown: false,
            status,
            first_byte_us: None,
            restore_billed_us: 0,
            http: None,
            weak,
        };
        let tail = log.finish(report::report(&line));
        drop(permit);
        self.pool.tally.invoked(&row);
        self.engine.options.meter.invoked(&row);
        let payload = report::entrypoint_error(id, &why);
        let (kind, error_type) = (FailureKind::Init, report::INVALID_ENTRYPOINT.to_owned());
        let result = Finished::FunctionError { kind, error_type, payload };
        Done { result, tail, row, notes: self.target.notes.clone() }
    }

    fn row(
        &self,
        environment: Option<EnvironmentId>,
        start: StartKind,
        phases: Phases,
        usage: Usage,
        failed: bool,
    ) -> Invoked {
        let called = (self.invocation.request_id, &self.invocation.invoked_arn, self.invocation.by_receipt);
        Invoked {
            environment,
            start,
            phases,
            cpu_user_us: usage.cpu_user_us,
            cpu_system_us: usage.cpu_system_us,
            peak_memory_bytes: usage.peak_memory_bytes,
            concurrency: self.concurrency,
            billed_ms: (phases.init_us + phases.handler_us).div_ceil(1000),
            failed,
            ..row(self.target, called, self.at)
        }
    }
}

/// What a row says of the target and of whoever called it; nothing was used.
pub(crate) fn row(target: &Target, called: (RequestId, &Arc<str>, bool), at: Timestamp) -> Invoked {
    let (request, invoked_arn, by_receipt) = called;
    Invoked {
        account: target.account,
        region: target.region.clone(),
        function_arn: Arc::clone(&target.function_arn),
        invoked_arn: Arc::clone(invoked_arn),
        request,
        environment: None,
        at,
        start: StartKind::Warm,
        provisioned: false,
        ready: None,
        phases: Phases::default(),
        cpu_user_us: 0,
        cpu_system_us: 0,
        peak_memory_bytes: 0,
        memory_mb: target.memory_mb,
        tmp_mb: target.tmp_mb,
        // Functions run on the host's architecture alone.
        arm: cfg!(target_arch = "aarch64"),
        concurrency: Concurrency::default(),
        billed_ms: 0,
        failed: false,
        by_receipt,
    }
}

impl Ending {
    fn answered(result: Finished, handler_us: u64) -> Self {
        Self { result, status: None, handler_us, duration_us: handler_us, first_byte_us: None, reusable: true }
    }
}

//! One execution environment: built, initialised, given events one at a time, measured, ended.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use base::{BoxFuture, Clocks, EnvironmentId, Timestamp};
use bytes::Bytes;
use runtime::{BrokenOff, Event, InitOutcome, Outcome, Session, Snapshot, SnapshotWanted, web};
use sandbox::{Control, Exit, ExitCause, Usage};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::debug::{self, Gate};
use crate::engine::Engine;
use crate::freeze::{Frost, May};
use crate::host::{Place, Room, Start};
use crate::log::{Log, Output};
use crate::pool::Pool;
use crate::spec::{Beginning, Given, spec};
use crate::{Refusal, Target, Web};

/// MiB that come with one whole CPU. Source: AWS Lambda developer guide, "Configure Lambda function memory".
const MB_OF_ONE_CPU: u32 = 1769;
/// How long the end of a killed environment is waited for: it only makes the measurement complete.
const END_WAIT: Duration = Duration::from_secs(2);
/// How long the end of an environment is waited for whose client has broken off a response: most often the process has ended,
/// and why says more.
pub(crate) const BREAK_WAIT: Duration = Duration::from_millis(500);
/// How long an INIT counts among those that compete for CPU.
const START_HOLD: Duration = Duration::from_millis(500);
/// A reading younger than this serves as the start of the next invocation: what was used since is the runtime's own loop.
const FRESH_READING: Duration = Duration::from_millis(5);

/// What a launch is told while there is no helper.
const HELPER_LOST: &str = "the sandbox helper is being restarted";

/// A live environment.
pub(crate) struct Environment {
    pub(crate) id: EnvironmentId,
    pub(crate) log: Arc<Log>,
    /// Product time at launch.
    pub(crate) born: Timestamp,
    // When the credentials it was given end, signing clock; none if it has none.
    credentials_end: Option<Timestamp>,
    output: Arc<Output>,
    session: Arc<Session>,
    control: Arc<dyn Control>,
    /// Whether it stands still while nobody uses it.
    pub(crate) frost: Arc<Frost>,
    // The way to the port it serves.
    web: Option<Arc<web::Client>>,
    // A debugger's way in, if it has one.
    gate: Option<Arc<Gate>>,
    // Set once its process has ended by itself.
    ended: Arc<AtomicBool>,
    // The last reading and when it was taken: the next invocation's usage is what comes on top.
    reading: (Usage, Option<Instant>),
    // Serving the Runtime API, following the output, serving the endpoint: all end with the environment.
    _serving: Task,
    _watching: Task,
    _endpoint: Option<Box<dyn Send + Sync>>,
    _outward: Option<Box<dyn Send + Sync>>,
    // Given back last.
    _room: Room,
}

/// What an environment is started for.
#[derive(Debug)]
pub(crate) enum Purpose {
    /// To be given events.
    Serve,
    /// To be snapshotted after INIT.
    Snapshot(SnapshotWanted),
    /// To compile what it sees, and to hand that in as a snapshot is.
    Compile(SnapshotWanted),
    /// To see whether a snapshot can be restored; none of the function's own code goes on.
    Try,
}

/// How INIT ended.
#[derive(Debug)]
pub(crate) enum InitEnd {
    Ready,
    /// The runtime reported an error.
    Failed {
        error_type: String,
        payload: Bytes,
    },
    /// The process ended first.
    Exited(ExitCause),
    Timeout,
    /// A snapshot was asked for, and this came of it.
    Snapshot(Snapshot),
}

/// A new environment and what its beginning took.
pub(crate) struct Started {
    pub(crate) environment: Box<Environment>,
    pub(crate) sandbox_us: u64,
    pub(crate) init_us: u64,
    /// There, where a snapshot was restored: INIT's time is its.
    pub(crate) restored: Option<Restored>,
    pub(crate) end: InitEnd,
}

/// What a restore took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Restored {
    /// From the program's start until it was ready.
    pub(crate) took_us: u64,
    /// Of that, since what was restored went on.
    pub(crate) billed_us: u64,
}

/// Why there is no environment.
#[derive(Debug)]
pub(crate) enum NotStarted {
    Refused(Refusal),
    /// The program cannot be executed: missing, not executable, or for another machine.
    Program(String),
}

impl NotStarted {
    /// Whether there would have been one, had the helper not been lost.
    pub(crate) fn for_want_of_helper(&self) -> bool {
        matches!(self, Self::Refused(Refusal::Busy(why)) if *why == HELPER_LOST)
    }

    /// For where the program has started once already.
    pub(crate) fn into_refusal(self) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal,
            Self::Program(message) => Refusal::Walls { message, fix: None },
        }
    }
}

/// How an event ended.
#[derive(Debug)]
pub(crate) enum Delivered {
    Answered(Outcome),
    Exited(ExitCause),
    Timeout,
}

impl Environment {
    /// Builds an environment and runs its INIT, for at most `limit`.
    ///
    /// The place's start is held until INIT has ended or has taken [`START_HOLD`]: an INIT that only waits must not keep
    /// other functions from starting.
    pub(crate) async fn start(
        engine: &Engine,
        pool: &Arc<Pool>,
        target: &Target,
        place: Place,
        log: Arc<Log>,
        (limit, purpose): (Duration, Purpose),
    ) -> Result<Started, NotStarted> {
        let options = &engine.options;
        let (id, Place { start, room }) = (engine.next_id(), place);
        let begun = options.clocks.monotonic();
        let granted = target.credentials.as_ref().map(|fresh| fresh());
        let credentials_end = granted.as_ref().map(|granted| granted.ends);
        let beginning = Beginning::of(target, &purpose);
        let session = Session::new();
        let tries = matches!(purpose, Purpose::Try);
        match purpose {
            Purpose::Serve => {}
            Purpose::Snapshot(wanted) | Purpose::Compile(wanted) => session.want_snapshot(wanted),
            Purpose::Try => session.hold_restored(),
        }
        let gate = debug::gate(engine, target, id, &log);
        let given = Given { id, log: &log, session: &session, granted, debugged: gate.is_some() };
        let spec = spec(engine, target, beginning, given);
        let built = options.walls.launch(spec).await.map_err(not_started)?;
        let launched = options.clocks.monotonic();
        // What a runtime used while it waited for a function is nobody's.
        let before = if built.ahead { built.control.usage() } else { Usage::default() };
        let mut environment =
            Self::assemble(engine, pool, target, (room, session), log, (id, gate), built).map_err(|error| {
                NotStarted::Refused(Refusal::Walls {
                    message: format!("cannot use the new sandbox: {error}"),
                    fix: None,
                })
            })?;
        environment.credentials_end = credentials_end;
        let web = target.web.as_ref();
        let (end, resumed) = environment.init(&*options.clocks, start, limit, (tries, web)).await;
        let ready = options.clocks.monotonic();
        let restored = resumed
            .map(|resumed| Restored { took_us: micros(launched, ready).max(1), billed_us: micros(resumed, ready) });
        if matches!(end, InitEnd::Ready) && options.cpu_limit {
            environment.control.set_cpu(Some(cpu_millis(target.memory_mb)));
        }
        environment.reading = (before, None);
        environment.output.drain();
        Ok(Started {
            environment: Box::new(environment),
            sandbox_us: micros(begun, launched),
            init_us: if restored.is_some() { 0 } else { micros(launched, ready) },
            restored,
            end,
        })
    }

    fn assemble(
        engine: &Engine,
        pool: &Arc<Pool>,
        target: &Target,
        (room, session): (Room, Arc<Session>),
        log: Arc<Log>,
        (id, gate): (EnvironmentId, Option<Arc<Gate>>),
        built: sandbox::Environment,
    ) -> io::Result<Self> {
        let mut listeners = built.listeners.into_iter();
        let mut listener = || listeners.next().ok_or_else(|| io::Error::other("it has no listener"));
        let control: Arc<dyn Control> = Arc::from(built.control);
        let runtime_api = tokio::net::TcpListener::from_std(listener()?)?;
        let endpoint = match (&engine.options.net, &target.principal) {
            (Some(net), Some(principal)) => Some(net.serve(listener()?, principal.clone())),
            _ => None,
        };
        let outward = match (&engine.options.outward, built.uplink) {
            (Some(outward), Some(uplink)) => {
                let log = Arc::clone(&log);
                Some(outward.connect(uplink, target.egress, Box::new(move |line| log.say(line))))
            }
            _ => None,
        };
        let output = Arc::new(Output::new(built.output, Arc::clone(&log))?);
        let ended = Arc::new(AtomicBool::new(false));
        let watcher = Watcher {
            id,
            output: Arc::clone(&output),
            log: Arc::clone(&log),
            session: Arc::clone(&session),
            ended: Arc::clone(&ended),
            pool: Arc::downgrade(pool),
        };
        let dial = built.dial.map(Arc::new);
        if let (Some(gate), Some(dial)) = (&gate, &dial) {
            gate.lead(Arc::clone(dial));
        }
        Ok(Self {
            id,
            log,
            born: engine.options.clocks.product(),
            credentials_end: None,
            output,
            _serving: Task::spawn(Arc::clone(&session).serve(runtime_api, built.line)),
            _watching: Task::spawn(watcher.run(control.exited())),
            session,
            frost: Frost::new(Arc::clone(&control)),
            control,
            web: dial.filter(|_| target.web.is_some()).map(client),
            gate,
            ended,
            reading: (Usage::default(), None),
            _endpoint: endpoint,
            _outward: outward,
            _room: room,
        })
    }

    /// How INIT ended, and when what was restored went on, if anything was.
    async fn init(
        &self,
        clocks: &dyn Clocks,
        start: Start,
        limit: Duration,
        (tries, web): (bool, Option<&Web>),
    ) -> (InitEnd, Option<Instant>) {
        let resumed = OnceLock::new();
        let noting = async {
            self.session.resumed().await;
            let _ = resumed.set(clocks.monotonic());
            if !tries {
                std::future::pending::<()>().await;
            }
        };
        let serving = async {
            match (web, &self.web) {
                (Some(web), Some(client)) => client.ready(web.ready.as_ref()).await,
                _ => std::future::pending().await,
            }
        };
        let end = async {
            tokio::select! {
                biased;
                () = noting => InitEnd::Ready,
                snapshot = self.session.snapshot() => InitEnd::Snapshot(snapshot),
                outcome = self.session.initialised() => match outcome {
                    InitOutcome::Ready => InitEnd::Ready,
                    InitOutcome::Failed { error_type, payload } => InitEnd::Failed { error_type, payload },
                },
                exit = self.control.exited() => InitEnd::Exited(told_apart(exit)),
                () = serving => InitEnd::Ready,
            }
        };
        tokio::pin!(end);
        if let Ok(end) = timeout(START_HOLD.min(limit), &mut end).await {
            return (end, resumed.get().copied());
        }
        drop(start);
        let end = self.within(limit.saturating_sub(START_HOLD), end).await.unwrap_or(InitEnd::Timeout);
        (end, resumed.get().copied())
    }

    /// What comes of a future within a time, which a debugger holds; none when it has passed.
    async fn within<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        match &self.gate {
            None => timeout(limit, future).await.ok(),
            Some(gate) => Box::pin(gate.within(limit, future)).await,
        }
    }

    /// Gives it an event and waits for the end, for at most `limit`.
    pub(crate) async fn deliver(&self, event: Event, limit: Duration) -> Delivered {
        match self.within(limit, self.session.invoke(event)).await {
            // Apart, so that other invocations stay small.
            Some(Ok(Outcome::BrokenOff(why))) => Box::pin(self.broken_off(why)).await,
            Some(Ok(outcome)) => Delivered::Answered(outcome),
            Some(Err(_gone)) => match timeout(END_WAIT, self.control.exited()).await {
                Ok(exit) => Delivered::Exited(told_apart(exit)),
                // The conversation ended but the process stays: it can do no more work.
                Err(_) => Delivered::Exited(ExitCause::Exited(0)),
            },
            None => Delivered::Timeout,
        }
    }

    /// What a response that broke off says of the environment.
    async fn broken_off(&self, why: BrokenOff) -> Delivered {
        if why == BrokenOff::Truncated
            && let Ok(exit) = timeout(BREAK_WAIT, self.control.exited()).await
        {
            return Delivered::Exited(told_apart(exit));
        }
        Delivered::Answered(Outcome::BrokenOff(why))
    }

    /// Kills everything inside and waits until it has gone, so that its last words and readings are complete.
    pub(crate) async fn kill(&self) {
        self.control.kill();
        if timeout(END_WAIT, self.control.exited()).await.is_err() {
            tracing::warn!(environment = %self.id, "a killed environment has not ended yet");
        }
    }

    /// The reading an invocation starts from.
    pub(crate) fn begin_reading(&mut self, clocks: &dyn Clocks) {
        let stale = self.reading.1.is_some_and(|at| clocks.monotonic().duration_since(at) > FRESH_READING);
        if stale {
            self.reading.0 = self.control.usage();
        }
    }

    /// What was used since [`Environment::begin_reading`]; the peak is of its whole life. A new environment counts from
    /// its launch.
    pub(crate) fn end_reading(&mut self, clocks: &dyn Clocks) -> Usage {
        let (before, now) = (self.reading.0, self.control.usage());
        self.reading = (now, Some(clocks.monotonic()));
        Usage {
            cpu_user_us: now.cpu_user_us.saturating_sub(before.cpu_user_us),
            cpu_system_us: now.cpu_system_us.saturating_sub(before.cpu_system_us),
            peak_memory_bytes: now.peak_memory_bytes,
            oom_kills: now.oom_kills.saturating_sub(before.oom_kills),
        }
    }

    /// The way to the port it serves.
    pub(crate) fn web(&self) -> Option<Arc<web::Client>> {
        self.web.clone()
    }

    /// Its reins.
    pub(crate) fn reins(&self) -> Arc<dyn Control> {
        Arc::clone(&self.control)
    }

    /// What measures it, for those who look: it does not keep it alive.
    pub(crate) fn control(&self) -> Weak<dyn Control> {
        Arc::downgrade(&self.control)
    }

    /// Takes everything written so far into the log, the open line included.
    pub(crate) fn drain_output(&self) {
        self.output.drain_to_end();
    }

    /// Whether it may stand still while nobody uses it.
    pub(crate) fn may_freeze(&self) -> May {
        match (&self.gate, &self.web) {
            (Some(_), _) => May::Never,
            // Its program serves a port, and asks for nothing.
            (None, Some(_)) => May::Now,
            (None, None) if self.session.is_waiting() => May::Now,
            (None, None) => May::NotYet,
        }
    }

    /// Whether its process has ended by itself.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Whether an invocation that begins now might outlast the credentials it was given.
    pub(crate) fn outlasts_credentials(&self, clocks: &dyn Clocks, timeout_ms: u64) -> bool {
        let longest = i64::try_from(timeout_ms).unwrap_or(i64::MAX);
        self.credentials_end.is_some_and(|end| end <= clocks.signing().plus_ms(longest))
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        self.session.close();
        self.frost.end();
        self.control.kill();
    }
}

/// Beside the invocations: follows the output, and notices when the process ends by itself.
struct Watcher {
    id: EnvironmentId,
    output: Arc<Output>,
    log: Arc<Log>,
    session: Arc<Session>,
    ended: Arc<AtomicBool>,
    pool: Weak<Pool>,
}

impl Watcher {
    async fn run(self, mut exited: BoxFuture<'static, Exit>) {
        let exit = tokio::select! {
            exit = &mut exited => exit,
            () = self.output.follow() => exited.await,
        };
        self.output.drain();
        self.log.flush();
        self.ended.store(true, Ordering::Release);
        // Whoever waits for an answer learns that none will come.
        self.session.close();
        if let Some(pool) = self.pool.upgrade() {
            pool.forget(self.id, exit.cause == ExitCause::HelperLost);
        }
    }
}

/// A task that ends with its owner.
struct Task(JoinHandle<()>);

impl Task {
    fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(future))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn client(dial: Arc<sandbox::Dial>) -> Arc<web::Client> {
    web::Client::new(Arc::new(move || {
        let dial = Arc::clone(&dial);
        Box::pin(async move { dial.connect().await })
    }))
}

pub(crate) fn cpu_millis(memory_mb: u32) -> u32 {
    memory_mb * 1000 / MB_OF_ONE_CPU
}

fn not_started(error: sandbox::Error) -> NotStarted {
    let message = error.to_string();
    NotStarted::Refused(match error {
        sandbox::Error::Program(why) => return NotStarted::Program(format!("fork/exec {why}")),
        sandbox::Error::Unavailable { fix, .. } => Refusal::Walls { message, fix: Some(fix) },
        sandbox::Error::Exhausted { .. } => Refusal::Busy(message.into()),
        sandbox::Error::HelperLost => Refusal::Busy(HELPER_LOST.into()),
        sandbox::Error::Spec(_) | sandbox::Error::Tenants => Refusal::Walls { message, fix: None },
    })
}

/// A process killed while the kernel killed for want of memory ended for want of memory.
pub(crate) fn told_apart(exit: Exit) -> ExitCause {
    match exit.cause {
        ExitCause::Signaled(9) if exit.usage.oom_kills > 0 => ExitCause::OutOfMemory,
        cause => cause,
    }
}

pub(crate) fn micros(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_micros()).unwrap_or(u64::MAX)
}

//! Finding an environment for an invocation: an idle one, one that becomes free, or a new one after its INIT.

use std::sync::Arc;
use std::time::Duration;

use base::StartKind;

use crate::debug;
use crate::environment::{Environment, InitEnd, NotStarted, Purpose, Restored, Started, micros};
use crate::host::Place;
use crate::log::Log;
use crate::pool::{Lease, Starting};
use crate::report::{self, Status};
use crate::run::Run;
use crate::snapstart;
use crate::{Refusal, ThrottleReason};

/// An environment for the invocation, and what it took to get it.
pub(crate) struct Placed {
    pub(crate) lease: Lease,
    pub(crate) start: StartKind,
    pub(crate) sandbox_us: u64,
    pub(crate) init_us: u64,
    /// What restoring a snapshot took, where that was done instead of INIT.
    pub(crate) restored: Restored,
    pub(crate) queue_us: u64,
    /// What an INIT within the invocation has already used of the function's timeout.
    pub(crate) spent_us: u64,
    pub(crate) end: InitEnd,
}

/// Why there is no environment.
pub(crate) enum Unplaced {
    /// The invocation does not begin.
    Refused(Refusal),
    /// The function's program cannot be started: that is the function's failure, and is answered as such.
    Unstartable(Unstartable),
}

/// What is known of a program that cannot be started.
pub(crate) struct Unstartable {
    pub(crate) log: Arc<Log>,
    pub(crate) why: String,
    pub(crate) queue_us: u64,
    pub(crate) sandbox_us: u64,
}

impl From<Refusal> for Unplaced {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What the line for an environment ended with.
enum Found {
    Free(Lease),
    Room(Place),
}

/// A function that grows faster than it may.
fn throttled() -> Refusal {
    Refusal::Throttled { reason: ThrottleReason::ConcurrentInvocationLimitExceeded }
}

impl Run<'_> {
    /// An idle environment, or a new one after its INIT.
    pub(crate) async fn place(&self) -> Result<Placed, Unplaced> {
        if let Some(placed) = self.idle() {
            return Ok(placed);
        }
        match self.queue().await? {
            Found::Free(mut lease) => {
                lease.environment().log.begin(&self.invocation);
                Ok(self.warm(lease))
            }
            Found::Room(place) if self.may_grow() => self.cold(place).await,
            Found::Room(_) => Err(throttled().into()),
        }
    }

    /// Whether the function may have one more environment now.
    fn may_grow(&self) -> bool {
        self.engine.scaling.take(&self.target.key.function, self.engine.options.clocks.product())
    }

    /// An idle environment, if there is one.
    pub(crate) fn idle(&self) -> Option<Placed> {
        while let Some(mut lease) = self.pool.take_idle() {
            // One that can serve no more ends here, by being dropped.
            if self.can_serve(&mut lease) {
                lease.environment().log.begin(&self.invocation);
                return Some(self.warm(lease));
            }
        }
        None
    }

    fn can_serve(&self, lease: &mut Lease) -> bool {
        let environment = lease.environment();
        !environment.has_ended()
            && !environment.outlasts_credentials(&*self.engine.options.clocks, self.target.timeout_ms)
    }

    fn warm(&self, lease: Lease) -> Placed {
        let queue_us = micros(self.admitted, self.engine.options.clocks.monotonic());
        let start = StartKind::Warm;
        let restored = Restored::default();
        Placed { lease, start, sandbox_us: 0, init_us: 0, restored, queue_us, spent_us: 0, end: InitEnd::Ready }
    }

    /// Waits for whichever comes first: an environment that becomes free, or room to start one.
    async fn queue(&self) -> Result<Found, Refusal> {
        let engine = self.engine;
        let _in_line = engine.host.queue().ok_or(Refusal::Full("too many invocations wait for an environment"))?;
        let mut free = self.pool.wait();
        let room = engine.host.place(&self.pool.starts, self.target.memory_mb, || engine.evict_oldest());
        let patience = tokio::time::sleep(Duration::from_millis(engine.options.queue_ms));
        let found = tokio::select! {
            biased;
            Ok(lease) = &mut free => return Ok(Found::Free(lease)),
            place = room => Ok(Found::Room(place)),
            () = patience => Err(Refusal::Full("no environment became free in time")),
        };
        // One may have been handed over in the same moment: it must not be lost.
        free.close();
        match free.try_recv() {
            Ok(lease) => Ok(Found::Free(lease)),
            Err(_) => found,
        }
    }

    async fn cold(&self, place: Place) -> Result<Placed, Unplaced> {
        let options = &self.engine.options;
        let queue_us = micros(self.admitted, options.clocks.monotonic());
        let log = Log::new(self.target, Arc::clone(&options.logs), Arc::clone(&options.clocks), &*options.rng);
        log.begin(&self.invocation);
        for note in &self.target.notes {
            log.say(note.clone());
        }
        let starting = self.pool.start();
        // It may wait for a debugger to connect.
        let limit = self.target.debug.map_or(Duration::from_millis(options.init_timeout_ms), |_| debug::PATIENCE);
        let restores = self.target.image.snapshot.is_some();
        if restores {
            log.say(report::restore_start(&self.target.runtime));
        }
        let start = (limit, Purpose::Serve);
        let started = Environment::start(self.engine, &self.pool, self.target, place, Arc::clone(&log), start).await;
        let started = match started {
            Ok(started) => started,
            Err(NotStarted::Refused(refusal)) => return Err(refusal.into()),
            Err(NotStarted::Program(why)) => {
                let sandbox_us = micros(self.admitted, options.clocks.monotonic()).saturating_sub(queue_us);
                return Err(Unplaced::Unstartable(Unstartable { log, why, queue_us, sandbox_us }));
            }
        };
        let (sandbox_us, init_us) = (started.sandbox_us, started.init_us);
        let id = started.environment.id;
        tracing::debug!(environment = %id, function = %self.target.function_arn, sandbox_us, init_us, "started");
        let placed = match (started.restored, &started.end) {
            (Some(restored), InitEnd::Ready) => {
                log.say(report::restore_report(restored.took_us, None));
                leased(starting, started, 0)
            }
            (Some(restored), _) => return Err(self.not_restored(&started, restored, &log).await.into()),
            (None, InitEnd::Exited(_) | InitEnd::Timeout) if restores => {
                return self.init_instead(starting, started, log, queue_us).await;
            }
            (None, InitEnd::Timeout) => self.init_again(starting, started, log).await?,
            (None, _) => leased(starting, started, 0),
        };
        Ok(Placed { queue_us, sandbox_us, init_us, ..placed })
    }

    /// What was restored went on, and then failed: the invocation does not begin.
    /// Source: AWS Lambda API reference, `Invoke`, `SnapStartException` and `SnapStartTimeoutException`.
    async fn not_restored(&self, started: &Started, restored: Restored, log: &Log) -> Refusal {
        let status = match &started.end {
            InitEnd::Failed { error_type, .. } => Status::Error(error_type.clone()),
            InitEnd::Exited(cause) => Status::Error(report::exit_type(*cause).into()),
            InitEnd::Ready | InitEnd::Timeout | InitEnd::Snapshot(_) => Status::Timeout,
        };
        started.environment.kill().await;
        started.environment.drain_output();
        log.say(report::restore_report(restored.took_us, Some(&status)));
        log.flush();
        Refusal::Restore { timeout: status == Status::Timeout }
    }

    /// A snapshot brought nothing back to life, through no fault of the function's: INIT begins, as without one.
    async fn init_instead(
        &self,
        starting: Starting,
        first: Started,
        log: Arc<Log>,
        queue_us: u64,
    ) -> Result<Placed, Unplaced> {
        tracing::warn!(function = %self.target.function_arn, "a snapshot could not be restored");
        first.environment.kill().await;
        first.environment.drain_output();
        log.say("Lambent: the snapshot could not be restored: the function is initialized anew".into());
        let sandbox_us = first.sandbox_us;
        drop(first);
        let engine = self.engine;
        let place = engine.host.place(&self.pool.starts, self.target.memory_mb, || engine.evict_oldest()).await;
        let start = (Duration::from_millis(engine.options.init_timeout_ms), Purpose::Serve);
        let target = snapstart::without(self.target);
        let second = Environment::start(engine, &self.pool, &target, place, Arc::clone(&log), start).await;
        let second = second.map_err(|not_started| {
            log.flush();
            not_started.into_refusal()
        })?;
        let init_us = second.init_us;
        let placed = match second.end {
            InitEnd::Timeout => self.init_again(starting, second, log).await?,
            _ => leased(starting, second, 0),
        };
        Ok(Placed { queue_us, sandbox_us, init_us, ..placed })
    }

    /// INIT took more than ten seconds: it begins anew, now within the function's own timeout.
    /// Source: AWS Lambda developer guide, "Understanding the Lambda execution environment lifecycle", Init phase.
    async fn init_again(&self, starting: Starting, first: Started, log: Arc<Log>) -> Result<Placed, Refusal> {
        first.environment.kill().await;
        first.environment.drain_output();
        log.say(report::init_report(first.init_us, "init", &Status::Timeout));
        drop(first);
        let engine = self.engine;
        let place = engine.host.place(&self.pool.starts, self.target.memory_mb, || engine.evict_oldest()).await;
        let start = (Duration::from_millis(self.target.timeout_ms), Purpose::Serve);
        let target = snapstart::without(self.target);
        let second = Environment::start(engine, &self.pool, &target, place, Arc::clone(&log), start).await;
        let second = second.map_err(|not_started| {
            log.flush();
            not_started.into_refusal()
        })?;
        let spent_us = second.sandbox_us + second.init_us;
        Ok(leased(starting, second, spent_us))
    }
}

fn leased(starting: Starting, started: Started, spent_us: u64) -> Placed {
    let Started { environment, sandbox_us, init_us, restored, end } = started;
    let (lease, restored) = (starting.lease(environment), restored.unwrap_or_default());
    Placed { lease, start: StartKind::Cold, sandbox_us, init_us, restored, queue_us: 0, spent_us, end }
}

//! Finding an environment for an invocation: an idle one, one that becomes free, or a new one after its INIT.

use std::sync::Arc;
use std::time::Duration;

use base::StartKind;

use crate::Refusal;
use crate::environment::{Environment, InitEnd, NotStarted, Started, micros};
use crate::host::Place;
use crate::log::Log;
use crate::pool::{Lease, Starting};
use crate::report::{self, Status};
use crate::run::Run;

/// An environment for the invocation, and what it took to get it.
pub(crate) struct Placed {
    pub(crate) lease: Lease,
    pub(crate) start: StartKind,
    pub(crate) sandbox_us: u64,
    pub(crate) init_us: u64,
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

impl Run<'_> {
    /// An idle environment, or a new one after its INIT.
    pub(crate) async fn place(&self) -> Result<Placed, Unplaced> {
        while let Some(mut lease) = self.pool.take_idle() {
            // One that can serve no more ends here, by being dropped.
            if self.can_serve(&mut lease) {
                lease.environment().log.begin(&self.invocation);
                return Ok(self.warm(lease));
            }
        }
        match self.queue().await? {
            Found::Free(mut lease) => {
                lease.environment().log.begin(&self.invocation);
                Ok(self.warm(lease))
            }
            Found::Room(place) => self.cold(place).await,
        }
    }

    fn can_serve(&self, lease: &mut Lease) -> bool {
        let environment = lease.environment();
        !environment.has_ended()
            && !environment.outlasts_credentials(&*self.engine.options.clocks, self.target.timeout_ms)
    }

    fn warm(&self, lease: Lease) -> Placed {
        let queue_us = micros(self.admitted, self.engine.options.clocks.monotonic());
        let start = StartKind::Warm;
        Placed { lease, start, sandbox_us: 0, init_us: 0, queue_us, spent_us: 0, end: InitEnd::Ready }
    }

    /// Waits for whichever comes first: an environment that becomes free, or room to start one.
    async fn queue(&self) -> Result<Found, Refusal> {
        let engine = self.engine;
        let _in_line =
            engine.host.queue().ok_or(Refusal::Busy("too many invocations wait for an environment".into()))?;
        let mut free = self.pool.wait();
        let room = engine.host.place(&self.pool.starts, self.target.memory_mb, || engine.evict_oldest());
        let patience = tokio::time::sleep(Duration::from_millis(engine.options.queue_ms));
        let found = tokio::select! {
            biased;
            Ok(lease) = &mut free => return Ok(Found::Free(lease)),
            place = room => Ok(Found::Room(place)),
            () = patience => Err(Refusal::Busy("no environment became free in time".into())),
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
        let limit = Duration::from_millis(options.init_timeout_ms);
        let started = Environment::start(self.engine, &self.pool, self.target, place, Arc::clone(&log), limit).await;
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
        let placed = match started.end {
            InitEnd::Timeout => self.init_again(starting, started, log).await?,
            _ => leased(starting, started, 0),
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
        let limit = Duration::from_millis(self.target.timeout_ms);
        let second = Environment::start(engine, &self.pool, self.target, place, Arc::clone(&log), limit).await;
        let second = second.map_err(|not_started| {
            log.flush();
            not_started.into_refusal()
        })?;
        let spent_us = second.sandbox_us + second.init_us;
        Ok(leased(starting, second, spent_us))
    }
}

fn leased(starting: Starting, started: Started, spent_us: u64) -> Placed {
    let Started { environment, sandbox_us, init_us, end } = started;
    let lease = starting.lease(environment);
    Placed { lease, start: StartKind::Cold, sandbox_us, init_us, queue_us: 0, spent_us, end }
}

//! An environment that serves a crowd, and the bill of its time in use.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base::{Concurrency, EnvironmentId, ProvisionedUse, RequestId, StartKind, Timestamp};
use runtime::web;
use sandbox::{Control, Usage};

use super::Opened;
use crate::crowd::Crowd;
use crate::engine::Engine;
use crate::environment::micros;
use crate::log::Log;
use crate::permits::Permit;
use crate::place::Placed;
use crate::pool::{Lease, Pool};
use crate::report::{self, Report};
use crate::run;
use crate::{Refusal, Target};

/// How old a reading of what an environment used may be before the next request that ends takes one.
const READING: Duration = Duration::from_millis(100);

/// An environment that serves a crowd.
pub(crate) struct Hall {
    pub(super) client: Arc<web::Client>,
    pub(super) log: Arc<Log>,
    pub(super) control: Arc<dyn Control>,
    pub(super) environment: EnvironmentId,
    born: Timestamp,
    pub(super) concurrency: Concurrency,
    pub(super) provisioned: bool,
    pub(super) ready: Option<ProvisionedUse>,
    // For whom it was opened.
    opener: Opener,
    books: Mutex<Books>,
}

/// What changes with each request.
pub(super) struct Books {
    // Both there until the last request has left.
    lease: Option<Lease>,
    permit: Option<Permit>,
    // How it came to be, until a request's row says so.
    pub(super) birth: Option<Birth>,
    // Until when its time is billed, and what of it is less than a millisecond.
    billed_until: Instant,
    carry_us: u64,
    // When its use was last read, and what is still to be put down.
    read_at: Instant,
    peak_memory_bytes: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Birth {
    pub(super) start: StartKind,
    pub(super) sandbox_us: u64,
    pub(super) init_us: u64,
    pub(super) spent_us: u64,
}

/// What is told of a start whose callers have all left before the environment was there.
pub(super) struct Opener {
    pub(super) request_id: RequestId,
    pub(super) invoked_arn: Arc<str>,
    pub(super) by_receipt: bool,
    pub(super) at: Timestamp,
    /// Method and path.
    pub(super) line: String,
}

impl std::fmt::Debug for Hall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hall").field("environment", &self.environment).finish_non_exhaustive()
    }
}

impl Hall {
    pub(super) fn new(
        engine: &Engine,
        mut placed: Placed,
        permit: Permit,
        opener: Opener,
    ) -> Result<Arc<Self>, Refusal> {
        let clocks = &*engine.options.clocks;
        let (provisioned, ready) = (placed.lease.covered(), placed.lease.ready());
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
            ready,
            opener,
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
    pub(super) fn left(
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
        let Books { lease, permit, birth, billed_until, carry_us, read_at, peak_memory_bytes } = &mut *books;
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
        let (lease, permit, unclaimed) = (lease.take(), permit.take(), birth.take());
        drop(books);
        if let Some(birth) = unclaimed.filter(|birth| birth.start == StartKind::Cold) {
            self.tell_of(birth, (usage, in_use_us), (engine, target, pool));
        }
        match lease {
            Some(lease) if !closed => {
                if lease.give_back((today, now)) {
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

    /// Puts down a start that no request came out of: it has been paid for.
    fn tell_of(
        &self,
        birth: Birth,
        (usage, in_use_us): (Usage, u64),
        (engine, target, pool): (&Engine, &Target, &Pool),
    ) {
        let Opener { request_id, invoked_arn, by_receipt, at, line } = &self.opener;
        let mut row = run::row(target, (*request_id, invoked_arn, *by_receipt), *at);
        (row.environment, row.start, row.concurrency) = (Some(self.environment), StartKind::Cold, self.concurrency);
        row.phases.sandbox_us = birth.sandbox_us;
        row.phases.init_us = birth.init_us;
        (row.cpu_user_us, row.cpu_system_us) = (usage.cpu_user_us, usage.cpu_system_us);
        row.peak_memory_bytes = usage.peak_memory_bytes;
        row.billed_ms = (birth.init_us + birth.spent_us + in_use_us).div_ceil(1000);
        let http = format!("{line} (the caller left)");
        self.log.finish(report::report(&Report {
            row: &row,
            duration_us: 0,
            init_shown: birth.spent_us == 0,
            status: None,
            first_byte_us: None,
            restore_billed_us: 0,
            http: Some(&http),
            weak: engine.weak,
        }));
        pool.tally.invoked(&row);
        engine.options.meter.invoked(&row);
    }

    /// Whether its program has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.books().lease.as_mut().is_none_or(|lease| lease.environment().has_ended())
    }

    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Provisioned concurrency: environments of a function version that are started ahead, INIT done, and kept.
//!
//! A pool with a number of provisioned environments has a keeper: it starts what is missing, one after the other, and waits
//! until one is lost, or grows old: then its successor is started before it ends. Invocations find them before all others;
//! beyond them they start their own.
//! Source: AWS Lambda developer guide, "Configuring provisioned concurrency for a function".

use std::sync::Arc;
use std::time::Duration;

use base::{Clocks, Timestamp, Turn};
use sandbox::ExitCause;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::Target;
use crate::engine::Engine;
use crate::environment::{Environment, InitEnd, NotStarted, Purpose, Started};
use crate::host::Place;
use crate::log::Log;
use crate::pool::Pool;
use crate::report::{self, Status};

/// The first and the longest wait after a start that failed, ms.
const BACKOFF_MS: (i64, i64) = (1_000, 300_000);
/// One that is lost sooner than this after it began, ms, is lost young: when that happens again, the next is started later
/// each time.
const SETTLED_MS: i64 = 10_000;
/// The longest an INIT ahead of invocations may take whose function has a short timeout, and the longest of all, ms.
/// Source: AWS Lambda developer guide, "Understanding the Lambda execution environment lifecycle", Init phase.
const INIT_MS: (u64, u64) = (130_000, 900_000);
/// How AWS tells that INIT failed. Source: AWS Lambda, `StatusReason` of `GetProvisionedConcurrencyConfig`, as its users
/// report it (aws/aws-cdk issue 6016).
pub const INIT_FAILURE: &str = "FUNCTION_ERROR_INIT_FAILURE";
/// What holds a clock that jumps.
const DOING: &str = "provisioned concurrency";
/// By which the function sees why its environment was started.
const KIND: (&str, &str) = ("AWS_LAMBDA_INITIALIZATION_TYPE", "provisioned-concurrency");

/// How far the provisioned environments of a function version are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provisioned {
    /// How many are wanted.
    pub wanted: usize,
    /// How many of them are there, INIT done.
    pub allocated: usize,
    /// Why the last start failed, while some are missing: AWS's code where the function's INIT failed.
    pub failure: Option<String>,
}

/// How long an INIT may take that no invocation waits for: for a snapshot, or for provisioned concurrency.
pub fn init_limit(timeout_ms: u64) -> Duration {
    let (least, most) = INIT_MS;
    Duration::from_millis(timeout_ms.clamp(least, most))
}

/// The target as its provisioned environments run it.
pub(crate) fn ahead(target: &Target) -> Target {
    let mut target = target.clone();
    target.env.retain(|(name, _)| name != KIND.0);
    target.env.push((KIND.0.into(), KIND.1.into()));
    target
}

/// Why one did not start.
enum Unstarted {
    /// There is no helper: the next one is waited for.
    Helper,
    /// Something else: told, and tried again later.
    Failed(String),
}

/// Failures in a row, which only another order ends sooner than their time.
#[derive(Default)]
struct Failures {
    // The order they are of.
    order: u64,
    // Starts that failed.
    starts: u32,
    // Of those that were there, how many were lost young.
    losses: u32,
}

impl Failures {
    /// Takes note of one that was lost, which began at `born`.
    fn lost(&mut self, born: Timestamp, now: Timestamp) {
        let young = born.plus_ms(SETTLED_MS) > now;
        self.losses = if young { self.losses + 1 } else { 0 };
    }

    /// How long to wait after so many in a row, ms.
    fn wait_ms(in_a_row: u32) -> i64 {
        let (first, longest) = BACKOFF_MS;
        first.saturating_mul(1 << in_a_row.saturating_sub(1).min(20)).min(longest)
    }
}

/// Starts what a pool lacks, until it wants none any more.
pub(crate) async fn keep(engine: Arc<Engine>, pool: Arc<Pool>) {
    let clocks = &*engine.options.clocks;
    let mut failures = Failures::default();
    let mut helpers = engine.options.walls.helpers();
    let mut turn = Turn::default();
    loop {
        let now = clocks.product();
        let Some(plan) = pool.plan(now) else { return };
        if failures.order != plan.order {
            failures = Failures { order: plan.order, ..Failures::default() };
        }
        if let Some(born) = plan.lost {
            failures.lost(born, now);
            if failures.losses > 1 {
                // At once it would only be lost again.
                pool.failed(Some("an environment ended soon after it had started".to_owned()));
                let wait_ms = Failures::wait_ms(failures.losses - 1);
                turn = later(clocks, &pool, plan.order, now.plus_ms(wait_ms), turn).await;
                continue;
            }
        }
        if plan.missing == 0 {
            drop(turn);
            let renew = async {
                match plan.renew_at {
                    Some(at) => clocks.product_reaches(at).await,
                    None => std::future::pending().await,
                }
            };
            turn = tokio::select! {
                turn = renew => turn,
                () = pool.changed.notified() => clocks.turn(),
            };
            turn = turn.called(DOING);
            continue;
        }
        if let Some(helpers) = &mut helpers {
            helpers.mark_unchanged();
        }
        let started = tokio::select! {
            biased;
            // Fewer are wanted meanwhile, or none.
            () = pool.sated(now) => continue,
            started = start(&engine, &pool, &plan.target) => started,
        };
        match started {
            Ok(()) => {
                failures.starts = 0;
                pool.failed(None);
            }
            Err(Unstarted::Helper) => {
                failures = Failures { order: plan.order, ..Failures::default() };
                pool.failed(None);
                let due = now.plus_ms(BACKOFF_MS.0);
                let waited = later(clocks, &pool, plan.order, due, turn);
                turn = tokio::select! {
                    turn = waited => turn,
                    () = another(&mut helpers) => clocks.turn().called(DOING),
                };
            }
            Err(Unstarted::Failed(why)) => {
                tracing::info!(function = %plan.target.function_arn, why, "a provisioned environment did not start");
                pool.failed(Some(why));
                failures.starts += 1;
                // An INIT may have taken minutes.
                let due = clocks.product().plus_ms(Failures::wait_ms(failures.starts));
                turn = later(clocks, &pool, plan.order, due, turn).await;
            }
        }
    }
}

/// Waits until `due`, or until there is another order.
async fn later(clocks: &dyn Clocks, pool: &Pool, order: u64, due: Timestamp, turn: Turn) -> Turn {
    let reached = clocks.product_reaches(due);
    drop(turn);
    let turn = tokio::select! {
        turn = reached => turn,
        () = pool.reordered(order) => clocks.turn(),
    };
    turn.called(DOING)
}

/// Waits until another helper is there.
async fn another(helpers: &mut Option<watch::Receiver<u64>>) {
    let come = match helpers {
        Some(helpers) => helpers.changed().await.is_ok(),
        None => false,
    };
    if !come {
        std::future::pending::<()>().await;
    }
}

/// Starts one environment ahead and lays it into the pool; says why not.
async fn start(engine: &Arc<Engine>, pool: &Arc<Pool>, target: &Target) -> Result<(), Unstarted> {
    let options = &engine.options;
    let place = room(engine, pool, target).await.map_err(|why| Unstarted::Failed(why.to_owned()))?;
    let log = Log::new(target, Arc::clone(&options.logs), Arc::clone(&options.clocks), &*options.rng);
    for note in &target.notes {
        log.say(note.clone());
    }
    let starting = pool.start();
    let limit = init_limit(target.timeout_ms);
    let started = Environment::start(engine, pool, target, place, Arc::clone(&log), (limit, Purpose::Serve)).await;
    let started = started.map_err(|not_started| {
        let for_want_of_helper = not_started.for_want_of_helper();
        let why = match not_started {
            NotStarted::Refused(refusal) => refusal.to_string(),
            NotStarted::Program(why) => {
                log.say(why);
                INIT_FAILURE.to_owned()
            }
        };
        log.flush();
        if for_want_of_helper { Unstarted::Helper } else { Unstarted::Failed(why) }
    })?;
    if !matches!(started.end, InitEnd::Ready) {
        return Err(init_failed(started, &log).await);
    }
    log.flush();
    let mut lease = starting.lease(started.environment);
    let now = options.clocks.product();
    let renew = renewal(engine, lease.environment().born);
    lease.keep(renew, now);
    if lease.give_back((now, options.clocks.monotonic())) {
        engine.keep(pool, now);
    }
    engine.host.idled();
    Ok(())
}

/// Room for one more. Whoever waits for it holds a place in the line for starts, which calls need: so this one does not wait
/// long. Where there is none, one that is to be replaced makes it.
async fn room(engine: &Arc<Engine>, pool: &Pool, target: &Target) -> Result<Place, &'static str> {
    let options = &engine.options;
    while !engine.host.fits(target.memory_mb) {
        if !engine.evict_oldest() && !pool.end_old(options.clocks.product()) {
            return Err("the host has no room for another environment");
        }
    }
    let place = engine.host.place(&pool.starts, target.memory_mb, || engine.evict_oldest());
    let place = timeout(Duration::from_millis(options.queue_ms), place).await;
    place.map_err(|_| "the host had no room in time")
}

/// INIT ended badly: the function's log says how.
async fn init_failed(started: Started, log: &Log) -> Unstarted {
    let why = match started.end {
        InitEnd::Exited(ExitCause::HelperLost) => return Unstarted::Helper,
        InitEnd::Failed { error_type, .. } => Status::Error(error_type),
        InitEnd::Exited(cause) => Status::Error(report::exit_type(cause).into()),
        InitEnd::Timeout | InitEnd::Snapshot(_) | InitEnd::Ready => Status::Timeout,
    };
    started.environment.kill().await;
    started.environment.drain_output();
    log.say(report::init_report(started.init_us, "init", &why));
    log.flush();
    Unstarted::Failed(INIT_FAILURE.to_owned())
}

/// When one that began at `born` is replaced: in the last quarter of its time, but not in its last eighth, and not all at once.
fn renewal(engine: &Engine, born: Timestamp) -> Timestamp {
    let age_ms = engine.options.max_age_ms;
    let before_ms = age_ms / 8 + engine.options.rng.below(age_ms / 8 + 1);
    born.plus_ms(i64::try_from(age_ms - before_ms).unwrap_or(i64::MAX))
}

//! Provisioned concurrency: environments of a function version that are started ahead, INIT done, and kept.
//!
//! A pool with a number of provisioned environments has a keeper: it starts what is missing, one after the other, and waits
//! until one is lost. Invocations find them as they find any idle environment; beyond them they start their own.
//! Source: AWS Lambda developer guide, "Configuring provisioned concurrency for a function".

use std::sync::Arc;
use std::time::{Duration, Instant};

use base::Turn;
use tokio::time::timeout;

use crate::Target;
use crate::engine::Engine;
use crate::environment::{Environment, InitEnd, NotStarted, Purpose};
use crate::log::Log;
use crate::pool::Pool;
use crate::report::{self, Status};

/// The first and the longest wait after a start that failed, ms.
const BACKOFF_MS: (i64, i64) = (1_000, 300_000);
/// One that is lost sooner than this after it started is lost young: when that happens again, the next is started later
/// each time.
const SETTLED: Duration = Duration::from_secs(10);
/// By which the function sees why its environment was started.
const KIND: (&str, &str) = ("AWS_LAMBDA_INITIALIZATION_TYPE", "provisioned-concurrency");

/// How far the provisioned environments of a function version are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provisioned {
    /// How many are wanted.
    pub wanted: usize,
    /// How many of them are there, INIT done.
    pub allocated: usize,
    /// Why the last start failed, while some are missing.
    pub failure: Option<String>,
}

/// The target as its provisioned environments run it.
pub(crate) fn ahead(target: &Target) -> Target {
    let mut target = target.clone();
    target.env.retain(|(name, _)| name != KIND.0);
    target.env.push((KIND.0.into(), KIND.1.into()));
    target
}

/// Starts what a pool lacks, until it wants none any more.
pub(crate) async fn keep(engine: Arc<Engine>, pool: Arc<Pool>) {
    let clocks = &engine.options.clocks;
    // Starts that failed in a row, and how many were lost young in a row.
    let (mut failures, mut losses) = (0, 0);
    // When the last one started, and how many there were with it.
    let mut last: Option<(Instant, usize)> = None;
    let mut turn = Turn::default();
    loop {
        // Enrolled before looking, so that what is lost in between is not missed.
        let changed = pool.changed.notified();
        let Some((target, missing, alive)) = pool.missing() else { return };
        if missing == 0 {
            drop(turn);
            changed.await;
            turn = clocks.turn().called("provisioned concurrency");
            continue;
        }
        let young = last.is_some_and(|(at, _)| clocks.monotonic().duration_since(at) < SETTLED);
        let lost = last.take().is_some_and(|(_, were)| alive < were);
        match (lost, young) {
            (true, true) => losses += 1,
            (true, false) => (failures, losses) = (0, 0),
            (false, _) => {}
        }
        let started = match lost && losses > 1 {
            // At once it would only be lost again.
            true => Err("an environment ended soon after it had started".to_owned()),
            false => start(&engine, &pool, &target).await,
        };
        match started {
            Ok(()) => {
                pool.failed(None);
                last = Some((clocks.monotonic(), alive + 1));
            }
            Err(why) => {
                tracing::info!(function = %target.function_arn, why, "a provisioned environment did not start");
                pool.failed(Some(why));
                let (first, longest) = BACKOFF_MS;
                let wait_ms = first.saturating_mul(1 << failures.min(20)).min(longest);
                failures += 1;
                let reached = clocks.product_reaches(clocks.product().plus_ms(wait_ms));
                drop(turn);
                turn = tokio::select! {
                    turn = reached => turn.called("provisioned concurrency"),
                    () = changed => clocks.turn().called("provisioned concurrency"),
                };
            }
        }
    }
}

/// Starts one environment ahead and lays it into the pool; says why not.
async fn start(engine: &Arc<Engine>, pool: &Arc<Pool>, target: &Target) -> Result<(), String> {
    let options = &engine.options;
    // Whoever waits for room holds a place in the line for starts, which calls need: so this one does not wait long.
    while !engine.host.fits(target.memory_mb) {
        if !engine.evict_oldest() {
            return Err("the host has no room for another environment".into());
        }
    }
    let place = engine.host.place(&pool.starts, target.memory_mb, || engine.evict_oldest());
    let place = timeout(Duration::from_millis(options.queue_ms), place).await;
    let place = place.map_err(|_| "the host had no room in time".to_owned())?;
    let log = Log::new(target, Arc::clone(&options.logs), Arc::clone(&options.clocks), &*options.rng);
    for note in &target.notes {
        log.say(note.clone());
    }
    let starting = pool.start();
    let limit = Duration::from_millis(options.init_timeout_ms);
    let started = Environment::start(engine, pool, target, place, Arc::clone(&log), (limit, Purpose::Serve)).await;
    let started = started.map_err(|not_started| {
        log.flush();
        match not_started {
            NotStarted::Refused(refusal) => refusal.to_string(),
            NotStarted::Program(why) => why,
        }
    })?;
    let why = match started.end {
        InitEnd::Ready => {
            log.flush();
            let lease = starting.lease(started.environment);
            let now = options.clocks.product();
            if lease.give_back(now) {
                engine.keep(pool, now);
            }
            engine.host.idled();
            return Ok(());
        }
        InitEnd::Failed { error_type, .. } => Status::Error(error_type),
        InitEnd::Exited(cause) => Status::Error(report::exit_type(cause).into()),
        InitEnd::Timeout | InitEnd::Snapshot(_) => Status::Timeout,
    };
    started.environment.kill().await;
    started.environment.drain_output();
    log.say(report::init_report(started.init_us, "init", &why));
    log.flush();
    Err(match why {
        Status::Error(error_type) => format!("the function's initialization failed: {error_type}"),
        Status::Timeout => "the function's initialization took too long".into(),
    })
}

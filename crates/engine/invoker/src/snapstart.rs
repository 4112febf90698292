//! SnapStart: the INIT of a function version is run once, in an environment of its own, and what it has made is kept as a
//! file; environments of the version then begin with that file instead of INIT. This room hands the bytes on; who asks keeps
//! them and names the file in the target.
//!
//! Source: AWS Lambda developer guide, "Improving startup performance with Lambda SnapStart".

use std::sync::Arc;
use std::time::Duration;

use runtime::{Snapshot, SnapshotWanted};
use sandbox::ExitCause;
use tokio::time::timeout;

use crate::engine::Engine;
use crate::environment::{Environment, InitEnd, NotStarted, Purpose, Started};
use crate::log::Log;
use crate::report::{self, Status};
use crate::{Refusal, Target};

/// What came of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Snapshotted {
    /// All its bytes were handed on.
    Taken,
    /// INIT ended well, and there can be no snapshot of what it made.
    Unfit {
        /// Why, in words for the function's owner.
        why: String,
    },
    /// INIT failed.
    Failed(InitFailure),
}

/// How INIT failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InitFailure {
    /// The runtime reported an error of this type, for example `Runtime.ImportModuleError`.
    Error(String),
    /// The process ended.
    Exit,
    /// The kernel killed it for want of memory.
    OutOfMemory,
    /// It took too long.
    Timeout,
    /// The program cannot be started; the words say why.
    Program(String),
}

/// The target without its snapshot: what follows is INIT.
pub(crate) fn without(target: &Target) -> Target {
    let mut target = target.clone();
    target.image.snapshot = None;
    target
}

async fn start(
    engine: &Engine,
    target: &Target,
    log: &Arc<Log>,
    start: (Duration, Purpose),
) -> Result<Result<Started, String>, Refusal> {
    let options = &engine.options;
    let pool = engine.pool(target);
    let place = engine.host.place(&pool.starts, target.memory_mb, || engine.evict_oldest());
    let place = timeout(Duration::from_millis(options.queue_ms), place).await;
    let place = place.map_err(|_| Refusal::Busy("the host had no room in time".into()))?;
    match Environment::start(engine, &pool, target, place, Arc::clone(log), start).await {
        Ok(started) => Ok(Ok(started)),
        Err(NotStarted::Program(why)) => Ok(Err(why)),
        Err(NotStarted::Refused(refusal)) => Err(refusal),
    }
}

pub(crate) async fn take(
    engine: &Engine,
    target: &Target,
    wanted: SnapshotWanted,
    limit: Duration,
) -> Result<Snapshotted, Refusal> {
    let options = &engine.options;
    let log = Log::new(target, Arc::clone(&options.logs), Arc::clone(&options.clocks), &*options.rng);
    for note in &target.notes {
        log.say(note.clone());
    }
    log.say(report::init_start(&target.runtime));
    let target = without(target);
    let started =
        start(engine, &target, &log, (limit, Purpose::Snapshot(wanted))).await.inspect_err(|_| log.flush())?;
    let (init_us, end) = match started {
        Err(why) => (0, Err(InitFailure::Program(why))),
        Ok(started) => {
            started.environment.kill().await;
            started.environment.drain_output();
            (started.init_us, ended(started.end))
        }
    };
    match &end {
        Ok(Snapshotted::Unfit { why }) => {
            log.say(report::init_succeeded(init_us));
            log.say(format!("Lambent: SnapStart is off for this version: {why}"));
        }
        Ok(_) => log.say(report::init_succeeded(init_us)),
        Err(failure) => log.say(report::init_report(init_us, "init", &failure.status())),
    }
    log.flush();
    Ok(end.unwrap_or_else(Snapshotted::Failed))
}

fn ended(end: InitEnd) -> Result<Snapshotted, InitFailure> {
    match end {
        InitEnd::Snapshot(Snapshot::Taken) => Ok(Snapshotted::Taken),
        InitEnd::Snapshot(Snapshot::None { why }) => Ok(Snapshotted::Unfit { why }),
        InitEnd::Ready => Ok(Snapshotted::Unfit { why: "its runtime takes no snapshots".into() }),
        InitEnd::Failed { error_type, .. } => Err(InitFailure::Error(error_type)),
        InitEnd::Exited(ExitCause::OutOfMemory) => Err(InitFailure::OutOfMemory),
        InitEnd::Exited(_) => Err(InitFailure::Exit),
        InitEnd::Timeout => Err(InitFailure::Timeout),
    }
}

impl InitFailure {
    fn status(&self) -> Status {
        match self {
            Self::Error(error_type) => Status::Error(error_type.clone()),
            Self::Exit => Status::Error(report::exit_type(ExitCause::Exited(1)).into()),
            Self::OutOfMemory => Status::Error(report::exit_type(ExitCause::OutOfMemory).into()),
            Self::Timeout => Status::Timeout,
            Self::Program(_) => Status::Error(report::INVALID_ENTRYPOINT.into()),
        }
    }
}

/// None of the function's own code goes on: its log hears nothing of it.
pub(crate) async fn try_restore(engine: &Engine, target: &Target) -> Result<bool, Refusal> {
    let options = &engine.options;
    let log = Log::new(target, Arc::new(Unheard), Arc::clone(&options.clocks), &*options.rng);
    let limit = Duration::from_millis(options.init_timeout_ms);
    let started = start(engine, target, &log, (limit, Purpose::Try)).await?;
    Ok(started.is_ok_and(|started| started.restored.is_some()))
}

/// Takes no lines.
pub(crate) struct Unheard;

impl base::LogSink for Unheard {
    fn write(&self, _: Vec<base::LogLine>) {}
}

//! Compilation of what lies in an image, in a sandbox of its own: full walls, no credentials, no way to the platform's endpoint,
//! a fixed share of CPU. The program hands in what it made as a snapshot is handed in; this room hands the bytes on.

use std::sync::Arc;
use std::time::Duration;

use runtime::{Snapshot, SnapshotWanted};
use sandbox::ExitCause;
use tokio::time::timeout;

use crate::engine::Engine;
use crate::environment::{Environment, InitEnd, NotStarted, Purpose};
use crate::log::Log;
use crate::pool::Pool;
use crate::snapstart::Unheard;
use crate::tally::Tally;
use crate::{Refusal, Target};

/// What came of a compilation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compiled {
    /// All its bytes were handed on.
    Taken,
    /// There is nothing to be handed on, and it would be so again.
    Nothing {
        /// Why.
        why: String,
    },
}

pub(crate) async fn run(
    engine: &Engine,
    target: &Target,
    wanted: SnapshotWanted,
    limit: Duration,
) -> Result<Compiled, Refusal> {
    let options = &engine.options;
    // Of its own: it counts among nobody's invocations, and nobody waits for it.
    let (key, freezer) = (&target.key, Arc::clone(&engine.freezer));
    let seat = engine.permits.seat(target.account, &target.region, &key.function, &key.version);
    let pool = Pool::new(key.clone(), seat, 1, Arc::new(Tally::new()), freezer);
    let no_room = || Refusal::Busy("the host has no room for a compilation".into());
    if !engine.host.fits(target.memory_mb) {
        return Err(no_room());
    }
    let place = engine.host.place(&pool.starts, target.memory_mb, || false);
    let place = timeout(Duration::from_millis(options.queue_ms), place).await.map_err(|_| no_room())?;
    let log = Log::new(target, Arc::new(Unheard), Arc::clone(&options.clocks), &*options.rng);
    let started = Environment::start(engine, &pool, target, place, log, (limit, Purpose::Compile(wanted))).await;
    let started = match started {
        Ok(started) => started,
        Err(NotStarted::Program(why)) => return Ok(Compiled::Nothing { why }),
        Err(NotStarted::Refused(refusal)) => return Err(refusal),
    };
    started.environment.kill().await;
    let why = match started.end {
        InitEnd::Snapshot(Snapshot::Taken) => return Ok(Compiled::Taken),
        InitEnd::Snapshot(Snapshot::None { why }) => why,
        InitEnd::Exited(ExitCause::HelperLost | ExitCause::Killed) => {
            return Err(Refusal::Busy("the compiler was ended from outside".into()));
        }
        InitEnd::Exited(cause) => format!("the compiler ended: {cause:?}"),
        InitEnd::Timeout => "it took too long".to_owned(),
        InitEnd::Ready | InitEnd::Failed { .. } => "the compiler did something else".to_owned(),
    };
    Ok(Compiled::Nothing { why })
}

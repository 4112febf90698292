//! What the platform decides about this room when it starts it.

use std::fmt;
use std::sync::Arc;

use base::{Clocks, LogSink, Meter, Outward, Rng, SandboxNet};
use sandbox::Walls;

/// The ports and limits of an [`crate::Invoker`]. Make it with [`Options::new`] and change what differs.
#[derive(Clone)]
pub struct Options {
    /// Builds environments.
    pub walls: Arc<dyn Walls>,
    /// All time. Keep-alive follows the product clock, durations and deadlines the transport clock.
    pub clocks: Arc<dyn Clocks>,
    /// Names log streams.
    pub rng: Arc<dyn Rng>,
    /// Takes the functions' output.
    pub logs: Arc<dyn LogSink>,
    /// Takes usage.
    pub meter: Arc<dyn Meter>,
    /// Serves the platform's own endpoint inside environments. `None`: functions cannot reach it.
    pub net: Option<Arc<dyn SandboxNet>>,
    /// Carries what functions send to addresses outside. `None`: nothing leaves an environment.
    pub outward: Option<Arc<dyn Outward>>,
    /// Concurrent executions of an account in a region.
    pub account_concurrency: u32,
    /// How long an unused environment is kept, product time, ms.
    pub keep_alive_ms: u64,
    /// How long an environment is idle before it is frozen, ms; none: what a function leaves running goes on. Where the walls
    /// cannot freeze nothing is frozen.
    pub freeze_after_ms: Option<u64>,
    /// An environment older than this is ended after its invocation, product time, ms.
    pub max_age_ms: u64,
    /// Environments that one function may start in ten seconds, those of provisioned concurrency aside.
    pub burst: u32,
    /// Most live environments.
    pub max_environments: usize,
    /// Most memory that live environments may be configured to use together, MiB. One environment may always live.
    pub max_memory_mb: u64,
    /// Environments that may be in launch or INIT at once. More would only take CPU from each other.
    pub concurrent_starts: usize,
    /// Invocations that may wait for an environment at once.
    pub max_waiting: usize,
    /// How long one may wait, ms.
    pub queue_ms: u64,
    /// How long INIT may take, ms, before it is tried again within the function's own timeout.
    pub init_timeout_ms: u64,
    /// Whether CPU shares follow memory. Off while developing.
    pub cpu_limit: bool,
}

/// Long enough that who calls ten times a second never meets a frozen environment, short enough that hardly anything runs on
/// behind an answer that would not on Lambda.
const FREEZE_AFTER_MS: u64 = 100;

impl Options {
    /// The defaults: AWS's limits, ten minutes of keep-alive, two starts at once for each CPU.
    pub fn new(
        walls: Arc<dyn Walls>,
        clocks: Arc<dyn Clocks>,
        rng: Arc<dyn Rng>,
        logs: Arc<dyn LogSink>,
        meter: Arc<dyn Meter>,
    ) -> Self {
        let cpus = std::thread::available_parallelism().map_or(2, std::num::NonZeroUsize::get);
        Self {
            walls,
            clocks,
            rng,
            logs,
            meter,
            net: None,
            outward: None,
            account_concurrency: base::limits::ACCOUNT_CONCURRENCY,
            keep_alive_ms: 600_000,
            freeze_after_ms: Some(FREEZE_AFTER_MS),
            max_age_ms: 2 * 3_600_000,
            burst: base::limits::ENVIRONMENT_BURST,
            max_environments: 2_000,
            max_memory_mb: 1_000_000,
            concurrent_starts: 2 * cpus,
            max_waiting: 10_000,
            queue_ms: 60_000,
            init_timeout_ms: base::limits::INIT_TIMEOUT_MS,
            cpu_limit: true,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("account_concurrency", &self.account_concurrency)
            .field("keep_alive_ms", &self.keep_alive_ms)
            .field("max_environments", &self.max_environments)
            .field("max_memory_mb", &self.max_memory_mb)
            .field("concurrent_starts", &self.concurrent_starts)
            .finish_non_exhaustive()
    }
}

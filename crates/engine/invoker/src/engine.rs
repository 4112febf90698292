//! The long-lived part: [`Invoker`] → [`Service`] → [`Handle`].

use std::collections::HashMap;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use base::{Account, BoxFuture, EnvironmentId, Region, Timestamp};
use runtime::SnapshotWanted;
use tokio::sync::{Notify, watch};

use crate::debug::Gates;
use crate::environment::micros;
use crate::freeze::Keeper;
use crate::host::Host;
use crate::keep::Wheel;
use crate::permits::Permits;
use crate::pool::{Counts, Pool};
use crate::scaling::Scaling;
use crate::tally::{Name, Tallies};
use crate::{
    Answered, Compiled, Counted, Done, Flowing, Invocation, Options, Provisioned, Refusal, Snapshotted, Spread, Target,
    TargetKey, WebCall, compile, provision, run, snapstart, stream, web,
};

/// Starts this room.
#[derive(Debug)]
pub struct Invoker;

impl Invoker {
    /// The handle for callers, and the service that the caller must run. Must be called inside a tokio runtime with
    /// I/O and time enabled.
    pub fn start(options: Options) -> (Handle, Service) {
        let engine = Arc::new(Engine::new(options));
        (Handle { engine: Arc::clone(&engine) }, Service { engine })
    }
}

/// By function and version.
type Pools = HashMap<Name, Arc<Pool>>;

/// What all invocations share.
pub(crate) struct Engine {
    pub(crate) options: Options,
    pub(crate) host: Arc<Host>,
    // Whether the walls are weak, which REPORT then says.
    pub(crate) weak: bool,
    // Finishes invocations whose callers went away, and runs those whose responses are streamed.
    pub(crate) tasks: tokio::runtime::Handle,
    pub(crate) permits: Permits,
    pub(crate) scaling: Scaling,
    // Of each function version the pool of the revision seen last.
    pools: Mutex<Pools>,
    // Of each function version what its invocations came to.
    tallies: Tallies,
    // When this room started, transport clock.
    begun: Instant,
    wheel: Wheel,
    pub(crate) freezer: Arc<Keeper>,
    pub(crate) gates: Gates,
    ids: AtomicU64,
    draining: AtomicBool,
    // Invocations under way, and word when the last has ended.
    running: AtomicUsize,
    quiet: Notify,
}

impl Engine {
    fn new(options: Options) -> Self {
        // Starts from the wall clock, so that an earlier run of the platform never named the same environment.
        let first_id = options.clocks.signing().0.unsigned_abs() << 12;
        let survey = options.walls.survey();
        Self {
            host: Host::new(
                options.concurrent_starts,
                options.max_waiting,
                options.max_environments,
                options.max_memory_mb,
            ),
            weak: survey.weak,
            tasks: tokio::runtime::Handle::current(),
            permits: Permits::new(options.account_concurrency),
            scaling: Scaling::new(options.burst),
            pools: Mutex::default(),
            tallies: Tallies::default(),
            begun: options.clocks.monotonic(),
            wheel: Wheel::default(),
            freezer: Keeper::new(options.freeze_after_ms.map(Duration::from_millis), &survey),
            gates: Gates::default(),
            ids: AtomicU64::new(first_id),
            draining: AtomicBool::new(false),
            running: AtomicUsize::new(0),
            quiet: Notify::new(),
            options,
        }
    }

    pub(crate) fn next_id(&self) -> EnvironmentId {
        EnvironmentId(self.ids.fetch_add(1, Ordering::Relaxed))
    }

    /// The pool of a target. One of another revision is retired and replaced.
    pub(crate) fn pool(&self, target: &Target) -> Arc<Pool> {
        let name = (Arc::clone(&target.key.function), Arc::clone(&target.key.version));
        let mut pools = self.pools();
        match pools.get(&name) {
            Some(pool) if pool.key.revision == target.key.revision => Arc::clone(pool),
            _ => {
                let seat = self.permits.seat(target.account, &target.region, &target.key.function, &target.key.version);
                let tally = self.tallies.of(&name, target.memory_mb, &pools);
                let freezer = Arc::clone(&self.freezer);
                let pool = Pool::new(target.key.clone(), seat, self.options.concurrent_starts, tally, freezer);
                let earlier = pools.insert(name, Arc::clone(&pool));
                drop(pools);
                if let Some(earlier) = earlier {
                    earlier.retire();
                }
                pool
            }
        }
    }

    /// Sees to the end of what is now idle in `pool`.
    pub(crate) fn keep(&self, pool: &Arc<Pool>, now: Timestamp) {
        let keep_ms = i64::try_from(self.options.keep_alive_ms).unwrap_or(i64::MAX);
        self.wheel.add(pool, now.plus_ms(keep_ms), &*self.options.clocks);
    }

    /// Ends the environment that has been idle longest; says whether there was one.
    pub(crate) fn evict_oldest(&self) -> bool {
        let oldest = {
            let pools = self.pools();
            let idle = pools.values().filter_map(|pool| pool.oldest().map(|since| (since, pool)));
            idle.min_by_key(|(since, _)| *since).map(|(_, pool)| Arc::clone(pool))
        };
        // Another may have taken it meanwhile: then the caller looks again when room is freed.
        oldest.is_some_and(|pool| pool.evict_oldest())
    }

    /// Ends a quarter of the idle environments that may end, at least one, those unused for longest first. Answers how many.
    pub(crate) fn relieve(&self) -> usize {
        let idle: usize = self.pools().values().map(|pool| pool.on_demand()).sum();
        (0..idle.div_ceil(4)).take_while(|_| self.evict_oldest()).count()
    }

    fn remove(&self, gone: impl Fn(&TargetKey) -> bool) {
        self.remove_and(gone, || ());
    }

    /// `forget` runs while nobody can make a new pool: what it forgets is not that of one that follows.
    fn remove_and(&self, gone: impl Fn(&TargetKey) -> bool, forget: impl FnOnce()) {
        let mut pools = self.pools();
        let removed: Vec<Arc<Pool>> = pools.extract_if(|_, pool| gone(&pool.key)).map(|(_, pool)| pool).collect();
        forget();
        drop(pools);
        for pool in removed {
            pool.retire();
        }
    }

    fn pools(&self) -> MutexGuard<'_, Pools> {
        self.pools.lock().expect("no code panics while holding it")
    }

    pub(crate) async fn invoke(self: Arc<Self>, target: Arc<Target>, invocation: Invocation) -> Result<Done, Refusal> {
        let _running = Running::begin(&*self)?;
        run::run(&self, &target, invocation).await
    }
}

/// Counts an invocation under way.
pub(crate) struct Running<E: Deref<Target = Engine>> {
    engine: E,
}

impl<E: Deref<Target = Engine>> Running<E> {
    pub(crate) fn begin(engine: E) -> Result<Self, Refusal> {
        // Counted before looking, so that a drain that begins now waits for it.
        engine.running.fetch_add(1, Ordering::SeqCst);
        let running = Self { engine };
        if running.engine.draining.load(Ordering::SeqCst) { Err(Refusal::Draining) } else { Ok(running) }
    }
}

impl<E: Deref<Target = Engine>> Drop for Running<E> {
    fn drop(&mut self) {
        if self.engine.running.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.engine.quiet.notify_waiters();
        }
    }
}

/// What callers hold. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    engine: Arc<Engine>,
}

/// One function version's live environments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// Which.
    pub key: TargetKey,
    /// In launch or INIT.
    pub starting: usize,
    /// With an event.
    pub busy: usize,
    /// Waiting for one.
    pub idle: usize,
    /// Of those, frozen meanwhile.
    pub frozen: usize,
}

/// What goes on and what was counted, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// Time since this room started, microseconds.
    pub uptime_us: u64,
    /// Live environments, those in launch included.
    pub environments: usize,
    /// Invocations under way, those that wait included.
    pub running: usize,
    /// Invocations that wait for an environment.
    pub waiting: usize,
    /// Everything that was counted, also of functions that are gone.
    pub total: Counted,
    /// The function versions that were invoked.
    pub versions: Vec<VersionInUse>,
}

/// One function version that was invoked since the platform started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionInUse {
    /// The function's ARN without qualifier.
    pub function: Arc<str>,
    /// `$LATEST` or a number.
    pub version: Arc<str>,
    /// Configured memory, MiB.
    pub memory_mb: u32,
    /// Environments in launch or INIT.
    pub starting: usize,
    /// Environments with an event.
    pub busy: usize,
    /// Environments that wait for one.
    pub idle: usize,
    /// Of those, the ones that are frozen meanwhile.
    pub frozen: usize,
    /// Environments that are kept however long they are unused; busy or idle as well.
    pub provisioned: usize,
    /// Highest memory of any of its environments so far, bytes.
    pub peak_memory_bytes: u64,
    /// Memory that its environments have to themselves now, all together, bytes.
    pub private_memory_bytes: u64,
    /// What was counted.
    pub counted: Counted,
    /// Where the time went.
    pub spread: Spread,
}

impl Handle {
    /// Says that the target may be invoked soon, so that its first environment need not boot a runtime. Does not wait.
    pub fn expect(&self, target: &Target) {
        if let (Some(ahead), sandbox::Isolation::Process) = (&target.ahead, target.isolation) {
            self.engine.options.walls.expect(&target.account.to_string(), &target.image, ahead, crate::spec::FILES);
        }
    }

    /// Runs one event and answers what came of it.
    ///
    /// Dropping the future means that the caller went away: the invocation still runs to its end, and is logged and
    /// metered, as on Lambda. Nothing happens before the future is first polled.
    ///
    /// # Errors
    /// A [`Refusal`] when it never began.
    pub fn invoke(&self, target: Arc<Target>, invocation: Invocation) -> Invoking {
        let engine = Arc::clone(&self.engine);
        let tasks = engine.tasks.clone();
        Invoking { running: Some(Box::pin(engine.invoke(target, invocation))), begun: false, tasks }
    }

    /// Hands one request to the program of a web function, and answers once its answer begins.
    ///
    /// Dropping the future, or the answer's body, means that the caller went away: the program is told by the end of its
    /// connection.
    ///
    /// # Errors
    /// A [`Refusal`] when it never began.
    pub fn web(
        &self,
        target: Arc<Target>,
        call: WebCall,
    ) -> impl Future<Output = Result<Answered, Refusal>> + Send + 'static {
        web::run(Arc::clone(&self.engine), target, call)
    }

    /// Runs one event, whose response is handed on as it is written.
    ///
    /// It runs beside the caller, since one that reads slowly, or not at all, must not keep it from its deadline. Dropping
    /// what this gives means that the caller went away: the invocation still runs to its end, and what it writes is thrown
    /// away.
    pub fn stream(&self, target: Arc<Target>, invocation: Invocation) -> Flowing {
        stream::begin(&self.engine, target, invocation)
    }

    /// Sets a function's reserved concurrency over all its versions, or removes it. What runs keeps running. `function`
    /// is the ARN without qualifier, as in [`TargetKey::function`]. Nothing else tells this room of reservations: call it
    /// for each at start, at every change, and with `None` when the function is deleted.
    pub fn reserve(&self, account: Account, region: &Region, function: &Arc<str>, reserved: Option<u32>) {
        self.engine.permits.reserve(account, region, function, reserved);
    }

    /// Ends the environments of one revision: idle ones now, busy ones when they have answered.
    pub fn retire(&self, key: &TargetKey) {
        self.engine.remove(|other| other == key);
    }

    /// Ends the environments of all versions of a function, as [`Handle::retire`] does.
    pub fn evict(&self, function: &str) {
        self.engine.remove_and(|key| &*key.function == function, || self.engine.tallies.forget(function));
    }

    /// Ends the environments of one version of a function, as [`Handle::retire`] does.
    pub fn evict_version(&self, function: &str, version: &str) {
        self.engine.remove(|key| &*key.function == function && &*key.version == version);
    }

    /// Keeps `wanted` environments of a target ready, INIT done, however long they are unused; 0 ends that. They are
    /// started one after the other beside this call, and again when one is lost. A retired target's are gone: call it anew
    /// for the target that follows.
    pub fn provision(&self, target: &Target, wanted: usize) {
        let target = Arc::new(provision::ahead(target));
        let pool = self.engine.pool(&target);
        let now = self.engine.options.clocks.product();
        let (begins, watch) = pool.provision(&target, wanted, now);
        if begins {
            self.engine.tasks.spawn(provision::keep(Arc::clone(&self.engine), Arc::clone(&pool)));
        }
        if watch {
            self.engine.keep(&pool, now);
        }
        // Those that are wanted no more may end for whoever waits for room.
        self.engine.host.idled();
    }

    /// Runs the INIT of a target in an environment of its own and takes a snapshot of it, the bytes of which go to `wanted`.
    /// INIT may take `limit`, which the hooks before the snapshot count against.
    ///
    /// # Errors
    /// A [`Refusal`] when it never began.
    pub async fn snapshot(
        &self,
        target: &Target,
        wanted: SnapshotWanted,
        limit: Duration,
    ) -> Result<Snapshotted, Refusal> {
        let _running = Running::begin(&*self.engine)?;
        snapstart::take(&self.engine, target, wanted, limit).await
    }

    /// Runs a target that compiles what it sees and hands that in, the bytes of which go to `wanted`, for at most `limit`. Nothing
    /// gives way for it; no log hears of it, and a drain does not wait for it. Dropping the future ends it.
    ///
    /// # Errors
    /// A [`Refusal`] when it never began: there is no room now, or the platform stops.
    pub async fn compile(&self, target: &Target, wanted: SnapshotWanted, limit: Duration) -> Result<Compiled, Refusal> {
        drop(Running::begin(&*self.engine)?);
        compile::run(&self.engine, target, wanted, limit).await
    }

    /// Whether the snapshot of a target can be restored, found out by restoring it once; the function's own code does not
    /// run. Says what happened instead.
    ///
    /// # Errors
    /// A [`Refusal`] when it never began.
    pub async fn try_restore(&self, target: &Target) -> Result<bool, Refusal> {
        let _running = Running::begin(&*self.engine)?;
        snapstart::try_restore(&self.engine, target).await
    }

    /// How far the provisioned environments of a function version are; none when it has none.
    pub fn provisioned(&self, function: &str, version: &str) -> Option<Provisioned> {
        let name = (Arc::from(function), Arc::from(version));
        let pool = self.engine.pools().get(&name).cloned();
        pool.and_then(|pool| pool.provisioned())
    }

    /// The live environments now, of every function version that has any.
    pub fn live(&self) -> Vec<Live> {
        let pools: Vec<Arc<Pool>> = self.engine.pools().values().cloned().collect();
        let live = pools.iter().map(|pool| {
            let Counts { starting, busy, idle, frozen } = pool.counts();
            Live { key: pool.key.clone(), starting, busy, idle, frozen }
        });
        live.filter(|live| live.starting + live.busy + live.idle > 0).collect()
    }

    /// What goes on and what was counted. Reads some hundred counters of each version, and files of
    /// each environment: not for a thread that answers calls.
    pub fn overview(&self) -> Overview {
        let engine = &self.engine;
        let pools = engine.pools().clone();
        let (tallies, mut total) = engine.tallies.all();
        let versions = tallies.into_iter().map(|(name, tally)| {
            let counted = tally.counted();
            total.add(&counted);
            let pool = pools.get(&name);
            let Counts { starting, busy, idle, frozen } = pool.map(|pool| pool.counts()).unwrap_or_default();
            VersionInUse {
                function: name.0,
                version: name.1,
                memory_mb: tally.memory_mb(),
                starting,
                busy,
                idle,
                frozen,
                provisioned: pool.and_then(|pool| pool.provisioned()).map_or(0, |ahead| ahead.allocated),
                peak_memory_bytes: tally.peak_memory_bytes(),
                private_memory_bytes: pool.map_or(0, |pool| pool.private_memory()),
                counted,
                spread: tally.spread(),
            }
        });
        let versions = versions.collect();
        Overview {
            uptime_us: micros(engine.begun, engine.options.clocks.monotonic()),
            environments: *engine.host.live().borrow(),
            running: self.running(),
            waiting: engine.host.waiting(),
            total,
            versions,
        }
    }

    /// Invocations under way, those that wait for an environment and those whose callers have left included.
    pub fn running(&self) -> usize {
        self.engine.running.load(Ordering::SeqCst)
    }

    /// The number of live environments, and word whenever one begins or ends.
    pub fn changes(&self) -> watch::Receiver<usize> {
        self.engine.host.live()
    }
}

/// An invocation under way: what [`Handle::invoke`] gives. Dropped, it goes on by itself.
#[must_use = "an invocation does not begin until it is awaited"]
pub struct Invoking {
    running: Option<BoxFuture<'static, Result<Done, Refusal>>>,
    begun: bool,
    tasks: tokio::runtime::Handle,
}

impl Future for Invoking {
    type Output = Result<Done, Refusal>;

    // Driven in the caller's own task: no hop on the warm path.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.begun = true;
        let running = self.running.as_mut().expect("not polled after completion");
        let done = std::task::ready!(running.as_mut().poll(cx));
        self.running = None;
        Poll::Ready(done)
    }
}

impl Drop for Invoking {
    fn drop(&mut self) {
        if let Some(running) = self.running.take()
            && self.begun
            && !std::thread::panicking()
        {
            self.tasks.spawn(running);
        }
    }
}

/// The part that runs beside the calls: keep-alive, and the orderly end.
pub struct Service {
    engine: Arc<Engine>,
}

impl Service {
    /// Freezes idle environments, and ends them when their time has come, or while the host is short of memory. Runs until it
    /// is dropped.
    pub async fn run(&self) {
        let options = &self.engine.options;
        let by_time = self.engine.wheel.turn(&*options.clocks, options.keep_alive_ms, options.max_age_ms);
        tokio::join!(by_time, self.engine.freezer.turn(&*options.clocks), self.under_pressure());
    }

    /// Each time the host is short of memory, some of what is idle goes, until it is not short any more.
    async fn under_pressure(&self) {
        let Some(mut short) = self.engine.options.walls.short_of_memory() else { return };
        while short.changed().await.is_ok() {
            let ended = self.engine.relieve();
            tracing::info!(ended, "the host is short of memory: idle environments were ended");
        }
    }

    /// Takes no new invocations, waits for those under way (their timeouts bound it), and ends every environment.
    pub async fn drain(self) {
        let engine = &self.engine;
        engine.draining.store(true, Ordering::SeqCst);
        loop {
            let quiet = engine.quiet.notified();
            if engine.running.load(Ordering::SeqCst) == 0 {
                break;
            }
            quiet.await;
        }
        engine.remove(|_| true);
    }
}

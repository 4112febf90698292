//! `lambent serve`: the one place where rooms meet.

pub(crate) mod admin;
pub(crate) mod certificates;
mod clock;
mod late;
mod outbound;
mod outbox;
mod outward;
mod port;
mod settled;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use base::{BoxFuture, Clocks, LocalBell, SystemClocks, SystemRng};
use console::Console;
use door::{Audit, Gate, RouterBuilder, Throttle, Via};
use functions::Functions;
use gateway::Gateway;
use httpapis::HttpApis;
use identity::Identity;
use invoker::Invoker;
use messaging::queues::{self, Queues};
use objects::Objects;
use observe::Observe;
use sandbox::Walls;
use tokio::sync::watch;

use crate::cli::{CpuLimit, EgressArgument, ServeArguments, ThrottleArgument, WallsArgument};
use late::{LateDispatch, LateNet};

/// How long a stop waits for what is running.
const DRAIN: Duration = Duration::from_secs(15);

/// How long a stop waits until unpacked code is on the disk. A slow one takes longer for thousands of files.
const SETTLE: Duration = Duration::from_secs(3);

/// A platform that answers.
pub(crate) struct Running {
    pub(crate) endpoint: String,
    pub(crate) survey: sandbox::Survey,
    loops: Loops,
    store: Arc<dyn store::Kv>,
    trees: store::Trees,
    // Ends after everything that may still write a log line.
    observe: Arc<Observe>,
    observing: tokio::task::JoinHandle<()>,
    // Holds the lock and removes an ephemeral folder, so it goes last.
    folder: Arc<store::Folder>,
}

/// The data folder when none is named: `$XDG_DATA_HOME/lambent`.
pub(crate) fn default_data() -> anyhow::Result<PathBuf> {
    let home = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let root = home("XDG_DATA_HOME").or_else(|| home("HOME").map(|home| home.join(".local/share")));
    Ok(root.context("neither XDG_DATA_HOME nor HOME is set: name the data folder with --data")?.join("lambent"))
}

pub(crate) fn mode(walls: WallsArgument) -> sandbox::Mode {
    match walls {
        WallsArgument::Strong => sandbox::Mode::Strong,
        WallsArgument::Weak => sandbox::Mode::Weak,
    }
}

/// Serves until a signal.
pub(crate) async fn run(arguments: ServeArguments) -> anyhow::Result<()> {
    start(arguments).await?.until_stopped().await
}

/// What must hold before anything is opened.
fn check(arguments: &ServeArguments) -> anyhow::Result<()> {
    let loopback = arguments.listen.ip().is_loopback();
    if !loopback && arguments.walls == WallsArgument::Weak {
        bail!("--walls=weak runs functions without walls, so it listens on loopback only, not on {}", arguments.listen);
    }
    if arguments.walls == WallsArgument::Weak && arguments.egress.is_some_and(|egress| egress != EgressArgument::All) {
        bail!("--walls=weak leaves functions in the host's network, so it cannot keep --egress: leave one of them out");
    }
    Ok(())
}

fn open_folder(arguments: &ServeArguments) -> anyhow::Result<store::Folder> {
    if arguments.ephemeral {
        return Ok(store::Folder::ephemeral()?);
    }
    let path = match &arguments.data {
        Some(path) => path.clone(),
        None => default_data()?,
    };
    let purpose = if arguments.test_controls { store::Use::Test } else { store::Use::Keep };
    Ok(store::Folder::open(&path, purpose)?)
}

/// Starts the platform; it answers when this returns.
///
/// The order is the order of the floors: each part is given what it stands on.
// long: this is the wiring, and reads best in one piece.
pub(crate) async fn start(arguments: ServeArguments) -> anyhow::Result<Running> {
    log_to_stderr();
    check(&arguments)?;
    let folder = Arc::new(open_folder(&arguments)?);
    let listener = port::listen(arguments.listen)?;
    let address = listener.local_addr()?;
    let loopback = address.ip().is_loopback();
    let mut loops = Loops::default();
    let interpreters = crate::interpreters::search()?;

    let controls = arguments.test_controls || arguments.ephemeral;
    let virtual_clocks = controls.then(|| clock::of(&folder)).transpose()?.map(Arc::new);
    let clocks: Arc<dyn Clocks> = match &virtual_clocks {
        Some(clocks) => Arc::clone(clocks) as Arc<dyn Clocks>,
        None => Arc::new(SystemClocks),
    };
    let rng: Arc<dyn base::Rng> = Arc::new(SystemRng);
    if let Some(bytes) = arguments.disk_budget {
        folder.limit(bytes);
    }
    let kv = store::open_in(&folder)?;

    let identity = Identity::open(identity::Options {
        kv: Arc::clone(&kv),
        clocks: Arc::clone(&clocks),
        rng: Arc::clone(&rng),
        loopback,
    })
    .await?;
    let bell: Arc<dyn base::Bell> = Arc::new(LocalBell::over(Arc::clone(&clocks)));
    let dispatch = Arc::new(LateDispatch::default());
    let (observe, observing) = Observe::open(observe::Options {
        kv: Arc::clone(&kv),
        clocks: Arc::clone(&clocks),
        rng: Arc::clone(&rng),
        bell: Arc::clone(&bell),
        dispatch: dispatch.clone(),
    });

    let observing = observing.making_room(folder.lows());
    let gate = Arc::new(
        Gate::new(identity.clone(), arguments.iam_mode(loopback), Arc::clone(&clocks))
            .audited(Audit::new(observe.clone(), Arc::clone(&clocks))),
    );

    let walls = walls(&arguments, &folder)?;
    let survey = walls.survey();
    let surveyed = Arc::clone(&walls);
    tokio::spawn(settled::give_back(Arc::clone(&walls), interpreters.clone()));
    let tls = certificates::tls(&arguments, folder.path(), &clocks)?;
    let scheme = if loopback || arguments.insecure { "http" } else { "https" };
    if scheme == "https" {
        // Without it nobody would be answered.
        tls.authority().await?;
    }
    let net = Arc::new(LateNet::default());
    let mut options =
        invoker::Options::new(walls, Arc::clone(&clocks), Arc::clone(&rng), observe.clone(), observe.clone());
    options.net = Some(net.clone());
    options.outward = Some(outward::carrier(Arc::clone(&clocks), Arc::clone(&rng)));
    options.account_concurrency = arguments.concurrency;
    options.keep_alive_ms = arguments.keep_alive.saturating_mul(1000);
    options.freeze_after_ms = arguments.freeze.after_ms();
    options.cpu_limit = arguments.cpu_limit == CpuLimit::On;
    let (invocations, invoker) = Invoker::start(options);

    let egress = outward::rule(arguments.egress, loopback);
    let trees = store::Trees::at(&folder);
    let (functions, delivering) = Functions::open(functions::Options {
        kv: Arc::clone(&kv),
        blobs: store::Blobs::at(&folder),
        trees: trees.clone(),
        snapshots: store::Derived::snapshots(&folder),
        bytecode: store::Derived::bytecode(&folder),
        invoker: invocations.clone(),
        interpreters,
        bootstraps: write_bootstraps(&folder)?,
        clocks: Arc::clone(&clocks),
        rng: Arc::clone(&rng),
        bell: Arc::clone(&bell),
        meter: observe.clone(),
        gate: Arc::clone(&gate),
        keys: identity.clone(),
        loopback,
        allow_older_runtimes: arguments.allow_older_runtimes,
        authority: format!("localhost:{}", address.port()),
        scheme,
        account_concurrency: arguments.concurrency,
        egress: (!survey.weak).then_some(egress),
        dispatch: dispatch.clone(),
        logs: observe.clone(),
    })?;

    let (objects, keeping) = Objects::open(objects::Options {
        kv: Arc::clone(&kv),
        blobs: store::Blobs::at(&folder),
        clocks: Arc::clone(&clocks),
        rng: Arc::clone(&rng),
        bell: Arc::clone(&bell),
        dispatch: dispatch.clone(),
        gate: Arc::clone(&gate),
    })
    .await?;

    let authority = format!("localhost:{}", address.port());
    let (queues, queueing) = Queues::open(queues::Options {
        kv: Arc::clone(&kv),
        clocks: Arc::clone(&clocks),
        rng: Arc::clone(&rng),
        bell: Arc::clone(&bell),
        authority: authority.clone(),
        scheme,
    });
    let httpapis = HttpApis::open(httpapis::Options {
        kv: Arc::clone(&kv),
        clocks: Arc::clone(&clocks),
        rng: Arc::clone(&rng),
        dispatch: dispatch.clone(),
        gate: Arc::clone(&gate),
        logs: observe.clone(),
        outbound: outbound::Sender::new(egress, arguments.apis_reach_host.then_some(address.port())),
        authority,
        scheme,
    });
    let restapis = httpapis::rest::RestApis::open(Arc::clone(&httpapis));

    let mut builder = RouterBuilder::default();
    builder = functions::register(builder, &functions);
    builder = identity::register(builder, &identity);
    builder = observe::register(builder, &observe);
    builder = objects::register(builder, &objects);
    builder = queues::register(builder, &queues);
    builder = httpapis::register(builder, &httpapis);
    builder = httpapis::rest::register(builder, &restapis);
    if arguments.throttle == ThrottleArgument::Aws {
        builder = builder.throttled(Throttle::new(Arc::clone(&clocks)));
    }
    let router = builder.dropping(arguments.drop_member).build(gate);
    dispatch.set(router.clone());
    let metrics = Arc::clone(&router);
    let outbox: Arc<dyn door::outbox::Outbox> = Arc::new(outbox::Rows(Arc::clone(&kv)));
    let draining = door::outbox::Drain {
        outbox: Arc::clone(&outbox),
        dispatch: router.clone(),
        services: model::SERVICES,
        clocks: Arc::clone(&clocks),
        bell: Arc::clone(&bell),
        rng: Arc::clone(&rng),
        meter: observe.clone(),
    };
    let stuck = door::outbox::Stuck { outbox, clocks: Arc::clone(&clocks), bell };

    let shown = Arc::clone(&functions);
    let console = Console::new(console::Options {
        dispatch: router.clone(),
        services: model::SERVICES,
        clocks: Arc::clone(&clocks),
        rng: Arc::clone(&rng),
        live: Arc::new(move || shown.live().into_iter().map(on_the_page).collect()),
        changes: invocations.changes(),
        keep_alive_ms: arguments.keep_alive.saturating_mul(1000),
    });
    let gateway = Gateway::new(gateway::Options {
        dispatch: router,
        services: model::SERVICES,
        sites: vec![
            functions.clone(),
            restapis,
            Arc::new(objects::Websites(objects.clone())),
            identity.clone(),
            Arc::new(stuck),
            Arc::new(observe::Usage(observe.clone())),
            Arc::new(functions::Top(functions.clone())),
            Arc::new(console),
        ],
        buckets: objects.clone(),
        keys: identity.clone(),
        clocks: Arc::clone(&clocks),
        rng,
        hosts: Vec::new(),
        walls: Arc::new(move || count(&surveyed.survey())),
        metrics: Arc::new(move || metrics.metrics()),
        test_controls: virtual_clocks,
        tls: Some(Arc::new(tls)),
        insecure: arguments.insecure,
        limits: arguments
            .patience
            .map(Duration::from_millis)
            .map_or_else(gateway::Limits::default, gateway::Limits::of),
        runtime: tokio::runtime::Handle::current(),
    });
    net.set(gateway::Inside(Arc::clone(&gateway)));

    let observing = tokio::spawn(observing.run());
    let delivered = Arc::clone(&functions);
    loops.start(|stop| async move {
        either(delivering.run(), stop).await;
        delivered.drain().await;
    });
    loops.start(|stop| async move { either(draining.run(), stop).await });
    loops.start(|stop| async move { either(keeping.run(), stop).await });
    loops.start(|stop| async move { either(queueing.run(), stop).await });
    loops.start(|stop| async move {
        either(invoker.run(), stop).await;
        invoker.drain().await;
    });
    let owners = admin::listen(&folder)?;
    let admin = Arc::new(admin::Admin {
        folder: Arc::clone(&folder),
        kv: Arc::clone(&kv),
        blobs: store::Blobs::at(&folder),
        trees: trees.clone(),
    });
    loops.start(move |stop| admin.serve(owners, stop));
    loops.start(move |stop| async move { gateway.serve(listener, Via::Client { loopback }, stop).await });

    let endpoint = format!("{scheme}://{address}");
    greet(&endpoint, &folder, &survey, egress, &identity);
    Ok(Running { endpoint, survey, loops, store: kv, trees, observe, observing, folder })
}

fn on_the_page(live: functions::Live) -> console::Live {
    let functions::Live { function, starting, busy, idle, .. } = live;
    console::Live { function, starting, busy, idle }
}

fn count(survey: &sandbox::Survey) -> gateway::Walls {
    let (holds, of) = survey.count();
    gateway::Walls { holds: holds as u32, of: of as u32, weak: survey.weak }
}

/// Says where it answers, and once in a folder's life its root key.
fn greet(endpoint: &str, folder: &store::Folder, survey: &sandbox::Survey, egress: base::Egress, identity: &Identity) {
    let (holds, of) = survey.count();
    let weak = if survey.weak { " (weak)" } else { "" };
    let egress = if survey.weak { "as the host".to_owned() } else { format!("{egress:?}").to_ascii_lowercase() };
    println!(
        "Lambent answers at {endpoint} · data {} · walls {holds}/{of}{weak} · egress {egress}",
        folder.path().display()
    );
    if let Some((id, secret)) = identity.first_key()
        && !folder.is_ephemeral()
    {
        println!("root key, shown this once: AWS_ACCESS_KEY_ID={id} AWS_SECRET_ACCESS_KEY={secret}");
    }
    if !survey.usable {
        println!("functions cannot run on this host yet: `lambent doctor` says why and what to do");
    }
}

fn walls(arguments: &ServeArguments, folder: &store::Folder) -> anyhow::Result<Arc<sandbox::Linux>> {
    let mut options = sandbox::Options::new(folder.run());
    options.mode = mode(arguments.walls);
    options.cpu_limit = arguments.cpu_limit == CpuLimit::On;
    options.prepared = usize::from(arguments.prepared);
    Ok(sandbox::Linux::start(options)?)
}

/// Writes our bootstraps where sandboxes can mount them from, and where every uid may read them, whatever the umask is.
fn write_bootstraps(folder: &store::Folder) -> anyhow::Result<PathBuf> {
    let root = folder.run().join("bootstraps");
    for (name, bytes) in runtime::bootstraps() {
        let path = root.join(name);
        let parent = path.parent().context("every bootstrap lies in a folder")?;
        std::fs::create_dir_all(parent)?;
        std::fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o644))?;
        for made in parent.ancestors().take_while(|made| made.starts_with(&root)) {
            std::fs::set_permissions(made, Permissions::from_mode(0o755))?;
        }
    }
    Ok(root)
}

/// Our own log goes to stderr; `RUST_LOG` chooses.
fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into());
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    // A second platform in one process keeps the first one's log.
    drop(log.try_init());
}

/// Runs a loop that ends only by being dropped, until `stop`.
async fn either(run: impl Future<Output = ()>, stop: BoxFuture<'static, ()>) {
    tokio::select! {
        () = run => {}
        () = stop => {}
    }
}

/// The loops that run beside requests, and what stops them.
struct Loops {
    stop: watch::Sender<bool>,
    tasks: tokio::task::JoinSet<()>,
}

impl Default for Loops {
    fn default() -> Self {
        Self { stop: watch::Sender::new(false), tasks: tokio::task::JoinSet::new() }
    }
}

impl Loops {
    /// Starts one with a future that completes when it shall stop.
    fn start<F: Future<Output = ()> + Send + 'static>(&mut self, run: impl FnOnce(BoxFuture<'static, ()>) -> F) {
        let mut stop = self.stop.subscribe();
        let stopped: BoxFuture<'static, ()> = Box::pin(async move {
            // An error means that the platform is gone, which is a stop too.
            drop(stop.wait_for(|stop| *stop).await);
        });
        self.tasks.spawn(run(stopped));
    }
}

impl Running {
    /// Serves until a signal, a failed store, or a broken loop.
    pub(crate) async fn until_stopped(mut self) -> anyhow::Result<()> {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        let failed = self.store.failed();
        tokio::select! {
            _ = terminate.recv() => {}
            interrupted = tokio::signal::ctrl_c() => interrupted?,
            error = failed => {
                eprintln!("lambent: the store failed and takes no more writes, so the platform ends: {error}");
                // At once: a store that is dropped would sync again, which must not be tried after a failed sync.
                std::process::exit(1);
            }
            Some(ended) = self.loops.tasks.join_next() => {
                ended.context("a part of the platform broke")?;
                bail!("a part of the platform ended by itself");
            }
        }
        self.stop().await
    }

    /// Lets what runs finish, then closes.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.loops.stop.send_replace(true);
        let ended = async { while self.loops.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, ended).await.is_err() {
            tracing::warn!("stopped without waiting longer for what was still running");
            self.loops.tasks.shutdown().await;
        }
        self.observe.drain().await;
        self.observing.await.context("the log writer broke")?;
        self.store.close().await?;
        match tokio::time::timeout(SETTLE, self.trees.settle()).await {
            Ok(settled) => settled?,
            Err(_) => {
                tracing::info!("code that is not on the disk yet is unpacked again if the machine restarts first");
                // Somebody still works in it: it is let go with the process.
                std::mem::forget(self.folder);
            }
        }
        Ok(())
    }
}

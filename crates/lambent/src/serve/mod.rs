//! `lambent serve`: the one place where rooms meet.

mod late;
mod port;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use base::{Clocks, LocalBell, SystemClocks, SystemRng, VirtualClocks};
use door::{RouterBuilder, Via};
use sandbox::Walls;
use tokio::sync::watch;

use crate::cli::{CpuLimit, ServeArguments, WallsArgument};
use late::LateNet;

/// How long a stop waits for what is running.
const DRAIN: Duration = Duration::from_secs(15);

/// A platform that answers.
pub(crate) struct Running {
    pub(crate) endpoint: String,
    pub(crate) survey: sandbox::Survey,
    stop: watch::Sender<bool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    store: Arc<dyn store::Kv>,
    invoker: invoker::Service,
    // Holds the lock and removes an ephemeral folder, so it goes last.
    folder: store::Folder,
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
    if !loopback && !arguments.insecure {
        bail!(
            "{} can be reached by others, and this listener speaks plain HTTP: put a TLS proxy before it and say --insecure, \
             or listen on 127.0.0.1",
            arguments.listen
        );
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
pub(crate) async fn start(arguments: ServeArguments) -> anyhow::Result<Running> {
    log_to_stderr();
    check(&arguments)?;
    let folder = open_folder(&arguments)?;
    let listener = port::listen(arguments.listen)?;
    let address = listener.local_addr()?;
    let endpoint = format!("http://{address}");
    let loopback = address.ip().is_loopback();
    let (stop, stopped) = watch::channel(false);
    let mut tasks = Vec::new();

    // Foundation.
    let virtual_clocks = arguments.test_controls.then(|| Arc::new(VirtualClocks::default()));
    let clocks: Arc<dyn Clocks> = match &virtual_clocks {
        Some(clocks) => Arc::clone(clocks) as Arc<dyn Clocks>,
        None => Arc::new(SystemClocks),
    };
    let rng: Arc<dyn base::Rng> = Arc::new(SystemRng);
    let kv = store::open(&folder.kv())?;

    // Services that others need.
    let identity = identity::Identity::open(identity::Options {
        kv: Arc::clone(&kv),
        clocks: Arc::clone(&clocks),
        rng: Arc::clone(&rng),
        loopback,
    })
    .await?;
    let (observe, observing) = observe::Observe::open(observe::Options {
        kv: Arc::clone(&kv),
        clocks: Arc::clone(&clocks),
        rng: Arc::clone(&rng),
    })?;
    tasks.push(tokio::spawn(until(stopped.clone(), observing.run(until_changed(stopped.clone())))));

    // Engine.
    let walls = start_walls(&arguments, &folder)?;
    let survey = walls.survey();
    let net = Arc::new(LateNet::default());
    let mut options = invoker::Options::new(
        walls.clone(),
        Arc::clone(&clocks),
        Arc::clone(&rng),
        observe.clone(),
        observe.clone(),
    );
    options.net = Some(net.clone());
    options.account_concurrency = arguments.concurrency;
    options.keep_alive_ms = arguments.keep_alive.saturating_mul(1000);
    options.cpu_limit = arguments.cpu_limit == CpuLimit::On;
    let (invoker_handle, invoker) = invoker::Invoker::start(options);

    // Lambda.
    let bootstraps = write_bootstraps(&folder)?;
    let data = folder.path().to_owned();
    let (functions, delivering) = functions::Functions::open(functions::Options {
        kv: Arc::clone(&kv),
    })
    .await?;
    let _ = (bootstraps, data, invoker_handle, delivering, address);

    // The door and its edge.
    let mut builder = RouterBuilder::default();
    builder = functions::register(builder, &functions);
    builder = identity::register(builder, &identity);
    builder = observe::register(builder, &observe);
    let router = builder.build(identity.clone());
    Err(anyhow::anyhow!("{endpoint} {:?}", router.registered().len()))
}

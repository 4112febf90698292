//! `lambent dev`: a folder's function follows the folder, and its log is shown.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use base::{Clocks, SystemClocks};
use notify::{EventKind, RecursiveMode, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::inspect::{self, LogsArguments};
use crate::client::Client;
use crate::deploy::{self, Deployed};

/// Editors write a file in several steps, and tools many files: what comes this shortly after belongs together.
const TOGETHER: Duration = Duration::from_millis(10);
/// Changes of which no end comes are taken after this time.
const AT_MOST: Duration = Duration::from_millis(250);

/// What to follow, and whether a debugger goes along.
#[derive(Debug, clap::Args)]
pub(crate) struct DevArguments {
    #[command(flatten)]
    deploy: deploy::Arguments,
    /// Let a debugger connect, at a port of this host's loopback: debugpy's for Python, the inspector's for Node. Each new
    /// environment waits for it; while it is connected, the function's time stands still.
    #[arg(long, value_name = "PORT", num_args = 0..=1, require_equals = true)]
    debug: Option<Option<u16>>,
}

/// How long a debugger waits for somebody to call the function, and between two looks.
const FOR_A_CALL: Duration = Duration::from_secs(3600);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Deploys the folder, then again after each change, and prints the function's log, until it is interrupted.
pub(crate) async fn run(client: &Client, arguments: &DevArguments) -> anyhow::Result<()> {
    let mut options = arguments.deploy.clone();
    if deploy::is_project(&options.directory) {
        anyhow::bail!(
            "{} was made for Apex: `lambent dev` follows the folder of one function",
            options.directory.display()
        );
    }
    deploy::check_plain(&options)?;
    if arguments.debug.is_some() {
        // The platform listens there once there is an environment; until then this command keeps debuggers waiting.
        let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("this host has no free port")?;
        options.debug = Some(free.local_addr()?.port());
    }
    let arguments_port = arguments.debug.flatten();
    let arguments = &options;
    // Watched before it is read, so that no change is missed.
    let mut changes = watch(&arguments.directory)?;
    let deployed = deploy::run(client, arguments).await?;
    deployed.print();
    println!("watching {} (Ctrl-C ends)", arguments.directory.display());
    let _debuggers = match arguments.debug {
        Some(inside) => Some(take_debuggers(arguments_port, &deployed, inside, &arguments.directory).await?),
        None => None,
    };
    let log = LogsArguments::from_now(&deployed.name);
    let ended = tokio::select! {
        ended = follow_folder(client, arguments, deployed, &mut changes) => ended,
        ended = inspect::logs(client, &log) => ended,
        stopped = interrupted() => stopped,
    };
    if arguments.debug.is_some() {
        // Else the next environment would wait for a debugger that nobody has.
        deploy::run(client, &deploy::Arguments { debug: None, ..arguments.clone() }).await?;
        println!("deployed without the debugger");
    }
    ended
}

/// Ctrl-C, or a request to end.
async fn interrupted() -> anyhow::Result<()> {
    let mut ends = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        stopped = tokio::signal::ctrl_c() => stopped.context("waiting for Ctrl-C"),
        _ = ends.recv() => Ok(()),
    }
}

/// A task that ends with its owner.
struct Task(tokio::task::JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Listens for debuggers, and hands each on to the platform once that has an environment for it.
async fn take_debuggers(port: Option<u16>, deployed: &Deployed, inside: u16, directory: &Path) -> anyhow::Result<Task> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let listener = match port {
        Some(port) => bind(port).await.with_context(|| format!("listening at 127.0.0.1:{port}"))?,
        // Another function may be debugged at the usual one.
        None => match bind(deployed.debugger_port()).await {
            Ok(listener) => listener,
            Err(_) => bind(0).await.context("listening on loopback")?,
        },
    };
    let folder = directory.canonicalize()?;
    println!(
        "debugger: connect to {} ({} is /var/task there); each new environment waits for it",
        listener.local_addr()?,
        folder.display()
    );
    Ok(Task(tokio::spawn(async move {
        while let Ok((mut outside, _)) = listener.accept().await {
            tokio::spawn(async move {
                let reach = async {
                    loop {
                        match TcpStream::connect((Ipv4Addr::LOCALHOST, inside)).await {
                            Ok(stream) => return stream,
                            Err(_) => tokio::time::sleep(LOOK_AGAIN).await,
                        }
                    }
                };
                let Ok(mut stream) = tokio::time::timeout(FOR_A_CALL, reach).await else { return };
                // Whichever side ends it, it has ended.
                let _ = tokio::io::copy_bidirectional(&mut outside, &mut stream).await;
            });
        }
    })))
}

/// Word of each change below a folder.
struct Changes {
    told: mpsc::Receiver<()>,
    _watcher: notify::RecommendedWatcher,
}

fn watch(directory: &Path) -> anyhow::Result<Changes> {
    // One word that waits says as much as many.
    let (tell, told) = mpsc::channel(1);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading what is there is no change; what could not be told apart is looked at.
        if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
            let _ = tell.try_send(());
        }
    })
    .context("this host cannot watch folders")?;
    watcher
        .watch(directory, RecursiveMode::Recursive)
        .with_context(|| format!("cannot watch {}", directory.display()))?;
    Ok(Changes { told, _watcher: watcher })
}

impl Changes {
    /// Waits for a change, and until what belongs to it has come. None when the watcher ended.
    async fn next(&mut self) -> Option<Instant> {
        self.told.recv().await?;
        let first = SystemClocks.monotonic();
        while first.elapsed() < AT_MOST
            && tokio::time::timeout(TOGETHER, self.told.recv()).await.is_ok_and(|more| more.is_some())
        {}
        Some(first)
    }
}

async fn follow_folder(
    client: &Client,
    arguments: &deploy::Arguments,
    mut current: Deployed,
    changes: &mut Changes,
) -> anyhow::Result<()> {
    while let Some(since) = changes.next().await {
        match deploy::again(client, arguments, &mut current).await {
            Ok(true) => println!("reloaded {} in {} ms", current.name, since.elapsed().as_millis()),
            // What changed is not packed, or was changed back.
            Ok(false) => {}
            // A folder may be half written: the next change mends it.
            Err(error) => eprintln!("not reloaded: {error:#}"),
        }
    }
    anyhow::bail!("the folder is not watched any more")
}

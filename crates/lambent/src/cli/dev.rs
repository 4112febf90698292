//! `lambent dev`: a folder's function follows the folder, and its log is shown.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use base::{Clocks, SystemClocks};
use notify::{EventKind, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use super::inspect::{self, LogsArguments};
use crate::client::Client;
use crate::deploy::{self, Arguments, Deployed};

/// Editors write a file in several steps, and tools many files: what comes this shortly after belongs together.
const TOGETHER: Duration = Duration::from_millis(10);
/// Changes of which no end comes are taken after this time.
const AT_MOST: Duration = Duration::from_millis(250);

/// Deploys the folder, then again after each change, and prints the function's log, until it is interrupted.
pub(crate) async fn run(client: &Client, arguments: &Arguments) -> anyhow::Result<()> {
    if deploy::is_project(&arguments.directory) {
        anyhow::bail!(
            "{} was made for Apex: `lambent dev` follows the folder of one function",
            arguments.directory.display()
        );
    }
    deploy::check_plain(arguments)?;
    // Watched before it is read, so that no change is missed.
    let mut changes = watch(&arguments.directory)?;
    let deployed = deploy::run(client, arguments).await?;
    deployed.print();
    println!("watching {} (Ctrl-C ends)", arguments.directory.display());
    let log = LogsArguments::from_now(&deployed.name);
    tokio::select! {
        ended = follow_folder(client, arguments, deployed, &mut changes) => ended,
        ended = inspect::logs(client, &log) => ended,
        stopped = tokio::signal::ctrl_c() => stopped.context("waiting for Ctrl-C"),
    }
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
    arguments: &Arguments,
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

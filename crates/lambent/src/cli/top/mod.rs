//! `lambent top`: what the functions of a running platform do, now.

mod reading;
mod screen;
mod show;

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use crate::client::Client;
use reading::{History, Reading, Snapshot};
use screen::Screen;

const PATH: &str = "/_lambent/top";
/// Lines above the rows: the head, and the table's own.
const HEAD_LINES: usize = 4;

/// What is looked at, and how it is shown.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Look once and end, as without a terminal: it takes one interval.
    #[arg(long)]
    once: bool,
    /// Print JSON: a line for each look, or with --once one.
    #[arg(long)]
    json: bool,
    /// Time between two looks, from 0.1 to 3600.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = interval)]
    interval: Duration,
    /// What comes first.
    #[arg(long, value_enum, default_value_t = Sort::Invocations)]
    sort: Sort,
    /// Only functions whose names contain this, or match it as a whole where it has * or ?. The totals are of all.
    #[arg(long, value_name = "PATTERN")]
    function: Option<String>,
}

/// By what the rows are ordered: the most comes first, and names in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sort {
    /// The name.
    Name,
    /// Invocations a second, then all.
    Invocations,
    /// Errors a second, then all.
    Errors,
    /// Throttles a second, then all.
    Throttles,
    /// Live environments.
    Environments,
    /// The handler's 99th percentile.
    Handler,
    /// Peak memory.
    Memory,
    /// CPU time a second, then all.
    Cpu,
}

fn interval(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.1..=3600.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| format!("expected seconds from 0.1 to 3600, not {text}"))
}

/// Looks until it is told to end, or once.
pub(crate) async fn run(client: &Client, arguments: &Arguments) -> anyhow::Result<()> {
    let is_terminal = std::io::stdout().is_terminal();
    if arguments.once || !(arguments.json || is_terminal) {
        return once(client, arguments).await;
    }
    if arguments.json {
        return lines(client, arguments).await;
    }
    let screen = Screen::open()?;
    tokio::select! {
        ended = live(client, arguments, &screen) => ended,
        ended = screen::quit() => ended,
    }
}

async fn read(client: &Client) -> anyhow::Result<Reading> {
    let answer = client.signed("lambda", "GET", PATH, &[], Bytes::new()).await?.json()?;
    serde_json::from_value(answer).context("the platform says it otherwise; is it of the same version?")
}

/// Reads, and leaves of the snapshot what was asked for.
async fn look(client: &Client, arguments: &Arguments, history: &mut History) -> anyhow::Result<Snapshot> {
    let mut snapshot = history.take(read(client).await?);
    if let Some(pattern) = &arguments.function {
        snapshot.rows.retain(|row| show::is_meant(pattern, &row.of.function));
    }
    show::sort(&mut snapshot.rows, arguments.sort);
    Ok(snapshot)
}

async fn once(client: &Client, arguments: &Arguments) -> anyhow::Result<()> {
    let mut history = History::of_everything();
    look(client, arguments, &mut history).await?;
    tokio::time::sleep(arguments.interval).await;
    let snapshot = look(client, arguments, &mut history).await?;
    if arguments.json {
        println!("{}", show::as_json(&snapshot));
        return Ok(());
    }
    let table = show::table(&snapshot, &client.region, usize::MAX);
    for line in show::head(&client.endpoint, &snapshot).into_iter().chain(table) {
        println!("{line}");
    }
    Ok(())
}

async fn lines(client: &Client, arguments: &Arguments) -> anyhow::Result<()> {
    let mut history = History::default();
    look(client, arguments, &mut history).await?;
    loop {
        tokio::time::sleep(arguments.interval).await;
        let snapshot = look(client, arguments, &mut history).await?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", show::as_json(&snapshot))?;
        out.flush()?;
    }
}

async fn live(client: &Client, arguments: &Arguments, screen: &Screen) -> anyhow::Result<()> {
    let mut resized = signal(SignalKind::window_change())?;
    let mut history = History::default();
    loop {
        let seen = look(client, arguments, &mut history).await;
        let next = tokio::time::sleep(arguments.interval);
        tokio::pin!(next);
        loop {
            match &seen {
                Ok(snapshot) => {
                    let mut text = show::head(&client.endpoint, snapshot);
                    let room = screen.height()?.saturating_sub(HEAD_LINES);
                    text.extend(show::table(snapshot, &client.region, room));
                    screen.draw(&text)?;
                }
                // It may come back: a restart ends nobody's look.
                Err(error) => screen.draw(&[format!("{error:#}")])?,
            }
            tokio::select! {
                () = &mut next => break,
                _ = resized.recv() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_seconds() {
        assert_eq!(interval("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["0", "-1", "nan", "inf", "3601", "1s", ""] {
            assert!(interval(wrong).is_err_and(|words| words.contains("0.1 to 3600")), "{wrong}");
        }
    }
}

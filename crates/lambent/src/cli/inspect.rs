//! `lambent logs`, `ls` and `rm`.

use std::collections::HashSet;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::bail;
use base::{Clocks, SystemClocks, Timestamp};
use clap::Args;
use serde_json::{Value, json};

use super::times;
use crate::client::{Client, Events, function, is_not_found};

/// Log groups of one live tail.
const LIVE_GROUPS: usize = 10;
/// How often `--follow` asks again where no live tail can be had: for groups that are not there yet, or more than one takes.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);

/// Which part of which log to show.
#[derive(Debug, Args)]
pub(crate) struct LogsArguments {
    /// The function; all of them when left out. What begins with a slash is a log group.
    name: Option<String>,
    /// Stay and show what comes.
    #[arg(long, short)]
    follow: bool,
    /// Show only what a filter pattern of CloudWatch Logs wants, for example ERROR or '{ $.level = "error" }'.
    #[arg(long, value_name = "PATTERN")]
    filter: Option<String>,
    /// Show events from this time on: so long ago (10m, 2h, 3d), or a moment in UTC (2026-11-26T10:00).
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Show events up to this time.
    #[arg(long, value_name = "TIME", conflicts_with = "follow")]
    until: Option<String>,
    /// Print each event as a line of JSON, as FilterLogEvents answers it.
    #[arg(long)]
    json: bool,
}

impl LogsArguments {
    /// What a function writes from now on, until nobody listens.
    pub(super) fn from_now(name: &str) -> Self {
        let since = Some("0s".to_owned());
        Self { name: Some(name.to_owned()), follow: true, filter: None, since, until: None, json: false }
    }
}

/// What is read of each group, and how it is shown.
struct Reading<'a> {
    arguments: &'a LogsArguments,
    until: Option<i64>,
    // Of several groups each line says its own.
    is_one: bool,
}

/// Prints logs, oldest first.
pub(crate) async fn logs(client: &Client, arguments: &LogsArguments) -> anyhow::Result<()> {
    let now = SystemClocks.product();
    let read = |text: &Option<String>| -> anyhow::Result<Option<i64>> {
        text.as_deref().map(|text| times::read(text, now).map(|at| at.0).map_err(anyhow::Error::msg)).transpose()
    };
    let (mut from, until) = (read(&arguments.since)?.unwrap_or(0), read(&arguments.until)?);
    if let Some(until) = until.filter(|until| *until < from) {
        bail!("--until is {} seconds before --since: nothing lies between", (from - until) / 1000);
    }
    let name = arguments.name.as_deref();
    let groups: Vec<String> = match name {
        Some(group) if group.starts_with('/') => vec![group.to_owned()],
        Some(name) => vec![format!("/aws/lambda/{name}")],
        None => functions(client).await?.iter().map(|f| format!("/aws/lambda/{}", text(f, "FunctionName"))).collect(),
    };
    let reading = Reading { arguments, until, is_one: groups.len() == 1 };
    let mut seen = HashSet::new();
    let mut known = name.is_none();
    // Where there is no log yet there is nothing to listen to: that is tried once at the beginning, and when there is one.
    let mut listens = arguments.follow && groups.len() <= LIVE_GROUPS;
    loop {
        if std::mem::take(&mut listens)
            && let Some(mut live) = reading.begin_live(client, &groups).await?
        {
            // What is stored while the past is read comes twice, and is shown once.
            for group in &groups {
                reading.print_group(client, group, from, &mut seen, &mut 0).await?;
            }
            return reading.print_live(&mut live, &groups, &seen).await;
        }
        let mut newest = from;
        for group in &groups {
            match reading.print_group(client, group, from, &mut seen, &mut newest).await {
                Ok(()) => listens |= !std::mem::replace(&mut known, true) && arguments.follow,
                Err(error) if is_not_found(&error) && (arguments.follow || name.is_none()) => {}
                Err(error) if is_not_found(&error) => {
                    bail!("{} has no log yet: it was never invoked, or does not exist", name.unwrap_or_default())
                }
                Err(error) => return Err(error),
            }
        }
        if !arguments.follow {
            return Ok(());
        }
        if known {
            from = newest;
            // What happened before the last event is never asked for again.
            seen.retain(|(at, ..)| *at >= from);
        }
        if !listens {
            tokio::time::sleep(FOLLOW_EVERY).await;
        }
    }
}

/// An event as it is known again: its time, and its id (after an empty text) or, where a live tail gives none, its stream
/// and text.
type Shown = (i64, String, String);

fn shown(at: i64, event: &Value) -> Shown {
    (at, text(event, "logStreamName"), text(event, "message"))
}

impl Reading<'_> {
    /// Begins to hear of what is stored; none when a group is not there yet.
    async fn begin_live(&self, client: &Client, groups: &[String]) -> anyhow::Result<Option<Events>> {
        let asked = json!({ "logGroupNamePrefix": groups.first().map_or("", |group| group) });
        let account = client.logs("DescribeLogGroups", &asked).await?;
        let Some(arn) = account["logGroups"][0]["logGroupArn"].as_str() else { return Ok(None) };
        let before = arn.split(":log-group:").next().unwrap_or_default();
        let arns: Vec<String> = groups.iter().map(|group| format!("{before}:log-group:{group}")).collect();
        let mut request = json!({ "logGroupIdentifiers": arns });
        if let Some(pattern) = &self.arguments.filter {
            request["logEventFilterPattern"] = pattern.as_str().into();
        }
        match client.logs_stream("StartLiveTail", &request).await {
            Ok(events) => Ok(Some(events)),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Prints what comes, until the platform ends it.
    async fn print_live(&self, live: &mut Events, groups: &[String], seen: &HashSet<Shown>) -> anyhow::Result<()> {
        while let Some((kind, update)) = live.next().await? {
            if kind != "sessionUpdate" {
                continue;
            }
            if update["sessionMetadata"]["sampled"] == true {
                eprintln!("some events were left out: more came than could be shown");
            }
            for event in update["sessionResults"].as_array().into_iter().flatten() {
                let at = event["timestamp"].as_i64().unwrap_or_default();
                let group = event["logGroupIdentifier"].as_str().unwrap_or_default();
                let group = groups.iter().find(|name| group.ends_with(&format!(":{name}")));
                if !seen.contains(&shown(at, event)) {
                    self.print(group.map_or("", |group| group), at, event)?;
                }
            }
        }
        bail!("the platform ended")
    }

    async fn print_group(
        &self,
        client: &Client,
        group: &str,
        from: i64,
        seen: &mut HashSet<Shown>,
        newest: &mut i64,
    ) -> anyhow::Result<()> {
        let mut request = json!({ "logGroupName": group, "startTime": from });
        if let Some(until) = self.until {
            request["endTime"] = until.into();
        }
        if let Some(pattern) = &self.arguments.filter {
            request["filterPattern"] = pattern.as_str().into();
        }
        loop {
            let page = client.logs("FilterLogEvents", &request).await?;
            for event in page["events"].as_array().into_iter().flatten() {
                let at = event["timestamp"].as_i64().unwrap_or_default();
                // Only who follows reads twice.
                if at >= from && (!self.arguments.follow || seen.insert((at, String::new(), text(event, "eventId")))) {
                    *newest = at.max(*newest);
                    if self.arguments.follow {
                        seen.insert(shown(at, event));
                    }
                    self.print(group, at, event)?;
                }
            }
            match page["nextToken"].as_str() {
                Some(next) => request["nextToken"] = next.into(),
                None => return Ok(()),
            }
        }
    }

    fn print(&self, group: &str, at: i64, event: &Value) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        if self.arguments.json {
            let mut event = event.clone();
            event["logGroupName"] = group.into();
            writeln!(out, "{event}")?;
            return Ok(());
        }
        let (_, _, _, hour, minute, second, ms) = Timestamp(at).civil();
        let whose = if self.is_one { String::new() } else { format!(" {}", group.trim_start_matches("/aws/lambda/")) };
        let message = text(event, "message");
        writeln!(out, "{hour:02}:{minute:02}:{second:02}.{ms:03}{whose} {}", lines(message.trim_end()))?;
        Ok(())
    }
}

/// A record of several lines travels as one, joined by carriage returns, as Lambda's runtimes write it.
pub(super) fn lines(message: &str) -> String {
    message.replace('\r', "\n")
}

/// All functions, as ListFunctions describes them.
pub(super) async fn functions(client: &Client) -> anyhow::Result<Vec<Value>> {
    let mut out = Vec::new();
    let mut marker = String::new();
    loop {
        let page = client.lambda("GET", &format!("/2015-03-31/functions/?MaxItems=50{marker}"), None).await?;
        out.extend(page["Functions"].as_array().into_iter().flatten().cloned());
        match page["NextMarker"].as_str() {
            Some(next) if !next.is_empty() => {
                let next = percent_encoding::utf8_percent_encode(next, percent_encoding::NON_ALPHANUMERIC);
                marker = format!("&Marker={next}");
            }
            _ => return Ok(out),
        }
    }
}

/// Lists functions.
pub(crate) async fn list(client: &Client) -> anyhow::Result<()> {
    let functions = functions(client).await?;
    if functions.is_empty() {
        println!("no functions yet; `lambent deploy DIR` makes one");
        return Ok(());
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["NAME", "RUNTIME", "MEMORY", "TIMEOUT", "CODE", "MODIFIED"]);
    for function in &functions {
        table.add_row([
            text(function, "FunctionName"),
            text(function, "Runtime"),
            format!("{} MB", function["MemorySize"]),
            format!("{} s", function["Timeout"]),
            format!("{} B", function["CodeSize"]),
            text(function, "LastModified"),
        ]);
    }
    println!("{table}");
    Ok(())
}

/// Deletes a function after asking.
pub(crate) async fn remove(client: &Client, name: &str, yes: bool) -> anyhow::Result<()> {
    if !yes {
        if !std::io::stdin().is_terminal() {
            bail!("deleting {name} needs a yes: run it in a terminal, or add --yes");
        }
        print!("Delete {name}? [y/N] ");
        std::io::stdout().flush()?;
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            println!("kept {name}");
            return Ok(());
        }
    }
    client.lambda("DELETE", &function("2015-03-31", name, ""), None).await?;
    println!("deleted {name}");
    Ok(())
}

/// A member that is text; empty where it is none.
pub(super) fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

//! `lambent logs`, `ls` and `rm`.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::bail;
use base::{Clocks, SystemClocks, Timestamp};
use serde_json::{Value, json};

use crate::client::{Client, function, is_not_found};

/// How often `--follow` asks again: a client of FilterLogEvents has nothing to wait on, as with any AWS tool.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);

/// Prints a function's log, oldest first.
pub(crate) async fn logs(
    client: &Client,
    name: Option<&str>,
    follow: bool,
    since_min: Option<u64>,
) -> anyhow::Result<()> {
    let now = SystemClocks.product();
    let mut from = since_min.map_or(0, |minutes| now.0 - i64::try_from(minutes).unwrap_or(0).saturating_mul(60_000));
    let groups: Vec<String> = match name {
        Some(name) => vec![format!("/aws/lambda/{name}")],
        None => functions(client).await?.iter().map(|f| format!("/aws/lambda/{}", text(f, "FunctionName"))).collect(),
    };
    let mut seen = std::collections::HashSet::new();
    let mut known = name.is_none();
    loop {
        let mut newest = from;
        for group in &groups {
            match print_group(client, group, from, &mut seen, &mut newest).await {
                Ok(()) => known = true,
                Err(error) if is_not_found(&error) && (follow || name.is_none()) => {}
                Err(error) if is_not_found(&error) => {
                    bail!("{} has no log yet: it was never invoked, or does not exist", name.unwrap_or_default())
                }
                Err(error) => return Err(error),
            }
        }
        if !follow {
            return Ok(());
        }
        if known {
            from = newest;
        }
        tokio::time::sleep(FOLLOW_EVERY).await;
    }
}

async fn print_group(
    client: &Client,
    group: &str,
    from: i64,
    seen: &mut std::collections::HashSet<String>,
    newest: &mut i64,
) -> anyhow::Result<()> {
    let mut token: Option<String> = None;
    loop {
        let mut request = json!({ "logGroupName": group, "startTime": from });
        if let Some(token) = &token {
            request["nextToken"] = token.as_str().into();
        }
        let page = client.logs("FilterLogEvents", &request).await?;
        let mut out = std::io::stdout().lock();
        for event in page["events"].as_array().into_iter().flatten() {
            let at = event["timestamp"].as_i64().unwrap_or_default();
            if at >= from && seen.insert(text(event, "eventId")) {
                *newest = at.max(*newest);
                let (_, _, _, hour, minute, second, ms) = Timestamp(at).civil();
                writeln!(
                    out,
                    "{hour:02}:{minute:02}:{second:02}.{ms:03} {}",
                    lines(text(event, "message").trim_end())
                )?;
            }
        }
        match page["nextToken"].as_str() {
            Some(next) => token = Some(next.to_owned()),
            None => return Ok(()),
        }
    }
}

/// A record of several lines travels as one, joined by carriage returns, as Lambda's runtimes write it.
pub(super) fn lines(message: &str) -> String {
    message.replace('\r', "\n")
}

async fn functions(client: &Client) -> anyhow::Result<Vec<Value>> {
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

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

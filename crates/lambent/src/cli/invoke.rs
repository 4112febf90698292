//! `lambent invoke`.

use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use base64::Engine as _;
use bytes::Bytes;
use clap::Args;
use serde_json::Value;

use super::samples::Sample;
use crate::client::{Client, function};

/// What to send to which function.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The function.
    name: String,
    /// The event as JSON; `-` reads it from stdin.
    #[arg(long, short)]
    payload: Option<String>,
    /// A file that holds the event.
    #[arg(long, short, conflicts_with = "payload")]
    file: Option<PathBuf>,
    /// A sample event of a trigger.
    #[arg(long, value_enum, conflicts_with_all = ["payload", "file"])]
    sample: Option<Sample>,
    /// Queue the event instead of waiting for the answer.
    #[arg(long = "async")]
    asynchronous: bool,
    /// Print the response as the function writes it.
    #[arg(long, conflicts_with = "asynchronous")]
    stream: bool,
}

/// Exits with 1 when the function answered an error.
pub(crate) async fn run(client: &Client, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let event = event(&arguments)?;
    if arguments.stream {
        return stream(client, &arguments.name, event).await;
    }
    let path = function("2015-03-31", &arguments.name, "/invocations");
    let kind = if arguments.asynchronous { "Event" } else { "RequestResponse" };
    let headers =
        [("x-amz-invocation-type", kind), ("x-amz-log-type", if arguments.asynchronous { "None" } else { "Tail" })];
    let answer = client.signed("lambda", "POST", &path, &headers, event).await?;
    if answer.status >= 300 {
        answer.json()?;
    }
    if let Some(tail) = answer.headers.get("x-amz-log-result") {
        print_log(tail.as_bytes())?;
    }
    let mut out = std::io::stdout();
    out.write_all(&answer.body)?;
    if out.is_terminal() && !answer.body.is_empty() {
        out.write_all(b"\n")?;
    }
    let failed = answer.headers.contains_key("x-amz-function-error");
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Prints pieces as they come, and at the end the log and what went wrong.
async fn stream(client: &Client, name: &str, event: Bytes) -> anyhow::Result<ExitCode> {
    let path = function("2021-11-15", name, "/response-streaming-invocations");
    let mut events = client.lambda_stream(&path, &[("x-amz-log-type", "Tail")], event).await?;
    let mut out = std::io::stdout();
    while let Some((kind, payload)) = events.next_bytes().await? {
        if kind == "PayloadChunk" {
            out.write_all(&payload)?;
            out.flush()?;
            continue;
        }
        if out.is_terminal() {
            out.write_all(b"\n")?;
        }
        let end: Value = serde_json::from_slice(&payload).context("the end of the response does not read")?;
        if let Some(tail) = end["LogResult"].as_str() {
            print_log(tail.as_bytes())?;
        }
        let Some(code) = end["ErrorCode"].as_str() else { return Ok(ExitCode::SUCCESS) };
        eprintln!("{code}: {}", end["ErrorDetails"].as_str().unwrap_or_default());
        return Ok(ExitCode::FAILURE);
    }
    anyhow::bail!("the platform broke off before the end of the response")
}

/// Prints the tail of a log, which comes in base64.
fn print_log(tail: &[u8]) -> anyhow::Result<()> {
    let tail = base64::engine::general_purpose::STANDARD.decode(tail).context("the log tail is not base64")?;
    eprint!("{}", super::inspect::lines(&String::from_utf8_lossy(&tail)));
    Ok(())
}

fn event(arguments: &Arguments) -> anyhow::Result<Bytes> {
    if let Some(sample) = arguments.sample {
        return Ok(Bytes::from_static(sample.event().as_bytes()));
    }
    if let Some(file) = &arguments.file {
        return Ok(std::fs::read(file).with_context(|| format!("reading {}", file.display()))?.into());
    }
    match arguments.payload.as_deref() {
        Some("-") => {
            let mut event = Vec::new();
            std::io::stdin().read_to_end(&mut event)?;
            Ok(event.into())
        }
        Some(payload) => Ok(Bytes::from(payload.to_owned())),
        None => Ok(Bytes::from_static(b"{}")),
    }
}

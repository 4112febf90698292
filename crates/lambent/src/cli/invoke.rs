//! `lambent invoke`.

use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use base64::Engine as _;
use bytes::Bytes;
use clap::Args;

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
}

/// Exits with 1 when the function answered an error.
pub(crate) async fn run(client: &Client, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let event = event(&arguments)?;
    let path = function("2015-03-31", &arguments.name, "/invocations");
    let kind = if arguments.asynchronous { "Event" } else { "RequestResponse" };
    let headers =
        [("x-amz-invocation-type", kind), ("x-amz-log-type", if arguments.asynchronous { "None" } else { "Tail" })];
    let answer = client.signed("lambda", "POST", &path, &headers, event).await?;
    if answer.status >= 300 {
        answer.json()?;
    }
    if let Some(tail) = answer.headers.get("x-amz-log-result") {
        let tail =
            base64::engine::general_purpose::STANDARD.decode(tail.as_bytes()).context("the log tail is not base64")?;
        eprint!("{}", super::inspect::lines(&String::from_utf8_lossy(&tail)));
    }
    let mut out = std::io::stdout();
    out.write_all(&answer.body)?;
    if out.is_terminal() && !answer.body.is_empty() {
        out.write_all(b"\n")?;
    }
    let failed = answer.headers.contains_key("x-amz-function-error");
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
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

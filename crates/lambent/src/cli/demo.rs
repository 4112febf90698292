//! `lambent demo`: the whole platform in one command, from nothing to a called function.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use base::{Clocks, SystemClocks};
use bytes::Bytes;

use super::ServeArguments;
use crate::client::{Answer, Client};

/// Serves, deploys the folder, calls it cold and warm, says what it took, and serves on unless told to exit.
pub(crate) async fn run(
    directory: &Path,
    body: Option<&Path>,
    exit: bool,
    serve: ServeArguments,
) -> anyhow::Result<()> {
    let body = match body {
        Some(path) => Bytes::from(std::fs::read(path).with_context(|| format!("reading {}", path.display()))?),
        None => Bytes::new(),
    };
    let running = crate::serve::start(serve).await?;
    let client = Client::new(&running.endpoint, "us-east-1")?;
    let deployed = crate::deploy::run(&client, &crate::deploy::Arguments::of(directory)).await?;
    deployed.print();
    let url = deployed.url.clone().context("the function was given no URL")?;
    let path = url.strip_prefix(&client.endpoint).map_or_else(|| "/".to_owned(), str::to_owned);
    let host = url.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default().to_owned();

    let (cold, cold_ms) = call(&client, &host, &path, &body).await?;
    ensure!(cold.status < 300, "the first call answered {}: {}", cold.status, String::from_utf8_lossy(&cold.body));
    let mut warm = Vec::new();
    for _ in 0..10 {
        let (answer, ms) = call(&client, &host, &path, &body).await?;
        ensure!(
            answer.status < 300,
            "a warm call answered {}: {}",
            answer.status,
            String::from_utf8_lossy(&answer.body)
        );
        warm.push(ms);
    }
    warm.sort_by(f64::total_cmp);
    let (holds, of) = running.survey.count();
    println!();
    println!("page      {}/", running.endpoint);
    println!("function  {url}");
    println!("try       curl --data-binary @my.jpg {url} -o thumbnail.jpg");
    println!("cold {cold_ms:.1} ms · warm {:.1} ms · walls {holds}/{of}", warm[warm.len() / 2]);
    if exit {
        return running.stop().await;
    }
    println!("serving; stop with Ctrl-C");
    running.until_stopped().await
}

/// One call of the function's URL and how long it took, ms.
async fn call(client: &Client, host: &str, path: &str, body: &Bytes) -> anyhow::Result<(Answer, f64)> {
    let request = http::Request::builder()
        .method("POST")
        .uri(path)
        .header("host", host)
        .header("content-type", "image/jpeg")
        .body(http_body_util::Full::new(body.clone()))?;
    let begin = SystemClocks.monotonic();
    let answer = tokio::time::timeout(Duration::from_secs(60), client.send(request))
        .await
        .context("no answer in a minute")??;
    let took = SystemClocks.monotonic().duration_since(begin);
    Ok((answer, took.as_secs_f64() * 1e3))
}

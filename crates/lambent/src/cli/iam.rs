//! `lambent iam explain`: why a principal may or may not do something.

use std::process::ExitCode;

use anyhow::Context;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::client::{Client, function, is_not_found};

/// What is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The ARN of a user, a role, a role session or a group.
    #[arg(long)]
    principal: String,
    /// The action, for example `lambda:InvokeFunction`.
    #[arg(long)]
    action: String,
    /// The resource's ARN.
    #[arg(long, default_value = "*")]
    resource: String,
    /// A condition key of the request, for example `aws:SourceIp=203.0.113.9`.
    #[arg(long = "context", value_name = "KEY=VALUE")]
    context: Vec<String>,
}

/// Prints the decision and its grounds; the exit code is 0 for an allow and 1 for a denial.
pub(crate) async fn explain(client: &Client, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { principal, action, resource, context } = arguments;
    let mut keys = Map::new();
    for pair in &context {
        let (key, value) = pair.split_once('=').with_context(|| format!("--context takes KEY=VALUE, not {pair}"))?;
        keys.insert(key.to_owned(), value.into());
    }
    let policy = resource_policy(client, &resource).await?;
    let body =
        json!({"principal": principal, "action": action, "resource": resource, "policy": policy, "context": keys});
    let headers = [("content-type", "application/json")];
    let answer =
        client.signed("iam", "POST", "/_lambent/iam/explain", &headers, Bytes::from(body.to_string())).await?.json()?;
    let allowed = answer["allowed"] == true;
    println!("{}: {}", if allowed { "allowed" } else { "denied" }, text(&answer, "because"));
    if let Some(message) = answer["message"].as_str() {
        println!("the caller reads: {message}");
    }
    for set in list(&answer, "sets") {
        println!("  the {} {}", text(set, "set"), text(set, "says"));
    }
    for one in list(&answer, "matched") {
        println!("  {} by statement {} of {}", text(one, "effect"), text(one, "statement"), text(one, "policy"));
    }
    for one in list(&answer, "near") {
        println!(
            "  statement {} of {} would allow it but for {}",
            text(one, "statement"),
            text(one, "policy"),
            text(one, "but")
        );
    }
    Ok(if allowed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The policy of a function, which may let the principal in by itself.
async fn resource_policy(client: &Client, resource: &str) -> anyhow::Result<Option<String>> {
    let Some((head, name)) = resource.split_once(":function:") else { return Ok(None) };
    if !head.starts_with("arn:") || !head.contains(":lambda:") || name.contains('*') {
        return Ok(None);
    }
    let (name, qualifier) = name.split_once(':').map_or((name, None), |(name, qualifier)| (name, Some(qualifier)));
    let query = qualifier.map(|qualifier| format!("?Qualifier={qualifier}")).unwrap_or_default();
    match client.lambda("GET", &function("2015-03-31", name, &format!("/policy{query}")), None).await {
        Ok(answer) => Ok(answer["Policy"].as_str().map(str::to_owned)),
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

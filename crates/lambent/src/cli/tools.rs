//! `lambent env`, `aws` and `open`: other people's tools, pointed here.

use std::process::{Command, ExitCode, Stdio};

use anyhow::Context;

use crate::client::{Client, function};

/// What AWS tools read to find the platform.
fn environment(client: &Client) -> [(&'static str, &str); 6] {
    [
        ("AWS_ENDPOINT_URL", &client.endpoint),
        ("AWS_ACCESS_KEY_ID", &client.key_id),
        ("AWS_SECRET_ACCESS_KEY", &client.secret),
        ("AWS_REGION", &client.region),
        ("AWS_DEFAULT_REGION", &client.region),
        ("AWS_PAGER", ""),
    ]
}

/// Prints lines for a shell to evaluate.
pub(crate) fn print_environment(client: &Client) {
    for (name, value) in environment(client) {
        println!("export {name}='{}'", value.replace('\'', r"'\''"));
    }
}

/// Runs the AWS CLI.
pub(crate) fn aws(client: &Client, arguments: &[String]) -> anyhow::Result<ExitCode> {
    let status = Command::new("aws")
        // Version 1 of the CLI does not hear of `AWS_ENDPOINT_URL` for SQS: it would ask AWS itself.
        .args(["--endpoint-url", &client.endpoint])
        .args(arguments)
        .envs(environment(client))
        .status()
        .context("the AWS CLI is not installed; `pip install awscli` brings it")?;
    Ok(ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)))
}

/// Opens the page or a function's URL.
pub(crate) async fn open(client: &Client, name: Option<&str>) -> anyhow::Result<()> {
    let url = match name {
        None => format!("{}/", client.endpoint),
        Some(name) => {
            let config = client.lambda("GET", &function("2021-10-31", name, "/url"), None).await?;
            config["FunctionUrl"].as_str().context("the platform answered no FunctionUrl")?.to_owned()
        }
    };
    println!("{url}");
    let opened = Command::new("xdg-open").arg(&url).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if opened.is_err() {
        println!("(no browser found to open it with: xdg-open is not installed)");
    }
    Ok(())
}

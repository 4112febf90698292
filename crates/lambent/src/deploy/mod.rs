//! `lambent deploy`: finds out what a folder is, builds what it needs, packs it, and makes the function so.

mod apex;
mod build;
mod detect;
mod pack;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use base64::Engine as _;
use bytes::Bytes;
use clap::Args;
use serde_json::{Value, json};

use crate::client::{AwsError, Client, function, is_conflict, is_not_found};
use crate::interpreters::Known;

/// The role a function gets when none is named; only its form matters until IAM is enforced, and then it is made.
const DEFAULT_ROLE: &str = "arn:aws:iam::000000000000:role/lambent-default";
/// Makes it, as a form: Lambda may assume it, and it may nothing.
const MAKE_DEFAULT_ROLE: &str = "Action=CreateRole&Version=2010-05-08&RoleName=lambent-default&AssumeRolePolicyDocument=\
    %7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Service\
    %22%3A%22lambda.amazonaws.com%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%7D";

/// What to deploy and how.
#[derive(Debug, Clone, Args)]
pub(crate) struct Arguments {
    /// The folder of the function.
    pub(crate) directory: PathBuf,
    /// Of a folder made for Apex: which functions; all of them when left out.
    pub(crate) functions: Vec<String>,
    /// The function's name; the folder's when left out.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Of a folder made for Apex: the environment, which chooses project.STAGE.json and function.STAGE.json.
    #[arg(long)]
    pub(crate) stage: Option<String>,
    /// The runtime identifier; found out when left out. Of a folder made for Apex it stands in for runtimes that are gone.
    #[arg(long)]
    pub(crate) runtime: Option<String>,
    /// The handler; found out when left out.
    #[arg(long)]
    pub(crate) handler: Option<String>,
    /// Memory, MB.
    #[arg(long)]
    pub(crate) memory: Option<u32>,
    /// Timeout, seconds.
    #[arg(long)]
    pub(crate) timeout: Option<u32>,
    /// An environment variable; may be repeated.
    #[arg(long = "env", value_name = "NAME=VALUE")]
    pub(crate) environment: Vec<String>,
    /// The execution role's ARN.
    #[arg(long)]
    pub(crate) role: Option<String>,
    /// Give the function no URL.
    #[arg(long)]
    pub(crate) no_url: bool,
}

impl Arguments {
    /// Deploys `directory` as it is.
    pub(crate) fn of(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            functions: Vec::new(),
            name: None,
            stage: None,
            runtime: None,
            handler: None,
            memory: None,
            timeout: None,
            environment: Vec::new(),
            role: None,
            no_url: false,
        }
    }
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Deployed {
    pub(crate) name: String,
    pub(crate) runtime: String,
    pub(crate) handler: String,
    pub(crate) created: bool,
    pub(crate) url: Option<String>,
    package: pack::Package,
    host: Known,
}

impl Deployed {
    /// Says what was done, with the package's size and its largest entries.
    pub(crate) fn print(&self) {
        let verb = if self.created { "created" } else { "updated" };
        println!("{verb} {} · {} · handler {}", self.name, self.runtime, self.handler);
        println!("package {} in {} files", pack::size(self.package.bytes.len() as u64), self.package.files);
        for (name, bytes) in &self.package.largest {
            println!("  {:>9}  {name}", pack::size(*bytes));
        }
        if let Some(url) = &self.url {
            println!("url {url}");
        }
    }
}

/// Refuses what means something only in a folder made for Apex.
pub(crate) fn check_plain(arguments: &Arguments) -> anyhow::Result<()> {
    let only_apex = [("--stage", arguments.stage.is_some()), ("a function's name", !arguments.functions.is_empty())];
    if let Some((what, _)) = only_apex.iter().find(|(_, given)| *given) {
        bail!("{what} is for folders made for Apex, with a project.json and a folder of functions");
    }
    Ok(())
}

/// Whether a folder was made for Apex and holds many functions.
pub(crate) fn is_project(directory: &Path) -> bool {
    apex::is_project(directory)
}

/// Deploys what a folder holds: one function, or those of an Apex project. Waits until they can be invoked, and shows each
/// as it is done.
pub(crate) async fn run_all(client: &Client, arguments: &Arguments) -> anyhow::Result<()> {
    if is_project(&arguments.directory) {
        return run_apex(client, arguments).await;
    }
    check_plain(arguments)?;
    run(client, arguments).await?.print();
    Ok(())
}

/// Deploys and waits until the function can be invoked.
pub(crate) async fn run(client: &Client, arguments: &Arguments) -> anyhow::Result<Deployed> {
    let directory = arguments
        .directory
        .canonicalize()
        .with_context(|| format!("there is no folder {}", arguments.directory.display()))?;
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None => directory
            .file_name()
            .context("the folder has no name: give one with --name")?
            .to_string_lossy()
            .into_owned(),
    };
    let mut host = Known::default();
    let found = detect::detect(&directory, arguments.runtime.as_deref(), arguments.handler.as_deref(), &mut host)?;
    let package = packed(&build::build(&directory, &found, &mut host)?)?;
    let configuration = configuration(arguments, &found)?;
    let role = arguments.role.as_deref();
    let created = send(client, &name, &configuration, role, &package).await?;
    let url = if arguments.no_url { None } else { Some(url(client, &name).await?) };
    Ok(Deployed { name, runtime: found.runtime, handler: found.handler, created, url, package, host })
}

/// Deploys a folder again after a change, if the package is not what it was; whether it was deployed. The next invocation runs the
/// new code.
pub(crate) async fn again(client: &Client, arguments: &Arguments, now: &mut Deployed) -> anyhow::Result<bool> {
    let directory = arguments.directory.canonicalize().context("the folder is gone")?;
    let (runtime, handler) = (arguments.runtime.as_deref(), arguments.handler.as_deref());
    let found = detect::detect(&directory, runtime, handler, &mut now.host)?;
    let package = packed(&build::build(&directory, &found, &mut now.host)?)?;
    let same_kind = found.runtime == now.runtime && found.handler == now.handler;
    if same_kind && package.bytes == now.package.bytes {
        return Ok(false);
    }
    if same_kind {
        let zip = base64::engine::general_purpose::STANDARD.encode(&package.bytes);
        let path = function("2015-03-31", &now.name, "/code");
        client.lambda("PUT", &path, Some(&json!({ "ZipFile": zip }))).await?;
    } else {
        let configuration = configuration(arguments, &found)?;
        send(client, &now.name, &configuration, arguments.role.as_deref(), &package).await?;
    }
    (now.runtime, now.handler, now.package) = (found.runtime, found.handler, package);
    Ok(true)
}

/// Deploys the functions of an Apex project, which have no URLs.
async fn run_apex(client: &Client, arguments: &Arguments) -> anyhow::Result<()> {
    for (option, given) in [("--name", arguments.name.is_some()), ("--handler", arguments.handler.is_some())] {
        ensure!(!given, "{option} is not for a folder made for Apex: project.json and function.json say it");
    }
    let (directory, runtime) = (&arguments.directory, arguments.runtime.as_deref());
    let functions = apex::read(directory, arguments.stage.as_deref(), &arguments.functions, runtime)?;
    ensure!(!functions.is_empty(), "{} holds no function", directory.join("functions").display());
    for function in functions {
        let folder = directory.join("functions").join(&function.folder);
        let package = packed(&build::as_it_lies(&folder, &function.ignored)?)?;
        let mut variables = serde_json::Map::new();
        variables.extend(function.environment.into_iter().map(|(name, value)| (name, Value::from(value))));
        variables.extend(pairs(&arguments.environment)?);
        let configuration = json!({
            "Runtime": function.runtime,
            "Handler": function.handler,
            "MemorySize": arguments.memory.unwrap_or(function.memory),
            "Timeout": arguments.timeout.unwrap_or(function.timeout),
            "Description": function.description.unwrap_or_default(),
            "Environment": { "Variables": variables },
        });
        let role = arguments.role.as_deref().or(function.role.as_deref());
        let created = send(client, &function.name, &configuration, role, &package)
            .await
            .with_context(|| format!("deploying {}", function.name))?;
        let (name, runtime, handler) = (function.name, function.runtime, function.handler);
        Deployed { name, runtime, handler, created, url: None, package, host: Known::default() }.print();
    }
    Ok(())
}

/// Packs what Lambda takes.
fn packed(contents: &build::Contents) -> anyhow::Result<pack::Package> {
    let package = pack::pack(contents)?;
    if package.bytes.len() > base::limits::ZIP_BYTES {
        let largest: Vec<_> =
            package.largest.iter().map(|(name, bytes)| format!("{name} {}", pack::size(*bytes))).collect();
        bail!(
            "the package is {} and may be 50 MB; the largest entries are {}",
            pack::size(package.bytes.len() as u64),
            largest.join(", ")
        );
    }
    Ok(package)
}

/// Creates the function or updates it; whether it was created.
async fn send(
    client: &Client,
    name: &str,
    configuration: &Value,
    role: Option<&str>,
    package: &pack::Package,
) -> anyhow::Result<bool> {
    let zip = base64::engine::general_purpose::STANDARD.encode(&package.bytes);
    match client.lambda("GET", &function("2015-03-31", name, "/configuration"), None).await {
        Ok(_) => {
            update(client, name, configuration, role, &zip).await?;
            Ok(false)
        }
        Err(error) if is_not_found(&error) => {
            create(client, name, configuration, role, &zip).await?;
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

/// The variables of `--env`.
fn pairs(given: &[String]) -> anyhow::Result<serde_json::Map<String, Value>> {
    let pair = |pair: &String| {
        let (name, value) = pair.split_once('=').with_context(|| format!("--env takes NAME=VALUE, not {pair}"))?;
        Ok((name.to_owned(), Value::from(value)))
    };
    given.iter().map(pair).collect()
}

/// The configuration both create and update take.
fn configuration(arguments: &Arguments, found: &detect::Found) -> anyhow::Result<Value> {
    let variables = pairs(&arguments.environment)?;
    let mut out = json!({ "Runtime": found.runtime, "Handler": found.handler });
    if let Some(memory) = arguments.memory.or(found.memory) {
        out["MemorySize"] = memory.into();
    }
    if let Some(timeout) = arguments.timeout.or(found.timeout) {
        out["Timeout"] = timeout.into();
    }
    if !variables.is_empty() {
        out["Environment"] = json!({ "Variables": variables });
    }
    Ok(out)
}

async fn create(
    client: &Client,
    name: &str,
    configuration: &Value,
    role: Option<&str>,
    zip: &str,
) -> anyhow::Result<()> {
    let mut body = configuration.clone();
    body["FunctionName"] = name.into();
    body["Role"] = role.unwrap_or(DEFAULT_ROLE).into();
    body["Code"] = json!({ "ZipFile": zip });
    let path = "/2015-03-31/functions";
    match client.lambda("POST", path, Some(&body)).await {
        Err(error) if role.is_none() && lacks_role(&error) => {
            make_default_role(client).await?;
            client.lambda("POST", path, Some(&body)).await?;
        }
        other => drop(other?),
    }
    settled(client, name).await
}

/// Where denials are answers a function's role must be there.
fn lacks_role(error: &anyhow::Error) -> bool {
    error.downcast_ref::<AwsError>().is_some_and(|aws| aws.message.ends_with("cannot be assumed by Lambda."))
}

async fn make_default_role(client: &Client) -> anyhow::Result<()> {
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let answer = client.signed("iam", "POST", "/", &headers, Bytes::from_static(MAKE_DEFAULT_ROLE.as_bytes())).await?;
    if answer.status >= 300 {
        let said = String::from_utf8_lossy(&answer.body);
        bail!("the role {DEFAULT_ROLE} is needed and cannot be made: {said}. Name another with --role");
    }
    println!("made the role {DEFAULT_ROLE}, which Lambda may assume");
    Ok(())
}

async fn update(
    client: &Client,
    name: &str,
    configuration: &Value,
    role: Option<&str>,
    zip: &str,
) -> anyhow::Result<()> {
    let path = function("2015-03-31", name, "");
    let mut configuration = configuration.clone();
    if let Some(role) = role {
        configuration["Role"] = role.into();
    }
    client.lambda("PUT", &format!("{path}/configuration"), Some(&configuration)).await?;
    settled(client, name).await?;
    client.lambda("PUT", &format!("{path}/code"), Some(&json!({ "ZipFile": zip }))).await?;
    settled(client, name).await
}

/// Waits as the SDKs' waiters do, until the function is active and its last update done.
async fn settled(client: &Client, name: &str) -> anyhow::Result<()> {
    for _ in 0..600 {
        let now = client.lambda("GET", &function("2015-03-31", name, "/configuration"), None).await?;
        match (now["State"].as_str(), now["LastUpdateStatus"].as_str()) {
            (Some("Active"), Some("Successful")) => return Ok(()),
            (Some("Failed"), _) => bail!("{name} failed: {}", now["StateReason"]),
            (_, Some("Failed")) => bail!("the update of {name} failed: {}", now["LastUpdateStatusReason"]),
            // A client has nothing to wait on but the next answer, as every AWS waiter.
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    bail!("{name} is still pending after a minute")
}

/// Lets everybody call the function by its URL: the two statements that AWS's own console adds.
async fn open_to_all(client: &Client, name: &str) -> anyhow::Result<()> {
    let statements = [
        json!({
            "StatementId": "FunctionURLAllowPublicAccess", "Action": "lambda:InvokeFunctionUrl", "Principal": "*",
            "FunctionUrlAuthType": "NONE",
        }),
        json!({
            "StatementId": "FunctionURLInvokeAllowPublicAccess", "Action": "lambda:InvokeFunction", "Principal": "*",
            "InvokedViaFunctionUrl": true,
        }),
    ];
    for statement in statements {
        match client.lambda("POST", &function("2015-03-31", name, "/policy"), Some(&statement)).await {
            // It is there since an earlier URL.
            Err(error) if is_conflict(&error) => {}
            other => drop(other?),
        }
    }
    Ok(())
}

/// The function's URL, made if it has none, in the form that resolves on this host.
async fn url(client: &Client, name: &str) -> anyhow::Result<String> {
    let path = function("2021-10-31", name, "/url");
    let config = match client.lambda("GET", &path, None).await {
        Ok(config) => config,
        Err(error) if is_not_found(&error) => {
            let made = client.lambda("POST", &path, Some(&json!({ "AuthType": "NONE" }))).await?;
            open_to_all(client, name).await?;
            made
        }
        Err(error) => return Err(error),
    };
    let url = config["FunctionUrl"].as_str().context("the platform answered no FunctionUrl")?;
    Ok(client.reachable(url).await)
}

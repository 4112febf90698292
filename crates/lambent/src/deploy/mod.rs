//! `lambent deploy`: finds out what a folder is, builds what it needs, packs it, and makes the function so.

mod apex;
mod build;
mod debug;
mod detect;
mod options;
mod pack;
mod programs;
mod web;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use base64::Engine as _;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use self::detect::Found;
pub(crate) use self::options::Arguments;
use self::options::pairs;
use crate::client::{AwsError, Client, function, is_conflict, is_not_found};
use crate::interpreters::Known;

/// The role a function gets when none is named; only its form matters until IAM is enforced, and then it is made.
const DEFAULT_ROLE: &str = "arn:aws:iam::000000000000:role/lambent-default";
/// Makes it, as a form: Lambda may assume it, and it may nothing.
const MAKE_DEFAULT_ROLE: &str = "Action=CreateRole&Version=2010-05-08&RoleName=lambent-default&AssumeRolePolicyDocument=\
    %7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Service\
    %22%3A%22lambda.amazonaws.com%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%7D";

/// What came of it.
#[derive(Debug)]
pub(crate) struct Deployed {
    pub(crate) name: String,
    pub(crate) created: bool,
    /// In the form that resolves on this host.
    pub(crate) url: Option<String>,
    /// With a host of its own, which browsers take for this host when it ends with `localhost`. Pages want it: a path of theirs
    /// begins at the host's root.
    page: Option<String>,
    made: Made,
    host: Known,
}

/// A folder, looked at and packed.
#[derive(Debug)]
struct Made {
    found: Found,
    /// What starts it, of a web function.
    command: Option<String>,
    /// Of a function that is debugged.
    debugged: Vec<(&'static str, String)>,
    package: pack::Package,
}

impl Made {
    fn of(directory: &Path, arguments: &Arguments, host: &mut Known) -> anyhow::Result<Self> {
        let mut found = detect::detect(directory, &arguments.told(directory)?, host)?;
        let (mut contents, mut command) = build::build(directory, &found, arguments.debug.is_some(), host)?;
        let mut debugged = Vec::new();
        if let Some(port) = arguments.debug {
            debugged = debug::prepare(&mut found, &mut command, &mut contents, host)?;
            debugged.push(("LAMBENT_DEBUG_PORT", port.to_string()));
        }
        Ok(Self { found, command, debugged, package: packed(&contents)? })
    }

    /// The variables that make it a web function, or one that is debugged.
    fn variables(&self) -> Map<String, Value> {
        let web = self.found.web.as_ref().zip(self.command.as_ref()).map(|(web, command)| web.variables(command));
        let all = web.into_iter().flatten().chain(self.debugged.iter().cloned());
        all.map(|(name, value)| (name.to_owned(), value.into())).collect()
    }

    /// Whether only the code differs from an earlier one.
    fn is_like(&self, other: &Self) -> bool {
        self.found.runtime == other.found.runtime
            && self.found.handler == other.found.handler
            && self.variables() == other.variables()
    }
}

impl Deployed {
    /// Where debuggers of its language usually connect.
    pub(crate) fn debugger_port(&self) -> u16 {
        if self.made.found.kind == detect::Kind::Node { 9229 } else { 5678 }
    }

    /// Says what was done, with the package's size and its largest entries.
    pub(crate) fn print(&self) {
        let verb = if self.created { "created" } else { "updated" };
        let Made { found, command, package, .. } = &self.made;
        match (&found.web, command) {
            (Some(web), Some(command)) => {
                println!("{verb} {} · {} · web function", self.name, found.runtime);
                println!("taken for {}: {}", web.what, found.because);
                println!("started by {command}");
            }
            _ => {
                println!("{verb} {} · {} · handler {}", self.name, found.runtime, found.handler);
                println!("taken for a handler: {}", found.because);
            }
        }
        for note in &found.notes {
            println!("note: {note}");
        }
        println!("package {} in {} files", pack::size(package.bytes.len() as u64), package.files);
        for (name, bytes) in &package.largest {
            println!("  {:>9}  {name}", pack::size(*bytes));
        }
        if let Some(url) = &self.url {
            println!("url {url}");
        }
        let differs = self.made.found.web.is_some() && self.page != self.url;
        if let Some(page) = self.page.as_ref().filter(|_| differs) {
            println!("browser {page}");
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
    let made = Made::of(&directory, arguments, &mut host)?;
    let created =
        send(client, &name, |before| configuration(arguments, &made, before), arguments.role.as_deref(), &made.package)
            .await?;
    let (url, page) = if arguments.no_url { (None, None) } else { Some(url(client, &name).await?).unzip() };
    Ok(Deployed { name, created, url, page, made, host })
}

/// Deploys a folder again after a change, if the package is not what it was; whether it was deployed. The next invocation runs the
/// new code.
pub(crate) async fn again(client: &Client, arguments: &Arguments, now: &mut Deployed) -> anyhow::Result<bool> {
    let directory = arguments.directory.canonicalize().context("the folder is gone")?;
    let made = Made::of(&directory, arguments, &mut now.host)?;
    let same_kind = made.is_like(&now.made);
    if same_kind && made.package.bytes == now.made.package.bytes {
        return Ok(false);
    }
    if same_kind {
        let zip = base64::engine::general_purpose::STANDARD.encode(&made.package.bytes);
        let path = function("2015-03-31", &now.name, "/code");
        client.lambda("PUT", &path, Some(&json!({ "ZipFile": zip }))).await?;
    } else {
        let role = arguments.role.as_deref();
        send(client, &now.name, |before| configuration(arguments, &made, before), role, &made.package).await?;
    }
    now.made = made;
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
        let mut variables = Map::new();
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
        let created = send(client, &function.name, |_| Ok(configuration.clone()), role, &package)
            .await
            .with_context(|| format!("deploying {}", function.name))?;
        let found = Found::told(function.runtime, function.handler, "function.json");
        let made = Made { found, command: None, debugged: Vec::new(), package };
        Deployed { name: function.name, created, url: None, page: None, made, host: Known::default() }.print();
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

/// Creates the function or updates it; whether it was created. `configure` is given what it is configured as, if it is there.
async fn send(
    client: &Client,
    name: &str,
    configure: impl Fn(Option<&Value>) -> anyhow::Result<Value>,
    role: Option<&str>,
    package: &pack::Package,
) -> anyhow::Result<bool> {
    let zip = base64::engine::general_purpose::STANDARD.encode(&package.bytes);
    match client.lambda("GET", &function("2015-03-31", name, "/configuration"), None).await {
        Ok(before) => {
            update(client, name, &configure(Some(&before))?, role, &zip).await?;
            Ok(false)
        }
        Err(error) if is_not_found(&error) => {
            create(client, name, &configure(None)?, role, &zip).await?;
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

/// The configuration both create and update take.
fn configuration(arguments: &Arguments, made: &Made, before: Option<&Value>) -> anyhow::Result<Value> {
    let found = &made.found;
    let mut out = json!({ "Runtime": found.runtime, "Handler": found.handler });
    // A server that starts in 128 MB, with the CPU that goes with it, is no server for long.
    let at_first = |value: u32| (found.web.is_some() && before.is_none()).then_some(value);
    if let Some(memory) = arguments.memory.or(found.memory).or(at_first(512)) {
        out["MemorySize"] = memory.into();
    }
    if let Some(timeout) = arguments.timeout.or(found.timeout).or(at_first(30)) {
        out["Timeout"] = timeout.into();
    }
    if let Some(variables) = variables(pairs(&arguments.environment)?, made.variables(), before) {
        out["Environment"] = json!({ "Variables": variables });
    }
    Ok(out)
}

/// The variables to set; none leaves those that are there. What is given replaces them all, but for ours.
fn variables(
    given: Map<String, Value>,
    ours: Map<String, Value>,
    before: Option<&Value>,
) -> Option<Map<String, Value>> {
    let is_ours = |name: &str, value: &Value| {
        let is_debugger = name == "NODE_OPTIONS" && value == debug::NODE_OPTIONS;
        name.starts_with("LAMBENT_WEB_") || name.starts_with("LAMBENT_DEBUG_") || is_debugger
    };
    let there = before.and_then(|before| before["Environment"]["Variables"].as_object()).cloned().unwrap_or_default();
    let had_ours = there.iter().any(|(name, value)| is_ours(name, value));
    if given.is_empty() && ours.is_empty() && !had_ours {
        return None;
    }
    let mut out = if given.is_empty() { there } else { Map::new() };
    out.retain(|name, value| !is_ours(name, value));
    out.extend(ours);
    out.extend(given);
    Some(out)
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

/// The function's URL, made if it has none: in the form that resolves on this host, and in the form that browsers resolve anywhere.
async fn url(client: &Client, name: &str) -> anyhow::Result<(String, String)> {
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
    Ok((client.reachable(url).await, url.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_others_are_kept() {
        let map = |value: Value| value.as_object().cloned().unwrap();
        let before = json!({"Environment": {"Variables": {"A": "1", "LAMBENT_WEB_COMMAND": "old"}}});
        let web = map(json!({"LAMBENT_WEB_COMMAND": "new"}));
        let none = Map::new;
        let set = |given, web, before: Option<Value>| variables(given, web, before.as_ref()).map(Value::Object);
        assert_eq!(set(none(), none(), Some(json!({"Environment": {"Variables": {"A": "1"}}}))), None);
        assert_eq!(set(none(), none(), None), None);
        assert_eq!(set(none(), none(), Some(before.clone())), Some(json!({"A": "1"})), "it is a handler now");
        assert_eq!(
            set(none(), web.clone(), Some(before.clone())),
            Some(json!({"A": "1", "LAMBENT_WEB_COMMAND": "new"}))
        );
        let given = map(json!({"B": "2"}));
        assert_eq!(set(given, web, Some(before.clone())), Some(json!({"B": "2", "LAMBENT_WEB_COMMAND": "new"})));
    }
}

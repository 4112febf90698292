//! What a person says about a deploy: on the command line, and in the folder's `lambent.json`. The command line wins.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value};

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
    /// What the folder is, where it could be more than one thing.
    #[arg(long = "as", value_enum, value_name = "KIND")]
    pub(crate) kind: Option<As>,
    /// The command of a web function: a process that listens on $PORT.
    #[arg(long, conflicts_with_all = ["handler", "app", "target"])]
    pub(crate) command: Option<String>,
    /// The WSGI or ASGI application to serve, as MODULE:NAME.
    #[arg(long, conflicts_with_all = ["handler", "target"])]
    pub(crate) app: Option<String>,
    /// The function that Google's functions-framework serves.
    #[arg(long, conflicts_with = "handler")]
    pub(crate) target: Option<String>,
    /// Of a web function: requests at a time in one environment, 1 to 1000.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) concurrency: Option<u16>,
    /// Of a web function: a path that answers below 500 once it is ready; its port alone says so when left out.
    #[arg(long, value_name = "PATH")]
    pub(crate) ready_path: Option<String>,
    /// Of a web function: where events that are no HTTP requests are POSTed.
    #[arg(long, value_name = "PATH")]
    pub(crate) events_path: Option<String>,
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
    /// The port of this host's loopback at which the platform takes debuggers; `lambent dev --debug` chooses it.
    #[arg(skip)]
    pub(crate) debug: Option<u16>,
}

/// What a folder can be deployed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum As {
    /// A function of an event.
    Handler,
    /// A process that listens on $PORT, however it is started.
    Web,
    /// The `web:` line of a Procfile.
    Procfile,
    /// `scripts.start` of package.json.
    Start,
    /// A WSGI or ASGI application.
    App,
    /// A function of Google's functions-framework.
    FunctionsFramework,
    /// An `api` folder with a function in each file.
    Vercel,
}

impl As {
    /// As it is typed.
    pub(crate) fn word(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
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
            kind: None,
            command: None,
            app: None,
            target: None,
            concurrency: None,
            ready_path: None,
            events_path: None,
            memory: None,
            timeout: None,
            environment: Vec::new(),
            role: None,
            no_url: false,
            debug: None,
        }
    }

    /// What is said of the folder, here and in its own file.
    pub(crate) fn told(&self, directory: &Path) -> anyhow::Result<Told> {
        let settings = settings(directory)?;
        let environment = pairs(&self.environment)?;
        let mut told = Told { settings, ..Told::default() };
        told.runtime = told.text(self.runtime.as_ref(), "runtime")?;
        // What names one way on the command line leaves the file's other ways unread.
        let says = self.handler.is_some() || self.command.is_some() || self.app.is_some() || self.target.is_some();
        let way = |key| if says { Ok(None) } else { told.text(None, key) };
        let (handler, command, app, target) = (way("handler")?, way("command")?, way("app")?, way("target")?);
        told.handler = self.handler.clone().or(handler);
        told.command = self.command.clone().or(command);
        told.app = self.app.clone().or(app);
        told.target = self.target.clone().or(target);
        let ways = [&told.handler, &told.command, &told.app, &told.target];
        ensure!(
            ways.iter().filter(|way| way.is_some()).count() < 2,
            "lambent.json may name one of handler, command, app and target"
        );
        told.kind = match (self.kind, told.text(None, "as")?) {
            (Some(kind), _) => Some(kind),
            (None, Some(word)) => Some(
                As::from_str(&word, false)
                    .map_err(|_| anyhow::anyhow!("lambent.json's `as` may be {}, not {word:?}", words()))?,
            ),
            (None, None) => None,
        };
        told.concurrency = match (self.concurrency, told.number("concurrency")?) {
            (Some(n), _) => Some(n),
            (None, Some(n)) => Some(
                u16::try_from(n)
                    .ok()
                    .filter(|n| (1..=1000).contains(n))
                    .context("lambent.json's concurrency may be 1 to 1000")?,
            ),
            (None, None) => None,
        };
        told.ready_path = path(told.text(self.ready_path.as_ref(), "ready_path")?, "ready path")?;
        told.events_path = path(told.text(self.events_path.as_ref(), "events_path")?, "events path")?;
        told.memory = told.number("memory")?;
        told.timeout = told.number("timeout")?;
        told.has_target = told.target.is_some() || environment.contains_key("FUNCTION_TARGET");
        Ok(told)
    }
}

/// The words of `--as`.
pub(crate) fn words() -> String {
    As::value_variants().iter().map(|one| one.word()).collect::<Vec<_>>().join(", ")
}

/// What is said of a folder.
#[derive(Debug, Default)]
pub(crate) struct Told {
    settings: Map<String, Value>,
    pub(crate) runtime: Option<String>,
    pub(crate) handler: Option<String>,
    pub(crate) kind: Option<As>,
    pub(crate) command: Option<String>,
    pub(crate) app: Option<String>,
    pub(crate) target: Option<String>,
    /// Whether functions-framework's target is known, by whatever way.
    pub(crate) has_target: bool,
    pub(crate) concurrency: Option<u16>,
    pub(crate) ready_path: Option<String>,
    pub(crate) events_path: Option<String>,
    /// From `lambent.json` alone.
    pub(crate) memory: Option<u32>,
    /// From `lambent.json` alone.
    pub(crate) timeout: Option<u32>,
}

impl Told {
    fn text(&self, said: Option<&String>, key: &str) -> anyhow::Result<Option<String>> {
        match (said, self.settings.get(key)) {
            (Some(said), _) => Ok(Some(said.clone())),
            (None, Some(value)) => {
                let text = value.as_str().with_context(|| format!("lambent.json's {key} must be a string"))?;
                Ok(Some(text.to_owned()))
            }
            (None, None) => Ok(None),
        }
    }

    fn number(&self, key: &str) -> anyhow::Result<Option<u32>> {
        let Some(value) = self.settings.get(key) else { return Ok(None) };
        let number = value.as_u64().and_then(|value| u32::try_from(value).ok());
        number.map(Some).with_context(|| format!("lambent.json's {key} must be a whole number"))
    }
}

const KEYS: [&str; 11] = [
    "runtime",
    "handler",
    "as",
    "command",
    "app",
    "target",
    "concurrency",
    "ready_path",
    "events_path",
    "memory",
    "timeout",
];

fn settings(directory: &Path) -> anyhow::Result<Map<String, Value>> {
    let path = directory.join("lambent.json");
    if !path.exists() {
        return Ok(Map::new());
    }
    let settings: Value =
        serde_json::from_str(&fs::read_to_string(&path)?).with_context(|| format!("{} is not JSON", path.display()))?;
    let Value::Object(settings) = settings else { bail!("{} must be an object", path.display()) };
    if let Some(key) = settings.keys().find(|key| !KEYS.contains(&key.as_str())) {
        bail!("{} has an unknown key {key:?}; it may have {KEYS:?}", path.display());
    }
    Ok(settings)
}

fn path(path: Option<String>, what: &str) -> anyhow::Result<Option<String>> {
    if let Some(path) = &path {
        ensure!(path.starts_with('/'), "the {what} must begin with /, not be {path:?}");
    }
    Ok(path)
}

/// The variables of `--env`.
pub(crate) fn pairs(given: &[String]) -> anyhow::Result<Map<String, Value>> {
    let pair = |pair: &String| {
        let (name, value) = pair.split_once('=').with_context(|| format!("--env takes NAME=VALUE, not {pair}"))?;
        Ok((name.to_owned(), Value::from(value)))
    };
    given.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(json: &str, change: impl FnOnce(&mut Arguments)) -> anyhow::Result<Told> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("lambent.json"), json).unwrap();
        let mut arguments = Arguments::of(folder.path());
        change(&mut arguments);
        arguments.told(folder.path())
    }

    #[test]
    fn an_unknown_setting_is_refused_by_name() {
        for (json, word) in [
            (r#"{"runtim":"python3.11"}"#, "runtim"),
            (r#"{"memory":"much"}"#, "memory"),
            (r#"{"as":"zip"}"#, "functions-framework"),
            (r#"{"concurrency":1001}"#, "1 to 1000"),
            (r#"{"concurrency":0}"#, "1 to 1000"),
            (r#"{"ready_path":"ready"}"#, "begin with /"),
            (r#"{"command":"x","app":"a:b"}"#, "one of handler"),
            ("[]", "object"),
        ] {
            let error = said(json, |_| ()).unwrap_err().to_string();
            assert!(error.contains(word), "{json}: {error}");
        }
    }

    #[test]
    fn the_command_line_wins() {
        let json = r#"{"command":"./mine","as":"web","concurrency":2,"ready_path":"/a","memory":300}"#;
        let told = said(json, |_| ()).unwrap();
        assert_eq!((told.command.as_deref(), told.kind, told.concurrency), (Some("./mine"), Some(As::Web), Some(2)));
        assert_eq!((told.ready_path.as_deref(), told.memory), (Some("/a"), Some(300)));
        let told = said(json, |arguments| {
            arguments.app = Some("a:b".to_owned());
            arguments.concurrency = Some(3);
        });
        let told = told.unwrap();
        assert_eq!((told.command, told.app.as_deref(), told.concurrency), (None, Some("a:b"), Some(3)));
    }
}

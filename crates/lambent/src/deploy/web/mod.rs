//! What listens on `$PORT`: which of the usual ways a folder says it in, and the command that comes of it.

mod google;
mod native;
mod node;
mod procfile;
mod python;
mod servers;
mod vercel;

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, bail, ensure};

use super::build::Contents;
use super::detect::{self, Found, Kind};
use super::options::{As, Told};
use crate::interpreters::Known;

/// How a process that listens is started, and what the platform must know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Web {
    run: Run,
    /// For people: `a Flask application`.
    pub(crate) what: String,
    concurrency: Option<u16>,
    ready_path: Option<String>,
    events_path: Option<String>,
}

/// What is started.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Run {
    /// A command of the shell.
    Command(String),
    /// A Python application; its server is chosen once the packages are there.
    App(python::App),
    /// A function in each file of `api`.
    Vercel(vercel::Settings),
}

/// Something a folder could be.
pub(crate) struct Candidate {
    pub(crate) kind: As,
    pub(crate) what: String,
    because: String,
    /// The language that runs it; by the folder's files when none.
    language: Option<Kind>,
    /// An error of what would have to be said first, once it is chosen.
    run: anyhow::Result<Run>,
    notes: Vec<String>,
}

impl Candidate {
    fn new(kind: As, what: impl Into<String>, because: impl Into<String>, language: Kind, run: Run) -> Self {
        Self {
            kind,
            what: what.into(),
            because: because.into(),
            language: Some(language),
            run: Ok(run),
            notes: Vec::new(),
        }
    }
}

/// The folder as a web function; none where nothing in it listens.
pub(crate) fn detect(directory: &Path, told: &Told, host: &mut Known) -> anyhow::Result<Option<Found>> {
    let Some(chosen) = choose(directory, told)? else { return Ok(None) };
    let run = chosen.run?;
    let kind = match (&told.runtime, chosen.language) {
        (Some(runtime), _) => detect::kind_of(directory, runtime)?,
        (None, Some(language)) => language,
        (None, None) => language(directory, &run)?,
    };
    let runtime = detect::runtime(told, kind, host)?;
    let mut notes = chosen.notes;
    if kind == Kind::Python && !directory.join("requirements.txt").exists() {
        let other = ["pyproject.toml", "Pipfile"].into_iter().find(|name| directory.join(name).exists());
        notes.extend(other.map(|name| format!("packages of {name} are not installed: list them in requirements.txt")));
    }
    if kind == Kind::Node && node::builds(directory) {
        notes.push("scripts.build of package.json is not run: build before you deploy".to_owned());
    }
    let (memory, timeout) = match &run {
        Run::Vercel(settings) => (settings.memory, settings.timeout),
        _ => (None, None),
    };
    Ok(Some(Found {
        runtime,
        handler: "web".to_owned(),
        kind,
        web: Some(Web {
            run,
            what: chosen.what,
            concurrency: told.concurrency,
            ready_path: told.ready_path.clone(),
            events_path: told.events_path.clone(),
        }),
        because: chosen.because,
        notes,
        memory: told.memory.or(memory),
        timeout: told.timeout.or(timeout),
    }))
}

/// Everything the folder could be.
pub(crate) fn candidates(directory: &Path, told: &Told) -> anyhow::Result<Vec<Candidate>> {
    let found = [
        procfile::candidate(directory)?,
        node::start(directory)?,
        google::candidate(directory, told)?,
        python::candidate(directory),
        vercel::candidate(directory)?,
        native::candidate(directory),
    ];
    Ok(found.into_iter().flatten().collect())
}

fn choose(directory: &Path, told: &Told) -> anyhow::Result<Option<Candidate>> {
    let as_told = |kind, what: &str, run, language| {
        Ok(Some(Candidate {
            kind,
            what: what.to_owned(),
            because: "as it was told".to_owned(),
            language,
            run: Ok(run),
            notes: Vec::new(),
        }))
    };
    if let Some(command) = &told.command {
        ensure!(
            matches!(told.kind, None | Some(As::Web)),
            "a command is a web function: it goes with `--as web` or without"
        );
        return as_told(As::Web, "a command", Run::Command(command.clone()), None);
    }
    if let Some(app) = &told.app {
        ensure!(
            matches!(told.kind, None | Some(As::Web | As::App)),
            "an application is named: it goes with `--as app` or without"
        );
        return as_told(As::App, "an application", Run::App(python::named(directory, app)?), Some(Kind::Python));
    }
    let wanted = match told.kind {
        None if told.target.is_some() => Some(As::FunctionsFramework),
        None | Some(As::Web) => None,
        Some(kind) => Some(kind),
    };
    let mut found = candidates(directory, told)?;
    found.retain(|one| wanted.is_none_or(|kind| kind == one.kind));
    // What is written for this purpose says more than what the code looks like.
    let declared =
        found.iter().position(|one| one.kind == As::Procfile || one.run.as_ref().is_ok_and(Run::is_declared));
    if let Some(at) = declared {
        let mut chosen = found.swap_remove(at);
        chosen.notes.extend(
            found.iter().map(|one| format!("passed over: {} (`--as {}` deploys it so)", one.what, one.kind.word())),
        );
        return Ok(Some(chosen));
    }
    if found.len() > 1 {
        let mut said = format!("{} could be more than one thing. Say which:", directory.display());
        for one in &found {
            write!(said, "\n  --as {:<20} {}: {}", one.kind.word(), one.what, one.because)?;
        }
        bail!(said);
    }
    Ok(found.pop())
}

impl Run {
    fn is_declared(&self) -> bool {
        matches!(self, Self::Vercel(settings) if settings.is_declared)
    }
}

/// Why nothing was found that was asked for.
pub(crate) fn nothing(directory: &Path, told: &Told) -> String {
    let kind = told.kind.map_or_else(|| As::FunctionsFramework.word(), As::word);
    let wanted = match told.kind {
        Some(As::Procfile) => "a Procfile with a `web:` line",
        Some(As::Start) => "a package.json with `scripts.start`",
        Some(As::App) => {
            "an application such as `app = Flask(__name__)` or `app = FastAPI()`; --app MODULE:NAME names one"
        }
        Some(As::Vercel) => "an `api` folder with a function in each file",
        Some(As::FunctionsFramework) | None => {
            "`functions-framework` in requirements.txt, or `@google-cloud/functions-framework` in package.json"
        }
        Some(As::Web | As::Handler) => "anything that listens on $PORT; --command says what does",
    };
    format!("{} is no {kind} folder: it has not got {wanted}", directory.display())
}

/// A folder that is only an image's recipe is refused by name.
pub(crate) fn refuse_image(directory: &Path) -> anyhow::Result<()> {
    let file = ["Dockerfile", "Containerfile"].into_iter().find(|name| directory.join(name).exists());
    if let Some(file) = file {
        bail!(
            "{} has a {file} and nothing else that says how it is started; images are not built here. Say how: --command with \
             --runtime, or a Procfile with a `web:` line",
            directory.display()
        );
    }
    Ok(())
}

/// The language of a command that a folder's files do not tell by themselves.
fn language(directory: &Path, run: &Run) -> anyhow::Result<Kind> {
    let mut here = Vec::new();
    let names: Vec<String> =
        std::fs::read_dir(directory)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    let has = |test: &dyn Fn(&str) -> bool| names.iter().any(|name| test(name));
    if has(&|name| name.ends_with(".py") || ["requirements.txt", "pyproject.toml", "Pipfile"].contains(&name)) {
        here.push(Kind::Python);
    }
    if has(&|name| name == "package.json" || [".js", ".mjs", ".cjs"].iter().any(|end| name.ends_with(end))) {
        here.push(Kind::Node);
    }
    if has(&|name| name == "Cargo.toml") {
        here.push(Kind::Rust);
    } else if has(&|name| name == "bootstrap") {
        here.push(Kind::Bootstrap);
    }
    if let [only] = here.as_slice() {
        return Ok(*only);
    }
    let Run::Command(command) = run else { bail!("{} holds no program", directory.display()) };
    by_program(command).filter(|kind| here.is_empty() || here.contains(kind)).with_context(|| {
        format!("which language runs `{command}`? Say --runtime: python3.x, nodejs2x.x or provided.al2023")
    })
}

/// The language of a command by its program.
fn by_program(command: &str) -> Option<Kind> {
    let word = command.split_whitespace().find(|word| !word.contains('=') && *word != "exec")?;
    let program = word.rsplit('/').next().unwrap_or(word);
    match program {
        "node" | "npm" | "npx" | "yarn" | "pnpm" | "next" => Some(Kind::Node),
        "gunicorn" | "uvicorn" | "hypercorn" | "daphne" | "waitress-serve" | "flask" | "django-admin" => {
            Some(Kind::Python)
        }
        _ if program.starts_with("python") => Some(Kind::Python),
        _ => None,
    }
}

impl Web {
    /// Adds to the package what starts the process, and answers the command that does.
    pub(crate) fn prepare(
        &self,
        directory: &Path,
        kind: Kind,
        debugged: bool,
        contents: &mut Contents,
    ) -> anyhow::Result<String> {
        match &self.run {
            Run::Command(command) => Ok(command.clone()),
            Run::App(app) => servers::serve(app, self.concurrency.unwrap_or(64), debugged, contents),
            Run::Vercel(settings) => vercel::prepare(directory, kind, settings, contents),
        }
    }

    /// The function's variables that make it a web function.
    pub(crate) fn variables(&self, command: &str) -> Vec<(&'static str, String)> {
        let mut out = vec![("LAMBENT_WEB_COMMAND", command.to_owned())];
        out.extend(self.concurrency.map(|n| ("LAMBENT_WEB_CONCURRENCY", n.to_string())));
        out.extend(self.ready_path.clone().map(|path| ("LAMBENT_WEB_READY_PATH", path)));
        out.extend(self.events_path.clone().map(|path| ("LAMBENT_WEB_EVENTS_PATH", path)));
        out
    }
}

#[cfg(test)]
mod tests;

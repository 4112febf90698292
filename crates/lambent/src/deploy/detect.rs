//! What a folder is: its runtime and how it is called, by the files people write.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};

use super::options::{As, Told};
use super::web::{self, Web};
use crate::interpreters::Known;

/// What was found, or told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) runtime: String,
    pub(crate) handler: String,
    pub(crate) kind: Kind,
    /// Of a function whose process listens on `$PORT`: how it is started.
    pub(crate) web: Option<Web>,
    /// Why it was taken for this, as half a sentence.
    pub(crate) because: String,
    /// What else was seen and passed over, as sentences.
    pub(crate) notes: Vec<String>,
    /// From `lambent.json`.
    pub(crate) memory: Option<u32>,
    /// From `lambent.json`.
    pub(crate) timeout: Option<u32>,
}

impl Found {
    /// A handler that some other file names.
    pub(crate) fn told(runtime: String, handler: String, by: &str) -> Self {
        let because = format!("{by} says so");
        Self {
            runtime,
            handler,
            kind: Kind::Bootstrap,
            web: None,
            because,
            notes: Vec::new(),
            memory: None,
            timeout: None,
        }
    }
}

/// How it is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Python,
    Node,
    /// A `bootstrap` executable as it lies there.
    Bootstrap,
    /// A Cargo package whose binary becomes the bootstrap.
    Rust,
}

/// Files that usually hold a handler, in the order people prefer.
const PYTHON: &[&str] = &["app.py", "lambda_function.py", "handler.py", "main.py", "index.py"];
const NODE: &[&str] =
    &["index.mjs", "index.js", "index.cjs", "app.mjs", "app.js", "handler.mjs", "handler.js", "main.js"];
const PYTHON_VERSION: &str = "import sys; print('%d.%d.%d' % sys.version_info[:3])";
const FUNCTIONS: &[&str] = &["handler", "lambda_handler", "main"];

/// Looks at the folder. What is told wins; then comes a handler, then what listens on `$PORT`.
pub(crate) fn detect(directory: &Path, told: &Told, host: &mut Known) -> anyhow::Result<Found> {
    let says_web = told.command.is_some() || told.app.is_some() || told.target.is_some();
    let may_be_web = told.handler.is_none() && told.kind != Some(As::Handler);
    if says_web || (may_be_web && told.kind.is_some()) {
        return web::detect(directory, told, host)?.with_context(|| web::nothing(directory, told));
    }
    let handler = handler(directory, told);
    if may_be_web && !handler.as_ref().is_ok_and(|found| found.is_certain) {
        if let Some(found) = web::detect(directory, told, host)? {
            return Ok(found);
        }
        if handler.is_err() {
            web::refuse_image(directory)?;
        }
    }
    let Handler { kind, name, because, .. } = handler?;
    let runtime = runtime(told, kind, host)?;
    let mut notes = Vec::new();
    let others = if may_be_web { web::candidates(directory, told).unwrap_or_default() } else { Vec::new() };
    if let Some(other) = others.first() {
        notes.push(format!("it could also be {}: `--as {}` deploys it so", other.what, other.kind.word()));
    }
    let (memory, timeout) = (told.memory, told.timeout);
    Ok(Found { runtime, handler: name, kind, web: None, because, notes, memory, timeout })
}

/// A function of an event.
struct Handler {
    kind: Kind,
    name: String,
    because: String,
    /// Not only the best that could be made of it.
    is_certain: bool,
}

fn handler(directory: &Path, told: &Told) -> anyhow::Result<Handler> {
    let kind = match &told.runtime {
        Some(id) => kind_of(directory, id)?,
        None => kind(directory)?,
    };
    if let Some(name) = told.handler.clone() {
        return Ok(Handler { kind, name, because: "as it was told".to_owned(), is_certain: true });
    }
    let (name, because, is_certain) = match kind {
        Kind::Bootstrap => ("bootstrap".to_owned(), "it holds `bootstrap`".to_owned(), true),
        // Whether its binary asks for events or listens is seen in its source.
        Kind::Rust => ("bootstrap".to_owned(), "Cargo.toml".to_owned(), false),
        Kind::Python => find(directory, PYTHON, python_defines)?,
        Kind::Node => find(directory, NODE, node_exports)?,
    };
    Ok(Handler { kind, name, because, is_certain })
}

/// How functions of a runtime are built.
pub(crate) fn kind_of(directory: &Path, runtime: &str) -> anyhow::Result<Kind> {
    Ok(match runtime {
        id if id.starts_with("python") => Kind::Python,
        id if id.starts_with("nodejs") => Kind::Node,
        id if id.starts_with("provided") && directory.join("Cargo.toml").exists() => Kind::Rust,
        id if id.starts_with("provided") => Kind::Bootstrap,
        id => bail!(
            "`lambent deploy` cannot build for {id}; pack it yourself and use `lambent aws lambda create-function`"
        ),
    })
}

/// The runtime: what was told, else what this host has.
pub(crate) fn runtime(told: &Told, kind: Kind, host: &mut Known) -> anyhow::Result<String> {
    match (&told.runtime, kind) {
        (Some(runtime), _) => Ok(runtime.clone()),
        (None, Kind::Bootstrap | Kind::Rust) => Ok("provided.al2023".to_owned()),
        (None, Kind::Python) => host.usual("python3", || {
            usual(sandbox::Family::Python, "python3", &["-c", PYTHON_VERSION], "python3 (3.8 or newer)")
        }),
        (None, Kind::Node) => host.usual("node", || {
            usual(sandbox::Family::Node, "node", &["-p", "process.versions.node"], "node (18 or newer)")
        }),
    }
}

fn kind(directory: &Path) -> anyhow::Result<Kind> {
    let has = |names: &[&str]| names.iter().any(|name| directory.join(name).exists());
    if has(&["bootstrap"]) {
        return Ok(Kind::Bootstrap);
    }
    if has(&["Cargo.toml"]) {
        return Ok(Kind::Rust);
    }
    if has(&["requirements.txt"]) || has(PYTHON) {
        return Ok(Kind::Python);
    }
    if has(&["package.json"]) || has(NODE) {
        return Ok(Kind::Node);
    }
    bail!(
        "{} holds no function that can be recognised: expected one of {PYTHON:?}, {NODE:?}, a Cargo.toml, an executable \
         `bootstrap`, or something that listens on $PORT (a Procfile, `scripts.start` in package.json, a WSGI or ASGI \
         application, an `api` folder); or say --runtime with --handler or --command",
        directory.display()
    )
}

/// The first file that defines one of the usual names, and why it was taken.
fn find(directory: &Path, files: &[&str], defines: fn(&str, &str) -> bool) -> anyhow::Result<(String, String, bool)> {
    for file in files {
        let Ok(text) = fs::read_to_string(directory.join(file)) else { continue };
        for function in FUNCTIONS {
            if defines(&text, function) {
                let module = file.rsplit_once('.').map_or(*file, |(module, _)| module);
                return Ok((format!("{module}.{function}"), format!("{file} defines `{function}`"), true));
            }
        }
    }
    bail!("no handler found in {files:?}: define `handler(event, context)` or say --handler MODULE.FUNCTION")
}

fn python_defines(text: &str, function: &str) -> bool {
    text.lines().any(|line| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        let rest = line.strip_prefix("def ").and_then(|rest| rest.trim_start().strip_prefix(function));
        // `main` is the name of many things: only what takes an event and a context is a handler.
        let takes_two = |rest: &str| function != "main" || !rest.contains(')') || rest.contains(',');
        rest.is_some_and(|rest| rest.starts_with('(') && takes_two(rest))
            || line
                .strip_prefix(function)
                .is_some_and(|rest| rest.trim_start().strip_prefix('=').is_some_and(|rest| !rest.starts_with('=')))
    })
}

fn node_exports(text: &str, function: &str) -> bool {
    let forms = [
        format!("exports.{function}"),
        format!("export const {function}"),
        format!("export let {function}"),
        format!("export function {function}"),
        format!("export async function {function}"),
        format!("export {{ {function}"),
        format!("module.exports = {{ {function}"),
    ];
    forms.iter().any(|form| text.contains(form.as_str()))
}

/// The runtime identifier of the interpreter a person gets by its plain name, else of the first that was found.
fn usual(family: sandbox::Family, program: &str, print_version: &[&str], wanted: &str) -> anyhow::Result<String> {
    let plain =
        std::process::Command::new(program).args(print_version).output().ok().filter(|done| done.status.success());
    let plain = plain.map(|done| String::from_utf8_lossy(&done.stdout).trim().to_owned());
    let found = sandbox::find_interpreters();
    let versions = || found.iter().filter(|one| one.family == family).map(|one| one.version);
    let named = |(major, minor, patch): &(u32, u32, u32)| plain == Some(format!("{major}.{minor}.{patch}"));
    versions()
        .filter(named)
        .chain(versions())
        .find_map(|version| crate::interpreters::identifier(family, version))
        .with_context(|| format!("this host has no {wanted}; `make deps` installs it, or say --runtime"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_handlers_are_found_by_definition_or_assignment() {
        assert!(python_defines("import x\ndef handler(event, context):\n", "handler"));
        assert!(python_defines("lambda_handler = Mangum(app)\n", "lambda_handler"));
        assert!(!python_defines("def handler_two(event): pass", "handler"));
        assert!(!python_defines("    def handler(self): pass", "handler"));
        assert!(python_defines("def main(event, context):\n", "main"));
        assert!(python_defines("def main(\n    event,\n", "main"));
        assert!(!python_defines("def main():\n", "main") && !python_defines("def main(request):\n", "main"));
    }

    #[test]
    fn node_handlers_are_found_in_both_module_forms() {
        assert!(node_exports("exports.handler = async () => {}", "handler"));
        assert!(node_exports("export const handler = async () => {}", "handler"));
        assert!(!node_exports("const handler = 1", "handler"));
    }
}

//! What a folder is: its runtime and handler, by the files people write.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::interpreters::Known;

/// What was found, or told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) runtime: String,
    pub(crate) handler: String,
    pub(crate) kind: Kind,
    /// From `lambent.json`.
    pub(crate) memory: Option<u32>,
    /// From `lambent.json`.
    pub(crate) timeout: Option<u32>,
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

/// Looks at the folder. What is told wins; `lambent.json` (`runtime`, `handler`, `memory`, `timeout`) comes next.
pub(crate) fn detect(
    directory: &Path,
    runtime: Option<&str>,
    handler: Option<&str>,
    host: &mut Known,
) -> anyhow::Result<Found> {
    let settings = settings(directory)?;
    let text = |key: &str| settings[key].as_str().map(str::to_owned);
    let number = |key: &str| settings[key].as_u64().and_then(|value| u32::try_from(value).ok());
    let runtime = runtime.map(str::to_owned).or_else(|| text("runtime"));
    let handler = handler.map(str::to_owned).or_else(|| text("handler"));
    let kind = match &runtime {
        Some(id) if id.starts_with("python") => Kind::Python,
        Some(id) if id.starts_with("nodejs") => Kind::Node,
        Some(id) if id.starts_with("provided") && directory.join("Cargo.toml").exists() => Kind::Rust,
        Some(id) if id.starts_with("provided") => Kind::Bootstrap,
        Some(id) => bail!(
            "`lambent deploy` cannot build for {id}; pack it yourself and use `lambent aws lambda create-function`"
        ),
        None => kind(directory)?,
    };
    let handler = match (handler, kind) {
        (Some(handler), _) => handler,
        (None, Kind::Bootstrap | Kind::Rust) => "bootstrap".to_owned(),
        (None, Kind::Python) => find(directory, PYTHON, python_defines)?,
        (None, Kind::Node) => find(directory, NODE, node_exports)?,
    };
    let runtime = match (runtime, kind) {
        (Some(runtime), _) => runtime,
        (None, Kind::Bootstrap | Kind::Rust) => "provided.al2023".to_owned(),
        (None, Kind::Python) => host.usual("python3", || {
            usual(sandbox::Family::Python, "python3", &["-c", PYTHON_VERSION], "python3 (3.8 or newer)")
        })?,
        (None, Kind::Node) => host.usual("node", || {
            usual(sandbox::Family::Node, "node", &["-p", "process.versions.node"], "node (18 or newer)")
        })?,
    };
    Ok(Found { runtime, handler, kind, memory: number("memory"), timeout: number("timeout") })
}

fn settings(directory: &Path) -> anyhow::Result<Value> {
    let path = directory.join("lambent.json");
    if !path.exists() {
        return Ok(Value::Null);
    }
    let settings: Value =
        serde_json::from_str(&fs::read_to_string(&path)?).with_context(|| format!("{} is not JSON", path.display()))?;
    let known = ["runtime", "handler", "memory", "timeout"];
    for key in settings.as_object().with_context(|| format!("{} must be an object", path.display()))?.keys() {
        if !known.contains(&key.as_str()) {
            bail!("{} has an unknown key {key:?}; it may have {known:?}", path.display());
        }
    }
    Ok(settings)
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
        "{} holds no function that can be recognised: expected one of {PYTHON:?}, {NODE:?}, a Cargo.toml or an executable \
         `bootstrap`; or say --runtime and --handler",
        directory.display()
    )
}

/// The first file that defines one of the usual names.
fn find(directory: &Path, files: &[&str], defines: fn(&str, &str) -> bool) -> anyhow::Result<String> {
    for file in files {
        let Ok(text) = fs::read_to_string(directory.join(file)) else { continue };
        for function in FUNCTIONS {
            if defines(&text, function) {
                let module = file.rsplit_once('.').map_or(*file, |(module, _)| module);
                return Ok(format!("{module}.{function}"));
            }
        }
    }
    bail!("no handler found in {files:?}: define `handler(event, context)` or say --handler MODULE.FUNCTION")
}

fn python_defines(text: &str, function: &str) -> bool {
    text.lines().any(|line| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix("def ")
            .is_some_and(|rest| rest.trim_start().strip_prefix(function).is_some_and(|r| r.starts_with('(')))
            || line.strip_prefix(function).is_some_and(|rest| rest.trim_start().starts_with('='))
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
    }

    #[test]
    fn node_handlers_are_found_in_both_module_forms() {
        assert!(node_exports("exports.handler = async () => {}", "handler"));
        assert!(node_exports("export const handler = async () => {}", "handler"));
        assert!(!node_exports("const handler = 1", "handler"));
    }

    #[test]
    fn an_unknown_setting_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("lambent.json"), r#"{"runtim":"python3.11"}"#).unwrap();
        let error = detect(folder.path(), None, None, &mut Known::default()).unwrap_err().to_string();
        assert!(error.contains("runtim"), "{error}");
    }
}

//! `package.json`: what `npm start` would run. npm itself is not there in a function.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::Value;

use super::{Candidate, Run};
use crate::deploy::detect::Kind;
use crate::deploy::options::As;

/// How deep scripts may call each other.
const DEPTH: usize = 8;

pub(super) fn package(directory: &Path) -> anyhow::Result<Value> {
    let path = directory.join("package.json");
    if !path.exists() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&fs::read(&path)?).with_context(|| format!("{} is not JSON", path.display()))
}

pub(super) fn start(directory: &Path) -> anyhow::Result<Option<Candidate>> {
    let package = package(directory)?;
    if package["scripts"]["start"].as_str().is_none_or(|line| line.trim().is_empty()) {
        return Ok(None);
    }
    Ok(Some(Candidate {
        kind: As::Start,
        what: "a Node application".to_owned(),
        because: "`scripts.start` of package.json".to_owned(),
        language: Some(Kind::Node),
        run: script(&package, "start", DEPTH).map(Run::Command),
        notes: Vec::new(),
    }))
}

/// Whether the package wants to be built first.
pub(super) fn builds(directory: &Path) -> bool {
    package(directory).is_ok_and(|package| package["scripts"]["build"].is_string())
}

/// A command without npm: `npm start` becomes what it runs.
pub(super) fn spelled_out(directory: &Path, command: &str) -> anyhow::Result<String> {
    match called(command) {
        Some(name) => script(&package(directory)?, name, DEPTH),
        None => Ok(command.to_owned()),
    }
}

/// The line of a script, with what npm runs before it.
fn script(package: &Value, name: &str, depth: usize) -> anyhow::Result<String> {
    if depth == 0 {
        bail!("the scripts of package.json call each other in a circle");
    }
    let line = package["scripts"][name].as_str();
    let line = line.with_context(|| format!("package.json has no script {name:?}"))?.trim();
    let line = match called(line) {
        Some(other) => script(package, other, depth - 1)?,
        None => line.to_owned(),
    };
    let before = package["scripts"][format!("pre{name}")].as_str();
    Ok(match before {
        Some(_) => format!("{} && {line}", script(package, &format!("pre{name}"), depth - 1)?),
        None => line,
    })
}

/// The script that a command runs by npm or its like, when that is all it does.
fn called(command: &str) -> Option<&str> {
    let words: Vec<&str> = command.split_whitespace().collect();
    match words.as_slice() {
        ["npm" | "yarn" | "pnpm", "start"] => Some("start"),
        ["npm" | "yarn" | "pnpm", "run", name] | ["yarn" | "pnpm", name] => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn npm_is_taken_out_of_what_it_runs() {
        let package = json!({"scripts": {
            "start": "npm run serve", "serve": "node server.js --port $PORT", "preserve": "node check.js",
            "around": "npm run again", "again": "yarn around",
        }});
        assert_eq!(script(&package, "start", DEPTH).unwrap(), "node check.js && node server.js --port $PORT");
        assert!(script(&package, "around", DEPTH).unwrap_err().to_string().contains("circle"));
        assert!(script(&package, "none", DEPTH).unwrap_err().to_string().contains("none"));
        assert_eq!(called("npm start"), Some("start"));
        assert_eq!(called("pnpm serve"), Some("serve"));
        assert_eq!(called("node npm start"), None);
    }
}

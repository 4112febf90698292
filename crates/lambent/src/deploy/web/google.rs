//! Functions of Google's functions-framework, in Python and Node.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};

use super::{Candidate, Run, node, python};
use crate::deploy::detect::Kind;
use crate::deploy::options::{As, Told};

pub(super) fn candidate(directory: &Path, told: &Told) -> anyhow::Result<Option<Candidate>> {
    let wanted = fs::read_to_string(directory.join("requirements.txt")).unwrap_or_default();
    if python::requires(&wanted, "functions-framework") {
        let run = of_python(directory, told).map(Run::Command);
        return Ok(Some(made(Kind::Python, "functions-framework in requirements.txt", run)));
    }
    let package = node::package(directory)?;
    if package["dependencies"]["@google-cloud/functions-framework"].is_null() {
        return Ok(None);
    }
    // Its own start line says more than what can be read from the source.
    let start = package["scripts"]["start"].as_str().unwrap_or_default();
    if start.contains("functions-framework") && told.target.is_none() && told.kind != Some(As::FunctionsFramework) {
        return Ok(None);
    }
    let main = package["main"].as_str().unwrap_or("index.js").trim_start_matches("./").to_owned();
    let run = of_node(directory, &main, told).map(Run::Command);
    Ok(Some(made(Kind::Node, "@google-cloud/functions-framework in package.json", run)))
}

fn made(language: Kind, because: &str, run: anyhow::Result<Run>) -> Candidate {
    Candidate {
        kind: As::FunctionsFramework,
        what: "a function of functions-framework".to_owned(),
        because: because.to_owned(),
        language: Some(language),
        run,
        notes: Vec::new(),
    }
}

/// How a function wants to be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signature {
    Http,
    CloudEvent,
    Event,
}

impl Signature {
    fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::CloudEvent => "cloudevent",
            Self::Event => "event",
        }
    }
}

fn of_python(directory: &Path, told: &Told) -> anyhow::Result<String> {
    let text = fs::read_to_string(directory.join("main.py")).context("functions-framework wants a main.py")?;
    let program = "exec python3 -m functions_framework";
    command(program, "main.py", &in_python(&text), told)
}

fn of_node(directory: &Path, main: &str, told: &Told) -> anyhow::Result<String> {
    let text = fs::read_to_string(directory.join(main)).with_context(|| format!("functions-framework wants {main}"))?;
    command("exec functions-framework", main, &in_node(&text), told)
}

fn command(program: &str, file: &str, found: &[(String, Signature)], told: &Told) -> anyhow::Result<String> {
    let signature = |signature: Signature| match signature {
        Signature::Http => String::new(),
        other => format!(" --signature-type={}", other.word()),
    };
    if let Some(target) = &told.target {
        let kind = found.iter().find(|(name, _)| name == target).map_or(Signature::Http, |(_, kind)| *kind);
        return Ok(format!("{program} --target={}{}", quoted(target), signature(kind)));
    }
    if told.has_target {
        return Ok(program.to_owned());
    }
    match found {
        [(name, kind)] => Ok(format!("{program} --target={}{}", quoted(name), signature(*kind))),
        [] => bail!("{file} defines no function that functions-framework could serve; --target names one"),
        many => {
            let names: Vec<&str> = many.iter().map(|(name, _)| name.as_str()).collect();
            bail!("{file} defines several functions ({}): say which with --target", names.join(", "))
        }
    }
}

/// A name as it stands in a command: JavaScript's may hold `$`.
fn quoted(name: &str) -> String {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    if plain { name.to_owned() } else { format!("'{}'", name.replace('\'', "'\\''")) }
}

/// Functions of a Python file: those that are registered, else every one whose parameters say what it is.
fn in_python(text: &str) -> Vec<(String, Signature)> {
    let (mut registered, mut plain, mut mark) = (Vec::new(), Vec::new(), None);
    for line in text.lines() {
        if let Some(decorator) = line.strip_prefix('@') {
            let word = decorator.rsplit('.').next().unwrap_or_default();
            match word.split('(').next().unwrap_or_default().trim() {
                "http" | "typed" => mark = Some(Signature::Http),
                "cloud_event" => mark = Some(Signature::CloudEvent),
                _ => {}
            }
            continue;
        }
        let line = line.strip_prefix("async ").unwrap_or(line);
        let Some((name, rest)) = line.strip_prefix("def ").and_then(|rest| rest.split_once('(')) else { continue };
        let name = name.trim().to_owned();
        if let Some(signature) = mark.take() {
            registered.push((name, signature));
            continue;
        }
        let parameters = rest.split(')').next().unwrap_or_default();
        let words: Vec<&str> =
            parameters.split(',').map(|one| one.split(':').next().unwrap_or_default().trim()).collect();
        match words.as_slice() {
            ["request" | "req"] => plain.push((name, Signature::Http)),
            ["cloud_event" | "cloudevent"] => plain.push((name, Signature::CloudEvent)),
            ["event" | "data", "context"] => plain.push((name, Signature::Event)),
            _ => {}
        }
    }
    if registered.is_empty() { plain } else { registered }
}

/// Functions of a Node file: those that are registered, else what is exported.
fn in_node(text: &str) -> Vec<(String, Signature)> {
    let mut found = Vec::new();
    for (call, signature) in [(".http(", Signature::Http), (".cloudEvent(", Signature::CloudEvent)] {
        for (at, _) in text.match_indices(call) {
            let rest = text[at + call.len()..].trim_start();
            let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"' | '`'));
            let name = quote.and_then(|quote| rest[1..].split_once(quote)).map(|(name, _)| name.to_owned());
            // Registered functions carry their kind themselves.
            found.extend(name.map(|name| (name, signature)));
        }
    }
    if !found.is_empty() {
        return found;
    }
    for line in text.lines() {
        let line = line.trim_start();
        let exported = ["exports.", "module.exports.", "export const ", "export function ", "export async function "];
        let Some(rest) = exported.iter().find_map(|start| line.strip_prefix(start)) else { continue };
        let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_' || *c == '$').collect();
        if !name.is_empty() {
            found.push((name, Signature::Http));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_of_a_file_and_their_kinds() {
        let registered =
            "import functions_framework\n@functions_framework.cloud_event\ndef seen(e):\n  pass\ndef other(request):\n";
        assert_eq!(in_python(registered), [("seen".to_owned(), Signature::CloudEvent)]);
        let plain = "def hello(request: flask.Request):\n  pass\ndef old(event, context):\n  pass\ndef helper(x):\n";
        assert_eq!(in_python(plain), [("hello".to_owned(), Signature::Http), ("old".to_owned(), Signature::Event)]);
        let node =
            "const f = require('@google-cloud/functions-framework');\nf.cloudEvent('seen', (e) => {});\nexports.x = 1;";
        assert_eq!(in_node(node), [("seen".to_owned(), Signature::CloudEvent)]);
        assert_eq!(in_node("exports.hello = (req, res) => {}"), [("hello".to_owned(), Signature::Http)]);
    }

    #[test]
    fn which_function_is_said_where_there_are_several() {
        let two = [("a".to_owned(), Signature::Http), ("b".to_owned(), Signature::CloudEvent)];
        let error = command("ff", "main.py", &two, &Told::default()).unwrap_err().to_string();
        assert!(error.contains("(a, b)") && error.contains("--target"), "{error}");
        let mut told = Told::default();
        told.target = Some("b".to_owned());
        assert_eq!(command("ff", "main.py", &two, &told).unwrap(), "ff --target=b --signature-type=cloudevent");
        let mut told = Told::default();
        told.has_target = true;
        assert_eq!(command("ff", "main.py", &two, &told).unwrap(), "ff");
    }
}

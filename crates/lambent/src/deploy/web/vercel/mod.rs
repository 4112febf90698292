//! A folder as Vercel has it: a function in each file of `api`, static files beside them, `vercel.json`. One web function serves all
//! of it, by a router that is added to the package.

mod pattern;
mod settings;

use std::fs;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

pub(crate) use settings::Settings;

use super::{Candidate, Run, python};
use crate::deploy::build::{self, Contents, Source};
use crate::deploy::detect::Kind;
use crate::deploy::options::As;

const ROUTER_PYTHON: &str = include_str!("../shims/lambent_vercel.py");
const ROUTER_NODE: &str = include_str!("../shims/lambent_vercel.mjs");
/// Beside static files where these have no folder of their own: no page of anybody.
const PRIVATE: &[&str] = &[
    "package.json",
    "package-lock.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "requirements.txt",
    "pyproject.toml",
    "Pipfile",
    "Pipfile.lock",
    "uv.lock",
    "vercel.json",
    "Procfile",
    "README.md",
    "tsconfig.json",
    "Dockerfile",
];

/// Whether a folder is one: it says so, or its `api` holds what Vercel calls a function.
pub(super) fn is_one(directory: &Path) -> bool {
    let is_declared = directory.join("vercel.json").exists();
    // A file that cannot be served makes no other folder of it.
    let mut files = files_of_api(directory);
    let mut is_function = || files.any(|name| name.is_ok_and(|name| is_function(directory, &name).unwrap_or_default()));
    // A package of Python that is called api is none.
    let is_package = directory.join("api/__init__.py").exists();
    directory.join("api").is_dir() && (is_declared || (!is_package && is_function()))
}

pub(super) fn candidate(directory: &Path) -> anyhow::Result<Option<Candidate>> {
    if !is_one(directory) {
        return Ok(None);
    }
    let (python, node): (Vec<_>, Vec<_>) = match functions(directory) {
        Ok(all) => all.into_iter().partition(|file| file.ends_with(".py")),
        // It is one; why it is not served is said when it is chosen.
        Err(error) => return Ok(Some(broken(error))),
    };
    let language = if python.is_empty() { Kind::Node } else { Kind::Python };
    let settings = settings::read(directory);
    if !python.is_empty() && !node.is_empty() {
        let said = format!(
            "its `api` folder has functions in two languages ({} and {}), and one function has one: put them into two folders",
            python[0], node[0]
        );
        return Ok(Some(broken(anyhow::anyhow!(said))));
    }
    let because = match settings.as_ref().is_ok_and(|settings| settings.is_declared) {
        true => "vercel.json and its `api` folder".to_owned(),
        false => format!(
            "its `api` folder holds functions, as {}",
            python.first().or(node.first()).map_or("none", |one| one)
        ),
    };
    let notes = settings.as_ref().map_or_else(
        |_| Vec::new(),
        |settings| settings.unused.iter().map(|key| format!("{key} of vercel.json says nothing here")).collect(),
    );
    Ok(Some(Candidate {
        kind: As::Vercel,
        what: "a folder as Vercel has it".to_owned(),
        because,
        language: Some(language),
        run: settings.map(Run::Vercel),
        notes,
    }))
}

fn broken(error: anyhow::Error) -> Candidate {
    Candidate {
        kind: As::Vercel,
        what: "a folder as Vercel has it".to_owned(),
        because: "its `api` folder".to_owned(),
        language: None,
        run: Err(error),
        notes: Vec::new(),
    }
}

/// The files of `api` that are functions.
fn functions(directory: &Path) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for name in files_of_api(directory) {
        let name = name?;
        if is_function(directory, &name)? {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}

fn files_of_api(directory: &Path) -> impl Iterator<Item = anyhow::Result<String>> {
    let walk = ignore::WalkBuilder::new(directory.join("api")).require_git(false).parents(false).build();
    walk.filter_map(move |entry| match entry {
        Ok(entry) if !entry.file_type().is_some_and(|kind| kind.is_file()) => None,
        Ok(entry) => {
            let name = entry.path().strip_prefix(directory).unwrap_or(entry.path());
            Some(Ok(name.to_string_lossy().into_owned()))
        }
        Err(error) => Some(Err(error).context("reading the api folder")),
    })
}

fn is_function(directory: &Path, name: &str) -> anyhow::Result<bool> {
    let hidden =
        name.split('/').any(|part| part.starts_with(['_', '.']) || part == "node_modules" || part == "__pycache__");
    if hidden || name.ends_with(".d.ts") {
        return Ok(false);
    }
    let text = || fs::read_to_string(directory.join(name)).with_context(|| format!("reading {name}"));
    match name.rsplit_once('.').map_or("", |(_, end)| end) {
        "py" => {
            let text = text()?;
            let has_class = text.lines().any(|line| {
                let rest = line.strip_prefix("class ").unwrap_or_default();
                rest.starts_with("handler(") || rest.starts_with("Handler(")
            });
            Ok(has_class || python::vercel_app(&text).with_context(|| name.to_owned())?)
        }
        "js" | "mjs" | "cjs" => Ok(exports(&text()?)),
        end @ ("ts" | "tsx" | "mts" | "go" | "rb" | "php" | "rs") => {
            bail!("{name}: functions in .{end} are not built here; build them to JavaScript first")
        }
        _ => Ok(false),
    }
}

/// Whether a JavaScript file exports what can be called for a request.
fn exports(text: &str) -> bool {
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    text.contains("module.exports")
        || text.contains("exports.default")
        || text.contains("export default")
        || text.contains(" as default")
        || methods.iter().any(|method| {
            [format!("exports.{method}"), format!("export const {method}"), format!("function {method}")]
                .iter()
                .any(|form| text.contains(form.as_str()))
        })
}

/// Adds the router and its table, and answers the command that starts it.
pub(super) fn prepare(
    directory: &Path,
    kind: Kind,
    settings: &Settings,
    contents: &mut Contents,
) -> anyhow::Result<String> {
    let mut own = Contents::new();
    build::own(directory, kind == Kind::Node, &mut own)?;
    let names: Vec<&str> = own.keys().map(String::as_str).collect();
    let mut functions = Vec::new();
    for name in names.iter().filter(|name| name.starts_with("api/")) {
        if is_function(directory, name)? {
            functions.push(*name);
        }
    }
    ensure!(!functions.is_empty(), "the `api` folder holds no function");
    let mut table = settings.rules.clone();
    table.insert("functions".to_owned(), routes(&functions)?);
    table.insert("static".to_owned(), files(&names, settings)?);
    contents.insert("lambent_vercel.json".to_owned(), Source::Made(serde_json::to_vec(&table)?));
    let (name, router, program) = match kind {
        Kind::Python => ("lambent_vercel.py", ROUTER_PYTHON, "python3"),
        _ => ("lambent_vercel.mjs", ROUTER_NODE, "node"),
    };
    contents.insert(name.to_owned(), Source::Made(router.as_bytes().to_vec()));
    Ok(format!("exec {program} {name}"))
}

/// By path: which file answers, those without parameters first.
fn routes(functions: &[&str]) -> anyhow::Result<Value> {
    let mut routes = Vec::new();
    for file in functions {
        let (path, end) = file.rsplit_once('.').context("a function's file has an ending")?;
        let (path, is_index) = match path.strip_suffix("/index") {
            Some(folder) => (folder, true),
            None => (path, false),
        };
        let (mut regex, mut names) = (String::from("^"), Vec::new());
        for part in path.split('/') {
            regex.push('/');
            match part.strip_prefix('[').and_then(|part| part.strip_suffix(']')) {
                Some(name) => {
                    regex.push_str("([^/]+?)");
                    names.push(name);
                }
                None => regex.push_str(&escaped(part)),
            }
        }
        regex.push_str(&if is_index { format!("(?:/index(?:\\.{end})?)?/?$") } else { format!("(?:\\.{end})?/?$") });
        routes.push((names.len(), json!({ "source": regex, "names": names, "file": file })));
    }
    routes.sort_by_key(|(parameters, _)| *parameters);
    Ok(routes.into_iter().map(|(_, route)| route).collect())
}

fn escaped(part: &str) -> String {
    part.chars().fold(String::new(), |mut out, c| {
        if !c.is_alphanumeric() && !"_-".contains(c) {
            out.push('\\');
        }
        out.push(c);
        out
    })
}

/// By path: which static file is there.
fn files(names: &[&str], settings: &Settings) -> anyhow::Result<Value> {
    let folder = match &settings.output {
        Some(folder) => Some(format!("{folder}/")),
        None => names.iter().any(|name| name.starts_with("public/")).then(|| "public/".to_owned()),
    };
    let mut out = serde_json::Map::new();
    for name in names {
        let path = match &folder {
            Some(folder) => name.strip_prefix(folder.as_str()),
            None => (!is_private(name)).then_some(*name),
        };
        if let Some(path) = path {
            out.insert(format!("/{path}"), (*name).into());
        }
    }
    if let Some(folder) = &settings.output {
        ensure!(!out.is_empty(), "outputDirectory {folder} holds no files");
    }
    Ok(Value::Object(out))
}

fn is_private(name: &str) -> bool {
    name.starts_with("api/")
        // No browser reads these; scripts for pages may stand anywhere.
        || [".py", ".ts", ".tsx", ".jsx", ".sql", ".sh", ".env"].iter().any(|kind| name.ends_with(kind))
        || PRIVATE.contains(&name.rsplit('/').next().unwrap_or(name))
        || name.split('/').any(|part| part.starts_with('.') || part == "node_modules")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_page_reads_is_nobodys_page() {
        for name in
            ["api/a.js", "lib/db.py", "server.ts", "schema.sql", "backend/package.json", ".env", "a/.git/config"]
        {
            assert!(is_private(name), "{name}");
        }
        assert!(["index.html", "script.js", "img/a.png"].iter().all(|name| !is_private(name)));
    }

    #[test]
    fn files_become_routes() {
        let made = routes(&["api/[id].js", "api/index.js", "api/users/[user]/posts.js", "api/a.b.js"]).unwrap();
        let made: Vec<_> = made.as_array().unwrap().iter().map(|one| one["source"].as_str().unwrap()).collect();
        assert_eq!(
            made,
            [
                "^/api(?:/index(?:\\.js)?)?/?$",
                "^/api/a\\.b(?:\\.js)?/?$",
                "^/api/([^/]+?)(?:\\.js)?/?$",
                "^/api/users/([^/]+?)/posts(?:\\.js)?/?$"
            ]
        );
    }

    #[test]
    fn static_files_are_those_of_their_folder_or_what_is_no_source() {
        let names = ["api/a.js", "index.html", "public/logo.svg", "package.json", ".env"];
        assert_eq!(files(&names, &Settings::default()).unwrap(), json!({"/logo.svg": "public/logo.svg"}));
        let names = ["api/a.js", "index.html", "lib/x.py", "package.json", ".env"];
        assert_eq!(files(&names, &Settings::default()).unwrap(), json!({"/index.html": "index.html"}));
        let out = Settings { output: Some("dist".into()), ..Settings::default() };
        assert!(files(&names, &out).is_err());
        assert_eq!(files(&["dist/a.js"], &out).unwrap(), json!({"/a.js": "dist/a.js"}));
    }

    #[test]
    fn what_a_file_exports_tells_a_function_from_a_helper() {
        assert!(exports("export default function handler(req, res) {}"));
        assert!(exports("module.exports = (req, res) => {}"));
        assert!(exports("export async function GET(request) {}"));
        assert!(!exports("export const helper = 1"));
    }
}

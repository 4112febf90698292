//! Folders made for Apex: a `project.json`, and a function in each folder of `functions`.
//!
//! Source: Apex's documentation, "Projects", "Functions" and "Ignoring files". What Apex ran for a project (hooks, builds of
//! compiled languages) is refused by name: a package must never be less than the project says.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

/// How Apex names functions unless told otherwise.
const NAME_TEMPLATE: &str = "{{.Project.Name}}_{{.Function.Name}}";
/// What Apex takes where nothing is said: MB and seconds.
const MEMORY: u32 = 128;
const TIMEOUT: u32 = 3;

/// Runtimes of Apex's time that are gone, each with the family that may stand in for it.
const GONE: &[(&str, &str)] = &[
    ("nodejs", "nodejs"),
    ("nodejs4.3", "nodejs"),
    ("nodejs4.3-edge", "nodejs"),
    ("nodejs6.10", "nodejs"),
    ("nodejs8.10", "nodejs"),
    ("nodejs10.x", "nodejs"),
    ("nodejs12.x", "nodejs"),
    ("python", "python"),
    ("python2.7", "python"),
    ("python3.6", "python"),
    ("python3.7", "python"),
];

/// Members that `project.json` and `function.json` share. What is not here or refused below is no member of Apex's.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Shared {
    description: Option<String>,
    runtime: Option<String>,
    handler: Option<String>,
    memory: Option<u32>,
    timeout: Option<u32>,
    role: Option<String>,
    environment: BTreeMap<String, String>,
    // Both say how Apex itself works, not what the function is.
    #[serde(rename = "profile")]
    _profile: Option<String>,
    #[serde(rename = "retainedVersions")]
    _retained_versions: Option<u32>,
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

/// A function as Apex would have deployed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Function {
    /// Its folder's name.
    pub(super) folder: String,
    /// By the name template.
    pub(super) name: String,
    pub(super) runtime: String,
    pub(super) handler: String,
    pub(super) memory: u32,
    pub(super) timeout: u32,
    pub(super) description: Option<String>,
    pub(super) role: Option<String>,
    pub(super) environment: BTreeMap<String, String>,
    /// The patterns of both `.apexignore` files, in gitignore's words, relative to the function's folder.
    pub(super) ignored: Vec<String>,
}

/// Whether a folder is one of Apex's.
pub(super) fn is_project(directory: &Path) -> bool {
    directory.join("project.json").exists() && directory.join("functions").is_dir()
}

/// The functions of a project, all or the named ones. `stage` chooses `project.STAGE.json`; `runtime` stands in for
/// runtimes of its family that are gone.
pub(super) fn read(
    directory: &Path,
    stage: Option<&str>,
    only: &[String],
    runtime: Option<&str>,
) -> anyhow::Result<Vec<Function>> {
    let mut project = shared(&directory.join("project.json"))?;
    let default = take_text(&mut project, "defaultEnvironment", "project.json")?;
    let stage = stage.map(str::to_owned).or(default);
    let staged = stage.as_ref().map(|stage| directory.join(format!("project.{stage}.json")));
    if let Some(path) = staged.filter(|path| path.exists()) {
        project = shared(&path)?;
        // Where the stage is chosen already it has no say.
        take_text(&mut project, "defaultEnvironment", "project.json")?;
    }
    let project_name = take_text(&mut project, "name", "project.json")?.context("project.json has no name")?;
    let template = take_text(&mut project, "nameTemplate", "project.json")?;
    let template = template.unwrap_or_else(|| NAME_TEMPLATE.to_owned());
    refuse(&project, "project.json")?;
    let mut folders = Vec::new();
    for entry in fs::read_dir(directory.join("functions"))? {
        let path = entry?.path();
        if path.is_dir() {
            folders.push(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
        }
    }
    folders.sort();
    if let Some(missing) = only.iter().find(|name| !folders.contains(name)) {
        bail!("the project has no function {missing}; it has {}", folders.join(", "));
    }
    let project_ignored = lines(&directory.join(".apexignore"))?;
    let wanted = folders.into_iter().filter(|folder| only.is_empty() || only.contains(folder));
    wanted
        .map(|folder| {
            let inside = directory.join("functions").join(&folder);
            let own = own_settings(&inside, stage.as_deref())?;
            let place = format!("functions/{folder}/function.json");
            refuse(&own, &place)?;
            let asked = own.runtime.or_else(|| project.runtime.clone());
            let asked = asked.with_context(|| format!("neither {place} nor project.json has a runtime"))?;
            let runtime = settle(&asked, runtime, &folder)?;
            let name = named(&template, &project_name, &folder)?;
            let mut environment = project.environment.clone();
            environment.extend(own.environment);
            // Apex tells functions who they are by these.
            environment.insert("APEX_FUNCTION_NAME".into(), folder.clone());
            environment.insert("LAMBDA_FUNCTION_NAME".into(), name.clone());
            let mut ignored = vec![".apexignore".to_owned(), "function.json".to_owned(), "function.*.json".to_owned()];
            ignored.extend(project_ignored.iter().cloned());
            ignored.extend(lines(&inside.join(".apexignore"))?);
            let usual = if runtime.starts_with("python") { "main.handle" } else { "index.handle" };
            let handler = own.handler.or_else(|| project.handler.clone()).unwrap_or_else(|| usual.to_owned());
            Ok(Function {
                name,
                handler,
                memory: own.memory.or(project.memory).unwrap_or(MEMORY),
                timeout: own.timeout.or(project.timeout).unwrap_or(TIMEOUT),
                description: own.description,
                role: own.role.or_else(|| project.role.clone()),
                folder,
                runtime,
                environment,
                ignored,
            })
        })
        .collect()
}

/// A function's own file, that of the stage before the plain one; none says nothing.
fn own_settings(folder: &Path, stage: Option<&str>) -> anyhow::Result<Shared> {
    let staged = stage.map(|stage| folder.join(format!("function.{stage}.json")));
    let plain = Some(folder.join("function.json"));
    match [staged, plain].into_iter().flatten().find(|path| path.exists()) {
        Some(path) => shared(&path),
        None => Ok(Shared::default()),
    }
}

fn shared(path: &Path) -> anyhow::Result<Shared> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not what Apex reads", path.display()))
}

fn take_text(shared: &mut Shared, key: &str, place: &str) -> anyhow::Result<Option<String>> {
    match shared.more.remove(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => bail!("{key} of {place} must be a text, not {other}"),
    }
}

/// Refuses what is not carried out.
fn refuse(shared: &Shared, place: &str) -> anyhow::Result<()> {
    let Some((key, value)) = shared.more.iter().find(|(_, value)| !is_nothing(value)) else { return Ok(()) };
    if key == "hooks" {
        let hooks: Vec<String> =
            value.as_object().into_iter().flatten().map(|(name, _)| format!("hooks.{name}")).collect();
        bail!(
            "{place} has {}: `lambent deploy` runs no commands of a project. Run what it says yourself, take it out, and \
             deploy again",
            if hooks.is_empty() { "hooks".to_owned() } else { hooks.join(" and ") }
        );
    }
    bail!(
        "{place} has {key}, which `lambent deploy` does not carry out: take it out, and set it with `lambent aws lambda`"
    )
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.values().all(is_nothing),
        _ => false,
    }
}

/// The runtime to run on. One that is gone is replaced only by what the person named.
fn settle(asked: &str, stand_in: Option<&str>, folder: &str) -> anyhow::Result<String> {
    if let Some((_, family)) = GONE.iter().find(|(gone, _)| *gone == asked) {
        return match stand_in {
            Some(other) if other.starts_with(family) && !GONE.iter().any(|(gone, _)| *gone == other) => {
                Ok(other.into())
            }
            _ => bail!(
                "functions/{folder} asks for {asked}, which is gone. If its code can run on a newer one, say so: --runtime \
                 {}",
                if *family == "python" { "python3.12" } else { "nodejs20.x" }
            ),
        };
    }
    ensure!(
        asked.starts_with("nodejs") || asked.starts_with("python"),
        "functions/{folder} asks for {asked}: what Apex builds for it is not built here. Pack it yourself, and use `lambent \
         aws lambda create-function`"
    );
    Ok(asked.to_owned())
}

/// A function's name by the template.
fn named(template: &str, project: &str, function: &str) -> anyhow::Result<String> {
    let mut name = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (field, after) =
            after.split_once("}}").with_context(|| format!("the nameTemplate {template} does not end"))?;
        name.push_str(before);
        name.push_str(match field.trim() {
            ".Project.Name" => project,
            ".Function.Name" => function,
            other => bail!("the nameTemplate has {{{{{other}}}}}; .Project.Name and .Function.Name are known"),
        });
        rest = after;
    }
    name.push_str(rest);
    ensure!(!name.is_empty(), "the nameTemplate gives functions no name");
    Ok(name)
}

/// An ignore file's lines; no file has none.
fn lines(path: &Path) -> anyhow::Result<Vec<String>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(text.lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn functions_inherit_from_their_project() {
        let folder = project(&[
            (
                "project.json",
                r#"{"name":"api","description":"x","runtime":"nodejs20.x","memory":512,"role":"arn:r","environment":{"A":"1","B":"1"},"retainedVersions":5}"#,
            ),
            (
                "functions/users/function.json",
                r#"{"description":"d","memory":256,"timeout":9,"environment":{"B":"2"},"hooks":{}}"#,
            ),
            ("functions/plain/index.js", ""),
            ("functions/py/function.json", r#"{"runtime":"python3.11"}"#),
            (".apexignore", "*.md\n"),
            ("functions/users/.apexignore", "test/\n"),
            ("functions/README", "no function"),
        ]);
        assert!(is_project(folder.path()));
        let all = read(folder.path(), None, &[], None).unwrap();
        let [plain, py, users] = &all[..] else { panic!("{all:?}") };
        assert_eq!(
            (plain.name.as_str(), plain.memory, plain.timeout, plain.handler.as_str()),
            ("api_plain", 512, TIMEOUT, "index.handle")
        );
        assert_eq!((py.runtime.as_str(), py.handler.as_str()), ("python3.11", "main.handle"));
        assert_eq!(
            (users.memory, users.timeout, users.role.as_deref(), users.description.as_deref()),
            (256, 9, Some("arn:r"), Some("d"))
        );
        assert_eq!((users.environment["A"].as_str(), users.environment["B"].as_str()), ("1", "2"));
        assert_eq!(users.environment["APEX_FUNCTION_NAME"], "users");
        assert_eq!(users.environment["LAMBDA_FUNCTION_NAME"], "api_users");
        assert!(users.ignored.ends_with(&["*.md".to_owned(), "test/".to_owned()]));
        assert_eq!(read(folder.path(), None, &["users".into()], None).unwrap().len(), 1);
        assert!(
            read(folder.path(), None, &["nobody".into()], None).unwrap_err().to_string().contains("plain, py, users")
        );
    }

    #[test]
    fn stages_have_files_of_their_own() {
        let folder = project(&[
            ("project.json", r#"{"name":"dev","runtime":"nodejs20.x","defaultEnvironment":"stage"}"#),
            (
                "project.prod.json",
                r#"{"name":"prod","runtime":"nodejs20.x","nameTemplate":"{{.Function.Name}}-{{ .Project.Name }}"}"#,
            ),
            ("functions/f/function.json", r#"{"memory":128}"#),
            ("functions/f/function.prod.json", r#"{"memory":1024}"#),
            ("functions/f/function.stage.json", r#"{"memory":300}"#),
        ]);
        let one = |stage| read(folder.path(), stage, &[], None).unwrap().remove(0);
        assert_eq!((one(Some("prod")).name, one(Some("prod")).memory), ("f-prod".into(), 1024));
        assert_eq!((one(None).name, one(None).memory), ("dev_f".into(), 300), "the default environment");
        assert_eq!(one(Some("other")).memory, 128);
    }

    #[test]
    fn what_is_not_carried_out_is_refused_by_name() {
        let said = |project_json: &str, function_json: &str, runtime: Option<&str>| {
            let folder = project(&[("project.json", project_json), ("functions/f/function.json", function_json)]);
            read(folder.path(), None, &[], runtime).map(|all| all[0].runtime.clone()).map_err(|error| error.to_string())
        };
        let old = r#"{"name":"p","runtime":"nodejs4.3"}"#;
        assert!(said(old, "{}", None).unwrap_err().contains("functions/f asks for nodejs4.3, which is gone"));
        assert_eq!(said(old, "{}", Some("nodejs20.x")), Ok("nodejs20.x".into()));
        assert!(said(old, "{}", Some("python3.12")).is_err(), "another family");
        assert!(
            said(old, r#"{"runtime":"python2.7"}"#, Some("nodejs20.x")).unwrap_err().contains("--runtime python3.12")
        );
        assert_eq!(
            said(old, r#"{"runtime":"nodejs22.x"}"#, Some("nodejs20.x")),
            Ok("nodejs22.x".into()),
            "only what is gone"
        );
        assert!(said(old, r#"{"runtime":"java"}"#, None).unwrap_err().contains("java"));
        let fine = r#"{"name":"p","runtime":"nodejs20.x"}"#;
        assert!(said(fine, r#"{"hooks":{"build":"npm run build"}}"#, None).unwrap_err().contains("hooks.build"));
        assert!(said(fine, r#"{"vpc":{"subnets":["s"],"securityGroups":[]}}"#, None).unwrap_err().contains("has vpc"));
        assert_eq!(said(fine, r#"{"vpc":{"subnets":[],"securityGroups":[]}}"#, None), Ok("nodejs20.x".into()));
        assert!(said(r#"{"runtime":"nodejs20.x"}"#, "{}", None).unwrap_err().contains("no name"));
        assert!(said(r#"{"name":"p"}"#, "{}", None).unwrap_err().contains("has a runtime"));
        assert!(
            said(r#"{"name":"p","runtime":"nodejs20.x","nameTemplate":"{{.Env}}"}"#, "{}", None)
                .unwrap_err()
                .contains(".Env")
        );
        assert!(said(r#"{"name":"p","runtime":"nodejs20.x","memory":"much"}"#, "{}", None).is_err());
    }
}

//! WSGI and ASGI applications: found by reading the source, which is never run.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail, ensure};

use super::{Candidate, Run, vercel};
use crate::deploy::detect::Kind;
use crate::deploy::options::As;

/// An application object, as servers are told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct App {
    pub(super) module: String,
    pub(super) name: String,
    pub(super) interface: Interface,
    /// `name` is a function that makes the application.
    pub(super) is_factory: bool,
}

/// How a server speaks to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Interface {
    Wsgi,
    Asgi,
    /// Both, the second by another module: Django.
    Either(String),
}

/// Applications are called what makes them.
const WSGI: &[&str] = &["Flask", "Bottle", "get_wsgi_application", "default_app", "make_wsgi_app", "APIFlask"];
const ASGI: &[&str] =
    &["FastAPI", "Starlette", "Quart", "Litestar", "Sanic", "get_asgi_application", "BlackSheep", "Robyn"];
/// Factories that people write; what they make is seen elsewhere in the file.
const FACTORIES: &[&str] = &["create_app", "make_app"];
const SKIPPED: &[&str] =
    &["node_modules", "venv", "env", "tests", "test", "docs", "examples", "scripts", "migrations", "__pycache__"];
/// Deeper than this nobody keeps an entry point.
const DEPTH: usize = 3;

/// Whether requirements name a package, in whatever version and with whatever extras.
pub(super) fn requires(requirements: &str, package: &str) -> bool {
    let plain = |name: &str| name.to_ascii_lowercase().replace(['_', '.'], "-");
    requirements.lines().any(|line| {
        let name: String =
            line.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect();
        plain(&name) == package
    })
}

pub(super) fn candidate(directory: &Path) -> Option<Candidate> {
    if let Some(app) = django(directory) {
        let because = format!("manage.py and the project `{}`", app.module.split('.').next().unwrap_or_default());
        return Some(Candidate::new(As::App, "a Django project", because, Kind::Python, Run::App(app)));
    }
    let mut found = search(directory);
    // An entry point lies at the top, if there is one.
    if found.iter().any(|(file, _, _)| !file.contains('/')) {
        found.retain(|(file, _, _)| !file.contains('/'));
    }
    if found.iter().any(|(_, app, _)| !app.is_factory) {
        found.retain(|(_, app, _)| !app.is_factory);
    }
    let (file, app, maker) = found.first()?.clone();
    let because = format!("{file} makes `{}`", app.name);
    let mut candidate = Candidate::new(As::App, format!("a {maker} application"), because, Kind::Python, Run::App(app));
    if found.len() > 1 {
        let names: Vec<String> = found.iter().map(|(_, app, _)| format!("{}:{}", app.module, app.name)).collect();
        candidate.run =
            Err(anyhow::anyhow!("there are several applications ({}): say which with --app", names.join(", ")));
    }
    Some(candidate)
}

/// The application that a person names.
pub(super) fn named(directory: &Path, named: &str) -> anyhow::Result<App> {
    let (module, name) = named.split_once(':').with_context(|| format!("--app takes MODULE:NAME, not {named}"))?;
    let word = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_');
    let name = name.strip_suffix("()").unwrap_or(name);
    ensure!(module.split('.').all(word) && word(name), "--app takes MODULE:NAME, not {named}");
    let path = module.replace('.', "/");
    let files = [format!("{path}.py"), format!("{path}/__init__.py")];
    let file = files.iter().find(|file| directory.join(file).is_file());
    let file = file.with_context(|| format!("{} has no module {module}", directory.display()))?;
    let text = fs::read_to_string(directory.join(file))?;
    let whole = all_text(directory);
    if let Some((app, _)) = in_file(module, &text, &whole).into_iter().find(|(app, _)| app.name == name) {
        return Ok(app);
    }
    let interface = interface_of(&text)
        .or_else(|| interface_of(&whole))
        .map(|(interface, _)| interface)
        .with_context(|| format!("whether {named} is WSGI or ASGI cannot be seen: say its server with --command"))?;
    let is_factory = text.lines().any(|line| line.starts_with(&format!("def {name}(")));
    Ok(App { module: module.to_owned(), name: name.to_owned(), interface, is_factory })
}

/// The application of a project that `manage.py` names.
fn django(directory: &Path) -> Option<App> {
    let text = fs::read_to_string(directory.join("manage.py")).ok()?;
    let (_, rest) = text.split_once("DJANGO_SETTINGS_MODULE")?;
    let (_, rest) = rest.split_once(',')?;
    let quote = rest.trim_start().chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let settings = rest.trim_start()[1..].split(quote).next()?;
    // `project.settings`, or deeper, as `config.settings.local`.
    let mut module = settings;
    while let Some((outer, _)) = module.rsplit_once('.') {
        module = outer;
        let has = |name: &str| directory.join(module.replace('.', "/")).join(name).is_file();
        let interface = match (has("wsgi.py"), has("asgi.py")) {
            (true, true) => Interface::Either(format!("{module}.asgi")),
            (true, false) => Interface::Wsgi,
            (false, true) => Interface::Asgi,
            (false, false) => continue,
        };
        let file = if interface == Interface::Asgi { "asgi" } else { "wsgi" };
        return Some(App {
            module: format!("{module}.{file}"),
            name: "application".to_owned(),
            interface,
            is_factory: false,
        });
    }
    None
}

fn files(directory: &Path) -> Vec<String> {
    let is_vercel = vercel::is_one(directory);
    let walk = ignore::WalkBuilder::new(directory)
        .require_git(false)
        .max_depth(Some(DEPTH))
        .filter_entry(move |entry| {
            let name = entry.file_name().to_string_lossy();
            // Files of a Vercel folder are functions, not one application.
            let is_api = is_vercel && entry.depth() == 1 && name == "api";
            entry.depth() == 0 || !(SKIPPED.contains(&name.as_ref()) || is_api)
        })
        .build();
    let mut names: Vec<String> = walk
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.path().strip_prefix(directory).ok()?.to_str()?;
            let is_test =
                name.rsplit('/').next().is_some_and(|file| file.starts_with("test_") || file == "conftest.py");
            (name.ends_with(".py") && !is_test).then(|| name.to_owned())
        })
        .collect();
    names.sort();
    names
}

fn all_text(directory: &Path) -> String {
    files(directory).iter().filter_map(|name| fs::read_to_string(directory.join(name)).ok()).collect()
}

/// Every application: its file, itself, and what makes it.
fn search(directory: &Path) -> Vec<(String, App, String)> {
    let mut found = Vec::new();
    let whole = all_text(directory);
    for file in files(directory) {
        let Ok(text) = fs::read_to_string(directory.join(&file)) else { continue };
        let module = file.trim_end_matches(".py").replace('/', ".");
        let module = module.strip_suffix(".__init__").unwrap_or(&module).to_owned();
        found.extend(in_file(&module, &text, &whole).into_iter().map(|(app, maker)| (file.clone(), app, maker)));
    }
    found
}

/// The applications that a file makes at its top level.
fn in_file(module: &str, text: &str, whole: &str) -> Vec<(App, String)> {
    let mut found: Vec<(App, String)> = Vec::new();
    let app = |name: &str, interface, is_factory| App {
        module: module.to_owned(),
        name: name.to_owned(),
        interface,
        is_factory,
    };
    for line in text.lines() {
        if let Some((name, interface, maker)) = assigned(line, whole) {
            found.push((app(name, interface, false), maker));
        } else if let Some((name, interface)) = callable(line) {
            found.push((app(name, interface.clone(), false), interface.word().to_owned()));
        } else if let Some(name) = FACTORIES.iter().find(|name| line.starts_with(&format!("def {name}(")))
            && let Some((interface, maker)) = interface_of(text)
        {
            found.push((app(name, interface, true), maker));
        }
    }
    // `app = FastAPI()` beside `internal = FastAPI()`: the first name people give is the one that is served.
    for usual in ["app", "application"] {
        if found.iter().any(|(app, _)| app.name == usual) {
            found.retain(|(app, _)| app.name == usual);
            found.truncate(1);
        }
    }
    found
}

/// `app = Flask(…)`, with a type or without.
fn assigned<'a>(line: &'a str, whole: &str) -> Option<(&'a str, Interface, String)> {
    if line.starts_with(char::is_whitespace) {
        return None;
    }
    let (left, right) = line.split_once('=')?;
    let name = left.split(':').next()?.trim();
    if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let maker = right.trim_start().split('(').next().filter(|_| right.contains('('))?.trim();
    let last = maker.rsplit('.').next()?;
    let interface = match last {
        "App" | "API" if maker == "falcon.asgi.App" => Interface::Asgi,
        "App" | "API" if maker.starts_with("falcon.") => Interface::Wsgi,
        _ if WSGI.contains(&last) => Interface::Wsgi,
        _ if ASGI.contains(&last) => Interface::Asgi,
        _ if FACTORIES.contains(&last) => {
            return interface_of(whole).map(|(interface, maker)| (name, interface, maker));
        }
        _ => return None,
    };
    Some((name, interface, last.to_owned()))
}

/// `def application(environ, start_response)`, or its like in ASGI.
fn callable(line: &str) -> Option<(&str, Interface)> {
    let (interface, rest) = match line.strip_prefix("async def ") {
        Some(rest) => (Interface::Asgi, rest),
        None => (Interface::Wsgi, line.strip_prefix("def ")?),
    };
    let (name, rest) = rest.split_once('(')?;
    let first = rest.split(',').next()?.split(':').next()?.trim();
    let fits = match interface {
        Interface::Wsgi => first == "environ" && rest.contains("start_response"),
        _ => first == "scope" && rest.contains("receive"),
    };
    fits.then_some((name.trim(), interface))
}

/// The kind of application a text makes somewhere, and by what.
fn interface_of(text: &str) -> Option<(Interface, String)> {
    let calls = |name: &&&str| {
        let call = format!("{name}(");
        text.match_indices(&call).any(|(at, _)| !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
    };
    let named =
        |makers: &[&str], interface: Interface| makers.iter().find(calls).map(|maker| (interface, (*maker).to_owned()));
    named(ASGI, Interface::Asgi).or_else(|| named(WSGI, Interface::Wsgi))
}

impl Interface {
    fn word(&self) -> &'static str {
        match self {
            Self::Wsgi | Self::Either(_) => "WSGI",
            Self::Asgi => "ASGI",
        }
    }
}

/// Whether a file of an `api` folder makes an application that such a folder can serve.
pub(super) fn vercel_app(text: &str) -> anyhow::Result<bool> {
    let named: Vec<_> = in_file("api", text, text).into_iter().filter(|(app, _)| app.name == "app").collect();
    match named.first() {
        Some((app, maker)) if app.interface == Interface::Asgi => {
            bail!(
                "`app` is an ASGI application ({maker}), which is not served from an `api` folder: `--as app` serves it alone"
            )
        }
        Some(_) => Ok(true),
        None => Ok(false),
    }
}

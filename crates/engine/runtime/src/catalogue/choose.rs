//! The interpreter for a runtime: the version it names, or an honest stand-in, or a refusal that says what to do.

use std::path::PathBuf;

use super::{Family, OLDEST_NODE, OLDEST_PYTHON, Runtime};

/// The option with which the owner of the platform lets an older interpreter stand in.
pub const ALLOW_OLDER_OPTION: &str = "--allow-older-runtimes";

/// An interpreter of the host, as whoever looked for it found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    /// [`Family::Python`] or [`Family::Node`].
    pub family: Family,
    /// Major, minor and patch version, as it told them itself.
    pub version: (u32, u32, u32),
    /// The program; the same path inside a sandbox that has `mounts`.
    pub exe: PathBuf,
    /// What a sandbox must see besides the system's folders: the host's folder, and where it appears.
    pub mounts: Vec<(PathBuf, PathBuf)>,
}

/// What the owner of the platform allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// The platform listens on loopback only: it serves its owner, who may take a newer version for the named one.
    pub loopback: bool,
    /// [`ALLOW_OLDER_OPTION`] was given.
    pub allow_older: bool,
}

/// How a runtime is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What was asked for.
    pub runtime: Runtime,
    /// What serves it; none for a custom runtime, which brings its own.
    pub interpreter: Option<Interpreter>,
    /// Set when the interpreter is not of the version asked for: one sentence for the answer, the log and doctor.
    pub stand_in: Option<String>,
}

/// No interpreter of this host may serve the runtime.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Missing {
    /// What is missing, what there is, and the exact way to mend it.
    pub message: String,
}

/// Chooses the interpreter that serves `runtime`: of the exact version, the highest patch; else, on a loopback listener,
/// the nearest newer version; else, if allowed, the nearest older one that our bootstraps run on.
///
/// # Errors
/// [`Missing`] when none of those is there, and for the languages that are not served yet.
pub fn choose(runtime: Runtime, interpreters: &[Interpreter], policy: Policy) -> Result<Choice, Missing> {
    let chosen =
        |interpreter: &Interpreter, stand_in| Ok(Choice { runtime, interpreter: Some(interpreter.clone()), stand_in });
    match runtime.family() {
        Family::Provided => return Ok(Choice { runtime, interpreter: None, stand_in: None }),
        Family::Python | Family::Node => {}
        family => return Err(not_served(runtime, family)),
    }
    let oldest = if runtime.family() == Family::Python { OLDEST_PYTHON } else { OLDEST_NODE };
    let fitting = || {
        let of_family = interpreters.iter().filter(|found| found.family == runtime.family());
        of_family.filter(move |found| line(found) >= oldest)
    };
    let wanted = runtime.version();
    let exact = fitting().filter(|found| line(found) == wanted).max_by_key(|found| found.version);
    if let Some(found) = exact {
        return chosen(found, None);
    }
    // Of several patches of the nearest line, the highest.
    let newer = fitting()
        .filter(|found| line(found) > wanted)
        .min_by_key(|found| (line(found), std::cmp::Reverse(found.version)));
    let older = fitting().filter(|found| line(found) < wanted).max_by_key(|found| found.version);
    match (newer, older) {
        (Some(found), _) if policy.loopback => chosen(found, Some(note(runtime, found))),
        (_, Some(found)) if policy.allow_older => chosen(found, Some(note(runtime, found))),
        _ => Err(missing(runtime, newer, older)),
    }
}

/// The version as far as runtimes tell them apart.
fn line(found: &Interpreter) -> (u32, u32) {
    match found.family {
        Family::Node => (found.version.0, 0),
        _ => (found.version.0, found.version.1),
    }
}

fn shown(found: &Interpreter) -> String {
    let (major, minor, patch) = found.version;
    format!("{} {major}.{minor}.{patch}", found.family.name())
}

/// The language and version asked for, as people say it.
fn wanted(runtime: Runtime) -> String {
    match (runtime.family(), runtime.version()) {
        (family @ (Family::Python | Family::Ruby), (major, minor)) => format!("{} {major}.{minor}", family.name()),
        (family, (major, _)) => format!("{} {major}", family.name()),
    }
}

fn note(runtime: Runtime, found: &Interpreter) -> String {
    format!("{runtime}: {} is not on this host, {} stands in", wanted(runtime), shown(found))
}

fn missing(runtime: Runtime, newer: Option<&Interpreter>, older: Option<&Interpreter>) -> Missing {
    let wanted = wanted(runtime);
    let mut message = format!("{runtime} needs {wanted}, which is not on this host. ");
    if !runtime.is_served() {
        let oldest = match runtime.family() {
            Family::Python => "Python 3.8",
            _ => "Node.js 18",
        };
        message.push_str(&format!("Lambent runs {oldest} and newer: choose a newer runtime"));
        if newer.is_some() {
            message.push_str(", or let the platform listen on loopback, where a newer version stands in");
        }
        return Missing { message: message + "." };
    }
    let (major, minor) = runtime.version();
    let install = match runtime.family() {
        Family::Python => format!("`uv python install {major}.{minor}` or `pyenv install {major}.{minor}`"),
        _ => format!("`nvm install {major}`"),
    };
    message.push_str(&format!("Install it, for example with {install}; "));
    message.push_str(&format!("or name the folder it is in: `lambent runtime add {runtime} --from PREFIX`."));
    if let Some(found) = newer {
        message.push_str(&format!(" {} would stand in on a loopback listener only.", shown(found)));
    } else if let Some(found) = older {
        message
            .push_str(&format!(" {} may stand in if you start the platform with {ALLOW_OLDER_OPTION}.", shown(found)));
    }
    Missing { message }
}

fn not_served(runtime: Runtime, family: Family) -> Missing {
    let name = family.name();
    let way = match family {
        Family::Go => "build it as an executable called bootstrap and use provided.al2023",
        _ => "use Python or Node.js, or an executable called bootstrap with provided.al2023",
    };
    Missing { message: format!("{runtime}: Lambent does not run {name} functions yet; {way}.") }
}

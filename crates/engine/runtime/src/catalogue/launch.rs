//! How a chosen runtime is started.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{Choice, Family, Interpreter};
use crate::BOOTSTRAP_FOLDER;

/// Which bootstraps of its own a function's code and layers hold: regular files that are executable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bootstraps {
    /// `/var/task/bootstrap`.
    pub task: bool,
    /// `/opt/bootstrap`, from a layer.
    pub opt: bool,
}

/// How to start a runtime inside a sandbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Launch {
    /// The program and its arguments.
    pub argv: Vec<OsString>,
    /// The host's folders it needs, and where each appears, read-only.
    pub mounts: Vec<(PathBuf, PathBuf)>,
    /// Whether `argv` ends with a bootstrap of ours.
    ours: bool,
    /// Whether that one can fork.
    forks: bool,
    /// Whether it is to have its language's SDK ready.
    sdk: bool,
}

/// The beginnings of the names of variables that interpreters and the C library read at their very start.
const EARLY: &[&str] =
    &["GCONV_", "GLIBC_", "ICU_", "LANG", "LC_", "LD_", "MALLOC_", "NODE_", "OPENSSL_", "PYTHON", "SSL_", "UV_"];

fn is_early(name: &str) -> bool {
    EARLY.iter().any(|early| name.starts_with(early))
}

/// A runtime that is started before its function is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ahead {
    /// The program and its arguments.
    pub argv: Vec<OsString>,
    /// Its variables until it learns the function's.
    pub env: Vec<(OsString, OsString)>,
    /// The arguments that make it fork itself for each function; none where it cannot.
    pub zygote: Vec<OsString>,
}

impl Launch {
    /// The same, started through a script that gets it as its arguments: what `AWS_LAMBDA_EXEC_WRAPPER` of a function asks
    /// for. Custom runtimes have no wrapper on Lambda: for them the variable is the function's own business.
    /// Source: AWS Lambda developer guide, "Modifying the runtime environment", wrapper scripts.
    #[must_use]
    pub fn wrapped(mut self, script: &str) -> Self {
        self.argv.insert(0, script.into());
        self.ours = false;
        self
    }

    /// A command that serves a port, instead of a runtime: whatever the runtime would have needed is there for it.
    #[must_use]
    pub fn serving(mut self, command: &str) -> Self {
        self.argv = vec!["/bin/sh".into(), "-c".into(), command.into()];
        (self.ours, self.forks) = (false, false);
        self
    }

    /// The same, for a function that uses the SDK its managed runtime brings: what is started ahead has it ready.
    #[must_use]
    pub fn using_sdk(self, uses: bool) -> Self {
        Self { sdk: uses && self.forks, ..self }
    }

    /// Whether what runs can be snapshotted after INIT: a bootstrap of ours that knows how, started by nobody else.
    #[must_use]
    pub fn takes_snapshots(&self) -> bool {
        self.ours && self.forks
    }

    /// How the same is started before its function is known, to learn the rest of `env` when it is: our bootstraps wait
    /// for it on their standard input. None for programs of the function's own, and where the function's own variables
    /// (`own`) hold one that an interpreter reads at its very start.
    pub fn ahead(&self, env: &[(String, String)], own: Option<&BTreeMap<String, String>>) -> Option<Ahead> {
        if !self.ours || own.into_iter().flatten().any(|(name, _)| is_early(name)) {
            return None;
        }
        let more = self.sdk.then(|| OsString::from("sdk"));
        let told = |what: &str| self.argv.iter().cloned().chain([what.into()]).chain(more.clone()).collect();
        let early = env.iter().filter(|(name, _)| is_early(name));
        Some(Ahead {
            argv: told("ahead"),
            env: early.map(|(name, value)| (name.into(), value.into())).collect(),
            zygote: if self.forks { told("zygote") } else { Vec::new() },
        })
    }
}

/// Where a function's code lies.
const TASK: &str = "/var/task";

/// How to compile what Python files lie in `/var/task`: the program hands it in as a snapshot is handed in, after at most
/// `seconds`, and at most `most_bytes` of it. `ours` is as for [`launch`].
pub fn compiler(interpreter: &Interpreter, ours: &Path, seconds: u64, most_bytes: u64) -> Launch {
    let mut argv = vec![interpreter.exe.clone().into_os_string()];
    // Apart from everything: nothing of what is compiled, and no variable, says what is executed.
    argv.extend(["-I", "-S", "-B"].map(OsString::from));
    argv.push(format!("{BOOTSTRAP_FOLDER}/python/compile.py").into());
    argv.extend([TASK.to_owned(), seconds.to_string(), most_bytes.to_string()].map(OsString::from));
    let mut mounts = interpreter.mounts.clone();
    mounts.push((ours.to_owned(), BOOTSTRAP_FOLDER.into()));
    Launch { argv, mounts, ours: false, forks: false, sdk: false }
}

/// A custom runtime without a program: every invocation fails with `Runtime.InvalidEntrypoint`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]")]
pub struct InvalidEntrypoint;

impl InvalidEntrypoint {
    /// What Lambda calls it.
    pub const ERROR_TYPE: &'static str = "Runtime.InvalidEntrypoint";
}

/// How to start `choice`. `ours` is the host's folder to which [`crate::bootstraps`] were written; `theirs` says what
/// the function brings.
///
/// Python is started without `site`, so that the host's site-packages are not the function's. Node.js is told how much of
/// `memory_mb` its heap may take, as on Lambda: it cannot see its limit from within. The handler's name reaches every
/// runtime through `_HANDLER`.
///
/// # Errors
/// [`InvalidEntrypoint`] for a custom runtime without a bootstrap.
pub fn launch(choice: &Choice, memory_mb: u32, ours: &Path, theirs: Bootstraps) -> Result<Launch, InvalidEntrypoint> {
    let Some(interpreter) = &choice.interpreter else {
        let program = match theirs {
            Bootstraps { task: true, .. } => "/var/task/bootstrap",
            Bootstraps { opt: true, .. } => "/opt/bootstrap",
            _ => return Err(InvalidEntrypoint),
        };
        return Ok(Launch { argv: vec![program.into()], mounts: Vec::new(), ours: false, forks: false, sdk: false });
    };
    let (flags, bootstrap) = match interpreter.family {
        Family::Node => {
            let (young, old) = (memory_mb.div_ceil(20), memory_mb * 9 / 10);
            let flags = vec![format!("--max-semi-space-size={young}"), format!("--max-old-space-size={old}")];
            (flags, "node/bootstrap.cjs")
        }
        _ => (vec!["-S".to_owned(), "-s".to_owned()], "python/bootstrap.py"),
    };
    let mut argv = vec![interpreter.exe.clone().into_os_string()];
    argv.extend(flags.into_iter().map(OsString::from));
    argv.push(format!("{BOOTSTRAP_FOLDER}/{bootstrap}").into());
    let mut mounts = interpreter.mounts.clone();
    mounts.push((ours.to_owned(), BOOTSTRAP_FOLDER.into()));
    Ok(Launch { argv, mounts, ours: true, forks: interpreter.family == Family::Python, sdk: false })
}

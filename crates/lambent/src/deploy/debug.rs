//! What goes along with a function that is debugged: a module that waits for the debugger before it starts the function's own code.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail, ensure};

use super::build::{self, Contents, Source};
use super::detect::{Found, Kind};
use crate::interpreters::Known;

const PYTHON: &str = include_str!("web/shims/lambent_debug.py");
const NODE: &str = include_str!("web/shims/lambent_debug.mjs");
/// Node loads it before any program.
pub(super) const NODE_OPTIONS: &str = "--import=/var/task/lambent_debug.mjs";
/// Servers that run in one process, as modules of their own.
const MODULES: &[(&str, &str)] =
    &[("uvicorn", "uvicorn"), ("hypercorn", "hypercorn"), ("flask", "flask"), ("waitress-serve", "waitress")];

/// Adds it to the package. The function's variables that belong to it; a handler or a command is changed to go through it.
pub(super) fn prepare(
    found: &mut Found,
    command: &mut Option<String>,
    contents: &mut Contents,
    host: &mut Known,
) -> anyhow::Result<Vec<(&'static str, String)>> {
    match found.kind {
        Kind::Python => {
            if !contents.contains_key("debugpy/__init__.py") {
                of_host(&found.runtime, contents, host)?;
            }
            contents.insert("lambent_debug.py".to_owned(), Source::Made(PYTHON.as_bytes().to_vec()));
        }
        Kind::Node => drop(contents.insert("lambent_debug.mjs".to_owned(), Source::Made(NODE.as_bytes().to_vec()))),
        Kind::Rust | Kind::Bootstrap => {
            bail!("--debug is for Python and Node; a native program brings its own debugger")
        }
    }
    Ok(match (command, found.kind) {
        (Some(command), Kind::Python) => {
            *command = through(command)?;
            Vec::new()
        }
        (Some(_), _) => vec![("NODE_OPTIONS", NODE_OPTIONS.to_owned())],
        (None, _) => {
            let handler = std::mem::replace(&mut found.handler, "lambent_debug.handler".to_owned());
            vec![("LAMBENT_DEBUG_HANDLER", handler)]
        }
    })
}

/// debugpy of the interpreter that runs the function.
fn of_host(runtime: &str, contents: &mut Contents, host: &mut Known) -> anyhow::Result<()> {
    let interpreter = host.for_runtime(runtime)?;
    let ask = "import debugpy, os; print(os.path.dirname(debugpy.__file__))";
    let said = Command::new(&interpreter.exe).args(["-c", ask]).output();
    let said = said.with_context(|| format!("running {}", interpreter.exe.display()))?;
    let exe = interpreter.exe.display();
    ensure!(
        said.status.success(),
        "debugpy is not there: add it to requirements.txt, or install it for this host by `{exe} -m pip install debugpy`"
    );
    let folder = String::from_utf8(said.stdout).context("debugpy lies at a path that is not UTF-8")?;
    let mut files = Contents::new();
    build::everything(Path::new(folder.trim()), &mut files)?;
    contents.extend(files.into_iter().map(|(name, file)| (format!("debugpy/{name}"), file)));
    Ok(())
}

/// A command of Python that waits for the debugger first.
fn through(command: &str) -> anyhow::Result<String> {
    let rest = command.trim_start();
    let (exec, rest) = rest.strip_prefix("exec ").map_or(("", rest), |rest| ("exec ", rest.trim_start()));
    let (program, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    if program == "python3" || program == "python" {
        ensure!(
            !rest.contains("functions_framework") && !rest.contains("gunicorn"),
            "`{command}` starts processes of its own, which --debug does not follow"
        );
        return Ok(format!("{exec}python3 lambent_debug.py {rest}"));
    }
    match MODULES.iter().find(|(name, _)| *name == program) {
        Some((_, module)) => Ok(format!("{exec}python3 lambent_debug.py -m {module} {rest}")),
        None => bail!(
            "--debug knows how to start python3, uvicorn and their like, not `{command}`: say a command with --command"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::through;

    #[test]
    fn commands_go_through_the_module_that_waits() {
        for (command, becomes) in [
            ("exec python3 lambent_wsgi.py 'app:app'", "exec python3 lambent_debug.py lambent_wsgi.py 'app:app'"),
            ("python -m http.server $PORT", "python3 lambent_debug.py -m http.server $PORT"),
            ("uvicorn main:app --port $PORT", "python3 lambent_debug.py -m uvicorn main:app --port $PORT"),
        ] {
            assert_eq!(through(command).unwrap(), becomes);
        }
        for command in ["gunicorn app:app", "exec python3 -m functions_framework --target=x", "./run.sh"] {
            assert!(through(command).is_err(), "{command}");
        }
    }
}

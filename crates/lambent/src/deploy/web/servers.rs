//! Which server an application gets: one of those that it brings, else ours.

use anyhow::bail;

use super::python::{App, Interface};
use crate::deploy::build::{Contents, Source};

/// Serves WSGI with Python alone.
const OWN: &str = include_str!("shims/lambent_wsgi.py");

/// The command that serves an application with what its package holds; adds our own server where there is none.
/// `debugged`: a server that starts other processes would take the application away from the debugger.
pub(super) fn serve(app: &App, concurrency: u16, debugged: bool, contents: &mut Contents) -> anyhow::Result<String> {
    let has = |package: &str| {
        let folder = format!("{package}/");
        contents.range(folder.clone()..).next().is_some_and(|(name, _)| name.starts_with(&folder))
    };
    let threads = concurrency.min(64);
    let App { module, name, .. } = app;
    let call = if app.is_factory { "()" } else { "" };
    let wsgi = app.interface != Interface::Asgi;
    if wsgi && has("gunicorn") && !debugged {
        // One process, since an environment has the memory of one; no watching of workers, who stand still with the environment. The
        // platform keeps its connections: who closes one while a form is sent on it loses that.
        return Ok(format!(
            "exec python3 -m gunicorn --bind 0.0.0.0:$PORT --workers 1 --threads {threads} --timeout 0 --keep-alive 75 '{module}:{name}{call}'"
        ));
    }
    if wsgi && has("waitress") {
        let call = if app.is_factory { " --call" } else { "" };
        return Ok(format!(
            "exec python3 -m waitress --listen=0.0.0.0:$PORT --threads={threads}{call} {module}:{name}"
        ));
    }
    let asgi = match &app.interface {
        Interface::Wsgi => None,
        Interface::Asgi => Some(module),
        Interface::Either(module) => Some(module),
    };
    if let Some(module) = asgi {
        if has("uvicorn") {
            let factory = if app.is_factory { " --factory" } else { "" };
            return Ok(format!(
                "exec python3 -m uvicorn --host 0.0.0.0 --port $PORT --timeout-keep-alive 75{factory} {module}:{name}"
            ));
        }
        if has("hypercorn") {
            return Ok(format!("exec python3 -m hypercorn --bind 0.0.0.0:$PORT '{module}:{name}{call}'"));
        }
        if has("daphne") && !app.is_factory {
            return Ok(format!("exec python3 -m daphne -b 0.0.0.0 -p $PORT {module}:{name}"));
        }
    }
    if !wsgi {
        bail!(
            "{module}:{name} is an ASGI application and brings no server for it: add `uvicorn` to requirements.txt, or say one \
             with --command"
        );
    }
    contents.insert("lambent_wsgi.py".to_owned(), Source::Made(OWN.as_bytes().to_vec()));
    Ok(format!("exec python3 lambent_wsgi.py '{module}:{name}{call}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(interface: Interface, is_factory: bool, packages: &[&str]) -> anyhow::Result<String> {
        let app = App { module: "m".into(), name: "app".into(), interface, is_factory };
        let mut contents: Contents =
            packages.iter().map(|name| (format!("{name}/__init__.py"), Source::Made(Vec::new()))).collect();
        let command = serve(&app, 64, false, &mut contents)?;
        assert_eq!(contents.contains_key("lambent_wsgi.py"), command.contains("lambent_wsgi.py"));
        Ok(command)
    }

    #[test]
    fn the_server_is_one_that_the_package_holds() {
        let either = || Interface::Either("asgi".into());
        for (interface, is_factory, packages, word) in [
            (Interface::Wsgi, false, &["flask"][..], "lambent_wsgi.py 'm:app'"),
            (Interface::Wsgi, true, &[], "lambent_wsgi.py 'm:app()'"),
            (Interface::Wsgi, true, &["gunicorn", "uvicorn"], "--keep-alive 75 'm:app()'"),
            (Interface::Wsgi, false, &["waitress"], "-m waitress"),
            (Interface::Wsgi, false, &["gunicorn_extra"], "lambent_wsgi.py"),
            (Interface::Asgi, true, &["gunicorn", "uvicorn"], "--timeout-keep-alive 75 --factory m:app"),
            (Interface::Asgi, false, &["hypercorn"], "-m hypercorn"),
            (either(), false, &["gunicorn", "uvicorn"], "-m gunicorn"),
            (either(), false, &["uvicorn"], "--timeout-keep-alive 75 asgi:app"),
            (either(), false, &[], "lambent_wsgi.py"),
        ] {
            let command = served(interface, is_factory, packages).unwrap();
            assert!(command.contains(word), "{command}");
        }
        let error = served(Interface::Asgi, false, &["gunicorn"]).unwrap_err().to_string();
        assert!(error.contains("add `uvicorn`"), "{error}");
    }
}

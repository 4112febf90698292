//! Folders, and what they are taken for.

use std::fs;

use super::super::detect::{Found, Kind, detect};
use super::super::options::{Arguments, As};
use super::*;

/// What a folder of these files is taken for: the runtimes are said, so that no interpreter is asked.
fn found(files: &[(&str, &str)], change: impl FnOnce(&mut Arguments)) -> anyhow::Result<(Found, String)> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let mut arguments = Arguments::of(folder.path());
    change(&mut arguments);
    let found = detect(folder.path(), &arguments.told(folder.path())?, &mut Known::default())?;
    let command = match &found.web {
        Some(web) => web.prepare(folder.path(), found.kind, false, &mut Contents::new())?,
        None => String::new(),
    };
    Ok((found, command))
}

fn python(files: &[(&str, &str)]) -> (Found, String) {
    found(files, |arguments| arguments.runtime = Some("python3.12".to_owned())).unwrap()
}

fn node(files: &[(&str, &str)]) -> (Found, String) {
    found(files, |arguments| arguments.runtime = Some("nodejs22.x".to_owned())).unwrap()
}

fn refused(files: &[(&str, &str)], change: impl FnOnce(&mut Arguments)) -> String {
    format!("{:#}", found(files, change).unwrap_err())
}

#[test]
fn handlers_stay_handlers_and_say_what_else_there_is() {
    let (one, _) = python(&[("app.py", "from flask import Flask\napp = Flask('x')\nhandler = wrap(app)\n")]);
    assert_eq!((one.handler.as_str(), one.web), ("app.handler", None));
    assert!(one.notes[0].contains("--as app"), "{:?}", one.notes);
    let (one, _) = node(&[("index.js", "exports.handler = 1"), ("Procfile", "web: node x.js")]);
    assert_eq!(one.handler, "index.handler");
    let (one, command) = found(&[("index.js", "exports.handler = 1"), ("Procfile", "web: ./x")], |arguments| {
        (arguments.kind, arguments.runtime) = (Some(As::Web), Some("nodejs22.x".into()));
    })
    .unwrap();
    assert_eq!((one.handler.as_str(), command.as_str()), ("web", "./x"));
}

#[test]
fn applications_are_found_in_the_source() {
    for (files, command) in [
        (&[("app.py", "app = Flask(__name__)\ndef main():\n    app.run()\n")][..], "lambent_wsgi.py 'app:app'"),
        (&[("server.py", "import flask\nweb: flask.Flask = flask.Flask('x')\n")], "'server:web'"),
        (&[("app/__init__.py", "def create_app():\n    return Flask('x')\n")], "'app:create_app()'"),
        (
            &[
                ("app/__init__.py", "def create_app():\n    return Flask('x')\n"),
                ("wsgi.py", "from app import create_app\napp = create_app()\n"),
            ],
            "'wsgi:app'",
        ),
        (&[("wsgi.py", "def application(environ, start_response):\n    pass\n")], "'wsgi:application'"),
        (
            &[
                ("manage.py", "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings.local')"),
                ("shop/wsgi.py", ""),
            ],
            "'shop.wsgi:application'",
        ),
        (
            &[("a.py", "app = Flask('a')"), ("tests/b.py", "app = Flask('b')"), ("deep/er/c.py", "app = Flask('c')")],
            "'a:app'",
        ),
    ] {
        let (one, said) = python(files);
        assert_eq!(one.handler, "web");
        assert!(said.contains(command), "{said}");
    }
    let two = &[("a.py", "app = Flask('a')"), ("b.py", "app = FastAPI()")];
    let runtime = |arguments: &mut Arguments| arguments.runtime = Some("python3.12".to_owned());
    assert!(refused(two, runtime).contains("(a:app, b:app): say which with --app"));
    let error = refused(two, |arguments| {
        runtime(arguments);
        arguments.app = Some("b:app".to_owned());
    });
    assert!(error.contains("b:app is an ASGI application") && error.contains("`uvicorn`"), "{error}");
    let error = refused(two, |arguments| arguments.app = Some("c:app".to_owned()));
    assert!(error.contains("no module c"), "{error}");
}

#[test]
fn what_is_declared_comes_before_what_the_code_looks_like() {
    let flask = ("app.py", "app = Flask('x')\n");
    let (one, command) = python(&[("Procfile", "web: gunicorn app:app\nworker: x\n"), flask]);
    assert_eq!(command, "gunicorn app:app");
    assert_eq!(one.notes.len(), 2, "{:?}", one.notes);
    let package = r#"{"scripts":{"start":"node server.js","build":"x"}}"#;
    let (one, command) = node(&[("package.json", package)]);
    assert_eq!((one.kind, command.as_str()), (Kind::Node, "node server.js"));
    assert!(one.notes[0].contains("scripts.build"));
    let error = refused(&[("package.json", package), flask], |_| ());
    assert!(error.contains("--as start ") && error.contains("--as app "), "{error}");
    let (one, command) = node(&[("Procfile", "web: npm start"), ("package.json", package)]);
    assert_eq!((one.kind, command.as_str()), (Kind::Node, "node server.js"));
}

#[test]
fn functions_framework_is_known_by_its_package() {
    let main = ("main.py", "@functions_framework.http\ndef hello(request):\n    return 'x'\n");
    let (_, command) = python(&[("requirements.txt", "functions_framework==3.*\n"), main]);
    assert_eq!(command, "exec python3 -m functions_framework --target=hello");
    let package = r#"{"main":"f.js","dependencies":{"@google-cloud/functions-framework":"^4"}}"#;
    let (_, command) = node(&[("package.json", package), ("f.js", "functions.cloudEvent('seen', (e) => 1)")]);
    assert_eq!(command, "exec functions-framework --target=seen --signature-type=cloudevent");
    let package = r#"{"scripts":{"start":"functions-framework --target=x"},"dependencies":{"@google-cloud/functions-framework":"^4"}}"#;
    let (one, command) = node(&[("package.json", package), ("index.js", "exports.x = 1; exports.y = 2")]);
    assert_eq!(
        (command.as_str(), one.because.as_str()),
        ("functions-framework --target=x", "`scripts.start` of package.json")
    );
    let error = refused(&[("main.py", "")], |arguments| arguments.target = Some("x".into()));
    assert!(error.contains("requirements.txt"), "{error}");
}

#[test]
fn a_folder_of_functions_is_known_by_what_is_in_api() {
    let class = ("api/index.py", "from http.server import *\nclass handler(BaseHTTPRequestHandler):\n");
    let (one, command) = python(&[class]);
    assert_eq!((one.handler.as_str(), command.as_str()), ("web", "exec python3 lambent_vercel.py"));
    let get = ("api/[id].js", "export function GET(request) {}");
    let start = ("package.json", r#"{"scripts":{"start":"vite"}}"#);
    let (one, command) =
        node(&[get, ("vercel.json", r#"{"functions":{"api/*.js":{"memory":300,"maxDuration":7}}}"#), start]);
    assert_eq!(command, "exec node lambent_vercel.mjs");
    assert_eq!((one.memory, one.timeout), (Some(300), Some(7)));
    assert!(refused(&[get, start], |_| ()).contains("--as vercel "));
    assert!(refused(&[get, class], |_| ()).contains("two languages"));
    assert!(refused(&[get, ("api/x.ts", "")], |_| ()).contains(".ts are not built"));
    assert!(refused(&[get, ("vercel.json", r#"{"crons":[]}"#)], |_| ()).contains("crons is not known"));
    assert!(refused(&[class, ("api/a.py", "app = FastAPI()\n")], |_| ()).contains("ASGI"));
    // A package that is called api is no such folder.
    let (one, _) = python(&[("api/__init__.py", ""), ("api/main.py", "app = Flask('x')\n")]);
    assert_eq!(one.because, "api/main.py makes `app`");
}

#[test]
fn programs_that_read_the_port_and_those_that_do_not() {
    let main = ("src/main.rs", "fn main() { std::env::var(\"PORT\") }");
    let one = |manifest| found(&[("Cargo.toml", manifest), main], |_| ()).unwrap();
    assert_eq!(one("[package]").1, "exec ./bootstrap");
    assert_eq!(one("lambda_http = \"1\"").0.handler, "bootstrap");
    assert_eq!(found(&[("Cargo.toml", ""), ("src/main.rs", "")], |_| ()).unwrap().0.web, None);
}

#[test]
fn commands_and_images() {
    let error = refused(&[("Dockerfile", "FROM scratch")], |_| ());
    assert!(error.contains("Dockerfile") && error.contains("images are not built"), "{error}");
    assert!(refused(&[], |_| ()).contains("holds no function"));
    let told = |command: &str| {
        let command = command.to_owned();
        move |arguments: &mut Arguments| {
            (arguments.command, arguments.concurrency, arguments.ready_path) =
                (Some(command), Some(3), Some("/up".into()));
        }
    };
    let (one, _) = found(&[("Dockerfile", ""), ("bootstrap", "")], told("./bootstrap --port $PORT")).unwrap();
    let web = one.web.unwrap();
    assert_eq!((one.kind, one.runtime.as_str()), (Kind::Bootstrap, "provided.al2023"));
    let names: Vec<_> = web.variables("c").into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(names, ["LAMBENT_WEB_COMMAND=c", "LAMBENT_WEB_CONCURRENCY=3", "LAMBENT_WEB_READY_PATH=/up"]);
    let both = &[("requirements.txt", ""), ("package.json", "{}")];
    assert!(refused(both, told("serve")).contains("Say --runtime"));
    assert!(refused(&[], |arguments| arguments.kind = Some(As::Procfile)).contains("no procfile folder"));
    assert_eq!(by_program("A=1 exec /usr/bin/python3 -m x"), Some(Kind::Python));
}

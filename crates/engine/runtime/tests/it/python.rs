//! Our bootstrap for Python.

use std::path::{Path, PathBuf};

use base::Timestamp;
use runtime::{InitOutcome, Outcome};
use serde_json::{Value, json};

use crate::environment::{ARN, Code, Environment, event};

/// An interpreter, started for its function or ahead of it.
pub(crate) struct Python {
    exe: PathBuf,
    ahead: bool,
}

/// Interpreters to try, in both ways: `LAMBENT_TEST_PYTHONS` names them, colon-separated, or the host's own.
pub(crate) fn interpreters() -> Vec<Python> {
    let named = std::env::var("LAMBENT_TEST_PYTHONS").unwrap_or_else(|_| "/usr/bin/python3".into());
    let both = |exe: &str| [false, true].map(|ahead| Python { exe: exe.into(), ahead });
    named.split(':').flat_map(both).collect()
}

pub(crate) async fn start(code: &Code, python: &Python, handler: &str, more: &[(&str, &str)]) -> Environment {
    let bootstrap = code.bootstrap("python/bootstrap.py");
    let mut program = vec![python.exe.as_path(), Path::new("-S"), Path::new("-s"), &bootstrap];
    program.extend(python.ahead.then_some(Path::new("ahead")));
    Environment::start(code, &program, handler, more).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_function_brings_wins_over_what_was_imported_before_it() {
    let code = Code::new(&[
        ("numbers.py", "mine = 1"),
        ("decimal/__init__.py", "mine = 2"),
        (
            "app.py",
            "import numbers, decimal, logging, time\n\
            def handler(event, context):\n    \
            started = logging._startTime / (1e9 if isinstance(logging._startTime, int) else 1)\n    \
            return [numbers.mine, decimal.mine, time.time() - started < 30]",
        ),
    ]);
    for python in interpreters() {
        let environment = start(&code, &python, "app.handler", &[]).await;
        assert_eq!(environment.answer("{}").await, json!([1, 2, true]), "ahead: {}", python.ahead);
    }
}

/// An installation that has these packages besides what this interpreter's has: for PYTHONHOME.
fn installation(exe: &Path, folder: &Path, packages: &[(&str, &str)]) {
    let asked =
        std::process::Command::new(exe).args(["-S", "-c", "import os; print(os.path.dirname(os.__file__))"]).output();
    let library = PathBuf::from(String::from_utf8(asked.unwrap().stdout).unwrap().trim());
    let ours = folder.join("lib").join(library.file_name().unwrap());
    for (path, text) in packages {
        let path = ours.join("site-packages").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    for entry in
        std::fs::read_dir(&library).unwrap().map(Result::unwrap).filter(|entry| entry.file_name() != "site-packages")
    {
        std::os::unix::fs::symlink(entry.path(), ours.join(entry.file_name())).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_the_interpreter_s_own_packages_the_sdk_is_found_and_no_other() {
    let code = Code::new(&[
        ("six.py", "whose = 'mine'"),
        (
            "app.py",
            "import boto3, boto3.part, six\n\
            def handler(event, context):\n    \
            try:\n        import other\n    except ImportError:\n        other = None\n    \
            return [boto3.whose, boto3.part.whose, six.whose, other is None]",
        ),
    ]);
    for python in interpreters().iter().filter(|python| !python.ahead) {
        let home = code.task().with_file_name("home");
        let theirs = [("boto3/__init__.py", "whose = 'theirs'"), ("boto3/part.py", "whose = 'theirs'")];
        installation(&python.exe, &home, &[theirs[0], theirs[1], ("six.py", "whose = 'theirs'"), ("other.py", "")]);
        let environment = start(&code, python, "app.handler", &[("PYTHONHOME", home.to_str().unwrap())]).await;
        assert_eq!(environment.answer("{}").await, json!(["theirs", "theirs", "mine", true]));
        std::fs::remove_dir_all(&home).unwrap();
    }
}

const BASICS: &str = r#"
import os, sys
def echo(event, context): return event
def raw(event, context): return b'\x00\xff'
def about(event, context):
    print("hello", "wörld")
    names = "function_name function_version invoked_function_arn memory_limit_in_mb aws_request_id log_group_name log_stream_name".split()
    found = {name: getattr(context, name) for name in names}
    found["left"] = context.get_remaining_time_in_millis()
    found["trace"] = os.environ.get("_X_AMZN_TRACE_ID")
    found["identity"] = context.identity.cognito_identity_id
    client = context.client_context
    found["client"] = client and [client.custom, client.env, client.client.app_title]
    found["cwd"], found["path"], found["argv"] = os.getcwd(), sys.path[:3], sys.argv
    found["packages"] = [folder for folder in sys.path if folder.endswith("-packages")]
    context.log("logged\n")
    return found
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_gets_its_event_and_context() {
    let code = Code::new(&[("pkg/mod.py", BASICS)]);
    for python in interpreters() {
        let environment = start(&code, &python, "pkg/mod.about", &[]).await;
        assert_eq!(environment.initialised().await, InitOutcome::Ready);
        let mut first = event("{}");
        first.client_context = Some(r#"{"custom":{"k":"v"},"env":{"a":1},"client":{"app_title":"t"}}"#.into());
        let id = first.request_id;
        let Outcome::Response { payload } = environment.invoke(first).await else { panic!("it raised") };
        // What was printed is in the pipe when the answer has come.
        assert_eq!(environment.written(), "hello wörld\nlogged\n");
        let found = crate::environment::json(&payload);
        assert_eq!(found["function_name"], "f");
        assert_eq!(found["function_version"], "$LATEST");
        assert_eq!(found["invoked_function_arn"], ARN);
        assert_eq!(found["memory_limit_in_mb"], "128");
        assert_eq!(found["aws_request_id"], id.as_str());
        assert_eq!(found["log_group_name"], "/aws/lambda/f");
        assert_eq!(found["log_stream_name"], "stream");
        assert_eq!(found["client"], json!([{"k": "v"}, {"a": 1}, "t"]));
        assert!((1..=60_000).contains(&found["left"].as_i64().unwrap()));
        assert_eq!(found["trace"], "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0");
        assert_eq!(found["path"][0], code.task().to_str().unwrap());
        assert_eq!(found["path"][2], "/opt/python");
        // The host's packages are not the function's.
        assert_eq!(found["packages"], json!([found["path"][1]]));

        let mut second = event("{}");
        second.trace = None;
        second.deadline = Timestamp(0);
        let Outcome::Response { payload } = environment.invoke(second).await else { panic!("it raised") };
        let found = crate::environment::json(&payload);
        assert_eq!((&found["client"], &found["trace"], &found["left"]), (&Value::Null, &Value::Null, &json!(0)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_go_out_as_the_managed_runtime_writes_them() {
    let code = Code::new(&[(
        "app.py",
        r#"
from decimal import Decimal
def handler(event, context):
    return eval(event)
"#,
    )]);
    let cases = [
        (r#""{'a': 1, 'b': [True, None, 1.5]}""#, r#"{"a": 1, "b": [true, null, 1.5]}"#),
        (r#""'wörld \\u2028'""#, "\"wörld \u{2028}\""),
        (r#""float('nan')""#, "NaN"),
        (r#""{'x': Decimal('1.10'), 'y': Decimal('NaN'), 'é': '1.10'}""#, r#"{"x": 1.10, "y": NaN, "é": "1.10"}"#),
        (r#""{'b': b'bytes'}""#, r#"{"b": "bytes"}"#),
        (r#""b'raw'""#, "raw"),
        (r#""None""#, "null"),
    ];
    for python in interpreters() {
        let environment = start(&code, &python, "app.handler", &[("AWS_EXECUTION_ENV", "AWS_Lambda_python3.12")]).await;
        for (given, wanted) in cases {
            let Outcome::Response { payload } = environment.invoke(event(given)).await else {
                panic!("{given} raised")
            };
            assert_eq!(String::from_utf8_lossy(&payload), wanted, "{given}");
        }
        let (kind, error) = environment.error(r#""{'a': object()}""#).await;
        assert_eq!(kind, "Runtime.MarshalError");
        assert_eq!(error["errorMessage"], "Unable to marshal response: Object of type object is not JSON serializable");
        assert_eq!(error["stackTrace"], json!([]));
        let (kind, error) = environment.error("{nonsense").await;
        assert_eq!(kind, "Runtime.UnmarshalError");
        assert!(error["errorMessage"].as_str().unwrap().starts_with("Unable to unmarshal input: "));
    }
    // Before 3.12, what is not ASCII is escaped.
    let environment =
        start(&code, &interpreters()[0], "app.handler", &[("AWS_EXECUTION_ENV", "AWS_Lambda_python3.11")]).await;
    let Outcome::Response { payload } = environment.invoke(event(r#""'ö'""#)).await else { panic!("it raised") };
    assert_eq!(payload, r#""\u00f6""#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_carries_its_trace_and_is_logged() {
    let code = Code::new(&[(
        "app.py",
        "def inner():\n    return {}['x']\ndef handler(event, context):\n    print('part', end='')\n    return inner()\n",
    )]);
    for python in interpreters() {
        let environment = start(&code, &python, "app.handler", &[]).await;
        let given = event("{}");
        let id = given.request_id;
        let Outcome::Error { error_type, payload } = environment.invoke(given).await else { panic!("it answered") };
        let error = crate::environment::json(&payload);
        assert_eq!((error_type.as_str(), &error["errorType"]), ("KeyError", &json!("KeyError")));
        assert_eq!(error["errorMessage"], "'x'");
        assert_eq!(error["requestId"], id.as_str());
        let trace = error["stackTrace"].as_array().unwrap();
        assert_eq!(trace.len(), 2, "{trace:?}");
        assert!(trace[0].as_str().unwrap().contains("app.py\", line 5, in handler\n    return inner()"));
        let log = environment.written();
        assert!(log.starts_with("part[ERROR] KeyError: 'x'\rTraceback (most recent call last):\r"), "{log}");
        assert!(log.contains("\r\u{a0}\u{a0}File \"") && log.ends_with('\n'), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn init_errors_have_the_documented_names() {
    let code = Code::new(&[
        ("app.py", "def handler(event, context): pass\n"),
        ("needy.py", "import nothing_like_it\n"),
        ("boto.py", "import boto3\n"),
        ("broken.py", "def f(:\n"),
        ("raising.py", "def deep():\n    raise ValueError('at import')\ndeep()\n"),
    ]);
    let cases = [
        (
            "missing.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'missing': No module named 'missing'",
        ),
        (
            "needy.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'needy': No module named 'nothing_like_it'",
        ),
        ("boto.handler", "Runtime.ImportModuleError", "Unable to import module 'boto': No module named 'boto3'"),
        ("app.nothing", "Runtime.HandlerNotFound", "Handler 'nothing' missing on module 'app'"),
        ("app", "Runtime.MalformedHandlerName", "Bad handler 'app': not enough values to unpack (expected 2, got 1)"),
        ("time.sleep", "Runtime.BuiltInModuleConflict", "Cannot use built-in module time as a handler module"),
        ("broken.f", "Runtime.UserCodeSyntaxError", "Syntax error in module 'broken': "),
        ("raising.handler", "ValueError", "at import"),
    ];
    for python in interpreters() {
        for (handler, kind, message) in cases {
            let environment = start(&code, &python, handler, &[]).await;
            let (error_type, error) = environment.init_error().await;
            assert_eq!(error_type, kind, "{handler}");
            assert_eq!(error["errorType"], kind);
            assert!(error["errorMessage"].as_str().unwrap().starts_with(message), "{error}");
            if handler == "raising.handler" {
                assert_eq!(error["stackTrace"].as_array().unwrap().len(), 2, "{error}");
            }
            let (status, log) = environment.ended().await;
            assert_eq!(status.code(), Some(1));
            assert!(log.contains(&format!("[ERROR] {kind}: {message}")), "{log}");
            assert_eq!(log.contains("add boto3 to requirements.txt"), handler == "boto.handler", "{log}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_root_logger_writes_lambdas_lines() {
    let code = Code::new(&[(
        "app.py",
        r#"
import logging
logger = logging.getLogger("mine")
logging.getLogger().setLevel("INFO")
logger.info("at init")
def handler(event, context):
    logger.info("hello %s", "wörld", extra={"order": 7})
    logger.debug("not seen")
    try:
        1 / 0
    except ZeroDivisionError:
        logger.exception("two\nlines")
    return [type(h).__name__ for h in logging.getLogger().handlers]
"#,
    )]);
    for python in interpreters() {
        let environment = start(&code, &python, "app.handler", &[]).await;
        let given = event("1");
        let id = given.request_id;
        let Outcome::Response { payload } = environment.invoke(given).await else { panic!("it raised") };
        assert_eq!(crate::environment::json(&payload), json!(["LambdaLoggerHandler"]));
        let log = environment.written();
        let lines: Vec<_> = log.lines().collect();
        assert_eq!(lines.len(), 3, "{log}");
        let fields: Vec<_> = lines[0].split('\t').collect();
        assert_eq!((fields[0], fields[2], fields[3]), ("[INFO]", "", "at init"));
        assert!(fields[1].len() == 24 && fields[1].ends_with('Z') && &fields[1][10..11] == "T", "{}", fields[1]);
        assert!(lines[1].ends_with(&format!("Z\t{id}\thello wörld")), "{}", lines[1]);
        assert!(lines[2].starts_with("[ERROR]\t") && lines[2].contains("two\rlines\rTraceback (most"), "{}", lines[2]);

        let environment = start(&code, &python, "app.handler", &[("AWS_LAMBDA_LOG_FORMAT", "JSON")]).await;
        environment.answer("1").await;
        let log = environment.written();
        let lines: Vec<Value> = log.lines().map(|line| crate::environment::json(line.as_bytes())).collect();
        assert_eq!((&lines[1]["level"], &lines[1]["message"]), (&json!("INFO"), &json!("hello wörld")));
        assert_eq!((&lines[1]["order"], &lines[1]["logger"]), (&json!(7), &json!("mine")));
        assert_eq!(lines[2]["errorType"], "ZeroDivisionError");
        assert!(lines[2]["requestId"].is_string() && lines[2]["stackTrace"].is_array());

        let environment = start(&code, &python, "app.nothing", &[("AWS_LAMBDA_LOG_FORMAT", "JSON")]).await;
        environment.init_error().await;
        let (_, log) = environment.ended().await;
        let line = crate::environment::json(log.lines().last().unwrap().as_bytes());
        assert_eq!((&line["level"], &line["errorType"]), (&json!("ERROR"), &json!("Runtime.HandlerNotFound")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaving_ends_the_process() {
    let code =
        Code::new(&[("app.py", "import sys\ndef handler(event, context):\n    print('bye', end='')\n    exit(3)\n")]);
    let environment = start(&code, &interpreters()[0], "app.handler", &[]).await;
    environment.initialised().await;
    let session = std::sync::Arc::clone(&environment.session);
    let invocation = tokio::spawn(async move { session.invoke(event("{}")).await });
    let session = std::sync::Arc::clone(&environment.session);
    let (status, log) = environment.ended().await;
    assert_eq!((status.code(), log.as_str()), (Some(3), "bye"));
    session.close();
    assert_eq!(invocation.await.unwrap(), Err(runtime::Gone));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_payloads_pass_and_too_large_ones_fail() {
    let code = Code::new(&[(
        "app.py",
        "def handler(event, context):\n    return event if isinstance(event, str) else 'x' * event\n",
    )]);
    let environment = start(&code, &interpreters()[0], "app.handler", &[]).await;
    let large = format!("\"{}\"", "é".repeat(3_000_000));
    let Outcome::Response { payload } = environment.invoke(event(&large)).await else { panic!("it raised") };
    assert!(payload == large.as_bytes() || payload.len() > 6_000_000);
    assert_eq!(environment.answer("6291554").await.as_str().unwrap().len(), 6_291_554);
    let (kind, error) = environment.error("6291555").await;
    assert_eq!(kind, "Function.ResponseSizeTooLarge");
    assert_eq!(error["errorMessage"], "Response payload size exceeded maximum allowed payload size (6291556 bytes).");
    // The environment lives on.
    assert_eq!(environment.answer("1").await, "x");
}

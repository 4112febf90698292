//! Our bootstrap for Node.js.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use runtime::{InitOutcome, Outcome};
use serde_json::{Value, json};

use crate::environment::{ARN, Code, Environment, event, json as parse};

/// The interpreter to try: `LAMBENT_TEST_NODE` names it, or the host's own.
fn node() -> PathBuf {
    std::env::var_os("LAMBENT_TEST_NODE").map_or_else(|| "/usr/bin/node".into(), PathBuf::from)
}

pub(crate) async fn start(code: &Code, handler: &str, more: &[(&str, &str)]) -> Environment {
    Environment::start(code, &[&node(), Path::new(&code.bootstrap("node/bootstrap.cjs"))], handler, more).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_gets_its_event_and_context() {
    let code = Code::new(&[(
        "pkg/app.js",
        r#"
exports.nested = { about: async (event, context) => {
  console.log("hello", "wörld", { a: 1 });
  const { functionName, functionVersion, invokedFunctionArn, memoryLimitInMB, awsRequestId, logGroupName, logStreamName, clientContext } = context;
  const left = context.getRemainingTimeInMillis();
  return { event, functionName, functionVersion, invokedFunctionArn, memoryLimitInMB, awsRequestId, logGroupName, logStreamName,
    clientContext, left, trace: process.env._X_AMZN_TRACE_ID, waits: context.callbackWaitsForEmptyEventLoop };
} };
"#,
    )]);
    let environment = start(&code, "pkg/app.nested.about", &[]).await;
    assert_eq!(environment.initialised().await, InitOutcome::Ready);
    let mut given = event(r#"{"ö":[1]}"#);
    given.client_context = Some(r#"{"custom":{"k":"v"}}"#.into());
    let id = given.request_id;
    let Outcome::Response { payload } = environment.invoke(given).await else { panic!("it raised") };
    let log = environment.written();
    let fields: Vec<_> = log.trim_end().split('\t').collect();
    assert_eq!(fields[1..], [id.as_str(), "INFO", "hello wörld { a: 1 }"]);
    assert!(fields[0].len() == 24 && fields[0].ends_with('Z'));
    let found = parse(&payload);
    assert_eq!(found["event"], json!({"ö": [1]}));
    assert_eq!(found["functionName"], "f");
    assert_eq!(found["functionVersion"], "$LATEST");
    assert_eq!(found["invokedFunctionArn"], ARN);
    assert_eq!(found["memoryLimitInMB"], "128");
    assert_eq!(found["awsRequestId"], id.as_str());
    assert_eq!(found["logGroupName"], "/aws/lambda/f");
    assert_eq!(found["logStreamName"], "stream");
    assert_eq!(found["clientContext"], json!({"custom": {"k": "v"}}));
    assert_eq!(found["waits"], true);
    assert!((1..=60_000).contains(&found["left"].as_i64().unwrap()));
    assert!(found["trace"].as_str().unwrap().starts_with("Root=1-"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn modules_of_every_kind_are_loaded() {
    let module = "export const handler = async () => 'module';";
    let common = "exports.handler = async () => 'common';";
    for (files, wanted) in [
        (vec![("app.mjs", module)], "module"),
        (vec![("app.cjs", common)], "common"),
        (vec![("app.js", common)], "common"),
        (vec![("app.js", module), ("package.json", r#"{"type":"module"}"#)], "module"),
        (vec![("app.js", common), ("package.json", r#"{"name":"x"}"#)], "common"),
        (vec![("app/index.js", common)], "common"),
        (vec![("node_modules/app/index.js", common)], "common"),
        (vec![("app.mjs", "export default { handler: async () => 'default' };")], "default"),
    ] {
        let code = Code::new(&files);
        assert_eq!(start(&code, "app.handler", &[]).await.answer("{}").await, wanted, "{files:?}");
    }
}

const STYLES: &str = r#"
let late = 0;
exports.callback = (event, context, callback) => { callback(null, event); };
exports.waits = (event, context, callback) => { setTimeout(() => { late++; }, 20); callback(null, 0); };
exports.hurries = (event, context, callback) => { context.callbackWaitsForEmptyEventLoop = false; setTimeout(() => {}, 60000); callback(null, 1); };
exports.fails = (event, context, callback) => { callback(new TypeError("no")); };
exports.text = (event, context, callback) => { callback("just text"); };
exports.succeed = (event, context) => { context.succeed({ by: "succeed" }); context.succeed(2); };
exports.fail = (event, context) => { setTimeout(() => context.fail(new RangeError("later")), 5); };
exports.done = (event, context) => { setImmediate(() => context.done(null, [late])); };
exports.throws = () => { throw new Error("thrown"); };
exports.nothing = () => {};
exports.never = async () => { await new Promise(() => {}); };
exports.rejects = async () => { const error = new Error("rejected"); error.code = "E1"; throw error; };
exports.undefined = async () => undefined;
exports.circular = async () => { const a = {}; a.a = a; return a; };
exports.handler = (event, context, callback) => exports[event](event, context, callback);
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_answer_in_every_style() {
    let code = Code::new(&[("app.js", STYLES)]);
    let environment = start(&code, "app.handler", &[]).await;
    for (style, wanted) in [
        ("callback", json!("callback")),
        ("waits", json!(0)),
        // Had the answer not waited for the timer, it would not have run.
        ("done", json!([1])),
        ("hurries", json!(1)),
        ("succeed", json!({"by": "succeed"})),
        ("undefined", Value::Null),
    ] {
        assert_eq!(environment.answer(&format!("\"{style}\"")).await, wanted, "{style}");
    }
    for (style, kind, message) in [
        ("fails", "TypeError", "no"),
        ("text", "string", "just text"),
        ("fail", "RangeError", "later"),
        ("throws", "Error", "thrown"),
        ("rejects", "Error", "rejected"),
        ("circular", "Runtime.JSONStringifyError", "Unable to stringify response body"),
    ] {
        let (error_type, error) = environment.error(&format!("\"{style}\"")).await;
        assert_eq!((error_type.as_str(), &error["errorType"]), (kind, &json!(kind)), "{style}");
        assert_eq!(error["errorMessage"], message);
        assert!(error["trace"].is_array());
    }
    let log = environment.written();
    assert!(
        log.contains("\tERROR\tInvoke Error \t{\"errorType\":\"Error\",\"errorMessage\":\"rejected\",\"code\":\"E1\",")
    );
    // A long timer is still pending here from "hurries": only environments without one see an empty loop.
    let environment = start(&code, "app.nothing", &[]).await;
    assert_eq!(environment.answer("{}").await, Value::Null);
    assert_eq!(environment.answer("{}").await, Value::Null);
    let environment = start(&code, "app.never", &[]).await;
    for _ in 0..2 {
        assert_eq!(environment.error("{}").await.0, "Runtime.NodeJsExit");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_24_on_there_are_no_callbacks() {
    let code = Code::new(&[("app.js", "exports.handler = (event) => event;\nexports.old = (a, b, c) => c(null, 1);")]);
    let variables = [("AWS_EXECUTION_ENV", "AWS_Lambda_nodejs24.x")];
    assert_eq!(start(&code, "app.handler", &variables).await.answer("7").await, 7);
    assert_eq!(start(&code, "app.old", &variables).await.init_error().await.0, "Runtime.CallbackHandlerDeprecated");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn init_errors_have_the_documented_names() {
    let code = Code::new(&[
        ("app.js", "exports.handler = async () => 1; exports.number = 4;"),
        ("needy.js", "require('nothing-like-it');"),
        ("sdk.js", "require('@aws-sdk/client-s3');"),
        ("broken.js", "function ( {"),
        ("raising.js", "throw new TypeError('at import');"),
        ("late.mjs", "await null; throw new Error('top level');"),
    ]);
    for (handler, kind, message) in [
        ("missing.handler", "Runtime.ImportModuleError", "Error: Cannot find module 'missing'"),
        ("needy.handler", "Runtime.ImportModuleError", "Error: Cannot find module 'nothing-like-it'"),
        ("sdk.handler", "Runtime.ImportModuleError", "Error: Cannot find module '@aws-sdk/client-s3'"),
        ("app.handlerx", "Runtime.HandlerNotFound", "app.handlerx is undefined or not exported"),
        ("app.number", "Runtime.HandlerNotFound", "app.number is not a function"),
        ("app", "Runtime.MalformedHandlerName", "Bad handler"),
        ("../app.handler", "Runtime.MalformedHandlerName", "'../app.handler' is not a valid handler name."),
        ("broken.handler", "Runtime.UserCodeSyntaxError", "SyntaxError: Unexpected token '('"),
        ("raising.handler", "TypeError", "at import"),
        ("late.handler", "Error", "top level"),
    ] {
        let environment = start(&code, handler, &[]).await;
        let (error_type, error) = environment.init_error().await;
        assert_eq!((error_type.as_str(), &error["errorType"]), (kind, &json!(kind)), "{handler}");
        let told = error["errorMessage"].as_str().unwrap();
        assert!(told.starts_with(message) || told.contains("SyntaxError"), "{told}");
        assert!(error["trace"].is_array());
        let (status, log) = environment.ended().await;
        assert_eq!(status.code(), Some(129));
        assert!(log.contains(&format!("\tundefined\tERROR\tUncaught Exception \t{{\"errorType\":\"{kind}\"")), "{log}");
        assert_eq!(log.contains("lambent deploy installs it"), handler == "sdk.handler", "{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_caught_fails_the_invocation_and_ends_the_process() {
    let code = Code::new(&[(
        "app.js",
        r#"
exports.reject = () => new Promise(() => { Promise.reject(new Error("lost")); setTimeout(() => {}, 60000); });
exports.raise = () => new Promise(() => { setImmediate(() => { throw new RangeError("loose"); }); });
exports.leave = async () => { console.log("bye"); process.exit(3); };
"#,
    )]);
    for (handler, kind, message, status) in [
        ("app.reject", "Runtime.UnhandledPromiseRejection", "Error: lost", 128),
        ("app.raise", "RangeError", "loose", 129),
    ] {
        let environment = start(&code, handler, &[]).await;
        let (error_type, error) = environment.error("{}").await;
        assert_eq!((error_type.as_str(), &error["errorMessage"]), (kind, &json!(message)));
        assert_eq!(environment.ended().await.0.code(), Some(status));
    }
    let environment = start(&code, "app.leave", &[]).await;
    environment.initialised().await;
    let session = std::sync::Arc::clone(&environment.session);
    let invocation = tokio::spawn(async move { session.invoke(event("{}")).await });
    let session = std::sync::Arc::clone(&environment.session);
    let (status, log) = environment.ended().await;
    assert!(status.code() == Some(3) && log.ends_with("\tINFO\tbye\n"), "{status} {log}");
    session.close();
    assert_eq!(invocation.await.unwrap(), Err(runtime::Gone));
}

/// A platform that is slow to take the error: meanwhile the event loop is empty, which must not count as a second answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_uncaught_error_is_the_only_answer() {
    let raise = "exports.raise = () => new Promise(() => { setImmediate(() => { throw new RangeError('loose'); }); });";
    let code = Code::new(&[("app.js", raise)]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let environment = start(&code, "app.raise", &[("AWS_LAMBDA_RUNTIME_API", &address)]).await;
    let (mut platform, _) = listener.accept().unwrap();
    platform.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    read_until(&mut platform, "invocation/next HTTP/1.1\r\n");
    let event = "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: 1\r\nContent-Length: 2\r\n\r\n{}";
    platform.write_all(event.as_bytes()).unwrap();
    read_until(&mut platform, "RangeError: loose");
    // Long enough for a process that would say more to say it.
    platform.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let more = String::from_utf8_lossy(&rest(&mut platform)).into_owned();
    assert!(!more.contains("POST") && !more.contains("GET"), "{more}");
    platform.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n").unwrap();
    assert_eq!(environment.ended().await.0.code(), Some(129));
}

fn read_until(stream: &mut std::net::TcpStream, end: &str) {
    let mut seen = Vec::new();
    let mut piece = [0; 4096];
    while !String::from_utf8_lossy(&seen).contains(end) {
        let count = stream.read(&mut piece).unwrap();
        assert!(count > 0, "it closed after {}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&piece[..count]);
    }
}

/// What still comes until the read times out.
fn rest(stream: &mut std::net::TcpStream) -> Vec<u8> {
    let mut seen = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut piece) {
        seen.extend_from_slice(&piece[..count]);
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_has_levels_and_a_json_form() {
    let code = Code::new(&[(
        "app.js",
        r#"exports.handler = async () => {
  console.debug("unseen"); console.warn("two\nlines"); console.error("with", new TypeError("it")); console.error({ a: 1 });
};"#,
    )]);
    let environment = start(&code, "app.handler", &[("AWS_LAMBDA_LOG_LEVEL", "INFO")]).await;
    environment.answer("{}").await;
    let log = environment.written();
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(lines.len(), 3, "{log}");
    assert!(lines[0].ends_with("\tWARN\ttwo\rlines") && lines[1].contains("\tERROR\twith TypeError: it\r    at "));
    let environment = start(&code, "app.handler", &[("AWS_LAMBDA_LOG_FORMAT", "JSON")]).await;
    environment.answer("{}").await;
    let log = environment.written();
    let lines: Vec<Value> = log.lines().map(|line| parse(line.as_bytes())).collect();
    assert_eq!((&lines[0]["level"], &lines[1]["message"]), (&json!("DEBUG"), &json!("two\nlines")));
    assert_eq!((&lines[2]["errorType"], &lines[2]["errorMessage"]), (&json!("TypeError"), &json!("it")));
    assert_eq!(lines[3]["message"], json!({"a": 1}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_payloads_pass_and_streams_are_buffered() {
    let code = Code::new(&[(
        "app.js",
        r#"
exports.handler = async (event) => typeof event === "number" ? "x".repeat(event) : event;
exports.stream = awslambda.streamifyResponse(async (event, response, context) => {
  response.write("one "); response.write(Buffer.from("two")); response.end();
});
"#,
    )]);
    let environment = start(&code, "app.handler", &[]).await;
    let large = format!("\"{}\"", "é".repeat(3_000_000));
    let Outcome::Response { payload } = environment.invoke(event(&large)).await else { panic!("it raised") };
    assert!(payload == large.as_bytes());
    assert_eq!(environment.answer("6291554").await.as_str().unwrap().len(), 6_291_554);
    assert_eq!(environment.error("6291555").await.0, "Function.ResponseSizeTooLarge");
    assert_eq!(environment.answer("1").await, "x");
    let environment = start(&code, "app.stream", &[]).await;
    let Outcome::Response { payload } = environment.invoke(event("{}")).await else { panic!("it raised") };
    assert_eq!(payload, "one two");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_started_ahead_is_the_function_s_when_it_learns_of_it() {
    let code = Code::new(&[(
        "app.js",
        r#"
const early = { zone: new Date(0).getTimezoneOffset(), keys: Object.keys(process.env).sort(), cwd: process.cwd() };
exports.handler = async (event, context) => {
  console.log("logged");
  const stdin = require("fs").readFileSync(0).length;
  return { early, event, name: context.functionName, own: process.env.OWN, argv: process.argv.length, stdin };
};
"#,
    )]);
    let bootstrap = code.bootstrap("node/bootstrap.cjs");
    let more = [("OWN", "wörld=1"), ("TZ", "Asia/Tokyo"), ("AWS_LAMBDA_LOG_FORMAT", "JSON")];
    let environment = Environment::start(&code, &[&node(), &bootstrap, Path::new("ahead")], "app.handler", &more).await;
    let answer = environment.answer("1").await;
    assert_eq!(environment.written().lines().count(), 1);
    assert_eq!(
        [&answer["event"], &answer["name"], &answer["own"], &answer["argv"], &answer["stdin"]],
        [&json!(1), &json!("f"), &json!("wörld=1"), &json!(2), &json!(0)]
    );
    assert_eq!(answer["early"]["zone"], -540);
    assert_eq!(answer["early"]["cwd"], code.task().to_str().unwrap());
    let keys: Vec<&str> = answer["early"]["keys"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(keys.contains(&"_HANDLER") && keys.contains(&"TZ") && keys.len() == 14, "{keys:?}");
}

//! Runtime clients that others wrote, unmodified.

use std::os::unix::fs::PermissionsExt;

use runtime::{InitOutcome, Outcome};
use serde_json::json;

use crate::environment::{Code, Environment, event};

/// A `provided.al2023` function: its own `bootstrap` is all there is.
async fn start(files: &[(&str, &str)], handler: &str) -> (Code, Environment) {
    let code = Code::new(files);
    let bootstrap = code.task().join("bootstrap");
    std::fs::set_permissions(&bootstrap, std::fs::Permissions::from_mode(0o755)).unwrap();
    let environment = Environment::start(&code, &[&bootstrap], handler, &[]).await;
    (code, environment)
}

/// A client that keeps no connection and sends head and body apart.
const PLAIN: &str = r#"#!/usr/bin/python3
import http.client, os
def call(method, path, body=None, headers={}):
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    connection.request(method, "/2018-06-01/runtime/" + path, body, headers, encode_chunked=body is not None)
    answer = connection.getresponse()
    return answer, answer.read()
while True:
    answer, event = call("GET", "invocation/next")
    id = answer.headers["Lambda-Runtime-Aws-Request-Id"]
    parts = iter([event, b"!"])
    answer, _ = call("POST", "invocation/%s/response" % id, parts, {"Transfer-Encoding": "chunked"})
    assert answer.status == 202
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_http_client_serves() {
    let (_code, environment) = start(&[("bootstrap", PLAIN)], "").await;
    assert_eq!(environment.initialised().await, InitOutcome::Ready);
    let large = "x".repeat(2_000_000);
    for given in ["1", &large, "3"] {
        let Outcome::Response { payload } = environment.invoke(event(given)).await else { panic!("it raised") };
        assert!(payload == format!("{given}!"));
    }
}

/// AWS's own example of a custom runtime, in short.
const SHELL: &str = r#"#!/bin/sh
set -eu
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
while true; do
  headers="$(mktemp)"
  event="$(curl -sS -LD "$headers" "$api/next")"
  id="$(grep -Fi Lambda-Runtime-Aws-Request-Id "$headers" | tr -d '[:space:]' | cut -d: -f2)"
  rm "$headers"
  echo "event of ${#event}" 1>&2
  echo "$event" | curl -sS "$api/$id/response" --data-binary @-
done
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs curl"]
async fn a_shell_script_with_curl_serves() {
    let (_code, environment) = start(&[("bootstrap", SHELL)], "").await;
    assert_eq!(environment.answer("{\"a\":1}").await, json!({"a": 1}));
    // Over 1 MiB curl asks before it sends.
    let large = format!("\"{}\"", "x".repeat(2_000_000));
    assert_eq!(environment.answer(&large).await.as_str().unwrap().len(), 2_000_000);
    assert!(environment.written().starts_with("event of 7\n"));
}

const RIC: &str = "#!/bin/sh\nexec \"$LAMBENT_TEST_AWSLAMBDARIC\" -m awslambdaric \"$_HANDLER\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "LAMBENT_TEST_AWSLAMBDARIC must name a Python that has awslambdaric"]
async fn awslambdaric_serves() {
    let python = std::env::var("LAMBENT_TEST_AWSLAMBDARIC").unwrap();
    let script = RIC.replace("$LAMBENT_TEST_AWSLAMBDARIC", &python);
    let app = r#"
def handler(event, context):
    print("hello")
    if event == "raise": raise ValueError("no" * 1000)
    if isinstance(event, int): return "x" * event
    return [event, context.aws_request_id, context.client_context.custom]
"#;
    let files = [("bootstrap", script.as_str()), ("app.py", app)];
    let (_code, environment) = start(&files, "app.handler").await;
    assert_eq!(environment.initialised().await, InitOutcome::Ready);
    let mut given = event("{\"ö\":1}");
    given.client_context = Some("{\"custom\":{\"a\":\"b\"}}".into());
    let id = given.request_id;
    let Outcome::Response { payload } = environment.invoke(given).await else { panic!("it raised") };
    assert_eq!(crate::environment::json(&payload), json!([{"ö": 1}, id.as_str(), {"a": "b"}]));
    assert_eq!(environment.written(), "hello\n");
    assert_eq!(environment.error("\"raise\"").await.1["errorType"], "ValueError");
    assert_eq!(environment.answer("6291554").await.as_str().unwrap().len(), 6_291_554);
    assert_eq!(environment.error("6291555").await.0, "Function.ResponseSizeTooLarge");

    let (_code, environment) = start(&files, "app.missing").await;
    assert_eq!(environment.init_error().await.0, "Runtime.HandlerNotFound");
}

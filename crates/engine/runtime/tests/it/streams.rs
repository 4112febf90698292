//! Our bootstraps where handlers write their responses piece by piece.

use runtime::Outcome;
use serde_json::{Value, json};

use crate::environment::{Code, event};
use crate::node;
use crate::python::{self, interpreters};

const PRELUDE: &str = "application/vnd.awslambda.http-integration-response";
const PLAIN: &str = "application/octet-stream";

fn whole(outcome: Outcome) {
    let Outcome::Response { payload } = outcome else { panic!("{outcome:?}") };
    assert!(payload.is_empty());
}

fn failed(outcome: Outcome) -> (String, Value) {
    let Outcome::Error { error_type, payload } = outcome else { panic!("{outcome:?}") };
    (error_type, serde_json::from_slice(&payload).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_writes_pieces_preludes_and_failures() {
    let code = Code::new(&[(
        "app.js",
        r#"
const { pipeline } = require("stream/promises");
const { Readable } = require("stream");
const ways = {
  plain: async (_, response) => {
    response.write("one "); response.write(Buffer.from("two ")); response.write({ three: 3 }); response.end(" end");
  },
  typed: async (_, response) => { response.setContentType("text/html"); response.end("<p>"); },
  late: async (_, response) => { response.write("x"); try { response.setContentType("a/b"); } catch (e) { response.end(e.name); } },
  http: async (_, response) => {
    const http = awslambda.HttpResponseStream.from(response, { statusCode: 201, headers: { a: "b" }, cookies: ["c=d"] });
    await pipeline(Readable.from(["one", "two"]), http);
  },
  bare: async (_, response) => { awslambda.HttpResponseStream.from(response, { statusCode: 204 }).end(); },
  empty: async (_, response) => { response.end(); },
  large: async (event, response) => {
    await pipeline(Readable.from((function* () { for (let n = 0; n < 64; n++) yield "x".repeat(65536); })()), response);
  },
  unawaited: async (_, response) => { Readable.from(["a", "b"]).pipe(response); },
  throws: async () => { throw new TypeError("before"); },
  breaks: async (_, response) => { response.write("some"); throw new TypeError("after"); },
  pipebreak: async (_, response) => {
    await pipeline((async function* () { yield "some"; throw new RangeError("inside"); })(), response);
  },
  unended: async (_, response) => { response.write("some"); },
  endthrow: async (_, response) => { response.write("x"); response.end(); throw new TypeError("too late"); },
  latethrow: async (_, response) => {
    await new Promise((ok) => response.end("x", ok)); throw new TypeError("too late");
  },
  unreferenced: async (_, response) => { response.end("x"); await new Promise((ok) => setTimeout(ok, 30).unref()); },
  waitsmore: async (_, response) => { await new Promise((ok) => setTimeout(ok, 80)); response.end("x"); },
  never: async (_, response) => { response.end("x"); await new Promise(() => {}); },
  destroyed: async (_, response) => { response.write("x"); response.end(); response.destroy(); },
  sync: (_, response) => { response.end("x"); },
  syncopen: () => {},
  waits: async (_, response, context) => { setTimeout(() => { console.log("after the end"); }, 50); response.end("x"); },
  hurries: async (_, response, context) => {
    context.callbackWaitsForEmptyEventLoop = false; setTimeout(() => {}, 60000); response.end("x");
  },
  dies: async (_, response) => {
    response.write("some", () => setTimeout(() => { throw new Error("uncaught"); }));
    await new Promise(() => { setTimeout(() => {}, 60000); });
  },
};
exports.handler = awslambda.streamifyResponse((event, response, context) => ways[event](event, response, context), { highWaterMark: 1000 });
"#,
    )]);
    let environment = node::start(&code, "app.handler", &[]).await;
    let stream = async |way: &str| {
        let (kind, text, outcome) = environment.stream(&format!("\"{way}\"")).await;
        (kind.unwrap(), text, outcome)
    };
    for (way, kind, text) in [
        ("plain", PLAIN, "one two {\"three\":3} end"),
        ("typed", "text/html", "<p>"),
        ("late", PLAIN, "xInvalidStreamingOperation"),
        ("http", PRELUDE, "{\"statusCode\":201,\"headers\":{\"a\":\"b\"},\"cookies\":[\"c=d\"]}\0\0\0\0\0\0\0\0onetwo"),
        ("bare", PRELUDE, "{\"statusCode\":204}\0\0\0\0\0\0\0\0"),
        ("empty", PLAIN, ""),
        ("unawaited", PLAIN, "ab"),
        ("never", PLAIN, "x"),
        ("unreferenced", PLAIN, "x"),
        ("waitsmore", PLAIN, "x"),
        ("endthrow", PLAIN, "x"),
        ("sync", PLAIN, "x"),
        ("latethrow", PLAIN, "x"),
        ("waits", PLAIN, "x"),
    ] {
        let (told, written, outcome) = stream(way).await;
        assert_eq!((told.as_str(), written.as_str()), (kind, text), "{way}");
        whole(outcome);
    }
    let (_, text, outcome) = stream("large").await;
    assert!(text.len() == 64 << 16 && text.bytes().all(|byte| byte == b'x'));
    whole(outcome);
    // The timer of `waits` ran before the next event was asked for.
    let log = environment.written();
    assert!(log.contains("after the end") && log.matches("too late").count() >= 2, "{log}");
    for (way, text, kind, message) in [
        ("throws", "", "TypeError", "before"),
        ("breaks", "some", "TypeError", "after"),
        ("pipebreak", "some", "RangeError", "inside"),
        ("unended", "some", "Error", "Response stream is not finished."),
        ("destroyed", "x", "Error", "Response stream is not finished."),
        ("syncopen", "", "Error", "Streaming does not support non-async handlers."),
    ] {
        let (_, written, outcome) = stream(way).await;
        assert!(matches!(outcome, Outcome::Error { .. }), "{way}");
        let (error_type, error) = failed(outcome);
        // What is written and not yet on its way when a handler fails may be lost.
        assert!(text.starts_with(&written), "{way}: {written}");
        assert_eq!((error_type.as_str(), &error["errorMessage"]), (kind, &json!(message)), "{way}");
        assert!(environment.written().contains("Invoke Error"));
    }
    // A plain invocation gets all of it at once.
    let Outcome::Response { payload } = environment.invoke(event("\"plain\"")).await else { panic!("it raised") };
    assert_eq!(payload, "one two {\"three\":3} end");
    assert_eq!(failed(environment.invoke(event("\"breaks\"")).await).0, "TypeError");
    // Whoever does not wait for an empty event loop gets the next event at once.
    let (_, text, outcome) = stream("hurries").await;
    assert_eq!(text, "x");
    whole(outcome);
    let (_, text, outcome) = stream("dies").await;
    assert_eq!(text, "some");
    assert!(matches!(outcome, Outcome::BrokenOff(_)), "{outcome:?}");
    assert_eq!(environment.ended().await.0.code(), Some(129));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_streams_what_a_generator_yields() {
    let code = Code::new(&[(
        "app.py",
        r#"
def plain():
    yield "one "
    yield b"two "
    yield ""
    yield bytearray(b"three ")
    yield "\N{SNOWMAN}"

def http():
    yield {"statusCode": 201, "headers": {"a": "b"}, "cookies": ["c=d"]}
    yield "body"

def throws():
    raise ValueError("before")
    yield

def breaks():
    yield "some"
    raise ValueError("after")

def wrong():
    yield "some"
    yield 7

def large():
    for _ in range(64):
        yield b"x" * 65536

def handler(event, context):
    if event == "iterator":
        return iter(["a", "b"])
    if event == "empty":
        return iter([])
    if event == "list":
        return ["a", "b"]
    return globals()[event]()
"#,
    )]);
    for python in interpreters() {
        let environment = python::start(&code, &python, "app.handler", &[]).await;
        let stream = async |way: &str| environment.stream(&format!("\"{way}\"")).await;
        for (way, kind, text) in [
            ("plain", PLAIN, "one two three \u{2603}"),
            (
                "http",
                PRELUDE,
                "{\"statusCode\": 201, \"headers\": {\"a\": \"b\"}, \"cookies\": [\"c=d\"]}\0\0\0\0\0\0\0\0body",
            ),
            ("iterator", PLAIN, "ab"),
            ("empty", PLAIN, ""),
        ] {
            let (told, written, outcome) = stream(way).await;
            assert_eq!((told.as_deref(), written.as_str()), (Some(kind), text), "{way}");
            whole(outcome);
        }
        let (_, text, outcome) = stream("large").await;
        assert!(text.len() == 64 << 16);
        whole(outcome);
        let wrong = "An item of a streamed response must be str or bytes, not int";
        for (way, kind, message) in [("breaks", "ValueError", "after"), ("wrong", "TypeError", wrong)] {
            let (_, text, outcome) = stream(way).await;
            let (error_type, error) = failed(outcome);
            assert_eq!((text.as_str(), error_type.as_str(), &error["errorMessage"]), ("some", kind, &json!(message)));
            let stack = error["stackTrace"].to_string();
            assert!(way == "wrong" || stack.contains("app.py") && !stack.contains("streams.py"), "{stack}");
            assert!(environment.written().contains(&format!("[ERROR] {kind}: {message}")));
        }
        // Before the first item it is an error like any other, and lists are no streams.
        assert_eq!(environment.error("\"throws\"").await.0, "ValueError");
        assert_eq!(environment.answer("\"list\"").await, json!(["a", "b"]));
        let Outcome::Response { payload } = environment.invoke(event("\"plain\"")).await else { panic!("it raised") };
        assert_eq!(payload, "one two three \u{2603}");
    }
}

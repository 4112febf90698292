//! The page's answers, over a fake platform.

#![allow(clippy::unwrap_used, reason = "a test may stop where its ground gives way")]

use std::sync::{Arc, Mutex};

use base::{Account, BoxFuture, Fault, Principal, RequestId, SystemClocks, SystemRng};
use bytes::Bytes;
use console::{Console, Live, Options};
use door::{Body, Call, Dispatch, Input, Reply, Site, SiteRequest, SiteResponse, Via};
use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};
use tokio::sync::watch;

/// Two functions, one with a URL, and a log; remembers who called what.
#[derive(Default)]
struct Platform {
    calls: Mutex<Vec<(&'static str, Principal)>>,
    no_log: bool,
}

impl Platform {
    fn output(&self, call: &Call) -> Result<Box<dyn wire::Structure>, Fault> {
        use model::lambda::{
            FunctionConfiguration, FunctionUrlConfig, ListFunctionUrlConfigsResponse, ListFunctionsResponse,
        };
        let Input::Encoded(_, request) = &call.input else { panic!("the console is a client") };
        let function = |name: &str| FunctionConfiguration {
            function_name: Some(name.into()),
            memory_size: Some(256),
            ..Default::default()
        };
        Ok(match call.operation.name {
            "ListFunctions" => Box::new(ListFunctionsResponse {
                functions: Some(vec![function("thumbnail"), function("plain")]),
                ..Default::default()
            }),
            "ListFunctionUrlConfigs" if request.path.contains("/thumbnail/") => {
                Box::new(ListFunctionUrlConfigsResponse {
                    function_url_configs: Some(vec![FunctionUrlConfig {
                        function_url: Some("http://abc.lambda-url.us-east-1.localhost:4566/".into()),
                        ..Default::default()
                    }]),
                    ..Default::default()
                })
            }
            "ListFunctionUrlConfigs" => Box::new(ListFunctionUrlConfigsResponse::default()),
            "FilterLogEvents" if self.no_log => {
                return Err(Fault::new("ResourceNotFoundException", 400, "The specified log group does not exist."));
            }
            "FilterLogEvents" => Box::new(model::logs::FilterLogEventsResponse {
                events: Some(vec![model::logs::FilteredLogEvent {
                    timestamp: Some(5),
                    message: Some("hello <b>".into()),
                    ..Default::default()
                }]),
                ..Default::default()
            }),
            other => panic!("the page asks for {other}"),
        })
    }
}

impl Dispatch for Platform {
    fn call(&self, call: Call) -> BoxFuture<'_, Result<Reply, Fault>> {
        assert_eq!(call.via, Via::Room("console"));
        self.calls.lock().unwrap().push((call.operation.name, call.principal.clone()));
        let output = self.output(&call);
        Box::pin(async { Ok(Reply { output: output?, body: Body::Empty }) })
    }
}

fn console(platform: &Arc<Platform>) -> (Console, watch::Sender<usize>) {
    let (count, changes) = watch::channel(0);
    let counted = changes.clone();
    let live = move || match *counted.borrow() {
        0 => Vec::new(),
        busy => vec![Live { function: "thumbnail".into(), starting: 0, busy, idle: 0 }],
    };
    let console = Console::new(Options {
        dispatch: Arc::clone(platform) as Arc<dyn Dispatch>,
        services: model::SERVICES,
        clocks: Arc::new(SystemClocks),
        rng: Arc::new(SystemRng),
        live: Arc::new(live),
        changes,
        keep_alive_ms: 1000,
    });
    (console, count)
}

fn person() -> Principal {
    Principal::Root { account: Account::DEFAULT, verified: false }
}

async fn ask(console: &Console, method: Method, path: &str, query: &str, principal: Principal) -> SiteResponse {
    let mut headers = HeaderMap::new();
    if path.ends_with("/live") {
        headers.insert("accept", HeaderValue::from_static("text/event-stream"));
    }
    let request = SiteRequest {
        method,
        path: path.into(),
        query: query.into(),
        host: "localhost".into(),
        authority: "localhost:4566".into(),
        headers,
        body: Bytes::new(),
        peer: [127, 0, 0, 1].into(),
        principal,
        origin: door::Origin::default(),
        request_id: RequestId::new(&SystemRng),
        takeover: None,
    };
    assert!(console.claims("localhost", path));
    console.serve(request).await
}

fn json_of(response: SiteResponse) -> Value {
    let Body::Bytes(bytes) = response.body else { panic!("JSON is held whole") };
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test]
async fn the_page_loads_nothing_and_runs_only_its_own_script() {
    let (console, _count) = console(&Arc::default());
    let mut nonces = Vec::new();
    for _ in 0..2 {
        let got = ask(&console, Method::GET, "/", "", person()).await;
        let policy = got.headers["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap().to_owned();
        let Body::Bytes(html) = got.body else { panic!("the page is held whole") };
        let html = String::from_utf8(html.to_vec()).unwrap();
        assert_eq!(html.matches(&format!("nonce=\"{nonce}\"")).count(), 2, "one style and one script");
        assert!(!html.contains("{nonce}") && !html.contains("{version}"));
        // Whatever an attribute could load from elsewhere, or run outside the script, the policy would block.
        for loads in ["src=\"http", "href=\"http", "@import", " style=\"", " onclick="] {
            assert!(!html.contains(loads), "{loads}");
        }
        nonces.push(nonce);
    }
    assert_ne!(nonces[0], nonces[1]);
}

#[tokio::test]
async fn functions_are_listed_as_whoever_looks_with_the_path_of_their_url() {
    let platform = Arc::default();
    let (console, _count) = console(&platform);
    let got = json_of(ask(&console, Method::GET, "/_lambent/console/functions", "", person()).await);
    assert_eq!(got["functions"][0]["url"], "/_lambent/url/abc/");
    assert_eq!((&got["functions"][1]["name"], &got["functions"][1]["url"]), (&json!("plain"), &Value::Null));
    assert_eq!((&got["functions"][1]["memoryMb"], &got["more"]), (&json!(256), &json!(false)));
    let calls = platform.calls.lock().unwrap();
    assert_eq!(
        calls.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        ["ListFunctions", "ListFunctionUrlConfigs", "ListFunctionUrlConfigs"]
    );
    assert!(calls.iter().all(|(_, principal)| *principal == person()));
}

#[tokio::test]
async fn a_log_is_shown_and_a_function_that_never_ran_has_an_empty_one() {
    let (console, _count) = console(&Arc::default());
    let got = json_of(ask(&console, Method::GET, "/_lambent/console/logs", "function=a%2Fb", person()).await);
    assert_eq!(got, json!({"function": "a/b", "lines": [{"atMs": 5, "text": "hello <b>"}]}));
    assert_eq!(ask(&console, Method::GET, "/_lambent/console/logs", "", person()).await.status, 400);
    let (console, _count) = self::console(&Arc::new(Platform { no_log: true, ..Platform::default() }));
    let got = ask(&console, Method::GET, "/_lambent/console/logs", "function=new", person()).await;
    assert_eq!(json_of(got)["lines"], json!([]));
}

#[tokio::test]
async fn the_count_of_live_environments_is_told_when_it_changes() {
    let (console, count) = console(&Arc::default());
    let got = ask(&console, Method::GET, "/_lambent/console/live", "", person()).await;
    let Body::Stream(mut events) = got.body else { panic!("events are a stream") };
    assert_eq!(got.headers["content-type"], "text/event-stream");
    let mut next = async || {
        let event = String::from_utf8(events.next().await?.unwrap().to_vec()).unwrap();
        let data = event.strip_prefix("data: ").and_then(|rest| rest.strip_suffix("\n\n")).unwrap().to_owned();
        Some(serde_json::from_str::<Value>(&data).unwrap()["environments"].clone())
    };
    assert_eq!(next().await, Some(json!(0)));
    count.send_replace(3);
    assert_eq!(next().await, Some(json!(3)));
    count.send_replace(0);
    assert_eq!(next().await, Some(json!(0)));
    drop(count);
}

#[tokio::test]
async fn strangers_and_changes_are_refused() {
    let platform = Arc::default();
    let (console, _count) = console(&platform);
    for path in ["/", "/_lambent/console/functions", "/_lambent/console/live", "/_lambent/console/logs"] {
        assert_eq!(ask(&console, Method::GET, path, "", Principal::Anonymous).await.status, 403, "{path}");
        assert_eq!(ask(&console, Method::POST, path, "", person()).await.status, 405, "{path}");
    }
    assert_eq!(ask(&console, Method::GET, "/_lambent/console/nonsense", "", person()).await.status, 404);
    assert!(platform.calls.lock().unwrap().is_empty());
}

//! A room, a caller, a visitor, and the one function there is.

use std::sync::{Arc, Mutex};

use base::{
    Account, BoxFuture, Fault, LogLine, LogSink, Principal, Region, RequestId, SystemRng, Timestamp, VirtualClocks,
};
use door::{Body, Call, Dispatch, Gate, Handle, Input, Origin, Reply, Router, RouterBuilder, Site, SiteRequest, Via};
use http::{HeaderMap, HeaderName, Method};
use httpapis::outbound::{Outbound, Unreached};
use httpapis::{HttpApis, Options, outbound};
use model::apigatewayv2::{self as aws, ops};
use model::lambda;
use serde_json::{Value, json};
use store::Kv;
use wire::Op;

pub(crate) struct World {
    pub(crate) apis: Arc<HttpApis>,
    /// The room behind a door that asks no policies.
    pub(crate) router: Arc<Router>,
    pub(crate) clocks: Arc<VirtualClocks>,
    pub(crate) kv: Arc<dyn Kv>,
    pub(crate) function: Arc<Function>,
    pub(crate) elsewhere: Arc<Elsewhere>,
    pub(crate) lines: Arc<Lines>,
}

/// Log lines, as they come.
#[derive(Default)]
pub(crate) struct Lines(Mutex<Vec<LogLine>>);

impl LogSink for Lines {
    fn write(&self, lines: Vec<LogLine>) {
        self.0.lock().unwrap().extend(lines);
    }
}

impl Lines {
    /// Those since the last look.
    pub(crate) fn take(&self) -> Vec<LogLine> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// What is outside: URLs with their answers, and what was asked.
#[derive(Default)]
pub(crate) struct Elsewhere {
    answers: Mutex<std::collections::HashMap<String, (u16, String)>>,
    asked: Mutex<Vec<outbound::Request>>,
}

impl Elsewhere {
    pub(crate) fn answers(&self, url: &str, status: u16, body: impl Into<String>) {
        self.answers.lock().unwrap().insert(url.into(), (status, body.into()));
    }

    /// What was asked since the last look.
    pub(crate) fn asked(&self) -> Vec<outbound::Request> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

impl Outbound for Elsewhere {
    fn send(&self, request: outbound::Request) -> BoxFuture<'_, Result<outbound::Response, Unreached>> {
        let url = request.url.clone();
        self.asked.lock().unwrap().push(request);
        let known = self.answers.lock().unwrap().get(&url).cloned();
        Box::pin(async move {
            let (status, body) = known.ok_or_else(|| Unreached::Failed(url.clone(), "nobody is there".into()))?;
            if status == 0 {
                std::future::pending::<()>().await;
            }
            let mut headers = HeaderMap::new();
            headers.insert("content-type", "text/html".parse().unwrap());
            headers.insert("connection", "close".parse().unwrap());
            Ok(outbound::Response { status, headers, body: body.into() })
        })
    }
}

/// The only function there is.
pub(crate) const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:hello";

/// What the function does when it is called.
#[derive(Debug, Clone)]
pub(crate) enum Does {
    /// Answers with this.
    Answers(Value),
    /// Answers with these bytes.
    Says(&'static str),
    /// Fails.
    Fails,
    /// Is not called at all, for this reason.
    Refuses(Fault),
    /// Never answers.
    Hangs,
}

/// The other rooms: a function, and who called it how.
pub(crate) struct Function {
    does: Mutex<Does>,
    calls: Mutex<Vec<Called>>,
}

/// One call of the function.
#[derive(Debug, Clone)]
pub(crate) struct Called {
    pub(crate) name: String,
    pub(crate) region: Region,
    pub(crate) principal: Principal,
    pub(crate) event: Value,
}

impl Function {
    pub(crate) fn does(&self, what: Does) {
        *self.does.lock().unwrap() = what;
    }

    /// The only call since the last look.
    pub(crate) fn called(&self) -> Called {
        let mut calls = std::mem::take(&mut *self.calls.lock().unwrap());
        assert_eq!(calls.len(), 1, "{calls:?}");
        calls.pop().unwrap()
    }

    /// All calls since the last look.
    pub(crate) fn calls(&self) -> Vec<Called> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    pub(crate) fn was_called(&self) -> bool {
        !std::mem::take(&mut *self.calls.lock().unwrap()).is_empty()
    }
}

impl Dispatch for Function {
    fn call(&self, call: Call) -> BoxFuture<'_, Result<Reply, Fault>> {
        Box::pin(async move {
            assert_eq!(call.operation.name, "Invoke");
            assert!(call.deadline.is_some() && call.trace.is_some());
            let Input::Typed(input) = call.input else { panic!("a room asks with a value") };
            let input: Box<dyn std::any::Any> = input;
            let asked = input.downcast::<lambda::InvocationRequest>().unwrap();
            let event = serde_json::from_slice(&asked.payload.unwrap()).unwrap();
            let name = asked.function_name.unwrap();
            self.calls.lock().unwrap().push(Called { name, region: call.region, principal: call.principal, event });
            let does = self.does.lock().unwrap().clone();
            let output = match does {
                Does::Answers(value) => {
                    lambda::InvocationResponse { payload: Some(value.to_string().into()), ..Default::default() }
                }
                Does::Says(text) => lambda::InvocationResponse { payload: Some(text.into()), ..Default::default() },
                Does::Fails => lambda::InvocationResponse {
                    function_error: Some("Unhandled".into()),
                    payload: Some("{}".into()),
                    ..Default::default()
                },
                Does::Refuses(fault) => return Err(fault),
                Does::Hangs => std::future::pending().await,
            };
            Ok(Reply { output: Box::new(output), body: Body::Empty })
        })
    }
}

/// What a visitor gets.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Status and body, for answers of the API's own.
    pub(crate) fn both(&self) -> (u16, &str) {
        (self.status, &self.body)
    }
}

pub(crate) const NOT_FOUND: (u16, &str) = (404, r#"{"message":"Not Found"}"#);
pub(crate) const INTERNAL: (u16, &str) = (500, r#"{"message":"Internal Server Error"}"#);

/// An input: its members, each set. Texts are given as they are.
macro_rules! input {
    ($name:ident { $($member:ident: $value:expr),* $(,)? }) => {
        model::apigatewayv2::$name { $($member: Some($value.into()),)* ..Default::default() }
    };
}
pub(crate) use input;

impl World {
    pub(crate) fn new() -> Self {
        Self::over(store::memory(), Gate::off())
    }

    /// A room over rows that may have been used before, with policies.
    pub(crate) fn over(kv: Arc<dyn Kv>, gate: Arc<Gate>) -> Self {
        let clocks = Arc::new(VirtualClocks::default());
        clocks.pause();
        let function =
            Arc::new(Function { does: Mutex::new(Does::Answers(json!({"hello": "you"}))), calls: Mutex::default() });
        let (elsewhere, lines) = (Arc::new(Elsewhere::default()), Arc::new(Lines::default()));
        let apis = HttpApis::open(Options {
            kv: Arc::clone(&kv),
            clocks: clocks.clone(),
            rng: Arc::new(SystemRng),
            dispatch: function.clone(),
            gate: Arc::clone(&gate),
            logs: lines.clone(),
            outbound: elsewhere.clone(),
            authority: "localhost:4566".into(),
            scheme: "http",
        });
        let router = httpapis::register(RouterBuilder::default(), &apis).dropping(dropped()).build(gate);
        Self { apis, router, clocks, kv, function, elsewhere, lines }
    }

    /// The same rows under a room that has just started.
    pub(crate) fn restarted(&self) -> Self {
        Self::over(Arc::clone(&self.kv), Gate::off())
    }

    pub(crate) fn now(&self) -> Timestamp {
        use base::Clocks;
        self.clocks.product()
    }

    pub(crate) async fn call<O: Op>(&self, input: O::Input) -> Result<O::Output, Fault>
    where
        HttpApis: Handle<O>,
    {
        self.call_as::<O>(root(Account::DEFAULT), input).await
    }

    pub(crate) async fn call_as<O: Op>(&self, principal: Principal, input: O::Input) -> Result<O::Output, Fault>
    where
        HttpApis: Handle<O>,
    {
        let call = Call {
            principal,
            via: Via::Client { loopback: true },
            origin: Origin::default(),
            operation: O::ROW,
            input: Input::Typed(Box::new(input)),
            body: Body::Empty,
            region: Region::default_region(),
            request_id: RequestId::new(&SystemRng),
            deadline: None,
            depth: 0,
            trace: None,
        };
        Ok(self.router.call(call).await?.typed().unwrap())
    }

    /// An API with nothing in it; its id.
    pub(crate) async fn api(&self) -> String {
        let input = input!(CreateApiRequest { name: "api", protocol_type: "HTTP" });
        self.call::<ops::CreateApi>(input).await.unwrap().api_id.unwrap()
    }

    /// An API that quick create made around the function; its id.
    pub(crate) async fn quick(&self) -> String {
        let input = input!(CreateApiRequest { name: "api", protocol_type: "HTTP", target: FUNCTION });
        self.call::<ops::CreateApi>(input).await.unwrap().api_id.unwrap()
    }

    /// An integration with the function, in a payload format; its id.
    pub(crate) async fn integration(&self, api: &str, payload: &str) -> String {
        let input = input!(CreateIntegrationRequest {
            api_id: api,
            integration_type: "AWS_PROXY",
            integration_uri: FUNCTION,
            payload_format_version: payload,
        });
        self.call::<ops::CreateIntegration>(input).await.unwrap().integration_id.unwrap()
    }

    /// A route to an integration; its id.
    pub(crate) async fn route(&self, api: &str, key: &str, integration: &str) -> String {
        let target = format!("integrations/{integration}");
        let input = input!(CreateRouteRequest { api_id: api, route_key: key, target: target });
        self.call::<ops::CreateRoute>(input).await.unwrap().route_id.unwrap()
    }

    /// A stage that follows every change.
    pub(crate) async fn stage(&self, api: &str, name: &str) -> aws::CreateStageResponse {
        let input = input!(CreateStageRequest { api_id: api, stage_name: name, auto_deploy: true });
        self.call::<ops::CreateStage>(input).await.unwrap()
    }

    /// An API with the stage `$default` and these routes to the function; its id.
    pub(crate) async fn serving(&self, payload: &str, keys: &[&str]) -> String {
        let api = self.api().await;
        let integration = self.integration(&api, payload).await;
        for key in keys {
            self.route(&api, key, &integration).await;
        }
        self.stage(&api, "$default").await;
        api
    }

    /// A request to an API's own host.
    pub(crate) async fn visit(&self, api: &str, method: &str, path: &str) -> Seen {
        self.send(&request(api, method, path, &[], "")).await
    }

    pub(crate) async fn send(&self, request: &Request) -> Seen {
        assert!(self.apis.claims(&request.host, &request.path));
        let answer = self.apis.serve(request.to_site()).await;
        let body = match answer.body {
            Body::Empty => bytes::Bytes::new(),
            Body::Bytes(bytes) => bytes,
            Body::Stream(_) => panic!("a whole body"),
        };
        let body = String::from_utf8_lossy(&body).into_owned();
        Seen { status: answer.status, headers: answer.headers, body }
    }
}

/// A request that may be sent again.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: bytes::Bytes,
    pub(crate) principal: Principal,
}

impl Request {
    pub(crate) fn to_site(&self) -> SiteRequest {
        let key_id = (self.principal != Principal::Anonymous).then(|| "AKIAEXAMPLE".to_owned());
        SiteRequest {
            method: self.method.clone(),
            path: self.path.clone(),
            query: self.query.clone(),
            host: self.host.clone(),
            authority: format!("{}:4566", self.host),
            headers: self.headers.clone(),
            body: self.body.clone(),
            peer: [127, 0, 0, 1].into(),
            principal: self.principal.clone(),
            origin: Origin { key_id, source_ip: Some([127, 0, 0, 1].into()), ..Origin::default() },
            request_id: RequestId::new(&SystemRng),
            takeover: None,
        }
    }
}

pub(crate) fn request(
    api: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<bytes::Bytes>,
) -> Request {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    Request {
        method: method.parse().unwrap(),
        host: format!("{api}.execute-api.us-east-1.localhost"),
        path: path.into(),
        query: query.into(),
        headers: map,
        body: body.into(),
        principal: Principal::Anonymous,
    }
}

pub(crate) fn root(account: Account) -> Principal {
    Principal::Root { account, verified: true }
}

/// What `cargo xtask drops` takes away to see which test notices.
pub(crate) fn dropped() -> Option<door::Dropped> {
    std::env::var("LAMBENT_DROP").ok().map(|member| member.parse().unwrap())
}

pub(crate) fn words<T: std::fmt::Debug>(result: Result<T, Fault>) -> (u16, String, String) {
    let fault = result.unwrap_err();
    (fault.status, fault.code.into_owned(), fault.message)
}

/// Code and message of a refusal.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, Fault>, code: &str, message: &str) {
    let (_, told, words) = words(result);
    assert_eq!(told, code, "{words}");
    assert!(words.contains(message), "{words}");
}

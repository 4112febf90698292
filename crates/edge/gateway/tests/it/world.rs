//! A gateway on a loopback socket, a door that records its calls, and a client that speaks bare HTTP.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base::{Account, BoxFuture, Clocks, Fault, Principal, SystemClocks, SystemRng, Timestamp, VirtualClocks};
use bytes::Bytes;
use door::{
    Body, Buckets, Call, Credential, CrossOrigin, Dispatch, Input, Keys, Reply, Site, SiteRequest, SiteResponse,
    Temporary, Via,
};
use gateway::{Gateway, Limits, Options, Tls, Walls};
use http::{HeaderMap, HeaderValue, Method};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// What a call that reached the door looked like.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) principal: Principal,
    pub(crate) operation: &'static str,
    pub(crate) path: String,
    pub(crate) via: Via,
    pub(crate) region: String,
    pub(crate) body: Bytes,
}

/// Answers every call with an empty output, or with the fault it was told.
#[derive(Default)]
pub(crate) struct Door {
    pub(crate) seen: Mutex<Vec<Seen>>,
    pub(crate) fault: Mutex<Option<Fault>>,
}

impl Dispatch for Door {
    fn call(&self, call: Call) -> BoxFuture<'_, Result<Reply, Fault>> {
        let Input::Encoded(_, request) = call.input else { panic!("a client's input is encoded") };
        self.seen.lock().unwrap().push(Seen {
            principal: call.principal,
            operation: call.operation.name,
            path: request.path.clone(),
            via: call.via,
            region: call.region.to_string(),
            body: request.body.clone(),
        });
        let fault = self.fault.lock().unwrap().clone();
        Box::pin(async move {
            if let Some(fault) = fault {
                return Err(fault);
            }
            if call.operation.name == "Invoke" {
                let output = model::lambda::InvocationResponse {
                    status_code: Some(200),
                    payload: Some(request.body),
                    ..Default::default()
                };
                return Ok(Reply { output: Box::new(output), body: Body::Empty });
            }
            if call.operation.name == "GetCallerIdentity" {
                let output = model::sts::GetCallerIdentityResponse {
                    account: Some("000000000000".into()),
                    ..Default::default()
                };
                return Ok(Reply { output: Box::new(output), body: Body::Empty });
            }
            Ok(Reply { output: Box::new(wire::Unit), body: Body::Empty })
        })
    }
}

/// One known key, one temporary key, and accounts that have keys.
#[derive(Default)]
pub(crate) struct Ring {
    pub(crate) known: HashMap<String, Credential>,
    pub(crate) taken: Vec<Account>,
}

impl Keys for Ring {
    fn find(&self, key_id: &str) -> Option<Credential> {
        self.known.get(key_id).cloned()
    }
    fn account_has_keys(&self, account: Account) -> bool {
        self.taken.contains(&account)
    }
    fn for_function(&self, _: Account, _: &str, _: &str) -> Temporary {
        Temporary { key_id: String::new(), secret: String::new(), token: String::new(), expires: Timestamp(0) }
    }
}

/// Two buckets: `pictures` lets in pages of two origins to read, `private` none.
struct Shelf;

impl Buckets for Shelf {
    fn exists(&self, name: &str) -> bool {
        ["pictures", "private"].contains(&name)
    }
    fn share(&self, bucket: &str, page: &CrossOrigin<'_>) -> Result<HeaderMap, Fault> {
        let known = ["http://app.example", "http://localhost:3000"].contains(&page.origin);
        if bucket != "pictures" || !known || page.method != "GET" {
            return Err(Fault::new("AccessForbidden", 403, "not welcome"));
        }
        let mut headers = HeaderMap::new();
        headers.insert("access-control-allow-origin", HeaderValue::from_str(page.origin).unwrap());
        Ok(headers)
    }
}

/// Echoes what it is asked; claims the front page, one own path and function URLs. `/_lambent/events` never ends.
struct Echo;

impl Site for Echo {
    fn claims(&self, host: &str, path: &str) -> bool {
        path == "/" || path.starts_with("/_lambent/") || host.contains(".lambda-url.")
    }
    fn serve(&self, request: SiteRequest) -> BoxFuture<'_, SiteResponse> {
        let mut headers = HeaderMap::new();
        headers.insert("connection", HeaderValue::from_static("upgrade"));
        if request.path == "/_lambent/events" {
            headers.insert("content-type", HeaderValue::from_static("text/event-stream"));
            let first = futures_util::stream::iter([Ok(Bytes::from_static(b"data: 1\n\n"))]);
            let stream = futures_util::StreamExt::chain(first, futures_util::stream::pending());
            return Box::pin(async { SiteResponse { status: 200, headers, body: Body::Stream(Box::pin(stream)) } });
        }
        let text = format!(
            "{} {} {} {:?} {}",
            request.host,
            request.method,
            request.path,
            request.principal,
            request.body.len()
        );
        headers.insert("content-type", HeaderValue::from_static("text/html"));
        Box::pin(async { SiteResponse { status: 200, headers, body: Body::Bytes(text.into()) } })
    }
}

pub(crate) struct World {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) door: Arc<Door>,
    pub(crate) clocks: Arc<VirtualClocks>,
    pub(crate) port: u16,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) serving: tokio::task::JoinHandle<()>,
}

pub(crate) struct Made {
    pub(crate) loopback: bool,
    pub(crate) ring: Ring,
    pub(crate) limits: Limits,
    pub(crate) test_controls: bool,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) insecure: bool,
}

impl Default for Made {
    fn default() -> Self {
        // Some tests announce a body that they never send.
        let limits = Limits { linger: Duration::from_secs(2), ..Limits::default() };
        Self { loopback: true, ring: ring(), limits, test_controls: false, tls: None, insecure: true }
    }
}

pub(crate) const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
/// Its owner made it inactive.
pub(crate) const VOID: &str = "AKIAI44QH8DHBEXAMPLE";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

pub(crate) fn root(account: &str, verified: bool) -> Principal {
    Principal::Root { account: account.parse().unwrap(), verified }
}

pub(crate) fn ring() -> Ring {
    let credential = |token: Option<&str>, expires| Credential {
        principal: root("111122223333", true),
        secret: SECRET.into(),
        session_token: token.map(str::to_owned),
        expires,
        void: false,
    };
    let now = SystemClocks.signing();
    let known = HashMap::from([
        (KEY.to_owned(), credential(None, None)),
        ("ASIATEMPORARY".to_owned(), credential(Some("token"), Some(now.plus_ms(60_000)))),
        (VOID.to_owned(), Credential { void: true, ..credential(None, None) }),
        ("ASIAOVER".to_owned(), credential(Some("token"), Some(now.plus_ms(-1)))),
    ]);
    Ring { known, taken: vec!["111122223333".parse().unwrap()] }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::made(Made::default()).await
    }

    pub(crate) async fn made(made: Made) -> Self {
        let door = Arc::new(Door::default());
        let clocks = Arc::new(VirtualClocks::default());
        let gateway = Gateway::new(Options {
            dispatch: Arc::clone(&door) as Arc<dyn Dispatch>,
            services: model::SERVICES,
            sites: vec![Arc::new(Echo)],
            buckets: Arc::new(Shelf),
            keys: Arc::new(made.ring),
            clocks: Arc::clone(&clocks) as Arc<dyn Clocks>,
            rng: Arc::new(SystemRng),
            hosts: vec!["build.lan".into()],
            metrics: Arc::new(|| "lambent_calls_total 1\n".into()),
            walls: Arc::new(|| Walls { holds: 9, of: 10, weak: false }),
            test_controls: made.test_controls.then(|| Arc::clone(&clocks)),
            tls: made.tls,
            insecure: made.insecure,
            limits: made.limits,
            runtime: tokio::runtime::Handle::current(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = {
            let gateway = Arc::clone(&gateway);
            let via = Via::Client { loopback: made.loopback };
            tokio::spawn(async move {
                gateway.serve(listener, via, async { drop(stopped.await) }).await;
            })
        };
        Self { gateway, door, clocks, port, stop: Some(stop), serving }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.unwrap()
    }

    /// A request of this host, sent and answered on a connection of its own.
    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Got {
        let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| *name == "host") {
            head += &format!("host: 127.0.0.1:{}\r\n", self.port);
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        self.raw(&[head.as_bytes(), body].concat()).await
    }

    /// Bytes as they are; the answer until the other side closes.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> Got {
        let (mut read, mut write) = self.connect().await.into_split();
        let sent = bytes.to_vec();
        // The other side may refuse before it has read everything.
        let writing = tokio::spawn(async move {
            let _ = write.write_all(&sent).await;
            write
        });
        let mut answer = Vec::new();
        let reading = tokio::time::timeout(Duration::from_secs(20), read.read_to_end(&mut answer)).await;
        writing.abort();
        let _reset_after_the_answer = reading.expect("the gateway closes the connection");
        Got::of(&answer)
    }

    /// A request signed with a key.
    pub(crate) async fn signed(&self, key_id: &str, secret: &str, token: Option<&str>, request: Signed<'_>) -> Got {
        let mut headers = HeaderMap::new();
        for (name, value) in request.headers {
            headers
                .insert(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let host = request.host.map_or_else(|| format!("127.0.0.1:{}", self.port), str::to_owned);
        headers.insert("host", HeaderValue::from_str(&host).unwrap());
        let mut unsigned = wire::Request {
            method: Method::from_bytes(request.method.as_bytes()).unwrap(),
            path: request.path.into(),
            query: String::new(),
            headers,
            body: Bytes::copy_from_slice(request.body),
        };
        let signer = wire::sigv4::Signer { key_id, secret, token, region: "eu-west-1", service: request.service };
        wire::sigv4::sign(&mut unsigned, &signer, SystemClocks.signing());
        let headers: Vec<_> =
            unsigned.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        self.ask(request.method, request.path, &headers, request.sent_body.unwrap_or(request.body)).await
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.door.seen.lock().unwrap().clone()
    }
}

/// What is signed, and what is sent instead of it.
#[derive(Clone, Copy)]
pub(crate) struct Signed<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) service: &'a str,
    pub(crate) host: Option<&'a str>,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a [u8],
    pub(crate) sent_body: Option<&'a [u8]>,
}

pub(crate) const LIST: Signed<'static> = Signed {
    method: "GET",
    path: "/2015-03-31/functions",
    service: "lambda",
    host: None,
    headers: &[],
    body: b"",
    sent_body: None,
};

pub(crate) const IDENTITY: Signed<'static> = Signed {
    method: "POST",
    path: "/",
    service: "sts",
    host: None,
    headers: &[("content-type", "application/x-www-form-urlencoded; charset=utf-8")],
    body: b"Action=GetCallerIdentity&Version=2011-06-15",
    sent_body: None,
};

/// A parsed answer; status 0 when the connection closed without one.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

impl Got {
    pub(crate) fn of(answer: &[u8]) -> Self {
        let text = String::from_utf8_lossy(answer);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut lines = head.split("\r\n");
        let status =
            lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok()).unwrap_or(0);
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Self { status, headers, body: body.to_owned() }
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

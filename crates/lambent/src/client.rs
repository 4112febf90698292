//! A small AWS client for our own commands: signs, sends, and turns AWS's errors into sentences.

use std::collections::VecDeque;

use anyhow::{Context, bail};
use base::{Clocks, SystemClocks};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;

use crate::trust::{Stream, Trust};

/// Speaks to one platform with one key.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) endpoint: String,
    pub(crate) region: String,
    pub(crate) key_id: String,
    pub(crate) secret: String,
    authority: String,
    /// What is trusted, where the endpoint is `https`.
    trust: Option<Trust>,
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Client {
    /// `endpoint` is `http://host:port` or `https://host:port`. The key is the environment's, or the one any loopback platform accepts.
    pub(crate) fn new(endpoint: &str, region: &str) -> anyhow::Result<Self> {
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let (authority, port, trust) = match endpoint.split_once("://") {
            Some(("http", authority)) => (authority, 80, None),
            Some(("https", authority)) => (authority, 443, Some(Trust::default())),
            _ => bail!("the endpoint must be http://HOST:PORT or https://HOST:PORT, not {endpoint}"),
        };
        let authority = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:{port}") };
        let from = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Ok(Self {
            key_id: from("AWS_ACCESS_KEY_ID").unwrap_or_else(|| "test".into()),
            secret: from("AWS_SECRET_ACCESS_KEY").unwrap_or_else(|| "test".into()),
            region: region.to_owned(),
            endpoint,
            authority,
            trust,
        })
    }

    /// Sends one request as it is, unsigned.
    pub(crate) async fn send(&self, request: http::Request<Full<Bytes>>) -> anyhow::Result<Answer> {
        let (response, driver) = self.begin(request).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.context("the platform broke off within its answer")?.to_bytes();
        // The answer is whole; how the connection ends afterwards changes nothing.
        drop(driver);
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }

    /// Sends one request; the answer's body comes as it is read, while the driver lives.
    async fn begin(
        &self,
        request: http::Request<Full<Bytes>>,
    ) -> anyhow::Result<(http::Response<hyper::body::Incoming>, Driver)> {
        let socket = tokio::net::TcpStream::connect(&self.authority).await.with_context(|| {
            format!(
                "no platform answers at {}; start one with `lambent serve` or name another with --endpoint",
                self.endpoint
            )
        })?;
        socket.set_nodelay(true)?;
        let socket: Box<dyn Stream> = match &self.trust {
            None => Box::new(socket),
            Some(trust) => Box::new(trust.shake(&self.authority, socket).await.with_context(|| {
                format!("{} is not trusted; `lambent ca` names what to trust, for AWS_CA_BUNDLE", self.endpoint)
            })?),
        };
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await?;
        let driver = tokio::spawn(connection);
        let response = sender.send_request(request).await.context("the platform broke off")?;
        Ok((response, Driver { task: driver, _sender: sender }))
    }

    /// A signed request to `service`.
    pub(crate) async fn signed(
        &self,
        service: &str,
        method: &str,
        path_and_query: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> anyhow::Result<Answer> {
        self.send(self.sign(service, method, path_and_query, headers, body)?).await
    }

    fn sign(
        &self,
        service: &str,
        method: &str,
        path_and_query: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> anyhow::Result<http::Request<Full<Bytes>>> {
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        let mut map = http::HeaderMap::new();
        map.insert("host", self.authority.parse()?);
        for (name, value) in headers {
            map.insert(http::HeaderName::try_from(*name)?, value.parse()?);
        }
        let mut request =
            wire::Request { method: method.parse()?, path: path.into(), query: query.into(), headers: map, body };
        let signer = wire::sigv4::Signer {
            key_id: &self.key_id,
            secret: &self.secret,
            token: None,
            region: &self.region,
            service,
        };
        wire::sigv4::sign(&mut request, &signer, SystemClocks.signing());
        let mut built = http::Request::builder().method(request.method).uri(path_and_query);
        for (name, value) in &request.headers {
            built = built.header(name, value);
        }
        Ok(built.body(Full::new(request.body))?)
    }

    /// A call of Lambda's REST API; an AWS error becomes ours.
    pub(crate) async fn lambda(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let body = body.map(|value| Bytes::from(value.to_string())).unwrap_or_default();
        let answer = self.signed("lambda", method, path, &[("content-type", "application/json")], body).await?;
        answer.json()
    }

    /// The address of a function's URL or an API, in the form that resolves on this host: below its own name, else below the platform's.
    pub(crate) async fn reachable(&self, url: &str) -> String {
        let rest = url.split("://").nth(1).unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host = authority.split(':').next().unwrap_or_default();
        let mut labels = host.split('.');
        let (id, kind) = (labels.next().unwrap_or_default(), labels.next().unwrap_or_default());
        let below = match kind {
            "lambda-url" => "url",
            "execute-api" => "api",
            _ => return url.to_owned(),
        };
        if tokio::net::lookup_host((host, 80)).await.is_ok() {
            return url.to_owned();
        }
        format!("{}/_lambent/{below}/{id}{path}", self.endpoint)
    }

    /// A call of CloudWatch Logs.
    pub(crate) async fn logs(&self, operation: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(self.logs_request(operation, body)?).await?.json()
    }

    fn logs_request(&self, operation: &str, body: &Value) -> anyhow::Result<http::Request<Full<Bytes>>> {
        let target = format!("Logs_20140328.{operation}");
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target.as_str())];
        self.sign("logs", "POST", "/", &headers, Bytes::from(body.to_string()))
    }

    /// A call of CloudWatch Logs that answers a stream of events.
    pub(crate) async fn logs_stream(&self, operation: &str, body: &Value) -> anyhow::Result<Events> {
        self.events(self.logs_request(operation, body)?).await
    }

    /// A call of Lambda's REST API that answers a stream of events.
    pub(crate) async fn lambda_stream(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> anyhow::Result<Events> {
        self.events(self.sign("lambda", "POST", path, headers, body)?).await
    }

    async fn events(&self, request: http::Request<Full<Bytes>>) -> anyhow::Result<Events> {
        let (response, driver) = self.begin(request).await?;
        let (head, body) = response.into_parts();
        if head.status.as_u16() >= 300 {
            let body = body.collect().await.context("the platform broke off within its answer")?.to_bytes();
            Answer { status: head.status.as_u16(), headers: head.headers.clone(), body }.json()?;
            bail!("the platform answered {}", head.status);
        }
        Ok(Events { body, decoder: wire::eventstream::Decoder::new(), waiting: VecDeque::new(), _driver: driver })
    }
}

/// Drives a connection until it is dropped.
struct Driver {
    task: tokio::task::JoinHandle<Result<(), hyper::Error>>,
    _sender: hyper::client::conn::http1::SendRequest<Full<Bytes>>,
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Events as they come.
pub(crate) struct Events {
    body: hyper::body::Incoming,
    decoder: wire::eventstream::Decoder,
    waiting: VecDeque<wire::eventstream::Message>,
    _driver: Driver,
}

impl Events {
    /// The next event and its type; none at the end.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<(String, Value)>> {
        let Some((kind, payload)) = self.next_bytes().await? else { return Ok(None) };
        Ok(Some((kind, serde_json::from_slice(&payload).unwrap_or(Value::Null))))
    }

    /// The next event as it came, and its type; none at the end.
    pub(crate) async fn next_bytes(&mut self) -> anyhow::Result<Option<(String, Bytes)>> {
        while self.waiting.is_empty() {
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            let Ok(piece) = frame.context("the platform broke off")?.into_data() else { continue };
            let waiting = &mut self.waiting;
            let read = self.decoder.push(piece, &mut |message| waiting.push_back(message));
            read.map_err(|malformed| anyhow::anyhow!("the platform's events do not read: {}", malformed.0))?;
        }
        let Some(message) = self.waiting.pop_front() else { return Ok(None) };
        if let Some(code) = message.text(":exception-type").or(message.text(":error-code")) {
            let value: Value = serde_json::from_slice(&message.payload).unwrap_or(Value::Null);
            bail!("{} ({code})", value["message"].as_str().unwrap_or("the session ended"));
        }
        Ok(Some((message.text(":event-type").unwrap_or_default().to_owned(), message.payload)))
    }
}

/// The path of a function, or of what lies below it. Whatever a person typed stays one segment of it.
pub(crate) fn function(version: &str, name: &str, below: &str) -> String {
    let name = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
    format!("/{version}/functions/{name}{below}")
}

/// An AWS error as a value, so that a command can tell "not found" from the rest.
#[derive(Debug)]
pub(crate) struct AwsError {
    pub(crate) code: String,
    pub(crate) message: String,
}

impl std::fmt::Display for AwsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl std::error::Error for AwsError {}

/// Whether an error is AWS's "no such thing".
pub(crate) fn is_not_found(error: &anyhow::Error) -> bool {
    error.downcast_ref::<AwsError>().is_some_and(|aws| aws.code == "ResourceNotFoundException")
}

/// Whether an error is AWS's "it is there already".
pub(crate) fn is_conflict(error: &anyhow::Error) -> bool {
    error.downcast_ref::<AwsError>().is_some_and(|aws| aws.code == "ResourceConflictException")
}

impl Answer {
    /// The JSON of a success; an error otherwise.
    pub(crate) fn json(&self) -> anyhow::Result<Value> {
        let value: Value = if self.body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&self.body)
                .with_context(|| format!("expected JSON, got {:?}", String::from_utf8_lossy(&self.body)))?
        };
        if self.status < 300 {
            return Ok(value);
        }
        let header = self.headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok());
        let code = header.or(value["__type"].as_str()).unwrap_or("UnknownError");
        let message = value["message"].as_str().or(value["Message"].as_str()).unwrap_or("no message");
        let code = code.rsplit('#').next().unwrap_or(code).split(':').next().unwrap_or(code).to_owned();
        Err(AwsError { code, message: message.to_owned() }.into())
    }
}

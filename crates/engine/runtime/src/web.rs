//! HTTP to a program that listens on `$PORT`: a web function's whole contract.
//!
//! Each connection is driven by whoever waits for its answer: no task of its own, no hop. Connections are kept and used
//! again, the last one first.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use base::BoxFuture;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The variable that tells the program where to listen.
pub const PORT_VARIABLE: &str = "PORT";
/// The port inside: what local tools and the Lambda Web Adapter expect.
pub const PORT: u16 = 8080;

/// Makes a connection to the program.
pub type Connect = Arc<dyn Fn() -> BoxFuture<'static, io::Result<TcpStream>> + Send + Sync>;

/// What the program is asked. Its URI is a path and a query.
pub type Request = http::Request<Bytes>;

/// Most of the answer's head, bytes, and connections kept.
const HEAD_BYTES: usize = 64 * 1024;
const KEPT: usize = 256;

/// Headers about one connection. Source: RFC 9110, section 7.6.1.
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The way to one program.
pub struct Client {
    connect: Connect,
    // The last one used is at the back.
    idle: Mutex<VecDeque<Line>>,
}

/// What became of a request for another protocol.
#[derive(Debug)]
pub enum Switched {
    /// The program has switched.
    Over {
        /// Its answer.
        head: http::response::Parts,
        /// The connection from there on.
        stream: TcpStream,
        /// What of the other protocol has been read already.
        early: Bytes,
    },
    /// It has not, and answers.
    Not(http::response::Parts, Answer),
}

/// Why there is no answer, or only a part of one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing listens, or the sandbox has ended.
    #[error("nothing listens on the port: {0}")]
    Refused(io::Error),
    /// The connection ended before an answer began.
    #[error("the program ended the connection without an answer")]
    NoAnswer,
    /// What came is not HTTP/1.
    #[error("the program's answer is no HTTP: {0}")]
    Malformed(String),
    /// The connection ended within the answer's body.
    #[error("the program ended the connection within its answer")]
    Truncated,
}

/// A connection as its holder drives it.
type Driven = Pin<Box<Connection<TokioIo<TcpStream>, Full<Bytes>>>>;

/// One connection. Whoever holds it drives it.
struct Line {
    sender: SendRequest<Full<Bytes>>,
    // None once it has ended.
    connection: Option<Driven>,
}

impl Line {
    /// Lets the connection do what it can now.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection
            && connection.as_mut().poll(cx).is_ready()
        {
            // Why it ended is told to whoever waits for an answer.
            self.connection = None;
        }
    }
}

impl Client {
    /// No connection is made before one is needed.
    pub fn new(connect: Connect) -> Arc<Self> {
        Arc::new(Self { connect, idle: Mutex::default() })
    }

    /// Completes once the program accepts connections and, where a path is given, answers it with a status below 500.
    ///
    /// The kernel tells nobody when a port begins to be listened on, so this looks again and again, a few milliseconds apart:
    /// it is part of INIT, never of a warm request.
    pub async fn ready(self: &Arc<Self>, path: Option<&http::uri::PathAndQuery>) {
        let mut pause = tokio::time::Duration::from_millis(1);
        loop {
            let is_ready = match path {
                // Closed at once: a program that serves one connection after the other would wait for this one.
                None => (self.connect)().await.is_ok(),
                Some(path) => {
                    let mut request = Request::new(Bytes::new());
                    *request.uri_mut() = http::Uri::from(path.clone());
                    request.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost"));
                    self.send(request).await.is_ok_and(|(head, _)| head.status.as_u16() < 500)
                }
            };
            if is_ready {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(tokio::time::Duration::from_millis(8));
        }
    }

    /// Asks the program, and waits until its answer begins. Dropping the future ends the connection.
    ///
    /// What the program has not heard of is sent again by itself; and what may be repeated ([RFC 9110, 9.2.2]) where a
    /// connection that was used before ended without a whole head, as servers do that tire of waiting.
    ///
    /// [RFC 9110, 9.2.2]: https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn send(self: &Arc<Self>, mut request: Request) -> Result<(http::response::Parts, Answer), Error> {
        prepare(&mut request);
        let repeatable = request.method().is_idempotent();
        let (parts, body) = request.into_parts();
        loop {
            let (mut line, used) = match self.idle().await {
                Some(line) => (line, true),
                None => {
                    let stream = (self.connect)().await.map_err(Error::Refused)?;
                    (handshake(stream).await.map_err(|_| Error::NoAnswer)?, false)
                }
            };
            let request = http::Request::from_parts(parts.clone(), Full::new(body.clone()));
            let mut answer = pin!(line.sender.try_send_request(request));
            let connection = &mut line.connection;
            let answered = poll_fn(|cx| {
                if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                    return Poll::Ready(answer);
                }
                let Some(driven) = connection else { return Poll::Pending };
                if driven.as_mut().poll(cx).is_ready() {
                    *connection = None;
                }
                answer.as_mut().poll(cx)
            })
            .await;
            match answered {
                Ok(answer) => {
                    let (mut head, body) = answer.into_parts();
                    strip(&mut head.headers);
                    let answer = Answer { client: Arc::clone(self), line: Some(line), body };
                    return Ok((head, answer));
                }
                Err(mut failed) => {
                    let unsent = failed.take_message().is_some();
                    let error = failed.into_error();
                    let nothing_came = error.is_incomplete_message() || error.is_canceled() || is_reset(&error);
                    if used && (unsent || (repeatable && nothing_came)) {
                        continue;
                    }
                    return Err(if error.is_parse() { Error::Malformed(error.to_string()) } else { Error::NoAnswer });
                }
            }
        }
    }

    /// Asks the program to go on with another protocol, on a connection of its own.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn switch(self: &Arc<Self>, mut request: Request, protocol: &'static str) -> Result<Switched, Error> {
        prepare(&mut request);
        request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        request.headers_mut().insert(header::UPGRADE, HeaderValue::from_static(protocol));
        let stream = (self.connect)().await.map_err(Error::Refused)?;
        let Line { mut sender, connection } = handshake(stream).await.map_err(|_| Error::NoAnswer)?;
        let mut connection = connection.ok_or(Error::NoAnswer)?;
        let mut answer = pin!(sender.send_request(request.map(Full::new)));
        // Whether the connection has spoken its last HTTP, or has ended.
        let mut over = false;
        let answered = poll_fn(|cx| {
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(answer);
            }
            over = over || connection.poll_without_shutdown(cx).is_ready();
            answer.as_mut().poll(cx)
        });
        let answered = answered.await.map_err(|error| match error.is_parse() {
            true => Error::Malformed(error.to_string()),
            false => Error::NoAnswer,
        })?;
        let (mut head, body) = answered.into_parts();
        strip(&mut head.headers);
        if head.status != http::StatusCode::SWITCHING_PROTOCOLS {
            let connection = Some(connection).filter(|_| !over);
            let line = Some(Line { sender, connection });
            return Ok(Switched::Not(head, Answer { client: Arc::clone(self), line, body }));
        }
        if !over {
            poll_fn(|cx| connection.poll_without_shutdown(cx)).await.map_err(|_| Error::NoAnswer)?;
        }
        let parts = Pin::into_inner(connection).into_parts();
        Ok(Switched::Over { head, stream: parts.io.into_inner(), early: parts.read_buf })
    }

    /// Lets go of connections that wait: the program may no longer want them, and had no time to say so.
    pub fn forget(&self) {
        let waiting = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        drop(waiting);
    }

    /// A connection that waits, if one is still good.
    async fn idle(&self) -> Option<Line> {
        loop {
            let mut line = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop_back()?;
            let good = poll_fn(|cx| {
                line.drive(cx);
                Poll::Ready(line.connection.is_some() && matches!(line.sender.poll_ready(cx), Poll::Ready(Ok(()))))
            });
            if good.await {
                return Some(line);
            }
        }
    }

    /// Keeps a connection, and lets one go that has waited for longest and ended meanwhile: nobody else looks at those.
    fn keep(&self, line: Line, cx: &mut Context<'_>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(longest) = idle.front_mut() {
            longest.drive(cx);
            if longest.connection.is_none() {
                idle.pop_front();
            }
        }
        if idle.len() < KEPT {
            idle.push_back(line);
        }
    }
}

async fn handshake(stream: TcpStream) -> hyper::Result<Line> {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_BYTES).title_case_headers(false);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
    Ok(Line { sender, connection: Some(Box::pin(connection)) })
}

fn is_reset(error: &hyper::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            return matches!(io.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe);
        }
        source = cause.source();
    }
    false
}

/// Makes a request that came over another connection one for this.
fn prepare(request: &mut Request) {
    let headers = request.headers_mut();
    strip(headers);
    // The body is here already, whole; its length is told anew.
    headers.remove(header::EXPECT);
    headers.remove(header::CONTENT_LENGTH);
    *request.version_mut() = http::Version::HTTP_11;
}

/// Takes away what is about one connection, and what its `Connection` names: to be done before anything is added.
pub fn strip(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(header::CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// The body of an answer, as the program writes it. Dropped before its end, the connection ends, as the program will notice.
pub struct Answer {
    client: Arc<Client>,
    // None once it has been given back or has ended.
    line: Option<Line>,
    body: Incoming,
}

impl Answer {
    /// The next bytes; none at the end. Trailers are left out.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        loop {
            let mut polled = Pin::new(&mut self.body).poll_frame(cx);
            if polled.is_pending()
                && let Some(line) = &mut self.line
            {
                line.drive(cx);
                polled = Pin::new(&mut self.body).poll_frame(cx);
            }
            return Poll::Ready(match ready!(polled) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => Some(Ok(bytes)),
                    Err(_trailers) => continue,
                },
                Some(Err(_)) => {
                    self.line = None;
                    Some(Err(Error::Truncated))
                }
                None => {
                    self.give_back(cx);
                    None
                }
            });
        }
    }

    /// The next bytes; none at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// How many bytes are to come, if the program has said.
    pub fn to_come(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    fn give_back(&mut self, cx: &mut Context<'_>) {
        let Some(mut line) = self.line.take() else { return };
        line.drive(cx);
        if line.connection.is_some() && matches!(line.sender.poll_ready(cx), Poll::Ready(Ok(()))) {
            self.client.keep(line, cx);
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").finish_non_exhaustive()
    }
}

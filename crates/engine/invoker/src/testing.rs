//! Walls of paper for tests: environments are tasks in this process that speak the real Runtime API over loopback and
//! write to a real pipe. Everything but the sandbox is the real thing.

use std::collections::VecDeque;
use std::io::{self, PipeWriter, Write as _};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use base::BoxFuture;
use bytes::Bytes;
pub use sandbox::ExitCause;
use sandbox::{Control, Dial, Environment, Error, Exit, Spec, Survey, Usage, Walls};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

/// What runs in an environment: its whole life, from launch to the exit it returns.
pub type Program = Arc<dyn Fn(Inside) -> BoxFuture<'static, ExitCause> + Send + Sync>;

/// What a handler makes of an event.
#[derive(Debug)]
pub enum Reply {
    /// Posts these bytes as the response.
    Response(Bytes),
    /// Posts an error of this type with these bytes.
    Error(String, Bytes),
    /// Ends the process without an answer.
    Exit(ExitCause),
    /// Streams a response with this content type: the parts as they come, to the end of the channel.
    Stream(Option<String>, mpsc::Receiver<Part>),
}

/// A part of a streamed response. Without any of the last three the response is whole.
#[derive(Debug)]
pub enum Part {
    /// The next bytes.
    Bytes(Bytes),
    /// It fails with an error of this type and these bytes, in trailers.
    Error(String, Bytes),
    /// The client closes its connection, and the process goes on.
    Cut,
    /// The process ends.
    Exit(ExitCause),
}

/// Walls whose environments run a [`Program`].
pub struct FakeWalls {
    program: Program,
    state: Mutex<State>,
    short: watch::Sender<u64>,
    helpers: watch::Sender<u64>,
    freezes: Arc<AtomicU64>,
}

#[derive(Default)]
struct State {
    launched: Vec<Spec>,
    failures: VecDeque<Error>,
    compilers_die: bool,
}

impl FakeWalls {
    /// Every environment runs `program`.
    pub fn new(program: Program) -> Arc<Self> {
        Arc::new(Self {
            program,
            state: Mutex::default(),
            short: watch::Sender::new(0),
            helpers: watch::Sender::new(0),
            freezes: Arc::default(),
        })
    }

    /// Another helper is there.
    pub fn start_helper(&self) {
        self.helpers.send_modify(|there_were| *there_were += 1);
    }

    /// The host is short of memory.
    pub fn run_short_of_memory(&self) {
        self.short.send_modify(|times| *times += 1);
    }

    /// Every environment answers its events with `handler`, one after the other.
    pub fn serving<F>(handler: F) -> Arc<Self>
    where
        F: Fn(Inside, Request) -> BoxFuture<'static, Reply> + Send + Sync + 'static,
    {
        let handler = Arc::new(handler);
        Self::new(Arc::new(move |inside| Box::pin(serve(inside, Arc::clone(&handler)))))
    }

    /// Every environment answers with the event it was given.
    pub fn echo() -> Arc<Self> {
        Self::serving(|_, request| Box::pin(async move { Reply::Response(request.payload) }))
    }

    /// Every environment listens on its port, and answers each request, of which `handler` sees method and path, with the bytes
    /// that it gives; with none the connection ends. It answers any number at a time.
    pub fn listening<F>(handler: F) -> Arc<Self>
    where
        F: Fn(Inside, String) -> BoxFuture<'static, Option<Bytes>> + Send + Sync + 'static,
    {
        let handler = Arc::new(handler);
        Self::new(Arc::new(move |inside| Box::pin(listen(inside, Arc::clone(&handler)))))
    }

    /// The next launch fails with `error`; may be called more than once.
    pub fn fail_next(&self, error: Error) {
        self.lock().failures.push_back(error);
    }

    /// From now on compilers end without handing anything in.
    pub fn let_compilers_die(&self) {
        self.lock().compilers_die = true;
    }

    /// How often an environment was frozen.
    pub fn freezes(&self) -> u64 {
        self.freezes.load(Ordering::Relaxed)
    }

    /// What was launched so far, in order.
    pub fn launched(&self) -> Vec<Spec> {
        self.lock().launched.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while holding it")
    }

    fn build(&self, spec: Spec) -> Result<Environment, Error> {
        let exhausted = |error: io::Error| Error::Exhausted { what: "descriptors", why: error.to_string() };
        if let Some(error) = self.lock().failures.pop_front() {
            return Err(error);
        }
        self.lock().launched.push(spec.clone());
        let bind = |_: &u16| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        let listeners = spec.ports.iter().map(bind).collect::<io::Result<Vec<_>>>().map_err(exhausted)?;
        let (reader, writer) = io::pipe().map_err(exhausted)?;
        let output = non_blocking(reader.into()).map_err(exhausted)?;
        let api = listeners.first().ok_or_else(|| Error::Spec("no port".into()))?.local_addr().map_err(exhausted)?;
        let served = spec.serves.map(|_| free_port()).transpose().map_err(exhausted)?;
        let usage = Arc::new(Mutex::new(Usage::default()));
        let exit = watch::Sender::new(None);
        let compiles = !self.lock().compilers_die;
        let frozen = watch::Sender::new(false);
        let inside = Inside {
            compiles,
            spec: Arc::new(spec),
            api,
            served,
            writer: Arc::new(writer),
            usage: Arc::clone(&usage),
            frozen: frozen.subscribe(),
        };
        let life = (self.program)(inside);
        let (done, measured) = (exit.clone(), Arc::clone(&usage));
        let task = tokio::spawn(async move {
            let cause = life.await;
            end(&done, cause, &measured);
        });
        let freezes = Arc::clone(&self.freezes);
        let control = FakeControl { exit, usage, task: task.abort_handle(), frozen, freezes };
        Ok(Environment {
            listeners,
            line: None,
            uplink: None,
            output,
            ahead: false,
            dial: served.map(Dial::of_host),
            control: Box::new(control),
        })
    }
}

impl Walls for FakeWalls {
    fn launch(&self, spec: Spec) -> BoxFuture<'_, Result<Environment, Error>> {
        Box::pin(async move { self.build(spec) })
    }

    fn short_of_memory(&self) -> Option<watch::Receiver<u64>> {
        Some(self.short.subscribe())
    }

    fn helpers(&self) -> Option<watch::Receiver<u64>> {
        Some(self.helpers.subscribe())
    }

    fn survey(&self) -> Survey {
        Survey { walls: Vec::new(), usable: true, weak: false }
    }
}

fn free_port() -> io::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

// tokio alone can set the flag without a call that this room may not make.
fn non_blocking(fd: OwnedFd) -> io::Result<OwnedFd> {
    tokio::net::unix::pipe::Receiver::from_owned_fd(fd)?.into_nonblocking_fd()
}

fn end(exit: &watch::Sender<Option<Exit>>, cause: ExitCause, usage: &Mutex<Usage>) {
    let mut usage = *usage.lock().expect("no code panics while holding it");
    if cause == ExitCause::OutOfMemory {
        usage.oom_kills += 1;
    }
    exit.send_if_modified(|exit| {
        let first = exit.is_none();
        exit.get_or_insert(Exit { cause, usage });
        first
    });
}

struct FakeControl {
    exit: watch::Sender<Option<Exit>>,
    usage: Arc<Mutex<Usage>>,
    task: AbortHandle,
    frozen: watch::Sender<bool>,
    freezes: Arc<AtomicU64>,
}

impl Control for FakeControl {
    fn usage(&self) -> Usage {
        *self.usage.lock().expect("no code panics while holding it")
    }
    fn private_memory(&self) -> u64 {
        self.usage().peak_memory_bytes
    }
    fn set_cpu(&self, _cpu_millis: Option<u32>) {}
    fn freeze(&self) -> bool {
        self.freezes.fetch_add(1, Ordering::Relaxed);
        self.frozen.send_replace(true);
        true
    }
    fn thaw(&self) {
        self.frozen.send_replace(false);
    }
    fn kill(&self) {
        self.task.abort();
        end(&self.exit, ExitCause::Killed, &self.usage);
    }
    fn exited(&self) -> BoxFuture<'static, Exit> {
        let mut exit = self.exit.subscribe();
        Box::pin(async move {
            let ended = exit.wait_for(Option::is_some).await.ok().and_then(|exit| *exit);
            ended.unwrap_or(Exit { cause: ExitCause::HelperLost, usage: Usage::default() })
        })
    }
}

/// What a program sees of its environment.
#[derive(Clone)]
pub struct Inside {
    /// What was asked for, environment variables included.
    pub spec: Arc<Spec>,
    /// What [`Control::usage`] says.
    pub usage: Arc<Mutex<Usage>>,
    api: SocketAddr,
    compiles: bool,
    /// Where it is to listen, if it serves a port.
    pub served: Option<u16>,
    writer: Arc<PipeWriter>,
    frozen: watch::Receiver<bool>,
}

impl Inside {
    /// Completes once the environment is not frozen: a program that asks this before each step stands still as a process would.
    pub async fn running(&self) {
        // Of an environment that is gone nobody asks.
        let _ = self.frozen.clone().wait_for(|frozen| !frozen).await;
    }

    /// Writes to stdout. Blocks while the pipe is full, as a process would.
    pub fn print(&self, text: &str) {
        // A closed pipe is what a process meets, too, when it is being taken down.
        let _ = (&*self.writer).write_all(text.as_bytes());
    }

    /// The value of an environment variable.
    pub fn env(&self, name: &str) -> Option<String> {
        let found = self.spec.env.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.to_string_lossy().into_owned())
    }

    /// Connects to the Runtime API.
    ///
    /// # Errors
    /// The environment is being taken down.
    pub async fn connect(&self) -> io::Result<Client> {
        let stream = TcpStream::connect(self.api).await?;
        stream.set_nodelay(true)?;
        Ok(Client { stream: BufReader::new(stream) })
    }
}

async fn serve<F>(inside: Inside, handler: Arc<F>) -> ExitCause
where
    F: Fn(Inside, Request) -> BoxFuture<'static, Reply> + Send + Sync + 'static,
{
    let Ok(mut client) = inside.connect().await else { return ExitCause::Exited(1) };
    if let Some(ended) = begin(&inside, &mut client).await {
        return ended;
    }
    while let Ok(request) = client.next().await {
        let id = request.id.clone();
        inside.running().await;
        let posted = match handler(inside.clone(), request).await {
            Reply::Response(payload) => client.respond(&id, &payload).await,
            Reply::Error(kind, payload) => client.error(&id, &kind, &payload).await,
            Reply::Exit(cause) => return cause,
            Reply::Stream(content_type, parts) => match client.stream(&id, content_type, parts).await {
                Ok(None) => Ok(()),
                Ok(Some(Part::Exit(cause))) => return cause,
                Ok(Some(_)) => {
                    drop(client);
                    return std::future::pending().await;
                }
                Err(error) => Err(error),
            },
        };
        if posted.is_err() {
            return ExitCause::Exited(1);
        }
    }
    ExitCause::Exited(1)
}

async fn listen<F>(inside: Inside, handler: Arc<F>) -> ExitCause
where
    F: Fn(Inside, String) -> BoxFuture<'static, Option<Bytes>> + Send + Sync + 'static,
{
    let Ok(listener) = tokio::net::TcpListener::bind(("127.0.0.1", inside.served.unwrap_or_default())).await else {
        return ExitCause::Exited(1);
    };
    // What serves a connection ends with the environment.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (inside, handler) = (inside.clone(), Arc::clone(&handler));
        connections.spawn(async move {
            let mut stream = BufReader::new(stream);
            loop {
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    if stream.read_line(&mut head).await.is_ok_and(|read| read == 0) {
                        return;
                    }
                }
                inside.running().await;
                let asked = head.split(" HTTP").next().unwrap_or_default().to_owned();
                let Some(answer) = handler(inside.clone(), asked).await else { return };
                let ends = answer.windows(17).any(|part| part == b"Connection: close");
                if stream.write_all(&answer).await.is_err() || ends {
                    return;
                }
            }
        });
    }
    ExitCause::Exited(1)
}

/// The variables that say how a snapshot of an environment goes: why there is none, and the type of the error of INIT, or of
/// what runs after a restore.
pub const UNFIT: &str = "TEST_UNFIT";
/// What compilers hand in.
pub const COMPILED: &[u8] = b"bytecode";
/// See [`UNFIT`].
pub const INIT_ERROR: &str = "TEST_INIT_ERROR";
/// See [`UNFIT`].
pub const RESTORE_ERROR: &str = "TEST_RESTORE_ERROR";

/// What comes before the first event, as our bootstraps do it. Answers how it ended, if it did.
async fn begin(inside: &Inside, client: &mut Client) -> Option<ExitCause> {
    if let Some(kind) = inside.env(INIT_ERROR) {
        let _ = client.init_error(&kind, b"{}").await;
        return Some(ExitCause::Exited(1));
    }
    if inside.spec.argv.iter().any(|argument| argument.as_encoded_bytes().ends_with(b"/compile.py")) {
        let _ = match (inside.env(UNFIT), &inside.compiles) {
            (Some(why), _) => client.post("snapshot/none", "", why.as_bytes()).await,
            (None, true) => client.post("snapshot", "", COMPILED).await,
            (None, false) => return Some(ExitCause::Exited(1)),
        };
        return Some(ExitCause::Exited(0));
    }
    match inside.env("_LAMBENT_SNAPSHOT")?.as_str() {
        "take" => {
            let _ = match inside.env(UNFIT) {
                Some(why) => client.post("snapshot/none", "", why.as_bytes()).await,
                None => client.post("snapshot", "", b"a snapshot").await,
            };
            Some(ExitCause::Exited(0))
        }
        _ => {
            client.restore_next().await.ok()?;
            let kind = inside.env(RESTORE_ERROR)?;
            let _ = client.post("restore/error", &error_header(&kind), b"{}").await;
            Some(ExitCause::Exited(1))
        }
    }
}

/// An event as the Runtime API gives it.
#[derive(Debug, Clone)]
pub struct Request {
    /// `Lambda-Runtime-Aws-Request-Id`.
    pub id: String,
    /// All headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The event.
    pub payload: Bytes,
}

/// A minimal runtime client.
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Waits for an event.
    ///
    /// # Errors
    /// The connection ended.
    pub async fn next(&mut self) -> io::Result<Request> {
        let call = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
        self.stream.write_all(call.as_bytes()).await?;
        let (headers, payload) = self.answer().await?;
        let id = headers.iter().find(|(name, _)| name == "lambda-runtime-aws-request-id");
        let id = id.map(|(_, value)| value.clone()).ok_or_else(|| io::Error::other("no request id"))?;
        Ok(Request { id, headers, payload })
    }

    /// Goes on after a restore.
    ///
    /// # Errors
    /// The connection ended.
    pub async fn restore_next(&mut self) -> io::Result<()> {
        let call = "GET /2018-06-01/runtime/restore/next HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
        self.stream.write_all(call.as_bytes()).await?;
        self.answer().await.map(drop)
    }

    /// Posts a response.
    ///
    /// # Errors
    /// The connection ended.
    pub async fn respond(&mut self, id: &str, payload: &[u8]) -> io::Result<()> {
        self.post(&format!("invocation/{id}/response"), "", payload).await
    }

    /// Streams a response; gives the part with which it broke off, if it did.
    ///
    /// # Errors
    /// The connection ended.
    pub async fn stream(
        &mut self,
        id: &str,
        content_type: Option<String>,
        mut parts: mpsc::Receiver<Part>,
    ) -> io::Result<Option<Part>> {
        let kind = content_type.map(|kind| format!("Content-Type: {kind}\r\n")).unwrap_or_default();
        let head = format!(
            "POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nHost: 127.0.0.1\r\n\
             Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n{kind}\r\n"
        );
        self.stream.write_all(head.as_bytes()).await?;
        let mut trailers = Vec::new();
        while let Some(part) = parts.recv().await {
            match part {
                Part::Bytes(bytes) => {
                    self.stream.write_all(format!("{:x}\r\n", bytes.len()).as_bytes()).await?;
                    self.stream.write_all(&bytes).await?;
                    self.stream.write_all(b"\r\n").await?;
                }
                Part::Error(kind, payload) => {
                    trailers = error_header(&kind).into_bytes();
                    trailers.extend_from_slice(b"Lambda-Runtime-Function-Error-Body: ");
                    trailers.extend_from_slice(&payload);
                    trailers.extend_from_slice(b"\r\n");
                    break;
                }
                last @ (Part::Cut | Part::Exit(_)) => return Ok(Some(last)),
            }
        }
        self.stream.write_all(&[b"0\r\n", trailers.as_slice(), b"\r\n"].concat()).await?;
        self.answer().await.map(|_| None)
    }

    /// Posts an error.
    ///
    /// # Errors
    /// The connection ended.
    pub async fn error(&mut self, id: &str, kind: &str, payload: &[u8]) -> io::Result<()> {
        self.post(&format!("invocation/{id}/error"), &error_header(kind), payload).await
    }

    /// Reports that INIT failed.
    ///
    /// # Errors
    /// The connection ended.
    pub async fn init_error(&mut self, kind: &str, payload: &[u8]) -> io::Result<()> {
        self.post("init/error", &error_header(kind), payload).await
    }

    async fn post(&mut self, path: &str, header: &str, payload: &[u8]) -> io::Result<()> {
        let length = payload.len();
        let head = format!(
            "POST /2018-06-01/runtime/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n{header}\r\n"
        );
        let mut call = head.into_bytes();
        call.extend_from_slice(payload);
        self.stream.write_all(&call).await?;
        self.answer().await.map(|_| ())
    }

    async fn answer(&mut self) -> io::Result<(Vec<(String, String)>, Bytes)> {
        let (mut line, mut headers, mut length) = (String::new(), Vec::new(), 0);
        loop {
            line.clear();
            if self.stream.read_line(&mut line).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let text = line.trim_end();
            if text.is_empty() {
                break;
            }
            if let Some((name, value)) = text.split_once(':') {
                let (name, value) = (name.to_ascii_lowercase(), value.trim().to_owned());
                if name == "content-length" {
                    length = value.parse().map_err(io::Error::other)?;
                }
                headers.push((name, value));
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        Ok((headers, body.into()))
    }
}

fn error_header(kind: &str) -> String {
    format!("Lambda-Runtime-Function-Error-Type: {kind}\r\n")
}

//! A platform of two rooms: functions over the real invoker with paper walls, and a clock in hand.

use std::collections::VecDeque;
use std::io::{Cursor, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base::{
    Account, BoxFuture, EventNews, Invoked, LocalBell, LogLine, LogSink, Meter, Principal, Receipt, Region, RequestId,
    SystemRng, VirtualClocks,
};
use bytes::Bytes;
use door::{
    Body, Call, Credential, Dispatch, Gate, Handle, Input, Keys, Origin, Router, RouterBuilder, Temporary, Via,
};
use functions::{Functions, Options, Service};
use futures_util::FutureExt;
use futures_util::future::Shared;
use invoker::Invoker;
use invoker::testing::{FakeWalls, Part, Reply};
use model::lambda::{self as aws, ops};
use runtime::{Family, Interpreter};
use store::{Blobs, Folder, Kv, Trees};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use wire::Op;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

pub(crate) const ROLE: &str = "arn:aws:iam::000000000000:role/test";

/// How long a test waits for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

struct Deaf;

impl LogSink for Deaf {
    fn write(&self, _: Vec<LogLine>) {}
}

impl Meter for Deaf {
    fn invoked(&self, _: &Invoked) {}
    fn throttled(&self, _: Account, _: &str, _: &str) {}
    fn event(&self, _: Account, _: &str, _: EventNews) {}
    fn unsigned(&self, _: Account, _: &str) {}
    fn kept_ready(&self, _: Option<&str>, _: Vec<base::KeptReady>, _: base::Timestamp) {}
    fn receipt(&self, row: &Invoked) -> Option<Receipt> {
        let key = format!("receipt/{}/{}", row.request, row.at.0).into_bytes();
        Some(Receipt { key, value: row.failed.to_string().into_bytes() })
    }
    fn receipted(&self) {}
}

struct TestKeys;

impl Keys for TestKeys {
    fn find(&self, _: &str) -> Option<Credential> {
        None
    }
    fn account_has_keys(&self, _: Account) -> bool {
        false
    }
    fn for_function(&self, account: Account, role: &str, session: &str) -> Temporary {
        Temporary {
            key_id: format!("ASIA-{account}"),
            secret: format!("secret of {role}"),
            token: format!("token of {session}"),
            expires: base::Timestamp(i64::MAX),
        }
    }
}

/// What outlives a restart.
#[derive(Clone)]
pub(crate) struct Disk {
    pub(crate) kv: Arc<dyn Kv>,
    pub(crate) folder: Arc<Folder>,
}

impl Disk {
    pub(crate) fn new() -> Self {
        Self { kv: store::memory(), folder: Arc::new(Folder::ephemeral().unwrap()) }
    }
}

pub(crate) struct World {
    pub(crate) functions: Arc<Functions>,
    /// The room behind a door that asks no policies.
    pub(crate) router: Arc<Router>,
    pub(crate) clocks: Arc<VirtualClocks>,
    pub(crate) walls: Arc<FakeWalls>,
    pub(crate) disk: Disk,
    /// Payloads of events that begin.
    pub(crate) begun: mpsc::UnboundedReceiver<String>,
    /// Lets handlers that were told to `hold` go on.
    pub(crate) gate: Arc<Semaphore>,
    /// How many events still fail that were told to `fail`.
    pub(crate) failures: Arc<AtomicU32>,
    /// What the next invocations stream, each with its content type; others answer at once.
    pub(crate) scripts: Scripts,
    service: Mutex<Option<Service>>,
    running: Vec<JoinHandle<()>>,
}

type Scripts = Arc<Mutex<VecDeque<(Option<String>, mpsc::Receiver<Part>)>>>;

impl World {
    /// The next invocation streams what is sent here.
    pub(crate) fn script(&self, content_type: Option<&str>) -> mpsc::Sender<Part> {
        let (says, script) = mpsc::channel(1);
        self.scripts.lock().unwrap().push_back((content_type.map(str::to_owned), script));
        says
    }

    pub(crate) fn new() -> Self {
        Self::on(Disk::new())
    }

    pub(crate) fn on(disk: Disk) -> Self {
        Self::with(disk, |_| {})
    }

    pub(crate) fn with(disk: Disk, change: impl FnOnce(&mut Options)) -> Self {
        let (tell, begun) = mpsc::unbounded_channel();
        let (gate, failures) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicU32::new(u32::MAX)));
        let (held, failing) = (Arc::clone(&gate), Arc::clone(&failures));
        let scripts = Scripts::default();
        let told = Arc::clone(&scripts);
        let walls = FakeWalls::serving(move |inside, request| {
            let (tell, held, failing) = (tell.clone(), Arc::clone(&held), Arc::clone(&failing));
            let script = told.lock().unwrap().pop_front();
            Box::pin(async move {
                if let Some((content_type, script)) = script {
                    return Reply::Stream(content_type, script);
                }
                let text = String::from_utf8_lossy(&request.payload).into_owned();
                let _ = tell.send(text.clone());
                if text.contains("hold") {
                    held.acquire().await.unwrap().forget();
                }
                if text.contains("fail")
                    && failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
                {
                    return Reply::Error("ValueError".into(), Bytes::from_static(b"{\"errorType\":\"ValueError\"}"));
                }
                if text.contains("part") {
                    let event: serde_json::Value = serde_json::from_slice(&request.payload).unwrap();
                    let records = event["Records"].as_array().unwrap().iter();
                    let bad = records.filter(|record| record["body"].as_str().unwrap().contains("bad"));
                    let bad: Vec<_> =
                        bad.map(|record| serde_json::json!({"itemIdentifier": record["messageId"]})).collect();
                    return Reply::Response(serde_json::json!({"batchItemFailures": bad}).to_string().into());
                }
                if text == "\"trace\"" {
                    let header = request.headers.iter().find(|(name, _)| name == "lambda-runtime-trace-id");
                    return Reply::Response(serde_json::json!(header.map(|(_, value)| value)).to_string().into());
                }
                if text.contains("env") {
                    let value = inside.env("VALUE").unwrap_or_default();
                    return Reply::Response(serde_json::json!(value).to_string().into());
                }
                Reply::Response(request.payload)
            })
        });
        let clocks = Arc::new(VirtualClocks::default());
        clocks.pause();
        let deaf = Arc::new(Deaf);
        let (handle, service) = Invoker::start(invoker::Options::new(
            walls.clone(),
            clocks.clone(),
            Arc::new(SystemRng),
            deaf.clone(),
            deaf.clone(),
        ));
        let keeping = tokio::spawn(async move { service.run().await });
        let mut options = Options {
            kv: Arc::clone(&disk.kv),
            blobs: Blobs::at(&disk.folder),
            trees: Trees::at(&disk.folder),
            snapshots: store::Derived::snapshots(&disk.folder),
            bytecode: store::Derived::bytecode(&disk.folder),
            invoker: handle,
            interpreters: found(),
            bootstraps: "/bootstraps".into(),
            clocks: clocks.clone(),
            rng: Arc::new(SystemRng),
            bell: Arc::new(LocalBell::over(clocks.clone())),
            meter: deaf,
            gate: door::Gate::off(),
            keys: Arc::new(TestKeys),
            loopback: true,
            allow_older_runtimes: false,
            authority: "localhost:4566".into(),
            scheme: "http",
            account_concurrency: 1000,
            egress: Some(base::Egress::All),
            dispatch: Arc::new(crate::from_s3::Objects),
            logs: Arc::new(Deaf),
        };
        change(&mut options);
        let (functions, service) = Functions::open(options).unwrap();
        let router = functions::register(RouterBuilder::default(), &functions).dropping(dropped()).build(Gate::off());
        let service = Mutex::new(Some(service));
        Self { functions, router, clocks, walls, disk, begun, gate, failures, scripts, service, running: vec![keeping] }
    }

    /// Lets events be delivered and unused code go.
    pub(crate) fn serve(mut self) -> Self {
        let service = self.service.lock().unwrap().take().unwrap();
        self.running.push(tokio::spawn(service.run()));
        self
    }

    /// Ends what `serve` began, as a clean stop does first.
    pub(crate) async fn stop(&mut self) {
        let service = self.running.pop().unwrap();
        service.abort();
        let _ = service.await;
    }

    /// The process dies: nothing is finished, only the disk stays.
    pub(crate) async fn die(mut self) -> Disk {
        for running in self.running.drain(..) {
            running.abort();
            let _ = running.await;
        }
        self.disk.clone()
    }

    pub(crate) async fn call<O: Op>(&self, input: O::Input) -> Result<O::Output, base::Fault>
    where
        Functions: Handle<O>,
    {
        call::<O>(Arc::clone(&self.router), input).await
    }

    pub(crate) async fn create(&self, name: &str) -> aws::FunctionConfiguration {
        self.call::<ops::CreateFunction>(create(name)).await.unwrap()
    }

    pub(crate) async fn invoke(&self, name: &str, payload: &str) -> Result<aws::InvocationResponse, base::Fault> {
        self.call::<ops::Invoke>(invoke(name, payload)).await
    }

    pub(crate) async fn event(&self, name: &str, payload: &str) -> aws::InvocationResponse {
        let input = aws::InvocationRequest { invocation_type: Some("Event".into()), ..invoke(name, payload) };
        self.call::<ops::Invoke>(input).await.unwrap()
    }

    /// Waits until a handler begins; answers with its event. In vain it fails rather than hangs.
    pub(crate) async fn begins(&mut self) -> String {
        let begins = tokio::time::timeout(PATIENCE, self.begun.recv());
        begins.await.expect("a handler begins").unwrap()
    }

    /// How many events wait or are under way.
    pub(crate) fn waiting(&self) -> usize {
        self.disk.kv.range(store::Space::Queue, store::Range::prefix("event/"), 1000, false).unwrap().len()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for running in &self.running {
            running.abort();
        }
    }
}

/// What `cargo xtask drops` takes away to see which test notices.
fn dropped() -> Option<door::Dropped> {
    std::env::var("LAMBENT_DROP").ok().map(|member| member.parse().unwrap())
}

/// A call that outlives the borrow of its world.
pub(crate) async fn call<O: Op>(router: Arc<Router>, input: O::Input) -> Result<O::Output, base::Fault> {
    call_as::<O>(&router, Principal::Root { account: Account::DEFAULT, verified: true }, input).await
}

pub(crate) async fn call_as<O: Op>(
    router: &Router,
    principal: Principal,
    input: O::Input,
) -> Result<O::Output, base::Fault> {
    Ok(reply_as::<O>(router, principal, input).await?.typed().unwrap())
}

/// The answer with its body.
pub(crate) async fn reply<O: Op>(router: &Router, input: O::Input) -> Result<door::Reply, base::Fault> {
    reply_as::<O>(router, Principal::Root { account: Account::DEFAULT, verified: true }, input).await
}

async fn reply_as<O: Op>(router: &Router, principal: Principal, input: O::Input) -> Result<door::Reply, base::Fault> {
    let call = Call {
        principal,
        origin: Origin::default(),
        via: Via::Client { loopback: true },
        operation: O::ROW,
        input: Input::Typed(Box::new(input)),
        body: Body::Empty,
        region: Region::default_region(),
        request_id: RequestId::new(&SystemRng),
        deadline: None,
        depth: 0,
        trace: None,
    };
    router.call(call).await
}

pub(crate) fn create(name: &str) -> aws::CreateFunctionRequest {
    aws::CreateFunctionRequest {
        function_name: Some(name.into()),
        runtime: Some("python3.12".into()),
        role: Some(ROLE.into()),
        handler: Some("app.handler".into()),
        code: Some(aws::FunctionCode { zip_file: Some(package(name)), ..aws::FunctionCode::default() }),
        ..aws::CreateFunctionRequest::default()
    }
}

pub(crate) fn invoke(name: &str, payload: &str) -> aws::InvocationRequest {
    aws::InvocationRequest {
        function_name: Some(name.into()),
        payload: Some(Bytes::copy_from_slice(payload.as_bytes())),
        ..aws::InvocationRequest::default()
    }
}

/// A zip whose content depends on `word`.
pub(crate) fn package(word: &str) -> Bytes {
    zip_of(&[("app.py", word.as_bytes(), 0o644)])
}

pub(crate) fn zip_of(files: &[(&str, &[u8], u32)]) -> Bytes {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content, mode) in files {
        writer.start_file(*name, SimpleFileOptions::default().unix_permissions(*mode)).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner().into()
}

/// One interpreter, found at once.
fn found() -> Shared<BoxFuture<'static, Arc<[Interpreter]>>> {
    let python = Interpreter {
        family: Family::Python,
        version: (3, 12, 4),
        exe: "/usr/bin/python3.12".into(),
        mounts: Vec::new(),
    };
    let found: BoxFuture<'static, Arc<[Interpreter]>> = Box::pin(std::future::ready(Arc::from([python])));
    found.shared()
}

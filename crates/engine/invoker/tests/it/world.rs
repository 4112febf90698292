//! A platform of one room: paper walls, a clock in hand, and everything that was logged and metered.

use std::sync::{Arc, Mutex};

use base::{
    Account, Clocks, EventNews, Invoked, KeptReady, LogLine, LogSink, Meter, Principal, Receipt, Region, RequestId,
    SystemRng, Timestamp, VirtualClocks,
};
use bytes::Bytes;
use invoker::testing::{FakeWalls, Reply};
use invoker::{Done, Finished, Handle, Image, Invocation, Invoker, Options, Refusal, Target, TargetKey};
use sandbox::ExitCause;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

#[derive(Default)]
pub(crate) struct Ears {
    pub(crate) lines: Mutex<Vec<LogLine>>,
    pub(crate) rows: Mutex<Vec<Invoked>>,
    pub(crate) throttled: Mutex<u32>,
}

impl LogSink for Ears {
    fn write(&self, lines: Vec<LogLine>) {
        self.lines.lock().unwrap().extend(lines);
    }
}

impl Meter for Ears {
    fn invoked(&self, row: &Invoked) {
        self.rows.lock().unwrap().push(row.clone());
    }
    fn throttled(&self, _: Account, _: &str, _: &str) {
        *self.throttled.lock().unwrap() += 1;
    }
    fn event(&self, _: Account, _: &str, _: EventNews) {}
    fn unsigned(&self, _: Account, _: &str) {}
    fn kept_ready(&self, _: Option<&str>, _: Vec<KeptReady>, _: Timestamp) {}
    fn receipt(&self, _: &Invoked) -> Option<Receipt> {
        None
    }
    fn receipted(&self) {}
}

/// Where handlers that were told to `hold` wait, and say that they do.
pub(crate) struct Gate {
    entered: mpsc::UnboundedSender<String>,
    open: Semaphore,
}

pub(crate) struct World {
    pub(crate) walls: Arc<FakeWalls>,
    pub(crate) clocks: Arc<VirtualClocks>,
    pub(crate) ears: Arc<Ears>,
    pub(crate) handle: Handle,
    pub(crate) gate: Arc<Gate>,
    /// Request ids of handlers that hold.
    pub(crate) entered: mpsc::UnboundedReceiver<String>,
    service: Option<invoker::Service>,
    running: Option<JoinHandle<()>>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Options)) -> Self {
        let (entered, receiver) = mpsc::unbounded_channel();
        let gate = Arc::new(Gate { entered, open: Semaphore::new(0) });
        let inner = Arc::clone(&gate);
        let walls = FakeWalls::serving(move |inside, request| {
            let gate = Arc::clone(&inner);
            Box::pin(async move {
                let text = String::from_utf8_lossy(&request.payload).into_owned();
                let (word, rest) = text.split_once(':').unwrap_or((&text, ""));
                match word {
                    "hold" => {
                        let _ = gate.entered.send(request.id);
                        gate.open.acquire().await.unwrap().forget();
                    }
                    "hang" => std::future::pending().await,
                    "print" => {
                        // A blocking write belongs on a thread of its own.
                        let rest = rest.to_owned();
                        tokio::task::spawn_blocking(move || inside.print(&rest)).await.unwrap();
                    }
                    "raise" => {
                        return Reply::Error(
                            "ValueError".into(),
                            Bytes::from_static(b"{\"errorType\":\"ValueError\"}"),
                        );
                    }
                    "exit" => return Reply::Exit(ExitCause::Exited(rest.parse().unwrap())),
                    "oom" => return Reply::Exit(ExitCause::OutOfMemory),
                    "used" => inside.usage.lock().unwrap().cpu_user_us += 1_500,
                    "takes" => inside.usage.lock().unwrap().peak_memory_bytes = 7 << 20,
                    "stream" => return Reply::Response(inside.env("AWS_LAMBDA_LOG_STREAM_NAME").unwrap().into()),
                    _ => {}
                }
                Reply::Response(request.payload)
            })
        });
        Self::on(walls, gate, receiver, change)
    }

    pub(crate) fn on_walls(walls: Arc<FakeWalls>, change: impl FnOnce(&mut Options)) -> Self {
        let (entered, receiver) = mpsc::unbounded_channel();
        Self::on(walls, Arc::new(Gate { entered, open: Semaphore::new(0) }), receiver, change)
    }

    fn on(
        walls: Arc<FakeWalls>,
        gate: Arc<Gate>,
        entered: mpsc::UnboundedReceiver<String>,
        change: impl FnOnce(&mut Options),
    ) -> Self {
        let clocks = Arc::new(VirtualClocks::default());
        clocks.pause();
        let ears = Arc::new(Ears::default());
        let (as_clocks, as_walls) = (Arc::clone(&clocks) as Arc<dyn Clocks>, Arc::clone(&walls));
        let mut options = Options::new(as_walls, as_clocks, Arc::new(SystemRng), ears.clone(), ears.clone());
        change(&mut options);
        let (handle, service) = Invoker::start(options);
        Self { walls, clocks, ears, handle, gate, entered, service: Some(service), running: None }
    }

    /// Lets keep-alive run.
    pub(crate) fn serve(mut self) -> Self {
        let service = self.service.take().unwrap();
        self.running = Some(tokio::spawn(async move { service.run().await }));
        self
    }

    pub(crate) fn service(&mut self) -> invoker::Service {
        self.service.take().unwrap()
    }

    pub(crate) async fn call(&self, target: &Arc<Target>, payload: &str) -> Result<Done, Refusal> {
        self.handle.invoke(Arc::clone(target), invocation(payload)).await
    }

    pub(crate) fn spawn(&self, target: &Arc<Target>, payload: &str) -> JoinHandle<Result<Done, Refusal>> {
        tokio::spawn(self.handle.invoke(Arc::clone(target), invocation(payload)))
    }

    /// Waits until `n` more handlers hold.
    pub(crate) async fn held(&mut self, n: usize) -> Vec<String> {
        let mut ids = Vec::new();
        for _ in 0..n {
            ids.push(self.entered.recv().await.unwrap());
        }
        ids
    }

    /// Lets `n` holding handlers go on.
    pub(crate) fn release(&self, n: usize) {
        self.gate.open.add_permits(n);
    }

    /// Takes back what [`World::release`] gave too much.
    pub(crate) fn gate_shut(&self) {
        self.gate.open.forget_permits(usize::MAX);
    }

    /// Waits until so many environments live.
    pub(crate) async fn live(&self, n: usize) {
        self.handle.changes().wait_for(|live| *live == n).await.unwrap();
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.ears.lines.lock().unwrap().iter().map(|line| line.text.clone()).collect()
    }

    pub(crate) fn launches(&self) -> usize {
        self.walls.launched().len()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.abort();
        }
    }
}

pub(crate) fn invocation(payload: &str) -> Invocation {
    Invocation {
        request_id: RequestId::new(&SystemRng),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        trace: None,
        client_context: None,
        invoked_arn: "arn:aws:lambda:us-east-1:000000000000:function:f".into(),
        want_tail: true,
        by_receipt: false,
        sink: None,
    }
}

pub(crate) fn arn(name: &str) -> Arc<str> {
    format!("arn:aws:lambda:us-east-1:000000000000:function:{name}").into()
}

pub(crate) fn target_with(name: &str, revision: &str, change: impl FnOnce(&mut Target)) -> Arc<Target> {
    let mut target = Target {
        key: TargetKey { function: arn(name), version: "$LATEST".into(), revision: revision.into() },
        account: Account::DEFAULT,
        region: Region::default_region(),
        function_arn: arn(name),
        function_name: name.into(),
        memory_mb: 128,
        timeout_ms: 20_000,
        tmp_mb: 512,
        runtime: "Runtime Version: python:3.12.v1".into(),
        env: vec![("STAGE".into(), "test".into())],
        credentials: None,
        argv: vec!["/bin/true".into()],
        ahead: None,
        image: Image {
            task: "/tmp".into(),
            layers: Vec::new(),
            runtime: Vec::new(),
            snapshot: None,
            bytecode: Vec::new(),
        },
        web: None,
        debug: None,
        isolation: invoker::Isolation::Process,
        egress: base::Egress::None,
        log_group: format!("/aws/lambda/{name}").into(),
        principal: Some(Principal::Root { account: Account::DEFAULT, verified: true }),
        bytecode: Vec::new(),
        notes: Vec::new(),
    };
    change(&mut target);
    Arc::new(target)
}

pub(crate) fn target(name: &str) -> Arc<Target> {
    target_with(name, "1", |_| {})
}

pub(crate) fn body(done: &Done) -> String {
    match &done.result {
        Finished::Response(payload) | Finished::FunctionError { payload, .. } => {
            String::from_utf8(payload.to_vec()).unwrap()
        }
    }
}

pub(crate) fn tail(done: &Done) -> String {
    String::from_utf8(done.tail.clone().unwrap()).unwrap()
}

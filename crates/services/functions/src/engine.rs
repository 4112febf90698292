//! The long-lived part: [`Options`] → [`Functions`] and its [`Service`].

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use base::{
    Bell, BoxFuture, Clocks, Concurrency, Fault, Invoked, LogSink, Meter, Phases, RequestId, Rng, StartKind,
    TraceHeader,
};
use bytes::Bytes;
use door::{Context, Dispatch, Gate, Keys};
use futures_util::future::Shared;
use invoker::{Done, FailureKind, Finished, Invocation, Target};
use runtime::{Interpreter, InvalidEntrypoint};
use serde::Serialize;
use store::{Blobs, Derived, Digest, Kv, Trees};
use tokio::sync::mpsc;

use crate::bytecode::Bytecodes;
use crate::code::Codes;
use crate::events::Events;
use crate::flow::Flow;
use crate::name::{Address, Named};
use crate::queue::{self, Readers};
use crate::snapstart::{Latest, Numbered};
use crate::state::State;
use crate::target::{Plan, Targets};
use crate::ticket::Tickets;
use crate::types::Code;
use crate::{events, faults, lineage};

/// What the platform gives this room when it starts.
pub struct Options {
    /// The rows.
    pub kv: Arc<dyn Kv>,
    /// Zips as they came.
    pub blobs: Blobs,
    /// Zips unpacked.
    pub trees: Trees,
    /// Functions after INIT.
    pub snapshots: Derived,
    /// What was compiled of functions' code.
    pub bytecode: Derived,
    /// Runs invocations.
    pub invoker: invoker::Handle,
    /// The interpreters of this host. Looking for them takes longer than a start may, so the first invocations await it.
    pub interpreters: Shared<BoxFuture<'static, Arc<[Interpreter]>>>,
    /// The host's folder to which [`runtime::bootstraps`] were written.
    pub bootstraps: PathBuf,
    /// All time: changes, retries and ages follow the product clock.
    pub clocks: Arc<dyn Clocks>,
    /// Revisions, URL ids, tickets.
    pub rng: Arc<dyn Rng>,
    /// Rung when an asynchronous event was accepted.
    pub bell: Arc<dyn Bell>,
    /// Gives receipts for what asynchronous events use, and hears what becomes of them.
    pub meter: Arc<dyn Meter>,
    /// Whom function URLs let in.
    pub gate: Arc<Gate>,
    /// Gives functions their roles' credentials.
    pub keys: Arc<dyn Keys>,
    /// Whether the platform listens on loopback only.
    pub loopback: bool,
    /// Whether an older interpreter may stand in ([`runtime::ALLOW_OLDER_OPTION`]).
    pub allow_older_runtimes: bool,
    /// Host and port under which clients reach the platform, for URLs in answers to calls that came without a host:
    /// `localhost:4566`.
    pub authority: String,
    /// How clients reach the platform, for the same: `http`, or `https` where nothing else is spoken.
    pub scheme: &'static str,
    /// Concurrent executions of an account in a region, as the invoker has it.
    pub account_concurrency: u32,
    /// What the platform lets its functions reach; a function's tag may narrow it. None where it cannot keep such a rule:
    /// functions without walls use the host's network, and a tag that narrows that is refused.
    pub egress: Option<base::Egress>,
    /// Asked for code that lies in a bucket, and for what lies in queues.
    pub dispatch: Arc<dyn Dispatch>,
    /// Where a function's log tells why its invocation was given up.
    pub logs: Arc<dyn LogSink>,
}

/// The room: carries out the operations. Held by the door, by the gateway as a [`door::Site`], and by [`Service`].
pub struct Functions {
    // Itself, for what goes on beside the calls.
    me: Weak<Self>,
    pub(crate) options: Options,
    pub(crate) state: State,
    pub(crate) code: Codes,
    pub(crate) targets: Targets,
    pub(crate) events: Events,
    pub(crate) tickets: Tickets,
    pub(crate) invoker: invoker::Handle,
    pub(crate) snapshots: Derived,
    pub(crate) bytecode: Bytecodes,
    // Those that are being made, by function and number of the version, and how many are made at a time.
    pub(crate) snapping: std::sync::Mutex<HashSet<(Address, u64)>>,
    // The snapshots of `$LATEST`, where functions want them.
    pub(crate) latest: std::sync::Mutex<HashMap<Address, Latest>>,
    pub(crate) snap_turns: tokio::sync::Semaphore,
    pub(crate) snap_wanted: mpsc::UnboundedSender<Numbered>,
    // The versions that were told to have environments ready, each with what stands in the way.
    pub(crate) provisioned: tokio::sync::Mutex<Told>,
    // The mappings that read queues, and those whose rows must be looked at.
    pub(crate) readers: Readers,
    // Held while the meter is told what is kept ready: the last to read is the last to tell.
    pub(crate) billing: std::sync::Mutex<()>,
}

/// By function, then by version.
type Told = HashMap<Address, BTreeMap<String, Option<String>>>;

/// One event for a function, whichever way it came.
pub(crate) struct Request {
    pub(crate) id: RequestId,
    pub(crate) payload: Bytes,
    pub(crate) trace: Option<String>,
    pub(crate) client_context: Option<String>,
    pub(crate) want_tail: bool,
    /// How many calls led to it.
    pub(crate) depth: u16,
    /// Whether its use is counted by a receipt.
    pub(crate) by_receipt: bool,
}

/// The live environments of one function version, for the page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Live {
    /// The function's name.
    pub function: String,
    /// Its ARN without qualifier.
    pub arn: String,
    /// `$LATEST` or a number.
    pub version: String,
    /// In launch or INIT.
    pub starting: usize,
    /// With an event.
    pub busy: usize,
    /// Waiting for one.
    pub idle: usize,
}

impl Functions {
    /// Opens the room over its rows: tells the invoker of reservations and finds the events that wait.
    ///
    /// # Errors
    /// The store's faults.
    pub fn open(options: Options) -> Result<(Arc<Self>, Service), Fault> {
        let state = State::new(Arc::clone(&options.kv), options.account_concurrency);
        let kept = (options.blobs.clone(), options.trees.clone(), options.bytecode.clone());
        let (code, unused) = Codes::new(kept, state.clone());
        let events = Events::new(state.events()?);
        // No longer than there are versions: each is in it once.
        let (snap_wanted, snapshots) = mpsc::unbounded_channel();
        let functions = Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            code,
            targets: Targets::default(),
            events,
            tickets: Tickets::new(&*options.rng),
            invoker: options.invoker.clone(),
            snapshots: options.snapshots.clone(),
            bytecode: Bytecodes::new(options.bytecode.clone()),
            snapping: std::sync::Mutex::default(),
            latest: std::sync::Mutex::default(),
            snap_turns: tokio::sync::Semaphore::new(crate::snapstart::AT_A_TIME),
            snap_wanted,
            provisioned: tokio::sync::Mutex::default(),
            readers: Readers::default(),
            billing: std::sync::Mutex::default(),
            state,
            options,
        });
        for (address, function) in functions.state.every()? {
            if function.reserved.is_some() {
                functions.reserve(&address, function.reserved);
            }
        }
        let service = Service { functions: Arc::clone(&functions), unused, snapshots };
        Ok((functions, service))
    }

    /// The live environments now.
    #[must_use]
    pub fn live(&self) -> Vec<Live> {
        let live = self.invoker.live().into_iter().map(|live| Live {
            function: live.key.function.rsplit(':').next().unwrap_or_default().to_owned(),
            arn: live.key.function.to_string(),
            version: live.key.version.to_string(),
            starting: live.starting,
            busy: live.busy,
            idle: live.idle,
        });
        live.collect()
    }

    /// Tells the invoker, which keeps the count, of a reservation.
    pub(crate) fn reserve(&self, address: &Address, reserved: Option<u32>) {
        self.invoker.reserve(address.account, &address.region, &address.arn().into(), reserved);
    }

    /// Where a client can download some code for a while.
    pub(crate) fn code_location(&self, context: &Context, code: &Code) -> String {
        let host = context.host.as_deref().unwrap_or(&self.options.authority);
        let ticket = self.tickets.issue(&code.sha256, self.options.clocks.signing());
        format!("{}://{host}/_lambent/code/{ticket}", self.options.scheme)
    }

    /// Runs one event to its end.
    ///
    /// # Errors
    /// Why it never began, in AWS's words.
    pub(crate) async fn run(&self, named: &Named, request: Request) -> Result<Done, Fault> {
        let plan = self.ready(named).await?;
        self.run_plan(named, &plan, request).await
    }

    /// The same, of what is ready.
    ///
    /// # Errors
    /// Those of [`Functions::run`].
    pub(crate) async fn run_plan(&self, named: &Named, plan: &Plan, request: Request) -> Result<Done, Fault> {
        if let Some(served) = plan.served() {
            return self.run_web(named, served, request).await;
        }
        let (target, sampled, snapped) = match plan {
            Plan::Run { target, sampled, snapped, .. } => (target, *sampled, *snapped),
            Plan::NoBootstrap { version, why } => return Ok(self.no_bootstrap(named, version, &request, *why)),
        };
        let invocation = self.invocation(named, target, sampled, request);
        let done = self.invoker.invoke(Arc::clone(target), invocation).await;
        let done = done.map_err(|refusal| faults::refused(&refusal))?;
        self.look_at_start(named, snapped, &done);
        Ok(done)
    }

    /// Runs one event, whose response is handed on as the function writes it.
    ///
    /// # Errors
    /// Why it cannot begin, in AWS's words. Why it never began is in the flow's news.
    pub(crate) async fn stream(&self, named: Named, request: Request) -> Result<Flow, Fault> {
        let plan = self.ready(&named).await?;
        self.stream_plan(named, &plan, request).await
    }

    /// The same, of what is ready.
    ///
    /// # Errors
    /// Those of [`Functions::stream`].
    pub(crate) async fn stream_plan(&self, named: Named, plan: &Plan, request: Request) -> Result<Flow, Fault> {
        if let Some(served) = plan.served() {
            let version = served.target.key.version.to_string();
            return Ok(Flow::ended(version, self.run_web(&named, served, request).await?));
        }
        let (target, sampled, snapped) = match plan {
            Plan::Run { target, sampled, snapped, .. } => (target, *sampled, *snapped),
            Plan::NoBootstrap { version, why } => {
                let done = self.no_bootstrap(&named, version, &request, *why);
                return Ok(Flow::ended(version.clone(), done));
            }
        };
        let version = target.key.version.to_string();
        let invocation = self.invocation(&named, target, sampled, request);
        let flowing = self.invoker.stream(Arc::clone(target), invocation);
        let (me, number) = (Weak::clone(&self.me), snapped);
        let look = move |done: &Done| {
            if let Some(me) = me.upgrade() {
                me.look_at_start(&named, number, done);
            }
        };
        Ok(Flow::running(version, flowing, Box::new(look)))
    }

    fn invocation(&self, named: &Named, target: &Target, sampled: bool, request: Request) -> Invocation {
        let invoked_arn = self.invoked_arn(named, target);
        Invocation {
            request_id: request.id,
            payload: request.payload,
            trace: Some(request.trace.unwrap_or_else(|| self.new_trace(&target.key.function, sampled))),
            client_context: request.client_context,
            invoked_arn,
            want_tail: request.want_tail,
            by_receipt: request.by_receipt,
            sink: None,
        }
    }

    /// A target as its caller named it.
    pub(crate) fn invoked_arn(&self, named: &Named, target: &Target) -> Arc<str> {
        match &named.qualifier {
            None => Arc::clone(&target.key.function),
            Some(qualifier) => named.address.qualified(Some(qualifier)).into(),
        }
    }

    /// Has a snapshot made anew that an environment did not begin with: it is not there any more, or the host has changed.
    fn look_at_start(&self, named: &Named, snapped: Option<u64>, done: &Done) {
        if let Some(number) = snapped
            && done.row.start == StartKind::Cold
            && done.row.phases.restore_us == 0
        {
            self.want_snapshot(&named.address, number);
        }
    }

    /// The header of a trace that begins with an invocation of `function`.
    pub(crate) fn new_trace(&self, function: &str, sampled: bool) -> String {
        let now_s = self.options.clocks.product().0 / 1000;
        let root = TraceHeader::root(&*self.options.rng, now_s.unsigned_abs()).0;
        let root = if sampled { root.replace("Sampled=0", "Sampled=1") } else { root };
        lineage::step(&root, function).0
    }

    /// What Lambda answers for a custom runtime without a program. Nothing runs.
    fn no_bootstrap(&self, named: &Named, version: &str, request: &Request, none: InvalidEntrypoint) -> Done {
        let error_type = InvalidEntrypoint::ERROR_TYPE.to_owned();
        let payload = serde_json::json!({
            "errorType": error_type,
            "errorMessage": format!("RequestId: {} Error: {none}", request.id),
        });
        let row = Invoked {
            account: named.address.account,
            region: named.address.region.clone(),
            function_arn: named.address.qualified(Some(version)).into(),
            invoked_arn: named.address.qualified(named.qualifier.as_deref()).into(),
            request: request.id,
            environment: None,
            at: self.options.clocks.product(),
            start: StartKind::Cold,
            provisioned: false,
            ready: None,
            phases: Phases::default(),
            cpu_user_us: 0,
            cpu_system_us: 0,
            peak_memory_bytes: 0,
            memory_mb: 0,
            tmp_mb: 0,
            arm: false,
            concurrency: Concurrency::default(),
            billed_ms: 0,
            failed: true,
            by_receipt: request.by_receipt,
        };
        self.options.meter.invoked(&row);
        let payload = Bytes::from(payload.to_string());
        let result = Finished::FunctionError { kind: FailureKind::Init, error_type, payload };
        Done { result, tail: None, row, notes: Vec::new() }
    }
}

/// The part that runs beside the calls: delivers asynchronous events and what lies in queues, and removes code that nothing
/// uses.
pub struct Service {
    functions: Arc<Functions>,
    unused: mpsc::UnboundedReceiver<Digest>,
    // The versions whose snapshots are wanted.
    snapshots: mpsc::UnboundedReceiver<Numbered>,
}

impl Service {
    /// Runs until it is dropped. An event under way then goes on by itself; one that the end of the process cuts off stays
    /// in the queue, and is delivered again after the next start. [`Functions::drain`] waits for those of SQS's queues.
    pub async fn run(mut self) {
        let functions = &self.functions;
        if let Err(fault) = sweep_leftovers(functions).await {
            tracing::warn!(%fault, "code that nothing uses could not be removed");
        }
        let sweeping = async {
            while let Some(digest) = self.unused.recv().await {
                if let Err(fault) = functions.code.sweep(digest).await {
                    tracing::warn!(%fault, %digest, "code that nothing uses could not be removed");
                }
            }
        };
        let provisioning = async {
            if let Err(fault) = functions.provision_all().await {
                tracing::warn!(%fault, "provisioned concurrency could not be brought about");
            }
        };
        let snapping = async {
            if let Err(fault) = functions.snapshot_all().await {
                tracing::warn!(%fault, "snapshots that are missing could not be made");
            }
            functions.make_snapshots(self.snapshots).await;
        };
        let compiling = async {
            if let Err(fault) = functions.forget_interpreters().await {
                tracing::warn!(%fault, "bytecode of interpreters that are gone could not be removed");
            }
            functions.compile_all().await;
        };
        tokio::join!(
            provisioning,
            snapping,
            compiling,
            sweeping,
            events::deliver_all(functions),
            queue::read_all(functions)
        );
    }
}

/// Removes what an interrupted create, update or removal left.
async fn sweep_leftovers(functions: &Functions) -> Result<(), Fault> {
    for digest in functions.code.all().await? {
        functions.code.sweep(digest).await?;
    }
    Ok(())
}

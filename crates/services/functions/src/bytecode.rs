//! Bytecode: what Python would compile of a function's code and layers at each cold start is compiled once, beside everything
//! else, and kept beside the code it was made of; cold starts from then on find it (`bytecode.py` of the bootstrap).
//!
//! It is made of exactly one tree and one interpreter, in a sandbox that sees nothing else, so that whoever has the same code
//! may have it too. A file without bytes says that there is nothing to be had, which is not tried again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use base::{Egress, Fault};
use invoker::{Bytecode, Compiled, Image, Isolation, Mount, Refusal, Target, TargetKey};
use runtime::{Family, Interpreter, SnapshotWanted};
use store::{Derived, Digest};
use tokio::sync::{Notify, mpsc};

use crate::Functions;
use crate::code::Contents;
use crate::name::{Address, LATEST};
use crate::types::Code;

/// Code with less Python than this is left alone, bytes: it compiles in less than 10 ms.
const LEAST_BYTES: u64 = 100_000;
/// How long code stays unchanged before it is compiled: what is replaced sooner is never looked at.
const SETTLE: Duration = Duration::from_secs(2);
/// How often a function's own code is compiled at most, while it is changed again and again; layers are not.
const SPACING: Duration = Duration::from_secs(60);
/// How often one is tried while the host has no room, each time after [`SPACING`].
const TRIES: u32 = 5;
/// Trees that may wait.
const MOST_WAITING: usize = 1000;
/// When a compiler hands in what it has, and when it is ended.
const SECONDS: (u64, u64) = (240, 300);
/// What a compiler may hand in, and the table behind it, bytes.
const MOST_BYTES: (u64, u64) = (192 << 20, 16 << 20);
/// Memory and `/tmp` of a compiler, MiB.
const COMPILER_MB: (u32, u32) = (512, 512);
/// What the bytecode of a function's own code is called inside.
const TASK: &str = "task";
/// Pieces that wait to be written.
const PIECES: usize = 16;

/// What is kept, and what is to be made.
pub(crate) struct Bytecodes {
    kept: Derived,
    state: Mutex<State>,
    // Rung when something is to be made.
    changed: Notify,
}

/// Where a file is once it is there: shared by all targets that have the same code and interpreter.
type Place = Arc<OnceLock<PathBuf>>;

#[derive(Default)]
struct State {
    places: HashMap<String, Weak<OnceLock<PathBuf>>>,
    // By when it is due, and a number that tells those of one moment apart.
    waiting: BTreeMap<(Instant, u64), Wanted>,
    count: u64,
    // Those that wait or are being made.
    named: HashSet<String>,
    // When code of a function was last compiled, as long as that says anything.
    last: HashMap<Address, Instant>,
}

/// One tree to be compiled by one interpreter.
#[derive(Debug, Clone)]
struct Wanted {
    name: String,
    code: Code,
    // Whether it is a layer of that function.
    layer: bool,
    // Whose it is: the tenant of the sandbox.
    address: Address,
    interpreter: Interpreter,
    tries: u32,
}

/// What names the bytecode of one interpreter.
fn suffix(interpreter: &Interpreter) -> String {
    let (major, minor, patch) = interpreter.version;
    format!("-python{major}.{minor}.{patch}")
}

impl Bytecodes {
    pub(crate) fn new(kept: Derived) -> Self {
        Self { kept, state: Mutex::default(), changed: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the bytecode of some code is or will be. Has it made unless it is there, or cannot be.
    fn place(&self, address: &Address, (code, layer): (&Code, bool), interpreter: &Interpreter, now: Instant) -> Place {
        let name = format!("{}{}", code.sha256, suffix(interpreter));
        let mut state = self.lock();
        let place = match state.places.get(&name).and_then(Weak::upgrade) {
            Some(place) => place,
            None => {
                state.places.retain(|_, place| place.strong_count() > 0);
                let place = Place::default();
                state.places.insert(name.clone(), Arc::downgrade(&place));
                place
            }
        };
        if place.get().is_some() {
            return place;
        }
        match self.kept.find_full(&name) {
            Some(Some(path)) => drop(place.set(path)),
            Some(None) => {}
            None => {
                let wanted = Wanted {
                    name,
                    code: code.clone(),
                    layer,
                    address: address.clone(),
                    interpreter: interpreter.clone(),
                    tries: 0,
                };
                state.last.retain(|_, at| now.duration_since(*at) < SPACING);
                let spaced = state.last.get(address).filter(|_| !layer).map(|at| *at + SPACING);
                let due = spaced.into_iter().fold(now + SETTLE, Instant::max);
                if state.add(wanted, due) {
                    self.changed.notify_one();
                }
            }
        }
        place
    }

    /// Waits for what is due.
    async fn next(&self, now: impl Fn() -> Instant) -> Wanted {
        loop {
            let due = {
                let mut state = self.lock();
                match state.waiting.first_entry() {
                    Some(first) if first.key().0 <= now() => return first.remove(),
                    first => first.map(|first| first.key().0),
                }
            };
            match due {
                None => self.changed.notified().await,
                // What comes meanwhile is due later, unless it had to wait less.
                Some(due) => tokio::select! {
                    () = tokio::time::sleep(due.saturating_duration_since(now())) => {}
                    () = self.changed.notified() => {}
                },
            }
        }
    }
}

impl State {
    /// False for what waits already, and while too many do.
    fn add(&mut self, wanted: Wanted, due: Instant) -> bool {
        if self.named.len() >= MOST_WAITING || !self.named.insert(wanted.name.clone()) {
            return false;
        }
        self.count += 1;
        self.waiting.insert((due, self.count), wanted);
        true
    }
}

/// Removes what was made of some code.
pub(crate) async fn remove(kept: &Derived, digest: &Digest) -> Result<(), Fault> {
    let prefix = format!("{digest}-");
    for name in kept.list().await?.iter().filter(|name| name.starts_with(&prefix)) {
        kept.remove(name).await?;
    }
    Ok(())
}

impl Functions {
    /// Whether this platform compiles for an interpreter: only behind walls.
    pub(crate) fn may_compile(&self, interpreter: &Interpreter, isolation: Isolation) -> bool {
        interpreter.family == Family::Python && isolation == Isolation::Process && self.options.egress.is_some()
    }

    /// The bytecode of a function's code and layers, each as it appears inside.
    pub(crate) fn bytecode_of<'a>(
        &self,
        address: &Address,
        interpreter: &Interpreter,
        task: (&'a Code, &'a Contents),
        layers: impl Iterator<Item = (&'a Code, &'a Contents)>,
    ) -> Vec<Bytecode> {
        let now = self.options.clocks.monotonic();
        let layers = layers.enumerate().map(|(number, layer)| (format!("opt{number}"), layer));
        let all = std::iter::once((TASK.to_owned(), task)).chain(layers);
        let large = all.filter(|(_, (_, contents))| contents.python_bytes >= LEAST_BYTES);
        let place = |(name, (code, _)): (String, (&Code, &Contents))| {
            let file = self.bytecode.place(address, (code, name != TASK), interpreter, now);
            Bytecode { file, name }
        };
        large.map(place).collect()
    }

    /// Removes what was compiled by interpreters that this host does not have any more.
    ///
    /// # Errors
    /// The store's faults.
    pub(crate) async fn forget_interpreters(&self) -> Result<(), Fault> {
        let kept = &self.bytecode.kept;
        let names = kept.list().await?;
        if names.is_empty() {
            return Ok(());
        }
        let interpreters = self.options.interpreters.clone().await;
        let ours: Vec<String> = interpreters.iter().filter(|one| one.family == Family::Python).map(suffix).collect();
        for name in names.iter().filter(|name| !ours.iter().any(|suffix| name.ends_with(suffix))) {
            kept.remove(name).await?;
        }
        Ok(())
    }

    /// Compiles what is to be compiled, one after the other, for ever.
    pub(crate) async fn compile_all(&self) {
        loop {
            let clocks = &self.options.clocks;
            let mut wanted = self.bytecode.next(|| clocks.monotonic()).await;
            // Apart, so that the loops of the room stay small.
            let made = Box::pin(self.compile(&wanted)).await;
            let now = clocks.monotonic();
            let mut state = self.bytecode.lock();
            state.named.remove(&wanted.name);
            match made {
                Ok(true) if !wanted.layer => drop(state.last.insert(wanted.address.clone(), now)),
                Ok(_) => {}
                Err(fault) => {
                    tracing::info!(%fault, function = wanted.address.name, "code could not be compiled now");
                    wanted.tries += 1;
                    if wanted.tries < TRIES {
                        state.add(wanted, now + SPACING);
                    }
                }
            }
        }
    }

    /// Compiles some code, unless nothing uses it any more; says whether it was compiled.
    ///
    /// # Errors
    /// What may be otherwise at another time.
    async fn compile(&self, wanted: &Wanted) -> Result<bool, Fault> {
        let kept = &self.bytecode.kept;
        // Held before the rows are read: what they name stays until there is a claim.
        let held = self.code.hold().await;
        if !self.state.uses_code(&wanted.code.sha256)? || kept.find_full(&wanted.name).is_some() {
            return Ok(false);
        }
        let (tree, _lease, _) = self.code.open(&wanted.code).await?;
        drop(held);
        let begun = self.options.clocks.monotonic();
        let (sender, receiver) = mpsc::channel(PIECES);
        let snapshot = SnapshotWanted { pieces: sender, most_bytes: MOST_BYTES.0 + MOST_BYTES.1 };
        let target = self.compiler(wanted, tree.path);
        let limit = Duration::from_secs(SECONDS.1);
        let (made, written) = tokio::join!(self.invoker.compile(&target, snapshot, limit), kept.write(receiver));
        let (made, mut written) = (made.map_err(refused)?, written?);
        if made != Compiled::Taken {
            // Without bytes: what came of it so far is not all of it.
            let (none_follow, nothing) = mpsc::channel(1);
            drop(none_follow);
            written = kept.write(nothing).await?;
        }
        written.keep(&wanted.name).await?;
        let took_ms = self.options.clocks.monotonic().duration_since(begun).as_millis();
        let (function, name) = (&wanted.address.name, &wanted.name);
        if let Compiled::Nothing { why } = made {
            tracing::info!(function, name, took_ms, why, "no bytecode is kept");
        } else if let Some(path) = kept.find(name) {
            let place = self.bytecode.lock().places.get(name).and_then(Weak::upgrade);
            let _ = place.map(|place| place.set(path));
            tracing::info!(function, name, took_ms, "bytecode is kept");
        }
        Ok(true)
    }

    /// What compiles: the platform's own program, which sees the code and is told nothing.
    fn compiler(&self, wanted: &Wanted, task: PathBuf) -> Target {
        let Wanted { address, interpreter, name, .. } = wanted;
        let launch = runtime::compiler(interpreter, &self.options.bootstraps, SECONDS.0, MOST_BYTES.0);
        let mounts = launch.mounts.into_iter().map(|(source, target)| Mount { source, target });
        let image = Image { task, layers: Vec::new(), runtime: mounts.collect(), snapshot: None, bytecode: Vec::new() };
        let of_function = address.arn();
        Target {
            key: TargetKey {
                function: of_function.as_str().into(),
                version: LATEST.into(),
                revision: name.as_str().into(),
            },
            account: address.account,
            region: address.region.clone(),
            function_arn: of_function.into(),
            function_name: address.name.as_str().into(),
            memory_mb: COMPILER_MB.0,
            timeout_ms: SECONDS.1 * 1000,
            tmp_mb: COMPILER_MB.1,
            env: Vec::new(),
            runtime: "".into(),
            credentials: None,
            argv: launch.argv,
            ahead: None,
            image,
            bytecode: Vec::new(),
            web: None,
            debug: None,
            isolation: Isolation::Process,
            egress: Egress::None,
            log_group: "".into(),
            principal: None,
            notes: Vec::new(),
        }
    }
}

fn refused(refusal: Refusal) -> Fault {
    crate::faults::refused(&refusal)
}

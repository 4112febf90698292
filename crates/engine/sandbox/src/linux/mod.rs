//! The server's side: starts the helper, asks it for sandboxes, and holds the reins of those that live.

mod link;
mod reins;
mod tree;

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use base::BoxFuture;
use tokio::sync::watch;

use crate::Dial;
use crate::channel;
use crate::message::{self, Launch, Message, Program, Request};
use crate::microvm::MicroVms;
use crate::sys;
use crate::walls::{Ahead, BYTECODE, Environment, Error, Image, Isolation, Mode, Mount, Spec, Survey, Walls};
use crate::weak;
use link::Link;
pub(crate) use reins::Meters;

/// How to start [`Linux`].
#[derive(Debug, Clone)]
pub struct Options {
    /// Which walls are asked for.
    pub mode: Mode,
    /// A folder of the caller's own, on any file system. An empty folder `sandbox-root` is made in it.
    pub run_dir: PathBuf,
    /// Whether CPU shares are enforced (`--cpu-limit`).
    pub cpu_limit: bool,
    /// Sets of namespaces kept ready. Each costs about 0.4 MiB of kernel memory.
    pub prepared: usize,
    /// A program that calls [`crate::main_if_helper`] first thing; this program itself when `None`.
    pub helper_exe: Option<PathBuf>,
}

impl Options {
    /// Strong walls, CPU shares enforced, four sets ready, this program as its own helper.
    pub fn new(run_dir: impl Into<PathBuf>) -> Self {
        Self { mode: Mode::Strong, run_dir: run_dir.into(), cpu_limit: true, prepared: 4, helper_exe: None }
    }
}

/// How long a sandbox may take to be built, which takes milliseconds: a disk that hangs must not hold its place for ever.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// The walls of Linux: namespaces, cgroups, seccomp, Landlock, built by a helper process. Dropping it ends the helper and
/// kills every sandbox, and waits for that.
pub struct Linux {
    link: Arc<Link>,
    machines: Arc<MicroVms>,
    mode: Mode,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Linux {
    /// Raises this process's soft limit of open files to the hard one, starts the helper, and waits until it has found out what holds on this host. A host on which nothing can be built is
    /// no error here: [`Walls::survey`] says so, and launches answer [`Error::Unavailable`].
    ///
    /// # Errors
    /// [`Error::Exhausted`] when no process can be started.
    pub fn start(options: Options) -> Result<Arc<Self>, Error> {
        sys::use_all_descriptors();
        let mode = options.mode;
        let machines = Arc::new(MicroVms::new(&options.run_dir, options.helper_exe.as_deref()));
        let (link, reader) = Link::start(options)?;
        Ok(Arc::new(Self { link, machines, mode, reader: Some(reader) }))
    }

    /// Completes when the helper has found out everything [`Walls::survey`] tells. Some of it, as where `/tmp` lies, takes
    /// too long for a start to wait for.
    pub async fn settled(&self) {
        self.link.settled().await;
    }

    /// The pid of the helper process, for tests that kill it.
    pub fn helper_pid(&self) -> Option<u32> {
        self.link.helper_pid()
    }

    async fn launch_in_walls(&self, spec: Spec) -> Result<Environment, Error> {
        let (seq, answer, request) = self.link.begin(&spec.tenant, |seq| encode(seq, &spec))?;
        // Undoes the launch when this future is dropped before the answer.
        let mut undo = Undo { link: &self.link, seq, armed: true };
        if let Err(error) = self.link.send(&request) {
            undo.armed = false;
            self.link.forget(seq);
            return Err(error);
        }
        let Ok(result) = tokio::time::timeout(PATIENCE, answer).await else {
            let why = format!("it was not built within {} seconds", PATIENCE.as_secs());
            return Err(Error::Exhausted { what: "time for another sandbox", why });
        };
        let result = result.unwrap_or(Err(Error::HelperLost));
        undo.armed = false;
        let mut environment = result?;
        if let Some(port) = spec.serves {
            // The last descriptor is no listener.
            let maker = environment.listeners.pop();
            let maker = maker.ok_or_else(|| Error::Spec("the sandbox cannot be dialled".to_owned()))?;
            let dial = Dial::inside(port, maker.into());
            let exhausted = |error: std::io::Error| Error::Exhausted { what: "descriptors", why: error.to_string() };
            environment.dial = Some(dial.map_err(exhausted)?);
        }
        Ok(environment)
    }
}

impl Drop for Linux {
    fn drop(&mut self) {
        self.link.stop();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

struct Undo<'a> {
    link: &'a Link,
    seq: u64,
    armed: bool,
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.link.abandon(self.seq);
        }
    }
}

impl Walls for Linux {
    fn launch(&self, spec: Spec) -> BoxFuture<'_, Result<Environment, Error>> {
        Box::pin(async move {
            validate(&spec)?;
            let weak = self.mode == Mode::Weak && !self.link.usable();
            match spec.isolation {
                Isolation::Process if weak => weak::launch(spec),
                Isolation::Process => self.launch_in_walls(spec).await,
                // A machine stands inside walls: where there are none, the launch says why.
                Isolation::MicroVm => self.machines.launch(spec, |spec| self.launch_in_walls(spec)).await,
            }
        })
    }

    fn expect(&self, tenant: &str, image: &Image, ahead: &Ahead, files: u32) {
        let pairs = ahead.env.iter().flat_map(|(name, value)| [name, value]);
        let clean = ahead.argv.iter().chain(&ahead.zygote).chain(pairs).all(|text| !text.as_bytes().contains(&0));
        // What cannot be launched is not expected; the launch says why.
        if !self.link.usable() || !clean || files < 16 || validate_mounts(&image.runtime).is_err() {
            return;
        }
        let path = |path: &PathBuf| path.as_os_str().as_bytes().to_vec();
        let kind = message::Kind {
            tenant: tenant.as_bytes().to_vec(),
            ahead: of_ahead(ahead),
            files,
            runtime_sources: image.runtime.iter().map(|mount| path(&mount.source)).collect(),
            runtime_targets: image.runtime.iter().map(|mount| path(&mount.target)).collect(),
        };
        let request = Request::Expect(Box::new(kind)).encode();
        if request.len() <= channel::MAX_BYTES {
            // A helper that is gone expects nothing.
            let _ = self.link.send(&request);
        }
    }

    fn short_of_memory(&self) -> Option<watch::Receiver<u64>> {
        Some(self.link.short_of_memory())
    }

    fn helpers(&self) -> Option<watch::Receiver<u64>> {
        Some(self.link.helpers())
    }

    fn survey(&self) -> Survey {
        let weak = self.mode == Mode::Weak;
        let (walls, usable) = self.link.walls();
        Survey { walls, usable: usable || weak, weak }
    }
}

/// Whether a path is absolute and names nothing above itself.
fn is_plain(path: &Path) -> bool {
    path.is_absolute() && path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
}

/// Places a mount may not cover: they are the sandbox's own.
const OWN: &[&str] = &["/", "/proc", "/dev", "/tmp", "/sys", "/etc"];

fn validate_mounts(mounts: &[Mount]) -> Result<(), Error> {
    for mount in mounts {
        let target = &mount.target;
        let own = OWN.iter().any(|own| if *own == "/" { target == Path::new("/") } else { target.starts_with(own) });
        if !is_plain(target) || own {
            return Err(Error::Spec(format!("{} is no place for a mount", target.display())));
        }
    }
    if mounts.len() > 64 {
        return Err(Error::Spec("at most 64 runtime mounts".to_owned()));
    }
    Ok(())
}

fn of_ahead(ahead: &Ahead) -> message::Ahead {
    message::Ahead { argv: arguments(&ahead.argv), env: variables(&ahead.env), zygote: arguments(&ahead.zygote) }
}

fn validate(spec: &Spec) -> Result<(), Error> {
    let refuse = |why: String| Err(Error::Spec(why));
    validate_mounts(&spec.image.runtime)?;
    let Some(program) = spec.argv.first() else { return refuse("there is no program to start".to_owned()) };
    if program.is_empty() || !is_plain(&spec.cwd) {
        return refuse("the program and an absolute working folder must be named".to_owned());
    }
    let (ahead_argv, ahead_env) =
        spec.ahead.iter().map(|ahead| (&ahead.argv, &ahead.env)).unzip::<_, _, Vec<_>, Vec<_>>();
    let env = || spec.env.iter().chain(ahead_env.iter().copied().flatten());
    let pairs = env().flat_map(|(name, value)| [name, value]);
    let zygote = spec.ahead.iter().flat_map(|ahead| &ahead.zygote);
    let arguments = spec.argv.iter().chain(ahead_argv.into_iter().flatten()).chain(zygote);
    if arguments.chain(pairs).any(|text| text.as_bytes().contains(&0)) {
        return refuse("arguments and environment may not hold NUL bytes".to_owned());
    }
    if env().any(|(name, _)| name.is_empty() || name.as_bytes().contains(&b'=')) {
        return refuse("names of environment variables may be neither empty nor hold `=`".to_owned());
    }
    if spec.ports.iter().enumerate().any(|(index, port)| *port == 0 || spec.ports[..index].contains(port)) {
        return refuse("each port must be named once, and not be 0".to_owned());
    }
    if spec.ports.len() > 16 || spec.image.layers.len() > 64 {
        return refuse("at most 16 ports and 64 layers".to_owned());
    }
    if spec.serves.is_some_and(|port| port == 0 || spec.ports.contains(&port)) {
        return refuse("the port that the program serves must be its own, and not be 0".to_owned());
    }
    if spec.serves.is_some() && spec.isolation != Isolation::Process {
        return refuse("no port of a machine of its own can be reached".to_owned());
    }
    if spec.image.snapshot.is_some() && spec.isolation != Isolation::Process {
        return refuse("a machine of its own cannot be given a snapshot".to_owned());
    }
    if !spec.image.bytecode.is_empty() && spec.isolation != Isolation::Process {
        return refuse("a machine of its own cannot be given bytecode".to_owned());
    }
    for mount in &spec.image.bytecode {
        if !is_plain(&mount.target) || mount.target.parent() != Some(Path::new(BYTECODE)) {
            return refuse(format!("{} is no place for bytecode", mount.target.display()));
        }
    }
    let limits = spec.limits;
    if limits.memory_mb == 0 || limits.pids == 0 || limits.tmp_mb == 0 || limits.files < 16 {
        return refuse("memory, processes and /tmp must not be 0, open files not below 16".to_owned());
    }
    Ok(())
}

fn arguments(argv: &[OsString]) -> Vec<Vec<u8>> {
    argv.iter().map(|argument| argument.as_bytes().to_vec()).collect()
}

fn variables(env: &[(OsString, OsString)]) -> Vec<Vec<u8>> {
    let variable = |(name, value): &(OsString, OsString)| {
        let mut pair = name.clone();
        pair.push("=");
        pair.push(value);
        pair.into_vec()
    };
    env.iter().map(variable).collect()
}

/// What the first process must know of a spec.
pub(crate) fn program(spec: &Spec) -> Program {
    Program {
        limits: spec.limits,
        argv: arguments(&spec.argv),
        env: variables(&spec.env),
        cwd: spec.cwd.as_os_str().as_bytes().to_vec(),
        ports: spec.ports.clone(),
        serves: spec.serves.is_some(),
    }
}

fn encode(seq: u64, spec: &Spec) -> Result<Vec<u8>, Error> {
    let path = |path: &PathBuf| path.as_os_str().as_bytes().to_vec();
    let launch = Launch {
        seq,
        tenant: spec.tenant.clone().into_bytes(),
        program: program(spec),
        ahead: spec.ahead.as_ref().map(of_ahead),
        task: path(&spec.image.task),
        layers: spec.image.layers.iter().map(path).collect(),
        snapshot: spec.image.snapshot.as_ref().map(path).unwrap_or_default(),
        bytecode_sources: spec.image.bytecode.iter().map(|mount| path(&mount.source)).collect(),
        bytecode_targets: spec.image.bytecode.iter().map(|mount| path(&mount.target)).collect(),
        runtime_sources: spec.image.runtime.iter().map(|mount| path(&mount.source)).collect(),
        runtime_targets: spec.image.runtime.iter().map(|mount| path(&mount.target)).collect(),
    };
    let bytes = Request::Launch(Box::new(launch)).encode();
    if bytes.len() > channel::MAX_BYTES {
        return Err(Error::Spec(format!("arguments and environment are over {} bytes", channel::MAX_BYTES)));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;

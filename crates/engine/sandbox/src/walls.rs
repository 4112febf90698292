//! The port of this room: what the invoker asks of any kind of walls.

use std::ffi::OsString;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use base::{BoxFuture, EnvironmentId, Uplink};

use crate::Dial;

/// A read-only folder of the host that appears inside.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mount {
    /// The host's folder or file. Missing sources are an [`Error::Spec`].
    pub source: PathBuf,
    /// Where it appears; absolute, free of `..`.
    pub target: PathBuf,
}

/// What the environment's file system is made of. The same image is shared by all environments of a function version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Image {
    /// The unpacked code: `/var/task`, read-only.
    pub task: PathBuf,
    /// Layers in order; a later one wins over an earlier one: `/opt`, read-only.
    pub layers: Vec<PathBuf>,
    /// The runtime's own folders, for example an interpreter's prefix at its own path, and our bootstraps. The system's
    /// libraries and programs (`/usr`, `/lib*`, `/bin`, `/sbin`, a few files of `/etc`) are always there, read-only.
    pub runtime: Vec<Mount>,
    /// A snapshot of the function after INIT, a file that its owner's code wrote: it appears as [`SNAPSHOT`], read-only. What
    /// is mapped from it is shared by all environments that have it.
    pub snapshot: Option<PathBuf>,
    /// What was compiled of code and layers, files: each appears in [`BYTECODE`], read-only.
    pub bytecode: Vec<Mount>,
}

/// Where a snapshot appears inside.
pub const SNAPSHOT: &str = "/var/lang/snapshot";
/// The folder inside in which bytecode appears.
pub const BYTECODE: &str = "/var/lang/bytecode";

/// What the environment may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Memory of all its processes, MiB (128..=10240).
    pub memory_mb: u32,
    /// Share of CPU, thousandths of one CPU (1,769 MiB are 1000). `None` while developing with `--cpu-limit off`.
    pub cpu_millis: Option<u32>,
    /// Processes and threads.
    pub pids: u32,
    /// Size of `/tmp`, MiB (512..=10240).
    pub tmp_mb: u32,
    /// Open files of a process.
    pub files: u32,
}

/// What keeps an environment apart from the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Isolation {
    /// Namespaces, cgroups, seccomp and Landlock on the host's kernel.
    #[default]
    Process,
    /// A virtual machine with a kernel of its own.
    MicroVm,
}

/// One environment to be made.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Its name, never reused.
    pub id: EnvironmentId,
    /// The tenant: without a uid range of its own, environments of two tenants are refused ([`Error::Tenants`]).
    pub tenant: String,
    /// Its file system.
    pub image: Image,
    /// The program and its arguments, as seen inside.
    pub argv: Vec<OsString>,
    /// The whole environment of the process; nothing is inherited.
    pub env: Vec<(OsString, OsString)>,
    /// The working folder inside.
    pub cwd: PathBuf,
    /// How the program may be started ahead of need, without what is particular to this environment. `None` where it
    /// may not be.
    pub ahead: Option<Ahead>,
    /// Its limits.
    pub limits: Limits,
    /// What keeps it apart. [`Error::Unavailable`] where the host cannot.
    pub isolation: Isolation,
    /// TCP ports to listen on at 127.0.0.1 inside; the listeners come back to the caller.
    pub ports: Vec<u16>,
    /// The TCP port on which the program will listen inside, to be reached by [`Environment::dial`]. Without walls it listens on
    /// another, and the variable `PORT` is changed to that one. [`Error::Spec`] for a machine of its own.
    pub serves: Option<u16>,
}

/// A program that can be started before it is known for whom: a runtime that waits for its function. Sandboxes of that
/// kind (*spares*: walls and runtime, nothing of a function) are kept in small numbers while launches ask for them.
///
/// It has all walls, and sees [`Image::runtime`] and the system, neither code nor layers. When it has made itself ready
/// it writes its pid and a newline to its standard input, which is a socket, and reads from it: the working folder, then each
/// variable as `NAME=value`, each ended by a NUL byte; then the end. From there on code and layers are there, and it must
/// do what [`Spec::argv`] with [`Spec::env`] would have done. It closes its standard input, or reads `/dev/null` there.
///
/// One that writes ` keeps` behind its pid keeps that socket under another number: the words then end with an empty one, and what
/// follows on it is between the program and the caller ([`Environment::line`]).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ahead {
    /// The program and its arguments.
    pub argv: Vec<OsString>,
    /// Its environment until it learns the function's.
    pub env: Vec<(OsString, OsString)>,
    /// The arguments with which the same program, once ready, forks itself into sandboxes (a *zygote*): where a fork is
    /// cheaper than a start. It is our own program and never sees anything of a function; what it is told and what its
    /// children have to do stands in the bootstrap for Python that is one. Each tenant has its own. Empty where the
    /// program cannot be one.
    pub zygote: Vec<OsString>,
}

/// A live environment. Dropping it kills everything inside.
pub struct Environment {
    /// The listeners of [`Spec::ports`] in their order: sockets of the inner network, descriptors of ours. Non-blocking.
    pub listeners: Vec<TcpListener>,
    /// The other end of the socket that a program started ahead has kept, see [`Ahead`].
    pub line: Option<UnixStream>,
    /// Where everything that leaves it arrives. `None` where there is no way out at all (weak walls use the host's).
    pub uplink: Option<Uplink>,
    /// What the processes write to stdout and stderr, one pipe. Non-blocking. Bytes written before a response was sent
    /// can be read when that response has arrived.
    pub output: OwnedFd,
    /// Whether its program had been started ahead: what was used until now is nobody's.
    pub ahead: bool,
    /// The way to [`Spec::serves`].
    pub dial: Option<Dial>,
    /// Everything else.
    pub control: Box<dyn Control>,
}

/// The reins of one environment.
pub trait Control: Send + Sync {
    /// Measures it now, kills excepted, which its end tells. Two readings bracket an invocation.
    fn usage(&self) -> Usage;
    /// Memory that only its processes have, and that would come back with their end, now, bytes: without what they share with
    /// files, and without the kernel's. 0 when it has ended. Reads files of each process: for those who look, not for each
    /// invocation.
    fn private_memory(&self) -> u64;
    /// Changes its CPU share (INIT runs faster than the function).
    fn set_cpu(&self, cpu_millis: Option<u32>);
    /// Has every process inside stand still, as soon as it leaves the kernel, until [`Control::thaw`]: it keeps what it holds
    /// and uses no CPU; calls it waits in begin anew, or answer `EINTR` as after SIGCONT. Does not wait. Says whether it does:
    /// not without cgroups, see the wall `freeze` of [`Survey`]. What is frozen can be measured and killed.
    fn freeze(&self) -> bool {
        false
    }
    /// Lets go on what [`Control::freeze`] has stopped, at once; otherwise nothing.
    fn thaw(&self) {}
    /// Kills every process inside, frozen or not; [`Control::exited`] completes after the last has gone. One that is frozen
    /// after this may not end.
    fn kill(&self);
    /// Completes when the first process has ended, with the reason. May be awaited more than once.
    fn exited(&self) -> BoxFuture<'static, Exit>;
}

/// Resources used since the environment was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// CPU time in user mode, microseconds.
    pub cpu_user_us: u64,
    /// CPU time in the kernel, microseconds.
    pub cpu_system_us: u64,
    /// Highest memory so far, bytes.
    pub peak_memory_bytes: u64,
    /// Times the kernel killed a process here for want of memory.
    pub oom_kills: u64,
}

/// How an environment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Why.
    pub cause: ExitCause,
    /// The last reading before it was taken down.
    pub usage: Usage,
}

/// Why an environment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCause {
    /// The first process returned this status.
    Exited(i32),
    /// A signal ended the first process.
    Signaled(i32),
    /// The kernel killed a process for exceeding the memory limit.
    OutOfMemory,
    /// [`Control::kill`], or the [`Environment`] was dropped.
    Killed,
    /// The helper died; everything inside was killed with it.
    HelperLost,
}

/// Which walls are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// All that functions need; environments are refused where they cannot be built.
    Strong,
    /// `--walls=weak`: a plain process with what walls the host allows. Loopback only, marked everywhere.
    Weak,
}

/// One wall, as `doctor` and the page show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wall {
    /// A short name, for example `memory limit`.
    pub name: &'static str,
    /// Whether it holds.
    pub state: WallState,
}

/// Whether a wall holds on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WallState {
    /// It holds; how, for example `cgroup v1`.
    Holds(String),
    /// It does not hold: why, and the exact command that would mend it.
    Missing {
        /// What the kernel or host said.
        why: String,
        /// What to do.
        fix: String,
    },
}

/// Every wall of this host, in the order they are built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// The walls.
    pub walls: Vec<Wall>,
    /// Whether functions can run: none of the indispensable walls is missing, or the mode is weak.
    pub usable: bool,
    /// Whether this is `--walls=weak`.
    pub weak: bool,
}

impl Survey {
    /// How many walls hold, and of how many.
    pub fn count(&self) -> (usize, usize) {
        (self.walls.iter().filter(|wall| matches!(wall.state, WallState::Holds(_))).count(), self.walls.len())
    }
}

/// Why an environment could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The host does not allow it.
    #[error("this host does not let Lambent build a sandbox: {why}. To mend it: {fix}")]
    Unavailable {
        /// What the kernel or host said.
        why: String,
        /// What to do.
        fix: String,
    },
    /// The request cannot be met as it stands, for example a folder is missing.
    #[error("cannot build this sandbox: {0}")]
    Spec(String),
    /// The program is missing, not executable or for another machine; the words name it and what the kernel said.
    #[error("{0}")]
    Program(String),
    /// Environments of two tenants without separate uid ranges.
    #[error("functions of two accounts need a uid range each; run `sudo lambent setup`, or run Lambent as root")]
    Tenants,
    /// The kernel refused at this moment: out of processes, memory or descriptors.
    #[error("the host is out of {what}: {why}")]
    Exhausted {
        /// The resource.
        what: &'static str,
        /// What the kernel said.
        why: String,
    },
    /// The helper process is gone and is being restarted.
    #[error("the sandbox helper stopped; it is being restarted, try again")]
    HelperLost,
}

/// Builds environments. One per platform; tests use a fake one.
pub trait Walls: Send + Sync {
    /// Makes an environment and starts its program. Dropping the future undoes what was begun.
    fn launch(&self, spec: Spec) -> BoxFuture<'_, Result<Environment, Error>>;
    /// Says that launches by this tenant with this image and program may come soon, so that something may be made ahead for
    /// the first of them. Neither fails nor waits.
    fn expect(&self, _tenant: &str, _image: &Image, _ahead: &Ahead, _files: u32) {}
    /// Counts how often processes stood still for want of the host's memory (the kernel's pressure stall information: 150 ms of 2 s
    /// with less than 2 GiB left), at most once in 2 s. What was made ahead has been given back when it is told. None where nobody
    /// tells.
    fn short_of_memory(&self) -> Option<tokio::sync::watch::Receiver<u64>> {
        None
    }
    /// Counts the helpers that were there: after [`Error::HelperLost`] a launch may succeed again once this changes. None where
    /// there is no helper.
    fn helpers(&self) -> Option<tokio::sync::watch::Receiver<u64>> {
        None
    }
    /// What holds on this host.
    fn survey(&self) -> Survey;
}

//! What holds on this host: found out by building one whole sandbox at the start and looking at it, not by assuming.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::set::Set;
use super::{Host, check, egress, scratch};
use crate::channel;
use crate::message::{Launch, Message, Program, Report};
use crate::survey::{self, Mend, holds, missing};
use crate::walls::{Limits, Wall};

/// The look from outside at a sandbox that says its walls stand.
pub(super) fn inspect(host: &Host, set: &Set) -> Result<(), String> {
    let group = set.group.as_ref().map(|(name, group)| (name.as_str(), group.trees()));
    check::check(&host.own, set.pid, &check::Expected { uid: set.uid, gid: set.gid, group })
}

/// The look from outside at a spare's runtime, which was started while its first process could still build.
pub(super) fn inspect_runtime(host: &Host, set: &Set, runtime: BorrowedFd<'_>) -> Result<(), String> {
    let group = set.group.as_ref().map(|(name, group)| (name.as_str(), group.trees()));
    let pid = check::pid_of(runtime).ok_or("its runtime has ended")?;
    // Others than the helper's are not enough: a zygote has some of its own.
    if check::namespaces(pid)? != check::namespaces(set.pid)? {
        return Err("its runtime is in other namespaces".to_owned());
    }
    check::check(&host.own, pid, &check::Expected { uid: set.uid, gid: set.gid, group })
}

/// Builds one sandbox, looks at it, takes it down again.
///
/// # Errors
/// In words: the first indispensable wall that cannot be built.
pub(super) fn probe(host: &Host, number: u64) -> Result<Vec<Wall>, String> {
    let mut set = Set::prepare(host, number).map_err(|error| format!("make a user namespace: {error}"))?;
    let result = build(host, &mut set).and_then(|way_out| {
        inspect(host, &set)?;
        Ok(egress::wall(set.pidfd.as_fd(), &way_out.closed, way_out.sockets))
    });
    set.kill();
    let _ = crate::sys::reap(set.pid);
    if let Some((_, group)) = &set.group {
        let _ = group.remove();
    }
    result.map(|egress| walls(host, egress))
}

/// The way out of the sandbox that is tried.
struct WayOut {
    /// Why TCP is not redirected; empty when it is.
    closed: String,
    sockets: Vec<std::os::fd::OwnedFd>,
}

/// Brings a set up to the moment before its program would start.
fn build(host: &Host, set: &mut Set) -> Result<WayOut, String> {
    let limits = Limits { memory_mb: 128, cpu_millis: Some(1000), pids: 16, tmp_mb: 512, files: 64 };
    let program = Program {
        limits,
        argv: vec![b"/bin/true".to_vec()],
        env: Vec::new(),
        cwd: b"/".to_vec(),
        ports: Vec::new(),
        serves: false,
    };
    let nothing = Launch {
        seq: 0,
        tenant: Vec::new(),
        program,
        ahead: None,
        task: b"/usr".to_vec(),
        layers: Vec::new(),
        snapshot: Vec::new(),
        bytecode_sources: Vec::new(),
        bytecode_targets: Vec::new(),
        runtime_sources: Vec::new(),
        runtime_targets: Vec::new(),
    };
    set.assign(host, nothing, None).map_err(|(_, why)| why)?;
    let mut buffer = vec![0; 4096];
    let mut closed = String::new();
    loop {
        let got = channel::receive(&set.socket, &mut buffer, true).map_err(|error| error.to_string())?;
        match Report::decode(&buffer[..got.len]) {
            Ok(Report::Prepared { closed: why }) => closed = why,
            Ok(Report::Confined { .. }) => return Ok(WayOut { closed, sockets: got.fds }),
            Ok(Report::Failed { step, errno: 0 }) => return Err(step),
            Ok(Report::Failed { step, errno }) => {
                return Err(format!("{step}: {}", io::Error::from_raw_os_error(errno)));
            }
            _ => return Err("the first sandbox died while it was being built".to_owned()),
        }
    }
}

/// The walls of a host on which a sandbox could be built.
fn walls(host: &Host, egress: Wall) -> Vec<Wall> {
    let version = match host.layout.version {
        crate::cgroup::Version::One => "cgroup v1",
        crate::cgroup::Version::Two => "cgroup v2",
    };
    let why = host.no_cgroups.clone().unwrap_or_else(|| "the controller is not available here".to_owned());
    let group = |name: &'static str, there: bool, instead: &str| {
        let fix = survey::cgroup_fix(host.root);
        if there { holds(name, version) } else { missing(name, format!("{why}{instead}"), fix) }
    };
    let pids = if host.layout.pids.is_some() {
        holds("process limit", version)
    } else {
        holds("process limit", "RLIMIT_NPROC in the sandbox's own user namespace")
    };
    let freeze = match &host.layout.freezer {
        Ok(freezer) => holds("freeze", freezer.describe()),
        Err(why) => {
            let why = format!("{why}; what a function leaves running between invocations goes on");
            missing("freeze", why, survey::cgroup_fix(host.root))
        }
    };
    let cpu = if host.cpu_limit {
        group("cpu limit", host.layout.cpu.is_some(), "")
    } else {
        missing("cpu limit", "switched off with --cpu-limit off", "start without --cpu-limit off")
    };
    let range = match &host.ids {
        Ok(ids) => holds("uid range", ids.describe()),
        Err(Mend { why, fix }) => missing("uid range", format!("{why}; functions of one account at a time"), fix),
    };
    let landlock = match host.landlock_abi {
        0 => missing("Landlock", "this kernel has none", "use a kernel of 5.13 or newer with Landlock switched on"),
        abi => holds("Landlock", format!("ABI {abi}")),
    };
    vec![
        group("memory limit", host.layout.memory.is_some(), "; each process is held by RLIMIT_DATA instead"),
        cpu,
        pids,
        freeze,
        holds("user namespace", if host.root { "made by root" } else { "nested in one of this user" }),
        holds("mount namespace", "own"),
        holds("pid namespace", "own, pid 1 is lambent's"),
        holds("network namespace", "own, loopback only"),
        holds("ipc and uts namespaces", "own"),
        holds("cgroup namespace", "own"),
        holds("own file system", "pivot_root, read-only, host detached"),
        scratch::wall(host.scratch.as_ref(), host.setup.memory_limited),
        holds("egress closed", "no link to the host"),
        egress,
        range,
        holds("capabilities", "none, bounding set empty"),
        holds("no_new_privs", "set"),
        landlock,
        holds("seccomp", format!("mode 2, {} filters", crate::inside::filter::COUNT)),
    ]
}

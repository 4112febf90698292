//! What runs inside a sandbox before the program: its first process. It builds the walls that need no function ahead of
//! need, then those of the one function it serves, starts the program as its child, reaps, and reports the end. It is a
//! fork of the single-threaded helper, so it may use everything; it never reads a file of the function.

pub(crate) mod confine;
pub(crate) mod filter;
mod net;
mod program;
pub(crate) mod root;

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::process::{Resource, Signal};

use crate::channel;
use crate::message::{Ahead, Message, Order, Program, Report};
use crate::sys;

/// A step that failed, in words for the person who must mend it.
pub(crate) struct Failure {
    step: String,
    errno: i32,
}

/// The step that fails when a launch asks for a mount where none can be.
pub(crate) const ATTACH: &str = "attach a mount";

/// The target of a `/tmp` on disk, which no launch may name.
pub(crate) const TMP: &[u8] = b"/tmp";

/// Names the step an error happened in.
trait Step<T> {
    fn step(self, name: &str) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, name: &str) -> Result<T, Failure> {
        self.map_err(|error| {
            let error = error.into();
            match error.raw_os_error() {
                Some(errno) => Failure { step: name.to_owned(), errno },
                None => Failure { step: format!("{name} ({error})"), errno: 0 },
            }
        })
    }
}

/// What the helper decided once for all its sandboxes.
pub(crate) struct Setup {
    /// The last seccomp filter.
    pub(crate) filter: filter::Filters,
    /// Whether the sandbox has a uid range, and so must become the function's user itself.
    pub(crate) ranges: bool,
    /// Whether the kernel has Landlock.
    pub(crate) landlock: bool,
    /// Whether a cgroup limits processes and memory; otherwise limits of the single process stand in.
    pub(crate) pids_limited: bool,
    /// See `pids_limited`.
    pub(crate) memory_limited: bool,
    /// Where the heap of the helper begins, and so that of what it forks.
    pub(crate) heap: Option<usize>,
}

/// Lives the life of a sandbox's first process.
pub(crate) fn live(socket: OwnedFd, setup: &Setup) -> ! {
    let _ = rustix::thread::set_name(c"lambent-init");
    let mut first = First { socket, buffer: vec![0; channel::MAX_BYTES] };
    let status = match first.run(setup) {
        Ok(()) => 0,
        Err(failure) => {
            let _ = first.report(&Report::Failed { step: failure.step, errno: failure.errno });
            1
        }
    };
    sys::exit_now(status)
}

struct First {
    /// To the helper.
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl First {
    fn report(&self, report: &Report) -> io::Result<()> {
        channel::send(&self.socket, &report.encode(), &[])
    }

    fn order(&mut self) -> Result<(Order, Vec<OwnedFd>), Failure> {
        let got = channel::receive(&self.socket, &mut self.buffer, true).step("hear the helper")?;
        if got.len == 0 {
            // The helper is gone, and nobody is left to be told.
            sys::exit_now(0);
        }
        let order = Order::decode(&self.buffer[..got.len])
            .map_err(|_| Failure { step: "understand the helper".to_owned(), errno: libc::EPROTO })?;
        Ok((order, got.fds))
    }

    fn run(&mut self, setup: &Setup) -> Result<(), Failure> {
        self.let_go_of_the_helper()?;
        let (rules, uplink) = self.prepare(setup)?;
        let closed = uplink.closed.unwrap_or_default();
        self.report(&Report::Prepared { closed }).step("report")?;
        let mut order = self.order()?;
        let mut spare = None;
        if let (Order::Spare { ahead, forked, files, targets }, fds) = order {
            let ahead = (!forked).then_some(ahead);
            spare = Some(self.start_ahead(setup, rules.as_ref(), (ahead, files), &targets, fds)?);
            order = self.order()?;
        }
        let (Order::Become { program, targets }, mut fds) = order else {
            return Err(Failure { step: "be told what to become".to_owned(), errno: libc::EPROTO });
        };
        let outputs = usize::from(spare.is_none());
        if fds.len() != targets.len() + outputs {
            return Err(Failure { step: "be given mounts".to_owned(), errno: libc::EPROTO });
        }
        let output = fds.drain(..outputs).next();
        let listeners = self.build(setup, rules, &program, (&targets, fds), spare.as_ref())?;
        let maker = program.serves.then(program::socket_maker).transpose()?;
        let uplinks = uplink.sockets.iter().map(AsFd::as_fd);
        let handed: Vec<_> =
            uplinks.chain(listeners.iter().map(AsFd::as_fd)).chain(maker.iter().map(AsFd::as_fd)).collect();
        let confined = Report::Confined { uplink: uplink.sockets.len() as u32 };
        channel::send(&self.socket, &confined.encode(), &handed).step("hand the listeners over")?;
        drop((uplink.sockets, listeners, maker));
        let (Order::Go, _) = self.order()? else {
            return Err(Failure { step: "be let go".to_owned(), errno: libc::EPROTO });
        };
        match (spare, output) {
            (Some(spare), _) => spare.program.wake(&program, &self.socket),
            (None, Some(output)) => program::start(&self.socket, program, &output),
            (None, None) => Err(io::Error::from_raw_os_error(libc::EPROTO)),
        }
        .step("start the program")
        .map(|child| sys::reap_without_heap(child, self.socket.as_fd(), setup.heap, Report::ended))
    }

    /// Starts a program that does not know its function yet, inside all walls, or lets a zygote fork one into here, and
    /// waits until it is ready. This process keeps what it needs to put the function's mounts where they belong.
    fn start_ahead(
        &mut self,
        setup: &Setup,
        rules: Option<&landlock::RulesetCreated>,
        (ahead, files): (Option<Ahead>, u32),
        targets: &[Vec<u8>],
        mut fds: Vec<OwnedFd>,
    ) -> Result<Spare, Failure> {
        // Who waits for a runtime does not hear that the helper has ended.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).step("bind to the helper")?;
        let outputs = usize::from(ahead.is_some());
        if fds.len() != targets.len() + outputs {
            return Err(Failure { step: "be given mounts".to_owned(), errno: libc::EPROTO });
        }
        let output = fds.drain(..outputs).next();
        attach_all(&fds, targets)?;
        drop(fds);
        root::close()?;
        hide_memory()?;
        let rules = rules.map(|rules| rules.try_clone().step("copy Landlock rules")).transpose()?;
        let stands_in = ahead.is_some();
        if stands_in {
            root::stand_in()?;
        }
        let (input, theirs) = program::input()?;
        let own = match (ahead, output) {
            (Some(ahead), Some(output)) => {
                let confine = || confine_self(setup, rules);
                Some(program::start_ahead(ahead, files, (&theirs, &output), confine)?)
            }
            _ => {
                let rules = rules.map(|rules| confine::allow_tmp(rules).step("make Landlock rules")).transpose()?;
                let rules: Option<OwnedFd> = rules.and_then(Into::into);
                let fds: Vec<_> = std::iter::once(&theirs).chain(&rules).map(AsFd::as_fd).collect();
                channel::send(&self.socket, &Report::Forkable.encode(), &fds).step("ask for a fork")?;
                None
            }
        };
        drop(theirs);
        let program = program::Ahead::wait(own, input)?;
        channel::send(&self.socket, &Report::Ready.encode(), &[program.pidfd.as_fd()]).step("report")?;
        Ok(Spare { program, tmp_on_disk: has_tmp(targets), stands_in })
    }

    /// Closes everything inherited from the helper but the socket.
    fn let_go_of_the_helper(&mut self) -> Result<(), Failure> {
        const KEPT: i32 = 3;
        let null = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR, rustix::fs::Mode::empty())
            .step("open /dev/null")?;
        let socket = self.socket.as_fd().try_clone_to_owned().step("keep the socket")?;
        for standard in 0..KEPT {
            sys::dup_to(null.as_fd(), standard).step("close the standard streams")?;
        }
        sys::dup_to(socket.as_fd(), KEPT).step("keep the socket")?;
        sys::close_range(KEPT as u32 + 1, u32::MAX).step("close descriptors")?;
        // The numbers these owned are closed or now belong to `KEPT`: they must not be closed again.
        std::mem::forget((null, socket));
        std::mem::forget(std::mem::replace(&mut self.socket, sys::adopt(KEPT).step("keep the socket")?));
        Ok(())
    }

    /// Everything that does not depend on the function.
    fn prepare(&mut self, setup: &Setup) -> Result<(Option<landlock::RulesetCreated>, net::Uplink), Failure> {
        let (Order::Mapped, mut fds) = self.order()? else {
            return Err(Failure { step: "be given ids".to_owned(), errno: libc::EPROTO });
        };
        if fds.is_empty() {
            return Err(Failure { step: "be given a root".to_owned(), errno: libc::EPROTO });
        }
        let tree = fds.remove(0);
        for join in fds {
            rustix::io::write(join, b"0").step("join the cgroup")?;
        }
        if setup.ranges {
            become_user().step("become the function's user")?;
        }
        for (flag, name) in NAMESPACES {
            sys::unshare(*flag).step(name)?;
        }
        rustix::system::sethostname(b"lambent").step("set the host name")?;
        let uplink = net::build()?;
        root::enter(&tree)?;
        confine::limit_process().step("lower limits")?;
        confine::bound_capabilities().step("bound capabilities")?;
        let rules = setup.landlock.then(|| confine::landlock_rules().step("make Landlock rules")).transpose()?;
        Ok((rules, uplink))
    }

    /// Everything that depends on the function, in the order that leaves nothing to undo.
    fn build(
        &mut self,
        setup: &Setup,
        rules: Option<landlock::RulesetCreated>,
        program: &Program,
        (targets, fds): (&[Vec<u8>], Vec<OwnedFd>),
        spare: Option<&Spare>,
    ) -> Result<Vec<std::net::TcpListener>, Failure> {
        if spare.is_some_and(|spare| spare.stands_in) {
            root::make_way()?;
        }
        attach_all(&fds, targets)?;
        drop(fds);
        if !has_tmp(targets) && !spare.is_some_and(|spare| spare.tmp_on_disk) {
            root::size_tmp(program.limits.tmp_mb)?;
        }
        root::close()?;
        let listeners = program::listen(&program.ports).step("listen on 127.0.0.1")?;
        for (resource, limit) in stand_ins(setup, program) {
            confine::lower(resource, limit).step("limit processes and memory")?;
            if let Some(spare) = spare {
                spare.program.lower(resource, limit).step("limit processes and memory")?;
            }
        }
        confine_self(setup, rules)?;
        hide_memory()?;
        // Last, since a change of credentials clears it. A helper that died before this shows as the socket's end.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).step("bind to the helper")?;
        Ok(listeners)
    }
}

/// What this process knows of the program it has started ahead.
struct Spare {
    program: program::Ahead,
    /// Whether it has its `/tmp` already.
    tmp_on_disk: bool,
    /// Whether something stands in for code and layers.
    stands_in: bool,
}

/// The limits of the single process that stand in for what no cgroup limits.
fn stand_ins(setup: &Setup, program: &Program) -> impl Iterator<Item = (Resource, u64)> {
    let processes = (!setup.pids_limited).then(|| (Resource::Nproc, u64::from(program.limits.pids) + 1));
    let memory = (!setup.memory_limited).then(|| (Resource::Data, u64::from(program.limits.memory_mb) << 20));
    processes.into_iter().chain(memory)
}

fn has_tmp(targets: &[Vec<u8>]) -> bool {
    targets.iter().any(|target| target == TMP)
}

fn attach_all(mounts: &[OwnedFd], targets: &[Vec<u8>]) -> Result<(), Failure> {
    mounts.iter().zip(targets).try_for_each(|(mount, target)| root::attach(mount, target))
}

/// The walls after which this process builds no more: no capabilities, Landlock, the last filter. What it starts has
/// them too.
fn confine_self(setup: &Setup, rules: Option<landlock::RulesetCreated>) -> Result<(), Failure> {
    confine::drop_capabilities().step("drop capabilities")?;
    if let Some(rules) = rules {
        let rules = confine::allow_tmp(rules).step("make Landlock rules")?;
        confine::restrict(rules).step("enforce Landlock")?;
    }
    filter::install(&setup.filter.small).step("install the last seccomp filter")
}

/// Not dumpable: the program has our uid, and must not read or write our memory through /proc/1/mem.
fn hide_memory() -> Result<(), Failure> {
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable).step("hide memory")
}

/// Made by the first process itself, which keeps the helper free; user and pid namespaces it was born in. The cgroup
/// namespace is made inside the sandbox's group, so that this is all its members can see.
const NAMESPACES: &[(libc::c_int, &str)] = &[
    (libc::CLONE_NEWNS, "make a mount namespace"),
    (libc::CLONE_NEWNET, "make a network namespace"),
    (libc::CLONE_NEWIPC | libc::CLONE_NEWUTS, "make ipc and uts namespaces"),
    (libc::CLONE_NEWCGROUP, "make a cgroup namespace"),
];

/// Takes the function's ids, which also makes them the owner of what is made from here on. Capabilities stay, because
/// the uid before was none of this namespace's.
fn become_user() -> io::Result<()> {
    use rustix::fs::{Gid, Uid};
    sys::drop_groups()?;
    let (uid, gid) = (Uid::from_raw(confine::UID), Gid::from_raw(confine::GID));
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}

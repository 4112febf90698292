//! Zygotes: warm interpreters of our own, one for each kind of spare and tenant, that fork their children into prepared
//! sandboxes. A zygote never sees anything of a function. It has a file system of its own that holds the system and the
//! runtime, no network, and the one capability without which nobody may enter a namespace of another user; its children
//! give it up, and the helper looks at each from outside before a function's byte reaches it.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::process::Resource;
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::ids::Range;
use super::spares::{PATIENCE_MS, now_ms};
use super::{Host, image};
use crate::channel;
use crate::inside::{confine, root};
use crate::message::Kind;
use crate::sys::{self, Side};

/// Forks after which a zygote gives way to a new one, and its age, ms: what its children have in common (the layout of
/// their memory, the seed of their hashes) does not stay for ever.
const MOST_FORKS: u32 = 1000;
const MOST_AGE_MS: u64 = 3_600_000;

/// What entering a user namespace takes. All others are that one's.
const NEEDED: CapabilitySet = CapabilitySet::SYS_ADMIN;

/// In the order they are entered. A pidfd would name them all at once, and take the right to look into its process.
const NAMESPACES: [&str; 7] = ["user", "cgroup", "ipc", "uts", "net", "pid", "mnt"];

pub(super) struct Zygote {
    /// The kind it serves.
    pub(super) kind: u64,
    pid: i32,
    pidfd: OwnedFd,
    pub(super) socket: OwnedFd,
    /// Memory its children share with it, bytes; none until it is ready.
    ready: Option<u64>,
    forks: u32,
    born: u64,
    mounts: Rc<OwnedFd>,
    /// Whether it does what it was asked and then ends.
    pub(super) retired: bool,
    _range: Option<Range>,
}

impl Zygote {
    /// Starts one.
    ///
    /// # Errors
    /// In words.
    pub(super) fn start(host: &Host, number: u64, kind: &Kind) -> Result<Self, String> {
        let say = |error: io::Error| error.to_string();
        let image = image::open_runtime(&host.base, &kind.runtime_sources, &kind.runtime_targets)?;
        let tree = host.base.copy().map_err(say)?;
        let range = host.take_range().map_err(say)?;
        let strings = |list: &[Vec<u8>]| list.iter().map(|s| CString::new(s.as_slice())).collect::<Result<Vec<_>, _>>();
        let (argv, env) = strings(&kind.ahead.zygote)
            .and_then(|argv| Ok((argv, strings(&kind.ahead.env)?)))
            .map_err(|error| error.to_string())?;
        let (socket, theirs) = channel::pair().map_err(say)?;
        let apart = libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
        let (pid, pidfd) = match sys::clone(apart).map_err(say)? {
            // Whatever goes wrong in here shows as the end of its socket.
            Side::Child => {
                let _ = become_zygote((&tree, &image), range.as_ref(), kind.files, &theirs, (&argv, &env));
                sys::exit_now(127);
            }
            Side::Parent { pid, pidfd } => (pid, pidfd),
        };
        // It has them from its first moment on.
        let mounts = std::fs::File::open(format!("/proc/{pid}/ns/mnt")).map(|file| Rc::new(file.into()));
        let mounts = mounts.inspect_err(|_| end(pid, &pidfd)).map_err(say)?;
        let zygote = Self {
            kind: number,
            pid,
            pidfd,
            socket,
            ready: None,
            forks: 0,
            born: now_ms(),
            mounts,
            retired: false,
            _range: range,
        };
        let told = channel::send(&zygote.socket, &host.setup.filter.small_bytes(), &[]);
        told.inspect_err(|_| end(pid, &zygote.pidfd)).map_err(say)?;
        Ok(zygote)
    }

    /// It says that it is ready.
    pub(super) fn becomes_ready(&mut self) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        // What is of files, the whole host shares.
        let anonymous = status.lines().find_map(|line| line.strip_prefix("RssAnon:")?.trim().strip_suffix(" kB"));
        self.ready = Some(anonymous.and_then(|kib| kib.trim().parse::<u64>().ok()).unwrap_or(0) << 10);
    }

    /// When it is given up, unless it is ready.
    pub(super) fn late_at(&self) -> Option<u64> {
        self.ready.is_none().then_some(self.born + PATIENCE_MS)
    }

    /// Whether another should take its place. It serves until that one is ready.
    pub(super) fn is_old(&self) -> bool {
        self.forks >= MOST_FORKS || self.born + MOST_AGE_MS <= now_ms()
    }

    /// Has it end once it has done what it was asked for: it reads that first, and then the end.
    pub(super) fn retire(&mut self) {
        self.retired = true;
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Write);
    }

    /// Whether it can fork.
    pub(super) fn is_able(&self) -> bool {
        self.ready.is_some() && !self.retired
    }

    /// Asks for a child in the sandbox whose first process is `first`. What becomes of it is told by the sandbox. Answers how
    /// much memory the child shares, bytes, and the mounts that must stay.
    ///
    /// # Errors
    /// The kernel's, when either has ended or the zygote is far behind.
    pub(super) fn fork(
        &mut self,
        ids: bool,
        first: i32,
        (input, rules): (OwnedFd, Option<OwnedFd>),
        output: &OwnedFd,
        groups: &[OwnedFd],
    ) -> io::Result<(u64, Rc<OwnedFd>)> {
        self.forks += 1;
        let open = |name| std::fs::File::open(format!("/proc/{first}/ns/{name}")).map(OwnedFd::from);
        let namespaces = NAMESPACES.iter().map(open).collect::<io::Result<Vec<_>>>()?;
        let (ids, rules_given) = (u8::from(ids), u8::from(rules.is_some()));
        let words = format!("{ids} {} {} {rules_given}", namespaces.len(), groups.len());
        let fds: Vec<BorrowedFd<'_>> =
            [&input, output].into_iter().chain(&namespaces).chain(groups).chain(&rules).map(AsFd::as_fd).collect();
        channel::try_send(&self.socket, words.as_bytes(), &fds)?;
        Ok((self.ready.unwrap_or(0), Rc::clone(&self.mounts)))
    }

    /// Ends it. Children of it live in their sandboxes and stay. Answers whether it has gone: one that waits for a disk may
    /// take long.
    pub(super) fn has_gone(&self) -> bool {
        // ESRCH: it is gone already.
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, rustix::process::Signal::KILL);
        let pid = rustix::process::Pid::from_raw(self.pid);
        !matches!(rustix::process::waitpid(pid, rustix::process::WaitOptions::NOHANG), Ok(None))
    }
}

impl Drop for Zygote {
    fn drop(&mut self) {
        // Where it was not waited for, this process is about to end.
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, rustix::process::Signal::KILL);
    }
}

fn end(pid: i32, pidfd: &OwnedFd) {
    // ESRCH: it is gone already.
    let _ = rustix::process::pidfd_send_signal(pidfd, rustix::process::Signal::KILL);
    let _ = sys::reap(pid);
}

/// Turns a fresh fork of the helper into a zygote. Returns only on failure.
fn become_zygote(
    (tree, image): (&OwnedFd, &image::Image),
    range: Option<&Range>,
    files: u32,
    socket: &OwnedFd,
    (argv, env): (&[CString], &[CString]),
) -> io::Result<()> {
    root::enter_bare(tree, &image.mounts, &image.targets).map_err(|_| io::Error::from_raw_os_error(libc::EPERM))?;
    confine::limit_process()?;
    confine::lower(Resource::Nofile, u64::from(files))?;
    for capability in CapabilitySet::all().difference(NEEDED).iter() {
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(range) = range {
        // Capabilities stay (see `Host::make`), and go on to the program as ambient ones.
        let (uid, gid) = range.user();
        let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
        sys::drop_groups()?;
        rustix::thread::set_thread_res_gid(gid, gid, gid)?;
        rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    }
    rustix::thread::set_capabilities(
        None,
        CapabilitySets { effective: NEEDED, permitted: NEEDED, inheritable: NEEDED },
    )?;
    for capability in NEEDED.iter() {
        rustix::thread::configure_capability_in_ambient_set(capability, true)?;
    }
    rustix::process::setsid()?;
    // A pipe that nobody reads, since it is a pipe that its children get.
    let (_, nowhere) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    sys::dup_to(socket.as_fd(), 0)?;
    sys::dup_to(nowhere.as_fd(), 1)?;
    sys::dup_to(nowhere.as_fd(), 2)?;
    sys::close_on_exec_from(3)?;
    sys::heed_stops();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    Err(sys::exec(argv, env))
}

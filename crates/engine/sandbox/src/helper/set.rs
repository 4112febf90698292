//! One sandbox as the helper sees it, from a prepared set of namespaces to its end.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::rc::Rc;

use super::Host;
use super::ids::Range;
use super::image::{self, Image};
use super::spares::now_ms;
use crate::cgroup::{self, Group};
use crate::channel;
use crate::inside::{self, confine};
use crate::message::{Kind, Launch, Message, Order};
use crate::microvm::relay;
use crate::sys::{self, Side};
use crate::walls::{ExitCause, Usage};

/// How far a sandbox has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its namespaces are being made; it may already be promised to a launch.
    Preparing,
    /// It waits for a function.
    Prepared,
    /// It becomes a spare: starts a runtime, which makes itself ready.
    Warming,
    /// It and its runtime wait for a function.
    Spare,
    /// It builds the walls of its function.
    Building,
    /// It was let go and starts the program.
    Starting,
    /// The program runs.
    Running,
}

/// What a set has that is a spare, or has been one.
pub(super) struct Spare {
    /// Of which kind.
    pub(super) kind: u64,
    /// The reading end of its output, until it has a function.
    output: Option<OwnedFd>,
    /// The runtime, while it waits. Its end is watched.
    pub(super) runtime: Option<OwnedFd>,
    /// The writing end of the output, while a zygote's fork is waited for.
    pub(super) writing: Option<OwnedFd>,
    /// Whether a zygote is the parent.
    pub(super) forked: bool,
    /// How much of the zygote's memory is shared, bytes.
    pub(super) shared: u64,
    /// The zygote's mounts, through which the runtime's own files were opened: they stay as long as it.
    pub(super) mounts: Option<Rc<OwnedFd>>,
    /// When it began.
    pub(super) since: u64,
}

/// What a set has become for.
pub(super) struct Assigned {
    pub(super) seq: u64,
    /// The reading end of the output, until it is handed over.
    pub(super) output: Option<OwnedFd>,
    pub(super) listeners: Vec<OwnedFd>,
    /// What its program has kept of how it was told its function, until it is handed over.
    pub(super) line: Option<OwnedFd>,
    /// The sockets of the way out, until they are handed over.
    pub(super) uplink: Vec<OwnedFd>,
    /// What starts, for messages.
    pub(super) program: String,
}

/// A set of namespaces, its first process and its cgroup.
pub(super) struct Set {
    pub(super) stage: Stage,
    pub(super) pid: i32,
    pub(super) pidfd: OwnedFd,
    pub(super) socket: OwnedFd,
    pub(super) group: Option<(String, Group)>,
    /// Tells of the end of memory, on version 1.
    pub(super) memory_event: Option<OwnedFd>,
    pub(super) meters: Vec<OwnedFd>,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// The launch that waits for its `/tmp`.
    pub(super) pending: Option<Launch>,
    /// The kind of spare to become first, for the launch that waits.
    pub(super) to_fork: Option<u64>,
    /// Its `/tmp` on disk, where there is such a thing.
    pub(super) part: Option<super::scratch::Part>,
    pub(super) assigned: Option<Assigned>,
    pub(super) spare: Option<Spare>,
    /// How large the snapshot is that it was given, bytes: memory that it shares with others.
    pub(super) snapshot: Option<u64>,
    /// The launch was already answered with a failure.
    pub(super) failed: bool,
    pub(super) out_of_memory: bool,
    pub(super) kill_asked: bool,
    /// What the first process said about the program's end.
    pub(super) ended: Option<ExitCause>,
    /// Its ids, given back last.
    _range: Option<Range>,
}

impl Set {
    /// Forks the first process of a new set; it prepares itself while the helper goes on.
    pub(super) fn prepare(host: &Host, number: u64) -> io::Result<Self> {
        let range = host.take_range()?;
        let group = host.make_group(number)?;
        let made = Self::prepare_in(host, range.as_ref(), group.as_ref());
        if made.is_err()
            && let Some((_, group)) = &group
        {
            let _ = group.remove();
        }
        let (pid, pidfd, socket, uid, gid) = made?;
        let memory_event = group.as_ref().and_then(|(_, group)| group.watch_memory());
        let meters = group.as_ref().map(|(_, group)| group.open_meters()).unwrap_or_default();
        Ok(Self {
            stage: Stage::Preparing,
            pid,
            pidfd,
            socket,
            group,
            memory_event,
            meters,
            uid,
            gid,
            pending: None,
            to_fork: None,
            part: None,
            assigned: None,
            spare: None,
            snapshot: None,
            failed: false,
            out_of_memory: false,
            kill_asked: false,
            ended: None,
            _range: range,
        })
    }

    fn prepare_in(
        host: &Host,
        range: Option<&Range>,
        group: Option<&(String, Group)>,
    ) -> io::Result<(i32, OwnedFd, OwnedFd, u32, u32)> {
        let (mine, theirs) = channel::pair()?;
        let (pid, pidfd) = match clone_for(range)? {
            Side::Child => inside::live(theirs, &host.setup),
            Side::Parent { pid, pidfd } => (pid, pidfd),
        };
        drop(theirs);
        let give = || -> io::Result<(u32, u32)> {
            let ids = write_maps(range, pid)?;
            let tree = host.base.copy()?;
            let joins = group.map(|(_, group)| group.join_files()).transpose()?.unwrap_or_default();
            let fds: Vec<BorrowedFd<'_>> = std::iter::once(&tree).chain(&joins).map(AsFd::as_fd).collect();
            channel::send(&mine, &Order::Mapped.encode(), &fds)?;
            Ok(ids)
        };
        match give() {
            Ok((uid, gid)) => Ok((pid, pidfd, mine, uid, gid)),
            Err(error) => {
                let _ = rustix::process::pidfd_send_signal(&pidfd, rustix::process::Signal::KILL);
                let _ = sys::reap(pid);
                Err(error)
            }
        }
    }

    /// Makes a spare of a prepared set.
    ///
    /// # Errors
    /// In words.
    pub(super) fn warm(
        &mut self,
        host: &Host,
        number: u64,
        (kind, forked): (&Kind, bool),
        tmp: Option<OwnedFd>,
    ) -> Result<(), String> {
        let mut image = image::open_runtime(&host.base, &kind.runtime_sources, &kind.runtime_targets)?;
        image.extend(tmp);
        let (output, input) = self.output_pipe().map_err(|error| error.to_string())?;
        let (given, writing) = if forked { (None, Some(input)) } else { (Some(input), None) };
        let fds: Vec<BorrowedFd<'_>> = given.iter().chain(&image.mounts).map(AsFd::as_fd).collect();
        let order = Order::Spare { ahead: kind.ahead.clone(), forked, files: kind.files, targets: image.targets };
        channel::send(&self.socket, &order.encode(), &fds).map_err(|error| error.to_string())?;
        self.spare = Some(Spare {
            kind: number,
            output: Some(output),
            runtime: None,
            writing,
            forked,
            shared: 0,
            mounts: None,
            since: now_ms(),
        });
        self.stage = Stage::Warming;
        Ok(())
    }

    /// A pipe that belongs to the sandbox's user: a program may open its own by name, as in `> /dev/stderr`.
    fn output_pipe(&self) -> io::Result<(OwnedFd, OwnedFd)> {
        let (output, input) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let (uid, gid) = (rustix::fs::Uid::from_raw(self.uid), rustix::fs::Gid::from_raw(self.gid));
        rustix::fs::fchown(&input, Some(uid), Some(gid))?;
        rustix::io::ioctl_fionbio(&output, true)?;
        Ok((output, input))
    }

    /// Gives the set its function.
    ///
    /// # Errors
    /// Words for the caller of the launch, and whether the request is at fault.
    pub(super) fn assign(&mut self, host: &Host, launch: Launch, tmp: Option<OwnedFd>) -> Result<(), (bool, String)> {
        let spec = |why: String| (true, why);
        let output = self.spare.as_mut().and_then(|spare| spare.output.take());
        let mut image = match &output {
            Some(_) => Image::default(),
            None => image::open_runtime(&host.base, &launch.runtime_sources, &launch.runtime_targets).map_err(spec)?,
        };
        image::open_function(&host.base, &launch, &mut image).map_err(spec)?;
        if relay::is_relay(&launch.program.argv) {
            for target in &launch.runtime_targets {
                let shown = host.base.show_way(Path::new(OsStr::from_bytes(target)));
                shown.map_err(|error| (false, error.to_string()))?;
            }
        }
        self.snapshot = image::size(&launch.snapshot);
        image.extend(tmp);
        let kernel = |error: io::Error| (false, error.to_string());
        let limits = launch.program.limits;
        if let Some((_, group)) = &self.group {
            let cpu = limits.cpu_millis.filter(|_| host.cpu_limit);
            group.limit(u64::from(limits.memory_mb) << 20, cpu, limits.pids + 1).map_err(kernel)?;
        }
        let (output, input) = match output {
            Some(output) => (output, None),
            None => self.output_pipe().map(|(output, input)| (output, Some(input))).map_err(kernel)?,
        };
        let fds: Vec<BorrowedFd<'_>> = input.iter().chain(&image.mounts).map(AsFd::as_fd).collect();
        let program =
            launch.program.argv.first().map(|name| String::from_utf8_lossy(name).into_owned()).unwrap_or_default();
        let order = Order::Become { program: launch.program, targets: image.targets };
        channel::send(&self.socket, &order.encode(), &fds).map_err(kernel)?;
        self.assigned = Some(Assigned {
            seq: launch.seq,
            output: Some(output),
            listeners: Vec::new(),
            line: None,
            uplink: Vec::new(),
            program,
        });
        Ok(())
    }

    /// The server's number for it, once it has a function.
    pub(super) fn seq(&self) -> Option<u64> {
        let waiting = self.pending.as_ref().map(|launch| launch.seq);
        self.assigned.as_ref().map(|assigned| assigned.seq).or(waiting)
    }

    /// Whether no launch has it.
    pub(super) fn is_free(&self) -> bool {
        self.is_unused() && self.spare.is_none()
    }

    /// The kind of spare it is, or is to be, while no launch has it.
    pub(super) fn spare_of(&self) -> Option<u64> {
        self.spare.as_ref().filter(|_| self.is_unused()).map(|spare| spare.kind)
    }

    fn is_unused(&self) -> bool {
        self.assigned.is_none() && self.pending.is_none() && !self.failed
    }

    /// What starts, for messages.
    pub(super) fn program(&self) -> &str {
        self.assigned.as_ref().map_or("", |assigned| &assigned.program)
    }

    /// Kills everything inside: the first process takes its pid namespace along.
    pub(super) fn kill(&self) {
        if let Some((_, group)) = &self.group {
            group.let_die();
        }
        // ESRCH: it is gone already.
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, rustix::process::Signal::KILL);
        if let Some((_, group)) = &self.group {
            group.let_go();
        }
    }

    /// The last reading. Without a cgroup there is none left once the processes are gone.
    pub(super) fn usage(&self) -> Usage {
        let usage = cgroup::read_meters(&self.meters, true);
        Usage { peak_memory_bytes: usage.peak_memory_bytes + self.shared(), ..usage }
    }

    /// How much of its memory others have too, bytes: a snapshot's takes the place of a zygote's.
    pub(super) fn shared(&self) -> u64 {
        self.snapshot.unwrap_or_else(|| self.spare.as_ref().map_or(0, |spare| spare.shared))
    }

    /// Why it ended, once its first process is gone.
    pub(super) fn cause(&self, usage: &Usage) -> ExitCause {
        match self.ended {
            _ if self.kill_asked => ExitCause::Killed,
            _ if self.out_of_memory || usage.oom_kills > 0 => ExitCause::OutOfMemory,
            Some(cause) => cause,
            None => ExitCause::Killed,
        }
    }
}

/// Forks into a user and a pid namespace that the sandbox's own id has made. For the kernel counts some things (watches
/// of files, queued signals) not only for who uses them but also for who made the namespace: were that always this
/// process's user, one sandbox could take all that root of the host may have.
fn clone_for(range: Option<&Range>) -> io::Result<Side> {
    use rustix::fs::Uid;
    let become_id = |uid| rustix::thread::set_thread_res_uid(Uid::ROOT, uid, Uid::ROOT);
    if let Some(range) = range {
        become_id(Uid::from_raw(range.user().0))?;
    }
    let side = sys::clone(libc::CLONE_NEWUSER | libc::CLONE_NEWPID);
    if range.is_some() && !matches!(side, Ok(Side::Child)) && become_id(Uid::ROOT).is_err() {
        // A helper that is not itself any more would build every later one wrong; the server starts another.
        sys::exit_now(1);
    }
    side
}

/// Maps the ids of a new process, and answers which ones the function's user has in the helper's eyes.
fn write_maps(range: Option<&Range>, pid: i32) -> io::Result<(u32, u32)> {
    let put = |file: &str, text: String| std::fs::write(format!("/proc/{pid}/{file}"), text);
    if let Some(range) = range {
        let (uids, gids) = range.maps();
        put("uid_map", uids)?;
        put("gid_map", gids)?;
        return Ok(range.user());
    }
    put("setgroups", "deny".to_owned())?;
    put("uid_map", format!("{} 0 1", confine::UID))?;
    put("gid_map", format!("{} 0 1", confine::GID))?;
    Ok((0, 0))
}

//! One sandbox as the helper sees it, from a prepared set of namespaces to its end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::Host;
use crate::cgroup::{self, Group};
use crate::channel;
use crate::inside::{self, confine};
use crate::message::{Launch, Message, Order};
use crate::sys::{self, Side};
use crate::walls::{ExitCause, Usage};

/// The first host uid of the sandboxes' ranges: above what distributions and container managers give away.
const FIRST_UID: u32 = 0x7000_0000;
/// Ids of one sandbox. The function's user is one of them.
const RANGE: u32 = 1024;
/// Ranges before the first is used again.
const RANGES: u64 = 0x3_0000;

/// How far a sandbox has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its namespaces are being made; it may already be promised to a launch.
    Preparing,
    /// It waits for a function.
    Prepared,
    /// It builds the walls of its function.
    Building,
    /// It was let go and starts the program.
    Starting,
    /// The program runs.
    Running,
}

/// What a set has become for.
pub(super) struct Assigned {
    pub(super) seq: u64,
    /// The reading end of the output, until it is handed over.
    pub(super) output: Option<OwnedFd>,
    pub(super) listeners: Vec<OwnedFd>,
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
    pub(super) assigned: Option<Assigned>,
    /// The launch was already answered with a failure.
    pub(super) failed: bool,
    pub(super) out_of_memory: bool,
    pub(super) kill_asked: bool,
    /// What the first process said about the program's end.
    pub(super) ended: Option<ExitCause>,
}

/// Whether every uid and gid of the ranges exists in this process's user namespace, so that it may give them away.
pub(super) fn ranges_are_ours() -> bool {
    ["/proc/self/uid_map", "/proc/self/gid_map"]
        .iter()
        .all(|map| std::fs::read_to_string(map).is_ok_and(|map| covers(&map)))
}

fn covers(map: &str) -> bool {
    let last = u64::from(FIRST_UID) + RANGES * u64::from(RANGE);
    map.lines().any(|line| {
        let mut fields = line.split_whitespace().map(|field| field.parse::<u64>().unwrap_or(0));
        let (start, _, count) = (fields.next().unwrap_or(0), fields.next(), fields.next().unwrap_or(0));
        start <= u64::from(FIRST_UID) && start + count >= last
    })
}

fn range_start(number: u64) -> u32 {
    FIRST_UID + (number % RANGES) as u32 * RANGE
}

impl Set {
    /// Forks the first process of a new set; it prepares itself while the helper goes on.
    pub(super) fn prepare(host: &Host, number: u64) -> io::Result<Self> {
        let group = host.make_group(number)?;
        let made = Self::prepare_in(host, number, group.as_ref());
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
            assigned: None,
            failed: false,
            out_of_memory: false,
            kill_asked: false,
            ended: None,
        })
    }

    fn prepare_in(
        host: &Host,
        number: u64,
        group: Option<&(String, Group)>,
    ) -> io::Result<(i32, OwnedFd, OwnedFd, u32, u32)> {
        let (mine, theirs) = channel::pair()?;
        let (pid, pidfd) = match sys::clone(libc::CLONE_NEWUSER | libc::CLONE_NEWPID)? {
            Side::Child => inside::live(theirs, &host.setup),
            Side::Parent { pid, pidfd } => (pid, pidfd),
        };
        drop(theirs);
        let give = || -> io::Result<(u32, u32)> {
            let ids = write_maps(host.setup.ranges, pid, number)?;
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

    /// Gives the set its function.
    ///
    /// # Errors
    /// Words for the caller of the launch, and whether the request is at fault.
    pub(super) fn assign(&mut self, host: &Host, launch: Launch) -> Result<(), (bool, String)> {
        let image = super::image::open(&host.base, &launch).map_err(|why| (true, why))?;
        let kernel = |error: io::Error| (false, error.to_string());
        let limits = launch.program.limits;
        if let Some((_, group)) = &self.group {
            let cpu = limits.cpu_millis.filter(|_| host.cpu_limit);
            group.limit(u64::from(limits.memory_mb) << 20, cpu, limits.pids + 1).map_err(kernel)?;
        }
        let (output, input) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|e| kernel(e.into()))?;
        // A pipe belongs to who made it; the program may open its own by name, as in `> /dev/stderr`.
        let (uid, gid) = (rustix::fs::Uid::from_raw(self.uid), rustix::fs::Gid::from_raw(self.gid));
        rustix::fs::fchown(&input, Some(uid), Some(gid)).map_err(|e| kernel(e.into()))?;
        rustix::io::ioctl_fionbio(&output, true).map_err(|e| kernel(e.into()))?;
        let fds: Vec<BorrowedFd<'_>> = std::iter::once(&input).chain(&image.mounts).map(AsFd::as_fd).collect();
        let program =
            launch.program.argv.first().map(|name| String::from_utf8_lossy(name).into_owned()).unwrap_or_default();
        let order = Order::Become { program: launch.program, targets: image.targets };
        channel::send(&self.socket, &order.encode(), &fds).map_err(kernel)?;
        self.assigned = Some(Assigned { seq: launch.seq, output: Some(output), listeners: Vec::new(), program });
        Ok(())
    }

    /// The server's number for it, once it has a function.
    pub(super) fn seq(&self) -> Option<u64> {
        self.assigned.as_ref().map(|assigned| assigned.seq)
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
    }

    /// The last reading. Without a cgroup there is none left once the processes are gone.
    pub(super) fn usage(&self) -> Usage {
        cgroup::read_meters(&self.meters)
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

/// Maps the ids of a new process, and answers which ones the function's user has in the helper's eyes.
fn write_maps(ranges: bool, pid: i32, number: u64) -> io::Result<(u32, u32)> {
    let put = |file: &str, text: String| std::fs::write(format!("/proc/{pid}/{file}"), text);
    if ranges {
        let start = range_start(number);
        put("uid_map", format!("0 {start} {RANGE}"))?;
        put("gid_map", format!("0 {start} {RANGE}"))?;
        return Ok((start + confine::UID, start + confine::GID));
    }
    put("setgroups", "deny".to_owned())?;
    put("uid_map", format!("{} 0 1", confine::UID))?;
    put("gid_map", format!("{} 0 1", confine::GID))?;
    Ok((0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_map_that_holds_all_ranges_covers_them() {
        assert!(covers("         0          0 4294967295\n"));
        assert!(!covers("0 1000 1\n"));
        assert!(!covers("0 0 65536\n"));
        assert!(!covers(""));
    }

    #[test]
    fn uid_ranges_do_not_overlap_and_stay_below_the_reserved_ids() {
        for number in [0, 1, 2, RANGES - 1] {
            assert_eq!(range_start(number) % RANGE, 0);
            assert!(u64::from(range_start(number)) + u64::from(RANGE) <= u64::from(0x8000_0000_u32));
        }
        assert_eq!(range_start(1) - range_start(0), RANGE);
    }
}

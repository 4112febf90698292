//! `/tmp` on disk: one volume for all sandboxes, of which each has a part of its own size that goes with it. Where it
//! cannot be had, `/tmp` is memory. The volume is made after the helper is ready; launches that come earlier wait for it.

mod keeper;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use crate::channel;
use crate::message::{Ask, Message};
use crate::survey::{Mend, holds};
use crate::sys::{self, Side};
use crate::walls::Wall;

/// The size of a part until its function is known: what a function has that asks for nothing else.
pub(super) const USUAL_MB: u32 = 512;

/// Volumes that were lost one after the other, before one had made a part, until no more are made.
const MOST_LOST: u32 = 3;

/// The least the volume must have to be worth making.
const LEAST_MB: u64 = 1024;

/// `TMPFS_MAGIC` and `RAMFS_MAGIC` of `linux/magic.h`.
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58F6];

/// Where `mkfs.btrfs` is looked for.
const PROGRAMS: &[&str] = &["/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin", "/run/current-system/sw/bin"];

/// How the volume is to be made.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Where the image lies, without a name.
    folder: PathBuf,
    /// Its size: half of what was free, so that functions never fill the host's disk by themselves.
    pub(super) mb: u64,
    mkfs: PathBuf,
}

impl Plan {
    /// Finds out whether there can be a volume in this folder.
    ///
    /// # Errors
    /// Why not, and what would mend it.
    pub(super) fn make(folder: &Path, root: bool) -> Result<Self, Mend> {
        const INSTALL: &str =
            "sudo apt-get install btrfs-progs (Debian, Ubuntu), sudo dnf install btrfs-progs (Fedora)";
        if !root || !is_hosts_root() {
            return Err(Mend::new("only the host's root may make a file system", "run lambent as root"));
        }
        let found = PROGRAMS.iter().map(|place| Path::new(place).join("mkfs.btrfs")).find(|path| path.exists());
        let mkfs = found.ok_or_else(|| Mend::new("mkfs.btrfs is not installed", INSTALL))?;
        if !Path::new("/dev/loop-control").exists() {
            return Err(Mend::new(
                "there are no loop devices",
                "sudo modprobe loop, or run lambent outside of the container",
            ));
        }
        let unknown =
            |error: rustix::io::Errno| Mend::new(format!("{}: {error}", folder.display()), "see that it exists");
        let kind = rustix::fs::statfs(folder).map_err(unknown)?;
        if IN_MEMORY.contains(&(kind.f_type as u64)) {
            return Err(Mend::new(format!("{} is in memory", folder.display()), "choose a data folder on a disk"));
        }
        let space = rustix::fs::statvfs(folder).map_err(unknown)?;
        let mb = (space.f_bavail * space.f_frsize / 2) >> 20;
        if mb < LEAST_MB {
            let why = format!("the disk of {} has less than {} GiB left", folder.display(), 2 * (LEAST_MB >> 10));
            return Err(Mend::new(why, "make room on it"));
        }
        Ok(Self { folder: folder.to_owned(), mb, mkfs })
    }
}

/// Whether this user namespace is the first one, of which alone the kernel lets root mount a disk.
fn is_hosts_root() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// The wall, as far as it is known: with a plan, as it will be.
pub(super) fn wall(plan: Result<&Plan, &Mend>, memory_limited: bool) -> Wall {
    let text = match plan {
        Ok(plan) => format!(
            "on disk, {} GiB for all functions together (btrfs in an image in {})",
            plan.mb >> 10,
            plan.folder.display()
        ),
        Err(mend) => {
            let where_counted = if memory_limited { "counted in" } else { "beside" };
            format!("tmpfs, {where_counted} the memory limit: {}. To have it on disk: {}", mend.why, mend.fix)
        }
    };
    holds("/tmp size", text)
}

/// The part of one set.
pub(super) struct Part {
    /// Its mount, once it is there and until it is handed to the sandbox.
    pub(super) mount: Option<OwnedFd>,
    pub(super) mb: u32,
    /// Whether the keeper was asked for something and has not answered.
    pub(super) waiting: bool,
}

/// The helper's end of it.
pub(super) struct Scratch {
    pub(super) plan: Result<Plan, Mend>,
    /// Any folder that the keeper may mount on, in its own namespace.
    place: PathBuf,
    keeper: Option<(i32, OwnedFd)>,
    /// What the keeper is too busy to hear.
    unsent: VecDeque<Ask>,
    /// Whether there was ever a volume.
    proven: bool,
    lost: u32,
}

impl Scratch {
    pub(super) fn new(plan: Result<Plan, Mend>, place: PathBuf) -> Self {
        Self { plan, place, keeper: None, unsent: VecDeque::new(), proven: false, lost: 0 }
    }

    /// Starts a keeper, if there is a plan.
    pub(super) fn start(&mut self) -> io::Result<()> {
        let Ok(plan) = &self.plan else { return Ok(()) };
        let (mine, theirs) = channel::pair()?;
        // The helper must never wait for a file system.
        rustix::io::ioctl_fionbio(&mine, true)?;
        match sys::clone(0)? {
            Side::Child => keeper::live(theirs, plan, &self.place),
            Side::Parent { pid, .. } => self.keeper = Some((pid, mine)),
        }
        Ok(())
    }

    /// The way to the keeper, while there is one.
    pub(super) fn socket(&self) -> Option<&OwnedFd> {
        self.keeper.as_ref().map(|(_, socket)| socket)
    }

    pub(super) fn ask(&mut self, ask: Ask) {
        self.unsent.push_back(ask);
        self.send();
    }

    /// Sends what the keeper can take. Its end is seen by who hears it.
    pub(super) fn send(&mut self) {
        let Some((_, socket)) = &self.keeper else { return self.unsent.clear() };
        while let Some(ask) = self.unsent.front() {
            match channel::send(socket, &ask.encode(), &[]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                _ => self.unsent.pop_front(),
            };
        }
    }

    /// The volume is there.
    pub(super) fn prove(&mut self) {
        self.proven = true;
    }

    /// A part was made: the volume works.
    pub(super) fn works(&mut self) {
        self.lost = 0;
    }

    /// The keeper is gone. Without another one ([`Scratch::plan`] says so) there is no volume from here on. Answers whether
    /// there ever was one.
    pub(super) fn lose(&mut self, why: &str) -> bool {
        self.unsent.clear();
        if let Some((pid, socket)) = self.keeper.take() {
            drop(socket);
            let _ = sys::reap(pid);
        }
        self.lost += 1;
        if !self.proven {
            let fix = "run lambent as the host's root, outside of containers, on a kernel with btrfs and loop devices";
            self.plan = Err(Mend::new(why, fix));
        } else if self.lost >= MOST_LOST {
            self.plan = Err(Mend::new(why, "see the kernel's log (dmesg), and start lambent again"));
        }
        self.proven
    }

    /// There is no volume from here on.
    pub(super) fn do_without(&mut self, why: &str) {
        self.plan =
            Err(Mend::new(why, "stop what uses up the host's processes and descriptors, and start lambent again"));
    }

    /// Lets the keeper go and waits for its end.
    pub(super) fn end(&mut self) {
        if let Some((pid, socket)) = self.keeper.take() {
            // It may be in the middle of something long.
            if let Some(pid) = rustix::process::Pid::from_raw(pid) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
            drop(socket);
            let _ = sys::reap(pid);
        }
    }
}

/// Whether a socket has something to say; for the loop's own use.
pub(super) fn hear(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<channel::Received> {
    channel::receive(socket.as_fd(), buffer, false)
}

//! The file system of a sandbox: a private copy of the helper's root tree, its own `/proc`, `/tmp` and `/dev/shm`, and
//! the mounts of the function. The helper opens every mount of the host; nothing here looks up a path of the host.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{MountFlags, MoveMountFlags, UnmountFlags};

use super::{Failure, Step};
use crate::sys::{self, attr};

/// Files of `/proc` that tell of the host's devices, memory and users and help no function; `/dev/null` covers them.
const MASKED: &[&str] = &[
    "cmdline",
    "diskstats",
    "interrupts",
    "iomem",
    "ioports",
    "kallsyms",
    "kcore",
    "key-users",
    "keys",
    "kmsg",
    "kpagecgroup",
    "kpagecount",
    "kpageflags",
    "latency_stats",
    "locks",
    "mdstat",
    "modules",
    "pagetypeinfo",
    "partitions",
    "sched_debug",
    "schedstat",
    "slabinfo",
    "softirqs",
    "swaps",
    "sysrq-trigger",
    "timer_list",
    "vmallocinfo",
];
/// Folders of the same kind; an empty one covers them.
const MASKED_FOLDERS: &[&str] = &["acpi", "asound", "bus", "driver", "fs", "irq", "scsi"];
/// An empty folder of the root tree.
const EMPTY: &str = "/mnt";

/// Makes `tree` the root, with `/proc`, `/tmp` and `/dev/shm` of its own, and lets go of the old root.
pub(super) fn enter(tree: &OwnedFd) -> Result<(), Failure> {
    // Any folder of the old root serves as a place to hang the tree: the copy of the old root is thrown away below.
    move_to(tree, "/usr").step("attach the root")?;
    rustix::process::fchdir(tree).step("enter the root")?;
    // Before the old root goes: the kernel allows a new /proc only where a whole one can be seen.
    let hidden = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    // Processes that may not be looked into cannot be seen: the first one, whose arguments name a folder of the host.
    rustix::mount::mount("proc", "proc", "proc", hidden, c"hidepid=2").step("mount /proc")?;
    rustix::process::pivot_root(".", ".").step("pivot_root")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).step("detach the old root")?;
    rustix::process::chdir("/").step("enter the root")?;
    sys::mount_private(tree.as_fd(), 0).step("make mounts private")?;
    mask_proc()?;
    let private = MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount("tmpfs", "/tmp", "tmpfs", private, c"mode=1777,size=1m").step("mount /tmp")?;
    rustix::mount::mount("tmpfs", "/dev/shm", "tmpfs", private | MountFlags::NOEXEC, c"mode=1777,size=64m")
        .step("mount /dev/shm")
}

/// Makes `tree` the root, with mounts in it and nothing else, and lets go of the old root.
pub(crate) fn enter_bare(tree: &OwnedFd, mounts: &[OwnedFd], targets: &[Vec<u8>]) -> Result<(), Failure> {
    move_to(tree, "/usr").step("attach the root")?;
    rustix::process::fchdir(tree).step("enter the root")?;
    rustix::process::pivot_root(".", ".").step("pivot_root")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).step("detach the old root")?;
    rustix::process::chdir("/").step("enter the root")?;
    sys::mount_private(tree.as_fd(), 0).step("make mounts private")?;
    mounts.iter().zip(targets).try_for_each(|(mount, target)| attach(mount, target))?;
    stand_in()?;
    close()
}

fn mask_proc() -> Result<(), Failure> {
    let files = MASKED.iter().map(|name| ("/dev/null", name));
    let folders = MASKED_FOLDERS.iter().map(|name| (EMPTY, name));
    for (cover, name) in files.chain(folders) {
        match rustix::mount::mount_bind(cover, format!("/proc/{name}").as_str()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(error).step("mask /proc"),
        }
    }
    // The sandbox's own namespaces would let their owner write some of these; nobody inside is meant to.
    rustix::mount::mount_bind("/proc/sys", "/proc/sys").step("cover /proc/sys")?;
    let sys = rustix::fs::open("/proc/sys", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).step("open /proc/sys")?;
    sys::mount_setattr(sys.as_fd(), attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC, false)
        .step("cover /proc/sys")
}

fn move_to(mount: &OwnedFd, target: impl rustix::path::Arg) -> rustix::io::Result<()> {
    rustix::mount::move_mount(mount, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

/// Puts a mount of the function where it belongs. The helper has made the place.
pub(super) fn attach(mount: &OwnedFd, target: &[u8]) -> Result<(), Failure> {
    move_to(mount, target).step(super::ATTACH)
}

/// Where a function's code and layers go.
const OF_FUNCTION: [&str; 2] = ["/var/task", "/opt"];

/// Makes it seem as if code and layers had a folder `lib`. The C library never looks again into a folder of
/// `LD_LIBRARY_PATH` that was not there when it first looked (glibc's `open_path`), and a runtime that is started ahead looks before
/// its function is there.
pub(super) fn stand_in() -> Result<(), Failure> {
    let bind = |place| rustix::mount::mount_bind("/var/lang", place);
    OF_FUNCTION.into_iter().try_for_each(bind).step("stand in for code and layers")
}

/// Takes that away.
pub(super) fn make_way() -> Result<(), Failure> {
    let remove = |place| rustix::mount::unmount(place, UnmountFlags::DETACH);
    OF_FUNCTION.into_iter().try_for_each(remove).step("make way for code and layers")
}

/// Gives a `/tmp` in memory its size.
pub(super) fn size_tmp(tmp_mb: u32) -> Result<(), Failure> {
    let size = std::ffi::CString::new(format!("size={tmp_mb}m")).expect("digits hold no NUL");
    let private = MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount_remount("/tmp", private, size.as_c_str()).step("size /tmp")
}

/// Closes the root for writing.
pub(super) fn close() -> Result<(), Failure> {
    let root = rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).step("open /")?;
    sys::mount_setattr(root.as_fd(), attr::RDONLY | attr::NOSUID | attr::NODEV, false).step("close the root")
}

//! The keeper: a child of the helper that makes the scratch volume and its subvolumes. A process of its own because the
//! file system may make its callers wait, and because the volume is mounted where nobody else sees it. It ends with the
//! helper, and the volume with the last sandbox that has a part of it.

use std::collections::VecDeque;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{CWD, Gid, Mode, OFlags, Uid};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags};
use rustix::process::Signal;

use super::Plan;
use crate::channel;
use crate::message::{Ask, Message, Told};
use crate::sys::{self, attr, disk};

/// Subvolumes whose count is to be forgotten that are looked at for each that is deleted.
const FORGET_MOST: usize = 4;

/// Seconds the volume may take to be made; it takes milliseconds.
const PATIENCE_S: u32 = 20;

/// What the file system keeps for itself in a subvolume, as a share of its size: the size asked for is there for data.
const OVERHEAD_SHARE: u64 = 64;

/// Lives the keeper's life.
pub(super) fn live(socket: OwnedFd, plan: &Plan, place: &Path) -> ! {
    sys::exit_now(i32::from(run(socket, plan, place).is_err()))
}

fn run(socket: OwnedFd, plan: &Plan, place: &Path) -> io::Result<()> {
    let socket = let_go_of_the_helper(socket)?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let _ = rustix::thread::set_name(c"lambent-scratch");
    let tell = |told: &Told, fds: &[BorrowedFd<'_>]| channel::send(&socket, &told.encode(), fds);
    // A disk that is this slow is no place for /tmp; the signal's default action ends us, and the helper goes on without.
    sys::alarm(PATIENCE_S);
    let made = Keeper::make(plan, place);
    sys::alarm(0);
    let mut keeper = match made {
        Ok(keeper) => keeper,
        Err(error) => return tell(&Told::Broken { why: error.to_string() }, &[]),
    };
    tell(&Told::Ready, &[])?;
    let mut buffer = vec![0; 256];
    // Launches wait for what is made, nobody for what is deleted.
    let mut deletions = VecDeque::new();
    loop {
        let got = match channel::receive(&socket, &mut buffer, deletions.is_empty()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if let Some(number) = deletions.pop_front() {
                    keeper.delete(number);
                }
                continue;
            }
            other => other?,
        };
        if got.len == 0 {
            return Ok(());
        }
        let ask = Ask::decode(&buffer[..got.len]).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        let (number, done) = match ask {
            Ask::Make { number, uid, gid, mb } => (number, keeper.make_part(number, (uid, gid), mb).map(Some)),
            Ask::Resize { number, mb } => (number, keeper.resize(number, mb).map(|()| None)),
            Ask::Delete { number } => {
                deletions.push_back(number);
                continue;
            }
        };
        match done {
            Ok(Some(part)) => tell(&Told::Made { number }, &[part.as_fd()])?,
            Ok(None) => tell(&Told::Resized { number }, &[])?,
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(libc::EIO);
                // What has no room may have some later. Anything else is the end of the volume.
                if ![libc::ENOSPC, libc::EDQUOT, libc::ENOMEM, libc::EMFILE, libc::ENFILE].contains(&errno) {
                    return tell(&Told::Broken { why: error.to_string() }, &[]);
                }
                tell(&Told::Failed { number, errno }, &[])?;
            }
        }
    }
}

/// Closes everything inherited but the socket, which becomes descriptor 3.
fn let_go_of_the_helper(socket: OwnedFd) -> io::Result<OwnedFd> {
    const KEPT: i32 = 3;
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    // A number above those that are written over.
    let copy = rustix::io::fcntl_dupfd_cloexec(&socket, KEPT + 1)?;
    for standard in 0..KEPT {
        sys::dup_to(null.as_fd(), standard)?;
    }
    sys::dup_to(copy.as_fd(), KEPT)?;
    sys::close_range(KEPT as u32 + 1, u32::MAX)?;
    // Closed above, or written over.
    std::mem::forget((null, socket, copy));
    sys::close_on_exec_from(KEPT as u32)?;
    sys::adopt(KEPT)
}

struct Keeper {
    /// The volume's own root, of which no sandbox sees anything.
    root: OwnedFd,
    /// Deleted subvolumes whose counts are still to be forgotten.
    gone: VecDeque<u64>,
}

impl Keeper {
    /// Makes the volume: an image without a name, a loop device, a file system, a mount in a namespace of our own.
    fn make(plan: &Plan, place: &Path) -> io::Result<Self> {
        let say = |what: &'static str| move |error: io::Error| io::Error::other(format!("{what}: {error}"));
        sys::unshare(libc::CLONE_NEWNS)?;
        let image = image(&plan.folder).map_err(say("make an image"))?;
        image.set_len(plan.mb << 20).map_err(say("make an image"))?;
        let (device, path) = disk::loop_device(image.as_fd()).map_err(say("set up a loop device"))?;
        format(&plan.mkfs, &path).map_err(say("format"))?;
        // The sandboxes' root tree lies there; in our namespace only, the volume hides it.
        mount(&path, place).map_err(say("mount"))?;
        drop(device);
        let root = rustix::fs::open(place, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        rustix::fs::fchmod(&root, Mode::from_raw_mode(0o700))?;
        disk::enable_quotas(root.as_fd()).map_err(say("switch quotas on"))?;
        Ok(Self { root, gone: VecDeque::new() })
    }

    /// Makes the `/tmp` of a sandbox: a mount of it that is attached nowhere.
    fn make_part(&self, number: u64, (uid, gid): (u32, u32), mb: u32) -> io::Result<OwnedFd> {
        let name = name(number);
        disk::create_subvolume(self.root.as_fd(), &name)?;
        let folder = self.open(&name)?;
        disk::limit_subvolume(folder.as_fd(), limit(mb))?;
        rustix::fs::fchown(&folder, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        rustix::fs::fchmod(&folder, Mode::from_raw_mode(0o1777))?;
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let part = rustix::mount::open_tree(&self.root, name.as_c_str(), flags)?;
        sys::mount_private(part.as_fd(), attr::NOSUID | attr::NODEV)?;
        Ok(part)
    }

    fn resize(&self, number: u64, mb: u32) -> io::Result<()> {
        disk::limit_subvolume(self.open(&name(number))?.as_fd(), limit(mb))
    }

    fn open(&self, name: &CString) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.root, name.as_c_str(), flags, Mode::empty())?)
    }

    /// Deletes a part. What goes wrong here shows when the next is made.
    fn delete(&mut self, number: u64) {
        let name = name(number);
        let id = self.open(&name).and_then(|folder| disk::subvolume_id(folder.as_fd()));
        if disk::destroy_subvolume(self.root.as_fd(), &name).is_ok() {
            self.gone.extend(id.ok());
        }
        for _ in 0..FORGET_MOST {
            let Some(id) = self.gone.pop_front() else { break };
            if disk::forget_subvolume(self.root.as_fd(), id).is_err_and(|e| e.raw_os_error() == Some(libc::EBUSY)) {
                self.gone.push_back(id);
                break;
            }
        }
        // With plenty of room left, space may come back when the file system finds the time.
        let crowded = rustix::fs::fstatvfs(&self.root).is_ok_and(|space| space.f_bavail < space.f_blocks / 4 * 3);
        if crowded {
            let _ = disk::start_sync(self.root.as_fd());
        }
    }
}

fn name(number: u64) -> CString {
    CString::new(number.to_string()).expect("digits hold no NUL")
}

fn limit(mb: u32) -> u64 {
    let bytes = u64::from(mb) << 20;
    bytes + bytes / OVERHEAD_SHARE
}

/// A file without a name, or one that lost its name at once: whatever happens, nothing is left of it.
fn image(folder: &Path) -> io::Result<File> {
    let open = |flags: i32| File::options().read(true).write(true).mode(0o600).custom_flags(flags).clone();
    open(libc::O_TMPFILE).open(folder).or_else(|_| {
        let path = folder.join(format!("scratch-{}", std::process::id()));
        let file = open(0).create_new(true).open(&path)?;
        std::fs::remove_file(path)?;
        Ok(file)
    })
}

fn format(mkfs: &Path, device: &str) -> io::Result<()> {
    let done = Command::new(mkfs)
        .args(["-q", "-f", "-K", "-m", "single", "-d", "single", "-L", "lambent"].map(OsStr::new))
        .arg(device)
        .env_clear()
        .stdin(Stdio::null())
        .output()?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    Err(io::Error::other(format!("{} ended with {}: {last}", mkfs.display(), done.status)))
}

fn mount(device: &str, place: &Path) -> io::Result<()> {
    let context = rustix::mount::fsopen("btrfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(&context, "source", device)?;
    // What is deleted is given back to the host's disk. Without copy on write, what is written over needs no new space.
    rustix::mount::fsconfig_set_string(&context, "discard", "async")?;
    rustix::mount::fsconfig_set_flag(&context, "nodatacow")?;
    rustix::mount::fsconfig_create(&context)?;
    let attributes =
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOATIME;
    let mount = rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    Ok(rustix::mount::move_mount(&mount, "", CWD, place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

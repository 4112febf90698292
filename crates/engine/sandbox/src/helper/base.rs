//! The root tree every sandbox gets a private copy of: the system's programs and libraries, a few files of `/etc`, a
//! minimal `/dev`. Built once, in the helper's own mount namespace, so that nothing of it is ever seen on the host.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags};
use rustix::mount::{MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags};

use crate::sys::{self, attr};

/// System folders, read-only. A symbolic link on the host is the same link inside. Of Nix and Guix their stores alone:
/// beside them are the sockets of their daemons, and no mount keeps a program from connecting to a socket it can see.
const SYSTEM: &[&str] = &["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "nix/store", "gnu/store"];
/// What is taken from the host's `/etc`: nothing that tells who its users are, nothing secret.
const FROM_ETC: &[&str] = &[
    "alternatives",
    "ca-certificates",
    "crypto-policies",
    "java-11-openjdk",
    "java-17-openjdk",
    "java-21-openjdk",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "pki/tls",
    "pki/ca-trust",
    "protocols",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
];
/// The mode of folders that lead to what is mounted in them and do not say what that is. The helper may write to them all the same.
const UNLISTED: u32 = 0o111;
const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom", "tty"];
const WRITTEN: &[(&str, &str)] = &[
    (
        "passwd",
        "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\nsbx_user1051:x:993:990::/home/sbx_user1051:/sbin/nologin\n",
    ),
    ("group", "root:x:0:\nnogroup:x:65534:\nsbx_user1051:x:990:\n"),
    ("hosts", "127.0.0.1 localhost lambent\n::1 localhost ip6-localhost ip6-loopback\n"),
    ("resolv.conf", "nameserver 127.0.0.1\noptions timeout:5 attempts:2\n"),
    (
        "nsswitch.conf",
        "passwd: files\ngroup: files\nhosts: files dns\nnetworks: files\nprotocols: files\nservices: files\n",
    ),
    ("hostname", "lambent\n"),
];

/// The root tree.
pub(super) struct Base {
    root: OwnedFd,
}

impl Base {
    /// Builds it on `place`, an empty folder of the host, in a mount namespace made for this process.
    pub(super) fn build(place: &Path) -> io::Result<Self> {
        // The host never sees our mounts; what the host mounts later still arrives here.
        rustix::mount::mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?;
        fs::create_dir_all(place)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", place.display())))?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        rustix::mount::mount("tmpfs", place, "tmpfs", flags, c"mode=755,size=16m")?;
        let path = |name: &str| place.join(name);
        for folder in [
            "etc",
            "dev",
            "dev/shm",
            "proc",
            "tmp",
            "var",
            "var/task",
            "var/lang",
            "var/lang/lib",
            "var/runtime",
            "opt",
            "home",
            "root",
            "run",
            "sys",
            "mnt",
            "srv",
        ] {
            fs::create_dir(path(folder))?;
        }
        for homes in ["root", "home"] {
            fs::set_permissions(path(homes), fs::Permissions::from_mode(UNLISTED))?;
        }
        for name in SYSTEM {
            share(&Path::new("/").join(name), &path(name), attr::RDONLY | attr::NOSUID | attr::NODEV)?;
        }
        for name in FROM_ETC {
            share(
                &Path::new("/etc").join(name),
                &path("etc").join(name),
                attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC,
            )?;
        }
        for name in DEVICES {
            share(&Path::new("/dev").join(name), &path("dev").join(name), attr::NOSUID | attr::NOEXEC)?;
        }
        for (name, text) in WRITTEN {
            fs::write(path("etc").join(name), text)?;
        }
        for (target, link) in [
            ("/proc/self/fd", "dev/fd"),
            ("/proc/self/fd/0", "dev/stdin"),
            ("/proc/self/fd/1", "dev/stdout"),
            ("/proc/self/fd/2", "dev/stderr"),
            ("../usr/lib/os-release", "etc/os-release"),
            ("../proc/self/mounts", "etc/mtab"),
            ("../run", "var/run"),
            ("../tmp", "var/tmp"),
        ] {
            std::os::unix::fs::symlink(target, path(link))?;
        }
        Ok(Self { root: rustix::fs::open(place, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())? })
    }

    /// A private copy of the whole tree, not attached anywhere.
    pub(super) fn copy(&self) -> io::Result<OwnedFd> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH
            | OpenTreeFlags::AT_RECURSIVE;
        Ok(rustix::mount::open_tree(&self.root, "", flags)?)
    }

    /// A mount of one file of a file system that is not attached anywhere. The kernel copies from attached mounts only, so
    /// it is attached for a moment.
    pub(super) fn one_of(&self, folder: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
        const PLACE: &str = "mnt";
        rustix::mount::move_mount(folder, "", &self.root, PLACE, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let file = rustix::mount::open_tree(&self.root, format!("{PLACE}/{name}"), flags);
        let place = format!("/proc/self/fd/{}/{PLACE}", self.root.as_raw_fd());
        rustix::mount::unmount(place, rustix::mount::UnmountFlags::DETACH)?;
        Ok(file?)
    }

    /// Makes sure that `target` exists, as a folder or an empty file, for a mount to be put on. It is in every sandbox's tree,
    /// so no folder that is made tells what is in it: where the interpreters of others lie is nobody's business.
    pub(super) fn make_place(&self, target: &Path, folder: bool) -> io::Result<()> {
        let inside = |path: &Path, flags: OFlags| {
            rustix::fs::openat2(&self.root, path, flags | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::IN_ROOT)
        };
        if inside(target, OFlags::PATH).is_ok() {
            return Ok(());
        }
        let mut made = PathBuf::from("/");
        for part in target.strip_prefix("/").map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))? {
            let parent = inside(&made, OFlags::PATH | OFlags::DIRECTORY)?;
            made.push(part);
            if inside(&made, OFlags::PATH).is_ok() {
                continue;
            }
            if made == target && !folder {
                rustix::fs::openat(
                    &parent,
                    part,
                    OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC,
                    Mode::from_raw_mode(0o644),
                )?;
            } else {
                rustix::fs::mkdirat(&parent, part, Mode::from_raw_mode(UNLISTED))?;
            }
        }
        Ok(())
    }
}

impl Base {
    /// Lets the folders on the way to `target` say what is in them: a machine's monitor shares none that it cannot list.
    pub(super) fn show_way(&self, target: &Path) -> io::Result<()> {
        for folder in target.ancestors().skip(1).filter_map(|folder| folder.strip_prefix("/").ok()) {
            let Ok(status) = rustix::fs::statat(&self.root, folder, AtFlags::empty()) else { continue };
            if Mode::from_raw_mode(status.st_mode) == Mode::from_raw_mode(UNLISTED) {
                rustix::fs::chmodat(&self.root, folder, Mode::from_raw_mode(0o755), AtFlags::empty())?;
            }
        }
        Ok(())
    }
}

/// Opens a private, read-only copy of the mounts at `source`, not attached anywhere.
pub(super) fn open_private(source: impl rustix::path::Arg, attributes: u64) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let tree = rustix::mount::open_tree(CWD, source, flags)?;
    sys::mount_private(tree.as_fd(), attributes)?;
    Ok(tree)
}

/// Shows a folder, file or link of the host at `target`, if the host has it.
fn share(source: &Path, target: &Path, attributes: u64) -> io::Result<()> {
    let Ok(kind) = fs::symlink_metadata(source) else { return Ok(()) };
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    if kind.is_symlink() && source.parent() == Some(Path::new("/")) {
        return std::os::unix::fs::symlink(fs::read_link(source)?, target);
    }
    let Ok(kind) = fs::metadata(source) else { return Ok(()) };
    if kind.is_dir() {
        fs::create_dir(target)?
    } else {
        fs::write(target, "")?
    }
    let tree = open_private(source, attributes)?;
    Ok(rustix::mount::move_mount(&tree, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

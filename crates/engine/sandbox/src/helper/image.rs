//! The mounts of one function: opened by the helper, which may enter folders that the sandbox may not.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

use super::base::{Base, open_private};
use crate::message::Launch;
use crate::sys::attr;

/// Mounts and where they go.
pub(super) struct Image {
    pub(super) mounts: Vec<OwnedFd>,
    pub(super) targets: Vec<Vec<u8>>,
}

const ATTRIBUTES: u64 = attr::RDONLY | attr::NOSUID | attr::NODEV;

/// Opens everything the launch names.
///
/// # Errors
/// In words that name the path.
pub(super) fn open(base: &Base, launch: &Launch) -> Result<Image, String> {
    let mut image = Image { mounts: Vec::new(), targets: Vec::new() };
    let mut add = |source: &[u8], target: &[u8]| -> Result<(), String> {
        let (source, target) = (Path::new(OsStr::from_bytes(source)), Path::new(OsStr::from_bytes(target)));
        let say = |error: io::Error| format!("{} at {}: {error}", source.display(), target.display());
        let device = target == Path::new(KVM);
        let mount = if device { kvm(base) } else { open_private(source, ATTRIBUTES) }.map_err(say)?;
        let folder =
            rustix::fs::fstat(&mount).map_err(|error| say(error.into()))?.st_mode & libc::S_IFMT == libc::S_IFDIR;
        base.make_place(target, folder).map_err(say)?;
        image.mounts.push(mount);
        image.targets.push(target.as_os_str().as_bytes().to_vec());
        Ok(())
    };
    for (source, target) in launch.runtime_sources.iter().zip(&launch.runtime_targets) {
        add(source, target)?;
    }
    add(&launch.task, b"/var/task")?;
    match launch.layers.as_slice() {
        [] => {}
        [one] => add(one, b"/opt")?,
        many => {
            image.mounts.push(stack(many).map_err(|error| format!("the layers at /opt: {error}"))?);
            image.targets.push(b"/opt".to_vec());
        }
    }
    Ok(image)
}

/// The device of hardware virtualisation, for a sandbox that holds a machine. A launch cannot ask for it: nothing of a
/// function may lie in `/dev`.
pub(crate) const KVM: &str = "/dev/kvm";

/// A device of the same number that everybody may open, in a file system of its own: the host's is for root or a group.
/// Who may not make devices gets the host's own.
fn kvm(base: &Base) -> io::Result<OwnedFd> {
    let made = || -> io::Result<OwnedFd> {
        let number = rustix::fs::stat(KVM)?.st_rdev;
        let context = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        rustix::mount::fsconfig_create(&context)?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let folder = rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
        let mode = Mode::from_raw_mode(0o666);
        rustix::fs::mknodat(&folder, "kvm", rustix::fs::FileType::CharacterDevice, mode, number)?;
        rustix::fs::chmodat(&folder, "kvm", mode, rustix::fs::AtFlags::empty())?;
        base.one_of(&folder, "kvm")
    };
    made().or_else(|_| open_private(KVM, attr::NOSUID | attr::NOEXEC))
}

/// Several layers as one read-only folder; a later one wins.
fn stack(layers: &[Vec<u8>]) -> io::Result<OwnedFd> {
    let open = |path: &Vec<u8>| {
        rustix::fs::open(path.as_slice(), OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
    };
    // The uppermost comes first. Naming descriptors keeps paths with colons and commas out of the option's grammar.
    let folders = layers.iter().rev().map(open).collect::<Result<Vec<_>, _>>()?;
    let lower: Vec<String> = folders.iter().map(|folder| format!("/proc/self/fd/{}", folder.as_raw_fd())).collect();
    let context = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(&context, "source", "layers")?;
    rustix::mount::fsconfig_set_string(&context, "lowerdir", lower.join(":"))?;
    rustix::mount::fsconfig_create(&context)?;
    let attributes =
        MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    Ok(rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

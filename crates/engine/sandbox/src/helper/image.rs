//! The mounts of one function: opened by the helper, which may enter folders that the sandbox may not.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

use super::base::{Base, open_private};
use crate::inside::TMP;
use crate::message::Launch;
use crate::sys::attr;
use crate::walls::SNAPSHOT;

/// Mounts and where they go.
#[derive(Default)]
pub(super) struct Image {
    pub(super) mounts: Vec<OwnedFd>,
    pub(super) targets: Vec<Vec<u8>>,
}

const ATTRIBUTES: u64 = attr::RDONLY | attr::NOSUID | attr::NODEV;

impl Image {
    /// Adds a `/tmp` on disk.
    pub(super) fn extend(&mut self, tmp: Option<OwnedFd>) {
        if let Some(mount) = tmp {
            self.mounts.push(mount);
            self.targets.push(TMP.to_vec());
        }
    }

    /// Opens one mount, and makes the place it goes to.
    fn add(&mut self, base: &Base, source: &[u8], target: &[u8]) -> Result<(), String> {
        let (source, target) = (Path::new(OsStr::from_bytes(source)), Path::new(OsStr::from_bytes(target)));
        let say = |error: io::Error| format!("{} at {}: {error}", source.display(), target.display());
        let device = target == Path::new(KVM);
        let mount = if device { kvm(base) } else { open_private(source, ATTRIBUTES) }.map_err(say)?;
        let folder =
            rustix::fs::fstat(&mount).map_err(|error| say(error.into()))?.st_mode & libc::S_IFMT == libc::S_IFDIR;
        base.make_place(target, folder).map_err(say)?;
        self.mounts.push(mount);
        self.targets.push(target.as_os_str().as_bytes().to_vec());
        Ok(())
    }
}

/// Opens what belongs to the runtime.
///
/// # Errors
/// In words that name the path.
pub(super) fn open_runtime(base: &Base, sources: &[Vec<u8>], targets: &[Vec<u8>]) -> Result<Image, String> {
    let mut image = Image::default();
    sources.iter().zip(targets).try_for_each(|(source, target)| image.add(base, source, target))?;
    Ok(image)
}

/// Adds what belongs to the function.
///
/// # Errors
/// In words that name the path.
pub(super) fn open_function(base: &Base, launch: &Launch, image: &mut Image) -> Result<(), String> {
    image.add(base, &launch.task, b"/var/task")?;
    if !launch.snapshot.is_empty() {
        image.add(base, &launch.snapshot, SNAPSHOT.as_bytes())?;
    }
    let bytecode = launch.bytecode_sources.iter().zip(&launch.bytecode_targets);
    for (source, target) in bytecode {
        image.add(base, source, target)?;
    }
    match launch.layers.as_slice() {
        [] => {}
        [one] => image.add(base, one, b"/opt")?,
        many => {
            image.mounts.push(stack(many).map_err(|error| format!("the layers at /opt: {error}"))?);
            image.targets.push(b"/opt".to_vec());
        }
    }
    Ok(())
}

/// How large a file is, bytes. None where none is named.
pub(super) fn size(path: &[u8]) -> Option<u64> {
    let named = Some(path).filter(|path| !path.is_empty())?;
    u64::try_from(rustix::fs::stat(named).ok()?.st_size).ok()
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

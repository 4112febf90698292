//! Loop devices and the subvolumes of btrfs: the ioctls of `linux/loop.h` and `linux/btrfs.h` that no library offers.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::check;

/// Makes an ioctl that reads or writes one structure, or takes a null pointer.
///
/// # Safety
/// `request` must be one whose structure is `T`.
unsafe fn ioctl<T>(fd: BorrowedFd<'_>, request: u32, data: &mut T) -> io::Result<libc::c_long> {
    // SAFETY: the structure is the caller's, live and exclusively borrowed through the call.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), request as _, std::ptr::from_mut(data)) }.into())
}

/// `struct loop_config`.
#[repr(C)]
struct LoopConfig {
    file: u32,
    block_size: u32,
    /// `struct loop_info64`: five words, of which none is set, then numbers and names.
    places: [u64; 5],
    numbers: [u32; 3],
    flags: u32,
    names: [u8; 160],
    init: [u64; 2],
    reserved: [u64; 8],
}

/// Puts a block device in front of a file. It goes when the last who has it open goes. Answers its path.
pub(crate) fn loop_device(file: BorrowedFd<'_>) -> io::Result<(OwnedFd, String)> {
    const GET_FREE: u32 = 0x4C82;
    const CONFIGURE: u32 = 0x4C0A;
    const AUTOCLEAR: u32 = 4;
    const DIRECT_IO: u32 = 16;
    let control = File::open("/dev/loop-control")?;
    let mut busy = 0;
    loop {
        // SAFETY: takes no structure; the kernel ignores the argument.
        let number = check(unsafe { libc::ioctl(control.as_raw_fd(), GET_FREE as _) }.into())?;
        let path = format!("/dev/loop{number}");
        let device = OwnedFd::from(File::options().read(true).write(true).open(&path)?);
        let mut config = LoopConfig {
            file: file.as_raw_fd() as u32,
            block_size: 4096,
            places: [0; 5],
            numbers: [0; 3],
            flags: AUTOCLEAR | DIRECT_IO,
            names: [0; 160],
            init: [0; 2],
            reserved: [0; 8],
        };
        // SAFETY: LOOP_CONFIGURE reads a `struct loop_config`.
        match unsafe { ioctl(std::os::fd::AsFd::as_fd(&device), CONFIGURE, &mut config) } {
            // Somebody else took the free one first.
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) && busy < 16 => busy += 1,
            Err(error) => return Err(error),
            Ok(_) => return Ok((device, path)),
        }
    }
}

/// `struct btrfs_ioctl_vol_args`.
#[repr(C)]
struct Named {
    fd: i64,
    name: [u8; 4088],
}

impl Named {
    fn new(name: &CStr) -> Self {
        let mut named = Self { fd: 0, name: [0; 4088] };
        for (to, from) in named.name[..4087].iter_mut().zip(name.to_bytes()) {
            *to = *from;
        }
        named
    }
}

/// Makes an empty subvolume in a folder.
pub(crate) fn create_subvolume(folder: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    // SAFETY: BTRFS_IOC_SUBVOL_CREATE reads a `struct btrfs_ioctl_vol_args`.
    unsafe { ioctl(folder, 0x5000_940E, &mut Named::new(name)) }.map(drop)
}

/// Deletes a subvolume with all that is in it. The kernel frees its space in the background.
pub(crate) fn destroy_subvolume(folder: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    // SAFETY: BTRFS_IOC_SNAP_DESTROY reads a `struct btrfs_ioctl_vol_args`.
    unsafe { ioctl(folder, 0x5000_940F, &mut Named::new(name)) }.map(drop)
}

/// The number of the subvolume a file is in.
pub(crate) fn subvolume_id(file: BorrowedFd<'_>) -> io::Result<u64> {
    /// `struct btrfs_ioctl_ino_lookup_args`.
    #[repr(C)]
    struct Lookup {
        tree: u64,
        object: u64,
        name: [u8; 4080],
    }
    const FIRST_INODE: u64 = 256;
    let mut lookup = Lookup { tree: 0, object: FIRST_INODE, name: [0; 4080] };
    // SAFETY: BTRFS_IOC_INO_LOOKUP reads and writes a `struct btrfs_ioctl_ino_lookup_args`.
    unsafe { ioctl(file, 0xD000_9412, &mut lookup) }?;
    Ok(lookup.tree)
}

/// Counts what each subvolume uses: by simple quotas where the kernel has them (6.7), which cost nothing when many
/// subvolumes come and go.
pub(crate) fn enable_quotas(folder: BorrowedFd<'_>) -> io::Result<()> {
    const SIMPLE: u64 = 4;
    const FULL: u64 = 1;
    // SAFETY: BTRFS_IOC_QUOTA_CTL reads and writes a `struct btrfs_ioctl_quota_ctl_args`: a command and a status.
    let enable = |command: u64| unsafe { ioctl(folder, 0xC010_9428, &mut [command, 0]) }.map(drop);
    enable(SIMPLE).or_else(|_| enable(FULL))
}

/// Limits what the subvolume of this folder may hold.
pub(crate) fn limit_subvolume(folder: BorrowedFd<'_>, bytes: u64) -> io::Result<()> {
    const MAX_REFERENCED: u64 = 1;
    // The group of the folder itself, then flags and the four limits.
    let mut limit = [0, MAX_REFERENCED, bytes, 0, 0, 0];
    // SAFETY: BTRFS_IOC_QGROUP_LIMIT reads a `struct btrfs_ioctl_qgroup_limit_args`: six words.
    unsafe { ioctl(folder, 0x8030_942B, &mut limit) }.map(drop)
}

/// Forgets the count of a subvolume that is gone. EBUSY while the kernel still frees its space.
pub(crate) fn forget_subvolume(folder: BorrowedFd<'_>, id: u64) -> io::Result<()> {
    // SAFETY: BTRFS_IOC_QGROUP_CREATE reads a `struct btrfs_ioctl_qgroup_create_args`: create or not, and the number.
    unsafe { ioctl(folder, 0x4010_942A, &mut [0_u64, id]) }.map(drop)
}

/// Asks for a transaction to be written soon, which is also when deleted subvolumes are freed. Does not wait.
pub(crate) fn start_sync(folder: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: BTRFS_IOC_START_SYNC writes one word.
    unsafe { ioctl(folder, 0x8008_9418, &mut 0_u64) }.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_are_as_long_as_the_kernel_wants_them() {
        assert_eq!((size_of::<LoopConfig>(), size_of::<Named>()), (304, 4096));
    }
}

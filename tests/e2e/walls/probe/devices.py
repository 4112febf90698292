"""Devices, files of the kernel, and commands to file systems."""

import ctypes
import errno
import os
import struct

from tries import attempt, libc, visible, write


@attempt("make a device")
def _(host):
    made = []
    for mode, device in [(0o060600, os.makedev(254, 0)), (0o020600, os.makedev(1, 1)), (0o020600, os.makedev(10, 200))]:
        try:
            os.mknod("/tmp/device", mode, device)
            made.append(os.unlink("/tmp/device") or device)
        except OSError:
            pass
    return made


@attempt("open devices of the host")
def _(host):
    return visible(["/dev/mem", "/dev/kmem", "/dev/port", "/dev/kmsg", "/dev/kvm", "/dev/fuse", "/dev/vda", "/dev/sda", "/dev/nvme0", "/dev/net/tun", "/dev/ptmx", "/dev/pts", "/dev/mapper", "/dev/loop-control", "/dev/loop0", "/dev/vhost-vsock", "/dev/console", "/dev/input", "/dev/tty", "/dev/tty0", "/dev/dri"])


@attempt("type into a terminal")
def _(host):
    return [hex(request) for request in (0x5412, 0x541C, 0x5423) if libc.ioctl(0, ctypes.c_ulong(request), b"x") >= 0 or ctypes.get_errno() != errno.EPERM]


@attempt("add entropy")
def _(host):
    random = os.open("/dev/urandom", os.O_RDWR)
    return [hex(request) for request in (0x40085203, 0x5204, 0x5206, 0x5207) if libc.ioctl(random, ctypes.c_ulong(request), ctypes.create_string_buffer(64)) >= 0]


WRITES = {
    "core_pattern": "/proc/sys/kernel/core_pattern", "ip_forward": "/proc/sys/net/ipv4/ip_forward", "user namespaces": "/proc/sys/user/max_user_namespaces",
    "ping range": "/proc/sys/net/ipv4/ping_group_range", "unprivileged ports": "/proc/sys/net/ipv4/ip_unprivileged_port_start", "sysrq": "/proc/sysrq-trigger", "modprobe": "/proc/sys/kernel/modprobe", "drop_caches": "/proc/sys/vm/drop_caches",
    "hostname": "/proc/sys/kernel/hostname", "shmmax": "/proc/sys/kernel/shmmax", "binfmt_misc": "/proc/sys/fs/binfmt_misc/register", "own uid_map": "/proc/self/uid_map", "own setgroups": "/proc/self/setgroups",
    "own projid_map": "/proc/self/projid_map", "own loginuid": "/proc/self/loginuid", "irq": "/proc/irq/default_smp_affinity", "uevent_helper": "/sys/kernel/uevent_helper", "release_agent": "/sys/fs/cgroup/memory/release_agent", "cgroup": "/sys/fs/cgroup/cgroup.procs", "scsi": "/proc/scsi/scsi", "mtrr": "/proc/mtrr",
}  # fmt: skip
for name, path in WRITES.items():
    attempt(f"write {name}")(lambda host, path=path: write(path, "1"))


@attempt("write any file of /proc/sys")
def _(host):
    written = []
    for root, _, files in os.walk("/proc/sys"):
        for name in files:
            try:
                os.close(os.open(os.path.join(root, name), os.O_WRONLY))
                written.append(os.path.join(root, name))
            except OSError:
                pass
    return written


@attempt("lower its own oom score")
def _(host):
    return write("/proc/self/oom_score_adj", "-1000")


@attempt("see cgroup files")
def _(host):
    groups = {line.split(":", 2)[2].strip() for line in open("/proc/self/cgroup")}
    return [group for group in groups if group != "/"] + visible(["/sys/fs/cgroup"])


@attempt("change a file's project or flags")
def _(host):
    """A project of its own would be a way out of a quota, an immutable file a way not to be cleaned up."""
    path, changed = "/tmp/flagged", []
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    attributes = ctypes.create_string_buffer(28)
    if libc.ioctl(file, ctypes.c_ulong(0x801C581F), attributes) >= 0:
        for field, value in [(3, 7), (0, 8), (0, 0x10)]:
            words = list(struct.unpack("7I", attributes.raw))
            words[field] = value
            if libc.ioctl(file, ctypes.c_ulong(0x401C5820), struct.pack("7I", *words)) >= 0:
                changed.append(field)
    for flag in [0x10, 0x20]:
        if libc.ioctl(file, ctypes.c_ulong(0x40086602), ctypes.byref(ctypes.c_long(flag))) >= 0:
            changed.append(hex(flag))
    os.close(file)
    os.unlink(path)
    return changed


COMMANDS = {
    "FIFREEZE": 0xC0045877, "FITHAW": 0xC0045878, "FITRIM": 0xC0185879, "SHUTDOWN": 0x8004587D, "EXT4_RESIZE": 0x40086610, "EXT4_SWAP_BOOT": 0x6611,
    "EXT4_MOVE_EXT": 0xC028660F, "BTRFS_SUBVOL": 0x5000940E, "BTRFS_SNAP": 0x50009401, "BTRFS_SNAP_2": 0x50009417, "BTRFS_SUBVOL_2": 0x50009418, "BTRFS_DESTROY": 0x5000940F,
    "BTRFS_DESTROY_2": 0x5000943F, "BTRFS_TREE_SEARCH": 0xD0009411, "BTRFS_TREE_SEARCH_2": 0xC0709411, "BTRFS_INO_LOOKUP": 0xD0009412, "BTRFS_DEFRAG": 0x50009402, "BTRFS_BALANCE": 0x5000940C,
    "BTRFS_RESIZE": 0x50009403, "BTRFS_DEV_INFO": 0xD000941E, "BTRFS_QUOTA": 0xC0109428, "BTRFS_QGROUP": 0x4010942A, "BTRFS_LIMIT": 0x8030942B,
}  # fmt: skip
QUESTIONS = {
    "BTRFS_INO_LOOKUP_USER": 0xD000943E, "BTRFS_SUBVOL_INFO": 0x81F8943C, "BTRFS_ROOTREF": 0xD000943D, "BTRFS_SYNC": 0x9408, "BTRFS_FS_INFO": 0x8400941F, "BTRFS_RECEIVED": 0xC0C89425,
    "BTRFS_FLAGS": 0x4008941A, "GETFSUUID": 0x80111500,
}  # fmt: skip


def by_ioctl(requests):
    done = []
    for place in ["/tmp", "/", "/usr", "/var/task"]:
        folder = os.open(place, os.O_RDONLY)
        for name, request in requests.items():
            if libc.ioctl(folder, ctypes.c_ulong(request), ctypes.create_string_buffer(4096)) >= 0:
                done.append(f"{name} {place}")
        os.close(folder)
    return done


@attempt("command the file system by ioctl")
def _(host):
    """Freeze, trim, shut down, resize, search trees, make subvolumes and snapshots: of ext4, XFS and Btrfs."""
    return by_ioctl(COMMANDS)


@attempt("make a subvolume or a snapshot")
def _(host):
    made = []
    folder = os.open("/tmp", os.O_RDONLY)
    for request in [0x5000940E, 0x50009401]:
        if libc.ioctl(folder, ctypes.c_ulong(request), struct.pack("q4088s", folder, b"lambent-snapshot")) >= 0:
            made.append(hex(request))
    return made


@attempt("ask the file system about itself")
def _(host):
    return by_ioctl(QUESTIONS)

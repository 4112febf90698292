"""What builds walls would unbuild them."""

import os
import signal

from tries import attempt, call, plain, SPACES

plain("mount", b"none", b"/tmp", b"tmpfs", 0, 0)
plain("mount bind", b"/", b"/tmp", 0, 0x1000, 0)
plain("mount remount writable", 0, b"/", 0, 0x20 | 0x1000, 0)
plain("mount cgroup", b"cgroup", b"/tmp", b"cgroup", 0, b"memory")
plain("mount cgroup2", b"cgroup2", b"/tmp", b"cgroup2", 0, 0)
plain("mount proc", b"proc", b"/tmp", b"proc", 0, 0)
plain("mount sysfs", b"sysfs", b"/tmp", b"sysfs", 0, 0)
plain("mount overlay", b"o", b"/tmp", b"overlay", 0, b"lowerdir=/usr,upperdir=/tmp,workdir=/tmp")
plain("mount fuse", b"f", b"/tmp", b"fuse", 0, b"fd=0,rootmode=40000,user_id=0,group_id=0")
plain("mount debugfs", b"d", b"/tmp", b"debugfs", 0, 0)
plain("umount2", b"/proc", 2)
plain("pivot_root", b"/tmp", b"/tmp")
plain("chroot", b"/tmp")
plain("open_tree", -100, b"/", 1)
plain("open_tree_attr", -100, b"/", 1, 0, 0)
plain("move_mount", -100, b"/", -100, b"/tmp", 0)
plain("fsopen", b"tmpfs", 0)
plain("fsconfig", 0, 6, 0, 0, 0)
plain("fsmount", 0, 0, 0)
plain("fspick", -100, b"/", 0)
plain("mount_setattr", -100, b"/", 0, 0, 0)
plain("statmount", 0, 0, 0, 0)
plain("listmount", 0, 0, 0, 0)
for name, flag in SPACES.items():
    plain(f"unshare {name}", flag)

    @attempt(f"clone {name}")
    def _(host, flag=flag):
        # CLONE_NEWTIME is no flag of clone: there it is part of the signal.
        child = call("clone", flag | (signal.SIGCHLD if flag > 0xFF else 0), 0, 0, 0, 0)
        if child is True:
            os._exit(0)
        return True

    @attempt(f"setns {name}")
    def _(host, name=name, flag=flag):
        link = {"mount": "mnt"}.get(name, name)
        return call("setns", os.open(f"/proc/self/ns/{link}", os.O_RDONLY), flag)


@attempt("setns by pidfd")
def _(host):
    return call("setns", call("pidfd_open", os.getpid(), 0), 0x7E020000)


plain("clone3", 0, 0)
plain("sethostname", b"x", 1)
plain("setdomainname", b"x", 1)

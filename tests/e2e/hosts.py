"""Plays hosts that deny what walls are built of, on the one that the tests run on."""

import ctypes
import os
import platform
import pwd
import shutil
import struct
import subprocess
import sys

import pytest

# System calls by name: x86-64, arm64.
CALLS = {
    "clone": (56, 220),
    "unshare": (272, 97),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "setns": (308, 268),
    "clone3": (435, 435),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "mount_setattr": (442, 442),
    "landlock_create_ruleset": (444, 444),
    "socket": (41, 198),
}
EPERM, ENOSYS, EPROTONOSUPPORT = 1, 38, 93
NEW = 0x7E020000  # CLONE_NEW*: mount, cgroup, uts, ipc, user, pid, net

# What Docker's default profile denies a container without CAP_SYS_ADMIN, as far as walls need it.
DOCKER = [
    *[(name, EPERM, None) for name in ("unshare", "mount", "umount2", "pivot_root", "setns", "open_tree", "move_mount", "fsopen", "mount_setattr")],
    ("clone", EPERM, (0, NEW)),
    ("clone3", ENOSYS, None),
]
NO_LANDLOCK = [("landlock_create_ruleset", ENOSYS, None)]
# Sockets of netlink's netfilter family (argument 2 is 12): what the kernel answers that was built without it.
NO_NF_TABLES = [("socket", EPROTONOSUPPORT, (2, "=", 12))]


def filter_program(rules):
    """Classic BPF over struct seccomp_data for rules of (call, errno, condition): a mask or an equal argument."""
    x86 = platform.machine() == "x86_64"
    code = []

    def add(op, jt, jf, k):
        code.append(struct.pack("HBBI", op, jt, jf, k & 0xFFFFFFFF))

    for name, errno, condition in rules:
        answer = 0x00050000 | errno
        number = CALLS[name][0 if x86 else 1]
        add(0x20, 0, 0, 0)  # load the number
        if condition is None:
            add(0x15, 0, 1, number)
        elif len(condition) == 2:
            index, mask = condition
            add(0x15, 0, 3, number)
            add(0x20, 0, 0, 16 + 8 * index)
            add(0x45, 0, 1, mask)
        else:
            index, _, value = condition
            add(0x15, 0, 3, number)
            add(0x20, 0, 0, 16 + 8 * index)
            add(0x15, 0, 1, value)
        add(0x06, 0, 0, answer)
    add(0x06, 0, 0, 0x7FFF0000)
    return code


def install(rules):
    """Puts the filter on this process and all it starts. Without no_new_privs, so root only."""
    code = filter_program(rules)
    buffer = ctypes.create_string_buffer(b"".join(code))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]

    program = Program(len(code), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "installing the filter")


def under(rules):
    """The beginning of a command that runs under a filter."""
    return [sys.executable, __file__, repr(rules)]


def in_mounts(script):
    """The beginning of a command that runs after a script in mounts of its own."""
    return ["unshare", "--mount", "sh", "-ec", f'{script}; exec "$@"', "sh"]


def without_capability(name):
    return ["setpriv", f"--bounding-set=-{name}", f"--inh-caps=-{name}"]


def as_user(uid, gid):
    return ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]


def need_root():
    if os.getuid() != 0:
        pytest.skip("needs root, to play other hosts")


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"needs {program}")


class Someone:
    """A user made for the test, without subordinate ids and without control groups."""

    def __init__(self, name):
        need_root()
        need("useradd", "userdel")
        subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", "--key", "SUB_UID_COUNT=0", "--key", "SUB_GID_COUNT=0", name], check=True)
        entry = pwd.getpwnam(name)
        self.name, self.uid, self.gid, self.home = name, entry.pw_uid, entry.pw_gid, entry.pw_dir

    def become(self):
        return as_user(self.uid, self.gid)

    def remove(self):
        subprocess.run(["userdel", "--remove", self.name], stderr=subprocess.DEVNULL)
        # userdel of some releases leaves them.
        for flag in ("subuid", "subgid"):
            with open(f"/etc/{flag}") as file:
                lines = file.readlines()
            if any(line.startswith(self.name + ":") for line in lines):
                with open(f"/etc/{flag}", "w") as file:
                    file.writelines(line for line in lines if not line.startswith(self.name + ":"))


if __name__ == "__main__":
    import ast

    install(ast.literal_eval(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])

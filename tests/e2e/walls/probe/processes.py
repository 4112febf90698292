"""Processes of the host and of other functions, and what they leave."""

import ctypes
import mmap
import os
import signal
import socket
import stat
import struct
import sys
import time

from tries import attempt, call, libc, plain, read, write


@attempt("see processes that are not its own")
def _(host):
    mine = {os.getpid(), os.getppid()}
    seen = set()
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        parent = pid
        while parent not in mine and parent > 1:
            try:
                parent = int(read(f"/proc/{parent}/stat").rsplit(b")", 1)[1].split()[1])
            except OSError:
                break
        if parent not in mine:
            seen.add(pid)
    return sorted(seen)


@attempt("read environment, memory or descriptors of the first process")
def _(host):
    found = []
    for name in ["environ", "mem", "maps", "auxv", "stack", "syscall", "fd", "root", "cwd", "exe", "map_files", "ns/net", "cmdline", "io", "personality", "pagemap"]:
        path = f"/proc/1/{name}"
        for look in [lambda: os.listdir(path), lambda: read(path, 1), lambda: os.readlink(path)]:
            try:
                if look():
                    found.append(name)
            except OSError:
                pass
    return found


@attempt("signal processes of the host by guessed pids")
def _(host):
    hit = []
    for pid in host["pids"]:
        try:
            os.kill(pid, 0)
            if not os.path.exists(f"/proc/{pid}"):
                hit.append(pid)
        except OSError:
            pass
    return hit


@attempt("open a pidfd of a host process")
def _(host):
    hit = []
    for pid in host["pids"]:
        try:
            call("pidfd_open", pid, 0)
            if not os.path.exists(f"/proc/{pid}"):
                hit.append(pid)
        except OSError:
            pass
    return hit


@attempt("kill, stop or end the first process")
def _(host):
    for number in [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGTSTP, signal.SIGHUP, signal.SIGINT, signal.SIGSEGV, signal.SIGQUIT, 34, 64]:
        try:
            os.kill(1, number)
        except OSError:
            pass
    time.sleep(0.02)
    # It lives when it still reaps what is orphaned.
    ours, theirs = os.pipe()
    if os.fork() == 0:
        orphan = os.fork()
        if orphan:
            os.write(theirs, struct.pack("i", orphan))
        os._exit(0)
    os.wait()
    orphan = struct.unpack("i", os.read(ours, 4))[0]
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        try:
            os.kill(orphan, 0)
        except OSError:
            return False
        time.sleep(0.01)
    return "the first process does not reap"


@attempt("adjust the first process")
def _(host):
    found = []
    for name, text in [("oom_score_adj", "1000"), ("oom_adj", "15"), ("comm", "x"), ("setgroups", "allow"), ("uid_map", "0 0 1"), ("clear_refs", "1"), ("coredump_filter", "ff"), ("timerslack_ns", "1"), ("attr/current", "x"), ("loginuid", "0"), ("projid_map", "0 0 1")]:
        try:
            found.append(write(f"/proc/1/{name}", text))
        except OSError:
            pass
    for pid in [1]:
        try:
            os.setpriority(os.PRIO_PROCESS, pid, 19)
            found.append("priority")
        except OSError:
            pass
    return found


plain("ptrace attach", 16, 1, 0, 0)
plain("ptrace traceme", 0, 0, 0, 0)
plain("ptrace seize", 0x4206, 1, 0, 0)
plain("process_vm_readv", 1, 0, 0, 0, 0, 0)
plain("process_vm_writev", 1, 0, 0, 0, 0, 0)
plain("process_madvise", 0, 0, 0, 0, 0)
plain("kcmp", 1, 1, 0, 0, 0)
plain("pidfd_getfd", 0, 0, 0)


def is_runtime_client(fd):
    """Whether this is the connection of the function's own runtime client: the one that it speaks over, further up the stack, or
    one to the Runtime API's port."""
    frame = sys._getframe()
    while frame:
        channel = getattr(frame.f_locals.get("channel"), "socket", None)
        if isinstance(channel, socket.SocketType) and channel.fileno() == fd:
            return True
        frame = frame.f_back
    try:
        return socket.socket(fileno=os.dup(fd)).getpeername() == ("127.0.0.1", 9001)
    except OSError:
        return False


@attempt("inherited descriptors beyond the standard streams")
def _(host):
    found = []
    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            continue
        if fd > 2 and fd not in host["own_fds"] and not is_runtime_client(fd):
            found.append(f"{fd} {target}")
    return found


@attempt("open the log pipe for reading")
def _(host):
    return os.open("/proc/self/fd/1", os.O_RDONLY | os.O_NONBLOCK)


@attempt("find a mark of another environment")
def _(host):
    """What other functions, and tenants before this one, left: every one of them writes the same word everywhere it can."""
    found = []
    mark = host["mark"].encode()
    for folder in ["/tmp", "/dev/shm", "/var/tmp", "/run", "/dev/mqueue"]:
        for root, folders, files in os.walk(folder):
            for name in files + folders:
                path = os.path.join(root, name)
                if path in host["mine"]:
                    continue
                if mark in path.encode():
                    found.append(path)
                elif name in files and stat.S_ISREG(os.lstat(path).st_mode) and mark in read(path, 1 << 20):
                    found.append(path)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for name in ["environ", "cmdline", "comm"]:
            try:
                if mark in read(f"/proc/{pid}/{name}", 1 << 20):
                    found.append(f"{pid} {name}")
            except OSError:
                pass
    found += [line for name in ["unix", "tcp", "udp"] for line in open(f"/proc/net/{name}", "rb") if mark in line]
    found += [line for name in ["shm", "sem", "msg"] for line in open(f"/proc/sysvipc/{name}", "rb").readlines()[1:]]
    return [repr(one) for one in found]


@attempt("find processes, ports or files of an earlier tenant")
def _(host):
    found = [f"/tmp/{name}" for name in os.listdir("/tmp") if f"/tmp/{name}" not in host["mine"]]
    found += [f"/dev/shm/{name}" for name in os.listdir("/dev/shm")]
    found += [line.split()[7] for line in open("/proc/net/unix").readlines()[1:] if len(line.split()) > 7]
    listening = [int(line.split()[1].split(":")[1], 16) for line in open("/proc/net/tcp").readlines()[1:] if line.split()[3] == "0A"]
    found += [port for port in listening if port not in (1, 53, 4566, 9001)]
    found += open("/proc/net/tcp6").readlines()[1:] if os.path.exists("/proc/net/tcp6") else []
    return found


@attempt("read what was in memory and files before")
def _(host):
    found = []
    area = mmap.mmap(-1, 32 << 20)
    if bytes(area).count(0) != len(area):
        found.append("fresh memory")
    path = "/tmp/stale"
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        for mode in [0, 0x10]:
            if libc.fallocate(file, mode, ctypes.c_long(0), ctypes.c_long(16 << 20)) == 0:
                os.lseek(file, 0, 0)
                while block := os.read(file, 1 << 20):
                    if block.count(0) != len(block):
                        found.append(f"allocated blocks, mode {mode}")
    finally:
        os.unlink(path)
    return found

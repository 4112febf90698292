"""Privileges and limits."""

import ctypes
import errno
import os
import re
import resource
import stat
import struct

from tries import attempt, call, CALLS, libc, plain, write, X86

for name, function in {
    "setuid 0": lambda: os.setuid(0), "setreuid 0": lambda: os.setreuid(0, 0), "setresuid 0": lambda: os.setresuid(0, 0, 0), "setgid 0": lambda: os.setgid(0),
    "setgroups": lambda: os.setgroups([0]), "setuid of another function": lambda: os.setuid(os.getuid() + 1),
}.items():  # fmt: skip
    attempt(name)(lambda host, function=function: function() or True)


@attempt("capset")
def _(host):
    head = struct.pack("Ii", 0x20080522, 0)
    return call("capset", head, struct.pack("IIIIII", *[0xFFFFFFFF] * 6))


@attempt("have any capability")
def _(host):
    status = open("/proc/self/status").read()
    return [line for line in re.findall(r"Cap\w+:\t(\w+)", status) if int(line, 16)]


@attempt("gain by set-user-id programs")
def _(host):
    gained = []
    for path in ["/usr/bin/su", "/usr/bin/sudo", "/usr/bin/mount", "/usr/bin/passwd", "/usr/bin/newuidmap", "/usr/bin/ping"]:
        if os.path.exists(path) and os.stat(path).st_mode & stat.S_ISUID and not os.statvfs(path).f_flag & os.ST_NOSUID:
            gained.append(path)
    return gained


@attempt("make a set-user-id program")
def _(host):
    with open("/usr/bin/id", "rb") as source, open("/tmp/set-user-id", "wb") as out:
        out.write(source.read())
    os.chmod("/tmp/set-user-id", 0o6755)
    got = os.popen("/tmp/set-user-id -u").read().strip()
    os.unlink("/tmp/set-user-id")
    return got != str(os.getuid())


@attempt("give a file a capability")
def _(host):
    write("/tmp/capable", "x")
    try:
        os.setxattr("/tmp/capable", "security.capability", struct.pack("<IIIII", 0x02000001, 0xFFFFFFFF, 0, 0xFFFFFFFF, 0))
    finally:
        os.unlink("/tmp/capable")
    return True


@attempt("unset no_new_privs")
def _(host):
    libc.prctl(38, 0, 0, 0, 0)
    return "NoNewPrivs:\t1" not in open("/proc/self/status").read()


@attempt("leave seccomp")
def _(host):
    libc.prctl(22, 0, 0, 0, 0)
    return "Seccomp:\t2" not in open("/proc/self/status").read()


for name, arguments in {
    "prctl keep capabilities": (8, 1), "prctl raise an ambient capability": (47, 2, 21, 0, 0), "prctl securebits": (28, 0x3F), "prctl set memory map": (35, 14, 0, 0, 0),
    "prctl act as kernel thread for I/O": (57, 1, 0, 0, 0),
}.items():  # fmt: skip
    attempt(name)(lambda host, arguments=arguments: call("prctl", *(arguments + (0,) * (5 - len(arguments)))))
plain("sched_setscheduler realtime", 0, 1, struct.pack("i", 1))
plain("sched_setscheduler deadline", 0, 6, struct.pack("i", 0))
plain("ioprio_set realtime", 1, 0, 1 << 13)


@attempt("a nice value below zero")
def _(host):
    os.setpriority(os.PRIO_PROCESS, 0, -1)
    return True


for name in ["NOFILE", "CORE", "MEMLOCK", "SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO"]:

    @attempt(f"raise the limit {name}")
    def _(host, kind=getattr(resource, f"RLIMIT_{name}")):
        soft, hard = resource.getrlimit(kind)
        if hard == resource.RLIM_INFINITY:
            return "it has none"
        return call("prlimit64", 0, kind, struct.pack("QQ", hard + 1, hard + 1), 0)


@attempt("have a crash handled by a program of the host")
def _(host):
    # The kernel pipes a dump to the handler in core_pattern, as root of the host, whatever the limit of core files is;
    # only a limit of exactly 1 keeps it from that.
    for words in [(0, 0), (0, 1)]:
        libc.syscall(CALLS["prlimit64"][0 if X86 else 1], 0, resource.RLIMIT_CORE, struct.pack("QQ", *words), 0)
    return resource.getrlimit(resource.RLIMIT_CORE) != (1, 1)


@attempt("lock memory")
def _(host):
    if libc.mlockall(3) == 0:
        return True
    raise OSError(ctypes.get_errno(), "mlockall")


@attempt("take the host's huge pages by mmap")
def _(host):
    return call("mmap", 0, 2 << 20, 3, 0x22 | 0x40000, -1, 0)


@attempt("take all of what the host's users may watch files with")
def _(host):
    """The kernel counts these for who made the user namespace too."""
    made = []
    try:
        while len(made) < 1000:
            made.append(call("inotify_init1", 0))
    except OSError as error:
        return f"{len(made)} {errno.errorcode[error.errno]}" if False else False
    return len(made)


plain("memfd_create huge pages", b"x", 4)


@attempt("shmget huge pages")
def _(host):
    return call("shmget", 0, 2 << 20, 0o600 | 0o4000 | 0o1000)

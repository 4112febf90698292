"""A warm interpreter that forks itself into sandboxes the platform has prepared.

It never sees anything of a function. For each request it forks a child, which joins the control groups of the sandbox,
enters its namespaces, gives up what it could do to them, and then waits for its function as one started ahead does. The
platform looks at each child from outside before any function's byte reaches it.

On standard input: a socket that keeps messages apart. The first message is the last system-call filter. It is answered
with one byte. Each further one is a request: whether to become the function's user, how many
namespaces there are to enter and how many control groups to join, and whether there are Landlock rules, as four numbers;
with these descriptors: the child's standard input and its output, the namespaces, their owner first and that of mounts
last, a file for each group, and the rules if any.
"""

import _socket
import ctypes
import os

USER, GROUP = 993, 990

# From the kernel's headers (linux/prctl.h, linux/capability.h, linux/landlock.h).
PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 4, 22, 24, 38, 47
SECCOMP_MODE_FILTER = 2
PR_CAP_AMBIENT_CLEAR_ALL = 4
CAPABILITY_VERSION_3 = 0x20080522
SYS_LANDLOCK_RESTRICT_SELF = 446

LIBC = ctypes.CDLL(None, use_errno=True)
# Looked up before the first fork, and with the types that the kernel reads.
LIBC.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
LIBC.setns.argtypes = [ctypes.c_int, ctypes.c_int]
LIBC.capset.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
LIBC.syscall.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_long]


class Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def check(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), "a wall cannot be built")


def serve():
    """Serves requests. Returns only in children, inside their sandboxes."""
    socket = _socket.socket(fileno=0)
    code = socket.recv(1 << 16)
    filter = ctypes.create_string_buffer(code, len(code))
    program = Program(len(code) // 8, ctypes.addressof(filter))
    piece("thrift")["settle"]()
    socket.send(b"\n")
    space = _socket.CMSG_SPACE(32 * 4)
    while True:
        words, ancillary, _, _ = socket.recvmsg(64, space)
        if not words:
            # The platform has gone.
            os._exit(0)
        fds = [fd for _, _, data in ancillary for fd in memoryview(data).cast("i")]
        try:
            child = os.fork()
        except OSError:
            # The host is out of something. Whose input ends now goes on without a fork.
            for fd in fds:
                os.close(fd)
            continue
        if child == 0:
            try:
                enter(words, fds, program)
            except BaseException:
                os._exit(1)
            # The descriptor is the child's own input now.
            socket.detach()
            return
        for fd in fds:
            os.close(fd)
        os.waitpid(child, 0)


def enter(words, fds, program):
    """Becomes the sandbox's. Only the grandchild of the caller comes back from it, as a child of the first process."""
    ids, namespaces, groups, rules = (int(word) for word in words.split())
    stdin, output, *rest = fds
    for group in rest[namespaces : namespaces + groups]:
        os.write(group, b"0")
    for namespace in rest[:namespaces]:
        check(LIBC.setns(namespace, 0))
    # A process stays in its own pid namespace: its child is the first in the new one. Whose child must end in there, so
    # that the sandbox's first process becomes the parent of what is left.
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        os._exit(0)
    if os.fork():
        os._exit(0)
    while os.getppid() != 1:
        os.sched_yield()
    if ids:
        os.setgroups([])
        os.setresgid(GROUP, GROUP, GROUP)
        os.setresuid(USER, USER, USER)
    capability = 0
    while LIBC.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0:
        capability += 1
    check(LIBC.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    check(LIBC.capset(header, (ctypes.c_uint32 * 6)()))
    check(LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    if rules:
        check(LIBC.syscall(SYS_LANDLOCK_RESTRICT_SELF, rest[-1], 0))
    check(LIBC.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(program), 0, 0))
    # A change of user hides a process's memory even from itself.
    check(LIBC.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0))
    os.setsid()
    os.dup2(stdin, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.closerange(3, max(fds) + 1)

"""Takes the snapshot of a function that has run INIT, and is what goes on when one is restored.

The process forks. The child waits for ever with its registers written down: it is what is restored. Its parent looks at it
from outside, which needs no other right than that it is its own, and posts what it finds to the platform.
"""

import ctypes
import gc
import os
import struct
import sys

image = piece("image")
PAGE, Unfit, call = image["PAGE"], image["Unfit"], image["call"]

# INIT runs in a process whose number no restored one has: who keeps random numbers by process (OpenSSL, tempfile) sees that
# it is another. Restored ones are among the first few of their sandboxes.
LOWEST = 64
# Signals whose actions a program may set (not KILL, STOP, and the two that the C library keeps for itself).
SIGNALS = [number for number in range(1, 65) if number not in (9, 19, 32, 33)]
# The variables that differ from one environment to the next.
OWN = (
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_ENDPOINT_URL",
    "AWS_LAMBDA_RUNTIME_API",
)


def stand_apart():
    """Goes on in a process with a high number. The first one stays, and ends as that one does."""
    while True:
        child = os.fork()
        if child == 0:
            if os.getpid() >= LOWEST:
                return
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if child >= LOWEST:
            if os.WIFSIGNALED(status):
                # As it ended, this ends: the platform tells the function's owner why.
                os.kill(os.getpid(), os.WTERMSIG(status))
            os._exit(os.WEXITSTATUS(status))


def take(channel, marshaller):
    """Runs the hooks and hands the snapshot in. Comes back only in what was restored, ready for events."""
    try:
        run_before_snapshot()
    except BaseException as error:
        fail(channel, marshaller, error, b"init/error", "Runtime.BeforeSnapshotError", 64)
    channel.socket.close()
    hand_in(channel)
    # From here on in each restored process.
    channel.__init__(os.environ["AWS_LAMBDA_RUNTIME_API"])
    channel.send(channel.get_restore)
    channel.receive()
    try:
        run_after_restore()
    except BaseException as error:
        fail(channel, marshaller, error, b"restore/error", "Runtime.AfterRestoreError", 65)


def run_before_snapshot():
    hooks = sys.modules.get("snapshot_restore_py")
    registered = hooks.get_before_snapshot() if hooks else []
    while registered:
        hook, arguments, named = registered.pop()
        hook(*arguments, **named)


def run_after_restore():
    hooks = sys.modules.get("snapshot_restore_py")
    for hook, arguments, named in hooks.get_after_restore() if hooks else []:
        hook(*arguments, **named)


def fail(channel, marshaller, error, where, error_type, status):
    _, body = piece("faults")["report"](error, marshaller)
    sys.stdout.flush()
    channel.send(channel.error_request(where, error_type, body))
    channel.receive()
    os._exit(status)


def hand_in(channel):
    """Forks the child that is snapshotted. Only what was restored comes back from it."""
    if os.uname().machine != "x86_64" or os.sysconf("SC_PAGE_SIZE") != PAGE:
        return refuse(channel, "snapshots are made on x86-64 only")
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    gc.collect()
    piece("descriptors")
    task = Task()
    # What INIT has made stays: the collector would write into all pages of it.
    gc.freeze()
    child = os.fork()
    if child == 0:
        come_back(task, task.freeze())
        return None
    try:
        snapshot = piece("pages")["Snapshot"](child, task)
    except (Unfit, OSError, ValueError) as error:
        refuse(channel, str(error))
    channel.__init__(os.environ["AWS_LAMBDA_RUNTIME_API"])
    channel.send(b"POST /2018-06-01/runtime/snapshot" + channel.line_end % snapshot.size + b"\r\n")
    snapshot.write(channel.send)
    channel.receive()
    os._exit(0)


def refuse(channel, why):
    body = why.encode("utf-8", "replace")
    channel.__init__(os.environ["AWS_LAMBDA_RUNTIME_API"])
    channel.send(b"POST /2018-06-01/runtime/snapshot/none" + channel.line_end % len(body) + b"\r\n" + body)
    channel.receive()
    os._exit(0)


class Task:
    """What the kernel knows of the thread, and how to wait for ever."""

    def __init__(self):
        libc, flags = image["LIBC"], image["MAP_PRIVATE"] | image["MAP_ANONYMOUS"]
        self.page = libc.mmap(0, PAGE, image["READ"] | image["WRITE"] | image["EXECUTE"], flags, -1, 0)
        ctypes.memmove(self.page, image["CODE"], len(image["CODE"]))
        self.area = self.page + PAGE // 2
        self.code = ctypes.PYFUNCTYPE(ctypes.c_long, ctypes.c_void_p)(self.page)
        self.thread_pointer = image["thread_pointer"]()
        self.sequences = image["restartable_sequences"]()
        one, two = ctypes.c_ulong(), ctypes.c_ulong()
        call(image["PRCTL"], image["PR_GET_TID_ADDRESS"], ctypes.addressof(one))
        self.tid_address = one.value
        call(image["GET_ROBUST_LIST"], 0, ctypes.addressof(one), ctypes.addressof(two))
        self.robust_list = one.value
        self.actions = [ctypes.create_string_buffer(32) for _ in SIGNALS]
        self.stack = ctypes.create_string_buffer(24)
        self.mask = ctypes.create_string_buffer(8)
        for number, action in zip(SIGNALS, self.actions):
            call(image["RT_SIGACTION"], number, 0, ctypes.addressof(action), 8)
        call(image["SIGALTSTACK"], 0, ctypes.addressof(self.stack))
        call(image["RT_SIGPROCMASK"], 0, 0, ctypes.addressof(self.mask), 8)
        self.folder, self.umask = os.getcwd(), os.umask(0)
        os.umask(self.umask)

    def freeze(self):
        return self.code(self.area)

    def is_frozen(self, memory):
        return struct.unpack("Q", os.pread(memory, 8, self.area + 64))[0] == 1


def come_back(task, given):
    """The first steps of what was restored: what no memory holds."""
    if given <= 0:
        os._exit(1)
    for number, action in zip(SIGNALS, task.actions):
        call(image["RT_SIGACTION"], number, ctypes.addressof(action), 0, 8)
    call(image["SIGALTSTACK"], ctypes.addressof(task.stack), 0)
    words = b""
    while part := os.read(given, 65536):
        words += part
    os.close(given)
    room, files, *variables = words.split(b"\0")
    for variable in variables:
        name, _, value = variable.partition(b"=")
        if name.decode("utf-8", "replace") in OWN:
            os.environb[name] = value
    image["LIBC"].munmap(*(int(number) for number in room.split()))
    image["LIBC"].munmap(task.page, PAGE)
    os.chdir(task.folder)
    os.umask(task.umask)
    piece("descriptors")["open_again"](files)
    call(image["RT_SIGPROCMASK"], 2, ctypes.addressof(task.mask), 0, 8)
    start_anew()


def start_anew():
    """What must not be the same in all that are restored."""
    modules = sys.modules
    if "random" in modules:
        modules["random"].seed()
    if "_ssl" in modules:
        modules["_ssl"].RAND_add(os.urandom(64), 64.0)
    if "uuid" in modules:
        modules["uuid"]._last_timestamp = None
    if "threading" in modules:
        main = modules["threading"].main_thread()
        if hasattr(main, "_set_native_id"):
            main._set_native_id()

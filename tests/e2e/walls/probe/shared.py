"""What is shared, and mostly allowed: each with its reason in the table."""

import fcntl
import os
import signal
import sys
import time

from tries import attempt, call, read, write


@attempt("run a program from memory")
def _(host):
    memory = os.memfd_create("program")
    with open("/usr/bin/true", "rb") as source:
        os.write(memory, source.read())
    child = os.fork()
    if child == 0:
        os.execve(memory, ["true"], {})
    return os.waitpid(child, 0)[1] == 0


@attempt("watch shared files for use by others")
def _(host):
    return call("inotify_init1", 0)


@attempt("lock shared files")
def _(host):
    fcntl.flock(os.open("/usr/bin/env", os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
    return True


@attempt("lease shared files")
def _(host):
    leased = []
    for path in ["/usr/bin/env", "/var/task/app.py", "/var/runtime", "/etc/passwd", sys.executable]:
        if os.path.isfile(path):
            try:
                fcntl.fcntl(os.open(path, os.O_RDONLY), fcntl.F_SETLEASE, fcntl.F_RDLCK)
                leased.append(path)
            except OSError:
                pass
    return leased


@attempt("swap a link for a file while it is opened")
def _(host):
    """A race within /tmp: the link leads nowhere that its own path would not."""
    end, hits = time.monotonic() + 0.1, []
    write("/tmp/race-file", "mine")
    if (child := os.fork()) == 0:
        while True:
            for target in [host["secret"], "/proc/1/environ", "/tmp/race-file"]:
                try:
                    os.symlink(target, "/tmp/race-new")
                    os.rename("/tmp/race-new", "/tmp/race")
                except OSError:
                    pass
    while time.monotonic() < end:
        try:
            if (got := read("/tmp/race")) != b"mine":
                hits.append(got[:20].decode("latin1"))
        except OSError:
            pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    for name in ["race-file", "race", "race-new"]:
        try:
            os.unlink(f"/tmp/{name}")
        except OSError:
            pass
    return hits

"""A function that tries to get out. Each attempt runs in a process of its own and has one outcome: the name of the
kernel's error, the signal that ended it, `nothing` when it looked and found nothing, `hangs`, or `IN` when it got through.

The names are those of `attempts.toml`, which says what each must come to."""

import errno
import json
import os
import select
import signal
import socket
import time

# Each adds its attempts to the list.
import building  # noqa: F401
import devices  # noqa: F401
import files  # noqa: F401
import kernel  # noqa: F401
import privileges  # noqa: F401
import processes  # noqa: F401
import shared  # noqa: F401
import sockets  # noqa: F401
from tries import ATTEMPTS, libc, write

# A walk over all that is shared meets some hundred thousand files, now and then from a cold disk.
PATIENCE = 30


def run_one(function, host):
    """The outcome of one attempt, made in a process of its own."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ours)
        host["own_fds"] = [theirs]
        try:
            got = function(host)
            said = f"IN {got!r}"[:600] if got else "nothing"
        except OSError as error:
            said = errno.errorcode.get(error.errno, str(error))
        except BaseException as error:
            said = f"broken {error!r}"
        os.write(theirs, said.encode())
        os._exit(0)
    os.close(theirs)
    ready, _, _ = select.select([ours], [], [], PATIENCE)
    said = os.read(ours, 4096).decode() if ready else "hangs"
    os.close(ours)
    if said == "hangs":
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if not said and os.WIFSIGNALED(status):
        said = signal.Signals(os.WTERMSIG(status)).name
    return said


def leave_marks(mark):
    """Writes the mark wherever a later or neighbouring tenant might find it."""
    left = []
    for path in [f"/tmp/{mark}", f"/dev/shm/{mark}", f"/tmp/.{mark}"]:
        write(path, mark)
        left.append(path)
    os.makedirs(f"/tmp/dir-{mark}", exist_ok=True)
    globals()["kept"] = [socket.socket(socket.AF_UNIX), socket.socket(), socket.socket(socket.AF_UNIX)]
    for one, address in zip(kept, ["\0" + mark, ("127.0.0.1", 0), f"/tmp/socket-{mark}"]):
        one.bind(address)
        one.listen()
    libc.shmget(0x5EC12E7, 4096, 0o1600)
    libc.semget(0x5EC12E7, 1, 0o1600)
    libc.msgget(0x5EC12E7, 0o1600)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                time.sleep(1000)
        os._exit(0)
    os.wait()


def handler(event, context):
    host = event["host"]
    host["mine"] = []
    names = event.get("only") or ATTEMPTS
    began = time.monotonic()
    outcomes, took = {}, {}
    for name in names:
        at = time.monotonic()
        outcomes[name] = run_one(ATTEMPTS[name], host)
        took[name] = round(time.monotonic() - at, 3)
    if event.get("mark"):
        leave_marks(event["mark"])
    slow = sorted(took.items(), key=lambda item: -item[1])[:5]
    print("ran", len(outcomes), "attempts in", round(time.monotonic() - began, 2), "s;", json.dumps(slow))
    if event.get("die"):
        os._exit(3)
    return outcomes

"""Things of the host that no function may find: a secret, sockets, shared memory, ports, processes."""

import contextlib
import ctypes
import os
import pathlib
import socket
import subprocess
import threading

SYSV_KEY = 0x1A3BE47


class Host:
    """Holds them open, and says where they are."""

    def __init__(self, folder, name):
        self.stack = contextlib.ExitStack()
        self.folder = pathlib.Path(folder) / f"host-{name}"
        self.folder.mkdir()
        self.secret = self.folder / "secret.txt"
        self.secret.write_text("the host's")
        self.secret.chmod(0o644)
        self.abstract = f"lambent-walls-{name}-{os.getpid()}"
        self.ports = [self.answer(socket.AF_INET, (address, 0)).getsockname()[1] for address in ("127.0.0.1", "0.0.0.0")]
        self.answer(socket.AF_UNIX, "\0" + self.abstract)
        self.answer(socket.AF_UNIX, str(self.folder / "socket"))
        (self.folder / "socket").chmod(0o777)
        self.udp = self.stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.udp.bind(("0.0.0.0", 0))
        threading.Thread(target=self.echo, daemon=True).start()
        self.shm = pathlib.Path("/dev/shm") / self.abstract
        self.shm.write_text("the host's")
        self.stack.callback(self.shm.unlink)
        libc = ctypes.CDLL(None)
        segment = libc.shmget(SYSV_KEY, 4096, 0o1666)
        self.stack.callback(lambda: libc.shmctl(segment, 0, None))

    def answer(self, family, address):
        """A server that says hello to whoever connects."""
        listener = self.stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
        listener.bind(address)
        listener.listen(64)

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    with contextlib.suppress(OSError):
                        one = listener.accept()[0]
                        one.sendall(b"the host answers")
                        one.close()
                    if listener.fileno() < 0:
                        return

        threading.Thread(target=serve, daemon=True).start()
        return listener

    def echo(self):
        with contextlib.suppress(OSError):
            while True:
                self.udp.sendto(b"the host answers", self.udp.recvfrom(10)[1])

    def event(self, platform, mark):
        """What the probe is told."""
        return {
            "secret": str(self.secret),
            "data": str(platform.data),
            "workspace": str(self.folder.parent),
            "paths": [str(platform.data), str(self.folder)],
            "pids": [os.getpid(), platform.process.pid, *children(platform.process.pid), *range(2, 400)],
            "abstract": self.abstract,
            "socket": str(self.folder / "socket"),
            "sysv_key": SYSV_KEY,
            "shm": self.shm.name,
            "ports": [*self.ports, int(platform.endpoint.rsplit(":", 1)[1])],
            "udp": self.udp.getsockname()[1],
            "addresses": addresses(),
            "mark": mark,
        }

    def close(self):
        self.stack.close()


def children(pid):
    """All processes below this one."""
    table = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((entry / "stat").read_text(errors="replace").rsplit(")", 1)[1].split()[1])
                table.setdefault(parent, []).append(int(entry.name))
    found, open_ones = [], [pid]
    while open_ones:
        below = table.get(open_ones.pop(), [])
        found += below
        open_ones += below
    return found


def addresses():
    """The host's own addresses but loopback."""
    said = subprocess.run(["hostname", "-I"], capture_output=True, text=True).stdout.split()
    return [address for address in said if not address.startswith(("127.", "fe80", "::1"))]

"""Network namespaces for the tests of egress: a host to run the platform on, and a world behind it."""

import contextlib
import ctypes
import glob
import os
import pathlib
import pwd
import shutil
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
CLONE_NEWNET = 0x40000000
HOST, ROUTER = "198.51.100.2", "198.51.100.1"
BRIDGE = "172.17.0.1"
WORLD = ["203.0.113.10", "192.168.77.2", "169.254.169.254", "100.100.100.200"]
PASSWORD = "not a secret"


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def enter(path):
    """Moves this thread, and what it starts from now on, to another network namespace."""
    with open(path) as space:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(space.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")


class Network:
    """The two namespaces, and what runs in them."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.host, self.world = f"lambent{os.getpid()}h", f"lambent{os.getpid()}w"
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        try:
            self.build()
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(self, *_):
        self.stack.close()

    def build(self):
        for name in (self.host, self.world):
            ip("netns", "add", name)
            self.stack.callback(ip, "netns", "del", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", self.host, "link", "add", "up0", "type", "veth", "peer", "name", "down0", "netns", self.world)
        ip("-n", self.host, "addr", "add", f"{HOST}/24", "dev", "up0")
        ip("-n", self.host, "addr", "add", f"{BRIDGE}/16", "dev", "lo")
        ip("-n", self.world, "addr", "add", f"{ROUTER}/24", "dev", "down0")
        for address in WORLD:
            ip("-n", self.world, "addr", "add", f"{address}/32", "dev", "lo")
        ip("-n", self.host, "link", "set", "up0", "up")
        ip("-n", self.world, "link", "set", "down0", "up")
        ip("-n", self.host, "route", "add", "default", "via", ROUTER)
        ip("-n", self.host, "route", "add", "unreachable", "10.0.0.0/8")
        (self.folder / "resolv.conf").write_text(f"nameserver {ROUTER}\n")
        (self.folder / "hosts").write_text(f"127.0.0.1 localhost\n192.168.77.2 printer.lan printer\n{HOST} thishost\n")
        self.serve()
        before = "/proc/thread-self/ns/net"
        with open(before) as space:
            descriptor = os.dup(space.fileno())
        self.stack.callback(os.close, descriptor)
        self.stack.callback(enter, f"/proc/self/fd/{descriptor}")
        enter(f"/run/netns/{self.host}")

    def in_world(self, *command):
        return ["nsenter", f"--net=/run/netns/{self.world}", *command]

    def serve(self):
        self.certificate, key = self.folder / "certificate.pem", self.folder / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
            + ["-keyout", key, "-out", self.certificate, "-subj", "/CN=api.example.test"]
            + ["-addext", "subjectAltName=DNS:api.example.test"],
            check=True,
            capture_output=True,
        )
        world = self.in_world(sys.executable, HERE / "world.py", self.certificate, key, self.folder)
        self.start(world, lambda process: process.stdout.readline().startswith("ready"))

    def start(self, command, is_ready):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.stack.callback(process.wait)
        self.stack.callback(process.terminate)
        assert is_ready(process), f"{command} did not start"

    def postgres(self):
        """A real PostgreSQL at the address of the local network; skips where there is none."""
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
        if not found:
            pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
        programs, data, owner = pathlib.Path(found[-1]).parent, self.folder / "postgres", pwd.getpwnam("nobody")
        data.mkdir(mode=0o700)
        os.chown(data, owner.pw_uid, owner.pw_gid)
        password = self.folder / "password"
        password.write_text(PASSWORD)
        as_owner = ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]
        subprocess.run(
            [*as_owner, programs / "initdb", "-D", data, "-U", "app", "-A", "scram-sha-256", f"--pwfile={password}", "-N"],
            check=True,
            capture_output=True,
        )
        with open(data / "pg_hba.conf", "a") as rules:
            rules.write("host all all 0.0.0.0/0 scram-sha-256\n")
        command = [*as_owner, programs / "postgres", "-D", data, "-h", "192.168.77.2", "-k", "", "-F"]
        ready = lambda process: any("ready to accept connections" in line for line in process.stdout)
        self.start(self.in_world(*command), ready)

    def on_host(self, rootless=False):
        """The beginning of a command: the host's own name settings, in a mount namespace so that nobody else sees them."""
        binds = " && ".join(f"mount --bind {self.folder}/{name} /etc/{name}" for name in ("resolv.conf", "hosts"))
        user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if rootless else []
        return ["unshare", "--mount", "sh", "-c", f'{binds} && exec "$@"', "sh", *user]


def needs():
    """Why the tests of egress cannot run here, if they cannot."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [tool for tool in ("ip", "nsenter", "unshare", "setpriv", "openssl") if not shutil.which(tool)]
    if missing:
        return f"{', '.join(missing)} is not installed"
    probe = subprocess.run(["unshare", "--net", "ip", "link", "add", "probe0", "type", "veth"], capture_output=True, text=True)
    return f"this host makes no network namespaces or veth pairs: {probe.stderr.strip()}" if probe.returncode else None

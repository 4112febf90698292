"""Measures the platform beside its yardsticks in one run and prints medians and ratios.

usage: python benches/bench.py --lambent target/fast/lambent [--yardsticks DIR] [--only PART,PART] [--quick] [--python RUNTIME]

Parts are start, idle, hello, signed (signed.py), node, native and boto3 (cold.py), official, storms, mixed and load (storms.py), sandboxes and
thousand (density.py), functions (all of workloads.py), the parts named after the other files, or the name of one of those functions; without
--only all are measured. --quick calls those functions a few times only: to see that they work, not to quote.
--python is the runtime of the Python functions; without it, the version this runs on.

DIR holds yardstick programs, each optional: `target/release/echo` (a hyper echo server: `echo PORT`), `fakeapi.py` (a
runtime client's own floor) with `venv/bin/python`, `scaleout` (sandboxes around a static program). Absolute times drift between machines and days; quote the ratios.
"""

import argparse
import base64
import io
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile

import apis
import cold
import density
import objects
import peers
import queues
import signed
import sources
import storms
import streams
import web
import workloads

HELLO = storms.HELLO
ROLE = "arn:aws:iam::000000000000:role/bench"
EVENT = storms.EVENT
UNSIGNED = "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host;x-amz-date, Signature=aa\r\nX-Amz-Date: 20260101T000000Z\r\n"


class Connection:
    """One keep-alive HTTP/1.1 connection, as cheap as Python allows."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = port

    def begin(self, method, path, body=b"", headers=UNSIGNED):
        """Makes a request ready to be sent."""
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
        self.pending = head.encode() + body

    def end(self):
        """Reads the answer: its status and its body."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError(f"closed after {data!r}")
            data += more
        head, rest = data.split(b"\r\n\r\n", 1)
        length = re.search(rb"(?i)content-length: (\d+)", head)
        want = int(length.group(1)) if length else 0
        chunked = re.search(rb"(?i)transfer-encoding: *chunked", head)
        while len(rest) < want or (chunked and not rest.endswith(b"0\r\n\r\n")):
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError("closed within an answer")
            rest += more
        if re.search(rb"(?i)connection: *close", head):
            self.__init__(self.port)
        return int(head.split()[1]), rest

    def call(self, method, path, body=b"", headers=UNSIGNED):
        self.begin(method, path, body, headers)
        began = time.perf_counter()
        self.socket.sendall(self.pending)
        status, rest = self.end()
        return time.perf_counter() - began, status, rest

    def invoke(self, name):
        return self.call("POST", f"/2015-03-31/functions/{name}/invocations", EVENT)


def zipped(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (0o755 if name == "bootstrap" else 0o644) << 16
            archive.writestr(entry, text)
    return base64.b64encode(out.getvalue()).decode()


def tree(pid):
    """The process and its descendants."""
    out, todo = [], [pid]
    while todo:
        one = todo.pop()
        out.append(one)
        try:
            for task in os.listdir(f"/proc/{one}/task"):
                todo += [int(child) for child in open(f"/proc/{one}/task/{task}/children").read().split()]
        except OSError:
            pass
    return out


def pss_kib(pids):
    total = 0
    for pid in pids:
        try:
            total += int(re.search(r"Pss:\s+(\d+)", open(f"/proc/{pid}/smaps_rollup").read()).group(1))
        except (OSError, AttributeError):
            pass
    return total


def cpu_us(pids):
    """CPU time of processes, threads that have ended included; /proc/PID/stat counts the same in ticks of 10 ms."""
    total = 0
    for pid in pids:
        try:
            # The clock of another process: clock_getcpuclockid(3).
            total += time.clock_gettime_ns((~pid << 3) | 2) / 1e3
        except OSError:
            pass
    return total


class Lambent:
    def __init__(self, binary, data):
        self.binary, self.data = binary, data

    def start(self, *arguments):
        """Starts it and returns ms until the first answered service call."""
        probe = socket.socket()
        probe.bind(("127.0.0.1", 0))
        self.port = probe.getsockname()[1]
        probe.close()
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [self.binary, "serve", "--listen", f"127.0.0.1:{self.port}", "--data", self.data, *arguments],
            stdout=subprocess.DEVNULL, stderr=open(os.environ.get("BENCH_LOG", os.devnull), "ab"),
        )
        while True:
            try:
                self.connection = Connection(self.port)
                break
            except OSError:
                if self.process.poll() is not None:
                    sys.exit(f"lambent ended with {self.process.returncode}")
        _, status, body = self.connection.call("GET", "/2015-03-31/functions/")
        assert status == 200, body
        return (time.perf_counter() - began) * 1e3

    def connect(self):
        return Connection(self.port)

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait()

    def json(self, method, path, body):
        _, status, answer = self.connection.call(method, path, json.dumps(body).encode(), UNSIGNED + "Content-Type: application/json\r\n")
        assert status < 300, (status, answer)
        return answer

    def create(self, name, runtime, files, handler="app.handler", memory=1769):
        self.json("POST", "/2015-03-31/functions", {
            "FunctionName": name, "Runtime": runtime, "Role": ROLE, "Handler": handler, "MemorySize": memory, "Timeout": 30,
            "Code": {"ZipFile": zipped(files)},
        })

    def invoke(self, name):
        took, status, body = self.connection.invoke(name)
        assert status == 200, body
        return took * 1e3, body

    def cold(self, name, count, spaced):
        """Cold invokes: each after a change of configuration, so that no process holds this version."""
        out = []
        for n in range(count):
            self.json("PUT", f"/2015-03-31/functions/{name}/configuration", {"Environment": {"Variables": {"TURN": str(n)}}})
            if spaced:
                time.sleep(0.25)
            out.append(self.invoke(name)[0])
        return out

    def warm(self, name, count=2000):
        for _ in range(50):
            self.invoke(name)
        before = cpu_us([self.process.pid])
        out = [self.invoke(name)[0] for _ in range(count)]
        return out, (cpu_us([self.process.pid]) - before) / count


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def row(name, values, unit="ms", note=""):
    print(f"{name:46s} p50 {statistics.median(values):9.3f}  p99 {percentile(values, .99):9.3f} {unit}  n={len(values)} {note}", flush=True)
    return statistics.median(values)


def yardsticks(folder):
    """Each yardstick's figure that is there, in ms."""
    out = {}
    echo = folder / "target/release/echo"
    if echo.exists():
        process = subprocess.Popen([echo, "47611"], stdout=subprocess.DEVNULL)
        try:
            for _ in range(200):
                try:
                    connection = Connection(47611)
                    break
                except OSError:
                    time.sleep(0.01)
            for _ in range(200):
                connection.call("POST", "/", EVENT)
            before = cpu_us([process.pid])
            took = [connection.call("POST", "/", EVENT)[0] * 1e3 for _ in range(3000)]
            out["echo CPU"] = (cpu_us([process.pid]) - before) / len(took)
            out["hyper echo"] = row("yardstick: hyper echo", took, note=f"CPU {out['echo CPU']:.0f} us each")
        finally:
            process.kill()
            process.wait()
    fake, python = folder / "fakeapi.py", folder / "venv/bin/python"
    if fake.exists() and python.exists():
        done = subprocess.run([python, fake, "1500", "--", python, "-m", "awslambdaric", "app.handler"], capture_output=True, text=True)
        found = re.search(r"deliver->response.*?p50\s+(\d+)", done.stdout)
        if found:
            out["fakeapi"] = int(found.group(1)) / 1e3
            print(f"yardstick: official Python client's own floor  p50 {out['fakeapi']:9.3f} ms")
    return out


def fresh_interpreter(command, count=20):
    out = []
    for _ in range(count):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        out.append((time.perf_counter() - began) * 1e3)
    return row(f"yardstick: {' '.join(command)[:34]}", out)


PARTS = ["start", "idle", "hello", "signed", "node", "native", "boto3", "official", "peers", "storms", "mixed", "load", "sandboxes", "thousand", "functions", "streams", "sources", "apis", "web", "s3", "queues"]


def parts(text):
    """Which parts are meant; `functions` stands for each of them."""
    wanted = text.split(",")
    if wrong := [part for part in wanted if part not in PARTS and part not in workloads.WORKLOADS]:
        raise argparse.ArgumentTypeError(f"no part {', '.join(wrong)}: one of {', '.join([*PARTS, *workloads.WORKLOADS])}")
    return wanted


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--lambent", default="target/fast/lambent")
    arguments.add_argument("--yardsticks", type=pathlib.Path)
    arguments.add_argument("--only", type=parts, default=PARTS, metavar="PART,PART")
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--python", default="python%d.%d" % sys.version_info[:2], metavar="RUNTIME")
    chosen = arguments.parse_args()
    only = chosen.only
    python = chosen.python
    yard = yardsticks(chosen.yardsticks) if chosen.yardsticks else {}
    data = tempfile.mkdtemp(prefix="lambent-bench-")
    platform = Lambent(chosen.lambent, data)
    try:
        if "start" in only:
            starts = []
            for _ in range(10):
                starts.append(platform.start())
                platform.stop()
            row("start: cleanly stopped folder → first answer", starts)
            row("start: empty folder → first answer", [empty_start(chosen.lambent) for _ in range(10)])
        if "sandboxes" in only:
            density.sandboxes(platform)
        platform.start()
        if "idle" in only:
            idle(platform)
        if "hello" in only:
            hello(platform, python, yard)
        if "signed" in only:
            signed.measure(platform, python, EVENT, HELLO, cpu_us, row)
        if "node" in only:
            node(platform)
        if "native" in only:
            cold.native(platform, chosen.yardsticks, row)
        if "boto3" in only:
            cold.boto3(platform, python, fresh_interpreter, row)
        if "official" in only:
            official = official_client(platform)
            if official and "fakeapi" in yard and "hyper echo" in yard:
                print(f"  = {official / (yard['fakeapi'] + yard['hyper echo']):.2f} x (hyper echo + the client's own floor)")
        if "peers" in only:
            peers.measure(platform, Connection, python, chosen.yardsticks, zipped, row)
        if "storms" in only:
            storms.distinct(platform, python, row)
            storms.environments(platform, python, pss_kib, tree)
        if "mixed" in only:
            storms.mixed(platform, row)
        if "load" in only:
            storms.load(platform, python, row)
        if "thousand" in only:
            density.thousand(platform, python, HELLO, lambda: tree(platform.process.pid), cpu_us)
        for name in workloads.WORKLOADS:
            if "functions" in only or name in only:
                workloads.measure(platform, name, python, chosen.quick, row)
        if "streams" in only:
            streams.measure(platform, python, cpu_us, row)
        if "sources" in only:
            sources.measure(platform, python, cpu_us, row, chosen.quick)
        if "apis" in only:
            apis.measure(platform, python, row)
        if "web" in only:
            web.measure(platform, Connection, zipped, chosen.yardsticks, row)
        if "s3" in only:
            objects.measure(platform, Connection, tree, chosen.yardsticks, chosen.quick)
        if "queues" in only:
            queues.measure(platform, Connection, tree, chosen.yardsticks, chosen.quick)
        if "start" in only:
            print(f"memory: server and helper PSS {pss_kib([platform.process.pid]) / 1024:.1f} MiB after the run")
            platform.stop(signal.SIGKILL)
            print(f"start after kill -9: {platform.start():.1f} ms")
        platform.stop()
    finally:
        if platform.process.poll() is None:
            platform.process.kill()
            platform.process.wait()
        shutil.rmtree(data, ignore_errors=True)


def empty_start(binary):
    """ms until the first answer of a platform that has nothing yet."""
    with tempfile.TemporaryDirectory(prefix="lambent-bench-") as data:
        platform = Lambent(binary, data)
        took = platform.start()
        platform.stop()
        return took


def idle(platform):
    time.sleep(2)
    pids = tree(platform.process.pid)
    before = cpu_us(pids)
    time.sleep(10)
    print(f"idle: PSS {pss_kib(pids) / 1024:.1f} MiB in {len(pids)} processes, CPU {(cpu_us(pids) - before) / 1e5:.3f} % over 10 s", flush=True)


def hello(platform, python, yard):
    # The real program: version managers put a slow script of the same name before it.
    bare = fresh_interpreter([os.path.realpath(sys._base_executable), "-I", "-S", "-c", "0"])
    began = time.perf_counter()
    platform.create("hello", python, {"app.py": HELLO})
    print(f"create-function {(time.perf_counter() - began) * 1e3:.1f} ms, first invoke {platform.invoke('hello')[0]:.1f} ms")
    spaced = row("cold: Python hello, spaced", platform.cold("hello", 20, True))
    row("cold: Python hello, in a loop", platform.cold("hello", 40, False))
    print(f"  = {spaced / bare:.2f} x a fresh bare interpreter (spaced)")
    warm, cpu = platform.warm("hello")
    own = row("warm: own Python bootstrap", warm, note=f"server CPU {cpu:.0f} us each")
    if "hyper echo" in yard:
        print(f"  = {own / yard['hyper echo']:.2f} x hyper echo, CPU {cpu / yard['echo CPU']:.2f} x its")
    platform.create("hello128", python, {"app.py": HELLO}, memory=128)
    row("cold: Python hello at 128 MB, spaced", platform.cold("hello128", 10, True))
    row("warm: own Python bootstrap at 128 MB", platform.warm("hello128", 500)[0])


def node(platform):
    if not shutil.which("node"):
        print("node: skipped: there is no node")
        return
    floor = fresh_interpreter(["node", "-e", "0"])
    version = subprocess.run(["node", "-p", "process.versions.node.split('.')[0]"], capture_output=True, text=True).stdout.strip()
    platform.create("node", f"nodejs{version}.x", {"index.js": "exports.handler = async (e) => ({ hello: e.name });\n"}, "index.handler")
    spaced = row("cold: Node hello, spaced", platform.cold("node", 10, True))
    print(f"  = {spaced / floor:.2f} x node -e 0")
    row("cold: Node hello, in a loop", platform.cold("node", 20, False))
    row("warm: own Node bootstrap", platform.warm("node", 1000)[0])
    platform.create("node128", f"nodejs{version}.x", {"index.js": "exports.handler = async (e) => ({ hello: e.name });\n"}, "index.handler", 128)
    row("cold: Node hello at 128 MB, spaced", platform.cold("node128", 10, True))


def official_client(platform):
    """Warm invokes through AWS's own Python runtime client, unmodified, in a bundle with the function."""
    site = pathlib.Path(sys.prefix) / ("lib/python%d.%d/site-packages" % sys.version_info[:2])
    if not (site / "awslambdaric").exists():
        print("warm: official Python client                    skipped: awslambdaric is not installed (make venv)")
        return None
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("app.py", HELLO)
        boot = zipfile.ZipInfo("bootstrap")
        boot.external_attr = 0o755 << 16
        # A custom runtime sees the system's programs only; its Python must be of this interpreter's minor version.
        archive.writestr(boot, "#!/bin/sh\nexec /usr/bin/python3 -m awslambdaric app.handler\n")
        for name in ["awslambdaric", "snapshot_restore_py", "simplejson"]:
            for path in (site / name).rglob("*"):
                if path.is_file() and "__pycache__" not in path.parts:
                    archive.write(path, path.relative_to(site))
        for path in site.glob("runtime_client*"):
            archive.write(path, path.relative_to(site))
    platform.json("POST", "/2015-03-31/functions", {
        "FunctionName": "official", "Runtime": "provided.al2023", "Role": ROLE, "Handler": "app.handler", "MemorySize": 1769,
        "Timeout": 30, "Code": {"ZipFile": base64.b64encode(out.getvalue()).decode()},
    })
    took = platform.warm("official")[0]
    half = row("warm: official Python client", took)
    print(f"  = p99 is {percentile(took, .99) / half:.1f} x p50", flush=True)
    return half


if __name__ == "__main__":
    main()

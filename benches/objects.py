"""Objects: small ones a second and core beside peers, a large one beside a plain file, listings of many keys, memory."""

import functools
import hashlib
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

# Lambent and ministack believe it; s3rver checks signatures and gets true ones.
SIGNED = "Authorization: AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=aa\r\nX-Amz-Date: 20260101T000000Z\r\nX-Amz-Content-Sha256: UNSIGNED-PAYLOAD\r\n"
KIB = b"x" * 1024
SECONDS = 4
CALLERS = 16


def headers_of(key, port):
    """The headers of a request, by method and path."""
    if key != "S3RVER":
        fixed = SIGNED.format(key=key)
        return lambda method, path: fixed
    signer = S3SigV4Auth(Credentials(key, key), "s3", "us-east-1")

    @functools.cache
    def signed(method, path):
        request = AWSRequest(method, f"http://127.0.0.1:{port}{path}", headers={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"})
        request.context["payload_signing_enabled"] = False
        signer.add_auth(request)
        return "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())

    return signed


def cpu_s(pids):
    """Processor time of processes, seconds."""
    ticks = 0
    for pid in pids:
        try:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return ticks / os.sysconf("SC_CLK_TCK")


def peak_kib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


def a_second_of_cpu(Connection, port, pids, method, headers, distinct):
    """Requests by sixteen callers for some seconds: how many a second, and how many a second of the server's processor time."""
    stop = time.perf_counter() + SECONDS
    counts = [0] * CALLERS
    wrong = []

    def caller(at):
        connection = Connection(port)
        while time.perf_counter() < stop:
            name = f"/bench/{at}-{counts[at] % 1000}" if distinct else "/bench/one"
            _, status, _ = connection.call(method, name, KIB if method == "PUT" else b"", headers(method, name))
            if status >= 300:
                wrong.append(status)
                return
            counts[at] += 1

    before, began = cpu_s(pids), time.perf_counter()
    threads = [threading.Thread(target=caller, args=(at,)) for at in range(CALLERS)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    spent = cpu_s(pids) - before
    if wrong:
        raise SystemExit(f"{method} answered {wrong[0]}")
    return sum(counts) / (time.perf_counter() - began), sum(counts) / max(spent, 0.01)


def small(Connection, name, port, pids, key):
    headers = headers_of(key, port)
    connection = Connection(port)
    connection.call("PUT", "/bench", b"", headers("PUT", "/bench"))
    connection.call("PUT", "/bench/one", KIB, headers("PUT", "/bench/one"))
    for at in range(CALLERS if key == "S3RVER" else 0):
        # Signed ahead, so that callers are not what is measured.
        [headers("PUT", f"/bench/{at}-{number}") for number in range(1000)]
    out = {}
    for what, method, distinct in [("PUT 1 KiB", "PUT", True), ("GET 1 KiB", "GET", False)]:
        rate, per_core = a_second_of_cpu(Connection, port, pids, method, headers, distinct)
        one = statistics.median(
            connection.call(method, "/bench/one", KIB if method == "PUT" else b"", headers(method, "/bench/one"))[0] * 1e3 for _ in range(500)
        )
        print(f"s3: {name:10s} {what}   {rate:8.0f}/s of {CALLERS} callers, {per_core:8.0f}/s of processor, one caller p50 {one:6.3f} ms", flush=True)
        out[what] = per_core
    return out


def started(command, port, env=None):
    """A peer's process, once it listens."""
    process = subprocess.Popen(command, env={**os.environ, **(env or {})}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return process
        except OSError:
            time.sleep(0.05)
    process.kill()
    raise SystemExit(f"{command[0]} does not listen")


def peers(Connection, folder, tree):
    """What the peers that are there do."""
    out = {}
    ministack, s3rver = folder / "ms/bin/ministack", folder / "npm/node_modules/.bin/s3rver"
    if ministack.exists():
        process = started([ministack], 47701, {"GATEWAY_PORT": "47701", "BIND_HOST": "127.0.0.1"})
        out["ministack"] = (process, 47701, "test")
    if s3rver.exists():
        place = tempfile.mkdtemp(prefix="s3rver-")
        process = started([s3rver, "-d", place, "-a", "127.0.0.1", "-p", "47702", "--silent"], 47702)
        out["s3rver"] = (process, 47702, "S3RVER")
    figures = {}
    for name, (process, port, key) in out.items():
        try:
            figures[name] = small(Connection, name, port, tree(process.pid), key)
        except (SystemExit, OSError) as failed:
            print(f"s3: {name} could not be measured: {failed}", flush=True)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    return figures


def large(Connection, port, file_server, headers):
    """64 MiB read: here, and as a plain file over hyper."""
    body = os.urandom(64 << 20)
    connection = Connection(port)
    took, status, _ = connection.call("PUT", "/bench/large", body, headers)
    assert status == 200, status
    print(f"s3: PUT 64 MiB {64 / took:8.0f} MiB/s", flush=True)

    def read(port, path, headers):
        out = []
        for _ in range(9):
            connection = Connection(port)
            connection.begin("GET", path, b"", headers)
            began, got, buffer = time.perf_counter(), 0, bytearray(1 << 20)
            connection.socket.sendall(connection.pending)
            while got < 64 << 20:
                more = connection.socket.recv_into(buffer)
                if not more:
                    raise SystemExit("the answer broke off")
                got += more
            out.append(time.perf_counter() - began)
        return statistics.median(out)

    ours = read(port, "/bench/large", headers)
    line = f"s3: GET 64 MiB {64 / ours:8.0f} MiB/s"
    if file_server.exists():
        with tempfile.NamedTemporaryFile(prefix="plain-") as plain:
            plain.write(body)
            plain.flush()
            process = started([file_server, plain.name, "47703"], 47703)
            try:
                theirs = read(47703, "/", "")
            finally:
                process.kill()
                process.wait()
        line += f", a plain file over hyper {64 / theirs:8.0f} MiB/s: {theirs / ours:.2f} x"
    print(line, flush=True)


def listing(Connection, port, headers, count=100_000):
    """Many keys in folders: the first and the last page."""
    def put(at):
        connection = Connection(port)
        for number in range(at, count, CALLERS):
            connection.call("PUT", f"/many/f{number // 20:05}/k{number % 20:02}", b"x", headers)

    Connection(port).call("PUT", "/many", b"", headers)
    threads = [threading.Thread(target=put, args=(at,)) for at in range(CALLERS)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    connection, token, pages = Connection(port), "", []
    while True:
        path = f"/many?list-type=2&delimiter=/&max-keys=1000{token}"
        best = min(connection.call("GET", path, b"", headers)[0] for _ in range(5))
        _, _, body = connection.call("GET", path, b"", headers)
        pages.append(best * 1e3)
        if b"<NextContinuationToken>" not in body:
            break
        token = "&continuation-token=" + body.split(b"<NextContinuationToken>")[1].split(b"<")[0].decode()
    print(f"s3: {count} keys listed by folders: first page {pages[0]:.1f} ms, last {pages[-1]:.1f} ms: {pages[-1] / pages[0]:.2f} x", flush=True)


def memory(Connection, platform, port, headers, mib=1024):
    """A large object in and out by pieces: by how much the server's peak grows."""
    before = peak_kib(platform.process.pid)
    connection = Connection(port)
    piece = os.urandom(1 << 20)
    head = f"PUT /bench/huge HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{headers}Content-Length: {mib << 20}\r\n\r\n"
    connection.socket.sendall(head.encode())
    whole = hashlib.md5()
    for number in range(mib):
        sent = number.to_bytes(8, "big") + piece[8:]
        whole.update(sent)
        connection.socket.sendall(sent)
    status, _ = connection.end()
    assert status == 200, status
    connection.begin("GET", "/bench/huge", b"", headers)
    connection.socket.sendall(connection.pending)
    got = 0
    while got < mib << 20:
        got += len(connection.socket.recv(1 << 20))
    print(f"s3: {mib} MiB in and out: the server's peak grew by {(peak_kib(platform.process.pid) - before) / 1024:.0f} MiB", flush=True)


def measure(platform, Connection, tree, yardsticks, quick):
    port, headers = platform.port, SIGNED.format(key="test")
    figures = peers(Connection, yardsticks, tree) if yardsticks else {}
    ours = small(Connection, "lambent", port, [platform.process.pid], "test")
    for name, theirs in figures.items():
        print("s3: " + ", ".join(f"{what} {ours[what] / theirs[what]:.1f} x {name}" for what in ours), flush=True)
    large(Connection, port, pathlib.Path("target/fast/examples/plain_file"), headers)
    listing(Connection, port, headers, 5_000 if quick else 100_000)
    memory(Connection, platform, port, headers, 128 if quick else 1024)

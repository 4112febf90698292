"""Queues: messages a second and core beside a peer, and what a long backlog costs."""

import json
import signal
import statistics
import threading
import time

from objects import CALLERS, cpu_s, started

SIGNED = (
    "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host;x-amz-date, Signature=aa\r\n"
    "X-Amz-Date: 20260101T000000Z\r\nContent-Type: application/x-amz-json-1.0\r\n"
)
SECONDS = 4
BODY = "x" * 100


class Caller:
    """One client of one queue over one connection."""

    def __init__(self, Connection, port, name):
        self.connection, self.url = Connection(port), f"http://127.0.0.1:{port}/000000000000/{name}"

    def call(self, operation, **arguments):
        headers = f"{SIGNED}X-Amz-Target: AmazonSQS.{operation}\r\n"
        took, status, body = self.connection.call("POST", "/", json.dumps({"QueueUrl": self.url, **arguments}).encode(), headers)
        if status >= 300:
            raise SystemExit(f"{operation} answered {status}: {body[:200]}")
        return took, json.loads(body) if body else {}

    def send(self):
        return self.call("SendMessage", MessageBody=BODY)[0]

    def receive_and_delete(self):
        """Milliseconds of both; none if there was no message."""
        took, got = self.call("ReceiveMessage", MaxNumberOfMessages=1, VisibilityTimeout=600)
        if not got.get("Messages"):
            return None
        deleted, _ = self.call("DeleteMessage", ReceiptHandle=got["Messages"][0]["ReceiptHandle"])
        return took + deleted


def a_second_of_cpu(Connection, port, pids, name, work):
    """Work by sixteen callers for some seconds: how much a second, and how much a second of the server's processor time."""
    stop = time.perf_counter() + SECONDS
    counts, failed = [0] * CALLERS, []

    def caller(at):
        one = Caller(Connection, port, name)
        try:
            while time.perf_counter() < stop and work(one) is not None:
                counts[at] += 1
        except SystemExit as wrong:
            failed.append(wrong)

    before, began = cpu_s(pids), time.perf_counter()
    threads = [threading.Thread(target=caller, args=(at,)) for at in range(CALLERS)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    took, spent = time.perf_counter() - began, cpu_s(pids) - before
    if failed:
        raise failed[0]
    return sum(counts) / took, sum(counts) / max(spent, 0.01)


def fill(Connection, port, name, count):
    def put(at):
        one = Caller(Connection, port, name)
        entries = [{"Id": str(n), "MessageBody": BODY} for n in range(10)]
        for _ in range(at, count // 10, CALLERS):
            one.call("SendMessageBatch", Entries=entries)

    threads = [threading.Thread(target=put, args=(at,)) for at in range(CALLERS)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]


def rates(Connection, who, port, pids):
    Caller(Connection, port, "bench").call("CreateQueue", QueueName="bench")
    out = {}
    for what, work in [("Send", Caller.send), ("Receive+Delete", Caller.receive_and_delete)]:
        rate, per_core = a_second_of_cpu(Connection, port, pids, "bench", work)
        print(f"queues: {who:10s} {what:15s} {rate:8.0f}/s of {CALLERS} callers, {per_core:8.0f}/s of processor", flush=True)
        out[what] = per_core
    return out


def peer(Connection, folder, tree):
    program = folder / "ms/bin/ministack"
    if not program.exists():
        return None
    process = started([program], 47701, {"GATEWAY_PORT": "47701", "BIND_HOST": "127.0.0.1"})
    try:
        return rates(Connection, "ministack", 47701, tree(process.pid))
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def depth(Connection, port, count):
    """Receiving and deleting one of few messages and one of many: medians, ms; the many after a fill of their own."""
    figures = {}
    for name, messages in [("few", 1_000), ("many", count)]:
        one = Caller(Connection, port, name)
        one.call("CreateQueue", QueueName=name)
        began = time.perf_counter()
        fill(Connection, port, name, messages)
        filled = time.perf_counter() - began
        figures[messages] = statistics.median(one.receive_and_delete() for _ in range(500)) * 1e3
        print(f"queues: {messages:8d} messages sent in {filled:5.1f} s; one received and deleted, p50 {figures[messages]:6.3f} ms", flush=True)
    few, many = figures.values()
    print(f"queues: {count} messages beside 1000: {many / few:.2f} x", flush=True)


def restart(platform, Connection, count):
    """Killed with a long backlog, and asked at once."""
    platform.stop(signal.SIGKILL)
    up = platform.start()
    took = Caller(Connection, platform.port, "many").receive_and_delete() * 1e3
    print(f"queues: start after kill -9 with {count} messages: {up:.1f} ms, the first one received and deleted in {took:.1f} ms", flush=True)


def measure(platform, Connection, tree, yardsticks, quick):
    theirs = peer(Connection, yardsticks, tree) if yardsticks else None
    ours = rates(Connection, "lambent", platform.port, [platform.process.pid])
    if theirs:
        print("queues: " + ", ".join(f"{what} {ours[what] / theirs[what]:.1f} x ministack" for what in ours), flush=True)
    count = 100_000 if quick else 1_000_000
    depth(Connection, platform.port, count)
    restart(platform, Connection, count)

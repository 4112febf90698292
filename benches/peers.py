"""The same Python functions here and on a peer that speaks Lambda's protocol, turn by turn in one run."""

import json
import pathlib
import signal
import statistics
import time

import objects

SIGNED = objects.SIGNED.replace("/s3/", "/lambda/").format(key="test")
LOGS = "def handler(event, context):\n    print('called')\n    return {'hello': event['name']}\n"
SILENT = "def handler(event, context):\n    return {'hello': event['name']}\n"
TURNS = 10


class Side:
    """One of the two."""

    def __init__(self, name, connection, zipped):
        self.name, self.connection, self.zipped = name, connection, zipped
        self.new, self.cold, self.warm = [], [], {}

    def json(self, method, path, body):
        sent = json.dumps(body).encode()
        _, status, answer = self.connection.call(method, path, sent, SIGNED + "Content-Type: application/json\r\n")
        assert status < 300, (self.name, status, answer)

    def create(self, name, runtime, code):
        self.json("POST", "/2015-03-31/functions", {
            "FunctionName": name, "Runtime": runtime, "Role": "arn:aws:iam::000000000000:role/bench", "Handler": "app.handler",
            "MemorySize": 1769, "Timeout": 30, "Code": {"ZipFile": self.zipped({"app.py": code})},
        })

    def invoke(self, name):
        took, status, answer = self.connection.call("POST", f"/2015-03-31/functions/{name}/invocations", b'{"name": "you"}', SIGNED)
        assert status == 200 and json.loads(answer) == {"hello": "you"}, (self.name, status, answer)
        return took * 1e3


def measure(platform, Connection, runtime, folder, zipped, row):
    """Cold and warm invokes beside ministack, if it is in the folder of yardsticks."""
    ministack = folder / "ms/bin/ministack" if folder else pathlib.Path()
    if not ministack.is_file():
        print("peers: skipped: ministack is not among the yardsticks", flush=True)
        return
    process = objects.started([ministack], 47703, {"GATEWAY_PORT": "47703", "BIND_HOST": "127.0.0.1"})
    try:
        here, there = Side("Lambent", platform.connect(), zipped), Side("ministack", Connection(47703), zipped)
        compare((here, there), runtime, row)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def compare(sides, runtime, row):
    for turn in range(TURNS):
        for side in sides:
            side.create(f"new{turn}", runtime, LOGS)
            time.sleep(0.5)
            side.new.append(side.invoke(f"new{turn}"))
            side.json("PUT", f"/2015-03-31/functions/new{turn}/configuration", {"Environment": {"Variables": {"TURN": str(turn)}}})
            time.sleep(0.5)
            side.cold.append(side.invoke(f"new{turn}"))
    for what, code in [("logs", LOGS), ("silent", SILENT)]:
        for side in sides:
            side.create(what, runtime, code)
            time.sleep(0.5)
            [side.invoke(what) for _ in range(5)]
            side.warm[what] = [side.invoke(what) for _ in range(50)]
    figures = {}
    for side in sides:
        row(f"first invoke of a new function: {side.name}", side.new)
        row(f"cold, after a change: {side.name}", side.cold)
        for what, took in side.warm.items():
            row(f"warm, a handler that {'logs' if what == 'logs' else 'is silent'}: {side.name}", took)
        figures[side.name] = [statistics.median(took) for took in [side.new, side.cold, *side.warm.values()]]
    ratios = [theirs / ours for ours, theirs in zip(*figures.values())]
    new, cold, logs, silent = (f"{ratio:.0f} x" for ratio in ratios)
    print(f"  = {new} faster when new, {cold} when cold, {logs} warm where it logs, {silent} where it does not", flush=True)

"""A function of somebody else's, and the platform itself, while another function attacks: neither may notice."""

import json
import threading
import time
import urllib.request

from platform_under_test import create

CODE = """import os, socket
kept = []
def handler(event, context):
    if not kept:
        for path in ['/tmp/' + event['mark'], '/dev/shm/' + event['mark']]:
            open(path, 'w').write(event['mark'])
        kept.append(socket.socket(socket.AF_UNIX))
        kept[0].bind(chr(0) + event['mark'])
    assert sorted(os.listdir('/tmp')) == [event['mark']], os.listdir('/tmp')
    return [event['n'], os.getpid(), open('/tmp/' + event['mark']).read() == event['mark']]
"""
# A call may take this long beside an attack on the same two cores; one that is disturbed takes longer or fails.
SECONDS = 8


class Bystander:
    """Calls its function, the health page and the API again and again, from a thread."""

    def __init__(self, running, mark, pause=0.05):
        self.running, self.mark, self.pause = running, mark, pause
        self.failures, self.calls, self.slowest, self.pids = [], 0, 0.0, set()
        client = running.client("lambda")
        create(client, "bystander", {"app.py": CODE}, Timeout=SECONDS, MemorySize=256, Environment={"Variables": {"SECRET": mark}})
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        client = self.running.client("lambda")
        while not self.ending.wait(self.pause):
            began = time.monotonic()
            try:
                self.once(client)
            except Exception as error:
                # What the end of the platform interrupts is no failure.
                if not self.ending.is_set() and self.running.process.poll() is None:
                    self.failures.append(repr(error))
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.calls += 1

    def once(self, client):
        n = self.calls
        answer = client.invoke(FunctionName="bystander", Payload=json.dumps({"n": n, "mark": self.mark}))
        payload = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer and payload[0] == n and payload[2] is True, payload
        self.pids.add(payload[1])
        with urllib.request.urlopen(f"{self.running.endpoint}/_lambent/health", timeout=SECONDS) as health:
            assert json.load(health)["status"] == "running"
        assert client.get_function(FunctionName="bystander")["Configuration"]["State"] == "Active"

    def is_well(self):
        """Asserts that it was never disturbed, and that its environment is the first it got."""
        assert self.failures == [], self.failures[:3]
        assert self.calls > 0 and self.slowest < SECONDS, (self.calls, self.slowest)
        assert len(self.pids) == 1, self.pids

    def end(self):
        self.ending.set()
        self.thread.join(2 * SECONDS)

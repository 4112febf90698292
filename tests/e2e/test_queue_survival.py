"""Killed at any moment, a queue keeps what it acknowledged, and gives nothing back that was deleted."""

import subprocess
import threading
import time

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from platform_under_test import BINARY

KILLS = 5
CALL_FAILED = (BotoCoreError, ClientError, OSError)


class Workers:
    """Senders and receivers that work until the platform is gone, and what each was told."""

    def __init__(self, platform, urls, seed):
        self.platform, self.urls, self.seed = platform, urls, seed
        # Messages acknowledged as sent, and as deleted; those whose deletion was asked for and never answered; received ones.
        self.sent, self.deleted, self.unsure, self.received = set(), set(), set(), []
        self.threads = [threading.Thread(target=self.run, args=(work, n)) for work in [self.send, self.receive] for n in range(3)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        for thread in self.threads:
            thread.join()

    def run(self, work, n):
        sqs = self.platform.client("sqs")
        try:
            while True:
                for url in self.urls:
                    work(sqs, url, n)
        except CALL_FAILED:
            return

    def send(self, sqs, url, n):
        bodies = [f"{self.seed}-{n}-{time.perf_counter_ns()}-{at}" for at in range(3)]
        more = (lambda body: {"MessageGroupId": str(n), "MessageDeduplicationId": body}) if url.endswith(".fifo") else lambda body: {}
        entries = [{"Id": str(at), "MessageBody": body + "x" * (at * 10_000), **more(body)} for at, body in enumerate(bodies)]
        done = sqs.send_message_batch(QueueUrl=url, Entries=entries)
        self.sent |= {bodies[int(one["Id"])] for one in done["Successful"]}

    def receive(self, sqs, url, n):
        for one in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=5, VisibilityTimeout=600).get("Messages", []):
            body = one["Body"].rstrip("x")
            self.received.append(body)
            if hash(body) % 3:
                self.unsure.add(body)
                sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
                self.deleted.add(body)


def drained(platform, urls):
    """All that is left, each body once, after every visibility timeout has passed."""
    platform.lambent("clock", "advance", "11m")
    sqs, left = platform.client("sqs"), []
    for url in urls:
        while got := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=43_200).get("Messages"):
            left += [one["Body"].rstrip("x") for one in got]
            sqs.delete_message_batch(QueueUrl=url, Entries=[{"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]} for n, one in enumerate(got)])
        counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert {value for name, value in counts.items() if name.startswith("Approximate")} == {"0"}, counts
    return left


@pytest.mark.parametrize("seed", [1])
def test_a_killed_platform_keeps_every_message_and_no_deleted_one(own_platform, seed):
    platform = own_platform("--test-controls")
    sqs = platform.client("sqs")
    urls = [sqs.create_queue(QueueName="kept")["QueueUrl"], sqs.create_queue(QueueName="kept.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]]
    sent, deleted, unsure = set(), set(), set()
    for kill in range(KILLS):
        urls = [f"{platform.endpoint}/000000000000/{url.rsplit('/', 1)[1]}" for url in urls]
        with Workers(platform, urls, f"{seed}-{kill}") as workers:
            time.sleep(0.3 + 0.4 * kill)
            platform.kill()
        assert workers.sent and workers.deleted, "nothing was done before the kill"
        sent, deleted, unsure = sent | workers.sent, deleted | workers.deleted, unsure | workers.unsure
        platform.start()
    urls = [f"{platform.endpoint}/000000000000/{url.rsplit('/', 1)[1]}" for url in urls]
    left = drained(platform, urls)
    assert len(left) == len(set(left)), "a message is there twice"
    lost = sent - unsure - set(left)
    assert not lost, f"{len(lost)} of {len(sent)} acknowledged messages are lost"
    back = deleted & set(left)
    assert not back, f"{len(back)} of {len(deleted)} deleted messages came back"
    platform.stop()
    checked = subprocess.run([BINARY, "check", "--data", platform.data], capture_output=True, text=True, timeout=120)
    assert checked.returncode == 0, checked.stdout + checked.stderr

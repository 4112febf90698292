"""A Celery worker whose broker is a queue."""

import os
import signal
import subprocess
import sys

import pytest

from platform_under_test import eventually

APP = """
import pathlib
from celery import Celery

app = Celery("jobs", broker="sqs://test:test@127.0.0.1:{port}")
app.conf.update(
    broker_transport_options={{"region": "us-east-1", "is_secure": False, "wait_time_seconds": 5, "visibility_timeout": 60}},
    task_default_queue="celery-jobs",
    worker_enable_remote_control=False,
    broker_connection_retry_on_startup=True,
)
DONE = pathlib.Path({done!r})


@app.task(bind=True, max_retries=2)
def add(self, x, y):
    if x < 0 and self.request.retries == 0:
        raise self.retry(countdown=1)
    (DONE / f"{{x}}+{{y}}").write_text(str(x + y))
"""


@pytest.fixture
def worker(platform, tmp_path):
    pytest.importorskip("celery")
    done = tmp_path / "done"
    done.mkdir()
    (tmp_path / "jobs.py").write_text(APP.format(port=platform.port, done=str(done)))
    environment = {**os.environ, "AWS_DEFAULT_REGION": "us-east-1", "PYTHONPATH": str(tmp_path)}
    environment.pop("AWS_ENDPOINT_URL", None)
    command = [sys.executable, "-m", "celery", "-A", "jobs", "worker", "--pool", "solo", "--loglevel", "warning", "--without-gossip", "--without-mingle"]
    with open(tmp_path / "worker.log", "wb") as log:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
    yield tmp_path, environment
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def test_tasks_are_sent_worked_on_and_retried(platform, worker):
    folder, environment = worker
    send = "import jobs; [jobs.add.delay(n, 1) for n in range(20)]; jobs.add.delay(-5, 1)"
    sent = subprocess.run([sys.executable, "-c", send], cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    assert sent.returncode == 0, sent.stderr
    wanted = {f"{n}+1": str(n + 1) for n in [*range(20), -5]}
    look = lambda: {path.name: path.read_text() for path in (folder / "done").iterdir()}  # noqa: E731
    seen = eventually(look, lambda seen: seen == wanted, seconds=60)
    assert seen == wanted, (folder / "worker.log").read_text()[-3000:]
    sqs = platform.client("sqs")
    url = sqs.get_queue_url(QueueName="celery-jobs")["QueueUrl"]

    def left():
        counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return {value for name, value in counts.items() if name.startswith("Approximate")}

    assert eventually(left, lambda counts: counts == {"0"}) == {"0"}

"""A function that asks for a machine of its own, under an emulated processor: for what it does, not how fast."""

import base64
import json
import os
import subprocess

import pytest

from platform_under_test import BINARY, create, eventually, invoke

HANDLER = """
import os, time, urllib.request
calls = 0

def handler(event, context):
    global calls
    calls += 1
    print("this is call", calls)
    if event.get("sleep"):
        time.sleep(60)
    if event.get("eat"):
        b'x' * (1 << 30)
    with open("/tmp/calls", "a") as file:
        file.write("x")
    with urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + "/_localstack/health", timeout=20) as answer:
        endpoint = answer.status
    return {
        "kernel": os.uname().release,
        "calls": calls,
        "file": os.path.getsize("/tmp/calls"),
        "tmp_mb": os.statvfs("/tmp").f_blocks * os.statvfs("/tmp").f_frsize >> 20,
        "endpoint": endpoint,
        "left": context.get_remaining_time_in_millis(),
    }
"""


@pytest.fixture
def machines(own_platform):
    said = subprocess.run([BINARY, "doctor", "--json"], capture_output=True, text=True).stdout
    [class_] = [finding for finding in json.loads(said)["host"] if finding["name"] == "microVM class"]
    if class_["state"] != "ok":
        pytest.skip(f"{class_['says']}; to mend it: {class_['fix']}")
    return own_platform()


def monitors():
    """The monitors of this host."""
    lines = []
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/cmdline") as line:
                lines.append(line.read())
        except OSError:
            continue
    return [line for line in lines if line.split("\0")[0].endswith("qemu-system-x86_64") and "id=channel" in line]


def call(client, event):
    """The answer and the end of the log."""
    payload, answer = invoke(client, "machine", event, LogType="Tail")
    return payload, base64.b64decode(answer["LogResult"]).decode()


def test_a_function_runs_in_a_machine_of_its_own(machines):
    client = machines.client("lambda")
    before = len(monitors())
    create(client, "machine", {"app.py": HANDLER}, Tags={"LAMBENT_ISOLATION": "microvm"}, MemorySize=1769, Timeout=20)

    first, log = call(client, {})
    assert first["kernel"] != os.uname().release, "it is the host's kernel"
    assert (first["calls"], first["file"], first["endpoint"]) == (1, 1, 200), first
    assert 500 <= first["tmp_mb"] <= 512 and 0 < first["left"] <= 20_000, first
    assert "this is call 1" in log and "Init Duration" in log, log
    assert len(monitors()) == before + 1

    second, log = call(client, {})
    assert (second["calls"], second["file"]) == (2, 2), "the machine is kept warm"
    assert "this is call 2" in log and "Init Duration" not in log, log
    used = int(log.split("Max Memory Used: ")[1].split(" ")[0])
    assert 10 <= used <= 400, f"{log}: the program's memory, not the machine's"

    client.update_function_configuration(FunctionName="machine", Timeout=6)
    late, log = call(client, {"sleep": True})
    assert late["errorType"] == "Sandbox.Timedout", (late, log)
    eventually(lambda: len(monitors()), lambda count: count == before)
    assert len(monitors()) == before, "a machine outlived its time-out"

    client.update_function_configuration(FunctionName="machine", Timeout=90, MemorySize=512)
    eaten, log = call(client, {"eat": True})
    assert eaten["errorType"] == "Runtime.OutOfMemory", (eaten, log)
    machines.stop()
    assert len(monitors()) == before, "a machine outlived the platform"

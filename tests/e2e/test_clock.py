"""The product clock, held and moved as a test of one's own application would: with boto3 and the command line."""

import json
import re
import time
import urllib.error
import urllib.request

import pytest

from platform_under_test import create, eventually, invoke

FAILING = {"app.py": "def handler(event, context):\n    print('attempt of', event['name'])\n    raise ValueError('no')\n"}
STEADY = {"app.py": "import os\nBORN = os.urandom(8).hex()\ndef handler(event, context):\n    return BORN\n"}
INSIDE = {
    "app.py": """
import json, os, urllib.error, urllib.request
def handler(event, context):
    url = os.environ["AWS_ENDPOINT_URL"] + "/_lambent/test/clock"
    try:
        request = urllib.request.Request(url, data=b'{"advanceMs": 1}', method="POST")
        return urllib.request.urlopen(request).status
    except urllib.error.HTTPError as refused:
        return [refused.code, json.loads(refused.read())["message"]]
"""
}
DAY_MS = 86_400_000


def clock(platform, control=None, headers=None):
    """Status and answer of the HTTP control."""
    data = json.dumps(control).encode() if control is not None else None
    request = urllib.request.Request(f"{platform.endpoint}/_lambent/test/clock", data=data, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def now_ms(platform):
    return clock(platform)[1]["nowMs"]


def attempts(platform, name, start_ms):
    """When the function was tried, minutes after `start_ms`."""
    logs = platform.client("logs")
    try:
        found = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}", filterPattern='"attempt of"')
    except logs.exceptions.ResourceNotFoundException:
        return []
    return [round((event["timestamp"] - start_ms) / 60_000) for event in found["events"]]


def send(platform, name):
    answer = platform.client("lambda").invoke(
        FunctionName=name, InvocationType="Event", Payload=json.dumps({"name": name})
    )
    assert answer["StatusCode"] == 202


def test_fourteen_days_pass_in_the_blink_of_an_eye(own_platform):
    platform = own_platform("--test-controls")
    functions, logs = platform.client("lambda"), platform.client("logs")
    create(functions, "failing", FAILING)
    create(functions, "steady", STEADY)
    born, _ = invoke(functions, "steady")
    assert invoke(functions, "steady")[0] == born, "the environment is kept"

    shown = platform.lambent("clock", "pause").stdout
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z, paused; next due .*\n", shown), shown
    start = now_ms(platform)
    send(platform, "failing")
    # Step by step: the first attempt belongs to this moment; the next things due are its two retries.
    platform.lambent("clock", "advance", "0s")
    assert attempts(platform, "failing", start) == [0]
    platform.lambent("clock", "step")
    assert (now_ms(platform) - start, attempts(platform, "failing", start)) == (60_000, [0, 1])
    platform.lambent("clock", "advance", "1m59s999ms")
    assert attempts(platform, "failing", start) == [0, 1]
    platform.lambent("clock", "advance", "1ms")
    assert attempts(platform, "failing", start) == [0, 1, 3], "a minute, and then two more"

    logs.create_log_group(logGroupName="/mine")
    logs.put_retention_policy(logGroupName="/mine", retentionInDays=7)
    logs.create_log_stream(logGroupName="/mine", logStreamName="s")
    events = [{"timestamp": now_ms(platform), "message": "soon gone"}]
    logs.put_log_events(logGroupName="/mine", logStreamName="s", logEvents=events)
    kept = lambda: [event["message"] for event in logs.filter_log_events(logGroupName="/mine")["events"]]
    platform.lambent("clock", "advance", "6d23h")
    assert kept() == ["soon gone"]
    begun = time.monotonic()
    shown = platform.lambent("clock", "advance", "14d").stdout
    took = time.monotonic() - begun
    print(f"14 days took {took:.3f} s, the start of the command included")
    assert "paused" in shown and took < 10
    assert now_ms(platform) - start == 180_000 + 6 * DAY_MS + 23 * 3_600_000 + 14 * DAY_MS
    assert kept() == []
    stored = logs.describe_log_groups(logGroupNamePrefix="/mine")["logGroups"][0]["storedBytes"]
    assert stored == 0, "the sweep has been"
    assert attempts(platform, "failing", start) == [0, 1, 3], "dropped after three attempts"
    # Its keep-alive is over.
    assert invoke(functions, "steady")[0] != born
    assert "running" in platform.lambent("clock", "resume").stdout
    stands = now_ms(platform)
    assert eventually(lambda: now_ms(platform), lambda now: now > stands, seconds=5) > stands


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_restart_goes_on_where_the_clock_stood(own_platform, end):
    platform = own_platform("--test-controls")
    create(platform.client("lambda"), "failing", FAILING)
    platform.lambent("clock", "pause")
    start = now_ms(platform)
    send(platform, "failing")
    platform.lambent("clock", "advance", "30s")
    getattr(platform, end)()
    platform.start()
    shown = clock(platform)[1]
    assert (shown["nowMs"] - start, shown["paused"]) == (30_000, True), "a clock never goes back"
    platform.lambent("clock", "advance", "30s")
    platform.lambent("clock", "advance", "2m")
    assert now_ms(platform) - start == 180_000
    assert attempts(platform, "failing", start)[-2:] == [1, 3]
    platform.lambent("clock", "advance", "14d")
    assert attempts(platform, "failing", start)[-1] == 3


def test_a_function_cannot_move_the_clock_nor_can_a_page(own_platform):
    platform = own_platform("--test-controls")
    create(platform.client("lambda"), "inside", INSIDE)
    assert invoke(platform.client("lambda"), "inside")[0] == [404, "no function may hold the clock"]
    before = now_ms(platform)
    for page in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert clock(platform, {"advanceMs": DAY_MS}, page)[0] == 403
    status, wrong = clock(platform, {"advanceMs": "1d"})
    assert status == 400 and "advanceMs" in wrong["message"]
    assert now_ms(platform) - before < DAY_MS / 2


def test_without_controls_there_is_no_clock_to_hold(own_platform):
    platform = own_platform()
    refused = platform.lambent("clock", "pause", check=False)
    assert refused.returncode == 1
    assert "--test-controls" in refused.stderr and "--ephemeral" in refused.stderr
    # And what was not made for tests never becomes so.
    platform.stop()
    platform.arguments = ("--test-controls",)
    with pytest.raises(AssertionError, match="did not start"):
        platform.start()
    assert "was not made for tests" in (platform.data.parent / f"{platform.data.name}.log").read_text()


def test_durations_are_whole_numbers_with_units(own_platform):
    platform = own_platform("--ephemeral")
    for wrong in ("14", "1.5h", "1w", ""):
        refused = platform.lambent("clock", "advance", wrong, check=False)
        assert refused.returncode == 2 and "14d" in refused.stderr + refused.stdout, refused
    before = now_ms(platform)
    platform.lambent("clock", "advance", "1d12h")
    assert 0 <= now_ms(platform) - before - DAY_MS * 3 / 2 < 60_000, "it ran on from there"

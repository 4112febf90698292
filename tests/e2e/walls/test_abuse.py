"""A function abuses what the platform offers inside: its environment dies or is told no; nothing else is touched."""

import base64
import contextlib
import json
import os
import pathlib
import re
import threading
import time

import pytest

from platform_under_test import Platform, create, eventually, invoke, ran, zipped

from .bystander import Bystander

HERE = pathlib.Path(__file__).parent
BOOTSTRAP = (HERE / "abuser.py").read_text()
MARK = "lambent-abuse-bystander"
# What the server may have grown by after everything is over: its allocator keeps some of what it once used.
GROWN_MB, GROWN_DESCRIPTORS = 96, 30

pytestmark = pytest.mark.skipif(not os.path.exists("/usr/bin/python3"), reason="needs the system's own python3, which every sandbox has")


def memory_mb(pid):
    with open(f"/proc/{pid}/smaps_rollup") as sums:
        return next(int(line.split()[1]) for line in sums if line.startswith("Pss:")) // 1024


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


@pytest.fixture(scope="module")
def house(workspace):
    data = workspace / "abuse"
    data.mkdir()
    running = Platform(data, "--test-controls")
    running.root_key = re.search("AWS_ACCESS_KEY_ID=([A-Z0-9]+)", running.process.stdout.readline()).group(1)
    running.bystander = Bystander(running, MARK, pause=0.1)
    client = running.client("lambda")
    abuser(client, "abuser")
    create(client, "victim", {"app.py": "import os\ndef handler(event, context):\n    import time; time.sleep(event.get('sleep', 0))\n    print('ran', context.aws_request_id)\n    return {'id': context.aws_request_id, 'key': os.environ.get('AWS_ACCESS_KEY_ID', ''), 'token': os.environ.get('AWS_SESSION_TOKEN', '')}\n"}, Timeout=20, MemorySize=256)
    eventually(lambda: running.bystander.calls, lambda calls: calls > 3)
    before = memory_mb(running.process.pid), descriptors(running.process.pid)
    yield running
    running.bystander.is_well()
    for function in client.list_functions()["Functions"]:
        if function["FunctionName"] != "bystander":
            client.delete_function(FunctionName=function["FunctionName"])
    settled = eventually(lambda: descriptors(running.process.pid), lambda now: now <= before[1] + GROWN_DESCRIPTORS, seconds=10)
    assert settled <= before[1] + GROWN_DESCRIPTORS, (before, settled)
    grown = eventually(lambda: memory_mb(running.process.pid) - before[0], lambda more: more < GROWN_MB, seconds=5)
    assert grown < GROWN_MB, f"the server grew by {grown} MB"
    running.bystander.end()
    running.stop()


def abuser(client, name, timeout=20, memory=512, **environment):
    create(client, name, {"bootstrap": BOOTSTRAP}, runtime="provided.al2023", Timeout=timeout, MemorySize=memory, Environment={"Variables": environment})


def abuse(running, way, **more):
    answer, raw = invoke(running.client("lambda"), more.pop("name", "abuser"), {"way": way, **more}, LogType="Tail")
    return answer, "FunctionError" in raw, base64.b64decode(raw["LogResult"]).decode()


@contextlib.contextmanager
def watched(running):
    """The most memory and descriptors of the server meanwhile."""
    most, over = [0, 0], threading.Event()

    def watch():
        while not over.wait(0.05):
            most[0] = max(most[0], memory_mb(running.process.pid))
            most[1] = max(most[1], descriptors(running.process.pid))

    thread = threading.Thread(target=watch)
    thread.start()
    yield most
    over.set()
    thread.join()


def test_nothing_malformed_is_taken_for_an_answer(house):
    # An invocation of another function is under way, whose id the abuser knows.
    victim = {}
    client = house.client("lambda")
    warm = invoke(client, "victim")[0]
    thread = threading.Thread(target=lambda: victim.update(answer=invoke(client, "victim", {"sleep": 3})[0]))
    thread.start()
    for _ in range(2):
        said, failed, tail = abuse(house, "malformed", other=warm["id"])
        assert not failed, (said, tail)
        # A hello of TLS has no line ends: it is a head that is waited for until its time is over.
        assert set(said.values()) - {said.pop("TLS")} <= {0, 400, 403, 404, 405, 413, 431}, said
        for name in ["another id", "an id of another environment", "an error for another environment", "no id", "a long id", "streamed"]:
            assert said[name] == 400, (name, said[name])
        assert said["init error after next"] == 403 and said["extension"] == 404 and said["negative length"] == 400
    assert abuse(house, "half_closed")[0] == [0, 0, 0, 0]
    thread.join()
    assert victim["answer"]["key"] == warm["key"] and victim["answer"]["id"] != warm["id"]


def test_an_answer_is_taken_once(house):
    answer, failed, tail = abuse(house, "twice")
    assert not failed and answer == "first"
    told = eventually(lambda: house.lambent("logs", "abuser").stdout, lambda text: "said [202, 403]" in text, seconds=10)
    assert "said [202, 403]" in told


def test_slow_and_many_connections_hold_up_nobody_else(house):
    with watched(house) as most:
        count, failed, _ = abuse(house, "slow_loris", count=60)
        assert not failed and count >= 50
        # More than are accepted: only its own runtime client may have to wait.
        abuse(house, "many_connections", count=10_000)
    assert most[0] < 400 and most[1] < 1000, most


@pytest.mark.parametrize("way", ["large_bodies_at_once", "large_heads_at_once"])
def test_a_function_cannot_have_the_server_keep_its_bytes(house, way):
    before = memory_mb(house.process.pid)
    with watched(house) as most:
        abuse(house, way)
    # Sixty of either would be 70 to 380 MB.
    assert most[0] - before < 40, f"the server grew by {most[0] - before} MB"


def test_a_flood_of_requests_leaves_others_their_share(house):
    house.bystander.slowest = 0.0
    _, failed, _ = abuse(house, "pipelined", seconds=2)
    assert house.bystander.slowest < 2 and not house.bystander.failures, (house.bystander.slowest, house.bystander.failures)


@pytest.mark.parametrize(
    "fill, times, taken",
    [("x", 10_000_000, False), ('{"a":', 1_000_000, True), ("[", 6_000_000, True), ("\0", 1000, True), ("\xff\xfe", 1000, True), ("", 0, True)],
    ids=["10 MB", "deep JSON", "deep lists", "zeros", "no UTF-8", "nothing"],
)
def test_any_error_body_is_one_failed_invocation(house, fill, times, taken):
    raw = house.client("lambda").invoke(FunctionName="abuser", Payload=json.dumps({"way": "error", "fill": fill, "times": times, "type": 5000}))
    payload = raw["Payload"].read()
    assert raw["StatusCode"] == 200 and raw["FunctionError"] == "Unhandled"
    if not taken:
        assert json.loads(payload)["errorType"] == "Function.ResponseSizeTooLarge"
    assert abuse(house, "half_closed")[1] is False, "the environment, or its successor, serves on"


def test_abuse_before_the_first_event(house):
    client = house.client("lambda")
    abuser(client, "early", WAY="before next")
    assert abuse(house, "half_closed", name="early")[0] == [0, 0, 0, 0]
    for fill, times in [("x", 3_000_000), ('{"a":', 500_000)]:
        client.update_function_configuration(FunctionName="early", Environment={"Variables": {"WAY": "large init error", "FILL": fill, "TIMES": str(times)}})
        client.get_waiter("function_updated_v2").wait(FunctionName="early", WaiterConfig={"Delay": 1, "MaxAttempts": 10})
        raw = client.invoke(FunctionName="early", Payload=b'{"way": "half_closed"}')
        assert raw["FunctionError"] == "Unhandled"
    answer, failed, _ = abuse(house, "fatal_answer_first")
    assert failed and answer["errorType"] == "Runtime.ExitError", answer
    assert abuse(house, "half_closed")[1] is False


def test_the_aws_endpoint_knows_who_speaks(house):
    client = house.client("lambda")
    other = invoke(client, "victim")[0]
    said, failed, tail = abuse(house, "aws", root_key=house.root_key, other_key=other["key"], other_token=other["token"])
    assert not failed, tail
    # What proves nothing leaves the function who it is; what is somebody else's must be proved.
    for name in ["another account's number", "a key that looks right", "a stolen-looking token", "own key, wrong signature"]:
        status, body = said[name]
        assert status == 403 or (status == 200 and "assumed-role/lambda-test/abuser" in body), (name, status, body)
    for name in ["root's key, wrong signature", "another function's key"]:
        assert said[name][0] == 403 and "SignatureDoesNotMatch" in said[name][1], said[name]
    assert said["unsigned"][0] in (200, 403)
    for name in ["test controls", "reset"]:
        assert said[name][0] >= 400, said[name]


def test_uploads_that_stop_half_way_leave_room_for_others(house):
    thread = threading.Thread(target=lambda: abuse(house, "slow_uploads", count=20, bytes=9_000_000, hold=4))
    with watched(house) as most:
        thread.start()
        time.sleep(3)
        began = time.monotonic()
        # Larger than the bodies of which only some may be in memory at a time.
        house.client("lambda").create_function(
            FunctionName="large", Runtime="provided.al2023", Role="arn:aws:iam::000000000000:role/lambda-test", Handler="x",
            Code={"ZipFile": zipped({"bootstrap": "#!/bin/sh\n", "random": os.urandom(9_000_000)})},
        )  # fmt: skip
        took = time.monotonic() - began
        thread.join()
    assert took < 3, f"a deployment took {took:.1f} s"
    assert most[0] < 900, most

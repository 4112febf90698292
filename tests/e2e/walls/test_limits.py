"""What a function may use, what it is told when it wants more, and that nobody else pays for it."""

import base64
import ctypes
import os
import pathlib
import re

import pytest
from botocore.exceptions import ClientError

from platform_under_test import create, eventually, invoke

from .bystander import Bystander
from .host import children

CODE = {"app.py": (pathlib.Path(__file__).parent / "greedy.py").read_text()}
MARK = "lambent-limits-bystander"


@pytest.fixture(scope="module")
def house(workspace):
    from platform_under_test import Platform

    data = workspace / "limits"
    data.mkdir()
    running = Platform(data)
    running.bystander = Bystander(running, MARK, pause=0.2)
    client = running.client("lambda")
    for name, memory in [("small", 128), ("large", 1769)]:
        create(client, name, CODE, Timeout=25, MemorySize=memory)
    create(client, "short", CODE, Timeout=2, MemorySize=512)
    yield running
    running.bystander.is_well()
    running.bystander.end()
    running.stop()


def ask(running, name, way, **more):
    answer, raw = invoke(running.client("lambda"), name, {"way": way, "seconds": 2, **more}, LogType="Tail")
    return answer, raw, base64.b64decode(raw["LogResult"]).decode()


def limited(running):
    """Skips where this host gives no cgroups: `doctor` says so, and each process is held by a limit of its own instead."""
    said = running.lambent("doctor", check=False).stdout
    if not re.search(r"memory limit\W+(holds\W+)?cgroup", said):
        pytest.skip("no memory cgroup on this host")


@pytest.mark.parametrize("way", ["alone", "by_children", "memfd", "shared_map", "unix_sockets"])
def test_more_memory_than_the_limit_ends_the_environment(house, way):
    limited(house)
    answer, raw, tail = ask(house, "small", way)
    request = raw["ResponseMetadata"]["RequestId"]
    message = f"RequestId: {request} Error: Runtime exited with error: signal: killed"
    assert raw["FunctionError"] == "Unhandled" and answer == {"errorType": "Runtime.OutOfMemory", "errorMessage": message}
    assert f"\n{message}\nRuntime.OutOfMemory\nEND RequestId: {request}\nREPORT RequestId: {request}\t" in tail, tail
    assert "\tMemory Size: 128 MB\tMax Memory Used: 128 MB\t" in tail and "\tStatus: error\tError Type: Runtime.OutOfMemory\t" in tail, tail


@pytest.mark.parametrize("way, most_mb", [("tcp_sockets", 192), ("udp_sockets", 192), ("pipes", 192)])
def test_what_lies_in_the_kernel_counts_too(house, way, most_mb):
    limited(house)
    answer, raw, _ = ask(house, "small", way)
    if "FunctionError" in raw:
        assert answer["errorType"] == "Runtime.OutOfMemory", answer
    else:
        assert answer < most_mb, f"{answer} MB in a function of 128 MB"


def test_scratch_space_has_its_size_and_no_more(house):
    megabytes, error = ask(house, "large", "tmp")[0]
    assert 480 <= megabytes <= 530 and error in ("No space left on device", "Disk quota exceeded"), (megabytes, error)
    megabytes, error = ask(house, "large", "shm")[0]
    assert megabytes <= 64 and error == "No space left on device"


def test_processes_threads_and_descriptors_are_those_of_lambda(house):
    # 1,024 of each, the runtime's own included. Source: AWS Lambda developer guide, "Lambda quotas".
    count, error = ask(house, "large", "threads")[0]
    assert 1018 <= count <= 1023 and error == "can't start new thread"
    # The threads that sleep on are the first ones to be in the way of others.
    answer, raw, _ = ask(house, "large", "outlive", then="exit")
    assert answer["errorType"] in ("Runtime.ExitError", "BlockingIOError"), answer
    count, error = ask(house, "large", "forks")[0]
    assert count <= 1023 and error == "Resource temporarily unavailable", (count, error)
    count, error = ask(house, "large", "descriptors")[0]
    assert 1010 <= count < 1024 and error == "Too many open files"


def test_the_host_keeps_what_it_may_watch_files_with(house):
    # The kernel counts these for the maker of a user namespace too, who must not be the host's root.
    assert ask(house, "small", "watches")[0] > 0
    one = ctypes.CDLL(None, use_errno=True).inotify_init1(0)
    assert one >= 0, os.strerror(ctypes.get_errno())
    os.close(one)


@pytest.mark.parametrize("then", ["sleep", "exit", "kill all"])
def test_nothing_outlives_its_environment(house, then):
    before = len(children(house.process.pid))
    answer, raw, tail = ask(house, "short", "outlive", then=then)
    request = raw["ResponseMetadata"]["RequestId"]
    if then == "sleep":
        message = f"RequestId: {request} Error: Task timed out after 2.00 seconds"
        assert answer == {"errorType": "Sandbox.Timedout", "errorMessage": message}
        assert re.search(rf"\n\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z {request} Task timed out after 2\.00 seconds\n", tail), tail
        assert "\tStatus: timeout\t" in tail
    else:
        # Killing all is killing all others; the first process is not among them.
        why = "exit status 7"
        assert answer == {"errorType": "Runtime.ExitError", "errorMessage": f"RequestId: {request} Error: Runtime exited with error: {why}"}
        assert f"\nRequestId: {request} Error: Runtime exited with error: {why}\nRuntime.ExitError\n" in tail
    left = eventually(lambda: len(children(house.process.pid)) - before, lambda more: more < 10, seconds=10)
    assert left < 10, f"{left} processes live on"


def test_one_that_closes_its_output_still_answers(house):
    for _ in range(2):
        answer, raw, tail = ask(house, "small", "silent")
        if "FunctionError" in raw:
            # The second time there is nothing left to write to: an error of the function's own.
            assert answer["errorType"] in ("OSError", "Runtime.ExitError"), answer
        else:
            assert answer == "still here"
        assert "REPORT RequestId" in tail
    assert ask(house, "large", "answer", bytes=3)[0] == "aaa"


def test_floods_and_long_lines_are_taken_in_pieces(house):
    assert ask(house, "large", "flood")[0] == "done"
    assert ask(house, "large", "long_line", bytes=3_000_000)[0] == "done"
    pages = house.client("logs").get_paginator("filter_log_events")

    def find():
        found = pages.paginate(logGroupName="/aws/lambda/large", filterPattern='"zzzzz"')
        return [event for page in found for event in page["events"]]

    found = eventually(find, lambda events: sum(len(e["message"].strip()) for e in events) >= 3_000_000, seconds=10)
    sizes = [len(event["message"].strip()) for event in found]
    assert sum(sizes) == 3_000_000 and max(sizes) <= 262_144, sizes


def test_payloads_have_their_limits(house):
    client = house.client("lambda")
    answer, raw, _ = ask(house, "large", "answer", bytes=6_291_556 - 2)
    assert "FunctionError" not in raw and len(answer) == 6_291_554
    answer, raw, _ = ask(house, "large", "answer", bytes=6_291_556 - 1)
    assert raw["FunctionError"] == "Unhandled" and answer["errorType"] == "Function.ResponseSizeTooLarge"
    assert answer["errorMessage"] == "Response payload size exceeded maximum allowed payload size (6291556 bytes)."
    for kind, limit in [("RequestResponse", 6_291_456), ("Event", 1_048_576)]:
        with pytest.raises(ClientError) as refused:
            client.invoke(FunctionName="large", InvocationType=kind, Payload=b'"' + b"x" * (limit - 1) + b'"')
        error = refused.value.response
        assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == ("RequestEntityTooLargeException", 413)
        assert str(limit) in error["Error"]["Message"], error["Error"]["Message"]

"""Idle means idle: nothing in the platform wakes when nothing is due."""

import pathlib
import re
import time

import pytest

from platform_under_test import create, invoke

SECONDS = 10
HELLO = {"app.py": "def handler(event, context):\n    return event\n"}


def text(path):
    """A file of /proc; nothing when its thread has just ended."""
    try:
        return path.read_text()
    except OSError:
        return ""


def family(pid):
    """A process and all below it."""
    found = [pid]
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*"):
        for child in text(task / "children").split():
            found += family(int(child))
    return found


def wakes(pid):
    """How often each thread has gone to sleep by itself so far; one that never wakes never does."""
    counts = {}
    for process in family(pid):
        for task in pathlib.Path(f"/proc/{process}/task").glob("*"):
            lines = dict(line.split(":\t") for line in text(task / "status").splitlines() if ":\t" in line)
            if lines:
                counts[f"{process}/{task.name} {lines['Name']}"] = int(lines["voluntary_ctxt_switches"])
    return counts


def woken(pid):
    before = wakes(pid)
    time.sleep(SECONDS)
    after = wakes(pid)
    return {thread: after[thread] - before.get(thread, 0) for thread in after if after[thread] != before.get(thread, 0)}


@pytest.mark.parametrize("deployed", [0, 100])
def test_nothing_wakes_when_nothing_is_due(own_platform, deployed):
    platform = own_platform()
    functions = platform.client("lambda")
    for n in range(deployed):
        create(functions, f"idle-{n}", HELLO)
    # What follows a start or a deployment: a volume is formatted, tables are written, threads for reading retire.
    deadline = time.monotonic() + 60
    while (seen := woken(platform.process.pid)) and time.monotonic() < deadline:
        pass
    print(f"{deployed} functions: woken in {SECONDS} s: {seen or 'nothing'}")
    assert not seen


def test_a_kept_environment_costs_no_wake_ups_either(own_platform):
    platform = own_platform()
    functions = platform.client("lambda")
    create(functions, "kept", HELLO)
    invoke(functions, "kept")
    deadline = time.monotonic() + 60
    while (seen := woken(platform.process.pid)) and time.monotonic() < deadline:
        pass
    print(f"a kept environment: woken in {SECONDS} s: {seen or 'nothing'}")
    assert not seen


def proportional_mib(pid):
    """Memory of a process and all below it, what is shared divided among those who share it."""
    rollups = [text(pathlib.Path(f"/proc/{process}/smaps_rollup")) for process in family(pid)]
    return sum(int(found.group(1)) for rollup in rollups if (found := re.search(r"Pss:\s+(\d+)", rollup))) / 1024


def test_an_idle_platform_is_small(own_platform):
    platform = own_platform()
    # Until what only the start needed is given back.
    deadline = time.monotonic() + 60
    while (seen := proportional_mib(platform.process.pid)) > 12 and time.monotonic() < deadline:
        time.sleep(0.2)
    print(f"an idle platform: {seen:.1f} MiB")
    assert seen <= 12

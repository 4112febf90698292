"""`lambent top`: what the functions do, for people in a terminal and for programs."""

import json
import os
import pty
import select
import signal
import subprocess
import termios
import threading
import time
import urllib.error
import urllib.request

import pytest

from platform_under_test import BINARY, create, eventually, invoke

CODE = """
import time
def handler(event, context):
    if event.get('raise'):
        raise ValueError('asked to')
    end = time.perf_counter() + event.get('busy', 0)
    while time.perf_counter() < end:
        pass
    time.sleep(event.get('wait', 0))
    return event
"""
ASKS = """
import os, urllib.error, urllib.request
def handler(event, context):
    asked = urllib.request.Request(os.environ['AWS_ENDPOINT_URL'] + '/_lambent/top')
    try:
        return urllib.request.urlopen(asked).status
    except urllib.error.HTTPError as error:
        return error.code
"""


def top(platform, *arguments):
    return json.loads(platform.lambent("top", "--once", "--json", "--interval", "0.5", *arguments).stdout)


def named(snapshot):
    return {row["function"]: row for row in snapshot["functions"]}


def test_a_look_counts_what_ran_failed_and_was_refused(own_platform):
    platform = own_platform()
    client = platform.client("lambda")
    for name in ["top-runs", "top-errs", "top-full", "top-kept"]:
        create(client, name, {"app.py": CODE})
    assert named(top(platform)) == {}, "nothing was invoked"
    client.put_function_concurrency(FunctionName="top-full", ReservedConcurrentExecutions=0)
    for _ in range(3):
        with pytest.raises(client.exceptions.TooManyRequestsException):
            invoke(client, "top-full")
    for _ in range(4):
        invoke(client, "top-errs", {"raise": True})
    invoke(client, "top-errs")
    invoke(client, "top-runs", {"busy": 0.2})
    for _ in range(9):
        invoke(client, "top-runs")
    held = threading.Thread(target=lambda: invoke(client, "top-kept", {"wait": 8}))
    held.start()
    seen = eventually(lambda: top(platform), lambda seen: named(seen)["top-kept"]["environments"]["busy"] == 1)
    rows = named(seen)
    assert rows["top-kept"]["environments"] == {"starting": 0, "idle": 0, "frozen": 0, "busy": 1, "provisioned": 0}
    assert rows["top-full"]["total"]["throttles"] == 3 and rows["top-full"]["total"]["invocations"] == 0
    assert rows["top-errs"]["total"]["errors"] == 4 and rows["top-errs"]["total"]["invocations"] == 5
    runs = rows["top-runs"]
    idle = {"starting": 0, "idle": 1, "frozen": runs["environments"]["frozen"], "busy": 0, "provisioned": 0}
    assert runs["environments"] == idle and idle["frozen"] in (0, 1)
    assert runs["total"]["invocations"] == 10 and runs["total"]["errors"] == 0 and runs["total"]["coldStarts"] == 1
    assert runs["total"]["cpuUserMs"] + runs["total"]["cpuSystemMs"] >= 10, runs
    assert runs["memory"]["limitMb"] == 128 and 1 << 20 < runs["memory"]["peakBytes"] <= 128 << 20
    assert 1 << 20 < runs["memory"]["privateBytes"] <= 16 << 20, runs["memory"]
    assert rows["top-full"]["memory"]["privateBytes"] == 0, "nothing runs, nothing is held"
    phases = runs["phases"]
    assert [phases[name]["count"] for name in ["queue", "sandbox", "init", "handler"]] == [10, 1, 1, 10]
    assert phases["handler"]["p50Ms"] < 100 < phases["handler"]["p99Ms"] and phases["init"]["p50Ms"] > 0
    assert seen["running"] == 1 and seen["waiting"] == 0 and seen["environments"] >= 3
    total = seen["total"]
    assert (total["invocations"], total["errors"], total["throttles"]) == (15, 4, 3)
    held.join()
    assert sorted(named(top(platform, "--function", "top-?uns"))) == ["top-runs"]
    assert sorted(named(top(platform, "--function", "errs"))) == ["top-errs"]
    ordered = [row["function"] for row in top(platform, "--sort", "handler")["functions"]]
    assert ordered[:2] == ["top-kept", "top-runs"], ordered
    assert [row["function"] for row in top(platform, "--sort", "name")["functions"]] == sorted(rows)
    client.delete_function(FunctionName="top-errs")
    after = top(platform)
    assert "top-errs" not in named(after) and after["total"]["invocations"] == 16, "the total keeps what is deleted"


def test_rates_are_seen_while_functions_run(platform, functions):
    create(functions, "top-rate", {"app.py": CODE})
    invoke(functions, "top-rate")
    going = True

    def run():
        while going:
            invoke(functions, "top-rate")

    caller = threading.Thread(target=run)
    caller.start()
    try:
        # A line a look, although stdout is a pipe.
        command = [str(BINARY), "--endpoint", platform.endpoint, "top", "--json", "--interval", "0.5", "--function", "top-rate"]
        following = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        looks = [json.loads(following.stdout.readline()) for _ in range(3)]
        following.terminate()
        following.wait()
        following.stdout.close()
    finally:
        going = False
        caller.join()
    for look in looks:
        (row,) = look["functions"]
        assert row["perSecond"]["invocations"] > 1 and row["phases"]["handler"]["recent"], row
        assert abs(look["intervalMs"] - 500) < 400 and look["perSecond"]["invocations"] >= row["perSecond"]["invocations"]
    assert looks[0]["functions"][0]["total"]["invocations"] < looks[2]["functions"][0]["total"]["invocations"]


def test_a_table_where_there_is_no_terminal(platform, functions):
    create(functions, "top-table", {"app.py": CODE})
    invoke(functions, "top-table")
    said = platform.lambent("top", "--interval", "0.1").stdout
    assert "FUNCTION" in said and "HANDLER MS" in said and "\x1b" not in said
    row = next(line for line in said.splitlines() if "top-table " in line).split()
    assert row[1:3] == ["0", "1"] and row[4:6] == ["0", "0"] and row[7:10] == ["1", "0", "0"], row
    done = platform.lambent("top", "--interval", "0", check=False)
    assert done.returncode != 0 and "0.1 to 3600" in done.stderr


def test_provisioned_environments_are_told_apart(platform, functions):
    create(functions, "top-ready", {"app.py": CODE})
    version = functions.publish_version(FunctionName="top-ready")["Version"]
    functions.put_provisioned_concurrency_config(FunctionName="top-ready", Qualifier=version, ProvisionedConcurrentExecutions=2)
    look = lambda: [row["environments"] for row in top(platform, "--function", "top-ready")["functions"] if row["version"] == version]
    assert eventually(look, lambda seen: seen and seen[0]["provisioned"] == 2)[0]["idle"] == 2
    functions.delete_provisioned_concurrency_config(FunctionName="top-ready", Qualifier=version)


@pytest.mark.parametrize("end", [b"q", b"\x03", signal.SIGTERM])
def test_a_terminal_is_given_back_as_it_was(platform, functions, end):
    if end == b"q":
        create(functions, "top-shown", {"app.py": CODE})
        invoke(functions, "top-shown")
    mine, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 200))
    before = termios.tcgetattr(theirs)

    def own_terminal():
        os.setsid()
        import fcntl

        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    command = [str(BINARY), "--endpoint", platform.endpoint, "top", "--interval", "0.2", "--function", "top-shown"]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=own_terminal)
    said = b""

    def read():
        nonlocal said
        while select.select([mine], [], [], 0)[0]:
            said += os.read(mine, 65536)
        return said

    eventually(read, lambda seen: seen.count(b"top-shown") >= 3)
    assert b"\x1b[?1049h" in said and said.count(b"top-shown") >= 3, said
    assert termios.tcgetattr(theirs) != before, "keys are read one by one"
    if isinstance(end, bytes):
        os.write(mine, end)
    else:
        process.send_signal(end)
    assert process.wait(timeout=10) == 0
    assert read().endswith(b"\x1b[?7h\x1b[?25h\x1b[?1049l")
    assert termios.tcgetattr(theirs) == before
    os.close(mine)
    os.close(theirs)


def test_only_who_would_be_believed_sees_it(platform, functions):
    create(functions, "top-asks", {"app.py": ASKS})
    assert invoke(functions, "top-asks")[0] == 404, "no function sees what others do"

    def status(**headers):
        asked = urllib.request.Request(f"{platform.endpoint}/_lambent/top", headers=headers)
        try:
            with urllib.request.urlopen(asked) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    assert status() == 200
    assert status(host="evil.example") == 403, "a name that somebody pointed here"
    assert status(origin="http://evil.example") == 403, "a page of another origin"


def test_an_account_with_keys_answers_its_root_alone(own_platform):
    platform = own_platform()
    iam = platform.client("iam")
    iam.create_user(UserName="looker")
    key = iam.create_access_key(UserName="looker")["AccessKey"]
    done = platform.lambent("top", "--once", "--interval", "0.1", check=False)
    assert done.returncode != 0, "unsigned callers are not believed any more"
    own = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    done = platform.lambent("top", "--once", "--interval", "0.1", check=False, environment=own)
    assert done.returncode != 0 and "root" in done.stderr, done.stderr


def test_looking_leaves_nothing_behind_that_wakes(own_platform):
    from test_idle import woken

    platform = own_platform()
    client = platform.client("lambda")
    create(client, "top-idle", {"app.py": CODE})
    invoke(client, "top-idle")
    top(platform)
    deadline = time.monotonic() + 60
    while (seen := woken(platform.process.pid)) and time.monotonic() < deadline:
        pass
    assert not seen

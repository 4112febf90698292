"""SnapStart: a published version is initialized once, and its environments begin with what that made."""

import base64
import concurrent.futures
import json
import os
import re
import threading

import pytest
from botocore.exceptions import ClientError

from platform_under_test import ROLE, Platform, eventually, invoke, zipped

# The first that AWS takes. Where the host has none so new, an older one stands in.
RUNTIME = "python3.12"
# How many restores are compared; `make soak` asks for 10,000.
RESTORES = int(os.environ.get("LAMBENT_RESTORES", "100"))

INIT = """
import json, os, random, secrets, ssl, sys, tempfile, time, uuid
from snapshot_restore_py import register_after_restore, register_before_snapshot

random.seed(1)
ssl.RAND_bytes(8)
SEEN, BORN, ENDED = [], (os.getpid(), time.time()), os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE")
TABLE = {str(number): number for number in range(50_000)}
next(tempfile._get_candidate_names())
open("/tmp/made", "w").write("by INIT")
MADE = open("/tmp/made")
MADE.read(3)

@register_before_snapshot
def before():
    SEEN.append("before")

@register_after_restore
def after(*words):
    SEEN.append("after")

def draw():
    return {
        "random": random.random(), "bits": random.getrandbits(64), "urandom": os.urandom(8).hex(), "uuid": str(uuid.uuid4()),
        "uuid1": str(uuid.uuid1()), "secret": secrets.token_hex(8), "ssl": ssl.RAND_bytes(8).hex(),
        "file": next(tempfile._get_candidate_names()), "system": random.SystemRandom().getrandbits(64),
    }
"""

LOOK = """
import subprocess
SCRIPT = r'''
id; pwd; umask; ulimit -a; ls -l / /var/task /opt 2>&1 | sed 's/[0-9][0-9]:[0-9][0-9]//; s/^dr-xr-xr-x *[0-9]*//'
grep -E '^(Cap|NoNew|Seccomp|Uid|Gid|Groups|Sig)' /proc/self/status
for space in user mnt pid net ipc uts cgroup; do test -e /proc/self/ns/$space && echo has $space; done
df -m /tmp | tail -1 | tr -s ' ' | cut -d' ' -f2
cut -d' ' -f5- /proc/self/mountinfo | sed 's/,uid=.*//; s/master:[0-9]*//; s/subvolid=[0-9]*.*//' | grep -v snapshot | sort
(echo x > /var/task/x) 2>/dev/null && echo WRITTEN; (echo x > /x) 2>/dev/null && echo WRITTEN
(echo x > /var/lang/snapshot) 2>/dev/null && echo WRITTEN; rm -f /var/lang/snapshot 2>/dev/null && test -e /var/lang/snapshot && echo REMOVED
cat /proc/1/environ /proc/1/maps 2>&1 | head -2; kill -9 1 2>/dev/null; ps 2>/dev/null | wc -l
unshare -r true 2>&1 | head -1; mount -t tmpfs x /tmp 2>&1 | head -1; hostname; cat /proc/net/dev | wc -l
'''

def handler(event, context):
    look = subprocess.run(["/bin/sh", "-c", SCRIPT], capture_output=True, text=True).stdout
    return {"look": look, "argv": sys.argv, "exe": os.readlink("/proc/self/exe"), "fds": sorted(os.listdir("/proc/self/fd"))}
"""


@pytest.fixture(scope="module")
def snapping(workspace):
    data = workspace / "snapping"
    data.mkdir()
    running = Platform(data, "--allow-older-runtimes", "--test-controls")
    yield running
    running.stop()


@pytest.fixture
def functions(snapping):
    return snapping.client("lambda")


def publish(functions, name, code, wait=True, **more):
    """Makes a function under SnapStart and its version 1."""
    more = {"MemorySize": 256, "Timeout": 20, "SnapStart": {"ApplyOn": "PublishedVersions"}, **more}
    functions.create_function(
        FunctionName=name, Runtime=RUNTIME, Role=ROLE, Handler="app.handler", Code={"ZipFile": zipped({"app.py": code})}, **more
    )
    made = functions.publish_version(FunctionName=name)
    assert (made["State"], made["StateReasonCode"]) == ("Pending", "Creating")
    assert made["SnapStart"] == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"}
    return settled(functions, name) if wait else made


def settled(functions, name):
    described = lambda: functions.get_function_configuration(FunctionName=name, Qualifier="1")
    return eventually(described, lambda seen: seen["State"] != "Pending")


def call(functions, name):
    """What it answers, and its log."""
    answer, whole = invoke(functions, name, LogType="Tail")
    return answer, base64.b64decode(whole["LogResult"]).decode()


def test_latest_is_restored_where_a_tag_asks_for_it(snapping, functions):
    folder = snapping.data / "snapshots"
    before = set(os.listdir(folder))
    code = INIT + """
def handler(event, context):
    if event == "end":
        os._exit(0)
    return {"seen": SEEN, "type": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], "version": context.function_version, **draw()}
"""
    more = {"MemorySize": 256, "Timeout": 20, "SnapStart": {"ApplyOn": "PublishedVersions"}}
    create = lambda tags: functions.create_function(
        FunctionName="snap-latest", Runtime=RUNTIME, Role=ROLE, Handler="app.handler", Code={"ZipFile": zipped({"app.py": code})}, Tags=tags, **more
    )
    with pytest.raises(ClientError, match="LAMBENT_SNAPSTART may be published or latest, not 'always'"):
        create({"LAMBENT_SNAPSTART": "always"})
    create({"LAMBENT_SNAPSTART": "latest"})
    eventually(lambda: set(os.listdir(folder)) - before, bool)

    def look():
        """One that came a moment too early ran INIT, and ends."""
        answer, log = call(functions, "snap-latest")
        if "RESTORE_REPORT Restore Duration" not in log:
            invoke(functions, "snap-latest", "end")
        return answer, log

    answer, _ = eventually(look, lambda seen: "RESTORE_REPORT Restore Duration" in seen[1])
    assert (answer["seen"], answer["type"], answer["version"]) == (["before", "after"], "snap-start", "$LATEST")
    functions.delete_function(FunctionName="snap-latest")
    eventually(lambda: set(os.listdir(folder)) - before, lambda left: not left)


def test_a_restored_environment_goes_on_where_init_ended(functions):
    code = INIT + """
def handler(event, context):
    return {
        "seen": SEEN, "born": BORN, "pid": os.getpid(), "type": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], "ended": ENDED,
        "sum": sum(TABLE.values()), "rest": MADE.read(), "tmp": os.listdir("/tmp"), "own": os.environ["OWN"],
        "names": sorted(os.environ), "stream": context.log_stream_name, "version": context.function_version,
    }
"""
    made = publish(functions, "snap-goes-on", code, Environment={"Variables": {"OWN": "mine"}})
    functions.get_waiter("published_version_active").wait(FunctionName="snap-goes-on", Qualifier="1")
    assert made["SnapStart"]["OptimizationStatus"] == "On", made
    assert functions.get_function_configuration(FunctionName="snap-goes-on")["SnapStart"]["OptimizationStatus"] == "Off"
    answer, log = call(functions, "snap-goes-on:1")
    assert answer["seen"] == ["before", "after"] and answer["type"] == answer["ended"] == "snap-start"
    assert answer["pid"] != answer["born"][0] and answer["sum"] == sum(range(50_000))
    assert (answer["rest"], answer["tmp"], answer["own"]) == ("INIT", ["made"], "mine")
    assert answer["stream"] is None and answer["version"] == "1"
    assert not {"_LAMBENT_SNAPSHOT", "AWS_ACCESS_KEY_ID", "AWS_LAMBDA_LOG_STREAM_NAME"} & set(answer["names"])
    number = r"[0-9]+\.[0-9]{2} ms"
    assert re.search(r"RESTORE_START Runtime Version: python:3\.12\.v1\tRuntime Version ARN: arn:aws:lambda:us-east-1::runtime:", log), log
    assert re.search(f"RESTORE_REPORT Restore Duration: {number}", log), log
    assert re.search(rf"Restore Duration: {number}\tBilled Restore Duration: [0-9]+ ms\tPhases: .* restore {number}", log), log
    assert "Init Duration" not in log
    # The next event finds it warm, and another environment begins at the same moment.
    again, log = call(functions, "snap-goes-on:1")
    assert again["seen"] == ["before", "after"] and again["pid"] == answer["pid"] and "Restore" not in log
    assert again["born"] == answer["born"]


def test_restored_environments_have_nothing_random_in_common(functions):
    code = INIT + """
def handler(event, context):
    print("DRAWN" + json.dumps(draw()), flush=True)
    os._exit(0)
"""
    assert publish(functions, "snap-unique", code)["SnapStart"]["OptimizationStatus"] == "On"

    def restore(_):
        done = functions.invoke(FunctionName="snap-unique:1", LogType="Tail")
        log = base64.b64decode(done["LogResult"]).decode()
        assert "RESTORE_REPORT Restore Duration" in log, log
        return json.loads(re.search("DRAWN(.*)", log).group(1))

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        drawn = list(pool.map(restore, range(RESTORES)))
    for what in drawn[0]:
        assert len({one[what] for one in drawn}) == RESTORES, what


def test_a_restored_environment_has_the_same_walls(functions):
    publish(functions, "snap-walls", INIT + LOOK)
    fresh, restored = call(functions, "snap-walls")[0], call(functions, "snap-walls:1")[0]
    assert "WRITTEN" not in restored["look"] and "REMOVED" not in restored["look"]
    assert "CapEff:\t0000000000000000" in restored["look"] and "NoNewPrivs:\t1" in restored["look"]
    assert restored["look"].splitlines() == fresh["look"].splitlines()
    assert (restored["argv"], restored["exe"], restored["fds"]) == (fresh["argv"], fresh["exe"], fresh["fds"])


def test_open_files_and_loops_of_init_are_there_again(functions):
    code = """
import asyncio, os, select, socket
LOOP = asyncio.new_event_loop()
READ, WRITE = os.pipe()
ONE, OTHER = socket.socketpair()
SERVER = socket.create_server(("127.0.0.1", 0))
CLIENT = socket.create_connection(SERVER.getsockname())
FILE = open("/var/task/app.py")
FIRST = FILE.read(8)

async def later():
    await asyncio.sleep(0.001)
    return "slept"

def handler(event, context):
    os.write(WRITE, b"through a pipe")
    ONE.sendall(b"through a pair")
    try:
        CLIENT.sendall(b"x")
        lost = False
    except OSError:
        lost = True
    return [LOOP.run_until_complete(later()), os.read(READ, 99).decode(), OTHER.recv(99).decode(), lost, FILE.read(7)]
"""
    made = publish(functions, "snap-files", code)
    assert made["SnapStart"]["OptimizationStatus"] == "On", made
    answer, log = call(functions, "snap-files:1")
    assert answer == ["slept", "through a pipe", "through a pair", True, "asyncio"] and "Restore Duration" in log


def test_what_cannot_be_snapshotted_says_why_and_runs_as_ever(functions):
    code = """
import os, threading, time
threading.Thread(target=time.sleep, args=(600,), daemon=True).start()

def handler(event, context):
    return [os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], threading.active_count()]
"""
    made = publish(functions, "snap-threads", code)
    assert made["State"] == "Active" and made["SnapStart"] == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}
    assert made["StateReason"] == "SnapStart is off for this version: it has 2 threads after INIT, and a snapshot holds one"
    answer, log = call(functions, "snap-threads:1")
    assert answer == ["on-demand", 2] and "Init Duration" in log and "Restore" not in log
    code = "import subprocess\nsubprocess.Popen(['sleep', '600'])\ndef handler(event, context):\n    return 1\n"
    assert "other processes" in publish(functions, "snap-children", code)["StateReason"]


def test_an_init_that_fails_is_told_by_the_versions_state(functions):
    made = publish(functions, "snap-broken", "raise ValueError('no')\n")
    assert (made["State"], made["StateReasonCode"]) == ("Failed", "FunctionError.RuntimeInitError")
    assert made["StateReason"] == "The function failed to initialize: ValueError"
    with pytest.raises(ClientError) as refused:
        functions.invoke(FunctionName="snap-broken:1")
    assert refused.value.response["Error"]["Code"] == "ResourceConflictException"
    before = "from snapshot_restore_py import register_before_snapshot as hook\n@hook\ndef no():\n    raise ValueError()\ndef handler(e, c): pass\n"
    made = publish(functions, "snap-before", before)
    assert made["StateReason"] == "The function failed to initialize: Runtime.BeforeSnapshotError"
    exits = publish(functions, "snap-exits", "import os\nos._exit(1)\n")
    assert (exits["State"], exits["StateReasonCode"]) == ("Failed", "FunctionError")


def test_hooks_that_fail_or_take_too_long_are_told_as_on_aws(functions):
    hook = "import time\nfrom snapshot_restore_py import register_after_restore as hook\n@hook\ndef after():\n    {}\ndef handler(e, c): pass\n"
    for name, does, code, status in [
        ("snap-after", "raise ValueError('no')", "SnapStartException", 400),
        ("snap-slow", "time.sleep(60)", "SnapStartTimeoutException", 408),
    ]:
        made = publish(functions, name, hook.format(does))
        assert made["SnapStart"]["OptimizationStatus"] == "On"
        with pytest.raises(ClientError) as refused:
            functions.invoke(FunctionName=f"{name}:1")
        response = refused.value.response
        assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)


def test_credentials_are_asked_for_anew(functions):
    code = """
import json, os, urllib.request

def ask(token):
    request = urllib.request.Request(os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"], headers={"Authorization": token})
    try:
        return json.load(urllib.request.urlopen(request))
    except urllib.error.HTTPError as error:
        return error.code

FIRST = ask(os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"])

def handler(event, context):
    return [FIRST, ask(os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"]), ask("another")]
"""
    publish(functions, "snap-credentials", code)
    first, now, another = call(functions, "snap-credentials:1")[0]
    assert set(first) == set(now) == {"AccessKeyId", "SecretAccessKey", "Token", "Expiration"} and another == 403
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", now["Expiration"])


def test_memory_is_shared_and_counted(snapping, functions):
    code = "import time\nDATA = bytes(range(256)) * 4096 * 64\ndef handler(event, context):\n    time.sleep(1)\n    return sum(DATA[::4096])\n"
    publish(functions, "snap-memory", code)
    barrier = threading.Barrier(4)

    def together(_):
        barrier.wait()
        return call(functions, "snap-memory:1")

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        logs = [log for _, log in pool.map(together, range(4))]
    used = [int(re.search(r"Max Memory Used: (\d+) MB", log).group(1)) for log in logs]
    assert all(mb >= 64 for mb in used), used
    seen = json.loads(snapping.lambent("top", "--once", "--json", "--interval", "0.5").stdout)
    version = next(one for one in seen["functions"] if one["function"] == "snap-memory")
    assert version["environments"]["idle"] == 4 and version["memory"]["privateBytes"] < 4 * (30 << 20), version
    assert version["phases"]["restore"]["count"] == 4 and version["phases"]["init"] is None


def test_snapshots_outlive_the_platform(own_platform):
    platform = own_platform("--allow-older-runtimes")
    code = "import time\nBORN = time.time()\ndef handler(event, context):\n    return BORN\n"
    publish(platform.client("lambda"), "snap-restart", code)
    born, _ = call(platform.client("lambda"), "snap-restart:1")
    platform.stop()
    platform.start()
    functions = platform.client("lambda")
    again, log = call(functions, "snap-restart:1")
    assert again == born and "Restore Duration" in log
    # One that is spoilt is made anew, and nobody waits for that.
    [snapshot] = (platform.data / "snapshots").iterdir()
    platform.stop()
    snapshot.write_bytes(snapshot.read_bytes()[:-1])
    platform.start()
    functions = platform.client("lambda")
    anew, log = call(functions, "snap-restart:1")
    assert anew > born and "initialized anew" in log and "Init Duration" in log
    eventually(lambda: len(snapshot.read_bytes()), lambda size: size > 0)

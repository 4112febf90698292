"""An environment stands still between events: what a function leaves running goes on with the next one, and costs nothing meanwhile."""

import json
import os
import pathlib
import time

import pytest

from platform_under_test import NOBODY, create, eventually, invoke, node_runtime
from test_hosts import doctor
from test_idle import family, text
from test_web_functions import Site, web, websocket_of

# Counts beside the handler, a hundred times a second, and in a process of its own. `wait` holds the handler.
PYTHON = """import os, subprocess, threading, time
ticks = 0

def count():
    global ticks
    while True:
        time.sleep(0.01)
        ticks += 1

threading.Thread(target=count, daemon=True).start()
child = subprocess.Popen(["sh", "-c", "while :; do sleep 0.01; echo; done"], stdout=open("/tmp/child", "wb"))

def handler(event, context):
    time.sleep(event.get("wait", 0))
    return {"ticks": ticks, "child": os.path.getsize("/tmp/child")}
"""
NODE = """let ticks = 0;
setInterval(() => { ticks += 1; }, 10);
export const handler = async (event) => {
  await new Promise((done) => setTimeout(done, 1000 * (event.wait ?? 0)));
  return { ticks };
};
"""
SPIN = """import threading

def spin():
    while True:
        pass

threading.Thread(target=spin, daemon=True).start()

def handler(event, context):
    return event
"""
HELLO = "def handler(event, context):\n    return event\n"


def environments(platform, name):
    """How many of a function's environments are idle, frozen and busy."""
    seen = json.loads(platform.lambent("top", "--once", "--json", "--function", name).stdout)["functions"]
    return seen[0]["environments"] if seen else {}


def until_frozen(platform, name, count=1):
    seen = eventually(lambda: environments(platform, name), lambda seen: seen.get("frozen") == count)
    assert seen["frozen"] == count, seen


def cpu_ticks(pid):
    """What a process and all below it have used, hundredths of a second."""
    fields = [text(pathlib.Path(f"/proc/{one}/stat")).rpartition(") ")[2].split() for one in family(pid)]
    return sum(int(one[11]) + int(one[12]) for one in fields if one)


def with_words(word):
    """The processes of this host whose command line has this word."""
    lines = {pid: text(path) for path in pathlib.Path("/proc").glob("[0-9]*/cmdline") for pid in [path.parent.name]}
    return [pid for pid, line in lines.items() if word in line.split("\0")]


@pytest.fixture
def freezing(own_platform):
    """A platform of the test's own, on a host that can freeze."""

    def start(*arguments, **more):
        if doctor()[0]["freeze"]["state"] != "ok":
            pytest.skip("nothing can be frozen on this host: see the wall `freeze` of `lambent doctor`")
        return own_platform(*arguments, **more)

    return start


@pytest.mark.parametrize("runtime", ["python", "node"])
def test_what_runs_in_the_background_stands_still_and_goes_on(freezing, runtime):
    platform = freezing()
    client = platform.client("lambda")
    if runtime == "python":
        create(client, "counts", {"app.py": PYTHON})
    elif found := node_runtime():
        create(client, "counts", {"app.mjs": NODE}, runtime=found)
    else:
        pytest.skip("node is not installed")
    before, _ = invoke(client, "counts")
    for _ in range(3):
        until_frozen(platform, "counts")
        stood = time.monotonic()
        time.sleep(2)
        after, _ = invoke(client, "counts")
        # The tenth of a second before the freeze, and what was due at once afterwards.
        assert after["ticks"] - before["ticks"] < 60, (before, after, time.monotonic() - stood)
        busy, _ = invoke(client, "counts", {"wait": 1})
        assert busy["ticks"] - after["ticks"] > 20, (after, busy)
        if runtime == "python":
            assert after["child"] - before["child"] < 60 < 60 + busy["child"] - after["child"], (before, after, busy)
        before = busy
    assert environments(platform, "counts")["idle"] == 1


def test_switched_off_it_goes_on_in_between(own_platform):
    platform = own_platform("--freeze", "off")
    client = platform.client("lambda")
    create(client, "counts", {"app.py": PYTHON})
    before, _ = invoke(client, "counts")
    time.sleep(2)
    after, _ = invoke(client, "counts")
    assert after["ticks"] - before["ticks"] > 60
    assert environments(platform, "counts") == {"starting": 0, "idle": 1, "frozen": 0, "busy": 0, "provisioned": 0}


def test_functions_that_spin_cost_nothing_while_nobody_calls(freezing):
    platform = freezing()
    client = platform.client("lambda")
    for n in range(4):
        create(client, f"spins-{n}", {"app.py": SPIN})
        invoke(client, f"spins-{n}")
    for n in range(4):
        until_frozen(platform, f"spins-{n}")
    # What the calls have left to be done.
    time.sleep(1)
    before = cpu_ticks(platform.process.pid)
    time.sleep(3)
    used = cpu_ticks(platform.process.pid) - before
    print(f"4 functions that spin: {used} hundredths of a CPU second in 3 s")
    assert used <= 5


def test_an_event_at_the_moment_of_the_freeze_is_neither_lost_nor_late(freezing):
    platform = freezing("--freeze", "10ms")
    client = platform.client("lambda")
    create(client, "met", {"app.py": PYTHON}, Timeout=20)
    invoke(client, "met")
    longest = 0
    for n in range(500):
        time.sleep(0.009 + n % 40 * 0.0001)
        begun = time.monotonic()
        answer, _ = invoke(client, "met")
        longest = max(longest, time.monotonic() - begun)
        assert answer["ticks"] >= 0
    print(f"the longest of 500 took {longest:.3f} s")
    assert longest < 5
    total = json.loads(platform.lambent("top", "--once", "--json", "--function", "met").stdout)["functions"][0]["total"]
    assert total["coldStarts"] == 1, total


def test_what_is_frozen_dies_with_the_server(freezing):
    platform = freezing()
    client = platform.client("lambda")
    word = f"31{os.getpid():07}"
    code = f"import subprocess\nsubprocess.Popen(['sleep', '{word}'])\n{HELLO}"
    for n in range(3):
        create(client, f"dies-{n}", {"app.py": code})
        invoke(client, f"dies-{n}")
        until_frozen(platform, f"dies-{n}")
    assert len(with_words(word)) == 3
    everybody = family(platform.process.pid)
    platform.kill()
    left = eventually(lambda: [pid for pid in everybody if text(pathlib.Path(f"/proc/{pid}/cmdline"))], lambda left: not left)
    assert not left and not with_words(word)
    platform.start()
    answer, _ = invoke(platform.client("lambda"), "dies-0", {"n": 1})
    assert answer == {"n": 1}


def test_a_clean_stop_waits_for_nothing(freezing):
    platform = freezing()
    client = platform.client("lambda")
    for n in range(4):
        create(client, f"stops-{n}", {"app.py": SPIN})
        invoke(client, f"stops-{n}")
        until_frozen(platform, f"stops-{n}")
    begun = time.monotonic()
    platform.stop()
    assert time.monotonic() - begun < 3


def test_one_that_was_thawed_times_out_and_crashes_as_any_other(freezing):
    platform = freezing()
    client = platform.client("lambda")
    code = "import os, time\ndef handler(event, context):\n    time.sleep(event.get('s', 0))\n    os._exit(3) if event.get('x') else None\n    return 'well'\n"
    create(client, "ends", {"app.py": code}, Timeout=2)
    assert invoke(client, "ends")[0] == "well"
    until_frozen(platform, "ends")
    begun = time.monotonic()
    error, answer = invoke(client, "ends", {"s": 60})
    assert answer["FunctionError"] == "Unhandled" and "timed out after 2.00 seconds" in error["errorMessage"], error
    assert 1.9 < time.monotonic() - begun < 10
    assert invoke(client, "ends")[0] == "well"
    until_frozen(platform, "ends")
    error, _ = invoke(client, "ends", {"x": 1})
    assert error["errorType"] == "Runtime.ExitError", error
    # One that ends while it is frozen, as by a change of the function, does so at once.
    assert invoke(client, "ends")[0] == "well"
    until_frozen(platform, "ends")
    client.update_function_configuration(FunctionName="ends", Timeout=3)
    client.get_waiter("function_updated_v2").wait(FunctionName="ends", WaiterConfig={"Delay": 1})
    assert invoke(client, "ends")[0] == "well"
    seen = eventually(lambda: environments(platform, "ends"), lambda seen: seen["frozen"] == 1)
    assert (seen["idle"], seen["frozen"], seen["busy"]) == (1, 1, 0)


def test_provisioned_environments_are_frozen_after_init(freezing):
    platform = freezing()
    client = platform.client("lambda")
    create(client, "ahead", {"app.py": PYTHON})
    version = client.publish_version(FunctionName="ahead")["Version"]
    client.put_provisioned_concurrency_config(FunctionName="ahead", Qualifier=version, ProvisionedConcurrentExecutions=2)
    until_frozen(platform, "ahead", 2)
    first, answer = invoke(client, "ahead", Qualifier=version)
    assert first["ticks"] < 60


def test_a_web_function_runs_as_long_as_somebody_is_connected(freezing):
    platform = freezing()
    site = Site(platform, web(platform.client("lambda"), "talks", Timeout=60))
    talk = websocket_of(site)
    time.sleep(1)
    assert environments(platform, "talks")["busy"] == 1
    talk.send("hello")
    assert talk.recv()
    talk.close()
    until_frozen(platform, "talks")
    talk = websocket_of(site)
    talk.send("again")
    assert talk.recv()
    talk.close()


TIRED = """import http.server, os

class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Of a connection that nothing comes on.
    timeout = 1

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Page).serve_forever()
"""


def test_a_program_that_tired_of_its_connection_while_it_stood_still_gets_a_new_one(freezing):
    platform = freezing()
    site = Site(platform, web(platform.client("lambda"), "tired", {"server.py": TIRED}))
    for n in range(4):
        status, _, body = site.ask("/", "POST", f"{n}")
        assert (status, body) == (200, f"{n}".encode()), n
        until_frozen(platform, "tired")
        # Longer than the program waits, which it could not notice.
        time.sleep(1.2)


def test_a_host_that_cannot_freeze_says_so(own_platform):
    if os.getuid():
        pytest.skip("it needs root, to be an ordinary user beside")
    wall = doctor(["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"], {"HOME": "/"})[0]["freeze"]
    if wall["state"] == "ok":
        pytest.skip("users have control groups of their own here")
    assert "goes on" in wall["says"] and wall["fix"], wall
    platform = own_platform(rootless=True)
    client = platform.client("lambda")
    create(client, "counts", {"app.py": PYTHON})
    before, _ = invoke(client, "counts")
    time.sleep(2)
    after, _ = invoke(client, "counts")
    assert after["ticks"] - before["ticks"] > 60
    assert environments(platform, "counts")["frozen"] == 0

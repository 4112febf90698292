"""Every attempt of `probe/`, in every kind of environment, against what `attempts.toml` says."""

import concurrent.futures
import json
import os
import pathlib
import pwd
import shutil
import stat
import subprocess
import sys
import tomllib
import urllib.request

import pytest

from platform_under_test import BINARY, NOBODY, Platform, create, eventually, invoke, python_runtime

from .bystander import Bystander
from .host import Host

HERE = pathlib.Path(__file__).parent
TABLE = tomllib.loads((HERE / "attempts.toml").read_text())
PROBE = {path.name: path.read_text() for path in (HERE / "probe").glob("*.py")}
MARK = "lambent-mark-of-another-tenant"
# What takes long and depends on nothing that differs between environments.
ONCE = {"find a socket, pipe or device among shared files"}

# Those whose outcome depends on who was there before.
LEFT = ["earlier", "another", "before", "not its own", "inherited", "System V", "POSIX"]

# As root, as an ordinary user, and as one whom the administrator has given subordinate ids: then each sandbox has an id of
# its own, as root's have.
WAYS = ["root", "rootless", "ids"]
COLUMNS = {"root": "root", "rootless": "rootless", "ids": "root"}


def expected(way):
    """Attempt → what it may come to."""
    rows = {}
    for title, section in TABLE.items():
        if title != "unavailable":
            rows |= {name: value[COLUMNS[way]] if isinstance(value, dict) else value for name, value in section.items()}
    return rows


def wrong(outcomes, way):
    """What is not as the table says."""
    rows, bad = expected(way), {}
    assert set(outcomes) <= set(rows), f"not in the table: {set(outcomes) - set(rows)}"
    for name, outcome in outcomes.items():
        wanted = rows[name]
        if not (outcome in wanted.split("|") or wanted.startswith("allowed: ")):
            bad[name] = f"{outcome}, and not {wanted}"
    return bad


def names():
    """Every attempt, as the function itself lists them."""
    script = "import json, app; print(json.dumps(list(app.ATTEMPTS)))"
    return json.loads(subprocess.check_output([sys.executable, "-B", "-c", script], cwd=HERE / "probe"))


def test_the_table_names_every_attempt_and_no_other():
    rows = [name for title, section in TABLE.items() if title != "unavailable" for name in section]
    machine = {name for name in rows if name.startswith(("i386 ", "x32 "))}
    assert len(rows) == len(set(rows)) and set(rows) - machine <= set(names()) <= set(rows)
    reasons = [value for way in WAYS for value in expected(way).values() if value.startswith("allowed")]
    assert all(len(reason) > len("allowed: ") for reason in reasons)


@pytest.fixture(scope="module", params=WAYS)
def way(request):
    if request.param != "rootless" and os.geteuid() != 0:
        pytest.skip("needs root")
    if request.param == "ids" and not shutil.which("newuidmap"):
        pytest.skip("needs newuidmap (Debian: uidmap)")
    return request.param


def start_as(way, data, *arguments):
    """A platform of this kind of user."""
    if way != "ids":
        return Platform(data, *arguments, rootless=way == "rootless" and os.geteuid() == 0)
    # The user's ids are there for this platform only.
    ids = data.parent / f"{data.name}.ids"
    user = pwd.getpwuid(NOBODY).pw_name
    ids.write_text(f"{user}:{3 << 20}:65536\n")
    os.chown(data, NOBODY, NOBODY)
    become = f'exec setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups "$@"'
    script = f"mount --bind {ids} /etc/subuid && mount --bind {ids} /etc/subgid && {become}"
    wrap = ["unshare", "--mount", "sh", "-c", script, "sh"]
    return Platform(data, *arguments, wrap=wrap, environment={"HOME": str(data)})


@pytest.fixture(scope="module")
def house(workspace, way):
    """A platform whose sandboxes are made on demand or ahead, a bystander who is never disturbed, and things to be found."""
    host = Host(workspace, way)
    started = []

    def start(prepared):
        data = workspace / f"walls-{way}-{prepared}"
        data.mkdir()
        # SnapStart is for Python 3.12 and newer: where the host has none, an older one stands in.
        running = start_as(way, data, "--prepared", str(prepared), "--allow-older-runtimes")
        running.bystander = Bystander(running, MARK, pause=0.2)
        running.host = host
        started.append(running)
        return running

    devices = {path: os.stat(path) for path in ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"]}
    yield start
    for running in started:
        running.bystander.end()
        if running.process.poll() is None:
            running.stop()
    host.close()
    for path, before in devices.items():
        after = os.stat(path)
        assert (after.st_mode, after.st_uid, after.st_rdev) == (before.st_mode, before.st_uid, before.st_rdev), f"{path} was changed"
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def attack(running, name, **more):
    """Runs the probe in the function of this name."""
    return invoke(running.client("lambda"), name, {"host": running.host.event(running, MARK), **more})


def make_probe(running, name):
    create(running.client("lambda"), name, PROBE, Timeout=60, MemorySize=1769)


def run_others(running):
    """Functions of other interpreters, wherever those lie: nobody else may be told of them."""
    listed = subprocess.run([BINARY, "runtime", "ls"], capture_output=True, text=True, check=True).stdout
    runtimes = {line.split()[0] for line in listed.splitlines()[1:] if line.strip().startswith("python3.1")}
    client = running.client("lambda")
    for runtime in sorted(runtimes - {python_runtime()})[-2:]:
        name = f"elsewhere-{runtime.replace('.', '-')}"
        create(client, name, {"app.py": "def handler(event, context):\n    return 1\n"}, runtime)
        assert invoke(client, name)[0] == 1


@pytest.mark.parametrize("prepared", [0, 4], ids=["fresh", "made-ahead"])
def test_nothing_gets_out(house, way, prepared):
    if (way, prepared) == ("ids", 0):
        pytest.skip("made as root's are; those made ahead are asked")
    running = house(prepared)
    run_others(running)
    make_probe(running, "probe")
    every = names()
    most = [name for name in every if name not in ONCE]
    left = [name for name in most if any(word in name for word in LEFT)]
    # A warm environment and one after another are the same however the first was made: they are asked once for all.
    later = most if prepared == 0 or way == "ids" else left
    first, raw = attack(running, "probe", only=every if prepared == 0 else most)
    assert "FunctionError" not in raw, first
    assert wrong(first, way) == {}, "in a new environment"
    warm, _ = attack(running, "probe", only=later, mark=MARK)
    assert wrong(warm, way) == {}, "in a warm environment"
    # One that left its marks everywhere dies; its successor, of the same function and of another, finds none of them.
    died, raw = invoke(running.client("lambda"), "probe", {"host": running.host.event(running, MARK), "only": most[:1], "die": True})
    assert raw["FunctionError"] == "Unhandled" and died["errorType"] == "Runtime.ExitError", died
    again, _ = attack(running, "probe", only=later)
    assert wrong(again, way) == {}, "in the environment after one that died"
    make_probe(running, "successor")
    other, _ = attack(running, "successor", only=left, mark=MARK)
    assert wrong(other, way) == {}, "in another function's environment, after one that died"
    # Replaced by a newer version of its code while it lives.
    client = running.client("lambda")
    client.update_function_configuration(FunctionName="successor", Environment={"Variables": {"NEW": "1"}})
    client.get_waiter("function_updated_v2").wait(FunctionName="successor", WaiterConfig={"Delay": 1, "MaxAttempts": 10})
    replaced, _ = attack(running, "successor", only=left)
    assert wrong(replaced, way) == {}, "in the environment after one that was replaced"
    # Side by side, more at once than are kept ready.
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        for outcome, _ in pool.map(lambda _: attack(running, "probe", only=left), range(6)):
            assert wrong(outcome, way) == {}, "beside others"
    running.bystander.is_well()
    assert (running.host.secret.read_text(), running.host.shm.read_text()) == ("the host's", "the host's")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to forbid user namespaces to others")
def test_where_walls_are_not_available_nothing_runs(workspace):
    # A user namespace in which no further one may be made: what a restricted host looks like from inside.
    wrapper = workspace / "no-more-namespaces.sh"
    wrapper.write_text('#!/bin/sh\necho 0 > /proc/sys/user/max_user_namespaces\nexec "$@"\n')
    wrapper.chmod(0o755)
    data = workspace / "walls-unavailable"
    data.mkdir()
    running = Platform(data, wrap=["unshare", "--user", "--map-root-user", "--mount", str(wrapper)])
    try:
        client = running.client("lambda")
        create(client, "probe", PROBE)
        code, text = TABLE["unavailable"]["any invocation"].split(": ", 1)
        for kind in ["RequestResponse"] * 3:
            with pytest.raises(client.exceptions.ServiceException) as refused:
                client.invoke(FunctionName="probe", InvocationType=kind, Payload=b"{}")
            error = refused.value.response["Error"]
            assert error["Code"] == code and text in error["Message"] and "To mend it: " in error["Message"], error
        with urllib.request.urlopen(f"{running.endpoint}/_lambent/health") as answer:
            assert json.load(answer)["status"] == "running"
        assert len(client.list_functions()["Functions"]) == 1
    finally:
        running.kill()


def test_nothing_gets_out_of_restored_and_provisioned_environments(house, way):
    if way == "ids":
        pytest.skip("made as root's are")
    running = house(2)
    run_others(running)
    client, most = running.client("lambda"), [name for name in names() if name not in ONCE]
    more = {"Timeout": 60, "MemorySize": 1769}
    create(client, "provisioned", PROBE, Publish=True, **more)
    client.put_provisioned_concurrency_config(FunctionName="provisioned", Qualifier="1", ProvisionedConcurrentExecutions=1)
    read = lambda: client.get_provisioned_concurrency_config(FunctionName="provisioned", Qualifier="1")["Status"]
    eventually(read, lambda status: status == "READY")
    outcome, raw = attack(running, "provisioned:1", only=most)
    assert "FunctionError" not in raw and wrong(outcome, way) == {}, "in a provisioned environment"
    create(client, "restored", PROBE, "python3.12", SnapStart={"ApplyOn": "PublishedVersions"}, **more)
    client.publish_version(FunctionName="restored")
    client.get_waiter("published_version_active").wait(FunctionName="restored", Qualifier="1", WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    assert client.get_function_configuration(FunctionName="restored", Qualifier="1")["SnapStart"]["OptimizationStatus"] == "On"
    outcome, raw = attack(running, "restored:1", only=most)
    assert "FunctionError" not in raw and wrong(outcome, way) == {}, "in a restored environment"


def test_nothing_is_left_of_what_was_attacked(house, way):
    running = house(1)
    make_probe(running, "probe")
    mark = "lambent-mark-of-one-that-goes"
    _, raw = attack(running, "probe", only=["mount"], mark=mark)
    assert "FunctionError" not in raw
    running.client("lambda").delete_function(FunctionName="probe")
    running.stop()
    marked = eventually(lambda: [p for p in processes() if mark in p], lambda found: not found, seconds=10)
    assert not marked, marked
    with open("/proc/net/unix") as sockets:
        assert mark not in sockets.read()
    assert not pathlib.Path(f"/dev/shm/{mark}").exists() and not pathlib.Path(f"/tmp/{mark}").exists()


def processes():
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found.append((entry / "cmdline").read_text(errors="replace") + (entry / "environ").read_text(errors="replace"))
            except OSError:
                pass
    return found

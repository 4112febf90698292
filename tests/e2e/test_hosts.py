"""Hosts that deny what walls are built of: the doctor names the wall and the command that mends it, the platform starts and
serves every API, and functions run as far as the host allows. What cannot be played here is skipped with words."""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest
from botocore.exceptions import ClientError

import hosts
from platform_under_test import BINARY, ROLE, Platform, create, eventually, invoke, python_runtime, zipped

RUNS = {"app.py": "import os\ndef handler(event, context): return [os.getuid(), sorted(os.listdir('/tmp'))]\n"}
PATH = {"PATH": "/usr/bin:/bin"}


def doctor(wrap=(), environment=None):
    """What the doctor finds, by name, the whole of it, and how it ends."""
    done = subprocess.run(
        [*wrap, str(BINARY), "doctor", "--json"], capture_output=True, text=True, env={**os.environ, **(environment or {})}, cwd="/"
    )
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    return {wall["name"]: wall for wall in found["walls"]}, found, done.returncode


def missing(walls):
    return {name for name, wall in walls.items() if wall["state"] != "ok"}


def serves_every_api(running):
    functions = running.client("lambda")
    create(functions, "on-this-host", RUNS)
    assert [f["FunctionName"] for f in functions.list_functions()["Functions"]] == ["on-this-host"]
    assert running.client("sts").get_caller_identity()["Account"]
    running.client("logs").describe_log_groups()
    running.client("iam").list_roles()
    return functions


def refused(functions):
    """What an invocation answers where no wall can be built."""
    with pytest.raises(ClientError) as caught:
        invoke(functions, "on-this-host")
    return caught.value.response["Error"]["Message"]


def shown(wrap=()):
    """The doctor for people: the same, in lines."""
    return subprocess.run([*wrap, str(BINARY), "doctor"], capture_output=True, text=True, cwd="/").stdout


@contextlib.contextmanager
def space(script):
    """Namespaces that live as long as the block; answers the beginning of a command that runs in them."""
    holder = subprocess.Popen(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", f"{script}; echo ready; exec sleep 600"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        said = holder.stdout.readline()
        if said != "ready\n":
            pytest.skip(f"this host cannot be played here: {said}")
        yield ["nsenter", f"--target={holder.pid}", "--user", "--mount", "--preserve-credentials"]
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


def test_no_user_namespaces(own_platform):
    hosts.need_root()
    hosts.need("unshare", "nsenter")
    # What setup writes goes to folders of this space's own.
    folders = "; ".join(f"mount -t tmpfs none {folder}" for folder in ("/etc/sysctl.d", "/var/lib"))
    with space(f"echo 0 > /proc/sys/user/max_user_namespaces; {folders}") as inside:
        walls, found, status = doctor(inside)
        assert status == 1 and not found["usable"]
        assert missing(walls) == set(walls)
        fix = walls["user namespace"]["fix"]
        assert re.fullmatch(r"sudo \S*lambent setup \(raises user\.max_user_namespaces, which is 0\)", fix), fix
        assert any("user.max_user_namespaces to 15000" in change for change in found["setup"]), found["setup"]
        assert "all of them" in shown(inside), "one reason is told once"
        running = own_platform(wrap=inside)
        said = refused(serves_every_api(running))
        assert "lambent setup (raises user.max_user_namespaces" in said, said
        running.kill()

        done = subprocess.run([*inside, str(BINARY), "setup"], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        walls, _, status = doctor(inside)
        assert status == 0 and walls["user namespace"]["state"] == "ok"
        running = own_platform(wrap=inside)
        assert invoke(serves_every_api(running), "on-this-host")[0] == [993, []]
        running.kill()

        done = subprocess.run([*inside, str(BINARY), "setup", "--undo"], capture_output=True, text=True)
        assert done.returncode == 0 and "back to 0" in done.stdout, done.stdout
        assert doctor(inside)[2] == 1


def test_a_container_with_the_default_seccomp_profile(own_platform):
    hosts.need_root()
    wrap = hosts.under(hosts.DOCKER) + hosts.without_capability("sys_admin")
    walls, found, status = doctor(wrap)
    assert status == 1 and missing(walls) == set(walls)
    assert "seccomp=unconfined" in walls["user namespace"]["fix"]
    assert "Operation not permitted" in walls["user namespace"]["says"]
    assert found["setup"] == [], "setup would not help here"
    running = own_platform(wrap=wrap)
    said = refused(serves_every_api(running))
    assert "seccomp=unconfined" in said, said
    # Weak walls are there for those who ask.
    running = own_platform("--walls=weak", wrap=wrap)
    assert invoke(serves_every_api(running), "on-this-host")[0] is not None


def test_root_without_the_right_to_mount(own_platform):
    hosts.need_root()
    wrap = hosts.without_capability("sys_admin")
    walls, _, status = doctor(wrap)
    if status != 0:
        pytest.skip(f"this kernel lets nobody nest here: {walls['user namespace']}")
    assert "uid range" in missing(walls)
    assert not any("setup" in walls[name]["fix"] for name in missing(walls)), "setup has nothing for root"
    running = own_platform(wrap=wrap)
    assert invoke(serves_every_api(running), "on-this-host")[0] == [993, []]


@pytest.mark.parametrize(
    "script, lacking",
    [
        ("for tree in /sys/fs/cgroup /sys/fs/cgroup/*/; do mount -o remount,bind,ro $tree 2>/dev/null || true; done", {"memory limit", "cpu limit", "freeze"}),
        ("mount -t tmpfs none /sys/fs/cgroup", {"memory limit", "cpu limit", "freeze"}),
    ],
    ids=["read-only", "absent"],
)
def test_control_groups_that_cannot_be_written(own_platform, script, lacking):
    hosts.need_root()
    hosts.need("unshare")
    wrap = hosts.in_mounts(script)
    walls, found, status = doctor(wrap)
    assert status == 0 and missing(walls) == lacking, missing(walls)
    assert "mount the cgroup controllers for writing" in walls["memory limit"]["fix"]
    assert walls["process limit"]["says"].startswith("RLIMIT_NPROC")
    assert found["setup"] == [], "setup would not help here"
    running = own_platform(wrap=wrap)
    assert invoke(serves_every_api(running), "on-this-host")[0] == [993, []]


@pytest.mark.parametrize(
    "script, kind, freeze",
    [
        ("umount /sys/fs/cgroup/unified", "version 1", "cgroup v1"),
        ("true", "version 1, with version 2 beside it (hybrid)", "cgroup v2, beside the limits of v1"),
    ],
    ids=["version 1", "hybrid"],
)
def test_the_older_control_groups(own_platform, script, kind, freeze):
    hosts.need_root()
    if not os.path.exists("/sys/fs/cgroup/memory/tasks") or not os.path.ismount("/sys/fs/cgroup/unified"):
        pytest.skip("this host's control groups are not hybrid")
    wrap = hosts.in_mounts(script)
    walls, found, status = doctor(wrap)
    assert status == 0 and walls["memory limit"]["says"] == "cgroup v1" and walls["freeze"]["says"] == freeze
    assert next(item for item in found["host"] if item["name"] == "control groups")["says"] == kind
    running = own_platform(wrap=wrap)
    assert invoke(serves_every_api(running), "on-this-host")[0] == [993, []]


@pytest.mark.parametrize("rules, wall, word", [(hosts.NO_LANDLOCK, "Landlock", "kernel"), (hosts.NO_NF_TABLES, "egress", "nf_tables")])
def test_a_kernel_without(own_platform, rules, wall, word):
    hosts.need_root()
    wrap = hosts.under(rules)
    walls, _, status = doctor(wrap)
    assert status == 0 and missing(walls) == {wall}, {name: walls[name] for name in missing(walls)}
    assert word in walls[wall]["says"] + walls[wall]["fix"], walls[wall]
    running = own_platform(wrap=wrap)
    assert invoke(serves_every_api(running), "on-this-host")[0] == [993, []]


@pytest.fixture
def someone():
    if os.path.exists("/var/lib/lambent/setup.json"):
        pytest.skip("this host was set up: its record is not for tests to change")
    made = hosts.Someone(f"lambent{os.getpid() % 100_000}")
    yield made
    subprocess.run([str(BINARY), "setup", "--undo"], capture_output=True)
    made.remove()


def wait_for_processes(mark, count):
    """Pids on the host whose command line holds a word."""

    def look():
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and mark in (entry / "cmdline").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
        return found

    return eventually(look, lambda found: len(found) == count)


SLEEPER = """import os, subprocess
def handler(event, context):
    open('/tmp/mine', 'w').write('secret')
    os.chmod('/tmp/mine', 0o600)
    subprocess.run(['sleep', event['mark']])
"""


def test_an_ordinary_user_before_and_after_setup(someone):
    become = someone.become()
    home = {**PATH, "HOME": someone.home}
    walls, found, status = doctor(become, home)
    assert status == 0, walls
    assert {"memory limit", "cpu limit", "uid range"} <= missing(walls)
    for name in ("memory limit", "uid range"):
        assert re.fullmatch(r"sudo \S*lambent setup", walls[name]["fix"]), walls[name]
    assert len(found["setup"]) >= 3, found["setup"]

    def platform():
        data = pathlib.Path(someone.home) / f"data-{time.monotonic_ns()}"
        data.mkdir()
        os.chown(data, someone.uid, someone.gid)
        running = Platform(data, wrap=become, environment=home)
        started.append(running)
        return running

    started = []
    try:
        # Before: functions run, of one account at a time.
        running = platform()
        functions = serves_every_api(running)
        assert invoke(functions, "on-this-host")[0] == [993, []]
        other = running.client("lambda", key="111111111111")
        create(other, "of-another", RUNS)
        with pytest.raises(ClientError) as caught:
            invoke(other, "of-another")
        assert "lambent setup" in caught.value.response["Error"]["Message"]
        running.kill()

        # Setup, as sudo would call it.
        before = {name: pathlib.Path(f"/etc/{name}").read_text() for name in ("subuid", "subgid")}
        dry = subprocess.run([str(BINARY), "setup", "--dry-run", "--user", someone.name], capture_output=True, text=True)
        assert dry.returncode == 0 and "nothing was changed" in dry.stdout
        assert {name: pathlib.Path(f"/etc/{name}").read_text() for name in before} == before
        done = subprocess.run([str(BINARY), "setup"], capture_output=True, text=True, env={**os.environ, "SUDO_USER": someone.name})
        assert done.returncode == 0, done.stdout + done.stderr
        again = subprocess.run([str(BINARY), "setup", "--user", someone.name], capture_output=True, text=True)
        assert "nothing to change" in again.stdout, again.stdout

        # After: every wall that setup can give, and two accounts side by side.
        walls, found, status = doctor(become, home)
        if not os.path.exists("/usr/bin/newuidmap"):
            assert "uidmap" in walls["uid range"]["fix"]
            pytest.skip("the rest needs newuidmap of the package uidmap")
        assert status == 0 and not {"memory limit", "cpu limit", "freeze", "uid range"} & missing(walls), walls
        running = platform()
        side_by_side(running)
        running.stop()

        done = subprocess.run([str(BINARY), "setup", "--undo"], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert {name: pathlib.Path(f"/etc/{name}").read_text() for name in before} == before
        assert not os.path.exists("/var/lib/lambent/setup.json")
        assert {"memory limit", "uid range"} <= missing(doctor(become, home)[0])
    finally:
        for one in started:
            if one.process.poll() is None:
                one.kill()


def side_by_side(running):
    """Functions of two accounts live at once, and the kernel keeps their processes apart by their ids alone."""
    clients = [running.client("lambda", key=key) for key in ("000000000000", "111111111111")]
    marks = [f"{600 + n}.{os.getpid()}" for n in range(2)]
    for client, mark in zip(clients, marks):
        create(client, "sleeper", {"app.py": SLEEPER}, Timeout=120)
        client.invoke(FunctionName="sleeper", InvocationType="Event", Payload=json.dumps({"mark": mark}))
    pids = []
    for mark in marks:
        found = wait_for_processes(mark.encode(), 1)
        assert len(found) == 1, found
        pids += found
    users = [os.stat(f"/proc/{pid}").st_uid for pid in pids]
    assert len(set(users)) == 2 and running.process.pid and os.stat(f"/proc/{running.process.pid}").st_uid not in users, users
    for mine, other in (pids, pids[::-1]):
        uid = os.stat(f"/proc/{mine}").st_uid
        # As that id, but outside of its pid namespace: what the id alone allows.
        as_it = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "sh", "-c"]
        for attempt in (f"kill -0 {other}", f"cat /proc/{other}/environ", f"cat /proc/{other}/root/tmp/mine", f"ls /proc/{other}/fd"):
            done = subprocess.run([*as_it, attempt], capture_output=True, text=True)
            assert done.returncode != 0 and ("not permitted" in done.stderr or "denied" in done.stderr), (attempt, done)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def test_a_user_whose_ids_cannot_be_mapped_is_told_why(someone):
    """Started with no_new_privs, as by a systemd unit: newuidmap may not use its rights."""
    if not os.path.exists("/usr/bin/newuidmap"):
        pytest.skip("needs newuidmap of the package uidmap")
    subprocess.run([str(BINARY), "setup", "--user", someone.name], capture_output=True, check=True)
    walls, _, status = doctor([*someone.become()[:1], "--no-new-privs", *someone.become()[1:]], {**PATH, "HOME": someone.home})
    assert status == 0
    assert "newuidmap" in walls["uid range"]["says"] and "no_new_privs" in walls["uid range"]["fix"], walls["uid range"]


@pytest.mark.parametrize("ordinary", [False, True], ids=["root", "ordinary user"])
def test_a_umask_that_lets_nobody_else_read(own_platform, ordinary):
    hosts.need_root()
    running = own_platform(rootless=ordinary, wrap=["sh", "-c", 'umask 077; exec "$@"', "sh"])
    assert invoke(serves_every_api(running), "on-this-host")[0] == [993, []]

"""The walls on a host whose control groups are version 2 alone, in a machine that has them. Skipped, with words, where
QEMU or a kernel to boot is missing."""

import json
import pathlib
import shutil
import subprocess
import tempfile

import pytest

import guest

BINARY = guest.REPOSITORY / "target/fast/lambent"

# Root, then an ordinary user in a scope that systemd would have delegated.
PLATFORM = """
export HOME=/tmp/home; mkdir -p /tmp/home /tmp/fn /tmp/user
printf 'def handler(event, context):\\n    return {"hello": 1}\\n' > /tmp/fn/app.py; chmod -R a+rX /tmp/fn
echo "== root"
cp BINARY /tmp/lambent
/tmp/lambent doctor | head -5
/tmp/lambent demo /tmp/fn --exit --listen 127.0.0.1:0
echo "left: $(find /sys/fs/cgroup -mindepth 1 -type d)"
groups=/sys/fs/cgroup/user
echo "+memory +cpu +pids" > /sys/fs/cgroup/cgroup.subtree_control
mkdir -p $groups/run.scope
echo "+memory +cpu +pids" > $groups/cgroup.subtree_control
chown 65534:65534 $groups/run.scope $groups/run.scope/cgroup.procs $groups/run.scope/cgroup.subtree_control
chown 65534:65534 /tmp/user; cp BINARY /tmp/user/lambent
echo "== user"
echo $$ > $groups/run.scope/cgroup.procs
cd /tmp/user; export HOME=/tmp/user
setpriv --reuid=65534 --regid=65534 --clear-groups sh -c 'exec 2>&1
./lambent doctor | head -5
./lambent demo /tmp/fn --exit --listen 127.0.0.1:0'
echo "left: $(find $groups -name 'lambent-[0-9]*')"
"""


def run(script, seconds):
    """Runs a script in a machine. An emulated machine stands still now and then, on a busy host; one whose time is up is
    tried once more."""
    for _ in range(2):
        try:
            ended = guest.run(script, seconds)
        except guest.Missing as missing:
            pytest.skip(str(missing))
        if not ended.timed_out:
            break
    assert ended.status is not None, f"the machine did not get there\n{ended.output}\n{ended.console}"
    return ended


def sandbox_tests():
    """The executables of the sandbox room's integration tests, built when they are not."""
    command = ["cargo", "test", "-p", "lambent-sandbox", "--test", "it", "--no-run", "--message-format=json", "--quiet"]
    built = subprocess.run(command, cwd=guest.REPOSITORY, capture_output=True, text=True, check=True).stdout
    messages = [json.loads(line) for line in built.splitlines() if line.startswith("{")]
    made = {message["target"]["name"]: message["executable"] for message in messages if message.get("executable")}
    return made["it"], made.get("lambent-helper", guest.REPOSITORY / "target/debug/lambent-helper")


def test_every_limit_of_the_sandbox_holds():
    try:
        guest.needed()
    except guest.Missing as missing:
        pytest.skip(str(missing))
    tests, helper = sandbox_tests()
    # Copied before the machine starts, since builds go on beside it; not to /tmp, which the machine has of its own.
    with tempfile.TemporaryDirectory(dir=guest.REPOSITORY / "target") as folder:
        shutil.copy(tests, f"{folder}/it")
        shutil.copy(helper, f"{folder}/lambent-helper")
        ended = run(f"""
cp {guest.inside(folder)}/* /tmp
LAMBENT_TEST_HELPER=/tmp/lambent-helper /tmp/it --test-threads=1 --color=never limits:: life:: death:: freeze:: --skip two_hundred
status=$?
echo "left: $(find /sys/fs/cgroup -mindepth 1 -type d)"
exit $status
""", 150)
    assert ended.status == 0, ended.output
    assert "running 0 tests" not in ended.output
    assert ended.output.endswith("left: \n"), ended.output


def test_the_platform_runs_as_root_and_in_a_delegated_scope():
    if not pathlib.Path(BINARY).exists():
        pytest.skip(f"{BINARY} is not built: run `make build`")
    output = run(PLATFORM.replace("BINARY", guest.inside(BINARY)), 120).output
    root, user = output.split("== user\n")
    for part in [root, user]:
        lines = [" ".join(line.split()) for line in part.splitlines()]
        for wall in ["memory limit", "cpu limit", "process limit", "freeze"]:
            assert f"ok {wall} cgroup v2" in lines, output
        assert "· warm " in part, output
        assert part.endswith("left: \n"), output

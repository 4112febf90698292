"""What was acknowledged is there after a stop, a kill and a restart."""

import os
import pathlib
import signal
import subprocess

import pytest
from botocore.exceptions import ClientError

from platform_under_test import BINARY, create, eventually, invoke, ran

CODE = "def handler(event, context):\n    print('ran', event.get('n'))\n    return event.get('n')\n"


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_functions_and_logs_survive(own_platform, end):
    running = own_platform()
    client = running.client("lambda")
    create(client, "kept", {"app.py": CODE}, Timeout=9, Tags={"team": "a"})
    client.put_function_concurrency(FunctionName="kept", ReservedConcurrentExecutions=5)
    url = client.create_function_url_config(FunctionName="kept", AuthType="NONE")["FunctionUrl"]
    assert invoke(client, "kept", {"n": 1})[0] == 1
    before = client.get_function(FunctionName="kept")
    running.stop() if end == "stop" else running.kill()
    running.start()
    client = running.client("lambda")
    after = client.get_function(FunctionName="kept")
    assert after["Configuration"] == before["Configuration"] and after["Tags"] == {"team": "a"}
    assert after["Concurrency"] == {"ReservedConcurrentExecutions": 5}
    assert client.get_function_url_config(FunctionName="kept")["FunctionUrl"].split(".")[0] == url.split(".")[0]
    assert invoke(client, "kept", {"n": 2})[0] == 2


def test_queued_events_survive_a_kill(own_platform):
    running = own_platform()
    client = running.client("lambda")
    slow = "import time\ndef handler(event, context):\n    time.sleep(1)\n    print('ran', event['n'])\n"
    create(client, "queued", {"app.py": slow}, Timeout=20)
    client.put_function_concurrency(FunctionName="queued", ReservedConcurrentExecutions=1)
    for n in range(4):
        assert client.invoke(FunctionName="queued", InvocationType="Event", Payload=b'{"n": %d}' % n)["StatusCode"] == 202
    running.kill()
    running.start()
    client = running.client("lambda")
    client.delete_function_concurrency(FunctionName="queued")
    expected = [f"ran {n}" for n in range(4)]
    seen = eventually(lambda: sorted(set(ran(running, "queued"))), lambda seen: seen == expected)
    assert seen == expected


def test_a_data_folder_serves_one_process(own_platform):
    running = own_platform()
    second = subprocess.run(
        [BINARY, "serve", "--listen", "127.0.0.1:0", "--data", running.data], capture_output=True, text=True, timeout=30
    )
    assert second.returncode != 0 and str(running.process.pid) in second.stderr, second.stderr


def test_a_busy_port_names_its_holder(own_platform, workspace):
    running = own_platform()
    address = running.endpoint.removeprefix("http://")
    second = subprocess.run([BINARY, "serve", "--listen", address, "--ephemeral"], capture_output=True, text=True, timeout=30)
    assert second.returncode != 0 and str(running.process.pid) in second.stderr, second.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_an_ordinary_user_gets_walls_too(own_platform):
    running = own_platform(rootless=True)
    client = running.client("lambda")
    code = "import os\ndef handler(event, context):\n    return [os.path.exists(p) for p in event]\n"
    create(client, "rootless", {"app.py": code})
    answer, _ = invoke(client, "rootless", ["/var/task/app.py", str(running.data), str(BINARY)])
    assert answer == [True, False, False]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to forbid user namespaces to others")
def test_without_walls_everything_but_invoke_works(own_platform, workspace):
    # A user namespace in which no further one may be made: what a restricted host looks like from inside.
    wrapper = workspace / "no-namespaces.sh"
    wrapper.write_text('#!/bin/sh\necho 0 > /proc/sys/user/max_user_namespaces\nexec "$@"\n')
    wrapper.chmod(0o755)
    data = workspace / "no-walls"
    data.mkdir()
    process = subprocess.Popen(
        ["unshare", "--user", "--map-root-user", "--mount", str(wrapper), str(BINARY), "serve", "--listen", "127.0.0.1:0", "--data", str(data)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )
    try:
        import re
        endpoint = next(re.search(r"http://[0-9.]+:\d+", line).group() for line in process.stdout if "http://" in line)
        import boto3
        client = boto3.client("lambda", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
        client.meta.config.retries = {"max_attempts": 0}
        create(client, "walled", {"app.py": CODE})
        with pytest.raises(Exception) as caught:
            invoke(client, "walled")
        assert "sandbox" in str(caught.value), caught.value
    finally:
        process.kill()
        process.wait()


def helpers_of(server):
    """The sandbox helpers of a platform, by their parent. The lists of children that threads have miss a process whose thread just ended."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = stat.read_text().split("(", 1)[1].rsplit(")", 1)
        except OSError:
            continue
        state, parent = rest.split()[:2]
        if name == "lambent-helper" and int(parent) == server and state != "Z":
            found.append(int(stat.parent.name))
    return found


def test_a_killed_helper_is_back_for_the_next_sandboxes(own_platform):
    running = own_platform()
    client = running.client("lambda")
    create(client, "survivor", {"app.py": "import time\ndef handler(event, context):\n    time.sleep(event)\n    return 'here'\n"}, Timeout=30)
    assert invoke(client, "survivor", 0)[0] == "here"
    for _ in range(3):
        helpers = helpers_of(running.process.pid)
        assert len(helpers) == 1, pathlib.Path(running.log.name).read_text()
        os.kill(helpers[0], signal.SIGKILL)
        # While it is ending, its sandboxes still answer.
        eventually(lambda: helpers_of(running.process.pid), lambda now: helpers[0] not in now, seconds=10)
        # The control plane does not notice, and what was asked while it was gone may be refused for a moment only.
        assert client.get_function(FunctionName="survivor")["Configuration"]["State"] == "Active"

        def again():
            try:
                return invoke(client, "survivor", 0)[0]
            except ClientError as error:
                assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 503, error
                return None

        assert eventually(again, lambda answer: answer == "here", seconds=10) == "here"

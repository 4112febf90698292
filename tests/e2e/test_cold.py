"""Cold starts: forks, spares and storms of them, as callers see them."""

import concurrent.futures
import os
import subprocess
import sys
import time

import pytest

from platform_under_test import BINARY, create, invoke, node_runtime, python_runtime

UNIQUE = """
import os, random, secrets, socket, ssl, sys, tempfile, time, uuid

DRAWN = {
    "random": random.random(), "choice": random.getrandbits(64), "urandom": os.urandom(8).hex(), "uuid": str(uuid.uuid4()),
    "secret": secrets.token_hex(8), "ssl": ssl.RAND_bytes(8).hex(), "file": tempfile.mkdtemp(),
}

def handler(event, context):
    time.sleep(event["s"])
    return {
        "drawn": DRAWN, "stream": context.log_stream_name, "zone": time.strftime("%Z", time.localtime(0)), "own": os.environ.get("OWN"),
        "host": socket.gethostname(), "argv": sys.argv, "names": sorted(os.environ), "cwd": os.getcwd(),
        "modules": [name for name in ("boto3", "ctypes.wintypes") if name in sys.modules],
        "stdin": os.readlink("/proc/self/fd/0"), "fds": len(os.listdir("/proc/self/fd")),
    }
"""


def test_environments_of_one_function_have_nothing_random_in_common(functions):
    create(functions, "cold-unique", {"app.py": UNIQUE}, Environment={"Variables": {"OWN": "mine", "TZ": "Asia/Tokyo"}})
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        answers = [answer for answer, _ in pool.map(lambda _: invoke(functions, "cold-unique", {"s": 2}), range(24))]
    by_stream = {answer["stream"]: answer for answer in answers}
    assert len(by_stream) >= 20, "the calls overlap"
    for what in answers[0]["drawn"]:
        assert len({answer["drawn"][what] for answer in by_stream.values()}) == len(by_stream), what
    # Whether forked, started ahead or from nothing: they see the same.
    same = {str([answer[what] for what in ("zone", "own", "host", "argv", "names", "cwd", "modules", "stdin", "fds")]) for answer in answers}
    assert len(same) == 1, same
    assert answers[0]["zone"] == "JST" and answers[0]["own"] == "mine" and answers[0]["stdin"] == "/dev/null"


def test_a_change_is_seen_by_the_next_cold_start(functions):
    create(functions, "cold-change", {"app.py": "import os\ndef handler(event, context):\n    return os.environ.get('TURN')\n"})
    for turn in range(12):
        functions.update_function_configuration(FunctionName="cold-change", Environment={"Variables": {"TURN": str(turn)}})
        assert invoke(functions, "cold-change")[0] == str(turn)
        if turn % 4 == 3:
            # Time for what is made ahead.
            time.sleep(0.3)


# `boto3` is not in the zip: as on AWS, the runtime brings it.
SDK = """
import os, sys
AHEAD = "boto3" in sys.modules
import boto3, botocore.session
client = boto3.client("sts")
other = boto3.Session(region_name="eu-west-1")

def handler(event, context):
    keys = client._request_signer._credentials
    return {
        "file": boto3.__file__, "region": client.meta.region_name, "other": other.client("s3").meta.region_name,
        "key": keys.access_key == os.environ["AWS_ACCESS_KEY_ID"], "token": keys.token == os.environ["AWS_SESSION_TOKEN"],
        "agent": client.meta.config.user_agent, "env": os.environ["AWS_EXECUTION_ENV"], "arn": client.get_caller_identity()["Arn"],
        "staged": [name for name in os.environ if os.environ[name] == "x"], "turn": os.environ.get("TURN"),
        "ahead": AHEAD and botocore.session.create_loader.__module__ == "lambent_sdk",
        "sessions": botocore.session.get_session() is not botocore.session.get_session(),
    }
"""


@pytest.fixture
def interpreter_s_boto3():
    """The boto3 of the interpreter that serves functions; the platform has none of its own."""
    listed = subprocess.run([BINARY, "runtime", "ls"], capture_output=True, text=True, check=True).stdout
    # The first of a runtime serves it.
    [real, *_] = [line.split()[2] for line in listed.splitlines() if line.split()[:1] == [python_runtime()]] or [sys.executable]
    found = subprocess.run([real, "-I", "-c", "import boto3; print(boto3.__file__)"], capture_output=True, text=True, cwd="/")
    if found.returncode:
        pytest.skip(f"{real} has no boto3: {real} -m pip install boto3")
    return found.stdout.strip()


def test_boto3_is_there_and_knows_nothing_but_its_function(functions, interpreter_s_boto3):
    create(functions, "cold-sdk", {"app.py": SDK}, Timeout=30)
    ahead = []
    for turn in range(3):
        functions.update_function_configuration(FunctionName="cold-sdk", Environment={"Variables": {"TURN": str(turn)}})
        time.sleep(1)
        answer, raw = invoke(functions, "cold-sdk")
        assert "FunctionError" not in raw, answer
        assert answer["file"] == interpreter_s_boto3 and (answer["region"], answer["other"]) == ("us-east-1", "eu-west-1")
        assert answer["key"] and answer["token"] and answer["sessions"] and answer["staged"] == []
        assert f"exec-env/{answer['env']}" in answer["agent"] and answer["arn"].endswith("/cold-sdk") and answer["turn"] == str(turn)
        ahead.append(answer["ahead"])
    assert any(ahead), "it is there before the function is"


def test_a_function_s_own_boto3_wins_over_the_runtime_s(functions, interpreter_s_boto3):
    own = {"boto3/__init__.py": "MINE = True", "app.py": "import boto3\ndef handler(event, context):\n    return boto3.MINE\n"}
    create(functions, "cold-own-sdk", own)
    assert invoke(functions, "cold-own-sdk")[0] is True


def test_a_storm_of_cold_functions_of_all_runtimes_is_answered(functions):
    python = "python%d.%d" % sys.version_info[:2]
    kinds = [
        (python, {"app.py": "def handler(event, context):\n    return event\n"}),
        (node_runtime(), {"app.js": "exports.handler = async (event) => event;\n"}),
        ("provided.al2023", {"bootstrap": STATIC}),
    ]
    names = []
    for number in range(36):
        runtime, files = kinds[number % 3]
        if runtime is None:
            continue
        names.append(f"cold-storm-{number}")
        create(functions, names[-1], files, runtime, Timeout=30)
    with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        answers = list(pool.map(lambda name: invoke(functions, name, {"n": name})[0], names))
    assert answers == [{"n": name} for name in names]


STATIC = """#!/bin/bash
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
exec 3<>/dev/tcp/${AWS_LAMBDA_RUNTIME_API/://}
while :; do
  printf 'GET /2018-06-01/runtime/invocation/next HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n' >&3
  length=0
  while IFS= read -r -u 3 line; do
    line=${line%$'\\r'}
    [ -z "$line" ] && break
    case ${line,,} in
      lambda-runtime-aws-request-id:*) id=${line#*: } ;;
      content-length:*) length=${line#*: } ;;
    esac
  done
  IFS= read -r -u 3 -N "$length" body
  printf 'POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: %s\\r\\n\\r\\n%s' "$id" "${#body}" "$body" >&3
  length=0
  while IFS= read -r -u 3 line; do
    line=${line%$'\\r'}
    [ -z "$line" ] && break
    case ${line,,} in content-length:*) length=${line#*: } ;; esac
  done
  [ "$length" -gt 0 ] && IFS= read -r -u 3 -N "$length" answer
done
"""

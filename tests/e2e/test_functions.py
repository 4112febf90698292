"""Lambda as boto3 and the AWS CLI see it."""

import base64
import concurrent.futures
import importlib.util
import json
import pathlib
import subprocess
import sys

import pytest
from botocore.exceptions import ClientError

from platform_under_test import ROOT, create, eventually, invoke, node_runtime, ran, zipped

HELLO = "import os\ndef handler(event, context):\n    print('hello', event.get('name'))\n    return {'hello': event.get('name'), 'pid': os.getpid()}\n"


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"], answer


def test_a_function_is_created_invoked_with_its_log_and_deleted(functions):
    create(functions, "hello", {"app.py": HELLO})
    answer, raw = invoke(functions, "hello", {"name": "light"}, LogType="Tail")
    assert answer["hello"] == "light" and raw["StatusCode"] == 200 and raw["ExecutedVersion"] == "$LATEST"
    tail = base64.b64decode(raw["LogResult"]).decode()
    request = raw["ResponseMetadata"]["RequestId"]
    assert f"START RequestId: {request} Version: $LATEST\nhello light\nEND RequestId: {request}\nREPORT RequestId: {request}\tDuration: " in tail
    assert "Init Duration" in tail and "Memory Size: 128 MB" in tail
    again, raw = invoke(functions, "hello", {"name": "two"}, LogType="Tail")
    assert again["pid"] == answer["pid"], "the second call is warm"
    assert "Init Duration" not in base64.b64decode(raw["LogResult"]).decode()
    functions.delete_function(FunctionName="hello")
    code, status, message, _ = refused(functions.invoke, FunctionName="hello")
    assert (code, status) == ("ResourceNotFoundException", 404)
    assert message == "Function not found: arn:aws:lambda:us-east-1:000000000000:function:hello"


def test_the_aws_cli_sees_the_same(platform, functions):
    create(functions, "by-cli", {"app.py": HELLO}, MemorySize=256, Timeout=7, Environment={"Variables": {"NAME": "b"}})
    shown = json.loads(platform.cli("lambda", "get-function-configuration", "--function-name", "by-cli").stdout)
    assert (shown["MemorySize"], shown["Timeout"], shown["Environment"]["Variables"]) == (256, 7, {"NAME": "b"})
    assert shown["State"] == "Active" and shown["LastUpdateStatus"] == "Successful" and shown["PackageType"] == "Zip"
    platform.cli("lambda", "wait", "function-active-v2", "--function-name", "by-cli")
    names = json.loads(platform.cli("lambda", "list-functions").stdout)["Functions"]
    assert "by-cli" in [one["FunctionName"] for one in names]
    me = json.loads(platform.cli("sts", "get-caller-identity").stdout)
    assert me["Account"] == "000000000000"


def test_no_concurrency_is_a_throttle_with_its_reason(functions):
    create(functions, "closed", {"app.py": HELLO})
    functions.put_function_concurrency(FunctionName="closed", ReservedConcurrentExecutions=0)
    code, status, message, raw = refused(functions.invoke, FunctionName="closed")
    assert (code, status, message) == ("TooManyRequestsException", 429, "Rate Exceeded.")
    assert raw["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    functions.delete_function_concurrency(FunctionName="closed")
    assert invoke(functions, "closed", {"name": "x"})[0]["hello"] == "x"


def test_reserved_concurrency_is_exact_under_a_burst(functions):
    slow = "import time\ndef handler(event, context):\n    time.sleep(4)\n    return 1\n"
    create(functions, "burst", {"app.py": slow}, Timeout=30)
    functions.put_function_concurrency(FunctionName="burst", ReservedConcurrentExecutions=3)

    def one(_):
        try:
            return functions.invoke(FunctionName="burst")["StatusCode"]
        except ClientError as error:
            return error.response["ResponseMetadata"]["HTTPStatusCode"]

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(one, range(20)))
    assert sorted(statuses) == [200] * 3 + [429] * 17


def test_updated_code_answers_at_once(functions):
    create(functions, "changing", {"app.py": "def handler(event, context): return 1\n"})
    assert invoke(functions, "changing")[0] == 1
    before = functions.get_function_configuration(FunctionName="changing")
    after = functions.update_function_code(FunctionName="changing", ZipFile=zipped({"app.py": "def handler(e, c): return 2\n"}))
    functions.get_waiter("function_updated_v2").wait(FunctionName="changing", WaiterConfig={"Delay": 1})
    assert after["CodeSha256"] != before["CodeSha256"] and after["RevisionId"] != before["RevisionId"]
    assert invoke(functions, "changing")[0] == 2
    functions.update_function_configuration(FunctionName="changing", Environment={"Variables": {"MODE": "1"}}, Handler="app.other")
    code = zipped({"app.py": "import os\ndef other(e, c): return os.environ['MODE']\n"})
    functions.update_function_code(FunctionName="changing", ZipFile=code)
    assert invoke(functions, "changing")[0] == "1"


def test_a_timeout_says_so_and_leaves_a_fresh_environment(functions):
    code = "import time\ncalls = 0\ndef handler(event, context):\n    global calls\n    calls += 1\n    time.sleep(event.get('s', 0))\n    return calls\n"
    create(functions, "sleepy", {"app.py": code}, Timeout=1)
    assert invoke(functions, "sleepy")[0] == 1
    answer, raw = invoke(functions, "sleepy", {"s": 30}, LogType="Tail")
    request = raw["ResponseMetadata"]["RequestId"]
    assert raw["FunctionError"] == "Unhandled"
    assert answer == {"errorType": "Sandbox.Timedout", "errorMessage": f"RequestId: {request} Error: Task timed out after 1.00 seconds"}
    assert f"{request} Task timed out after 1.00 seconds" in base64.b64decode(raw["LogResult"]).decode()
    assert invoke(functions, "sleepy")[0] == 1, "the state went with the environment"


def test_memory_beyond_the_limit_kills_the_function_only(functions):
    code = "def handler(event, context):\n    x = bytearray(event['mib'] << 20)\n    return len(x) >> 20\n"
    create(functions, "hungry", {"app.py": code}, MemorySize=256, Timeout=20)
    assert invoke(functions, "hungry", {"mib": 100})[0] == 100
    answer, raw = invoke(functions, "hungry", {"mib": 300}, LogType="Tail")
    assert raw["FunctionError"] == "Unhandled"
    assert answer["errorType"] in ("Runtime.OutOfMemory", "Runtime.ExitError"), answer
    assert "OutOfMemory" in base64.b64decode(raw["LogResult"]).decode()
    assert invoke(functions, "hungry", {"mib": 10})[0] == 10


def test_a_crash_leaves_a_fresh_environment(functions):
    code = "import os\nseen = []\ndef handler(event, context):\n    seen.append(1)\n    if event.get('die'): os._exit(3)\n    return len(seen)\n"
    create(functions, "crashing", {"app.py": code})
    assert invoke(functions, "crashing")[0] == 1
    answer, raw = invoke(functions, "crashing", {"die": True})
    assert raw["FunctionError"] == "Unhandled" and answer["errorType"] == "Runtime.ExitError"
    assert answer["errorMessage"].endswith("Error: Runtime exited with error: exit status 3")
    assert invoke(functions, "crashing")[0] == 1


def test_errors_have_the_shapes_of_the_managed_runtime(functions):
    create(functions, "raising", {"app.py": "def handler(event, context): raise KeyError('nope')\n"})
    answer, raw = invoke(functions, "raising")
    assert raw["FunctionError"] == "Unhandled"
    assert answer["errorType"] == "KeyError" and answer["errorMessage"] == "'nope'" and answer["stackTrace"]
    create(functions, "no-module", {"other.py": ""})
    answer, _ = invoke(functions, "no-module")
    assert answer["errorType"] == "Runtime.ImportModuleError"
    assert answer["errorMessage"] == "Unable to import module 'app': No module named 'app'"
    create(functions, "no-handler", {"app.py": ""})
    answer, _ = invoke(functions, "no-handler")
    assert answer["errorType"] == "Runtime.HandlerNotFound"
    assert answer["errorMessage"] == "Handler 'handler' missing on module 'app'"


@pytest.mark.skipif(node_runtime() is None, reason="node is not installed: make deps")
def test_node_functions_run(functions):
    common = "exports.handler = async (event) => { console.log('seen', event.n); return { double: event.n * 2 }; };\n"
    create(functions, "node-cjs", {"index.js": common}, runtime=node_runtime(), handler="index.handler")
    answer, raw = invoke(functions, "node-cjs", {"n": 21}, LogType="Tail")
    assert answer == {"double": 42} and "INFO\tseen 21" in base64.b64decode(raw["LogResult"]).decode()
    module = "export const handler = async (event, context) => { if (event.bad) throw new TypeError('bad'); return context.functionName; };\n"
    create(functions, "node-esm", {"index.mjs": module}, runtime=node_runtime(), handler="index.handler")
    assert invoke(functions, "node-esm")[0] == "node-esm"
    answer, raw = invoke(functions, "node-esm", {"bad": 1})
    assert (answer["errorType"], answer["errorMessage"]) == ("TypeError", "bad") and raw["FunctionError"] == "Unhandled"


SHELL = """#!/bin/sh
while true; do
  headers=$(mktemp)
  event=$(curl -sS -D "$headers" "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/next")
  id=$(grep -i '^lambda-runtime-aws-request-id' "$headers" | tr -d '\\r' | cut -d' ' -f2)
  echo "shell got $event" >&2
  curl -sS -X POST "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/$id/response" -d "{\\"got\\": $event}" >/dev/null
done
"""


def test_a_shell_bootstrap_runs(functions):
    create(functions, "shell", {"bootstrap": SHELL}, runtime="provided.al2023", handler="any")
    answer, raw = invoke(functions, "shell", {"a": 1}, LogType="Tail")
    assert answer == {"got": {"a": 1}} and 'shell got {"a": 1}' in base64.b64decode(raw["LogResult"]).decode()
    create(functions, "no-bootstrap", {"readme": ""}, runtime="provided.al2023", handler="any")
    answer, raw = invoke(functions, "no-bootstrap")
    assert raw["FunctionError"] == "Unhandled" and answer["errorType"] == "Runtime.InvalidEntrypoint"


def test_a_compiled_rust_function_runs(platform, functions):
    environment = {"CARGO_TARGET_DIR": str(ROOT / "target/examples")}
    platform.lambent("deploy", str(ROOT / "examples/rust-hello"), "--no-url", environment=environment)
    answer, raw = invoke(functions, "rust-hello", {"name": "ferris"}, LogType="Tail")
    request = raw["ResponseMetadata"]["RequestId"]
    assert answer == {"hello": "ferris"} and f"request {request}" in base64.b64decode(raw["LogResult"]).decode()


def test_the_official_python_client_runs_unmodified(functions):
    site = pathlib.Path(importlib.util.find_spec("awslambdaric").origin).parents[1]
    files = {"app.py": "def handler(event, context): return [event, context.aws_request_id]\n"}
    for name in ["awslambdaric", "snapshot_restore_py", "simplejson"]:
        for path in (site / name).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                files[str(path.relative_to(site))] = path.read_bytes()
    files.update({path.name: path.read_bytes() for path in site.glob("runtime_client*")})
    # A custom runtime finds the system's own programs; the client's extension module is for one minor version.
    system = subprocess.run(["/usr/bin/python3", "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, text=True)
    if system.stdout.strip() != str(sys.version_info[:2]):
        pytest.skip(f"/usr/bin/python3 is not Python {sys.version_info[:2]}: {system.stdout}{system.stderr}")
    files["bootstrap"] = "#!/bin/sh\nexec /usr/bin/python3 -m awslambdaric app.handler\n"
    create(functions, "official", files, runtime="provided.al2023")
    answer, raw = invoke(functions, "official", {"a": "b"})
    assert answer == [{"a": "b"}, raw["ResponseMetadata"]["RequestId"]]


def test_a_wrapper_script_starts_the_runtime(functions):
    files = {"app.py": "import os\ndef handler(event, context): return os.environ['WRAPPED']\n", "bootstrap": "#!/bin/sh\nexport WRAPPED=yes\nexec \"$@\"\n"}
    create(functions, "wrapped", files, Environment={"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/bootstrap"}})
    assert invoke(functions, "wrapped")[0] == "yes"


def test_a_queued_event_is_run(platform, functions):
    create(functions, "later", {"app.py": "def handler(event, context):\n    print('ran', event['n'])\n"})
    raw = functions.invoke(FunctionName="later", InvocationType="Event", Payload=b'{"n": 7}')
    assert raw["StatusCode"] == 202
    raw = functions.invoke(FunctionName="later", InvocationType="DryRun", Payload=b'{"n": 8}')
    assert raw["StatusCode"] == 204
    assert eventually(lambda: ran(platform, "later"), lambda seen: seen) == ["ran 7"]


def test_logs_are_read_as_from_cloudwatch(platform, functions):
    create(functions, "talkative", {"app.py": "def handler(event, context):\n    print('line', event['n'])\n"})
    for n in range(3):
        invoke(functions, "talkative", {"n": n})
    logs = platform.client("logs")
    groups = logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/talk")["logGroups"]
    assert [group["logGroupName"] for group in groups] == ["/aws/lambda/talkative"]
    streams = logs.describe_log_streams(logGroupName="/aws/lambda/talkative")["logStreams"]
    assert len(streams) == 1 and "[$LATEST]" in streams[0]["logStreamName"]
    events = logs.get_log_events(logGroupName="/aws/lambda/talkative", logStreamName=streams[0]["logStreamName"], startFromHead=True)
    messages = [event["message"].rstrip("\n") for event in events["events"]]
    assert [m for m in messages if m.startswith("line")] == ["line 0", "line 1", "line 2"]
    assert sum(m.startswith("REPORT RequestId: ") for m in messages) == 3
    found = logs.filter_log_events(logGroupName="/aws/lambda/talkative", filterPattern='"line 1"')["events"]
    assert len(found) == 1


@pytest.mark.parametrize(
    "change, code, status",
    [
        ({"Runtime": "cobol85"}, "InvalidParameterValueException", 400),
        ({"FunctionName": "no spaces allowed"}, "ValidationException", 400),
        ({"MemorySize": 64}, "ValidationException", 400),
        ({"Timeout": 901}, "ValidationException", 400),
        ({"Role": "not-an-arn"}, "ValidationException", 400),
        ({"Code": {"ZipFile": b"this is no zip"}}, "InvalidParameterValueException", 400),
        ({"Code": {"ZipFile": zipped({"../../escape.py": "x"})}}, "InvalidParameterValueException", 400),
        ({"Environment": {"Variables": {"AWS_REGION": "mars"}}}, "InvalidParameterValueException", 400),
    ],
)
def test_bad_input_is_refused_and_nothing_is_half_created(platform, change, code, status):
    functions = platform.client("lambda", parameter_validation=False)
    good = {
        "FunctionName": "refused",
        "Runtime": "python3.11",
        "Role": "arn:aws:iam::000000000000:role/r",
        "Handler": "app.handler",
        "Code": {"ZipFile": zipped({"app.py": HELLO})},
    }
    got = refused(functions.create_function, **{**good, **change})
    assert got[:2] == (code, status), got
    assert refused(functions.get_function, FunctionName="refused")[0] == "ResourceNotFoundException"


def test_bad_events_are_refused(functions):
    create(functions, "picky", {"app.py": "def handler(event, context): return len(str(event))\n"})
    code, status, message, _ = refused(functions.invoke, FunctionName="picky", Payload=b"{nope")
    assert (code, status) == ("InvalidRequestContentException", 400) and "parse" in message
    big = json.dumps("x" * 6_300_000)
    code, status, _, _ = refused(functions.invoke, FunctionName="picky", Payload=big)
    assert (code, status) == ("RequestEntityTooLargeException", 413)
    create(functions, "wordy", {"app.py": "def handler(event, context): return 'x' * 7_000_000\n"}, MemorySize=512, Timeout=20)
    answer, raw = invoke(functions, "wordy")
    assert raw["FunctionError"] == "Unhandled" and answer["errorType"] == "Function.ResponseSizeTooLarge"


def test_a_known_key_must_sign_rightly(platform):
    iam = platform.client("iam")
    iam.create_user(UserName="ada")
    key = iam.create_access_key(UserName="ada")["AccessKey"]
    good = platform.client("sts", key["AccessKeyId"], key["SecretAccessKey"])
    # The default account now has a key of its own, so unknown keys hold no rights over it; this key cleans up after itself.
    try:
        assert good.get_caller_identity()["Arn"] == "arn:aws:iam::000000000000:user/ada"
        bad = platform.client("lambda", key["AccessKeyId"], "not-the-secret")
        code, status, _, _ = refused(bad.list_functions)
        assert (code, status) == ("InvalidSignatureException", 403)
    finally:
        owner = platform.client("iam", key["AccessKeyId"], key["SecretAccessKey"])
        owner.delete_access_key(UserName="ada", AccessKeyId=key["AccessKeyId"])

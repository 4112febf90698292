"""What breaks lesser platforms: each test is an attack or an accident that once did harm, or must never."""

import http.client
import json
import os
import random
import threading
import time
import urllib.parse

import pytest
from botocore.exceptions import ClientError

from platform_under_test import ROLE, create, eventually, invoke, python_runtime, ran, zipped

FORK_BOMB = """import os, time
def handler(event, context):
    while True:
        try:
            if os.fork() == 0:
                while True:
                    try: os.fork()
                    except OSError: pass
        except OSError:
            time.sleep(0.01)
"""


def processes_of(platform):
    """How many processes the platform's helper holds in sandboxes: everything below the server."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="latin1") as stat:
                    children.setdefault(int(stat.read().rsplit(")", 1)[1].split()[1]), []).append(int(entry))
            except OSError:
                continue
    found, below = 0, [platform.process.pid]
    while below:
        here = children.get(below.pop(), [])
        found += len(here)
        below += here
    return found


def test_a_fork_bomb_in_a_small_share_of_a_cpu_ends_with_its_time_out(own_platform):
    running = own_platform()
    client = running.client("lambda")
    create(client, "bomb", {"app.py": FORK_BOMB}, Timeout=3, MemorySize=256)
    create(client, "neighbour", {"app.py": "def handler(event, context): return 1\n"})
    answer, _ = invoke(client, "bomb")
    assert answer["errorType"] == "Sandbox.Timedout", answer
    left = eventually(lambda: processes_of(running), lambda left: left < 50, seconds=15)
    assert left < 50, f"{left} processes live on after the kill"
    assert invoke(client, "neighbour")[0] == 1


def test_a_variable_no_process_can_have_is_refused(functions):
    create(functions, "nul", {"app.py": "def handler(event, context): return 1\n"})
    for call, more in [
        (functions.update_function_configuration, {"FunctionName": "nul"}),
        (
            functions.create_function,
            {"FunctionName": "nul2", "Runtime": python_runtime(), "Role": ROLE, "Handler": "a.b", "Code": {"ZipFile": zipped({"a.py": ""})}},
        ),
    ]:
        with pytest.raises(ClientError) as caught:
            call(Environment={"Variables": {"NAME": "a\0b"}}, **more)
        assert caught.value.response["Error"]["Code"] == "InvalidParameterValueException"
    assert invoke(functions, "nul")[0] == 1


def test_a_flood_of_output_can_be_searched(platform, functions):
    code = "import os\ndef handler(event, context):\n    for _ in range(900): os.write(1, (b'y' * 99 + b'\\n') * 1000)\n    return 'done'\n"
    create(functions, "flood", {"app.py": code}, Timeout=60, MemorySize=1769)
    assert invoke(functions, "flood")[0] == "done"
    pages, found = 0, []
    for page in platform.client("logs").get_paginator("filter_log_events").paginate(logGroupName="/aws/lambda/flood", filterPattern="REPORT"):
        pages, found = pages + 1, found + page["events"]
        assert pages < 50, "a page goes on where the last one ended"
    assert len(found) == 1


RAW = """import os, socket
def talk(data):
    host, port = os.environ['AWS_LAMBDA_RUNTIME_API'].split(':')
    with socket.create_connection((host, int(port)), timeout=0.3) as s:
        try:
            s.sendall(data)
            return s.recv(4096).split(b'\\r\\n')[0].decode('latin1')
        except OSError as error:
            return repr(error)
def post(path, body, more=''):
    return f'POST /2018-06-01/runtime/{path} HTTP/1.1\\r\\nHost: x\\r\\n{more}Content-Length: {len(body)}\\r\\n\\r\\n{body}'.encode()
def handler(event, context):
    id = context.aws_request_id
    return [talk(d) for d in [
        post('invocation/11111111-1111-1111-1111-111111111111/response', '1'),
        post('invocation/' + 'x' * 5000 + '/response', '1'),
        post('init/error', '{}'),
        b'GET /2018-06-01/runtime/invocation/next HTTP/1.1\\r\\nX: ' + b'a' * 3_000_000,
        b'POST /2018-06-01/runtime/invocation/' + id.encode() + b'/response HTTP/1.1\\r\\nContent-Length: -1\\r\\n\\r\\n',
        b'POST /2018-06-01/runtime/invocation/' + id.encode() + b'/response HTTP/1.1\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\nzz\\r\\n',
        bytes(range(256)) * 100,
        b'\\r\\n' * 1000,
    ]]
"""


def test_garbage_on_the_runtime_api_hurts_nobody(functions):
    create(functions, "garbage", {"app.py": RAW}, Timeout=20, MemorySize=512)
    for _ in range(2):
        answer, raw = invoke(functions, "garbage")
        assert "FunctionError" not in raw, answer
        assert answer[0].startswith("HTTP/1.1 400") and answer[1].startswith("HTTP/1.1 400") and answer[2].startswith("HTTP/1.1 403")
        assert not any(" 200 " in one or " 202 " in one or " 500 " in one for one in answer), answer


def test_a_function_url_does_not_let_headers_or_framing_be_forged(platform, functions):
    code = "def handler(event, context): return {'statusCode': 200, 'headers': {event['rawPath'][1:]: event['rawQueryString'].replace('CR', chr(13) + chr(10))}, 'body': 'x'}\n"
    create(functions, "forger", {"app.py": code})
    url = urllib.parse.urlsplit(functions.create_function_url_config(FunctionName="forger", AuthType="NONE")["FunctionUrl"])

    def get(path):
        connection = http.client.HTTPConnection(platform.endpoint.removeprefix("http://"), timeout=20)
        connection.request("GET", path, headers={"Host": url.netloc})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()

    assert get("/x-a?fine")[1]["x-a"] == "fine"
    assert get("/x-a?badCRX-Evil:1")[0] == 502
    assert get("/Content-Length?999")[2] == b"x"
    assert get("/Transfer-Encoding?chunked")[2] == b"x"


INSIDE = """import os, socket
def handler(event, context):
    seen = []
    for host in ['127.0.0.1', 'localhost', '0.0.0.0'] + event['hosts']:
        try:
            socket.create_connection((host, event['port']), timeout=1).close()
            seen.append(host)
        except OSError:
            pass
    return seen
"""


def test_the_host_is_out_of_a_functions_reach(platform, functions):
    create(functions, "reaching", {"app.py": INSIDE}, Timeout=10)
    port = int(platform.endpoint.rsplit(":", 1)[1])
    assert invoke(functions, "reaching", {"port": port, "hosts": ["169.254.169.254"]})[0] == []


def test_kills_while_functions_change_lose_nothing_acknowledged(own_platform):
    running = own_platform()
    alive, dead, described, queued, numbers = set(), set(), {}, set(), iter(range(10_000))
    code = zipped({"app.py": "def handler(event, context):\n    print('ran', event['n'])\n"})
    create(running.client("lambda"), "sink", {"app.py": "def handler(event, context):\n    print('ran', event['n'])\n"}, Timeout=20)
    # Closed until the last restart: the log line of an event that ran right before a kill may go with it, the event not.
    running.client("lambda").put_function_concurrency(FunctionName="sink", ReservedConcurrentExecutions=0)
    chance = random.Random(7)

    def work(client):
        # Ends with the platform: whatever it did not acknowledge may or may not be there.
        while True:
            n = next(numbers)
            name = f"made-{n}"
            try:
                client.create_function(FunctionName=name, Runtime=python_runtime(), Role=ROLE, Handler="app.handler", Code={"ZipFile": code})
                alive.add(name)
                client.update_function_configuration(FunctionName=name, Description=f"d{n}")
                described[name] = f"d{n}"
                client.invoke(FunctionName="sink", InvocationType="Event", Payload=json.dumps({"n": n}))
                queued.add(f"ran {n}")
                if n % 3 == 0:
                    alive.discard(name)
                    described.pop(name)
                    client.delete_function(FunctionName=name)
                    dead.add(name)
            except Exception:
                return

    for _ in range(4):
        worker = threading.Thread(target=work, args=(running.client("lambda"),))
        worker.start()
        time.sleep(chance.uniform(0.3, 0.9))
        running.kill()
        worker.join()
        running.start()
    client = running.client("lambda")
    found = {f["FunctionName"]: f for page in client.get_paginator("list_functions").paginate() for f in page["Functions"]}
    assert alive and queued and alive <= set(found), alive - set(found)
    assert not dead & set(found)
    assert {name: found[name]["Description"] for name in described} == described
    for name in sorted(set(found) - {"sink"})[-5:]:
        assert invoke(client, name, {"n": "late"})[1]["StatusCode"] == 200, "whatever is listed is whole"
    client.delete_function_concurrency(FunctionName="sink")
    seen = eventually(lambda: set(ran(running, "sink")), lambda seen: queued <= seen, seconds=25)
    assert queued <= seen, queued - seen

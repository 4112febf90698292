"""Responses that arrive as functions write them: boto3, function URLs, real handlers in Python, Node and a custom runtime."""

import base64
import http.client
import json
import os
import socket
import subprocess
import urllib.parse

import pytest

from platform_under_test import BINARY, create, eventually, invoke, node_runtime, ran
from test_s3_memory import MIB, Watch

NODE = pytest.mark.skipif(not node_runtime(), reason="there is no Node.js here")

# Answers 200 once somebody has asked for /go, and 204 before. One environment, so that it remembers.
SIGNAL = """
told = set()
def handler(event, context):
    what, _, name = event["rawPath"].lstrip("/").partition("/")
    if what == "go":
        told.add(name)
    return {"statusCode": 200 if name in told else 204}
"""

# Waits for the signal.
WAITS = """
import os, signal, time, urllib.error, urllib.request
def wait(event):
    request = urllib.request.Request(os.environ["AWS_ENDPOINT_URL"] + "/is/" + event["name"], headers={"Host": event["signal"]})
    while True:
        try:
            if urllib.request.urlopen(request).status == 200:
                return
        except urllib.error.HTTPError:
            pass
        time.sleep(0.02)
"""

PYTHON = (
    WAITS
    + """
calls = 0
def handler(event, context):
    global calls
    calls += 1
    if "queryStringParameters" in event:
        event = event["queryStringParameters"]
    return globals()[event["way"]](event)

def pieces(event):
    yield "first"
    wait(event)
    yield b"second"

def page(event):
    yield {"statusCode": 201, "headers": {"Content-Type": "text/plain", "X-Own": "yes"}, "cookies": ["a=1", "b=2"]}
    yield from pieces(event)

def bare(event):
    yield {"statusCode": int(event["status"]), "headers": {"X-Own": "yes"}}

def early(event):
    raise ValueError("before")
    yield

def late(event):
    yield "first"
    raise ValueError("after")

def hangs(event):
    yield "first"
    time.sleep(60)

def dies(event):
    yield "first"
    os.kill(os.getpid(), signal.SIGKILL)

def large(event):
    block = b"x" * (1 << 20)
    for _ in range(int(event["mib"])):
        yield block

def goes_on(event):
    yield "first"
    wait(event)
    yield from large({"mib": 16})
    print("ran to its end")

def count(event):
    return calls
"""
)

JAVASCRIPT = """
const { pipeline } = require("stream/promises");
const { Readable } = require("stream");
const pause = (ms) => new Promise((ok) => setTimeout(ok, ms));
async function wait(event) {
  const headers = { host: event.signal };
  const { hostname, port } = new URL(process.env.AWS_ENDPOINT_URL);
  const status = () => new Promise((ok) => require("http").get({ hostname, port, path: "/is/" + event.name, headers, agent: false }, (res) => ok(res.resume().statusCode)));
  while ((await status()) !== 200) await pause(20);
}
const ways = {
  async pieces(event, stream) {
    await pipeline((async function* () { yield "first"; await wait(event); yield "second"; })(), stream);
  },
  async page(event, stream) {
    const http = awslambda.HttpResponseStream.from(stream, { statusCode: 201, headers: { "Content-Type": "text/plain", "X-Own": "yes" }, cookies: ["a=1", "b=2"] });
    http.write("first");
    await wait(event);
    http.end("second");
  },
  async late(event, stream) { stream.write("first"); throw new TypeError("after"); },
  async five(event, stream) { for (let n = 0; n < 5; n++) stream.write(`piece ${n};`); stream.end(); },
};
exports.handler = awslambda.streamifyResponse(async (event, stream, context) => {
  const asked = event.queryStringParameters ?? event;
  await ways[asked.way](asked, stream);
});
"""

BOOTSTRAP = """#!/bin/bash
# Speaks HTTP by hand: the Runtime API over one connection, so that trailers can be sent.
api=${AWS_LAMBDA_RUNTIME_API%:*} port=${AWS_LAMBDA_RUNTIME_API#*:}
chunk() { printf '%x\\r\\n%s\\r\\n' "${#1}" "$1" >&3; }
while true; do
  exec 3<>"/dev/tcp/$api/$port"
  printf 'GET /2018-06-01/runtime/invocation/next HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' >&3
  while IFS=$'\\r' read -r line <&3 && [ -n "$line" ]; do
    case ${line,,} in lambda-runtime-aws-request-id:*) id=${line#*: } ;; content-length:*) length=${line#*: } ;; esac
  done
  IFS= read -r -N "$length" event <&3
  field() { sed -n "s/.*\\"$1\\": *\\"\\([^\\"]*\\)\\".*/\\1/p" <<<"$event"; }
  printf 'POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\\r\\nHost: x\\r\\nContent-Type: text/plain\\r\\nLambda-Runtime-Function-Response-Mode: streaming\\r\\nTransfer-Encoding: chunked\\r\\nTrailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\\r\\n\\r\\n' "$id" >&3
  chunk first
  if [ "$(field way)" = late ]; then
    body=$(printf '{"errorType":"Own.Late","errorMessage":"after"}' | base64 -w0)
    printf '0\\r\\nLambda-Runtime-Function-Error-Type: Own.Late\\r\\nLambda-Runtime-Function-Error-Body: %s\\r\\n\\r\\n' "$body" >&3
  elif [ "$(field way)" = cut ]; then
    exec 3>&-
    continue
  else
    until [ "$(curl -s -o /dev/null -w '%{http_code}' -H "Host: $(field signal)" "$AWS_ENDPOINT_URL/is/$(field name)")" = 200 ]; do sleep 0.02; done
    chunk second
    printf '0\\r\\n\\r\\n' >&3
  fi
  IFS= read -r line <&3
  exec 3>&-
done
"""


class Site:
    """A function URL, reached at the platform's own address."""

    def __init__(self, platform, url):
        self.host = urllib.parse.urlsplit(url).hostname
        self.address = urllib.parse.urlsplit(platform.endpoint)

    def ask(self, path="/", **query):
        connection = http.client.HTTPConnection(self.address.hostname, self.address.port, timeout=60)
        connection.request("GET", path + "?" + urllib.parse.urlencode(query), headers={"Host": self.host})
        return connection.getresponse()


def site(platform, functions, name, **more):
    url = functions.create_function_url_config(FunctionName=name, AuthType="NONE", **more)["FunctionUrl"]
    return Site(platform, url)


@pytest.fixture(scope="module")
def going(platform):
    """Lets functions that wait go on: a site to wait at, and how to say so."""
    functions = platform.client("lambda")
    create(functions, "stream-signal", {"app.py": SIGNAL})
    functions.put_function_concurrency(FunctionName="stream-signal", ReservedConcurrentExecutions=1)
    signal = site(platform, functions, "stream-signal")

    def go(name):
        assert eventually(lambda: signal.ask("/go/" + name).status, lambda status: status == 200) == 200

    go.host = signal.host
    return go


@pytest.fixture(scope="module")
def streaming(platform, going):
    """The name of a function that streams, in each language."""
    functions = platform.client("lambda")
    create(functions, "stream-python", {"app.py": PYTHON}, Timeout=30)
    create(functions, "stream-custom", {"bootstrap": BOOTSTRAP}, runtime="provided.al2023", handler="any", Timeout=30)
    if node_runtime():
        create(functions, "stream-node", {"app.js": JAVASCRIPT}, runtime=node_runtime(), Timeout=30)
    sites = {
        name: site(platform, functions, name, InvokeMode="RESPONSE_STREAM")
        for name in ["stream-python", "stream-custom", "stream-node"]
        if name != "stream-node" or node_runtime()
    }
    return sites


def begin(functions, name, event):
    answer = functions.invoke_with_response_stream(FunctionName=name, Payload=json.dumps(event), LogType="Tail")
    assert answer["StatusCode"] == 200 and answer["ExecutedVersion"] == "$LATEST"
    return iter(answer["EventStream"])


def rest(events):
    """What else comes, and the end."""
    payload, end = b"", None
    for event in events:
        assert end is None
        payload += event.get("PayloadChunk", {}).get("Payload", b"")
        end = event.get("InvokeComplete")
    return payload, end


@pytest.mark.parametrize("name", ["stream-python", pytest.param("stream-node", marks=NODE), "stream-custom"])
def test_a_client_has_the_first_piece_while_the_function_waits(functions, streaming, going, name):
    events = begin(functions, name, {"way": "pieces", "name": name, "signal": going.host})
    assert next(events)["PayloadChunk"]["Payload"] == b"first"
    going(name)
    payload, end = rest(events)
    assert payload == b"second" and "ErrorCode" not in end
    report = base64.b64decode(end["LogResult"]).decode().splitlines()[-1]
    first, whole = (float(report.split(f"\t{what}: ")[1].split(" ms")[0]) for what in ("First byte", "Duration"))
    assert 0 < first < whole, report


@pytest.mark.parametrize("name", ["stream-python", pytest.param("stream-node", marks=NODE)])
def test_a_page_begins_before_the_function_has_ended(streaming, going, name):
    answer = streaming[name].ask(way="page", name="page-" + name, signal=going.host)
    assert (answer.status, answer.getheader("content-type"), answer.getheader("x-own")) == (201, "text/plain", "yes")
    assert answer.headers.get_all("set-cookie") == ["a=1", "b=2"] and answer.getheader("transfer-encoding") == "chunked"
    assert answer.getheader("x-amzn-requestid") and answer.getheader("x-amzn-trace-id")
    assert answer.read1() == b"first"
    going("page-" + name)
    assert answer.read() == b"second"


def test_without_a_prelude_the_runtimes_content_type_is_the_pages(streaming, going):
    going("typed")
    for name, kind in [("stream-python", "application/octet-stream"), ("stream-custom", "text/plain")]:
        answer = streaming[name].ask(way="pieces", name="typed", signal=going.host)
        assert (answer.status, answer.getheader("content-type"), answer.read()) == (200, kind, b"firstsecond")


def test_answers_without_a_body_end_where_they_should(streaming, going):
    site = streaming["stream-python"]
    connection = http.client.HTTPConnection(site.address.hostname, site.address.port, timeout=60)
    going("head")
    for method, status in [("GET", 204), ("GET", 304), ("GET", 200), ("HEAD", 200), ("GET", 500)]:
        # One connection: what is left of an answer would stand in the way of the next.
        connection.request(method, f"/?way=bare&status={status}", headers={"Host": site.host})
        answer = connection.getresponse()
        assert (answer.status, answer.read(), answer.getheader("x-own")) == (status, b"", "yes")
    query = urllib.parse.urlencode({"way": "pieces", "name": "head", "signal": going.host})
    for method, body in [("HEAD", b""), ("GET", b"firstsecond")]:
        connection.request(method, "/?" + query, headers={"Host": site.host})
        assert connection.getresponse().read() == body


@NODE
def test_what_a_handler_writes_arrives_whole_for_those_who_want_it_whole(platform, functions, streaming):
    answer = functions.invoke(FunctionName="stream-node", Payload=json.dumps({"way": "five"}))
    assert answer["Payload"].read() == b"piece 0;piece 1;piece 2;piece 3;piece 4;" and "FunctionError" not in answer
    error, answer = invoke(functions, "stream-node", {"way": "late"})
    assert (answer["FunctionError"], error["errorType"], error["errorMessage"]) == ("Unhandled", "TypeError", "after")
    for mib in (7, 80):
        error, _ = invoke(functions, "stream-python", {"way": "large", "mib": mib})
        assert error["errorType"] == "Function.ResponseSizeTooLarge"
        assert invoke(functions, "stream-python", {"way": "count"})[0] > 0


@pytest.mark.parametrize(
    "name, kind", [("stream-python", "ValueError"), pytest.param("stream-node", "TypeError", marks=NODE), ("stream-custom", "Own.Late")]
)
def test_a_failure_behind_the_first_piece_ends_the_stream(functions, streaming, name, kind):
    payload, end = rest(begin(functions, name, {"way": "late"}))
    assert (payload, end["ErrorCode"]) == (b"first", kind)
    assert json.loads(end["ErrorDetails"])["errorMessage"] == "after"


def test_a_failure_before_the_first_piece_is_one_like_any_other(functions, streaming):
    payload, end = rest(begin(functions, "stream-python", {"way": "early"}))
    assert (payload, end["ErrorCode"]) == (b"", "Unhandled")
    assert json.loads(end["ErrorDetails"])["errorMessage"] == "before"
    answer = streaming["stream-python"].ask(way="early")
    assert (answer.status, answer.read()) == (502, b"Internal Server Error")


@pytest.mark.parametrize("way", ["late", "dies"])
def test_a_failure_behind_the_first_byte_cuts_the_connection(streaming, way):
    answer = streaming["stream-python"].ask(way=way)
    assert answer.status == 200
    with pytest.raises(http.client.IncompleteRead) as caught:
        answer.read()
    assert caught.value.partial == b"first"


def test_a_process_that_ends_leaves_a_truncated_response(functions, streaming):
    payload, end = rest(begin(functions, "stream-python", {"way": "dies"}))
    assert (payload, end["ErrorCode"]) == (b"first", "Runtime.TruncatedResponse")
    assert "signal: killed" in end["ErrorDetails"] and "Error Type: Runtime.ExitError" in base64.b64decode(end["LogResult"]).decode()
    payload, end = rest(begin(functions, "stream-custom", {"way": "cut"}))
    assert (payload, end["ErrorCode"]) == (b"first", "Runtime.TruncatedResponse")
    # The next one has an environment of its own.
    assert invoke(functions, "stream-python", {"way": "count"})[0] == 1


def test_a_timeout_ends_a_stream(platform, functions, streaming):
    create(functions, "stream-hangs", {"app.py": PYTHON}, Timeout=1)
    payload, end = rest(begin(functions, "stream-hangs", {"way": "hangs"}))
    assert (payload, end["ErrorCode"]) == (b"first", "Sandbox.Timedout")
    assert "Task timed out after 1.00 seconds" in end["ErrorDetails"]
    # Also while the client reads nothing, and the function cannot write.
    events = begin(functions, "stream-hangs", {"way": "large", "mib": 100})
    assert next(events)["PayloadChunk"]["Payload"]
    timeouts = {"logGroupName": "/aws/lambda/stream-hangs", "filterPattern": '"Status: timeout"'}
    look = lambda: len(platform.client("logs").filter_log_events(**timeouts)["events"])  # noqa: E731
    assert eventually(look, lambda reports: reports == 2) == 2
    payload, end = rest(events)
    assert len(payload) < 100 * MIB and end["ErrorCode"] == "Sandbox.Timedout"


def test_a_client_that_leaves_does_not_end_the_function(platform, functions, streaming, going):
    name, address = "left", streaming["stream-python"].address
    query = urllib.parse.urlencode({"way": "goes_on", "name": name, "signal": going.host})
    with socket.create_connection((address.hostname, address.port)) as client:
        client.sendall(f"GET /?{query} HTTP/1.1\r\nHost: {streaming['stream-python'].host}\r\n\r\n".encode())
        heard = b""
        while b"first" not in heard:
            heard += client.recv(65536)
    before = len(ran(platform, "stream-python"))
    going(name)
    assert len(eventually(lambda: ran(platform, "stream-python"), lambda lines: len(lines) > before)) == before + 1
    # Its environment serves on.
    assert invoke(functions, "stream-python", {"way": "count"})[0] > 1


def test_the_server_does_not_grow_with_a_response(own_platform):
    platform = own_platform()
    functions = platform.client("lambda")
    create(functions, "stream-large", {"app.py": PYTHON}, Timeout=60)
    rest(begin(functions, "stream-large", {"way": "large", "mib": 4}))
    watch, size = Watch(platform), 0
    for event in begin(functions, "stream-large", {"way": "large", "mib": 64}):
        size += len(event.get("PayloadChunk", {}).get("Payload", b""))
    assert size == 64 * MIB and watch.grown() < 16 * MIB, watch.grown()
    large = site(platform, functions, "stream-large", InvokeMode="RESPONSE_STREAM")
    watch, answer = Watch(platform), large.ask(way="large", mib=64)
    size = sum(len(block) for block in iter(lambda: answer.read(MIB), b""))
    assert size == 64 * MIB and watch.grown() < 16 * MIB, watch.grown()


def test_a_streamed_response_ends_at_two_hundred_mebibytes(functions, streaming):
    size = 0
    for event in begin(functions, "stream-python", {"way": "large", "mib": 201}):
        size += len(event.get("PayloadChunk", {}).get("Payload", b""))
        end = event.get("InvokeComplete")
    assert 199 * MIB < size <= 200 * MIB and end["ErrorCode"] == "Function.ResponseSizeTooLarge", (size, end)


def test_a_url_is_reached_by_its_name_from_inside(functions, streaming, going):
    """Names below localhost are the platform, in a sandbox too."""
    code = "import urllib.request\ndef handler(event, context):\n    return urllib.request.urlopen(event['url']).read().decode()\n"
    create(functions, "stream-inside", {"app.py": code})
    going("inside")
    query = urllib.parse.urlencode({"way": "pieces", "name": "inside", "signal": going.host})
    url = f"http://{streaming['stream-python'].host}:4566/?{query}"
    assert invoke(functions, "stream-inside", {"url": url})[0] == "firstsecond"


def test_the_command_line_prints_pieces_as_they_come(platform, streaming, going):
    event = json.dumps({"way": "pieces", "name": "command", "signal": going.host})
    command = [str(BINARY), "invoke", "stream-python", "--stream", "--payload", event]
    environment = {**os.environ, "LAMBENT_ENDPOINT": platform.endpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as run:
        assert run.stdout.read(5) == b"first"
        going("command")
        out, log = run.communicate(timeout=60)
    assert (out, run.returncode) == (b"second", 0) and b"First byte" in log
    done = platform.lambent("invoke", "stream-python", "--stream", "--payload", json.dumps({"way": "late"}), check=False)
    assert (done.returncode, done.stdout) == (1, "first") and "ValueError: " in done.stderr
    done = platform.lambent("invoke", "nobody", "--stream", check=False)
    assert done.returncode == 1 and "ResourceNotFoundException" in done.stderr

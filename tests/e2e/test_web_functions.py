"""Programs that listen on $PORT, as functions: their URL, API Gateway, events, and what goes wrong."""

import base64
import concurrent.futures
import http.client
import json
import socket
import threading
import time
import urllib.parse

import pytest
import websocket
from botocore.exceptions import ClientError

from platform_under_test import create, eventually, invoke, node_runtime, python_runtime

# Says what it was asked, waits where it is told to, and breaks in every way.
SERVER = '''
import base64, hashlib, http.server, json, os, sys, threading, time
started, inside, most = time.time(), 0, 0
count = threading.Lock()

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body, kind="application/json", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if kind:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def serve(self):
        global inside, most
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.split("?")[0]
        if path == "/together":
            with count:
                inside += 1
                most = max(most, inside)
            barrier.wait(20)
            with count:
                inside -= 1
            return self.answer(200, json.dumps({"pid": os.getpid(), "most": most, "started": started}).encode())
        if path == "/long":
            with count:
                inside += 1
                most = max(most, inside)
            time.sleep(5)
            with count:
                inside -= 1
            return self.answer(200, json.dumps({"most": most, "started": started}).encode())
        if path == "/stream":
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for piece in (b"first", b"second"):
                self.wfile.write(b"%x\\r\\n%s\\r\\n" % (len(piece), piece))
                if piece == b"first":
                    go.wait(20)
            return self.wfile.write(b"0\\r\\n\\r\\n")
        if path == "/go":
            go.set()
        if path == "/ws":
            return self.echo_frames()
        if path == "/sleep":
            time.sleep(30)
        if path == "/exit":
            print("about to leave", flush=True)
            os._exit(7)
        if path == "/drop":
            self.close_connection = True
            return
        if path == "/memory":
            hog.append(bytearray(os.urandom(1)) * (400 << 20))
        if path == "/image":
            return self.answer(200, b"\\x89PNG\\xff", "image/png")
        if path == "/cookies":
            return self.answer(302, b"", None, [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Location", "/")])
        if path == "/events":
            event = json.loads(body)
            if event == {"fail": True}:
                return self.answer(500, b"no")
            return self.answer(200, json.dumps({"got": event, "kind": self.headers["Content-Type"]}).encode())
        said = {
            "method": self.command, "path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()},
            "body": body.decode("latin-1"), "pid": os.getpid(), "uid": os.getuid(), "port": os.environ["PORT"],
        }
        print("asked", self.path, flush=True)
        self.answer(200, json.dumps(said).encode())

    def echo_frames(self):
        if self.headers.get("Upgrade") != "websocket" or "upgrade" not in self.headers.get("Connection", "").lower():
            return self.answer(426, b"{}")
        accept = hashlib.sha1((self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(accept).decode())
        self.end_headers()
        # With the head's last bytes, so that it is read along with it.
        self.wfile.write(b"\\x81\\x05hello")
        self.close_connection = True
        while head := self.rfile.read(2):
            length = head[1] & 127
            if length == 126:
                length = int.from_bytes(self.rfile.read(2), "big")
            mask = self.rfile.read(4)
            body = bytes(byte ^ mask[at % 4] for at, byte in enumerate(self.rfile.read(length)))
            length = bytes([len(body)]) if len(body) < 126 else b"\\x7e" + len(body).to_bytes(2, "big")
            self.wfile.write(bytes([head[0]]) + length + body)
            if head[0] & 15 == 8:
                return

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = do_PATCH = serve

barrier = threading.Barrier(int(os.environ.get("TOGETHER", "2")))
go, hog = threading.Event(), []
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
'''


def web(client, name, files=None, command="exec python3 server.py", variables=None, **more):
    variables = {"LAMBENT_WEB_COMMAND": command, **(variables or {})}
    files = files or {"server.py": SERVER}
    create(client, name, files, handler="web", Environment={"Variables": variables}, **more)
    return url_of(client, name)


def url_of(client, name):
    client.add_permission(
        FunctionName=name, StatementId="all", Action="lambda:InvokeFunctionUrl", Principal="*", FunctionUrlAuthType="NONE"
    )
    return client.create_function_url_config(FunctionName=name, AuthType="NONE")["FunctionUrl"]


class Site:
    """One function's URL, over one connection or many."""

    def __init__(self, platform, url):
        self.address, self.host = urllib.parse.urlsplit(platform.endpoint).netloc, urllib.parse.urlsplit(url).netloc

    def ask(self, path, method="GET", body=None, headers=None, timeout=60):
        connection = http.client.HTTPConnection(self.address, timeout=timeout)
        try:
            connection.request(method, path, body, {"Host": self.host, **(headers or {})})
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def json(self, path, **more):
        status, _, body = self.ask(path, **more)
        assert status == 200, body
        return json.loads(body)


@pytest.fixture(scope="module")
def client(platform):
    return platform.client("lambda")


@pytest.fixture(scope="module")
def site(platform, client):
    return Site(platform, web(client, "web-site", Timeout=20, MemorySize=512))


def test_a_request_comes_as_it_was_sent_and_goes_back_as_it_was_answered(platform, site):
    said = site.json("/a%20b?x=1&x=2", method="POST", body=b"\x00\xff", headers={"X-Own": "yes", "Cookie": "a=1; b=2", "TE": "trailers"})
    assert (said["method"], said["path"], said["body"], said["port"]) == ("POST", "/a%20b?x=1&x=2", "\x00\xff", "8080")
    headers = said["headers"]
    assert (headers["x-own"], headers["cookie"], headers["host"]) == ("yes", "a=1; b=2", site.host)
    assert (headers["x-forwarded-for"], headers["x-forwarded-host"], headers["x-forwarded-proto"]) == ("127.0.0.1", site.host, "http")
    assert headers["x-amzn-trace-id"].startswith("Root=1-") and "te" not in headers
    status, headers, body = site.ask("/image")
    assert (status, headers["Content-Type"], body) == (200, "image/png", b"\x89PNG\xff")
    status, headers, body = site.ask("/cookies")
    assert (status, headers["Location"], headers.get_all("Set-Cookie"), body) == (302, "/", ["a=1", "b=2"], b"")
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        assert site.json("/", method=method)["method"] == method
    status, headers, body = site.ask("/", method="HEAD")
    assert (status, body) == (200, b"") and int(headers["Content-Length"]) > 0
    # What a caller says of the connection does not take away what the platform adds.
    said = site.json("/", headers={"Connection": "x-forwarded-for, x-amzn-requestid, host", "X-Forwarded-Prefix": "//evil"})
    assert (said["headers"]["x-forwarded-for"], said["headers"]["host"]) == ("127.0.0.1", site.host)
    assert "x-forwarded-prefix" not in said["headers"] and said["headers"]["x-amzn-requestid"]
    # The form by path answers the same, and says where it stands.
    label = site.host.split(".")[0]
    plain = Site(platform, "http://" + site.address)
    said = plain.json(f"/_lambent/url/{label}/deep?q=1")
    assert (said["path"], said["headers"]["x-forwarded-prefix"]) == ("/deep?q=1", f"/_lambent/url/{label}")
    assert plain.json(f"/_lambent/url/{label}")["headers"]["x-forwarded-prefix"] == f"/_lambent/url/{label}"


def websocket_of(site, path="/ws", **more):
    host, port = site.address.split(":")
    return websocket.create_connection(f"ws://{site.host}{path}", socket=socket.create_connection((host, int(port))), timeout=20, **more)


def test_a_websocket_is_the_programs_own(platform, site):
    first, second = websocket_of(site), websocket_of(site)
    assert (first.recv(), second.recv()) == ("hello", "hello")
    for text in ("a", "b" * 5000, "ü"):
        first.send(text)
        assert first.recv() == text
    second.send_binary(b"\x00\xff")
    assert second.recv() == b"\x00\xff"
    first.ping("still there?")
    assert first.recv_data(control_frame=True)[1] == b"still there?"
    # Meanwhile others are served, in the same environment.
    assert site.json("/")["method"] == "GET"
    first.close()
    second.close()
    logs = platform.client("logs")

    def reports():
        found = logs.filter_log_events(logGroupName="/aws/lambda/web-site", filterPattern='"GET /ws 101"')
        return [event["message"] for event in found["events"]]

    assert len(eventually(reports, lambda seen: len(seen) >= 2)) == 2


def test_a_websocket_ends_with_the_timeout_and_the_environment_goes_on(platform, client):
    site = Site(platform, web(client, "web-talks", Timeout=2))
    pid = site.json("/")["pid"]
    talk = websocket_of(site)
    assert talk.recv() == "hello"
    begun = time.monotonic()
    with pytest.raises(websocket.WebSocketConnectionClosedException):
        talk.recv()
    assert time.monotonic() - begun < 10
    assert site.json("/")["pid"] == pid


def test_a_program_may_decline_a_websocket(site):
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        websocket_of(site, "/image")
    assert refused.value.status_code == 200
    # Over HTTP/1.0 there is none.
    with socket.create_connection(site.address.split(":")) as plain:
        plain.sendall(f"GET /ws HTTP/1.0\r\nHost: {site.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".encode())
        assert plain.recv(100).startswith(b"HTTP/1.0 501")


def test_a_stop_ends_websockets(own_platform):
    platform = own_platform()
    site = Site(platform, web(platform.client("lambda"), "web-stops", Timeout=60))
    talk = websocket_of(site)
    assert talk.recv() == "hello"
    begun = time.monotonic()
    platform.stop()
    assert time.monotonic() - begun < 8
    with pytest.raises((websocket.WebSocketConnectionClosedException, ConnectionError)):
        talk.recv()


def test_many_requests_share_one_environment(platform, client):
    site = Site(platform, web(client, "web-many", variables={"TOGETHER": "30"}))
    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        # The first of them starts the environment, and all of them are needed for any to be answered.
        answers = list(pool.map(lambda _: site.json("/together"), range(30)))
    assert {(answer["pid"], answer["most"]) for answer in answers} == {(answers[0]["pid"], 30)}
    seen = json.loads(platform.lambent("top", "--once", "--json", "--interval", "0.1", "--function", "web-many").stdout)
    row = seen["functions"][0]
    environments, total = row["environments"], row["total"]
    assert (environments["idle"], environments["busy"], total["invocations"], total["coldStarts"]) == (1, 0, 30, 1)


def test_its_concurrency_is_honoured(platform, client):
    site = Site(platform, web(client, "web-two", variables={"LAMBENT_WEB_CONCURRENCY": "2"}, Timeout=60))
    site.json("/")
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        # Long enough for two environments to start meanwhile.
        answers = list(pool.map(lambda _: site.json("/long"), range(6)))
    assert len({answer["started"] for answer in answers}) == 3
    assert {answer["most"] for answer in answers} == {2}


def test_an_answer_goes_out_as_it_is_written(site):
    connection = http.client.HTTPConnection(site.address, timeout=30)
    connection.request("GET", "/stream", headers={"Host": site.host})
    response = connection.getresponse()
    assert response.read(5) == b"first"
    site.ask("/go")
    assert response.read() == b"second"
    connection.close()


def test_events_that_are_no_requests_are_posted(platform, client, site):
    payload, answer = invoke(client, "web-site", {"Records": [1]})
    assert payload == {"got": {"Records": [1]}, "kind": "application/json"} and "FunctionError" not in answer
    payload, answer = invoke(client, "web-site", {"fail": True}, LogType="Tail")
    assert answer["FunctionError"] == "Unhandled"
    assert payload == {"errorType": "Runtime.WebStatus", "errorMessage": "The program answered the event with status 500: no"}
    report = base64.b64decode(answer["LogResult"]).decode()
    assert "HTTP: POST /events 500" in report and "Error Type: Runtime.WebStatus" in report
    # As a stream, at once.
    events = client.invoke_with_response_stream(FunctionName="web-site", Payload=b"7")["EventStream"]
    chunks = b"".join(event["PayloadChunk"]["Payload"] for event in events if "PayloadChunk" in event)
    assert json.loads(chunks)["got"] == 7


def test_events_of_api_gateway_are_requests_again(client, site):
    two = {
        "version": "2.0", "rawPath": "/x", "rawQueryString": "a=b", "headers": {"host": "api", "content-type": "text/plain"},
        "requestContext": {"stage": "$default", "http": {"method": "PUT"}}, "body": "aGk=", "isBase64Encoded": True,
    }
    payload, _ = invoke(client, "web-site", two)
    said = json.loads(payload["body"])
    assert (payload["statusCode"], said["method"], said["path"], said["body"]) == (200, "PUT", "/x?a=b", "hi")
    one = {
        "httpMethod": "GET", "path": "/image", "requestContext": {"stage": "dev"}, "headers": {"Host": "api"},
        "multiValueHeaders": {"Host": ["api"]}, "queryStringParameters": None, "body": None, "isBase64Encoded": False,
    }
    payload, _ = invoke(client, "web-site", one)
    assert (payload["isBase64Encoded"], base64.b64decode(payload["body"])) == (True, b"\x89PNG\xff")
    assert payload["multiValueHeaders"]["content-type"] == ["image/png"]


def test_an_http_api_and_a_rest_api_reach_it(platform, client, site):
    api = platform.client("apigatewayv2")
    arn = client.get_function(FunctionName="web-site")["Configuration"]["FunctionArn"]
    made = api.create_api(Name="web", ProtocolType="HTTP", Target=arn)
    host = urllib.parse.urlsplit(made["ApiEndpoint"]).netloc
    client.add_permission(
        FunctionName="web-site", StatementId="api", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com"
    )
    through = Site(platform, f"http://{host}")
    said = through.json("/users/7?q=a%20b", method="POST", body="hi", headers={"Content-Type": "text/plain"})
    assert (said["path"], said["body"], said["method"]) == ("/users/7?q=a%20b", "hi", "POST")
    status, headers, _ = through.ask("/cookies")
    assert (status, headers.get_all("Set-Cookie")) == (302, ["a=1", "b=2"])
    status, _, body = through.ask("/image")
    assert (status, body) == (200, b"\x89PNG\xff")


def test_an_asynchronous_event_is_posted(platform, client, site):
    client.invoke(FunctionName="web-site", InvocationType="Event", Payload=b'{"later": 1}')
    logs = platform.client("logs")

    def reports():
        found = logs.filter_log_events(logGroupName="/aws/lambda/web-site", filterPattern='"POST /events 200"')
        return [event["message"] for event in found["events"]]

    before = len(reports())
    client.invoke(FunctionName="web-site", InvocationType="Event", Payload=b'{"later": 2}')
    assert eventually(lambda: len(reports()), lambda seen: seen > before) > before


def test_each_request_is_told_of_in_one_line(platform, site):
    site.ask("/some/path?secret=hidden")
    logs = platform.client("logs")

    def lines():
        return [event["message"] for event in logs.filter_log_events(logGroupName="/aws/lambda/web-site")["events"]]

    seen = eventually(lines, lambda lines: any("HTTP: GET /some/path 200" in line for line in lines))
    report = next(line for line in seen if "HTTP: GET /some/path 200" in line)
    assert report.startswith("REPORT RequestId: ") and "hidden" not in report and "Billed Duration: " in report
    # What the program writes stands there too.
    assert any(line.rstrip() == "asked /some/path?secret=hidden" for line in seen)


def test_a_request_that_takes_too_long(platform, client):
    site = Site(platform, web(client, "web-slow", Timeout=2))
    site.json("/")
    begun = time.monotonic()
    status, _, body = site.ask("/sleep")
    assert (status, body) == (504, b"Gateway Timeout") and 1.9 < time.monotonic() - begun < 8
    # The next one has an environment that does not hang.
    assert site.json("/")["method"] == "GET"


def test_a_program_that_ends(platform, client):
    site = Site(platform, web(client, "web-ends"))
    first = site.json("/")
    status, _, body = site.ask("/exit")
    assert (status, body) == (502, b"Internal Server Error")
    assert site.json("/")["method"] == "GET"
    logs = platform.client("logs")

    def lines():
        return [event["message"] for event in logs.filter_log_events(logGroupName="/aws/lambda/web-ends")["events"]]

    seen = eventually(lines, lambda lines: any("exit status 7" in line for line in lines))
    assert any("Runtime exited with error: exit status 7" in line for line in seen) and any("about to leave" in line for line in seen)
    status, _, _ = site.ask("/drop")
    assert status == 502 and first["uid"] == site.json("/")["uid"]


def test_a_program_without_end_of_memory(platform, client):
    site = Site(platform, web(client, "web-memory", MemorySize=256, Timeout=20))
    site.json("/")
    status, _, _ = site.ask("/memory")
    assert status == 502
    assert site.json("/")["method"] == "GET"
    logs = platform.client("logs")

    def lines():
        return [event["message"] for event in logs.filter_log_events(logGroupName="/aws/lambda/web-memory")["events"]]

    assert eventually(lines, lambda lines: any("Runtime.OutOfMemory" in line for line in lines))


def test_a_program_that_does_not_begin(platform, client):
    broken = Site(platform, web(client, "web-broken", command="echo wrong >&2; exit 3"))
    status, _, _ = broken.ask("/")
    assert status == 502
    missing = Site(platform, web(client, "web-missing", command="no-such-program --port $PORT"))
    assert missing.ask("/")[0] == 502
    logs = platform.client("logs")

    def lines(name):
        return lambda: "\n".join(event["message"] for event in logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"])

    assert "exit status 3" in eventually(lines("web-broken"), lambda text: "exit status 3" in text)
    assert "no-such-program: not found" in eventually(lines("web-missing"), lambda text: "not found" in text)


def test_a_caller_who_leaves_is_noticed_by_the_program(platform, client, site):
    connection = socket.create_connection(site.address.split(":"))
    connection.sendall(f"GET /sleep HTTP/1.1\r\nHost: {site.host}\r\n\r\n".encode())
    time.sleep(0.5)
    connection.close()
    logs = platform.client("logs")

    def left():
        found = logs.filter_log_events(logGroupName="/aws/lambda/web-site", filterPattern='"the caller left"')
        return [event["message"] for event in found["events"]]

    assert eventually(left, bool)[0].rstrip().endswith("HTTP: GET /sleep (the caller left)")


def test_a_ready_path_is_waited_for(platform, client):
    server = SERVER.replace("    def serve(self):", "    def serve(self):\n        if self.path == '/up' and time.time() < started + 1:\n            return self.answer(503, b'')")
    site = Site(platform, web(client, "web-ready", {"server.py": server}, variables={"LAMBENT_WEB_READY_PATH": "/up"}))
    begun = time.monotonic()
    site.json("/")
    assert time.monotonic() - begun >= 1


def test_reserved_concurrency_counts_environments(platform, client):
    site = Site(platform, web(client, "web-reserved", variables={"TOGETHER": "5", "LAMBENT_WEB_CONCURRENCY": "5"}))
    client.put_function_concurrency(FunctionName="web-reserved", ReservedConcurrentExecutions=1)
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        assert len(list(pool.map(lambda _: site.json("/together"), range(5)))) == 5
    client.put_function_concurrency(FunctionName="web-reserved", ReservedConcurrentExecutions=0)
    assert site.ask("/")[0] == 429


def test_a_new_command_serves_the_next_request(platform, client):
    site = Site(platform, web(client, "web-changed"))
    first = site.json("/")
    client.update_function_configuration(
        FunctionName="web-changed", Environment={"Variables": {"LAMBENT_WEB_COMMAND": "exec python3 server.py", "TOGETHER": "1"}}
    )
    client.get_waiter("function_updated_v2").wait(FunctionName="web-changed")
    assert site.json("/together")["most"] == 1
    assert first["port"] == "8080"


def test_an_unused_one_ends_and_the_next_request_starts_another(own_platform):
    platform = own_platform("--test-controls")
    site = Site(platform, web(platform.client("lambda"), "web-zero"))
    first = site.json("/")
    assert site.json("/")["pid"] == first["pid"] and [row["idle"] for row in live(platform)] == [1]
    platform.lambent("clock", "pause")
    platform.lambent("clock", "advance", "11m")
    assert eventually(lambda: live(platform), lambda rows: not rows) == []
    assert site.json("/")["method"] == "GET"


def live(platform):
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(platform.endpoint).netloc)
    connection.request("GET", "/_lambent/top")
    rows = json.loads(connection.getresponse().read())["versions"]
    return [row for row in rows if row["idle"] or row["busy"]]


@pytest.mark.parametrize(
    "variables, words",
    [
        ({"LAMBENT_WEB_CONCURRENCY": "7"}, "which needs LAMBENT_WEB_COMMAND"),
        ({"LAMBENT_WEB_COMMAND": "x", "LAMBENT_WEB_CONCURRENCY": "0"}, "must be a number from 1 to 1000"),
        ({"LAMBENT_WEB_COMMAND": "x", "LAMBENT_WEB_PORT": "80"}, "LAMBENT_WEB_PORT is no variable"),
        ({"LAMBENT_WEB_COMMAND": "x", "AWS_LAMBDA_EXEC_WRAPPER": "/opt/w"}, "is started instead of one"),
    ],
)
def test_what_cannot_be_is_refused(client, variables, words):
    with pytest.raises(ClientError) as refused:
        create(client, "web-refused", {"server.py": SERVER}, handler="web", Environment={"Variables": variables})
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValueException"
    assert words in refused.value.response["Error"]["Message"]


@pytest.mark.skipif(not node_runtime(), reason="there is no Node.js here")
def test_a_node_server(platform, client):
    server = """
const http = require("http")
http.createServer((request, response) => {
  response.setHeader("content-type", "text/plain")
  response.end(`node ${process.version} ${request.url}`)
}).listen(process.env.PORT)
"""
    site = Site(platform, web(client, "web-node", {"server.js": server}, "node server.js", runtime=node_runtime()))
    status, _, body = site.ask("/there")
    assert status == 200 and body.startswith(b"node v") and body.endswith(b" /there")


def test_a_program_of_its_own(platform, client):
    # A custom runtime needs no bootstrap where a command is given.
    site = Site(platform, web(client, "web-own", runtime="provided.al2023"))
    assert site.json("/")["method"] == "GET"

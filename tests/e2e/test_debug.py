"""`lambent dev --debug`: a debugger connects from this host, stops the function, and the function's time stands still meanwhile."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from platform_under_test import BINARY, eventually, invoke, node_runtime

PYTHON = """import time

def handler(event, context):
    twice = event["n"] * 2
    return {"twice": twice}
"""
NODE = """export const handler = async (event) => {
  const twice = event.n * 2;
  return { twice };
};
"""
WSGI = """def app(environ, start_response):
    word = "served"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [word.encode()]
"""


class Debugpy:
    """A client of the Debug Adapter Protocol."""

    def __init__(self, port, file, line):
        self.file, self.line, self.seq, self.seen = file, line, 0, []
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.stream = self.socket.makefile("rb")
        self.send("initialize", adapterID="test", linesStartAt1=True, columnsStartAt1=True, pathFormat="path")

    def send(self, command, **arguments):
        self.seq += 1
        body = json.dumps({"seq": self.seq, "type": "request", "command": command, "arguments": arguments}).encode()
        self.socket.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        return self.seq

    def until(self, **wanted):
        """The next message of which this holds."""
        while True:
            length = 0
            while line := self.stream.readline().strip():
                length = int(line.split(b":")[1])
            assert length, "the debugger has gone"
            message = json.loads(self.stream.read(length))
            if all(message.get(name) == value for name, value in wanted.items()):
                return message

    def ask(self, command, **arguments):
        seq = self.send(command, **arguments)
        answer = self.until(type="response", request_seq=seq)
        assert answer["success"], answer
        return answer.get("body", {})

    def attach(self):
        self.until(type="response", command="initialize")
        self.send("attach", justMyCode=False)
        self.until(type="event", event="initialized")
        self.ask("setBreakpoints", source={"path": self.file}, breakpoints=[{"line": self.line}])
        self.ask("configurationDone")

    def stopped(self):
        """The thread that stopped and the frame it is in."""
        thread = self.until(type="event", event="stopped")["body"]["threadId"]
        return thread, self.ask("stackTrace", threadId=thread)["stackFrames"][0]


@pytest.fixture
def dev(platform, tmp_path):
    """Starts `lambent dev --debug` of folders: what each says, and at which port a debugger connects."""
    started = []

    def start(name, files, *arguments):
        folder = tmp_path / name
        folder.mkdir()
        for file, text in files.items():
            (folder / file).write_text(text)
        printed = open(tmp_path / f"{name}.log", "w+")
        command = [str(BINARY), "dev", str(folder), "--debug", "--endpoint", platform.endpoint, *arguments]
        environment = {**os.environ, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        process = subprocess.Popen(command, stdout=printed, stderr=subprocess.STDOUT, env=environment)
        started.append((process, printed))
        said = lambda: (tmp_path / f"{name}.log").read_text()  # noqa: E731
        text = eventually(said, lambda text: "debugger: connect to" in text or process.poll() is not None, 120)
        assert "debugger: connect to" in text, text
        return process, said, int(text.split("debugger: connect to 127.0.0.1:")[1].split()[0])

    yield start
    for process, printed in started:
        process.kill()
        process.wait()
        printed.close()


REQUIRES = {"requirements.txt": "debugpy==1.8.22\n"}


def test_a_breakpoint_holds_a_python_handler_and_its_clock(platform, dev):
    process, said, port = dev("held", {"app.py": PYTHON, **REQUIRES}, "--timeout", "1", "--memory", "1769")
    functions = platform.client("lambda")
    debugger = Debugpy(port, "/var/task/app.py", 5)
    with ThreadPoolExecutor(1) as calls:
        call = calls.submit(invoke, functions, "held", {"n": 21})
        debugger.attach()
        thread, frame = debugger.stopped()
        assert (frame["name"], frame["line"]) == ("handler", 5) and frame["source"]["path"] == "/var/task/app.py"
        assert debugger.ask("evaluate", expression="twice", frameId=frame["id"])["result"] == "42"
        # Three times as long as the function has.
        time.sleep(3)
        assert not call.done()
        debugger.send("continue", threadId=thread)
        said_back, answer = call.result(timeout=30)
    assert said_back == {"twice": 42} and "FunctionError" not in answer
    # Nobody is connected any more: its time counts again, and nothing stops it.
    debugger.ask("disconnect")
    assert invoke(functions, "held", {"n": 4})[0] == {"twice": 8}
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0 and "deployed without the debugger" in said()
    assert not functions.get_function_configuration(FunctionName="held").get("Environment", {}).get("Variables")
    assert invoke(functions, "held", {"n": 5})[0] == {"twice": 10}


def test_a_program_that_listens_is_stopped_too(platform, dev):
    _, said, port = dev("held-web", {"main.py": WSGI, **REQUIRES}, "--memory", "1769")
    url = next(line.removeprefix("url ") for line in said().splitlines() if line.startswith("url "))
    debugger = Debugpy(port, "/var/task/main.py", 3)
    with ThreadPoolExecutor(1) as calls:
        call = calls.submit(lambda: urllib.request.urlopen(url, timeout=60).read())
        debugger.attach()
        thread, frame = debugger.stopped()
        assert frame["name"] == "app" and debugger.ask("evaluate", expression="word", frameId=frame["id"])["result"] == "'served'"
        debugger.send("continue", threadId=thread)
        assert call.result(timeout=30) == b"served"


def test_the_inspector_holds_node_while_another_is_debugged(platform, dev):
    websocket = pytest.importorskip("websocket")
    if not node_runtime():
        pytest.skip("this host has no node")
    _, _, port = dev("held-node", {"index.mjs": NODE}, "--timeout", "1")
    _, _, other = dev("held-too", {"index.mjs": NODE}, "--timeout", "1")
    assert port != other, "several functions at once, each at a port of its own"
    functions = platform.client("lambda")
    with ThreadPoolExecutor(2) as calls:
        held = calls.submit(invoke, functions, "held-node", {"n": 21})
        listed = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=60))
        inspector = websocket.create_connection(listed[0]["webSocketDebuggerUrl"], timeout=60, suppress_origin=True)
        count = iter(range(1, 100))

        def until(test):
            while not test(message := json.loads(inspector.recv())):
                pass
            return message

        def ask(method, **params):
            number = next(count)
            inspector.send(json.dumps({"id": number, "method": method, "params": params}))
            return until(lambda message: message.get("id") == number)["result"]

        ask("Runtime.enable")
        ask("Debugger.enable")
        ask("Debugger.setBreakpointByUrl", lineNumber=2, url="file:///var/task/index.mjs")
        ask("Runtime.runIfWaitingForDebugger")
        paused = until(lambda message: message.get("method") == "Debugger.paused")["params"]
        frame = paused["callFrames"][0]
        assert frame["functionName"] == "handler"
        assert ask("Debugger.evaluateOnCallFrame", callFrameId=frame["callFrameId"], expression="twice")["result"]["value"] == 42
        time.sleep(3)
        assert not held.done()
        ask("Debugger.resume")
        assert held.result(timeout=30)[0] == {"twice": 42}
        inspector.close()


def test_what_cannot_be_debugged_says_why(platform, tmp_path):
    folder = tmp_path / "undebugged"
    folder.mkdir()
    (folder / "bootstrap").write_text("#!/bin/sh\n")
    done = platform.lambent("dev", str(folder), "--debug", check=False)
    assert done.returncode != 0 and "--debug is for Python and Node" in done.stderr
    (folder / "bootstrap").unlink()
    (folder / "app.py").write_text(PYTHON)
    done = platform.lambent("dev", str(folder), "--debug", check=False)
    assert done.returncode != 0 and "debugpy is not there: add it to requirements.txt" in done.stderr

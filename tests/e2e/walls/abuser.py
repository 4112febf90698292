#!/usr/bin/python3 -S
"""A runtime of its own that abuses the platform: each event names a way. It speaks raw bytes to the Runtime API and to
the AWS endpoint. A way that is fatal to its environment begins with `fatal`."""

import json
import os
import socket
import sys
import time

API = ("127.0.0.1", 9001)
AWS = ("127.0.0.1", 4566)
OTHER = "11111111-1111-4111-8111-111111111111"


def request(method, path, body=b"", more=b""):
    return b"%s /2018-06-01/runtime/%s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s" % (method, path, more, len(body), body)


NEXT = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n"


def read_answer(one):
    """Status, head and body."""
    data = b""
    while b"\r\n\r\n" not in data:
        got = one.recv(65536)
        if not got:
            return 0, "", data
        data += got
    head, body = data.split(b"\r\n\r\n", 1)
    head = head.decode("latin1")
    length = next((int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:")), 0)
    while len(body) < length:
        got = one.recv(1 << 20)
        if not got:
            break
        body += got
    return int(head.split()[1]), head, body


def talk(data, to=API, patience=1, half=False):
    """What is answered first: a status, 0 when the other side hung up, -1 when nothing comes."""
    try:
        with socket.create_connection(to, patience) as one:
            one.settimeout(patience)
            try:
                one.sendall(data)
                if half:
                    one.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            return read_answer(one)[0]
    except TimeoutError:
        return -1
    except OSError:
        return 0


def malformed(event):
    """Every one is refused, and none is taken for an answer."""
    id = event["id"].encode()
    response = b"invocation/" + id + b"/response"
    post = b"POST /2018-06-01/runtime/" + response + b" HTTP/1.1\r\n"
    nobody = b"POST /2018-06-01/runtime/invocation/" + OTHER.encode() + b"/response HTTP/1.1\r\n"
    tries = {
        "huge header": b"GET / HTTP/1.1\r\nX: " + b"a" * 2_000_000,
        "many headers": b"GET /x HTTP/1.1\r\n" + b"".join(b"H%d: v\r\n" % n for n in range(60_000)) + b"\r\n",
        "no end of headers": b"GET /x HTTP/1.1\r\n" + b"A: b\r\n" * 300_000,
        "huge length": nobody + b"Content-Length: 99999999999\r\n\r\n",
        "absurd length": post + b"Content-Length: " + b"9" * 400 + b"\r\n\r\n",
        "negative length": post + b"Content-Length: -1\r\n\r\n1",
        "two lengths": post + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n12",
        "length and chunks": post + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        "absurd chunk": post + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        "no chunk": post + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        "endless chunk line": post + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 100_000,
        "other encoding": post + b"Transfer-Encoding: gzip\r\n\r\n",
        "another id": request(b"POST", b"invocation/" + OTHER.encode() + b"/response", b"1"),
        "an id of another environment": request(b"POST", b"invocation/" + event["other"].encode() + b"/response", b'"stolen"'),
        "an error for another environment": request(b"POST", b"invocation/" + event["other"].encode() + b"/error", b"{}"),
        "no id": request(b"POST", b"invocation//response", b"1"),
        "a long id": request(b"POST", b"invocation/" + b"x" * 100_000 + b"/response", b"1"),
        "an id with a zero": request(b"POST", b"invocation/" + id + b"\0/response", b"1"),
        "an id that climbs": request(b"POST", b"invocation/../invocation/" + id + b"/response", b"1"),
        "init error after next": request(b"POST", b"init/error", b"{}"),
        "extension": b"POST /2020-01-01/extension/register HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(600),
        "bytes": bytes(range(256)) * 100,
        "line ends": b"\r\n" * 1000,
        "streamed": request(b"POST", b"invocation/" + OTHER.encode() + b"/response", b"1", b"Lambda-Runtime-Function-Response-Mode: streaming\r\n"),
    }
    return {name: talk(data) for name, data in tries.items()}


def half_closed(event):
    return [talk(data, half=True) for data in [b"", b"GET", b"GET / HTTP/1.1\r\n", request(b"POST", b"init/error", b"{}")[:-1]]]


def slow_loris(event):
    """Connections that say a byte now and then, in heads and in bodies, until no more are accepted."""
    kept = []
    for number in range(event["count"]):
        try:
            one = socket.create_connection(API, 0.2)
            one.settimeout(0.2)
            one.sendall(b"GET / HTTP/1.1\r\nX: " if number % 2 else request(b"POST", b"init/error", b"x" * 100)[:-50])
            kept.append(one)
        except OSError:
            break
    for _ in range(5):
        for one in kept:
            try:
                one.sendall(b"a")
            except OSError:
                pass
        time.sleep(0.02)
    return len(kept)


def large_bodies_at_once(event):
    """Each connection begins a body as large as may be, and never ends it."""
    kept, body = [], b"x" * 6_000_000
    for _ in range(64):
        try:
            one = socket.create_connection(API, 0.5)
            one.settimeout(0.5)
            kept.append(one)
            one.sendall(request(b"POST", b"init/error", body)[:-1])
        except OSError:
            pass
    time.sleep(event.get("hold", 0.5))
    return len(kept)


def large_heads_at_once(event):
    kept, head = [], b"GET / HTTP/1.1\r\nX: " + b"a" * 1_150_000
    for _ in range(63):
        try:
            one = socket.create_connection(API, 0.2)
            one.settimeout(0.2)
            kept.append(one)
            one.sendall(head)
        except OSError:
            pass
    time.sleep(event.get("hold", 0.5))
    return len(kept)


def many_connections(event):
    """As many as this process may have, again and again."""
    made = 0
    while made < event["count"]:
        kept = []
        try:
            while len(kept) < 900:
                one = socket.socket()
                one.setblocking(False)
                one.connect_ex(API if len(kept) % 2 else AWS)
                kept.append(one)
        except OSError:
            pass
        made += len(kept)
        for one in kept:
            one.close()
    return made


def pipelined(event):
    """Thousands of requests in a row that are all told no."""
    end, sent = time.monotonic() + event["seconds"], 0
    kept = []
    for _ in range(32):
        one = socket.create_connection(API, 1)
        one.setblocking(False)
        kept.append(one)
    data = b"GET / HTTP/1.1\r\n\r\n" * 500
    while time.monotonic() < end:
        for one in kept:
            try:
                sent += one.send(data)
                one.recv(1 << 20)
            except OSError:
                pass
    return sent > 0


def slow_uploads(event):
    """Large bodies for the AWS endpoint that stop half way."""
    kept = []
    head = b"POST /2015-03-31/functions HTTP/1.1\r\nHost: lambda.us-east-1.amazonaws.com\r\nContent-Type: application/json\r\nContent-Length: 60000000\r\n\r\n"
    for _ in range(event["count"]):
        try:
            one = socket.create_connection(AWS, 0.15)
            one.settimeout(0.15)
            kept.append(one)
            one.sendall(head + b"{" + b" " * event["bytes"])
        except OSError:
            pass
    time.sleep(event.get("hold", 0))
    globals()["held"] = kept
    return len(kept)


def aws(event):
    """What the AWS endpoint says to requests that prove nothing, or something of somebody else's."""

    def get(path, more="", method="GET", body=b""):
        head = f"{method} {path} HTTP/1.1\r\nHost: lambda.us-east-1.amazonaws.com\r\nConnection: close\r\n{more}Content-Length: {len(body)}\r\n\r\n"
        with socket.create_connection(AWS, 5) as one:
            one.settimeout(5)
            one.sendall(head.encode() + body)
            status, _, said = read_answer(one)
            return [status, said[:2000].decode("latin1")]

    def signed(key, token=""):
        scope = f"Credential={key}/20260101/us-east-1/sts/aws4_request, SignedHeaders=host, Signature={'0' * 64}"
        token = f"X-Amz-Security-Token: {token}\r\n" if token else ""
        form = b"Action=GetCallerIdentity&Version=2011-06-15"
        more = f"Authorization: AWS4-HMAC-SHA256 {scope}\r\nX-Amz-Date: 20260101T000000Z\r\n{token}Content-Type: application/x-www-form-urlencoded\r\n"
        return get("/", more, "POST", form)

    own = os.environ.get("AWS_ACCESS_KEY_ID", "")
    return {
        "unsigned": get("/2015-03-31/functions/"),
        "root's key, wrong signature": signed(event["root_key"]),
        "another account's number": signed("222222222222"),
        "a key that looks right": signed("AKIAIOSFODNN7EXAMPLE"),
        "a stolen-looking token": signed("ASIAIOSFODNN7EXAMPLE", "FwoGZXIvYXdzE" + "A" * 300),
        "own key, wrong signature": signed(own, os.environ.get("AWS_SESSION_TOKEN", "")),
        "another function's key": signed(event["other_key"], event["other_token"]),
        "test controls": get("/_lambent/test/clock", method="POST", body=b'{"advanceMs": 1}'),
        "reset": get("/_localstack/state/reset", method="POST"),
        "console": get("/"),
    }


def fatal_answer_first(event):
    """An answer to nothing, and then nothing more."""
    talk(request(b"POST", b"invocation/" + OTHER.encode() + b"/response", b"1"))
    sys.exit(1)


def answer(one, event, payload):
    one.sendall(request(b"POST", b"invocation/" + event["id"].encode() + b"/response", json.dumps(payload).encode()))
    return read_answer(one)[0]


def main():
    if os.environ.get("WAY") == "before next":
        # All of it before it ever asked for an event; then it begins as one should.
        talk(request(b"POST", b"invocation/" + OTHER.encode() + b"/response", b"1"))
        for data in [b"\0" * 10_000, b"PRI * HTTP/2.0\r\n\r\n", request(b"POST", b"init/error", b"x" * 100)[:-1]]:
            talk(data, half=True)
    if os.environ.get("WAY") == "large init error":
        print("init", talk(request(b"POST", b"init/error", os.environ["FILL"].encode() * int(os.environ["TIMES"]), b"Lambda-Runtime-Function-Error-Type: Big\r\n"), patience=5), flush=True)
        sys.exit(1)
    one = socket.create_connection(API)
    while True:
        one.sendall(NEXT)
        _, head, body = read_answer(one)
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
        event = json.loads(body)
        event["id"] = fields["Lambda-Runtime-Aws-Request-Id"]
        way = event["way"]
        if way == "error":
            data = bytes(event["fill"], "latin1") * event["times"]
            one.sendall(request(b"POST", b"invocation/" + event["id"].encode() + b"/error", data, b"Lambda-Runtime-Function-Error-Type: \xe9\x01" + b"T" * event.get("type", 0) + b"\r\n"))
            print("said", read_answer(one)[0], flush=True)
        elif way == "twice":
            said = [answer(one, event, "first"), answer(one, event, "second")]
            print("said", said, flush=True)
        else:
            payload = globals()[way.replace(" ", "_")](event)
            answer(one, event, payload)


if __name__ == "__main__":
    main()

"""What a streamed response costs: its first byte, a large one, many small pieces. Read at a function URL over one kept connection."""

import http.client
import json
import time
import urllib.parse

MIB = 1 << 20
LARGE = 150
SMALL = 20_000

CODE = """
def handler(event, context):
    asked = event["queryStringParameters"]
    piece = b"x" * int(asked["size"])
    def pieces():
        for _ in range(int(asked["count"])):
            yield piece
    return pieces()
"""


def measure(platform, python, cpu_us, row):
    platform.create("streams", python, {"app.py": CODE})
    url = json.loads(platform.json("POST", "/2021-10-31/functions/streams/url", {"AuthType": "NONE", "InvokeMode": "RESPONSE_STREAM"}))
    host, connection = urllib.parse.urlsplit(url["FunctionUrl"]).hostname, http.client.HTTPConnection("127.0.0.1", platform.port)

    def read(size, count):
        """Seconds until the first byte, and until the last."""
        began = time.perf_counter()
        connection.request("GET", f"/?size={size}&count={count}", headers={"Host": host})
        answer = connection.getresponse()
        got = len(answer.read1(65536))
        first = time.perf_counter() - began
        while block := answer.read(MIB):
            got += len(block)
        assert got == size * count
        return first, time.perf_counter() - began

    read(1, 1)
    row("streamed: first byte of a warm page", [read(10, 1)[0] * 1e3 for _ in range(500)])
    for name, size, count in [(f"streamed: {LARGE} MiB", MIB, LARGE), (f"streamed: {SMALL} pieces of 64 bytes", 64, SMALL)]:
        before, takes = cpu_us([platform.process.pid]), [read(size, count)[1] * 1e3 for _ in range(5)]
        server_ms = (cpu_us([platform.process.pid]) - before) / 5e3
        rate = size * count / MIB / (min(takes) / 1e3)
        row(name, takes, note=f"best {rate:.0f} MiB/s, {count / min(takes) * 1e3:.0f} pieces/s, server CPU {server_ms:.0f} ms each")
    connection.close()

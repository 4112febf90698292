"""A web function beside the same server bare: hyper's hello through its function URL, and what a request adds."""

import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import tempfile
import time

SECONDS = 4
CONNECTIONS = 32


def wrk(address, host):
    """Requests a second of many connections, none of which may fail."""
    done = subprocess.run(
        ["wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", f"{SECONDS}s", "-H", f"Host: {host}", f"http://{address}/"],
        capture_output=True, text=True, check=True,
    )
    assert "Non-2xx" not in done.stdout and "Socket errors" not in done.stdout, done.stdout
    return float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout).group(1))


NGINX = """
worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log {folder}/access.log; keepalive_requests 100000000;
  client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3; uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
  upstream app {{ server 127.0.0.1:47612; keepalive 64; keepalive_requests 100000000; }}
  server {{ listen 127.0.0.1:47613; location / {{ proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; }} }}
}}
"""


def nginx(folder):
    """A plain proxy before the bare server, one process as ours, that logs each request as ours does; none where there is no nginx."""
    if not shutil.which("nginx"):
        return None
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder))
    return subprocess.Popen(["nginx", "-c", folder / "nginx.conf"], stderr=subprocess.DEVNULL)


def measure(platform, Connection, zipped, folder, row):
    echo = pathlib.Path(folder or ".") / "target/release/echo"
    if not echo.exists() or not shutil.which("wrk"):
        print("web: needs the yardsticks' echo and wrk (Debian: wrk); left out")
        return
    platform.json("POST", "/2015-03-31/functions", {
        "FunctionName": "web", "Runtime": "provided.al2023", "Role": "arn:aws:iam::000000000000:role/r", "Handler": "web",
        "Code": {"ZipFile": zipped({"bootstrap": echo.read_bytes()})}, "MemorySize": 1769, "Timeout": 30,
        "Environment": {"Variables": {"LAMBENT_WEB_COMMAND": "exec ./bootstrap $PORT", "LAMBENT_WEB_CONCURRENCY": "64"}},
    })
    platform.json("POST", "/2015-03-31/functions/web/policy", {
        "StatementId": "all", "Action": "lambda:InvokeFunctionUrl", "Principal": "*", "FunctionUrlAuthType": "NONE"})
    url = json.loads(platform.json("POST", "/2021-10-31/functions/web/url", {"AuthType": "NONE"}))["FunctionUrl"]
    host = url.split("//")[1].strip("/")
    bare = subprocess.Popen([echo, "47612"], stdout=subprocess.DEVNULL)
    place = tempfile.TemporaryDirectory()
    proxy = nginx(pathlib.Path(place.name))
    try:
        time.sleep(0.2)
        direct, through = Connection(47612), Connection(platform.port)
        path = f"/_lambent/url/{host.split('.')[0]}/"
        began = time.perf_counter()
        answer = through.call("GET", path, b"", "")
        assert answer[1] == 200, answer
        print(f"web: first request {(time.perf_counter() - began) * 1e3:.1f} ms")
        took = {"bare": [], "function": []}
        for _ in range(3000):
            took["bare"].append(direct.call("GET", "/", b"", "")[0] * 1e3)
            took["function"].append(through.call("GET", path, b"", "")[0] * 1e3)
        one = row("web: hyper, bare, one connection", took["bare"][300:])
        two = row("web: hyper as a web function, one connection", took["function"][300:])
        print(f"web: a request adds {(two - one) * 1e3:.0f} us")
        rates = {"bare": [], "function": []}
        for _ in range(3):
            rates["bare"].append(wrk("127.0.0.1:47612", "x"))
            rates["function"].append(wrk(f"127.0.0.1:{platform.port}", host))
            if proxy:
                rates.setdefault("nginx", []).append(wrk("127.0.0.1:47613", "x"))
        alone, served, *peer = (statistics.median(values) for values in rates.values())
        print(f"web: {CONNECTIONS} connections: bare {alone:.0f}/s, web function {served:.0f}/s = {served / alone:.2f} x")
        if peer:
            print(f"web: nginx before it, {peer[0]:.0f}/s = {peer[0] / alone:.2f} x; the web function {served / peer[0]:.2f} x nginx")
    finally:
        for process in filter(None, [bare, proxy]):
            process.terminate()
            process.wait()
        place.cleanup()

"""HTTPS and HTTP/2 on the port that speaks plain HTTP, with the clients people use."""

import json
import os
import re
import shutil
import ssl
import subprocess

import httpx
import pytest

from hosts import need, need_root
from platform_under_test import ROOT, create, invoke

ECHO = {"app.py": "def handler(event, context):\n    return event\n"}


def curl(*arguments):
    need("curl")
    done = subprocess.run(["curl", "-sS", "--max-time", "30", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_boto3_calls_over_https(platform):
    functions = platform.client("lambda", endpoint=platform.https, verify=platform.authority)
    create(functions, "over-https", ECHO)
    assert invoke(functions, "over-https", {"a": 1})[0] == {"a": 1}
    # A virtual-hosted bucket has a certificate of its own, its name's dots included.
    store = platform.client("s3", endpoint=platform.https, verify=platform.authority, s3={"addressing_style": "virtual"})
    store.create_bucket(Bucket="over.https.dots")
    store.put_object(Bucket="over.https.dots", Key="k", Body=b"x" * 1_000_000)
    assert len(store.get_object(Bucket="over.https.dots", Key="k")["Body"].read()) == 1_000_000


def test_the_aws_cli_trusts_the_authority_by_its_variable(platform):
    told = platform.cli("sts", "get-caller-identity", environment={"AWS_ENDPOINT_URL": platform.https, "AWS_CA_BUNDLE": platform.authority})
    assert json.loads(told.stdout)["Account"] == "000000000000"
    refused = platform.cli("sts", "get-caller-identity", environment={"AWS_ENDPOINT_URL": platform.https}, check=False)
    assert refused.returncode != 0 and "SSL" in refused.stderr, "nobody trusts it unasked"


def test_our_own_commands_trust_the_authority_of_the_data_folder(platform):
    create(platform.client("lambda"), "by-https", ECHO)
    known = platform.lambent("--endpoint", platform.https, "ls", environment={"LAMBENT_DATA": str(platform.data)})
    assert "by-https" in known.stdout
    named = platform.lambent("--endpoint", platform.https, "ls", environment={"AWS_CA_BUNDLE": platform.authority, "HOME": "/nonexistent"})
    assert "by-https" in named.stdout
    unknown = platform.lambent("--endpoint", platform.https, "ls", environment={"HOME": "/nonexistent"}, check=False)
    assert unknown.returncode != 0 and "lambent ca" in unknown.stderr


def test_curl_speaks_http_2_with_and_without_tls(platform):
    seen = ["-o", os.devnull, "-w", "%{http_version} %{http_code}"]
    assert curl(*seen, "--cacert", platform.authority, f"{platform.https}/_lambent/health") == "2 200"
    assert curl(*seen, "--http1.1", "--cacert", platform.authority, f"{platform.https}/_lambent/health") == "1.1 200"
    assert curl(*seen, "--http2-prior-knowledge", f"{platform.endpoint}/_lambent/health") == "2 200"
    for version in ["--tls-max", "1.2"], ["--tlsv1.3"]:
        assert curl(*seen, *version, "--cacert", platform.authority, f"{platform.https}/_lambent/health") == "2 200"


def test_the_authority_is_the_same_after_a_restart_and_its_key_is_never_told(own_platform):
    platform = own_platform()
    before = platform.lambent("ca", "--pem", "--data", str(platform.data)).stdout
    assert curl(f"{platform.endpoint}/_lambent/ca.pem") == before
    assert os.stat(platform.data / "tls/ca-key.pem").st_mode & 0o777 == 0o600
    platform.stop()
    assert platform.lambent("ca", "--pem", "--data", str(platform.data)).stdout == before, "no platform needs to run"
    platform.environment["RUST_LOG"] = "trace"
    platform.start()
    assert curl("--cacert", platform.authority, f"{platform.https}/_lambent/ca.pem") == before
    platform.stop()
    log = (platform.data.parent / f"{platform.data.name}.log").read_text(errors="replace")
    secret = (platform.data / "tls/ca-key.pem").read_text().splitlines()[1]
    assert len(log) > 1000 and secret not in log and "PRIVATE KEY" not in log


def test_an_operators_own_certificate_is_shown(own_platform, tmp_path):
    need("openssl")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=own", "-addext", "subjectAltName=DNS:localhost",
         "-out", certificate, "-keyout", key], check=True, capture_output=True,
    )  # fmt: skip
    platform = own_platform("--tls-cert", str(certificate), "--tls-key", str(key))
    assert curl("--cacert", str(certificate), "-o", os.devnull, "-w", "%{http_code}", f"{platform.https}/_lambent/health") == "200"
    assert not (platform.data / "tls").exists()


def test_others_reach_it_by_https_only(own_platform):
    need_root()
    need("unshare", "nsenter", "ip", "curl")
    address = "10.9.8.7"
    apart = ["unshare", "--net", "sh", "-ec", f'ip link set lo up; ip address add {address}/32 dev lo; exec "$@"', "sh"]

    def ask(platform, scheme):
        inside = ["nsenter", f"--net=/proc/{platform.process.pid}/ns/net", "curl", "-sS", "--max-time", "20"]
        more = ["--cacert", platform.authority] if scheme == "https" else []
        url = f"{scheme}://{address}:{platform.port}/_lambent/health"
        return subprocess.run([*inside, *more, "-w", " %{http_code}", url], capture_output=True, text=True).stdout

    platform = own_platform(wrap=apart, listen=f"{address}:0")
    assert platform.endpoint.startswith("https://")
    assert ask(platform, "https").endswith(" 200")
    refused = ask(platform, "http")
    assert refused.endswith(" 403") and "https://" in refused and "lambent ca" in refused
    key = dict(re.findall(r"(AWS_\w+)=(\S+)", platform.process.stdout.readline()))
    made = [str(ROOT / "target/venv/bin/aws"), "apigatewayv2", "create-api", "--name", "a", "--protocol-type", "HTTP", "--endpoint-url", platform.endpoint]
    inside = ["nsenter", f"--net=/proc/{platform.process.pid}/ns/net"]
    told = platform.cli(program=[*inside, *made], environment={**key, "AWS_CA_BUNDLE": platform.authority})
    assert json.loads(told.stdout)["ApiEndpoint"].startswith("https://")
    insecure = own_platform("--insecure", wrap=apart, listen=f"{address}:0")
    assert ask(insecure, "http").endswith(" 200") and ask(insecure, "https").endswith(" 200")


def test_the_host_trusts_the_authority_when_root_says_so(own_platform):
    need_root()
    need("unshare", "update-ca-certificates", "curl")
    platform = own_platform()
    curled = f"curl -sS --max-time 20 -o /dev/null -w '%{{http_code}}\\n' {platform.https}/_lambent/health || echo distrusted"
    binary = platform.lambent("--version") and os.environ.get("LAMBENT_BINARY", str(ROOT / "target/fast/lambent"))
    ca = f"{os.path.abspath(binary)} ca --data {platform.data}"
    script = f"""
        for folder in /usr/local/share/ca-certificates /etc/ssl/certs; do
          mkdir -p /tmp/copy; mount -t tmpfs none /tmp/copy; cp -a $folder/. /tmp/copy/; mount --move /tmp/copy $folder
        done
        {curled}; {ca} --install; {curled}; {ca} --uninstall; {curled}; {ca} --uninstall
    """
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, timeout=120)
    words = done.stdout
    assert words.count("distrusted") == 2 and words.count("200\n") == 1, done
    assert "wrote /usr/local/share/ca-certificates/lambent-" in words and "removed /usr" in words and "nothing to take back" in words


def test_a_function_url_says_that_it_was_reached_by_https(platform):
    functions = platform.client("lambda")
    create(functions, "url-https", ECHO)
    functions.create_function_url_config(FunctionName="url-https", AuthType="NONE")
    functions.add_permission(
        FunctionName="url-https", StatementId="all", Action="lambda:InvokeFunctionUrl", Principal="*", FunctionUrlAuthType="NONE"
    )
    host = functions.get_function_url_config(FunctionName="url-https")["FunctionUrl"].split("/")[2].split(":")[0]
    resolve = ["--resolve", f"{host}:{platform.port}:127.0.0.1"]
    cookies = ["-H", "cookie: a=1; b=2"]
    secure = json.loads(curl(*resolve, *cookies, "--cacert", platform.authority, f"https://{host}:{platform.port}/p?q=1"))
    assert secure["headers"]["x-forwarded-proto"] == "https" and secure["cookies"] == ["a=1", "b=2"]
    assert secure["headers"]["host"] == f"{host}:{platform.port}"
    plain = json.loads(curl(*resolve, f"http://{host}:{platform.port}/"))
    assert plain["headers"]["x-forwarded-proto"] == "http"


def test_httpx_streams_both_ways_over_http_2(platform):
    functions = platform.client("lambda")
    stream = "def handler(event, context):\n    for i in range(200):\n        yield b'x' * 5000\n"
    create(functions, "h2-stream", {"app.py": stream})
    functions.create_function_url_config(FunctionName="h2-stream", AuthType="NONE", InvokeMode="RESPONSE_STREAM")
    functions.add_permission(
        FunctionName="h2-stream", StatementId="all", Action="lambda:InvokeFunctionUrl", Principal="*", FunctionUrlAuthType="NONE"
    )
    identifier = functions.get_function_url_config(FunctionName="h2-stream")["FunctionUrl"].split("/")[2].split(".")[0]
    store = platform.client("s3")
    store.create_bucket(Bucket="h2-objects")
    put = store.generate_presigned_url("put_object", Params={"Bucket": "h2-objects", "Key": "k"})
    get = store.generate_presigned_url("get_object", Params={"Bucket": "h2-objects", "Key": "k"})
    context = ssl.create_default_context(cafile=platform.authority)
    # Presigned for the plain endpoint; what is signed is the host, and it is the same.
    here = platform.endpoint.replace("http://", "https://")
    with httpx.Client(http2=True, verify=context, timeout=30) as client:
        with client.stream("GET", f"{platform.https}/_lambent/url/{identifier}/") as answer:
            assert answer.http_version == "HTTP/2"
            assert sum(len(piece) for piece in answer.iter_bytes()) == 1_000_000
        body = os.urandom(3_000_000)
        pieces = (body[at : at + 100_000] for at in range(0, len(body), 100_000))
        assert client.put(put.replace(platform.endpoint, here), content=pieces).status_code == 200
        assert client.get(get.replace(platform.endpoint, here)).content == body


def test_events_of_a_stream_come_over_http_2(platform):
    functions = platform.client("lambda")
    create(functions, "h2-events", {"app.py": "def handler(event, context):\n    for i in range(5):\n        yield f'piece {i}'\n"})
    context = ssl.create_default_context(cafile=platform.authority)
    with httpx.Client(http2=True, verify=context, timeout=30) as client:
        path = "/2021-11-15/functions/h2-events/response-streaming-invocations"
        with client.stream("POST", platform.https + path, content=b"{}") as answer:
            assert (answer.http_version, answer.headers["content-type"]) == ("HTTP/2", "application/vnd.amazon.eventstream")
            came = b"".join(answer.iter_bytes())
        assert all(f"piece {i}".encode() in came for i in range(5)) and b"InvokeComplete" in came
        # The page's own stream of changes never ends, and does not keep the connection's other requests from theirs.
        with client.stream("GET", f"{platform.https}/_lambent/console/live") as live:
            assert live.status_code == 200 and next(live.iter_bytes())
            assert client.get(f"{platform.https}/_lambent/health").http_version == "HTTP/2"


def test_node_trusts_the_authority_by_its_variable(platform, tmp_path):
    if not shutil.which("node"):
        pytest.skip("needs node")
    script = f"""
        const https = require("https"), http2 = require("http2");
        https.get("{platform.https}/_lambent/health", (answer) => {{
          console.log(answer.statusCode);
          answer.resume();
          const session = http2.connect("{platform.https}");
          const request = session.request({{":path": "/_lambent/health"}});
          request.on("response", (headers) => console.log(headers[":status"]));
          request.resume().on("end", () => session.close()).end();
        }}).on("error", (error) => console.log(error.code));
    """
    def run(**more):
        return subprocess.run(["node", "-e", script], env={**os.environ, **more}, capture_output=True, text=True, timeout=30).stdout

    assert run(NODE_EXTRA_CA_CERTS=platform.authority).split() == ["200", "200"]
    assert "CERT" in run() or "UNABLE" in run()

"""What leaves a sandbox: the platform runs on a host of a made-up network, and functions try to reach all of it."""

import os
import pathlib
import socket
import sys
import threading

import pytest
from botocore.exceptions import ClientError

from egress.network import BRIDGE, HOST, PASSWORD, Network, needs
from platform_under_test import NOBODY, ROLE, Platform, create, eventually, invoke, node_runtime, python_runtime, zipped

pytestmark = pytest.mark.skipif(needs() is not None, reason=str(needs()))

INTERNET, LAN, METADATA, ALIBABA = "203.0.113.10", "192.168.77.2", "169.254.169.254", "100.100.100.200"
MB = 1 << 20

# What a function hears at each of a list of addresses: the body's first bytes, or the error's name.
KNOCK = """
import socket, urllib.request

def knock(address):
    host, _, port = address.partition(":")
    try:
        with socket.create_connection((host, int(port or 80)), timeout=20) as stream:
            stream.sendall(b"GET / HTTP/1.0\\r\\nHost: x\\r\\n\\r\\n")
            return stream.makefile("rb").read(4).decode()
    except OSError as error:
        return type(error).__name__ if not isinstance(error, socket.gaierror) else f"gaierror {error.errno}"

def handler(event, context):
    return {address: knock(address) for address in event}
"""
DENIED = {"ConnectionResetError", "ConnectionRefusedError", "OSError"}


@pytest.fixture(scope="module")
def network(workspace):
    folder = workspace / "network"
    folder.mkdir()
    with Network(folder) as made:
        yield made


@pytest.fixture(scope="module")
def on_rule(workspace, network):
    """Platforms on the made-up host, by their rule; each is started once."""
    running = {}

    def get(rule, rootless=False):
        key = (rule, rootless)
        if key not in running:
            data = workspace / f"egress-{rule}-{len(running)}"
            data.mkdir()
            if rootless:
                os.chown(data, NOBODY, NOBODY)
            running[key] = Platform(data, f"--egress={rule}", wrap=network.on_host(rootless), environment={"HOME": str(data)})
        return running[key]

    yield get
    for one in running.values():
        one.stop()


@pytest.fixture(scope="module")
def host_services(network):
    """Services of the host itself: on its loopback, its address and its bridge."""
    listeners = [socket.create_server((address, 8099)) for address in ("127.0.0.1", HOST, BRIDGE)]

    def serve(listener):
        while True:
            try:
                stream, _ = listener.accept()
            except OSError:
                return
            with stream:
                stream.sendall(b"HTTP/1.0 200 OK\r\n\r\n")

    for listener in listeners:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
    yield
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def packages(*names):
    """The files of installed Python packages, to go along in a function's zip; of botocore's services STS alone."""
    site = pathlib.Path(next(path for path in sys.path if path.endswith("site-packages")))
    found = {}
    for name in names:
        for path in [*site.glob(f"{name}.py"), *site.glob(f"{name}/**/*"), *site.glob(f"{name}-*.dist-info/METADATA")]:
            inside = path.relative_to(site).parts
            service = inside[:2] == ("botocore", "data") and len(inside) > 3 and inside[2] != "sts"
            if path.is_file() and path.suffix not in (".pyc", ".so") and not service:
                found["/".join(inside)] = path.read_bytes()
    return found


BOTO = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")


def lines(platform, name):
    logs = platform.client("logs")
    seen = lambda: [event["message"] for event in logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]]
    return eventually(seen, lambda all: any("REPORT" in line for line in all))


@pytest.mark.parametrize("rootless", [False, True])
@pytest.mark.parametrize("rule", ["all", "public", "none"])
def test_who_is_reached_by_which_rule(on_rule, host_services, rule, rootless):
    platform = on_rule(rule, rootless=rootless)
    client = platform.client("lambda")
    create(client, "knock", {"app.py": KNOCK}, Timeout=60)
    never = [METADATA, ALIBABA, "168.63.129.16", f"{HOST}:8099", f"{BRIDGE}:8099", "127.0.0.1:8099", "0.0.0.0:8099", "224.0.0.1", "255.255.255.255"]
    names = ["localhost:8099", "host.example.test:8099", "thishost:8099", "metadata.example.test"]
    heard, _ = invoke(client, "knock", [INTERNET, LAN, *never, *names])
    assert (heard[INTERNET] == "HTTP") == (rule in ("all", "public")), heard
    assert (heard[LAN] == "HTTP") == (rule == "all"), heard
    for address in never:
        assert heard[address] in DENIED, (address, heard)
    for name in names:
        assert heard[name] in (DENIED if rule != "none" or "localhost" in name else {"gaierror -3", "gaierror -2"}), (name, heard)
    told = [line for line in lines(platform, "knock") if line.startswith("Lambent: no connection")]
    assert len(told) <= 8 and any(f"{HOST}:8099" in line and "host itself" in line for line in told), told
    if rule == "public":
        assert any(LAN in line and "egress `public`" in line for line in told), told


def test_another_sandbox_is_out_of_reach(on_rule):
    client = on_rule("all").client("lambda")
    listening = """
import socket, subprocess, time
def handler(event, context):
    with socket.create_server(("0.0.0.0", 8077)) as listener:
        listener.settimeout(event)
        try:
            return listener.accept()[1]
        except TimeoutError:
            return "nobody"
"""
    create(client, "listens", {"app.py": listening}, Timeout=60)
    create(client, "knocks", {"app.py": KNOCK}, Timeout=60)
    heard = []
    waiting = threading.Thread(target=lambda: heard.append(invoke(on_rule("all").client("lambda"), "listens", 3)[0]))
    waiting.start()
    answers, _ = invoke(client, "knocks", ["10.0.0.2:8077", "10.0.0.1:8077"])
    waiting.join()
    assert heard == ["nobody"] and set(answers.values()) <= DENIED, (heard, answers)


def test_http_clients(on_rule, network):
    client = on_rule("all").client("lambda")
    code = """
import ssl, urllib.request, requests
def handler(event, context):
    context = ssl.create_default_context(cafile="ca.pem")
    with requests.Session() as session:
        kept = [session.get(f"http://api.example.test/{at}").text for at in range(3)]
    return [
        urllib.request.urlopen("http://api.example.test/plain").read().decode(),
        urllib.request.urlopen("https://api.example.test/secure", context=context).read().decode(),
        requests.get("https://api.example.test/requests", verify="ca.pem").text,
        kept,
        requests.post("http://printer/", data=bytes(range(256))).text,
    ]
"""
    files = {"app.py": code, "ca.pem": network.certificate.read_bytes(), **packages("requests", "urllib3", "idna", "certifi", "charset_normalizer")}
    create(client, "web", files, Timeout=60, MemorySize=512)
    answer, _ = invoke(client, "web")
    assert answer == [f"{INTERNET} /plain", f"{INTERNET} /secure", f"{INTERNET} /requests", [f"{INTERNET} /{at}" for at in range(3)], "256 True"]


@pytest.mark.skipif(node_runtime() is None, reason="node is not installed: make deps")
def test_node_reaches_https_and_asks_every_kind_of_name(on_rule, network):
    client = on_rule("public").client("lambda")
    code = """
const https = require("https"), fs = require("fs"), dns = require("dns");
const get = (url) => new Promise((done, fail) => https.get(url, { ca: fs.readFileSync("ca.pem") }, (answer) => {
  let text = ""; answer.on("data", (piece) => text += piece); answer.on("end", () => done(text));
}).on("error", fail));
const code = (asked) => asked.then(() => "found", (error) => error.code);
exports.handler = async () => ({
  https: await get("https://api.example.test/node"),
  a: (await dns.promises.resolve4("two.example.test")).sort(),
  aaaa: await code(dns.promises.resolve6("api.example.test")),
  txt: await dns.promises.resolveTxt("text.example.test"),
  long: (await dns.promises.resolveTxt("long.example.test")).length,
  hosts: await dns.promises.resolve4("printer.lan"),
  missing: await code(dns.promises.resolve4("missing.example.test")),
  local: await dns.promises.resolve4("abc.localhost"),
  lookup: (await dns.promises.lookup("api.example.test")).address,
});
"""
    create(client, "node", {"index.js": code, "ca.pem": network.certificate.read_bytes()}, runtime=node_runtime(), handler="index.handler", Timeout=60, MemorySize=512)
    answer, _ = invoke(client, "node")
    assert answer == {
        "https": f"{INTERNET} /node",
        "a": [LAN, INTERNET],
        "aaaa": "ENODATA",
        "txt": [["v=spf1 -all"]],
        "long": 50,
        "hosts": [LAN],
        "missing": "ENOTFOUND",
        "local": ["127.0.0.1"],
        "lookup": INTERNET,
    }


def test_a_database_of_the_local_network(on_rule, network):
    network.postgres()
    client = on_rule("all").client("lambda")
    code = f"""
import pg8000.dbapi
def handler(event, context):
    with pg8000.dbapi.connect("app", host="nas.example.test", database="postgres", password="{PASSWORD}") as database:
        cursor = database.cursor()
        cursor.execute("create table if not exists seen (n int)")
        cursor.execute("insert into seen select generate_series(1, 20000)")
        database.commit()
        cursor.execute("select count(*), sum(n) from seen")
        return [int(value) for value in cursor.fetchone()]
"""
    create(client, "database", {"app.py": code, **packages("pg8000", "scramp", "asn1crypto", "dateutil", "six")}, Timeout=60, MemorySize=512)
    answer, _ = invoke(client, "database")
    assert answer == [20_000, 200_010_000], answer


def test_mail_is_sent(on_rule, network):
    client = on_rule("public").client("lambda")
    code = """
import smtplib
from email.message import EmailMessage
def handler(event, context):
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@example.test", "b@example.test", "hello"
    mail.set_content("from inside")
    with smtplib.SMTP("api.example.test", 2525, timeout=20) as server:
        return server.send_message(mail)
"""
    create(client, "mail", {"app.py": code}, Timeout=60)
    assert invoke(client, "mail")[0] == {}
    kept = (network.folder / "mail").read_text()
    assert kept.startswith("a@example.test\n") and "from inside" in kept


@pytest.mark.parametrize("rule", ["all", "public", "none"])
def test_the_platform_is_reached_as_the_functions_role(on_rule, rule):
    client = on_rule(rule).client("lambda")
    code = """
import boto3, os, urllib.request
def handler(event, context):
    ports = ["http://localhost:4566", "http://sts.us-east-1.localhost:4566", "http://127.0.0.1:4566"]
    return [
        boto3.client("sts").get_caller_identity()["Arn"],
        [boto3.client("sts", endpoint_url=port).get_caller_identity()["Arn"] for port in ports],
        [urllib.request.urlopen(port + "/_lambent/health").status for port in ports],
    ]
"""
    create(client, "role", {"app.py": code, **packages(*BOTO)}, Timeout=60, MemorySize=1024)
    answer, _ = invoke(client, "role")
    arn = "arn:aws:sts::000000000000:assumed-role/lambda-test/role"
    assert answer == [arn, [arn] * 3, [200] * 3]


def test_a_tag_narrows_what_one_function_reaches(on_rule):
    client = on_rule("all").client("lambda")
    create(client, "tagged", {"app.py": KNOCK}, Timeout=60, Tags={"LAMBENT_EGRESS": "none"})
    described = lambda: client.get_function(FunctionName="tagged")
    arn, revision = described()["Configuration"]["FunctionArn"], described()["Configuration"]["RevisionId"]
    reached = lambda: [at for at, heard in invoke(client, "tagged", [INTERNET, LAN])[0].items() if heard == "HTTP"]
    assert reached() == []
    client.tag_resource(Resource=arn, Tags={"LAMBENT_EGRESS": "public"})
    assert reached() == [INTERNET]
    client.tag_resource(Resource=arn, Tags={"team": "red"})
    client.untag_resource(Resource=arn, TagKeys=["LAMBENT_EGRESS"])
    assert reached() == [INTERNET, LAN]
    assert described()["Configuration"]["RevisionId"] == revision and described()["Tags"] == {"team": "red"}


def test_a_tag_that_cannot_be_kept_is_refused(on_rule):
    client = on_rule("public").client("lambda")
    make = lambda **tags: client.create_function(
        FunctionName="refused", Runtime=python_runtime(), Role=ROLE, Handler="app.handler", Code={"ZipFile": zipped({"app.py": KNOCK})}, Tags=tags
    )
    for tags, words in [
        ({"LAMBENT_EGRESS": "some"}, "may be all, public or none"),
        ({"LAMBENT_EGRESS": "all"}, "--egress=public"),
        ({"LAMBENT_ISOLATION": "none"}, "process or microvm"),
        ({"LAMBENT_EGRES": "none"}, "no setting of Lambent"),
    ]:
        with pytest.raises(ClientError, match=words) as caught:
            make(**tags)
        assert caught.value.response["Error"]["Code"] == "InvalidParameterValueException"
    arn = make(LAMBENT_EGRESS="none")["FunctionArn"]
    with pytest.raises(ClientError, match="--egress=public"):
        client.tag_resource(Resource=arn, Tags={"LAMBENT_EGRESS": "all"})


def test_large_transfers_are_whole(on_rule):
    client = on_rule("all").client("lambda")
    code = f"""
import http.client, time
CHUNK = bytes(range(256)) * 256
def handler(event, context):
    size, begun = {100 * MB}, time.monotonic()
    stream = http.client.HTTPConnection("{INTERNET}", timeout=60)
    stream.request("GET", f"/bytes/{{size}}")
    answer, right, seen = stream.getresponse(), True, 0
    while piece := answer.read(len(CHUNK)):
        right &= piece == CHUNK[:len(piece)]
        seen += len(piece)
    down = time.monotonic()
    stream.request("POST", "/", body=(CHUNK for _ in range(size // len(CHUNK))), headers={{"Content-Length": str(size)}})
    sent = stream.getresponse().read().decode()
    return [seen, right, sent, down - begun, time.monotonic() - down]
"""
    create(client, "large", {"app.py": code}, Timeout=120, MemorySize=1769)
    seen, right, sent, down_s, up_s = invoke(client, "large")[0]
    assert (seen, right, sent) == (100 * MB, True, f"{100 * MB} True")
    print(f"100 MB in {down_s:.2f} s, out {up_s:.2f} s")


def test_ends_are_what_the_other_side_made_them(on_rule):
    client = on_rule("all").client("lambda")
    code = f"""
import http.client, socket
def handler(event, context):
    half = http.client.HTTPConnection("{INTERNET}", timeout=20)
    half.request("GET", "/half")
    try:
        half.getresponse().read()
        ended = "whole"
    except http.client.IncompleteRead as error:
        ended = error.partial.decode()
    reset = http.client.HTTPConnection("{INTERNET}", timeout=20)
    try:
        reset.request("GET", "/reset")
        reset.getresponse()
        broken = "answered"
    except ConnectionResetError:
        broken = "reset"
    with socket.create_connection(("{INTERNET}", 7), timeout=20) as stream:
        stream.sendall(b"olleh")
        stream.shutdown(socket.SHUT_WR)
        return [ended, broken, stream.makefile("rb").read().decode()]
"""
    create(client, "ends", {"app.py": code}, Timeout=60)
    assert invoke(client, "ends")[0] == ["half", "reset", "hello"]


def test_many_connections_at_once(on_rule):
    client = on_rule("all").client("lambda")
    code = f"""
import concurrent.futures, http.client
def one(_):
    stream = http.client.HTTPConnection("{INTERNET}", timeout=60)
    stream.request("GET", "/together")
    return stream.getresponse().read().decode()
def handler(event, context):
    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        return sorted(set(pool.map(one, range(200))))
"""
    create(client, "many", {"app.py": code}, Timeout=120, MemorySize=1769)
    assert invoke(client, "many")[0] == ["together"]


def test_datagrams_go_to_the_resolver_or_nowhere(on_rule):
    client = on_rule("all").client("lambda")
    code = """
import socket
def handler(event, context):
    heard = []
    query = bytes.fromhex("abcd01000001000000000000") + b"\\x09localhost\\x00\\x00\\x01\\x00\\x01"
    for at in [("203.0.113.10", 9), ("203.0.113.10", 53), ("127.0.0.1", 53)]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stream:
            stream.settimeout(5)
            try:
                stream.sendto(query, at)
                heard.append(list(stream.recvfrom(100)[0][-4:]))
            except OSError:
                heard.append("nothing")
    return heard
"""
    create(client, "datagrams", {"app.py": code}, Timeout=60)
    assert invoke(client, "datagrams")[0] == ["nothing", [127, 0, 0, 1], [127, 0, 0, 1]]

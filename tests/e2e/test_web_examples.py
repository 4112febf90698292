"""The examples of web functions, as people deploy them: what deploy takes them for, and what they answer; those with a page in a
real browser."""

import http.client
import json
import re
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from examples import line
from platform_under_test import ROOT, eventually, invoke, node_runtime

needs_node = pytest.mark.skipif(not node_runtime(), reason="this host has no node")


def deploy(platform, example, *arguments):
    """What deploy says, the address for programs, and the one for browsers."""
    said = platform.lambent("deploy", str(ROOT / "examples" / example), *arguments).stdout
    url = line(said, "url")
    page = re.search("^browser (.*)$", said, re.M)
    return said, url, page[1] if page else url


class Stays(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def fetch(url, data=None, method=None, **headers):
    """The status, the headers and the body, of whatever status."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    try:
        answer = urllib.request.build_opener(Stays).open(request, timeout=60)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return answer.status, answer.headers, answer.read()


def fetch_json(url, value=None, **headers):
    data = None if value is None else json.dumps(value).encode()
    status, _, body = fetch(url, data, content_type="application/json", **headers)
    return status, json.loads(body)


def pieces(url, count):
    """The first pieces of an answer and when each came, in seconds after the first."""
    where = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(where.netloc, timeout=60)
    connection.request("GET", f"{where.path}?{where.query}")
    answer = connection.getresponse()
    seen = []
    for _ in range(count):
        piece = answer.read1(1000)
        seen.append((time.monotonic(), piece))
    connection.close()
    return [(at - seen[0][0], piece) for at, piece in seen]


def fields(browser, **values):
    for name, value in values.items():
        browser.find_element("id", name).send_keys(value)


def texts(browser, selector):
    # At once, since a page may go while it is read.
    return browser.execute_script("return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText)", selector)


def no_errors(browser):
    severe = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert not severe, severe


def test_a_flask_guestbook(platform, browser):
    said, url, page = deploy(platform, "flask-guestbook", "--env", "BUCKET=guestbook-of-flask")
    assert "taken for a Flask application: app.py makes `app`" in said and "lambent_wsgi.py 'app:app'" in said
    browser.get(page)
    assert texts(browser, ".none") == ["Nobody was here yet."]
    fields(browser, name="Ada", text="It computes.\nAnd <b>how</b>.")
    browser.find_element("id", "sign").click()
    assert eventually(lambda: texts(browser, "article p"), bool) == ["It computes.\nAnd <b>how</b>."]
    fields(browser, name="Bob", text="Second!")
    browser.find_element("id", "sign").click()
    assert eventually(lambda: texts(browser, "article p"), lambda seen: len(seen) == 2)[0] == "Second!", "the newest is first"
    assert texts(browser, "article footer")[0].startswith("Bob · ")
    assert browser.find_element("tag name", "h1").value_of_css_property("border-bottom-color") == "rgba(201, 163, 106, 1)"
    browser.save_screenshot(str(ROOT / "target/guestbook.png"))
    no_errors(browser)
    # Under a path links lead there too, and what is wrong is said.
    status, _, body = fetch(url, b"name=&text=x", content_type="application/x-www-form-urlencoded")
    prefix = urllib.parse.urlsplit(url).path.rstrip("/")
    assert status == 400 and b"Your name must have 1 to 40 characters." in body and f'action="{prefix}/"'.encode() in body
    assert fetch(url, b"name=Eve&text=x", content_type="application/x-www-form-urlencoded")[1]["location"] == f"{prefix}/"
    # A new deploy ends every environment; the entries stay.
    said, url, _ = deploy(platform, "flask-guestbook", "--memory", "600")
    variables = platform.client("lambda").get_function_configuration(FunctionName="flask-guestbook")["Environment"]["Variables"]
    assert said.startswith("updated ") and variables["BUCKET"] == "guestbook-of-flask", "variables of earlier are kept"
    assert fetch(url)[2].count(b"<article>") == 3


def test_a_django_project(platform, browser):
    said, url, page = deploy(platform, "django-notes", "--env", "SECRET_KEY=of-a-test", "--env", "BUCKET=notes-of-django")
    assert "taken for a Django project: manage.py and the project `notes`" in said and "-m gunicorn" in said
    browser.get(page)
    assert "No notes yet." in browser.find_element("tag name", "body").text
    fields(browser, id_title="Milk", id_text="Two bottles")
    browser.find_element("id", "keep").click()
    assert eventually(lambda: texts(browser, "article h2"), bool) == ["Milk"]
    fields(browser, id_title="Bread", id_text="Dark <i>rye</i>")
    browser.find_element("id", "keep").click()
    assert eventually(lambda: len(texts(browser, "article h2")), lambda seen: seen == 2)
    assert set(texts(browser, "article p")) == {"Two bottles", "Dark <i>rye</i>"}
    browser.save_screenshot(str(ROOT / "target/notes.png"))
    browser.find_element("css selector", "article button").click()
    assert eventually(lambda: len(texts(browser, "article h2")), lambda seen: seen == 1)
    no_errors(browser)
    # A form that this page has not sent is refused, whatever it says.
    assert fetch(url, b"title=x&text=y", content_type="application/x-www-form-urlencoded")[0] == 403


def test_a_fastapi_application(platform, functions):
    said, url, _ = deploy(platform, "fastapi")
    assert "taken for a FastAPI application" in said and "-m uvicorn" in said
    assert fetch_json(f"{url}quote", {"item": "tea", "pieces": 3, "price": 2.5}) == (200, {"item": "tea", "total": 7.5})
    assert fetch_json(f"{url}quote", {"item": "tea", "pieces": 0, "price": 2.5})[0] == 422
    came = pieces(f"{url}count?to=3", 3)
    assert [piece for _, piece in came] == [b"1\n", b"2\n", b"3\n"] and came[2][0] > 0.1, "each when it is written"
    # Thirty wait in one environment: one after the other they would take six seconds.
    began = time.monotonic()
    with ThreadPoolExecutor(30) as calls:
        assert {status for status, _ in calls.map(lambda _: fetch_json(f"{url}slow?seconds=0.2"), range(30))} == {200}
    assert time.monotonic() - began < 4
    said, answer = invoke(functions, "fastapi", {"Records": [{}, {}]})
    assert said == {"records": 2} and "FunctionError" not in answer


@needs_node
def test_an_express_application(platform):
    said, url, _ = deploy(platform, "express")
    assert "taken for a Node application: `scripts.start` of package.json" in said and "started by node server.js" in said
    assert fetch_json(f"{url}sum", {"numbers": [1, 2, 3.5]}) == (200, {"sum": 6.5})
    assert fetch_json(f"{url}sum", {"numbers": "x"})[0] == 400
    assert fetch_json(f"{url}?name=Ada") == (200, {"hello": "Ada", "from": "127.0.0.1"})
    came = pieces(f"{url}ticks", 3)
    assert [piece for _, piece in came] == [b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n"] and came[2][0] > 0.1


def test_an_axum_program(platform, functions):
    if not shutil.which("cargo"):
        pytest.skip("Rust is not installed")
    said, url, _ = deploy(platform, "axum-hello")
    assert "taken for a native program: its Rust source reads PORT" in said and "provided.al2023" in said
    assert fetch(f"{url}?name=Ada")[2] == b"hello Ada\n"
    assert invoke(functions, "axum-hello", {"a": 1})[0] == {"event": {"a": 1}}


@pytest.mark.parametrize("language", ["python", pytest.param("node", marks=needs_node)])
def test_functions_of_functions_framework(platform, language):
    example, prefix = f"functions-framework-{language}", f"ff-{language}"
    refused = platform.lambent("deploy", str(ROOT / "examples" / example), check=False)
    assert refused.returncode != 0 and "several functions (hello, seen)" in refused.stderr and "--target" in refused.stderr
    _, url, _ = deploy(platform, example, "--name", f"{prefix}-hello", "--target", "hello")
    assert fetch_json(f"{url}?name=Ada") == (200, {"hello": "Ada"})
    said, url, _ = deploy(platform, example, "--name", f"{prefix}-seen", "--target", "seen")
    assert "--signature-type=cloudevent" in said
    event = {"ce_specversion": "1.0", "ce_id": "1", "ce_type": "shop.sold", "ce_source": "/shop", "content_type": "application/json"}
    assert fetch(url, b'{"item": "tea"}', **event)[0] in (200, 204)
    logs = platform.client("logs")
    find = lambda: logs.filter_log_events(logGroupName=f"/aws/lambda/{prefix}-seen", filterPattern='"shop.sold of /shop"')["events"]
    assert "tea" in eventually(find, bool)[0]["message"]
    _, url, _ = deploy(platform, example, "--name", f"{prefix}-env", "--env", "FUNCTION_TARGET=hello")
    assert fetch_json(url) == (200, {"hello": "world"})


@needs_node
def test_a_folder_as_vercel_has_it(platform, browser):
    said, url, page = deploy(platform, "vercel", "--name", "greetings")
    assert "taken for a folder as Vercel has it: vercel.json and its `api` folder" in said
    browser.get(page)
    text = lambda name: browser.find_element("id", name).text  # noqa: E731
    assert eventually(lambda: text("hello"), lambda seen: seen != "…") == "hello Ada"
    assert eventually(lambda: text("greeting"), lambda seen: seen != "…") == "Guten Tag"
    assert re.fullmatch(r"\d\d:\d\d:\d\d", text("time"))
    browser.find_element("css selector", "option:nth-child(5)").click()
    assert eventually(lambda: text("greeting"), lambda seen: seen != "Guten Tag") == "Buenos días"
    browser.save_screenshot(str(ROOT / "target/vercel.png"))
    no_errors(browser)
    browser.find_element("link text", "About").click()
    assert browser.find_element("tag name", "h1").text == "About" and browser.current_url.endswith("/about")
    for path, status, where in [("about.html", 308, "/about"), ("home?x=1", 307, "/?x=1"), ("none", 404, None)]:
        answered, headers, _ = fetch(f"{url}{path}")
        assert (answered, headers["location"]) == (status, where), path
    assert fetch_json(f"{url}hello/B%C3%B6b?x=1", cookie="visits=3") == (200, {"hello": "Böb", "visits": 3})
    assert fetch_json(f"{url}api/time", {"epoch": 0}) == (200, {"time": "1970-01-01T00:00:00.000Z"})
    assert fetch(f"{url}api/time", b"{}", "PUT")[0] == 405 and fetch(f"{url}api/greetings/xx")[0] == 404
    assert fetch(url)[1]["x-content-type-options"] == "nosniff"
    tag = fetch(url)[1]["etag"]
    assert fetch(url, if_none_match=tag)[0] == 304 and fetch(url, b"x")[0] == 405
    assert fetch(f"{url}vercel.json")[0] == fetch(f"{url}api/../package.json")[0] == fetch(f"{url}%2e%2e/package.json")[0] == 404


def folder(tmp_path, name, files):
    for file, text in files.items():
        path = tmp_path / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(tmp_path / name)


CLASS = """
import json, urllib.parse
from http.server import BaseHTTPRequestHandler
from api._lib import word

class handler(BaseHTTPRequestHandler):
    def do_GET(self):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({"word": word(), "query": query}).encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.end_headers()
        self.wfile.write(body[::-1])
"""
WSGI = """
def app(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} {environ['QUERY_STRING']} {len(body)}".encode()]
"""
RULES = {
    "trailingSlash": False,
    "rewrites": [
        {"source": "/u/:id(\\d+)", "destination": "/api/users/:id"},
        {"source": "/q/:first/:rest*", "destination": "/api?fixed=1"},
        {"source": "/beta", "has": [{"type": "cookie", "key": "beta", "value": "y.*"}], "destination": "/api?beta=1"},
    ],
    "headers": [{"source": "/api/(.*)", "headers": [{"key": "x-rule", "value": "got $1"}]}],
    "redirects": [{"source": "/old/:x*", "destination": "/new/:x*"}, {"source": "/e", "destination": "https://example.com/?b=1", "statusCode": 301}],
}


def test_a_python_folder_as_vercel_has_it(platform, tmp_path):
    files = {
        "api/index.py": CLASS, "api/_lib.py": "def word(): return 'helped'", "api/users/[id].py": WSGI, "vercel.json": json.dumps(RULES),
        "api/bad.py": "from http.server import *\nclass handler(BaseHTTPRequestHandler):\n    def do_GET(self): raise ValueError('no')\n",
        "public/index.html": "<h1>static</h1>", "public/404.html": "nothing here",
    }  # fmt: skip
    said = platform.lambent("deploy", folder(tmp_path, "vercel-python", files)).stdout
    url = line(said, "url")
    assert fetch(url)[2] == b"<h1>static</h1>" and fetch(f"{url}none")[::2] == (404, b"nothing here")
    assert fetch_json(f"{url}api?a=b") == (200, {"word": "helped", "query": {"a": "b"}})
    assert fetch_json(f"{url}q/1/2/3") == (200, {"word": "helped", "query": {"fixed": "1", "first": "1", "rest": "2/3"}})
    assert fetch_json(f"{url}beta", cookie="a=b; beta=yes")[1]["query"] == {"beta": "1"} and fetch(f"{url}beta")[0] == 404
    assert fetch(f"{url}api", b"abc")[::2] == (201, b"cba") and fetch(f"{url}api", method="DELETE")[0] == 501
    assert fetch(f"{url}u/7?z=1")[2] == b"GET /u/7 z=1&id=7 0" and fetch(f"{url}u/x")[0] == 404
    status, headers, body = fetch(f"{url}api/users/9", b"12345")
    assert (body, headers["x-rule"]) == (b"POST /api/users/9 id=9 5", "got users/9")
    assert fetch(f"{url}old/a/b?c=d")[1]["location"] == "/new/a/b?c=d"
    assert fetch(f"{url}e?f=g")[:2][0] == 301 and fetch(f"{url}e?f=g")[1]["location"] == "https://example.com/?b=1&f=g"
    assert fetch(f"{url}api/")[1]["location"] == "/api" and fetch(f"{url}/evil.example/")[1]["location"] == "/evil.example"
    status, _, body = fetch(f"{url}api/bad")
    assert status == 500 and b"FUNCTION_INVOCATION_FAILED" in body
    assert fetch(f"{url}%2e%2e/%2e%2e/etc/passwd")[0] == fetch(f"{url}api/_lib")[0] == 404


def test_deploy_says_what_it_took_a_folder_for(platform, tmp_path):
    deployed = lambda *arguments: platform.lambent("deploy", *arguments, "--no-url").stdout  # noqa: E731
    refused = lambda *arguments: platform.lambent("deploy", *arguments, check=False).stderr  # noqa: E731
    flask = {"app.py": "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'wsgi']\n"}
    both = folder(tmp_path, "both", {**flask, "package.json": '{"scripts": {"start": "node x.js"}}'})
    said = refused(both)
    assert "--as start " in said and "--as app " in said and "Say which" in said
    assert "web function" in deployed(both, "--as", "app")
    said = deployed(both, "--command", "exec python3 -m http.server $PORT", "--runtime", "python3.11", "--concurrency", "3", "--ready-path", "/x")
    variables = platform.client("lambda").get_function_configuration(FunctionName="both")["Environment"]["Variables"]
    assert variables == {
        "LAMBENT_WEB_COMMAND": "exec python3 -m http.server $PORT", "LAMBENT_WEB_CONCURRENCY": "3", "LAMBENT_WEB_READY_PATH": "/x",
    }  # fmt: skip
    handler = folder(tmp_path, "both", {"app.py": "def handler(event, context):\n    return 'handled'\n"})
    assert "taken for a handler: app.py defines `handler`" in deployed(handler) and invoke(platform.client("lambda"), "both")[0] == "handled"
    image = folder(tmp_path, "image", {"Dockerfile": "FROM scratch"})
    assert "Dockerfile" in refused(image) and "images are not built here" in refused(image)
    asgi = folder(tmp_path, "asgi", {"main.py": "async def app(scope, receive, send): pass\n"})
    assert "main:app is an ASGI application" in refused(asgi) and "add `uvicorn`" in refused(asgi)
    procfile = folder(tmp_path, "procfile", {**flask, "Procfile": "web: exec python3 -c 'import app'\nworker: x\n"})
    said = deployed(procfile)
    assert "taken for a Procfile's process" in said and "`worker:` of the Procfile is not run" in said and "passed over: a WSGI" in said

"""A web page calls Invoke with credentials of its own: what browsers ask before, and what the page may read of the answer."""

import base64
import functools
import hashlib
import http.server
import json
import ssl
import subprocess
import threading
import urllib.request

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from hosts import need
from platform_under_test import ROOT, create

APP = """
def handler(event, context):
    print("ran for a page")
    if event.get("fail"):
        raise ValueError("as it was asked to")
    return {"hello": event["name"]}
"""
PAGE = """<!doctype html><script type="module">
import { signed } from "./sigv4.js";
window.call = async (endpoint, keys, event) => {
  const url = `${endpoint}/2015-03-31/functions/paged/invocations?Qualifier=$LATEST`;
  const body = JSON.stringify(event);
  const headers = await signed("POST", url, body, "us-east-1", "lambda", keys);
  // What is not signed may still be sent; both make the browser ask first.
  Object.assign(headers, {"x-amz-log-type": "Tail", "x-amz-invocation-type": "RequestResponse", "content-type": "application/json"});
  const answer = await fetch(url, {method: "POST", headers, body});
  const names = ["x-amz-function-error", "x-amz-log-result", "x-amz-executed-version", "x-amzn-requestid", "x-amzn-errortype"];
  return JSON.stringify({status: answer.status, body: await answer.json(), ...Object.fromEntries(names.map((name) => [name, answer.headers.get(name)]))});
};
window.ready = true;
</script>"""
ASKED = "authorization,content-type,x-amz-client-context,x-amz-date,x-amz-invocation-type,x-amz-log-type,x-amz-security-token,x-amz-user-agent"


@pytest.fixture
def known(own_platform):
    """A platform with a function and a key."""
    platform = own_platform()
    create(platform.client("lambda"), "paged", {"app.py": APP})
    iam = platform.client("iam")
    iam.create_user(UserName="page")
    key = iam.create_access_key(UserName="page")["AccessKey"]
    platform.key = Credentials(key["AccessKeyId"], key["SecretAccessKey"])
    return platform


@pytest.fixture
def elsewhere(tmp_path):
    """A page at another origin."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "index.html").write_text(PAGE)
    (folder / "sigv4.js").write_text((ROOT / "examples/browser/sigv4.js").read_text())
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_address[1]}"
    server.shutdown()


def ask(platform, url, method, headers, body=None):
    context = ssl.create_default_context(cafile=platform.authority) if url.startswith("https") else None
    request = urllib.request.Request(url, body, headers, method=method)
    try:
        return urllib.request.urlopen(request, context=context)
    except urllib.error.HTTPError as error:
        return error


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_preflight_lets_a_signed_invoke_through(known, scheme):
    url = f"{known.https if scheme == 'https' else known.endpoint}/2015-03-31/functions/paged/invocations"
    asked = {
        "Origin": "https://app.example", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": ASKED,
        "Access-Control-Request-Private-Network": "true",
    }  # fmt: skip
    told = ask(known, url, "OPTIONS", asked).headers
    assert told["Access-Control-Allow-Origin"] == "*" and "POST" in told["Access-Control-Allow-Methods"]
    assert set(ASKED.split(",")) <= set(told["Access-Control-Allow-Headers"].split(","))
    assert told["Access-Control-Allow-Private-Network"] == "true" and int(told["Access-Control-Max-Age"]) > 0

    def invoke(credentials):
        request = AWSRequest("POST", url, data=b'{"name": "page"}', headers={"X-Amz-Log-Type": "Tail"})
        SigV4Auth(credentials, "lambda", "us-east-1").add_auth(request)
        return ask(known, url, "POST", {**dict(request.headers), "Origin": "https://app.example"}, b'{"name": "page"}')

    answer = invoke(known.key)
    assert answer.status == 200 and json.loads(answer.read()) == {"hello": "page"}
    assert answer.headers["Access-Control-Allow-Origin"] == "*" and answer.headers["Access-Control-Expose-Headers"] == "*"
    assert b"ran for a page" in base64.b64decode(answer.headers["X-Amz-Log-Result"])
    # A stranger's page has no key: that the caller shares the machine is no proof then.
    refused = invoke(Credentials("test", "test"))
    assert refused.status == 403 and refused.headers["Access-Control-Allow-Origin"] == "*", "and the page may read why"


def called(browser, page, endpoint, keys, event):
    from platform_under_test import eventually

    browser.get(page)
    assert eventually(lambda: browser.execute_script("return window.ready === true"), bool)
    browser.set_script_timeout(30)
    script = "const done = arguments[3]; window.call(arguments[0], arguments[1], arguments[2]).then(done, (error) => done(JSON.stringify({error: String(error)})))"
    return json.loads(browser.execute_async_script(script, endpoint, keys, event))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_page_of_another_origin_invokes_in_a_real_browser(known, elsewhere, browse, scheme):
    flags, endpoint = [], known.endpoint.replace("127.0.0.1", "localhost")
    if scheme == "https":
        need("openssl")
        endpoint = known.https
        # Chromium has a store of its own: it is told the key of the certificate that it will see.
        pem = ssl.get_server_certificate(("localhost", known.port))
        public = subprocess.run(["openssl", "x509", "-noout", "-pubkey"], input=pem, capture_output=True, text=True, check=True).stdout
        spki = base64.b64decode("".join(public.splitlines()[1:-1]))
        flags = [f"--ignore-certificate-errors-spki-list={base64.b64encode(hashlib.sha256(spki).digest()).decode()}"]
    browser = browse(*flags)
    keys = {"id": known.key.access_key, "secret": known.key.secret_key}
    said = called(browser, elsewhere, endpoint, keys, {"name": "page"})
    assert said.get("status") == 200 and said["body"] == {"hello": "page"}, said
    assert said["x-amz-function-error"] is None and said["x-amz-executed-version"] == "$LATEST" and said["x-amzn-requestid"]
    assert b"ran for a page" in base64.b64decode(said["x-amz-log-result"])
    failed = called(browser, elsewhere, endpoint, keys, {"fail": True})
    assert failed["status"] == 200 and failed["x-amz-function-error"] == "Unhandled" and failed["body"]["errorType"] == "ValueError"
    refused = called(browser, elsewhere, endpoint, {**keys, "secret": "wrong"}, {"name": "page"})
    assert refused["status"] == 403 and refused["x-amzn-errortype"].startswith("InvalidSignatureException"), refused
    if scheme == "https":
        browser.get(f"{known.https}/_lambent/health")
        assert "running" in browser.page_source

"""The examples of functions: a payment webhook, a page that calls a function, work that is split over fifty invocations."""

import hashlib
import hmac
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request

from examples import line, setup
from platform_under_test import ROOT, eventually, invoke

SECRET = "whsec_of_a_test"


def keys(s3, bucket, prefix):
    return sorted(one["Key"] for one in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", []))


def deliver(url, body, signature):
    """The status and the JSON of what the webhook answers."""
    request = urllib.request.Request(url, data=body, headers={"Stripe-Signature": signature, "content-type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused) if refused.code == 400 else None


def signature(body, at, secret=SECRET):
    return hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


def test_a_payment_is_booked_once_and_a_forged_one_never(platform):
    s3 = platform.client("s3")
    url = line(setup(platform, "payment-webhook", "payments", WEBHOOK_SECRET=SECRET), "url")
    now = int(time.time())
    paid = {"amount": 1999, "currency": "eur", "metadata": {"order": "order 7/ä"}}
    body = json.dumps({"id": "evt_1", "type": "payment_intent.succeeded", "data": {"object": paid}}, ensure_ascii=False).encode()
    good = f"t={now},v1={signature(body, now)}"
    for wrong in [
        f"t={now},v1={signature(body, now, 'another')}", f"t={now + 1},v1={signature(body, now)}", f"v1={signature(body, now)}",
        f"t={now},v0={signature(body, now)}", f"t={now}", "", f"t=x,v1={signature(body, 'x')}", f"t={now},t={now},v1={signature(body, now)}",
    ]:  # fmt: skip
        assert deliver(url, body, wrong)[0] == 400, wrong
    assert deliver(url, body + b" ", good) == (400, {"error": "the signature is wrong"})
    for then in (now - 301, now + 400):
        assert deliver(url, body, f"t={then},v1={signature(body, then)}") == (400, {"error": "the signature is too old"})
    for bad in (b"{}", b"[1]", b"no json", b'{"id": 7}', b'{"id": "../x"}', b'{"id": ""}'):
        assert deliver(url, bad, f"t={now},v1={signature(bad, now)}")[0] == 400, bad
    assert keys(s3, "payments", "") == [], "nothing of this is kept"
    assert deliver(url, body, good) == (200, {"received": "evt_1", "again": False})
    assert deliver(url, body, good) == (200, {"received": "evt_1", "again": True})
    # The old secret and the new one, while it is being changed.
    assert deliver(url, body, f"t={now},v1={signature(body, now, 'new')},v1={signature(body, now)},v0=x")[0] == 200
    assert s3.get_object(Bucket="payments", Key="events/evt_1.json")["Body"].read() == body, "as it was signed"
    [key] = eventually(lambda: keys(s3, "payments", "paid/"), bool)
    booked = json.loads(s3.get_object(Bucket="payments", Key=key)["Body"].read())
    assert (booked["amount"], booked["by"]) == (1999, "evt_1") and key == "paid/order%207%2F%C3%A4.json"
    sender = [sys.executable, str(ROOT / "examples/payment-webhook/send.py"), url]
    said = subprocess.run([*sender, SECRET, "order-8"], capture_output=True, text=True, check=True).stdout
    assert said.startswith("200 ") and '"again": false' in said
    assert len(eventually(lambda: keys(s3, "payments", "paid/"), lambda seen: len(seen) == 2)) == 2
    refused = subprocess.run([*sender, "guess", "order-9"], capture_output=True, text=True)
    assert refused.returncode == 1 and refused.stderr.startswith("400 ")
    platform.lambent("deploy", str(ROOT / "examples/payment-webhook"), "--name", "payment-webhook", "--handler", "receive.handler", "--env", "BUCKET=payments")
    assert deliver(url, body, f"t={now},v1={signature(body, now, '')}")[0] == 502, "without a secret nobody is believed"


def test_fifty_invocations_share_the_work(platform):
    setup(platform, "fan-out")
    functions = platform.client("lambda")
    said, answer = invoke(functions, "fan-out", {"below": 1_000_000, "parts": 50})
    assert "FunctionError" not in answer, said
    assert (said["primes"], said["parts"]) == (78498, 50) and 1 < said["environments"] <= 50
    for below, parts, primes in [(0, 1, 0), (3, 50, 1), (1000, 7, 168)]:
        assert invoke(functions, "fan-out", {"below": below, "parts": parts})[0]["primes"] == primes
    said, answer = invoke(functions, "fan-out", {"parts": 1000})
    assert answer["FunctionError"] == "Unhandled" and "parts may be 1 to 100" in said["errorMessage"]
    functions.put_function_concurrency(FunctionName="fan-out-count", ReservedConcurrentExecutions=0)
    said, answer = invoke(functions, "fan-out", {"below": 10, "parts": 2})
    assert answer["FunctionError"] == "Unhandled", "a sum that lacks parts is no answer"


def test_a_page_calls_a_function_in_both_ways(own_platform, browser):
    running = own_platform("--iam=enforce")
    root = running.client("iam").create_access_key()["AccessKey"]
    mine = {"AWS_ACCESS_KEY_ID": root["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": root["SecretAccessKey"]}
    said = setup(running, "browser", "letters-page", **mine)
    page = line(said, "page")
    key, secret = line(said, "key").split()
    browser.get(page)
    at = lambda name: browser.find_element("id", name)  # noqa: E731
    eventually(lambda: browser.find_element("tag name", "body").get_attribute("data-ready"), bool)
    assert call(at, "by-url", "url-said").startswith("35 letters, in ")
    at("key").send_keys(key)
    at("secret").send_keys("not this one")
    assert call(at, "by-invoke", "invoke-said").startswith("403: ")
    at("secret").clear()
    at("secret").send_keys(secret)
    at("text").clear()
    at("text").send_keys("aaa bb é")
    said = call(at, "by-invoke", "invoke-said")
    assert said.startswith("6 letters, in ") and said.splitlines()[1:] == ["a", "3", "b", "2", "é", "1"]
    browser.save_screenshot(str(ROOT / "target/letters.png"))
    # A key that the platform does not know proves nothing: no page may act with it.
    at("key").clear()
    at("key").send_keys("AKIANOBODYKNOWSTHIS1")
    assert call(at, "by-invoke", "invoke-said") in ("Failed to fetch", "403: The security token included in the request is invalid.")


def call(at, button, output):
    at(button).click()
    return eventually(lambda: at(output).text, lambda seen: seen not in ("", "…"))

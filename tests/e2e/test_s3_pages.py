"""A bucket's website in a real browser, whose page sends files to another bucket: by presigned URL and by a form."""

import json
import urllib.parse
import urllib.request

import pytest

from platform_under_test import ROOT, eventually

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Upload</title><link rel="stylesheet" href="style.css"></head>
<body>
<h1>Two ways up</h1>
<p>By a presigned URL: <output id="put">…</output></p>
<p>Read back, with a header that the rules show: <output id="got">…</output></p>
<p>By a method that the rules do not have: <output id="deleted">…</output></p>
<form id="form" method="post" enctype="multipart/form-data" action="%(action)s">%(fields)s<input type="file" name="file" id="file"><button id="send">Send</button></form>
<script>
const show = (id, what) => { document.getElementById(id).textContent = what; };
(async () => {
  const put = await fetch("%(put)s", { method: "PUT", body: "from a page", headers: { "Content-Type": "text/plain" } });
  show("put", put.status + " " + (put.headers.get("etag") ? "etag" : "no etag"));
  const got = await fetch("%(get)s");
  show("got", got.headers.get("x-amz-meta-who") + ": " + await got.text());
  await fetch("%(delete)s", { method: "DELETE" }).then((answer) => show("deleted", answer.status), (error) => show("deleted", error.name));
})();
</script></body></html>"""


@pytest.fixture
def site(store):
    """A bucket with a website for everybody, and its address."""
    bucket, s3 = store.bucket(), store.s3
    s3.delete_public_access_block(Bucket=bucket)
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    website = {"IndexDocument": {"Suffix": "index.html"}, "ErrorDocument": {"Key": "error.html"}}
    s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration=website)
    port = urllib.parse.urlsplit(store.platform.endpoint).port
    return bucket, f"http://{bucket}.s3-website.us-east-1.localhost:{port}"


def heading(browser):
    """The page's; none while another page takes its place."""
    from selenium.common.exceptions import StaleElementReferenceException

    try:
        return browser.find_element("tag name", "h1").text
    except StaleElementReferenceException:
        return None


def test_a_page_of_a_bucket_sends_files_to_another(store, site, browser, tmp_path):
    (bucket, address), target, s3 = site, store.bucket(), store.s3
    rule = {"AllowedOrigins": [address], "AllowedMethods": ["GET", "PUT"], "AllowedHeaders": ["content-type"], "ExposeHeaders": ["ETag", "x-amz-meta-who"]}
    s3.put_bucket_cors(Bucket=target, CORSConfiguration={"CORSRules": [rule]})
    s3.put_object(Bucket=target, Key="read", Body=b"for a page", Metadata={"who": "boto3"})
    presigned = lambda operation, key, **more: s3.generate_presigned_url(operation, Params={"Bucket": target, "Key": key, **more})
    back = f"{address}/thanks/"
    form = s3.generate_presigned_post(
        target, "form/${filename}", Fields={"success_action_redirect": back}, Conditions=[{"success_action_redirect": back}, ["content-length-range", 1, 100]]
    )
    fields = "".join(f'<input type="hidden" name="{name}" value="{value}">' for name, value in form["fields"].items())
    page = PAGE % {
        "put": presigned("put_object", "put", ContentType="text/plain"), "get": presigned("get_object", "read"),
        "delete": presigned("delete_object", "read"), "action": form["url"], "fields": fields,
    }  # fmt: skip
    for key, body, kind in [
        ("index.html", page, "text/html"), ("style.css", "h1 { color: rgb(0, 90, 160) } body { font: 16px sans-serif; margin: 2em }", "text/css"),
        ("thanks/index.html", "<h1>Thanks</h1>", "text/html"), ("error.html", "<h1>Nothing here</h1>", "text/html"),
    ]:  # fmt: skip
        s3.put_object(Bucket=bucket, Key=key, Body=body.encode(), ContentType=kind)
    browser.get(address)
    text = lambda name: browser.find_element("id", name).text  # noqa: E731
    assert eventually(lambda: text("deleted"), lambda seen: seen != "…") == "TypeError", "what the rules do not allow no page is told"
    assert (text("put"), text("got")) == ("200 etag", "boto3: for a page")
    assert browser.find_element("tag name", "h1").value_of_css_property("color") == "rgba(0, 90, 160, 1)"
    browser.save_screenshot(str(ROOT / "target/website.png"))
    assert s3.get_object(Bucket=target, Key="put")["Body"].read() == b"from a page"
    assert s3.head_object(Bucket=target, Key="read"), "it is still there"
    file = tmp_path / "ä note.txt"
    file.write_text("by a form")
    browser.find_element("id", "file").send_keys(str(file))
    browser.find_element("id", "send").click()
    assert eventually(lambda: heading(browser), lambda seen: seen == "Thanks") == "Thanks"
    where = urllib.parse.urlsplit(browser.current_url)
    said = dict(urllib.parse.parse_qsl(where.query))
    assert (where.path, said["bucket"], said["key"]) == ("/thanks/", target, "form/ä note.txt")
    assert s3.get_object(Bucket=target, Key="form/ä note.txt")["Body"].read() == b"by a form"
    browser.get(f"{address}/none")
    assert browser.find_element("tag name", "h1").text == "Nothing here"
    browser.get(f"{address}/thanks")
    assert browser.current_url == back, "a folder's name leads into it"


def test_a_websites_head_tells_its_length(store, site):
    bucket, address = site
    store.s3.put_object(Bucket=bucket, Key="index.html", Body=b"x" * 1234, ContentType="text/html")
    where = urllib.parse.urlsplit(address)
    request = urllib.request.Request(store.platform.endpoint, method="HEAD", headers={"Host": where.netloc})
    with urllib.request.urlopen(request) as answer:
        assert (answer.status, answer.headers["Content-Length"], answer.headers["Content-Type"]) == (200, "1234", "text/html")

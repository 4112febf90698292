"""A web application behind the function's URL. `app` is WSGI, so Flask's, Django's or Bottle's can stand in its place."""

import base64
import html
import io
import sys
from urllib.parse import unquote_to_bytes


def app(environ, start_response):
    path = environ["PATH_INFO"].encode("latin-1").decode()
    name = path.removeprefix("/hello/") if path.startswith("/hello/") else ""
    if path != "/" and not name:
        start_response("404 Not Found", [("content-type", "text/plain; charset=utf-8")])
        return [f"There is no page {path}".encode()]
    start_response("200 OK", [("content-type", "text/html; charset=utf-8")])
    return [f"<!doctype html><title>Hello</title><h1>Hello {html.escape(name or 'world')}</h1>".encode()]


def handler(event, context):
    """Carries a request (payload format 2.0) to the application and its answer back."""
    answer = {"statusCode": 500, "headers": {}, "cookies": []}

    def start_response(status, headers, exc_info=None):
        answer["statusCode"] = int(status.split(" ", 1)[0])
        for name, value in headers:
            if name.lower() == "set-cookie":
                answer["cookies"].append(value)
            else:
                answer["headers"][name.lower()] = value

    chunks = app(environ(event), start_response)
    try:
        body = b"".join(chunks)
    finally:
        getattr(chunks, "close", lambda: None)()
    return {**answer, "body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def environ(event):
    request, headers = event["requestContext"]["http"], event.get("headers", {})
    raw = (event.get("body") or "").encode()
    body = base64.b64decode(raw) if event.get("isBase64Encoded") else raw
    host, _, port = headers.get("host", "localhost").partition(":")
    out = {
        "REQUEST_METHOD": request["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(event["rawPath"]).decode("latin-1"),
        "QUERY_STRING": event.get("rawQueryString", ""),
        "SERVER_NAME": host,
        "SERVER_PORT": port or "443",
        "SERVER_PROTOCOL": request.get("protocol", "HTTP/1.1"),
        "REMOTE_ADDR": request.get("sourceIp", ""),
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": headers.get("content-type", ""),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": headers.get("x-forwarded-proto", "https"),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in headers.items():
        if name.lower() not in ("content-type", "content-length"):
            out["HTTP_" + name.upper().replace("-", "_")] = value
    if event.get("cookies"):
        out["HTTP_COOKIE"] = "; ".join(event["cookies"])
    return out

"""Responses that go out as they are written: a handler that returns a generator, or any iterator, of text or bytes. AWS's
managed runtimes for Python have nothing like it; the protocol is the one of a custom runtime that streams.

If the first item is a dict with `statusCode`, `headers` or `cookies`, it is what a function URL of mode RESPONSE_STREAM
answers before the body.
"""

import base64
import os

PRELUDE = b"application/vnd.awslambda.http-integration-response"
PLAIN = b"application/octet-stream"


def stream(channel, request_id, items, marshaller):
    """Sends all items but the end of the response, which it gives, with the request for the next event behind it. Raises
    what the first item raises: nothing has been sent then."""
    head = b"POST /2018-06-01/runtime/invocation/" + request_id.encode() + b"/response" + channel.host
    head += b"Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n"
    head += b"Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\nContent-Type: "
    first = next(items, b"")
    if isinstance(first, dict):
        send(channel, head + PRELUDE + b"\r\n\r\n" + chunk(marshaller.response(first) + bytes(8)))
    else:
        send(channel, head + PLAIN + b"\r\n\r\n" + chunk(taken(first)))
    first = None
    end = b"0\r\n"
    try:
        for item in items:
            data = chunk(taken(item))
            if data:
                send(channel, data)
    except Exception as error:
        kind, body = piece("faults")["report"](error, marshaller)
        end += b"Lambda-Runtime-Function-Error-Type: " + channel.header_value(kind) + b"\r\n"
        end += b"Lambda-Runtime-Function-Error-Body: " + base64.b64encode(body) + b"\r\n"
    return end + b"\r\n" + channel.get_next


def taken(item):
    if isinstance(item, str):
        return item.encode("utf-8")
    if isinstance(item, (bytes, bytearray, memoryview)):
        return bytes(item)
    raise TypeError("An item of a streamed response must be str or bytes, not %s" % type(item).__name__)


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def send(channel, data):
    try:
        channel.send(data)
    except OSError:
        # The platform takes no more of it.
        os._exit(1)

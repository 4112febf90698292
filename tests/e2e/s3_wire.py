"""Requests of S3 made by hand, byte for byte: what an SDK would never send.

Signatures are those of "Authenticating Requests (AWS Signature Version 4)" and "Signature calculations for the authorization
header: transferring payload in multiple chunks" in the Amazon S3 API Reference.
"""

import base64
import datetime
import hashlib
import hmac
import http.client
import itertools
import re
import socket
import struct
import urllib.parse
import zlib

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

REGION = "us-east-1"
EMPTY = hashlib.sha256(b"").hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"
SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_CHUNKS_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_CHUNKS_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


def table(polynomial):
    """The bytewise table of a reflected CRC."""
    rows = []
    for row in range(256):
        for _ in range(8):
            row = row >> 1 ^ (polynomial if row & 1 else 0)
        rows.append(row)
    return rows


def crc(rows, bits):
    ones = (1 << bits) - 1

    def of(data):
        value = ones
        for byte in data:
            value = rows[(value ^ byte) & 0xFF] ^ value >> 8
        return (value ^ ones).to_bytes(bits // 8, "big")

    return of


SUMS = {
    "CRC32": lambda data: struct.pack(">I", zlib.crc32(data)),
    "CRC32C": crc(table(0x82F63B78), 32),
    "CRC64NVME": crc(table(0x9A6C9329AC4BC9B5), 64),
    "SHA1": lambda data: hashlib.sha1(data).digest(),
    "SHA256": lambda data: hashlib.sha256(data).digest(),
    "SHA512": lambda data: hashlib.sha512(data).digest(),
}


def checksum(algorithm, data):
    return base64.b64encode(SUMS[algorithm](data)).decode()


def content_md5(data):
    return base64.b64encode(hashlib.md5(data).digest()).decode()


def etag(data):
    return f'"{hashlib.md5(data).hexdigest()}"'


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.body = status, body
        self.headers = {name.lower(): value for name, value in headers}

    @property
    def code(self):
        """What the error's XML says; none if it is not one."""
        return self.tag("Code")

    def tag(self, name):
        found = re.search(f"<{name}>(.*?)</{name}>", self.body.decode("utf-8", "replace"), re.S)
        return found and found.group(1)

    @property
    def error(self):
        return self.status, self.code

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:500]}"


class Signed:
    """A request's head, signed, with what its chunks go on from."""

    def __init__(self, key, method, path, query, headers, payload, now=None):
        stamp = (now or datetime.datetime.now(datetime.timezone.utc)).strftime("%Y%m%dT%H%M%SZ")
        self.stamp, self.scope = stamp, f"{stamp[:8]}/{REGION}/s3/aws4_request"
        self.headers = {**headers, "x-amz-date": stamp, "x-amz-content-sha256": payload}
        lower = {name.lower(): " ".join(str(value).split()) for name, value in self.headers.items()}
        names = ";".join(sorted(lower))
        canonical = "".join(f"{name}:{lower[name]}\n" for name in sorted(lower))
        pairs = sorted(pair if "=" in pair else f"{pair}=" for pair in query.split("&") if pair)
        request = "\n".join([method, path, "&".join(pairs), canonical, names, payload])
        secret = f"AWS4{key[1]}".encode()
        for part in (stamp[:8], REGION, "s3", "aws4_request"):
            secret = hmac.new(secret, part.encode(), hashlib.sha256).digest()
        self.secret = secret
        self.last = self.sign("\n".join(["AWS4-HMAC-SHA256", stamp, self.scope, hashlib.sha256(request.encode()).hexdigest()]))
        self.headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={key[0]}/{self.scope}, SignedHeaders={names}, Signature={self.last}"

    def sign(self, text):
        return hmac.new(self.secret, text.encode(), hashlib.sha256).hexdigest()

    def chunk(self, data):
        """The signature of the next chunk."""
        head = ["AWS4-HMAC-SHA256-PAYLOAD", self.stamp, self.scope, self.last, EMPTY]
        self.last = self.sign("\n".join([*head, hashlib.sha256(data).hexdigest()]))
        return self.last

    def trailer(self, lines):
        """The signature of the headers behind the last chunk."""
        head = ["AWS4-HMAC-SHA256-TRAILER", self.stamp, self.scope, self.last]
        self.last = self.sign("\n".join([*head, hashlib.sha256(lines.encode()).hexdigest()]))
        return self.last


class Wire:
    """A client that sends what it is told. `key` is an access key and its secret."""

    def __init__(self, endpoint, key):
        self.endpoint, self.key = endpoint, key
        where = urllib.parse.urlsplit(endpoint)
        self.address, self.host = (where.hostname, where.port), where.netloc

    def head(self, method, path, query="", headers=None, payload=UNSIGNED, now=None, host=None):
        headers = {"Host": host or self.host, **(headers or {})}
        return Signed(self.key, method, path, query, headers, payload, now) if self.key else Bare(headers)

    def ask(self, method, path, query="", headers=None, body=b"", payload=None, now=None, host=None, tamper=None):
        """One request and its answer. `path` and `query` are encoded as they are sent."""
        payload = hashlib.sha256(body).hexdigest() if payload is None else payload
        signed = self.head(method, path, query, headers, payload, now, host)
        if tamper:
            signed.headers.update(tamper)
        return self.send(method, path, query, signed.headers, body)

    def send(self, method, path, query, headers, body, length=None):
        target = f"{path}?{query}" if query else path
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        names = {name.lower() for name in headers}
        if "content-length" not in names and "transfer-encoding" not in names:
            lines.append(f"Content-Length: {len(body) if length is None else length}")
        with socket.create_connection(self.address, timeout=60) as connection:
            try:
                connection.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode("utf-8") + body)
            except OSError:
                pass  # Refused before it had read all; the answer is there all the same.
            return answer(connection, method)

    def chunks(self, path, body, payload, trailers=None, size=65536, headers=None, query="", change=None, decoded=None, method="PUT"):
        """A PUT in chunks of `size` bytes, with `trailers` behind them. `change` sees the framed bytes before they go."""
        trailers = trailers or {}
        more = {"Content-Encoding": "aws-chunked", "x-amz-decoded-content-length": len(body) if decoded is None else decoded, **(headers or {})}
        if trailers:
            more["x-amz-trailer"] = ",".join(trailers)
        signed = self.head(method, path, query, more, payload)
        framed = frame(signed, body, size, trailers, "HMAC" in payload)
        return self.send(method, path, query, signed.headers, change(framed) if change else framed)


class Bare:
    """A head that nobody signed."""

    def __init__(self, headers):
        self.headers = headers


def frame(signed, body, size, trailers, with_signatures):
    out = []
    for start in [*range(0, len(body), size), len(body)]:
        chunk = body[start : start + size]
        signature = f";chunk-signature={signed.chunk(chunk)}" if with_signatures else ""
        out.append(f"{len(chunk):x}{signature}\r\n".encode() + chunk + (b"\r\n" if chunk else b""))
    lines = "".join(f"{name}:{value}\n" for name, value in trailers.items())
    out.append(lines.replace("\n", "\r\n").encode())
    if trailers and with_signatures:
        out.append(f"x-amz-trailer-signature:{signed.trailer(lines)}\r\n".encode())
    return b"".join([*out, b"\r\n"])


def answer(connection, method):
    reader = http.client.HTTPResponse(connection, method=method)
    reader.begin()
    return Answer(reader.status, reader.getheaders(), reader.read())


class Store:
    """A platform whose account has a key, so that every signature is verified."""

    def __init__(self, platform):
        self.platform, self.number = platform, itertools.count(1)
        made = platform.client("iam").create_access_key()["AccessKey"]
        self.key = made["AccessKeyId"], made["SecretAccessKey"]
        self.s3 = self.client()

    def client(self, key=None, endpoint=None, **config):
        config = {"signature_version": "s3v4", "retries": {"max_attempts": 0}, "read_timeout": 120, "max_pool_connections": 50, **config}
        return boto3.client(
            "s3",
            endpoint_url=endpoint or self.platform.endpoint,
            region_name=REGION,
            aws_access_key_id=(key or self.key)[0],
            aws_secret_access_key=(key or self.key)[1],
            config=Config(**config),
        )

    def wire(self, key=None):
        return Wire(self.platform.endpoint, key or self.key)

    def bucket(self):
        """A new bucket."""
        name = f"bucket-{next(self.number)}"
        self.s3.create_bucket(Bucket=name)
        return name

    def environment(self):
        return {"AWS_ACCESS_KEY_ID": self.key[0], "AWS_SECRET_ACCESS_KEY": self.key[1], "AWS_REGION": REGION}


def refused(call, **arguments):
    """The status and code of the error that a call answers."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]

"""What clients of S3 get wrong, by accident or on purpose: the exact error, and nothing half written."""

import datetime
import os
import socket
import urllib.parse
import urllib.request

import botocore.auth
import pytest

from platform_under_test import eventually
from s3_wire import SIGNED_CHUNKS, SIGNED_CHUNKS_TRAILER, SUMS, UNSIGNED, UNSIGNED_CHUNKS_TRAILER, Wire, checksum, content_md5, etag, refused

MIB = 1024 * 1024
# One that lies in a row, one in a blob, and whether the gateway reads it whole or hands it on.
SIZES = [1000, 100_000]


@pytest.fixture
def wire(store):
    return store.wire()


@pytest.fixture
def bucket(store):
    return store.bucket()


@pytest.fixture
def nothing(store, bucket):
    """Checks at the end that a test left no object, no upload and no file."""
    yield
    assert store.s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    left = eventually(lambda: temporary(store.platform), lambda left: not left, seconds=10)
    assert not left


def temporary(platform):
    return [str(path) for path in (platform.data / "tmp").rglob("*") if path.is_file()]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("algorithm", SUMS)
def test_checksums_by_header_and_behind_the_body(store, wire, bucket, algorithm, size):
    data = os.urandom(size)
    value, header = checksum(algorithm, data), f"x-amz-checksum-{algorithm.lower()}"
    assert wire.ask("PUT", f"/{bucket}/header", headers={header: value}, body=data).status == 200
    for key, payload in (("signed", SIGNED_CHUNKS_TRAILER), ("unsigned", UNSIGNED_CHUNKS_TRAILER)):
        for chunk in (8192, 65536, size):
            put = wire.chunks(f"/{bucket}/{key}", data, payload, {header: value}, size=chunk)
            assert (put.status, put.headers.get(header), put.headers["etag"]) == (200, value, etag(data)), put
    for key in ("header", "signed", "unsigned"):
        got = wire.ask("GET", f"/{bucket}/{key}", headers={"x-amz-checksum-mode": "ENABLED"})
        assert got.body == data and got.headers[header] == value and got.headers["x-amz-checksum-type"] == "FULL_OBJECT"
        assert "content-encoding" not in got.headers, "aws-chunked is the wire's, not the object's"
    part = wire.ask("GET", f"/{bucket}/header", headers={"x-amz-checksum-mode": "ENABLED", "Range": "bytes=1-2"})
    assert part.body == data[1:3] and header not in part.headers


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("algorithm", SUMS)
def test_a_wrong_checksum_is_refused(wire, bucket, nothing, algorithm, size):
    data, other = os.urandom(size), os.urandom(size)
    wrong, header = checksum(algorithm, other), f"x-amz-checksum-{algorithm.lower()}"
    assert wire.ask("PUT", f"/{bucket}/k", headers={header: wrong}, body=data).error == (400, "BadDigest")
    assert wire.ask("PUT", f"/{bucket}/k", headers={header: "AAAA"}, body=data).error == (400, "InvalidRequest")
    two = {header: checksum(algorithm, data), "x-amz-checksum-crc32" if algorithm != "CRC32" else "x-amz-checksum-sha1": "AAAAAA=="}
    assert wire.ask("PUT", f"/{bucket}/k", headers=two, body=data).error == (400, "InvalidRequest")
    for payload in (SIGNED_CHUNKS_TRAILER, UNSIGNED_CHUNKS_TRAILER):
        assert wire.chunks(f"/{bucket}/k", data, payload, {header: wrong}).error == (400, "BadDigest"), payload
        assert wire.chunks(f"/{bucket}/k", data, payload, {header: "AAAA"}).error == (400, "InvalidRequest"), payload


@pytest.mark.parametrize("size", SIZES)
def test_a_wrong_md5_is_refused(wire, bucket, nothing, size):
    data = os.urandom(size)
    put = lambda md5: wire.ask("PUT", f"/{bucket}/k", headers={"Content-MD5": md5}, body=data)
    wrong = put(content_md5(b"other"))
    assert wrong.error == (400, "BadDigest")
    assert (wrong.tag("ExpectedDigest"), wrong.tag("CalculatedDigest")) == (content_md5(b"other"), content_md5(data))
    for bad in ("AAAA", "not base64!", "x"):
        assert put(bad).error == (400, "InvalidDigest"), bad
    assert put(content_md5(data)).status == 200
    assert wire.ask("DELETE", f"/{bucket}/k").status == 204


@pytest.mark.parametrize("size", SIZES)
def test_a_wrong_hash_of_the_payload_is_refused(wire, bucket, nothing, size):
    data = os.urandom(size)
    wrong = wire.ask("PUT", f"/{bucket}/k", body=data, payload="0" * 64)
    assert wrong.error == (400, "XAmzContentSHA256Mismatch")
    assert wire.ask("PUT", f"/{bucket}/k", body=data, payload="nonsense").error == (400, "InvalidArgument")
    assert wire.ask("PUT", f"/{bucket}/k", body=data, tamper={"x-amz-content-sha256": UNSIGNED}).error == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize("trailing", [False, True])
def test_a_tampered_chunk_is_refused(wire, bucket, nothing, trailing):
    data = os.urandom(300_000)
    trailers = {"x-amz-checksum-crc32": checksum("CRC32", data)} if trailing else {}
    put = lambda change=None, **more: wire.chunks(f"/{bucket}/k", data, SIGNED_CHUNKS_TRAILER if trailing else SIGNED_CHUNKS, trailers, change=change, **more)
    mismatch = (403, "SignatureDoesNotMatch")

    def flip(at):
        return lambda framed: framed[:at] + bytes([framed[at] ^ 1]) + framed[at + 1 :]

    assert put(flip(1000)).error == mismatch, "in the first chunk"
    assert put(flip(-2000)).error == mismatch, "in the last chunk"
    swapped = lambda framed: framed.replace(b"chunk-signature=", b"chunk-signature=0", 1).replace(b"0", b"", 0)
    assert put(lambda framed: swapped(framed)).error == mismatch, "another signature"
    bare = lambda framed: framed.replace(framed[framed.index(b";") : framed.index(b"\r\n")], b"", 1)
    assert put(bare).error == mismatch, "none"

    def without_second(framed):
        second = framed.index(b"10000;", 10)
        return framed[:second] + framed[framed.index(b"10000;", second + 10) :]

    assert put(without_second).error in (mismatch, (400, "IncompleteBody")), "a chunk left out"
    assert put(lambda framed: framed[:-200]).error == (400, "IncompleteBody"), "cut off"
    assert put(decoded=len(data) - 1).error == (400, "IncompleteBody")
    assert put(decoded=len(data) + 1).error == (400, "IncompleteBody")
    assert put(size=4096).error == (400, "InvalidChunkSizeError")
    if trailing:
        assert put(lambda framed: framed.replace(b"x-amz-trailer-signature:", b"x-amz-trailer-signature:0")).error == mismatch
        assert put(lambda framed: framed.replace(b"x-amz-checksum-crc32:", b"x-amz-checksum-sha1:")).error[0] in (400, 403)
    good = put()
    assert good.status == 200, good
    assert wire.ask("DELETE", f"/{bucket}/k").status == 204


def test_who_asks(store, wire, bucket, nothing):
    path = f"/{bucket}/k"
    now = datetime.datetime.now(datetime.timezone.utc)
    for hours in (-1, 1):
        skewed = wire.ask("GET", path, now=now + datetime.timedelta(hours=hours))
        assert skewed.error == (403, "RequestTimeTooSkewed")
    assert wire.ask("GET", path, now=now - datetime.timedelta(minutes=14)).error == (404, "NoSuchKey")
    assert store.wire((store.key[0], "wrong")).ask("GET", path).error == (403, "SignatureDoesNotMatch")
    assert store.wire((store.key[0], "wrong")).ask("PUT", path, body=b"x" * MIB).error == (403, "SignatureDoesNotMatch")
    assert store.wire(("AKIDNOBODY0000000000", "x")).ask("GET", path).error == (403, "InvalidAccessKeyId")
    mismatch = store.wire((store.key[0], "wrong")).ask("GET", path)
    assert mismatch.tag("AWSAccessKeyId") == store.key[0] and mismatch.tag("StringToSign") and mismatch.tag("CanonicalRequest")


def test_every_error_has_its_ids(wire, bucket):
    missing = wire.ask("GET", f"/{bucket}/none%20here")
    assert missing.headers["content-type"] == "application/xml"
    assert missing.tag("RequestId") == missing.headers["x-amz-request-id"] and missing.tag("HostId") == missing.headers["x-amz-id-2"]
    assert (missing.tag("Key"), missing.tag("Message")) == ("none here", "The specified key does not exist.")
    assert missing.body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code>')
    head = wire.ask("HEAD", f"/{bucket}/none")
    assert head.status == 404 and head.body == b""


def test_documents_that_are_none(wire, bucket, nothing):
    post = lambda query, body: wire.ask("POST", query[0], query[1], {"Content-MD5": content_md5(body)}, body).error
    delete = (f"/{bucket}", "delete")
    for body in (b"", b"<", b"<Delete>", b"{}", b"<Delete></Delete>", b"<Other><Object><Key>k</Key></Object></Other>",
                 b"<Delete><Object></Object></Delete>", b"\xff\xfe", b"<Delete><Object><Key>k</Key></Delete>"):  # fmt: skip
        assert post(delete, body)[0] == 400, body
        assert post(delete, body)[1] in ("MalformedXML", "MissingRequestBodyError"), body
    bomb = b'<!DOCTYPE d [<!ENTITY a "' + b"x" * 1000 + b'"><!ENTITY b "' + b"&a;" * 1000 + b'">]><Delete><Object><Key>&b;</Key></Object></Delete>'
    assert post(delete, bomb) == (400, "MalformedXML")
    assert post(delete, b"<Delete>" + b"<a>" * 100_000 + b"</a>" * 100_000 + b"</Delete>") == (400, "MalformedXML")
    assert wire.ask("PUT", "/bucket-bad-xml", body=b"<Create").error == (400, "MalformedXML")
    body = b"<Delete><Object><Key>k</Key></Object></Delete>"
    crc = {"x-amz-checksum-crc32": checksum("CRC32", body)}
    assert wire.ask("POST", f"/{bucket}", "delete", crc, body).status == 200


def test_a_deletion_needs_a_hash_of_its_body(wire, bucket):
    body = b"<Delete><Object><Key>k</Key></Object></Delete>"
    assert wire.ask("POST", f"/{bucket}", "delete", body=body).error == (400, "InvalidRequest")
    assert wire.ask("POST", f"/{bucket}", "delete", {"Content-MD5": content_md5(b"")}, body).error == (400, "BadDigest")


def test_names_of_nothing(wire, bucket):
    located = b"<CreateBucketConfiguration><LocationConstraint>nowhere</LocationConstraint></CreateBucketConfiguration>"
    errors = [wire.ask("PUT", "/bucket-nowhere", body=located).code, wire.ask("PUT", f"/{bucket}/k", headers={"x-amz-storage-class": "PAPER"}).code]
    assert errors == ["InvalidLocationConstraint", "InvalidStorageClass"]


def test_what_errors_of_signatures_tell(wire, bucket):
    wrong = wire.ask("PUT", f"/{bucket}/k", body=b"x", payload="0" * 64)
    skewed = wire.ask("GET", f"/{bucket}/k", now=datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1))
    assert wrong.tag("ClientComputedContentSHA256") == "0" * 64 and skewed.tag("MaxAllowedSkewMilliseconds") == "900000"


def test_arguments_that_are_none(wire, bucket, nothing):
    for query in ("list-type=2&max-keys=-1", "list-type=2&max-keys=x", "list-type=2&encoding-type=x", "max-keys=-5"):
        assert wire.ask("GET", f"/{bucket}", query).error == (400, "InvalidArgument"), query
    put = lambda headers: wire.ask("PUT", f"/{bucket}/k", headers=headers, body=b"x").error
    assert put({"x-amz-server-side-encryption": "ROT13"})[0] == 400
    assert put({"x-amz-sdk-checksum-algorithm": "MD4"})[0] == 400
    assert put({"x-amz-copy-source": "nothing"}) == (400, "InvalidArgument")
    assert wire.ask("PUT", f"/{bucket}/{'k' * 1025}", body=b"x").error == (400, "KeyTooLongError")
    assert wire.ask("PUT", f"/{bucket}/{'k' * 1025}", body=b"x" * 100_000).error == (400, "KeyTooLongError")
    assert wire.ask("PATCH", f"/{bucket}/k").error == (405, "MethodNotAllowed")
    assert wire.ask("PUT", f"/{bucket}/%00nul", body=b"x").status in (200, 400)
    wire.ask("DELETE", f"/{bucket}/%00nul")
    assert wire.ask("PUT", f"/{bucket}/%ff", body=b"x").error[0] in (400, 403, 404), "not UTF-8"


@pytest.mark.parametrize("size", [1000, 3 * MIB])
def test_a_body_that_breaks_off(store, wire, bucket, nothing, size):
    data = os.urandom(size)
    # The other side goes away in the middle, once politely and once not.
    for linger in (False, True):
        signed = wire.head("PUT", f"/{bucket}/k", headers={"Content-Length": str(2 * size)})
        connection = socket.create_connection(wire.address, timeout=60)
        lines = "".join(f"{name}: {value}\r\n" for name, value in signed.headers.items())
        connection.sendall(f"PUT /{bucket}/k HTTP/1.1\r\n{lines}\r\n".encode() + data)
        if linger:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()
    upload = store.s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    signed = wire.head("PUT", f"/{bucket}/k", f"partNumber=1&uploadId={upload}", headers={"Content-Length": str(2 * size)})
    with socket.create_connection(wire.address, timeout=60) as connection:
        lines = "".join(f"{name}: {value}\r\n" for name, value in signed.headers.items())
        connection.sendall(f"PUT /{bucket}/k?partNumber=1&uploadId={upload} HTTP/1.1\r\n{lines}\r\n".encode() + data)
    assert "Parts" not in store.s3.list_parts(Bucket=bucket, Key="k", UploadId=upload)
    store.s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload)


@pytest.mark.parametrize("size", [1000, 3 * MIB])
def test_a_body_whose_end_does_not_come(wire, bucket, nothing, size):
    data = os.urandom(size)
    signed = wire.head("PUT", f"/{bucket}/k", headers={"Content-Length": str(size + 1)})
    with socket.create_connection(wire.address, timeout=60) as connection:
        lines = "".join(f"{name}: {value}\r\n" for name, value in signed.headers.items())
        connection.sendall(f"PUT /{bucket}/k HTTP/1.1\r\n{lines}\r\n".encode() + data)
        connection.shutdown(socket.SHUT_WR)
        said = connection.recv(65536)
    assert not said or b"IncompleteBody" in said or b"RequestTimeout" in said, said


def test_too_much_and_no_length(wire, bucket, nothing):
    sent = {"Content-Length": str((5 << 30) + 1)}
    large = wire.ask("PUT", f"/{bucket}/k", headers=sent, payload=UNSIGNED, body=b"x" * 100)
    assert large.error == (400, "EntityTooLarge"), large
    assert large.tag("MaxSizeAllowed") == str(5 << 30)


def test_expect_continue(wire, bucket):
    """As AWS SDKs send it: the body only goes when the head was accepted."""
    data = os.urandom(MIB)
    for path, first in ((f"/{bucket}/k", b"HTTP/1.1 100 "), ("/nobodys-bucket/k", b"HTTP/1.1 404 ")):
        signed = wire.head("PUT", path, headers={"Content-Length": str(len(data)), "Expect": "100-continue"})
        with socket.create_connection(wire.address, timeout=30) as connection:
            lines = "".join(f"{name}: {value}\r\n" for name, value in signed.headers.items())
            connection.sendall(f"PUT {path} HTTP/1.1\r\n{lines}\r\n".encode())
            assert connection.recv(65536).startswith(first)
            if b"100" in first:
                connection.sendall(data)
                assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")

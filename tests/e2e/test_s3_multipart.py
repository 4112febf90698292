"""Uploads in parts: by the transfer manager as people use it, and step by step with everything that can be wrong."""

import base64
import hashlib
import io
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from boto3.s3.transfer import TransferConfig

from platform_under_test import eventually
from s3_wire import SUMS, checksum, refused

MIB = 1024 * 1024
PART = 5 * MIB
# Small enough to show every path of the transfer manager with little data.
SMALL_PARTS = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=4)


@pytest.fixture
def s3(store):
    return store.s3


@pytest.fixture
def bucket(store):
    return store.bucket()


class Upload:
    """An upload that a test makes step by step."""

    def __init__(self, s3, bucket, key="k", **more):
        self.s3 = s3
        self.named = {"Bucket": bucket, "Key": key}
        self.named["UploadId"] = s3.create_multipart_upload(**self.named, **more)["UploadId"]
        self.parts = []

    def part(self, number, data, **more):
        answer = self.s3.upload_part(PartNumber=number, Body=data, **self.named, **more)
        self.parts = sorted([*(part for part in self.parts if part["PartNumber"] != number), {"PartNumber": number, "ETag": answer["ETag"]}], key=lambda part: part["PartNumber"])
        return answer

    def complete(self, parts=None, **more):
        parts = self.parts if parts is None else parts
        return self.s3.complete_multipart_upload(MultipartUpload={"Parts": parts}, **self.named, **more)

    def abort(self):
        return self.s3.abort_multipart_upload(**self.named)


def tag_of(pieces):
    return f'"{hashlib.md5(b"".join(hashlib.md5(piece).digest() for piece in pieces)).hexdigest()}-{len(pieces)}"'


def test_the_transfer_manager(s3, bucket, tmp_path):
    data = os.urandom(3 * PART + 12345)
    source, target, seen = tmp_path / "source", tmp_path / "target", []
    source.write_bytes(data)
    more = {"ContentType": "video/mp4", "Metadata": {"who": "me"}, "Tagging": "a=b"}
    s3.upload_file(str(source), bucket, "file", ExtraArgs=more, Config=SMALL_PARTS, Callback=seen.append)
    assert sum(seen) == len(data)
    head = s3.head_object(Bucket=bucket, Key="file")
    pieces = [data[at : at + PART] for at in range(0, len(data), PART)]
    assert (head["ETag"], head["ContentLength"], head["ContentType"], head["Metadata"]) == (tag_of(pieces), len(data), "video/mp4", {"who": "me"})
    s3.download_file(bucket, "file", str(target), Config=SMALL_PARTS)
    assert target.read_bytes() == data
    s3.upload_fileobj(io.BytesIO(data), bucket, "stream", Config=SMALL_PARTS)
    out = io.BytesIO()
    s3.download_fileobj(bucket, "stream", out, Config=SMALL_PARTS)
    assert out.getvalue() == data
    s3.copy({"Bucket": bucket, "Key": "file"}, bucket, "copy", Config=SMALL_PARTS)
    copied = s3.get_object(Bucket=bucket, Key="copy")
    assert copied["Body"].read() == data and copied["ETag"] == tag_of(pieces)
    for n, piece in enumerate(pieces, 1):
        got = s3.get_object(Bucket=bucket, Key="file", PartNumber=n)
        assert got["Body"].read() == piece and got["PartsCount"] == len(pieces)
        start = (n - 1) * PART
        assert got["ContentRange"] == f"bytes {start}-{start + len(piece) - 1}/{len(data)}"
    assert refused(s3.get_object, Bucket=bucket, Key="file", PartNumber=9) == (416, "InvalidPartNumber")
    for first, last in ((PART - 10, PART + 10), (PART, 2 * PART - 1), (10, 3 * PART + 5), (3 * PART, 3 * PART + 12344)):
        got = s3.get_object(Bucket=bucket, Key="file", Range=f"bytes={first}-{last}")
        assert got["Body"].read() == data[first : last + 1]
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_what_can_be_wrong_with_parts(s3, bucket):
    upload = Upload(s3, bucket)
    assert refused(upload.complete, parts=[]) == (400, "MalformedXML")
    for number in (0, 10_001, -1):
        assert refused(upload.part, number=number, data=b"x") == (400, "InvalidArgument"), number
    first, last = os.urandom(PART), b"the last may be small"
    upload.part(1, first)
    upload.part(2, b"small in the middle")
    upload.part(3, last)
    assert refused(upload.complete) == (400, "EntityTooSmall")
    one, two, three = upload.parts
    assert refused(upload.complete, parts=[three, one]) == (400, "InvalidPartOrder")
    assert refused(upload.complete, parts=[one, one]) == (400, "InvalidPartOrder")
    assert refused(upload.complete, parts=[one, {**three, "PartNumber": 4}]) == (400, "InvalidPart")
    assert refused(upload.complete, parts=[one, {**three, "ETag": one["ETag"]}]) == (400, "InvalidPart")
    assert refused(upload.complete, parts=[one, three], MpuObjectSize=5) == (400, "InvalidRequest")
    assert refused(s3.head_object, Bucket=bucket, Key="k") == (404, "404")
    # A part that is sent again replaces the first; one that is left out of the list is not in the object.
    first = os.urandom(PART)
    upload.part(1, first)
    done = upload.complete([upload.parts[0], three], MpuObjectSize=PART + len(last))
    assert done["ETag"] == tag_of([first, last]) and done["Bucket"] == bucket and done["Key"] == "k"
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == first + last
    for call in (upload.abort, lambda: upload.part(1, b"x"), lambda: s3.list_parts(**upload.named)):
        assert refused(call) == (404, "NoSuchUpload")
    gone = Upload(s3, bucket)
    gone.part(1, b"x")
    gone.abort()
    assert refused(gone.complete) == (404, "NoSuchUpload")
    assert refused(s3.upload_part, Bucket=bucket, Key="k", UploadId="nonsense", PartNumber=1, Body=b"") == (404, "NoSuchUpload")
    other = Upload(s3, bucket, "other")
    assert refused(s3.upload_part, **{**other.named, "Key": "k"}, PartNumber=1, Body=b"x") == (404, "NoSuchUpload")


def test_whoever_lost_the_answer_may_complete_again(s3, bucket):
    upload = Upload(s3, bucket)
    upload.part(1, b"x")
    assert upload.complete()["ETag"] == upload.complete()["ETag"]


def test_documents_of_uploads_that_are_none(store, s3, bucket):
    upload = Upload(s3, bucket)
    upload.part(1, b"x")
    ask = lambda body: store.wire().ask("POST", f"/{bucket}/k", f"uploadId={upload.named['UploadId']}", body=body).error
    tag = upload.parts[0]["ETag"].strip('"')
    for body in (b"<", b"<CompleteMultipartUpload/>", b"<Other/>", b"{}",
                 b"<CompleteMultipartUpload><Part><PartNumber>x</PartNumber><ETag>a</ETag></Part></CompleteMultipartUpload>",
                 b"<CompleteMultipartUpload><Part><ETag>a</ETag></Part></CompleteMultipartUpload>"):  # fmt: skip
        assert ask(body) == (400, "MalformedXML"), body
    assert ask(b"") in ((400, "InvalidRequest"), (400, "MalformedXML"), (400, "MissingRequestBodyError"))
    assert refused(s3.head_object, Bucket=bucket, Key="k") == (404, "404")
    good = f'<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Part><ETag>{tag}</ETag><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>'
    assert ask(good.encode()) == (200, None), "a tag without quotes is one"


def test_a_condition_on_the_end_of_an_upload(s3, bucket):
    first, second = Upload(s3, bucket), Upload(s3, bucket)
    first.part(1, b"first")
    second.part(1, b"second")
    assert refused(first.complete, IfMatch='"none"') == (404, "NoSuchKey")
    tag = first.complete(IfNoneMatch="*")["ETag"]
    assert refused(second.complete, IfNoneMatch="*") == (412, "PreconditionFailed")
    assert refused(second.complete, IfMatch='"none"') == (412, "PreconditionFailed")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"first"
    second.complete(IfMatch=tag)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"second"


def test_listings_of_uploads_and_parts(s3, bucket):
    uploads = [Upload(s3, bucket, f"folder-{n % 3}/key-{n:02}") for n in range(12)]
    listed = [one for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, PaginationConfig={"PageSize": 5}) for one in page["Uploads"]]
    expected = sorted((one.named["Key"], one.named["UploadId"]) for one in uploads)
    assert [(one["Key"], one["UploadId"]) for one in listed] == expected
    assert [one["Prefix"] for one in s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")["CommonPrefixes"]] == [f"folder-{n}/" for n in range(3)]
    inside = s3.list_multipart_uploads(Bucket=bucket, Prefix="folder-1/")["Uploads"]
    assert len(inside) == 4 and inside[0]["StorageClass"] == "STANDARD" and len(inside[0]["Owner"]["ID"]) == 64
    upload = uploads[0]
    for number in (7, 1, 10_000, 300):
        upload.part(number, b"%d" % number)
    pages = list(s3.get_paginator("list_parts").paginate(**upload.named, PaginationConfig={"PageSize": 3}))
    parts = [part for page in pages for part in page["Parts"]]
    assert [(part["PartNumber"], part["Size"], part["ETag"]) for part in parts] == [
        (part["PartNumber"], len(str(part["PartNumber"])), part["ETag"]) for part in upload.parts
    ]
    assert len(pages) == 2 and pages[0]["NextPartNumberMarker"] == 300 and pages[0]["IsTruncated"]
    for one in uploads:
        assert one.abort()["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    s3.delete_bucket(Bucket=bucket)


def test_parts_that_are_copied(store, s3, bucket):
    source = store.bucket()
    data = os.urandom(PART + 1000)
    tag = s3.put_object(Bucket=source, Key="a b/ü", Body=data)["ETag"]
    upload = Upload(s3, bucket)
    copy = lambda number, **more: s3.upload_part_copy(**{**upload.named, "PartNumber": number, "CopySource": {"Bucket": source, "Key": "a b/ü"}, **more})
    first = copy(1)["CopyPartResult"]
    second = copy(2, CopySourceRange="bytes=10-19", CopySourceIfMatch=tag)["CopyPartResult"]
    assert (first["ETag"], second["ETag"]) == (tag, f'"{hashlib.md5(data[10:20]).hexdigest()}"')
    assert refused(copy, number=3, CopySourceRange="bytes=10-99999999") == (400, "InvalidArgument")
    assert refused(copy, number=3, CopySourceRange="bytes=10-") == (400, "InvalidArgument")
    assert refused(copy, number=3, CopySourceIfNoneMatch=tag) == (412, "PreconditionFailed")
    assert refused(copy, number=3, CopySource=f"{source}/none") == (404, "NoSuchKey")
    upload.complete([{"PartNumber": 1, "ETag": first["ETag"]}, {"PartNumber": 2, "ETag": second["ETag"]}])
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == data + data[10:20]


@pytest.mark.parametrize("algorithm", SUMS)
def test_checksums_of_parts(store, s3, bucket, algorithm):
    member, header = f"Checksum{algorithm}", f"x-amz-checksum-{algorithm.lower()}"
    pieces = [os.urandom(PART), b"the end"]
    sums = [SUMS[algorithm](piece) for piece in pieces]
    composite = base64.b64encode(SUMS[algorithm](b"".join(sums))).decode() + "-2"
    kinds = {"CRC64NVME": ["FULL_OBJECT"], "CRC32": ["COMPOSITE", "FULL_OBJECT"], "CRC32C": ["COMPOSITE", "FULL_OBJECT"]}.get(algorithm, ["COMPOSITE"])
    whole = checksum(algorithm, b"".join(pieces))
    wire = store.wire()
    for kind in kinds:
        upload = Upload(s3, bucket, kind, ChecksumAlgorithm=algorithm, ChecksumType=kind)
        query = lambda number: f"partNumber={number}&uploadId={upload.named['UploadId']}"
        for number, (piece, sum_) in enumerate(zip(pieces, sums), 1):
            value = base64.b64encode(sum_).decode()
            wrong = wire.ask("PUT", f"/{bucket}/{kind}", query(number), {header: checksum(algorithm, b"other")}, piece)
            assert wrong.error == (400, "BadDigest")
            put = wire.ask("PUT", f"/{bucket}/{kind}", query(number), {header: value}, piece)
            assert put.status == 200 and put.headers[header] == value, put
            upload.parts.append({"PartNumber": number, "ETag": put.headers["etag"], member: value})
        expected = composite if kind == "COMPOSITE" else whole
        wrong = [{**upload.parts[0], member: upload.parts[1][member]}, upload.parts[1]]
        assert refused(upload.complete, parts=wrong) == (400, "InvalidPart")
        if kind == "FULL_OBJECT":
            assert refused(upload.complete, **{member: checksum(algorithm, b"other"), "ChecksumType": kind}) == (400, "BadDigest")
        done = upload.complete(**{member: expected, "ChecksumType": kind} if kind == "FULL_OBJECT" else {})
        assert (done[member], done["ChecksumType"]) == (expected, kind)
        head = s3.head_object(Bucket=bucket, Key=kind, ChecksumMode="ENABLED")
        assert (head[member], head["ChecksumType"]) == (expected, kind)
    if "FULL_OBJECT" not in kinds:
        assert refused(s3.create_multipart_upload, Bucket=bucket, Key="no", ChecksumAlgorithm=algorithm, ChecksumType="FULL_OBJECT") == (400, "InvalidRequest")


def test_uploads_give_their_space_back(store, s3, bucket):
    """Parts of an upload that is aborted, and those that are replaced or left out, lie on the disk no longer."""
    blobs = lambda: {path for path in (store.platform.data / "blobs").rglob("*") if path.is_file()}
    before = blobs()
    upload = Upload(s3, bucket)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: s3.upload_part(PartNumber=number, Body=os.urandom(PART), **upload.named), [1, 2, 3, 1, 2, 3]))
    assert len(eventually(lambda: blobs() - before, lambda new: len(new) == 3)) == 3, "replaced"
    upload.abort()
    assert eventually(lambda: blobs() - before, lambda new: not new) == set(), "aborted"
    upload = Upload(s3, bucket)
    kept, left = os.urandom(PART), os.urandom(PART)
    upload.part(1, kept)
    upload.part(2, left)
    upload.complete(upload.parts[:1])
    assert len(eventually(lambda: blobs() - before, lambda new: len(new) == 1)) == 1, "left out"
    # The same bytes again cost nothing.
    s3.put_object(Bucket=bucket, Key="same", Body=kept)
    assert len(blobs() - before) == 1
    s3.delete_object(Bucket=bucket, Key="k")
    assert s3.get_object(Bucket=bucket, Key="same")["Body"].read() == kept
    s3.delete_object(Bucket=bucket, Key="same")
    assert eventually(lambda: blobs() - before, lambda new: not new) == set(), "deleted"

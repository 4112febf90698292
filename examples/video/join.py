"""A frame is done: when it was the last, the film is put together again."""

import io
import pathlib
import urllib.parse

import boto3
from botocore.exceptions import ClientError
from PIL import Image

s3 = boto3.client("s3")


def handler(event, context):
    for record in event["Records"]:
        bucket = record["s3"]["bucket"]["name"]
        key = urllib.parse.unquote_plus(record["s3"]["object"]["key"])
        film = pathlib.PurePosixPath(key).parts[-2]
        about = s3.head_object(Bucket=bucket, Key=key)["Metadata"]
        wanted = int(about["frames"])
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"done/{film}/")
        there = [one["Key"] for page in pages for one in page.get("Contents", [])]
        print(f"{film}: {len(there)} of {wanted} frames")
        if len(there) == wanted:
            write(bucket, film, there, int(about["pace"]))


def write(bucket, film, keys, pace):
    frames = [Image.open(io.BytesIO(s3.get_object(Bucket=bucket, Key=key)["Body"].read())) for key in keys]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=pace, loop=0)
    try:
        # Two of these may see the last frame at the same time: only the first writes the film.
        s3.put_object(Bucket=bucket, Key=f"ready/{film}.gif", Body=out.getvalue(), IfNoneMatch="*")
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("PreconditionFailed", "ConditionalRequestConflict"):
            raise
        return
    print(f"{film}: ready")

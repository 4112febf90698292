"""A picture comes into a bucket; its thumbnail is written, into another bucket or beside it."""

import io
import os
import urllib.parse

import boto3
from PIL import Image

s3 = boto3.client("s3")


def lambda_handler(event, context):
    bucket = event["Records"][0]["s3"]["bucket"]["name"]
    key = urllib.parse.unquote_plus(event["Records"][0]["s3"]["object"]["key"], encoding="utf-8")

    picture = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    with Image.open(io.BytesIO(picture)) as image:
        kind = image.format
        image.thumbnail((300, 300))
        thumbnail = io.BytesIO()
        image.save(thumbnail, kind)

    target = os.environ.get("TARGET_BUCKET", bucket)
    s3.put_object(Bucket=target, Key=f"resized-{key}", Body=thumbnail.getvalue())
    print(f"resized {bucket}/{key} into {target}/resized-{key}")
    return {"bucket": target, "key": f"resized-{key}"}

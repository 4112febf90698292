"""One frame: made grey, and marked with its number. As many of these run at once as there are frames."""

import io
import pathlib
import urllib.parse

import boto3
from PIL import Image, ImageDraw

s3 = boto3.client("s3")


def handler(event, context):
    for record in event["Records"]:
        bucket = record["s3"]["bucket"]["name"]
        key = urllib.parse.unquote_plus(record["s3"]["object"]["key"])
        film, name = pathlib.PurePosixPath(key).parts[-2:]
        got = s3.get_object(Bucket=bucket, Key=key)
        with Image.open(io.BytesIO(got["Body"].read())) as frame:
            grey = frame.convert("L")
        ImageDraw.Draw(grey).text((4, 4), name.removesuffix(".png"), fill=255)
        out = io.BytesIO()
        grey.save(out, "PNG")
        s3.put_object(Bucket=bucket, Key=f"done/{film}/{name}", Body=out.getvalue(), Metadata=got["Metadata"])
        print(f"{film}: frame {name} is done")

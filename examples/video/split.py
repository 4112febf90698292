"""A film comes: its frames are written one by one, and each is the next function's work."""

import io
import pathlib
import urllib.parse

import boto3
from PIL import Image, ImageSequence

s3 = boto3.client("s3")


def handler(event, context):
    for record in event["Records"]:
        bucket = record["s3"]["bucket"]["name"]
        key = urllib.parse.unquote_plus(record["s3"]["object"]["key"])
        film = pathlib.PurePosixPath(key).stem
        with Image.open(io.BytesIO(s3.get_object(Bucket=bucket, Key=key)["Body"].read())) as moving:
            frames = [frame.convert("RGB") for frame in ImageSequence.Iterator(moving)]
            pace = int(moving.info.get("duration", 100))
        print(f"{film}: {len(frames)} frames")
        for number, frame in enumerate(frames):
            out = io.BytesIO()
            frame.save(out, "PNG")
            # What the later functions must know travels with each frame: there is no other state.
            about = {"frames": str(len(frames)), "pace": str(pace)}
            s3.put_object(Bucket=bucket, Key=f"frames/{film}/{number:04}.png", Body=out.getvalue(), Metadata=about)

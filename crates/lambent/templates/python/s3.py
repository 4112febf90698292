"""Runs when an object is created in an S3 bucket."""

from urllib.parse import unquote_plus


def handler(event, context):
    seen = []
    for record in event["Records"]:
        bucket = record["s3"]["bucket"]["name"]
        # Keys arrive encoded as in a form: a space is a plus sign.
        key = unquote_plus(record["s3"]["object"]["key"])
        size = record["s3"]["object"].get("size", 0)
        print(f"{record['eventName']}: s3://{bucket}/{key}, {size} bytes")
        seen.append(key)
    return {"seen": seen}

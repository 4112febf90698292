"""Reads a Kinesis stream in batches. At the first record that fails the batch ends there and comes again from it: the
event source mapping must have `ReportBatchItemFailures` among its function response types."""

import base64
import json


def handler(event, context):
    for record in event["Records"]:
        number = record["kinesis"]["sequenceNumber"]
        try:
            work(json.loads(base64.b64decode(record["kinesis"]["data"])))
        except Exception as error:
            print(f"record {number} failed: {error}")
            return {"batchItemFailures": [{"itemIdentifier": number}]}
    return {"batchItemFailures": []}


def work(reading):
    """Records keep their order within a partition key, and may come more than once."""
    print(f"{reading['sensor']}: {reading['value']}")

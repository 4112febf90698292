"""Takes messages from an SQS queue in batches. Only what failed comes again: the event source mapping must have
`ReportBatchItemFailures` among its function response types."""

import json


def handler(event, context):
    failures = []
    for record in event["Records"]:
        try:
            work(json.loads(record["body"]))
        except Exception as error:
            print(f"message {record['messageId']} failed: {error}")
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}


def work(order):
    """A message may come more than once: doing it again must do no harm."""
    print(f"order {order['order']} over {order['amount']}")

"""An event was kept: what follows from it is done here, after the provider has its answer. The bucket calls at least once, so
the work is such that doing it twice changes nothing."""

import json
import urllib.parse

import boto3

s3 = boto3.client("s3")


def handler(event, context):
    for record in event["Records"]:
        bucket = record["s3"]["bucket"]["name"]
        key = urllib.parse.unquote_plus(record["s3"]["object"]["key"])
        payment = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        if payment.get("type") != "payment_intent.succeeded":
            print(f"{payment['id']}: nothing to do for {payment.get('type')}")
            continue
        paid = payment["data"]["object"]
        order = urllib.parse.quote(paid["metadata"]["order"], safe="")
        done = {"order": order, "amount": paid["amount"], "currency": paid["currency"], "by": payment["id"]}
        s3.put_object(Bucket=bucket, Key=f"paid/{order}.json", Body=json.dumps(done).encode(), ContentType="application/json")
        print(f"{payment['id']}: order {order} is paid")

"""A payment provider calls: who really sent it is checked, the event is kept once, and the provider gets its answer at once.

The header `Stripe-Signature` holds `t=SECONDS,v1=HEX`: the HMAC-SHA256 of `SECONDS.BODY` under a secret that only the provider and
this function know. The secret is in the environment as WEBHOOK_SECRET, the bucket as BUCKET."""

import base64
import hashlib
import hmac
import json
import os
import re
import time

import boto3
from botocore.exceptions import ClientError

s3 = boto3.client("s3")
# How old a signature may be: who records a request cannot send it again tomorrow.
TOLERANCE_S = 300


def handler(event, context):
    secret = os.environ.get("WEBHOOK_SECRET", "").strip()
    if not secret:
        # Signed with nothing is signed by anybody.
        raise RuntimeError("WEBHOOK_SECRET is not set")
    body = event.get("body") or ""
    # What was signed are the bytes as they were sent.
    body = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
    wrong = what_is_wrong(secret, body, event["headers"].get("stripe-signature", ""), time.time())
    if wrong:
        print(f"turned away: {wrong}")
        return answer(400, error=wrong)
    try:
        payment = json.loads(body)
        number = payment["id"]
    except (ValueError, TypeError, KeyError):
        return answer(400, error="the body is no event with an id")
    if not isinstance(number, str) or not re.fullmatch(r"[A-Za-z0-9_]{1,128}", number):
        return answer(400, error="the event's id is none")
    try:
        # Providers send an event again when an answer is lost. The condition is checked by the store, so that two at the same
        # time cannot both be first.
        s3.put_object(Bucket=os.environ["BUCKET"], Key=f"events/{number}.json", Body=body, IfNoneMatch="*")
    except ClientError as error:
        if error.response["Error"]["Code"] != "PreconditionFailed":
            # Anything but a success makes the provider try again, as it must here.
            raise
        print(f"{number}: came again")
        return answer(200, received=number, again=True)
    print(f"{number}: {payment.get('type')}")
    return answer(200, received=number, again=False)


def what_is_wrong(secret, body, header, now):
    """None when the signature holds, else why it does not."""
    parts = [part.split("=", 1) for part in header.split(",") if "=" in part]
    times = [value for name, value in parts if name.strip() == "t"]
    # While a secret is being changed the provider signs with both.
    given = [value for name, value in parts if name.strip() == "v1"]
    if len(times) != 1 or not re.fullmatch(r"[0-9]{1,12}", times[0]) or not given:
        return "there is no signature"
    wanted = hmac.new(secret.encode(), times[0].encode() + b"." + body, hashlib.sha256).hexdigest()
    # Compared in the same time wherever they differ: else the signature could be guessed byte by byte.
    if not any([hmac.compare_digest(wanted.encode(), one.encode()) for one in given]):
        return "the signature is wrong"
    if abs(now - int(times[0])) > TOLERANCE_S:
        return "the signature is too old"
    return None


def answer(status, **body):
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}

"""Takes webhooks that are signed with HMAC-SHA256 in `x-hub-signature-256`, as GitHub's are.

The secret is in the environment as WEBHOOK_SECRET."""

import base64
import hashlib
import hmac
import json
import os


def handler(event, context):
    secret = os.environ.get("WEBHOOK_SECRET")
    if not secret:
        print("WEBHOOK_SECRET is not set, so that nothing can be trusted")
        return {"statusCode": 500, "body": "not configured"}
    raw = (event.get("body") or "").encode()
    # What was signed are the bytes as they were sent.
    body = base64.b64decode(raw) if event.get("isBase64Encoded") else raw
    given = event["headers"].get("x-hub-signature-256", "")
    if not is_signed(secret, body, given):
        return {"statusCode": 401, "body": "the signature is wrong"}
    try:
        payload = json.loads(body)
    except ValueError:
        return {"statusCode": 400, "body": "the body must be JSON"}
    print(f"{event['headers'].get('x-github-event', 'event')}: {payload.get('action')}")
    return {"statusCode": 204}


def is_signed(secret, body, given):
    wanted = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    # Takes the same time wherever they differ: else the signature could be guessed byte by byte.
    return hmac.compare_digest(wanted.encode(), given.encode())

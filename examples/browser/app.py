"""Counts the letters of a text. A page calls it in two ways: by its URL, and by Lambda's own Invoke."""

import base64
import collections
import json


def handler(event, context):
    if "requestContext" not in event:
        # Invoke hands over what the caller sent.
        return letters(event["text"])
    body = event.get("body") or ""
    text = base64.b64decode(body).decode(errors="replace") if event.get("isBase64Encoded") else body
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(letters(text))}


def letters(text):
    counted = collections.Counter(letter for letter in text.lower() if letter.isalpha())
    return {"letters": counted.total(), "most": counted.most_common(8)}

"""Keeps items in a DynamoDB table, behind HTTP: GET, PUT and DELETE of /items/ID.

The table's name is in the environment as TABLE; its key is the string `id`."""

import base64
import json
import os
from functools import cache
from urllib.parse import unquote


@cache
def table():
    # Made at the first use: a request that is refused needs no table.
    import boto3

    # Inside Lambent AWS_ENDPOINT_URL is set, and boto3 goes there by itself.
    return boto3.resource("dynamodb").Table(os.environ["TABLE"])


def handler(event, context):
    method, path = event["requestContext"]["http"]["method"], event["rawPath"]
    if not path.startswith("/items/"):
        return answer(404, {"error": "items are at /items/ID"})
    key = unquote(path.removeprefix("/items/"))
    if not 0 < len(key) <= 100 or "/" in key:
        return answer(400, {"error": "an id has 1 to 100 characters and no slash"})
    if method == "GET":
        item = table().get_item(Key={"id": key}).get("Item")
        return answer(200, item) if item else answer(404, {"error": f"there is no item {key}"})
    if method == "PUT":
        title, wrong = title_of(event)
        if wrong:
            return answer(400, {"error": wrong})
        item = {"id": key, "title": title}
        table().put_item(Item=item)
        return answer(200, item)
    if method == "DELETE":
        table().delete_item(Key={"id": key})
        return answer(204, None)
    return answer(405, {"error": f"{method} is not for items"})


def title_of(event):
    """The title that was sent, or what is wrong with it."""
    raw = event.get("body") or ""
    try:
        value = json.loads(base64.b64decode(raw) if event.get("isBase64Encoded") else raw)
    except ValueError:
        return None, "the body must be JSON"
    title = value.get("title") if isinstance(value, dict) else None
    if not isinstance(title, str) or not 0 < len(title) <= 200:
        return None, "title must be a text of 1 to 200 characters"
    return title, None


def answer(status, value):
    body = "" if value is None else json.dumps(value)
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": body}

"""Answers HTTP requests: a function URL or API Gateway sends them (payload format 2.0)."""

import base64
import json


def handler(event, context):
    request = event["requestContext"]["http"]
    route = (request["method"], event["rawPath"])
    if route == ("GET", "/"):
        name = (event.get("queryStringParameters") or {}).get("name", "world")
        return answer(200, {"hello": name})
    if route == ("POST", "/echo"):
        try:
            return answer(200, {"you sent": json.loads(body(event))})
        except ValueError:
            return answer(400, {"error": "the body must be JSON"})
    return answer(404, {"error": f"there is no {request['method']} {event['rawPath']}"})


def body(event):
    """The request's body as text; what is not text arrives in base64."""
    raw = event.get("body") or ""
    return base64.b64decode(raw).decode() if event.get("isBase64Encoded") else raw


def answer(status, value):
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(value)}

"""A function that a zygote rehearses with (thrift.py). It does what small functions do, and has no effect."""

import json


def handler(event, context):
    answer = {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "isBase64Encoded": False}
    answer["body"] = json.dumps({"hello": event.get("name", "x"), "left": context.get_remaining_time_in_millis()})
    return answer

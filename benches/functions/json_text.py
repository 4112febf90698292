"""A document written and read, as FunctionBench's json_dumps_loads."""

import json


def handler(event, context):
    n = event.get("n", 1_000)
    document = [{"id": i, "name": f"item {i}", "tags": ["a", "b", str(i)], "price": i / 7, "deep": {"of": [i, None, True]}} for i in range(n)]
    text = json.dumps(document)
    return {"n": n, "bytes": len(text), "same": json.loads(text) == document}

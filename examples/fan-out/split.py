"""One call counts the primes below `below`: it splits the numbers into parts, has each counted by an invocation of its own,
all at the same time, and adds up what they answer."""

import json
import os
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config

WORKER = os.environ.get("WORKER", "fan-out-count")
AT_MOST = 100
# One connection for each call that waits.
client = boto3.client("lambda", config=Config(max_pool_connections=AT_MOST, read_timeout=60, retries={"total_max_attempts": 5}))


def handler(event, context):
    below, parts = int(event.get("below", 1_000_000)), int(event.get("parts", 50))
    if not 1 <= parts <= AT_MOST or not 0 <= below <= 1_000_000_000:
        raise ValueError(f"parts may be 1 to {AT_MOST}, below at most a billion")
    bounds = [below * part // parts for part in range(parts + 1)]
    with ThreadPoolExecutor(parts) as calls:
        counted = list(calls.map(count, bounds, bounds[1:]))
    return {
        "primes": sum(one["primes"] for one in counted),
        "parts": parts,
        "environments": len({one["environment"] for one in counted}),
    }


def count(first, end):
    answer = client.invoke(FunctionName=WORKER, Payload=json.dumps({"first": first, "end": end}))
    said = answer["Payload"].read()
    if "FunctionError" in answer:
        # A sum that lacks a part is worse than none.
        raise RuntimeError(f"{WORKER} failed from {first} to {end}: {said.decode()}")
    return json.loads(said)

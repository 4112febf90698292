"""Sines, cosines and square roots, as FunctionBench's float_operation."""

import math


def handler(event, context):
    n = event.get("n", 20_000)
    total = 0.0
    for i in range(n):
        total += math.sqrt(abs(math.sin(i) * math.cos(i)))
    return {"n": n, "total": round(total, 6)}

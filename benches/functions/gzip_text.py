"""A file packed and unpacked, as FunctionBench's gzip_compression."""

import gzip
import random


def handler(event, context):
    size = event.get("bytes", 100_000)
    words = [word.encode() for word in "the quick brown fox jumps over a lazy dog while it rains in spain".split()]
    dice = random.Random(1)
    text = b" ".join(dice.choices(words, k=size // 5))[:size]
    with open("/tmp/text", "wb") as file:
        file.write(text)
    with open("/tmp/text", "rb") as plain, gzip.open("/tmp/text.gz", "wb") as packed:
        packed.write(plain.read())
    with gzip.open("/tmp/text.gz", "rb") as packed:
        same = packed.read() == text
    return {"bytes": len(text), "same": same}

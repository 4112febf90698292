"""One part of the work: how many primes there are from `first` up to, but without, `end`."""


def handler(event, context):
    first, end = max(event["first"], 2), event["end"]
    prime = bytearray(b"\x01") * max(end - first, 0)
    for divisor in range(2, int(end**0.5) + 1):
        start = max(divisor * divisor, -(-first // divisor) * divisor) - first
        prime[start::divisor] = bytes(len(range(start, len(prime), divisor)))
    return {"primes": sum(prime), "environment": context.log_stream_name}

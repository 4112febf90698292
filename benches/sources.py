"""Queues that call functions: how long a message takes to its handler, how many go through, and what idle mappings cost.

The handler writes the monotonic clock, which is the host's, into its log: what is measured is from SendMessage's answer to the handler's first line.
"""

import json
import time

CODE = """
import time
def handler(event, context):
    now = time.monotonic_ns()
    for record in event["Records"]:
        print("handled", now, record["body"])
"""
IDLE = 1_000


def headers(service, target):
    return (
        f"Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host;x-amz-date, Signature=aa\r\n"
        f"X-Amz-Date: 20260101T000000Z\r\nX-Amz-Target: {target}\r\nContent-Type: application/x-amz-json-1.{0 if service == 'sqs' else 1}\r\n"
    )


def measure(platform, python, cpu_us, row, quick):
    connection = platform.connect()

    def ask(service, target, **body):
        _, status, answer = connection.call("POST", "/", json.dumps(body).encode(), headers(service, target))
        if b"log group does not exist" in answer:
            # Nothing has run yet.
            return {"events": []}
        assert status == 200, (status, answer)
        return json.loads(answer or b"{}")

    def sqs(operation, **body):
        return ask("sqs", f"AmazonSQS.{operation}", **body)

    def queue(name):
        url = sqs("CreateQueue", QueueName=name)["QueueUrl"]
        return url, f"arn:aws:sqs:us-east-1:000000000000:{name}"

    def seen(name):
        """When each message came to its handler, ns."""
        out, token = {}, {}
        while True:
            page = ask("logs", "Logs_20140328.FilterLogEvents", logGroupName=f"/aws/lambda/{name}", filterPattern="handled", **token)
            for event in page["events"]:
                words = event["message"].split()
                if words[0] == "handled":
                    out.setdefault(words[2], int(words[1]))
            if not page.get("nextToken"):
                return out
            token = {"nextToken": page["nextToken"]}

    def wait(name, bodies):
        deadline = time.monotonic() + 60
        while not (found := seen(name)).keys() >= bodies:
            assert time.monotonic() < deadline, f"{len(bodies - found.keys())} messages did not come"
            time.sleep(0.2)
        return found

    def mapped(name, **more):
        platform.create(name, python, {"app.py": CODE})
        url, arn = queue(name)
        platform.json("POST", "/2015-03-31/event-source-mappings", {"FunctionName": name, "EventSourceArn": arn, **more})
        return url

    for name, gap, count in [("spaced by 20 ms", 0.02, 50 if quick else 500), ("back to back", 0, 50 if quick else 1000)]:
        function = "sources-" + name.split()[0]
        url = mapped(function)
        sqs("SendMessage", QueueUrl=url, MessageBody="warm")
        wait(function, {"warm"})
        time.sleep(0.5)
        before, answered = cpu_us([platform.process.pid]), {}
        for n in range(count):
            sqs("SendMessage", QueueUrl=url, MessageBody=str(n))
            answered[str(n)] = time.monotonic_ns()
            time.sleep(gap)
        took = cpu_us([platform.process.pid]) - before
        found = wait(function, answered.keys())
        row(f"queue to handler, {name}", [max(0, found[n] - at) / 1e6 for n, at in answered.items()], note=f"server CPU {took / count:.0f} us each")

    url, count = mapped("sources-many", Enabled=False), 200 if quick else 10_000
    for at in range(0, count, 10):
        sqs("SendMessageBatch", QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": str(at + n)} for n in range(10)])
    uuid = json.loads(platform.connection.call("GET", "/2015-03-31/event-source-mappings?FunctionName=sources-many")[2])["EventSourceMappings"][0]["UUID"]
    began = time.monotonic_ns()
    platform.json("PUT", f"/2015-03-31/event-source-mappings/{uuid}", {"Enabled": True})
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    while any(int(n) for n in sqs("GetQueueAttributes", QueueUrl=url, AttributeNames=names)["Attributes"].values()):
        time.sleep(0.02)
    row(f"{count} messages through a mapping, batches of 10", [(time.monotonic_ns() - began) / 1e6], note="until the queue is empty")

    for n in range(20 if quick else IDLE):
        _, arn = queue(f"idle-{n}")
        platform.json("POST", "/2015-03-31/event-source-mappings", {"FunctionName": "sources-many", "EventSourceArn": arn})
    time.sleep(3)
    before = cpu_us([platform.process.pid])
    time.sleep(10)
    print(f"idle CPU over 10 s, {IDLE} mappings: {(cpu_us([platform.process.pid]) - before) / 1e7 * 100:.3f} %")
    connection.socket.close()

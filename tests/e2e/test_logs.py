"""CloudWatch Logs through real clients: searching, tailing, subscribing."""

import json
import os
import signal
import subprocess
import time
import urllib.request

import pytest

from platform_under_test import BINARY, ROLE, TELL, create, eventually, invoke, told

LISTENER = """
import base64, gzip, json
def handler(event, context):
    data = json.loads(gzip.decompress(base64.b64decode(event["awslogs"]["data"])))
    for one in data["logEvents"]:
        print("heard", data["logGroup"], data["subscriptionFilters"][0], one["message"].strip())
"""
TALKER = """
def handler(event, context):
    print(event["say"])
"""


def texts(platform, group, pattern=""):
    logs = platform.client("logs")
    try:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, filterPattern=pattern)
        return [event["message"].strip() for page in pages for event in page["events"]]
    except logs.exceptions.ResourceNotFoundException:
        return []


def subscribe(platform, group, function, name="f", pattern=""):
    arn = platform.client("lambda").get_function_configuration(FunctionName=function)["FunctionArn"]
    platform.client("logs").put_subscription_filter(
        logGroupName=group, filterName=name, filterPattern=pattern, destinationArn=arn
    )


def allow(platform, function, group, principal="logs.amazonaws.com"):
    platform.client("lambda").add_permission(
        FunctionName=function,
        StatementId="logs",
        Action="lambda:InvokeFunction",
        Principal=principal,
        SourceArn=f"arn:aws:logs:us-east-1:000000000000:log-group:{group}:*",
        SourceAccount="000000000000",
    )


def test_filters_read_as_aws_writes_them(platform):
    logs = platform.client("logs")
    logs.create_log_group(logGroupName="patterns")
    logs.create_log_stream(logGroupName="patterns", logStreamName="s")
    now = int(time.time() * 1000)
    lines = ["[ERROR] 404 gone", '{"level": "ERROR", "n": 7, "tags": ["a", "b"]}', '10.0.0.1 - ada [27/Nov] "GET /x.html" 200 17']
    events = [{"timestamp": now + at, "message": line} for at, line in enumerate(lines)]
    logs.put_log_events(logGroupName="patterns", logStreamName="s", logEvents=events)
    for pattern, expected in [
        ("ERROR", [0, 1]),
        ("ERROR -gone", [1]),
        ("?gone ?ada", [0, 2]),
        ("%4[0-9]{2}%", [0]),
        ('{ $.level = "ERR*" && $.n >= 7 }', [1]),
        ('{ $.tags[1] = b && $.other NOT EXISTS }', [1]),
        ("{ $.tags != 1 }", []),
        ("[ip, dash, user, time, request = *.html*, status = 2*, bytes > 16]", [2]),
        ("[..., status = 200, bytes]", [2]),
    ]:
        assert texts(platform, "patterns", pattern) == [lines[at] for at in expected], pattern
    said = platform.cli("logs", "filter-log-events", "--log-group-name", "patterns", "--filter-pattern", "{ $.n = 7 }")
    assert [json.loads(event["message"])["n"] for event in json.loads(said.stdout)["events"]] == [7]
    for pattern, words in [
        ("a:b", "Invalid character(s) in term ':'"),
        ("{ $.a = 1", "If a filter pattern starts with '{' it must end with '}'"),
        ("[a = ]", "Invalid filter pattern"),
    ]:
        with pytest.raises(logs.exceptions.InvalidParameterException) as caught:
            logs.filter_log_events(logGroupName="patterns", filterPattern=pattern)
        assert caught.value.response["Error"]["Message"] == words


def test_a_subscription_survives_kill(own_platform):
    platform = own_platform("--iam", "enforce")
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    platform.client("iam").create_role(RoleName=ROLE.split("/")[-1], AssumeRolePolicyDocument=trust)
    functions = platform.client("lambda")
    allowed = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::told/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    platform.client("iam").put_role_policy(RoleName=ROLE.split("/")[-1], PolicyName="tell", PolicyDocument=policy)
    platform.client("s3").create_bucket(Bucket="told")
    create(functions, "talker", {"app.py": TALKER})
    tells = LISTENER.replace("import base64", "from tell import tell\nimport base64").replace("print(", "tell(' '.join([").replace(".strip())", ".strip()]))")
    create(functions, "listener", {"app.py": tells, "tell.py": TELL})
    invoke(functions, "talker", {"say": "before"})
    group = "/aws/lambda/talker"
    assert eventually(lambda: texts(platform, group), bool)
    logs = platform.client("logs")
    with pytest.raises(logs.exceptions.InvalidParameterException) as caught:
        subscribe(platform, group, "listener", pattern="news")
    assert "Make sure you have given CloudWatch Logs permission" in str(caught.value)
    allow(platform, "listener", group, principal="logs.us-east-1.amazonaws.com")
    subscribe(platform, group, "listener", pattern="news")
    shown = logs.describe_subscription_filters(logGroupName=group)["subscriptionFilters"]
    assert [(one["filterName"], one["filterPattern"], one["distribution"]) for one in shown] == [("f", "news", "ByLogStream")]
    for at in range(5):
        invoke(functions, "talker", {"say": f"news {at}"})
    # Whether the listener ran yet or not: what a search has shown is stored, and with it what waits to be delivered.
    assert eventually(lambda: texts(platform, group, "news"), lambda seen: len(seen) == 5)
    platform.kill()
    platform.start()
    wanted = {f"heard {group} f news {at}" for at in range(5)}
    assert eventually(lambda: told(platform), lambda seen: wanted <= seen, 60) == wanted
    logs = platform.client("logs")
    logs.delete_subscription_filter(logGroupName=group, filterName="f")
    assert logs.describe_subscription_filters(logGroupName=group)["subscriptionFilters"] == []


def advance(platform, ms):
    body = json.dumps({"advanceMs": ms}).encode()
    request = urllib.request.Request(f"{platform.endpoint}/_lambent/test/clock", data=body, method="POST")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200


def test_a_function_that_hears_itself_ends(own_platform):
    platform = own_platform("--test-controls")
    functions = platform.client("lambda")
    create(functions, "echo", {"app.py": LISTENER.replace('"heard"', '"heard again"')})
    group = "/aws/lambda/echo"
    platform.client("logs").create_log_group(logGroupName=group)
    allow(platform, "echo", group)
    subscribe(platform, group, "echo", pattern="heard")
    logs = platform.client("logs")
    logs.create_log_stream(logGroupName=group, logStreamName="first")
    logs.put_log_events(
        logGroupName=group, logStreamName="first", logEvents=[{"timestamp": int(time.time() * 1000), "message": "heard once"}]
    )

    def runs():
        return len(texts(platform, group, "REPORT"))

    # 16 deliveries, then the door ends the chain; the last one is tried for hours and kept where people see it.
    assert eventually(runs, lambda seen: seen >= 16, 60) == 16

    def stuck():
        advance(platform, 3 * 3600 * 1000)
        return platform.lambent("events", "stuck").stdout

    assert "LoopDetected" in eventually(stuck, lambda said: "LoopDetected" in said)
    assert runs() == 16


def test_lambent_logs_filters_and_keeps_to_times(platform):
    functions = platform.client("lambda")
    create(functions, "speaker", {"app.py": TALKER})
    for word in ("apple", "pear"):
        invoke(functions, "speaker", {"say": word})
    assert eventually(lambda: texts(platform, "/aws/lambda/speaker", "pear"), bool)
    said = platform.lambent("logs", "speaker", "--filter", "pear").stdout
    assert "pear" in said and "apple" not in said and "REPORT" not in said
    said = platform.lambent("logs", "speaker", "--since", "10m", "--json").stdout
    events = [json.loads(line) for line in said.splitlines()]
    assert {"apple", "pear"} <= {event["message"].strip() for event in events}
    assert events[0]["logGroupName"] == "/aws/lambda/speaker" and events[0]["eventId"]
    assert platform.lambent("logs", "speaker", "--until", "2020-01-01T00:00").stdout == ""
    done = platform.lambent("logs", "speaker", "--since", "yesterday", check=False)
    assert done.returncode != 0 and "2026-11-26T10:00" in done.stderr
    done = platform.lambent("logs", "speaker", "--since", "1m", "--until", "2h", check=False)
    assert done.returncode != 0 and "before --since" in done.stderr
    done = platform.lambent("logs", "speaker", "--filter", "a:b", check=False)
    assert done.returncode != 0 and "Invalid character(s) in term ':'" in done.stderr


def test_a_log_is_followed(platform):
    functions = platform.client("lambda")
    name = "followed"
    create(functions, name, {"app.py": TALKER})
    invoke(functions, name, {"say": "first"})
    assert eventually(lambda: texts(platform, f"/aws/lambda/{name}"), bool)
    command = [str(BINARY), "logs", name, "--follow", "--filter", "word"]
    variables = {
        **os.environ,
        "LAMBENT_ENDPOINT": platform.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    tail = subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        os.set_blocking(tail.stdout.fileno(), False)
        seen = ""
        for at in range(2):
            invoke(functions, name, {"say": f"word {at}"})

            def more():
                nonlocal seen
                try:
                    seen += os.read(tail.stdout.fileno(), 65536).decode()
                except BlockingIOError:
                    pass
                return seen

            assert f"word {at}" in eventually(more, lambda text: f"word {at}" in text), seen
        assert "first" not in seen and seen.count("word 0") == 1
    finally:
        tail.send_signal(signal.SIGTERM)
        tail.wait(timeout=20)

"""Queues that call functions, and functions whose failures end in queues: boto3, the AWS CLI, kill -9."""

import json
import time

import pytest
from botocore.exceptions import ClientError

from platform_under_test import create, eventually, python_runtime, ran, zipped
from test_iam import ROLE, World, allow, document, refused

TELLS = """
import json

def handler(event, context):
    for record in event["Records"]:
        print("ran", record["body"])
    return event
"""
FAILS = "def handler(event, context):\n    raise ValueError('as asked ' + 'x' * 2000)\n"


def queue(platform, name, **attributes):
    sqs = platform.client("sqs")
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return sqs, url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def left(sqs, url):
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"]
    return sum(int(n) for n in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values())


def received(sqs, url, **more):
    return sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10, MessageAttributeNames=["All"], **more).get("Messages", [])


def test_a_message_reaches_the_function_as_on_aws(platform, functions):
    sqs, url, arn = queue(platform, "jobs")
    create(functions, "jobs", {"app.py": "import json\ndef handler(event, context):\n    print('ran', json.dumps(event))\n"})
    made = functions.create_event_source_mapping(FunctionName="jobs", EventSourceArn=arn)
    assert (made["State"], made["StateTransitionReason"], made["BatchSize"]) == ("Creating", "USER_INITIATED", 10)
    attributes = {"kind": {"DataType": "String", "StringValue": "red"}, "raw": {"DataType": "Binary", "BinaryValue": b"\x01\x02"}}
    sent = sqs.send_message(QueueUrl=url, MessageBody='{"n": 1}', MessageAttributes=attributes)
    (told,) = eventually(lambda: ran(platform, "jobs"), lambda seen: seen)
    (record,) = json.loads(told.removeprefix("ran "))["Records"]
    assert record["messageId"] == sent["MessageId"] and record["body"] == '{"n": 1}'
    assert record["md5OfBody"] == sent["MD5OfMessageBody"] and record["md5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert record["messageAttributes"] == {
        "kind": {"stringValue": "red", "stringListValues": [], "binaryListValues": [], "dataType": "String"},
        "raw": {"binaryValue": "AQI=", "stringListValues": [], "binaryListValues": [], "dataType": "Binary"},
    }
    assert (record["eventSource"], record["eventSourceARN"], record["awsRegion"]) == ("aws:sqs", arn, "us-east-1")
    assert record["attributes"]["ApproximateReceiveCount"] == "1" and record["receiptHandle"]
    eventually(lambda: left(sqs, url), lambda n: n == 0)
    assert left(sqs, url) == 0
    assert functions.get_event_source_mapping(UUID=made["UUID"])["State"] == "Enabled"


def test_the_aws_cli_makes_changes_and_deletes_a_mapping(platform, functions):
    sqs, url, arn = queue(platform, "mapped-by-cli")
    create(functions, "mapped-by-cli", {"app.py": TELLS})
    run = lambda *words: json.loads(platform.cli("lambda", *words).stdout or "null")
    made = run("create-event-source-mapping", "--function-name", "mapped-by-cli", "--event-source-arn", arn, "--batch-size", "5")
    sqs.send_message(QueueUrl=url, MessageBody="one")
    assert eventually(lambda: ran(platform, "mapped-by-cli"), lambda seen: seen) == ["ran one"]
    assert any(arn in line and "its messages (enabled)" in line for line in platform.lambent("routes").stdout.splitlines())
    changed = run("update-event-source-mapping", "--uuid", made["UUID"], "--no-enabled", "--batch-size", "7")
    assert (changed["State"], changed["BatchSize"]) == ("Disabling", 7)
    sqs.send_message(QueueUrl=url, MessageBody="two")
    time.sleep(0.5)
    assert ran(platform, "mapped-by-cli") == ["ran one"] and left(sqs, url) == 1
    run("update-event-source-mapping", "--uuid", made["UUID"], "--enabled")
    assert eventually(lambda: ran(platform, "mapped-by-cli"), lambda seen: len(seen) == 2) == ["ran one", "ran two"]
    assert run("delete-event-source-mapping", "--uuid", made["UUID"])["State"] == "Deleting"
    assert run("list-event-source-mappings", "--event-source-arn", arn)["EventSourceMappings"] == []


def test_batches_filters_and_partial_answers(platform, functions):
    sqs, url, arn = queue(platform, "parts", VisibilityTimeout="5")
    code = """
def handler(event, context):
    bad = [r for r in event["Records"] if "bad" in r["body"] and r["attributes"]["ApproximateReceiveCount"] == "1"]
    print("ran", len(event["Records"]), len(bad))
    return {"batchItemFailures": [{"itemIdentifier": r["messageId"]} for r in bad]}
"""
    create(functions, "parts", {"app.py": code}, Timeout=3)
    entries = [{"Id": str(n), "MessageBody": json.dumps({"n": n, "what": "bad" if n == 3 else "good"})} for n in range(10)]
    sqs.send_message_batch(QueueUrl=url, Entries=entries)
    functions.create_event_source_mapping(
        FunctionName="parts",
        EventSourceArn=arn,
        FunctionResponseTypes=["ReportBatchItemFailures"],
        FilterCriteria={"Filters": [{"Pattern": json.dumps({"body": {"n": [{"numeric": [">=", 2]}]}})}]},
    )
    seen = sorted(eventually(lambda: ran(platform, "parts"), lambda seen: len(seen) == 2), reverse=True)
    assert seen == ["ran 8 1", "ran 1 0"], "the one that failed comes again after its visibility timeout"
    eventually(lambda: left(sqs, url), lambda n: n == 0)
    assert left(sqs, url) == 0, "what no filter wants is deleted, too"


def test_the_groups_of_a_fifo_queue_keep_their_order(platform, functions):
    sqs, url, arn = queue(platform, "ordered.fifo", FifoQueue="true", ContentBasedDeduplication="true")
    code = "import time\ndef handler(event, context):\n    for r in event['Records']:\n        print('ran', time.time_ns(), r['body'])\n"
    create(functions, "ordered", {"app.py": code})
    functions.create_event_source_mapping(FunctionName="ordered", EventSourceArn=arn, BatchSize=3)
    for n in range(12):
        for group in "ab":
            sqs.send_message(QueueUrl=url, MessageBody=f"{group}{n}", MessageGroupId=group)
    seen = eventually(lambda: ran(platform, "ordered"), lambda seen: len(seen) == 24)
    bodies = [line.split()[2] for line in sorted(seen)]
    for group in "ab":
        assert [body for body in bodies if body[0] == group] == [f"{group}{n}" for n in range(12)]


def test_what_always_fails_ends_in_the_queues_dead_letter_queue(platform, functions):
    sqs, dead, dead_arn = queue(platform, "dead-jobs")
    policy = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 2})
    _, url, arn = queue(platform, "failing-jobs", VisibilityTimeout="1", RedrivePolicy=policy)
    create(functions, "failing-jobs", {"app.py": FAILS}, Timeout=1)
    functions.create_event_source_mapping(FunctionName="failing-jobs", EventSourceArn=arn)
    sqs.send_message(QueueUrl=url, MessageBody="hopeless")
    (message,) = eventually(lambda: received(sqs, dead), lambda seen: seen)
    assert message["Body"] == "hopeless"


def test_a_function_that_feeds_its_own_queue_is_stopped(platform, functions):
    sqs, url, arn = queue(platform, "loop")
    # As the SDKs do: the trace header goes along.
    code = """
import json, os, urllib.request

def handler(event, context):
    print("ran", event["Records"][0]["body"])
    headers = {"X-Amz-Target": "AmazonSQS.SendMessage", "Content-Type": "application/x-amz-json-1.0", "X-Amzn-Trace-Id": os.environ["_X_AMZN_TRACE_ID"]}
    body = json.dumps({"QueueUrl": os.environ["QUEUE"], "MessageBody": "again"}).encode()
    urllib.request.urlopen(urllib.request.Request(os.environ["AWS_ENDPOINT_URL"], body, headers)).read()
"""
    create(functions, "loop", {"app.py": code}, Environment={"Variables": {"QUEUE": url}})
    functions.create_event_source_mapping(FunctionName="loop", EventSourceArn=arn)
    sqs.send_message(QueueUrl=url, MessageBody="first")
    runs = lambda: len(ran(platform, "loop"))
    assert eventually(runs, lambda n: n >= 16) == 16
    time.sleep(1)
    assert (runs(), left(sqs, url)) == (16, 0)


def test_nothing_is_lost_when_the_platform_is_killed(own_platform):
    running = own_platform()
    sqs, url, arn = queue(running, "kept", VisibilityTimeout="5")
    functions = running.client("lambda")
    slow = "import time\ndef handler(event, context):\n    time.sleep(0.2)\n    for r in event['Records']:\n        print('ran', r['body'])\n"
    create(functions, "kept", {"app.py": slow}, Timeout=3)
    functions.create_event_source_mapping(FunctionName="kept", EventSourceArn=arn, BatchSize=2)
    for at in range(0, 40, 10):
        sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": str(n)} for n in range(at, at + 10)])
    eventually(lambda: len(ran(running, "kept")), lambda n: n >= 4)
    running.kill()
    running.start()
    # Nobody asks for the mapping: it goes on by itself.
    sqs = running.client("sqs")
    eventually(lambda: left(sqs, url), lambda n: n == 0, seconds=60)
    assert left(sqs, url) == 0
    wanted = {f"ran {n}" for n in range(40)}
    # Lines of the log that were not durable yet when it was killed may be missing; no message is.
    assert len(wanted - set(eventually(lambda: ran(running, "kept"), lambda seen: wanted <= set(seen), seconds=5))) <= 12


def test_failed_events_go_to_the_dead_letter_queue_and_the_destination(platform, functions):
    sqs, dead, dead_arn = queue(platform, "dead-events")
    _, told, told_arn = queue(platform, "told-events")
    create(functions, "dying", {"app.py": FAILS}, DeadLetterConfig={"TargetArn": dead_arn})
    assert functions.get_function_configuration(FunctionName="dying")["DeadLetterConfig"] == {"TargetArn": dead_arn}
    functions.put_function_event_invoke_config(
        FunctionName="dying",
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": told_arn}},
    )
    answer = functions.invoke(FunctionName="dying", InvocationType="Event", Payload=b'{"n": 1.0}')
    request = answer["ResponseMetadata"]["RequestId"]
    (message,) = eventually(lambda: received(sqs, dead), lambda seen: seen)
    said = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert message["Body"] == '{"n": 1.0}' and said["RequestID"] == request and said["ErrorCode"] == "200"
    assert said["ErrorMessage"].startswith("as asked xxx") and len(said["ErrorMessage"]) == 1024
    (message,) = eventually(lambda: received(sqs, told), lambda seen: seen)
    record = json.loads(message["Body"])
    assert (record["requestContext"]["requestId"], record["requestContext"]["condition"]) == (request, "RetriesExhausted")
    cleared = functions.update_function_configuration(FunctionName="dying", DeadLetterConfig={"TargetArn": ""})
    assert "DeadLetterConfig" not in cleared
    with pytest.raises(ClientError) as caught:
        functions.update_function_configuration(FunctionName="dying", DeadLetterConfig={"TargetArn": dead_arn + "-none"})
    assert "NonExistentQueue" in caught.value.response["Error"]["Message"]


def test_a_bucket_tells_a_queue_and_the_queue_a_function(platform, functions):
    sqs, url, arn = queue(platform, "from-bucket")
    s3 = platform.client("s3")
    s3.create_bucket(Bucket="tells-queue")
    configuration = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    s3.put_bucket_notification_configuration(Bucket="tells-queue", NotificationConfiguration=configuration)
    (test,) = received(sqs, url)
    assert json.loads(test["Body"])["Event"] == "s3:TestEvent"
    sqs.delete_message(QueueUrl=url, ReceiptHandle=test["ReceiptHandle"])
    code = "import json\ndef handler(event, context):\n    for r in event['Records']:\n        print('ran', json.loads(r['body'])['Records'][0]['s3']['object']['key'])\n"
    create(functions, "from-bucket", {"app.py": code})
    functions.create_event_source_mapping(FunctionName="from-bucket", EventSourceArn=arn)
    s3.put_object(Bucket="tells-queue", Key="a.txt", Body=b"hello")
    assert eventually(lambda: ran(platform, "from-bucket"), lambda seen: seen) == ["ran a.txt"]


def test_a_stop_lets_a_batch_end_and_its_messages_be_deleted(own_platform):
    platform = own_platform()
    sqs, url, arn = queue(platform, "ending", VisibilityTimeout="60")
    functions = platform.client("lambda")
    slow = "import time\ndef handler(event, context):\n    print('ran first')\n    time.sleep(2)\n    print('ran last')\n"
    create(functions, "ending", {"app.py": slow}, Timeout=30)
    for at in range(30):
        sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": f"{at} {n}"} for n in range(10)])
    # So many that their deletions take longer than the function's end.
    functions.create_event_source_mapping(
        FunctionName="ending", EventSourceArn=arn, BatchSize=300, MaximumBatchingWindowInSeconds=10
    )
    assert eventually(lambda: ran(platform, "ending"), bool) == ["ran first"]
    platform.stop()
    platform.start()
    assert ran(platform, "ending") == ["ran first", "ran last"]
    sqs, url, _ = queue(platform, "ending", VisibilityTimeout="60")
    assert left(sqs, url) == 0


def test_a_role_must_be_allowed_to_read(own_platform):
    world = World(own_platform("--iam=enforce"))
    sqs = world.client("sqs")
    url = sqs.create_queue(QueueName="guarded")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    world.functions.create_function(
        FunctionName="guarded", Runtime=python_runtime(), Role=ROLE, Handler="app.handler", Code={"ZipFile": zipped({"app.py": TELLS})}
    )
    wanted = {"FunctionName": "guarded", "EventSourceArn": arn}
    code, _, message = refused(world.functions.create_event_source_mapping, **wanted)
    assert code == "InvalidParameterValueException"
    assert message == "The provided execution role does not have permissions to call ReceiveMessage on SQS"
    may_read = document(allow("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", resource=arn), allow("logs:*"))
    world.iam.put_role_policy(RoleName="worker", PolicyName="reads", PolicyDocument=may_read)
    mapping = world.functions.create_event_source_mapping(**wanted)["UUID"]
    sqs.send_message(QueueUrl=url, MessageBody="one")
    eventually(lambda: left(sqs, url), lambda n: n == 0)
    assert left(sqs, url) == 0
    world.iam.delete_role_policy(RoleName="worker", PolicyName="reads")
    sqs.send_message(QueueUrl=url, MessageBody="two")
    result = lambda: world.functions.get_event_source_mapping(UUID=mapping).get("LastProcessingResult")
    assert eventually(result, bool) == f"PROBLEM: {message}"
    world.iam.put_role_policy(RoleName="worker", PolicyName="reads", PolicyDocument=may_read)
    eventually(lambda: left(sqs, url), lambda n: n == 0)
    assert left(sqs, url) == 0 and result() is None

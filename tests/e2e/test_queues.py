"""Amazon SQS, as its clients use it."""

import hashlib
import json
import re
import socket
import threading
import time
import urllib.parse
import urllib.request
import xml.etree.ElementTree as xml

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def sqs(platform):
    return platform.client("sqs")


@pytest.fixture
def queue(sqs, request):
    """A queue of the test's own."""
    name = re.sub("[^a-z0-9]+", "-", request.node.name.lower())[:70]
    return sqs.create_queue(QueueName=name)["QueueUrl"]


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]


def test_boto3_checks_every_digest_and_gets_its_message(sqs, queue):
    # boto3 raises if a digest is not that of what it sent or got.
    attributes = {
        "text": {"DataType": "String", "StringValue": "é"},
        "number": {"DataType": "Number.int", "StringValue": "7"},
        "bytes": {"DataType": "Binary", "BinaryValue": bytes(range(256))},
    }
    body = "<hé & \U0001d11e>\r\n\t"
    sent = sqs.send_message(QueueUrl=queue, MessageBody=body, MessageAttributes=attributes)
    got = sqs.receive_message(QueueUrl=queue, MessageAttributeNames=["All"], MessageSystemAttributeNames=["All"])["Messages"][0]
    assert (got["Body"], got["MessageAttributes"], got["MessageId"]) == (body, attributes, sent["MessageId"])
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=got["ReceiptHandle"])
    entries = [{"Id": str(n), "MessageBody": str(n)} for n in range(10)]
    assert len(sqs.send_message_batch(QueueUrl=queue, Entries=entries)["Successful"]) == 10
    got = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    assert sorted(one["Body"] for one in got) == [str(n) for n in range(10)]
    handles = [{"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]} for n, one in enumerate(got)]
    assert len(sqs.delete_message_batch(QueueUrl=queue, Entries=handles)["Successful"]) == 10
    assert "Messages" not in sqs.receive_message(QueueUrl=queue)


def test_errors_have_the_codes_of_both_protocols(platform, sqs, queue):
    error = refused(sqs.get_queue_url, QueueName="none")
    assert (error["Code"], error["QueryErrorCode"]) == ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        sqs.send_message(QueueUrl=f"{platform.endpoint}/000000000000/none", MessageBody="x")
    error = refused(sqs.receive_message, QueueUrl=queue, MaxNumberOfMessages=11)
    assert (error["Code"], error["QueryErrorCode"]) == ("InvalidParameterValue", "InvalidParameterValueException")
    fifo = sqs.create_queue(QueueName="errors.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    error = refused(sqs.send_message, QueueUrl=fifo, MessageBody="x")
    assert (error["Code"], error["QueryErrorCode"]) == ("MissingParameter", "MissingRequiredParameterException")
    assert refused(sqs.send_message_batch, QueueUrl=queue, Entries=[])["Code"] == "AWS.SimpleQueueService.EmptyBatchRequest"


NAMESPACE = "{http://queue.amazonaws.com/doc/2012-11-05/}"


def form(url, expect=200, **parameters):
    """Posts to a queue as SDKs of before 2023 do: the queue is named by the URL alone."""
    body = urllib.parse.urlencode({"Version": "2012-11-05", **parameters}).encode()
    try:
        answer = urllib.request.urlopen(url, body)
    except urllib.error.HTTPError as error:
        answer = error
    assert answer.status == expect, answer.read()
    assert answer.headers["content-type"].startswith("text/xml")
    tree = xml.fromstring(answer.read())
    return lambda path: [found.text for found in tree.iterfind("/".join(NAMESPACE + part if part != "." else part for part in path.split("/")))]


def test_the_older_protocol_is_spoken_at_the_queues_own_url(platform, sqs, queue):
    # What the older SDKs send to a queue's URL, without naming it again.
    sent = form(queue, Action="SendMessage", MessageBody="a b&<c>", **{
        "MessageAttribute.1.Name": "k", "MessageAttribute.1.Value.DataType": "String", "MessageAttribute.1.Value.StringValue": "v",
    })
    assert sent("SendMessageResult/MD5OfMessageBody") == [hashlib.md5(b"a b&<c>").hexdigest()]
    got = form(queue, Action="ReceiveMessage", MaxNumberOfMessages="10", **{"AttributeName.1": "All", "MessageAttributeName.1": "All"})
    message = "ReceiveMessageResult/Message"
    assert got(f"{message}/Body") == ["a b&<c>"]
    assert got(f"{message}/MessageId") == sent("SendMessageResult/MessageId")
    assert got(f"{message}/MessageAttribute/Value/StringValue") == ["v"]
    assert "ApproximateReceiveCount" in got(f"{message}/Attribute/Name")
    form(queue, Action="ChangeMessageVisibility", ReceiptHandle=got(f"{message}/ReceiptHandle")[0], VisibilityTimeout="9")
    form(queue, Action="DeleteMessage", ReceiptHandle=got(f"{message}/ReceiptHandle")[0])
    assert sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]["ApproximateNumberOfMessagesNotVisible"] == "0"
    batch = form(queue, Action="SendMessageBatch", **{
        "SendMessageBatchRequestEntry.1.Id": "a", "SendMessageBatchRequestEntry.1.MessageBody": "1",
        "SendMessageBatchRequestEntry.2.Id": "b", "SendMessageBatchRequestEntry.2.MessageBody": "2",
        "SendMessageBatchRequestEntry.2.DelaySeconds": "901",
    })
    assert batch("SendMessageBatchResult/SendMessageBatchResultEntry/Id") == ["a"]
    assert batch("SendMessageBatchResult/BatchResultErrorEntry/Id") == ["b"]
    form(queue, Action="SetQueueAttributes", **{"Attribute.1.Name": "DelaySeconds", "Attribute.1.Value": "3"})
    shown = form(queue, Action="GetQueueAttributes", **{"AttributeName.1": "DelaySeconds"})
    assert shown("GetQueueAttributesResult/Attribute/Value") == ["3"]
    # Older clients write a single item without its number.
    form(queue, Action="SetQueueAttributes", **{"Attribute.Name": "DelaySeconds", "Attribute.Value": "4"})
    shown = form(queue, Action="GetQueueAttributes", AttributeName="DelaySeconds")
    assert shown("GetQueueAttributesResult/Attribute/Value") == ["4"]
    form(queue, expect=400, Action="SetQueueAttributes", **{"Attribute.1.Name": "DelaySeconds"})
    made = form(platform.endpoint, Action="CreateQueue", QueueName="of-a-form", **{"Tag.1.Key": "a", "Tag.1.Value": "b"})
    url = made("CreateQueueResult/QueueUrl")[0]
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"a": "b"}
    assert url in form(platform.endpoint, Action="ListQueues", QueueNamePrefix="of-")("ListQueuesResult/QueueUrl")
    wrong = form(f"{platform.endpoint}/000000000000/none", expect=400, Action="ReceiveMessage")
    assert wrong("Error/Code") == ["AWS.SimpleQueueService.NonExistentQueue"]
    assert form(queue, expect=400, Action="DeleteMessage")("Error/Code") == ["MissingParameter"]


def test_the_command_line_of_aws_sends_and_receives(platform):
    def sqs(*arguments):
        # For queues the command line's first version goes to AWS unless it is told here: it does not look at AWS_ENDPOINT_URL.
        done = platform.cli("sqs", *arguments, "--endpoint-url", platform.endpoint)
        return json.loads(done.stdout) if done.stdout else None

    url = sqs("create-queue", "--queue-name", "of-the-cli", "--attributes", "VisibilityTimeout=7")["QueueUrl"]
    sqs("send-message", "--queue-url", url, "--message-body", "from the command line")
    got = sqs("receive-message", "--queue-url", url, "--wait-time-seconds", "5")["Messages"][0]
    assert got["Body"] == "from the command line"
    sqs("delete-message", "--queue-url", url, "--receipt-handle", got["ReceiptHandle"])
    shown = sqs("get-queue-attributes", "--queue-url", url, "--attribute-names", "All")["Attributes"]
    assert (shown["VisibilityTimeout"], shown["ApproximateNumberOfMessagesNotVisible"]) == ("7", "0")
    sqs("delete-queue", "--queue-url", url)


def test_who_waits_hears_at_once(sqs, platform, queue):
    heard = []

    def wait():
        heard.append(platform.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=20).get("Messages"))
        heard.append(time.perf_counter())

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(1)
    sent = time.perf_counter()
    sqs.send_message(QueueUrl=queue, MessageBody="news")
    waiting.join()
    assert heard[0][0]["Body"] == "news" and heard[1] - sent < 2


def test_a_client_that_goes_away_while_it_waits_receives_nothing(sqs, platform, queue):
    request = json.dumps({"QueueUrl": queue, "WaitTimeSeconds": 20}).encode()
    head = (
        f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{platform.port}\r\nX-Amz-Target: AmazonSQS.ReceiveMessage\r\n"
        f"Content-Type: application/x-amz-json-1.0\r\nContent-Length: {len(request)}\r\n\r\n"
    )
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", platform.port)) as waiting:
            waiting.sendall(head.encode() + request)
            time.sleep(0.2)
    # The server hears of it before the next request.
    time.sleep(0.5)
    sqs.send_message(QueueUrl=queue, MessageBody="for whoever is there")
    got = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=2, AttributeNames=["All"])["Messages"][0]
    assert (got["Body"], got["Attributes"]["ApproximateReceiveCount"]) == ("for whoever is there", "1")


def test_a_function_and_a_stranger_send_as_policies_say(own_platform):
    platform = own_platform("--test-controls", "--iam", "enforce")
    greeting = re.search(r"AWS_ACCESS_KEY_ID=(\S+) AWS_SECRET_ACCESS_KEY=(\S+)", platform.process.stdout.readline())
    sqs, iam = (platform.client(name, *greeting.groups()) for name in ["sqs", "iam"])
    url = sqs.create_queue(QueueName="guarded", tags={"team": "blue"})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    iam.create_user(UserName="sender")
    key = iam.create_access_key(UserName="sender")["AccessKey"]
    sender = platform.client("sqs", key["AccessKeyId"], key["SecretAccessKey"])
    error = refused(sender.send_message, QueueUrl=url, MessageBody="x")
    assert (error["Code"], error["QueryErrorCode"]) == ("AccessDenied", "AccessDeniedException")

    def allow(**statement):
        return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})

    condition = {"StringEquals": {"aws:ResourceTag/team": "blue"}}
    iam.put_user_policy(UserName="sender", PolicyName="p", PolicyDocument=allow(Action="sqs:SendMessage", Resource=arn, Condition=condition))
    # The action of a batch is that of one message.
    assert sender.send_message_batch(QueueUrl=url, Entries=[{"Id": "a", "MessageBody": "x"}])["Successful"]
    assert refused(sender.receive_message, QueueUrl=url)["Code"] == "AccessDenied"
    iam.delete_user_policy(UserName="sender", PolicyName="p")
    who = iam.get_user(UserName="sender")["User"]["Arn"]
    policy = allow(Principal={"AWS": who}, Action="sqs:ReceiveMessage", Resource=arn)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    got = sender.receive_message(QueueUrl=url, AttributeNames=["SenderId"])["Messages"][0]
    assert (got["Body"], got["Attributes"]["SenderId"]) == ("x", "sender")
    assert refused(sender.send_message, QueueUrl=url, MessageBody="x")["Code"] == "AccessDenied"
    assert sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"] == policy


def test_time_passes_for_queues_as_the_clock_says(own_platform):
    platform = own_platform("--test-controls")
    sqs = platform.client("sqs")
    url = sqs.create_queue(QueueName="timed", Attributes={"MessageRetentionPeriod": "86400"})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="later", DelaySeconds=900)
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    platform.lambent("clock", "advance", "15m")
    assert sqs.receive_message(QueueUrl=url, VisibilityTimeout=43_200)["Messages"][0]["Body"] == "later"
    platform.lambent("clock", "advance", "12h")
    assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "later"
    platform.lambent("clock", "advance", "2d")
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert {value for name, value in counts.items() if name.startswith("Approximate")} == {"0"}


def test_dead_letters_and_order_hold_for_boto3(sqs):
    dead = sqs.create_queue(QueueName="dead.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    attributes = {"FifoQueue": "true", "ContentBasedDeduplication": "true", "RedrivePolicy": redrive, "VisibilityTimeout": "1"}
    url = sqs.create_queue(QueueName="work.fifo", Attributes=attributes)["QueueUrl"]
    for body in ["1", "2", "3"]:
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId="g")
    assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "1"
    got = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5, MaxNumberOfMessages=10)["Messages"]
    assert [one["Body"] for one in got] == ["2", "3"]
    got = sqs.receive_message(QueueUrl=dead, MessageSystemAttributeNames=["All"])["Messages"][0]
    assert (got["Body"], got["Attributes"]["DeadLetterQueueSourceArn"].rsplit(":", 1)[1]) == ("1", "work.fifo")
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [url]

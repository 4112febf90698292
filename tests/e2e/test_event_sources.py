"""Event source mappings and response streams, as boto3 and the AWS CLI see them."""

import base64
import json

import pytest
from botocore.exceptions import ClientError

from platform_under_test import create, node_runtime

ECHO = "def handler(event, context):\n    if event.get('fail'):\n        raise ValueError('as asked')\n    return event\n"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:nobody"
STREAM = "arn:aws:kinesis:us-east-1:000000000000:stream/nobody"


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]


def test_a_source_that_is_not_there_is_told_in_awss_words(platform, functions):
    create(functions, "mapped", {"app.py": ECHO})
    mapping = functions.create_event_source_mapping
    assert refused(mapping, FunctionName="mapped", EventSourceArn=QUEUE, BatchSize=5) == (
        "InvalidParameterValueException",
        400,
        "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: "
        "The specified queue does not exist.",
    )
    told = refused(mapping, FunctionName="mapped", EventSourceArn=STREAM, StartingPosition="LATEST")
    assert told == ("InvalidParameterValueException", 400, f"Stream not found: {STREAM}")
    told = refused(mapping, FunctionName="mapped", EventSourceArn=QUEUE, BatchSize=11)
    assert told[2].startswith("Maximum batch window in seconds must be greater than 0")
    told = refused(mapping, FunctionName="nobody", EventSourceArn=QUEUE)
    assert told == ("InvalidParameterValueException", 400, "Function does not exist")
    kafka = {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": ["broker.example.org:9092"]}}
    code, status, message = refused(mapping, FunctionName="mapped", SelfManagedEventSource=kafka, Topics=["orders"])
    assert (code, status) == ("NotImplemented", 501) and "SelfManagedEventSource" in message, message
    missing = "00000000-0000-0000-0000-000000000000"
    gone = ("ResourceNotFoundException", 404, "The resource you requested does not exist.")
    for call in [functions.get_event_source_mapping, functions.update_event_source_mapping, functions.delete_event_source_mapping]:
        assert refused(call, UUID=missing) == gone
    listed = json.loads(platform.cli("lambda", "list-event-source-mappings", "--function-name", "mapped").stdout)
    assert listed["EventSourceMappings"] == []


def streamed(functions, name, event, **more):
    answer = functions.invoke_with_response_stream(FunctionName=name, Payload=json.dumps(event), **more)
    assert answer["StatusCode"] == 200 and answer["ExecutedVersion"] == "$LATEST"
    payload, end = b"", None
    for message in answer["EventStream"]:
        payload += message.get("PayloadChunk", {}).get("Payload", b"")
        end = message.get("InvokeComplete", end)
    return payload, end


def test_an_answer_is_read_from_a_stream(functions):
    create(functions, "streams", {"app.py": ECHO})
    payload, end = streamed(functions, "streams", {"text": "x" * 300_000}, LogType="Tail")
    assert json.loads(payload) == {"text": "x" * 300_000}
    assert "START RequestId" in base64.b64decode(end["LogResult"]).decode() and "ErrorCode" not in end
    payload, end = streamed(functions, "streams", {"fail": True})
    assert payload == b"" and end["ErrorCode"] == "Unhandled"
    assert json.loads(end["ErrorDetails"])["errorMessage"] == "as asked"
    code, status, _ = refused(functions.invoke_with_response_stream, FunctionName="nobody", Payload="{}")
    assert (code, status) == ("ResourceNotFoundException", 404)


@pytest.mark.skipif(not node_runtime(), reason="there is no Node.js here")
def test_what_a_streaming_handler_writes_arrives_in_order(functions):
    code = """
exports.handler = awslambda.streamifyResponse(async (event, stream) => {
  for (let n = 0; n < 5; n++) stream.write(`piece ${n};`);
  stream.end();
});
"""
    create(functions, "streams-node", {"app.js": code}, runtime=node_runtime())
    payload, end = streamed(functions, "streams-node", {})
    assert payload == b"piece 0;piece 1;piece 2;piece 3;piece 4;" and "ErrorCode" not in end

"""How asynchronous invocations end, as the functions that hear of it see it."""

import json

import pytest
from botocore.exceptions import ClientError

from platform_under_test import TELL, create, eventually, invoke, ran, told

TARGET = "import json\ndef handler(event, context):\n    print('ran', json.dumps(event))\n"
HANDLER = """
import time
def handler(event, context):
    time.sleep(event.get('sleep', 0))
    if event.get('fail'):
        raise ValueError('as asked')
    return {'got': event}
"""


def arn(name):
    return f"arn:aws:lambda:us-east-1:000000000000:function:{name}"


def heard(running, name, n=1):
    """The records that a target printed."""
    lines = eventually(lambda: ran(running, name), lambda seen: len(seen) >= n)
    return [json.loads(line.removeprefix("ran ")) for line in lines]


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]


def test_successes_and_failures_go_to_other_functions(platform, functions):
    for name in ["dest-good", "dest-bad"]:
        create(functions, name, {"app.py": TARGET})
    create(functions, "dest-source", {"app.py": HANDLER})
    kept = functions.put_function_event_invoke_config(
        FunctionName="dest-source",
        MaximumRetryAttempts=0,
        MaximumEventAgeInSeconds=3600,
        DestinationConfig={"OnSuccess": {"Destination": arn("dest-good")}, "OnFailure": {"Destination": arn("dest-bad")}},
    )
    assert kept["FunctionArn"] == arn("dest-source") + ":$LATEST" and kept["MaximumRetryAttempts"] == 0
    request = {}
    for word, event in [("good", {"n": 1}), ("bad", {"fail": True})]:
        answer = functions.invoke(FunctionName="dest-source", InvocationType="Event", Payload=json.dumps(event))
        request[word] = answer["ResponseMetadata"]["RequestId"]
    (good,) = heard(platform, "dest-good")
    assert good["version"] == "1.0" and good["timestamp"].endswith("Z")
    assert good["requestContext"] == {
        "requestId": request["good"],
        "functionArn": arn("dest-source") + ":$LATEST",
        "condition": "Success",
        "approximateInvokeCount": 1,
    }
    assert good["requestPayload"] == {"n": 1} and good["responsePayload"] == {"got": {"n": 1}}
    assert good["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST"}
    (bad,) = heard(platform, "dest-bad")
    assert bad["requestContext"]["requestId"] == request["bad"]
    assert bad["requestContext"]["condition"] == "RetriesExhausted"
    assert bad["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"}
    assert bad["responsePayload"]["errorMessage"] == "as asked"
    # A call that its caller waits for is nobody else's business.
    invoke(functions, "dest-source", {"n": 2})
    assert len(heard(platform, "dest-good")) == 1


def test_a_report_survives_a_kill(own_platform):
    running = own_platform()
    client = running.client("lambda")
    running.client("s3").create_bucket(Bucket="told")
    hears = "from tell import tell\ndef handler(event, context):\n    tell(str(event['requestPayload']['n']))\n"
    create(client, "target", {"app.py": hears, "tell.py": TELL})
    create(client, "source", {"app.py": HANDLER}, Timeout=20)
    client.put_function_event_invoke_config(
        FunctionName="source", DestinationConfig={"OnSuccess": {"Destination": arn("target")}}
    )
    for n in range(5):
        client.invoke(FunctionName="source", InvocationType="Event", Payload=json.dumps({"n": n, "sleep": 0.5}))
    eventually(lambda: told(running), bool)
    running.kill()
    running.start()
    assert running.client("lambda").get_function_event_invoke_config(FunctionName="source")["DestinationConfig"] == {
        "OnSuccess": {"Destination": arn("target")},
        "OnFailure": {},
    }
    wanted = {str(n) for n in range(5)}
    assert eventually(lambda: told(running), lambda seen: seen == wanted) == wanted, "nothing acknowledged is lost"


def test_the_aws_cli_configures_and_forgets(platform, functions):
    create(functions, "dest-cli", {"app.py": HANDLER})
    run = lambda *words: json.loads(platform.cli("lambda", *words, "--function-name", "dest-cli").stdout or "null")
    run("put-function-event-invoke-config", "--maximum-retry-attempts", "1")
    run("update-function-event-invoke-config", "--maximum-event-age-in-seconds", "60")
    shown = run("get-function-event-invoke-config")
    assert (shown["MaximumRetryAttempts"], shown["MaximumEventAgeInSeconds"]) == (1, 60)
    assert len(run("list-function-event-invoke-configs")["FunctionEventInvokeConfigs"]) == 1
    run("delete-function-event-invoke-config")
    assert refused(functions.get_function_event_invoke_config, FunctionName="dest-cli") == (
        "ResourceNotFoundException",
        404,
        f"The function {arn('dest-cli')}:$LATEST doesn't have an EventInvokeConfig",
    )


def test_what_is_wrong_is_refused_in_words(functions):
    create(functions, "dest-wrong", {"app.py": HANDLER})
    put = functions.put_function_event_invoke_config
    assert refused(put, FunctionName="dest-wrong") == (
        "InvalidParameterValueException",
        400,
        "You must specify at least one of error handling or destination setting.",
    )
    assert refused(put, FunctionName="dest-nobody", MaximumRetryAttempts=1) == (
        "ResourceNotFoundException",
        404,
        "The function doesn't exist.",
    )
    code, status, _ = refused(put, FunctionName="dest-wrong", MaximumRetryAttempts=3)
    assert (code, status) == ("ValidationException", 400)
    queue = "arn:aws:sqs:us-east-1:000000000000:nobody"
    told = refused(put, FunctionName="dest-wrong", DestinationConfig={"OnFailure": {"Destination": queue}})
    assert told == ("InvalidParameterValueException", 400, f"The destination ARN {queue} is invalid.")
    topic = {"OnFailure": {"Destination": "arn:aws:sns:us-east-1:000000000000:t"}}
    code, status, message = refused(put, FunctionName="dest-wrong", DestinationConfig=topic)
    assert (code, status) == ("NotImplemented", 501) and "SNS" in message

"""Code signing configurations as boto3 and the AWS CLI see them. Nothing is ever signed here: both policies count all, Enforce refuses all."""

import datetime
import json
import re

import pytest
from botocore.exceptions import ClientError

from platform_under_test import create, eventually, invoke, zipped

PUBLISHER = "arn:aws:signer:us-east-1:000000000000:/signing-profiles/ours/0123456789"
ONE = {"app.py": "def handler(event, context):\n    return 'one'\n"}
TWO = {"app.py": "def handler(event, context):\n    return 'two'\n"}


def config(client, policy=None, **more):
    policies = {"CodeSigningPolicies": {"UntrustedArtifactOnDeployment": policy}} if policy else {}
    publishers = {"SigningProfileVersionArns": [PUBLISHER]}
    return client.create_code_signing_config(AllowedPublishers=publishers, **policies, **more)["CodeSigningConfig"]


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]


def unsigned(artifact):
    message = (
        "Lambda cannot deploy the function. The function or layer might be signed using a signature that the client is "
        f"not configured to accept. Check the provided signature for {artifact}."
    )
    return "CodeVerificationFailedException", 400, message


def test_a_signing_configuration_is_made_shown_changed_and_deleted(functions):
    made = config(functions, Description="ours")
    assert re.fullmatch(r"csc-[0-9a-f]{17}", made["CodeSigningConfigId"])
    arn = made["CodeSigningConfigArn"]
    assert arn == f"arn:aws:lambda:us-east-1:000000000000:code-signing-config:{made['CodeSigningConfigId']}"
    assert made["CodeSigningPolicies"] == {"UntrustedArtifactOnDeployment": "Warn"}
    assert made["AllowedPublishers"] == {"SigningProfileVersionArns": [PUBLISHER]} and made["Description"] == "ours"
    assert functions.get_code_signing_config(CodeSigningConfigArn=arn)["CodeSigningConfig"] == made
    changed = functions.update_code_signing_config(
        CodeSigningConfigArn=arn, CodeSigningPolicies={"UntrustedArtifactOnDeployment": "Enforce"}
    )["CodeSigningConfig"]
    assert changed["CodeSigningPolicies"] == {"UntrustedArtifactOnDeployment": "Enforce"}
    assert {**changed, "CodeSigningPolicies": 0, "LastModified": 0} == {**made, "CodeSigningPolicies": 0, "LastModified": 0}
    others = {config(functions)["CodeSigningConfigArn"] for _ in range(3)}
    pages = functions.get_paginator("list_code_signing_configs").paginate(PaginationConfig={"PageSize": 2})
    pages = [[one["CodeSigningConfigArn"] for one in page["CodeSigningConfigs"]] for page in pages]
    assert len(pages) > 1 and others | {arn} <= {one for page in pages for one in page}
    assert functions.delete_code_signing_config(CodeSigningConfigArn=arn)["ResponseMetadata"]["HTTPStatusCode"] == 204
    missing = ("ResourceNotFoundException", 404, f"The Lambda code signing configuration {arn} can not be found.")
    assert refused(functions.get_code_signing_config, CodeSigningConfigArn=arn) == missing
    assert refused(functions.create_code_signing_config, AllowedPublishers={"SigningProfileVersionArns": ["x"]})[0] == (
        "ValidationException"
    )


def test_what_nobody_has_signed_is_refused_or_warned_of(platform, functions):
    arn = config(functions, "Enforce")["CodeSigningConfigArn"]
    with pytest.raises(ClientError) as caught:
        create(functions, "signed", ONE, CodeSigningConfigArn=arn)
    error = caught.value.response["Error"]
    assert (error["Code"], 400, error["Message"]) == unsigned("signed")
    assert refused(functions.get_function, FunctionName="signed")[1] == 404

    # A function that is there keeps its code, and is given no other.
    create(functions, "signed", ONE)
    function = functions.get_function(FunctionName="signed")["Configuration"]["FunctionArn"]
    given = functions.put_function_code_signing_config(FunctionName="signed", CodeSigningConfigArn=arn)
    assert (given["FunctionName"], given["CodeSigningConfigArn"]) == ("signed", arn)
    update = {"FunctionName": "signed", "ZipFile": zipped(TWO)}
    assert refused(functions.update_function_code, **update) == unsigned(function)
    assert refused(functions.update_function_code, DryRun=True, **update) == unsigned(function)
    layer = functions.publish_layer_version(LayerName="unsigned", Content={"ZipFile": zipped({"x": "x"})})
    layer = layer["LayerVersionArn"]
    layered = {"FunctionName": "signed", "Layers": [layer]}
    assert refused(functions.update_function_configuration, **layered) == unsigned(layer)
    functions.update_function_configuration(FunctionName="signed", Timeout=9)
    assert invoke(functions, "signed")[0] == "one"

    functions.update_code_signing_config(
        CodeSigningConfigArn=arn, CodeSigningPolicies={"UntrustedArtifactOnDeployment": "Warn"}
    )
    functions.update_function_code(**update)
    functions.update_function_configuration(**layered)
    assert invoke(functions, "signed")[0] == "two"
    metrics = platform.client("cloudwatch")

    def warnings():
        now = datetime.datetime.now(datetime.timezone.utc)
        points = metrics.get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName="SignatureValidationErrors",
            Dimensions=[{"Name": "FunctionName", "Value": "signed"}],
            StartTime=now - datetime.timedelta(minutes=30),
            EndTime=now + datetime.timedelta(minutes=5),
            Period=60,
            Statistics=["Sum"],
        )
        return sum(point["Sum"] for point in points["Datapoints"])

    # Three were refused, a dry run not among them, and two let through.
    assert eventually(warnings, lambda seen: seen == 5) == 5


def test_a_signing_configuration_in_use_is_not_deleted_and_outlives_a_kill(own_platform):
    running = own_platform()
    client = running.client("lambda")
    arn = config(client, Tags={"team": "blue"})["CodeSigningConfigArn"]
    create(client, "held", ONE, CodeSigningConfigArn=arn)
    running.kill()
    running.start()
    client = running.client("lambda")
    assert client.get_function_code_signing_config(FunctionName="held")["CodeSigningConfigArn"] == arn
    held = client.get_function(FunctionName="held")["Configuration"]["FunctionArn"]
    assert client.list_functions_by_code_signing_config(CodeSigningConfigArn=arn)["FunctionArns"] == [held]
    assert client.list_tags(Resource=arn)["Tags"] == {"team": "blue"}
    client.tag_resource(Resource=arn, Tags={"more": "1"})
    client.untag_resource(Resource=arn, TagKeys=["team"])
    assert client.list_tags(Resource=arn)["Tags"] == {"more": "1"}
    assert refused(client.delete_code_signing_config, CodeSigningConfigArn=arn)[:2] == ("ResourceConflictException", 409)
    client.delete_function_code_signing_config(FunctionName="held")
    # What every refresh of Terraform asks: a function without one answers with its name.
    answer = client.get_function_code_signing_config(FunctionName="held")
    assert "CodeSigningConfigArn" not in answer and answer["FunctionName"] == "held"
    client.delete_code_signing_config(CodeSigningConfigArn=arn)
    assert refused(client.put_function_code_signing_config, FunctionName="held", CodeSigningConfigArn=arn) == (
        "CodeSigningConfigNotFoundException",
        404,
        f"The code signing configuration cannot be found. Check that the provided configuration is not deleted: {arn}.",
    )


def test_the_aws_cli_speaks_of_signing_configurations(platform):
    publishers = json.dumps({"SigningProfileVersionArns": [PUBLISHER]})
    made = platform.cli("lambda", "create-code-signing-config", "--allowed-publishers", publishers).stdout
    arn = json.loads(made)["CodeSigningConfig"]["CodeSigningConfigArn"]
    shown = platform.cli("lambda", "get-code-signing-config", "--code-signing-config-arn", arn).stdout
    assert json.loads(shown) == json.loads(made)
    platform.cli("lambda", "delete-code-signing-config", "--code-signing-config-arn", arn)

"""Versions and aliases as boto3 and the AWS CLI see them."""

import base64
import collections
import concurrent.futures
import json
import urllib.error
import urllib.request

import pytest
from botocore.exceptions import ClientError

from platform_under_test import ROLE, create, eventually, invoke, zipped

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"


def code(word, before=""):
    """A function that answers with a word and with what it knows of itself."""
    return (
        f"import os, time\ndef handler(event, context):\n    {before or 'pass'}\n"
        f"    return {{'word': '{word}', 'env': os.environ.get('WORD'), 'version': context.function_version,\n"
        "            'variable': os.environ['AWS_LAMBDA_FUNCTION_VERSION'], 'stream': context.log_stream_name,\n"
        "            'arn': context.invoked_function_arn}\n"
    )


def publish(client, name, word, **more):
    client.update_function_code(FunctionName=name, ZipFile=zipped({"app.py": code(word)}))
    return client.publish_version(FunctionName=name, **more)


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]


def test_versions_run_their_own_code_and_settings_under_every_name(functions):
    create(functions, "forms", {"app.py": code("one")}, Environment={"Variables": {"WORD": "first"}})
    first = functions.publish_version(FunctionName="forms", Description="the first")
    assert (first["Version"], first["FunctionArn"], first["Description"]) == ("1", f"{ARN}forms:1", "the first")
    functions.update_function_configuration(FunctionName="forms", Environment={"Variables": {"WORD": "second"}})
    assert publish(functions, "forms", "two")["Version"] == "2"
    functions.update_function_code(FunctionName="forms", ZipFile=zipped({"app.py": code("latest")}))
    functions.create_alias(FunctionName="forms", Name="live", FunctionVersion="1")
    for qualifier, word, version in [("1", "one", "1"), ("2", "two", "2"), ("live", "one", "1"), ("$LATEST", "latest", "$LATEST")]:
        for name in [f"{ARN}forms:{qualifier}", f"000000000000:function:forms:{qualifier}", f"forms:{qualifier}"]:
            answer, raw = invoke(functions, name)
            assert (answer["word"], answer["version"], answer["variable"]) == (word, version, version), name
            assert raw["ExecutedVersion"] == version and answer["arn"] == f"{ARN}forms:{qualifier}"
            assert f"[{version}]" in answer["stream"]
            assert answer["env"] == ("first" if version == "1" else "second")
        answer, raw = invoke(functions, "forms", Qualifier=qualifier, LogType="Tail")
        assert answer["word"] == word and f"Version: {version}\n" in base64.b64decode(raw["LogResult"]).decode()
    assert invoke(functions, "forms")[0]["arn"] == f"{ARN}forms"
    shown = functions.get_function(FunctionName="forms", Qualifier="live")
    assert shown["Configuration"]["FunctionArn"] == f"{ARN}forms:live" and shown["Configuration"]["Version"] == "1"
    with urllib.request.urlopen(shown["Code"]["Location"]) as zip_file:
        assert len(zip_file.read()) == shown["Configuration"]["CodeSize"]


def test_the_same_is_not_published_twice_and_numbers_are_not_used_again(platform, functions):
    create(functions, "numbers", {"app.py": code("one")}, Publish=True)
    assert functions.publish_version(FunctionName="numbers")["Version"] == "1"
    shown = json.loads(platform.cli("lambda", "publish-version", "--function-name", "numbers").stdout)
    assert shown["Version"] == "1" and shown["State"] == "Active"
    platform.cli("lambda", "wait", "published-version-active", "--function-name", "numbers", "--qualifier", "1")
    updated = functions.update_function_code(FunctionName="numbers", ZipFile=zipped({"app.py": code("two")}), Publish=True)
    assert (updated["Version"], updated["FunctionArn"]) == ("2", f"{ARN}numbers:2")
    pages = functions.get_paginator("list_versions_by_function").paginate(FunctionName="numbers", PaginationConfig={"PageSize": 2})
    pages = [[one["Version"] for one in page["Versions"]] for page in pages]
    assert pages == [["$LATEST", "1"], ["2"]]
    every = functions.get_paginator("list_functions").paginate(FunctionVersion="ALL")
    arns = [one["FunctionArn"] for page in every for one in page["Functions"] if one["FunctionName"] == "numbers"]
    assert arns == [f"{ARN}numbers:{version}" for version in ["$LATEST", "1", "2"]]
    functions.delete_function(FunctionName="numbers", Qualifier="2")
    assert functions.publish_version(FunctionName="numbers")["Version"] == "3"
    functions.delete_function(FunctionName="numbers")
    create(functions, "numbers", {"app.py": code("one")})
    assert functions.publish_version(FunctionName="numbers")["Version"] == "4"


def test_weights_share_out_two_hundred_invocations(functions):
    create(functions, "weights", {"app.py": code("one")}, Publish=True)
    publish(functions, "weights", "two")
    functions.create_alias(
        FunctionName="weights", Name="canary", FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {"2": 0.25}}
    )
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: invoke(functions, "weights:canary"), range(200)))
    seen = collections.Counter((answer["word"], raw["ExecutedVersion"]) for answer, raw in answers)
    assert set(seen) == {("one", "1"), ("two", "2")}
    # Five standard deviations: chance leaves this once in two million runs.
    assert 20 <= seen[("two", "2")] <= 80, seen
    functions.update_alias(FunctionName="weights", Name="canary", FunctionVersion="2", RoutingConfig={"AdditionalVersionWeights": {}})
    assert {invoke(functions, "weights:canary")[0]["word"] for _ in range(5)} == {"two"}


def test_an_update_leaves_what_runs_on_its_old_code(functions):
    create(functions, "running", {"app.py": code("old", "time.sleep(1.5)")}, Timeout=20)
    functions.publish_version(FunctionName="running")
    functions.create_alias(FunctionName="running", Name="live", FunctionVersion="1")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        held = [pool.submit(invoke, functions, name) for name in ["running", "running", "running:live"]]
        while not all(one.running() for one in held):
            pass
        concurrent.futures.wait(held, timeout=0.7)
        functions.update_function_code(FunctionName="running", ZipFile=zipped({"app.py": code("new")}), Publish=True)
        functions.update_alias(FunctionName="running", Name="live", FunctionVersion="2")
        assert invoke(functions, "running")[0]["word"] == "new"
        assert invoke(functions, "running:live")[0]["word"] == "new"
        assert [one.result()[0]["word"] for one in held] == ["old"] * 3
    assert invoke(functions, "running:1")[0]["word"] == "old"


def test_each_alias_has_a_url_and_a_policy_of_its_own(functions):
    create(functions, "paths", {"app.py": code("one")}, Publish=True)
    functions.update_function_code(FunctionName="paths", ZipFile=zipped({"app.py": code("two")}))
    functions.create_alias(FunctionName="paths", Name="live", FunctionVersion="1")
    own = functions.create_function_url_config(FunctionName="paths", AuthType="NONE")
    of_alias = functions.create_function_url_config(FunctionName="paths", Qualifier="live", AuthType="NONE")
    assert of_alias["FunctionArn"] == f"{ARN}paths:live"
    listed = functions.list_function_url_configs(FunctionName="paths")["FunctionUrlConfigs"]
    assert [one["FunctionArn"] for one in listed] == [f"{ARN}paths", f"{ARN}paths:live"]

    def fetch(url):
        # The host need not resolve here: the platform knows the URL by its path, too.
        id = url["FunctionUrl"].split("//")[1].split(".")[0]
        with urllib.request.urlopen(f"{functions.meta.endpoint_url}/_lambent/url/{id}/") as answer:
            return json.loads(answer.read())

    assert (fetch(own)["word"], fetch(of_alias)["word"]) == ("two", "one")
    assert fetch(of_alias)["arn"] == f"{ARN}paths:live"
    functions.add_permission(
        FunctionName="paths", Qualifier="live", StatementId="s", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com"
    )
    policy = json.loads(functions.get_policy(FunctionName="paths", Qualifier="live")["Policy"])
    assert policy["Statement"][0]["Resource"] == f"{ARN}paths:live"
    assert refused(functions.get_policy, FunctionName="paths")[0] == "ResourceNotFoundException"
    functions.delete_alias(FunctionName="paths", Name="live")
    with pytest.raises(urllib.error.HTTPError) as caught:
        fetch(of_alias)
    assert caught.value.code == 404


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_versions_and_aliases_survive(own_platform, end):
    running = own_platform()
    client = running.client("lambda")
    create(client, "kept", {"app.py": code("one")}, Publish=True)
    publish(client, "kept", "two")
    client.update_function_code(FunctionName="kept", ZipFile=zipped({"app.py": code("latest")}))
    client.create_alias(
        FunctionName="kept", Name="live", FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}}
    )
    url = client.create_function_url_config(FunctionName="kept", Qualifier="live", AuthType="NONE")["FunctionUrl"]

    def seen(client):
        versions = client.list_versions_by_function(FunctionName="kept")["Versions"]
        alias = client.get_alias(FunctionName="kept", Name="live")
        alias.pop("ResponseMetadata")
        return versions, alias

    before = seen(client)
    running.stop() if end == "stop" else running.kill()
    running.start()
    client = running.client("lambda")
    assert seen(client) == before
    for qualifier, word in [("1", "one"), ("2", "two"), ("$LATEST", "latest")]:
        assert invoke(client, f"kept:{qualifier}")[0]["word"] == word
    assert {invoke(client, "kept:live")[0]["word"] for _ in range(30)} == {"one", "two"}
    again = client.get_function_url_config(FunctionName="kept", Qualifier="live")["FunctionUrl"]
    assert again.split(".")[0] == url.split(".")[0]


def test_what_is_wrong_is_refused_in_aws_words(functions):
    create(functions, "wrong", {"app.py": code("one")}, Publish=True)
    functions.create_alias(FunctionName="wrong", Name="live", FunctionVersion="1")
    missing, invalid, conflict = "ResourceNotFoundException", "InvalidParameterValueException", "ResourceConflictException"
    stale = (
        "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the "
        "latest Revision Id"
    )
    weights = {"AdditionalVersionWeights": {"1": 0.5}}
    for call, arguments, expected in [
        (functions.publish_version, {"RevisionId": "x"}, ("PreconditionFailedException", 412, stale)),
        (functions.get_function, {"Qualifier": "9"}, (missing, 404, f"Function not found: {ARN}wrong:9")),
        (functions.invoke, {"Qualifier": "nobody"}, (missing, 404, f"Function not found: {ARN}wrong:nobody")),
        (functions.create_alias, {"Name": "live", "FunctionVersion": "1"}, (conflict, 409, f"Alias already exists: {ARN}wrong:live")),
        (functions.create_alias, {"Name": "x", "FunctionVersion": "9"}, (missing, 404, f"Function not found: {ARN}wrong:9")),
        (functions.get_alias, {"Name": "nobody"}, (missing, 404, f"Cannot find alias arn: {ARN}wrong:nobody")),
        (functions.update_alias, {"Name": "live", "RevisionId": "x"}, ("PreconditionFailedException", 412, stale)),
        (
            functions.update_alias,
            {"Name": "live", "RoutingConfig": weights},
            (invalid, 400, "Invalid function version 1. Function version 1 is already included in routing configuration."),
        ),
        (
            functions.delete_function,
            {"Qualifier": "1"},
            (conflict, 409, "Unable to delete version because the following aliases reference it: [live]"),
        ),
        (
            functions.delete_function,
            {"Qualifier": "$LATEST"},
            (invalid, 400, "$LATEST version cannot be deleted without deleting the function."),
        ),
        (functions.delete_function, {"Qualifier": "live"}, (invalid, 400, "Deletion of aliases is not currently supported.")),
    ]:
        assert refused(call, FunctionName="wrong", **arguments) == expected
    for call, arguments in [
        (functions.create_alias, {"Name": "12", "FunctionVersion": "1"}),
        (functions.create_alias, {"Name": "x", "FunctionVersion": "live"}),
        (functions.create_alias, {"Name": "x", "FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"live": 0.5}}}),
        (functions.create_function_url_config, {"Qualifier": "1", "AuthType": "NONE"}),
        (functions.list_aliases, {"MaxItems": 10001}),
    ]:
        got = refused(call, FunctionName="wrong", **arguments)
        assert got[:2] == ("ValidationException", 400), got
    for call in [functions.publish_version, functions.list_versions_by_function, functions.list_aliases]:
        assert refused(call, FunctionName="nobody") == (missing, 404, f"Function not found: {ARN}nobody")


def test_provisioned_environments_are_ready_before_the_first_call_and_after_a_restart(own_platform):
    running = own_platform()
    client = running.client("lambda")
    slow = "import os, time\ntime.sleep(0.3)\ndef handler(event, context):\n    return os.environ['AWS_LAMBDA_INITIALIZATION_TYPE']\n"
    create(client, "ahead", {"app.py": slow}, Publish=True)
    client.create_alias(FunctionName="ahead", Name="live", FunctionVersion="1")
    asked = client.put_provisioned_concurrency_config(FunctionName="ahead", Qualifier="live", ProvisionedConcurrentExecutions=2)
    assert (asked["Status"], asked["AllocatedProvisionedConcurrentExecutions"]) == ("IN_PROGRESS", 0)

    def ready(client):
        look = lambda: client.get_provisioned_concurrency_config(FunctionName="ahead", Qualifier="live")
        seen = eventually(look, lambda seen: seen["Status"] != "IN_PROGRESS")
        assert (seen["Status"], seen["AvailableProvisionedConcurrentExecutions"]) == ("READY", 2), seen
        answer, raw = invoke(client, "ahead", Qualifier="live", LogType="Tail")
        assert answer == "provisioned-concurrency"
        assert "Init Duration" not in base64.b64decode(raw["LogResult"]).decode(), "nothing had to start"

    ready(client)
    listed = client.list_provisioned_concurrency_configs(FunctionName="ahead")["ProvisionedConcurrencyConfigs"]
    assert [(one["FunctionArn"], one["RequestedProvisionedConcurrentExecutions"]) for one in listed] == [(f"{ARN}ahead:live", 2)]
    running.kill()
    running.start()
    client = running.client("lambda")
    ready(client)
    client.delete_provisioned_concurrency_config(FunctionName="ahead", Qualifier="live")
    got = refused(client.get_provisioned_concurrency_config, FunctionName="ahead", Qualifier="live")
    assert got[:2] == ("ProvisionedConcurrencyConfigNotFoundException", 404)
    got = refused(client.put_provisioned_concurrency_config, FunctionName="ahead", Qualifier="$LATEST", ProvisionedConcurrentExecutions=1)
    assert got[2] == "Provisioned Concurrency Configs cannot be applied to unpublished function versions."


def test_a_version_that_cannot_start_says_so(functions):
    create(functions, "cannot", {"app.py": "raise ValueError('no')\n"}, Publish=True)
    functions.put_provisioned_concurrency_config(FunctionName="cannot", Qualifier="1", ProvisionedConcurrentExecutions=1)
    look = lambda: functions.get_provisioned_concurrency_config(FunctionName="cannot", Qualifier="1")
    seen = eventually(look, lambda seen: seen["Status"] != "IN_PROGRESS")
    assert (seen["Status"], seen["StatusReason"]) == ("FAILED", "FUNCTION_ERROR_INIT_FAILURE"), seen
    functions.delete_function(FunctionName="cannot")


def test_a_function_that_calls_itself_is_stopped(functions):
    # As AWS's SDKs do: the header that the function was given goes along with what it calls.
    calls = (
        "import json, os, urllib.error, urllib.request\ndef handler(event, context):\n    n = event['n']\n    if n >= 40:\n        return n\n"
        "    url = os.environ['AWS_ENDPOINT_URL'] + '/2015-03-31/functions/endless/invocations'\n"
        "    headers = {'X-Amzn-Trace-Id': os.environ['_X_AMZN_TRACE_ID']}\n"
        "    call = urllib.request.Request(url, json.dumps({'n': n + 1}).encode(), headers)\n"
        "    try:\n        return json.loads(urllib.request.urlopen(call).read())\n"
        "    except urllib.error.HTTPError as error:\n        return [n, error.code, error.headers['x-amzn-errortype']]\n"
    )
    create(functions, "endless", {"app.py": calls}, Timeout=60)
    assert functions.get_function_recursion_config(FunctionName="endless")["RecursiveLoop"] == "Terminate"
    # The first call comes without a trace header and begins the count.
    assert invoke(functions, "endless", {"n": 1})[0] == [16, 400, "RecursiveInvocationException"]
    shown = functions.put_function_recursion_config(FunctionName="endless", RecursiveLoop="Allow")
    assert shown["RecursiveLoop"] == "Allow"
    assert invoke(functions, "endless", {"n": 20})[0] == 40


def test_runtime_management_and_tracing_are_echoed(functions):
    create(functions, "managed", {"app.py": code("one")}, TracingConfig={"Mode": "Active"})
    shown = functions.get_function_configuration(FunctionName="managed")
    assert shown["TracingConfig"] == {"Mode": "Active"}
    arn = shown["RuntimeVersionConfig"]["RuntimeVersionArn"]
    assert functions.get_runtime_management_config(FunctionName="managed")["UpdateRuntimeOn"] == "Auto"
    functions.put_runtime_management_config(FunctionName="managed", UpdateRuntimeOn="Manual", RuntimeVersionArn=arn)
    pinned = functions.get_runtime_management_config(FunctionName="managed")
    assert (pinned["UpdateRuntimeOn"], pinned["RuntimeVersionArn"]) == ("Manual", arn)
    assert pinned["FunctionArn"] == f"{ARN}managed:$LATEST"
    got = refused(functions.put_runtime_management_config, FunctionName="managed", UpdateRuntimeOn="Manual")
    assert got[:2] == ("InvalidParameterValueException", 400)


def test_a_container_image_is_kept_and_says_that_it_does_not_run(functions):
    uri = "000000000000.dkr.ecr.us-east-1.amazonaws.com/app:v1"
    functions.create_function(
        FunctionName="image", PackageType="Image", Role=ROLE, Code={"ImageUri": uri}, ImageConfig={"Command": ["app.handler"]}
    )
    functions.get_waiter("function_active_v2").wait(FunctionName="image", WaiterConfig={"Delay": 1, "MaxAttempts": 10})
    shown = functions.get_function(FunctionName="image")
    assert (shown["Code"]["RepositoryType"], shown["Code"]["ImageUri"]) == ("ECR", uri)
    assert shown["Configuration"]["PackageType"] == "Image" and "Runtime" not in shown["Configuration"]
    assert shown["Configuration"]["ImageConfigResponse"]["ImageConfig"]["Command"] == ["app.handler"]
    code, _, message = refused(functions.invoke, FunctionName="image")
    assert code == "InvalidRuntimeException" and uri in message
    functions.delete_function(FunctionName="image")

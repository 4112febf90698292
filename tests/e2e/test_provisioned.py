"""Provisioned concurrency as those who pay for it see it: used first, held back, there again, and measured."""

import collections
import concurrent.futures
import datetime
import os
import signal

import pytest
from botocore.exceptions import ClientError

from platform_under_test import create, eventually, invoke
from test_survival import helpers_of

CODE = (
    "import os, time\nKIND = os.environ['AWS_LAMBDA_INITIALIZATION_TYPE']\n"
    "def handler(event, context):\n    time.sleep(event)\n    return KIND\n"
)


def provisioned(client, count, qualifier="live"):
    create(client, "ahead", {"app.py": CODE}, Publish=True, Timeout=30)
    client.create_alias(FunctionName="ahead", Name="live", FunctionVersion="1")
    client.put_provisioned_concurrency_config(FunctionName="ahead", Qualifier=qualifier, ProvisionedConcurrentExecutions=count)
    ready(client, count, qualifier)


def ready(client, count, qualifier="live"):
    def look():
        seen = client.get_provisioned_concurrency_config(FunctionName="ahead", Qualifier=qualifier)
        # At no time is it given up.
        assert seen["Status"] != "FAILED", seen
        return seen["Status"], seen["AvailableProvisionedConcurrentExecutions"]

    assert eventually(look, lambda seen: seen == ("READY", count)) == ("READY", count)


def call(client, name, seconds, **more):
    """By which kind of environment a call was answered, or for what reason it was refused."""
    try:
        return invoke(client, name, seconds, **more)[0]
    except ClientError as error:
        return error.response["Reason"]


def burst(client, count, seconds=0.5, **more):
    """Calls at once, and how many were answered how."""
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return collections.Counter(pool.map(lambda _: call(client, "ahead", seconds, **more), range(count)))


def test_provisioned_environments_are_used_first_and_outlive_the_others(own_platform):
    running = own_platform("--test-controls")
    client = running.client("lambda")
    provisioned(client, 2)
    of = {"Qualifier": "live"}
    assert burst(client, 4, **of) == {"provisioned-concurrency": 2, "on-demand": 2}
    for _ in range(4):
        assert burst(client, 2, 0.2, **of) == {"provisioned-concurrency": 2}
        running.lambent("clock", "advance", "4m")
    assert burst(client, 3, **of) == {"provisioned-concurrency": 2, "on-demand": 1}
    # What was configured is told as AWS tells it, of the alias.
    metrics = running.client("cloudwatch")
    now = datetime.datetime.now(datetime.timezone.utc)

    def metric(name, statistic, dimensions):
        points = metrics.get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName=name,
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
            StartTime=now - datetime.timedelta(hours=1),
            EndTime=now + datetime.timedelta(hours=1),
            Period=7200,
            Statistics=[statistic],
        )["Datapoints"]
        values = [point[statistic] for point in points]
        return sum(values) if statistic == "Sum" else max(values, default=0)

    alias = {"FunctionName": "ahead", "Resource": "ahead:live"}
    counted = lambda: metric("ProvisionedConcurrencyInvocations", "Sum", alias)
    assert eventually(counted, lambda count: count == 12) == 12
    assert metric("ProvisionedConcurrencySpilloverInvocations", "Sum", alias) == 3
    assert metric("ProvisionedConcurrentExecutions", "Maximum", alias) == 2
    assert metric("ProvisionedConcurrencyUtilization", "Maximum", alias) == 1
    assert metric("ClaimedAccountConcurrency", "Maximum", {}) == 4
    assert metric("ProvisionedConcurrencyInvocations", "Sum", {"FunctionName": "ahead"}) == 0


def test_provisioned_concurrency_is_held_back_and_told_so(own_platform):
    running = own_platform("--concurrency", "110")
    client = running.client("lambda")
    provisioned(client, 10, "1")
    assert client.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"] == 100
    create(client, "others", {"app.py": CODE}, Timeout=30, MemorySize=128)
    with concurrent.futures.ThreadPoolExecutor(104) as pool:
        others = [pool.submit(call, client, "others", 10) for _ in range(104)]
        first = next(concurrent.futures.as_completed(others))
        assert first.result() == "ConcurrentInvocationLimitExceeded", "the others hold all that is left, for ten seconds"
        assert burst(client, 10, 0.2, Qualifier="1") == {"provisioned-concurrency": 10}
        answers = collections.Counter(other.result() for other in others)
    assert answers == {"on-demand": 100, "ConcurrentInvocationLimitExceeded": 4}


@pytest.mark.parametrize("callers", [0, 1])
def test_provisioned_environments_are_back_when_the_helper_is(own_platform, callers):
    running = own_platform()
    client = running.client("lambda")
    provisioned(client, 4)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        calls = [pool.submit(burst, client, 1, 5, Qualifier="live") for _ in range(callers)]
        helper = helpers_of(running.process.pid)[0]
        os.kill(helper, signal.SIGKILL)
        eventually(lambda: helpers_of(running.process.pid), lambda now: now and helper not in now, seconds=10)
        ready(client, 4)
        concurrent.futures.wait(calls)
    assert invoke(client, "ahead", 0, Qualifier="live")[0] == "provisioned-concurrency"

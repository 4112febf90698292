"""Metrics, through boto3, the AWS CLI, and each of the service's protocols."""

import datetime
import json
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from platform_under_test import create, eventually, invoke

CODE = """
import json, time
def handler(event, context):
    while 'spin' in event and time.process_time() < event['spin']:
        pass
    if 'emf' in event:
        about = {'Namespace': 'Emf', 'Dimensions': [['page']], 'Metrics': [{'Name': 'took', 'Unit': 'Milliseconds'}]}
        print(json.dumps({'_aws': {'Timestamp': event['at'], 'CloudWatchMetrics': [about]}, 'page': 'cart', 'took': event['emf']}))
        print('{"_aws": {"CloudWatchMetrics": [')
    if 'fail' in event:
        raise ValueError('wanted')
    return len(event)
"""


def window():
    now = datetime.datetime.now(datetime.timezone.utc)
    return {"StartTime": now - datetime.timedelta(minutes=30), "EndTime": now + datetime.timedelta(minutes=5)}


def query(identifier, namespace, name, stat, **dimensions):
    pairs = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    metric = {"Namespace": namespace, "MetricName": name, "Dimensions": pairs}
    return {"Id": identifier, "MetricStat": {"Metric": metric, "Period": 3600, "Stat": stat}}


def read(client, *queries):
    """The sum of each series' values: a test may run across the border of two periods."""
    answer = client.get_metric_data(MetricDataQueries=list(queries), **window())
    return {one["Id"]: one["Values"] for one in answer["MetricDataResults"]}


def test_a_functions_metrics_are_right_and_survive(own_platform):
    platform = own_platform()
    client = platform.client("lambda")
    create(client, "measured", {"app.py": CODE})
    # The kernel tells user and system time apart by looking now and then: a moment's work may be all the one or all the other.
    for n in range(20):
        invoke(client, "measured", {"fail": 1} if n % 10 == 9 else {"spin": 0.1} if n == 0 else {})
    own = {"FunctionName": "measured"}
    queries = [
        query("invocations", "AWS/Lambda", "Invocations", "Sum", **own),
        query("errors", "AWS/Lambda", "Errors", "Sum", **own),
        query("average", "AWS/Lambda", "Duration", "Average", **own),
        query("p99", "AWS/Lambda", "Duration", "p99", **own),
        query("most", "AWS/Lambda", "Duration", "Maximum", **own),
        query("cold", "Lambent", "ColdStarts", "Sum", **own),
        query("cpu", "Lambent", "CpuUser", "Sum", **own),
        query("all", "AWS/Lambda", "Invocations", "Sum"),
        {"Id": "rate", "Expression": "100 * errors / invocations"},
    ]
    metrics = platform.client("cloudwatch")
    before = read(metrics, *queries)
    assert sum(before["invocations"]) == 20 and sum(before["errors"]) == 2 and sum(before["cold"]) == 1
    assert sum(before["all"]) == 20 and before["rate"][0] == 10
    assert 0 < before["average"][0] <= before["p99"][0] <= before["most"][0] and sum(before["cpu"]) > 0
    time.sleep(1)
    platform.kill()
    platform.start()
    assert read(platform.client("cloudwatch"), *queries) == before
    platform.stop()
    platform.start()
    assert read(platform.client("cloudwatch"), *queries) == before


def test_asynchronous_events_are_measured(platform, functions):
    create(functions, "measured-later", {"app.py": CODE})
    functions.invoke(FunctionName="measured-later", InvocationType="Event", Payload=b"{}")
    metrics = platform.client("cloudwatch")
    names = lambda: {one["MetricName"] for one in metrics.list_metrics(Dimensions=[{"Name": "FunctionName", "Value": "measured-later"}])["Metrics"]}
    wanted = {"AsyncEventsReceived", "AsyncEventAge", "Invocations", "HandlerDuration"}
    assert wanted <= eventually(names, lambda seen: wanted <= seen)


def test_custom_metrics_through_boto3(platform):
    metrics = platform.client("cloudwatch")
    dimensions = [{"Name": "page", "Value": "cart"}]
    data = [{"MetricName": "took", "Dimensions": dimensions, "Value": value, "Unit": "Milliseconds"} for value in range(1, 101)]
    metrics.put_metric_data(Namespace="Boto", MetricData=data)
    points = metrics.get_metric_statistics(
        Namespace="Boto", MetricName="took", Dimensions=dimensions, Period=3600, Statistics=["Sum", "SampleCount"], **window()
    )["Datapoints"]
    assert sum(point["Sum"] for point in points) == 5050 and points[0]["Unit"] == "Milliseconds"
    points = metrics.get_metric_statistics(
        Namespace="Boto", MetricName="took", Dimensions=dimensions, Period=3600, ExtendedStatistics=["p99"], **window()
    )["Datapoints"]
    assert abs(points[0]["ExtendedStatistics"]["p99"] - 99) <= 1
    listed = metrics.list_metrics(Namespace="Boto", RecentlyActive="PT3H")["Metrics"]
    assert listed == [{"Namespace": "Boto", "MetricName": "took", "Dimensions": dimensions}]
    pages = metrics.get_paginator("get_metric_data").paginate(MetricDataQueries=[query("m", "Boto", "took", "Sum", page="cart")], **window())
    assert sum(value for page in pages for one in page["MetricDataResults"] for value in one["Values"]) == 5050


def test_a_large_request_comes_packed(platform):
    metrics = platform.client("cloudwatch", request_min_compression_size_bytes=1000)
    packed = []
    metrics.meta.events.register("before-send.cloudwatch.PutMetricData", lambda request, **_: packed.append(request.headers.get("Content-Encoding")))
    metrics.put_metric_data(Namespace="Packed", MetricData=[{"MetricName": "m", "Value": 1.0} for _ in range(1000)])
    assert packed and packed[0] in (b"gzip", "gzip")
    assert sum(read(metrics, query("m", "Packed", "m", "Sum"))["m"]) == 1000


@pytest.mark.parametrize(
    "call, code",
    [
        (lambda client: client.put_metric_data(Namespace="AWS/Mine", MetricData=[{"MetricName": "m", "Value": 1}]), "InvalidParameterValue"),
        (lambda client: client.put_metric_data(Namespace="Mine", MetricData=[{"MetricName": "m", "Value": float("nan")}]), "InvalidParameterValue"),
        (
            lambda client: client.get_metric_statistics(
                Namespace="N", MetricName="m", Period=1, Statistics=["Sum"], **window()
            ),
            "InvalidParameterCombination",
        ),
        (lambda client: client.get_metric_data(MetricDataQueries=[query("m", "N", "m", "p101")], **window()), "ValidationError"),
        (lambda client: client.get_metric_data(MetricDataQueries=[{"Id": "e", "Expression": "SEARCH('{N} m', 'Sum')"}], **window()), "NotImplemented"),
    ],
)
def test_what_is_wrong_has_cloudwatchs_code(platform, call, code):
    with pytest.raises(ClientError) as caught:
        call(platform.client("cloudwatch"))
    assert caught.value.response["Error"]["Code"] == code, caught.value


def test_metrics_in_log_lines(platform, functions):
    create(functions, "printing", {"app.py": CODE})
    for value in (5, 7):
        invoke(functions, "printing", {"emf": value, "at": int(time.time() * 1000)})
    metrics = platform.client("cloudwatch")
    total = lambda: sum(read(metrics, query("m", "Emf", "took", "Sum", page="cart"))["m"])
    assert eventually(total, lambda seen: seen == 12) == 12
    logs = platform.client("logs")
    logs.create_log_group(logGroupName="/own")
    logs.create_log_stream(logGroupName="/own", logStreamName="s")
    about = {"Namespace": "EmfPut", "Dimensions": [[]], "Metrics": [{"Name": "hits"}]}
    now = int(time.time() * 1000)
    line = json.dumps({"_aws": {"Timestamp": now, "CloudWatchMetrics": [about]}, "hits": [1, 2]})
    logs.put_log_events(logGroupName="/own", logStreamName="s", logEvents=[{"timestamp": now, "message": line}])
    assert sum(read(metrics, query("m", "EmfPut", "hits", "SampleCount"))["m"]) == 2


def send(platform, headers, body):
    request = AWSRequest("POST", platform.endpoint + "/", headers=headers, data=body.encode())
    SigV4Auth(Credentials("test", "test"), "monitoring", "us-east-1").add_auth(request)
    prepared = request.prepare()
    try:
        with urllib.request.urlopen(urllib.request.Request(prepared.url, prepared.body, dict(prepared.headers))) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_old_sdks_speak_query_and_new_ones_json(platform):
    form = {
        "Action": "PutMetricData",
        "Version": "2010-08-01",
        "Namespace": "Query",
        "MetricData.member.1.MetricName": "m",
        "MetricData.member.1.Value": "2.5",
        "MetricData.member.1.Dimensions.member.1.Name": "a",
        "MetricData.member.1.Dimensions.member.1.Value": "b",
    }
    status, text = send(platform, {"Content-Type": "application/x-www-form-urlencoded"}, urllib.parse.urlencode(form))
    assert status == 200 and "PutMetricDataResponse" in text, text
    form = {"Action": "ListMetrics", "Version": "2010-08-01", "Namespace": "Query"}
    status, text = send(platform, {"Content-Type": "application/x-www-form-urlencoded"}, urllib.parse.urlencode(form))
    assert status == 200 and "<MetricName>m</MetricName>" in text and "<Value>b</Value>" in text, text
    target = lambda operation: {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"GraniteServiceVersion20100801.{operation}"}
    now = time.time()
    asked = {
        "Namespace": "Query",
        "MetricName": "m",
        "Dimensions": [{"Name": "a", "Value": "b"}],
        "StartTime": now - 600,
        "EndTime": now + 60,
        "Period": 3600,
        "Statistics": ["Sum"],
    }
    status, text = send(platform, target("GetMetricStatistics"), json.dumps(asked))
    assert status == 200 and [point["Sum"] for point in json.loads(text)["Datapoints"]] == [2.5], text
    status, text = send(platform, target("GetMetricStatistics"), json.dumps({**asked, "Period": 61}))
    assert status == 400 and "Period" in text, text
    form = {"Action": "PutMetricData", "Version": "2010-08-01", "Namespace": "AWS/X", "MetricData.member.1.MetricName": "m", "MetricData.member.1.Value": "1"}
    status, text = send(platform, {"Content-Type": "application/x-www-form-urlencoded"}, urllib.parse.urlencode(form))
    assert status == 400 and "<Code>InvalidParameterValue</Code>" in text, text


def test_the_aws_cli(platform):
    platform.cli("cloudwatch", "put-metric-data", "--namespace", "Cli", "--metric-name", "m", "--value", "3", "--dimensions", "a=b")
    listed = json.loads(platform.cli("cloudwatch", "list-metrics", "--namespace", "Cli").stdout)["Metrics"]
    assert listed[0]["Dimensions"] == [{"Name": "a", "Value": "b"}]
    now = datetime.datetime.now(datetime.timezone.utc)
    start, end = (now - datetime.timedelta(minutes=5)).isoformat(), (now + datetime.timedelta(minutes=5)).isoformat()
    shown = platform.cli(
        "cloudwatch", "get-metric-statistics", "--namespace", "Cli", "--metric-name", "m", "--dimensions", "Name=a,Value=b",
        "--start-time", start, "--end-time", end, "--period", "3600", "--statistics", "Average",
    )
    assert json.loads(shown.stdout)["Datapoints"][0]["Average"] == 3.0

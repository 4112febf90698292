"""What was used is counted once, whatever dies, and is billed in the unit of each tariff."""

import base64
import json
import re
import time

from platform_under_test import create, eventually, invoke, ran

CODE = """
import time
def handler(event, context):
    end = time.perf_counter() + event.get('busy', 0)
    while time.perf_counter() < end:
        pass
    time.sleep(event.get('wait', 0))
    print('ran', event.get('n'))
"""


def bill(platform, *arguments, **more):
    return json.loads(platform.lambent("bill", "--json", *arguments, **more).stdout)


def report(answer):
    """Billed milliseconds, the handler's, and CPU milliseconds of one call, from its REPORT line."""
    log = base64.b64decode(answer["LogResult"]).decode()
    number = lambda pattern: float(re.search(pattern, log).group(1))
    cpu_ms = number(r"CPU: user ([0-9.]+) ms") + number(r"system ([0-9.]+) ms")
    return int(number(r"Billed Duration: ([0-9]+) ms")), number(r"\tDuration: ([0-9.]+) ms"), cpu_ms


def test_a_call_bills_its_milliseconds_its_hundreds_or_its_cpu_time(own_platform):
    platform = own_platform()
    client = platform.client("lambda")
    create(client, "billed", {"app.py": CODE}, MemorySize=1024)
    invoke(client, "billed")
    before = {name: bill(platform, "--tariff", name)["total"] for name in ["aws", "aws-2016-100ms", "active-cpu"]}
    reports = [report(invoke(client, "billed", {"wait": 0.0145}, LogType="Tail")[1]) for _ in range(3)]
    after = {name: bill(platform, "--tariff", name)["total"] for name in before}
    billed = {name: after[name]["billedMs"] - before[name]["billedMs"] for name in before}
    assert billed["aws"] == sum(ms for ms, _, _ in reports)
    assert all(15 <= ms < 100 for ms, _, _ in reports), reports
    assert billed["aws-2016-100ms"] == 300
    # REPORT shows hundredths of a millisecond: a bill may have rounded up where it shows a whole number.
    cpu_ms = sum(cpu_ms for _, _, cpu_ms in reports)
    assert cpu_ms <= billed["active-cpu"] <= cpu_ms + 3.1
    assert billed["active-cpu"] < billed["aws"] < billed["aws-2016-100ms"]
    usd = after["aws"]["usd"] - before["aws"]["usd"]
    assert abs(usd - (3 * 0.2e-6 + billed["aws"] / 1000 * 0.0000166667)) < 1e-9
    assert after["active-cpu"]["awsUsd"] == after["aws"]["usd"]
    free = bill(platform, "--free-tier")
    assert free["total"]["usd"] == 0 and free["functions"][0]["usd"] > 0
    shown = platform.lambent("bill", "--tariff", "aws-2016-100ms").stdout
    assert "billed" in shown and "total" in shown and "https://aws.amazon.com/lambda/pricing/" in shown
    assert bill(platform, "--month", "2019-02")["functions"] == []


def test_wrong_input_says_what_is_expected(platform):
    for arguments, words in [(["--month", "november"], "YYYY-MM"), (["--tariff", "free"], "active-cpu")]:
        done = platform.lambent("bill", *arguments, check=False)
        assert done.returncode != 0 and words in done.stderr, done.stderr


def test_asynchronous_use_is_counted_once_whatever_dies(own_platform):
    platform = own_platform()
    client = platform.client("lambda")
    create(client, "queued", {"app.py": CODE}, Timeout=20)
    for n in range(20):
        event = json.dumps({"n": n, "wait": 0.05})
        assert client.invoke(FunctionName="queued", InvocationType="Event", Payload=event)["StatusCode"] == 202
    for _ in range(2):
        time.sleep(0.4)
        platform.kill()
        platform.start()
    expected = sorted(f"ran {n}" for n in range(20))
    eventually(lambda: sorted(set(ran(platform, "queued"))), lambda seen: seen == expected)
    # An event whose invocation was cut off runs again and counts then; one that had ended is not lost, and none counts twice.
    requests = lambda: bill(platform)["total"]["requests"]
    assert eventually(requests, lambda count: count >= 20) == 20
    platform.kill()
    platform.start()
    assert bill(platform)["total"]["requests"] == 20


def test_synchronous_use_is_durable_within_a_second(own_platform):
    platform = own_platform()
    client = platform.client("lambda")
    create(client, "called", {"app.py": CODE})
    for _ in range(5):
        invoke(client, "called")
    time.sleep(1)
    platform.kill()
    platform.start()
    assert bill(platform)["total"]["requests"] == 5


def test_provisioned_concurrency_is_billed_while_it_is_configured_and_covers_calls_at_its_own_rate(own_platform):
    platform = own_platform("--test-controls")
    client = platform.client("lambda")
    platform.lambent("clock", "pause")
    create(client, "kept", {"app.py": CODE}, MemorySize=512, Publish=True)
    invoke(client, "kept")
    on_demand = bill(platform)["total"]
    client.put_provisioned_concurrency_config(FunctionName="kept", Qualifier="1", ProvisionedConcurrentExecutions=2)
    state = lambda: client.get_provisioned_concurrency_config(FunctionName="kept", Qualifier="1")["Status"]
    assert eventually(state, lambda status: status == "READY") == "READY"
    report_of_it = report(invoke(client, "kept", Qualifier="1", LogType="Tail")[1])
    kept = lambda: bill(platform)["total"]["provisionedGbSeconds"]
    platform.lambent("clock", "advance", "31m")
    # Half a gigabyte, twice, for 31 minutes, which count as 35.
    assert eventually(kept, lambda seen: seen > 0) == 35 * 60
    platform.kill()
    platform.start()
    client = platform.client("lambda")
    platform.lambent("clock", "pause")
    assert kept() == 35 * 60
    client.delete_provisioned_concurrency_config(FunctionName="kept", Qualifier="1")
    platform.lambent("clock", "advance", "2h")
    assert kept() == 35 * 60
    total = bill(platform)["total"]
    covered = report_of_it[0] / 1000 / 2 * 0.0000097222
    assert abs(total["usd"] - on_demand["usd"] - 0.2e-6 - covered - 35 * 60 * 0.0000041667) < 1e-9
    assert "provisioned concurrency kept 2100.000 GB-s ready" in platform.lambent("bill").stdout

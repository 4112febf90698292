"""What a signature costs: the same warm invocations on a platform that believes every key, as all do on loopback until the account
has one, and on one whose account has a key, so that each signature is checked."""

import statistics
import tempfile

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ROUNDS, CALLS = 10, 300
MAY = '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'
PATH = "/2015-03-31/functions/signed/invocations"


def key_of(platform):
    """A user's access key. From now on the platform believes nobody without one."""
    believed = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    iam = boto3.client("iam", endpoint_url=f"http://127.0.0.1:{platform.port}", **believed)
    iam.create_user(UserName="bench")
    iam.put_user_policy(UserName="bench", PolicyName="all", PolicyDocument=MAY)
    key = iam.create_access_key(UserName="bench")["AccessKey"]
    return Credentials(key["AccessKeyId"], key["SecretAccessKey"])


def signature(platform, event):
    """The headers of a signed call. Signatures are good for some minutes."""
    request = AWSRequest("POST", f"http://127.0.0.1:{platform.port}{PATH}", data=event)
    SigV4Auth(key_of(platform), "lambda", "us-east-1").add_auth(request)
    headers = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    _, status, body = platform.connection.call("POST", PATH, event, headers.replace("Signature=", "Signature=0"))
    assert status == 403, f"a wrong signature was answered with {status} {body}"
    return {"headers": headers}


def measure(platform, python, event, code, cpu_us, row):
    """Turn by turn, on two platforms of the same binary."""
    with tempfile.TemporaryDirectory(prefix="lambent-bench-") as data:
        other = type(platform)(platform.binary, data)
        other.start()
        try:
            for one in (platform, other):
                one.create("signed", python, {"app.py": code})
                one.invoke("signed")
            compare({"believed": (platform, {}), "checked": (other, signature(other, event))}, event, cpu_us, row)
        finally:
            other.stop()


def compare(sides, event, cpu_us, row):
    took, spent = {which: [] for which in sides}, {which: [] for which in sides}
    # The first turn warms up.
    for turn in range(ROUNDS + 1):
        for which, (side, headers) in sides.items():
            before = cpu_us([side.process.pid])
            for _ in range(CALLS):
                one, status, body = side.connection.call("POST", PATH, event, **headers)
                assert status == 200, body
                if turn:
                    took[which].append(one * 1e3)
            if turn:
                spent[which].append((cpu_us([side.process.pid]) - before) / CALLS)
    for which in sides:
        row(f"warm: own Python bootstrap, signature {which}", took[which], note=f"server CPU {statistics.median(spent[which]):.0f} us each")
    print(f"  = {statistics.median(spent['checked']) - statistics.median(spent['believed']):.1f} us of CPU more for the check", flush=True)

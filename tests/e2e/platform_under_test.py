"""Starts the real binary and speaks to it as its users do."""

import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
import zipfile

import boto3
from botocore.config import Config

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("LAMBENT_BINARY", ROOT / "target/fast/lambent"))
ROLE = "arn:aws:iam::000000000000:role/lambda-test"
NOBODY = 65534


class Platform:
    """One `lambent serve` process on a free port, with a data folder that outlives restarts."""

    def __init__(self, data, *arguments, rootless=False, wrap=(), environment=None, listen="127.0.0.1:0"):
        """`wrap` is the beginning of a command that becomes the platform, as `setpriv` does."""
        self.data, self.arguments, self.rootless = pathlib.Path(data), arguments, rootless
        self.wrap, self.environment, self.listen = list(wrap), environment or {}, listen
        self.process = self.endpoint = None
        self.start()

    def start(self):
        command = [str(BINARY), "serve", "--listen", self.listen, "--data", str(self.data), *self.arguments]
        if dropped := os.environ.get("LAMBENT_DROP"):
            # What `cargo xtask drops --e2e` takes away to see which test notices.
            command += [] if "--test-controls" in command else ["--test-controls"]
            command += ["--drop-member", dropped]
        command = [*self.wrap, *command]
        environment = {**os.environ, "RUST_BACKTRACE": "0", **self.environment}
        if self.rootless:
            os.chown(self.data, NOBODY, NOBODY)
            command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]
            environment["HOME"] = str(self.data)
        self.log = open(self.data.parent / f"{self.data.name}.log", "ab")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, env=environment, text=True)
        for line in self.process.stdout:
            found = re.search(r"https?://[0-9.]+:\d+", line)
            if found:
                self.endpoint = found.group()
                return
        raise AssertionError(f"the platform did not start: exit {self.process.wait()}, see {self.log.name}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=20) == 0, "a clean stop exits with 0"
        self._close()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self._close()

    def _close(self):
        self.process.stdout.close()
        self.log.close()

    @property
    def port(self):
        return int(self.endpoint.rsplit(":", 1)[1])

    @property
    def https(self):
        return f"https://localhost:{self.port}"

    @property
    def authority(self):
        """The file with the certificate that clients of [`https`] trust."""
        path = self.lambent("ca", "--data", str(self.data)).stdout
        return re.search(r"AWS_CA_BUNDLE='(.*?)'", path).group(1)

    def client(self, service, key="test", secret="test", endpoint=None, verify=None, **config):
        return boto3.client(
            service,
            endpoint_url=endpoint or self.endpoint,
            verify=verify,
            region_name="us-east-1",
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=Config(retries={"max_attempts": 0}, read_timeout=120, max_pool_connections=50, **config),
        )

    def cli(self, *arguments, program=None, check=True, environment=None, **more):
        """Runs the AWS CLI (or another program) against the platform."""
        variables = {
            **os.environ,
            "AWS_ENDPOINT_URL": self.endpoint,
            "LAMBENT_ENDPOINT": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_PAGER": "",
            **(environment or {}),
        }
        program = program or [str(ROOT / "target/venv/bin/aws")]
        done = subprocess.run([*program, *arguments], env=variables, capture_output=True, text=True, timeout=300, **more)
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done

    def lambent(self, *arguments, **more):
        return self.cli(*arguments, program=[str(BINARY)], **more)


def eventually(look, enough, seconds=30):
    """What `look` sees once it is enough: for work that the platform does on its own time."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if enough(seen) or time.monotonic() > deadline:
            return seen
        time.sleep(0.05)


def zipped(files):
    """A zip of name → text or bytes; executables are named `bootstrap`."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o755 if name == "bootstrap" else 0o644) << 16
            archive.writestr(entry, content)
    return out.getvalue()


def python_runtime():
    """The identifier that the host's own python3 serves."""
    version = subprocess.run(
        ["python3", "-c", "import sys; print('python%d.%d' % sys.version_info[:2])"], capture_output=True, text=True, check=True
    )
    return version.stdout.strip()


def node_runtime():
    if not shutil.which("node"):
        return None
    major = subprocess.run(["node", "-p", "process.versions.node.split('.')[0]"], capture_output=True, text=True, check=True)
    return f"nodejs{major.stdout.strip()}.x"


def create(client, name, files, runtime=None, handler="app.handler", **more):
    """Creates a function and waits for it as every SDK user does."""
    client.create_function(
        FunctionName=name,
        Runtime=runtime or python_runtime(),
        Role=ROLE,
        Handler=handler,
        Code={"ZipFile": zipped(files)},
        **more,
    )
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 10})


def create_for_apis(client, name, files):
    """A function that APIs may invoke; its name."""
    create(client, name, files)
    client.add_permission(
        FunctionName=name,
        StatementId="apis",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
        SourceArn="arn:aws:execute-api:us-east-1:000000000000:*",
    )
    return name


def invoke(client, name, event=None, **more):
    """The answer's payload as JSON, and the whole answer."""
    answer = client.invoke(FunctionName=name, Payload=json.dumps(event if event is not None else {}), **more)
    payload = answer["Payload"].read()
    return (json.loads(payload) if payload else None), answer


# For what must be known after a kill: log lines of the last second may go with it, objects do not. A module for a function's zip.
TELL = """
import os, urllib.parse, urllib.request

def tell(word):
    request = urllib.request.Request(f"{os.environ['AWS_ENDPOINT_URL']}/{urllib.parse.quote(word)}", b"told", method="PUT")
    request.add_header("Host", "told.s3.us-east-1.localhost")
    urllib.request.urlopen(request).read()
"""


def told(platform):
    """What functions told with [`TELL`]: the test makes the bucket `told`."""
    listed = platform.client("s3").list_objects_v2(Bucket="told")
    return {one["Key"] for one in listed.get("Contents", [])}


def ran(platform, name):
    """What `print('ran', …)` left in the function's log."""
    logs = platform.client("logs")
    try:
        events = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}", filterPattern="ran")["events"]
    except logs.exceptions.ResourceNotFoundException:
        return []
    return sorted(event["message"].strip() for event in events)

"""The same life of a function, as each of the clients sees it that people have: what one SDK forgives, another does not.

`make clients` sets up aws-sdk-js v3 and the AWS CLI v2, `make clients-rust` builds the program of aws-sdk-rust; boto3 and the
AWS CLI v1 are in the tests' own virtual environment. A client that is not there is skipped by name.
"""

import json
import os
import shutil
import subprocess
import urllib.request

import pytest
from platform_under_test import ROOT, create, node_runtime, python_runtime, zipped

CLIENTS = ROOT / "target/clients"
HERE = ROOT / "tests/clients"
ROLE_TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}

FIRST = """
import os
def handler(event, context):
    if event.get("fail"):
        raise ValueError("as asked")
    print("saying", event.get("say"))
    return {"said": event.get("say"), "stage": os.environ["STAGE"]}
"""
SECOND = """
import json, os
def handler(event, context):
    return {"second": event.get("say"), "stage": os.environ["STAGE"]}
"""


def missing(what, how):
    """Skips, and says so where nobody overlooks it."""
    message = f"{what} is not here: {how}"
    print(f"\n!!! SKIPPED: {message}")
    pytest.skip(message)


@pytest.fixture
def archives(tmp_path):
    """Two versions of one function as zip files."""
    paths = []
    for name, source in (("first", FIRST), ("second", SECOND)):
        path = tmp_path / f"{name}.zip"
        path.write_bytes(zipped({"app.py": source}))
        paths.append(str(path))
    return paths


@pytest.fixture(params=["1", "2"])
def aws(request, platform):
    """The AWS CLI of a major version, as a function that gives what it printed."""
    program = ROOT / "target/venv/bin/aws" if request.param == "1" else CLIENTS / "awscli/aws"
    if not program.exists():
        missing(f"the AWS CLI v{request.param}", "`make clients` installs it (x86-64 only)")

    def run(*arguments, check=True):
        done = platform.cli(*arguments, program=[str(program)], check=check)
        if not check:
            return done
        return json.loads(done.stdout) if done.stdout.strip().startswith(("{", "[")) else done.stdout.strip()

    run.version = request.param
    return run


def test_the_aws_cli(aws, platform, archives, tmp_path):
    version = platform.cli("--version", program=[str(ROOT / "target/venv/bin/aws" if aws.version == "1" else CLIENTS / "awscli/aws")]).stdout
    assert version.startswith(f"aws-cli/{aws.version}."), version
    name, out = f"cli-{aws.version}", str(tmp_path / "out.json")

    def fails(*arguments):
        done = aws(*arguments, check=False)
        # Version 1 ends with 255, version 2 with 254 when the service answered an error.
        assert done.returncode == (255 if aws.version == "1" else 254), done.stdout + done.stderr
        return done.stderr

    def call(*arguments, event=None):
        if event is not None:
            arguments += ("--payload", json.dumps(event))
            arguments += ("--cli-binary-format", "raw-in-base64-out") if aws.version == "2" else ()
        return aws("lambda", "invoke", "--function-name", name, *arguments, out)

    made = lambda: json.loads((tmp_path / "out.json").read_text())
    assert aws("sts", "get-caller-identity")["Account"] == "000000000000"
    trust = json.dumps(ROLE_TRUST)
    role = aws("iam", "create-role", "--role-name", name, "--assume-role-policy-document", trust)["Role"]["Arn"]
    assert "(EntityAlreadyExists)" in fails("iam", "create-role", "--role-name", name, "--assume-role-policy-document", trust)
    assert "(ResourceNotFoundException)" in fails("lambda", "get-function", "--function-name", name)
    settings = ["--runtime", python_runtime(), "--role", role, "--handler", "app.handler", "--tags", "team=blue"]
    settings += ["--environment", "Variables={STAGE=one}"]
    aws("lambda", "create-function", "--function-name", name, "--zip-file", f"fileb://{archives[0]}", *settings)
    aws("lambda", "wait", "function-active-v2", "--function-name", name)
    assert aws("lambda", "get-function", "--function-name", name)["Tags"] == {"team": "blue"}
    answer = call("--log-type", "Tail", "--query", "[StatusCode, LogResult != null]", event={"say": "hello"})
    assert (answer, made()) == ([200, True], {"said": "hello", "stage": "one"})
    assert call("--invocation-type", "Event", event={})["StatusCode"] == 202
    assert call("--invocation-type", "DryRun")["StatusCode"] == 204
    assert call(event={"fail": True})["FunctionError"] == "Unhandled"
    assert made()["errorType"] == "ValueError"
    aws("lambda", "update-function-code", "--function-name", name, "--zip-file", f"fileb://{archives[1]}")
    aws("lambda", "wait", "function-updated-v2", "--function-name", name)
    aws("lambda", "update-function-configuration", "--function-name", name, "--environment", "Variables={STAGE=two}")
    aws("lambda", "wait", "function-updated-v2", "--function-name", name)
    call(event={"say": "hi"})
    assert made() == {"second": "hi", "stage": "two"}
    assert aws("lambda", "publish-version", "--function-name", name)["Version"] == "1"
    aws("lambda", "create-alias", "--function-name", name, "--name", "live", "--function-version", "1")
    assert call("--qualifier", "live", event={"say": "by alias"})["ExecutedVersion"] == "1"
    assert made()["second"] == "by alias"
    aws("lambda", "delete-alias", "--function-name", name, "--name", "live")
    url = aws("lambda", "create-function-url-config", "--function-name", name, "--auth-type", "NONE")["FunctionUrl"]
    aws("lambda", "add-permission", "--function-name", name, "--statement-id", "url", "--principal", "*",
        "--action", "lambda:InvokeFunctionUrl", "--function-url-auth-type", "NONE")  # fmt: skip
    aws("lambda", "add-permission", "--function-name", name, "--statement-id", "function", "--principal", "*",
        "--action", "lambda:InvokeFunction", "--invoked-via-function-url")  # fmt: skip
    behind = f"{platform.endpoint}/_lambent/url/{url.split('//')[1].split('.')[0]}/"
    assert urllib.request.urlopen(behind).status == 200
    listed = aws("lambda", "list-functions", "--page-size", "1", "--query", "Functions[].FunctionName")
    assert name in listed and len(set(listed)) == len(listed)
    groups = aws("logs", "describe-log-groups", "--log-group-name-prefix", f"/aws/lambda/{name}")["logGroups"]
    assert [group["logGroupName"] for group in groups] == [f"/aws/lambda/{name}"]
    aws("lambda", "delete-function", "--function-name", name)
    assert "(ResourceNotFoundException)" in fails("lambda", "get-function", "--function-name", name)
    aws("iam", "delete-role", "--role-name", name)
    assert "(NoSuchEntity)" in fails("iam", "get-role", "--role-name", name)


def lives(platform, program, archives, name):
    arguments = [*archives, python_runtime(), f"{name}-role", name]
    done = platform.cli(*arguments, program=program, environment={"AWS_REGION": "us-east-1"})
    assert done.stdout.strip().endswith("lived")


def test_aws_sdk_js(platform, archives):
    if not (CLIENTS / "node_modules/@aws-sdk/client-lambda").exists() or not node_runtime():
        missing("aws-sdk-js v3", "`make clients` installs it; it needs node")
    lives(platform, ["node", str(HERE / "life.mjs"), str(CLIENTS / "package.json")], archives, "js")


def test_aws_sdk_rust(platform, archives):
    program = CLIENTS / "rust/debug/life"
    if not program.exists():
        missing("the program of aws-sdk-rust", "`make clients-rust` builds it, in minutes")
    lives(platform, [str(program)], archives, "rust")


def terraform_offline():
    """The environment in which Terraform finds the AWS provider without a network; none if it cannot."""
    if not shutil.which("terraform"):
        return None
    mirrors = [os.environ.get("LAMBENT_TERRAFORM_MIRROR"), str(ROOT / "target/terraform-mirror"), "/usr/share/terraform/plugins"]
    mirrors += [os.path.expanduser("~/.terraform.d/plugins"), os.path.expanduser("~/.local/share/terraform/plugins")]
    return next((one for one in mirrors if one and any((ROOT / one).glob("*/hashicorp/aws"))), None)


def test_terraform(platform, archives, tmp_path):
    """Applies, plans nothing more, changes, plans nothing more, destroys."""
    mirror = terraform_offline()
    if not mirror:
        missing("Terraform with the AWS provider", "put terraform on PATH and name a provider mirror in LAMBENT_TERRAFORM_MIRROR")
    shutil.copy(HERE / "function.tf", tmp_path)
    settings = tmp_path / "settings.tfrc"
    settings.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n')
    environment = {
        "TF_CLI_CONFIG_FILE": str(settings),
        "TF_IN_AUTOMATION": "1",
        "CHECKPOINT_DISABLE": "1",
        "TF_VAR_endpoint": platform.endpoint,
        "TF_VAR_runtime": python_runtime(),
        "TF_VAR_zip": archives[0],
        "TF_VAR_layer": archives[1],
    }

    def terraform(*arguments, expected=0, **more):
        done = platform.cli(
            f"-chdir={tmp_path}", *arguments, "-input=false", "-no-color", program=["terraform"], check=False, environment={**environment, **more}
        )
        assert done.returncode == expected, done.stdout + done.stderr
        return done.stdout

    def settled(**more):
        terraform("apply", "-auto-approve", **more)
        # 0: nothing to do. 2 would be a difference between what was asked and what is read back.
        terraform("plan", "-detailed-exitcode", **more)

    terraform("init")
    settled()
    functions = platform.client("lambda")
    assert functions.get_alias(FunctionName="terraformed", Name="live")["FunctionVersion"] == "1"
    settled(TF_VAR_zip=archives[1], TF_VAR_stage="two")
    assert functions.get_alias(FunctionName="terraformed", Name="live")["FunctionVersion"] == "2"
    terraform("destroy", "-auto-approve")
    with pytest.raises(functions.exceptions.ResourceNotFoundException):
        functions.get_function(FunctionName="terraformed")


def test_terraforms_file_is_well_formed(tmp_path):
    """Without a provider, at least its form is checked."""
    if not shutil.which("terraform"):
        missing("terraform", "put it on PATH")
    shutil.copy(HERE / "function.tf", tmp_path)
    done = subprocess.run(["terraform", "fmt", "-check", "-diff", "function.tf"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_boto3_has_typed_errors_and_pages(functions, platform):
    for name in ("boto-a", "boto-b"):
        create(functions, name, {"app.py": FIRST}, Environment={"Variables": {"STAGE": "one"}})
    pages = functions.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 1})
    names = [one["FunctionName"] for page in pages for one in page["Functions"]]
    assert {"boto-a", "boto-b"} <= set(names) and len(names) == len(set(names))
    for call, exception in (
        (lambda: functions.get_function(FunctionName="boto-none"), functions.exceptions.ResourceNotFoundException),
        (lambda: create(functions, "boto-a", {"app.py": FIRST}), functions.exceptions.ResourceConflictException),
        (lambda: functions.invoke(FunctionName="boto-a", Payload="{"), functions.exceptions.InvalidRequestContentException),
    ):
        with pytest.raises(exception):
            call()
    iam = platform.client("iam")
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_role(RoleName="boto-none")

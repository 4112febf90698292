"""Rights, as boto3, the AWS CLI and functions themselves meet them on a platform that enforces."""

import json
import pathlib
import sys
import urllib.error
import urllib.request

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from platform_under_test import create, eventually, invoke, python_runtime, zipped

ACCOUNT = "000000000000"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/worker"
TRUST = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
HELLO = "def handler(event, context):\n    return 'hello'\n"
BOTO = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")
SERVICES = ("lambda", "sts", "iam", "endpoints.json", "partitions.json", "sdk-default-configuration.json", "_retry.json")

# Calls what the event says, as itself or as a role it assumes first; answers what came of it.
CALLER = """
import boto3
from botocore.exceptions import ClientError

def handler(event, context):
    session = boto3.Session()
    if "assume" in event:
        given = boto3.client("sts").assume_role(RoleArn=event["assume"], RoleSessionName="inner")["Credentials"]
        session = boto3.Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    try:
        answer = getattr(session.client(event["service"]), event["call"])(**event.get("with", {}))
        return {"ok": True, "arn": answer.get("Arn")}
    except ClientError as error:
        return {"ok": False, "code": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}
"""


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(*actions, resource="*", **more):
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]


def boto_files():
    """boto3 with the services that a function here calls, to go along in its zip."""
    site = pathlib.Path(next(path for path in sys.path if path.endswith("site-packages")))
    files = {}
    for name in BOTO:
        for path in [site / f"{name}.py"] if (site / f"{name}.py").exists() else sorted((site / name).rglob("*")):
            data = path.relative_to(site).parts[2:3] if name == "botocore" and "data" in path.parts else ()
            if path.is_file() and path.suffix not in (".pyc", ".so") and (not data or data[0] in SERVICES):
                files[str(path.relative_to(site))] = path.read_bytes()
    return files


class World:
    """A platform that enforces, whose account has keys: nobody is believed unproven."""

    def __init__(self, platform):
        self.platform = platform
        first = platform.client("iam").create_access_key()["AccessKey"]
        self.root = (first["AccessKeyId"], first["SecretAccessKey"])
        self.iam = self.client("iam")
        self.functions = self.client("lambda")
        self.iam.create_role(RoleName="worker", AssumeRolePolicyDocument=document(TRUST))

    def client(self, service, key=None):
        return self.platform.client(service, *(key or self.root))

    def user(self, name, *statements):
        self.iam.create_user(UserName=name)
        self.allow(name, *statements)
        key = self.iam.create_access_key(UserName=name)["AccessKey"]
        return key["AccessKeyId"], key["SecretAccessKey"]

    def allow(self, name, *statements):
        self.iam.put_user_policy(UserName=name, PolicyName="inline", PolicyDocument=document(*statements))

    def role(self, name, *statements):
        self.iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=document(*statements))

    def create(self, name, files, **more):
        self.functions.create_function(
            FunctionName=name, Runtime=python_runtime(), Role=ROLE, Handler="app.handler", Code={"ZipFile": zipped(files)}, **more
        )
        self.functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 10})


@pytest.fixture(scope="module")
def world(workspace):
    from platform_under_test import Platform

    data = workspace / "iam"
    data.mkdir()
    running = Platform(data, "--iam", "enforce")
    yield World(running)
    running.stop()


def test_a_user_may_what_its_policies_allow(world):
    key = world.user("ann", allow("lambda:GetAccountSettings"))
    functions = world.client("lambda", key)
    functions.get_account_settings()
    arn = f"arn:aws:iam::{ACCOUNT}:user/ann"
    assert refused(functions.list_functions) == (
        "AccessDeniedException",
        403,
        f"User: {arn} is not authorized to perform: lambda:ListFunctions on resource: * because no identity-based policy "
        "allows the lambda:ListFunctions action",
    )
    code, status, message = refused(world.client("iam", key).list_users)
    assert (code, status) == ("AccessDenied", 403) and message.startswith(f"User: {arn} is not authorized to perform: iam:ListUsers")
    code, status, message = refused(world.client("logs", key).describe_log_groups)
    assert (code, status) == ("AccessDeniedException", 400)
    assert f"logs:DescribeLogGroups on resource: arn:aws:logs:us-east-1:{ACCOUNT}:log-group::log-stream:" in message
    assert world.client("sts", key).get_caller_identity()["Arn"] == arn
    world.allow("ann", allow("lambda:*"), {"Effect": "Deny", "Action": "lambda:List*", "Resource": "*"})
    assert refused(functions.list_functions)[2].endswith(" with an explicit deny in an identity-based policy")


def test_nobody_is_believed_unproven(world):
    code, status, _ = refused(world.platform.client("lambda").list_functions)
    assert (code, status) == ("UnrecognizedClientException", 403)


def test_conditions_see_the_request(world):
    agent = {"StringLike": {"aws:UserAgent": "*special*"}, "IpAddress": {"aws:SourceIp": "127.0.0.0/8"}, "Bool": {"aws:SecureTransport": "true"}}
    key = world.user("cate", allow("lambda:ListFunctions", Condition=agent))
    assert refused(world.client("lambda", key).list_functions)[0] == "AccessDeniedException"
    world.platform.client("lambda", *key, user_agent_extra="special").list_functions()


def test_who_gives_a_function_a_role_must_be_allowed_to_pass_it(world):
    key = world.user("dan", allow("lambda:*"))
    functions = world.client("lambda", key)
    make = dict(FunctionName="dans", Runtime=python_runtime(), Role=ROLE, Handler="app.handler", Code={"ZipFile": zipped({"app.py": HELLO})})
    code, _, message = refused(functions.create_function, **make)
    assert code == "AccessDeniedException"
    assert message == (
        f"User: arn:aws:iam::{ACCOUNT}:user/dan is not authorized to perform: iam:PassRole on resource: {ROLE} because no "
        "identity-based policy allows the iam:PassRole action"
    )
    passing = allow("iam:PassRole", resource=ROLE, Condition={"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}})
    world.allow("dan", allow("lambda:*"), passing)
    functions.create_function(**make)


def test_a_function_is_limited_by_its_role(world):
    world.create("caller", {"app.py": CALLER, **boto_files()}, Timeout=60, MemorySize=512)
    ask = lambda event: invoke(world.functions, "caller", event)[0]
    world.role("worker", allow("lambda:ListFunctions"))
    assert ask({"service": "lambda", "call": "list_functions"})["ok"]
    denied = ask({"service": "lambda", "call": "get_function", "with": {"FunctionName": "caller"}})
    assert denied == {
        "ok": False,
        "code": "AccessDeniedException",
        "message": f"User: arn:aws:sts::{ACCOUNT}:assumed-role/worker/caller is not authorized to perform: lambda:GetFunction on "
        f"resource: arn:aws:lambda:us-east-1:{ACCOUNT}:function:caller because no identity-based policy allows the "
        "lambda:GetFunction action",
    }
    assert ask({"service": "sts", "call": "get_caller_identity"})["arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/caller"
    # It assumes another role, is then that role, and no longer its own.
    trust = {"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": "sts:AssumeRole"}
    other = world.iam.create_role(RoleName="other", AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    world.role("other", allow("lambda:GetFunction"))
    assert ask({"assume": other, "service": "sts", "call": "get_caller_identity"})["arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/other/inner"
    assert ask({"assume": other, "service": "lambda", "call": "get_function", "with": {"FunctionName": "caller"}})["ok"]
    assert ask({"assume": other, "service": "lambda", "call": "list_functions"})["code"] == "AccessDeniedException"


def visit(url, headers=None):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {})) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_function_urls_let_in_whom_policies_name(world):
    world.create("site", {"app.py": HELLO})
    made = world.functions.create_function_url_config(FunctionName="site", AuthType="NONE")["FunctionUrl"]
    url = f"{world.platform.endpoint}/_lambent/url/{made.split('//')[1].split('.')[0]}/"
    assert visit(url) == (403, b'{"Message":"Forbidden"}')
    world.functions.add_permission(
        FunctionName="site", StatementId="one", Action="lambda:InvokeFunctionUrl", Principal="*", FunctionUrlAuthType="NONE"
    )
    assert visit(url)[0] == 403, "since October 2025 two permissions are needed"
    world.functions.add_permission(
        FunctionName="site", StatementId="two", Action="lambda:InvokeFunction", Principal="*", InvokedViaFunctionUrl=True
    )
    assert visit(url) == (200, b'"hello"')
    world.functions.update_function_url_config(FunctionName="site", AuthType="AWS_IAM")
    assert visit(url)[0] == 403
    key = world.user("eve", allow("lambda:ListFunctions"))

    def signed():
        request = AWSRequest("GET", url)
        SigV4Auth(Credentials(*key), "lambda", "us-east-1").add_auth(request)
        return visit(url, dict(request.headers))[0]

    assert signed() == 403
    world.allow("eve", allow("lambda:InvokeFunctionUrl", "lambda:InvokeFunction"))
    assert signed() == 200


LEAK = """
import os
def handler(event, context):
    return [os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")]
"""


def temporary(world, service, given):
    key, secret, token = given
    return boto3.client(
        service, endpoint_url=world.platform.endpoint, region_name="us-east-1", aws_access_key_id=key, aws_secret_access_key=secret,
        aws_session_token=token, config=Config(retries={"max_attempts": 0})
    )  # fmt: skip


def test_a_functions_role_must_be_there_and_let_lambda_in(world):
    functions, said = world.functions, "The role defined for the function cannot be assumed by Lambda."
    shut = world.iam.create_role(RoleName="shut", AssumeRolePolicyDocument=document({**TRUST, "Principal": {"Service": "ec2.amazonaws.com"}}))
    make = dict(FunctionName="roleless", Runtime=python_runtime(), Handler="app.handler", Code={"ZipFile": zipped({"app.py": HELLO})})
    for role in (shut["Role"]["Arn"], f"arn:aws:iam::{ACCOUNT}:role/nobody"):
        assert refused(functions.create_function, Role=role, **make) == ("InvalidParameterValueException", 400, said)
    source = {"ArnLike": {"aws:SourceArn": f"arn:aws:lambda:*:{ACCOUNT}:function:role*"}, "StringEquals": {"aws:SourceAccount": ACCOUNT}}
    world.iam.update_assume_role_policy(RoleName="shut", PolicyDocument=document({**TRUST, "Condition": source}))
    functions.create_function(Role=shut["Role"]["Arn"], **make)
    refused_change = refused(functions.update_function_configuration, FunctionName="roleless", Role=f"arn:aws:iam::{ACCOUNT}:role/nobody")
    assert refused_change == ("InvalidParameterValueException", 400, said)


def test_keys_that_are_over_are_nobodys(world):
    key = world.user("hal", allow("lambda:*"))
    functions, tokens = world.client("lambda", key), world.client("sts", key)
    functions.list_functions()
    given = tokens.get_session_token()["Credentials"]
    session = given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]
    temporary(world, "lambda", session).list_functions()

    def is_nobodys(*credentials):
        invalid = "The security token included in the request is invalid."
        assert refused(temporary(world, "sts", credentials).get_caller_identity) == ("InvalidClientTokenId", 403, invalid)
        assert refused(temporary(world, "lambda", credentials).list_functions) == ("UnrecognizedClientException", 403, invalid)
        assert refused(temporary(world, "logs", credentials).describe_log_groups)[:2] == ("UnrecognizedClientException", 400)

    # A session's key needs its own token.
    is_nobodys(session[0], session[1], None)
    is_nobodys(session[0], session[1], session[2][:-4] + "AAAA")
    other = world.client("sts").get_session_token()["Credentials"]["SessionToken"]
    is_nobodys(session[0], session[1], other)
    assert refused(temporary(world, "sts", (session[0], "x" * 40, session[2])).get_caller_identity)[0] == "SignatureDoesNotMatch"
    world.iam.update_access_key(UserName="hal", AccessKeyId=key[0], Status="Inactive")
    is_nobodys(*key, None)
    environment = {"AWS_ACCESS_KEY_ID": key[0], "AWS_SECRET_ACCESS_KEY": key[1]}
    done = world.platform.cli("sts", "get-caller-identity", environment=environment, check=False)
    assert "(InvalidClientTokenId)" in done.stderr
    world.iam.update_access_key(UserName="hal", AccessKeyId=key[0], Status="Active")
    functions.list_functions()
    # A second key, and the first goes: how keys are rotated.
    fresh = world.iam.create_access_key(UserName="hal")["AccessKey"]
    world.iam.delete_access_key(UserName="hal", AccessKeyId=key[0])
    is_nobodys(*key, None)
    world.client("lambda", (fresh["AccessKeyId"], fresh["SecretAccessKey"])).list_functions()
    world.iam.delete_access_key(UserName="hal", AccessKeyId=fresh["AccessKeyId"])
    world.iam.delete_user_policy(UserName="hal", PolicyName="inline")
    world.iam.delete_user(UserName="hal")
    is_nobodys(*session)
    mfa = refused(world.client("sts").get_session_token, SerialNumber=f"arn:aws:iam::{ACCOUNT}:mfa/root", TokenCode="123456")
    assert mfa[0] == "NotImplemented" and "SerialNumber" in mfa[2]


def test_a_functions_credentials_are_its_roles_and_end_with_it(world):
    trust = document(TRUST)
    role = world.iam.create_role(RoleName="leaking", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    world.functions.create_function(
        FunctionName="leak", Runtime=python_runtime(), Role=role, Handler="app.handler", Code={"ZipFile": zipped({"app.py": LEAK})}
    )
    world.functions.get_waiter("function_active_v2").wait(FunctionName="leak", WaiterConfig={"Delay": 1, "MaxAttempts": 10})
    given = invoke(world.functions, "leak")[0]
    who = temporary(world, "sts", given).get_caller_identity()["Arn"]
    assert who == f"arn:aws:sts::{ACCOUNT}:assumed-role/leaking/leak"
    functions = temporary(world, "lambda", given)
    assert refused(functions.list_functions)[0] == "AccessDeniedException"
    world.role("leaking", allow("lambda:ListFunctions"))
    functions.list_functions()
    world.iam.delete_role_policy(RoleName="leaking", PolicyName="inline")
    assert refused(functions.list_functions)[0] == "AccessDeniedException"
    world.iam.delete_role(RoleName="leaking")
    assert refused(functions.list_functions)[0] == "UnrecognizedClientException"
    # A namesake made later is another role.
    world.iam.create_role(RoleName="leaking", AssumeRolePolicyDocument=trust)
    world.role("leaking", allow("lambda:ListFunctions"))
    assert refused(functions.list_functions)[0] == "UnrecognizedClientException"


def test_tags_and_source_identity_go_on_through_a_chain(world):
    trust = document({"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]})
    for name in ("first", "second"):
        world.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
    world.role("first", allow("sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"))
    seen = {"StringEquals": {"aws:PrincipalTag/team": "blue", "aws:SourceIdentity": "ivy"}}
    world.role("second", allow("lambda:ListFunctions", Condition=seen))

    def assume(sts, role, **more):
        answer = sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{role}", RoleSessionName="chained", **more)
        given = answer["Credentials"]
        return answer, (given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])

    tags = dict(Tags=[{"Key": "team", "Value": "blue"}], TransitiveTagKeys=["team"], SourceIdentity="ivy")
    _, first = assume(world.client("sts"), "first", **tags)
    answer, second = assume(temporary(world, "sts", first), "second")
    assert answer["SourceIdentity"] == "ivy"
    temporary(world, "lambda", second).list_functions()
    _, bare = assume(world.client("sts"), "second")
    assert refused(temporary(world, "lambda", bare).list_functions)[0] == "AccessDeniedException"


def test_what_tools_make_beside_roles(world):
    """Terraform, CDK and scripts make these; the AWS CLI reads them."""
    cli = lambda *arguments: json.loads(
        world.platform.cli("iam", *arguments, environment={"AWS_ACCESS_KEY_ID": world.root[0], "AWS_SECRET_ACCESS_KEY": world.root[1]}).stdout or "{}"
    )
    cli("create-instance-profile", "--instance-profile-name", "box", "--tags", "Key=team,Value=blue")
    cli("add-role-to-instance-profile", "--instance-profile-name", "box", "--role-name", "worker")
    profiles = cli("list-instance-profiles-for-role", "--role-name", "worker")["InstanceProfiles"]
    assert [(one["InstanceProfileName"], one["Roles"][0]["RoleName"]) for one in profiles] == [("box", "worker")]
    cli("remove-role-from-instance-profile", "--instance-profile-name", "box", "--role-name", "worker")
    cli("delete-instance-profile", "--instance-profile-name", "box")
    role = cli("create-service-linked-role", "--aws-service-name", "ecs.amazonaws.com")["Role"]
    assert role["Path"] == "/aws-service-role/ecs.amazonaws.com/"
    task = cli("delete-service-linked-role", "--role-name", role["RoleName"])["DeletionTaskId"]
    assert cli("get-service-linked-role-deletion-status", "--deletion-task-id", task)["Status"] == "SUCCEEDED"
    made = cli("create-open-id-connect-provider", "--url", "https://token.example.com", "--client-id-list", "sts.amazonaws.com")
    shown = cli("get-open-id-connect-provider", "--open-id-connect-provider-arn", made["OpenIDConnectProviderArn"])
    assert (shown["Url"], shown["ClientIDList"]) == ("token.example.com", ["sts.amazonaws.com"])
    web = refused(
        world.client("sts").assume_role_with_web_identity, RoleArn=ROLE, RoleSessionName="web", WebIdentityToken="a.b.c"
    )  # fmt: skip
    assert web[0] in ("NotImplemented", "MissingAuthenticationToken"), web
    cli("create-account-alias", "--account-alias", "test-account")
    assert cli("list-account-aliases")["AccountAliases"] == ["test-account"]
    assert cli("get-account-summary")["SummaryMap"]["AccountAccessKeysPresent"] == 1
    entities = cli("list-entities-for-policy", "--policy-arn", "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole")
    assert entities["PolicyRoles"] == []


def test_deploy_makes_the_role_that_nobody_named(world, tmp_path):
    (tmp_path / "lambda_function.py").write_text("def lambda_handler(event, context):\n    return 'deployed'\n")
    environment = {"AWS_ACCESS_KEY_ID": world.root[0], "AWS_SECRET_ACCESS_KEY": world.root[1]}
    asked = ("deploy", str(tmp_path), "--name", "deployed", "--runtime", python_runtime(), "--handler", "lambda_function.lambda_handler")
    assert "made the role" in world.platform.lambent(*asked, environment=environment).stdout
    assert "made the role" not in world.platform.lambent(*asked, environment=environment).stdout
    assert invoke(world.functions, "deployed")[0] == "deployed"


def test_the_audit_log_says_what_was_decided(world):
    key = world.user("fay", allow("lambda:GetAccountSettings"))
    functions = world.client("lambda", key)
    functions.get_account_settings()
    refused(functions.list_functions)
    logs = world.client("logs")

    def seen():
        try:
            events = logs.filter_log_events(logGroupName="/lambent/audit", filterPattern='"user/fay"')["events"]
        except ClientError:
            return []
        return [json.loads(event["message"]) for event in events]

    lines = eventually(seen, lambda lines: len([line for line in lines if "user/fay" in line["userIdentity"]["arn"]]) >= 2)
    mine = {line["eventName"]: line for line in lines if "user/fay" in line["userIdentity"]["arn"]}
    assert mine["GetAccountSettings"]["decision"] == "Allow"
    assert mine["ListFunctions"]["decision"] == "Deny" and mine["ListFunctions"]["userIdentity"]["accessKeyId"] == key[0]
    assert "no statement of inline allows it" in mine["ListFunctions"]["because"]
    world.create("private", {"app.py": HELLO})
    made = world.functions.create_function_url_config(FunctionName="private", AuthType="NONE")["FunctionUrl"]
    assert visit(f"{world.platform.endpoint}/_lambent/url/{made.split('//')[1].split('.')[0]}/")[0] == 403
    asked = lambda: logs.filter_log_events(logGroupName="/lambent/audit", filterPattern='"function:private"')["events"]
    visits = eventually(asked, lambda events: any("InvokeFunctionUrl" in event["message"] for event in events))
    assert any(json.loads(event["message"])["action"] == "lambda:InvokeFunctionUrl" for event in visits)


def test_the_grounds_of_a_decision_are_explained(world):
    world.user("guy", allow("lambda:GetFunction", resource=f"arn:aws:lambda:*:{ACCOUNT}:function:own-*"))
    arn = f"arn:aws:iam::{ACCOUNT}:user/guy"
    environment = {"AWS_ACCESS_KEY_ID": world.root[0], "AWS_SECRET_ACCESS_KEY": world.root[1]}

    def explain(function):
        resource = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{function}"
        asked = ("iam", "explain", "--principal", arn, "--action", "lambda:GetFunction", "--resource", resource)
        done = world.platform.lambent(*asked, check=False, environment=environment)
        return done.returncode, done.stdout

    code, said = explain("own-one")
    assert code == 0 and said.startswith("allowed: statement #1 of inline (identity-based policy)")
    code, said = explain("other")
    assert code == 1 and "statement #1 of inline would allow it but for its Resource" in said
    assert f"the caller reads: User: {arn} is not authorized to perform: lambda:GetFunction" in said
    results = world.iam.simulate_principal_policy(
        PolicySourceArn=arn, ActionNames=["lambda:GetFunction", "lambda:ListFunctions"], ResourceArns=[f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:own-one"]
    )["EvaluationResults"]
    assert [(one["EvalActionName"], one["EvalDecision"]) for one in results] == [
        ("lambda:GetFunction", "allowed"),
        ("lambda:ListFunctions", "implicitDeny"),
    ]


def test_every_operation_is_counted(world):
    def metrics(key):
        request = AWSRequest("GET", f"{world.platform.endpoint}/_lambent/metrics")
        SigV4Auth(Credentials(*key), "lambda", "us-east-1").add_auth(request)
        return visit(request.url, dict(request.headers))

    status, text = metrics(world.root)
    assert status == 200 and b'lambent_calls_total{service="lambda",operation="CreateFunction"} ' in text
    assert visit(f"{world.platform.endpoint}/_lambent/metrics")[0] == 403


def test_nothing_is_stuck_in_the_outbox(world):
    environment = {"AWS_ACCESS_KEY_ID": world.root[0], "AWS_SECRET_ACCESS_KEY": world.root[1]}
    assert world.platform.lambent("events", "stuck", environment=environment).stdout == "nothing is stuck\n"
    assert "no parked event has the id x" in world.platform.lambent("events", "replay", "x", environment=environment, check=False).stderr


def test_awss_rates_are_kept_when_asked_for(own_platform):
    functions = own_platform("--throttle", "aws").client("lambda")
    codes = set()
    for _ in range(200):
        try:
            functions.get_account_settings()
        except ClientError as error:
            codes.add((error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]))
    assert codes == {("TooManyRequestsException", 429)}


def test_on_loopback_a_denial_is_only_a_warning(own_platform):
    platform = own_platform()
    iam = platform.client("iam")
    first = iam.create_access_key()["AccessKey"]
    iam = platform.client("iam", first["AccessKeyId"], first["SecretAccessKey"])
    iam.create_user(UserName="ann")
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    for _ in range(3):
        platform.client("lambda", key["AccessKeyId"], key["SecretAccessKey"]).list_functions()
    platform.stop()
    log = (platform.data.parent / f"{platform.data.name}.log").read_text()
    assert log.count("--iam=enforce would deny this: User: arn:aws:iam::000000000000:user/ann is not authorized") == 1

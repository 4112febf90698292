"""REST APIs, as boto3, the AWS CLI, curl and browsers meet them."""

import http.server
import json
import threading
import urllib.parse

import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from platform_under_test import create, create_for_apis
from test_httpapis import error, function_arn, visit

ECHO = """
import json

def handler(event, context):
    if event["path"].endswith("/fails"):
        raise ValueError("no")
    if event["path"].endswith("/odd"):
        return {"statusCode": 200, "hello": "you"}
    return {
        "statusCode": 201,
        "headers": {"x-kind": "rest"},
        "multiValueHeaders": {"set-cookie": ["a=1", "b=2"]},
        "body": json.dumps(event),
    }
"""


def address(platform, api, path):
    host = f"{api}.execute-api.us-east-1.localhost:{platform.endpoint.rsplit(':', 1)[1]}"
    return f"http://{host}{path}"


def uri(function):
    return f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{function_arn(function)}/invocations"


def proxy(apis, api, resource, method, function, **more):
    apis.put_method(restApiId=api, resourceId=resource, httpMethod=method, authorizationType="NONE", **more)
    apis.put_integration(
        restApiId=api, resourceId=resource, httpMethod=method, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri(function)
    )


def preflight(apis, api, resource, template=None):
    """`OPTIONS` as SAM, the CDK and the Serverless Framework make it."""
    at = {"restApiId": api, "resourceId": resource, "httpMethod": "OPTIONS"}
    headers = {"Allow-Origin": "'*'", "Allow-Headers": "'Content-Type,Authorization'", "Allow-Methods": "'OPTIONS,GET'"}
    named = {f"method.response.header.Access-Control-{name}": value for name, value in headers.items()}
    apis.put_method(**at, authorizationType="NONE")
    apis.put_method_response(
        **at, statusCode="200", responseParameters=dict.fromkeys(named, True), responseModels={"application/json": "Empty"}
    )
    apis.put_integration(**at, type="MOCK", requestTemplates={"application/json": "{statusCode:200}"})
    templates = {"responseTemplates": {"application/json": template}} if template else {}
    apis.put_integration_response(**at, statusCode="200", responseParameters=named, **templates)


@pytest.fixture(scope="module")
def apis(platform):
    return platform.client("apigateway")


@pytest.fixture(scope="module")
def echo(platform):
    return create_for_apis(platform.client("lambda"), "rest-echo", {"app.py": ECHO})


def test_a_function_is_reached_through_a_rest_api(platform, apis, echo):
    made = apis.create_rest_api(name="shop", tags={"team": "blue"})
    api, root = made["id"], made["rootResourceId"]
    assert made["endpointConfiguration"] == {"types": ["EDGE"], "ipAddressType": "ipv4"}
    assert apis.get_rest_api(restApiId=api)["tags"] == {"team": "blue"}
    pets = apis.create_resource(restApiId=api, parentId=root, pathPart="pets")["id"]
    one = apis.create_resource(restApiId=api, parentId=pets, pathPart="{id}")["id"]
    rest = apis.create_resource(restApiId=api, parentId=root, pathPart="{proxy+}")["id"]
    for resource, method in [(one, "GET"), (rest, "ANY")]:
        proxy(apis, api, resource, method, echo)
    deployed = apis.create_deployment(restApiId=api, stageName="dev", variables={"colour": "blue"})
    for by_path in (False, True):
        url = address(platform, api, "/dev/pets/6?x=1&x=2")
        status, headers, answer = visit(platform, url, headers={"x-mine": "1"}, by_path=by_path)
        event = json.loads(answer)
        assert (status, headers["x-kind"], headers.get_all("set-cookie")) == (201, "rest", ["a=1", "b=2"])
        assert headers["content-type"] == "application/json"
        assert (event["resource"], event["path"], event["pathParameters"]) == ("/pets/{id}", "/pets/6", {"id": "6"})
        assert event["multiValueQueryStringParameters"] == {"x": ["1", "2"]} and event["stageVariables"] == {"colour": "blue"}
        context = event["requestContext"]
        assert (context["resourceId"], context["deploymentId"], context["stage"]) == (one, deployed["id"], "dev")
        assert context["path"] == "/dev/pets/6" and event["headers"]["x-mine"] == "1" and "Host" in event["headers"]
        assert headers["x-amzn-requestid"] == context["requestId"]
        assert headers["x-amz-apigw-id"] == context["extendedRequestId"]
    event = json.loads(visit(platform, address(platform, api, "/dev/a/b"), "PUT", body=b"hi")[2])
    assert (event["resource"], event["httpMethod"], event["body"]) == ("/{proxy+}", "PUT", "hi")
    for path, expected in [
        ("/dev/fails", (502, b'{"message": "Internal server error"}')),
        ("/dev/odd", (502, b'{"message": "Internal server error"}')),
        ("/dev", (403, b'{"message":"Missing Authentication Token"}')),
        ("/none", (403, b'{"message":"Forbidden"}')),
    ]:
        assert visit(platform, address(platform, api, path))[::2] == expected, path
    headers = visit(platform, address(platform, api, "/dev"))[1]
    assert headers["x-amzn-errortype"] == "MissingAuthenticationTokenException"
    # What is changed is answered with from the next deployment on.
    apis.delete_resource(restApiId=api, resourceId=rest)
    assert visit(platform, address(platform, api, "/dev/a"))[0] == 201
    apis.create_deployment(restApiId=api, stageName="dev")
    assert visit(platform, address(platform, api, "/dev/a"))[0] == 403


def test_preflights_are_answered_as_frameworks_write_them(platform, apis):
    api = apis.create_rest_api(name="cors")
    api, root = api["id"], api["rootResourceId"]
    chosen = apis.create_resource(restApiId=api, parentId=root, pathPart="chosen")["id"]
    preflight(apis, api, root)
    preflight(
        apis,
        api,
        chosen,
        '#set($origin = $input.params("Origin"))\n#if($origin == "") #set($origin = $input.params("origin")) #end\n'
        '#if($origin.matches("https://a\\.example") || $origin.matches("https://.+\\.b\\.example")) '
        "#set($context.responseOverride.header.Access-Control-Allow-Origin = $origin) #end",
    )
    apis.put_gateway_response(
        restApiId=api,
        responseType="DEFAULT_4XX",
        responseParameters={"gatewayresponse.header.Access-Control-Allow-Origin": "'*'"},
    )
    apis.create_deployment(restApiId=api, stageName="dev")
    ask = {"origin": "https://x.b.example", "access-control-request-method": "GET"}
    status, headers, body = visit(platform, address(platform, api, "/dev"), "OPTIONS", ask)
    assert (status, body, headers["access-control-allow-origin"]) == (200, b"", "*")
    assert headers["access-control-allow-methods"] == "OPTIONS,GET"
    assert headers["access-control-allow-headers"] == "Content-Type,Authorization"
    status, headers, _ = visit(platform, address(platform, api, "/dev/chosen"), "OPTIONS", ask)
    assert (status, headers["access-control-allow-origin"]) == (200, "https://x.b.example")
    status, headers, _ = visit(platform, address(platform, api, "/dev/none"), "GET", ask)
    assert (status, headers["access-control-allow-origin"]) == (403, "*"), "pages may read errors, too"


def test_a_url_is_passed_on_to(platform, apis):
    class Answers(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            answer = json.dumps({"path": self.path, "body": body.decode(), "fixed": self.headers["x-fixed"]}).encode()
            self.send_response(202)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made = apis.create_rest_api(name="web")
    api = made["id"]
    rest = apis.create_resource(restApiId=api, parentId=made["rootResourceId"], pathPart="{proxy+}")["id"]
    at = {"restApiId": api, "resourceId": rest, "httpMethod": "ANY"}
    apis.put_method(**at, authorizationType="NONE", requestParameters={"method.request.path.proxy": True})
    apis.put_integration(
        **at,
        type="HTTP_PROXY",
        integrationHttpMethod="ANY",
        uri=f"http://127.0.0.1:{server.server_port}/base/{{proxy}}",
        requestParameters={
            "integration.request.path.proxy": "method.request.path.proxy",
            "integration.request.header.x-fixed": "'v'",
        },
    )
    apis.create_deployment(restApiId=api, stageName="dev")
    status, headers, answer = visit(platform, address(platform, api, "/dev/a/b?q=1"), "POST", body=b"hello")
    assert (status, json.loads(answer)) == (202, {"path": "/base/a/b?q=1", "body": "hello", "fixed": "v"})
    assert "x-amzn-remapped-date" in headers
    server.shutdown()


JUDGE = """
def handler(event, context):
    if event["type"] == "TOKEN":
        who = event["authorizationToken"]
    else:
        who = event["headers"]["x-who"]
    if who == "nobody":
        raise Exception("Unauthorized")
    if who == "broken":
        return {"principalId": who}
    method = event["methodArn"].rsplit("/", 1)[0] + "/open"
    statement = {"Action": "execute-api:Invoke", "Effect": "Deny" if who == "banned" else "Allow", "Resource": method}
    return {
        "principalId": who,
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": {"team": "blue", "number": 1},
    }
"""


@pytest.mark.parametrize("kind", ["TOKEN", "REQUEST"])
def test_functions_decide_who_may_use_methods(platform, apis, echo, kind):
    client = platform.client("lambda")
    name = f"rest-judge-{kind.lower()}"
    create(client, name, {"app.py": JUDGE})
    made = apis.create_rest_api(name=f"judged-{kind}")
    api = made["id"]
    source = "authorization" if kind == "TOKEN" else "x-who"
    judge = apis.create_authorizer(
        restApiId=api, name="judge", type=kind, authorizerUri=uri(name), identitySource=f"method.request.header.{source}"
    )
    client.add_permission(
        FunctionName=name, StatementId="one", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com",
        SourceArn=f"arn:aws:execute-api:us-east-1:000000000000:{api}/authorizers/{judge['id']}",
    )  # fmt: skip
    resource = apis.create_resource(restApiId=api, parentId=made["rootResourceId"], pathPart="{proxy+}")["id"]
    at = {"restApiId": api, "resourceId": resource, "httpMethod": "ANY"}
    apis.put_method(**at, authorizationType="CUSTOM", authorizerId=judge["id"])
    apis.put_integration(**at, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri(echo))
    apis.create_deployment(restApiId=api, stageName="dev")
    ask = lambda who, path="open": visit(platform, address(platform, api, f"/dev/{path}"), headers={source: who} if who else {})
    status, _, answer = ask("ann")
    assert (status, json.loads(answer)["requestContext"]["authorizer"]) == (
        201,
        {"principalId": "ann", "team": "blue", "number": "1"},
    )
    assert ask("ann", "closed")[::2] == (403, b'{"Message":"User is not authorized to access this resource"}')
    explicit = b'{"Message":"User is not authorized to access this resource with an explicit deny"}'
    assert ask("banned")[::2] == (403, explicit)
    for who in ("nobody", None):
        assert ask(who)[::2] == (401, b'{"message":"Unauthorized"}')
    status, headers, answer = ask("broken")
    assert (status, headers["x-amzn-errortype"], answer) == (500, "AuthorizerConfigurationException", b'{"message":null}')


def test_what_is_wrong_is_said_in_awss_words(platform, apis):
    assert error(apis.get_rest_api, restApiId="none") == (
        "NotFoundException",
        "Invalid API identifier specified 000000000000:none",
    )
    assert error(apis.get_method, restApiId="none", resourceId="r", httpMethod="GET") == (
        "NotFoundException",
        "Invalid Resource identifier specified",
    )
    made = apis.create_rest_api(name="wrong")
    api, root = made["id"], made["rootResourceId"]
    at = {"restApiId": api, "resourceId": root, "httpMethod": "GET"}
    assert error(apis.put_method, **at, authorizationType="CUSTOM")[1].startswith("Invalid authorizer ID specified")
    assert error(apis.create_deployment, restApiId=api) == (
        "BadRequestException",
        "The REST API doesn't contain any methods",
    )
    validator = apis.create_request_validator(restApiId=api, name="params", validateRequestParameters=True)["id"]
    required = {"method.request.querystring.page": True}
    apis.put_method(**at, authorizationType="NONE", requestValidatorId=validator, requestParameters=required)
    assert error(apis.create_deployment, restApiId=api) == ("BadRequestException", "No integration defined for method")
    apis.put_integration(**at, type="MOCK", requestTemplates={"application/json": '{"statusCode": 200}'})
    apis.put_integration_response(**at, statusCode="200")
    apis.create_deployment(restApiId=api, stageName="dev")
    answers = [visit(platform, address(platform, api, f"/dev?{query}"))[::2] for query in ("", "page=1")]
    assert answers == [(400, b'{"message":"Missing required request parameters: [page]"}'), (200, b"")]
    code, message = error(apis.put_integration, **at, type="HTTPS_PROXY")
    assert code == "ValidationException" and "HTTPS_PROXY" in message
    code, message = error(apis.put_integration, **at, type="AWS", integrationHttpMethod="POST", uri=uri("f"))
    assert code == "NotImplemented" and "apigateway:PutIntegration: type AWS" in message
    patch = [{"op": "remove", "path": "/pathPart"}]
    assert error(apis.update_resource, restApiId=api, resourceId=root, patchOperations=patch) == (
        "BadRequestException",
        "Invalid patch path  '/pathPart' specified for op 'remove'. Please choose supported operations",
    )
    code, message = error(apis.get_usage_plans)
    assert code == "NotImplemented" and "apigateway:GetUsagePlans" in message
    assert error(apis.delete_rest_api, restApiId="none")[0] == "NotFoundException"


def test_lists_come_whole_and_the_cli_knows_what_there_is(platform, apis):
    names = {f"page-{number}" for number in range(3)}
    for name in names:
        apis.create_rest_api(name=name)
    pages = apis.get_paginator("get_rest_apis").paginate(PaginationConfig={"PageSize": 2})
    assert names <= {one["name"] for page in pages for one in page["items"]}
    told = json.loads(platform.cli("apigateway", "get-rest-apis", "--output", "json").stdout)
    assert names <= {one["name"] for one in told["items"]}
    api = next(one["id"] for one in told["items"] if one["name"] == "page-0")
    patch = "op=replace,path=/description,value=new"
    done = platform.cli("apigateway", "update-rest-api", "--rest-api-id", api, "--patch-operations", patch, "--output", "json")
    assert json.loads(done.stdout)["description"] == "new"
    arn = f"arn:aws:apigateway:us-east-1::/restapis/{api}"
    apis.tag_resource(resourceArn=arn, tags={"a": "1", "b": "2"})
    apis.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert apis.get_tags(resourceArn=arn)["tags"] == {"b": "2"}


def test_everything_outlives_a_kill(own_platform):
    platform = own_platform()
    apis = platform.client("apigateway")
    made = apis.create_rest_api(name="kept", binaryMediaTypes=["image/png"])
    api, root = made["id"], made["rootResourceId"]
    preflight(apis, api, root)
    apis.create_deployment(restApiId=api, stageName="dev", description="first")
    platform.kill()
    platform.start()
    apis = platform.client("apigateway")
    assert apis.get_rest_api(restApiId=api)["binaryMediaTypes"] == ["image/png"]
    embedded = apis.get_resources(restApiId=api, embed=["methods"])["items"][0]["resourceMethods"]["OPTIONS"]
    assert embedded["methodIntegration"]["integrationResponses"]["200"]["statusCode"] == "200"
    assert apis.get_deployments(restApiId=api)["items"][0]["description"] == "first"
    assert visit(platform, address(platform, api, "/dev"), "OPTIONS")[0] == 200
    apis.delete_rest_api(restApiId=api)
    platform.kill()
    platform.start()
    assert visit(platform, address(platform, api, "/dev"), "OPTIONS")[0] == 404


def test_rights_decide_who_uses_a_rest_api(own_platform):
    platform = own_platform("--iam=enforce")
    first = platform.client("iam").create_access_key()["AccessKey"]
    root = {"key": first["AccessKeyId"], "secret": first["SecretAccessKey"]}
    functions, apis, iam = (platform.client(name, **root) for name in ("lambda", "apigateway", "iam"))
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName="lambda-test", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
    create(functions, "echo", {"app.py": ECHO})
    made = apis.create_rest_api(name="closed")
    api = made["id"]
    proxy(apis, api, made["rootResourceId"], "GET", "echo")
    apis.create_deployment(restApiId=api, stageName="dev")
    url = address(platform, api, "/dev/")
    assert visit(platform, url)[::2] == (500, b'{"message": "Internal server error"}'), "the function lets no API in"
    functions.add_permission(
        FunctionName="echo", StatementId="one", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com",
        SourceArn=f"arn:aws:execute-api:us-east-1:000000000000:{api}/*/GET/",
    )  # fmt: skip
    assert visit(platform, url)[0] == 201
    patch = [{"op": "replace", "path": "/authorizationType", "value": "AWS_IAM"}]
    apis.update_method(restApiId=api, resourceId=made["rootResourceId"], httpMethod="GET", patchOperations=patch)
    apis.create_deployment(restApiId=api, stageName="dev")
    assert visit(platform, url)[::2] == (403, b'{"message":"Missing Authentication Token"}')
    iam.create_user(UserName="ann")
    keys = iam.create_access_key(UserName="ann")["AccessKey"]

    def signed():
        request = AWSRequest("GET", url, headers={"host": urllib.parse.urlsplit(url).netloc})
        credentials = botocore.credentials.Credentials(keys["AccessKeyId"], keys["SecretAccessKey"])
        SigV4Auth(credentials, "execute-api", "us-east-1").add_auth(request)
        return visit(platform, url, headers=dict(request.headers.items()))

    status, headers, answer = signed()
    assert (status, headers["x-amzn-errortype"]) == (403, "AccessDeniedException")
    assert "is not authorized to perform: execute-api:Invoke" in json.loads(answer)["Message"]
    allow = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": f"arn:aws:execute-api:us-east-1:*:{api}/dev/GET/*"}
    iam.put_user_policy(UserName="ann", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]}))
    status, _, answer = signed()
    assert status == 201
    assert json.loads(answer)["requestContext"]["identity"]["userArn"] == "arn:aws:iam::000000000000:user/ann"
    # She may call the API and not change it.
    mine = platform.client("apigateway", key=keys["AccessKeyId"], secret=keys["SecretAccessKey"])
    assert error(mine.get_rest_api, restApiId=api)[0] == "AccessDeniedException"

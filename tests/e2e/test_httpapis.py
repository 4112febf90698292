"""HTTP APIs, as boto3, curl and browsers meet them."""

import base64
import http.client
import http.server
import json
import os
import ssl
import subprocess
import threading
import time
import urllib.parse

import botocore.session
import pytest
import rsa
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError

from platform_under_test import create, eventually

ECHO = """
import json

def handler(event, context):
    path = event.get("rawPath", event.get("path"))
    if path.endswith("/fails"):
        raise ValueError("no")
    if path.endswith("/tea"):
        return {"statusCode": 418, "headers": {"x-kind": "tea"}, "cookies": ["a=1", "b=2"], "body": "AP8=", "isBase64Encoded": True}
    if event["version"] == "1.0":
        return {"statusCode": 200, "multiValueHeaders": {"x-many": ["1", "2"]}, "body": json.dumps(event)}
    return event
"""


def function_arn(name):
    return f"arn:aws:lambda:us-east-1:000000000000:function:{name}"


def visit(platform, url, method="GET", headers=None, body=None, by_path=False):
    """Status, headers and body. Names under localhost need not resolve here: the connection goes to the platform."""
    parts = urllib.parse.urlsplit(url)
    endpoint = urllib.parse.urlsplit(platform.endpoint)
    connection = http.client.HTTPConnection(endpoint.hostname, endpoint.port, timeout=60)
    path = parts.path or "/"
    host = parts.netloc
    if by_path:
        path, host = f"/_lambent/api/{parts.netloc.split('.')[0]}{path}", endpoint.netloc
    target = path + (f"?{parts.query}" if parts.query else "")
    connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
    headers = {"host": host, **(headers or {})}
    if body is not None:
        headers["content-length"] = str(len(body))
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    read = answer.read()
    connection.close()
    return answer.status, answer.headers, read


def error(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


@pytest.fixture(scope="module")
def apis(platform):
    return platform.client("apigatewayv2")


@pytest.fixture(scope="module")
def echo(platform):
    client = platform.client("lambda")
    create(client, "api-echo", {"app.py": ECHO})
    client.add_permission(
        FunctionName="api-echo",
        StatementId="apis",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
        SourceArn="arn:aws:execute-api:us-east-1:000000000000:*",
    )
    return function_arn("api-echo")


def test_quick_create_reaches_a_function_by_a_plain_url(platform, apis, echo):
    made = apis.create_api(Name="quick", ProtocolType="HTTP", Target=echo)
    assert made["RouteSelectionExpression"] == "$request.method $request.path"
    assert made["ApiEndpoint"].startswith(f"http://{made['ApiId']}.execute-api.us-east-1.")
    body = json.dumps({"a": 1}).encode()
    for by_path in (False, True):
        status, headers, answer = visit(
            platform, made["ApiEndpoint"] + "/pets/6?x=1&x=2", "POST", {"content-type": "application/json"}, body, by_path
        )
        event = json.loads(answer)
        assert (status, headers["content-type"]) == (200, "application/json")
        assert (event["version"], event["routeKey"], event["rawPath"]) == ("2.0", "$default", "/pets/6")
        assert event["queryStringParameters"] == {"x": "1,2"} and event["body"] == body.decode()
        assert headers["apigw-requestid"] == event["requestContext"]["requestId"]
    # As people try it first.
    endpoint = urllib.parse.urlsplit(platform.endpoint)
    host = urllib.parse.urlsplit(made["ApiEndpoint"]).hostname
    resolve = f"{host}:{endpoint.port}:{endpoint.hostname}"
    done = subprocess.run(
        ["curl", "-s", "--resolve", resolve, f"http://{host}:{endpoint.port}/hello"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["rawPath"] == "/hello"


def test_routes_formats_stages_and_answers(platform, apis, echo):
    api = apis.create_api(Name="whole", ProtocolType="HTTP")
    api_id, url = api["ApiId"], api["ApiEndpoint"]
    uri = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{echo}/invocations"
    both = {
        version: apis.create_integration(
            ApiId=api_id, IntegrationType="AWS_PROXY", IntegrationUri=uri, PayloadFormatVersion=version
        )
        for version in ("1.0", "2.0")
    }
    assert both["2.0"]["TimeoutInMillis"] == 30000
    for key, version in [("GET /old/{id}", "1.0"), ("ANY /new/{rest+}", "2.0")]:
        apis.create_route(ApiId=api_id, RouteKey=key, Target=f"integrations/{both[version]['IntegrationId']}")
    apis.create_stage(ApiId=api_id, StageName="dev", AutoDeploy=True, StageVariables={"colour": "blue"})
    status, headers, answer = visit(platform, url + "/dev/old/6")
    event = json.loads(answer)
    assert (status, headers.get_all("x-many")) == (200, ["1", "2"])
    assert (event["version"], event["pathParameters"], event["path"]) == ("1.0", {"id": "6"}, "/dev/old/6")
    assert event["stageVariables"] == {"colour": "blue"}
    status, headers, answer = visit(platform, url + "/dev/new/tea")
    assert (status, headers["x-kind"], headers.get_all("set-cookie"), answer) == (418, "tea", ["a=1", "b=2"], b"\0\xff")
    image = os.urandom(1000)
    _, _, answer = visit(platform, url + "/dev/new/a%20b", "PUT", {"content-type": "image/png", "cookie": "c=1; d=2"}, image)
    event = json.loads(answer)
    assert event["isBase64Encoded"] and base64.b64decode(event["body"]) == image
    assert event["cookies"] == ["c=1", "d=2"] and event["rawPath"] == "/dev/new/a b"
    assert visit(platform, url + "/dev/new/fails")[::2] == (500, b'{"message":"Internal Server Error"}')
    assert visit(platform, url + "/dev/none")[::2] == (404, b'{"message":"Not Found"}')
    assert visit(platform, url + "/old/6")[::2] == (404, b'{"message":"Not Found"}')


def test_a_function_that_is_slow_is_no_longer_waited_for(platform, apis):
    create(platform.client("lambda"), "api-slow", {"app.py": "import time\ndef handler(e, c):\n    time.sleep(5)\n"}, Timeout=30)
    api = apis.create_api(Name="slow", ProtocolType="HTTP", Target=function_arn("api-slow"))
    integration = apis.get_integrations(ApiId=api["ApiId"])["Items"][0]["IntegrationId"]
    apis.update_integration(ApiId=api["ApiId"], IntegrationId=integration, TimeoutInMillis=500)
    assert visit(platform, api["ApiEndpoint"])[::2] == (503, b'{"message":"Service Unavailable"}')


def test_browsers_hear_of_cors(platform, apis, echo):
    cors = {"AllowOrigins": ["https://app.example"], "AllowMethods": ["GET"], "MaxAge": 60}
    api = apis.create_api(Name="cors", ProtocolType="HTTP", Target=echo, CorsConfiguration=cors)
    asks = {"origin": "https://app.example", "access-control-request-method": "GET"}
    status, headers, _ = visit(platform, api["ApiEndpoint"] + "/x", "OPTIONS", asks)
    assert (status, headers["access-control-allow-origin"], headers["access-control-max-age"]) == (204, "https://app.example", "60")
    _, headers, _ = visit(platform, api["ApiEndpoint"] + "/x", headers={"origin": "https://app.example"})
    assert headers["access-control-allow-origin"] == "https://app.example"


def test_what_is_wrong_is_said_in_awss_words(platform, apis, echo):
    code, words = error(apis.get_api, ApiId="unmade")
    assert (code, words) == ("NotFoundException", "Invalid API identifier specified 000000000000:unmade")
    assert error(apis.create_api, Name="w", ProtocolType="WEBSOCKET")[0] == "NotImplemented"
    api_id = apis.create_api(Name="wrong", ProtocolType="HTTP")["ApiId"]
    apis.create_route(ApiId=api_id, RouteKey="GET /a")
    code, words = error(apis.create_route, ApiId=api_id, RouteKey="GET /a")
    assert (code, words) == ("ConflictException", "Route with key GET /a already exists for this API")
    code, words = error(apis.create_route, ApiId=api_id, RouteKey="a")
    assert code == "BadRequestException" and words.startswith("The provided route key is not formatted properly")
    code, words = error(apis.create_integration, ApiId=api_id, IntegrationType="MOCK", PayloadFormatVersion="2.0")
    assert code == "BadRequestException" and "proxy integrations (AWS_PROXY, HTTP_PROXY)" in words
    apis.delete_api(ApiId=api_id)
    assert error(apis.get_routes, ApiId=api_id)[0] == "NotFoundException"


def test_apis_outlive_a_kill(own_platform):
    platform = own_platform()
    create(platform.client("lambda"), "echo", {"app.py": ECHO})
    apis = platform.client("apigatewayv2")
    api = apis.create_api(Name="kept", ProtocolType="HTTP", Target=function_arn("echo"), Tags={"k": "v"})
    apis.create_deployment(ApiId=api["ApiId"])
    platform.kill()
    platform.start()
    apis = platform.client("apigatewayv2")
    kept = apis.get_api(ApiId=api["ApiId"])
    assert (kept["Name"], kept["Tags"], kept["CreatedDate"]) == ("kept", {"k": "v"}, api["CreatedDate"])
    assert len(apis.get_deployments(ApiId=api["ApiId"])["Items"]) == 2
    url = kept["ApiEndpoint"].rsplit(":", 1)[0] + ":" + platform.endpoint.rsplit(":", 1)[1]
    assert visit(platform, url + "/still")[0] == 200


def test_rights_decide_where_they_are_enforced(own_platform):
    platform = own_platform("--iam=enforce")
    first = platform.client("iam").create_access_key()["AccessKey"]
    root = {"key": first["AccessKeyId"], "secret": first["SecretAccessKey"]}
    functions, apis = platform.client("lambda", **root), platform.client("apigatewayv2", **root)
    iam = platform.client("iam", **root)
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName="lambda-test", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
    create(functions, "echo", {"app.py": ECHO})
    api = apis.create_api(Name="closed", ProtocolType="HTTP", Target=function_arn("echo"))
    url = api["ApiEndpoint"] + "/x"
    assert visit(platform, url)[::2] == (500, b'{"message":"Internal Server Error"}'), "the function lets no API in"
    # A role may call it instead, once it may.
    caller = {"Effect": "Allow", "Principal": {"Service": "apigateway.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName="caller", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [caller]}))["Role"]["Arn"]
    by_role = apis.create_api(Name="by-role", ProtocolType="HTTP", Target=function_arn("echo"), CredentialsArn=role)["ApiEndpoint"]
    assert visit(platform, by_role)[0] == 500
    may = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "*"}
    iam.put_role_policy(RoleName="caller", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [may]}))
    assert visit(platform, by_role)[0] == 200
    functions.add_permission(
        FunctionName="echo", StatementId="one", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com",
        SourceArn=f"arn:aws:execute-api:us-east-1:000000000000:{api['ApiId']}/*/*",
    )  # fmt: skip
    assert visit(platform, url)[0] == 200
    # A route for those who sign.
    route = apis.get_routes(ApiId=api["ApiId"])["Items"][0]["RouteId"]
    apis.update_route(ApiId=api["ApiId"], RouteId=route, AuthorizationType="AWS_IAM")
    assert visit(platform, url)[::2] == (403, b'{"message":"Forbidden"}')
    iam.create_user(UserName="ann")
    keys = iam.create_access_key(UserName="ann")["AccessKey"]

    def signed():
        request = AWSRequest("GET", url, headers={"host": urllib.parse.urlsplit(url).netloc})
        credentials = botocore.credentials.Credentials(keys["AccessKeyId"], keys["SecretAccessKey"])
        SigV4Auth(credentials, "execute-api", "us-east-1").add_auth(request)
        return visit(platform, url, headers=dict(request.headers.items()))

    assert signed()[::2] == (403, b'{"message":"Forbidden"}'), "no policy lets her"
    allow = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": f"arn:aws:execute-api:us-east-1:*:{api['ApiId']}/$default/GET/x"}
    iam.put_user_policy(UserName="ann", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]}))
    status, _, answer = signed()
    assert status == 200
    assert json.loads(answer)["requestContext"]["authorizer"]["iam"]["userArn"] == "arn:aws:iam::000000000000:user/ann"


class Issuer:
    """An issuer of tokens on this machine, and a page beside it."""

    def __init__(self, certificate=None):
        self.public, self.private = rsa.newkeys(2048)
        self.asked = []
        outer = self

        class Answers(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append(self.path)
                answer = outer.answer(self.path, self.headers)
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.url = f"https://localhost:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path, headers):
        def number(value):
            return encode(value.to_bytes((value.bit_length() + 7) // 8, "big"))

        if path == "/.well-known/openid-configuration":
            return json.dumps({"issuer": self.url, "jwks_uri": self.url + "/keys"}).encode()
        if path == "/keys":
            return json.dumps({"keys": [{"kty": "RSA", "kid": "k", "n": number(self.public.n), "e": number(self.public.e)}]}).encode()
        return json.dumps({"path": path, "headers": dict(headers.items())}).encode()

    def token(self, **claims):
        head = {"alg": "RS256", "kid": "k"}
        claims = {"iss": self.url, "aud": "app", "exp": int(time.time()) + 60, **claims}
        signed = encode(json.dumps(head).encode()) + "." + encode(json.dumps(claims).encode())
        return signed + "." + encode(rsa.sign(signed.encode(), self.private, "SHA-256"))


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def issuer():
    made = Issuer()
    yield made
    made.server.shutdown()


def test_a_token_lets_in(platform, apis, echo, issuer):
    api = apis.create_api(Name="tokens", ProtocolType="HTTP", Target=echo)
    route = apis.get_routes(ApiId=api["ApiId"])["Items"][0]["RouteId"]
    judge = apis.create_authorizer(
        ApiId=api["ApiId"], Name="tokens", AuthorizerType="JWT", IdentitySource=["$request.header.Authorization"],
        JwtConfiguration={"Issuer": issuer.url, "Audience": ["app"]},
    )["AuthorizerId"]  # fmt: skip
    apis.update_route(
        ApiId=api["ApiId"], RouteId=route, AuthorizationType="JWT", AuthorizerId=judge, AuthorizationScopes=["read"]
    )
    url = api["ApiEndpoint"] + "/x"
    status, headers, body = visit(platform, url)
    assert (status, body, headers["www-authenticate"]) == (401, b'{"message":"Unauthorized"}', "Bearer")
    good = {"authorization": "Bearer " + issuer.token(scope="read write", sub="ann")}
    for _ in range(3):
        status, _, body = visit(platform, url, headers=good)
        assert status == 200
    jwt = json.loads(body)["requestContext"]["authorizer"]["jwt"]
    assert (jwt["claims"]["sub"], jwt["scopes"]) == ("ann", ["read"])
    assert issuer.asked.count("/keys") == 1
    for claims, expected in [({"scope": "write"}, 403), ({"scope": "read", "exp": 1}, 401), ({"scope": "read", "aud": "x"}, 401)]:
        status, headers, _ = visit(platform, url, headers={"authorization": issuer.token(**claims)})
        assert status == expected and "error=" in headers["www-authenticate"]


JUDGE = """
def handler(event, context):
    if event["version"] == "2.0":
        return {"isAuthorized": event["headers"].get("x-who") == "ann", "context": {"team": "blue"}}
    effect = "Allow" if event["identitySource"] == "ann" else "Deny"
    arn = event["methodArn"].rsplit("/", 1)[0] + "/a*"
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": arn}
    return {"principalId": "p", "policyDocument": {"Version": "2012-10-17", "Statement": [statement]}}
"""


def test_a_function_decides(platform, apis, echo):
    create(platform.client("lambda"), "api-judge", {"app.py": JUDGE})
    api = apis.create_api(Name="judged", ProtocolType="HTTP", Target=echo, RouteKey="GET /{what}")
    route = apis.get_routes(ApiId=api["ApiId"])["Items"][0]["RouteId"]
    for version, simple in [("2.0", True), ("1.0", False)]:
        judge = apis.create_authorizer(
            ApiId=api["ApiId"], Name="judge", AuthorizerType="REQUEST", AuthorizerUri=function_arn("api-judge"),
            AuthorizerPayloadFormatVersion=version, EnableSimpleResponses=simple, IdentitySource=["$request.header.X-Who"],
        )["AuthorizerId"]  # fmt: skip
        apis.update_route(ApiId=api["ApiId"], RouteId=route, AuthorizationType="CUSTOM", AuthorizerId=judge)
        assert visit(platform, api["ApiEndpoint"] + "/abc", headers={"x-who": "ann"})[0] == 200
        assert visit(platform, api["ApiEndpoint"] + "/abc", headers={"x-who": "bob"})[::2] == (403, b'{"message":"Forbidden"}')
        assert visit(platform, api["ApiEndpoint"] + "/abc")[::2] == (401, b'{"message":"Unauthorized"}')
    # The policy is about paths that begin with an `a`.
    assert visit(platform, api["ApiEndpoint"] + "/xyz", headers={"x-who": "ann"})[0] == 403


def test_a_url_answers(platform, apis, issuer):
    api = apis.create_api(Name="page", ProtocolType="HTTP", Target=issuer.url + "/base")
    status, headers, body = visit(platform, api["ApiEndpoint"] + "/some%20where?x=1", headers={"x-own": "1"})
    told = json.loads(body)
    assert (status, headers["content-type"], told["path"]) == (200, "application/json", "/base/some%20where?x=1")
    assert told["headers"]["x-own"] == "1" and told["headers"]["Host" if "Host" in told["headers"] else "host"] in issuer.url
    away = apis.create_api(Name="away", ProtocolType="HTTP", Target="http://169.254.169.254/latest")
    assert visit(platform, away["ApiEndpoint"])[::2] == (500, b'{"message":"Internal Server Error"}')


def test_a_stage_limits_logs_and_maps(platform, apis, echo, issuer):
    api_id = apis.create_api(Name="staged", ProtocolType="HTTP")["ApiId"]
    url = apis.get_api(ApiId=api_id)["ApiEndpoint"]
    mapped = apis.create_integration(
        ApiId=api_id, IntegrationType="HTTP_PROXY", IntegrationMethod="GET", PayloadFormatVersion="1.0", IntegrationUri=issuer.url,
        RequestParameters={"overwrite:path": "/mapped/${request.path.id}", "append:header.x-stage": "$context.stage"},
        ResponseParameters={"200": {"overwrite:statuscode": "202", "append:header.x-path": "$response.body.path"}},
    )["IntegrationId"]  # fmt: skip
    plain = apis.create_integration(
        ApiId=api_id, IntegrationType="AWS_PROXY", IntegrationUri=echo, PayloadFormatVersion="2.0"
    )["IntegrationId"]
    apis.create_route(ApiId=api_id, RouteKey="GET /mapped/{id}", Target=f"integrations/{mapped}")
    apis.create_route(ApiId=api_id, RouteKey="GET /plain", Target=f"integrations/{plain}")
    apis.create_stage(
        ApiId=api_id, StageName="dev", AutoDeploy=True,
        RouteSettings={"GET /plain": {"ThrottlingBurstLimit": 2, "ThrottlingRateLimit": 0.01}},
        AccessLogSettings={
            "DestinationArn": "arn:aws:logs:us-east-1:000000000000:log-group:/apis/staged",
            "Format": '{"id":"$context.requestId","route":"$context.routeKey","status":"$context.status"}',
        },
    )  # fmt: skip
    status, headers, body = visit(platform, url + "/dev/mapped/6")
    told = json.loads(body)
    assert (status, headers["x-path"], told["path"], told["headers"]["x-stage"]) == (202, "/mapped/6", "/mapped/6", "dev")
    assert [visit(platform, url + "/dev/plain")[0] for _ in range(3)] == [200, 200, 429]
    assert visit(platform, url + "/dev/plain")[2] == b'{"message":"Too Many Requests"}'
    logs = platform.client("logs")

    def lines():
        try:
            return [json.loads(event["message"]) for event in logs.filter_log_events(logGroupName="/apis/staged")["events"]]
        except logs.exceptions.ResourceNotFoundException:
            return []

    seen = eventually(lines, lambda lines: len(lines) == 5)
    assert sorted(line["status"] for line in seen) == ["200", "200", "202", "429", "429"]
    assert headers["apigw-requestid"] in [line["id"] for line in seen]


def test_a_definition_is_imported_and_exported_by_the_command_line(platform, apis, echo, tmp_path):
    definition = {
        "openapi": "3.0.1",
        "info": {"title": "defined", "version": "1"},
        "paths": {
            "/pets/{id}": {
                "get": {
                    "x-amazon-apigateway-integration": {"type": "AWS_PROXY", "httpMethod": "POST", "uri": echo, "payloadFormatVersion": "2.0"}
                }
            }
        },
        "x-amazon-apigateway-cors": {"allowOrigins": ["*"]},
    }
    (tmp_path / "api.json").write_text(json.dumps(definition))
    made = json.loads(platform.cli("apigatewayv2", "import-api", "--body", f"file://{tmp_path}/api.json").stdout)
    apis.create_stage(ApiId=made["ApiId"], StageName="$default", AutoDeploy=True)
    status, _, body = visit(platform, made["ApiEndpoint"] + "/pets/6")
    assert (status, json.loads(body)["pathParameters"]) == (200, {"id": "6"})
    out = tmp_path / "out.json"
    platform.cli(
        "apigatewayv2", "export-api", "--api-id", made["ApiId"], "--specification", "OAS30", "--output-type", "JSON", str(out)
    )
    told = json.loads(out.read_text())
    assert told["paths"]["/pets/{id}"]["get"]["x-amazon-apigateway-integration"]["uri"] == echo
    assert told["x-amazon-apigateway-cors"]["allowOrigins"] == ["*"]


def test_this_machine_is_reached_only_where_its_owner_said_so(platform, own_platform):
    elsewhere = Issuer()
    leads = lambda running, url: running.client("apigatewayv2").create_api(Name="own", ProtocolType="HTTP", Target=url)["ApiEndpoint"]
    assert visit(platform, leads(platform, elsewhere.url) + "/x")[0] == 200
    refused = (500, b'{"message":"Internal Server Error"}')
    # There whoever asks from this machine is its owner.
    assert visit(platform, leads(platform, platform.endpoint) + "/2015-03-31/functions")[::2] == refused
    closed = own_platform()
    assert visit(closed, leads(closed, elsewhere.url) + "/x")[::2] == refused
    elsewhere.server.shutdown()


def test_urls_are_reached_by_tls_as_the_host_trusts(own_platform, tmp_path):
    certificate = tmp_path / "both.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost", "-keyout", tmp_path / "key",
         "-out", tmp_path / "cert", "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"],
        check=True, capture_output=True,
    )  # fmt: skip
    certificate.write_text((tmp_path / "key").read_text() + (tmp_path / "cert").read_text())
    elsewhere = Issuer(certificate)
    trusting = own_platform("--apis-reach-host", environment={"SSL_CERT_FILE": str(tmp_path / "cert")})
    api = trusting.client("apigatewayv2").create_api(Name="tls", ProtocolType="HTTP", Target=elsewhere.url)
    for _ in range(2):
        status, _, body = visit(trusting, api["ApiEndpoint"] + "/x")
        assert (status, json.loads(body)["path"]) == (200, "/x")
    other = own_platform("--apis-reach-host")
    api = other.client("apigatewayv2").create_api(Name="tls", ProtocolType="HTTP", Target=elsewhere.url)
    assert visit(other, api["ApiEndpoint"] + "/x")[::2] == (503, b'{"message":"Service Unavailable"}')
    elsewhere.server.shutdown()

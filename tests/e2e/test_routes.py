"""`lambent routes`: what answers where, and who may call it."""

import http.client
import json
import re
import urllib.parse

from platform_under_test import create

HELLO = "def handler(event, context):\n    return {'statusCode': 200, 'body': event['rawPath']}\n"


def reach(platform, url):
    """What answers an address, whether or not its name resolves here."""
    where, endpoint = urllib.parse.urlsplit(url), urllib.parse.urlsplit(platform.endpoint)
    connection = http.client.HTTPConnection(endpoint.hostname, endpoint.port, timeout=30)
    connection.request("GET", where.path, headers={"Host": where.netloc})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def path(url):
    """The path that the function sees, whether the address is below a name of its own or below the platform's."""
    return re.sub("^/_lambent/(url|api)/[a-z0-9]+", "", urllib.parse.urlsplit(url).path)


def test_what_answers_where(own_platform):
    running = own_platform()
    assert running.lambent("routes").stdout.startswith("no routes yet")
    functions, apis, s3 = running.client("lambda"), running.client("apigatewayv2"), running.client("s3")
    create(functions, "hello", {"app.py": HELLO})
    arn = functions.get_function_configuration(FunctionName="hello")["FunctionArn"]
    functions.publish_version(FunctionName="hello")
    functions.create_alias(FunctionName="hello", Name="live", FunctionVersion="1")
    functions.create_function_url_config(FunctionName="hello", AuthType="NONE")
    functions.create_function_url_config(FunctionName="hello", Qualifier="live", AuthType="AWS_IAM")
    functions.add_permission(FunctionName="hello", StatementId="api", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com")
    api = apis.create_api(Name="shop", ProtocolType="HTTP", Target=arn)["ApiId"]
    target = apis.get_integrations(ApiId=api)["Items"][0]["IntegrationId"]
    judge = apis.create_authorizer(
        ApiId=api, AuthorizerType="JWT", Name="tokens", IdentitySource=["$request.header.Authorization"],
        JwtConfiguration={"Issuer": "https://issuer.example", "Audience": ["me"]},
    )["AuthorizerId"]  # fmt: skip
    apis.create_route(
        ApiId=api, RouteKey="POST /orders/{id}", Target=f"integrations/{target}", AuthorizationType="JWT", AuthorizerId=judge, AuthorizationScopes=["write"]
    )
    apis.create_stage(ApiId=api, StageName="test", AutoDeploy=True)
    s3.create_bucket(Bucket="pages")
    s3.create_bucket(Bucket="no-pages")
    s3.put_bucket_website(Bucket="pages", WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}})

    rest = running.client("apigateway")
    old = rest.create_rest_api(name="old")["id"]
    root = rest.get_resources(restApiId=old)["items"][0]["id"]
    below = rest.create_resource(restApiId=old, parentId=root, pathPart="{proxy+}")["id"]
    uri = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{arn}/invocations"
    guard = rest.create_authorizer(restApiId=old, name="guard", type="TOKEN", authorizerUri=uri, identitySource="method.request.header.Authorization")["id"]
    for resource, method, more in [(below, "ANY", {"authorizationType": "CUSTOM", "authorizerId": guard}), (root, "OPTIONS", {"authorizationType": "AWS_IAM"})]:
        rest.put_method(restApiId=old, resourceId=resource, httpMethod=method, **more)
    rest.put_integration(restApiId=old, resourceId=below, httpMethod="ANY", type="AWS_PROXY", integrationHttpMethod="POST", uri=uri)
    rest.put_integration(restApiId=old, resourceId=root, httpMethod="OPTIONS", type="MOCK", requestTemplates={"application/json": '{"statusCode": 200}'})
    rest.create_deployment(restApiId=old, stageName="prod")

    rows = [json.loads(line) for line in running.lambent("routes", "--json").stdout.splitlines()]
    seen = sorted((row["method"], path(row["url"]), row["target"], row["who"]) for row in rows)
    tokens = "a token of https://issuer.example for write"
    assert seen == sorted(
        [
            ("ANY", "/", "hello", "anybody"),
            ("ANY", "/", "hello:live", "signed, with lambda:InvokeFunctionUrl"),
            ("ANY", "/{any+}", "hello", "anybody"),
            ("ANY", "/test/{any+}", "hello", "anybody"),
            ("POST", "/orders/{id}", "hello", tokens),
            ("POST", "/test/orders/{id}", "hello", tokens),
            ("ANY", "/prod/{proxy+}", "hello", "whom hello lets in"),
            ("OPTIONS", "/prod/", "mock", "signed, with execute-api:Invoke"),
            ("GET", "/", "s3://pages", "whom the bucket's policy lets read"),
        ]
    )
    for row in rows:
        if row["who"] == "anybody":
            url = row["url"].replace("{any+}", "any/thing")
            assert reach(running, url) == (200, path(url)), row
    one = running.lambent("routes", "hello").stdout
    assert "WHO MAY CALL" in one and "hello:live" in one and "s3://pages" not in one

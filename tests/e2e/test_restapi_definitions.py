"""REST APIs from definitions, with models, compression and trials, as boto3, the AWS CLI and chalice meet them."""

import gzip
import json
import re

import pytest

from platform_under_test import ROOT, create_for_apis, eventually
from test_httpapis import error, visit
from test_restapis import ECHO, address, uri

CHALICE = ROOT / "target/clients/chalice/bin/chalice"

APP = """
from chalice import AuthResponse, Chalice, Response

app = Chalice(app_name="tidings")
app.api.binary_types.append("image/x-test")


@app.route("/")
def index():
    \"\"\"Says hello.\"\"\"
    return {"hello": "WORD"}


@app.route("/users/{name}", methods=["GET", "POST"], cors=True)
def user(name):
    request = app.current_request
    return {"name": name, "method": request.method, "body": request.raw_body.decode(), "query": request.query_params}


@app.route("/bytes")
def some():
    return Response(body=b"\\x00\\xff", headers={"content-type": "image/x-test"})


@app.authorizer(ttl_seconds=30)
def judge(request):
    return AuthResponse(routes=["*"] if request.token == "open" else [], principal_id="ada")


@app.route("/secret", authorizer=judge)
def secret():
    return {"who": app.current_request.context["authorizer"]["principalId"]}
"""


@pytest.fixture(scope="module")
def apis(platform):
    return platform.client("apigateway")


@pytest.fixture(scope="module")
def echo(platform):
    return create_for_apis(platform.client("lambda"), "defined-echo", {"app.py": ECHO})


def definition(function):
    integration = {"type": "aws_proxy", "httpMethod": "POST", "uri": uri(function)}
    return {
        "openapi": "3.0.1",
        "info": {"title": "pets", "version": "1"},
        "paths": {
            "/pets": {
                "post": {
                    "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}},
                    "responses": {},
                    "x-amazon-apigateway-integration": integration,
                }
            },
            "/mock": {
                "x-amazon-apigateway-any-method": {
                    "responses": {"200": {"description": "ok"}},
                    "x-amazon-apigateway-integration": {
                        "type": "mock",
                        "requestTemplates": {"application/json": '{"statusCode": 200}'},
                        "responses": {"default": {"statusCode": "200", "responseTemplates": {"application/json": "x" * 5000}}},
                    },
                }
            },
        },
        "components": {"schemas": {"Pet": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}}},
        "x-amazon-apigateway-request-validators": {"body": {"validateRequestBody": True}},
        "x-amazon-apigateway-request-validator": "body",
        "x-amazon-apigateway-minimum-compression-size": 100,
    }


def test_a_definition_goes_in_and_out(platform, apis, echo, tmp_path):
    made = apis.import_rest_api(
        body=json.dumps(definition(echo)), failOnWarnings=True, parameters={"endpointConfigurationTypes": "REGIONAL"}
    )
    api = made["id"]
    assert (made["name"], made["endpointConfiguration"]["types"], made["minimumCompressionSize"]) == ("pets", ["REGIONAL"], 100)
    apis.create_deployment(restApiId=api, stageName="dev")
    url = address(platform, api, "/dev/pets")
    assert visit(platform, url, "POST", body=b'{"name": "a"}')[0] == 201
    assert visit(platform, url, "POST", body=b'{"name": 1}')[::2] == (400, b'{"message":"Invalid request body"}')
    # Compressed both ways.
    status, headers, body = visit(platform, address(platform, api, "/dev/mock"), headers={"accept-encoding": "gzip"})
    assert (status, headers["content-encoding"], gzip.decompress(body)) == (200, "gzip", b"x" * 5000)
    long = json.dumps({"name": "é" * 5000}).encode()
    status, _, body = visit(platform, url, "POST", {"content-encoding": "gzip"}, gzip.compress(long))
    assert status == 201 and json.loads(json.loads(body)["body"]) == json.loads(long)
    # Longer than a function's event, and too long.
    for size, expected in [(7 * 1024 * 1024, 200), (11 * 1024 * 1024, 413)]:
        try:
            status = visit(platform, address(platform, api, "/dev/mock"), "POST", body=b" " * size)[0]
        except (BrokenPipeError, ConnectionResetError):
            status = 413
        assert status == expected
    assert visit(platform, url, "POST", {"content-type": "text/plain"}, b"a" * 7 * 1024 * 1024)[0] == 413
    # What goes out as YAML comes in again through the CLI, which sends the file as it is.
    export = apis.get_export(
        restApiId=api, stageName="dev", exportType="oas30", parameters={"extensions": "apigateway"}, accepts="application/yaml"
    )
    assert export["contentDisposition"] == 'attachment; filename="oas30_1.yaml"'
    file = tmp_path / "api.yaml"
    file.write_bytes(export["body"].read())
    assert file.read_text().startswith("---\nopenapi:")
    file.write_text(file.read_text().replace("/pets:", "/dogs:"))
    platform.cli("apigateway", "put-rest-api", "--rest-api-id", api, "--mode", "overwrite", "--body", f"fileb://{file}")
    paths = {one["path"] for one in apis.get_resources(restApiId=api)["items"]}
    assert paths == {"/", "/dogs", "/mock"}
    out = tmp_path / "out.json"
    platform.cli(
        *["apigateway", "get-export", "--rest-api-id", api, "--stage-name", "dev", "--export-type", "swagger"],
        *["--parameters", "extensions=integrations", str(out)],
    )
    swagger = json.loads(out.read_text())
    assert swagger["swagger"] == "2.0" and list(swagger["paths"]) == ["/mock", "/pets"], "as it was deployed"
    assert error(apis.import_rest_api, body="{}")[0] == "BadRequestException"


def test_models_and_trials(platform, apis, echo):
    api = apis.create_rest_api(name="tried")
    api, root = api["id"], api["rootResourceId"]
    assert [one["name"] for one in apis.get_models(restApiId=api)["items"]] == ["Empty", "Error"]
    schema = {"type": "array", "items": {"type": "integer"}}
    apis.create_model(restApiId=api, name="Numbers", contentType="application/json", schema=json.dumps(schema))
    assert "#foreach($elem in $inputRoot)" in apis.get_model_template(restApiId=api, modelName="Numbers")["value"]
    validator = apis.create_request_validator(restApiId=api, name="v", validateRequestBody=True)["id"]
    apis.put_method(
        restApiId=api,
        resourceId=root,
        httpMethod="POST",
        authorizationType="AWS_IAM",
        requestValidatorId=validator,
        requestModels={"application/json": "Numbers"},
    )
    apis.put_integration(
        restApiId=api, resourceId=root, httpMethod="POST", type="AWS_PROXY", integrationHttpMethod="POST", uri=uri(echo)
    )
    at = {"restApiId": api, "resourceId": root, "httpMethod": "POST"}
    done = apis.test_invoke_method(**at, pathWithQueryString="/?a=b", body="[1, 2]", headers={"x-mine": "1"}, stageVariables={"v": "1"})
    event = json.loads(done["body"])
    assert (done["status"], event["body"], event["stageVariables"]) == (201, "[1, 2]", {"v": "1"})
    assert done["multiValueHeaders"]["set-cookie"] == ["a=1", "b=2"] and done["latency"] >= 0
    assert re.search(r"^\w{3} \w{3} \d\d [\d:]{8} UTC \d{4} : Method completed with status: 201$", done["log"], re.M)
    assert apis.test_invoke_method(**at, body='["a"]')["status"] == 400
    code, _ = error(apis.delete_model, restApiId=api, modelName="Numbers")
    assert code == "ConflictException"


def test_a_stage_has_logs_and_limits(platform, apis, echo):
    api = apis.import_rest_api(body=json.dumps(definition(echo)))["id"]
    apis.create_deployment(restApiId=api, stageName="dev")
    group = "arn:aws:logs:us-east-1:000000000000:log-group:/rest/access"
    changes = {
        "/accessLogSettings/destinationArn": group,
        "/accessLogSettings/format": '{"id": "$context.requestId", "status": "$context.status"}',
        "/*/*/logging/loglevel": "INFO",
        "/*/*/throttling/rateLimit": "0.001",
        "/*/*/throttling/burstLimit": "2",
    }
    patch = [{"op": "replace", "path": path, "value": value} for path, value in changes.items()]
    settings = apis.update_stage(restApiId=api, stageName="dev", patchOperations=patch)["methodSettings"]["*/*"]
    assert (settings["loggingLevel"], settings["throttlingRateLimit"], settings["throttlingBurstLimit"]) == ("INFO", 0.001, 2)
    answers = [visit(platform, address(platform, api, "/dev/mock")) for _ in range(3)]
    assert [status for status, _, _ in answers] == [200, 200, 429] and answers[2][2] == b'{"message":"Too Many Requests"}'
    logs = platform.client("logs")

    def lines(name):
        try:
            return [event["message"] for event in logs.filter_log_events(logGroupName=name)["events"]]
        except logs.exceptions.ResourceNotFoundException:
            return []

    access = eventually(lambda: lines("/rest/access"), lambda seen: len(seen) == 3)
    assert [json.loads(line)["status"] for line in access] == ["200", "200", "429"]
    execution = eventually(lambda: lines(f"API-Gateway-Execution-Logs_{api}/dev"), lambda seen: len(seen) > 9)
    id = answers[0][1]["x-amzn-requestid"]
    assert f"({id}) Method completed with status: 200" in execution


@pytest.mark.skipif(not CHALICE.exists(), reason="no chalice: `make clients` installs it")
def test_chalice_deploys_and_changes_an_app(platform, tmp_path):
    (tmp_path / ".chalice").mkdir()
    (tmp_path / "requirements.txt").write_text("")
    config = {"version": "2.0", "app_name": "tidings", "stages": {"dev": {"api_gateway_stage": "api"}}}
    (tmp_path / ".chalice/config.json").write_text(json.dumps(config))

    def chalice(*arguments):
        return platform.cli(*arguments, program=[str(CHALICE)], cwd=tmp_path).stdout

    def deploy(word):
        (tmp_path / "app.py").write_text(APP.replace("WORD", word))
        chalice("deploy", "--stage", "dev")
        resources = json.loads((tmp_path / ".chalice/deployed/dev.json").read_text())["resources"]
        return next(one["rest_api_id"] for one in resources if one["resource_type"] == "rest_api")

    api = deploy("world")

    def ask(path, *arguments, **more):
        return visit(platform, address(platform, api, f"/api{path}"), *arguments, **more)

    assert json.loads(ask("/")[2]) == {"hello": "world"}
    status, _, body = ask("/users/ada?x=1", "POST", {"content-type": "application/json"}, b"{}")
    assert (status, json.loads(body)) == (200, {"name": "ada", "method": "POST", "body": "{}", "query": {"x": "1"}})
    status, headers, _ = ask("/users/ada", "OPTIONS", {"origin": "https://a.example", "access-control-request-method": "POST"})
    assert status == 200 and "POST" in headers["access-control-allow-methods"] and headers["access-control-allow-origin"] == "*"
    assert ask("/bytes", headers={"accept": "image/x-test"})[2] == b"\x00\xff"
    assert json.loads(ask("/secret", headers={"authorization": "open"})[2]) == {"who": "ada"}
    assert (ask("/secret")[0], ask("/secret", headers={"authorization": "shut"})[0]) == (401, 403)
    assert deploy("moon") == api
    assert json.loads(ask("/")[2]) == {"hello": "moon"}
    chalice("delete", "--stage", "dev")
    assert ask("/")[0] in (403, 404)

"""What an HTTP API adds to a warm invocation: one route, a thousand, and one of version 1; turn by turn over one kept connection."""

import http.client
import json
import statistics
import time

CODE = {"app.py": "def handler(event, context):\n    return {'statusCode': 200, 'body': 'x'}\n"}
CALLS = 4_000


def measure(platform, python, row):
    platform.create("apis", python, CODE, memory=1769)
    arn = "arn:aws:lambda:us-east-1:000000000000:function:apis"
    # Believed on loopback, as the key `test` is; the service in it says whose request it is.
    signed = "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/apigateway/aws4_request, SignedHeaders=host;x-amz-date, Signature=aa\r\nX-Amz-Date: 20260101T000000Z\r\n"

    def ask(method, path, body):
        _, status, answer = platform.connection.call(method, path, json.dumps(body).encode(), signed + "Content-Type: application/json\r\n")
        assert status < 300, (status, answer)
        return json.loads(answer)

    leads = {"get": {"x-amazon-apigateway-integration": {"type": "AWS_PROXY", "uri": arn, "payloadFormatVersion": "2.0"}}}
    ids = {}
    for name, routes in [("1 route", 0), ("1,000 routes", 999)]:
        paths = {f"/r{n}/{{id}}/x{n}": leads for n in range(routes)} | {"/pets/{id}": leads}
        definition = json.dumps({"openapi": "3.0.1", "info": {"title": name, "version": "1"}, "paths": paths})
        ids[name] = ask("PUT", "/v2/apis", {"body": definition})["apiId"]
        ask("POST", f"/v2/apis/{ids[name]}/stages", {"stageName": "$default", "autoDeploy": True})
    connection = http.client.HTTPConnection("127.0.0.1", platform.port)

    def call(method, path, body=None, **headers):
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        said = answer.read()
        assert answer.status == 200, said

    # As large as the event that the API makes.
    event = json.dumps({"version": "2.0", "x": "y" * 900})
    ways = {"warm invoke, event of 1 KB": lambda: call("POST", "/2015-03-31/functions/apis/invocations", event)}
    for name, id in ids.items():
        host = f"{id}.execute-api.us-east-1.localhost:{platform.port}"
        ways[f"HTTP API, {name}"] = lambda host=host: call("GET", "/pets/6", Host=host)
    for way in ways.values():
        for _ in range(300):
            way()
    took = {name: [] for name in ways}
    for _ in range(CALLS):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            took[name].append((time.perf_counter() - began) * 1e3)
    bare, one, many = (statistics.median(values) for values in took.values())
    for name, values in took.items():
        row(f"apis: {name}", values)
    print(f"apis: added by the API {(one - bare) * 1e3:.0f} us; a thousand routes {many / one:.2f} x one")
    connection.close()

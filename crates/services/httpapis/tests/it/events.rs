//! What functions get, and what becomes of their answers.

use base::Principal;
use serde_json::{Value, json};

use crate::world::{Does, FUNCTION, INTERNAL, World, request};

const HEADERS: [(&str, &str); 5] = [
    ("Header1", "value1"),
    ("Header1", "value2"),
    ("User-Agent", "agent"),
    ("Cookie", "cookie1=a; cookie2=b"),
    ("X-Amzn-Trace-Id", "Root=1-5e6722a7-cc56xmpl46db7ae02d4da47e"),
];

/// What follows from the moment and the request's id.
fn settle(event: &mut Value, id: &str, now_ms: i64) {
    let context = &mut event["requestContext"];
    for (member, value) in [("requestId", json!(id)), ("extendedRequestId", json!(id))] {
        if let Some(told) = context.get_mut(member) {
            assert_eq!(*told, value);
            *told = json!("ID");
        }
    }
    for member in ["timeEpoch", "requestTimeEpoch"] {
        if let Some(told) = context.get_mut(member) {
            assert_eq!(*told, json!(now_ms));
            *told = json!(0);
        }
    }
    for member in ["time", "requestTime"] {
        if let Some(told) = context.get_mut(member) {
            assert!(told.as_str().unwrap().ends_with(" +0000"));
            *told = json!("TIME");
        }
    }
}

#[tokio::test]
async fn the_event_has_format_2_0() {
    let world = World::new();
    let api = world.serving("2.0", &["POST /my/{kind}/{rest+}"]).await;
    let mut headers = HEADERS.to_vec();
    headers.push(("Content-Type", "application/json; charset=utf-8"));
    let path = "/my/a%20path/b/c?parameter1=value1&parameter1=value2&parameter2=a%20b";
    let told = world.send(&request(&api, "POST", path, &headers, r#"{"x": 1}"#)).await;
    assert_eq!(told.status, 200, "{}", told.body);
    let called = world.function.called();
    let mut event = called.event;
    settle(&mut event, told.header("apigw-requestid").unwrap(), world.now().0);
    let host = format!("{api}.execute-api.us-east-1.localhost");
    let expected = json!({
        "version": "2.0",
        "routeKey": "POST /my/{kind}/{rest+}",
        "rawPath": "/my/a path/b/c",
        "rawQueryString": "parameter1=value1&parameter1=value2&parameter2=a%20b",
        "cookies": ["cookie1=a", "cookie2=b"],
        "headers": {
            "content-type": "application/json; charset=utf-8",
            "header1": "value1,value2",
            "user-agent": "agent",
            "x-amzn-trace-id": "Root=1-5e6722a7-cc56xmpl46db7ae02d4da47e",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-port": "4566",
            "x-forwarded-proto": "http",
        },
        "queryStringParameters": { "parameter1": "value1,value2", "parameter2": "a b" },
        "requestContext": {
            "accountId": "000000000000",
            "apiId": api,
            "domainName": host,
            "domainPrefix": api,
            "http": {
                "method": "POST",
                "path": "/my/a path/b/c",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "agent",
            },
            "requestId": "ID",
            "routeKey": "POST /my/{kind}/{rest+}",
            "stage": "$default",
            "time": "TIME",
            "timeEpoch": 0,
        },
        "body": "{\"x\": 1}",
        "pathParameters": { "kind": "a path", "rest": "b/c" },
        "isBase64Encoded": false,
    });
    assert_eq!(event, expected);
    let source_arn = format!("arn:aws:execute-api:us-east-1:000000000000:{api}/$default/POST/my/{{kind}}/{{rest+}}");
    let Principal::Service { name, source_arn: told, source_account } = called.principal else { panic!("a service") };
    assert_eq!((name, told, source_account.as_str()), ("apigateway.amazonaws.com", source_arn, "000000000000"));
}

#[tokio::test]
async fn the_event_has_format_1_0() {
    let world = World::new();
    let api = world.serving("1.0", &["ANY /my/{kind}", "$default"]).await;
    world.function.does(Does::Answers(json!({"statusCode": 200, "body": "Hello"})));
    let path = "/my/path?parameter1=value1&parameter1=value2&parameter2=value";
    let told = world.send(&request(&api, "GET", path, &HEADERS, "")).await;
    assert_eq!((told.status, told.body.as_str()), (200, "Hello"));
    let mut event = world.function.called().event;
    settle(&mut event, told.header("apigw-requestid").unwrap(), world.now().0);
    let host = format!("{api}.execute-api.us-east-1.localhost");
    let expected = json!({
        "version": "1.0",
        "resource": "/my/{kind}",
        "path": "/my/path",
        "httpMethod": "GET",
        "headers": {
            "cookie": "cookie1=a; cookie2=b",
            "header1": "value2",
            "user-agent": "agent",
            "x-amzn-trace-id": "Root=1-5e6722a7-cc56xmpl46db7ae02d4da47e",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-port": "4566",
            "x-forwarded-proto": "http",
        },
        "multiValueHeaders": {
            "cookie": ["cookie1=a; cookie2=b"],
            "header1": ["value1", "value2"],
            "user-agent": ["agent"],
            "x-amzn-trace-id": ["Root=1-5e6722a7-cc56xmpl46db7ae02d4da47e"],
            "x-forwarded-for": ["127.0.0.1"],
            "x-forwarded-port": ["4566"],
            "x-forwarded-proto": ["http"],
        },
        "queryStringParameters": { "parameter1": "value2", "parameter2": "value" },
        "multiValueQueryStringParameters": { "parameter1": ["value1", "value2"], "parameter2": ["value"] },
        "requestContext": {
            "accountId": "000000000000",
            "apiId": api,
            "authorizer": { "claims": null, "scopes": null },
            "domainName": host,
            "domainPrefix": api,
            "extendedRequestId": "ID",
            "httpMethod": "GET",
            "identity": {
                "accessKey": null, "accountId": null, "caller": null, "cognitoAmr": null,
                "cognitoAuthenticationProvider": null, "cognitoAuthenticationType": null,
                "cognitoIdentityId": null, "cognitoIdentityPoolId": null, "principalOrgId": null,
                "sourceIp": "127.0.0.1", "user": null, "userAgent": "agent", "userArn": null,
            },
            "path": "/my/path",
            "protocol": "HTTP/1.1",
            "requestId": "ID",
            "requestTime": "TIME",
            "requestTimeEpoch": 0,
            "resourceId": "ANY /my/{kind}",
            "resourcePath": "/my/{kind}",
            "stage": "$default",
        },
        "pathParameters": { "kind": "path" },
        "stageVariables": null,
        "body": null,
        "isBase64Encoded": false,
    });
    assert_eq!(event, expected);
    world.visit(&api, "GET", "/other").await;
    let event = world.function.called().event;
    assert_eq!((&event["pathParameters"], &event["queryStringParameters"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn bodies_that_are_no_text_come_in_base64() {
    let world = World::new();
    let api = world.quick().await;
    for (kind, body, expected, encoded) in [
        ("image/png", &b"\x89PNG"[..], "iVBORw==", true),
        ("application/x-www-form-urlencoded", b"a=1", "YT0x", true),
        ("text/plain", b"plain", "plain", false),
        ("application/vnd.api+json", b"{}", "{}", false),
        ("application/json", b"\xff", "/w==", true),
    ] {
        let sent = request(&api, "PUT", "/", &[("content-type", kind)], bytes::Bytes::from_static(body));
        world.send(&sent).await;
        let event = world.function.called().event;
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!(expected), &json!(encoded)), "{kind}");
    }
}

#[tokio::test]
async fn answers_become_http() {
    let world = World::new();
    let api = world.quick().await;
    world.function.does(Does::Answers(json!({
        "statusCode": 418, "headers": {"X-Kind": "tea"}, "cookies": ["a=1", "b=2"], "body": "pot",
    })));
    let told = world.visit(&api, "GET", "/").await;
    assert_eq!((told.status, told.header("x-kind"), told.body.as_str()), (418, Some("tea"), "pot"));
    assert_eq!(told.headers.get_all("set-cookie").iter().count(), 2);
    let id = told.header("apigw-requestid").unwrap();
    assert!(id.len() == 16 && id.ends_with('='), "{id}");
    world.function.does(Does::Answers(json!(["any", "json"])));
    let told = world.visit(&api, "GET", "/").await;
    assert_eq!((told.status, told.header("content-type")), (200, Some("application/json")));
    for does in [
        Does::Fails,
        Does::Says("no json"),
        Does::Answers(json!({"statusCode": "x"})),
        Does::Refuses(base::Fault::denied("its policy lets no API in")),
        Does::Refuses(base::Fault::new("ResourceNotFoundException", 404, "there is no such function")),
    ] {
        world.function.does(does.clone());
        let told = world.visit(&api, "GET", "/").await;
        assert_eq!(told.both(), INTERNAL, "{does:?}");
        assert!(told.header("apigw-requestid").is_some());
    }
    world.function.does(Does::Refuses(base::Fault::new("TooManyRequestsException", 429, "Rate exceeded")));
    assert_eq!(world.visit(&api, "GET", "/").await.both(), (503, r#"{"message":"Service Unavailable"}"#));
}

#[tokio::test(start_paused = true)]
async fn a_function_that_takes_too_long_is_no_longer_waited_for() {
    use crate::world::input;
    use model::apigatewayv2::ops;

    let world = World::new();
    let api = world.api().await;
    let input = input!(CreateIntegrationRequest {
        api_id: &*api,
        integration_type: "AWS_PROXY",
        integration_uri: FUNCTION,
        payload_format_version: "2.0",
        timeout_in_millis: 200,
    });
    let id = world.call::<ops::CreateIntegration>(input).await.unwrap().integration_id.unwrap();
    world.route(&api, "GET /", &id).await;
    world.stage(&api, "$default").await;
    world.function.does(Does::Hangs);
    let began = tokio::time::Instant::now();
    assert_eq!(world.visit(&api, "GET", "/").await.both(), (503, r#"{"message":"Service Unavailable"}"#));
    assert_eq!(began.elapsed().as_millis().div_euclid(10), 20);
    let update = input!(UpdateIntegrationRequest { api_id: &*api, integration_id: id, timeout_in_millis: 1000 });
    world.call::<ops::UpdateIntegration>(update).await.unwrap();
    let began = tokio::time::Instant::now();
    assert_eq!(world.visit(&api, "GET", "/").await.status, 503);
    assert_eq!(began.elapsed().as_millis().div_euclid(10), 100);
}

#[tokio::test]
async fn heads_have_a_limit() {
    let world = World::new();
    let api = world.quick().await;
    let long = "x".repeat(10_300);
    let told = world.send(&request(&api, "GET", "/", &[("x-long", &long)], "")).await;
    assert_eq!(told.status, 431);
    assert!(!world.function.was_called());
}

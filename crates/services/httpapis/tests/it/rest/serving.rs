//! Functions behind REST APIs.

use base::{Fault, Principal};
use model::apigateway::{self as aws, ops};
use serde_json::json;

use super::world::{INTERNAL, MALFORMED, MISSING_TOKEN, Rest, patches, rest, texts, truths, uri};
use crate::world::{Does, FUNCTION, Request, request};

/// What the function is asked for such a request.
async fn event(rest: &Rest, request: &Request) -> serde_json::Value {
    rest.world.function.does(Does::Answers(json!({"statusCode": 200})));
    assert_eq!(rest.send(request).await.status, 200);
    rest.world.function.called().event
}

#[tokio::test]
async fn an_event_has_awss_form() {
    let rest = Rest::new();
    let api = rest.serving(&["/pets/{id}"]).await;
    let headers =
        [("user-agent", "curl/8"), ("x-many", "1"), ("x-many", "2"), ("authorization", "t"), ("content-length", "2")];
    let asked = request(&api, "POST", "/dev/pets/a%2Bb/?x=1&y=2&x=3%204", &headers, "hi");
    let event = event(&rest, &asked).await;
    let context = &event["requestContext"];
    let id = context["resourceId"].as_str().unwrap();
    assert!(id.len() == 6 && context["requestId"].as_str().unwrap().len() == 36, "{context}");
    assert_eq!(
        event,
        json!({
            "resource": "/pets/{id}",
            "path": "/pets/a%2Bb/",
            "httpMethod": "POST",
            "headers": {
                "Authorization": "t",
                "User-Agent": "curl/8",
                "X-Amzn-Trace-Id": event["headers"]["X-Amzn-Trace-Id"],
                "X-Forwarded-For": "127.0.0.1",
                "X-Forwarded-Port": "4566",
                "X-Forwarded-Proto": "http",
                "x-many": "2",
            },
            "multiValueHeaders": {
                "Authorization": ["t"],
                "User-Agent": ["curl/8"],
                "X-Amzn-Trace-Id": [event["headers"]["X-Amzn-Trace-Id"]],
                "X-Forwarded-For": ["127.0.0.1"],
                "X-Forwarded-Port": ["4566"],
                "X-Forwarded-Proto": ["http"],
                "x-many": ["1", "2"],
            },
            "queryStringParameters": {"x": "3 4", "y": "2"},
            "multiValueQueryStringParameters": {"x": ["1", "3 4"], "y": ["2"]},
            "pathParameters": {"id": "a%2Bb"},
            "stageVariables": null,
            "requestContext": {
                "accountId": "000000000000",
                "apiId": api,
                "deploymentId": context["deploymentId"],
                "domainName": format!("{api}.execute-api.us-east-1.localhost"),
                "domainPrefix": api,
                "extendedRequestId": context["extendedRequestId"],
                "httpMethod": "POST",
                "identity": {
                    "accessKey": null,
                    "accountId": null,
                    "caller": null,
                    "cognitoAuthenticationProvider": null,
                    "cognitoAuthenticationType": null,
                    "cognitoIdentityId": null,
                    "cognitoIdentityPoolId": null,
                    "principalOrgId": null,
                    "sourceIp": "127.0.0.1",
                    "user": null,
                    "userAgent": "curl/8",
                    "userArn": null,
                },
                "path": "/dev/pets/a%2Bb/",
                "protocol": "HTTP/1.1",
                "requestId": context["requestId"],
                "requestTime": context["requestTime"],
                "requestTimeEpoch": rest.world.now().0,
                "resourceId": id,
                "resourcePath": "/pets/{id}",
                "stage": "dev",
            },
            "body": "hi",
            "isBase64Encoded": false,
        })
    );
    assert!(context["deploymentId"].is_string());
}

#[tokio::test]
async fn what_is_not_there_is_null() {
    let rest = Rest::new();
    let api = rest.serving(&["/"]).await;
    let event = event(&rest, &request(&api, "GET", "/dev", &[], "")).await;
    for name in ["queryStringParameters", "multiValueQueryStringParameters", "pathParameters", "stageVariables", "body"]
    {
        assert_eq!(event[name], json!(null), "{name}");
    }
    assert_eq!((&event["path"], &event["resource"]), (&json!("/"), &json!("/")));
}

#[tokio::test]
async fn the_function_is_called_as_the_api() {
    let rest = Rest::new();
    let api = rest.serving(&["/{proxy+}"]).await;
    rest.world.function.does(Does::Answers(json!({})));
    assert_eq!(rest.visit(&api, "GET", "/dev/a/b/").await.status, 200);
    let called = rest.world.function.called();
    let Principal::Service { name, source_arn, source_account } = called.principal else { panic!("a service") };
    assert_eq!((&*called.name, name, source_account.as_str()), (FUNCTION, "apigateway.amazonaws.com", "000000000000"));
    assert_eq!(source_arn, format!("arn:aws:execute-api:us-east-1:000000000000:{api}/dev/GET/{{proxy+}}"));
    assert_eq!(called.event["pathParameters"], json!({"proxy": "a/b"}));
}

#[tokio::test]
async fn the_best_match_wins_and_the_method_is_part_of_it() {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    let test = rest.resource(&api, &root, "test").await;
    rest.proxy(&api, &test, "POST").await;
    let any = rest.resource(&api, &test, "any").await;
    rest.proxy(&api, &any, "ANY").await;
    let id = rest.resource(&api, &test, "{id}").await;
    rest.proxy(&api, &id, "GET").await;
    let all = rest.resource(&api, &root, "{proxy+}").await;
    rest.proxy(&api, &all, "OPTIONS").await;
    rest.deploy(&api, "dev").await;
    rest.world.function.does(Does::Answers(json!({})));
    for (method, path, resource) in [
        ("POST", "/dev/test", "/test"),
        ("POST", "/dev/test/", "/test"),
        ("OPTIONS", "/dev/test", "/{proxy+}"),
        ("OPTIONS", "/dev/test/any", "/test/any"),
        ("GET", "/dev/test/any", "/test/any"),
        ("GET", "/dev/test/other", "/test/{id}"),
        ("OPTIONS", "/dev/x/y/z", "/{proxy+}"),
    ] {
        assert_eq!(rest.visit(&api, method, path).await.status, 200, "{method} {path}");
        assert_eq!(rest.world.function.called().event["resource"], resource, "{method} {path}");
    }
    for (method, path) in [("GET", "/dev/test"), ("GET", "/dev/x"), ("OPTIONS", "/dev"), ("OPTIONS", "/dev/")] {
        let seen = rest.visit(&api, method, path).await;
        assert_eq!(seen.both(), MISSING_TOKEN, "{method} {path}");
        assert_eq!(seen.header("x-amzn-errortype"), Some("MissingAuthenticationTokenException"));
        assert_eq!(seen.header("x-amzn-requestid").unwrap().len(), 36);
        assert!(seen.header("x-amz-apigw-id").is_some());
    }
    for path in ["/", "/none/test"] {
        assert_eq!(rest.visit(&api, "GET", path).await.both(), (403, r#"{"message":"Forbidden"}"#));
    }
}

#[tokio::test]
async fn an_answer_says_everything() {
    let rest = Rest::new();
    let api = rest.serving(&["/"]).await;
    rest.world.function.does(Does::Answers(json!({
        "statusCode": "201",
        "headers": {"x-one": "1", "x-both": "no", "x-true": true, "Date": "yesterday", "Content-Length": "9"},
        "multiValueHeaders": {"x-both": ["a", "b"]},
        "body": "hello",
        "isBase64Encoded": false,
    })));
    let seen = rest.visit(&api, "GET", "/dev").await;
    assert_eq!(seen.both(), (201, "hello"));
    assert_eq!(seen.headers.get_all("x-both").iter().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((seen.header("x-one"), seen.header("x-true")), (Some("1"), Some("true")));
    assert_eq!((seen.header("date"), seen.header("x-amzn-remapped-date")), (None, Some("yesterday")));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert!(seen.header("x-amzn-trace-id").unwrap().starts_with("Root="));
    rest.world.function.does(Does::Answers(json!({})));
    assert_eq!(rest.visit(&api, "GET", "/dev").await.both(), (200, ""), "nothing must be there");
}

#[tokio::test]
async fn what_is_no_answer_is_awss_error() {
    let rest = Rest::new();
    let api = rest.serving(&["/"]).await;
    for text in [
        "\"text\"",
        "null",
        "[]",
        "not json",
        r#"{"hello": "you"}"#,
        r#"{"statusCode": 200, "body": {}}"#,
        r#"{"statusCode": "x"}"#,
        r#"{"statusCode": 700}"#,
        r#"{"statusCode": 100}"#,
        r#"{"headers": []}"#,
        r#"{"headers": {"a b": "c"}}"#,
        r#"{"headers": {"a": "c\n"}}"#,
        r#"{"multiValueHeaders": {"a": "b"}}"#,
        r#"{"isBase64Encoded": "yes"}"#,
    ] {
        rest.world.function.does(Does::Says(text));
        let seen = rest.visit(&api, "GET", "/dev").await;
        assert_eq!(seen.both(), MALFORMED, "{text}");
        assert_eq!(seen.header("x-amzn-errortype"), Some("InternalServerErrorException"));
    }
    rest.world.function.does(Does::Fails);
    assert_eq!(rest.visit(&api, "GET", "/dev").await.both(), MALFORMED);
    rest.world.function.does(Does::Refuses(Fault::new("AccessDeniedException", 403, "no")));
    assert_eq!(rest.visit(&api, "GET", "/dev").await.both(), INTERNAL);
    let large = request(&api, "POST", "/dev", &[], "x".repeat(7 * 1024 * 1024));
    assert_eq!(rest.send(&large).await.both(), (413, r#"{"message":"Request Too Long"}"#));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_the_integration_says() {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    rest.method(&api, &root, "GET").await;
    let input = rest!(PutIntegrationRequest {
        rest_api_id: &*api,
        resource_id: &*root,
        http_method: "GET",
        type_: "AWS_PROXY",
        integration_http_method: "POST",
        uri: uri(),
        timeout_in_millis: 50,
    });
    rest.call::<ops::PutIntegration>(input).await.unwrap();
    rest.deploy(&api, "dev").await;
    rest.world.function.does(Does::Hangs);
    let begun = tokio::time::Instant::now();
    assert_eq!(rest.visit(&api, "GET", "/dev").await.both(), (504, r#"{"message": "Endpoint request timed out"}"#));
    assert!(begun.elapsed() < std::time::Duration::from_secs(1));
}

#[tokio::test]
async fn binary_types_are_base64() {
    let rest = Rest::new();
    let made = rest!(CreateRestApiRequest { name: "a", binary_media_types: ["image/*".to_owned()] });
    let made = rest.call::<ops::CreateRestApi>(made).await.unwrap();
    let (api, root) = (made.id.unwrap(), made.root_resource_id.unwrap());
    rest.proxy(&api, &root, "ANY").await;
    rest.deploy(&api, "dev").await;
    let sent = request(&api, "POST", "/dev", &[("content-type", "image/png")], vec![0xff, 0xd8]);
    let seen = event(&rest, &sent).await;
    assert_eq!((&seen["body"], &seen["isBase64Encoded"]), (&json!("/9g="), &json!(true)));
    let sent = request(&api, "POST", "/dev", &[("content-type", "text/plain")], "text");
    assert_eq!(event(&rest, &sent).await["body"], "text");
    rest.world.function.does(Does::Answers(json!({"body": "aGk=", "isBase64Encoded": true})));
    let ask = |accept: &str| request(&api, "GET", "/dev", &[("accept", accept)], "");
    assert_eq!(rest.send(&ask("image/png, */*")).await.body, "hi");
    assert_eq!(rest.send(&ask("text/html, image/png")).await.body, "aGk=", "the first type decides");
}

#[tokio::test]
async fn a_stages_variables_choose_functions_and_are_told() {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    rest.method(&api, &root, "GET").await;
    let input = rest!(PutIntegrationRequest {
        rest_api_id: &*api,
        resource_id: &*root,
        http_method: "GET",
        type_: "AWS_PROXY",
        integration_http_method: "POST",
        uri: uri().replace(":hello/", ":${stageVariables.name}/"),
    });
    rest.call::<ops::PutIntegration>(input).await.unwrap();
    let input = rest!(CreateDeploymentRequest {
        rest_api_id: &*api,
        stage_name: "dev",
        variables: texts(&[("name", "hello")]),
    });
    rest.call::<ops::CreateDeployment>(input).await.unwrap();
    rest.world.function.does(Does::Answers(json!({})));
    assert_eq!(rest.visit(&api, "GET", "/dev").await.status, 200);
    let called = rest.world.function.called();
    assert_eq!((&*called.name, &called.event["stageVariables"]), (FUNCTION, &json!({"name": "hello"})));
    let gone = patches(&[("remove", "/variables/name", "-")]);
    let input = rest!(UpdateStageRequest { rest_api_id: &*api, stage_name: "dev", patch_operations: gone });
    rest.call::<ops::UpdateStage>(input).await.unwrap();
    assert_eq!(rest.visit(&api, "GET", "/dev").await.both(), INTERNAL);
}

#[tokio::test]
async fn a_functions_integration_is_by_post_and_may_add_parameters() {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    let input = rest!(PutMethodRequest {
        rest_api_id: &*api,
        resource_id: &*root,
        http_method: "GET",
        authorization_type: "NONE",
        request_parameters: truths(&[("method.request.querystring.q", false)]),
    });
    rest.call::<ops::PutMethod>(input).await.unwrap();
    let put = |method: &str| aws::PutIntegrationRequest {
        integration_http_method: Some(method.into()),
        request_parameters: Some(texts(&[
            ("integration.request.header.foo", "'mapped'"),
            ("integration.request.querystring.z", "method.request.querystring.q"),
        ])),
        ..rest!(PutIntegrationRequest {
            rest_api_id: &*api,
            resource_id: &*root,
            http_method: "GET",
            type_: "AWS_PROXY",
            uri: uri(),
        })
    };
    rest.call::<ops::PutIntegration>(put("POST")).await.unwrap();
    rest.deploy(&api, "dev").await;
    let event = event(&rest, &request(&api, "GET", "/dev?q=1", &[], "")).await;
    assert_eq!(
        (&event["headers"]["foo"], &event["queryStringParameters"]),
        (&json!("mapped"), &json!({"q": "1", "z": "1"}))
    );
    rest.call::<ops::PutIntegration>(put("GET")).await.unwrap();
    rest.deploy(&api, "dev").await;
    assert_eq!(rest.visit(&api, "GET", "/dev").await.both(), INTERNAL, "as on AWS");
}

#[tokio::test]
async fn an_endpoint_that_is_disabled_answers_nothing() {
    let rest = Rest::new();
    let made = rest!(CreateRestApiRequest { name: "a", disable_execute_api_endpoint: true });
    let made = rest.call::<ops::CreateRestApi>(made).await.unwrap();
    let (api, root) = (made.id.unwrap(), made.root_resource_id.unwrap());
    rest.mock(&api, &root, "GET").await;
    rest.deploy(&api, "dev").await;
    assert_eq!(rest.visit(&api, "GET", "/dev").await.both(), (403, r#"{"message":"Forbidden"}"#));
    let on = patches(&[("replace", "/disableExecuteApiEndpoint", "false")]);
    rest.call::<ops::UpdateRestApi>(rest!(UpdateRestApiRequest { rest_api_id: &*api, patch_operations: on }))
        .await
        .unwrap();
    rest.deploy(&api, "dev").await;
    assert_eq!(rest.visit(&api, "GET", "/dev").await.status, 200);
}

#[tokio::test]
async fn both_kinds_of_apis_share_hosts_and_the_form_by_path() {
    let rest = Rest::new();
    let api = rest.serving(&["/a"]).await;
    rest.world.function.does(Does::Answers(json!({"body": "rest"})));
    let by_path = request("x", "GET", &format!("/_lambent/api/{api}/dev/a"), &[], "");
    assert_eq!(rest.send(&Request { host: "localhost".into(), ..by_path }).await.body, "rest");
    let other = rest.world.serving("2.0", &["GET /a"]).await;
    rest.world.function.does(Does::Answers(json!({"statusCode": 200, "body": "http"})));
    assert_eq!(rest.visit(&other, "GET", "/a").await.body, "http");
    assert_eq!(rest.visit("none", "GET", "/a").await.status, 404);
}

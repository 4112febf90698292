//! Tests of methods and authorizers.

use model::apigateway::{self as aws, ops};
use serde_json::{Value, json};

use super::world::{Rest, patches, rest, texts, truths, uri};
use crate::world::{Does, FUNCTION, refused};

fn test(api: &str, resource: &str, method: &str) -> aws::TestInvokeMethodRequest {
    rest!(TestInvokeMethodRequest { rest_api_id: api, resource_id: resource, http_method: method })
}

#[tokio::test]
async fn a_method_is_tried_before_it_is_deployed() {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    let one = rest.resource(&api, &root, "{id}").await;
    rest.proxy(&api, &one, "POST").await;
    rest.world.function.does(Does::Answers(json!({
        "statusCode": 201, "headers": {"x-a": "1"}, "multiValueHeaders": {"set-cookie": ["a", "b"]}, "body": "made",
    })));
    let many = [("x-many".to_owned(), vec!["1".to_owned(), "2".to_owned()])];
    let input = aws::TestInvokeMethodRequest {
        path_with_query_string: Some("/7?q=a&q=b".into()),
        body: Some("{\"a\": 1}".into()),
        headers: Some(texts(&[("Content-Type", "application/json"), ("x-many", "0")])),
        multi_value_headers: Some(many.into_iter().collect()),
        stage_variables: Some(texts(&[("colour", "blue")])),
        ..test(&api, &one, "POST")
    };
    let done = rest.call::<ops::TestInvokeMethod>(input).await.unwrap();
    assert_eq!((done.status, done.body.as_deref()), (Some(201), Some("made")));
    assert_eq!(done.headers.as_ref().unwrap()["set-cookie"], "b");
    assert_eq!(done.multi_value_headers.unwrap()["set-cookie"], ["a", "b"]);
    assert!(done.latency.is_some());
    let called = rest.world.function.called();
    let event = called.event;
    assert_eq!((&*called.name, &event["body"]), (FUNCTION, &json!("{\"a\": 1}")));
    assert_eq!((&event["path"], &event["pathParameters"]["id"]), (&json!("/7"), &json!("7")));
    assert_eq!(event["multiValueQueryStringParameters"]["q"], json!(["a", "b"]));
    assert_eq!(event["multiValueHeaders"]["x-many"], json!(["1", "2"]));
    assert_eq!(event["stageVariables"]["colour"], "blue");
    assert_eq!(event["requestContext"]["stage"], "test-invoke-stage");
    assert_eq!(event["requestContext"]["identity"]["sourceIp"], "test-invoke-source-ip");
    let log = done.log.unwrap();
    for line in [
        "Execution log for request ",
        " : Starting execution for request: ",
        "HTTP Method: POST, Resource Path: /7",
        "Method request path: {id=7}",
        "Method request query string: {q=a, q=b}",
        "Method request body before transformations: {\"a\": 1}",
        "Sending request to arn:aws:apigateway:us-east-1:lambda:path/",
        "Received response. Status: 200, Integration latency: ",
        "Method response body after transformations: made",
        "Successfully completed execution\n",
        "Method completed with status: 201\n",
    ] {
        assert!(log.contains(line), "{line} in {log}");
    }
    rest.world.function.does(Does::Says("{}{"));
    let done = rest.call::<ops::TestInvokeMethod>(test(&api, &one, "POST")).await.unwrap();
    assert_eq!(done.status, Some(502));
    assert!(done.log.unwrap().contains("Malformed Lambda proxy response"));
    rest.world.function.does(Does::Fails);
    let done = rest.call::<ops::TestInvokeMethod>(test(&api, &one, "POST")).await.unwrap();
    assert!(done.log.unwrap().contains("Lambda execution failed with status 200 due to customer function error"));
}

#[tokio::test]
async fn tests_pass_authorizers_but_not_validators() {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    rest.mock(&api, &root, "ANY").await;
    let validator = rest!(CreateRequestValidatorRequest { rest_api_id: &*api, validate_request_parameters: true });
    let validator = rest.call::<ops::CreateRequestValidator>(validator).await.unwrap().id.unwrap();
    let changes = patches(&[
        ("replace", "/authorizationType", "AWS_IAM"),
        ("replace", "/requestValidatorId", &validator),
        ("add", "/requestParameters/method.request.querystring.q", "true"),
    ]);
    let update = rest!(UpdateMethodRequest {
        rest_api_id: &*api,
        resource_id: &*root,
        http_method: "ANY",
        patch_operations: changes,
    });
    let shown = rest.call::<ops::UpdateMethod>(update).await.unwrap();
    assert_eq!(shown.request_parameters.unwrap(), truths(&[("method.request.querystring.q", true)]));
    let missed = rest.call::<ops::TestInvokeMethod>(test(&api, &root, "ANY")).await.unwrap();
    assert_eq!(missed.status, Some(400));
    assert!(missed.log.unwrap().contains("Missing required request parameters: [q]"));
    let with = aws::TestInvokeMethodRequest { path_with_query_string: Some("?q=1".into()), ..test(&api, &root, "ANY") };
    assert_eq!(rest.call::<ops::TestInvokeMethod>(with).await.unwrap().status, Some(200));
    rest.method(&api, &root, "PUT").await;
    let certified =
        aws::TestInvokeMethodRequest { client_certificate_id: Some("c".into()), ..test(&api, &root, "ANY") };
    let headed = aws::TestInvokeMethodRequest { headers: Some(texts(&[("a b", "c")])), ..test(&api, &root, "ANY") };
    for (input, code, message) in [
        (test("none", &root, "ANY"), "NotFoundException", "Invalid Resource identifier specified"),
        (test(&api, "none", "ANY"), "NotFoundException", "Invalid Resource identifier specified"),
        (test(&api, &root, "GET"), "NotFoundException", "Invalid Method identifier specified"),
        (test(&api, &root, "PUT"), "BadRequestException", "No integration defined for method"),
        (certified, "NotImplemented", "clientCertificateId"),
        (headed, "BadRequestException", "Invalid header specified: a b"),
    ] {
        refused(rest.call::<ops::TestInvokeMethod>(input).await, code, message);
    }
}

#[tokio::test]
async fn an_authorizer_is_tried() {
    let rest = Rest::new();
    let (api, _) = rest.api().await;
    let create = |name: &str, kind: &str, source: &str| {
        rest!(CreateAuthorizerRequest {
            rest_api_id: &*api,
            name: name,
            type_: kind,
            authorizer_uri: uri(),
            identity_source: source,
        })
    };
    let token = create("token", "TOKEN", "method.request.header.Auth");
    let token = rest.call::<ops::CreateAuthorizer>(token).await.unwrap().id.unwrap();
    let whole = create("whole", "REQUEST", "method.request.querystring.key");
    let whole = rest.call::<ops::CreateAuthorizer>(whole).await.unwrap().id.unwrap();
    let ask = |id: &str| rest!(TestInvokeAuthorizerRequest { rest_api_id: &*api, authorizer_id: id });
    let call = |input| rest.call::<ops::TestInvokeAuthorizer>(input);
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Deny", "Action": "execute-api:Invoke", "Resource": "*"}]});
    rest.world.function.does(Does::Answers(json!({"principalId": "ada", "policyDocument": policy})));
    let with = aws::TestInvokeAuthorizerRequest { headers: Some(texts(&[("Auth", "secret-words")])), ..ask(&token) };
    let done = call(with.clone()).await.unwrap();
    assert_eq!((done.client_status, done.principal_id.as_deref()), (Some(0), Some("ada")));
    assert_eq!(serde_json::from_str::<Value>(&done.policy.unwrap()).unwrap(), policy);
    assert!(done.latency.is_some() && done.authorization.unwrap().is_empty());
    let event = rest.world.function.called().event;
    assert_eq!((&event["type"], &event["authorizationToken"]), (&json!("TOKEN"), &json!("secret-words")));
    assert!(event["methodArn"].as_str().unwrap().ends_with(&format!("{api}/ESTestInvoke-stage/GET/")));
    let log = done.log.unwrap();
    assert!(log.contains(&format!("Starting authorizer: {token} for request: ")), "{log}");
    assert!(log.contains("Incoming identity: *********rds"), "{log}");
    let missed = call(ask(&token)).await.unwrap();
    assert_eq!((missed.client_status, missed.principal_id), (Some(401), None));
    assert!(missed.log.unwrap().contains("Unauthorized request"));
    rest.world.function.does(Does::Answers(json!({"no": "answer"})));
    assert_eq!(call(with).await.unwrap().client_status, Some(500));
    rest.world.function.calls();
    let many = [("x-many".to_owned(), vec!["1".to_owned(), "2".to_owned()])];
    let with = aws::TestInvokeAuthorizerRequest {
        path_with_query_string: Some("/pets?key=k".into()),
        stage_variables: Some(texts(&[("colour", "blue")])),
        multi_value_headers: Some(many.into_iter().collect()),
        ..ask(&whole)
    };
    call(with).await.unwrap();
    let event = rest.world.function.called().event;
    assert_eq!((&event["path"], &event["stageVariables"]["colour"]), (&json!("/pets"), &json!("blue")));
    assert_eq!(event["multiValueHeaders"]["x-many"], json!(["1", "2"]));
    let more = aws::TestInvokeAuthorizerRequest { additional_context: Some(texts(&[("a", "b")])), ..ask(&token) };
    refused(call(more).await, "NotImplemented", "additionalContext");
    refused(call(ask("none")).await, "NotFoundException", "Invalid Authorizer identifier specified");
    let elsewhere = aws::TestInvokeAuthorizerRequest { rest_api_id: Some("none".into()), ..ask(&token) };
    refused(call(elsewhere).await, "NotFoundException", "Invalid API identifier");
}

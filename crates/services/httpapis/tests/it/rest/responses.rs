//! What an API answers by itself.

use model::apigateway::{self as aws, ops};

use super::world::{MISSING_TOKEN, Rest, patches, rest, texts};
use crate::world::{refused, request};

fn put(api: &str, of: &str) -> aws::PutGatewayResponseRequest {
    rest!(PutGatewayResponseRequest { rest_api_id: api, response_type: of })
}

#[tokio::test]
async fn a_response_is_said_as_the_api_says_it() {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    rest.mock(&api, &root, "GET").await;
    rest.deploy(&api, "dev").await;
    assert_eq!(rest.visit(&api, "GET", "/dev/none").await.both(), MISSING_TOKEN);
    let input = aws::PutGatewayResponseRequest {
        status_code: Some("404".into()),
        response_parameters: Some(texts(&[
            ("gatewayresponse.header.Access-Control-Allow-Origin", "'*'"),
            ("gatewayresponse.header.x-asked", "method.request.header.Accept"),
            ("gatewayresponse.header.x-query", "method.request.querystring.q"),
            ("gatewayresponse.header.x-type", "context.error.responseType"),
        ])),
        response_templates: Some(texts(&[
            ("application/json", "{\"m\": $context.error.messageString, \"s\": \"$context.stage\"}"),
            ("application/xml", "<m>$context.error.message</m>"),
        ])),
        ..put(&api, "MISSING_AUTHENTICATION_TOKEN")
    };
    let made = rest.call::<ops::PutGatewayResponse>(input).await.unwrap();
    assert_eq!((made.status_code.as_deref(), made.default_response), (Some("404"), Some(false)));
    assert_eq!(rest.visit(&api, "GET", "/dev/none").await.both(), MISSING_TOKEN, "not deployed yet");
    rest.deploy(&api, "dev").await;
    let seen =
        rest.send(&request(&api, "GET", "/dev/none?q=7", &[("accept", "text/html, application/json")], "")).await;
    assert_eq!(seen.both(), (404, r#"{"m": "Missing Authentication Token", "s": "dev"}"#));
    assert_eq!(seen.header("access-control-allow-origin"), Some("*"));
    assert_eq!((seen.header("x-asked"), seen.header("x-query")), (Some("text/html, application/json"), Some("7")));
    assert_eq!(seen.header("x-type"), Some("MISSING_AUTHENTICATION_TOKEN"));
    assert_eq!(seen.header("x-amzn-errortype"), Some("MissingAuthenticationTokenException"));
    let seen = rest.send(&request(&api, "GET", "/dev/none", &[("accept", "application/xml")], "")).await;
    assert_eq!(
        (seen.header("content-type"), &*seen.body),
        (Some("application/xml"), "<m>Missing Authentication Token</m>")
    );
}

#[tokio::test]
async fn a_class_stands_for_its_types() {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    rest.mock(&api, &root, "GET").await;
    let input = aws::PutGatewayResponseRequest {
        response_parameters: Some(texts(&[("gatewayresponse.header.x", "'y'")])),
        ..put(&api, "DEFAULT_4XX")
    };
    assert_eq!(rest.call::<ops::PutGatewayResponse>(input).await.unwrap().status_code, None);
    rest.deploy(&api, "dev").await;
    let seen = rest.visit(&api, "GET", "/dev/none").await;
    assert_eq!((seen.both(), seen.header("x")), (MISSING_TOKEN, Some("y")));
    let read = rest!(GetGatewayResponseRequest { rest_api_id: &*api, response_type: "ACCESS_DENIED" });
    let read = rest.call::<ops::GetGatewayResponse>(read).await.unwrap();
    assert_eq!((read.default_response, read.status_code.as_deref()), (Some(true), Some("403")));
    assert_eq!(read.response_parameters.unwrap(), texts(&[("gatewayresponse.header.x", "'y'")]));
}

#[tokio::test]
async fn all_types_are_listed_and_one_goes_back_to_its_default() {
    let rest = Rest::new();
    let (api, _) = rest.api().await;
    let all =
        rest.call::<ops::GetGatewayResponses>(rest!(GetGatewayResponsesRequest { rest_api_id: &*api })).await.unwrap();
    let all = all.items.unwrap();
    assert_eq!(all.len(), 21);
    let plain = texts(&[("application/json", "{\"message\":$context.error.messageString}")]);
    assert!(
        all.iter().all(|one| one.default_response == Some(true) && one.response_templates.as_ref() == Some(&plain))
    );
    let input = rest!(GetGatewayResponsesRequest { rest_api_id: &*api, limit: 20 });
    let first = rest.call::<ops::GetGatewayResponses>(input).await.unwrap();
    let input = rest!(GetGatewayResponsesRequest { rest_api_id: &*api, limit: 20, position: first.position.unwrap() });
    assert_eq!(rest.call::<ops::GetGatewayResponses>(input).await.unwrap().items.unwrap().len(), 1);
    let delete = || {
        let input = rest!(DeleteGatewayResponseRequest { rest_api_id: &*api, response_type: "THROTTLED" });
        rest.call::<ops::DeleteGatewayResponse>(input)
    };
    refused(delete().await, "NotFoundException", "Gateway response type not defined on api");
    rest.call::<ops::PutGatewayResponse>(put(&api, "THROTTLED")).await.unwrap();
    delete().await.unwrap();
    let read = rest!(GetGatewayResponseRequest { rest_api_id: &*api, response_type: "THROTTLED" });
    assert_eq!(rest.call::<ops::GetGatewayResponse>(read).await.unwrap().default_response, Some(true));
    refused(rest.call::<ops::PutGatewayResponse>(put(&api, "FAKE")).await, "ValidationException", "FAKE");
    refused(
        rest.call::<ops::PutGatewayResponse>(put("none", "THROTTLED")).await,
        "NotFoundException",
        "Invalid API identifier",
    );
}

#[tokio::test]
async fn patches_change_what_they_name() {
    let rest = Rest::new();
    let (api, _) = rest.api().await;
    let update = async |all: &[(&str, &str, &str)]| {
        let input = rest!(UpdateGatewayResponseRequest {
            rest_api_id: &*api,
            response_type: "DEFAULT_4XX",
            patch_operations: patches(all),
        });
        rest.call::<ops::UpdateGatewayResponse>(input).await
    };
    let done = update(&[
        ("replace", "/statusCode", "444"),
        ("add", "/responseTemplates/application~1xml", "<x/>"),
        ("add", "/responseParameters/gatewayresponse.header.a", "'b'"),
    ]);
    let done = done.await.unwrap();
    assert_eq!((done.status_code.as_deref(), done.default_response), (Some("444"), Some(false)));
    assert_eq!(done.response_templates.unwrap().len(), 2);
    assert_eq!(done.response_parameters.unwrap(), texts(&[("gatewayresponse.header.a", "'b'")]));
    for (patch, code, message) in [
        (("add", "/statusCode", "400"), "BadRequestException", "Invalid patch path /statusCode"),
        (("replace", "/wrongPath", "x"), "BadRequestException", "Invalid patch path /wrongPath"),
        (("replace", "/responseParameters/none", "'x'"), "NotFoundException", "Invalid parameter name specified"),
        (
            ("replace", "/responseTemplates/application~1json", "-"),
            "BadRequestException",
            "Invalid null or empty value in responseTemplates",
        ),
        (
            ("add", "/responseParameters/gatewayresponse.header.b", "x"),
            "BadRequestException",
            "Invalid mapping expression",
        ),
    ] {
        refused(update(&[patch]).await, code, message);
    }
    let unnamed = vec![aws::PatchOperation { op: Some("replace".into()), ..Default::default() }];
    let input = rest!(UpdateGatewayResponseRequest {
        rest_api_id: &*api,
        response_type: "DEFAULT_4XX",
        patch_operations: unnamed,
    });
    refused(rest.call::<ops::UpdateGatewayResponse>(input).await, "BadRequestException", "Invalid patch path null");
}

//! Integrations and what becomes of their answers.

use model::apigateway::{self as aws, ops};

use super::world::{Rest, patches, rest, texts, truths, uri};
use crate::world::refused;

fn put(api: &str, resource: &str, kind: &str) -> aws::PutIntegrationRequest {
    rest!(PutIntegrationRequest { rest_api_id: api, resource_id: resource, http_method: "GET", type_: kind })
}

async fn with_method() -> (Rest, String, String) {
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
    (rest, api, root)
}

#[tokio::test]
async fn an_integration_has_awss_form_and_defaults() {
    let (rest, api, root) = with_method().await;
    let read = || rest!(GetIntegrationRequest { rest_api_id: &*api, resource_id: &*root, http_method: "GET" });
    refused(
        rest.call::<ops::GetIntegration>(read()).await,
        "NotFoundException",
        "Invalid Integration identifier specified",
    );
    let input = aws::PutIntegrationRequest {
        integration_http_method: Some("POST".into()),
        uri: Some(uri()),
        ..put(&api, &root, "AWS_PROXY")
    };
    let made = rest.call::<ops::PutIntegration>(input).await.unwrap();
    let shown = rest!(Integration {
        type_: "AWS_PROXY",
        http_method: "POST",
        uri: uri(),
        passthrough_behavior: "WHEN_NO_MATCH",
        timeout_in_millis: 29_000,
        cache_namespace: &*root,
        cache_key_parameters: [],
    });
    assert_eq!(made, shown);
    assert_eq!(rest.call::<ops::GetIntegration>(read()).await.unwrap(), shown);
    let delete = || rest!(DeleteIntegrationRequest { rest_api_id: &*api, resource_id: &*root, http_method: "GET" });
    rest.call::<ops::DeleteIntegration>(delete()).await.unwrap();
    refused(rest.call::<ops::DeleteIntegration>(delete()).await, "NotFoundException", "Invalid Integration identifier");
}

#[tokio::test]
async fn what_answers_nothing_is_refused() {
    let (rest, api, root) = with_method().await;
    let of = |input| rest.call::<ops::PutIntegration>(input);
    let plain = || aws::PutIntegrationRequest {
        integration_http_method: Some("POST".into()),
        uri: Some(uri()),
        ..put(&api, &root, "AWS_PROXY")
    };
    refused(of(put(&api, &root, "HTTPS_PROXY")).await, "ValidationException", "HTTPS_PROXY");
    refused(of(put("none", &root, "MOCK")).await, "NotFoundException", "Invalid Resource identifier specified");
    let other = aws::PutIntegrationRequest { http_method: Some("PUT".into()), ..plain() };
    refused(of(other).await, "NotFoundException", "Invalid Method identifier specified");
    for (input, code, message) in [
        (put(&api, &root, "AWS"), "NotImplemented", "type AWS"),
        (put(&api, &root, "HTTP"), "NotImplemented", "type HTTP"),
        (put(&api, &root, "AWS_PROXY"), "BadRequestException", "Enumeration value for HttpMethod must be non-empty"),
        (
            aws::PutIntegrationRequest { uri: Some("http://x".into()), ..plain() },
            "BadRequestException",
            "Invalid ARN specified",
        ),
        (
            aws::PutIntegrationRequest { uri: Some("arn:aws:apigateway:us-east-1:sqs:path/0/q".into()), ..plain() },
            "NotImplemented",
            "uri arn:aws:apigateway:us-east-1:sqs",
        ),
        (
            aws::PutIntegrationRequest { type_: Some("HTTP_PROXY".into()), ..plain() },
            "BadRequestException",
            "Invalid HTTP endpoint specified for URI",
        ),
        (aws::PutIntegrationRequest { timeout_in_millis: Some(49), ..plain() }, "BadRequestException", "between 50 ms"),
        (
            aws::PutIntegrationRequest { credentials: Some("arn".into()), ..plain() },
            "BadRequestException",
            "Invalid ARN specified for credentials: arn",
        ),
        (
            aws::PutIntegrationRequest { credentials: Some("arn".into()), ..put(&api, &root, "MOCK") },
            "NotImplemented",
            "credentials of MOCK",
        ),
        (
            aws::PutIntegrationRequest { passthrough_behavior: Some("SOMETIMES".into()), ..plain() },
            "BadRequestException",
            "passthroughBehavior",
        ),
        (
            aws::PutIntegrationRequest {
                request_parameters: Some(texts(&[("integration.request.header.x", "method.request.querystring.none")])),
                ..plain()
            },
            "BadRequestException",
            "errors : [Invalid mapping expression parameter specified: method.request.querystring.none]",
        ),
        (
            aws::PutIntegrationRequest {
                request_templates: Some(texts(&[("application/json", "#foreach($x in $y)$x#end")])),
                ..put(&api, &root, "MOCK")
            },
            "NotImplemented",
            "requestTemplates that need `#foreach",
        ),
    ] {
        refused(of(input).await, code, message);
    }
}

#[tokio::test]
async fn patches_change_what_they_name() {
    let (rest, api, root) = with_method().await;
    rest.call::<ops::PutIntegration>(put(&api, &root, "MOCK")).await.unwrap();
    let update = async |all: &[(&str, &str, &str)]| {
        let input = rest!(UpdateIntegrationRequest {
            rest_api_id: &*api,
            resource_id: &*root,
            http_method: "GET",
            patch_operations: patches(all),
        });
        rest.call::<ops::UpdateIntegration>(input).await
    };
    let done = update(&[
        ("add", "/requestTemplates/application~1json", "{\"statusCode\": 201}"),
        ("add", "/requestParameters/integration.request.header.x", "method.request.querystring.q"),
        ("replace", "/passthroughBehavior", "NEVER"),
        ("replace", "/timeoutInMillis", "1000"),
    ]);
    let done = done.await.unwrap();
    assert_eq!(done.request_templates.unwrap(), texts(&[("application/json", "{\"statusCode\": 201}")]));
    assert_eq!(done.request_parameters.unwrap().len(), 1);
    assert_eq!((done.passthrough_behavior.as_deref(), done.timeout_in_millis), (Some("NEVER"), Some(1000)));
    for (patch, code, message) in [
        (("replace", "/type", "AWS"), "BadRequestException", "Invalid patch path /type"),
        (("remove", "/requestTemplates/a~1b", "-"), "NotFoundException", "Content-Type specified was not found"),
        (("replace", "/timeoutInMillis", "x"), "BadRequestException", "Timeout should be between"),
        (("replace", "/credentials", "arn"), "NotImplemented", "credentials of MOCK"),
        (("add", "/requestTemplates/application~1json", "$util.x"), "NotImplemented", "`$util.x`"),
    ] {
        refused(update(&[patch]).await, code, message);
    }
}

#[tokio::test]
async fn what_becomes_of_an_answer_is_kept_by_status() {
    let (rest, api, root) = with_method().await;
    let of = |status: &str| {
        rest!(PutIntegrationResponseRequest {
            rest_api_id: &*api,
            resource_id: &*root,
            http_method: "GET",
            status_code: status,
            selection_pattern: "",
            response_templates: texts(&[("application/json", "\"created\"")]),
        })
    };
    let put_one = |input| rest.call::<ops::PutIntegrationResponse>(input);
    refused(put_one(of("200")).await, "NotFoundException", "Invalid Integration identifier specified");
    rest.call::<ops::PutIntegration>(put(&api, &root, "MOCK")).await.unwrap();
    let made = put_one(of("200")).await.unwrap();
    assert_eq!((made.selection_pattern.as_deref(), made.status_code.as_deref()), (Some(""), Some("200")));
    refused(put_one(of("wrong")).await, "ValidationException", "wrong");
    let unknown = aws::PutIntegrationResponseRequest {
        response_parameters: Some(texts(&[("method.response.header.x", "'a'")])),
        ..of("200")
    };
    let message = "Invalid mapping expression parameter specified: method.response.header.x";
    refused(put_one(unknown).await, "BadRequestException", message);
    let untyped = aws::PutIntegrationResponseRequest { response_templates: Some(texts(&[("123", "x")])), ..of("200") };
    refused(put_one(untyped).await, "BadRequestException", "errors : [Invalid content type specified: 123]");
    let unmatched = aws::PutIntegrationResponseRequest { selection_pattern: Some("(".into()), ..of("200") };
    refused(put_one(unmatched).await, "BadRequestException", "selection pattern");
    let read = || {
        rest!(GetIntegrationResponseRequest {
            rest_api_id: &*api,
            resource_id: &*root,
            http_method: "GET",
            status_code: "200",
        })
    };
    assert_eq!(rest.call::<ops::GetIntegrationResponse>(read()).await.unwrap(), made);
    let update = async |all: &[(&str, &str, &str)]| {
        let input = rest!(UpdateIntegrationResponseRequest {
            rest_api_id: &*api,
            resource_id: &*root,
            http_method: "GET",
            status_code: "200",
            patch_operations: patches(all),
        });
        rest.call::<ops::UpdateIntegrationResponse>(input).await
    };
    let done = update(&[("replace", "/selectionPattern", "2\\d\\d")]).await.unwrap();
    assert_eq!(done.selection_pattern.as_deref(), Some("2\\d\\d"));
    refused(update(&[("replace", "/statusCode", "1")]).await, "BadRequestException", "Invalid patch path /statusCode");
    let delete = rest!(DeleteIntegrationResponseRequest {
        rest_api_id: &*api,
        resource_id: &*root,
        http_method: "GET",
        status_code: "200",
    });
    rest.call::<ops::DeleteIntegrationResponse>(delete).await.unwrap();
    let gone = rest.call::<ops::GetIntegrationResponse>(read()).await;
    refused(gone, "NotFoundException", "Invalid Response status code specified");
}

//! Answers of the API's own making: browsers' preflights, as frameworks write them.

use model::apigateway::{self as aws, ops};

use super::world::{INTERNAL, Rest, rest, texts, truths};
use crate::world::{Seen, request};

const HEADERS: [&str; 3] =
    ["Access-Control-Allow-Headers", "Access-Control-Allow-Methods", "Access-Control-Allow-Origin"];

/// An API whose `OPTIONS /` is a mock with a request's template, and an answer's for this status.
async fn mocked(
    rest: &Rest,
    asks: &[(&str, &str)],
    passthrough: &str,
    status: &str,
    answers: &[(&str, &str)],
) -> String {
    let (api, root) = rest.api().await;
    rest.method(&api, &root, "OPTIONS").await;
    let at = || (Some(api.clone()), Some(root.clone()), Some("OPTIONS".to_owned()));
    let (rest_api_id, resource_id, http_method) = at();
    let declared = HEADERS.map(|name| (format!("method.response.header.{name}"), true));
    let input = aws::PutMethodResponseRequest {
        rest_api_id,
        resource_id,
        http_method,
        status_code: Some(status.into()),
        response_parameters: Some(declared.into()),
        response_models: None,
    };
    rest.call::<ops::PutMethodResponse>(input).await.unwrap();
    let input = rest!(PutIntegrationRequest {
        rest_api_id: &*api,
        resource_id: &*root,
        http_method: "OPTIONS",
        type_: "MOCK",
        request_templates: texts(asks),
        passthrough_behavior: passthrough,
    });
    rest.call::<ops::PutIntegration>(input).await.unwrap();
    let (rest_api_id, resource_id, http_method) = at();
    let input = aws::PutIntegrationResponseRequest {
        rest_api_id,
        resource_id,
        http_method,
        status_code: Some(status.into()),
        response_parameters: Some(texts(&[
            ("method.response.header.Access-Control-Allow-Headers", "'Content-Type,Authorization'"),
            ("method.response.header.Access-Control-Allow-Methods", "'OPTIONS,GET'"),
            ("method.response.header.Access-Control-Allow-Origin", "'*'"),
        ])),
        response_templates: Some(texts(answers)),
        ..Default::default()
    };
    rest.call::<ops::PutIntegrationResponse>(input).await.unwrap();
    rest.deploy(&api, "dev").await;
    api
}

async fn preflight(rest: &Rest, api: &str, origin: &str) -> Seen {
    rest.send(&request(api, "OPTIONS", "/dev", &[("origin", origin), ("access-control-request-method", "GET")], ""))
        .await
}

fn allowed(seen: &Seen) -> Vec<&str> {
    HEADERS.iter().map(|name| seen.header(name).unwrap_or("-")).collect()
}

#[tokio::test]
async fn a_preflight_is_answered_as_frameworks_write_it() {
    let rest = Rest::new();
    for (ask, status) in [("{\"statusCode\": 200}", "200"), ("{statusCode:200}", "200"), ("{ statusCode: 200 }", "204")]
    {
        let api = mocked(&rest, &[("application/json", ask)], "WHEN_NO_MATCH", status, &[]).await;
        let seen = preflight(&rest, &api, "https://a.example").await;
        assert_eq!((seen.status.to_string(), &*seen.body), (status.to_owned(), ""));
        assert_eq!(allowed(&seen), ["Content-Type,Authorization", "OPTIONS,GET", "*"]);
        assert_eq!(seen.header("content-type"), Some("application/json"));
    }
}

#[tokio::test]
async fn a_template_chooses_the_origin() {
    let rest = Rest::new();
    let template = "#set($origin = $input.params(\"Origin\"))\n#if($origin == \"\") #set($origin = $input.params(\"origin\")) \
        #end\n#if($origin.matches(\"https://.+\\.b\\.example\")) \
        #set($context.responseOverride.header.Access-Control-Allow-Origin = $origin) #end";
    let asks = [("application/json", "{statusCode:200}")];
    let api = mocked(&rest, &asks, "NEVER", "200", &[("application/json", template)]).await;
    assert_eq!(allowed(&preflight(&rest, &api, "https://x.b.example").await)[2], "https://x.b.example");
    assert_eq!(allowed(&preflight(&rest, &api, "https://evil.example").await)[2], "*");
}

#[tokio::test]
async fn what_no_template_is_for_is_passed_on_or_refused() {
    let rest = Rest::new();
    let asks = [("application/json", "{\"statusCode\": 200}")];
    let unsupported = (415, r#"{"message":"Unsupported Media Type"}"#);
    let text =
        |api: &str, body: &str| request(api, "OPTIONS", "/dev", &[("content-type", "text/plain")], body.to_owned());
    for (passthrough, expected) in
        [("NEVER", unsupported), ("WHEN_NO_TEMPLATES", unsupported), ("WHEN_NO_MATCH", INTERNAL)]
    {
        let api = mocked(&rest, &asks, passthrough, "200", &[]).await;
        assert_eq!(rest.send(&text(&api, "x")).await.both(), expected, "{passthrough}");
        assert_eq!(preflight(&rest, &api, "a").await.status, 200);
    }
    let api = mocked(&rest, &asks, "WHEN_NO_MATCH", "200", &[]).await;
    assert_eq!(
        rest.send(&text(&api, "{\"statusCode\": 200}")).await.status,
        200,
        "the body is what a template would be"
    );
    let api = mocked(&rest, &[("application/json", "{}")], "WHEN_NO_MATCH", "200", &[]).await;
    assert_eq!(preflight(&rest, &api, "a").await.both(), INTERNAL);
}

#[tokio::test]
async fn the_status_chooses_the_answer() {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    rest.method(&api, &root, "GET").await;
    let input = rest!(PutIntegrationRequest {
        rest_api_id: &*api,
        resource_id: &*root,
        http_method: "GET",
        type_: "MOCK",
        request_templates: texts(&[(
            "application/json",
            "#if($input.params('scope') == 'internal'){\"statusCode\": 500}#else{\"statusCode\": 200}#end",
        )]),
    });
    rest.call::<ops::PutIntegration>(input).await.unwrap();
    let input = rest!(PutMethodResponseRequest {
        rest_api_id: &*api,
        resource_id: &*root,
        http_method: "GET",
        status_code: "503",
        response_parameters: truths(&[("method.response.header.x-stage", true)]),
    });
    rest.call::<ops::PutMethodResponse>(input).await.unwrap();
    let put = async |status: &str, pattern: Option<&str>, parameters: &[(&str, &str)], template: &str| {
        let input = aws::PutIntegrationResponseRequest {
            selection_pattern: pattern.map(Into::into),
            response_parameters: Some(texts(parameters)),
            response_templates: Some(texts(&[("text/plain", template)])),
            ..rest!(PutIntegrationResponseRequest {
                rest_api_id: &*api,
                resource_id: &*root,
                http_method: "GET",
                status_code: status,
            })
        };
        rest.call::<ops::PutIntegrationResponse>(input).await.unwrap();
    };
    put("503", Some("5\\d{2}"), &[("method.response.header.x-stage", "context.stage")], "bad $context.httpMethod")
        .await;
    put("200", None, &[], "good").await;
    rest.deploy(&api, "dev").await;
    let seen = rest.visit(&api, "GET", "/dev?scope=internal").await;
    assert_eq!((seen.both(), seen.header("x-stage")), ((503, "bad GET"), Some("dev")));
    assert_eq!(seen.header("content-type"), Some("text/plain"));
    assert_eq!(rest.visit(&api, "GET", "/dev").await.both(), (200, "good"));
}

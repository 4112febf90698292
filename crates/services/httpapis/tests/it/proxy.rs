//! URLs as integrations.

use model::apigatewayv2::ops;

use crate::world::{World, input, refused, request};

async fn api_with(world: &World, key: &str, uri: &str, method: &str) -> String {
    let api = world.api().await;
    let input = input!(CreateIntegrationRequest {
        api_id: &*api,
        integration_type: "HTTP_PROXY",
        integration_uri: uri,
        integration_method: method,
        payload_format_version: "1.0",
        timeout_in_millis: 100,
    });
    let id = world.call::<ops::CreateIntegration>(input).await.unwrap().integration_id.unwrap();
    world.route(&api, key, &id).await;
    world.stage(&api, "$default").await;
    api
}

#[tokio::test]
async fn a_request_is_passed_on_and_its_answer_back() {
    let world = World::new();
    let api = api_with(&world, "ANY /site/{proxy+}", "http://elsewhere.example/{proxy}", "ANY").await;
    world.elsewhere.answers("http://elsewhere.example/a/b%20c?x=1", 404, "<p>none</p>");
    let sent = [("x-own", "1"), ("connection", "close"), ("host", "h")];
    let told = world.send(&request(&api, "PUT", "/site/a/b%20c?x=1", &sent, "body")).await;
    assert_eq!((told.status, told.body.as_str()), (404, "<p>none</p>"));
    assert_eq!((told.header("content-type"), told.header("connection")), (Some("text/html"), None));
    let asked = world.elsewhere.asked().pop().unwrap();
    assert_eq!((asked.method.as_str(), &asked.body[..]), ("PUT", &b"body"[..]));
    assert_eq!(asked.headers["x-own"], "1");
    assert!(asked.headers["forwarded"].to_str().unwrap().starts_with("for=127.0.0.1;host="));
    assert!(!asked.headers.contains_key("host") && asked.headers.contains_key("x-amzn-trace-id"));
}

#[tokio::test]
async fn the_default_route_sends_the_whole_path_and_a_method_may_be_fixed() {
    let world = World::new();
    let api = api_with(&world, "$default", "https://elsewhere.example/base", "POST").await;
    world.elsewhere.answers("https://elsewhere.example/base/store/checkout", 200, "ok");
    assert_eq!(world.visit(&api, "GET", "/store/checkout").await.status, 200);
    assert_eq!(world.elsewhere.asked().pop().unwrap().method, "POST");
    let made = input!(GetIntegrationsRequest { api_id: &*api });
    let made = world.call::<ops::GetIntegrations>(made).await.unwrap().items.unwrap().pop().unwrap();
    let id = made.integration_id.unwrap();
    let update = input!(UpdateIntegrationRequest { api_id: &*api, integration_id: id, integration_method: "PUT" });
    world.call::<ops::UpdateIntegration>(update).await.unwrap();
    world.visit(&api, "GET", "/store/checkout").await;
    assert_eq!(world.elsewhere.asked().pop().unwrap().method, "PUT");
    // As quick create makes it.
    let input = input!(CreateApiRequest { name: "a", protocol_type: "HTTP", target: "https://elsewhere.example/base" });
    let quick = world.call::<ops::CreateApi>(input).await.unwrap().api_id.unwrap();
    assert_eq!(world.visit(&quick, "GET", "/store/checkout").await.body, "ok");
    let made = input!(GetIntegrationsRequest { api_id: quick });
    let made = world.call::<ops::GetIntegrations>(made).await.unwrap().items.unwrap().pop().unwrap();
    assert_eq!(
        (made.integration_type.as_deref(), made.integration_method.as_deref()),
        (Some("HTTP_PROXY"), Some("ANY"))
    );
}

#[tokio::test(start_paused = true)]
async fn who_does_not_answer_is_not_waited_for() {
    let world = World::new();
    let api = api_with(&world, "GET /{which}", "http://elsewhere.example/{which}", "GET").await;
    let unavailable = (503, r#"{"message":"Service Unavailable"}"#);
    assert_eq!(world.visit(&api, "GET", "/gone").await.both(), unavailable);
    world.elsewhere.answers("http://elsewhere.example/slow", 0, "");
    assert_eq!(world.visit(&api, "GET", "/slow").await.both(), unavailable);
}

#[tokio::test]
async fn what_leads_nowhere_is_refused() {
    let world = World::new();
    let api = world.api().await;
    for (uri, payload, told) in [
        ("example.com", "1.0", "Invalid HTTP endpoint specified for URI"),
        ("https://example.com", "2.0", "must be 1.0"),
    ] {
        let input = input!(CreateIntegrationRequest {
            api_id: &*api,
            integration_type: "HTTP_PROXY",
            integration_uri: uri,
            integration_method: "GET",
            payload_format_version: payload,
        });
        refused(world.call::<ops::CreateIntegration>(input).await, "BadRequestException", told);
    }
}
